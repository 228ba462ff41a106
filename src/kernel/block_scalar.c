/*
 * block_scalar.c
 *	  The kernels of the bulk build in plain C: the reference for all other levels, and the kernels
 *	  of machines without a better level.
 */
#include <string.h>

#include "kernel/block.h"
#include "kernel/kernel_tables.h"

static float
largest_f32(const float *x, size_t n)
{
	return omendb_largest_plain(x, n, 0);
}

static int32_t
round_f32_i8(const float *x, float factor, int8_t *out, size_t n)
{
	return omendb_round_plain(x, factor, out, n);
}

/* Element i of column c is byte [i / 4][c][i % 4]. */
static void
pack_columns(const int8_t *const *rows, size_t count, size_t n, void *packed)
{
	int8_t *out = packed;

	for (size_t i = 0; i < n; i += 4, out += 4 * OMENDB_BLOCK_COLUMNS)
		for (size_t c = 0; c < count; c++)
			memcpy(out + 4 * c, rows[c] + i, 4);
}

static void
block_products(const int8_t *const *rows, const void *packed, size_t groups, size_t n, int32_t *out,
			   size_t stride)
{
	const int8_t *columns = packed;

	for (size_t g = 0; g < groups; g++, columns += OMENDB_PACKED_BYTES(n))
		for (size_t r = 0; r < OMENDB_BLOCK_ROWS; r++)
			for (size_t c = 0; c < OMENDB_BLOCK_COLUMNS; c++)
			{
				int32_t sum = 0;

				for (size_t i = 0; i < n; i++)
					sum += rows[r][i] * columns[(i / 4 * OMENDB_BLOCK_COLUMNS + c) * 4 + i % 4];
				out[r * stride + g * OMENDB_BLOCK_COLUMNS + c] = sum;
			}
}

static void
row_products(const int8_t *v, const int8_t *const *rows, size_t count, size_t n, int32_t *out)
{
	for (size_t j = 0; j < count; j++)
	{
		int32_t sum = 0;

		for (size_t i = 0; i < n; i++)
			sum += v[i] * rows[j][i];
		out[j] = sum;
	}
}

static uint32_t
nearest(const float *base, const float *scale, const int32_t *products, float factor, size_t n,
		size_t skip, uint32_t k, float *values, uint32_t *which)
{
	uint32_t used = 0;

	for (size_t j = 0; j < n; j++)
		if (j != skip)
			omendb_put_nearest(base[j] + factor * scale[j] * (float) products[j], (uint32_t) j, k,
							   &used, values, which);
	return used;
}

static void
compare_rows(const int8_t *v, const int8_t *x, size_t n, uint64_t *out)
{
	for (size_t i = 0; i < n; i += 64)
	{
		uint64_t bits = 0;

		for (size_t k = 0; k < 64; k++)
			bits |= (uint64_t) (x[i + k] > v[i + k]) << k;
		out[i / 64] = bits;
	}
}

static void
column_hamming(const uint64_t *codes, size_t words, size_t stride, size_t i, size_t n,
			   uint16_t *differ)
{
	for (size_t j = 0; j < n; j++)
	{
		uint32_t sum = 0;

		for (size_t w = 0; w < words; w++)
			sum += (uint32_t) __builtin_popcountll(codes[w * stride + i] ^ codes[w * stride + j]);
		differ[j] = (uint16_t) sum;
	}
}

static void
below(const uint16_t *differ, size_t n, uint16_t limit, uint64_t *mask)
{
	memset(mask, 0, (n + 63) / 64 * sizeof(uint64_t));
	for (size_t j = 0; j < n; j++)
		mask[j / 64] |= (uint64_t) (differ[j] < limit) << j % 64;
}

static void
ranks(const uint64_t *keys, size_t n, uint16_t *ranks)
{
	for (size_t i = 0; i < n; i++)
	{
		uint32_t smaller = 0;

		for (size_t j = 0; j < n; j++)
			smaller += keys[j] < keys[i];
		ranks[i] = (uint16_t) smaller;
	}
}

void
omendb_fill_block_scalar(OmendbKernels *table)
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
