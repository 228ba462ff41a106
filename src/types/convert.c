/*
 * convert.c
 *	  Conversions between the vector types.
 */
#include "compat.h"

#include "kernel/kernel.h"
#include "types/checks.h"
#include "types/halfvec.h"
#include "types/sparsevec.h"
#include "types/vector.h"

PG_FUNCTION_INFO_V1(omendb_sql_vector_to_halfvec);
PG_FUNCTION_INFO_V1(omendb_sql_halfvec_to_vector);
PG_FUNCTION_INFO_V1(omendb_sql_vector_to_sparsevec);
PG_FUNCTION_INFO_V1(omendb_sql_halfvec_to_sparsevec);
PG_FUNCTION_INFO_V1(omendb_sql_array_to_sparsevec);
PG_FUNCTION_INFO_V1(omendb_sql_sparsevec_to_vector);
PG_FUNCTION_INFO_V1(omendb_sql_sparsevec_to_halfvec);

StaticAssertDecl(VECTOR_MAX_DIM == HALFVEC_MAX_DIM, "a vector and a halfvec convert at any length");

Datum
omendb_sql_vector_to_halfvec(PG_FUNCTION_ARGS)
{
	Vector *v = PG_GETARG_VECTOR_P(0);
	HalfVector *result;

	omendb_check_typmod(PG_GETARG_INT32(1), v->dim, NULL);
	result = omendb_halfvec_new(v->dim);
	omendb_floats_to_halves(v->x, result->x, v->dim, NULL);
	PG_RETURN_POINTER(result);
}

Datum
omendb_sql_halfvec_to_vector(PG_FUNCTION_ARGS)
{
	HalfVector *v = PG_GETARG_HALFVEC_P(0);
	Vector *result;

	omendb_check_typmod(PG_GETARG_INT32(1), v->dim, NULL);
	result = omendb_vector_new(v->dim);
	omendb_kernels.half_to_float(v->x, result->x, v->dim);
	PG_RETURN_POINTER(result);
}

/* A sparsevec of the non-zero elements of dim finite floats. */
static SparseVector *
sparsevec_from_floats(const float *x, int dim, int32 typmod)
{
	SparseVector *result;
	float *values;
	int nnz = 0;
	int n = 0;

	omendb_check_dim(dim, SPARSEVEC_MAX_DIM, "sparsevec", NULL);
	omendb_check_typmod(typmod, dim, NULL);
	for (int i = 0; i < dim; i++)
		nnz += (x[i] != 0);
	omendb_check_nnz(nnz, NULL);

	result = omendb_sparsevec_new(dim, nnz);
	values = SPARSEVEC_VALUES(result);
	for (int i = 0; i < dim; i++)
		if (x[i] != 0)
		{
			result->indices[n] = i;
			values[n++] = x[i];
		}
	return result;
}

Datum
omendb_sql_vector_to_sparsevec(PG_FUNCTION_ARGS)
{
	Vector *v = PG_GETARG_VECTOR_P(0);

	PG_RETURN_POINTER(sparsevec_from_floats(v->x, v->dim, PG_GETARG_INT32(1)));
}

Datum
omendb_sql_halfvec_to_sparsevec(PG_FUNCTION_ARGS)
{
	HalfVector *v = PG_GETARG_HALFVEC_P(0);
	float *x = palloc(sizeof(float) * v->dim);

	omendb_kernels.half_to_float(v->x, x, v->dim);
	PG_RETURN_POINTER(sparsevec_from_floats(x, v->dim, PG_GETARG_INT32(1)));
}

/* The cast from int4[], float4[], float8[] and numeric[]. */
Datum
omendb_sql_array_to_sparsevec(PG_FUNCTION_ARGS)
{
	int32 typmod = PG_GETARG_INT32(1);
	int dim;
	float *x = omendb_array_to_floats(PG_GETARG_ARRAYTYPE_P(0), typmod, SPARSEVEC_MAX_DIM, &dim,
									  "sparsevec");

	for (int i = 0; i < dim; i++)
		omendb_check_finite(x[i], "sparsevec", NULL);
	PG_RETURN_POINTER(sparsevec_from_floats(x, dim, typmod));
}

Datum
omendb_sql_sparsevec_to_vector(PG_FUNCTION_ARGS)
{
	SparseVector *v = PG_GETARG_SPARSEVEC_P(0);
	const float *values = SPARSEVEC_VALUES(v);
	Vector *result;

	omendb_check_dim(v->dim, VECTOR_MAX_DIM, "vector", NULL);
	omendb_check_typmod(PG_GETARG_INT32(1), v->dim, NULL);
	result = omendb_vector_new(v->dim);
	memset(result->x, 0, sizeof(float) * v->dim);
	for (int i = 0; i < v->nnz; i++)
		result->x[v->indices[i]] = values[i];
	PG_RETURN_POINTER(result);
}

Datum
omendb_sql_sparsevec_to_halfvec(PG_FUNCTION_ARGS)
{
	SparseVector *v = PG_GETARG_SPARSEVEC_P(0);
	HalfVector *result;
	OmendbHalf *halves = palloc(sizeof(OmendbHalf) * Max(v->nnz, 1));

	omendb_check_dim(v->dim, HALFVEC_MAX_DIM, "halfvec", NULL);
	omendb_check_typmod(PG_GETARG_INT32(1), v->dim, NULL);
	result = omendb_halfvec_new(v->dim);
	memset(result->x, 0, sizeof(OmendbHalf) * v->dim);
	omendb_floats_to_halves(SPARSEVEC_VALUES(v), halves, v->nnz, NULL);
	for (int i = 0; i < v->nnz; i++)
		result->x[v->indices[i]] = halves[i];
	PG_RETURN_POINTER(result);
}
