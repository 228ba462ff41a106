/*
 * ownsparse.h
 *	  Own vectors of sparse vectors: the non-zero elements.
 *
 * A record holds up to `elements` of the layout. Of a vector with more elements those of the largest
 * magnitudes are kept. The record's error includes the elements left out and the rounding of values
 * to int16, so bounds of distances hold, and rows are returned in the order of the original
 * vectors. An index therefore accepts every sparsevec, however long the rows were that its record
 * size was chosen for. Spanning records (layout.h) hold as many elements as a page has room for.
 */
#ifndef OMENDB_OWNSPARSE_H
#define OMENDB_OWNSPARSE_H

#include "code/codec.h"
#include "kernel/sparse.h"

/* The elements of a record that was checked (omendb_own_sparse_fits). */
static inline OmendbSparseList
omendb_own_sparse(const OmendbLayout *layout, const OmendbRecord *record)
{
	const uint32_t *own = omendb_record_own_sparse(layout, record);
	OmendbSparseList list = {own + 1, (const int16_t *) (own + 1 + own[0]), own[0], record->scale};

	return list;
}

/* True if the number of elements is possible. Others must not be read. */
static inline bool
omendb_own_sparse_fits(const OmendbLayout *layout, const OmendbRecord *record)
{
	return *omendb_record_own_sparse(layout, record) <= layout->elements;
}

/*
 * Transform n values into stored space: normalise them under cosine. False for a zero vector under
 * cosine. values and out may be the same array.
 */
extern bool omendb_sparse_store(const OmendbCodec *codec, const float *values, uint32_t n,
								float *out);

/*
 * Encode n elements as omendb_own_encode: indices ascending, from 0; stored: values in stored
 * space, none 0.
 */
extern void omendb_own_encode_sparse(const OmendbCodec *codec, const uint32_t *indices,
									 const float *stored, uint32_t n, OmendbRecord *record);

/* True if two records that were checked have the same elements. */
extern bool omendb_own_sparse_equal(const OmendbLayout *layout, const OmendbRecord *a,
									const OmendbRecord *b);

/* Distance between the own vectors of two records: L2, cosine, inner product or L1. */
extern float omendb_own_sparse_distance(const OmendbLayout *layout, const OmendbRecord *a,
										const OmendbRecord *b);

#endif /* OMENDB_OWNSPARSE_H */
