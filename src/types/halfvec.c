/*
 * halfvec.c
 *	  The halfvec type: everything but its distances and conversions to other types.
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

bool
omendb_floats_to_halves(const float *values, OmendbHalf *halves, int n, Node *escontext)
{
	int first = 0;
	uint16 infinite = 0;
	char text[FLOAT_SHORTEST_DECIMAL_LEN];

	omendb_kernels.float_to_half(values, halves, n);
	/* The loop has no branch: an infinity is rare. */
	for (int i = 0; i < n; i++)
		infinite |= omendb_half_is_inf(halves[i]);
	if (likely(infinite == 0))
		return true;

	while (!omendb_half_is_inf(halves[first]))
		first++;
	float_to_shortest_decimal_buf(values[first], text);
	return omendb_out_of_range(text, "halfvec", escontext);
}

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
