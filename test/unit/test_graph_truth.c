/*
 * test_graph_truth.c
 *	  The exact distances of the nearest records, beside a plain sort of all of them; and the curve
 *	  of recall over ef.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "graph/curve.h"
#include "graph/truth.h"
#include "graph_support.h"
#include "tap.h"

#define QUERIES 37
#define NEAREST 20
#define PARTS   3

/* ---------------------------------------------------------------- truth */

static int
by_number(const void *a, const void *b)
{
	float x = *(const float *) a, y = *(const float *) b;

	return (x > y) - (x < y);
}

/* The distances of all but the query's own node, sorted. */
static uint32_t
sorted_distances(const TestGraph *graph, OmendbQuery *query, OmendbNode own, uint32_t n,
				 float *distances)
{
	uint32_t used = 0;

	omendb_query_set_record(query, graph_record(graph, own));
	for (OmendbNode node = 0; node < n; node++)
	{
		float distance = omendb_query_distance(query, graph_record(graph, node));

		if (node != own && distance < INFINITY)
			distances[used++] = distance;
	}
	qsort(distances, used, sizeof(float), by_number);
	return used;
}

typedef enum Kind
{
	KIND_CLUSTERS,
	KIND_CLOSE, /* one vector, changed by a millionth: int8 tells nothing */
	KIND_WIDE,  /* lengths from 1e-18 to 1e18 */
	KINDS
} Kind;

static const char *const kind_names[] = {"clusters", "close", "wide"};

static void
make_vectors(Random *random, Kind kind, float *out, uint32_t n, uint32_t d)
{
	graph_clustered(random, out, n, d, 10, 0.5);
	for (uint32_t i = 0; i < n; i++)
	{
		float factor = (float) pow(10, 36 * random_uniform(random) - 18);

		for (uint32_t k = 0; k < d; k++)
		{
			if (kind == KIND_CLOSE)
				out[i * d + k] = (float) (k % 7) + 1 + 1e-6f * out[i * d + k];
			else if (kind == KIND_WIDE)
				out[i * d + k] *= factor;
		}
	}
}

static void
test_truth(OmendbMetric metric, OmendbOwn own, uint32_t d, uint32_t n, Kind kind)
{
	Random random = {11};
	OmendbCodec *codec = graph_codec(metric, own, d, 4);
	TestGraph *graph = graph_new(codec, n);
	float *vectors = malloc((size_t) n * d * sizeof(float));
	float *distances = malloc(n * sizeof(float));
	OmendbQuery *query = query_new(codec);
	OmendbNode nodes[QUERIES];
	const OmendbRecord *records[QUERIES];
	OmendbSimdLevel levels[OMENDB_SIMD_LEVELS];
	size_t nlevels = simd_levels(levels);
	size_t bytes = omendb_truth_bytes(codec, QUERIES, NEAREST);
	uint8_t *memory = malloc(PARTS * bytes);
	float nearest[PARTS * NEAREST];
	OmendbTruth truths[PARTS];
	OmendbTruth attached[PARTS];
	bool right = true;

	make_vectors(&random, kind, vectors, n, d);
	if (metric_is_bits(metric))
		graph_to_bits(vectors, n, d);
	for (uint32_t i = 0; i < n; i++)
		graph_set(graph, i, 0, vectors + (size_t) i * d);
	for (size_t level = 0; level < nlevels; level++)
	{
		omendb_kernels_use(levels[level]);
		for (uint32_t i = 0; i < QUERIES; i++)
		{
			nodes[i] = i * (n / QUERIES);
			records[i] = graph_record(graph, nodes[i]);
		}
		/* All records in one truth; then dealt out to several, which another process reads. */
		for (uint32_t parts = 1; parts <= PARTS; parts++)
		{
			for (uint32_t p = 0; p < parts; p++)
			{
				omendb_truth_init(&truths[p], codec, QUERIES, NEAREST, nodes, records,
								  memory + p * bytes);
				for (OmendbNode node = p; node < n; node += parts)
					omendb_truth_add(&truths[p], node, graph_record(graph, node));
				omendb_truth_finish(&truths[p]);
				omendb_truth_attach(&attached[p], codec, QUERIES, NEAREST, memory + p * bytes);
			}
			for (uint32_t i = 0; i < QUERIES; i++)
			{
				uint32_t all = sorted_distances(graph, query, nodes[i], n, distances);
				uint32_t found = omendb_truth_nearest(attached, parts, i, nearest);

				right &= found == (all < NEAREST ? all : NEAREST) &&
						 memcmp(nearest, distances, found * sizeof(float)) == 0;
			}
		}
	}
	tap_result(right, "%s, %s, %u dimensions, %u rows, %s: the nearest distances are exact",
			   index_metric_name(metric), own_name(own), d, n, kind_names[kind]);
	free(memory);
	free(vectors);
	free(distances);
	query_free(query);
	graph_free(graph);
	codec_free(codec);
}

/* ---------------------------------------------------------------- curve */

static void
test_curve(void)
{
	OmendbCurve curve = {0};
	bool grows = true;
	bool enough = true;

	omendb_curve_add(&curve, 10, 0.2f, 0.6f);
	omendb_curve_add(&curve, 20, 0.1f, 0.3f);
	omendb_curve_add(&curve, 40, 0.12f, 0.1f);
	omendb_curve_add(&curve, 80, 0.01f, 0.02f);
	tap_result(curve.n == 4 && curve.points[2].missed[0] == 0.1f &&
				   omendb_curve_is_possible(&curve),
			   "a larger ef misses no more, whatever chance has it");
	tap_result(omendb_curve_ef(&curve, 0.9, 10) == 20 && omendb_curve_ef(&curve, 0.99, 10) == 80 &&
				   omendb_curve_ef(&curve, 0.9, 100) == 100,
			   "the points themselves, but ef is not below k");
	tap_result(omendb_curve_ef(&curve, 0.8, 1) == 10 && omendb_curve_ef(&curve, 0.5, 10) == 10,
			   "nothing below the first point");
	tap_result(omendb_curve_ef(&curve, 0.999, 10) == 80, "nor above the last one");
	tap_result(omendb_curve_ef(&curve, 0.98, 1000) == 1000 &&
				   omendb_curve_ef(&curve, 0.8, 1e12) == INT32_MAX / 4,
			   "of many rows each takes as much as the hundredth, within the range of int");
	for (double recall = 0.5; recall < 0.999; recall += 0.001)
		for (double k = 1; k < 500; k *= 1.1)
		{
			uint32_t ef = omendb_curve_ef(&curve, recall, k);

			grows &= omendb_curve_ef(&curve, recall + 0.001, k) >= ef &&
					 omendb_curve_ef(&curve, recall, k * 1.1) >= ef;
			enough &= ef >= k;
		}
	tap_result(grows, "ef grows with recall and with k");
	tap_result(enough, "and is never below k");

	curve.points[1].missed[1] = NAN;
	tap_result(!omendb_curve_is_possible(&curve), "no number is no curve");
	curve.points[1].missed[1] = 0.7f;
	tap_result(!omendb_curve_is_possible(&curve), "nor is one that falls");
	curve.n = OMENDB_CURVE_POINTS + 1;
	tap_result(!omendb_curve_is_possible(&curve), "nor one of more points than there are");
}

int
main(void)
{
	OmendbSimdLevel best = omendb_best_level(omendb_cpu_features());

	omendb_kernels_use(best);
	test_curve();
	for (Kind kind = 0; kind < KINDS; kind++)
	{
		test_truth(OMENDB_METRIC_L2, OMENDB_OWN_INT16, 24, 500, kind);
		test_truth(OMENDB_METRIC_COSINE, OMENDB_OWN_INT16, 67, 500, kind);
		test_truth(OMENDB_METRIC_IP, OMENDB_OWN_INT16, 24, 500, kind);
		test_truth(OMENDB_METRIC_L2, OMENDB_OWN_INT8, 64, 501, kind);
		test_truth(OMENDB_METRIC_L1, metric_own(OMENDB_METRIC_L1), 9, 200, kind);
	}
	test_truth(OMENDB_METRIC_L2, OMENDB_OWN_INT16, 3, QUERIES, KIND_CLUSTERS);
	test_truth(OMENDB_METRIC_HAMMING, OMENDB_OWN_BITS, 64, 300, KIND_CLUSTERS);
	omendb_kernels_use(best);
	return tap_done();
}
