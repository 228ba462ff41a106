/*
 * hnswtask.c
 *	  What leader and workers do of a task: take positions, do them, count them as done.
 *
 * The mutex in shared memory, a spinlock, is taken here for each chunk, for a few instructions.
 * Positions of a task are independent of each other.
 */
#include "build/hnswtask.h"

#include "am/hnsw.h"
#include "build/hnswpages.h"
#include "miscadmin.h"

HnswTaken
hnsw_task_take(HnswShared *shared, uint32 *turn, HnswTask *task, uint32 *from, uint32 *to)
{
	HnswTaken result = TAKEN_NOTHING;
	uint32 present;

	SpinLockAcquire(&shared->mutex);
	present = shared->state.turn;
	if (shared->state.next < shared->state.size)
	{
		*from = shared->state.next;
		*to = Min(*from + shared->state.take, shared->state.size);
		shared->state.next = *to;
		result = TAKEN_CHUNK;
	}
	else if (shared->state.ended)
		result = TAKEN_END;
	SpinLockRelease(&shared->mutex);
	/* The leader announces no other task before this chunk is done. */
	if (result == TAKEN_CHUNK && *turn != present)
	{
		*turn = present;
		*task = shared->state.task;
	}
	return result;
}

uint32
hnsw_task_finish(HnswShared *shared, uint32 n)
{
	uint32 done;
	bool last;

	SpinLockAcquire(&shared->mutex);
	done = shared->state.done += n;
	last = done == shared->state.size;
	SpinLockRelease(&shared->mutex);
	if (last)
		ConditionVariableSignal(&shared->completed);
	return done;
}

bool
hnsw_task_all_done(HnswShared *shared)
{
	bool result;

	SpinLockAcquire(&shared->mutex);
	result = shared->state.done == shared->state.size;
	SpinLockRelease(&shared->mutex);
	return result;
}

void
hnsw_build_interrupt(void)
{
	CHECK_FOR_INTERRUPTS();
}

void
hnsw_task_do_level(OmendbBuilder *builder, OmendbBuildLevel *level, uint32 from, uint32 to)
{
	for (uint32 i = from; i < to; i++)
	{
		/* A position may take milliseconds. */
		CHECK_FOR_INTERRUPTS();
		/* The allocator does not return without memory. */
		if (!omendb_build_chunk(builder, level, i, i + 1))
			elog(ERROR, "out of memory");
	}
}

void
hnsw_make_record(const OmendbArray *array, OmendbNode node, bool fresh, ItemPointer tid,
				 float *floats)
{
	OmendbRecord *record = hnsw_init_record(array, node, fresh);

	memcpy(record->tids, tid, OMENDB_TID_BYTES);
	record->ntids = 1;
	if (!hnsw_encode_floats(array->codec, floats, record))
		record->kind = OMENDB_RECORD_FREE;
}

void
hnsw_make_records(HnswShared *shared, const OmendbArray *array, uint32 from, uint32 to)
{
	for (uint32 i = from; i < to; i++)
	{
		HnswRingEntry *entry = hnsw_ring_entry(shared, i);

		CHECK_FOR_INTERRUPTS();
		hnsw_make_record(array, i, i >= shared->fresh_from, &entry->tid, entry->floats);
		/* The leader writes into an entry as soon as the entry is not in use. */
		pg_memory_barrier();
		pg_atomic_write_u32(&entry->in_use, 0);
	}
}

void
hnsw_task_do(const HnswMeans *means, HnswTask *task, uint32 from, uint32 to)
{
	switch (task->kind)
	{
		case TASK_LOAD:
			hnsw_make_records(means->shared, means->array, from, to);
			break;
		case TASK_LEVEL:
			hnsw_task_do_level(means->builder, &task->level, from, to);
			break;
		case TASK_WRITE:
			for (uint32 i = from; i < to; i++)
				hnsw_write_position(means->index, means->array, task->first, i);
			break;
		case TASK_COMPARE:
			for (uint32 i = from; i < to; i++)
				hnsw_recall_compare(means->recall, means->array, means->report);
			break;
		case TASK_SEARCH:
			for (uint32 i = from; i < to; i++)
			{
				CHECK_FOR_INTERRUPTS();
				hnsw_recall_search(means->recall, means->searcher, i);
			}
			break;
	}
}
