/*
 * half.h
 *	  One IEEE 754 binary16 number to and from float, in integer arithmetic: the
 *	  reference for the conversion kernels and the tool for single values.
 *
 * binary16: 1 sign bit, 5 exponent bits (bias 15), 10 fraction bits; binary32:
 * 1, 8 (bias 127), 23. Source: IEEE 754-2019, 3.4 and 4.3.1.
 */
#ifndef OMENDB_HALF_H
#define OMENDB_HALF_H

#include <string.h>

#include "kernel/kernel.h"

#define OMENDB_HALF_INFINITY  0x7C00
#define OMENDB_HALF_MAGNITUDE 0x7FFF

static inline bool
omendb_half_is_nan(OmendbHalf h)
{
	return (h & OMENDB_HALF_MAGNITUDE) > OMENDB_HALF_INFINITY;
}

static inline bool
omendb_half_is_inf(OmendbHalf h)
{
	return (h & OMENDB_HALF_MAGNITUDE) == OMENDB_HALF_INFINITY;
}

/* Exact for every half; NaN becomes a quiet NaN. */
static inline float
omendb_half_to_float(OmendbHalf h)
{
	uint32_t sign = (uint32_t) (h & 0x8000) << 16;
	uint32_t exponent = (h >> 10) & 0x1F;
	uint32_t fraction = h & 0x3FF;
	uint32_t bits;
	float f;

	if (exponent == 0)
	{
		/* Zero or subnormal: fraction * 2^-24, which float holds exactly. */
		f = (float) fraction * 0x1p-24f;
		memcpy(&bits, &f, sizeof(bits));
		bits |= sign;
	}
	else if (exponent == 0x1F)
		bits = sign | 0x7F800000 | (fraction ? 0x400000 | (fraction << 13) : 0);
	else
		bits = sign | ((exponent + 127 - 15) << 23) | (fraction << 13);

	memcpy(&f, &bits, sizeof(f));
	return f;
}

/* Rounds to nearest, ties to even; an infinity for magnitudes from 65520 on. */
static inline OmendbHalf
omendb_float_to_half(float f)
{
	uint32_t bits;
	uint32_t sign;
	uint32_t magnitude;

	memcpy(&bits, &f, sizeof(bits));
	sign = (bits >> 16) & 0x8000;
	magnitude = bits & 0x7FFFFFFF;

	if (magnitude > 0x7F800000)
		return (OmendbHalf) (sign | 0x7E00); /* NaN */
	if (magnitude >= 0x477FF000)
		return (OmendbHalf) (sign | OMENDB_HALF_INFINITY); /* >= 65520 */

	if (magnitude < 0x38800000)
	{
		/*
		 * Below 2^-14: a multiple of 2^-24. Adding 0.5, whose last place is
		 * 2^-24, lets the processor round to that place; the fraction of the
		 * sum then is the half's. A carry into 2^-14 gives the right bits too.
		 */
		float positive;
		uint32_t sum;

		memcpy(&positive, &magnitude, sizeof(positive));
		positive += 0.5f;
		memcpy(&sum, &positive, sizeof(sum));
		return (OmendbHalf) (sign | (sum - 0x3F000000));
	}

	/*
	 * Normal: drop 13 bits, adding just under half of the last kept place, or
	 * exactly half where that place is odd. A carry runs into the exponent.
	 */
	magnitude += 0xFFF + ((magnitude >> 13) & 1);
	return (OmendbHalf) (sign | ((magnitude - ((uint32_t) (127 - 15) << 23)) >> 13));
}

#endif /* OMENDB_HALF_H */
