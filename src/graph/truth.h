/*
 * truth.h
 *	  The exact distances of the k nearest records to each of some queries, from all records, which
 *	  are added one after another.
 *
 * The records can be divided among processes, each of which makes a truth of its own. The nearest of
 * all are the nearest in all truths together, however the records were divided.
 *
 * A query is the own vector of a record, and that record does not count for it. For L2, cosine and
 * the inner product most pairs are excluded by blocked products of int8 vectors and a bound of the
 * error that rounding to int8 makes. Distances are computed for the other pairs only.
 */
#ifndef OMENDB_TRUTH_H
#define OMENDB_TRUTH_H

#include "graph/graph.h"
#include "kernel/kernel.h"

/* What the bound needs of a vector and its int8 elements. */
typedef struct OmendbTruthVector
{
	float scale;  /* the vector is about scale * elements */
	float error;  /* maximum distance of the vector from scale * elements */
	float norm2;  /* squared length of scale * elements */
	float length; /* of the vector */
} OmendbTruthVector;

/* The same of many vectors. */
typedef struct OmendbTruthVectors
{
	float *scales;
	float *errors;
	float *norms;
	float *lengths;
} OmendbTruthVectors;

/* Coded layouts: the queries as int8, and the block of records that waits to be compared. */
typedef struct OmendbTruthBlock
{
	size_t row_bytes;
	size_t groups;
	OmendbTruthVectors queries; /* n */
	uint8_t *packed;            /* the queries as groups of columns */
	int32_t *products;          /* OMENDB_BLOCK_ROWS rows with all queries */
	float *slack;               /* n: how far below its limit a query's distance may be */
	float *stored;              /* a vector */
	int16_t *kept;              /* its int8 elements */

	uint32_t waiting; /* records in the block */
	OmendbTruthVector rows[OMENDB_BLOCK_ROWS];
	OmendbNode nodes[OMENDB_BLOCK_ROWS];
	int8_t *elements; /* OMENDB_BLOCK_COLUMNS * row_bytes */
	uint8_t *records; /* OMENDB_BLOCK_ROWS headers and own vectors */
} OmendbTruthBlock;

typedef struct OmendbTruth
{
	const OmendbCodec *codec;
	uint32_t n; /* queries */
	uint32_t k;
	OmendbQuery *queries;
	OmendbNode *nodes; /* n: of the queries */
	float *nearest;    /* n * k: the least distances so far, a heap with the largest first */
	uint32_t *found;   /* n: number of these distances */
	float *limits;     /* n: the largest of k, or infinity; for L2 and cosine its root */
	uint8_t *query_memory;
	size_t query_bytes; /* of each query, there */
	bool blocked;
	OmendbTruthBlock block; /* if blocked */
} OmendbTruth;

/* Bytes of memory for n queries. */
extern size_t omendb_truth_bytes(const OmendbCodec *codec, uint32_t n, uint32_t k);

/* Begin, in that memory; nodes, records: of the queries. */
extern void omendb_truth_init(OmendbTruth *truth, const OmendbCodec *codec, uint32_t n, uint32_t k,
							  const OmendbNode *nodes, const OmendbRecord *const *records,
							  void *memory);

/* Add a node's record; its header and own vector are copied if needed later. */
extern void omendb_truth_add(OmendbTruth *truth, OmendbNode node, const OmendbRecord *record);

/* After the last record. */
extern void omendb_truth_finish(OmendbTruth *truth);

/*
 * The distances in that memory, where this process or another one began and finished a truth of
 * the same n and k. For omendb_truth_nearest only.
 */
extern void omendb_truth_attach(OmendbTruth *truth, const OmendbCodec *codec, uint32_t n,
								uint32_t k, void *memory);

/*
 * Set nearest[], which has room for k of each truth, to the distances of the nearest records to a
 * query, ascending. truths: finished, of the same queries, each of some of the records. Returns
 * their number, k or less.
 */
extern uint32_t omendb_truth_nearest(const OmendbTruth *truths, uint32_t ntruths, uint32_t query,
									 float *nearest);

#endif /* OMENDB_TRUTH_H */
