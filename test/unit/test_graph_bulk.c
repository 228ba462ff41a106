/*
 * test_graph_bulk.c
 *	  Graphs made from a partition: good enough to find neighbours by on easy and on hard
 *	  data, the same at every instruction set and by any number of threads, sound.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "graph_support.h"
#include "tap.h"

typedef struct Case
{
	const char *name;
	OmendbMetric metric;
	OmendbOwn own;
	uint32_t n;
	uint32_t dimensions;
	uint32_t m;
	uint32_t ef_construction;
	double least; /* recall@10 */
} Case;

/* How the vectors of a case are made. */
typedef void (*Maker)(Random *random, float *out, uint32_t n, uint32_t dimensions);

static void
make_clustered(Random *random, float *out, uint32_t n, uint32_t dimensions)
{
	graph_clustered(random, out, n, dimensions, 40, 1);
}

/* So far apart that no vector's neighbours are of another cluster. */
static void
make_islands(Random *random, float *out, uint32_t n, uint32_t dimensions)
{
	graph_clustered(random, out, n, dimensions, 40, 0.001);
}

static void
make_normal(Random *random, float *out, uint32_t n, uint32_t dimensions)
{
	random_floats(random, DIST_NORMAL, out, (size_t) n * dimensions);
}

/* Lengths over five powers of ten. */
static void
make_lengths(Random *random, float *out, uint32_t n, uint32_t dimensions)
{
	graph_clustered(random, out, n, dimensions, 40, 1);
	for (uint32_t i = 0; i < n; i++)
	{
		float times = (float) exp(1.5 * random_normal(random));

		for (uint32_t k = 0; k < dimensions; k++)
			out[(size_t) i * dimensions + k] *= times;
	}
}

/* Half of all rows are copies of one of ten. */
static void
make_copies(Random *random, float *out, uint32_t n, uint32_t dimensions)
{
	graph_clustered(random, out, n, dimensions, 40, 1);
	for (uint32_t i = 10; i < n; i += 2)
		memcpy(out + (size_t) i * dimensions, out + (size_t) random_below(random, 10) * dimensions,
			   dimensions * sizeof(float));
}

/* In the order of one coordinate. */
static int
by_first(const void *a, const void *b)
{
	float x = *(const float *) a, y = *(const float *) b;

	return (x > y) - (x < y);
}

static void
make_sorted(Random *random, float *out, uint32_t n, uint32_t dimensions)
{
	graph_clustered(random, out, n, dimensions, 40, 1);
	qsort(out, n, dimensions * sizeof(float), by_first);
}

static TestGraph *
make_graph(OmendbCodec *codec, const float *vectors, uint32_t n)
{
	TestGraph *graph = graph_new(codec, n);

	for (uint32_t i = 0; i < n; i++)
		graph_set(graph, i, 0, vectors + (size_t) i * codec->layout.dimensions);
	return graph;
}

static BuildOptions
options_of(const Case *c)
{
	return (BuildOptions){.n = c->n, .ef = c->ef_construction, .chunk = 7, .connect = true};
}

static OmendbCodec *
codec_of_case(const Case *c)
{
	OmendbLayout layout;

	if (c->own == OMENDB_OWN_INT16 &&
		omendb_layout_choose(&layout, c->metric, c->dimensions, c->m, false, TEST_PAGE_BYTES))
		return codec_of(&layout);
	return graph_codec(c->metric, c->own, c->dimensions, c->m);
}

/* Queries are of the same kind as the rows, or the first rows where queries is 0. */
static void
test_recall(const Case *c, Maker maker, const char *data, uint32_t nqueries)
{
	OmendbCodec *codec = codec_of_case(c);
	BuildOptions options = options_of(c);
	Random random = {c->n + c->dimensions};
	float *vectors = malloc((size_t) (c->n + nqueries) * c->dimensions * sizeof(float));
	TestGraph *graph;
	OmendbNode entry;
	uint32_t connected;
	double got;

	maker(&random, vectors, c->n + nqueries, c->dimensions);
	graph = make_graph(codec, vectors, c->n);
	graph_build(graph, &options, NULL, &entry, &connected);
	got = graph_recall(graph, entry, vectors, c->n,
					   nqueries > 0 ? vectors + (size_t) c->n * c->dimensions : vectors,
					   nqueries > 0 ? nqueries : 50, 10, 20);
	tap_diag("%s, %s: recall@10 %.4f, %u edges made", c->name, data, got, connected);
	tap_result(got >= c->least, "%s, %s: recall@10 of at least %.3f", c->name, data, c->least);
	tap_result(graph_is_sound(graph, 0, c->n, 0) && graph_reached(graph, entry, 0) == c->n,
			   "%s, %s: the graph is sound and connected", c->name, data);
	tap_result(graph_codes_are_right(graph, c->n), "%s, %s: codes are those of the edges", c->name,
			   data);
	graph_free(graph);
	codec_free(codec);
	free(vectors);
}

/* Do two graphs have the same edges? Their factors may differ by a rounding. */
static bool
same_edges(const TestGraph *a, const TestGraph *b)
{
	const OmendbLayout *layout = &a->codec->layout;

	for (OmendbNode node = 0; node < a->array.n; node++)
	{
		const OmendbRecord *x = graph_record(a, node), *y = graph_record(b, node);

		if (x->count != y->count ||
			memcmp(omendb_record_neighbours(layout, x), omendb_record_neighbours(layout, y),
				   x->count * sizeof(OmendbNode)) != 0)
			return false;
	}
	return true;
}

static void
test_determinism(const Case *c, Maker maker)
{
	OmendbSimdLevel levels[OMENDB_SIMD_LEVELS];
	size_t nlevels = simd_levels(levels);
	OmendbCodec *codec = codec_of_case(c);
	BuildOptions options[] = {
		{.n = c->n, .ef = c->ef_construction, .chunk = 64, .connect = true},
		{.n = c->n, .ef = c->ef_construction, .chunk = 1, .shuffle = 5, .connect = true},
		{.n = c->n, .ef = c->ef_construction, .chunk = 3, .threads = 1, .connect = true},
		{.n = c->n,
		 .ef = c->ef_construction,
		 .chunk = 2,
		 .shuffle = 8,
		 .threads = 3,
		 .connect = true},
	};
	Random random = {c->n};
	float *vectors = malloc((size_t) c->n * c->dimensions * sizeof(float));
	TestGraph *first, *other;
	OmendbNode entry, other_entry;
	uint32_t connected;
	bool same = true;

	maker(&random, vectors, c->n, c->dimensions);
	first = make_graph(codec, vectors, c->n);
	graph_build(first, &options[0], NULL, &entry, &connected);
	for (size_t i = 1; i < LENGTH(options); i++)
	{
		other = make_graph(codec, vectors, c->n);
		graph_build(other, &options[i], NULL, &other_entry, &connected);
		same = same && entry == other_entry && graph_same_records(first, other);
		graph_free(other);
	}
	tap_result(same, "%s: the same graph in any order and by any number of threads", c->name);
	same = true;
	for (size_t i = 0; i < nlevels; i++)
	{
		other = make_graph(codec, vectors, c->n);
		omendb_kernels_use(levels[i]);
		graph_build(other, &options[0], NULL, &other_entry, &connected);
		same = same && entry == other_entry && same_edges(first, other);
		graph_free(other);
	}
	omendb_kernels_use(omendb_best_level(omendb_cpu_features()));
	tap_result(same, "%s: the same edges at every one of %zu levels", c->name, nlevels);
	graph_free(first);
	codec_free(codec);
	free(vectors);
}

/* Numbers of rows around those where the way changes, and the smallest. */
static void
test_sizes(void)
{
	static const uint32_t sizes[] = {1, 2, 3, 8, 9, 255, 257, 2047, 2048, 2049, 2055, 2305};
	bool good = true;

	for (size_t s = 0; s < LENGTH(sizes); s++)
	{
		Case c = {"", OMENDB_METRIC_L2, OMENDB_OWN_INT16, sizes[s], 12, 4, 16, 0};
		OmendbCodec *codec = codec_of_case(&c);
		BuildOptions options = options_of(&c);
		Random random = {s};
		float *vectors = malloc((size_t) c.n * c.dimensions * sizeof(float));
		TestGraph *graph;
		OmendbNode entry;
		uint32_t connected;
		bool sound;

		make_normal(&random, vectors, c.n, c.dimensions);
		graph = make_graph(codec, vectors, c.n);
		sound = graph_build(graph, &options, NULL, &entry, &connected) &&
				graph_is_sound(graph, 0, c.n, 0) && entry < c.n &&
				graph_reached(graph, entry, 0) == c.n;
		if (!sound)
			tap_diag("%u nodes", c.n);
		good = good && sound;
		graph_free(graph);
		codec_free(codec);
		free(vectors);
	}
	tap_result(good, "graphs of 1 to 2305 nodes are sound");
}

/* One vector many times, zeros, and lengths at the ends of what a float holds. */
static void
test_degenerate(void)
{
	static const char *const names[] = {"one vector 3000 times", "zeros and a few others",
										"lengths from 1e-37 to 1e18"};
	const uint32_t n = 3000, d = 20;

	for (int kind = 0; kind < 3; kind++)
		for (int metric = 0; metric < 2; metric++)
		{
			Case c = {names[kind],
					  metric == 0 ? OMENDB_METRIC_L2 : OMENDB_METRIC_IP,
					  OMENDB_OWN_INT16,
					  n,
					  d,
					  4,
					  16,
					  0};
			OmendbCodec *codec = codec_of_case(&c);
			BuildOptions options = options_of(&c);
			Random random = {5};
			float *vectors = malloc((size_t) n * d * sizeof(float));
			TestGraph *graph;
			OmendbNode entry;
			uint32_t connected;

			for (uint32_t i = 0; i < n; i++)
			{
				float times = kind == 0   ? 0
							  : kind == 1 ? (float) (i % 100 == 0)
										  : powf(10, -37 + (float) random_below(&random, 56));

				for (uint32_t k = 0; k < d; k++)
					vectors[(size_t) i * d + k] =
						(kind == 0 ? (float) k : 0) + times * (float) random_normal(&random);
			}
			graph = make_graph(codec, vectors, n);
			tap_result(graph_build(graph, &options, NULL, &entry, &connected) &&
						   graph_is_sound(graph, 0, n, 0) && graph_reached(graph, entry, 0) == n,
					   "%s, %s: the graph is sound and connected", index_metric_name(c.metric),
					   names[kind]);
			graph_free(graph);
			codec_free(codec);
			free(vectors);
		}
}

/* From every point on: false, and nothing is lost. */
static void
test_out_of_memory(void)
{
	const uint32_t n = 2100, d = 4;
	Case c = {"", OMENDB_METRIC_L2, OMENDB_OWN_INT16, n, d, 2, 8, 0};
	OmendbCodec *codec = codec_of_case(&c);
	BuildOptions options = options_of(&c);
	Random random = {60};
	float *vectors = malloc((size_t) n * d * sizeof(float));
	bool told = true, freed = true, succeeded = false;
	long k;

	make_normal(&random, vectors, n, d);
	for (k = 0; k < 400 && !succeeded; k++)
	{
		TestGraph *graph = make_graph(codec, vectors, n);
		TestAllocator allocator;
		OmendbNode entry;
		uint32_t connected;

		allocator_init(&allocator, k);
		succeeded = graph_build(graph, &options, &allocator, &entry, &connected);
		told = told && (succeeded || allocator.calls >= k);
		freed = freed && allocator.live == 0;
		graph_free(graph);
	}
	tap_result(told && succeeded && k > 8, "out of memory is told (%ld places)", k);
	tap_result(freed, "and nothing leaks");
	codec_free(codec);
	free(vectors);
}

/* A level takes at most 1 KB a row beside the records, as long as rows are that short. */
static void
test_memory(void)
{
	bool small = true;

	for (uint32_t d = 1; d <= 800; d++)
	{
		OmendbLayout layout;

		if (!omendb_layout_choose(&layout, OMENDB_METRIC_L2, d, 16, false, TEST_PAGE_BYTES) ||
			omendb_build_bytes(&layout, 1000000, 64) > UINT64_C(1024) * 1000000)
		{
			tap_diag("%u dimensions: %.0f bytes a row", d,
					 (double) omendb_build_bytes(&layout, 1000000, 64) / 1000000);
			small = false;
		}
	}
	tap_result(small, "at most 1 KB a row of 1 to 800 dimensions");
}

int
main(void)
{
	static const Case cases[] = {
		{"l2, 64 dimensions", OMENDB_METRIC_L2, OMENDB_OWN_INT16, 5000, 64, 16, 64, 0.97},
		{"cosine, 100 dimensions", OMENDB_METRIC_COSINE, OMENDB_OWN_INT16, 4000, 100, 16, 64, 0.97},
		{"ip, 48 dimensions", OMENDB_METRIC_IP, OMENDB_OWN_INT16, 4000, 48, 16, 64, 0.97},
		{"cosine, 450 dimensions", OMENDB_METRIC_COSINE, OMENDB_OWN_INT16, 2500, 450, 16, 64, 0.97},
		{"l2, bytes", OMENDB_METRIC_L2, OMENDB_OWN_INT8, 3000, 64, 8, 40, 0.92},
		{"cosine, 4 bits", OMENDB_METRIC_COSINE, OMENDB_OWN_INT4, 3000, 64, 8, 40, 0.9},
		{"l2, 3 dimensions", OMENDB_METRIC_L2, OMENDB_OWN_INT16, 3000, 3, 16, 64, 0.99},
		{"l2, m = 2", OMENDB_METRIC_L2, OMENDB_OWN_INT16, 3000, 8, 2, 8, 0.75},
		{"l2, m = 100", OMENDB_METRIC_L2, OMENDB_OWN_INT16, 3000, 16, 100, 200, 0.99},
		{"l2, 700 rows", OMENDB_METRIC_L2, OMENDB_OWN_INT16, 700, 300, 16, 64, 0.97},
	};
	static const Case hard = {
		"l2, 32 dimensions", OMENDB_METRIC_L2, OMENDB_OWN_INT16, 5000, 32, 16, 64, 0.97};
	/* Small, for every level builds them, the scalar one in an emulator, too. */
	static const Case small = {
		"l2, 2,200 rows", OMENDB_METRIC_L2, OMENDB_OWN_INT16, 2200, 24, 8, 32, 0};
	static const Case small_ip = {
		"ip, 2,200 rows", OMENDB_METRIC_IP, OMENDB_OWN_INT16, 2200, 24, 8, 32, 0};
	static const Case few = {
		"l2, 300 rows", OMENDB_METRIC_L2, OMENDB_OWN_INT16, 300, 100, 16, 64, 0};
	static const Case far = {
		"l2, 32 dimensions", OMENDB_METRIC_L2, OMENDB_OWN_INT16, 5000, 32, 16, 64, 0.7};
	static const Case normal = {
		"l2, 32 dimensions", OMENDB_METRIC_L2, OMENDB_OWN_INT16, 5000, 32, 16, 64, 0.92};
	static const Case hard_ip = {
		"ip, 32 dimensions", OMENDB_METRIC_IP, OMENDB_OWN_INT16, 5000, 32, 16, 64, 0.4};

	omendb_kernels_use(omendb_best_level(omendb_cpu_features()));
	for (size_t i = 0; i < LENGTH(cases); i++)
		test_recall(&cases[i], make_clustered, "clusters", 50);
	test_recall(&far, make_islands, "far clusters", 50);
	test_recall(&normal, make_normal, "no clusters", 50);
	test_recall(&hard, make_lengths, "unequal lengths", 50);
	test_recall(&hard_ip, make_lengths, "unequal lengths", 50);
	test_recall(&normal, make_copies, "half are copies", 50);
	test_recall(&hard, make_sorted, "sorted rows", 0);
	test_determinism(&small, make_clustered);
	test_determinism(&small_ip, make_clustered);
	test_determinism(&small, make_lengths);
	test_determinism(&small, make_islands);
	test_determinism(&few, make_clustered);
	test_sizes();
	test_degenerate();
	test_out_of_memory();
	test_memory();
	return tap_done();
}
