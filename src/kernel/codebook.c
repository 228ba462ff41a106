/*
 * codebook.c
 *	  The codebooks, and the plan of groups.
 */
#include "kernel/codebook.h"

#include <string.h>

/*
 * Made by Lloyd's algorithm ("Least squares quantization in PCM", 1982) for 120,000 vectors of
 * normally distributed elements, a codeword and its opposite being moved as one; then rounded to
 * units. Mean squared error an element, in variances, of 1 to 8 elements: .0094, .1090, .2355,
 * .3514, .4388, .5047, .5568, .6000.
 */
/* clang-format off */
const OmendbCodebook omendb_codebooks[OMENDB_GROUP_ELEMENTS] = {
	{
		.words = {
			{4, 13, 21, 31, 41, 52, 67, 88},
		},
		.norm2 = {16, 169, 441, 961, 1681, 2704, 4489, 7744},
		.positive = {0x01, 0x01, 0x01, 0x01, 0x01, 0x01, 0x01, 0x01,
					 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00},
		.cosine2 = 0.9896f,
		.length2 = 0.9909f,
	},
	{
		.words = {
			{11, 9, 21, -35, 36, -9, -52, -67},
			{2, -27, 27, 6, -48, -61, -35, 10},
		},
		.norm2 = {125, 810, 1170, 1261, 3600, 3802, 3929, 4589},
		.positive = {0x03, 0x01, 0x03, 0x02, 0x01, 0x00, 0x00, 0x02,
					 0x00, 0x02, 0x00, 0x01, 0x02, 0x03, 0x03, 0x01},
		.cosine2 = 0.8914f,
		.length2 = 0.8920f,
	},
	{
		.words = {
			{-3, 48, -19, 25, -42, 7, -28, -25},
			{12, 11, 25, 33, 37, 55, 14, -23},
			{-10, -4, 39, 31, -1, -9, -47, 47},
		},
		.norm2 = {253, 2441, 2507, 2675, 3134, 3155, 3189, 3363},
		.positive = {0x02, 0x03, 0x06, 0x07, 0x02, 0x03, 0x02, 0x04,
					 0x05, 0x04, 0x01, 0x00, 0x05, 0x04, 0x05, 0x03},
		.cosine2 = 0.7646f,
		.length2 = 0.7631f,
	},
	{
		.words = {
			{21, -47, 4, 15, -31, -11, 23, -18},
			{-18, -8, 8, -22, 36, -50, 29, -29},
			{28, 8, -43, -7, 21, 18, 39, -10},
			{-28, -2, -22, 41, 11, 6, -12, -43},
		},
		.norm2 = {2333, 2341, 2413, 2439, 2819, 2981, 3035, 3114},
		.positive = {0x05, 0x04, 0x03, 0x09, 0x0e, 0x0c, 0x07, 0x00,
					 0x0a, 0x0b, 0x0c, 0x06, 0x01, 0x03, 0x08, 0x0f},
		.cosine2 = 0.6464f,
		.length2 = 0.6447f,
	},
	{
		.words = {
			{4, 11, -37, -27, 44, -4, 18, 0},
			{34, -4, -30, 7, -4, 15, -46, -7},
			{-5, 47, -2, 10, -1, -26, -21, 37},
			{-11, -20, -17, -38, -29, 5, -4, 40},
			{37, -9, 17, -23, -8, -44, 7, -6},
		},
		.norm2 = {2687, 2827, 2851, 2851, 2858, 2878, 2946, 3054},
		.positive = {0x13, 0x05, 0x10, 0x06, 0x01, 0x0a, 0x11, 0x0c,
					 0x0c, 0x1a, 0x0f, 0x19, 0x1e, 0x15, 0x0e, 0x12},
		.cosine2 = 0.5592f,
		.length2 = 0.5595f,
	},
	{
		.words = {
			{-35, 10, 22, -5, 12, -9, 42, 14},
			{32, 10, 22, 7, -25, 0, 31, -28},
			{-6, 29, -38, 7, -30, -19, 11, 13},
			{-9, 10, -22, -41, 13, 1, 8, -40},
			{-19, 22, -6, 33, 6, 42, -2, -18},
			{-16, -37, -9, -11, -34, 29, 13, 4},
		},
		.norm2 = {2983, 2994, 3013, 3014, 3030, 3048, 3083, 3089},
		.positive = {0x02, 0x1f, 0x03, 0x16, 0x19, 0x38, 0x2f, 0x25,
					 0x3d, 0x20, 0x3c, 0x29, 0x26, 0x05, 0x10, 0x1a},
		.cosine2 = 0.4933f,
		.length2 = 0.4934f,
	},
	{
		.words = {
			{1, -11, -37, -22, 19, -2, 11, -37},
			{-2, 43, -10, 6, -2, -26, -26, -16},
			{4, 22, -31, 7, -28, 31, 17, 11},
			{16, 0, 8, 3, -24, -35, 39, -8},
			{-13, -24, -15, 45, -15, -5, -11, -17},
			{-42, 7, -9, 3, 15, -16, 22, 23},
			{-29, 0, 19, -24, -32, 8, -3, -25},
		},
		.norm2 = {3051, 3079, 3161, 3188, 3199, 3211, 3221, 3253},
		.positive = {0x0d, 0x26, 0x48, 0x3e, 0x21, 0x44, 0x2d, 0x24,
					 0x72, 0x11, 0x37, 0x41, 0x5e, 0x3b, 0x52, 0x5b},
		.cosine2 = 0.4400f,
		.length2 = 0.4419f,
	},
	{
		.words = {
			{-11, 4, 17, 27, -19, -22, -27, -26},
			{-23, -4, -1, 27, 38, 22, -3, -6},
			{-10, 28, -24, 20, 2, -27, 12, 23},
			{-3, 9, -15, -23, 22, -20, 7, -38},
			{-22, 19, 42, -15, 6, -6, 14, 9},
			{11, 26, -1, -16, 15, 6, -43, 12},
			{26, 33, 7, 15, -6, 22, 17, -18},
			{-34, 14, -18, -13, -26, 25, -4, -8},
		},
		.norm2 = {3196, 3219, 3229, 3262, 3266, 3278, 3281, 3298},
		.positive = {0x60, 0xfd, 0x51, 0x47, 0x3e, 0xe2, 0x5c, 0x34,
					 0x9f, 0x02, 0xae, 0xb8, 0xc1, 0x1d, 0xa3, 0xcb},
		.cosine2 = 0.3974f,
		.length2 = 0.3972f,
	},
};
/* clang-format on */

void
omendb_code_plan(OmendbCodePlan *plan, uint32_t n, uint32_t groups)
{
	uint32_t whole_blocks = groups / OMENDB_BLOCK_GROUPS;
	uint32_t left;

	plan->groups = groups;
	plan->wide_blocks = 0;
	plan->size = n / groups;
	if (plan->size >= OMENDB_GROUP_ELEMENTS)
		plan->size = OMENDB_GROUP_ELEMENTS;
	else
	{
		left = n - plan->size * groups;
		plan->wide_blocks = (left + OMENDB_BLOCK_GROUPS - 1) / OMENDB_BLOCK_GROUPS;
		/* If the last block has less than 8 groups, up to 7 elements may have no group. */
		if (plan->wide_blocks > whole_blocks)
			plan->wide_blocks = whole_blocks;
	}
	plan->elements = plan->size * groups + plan->wide_blocks * OMENDB_BLOCK_GROUPS;
}

/* The signs of the two groups, of k elements, in a byte of a code. */
static inline uint64_t
pair_signs(const uint8_t *positive, uint8_t two, uint32_t k)
{
	return positive[two & 15] | (uint64_t) positive[two >> 4] << k;
}

void
omendb_code_signs(const OmendbCodePlan *plan, const uint8_t *code, uint8_t *signs)
{
	/* 8 groups of k elements are k bytes. The last block may have fewer groups. */
	for (uint32_t b = 0; b < omendb_plan_blocks(plan); b++, code += OMENDB_BLOCK_GROUPS / 2)
	{
		uint32_t k = omendb_plan_size(plan, b);
		uint32_t width = omendb_plan_width(plan, b);
		const uint8_t *positive = omendb_codebook(k)->positive;
		uint64_t bits = 0;

		if (width == OMENDB_BLOCK_GROUPS)
			/* No term waits for another one. */
			bits = pair_signs(positive, code[0], k) | pair_signs(positive, code[1], k) << 2 * k |
				   pair_signs(positive, code[2], k) << 4 * k |
				   pair_signs(positive, code[3], k) << 6 * k;
		else
			for (uint32_t g = width / 2; g > 0; g--)
				bits = bits << 2 * k | pair_signs(positive, code[g - 1], k);
		for (uint32_t used = 0; used < k * width; used += 8)
			*signs++ = (uint8_t) (bits >> used);
	}
}

void
omendb_code_product(const OmendbCodePlan *plan, const uint8_t *code, const float *v, double *sum,
					double *magnitude)
{
	*sum = *magnitude = 0;
	for (uint32_t b = 0; b < omendb_plan_blocks(plan); b++)
	{
		uint32_t k = omendb_plan_size(plan, b);
		uint32_t width = omendb_plan_width(plan, b);

		for (uint32_t l = 0; l < width; l++)
		{
			uint32_t g = b * OMENDB_BLOCK_GROUPS + l;
			uint32_t z = code[g / 2] >> (g % 2 * 4) & 15;
			const OmendbCodebook *book = omendb_codebook(k);

			for (uint32_t i = 0; i < k; i++)
			{
				double term = (double) v[i * width + l] * book->words[i][z % OMENDB_CODEWORDS];

				*sum += z < OMENDB_CODEWORDS ? term : -term;
				*magnitude += term < 0 ? -term : term;
			}
		}
		v += (size_t) k * width;
	}
}
