/*
 * ownsparse.h
 *	  Own vectors of which only the non-zero elements are kept.
 *
 * A record has room for `elements` of the layout. A vector with more of them keeps
 * those of the largest magnitudes. What is left out is in the record's error, as is
 * what rounding to int16 makes of the values: bounds of distances hold, and rows are
 * returned in the order of the original vectors. So an index takes every vector that
 * the type has, whatever the rows were that its records were made for.
 */
#ifndef OMENDB_OWNSPARSE_H
#define OMENDB_OWNSPARSE_H

#include "code/codec.h"
#include "kernel/sparse.h"

/* The elements of a record; trust their number only after the record was checked. */
static inline OmendbSparseList
omendb_own_sparse(const OmendbRecord *record)
{
	const uint32_t *own = (const uint32_t *) omendb_record_own(record);
	OmendbSparseList list = {own + 1, (const int16_t *) (own + 1 + own[0]), own[0], record->scale};

	return list;
}

/* Are there no more elements than fit? What cannot be read safely otherwise. */
static inline bool
omendb_own_sparse_fits(const OmendbLayout *layout, const OmendbRecord *record)
{
	return *(const uint32_t *) omendb_record_own(record) <= layout->elements;
}

/*
 * Values into stored space: normalised under cosine. False for a zero vector then.
 * values and out may be the same.
 */
extern bool omendb_sparse_store(const OmendbCodec *codec, const float *values, uint32_t n,
								float *out);

/* As omendb_own_encode: n elements, not 0, by ascending indices, values in stored space. */
extern void omendb_own_encode_sparse(const OmendbCodec *codec, const uint32_t *indices,
									 const float *stored, uint32_t n, OmendbRecord *record);

extern float omendb_own_sparse_distance(OmendbMetric metric, const OmendbRecord *a,
										const OmendbRecord *b);

#endif /* OMENDB_OWNSPARSE_H */
