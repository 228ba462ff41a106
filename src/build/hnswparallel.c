/*
 * hnswparallel.c
 *	  Builds a graph with parallel workers: the leader's side.
 *
 * The leader announces a task: to make records of the vectors that it loads, a phase of a level
 * (graph/build.h), or to write pages. A task has positions. Every process, the leader too, takes
 * chunks of positions and does them (hnswtask.c); the leader waits until all are done and announces
 * the next task. While vectors are loaded, positions are added to the task. A worker
 * joins whatever task there is when it starts (hnswworker.c). If a worker never starts, nobody
 * waits for it: until all workers have ended, the leader waits only for chunks that were taken.
 *
 * Errors of workers reach the leader, and a leader's error ends the workers, by PostgreSQL's own
 * means (access/transam/README.parallel): every wait checks for interrupts.
 *
 * If workers are planned, records lie in shared memory from the beginning. If that memory runs
 * out, the records are moved into the leader's own memory (hnswrecords.c), and the leader goes on
 * alone.
 *
 * Locks: the mutex in shared memory, a spinlock, protects numbers only: of positions, segments and
 * records (hnswtask.h). A ring entry belongs to the leader until its record is counted, then to the
 * process that takes the record.
 */
#include "build/hnswparallel.h"

#include "build/hnswpages.h"
#include "build/hnswtask.h"
#include "am/hnsw.h"

#include "access/parallel.h"
#include "access/xact.h"
#include "commands/progress.h"
#include "executor/instrument.h"
#include "miscadmin.h"
#include "page/store.h"
#include "pgstat.h"
#include "storage/condition_variable.h"
#include "storage/dsm.h"
#include "storage/spin.h"
#include "tcop/tcopprot.h"
#include "utils/backend_progress.h"
#include "utils/memutils.h"
#include "utils/wait_event.h"

/* Minimum number of positions of a phase that a process takes at a time, if the phase allows so many. */
#define MIN_TAKE 4

/* Number of records that a process makes of vectors at a time. */
#define MADE_AT_A_TIME 32

/* Size of the ring of vectors, bytes; and minimum number of its entries. */
#define RING_BYTES    (2 * 1024 * 1024)
#define LEAST_IN_RING 128

/* Memory for the arrays of a level. */
typedef struct LevelMemory
{
	void *aligned; /* to 64 bytes */
	void *own;     /* the leader's own memory, or NULL */
	Size bytes;
	dsm_segment *segment;
} LevelMemory;

/* Vectors on their way into records. */
typedef struct Loading
{
	bool active;
	uint32 published;    /* records that workers may make */
	float *buffer;       /* without workers: the floats of one vector, .. */
	ItemPointerData tid; /* .. and the heap TID of its row */
} Loading;

struct HnswCrew
{
	HnswRecords *records;
	Oid index;
	const OmendbMetaPage *meta;
	OmendbBuilder *builder;
	LevelMemory level;
	Loading loading;
	ParallelContext *context;  /* NULL: the leader is alone */
	HnswShared *shared;        /* NULL: the leader is alone */
	BufferUsage *buffer_usage; /* of each worker, when it has ended */
	WalUsage *wal_usage;
};

/* Dismiss the workers, because shared memory is missing. why: the server's message. */
static void
go_on_alone(HnswCrew *crew, const char *why)
{
	hnsw_crew_finish(crew);
	hnsw_crew_dismiss(crew);
	hnsw_records_withdraw(crew->records);
	ereport(NOTICE,
			(errmsg("building the graph without parallel workers"),
			 errdetail("There is not enough shared memory for it: %s.", why),
			 errhint("Give the server more shared memory (of a container: its --shm-size), or set "
					 "max_parallel_maintenance_workers to 0.")));
}

/* Make sure that there is memory for one more record. */
static void
ensure_capacity(HnswCrew *crew)
{
	char *why = NULL;

	if (hnsw_records_reserve(crew->records, &why))
		return;
	go_on_alone(crew, why);
	(void) hnsw_records_reserve(crew->records, &why);
}

OmendbRecord *
hnsw_crew_add_record(HnswCrew *crew)
{
	ensure_capacity(crew);
	return hnsw_init_record(&crew->records->array, crew->records->array.n++, false);
}

HnswCrew *
hnsw_crew_create(HnswRecords *records, Oid index, const OmendbMetaPage *meta)
{
	HnswCrew *crew = palloc0(sizeof(HnswCrew));

	crew->records = records;
	crew->index = index;
	crew->meta = meta;
	crew->loading.buffer = palloc(hnsw_value_bytes(&records->array.codec->layout));
	return crew;
}

/* Initialise what leader and workers share, before any worker starts. */
static void
init_shared(const HnswCrew *crew, HnswShared *shared, uint32 entries, Size entry_bytes)
{
	memset(shared, 0, sizeof(*shared));
	shared->entries = entries;
	shared->entry_bytes = entry_bytes;
	for (uint32 i = 0; i < entries; i++)
		pg_atomic_init_u32(&hnsw_ring_entry(shared, i)->in_use, 0);
	shared->index = crew->index;
	shared->meta = *crew->meta;
	shared->query_id = pgstat_get_my_query_id();
	shared->memory.level = DSM_HANDLE_INVALID;
	ConditionVariableInit(&shared->announced);
	ConditionVariableInit(&shared->completed);
	SpinLockInit(&shared->mutex);
}

void
hnsw_crew_launch(HnswCrew *crew, int workers)
{
	ParallelContext *context;
	HnswShared *shared;
	Size text = debug_query_string ? strlen(debug_query_string) + 1 : 0;
	Size entry_bytes = MAXALIGN(offsetof(HnswRingEntry, floats) +
								hnsw_value_bytes(&crew->records->array.codec->layout));
	uint32 entries = Max(LEAST_IN_RING, RING_BYTES / entry_bytes);
	Size shared_bytes = MAXALIGN(sizeof(HnswShared)) + entries * entry_bytes;

	if (!crew->records->shared || workers <= 0)
		return;
	EnterParallelMode();
	context = CreateParallelContext("$libdir/omendb", "omendb_worker_hnsw_build", workers);
	shm_toc_estimate_chunk(&context->estimator, shared_bytes);
	shm_toc_estimate_chunk(&context->estimator, mul_size(sizeof(BufferUsage), workers));
	shm_toc_estimate_chunk(&context->estimator, mul_size(sizeof(WalUsage), workers));
	shm_toc_estimate_keys(&context->estimator, 3);
	if (text > 0)
	{
		shm_toc_estimate_chunk(&context->estimator, text);
		shm_toc_estimate_keys(&context->estimator, 1);
	}
	InitializeParallelDSM(context);
	/* If the context got no segment, it has no workers, but private memory all the same. */
	shared = shm_toc_allocate(context->toc, shared_bytes);
	init_shared(crew, shared, entries, entry_bytes);
	shm_toc_insert(context->toc, HNSW_KEY_SHARED, shared);
	if (text > 0)
	{
		char *copy = shm_toc_allocate(context->toc, text);

		memcpy(copy, debug_query_string, text);
		shm_toc_insert(context->toc, HNSW_KEY_QUERY_TEXT, copy);
	}
	crew->buffer_usage =
		shm_toc_allocate(context->toc, mul_size(sizeof(BufferUsage), context->nworkers));
	shm_toc_insert(context->toc, HNSW_KEY_BUFFER_USAGE, crew->buffer_usage);
	crew->wal_usage = shm_toc_allocate(context->toc, mul_size(sizeof(WalUsage), context->nworkers));
	shm_toc_insert(context->toc, HNSW_KEY_WAL_USAGE, crew->wal_usage);
	LaunchParallelWorkers(context);
	crew->context = context;
	crew->shared = shared;
	if (context->nworkers_launched == 0)
		hnsw_crew_dismiss(crew);
	else
		ereport(DEBUG1, (errmsg_internal("using %d parallel workers for the graph",
										 context->nworkers_launched)));
}

void
hnsw_crew_allocate_level(HnswCrew *crew, Size bytes)
{
	if (crew->shared)
	{
		char *why = NULL;

		crew->level.segment = hnsw_create_segment(bytes, &why);
		if (crew->level.segment)
		{
			crew->level.aligned = dsm_segment_address(crew->level.segment);
			hnsw_populate_segment(crew->level.segment);
		}
		else
			go_on_alone(crew, why);
	}
	if (!crew->level.segment)
	{
		crew->level.own = MemoryContextAllocHuge(crew->records->context, bytes + 64);
		crew->level.aligned = (void *) TYPEALIGN(64, crew->level.own);
	}
	crew->level.bytes = bytes;
	crew->builder = omendb_builder_create(&crew->records->array, &omendb_palloc_allocator);
}

void *
hnsw_crew_level_memory(HnswCrew *crew)
{
	return crew->level.aligned;
}

OmendbBuilder *
hnsw_crew_builder(HnswCrew *crew)
{
	return crew->builder;
}

/* Write the handles of segments that are not listed yet where publish_memory lists them. */
static void
prepare_handles(HnswCrew *crew)
{
	HnswSharedMemory *memory = &crew->shared->memory;
	const HnswRecords *records = crew->records;

	/* Only the leader changes their number, so it reads that without the mutex. */
	for (uint32 i = memory->nsegments; i < records->nsegments; i++)
		memory->segments[i] = dsm_segment_handle(records->segments[i]);
}

/* List the segments and records that the workers do not know yet. The mutex is held. */
static inline void
publish_memory(HnswCrew *crew, dsm_handle level)
{
	HnswSharedMemory *memory = &crew->shared->memory;

	memory->nsegments = crew->records->nsegments;
	memory->level = level;
	memory->records = crew->records->array.n;
}

/* The handle of the level's segment, if there is one. */
static dsm_handle
level_handle(const HnswCrew *crew)
{
	return crew->level.segment ? dsm_segment_handle(crew->level.segment) : DSM_HANDLE_INVALID;
}

/* Announce a task with positions from .. size - 1. All positions of the task before are done. */
static void
announce(HnswCrew *crew, const HnswTask *task, uint32 from, uint32 size)
{
	HnswShared *shared = crew->shared;
	dsm_handle level = level_handle(crew);

	Assert(hnsw_task_all_done(shared));
	prepare_handles(crew);
	shared->state.task = *task;
	SpinLockAcquire(&shared->mutex);
	publish_memory(crew, level);
	shared->state.take = task->take;
	shared->state.next = shared->state.done = from;
	shared->state.size = size;
	shared->state.turn++;
	SpinLockRelease(&shared->mutex);
	ConditionVariableBroadcast(&shared->announced);
}

/* Show the nodes that are done with that many positions as progress. */
static void
report_done(const OmendbBuildLevel *level, bool report, uint32 positions)
{
	if (report)
		pgstat_progress_update_param(PROGRESS_CREATEIDX_TUPLES_DONE,
									 omendb_build_phase_nodes(level, positions));
}

/* What the leader does positions with. */
static HnswMeans
leader_means(HnswCrew *crew)
{
	return (HnswMeans){
		.shared = crew->shared, .array = &crew->records->array, .builder = crew->builder};
}

/* Do positions of the announced task until all are taken, then wait until all are done. */
static void
do_task(HnswCrew *crew, HnswTask *task, const HnswMeans *means, bool report)
{
	HnswShared *shared = crew->shared;
	OmendbArray *array = &crew->records->array;
	HnswTask copy = {0};
	uint32 turn = 0;
	uint32 from;
	uint32 to;

	while (hnsw_task_take(shared, &turn, &copy, &from, &to) == TAKEN_CHUNK)
	{
		uint32 done;

		hnsw_task_do(means, task, from, to);
		done = hnsw_task_finish(shared, to - from);
		if (task->kind == TASK_LEVEL)
			report_done(&task->level, report, done);
		else if (task->kind == TASK_WRITE)
			pgstat_progress_update_param(
				PROGRESS_CREATEIDX_TUPLES_DONE,
				hnsw_records_written(&array->codec->layout, array->n, done));
	}
	while (!hnsw_task_all_done(shared))
		ConditionVariableSleep(&shared->completed, WAIT_EVENT_PARALLEL_CREATE_INDEX_SCAN);
	ConditionVariableCancelSleep();
}

/* Let workers make all records that were added. */
static void
publish_records(HnswCrew *crew)
{
	HnswShared *shared = crew->shared;
	dsm_handle level = level_handle(crew);

	crew->loading.published = crew->records->array.n;
	prepare_handles(crew);
	SpinLockAcquire(&shared->mutex);
	publish_memory(crew, level);
	shared->state.size = crew->loading.published;
	SpinLockRelease(&shared->mutex);
	ConditionVariableBroadcast(&shared->announced);
}

void
hnsw_crew_begin(HnswCrew *crew)
{
	HnswTask task = {.kind = TASK_LOAD, .take = MADE_AT_A_TIME};

	crew->loading.published = crew->records->array.n;
	crew->loading.active = true;
	if (crew->shared)
		crew->shared->fresh_from = Max(crew->shared->fresh_from, crew->shared->memory.records);
	if (crew->shared)
		announce(crew, &task, crew->loading.published, crew->loading.published);
}

/* Wait until the ring entry is free; make records meanwhile. */
static void
wait_for_entry(HnswCrew *crew, HnswRingEntry *entry)
{
	HnswShared *shared = crew->shared;
	HnswTask task = {0};
	uint32 turn = 0;
	uint32 from;
	uint32 to;

	publish_records(crew);
	while (pg_atomic_read_u32(&entry->in_use) != 0)
	{
		if (hnsw_task_take(shared, &turn, &task, &from, &to) == TAKEN_CHUNK)
		{
			hnsw_make_records(shared, &crew->records->array, from, to);
			hnsw_task_finish(shared, to - from);
		}
		else if (pg_atomic_read_u32(&entry->in_use) != 0)
			/* A worker makes the entry's record, and signals when all records are made. */
			ConditionVariableTimedSleep(&shared->completed, 1,
										WAIT_EVENT_PARALLEL_CREATE_INDEX_SCAN);
	}
	ConditionVariableCancelSleep();
	pg_memory_barrier();
}

float *
hnsw_crew_next(HnswCrew *crew, ItemPointer tid)
{
	HnswRingEntry *entry;

	ensure_capacity(crew);
	if (!crew->shared)
	{
		crew->loading.tid = *tid;
		return crew->loading.buffer;
	}
	entry = hnsw_ring_entry(crew->shared, crew->records->array.n);
	if (pg_atomic_read_u32(&entry->in_use) != 0)
		wait_for_entry(crew, entry);
	entry->tid = *tid;
	return entry->floats;
}

void
hnsw_crew_add(HnswCrew *crew)
{
	OmendbArray *array = &crew->records->array;

	if (!crew->shared)
	{
		hnsw_make_record(array, array->n++, false, &crew->loading.tid, crew->loading.buffer);
		return;
	}
	pg_atomic_write_u32(&hnsw_ring_entry(crew->shared, array->n++)->in_use, 1);
	if (array->n - crew->loading.published >= MADE_AT_A_TIME)
		publish_records(crew);
}

void
hnsw_crew_finish(HnswCrew *crew)
{
	HnswTask task = {.kind = TASK_LOAD};
	HnswMeans means = leader_means(crew);

	if (!crew->shared || !crew->loading.active)
		return;
	crew->loading.active = false;
	publish_records(crew);
	do_task(crew, &task, &means, false);
}

void
hnsw_crew_run(HnswCrew *crew, OmendbBuildLevel *level, bool report)
{
	uint32 size = omendb_build_phase_size(level);
	uint32 most = omendb_build_phase_take(level);
	uint32 to;
	HnswTask task = {.kind = TASK_LEVEL};
	HnswMeans means;

	if (!crew->shared || size <= most)
	{
		for (uint32 from = 0; from < size; from = to)
		{
			to = Min(from + most, size);
			hnsw_task_do_level(crew->builder, level, from, to);
			report_done(level, report, to);
		}
		return;
	}
	task.level = *level;
	/* Few in a small phase, so that nobody waits long for the last process. */
	task.take = size / (8 * (crew->context->nworkers_launched + 1));
	task.take = Max(Min(MIN_TAKE, most), Min(most, task.take));
	announce(crew, &task, 0, size);
	means = leader_means(crew);
	do_task(crew, &task, &means, report);
	report_done(level, report, size);
}

void
hnsw_crew_write(HnswCrew *crew, Relation index, BlockNumber first)
{
	OmendbArray *array = &crew->records->array;
	uint32 size = hnsw_write_positions(&array->codec->layout, array->n);
	HnswTask task = {.kind = TASK_WRITE, .first = first, .take = 1};

	/* Workers do not see the local buffers of a temporary index. */
	if (crew->shared && !RelationUsesLocalBuffers(index))
	{
		HnswMeans means = leader_means(crew);

		means.index = index;
		announce(crew, &task, 0, size);
		do_task(crew, &task, &means, true);
		return;
	}
	for (uint32 i = 0; i < size; i++)
	{
		hnsw_write_position(index, array, first, i);
		pgstat_progress_update_param(PROGRESS_CREATEIDX_TUPLES_DONE,
									 hnsw_records_written(&array->codec->layout, array->n, i + 1));
	}
}

/* Do all positions of a task for the recall. */
static void
measure(HnswCrew *crew, const HnswMeans *means, HnswTaskKind kind, uint32 size)
{
	HnswTask task = {.kind = kind, .take = 1};

	if (!crew->shared)
		hnsw_task_do(means, &task, 0, size);
	else
	{
		announce(crew, &task, 0, size);
		do_task(crew, &task, means, false);
	}
}

uint32
hnsw_crew_measure(HnswCrew *crew, const OmendbMetaPage *meta, OmendbCurve *curve)
{
	OmendbArray *array = &crew->records->array;
	HnswMeans means = leader_means(crew);
	OmendbNode *nodes;
	uint32 n = hnsw_recall_sample(array, meta->seed, &nodes);
	uint32 processes = crew->shared ? crew->context->nworkers_launched + 1 : 1;

	/* As many processes compare records as there is memory for. */
	while (processes > 0 && hnsw_recall_bytes(array->codec, n, processes) > crew->level.bytes)
		processes--;
	if (processes == 0)
		n = 0;
	if (n > 0)
	{
		means.recall = hnsw_recall_begin(crew->level.aligned, array, meta, nodes, n);
		means.searcher = hnsw_searcher_create(array);
		means.report = true;
		measure(crew, &means, TASK_COMPARE, processes);
		pgstat_progress_update_param(PROGRESS_CREATEIDX_TUPLES_DONE, array->n);
		measure(crew, &means, TASK_SEARCH, n);
		hnsw_recall_curve(means.recall, curve);
		hnsw_searcher_free(means.searcher);
	}
	pfree(nodes);
	return n;
}

void
hnsw_crew_dismiss(HnswCrew *crew)
{
	HnswShared *shared = crew->shared;

	if (!crew->context)
		return;
	SpinLockAcquire(&shared->mutex);
	shared->state.ended = true;
	SpinLockRelease(&shared->mutex);
	ConditionVariableBroadcast(&shared->announced);
	WaitForParallelWorkersToFinish(crew->context);
	/* The statement's usage, which pg_stat_statements shows, includes that of the workers. */
	for (int i = 0; i < crew->context->nworkers_launched; i++)
		InstrAccumParallelQuery(&crew->buffer_usage[i], &crew->wal_usage[i]);
	DestroyParallelContext(crew->context);
	ExitParallelMode();
	crew->context = NULL;
	crew->shared = NULL;
}

void
hnsw_crew_free(HnswCrew *crew)
{
	hnsw_crew_dismiss(crew);
	if (crew->builder)
		omendb_builder_free(crew->builder);
	hnsw_records_free(crew->records);
	if (crew->level.segment)
		dsm_detach(crew->level.segment);
	if (crew->level.own)
		pfree(crew->level.own);
	pfree(crew->loading.buffer);
	pfree(crew);
}
