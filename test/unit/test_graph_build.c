/*
 * test_graph_build.c
 *	  Whole graphs built in memory: good enough to find neighbours by, the same
 *	  in whatever order and by how many threads, sound and connected.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "graph_support.h"
#include "tap.h"

static void
test_recall(OmendbMetric metric, OmendbOwn own, uint32_t dimensions, double least)
{
	const uint32_t n = 2000, nqueries = 100;
	const char *name = index_metric_name(metric);
	OmendbCodec *codec = graph_codec(metric, own, dimensions, 8);
	TestGraph *graph = graph_new(codec, n);
	BuildOptions options = {.n = n, .ef = 40, .passes = 1, .chunk = 64, .connect = true};
	Random random = {metric};
	float *vectors = malloc((size_t) (n + nqueries) * dimensions * sizeof(float));
	OmendbNode entry;
	uint32_t connected;
	double got;

	graph_clustered(&random, vectors, n + nqueries, dimensions, 40, 1);
	if (metric_is_bits(metric))
		graph_to_bits(vectors, n + nqueries, dimensions);
	for (uint32_t i = 0; i < n; i++)
		graph_set(graph, i, 0, vectors + (size_t) i * dimensions);
	graph_build(graph, &options, NULL, &entry, &connected);
	got =
		graph_recall(graph, entry, vectors, n, vectors + (size_t) n * dimensions, nqueries, 10, 10);
	tap_diag("%s own %d: recall@10 %.4f, %u edges made", name, own, got, connected);
	tap_result(got >= least, "%s, %s: recall@10 of at least %.3f", name, own_name(own), least);
	tap_result(graph_is_sound(graph, 0, n, 0) && graph_reached(graph, entry, 0) == n,
			   "%s, %s: the graph is sound and connected", name, own_name(own));
	if (!metric_is_plain(metric))
		tap_result(graph_codes_are_right(graph, n), "%s, %s: codes are those of the edges", name,
				   own_name(own));
	free(vectors);
	graph_free(graph);
	codec_free(codec);
}

/* Chunks of other sizes, in other orders, by several threads: not a byte differs. */
static void
test_determinism(OmendbMetric metric)
{
	const uint32_t n = 700, d = 32;
	OmendbCodec *codec = graph_codec(metric, metric_own(metric), d, 6);
	TestGraph *graphs[5];
	BuildOptions options[5] = {
		{.n = n, .ef = 24, .passes = 2, .chunk = n, .connect = true},
		{.n = n, .ef = 24, .passes = 2, .chunk = 1, .connect = true},
		{.n = n, .ef = 24, .passes = 2, .chunk = 17, .shuffle = 5, .connect = true},
		{.n = n, .ef = 24, .passes = 2, .chunk = 9, .threads = 1, .connect = true},
		{.n = n, .ef = 24, .passes = 2, .chunk = 5, .shuffle = 8, .threads = 3, .connect = true},
	};
	static const char *const how[] = {"", "one by one", "shuffled", "by two threads",
									  "shuffled, by four threads"};
	Random random = {20};
	float *vectors = malloc((size_t) n * d * sizeof(float));
	OmendbNode entries[5];
	uint32_t connected[5];

	graph_clustered(&random, vectors, n, d, 20, 0.4);
	if (metric_is_bits(metric))
		graph_to_bits(vectors, n, d);
	for (int g = 0; g < 5; g++)
	{
		graphs[g] = graph_new(codec, n);
		for (uint32_t i = 0; i < n; i++)
			graph_set(graphs[g], i, 0, vectors + (size_t) i * d);
		graph_build(graphs[g], &options[g], NULL, &entries[g], &connected[g]);
		if (g > 0)
			tap_result(graph_same_records(graphs[0], graphs[g]) && entries[g] == entries[0] &&
						   connected[g] == connected[0],
					   "%s: the same graph %s", index_metric_name(metric), how[g]);
	}
	for (int g = 0; g < 5; g++)
		graph_free(graphs[g]);
	free(vectors);
	codec_free(codec);
}

/* Clusters so far apart, or so alike, that no search finds a way between them. */
static void
test_islands(OmendbMetric metric, uint32_t n, uint32_t m, uint32_t clusters, double apart,
			 bool duplicates)
{
	const uint32_t d = 16;
	OmendbCodec *codec = graph_codec(metric, metric_own(metric), d, m);
	TestGraph *graph = graph_new(codec, n);
	BuildOptions options = {.n = n, .ef = 2 * m, .passes = 1, .chunk = 64};
	Random random = {30};
	float center[16], x[16];
	OmendbNode entry;
	uint32_t connected, before;

	for (uint32_t i = 0; i < n; i++)
	{
		random.state = 1000 + i % clusters;
		for (uint32_t k = 0; k < d; k++)
			center[k] = (float) (apart * random_normal(&random));
		random.state = 77 * i;
		for (uint32_t k = 0; k < d; k++)
			x[k] = center[k] + (duplicates ? 0 : (float) random_normal(&random));
		graph_set(graph, i, 0, x);
	}
	options.connect = false;
	graph_build(graph, &options, NULL, &entry, &connected);
	before = graph_reached(graph, entry, 0);
	graph_free(graph);

	graph = graph_new(codec, n);
	for (uint32_t i = 0; i < n; i++)
	{
		random.state = 1000 + i % clusters;
		for (uint32_t k = 0; k < d; k++)
			center[k] = (float) (apart * random_normal(&random));
		random.state = 77 * i;
		for (uint32_t k = 0; k < d; k++)
			x[k] = center[k] + (duplicates ? 0 : (float) random_normal(&random));
		graph_set(graph, i, 0, x);
	}
	options.connect = true;
	graph_build(graph, &options, NULL, &entry, &connected);
	tap_diag("%s, %u clusters of %u%s, m = %u: %u reached before, %u after, by %u edges",
			 index_metric_name(metric), clusters, n / clusters, duplicates ? " alike" : "", m,
			 before, graph_reached(graph, entry, 0), connected);
	tap_result(graph_reached(graph, entry, 0) == n && graph_is_sound(graph, 0, n, 0),
			   "%s, %u far clusters of %u%s, m = %u: all are reached", index_metric_name(metric),
			   clusters, n / clusters, duplicates ? " alike" : "", m);
	graph_free(graph);
	codec_free(codec);
}

/* The sizes at which rounds begin and end. */
static void
test_sizes(OmendbMetric metric)
{
	static const uint32_t sizes[] = {1, 2, 3, 63, 64, 65, 127, 128, 129, 257};
	const uint32_t d = 16;
	bool good = true, found = true;

	for (size_t s = 0; s < LENGTH(sizes); s++)
	{
		uint32_t n = sizes[s];
		OmendbCodec *codec = graph_codec(metric, metric_own(metric), d, 4);
		TestGraph *graph = graph_new(codec, n);
		BuildOptions options = {.n = n, .ef = 16, .passes = 1, .chunk = 10, .connect = true};
		Random random = {s};
		float *vectors = malloc((size_t) n * d * sizeof(float));
		OmendbNode entry;
		uint32_t connected;
		bool sound;

		graph_clustered(&random, vectors, n, d, 1, 1);
		if (metric_is_bits(metric))
			graph_to_bits(vectors, n, d);
		for (uint32_t i = 0; i < n; i++)
			graph_set(graph, i, 0, vectors + (size_t) i * d);
		sound = graph_build(graph, &options, NULL, &entry, &connected) &&
				graph_is_sound(graph, 0, n, 0) && entry < n && graph_reached(graph, entry, 0) == n;
		if (!sound)
			tap_diag("%u nodes", n);
		good = good && sound;
		found = found && graph_recall(graph, entry, vectors, n, vectors, n < 20 ? n : 20,
									  n < 5 ? n : 5, 40) > 0.95;
		free(vectors);
		graph_free(graph);
		codec_free(codec);
	}
	tap_result(good, "%s: graphs of 1 to 257 nodes are sound", index_metric_name(metric));
	tap_result(found, "%s: and searches find what they hold", index_metric_name(metric));
}

/* Nothing but ties, and nothing but one vector. */
static void
test_ties(OmendbMetric metric, uint32_t kinds)
{
	const uint32_t n = 600, d = 16;
	OmendbCodec *codec = graph_codec(metric, metric_own(metric), d, 8);
	TestGraph *graph = graph_new(codec, n);
	BuildOptions options = {.n = n, .ef = 20, .passes = 1, .chunk = 64, .connect = true};
	Random random = {40};
	float x[16];
	OmendbNode entry;
	uint32_t connected;

	for (uint32_t i = 0; i < n; i++)
	{
		for (uint32_t k = 0; k < d; k++)
			x[k] = 1 + (float) random_below(&random, kinds);
		if (metric_is_bits(metric))
			memset(x, (int) random_below(&random, kinds), sizeof(x));
		graph_set(graph, i, 0, x);
	}
	graph_build(graph, &options, NULL, &entry, &connected);
	tap_result(graph_is_sound(graph, 0, n, 0) && graph_reached(graph, entry, 0) == n, "%s: %s",
			   index_metric_name(metric),
			   kinds == 1 ? "one vector 600 times" : "many equal distances");
	graph_free(graph);
	codec_free(codec);
}

/* Of rounds: where there is room an edge goes both ways, after them as after a pass. */
static void
test_both_ways(OmendbMetric metric, uint32_t passes)
{
	const uint32_t n = 500, d = 16;
	OmendbCodec *codec = graph_codec(metric, metric_own(metric), d, 100);
	const OmendbLayout *layout = &codec->layout;
	TestGraph *graph = graph_new(codec, n);
	BuildOptions options = {.n = n, .ef = 10, .passes = passes, .chunk = 64};
	Random random = {70};
	float x[16];
	OmendbNode entry;
	uint32_t connected, edges = 0, missing = 0;

	for (uint32_t i = 0; i < n; i++)
	{
		random_floats(&random, DIST_NORMAL, x, d);
		graph_set(graph, i, 0, x);
	}
	graph_build(graph, &options, NULL, &entry, &connected);
	for (OmendbNode node = 0; node < n; node++)
		for (uint32_t i = 0; i < graph_record(graph, node)->count; i++)
		{
			OmendbNode other = omendb_record_neighbours(layout, graph_record(graph, node))[i];
			const OmendbRecord *back = graph_record(graph, other);
			bool found = back->count == layout->edges;

			for (uint32_t k = 0; k < back->count; k++)
				found = found || omendb_record_neighbours(layout, back)[k] == node;
			edges++;
			missing += !found;
		}
	tap_result(missing == 0 && edges > 10 * n, "%s, %u passes: edges go both ways",
			   index_metric_name(metric), passes);
	graph_free(graph);
	codec_free(codec);
}

/* A level above another in the same array, with half of the edges. */
static void
test_upper_level(OmendbMetric metric)
{
	const uint32_t n = 400, upper = 150, d = 32;
	OmendbCodec *codec = graph_codec(metric, metric_own(metric), d, 6);
	TestGraph *graph = graph_new(codec, n + upper);
	BuildOptions lower = {.n = n, .ef = 24, .passes = 1, .chunk = 64, .connect = true};
	BuildOptions higher = {
		.first = n, .n = upper, .level = 1, .ef = 24, .passes = 1, .chunk = 64, .connect = true};
	Random random = {50};
	float *vectors = malloc((size_t) n * d * sizeof(float));
	OmendbRecord *below = record_new(codec);
	OmendbNode entry;
	uint32_t connected;
	bool good;

	graph_clustered(&random, vectors, n, d, 10, 0.5);
	for (uint32_t i = 0; i < n; i++)
		graph_set(graph, i, 0, vectors + (size_t) i * d);
	for (uint32_t i = 0; i < upper; i++)
	{
		graph_set(graph, n + i, 1, vectors + (size_t) i * d);
		graph_record(graph, n + i)->down = i;
	}
	graph_build(graph, &lower, NULL, &entry, &connected);
	good = entry < n && graph_reached(graph, entry, 0) == n;
	memcpy(below, graph_record(graph, 3), codec->layout.record_bytes);
	graph_build(graph, &higher, NULL, &entry, &connected);
	good = good && entry >= n && graph_reached(graph, entry, 1) == upper &&
		   graph_is_sound(graph, 0, n, 0) && graph_is_sound(graph, n, upper, 1) &&
		   memcmp(below, graph_record(graph, 3), codec->layout.record_bytes) == 0;
	tap_result(good, "%s: an upper level has edges of its own", index_metric_name(metric));
	free(below);
	free(vectors);
	graph_free(graph);
	codec_free(codec);
}

/* From every point on: false, and nothing is lost. */
static void
test_out_of_memory(void)
{
	const uint32_t n = 300, d = 16;
	OmendbCodec *codec = graph_codec(OMENDB_METRIC_L2, OMENDB_OWN_INT16, d, 4);
	TestGraph *graph = graph_new(codec, n);
	BuildOptions options = {.n = n, .ef = 16, .passes = 1, .chunk = 64, .connect = true};
	Random random = {60};
	float x[16];
	bool told = true, freed = true, succeeded = false;
	long k;

	for (k = 0; k < 200 && !succeeded; k++)
	{
		TestAllocator allocator;
		OmendbNode entry;
		uint32_t connected;

		for (uint32_t i = 0; i < n; i++)
		{
			random_floats(&random, DIST_NORMAL, x, d);
			graph_set(graph, i, 0, x);
		}
		allocator_init(&allocator, k);
		succeeded = graph_build(graph, &options, &allocator, &entry, &connected);
		told = told && (succeeded || allocator.calls == k);
		freed = freed && allocator.live == 0;
	}
	tap_result(told && succeeded && k > 8, "out of memory is told (%ld places)", k);
	tap_result(freed, "and nothing leaks");
	graph_free(graph);
	codec_free(codec);
}

/* Of plain layouts: rounds that double, then passes over all. */
static void
test_rounds(uint32_t n, uint32_t passes, const uint32_t (*steps)[2], uint32_t count)
{
	OmendbCodec *codec = graph_codec(OMENDB_METRIC_L1, OMENDB_OWN_HALF, 8, 4);
	TestGraph *graph = graph_new(codec, n);
	OmendbBuildLevel level = {.array = &graph->array, .n = n, .edges = 8, .options.passes = passes};
	void *memory = malloc(omendb_build_prepare(&level));
	uint32_t seen = 0, joined = 0;
	bool good = true;

	omendb_build_attach(&level, memory);
	while (omendb_build_next(NULL, &level) && level.phase != OMENDB_BUILD_DONE && good)
	{
		bool refines = joined == n;

		good = seen < count && level.phase == OMENDB_BUILD_SEARCH &&
			   level.rounds.from == steps[seen][0] && level.rounds.to == steps[seen][1] &&
			   level.rounds.refines == refines && level.rounds.joined == joined &&
			   omendb_build_phase_size(&level) == level.rounds.to - level.rounds.from &&
			   omendb_build_phase_nodes(&level, 1) == level.rounds.from + 1;
		good = good && omendb_build_next(NULL, &level) && level.phase == OMENDB_BUILD_MERGE &&
			   omendb_build_phase_size(&level) == level.rounds.to;
		joined = level.rounds.to;
		seen++;
	}
	tap_result(good && seen == count, "%u nodes, %u passes: rounds double, then all are refined", n,
			   passes);
	free(memory);
	graph_free(graph);
	codec_free(codec);
}

static void
test_steps(void)
{
	static const uint32_t many[][2] = {{0, 64},    {64, 128}, {128, 256},
									   {256, 300}, {0, 300},  {0, 300}};
	static const uint32_t few[][2] = {{0, 64}};

	test_rounds(300, 2, many, 6);
	test_rounds(300, 0, many, 4);
	/* A single round has compared all with all. */
	test_rounds(64, 2, few, 1);
}

/* All join once, later ones after, and the order is the seed's. */
static void
test_order(void)
{
	OmendbCodec *codec = graph_codec(OMENDB_METRIC_L1, OMENDB_OWN_HALF, 8, 4);
	TestGraph *graph = graph_new(codec, 1000);
	OmendbBuildLevel level = {.array = &graph->array, .n = 1000, .edges = 4, .options.seed = 9};
	void *memory = malloc(omendb_build_prepare(&level));
	uint8_t seen[1000] = {0};
	uint32_t first;
	bool once = true;
	int in_place = 0;

	omendb_build_attach(&level, memory);
	omendb_build_next(NULL, &level);
	for (int i = 0; i < 1000; i++)
	{
		once = once && level.order[i] < 1000 && !seen[level.order[i]];
		if (level.order[i] < 1000)
			seen[level.order[i]] = 1;
		/* Sorted input must not join in its order. */
		in_place += abs((int) level.order[i] - i) < 20;
	}
	first = level.order[0];
	level.options.seed = 10;
	level.phase = OMENDB_BUILD_NEW;
	omendb_build_next(NULL, &level);
	tap_result(once && in_place < 200 && first != level.order[0],
			   "all join, in an order that the seed makes");
	free(memory);
	graph_free(graph);
	codec_free(codec);
}

int
main(void)
{
	omendb_kernels_use(omendb_best_level(omendb_cpu_features()));
	test_steps();
	test_order();
	test_sizes(OMENDB_METRIC_L2);
	test_sizes(OMENDB_METRIC_IP);
	test_sizes(OMENDB_METRIC_L1);
	test_sizes(OMENDB_METRIC_HAMMING);
	test_ties(OMENDB_METRIC_L2, 2);
	test_ties(OMENDB_METRIC_L2, 1);
	test_ties(OMENDB_METRIC_COSINE, 2);
	test_ties(OMENDB_METRIC_IP, 1);
	test_ties(OMENDB_METRIC_L1, 2);
	test_ties(OMENDB_METRIC_HAMMING, 3);
	test_ties(OMENDB_METRIC_JACCARD, 1);
	test_both_ways(OMENDB_METRIC_L1, 0);
	test_both_ways(OMENDB_METRIC_L1, 1);
	test_upper_level(OMENDB_METRIC_L2);
	test_upper_level(OMENDB_METRIC_L1);
	test_out_of_memory();
	test_determinism(OMENDB_METRIC_L2);
	test_determinism(OMENDB_METRIC_L1);
	test_determinism(OMENDB_METRIC_JACCARD);
	test_recall(OMENDB_METRIC_L2, OMENDB_OWN_INT16, 64, 0.93);
	test_recall(OMENDB_METRIC_L2, OMENDB_OWN_INT8, 64, 0.92);
	test_recall(OMENDB_METRIC_IP, OMENDB_OWN_INT16, 48, 0.92);
	test_recall(OMENDB_METRIC_COSINE, OMENDB_OWN_INT16, 32, 0.91);
	test_recall(OMENDB_METRIC_COSINE, OMENDB_OWN_INT8, 64, 0.93);
	test_recall(OMENDB_METRIC_COSINE, OMENDB_OWN_INT4, 64, 0.9);
	test_recall(OMENDB_METRIC_L1, OMENDB_OWN_HALF, 32, 0.92);
	test_recall(OMENDB_METRIC_HAMMING, OMENDB_OWN_BITS, 64, 0.945);
	test_recall(OMENDB_METRIC_JACCARD, OMENDB_OWN_BITS, 64, 0.9);
	test_islands(OMENDB_METRIC_L2, 5000, 4, 50, 1000, false);
	test_islands(OMENDB_METRIC_L2, 2000, 2, 40, 1000, false);
	test_islands(OMENDB_METRIC_L2, 2000, 4, 10, 1000, true);
	test_islands(OMENDB_METRIC_L1, 2000, 4, 20, 1000, false);
	test_islands(OMENDB_METRIC_COSINE, 2000, 4, 40, 1000, false);
	return tap_done();
}
