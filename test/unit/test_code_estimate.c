/*
 * test_code_estimate.c
 *	  What a record's codes say of its neighbours: estimates are right on
 *	  average, better with more bits, and exact where the query is the node.
 *	  Statistics over fixed seeds; the limits are a bit above what was measured.
 */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "code/edge.h"
#include "index_support.h"
#include "tap.h"

#define MAX_DIM 1536

/* A node, its neighbours and a query, all through the codec. */
typedef struct Scene
{
	OmendbCodec *codec;
	OmendbRecord *node;
	OmendbRecord *neighbour; /* the one encoded last */
	OmendbQuery *query;
	float *stored;
	float *scratch;
	float *node_stored;
	float *node_code;
	float *other_stored;
	float *other_code;
} Scene;

static Scene
scene_new(OmendbMetric metric, OmendbOwn own, uint32_t n, uint32_t m, uint32_t bits)
{
	Scene scene;

	scene.codec = codec_new(metric, own, n, m, bits);
	scene.node = record_new(scene.codec);
	scene.neighbour = record_new(scene.codec);
	scene.query = query_new(scene.codec);
	scene.stored = calloc(n + OMENDB_PLAN_SLACK, sizeof(float));
	scene.scratch = malloc(2 * n * sizeof(float));
	scene.node_stored = calloc(n + OMENDB_PLAN_SLACK, sizeof(float));
	scene.other_stored = calloc(n + OMENDB_PLAN_SLACK, sizeof(float));
	scene.node_code = calloc(omendb_code_floats(scene.codec) + OMENDB_PLAN_SLACK, sizeof(float));
	scene.other_code = calloc(omendb_code_floats(scene.codec) + OMENDB_PLAN_SLACK, sizeof(float));
	return scene;
}

static void
scene_free(Scene *scene)
{
	free(scene->stored);
	free(scene->scratch);
	free(scene->node_stored);
	free(scene->other_stored);
	free(scene->node_code);
	free(scene->other_code);
	query_free(scene->query);
	free(scene->neighbour);
	free(scene->node);
	codec_free(scene->codec);
}

static void
set_node(Scene *scene, const float *v)
{
	omendb_codec_store(scene->codec, v, scene->stored);
	omendb_own_encode(scene->codec, scene->stored, scene->node);
	scene->node->count = 0;
}

static void
add_neighbour(Scene *scene, const float *x)
{
	const float *v_code, *x_code;

	omendb_codec_store(scene->codec, x, scene->stored);
	omendb_own_encode(scene->codec, scene->stored, scene->neighbour);
	omendb_own_decode(scene->codec, scene->node, scene->node_stored);
	omendb_own_decode(scene->codec, scene->neighbour, scene->other_stored);
	v_code = omendb_code_vector(scene->codec, scene->node_stored, scene->node_code);
	x_code = omendb_code_vector(scene->codec, scene->other_stored, scene->other_code);
	omendb_edge_encode(
		scene->codec, scene->node, scene->node->count, 1000 + scene->node->count, v_code, x_code,
		omendb_own_distance(scene->codec, scene->node, scene->neighbour, scene->scratch),
		scene->node->norm2, scene->neighbour->norm2);
	scene->node->count++;
}

typedef struct Quality
{
	double mean;     /* of the errors, in units of |r| |q - v| */
	double spread;   /* root of their mean square */
	double relative; /* mean of |error| / distance (L2 kinds) */
	long pairs;
} Quality;

/*
 * A node at `offset` from the origin; the query lies around it, and so do the
 * neighbours, but more on the query's side: what a factor that is wrong would
 * do to the mean then shows.
 */
static Quality
measure(OmendbMetric metric, OmendbOwn own, uint32_t n, uint32_t bits, double offset, int rounds)
{
	Scene scene = scene_new(metric, own, n, 16, bits);
	Random random = {n + bits};
	Quality quality = {0};
	static float v[MAX_DIM], x[MAX_DIM], q[MAX_DIM];
	static float xs[32][MAX_DIM];
	float *estimates = malloc(OMENDB_ESTIMATES_CAPACITY * sizeof(float));
	double *node = malloc(n * sizeof(double));
	double *kept = malloc(n * sizeof(double));

	for (int round = 0; round < rounds; round++)
	{
		float distance;

		for (uint32_t i = 0; i < n; i++)
			v[i] = (float) (offset + random_normal(&random));
		for (uint32_t i = 0; i < n; i++)
			q[i] = (float) (v[i] + random_normal(&random));
		set_node(&scene, v);
		own_reference(scene.codec, scene.node, node);
		for (int k = 0; k < 32; k++)
		{
			for (uint32_t i = 0; i < n; i++)
				x[i] = (float) (v[i] + 0.7 * random_normal(&random) + 0.5 * (q[i] - v[i]));
			memcpy(xs[k], x, n * sizeof(float));
			add_neighbour(&scene, x);
		}
		omendb_query_set(scene.query, q);
		distance = omendb_query_distance(scene.query, scene.node);
		omendb_query_estimates(scene.query, scene.node, distance, estimates);
		for (int k = 0; k < 32; k++)
		{
			double truth = 0, r = 0, u = 0, error;

			omendb_codec_store(scene.codec, xs[k], scene.stored);
			omendb_own_encode(scene.codec, scene.stored, scene.neighbour);
			own_reference(scene.codec, scene.neighbour, kept);
			for (uint32_t i = 0; i < n; i++)
			{
				double a = scene.query->stored[i];

				truth += metric == OMENDB_METRIC_IP ? -a * kept[i] : (a - kept[i]) * (a - kept[i]);
				r += (kept[i] - node[i]) * (kept[i] - node[i]);
				u += (a - node[i]) * (a - node[i]);
			}
			if (r * u == 0)
				continue;
			error = estimates[k] - truth;
			quality.relative += fabs(error) / fabs(truth);
			error /= sqrt(r * u);
			quality.mean += error;
			quality.spread += error * error;
			quality.pairs++;
		}
	}
	quality.mean /= quality.pairs;
	quality.spread = sqrt(quality.spread / quality.pairs);
	quality.relative /= quality.pairs;
	free(estimates);
	free(node);
	free(kept);
	scene_free(&scene);
	return quality;
}

/*
 * The theory: <r, u> / |r| |u| is estimated from codewords at a cosine c to r. The part of u
 * beside r, sin of the angle between them, meets what codewords have beside r, which is
 * sqrt(1 / c^2 - 1), in one of the n directions there are: the deviation is their product by
 * sqrt(n). (RaBitQ has the same for signs.) L2 takes twice that. Here the angle is about 55
 * degrees, whose sin is 0.82.
 */
static void
test_quality(OmendbMetric metric, OmendbOwn own, uint32_t n, uint32_t bits, double offset)
{
	Quality quality = measure(metric, own, n, bits, offset, 40);
	double factor = metric == OMENDB_METRIC_IP ? 1 : 2;
	OmendbCodePlan plan;
	double cosine2 = 0;
	double theory;
	const char *name = index_metric_name(metric);

	omendb_code_plan(&plan, n, bits / 4);
	for (uint32_t b = 0; b < omendb_plan_blocks(&plan); b++)
		cosine2 += omendb_codebook(omendb_plan_size(&plan, b))->cosine2 *
				   omendb_plan_size(&plan, b) * omendb_plan_width(&plan, b) / n;
	theory = factor * 0.82 * sqrt((1 / cosine2 - 1) / n);
	tap_diag("%s own %d, %u dimensions, %u bits, offset %g: mean %.4f, spread %.4f (theory %.4f), "
			 "relative %.4f",
			 name, own, n, bits, offset, quality.mean, quality.spread, theory, quality.relative);
	tap_result(fabs(quality.mean) < 5 * quality.spread / sqrt(quality.pairs) + 0.01 * factor,
			   "%s, own %d, %u dimensions, %u bits, offset %g: right on average", name, own, n,
			   bits, offset);
	tap_result(quality.spread < 1.1 * theory,
			   "%s, own %d, %u dimensions, %u bits, offset %g: as near as theory says", name, own,
			   n, bits, offset);
}

static void
test_more_bits(OmendbMetric metric)
{
	double last = INFINITY;
	bool shrinks = true;

	for (uint32_t bits = 64; bits <= 1024; bits *= 2)
	{
		Quality quality = measure(metric, OMENDB_OWN_INT16, 1024, bits, 0, 12);

		tap_diag("%s, 1024 dimensions, %u bits: %.4f", index_metric_name(metric), bits,
				 quality.relative);
		shrinks = shrinks && quality.relative < last * 0.85;
		last = quality.relative;
	}
	tap_result(shrinks, "%s: twice the bits, less of the error", index_metric_name(metric));
}

/*
 * Each code-sum is off by half a step of the query's tables for each four bits, and by what
 * the query's elements are rounded by.
 */
static void
test_exact(OmendbMetric metric, OmendbOwn own, uint32_t n, uint32_t bits)
{
	Scene scene = scene_new(metric, own, n, 16, bits);
	Random random = {n};
	static float v[MAX_DIM], x[MAX_DIM];
	float estimates[OMENDB_ESTIMATES_CAPACITY];
	float distances[32];
	double worst = 0;
	double largest = 0;

	for (int round = 0; round < 10; round++)
	{
		double slack;

		random_floats(&random, DIST_NORMAL, v, n);
		set_node(&scene, v);
		for (int k = 0; k < 32; k++)
		{
			for (uint32_t i = 0; i < n; i++)
				x[i] = v[i] + (k == 31 ? 0 : 0.5f * (float) random_normal(&random));
			add_neighbour(&scene, x);
			distances[k] =
				omendb_own_distance(scene.codec, scene.node, scene.neighbour, scene.scratch);
		}
		omendb_query_set_record(scene.query, scene.node);
		for (uint32_t i = 0; i < n; i++)
			if (fabsf(scene.query->stored[i]) > largest)
				largest = fabsf(scene.query->stored[i]);
		omendb_query_estimates(
			scene.query, scene.node,
			omendb_own_distance(scene.codec, scene.node, scene.node, scene.scratch), estimates);
		for (int k = 0; k < 32; k++)
		{
			const OmendbLayout *layout = &scene.codec->layout;
			float factor = omendb_edge_slope(layout, scene.node, (uint32_t) k);

			/* The query's elements are integers of 512 units; shifts are a unit off at most. */
			slack = fabsf(factor) * bits / 8 * scene.query->step +
					fabsf(factor) * scene.codec->plan.elements * 64 * largest / 1024 +
					fabsf(factor) * omendb_edge_shift_unit(scene.node) +
					1e-5 * (fabsf(distances[k]) + scene.node->norm2 +
							fabsf(factor) * sqrt(bits * scene.node->norm2));
			worst = fmax(worst, fabs(estimates[k] - distances[k]) / slack);
		}
	}
	tap_result(worst < 1, "%s, own %d, %u dimensions, %u bits: exact where the query is the node",
			   index_metric_name(metric), own, n, bits);
	if (worst >= 1)
		tap_diag("%.3f of what rounding explains", worst);
	scene_free(&scene);
}

/* The factors against their formulas, in double from what is kept. */
static void
test_factors(OmendbMetric metric, uint32_t n, uint32_t bits)
{
	Scene scene = scene_new(metric, OMENDB_OWN_INT16, n, 16, bits);
	Random random = {bits};
	static float v[MAX_DIM], x[MAX_DIM];
	bool ip = metric == OMENDB_METRIC_IP;
	bool nearest = true, shifts = true, codes = true;

	random_floats(&random, DIST_NORMAL, v, n);
	set_node(&scene, v);
	for (uint32_t k = 0; k < 32; k++)
	{
		const OmendbLayout *layout = &scene.codec->layout;
		double of_v, of_x, magnitude, r2, want_b, want_t, b, d;
		const uint8_t *code = omendb_record_code(layout, scene.node, k);
		uint8_t fresh[OMENDB_MAX_CODE / 8];
		const float *v_code, *x_code;
		float unused;

		random_floats(&random, DIST_NORMAL, x, n);
		add_neighbour(&scene, x);
		v_code = omendb_code_vector(scene.codec, scene.node_stored, scene.node_code);
		x_code = omendb_code_vector(scene.codec, scene.other_stored, scene.other_code);
		omendb_kernels.residual_code(v_code, x_code, &scene.codec->plan, fresh, &unused, &unused);
		codes = codes && memcmp(code, fresh, bits / 8) == 0;
		omendb_code_product(&scene.codec->plan, code, v_code, &of_v, &magnitude);
		omendb_code_product(&scene.codec->plan, code, x_code, &of_x, &magnitude);
		d = omendb_own_distance(scene.codec, scene.node, scene.neighbour, scene.scratch);
		r2 = ip ? (double) scene.node->norm2 + scene.neighbour->norm2 + 2 * d : d;
		want_b = (ip ? -1 : -2) * r2 / (of_x - of_v);
		b = omendb_edge_slope(layout, scene.node, k);
		/* 16 steps to a power of two: off by half of one; and by the integers that the residual was */
		nearest =
			nearest && fabs(b - want_b) <= ldexp(1.001, ilogb(want_b) - 5) + 0.003 * fabs(want_b);
		want_t = (ip ? scene.node->norm2 + d : r2) / b - of_v;
		shifts =
			shifts && fabs(omendb_edge_shift(layout, scene.node, k) - want_t) <=
						  omendb_edge_shift_unit(scene.node) - 1e-5 * (r2 + scene.node->norm2) / b;
	}
	tap_result(codes, "%s, %u dimensions, %u bits: codes are those of the residuals",
			   index_metric_name(metric), n, bits);
	tap_result(nearest, "%s, %u dimensions, %u bits: slopes are right to a 32nd",
			   index_metric_name(metric), n, bits);
	tap_result(shifts, "%s, %u dimensions, %u bits: shifts are made from those slopes",
			   index_metric_name(metric), n, bits);
	scene_free(&scene);
}

/* What is said of a slot, and that other slots are left alone. */
static void
test_slots(void)
{
	Scene scene = scene_new(OMENDB_METRIC_L2, OMENDB_OWN_INT16, 100, 20, 192);
	const OmendbLayout *layout = &scene.codec->layout;
	Random random = {4};
	float v[100], x[100];
	OmendbRecord *before;
	bool kept = true;
	bool same = true;
	float first[OMENDB_ESTIMATES_CAPACITY], second[OMENDB_ESTIMATES_CAPACITY];

	random_floats(&random, DIST_NORMAL, v, 100);
	set_node(&scene, v);
	for (int k = 0; k < 40; k++)
	{
		random_floats(&random, DIST_NORMAL, x, 100);
		add_neighbour(&scene, x);
	}
	before = record_new(scene.codec);
	memcpy(before, scene.node, layout->record_bytes);
	omendb_query_set(scene.query, x);
	omendb_query_estimates(scene.query, scene.node, 1, first);

	scene.node->count = 17;
	random_floats(&random, DIST_NORMAL, x, 100);
	add_neighbour(&scene, x);
	scene.node->count = 40;
	for (uint32_t k = 0; k < 40; k++)
	{
		bool slot_same =
			omendb_record_neighbours(layout, before)[k] ==
				omendb_record_neighbours(layout, scene.node)[k] &&
			omendb_edge_slope(layout, before, k) == omendb_edge_slope(layout, scene.node, k) &&
			omendb_edge_shift(layout, before, k) == omendb_edge_shift(layout, scene.node, k) &&
			memcmp(omendb_record_code(layout, before, k), omendb_record_code(layout, scene.node, k),
				   omendb_code_bytes(layout)) == 0;

		kept = kept && slot_same == (k != 17);
	}
	tap_result(kept, "a slot is written without the others");
	omendb_query_estimates(scene.query, scene.node, 1, second);
	for (int k = 0; k < 40; k++)
		same = same && (first[k] == second[k]) == (k != 17);
	tap_result(same, "and read without them");

	/* A count beyond the edges, as a broken page may have. */
	scene.node->count = UINT8_MAX;
	omendb_query_estimates(scene.query, scene.node, 1, first);
	tap_result(memcmp(first, second, 40 * sizeof(float)) == 0, "a count too large is cut");
	free(before);
	scene_free(&scene);
}

/* Is what is kept of an edge within the record's steps of what the vectors give? */
static bool
edge_is_near(const Scene *scene, uint32_t slot, double want_b, double base, double of_v)
{
	const OmendbLayout *layout = &scene->codec->layout;
	double b = omendb_edge_slope(layout, scene->node, slot);
	double t = omendb_edge_shift(layout, scene->node, slot);
	double least = omendb_edge_slope_least(scene->node);
	bool good = fabs(b - want_b) <= fabs(want_b) / 31 + 0.003 * fabs(want_b) + least;

	/* A slope that became the least is not that which the shift was made from. */
	if (-b > least)
		good = good &&
			   fabs(t - (base / b - of_v)) <= omendb_edge_shift_unit(scene->node) - 1e-4 * base / b;
	if (!good)
		tap_diag("edge %u: b %g for %g, t %g for %g", slot, b, want_b, t, base / b - of_v);
	return good;
}

/*
 * Edges of very different lengths, each order of them: exponents are raised, and all edges
 * stay as near as the units allow. Units are no larger than the largest needs.
 */
static void
test_ranges(int order)
{
	Scene scene = scene_new(OMENDB_METRIC_L2, OMENDB_OWN_INT16, 96, 16, 144);
	const OmendbLayout *layout = &scene.codec->layout;
	Random random = {(uint64_t) order + 40};
	static float v[96], x[96];
	double b[32], base[32], of_v[32];
	double largest = 0;
	bool good = true;

	random_floats(&random, DIST_NORMAL, v, 96);
	set_node(&scene, v);
	for (uint32_t k = 0; k < 32; k++)
	{
		int random_power = (int) random_below(&random, 32) - 24;
		int power = order == 0 ? (int) k - 24 : order == 1 ? 7 - (int) k : random_power;
		double of_x, magnitude;
		const uint8_t *code = omendb_record_code(layout, scene.node, k);

		for (uint32_t i = 0; i < 96; i++)
			x[i] = (float) (v[i] + ldexp(random_normal(&random), power));
		add_neighbour(&scene, x);
		base[k] = omendb_own_distance(scene.codec, scene.node, scene.neighbour, scene.scratch);
		omendb_code_product(&scene.codec->plan, code,
							omendb_code_vector(scene.codec, scene.node_stored, scene.node_code),
							&of_v[k], &magnitude);
		omendb_code_product(&scene.codec->plan, code,
							omendb_code_vector(scene.codec, scene.other_stored, scene.other_code),
							&of_x, &magnitude);
		b[k] = -2 * base[k] / (of_x - of_v[k]);
	}
	for (uint32_t k = 0; k < 32; k++)
	{
		/* Where rounding of the own vectors is as large as the edge, b is anything. */
		if (base[k] > 1e-6 * scene.node->norm2)
			good = edge_is_near(&scene, k, b[k], base[k], of_v[k]) && good;
		if (fabsf(omendb_edge_shift(layout, scene.node, k)) > largest)
			largest = fabsf(omendb_edge_shift(layout, scene.node, k));
	}
	tap_result(good, "edges of lengths from 2^-24 to 2^7, order %d: slopes and shifts fit", order);
	tap_result(largest >= 1023 * omendb_edge_shift_unit(scene.node),
			   "order %d: the unit of shifts is no larger than needed", order);

	omendb_edge_move(layout, scene.node, 31, 3);
	tap_result(
		omendb_edge_slope(layout, scene.node, 3) == omendb_edge_slope(layout, scene.node, 31) &&
			omendb_edge_shift(layout, scene.node, 3) == omendb_edge_shift(layout, scene.node, 31) &&
			omendb_record_neighbours(layout, scene.node)[3] == 1031,
		"order %d: an edge is moved", order);
	omendb_edge_free(layout, scene.node, 31);
	tap_result(omendb_edge_shift(layout, scene.node, 31) == 0 &&
				   omendb_edge_shift(layout, scene.node, 15) != 0,
			   "order %d: and its slot cleared alone", order);
	omendb_edge_clear(layout, scene.node);
	tap_result(omendb_edge_slope(layout, scene.node, 0) == 0 &&
				   omendb_edge_shift_unit(scene.node) == 0,
			   "order %d: a record without edges fits nothing", order);
	scene_free(&scene);
}

/* Neighbours at the same place, and numbers that overflow: no NaN where it can be avoided. */
static void
test_degenerate(void)
{
	Scene scene = scene_new(OMENDB_METRIC_L2, OMENDB_OWN_INT16, 64, 16, 64);
	float v[64], estimates[OMENDB_ESTIMATES_CAPACITY];
	Random random = {6};

	random_floats(&random, DIST_NORMAL, v, 64);
	set_node(&scene, v);
	add_neighbour(&scene, v);
	random_floats(&random, DIST_NORMAL, v, 64);
	omendb_query_set(scene.query, v);
	omendb_query_estimates(scene.query, scene.node, 5, estimates);
	tap_result(estimates[0] == 5, "a neighbour at the node's place is as far as the node");
	scene_free(&scene);
}

/*
 * The inner product's order does not depend on the query's length, so estimates must not
 * either: a query times a power of two has the same estimates times that power, to the bit.
 */
static void
test_lengths(uint32_t n, uint32_t bits)
{
	Scene scene = scene_new(OMENDB_METRIC_IP, OMENDB_OWN_INT16, n, 16, bits);
	Random random = {n + 1};
	static float v[MAX_DIM], x[MAX_DIM], q[MAX_DIM];
	float estimates[2][OMENDB_ESTIMATES_CAPACITY];
	static const int powers[] = {-40, -10, -1, 1, 10, 40};

	random_floats(&random, DIST_NORMAL, v, n);
	random_floats(&random, DIST_NORMAL, q, n);
	set_node(&scene, v);
	for (int k = 0; k < 32; k++)
	{
		for (uint32_t i = 0; i < n; i++)
			x[i] = (float) (v[i] + random_normal(&random));
		add_neighbour(&scene, x);
	}
	for (size_t p = 0; p <= LENGTH(powers); p++)
	{
		float *out = estimates[p > 0];
		bool same = true;

		for (uint32_t i = 0; i < n; i++)
			x[i] = p == 0 ? q[i] : ldexpf(q[i], powers[p - 1]);
		omendb_query_set(scene.query, x);
		omendb_query_estimates(scene.query, scene.node,
							   omendb_query_distance(scene.query, scene.node), out);
		if (p == 0)
			continue;
		for (int k = 0; k < 32; k++)
			same = same && out[k] == ldexpf(estimates[0][k], powers[p - 1]);
		tap_result(same, "%u dimensions, %u bits: a query 2^%d times as long has those estimates",
				   n, bits, powers[p - 1]);
	}
	scene_free(&scene);
}

int
main(void)
{
	static const struct
	{
		uint32_t n;
		uint32_t bits;
	} sizes[] = {{64, 64},    {128, 120}, {384, 280}, {768, 552}, {784, 544},
				 {1536, 360}, {384, 160}, {256, 104}, {100, 128}};
	/* few dimensions, and codes of more groups than the vector has */
	static const struct
	{
		uint32_t n;
		uint32_t bits;
		double most; /* of the spread */
	} expanded[] = {{1, 128, 0.3},   {2, 128, 0.3},   {3, 128, 0.3},    {20, 128, 0.25},
					{100, 128, 0.2}, {100, 192, 0.2}, {100, 256, 0.15}, {127, 192, 0.2}};
	static const OmendbMetric metrics[] = {OMENDB_METRIC_L2, OMENDB_METRIC_IP,
										   OMENDB_METRIC_COSINE};

	omendb_kernels_use(omendb_best_level(omendb_cpu_features()));
	for (size_t k = 0; k < LENGTH(metrics); k++)
	{
		for (size_t i = 0; i < LENGTH(sizes); i++)
			test_quality(metrics[k], OMENDB_OWN_INT16, sizes[i].n, sizes[i].bits, 0);
		test_quality(metrics[k], OMENDB_OWN_INT8, 384, 192, 0);
		test_quality(metrics[k], OMENDB_OWN_INT16, 384, 384, 1);
		test_more_bits(metrics[k]);
	}
	for (size_t i = 0; i < LENGTH(expanded); i++)
	{
		Quality quality =
			measure(OMENDB_METRIC_L2, OMENDB_OWN_INT16, expanded[i].n, expanded[i].bits, 0, 100);

		tap_diag("%u dimensions, %u bits: mean %.4f, spread %.4f, relative %.4f", expanded[i].n,
				 expanded[i].bits, quality.mean, quality.spread, quality.relative);
		tap_result(quality.spread < expanded[i].most, "%u dimensions by %u bits are estimated",
				   expanded[i].n, expanded[i].bits);
	}
	for (size_t k = 0; k < 2; k++)
		for
			OWN_KINDS(own)
			{
				if (own != OMENDB_OWN_INT16 && own != OMENDB_OWN_INT8)
					continue;
				test_exact(metrics[k], (OmendbOwn) own, 3, 128);
				test_exact(metrics[k], (OmendbOwn) own, 100, 128);
				test_exact(metrics[k], (OmendbOwn) own, 384, 384);
				test_exact(metrics[k], (OmendbOwn) own, 768, 512);
			}
	for (size_t k = 0; k < LENGTH(metrics); k++)
	{
		test_factors(metrics[k], 100, 192);
		test_factors(metrics[k], 768, 512);
	}
	test_lengths(64, 64);
	test_lengths(100, 192);
	test_slots();
	for (int order = 0; order < 3; order++)
		test_ranges(order);
	test_degenerate();
	return tap_done();
}
