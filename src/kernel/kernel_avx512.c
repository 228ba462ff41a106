/*
 * kernel_avx512.c
 *	  The kernels for x86-64 with AVX-512 F, BW, DQ and VL, and with VNNI and VPOPCNTDQ if the
 *	  processor has them.
 *
 * Only kernels that are faster than those of AVX2 (bench/README.md, "The kernels"); the table keeps
 * AVX2's for the rest. There are no kernels of two halves here: widening to one register of 512 bits
 * was slower than to two of 256, and arithmetic of AVX-512 FP16 would keep sums in 11 bits and
 * overflow at 65504. The distances of int16 are 2 to 16 % faster than AVX2's in cache, with 100 to
 * 784 elements.
 */
#include "kernel/kernel_tables.h"

#ifdef OMENDB_X86

#include "kernel/avx512.h"

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

#define ELEM            float
#define KERNEL(name)    name##_f32
#define LOAD(p)         load_f32(p)
#define LOAD_PART(p, k) load_part_f32(p, k)
#include "kernel/dense_template.h"

INLINE VEC
widen_i8(__m128i x)
{
	return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(x));
}

INLINE VEC
load_f32_i8(const int8_t *p)
{
	return widen_i8(_mm_loadu_si128((const __m128i *) p));
}

INLINE VEC
load_part_f32_i8(const int8_t *p, size_t k)
{
	return widen_i8(_mm_maskz_loadu_epi8(first_lanes(k), p));
}

OMENDB_REDUCTION(dot_f32_i8, vec_fma, float, load_f32, load_part_f32, int8_t, load_f32_i8,
				 load_part_f32_i8)

INLINE VEC
load_i16(const int16_t *p)
{
	return _mm512_cvtepi32_ps(_mm512_cvtepi16_epi32(_mm256_loadu_si256((const __m256i *) p)));
}

INLINE VEC
load_part_i16(const int16_t *p, size_t k)
{
	return _mm512_cvtepi32_ps(_mm512_cvtepi16_epi32(_mm256_maskz_loadu_epi16(first_lanes(k), p)));
}

INLINE VEC
vec_all(float x)
{
	return _mm512_set1_ps(x);
}

/*
 * The product rounded to float. The empty asm statement keeps the compiler from fusing the
 * multiplication with a following subtraction, without rounding.
 */
INLINE VEC
vec_product(VEC x, VEC y)
{
	VEC product = _mm512_mul_ps(x, y);

	__asm__("" : "+v"(product));
	return product;
}

INLINE VEC
vec_first(VEC x, size_t k)
{
	return _mm512_maskz_mov_ps(first_lanes(k), x);
}

#include "kernel/int16_template.h"

/* ---------------------------------------------------------------- int8 */

/* The left < 64 bytes from p, then zeros. */
INLINE __m512i
load_part_bytes(const void *p, size_t left)
{
	return _mm512_maskz_loadu_epi8(((uint64_t) 1 << left) - 1, p);
}

INLINE __m512i
load_bytes(const void *p)
{
	return _mm512_loadu_si512(p);
}

/* Bytes with 128 added: -128 to 127 become 0 to 255. */
INLINE __m512i
plus_128(__m512i x)
{
	return _mm512_xor_si512(x, _mm512_set1_epi8(-128));
}

/* Adds four products to each lane of 32 bits. x is unsigned bytes, y signed ones. */
INLINE_VNNI __m512i
add_products(__m512i acc, __m512i x, __m512i y)
{
	return _mm512_dpbusd_epi32(acc, x, y);
}

/*
 * The sum of products, where 128 was added to the unsigned factor. That added 128 times the sum of
 * the other factor, which is subtracted here.
 */
INLINE int32_t
sum_products(__m512i products, __m512i other_factor)
{
	__m512i excess = _mm512_slli_epi32(other_factor, 7);

	return _mm512_reduce_add_epi32(_mm512_sub_epi32(products, excess));
}

typedef struct ProductSum
{
	__m512i products;
	__m512i other_factor;
} ProductSum;

INLINE_VNNI ProductSum
add_dot(ProductSum sum, __m512i x, __m512i y)
{
	sum.products = add_products(sum.products, plus_128(x), y);
	sum.other_factor = add_products(sum.other_factor, _mm512_set1_epi8(1), y);
	return sum;
}

TARGET_VNNI static int32_t
dot_i8_vnni(const int8_t *a, const int8_t *b, size_t n)
{
	ProductSum sum = {_mm512_setzero_si512(), _mm512_setzero_si512()};
	size_t i = 0;

	for (; i + 64 <= n; i += 64)
		sum = add_dot(sum, load_bytes(a + i), load_bytes(b + i));
	if (i < n)
		sum = add_dot(sum, load_part_bytes(a + i, n - i), load_part_bytes(b + i, n - i));
	return sum_products(sum.products, sum.other_factor);
}

/*
 * d = |x - y| has eight bits, so it is the unsigned factor: d * d = d * (d - 128) + 128 * d. As a
 * signed byte, d - 128 has the bits of plus_128(d).
 */
INLINE_VNNI ProductSum
add_squares(ProductSum sum, __m512i x, __m512i y)
{
	__m512i d = _mm512_sub_epi8(_mm512_max_epi8(x, y), _mm512_min_epi8(x, y));

	sum.products = add_products(sum.products, d, plus_128(d));
	sum.other_factor = add_products(sum.other_factor, d, _mm512_set1_epi8(-1));
	return sum;
}

TARGET_VNNI static int32_t
l2sq_i8_vnni(const int8_t *a, const int8_t *b, size_t n)
{
	ProductSum sum = {_mm512_setzero_si512(), _mm512_setzero_si512()};
	size_t i = 0;

	for (; i + 64 <= n; i += 64)
		sum = add_squares(sum, load_bytes(a + i), load_bytes(b + i));
	if (i < n)
		sum = add_squares(sum, load_part_bytes(a + i, n - i), load_part_bytes(b + i, n - i));
	return sum_products(sum.products, sum.other_factor);
}

typedef struct CosineSum
{
	__m512i dot;
	__m512i aa;
	__m512i bb;
	__m512i a;
	__m512i b;
} CosineSum;

INLINE_VNNI CosineSum
add_cosine(CosineSum sum, __m512i x, __m512i y)
{
	__m512i ones = _mm512_set1_epi8(1);

	sum.dot = add_products(sum.dot, plus_128(x), y);
	sum.aa = add_products(sum.aa, plus_128(x), x);
	sum.bb = add_products(sum.bb, plus_128(y), y);
	sum.a = add_products(sum.a, ones, x);
	sum.b = add_products(sum.b, ones, y);
	return sum;
}

TARGET_VNNI static OmendbCosineInt
cosine_i8_vnni(const int8_t *a, const int8_t *b, size_t n)
{
	__m512i zero = _mm512_setzero_si512();
	CosineSum sum = {zero, zero, zero, zero, zero};
	size_t i = 0;

	for (; i + 64 <= n; i += 64)
		sum = add_cosine(sum, load_bytes(a + i), load_bytes(b + i));
	if (i < n)
		sum = add_cosine(sum, load_part_bytes(a + i, n - i), load_part_bytes(b + i, n - i));
	return (OmendbCosineInt){
		.dot = sum_products(sum.dot, sum.b),
		.norm2_a = sum_products(sum.aa, sum.a),
		.norm2_b = sum_products(sum.bb, sum.b),
	};
}

/* Adds |x - y|. The instruction takes unsigned bytes, so 128 is added to both. */
INLINE __m512i
add_differences(__m512i acc, __m512i x, __m512i y)
{
	return _mm512_add_epi64(acc, _mm512_sad_epu8(plus_128(x), plus_128(y)));
}

TARGET static int32_t
l1_i8(const int8_t *a, const int8_t *b, size_t n)
{
	__m512i sum = _mm512_setzero_si512();
	size_t i = 0;

	for (; i + 64 <= n; i += 64)
		sum = add_differences(sum, load_bytes(a + i), load_bytes(b + i));
	if (i < n)
		sum = add_differences(sum, load_part_bytes(a + i, n - i), load_part_bytes(b + i, n - i));
	return (int32_t) _mm512_reduce_add_epi64(sum);
}

/* ---------------------------------------------------------------- bits */

INLINE_VPOPCNTDQ __m512i
add_differing(__m512i sum, __m512i x, __m512i y)
{
	return _mm512_add_epi64(sum, _mm512_popcnt_epi64(_mm512_xor_si512(x, y)));
}

/* The bits that differ, in eight sums. */
INLINE_VPOPCNTDQ __m512i
differing_sums(const uint8_t *a, const uint8_t *b, size_t n)
{
	__m512i sum = _mm512_setzero_si512();
	size_t i = 0;

	for (; i + 64 <= n; i += 64)
		sum = add_differing(sum, load_bytes(a + i), load_bytes(b + i));
	if (i < n)
		sum = add_differing(sum, load_part_bytes(a + i, n - i), load_part_bytes(b + i, n - i));
	return sum;
}

INLINE_VPOPCNTDQ uint64_t
differing(const uint8_t *a, const uint8_t *b, size_t n)
{
	return (uint64_t) _mm512_reduce_add_epi64(differing_sums(a, b, n));
}

/* The sums of the elements of a and of b, in turn, in two elements of four each. */
INLINE_VPOPCNTDQ __m256i
add_two(__m512i a, __m512i b)
{
	__m512i sums = _mm512_add_epi64(_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b));

	return _mm256_add_epi64(_mm512_castsi512_si256(sums), _mm512_extracti64x4_epi64(sums, 1));
}

TARGET_VPOPCNTDQ static uint64_t
hamming_vpopcntdq(const uint8_t *a, const uint8_t *b, size_t n)
{
	return differing(a, b, n);
}

TARGET_VPOPCNTDQ static void
hamming_rows_vpopcntdq(const uint8_t *a, const uint8_t *b, size_t n, size_t rows, uint32_t *out)
{
	size_t i = 0;

	/* Four at a time: of short rows the additions across a register take most of the time. */
	for (; i + 4 <= rows; i += 4, b += 4 * n)
	{
		__m256i low = add_two(differing_sums(a, b, n), differing_sums(a, b + n, n));
		__m256i high = add_two(differing_sums(a, b + 2 * n, n), differing_sums(a, b + 3 * n, n));
		__m256i sums = _mm256_add_epi64(_mm256_permute2x128_si256(low, high, 0x20),
										_mm256_permute2x128_si256(low, high, 0x31));

		_mm_storeu_si128((__m128i *) (out + i), _mm256_cvtepi64_epi32(sums));
	}
	for (; i < rows; i++, b += n)
		out[i] = (uint32_t) differing(a, b, n);
}

typedef struct OverlapSum
{
	__m512i both;
	__m512i either;
} OverlapSum;

INLINE_VPOPCNTDQ OverlapSum
add_overlap(OverlapSum sum, __m512i x, __m512i y)
{
	sum.both = _mm512_add_epi64(sum.both, _mm512_popcnt_epi64(_mm512_and_si512(x, y)));
	sum.either = _mm512_add_epi64(sum.either, _mm512_popcnt_epi64(_mm512_or_si512(x, y)));
	return sum;
}

TARGET_VPOPCNTDQ static OmendbBitOverlap
overlap_vpopcntdq(const uint8_t *a, const uint8_t *b, size_t n)
{
	OverlapSum sum = {_mm512_setzero_si512(), _mm512_setzero_si512()};
	size_t i = 0;

	for (; i + 64 <= n; i += 64)
		sum = add_overlap(sum, load_bytes(a + i), load_bytes(b + i));
	if (i < n)
		sum = add_overlap(sum, load_part_bytes(a + i, n - i), load_part_bytes(b + i, n - i));
	return (OmendbBitOverlap){
		.both = (uint64_t) _mm512_reduce_add_epi64(sum.both),
		.either = (uint64_t) _mm512_reduce_add_epi64(sum.either),
	};
}

void
omendb_fill_avx512(OmendbKernels *table, unsigned features)
{
	table->l2sq_f32 = l2sq_f32;
	table->dot_f32 = dot_f32;
	table->cosine_f32 = cosine_f32;
	table->l1_f32 = l1_f32;
	table->dot_f32_i8 = dot_f32_i8;
	table->l2sq_f32_i16 = l2sq_f32_i16;
	table->dot_f32_i16 = dot_f32_i16;
	table->l2sq_i16 = l2sq_i16;
	table->dot_i16 = dot_i16;
	table->l1_i8 = l1_i8;
	if (features & OMENDB_CPU_VNNI)
	{
		table->l2sq_i8 = l2sq_i8_vnni;
		table->dot_i8 = dot_i8_vnni;
		table->cosine_i8 = cosine_i8_vnni;
	}
	if (features & OMENDB_CPU_VPOPCNTDQ)
	{
		table->hamming = hamming_vpopcntdq;
		table->hamming_rows = hamming_rows_vpopcntdq;
		table->overlap = overlap_vpopcntdq;
	}
	omendb_fill_code_avx512(table, features);
	omendb_fill_block_avx512(table, features);
}

#endif /* OMENDB_X86 */
