/*
 * distance.c
 *	  The distances that SQL's operators call: vector, halfvec, sparsevec
 *	  and bit.
 *
 * A call detoasts the arguments, compares their dimensions, and calls one kernel of the table.
 * Kernels sum in float. If a sum of vectors leaves the range of float (magnitudes from about 1e19 up,
 * or below 1e-15) it is computed again in double. So the distance between finite vectors is finite,
 * and tiny vectors are ordered. With halfvec this cannot happen. Sums of sparsevec are in double at
 * once.
 */
#include "compat.h"

#include <float.h>
#include <math.h>

#include "kernel/kernel.h"
#include "types/checks.h"
#include "types/distance.h"
#include "types/halfvec.h"
#include "types/sparsevec.h"
#include "types/vector.h"
#include "utils/varbit.h"

PG_FUNCTION_INFO_V1(omendb_sql_vector_cosine_distance);
PG_FUNCTION_INFO_V1(omendb_sql_vector_spherical_distance);
PG_FUNCTION_INFO_V1(omendb_sql_vector_l1_distance);
PG_FUNCTION_INFO_V1(omendb_sql_halfvec_cosine_distance);
PG_FUNCTION_INFO_V1(omendb_sql_halfvec_spherical_distance);
PG_FUNCTION_INFO_V1(omendb_sql_halfvec_l1_distance);
PG_FUNCTION_INFO_V1(omendb_sql_sparsevec_cosine_distance);
PG_FUNCTION_INFO_V1(omendb_sql_sparsevec_l1_distance);
PG_FUNCTION_INFO_V1(omendb_sql_hamming_distance);
PG_FUNCTION_INFO_V1(omendb_sql_jaccard_distance);

/*
 * A sum of this magnitude or more is right although terms may have underflowed: a lost term is below
 * 2^-126, and 16,000 lost terms are below 2e-34.
 */
#define SMALLEST_SURE_SUM 1e-26f

static inline bool
sum_is_sure(float sum)
{
	float magnitude = fabsf(sum);

	return magnitude <= FLT_MAX && magnitude >= SMALLEST_SURE_SUM;
}

/* ---------------------------------------------------------------- vector */

static inline double
vector_l2sq(FunctionCallInfo fcinfo)
{
	Vector *a = PG_GETARG_VECTOR_P(0);
	Vector *b = PG_GETARG_VECTOR_P(1);
	float sum;

	omendb_check_same_dim(a->dim, b->dim, "vector");
	sum = omendb_kernels.l2sq_f32(a->x, b->x, a->dim);
	if (likely(sum_is_sure(sum)))
		return sum;
	return omendb_wide_l2sq_f32(a->x, b->x, a->dim);
}

static inline double
vector_dot(FunctionCallInfo fcinfo)
{
	Vector *a = PG_GETARG_VECTOR_P(0);
	Vector *b = PG_GETARG_VECTOR_P(1);
	float sum;

	omendb_check_same_dim(a->dim, b->dim, "vector");
	sum = omendb_kernels.dot_f32(a->x, b->x, a->dim);
	if (likely(sum_is_sure(sum)))
		return sum;
	return omendb_wide_dot_f32(a->x, b->x, a->dim);
}

#define FN(name) omendb_sql_vector_##name
#define L2SQ     vector_l2sq
#define DOT      vector_dot
#include "types/distance_template.h"

/* NaN where a vector has length 0. */
Datum
omendb_sql_vector_cosine_distance(PG_FUNCTION_ARGS)
{
	Vector *a = PG_GETARG_VECTOR_P(0);
	Vector *b = PG_GETARG_VECTOR_P(1);
	OmendbCosine sums;
	double similarity;

	omendb_check_same_dim(a->dim, b->dim, "vector");
	sums = omendb_kernels.cosine_f32(a->x, b->x, a->dim);
	if (likely(sum_is_sure(sums.norm2_a) && sum_is_sure(sums.norm2_b)))
		similarity = sums.dot / sqrt((double) sums.norm2_a * sums.norm2_b);
	else
		similarity =
			omendb_wide_dot_f32(a->x, b->x, a->dim) /
			sqrt(omendb_kernels.norm2_f32(a->x, a->dim) * omendb_kernels.norm2_f32(b->x, b->dim));
	PG_RETURN_FLOAT8(1 - omendb_clamp_cosine(similarity));
}

/* The angle between two vectors of length 1, in units of pi. */
Datum
omendb_sql_vector_spherical_distance(PG_FUNCTION_ARGS)
{
	PG_RETURN_FLOAT8(acos(omendb_clamp_cosine(vector_dot(fcinfo))) / M_PI);
}

Datum
omendb_sql_vector_l1_distance(PG_FUNCTION_ARGS)
{
	Vector *a = PG_GETARG_VECTOR_P(0);
	Vector *b = PG_GETARG_VECTOR_P(1);
	float sum;

	omendb_check_same_dim(a->dim, b->dim, "vector");
	sum = omendb_kernels.l1_f32(a->x, b->x, a->dim);
	if (likely(sum <= FLT_MAX))
		PG_RETURN_FLOAT8(sum);
	PG_RETURN_FLOAT8(omendb_wide_l1_f32(a->x, b->x, a->dim));
}

/* ---------------------------------------------------------------- halfvec */

static inline double
halfvec_l2sq(FunctionCallInfo fcinfo)
{
	HalfVector *a = PG_GETARG_HALFVEC_P(0);
	HalfVector *b = PG_GETARG_HALFVEC_P(1);

	omendb_check_same_dim(a->dim, b->dim, "halfvec");
	return omendb_kernels.l2sq_f16(a->x, b->x, a->dim);
}

static inline double
halfvec_dot(FunctionCallInfo fcinfo)
{
	HalfVector *a = PG_GETARG_HALFVEC_P(0);
	HalfVector *b = PG_GETARG_HALFVEC_P(1);

	omendb_check_same_dim(a->dim, b->dim, "halfvec");
	return omendb_kernels.dot_f16(a->x, b->x, a->dim);
}

#define FN(name) omendb_sql_halfvec_##name
#define L2SQ     halfvec_l2sq
#define DOT      halfvec_dot
#include "types/distance_template.h"

/* NaN where a halfvec has length 0. */
Datum
omendb_sql_halfvec_cosine_distance(PG_FUNCTION_ARGS)
{
	HalfVector *a = PG_GETARG_HALFVEC_P(0);
	HalfVector *b = PG_GETARG_HALFVEC_P(1);
	OmendbCosine sums;
	double similarity;

	omendb_check_same_dim(a->dim, b->dim, "halfvec");
	sums = omendb_kernels.cosine_f16(a->x, b->x, a->dim);
	similarity = sums.dot / sqrt((double) sums.norm2_a * sums.norm2_b);
	PG_RETURN_FLOAT8(1 - omendb_clamp_cosine(similarity));
}

/* The angle between two halfvecs of length 1, in units of pi. */
Datum
omendb_sql_halfvec_spherical_distance(PG_FUNCTION_ARGS)
{
	PG_RETURN_FLOAT8(acos(omendb_clamp_cosine(halfvec_dot(fcinfo))) / M_PI);
}

Datum
omendb_sql_halfvec_l1_distance(PG_FUNCTION_ARGS)
{
	HalfVector *a = PG_GETARG_HALFVEC_P(0);
	HalfVector *b = PG_GETARG_HALFVEC_P(1);

	omendb_check_same_dim(a->dim, b->dim, "halfvec");
	PG_RETURN_FLOAT8(omendb_kernels.l1_f16(a->x, b->x, a->dim));
}

/* ---------------------------------------------------------------- sparsevec */

/* The term of a sum for a pair of elements; an element that an operand does not have is 0. */
typedef double (*PairTerm)(double x, double y);

/* Sum of the terms over all indices of a and b. Inlined, so that `term` is not called. */
static pg_attribute_always_inline double
sum_over_pairs(SparseVector *a, SparseVector *b, PairTerm term)
{
	const float *ax = SPARSEVEC_VALUES(a);
	const float *bx = SPARSEVEC_VALUES(b);
	int i = 0;
	int j = 0;
	double sum = 0;

	omendb_check_same_dim(a->dim, b->dim, "sparsevec");
	while (i < a->nnz && j < b->nnz)
	{
		int32 index_a = a->indices[i];
		int32 index_b = b->indices[j];

		if (index_a == index_b)
			sum += term(ax[i++], bx[j++]);
		else if (index_a < index_b)
			sum += term(ax[i++], 0);
		else
			sum += term(0, bx[j++]);
	}
	while (i < a->nnz)
		sum += term(ax[i++], 0);
	while (j < b->nnz)
		sum += term(0, bx[j++]);
	return sum;
}

static pg_attribute_always_inline double
squared_difference(double x, double y)
{
	return (x - y) * (x - y);
}

static pg_attribute_always_inline double
product(double x, double y)
{
	return x * y;
}

static pg_attribute_always_inline double
absolute_difference(double x, double y)
{
	return fabs(x - y);
}

static double
sparsevec_l2sq(FunctionCallInfo fcinfo)
{
	return sum_over_pairs(PG_GETARG_SPARSEVEC_P(0), PG_GETARG_SPARSEVEC_P(1), squared_difference);
}

static double
sparsevec_dot(FunctionCallInfo fcinfo)
{
	return sum_over_pairs(PG_GETARG_SPARSEVEC_P(0), PG_GETARG_SPARSEVEC_P(1), product);
}

#define FN(name) omendb_sql_sparsevec_##name
#define L2SQ     sparsevec_l2sq
#define DOT      sparsevec_dot
#include "types/distance_template.h"

/* NaN where a sparsevec has length 0. */
Datum
omendb_sql_sparsevec_cosine_distance(PG_FUNCTION_ARGS)
{
	SparseVector *a = PG_GETARG_SPARSEVEC_P(0);
	SparseVector *b = PG_GETARG_SPARSEVEC_P(1);
	double cosine =
		sum_over_pairs(a, b, product) / sqrt(omendb_sparsevec_norm2(a) * omendb_sparsevec_norm2(b));

	PG_RETURN_FLOAT8(1 - omendb_clamp_cosine(cosine));
}

Datum
omendb_sql_sparsevec_l1_distance(PG_FUNCTION_ARGS)
{
	PG_RETURN_FLOAT8(
		sum_over_pairs(PG_GETARG_SPARSEVEC_P(0), PG_GETARG_SPARSEVEC_P(1), absolute_difference));
}

/* ---------------------------------------------------------------- bit */

/* Number of bits that differ. */
Datum
omendb_sql_hamming_distance(PG_FUNCTION_ARGS)
{
	VarBit *a = PG_GETARG_VARBIT_P(0);
	VarBit *b = PG_GETARG_VARBIT_P(1);

	omendb_check_same_bits(VARBITLEN(a), VARBITLEN(b));
	PG_RETURN_FLOAT8((double) omendb_kernels.hamming(VARBITS(a), VARBITS(b), VARBITBYTES(a)));
}

/* 1 - |a AND b| / |a OR b|; 1 if no bit is common, also if both are 0. */
Datum
omendb_sql_jaccard_distance(PG_FUNCTION_ARGS)
{
	VarBit *a = PG_GETARG_VARBIT_P(0);
	VarBit *b = PG_GETARG_VARBIT_P(1);
	OmendbBitOverlap bits;

	omendb_check_same_bits(VARBITLEN(a), VARBITLEN(b));
	bits = omendb_kernels.overlap(VARBITS(a), VARBITS(b), VARBITBYTES(a));
	if (bits.both == 0)
		PG_RETURN_FLOAT8(1);
	PG_RETURN_FLOAT8(1 - (double) bits.both / (double) bits.either);
}
