/*
 * hnswworker.c
 *	  A parallel worker of a build: does positions of tasks until the leader has no more.
 *
 * Reads no heap. The leader holds the index's lock; the worker opens the index to write pages.
 */
#include "build/hnswtask.h"

#include "access/genam.h"
#include "access/parallel.h"
#include "executor/instrument.h"
#include "miscadmin.h"
#include "page/store.h"
#include "pgstat.h"
#include "tcop/tcopprot.h"
#include "utils/backend_progress.h"
#include "utils/wait_event.h"

static dsm_segment *
attach_segment(dsm_handle handle)
{
	dsm_segment *segment = dsm_attach(handle);

	/* The leader failed or went on alone, and will end this worker. */
	if (!segment)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("could not map dynamic shared memory segment")));
	return segment;
}

/* The leader's memory, as far as this worker has attached it. */
typedef struct View
{
	HnswRecords records;
	dsm_segment *level;
} View;

/* Attach the segments that the leader has published since. */
static void
update_view(View *view, HnswShared *shared)
{
	HnswRecords *records = &view->records;
	dsm_handle level;
	uint32 nsegments;
	uint32 nrecords;

	SpinLockAcquire(&shared->mutex);
	nsegments = shared->memory.nsegments;
	nrecords = shared->memory.records;
	level = shared->memory.level;
	SpinLockRelease(&shared->mutex);
	records->array.n = nrecords;
	while (records->nsegments < nsegments)
		hnsw_records_attach(records, attach_segment(shared->memory.segments[records->nsegments]));
	if (level != DSM_HANDLE_INVALID && !view->level)
	{
		view->level = attach_segment(level);
		hnsw_populate_segment(view->level);
	}
}

static void
detach(View *view)
{
	if (view->level)
		dsm_detach(view->level);
	for (uint32 i = 0; i < view->records.nsegments; i++)
		dsm_detach(view->records.segments[i]);
}

void
omendb_worker_hnsw_build(dsm_segment *seg, shm_toc *toc)
{
	HnswShared *shared = shm_toc_lookup(toc, HNSW_KEY_SHARED, false);
	BufferUsage *buffer_usage = shm_toc_lookup(toc, HNSW_KEY_BUFFER_USAGE, false);
	WalUsage *wal_usage = shm_toc_lookup(toc, HNSW_KEY_WAL_USAGE, false);
	View view = {0};
	OmendbIndex *index;
	HnswMeans means = {.shared = shared, .array = &view.records.array};
	HnswTask task = {0};
	HnswTaken taken;
	uint32 turn = 0;
	uint32 from;
	uint32 to;

	debug_query_string = shm_toc_lookup(toc, HNSW_KEY_QUERY_TEXT, true);
	pgstat_report_activity(STATE_RUNNING, debug_query_string);
	pgstat_report_query_id(shared->query_id, false);

	/* The relation is for errors only, and the leader's metapage has none. */
	index = omendb_index_make(NULL, &shared->meta);
	hnsw_records_init(&view.records, &index->codec);

	InstrStartParallelQuery();
	while ((taken = hnsw_task_take(shared, &turn, &task, &from, &to)) != TAKEN_END)
	{
		if (taken == TAKEN_NOTHING)
		{
			ConditionVariableSleep(&shared->announced, WAIT_EVENT_PARALLEL_CREATE_INDEX_SCAN);
			continue;
		}
		ConditionVariableCancelSleep();
		update_view(&view, shared);
		if (task.kind == TASK_LEVEL)
		{
			if (!means.builder)
				means.builder = omendb_builder_create(means.array, &omendb_palloc_allocator);
			task.level.array = means.array;
			task.level.interrupt = hnsw_build_interrupt;
			omendb_build_attach(&task.level, dsm_segment_address(view.level));
		}
		else if (task.kind == TASK_WRITE && !means.index)
			means.index = index_open(shared->index, AccessShareLock);
		else if (task.kind == TASK_COMPARE || task.kind == TASK_SEARCH)
		{
			/* The measurement is in the memory of the levels' arrays. */
			means.recall = dsm_segment_address(view.level);
			if (task.kind == TASK_SEARCH && !means.searcher)
				means.searcher = hnsw_searcher_create(means.array);
		}
		hnsw_task_do(&means, &task, from, to);
		hnsw_task_finish(shared, to - from);
	}
	ConditionVariableCancelSleep();
	if (means.index)
		index_close(means.index, AccessShareLock);
	InstrEndParallelQuery(&buffer_usage[ParallelWorkerNumber], &wal_usage[ParallelWorkerNumber]);
	detach(&view);
}
