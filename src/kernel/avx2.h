/*
 * avx2.h
 *	  What the files for x86-64 with AVX2, FMA, F16C and POPCNT share.
 */
#ifndef OMENDB_AVX2_H
#define OMENDB_AVX2_H

#include <immintrin.h>

#include "kernel/tail.h"

#define TARGET __attribute__((target("avx2,fma,f16c,popcnt")))
#define INLINE TARGET static inline __attribute__((always_inline))

#define VEC   __m256
#define LANES 8

/* The 8 ints from index 8 - k on are -1 k times, then 0. */
static const int32_t tail_mask[16] = {-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0};

/* A mask of the first k lanes, k <= 8. */
INLINE __m256i
first_lanes(size_t k)
{
	return _mm256_loadu_si256((const __m256i *) (tail_mask + 8 - k));
}

INLINE float
vec_sum(VEC x)
{
	__m128 s = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));

	s = _mm_add_ps(s, _mm_movehl_ps(s, s));
	s = _mm_add_ss(s, _mm_movehdup_ps(s));
	return _mm_cvtss_f32(s);
}

INLINE VEC
load_part_f32(const float *p, size_t k)
{
	return _mm256_maskload_ps(p, first_lanes(k));
}

/* The n < 16 bytes from p, then zeros. */
INLINE __m128i
load_part(const void *p, size_t n)
{
	OmendbTail tail = omendb_load_tail(p, n);

	return _mm_set_epi64x((long long) tail.high, (long long) tail.low);
}

#endif /* OMENDB_AVX2_H */
