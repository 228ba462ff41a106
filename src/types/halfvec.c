/*
 * halfvec.c
 *	  The halfvec type: everything but its distances and conversions.
 */
#include "types/halfvec.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "common/shortest_dec.h"
#include "kernel/kernel.h"
#include "libpq/pqformat.h"
#include "port/pg_bswap.h"
#include "types/average.h"
#include "types/checks.h"
#include "types/convert.h"
#include "utils/array.h"
#include "utils/float.h"
#include "utils/varbit.h"

#define DENSE              HalfVector
#define DENSE_NAME         "halfvec"
#define DENSE_MAX_DIM      HALFVEC_MAX_DIM
#define DENSE_NEW(dim)     omendb_halfvec_new(dim)
#define DENSE_GETARG(n)    PG_GETARG_HALFVEC_P(n)
#define DENSE_KERNEL(name) omendb_kernels.name##_f16
#define FN(name)           omendb_sql_halfvec_##name
#define ELEM               OmendbHalf
#define ELEM_UINT          uint16
#define ELEM_LIMIT         65520
#define ELEM_EXPONENT      OMENDB_HALF_INFINITY
#define ELEM_TO_FLOAT(e)   omendb_half_to_float(e)
#define ELEM_BITS(e)       (e)
#define ELEM_FROM_BITS(u)  (u)
#define ELEM_HTON(u)       pg_hton16(u)
#define ELEM_NTOH(u)       pg_ntoh16(u)

static const float *
dense_floats(const HalfVector *v)
{
	float *floats = palloc(sizeof(float) * v->dim);

	omendb_kernels.half_to_float(v->x, floats, v->dim);
	return floats;
}

static float *
dense_buffer(HalfVector *result)
{
	return palloc(sizeof(float) * result->dim);
}

static void
dense_store(HalfVector *result, const float *values)
{
	omendb_kernels.float_to_half(values, result->x, result->dim);
}

static bool
dense_store_checked(HalfVector *result, const float *values, Node *escontext)
{
	return omendb_floats_to_halves(values, result->x, result->dim, escontext);
}

#include "types/dense_io_template.h"
#include "types/dense_ops_template.h"
