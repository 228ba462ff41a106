/*
 * truth.h
 *	  The distances of the k nearest records to each of some queries, exact, from all
 *	  records given one after another.
 *
 * The queries are own vectors of records; a query's own record does not count for it. For L2,
 * cosine and inner product most pairs are told to be too far by blocked products of int8 vectors
 * and a bound of what rounding to int8 changes. Only the others get their distance.
 */
#ifndef OMENDB_TRUTH_H
#define OMENDB_TRUTH_H

#include "graph/graph.h"
#include "kernel/kernel.h"

/* A vector as int8, and what the bound needs to know of it. */
typedef struct OmendbTruthVector
{
	float scale;  /* it is about scale * the int8 */
	float error;  /* and at most so far from it */
	float norm2;  /* squared length of scale * the int8 */
	float length; /* of the vector */
} OmendbTruthVector;

typedef struct OmendbTruth
{
	const OmendbCodec *codec;
	uint32_t n; /* queries */
	uint32_t k;
	bool blocked;
	OmendbQuery *queries;
	OmendbNode *nodes; /* theirs */
	float *nearest;    /* n * k: the least distances so far, a heap, the largest first */
	uint32_t *found;   /* n: how many of them */
	float *limits;     /* n: the largest of k, or infinite; for L2 its root */

	/* blocked */
	size_t row_bytes;
	size_t groups;
	OmendbTruthVector *vectors; /* n */
	uint8_t *packed;            /* the queries as groups of columns */
	int32_t *products;
	float *slack;  /* n */
	float *stored; /* a vector, and what int8 keeps of it */
	float *kept;
	uint32_t waiting; /* records that wait for their block to be full */
	OmendbTruthVector rows[OMENDB_BLOCK_ROWS];
	OmendbNode row_nodes[OMENDB_BLOCK_ROWS];
	int8_t *elements; /* OMENDB_BLOCK_ROWS * row_bytes */
	uint8_t *records; /* OMENDB_BLOCK_ROWS headers and own vectors */
} OmendbTruth;

/* Bytes of memory for n queries, and their set-up in such memory; records: as they are kept. */
extern size_t omendb_truth_bytes(const OmendbCodec *codec, uint32_t n, uint32_t k);
extern void omendb_truth_init(OmendbTruth *truth, const OmendbCodec *codec, uint32_t n, uint32_t k,
							  const OmendbNode *nodes, const OmendbRecord *const *records,
							  void *memory);

/* One more record, of that number; it is copied up to its edges if need be. */
extern void omendb_truth_add(OmendbTruth *truth, OmendbNode node, const OmendbRecord *record);

/* After all records: the distance of the kth nearest to a query; infinite where there are fewer. */
extern void omendb_truth_finish(OmendbTruth *truth);
extern float omendb_truth_distance(const OmendbTruth *truth, uint32_t query, uint32_t kth);

#endif /* OMENDB_TRUTH_H */
