/*
 * dense_template.h
 *	  The dense float-accumulating distance kernels, written once for every
 *	  instruction set and element type. No include guard: an instruction-set
 *	  file includes it once for each element type.
 *
 * The including file defines, undone at the end of this one:
 *	  ELEM				element type: float or OmendbHalf
 *	  KERNEL(name)		the function's name for this type
 *	  LOAD(p)			LANES elements from p, widened to float, as a VEC
 *	  LOAD_PART(p, k)	k < LANES elements, 0 in the other lanes; reads no more
 * and, once for both types:
 *	  TARGET			function attribute naming the instructions
 *	  VEC, LANES		register of floats, how many
 *	  vec_zero(), vec_add(x, y), vec_sum(x)
 *	  vec_fma(x, y, acc)	x * y + acc
 *	  l2sq_step(x, y, acc)	(x - y)^2 + acc
 *	  l1_step(x, y, acc)	|x - y| + acc
 *
 */
#include "kernel/reduction.h"

#define REDUCTION(name, STEP) \
	OMENDB_REDUCTION(KERNEL(name), STEP, ELEM, LOAD, LOAD_PART, ELEM, LOAD, LOAD_PART)

REDUCTION(l2sq, l2sq_step)
REDUCTION(dot, vec_fma)
REDUCTION(l1, l1_step)

#undef REDUCTION

#define COSINE_STEP(k, X, Y)            \
	do                                  \
	{                                   \
		VEC x = X;                      \
		VEC y = Y;                      \
                                        \
		dot[k] = vec_fma(x, y, dot[k]); \
		aa[k] = vec_fma(x, x, aa[k]);   \
		bb[k] = vec_fma(y, y, bb[k]);   \
	} while (0)

#define SUM4(s) vec_sum(vec_add(vec_add((s)[0], (s)[1]), vec_add((s)[2], (s)[3])))

TARGET static OmendbCosine
KERNEL(cosine)(const ELEM *a, const ELEM *b, size_t n)
{
	VEC dot[4] = {vec_zero(), vec_zero(), vec_zero(), vec_zero()};
	VEC aa[4] = {vec_zero(), vec_zero(), vec_zero(), vec_zero()};
	VEC bb[4] = {vec_zero(), vec_zero(), vec_zero(), vec_zero()};
	size_t i = 0;

	for (; i + 4 * LANES <= n; i += 4 * LANES)
	{
		COSINE_STEP(0, LOAD(a + i), LOAD(b + i));
		COSINE_STEP(1, LOAD(a + i + LANES), LOAD(b + i + LANES));
		COSINE_STEP(2, LOAD(a + i + 2 * LANES), LOAD(b + i + 2 * LANES));
		COSINE_STEP(3, LOAD(a + i + 3 * LANES), LOAD(b + i + 3 * LANES));
	}
	for (; i + LANES <= n; i += LANES)
		COSINE_STEP(0, LOAD(a + i), LOAD(b + i));
	if (i < n)
		COSINE_STEP(1, LOAD_PART(a + i, n - i), LOAD_PART(b + i, n - i));
	return (OmendbCosine){.dot = SUM4(dot), .norm2_a = SUM4(aa), .norm2_b = SUM4(bb)};
}

#undef SUM4
#undef COSINE_STEP
#undef ELEM
#undef KERNEL
#undef LOAD
#undef LOAD_PART
