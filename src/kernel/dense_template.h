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
 * Four accumulators hide the latency of the addition; the tail's zero lanes add
 * nothing to any of the sums.
 */

#define REDUCTION(name, STEP)                                                \
	TARGET static float KERNEL(name)(const ELEM *a, const ELEM *b, size_t n) \
	{                                                                        \
		VEC s0 = vec_zero();                                                 \
		VEC s1 = vec_zero();                                                 \
		VEC s2 = vec_zero();                                                 \
		VEC s3 = vec_zero();                                                 \
		size_t i = 0;                                                        \
                                                                             \
		for (; i + 4 * LANES <= n; i += 4 * LANES)                           \
		{                                                                    \
			s0 = STEP(LOAD(a + i), LOAD(b + i), s0);                         \
			s1 = STEP(LOAD(a + i + LANES), LOAD(b + i + LANES), s1);         \
			s2 = STEP(LOAD(a + i + 2 * LANES), LOAD(b + i + 2 * LANES), s2); \
			s3 = STEP(LOAD(a + i + 3 * LANES), LOAD(b + i + 3 * LANES), s3); \
		}                                                                    \
		for (; i + LANES <= n; i += LANES)                                   \
			s0 = STEP(LOAD(a + i), LOAD(b + i), s0);                         \
		if (i < n)                                                           \
			s1 = STEP(LOAD_PART(a + i, n - i), LOAD_PART(b + i, n - i), s1); \
		return vec_sum(vec_add(vec_add(s0, s1), vec_add(s2, s3)));           \
	}

REDUCTION(l2sq, l2sq_step)
REDUCTION(dot, vec_fma)
REDUCTION(l1, l1_step)

#undef REDUCTION

TARGET static OmendbCosine
KERNEL(cosine)(const ELEM *a, const ELEM *b, size_t n)
{
	VEC dot0 = vec_zero();
	VEC dot1 = vec_zero();
	VEC aa0 = vec_zero();
	VEC aa1 = vec_zero();
	VEC bb0 = vec_zero();
	VEC bb1 = vec_zero();
	size_t i = 0;
	OmendbCosine result;

	for (; i + 2 * LANES <= n; i += 2 * LANES)
	{
		VEC x0 = LOAD(a + i);
		VEC y0 = LOAD(b + i);
		VEC x1 = LOAD(a + i + LANES);
		VEC y1 = LOAD(b + i + LANES);

		dot0 = vec_fma(x0, y0, dot0);
		aa0 = vec_fma(x0, x0, aa0);
		bb0 = vec_fma(y0, y0, bb0);
		dot1 = vec_fma(x1, y1, dot1);
		aa1 = vec_fma(x1, x1, aa1);
		bb1 = vec_fma(y1, y1, bb1);
	}
	while (i < n)
	{
		size_t left = n - i;
		VEC x = left >= LANES ? LOAD(a + i) : LOAD_PART(a + i, left);
		VEC y = left >= LANES ? LOAD(b + i) : LOAD_PART(b + i, left);

		dot0 = vec_fma(x, y, dot0);
		aa0 = vec_fma(x, x, aa0);
		bb0 = vec_fma(y, y, bb0);
		i += LANES;
	}
	result.dot = vec_sum(vec_add(dot0, dot1));
	result.norm2_a = vec_sum(vec_add(aa0, aa1));
	result.norm2_b = vec_sum(vec_add(bb0, bb1));
	return result;
}

#undef ELEM
#undef KERNEL
#undef LOAD
#undef LOAD_PART
