/*
 * test_graph_build.c
 *	  Whole graphs built in memory: good enough to find neighbours by, the same
 *	  in whatever order and by how many threads, sound and connected.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "index_support.h"
#include "tap.h"

#define MAX_DIM 64

/* Of vectors with a center each: `clusters` of them, `spread` around. */
static void
clustered(Random *random, float *out, uint32_t n, uint32_t dimensions, uint32_t clusters,
		  double spread)
{
	float *centers = malloc((size_t) clusters * dimensions * sizeof(float));

	for (size_t i = 0; i < (size_t) clusters * dimensions; i++)
		centers[i] = (float) random_normal(random);
	for (uint32_t i = 0; i < n; i++)
	{
		const float *center = centers + random_below(random, clusters) * dimensions;

		for (uint32_t k = 0; k < dimensions; k++)
			out[(size_t) i * dimensions + k] = (float) (center[k] + spread * random_normal(random));
	}
	free(centers);
}

/* The same as bits: the signs, in as many bytes as each vector has floats. */
static void
to_bits(float *vectors, uint32_t n, uint32_t dimensions)
{
	uint8_t bits[MAX_DIM / 8];

	for (uint32_t i = 0; i < n; i++)
	{
		float *vector = vectors + (size_t) i * dimensions;

		memset(bits, 0, sizeof(bits));
		for (uint32_t k = 0; k < dimensions; k++)
			bits[k / 8] |= (vector[k] > 0) << (7 - k % 8);
		memcpy(vector, bits, dimensions / 8);
	}
}

static OmendbCodec *
make_codec(OmendbMetric metric, OmendbOwn own, uint32_t dimensions, uint32_t m)
{
	return codec_new(metric, metric_is_bits(metric) ? OMENDB_OWN_BITS : own, dimensions, m,
					 metric_is_plain(metric) ? 0 : 64);
}

static double
exact_distance(OmendbMetric metric, const void *a, const void *b, uint32_t dimensions)
{
	const float *x = a, *y = b;
	double l2 = 0, l1 = 0, dot = 0, norm_x = 0, norm_y = 0;
	BitReference bits;

	if (metric_is_bits(metric))
	{
		bits = reference_bits(a, b, dimensions / 8);
		return metric == OMENDB_METRIC_HAMMING ? (double) bits.differ
			   : bits.both == 0                ? 1
											   : 1 - (double) bits.both / (double) bits.either;
	}
	for (uint32_t i = 0; i < dimensions; i++)
	{
		l2 += ((double) x[i] - y[i]) * ((double) x[i] - y[i]);
		l1 += fabs((double) x[i] - y[i]);
		dot += (double) x[i] * y[i];
		norm_x += (double) x[i] * x[i];
		norm_y += (double) y[i] * y[i];
	}
	return metric == OMENDB_METRIC_L2   ? l2
		   : metric == OMENDB_METRIC_IP ? -dot
		   : metric == OMENDB_METRIC_L1 ? l1
										: 1 - dot / sqrt(norm_x * norm_y);
}

/*
 * Of the k nearest by brute force, the share that a search finds. What is as
 * near as the k-th counts as well (bits have many of one distance).
 */
static double
recall(const TestGraph *graph, OmendbNode entry, const float *vectors, uint32_t n,
	   const float *queries, uint32_t nqueries, uint32_t k, uint32_t ef)
{
	const OmendbLayout *layout = &graph->codec->layout;
	uint32_t d = layout->dimensions;
	OmendbQuery *query = query_new(graph->codec);
	TestAllocator allocator;
	OmendbSearch search;
	uint32_t found = 0;
	double *nearest = malloc((k + 1) * sizeof(double));

	allocator_init(&allocator, -1);
	omendb_search_init(&search, &omendb_array_ops, (void *) &graph->array, &allocator.operations,
					   omendb_layout_is_coded(layout));
	for (uint32_t q = 0; q < nqueries; q++)
	{
		const float *at = queries + (size_t) q * d;
		uint32_t used = 0, hits = 0;

		for (uint32_t i = 0; i < n; i++)
		{
			double distance = exact_distance(layout->metric, at, vectors + (size_t) i * d, d);
			uint32_t place = used < k ? used++ : k;

			for (; place > 0 && nearest[place - 1] > distance; place--)
				nearest[place] = nearest[place - 1];
			nearest[place] = distance;
		}
		if (metric_is_bits(layout->metric))
			omendb_query_set_bits(query, (const uint8_t *) at);
		else
			omendb_query_set(query, at);
		omendb_search_begin(&search, query, 0, omendb_layout_is_coded(layout) ? 2 * ef + 8 : ef);
		omendb_search_enter(&search, entry);
		omendb_search_run(&search);
		/* The scan returns the k best of all that were visited, rechecked. */
		for (size_t i = 0; i < search.visited_used; i++)
			hits +=
				exact_distance(layout->metric, at, vectors + (size_t) search.visited[i].node * d,
							   d) <= nearest[used - 1];
		found += hits < used ? hits : used;
	}
	omendb_search_free(&search);
	query_free(query);
	free(nearest);
	return found / (double) (nqueries * (k < n ? k : n));
}

/* Links within the level, each once, none to itself; as many as allowed. */
static bool
is_sound(const TestGraph *graph, OmendbNode first, uint32_t n, unsigned level)
{
	const OmendbLayout *layout = &graph->codec->layout;
	uint32_t most = level == 0 ? layout->links : layout->m;
	uint8_t *seen = calloc(graph->array.n, 1);
	bool good = true;

	for (OmendbNode node = first; node < first + n; node++)
	{
		const OmendbRecord *record = graph_record(graph, node);
		const OmendbNode *neighbours = omendb_record_neighbours(layout, record);

		good = good && record->count <= most && (n < 2 || record->count > 0);
		for (uint32_t i = 0; i < record->count; i++)
		{
			good = good && neighbours[i] >= first && neighbours[i] < first + n &&
				   neighbours[i] != node && !seen[neighbours[i]];
			if (!good)
				break;
			seen[neighbours[i]] = 1;
		}
		for (uint32_t i = 0; i < record->count && good; i++)
			seen[neighbours[i]] = 0;
	}
	free(seen);
	return good;
}

/* Are the codes of a built record those of its links? */
static bool
codes_are_right(const TestGraph *graph, uint32_t n)
{
	OmendbCodec *codec = graph->codec;
	const OmendbLayout *layout = &codec->layout;
	OmendbRecord *again = record_new(codec);
	size_t room = MAX_DIM + omendb_code_floats(codec);
	float *floats = malloc(6 * room * sizeof(float));
	float *v_stored = floats, *x_stored = v_stored + room, *scratch = x_stored + room;
	float *v_code = scratch + 2 * room, *x_code = v_code + room;
	const float *v, *x;
	bool good = true;

	for (OmendbNode node = 0; node < n && good; node += 7)
	{
		const OmendbRecord *record = graph_record(graph, node);

		memcpy(again, record, layout->record_bytes);
		memset((uint8_t *) again + layout->factor_a_offset, 0xEE,
			   layout->record_bytes - layout->factor_a_offset);
		omendb_own_decode(codec, record, v_stored);
		v = omendb_code_vector(codec, v_stored, v_code);
		for (uint32_t i = 0; i < record->count; i++)
		{
			OmendbNode other = omendb_record_neighbours(layout, record)[i];
			float a, b, slack = 0;
			uint16_t was;

			omendb_own_decode(codec, graph_record(graph, other), x_stored);
			x = omendb_code_vector(codec, x_stored, x_code);
			omendb_edge_encode(
				codec, again, i, other, v, x,
				omendb_own_distance(codec, record, graph_record(graph, other), scratch),
				record->norm2, graph_record(graph, other)->norm2);
			/*
			 * A link's distance may be that of a query, a rounding apart; then b
			 * may have been rounded the other way, and a is made from b.
			 */
			was = omendb_record_factor_b(layout, record)[i];
			a = omendb_record_factor_a(layout, record)[i];
			b = omendb_record_factor_a(layout, again)[i];
			if (was != omendb_record_factor_b(layout, again)[i])
				for (uint32_t k = 0; k < layout->code_bits; k++)
					slack += fabsf(v[k]) / 64;
			good = good && abs(was - omendb_record_factor_b(layout, again)[i]) <= 1 &&
				   fabsf(a - b) <= 1e-4f * (fabsf(a) + fabsf(b)) + 1e-4f + slack &&
				   memcmp(omendb_record_code(layout, record, i),
						  omendb_record_code(layout, again, i), omendb_code_bytes(layout)) == 0;
			if (!good)
			{
				tap_diag("link %u of node %u: a %g and %g, b %04x and %04x", i, node, a, b, was,
						 omendb_record_factor_b(layout, again)[i]);
				break;
			}
		}
	}
	free(floats);
	free(again);
	return good;
}

static void
test_recall(OmendbMetric metric, OmendbOwn own, uint32_t dimensions, double least)
{
	const uint32_t n = 2000, nqueries = 100;
	const char *name = index_metric_name(metric);
	OmendbCodec *codec = make_codec(metric, own, dimensions, 8);
	TestGraph *graph = graph_new(codec, n);
	BuildOptions options = {.n = n, .ef = 40, .passes = 1, .chunk = 64, .connect = true};
	Random random = {metric};
	float *vectors = malloc((size_t) (n + nqueries) * dimensions * sizeof(float));
	OmendbNode entry;
	uint32_t linked;
	double got;

	clustered(&random, vectors, n + nqueries, dimensions, 40, 1);
	if (metric_is_bits(metric))
		to_bits(vectors, n + nqueries, dimensions);
	for (uint32_t i = 0; i < n; i++)
		graph_set(graph, i, 0, vectors + (size_t) i * dimensions);
	graph_build(graph, &options, NULL, &entry, &linked);
	got = recall(graph, entry, vectors, n, vectors + (size_t) n * dimensions, nqueries, 10, 10);
	tap_diag("%s own %d: recall@10 %.4f, %u links made", name, own, got, linked);
	tap_result(got >= least, "%s, %s: recall@10 of at least %.3f", name, own_name(own), least);
	tap_result(is_sound(graph, 0, n, 0) && graph_reached(graph, entry, 0) == n,
			   "%s, %s: the graph is sound and connected", name, own_name(own));
	if (!metric_is_plain(metric))
		tap_result(codes_are_right(graph, n), "%s, %s: codes are those of the links", name,
				   own_name(own));
	free(vectors);
	graph_free(graph);
	codec_free(codec);
}

static bool
same_records(const TestGraph *a, const TestGraph *b)
{
	for (OmendbNode node = 0; node < a->array.n; node++)
		if (memcmp(graph_record(a, node), graph_record(b, node), a->codec->layout.record_bytes) !=
			0)
			return false;
	return true;
}

/* Chunks of other sizes, in other orders, by several threads: not a byte differs. */
static void
test_determinism(OmendbMetric metric)
{
	const uint32_t n = 700, d = 32;
	OmendbCodec *codec = make_codec(metric, metric_own(metric), d, 6);
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
	uint32_t linked[5];

	clustered(&random, vectors, n, d, 20, 0.4);
	if (metric_is_bits(metric))
		to_bits(vectors, n, d);
	for (int g = 0; g < 5; g++)
	{
		graphs[g] = graph_new(codec, n);
		for (uint32_t i = 0; i < n; i++)
			graph_set(graphs[g], i, 0, vectors + (size_t) i * d);
		graph_build(graphs[g], &options[g], NULL, &entries[g], &linked[g]);
		if (g > 0)
			tap_result(same_records(graphs[0], graphs[g]) && entries[g] == entries[0] &&
						   linked[g] == linked[0],
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
	OmendbCodec *codec = make_codec(metric, metric_own(metric), d, m);
	TestGraph *graph = graph_new(codec, n);
	BuildOptions options = {.n = n, .ef = 2 * m, .passes = 1, .chunk = 64};
	Random random = {30};
	float center[16], x[16];
	OmendbNode entry;
	uint32_t linked, before;

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
	graph_build(graph, &options, NULL, &entry, &linked);
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
	graph_build(graph, &options, NULL, &entry, &linked);
	tap_diag("%s, %u clusters of %u%s, m = %u: %u reached before, %u after, by %u links",
			 index_metric_name(metric), clusters, n / clusters, duplicates ? " alike" : "", m,
			 before, graph_reached(graph, entry, 0), linked);
	tap_result(graph_reached(graph, entry, 0) == n && is_sound(graph, 0, n, 0),
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
		OmendbCodec *codec = make_codec(metric, metric_own(metric), d, 4);
		TestGraph *graph = graph_new(codec, n);
		BuildOptions options = {.n = n, .ef = 16, .passes = 1, .chunk = 10, .connect = true};
		Random random = {s};
		float *vectors = malloc((size_t) n * d * sizeof(float));
		OmendbNode entry;
		uint32_t linked;
		bool sound;

		clustered(&random, vectors, n, d, 1, 1);
		if (metric_is_bits(metric))
			to_bits(vectors, n, d);
		for (uint32_t i = 0; i < n; i++)
			graph_set(graph, i, 0, vectors + (size_t) i * d);
		sound = graph_build(graph, &options, NULL, &entry, &linked) && is_sound(graph, 0, n, 0) &&
				entry < n && graph_reached(graph, entry, 0) == n;
		if (!sound)
			tap_diag("%u nodes", n);
		good = good && sound;
		found = found && recall(graph, entry, vectors, n, vectors, n < 20 ? n : 20, n < 5 ? n : 5,
								40) > 0.95;
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
	OmendbCodec *codec = make_codec(metric, metric_own(metric), d, 8);
	TestGraph *graph = graph_new(codec, n);
	BuildOptions options = {.n = n, .ef = 20, .passes = 1, .chunk = 64, .connect = true};
	Random random = {40};
	float x[16];
	OmendbNode entry;
	uint32_t linked;

	for (uint32_t i = 0; i < n; i++)
	{
		for (uint32_t k = 0; k < d; k++)
			x[k] = 1 + (float) random_below(&random, kinds);
		if (metric_is_bits(metric))
			memset(x, (int) random_below(&random, kinds), sizeof(x));
		graph_set(graph, i, 0, x);
	}
	graph_build(graph, &options, NULL, &entry, &linked);
	tap_result(is_sound(graph, 0, n, 0) && graph_reached(graph, entry, 0) == n, "%s: %s",
			   index_metric_name(metric),
			   kinds == 1 ? "one vector 600 times" : "many equal distances");
	graph_free(graph);
	codec_free(codec);
}

/* Where there is room a link goes both ways, after the rounds as after a pass. */
static void
test_both_ways(OmendbMetric metric, uint32_t passes)
{
	const uint32_t n = 500, d = 16;
	OmendbCodec *codec = make_codec(metric, metric_own(metric), d, 100);
	const OmendbLayout *layout = &codec->layout;
	TestGraph *graph = graph_new(codec, n);
	BuildOptions options = {.n = n, .ef = 10, .passes = passes, .chunk = 64};
	Random random = {70};
	float x[16];
	OmendbNode entry;
	uint32_t linked, links = 0, missing = 0;

	for (uint32_t i = 0; i < n; i++)
	{
		random_floats(&random, DIST_NORMAL, x, d);
		graph_set(graph, i, 0, x);
	}
	graph_build(graph, &options, NULL, &entry, &linked);
	for (OmendbNode node = 0; node < n; node++)
		for (uint32_t i = 0; i < graph_record(graph, node)->count; i++)
		{
			OmendbNode other = omendb_record_neighbours(layout, graph_record(graph, node))[i];
			const OmendbRecord *back = graph_record(graph, other);
			bool found = back->count == layout->links;

			for (uint32_t k = 0; k < back->count; k++)
				found = found || omendb_record_neighbours(layout, back)[k] == node;
			links++;
			missing += !found;
		}
	tap_result(missing == 0 && links > 10 * n, "%s, %u passes: links go both ways",
			   index_metric_name(metric), passes);
	graph_free(graph);
	codec_free(codec);
}

/* A level above another in the same array, with half of the links. */
static void
test_upper_level(OmendbMetric metric)
{
	const uint32_t n = 400, upper = 150, d = 32;
	OmendbCodec *codec = make_codec(metric, metric_own(metric), d, 6);
	TestGraph *graph = graph_new(codec, n + upper);
	BuildOptions lower = {.n = n, .ef = 24, .passes = 1, .chunk = 64, .connect = true};
	BuildOptions higher = {
		.first = n, .n = upper, .level = 1, .ef = 24, .passes = 1, .chunk = 64, .connect = true};
	Random random = {50};
	float *vectors = malloc((size_t) n * d * sizeof(float));
	OmendbRecord *below = record_new(codec);
	OmendbNode entry;
	uint32_t linked;
	bool good;

	clustered(&random, vectors, n, d, 10, 0.5);
	for (uint32_t i = 0; i < n; i++)
		graph_set(graph, i, 0, vectors + (size_t) i * d);
	for (uint32_t i = 0; i < upper; i++)
	{
		graph_set(graph, n + i, 1, vectors + (size_t) i * d);
		graph_record(graph, n + i)->down = i;
	}
	graph_build(graph, &lower, NULL, &entry, &linked);
	good = entry < n && graph_reached(graph, entry, 0) == n;
	memcpy(below, graph_record(graph, 3), codec->layout.record_bytes);
	graph_build(graph, &higher, NULL, &entry, &linked);
	good = good && entry >= n && graph_reached(graph, entry, 1) == upper &&
		   is_sound(graph, 0, n, 0) && is_sound(graph, n, upper, 1) &&
		   memcmp(below, graph_record(graph, 3), codec->layout.record_bytes) == 0;
	tap_result(good, "%s: an upper level has links of its own", index_metric_name(metric));
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
	OmendbCodec *codec = make_codec(OMENDB_METRIC_L2, OMENDB_OWN_INT16, d, 4);
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
		uint32_t linked;

		for (uint32_t i = 0; i < n; i++)
		{
			random_floats(&random, DIST_NORMAL, x, d);
			graph_set(graph, i, 0, x);
		}
		allocator_init(&allocator, k);
		succeeded = graph_build(graph, &options, &allocator, &entry, &linked);
		told = told && (succeeded || allocator.calls == k);
		freed = freed && allocator.live == 0;
	}
	tap_result(told && succeeded && k > 8, "out of memory is told (%ld places)", k);
	tap_result(freed, "and nothing leaks");
	graph_free(graph);
	codec_free(codec);
}

/* Steps are rounds that double, then passes over all. */
static void
test_steps(void)
{
	OmendbBuildLevel level = {.n = 300};
	static const uint32_t from[] = {0, 64, 128, 256, 0, 0};
	static const uint32_t to[] = {64, 128, 256, 300, 300, 300};
	bool good = true;

	for (uint32_t step = 0; step < 6; step++)
		good = good && omendb_build_step(&level, step, 2) && level.from == from[step] &&
			   level.to == to[step] && level.refines == (step > 3) &&
			   level.joined == (step > 3 ? 300 : from[step]) &&
			   omendb_build_phase_size(&level, OMENDB_BUILD_SEARCH) == to[step] - from[step] &&
			   omendb_build_phase_size(&level, OMENDB_BUILD_MERGE) == to[step];
	tap_result(good && !omendb_build_step(&level, 6, 2) && !omendb_build_step(&level, 4, 0),
			   "rounds double, then all are refined");
	level.n = 64;
	tap_result(omendb_build_step(&level, 0, 2) && !omendb_build_step(&level, 1, 2),
			   "a single round needs no refining");
}

/* All join once, later ones after, and the order is the seed's. */
static void
test_order(void)
{
	OmendbBuildLevel level = {.n = 1000, .links = 4, .seed = 9};
	void *memory = malloc(omendb_build_level_bytes(1000, 4));
	uint8_t seen[1000] = {0};
	uint32_t first;
	bool once = true;
	int in_place = 0;

	omendb_build_level_attach(&level, memory);
	omendb_build_level_init(&level);
	for (int i = 0; i < 1000; i++)
	{
		once = once && level.order[i] < 1000 && !seen[level.order[i]];
		if (level.order[i] < 1000)
			seen[level.order[i]] = 1;
		/* Sorted input must not join in its order. */
		in_place += abs((int) level.order[i] - i) < 20;
	}
	first = level.order[0];
	level.seed = 10;
	omendb_build_level_init(&level);
	tap_result(once && in_place < 200 && first != level.order[0],
			   "all join, in an order that the seed makes");
	free(memory);
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
	test_both_ways(OMENDB_METRIC_L2, 0);
	test_both_ways(OMENDB_METRIC_L2, 1);
	test_both_ways(OMENDB_METRIC_L1, 0);
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
