/*
 * code.h
 *	  What the kernels of codes (residual_code, lut_f32, hadamard) share at every level.
 */
#ifndef OMENDB_CODE_H
#define OMENDB_CODE_H

#include <float.h>
#include <math.h>

#include "kernel/kernel.h"
#include "kernel/unroll.h"

/*
 * Codes are computed in integers, so that they are the same at every level. The elements of a
 * residual are scaled by a power of two, to magnitudes of OMENDB_MAX_ELEMENT or less, and rounded.
 * The nearest codeword to r is the one with the largest
 *
 *		8 (|<r, c>| - bias) + 7 - z,  bias = |c|^2 / 2
 *
 * where z is the codeword's number: of equal distances the first codeword wins, and z is the
 * maximum modulo 8. 8 c[i] and r[i] fit 16 bits. The tables of a query are the same products in
 * float, which are below 2^24: exact in any order.
 */
#define OMENDB_MAX_ELEMENT  512
#define OMENDB_ELEMENT_BITS 9 /* 2^9 is OMENDB_MAX_ELEMENT */

_Static_assert(8 * OMENDB_MAX_ELEMENT * OMENDB_GROUP_ELEMENTS * 4 * OMENDB_CODEBOOK_UNIT < 1 << 24,
			   "products of a group with codewords below 4 deviations are exact");
_Static_assert((int64_t) OMENDB_MAX_ELEMENT *OMENDB_PLAN_MAX_GROUPS *OMENDB_GROUP_ELEMENTS <=
				   1 << 24,
			   "the sum of all magnitudes is exact");

/*
 * Elements of a query are scaled to this many times OMENDB_MAX_ELEMENT. Their products are not
 * multiplied by 8, so they are below 2^24, too.
 */
#define OMENDB_QUERY_ELEMENTS 8

/* The power of two that scales elements, by their largest magnitude; 1 if it is 0 or not finite. */
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
 * -8 * bias + 7 - z for codeword z, of squared length norm2 in units of the codebook. mean: mean
 * magnitude of the scaled elements. The deviation of a normal distribution is 1.2533 times its mean
 * magnitude, and one deviation is OMENDB_CODEBOOK_UNIT units of the codebook.
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
 * The step of lut_f32's tables. largest: the largest product of a codeword with a group; a table
 * spans -largest to largest. An entry is at most 255, and the entries of `tables` tables sum up to
 * 65535 or less.
 */
static inline float
omendb_lut_step(float largest, uint32_t tables)
{
	uint32_t limit = tables == 0 ? 255 : 65535 / tables;
	float step = largest / (0.5f * (float) (limit < 255 ? limit : 255));

	return step > 0 ? step : 1;
}

/* The factor of products: 1 / step, or 0 if the sum of the products is NaN or infinite. */
static inline float
omendb_lut_inverse(float step, double sum)
{
	return sum < FLT_MAX ? 1 / step : 0;
}

/* hadamard in plain C; the levels use it for n below the elements of a register. */
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
