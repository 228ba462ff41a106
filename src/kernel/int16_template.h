/*
 * int16_template.h
 *	  The distance kernels of int16, written once for every instruction set.
 *
 * The including file defines, besides what dense_template.h asks for:
 *	  load_f32(p), load_part_f32(p, k)	LANES floats from p, or k < LANES
 *	  load_i16(p), load_part_i16(p, k)	the same of int16, widened to float
 *	  vec_all(x)		x in all lanes
 *	  vec_product(x, y)	x * y rounded to float, whatever is done with it next
 *	  vec_first(x, k)	x in the first k lanes, 0 in the others
 */
#ifndef OMENDB_INT16_TEMPLATE_H
#define OMENDB_INT16_TEMPLATE_H

#include "kernel/reduction.h"

/* Lanes without an element are cleared: with an infinite scale their 0 has become NaN. */
#define SCALED_A(p)         vec_product(load_i16(p), factor_a)
#define SCALED_B(p)         vec_product(load_i16(p), factor_b)
#define SCALED_PART_A(p, k) vec_first(vec_product(load_part_i16(p, k), factor_a), k)
#define SCALED_PART_B(p, k) vec_first(vec_product(load_part_i16(p, k), factor_b), k)

TARGET static float
l2sq_f32_i16(const float *a, const int16_t *b, float scale, size_t n)
{
	VEC factor_b = vec_all(scale);

	OMENDB_REDUCTION_BODY(l2sq_step, load_f32, load_part_f32, SCALED_B, SCALED_PART_B)
}

TARGET static float
l2sq_i16(const int16_t *a, float scale_a, const int16_t *b, float scale_b, size_t n)
{
	VEC factor_a = vec_all(scale_a);
	VEC factor_b = vec_all(scale_b);

	OMENDB_REDUCTION_BODY(l2sq_step, SCALED_A, SCALED_PART_A, SCALED_B, SCALED_PART_B)
}

OMENDB_REDUCTION(dot_f32_i16, vec_fma, float, load_f32, load_part_f32, int16_t, load_i16,
				 load_part_i16)
OMENDB_REDUCTION(dot_i16, vec_fma, int16_t, load_i16, load_part_i16, int16_t, load_i16,
				 load_part_i16)

#undef SCALED_A
#undef SCALED_B
#undef SCALED_PART_A
#undef SCALED_PART_B

#endif /* OMENDB_INT16_TEMPLATE_H */
