/*
 * reduction.h
 *	  A sum over two operands, written once for every instruction set, for
 *	  operands of one element type or two. dense_template.h says what the
 *	  including file provides besides the arguments:
 *
 *	  NAME				the function to define
 *	  STEP(x, y, acc)	one register's part of the sum
 *	  TYPE_A, LOAD_A(p), PART_A(p, k)	operand a: its elements, and how LANES or
 *						k < LANES of them get into a register, widened to float
 *	  TYPE_B, ...		the same for b
 *
 * OMENDB_REDUCTION_BODY is the body alone, for a function that has operands a
 * and b of n elements and other parameters besides.
 *
 * Four accumulators hide the latency of the addition. Lanes of the tail without an element are 0
 * and add nothing.
 */
#ifndef OMENDB_REDUCTION_H
#define OMENDB_REDUCTION_H

#define OMENDB_REDUCTION_BODY(STEP, LOAD_A, PART_A, LOAD_B, PART_B)              \
	{                                                                            \
		VEC s0 = vec_zero();                                                     \
		VEC s1 = vec_zero();                                                     \
		VEC s2 = vec_zero();                                                     \
		VEC s3 = vec_zero();                                                     \
		size_t i = 0;                                                            \
                                                                                 \
		for (; i + 4 * LANES <= n; i += 4 * LANES)                               \
		{                                                                        \
			s0 = STEP(LOAD_A(a + i), LOAD_B(b + i), s0);                         \
			s1 = STEP(LOAD_A(a + i + LANES), LOAD_B(b + i + LANES), s1);         \
			s2 = STEP(LOAD_A(a + i + 2 * LANES), LOAD_B(b + i + 2 * LANES), s2); \
			s3 = STEP(LOAD_A(a + i + 3 * LANES), LOAD_B(b + i + 3 * LANES), s3); \
		}                                                                        \
		for (; i + LANES <= n; i += LANES)                                       \
			s0 = STEP(LOAD_A(a + i), LOAD_B(b + i), s0);                         \
		if (i < n)                                                               \
			s1 = STEP(PART_A(a + i, n - i), PART_B(b + i, n - i), s1);           \
		return vec_sum(vec_add(vec_add(s0, s1), vec_add(s2, s3)));               \
	}

#define OMENDB_REDUCTION(NAME, STEP, TYPE_A, LOAD_A, PART_A, TYPE_B, LOAD_B, PART_B) \
	TARGET static float NAME(const TYPE_A *a, const TYPE_B *b, size_t n)             \
		OMENDB_REDUCTION_BODY(STEP, LOAD_A, PART_A, LOAD_B, PART_B)

#endif /* OMENDB_REDUCTION_H */
