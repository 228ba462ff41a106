/*
 * hnswtask.h
 *	  The tasks of a parallel build, in shared memory.
 */
#ifndef OMENDB_HNSWTASK_H
#define OMENDB_HNSWTASK_H

#include "build/hnswparallel.h"

#include "port/atomics.h"
#include "storage/condition_variable.h"
#include "storage/shm_toc.h"
#include "storage/spin.h"

#define HNSW_KEY_SHARED     UINT64CONST(0x6f6d656e00000001)
#define HNSW_KEY_QUERY_TEXT UINT64CONST(0x6f6d656e00000002)

/*
 * Vectors on their way from the leader to whoever makes records of them: record i is
 * made of entry i % entries. An entry is in use until its record is made.
 */
typedef struct HnswRingEntry
{
	pg_atomic_uint32 in_use;
	ItemPointerData tid;
	float floats[FLEXIBLE_ARRAY_MEMBER];
} HnswRingEntry;

typedef enum HnswTaskKind
{
	TASK_LOAD,  /* positions are records to be made */
	TASK_LEVEL, /* of a phase of a level */
	TASK_WRITE, /* of pages (hnswpages.h) */
} HnswTaskKind;

/* A task as announced. */
typedef struct HnswTask
{
	HnswTaskKind kind;
	OmendbBuildLevel level; /* pointers have no meaning */
	BlockNumber first;      /* of the pages to be written */
	uint32 take;            /* so many positions at a time */
} HnswTask;

typedef struct HnswShared
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
	HnswTask task;
	uint32 size; /* positions there are */
	uint32 next; /* first position not taken */
	uint32 done; /* positions done */
	/* The memory: what a task's positions need is there before they are. */
	uint32 records; /* in the array */
	uint32 nsegments;
	dsm_handle segments[HNSW_MOST_SEGMENTS];
	dsm_handle level; /* the level's arrays */

	/* entries follow */
} HnswShared;

typedef enum HnswTaken
{
	TAKEN_CHUNK,
	TAKEN_NOTHING, /* now; another turn will come */
	TAKEN_END,
} HnswTaken;

/* What a process needs to do positions of any task. */
typedef struct HnswMeans
{
	HnswShared *shared;
	OmendbArray *array;
	OmendbBuilder *builder;
	Relation index;
} HnswMeans;

extern PGDLLEXPORT void omendb_worker_hnsw_build(dsm_segment *seg, shm_toc *toc);

static inline HnswRingEntry *
hnsw_ring_entry(HnswShared *shared, uint32 position)
{
	return (HnswRingEntry *) ((char *) shared + MAXALIGN(sizeof(HnswShared)) +
							  position % shared->entries * shared->entry_bytes);
}

extern HnswTaken hnsw_task_take(HnswShared *shared, uint32 *turn, HnswTask *task, uint32 *from,
								uint32 *to);
extern uint32 hnsw_task_finish(HnswShared *shared, uint32 n);
extern bool hnsw_task_all_done(HnswShared *shared);
extern void hnsw_task_do_level(OmendbBuilder *builder, OmendbBuildLevel *level, uint32 from,
							   uint32 to);
extern void hnsw_make_record(const OmendbArray *array, OmendbNode node, bool fresh, ItemPointer tid,
							 float *floats);
extern void hnsw_make_records(HnswShared *shared, const OmendbArray *array, uint32 from, uint32 to);
extern void hnsw_task_do(const HnswMeans *means, HnswTask *task, uint32 from, uint32 to);

#endif /* OMENDB_HNSWTASK_H */
