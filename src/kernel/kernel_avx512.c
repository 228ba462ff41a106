/*
 * kernel_avx512.c
 *	  The kernels for x86-64 with AVX-512 F, BW, DQ and VL, and with VNNI and
 *	  VPOPCNTDQ where the processor has them too.
 *
 * Only kernels that gain over AVX2; the table keeps AVX2's for the rest. The
 * half kernels widen to float: AVX-512 FP16 arithmetic would keep sums in 11
 * bits and overflow at 65504, so it does not serve distances.
 */
#include "kernel/kernel_tables.h"

#ifdef OMENDB_X86

#include <immintrin.h>

#define AVX512           "avx2,fma,f16c,popcnt,avx512f,avx512bw,avx512dq,avx512vl"
#define TARGET           __attribute__((target(AVX512)))
#define TARGET_VNNI      __attribute__((target(AVX512 ",avx512vnni")))
#define TARGET_VPOPCNTDQ __attribute__((target(AVX512 ",avx512vpopcntdq")))
#define INLINE           TARGET static inline __attribute__((always_inline))

#define VEC   __m512
#define LANES 16

INLINE VEC
vec_zero(void)
{
	return _mm512_setzero_ps();
}

INLINE VEC
vec_add(VEC x, VEC y)
{
	return _mm512_add_ps(x, y);
}

INLINE VEC
vec_fma(VEC x, VEC y, VEC acc)
{
	return _mm512_fmadd_ps(x, y, acc);
}

INLINE VEC
l2sq_step(VEC x, VEC y, VEC acc)
{
	VEC diff = _mm512_sub_ps(x, y);

	return _mm512_fmadd_ps(diff, diff, acc);
}

INLINE VEC
l1_step(VEC x, VEC y, VEC acc)
{
	return _mm512_add_ps(acc, _mm512_abs_ps(_mm512_sub_ps(x, y)));
}

INLINE float
vec_sum(VEC x)
{
	return _mm512_reduce_add_ps(x);
}

INLINE __mmask16
first_lanes(size_t k)
{
	return (__mmask16) ((1u << k) - 1);
}

INLINE VEC
load_f32(const float *p)
{
	return _mm512_loadu_ps(p);
}

INLINE VEC
load_part_f32(const float *p, size_t k)
{
	return _mm512_maskz_loadu_ps(first_lanes(k), p);
}

INLINE VEC
load_f16(const OmendbHalf *p)
{
	return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *) p));
}

INLINE VEC
load_part_f16(const OmendbHalf *p, size_t k)
{
	return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(first_lanes(k), p));
}

#define ELEM            float
#define KERNEL(name)    name##_f32
#define LOAD(p)         load_f32(p)
#define LOAD_PART(p, k) load_part_f32(p, k)
#include "kernel/dense_template.h"

#define ELEM            OmendbHalf
#define KERNEL(name)    name##_f16
#define LOAD(p)         load_f16(p)
#define LOAD_PART(p, k) load_part_f16(p, k)
#include "kernel/dense_template.h"

/* ---------------------------------------------------------------- int8 */

/* 32 int8 as int16; of the last block only what is there. */
INLINE __m512i
load_i8(const int8_t *p, size_t left)
{
	__mmask32 lanes = left >= 32 ? ~(__mmask32) 0 : (__mmask32) (((uint64_t) 1 << left) - 1);

	return _mm512_cvtepi8_epi16(_mm256_maskz_loadu_epi8(lanes, p));
}

INLINE __m512i
add_products(__m512i acc, __m512i x, __m512i y)
{
	return _mm512_add_epi32(acc, _mm512_madd_epi16(x, y));
}

#define I8_TARGET               TARGET
#define I8_KERNEL(name)         name##_i8
#define ADD_PRODUCTS(acc, x, y) add_products(acc, x, y)
#include "kernel/int8_avx512_template.h"

#define I8_TARGET               TARGET_VNNI
#define I8_KERNEL(name)         name##_i8_vnni
#define ADD_PRODUCTS(acc, x, y) _mm512_dpwssd_epi32(acc, x, y)
#include "kernel/int8_avx512_template.h"

/* ---------------------------------------------------------------- bits */

INLINE __m512i
load_bytes(const uint8_t *p, size_t left)
{
	__mmask64 lanes = left >= 64 ? ~(__mmask64) 0 : ((uint64_t) 1 << left) - 1;

	return _mm512_maskz_loadu_epi8(lanes, p);
}

TARGET_VPOPCNTDQ static uint64_t
hamming_vpopcntdq(const uint8_t *a, const uint8_t *b, size_t n)
{
	__m512i sum = _mm512_setzero_si512();

	for (size_t i = 0; i < n; i += 64)
	{
		__m512i x = _mm512_xor_si512(load_bytes(a + i, n - i), load_bytes(b + i, n - i));

		sum = _mm512_add_epi64(sum, _mm512_popcnt_epi64(x));
	}
	return (uint64_t) _mm512_reduce_add_epi64(sum);
}

TARGET_VPOPCNTDQ static OmendbBitOverlap
overlap_vpopcntdq(const uint8_t *a, const uint8_t *b, size_t n)
{
	__m512i both = _mm512_setzero_si512();
	__m512i either = _mm512_setzero_si512();
	OmendbBitOverlap result;

	for (size_t i = 0; i < n; i += 64)
	{
		__m512i x = load_bytes(a + i, n - i);
		__m512i y = load_bytes(b + i, n - i);

		both = _mm512_add_epi64(both, _mm512_popcnt_epi64(_mm512_and_si512(x, y)));
		either = _mm512_add_epi64(either, _mm512_popcnt_epi64(_mm512_or_si512(x, y)));
	}
	result.both = (uint64_t) _mm512_reduce_add_epi64(both);
	result.either = (uint64_t) _mm512_reduce_add_epi64(either);
	return result;
}

void
omendb_fill_avx512(OmendbKernels *table, unsigned features)
{
	table->l2sq_f32 = l2sq_f32;
	table->dot_f32 = dot_f32;
	table->cosine_f32 = cosine_f32;
	table->l1_f32 = l1_f32;
	table->l2sq_f16 = l2sq_f16;
	table->dot_f16 = dot_f16;
	table->cosine_f16 = cosine_f16;
	table->l1_f16 = l1_f16;
	table->l2sq_i8 = l2sq_i8;
	table->dot_i8 = dot_i8;
	table->cosine_i8 = cosine_i8;
	table->l1_i8 = l1_i8;
	if (features & OMENDB_CPU_VNNI)
	{
		table->l2sq_i8 = l2sq_i8_vnni;
		table->dot_i8 = dot_i8_vnni;
		table->cosine_i8 = cosine_i8_vnni;
		table->l1_i8 = l1_i8_vnni;
	}
	if (features & OMENDB_CPU_VPOPCNTDQ)
	{
		table->hamming = hamming_vpopcntdq;
		table->overlap = overlap_vpopcntdq;
	}
}

#endif /* OMENDB_X86 */
