/*
 * block_avx2.c
 *	  The kernels of the bulk build for x86-64 with AVX2.
 */
#include "kernel/kernel_tables.h"

#ifdef OMENDB_X86

#include <float.h>
#include <math.h>
#include <string.h>

#include "kernel/avx2.h"
#include "kernel/block.h"

INLINE __m256i
load_bytes(const void *p)
{
	return _mm256_loadu_si256((const __m256i *) p);
}

INLINE void
store_bytes(void *p, __m256i x)
{
	_mm256_storeu_si256((__m256i *) p, x);
}

/* ---------------------------------------------------------------- rows */

/* The instruction gives its second operand where one is NaN: most. */
INLINE __m256
larger_magnitude(const float *x, __m256 most)
{
	return _mm256_max_ps(_mm256_andnot_ps(_mm256_set1_ps(-0.0f), _mm256_loadu_ps(x)), most);
}

TARGET static float
largest_f32(const float *x, size_t n)
{
	__m256 most[4];
	float lanes[8];
	float largest;
	size_t i = 0;

	OMENDB_UNROLL
	for (int k = 0; k < 4; k++)
		most[k] = _mm256_setzero_ps();
	for (; i + 32 <= n; i += 32)
	{
		OMENDB_UNROLL
		for (int k = 0; k < 4; k++)
			most[k] = larger_magnitude(x + i + 8 * k, most[k]);
	}
	for (; i + 8 <= n; i += 8)
		most[0] = larger_magnitude(x + i, most[0]);
	most[0] = _mm256_max_ps(_mm256_max_ps(most[0], most[1]), _mm256_max_ps(most[2], most[3]));
	_mm256_storeu_ps(lanes, most[0]);
	largest = omendb_largest_plain(lanes, 8, 0);
	return omendb_largest_plain(x + i, n - i, largest);
}

/* The instructions give their second operand where one is NaN: the limit. */
INLINE __m256i
round_eight(const float *x, __m256 factor)
{
	__m256 y = _mm256_mul_ps(_mm256_loadu_ps(x), factor);

	y = _mm256_max_ps(_mm256_min_ps(y, _mm256_set1_ps(127)), _mm256_set1_ps(-127));
	return _mm256_cvtps_epi32(y);
}

TARGET static int32_t
round_f32_i8(const float *x, float factor, int8_t *out, size_t n)
{
	/* Packing works within halves of a register: bring groups of four back into order. */
	const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
	const __m256 factors = _mm256_set1_ps(factor);
	__m256i squares = _mm256_setzero_si256();
	int32_t lanes[8];
	int32_t sum = 0;
	size_t i = 0;

	for (; i + 32 <= n; i += 32)
	{
		__m256i low =
			_mm256_packs_epi32(round_eight(x + i, factors), round_eight(x + i + 8, factors));
		__m256i high =
			_mm256_packs_epi32(round_eight(x + i + 16, factors), round_eight(x + i + 24, factors));

		squares = _mm256_add_epi32(squares, _mm256_madd_epi16(low, low));
		squares = _mm256_add_epi32(squares, _mm256_madd_epi16(high, high));
		store_bytes(out + i, _mm256_permutevar8x32_epi32(_mm256_packs_epi16(low, high), order));
	}
	store_bytes(lanes, squares);
	for (int k = 0; k < 8; k++)
		sum += lanes[k];
	return sum + omendb_round_plain(x + i, factor, out + i, n - i);
}

/* ---------------------------------------------------------------- products */

/*
 * Adds four products x * y to each lane of 32 bits. magnitude is |x|: the instruction multiplies
 * unsigned by signed bytes, so y takes the sign of x. Two products fit 16 bits, because
 * 2 * 127 * 127 is below 32768.
 */
INLINE __m256i
add_products(__m256i sum, __m256i magnitude, __m256i x, __m256i y)
{
	__m256i pairs = _mm256_maddubs_epi16(magnitude, _mm256_sign_epi8(y, x));

	return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}

/* The four elements from p, in every lane of 32 bits. */
INLINE __m256i
broadcast_four(const int8_t *p)
{
	int32_t four;

	memcpy(&four, p, sizeof(four));
	return _mm256_set1_epi32(four);
}

/* Transpose 8 times 8 numbers of 32 bits, into the scalar level's order. */
INLINE void
transpose(__m256i *x)
{
	__m256i y[8];

	OMENDB_UNROLL
	for (int c = 0; c < 8; c += 2)
	{
		y[c] = _mm256_unpacklo_epi32(x[c], x[c + 1]);
		y[c + 1] = _mm256_unpackhi_epi32(x[c], x[c + 1]);
	}
	OMENDB_UNROLL
	for (int c = 0; c < 8; c += 4)
	{
		x[c] = _mm256_unpacklo_epi64(y[c], y[c + 2]);
		x[c + 1] = _mm256_unpackhi_epi64(y[c], y[c + 2]);
		x[c + 2] = _mm256_unpacklo_epi64(y[c + 1], y[c + 3]);
		x[c + 3] = _mm256_unpackhi_epi64(y[c + 1], y[c + 3]);
	}
	OMENDB_UNROLL
	for (int j = 0; j < 4; j++)
	{
		y[j] = _mm256_permute2x128_si256(x[j], x[4 + j], 0x20);
		y[4 + j] = _mm256_permute2x128_si256(x[j], x[4 + j], 0x31);
	}
	OMENDB_UNROLL
	for (int i = 0; i < 8; i++)
		x[i] = y[i];
}

TARGET static void
pack_columns(const int8_t *const *rows, size_t count, size_t n, void *packed)
{
	for (size_t half = 0; half < 16; half += 8)
		for (size_t i = 0; i < n; i += 32)
		{
			uint8_t *out = (uint8_t *) packed + 16 * i + 4 * half;
			__m256i x[8];

			OMENDB_UNROLL
			for (size_t c = 0; c < 8; c++)
				x[c] = load_bytes(rows[half + c < count ? half + c : 0] + i);
			transpose(x);
			OMENDB_UNROLL
			for (size_t k = 0; k < 8; k++)
				if (i + 4 * k < n)
					store_bytes(out + 64 * k, x[k]);
		}
}

/*
 * The products of `count` rows with 16 * groups columns. Both are constants, 4 and 1 or 2 and 2,
 * which takes 8 registers for sums. 2 and 2 reads fewer elements of rows.
 */
INLINE void
products_of_groups(const int8_t *const *rows, size_t count, const uint8_t *columns, size_t groups,
				   size_t n, int32_t *out, size_t stride)
{
	const size_t group_bytes = OMENDB_PACKED_BYTES(n);
	__m256i sum[4][4];

	OMENDB_UNROLL
	for (size_t r = 0; r < count; r++)
		OMENDB_UNROLL
	for (size_t half = 0; half < 2 * groups; half++)
		sum[r][half] = _mm256_setzero_si256();
	for (size_t i = 0; i < n; i += 4, columns += 64)
		OMENDB_UNROLL
	for (size_t r = 0; r < count; r++)
	{
		__m256i four = broadcast_four(rows[r] + i);
		__m256i size = _mm256_abs_epi8(four);

		OMENDB_UNROLL
		for (size_t half = 0; half < 2 * groups; half++)
			sum[r][half] =
				add_products(sum[r][half], size, four,
							 load_bytes(columns + half / 2 * group_bytes + half % 2 * 32));
	}
	OMENDB_UNROLL
	for (size_t r = 0; r < count; r++)
		OMENDB_UNROLL
	for (size_t half = 0; half < 2 * groups; half++)
		store_bytes(out + r * stride + 8 * half, sum[r][half]);
}

TARGET static void
block_products(const int8_t *const *rows, const void *packed, size_t groups, size_t n, int32_t *out,
			   size_t stride)
{
	const uint8_t *columns = packed;

	for (; groups >= 2; groups -= 2, columns += 2 * OMENDB_PACKED_BYTES(n), out += 2 * 16)
		for (size_t r = 0; r < OMENDB_BLOCK_ROWS; r += 2)
			products_of_groups(rows + r, 2, columns, 2, n, out + r * stride, stride);
	if (groups > 0)
		for (size_t r = 0; r < OMENDB_BLOCK_ROWS; r += 4)
			products_of_groups(rows + r, 4, columns, 1, n, out + r * stride, stride);
}

/* Lane i is the sum of the lanes of x[i]. */
INLINE __m128i
sums_of_four(const __m256i *x)
{
	__m256i sums = _mm256_hadd_epi32(_mm256_hadd_epi32(x[0], x[1]), _mm256_hadd_epi32(x[2], x[3]));

	return _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
}

TARGET static void
row_products(const int8_t *v, const int8_t *const *rows, size_t count, size_t n, int32_t *out)
{
	for (size_t j = 0; j < count; j += 4)
	{
		const size_t last = count - 1;
		const int8_t *row[4] = {rows[j], rows[j + 1 < last ? j + 1 : last],
								rows[j + 2 < last ? j + 2 : last],
								rows[j + 3 < last ? j + 3 : last]};
		__m256i sum[4];
		__m128i sums;

		OMENDB_UNROLL
		for (int r = 0; r < 4; r++)
			sum[r] = _mm256_setzero_si256();
		for (size_t i = 0; i < n; i += 32)
		{
			__m256i x = load_bytes(v + i);
			__m256i size = _mm256_abs_epi8(x);

			OMENDB_UNROLL
			for (int r = 0; r < 4; r++)
				sum[r] = add_products(sum[r], size, x, load_bytes(row[r] + i));
		}
		sums = sums_of_four(sum);
		if (j + 4 <= count)
			_mm_storeu_si128((__m128i *) (out + j), sums);
		else
			_mm_maskstore_epi32(out + j, _mm256_castsi256_si128(first_lanes(count - j)), sums);
	}
}

/* ---------------------------------------------------------------- nearest */

/* Elements of one pass of nearest, whose values are kept on the stack. */
#define CHUNK 1024

INLINE VEC
infinity(void)
{
	return _mm256_set1_ps(INFINITY);
}

INLINE __m256i
count_smaller(__m256i rank, VEC x, VEC y)
{
	return _mm256_sub_epi32(rank, _mm256_castps_si256(_mm256_cmp_ps(x, y, _CMP_LT_OQ)));
}

/* x in lanes whose rank is below k, else minus infinity. */
INLINE VEC
among_first(VEC x, __m256i rank, uint32_t k)
{
	__m256i in = _mm256_cmpgt_epi32(_mm256_set1_epi32((int) k), rank);

	return _mm256_blendv_ps(_mm256_set1_ps(-INFINITY), x, _mm256_castsi256_ps(in));
}

/*
 * The k-th smallest of 8 * count numbers; count is a constant, 1 to 4. It is the largest number
 * whose rank, the number of smaller ones, is below k.
 */
INLINE float
kth_smallest(const VEC *x, int count, uint32_t k)
{
	float all[8 * 4];
	__m256i rank[4];
	VEC most = _mm256_set1_ps(-INFINITY);
	__m128 four;

	OMENDB_UNROLL
	for (int i = 0; i < count; i++)
	{
		_mm256_storeu_ps(all + 8 * i, x[i]);
		rank[i] = _mm256_setzero_si256();
	}
	for (int j = 0; j < 8 * count; j++)
	{
		VEC y = _mm256_broadcast_ss(all + j);

		OMENDB_UNROLL
		for (int i = 0; i < count; i++)
			rank[i] = count_smaller(rank[i], y, x[i]);
	}
	OMENDB_UNROLL
	for (int i = 0; i < count; i++)
		most = _mm256_max_ps(most, among_first(x[i], rank[i], k));
	four = _mm_max_ps(_mm256_castps256_ps128(most), _mm256_extractf128_ps(most, 1));
	four = _mm_max_ps(four, _mm_movehl_ps(four, four));
	return _mm_cvtss_f32(_mm_max_ss(four, _mm_movehdup_ps(four)));
}

/*
 * The values of 8 elements. The last multiplication may be fused with the addition, because the
 * product with a power of two is exact.
 */
INLINE VEC
values_of(const float *base, const float *scale, __m256i products, VEC factor)
{
	VEC multiple = _mm256_mul_ps(_mm256_loadu_ps(scale), factor);

	return _mm256_fmadd_ps(_mm256_cvtepi32_ps(products), multiple, _mm256_loadu_ps(base));
}

/* Write the k smallest of `count` candidates, 8 or less, in order. Those from `count` on are infinite. */
INLINE void
order_candidates(const float *value, const uint32_t *number, size_t count, uint32_t k,
				 float *values, uint32_t *which)
{
	VEC x = _mm256_loadu_ps(value);
	__m256i rank = _mm256_setzero_si256();
	uint32_t ranks[8];
	float ordered[8];
	uint32_t ordered_number[8];

	/* A rank is the number of smaller candidates, and of equal ones in front. */
	OMENDB_UNROLL
	for (int i = 0; i < 8; i++)
	{
		VEC y = _mm256_broadcast_ss(value + i);
		VEC before =
			_mm256_blendv_ps(_mm256_cmp_ps(y, x, _CMP_LE_OQ), _mm256_cmp_ps(y, x, _CMP_LT_OQ),
							 _mm256_castsi256_ps(first_lanes((size_t) i + 1)));

		rank = _mm256_sub_epi32(rank, _mm256_castps_si256(before));
	}
	store_bytes(ranks, rank);
	OMENDB_UNROLL
	for (int i = 0; i < 8; i++)
	{
		ordered[ranks[i]] = value[i];
		ordered_number[ranks[i]] = number[i];
	}
	for (uint32_t place = 0; place < k && place < count; place++)
	{
		values[place] = ordered[place];
		which[place] = ordered_number[place];
	}
}

/*
 * nearest of n elements, up to CHUNK, the first of which is number `from`. values and which have
 * `used` from the elements before. Takes the minimum of each of 16 or 32 lanes. The k-th smallest of
 * these is not less than the k-th smallest of all, and few elements are below it.
 */
INLINE uint32_t
nearest_of_chunk(const float *base, const float *scale, const int32_t *products, float factor,
				 size_t n, size_t skip, uint32_t k, uint32_t from, uint32_t used, float *values,
				 uint32_t *which)
{
	const VEC factors = _mm256_set1_ps(factor);
	VEC low[4];
	float value[CHUNK];
	float limit;
	float candidate[CHUNK];
	uint32_t number[CHUNK];
	size_t count = 0;
	size_t end = (n + 31) / 32 * 32;
	size_t j = 0;

	for (; j + 8 <= n; j += 8)
		_mm256_storeu_ps(value + j,
						 values_of(base + j, scale + j, load_bytes(products + j), factors));
	if (j < n)
	{
		__m256i part = _mm256_maskload_epi32(products + j, first_lanes(n - j));

		_mm256_storeu_ps(value + j, values_of(base + j, scale + j, part, factors));
	}
	for (j = n; j < end; j++)
		value[j] = INFINITY;
	if (skip < n)
		value[skip] = INFINITY;

	OMENDB_UNROLL
	for (int i = 0; i < 4; i++)
		low[i] = infinity();
	for (j = 0; j < end; j += 32)
		OMENDB_UNROLL
	for (int i = 0; i < 4; i++)
		low[i] = _mm256_min_ps(low[i], _mm256_loadu_ps(value + j + 8 * i));
	if (k <= 8)
	{
		low[0] = _mm256_min_ps(low[0], low[2]);
		low[1] = _mm256_min_ps(low[1], low[3]);
		limit = kth_smallest(low, 2, k);
	}
	else
		limit = kth_smallest(low, 4, k);
	if (!(limit <= FLT_MAX))
		limit = FLT_MAX;
	if (used == k && values[k - 1] < limit)
		limit = values[k - 1];

	for (j = 0; j < end; j += 32)
	{
		uint32_t near = 0;

		OMENDB_UNROLL
		for (int i = 0; i < 4; i++)
		{
			VEC x = _mm256_loadu_ps(value + j + 8 * i);
			VEC in = _mm256_cmp_ps(x, _mm256_set1_ps(limit), _CMP_LE_OQ);

			near |= (uint32_t) _mm256_movemask_ps(in) << 8 * i;
		}
		for (; near; near &= near - 1, count++)
		{
			size_t at = j + (size_t) __builtin_ctz(near);

			candidate[count] = value[at];
			number[count] = from + (uint32_t) at;
		}
	}

	if (used > 0 || count > 8)
	{
		for (size_t i = 0; i < count; i++)
			omendb_put_nearest(candidate[i], number[i], k, &used, values, which);
		return used;
	}
	for (size_t i = count; i < 8; i++)
	{
		candidate[i] = INFINITY;
		number[i] = 0;
	}
	order_candidates(candidate, number, count, k, values, which);
	return count < k ? (uint32_t) count : k;
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

INLINE uint64_t
byte_signs(__m256i low, __m256i high)
{
	return (uint32_t) _mm256_movemask_epi8(low) | (uint64_t) (uint32_t) _mm256_movemask_epi8(high)
													  << 32;
}

TARGET static void
compare_rows(const int8_t *v, const int8_t *x, size_t n, uint64_t *out)
{
	for (size_t i = 0; i < n; i += 64)
		out[i / 64] = byte_signs(_mm256_cmpgt_epi8(load_bytes(x + i), load_bytes(v + i)),
								 _mm256_cmpgt_epi8(load_bytes(x + i + 32), load_bytes(v + i + 32)));
}

/* Number of bits set in each byte, by two look-ups of four bits (source: kernel_avx2.c). */
INLINE __m256i
popcount_epi8(__m256i x)
{
	const __m256i table = _mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4, 0, 1, 1,
										   2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4);
	const __m256i four_bits = _mm256_set1_epi8(15);
	__m256i low = _mm256_and_si256(x, four_bits);
	__m256i high = _mm256_and_si256(_mm256_srli_epi16(x, 4), four_bits);

	return _mm256_add_epi8(_mm256_shuffle_epi8(table, low), _mm256_shuffle_epi8(table, high));
}

/* The sums of the eight bytes of each of 16 lanes of 64 bits, as 16 numbers of 16 bits. */
INLINE __m256i
sums_of_lanes(const __m256i *x)
{
	const __m256i zero = _mm256_setzero_si256();
	const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
	__m256i low = _mm256_packus_epi32(_mm256_sad_epu8(x[0], zero), _mm256_sad_epu8(x[1], zero));
	__m256i high = _mm256_packus_epi32(_mm256_sad_epu8(x[2], zero), _mm256_sad_epu8(x[3], zero));

	return _mm256_permutevar8x32_epi32(_mm256_packus_epi32(low, high), order);
}

/* Words whose counts of bits can be summed in bytes: 31 * 8 < 256. */
#define BYTE_WORDS 31

TARGET static void
column_hamming(const uint64_t *codes, size_t words, size_t stride, size_t i, size_t n,
			   uint16_t *differ)
{
	for (size_t j = 0; j < n; j += 16)
	{
		__m256i sum = _mm256_setzero_si256();

		for (size_t w = 0; w < words;)
		{
			size_t end = words - w < BYTE_WORDS ? words : w + BYTE_WORDS;
			__m256i count[4];

			OMENDB_UNROLL
			for (int part = 0; part < 4; part++)
				count[part] = _mm256_setzero_si256();
			for (; w < end; w++)
			{
				const uint64_t *row = codes + w * stride;
				__m256i x = _mm256_set1_epi64x((long long) row[i]);

				OMENDB_UNROLL
				for (int part = 0; part < 4; part++)
				{
					__m256i y = _mm256_xor_si256(x, load_bytes(row + j + 4 * part));

					count[part] = _mm256_add_epi8(count[part], popcount_epi8(y));
				}
			}
			sum = _mm256_add_epi16(sum, sums_of_lanes(count));
		}
		store_bytes(differ + j, sum);
	}
}

/* -1 in lanes whose number is not below the limit. */
INLINE __m256i
not_below(const uint16_t *differ, __m256i limit)
{
	return _mm256_cmpeq_epi16(_mm256_subs_epu16(limit, load_bytes(differ)), _mm256_setzero_si256());
}

TARGET static void
below(const uint16_t *differ, size_t n, uint16_t limit, uint64_t *mask)
{
	const __m256i limits = _mm256_set1_epi16((short) limit);

	for (size_t j = 0; j < n; j += 64)
	{
		__m256i low =
			_mm256_packs_epi16(not_below(differ + j, limits), not_below(differ + j + 16, limits));
		__m256i high = _mm256_packs_epi16(not_below(differ + j + 32, limits),
										  not_below(differ + j + 48, limits));

		mask[j / 64] =
			~byte_signs(_mm256_permute4x64_epi64(low, 0xD8), _mm256_permute4x64_epi64(high, 0xD8));
	}
}

/* ---------------------------------------------------------------- ranks */

/* Keys with the highest bit inverted: a signed comparison then has the order of unsigned keys. */
INLINE __m256i
signed_order(__m256i keys)
{
	return _mm256_xor_si256(keys, _mm256_set1_epi64x(INT64_MIN));
}

/* Ranks of 16 keys among n: the number of smaller keys. */
INLINE void
ranks_of_16(const uint64_t *keys, size_t n, const uint64_t *own, uint16_t *ranks)
{
	__m256i x[4], rank[4], low, high;

	OMENDB_UNROLL
	for (int part = 0; part < 4; part++)
	{
		x[part] = signed_order(load_bytes(own + 4 * part));
		rank[part] = _mm256_setzero_si256();
	}
	for (size_t j = 0; j < n; j++)
	{
		__m256i key = signed_order(_mm256_set1_epi64x((long long) keys[j]));

		OMENDB_UNROLL
		for (int part = 0; part < 4; part++)
			rank[part] = _mm256_sub_epi64(rank[part], _mm256_cmpgt_epi64(x[part], key));
	}
	low = _mm256_packus_epi32(rank[0], rank[1]);
	high = _mm256_packus_epi32(rank[2], rank[3]);
	store_bytes(ranks, _mm256_permutevar8x32_epi32(_mm256_packus_epi32(low, high),
												   _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7)));
}

/* The high halves of 8 keys, in the order 0, 1, 4, 5, 2, 3, 6, 7. */
INLINE __m256i
high_halves(const uint64_t *keys)
{
	__m256 low = _mm256_castsi256_ps(signed_order(load_bytes(keys)));
	__m256 high = _mm256_castsi256_ps(signed_order(load_bytes(keys + 4)));

	return _mm256_castps_si256(_mm256_shuffle_ps(low, high, 0xDD));
}

/* Ranks of 16 * groups keys by their high halves alone. groups is a constant, 1 to 4. */
INLINE void
ranks_by_halves(const uint64_t *keys, size_t n, const uint64_t *own, int groups, uint16_t *ranks)
{
	__m256i x[8], rank[8];

	OMENDB_UNROLL
	for (int part = 0; part < 2 * groups; part++)
	{
		x[part] = high_halves(own + 8 * part);
		rank[part] = _mm256_setzero_si256();
	}
	for (size_t j = 0; j < n; j++)
	{
		__m256i key = _mm256_set1_epi32((int) (uint32_t) (keys[j] >> 32 ^ 0x80000000));

		OMENDB_UNROLL
		for (int part = 0; part < 2 * groups; part++)
			rank[part] = _mm256_sub_epi32(rank[part], _mm256_cmpgt_epi32(x[part], key));
	}
	OMENDB_UNROLL
	for (int g = 0; g < groups; g++)
	{
		/* Its halves have keys 0, 1, 4, 5, 8, 9, 12, 13, and the others. */
		__m256i both = _mm256_packus_epi32(rank[2 * g], rank[2 * g + 1]);

		store_bytes(ranks + 16 * g,
					_mm256_permutevar8x32_epi32(both, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7)));
	}
}

/*
 * Ranks by the high halves of the keys, 8 to a register. If no two halves are equal the ranks are
 * right: they are 0 to n - 1, and their sum is n (n - 1) / 2. Each pair of equal halves makes the
 * sum less by one; then the ranks are computed again by whole keys.
 */
TARGET static void
ranks(const uint64_t *keys, size_t n, uint16_t *ranks)
{
	size_t sum = 0;
	size_t i = 0;

	for (; i + 16 < n; i += 32)
		ranks_by_halves(keys, n, keys + i, 2, ranks + i);
	if (i < n)
		ranks_by_halves(keys, n, keys + i, 1, ranks + i);
	for (i = 0; i < n; i++)
		sum += ranks[i];
	if (sum == n * (n - 1) / 2)
		return;
	for (i = 0; i < n; i += 16)
		ranks_of_16(keys, n, keys + i, ranks + i);
}

void
omendb_fill_block_avx2(OmendbKernels *table)
{
	table->largest_f32 = largest_f32;
	table->round_f32_i8 = round_f32_i8;
	table->pack_columns = pack_columns;
	table->block_products = block_products;
	table->row_products = row_products;
	table->nearest = nearest;
	table->compare_rows = compare_rows;
	table->column_hamming = column_hamming;
	table->below = below;
	table->ranks = ranks;
}

#endif /* OMENDB_X86 */
