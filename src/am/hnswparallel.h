/*
 * hnswparallel.h
 *	  The processes that build a graph: the leader, which is the backend that
 *	  runs CREATE INDEX, and parallel workers.
 *
 * Workers see the records and the level's arrays, in shared memory, and nothing
 * else: no heap, no index, no expression. So neither a temporary table nor a
 * function that is not parallel safe keeps them away.
 */
#ifndef OMENDB_HNSWPARALLEL_H
#define OMENDB_HNSWPARALLEL_H

#include "postgres.h"

#include "graph/build.h"
#include "page/format.h"

/*
 * The records in memory. All their chunks are of the same size; memory[i] is
 * what chunks[i], which is aligned, was cut from: NULL where it lies in shared
 * memory.
 */
typedef struct HnswRecords
{
	OmendbArray array;
	void **memory;
	uint32 room; /* of the two arrays, in chunks */
	MemoryContext context;
} HnswRecords;

extern void hnsw_records_init(HnswRecords *records, const OmendbCodec *codec);

/* One more record, all zero. */
extern OmendbRecord *hnsw_records_add(HnswRecords *records);

typedef struct HnswCrew HnswCrew;

/*
 * Start the workers, or fewer of them, or none where shared memory or free
 * worker slots are missing. The records go to shared memory, where there will
 * be room for `total` of them. level_bytes: of the largest level's arrays.
 * Ends with the transaction if nothing else ends it.
 */
extern HnswCrew *hnsw_crew_start(HnswRecords *records, const OmendbMetaPage *meta, int workers,
								 uint32 total, Size level_bytes);

/* Memory for a level's arrays, of level_bytes. */
extern void *hnsw_crew_level_memory(HnswCrew *crew);

/* The leader's own builder. */
extern OmendbBuilder *hnsw_crew_builder(HnswCrew *crew);

/*
 * Do a phase of the level's present step, all together. report is called with
 * the number of nodes done so far.
 */
extern void hnsw_crew_run(HnswCrew *crew, OmendbBuildLevel *level, OmendbBuildPhase phase,
						  void (*report)(void *context, uint32 done), void *context);

/* Send the workers home. The records stay where they are. */
extern void hnsw_crew_dismiss(HnswCrew *crew);

/* Free all memory, also of the records. */
extern void hnsw_crew_free(HnswCrew *crew);

#endif /* OMENDB_HNSWPARALLEL_H */
