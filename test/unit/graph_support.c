/*
 * graph_support.c
 *	  Vectors to build graphs of, and what is to be said of a graph.
 */
#include "graph_support.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tap.h"

/* Of vectors with a center each: `clusters` of them, `spread` around. */
void
graph_clustered(Random *random, float *out, uint32_t n, uint32_t dimensions, uint32_t clusters,
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
void
graph_to_bits(float *vectors, uint32_t n, uint32_t dimensions)
{
	uint8_t bits[OMENDB_MAX_DIM / 8];

	for (uint32_t i = 0; i < n; i++)
	{
		float *vector = vectors + (size_t) i * dimensions;

		memset(bits, 0, sizeof(bits));
		for (uint32_t k = 0; k < dimensions; k++)
			bits[k / 8] |= (vector[k] > 0) << (7 - k % 8);
		memcpy(vector, bits, dimensions / 8);
	}
}

OmendbCodec *
graph_codec(OmendbMetric metric, OmendbOwn own, uint32_t dimensions, uint32_t m)
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
double
graph_recall(const TestGraph *graph, OmendbNode entry, const float *vectors, uint32_t n,
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

/* Edges within the level, each once, none to itself; as many as allowed. */
bool
graph_is_sound(const TestGraph *graph, OmendbNode first, uint32_t n, unsigned level)
{
	const OmendbLayout *layout = &graph->codec->layout;
	uint32_t most = level == 0 ? layout->edges : layout->m;
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
		for (uint32_t i = record->count; i < layout->edges; i++)
			good = good && neighbours[i] == 0;
	}
	free(seen);
	return good;
}

/*
 * Is the code of an edge right? v and x: of node and neighbour in code space. Factors have
 * to fit the bits there are (codec.h has the formulas).
 */
static bool
edge_is_right(const OmendbCodec *codec, const OmendbRecord *record, uint32_t edge,
			  const OmendbRecord *neighbour, float distance, const float *v, const float *x)
{
	const OmendbLayout *layout = &codec->layout;
	const uint8_t *code = omendb_record_code(layout, record, edge);
	bool ip = layout->metric == OMENDB_METRIC_IP;
	double b = omendb_edge_slope(layout, record, edge);
	double t = omendb_edge_shift(layout, record, edge);
	double least = omendb_edge_slope_least(record);
	double r2 = ip ? (double) record->norm2 + neighbour->norm2 + 2.0 * distance : distance;
	double base = ip ? (double) record->norm2 + distance : distance;
	uint8_t fresh[OMENDB_MAX_CODE / 8];
	double of_v, of_x, magnitude_v, magnitude_x, residual, loss, want;
	float unused;

	omendb_kernels.residual_code(v, x, &codec->plan, fresh, &unused, &unused);
	if (memcmp(code, fresh, omendb_code_bytes(layout)) != 0)
	{
		tap_diag("not the nearest codewords");
		return false;
	}
	omendb_code_product(&codec->plan, code, v, &of_v, &magnitude_v);
	omendb_code_product(&codec->plan, code, x, &of_x, &magnitude_x);
	residual = of_x - of_v;
	loss = 16 * FLT_EPSILON * (magnitude_v + magnitude_x);
	/* The residual's length is a difference, of which little may be left. */
	if (-b > least && fabs(t - (base / b - of_v)) >
						  omendb_edge_shift_unit(record) - (1e-4 * fabs(base) + 1e-6) / b + loss)
	{
		tap_diag("t %g for %g", t, base / b - of_v);
		return false;
	}
	want = (ip ? -1 : -2) * r2 / residual;
	if (residual > loss * 100 && fabs(b - want) > fabs(want) / 31 + 0.003 * fabs(want) + least)
	{
		tap_diag("b %g for %g", b, want);
		return false;
	}
	return true;
}

bool
graph_codes_are_right(const TestGraph *graph, uint32_t n)
{
	OmendbCodec *codec = graph->codec;
	const OmendbLayout *layout = &codec->layout;
	size_t capacity = layout->dimensions + 64 + omendb_code_floats(codec);
	float *floats = calloc(6 * capacity, sizeof(float));
	float *v_stored = floats, *x_stored = v_stored + capacity, *scratch = x_stored + capacity;
	float *v_code = scratch + 2 * capacity, *x_code = v_code + capacity;
	bool good = true;

	for (OmendbNode node = 0; node < n && good; node += 7)
	{
		const OmendbRecord *record = graph_record(graph, node);
		const float *v;

		omendb_own_decode(codec, record, v_stored);
		v = omendb_code_vector(codec, v_stored, v_code);
		for (uint32_t i = 0; i < record->count && good; i++)
		{
			OmendbNode other = omendb_record_neighbours(layout, record)[i];
			const OmendbRecord *neighbour = graph_record(graph, other);

			omendb_own_decode(codec, neighbour, x_stored);
			good = edge_is_right(codec, record, i, neighbour,
								 omendb_own_distance(codec, record, neighbour, scratch), v,
								 omendb_code_vector(codec, x_stored, x_code));
			if (!good)
				tap_diag("edge %u of node %u", i, node);
		}
	}
	free(floats);
	return good;
}

bool
graph_same_records(const TestGraph *a, const TestGraph *b)
{
	for (OmendbNode node = 0; node < a->array.n; node++)
		if (memcmp(graph_record(a, node), graph_record(b, node), a->codec->layout.record_bytes) !=
			0)
			return false;
	return true;
}
