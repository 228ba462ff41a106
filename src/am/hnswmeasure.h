/*
 * hnswmeasure.h
 *	  What searches for sample nodes miss, by ef: one query at a time, by any process, and the curve of
 *	  all of them. For calibrations over pages (am/hnswcalibrate.c) and over records in memory
 *	  (build/hnswrecall.c).
 */
#ifndef OMENDB_HNSWMEASURE_H
#define OMENDB_HNSWMEASURE_H

#include "postgres.h"

#include "graph/curve.h"
#include "graph/search.h"

/* The graph without one node: a query's own, for a user's query has no node either. */
typedef struct HnswHidden
{
	const OmendbGraphOps *ops;
	void *store;
	OmendbNode node;
} HnswHidden;

/* Operations of an HnswHidden. */
extern const OmendbGraphOps hnsw_hidden_ops;

/* The steps of a query's search. */
typedef struct HnswSteps
{
	uint32 n;
	uint32 ef[OMENDB_CURVE_POINTS];
	uint32 width[OMENDB_CURVE_POINTS];
} HnswSteps;

/* What a query's search had found after each step. */
typedef struct HnswMeasured
{
	uint32 required; /* searches that begin at the first `required` steps count */
	uint32 done;     /* steps done; 0: the search found no node but the hidden one */
	bool settled[OMENDB_CURVE_POINTS];
	uint32 visited[OMENDB_CURVE_POINTS];
	double missed[OMENDB_CURVE_POINTS][2]; /* share of the OMENDB_CURVE_FEW and _MANY nearest */
} HnswMeasured;

/* A query, the graph's entry point, and the exact distances of the query's nearest nodes. */
typedef struct HnswTrial
{
	const OmendbQuery *query;
	OmendbNode entry;
	unsigned entry_level;
	uint32 upper_beam;
	uint32 found;         /* distances, at most OMENDB_CURVE_MANY */
	const float *nearest; /* ascending */
} HnswTrial;

/* True if the record is a query's candidate and counts as near: a node with rows. */
static inline bool
hnsw_is_measured(const OmendbRecord *record)
{
	return record->kind == OMENDB_RECORD_NODE && record->level == 0 &&
		   !(record->flags & OMENDB_RECORD_DEAD);
}

/* The number of queries for so many slots of records. */
extern uint32 hnsw_measure_queries(const OmendbCodec *codec, uint64 slots);

/*
 * The places where query i of n is looked for: the slots *at .. *to - 1, then *from .. *at - 1. The
 * first node with rows is taken.
 */
extern void hnsw_measure_places(uint64 seed, uint64 slots, uint32 i, uint32 n, uint64 *from,
								uint64 *at, uint64 *to);

/* Set the widths to those of a search that is widened until it settles, and the ef of each. */
extern void hnsw_measure_steps(HnswSteps *steps, const OmendbLayout *layout);

/*
 * Search for query i of n, whose trial is given. search: by hnsw_hidden_ops; its HnswHidden has the
 * query's node.
 */
extern void hnsw_measure(const HnswSteps *steps, OmendbSearch *search, const HnswTrial *trial,
						 uint32 i, uint32 n, HnswMeasured *measured);

/* Make the curve of n queries. The sums are added in their order. */
extern void hnsw_measure_curve(const HnswSteps *steps, const HnswMeasured *measured, uint32 n,
							   OmendbCurve *curve);

#endif /* OMENDB_HNSWMEASURE_H */
