/*
 * int12_template.h
 *	  The distance kernels of int12, written once for every instruction set.
 *
 * The two numbers that share a byte go through the registers together: LANES of the
 * first half of the vector and LANES of the second one. The including file defines,
 * besides what dense_template.h asks for:
 *	  load_f32(p), load_part_f32(p, k)	LANES floats from p, or k < LANES
 *	  first_i12(p, low), second_i12(p, low)	LANES numbers as floats: their upper bits
 *						from p, their lower ones in the lower or upper halves of
 *						the bytes from `low`
 *	  first_part_i12(p, low, k), second_part_i12(p, low, k)	k < LANES of them
 *	  vec_all(x)		x in all lanes
 *	  vec_product(x, y)	x * y rounded to float, whatever is done with it next
 *	  vec_first(x, k)	x in the first k lanes, 0 in the others
 *	  store_f32(p, x)	LANES floats to p
 */
#ifndef OMENDB_INT12_TEMPLATE_H
#define OMENDB_INT12_TEMPLATE_H

#include "kernel/int12.h"

/* An operand in float: its two halves' registers. */
typedef struct VecPair
{
	VEC first;
	VEC second;
} VecPair;

INLINE VecPair
pair_f32(const float *p, size_t n, size_t i)
{
	return (VecPair){load_f32(p + i), load_f32(p + n / 2 + i)};
}

INLINE VecPair
pair_part_f32(const float *p, size_t n, size_t i, size_t k)
{
	return (VecPair){load_part_f32(p + i, k), load_part_f32(p + n / 2 + i, k)};
}

INLINE VecPair
pair_i12(const uint8_t *p, size_t n, size_t i)
{
	return (VecPair){first_i12(p + i, p + n + i), second_i12(p + n / 2 + i, p + n + i)};
}

INLINE VecPair
pair_part_i12(const uint8_t *p, size_t n, size_t i, size_t k)
{
	return (VecPair){first_part_i12(p + i, p + n + i, k),
					 second_part_i12(p + n / 2 + i, p + n + i, k)};
}

/* The last number of an odd n. */
INLINE VEC
odd_i12(const uint8_t *p, size_t n)
{
	return first_part_i12(p + n - 1, p + n + n / 2, 1);
}

INLINE VecPair
scale_pair(VecPair x, VEC factor)
{
	return (VecPair){vec_product(x.first, factor), vec_product(x.second, factor)};
}

/* Lanes without an element are cleared: an infinite scale has made NaN of their 0. */
INLINE VecPair
scale_part(VecPair x, VEC factor, size_t k)
{
	VecPair scaled = scale_pair(x, factor);

	return (VecPair){vec_first(scaled.first, k), vec_first(scaled.second, k)};
}

#define SUM_PAIRS(STEP, A, B)                      \
	do                                             \
	{                                              \
		VecPair x = A;                             \
		VecPair y = B;                             \
                                                   \
		first = STEP(x.first, y.first, first);     \
		second = STEP(x.second, y.second, second); \
	} while (0)

/* Four accumulators hide the latency of the addition, as in reduction.h. */
#define INT12_BODY(STEP, A, PART_A, ODD_A, B, PART_B, ODD_B)                     \
	{                                                                            \
		VEC first = vec_zero();                                                  \
		VEC second = vec_zero();                                                 \
		VEC third = vec_zero();                                                  \
		VEC fourth = vec_zero();                                                 \
		size_t half = n / 2;                                                     \
		size_t i = 0;                                                            \
                                                                                 \
		for (; i + 2 * LANES <= half; i += 2 * LANES)                            \
		{                                                                        \
			VecPair x = A(i);                                                    \
			VecPair y = B(i);                                                    \
			VecPair z = A(i + LANES);                                            \
			VecPair w = B(i + LANES);                                            \
                                                                                 \
			first = STEP(x.first, y.first, first);                               \
			second = STEP(x.second, y.second, second);                           \
			third = STEP(z.first, w.first, third);                               \
			fourth = STEP(z.second, w.second, fourth);                           \
		}                                                                        \
		if (i + LANES <= half)                                                   \
		{                                                                        \
			SUM_PAIRS(STEP, A(i), B(i));                                         \
			i += LANES;                                                          \
		}                                                                        \
		if (i < half)                                                            \
			SUM_PAIRS(STEP, PART_A(i, half - i), PART_B(i, half - i));           \
		if (n % 2 != 0)                                                          \
			third = STEP(ODD_A, ODD_B, third);                                   \
		return vec_sum(vec_add(vec_add(first, second), vec_add(third, fourth))); \
	}

#define FLOAT_A(i)          pair_f32(a, n, i)
#define FLOAT_PART_A(i, k)  pair_part_f32(a, n, i, k)
#define FLOAT_ODD_A         load_part_f32(a + n - 1, 1)
#define INT_A(i)            pair_i12(a, n, i)
#define INT_PART_A(i, k)    pair_part_i12(a, n, i, k)
#define INT_ODD_A           odd_i12(a, n)
#define INT_B(i)            pair_i12(b, n, i)
#define INT_PART_B(i, k)    pair_part_i12(b, n, i, k)
#define INT_ODD_B           odd_i12(b, n)
#define SCALED_A(i)         scale_pair(pair_i12(a, n, i), factor_a)
#define SCALED_PART_A(i, k) scale_part(pair_part_i12(a, n, i, k), factor_a, k)
#define SCALED_ODD_A        vec_first(vec_product(odd_i12(a, n), factor_a), 1)
#define SCALED_B(i)         scale_pair(pair_i12(b, n, i), factor_b)
#define SCALED_PART_B(i, k) scale_part(pair_part_i12(b, n, i, k), factor_b, k)
#define SCALED_ODD_B        vec_first(vec_product(odd_i12(b, n), factor_b), 1)

TARGET static float
l2sq_f32_i12(const float *a, const uint8_t *b, float scale, size_t n)
{
	VEC factor_b = vec_all(scale);

	INT12_BODY(l2sq_step, FLOAT_A, FLOAT_PART_A, FLOAT_ODD_A, SCALED_B, SCALED_PART_B, SCALED_ODD_B)
}

TARGET static float
l2sq_i12(const uint8_t *a, float scale_a, const uint8_t *b, float scale_b, size_t n)
{
	VEC factor_a = vec_all(scale_a);
	VEC factor_b = vec_all(scale_b);

	INT12_BODY(l2sq_step, SCALED_A, SCALED_PART_A, SCALED_ODD_A, SCALED_B, SCALED_PART_B,
			   SCALED_ODD_B)
}

TARGET static float
dot_f32_i12(const float *a, const uint8_t *b, size_t n)
	INT12_BODY(vec_fma, FLOAT_A, FLOAT_PART_A, FLOAT_ODD_A, INT_B, INT_PART_B, INT_ODD_B)

		TARGET static float dot_i12(const uint8_t *a, const uint8_t *b, size_t n)
			INT12_BODY(vec_fma, INT_A, INT_PART_A, INT_ODD_A, INT_B, INT_PART_B, INT_ODD_B)

				TARGET static void i12_to_float(const uint8_t *b, float scale, float *out, size_t n)
{
	VEC factor = vec_all(scale);
	size_t half = n / 2;
	size_t i = 0;

	for (; i + LANES <= half; i += LANES)
	{
		VecPair x = scale_pair(pair_i12(b, n, i), factor);

		store_f32(out + i, x.first);
		store_f32(out + half + i, x.second);
	}
	for (; i < half; i++)
	{
		out[i] = scale * (float) omendb_int12_get(b, n, i);
		out[half + i] = scale * (float) omendb_int12_get(b, n, half + i);
	}
	if (n % 2 != 0)
		out[n - 1] = scale * (float) omendb_int12_get(b, n, n - 1);
}

#undef FLOAT_A
#undef FLOAT_PART_A
#undef FLOAT_ODD_A
#undef INT_A
#undef INT_PART_A
#undef INT_ODD_A
#undef INT_B
#undef INT_PART_B
#undef INT_ODD_B
#undef SCALED_A
#undef SCALED_PART_A
#undef SCALED_ODD_A
#undef SCALED_B
#undef SCALED_PART_B
#undef SCALED_ODD_B
#undef INT12_BODY
#undef SUM_PAIRS

#endif /* OMENDB_INT12_TEMPLATE_H */
