/*
 * vector.c
 *	  The vector type: everything but its distances and conversions.
 */
#include "types/vector.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "common/shortest_dec.h"
#include "kernel/kernel.h"
#include "libpq/pqformat.h"
#include "port/pg_bswap.h"
#include "types/average.h"
#include "types/checks.h"
#include "utils/array.h"
#include "utils/float.h"
#include "utils/varbit.h"

#define DENSE              Vector
#define DENSE_NAME         "vector"
#define DENSE_MAX_DIM      VECTOR_MAX_DIM
#define DENSE_NEW(dim)     omendb_vector_new(dim)
#define DENSE_GETARG(n)    PG_GETARG_VECTOR_P(n)
#define DENSE_KERNEL(name) omendb_kernels.name##_f32
#define FN(name)           omendb_sql_vector_##name
#define ELEM               float
#define ELEM_UINT          uint32
#define ELEM_LIMIT         INFINITY
#define ELEM_EXPONENT      0x7F800000
#define ELEM_TO_FLOAT(e)   (e)
#define ELEM_BITS(e)       float_bits(e)
#define ELEM_FROM_BITS(u)  float_from_bits(u)
#define ELEM_HTON(u)       pg_hton32(u)
#define ELEM_NTOH(u)       pg_ntoh32(u)

static inline uint32
float_bits(float f)
{
	uint32 bits;

	memcpy(&bits, &f, sizeof(bits));
	return bits;
}

static inline float
float_from_bits(uint32 bits)
{
	float f;

	memcpy(&f, &bits, sizeof(f));
	return f;
}

static inline const float *
dense_floats(const Vector *v)
{
	return v->x;
}

static inline float *
dense_buffer(Vector *result)
{
	return result->x;
}

static inline void
dense_store(Vector *result, const float *values)
{
	/* The floats are those of dense_buffer, which are the elements. */
	Assert(values == result->x);
}

static inline bool
dense_store_checked(Vector *result, const float *values, Node *escontext)
{
	memcpy(result->x, values, result->dim * sizeof(float));
	return true;
}

#include "types/dense_io_template.h"
#include "types/dense_ops_template.h"
