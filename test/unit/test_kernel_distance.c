/*
 * test_kernel_distance.c
 *	  The distance kernels on finite operands: right within the promised bound,
 *	  symmetric, zero on themselves, the same at every address, and reading
 *	  nothing outside.
 */
#include <stdio.h>
#include <string.h>

#include "kernel_support.h"
#include "tap.h"

#define LONGEST   OMENDB_INT8_MAX_DIM
#define ROUNDS    3
#define INT8_DIMS (TEST_DIMS + 1)

static const Variant *variants;
static size_t n_variants;
static Guarded memory_a;
static Guarded memory_b;

/* Which kernels of which variant have failed, since data is made only once for all. */
static bool failed[MAX_VARIANTS][METRICS];

static void
report(const char *type, const char *property)
{
	for (size_t v = 0; v < n_variants; v++)
		for (int m = 0; m < METRICS; m++)
			tap_result(!failed[v][m], "%s: %s_%s %s", variants[v].name, metric_name(m), type,
					   property);
	memset(failed, 0, sizeof(failed));
}

/*
 * Where the operands of this case go: against the guard page behind, against
 * the one before, or anywhere.
 */
static size_t
random_offset(Random *random, size_t element)
{
	switch (random_below(random, 4))
	{
		case 0:
		case 1:
			return PLACE_END;
		case 2:
			return 0;
		default:
			return random_below(random, 64 / element) * element;
	}
}

static void
test_f32(void)
{
	static float x[TEST_MAX_DIM];
	static float y[TEST_MAX_DIM];
	Random random = {1};

	for (int round = 0; round < ROUNDS * DISTRIBUTIONS; round++)
		for (size_t i = 0; i < TEST_DIMS; i++)
		{
			Distribution distribution = round % DISTRIBUTIONS;
			size_t n = test_dim(i);
			DenseReference want;
			const float *a;
			const float *b;

			random_floats(&random, distribution, x, n);
			random_floats(&random, distribution, y, n);
			want = reference_dense(x, y, n);
			a = guarded_place(&memory_a, x, n * sizeof(float), random_offset(&random, 4));
			b = guarded_place(&memory_b, y, n * sizeof(float), random_offset(&random, 4));
			for (size_t v = 0; v < n_variants; v++)
				for (int m = 0; m < METRICS; m++)
					if (!check_f32(&variants[v], m, a, b, n, &want))
					{
						tap_diag("  distribution %s", distribution_name(distribution));
						failed[v][m] = true;
					}
		}
	report("f32", "within the bound, symmetric, zero on itself");
}

static void
test_f16(void)
{
	static OmendbHalf x[TEST_MAX_DIM];
	static OmendbHalf y[TEST_MAX_DIM];
	static float wide_x[TEST_MAX_DIM];
	static float wide_y[TEST_MAX_DIM];
	Random random = {2};

	for (int round = 0; round < ROUNDS * DISTRIBUTIONS; round++)
		for (size_t i = 0; i < TEST_DIMS; i++)
		{
			Distribution distribution = round % DISTRIBUTIONS;
			size_t n = test_dim(i);
			DenseReference want;
			const OmendbHalf *a;
			const OmendbHalf *b;

			random_halves(&random, distribution, x, n);
			random_halves(&random, distribution, y, n);
			reference_widen(x, wide_x, n);
			reference_widen(y, wide_y, n);
			want = reference_dense(wide_x, wide_y, n);
			a = guarded_place(&memory_a, x, n * sizeof(OmendbHalf), random_offset(&random, 2));
			b = guarded_place(&memory_b, y, n * sizeof(OmendbHalf), random_offset(&random, 2));
			for (size_t v = 0; v < n_variants; v++)
				for (int m = 0; m < METRICS; m++)
					if (!check_f16(&variants[v], m, a, b, n, &want))
					{
						tap_diag("  distribution %s", distribution_name(distribution));
						failed[v][m] = true;
					}
		}
	report("f16", "within the bound, symmetric, zero on itself");
}

static void
test_i8(void)
{
	static uint8_t x[LONGEST];
	static uint8_t y[LONGEST];
	Random random = {3};

	for (int round = 0; round < ROUNDS * DISTRIBUTIONS; round++)
		for (size_t i = 0; i < INT8_DIMS; i++)
		{
			Distribution distribution = round % DISTRIBUTIONS;
			size_t n = i < TEST_DIMS ? test_dim(i) : LONGEST;
			Int8Reference want;
			const int8_t *a;
			const int8_t *b;

			random_bytes(&random, distribution, x, n);
			random_bytes(&random, distribution, y, n);
			if (distribution == DIST_EXTREME)
				for (size_t k = 0; k < n; k++)
					y[k] = (uint8_t) ~x[k]; /* the largest difference: 255 */
			want = reference_int8((int8_t *) x, (int8_t *) y, n);
			a = guarded_place(&memory_a, x, n, random_offset(&random, 1));
			b = guarded_place(&memory_b, y, n, random_offset(&random, 1));
			for (size_t v = 0; v < n_variants; v++)
				for (int m = 0; m < METRICS; m++)
					if (!check_i8(&variants[v], m, a, b, n, &want))
					{
						tap_diag("  distribution %s", distribution_name(distribution));
						failed[v][m] = true;
					}
		}
	report("i8", "exact, symmetric, zero on itself");
}

static void
test_bits(void)
{
	static uint8_t x[TEST_MAX_DIM];
	static uint8_t y[TEST_MAX_DIM];
	bool hamming_failed[MAX_VARIANTS] = {false};
	bool overlap_failed[MAX_VARIANTS] = {false};
	Random random = {4};

	for (int round = 0; round < ROUNDS * DISTRIBUTIONS; round++)
		for (size_t i = 0; i < TEST_DIMS; i++)
		{
			Distribution distribution = round % DISTRIBUTIONS;
			size_t n = test_dim(i);
			BitReference want;
			const uint8_t *a;
			const uint8_t *b;

			random_bytes(&random, distribution, x, n);
			random_bytes(&random, distribution, y, n);
			if (distribution == DIST_EXTREME)
			{
				/* As many bits as there can be: every byte's count is 8. */
				memset(x, 0xFF, n);
				memset(y, round / DISTRIBUTIONS % 2 ? 0xFF : 0, n);
			}
			want = reference_bits(x, y, n);
			a = guarded_place(&memory_a, x, n, random_offset(&random, 1));
			b = guarded_place(&memory_b, y, n, random_offset(&random, 1));
			for (size_t v = 0; v < n_variants; v++)
			{
				hamming_failed[v] |= !check_hamming(&variants[v], a, b, n, &want);
				overlap_failed[v] |= !check_overlap(&variants[v], a, b, n, &want);
			}
		}
	for (size_t v = 0; v < n_variants; v++)
	{
		tap_result(!hamming_failed[v], "%s: hamming exact and symmetric", variants[v].name);
		tap_result(!overlap_failed[v], "%s: overlap exact and symmetric", variants[v].name);
	}
}

/*
 * A distance must not depend on where its operands lie: the same value comes
 * from a heap tuple, an index page and a palloc'ed copy. So every pair of
 * offsets within 64 bytes has to give the same bits.
 */
static const size_t address_dims[] = {1, 7, 15, 16, 17, 33, 64, 100, 130};

static void
test_f32_addresses(void)
{
	float x[130];
	float y[130];
	Random random = {5};

	random_floats(&random, DIST_NORMAL, x, 130);
	random_floats(&random, DIST_NORMAL, y, 130);
	for (size_t i = 0; i < LENGTH(address_dims); i++)
		for (size_t v = 0; v < n_variants; v++)
		{
			const OmendbKernels *k = &variants[v].kernels;
			size_t n = address_dims[i];
			float l2sq = k->l2sq_f32(x, y, n);
			float dot = k->dot_f32(x, y, n);
			float l1 = k->l1_f32(x, y, n);
			OmendbCosine cosine = k->cosine_f32(x, y, n);

			for (size_t o = 0; o < 16 * 16; o++)
			{
				const float *a = guarded_place(&memory_a, x, n * 4, o / 16 * 4);
				const float *b = guarded_place(&memory_b, y, n * 4, o % 16 * 4);
				OmendbCosine c = k->cosine_f32(a, b, n);

				failed[v][METRIC_L2SQ] |= !same_float(k->l2sq_f32(a, b, n), l2sq);
				failed[v][METRIC_DOT] |= !same_float(k->dot_f32(a, b, n), dot);
				failed[v][METRIC_L1] |= !same_float(k->l1_f32(a, b, n), l1);
				failed[v][METRIC_COSINE] |= !same_float(c.dot, cosine.dot) ||
											!same_float(c.norm2_a, cosine.norm2_a) ||
											!same_float(c.norm2_b, cosine.norm2_b);
			}
		}
	report("f32", "the same at every offset");
}

static void
test_f16_addresses(void)
{
	OmendbHalf x[130];
	OmendbHalf y[130];
	Random random = {6};

	random_halves(&random, DIST_NORMAL, x, 130);
	random_halves(&random, DIST_NORMAL, y, 130);
	for (size_t i = 0; i < LENGTH(address_dims); i++)
		for (size_t v = 0; v < n_variants; v++)
		{
			const OmendbKernels *k = &variants[v].kernels;
			size_t n = address_dims[i];
			float l2sq = k->l2sq_f16(x, y, n);
			float dot = k->dot_f16(x, y, n);
			float l1 = k->l1_f16(x, y, n);
			OmendbCosine cosine = k->cosine_f16(x, y, n);

			for (size_t o = 0; o < 32 * 32; o++)
			{
				const OmendbHalf *a = guarded_place(&memory_a, x, n * 2, o / 32 * 2);
				const OmendbHalf *b = guarded_place(&memory_b, y, n * 2, o % 32 * 2);
				OmendbCosine c = k->cosine_f16(a, b, n);

				failed[v][METRIC_L2SQ] |= !same_float(k->l2sq_f16(a, b, n), l2sq);
				failed[v][METRIC_DOT] |= !same_float(k->dot_f16(a, b, n), dot);
				failed[v][METRIC_L1] |= !same_float(k->l1_f16(a, b, n), l1);
				failed[v][METRIC_COSINE] |= !same_float(c.dot, cosine.dot) ||
											!same_float(c.norm2_a, cosine.norm2_a) ||
											!same_float(c.norm2_b, cosine.norm2_b);
			}
		}
	report("f16", "the same at every offset");
}

static void
test_byte_addresses(void)
{
	uint8_t x[130];
	uint8_t y[130];
	bool bits_failed[MAX_VARIANTS] = {false};
	Random random = {7};

	random_bytes(&random, DIST_NORMAL, x, 130);
	random_bytes(&random, DIST_NORMAL, y, 130);
	for (size_t i = 0; i < LENGTH(address_dims); i++)
	{
		size_t n = address_dims[i];
		Int8Reference want_i8 = reference_int8((int8_t *) x, (int8_t *) y, n);
		BitReference want_bits = reference_bits(x, y, n);

		for (size_t o = 0; o < 64 * 64; o++)
		{
			const uint8_t *a = guarded_place(&memory_a, x, n, o / 64);
			const uint8_t *b = guarded_place(&memory_b, y, n, o % 64);

			for (size_t v = 0; v < n_variants; v++)
			{
				for (int m = 0; m < METRICS; m++)
					failed[v][m] |=
						!check_i8(&variants[v], m, (int8_t *) a, (int8_t *) b, n, &want_i8);
				bits_failed[v] |= !check_hamming(&variants[v], a, b, n, &want_bits) ||
								  !check_overlap(&variants[v], a, b, n, &want_bits);
			}
		}
	}
	report("i8", "exact at every offset");
	for (size_t v = 0; v < n_variants; v++)
		tap_result(!bits_failed[v], "%s: hamming, overlap exact at every offset", variants[v].name);
}

int
main(void)
{
	variants = test_variants(&n_variants);
	memory_a = guarded_new(TEST_MAX_DIM * sizeof(float) + 64);
	memory_b = guarded_new(TEST_MAX_DIM * sizeof(float) + 64);

	test_f32();
	test_f16();
	test_i8();
	test_bits();
	test_f32_addresses();
	test_f16_addresses();
	test_byte_addresses();
	return tap_done();
}
