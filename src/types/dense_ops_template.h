/*
 * dense_ops_template.h
 *	  Arithmetic, comparison, pieces and aggregates of the dense types, written
 *	  once for vector and halfvec. See dense_io_template.h for what it needs.
 */

PG_FUNCTION_INFO_V1(FN(add));
PG_FUNCTION_INFO_V1(FN(sub));
PG_FUNCTION_INFO_V1(FN(mul));
PG_FUNCTION_INFO_V1(FN(concat));
PG_FUNCTION_INFO_V1(FN(dims));
PG_FUNCTION_INFO_V1(FN(norm));
PG_FUNCTION_INFO_V1(FN(l2_normalize));
PG_FUNCTION_INFO_V1(FN(subvector));
PG_FUNCTION_INFO_V1(FN(binary_quantize));
PG_FUNCTION_INFO_V1(FN(accum));
PG_FUNCTION_INFO_V1(FN(combine));
PG_FUNCTION_INFO_V1(FN(avg));

/* ---------------------------------------------------------------- arithmetic */

/* Raise 22003 if an element is not finite, as float4's operators do. Operands are finite. */
static void
check_overflow(const DENSE *result)
{
	if (unlikely(!all_finite(result)))
		float_overflow_error();
}

/* Compute an expression of two operands, element by element, rounded to float and then to ELEM. */
#define ELEMENTWISE(expression)                        \
	DENSE *a = DENSE_GETARG(0);                        \
	DENSE *b = DENSE_GETARG(1);                        \
	const float *ax = dense_floats(a);                 \
	const float *bx = dense_floats(b);                 \
	DENSE *result;                                     \
	float *rx;                                         \
                                                       \
	omendb_check_same_dim(a->dim, b->dim, DENSE_NAME); \
	result = DENSE_NEW(a->dim);                        \
	rx = dense_buffer(result);                         \
	for (int i = 0; i < a->dim; i++)                   \
		rx[i] = (expression);                          \
	dense_store(result, rx);                           \
	check_overflow(result)

Datum
FN(add)(PG_FUNCTION_ARGS)
{
	ELEMENTWISE(ax[i] + bx[i]);
	PG_RETURN_POINTER(result);
}

Datum
FN(sub)(PG_FUNCTION_ARGS)
{
	ELEMENTWISE(ax[i] - bx[i]);
	PG_RETURN_POINTER(result);
}

Datum
FN(mul)(PG_FUNCTION_ARGS)
{
	int underflow = 0;

	ELEMENTWISE(ax[i] * bx[i]);
	for (int i = 0; i < a->dim; i++)
		underflow |= (ELEM_TO_FLOAT(result->x[i]) == 0) & (ax[i] != 0) & (bx[i] != 0);
	if (unlikely(underflow != 0))
		float_underflow_error();
	PG_RETURN_POINTER(result);
}

#undef ELEMENTWISE

/* ---------------------------------------------------------------- pieces */

Datum
FN(concat)(PG_FUNCTION_ARGS)
{
	DENSE *a = DENSE_GETARG(0);
	DENSE *b = DENSE_GETARG(1);
	DENSE *result;

	omendb_check_dim((int64) a->dim + b->dim, DENSE_MAX_DIM, DENSE_NAME, NULL);
	result = DENSE_NEW(a->dim + b->dim);
	memcpy(result->x, a->x, a->dim * sizeof(ELEM));
	memcpy(result->x + a->dim, b->x, b->dim * sizeof(ELEM));
	PG_RETURN_POINTER(result);
}

/* subvector(v, start, count): elements from start (1 is the first) on, as many as v has of them. */
Datum
FN(subvector)(PG_FUNCTION_ARGS)
{
	DENSE *v = DENSE_GETARG(0);
	int64 start = PG_GETARG_INT32(1);
	int64 count = PG_GETARG_INT32(2);
	int64 first = Max(start, 1);
	int64 end = Min(start + count, (int64) v->dim + 1);
	DENSE *result;

	omendb_check_dim(end - first, DENSE_MAX_DIM, DENSE_NAME, NULL);
	result = DENSE_NEW(end - first);
	memcpy(result->x, v->x + first - 1, result->dim * sizeof(ELEM));
	PG_RETURN_POINTER(result);
}

Datum
FN(dims)(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(DENSE_GETARG(0)->dim);
}

Datum
FN(norm)(PG_FUNCTION_ARGS)
{
	DENSE *v = DENSE_GETARG(0);

	PG_RETURN_FLOAT8(sqrt(DENSE_KERNEL(norm2)(v->x, v->dim)));
}

/* Scale to length 1; the zero vector is returned as it is. */
Datum
FN(l2_normalize)(PG_FUNCTION_ARGS)
{
	DENSE *v = DENSE_GETARG(0);
	double norm = sqrt(DENSE_KERNEL(norm2)(v->x, v->dim));
	DENSE *result = DENSE_NEW(v->dim);

	if (norm > 0)
	{
		float *rx = dense_buffer(result);

		omendb_kernels.normalize_f32(dense_floats(v), rx, v->dim, norm);
		dense_store(result, rx);
	}
	else
		memset(result->x, 0, v->dim * sizeof(ELEM));
	PG_RETURN_POINTER(result);
}

/* One bit an element: 1 if the element is greater than 0. */
Datum
FN(binary_quantize)(PG_FUNCTION_ARGS)
{
	DENSE *v = DENSE_GETARG(0);
	int size = VARBITTOTALLEN(v->dim);
	VarBit *result = palloc0(size);

	SET_VARSIZE(result, size);
	VARBITLEN(result) = v->dim;
	DENSE_KERNEL(quantize)(v->x, VARBITS(result), v->dim);
	PG_RETURN_VARBIT_P(result);
}

/* ---------------------------------------------------------------- comparison */

/*
 * Compare by elements, then by length, as arrays. Detoasted copies are freed, because btree and sort
 * do not reset a memory context after each call.
 */
static int
compare(FunctionCallInfo fcinfo)
{
	DENSE *a = DENSE_GETARG(0);
	DENSE *b = DENSE_GETARG(1);
	int dim = Min(a->dim, b->dim);
	int result = (a->dim > b->dim) - (a->dim < b->dim);

	for (int i = 0; i < dim; i++)
	{
		float x = ELEM_TO_FLOAT(a->x[i]);
		float y = ELEM_TO_FLOAT(b->x[i]);

		if (x != y)
		{
			result = x < y ? -1 : 1;
			break;
		}
	}
	PG_FREE_IF_COPY(a, 0);
	PG_FREE_IF_COPY(b, 1);
	return result;
}

#include "types/comparison_template.h"

/* ---------------------------------------------------------------- aggregates */

/* accum(state, v): the transition function of avg; see average.h for the state. */
Datum
FN(accum)(PG_FUNCTION_ARGS)
{
	ArrayType *state = PG_GETARG_ARRAYTYPE_P(0);
	DENSE *v = DENSE_GETARG(1);

	PG_RETURN_ARRAYTYPE_P(omendb_average_add(fcinfo, state, dense_floats(v), v->dim));
}

Datum
FN(combine)(PG_FUNCTION_ARGS)
{
	PG_RETURN_ARRAYTYPE_P(omendb_average_combine(
		fcinfo, PG_GETARG_ARRAYTYPE_P(0), PG_GETARG_ARRAYTYPE_P(1), DENSE_MAX_DIM, DENSE_NAME));
}

/* avg(state): NULL if there was no row. */
Datum
FN(avg)(PG_FUNCTION_ARGS)
{
	int dim;
	double count;
	const double *sums = omendb_average_state(PG_GETARG_ARRAYTYPE_P(0), &count, &dim);
	DENSE *result;
	float *values;

	if (count == 0)
		PG_RETURN_NULL();
	omendb_check_dim(dim, DENSE_MAX_DIM, DENSE_NAME, NULL);
	values = palloc(sizeof(float) * dim);
	for (int i = 0; i < dim; i++)
	{
		values[i] = (float) (sums[i] / count);
		omendb_check_finite(values[i], DENSE_NAME, NULL);
	}
	result = DENSE_NEW(dim);
	dense_store_checked(result, values, NULL);
	PG_RETURN_POINTER(result);
}
