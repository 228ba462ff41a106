/*
 * hnswparallel.c
 *	  Building a graph with parallel workers.
 *
 * The leader announces a phase of a step (graph/build.h): what the level looks
 * like now and how many positions the phase has. Everybody, the leader too,
 * takes chunks of positions and does them; the leader waits until all are done
 * and announces the next. A worker joins whatever phase there is when it comes,
 * and if it never comes, nobody waits for it: until all are gone the leader
 * waits only for chunks that were taken.
 *
 * Errors of workers reach the leader, and a leader's error ends the workers, by
 * PostgreSQL's own means (access/transam/README.parallel): every wait checks
 * for interrupts.
 *
 * Records are loaded into memory of the leader's own, for only then it is known
 * how many there are, and are moved into shared memory segment by segment, so
 * that little more than one of them exists twice. That may fail: containers
 * often have 64 MB of shared memory. Then the leader builds alone.
 */
#include "am/hnswparallel.h"

#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "access/parallel.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "page/store.h"
#include "pgstat.h"
#include "storage/condition_variable.h"
#include "storage/dsm.h"
#include "storage/spin.h"
#include "tcop/tcopprot.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/wait_event.h"

/* Chunks of records have at most so many bytes. */
#define CHUNK_BYTES (2 * 1024 * 1024)

/* Shared memory for records comes in about so many segments, or fewer. */
#define SEGMENTS 32

/* Nodes taken at a time, at most and at least. */
#define MAX_TAKE 64
#define MIN_TAKE 4

#define KEY_SHARED     UINT64CONST(0x6f6d656e00000001)
#define KEY_QUERY_TEXT UINT64CONST(0x6f6d656e00000002)

/* A phase of a step, as announced. */
typedef struct Task
{
	OmendbBuildLevel level; /* pointers have no meaning */
	OmendbBuildPhase phase;
	uint32 records; /* in the array */
	uint32 size;    /* positions */
	uint32 take;    /* so many at a time */
} Task;

typedef struct Shared
{
	/* set before any worker starts */
	OmendbMetaPage meta;
	uint32 nchunks;
	uint32 chunks_per_segment;
	uint32 nsegments;
	dsm_handle segments[SEGMENTS];
	dsm_handle level; /* the level's arrays */

	ConditionVariable announced; /* another turn, or the end */
	ConditionVariable completed; /* all of the turn's positions are done */
	slock_t mutex;               /* of all that follows */
	uint32 turn;                 /* counts tasks; 0: none yet */
	bool ended;
	Task task;
	uint32 next; /* first position not taken */
	uint32 done; /* positions done */
} Shared;

struct HnswCrew
{
	HnswRecords *records;
	OmendbBuilder *builder;
	void *level_memory; /* the leader's own, or NULL */
	dsm_segment *level_segment;
	dsm_segment *segments[SEGMENTS];
	uint32 nsegments;
	uint32 chunks_per_segment;
	ParallelContext *context; /* NULL: the leader is alone */
	Shared *shared;
};

typedef enum Taken
{
	TAKEN_CHUNK,
	TAKEN_NOTHING, /* now; another turn will come */
	TAKEN_END,
} Taken;

extern PGDLLEXPORT void omendb_worker_hnsw_build(dsm_segment *seg, shm_toc *toc);

static Size
chunk_bytes(const OmendbArray *array)
{
	return omendb_array_stride(&array->codec->layout) << array->chunk_shift;
}

void
hnsw_records_init(HnswRecords *records, const OmendbCodec *codec)
{
	memset(records, 0, sizeof(*records));
	records->context = CurrentMemoryContext;
	records->array.codec = codec;
	while (chunk_bytes(&records->array) * 2 <= CHUNK_BYTES)
		records->array.chunk_shift++;
}

/* Memory for a chunk, whole cache lines. */
static void
allocate_chunk(HnswRecords *records, uint32 chunk)
{
	records->memory[chunk] =
		MemoryContextAllocHuge(records->context, chunk_bytes(&records->array) + 64);
	records->array.chunks[chunk] = (uint8 *) TYPEALIGN(64, records->memory[chunk]);
}

/* Room for pointers to so many chunks. */
static void
make_room(HnswRecords *records, uint32 chunks)
{
	OmendbArray *array = &records->array;
	uint32 room = Max(64, records->room);

	while (room < chunks)
		room *= 2;
	if (room == records->room)
		return;
	if (records->room == 0)
	{
		records->memory = MemoryContextAlloc(records->context, room * sizeof(void *));
		array->chunks = MemoryContextAlloc(records->context, room * sizeof(uint8 *));
	}
	else
	{
		records->memory = repalloc_huge(records->memory, room * sizeof(void *));
		array->chunks = repalloc_huge(array->chunks, room * sizeof(uint8 *));
	}
	for (uint32 i = records->room; i < room; i++)
	{
		records->memory[i] = NULL;
		array->chunks[i] = NULL;
	}
	records->room = room;
}

OmendbRecord *
hnsw_records_add(HnswRecords *records)
{
	OmendbArray *array = &records->array;
	uint32 chunk = array->n >> array->chunk_shift;
	OmendbRecord *record;

	if (chunk >= records->room)
		make_room(records, chunk + 1);
	if (array->chunks[chunk] == NULL)
		allocate_chunk(records, chunk);
	record = omendb_array_record(array, array->n++);
	memset(record, 0, omendb_array_stride(&array->codec->layout));
	return record;
}

/*
 * A segment of shared memory that belongs to the current resource owner, or
 * NULL where there is not enough of it. *why gets the server's words then.
 */
static dsm_segment *
create_segment(Size bytes, char **why)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner outer = CurrentResourceOwner;
	ResourceOwner owner = ResourceOwnerCreate(outer, "hnsw shared memory");
	dsm_segment *volatile segment = NULL;

	/*
	 * dsm_create raises an error and leaves its half-made entry to the resource
	 * owner. No lock is held and nothing else was begun then, so to release that
	 * owner is all the clean-up there is.
	 */
	CurrentResourceOwner = owner;
	PG_TRY();
	{
		segment = dsm_create(bytes, DSM_CREATE_NULL_IF_MAXSEGMENTS);
		if (segment)
			dsm_pin_mapping(segment);
		else
			*why = pstrdup("too many dynamic shared memory segments");
	}
	PG_CATCH();
	{
		ErrorData *error;
		int code;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		code = error->sqlerrcode;
		if (code != ERRCODE_OUT_OF_MEMORY && code != ERRCODE_DISK_FULL &&
			code != ERRCODE_INSUFFICIENT_RESOURCES)
		{
			CurrentResourceOwner = outer;
			PG_RE_THROW();
		}
		FlushErrorState();
		*why = error->message;
	}
	PG_END_TRY();
	CurrentResourceOwner = outer;
	ResourceOwnerRelease(owner, RESOURCE_RELEASE_BEFORE_LOCKS, segment != NULL, false);
	ResourceOwnerRelease(owner, RESOURCE_RELEASE_LOCKS, segment != NULL, false);
	ResourceOwnerRelease(owner, RESOURCE_RELEASE_AFTER_LOCKS, segment != NULL, false);
	ResourceOwnerDelete(owner);
	if (segment)
		dsm_unpin_mapping(segment);
	return segment;
}

/* Where a chunk lies in shared memory. */
static uint8 *
shared_chunk(dsm_segment *const *segments, uint32 chunks_per_segment, Size bytes, uint32 chunk)
{
	return (uint8 *) dsm_segment_address(segments[chunk / chunks_per_segment]) +
		   (chunk % chunks_per_segment) * bytes;
}

/* From shared memory back to the leader's own. */
static void
withdraw(HnswCrew *crew)
{
	HnswRecords *records = crew->records;
	OmendbArray *array = &records->array;

	while (crew->nsegments > 0)
	{
		uint32 from = (crew->nsegments - 1) * crew->chunks_per_segment;
		uint32 to = Min(from + crew->chunks_per_segment, records->room);

		for (uint32 i = from; i < to; i++)
			if (array->chunks[i] != NULL && records->memory[i] == NULL)
			{
				const uint8 *at = array->chunks[i];

				allocate_chunk(records, i);
				memcpy(array->chunks[i], at, chunk_bytes(array));
			}
		dsm_detach(crew->segments[--crew->nsegments]);
	}
	if (crew->level_segment)
		dsm_detach(crew->level_segment);
	crew->level_segment = NULL;
}

/*
 * In a session that has built before, glibc takes chunks from its heap, which
 * shrinks only from the end: all records would be in memory twice until the last
 * one was moved.
 */
static void
return_freed_memory(void)
{
#ifdef __GLIBC__
	malloc_trim(0);
#endif
}

/* Into shared memory with the records, or nothing changes. */
static bool
share(HnswCrew *crew, uint32 total, Size level_bytes)
{
	HnswRecords *records = crew->records;
	OmendbArray *array = &records->array;
	Size bytes = chunk_bytes(array);
	uint32 nchunks = ((total - 1) >> array->chunk_shift) + 1;
	char *why = NULL;

	make_room(records, nchunks);
	crew->chunks_per_segment = (nchunks - 1) / SEGMENTS + 1;
	/* The largest first: where it does not fit, nothing was moved in vain. */
	crew->level_segment = create_segment(level_bytes, &why);
	while (!why && crew->nsegments * crew->chunks_per_segment < nchunks)
	{
		uint32 from = crew->nsegments * crew->chunks_per_segment;
		uint32 to = Min(from + crew->chunks_per_segment, nchunks);
		dsm_segment *segment = create_segment((to - from) * bytes, &why);

		if (!segment)
			break;
		crew->segments[crew->nsegments++] = segment;
		for (uint32 i = from; i < to; i++)
		{
			uint8 *at = shared_chunk(crew->segments, crew->chunks_per_segment, bytes, i);

			CHECK_FOR_INTERRUPTS();
			if (array->chunks[i] != NULL)
			{
				memcpy(at, array->chunks[i], bytes);
				pfree(records->memory[i]);
			}
			records->memory[i] = NULL;
			array->chunks[i] = at;
		}
		return_freed_memory();
	}
	if (!why)
		return true;
	withdraw(crew);
	ereport(NOTICE,
			(errmsg("building the graph without parallel workers"),
			 errdetail("There is not enough shared memory for it: %s.", why),
			 errhint("Give the server more shared memory (of a container: its --shm-size), or set "
					 "max_parallel_maintenance_workers to 0.")));
	return false;
}

static void
launch(HnswCrew *crew, const OmendbMetaPage *meta, int workers, uint32 total)
{
	ParallelContext *context;
	Shared *shared;
	Size text = debug_query_string ? strlen(debug_query_string) + 1 : 0;

	EnterParallelMode();
	context = CreateParallelContext("$libdir/omendb", "omendb_worker_hnsw_build", workers);
	shm_toc_estimate_chunk(&context->estimator, sizeof(Shared));
	shm_toc_estimate_keys(&context->estimator, 1);
	if (text > 0)
	{
		shm_toc_estimate_chunk(&context->estimator, text);
		shm_toc_estimate_keys(&context->estimator, 1);
	}
	InitializeParallelDSM(context);
	/* Without a segment of its own it has no workers, but memory all the same. */
	shared = shm_toc_allocate(context->toc, sizeof(Shared));
	memset(shared, 0, sizeof(*shared));
	shared->meta = *meta;
	shared->nchunks = ((total - 1) >> crew->records->array.chunk_shift) + 1;
	shared->chunks_per_segment = crew->chunks_per_segment;
	shared->nsegments = crew->nsegments;
	for (uint32 i = 0; i < crew->nsegments; i++)
		shared->segments[i] = dsm_segment_handle(crew->segments[i]);
	shared->level = dsm_segment_handle(crew->level_segment);
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

HnswCrew *
hnsw_crew_start(HnswRecords *records, const OmendbMetaPage *meta, int workers, uint32 total,
				Size level_bytes)
{
	HnswCrew *crew = palloc0(sizeof(HnswCrew));

	crew->records = records;
	if (workers > 0 && share(crew, total, level_bytes))
		launch(crew, meta, workers, total);
	if (!crew->level_segment)
		crew->level_memory = MemoryContextAllocHuge(records->context, level_bytes);
	crew->builder = omendb_builder_create(&records->array, &omendb_palloc_allocator);
	return crew;
}

void *
hnsw_crew_level_memory(HnswCrew *crew)
{
	return crew->level_segment ? dsm_segment_address(crew->level_segment) : crew->level_memory;
}

OmendbBuilder *
hnsw_crew_builder(HnswCrew *crew)
{
	return crew->builder;
}

/*
 * Take the next chunk, from .. to - 1, of the present turn. *task and *turn are
 * the taker's copy, brought up to date here.
 */
static Taken
take(Shared *shared, uint32 *turn, Task *task, uint32 *from, uint32 *to)
{
	Taken result = TAKEN_NOTHING;

	SpinLockAcquire(&shared->mutex);
	if (shared->ended)
		result = TAKEN_END;
	else if (shared->next < shared->task.size)
	{
		if (*turn != shared->turn)
		{
			*turn = shared->turn;
			*task = shared->task;
		}
		*from = shared->next;
		*to = Min(*from + task->take, task->size);
		shared->next = *to;
		result = TAKEN_CHUNK;
	}
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
	last = done == shared->task.size;
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
	result = shared->done == shared->task.size;
	SpinLockRelease(&shared->mutex);
	return result;
}

/* Node by node, for one may take milliseconds. */
static void
do_chunk(OmendbBuilder *builder, OmendbBuildLevel *level, OmendbBuildPhase phase, uint32 from,
		 uint32 to)
{
	for (uint32 i = from; i < to; i++)
	{
		CHECK_FOR_INTERRUPTS();
		/* The allocator does not return without memory. */
		if (!omendb_build_chunk(builder, level, phase, i, i + 1))
			elog(ERROR, "out of memory");
	}
}

void
hnsw_crew_run(HnswCrew *crew, OmendbBuildLevel *level, OmendbBuildPhase phase,
			  void (*report)(void *context, uint32 done), void *context)
{
	uint32 size = omendb_build_phase_size(level, phase);
	Shared *shared = crew->shared;
	Task task;
	uint32 turn;
	uint32 from;
	uint32 to;

	if (!shared || size <= MAX_TAKE)
	{
		for (from = 0; from < size; from = to)
		{
			to = Min(from + MAX_TAKE, size);
			do_chunk(crew->builder, level, phase, from, to);
			report(context, to);
		}
		return;
	}
	task.level = *level;
	task.phase = phase;
	task.records = crew->records->array.n;
	task.size = size;
	/* Small at the end of small phases, where waiting for the last one shows. */
	task.take = size / (8 * (crew->context->nworkers_launched + 1));
	task.take = Max(MIN_TAKE, Min(MAX_TAKE, task.take));

	SpinLockAcquire(&shared->mutex);
	shared->task = task;
	shared->next = 0;
	shared->done = 0;
	turn = ++shared->turn;
	SpinLockRelease(&shared->mutex);
	ConditionVariableBroadcast(&shared->announced);

	while (take(shared, &turn, &task, &from, &to) == TAKEN_CHUNK)
	{
		do_chunk(crew->builder, level, phase, from, to);
		report(context, finish(shared, to - from));
	}
	while (!all_done(shared))
		ConditionVariableSleep(&shared->completed, WAIT_EVENT_PARALLEL_CREATE_INDEX_SCAN);
	ConditionVariableCancelSleep();
	report(context, size);
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
	dsm_segment *segments[SEGMENTS];
	dsm_segment *level;
} View;

static void
attach(View *view, const Shared *shared, const OmendbCodec *codec)
{
	OmendbArray *array = &view->records.array;

	hnsw_records_init(&view->records, codec);
	make_room(&view->records, shared->nchunks);
	view->level = attach_segment(shared->level);
	for (uint32 i = 0; i < shared->nsegments; i++)
		view->segments[i] = attach_segment(shared->segments[i]);
	for (uint32 i = 0; i < shared->nchunks; i++)
		array->chunks[i] =
			shared_chunk(view->segments, shared->chunks_per_segment, chunk_bytes(array), i);
}

static void
detach(View *view, const Shared *shared)
{
	dsm_detach(view->level);
	for (uint32 i = 0; i < shared->nsegments; i++)
		dsm_detach(view->segments[i]);
}

/* A worker's main function; the parallel context knows it by its name. */
void
omendb_worker_hnsw_build(dsm_segment *seg, shm_toc *toc)
{
	Shared *shared = shm_toc_lookup(toc, KEY_SHARED, false);
	View view;
	OmendbArray *array = &view.records.array;
	OmendbIndex *index;
	OmendbBuilder *builder;
	Task task;
	Taken taken;
	uint32 turn = 0;
	uint32 from;
	uint32 to;

	debug_query_string = shm_toc_lookup(toc, KEY_QUERY_TEXT, true);
	pgstat_report_activity(STATE_RUNNING, debug_query_string);

	SpinLockAcquire(&shared->mutex);
	taken = shared->ended ? TAKEN_END : TAKEN_NOTHING;
	SpinLockRelease(&shared->mutex);
	if (taken == TAKEN_END)
		return;
	/* What the leader wrote is right: the name of the index is not needed. */
	index = omendb_index_make(NULL, &shared->meta);
	attach(&view, shared, &index->codec);
	builder = omendb_builder_create(array, &omendb_palloc_allocator);

	while ((taken = take(shared, &turn, &task, &from, &to)) != TAKEN_END)
	{
		if (taken == TAKEN_NOTHING)
		{
			ConditionVariableSleep(&shared->announced, WAIT_EVENT_PARALLEL_CREATE_INDEX_SCAN);
			continue;
		}
		ConditionVariableCancelSleep();
		task.level.array = array;
		omendb_build_level_attach(&task.level, dsm_segment_address(view.level));
		array->n = task.records;
		do_chunk(builder, &task.level, task.phase, from, to);
		finish(shared, to - from);
	}
	ConditionVariableCancelSleep();
	detach(&view, shared);
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
	HnswRecords *records = crew->records;

	hnsw_crew_dismiss(crew);
	omendb_builder_free(crew->builder);
	for (uint32 i = 0; i < records->room; i++)
		if (records->memory[i])
			pfree(records->memory[i]);
	if (records->room > 0)
	{
		pfree(records->memory);
		pfree(records->array.chunks);
	}
	records->room = 0;
	records->array.n = 0;
	for (uint32 i = 0; i < crew->nsegments; i++)
		dsm_detach(crew->segments[i]);
	if (crew->level_segment)
		dsm_detach(crew->level_segment);
	if (crew->level_memory)
		pfree(crew->level_memory);
	pfree(crew);
}
