/*
 * kernel_avx2.c
 *	  The kernels for x86-64 with AVX2, FMA, F16C and POPCNT (2013 on).
 *
 * Compiled everywhere by target attributes, called only where the processor has
 * the instructions. Loads are unaligned: PostgreSQL aligns a vector's elements
 * to 4 bytes.
 */
#include "kernel/kernel_tables.h"

#ifdef OMENDB_X86

#include "kernel/avx2.h"
#include "kernel/half.h"
#include "kernel/int12.h"

INLINE VEC
vec_zero(void)
{
	return _mm256_setzero_ps();
}

INLINE VEC
vec_add(VEC x, VEC y)
{
	return _mm256_add_ps(x, y);
}

INLINE VEC
vec_fma(VEC x, VEC y, VEC acc)
{
	return _mm256_fmadd_ps(x, y, acc);
}

INLINE VEC
l2sq_step(VEC x, VEC y, VEC acc)
{
	VEC diff = _mm256_sub_ps(x, y);

	return _mm256_fmadd_ps(diff, diff, acc);
}

INLINE VEC
l1_step(VEC x, VEC y, VEC acc)
{
	VEC diff = _mm256_sub_ps(x, y);

	return _mm256_add_ps(acc, _mm256_andnot_ps(_mm256_set1_ps(-0.0f), diff));
}

INLINE VEC
load_f32(const float *p)
{
	return _mm256_loadu_ps(p);
}

INLINE VEC
load_f16(const OmendbHalf *p)
{
	return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *) p));
}

INLINE VEC
load_part_f16(const OmendbHalf *p, size_t k)
{
	return _mm256_cvtph_ps(load_part(p, k * sizeof(OmendbHalf)));
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

INLINE VEC
widen_i8(__m128i x)
{
	return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(x));
}

INLINE VEC
load_f32_i8(const int8_t *p)
{
	return widen_i8(_mm_loadl_epi64((const __m128i *) p));
}

INLINE VEC
load_part_f32_i8(const int8_t *p, size_t k)
{
	return widen_i8(load_part(p, k));
}

OMENDB_REDUCTION(dot_f32_i8, vec_fma, float, load_f32, load_part_f32, int8_t, load_f32_i8,
				 load_part_f32_i8)

INLINE VEC
load_i16(const int16_t *p)
{
	return _mm256_cvtepi32_ps(_mm256_cvtepi16_epi32(_mm_loadu_si128((const __m128i *) p)));
}

INLINE VEC
load_part_i16(const int16_t *p, size_t k)
{
	return _mm256_cvtepi32_ps(_mm256_cvtepi16_epi32(load_part(p, k * sizeof(int16_t))));
}

INLINE VEC
vec_all(float x)
{
	return _mm256_set1_ps(x);
}

/*
 * The product rounded to float. The empty asm statement keeps the compiler from fusing the
 * multiplication with a following subtraction, without rounding.
 */
INLINE VEC
vec_product(VEC x, VEC y)
{
	VEC product = _mm256_mul_ps(x, y);

	__asm__("" : "+x"(product));
	return product;
}

INLINE VEC
vec_first(VEC x, size_t k)
{
	return _mm256_and_ps(x, _mm256_castsi256_ps(first_lanes(k)));
}

#include "kernel/int16_template.h"

/* ---------------------------------------------------------------- norms */

INLINE double
sum_pd(__m256d x)
{
	__m128d s = _mm_add_pd(_mm256_castpd256_pd128(x), _mm256_extractf128_pd(x, 1));

	return _mm_cvtsd_f64(_mm_add_sd(s, _mm_unpackhi_pd(s, s)));
}

/* Two registers of doubles have the elements of one register of floats. */
typedef struct WideSum
{
	__m256d low;
	__m256d high;
} WideSum;

INLINE WideSum
add_squares(WideSum sum, VEC x)
{
	__m256d l = _mm256_cvtps_pd(_mm256_castps256_ps128(x));
	__m256d h = _mm256_cvtps_pd(_mm256_extractf128_ps(x, 1));

	sum.low = _mm256_fmadd_pd(l, l, sum.low);
	sum.high = _mm256_fmadd_pd(h, h, sum.high);
	return sum;
}

#define NORM2(TYPE, SUFFIX)                                                                 \
	TARGET static double norm2_##SUFFIX(const TYPE *a, size_t n)                            \
	{                                                                                       \
		WideSum s0 = {_mm256_setzero_pd(), _mm256_setzero_pd()};                            \
		WideSum s1 = s0;                                                                    \
		size_t i = 0;                                                                       \
                                                                                            \
		for (; i + 2 * LANES <= n; i += 2 * LANES)                                          \
		{                                                                                   \
			s0 = add_squares(s0, load_##SUFFIX(a + i));                                     \
			s1 = add_squares(s1, load_##SUFFIX(a + i + LANES));                             \
		}                                                                                   \
		if (i + LANES <= n)                                                                 \
		{                                                                                   \
			s0 = add_squares(s0, load_##SUFFIX(a + i));                                     \
			i += LANES;                                                                     \
		}                                                                                   \
		if (i < n)                                                                          \
			s1 = add_squares(s1, load_part_##SUFFIX(a + i, n - i));                         \
		return sum_pd(                                                                      \
			_mm256_add_pd(_mm256_add_pd(s0.low, s0.high), _mm256_add_pd(s1.low, s1.high))); \
	}

NORM2(float, f32)
NORM2(OmendbHalf, f16)

#undef NORM2

TARGET static void
normalize_f32(const float *a, float *out, size_t n, double norm)
{
	__m256d divisor = _mm256_set1_pd(norm);
	size_t i = 0;

	for (; i + 4 <= n; i += 4)
	{
		__m256d x = _mm256_cvtps_pd(_mm_loadu_ps(a + i));

		_mm_storeu_ps(out + i, _mm256_cvtpd_ps(_mm256_div_pd(x, divisor)));
	}
	for (; i < n; i++)
		out[i] = (float) (a[i] / norm);
}

/* ---------------------------------------------------------------- conversions */

TARGET static void
half_to_float(const OmendbHalf *a, float *out, size_t n)
{
	size_t i = 0;

	for (; i + LANES <= n; i += LANES)
		_mm256_storeu_ps(out + i, load_f16(a + i));
	for (; i < n; i++)
		out[i] = omendb_half_to_float(a[i]);
}

TARGET static void
i16_to_float(const int16_t *b, float scale, float *out, size_t n)
{
	VEC factor = vec_all(scale);
	size_t i = 0;

	for (; i + LANES <= n; i += LANES)
		_mm256_storeu_ps(out + i, vec_product(load_i16(b + i), factor));
	for (; i < n; i++)
		out[i] = scale * (float) b[i];
}

TARGET static void
float_to_half(const float *a, OmendbHalf *out, size_t n)
{
	size_t i = 0;

	for (; i + LANES <= n; i += LANES)
		_mm_storeu_si128(
			(__m128i *) (out + i),
			_mm256_cvtps_ph(_mm256_loadu_ps(a + i), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
	for (; i < n; i++)
		out[i] = omendb_float_to_half(a[i]);
}

INLINE __m256i
load_high_parts(const uint8_t *p)
{
	return _mm256_slli_epi16(_mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *) p)), 4);
}

TARGET static void
i12_to_i16(const uint8_t *packed, int16_t *out, size_t n)
{
	const __m256i four_bits = _mm256_set1_epi16(15);
	size_t half = (n + 1) / 2;
	size_t i = 0;

	/* The second half has n / 2 elements, one less than the first if n is odd. */
	for (; i + 16 <= n / 2; i += 16)
	{
		__m256i low = _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *) (packed + n + i)));

		_mm256_storeu_si256(
			(__m256i *) (out + i),
			_mm256_or_si256(load_high_parts(packed + i), _mm256_and_si256(low, four_bits)));
		_mm256_storeu_si256(
			(__m256i *) (out + half + i),
			_mm256_or_si256(load_high_parts(packed + half + i), _mm256_srli_epi16(low, 4)));
	}
	omendb_unpack_i12(packed, out, n, i);
}

/* A byte of quantize. The lanes are reversed, because movemask puts lane 0 into the lowest bit. */
INLINE uint8_t
positive_byte(VEC x)
{
	VEC positive = _mm256_cmp_ps(x, _mm256_setzero_ps(), _CMP_GT_OQ);
	VEC reversed = _mm256_permutevar8x32_ps(positive, _mm256_setr_epi32(7, 6, 5, 4, 3, 2, 1, 0));

	return (uint8_t) _mm256_movemask_ps(reversed);
}

TARGET static void
quantize_f32(const float *a, uint8_t *out, size_t n)
{
	size_t i = 0;

	for (; i + LANES <= n; i += LANES)
		out[i / 8] = positive_byte(load_f32(a + i));
	if (i < n)
		out[i / 8] = positive_byte(load_part_f32(a + i, n - i));
}

TARGET static void
quantize_f16(const OmendbHalf *a, uint8_t *out, size_t n)
{
	size_t i = 0;

	for (; i + LANES <= n; i += LANES)
		out[i / 8] = positive_byte(load_f16(a + i));
	if (i < n)
		out[i / 8] = positive_byte(load_part_f16(a + i, n - i));
}

/* ---------------------------------------------------------------- int8 */

INLINE int32_t
sum_epi32(__m256i x)
{
	__m128i s = _mm_add_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));

	s = _mm_add_epi32(s, _mm_shuffle_epi32(s, _MM_SHUFFLE(1, 0, 3, 2)));
	s = _mm_add_epi32(s, _mm_shuffle_epi32(s, _MM_SHUFFLE(2, 3, 0, 1)));
	return _mm_cvtsi128_si32(s);
}

/* 16 int8 as int16; if less than 16 are left, then zeros. */
INLINE __m256i
load_i8(const int8_t *p, size_t left)
{
	return _mm256_cvtepi8_epi16(left >= 16 ? _mm_loadu_si128((const __m128i *) p)
										   : load_part(p, left));
}

INLINE __m256i
add_products(__m256i acc, __m256i x, __m256i y)
{
	return _mm256_add_epi32(acc, _mm256_madd_epi16(x, y));
}

TARGET static int32_t
l2sq_i8(const int8_t *a, const int8_t *b, size_t n)
{
	__m256i s0 = _mm256_setzero_si256();
	__m256i s1 = _mm256_setzero_si256();
	size_t i = 0;

	for (; i + 32 <= n; i += 32)
	{
		__m256i d0 = _mm256_sub_epi16(load_i8(a + i, 16), load_i8(b + i, 16));
		__m256i d1 = _mm256_sub_epi16(load_i8(a + i + 16, 16), load_i8(b + i + 16, 16));

		s0 = add_products(s0, d0, d0);
		s1 = add_products(s1, d1, d1);
	}
	for (; i < n; i += 16)
	{
		__m256i d = _mm256_sub_epi16(load_i8(a + i, n - i), load_i8(b + i, n - i));

		s0 = add_products(s0, d, d);
	}
	return sum_epi32(_mm256_add_epi32(s0, s1));
}

TARGET static int32_t
dot_i8(const int8_t *a, const int8_t *b, size_t n)
{
	__m256i s0 = _mm256_setzero_si256();
	__m256i s1 = _mm256_setzero_si256();
	size_t i = 0;

	for (; i + 32 <= n; i += 32)
	{
		s0 = add_products(s0, load_i8(a + i, 16), load_i8(b + i, 16));
		s1 = add_products(s1, load_i8(a + i + 16, 16), load_i8(b + i + 16, 16));
	}
	for (; i < n; i += 16)
		s0 = add_products(s0, load_i8(a + i, n - i), load_i8(b + i, n - i));
	return sum_epi32(_mm256_add_epi32(s0, s1));
}

typedef struct CosineSum
{
	__m256i dot;
	__m256i aa;
	__m256i bb;
} CosineSum;

INLINE CosineSum
add_cosine(CosineSum sum, __m256i x, __m256i y)
{
	sum.dot = add_products(sum.dot, x, y);
	sum.aa = add_products(sum.aa, x, x);
	sum.bb = add_products(sum.bb, y, y);
	return sum;
}

TARGET static OmendbCosineInt
cosine_i8(const int8_t *a, const int8_t *b, size_t n)
{
	__m256i zero = _mm256_setzero_si256();
	CosineSum sum = {zero, zero, zero};
	size_t i = 0;

	for (; i + 16 <= n; i += 16)
		sum = add_cosine(sum, load_i8(a + i, 16), load_i8(b + i, 16));
	if (i < n)
		sum = add_cosine(sum, load_i8(a + i, n - i), load_i8(b + i, n - i));
	return (OmendbCosineInt){
		.dot = sum_epi32(sum.dot), .norm2_a = sum_epi32(sum.aa), .norm2_b = sum_epi32(sum.bb)};
}

INLINE uint64_t
sum_epi64(__m256i x)
{
	__m128i s = _mm_add_epi64(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));

	return (uint64_t) _mm_cvtsi128_si64(s) + (uint64_t) _mm_extract_epi64(s, 1);
}

/* The left < 32 bytes from p, then zeros. */
INLINE __m256i
load_part_bytes(const void *p, size_t left)
{
	const uint8_t *bytes = p;

	if (left < 16)
		return _mm256_zextsi128_si256(load_part(bytes, left));
	return _mm256_set_m128i(load_part(bytes + 16, left - 16),
							_mm_loadu_si128((const __m128i *) bytes));
}

INLINE __m256i
load_bytes(const void *p)
{
	return _mm256_loadu_si256((const __m256i *) p);
}

/* Adds |x - y|. The instruction takes unsigned bytes, so 128 is added to both. */
INLINE __m256i
add_differences(__m256i acc, __m256i x, __m256i y)
{
	__m256i offset = _mm256_set1_epi8(-128);
	__m256i sums = _mm256_sad_epu8(_mm256_xor_si256(x, offset), _mm256_xor_si256(y, offset));

	return _mm256_add_epi64(acc, sums);
}

TARGET static int32_t
l1_i8(const int8_t *a, const int8_t *b, size_t n)
{
	__m256i sum = _mm256_setzero_si256();
	size_t i = 0;

	for (; i + 32 <= n; i += 32)
		sum = add_differences(sum, load_bytes(a + i), load_bytes(b + i));
	if (i < n)
		sum = add_differences(sum, load_part_bytes(a + i, n - i), load_part_bytes(b + i, n - i));
	return (int32_t) sum_epi64(sum);
}

/* ---------------------------------------------------------------- bits */

/*
 * Number of bits set in each 64-bit lane: two look-ups of four bits for each byte, then summed.
 * Source: W. Mula, N. Kurz, D. Lemire, "Faster Population Counts Using AVX2 Instructions", 2018,
 * section 3.2.
 */
INLINE __m256i
popcount_epi64(__m256i x)
{
	const __m256i table = _mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4, 0, 1, 1,
										   2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4);
	const __m256i four_bits = _mm256_set1_epi8(15);
	__m256i low = _mm256_and_si256(x, four_bits);
	__m256i high = _mm256_and_si256(_mm256_srli_epi16(x, 4), four_bits);
	__m256i count =
		_mm256_add_epi8(_mm256_shuffle_epi8(table, low), _mm256_shuffle_epi8(table, high));

	return _mm256_sad_epu8(count, _mm256_setzero_si256());
}

INLINE __m256i
add_differing(__m256i sum, __m256i x, __m256i y)
{
	return _mm256_add_epi64(sum, popcount_epi64(_mm256_xor_si256(x, y)));
}

INLINE uint64_t
differing(const uint8_t *a, const uint8_t *b, size_t n)
{
	__m256i sum = _mm256_setzero_si256();
	size_t i = 0;

	for (; i + 32 <= n; i += 32)
		sum = add_differing(sum, load_bytes(a + i), load_bytes(b + i));
	if (i < n)
		sum = add_differing(sum, load_part_bytes(a + i, n - i), load_part_bytes(b + i, n - i));
	return sum_epi64(sum);
}

TARGET static uint64_t
hamming(const uint8_t *a, const uint8_t *b, size_t n)
{
	return differing(a, b, n);
}

TARGET static void
hamming_rows(const uint8_t *a, const uint8_t *b, size_t n, size_t rows, uint32_t *out)
{
	for (size_t i = 0; i < rows; i++)
		out[i] = (uint32_t) differing(a, b + i * n, n);
}

typedef struct OverlapSum
{
	__m256i both;
	__m256i either;
} OverlapSum;

INLINE OverlapSum
add_overlap(OverlapSum sum, __m256i x, __m256i y)
{
	sum.both = _mm256_add_epi64(sum.both, popcount_epi64(_mm256_and_si256(x, y)));
	sum.either = _mm256_add_epi64(sum.either, popcount_epi64(_mm256_or_si256(x, y)));
	return sum;
}

TARGET static OmendbBitOverlap
overlap(const uint8_t *a, const uint8_t *b, size_t n)
{
	OverlapSum sum = {_mm256_setzero_si256(), _mm256_setzero_si256()};
	size_t i = 0;

	for (; i + 32 <= n; i += 32)
		sum = add_overlap(sum, load_bytes(a + i), load_bytes(b + i));
	if (i < n)
		sum = add_overlap(sum, load_part_bytes(a + i, n - i), load_part_bytes(b + i, n - i));
	return (OmendbBitOverlap){.both = sum_epi64(sum.both), .either = sum_epi64(sum.either)};
}

void
omendb_fill_avx2(OmendbKernels *table)
{
	*table = OMENDB_WHOLE_TABLE;
	omendb_fill_code_avx2(table);
	omendb_fill_block_avx2(table);
}

#endif /* OMENDB_X86 */
