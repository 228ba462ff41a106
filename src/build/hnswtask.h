/*
 * hnswtask.h
 *	  The tasks of a parallel build, in shared memory: what the leader (hnswparallel.c) and
 *	  the workers (hnswworker.c) share.
 */
#ifndef OMENDB_HNSWTASK_H
#define OMENDB_HNSWTASK_H

#include "postgres.h"

#include "build/hnswrecall.h"
#include "build/hnswrecords.h"
#include "compat.h"
#include "graph/build.h"
#include "page/format.h"
#include "port/atomics.h"
#include "storage/condition_variable.h"
#include "storage/itemptr.h"
#include "storage/shm_toc.h"
#include "storage/spin.h"
#include "utils/relcache.h"

/* Keys of the parallel context's table of contents. */
#define HNSW_KEY_SHARED       UINT64CONST(0x6f6d656e00000001)
#define HNSW_KEY_QUERY_TEXT   UINT64CONST(0x6f6d656e00000002)
#define HNSW_KEY_BUFFER_USAGE UINT64CONST(0x6f6d656e00000003)
#define HNSW_KEY_WAL_USAGE    UINT64CONST(0x6f6d656e00000004)

/*
 * A vector on its way from the leader to the process that makes a record of it. Record i is made of
 * ring entry i % entries, which is in use until then.
 */
typedef struct HnswRingEntry
{
	pg_atomic_uint32 in_use;
	ItemPointerData tid;
	float floats[FLEXIBLE_ARRAY_MEMBER];
} HnswRingEntry;

/* What a position of a task is. */
typedef enum HnswTaskKind
{
	TASK_LOAD,    /* a record to be made of a vector */
	TASK_LEVEL,   /* a position of a phase of a level (graph/build.h) */
	TASK_WRITE,   /* a range of pages (hnswpages.h) */
	TASK_COMPARE, /* one process's part in comparing records with queries (hnswrecall.h) */
	TASK_SEARCH,  /* a query (hnswrecall.h) */
} HnswTaskKind;

/* A task as announced. */
typedef struct HnswTask
{
	HnswTaskKind kind;
	OmendbBuildLevel level; /* its pointers are the leader's: not valid in a worker */
	BlockNumber first;      /* of the pages to be written */
	uint32 take;            /* positions that a process takes at a time */
} HnswTask;

/*
 * The present task. The mutex, a spinlock, protects all fields but `task`. That one is too large to be
 * copied under a spinlock, and needs none: the leader writes it while no chunk is taken and not done,
 * and a process reads it between taking a chunk and counting the chunk as done.
 */
typedef struct HnswTaskState
{
	uint32 turn; /* counts tasks; 0: none yet */
	bool ended;  /* there will be no task any more */
	HnswTask task;
	uint32 take; /* as in the task */
	uint32 size; /* positions of the task; grows while vectors are loaded */
	uint32 next; /* first position that nobody has taken */
	uint32 done; /* positions done */
} HnswTaskState;

/*
 * Memory that workers attach. What a position needs is listed here before the position can be
 * taken. The mutex protects all fields but `segments`, of which the first nsegments do not change.
 */
typedef struct HnswSharedMemory
{
	uint32 records; /* in the array */
	uint32 nsegments;
	dsm_handle segments[HNSW_MOST_SEGMENTS]; /* of records */
	dsm_handle level;                        /* of the level's arrays */
} HnswSharedMemory;

typedef struct HnswShared
{
	/* set before any worker starts */
	Oid index;
	OmendbMetaPage meta;
	OmendbQueryId query_id; /* of the leader's statement */
	uint32 entries;         /* of the ring */
	Size entry_bytes;       /* of one of them */

	uint32 fresh_from;           /* records from here on were never used; set between tasks */
	ConditionVariable announced; /* another task, more positions, or the end */
	ConditionVariable completed; /* all positions are done */
	slock_t mutex;
	HnswTaskState state;
	HnswSharedMemory memory;

	/* the ring follows */
} HnswShared;

typedef enum HnswTaken
{
	TAKEN_CHUNK,
	TAKEN_NOTHING, /* no position is free now; wait for `announced` */
	TAKEN_END,
} HnswTaken;

/* What a process does positions of any task with. */
typedef struct HnswMeans
{
	HnswShared *shared;
	OmendbArray *array;
	OmendbBuilder *builder;
	Relation index;
	HnswRecall *recall; /* of the tasks for it */
	HnswSearcher *searcher;
	bool report; /* the leader: tasks for `recall` show their progress */
} HnswMeans;

/* A worker's main function: the parallel context finds it by its name. */
extern PGDLLEXPORT void omendb_worker_hnsw_build(dsm_segment *seg, shm_toc *toc);

static inline HnswRingEntry *
hnsw_ring_entry(HnswShared *shared, uint32 position)
{
	return (HnswRingEntry *) ((char *) shared + MAXALIGN(sizeof(HnswShared)) +
							  position % shared->entries * shared->entry_bytes);
}

/*
 * Take the next chunk, positions *from .. *to - 1, of the present task. *task and *turn are the
 * process's copy, which is updated here.
 */
extern HnswTaken hnsw_task_take(HnswShared *shared, uint32 *turn, HnswTask *task, uint32 *from,
								uint32 *to);

/* Count n taken positions as done. Returns how many of the task are done. */
extern uint32 hnsw_task_finish(HnswShared *shared, uint32 n);

extern bool hnsw_task_all_done(HnswShared *shared);

/* Do positions from .. to - 1 of a task. */
extern void hnsw_task_do(const HnswMeans *means, HnswTask *task, uint32 from, uint32 to);

/* Do positions of a phase of a level. */
extern void hnsw_task_do_level(OmendbBuilder *builder, OmendbBuildLevel *level, uint32 from,
							   uint32 to);

/* The interrupt function of a level (graph/build.h), in any process. */
extern void hnsw_build_interrupt(void);

/* Make the records from .. to - 1 of the ring's vectors. */
extern void hnsw_make_records(HnswShared *shared, const OmendbArray *array, uint32 from, uint32 to);

/*
 * Make a record of a vector; fresh: the record's memory is zeroed. If the index does not take the
 * vector, the record is free. The floats are overwritten.
 */
extern void hnsw_make_record(const OmendbArray *array, OmendbNode node, bool fresh, ItemPointer tid,
							 float *floats);

#endif /* OMENDB_HNSWTASK_H */
