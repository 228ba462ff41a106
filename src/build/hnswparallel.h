/*
 * hnswparallel.h
 *	  The processes that build a graph: the leader, which is the backend that
 *	  runs CREATE INDEX, and parallel workers.
 *
 * Workers see vectors as floats, the records and the level's arrays, in shared memory,
 * and at the end the index, whose pages they write: no heap, no expression. So neither a
 * temporary table, whose pages the leader writes, nor a function that is not parallel
 * safe keeps them away.
 */
#ifndef OMENDB_HNSWPARALLEL_H
#define OMENDB_HNSWPARALLEL_H

#include "postgres.h"

#include "build/hnswrecords.h"
#include "graph/build.h"
#include "storage/itemptr.h"
#include "page/format.h"
#include "utils/relcache.h"

typedef struct HnswCrew HnswCrew;

/* The leader alone. Ends with the transaction if nothing else ends it. */
extern HnswCrew *hnsw_crew_create(HnswRecords *records, Oid index, const OmendbMetaPage *meta);

/*
 * Start the workers, or fewer of them, or none where worker slots or shared memory are
 * missing. From here to hnsw_crew_dismiss the leader is in parallel mode.
 */
extern void hnsw_crew_launch(HnswCrew *crew, int workers);

/*
 * One more record, all zero but that it is a node's. Where there is no more shared memory
 * the crew is dismissed, and the records are moved.
 */
extern OmendbRecord *hnsw_crew_add_record(HnswCrew *crew);

/*
 * Records of vectors, while these are loaded: hnsw_crew_next gives room for the floats of
 * one more, whose row has that heap TID; hnsw_crew_add, when they are in it, has a record
 * made of them, by anybody. All are made when hnsw_crew_finish returns. A record of a
 * vector that the index does not take is free then.
 */
extern void hnsw_crew_begin(HnswCrew *crew);
extern float *hnsw_crew_next(HnswCrew *crew, ItemPointer tid);
extern void hnsw_crew_add(HnswCrew *crew);
extern void hnsw_crew_finish(HnswCrew *crew);

/* Memory for the largest level's arrays, once, and the leader's builder. */
extern void hnsw_crew_allocate_level(HnswCrew *crew, Size bytes);
extern void *hnsw_crew_level_memory(HnswCrew *crew);
extern OmendbBuilder *hnsw_crew_builder(HnswCrew *crew);

/* Do the level's present phase, all together; report: show the nodes done as progress. */
extern void hnsw_crew_run(HnswCrew *crew, OmendbBuildLevel *level, bool report);

/* Write the records to the index's pages from `first` on, by which it was extended. */
extern void hnsw_crew_write(HnswCrew *crew, Relation index, BlockNumber first);

/* For a level's interrupt: any process's. */
extern void hnsw_build_interrupt(void);

/* Send the workers home. The records stay where they are. */
extern void hnsw_crew_dismiss(HnswCrew *crew);

/* Free all memory, also of the records. */
extern void hnsw_crew_free(HnswCrew *crew);

#endif /* OMENDB_HNSWPARALLEL_H */
