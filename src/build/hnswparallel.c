/*
 * hnswparallel.c
 *	  Building a graph with parallel workers.
 *
 * The leader announces a task: to make records of the vectors that it loads, a phase of a
 * level (graph/build.h), or to write pages. A task has positions. Everybody, the leader too, takes chunks of
 * positions and does them; the leader waits until all are done and announces the next
 * task. While vectors are loaded, positions are added to the task. A worker joins
 * whatever task there is when it comes, and if it never comes, nobody waits for it: until
 * all are gone the leader waits only for chunks that were taken.
 *
 * Errors of workers reach the leader, and a leader's error ends the workers, by
 * PostgreSQL's own means (access/transam/README.parallel): every wait checks
 * for interrupts.
 *
 * Where workers are planned, records lie in shared memory from the beginning, in segments
 * that are made as they are needed. That may fail: containers often have 64 MB of shared
 * memory. Then the records are moved into the leader's own memory, segment by segment,
 * and the leader goes on alone.
 */
#include "build/hnswparallel.h"

#include "am/hnsw.h"
#include "build/hnswpages.h"

#include "access/genam.h"
#include "access/parallel.h"
#include "access/xact.h"
#include "commands/progress.h"
#include "miscadmin.h"
#include "page/store.h"
#include "pgstat.h"
#include "storage/condition_variable.h"
#include "storage/dsm.h"
#include "storage/spin.h"
#include "tcop/tcopprot.h"
#include "utils/backend_progress.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/wait_event.h"

/* Positions taken at a time, at least, where a phase's positions are short. */
#define MIN_TAKE 4

/* Records of vectors made at a time. */
#define MADE_AT_A_TIME 32

#define KEY_SHARED     UINT64CONST(0x6f6d656e00000001)
#define KEY_QUERY_TEXT UINT64CONST(0x6f6d656e00000002)

/*
 * Vectors on their way from the leader to whoever makes records of them: record i is
 * made of entry i % entries. An entry is in use until its record is made.
 */
typedef struct Entry
{
	pg_atomic_uint32 in_use;
	ItemPointerData tid;
	float floats[FLEXIBLE_ARRAY_MEMBER];
} Entry;

typedef enum TaskKind
{
	TASK_LOAD,  /* positions are records to be made */
	TASK_LEVEL, /* of a phase of a level */
	TASK_WRITE, /* of pages (hnswpages.h) */
} TaskKind;

/* A task as announced. */
typedef struct Task
{
	TaskKind kind;
	OmendbBuildLevel level; /* pointers have no meaning */
	BlockNumber first;      /* of the pages to be written */
	uint32 take;            /* so many positions at a time */
} Task;

typedef struct Shared
{
	/* set before any worker starts */
	Oid index;
	OmendbMetaPage meta;
	uint32 entries;
	Size entry_bytes;
	uint32 fresh_from; /* records from here on were never used; set between tasks */

	ConditionVariable announced; /* another task, more positions, or the end */
	ConditionVariable completed; /* all positions there are are done */
	slock_t mutex;               /* of all that follows */
	uint32 turn;                 /* counts tasks; 0: none yet */
	bool ended;
	Task task;
	uint32 size; /* positions there are */
	uint32 next; /* first position not taken */
	uint32 done; /* positions done */
	/* The memory: what a task's positions need is there before they are. */
	uint32 records; /* in the array */
	uint32 nsegments;
	dsm_handle segments[HNSW_MOST_SEGMENTS];
	dsm_handle level; /* the level's arrays */

	/* entries follow */
} Shared;

/* The ring of vectors has so many bytes, and so many entries at least. */
#define RING_BYTES    (2 * 1024 * 1024)
#define LEAST_IN_RING 128

struct HnswCrew
{
	HnswRecords *records;
	Oid index;
	const OmendbMetaPage *meta;
	OmendbBuilder *builder;
	void *own_memory;   /* the leader's own for the level, or NULL */
	void *level_memory; /* aligned */
	dsm_segment *level_segment;
	float *buffer;            /* for the floats of a vector, where there is no ring */
	ItemPointerData tid;      /* of its row */
	uint32 published;         /* records, that workers know of */
	bool loading;             /* such records are made */
	ParallelContext *context; /* NULL: the leader is alone */
	Shared *shared;
};

static inline Entry *
entry_of(Shared *shared, uint32 position)
{
	return (Entry *) ((char *) shared + MAXALIGN(sizeof(Shared)) +
					  position % shared->entries * shared->entry_bytes);
}

typedef enum Taken
{
	TAKEN_CHUNK,
	TAKEN_NOTHING, /* now; another turn will come */
	TAKEN_END,
} Taken;

extern PGDLLEXPORT void omendb_worker_hnsw_build(dsm_segment *seg, shm_toc *toc);

/* The leader goes on alone. why: what is missing. */
static void
give_up(HnswCrew *crew, const char *why)
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

static void
ensure_capacity(HnswCrew *crew)
{
	char *why = NULL;

	if (hnsw_records_reserve(crew->records, &why))
		return;
	give_up(crew, why);
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
	crew->buffer = palloc(hnsw_value_bytes(&records->array.codec->layout));
	return crew;
}

void
hnsw_crew_launch(HnswCrew *crew, int workers)
{
	ParallelContext *context;
	Shared *shared;
	Size text = debug_query_string ? strlen(debug_query_string) + 1 : 0;
	Size entry_bytes =
		MAXALIGN(offsetof(Entry, floats) + hnsw_value_bytes(&crew->records->array.codec->layout));
	uint32 entries = Max(LEAST_IN_RING, RING_BYTES / entry_bytes);
	Size shared_bytes = MAXALIGN(sizeof(Shared)) + entries * entry_bytes;

	if (!crew->records->shared || workers <= 0)
		return;
	EnterParallelMode();
	context = CreateParallelContext("$libdir/omendb", "omendb_worker_hnsw_build", workers);
	shm_toc_estimate_chunk(&context->estimator, shared_bytes);
	shm_toc_estimate_keys(&context->estimator, 1);
	if (text > 0)
	{
		shm_toc_estimate_chunk(&context->estimator, text);
		shm_toc_estimate_keys(&context->estimator, 1);
	}
	InitializeParallelDSM(context);
	/* Without a segment of its own it has no workers, but memory all the same. */
	shared = shm_toc_allocate(context->toc, shared_bytes);
	memset(shared, 0, sizeof(*shared));
	shared->entries = entries;
	shared->entry_bytes = entry_bytes;
	for (uint32 i = 0; i < entries; i++)
		pg_atomic_init_u32(&entry_of(shared, i)->in_use, 0);
	shared->index = crew->index;
	shared->meta = *crew->meta;
	shared->level = DSM_HANDLE_INVALID;
	ConditionVariableInit(&shared->announced);
	ConditionVariableInit(&shared->completed);
	SpinLockInit(&shared->mutex);
	shm_toc_insert(context->toc, KEY_SHARED, shared);
	if (text > 0)
	{
		char *copy = shm_toc_allocate(context->toc, text);

		memcpy(copy, debug_query_string, text);
		shm_toc_insert(context->toc, KEY_QUERY_TEXT, copy);
	}
	LaunchParallelWorkers(context);
	crew->context = context;
	crew->shared = shared;
	if (context->nworkers_launched == 0)
		hnsw_crew_dismiss(crew);
	else
		ereport(DEBUG1, (errmsg_internal("using %d parallel workers for the graph",
										 context->nworkers_launched)));
}

/* Memory for the largest level's arrays, shared where the records are. */
void
hnsw_crew_allocate_level(HnswCrew *crew, Size bytes)
{
	if (crew->shared)
	{
		char *why = NULL;

		crew->level_segment = hnsw_create_segment(bytes, &why);
		if (crew->level_segment)
		{
			crew->level_memory = dsm_segment_address(crew->level_segment);
			hnsw_populate_segment(crew->level_segment);
		}
		else
			give_up(crew, why);
	}
	if (!crew->level_segment)
	{
		crew->own_memory = MemoryContextAllocHuge(crew->records->context, bytes + 64);
		crew->level_memory = (void *) TYPEALIGN(64, crew->own_memory);
	}
	crew->builder = omendb_builder_create(&crew->records->array, &omendb_palloc_allocator);
}

void *
hnsw_crew_level_memory(HnswCrew *crew)
{
	return crew->level_memory;
}

OmendbBuilder *
hnsw_crew_builder(HnswCrew *crew)
{
	return crew->builder;
}

/*
 * Take the next chunk, from .. to - 1, of the present task. *task and *turn are the
 * taker's copy, brought up to date here.
 */
static Taken
take(Shared *shared, uint32 *turn, Task *task, uint32 *from, uint32 *to)
{
	Taken result = TAKEN_NOTHING;

	SpinLockAcquire(&shared->mutex);
	if (shared->next < shared->size)
	{
		if (*turn != shared->turn)
		{
			*turn = shared->turn;
			*task = shared->task;
		}
		*from = shared->next;
		*to = Min(*from + task->take, shared->size);
		shared->next = *to;
		result = TAKEN_CHUNK;
	}
	else if (shared->ended)
		result = TAKEN_END;
	SpinLockRelease(&shared->mutex);
	return result;
}

/* That many positions that were taken are done. Returns how many altogether. */
static uint32
finish(Shared *shared, uint32 n)
{
	uint32 done;
	bool last;

	SpinLockAcquire(&shared->mutex);
	done = shared->done += n;
	last = done == shared->size;
	SpinLockRelease(&shared->mutex);
	if (last)
		ConditionVariableSignal(&shared->completed);
	return done;
}

static bool
all_done(Shared *shared)
{
	bool result;

	SpinLockAcquire(&shared->mutex);
	result = shared->done == shared->size;
	SpinLockRelease(&shared->mutex);
	return result;
}

/* Segments that the workers do not know yet. */
static void
publish_memory(HnswCrew *crew)
{
	Shared *shared = crew->shared;
	const HnswRecords *records = crew->records;

	for (; shared->nsegments < records->nsegments; shared->nsegments++)
		shared->segments[shared->nsegments] =
			dsm_segment_handle(records->segments[shared->nsegments]);
	if (crew->level_segment)
		shared->level = dsm_segment_handle(crew->level_segment);
	shared->records = records->array.n;
}

static void
announce(HnswCrew *crew, const Task *task, uint32 from, uint32 size)
{
	Shared *shared = crew->shared;

	SpinLockAcquire(&shared->mutex);
	publish_memory(crew);
	shared->task = *task;
	shared->next = shared->done = from;
	shared->size = size;
	shared->turn++;
	SpinLockRelease(&shared->mutex);
	ConditionVariableBroadcast(&shared->announced);
}

void
hnsw_build_interrupt(void)
{
	CHECK_FOR_INTERRUPTS();
}

/* One by one, for one may take milliseconds. */
static void
do_level(OmendbBuilder *builder, OmendbBuildLevel *level, uint32 from, uint32 to)
{
	for (uint32 i = from; i < to; i++)
	{
		CHECK_FOR_INTERRUPTS();
		/* The allocator does not return without memory. */
		if (!omendb_build_chunk(builder, level, i, i + 1))
			elog(ERROR, "out of memory");
	}
}

static void
make_record(const OmendbArray *array, OmendbNode node, bool fresh, ItemPointer tid, float *floats)
{
	OmendbRecord *record = hnsw_init_record(array, node, fresh);

	memcpy(record->tids, tid, OMENDB_TID_BYTES);
	record->ntids = 1;
	if (!hnsw_encode_floats(array->codec, floats, record))
		record->kind = OMENDB_RECORD_FREE;
}

static void
make_records(Shared *shared, const OmendbArray *array, uint32 from, uint32 to)
{
	for (uint32 i = from; i < to; i++)
	{
		Entry *entry = entry_of(shared, i);

		CHECK_FOR_INTERRUPTS();
		make_record(array, i, i >= shared->fresh_from, &entry->tid, entry->floats);
		/* Whoever sees that the entry is free may write into it. */
		pg_memory_barrier();
		pg_atomic_write_u32(&entry->in_use, 0);
	}
}

static void
report_done(const OmendbBuildLevel *level, bool report, uint32 positions)
{
	if (report)
		pgstat_progress_update_param(PROGRESS_CREATEIDX_TUPLES_DONE,
									 omendb_build_phase_nodes(level, positions));
}

/* What a process needs to do positions of any task. */
typedef struct Means
{
	Shared *shared;
	OmendbArray *array;
	OmendbBuilder *builder;
	Relation index;
} Means;

static void
do_positions(const Means *means, Task *task, uint32 from, uint32 to)
{
	switch (task->kind)
	{
		case TASK_LOAD:
			make_records(means->shared, means->array, from, to);
			break;
		case TASK_LEVEL:
			do_level(means->builder, &task->level, from, to);
			break;
		case TASK_WRITE:
			for (uint32 i = from; i < to; i++)
				hnsw_write_position(means->index, means->array, task->first, i);
			break;
	}
}

/* The leader's part in the present task, and the wait for the others' parts. */
static void
do_task(HnswCrew *crew, Task *task, Relation index, bool report)
{
	Shared *shared = crew->shared;
	OmendbArray *array = &crew->records->array;
	Means means = {shared, array, crew->builder, index};
	Task copy = {0};
	uint32 turn = 0;
	uint32 from;
	uint32 to;

	while (take(shared, &turn, &copy, &from, &to) == TAKEN_CHUNK)
	{
		uint32 done;

		do_positions(&means, task, from, to);
		done = finish(shared, to - from);
		if (task->kind == TASK_LEVEL)
			report_done(&task->level, report, done);
		else if (task->kind == TASK_WRITE)
			pgstat_progress_update_param(
				PROGRESS_CREATEIDX_TUPLES_DONE,
				hnsw_records_written(&array->codec->layout, array->n, done));
	}
	while (!all_done(shared))
		ConditionVariableSleep(&shared->completed, WAIT_EVENT_PARALLEL_CREATE_INDEX_SCAN);
	ConditionVariableCancelSleep();
}

/* Let the workers know of all records that there are. */
static void
publish(HnswCrew *crew)
{
	Shared *shared = crew->shared;

	crew->published = crew->records->array.n;
	SpinLockAcquire(&shared->mutex);
	publish_memory(crew);
	shared->size = crew->published;
	SpinLockRelease(&shared->mutex);
	ConditionVariableBroadcast(&shared->announced);
}

void
hnsw_crew_begin(HnswCrew *crew)
{
	Task task = {.kind = TASK_LOAD, .take = MADE_AT_A_TIME};

	crew->published = crew->records->array.n;
	crew->loading = true;
	if (crew->shared)
		crew->shared->fresh_from = Max(crew->shared->fresh_from, crew->shared->records);
	if (crew->shared)
		announce(crew, &task, crew->published, crew->published);
}

/* Wait until the entry is free, and make records meanwhile. */
static void
wait_for_entry(HnswCrew *crew, Entry *entry)
{
	Shared *shared = crew->shared;
	Task task = {0};
	uint32 turn = 0;
	uint32 from;
	uint32 to;

	publish(crew);
	while (pg_atomic_read_u32(&entry->in_use) != 0)
	{
		if (take(shared, &turn, &task, &from, &to) == TAKEN_CHUNK)
		{
			make_records(shared, &crew->records->array, from, to);
			finish(shared, to - from);
		}
		else if (pg_atomic_read_u32(&entry->in_use) != 0)
			/* Another process has it, and signals when all that there are are made. */
			ConditionVariableTimedSleep(&shared->completed, 1,
										WAIT_EVENT_PARALLEL_CREATE_INDEX_SCAN);
	}
	ConditionVariableCancelSleep();
	pg_memory_barrier();
}

float *
hnsw_crew_next(HnswCrew *crew, ItemPointer tid)
{
	Entry *entry;

	ensure_capacity(crew);
	if (!crew->shared)
	{
		crew->tid = *tid;
		return crew->buffer;
	}
	entry = entry_of(crew->shared, crew->records->array.n);
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
		make_record(array, array->n++, false, &crew->tid, crew->buffer);
		return;
	}
	pg_atomic_write_u32(&entry_of(crew->shared, array->n++)->in_use, 1);
	if (array->n - crew->published >= MADE_AT_A_TIME)
		publish(crew);
}

void
hnsw_crew_finish(HnswCrew *crew)
{
	Task task = {.kind = TASK_LOAD};

	if (!crew->shared || !crew->loading)
		return;
	crew->loading = false;
	publish(crew);
	do_task(crew, &task, NULL, false);
}

void
hnsw_crew_run(HnswCrew *crew, OmendbBuildLevel *level, bool report)
{
	uint32 size = omendb_build_phase_size(level);
	uint32 most = omendb_build_phase_take(level);
	uint32 to;
	Task task = {.kind = TASK_LEVEL};

	if (!crew->shared || size <= most)
	{
		for (uint32 from = 0; from < size; from = to)
		{
			to = Min(from + most, size);
			do_level(crew->builder, level, from, to);
			report_done(level, report, to);
		}
		return;
	}
	task.level = *level;
	/* Small at the end of small phases, where waiting for the last one shows. */
	task.take = size / (8 * (crew->context->nworkers_launched + 1));
	task.take = Max(Min(MIN_TAKE, most), Min(most, task.take));
	announce(crew, &task, 0, size);
	do_task(crew, &task, NULL, report);
	report_done(level, report, size);
}

void
hnsw_crew_write(HnswCrew *crew, Relation index, BlockNumber first)
{
	OmendbArray *array = &crew->records->array;
	uint32 size = hnsw_write_positions(&array->codec->layout, array->n);
	Task task = {.kind = TASK_WRITE, .first = first, .take = 1};

	/* Nobody else sees the buffers of a temporary index. */
	if (crew->shared && !RelationUsesLocalBuffers(index))
	{
		announce(crew, &task, 0, size);
		do_task(crew, &task, index, true);
		return;
	}
	for (uint32 i = 0; i < size; i++)
	{
		hnsw_write_position(index, array, first, i);
		pgstat_progress_update_param(PROGRESS_CREATEIDX_TUPLES_DONE,
									 hnsw_records_written(&array->codec->layout, array->n, i + 1));
	}
}

static dsm_segment *
attach_segment(dsm_handle handle)
{
	dsm_segment *segment = dsm_attach(handle);

	/* The leader has died or given up: it will end this worker too. */
	if (!segment)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("could not map dynamic shared memory segment")));
	return segment;
}

/* What a worker sees of the leader's memory. */
typedef struct View
{
	HnswRecords records;
	dsm_segment *level;
} View;

/* Attach what the leader has made since. */
static void
update_view(View *view, Shared *shared)
{
	HnswRecords *records = &view->records;
	dsm_handle handles[HNSW_MOST_SEGMENTS];
	dsm_handle level;
	uint32 n;

	SpinLockAcquire(&shared->mutex);
	n = shared->nsegments;
	for (uint32 i = records->nsegments; i < n; i++)
		handles[i] = shared->segments[i];
	level = shared->level;
	records->array.n = shared->records;
	SpinLockRelease(&shared->mutex);
	while (records->nsegments < n)
		hnsw_records_attach(records, attach_segment(handles[records->nsegments]));
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

/* A worker's main function; the parallel context knows it by its name. */
void
omendb_worker_hnsw_build(dsm_segment *seg, shm_toc *toc)
{
	Shared *shared = shm_toc_lookup(toc, KEY_SHARED, false);
	View view = {0};
	OmendbIndex *index;
	Means means = {.shared = shared, .array = &view.records.array};
	Task task = {0};
	Taken taken;
	uint32 turn = 0;
	uint32 from;
	uint32 to;

	debug_query_string = shm_toc_lookup(toc, KEY_QUERY_TEXT, true);
	pgstat_report_activity(STATE_RUNNING, debug_query_string);

	/* What the leader wrote is right: the name of the index is not needed. */
	index = omendb_index_make(NULL, &shared->meta);
	hnsw_records_init(&view.records, &index->codec);

	while ((taken = take(shared, &turn, &task, &from, &to)) != TAKEN_END)
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
		do_positions(&means, &task, from, to);
		finish(shared, to - from);
	}
	ConditionVariableCancelSleep();
	if (means.index)
		index_close(means.index, AccessShareLock);
	detach(&view);
}

void
hnsw_crew_dismiss(HnswCrew *crew)
{
	Shared *shared = crew->shared;

	if (!crew->context)
		return;
	SpinLockAcquire(&shared->mutex);
	shared->ended = true;
	SpinLockRelease(&shared->mutex);
	ConditionVariableBroadcast(&shared->announced);
	WaitForParallelWorkersToFinish(crew->context);
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
	if (crew->level_segment)
		dsm_detach(crew->level_segment);
	if (crew->own_memory)
		pfree(crew->own_memory);
	pfree(crew->buffer);
	pfree(crew);
}
