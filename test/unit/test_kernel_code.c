/*
 * test_kernel_code.c
 *	  The kernels of the index: stored int8 and int16, codes of one bit an
 *	  element, the tables that sum over them, and the rotation.
 */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel_support.h"
#include "tap.h"

#define MAX_N     16384
#define MAX_SLOTS 200
#define MAX_BYTES 256

static const Variant *variants;
static size_t n_variants;
static Guarded memory_a;
static Guarded memory_b;
static Guarded memory_c;

static bool failed[MAX_VARIANTS];

static void
report(const char *property)
{
	for (size_t v = 0; v < n_variants; v++)
		tap_result(!failed[v], "%s: %s", variants[v].name, property);
	memset(failed, 0, sizeof(failed));
}

/* Three times in four at a guard page. */
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

static size_t
bit(const uint8_t *bits, size_t i)
{
	return bits[i / 8] >> (i % 8) & 1;
}

/* ---------------------------------------------------------------- int8, int16 */

static void
test_int8(void)
{
	static float x[TEST_MAX_DIM];
	static uint8_t bytes[TEST_MAX_DIM];
	static float wide[TEST_MAX_DIM];
	Random random = {41};

	for (int round = 0; round < 2 * DISTRIBUTIONS; round++)
		for (size_t i = 0; i < TEST_DIMS; i++)
		{
			/* Unlike ones in the second turn. */
			Distribution first = round % DISTRIBUTIONS;
			Distribution second = (round + round / DISTRIBUTIONS) % DISTRIBUTIONS;
			size_t n = test_dim(i);
			DenseReference want;
			const float *a;
			const int8_t *b;

			random_floats(&random, first, x, n);
			random_bytes(&random, second, bytes, n);
			a = guarded_place(&memory_a, x, n * sizeof(float), random_offset(&random, 4));
			b = guarded_place(&memory_b, bytes, n, random_offset(&random, 1));
			for (size_t j = 0; j < n; j++)
				wide[j] = (int8_t) bytes[j];
			want = reference_dense(x, wide, n);
			for (size_t v = 0; v < n_variants; v++)
				failed[v] |= !check_sum(&variants[v], "dot_f32_i8", n,
										variants[v].kernels.dot_f32_i8(a, b, n), want.dot,
										want.dot_magnitude, true);
		}
	report("dot_f32_i8 within the bound");
}

static void
test_int16(void)
{
	static float x[TEST_MAX_DIM];
	static int16_t y[TEST_MAX_DIM];
	static int16_t z[TEST_MAX_DIM];
	Random random = {52};

	for (int round = 0; round < 4 * DISTRIBUTIONS; round++)
		for (size_t i = 0; i < TEST_DIMS; i++)
		{
			/* The same for all, then unlike ones. */
			int turn = round / DISTRIBUTIONS;
			Distribution first = round % DISTRIBUTIONS;
			Distribution second = (round + turn) % DISTRIBUTIONS;
			Distribution third = (round + 3 * turn) % DISTRIBUTIONS;
			size_t n = test_dim(i);
			float scale_a = random_scale(&random, first);
			float scale_b = turn == 0 ? scale_a : random_scale(&random, third);
			Int16Reference want;
			const float *q;
			const int16_t *a;
			const int16_t *b;

			random_floats(&random, first, x, n);
			random_int16s(&random, second, y, n);
			random_int16s(&random, third, z, n);
			q = guarded_place(&memory_a, x, n * sizeof(float), random_offset(&random, 4));
			a = guarded_place(&memory_b, y, n * sizeof(int16_t), random_offset(&random, 2));
			b = guarded_place(&memory_c, z, n * sizeof(int16_t), random_offset(&random, 2));
			want = reference_int16(q, a, scale_a, b, scale_b, n);
			for (size_t v = 0; v < n_variants; v++)
				failed[v] |= !check_i16(&variants[v], q, a, scale_a, b, scale_b, n, &want);
		}
	report("int16: within the bound, the same both ways, 0 on itself");
}

/*
 * Each element alone, in every place, so that none is lost, doubled or moved. In
 * the other places the factor is 0, or the difference: that of two products
 * which are 0 only if both are rounded.
 */
static void
test_int_places(void)
{
	static const size_t dims[] = {1, 7, 8, 9, 16, 31, 33, 64, 100, 130, 200};
	bool difference_failed[MAX_VARIANTS] = {false};
	float one[200] = {0};
	int16_t one_i16[200] = {0};
	float near_y[200];
	int16_t twice_y[200];
	int16_t y[200];
	int8_t z[200];
	Random random = {42};

	for (size_t d = 0; d < LENGTH(dims); d++)
		for (size_t place = 0; place < dims[d]; place++)
		{
			size_t n = dims[d];
			float scale = (float) random_normal(&random);
			float want;
			float want_i16;
			const float *a;
			const int16_t *a_i16;
			const int8_t *c;
			const int16_t *b;

			for (size_t i = 0; i < n; i++)
			{
				y[i] = (int16_t) ((int) random_below(&random, 32768) - 16384);
				z[i] = (int8_t) random_bits(&random);
				near_y[i] = reference_scaled(y[i], scale);
				twice_y[i] = (int16_t) (2 * y[i]);
			}
			one[place] = 3;
			one_i16[place] = 3;
			a = guarded_place(&memory_a, one, n * sizeof(float), random_offset(&random, 4));
			c = guarded_place(&memory_b, z, n, random_offset(&random, 1));
			for (size_t v = 0; v < n_variants; v++)
				failed[v] |= variants[v].kernels.dot_f32_i8(a, c, n) != 3 * (float) z[place];
			b = guarded_place(&memory_b, y, n * sizeof(int16_t), random_offset(&random, 2));
			a_i16 =
				guarded_place(&memory_c, one_i16, n * sizeof(int16_t), random_offset(&random, 2));
			for (size_t v = 0; v < n_variants; v++)
			{
				failed[v] |= variants[v].kernels.dot_f32_i16(a, b, n) != 3 * (float) y[place];
				failed[v] |= variants[v].kernels.dot_i16(a_i16, b, n) != 3 * (float) y[place];
			}
			one[place] = 0;
			one_i16[place] = 0;

			near_y[place] = (float) random_normal(&random) * 10000;
			twice_y[place] = (int16_t) random_bits(&random);
			a = guarded_place(&memory_a, near_y, n * sizeof(float), random_offset(&random, 4));
			a_i16 =
				guarded_place(&memory_c, twice_y, n * sizeof(int16_t), random_offset(&random, 2));
			want = near_y[place] - reference_scaled(y[place], scale);
			want_i16 =
				reference_scaled(twice_y[place], scale / 2) - reference_scaled(y[place], scale);
			/* Exact in double. */
			want = (float) ((double) want * (double) want);
			want_i16 = (float) ((double) want_i16 * (double) want_i16);
			for (size_t v = 0; v < n_variants; v++)
			{
				const OmendbKernels *k = &variants[v].kernels;

				difference_failed[v] |= k->l2sq_f32_i16(a, b, scale, n) != want;
				difference_failed[v] |= k->l2sq_i16(a_i16, scale / 2, b, scale, n) != want_i16;
				difference_failed[v] |= k->l2sq_i16(b, scale, a_i16, scale / 2, n) != want_i16;
			}
		}
	report("products with int8 and int16: every element in its place");
	memcpy(failed, difference_failed, sizeof(failed));
	report("differences of int16 with a scale: every element in its place, rounded");
}

static bool
same_class(float got, double want)
{
	if (isnan(want))
		return isnan(got);
	if (isinf(want))
		return isinf(got) && (got > 0) == (want > 0);
	return isfinite(got);
}

static void
test_int_special(void)
{
	static const float specials[] = {NAN, -NAN, INFINITY, -INFINITY, 0, -0.0f, 2};
	static const float scales[] = {NAN,   INFINITY, -INFINITY,    0,       -0.0f,
								   0.25f, -0.001f,  FLT_TRUE_MIN, FLT_MIN, FLT_MAX};
	static const size_t dims[] = {1, 7, 8, 9, 17, 33, 64, 100};
	float x[100];
	int16_t y[100];
	int16_t z[100];
	int8_t bytes[100];
	float whole[100];
	Random random = {43};

	for (size_t d = 0; d < LENGTH(dims); d++)
		for (size_t place = 0; place < dims[d]; place++)
			for (size_t s = 0; s < LENGTH(specials) * LENGTH(scales); s++)
			{
				size_t n = dims[d];
				float scale_a = scales[random_below(&random, LENGTH(scales))];
				float scale_b = scales[s % LENGTH(scales)];
				DenseReference want_i8;
				Int16Reference want;

				random_floats(&random, DIST_UNIFORM, x, n);
				random_int16s(&random, DIST_UNIFORM, y, n);
				random_int16s(&random, DIST_UNIFORM, z, n);
				x[random_below(&random, n)] = specials[random_below(&random, LENGTH(specials))];
				x[place] = specials[s / LENGTH(scales)];
				for (size_t i = 0; i < n; i++)
				{
					bytes[i] = (int8_t) random_bits(&random);
					whole[i] = bytes[i];
					/* FLT_MAX times 1 is finite, but not its square. */
					y[i] = abs(y[i]) == 1 ? 2 : y[i];
					z[i] = abs(z[i]) == 1 ? 2 : z[i];
				}
				if (s % 3 == 0)
					z[random_below(&random, n)] = 0; /* times infinity is NaN */
				want_i8 = reference_dense(x, whole, n);
				want = reference_int16(x, y, scale_a, z, scale_b, n);
				for (size_t v = 0; v < n_variants; v++)
				{
					const OmendbKernels *k = &variants[v].kernels;

					failed[v] |= !same_class(k->dot_f32_i8(x, bytes, n), want_i8.dot);
					failed[v] |= !same_class(k->l2sq_f32_i16(x, z, scale_b, n), want.mixed_l2sq);
					failed[v] |= !same_class(k->dot_f32_i16(x, z, n), want.mixed_dot);
					failed[v] |= !same_class(k->l2sq_i16(y, scale_a, z, scale_b, n), want.l2sq);
				}
			}
	report("int8 and int16 with NaN and infinities, also as scales");
}

/* ---------------------------------------------------------------- residual codes */

/* The terms of residual_code in double, from residuals that are rounded to float as there. */
static bool
check_residual(const Variant *variant, const float *v, const float *x, size_t n, size_t place,
			   uint8_t *want_bits)
{
	double abs_sum = 0;
	double signed_sum = 0;
	double magnitude = 0;
	float got_abs = NAN;
	float got_signed = NAN;
	uint8_t *bits = guarded_place(&memory_c, NULL, (n + 7) / 8, place);
	bool good = true;

	memset(want_bits, 0, (n + 7) / 8);
	for (size_t i = 0; i < n; i++)
	{
		float r = x[i] - v[i];

		want_bits[i / 8] |= (uint8_t) ((r > 0) << (i % 8));
		abs_sum += fabs((double) r);
		signed_sum += r > 0 ? (double) v[i] : -(double) v[i];
		magnitude += fabs((double) v[i]);
	}
	variant->kernels.residual_code(v, x, n, bits, &got_abs, &got_signed);
	good &= memcmp(bits, want_bits, (n + 7) / 8) == 0;
	good &= isfinite(abs_sum)
				? sum_within_bound(got_abs, abs_sum, abs_sum, false, n, variant->level)
				: same_class(got_abs, abs_sum);
	good &= isfinite(magnitude)
				? sum_within_bound(got_signed, signed_sum, magnitude, true, n, variant->level)
				: same_class(got_signed, signed_sum);
	good &= guarded_intact(&memory_c);
	if (!good)
		tap_diag("%s residual_code n=%zu: %.9g, want %.9g; %.9g, want %.9g", variant->name, n,
				 (double) got_abs, abs_sum, (double) got_signed, signed_sum);
	return good;
}

static void
test_residual_code(void)
{
	static float x[TEST_MAX_DIM];
	static float y[TEST_MAX_DIM];
	static uint8_t bits[TEST_MAX_DIM / 8 + 1];
	static const float specials[] = {NAN, INFINITY, -INFINITY, 0, -0.0f, FLT_TRUE_MIN};
	Random random = {44};

	for (int round = 0; round < 2 * DISTRIBUTIONS; round++)
		for (size_t i = 0; i < TEST_DIMS; i++)
		{
			size_t n = test_dim(i);
			size_t place;
			const float *a;
			const float *b;

			random_floats(&random, round % DISTRIBUTIONS, x, n);
			random_floats(&random, (round + round / DISTRIBUTIONS) % DISTRIBUTIONS, y, n);
			/* The same number in some places: bit 0, and the sign turned. */
			for (size_t j = 0; j < n; j += 1 + random_below(&random, 20))
				y[j] = x[j];
			if (round % 3 == 2 && n > 0)
			{
				x[random_below(&random, n)] = specials[random_below(&random, LENGTH(specials))];
				y[random_below(&random, n)] = specials[random_below(&random, LENGTH(specials))];
			}
			a = guarded_place(&memory_a, x, n * sizeof(float), random_offset(&random, 4));
			b = guarded_place(&memory_b, y, n * sizeof(float), random_offset(&random, 4));
			place = random_offset(&random, 1);
			for (size_t v = 0; v < n_variants; v++)
				failed[v] |= !check_residual(&variants[v], a, b, n, place, bits);
		}
	report("residual_code");
}

/* ---------------------------------------------------------------- tables and sums */

static unsigned
reference_sum(const uint8_t *code, size_t bytes, const uint8_t *lut)
{
	unsigned sum = 0;

	for (size_t i = 0; i < 8 * bytes; i += 4)
	{
		size_t number =
			bit(code, i) + 2 * bit(code, i + 1) + 4 * bit(code, i + 2) + 8 * bit(code, i + 3);

		sum += lut[4 * i + number];
	}
	return sum;
}

static bool
check_code_sums(const Variant *variant, const uint8_t *codes, size_t bytes, size_t slots,
				const uint8_t *lut, const uint16_t *want)
{
	size_t room = OMENDB_SUMS_ROOM(slots) * sizeof(uint16_t);
	uint16_t *sums = guarded_place(&memory_c, NULL, room, slots % 3 ? PLACE_END : 2 * slots % 64);
	bool good = true;

	variant->kernels.code_sums(codes, bytes, slots, lut, sums);
	for (size_t s = 0; s < slots; s++)
		if (sums[s] != want[s])
		{
			tap_diag("%s code_sums bytes=%zu slots=%zu: slot %zu got %u, want %u", variant->name,
					 bytes, slots, s, sums[s], want[s]);
			good = false;
			break;
		}
	return good & guarded_intact(&memory_c);
}

static void
test_code_sums(void)
{
	static uint8_t codes[MAX_BYTES * MAX_SLOTS];
	static uint8_t lut[32 * MAX_BYTES];
	static uint16_t want[MAX_SLOTS];
	Random random = {45};

	for (size_t bytes = 8; bytes <= MAX_BYTES; bytes += 8)
		for (size_t slots = 0; slots <= MAX_SLOTS; slots++)
		{
			size_t largest = 65535 / (2 * bytes) < 255 ? 65535 / (2 * bytes) : 255;
			const uint8_t *a;
			const uint8_t *b;

			/* All numbers of slots with some lengths, some with the others. */
			if (bytes > 48 && bytes != 96 && slots % 16 > 1 && slots % 29 != 0)
				continue;
			for (size_t i = 0; i < slots * bytes; i++)
				codes[i] = (uint8_t) random_bits(&random);
			/* Now and then as large as there can be: sums of up to 65535. */
			for (size_t i = 0; i < 32 * bytes; i++)
				lut[i] = (uint8_t) (slots % 5 ? random_bits(&random) : largest);
			a = guarded_place(&memory_a, codes, slots * bytes,
							  slots % 2 ? PLACE_END : random_offset(&random, 1));
			b = guarded_place(&memory_b, lut, 32 * bytes, random_offset(&random, 1));
			for (size_t s = 0; s < slots; s++)
				want[s] = (uint16_t) reference_sum(codes + s * bytes, bytes, lut);
			for (size_t v = 0; v < n_variants; v++)
				failed[v] |= !check_code_sums(&variants[v], a, bytes, slots, b, want);
		}
	report("code_sums exact for any length and number of codes");
}

/* One entry of one table that is not 0: each finds its own place in the sums. */
static void
test_code_sums_places(void)
{
	static const size_t lengths[] = {8, 16, 24, 32, 40, 48, 56, 64, 72, 128};
	static uint8_t codes[128 * 45];
	uint16_t want[45];
	Random random = {46};

	for (size_t l = 0; l < LENGTH(lengths); l++)
		for (size_t table = 0; table < 2 * lengths[l]; table++)
		{
			static uint8_t lut[32 * 128];
			size_t bytes = lengths[l];
			size_t slots = 45;

			memset(lut, 0, sizeof(lut));
			for (size_t z = 0; z < 16; z++)
				lut[16 * table + z] = (uint8_t) (z * 17);
			for (size_t i = 0; i < slots * bytes; i++)
				codes[i] = (uint8_t) random_bits(&random);
			for (size_t s = 0; s < slots; s++)
				want[s] = (uint16_t) reference_sum(codes + s * bytes, bytes, lut);
			for (size_t v = 0; v < n_variants; v++)
				failed[v] |= !check_code_sums(&variants[v], codes, bytes, slots, lut, want);
		}
	report("code_sums: every table serves its own bits");
}

/* The definition, in double: entry z of table j stands for that value. */
static bool
check_lut(const Variant *variant, const float *q, size_t n, const uint8_t *scalar_lut,
		  float scalar_step, uint8_t *lut)
{
	float base = NAN;
	float step = NAN;
	double want_base = 0;
	double span = 0;
	double limit = 65535 / (n / 4) < 255 ? (double) (65535 / (n / 4)) : 255;
	size_t maxima = 0;
	bool good = true;

	variant->kernels.lut_f32(q, n, lut, &base, &step);
	good &= memcmp(lut, scalar_lut, 4 * n) == 0 && same_float(step, scalar_step);
	for (size_t j = 0; j < n / 4; j++)
	{
		double largest = 0;
		int most = 0;

		for (int b = 0; b < 4; b++)
			largest += fabs((double) q[4 * j + b]);
		want_base -= largest;
		span = fmax(span, 2 * largest);
		for (int z = 0; z < 16; z++)
		{
			double value = 0;
			int entry = lut[16 * j + z];

			for (int b = 0; b < 4; b++)
				value += z >> b & 1 ? (double) q[4 * j + b] : -(double) q[4 * j + b];
			/* Half a step, and the float's rounding of a number up to 255. */
			good &= fabs(((double) entry - (value + largest) / (double) step)) <= 0.5 + 1e-4;
			most = entry > most ? entry : most;
		}
		maxima += (size_t) most;
	}
	good &= maxima <= 65535;
	good &= span / limit < 1e-37 ? step == 1
								 : fabs((double) step - span / limit) <= 1e-6 * span / limit;
	good &= sum_within_bound(base, want_base, -want_base, true, n, variant->level);
	if (!good)
		tap_diag("%s lut_f32 n=%zu: step %.9g, want %.9g; base %.9g, want %.9g; maxima %zu",
				 variant->name, n, (double) step, span / limit, (double) base, want_base, maxima);
	return good;
}

static void
test_lut(void)
{
	static const Distribution distributions[] = {DIST_NORMAL, DIST_UNIFORM, DIST_MIXED,
												 DIST_TINY,   DIST_ONE_HOT, DIST_CONSTANT,
												 DIST_ZERO,   DIST_INTEGER};
	static float x[MAX_N];
	static uint8_t scalar_lut[4 * MAX_N];
	Random random = {47};

	for (size_t d = 0; d < LENGTH(distributions); d++)
		for (size_t n = 64; n <= MAX_N; n += n < 2048 ? 64 : 64 * (1 + random_below(&random, 40)))
		{
			const float *q;
			size_t place = random_offset(&random, 1);
			float base;
			float step;

			random_floats(&random, distributions[d], x, n);
			q = guarded_place(&memory_a, x, n * sizeof(float), random_offset(&random, 4));
			variants[0].kernels.lut_f32(q, n, scalar_lut, &base, &step);
			for (size_t v = 0; v < n_variants; v++)
			{
				uint8_t *lut = guarded_place(&memory_c, NULL, 4 * n, place);

				failed[v] |= !check_lut(&variants[v], q, n, scalar_lut, step, lut);
				failed[v] |= !guarded_intact(&memory_c);
			}
		}
	report("lut_f32");
}

/* Whatever the query holds: within bounds, and a clean run of the sanitizers. */
static void
test_lut_special(void)
{
	static const float specials[] = {NAN, INFINITY, -INFINITY, FLT_MAX, -FLT_MAX, -NAN};
	Random random = {48};
	float x[192];
	uint8_t codes[24 * 33];
	static uint16_t sums[OMENDB_SUMS_ROOM(33)];

	random_bytes(&random, DIST_NORMAL, codes, sizeof(codes));
	for (int round = 0; round < 2000; round++)
	{
		const float *q;
		float base;
		float step;

		random_floats(&random, round % DISTRIBUTIONS, x, 192);
		for (size_t i = random_below(&random, 8) * random_below(&random, 25); i-- > 0;)
			x[random_below(&random, 192)] = specials[random_below(&random, LENGTH(specials))];
		q = guarded_place(&memory_a, x, sizeof(x), PLACE_END);
		for (size_t v = 0; v < n_variants; v++)
		{
			uint8_t *lut = guarded_place(&memory_c, NULL, 4 * 192, PLACE_END);

			variants[v].kernels.lut_f32(q, 192, lut, &base, &step);
			variants[v].kernels.code_sums(codes, 24, 33, lut, sums);
			failed[v] |= !guarded_intact(&memory_c);
		}
	}
	report("lut_f32 stays within bounds with NaN and infinities");
}

/* Both together give the sum that they are made for, as near as promised. */
static void
test_estimate(void)
{
	static float q[2048];
	static uint8_t lut[4 * 2048];
	static uint8_t codes[40 * 2048 / 8];
	uint16_t sums[OMENDB_SUMS_ROOM(40)];
	Random random = {49};

	for (size_t n = 64; n <= 2048; n += 64)
		for (int round = 0; round < 4; round++)
			for (size_t v = 0; v < n_variants; v++)
			{
				float base;
				float step;

				random_floats(&random, round % 2 ? DIST_NORMAL : DIST_UNIFORM, q, n);
				random_bytes(&random, DIST_NORMAL, codes, 40 * n / 8);
				variants[v].kernels.lut_f32(q, n, lut, &base, &step);
				variants[v].kernels.code_sums(codes, n / 8, 40, lut, sums);
				for (size_t s = 0; s < 40; s++)
				{
					double want = 0;
					double got = (double) base + (double) step * sums[s];
					double most = (double) n / 4 * (double) step * 0.5001 - 1e-5 * (double) base;

					for (size_t i = 0; i < n; i++)
						want += bit(codes + s * (n / 8), i) ? (double) q[i] : -(double) q[i];
					failed[v] |= fabs(got - want) > most;
				}
			}
	report("code_sums with lut_f32 is about the sum of q with signs");
}

/* ---------------------------------------------------------------- rotation */

/* By the definition, one row: what a unit vector becomes. */
static void
test_hadamard_rows(void)
{
	for (size_t n = 1; n <= 1024; n *= 2)
		for (size_t i = 0; i < n; i += 1 + n / 64)
			for (size_t v = 0; v < n_variants; v++)
			{
				float *x = guarded_place(&memory_a, NULL, n * sizeof(float),
										 i % 2 ? PLACE_END : i * 4 % 64);

				for (size_t j = 0; j < n; j++)
					x[j] = j == i ? 1 : 0;
				variants[v].kernels.hadamard(x, n);
				for (size_t j = 0; j < n; j++)
					failed[v] |= x[j] != (__builtin_popcountll(i & j) % 2 ? -1.0f : 1.0f);
				failed[v] |= !guarded_intact(&memory_a);
			}
	report("hadamard of a unit vector is a row of signs");
}

/* On any vector: what the scalar level gives, and, twice, n times the vector. */
static void
test_hadamard(void)
{
	static float original[MAX_N];
	static float want[MAX_N];
	Random random = {50};

	for (int round = 0; round < 2 * DISTRIBUTIONS; round++)
		for (size_t n = 1; n <= MAX_N; n *= 2)
		{
			random_floats(&random, round % DISTRIBUTIONS, original, n);
			if (round == DISTRIBUTIONS)
				original[random_below(&random, n)] = NAN;
			if (round == DISTRIBUTIONS + 1)
				original[random_below(&random, n)] = INFINITY;
			memcpy(want, original, n * sizeof(float));
			variants[0].kernels.hadamard(want, n);
			for (size_t v = 0; v < n_variants; v++)
			{
				float *x = guarded_place(&memory_a, original, n * sizeof(float),
										 random_offset(&random, 4));

				variants[v].kernels.hadamard(x, n);
				for (size_t i = 0; i < n; i++)
					failed[v] |= !same_float(x[i], want[i]);
				if (round % DISTRIBUTIONS == DIST_INTEGER)
				{
					variants[v].kernels.hadamard(x, n);
					for (size_t i = 0; i < n; i++)
						failed[v] |= x[i] != (float) n * original[i];
				}
				failed[v] |= !guarded_intact(&memory_a);
			}
		}
	report("hadamard gives the scalar level's numbers, twice is n times");
}

static void
test_multiply_signs(void)
{
	static float original[TEST_MAX_DIM];
	static uint8_t bits[TEST_MAX_DIM / 8 + 1];
	static const float specials[] = {NAN, INFINITY, 0, -0.0f};
	Random random = {51};

	for (int round = 0; round < DISTRIBUTIONS; round++)
		for (size_t i = 0; i < TEST_DIMS; i++)
		{
			size_t n = test_dim(i);
			const uint8_t *b;

			random_floats(&random, round, original, n);
			for (size_t j = random_below(&random, 30); j < n; j += 1 + random_below(&random, 30))
				original[j] = specials[random_below(&random, LENGTH(specials))];
			random_bytes(&random, round, bits, (n + 7) / 8);
			b = guarded_place(&memory_b, bits, (n + 7) / 8, random_offset(&random, 1));
			for (size_t v = 0; v < n_variants; v++)
			{
				float *x = guarded_place(&memory_a, original, n * sizeof(float),
										 random_offset(&random, 4));

				variants[v].kernels.multiply_signs(x, b, n);
				for (size_t j = 0; j < n; j++)
				{
					uint32_t before;
					uint32_t after;

					memcpy(&before, &original[j], 4);
					memcpy(&after, &x[j], 4);
					failed[v] |= after != (before ^ (uint32_t) bit(b, j) << 31);
				}
				failed[v] |= !guarded_intact(&memory_a);
			}
		}
	report("multiply_signs turns the sign where the bit is 1");
}

int
main(void)
{
	variants = test_variants(&n_variants);
	memory_a = guarded_new(MAX_N * sizeof(float) + 256);
	memory_b = guarded_new(MAX_N * sizeof(float) + 256);
	memory_c = guarded_new(MAX_N * sizeof(float) + 256);

	test_int8();
	test_int16();
	test_int_places();
	test_int_special();
	test_residual_code();
	test_code_sums();
	test_code_sums_places();
	test_lut();
	test_lut_special();
	test_estimate();
	test_hadamard_rows();
	test_hadamard();
	test_multiply_signs();
	return tap_done();
}
