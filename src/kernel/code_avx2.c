/*
 * code_avx2.c
 *	  The kernels of the index's codes for x86-64 with AVX2.
 */
#include "kernel/kernel_tables.h"

#ifdef OMENDB_X86

#include "kernel/avx2.h"
#include "kernel/code.h"
#include "kernel/code_vectors.h"

INLINE VEC
sign_bits(void)
{
	return _mm256_set1_ps(-0.0f);
}

/* ---------------------------------------------------------------- codes */

INLINE __m256i
four_numbers(const Ints *numbers)
{
	/* Each half has bytes of four lanes, number by number. The shuffle makes it lane by lane. */
	const __m256i by_lane = _mm256_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15,
											 0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
	__m256i first = _mm256_packs_epi32((__m256i) numbers[0], (__m256i) numbers[1]);
	__m256i second = _mm256_packs_epi32((__m256i) numbers[2], (__m256i) numbers[3]);

	return _mm256_shuffle_epi8(_mm256_packus_epi16(first, second), by_lane);
}

INLINE void
store_two_tables(__m256i x, uint32_t lane, uint32_t width, uint8_t *lut)
{
	if (lane < width)
		_mm_storeu_si128((__m128i *) (lut + 16 * lane), _mm256_castsi256_si128(x));
	if (lane + 4 < width)
		_mm_storeu_si128((__m128i *) (lut + 16 * (lane + 4)), _mm256_extracti128_si256(x, 1));
}

INLINE void
store_tables(const Ints *numbers, uint32_t width, uint8_t *lut)
{
	__m256i a = four_numbers(numbers);
	__m256i b = four_numbers(numbers + 4);
	__m256i c = four_numbers(numbers + 8);
	__m256i d = four_numbers(numbers + 12);
	__m256i ab = _mm256_unpacklo_epi32(a, b);
	__m256i cd = _mm256_unpacklo_epi32(c, d);

	store_two_tables(_mm256_unpacklo_epi64(ab, cd), 0, width, lut);
	store_two_tables(_mm256_unpackhi_epi64(ab, cd), 1, width, lut);
	ab = _mm256_unpackhi_epi32(a, b);
	cd = _mm256_unpackhi_epi32(c, d);
	store_two_tables(_mm256_unpacklo_epi64(ab, cd), 2, width, lut);
	store_two_tables(_mm256_unpackhi_epi64(ab, cd), 3, width, lut);
}

#define NEAREST_INT(x) \
	((Floats) _mm256_round_ps((__m256) (x), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC))
#define MAX_FLOAT(x, y)    ((Floats) _mm256_max_ps((__m256) (x), (__m256) (y)))
#define TO_INTS(x)         ((Ints) _mm256_cvtps_epi32((__m256) (x)))
#define INT_MAGNITUDE(x)   ((Ints) _mm256_abs_epi32((__m256i) (x)))
#define MAX_INT(x, y)      ((Ints) _mm256_max_epi32((__m256i) (x), (__m256i) (y)))
#define PAIR_PRODUCT(x, y) ((Ints) _mm256_madd_epi16((__m256i) (x), (__m256i) (y)))
#define LOOK_UP(table, index) \
	((Floats) _mm256_permutevar8x32_ps(_mm256_loadu_ps(table), (__m256i) (index)))
#define LOOK_UP_INT(table, index)                                                      \
	((Ints) _mm256_permutevar8x32_epi32(_mm256_loadu_si256((const __m256i *) (table)), \
										(__m256i) (index)))
#define WIDEN_BYTES(p)   ((Ints) _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *) (p))))
#define WIDEN_NUMBERS(p) ((Ints) _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *) (p))))
#define WIDEN_SHORTS(p)  ((Ints) _mm256_cvtepi16_epi32(_mm_loadu_si128((const __m128i *) (p))))
#include "kernel/code_template.h"

INLINE uint8_t
signs_of_eight(VEC v, VEC x)
{
	return (uint8_t) _mm256_movemask_ps(
		_mm256_cmp_ps(_mm256_sub_ps(x, v), _mm256_setzero_ps(), _CMP_GT_OQ));
}

TARGET static void
residual_signs(const float *v, const float *x, size_t n, uint8_t *bits)
{
	size_t i = 0;

	for (; i + LANES <= n; i += LANES)
		bits[i / 8] = signs_of_eight(_mm256_loadu_ps(v + i), _mm256_loadu_ps(x + i));
	if (i < n)
		bits[i / 8] = signs_of_eight(load_part_f32(v + i, n - i), load_part_f32(x + i, n - i));
}

/* ---------------------------------------------------------------- look-ups */

/* Slots whose codes are summed together. */
#define GROUP 32

/*
 * Sums of bytes of two slots, in each lane of 16 bits. `all` has the sum of the even slot plus 256
 * times that of the odd slot, modulo 65536; `odd` has the sum of the odd slot.
 */
typedef struct PairSums
{
	__m256i all;
	__m256i odd;
} PairSums;

INLINE PairSums
add_bytes(PairSums sums, __m256i x)
{
	sums.all = _mm256_add_epi16(sums.all, x);
	sums.odd = _mm256_add_epi16(sums.odd, _mm256_srli_epi16(x, 8));
	return sums;
}

INLINE __m256i
load_table(const uint8_t *table)
{
	return _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *) table));
}

/* Adds the entries of one byte of each slot's code. tables: the two tables of that byte. */
INLINE PairSums
look_up(PairSums sums, __m256i x, const uint8_t *tables)
{
	const __m256i four_bits = _mm256_set1_epi8(15);
	__m256i low = _mm256_and_si256(x, four_bits);
	__m256i high = _mm256_and_si256(_mm256_srli_epi16(x, 4), four_bits);

	sums = add_bytes(sums, _mm256_shuffle_epi8(load_table(tables), low));
	return add_bytes(sums, _mm256_shuffle_epi8(load_table(tables + 16), high));
}

/*
 * Adds the entries of 8 bytes of each slot. Each half of x[i] has 8 bytes of slot i and of slot
 * i + 8, interleaved. A byte's place, register and byte in the half, is a number of seven bits.
 * Interleaving register i with register i + 4 rotates that number by one bit. After three times
 * x[j] has byte j of 16 slots in each half.
 */
INLINE PairSums
add_columns(PairSums sums, __m256i *x, const uint8_t *lut)
{
	OMENDB_UNROLL
	for (int stage = 0; stage < 3; stage++)
	{
		__m256i y[8];

		OMENDB_UNROLL
		for (int i = 0; i < 4; i++)
		{
			y[2 * i] = _mm256_unpacklo_epi8(x[i], x[i + 4]);
			y[2 * i + 1] = _mm256_unpackhi_epi8(x[i], x[i + 4]);
		}
		OMENDB_UNROLL
		for (int i = 0; i < 8; i++)
			x[i] = y[i];
	}
	OMENDB_UNROLL
	for (int i = 0; i < 8; i++)
		sums = look_up(sums, x[i], lut + 32 * i);
	return sums;
}

/* The bytes of slot i; p: those of slot 0. Slots behind `last` are replaced by `last`. */
INLINE const uint8_t *
slot(const uint8_t *p, size_t stride, size_t i, size_t last)
{
	return p + (i < last ? i : last) * stride;
}

INLINE __m128i
load_16_bytes(const uint8_t *p)
{
	return _mm_loadu_si128((const __m128i *) p);
}

INLINE __m128i
load_8_bytes(const uint8_t *p)
{
	return _mm_loadl_epi64((const __m128i *) p);
}

/* 16 bytes of slot i, and of slot i + 16 in the upper half. */
INLINE __m256i
load_rows(const uint8_t *p, size_t stride, size_t i, size_t last)
{
	return _mm256_set_m128i(load_16_bytes(slot(p, stride, i + 16, last)),
							load_16_bytes(slot(p, stride, i, last)));
}

INLINE PairSums
add_16_bytes(PairSums sums, const uint8_t *p, size_t stride, size_t last, const uint8_t *lut)
{
	__m256i low[8];
	__m256i high[8];

	OMENDB_UNROLL
	for (size_t i = 0; i < 8; i++)
	{
		__m256i x = load_rows(p, stride, i, last);
		__m256i y = load_rows(p, stride, i + 8, last);

		low[i] = _mm256_unpacklo_epi8(x, y);
		high[i] = _mm256_unpackhi_epi8(x, y);
	}
	sums = add_columns(sums, low, lut);
	return add_columns(sums, high, lut + 8 * 32);
}

/* The same for the last 8 bytes of codes. */
INLINE PairSums
add_8_bytes(PairSums sums, const uint8_t *p, size_t stride, size_t last, const uint8_t *lut)
{
	__m256i x[8];

	OMENDB_UNROLL
	for (size_t i = 0; i < 8; i++)
		x[i] = _mm256_set_m128i(_mm_unpacklo_epi8(load_8_bytes(slot(p, stride, i + 16, last)),
												  load_8_bytes(slot(p, stride, i + 24, last))),
								_mm_unpacklo_epi8(load_8_bytes(slot(p, stride, i, last)),
												  load_8_bytes(slot(p, stride, i + 8, last))));
	return add_columns(sums, x, lut);
}

INLINE void
sum_group(const uint8_t *codes, size_t stride, size_t bytes, size_t last, const uint8_t *lut,
		  uint16_t *sums)
{
	const uint8_t *end = codes + bytes;
	PairSums pairs = {_mm256_setzero_si256(), _mm256_setzero_si256()};
	__m256i even, low, high;

	for (; codes + 16 <= end; codes += 16, lut += 32 * 16)
		pairs = add_16_bytes(pairs, codes, stride, last, lut);
	if (codes < end)
		pairs = add_8_bytes(pairs, codes, stride, last, lut);

	even = _mm256_sub_epi16(pairs.all, _mm256_slli_epi16(pairs.odd, 8));
	low = _mm256_unpacklo_epi16(even, pairs.odd);
	high = _mm256_unpackhi_epi16(even, pairs.odd);
	_mm256_storeu_si256((__m256i *) sums, _mm256_permute2x128_si256(low, high, 0x20));
	_mm256_storeu_si256((__m256i *) (sums + 16), _mm256_permute2x128_si256(low, high, 0x31));
}

TARGET static void
code_sums(const uint8_t *codes, size_t stride, size_t bytes, size_t slots, const uint8_t *lut,
		  uint16_t *sums)
{
	size_t s = 0;

	/* A loop for whole groups, in which `last` is a constant and addresses need no comparison. */
	for (; s + GROUP <= slots; s += GROUP)
		sum_group(codes + s * stride, stride, bytes, GROUP - 1, lut, sums + s);
	if (s < slots)
		sum_group(codes + s * stride, stride, bytes, slots - s - 1, lut, sums + s);
}

/* ---------------------------------------------------------------- rotation */

/* The first three stages of hadamard, within a register. */
INLINE VEC
butterflies_within(VEC x)
{
	const VEC odd = _mm256_setr_ps(0, -0.0f, 0, -0.0f, 0, -0.0f, 0, -0.0f);
	const VEC upper = _mm256_setr_ps(0, 0, -0.0f, -0.0f, 0, 0, -0.0f, -0.0f);
	const VEC high = _mm256_setr_ps(0, 0, 0, 0, -0.0f, -0.0f, -0.0f, -0.0f);

	x = _mm256_add_ps(_mm256_permute_ps(x, 0xB1), _mm256_xor_ps(x, odd));
	x = _mm256_add_ps(_mm256_permute_ps(x, 0x4E), _mm256_xor_ps(x, upper));
	return _mm256_add_ps(_mm256_permute2f128_ps(x, x, 1), _mm256_xor_ps(x, high));
}

/* One stage: the butterflies of x[i] and x[i + half], of `count` registers. */
INLINE void
butterflies(VEC *x, int count, int half)
{
	OMENDB_UNROLL
	for (int i = 0; i < count; i++)
		if ((i & half) == 0)
		{
			VEC a = x[i];
			VEC b = x[i + half];

			x[i] = _mm256_add_ps(a, b);
			x[i + half] = _mm256_sub_ps(a, b);
		}
}

/* The first six stages, on 64 elements. */
INLINE void
transform_64(float *p)
{
	VEC x[8];

	OMENDB_UNROLL
	for (int i = 0; i < 8; i++)
		x[i] = butterflies_within(_mm256_loadu_ps(p + LANES * i));
	butterflies(x, 8, 1);
	butterflies(x, 8, 2);
	butterflies(x, 8, 4);
	OMENDB_UNROLL
	for (int i = 0; i < 8; i++)
		_mm256_storeu_ps(p + LANES * i, x[i]);
}

/* The stages `half` and 2 * half, on eight columns of four rows; row i begins at p + i * half. */
INLINE void
transform_rows(float *p, size_t half)
{
	VEC x[4];

	OMENDB_UNROLL
	for (size_t i = 0; i < 4; i++)
		x[i] = _mm256_loadu_ps(p + i * half);
	butterflies(x, 4, 1);
	butterflies(x, 4, 2);
	OMENDB_UNROLL
	for (size_t i = 0; i < 4; i++)
		_mm256_storeu_ps(p + i * half, x[i]);
}

TARGET static void
hadamard(float *x, size_t n)
{
	size_t half = LANES;

	if (n < LANES)
	{
		omendb_hadamard_plain(x, n);
		return;
	}
	if (n < 64)
		for (size_t i = 0; i < n; i += LANES)
			_mm256_storeu_ps(x + i, butterflies_within(_mm256_loadu_ps(x + i)));
	else
	{
		for (size_t i = 0; i < n; i += 64)
			transform_64(x + i);
		half = 64;
	}
	for (; 4 * half <= n; half *= 4)
		for (size_t i = 0; i < n; i += 4 * half)
			for (size_t j = i; j < i + half; j += LANES)
				transform_rows(x + j, half);
	if (half < n)
		for (size_t j = 0; j < half; j += LANES)
		{
			VEC a = _mm256_loadu_ps(x + j);
			VEC b = _mm256_loadu_ps(x + j + half);

			_mm256_storeu_ps(x + j, _mm256_add_ps(a, b));
			_mm256_storeu_ps(x + j + half, _mm256_sub_ps(a, b));
		}
}

TARGET static void
multiply_signs(float *x, const uint8_t *bits, size_t n)
{
	const __m256i to_sign = _mm256_setr_epi32(31, 30, 29, 28, 27, 26, 25, 24);
	size_t i = 0;

	for (; i + LANES <= n; i += LANES)
	{
		__m256i byte = _mm256_set1_epi32(bits[i / 8]);
		VEC sign =
			_mm256_and_ps(_mm256_castsi256_ps(_mm256_sllv_epi32(byte, to_sign)), sign_bits());

		_mm256_storeu_ps(x + i, _mm256_xor_ps(_mm256_loadu_ps(x + i), sign));
	}
	for (; i < n; i++)
		if (bits[i / 8] >> (i % 8) & 1)
			x[i] = -x[i];
}

void
omendb_fill_code_avx2(OmendbKernels *table)
{
	spread_words();
	table->residual_signs = residual_signs;
	table->residual_code = residual_code;
	table->lut_f32 = lut_f32;
	table->code_sums = code_sums;
	table->estimates = estimates;
	table->hadamard = hadamard;
	table->multiply_signs = multiply_signs;
}

#endif /* OMENDB_X86 */
