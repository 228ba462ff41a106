/*
 * vector.h
 *	  The vector type: layout and access.
 */
#ifndef OMENDB_VECTOR_H
#define OMENDB_VECTOR_H

#include "compat.h"

#define VECTOR_MAX_DIM 16000

/*
 * On disk and in memory. The binary format begins with the fields between length word and elements.
 * The layout must not change: it is pgvector's, whose columns are read.
 */
typedef struct Vector
{
	int32 vl_len_;                  /* varlena header (do not touch directly!) */
	int16 dim;                      /* 1 to VECTOR_MAX_DIM */
	int16 unused;                   /* 0 */
	float x[FLEXIBLE_ARRAY_MEMBER]; /* dim elements, all finite */
} Vector;

StaticAssertDecl(offsetof(Vector, x) == 8, "vector elements start at byte 8");

#define VECTOR_SIZE(dim)      (offsetof(Vector, x) + sizeof(float) * (dim))
#define DatumGetVector(d)     ((Vector *) PG_DETOAST_DATUM(d))
#define PG_GETARG_VECTOR_P(n) DatumGetVector(PG_GETARG_DATUM(n))

/* A new vector of dim elements, which are not set. The header is. */
static inline Vector *
omendb_vector_new(int dim)
{
	Vector *result = palloc(VECTOR_SIZE(dim));

	SET_VARSIZE(result, VECTOR_SIZE(dim));
	result->dim = dim;
	result->unused = 0;
	return result;
}

#endif /* OMENDB_VECTOR_H */
