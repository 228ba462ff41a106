/*
 * code_scalar.c
 *	  The kernels of codes in plain C: the reference for all other levels, and the kernels of
 *	  machines without a better level.
 */
#include <math.h>
#include <string.h>

#include "kernel/code.h"
#include "kernel/kernel_tables.h"

static void
residual_signs(const float *v, const float *x, size_t n, uint8_t *bits)
{
	memset(bits, 0, (n + 7) / 8);
	for (size_t i = 0; i < n; i++)
		bits[i / 8] |= (uint8_t) ((x[i] - v[i] > 0) << (i % 8));
}

static float
largest_magnitude(const float *x, size_t n)
{
	float largest = 0;

	for (size_t i = 0; i < n; i++)
		largest = fabsf(x[i]) > largest ? fabsf(x[i]) : largest;
	return largest;
}

/* The product of codeword z with group l of a block of `width` groups of k elements. */
static float
product(const float *x, uint32_t width, uint32_t l, uint32_t k, uint32_t z)
{
	const OmendbCodebook *book = omendb_codebook(k);
	float sum = 0;

	for (uint32_t i = 0; i < k; i++)
		sum += x[width * i + l] * book->words[i][z];
	return sum;
}

static void
residual_code(const float *v, const float *x, const OmendbCodePlan *plan, uint8_t *code,
			  float *residual, float *origin)
{
	float r[OMENDB_PLAN_MAX_GROUPS * OMENDB_GROUP_ELEMENTS];
	const float *at = r;
	float lane_sums[OMENDB_BLOCK_GROUPS] = {0}; /* as the lanes of other levels */
	float scale;
	float sum = 0;
	float mean;
	int64_t residual_sum = 0;
	float origin_sum = 0;

	r[0] = 0; /* silences a warning: the compiler does not know that plan->elements > 0 */
	for (uint32_t i = 0; i < plan->elements; i++)
	{
		r[i] = x[i] - v[i];
		lane_sums[i % OMENDB_BLOCK_GROUPS] += fabsf(r[i]);
	}
	for (int l = 0; l < OMENDB_BLOCK_GROUPS; l++)
		sum += lane_sums[l];
	scale = omendb_element_scale(largest_magnitude(r, plan->elements));
	mean = sum * scale / (float) plan->elements;
	for (uint32_t i = 0; i < plan->elements; i++)
		r[i] = rintf(r[i] * scale);
	memset(code, 0, plan->groups / 2);
	for (uint32_t b = 0; b < omendb_plan_blocks(plan); b++)
	{
		uint32_t k = omendb_plan_size(plan, b);
		uint32_t width = omendb_plan_width(plan, b);
		const OmendbCodebook *book = omendb_codebook(k);

		for (uint32_t l = 0; l < width; l++)
		{
			uint32_t g = b * OMENDB_BLOCK_GROUPS + l;
			float best = -INFINITY;
			float best_product = 0;
			uint32_t z = 0;

			for (uint32_t j = 0; j < OMENDB_CODEWORDS; j++)
			{
				float p = product(at, width, l, k, j);
				float score =
					8 * fabsf(p) + (float) omendb_codeword_offset(mean, book->norm2[j], (int) j);

				if (score > best)
				{
					best = score;
					best_product = p;
					z = j;
				}
			}
			/* Products of finite elements are below 2^24; others have no sum. */
			residual_sum += fabsf(best_product) < 1 << 24 ? (int64_t) fabsf(best_product) : 0;
			best = product(v, width, l, k, z);
			origin_sum += best_product < 0 ? -best : best;
			z += best_product < 0 ? OMENDB_CODEWORDS : 0;
			code[g / 2] |= (uint8_t) (z << (g % 2 * 4));
		}
		at += (size_t) k * width;
		v += (size_t) k * width;
	}
	*residual = (float) residual_sum / scale;
	*origin = origin_sum;
}

/*
 * Set an entry of the first tables, the nearest integer to x, and of the second ones, the rounding.
 * x is at most 255, or NaN, for which entries are unspecified.
 */
static void
set_entry(float x, uint8_t *entry, uint8_t *rest)
{
	float nearest;

	x = x >= 0 ? x : 0;
	nearest = rintf(x);
	*entry = (uint8_t) nearest;
	*rest = (uint8_t) (rintf((x - nearest) * (2 * OMENDB_LUT_REST)) + OMENDB_LUT_REST);
}

static void
lut_f32(const float *q, const OmendbCodePlan *plan, uint8_t *lut, float *base, float *step)
{
	float x[OMENDB_PLAN_MAX_GROUPS * OMENDB_GROUP_ELEMENTS];
	float products[OMENDB_PLAN_MAX_GROUPS][OMENDB_CODEWORDS];
	float most[OMENDB_PLAN_MAX_GROUPS];
	const float *at = x;
	uint8_t *rest = lut + OMENDB_LUT_BYTES(plan->groups);
	float scale =
		OMENDB_QUERY_ELEMENTS * omendb_element_scale(largest_magnitude(q, plan->elements));
	float largest = 0;
	double sum = 0;
	float unit;
	float inverse;

	for (uint32_t i = 0; i < plan->elements; i++)
		x[i] = rintf(q[i] * scale);
	for (uint32_t b = 0; b < omendb_plan_blocks(plan); b++)
	{
		uint32_t k = omendb_plan_size(plan, b);
		uint32_t width = omendb_plan_width(plan, b);

		for (uint32_t l = 0; l < width; l++)
		{
			uint32_t g = b * OMENDB_BLOCK_GROUPS + l;

			for (uint32_t j = 0; j < OMENDB_CODEWORDS; j++)
				products[g][j] = product(at, width, l, k, j);
			most[g] = largest_magnitude(products[g], OMENDB_CODEWORDS);
			largest = most[g] > largest ? most[g] : largest;
			sum += most[g];
		}
		at += (size_t) k * width;
	}
	unit = omendb_lut_step(largest, plan->groups);
	inverse = omendb_lut_inverse(unit, sum);
	for (uint32_t g = 0; g < plan->groups; g++)
		for (uint32_t j = 0; j < OMENDB_CODEWORDS; j++)
		{
			float p = products[g][j];

			set_entry((most[g] + p) * inverse, &lut[16 * g + j], &rest[16 * g + j]);
			set_entry((most[g] - p) * inverse, &lut[16 * g + OMENDB_CODEWORDS + j],
					  &rest[16 * g + OMENDB_CODEWORDS + j]);
		}
	memset(lut + (size_t) 16 * plan->groups, 0, OMENDB_LUT_BYTES(plan->groups) - 16 * plan->groups);
	memset(rest + (size_t) 16 * plan->groups, 0,
		   OMENDB_LUT_BYTES(plan->groups) - 16 * plan->groups);
	*base = (float) (-sum / scale);
	*step = unit / scale;
}

static void
code_sums(const uint8_t *codes, size_t stride, size_t bytes, size_t slots, const uint8_t *lut,
		  uint16_t *sums)
{
	for (size_t s = 0; s < slots; s++)
	{
		const uint8_t *code = codes + s * stride;
		unsigned sum = 0;

		for (size_t i = 0; i < bytes; i++)
			sum += lut[32 * i + (code[i] & 15)] + lut[32 * i + 16 + (code[i] >> 4)];
		sums[s] = (uint16_t) sum;
	}
}

static void
estimates(const OmendbEstimate *e, const uint8_t *slopes, const int16_t *shifts,
		  const uint16_t *sums, size_t n, float *out)
{
	for (size_t i = 0; i < n; i++)
	{
		uint32_t bits = (slopes[i] + 16 * e->exponent) << 19;
		float slope;

		memcpy(&slope, &bits, sizeof(slope));
		out[i] = e->distance -
				 slope * (e->base + e->step * (float) sums[i] + e->unit * (float) shifts[i]);
	}
}

static void
multiply_signs(float *x, const uint8_t *bits, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (bits[i / 8] >> (i % 8) & 1)
			x[i] = -x[i];
}

void
omendb_fill_code_scalar(OmendbKernels *table)
{
	table->residual_signs = residual_signs;
	table->residual_code = residual_code;
	table->lut_f32 = lut_f32;
	table->code_sums = code_sums;
	table->estimates = estimates;
	table->hadamard = omendb_hadamard_plain;
	table->multiply_signs = multiply_signs;
}
