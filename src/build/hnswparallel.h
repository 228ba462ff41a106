/*
 * hnswparallel.h
 *	  The crew: the processes that build a graph, that is the leader, which is the backend that runs
 *	  CREATE INDEX, and its parallel workers.
 *
 * Workers see vectors as floats, the records and the level's arrays, in shared memory, and at
 * the end the index, whose pages they write: no heap, no expression. So workers can be used for a
 * temporary table (whose pages the leader writes) and for functions that are not parallel safe.
 *
 * All functions are the leader's.
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

/* Create a crew of the leader alone. The crew ends with the transaction if nothing else ends it. */
extern HnswCrew *hnsw_crew_create(HnswRecords *records, Oid index, const OmendbMetaPage *meta);

/*
 * Start up to `workers` workers; fewer, or none, if worker slots or shared memory are missing. From
 * here to hnsw_crew_dismiss the leader is in parallel mode.
 */
extern void hnsw_crew_launch(HnswCrew *crew, int workers);

/*
 * Add a record of a node, otherwise zero. If there is no more shared memory, the crew is dismissed,
 * and the records are moved: pointers to records are not valid afterwards.
 */
extern OmendbRecord *hnsw_crew_add_record(HnswCrew *crew);

/*
 * Make records of vectors:
 *
 *	hnsw_crew_begin
 *	hnsw_crew_next		returns a buffer for the floats of the next vector, of the row with that TID
 *	hnsw_crew_add		adds the record, which some process makes of these floats
 *	hnsw_crew_finish	waits until all records are made
 *
 * The record of a vector that the index does not take is free then.
 */
extern void hnsw_crew_begin(HnswCrew *crew);
extern float *hnsw_crew_next(HnswCrew *crew, ItemPointer tid);
extern void hnsw_crew_add(HnswCrew *crew);
extern void hnsw_crew_finish(HnswCrew *crew);

/* Allocate memory for the largest level's arrays, and the leader's builder; once. */
extern void hnsw_crew_allocate_level(HnswCrew *crew, Size bytes);
extern void *hnsw_crew_level_memory(HnswCrew *crew);
extern OmendbBuilder *hnsw_crew_builder(HnswCrew *crew);

/* Do the level's present phase with all processes. report: show the nodes done as progress. */
extern void hnsw_crew_run(HnswCrew *crew, OmendbBuildLevel *level, bool report);

/* Write the records to the index's pages from `first` on, by which the index was extended. */
extern void hnsw_crew_write(HnswCrew *crew, Relation index, BlockNumber first);

/*
 * Measure the recall of searches of the records in memory, which are a whole index, by ef. meta: has
 * the entry point. The levels' arrays are not valid any more: the measurement takes their memory.
 * Returns the number of queries; 0 if nothing was measured, for there is no node, or that memory is
 * too small.
 */
extern uint32 hnsw_crew_measure(HnswCrew *crew, const OmendbMetaPage *meta, OmendbCurve *curve);

/* End the workers. The records stay where they are. */
extern void hnsw_crew_dismiss(HnswCrew *crew);

/* Free all memory, the records included. */
extern void hnsw_crew_free(HnswCrew *crew);

#endif /* OMENDB_HNSWPARALLEL_H */
