/*
 * test_code_codec.c
 *	  Own vectors in records: what they keep, the error they admit to, and the
 *	  distances between them and to queries. Estimates: test_code_estimate.c.
 */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "index_support.h"
#include "tap.h"

#define MAX_DIM 1600

static const OmendbMetric float_metrics[] = {OMENDB_METRIC_L2, OMENDB_METRIC_IP,
											 OMENDB_METRIC_COSINE, OMENDB_METRIC_L1};

static float x[MAX_DIM];
static float y[MAX_DIM];
static double kept_x[MAX_DIM];
static double kept_y[MAX_DIM];

static uint32_t
bits_for(OmendbMetric metric)
{
	return metric == OMENDB_METRIC_L1 ? 0 : 64;
}

/* Packed vectors have a whole block at least. */
static uint32_t
dimensions(Random *random, OmendbOwn own, int turn)
{
	uint32_t least = omendb_own_is_packed(own) ? 64 : 1;

	return least + (uint32_t) random_below(random, (turn % 4 ? 130 : MAX_DIM) + 1 - least);
}

/* Of the metric's norm: of a - b, b may be NULL. */
static double
norm(OmendbMetric metric, const float *a, const double *b, size_t n)
{
	double l1 = 0;
	double l2 = 0;

	for (size_t i = 0; i < n; i++)
	{
		double d = b ? a[i] - b[i] : a[i];

		l1 += fabs(d);
		l2 += d * d;
	}
	return metric == OMENDB_METRIC_L1 ? l1 : sqrt(l2);
}

/* ---------------------------------------------------------------- encoding */

static bool
is_rounded(const float *a, const double *b, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (a[i] != (float) b[i])
			return false;
	return true;
}

/*
 * Over magnitudes: error is a bound and not much more, the scale keeps the
 * largest element as well as the encoding can, decoding gives what is kept.
 */
static void
test_encoding(OmendbMetric metric, OmendbOwn own)
{
	static const Distribution distributions[] = {DIST_NORMAL,  DIST_UNIFORM,  DIST_MIXED,
												 DIST_ONE_HOT, DIST_CONSTANT, DIST_INTEGER};
	Random random = {metric * 10 + own};
	bool rounds =
		metric == OMENDB_METRIC_L1 ||
		((own == OMENDB_OWN_INT16 || own == OMENDB_OWN_INT12) && metric != OMENDB_METRIC_IP);
	bool bound = true, tight = true, fine = true, scale = true, norm2 = true, decoded = true;
	bool padded = true;

	for (int turn = 0; turn < 1200; turn++)
	{
		uint32_t n = dimensions(&random, own, turn);
		double magnitude = pow(10, -38 + 76 * random_uniform(&random));
		OmendbCodec *codec = codec_new(metric, own, n, 2, bits_for(metric));
		OmendbRecord *record = record_new(codec);
		float *back = malloc(n * sizeof(float));
		double error, length, largest = 0, kept2 = 0;
		int exponent;

		random_floats(&random, distributions[turn % LENGTH(distributions)], y, n);
		if (turn % 3 == 0)
			magnitude = 1;
		for (uint32_t i = 0; i < n; i++)
		{
			x[i] = (float) fmax(-3.4e38, fmin(3.4e38, y[i] * magnitude));
			if (fabsf(x[i]) > largest)
				largest = fabsf(x[i]);
		}
		memset(omendb_record_own(record), 0xEE, codec->layout.neighbours_offset - 64);
		omendb_own_encode(codec, x, record);
		own_reference(codec, record, kept_x);
		error = norm(metric, x, kept_x, n);
		length = norm(metric, x, NULL, n);
		for (uint32_t i = 0; i < n; i++)
			kept2 += kept_x[i] * kept_x[i];

		/* What counts is what is decoded: a rounding to float of each element. */
		if (rounds)
			error -= length * FLT_EPSILON;
		bound = bound && record->error >= error;
		if (rounds)
			error += 2 * length * FLT_EPSILON;
		/* An error near the end of float is infinite. */
		if (error < FLT_MAX / 2.1)
			tight = tight && record->error <= error * (1 + 3e-7) + 2 * FLT_TRUE_MIN;
		norm2 = norm2 && (kept2 > FLT_MAX ? record->norm2 >= FLT_MAX
										  : fabs(record->norm2 - kept2) <=
												2 * kept2 * FLT_EPSILON + FLT_TRUE_MIN);
		scale = scale && isfinite(record->scale) &&
				(record->scale > 0 || (omendb_own_is_packed(own) && largest < 1e-36));
		if (own == OMENDB_OWN_HALF)
		{
			/* 2^-11 of each, or 2^-25 of the scale */
			double each = metric == OMENDB_METRIC_L1 ? n : sqrt(n);

			fine = fine && record->error <= length * 0x1p-11 * 1.001 + each * largest * 0x1p-18;
			scale = scale && frexp(record->scale, &exponent) == 0.5;
			scale = scale && (largest >= 0x1p15  ? record->scale > 1
							  : largest < 0x1p-7 ? record->scale < 1 || largest == 0
												 : record->scale == 1);
		}
		else if (largest > 5e-34 && error < FLT_MAX / 2.1)
		{
			/* Half the distance of two levels; of many normal values .11 and .35 packed. */
			double levels = own == OMENDB_OWN_INT16   ? 65533
							: own == OMENDB_OWN_INT12 ? 4093.9
							: own == OMENDB_OWN_INT8  ? 253.9
							: own == OMENDB_OWN_INT4  ? 14.99
													  : 2.99;

			fine = fine &&
				   record->error <= (metric == OMENDB_METRIC_L1 ? n : sqrt(n)) * largest / levels;
			if (omendb_own_is_packed(own) && metric == OMENDB_METRIC_L2 && n > 1000 &&
				distributions[turn % LENGTH(distributions)] == DIST_NORMAL)
				fine = fine && record->error <= length * (own == OMENDB_OWN_INT4 ? 0.14 : 0.42);
		}
		else if (largest <= 5e-34)
			fine = fine && record->error <= length * (1 + 3e-7) + FLT_TRUE_MIN;

		omendb_own_decode(codec, record, back);
		decoded = decoded && is_rounded(back, kept_x, n);
		for (uint32_t i = codec->layout.own_bytes; i < codec->layout.neighbours_offset - 64; i++)
			if (omendb_record_own(record)[i] != 0)
				padded = false;
		if (!bound || !tight || !fine || !scale || !norm2 || !decoded)
		{
			tap_diag("%u dimensions of magnitude %g: error %g, said to be %g, length %g, scale %g",
					 n, magnitude, norm(metric, x, kept_x, n), record->error, length,
					 record->scale);
			turn = 10000;
		}
		free(back);
		free(record);
		codec_free(codec);
	}
	tap_result(bound, "%s %s: error is an upper bound", index_metric_name(metric), own_name(own));
	tap_result(tight, "%s %s: and nothing above it", index_metric_name(metric), own_name(own));
	tap_result(fine, "%s %s: error is what the encoding must have at every magnitude",
			   index_metric_name(metric), own_name(own));
	tap_result(scale, "%s %s: scale is sane", index_metric_name(metric), own_name(own));
	tap_result(norm2, "%s %s: norm2 is that of what is kept", index_metric_name(metric),
			   own_name(own));
	tap_result(decoded, "%s %s: decoding gives what is kept", index_metric_name(metric),
			   own_name(own));
	tap_result(padded, "%s %s: padding is zeroed", index_metric_name(metric), own_name(own));
}

/* Zeros, the ends of float, and what rotation of large numbers may leave. */
static void
test_extremes(OmendbMetric metric, OmendbOwn own)
{
	OmendbCodec *codec = codec_new(metric, own, 5, 2, bits_for(metric));
	OmendbRecord *record = record_new(codec);
	float back[5];
	bool good = true;
	static const float zeros[5] = {0, -0.0f, 0, 0, 0};
	static const float largest[5] = {3.4e38f, -3.4e38f, 1.7e38f, 0, 1};
	static const float smallest[5] = {FLT_TRUE_MIN, -FLT_TRUE_MIN, 0, 2 * FLT_TRUE_MIN, 0};
	static const float infinite[5] = {INFINITY, 1, -INFINITY, 0, 2};
	static const float nan_too[5] = {NAN, 1, 1, 1, 1};

	omendb_own_encode(codec, zeros, record);
	omendb_own_decode(codec, record, back);
	for (int i = 0; i < 5; i++)
		good = good && back[i] == 0;
	tap_result(good && record->error == 0 && record->norm2 == 0 && record->scale == 1,
			   "%s: zeros are kept exactly", own_name(own));

	omendb_own_encode(codec, largest, record);
	omendb_own_decode(codec, record, back);
	tap_result(isfinite(record->scale) && fabs(back[0] / 3.4e38 - 1.0) < 1.0 / 250 &&
				   fabs(back[1] / 3.4e38 + 1.0) < 1.0 / 250 &&
				   fabs(back[2] / 3.4e38 - 0.5) < 1.0 / 250 && record->error < FLT_MAX / 20,
			   "%s: the largest floats are kept", own_name(own));

	omendb_own_encode(codec, smallest, record);
	omendb_own_decode(codec, record, back);
	tap_result(record->scale > 0 && fabsf(back[0]) <= 2 * FLT_TRUE_MIN &&
				   fabsf(back[3]) <= 2 * FLT_TRUE_MIN && record->error <= 8 * FLT_TRUE_MIN &&
				   record->norm2 == 0,
			   "%s: so are the smallest, as far as they can be", own_name(own));

	omendb_own_encode(codec, infinite, record);
	tap_result(isinf(record->error) && record->error > 0 && isfinite(record->scale),
			   "%s: infinities have an infinite error", own_name(own));
	omendb_own_encode(codec, nan_too, record);
	tap_result(isinf(record->error) && record->error > 0 && isfinite(record->scale),
			   "%s: NaN has an infinite error", own_name(own));
	free(record);
	codec_free(codec);
}

static void
test_packed_extremes(OmendbOwn own)
{
	OmendbCodec *codec = codec_new(OMENDB_METRIC_L2, own, 64, 2, 64);
	OmendbRecord *record = record_new(codec);
	float back[64];
	bool good = true;

	memset(x, 0, 64 * sizeof(float));
	omendb_own_encode(codec, x, record);
	omendb_own_decode(codec, record, back);
	for (int i = 0; i < 64; i++)
		good = good && back[i] == 0;
	tap_result(good && record->error == 0 && record->norm2 == 0, "%s: zeros are kept exactly",
			   own_name(own));

	x[3] = 1e-40f;
	omendb_own_encode(codec, x, record);
	tap_result(record->error >= 1e-40f && record->error < 2e-40f,
			   "%s: what is too small is taken for zero", own_name(own));

	for (int i = 0; i < 64; i++)
		x[i] = i % 2 ? 3e37f : -3e37f;
	omendb_own_encode(codec, x, record);
	tap_result(isfinite(record->scale) && record->error < 1e37f, "%s: large elements are kept",
			   own_name(own));
	x[5] = INFINITY;
	omendb_own_encode(codec, x, record);
	good = isinf(record->error) && isfinite(record->scale);
	x[5] = NAN;
	omendb_own_encode(codec, x, record);
	tap_result(good && isinf(record->error) && isfinite(record->scale),
			   "%s: infinities and NaN have an infinite error", own_name(own));
	free(record);
	codec_free(codec);
}

static void
test_store(void)
{
	OmendbCodec *codec = codec_new(OMENDB_METRIC_COSINE, OMENDB_OWN_INT16, 100, 2, 64);
	Random random = {3};
	float stored[100], again[100];
	float zero[100] = {0};
	double length = 0;
	bool same = true;

	tap_result(!omendb_codec_store(codec, zero, stored), "cosine: zero has no direction");
	random_floats(&random, DIST_NORMAL, x, 100);
	for (int i = 0; i < 100; i++)
	{
		x[i] *= 1e-30f;
		y[i] = x[i] * 1e25f;
	}
	omendb_codec_store(codec, x, stored);
	omendb_codec_store(codec, y, again);
	for (int i = 0; i < 100; i++)
	{
		length += (double) stored[i] * stored[i];
		same = same && fabsf(stored[i] - again[i]) < 1e-6;
	}
	tap_result(fabs(length - 1) < 1e-5 && same, "cosine: vectors are stored with length 1");
	omendb_codec_store(codec, x, x);
	tap_result(memcmp(x, stored, sizeof(stored)) == 0, "a vector may be stored in its own place");
	codec_free(codec);

	codec = codec_new(OMENDB_METRIC_L1, OMENDB_OWN_HALF, 100, 2, 0);
	tap_result(omendb_codec_store(codec, y, stored) && memcmp(y, stored, sizeof(stored)) == 0,
			   "L1: vectors are stored as given");
	codec_free(codec);
}

/* Indexes on disk depend on which rotation is whose. */
static void
test_rotations(void)
{
	OmendbCodec *codec = codec_new(OMENDB_METRIC_L2, OMENDB_OWN_INT16, 50, 2, 256);
	OmendbRotation rotation;
	Random random = {8};
	float stored[50], code[64 + OMENDB_PLAN_SLACK], want[64] = {0};
	bool good;

	random_floats(&random, DIST_NORMAL, x, 50);
	memcpy(want, x, sizeof(stored));
	omendb_rotation_init(&rotation, 50, 42, malloc(omendb_rotation_bytes(50)));
	omendb_rotate(&rotation, want);
	free(rotation.signs);
	omendb_codec_store(codec, x, stored);
	good = memcmp(stored, want, sizeof(stored)) == 0;
	/* 256 bits are 64 groups. */
	omendb_rotation_init(&rotation, 64, ~UINT64_C(42), malloc(omendb_rotation_bytes(64)));
	omendb_rotate(&rotation, want);
	free(rotation.signs);
	tap_result(good && omendb_code_floats(codec) == 64 &&
				   omendb_code_vector(codec, stored, code) == code &&
				   memcmp(code, want, sizeof(want)) == 0,
			   "stored space and code space are the seed's");
	codec_free(codec);

	codec = codec_new(OMENDB_METRIC_L2, OMENDB_OWN_INT16, 64, 2, 256);
	tap_result(omendb_code_floats(codec) == 64 && omendb_code_vector(codec, want, code) == want,
			   "a code of no more groups than the vector has elements is of the vector itself");
	codec_free(codec);
}

/* ---------------------------------------------------------------- distances */

/* In double, between what is kept or given; *scale: what rounding is relative to. */
static double
reference(OmendbMetric metric, const double *a, const double *b, size_t n, double *scale)
{
	double l2 = 0, l1 = 0, dot = 0, magnitude = 0;

	for (size_t i = 0; i < n; i++)
	{
		l2 += (a[i] - b[i]) * (a[i] - b[i]);
		l1 += fabs(a[i] - b[i]);
		dot += a[i] * b[i];
		magnitude += a[i] * a[i] + b[i] * b[i];
	}
	*scale = magnitude;
	if (metric == OMENDB_METRIC_L1)
		*scale = sqrt(magnitude * n);
	return metric == OMENDB_METRIC_IP ? -dot : metric == OMENDB_METRIC_L1 ? l1 : l2;
}

/* True if unpacked own vectors give the same distance and the same elements; or if none are unpacked. */
static bool
same_when_unpacked(const OmendbCodec *codec, const OmendbRecord *a, const OmendbRecord *b,
				   float distance)
{
	const OmendbLayout *layout = &codec->layout;
	size_t bytes = omendb_own_unpacked_bytes(layout);
	size_t floats = layout->dimensions * sizeof(float);
	void *unpacked_a;
	void *unpacked_b;
	float *decoded;
	float *again;
	bool good;

	if (bytes == 0)
		return layout->own != OMENDB_OWN_INT12;
	unpacked_a = malloc(bytes);
	unpacked_b = malloc(bytes);
	decoded = malloc(floats);
	again = malloc(floats);
	omendb_own_unpack_record(layout, a, unpacked_a);
	omendb_own_unpack_record(layout, b, unpacked_b);
	omendb_own_decode(codec, b, decoded);
	omendb_own_decode_unpacked(codec, b, unpacked_b, again);
	good = omendb_own_distance_unpacked(codec, a, unpacked_a, b, unpacked_b) == distance &&
		   memcmp(decoded, again, floats) == 0;
	free(unpacked_a);
	free(unpacked_b);
	free(decoded);
	free(again);
	return good;
}

static void
test_distances(OmendbSimdLevel level, OmendbMetric metric, OmendbOwn own)
{
	Random random = {metric + 100};
	bool own_good = true, query_good = true, symmetric = true, recalled = true, norms = true;
	bool equal = true, unpacked = true;

	omendb_kernels_use(level);
	for (int turn = 0; turn < 250; turn++)
	{
		uint32_t n = dimensions(&random, own, turn);
		OmendbCodec *codec = codec_new(metric, own, n, 2, bits_for(metric));
		OmendbRecord *a = record_new(codec), *b = record_new(codec);
		OmendbQuery *query = query_new(codec);
		float *stored = malloc(n * sizeof(float));
		float *scratch = malloc(2 * n * sizeof(float));
		/* Of one magnitude, or such that the records' scales differ. */
		double magnitude_a = turn % 3 ? 1 : pow(10, -9 + 18 * random_uniform(&random));
		double magnitude_b = turn % 2 ? magnitude_a : pow(10, -9 + 18 * random_uniform(&random));
		double want, scale, slack, got;

		for (uint32_t i = 0; i < n; i++)
		{
			x[i] = (float) (random_normal(&random) * magnitude_a);
			y[i] = turn % 5 ? (float) (random_normal(&random) * magnitude_b)
							: x[i] * (1 + 0.01f * (float) random_uniform(&random));
		}
		omendb_codec_store(codec, x, stored);
		omendb_own_encode(codec, stored, a);
		omendb_codec_store(codec, y, stored);
		omendb_own_encode(codec, stored, b);
		own_reference(codec, a, kept_x);
		own_reference(codec, b, kept_y);
		want = reference(metric, kept_x, kept_y, n, &scale);
		slack = (n + 16) * FLT_EPSILON * scale;
		got = omendb_own_distance(codec, a, b, scratch);
		own_good = own_good && fabs(got - want) <= slack;
		/* Where terms have one sign, and are not the difference of others, relative to the sum. */
		if (own == OMENDB_OWN_HALF && a->scale == b->scale)
			own_good = own_good && fabs(got - want) <= (n + 16) * FLT_EPSILON * want;
		symmetric = symmetric && got == omendb_own_distance(codec, b, a, scratch);
		unpacked = unpacked && same_when_unpacked(codec, a, b, (float) got);
		if (metric != OMENDB_METRIC_IP)
			symmetric = symmetric && got >= 0;
		equal = equal && omendb_own_equal(codec, a, a) &&
				(turn % 5 == 0 || !omendb_own_equal(codec, a, b));

		/* The query as given, in stored space. */
		omendb_query_set(query, y);
		for (uint32_t i = 0; i < n; i++)
			kept_y[i] = query->stored[i];
		want = reference(metric, kept_x, kept_y, n, &scale);
		slack = (n + 16) * FLT_EPSILON * scale;
		got = omendb_query_distance(query, a);
		query_good = query_good && fabs(got - want) <= slack;
		if (own == OMENDB_OWN_HALF && metric != OMENDB_METRIC_IP)
			query_good = query_good && fabs(got - want) <= (n + 16) * FLT_EPSILON * want;
		norms = norms &&
				fabs(query->norm - norm(OMENDB_METRIC_L2, y, NULL, n)) <= 1e-12 * query->norm &&
				memcmp(query->stored, stored, n * sizeof(float)) == 0;
		omendb_query_set_stored(query, stored);
		query_good = query_good && got == omendb_query_distance(query, a);

		/* The query as another record has it. */
		omendb_query_set_record(query, b);
		own_reference(codec, b, kept_y);
		want = reference(metric, kept_x, kept_y, n, &scale);
		slack = (n + 16) * FLT_EPSILON * scale;
		recalled = recalled && fabs(omendb_query_distance(query, a) - want) <= slack;

		free(stored);
		free(scratch);
		query_free(query);
		free(a);
		free(b);
		codec_free(codec);
	}
	tap_result(own_good, "%s, %s %s: distances between records", omendb_level_name(level),
			   index_metric_name(metric), own_name(own));
	tap_result(symmetric, "%s, %s %s: are the same both ways", omendb_level_name(level),
			   index_metric_name(metric), own_name(own));
	tap_result(unpacked, "%s, %s %s: distances of unpacked own vectors", omendb_level_name(level),
			   index_metric_name(metric), own_name(own));
	tap_result(query_good, "%s, %s %s: distances to a query", omendb_level_name(level),
			   index_metric_name(metric), own_name(own));
	tap_result(recalled, "%s, %s %s: distances to a record as the query", omendb_level_name(level),
			   index_metric_name(metric), own_name(own));
	tap_result(norms, "%s, %s %s: a query knows its length", omendb_level_name(level),
			   index_metric_name(metric), own_name(own));
	tap_result(equal, "%s, %s %s: equality of own vectors", omendb_level_name(level),
			   index_metric_name(metric), own_name(own));
}

/* Lengths whose squares are floats but whose sum is not; and some that are not even that. */
static void
test_overflow(OmendbOwn own)
{
	OmendbCodec *codec = codec_new(OMENDB_METRIC_L2, own, 4, 2, 64);
	OmendbRecord *a = record_new(codec), *b = record_new(codec);
	OmendbQuery *query = query_new(codec);
	float large[4] = {8e18f, 8e18f, -8e18f, 8e18f};
	float near[4] = {8e18f, 8e18f, -8e18f, 7.4e18f};
	float larger[4] = {3e20f, 1e20f, 1e20f, 1e20f};
	float scratch[8];

	omendb_own_encode(codec, large, a);
	omendb_own_encode(codec, near, b);
	omendb_query_set_stored(query, near);
	tap_result(fabs(omendb_query_distance(query, a) / 3.6e35 - 1) < 0.3 &&
				   fabs(omendb_own_distance(codec, a, b, scratch) / 3.6e35 - 1) < 0.3,
			   "%s: L2 between large vectors", own_name(own));
	omendb_own_encode(codec, larger, b);
	omendb_query_set_stored(query, larger);
	tap_result(omendb_query_distance(query, a) == INFINITY &&
				   omendb_own_distance(codec, a, b, scratch) == INFINITY,
			   "%s: L2 that no float holds is infinite", own_name(own));
	if (own == OMENDB_OWN_INT8)
		tap_result(omendb_query_distance(query, b) == INFINITY &&
					   omendb_own_distance(codec, b, b, scratch) == INFINITY,
				   "%s: an unknown distance is not a near one", own_name(own));
	free(a);
	free(b);
	query_free(query);
	codec_free(codec);
}

static void
test_bits(OmendbMetric metric)
{
	Random random = {9};
	bool good = true;

	for (int turn = 0; turn < 400; turn++)
	{
		uint32_t n = 1 + (uint32_t) random_below(&random, turn % 4 ? 130 : 4000);
		OmendbCodec *codec = codec_new(metric, OMENDB_OWN_BITS, n, 2, 0);
		OmendbRecord *a = record_new(codec), *b = record_new(codec);
		OmendbQuery *query = query_new(codec);
		size_t bytes = (n + 7) / 8;
		uint8_t *one = malloc(bytes), *two = malloc(bytes);
		BitReference want;
		float distance;

		random_bytes(&random, DIST_NORMAL, one, bytes);
		random_bytes(&random, turn % 7 ? DIST_NORMAL : DIST_ZERO, two, bytes);
		if (turn % 5 == 0)
			memcpy(two, one, bytes);
		want = reference_bits(one, two, bytes);
		distance = metric == OMENDB_METRIC_HAMMING ? (float) want.differ
				   : want.both == 0                ? 1
									: (float) (1 - (double) want.both / (double) want.either);
		memset(omendb_record_own(a), 0xEE, codec->layout.neighbours_offset - 64);
		omendb_own_encode_bits(codec, one, a);
		omendb_own_encode_bits(codec, two, b);
		omendb_query_set_bits(query, two);
		good = good && omendb_own_distance(codec, a, b, NULL) == distance &&
			   omendb_query_distance(query, a) == distance && a->error == 0 &&
			   omendb_own_equal(codec, a, b) == (memcmp(one, two, bytes) == 0) &&
			   memcmp(omendb_record_own(a), one, bytes) == 0;
		for (size_t i = bytes; i < (bytes + 7) / 8 * 8; i++)
			good = good && omendb_record_own(a)[i] == 0;
		omendb_query_set_record(query, a);
		good = good && omendb_query_distance(query, b) == distance;
		free(one);
		free(two);
		query_free(query);
		free(a);
		free(b);
		codec_free(codec);
	}
	tap_result(good, "%s: distances of bits are exact", index_metric_name(metric));
}

int
main(void)
{
	OmendbSimdLevel levels[OMENDB_SIMD_LEVELS];
	size_t nlevels = simd_levels(levels);

	omendb_kernels_use(levels[nlevels - 1]);
	for
		OWN_KINDS(own)
		{
			if (own_serves((OmendbOwn) own, OMENDB_METRIC_L2))
				test_encoding(OMENDB_METRIC_L2, (OmendbOwn) own);
			if (own_serves((OmendbOwn) own, OMENDB_METRIC_IP))
				test_encoding(OMENDB_METRIC_IP, (OmendbOwn) own);
			if (own_serves((OmendbOwn) own, OMENDB_METRIC_L1))
				test_encoding(OMENDB_METRIC_L1, (OmendbOwn) own);
		}
	test_extremes(OMENDB_METRIC_L1, OMENDB_OWN_HALF);
	test_extremes(OMENDB_METRIC_L1, OMENDB_OWN_INT8);
	test_extremes(OMENDB_METRIC_L2, OMENDB_OWN_INT16);
	test_packed_extremes(OMENDB_OWN_INT4);
	test_packed_extremes(OMENDB_OWN_INT2);
	test_overflow(OMENDB_OWN_INT16);
	test_overflow(OMENDB_OWN_INT8);
	test_store();
	test_rotations();
	for (size_t i = 0; i < nlevels; i++)
		for (size_t k = 0; k < LENGTH(float_metrics); k++)
			for
				OWN_KINDS(own)
	if (own_serves((OmendbOwn) own, float_metrics[k]))
		test_distances(levels[i], float_metrics[k], (OmendbOwn) own);
	test_bits(OMENDB_METRIC_HAMMING);
	test_bits(OMENDB_METRIC_JACCARD);
	return tap_done();
}
