/*
 * block_avx512.c
 *	  The kernels of the bulk build for x86-64 with AVX-512 F, BW, DQ and VL, and with VNNI and
 *	  VPOPCNTDQ if the processor has them.
 *
 * Without VNNI the table keeps the products of AVX2, without VPOPCNTDQ its column_hamming.
 */
#include "kernel/kernel_tables.h"

#ifdef OMENDB_X86

#include <float.h>
#include <math.h>
#include <string.h>

#include "kernel/avx512.h"
#include "kernel/block.h"

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

/* A mask of the first `count` lanes; of all 16 if count is more. */
INLINE __mmask16
first_lanes(size_t count)
{
	return (__mmask16) (count < 16 ? (1u << count) - 1 : 0xFFFF);
}

/* ---------------------------------------------------------------- products */

/* The four elements from p, in every lane of 32 bits. */
INLINE __m512i
broadcast_four(const int8_t *p)
{
	int32_t four;

	memcpy(&four, p, sizeof(four));
	return _mm512_set1_epi32(four);
}

/*
 * VNNI multiplies unsigned by signed bytes. The unsigned factor is a signed one with 128 added,
 * which adds 128 times the sum of the other factor. Returns this excess for a row.
 */
INLINE_VNNI int32_t
excess(const int8_t *row, size_t n)
{
	__m512i sum = _mm512_setzero_si512();

	for (size_t i = 0; i < n; i += 64)
		sum = _mm512_dpbusd_epi32(sum, _mm512_set1_epi8(1), load_bytes(row + i));
	return 128 * _mm512_reduce_add_epi32(sum);
}

/*
 * Transpose 16 times 16 numbers of 32 bits: columns are packed, with 128 added, in the scalar
 * level's order, where a register has four elements of each of 16 columns.
 */
INLINE void
transpose(__m512i *x)
{
	__m512i y[16];

	OMENDB_UNROLL
	for (int c = 0; c < 16; c += 2)
	{
		y[c] = _mm512_unpacklo_epi32(x[c], x[c + 1]);
		y[c + 1] = _mm512_unpackhi_epi32(x[c], x[c + 1]);
	}
	OMENDB_UNROLL
	for (int c = 0; c < 16; c += 4)
	{
		x[c] = _mm512_unpacklo_epi64(y[c], y[c + 2]);
		x[c + 1] = _mm512_unpackhi_epi64(y[c], y[c + 2]);
		x[c + 2] = _mm512_unpacklo_epi64(y[c + 1], y[c + 3]);
		x[c + 3] = _mm512_unpackhi_epi64(y[c + 1], y[c + 3]);
	}
	/* The l-th 128 bits of x[4 * q + j] have number 4 * l + j of columns 4 * q to 4 * q + 3. */
	OMENDB_UNROLL
	for (int j = 0; j < 4; j++)
	{
		__m512i a = _mm512_shuffle_i64x2(x[j], x[4 + j], 0x44);
		__m512i b = _mm512_shuffle_i64x2(x[8 + j], x[12 + j], 0x44);
		__m512i c = _mm512_shuffle_i64x2(x[j], x[4 + j], 0xEE);
		__m512i d = _mm512_shuffle_i64x2(x[8 + j], x[12 + j], 0xEE);

		y[j] = _mm512_shuffle_i64x2(a, b, 0x88);
		y[4 + j] = _mm512_shuffle_i64x2(a, b, 0xDD);
		y[8 + j] = _mm512_shuffle_i64x2(c, d, 0x88);
		y[12 + j] = _mm512_shuffle_i64x2(c, d, 0xDD);
	}
	OMENDB_UNROLL
	for (int i = 0; i < 16; i++)
		x[i] = y[i];
}

TARGET static void
pack_columns(const int8_t *const *rows, size_t count, size_t n, void *packed)
{
	uint8_t *out = packed;
	uint8_t *end = out + OMENDB_PACKED_BYTES(n);

	for (size_t i = 0; i < n; i += 64)
	{
		__m512i x[16];

		OMENDB_UNROLL
		for (size_t c = 0; c < 16; c++)
			x[c] = plus_128(load_bytes(rows[c < count ? c : 0] + i));
		transpose(x);
		OMENDB_UNROLL
		for (int k = 0; k < 16; k++)
			if (out < end)
			{
				_mm512_storeu_si512(out, x[k]);
				out += 64;
			}
	}
}

/* The products of 8 rows with 16 * groups columns. groups is a constant, 1 to 3. */
INLINE_VNNI void
products_of_groups(const int8_t *const *rows, const int32_t *excesses, const uint8_t *columns,
				   size_t groups, size_t n, int32_t *out, size_t stride)
{
	const size_t group_bytes = OMENDB_PACKED_BYTES(n);
	__m512i sum[OMENDB_BLOCK_ROWS][3];

	OMENDB_UNROLL
	for (int r = 0; r < OMENDB_BLOCK_ROWS; r++)
		OMENDB_UNROLL
	for (size_t g = 0; g < groups; g++)
		sum[r][g] = _mm512_set1_epi32(-excesses[r]);
	for (size_t i = 0; i < n; i += 4, columns += 64)
	{
		__m512i column[3];

		OMENDB_UNROLL
		for (size_t g = 0; g < groups; g++)
			column[g] = load_bytes(columns + g * group_bytes);
		OMENDB_UNROLL
		for (int r = 0; r < OMENDB_BLOCK_ROWS; r++)
		{
			__m512i four = broadcast_four(rows[r] + i);

			OMENDB_UNROLL
			for (size_t g = 0; g < groups; g++)
				sum[r][g] = _mm512_dpbusd_epi32(sum[r][g], column[g], four);
		}
	}
	OMENDB_UNROLL
	for (int r = 0; r < OMENDB_BLOCK_ROWS; r++)
		OMENDB_UNROLL
	for (size_t g = 0; g < groups; g++)
		_mm512_storeu_si512(out + (size_t) r * stride + 16 * g, sum[r][g]);
}

TARGET_VNNI static void
block_products_vnni(const int8_t *const *rows, const void *packed, size_t groups, size_t n,
					int32_t *out, size_t stride)
{
	const size_t group_bytes = OMENDB_PACKED_BYTES(n);
	const uint8_t *columns = packed;
	int32_t excesses[OMENDB_BLOCK_ROWS];

	for (int r = 0; r < OMENDB_BLOCK_ROWS; r++)
		excesses[r] = excess(rows[r], n);
	/* Four groups are taken two by two: with one group alone latencies are not hidden. */
	for (; groups == 3 || groups > 4; groups -= 3, columns += 3 * group_bytes, out += 3 * 16)
		products_of_groups(rows, excesses, columns, 3, n, out, stride);
	for (; groups >= 2; groups -= 2, columns += 2 * group_bytes, out += 2 * 16)
		products_of_groups(rows, excesses, columns, 2, n, out, stride);
	if (groups > 0)
		products_of_groups(rows, excesses, columns, 1, n, out, stride);
}

/* Within each 128 bits, lane i is the sum of the four lanes of the i-th register. */
INLINE __m512i
sums_of_four(__m512i x0, __m512i x1, __m512i x2, __m512i x3)
{
	__m512i a = _mm512_add_epi32(_mm512_unpacklo_epi32(x0, x1), _mm512_unpackhi_epi32(x0, x1));
	__m512i b = _mm512_add_epi32(_mm512_unpacklo_epi32(x2, x3), _mm512_unpackhi_epi32(x2, x3));

	return _mm512_add_epi32(_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b));
}

/* The sums of 16 registers, from four results of sums_of_four, in order. */
INLINE __m512i
sums_of_sixteen(const __m512i *x)
{
	__m512i a = _mm512_add_epi32(_mm512_shuffle_i64x2(x[0], x[1], 0x88),
								 _mm512_shuffle_i64x2(x[0], x[1], 0xDD));
	__m512i b = _mm512_add_epi32(_mm512_shuffle_i64x2(x[2], x[3], 0x88),
								 _mm512_shuffle_i64x2(x[2], x[3], 0xDD));

	return _mm512_add_epi32(_mm512_shuffle_i64x2(a, b, 0x88), _mm512_shuffle_i64x2(a, b, 0xDD));
}

TARGET_VNNI static void
row_products_vnni(const int8_t *v, const int8_t *const *rows, size_t count, size_t n, int32_t *out)
{
	const __m512i excesses = _mm512_set1_epi32(excess(v, n));

	for (size_t j = 0; j < count; j += 16)
	{
		__m512i sums[4];

		OMENDB_UNROLL
		for (size_t part = 0; part < 4; part++)
		{
			const size_t first = j + 4 * part;
			const size_t last = count - 1;
			const int8_t *row0 = rows[first < last ? first : last];
			const int8_t *row1 = rows[first + 1 < last ? first + 1 : last];
			const int8_t *row2 = rows[first + 2 < last ? first + 2 : last];
			const int8_t *row3 = rows[first + 3 < last ? first + 3 : last];
			__m512i sum0 = _mm512_setzero_si512();
			__m512i sum1 = sum0;
			__m512i sum2 = sum0;
			__m512i sum3 = sum0;

			sums[part] = sum0;
			if (first > last)
				continue;
			for (size_t i = 0; i < n; i += 64)
			{
				__m512i x = load_bytes(v + i);

				sum0 = _mm512_dpbusd_epi32(sum0, plus_128(load_bytes(row0 + i)), x);
				sum1 = _mm512_dpbusd_epi32(sum1, plus_128(load_bytes(row1 + i)), x);
				sum2 = _mm512_dpbusd_epi32(sum2, plus_128(load_bytes(row2 + i)), x);
				sum3 = _mm512_dpbusd_epi32(sum3, plus_128(load_bytes(row3 + i)), x);
			}
			sums[part] = sums_of_four(sum0, sum1, sum2, sum3);
		}
		_mm512_mask_storeu_epi32(out + j, first_lanes(count - j),
								 _mm512_sub_epi32(sums_of_sixteen(sums), excesses));
	}
}

/* ---------------------------------------------------------------- nearest */

/* Elements of one pass of nearest, whose values are kept on the stack. */
#define CHUNK 1024

/* Candidates that are ranked against each other; more are inserted one by one. */
#define MAX_CANDIDATES 192

INLINE __m512
infinity(void)
{
	return _mm512_set1_ps(INFINITY);
}

INLINE __m512i
count_if(__m512i count, __mmask16 condition)
{
	return _mm512_mask_add_epi32(count, condition, count, _mm512_set1_epi32(1));
}

/* The largest x whose rank, the number of smaller ones, is below k: the k-th smallest of all. */
INLINE __m512
largest_of_first(__m512 x, __m512i rank, uint32_t k)
{
	__mmask16 first = _mm512_cmplt_epi32_mask(rank, _mm512_set1_epi32((int) k));

	return _mm512_set1_ps(_mm512_mask_reduce_max_ps(first, x));
}

/* The k-th smallest of 16 numbers, in every lane; k is at most 16. */
INLINE __m512
kth_of_16(__m512 x, uint32_t k)
{
	__m512i y = _mm512_castps_si512(x);
	__m512i rank = _mm512_setzero_si512();
	__mmask16 kth;

#define COUNT_SMALLER(turn)                                                                        \
	rank = count_if(rank, _mm512_cmp_ps_mask(_mm512_castsi512_ps(_mm512_alignr_epi32(y, y, turn)), \
											 x, _CMP_LT_OQ))

	COUNT_SMALLER(1);
	COUNT_SMALLER(2);
	COUNT_SMALLER(3);
	COUNT_SMALLER(4);
	COUNT_SMALLER(5);
	COUNT_SMALLER(6);
	COUNT_SMALLER(7);
	COUNT_SMALLER(8);
	COUNT_SMALLER(9);
	COUNT_SMALLER(10);
	COUNT_SMALLER(11);
	COUNT_SMALLER(12);
	COUNT_SMALLER(13);
	COUNT_SMALLER(14);
	COUNT_SMALLER(15);
#undef COUNT_SMALLER
	kth = _mm512_cmpeq_epi32_mask(rank, _mm512_set1_epi32((int) k - 1));
	/* No lane has that rank if the k-th smallest equals another. */
	if (kth == 0)
		return largest_of_first(x, rank, k);
	return _mm512_broadcastss_ps(_mm512_castps512_ps128(_mm512_maskz_compress_ps(kth, x)));
}

/* The k-th smallest of 32 numbers, in every lane. */
INLINE __m512
kth_of_32(__m512 x, __m512 y, uint32_t k)
{
	__m512i x_rank = _mm512_setzero_si512();
	__m512i y_rank = x_rank;
	float all[32];

	_mm512_storeu_ps(all, x);
	_mm512_storeu_ps(all + 16, y);
	for (int i = 0; i < 32; i++)
	{
		__m512 z = _mm512_set1_ps(all[i]);

		x_rank = count_if(x_rank, _mm512_cmp_ps_mask(z, x, _CMP_LT_OQ));
		y_rank = count_if(y_rank, _mm512_cmp_ps_mask(z, y, _CMP_LT_OQ));
	}
	return _mm512_max_ps(largest_of_first(x, x_rank, k), largest_of_first(y, y_rank, k));
}

/*
 * The values of 16 elements, infinity in lanes without a bit of `in`. The last multiplication may
 * be fused with the addition, because the product with a power of two is exact.
 */
INLINE __m512
values_of(const float *base, const float *scale, const int32_t *products, __m512 factor,
		  __mmask16 in)
{
	__m512 product = _mm512_cvtepi32_ps(_mm512_maskz_loadu_epi32(in, products));
	__m512 multiple = _mm512_mul_ps(_mm512_loadu_ps(scale), factor);
	__m512 value = _mm512_fmadd_ps(product, multiple, _mm512_loadu_ps(base));

	return _mm512_mask_blend_ps(in, infinity(), value);
}

/* The 8 ints from index 7 - i on are a mask of the lanes behind lane i. */
static const int32_t behind_mask[15] = {0, 0, 0, 0, 0, 0, 0, 0, -1, -1, -1, -1, -1, -1, -1};

/*
 * Write the k smallest of `count` candidates, 8 or less, in order. Candidate i has the value
 * value[number[i]]; the values of numbers from `count` on are infinite.
 */
INLINE void
order_8(const float *value, const uint32_t *number, size_t count, uint32_t k, float *values,
		uint32_t *which)
{
	__m256 x =
		_mm256_setr_ps(value[number[0]], value[number[1]], value[number[2]], value[number[3]],
					   value[number[4]], value[number[5]], value[number[6]], value[number[7]]);
	__m256i rank = _mm256_setzero_si256();

	/* A rank is the number of smaller candidates, and of equal ones in front. */
	OMENDB_UNROLL
	for (int i = 0; i < 8; i++)
	{
		__m256 behind = _mm256_loadu_ps((const float *) (behind_mask + 7 - i));
		__m256 y = _mm256_permutevar8x32_ps(x, _mm256_set1_epi32(i));
		__m256 before = _mm256_or_ps(_mm256_cmp_ps(y, x, _CMP_LT_OQ),
									 _mm256_and_ps(_mm256_cmp_ps(y, x, _CMP_LE_OQ), behind));

		rank = _mm256_sub_epi32(rank, _mm256_castps_si256(before));
	}
	for (uint32_t place = 0; place < k && place < count; place++)
	{
		__mmask8 here = _mm256_cmpeq_epi32_mask(rank, _mm256_set1_epi32((int) place));
		uint32_t j = number[__builtin_ctz(here)];

		values[place] = value[j];
		which[place] = j;
	}
}

/* The same for `count` up to MAX_CANDIDATES. */
INLINE void
order_many(const float *value, const uint32_t *number, size_t count, uint32_t k, float *values,
		   uint32_t *which)
{
	float candidate[MAX_CANDIDATES];

	for (size_t i = 0; i < count; i += 16)
		_mm512_storeu_ps(candidate + i, _mm512_i32gather_ps(load_bytes(number + i), value, 4));
	for (size_t first = 0; first < count; first += 16)
	{
		__m512 x = _mm512_loadu_ps(candidate + first);
		__m512i rank = _mm512_setzero_si512();
		__mmask16 in = first_lanes(count - first);
		__mmask16 behind = 0xFFFE;
		size_t i = 0;

		for (; i < first; i++)
			rank = count_if(rank, _mm512_cmp_ps_mask(_mm512_set1_ps(candidate[i]), x, _CMP_LE_OQ));
		for (; i < first + 16; i++, behind = (__mmask16) (behind << 1))
		{
			__m512 y = _mm512_set1_ps(candidate[i]);

			rank = count_if(rank, _mm512_mask_cmp_ps_mask(behind, y, x, _CMP_LE_OQ) |
									  _mm512_cmp_ps_mask(y, x, _CMP_LT_OQ));
		}
		for (; i < count; i++)
			rank = count_if(rank, _mm512_cmp_ps_mask(_mm512_set1_ps(candidate[i]), x, _CMP_LT_OQ));
		in = _mm512_mask_cmplt_epi32_mask(in, rank, _mm512_set1_epi32((int) k));
		_mm512_mask_i32scatter_ps(values, in, rank, x, 4);
		_mm512_mask_i32scatter_epi32(which, in, rank, load_bytes(number + first), 4);
	}
}

/*
 * nearest of n elements, up to CHUNK, the first of which is number `from`. values and which have
 * `used` from the elements before. Takes the minimum of each of 16 or 32 lanes. The k-th smallest of
 * these is not less than the k-th smallest of all, and few elements are below it. These are found
 * without branches, which would be mispredicted.
 */
INLINE uint32_t
nearest_of_chunk(const float *base, const float *scale, const int32_t *products, float factor,
				 size_t n, size_t skip, uint32_t k, uint32_t from, uint32_t used, float *values,
				 uint32_t *which)
{
	const __m512 factors = _mm512_set1_ps(factor);
	const size_t end = (n + 31) / 32 * 32;
	_Alignas(64) float value[CHUNK + 16];
	uint32_t number[CHUNK + 16];
	__m512i numbers = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
	__m512 low = infinity();
	__m512 limit;
	size_t count = 0;
	size_t j = 0;

	/* Whole registers; then the one with `skip`, or the last one. */
	while (j < n)
	{
		size_t whole = (j <= skip && skip < n ? skip : n) / 16 * 16;

		for (; j < whole; j += 16)
		{
			__m512 x = values_of(base + j, scale + j, products + j, factors, 0xFFFF);

			_mm512_store_ps(value + j, x);
			low = _mm512_min_ps(low, x);
		}
		if (j < n)
		{
			__mmask16 out = (__mmask16) (skip - j < 16 ? 1u << (skip - j) : 0);
			__mmask16 in = first_lanes(n - j) & (__mmask16) ~out;
			__m512 x = values_of(base + j, scale + j, products + j, factors, in);

			_mm512_store_ps(value + j, x);
			low = _mm512_min_ps(low, x);
			j += 16;
		}
	}
	for (; j <= end; j += 16)
		_mm512_store_ps(value + j, infinity());

	if (k <= 8)
		limit = kth_of_16(low, k);
	else
	{
		__m512 low2 = low = infinity();

		for (j = 0; j < end; j += 32)
		{
			low = _mm512_min_ps(low, _mm512_load_ps(value + j));
			low2 = _mm512_min_ps(low2, _mm512_load_ps(value + j + 16));
		}
		limit = kth_of_32(low, low2, k);
	}
	limit = _mm512_min_ps(limit, _mm512_set1_ps(used == k ? values[k - 1] : FLT_MAX));

	for (j = 0; j < n; j += 16)
	{
		__mmask16 near = _mm512_cmp_ps_mask(_mm512_load_ps(value + j), limit, _CMP_LE_OQ);

		_mm512_storeu_si512(number + count, _mm512_maskz_compress_epi32(near, numbers));
		count += (size_t) __builtin_popcount(near);
		numbers = _mm512_add_epi32(numbers, _mm512_set1_epi32(16));
	}
	/* Behind the candidates a register of numbers whose value is infinite. */
	_mm512_storeu_si512(number + count, _mm512_set1_epi32((int) end));

	if (used > 0 || count > MAX_CANDIDATES)
	{
		for (size_t i = 0; i < count; i++)
			omendb_put_nearest(value[number[i]], from + number[i], k, &used, values, which);
		return used;
	}
	if (count <= 8)
		order_8(value, number, count, k, values, which);
	else
		order_many(value, number, count, k, values, which);
	used = count < k ? (uint32_t) count : k;
	if (from > 0)
		for (uint32_t i = 0; i < used; i++)
			which[i] += from;
	return used;
}

TARGET static uint32_t
nearest(const float *base, const float *scale, const int32_t *products, float factor, size_t n,
		size_t skip, uint32_t k, float *values, uint32_t *which)
{
	uint32_t used = 0;

	for (size_t from = 0; from < n; from += CHUNK)
		used = nearest_of_chunk(base + from, scale + from, products + from, factor,
								n - from < CHUNK ? n - from : CHUNK, skip - from, k,
								(uint32_t) from, used, values, which);
	return used;
}

/* ---------------------------------------------------------------- codes */

TARGET static void
compare_rows(const int8_t *v, const int8_t *x, size_t n, uint64_t *out)
{
	for (size_t i = 0; i < n; i += 64)
		out[i / 64] = _mm512_cmpgt_epi8_mask(load_bytes(x + i), load_bytes(v + i));
}

TARGET_VPOPCNTDQ static void
column_hamming_vpopcntdq(const uint64_t *codes, size_t words, size_t stride, size_t i, size_t n,
						 uint16_t *differ)
{
	for (size_t j = 0; j < n; j += 32)
	{
		__m512i sum[4];

		OMENDB_UNROLL
		for (int part = 0; part < 4; part++)
			sum[part] = _mm512_setzero_si512();
		for (size_t w = 0; w < words; w++)
		{
			const uint64_t *row = codes + w * stride;
			__m512i x = _mm512_set1_epi64((long long) row[i]);

			OMENDB_UNROLL
			for (int part = 0; part < 4; part++)
			{
				__m512i y = _mm512_xor_si512(x, load_bytes(row + j + 8 * part));

				sum[part] = _mm512_add_epi64(sum[part], _mm512_popcnt_epi64(y));
			}
		}
		OMENDB_UNROLL
		for (int part = 0; part < 4; part++)
			_mm_storeu_si128((__m128i *) (differ + j + 8 * part), _mm512_cvtepi64_epi16(sum[part]));
	}
}

TARGET static void
below(const uint16_t *differ, size_t n, uint16_t limit, uint64_t *mask)
{
	const __m512i limits = _mm512_set1_epi16((short) limit);

	for (size_t j = 0; j < n; j += 64)
	{
		uint64_t low = _mm512_cmplt_epu16_mask(load_bytes(differ + j), limits);
		uint64_t high = _mm512_cmplt_epu16_mask(load_bytes(differ + j + 32), limits);

		mask[j / 64] = low | high << 32;
	}
}

/* ---------------------------------------------------------------- ranks */

/* Ranks of 16 keys among n: the number of smaller keys. */
INLINE void
ranks_of_16(const uint64_t *keys, size_t n, const uint64_t *own, uint16_t *ranks)
{
	const __m512i one = _mm512_set1_epi64(1);
	__m512i x = load_bytes(own);
	__m512i y = load_bytes(own + 8);
	__m512i x_rank = _mm512_setzero_si512();
	__m512i y_rank = x_rank;

	for (size_t j = 0; j < n; j++)
	{
		__m512i key = _mm512_set1_epi64((long long) keys[j]);

		x_rank = _mm512_mask_add_epi64(x_rank, _mm512_cmplt_epu64_mask(key, x), x_rank, one);
		y_rank = _mm512_mask_add_epi64(y_rank, _mm512_cmplt_epu64_mask(key, y), y_rank, one);
	}
	_mm_storeu_si128((__m128i *) ranks, _mm512_cvtepi64_epi16(x_rank));
	_mm_storeu_si128((__m128i *) (ranks + 8), _mm512_cvtepi64_epi16(y_rank));
}

/* The high halves of 16 keys. */
INLINE __m512i
high_halves(const uint64_t *keys)
{
	const __m512i odd =
		_mm512_setr_epi32(1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);

	return _mm512_permutex2var_epi32(load_bytes(keys), odd, load_bytes(keys + 8));
}

/* Ranks of 16 * groups keys by their high halves alone. groups is a constant, 1 to 4. */
INLINE void
ranks_by_halves(const uint64_t *keys, size_t n, const uint64_t *own, int groups, uint16_t *ranks)
{
	const __m512i one = _mm512_set1_epi32(1);
	__m512i x[4], rank[4];

	OMENDB_UNROLL
	for (int g = 0; g < groups; g++)
	{
		x[g] = high_halves(own + 16 * g);
		rank[g] = _mm512_setzero_si512();
	}
	for (size_t j = 0; j < n; j++)
	{
		__m512i key = _mm512_set1_epi32((int) (uint32_t) (keys[j] >> 32));

		OMENDB_UNROLL
		for (int g = 0; g < groups; g++)
			rank[g] =
				_mm512_mask_add_epi32(rank[g], _mm512_cmplt_epu32_mask(key, x[g]), rank[g], one);
	}
	OMENDB_UNROLL
	for (int g = 0; g < groups; g++)
		_mm256_storeu_si256((__m256i *) (ranks + 16 * g), _mm512_cvtepi32_epi16(rank[g]));
}

/*
 * Ranks by the high halves of the keys, 16 to a register. If no two halves are equal the ranks are
 * right: they are 0 to n - 1, and their sum is n (n - 1) / 2. Each pair of equal halves makes the
 * sum less by one; then the ranks are computed again by whole keys.
 */
TARGET static void
ranks(const uint64_t *keys, size_t n, uint16_t *ranks)
{
	size_t sum = 0;
	size_t i = 0;

	for (; i + 48 < n; i += 64)
		ranks_by_halves(keys, n, keys + i, 4, ranks + i);
	if (i + 32 < n)
		ranks_by_halves(keys, n, keys + i, 3, ranks + i);
	else if (i + 16 < n)
		ranks_by_halves(keys, n, keys + i, 2, ranks + i);
	else if (i < n)
		ranks_by_halves(keys, n, keys + i, 1, ranks + i);
	for (i = 0; i < n; i++)
		sum += ranks[i];
	if (sum == n * (n - 1) / 2)
		return;
	for (i = 0; i < n; i += 16)
		ranks_of_16(keys, n, keys + i, ranks + i);
}

void
omendb_fill_block_avx512(OmendbKernels *table, unsigned features)
{
	table->nearest = nearest;
	table->compare_rows = compare_rows;
	table->below = below;
	table->ranks = ranks;
	if (features & OMENDB_CPU_VNNI)
	{
		/* All three, because their packed columns differ from those of AVX2. */
		table->pack_columns = pack_columns;
		table->block_products = block_products_vnni;
		table->row_products = row_products_vnni;
	}
	if (features & OMENDB_CPU_VPOPCNTDQ)
		table->column_hamming = column_hamming_vpopcntdq;
}

#endif /* OMENDB_X86 */
