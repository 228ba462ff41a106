/*
 * average.c
 *	  The transition state of avg over the dense types.
 */
#include "types/average.h"

#include "catalog/pg_type.h"
#include "types/checks.h"
#include "utils/float.h"

#include <math.h>

const double *
omendb_average_state(ArrayType *state, double *count, int *dim)
{
	const double *values = (const double *) ARR_DATA_PTR(state);

	if (ARR_NDIM(state) != 1 || ARR_DIMS(state)[0] < 1 || ARR_HASNULL(state) ||
		ARR_ELEMTYPE(state) != FLOAT8OID)
		ereport(ERROR, (errcode(ERRCODE_DATA_EXCEPTION), errmsg("invalid aggregate state"),
						errdetail("Expected a one-dimensional array of a count and sums.")));
	*count = values[0];
	*dim = ARR_DIMS(state)[0] - 1;
	return values + 1;
}

/* A new state with sums of 0, in the current memory context. */
static ArrayType *
new_state(double count, int dim, double **sums)
{
	Size size = ARR_OVERHEAD_NONULLS(1) + sizeof(double) * (dim + 1);
	ArrayType *state = palloc0(size);
	double *values;

	SET_VARSIZE(state, size);
	state->ndim = 1;
	state->dataoffset = 0;
	state->elemtype = FLOAT8OID;
	ARR_DIMS(state)[0] = dim + 1;
	ARR_LBOUND(state)[0] = 1;
	values = (double *) ARR_DATA_PTR(state);
	values[0] = count;
	*sums = values + 1;
	return state;
}

/*
 * A state that can be changed, with another count: the argument itself within an aggregate, else a
 * copy, because a plain call must not change its argument.
 */
static ArrayType *
writable(FunctionCallInfo fcinfo, ArrayType *state, double count, double **sums)
{
	const double *old = (const double *) ARR_DATA_PTR(state);
	int dim = ARR_DIMS(state)[0] - 1;

	if (!AggCheckCallContext(fcinfo, NULL))
	{
		state = new_state(count, dim, sums);
		memcpy(*sums, old + 1, sizeof(double) * dim);
		return state;
	}
	*(double *) ARR_DATA_PTR(state) = count;
	*sums = (double *) ARR_DATA_PTR(state) + 1;
	return state;
}

/* Raise 22003 if a sum has overflowed, as float8's operators do. Rows are finite. */
static void
check_overflow(const double *sums, int dim)
{
	bool overflow = false;

	for (int i = 0; i < dim; i++)
		overflow |= isinf(sums[i]) != 0;
	if (unlikely(overflow))
		float_overflow_error();
}

ArrayType *
omendb_average_add(FunctionCallInfo fcinfo, ArrayType *state, const float *x, int dim)
{
	double count;
	int state_dim;
	double *sums;

	omendb_average_state(state, &count, &state_dim);
	/* A state without sums takes the dimensions of the first row. */
	if (state_dim == 0)
	{
		state = new_state(count + 1, dim, &sums);
		for (int i = 0; i < dim; i++)
			sums[i] = x[i];
		return state;
	}

	omendb_check_typmod(state_dim, dim, NULL);
	state = writable(fcinfo, state, count + 1, &sums);
	for (int i = 0; i < dim; i++)
		sums[i] += x[i];
	check_overflow(sums, dim);
	return state;
}

ArrayType *
omendb_average_combine(FunctionCallInfo fcinfo, ArrayType *a, ArrayType *b, int max_dim,
					   const char *type)
{
	double count_a;
	double count_b;
	int dim_a;
	int dim_b;
	const double *addend;
	double *sums;
	ArrayType *result;

	omendb_average_state(a, &count_a, &dim_a);
	addend = omendb_average_state(b, &count_b, &dim_b);
	if (dim_a > 0 && dim_b > 0)
		omendb_check_typmod(dim_a, dim_b, NULL);
	/* Neither state has sums if no row was added to either. */
	if (dim_a > 0 || dim_b > 0)
		omendb_check_dim(Max(dim_a, dim_b), max_dim, type, NULL);
	if (dim_b == 0 && count_b == 0)
		return a;
	if (dim_a == 0 && count_a == 0)
		return b;

	if (dim_a == 0)
	{
		result = new_state(count_a + count_b, dim_b, &sums);
		memcpy(sums, addend, sizeof(double) * dim_b);
		return result;
	}
	result = writable(fcinfo, a, count_a + count_b, &sums);
	for (int i = 0; i < dim_b; i++)
		sums[i] += addend[i];
	check_overflow(sums, dim_b);
	return result;
}
