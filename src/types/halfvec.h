/*
 * halfvec.h
 *	  The halfvec type: layout and access.
 */
#ifndef OMENDB_HALFVEC_H
#define OMENDB_HALFVEC_H

#include "compat.h"
#include "kernel/half.h"

#define HALFVEC_MAX_DIM 16000

/* Like Vector, with IEEE binary16 elements. */
typedef struct HalfVector
{
	int32 vl_len_;                       /* varlena header (do not touch directly!) */
	int16 dim;                           /* 1 to HALFVEC_MAX_DIM */
	int16 unused;                        /* 0 */
	OmendbHalf x[FLEXIBLE_ARRAY_MEMBER]; /* dim elements, all finite */
} HalfVector;

StaticAssertDecl(offsetof(HalfVector, x) == 8, "halfvec elements start at byte 8");

#define HALFVEC_SIZE(dim)      (offsetof(HalfVector, x) + sizeof(OmendbHalf) * (dim))
#define DatumGetHalfVector(d)  ((HalfVector *) PG_DETOAST_DATUM(d))
#define PG_GETARG_HALFVEC_P(n) DatumGetHalfVector(PG_GETARG_DATUM(n))

/* A new halfvec of dim elements, which are not set. The header is. */
static inline HalfVector *
omendb_halfvec_new(int dim)
{
	HalfVector *result = palloc(HALFVEC_SIZE(dim));

	SET_VARSIZE(result, HALFVEC_SIZE(dim));
	result->dim = dim;
	result->unused = 0;
	return result;
}

/*
 * Convert n finite floats to halves. A float out of range of half is 22003. Errors as in checks.h.
 */
extern bool omendb_floats_to_halves(const float *values, OmendbHalf *halves, int n,
									Node *escontext);

#endif /* OMENDB_HALFVEC_H */
