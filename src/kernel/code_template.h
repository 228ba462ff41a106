/*
 * code_template.h
 *	  Codes and the tables of a query, eight groups at a time, written once for every instruction
 *	  set with the compiler's vector types.
 *
 * The including file includes code_vectors.h and defines TARGET, the attribute of its functions,
 * and for eight lanes
 *
 *		NEAREST_INT(x)		the nearest integer as a float, ties to even
 *		TO_INTS(x)			the same as Ints
 *		MAX_FLOAT(x, y)		the larger of two floats, y if one is NaN
 *		INT_MAGNITUDE(x)	of Ints
 *		MAX_INT(x, y)		the larger of two Ints
 *		PAIR_PRODUCT(x, y)	low halves of x and y multiplied, plus high halves multiplied; as int16
 *		LOOK_UP(table, i)	table[i] for each index, from a table of eight floats
 *		LOOK_UP_INT(table, i)
 *		WIDEN_BYTES(p)		eight of uint8_t as Ints; WIDEN_NUMBERS of uint16_t, WIDEN_SHORTS
 *							of int16_t
 *
 * and store_tables(numbers, width, lut), which stores lane l of each of the 16 numbers[z] as byte
 * 16 * l + z, for l < width. Results are those of code_scalar.c, bit for bit, with the exception of
 * *origin: products and sums of integers are exact in any order, and code_scalar.c sums floats in
 * the same eight lanes.
 */
#ifndef OMENDB_CODE_TEMPLATE_H
#define OMENDB_CODE_TEMPLATE_H

#include <string.h>

#include "kernel/code.h"

#define WIDTH OMENDB_BLOCK_GROUPS

/* Macros, because without AVX there is no calling convention for such vectors. */
#define LOAD(to, p)        memcpy(&(to), (p), sizeof(to))
#define STORE(p, from)     memcpy((p), &(from), sizeof(from))
#define ALL(x)             ((Floats){x, x, x, x, x, x, x, x})
#define MAGNITUDE(x)       ((Floats) ((Ints) (x) &INT32_MAX))
#define TO_FLOATS(x)       __builtin_convertvector(x, Floats)
#define FIRST_LANES(to, n) LOAD(to, lane_masks + WIDTH - (n))

#define MAX_ELEMENTS (OMENDB_PLAN_MAX_GROUPS * OMENDB_GROUP_ELEMENTS + OMENDB_PLAN_SLACK)

/* The eight lanes from index 8 - n on are -1 n times, then 0. */
static const int32_t lane_masks[2 * WIDTH] = {-1, -1, -1, -1, -1, -1, -1, -1};

/* Element i of codeword j for groups of k elements, in all lanes: wide_words[k - 1][i][j]. */
static Floats wide_words[OMENDB_GROUP_ELEMENTS][OMENDB_GROUP_ELEMENTS][OMENDB_CODEWORDS];

/*
 * Elements 2 i and 2 i + 1 of codeword j, times 8, as int16 in the low and the high half of an
 * int32: [k - 1][i][j], once (pair_words) and in all lanes (wide_pairs).
 */
#define PAIRS (OMENDB_GROUP_ELEMENTS / 2)
static int32_t pair_words[OMENDB_GROUP_ELEMENTS][PAIRS][OMENDB_CODEWORDS];
static Ints wide_pairs[OMENDB_GROUP_ELEMENTS][PAIRS][OMENDB_CODEWORDS];

static int32_t
pair_of_words(uint32_t k, uint32_t i, int j)
{
	const OmendbCodebook *book = omendb_codebook(k);
	int32_t low = (int32_t) (8 * book->words[i][j]);
	int32_t high = i + 1 < k ? (int32_t) (8 * book->words[i + 1][j]) : 0;

	return (low & 0xffff) | (int32_t) ((uint32_t) high << 16);
}

/* Set the tables above. To be called before the first use. */
static void
spread_words(void)
{
	for (uint32_t k = 1; k <= OMENDB_GROUP_ELEMENTS; k++)
		for (int j = 0; j < OMENDB_CODEWORDS; j++)
		{
			for (uint32_t i = 0; i < k; i++)
				wide_words[k - 1][i][j] = ALL(omendb_codebook(k)->words[i][j]);
			for (uint32_t i = 0; i < k; i += 2)
			{
				pair_words[k - 1][i / 2][j] = pair_of_words(k, i, j);
				wide_pairs[k - 1][i / 2][j] = (Ints){0} + pair_words[k - 1][i / 2][j];
			}
		}
}

/*
 * r[i] = x[i] - v[i], or x[i] if v is NULL, for i < n, then zeros up to a multiple of WIDTH. Returns
 * the largest magnitude, and sets *sum to the sum of magnitudes.
 */
TARGET static float
get_residual(const float *v, const float *x, uint32_t n, float *r, float *sum)
{
	Floats largest = ALL(0.0f);
	Floats sums = ALL(0.0f);
	float lanes[WIDTH];
	float lane_sums[WIDTH];
	float most = 0;

	for (uint32_t i = 0; i < n; i += WIDTH)
	{
		Floats y;
		Floats magnitude;

		LOAD(y, x + i);
		if (v)
		{
			Floats origin;

			LOAD(origin, v + i);
			y -= origin;
		}
		if (n - i < WIDTH)
		{
			Ints counts;

			FIRST_LANES(counts, n - i);
			y = (Floats) (counts & (Ints) y);
		}
		STORE(r + i, y);
		magnitude = MAGNITUDE(y);
		largest = MAX_FLOAT(magnitude, largest);
		sums += magnitude;
	}
	STORE(lanes, largest);
	STORE(lane_sums, sums);
	*sum = 0;
	for (int l = 0; l < WIDTH; l++)
	{
		most = lanes[l] > most ? lanes[l] : most;
		*sum += lane_sums[l];
	}
	return most;
}

/* Scale the elements and round them to integers. */
TARGET static void
make_ints(float *r, uint32_t n, float scale)
{
	for (uint32_t i = 0; i < n; i += WIDTH)
	{
		Floats y;

		LOAD(y, r + i);
		y = NEAREST_INT(y * scale);
		STORE(r + i, y);
	}
}

/* *residual and *origin of residual_code, in lanes. */
typedef struct CodeSums
{
	Bits residual; /* times 8; may wrap around if elements are infinite */
	Floats origin;
} CodeSums;

/*
 * The codes of a block of `width` groups of k elements; k is a constant. offsets:
 * omendb_codeword_offset of each codeword.
 */
TARGET static inline __attribute__((always_inline)) void
code_block(const float *r, const float *v, uint32_t k, uint32_t width, float scale,
		   const int32_t *offsets, int32_t *code, CodeSums *sums)
{
	const OmendbCodebook *book = omendb_codebook(k);
	Ints pairs[PAIRS];
	Ints best = (Ints){0} + INT32_MIN;
	Ints product = {0};
	Floats origin = ALL(0.0f);
	Ints counts;
	Ints word;
	Ints negative;

	FIRST_LANES(counts, width);
	OMENDB_UNROLL
	for (uint32_t i = 0; i < k; i += 2)
	{
		Floats element;

		LOAD(element, r + i * width);
		pairs[i / 2] = TO_INTS(element * scale);
		if (i + 1 < k)
		{
			LOAD(element, r + (i + 1) * width);
			pairs[i / 2] = (pairs[i / 2] & 0xffff) | (Ints) ((Bits) TO_INTS(element * scale) << 16);
		}
	}
	OMENDB_UNROLL
	for (int j = 0; j < OMENDB_CODEWORDS; j++)
	{
		Ints sum = PAIR_PRODUCT(pairs[0], wide_pairs[k - 1][0][j]);

		OMENDB_UNROLL
		for (uint32_t i = 1; i < (k + 1) / 2; i++)
			sum += PAIR_PRODUCT(pairs[i], wide_pairs[k - 1][i][j]);
		sum = INT_MAGNITUDE(sum) + offsets[j];
		best = MAX_INT(sum, best);
	}
	word = OMENDB_CODEWORDS - 1 - (best & (OMENDB_CODEWORDS - 1));
	OMENDB_UNROLL
	for (uint32_t i = 0; i < (k + 1) / 2; i++)
		product += PAIR_PRODUCT(pairs[i], LOOK_UP_INT(pair_words[k - 1][i], word));
	OMENDB_UNROLL
	for (uint32_t i = 0; i < k; i++)
	{
		Floats from;

		LOAD(from, v + i * width);
		origin += from * LOOK_UP(book->words[i], word);
	}
	negative = product < 0;
	sums->residual += (Bits) (counts & INT_MAGNITUDE(product));
	origin = (Floats) ((Ints) origin ^ (negative & INT32_MIN));
	sums->origin += (Floats) (counts & (Ints) origin);
	word |= negative & OMENDB_CODEWORDS;
	STORE(code, word);
}

#define FOR_SIZES(CASE) CASE(1) CASE(2) CASE(3) CASE(4) CASE(5) CASE(6) CASE(7) CASE(8)

/* Not inlined: the compiler would load the codewords of all sizes for every vector. */
TARGET static __attribute__((noinline)) void
code_any_block(const float *r, const float *v, uint32_t k, uint32_t width, float scale,
			   const int32_t *offsets, int32_t *code, CodeSums *sums)
{
	switch (k)
	{
#define CASE(n)                                                 \
	case n:                                                     \
		code_block(r, v, n, width, scale, offsets, code, sums); \
		break;
		FOR_SIZES(CASE)
#undef CASE
	}
}

TARGET static void
residual_code(const float *v, const float *x, const OmendbCodePlan *plan, uint8_t *code,
			  float *residual, float *origin)
{
	float r[MAX_ELEMENTS];
	uint32_t n = plan->elements;
	float sum;
	float scale = omendb_element_scale(get_residual(v, x, n, r, &sum));
	float mean = sum * scale / (float) n;
	int32_t offsets[2][OMENDB_CODEWORDS];
	CodeSums sums = {{0}, ALL(0.0f)};
	int32_t ints[WIDTH];
	float floats[WIDTH];
	int64_t residual_sum = 0;
	float origin_sum = 0;
	const float *at = r;

	/* Offsets for groups of plan->size elements, and of one more. */
	for (uint32_t wide = 0; wide < 2; wide++)
		if (plan->size + wide >= 1 && plan->size + wide <= OMENDB_GROUP_ELEMENTS)
			for (int j = 0; j < OMENDB_CODEWORDS; j++)
				offsets[wide][j] =
					omendb_codeword_offset(mean, omendb_codebook(plan->size + wide)->norm2[j], j);
	for (uint32_t b = 0; b < omendb_plan_blocks(plan); b++)
	{
		uint32_t k = omendb_plan_size(plan, b);
		uint32_t width = omendb_plan_width(plan, b);
		int32_t word[WIDTH];

		code_any_block(at, v, k, width, scale, offsets[k - plan->size], word, &sums);
		for (uint32_t l = 0; l + 1 < width; l += 2)
			*code++ = (uint8_t) (word[l] | word[l + 1] << 4);
		at += (size_t) k * width;
		v += (size_t) k * width;
	}
	STORE(ints, sums.residual);
	STORE(floats, sums.origin);
	for (int l = 0; l < WIDTH; l++)
	{
		residual_sum += ints[l];
		origin_sum += floats[l];
	}
	*residual = (float) residual_sum / (8 * scale);
	*origin = origin_sum;
}

/* The products of a block's groups with the codewords, and the largest magnitude for each group. */
TARGET static inline __attribute__((always_inline)) void
multiply_block(const float *x, uint32_t k, uint32_t width, float products[][WIDTH], float *most)
{
	Floats group[OMENDB_GROUP_ELEMENTS];
	Floats largest = ALL(0.0f);
	Ints counts;

	OMENDB_UNROLL
	for (uint32_t i = 0; i < k; i++)
		LOAD(group[i], x + i * width);
	OMENDB_UNROLL
	for (int j = 0; j < OMENDB_CODEWORDS; j++)
	{
		Floats product = group[0] * wide_words[k - 1][0][j];
		Floats magnitude;

		OMENDB_UNROLL
		for (uint32_t i = 1; i < k; i++)
			product += group[i] * wide_words[k - 1][i][j];
		magnitude = MAGNITUDE(product);
		largest = MAX_FLOAT(magnitude, largest);
		STORE(products[j], product);
	}
	FIRST_LANES(counts, width);
	largest = (Floats) (counts & (Ints) largest);
	STORE(most, largest);
}

TARGET static __attribute__((noinline)) void
multiply_any_block(const float *x, uint32_t k, uint32_t width, float products[][WIDTH], float *most)
{
	switch (k)
	{
#define CASE(n)                                      \
	case n:                                          \
		multiply_block(x, n, width, products, most); \
		break;
		FOR_SIZES(CASE)
#undef CASE
	}
}

/* Entry z of the first and the second tables of lut_f32, for lanes x. */
#define SET_ENTRY(z, x)                                                       \
	do                                                                        \
	{                                                                         \
		Floats nearest = NEAREST_INT(x);                                      \
		Floats left = NEAREST_INT(((x) -nearest) * (2.0f * OMENDB_LUT_REST)); \
                                                                              \
		numbers[z] = __builtin_convertvector(nearest, Ints);                  \
		rests[z] = __builtin_convertvector(left, Ints) + OMENDB_LUT_REST;     \
	} while (0)

/* The tables of a block of `width` groups. */
TARGET static inline __attribute__((always_inline)) void
make_tables(const float products[][WIDTH], const float *most, float inverse, uint32_t width,
			uint8_t *lut, uint8_t *rest)
{
	Ints numbers[2 * OMENDB_CODEWORDS];
	Ints rests[2 * OMENDB_CODEWORDS];
	Floats half;

	LOAD(half, most);
	OMENDB_UNROLL
	for (int j = 0; j < OMENDB_CODEWORDS; j++)
	{
		Floats product;
		Floats same;
		Floats opposite;

		LOAD(product, products[j]);
		same = (half + product) * inverse;
		opposite = (half - product) * inverse;
		SET_ENTRY(j, same);
		SET_ENTRY(OMENDB_CODEWORDS + j, opposite);
	}
	store_tables(numbers, width, lut);
	store_tables(rests, width, rest);
}

TARGET static void
lut_f32(const float *q, const OmendbCodePlan *plan, uint8_t *lut, float *base, float *step)
{
	float x[MAX_ELEMENTS];
	float products[OMENDB_PLAN_MAX_GROUPS / WIDTH][OMENDB_CODEWORDS][WIDTH];
	float most[OMENDB_PLAN_MAX_GROUPS];
	uint32_t blocks = omendb_plan_blocks(plan);
	const float *at = x;
	uint8_t *rest = lut + OMENDB_LUT_BYTES(plan->groups);
	float magnitudes;
	float scale = OMENDB_QUERY_ELEMENTS *
				  omendb_element_scale(get_residual(NULL, q, plan->elements, x, &magnitudes));
	float largest = 0;
	double sum = 0;
	float unit;
	float inverse;

	make_ints(x, plan->elements, scale);
	for (uint32_t b = 0; b < blocks; b++)
	{
		uint32_t k = omendb_plan_size(plan, b);
		uint32_t width = omendb_plan_width(plan, b);

		multiply_any_block(at, k, width, products[b], most + b * WIDTH);
		at += (size_t) k * width;
	}
	for (uint32_t g = 0; g < blocks * WIDTH; g++)
	{
		largest = most[g] > largest ? most[g] : largest;
		sum += most[g];
	}
	unit = omendb_lut_step(largest, plan->groups);
	inverse = omendb_lut_inverse(unit, sum);
	for (uint32_t b = 0; b < blocks; b++)
		make_tables(products[b], most + b * WIDTH, inverse, omendb_plan_width(plan, b),
					lut + (size_t) b * 16 * WIDTH, rest + (size_t) b * 16 * WIDTH);
	memset(lut + (size_t) 16 * plan->groups, 0, OMENDB_LUT_BYTES(plan->groups) - 16 * plan->groups);
	memset(rest + (size_t) 16 * plan->groups, 0,
		   OMENDB_LUT_BYTES(plan->groups) - 16 * plan->groups);
	*base = (float) (-sum / scale);
	*step = unit / scale;
}

TARGET static void
estimates(const OmendbEstimate *e, const uint8_t *slopes, const int16_t *shifts,
		  const uint16_t *sums, size_t n, float *out)
{
	for (size_t i = 0; i < n; i += WIDTH)
	{
		Bits slope = ((Bits) WIDEN_BYTES(slopes + i) + 16 * e->exponent) << 19;
		Floats estimate = e->base + e->step * TO_FLOATS(WIDEN_NUMBERS(sums + i)) +
						  e->unit * TO_FLOATS(WIDEN_SHORTS(shifts + i));

		estimate = e->distance - (Floats) slope * estimate;
		STORE(out + i, estimate);
	}
}

#undef MAX_FLOAT
#undef LOOK_UP
#undef LOAD
#undef STORE
#undef ALL
#undef MAGNITUDE
#undef NEAREST_INT
#undef TO_INTS
#undef INT_MAGNITUDE
#undef MAX_INT
#undef PAIR_PRODUCT
#undef LOOK_UP_INT
#undef PAIRS
#undef TO_FLOATS
#undef WIDEN_BYTES
#undef WIDEN_NUMBERS
#undef WIDEN_SHORTS
#undef SET_ENTRY
#undef FIRST_LANES
#undef FOR_SIZES
#undef WIDTH
#undef MAX_ELEMENTS

#endif /* OMENDB_CODE_TEMPLATE_H */
