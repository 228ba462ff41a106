/*
 * block_neon.c
 *	  The kernels of the bulk build for 64-bit Arm, and with the dot product instructions if the
 *	  processor has them.
 */
#include "kernel/kernel_tables.h"

#ifdef OMENDB_ARM64

#include <arm_neon.h>
#include <float.h>
#include <math.h>
#include <string.h>

#include "kernel/block.h"

#define TARGET
#ifdef __clang__
#define TARGET_DOTPROD __attribute__((target("dotprod")))
#else
#define TARGET_DOTPROD __attribute__((target("arch=armv8.2-a+dotprod")))
#endif
#define INLINE         static inline __attribute__((always_inline))
#define INLINE_DOTPROD TARGET_DOTPROD static inline __attribute__((always_inline))

#define VEC   float32x4_t
#define LANES 4

/* ---------------------------------------------------------------- rows */

/* Not the instruction for a maximum, which gives NaN where one operand is NaN. */
INLINE VEC
larger_magnitude(const float *x, VEC most)
{
	VEC magnitude = vabsq_f32(vld1q_f32(x));

	return vbslq_f32(vcgtq_f32(magnitude, most), magnitude, most);
}

static float
largest_f32(const float *x, size_t n)
{
	VEC most[2] = {vdupq_n_f32(0), vdupq_n_f32(0)};
	size_t i = 0;

	for (; i + 2 * LANES <= n; i += 2 * LANES)
	{
		most[0] = larger_magnitude(x + i, most[0]);
		most[1] = larger_magnitude(x + i + LANES, most[1]);
	}
	return omendb_largest_plain(x + i, n - i, vmaxvq_f32(vmaxq_f32(most[0], most[1])));
}

/* By comparisons, so that NaN becomes the limit. */
INLINE int32x4_t
round_four(const float *x, float factor)
{
	const VEC limit = vdupq_n_f32(127);
	const VEC least = vdupq_n_f32(-127);
	VEC y = vmulq_n_f32(vld1q_f32(x), factor);

	y = vbslq_f32(vcltq_f32(y, limit), y, limit);
	y = vbslq_f32(vcgtq_f32(y, least), y, least);
	return vcvtnq_s32_f32(y);
}

static int32_t
round_f32_i8(const float *x, float factor, int8_t *out, size_t n)
{
	int32x4_t squares = vdupq_n_s32(0);
	size_t i = 0;

	for (; i + 4 * LANES <= n; i += 4 * LANES)
	{
		int16x8_t low = vcombine_s16(vmovn_s32(round_four(x + i, factor)),
									 vmovn_s32(round_four(x + i + LANES, factor)));
		int16x8_t high = vcombine_s16(vmovn_s32(round_four(x + i + 2 * LANES, factor)),
									  vmovn_s32(round_four(x + i + 3 * LANES, factor)));

		squares = vmlal_s16(squares, vget_low_s16(low), vget_low_s16(low));
		squares = vmlal_high_s16(squares, low, low);
		squares = vmlal_s16(squares, vget_low_s16(high), vget_low_s16(high));
		squares = vmlal_high_s16(squares, high, high);
		vst1q_s8(out + i, vcombine_s8(vmovn_s16(low), vmovn_s16(high)));
	}
	return vaddvq_s32(squares) + omendb_round_plain(x + i, factor, out + i, n - i);
}

/* ---------------------------------------------------------------- packing */

/* Transpose 4 times 4 numbers of 32 bits: a register gets four elements of each of four columns. */
INLINE void
transpose(int8x16_t *x)
{
	int32x4_t a = vreinterpretq_s32_s8(x[0]);
	int32x4_t b = vreinterpretq_s32_s8(x[1]);
	int32x4_t c = vreinterpretq_s32_s8(x[2]);
	int32x4_t d = vreinterpretq_s32_s8(x[3]);
	int64x2_t ab_even = vreinterpretq_s64_s32(vtrn1q_s32(a, b));
	int64x2_t ab_odd = vreinterpretq_s64_s32(vtrn2q_s32(a, b));
	int64x2_t cd_even = vreinterpretq_s64_s32(vtrn1q_s32(c, d));
	int64x2_t cd_odd = vreinterpretq_s64_s32(vtrn2q_s32(c, d));

	x[0] = vreinterpretq_s8_s64(vtrn1q_s64(ab_even, cd_even));
	x[1] = vreinterpretq_s8_s64(vtrn1q_s64(ab_odd, cd_odd));
	x[2] = vreinterpretq_s8_s64(vtrn2q_s64(ab_even, cd_even));
	x[3] = vreinterpretq_s8_s64(vtrn2q_s64(ab_odd, cd_odd));
}

/*
 * The 16 bytes of four columns have one of two orders: the scalar level's, or elements 0 and 1 of
 * all columns, then 2 and 3.
 */
INLINE void
pack(const int8_t *const *rows, size_t count, size_t n, int8_t *packed, bool by_twos)
{
	static const uint8_t twos[16] = {0, 1, 4, 5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14, 15};
	const uint8x16_t order = vld1q_u8(twos);

	for (size_t first = 0; first < OMENDB_BLOCK_COLUMNS; first += 4)
		for (size_t i = 0; i < n; i += 16)
		{
			int8_t *out = packed + OMENDB_BLOCK_COLUMNS * i + 4 * first;
			int8x16_t x[4];

			OMENDB_UNROLL
			for (size_t c = 0; c < 4; c++)
				x[c] = vld1q_s8(rows[first + c < count ? first + c : 0] + i);
			transpose(x);
			OMENDB_UNROLL
			for (size_t k = 0; k < 4; k++)
				if (i + 4 * k < n)
					vst1q_s8(out + 64 * k, by_twos ? vqtbl1q_s8(x[k], order) : x[k]);
		}
}

static void
pack_columns(const int8_t *const *rows, size_t count, size_t n, void *packed)
{
	pack(rows, count, n, packed, true);
}

static void
pack_columns_dotprod(const int8_t *const *rows, size_t count, size_t n, void *packed)
{
	pack(rows, count, n, packed, false);
}

/* ---------------------------------------------------------------- products */

/*
 * Adds to lane i the four products of bytes 2 i, 2 i + 1, 2 i + 8 and 2 i + 9 of x and y, whose
 * halves are y_low and y_high. Two products fit 16 bits, because 2 * 127 * 127 is below 32768.
 */
INLINE int32x4_t
add_products(int32x4_t sum, int8x16_t x, int8x8_t y_low, int8x16_t y_high)
{
	int16x8_t pairs = vmull_s8(vget_low_s8(x), y_low);

	return vpadalq_s16(sum, vmlal_high_s8(pairs, x, y_high));
}

/* The two elements from p, in every lane of 16 bits. */
INLINE int8x16_t
repeat_two(const int8_t *p)
{
	int16_t two;

	memcpy(&two, p, sizeof(two));
	return vreinterpretq_s8_s16(vdupq_n_s16(two));
}

static void
block_products(const int8_t *const *rows, const void *packed, size_t groups, size_t n, int32_t *out,
			   size_t stride)
{
	const int8_t *columns = packed;

	for (size_t g = 0; g < groups; g++, columns += OMENDB_PACKED_BYTES(n), out += 16)
		for (size_t first = 0; first < OMENDB_BLOCK_ROWS; first += 4)
		{
			const int8_t *column = columns;
			int32x4_t sum[4][4];

			OMENDB_UNROLL
			for (int r = 0; r < 4; r++)
				OMENDB_UNROLL
			for (int part = 0; part < 4; part++)
				sum[r][part] = vdupq_n_s32(0);
			for (size_t i = 0; i < n; i += 4, column += 64)
			{
				int8x16_t x[4];

				OMENDB_UNROLL
				for (int part = 0; part < 4; part++)
					x[part] = vld1q_s8(column + 16 * part);
				OMENDB_UNROLL
				for (size_t r = 0; r < 4; r++)
				{
					int8x8_t low = vget_low_s8(repeat_two(rows[first + r] + i));
					int8x16_t high = repeat_two(rows[first + r] + i + 2);

					OMENDB_UNROLL
					for (int part = 0; part < 4; part++)
						sum[r][part] = add_products(sum[r][part], x[part], low, high);
				}
			}
			OMENDB_UNROLL
			for (size_t r = 0; r < 4; r++)
				OMENDB_UNROLL
			for (int part = 0; part < 4; part++)
				vst1q_s32(out + (first + r) * stride + 4 * part, sum[r][part]);
		}
}

/* Adds the products of elements 4 * k to 4 * k + 3 (k is a constant) of 8 rows and 8 columns. */
#define ADD_FOUR(sum, row, k, column)                                      \
	do                                                                     \
	{                                                                      \
		int8x16_t low = vld1q_s8((column) + 64 * (k));                     \
		int8x16_t high = vld1q_s8((column) + 64 * (k) + 16);               \
                                                                           \
		OMENDB_UNROLL                                                      \
		for (int r = 0; r < OMENDB_BLOCK_ROWS; r++)                        \
		{                                                                  \
			(sum)[r][0] = vdotq_laneq_s32((sum)[r][0], low, (row)[r], k);  \
			(sum)[r][1] = vdotq_laneq_s32((sum)[r][1], high, (row)[r], k); \
		}                                                                  \
	} while (0)

TARGET_DOTPROD static void
block_products_dotprod(const int8_t *const *rows, const void *packed, size_t groups, size_t n,
					   int32_t *out, size_t stride)
{
	const int8_t *columns = packed;

	for (size_t half = 0; half < 2 * groups; half++, out += 8)
	{
		const int8_t *column = columns + half / 2 * OMENDB_PACKED_BYTES(n) + half % 2 * 32;
		int32x4_t sum[OMENDB_BLOCK_ROWS][2];

		OMENDB_UNROLL
		for (int r = 0; r < OMENDB_BLOCK_ROWS; r++)
			sum[r][0] = sum[r][1] = vdupq_n_s32(0);
		for (size_t i = 0; i < n; i += 16, column += 4 * 64)
		{
			int8x16_t row[OMENDB_BLOCK_ROWS];

			OMENDB_UNROLL
			for (int r = 0; r < OMENDB_BLOCK_ROWS; r++)
				row[r] = vld1q_s8(rows[r] + i);
			ADD_FOUR(sum, row, 0, column);
			if (i + 12 < n)
			{
				ADD_FOUR(sum, row, 1, column);
				ADD_FOUR(sum, row, 2, column);
				ADD_FOUR(sum, row, 3, column);
				continue;
			}
			/* The end: packed columns have no zeros behind them. */
			if (i + 4 < n)
				ADD_FOUR(sum, row, 1, column);
			if (i + 8 < n)
				ADD_FOUR(sum, row, 2, column);
		}
		OMENDB_UNROLL
		for (size_t r = 0; r < OMENDB_BLOCK_ROWS; r++)
		{
			vst1q_s32(out + r * stride, sum[r][0]);
			vst1q_s32(out + r * stride + 4, sum[r][1]);
		}
	}
}

INLINE int32x4_t
add_row(int32x4_t sum, int8x16_t x, int8x16_t y)
{
	return add_products(sum, x, vget_low_s8(y), y);
}

INLINE_DOTPROD int32x4_t
add_row_dotprod(int32x4_t sum, int8x16_t x, int8x16_t y)
{
	return vdotq_s32(sum, x, y);
}

#define ROW_PRODUCTS(NAME, TARGET, ADD)                                                         \
	TARGET static void NAME(const int8_t *v, const int8_t *const *rows, size_t count, size_t n, \
							int32_t *out)                                                       \
	{                                                                                           \
		for (size_t j = 0; j < count; j += 4)                                                   \
		{                                                                                       \
			const size_t last = count - 1;                                                      \
			const int8_t *row0 = rows[j];                                                       \
			const int8_t *row1 = rows[j + 1 < last ? j + 1 : last];                             \
			const int8_t *row2 = rows[j + 2 < last ? j + 2 : last];                             \
			const int8_t *row3 = rows[j + 3 < last ? j + 3 : last];                             \
			int32x4_t sum0 = vdupq_n_s32(0);                                                    \
			int32x4_t sum1 = sum0;                                                              \
			int32x4_t sum2 = sum0;                                                              \
			int32x4_t sum3 = sum0;                                                              \
			int32_t sums[4];                                                                    \
                                                                                                \
			for (size_t i = 0; i < n; i += 16)                                                  \
			{                                                                                   \
				int8x16_t x = vld1q_s8(v + i);                                                  \
                                                                                                \
				sum0 = ADD(sum0, x, vld1q_s8(row0 + i));                                        \
				sum1 = ADD(sum1, x, vld1q_s8(row1 + i));                                        \
				sum2 = ADD(sum2, x, vld1q_s8(row2 + i));                                        \
				sum3 = ADD(sum3, x, vld1q_s8(row3 + i));                                        \
			}                                                                                   \
			vst1q_s32(sums, vpaddq_s32(vpaddq_s32(sum0, sum1), vpaddq_s32(sum2, sum3)));        \
			memcpy(out + j, sums, (count - j < 4 ? count - j : 4) * sizeof(int32_t));           \
		}                                                                                       \
	}

ROW_PRODUCTS(row_products, TARGET, add_row)
ROW_PRODUCTS(row_products_dotprod, TARGET_DOTPROD, add_row_dotprod)

/* ---------------------------------------------------------------- nearest */

/* Elements of one pass of nearest, whose values are kept on the stack. */
#define CHUNK 1024

/*
 * The k-th smallest of 4 * count numbers; count is a constant, 1 to 8. It is the largest number
 * whose rank, the number of smaller ones, is below k.
 */
INLINE float
kth_smallest(const VEC *x, int count, uint32_t k)
{
	const uint32x4_t limit = vdupq_n_u32(k);
	float all[8 * LANES];
	uint32x4_t rank[8];
	VEC most = vdupq_n_f32(-INFINITY);

	OMENDB_UNROLL
	for (int i = 0; i < count; i++)
	{
		vst1q_f32(all + LANES * i, x[i]);
		rank[i] = vdupq_n_u32(0);
	}
	for (int j = 0; j < LANES * count; j++)
	{
		VEC y = vld1q_dup_f32(all + j);

		OMENDB_UNROLL
		for (int i = 0; i < count; i++)
			rank[i] = vsubq_u32(rank[i], vcltq_f32(y, x[i]));
	}
	OMENDB_UNROLL
	for (int i = 0; i < count; i++)
		most = vmaxq_f32(most, vbslq_f32(vcltq_u32(rank[i], limit), x[i], vdupq_n_f32(-INFINITY)));
	return vmaxvq_f32(most);
}

/*
 * The values of 4 elements. The last multiplication may be fused with the addition, because the
 * product with a power of two is exact.
 */
INLINE VEC
values_of(const float *base, const float *scale, int32x4_t products, float factor)
{
	VEC multiple = vmulq_n_f32(vld1q_f32(scale), factor);

	return vfmaq_f32(vld1q_f32(base), vcvtq_f32_s32(products), multiple);
}

/* Four bits for each of 16 values, which are 1 if the value is within the limit. */
INLINE uint64_t
within(const float *value, VEC limit)
{
	uint16x8_t low = vcombine_u16(vmovn_u32(vcleq_f32(vld1q_f32(value), limit)),
								  vmovn_u32(vcleq_f32(vld1q_f32(value + 4), limit)));
	uint16x8_t high = vcombine_u16(vmovn_u32(vcleq_f32(vld1q_f32(value + 8), limit)),
								   vmovn_u32(vcleq_f32(vld1q_f32(value + 12), limit)));
	uint8x16_t bytes = vcombine_u8(vmovn_u16(low), vmovn_u16(high));

	return vget_lane_u64(vreinterpret_u64_u8(vshrn_n_u16(vreinterpretq_u16_u8(bytes), 4)), 0);
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
	const size_t end = (n + 31) / 32 * 32;
	float value[CHUNK];
	VEC low[8];
	float limit;
	size_t j = 0;

	for (; j + LANES <= n; j += LANES)
		vst1q_f32(value + j, values_of(base + j, scale + j, vld1q_s32(products + j), factor));
	if (j < n)
	{
		int32_t part[LANES] = {0};

		memcpy(part, products + j, (n - j) * sizeof(int32_t));
		vst1q_f32(value + j, values_of(base + j, scale + j, vld1q_s32(part), factor));
	}
	for (j = n; j < end; j++)
		value[j] = INFINITY;
	if (skip < n)
		value[skip] = INFINITY;

	OMENDB_UNROLL
	for (int i = 0; i < 8; i++)
		low[i] = vdupq_n_f32(INFINITY);
	for (j = 0; j < end; j += 32)
		OMENDB_UNROLL
	for (int i = 0; i < 8; i++)
		low[i] = vminq_f32(low[i], vld1q_f32(value + j + (size_t) (LANES * i)));
	if (k <= 8)
	{
		OMENDB_UNROLL
		for (int i = 0; i < 4; i++)
			low[i] = vminq_f32(low[i], low[i + 4]);
		limit = kth_smallest(low, 4, k);
	}
	else
		limit = kth_smallest(low, 8, k);
	if (!(limit <= FLT_MAX))
		limit = FLT_MAX;

	for (j = 0; j < n; j += 16)
		for (uint64_t near = within(value + j, vdupq_n_f32(limit)) & 0x1111111111111111; near;
			 near &= near - 1)
		{
			size_t at = j + (size_t) __builtin_ctzll(near) / 4;

			omendb_put_nearest(value[at], from + (uint32_t) at, k, &used, values, which);
		}
	return used;
}

static uint32_t
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

/* Bit i is 1 if byte i of the four registers, each 0xFF or 0, is 0xFF. */
INLINE uint64_t
byte_bits(uint8x16_t x0, uint8x16_t x1, uint8x16_t x2, uint8x16_t x3)
{
	static const uint8_t places[16] = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
	const uint8x16_t place = vld1q_u8(places);
	uint8x16_t low = vpaddq_u8(vandq_u8(x0, place), vandq_u8(x1, place));
	uint8x16_t high = vpaddq_u8(vandq_u8(x2, place), vandq_u8(x3, place));
	uint8x16_t all = vpaddq_u8(low, high);

	return vgetq_lane_u64(vreinterpretq_u64_u8(vpaddq_u8(all, all)), 0);
}

static void
compare_rows(const int8_t *v, const int8_t *x, size_t n, uint64_t *out)
{
	for (size_t i = 0; i < n; i += 64)
		out[i / 64] = byte_bits(vcgtq_s8(vld1q_s8(x + i), vld1q_s8(v + i)),
								vcgtq_s8(vld1q_s8(x + i + 16), vld1q_s8(v + i + 16)),
								vcgtq_s8(vld1q_s8(x + i + 32), vld1q_s8(v + i + 32)),
								vcgtq_s8(vld1q_s8(x + i + 48), vld1q_s8(v + i + 48)));
}

/* Words whose counts of bits can be summed in bytes: 31 * 8 < 256. */
#define BYTE_WORDS 31

/* The sums of the eight bytes of each of 8 lanes of 64 bits, as 8 numbers of 16 bits. */
INLINE uint16x8_t
sums_of_lanes(const uint8x16_t *x)
{
	uint16x8_t low = vpaddq_u16(vpaddlq_u8(x[0]), vpaddlq_u8(x[1]));
	uint16x8_t high = vpaddq_u16(vpaddlq_u8(x[2]), vpaddlq_u8(x[3]));

	return vpaddq_u16(low, high);
}

static void
column_hamming(const uint64_t *codes, size_t words, size_t stride, size_t i, size_t n,
			   uint16_t *differ)
{
	for (size_t j = 0; j < n; j += 16)
	{
		uint16x8_t low = vdupq_n_u16(0);
		uint16x8_t high = low;

		for (size_t w = 0; w < words;)
		{
			size_t end = words - w < BYTE_WORDS ? words : w + BYTE_WORDS;
			uint8x16_t count[8];

			OMENDB_UNROLL
			for (int part = 0; part < 8; part++)
				count[part] = vdupq_n_u8(0);
			for (; w < end; w++)
			{
				const uint64_t *row = codes + w * stride;
				uint64x2_t x = vdupq_n_u64(row[i]);

				OMENDB_UNROLL
				for (size_t part = 0; part < 8; part++)
				{
					uint64x2_t y = veorq_u64(x, vld1q_u64(row + j + 2 * part));

					count[part] = vaddq_u8(count[part], vcntq_u8(vreinterpretq_u8_u64(y)));
				}
			}
			low = vaddq_u16(low, sums_of_lanes(count));
			high = vaddq_u16(high, sums_of_lanes(count + 4));
		}
		vst1q_u16(differ + j, low);
		vst1q_u16(differ + j + 8, high);
	}
}

/* 0xFF in byte i if the i-th of 16 numbers is below the limit, else 0. */
INLINE uint8x16_t
bytes_below(const uint16_t *differ, uint16x8_t limit)
{
	return vcombine_u8(vmovn_u16(vcltq_u16(vld1q_u16(differ), limit)),
					   vmovn_u16(vcltq_u16(vld1q_u16(differ + 8), limit)));
}

static void
below(const uint16_t *differ, size_t n, uint16_t limit, uint64_t *mask)
{
	const uint16x8_t limits = vdupq_n_u16(limit);

	for (size_t j = 0; j < n; j += 64)
		mask[j / 64] =
			byte_bits(bytes_below(differ + j, limits), bytes_below(differ + j + 16, limits),
					  bytes_below(differ + j + 32, limits), bytes_below(differ + j + 48, limits));
}

/* ---------------------------------------------------------------- ranks */

/* Ranks of 16 keys among n: the number of smaller keys. */
INLINE void
ranks_of_16(const uint64_t *keys, size_t n, const uint64_t *own, uint16_t *ranks)
{
	uint64x2_t x[8], rank[8];

	OMENDB_UNROLL
	for (size_t part = 0; part < 8; part++)
	{
		x[part] = vld1q_u64(own + 2 * part);
		rank[part] = vdupq_n_u64(0);
	}
	for (size_t j = 0; j < n; j++)
	{
		uint64x2_t key = vld1q_dup_u64(keys + j);

		OMENDB_UNROLL
		for (int part = 0; part < 8; part++)
			rank[part] = vsubq_u64(rank[part], vcltq_u64(key, x[part]));
	}
	OMENDB_UNROLL
	for (size_t part = 0; part < 8; part += 2)
		vst1_u16(ranks + 2 * part,
				 vmovn_u32(vcombine_u32(vmovn_u64(rank[part]), vmovn_u64(rank[part + 1]))));
}

/* Ranks of 16 * groups keys by their high halves alone. groups is a constant, 1 or 2. */
INLINE void
ranks_by_halves(const uint64_t *keys, size_t n, const uint64_t *own, size_t groups, uint16_t *ranks)
{
	uint32x4_t x[8], rank[8];

	OMENDB_UNROLL
	for (size_t part = 0; part < 4 * groups; part++)
	{
		x[part] = vuzp2q_u32(vreinterpretq_u32_u64(vld1q_u64(own + 4 * part)),
							 vreinterpretq_u32_u64(vld1q_u64(own + 4 * part + 2)));
		rank[part] = vdupq_n_u32(0);
	}
	for (size_t j = 0; j < n; j++)
	{
		uint32x4_t key = vdupq_n_u32((uint32_t) (keys[j] >> 32));

		OMENDB_UNROLL
		for (size_t part = 0; part < 4 * groups; part++)
			rank[part] = vsubq_u32(rank[part], vcltq_u32(key, x[part]));
	}
	OMENDB_UNROLL
	for (size_t part = 0; part < 4 * groups; part++)
		vst1_u16(ranks + 4 * part, vmovn_u32(rank[part]));
}

/*
 * Ranks by the high halves of the keys, 4 to a register. If no two halves are equal the ranks are
 * right: they are 0 to n - 1, and their sum is n (n - 1) / 2. Each pair of equal halves makes the
 * sum less by one; then the ranks are computed again by whole keys.
 */
static void
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
omendb_fill_block_neon(OmendbKernels *table, unsigned features)
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
	if (features & OMENDB_CPU_DOTPROD)
	{
		/* All three, because their packed columns differ from those without dot products. */
		table->pack_columns = pack_columns_dotprod;
		table->block_products = block_products_dotprod;
		table->row_products = row_products_dotprod;
	}
}

#endif /* OMENDB_ARM64 */
