/*
 * test_code_bound.c
 *	  The bounds that a scan returns enclose the operator's value, for every
 *	  metric, own encoding, magnitude and instruction set: the executor raises an
 *	  error where a row's value is below what the index said, so not one may be.
 *
 * The operator's value is computed here as src/types/distance.c does.
 */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "code/bound.h"
#include "index_support.h"
#include "tap.h"

#define MAX_DIM 2000

static float vector[MAX_DIM];
static float other[MAX_DIM];
static float stored[MAX_DIM];
static OmendbHalf half_vector[MAX_DIM];
static OmendbHalf half_other[MAX_DIM];

/* ---------------------------------------------------------------- operators */

static bool
sum_is_sure(float sum)
{
	return fabsf(sum) <= FLT_MAX && fabsf(sum) >= 1e-26f;
}

static double
clamp(double cosine)
{
	return cosine > 1 ? 1 : cosine < -1 ? -1 : cosine;
}

static double
vector_operator(OmendbMetric metric, const float *a, const float *b, size_t n)
{
	float sum;
	OmendbCosine sums;

	switch (metric)
	{
		case OMENDB_METRIC_L2:
			sum = omendb_kernels.l2sq_f32(a, b, n);
			return sqrt(sum_is_sure(sum) ? sum : omendb_wide_l2sq_f32(a, b, n));
		case OMENDB_METRIC_IP:
			sum = omendb_kernels.dot_f32(a, b, n);
			return -(sum_is_sure(sum) ? sum : omendb_wide_dot_f32(a, b, n));
		case OMENDB_METRIC_COSINE:
			sums = omendb_kernels.cosine_f32(a, b, n);
			if (sum_is_sure(sums.norm2_a) && sum_is_sure(sums.norm2_b))
				return 1 - clamp(sums.dot / sqrt((double) sums.norm2_a * sums.norm2_b));
			return 1 - clamp(omendb_wide_dot_f32(a, b, n) /
							 sqrt(omendb_kernels.norm2_f32(a, n) * omendb_kernels.norm2_f32(b, n)));
		default:
			sum = omendb_kernels.l1_f32(a, b, n);
			return sum <= FLT_MAX ? sum : omendb_wide_l1_f32(a, b, n);
	}
}

static double
halfvec_operator(OmendbMetric metric, const OmendbHalf *a, const OmendbHalf *b, size_t n)
{
	OmendbCosine sums;

	switch (metric)
	{
		case OMENDB_METRIC_L2:
			return sqrt(omendb_kernels.l2sq_f16(a, b, n));
		case OMENDB_METRIC_IP:
			return -(double) omendb_kernels.dot_f16(a, b, n);
		case OMENDB_METRIC_COSINE:
			sums = omendb_kernels.cosine_f16(a, b, n);
			return 1 - clamp(sums.dot / sqrt((double) sums.norm2_a * sums.norm2_b));
		default:
			return omendb_kernels.l1_f16(a, b, n);
	}
}

/* ---------------------------------------------------------------- pairs */

typedef enum Shape
{
	SHAPE_NORMAL,
	SHAPE_EQUAL,       /* the query is the vector */
	SHAPE_NEAR,        /* and a few last places off */
	SHAPE_NEAR_SMALL,  /* and a little off */
	SHAPE_OFFSET,      /* far from the origin, near to each other */
	SHAPE_TAILS,       /* a few elements outweigh all others */
	SHAPE_CONSTANT,    /* plus or minus one number: int8 keeps it almost exactly */
	SHAPE_STEPS,       /* multiples of a number: no error of the encoding */
	SHAPE_ONE_HOT,     /* in one dimension */
	SHAPE_OPPOSITE,    /* the query is minus the vector */
	SHAPE_MULTIPLE,    /* the query is a multiple: cosine distance 0 */
	SHAPE_ORTHOGONAL,  /* the inner product cancels */
	SHAPE_ZERO_QUERY,  /* not under cosine */
	SHAPE_ZERO_VECTOR, /* not under cosine */
	SHAPE_INTEGERS,    /* both of small whole numbers: many ties */
} Shape;

#define SHAPES 15

static float
in_range(double x)
{
	return x > FLT_MAX ? FLT_MAX : x < -FLT_MAX ? -FLT_MAX : (float) x;
}

static void
make_pair(Random *random, Shape shape, double magnitude, double query_magnitude, size_t n)
{
	double offset = random_normal(random) * 1000;
	size_t hot = random_below(random, n);

	for (size_t i = 0; i < n; i++)
	{
		double v = random_normal(random);
		double q = random_normal(random);

		switch (shape)
		{
			case SHAPE_NORMAL:
			case SHAPE_ORTHOGONAL:
				break;
			case SHAPE_EQUAL:
			case SHAPE_NEAR:
			case SHAPE_MULTIPLE:
				q = v;
				break;
			case SHAPE_NEAR_SMALL:
				q = v + 1e-4 * q;
				break;
			case SHAPE_OFFSET:
				v = offset + 0.01 * v;
				q = offset + 0.01 * q;
				break;
			case SHAPE_TAILS:
				v = pow(10, 2 * v) * (random_below(random, 2) ? 1 : -1);
				q = random_below(random, 4) ? v : pow(10, 2 * q);
				break;
			case SHAPE_CONSTANT:
				v = random_below(random, 2) ? offset : -offset;
				q = v;
				break;
			case SHAPE_STEPS:
				v = (double) random_below(random, 255) - 127;
				v = i == hot ? 127 : v;
				q = v;
				break;
			case SHAPE_ONE_HOT:
				v = i == hot ? v : 0;
				break;
			case SHAPE_OPPOSITE:
				q = -v;
				break;
			case SHAPE_ZERO_QUERY:
				q = 0;
				break;
			case SHAPE_ZERO_VECTOR:
				v = 0;
				break;
			case SHAPE_INTEGERS:
				v = (double) random_below(random, 7) - 3;
				q = (double) random_below(random, 7) - 3;
				break;
		}
		vector[i] = in_range(v * magnitude);
		other[i] = in_range(
			q * (shape == SHAPE_NORMAL || shape == SHAPE_MULTIPLE || shape == SHAPE_ZERO_VECTOR
					 ? query_magnitude
					 : magnitude));
	}
	if (shape == SHAPE_NEAR || shape == SHAPE_CONSTANT || shape == SHAPE_STEPS)
		for (size_t turns = random_below(random, 4); turns-- > 0;)
		{
			size_t i = random_below(random, n);

			other[i] = nextafterf(other[i], random_below(random, 2) ? FLT_MAX : -FLT_MAX);
		}
	if (shape == SHAPE_ORTHOGONAL)
		for (size_t i = 0; i + 1 < n; i += 2)
		{
			other[i] = vector[i + 1];
			other[i + 1] = -vector[i];
		}
}

static bool
is_zero(const float *a, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (a[i] != 0)
			return false;
	return true;
}

/* ---------------------------------------------------------------- the property */

typedef struct Tally
{
	long pairs;
	long violations;
	long endless; /* that bound nothing */
	double closest;
	Shape closest_shape;
} Tally;

/* Half its room: where between the bounds the value lies, as -1 .. 1. */
static void
tally(Tally *to, double low, double value, double high, Shape shape, const char *what)
{
	double place;

	to->pairs++;
	if (!(low <= value && value <= high))
	{
		if (to->violations++ < 3)
			tap_diag("%s, shape %d: %.17g <= %.17g <= %.17g is false", what, shape, low, value,
					 high);
	}
	if (isinf(high))
	{
		to->endless++;
		return;
	}
	place = high > low ? fabs(2 * (value - low) / (high - low) - 1) : 0;
	/* Distances have an end at 0, which both may touch. */
	if (place > to->closest && low > 0)
	{
		to->closest = place;
		to->closest_shape = shape;
	}
}

typedef enum Span
{
	SPAN_USUAL, /* 1e-20 .. 1e18, as users may have */
	SPAN_ANY,   /* to the ends of float */
	SPAN_APART, /* the query huge, the vector tiny */
	SPAN_HALF,  /* of halfvec */
} Span;

static double
random_magnitude(Random *random, Span span)
{
	switch (span)
	{
		case SPAN_USUAL:
			return random_below(random, 3) ? pow(10, -20 + 38 * random_uniform(random))
										   : pow(10, -2 + 4 * random_uniform(random));
		case SPAN_ANY:
			return pow(10, -45 + 84 * random_uniform(random));
		case SPAN_APART:
			return pow(10, -45 + 30 * random_uniform(random));
		default:
			return pow(10, -8 + 13 * random_uniform(random));
	}
}

/* Codes have no part in it, so the shortest does. */
static void
test_floats(OmendbSimdLevel level, OmendbMetric metric, OmendbOwn own, Span span, long pairs)
{
	static const char *const spans[] = {"1e-20 to 1e18", "all of float", "far apart", "halfvec"};
	Random random = {100 * metric + 10 * own + span};
	Tally total = {0};

	omendb_kernels_use(level);
	while (total.pairs < pairs)
	{
		uint32_t least = omendb_own_is_packed(own) ? 64 : 1;
		uint32_t n = least + (uint32_t) random_below(
								 &random, random_below(&random, 3) ? MAX_DIM + 1 - least : 40);
		OmendbCodec *codec = codec_new(metric, own, n, 2, metric == OMENDB_METRIC_L1 ? 0 : 64);
		OmendbRecord *record = record_new(codec);
		OmendbQuery *query = query_new(codec);
		char what[100];

		snprintf(what, sizeof(what), "%s %s own %d, %u dimensions", omendb_level_name(level),
				 index_metric_name(metric), own, n);
		for (int shape = 0; shape < SHAPES; shape++)
		{
			double magnitude = random_magnitude(&random, span);
			double query_magnitude = span == SPAN_APART ? pow(10, 15 + 23 * random_uniform(&random))
									 : random_below(&random, 2) ? magnitude
																: random_magnitude(&random, span);
			double value, low, high;

			make_pair(&random, (Shape) shape, magnitude, query_magnitude, n);
			if (span == SPAN_HALF)
			{
				for (uint32_t i = 0; i < n; i++)
				{
					half_vector[i] = reference_double_to_half(fmax(-65504, fmin(65504, vector[i])));
					half_other[i] = reference_double_to_half(fmax(-65504, fmin(65504, other[i])));
				}
				reference_widen(half_vector, vector, n);
				reference_widen(half_other, other, n);
			}
			if (metric == OMENDB_METRIC_COSINE && (is_zero(vector, n) || is_zero(other, n)))
				continue;
			value = span == SPAN_HALF ? halfvec_operator(metric, half_other, half_vector, n)
									  : vector_operator(metric, other, vector, n);
			if (!omendb_codec_store(codec, vector, stored) || !omendb_query_set(query, other))
			{
				total.violations++;
				continue;
			}
			omendb_own_encode(codec, stored, record);
			low = omendb_lower_bound(query, omendb_query_distance(query, record), record->error,
									 record->norm2, &high);
			tally(&total, low, value, high, (Shape) shape, what);
		}
		query_free(query);
		free(record);
		codec_free(codec);
	}
	tap_diag("%s %s %s %s: %ld pairs, %ld unbounded, the nearest to a bound at %.3f (shape %d)",
			 omendb_level_name(level), index_metric_name(metric), own_name(own), spans[span],
			 total.pairs, total.endless, total.closest, total.closest_shape);
	tap_result(total.violations == 0 &&
				   (span == SPAN_ANY || span == SPAN_APART || total.endless * 10 < total.pairs),
			   "%s: %s between its bounds, %s, %s", omendb_level_name(level),
			   index_metric_name(metric), own_name(own), spans[span]);
}

/* Order is certain for unequal fractions: their intervals must not meet. */
static void
test_bits(OmendbSimdLevel level, OmendbMetric metric)
{
	Random random = {7};
	Tally total = {0};
	bool apart = true;

	omendb_kernels_use(level);
	while (total.pairs < 3000)
	{
		uint32_t n = 1 + (uint32_t) random_below(&random, random_below(&random, 2) ? 64 : 6000);
		OmendbCodec *codec = codec_new(metric, OMENDB_OWN_BITS, n, 2, 0);
		OmendbQuery *query = query_new(codec);
		OmendbRecord *record = record_new(codec);
		uint8_t a[750], b[750];
		double share = random_uniform(&random);
		double last_high = -1, last_value = -1;

		for (int turn = 0; turn < 10; turn++)
		{
			double value, low, high;
			uint64_t differ = 0, both = 0, either = 0;

			memset(a, 0, sizeof(a));
			memset(b, 0, sizeof(b));
			for (uint32_t i = 0; i < n; i++)
			{
				int x = random_uniform(&random) < share;
				int y = random_below(&random, 50) ? x : !x;

				a[i / 8] |= x << (7 - i % 8);
				b[i / 8] |= y << (7 - i % 8);
				differ += x != y;
				both += x && y;
				either += x || y;
			}
			value = metric == OMENDB_METRIC_HAMMING ? (double) differ
					: both == 0                     ? 1
													: 1 - (double) both / (double) either;
			omendb_own_encode_bits(codec, a, record);
			omendb_query_set_bits(query, b);
			low = omendb_lower_bound(query, omendb_query_distance(query, record), record->error,
									 record->norm2, &high);
			tally(&total, low, value, high, SHAPE_NORMAL, index_metric_name(metric));
			if (n < 2048 && value > last_value && low <= last_high && last_value >= 0)
				apart = false;
			last_high = high;
			last_value = value;
		}
		query_free(query);
		free(record);
		codec_free(codec);
	}
	tap_result(total.violations == 0, "%s: %s between its bounds", omendb_level_name(level),
			   index_metric_name(metric));
	tap_result(apart, "%s: the bounds of unequal %s do not meet below 2048 bits",
			   omendb_level_name(level), index_metric_name(metric));
}

/* The nearest fractions that bits below 2048 have: 1 / (2047 * 2046) apart. */
static void
test_fractions(void)
{
	OmendbCodec *codec = codec_new(OMENDB_METRIC_JACCARD, OMENDB_OWN_BITS, 2047, 2, 0);
	OmendbQuery *query = query_new(codec);
	bool enclosed = true;
	bool apart = true;

	for (uint32_t both = 1; both < 2046; both++)
	{
		/* 1 - both / 2046 > 1 - (both + 1) / 2047, by (2046 - both) / (2046 * 2047) */
		double more = 1 - both / 2046.0;
		double less = 1 - (both + 1) / 2047.0;
		double high_more, high_less;
		double low_more = omendb_lower_bound(query, (float) more, 0, 0, &high_more);
		double low_less = omendb_lower_bound(query, (float) less, 0, 0, &high_less);

		enclosed = enclosed && low_more <= more && more <= high_more && low_less <= less &&
				   less <= high_less;
		apart = apart && high_less < low_more;
	}
	tap_result(enclosed, "Jaccard: the fractions that lie closest are enclosed");
	tap_result(apart, "Jaccard: and their bounds do not meet");
	query_free(query);
	codec_free(codec);
}

/* Intervals so wide that all rows are rechecked would pass the tests above. */
static void
test_width(OmendbMetric metric, OmendbOwn own, double most)
{
	OmendbCodec *codec = codec_new(metric, own, 384, 16, metric == OMENDB_METRIC_L1 ? 0 : 384);
	OmendbRecord *record = record_new(codec);
	OmendbQuery *query = query_new(codec);
	Random random = {11};
	double widest = 0;

	for (int turn = 0; turn < 300; turn++)
	{
		double norm_v = 0, norm_q = 0, low, high;

		for (int i = 0; i < 384; i++)
		{
			vector[i] = (float) random_normal(&random);
			other[i] = (float) (vector[i] + (turn % 3 ? 1 : 0.2) * random_normal(&random));
			norm_v += (double) vector[i] * vector[i];
			norm_q += (double) other[i] * other[i];
		}
		for (int i = 0; i < 384; i++)
		{
			vector[i] /= (float) sqrt(norm_v);
			other[i] /= (float) sqrt(norm_q);
		}
		omendb_codec_store(codec, vector, stored);
		omendb_own_encode(codec, stored, record);
		omendb_query_set(query, other);
		low = omendb_lower_bound(query, omendb_query_distance(query, record), record->error,
								 record->norm2, &high);
		widest =
			fmax(widest, (high - low) / fabs(metric == OMENDB_METRIC_IP ? 1 : (high + low) / 2));
	}
	tap_diag("%s own %d: widest interval %.2e", index_metric_name(metric), own, widest);
	tap_result(widest < most, "%s: intervals of unit vectors are narrower than %g, %s",
			   index_metric_name(metric), most, own_name(own));
	query_free(query);
	free(record);
	codec_free(codec);
}

static void
test_overflow(void)
{
	OmendbCodec *codec = codec_new(OMENDB_METRIC_IP, OMENDB_OWN_INT16, 4, 2, 64);
	OmendbQuery *query = query_new(codec);
	float x[4] = {1, 2, 3, 4};
	double high;
	bool good;

	omendb_query_set(query, x);
	good = omendb_lower_bound(query, NAN, 0, 1, &high) == -INFINITY && high == INFINITY;
	good =
		good && omendb_lower_bound(query, INFINITY, 0, 1, &high) == -INFINITY && high == INFINITY;
	good =
		good && omendb_lower_bound(query, -1, INFINITY, 1, &high) == -INFINITY && high == INFINITY;
	good =
		good && omendb_lower_bound(query, -1, 0, INFINITY, &high) == -INFINITY && high == INFINITY;
	tap_result(good, "inner product: what overflowed bounds nothing");
	query_free(query);
	codec_free(codec);

	codec = codec_new(OMENDB_METRIC_L2, OMENDB_OWN_INT16, 4, 2, 64);
	query = query_new(codec);
	omendb_query_set(query, x);
	good = omendb_lower_bound(query, NAN, 0, 1, &high) == 0 && high == INFINITY;
	good = good && omendb_lower_bound(query, INFINITY, 0, 1, &high) == 0 && high == INFINITY;
	good = good && omendb_lower_bound(query, 1, INFINITY, 1, &high) == 0 && high == INFINITY;
	good = good && omendb_lower_bound(query, 1, 0, INFINITY, &high) == 0 && high == INFINITY;
	tap_result(good, "L2: what overflowed bounds nothing");
	query_free(query);
	codec_free(codec);
}

/* An argument: so many times the pairs. */
int
main(int argc, char **argv)
{
	long times = argc > 1 ? atol(argv[1]) : 1;
	static const OmendbMetric metrics[] = {OMENDB_METRIC_L2, OMENDB_METRIC_IP, OMENDB_METRIC_COSINE,
										   OMENDB_METRIC_L1};
	OmendbSimdLevel levels[OMENDB_SIMD_LEVELS];
	size_t nlevels = simd_levels(levels);

	for (size_t i = 0; i < nlevels; i++)
	{
		for (size_t k = 0; k < LENGTH(metrics); k++)
			for
				OWN_KINDS(own)
				{
					if (!own_serves((OmendbOwn) own, metrics[k]))
						continue;
					test_floats(levels[i], metrics[k], (OmendbOwn) own, SPAN_USUAL, 2000 * times);
					test_floats(levels[i], metrics[k], (OmendbOwn) own, SPAN_ANY, 1000 * times);
					if (metrics[k] != OMENDB_METRIC_COSINE)
						test_floats(levels[i], metrics[k], (OmendbOwn) own, SPAN_APART,
									1000 * times);
					test_floats(levels[i], metrics[k], (OmendbOwn) own, SPAN_HALF, 1000 * times);
				}
		test_bits(levels[i], OMENDB_METRIC_HAMMING);
		test_bits(levels[i], OMENDB_METRIC_JACCARD);
	}
	test_fractions();
	test_width(OMENDB_METRIC_L2, OMENDB_OWN_INT16, 1e-3);
	test_width(OMENDB_METRIC_IP, OMENDB_OWN_INT16, 1e-3);
	test_width(OMENDB_METRIC_COSINE, OMENDB_OWN_INT16, 1e-2);
	test_width(OMENDB_METRIC_IP, OMENDB_OWN_INT4, 0.3);
	test_width(OMENDB_METRIC_IP, OMENDB_OWN_INT2, 0.8);
	test_width(OMENDB_METRIC_L1, OMENDB_OWN_HALF, 1e-2);
	test_width(OMENDB_METRIC_L2, OMENDB_OWN_INT8, 0.2);
	test_width(OMENDB_METRIC_COSINE, OMENDB_OWN_INT8, 0.4);
	test_width(OMENDB_METRIC_L1, OMENDB_OWN_INT8, 0.2);
	test_overflow();
	return tap_done();
}
