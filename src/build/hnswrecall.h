/*
 * hnswrecall.h
 *	  Measures the recall of searches by ef (am/hnswmeasure.h) over the records in memory, by all
 *	  processes of a build.
 *
 * 1. The leader samples the queries and begins a measurement, in memory that the processes share.
 * 2. Each process compares some of the records with all queries, in a truth of its own
 *    (graph/truth.h).
 * 3. Each process searches for some of the queries.
 * 4. The leader makes the curve.
 *
 * Records lie on the pages as they do in memory, so the curve is the one that hnsw_calibrate
 * would measure over the pages; and it does not depend on the number of processes.
 */
#ifndef OMENDB_HNSWRECALL_H
#define OMENDB_HNSWRECALL_H

#include "postgres.h"

#include "graph/array.h"
#include "graph/curve.h"
#include "page/format.h"

/* The measurement; in shared memory. Its arrays follow. */
typedef struct HnswRecall HnswRecall;

/* What one process searches with. */
typedef struct HnswSearcher HnswSearcher;

/* Sample the queries. nodes: palloc'd. Returns their number. */
extern uint32 hnsw_recall_sample(const OmendbArray *array, uint64 seed, OmendbNode **nodes);

/* Bytes of memory for a measurement with n queries and so many truths. */
extern Size hnsw_recall_bytes(const OmendbCodec *codec, uint32 n, uint32 truths);

/* Begin, in that memory, which is aligned to 64 bytes. meta: has the entry point. */
extern HnswRecall *hnsw_recall_begin(void *memory, const OmendbArray *array,
									 const OmendbMetaPage *meta, const OmendbNode *nodes, uint32 n);

/*
 * Compare records that no other process has taken with all queries, until none is left. Several
 * processes may do it at the same time, each once, no more of them than there are truths. report:
 * show the records done as progress.
 */
extern void hnsw_recall_compare(HnswRecall *recall, const OmendbArray *array, bool report);

/* Search for query i. After all records have been compared. */
extern void hnsw_recall_search(HnswRecall *recall, HnswSearcher *searcher, uint32 i);

extern HnswSearcher *hnsw_searcher_create(OmendbArray *array);
extern void hnsw_searcher_free(HnswSearcher *searcher);

/* Make the curve. After all queries have been searched for. */
extern void hnsw_recall_curve(const HnswRecall *recall, OmendbCurve *curve);

#endif /* OMENDB_HNSWRECALL_H */
