/*
 * autovec.c
 *	  Plain loops for bench/run to compile with -O3 -march=native -ffast-math:
 *	  what a compiler makes of them is the second reference, after the scalar
 *	  level. No part of omendb.
 */
#include <math.h>

#include "kernels.h"

static float
l2sq_f32(const float *a, const float *b, size_t n)
{
	float sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += (a[i] - b[i]) * (a[i] - b[i]);
	return sum;
}

static float
dot_f32(const float *a, const float *b, size_t n)
{
	float sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += a[i] * b[i];
	return sum;
}

static OmendbCosine
cosine_f32(const float *a, const float *b, size_t n)
{
	float dot = 0;
	float norm2_a = 0;
	float norm2_b = 0;

	for (size_t i = 0; i < n; i++)
	{
		dot += a[i] * b[i];
		norm2_a += a[i] * a[i];
		norm2_b += b[i] * b[i];
	}
	return (OmendbCosine){dot, norm2_a, norm2_b};
}

static float
l1_f32(const float *a, const float *b, size_t n)
{
	float sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += fabsf(a[i] - b[i]);
	return sum;
}

static int32_t
l2sq_i8(const int8_t *a, const int8_t *b, size_t n)
{
	int32_t sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += (a[i] - b[i]) * (a[i] - b[i]);
	return sum;
}

static int32_t
dot_i8(const int8_t *a, const int8_t *b, size_t n)
{
	int32_t sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += a[i] * b[i];
	return sum;
}

void
bench_fill_autovec(OmendbKernels *table)
{
	*table = (OmendbKernels){
		.l2sq_f32 = l2sq_f32,
		.dot_f32 = dot_f32,
		.cosine_f32 = cosine_f32,
		.l1_f32 = l1_f32,
		.l2sq_i8 = l2sq_i8,
		.dot_i8 = dot_i8,
	};
}
