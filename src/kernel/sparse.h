/*
 * sparse.h
 *	  Sums over sparse vectors: inner product and L1.
 *
 * A list has the non-zero elements of a vector: indices, ascending, and values. A query is compared
 * with many lists, so its elements are in a hash table: a comparison costs a look-up for each
 * element of the list. Two lists are compared by merging.
 *
 * Accumulators are double, or int64 for the inner product of two lists, which is exact.
 */
#ifndef OMENDB_SPARSE_H
#define OMENDB_SPARSE_H

#include <stddef.h>
#include <stdint.h>

/* Elements of a list: the value is scale * values[i]. */
typedef struct OmendbSparseList
{
	const uint32_t *indices;
	const int16_t *values;
	uint32_t n;
	float scale;
} OmendbSparseList;

#define OMENDB_SPARSE_NO_INDEX UINT32_MAX

/* The elements of a query by their indices: open addressing. */
typedef struct OmendbSparseTable
{
	uint32_t *indices; /* OMENDB_SPARSE_NO_INDEX: the place is free */
	float *values;
	unsigned bits; /* places are 2^bits */
	double norm1;  /* sum of the magnitudes */
	double norm2;  /* sum of the squares */
} OmendbSparseTable;

/*
 * Set up an empty table for at most n elements. memory: omendb_sparse_table_bytes(n) bytes, aligned
 * to 4.
 */
extern size_t omendb_sparse_table_bytes(uint32_t n);
extern void omendb_sparse_table_init(OmendbSparseTable *table, uint32_t n, void *memory);

/* Empty the table; then add n elements, each index once. */
extern void omendb_sparse_table_reset(OmendbSparseTable *table, uint32_t n);
extern void omendb_sparse_table_add(OmendbSparseTable *table, uint32_t index, float value);

/* The inner product of a query and a list; the sum of their absolute differences (L1). */
extern double omendb_sparse_dot(const OmendbSparseTable *query, const OmendbSparseList *list);
extern double omendb_sparse_l1(const OmendbSparseTable *query, const OmendbSparseList *list);

/* The same for two lists. a and b may change places. */
extern double omendb_sparse_pair_dot(const OmendbSparseList *a, const OmendbSparseList *b);
extern double omendb_sparse_pair_l1(const OmendbSparseList *a, const OmendbSparseList *b);

/*
 * The n-th largest magnitude of `count` values; 0 if count <= n. Sets *larger to the number of
 * magnitudes above it.
 */
extern float omendb_sparse_threshold(const float *values, uint32_t count, uint32_t n,
									 uint32_t *larger);

#endif /* OMENDB_SPARSE_H */
