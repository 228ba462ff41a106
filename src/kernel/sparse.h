/*
 * sparse.h
 *	  Sums over vectors of which only the non-zero elements are kept.
 *
 * A list has the indices of its elements, ascending, and their values. Of two lists
 * only the elements that both have matter: whatever an element that one alone has
 * adds to a distance is known from that list. A query is compared with many lists,
 * so its elements are in a hash table, and a comparison costs a look-up for each
 * element of the list. Two lists are merged.
 *
 * All sums are in double or in integers: there are few elements, and what rounding
 * makes of the sums is far less than what it makes of a float.
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

/* Bytes of memory for a table of at most n elements. */
extern size_t omendb_sparse_table_bytes(uint32_t n);
extern void omendb_sparse_table_init(OmendbSparseTable *table, uint32_t n, void *memory);

/* Empty it, for n elements to come; then add each of them. */
extern void omendb_sparse_table_reset(OmendbSparseTable *table, uint32_t n);
extern void omendb_sparse_table_add(OmendbSparseTable *table, uint32_t index, float value);

/* Between a query and a list: the inner product, the sum of absolute differences. */
extern double omendb_sparse_dot(const OmendbSparseTable *query, const OmendbSparseList *list);
extern double omendb_sparse_l1(const OmendbSparseTable *query, const OmendbSparseList *list);

/* The same between two lists; a and b may be exchanged. */
extern double omendb_sparse_pair_dot(const OmendbSparseList *a, const OmendbSparseList *b);
extern double omendb_sparse_pair_l1(const OmendbSparseList *a, const OmendbSparseList *b);

/*
 * The least magnitude that is among the n largest of count values; 0 where there are
 * no more than n. *larger gets how many are larger than that.
 */
extern float omendb_sparse_threshold(const float *values, uint32_t count, uint32_t n,
									 uint32_t *larger);

#endif /* OMENDB_SPARSE_H */
