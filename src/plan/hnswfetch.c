/*
 * hnswfetch.c
 *	  Gets heap TIDs from the index, a batch at a time, and reads their rows.
 */
#include "plan/hnswfetch.h"

#include "access/genam.h"
#include "miscadmin.h"
#include "plan/hnswstate.h"
#include "storage/buf_internals.h"
#include "storage/bufmgr.h"
#include "utils/memutils.h"
#include "utils/spccache.h"

/* Prefetch the page of a heap TID, and the memory that reading the row touches first. */
static void
prefetch(Relation table, ItemPointer tid)
{
	PrefetchBufferResult result =
		PrefetchBuffer(table, MAIN_FORKNUM, ItemPointerGetBlockNumber(tid));

	/* The buffer is not pinned and may hold another page by now: this is only a hint. */
	if (BufferIsValid(result.recent_buffer) && !BufferIsLocal(result.recent_buffer))
	{
		PageHeader page = (PageHeader) BufferGetPage(result.recent_buffer);

		__builtin_prefetch(GetBufferDescriptor(result.recent_buffer - 1), 1);
		__builtin_prefetch(page);
		__builtin_prefetch(&page->pd_linp[ItemPointerGetOffsetNumber(tid) - 1]);
	}
}

/* Get the next batch, of up to `size` TIDs. */
static void
fill_batch(HnswState *state, int size)
{
	Relation table = state->css.ss.ss_currentRelation;
	HnswBatch *batch = &state->batch;
	const HnswDrive *drive = state->index.drive;
	ItemPointer tid;

	if (!batch->found)
		batch->found = MemoryContextAlloc(state->css.ss.ps.state->es_query_cxt,
										  HNSW_MAX_BATCH * sizeof(HnswFound));
	batch->used = batch->next = 0;
	while (batch->used < size &&
		   (tid = index_getnext_tid(state->index.scan, ForwardScanDirection)) != NULL)
	{
		HnswFound *found = &batch->found[batch->used++];

		/* Only the first TID of a batch may begin another round. */
		state->index.drive->request.budget = 0;
		found->tid = *tid;
		found->row = drive->row;
		found->member = !state->bitmap.members || hnsw_members_has(state->bitmap.members, tid);
	}
	state->index.drive->request.budget = 0;
	if (batch->used > 1 && get_tablespace_io_concurrency(table->rd_rel->reltablespace) > 0)
		for (int i = 0; i < batch->used; i++)
			if (batch->found[i].member && !batch->found[i].row.dead)
				prefetch(table, &batch->found[i].tid);
}

const HnswFound *
hnsw_next_found(HnswState *state, double expected)
{
	HnswBatch *batch = &state->batch;

	if (batch->next == batch->used)
	{
		CHECK_FOR_INTERRUPTS();
		if (expected > 0)
			batch->size = (int) Min(expected, HNSW_MAX_BATCH);
		else
			batch->size = Min(Max(batch->size * 2, 1), HNSW_MAX_BATCH);
		fill_batch(state, batch->size);
		if (batch->used == 0)
			return NULL;
	}
	return &batch->found[batch->next++];
}

bool
hnsw_fetch_found(HnswState *state, const HnswFound *found)
{
	bool good;

	if (found->row.dead)
		return false;
	state->index.scan->xs_heaptid = found->tid;
	state->index.scan->xs_heap_continue = false;
	good = index_fetch_heap(state->index.scan, state->slots.heap);
	/* index_fetch_heap sets this, but not in a transaction that began in recovery. */
	if (state->index.scan->kill_prior_tuple)
		hnsw_scan_note_dead(state->index.scan, &found->row.place, &found->tid);
	state->index.scan->kill_prior_tuple = false;
	return good;
}
