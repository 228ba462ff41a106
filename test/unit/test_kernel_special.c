/*
 * test_kernel_special.c
 *	  NaN and infinities at every place of the operands: the distance kernels
 *	  give NaN or an infinity exactly where IEEE arithmetic in double does.
 */
#include <math.h>
#include <stdio.h>

#include "kernel_support.h"
#include "tap.h"

#define MAX_DIM 130

static const size_t dims[] = {1, 7, 8, 9, 15, 16, 17, 31, 33, 64, 100, MAX_DIM};

/* What is put at one place of a and of b. */
static const float specials[][2] = {
	{NAN, 1},
	{1, NAN},
	{NAN, NAN},
	{-NAN, NAN},
	{INFINITY, 1},
	{-INFINITY, 1},
	{1, INFINITY},
	{1, -INFINITY},
	{INFINITY, INFINITY},
	{INFINITY, 0},
	{-INFINITY, 0},
	{INFINITY, -INFINITY},
	{NAN, INFINITY},
	{-INFINITY, -2.5},
	{0, INFINITY},
	{-INFINITY, -INFINITY},
};

static const Variant *variants;
static size_t n_variants;
static Guarded memory_a;
static Guarded memory_b;
static bool failed[MAX_VARIANTS][METRICS];

/* Both NaN, or the same infinity, or both finite: how close is another test. */
static bool
same_class(float got, double want)
{
	if (isnan(want))
		return isnan(got);
	if (isinf(want))
		return isinf(got) && (got > 0) == (want > 0);
	return isfinite(got);
}

/* Calls all float kernels (halves: widened for the reference) on one pair. */
#define DEFINE_COMPARE(SUFFIX, TYPE)                                                      \
	static void compare_##SUFFIX(const TYPE *a, const TYPE *b, size_t n,                  \
								 const DenseReference *want)                              \
	{                                                                                     \
		for (size_t v = 0; v < n_variants; v++)                                           \
		{                                                                                 \
			const OmendbKernels *k = &variants[v].kernels;                                \
			OmendbCosine cosine = k->cosine_##SUFFIX(a, b, n);                            \
                                                                                          \
			failed[v][METRIC_L2SQ] |= !same_class(k->l2sq_##SUFFIX(a, b, n), want->l2sq); \
			failed[v][METRIC_DOT] |= !same_class(k->dot_##SUFFIX(a, b, n), want->dot);    \
			failed[v][METRIC_L1] |= !same_class(k->l1_##SUFFIX(a, b, n), want->l1);       \
			failed[v][METRIC_COSINE] |= !same_class(cosine.dot, want->dot) ||             \
										!same_class(cosine.norm2_a, want->norm2_a) ||     \
										!same_class(cosine.norm2_b, want->norm2_b);       \
		}                                                                                 \
	}

DEFINE_COMPARE(f32, float)
DEFINE_COMPARE(f16, OmendbHalf)

#undef DEFINE_COMPARE

static void
compare(const float *x, const float *y, size_t n, bool half)
{
	DenseReference want = reference_dense(x, y, n);
	OmendbHalf half_x[MAX_DIM];
	OmendbHalf half_y[MAX_DIM];

	if (!half)
	{
		const float *a = guarded_place(&memory_a, x, n * sizeof(float), PLACE_END);
		const float *b = guarded_place(&memory_b, y, n * sizeof(float), PLACE_END);

		compare_f32(a, b, n, &want);
		return;
	}
	for (size_t i = 0; i < n; i++)
	{
		half_x[i] = reference_double_to_half(x[i]);
		half_y[i] = reference_double_to_half(y[i]);
	}
	compare_f16(guarded_place(&memory_a, half_x, n * sizeof(OmendbHalf), PLACE_END),
				guarded_place(&memory_b, half_y, n * sizeof(OmendbHalf), PLACE_END), n, &want);
}

static void
test_type(bool half)
{
	Random random = {11};
	float x[MAX_DIM];
	float y[MAX_DIM];

	for (size_t d = 0; d < LENGTH(dims); d++)
		for (size_t place = 0; place < dims[d]; place++)
			for (size_t s = 0; s < LENGTH(specials); s++)
			{
				size_t n = dims[d];
				size_t other = random_below(&random, n);

				random_floats(&random, DIST_UNIFORM, x, n);
				random_floats(&random, DIST_NORMAL, y, n);
				x[place] = specials[s][0];
				y[place] = specials[s][1];
				compare(x, y, n, half);

				/* And a second one elsewhere, so that infinities meet in the sum. */
				if (other != place)
				{
					size_t t = random_below(&random, LENGTH(specials));

					x[other] = specials[t][0];
					y[other] = specials[t][1];
					compare(x, y, n, half);
				}
			}
	for (size_t v = 0; v < n_variants; v++)
		for (int m = 0; m < METRICS; m++)
		{
			tap_result(!failed[v][m], "%s: %s_%s with NaN and infinities", variants[v].name,
					   metric_name(m), half ? "f16" : "f32");
			failed[v][m] = false;
		}
}

int
main(void)
{
	variants = test_variants(&n_variants);
	memory_a = guarded_new(MAX_DIM * sizeof(float));
	memory_b = guarded_new(MAX_DIM * sizeof(float));

	test_type(false);
	test_type(true);
	return tap_done();
}
