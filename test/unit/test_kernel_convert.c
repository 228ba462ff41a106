/*
 * test_kernel_convert.c
 *	  Conversions between float and half and from int16, double-precision sums,
 *	  normalization and binary quantization.
 */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "kernel_support.h"
#include "tap.h"

#define HALVES        65536
#define RANDOM_FLOATS (1 << 21)
#define BATCH         4096

static const Variant *variants;
static size_t n_variants;
static Guarded memory_in;
static Guarded memory_out;

static bool
same_half(OmendbHalf x, OmendbHalf y)
{
	return x == y || (half_is_nan(x) && half_is_nan(y));
}

/* ---------------------------------------------------------------- half */

static void
test_all_halves(const Variant *variant)
{
	static OmendbHalf halves[HALVES];
	static OmendbHalf back[HALVES];
	static float floats[HALVES];
	size_t wrong = 0;
	size_t wrong_back = 0;

	for (size_t i = 0; i < HALVES; i++)
		halves[i] = (OmendbHalf) i;
	variant->kernels.half_to_float(halves, floats, HALVES);
	variant->kernels.float_to_half(floats, back, HALVES);
	for (size_t i = 0; i < HALVES; i++)
	{
		wrong += !same_float(floats[i], (float) reference_half_to_double(halves[i]));
		wrong_back += !same_half(halves[i], back[i]);
	}
	tap_result(wrong == 0, "%s: all halves to float", variant->name);
	tap_result(wrong_back == 0, "%s: and back again", variant->name);
}

/* Through the vector loop, and each again through the loop of single elements. */
static bool
converts_to_half(const Variant *variant, const float *floats, size_t n)
{
	OmendbHalf together[BATCH];
	bool good = true;

	variant->kernels.float_to_half(floats, together, n);
	for (size_t i = 0; i < n; i++)
	{
		OmendbHalf want = reference_double_to_half((double) floats[i]);
		OmendbHalf alone;

		variant->kernels.float_to_half(&floats[i], &alone, 1);
		if (!same_half(together[i], want) || !same_half(alone, want))
		{
			tap_diag("%s float_to_half(%a): %04x, alone %04x, want %04x", variant->name,
					 (double) floats[i], together[i], alone, want);
			good = false;
		}
	}
	return good;
}

/* Where rounding goes the other way: halfway between neighbours, and next to that. */
static void
test_midpoints(const Variant *variant)
{
	bool good = true;

	for (OmendbHalf half = 0; half < 0x7C00; half++)
	{
		double low = reference_half_to_double(half);
		/* The largest half's neighbour would be 65536, had it another exponent. */
		double high = half == 0x7BFF ? 65536 : reference_half_to_double(half + 1);
		float middle = (float) ((low + high) / 2);
		float floats[18] = {
			middle,      nextafterf(middle, 0),      nextafterf(middle, INFINITY),
			(float) low, nextafterf((float) low, 0), nextafterf((float) low, INFINITY),
		};

		for (int i = 0; i < 6; i++)
			floats[6 + i] = -floats[i];
		good &= converts_to_half(variant, floats, 18);
	}
	tap_result(good, "%s: float to half at and beside every midpoint", variant->name);
}

static void
test_float_range(const Variant *variant)
{
	static const float floats[] = {
		0,
		-0.0f,
		65504,
		65519.996f,
		65520,
		-65519.996f,
		-65520,
		65536,
		FLT_MAX,
		-FLT_MAX,
		INFINITY,
		-INFINITY,
		NAN,
		-NAN,
		0x1p-14f,
		0x1.ffcp-15f,
		0x1p-24f,
		0x1p-25f,
		0x1.8p-25f,
		0x1.8p-24f,
		0x1.000002p-25f,
		0x1p-26f,
		0x1.fffffep-26f,
		FLT_MIN,
		FLT_TRUE_MIN,
		-FLT_TRUE_MIN,
		0x1.ffep-15f,
		0x1.ffffp-15f,
	};
	float batch[BATCH];
	Random random = {21};
	bool good = converts_to_half(variant, floats, LENGTH(floats));

	tap_result(good, "%s: float to half at the ends of the range", variant->name);

	good = true;
	for (int i = 0; i < RANDOM_FLOATS / BATCH; i++)
	{
		for (int j = 0; j < BATCH; j++)
		{
			/* Any bits; every second number with an exponent near the range of half. */
			uint32_t bits = (uint32_t) random_bits(&random);

			if (j % 2)
				bits = (bits & 0x807FFFFF) | (uint32_t) (100 + random_below(&random, 45)) << 23;
			memcpy(&batch[j], &bits, sizeof(bits));
		}
		good &= converts_to_half(variant, batch, BATCH);
	}
	tap_result(good, "%s: random floats to half", variant->name);
}

/* Every length, at the ends of what may be read and written. */
static void
test_conversion_lengths(const Variant *variant)
{
	static OmendbHalf halves[TEST_MAX_DIM];
	static float floats[TEST_MAX_DIM];
	Random random = {22};
	bool good_float = true;
	bool good_half = true;

	for (size_t i = 0; i < TEST_DIMS; i++)
		for (size_t offset = 0; offset < 3; offset++)
		{
			size_t n = test_dim(i);
			size_t place = offset == 2 ? PLACE_END : offset * 4;
			const void *in;
			OmendbHalf *out_halves;
			float *out_floats;

			random_halves(&random, DIST_EXTREME, halves, n);
			in = guarded_place(&memory_in, halves, n * sizeof(OmendbHalf), place);
			out_floats = guarded_place(&memory_out, NULL, n * sizeof(float), place);
			variant->kernels.half_to_float(in, out_floats, n);
			for (size_t j = 0; j < n; j++)
				good_float &=
					same_float(out_floats[j], (float) reference_half_to_double(halves[j]));
			good_float &= guarded_intact(&memory_out);

			random_floats(&random, DIST_NORMAL, floats, n);
			in = guarded_place(&memory_in, floats, n * sizeof(float), place);
			out_halves = guarded_place(&memory_out, NULL, n * sizeof(OmendbHalf), place);
			variant->kernels.float_to_half(in, out_halves, n);
			for (size_t j = 0; j < n; j++)
				good_half &= out_halves[j] == reference_double_to_half((double) floats[j]);
			good_half &= guarded_intact(&memory_out);
		}
	tap_result(good_float, "%s: half to float, all lengths", variant->name);
	tap_result(good_half, "%s: float to half, all lengths", variant->name);
}

/* ---------------------------------------------------------------- int16 */

static void
test_all_int16s(const Variant *variant)
{
	static const float scales[] = {1,         -1,       0.1f,     1.0f / 3,     FLT_MIN,
								   0x1p-140f, INFINITY, -FLT_MAX, FLT_TRUE_MIN, 0x1.fffffep0f,
								   NAN,       -0.0f};
	static int16_t numbers[HALVES];
	static float floats[HALVES];
	size_t wrong = 0;

	for (size_t i = 0; i < HALVES; i++)
		numbers[i] = (int16_t) ((int) i - 32768);
	for (size_t s = 0; s < LENGTH(scales); s++)
	{
		variant->kernels.i16_to_float(numbers, scales[s], floats, HALVES);
		for (size_t i = 0; i < HALVES; i++)
			wrong += !same_float(floats[i], reference_scaled(numbers[i], scales[s]));
	}
	tap_result(wrong == 0, "%s: all int16 to float", variant->name);
}

static void
test_int16_lengths(const Variant *variant)
{
	static int16_t numbers[TEST_MAX_DIM];
	Random random = {27};
	bool good = true;

	for (size_t i = 0; i < TEST_DIMS; i++)
		for (Distribution d = 0; d < DISTRIBUTIONS; d++)
		{
			size_t n = test_dim(i);
			size_t place = d % 2 ? PLACE_END : d / 2;
			float scale = random_scale(&random, d);
			const int16_t *in;
			float *out;

			random_int16s(&random, d, numbers, n);
			in = guarded_place(&memory_in, numbers, n * sizeof(int16_t),
							   place == PLACE_END ? place : 2 * place);
			out = guarded_place(&memory_out, NULL, n * sizeof(float),
								place == PLACE_END ? place : 4 * place);
			variant->kernels.i16_to_float(in, scale, out, n);
			for (size_t j = 0; j < n; j++)
				good &= same_float(out[j], reference_scaled(numbers[j], scale));
			good &= guarded_intact(&memory_out);
		}
	tap_result(good, "%s: int16 to float, all lengths", variant->name);
}

/* ---------------------------------------------------------------- double-precision sums */

static bool
close_to(double got, long double want, long double magnitude, size_t n)
{
	long double error = (long double) got - want;

	return isfinite(got) &&
		   fabsl(error) <= ((long double) n + 1) * (long double) DBL_EPSILON * magnitude;
}

static void
test_norm2(const Variant *variant)
{
	static float floats[TEST_MAX_DIM];
	static OmendbHalf halves[TEST_MAX_DIM];
	Random random = {23};
	bool good_f32 = true;
	bool good_f16 = true;
	bool good_extreme = true;

	for (size_t i = 0; i < TEST_DIMS; i++)
		for (Distribution d = 0; d < DISTRIBUTIONS; d++)
		{
			size_t n = test_dim(i);
			long double want = 0;
			const void *a;

			random_floats(&random, d, floats, n);
			for (size_t j = 0; j < n; j++)
				want += (long double) floats[j] * (long double) floats[j];
			a = guarded_place(&memory_in, floats, n * sizeof(float), i % 2 ? PLACE_END : 0);
			good_f32 &= close_to(variant->kernels.norm2_f32(a, n), want, want, n);

			want = 0;
			random_halves(&random, d, halves, n);
			for (size_t j = 0; j < n; j++)
			{
				double x = reference_half_to_double(halves[j]);

				want += (long double) (x * x);
			}
			a = guarded_place(&memory_in, halves, n * sizeof(OmendbHalf), i % 2 ? PLACE_END : 0);
			good_f16 &= close_to(variant->kernels.norm2_f16(a, n), want, want, n);
		}
	tap_result(good_f32, "%s: norm2_f32", variant->name);
	tap_result(good_f16, "%s: norm2_f16", variant->name);

	for (size_t i = 0; i < TEST_DIMS; i++)
	{
		size_t n = test_dim(i);
		long double count = (long double) n;

		for (size_t j = 0; j < n; j++)
			floats[j] = j % 2 ? FLT_MAX : -FLT_MAX;
		good_extreme &= close_to(variant->kernels.norm2_f32(floats, n),
								 count * (long double) FLT_MAX * (long double) FLT_MAX,
								 count * (long double) FLT_MAX * (long double) FLT_MAX, n);
		for (size_t j = 0; j < n; j++)
			floats[j] = FLT_TRUE_MIN;
		good_extreme &= close_to(variant->kernels.norm2_f32(floats, n), count * 0x1p-298L,
								 count * 0x1p-298L, n);
	}
	tap_result(good_extreme, "%s: norm2_f32 of the largest and smallest floats", variant->name);

	/* NaN and infinity at every place; the sum of squares has no other way to be either. */
	good_f32 = true;
	for (size_t n = 1; n <= 70; n++)
		for (size_t place = 0; place < n; place++)
		{
			random_floats(&random, DIST_NORMAL, floats, n);
			floats[place] = NAN;
			good_f32 &= isnan(variant->kernels.norm2_f32(floats, n));
			floats[place] = -INFINITY;
			good_f32 &= variant->kernels.norm2_f32(floats, n) == (double) INFINITY;
		}
	tap_result(good_f32, "%s: norm2_f32 with NaN and infinities", variant->name);
}

/* These have one implementation only: not a matter of levels. */
static void
test_wide(void)
{
	static float a[TEST_MAX_DIM];
	static float b[TEST_MAX_DIM];
	Random random = {24};
	bool good = true;

	for (size_t i = 0; i < TEST_DIMS; i++)
		for (Distribution d = 0; d < DISTRIBUTIONS; d++)
		{
			size_t n = test_dim(i);
			long double l2sq = 0;
			long double dot = 0;
			long double dot_magnitude = 0;
			long double l1 = 0;

			random_floats(&random, d, a, n);
			random_floats(&random, d, b, n);
			for (size_t j = 0; j < n; j++)
			{
				long double x = (long double) a[j];
				long double y = (long double) b[j];

				l2sq += (x - y) * (x - y);
				dot += x * y;
				dot_magnitude += fabsl(x * y);
				l1 += fabsl(x - y);
			}
			good &= close_to(omendb_wide_l2sq_f32(a, b, n), l2sq, l2sq, n + 2) &&
					close_to(omendb_wide_dot_f32(a, b, n), dot, dot_magnitude, n + 2) &&
					close_to(omendb_wide_l1_f32(a, b, n), l1, l1, n + 2);
		}
	tap_result(good, "wide distances");

	good = true;
	for (size_t i = 1; i < TEST_DIMS; i++)
	{
		size_t n = test_dim(i);
		long double square = (long double) FLT_MAX * (long double) FLT_MAX * (long double) n;

		for (size_t j = 0; j < n; j++)
		{
			a[j] = FLT_MAX;
			b[j] = -FLT_MAX;
		}
		good &= close_to(omendb_wide_l2sq_f32(a, b, n), 4 * square, 4 * square, n) &&
				close_to(omendb_wide_dot_f32(a, b, n), -square, square, n) &&
				close_to(omendb_wide_l1_f32(a, b, n), 2 * (long double) FLT_MAX * (long double) n,
						 2 * (long double) FLT_MAX * (long double) n, n);
		for (size_t j = 0; j < n; j++)
		{
			a[j] = FLT_TRUE_MIN;
			b[j] = 2 * FLT_TRUE_MIN;
		}
		good &= omendb_wide_l2sq_f32(a, b, n) == 0x1p-298 * (double) n &&
				omendb_wide_dot_f32(a, b, n) == 0x1p-297 * (double) n &&
				omendb_wide_l1_f32(a, b, n) == 0x1p-149 * (double) n;
	}
	tap_result(good, "wide distances of the largest and smallest floats");
}

/* ---------------------------------------------------------------- normalization */

static void
test_normalize(const Variant *variant)
{
	static float floats[TEST_MAX_DIM];
	Random random = {25};
	bool good = true;
	bool good_in_place = true;
	bool unit = true;

	for (size_t i = 0; i < TEST_DIMS; i++)
		for (Distribution d = 0; d < DISTRIBUTIONS; d++)
		{
			size_t n = test_dim(i);
			size_t place = d % 2 ? PLACE_END : 4 * (i % 16);
			double norm;
			double length = 0;
			float *in;
			float *out;

			random_floats(&random, d, floats, n);
			norm = sqrt(variant->kernels.norm2_f32(floats, n));
			if (norm == 0)
				continue;
			in = guarded_place(&memory_in, floats, n * sizeof(float), place);
			out = guarded_place(&memory_out, NULL, n * sizeof(float), PLACE_END);
			variant->kernels.normalize_f32(in, out, n, norm);
			for (size_t j = 0; j < n; j++)
			{
				good &= same_float(out[j], (float) ((double) floats[j] / norm));
				length += (double) out[j] * (double) out[j];
			}
			/* A half unit in the last place of every element, far below 1e-6. */
			unit &= fabs(sqrt(length) - 1) < 1e-6;
			good &= guarded_intact(&memory_out) && memcmp(in, floats, n * sizeof(float)) == 0;

			variant->kernels.normalize_f32(in, in, n, norm);
			good_in_place &= memcmp(in, out, n * sizeof(float)) == 0;
			good_in_place &= guarded_intact(&memory_in);
		}
	tap_result(good, "%s: normalize_f32 divides in double and rounds once", variant->name);
	tap_result(unit, "%s: normalize_f32 gives length 1", variant->name);
	tap_result(good_in_place, "%s: normalize_f32 in place", variant->name);

	/*
	 * Quotients as close as they come to the middle between two floats, where
	 * an error in double's last place would change the result.
	 */
	good = true;
	for (int round = 0; round < 200; round++)
	{
		double middle = 0x1p24 + 2 * (double) random_below(&random, 1 << 23) + 1;
		float number = (float) random_uniform(&random) + 0x1p-20f;
		double norm = (double) number / middle;

		for (size_t j = 0; j < 13; j++)
			floats[j] = number;
		variant->kernels.normalize_f32(floats, floats, 13, norm);
		for (size_t j = 0; j < 13; j++)
			good &= same_float(floats[j], (float) ((double) number / norm));
	}
	tap_result(good, "%s: normalize_f32 next to midpoints", variant->name);

	unit = true;
	for (size_t n = 1; n <= 130; n++)
		for (int tiny = 0; tiny < 2; tiny++)
		{
			double length = 0;

			for (size_t j = 0; j < n; j++)
				floats[j] = tiny ? FLT_TRUE_MIN : FLT_MAX;
			variant->kernels.normalize_f32(floats, floats, n,
										   sqrt(variant->kernels.norm2_f32(floats, n)));
			for (size_t j = 0; j < n; j++)
				length += (double) floats[j] * (double) floats[j];
			unit &= fabs(sqrt(length) - 1) < 1e-6;
		}
	tap_result(unit, "%s: normalize_f32 of the largest and smallest floats", variant->name);
}

/* ---------------------------------------------------------------- quantization */

static bool
is_positive_bit(const uint8_t *bits, size_t i)
{
	return (bits[i / 8] & (0x80 >> (i % 8))) != 0;
}

static void
test_quantize(const Variant *variant)
{
	/* What is not above 0 although it looks so, and the other way round. */
	static const float odd[] = {0,        -0.0f,     NAN,          -NAN,
								INFINITY, -INFINITY, FLT_TRUE_MIN, -FLT_TRUE_MIN};
	static float floats[TEST_MAX_DIM];
	static OmendbHalf halves[TEST_MAX_DIM];
	Random random = {26};
	bool good_f32 = true;
	bool good_f16 = true;

	for (size_t i = 0; i < TEST_DIMS; i++)
		for (Distribution d = 0; d < DISTRIBUTIONS; d++)
		{
			size_t n = test_dim(i);
			size_t bytes = (n + 7) / 8;
			size_t place = d % 2 ? PLACE_END : 4 * (i % 16);
			const void *in;
			uint8_t *out;

			random_floats(&random, d, floats, n);
			random_halves(&random, d, halves, n);
			for (size_t j = 0; j < n; j++)
				if (random_below(&random, 4) == 0)
				{
					floats[j] = odd[random_below(&random, LENGTH(odd))];
					halves[j] = (OmendbHalf) random_bits(&random);
				}
			in = guarded_place(&memory_in, floats, n * sizeof(float), place);
			out = guarded_place(&memory_out, NULL, bytes, place);
			variant->kernels.quantize_f32(in, out, n);
			for (size_t j = 0; j < 8 * bytes; j++)
				good_f32 &= is_positive_bit(out, j) == (j < n && floats[j] > 0);
			good_f32 &= guarded_intact(&memory_out);

			in = guarded_place(&memory_in, halves, n * sizeof(OmendbHalf), place);
			out = guarded_place(&memory_out, NULL, bytes, place);
			variant->kernels.quantize_f16(in, out, n);
			for (size_t j = 0; j < 8 * bytes; j++)
				good_f16 &=
					is_positive_bit(out, j) == (j < n && reference_half_to_double(halves[j]) > 0);
			good_f16 &= guarded_intact(&memory_out);
		}
	tap_result(good_f32, "%s: quantize_f32", variant->name);
	tap_result(good_f16, "%s: quantize_f16", variant->name);
}

int
main(void)
{
	variants = test_variants(&n_variants);
	memory_in = guarded_new(TEST_MAX_DIM * sizeof(float) + 64);
	memory_out = guarded_new(TEST_MAX_DIM * sizeof(float) + 64);

	for (size_t v = 0; v < n_variants; v++)
	{
		test_norm2(&variants[v]);
		test_normalize(&variants[v]);
		test_quantize(&variants[v]);
		test_all_halves(&variants[v]);
		test_conversion_lengths(&variants[v]);
		test_all_int16s(&variants[v]);
		test_int16_lengths(&variants[v]);
		/* The long ones once for each implementation. */
		if (v > 0 && variants[v].kernels.float_to_half == variants[v - 1].kernels.float_to_half)
			continue;
		test_midpoints(&variants[v]);
		test_float_range(&variants[v]);
	}
	test_wide();
	return tap_done();
}
