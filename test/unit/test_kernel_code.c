/*
 * test_kernel_code.c
 *	  The kernels of the index: stored int8, int12 and int16, codes of four bits a
 *	  group, the tables that sum over them, and the rotation.
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

/* Packed by the table of code/layout.h. */
static void
test_int12(void)
{
	static int16_t x[TEST_MAX_DIM];
	static uint8_t packed[TEST_MAX_DIM * 3 / 2 + 2];
	Random random = {52};

	for (int round = 0; round < 4; round++)
		for (size_t i = 0; i < TEST_DIMS; i++)
		{
			size_t n = test_dim(i);
			size_t half = (n + 1) / 2;
			size_t place = random_offset(&random, 2);
			const uint8_t *a;

			memset(packed, 0, sizeof(packed));
			for (size_t k = 0; k < n; k++)
			{
				int low;

				x[k] = (int16_t) (round == 0   ? (k % 2 ? -2048 : 2047)
								  : round == 1 ? (int) (k % 33) - 16
											   : (int) random_below(&random, 4096) - 2048);
				low = x[k] & 15;
				packed[k] = (uint8_t) ((x[k] - low) / 16);
				packed[n + k % half] |= (uint8_t) (k < half ? low : low << 4);
			}
			a = guarded_place(&memory_a, packed, n + half, random_offset(&random, 1));
			for (size_t v = 0; v < n_variants; v++)
			{
				int16_t *out = guarded_place(&memory_c, NULL, n * sizeof(int16_t), place);

				variants[v].kernels.i12_to_i16(a, out, n);
				failed[v] |= memcmp(out, x, n * sizeof(int16_t)) != 0;
				failed[v] |= !guarded_intact(&memory_c);
			}
		}
	report("i12_to_i16 gives the integers that were packed");
}

/* ---------------------------------------------------------------- residual codes */

static void
test_residual_signs(void)
{
	static float x[TEST_MAX_DIM];
	static float y[TEST_MAX_DIM];
	static uint8_t want[TEST_MAX_DIM / 8 + 1];
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
			/* The same number in some places: bit 0. */
			for (size_t j = 0; j < n; j += 1 + random_below(&random, 20))
				y[j] = x[j];
			if (round % 3 == 2 && n > 0)
			{
				x[random_below(&random, n)] = specials[random_below(&random, LENGTH(specials))];
				y[random_below(&random, n)] = specials[random_below(&random, LENGTH(specials))];
			}
			memset(want, 0, sizeof(want));
			for (size_t j = 0; j < n; j++)
				want[j / 8] |= (uint8_t) ((y[j] - x[j] > 0) << (j % 8));
			a = guarded_place(&memory_a, x, n * sizeof(float), random_offset(&random, 4));
			b = guarded_place(&memory_b, y, n * sizeof(float), random_offset(&random, 4));
			place = random_offset(&random, 1);
			for (size_t v = 0; v < n_variants; v++)
			{
				uint8_t *bits = guarded_place(&memory_c, NULL, (n + 7) / 8, place);

				variants[v].kernels.residual_signs(a, b, n, bits);
				failed[v] |= memcmp(bits, want, (n + 7) / 8) != 0;
				failed[v] |= !guarded_intact(&memory_c);
			}
		}
	report("residual_signs");
}

/* Plans of every size of groups, with whole blocks and without. */
static const struct
{
	uint32_t n;
	uint32_t groups;
} plans[] = {{2, 2},    {3, 2},     {15, 2},    {16, 2},     {40, 2},     {8, 8},     {9, 8},
			 {13, 10},  {17, 16},   {31, 14},   {32, 16},    {48, 24},    {64, 16},   {64, 30},
			 {100, 24}, {100, 30},  {128, 28},  {128, 30},   {200, 38},   {384, 40},  {384, 70},
			 {384, 96}, {768, 138}, {1536, 90}, {1536, 200}, {3000, 240}, {4096, 512}};

static float
largest_magnitude(const float *x, size_t n)
{
	float largest = 0;

	for (size_t i = 0; i < n; i++)
		largest = fabsf(x[i]) > largest ? fabsf(x[i]) : largest;
	return largest;
}

/* Element i of group g, by the table of codebook.h. */
static size_t
element(const OmendbCodePlan *plan, uint32_t g, uint32_t i)
{
	size_t first = 0;

	for (uint32_t b = 0; b < g / 8; b++)
		first += (size_t) omendb_plan_size(plan, b) * omendb_plan_width(plan, b);
	return first + omendb_plan_width(plan, g / 8) * i + g % 8;
}

static void
test_plans(void)
{
	bool good = true;

	for (uint32_t groups = 2; groups <= OMENDB_PLAN_MAX_GROUPS; groups += 2)
		for (uint32_t n = groups; n <= 9 * groups; n += 1 + groups / 40)
		{
			static uint8_t seen[9 * OMENDB_PLAN_MAX_GROUPS];
			OmendbCodePlan plan;
			size_t total = 0;

			omendb_code_plan(&plan, n, groups);
			memset(seen, 0, plan.elements);
			for (uint32_t g = 0; g < groups; g++)
			{
				uint32_t k = omendb_plan_size(&plan, g / 8);

				good = good && k >= 1 && k <= OMENDB_GROUP_ELEMENTS;
				for (uint32_t i = 0; i < k; i++, total++)
				{
					size_t e = element(&plan, g, i);

					good = good && e < plan.elements && !seen[e];
					seen[e] = 1;
				}
			}
			/* All elements, without those that a last block cannot take, or beyond 8 a group. */
			good = good && total == plan.elements && plan.elements <= n + 7 &&
				   plan.elements + 7 >= (n < 8 * groups ? n : 8 * groups);
		}
	tap_result(good, "each element is in one group, and groups have 1 to 8");
}

/* The nearest codeword of each group, in double, from the residual as it is. */
static bool
is_nearest(const OmendbCodePlan *plan, const float *v, const float *x, const uint8_t *code,
		   double *residual, double *origin, double *magnitude, double *rounding)
{
	double mean = 0;
	double largest = 0;
	double unit;
	bool good = true;

	*residual = *origin = *magnitude = *rounding = 0;
	for (uint32_t e = 0; e < plan->elements; e++)
	{
		mean += fabs((double) x[e] - v[e]) / plan->elements;
		if (fabs((double) x[e] - v[e]) > largest)
			largest = fabs((double) x[e] - v[e]);
	}
	unit = mean * 1.2533141 / OMENDB_CODEBOOK_UNIT;
	for (uint32_t g = 0; g < plan->groups; g++)
	{
		uint32_t k = omendb_plan_size(plan, g / 8);
		const OmendbCodebook *book = omendb_codebook(k);
		int chosen = code[g / 2] >> (g % 2 * 4) & 15;
		double least = INFINITY;
		double own = INFINITY;

		for (int z = 0; z < 16; z++)
		{
			double square = 0;
			double sign = z < 8 ? 1 : -1;

			for (uint32_t i = 0; i < k; i++)
			{
				size_t e = element(plan, g, i);
				double c = sign * book->words[i][z % 8];
				double r = (double) (x[e] - v[e]);

				square += (r - unit * c) * (r - unit * c);
				if (z != chosen)
					continue;
				*residual += r * c;
				*origin += v[e] * c;
				*magnitude += fabs(v[e] * c);
				*rounding += fabs(c);
			}
			least = fmin(least, square);
			own = z == chosen ? square : own;
		}
		/* Elements are rounded to 512 units up to the largest. */
		good = good && own <= least + k * 4 * largest * largest / 256;
	}
	*rounding *= largest / 256;
	return good;
}

static void
test_residual_code(void)
{
	static const Distribution distributions[] = {DIST_NORMAL,   DIST_UNIFORM, DIST_ONE_HOT,
												 DIST_CONSTANT, DIST_ZERO,    DIST_INTEGER};
	static float x[MAX_N];
	static float y[MAX_N];
	Random random = {53};

	for (size_t d = 0; d < 2 * LENGTH(distributions); d++)
		for (size_t p = 0; p < LENGTH(plans); p++)
		{
			OmendbCodePlan plan;
			uint8_t want[OMENDB_PLAN_MAX_GROUPS / 2];
			size_t place = random_offset(&random, 1);
			float size = d % 3 == 0 ? 1 : d % 3 == 1 ? 1e-12f : 1e12f;
			const float *a;
			const float *b;
			size_t capacity;

			omendb_code_plan(&plan, plans[p].n, plans[p].groups);
			capacity = plan.elements + OMENDB_PLAN_SLACK;
			random_floats(&random, distributions[d % LENGTH(distributions)], x, capacity);
			random_floats(&random, distributions[(d + d / 6) % LENGTH(distributions)], y, capacity);
			for (size_t i = 0; i < capacity; i++)
			{
				x[i] *= size;
				y[i] = i < plan.elements ? y[i] * size : NAN;
			}
			a = guarded_place(&memory_a, x, capacity * sizeof(float), random_offset(&random, 4));
			b = guarded_place(&memory_b, y, capacity * sizeof(float), random_offset(&random, 4));
			for (size_t v = 0; v < n_variants; v++)
			{
				uint8_t *code = guarded_place(&memory_c, NULL, plan.groups / 2, place);
				float residual = NAN;
				float origin = NAN;
				double want_residual = 0, want_origin = 0, magnitude = 0, rounding = 0;
				bool good;

				variants[v].kernels.residual_code(a, b, &plan, code, &residual, &origin);
				if (v == 0)
					memcpy(want, code, plan.groups / 2);
				good = memcmp(code, want, plan.groups / 2) == 0 &&
					   is_nearest(&plan, a, b, code, &want_residual, &want_origin, &magnitude,
								  &rounding) &&
					   fabs(residual - want_residual) <= rounding + 1e-6 * fabs(want_residual) &&
					   fabs(origin - want_origin) <= 1e-5 * magnitude + FLT_MIN;
				if (!good)
					tap_diag("%s residual_code, %u elements, %u groups: %g for %g, %g for %g",
							 variants[v].name, plan.elements, plan.groups, (double) residual,
							 want_residual, (double) origin, want_origin);
				failed[v] |= !good || !guarded_intact(&memory_c);
			}
		}
	report("residual_code: nearest codewords, the same at every level");
}

/* Whatever a vector holds: some code, and a clean run of the sanitizers. */
static void
test_residual_special(void)
{
	static const float specials[] = {NAN, INFINITY, -INFINITY, FLT_MAX, -FLT_MAX, FLT_TRUE_MIN};
	Random random = {54};
	float x[384 + OMENDB_PLAN_SLACK];
	float y[384 + OMENDB_PLAN_SLACK];
	OmendbCodePlan plan;

	omendb_code_plan(&plan, 384, 70);
	for (int round = 0; round < 1000; round++)
	{
		random_floats(&random, round % DISTRIBUTIONS, x, LENGTH(x));
		random_floats(&random, round / DISTRIBUTIONS % DISTRIBUTIONS, y, LENGTH(y));
		for (size_t i = random_below(&random, 8) * random_below(&random, 25); i-- > 0;)
			y[random_below(&random, 384)] = specials[random_below(&random, LENGTH(specials))];
		for (size_t v = 0; v < n_variants; v++)
		{
			uint8_t *code = guarded_place(&memory_c, NULL, plan.groups / 2, PLACE_END);
			float residual;
			float origin;

			variants[v].kernels.residual_code(x, y, &plan, code, &residual, &origin);
			failed[v] |= !guarded_intact(&memory_c);
		}
	}
	report("residual_code stays within bounds with NaN and infinities");
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
check_code_sums(const Variant *variant, const uint8_t *codes, size_t stride, size_t bytes,
				size_t slots, const uint8_t *lut, const uint16_t *want)
{
	size_t capacity = OMENDB_SUMS_CAPACITY(slots) * sizeof(uint16_t);
	uint16_t *sums =
		guarded_place(&memory_c, NULL, capacity, slots % 3 ? PLACE_END : 2 * slots % 64);
	bool good = true;

	variant->kernels.code_sums(codes, stride, bytes, slots, lut, sums);
	for (size_t s = 0; s < slots; s++)
		if (sums[s] != want[s])
		{
			tap_diag("%s code_sums stride=%zu slots=%zu: slot %zu got %u, want %u", variant->name,
					 stride, slots, s, sums[s], want[s]);
			good = false;
			break;
		}
	return good & guarded_intact(&memory_c);
}

static void
test_code_sums(void)
{
	static uint8_t codes[MAX_BYTES * MAX_SLOTS + 8];
	static uint8_t lut[32 * MAX_BYTES];
	static uint16_t want[MAX_SLOTS];
	Random random = {45};

	for (size_t stride = 1; stride <= MAX_BYTES; stride += stride < 80 ? 1 : 11)
		for (size_t slots = 0; slots <= MAX_SLOTS; slots++)
		{
			size_t bytes = (stride + 7) / 8 * 8;
			size_t largest = 65535 / (2 * stride) < 255 ? 65535 / (2 * stride) : 255;
			size_t read = slots > 0 ? (slots - 1) * stride + bytes : 0;
			const uint8_t *a;
			const uint8_t *b;

			/* All numbers of slots with some lengths, some with the others. */
			if (stride != 8 && stride != 15 && stride != 35 && stride != 48 && slots % 16 > 1 &&
				slots % 29 != 0)
				continue;
			for (size_t i = 0; i < read; i++)
				codes[i] = (uint8_t) random_bits(&random);
			/* Now and then as large as there can be: sums of up to 65535. */
			for (size_t i = 0; i < 32 * bytes; i++)
				lut[i] = (uint8_t) (i >= 32 * stride ? 0
									: slots % 5      ? random_bits(&random)
													 : largest);
			a = guarded_place(&memory_a, codes, read,
							  slots % 2 ? PLACE_END : random_offset(&random, 1));
			b = guarded_place(&memory_b, lut, 32 * bytes, random_offset(&random, 1));
			for (size_t s = 0; s < slots; s++)
				want[s] = (uint16_t) reference_sum(codes + s * stride, stride, lut);
			for (size_t v = 0; v < n_variants; v++)
				failed[v] |= !check_code_sums(&variants[v], a, stride, bytes, slots, b, want);
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
				failed[v] |= !check_code_sums(&variants[v], codes, bytes, bytes, slots, lut, want);
		}
	report("code_sums: every table serves its own bits");
}

/* What codeword z of group g gives with q, and what rounding q to integers may change of it. */
static double
codeword_product(const OmendbCodePlan *plan, const float *q, uint32_t g, int z, double largest,
				 double *rounding)
{
	uint32_t k = omendb_plan_size(plan, g / 8);
	double sum = 0;

	*rounding = 0;
	for (uint32_t i = 0; i < k; i++)
	{
		double c = omendb_codebook(k)->words[i][z % 8] * (z < 8 ? 1.0 : -1.0);

		sum += q[element(plan, g, i)] * c;
		*rounding += fabs(c) * largest / 4096;
	}
	return sum;
}

/* The definition, in double: entry z of table g stands for that value. */
static bool
check_lut(const Variant *variant, const float *q, const OmendbCodePlan *plan,
		  const uint8_t *scalar_lut, float scalar_base, float scalar_step, uint8_t *lut)
{
	float base = NAN;
	float step = NAN;
	double want_base = 0;
	double slack = 0;
	double largest = 0;
	size_t maxima = 0;
	const uint8_t *rest = lut + OMENDB_LUT_BYTES(plan->groups);
	bool good = true;

	variant->kernels.lut_f32(q, plan, lut, &base, &step);
	good &= memcmp(lut, scalar_lut, 2 * OMENDB_LUT_BYTES(plan->groups)) == 0 &&
			same_float(step, scalar_step) && same_float(base, scalar_base);
	largest = largest_magnitude(q, plan->elements);
	for (uint32_t g = 0; g < plan->groups; g++)
	{
		double most = 0;
		double rounding = 0;
		double widest = 0;
		int highest = 0;

		for (int z = 0; z < 8; z++)
		{
			most = fmax(most, fabs(codeword_product(plan, q, g, z, largest, &rounding)));
			widest = fmax(widest, rounding);
		}
		for (int z = 0; z < 16; z++)
		{
			double value = codeword_product(plan, q, g, z, largest, &rounding) + most;
			int entry = lut[16 * g + z];

			double left = ((double) rest[16 * g + z] - OMENDB_LUT_REST) / (2 * OMENDB_LUT_REST);

			good &= fabs(entry * (double) step - value) <= 0.5001 * (double) step + 2 * widest;
			good &=
				fabs((entry + left) * (double) step - value) <= 0.0021 * (double) step + 2 * widest;
			highest = entry > highest ? entry : highest;
		}
		want_base -= most;
		slack += widest;
		maxima += (size_t) highest;
	}
	for (size_t i = (size_t) 16 * plan->groups; i < OMENDB_LUT_BYTES(plan->groups); i++)
		good &= lut[i] == 0 && rest[i] == 0;
	good &= maxima <= 65535;
	good &= fabs(base - want_base) <= slack + 1e-6 * -want_base;
	if (!good)
		tap_diag("%s lut_f32, %u elements, %u groups: step %.9g; base %.9g, want %.9g; maxima %zu",
				 variant->name, plan->elements, plan->groups, (double) step, (double) base,
				 want_base, maxima);
	return good;
}

static void
test_lut(void)
{
	static const Distribution distributions[] = {DIST_NORMAL,  DIST_UNIFORM,  DIST_MIXED,
												 DIST_ONE_HOT, DIST_CONSTANT, DIST_ZERO,
												 DIST_INTEGER};
	static float x[MAX_N];
	static uint8_t scalar_lut[2 * OMENDB_LUT_BYTES(OMENDB_PLAN_MAX_GROUPS)];
	Random random = {47};

	for (size_t d = 0; d < LENGTH(distributions); d++)
		for (size_t p = 0; p < LENGTH(plans); p++)
		{
			OmendbCodePlan plan;
			const float *q;
			size_t place = random_offset(&random, 1);
			float base;
			float step;

			omendb_code_plan(&plan, plans[p].n, plans[p].groups);
			random_floats(&random, distributions[d], x, plan.elements);
			for (size_t i = 0; i < OMENDB_PLAN_SLACK; i++)
				x[plan.elements + i] = NAN;
			q = guarded_place(&memory_a, x, (plan.elements + OMENDB_PLAN_SLACK) * sizeof(float),
							  random_offset(&random, 4));
			variants[0].kernels.lut_f32(q, &plan, scalar_lut, &base, &step);
			for (size_t v = 0; v < n_variants; v++)
			{
				uint8_t *lut =
					guarded_place(&memory_c, NULL, 2 * OMENDB_LUT_BYTES(plan.groups), place);

				failed[v] |= !check_lut(&variants[v], q, &plan, scalar_lut, base, step, lut);
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
	float x[192 + OMENDB_PLAN_SLACK];
	uint8_t codes[24 * 33];
	static uint16_t sums[OMENDB_SUMS_CAPACITY(33)];
	OmendbCodePlan plan;

	omendb_code_plan(&plan, 192, 48);
	random_bytes(&random, DIST_NORMAL, codes, sizeof(codes));
	for (int round = 0; round < 2000; round++)
	{
		const float *q;
		float base;
		float step;

		random_floats(&random, round % DISTRIBUTIONS, x, LENGTH(x));
		for (size_t i = random_below(&random, 8) * random_below(&random, 25); i-- > 0;)
			x[random_below(&random, 192)] = specials[random_below(&random, LENGTH(specials))];
		q = guarded_place(&memory_a, x, sizeof(x), PLACE_END);
		for (size_t v = 0; v < n_variants; v++)
		{
			uint8_t *lut = guarded_place(&memory_c, NULL, 2 * OMENDB_LUT_BYTES(48), PLACE_END);

			variants[v].kernels.lut_f32(q, &plan, lut, &base, &step);
			variants[v].kernels.code_sums(codes, 24, 24, 33, lut, sums);
			failed[v] |= !guarded_intact(&memory_c);
		}
	}
	report("lut_f32 stays within bounds with NaN and infinities");
}

/* Both together give the sum that they are made for, as near as promised. */
static void
test_estimate(void)
{
	static float q[MAX_N];
	static uint8_t lut[2 * OMENDB_LUT_BYTES(OMENDB_PLAN_MAX_GROUPS)];
	static uint8_t codes[40 * OMENDB_PLAN_MAX_GROUPS / 2 + 8];
	uint16_t sums[OMENDB_SUMS_CAPACITY(40)];
	Random random = {49};

	for (size_t p = 0; p < LENGTH(plans); p++)
		for (int round = 0; round < 4; round++)
		{
			OmendbCodePlan plan;
			double largest = 0;
			size_t stride;

			omendb_code_plan(&plan, plans[p].n, plans[p].groups);
			stride = plan.groups / 2;
			random_floats(&random, round % 2 ? DIST_NORMAL : DIST_UNIFORM, q,
						  plan.elements + OMENDB_PLAN_SLACK);
			random_bytes(&random, DIST_NORMAL, codes, 40 * stride + 8);
			largest = largest_magnitude(q, plan.elements);
			for (size_t v = 0; v < n_variants; v++)
			{
				float base;
				float step;

				variants[v].kernels.lut_f32(q, &plan, lut, &base, &step);
				variants[v].kernels.code_sums(codes, stride, (stride + 7) / 8 * 8, 40, lut, sums);
				for (size_t s = 0; s < 40; s++)
				{
					double want = 0;
					double got = (double) base + (double) step * sums[s];
					double most = plan.groups * (double) step * 0.5001 - 1e-5 * (double) base;

					for (uint32_t g = 0; g < plan.groups; g++)
					{
						double rounding;

						want += codeword_product(&plan, q, g,
												 codes[s * stride + g / 2] >> (g % 2 * 4) & 15,
												 largest, &rounding);
						most += rounding;
					}
					failed[v] |= fabs(got - want) > most;
				}
			}
		}
	report("code_sums with lut_f32 is about the product of q with codewords");
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

/* Beside the formula in double. Slopes, shifts and sums end at a guard page, to a multiple of 8. */
static void
test_estimates(void)
{
	Random random = {61};

	for (int round = 0; round < 400; round++)
	{
		size_t n = 1 + random_below(&random, 200);
		size_t capacity = (n + 7) / 8 * 8;
		OmendbEstimate e = {(float) random_normal(&random), (float) random_normal(&random), 0.01f,
							0.002f, (uint32_t) random_below(&random, 230)};
		uint8_t slopes[200];
		int16_t shifts[200];
		uint16_t sums[200];
		const uint8_t *a;
		const int16_t *b;
		const uint16_t *c;

		e.distance = ldexpf(e.distance, (int) e.exponent - 120);
		for (size_t i = 0; i < capacity; i++)
		{
			slopes[i] = (uint8_t) random_below(&random, 256);
			shifts[i] = (int16_t) ((int) random_below(&random, 4096) - 2048);
			sums[i] = (uint16_t) random_below(&random, 65536);
		}
		a = guarded_place(&memory_a, slopes, capacity, random_offset(&random, 1));
		b = guarded_place(&memory_b, shifts, capacity * sizeof(int16_t), random_offset(&random, 2));
		c = guarded_place(&memory_c, sums, capacity * sizeof(uint16_t), random_offset(&random, 2));
		for (size_t v = 0; v < n_variants; v++)
		{
			float out[200 + 8];

			variants[v].kernels.estimates(&e, a, b, c, n, out);
			for (size_t i = 0; i < n; i++)
			{
				/* Four bits of exponent, from that of the record on, and four of fraction. */
				double slope =
					slopes[i] < 16 && e.exponent == 0
						? ldexp(slopes[i] / 16.0, 1 - 127)
						: ldexp(1 + slopes[i] % 16 / 16.0, (int) e.exponent + slopes[i] / 16 - 127);
				double terms =
					fabs(e.base) + e.step * (double) sums[i] + fabs(e.unit * (double) shifts[i]);
				double want = e.distance - slope * (e.base + e.step * (double) sums[i] +
													e.unit * (double) shifts[i]);
				double slack = 4e-7 * (fabs(e.distance) + slope * terms) + FLT_MIN;

				failed[v] |= !(fabs(out[i] - want) <= slack) && fabs(want) < FLT_MAX / 2;
			}
		}
	}
	report("estimates are those of the formula");
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
	test_int12();
	test_plans();
	test_residual_signs();
	test_residual_code();
	test_residual_special();
	test_code_sums();
	test_code_sums_places();
	test_lut();
	test_lut_special();
	test_estimate();
	test_hadamard_rows();
	test_hadamard();
	test_multiply_signs();
	test_estimates();
	return tap_done();
}
