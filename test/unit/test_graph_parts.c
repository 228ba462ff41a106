/*
 * test_graph_parts.c
 *	  A level that is built in parts: as good as one in memory, the same at every instruction
 *	  set, and whatever memory groups of clusters and records of other parts have.
 */
#include <stdlib.h>
#include <string.h>

#include "graph/parts.h"
#include "graph_support.h"
#include "tap.h"

#define PARTS 5

typedef struct Memory
{
	uint32_t window;  /* records of a part */
	uint32_t outside; /* of other parts */
	uint32_t group;   /* members of clusters */
} Memory;

typedef struct Parts
{
	TestGraph *nodes;  /* what the caller has in files */
	TestGraph *memory; /* what is in memory */
	OmendbBuildLevel level;
	TestAllocator allocator;
	OmendbBuilder *builder;
	void *level_memory;
	uint32_t *found; /* of each node, of each of its clusters */
	size_t found_bytes;
} Parts;

static size_t
prefix(const Parts *parts)
{
	return parts->nodes->codec->layout.neighbours_offset;
}

/* Node `from` of those kept as record `at` in memory. */
static void
load(Parts *parts, uint32_t from, uint32_t at)
{
	memcpy(graph_record(parts->memory, at), graph_record(parts->nodes, from), prefix(parts));
}

static void
run_phase(Parts *parts)
{
	uint32_t size = omendb_build_phase_size(&parts->level);

	/* backwards: the order must not matter */
	for (uint32_t i = size; i > 0; i--)
		if (!omendb_build_chunk(parts->builder, &parts->level, i - 1, i))
			abort();
}

static void
run_window(Parts *parts, uint32_t first, uint32_t n)
{
	omendb_parts_begin_window(&parts->level, first, n);
	for (;;)
	{
		if (!omendb_build_next(parts->builder, &parts->level))
			abort();
		if (parts->level.phase == OMENDB_BUILD_DONE)
			break;
		run_phase(parts);
	}
}

static void
open_parts(Parts *parts, OmendbCodec *codec, uint32_t n, const Memory *memory)
{
	OmendbBuildLevel *level = &parts->level;
	size_t bytes;

	memset(parts, 0, sizeof(*parts));
	parts->nodes = graph_new(codec, n);
	parts->memory = graph_new(codec, memory->window + memory->outside);
	allocator_init(&parts->allocator, -1);
	parts->builder = omendb_builder_create(&parts->memory->array, &parts->allocator.operations);
	level->array = &parts->memory->array;
	level->edges = codec->layout.edges;
	level->options.ef_construction = 64;
	level->options.seed = 7;
	bytes = omendb_parts_prepare(level, n, memory->window, memory->outside, memory->group);
	parts->level_memory = aligned_alloc(64, (bytes + 63) / 64 * 64);
	omendb_build_attach(level, parts->level_memory);
	parts->found_bytes = omendb_parts_found_bytes(level);
	parts->found = malloc(parts->found_bytes * level->bulk.shape.fanout[0] * n);
}

static void
close_parts(Parts *parts)
{
	omendb_builder_free(parts->builder);
	if (parts->allocator.live != 0)
		abort();
	free(parts->level_memory);
	free(parts->found);
	graph_free(parts->memory);
	graph_free(parts->nodes);
}

/*
 * The vectors in the order of parts. starts: of the parts. Returns the largest part's
 * share of its even share.
 */
static double
sort_into_parts(Parts *parts, float *vectors, uint32_t n, uint32_t window, uint32_t *starts)
{
	uint32_t d = parts->nodes->codec->layout.dimensions;
	float *sorted = malloc((size_t) n * d * sizeof(float));
	uint32_t *part = malloc(n * sizeof(uint32_t));
	uint16_t part_of[OMENDB_BULK_LEADERS];
	uint32_t at = 0;
	uint32_t largest = 0;
	uint32_t count;

	for (uint32_t i = 0; i < n; i++)
		graph_set(parts->nodes, i, 0, vectors + (size_t) i * d);
	for (uint32_t i = 0; i < window; i++)
		load(parts, (uint32_t) ((uint64_t) i * n / window), i);
	run_window(parts, 0, window);
	if (!omendb_parts_assign_leaders(&parts->level, &parts->allocator.operations, PARTS, part_of))
		abort();
	for (uint32_t from = 0; from < n; from += count)
	{
		count = n - from < window ? n - from : window;
		for (uint32_t i = 0; i < count; i++)
			load(parts, from + i, i);
		run_window(parts, 0, count);
		for (uint32_t i = 0; i < count; i++)
			part[from + i] = omendb_parts_of(&parts->level, part_of, i);
	}
	for (uint32_t p = 0; p < PARTS; p++)
	{
		starts[p] = at;
		for (uint32_t i = 0; i < n; i++)
			if (part[i] == p)
				memcpy(sorted + (size_t) at++ * d, vectors + (size_t) i * d, d * sizeof(float));
		largest = at - starts[p] > largest ? at - starts[p] : largest;
	}
	starts[PARTS] = at;
	memcpy(vectors, sorted, (size_t) n * d * sizeof(float));
	for (uint32_t i = 0; i < n; i++)
		graph_set(parts->nodes, i, 0, vectors + (size_t) i * d);
	free(sorted);
	free(part);
	return (double) largest * PARTS / n;
}

static void
find_candidates(Parts *parts)
{
	uint32_t fanout = parts->level.bulk.shape.fanout[0];

	omendb_parts_count_clusters(&parts->level);
	while (omendb_parts_next_batch(&parts->level))
	{
		run_phase(parts);
		for (uint32_t i = 0; i < parts->level.bulk.batch.members; i++)
		{
			uint32_t node, which;
			const uint32_t *candidates;

			omendb_parts_found(&parts->level, i, &node, &which, &candidates);
			memcpy((char *) parts->found + ((size_t) node * fanout + which) * parts->found_bytes,
				   candidates, parts->found_bytes);
		}
	}
}

/* Mark the nodes outside of the part that edges lead to. */
static void
mark_wanted(const Parts *parts, uint32_t first, uint32_t n, bool *wanted)
{
	memset(wanted, 0, parts->nodes->array.n * sizeof(bool));
	for (uint32_t i = 0; i < n; i++)
	{
		const OmendbRecord *record = graph_record(parts->memory, i);

		for (uint32_t k = 0; k < record->count; k++)
		{
			OmendbNode node = omendb_record_neighbours(&parts->nodes->codec->layout, record)[k];

			wanted[node] = node < first || node >= first + n;
		}
	}
}

/* The edges of a part's nodes, and these back to those kept. */
static void
choose_edges(Parts *parts, uint32_t first, uint32_t n, uint32_t outside)
{
	uint32_t fanout = parts->level.bulk.shape.fanout[0];
	uint32_t node = 0;
	bool begun = false;
	bool *wanted = malloc(parts->nodes->array.n * sizeof(bool));

	for (uint32_t i = 0; i < n; i++)
		load(parts, first + i, i);
	omendb_parts_begin_choice(&parts->level, first, n);
	for (uint32_t i = 0; i < n; i++)
		for (uint32_t k = 0; k < fanout; k++)
			memcpy(omendb_parts_candidates(&parts->level, first + i, k),
				   (char *) parts->found + ((size_t) (first + i) * fanout + k) * parts->found_bytes,
				   parts->found_bytes);
	run_phase(parts);
	mark_wanted(parts, first, n, wanted);
	do
	{
		uint32_t count = 0;

		for (; node < parts->nodes->array.n && count < outside; node++)
			if (wanted[node])
			{
				load(parts, node, n + count);
				parts->level.bulk.outside.nodes[count++] = node;
			}
		omendb_parts_begin_encoding(&parts->level, count, !begun);
		run_phase(parts);
		begun = true;
	} while (node < parts->nodes->array.n);
	free(wanted);
	for (uint32_t i = 0; i < n; i++)
		memcpy(graph_record(parts->nodes, first + i), graph_record(parts->memory, i),
			   parts->nodes->codec->layout.record_bytes);
}

static void
build(Parts *parts, const uint32_t *starts, const Memory *memory)
{
	for (uint32_t p = 0; p < PARTS; p++)
	{
		for (uint32_t i = starts[p]; i < starts[p + 1]; i++)
			load(parts, i, i - starts[p]);
		run_window(parts, starts[p], starts[p + 1] - starts[p]);
	}
	parts->level.n = starts[PARTS];
	for (uint32_t s = 0; s < parts->level.bulk.leaders.n; s++)
		parts->level.bulk.leaders.nodes[s] =
			(uint32_t) ((uint64_t) s * parts->level.n / parts->level.bulk.leaders.n);
	find_candidates(parts);
	for (uint32_t p = 0; p < PARTS; p++)
		choose_edges(parts, starts[p], starts[p + 1] - starts[p], memory->outside);
}

static void
test_parts(OmendbMetric metric, uint32_t dimensions, uint32_t clusters, double spread, double most)
{
	const uint32_t n = 6000;
	const uint32_t nqueries = 100;
	/* The last one cuts clusters up: that changes edges. */
	const Memory memories[] = {
		{2500, 600, 60000}, {2500, 6000, 9000}, {2500, 100, 6000}, {2500, 600, 500}};
	OmendbCodec *codec = graph_codec(metric, OMENDB_OWN_INT16, dimensions, 16);
	Random random = {dimensions + clusters};
	float *vectors = malloc((size_t) (n + nqueries) * dimensions * sizeof(float));
	const float *queries = vectors + (size_t) n * dimensions;
	OmendbSimdLevel levels[OMENDB_SIMD_LEVELS];
	size_t nlevels = simd_levels(levels);
	BuildOptions options = {.n = n, .ef = 64, .chunk = 7, .connect = true};
	TestGraph *whole;
	Parts first, other;
	uint32_t starts[PARTS + 1];
	OmendbNode entry;
	uint32_t connected;
	double want, got, largest;
	bool same = true;
	bool sound = false;

	graph_clustered(&random, vectors, n + nqueries, dimensions, clusters, spread);
	open_parts(&first, codec, n, &memories[0]);
	largest = sort_into_parts(&first, vectors, n, memories[0].window, starts);
	tap_diag("the largest part has %.2f of its share", largest);
	tap_result(largest <= 1.5, "%u clusters: parts are of about equal size", clusters);
	close_parts(&first);

	whole = graph_new(codec, n);
	for (uint32_t i = 0; i < n; i++)
		graph_set(whole, i, 0, vectors + (size_t) i * dimensions);
	graph_build(whole, &options, NULL, &entry, &connected);
	want = graph_recall(whole, entry, vectors, n, queries, nqueries, 10, 40);
	graph_free(whole);

	for (size_t i = 0; i < LENGTH(memories) + nlevels; i++)
	{
		const Memory *memory = &memories[i < LENGTH(memories) ? i : 0];
		Parts *parts = i == 0 ? &first : &other;
		bool equal = true;

		if (i >= LENGTH(memories))
			omendb_kernels_use(levels[i - LENGTH(memories)]);
		open_parts(parts, codec, n, memory);
		for (uint32_t k = 0; k < n; k++)
			graph_set(parts->nodes, k, 0, vectors + (size_t) k * dimensions);
		/* leaders */
		for (uint32_t k = 0; k < memory->window; k++)
			load(parts, (uint32_t) ((uint64_t) k * n / memory->window), k);
		run_window(parts, 0, memory->window);
		build(parts, starts, memory);
		if (i == 0)
			continue;
		for (OmendbNode node = 0; node < n && equal; node++)
		{
			const OmendbRecord *x = graph_record(first.nodes, node);
			const OmendbRecord *y = graph_record(other.nodes, node);

			equal = x->count == y->count && memcmp(omendb_record_neighbours(&codec->layout, x),
												   omendb_record_neighbours(&codec->layout, y),
												   x->count * sizeof(OmendbNode)) == 0;
		}
		if (memory->group < n)
			sound = graph_is_sound(other.nodes, 0, n, 0) && graph_codes_are_right(other.nodes, n) &&
					graph_recall(other.nodes, 0, vectors, n, queries, nqueries, 10, 40) >=
						want - 2 * most;
		else
			same = same && equal;
		close_parts(&other);
	}
	omendb_kernels_use(omendb_best_level(omendb_cpu_features()));
	tap_result(same, "%u clusters: the same edges with any memory and at all %zu levels", clusters,
			   nlevels);
	tap_result(graph_is_sound(first.nodes, 0, n, 0), "%u clusters: edges are sound", clusters);
	tap_result(graph_codes_are_right(first.nodes, n), "%u clusters: codes are those of the edges",
			   clusters);
	tap_result(sound, "%u clusters: and so where clusters are cut up", clusters);
	got = graph_recall(first.nodes, 0, vectors, n, queries, nqueries, 10, 40);
	tap_diag("recall@10 in parts %.4f, in memory %.4f", got, want);
	tap_result(got >= want - most, "%u clusters: recall as in memory", clusters);
	close_parts(&first);
	codec_free(codec);
	free(vectors);
}

int
main(void)
{
	omendb_kernels_use(omendb_best_level(omendb_cpu_features()));
	test_parts(OMENDB_METRIC_L2, 24, 40, 1, 0.01);
	test_parts(OMENDB_METRIC_COSINE, 100, 300, 1, 0.01);
	test_parts(OMENDB_METRIC_IP, 48, 1, 1, 0.01);
	return tap_done();
}
