/*
 * test_code_rotation.c
 *	  The rotation keeps lengths and inner products, is the same for a seed on
 *	  every machine, and spreads what lies in one dimension over all.
 */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "code/rotation.h"
#include "index_support.h"
#include "tap.h"

static const uint32_t lengths[] = {1,   2,   3,    4,    5,    7,    8,    9,    15,   16,
								   17,  20,  31,   33,   63,   64,   65,   96,   100,  127,
								   128, 129, 200,  256,  300,  384,  511,  512,  513,  768,
								   784, 960, 1000, 1024, 1536, 2000, 3072, 4096, 16000};

#define MAX_LENGTH 16000

static float x[MAX_LENGTH];
static float y[MAX_LENGTH];
static float rotated_x[MAX_LENGTH];
static float rotated_y[MAX_LENGTH];

static double
dot(const float *a, const float *b, size_t n)
{
	double sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += (double) a[i] * b[i];
	return sum;
}

static OmendbRotation
rotation_new(uint32_t n, uint64_t seed)
{
	OmendbRotation rotation;

	omendb_rotation_init(&rotation, n, seed, malloc(omendb_rotation_bytes(n)));
	return rotation;
}

static void
rotate(const OmendbRotation *rotation, const float *from, float *to)
{
	/* In memory of its own, so that the sanitizer sees a step too far. */
	float *exact = malloc(rotation->n * sizeof(float));

	memcpy(exact, from, rotation->n * sizeof(float));
	omendb_rotate(rotation, exact);
	memcpy(to, exact, rotation->n * sizeof(float));
	free(exact);
}

static void
test_preservation(OmendbSimdLevel level)
{
	static const Distribution distributions[] = {DIST_NORMAL, DIST_ONE_HOT, DIST_CONSTANT,
												 DIST_INTEGER};
	Random random = {1};
	bool norms = true;
	bool products = true;
	double worst = 0;

	omendb_kernels_use(level);
	for (size_t i = 0; i < LENGTH(lengths); i++)
	{
		uint32_t n = lengths[i];
		OmendbRotation rotation = rotation_new(n, 17 * n);

		for (size_t d = 0; d < LENGTH(distributions); d++)
			for (int turn = 0; turn < 5; turn++)
			{
				double norm2_x, norm2_y, slack;

				random_floats(&random, distributions[d], x, n);
				random_floats(&random, DIST_NORMAL, y, n);
				rotate(&rotation, x, rotated_x);
				rotate(&rotation, y, rotated_y);
				norm2_x = dot(x, x, n);
				norm2_y = dot(y, y, n);
				/* what bound.c allows for: 4 rounds, a rounding a butterfly and 2 */
				slack = 4 * (log2(n) + 3) * FLT_EPSILON;
				norms = norms && fabs(sqrt(dot(rotated_x, rotated_x, n)) - sqrt(norm2_x)) <=
									 slack * sqrt(norm2_x);
				products = products && fabs(dot(rotated_x, rotated_y, n) - dot(x, y, n)) <=
										   2 * slack * sqrt(norm2_x * norm2_y);
				if (norm2_x > 0)
					worst =
						fmax(worst, fabs(sqrt(dot(rotated_x, rotated_x, n) / norm2_x) - 1) / slack);
			}
		free(rotation.signs);
	}
	tap_diag("%s: lengths change by at most %.2f of what bound.c allows for",
			 omendb_level_name(level), worst);
	tap_result(norms, "%s: lengths are kept", omendb_level_name(level));
	tap_result(products, "%s: inner products are kept", omendb_level_name(level));
}

/* FNV-1a over the bits of the floats. */
static uint64_t
fingerprint(const float *a, size_t n)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);
	uint32_t bits;

	for (size_t i = 0; i < n; i++)
	{
		memcpy(&bits, &a[i], sizeof(bits));
		for (int k = 0; k < 32; k += 8)
			hash = (hash ^ (bits >> k & 255)) * UINT64_C(0x100000001b3);
	}
	return hash;
}

/* Indexes on disk depend on these: a change of them needs a new format version. */
static void
test_golden(OmendbSimdLevel level)
{
	static const struct
	{
		uint32_t n;
		uint64_t seed;
		uint64_t fingerprint;
	} golden[] = {
		{1, 1, UINT64_C(0x4a398b7f9b526ae0)},    {2, 1, UINT64_C(0xcdbf3028a70a18d1)},
		{3, 1, UINT64_C(0xc03cca0d8d804182)},    {64, 1, UINT64_C(0x212930497c12919d)},
		{100, 1, UINT64_C(0x6f69195dedf70f37)},  {100, 2, UINT64_C(0x5373f0e73792450d)},
		{384, 1, UINT64_C(0xb67373dacf58f9f5)},  {784, 1, UINT64_C(0x2f90d5147e273cae)},
		{1536, 1, UINT64_C(0xd83b6849c4403cd7)}, {16000, 1, UINT64_C(0xeb543ecb0d93d821)},
	};
	OmendbRotation rotation;

	omendb_kernels_use(level);
	for (size_t i = 0; i < LENGTH(golden); i++)
	{
		uint32_t n = golden[i].n;
		uint64_t got;

		rotation = rotation_new(n, golden[i].seed);
		for (uint32_t k = 0; k < n; k++)
			x[k] = (float) ((k * 7919) % 1009) - 504;
		rotate(&rotation, x, rotated_x);
		got = fingerprint(rotated_x, n);
		tap_result(got == golden[i].fingerprint, "%s: %u dimensions, seed %llu: as ever",
				   omendb_level_name(level), n, (unsigned long long) golden[i].seed);
		if (got != golden[i].fingerprint)
			tap_diag("{%u, %llu, UINT64_C(0x%016llx)},", n, (unsigned long long) golden[i].seed,
					 (unsigned long long) got);
		free(rotation.signs);
	}
}

static void
test_numbers(void)
{
	uint64_t state = 1234567;
	bool good = true;
	/* SplitMix64 from this seed, as Rosetta Code and Java's SplittableRandom have it. */
	static const uint64_t want[] = {
		UINT64_C(6457827717110365317),  UINT64_C(3203168211198807973),
		UINT64_C(9817491932198370423),  UINT64_C(4593380528125082431),
		UINT64_C(16408922859458223821),
	};

	for (size_t i = 0; i < LENGTH(want); i++)
		good = good && omendb_random_next(&state) == want[i];
	tap_result(good, "SplitMix64 gives its known numbers");
}

/*
 * A one-hot vector after rotation: every element is about 1 / sqrt(n), and a
 * prefix holds its share of the energy, also where the two windows hardly
 * overlap (127, 511, 960, 1000, 2000, 16000).
 */
static void
test_mixing(void)
{
	Random random = {5};
	double largest_ratio = 0;
	double least_filled = 1;
	double prefix_low = 1;
	double prefix_high = 0;
	bool seeds_differ = true;

	omendb_kernels_use(omendb_best_level(omendb_cpu_features()));
	for (size_t i = 0; i < LENGTH(lengths); i++)
	{
		uint32_t n = lengths[i];

		if (n < 64)
			continue;
		for (int turn = 0; turn < 40; turn++)
		{
			OmendbRotation rotation = rotation_new(n, random_bits(&random));
			uint32_t hot = turn == 0 ? 0 : turn == 1 ? n - 1 : (uint32_t) random_below(&random, n);
			uint32_t filled = 0;
			double largest = 0;
			double half;

			memset(x, 0, n * sizeof(float));
			x[hot] = 1;
			rotate(&rotation, x, rotated_x);
			for (uint32_t k = 0; k < n; k++)
			{
				largest = fmax(largest, fabsf(rotated_x[k]));
				filled += fabsf(rotated_x[k]) > 0.01 / sqrt(n);
			}
			/* of the energy, the share that a code of half the length sees */
			half = dot(rotated_x, rotated_x, n / 2) * n / (n / 2);
			largest_ratio = fmax(largest_ratio, largest * sqrt(n));
			least_filled = fmin(least_filled, (double) filled / n);
			prefix_low = fmin(prefix_low, half);
			prefix_high = fmax(prefix_high, half);
			free(rotation.signs);
		}
		{
			OmendbRotation a = rotation_new(n, 1);
			OmendbRotation b = rotation_new(n, 2);

			rotate(&a, x, rotated_x);
			rotate(&b, x, rotated_y);
			seeds_differ = seeds_differ && fabs(dot(rotated_x, rotated_y, n)) < 0.6;
			free(a.signs);
			free(b.signs);
		}
	}
	tap_diag("one-hot: largest element %.2f / sqrt(n), %.3f of all not near 0, half of the "
			 "dimensions hold %.2f to %.2f of their share",
			 largest_ratio, least_filled, prefix_low, prefix_high);
	tap_result(largest_ratio < 8, "one dimension is spread: no large element is left");
	tap_result(least_filled > 0.6, "one dimension is spread over all");
	tap_result(prefix_low > 0.4 && prefix_high < 1.6,
			   "the first half of the dimensions holds half of the energy");
	tap_result(seeds_differ, "another seed is another rotation");
}

int
main(void)
{
	OmendbSimdLevel levels[OMENDB_SIMD_LEVELS];
	size_t nlevels = simd_levels(levels);

	test_numbers();
	for (size_t i = 0; i < nlevels; i++)
	{
		test_preservation(levels[i]);
		test_golden(levels[i]);
	}
	test_mixing();
	return tap_done();
}
