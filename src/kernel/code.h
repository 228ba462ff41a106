/*
 * code.h
 *	  What the instruction-set files of the code kernels share.
 */
#ifndef OMENDB_CODE_H
#define OMENDB_CODE_H

#include <float.h>
#include <math.h>

#include "kernel/kernel.h"
#include "kernel/unroll.h"

/*
 * Codes are made of integers, so that they are the same at every level. Elements are scaled by a
 * power of two to OMENDB_ELEMENT_MOST at most. What is compared to find the nearest codeword z is
 *
 *		8 (|<r, c>| - bias) + 7 - z
 *
 * so that one maximum gives both the least distance and, of equals, the first codeword. Eight
 * times a codeword and the elements fit 16 bits, and the tables of a query are made of the same
 * products in floats: below 2^24 they have no rounding, whatever the order.
 */
#define OMENDB_ELEMENT_MOST 512
#define OMENDB_ELEMENT_BITS 9

_Static_assert(8 * OMENDB_ELEMENT_MOST * OMENDB_GROUP_ELEMENTS * 4 * OMENDB_CODEBOOK_UNIT < 1 << 24,
			   "products of a group with codewords below 4 deviations are exact");
_Static_assert((int64_t) OMENDB_ELEMENT_MOST *OMENDB_PLAN_MAX_GROUPS *OMENDB_GROUP_ELEMENTS <=
				   1 << 24,
			   "the sum of all magnitudes is exact");

/*
 * Elements of a query are scaled to that many times OMENDB_ELEMENT_MOST: their products are not
 * multiplied by 8, so they are exact, too.
 */
#define OMENDB_QUERY_ELEMENTS 8

/* The power of two for elements of that largest magnitude; 1 for 0, and what is not finite. */
static inline float
omendb_element_scale(float largest)
{
	int exponent;

	if (!(largest > 0) || !(largest <= FLT_MAX))
		return 1;
	frexpf(largest, &exponent);
	exponent = OMENDB_ELEMENT_BITS - exponent;
	return ldexpf(1, exponent > 126 ? 126 : exponent);
}

/*
 * What is added to eight times the magnitude of codeword z's product with a group. The bias is
 * half the codeword's squared length, in the units of the elements, whose mean magnitude is
 * `mean`; that of a normal distribution is 1.2533 times its deviation.
 */
static inline int32_t
omendb_codeword_offset(float mean, float norm2, int z)
{
	float deviation = mean * 1.2533141f;
	float bias = deviation * norm2 * (0.5f / OMENDB_CODEBOOK_UNIT);

	/* Finite elements give less than this bound. NaN and infinity become the bound. */
	if (!(bias < 1 << 24))
		bias = 1 << 24;
	return 7 - z - 8 * (int32_t) lrintf(bias);
}

/*
 * The step of lut_f32's tables, given the largest product of a codeword, for that many tables:
 * a table spans twice that.
 */
static inline float
omendb_lut_step(float largest, uint32_t tables)
{
	uint32_t limit = tables == 0 ? 255 : 65535 / tables;
	float step = largest / (0.5f * (float) (limit < 255 ? limit : 255));

	return step > 0 ? step : 1;
}

/* By which products are multiplied: 0, for tables of 0, where a product is no number. */
static inline float
omendb_lut_inverse(float step, double sum)
{
	return sum < FLT_MAX ? 1 / step : 0;
}

/* Also where fewer elements than a register has are to be transformed. */
static inline void
omendb_hadamard_plain(float *x, size_t n)
{
	for (size_t half = 1; half < n; half *= 2)
		for (size_t i = 0; i < n; i += 2 * half)
			for (size_t j = i; j < i + half; j++)
			{
				float a = x[j];
				float b = x[j + half];

				x[j] = a + b;
				x[j + half] = a - b;
			}
}

#endif /* OMENDB_CODE_H */
