/*
 * test_code_sparse.c
 *	  Records of sparse vectors: their layout, what they keep of a vector, and
 *	  that the bounds of distances enclose the operator's values, however little a
 *	  record has room for.
 */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "code/bound.h"
#include "code/ownsparse.h"
#include "index_support.h"
#include "tap.h"

#define MAX_ELEMENTS 2000

static const OmendbMetric metrics[] = {OMENDB_METRIC_L2, OMENDB_METRIC_IP, OMENDB_METRIC_COSINE,
									   OMENDB_METRIC_L1};

typedef struct Vector
{
	uint32_t n;
	uint32_t indices[MAX_ELEMENTS];
	float values[MAX_ELEMENTS];
} Vector;

static Vector row;
static Vector query_vector;

/* ---------------------------------------------------------------- layout */

static void
test_layout(void)
{
	OmendbLayout l;
	bool good = true;
	bool full = true;

	for (size_t i = 0; i < LENGTH(metrics); i++)
		for (uint32_t m = OMENDB_MIN_M; m <= OMENDB_MAX_M; m++)
			for (uint32_t wanted = 1; wanted <= OMENDB_MAX_NONZERO; wanted += wanted / 3 + 1)
			{
				uint32_t end;

				if (!omendb_layout_choose_sparse(&l, metrics[i], OMENDB_MAX_SPARSE_DIM, m, wanted,
												 TEST_PAGE_BYTES))
				{
					good = false;
					continue;
				}
				end = 64 + (4 + 6 * l.elements + 7) / 8 * 8;
				good = good && l.neighbours_offset == end && l.edges == 2 * m &&
					   l.record_bytes == end + 8 * m && l.own == OMENDB_OWN_SPARSE &&
					   l.dimensions == OMENDB_MAX_SPARSE_DIM && l.code_bits == 0 &&
					   l.metric == metrics[i] && l.per_page == TEST_PAGE_BYTES / l.record_bytes;
				/* What does not fit a page is cut; one more record would not have the room. */
				full = full && (l.elements >= wanted || l.per_page == 1) &&
					   (64 + 4 + 6 * wanted + 8 * m) * (l.per_page + 1) + 15 * l.per_page >
						   TEST_PAGE_BYTES - 64;
			}
	tap_result(good, "parts of a record lie where they are said to");
	tap_result(full, "as many records a page as have the room");
	tap_result(omendb_layout_choose_sparse(&l, OMENDB_METRIC_L2, 1, OMENDB_MAX_M,
										   OMENDB_MAX_NONZERO, TEST_PAGE_BYTES) &&
				   l.elements >= 1000,
			   "1,000 elements fit with the most edges");
	tap_result(!omendb_layout_set_sparse(&l, OMENDB_METRIC_HAMMING, 10, 10, 16, 8160) &&
				   !omendb_layout_set_sparse(&l, OMENDB_METRIC_L2, 0, 10, 16, 8160) &&
				   !omendb_layout_set_sparse(&l, OMENDB_METRIC_L2, OMENDB_MAX_SPARSE_DIM + 1, 10,
											 16, 8160) &&
				   !omendb_layout_set_sparse(&l, OMENDB_METRIC_L2, 10, 0, 16, 8160) &&
				   !omendb_layout_set_sparse(&l, OMENDB_METRIC_L2, 10, OMENDB_MAX_NONZERO + 1, 16,
											 1 << 20) &&
				   !omendb_layout_set_sparse(&l, OMENDB_METRIC_L2, 10, 2000, 16, 8160) &&
				   !omendb_layout_set_sparse(&l, OMENDB_METRIC_L2, 10, 10, 1, 8160) &&
				   !omendb_layout_set_sparse(&l, OMENDB_METRIC_L2, 10, 10, 101, 8160) &&
				   !omendb_layout_set(&l, OMENDB_METRIC_L2, OMENDB_OWN_SPARSE, 10, 16, 0, 8160),
			   "impossible parameters are refused");
}

/* Spanning records: header, neighbours, own vector, in whole slots. */
static void
test_spans(void)
{
	OmendbLayout l;
	bool good = true;
	bool slots = true;
	bool on_page = true;
	uint32_t page = TEST_PAGE_BYTES / 64;
	uint32_t(*record)[16] = calloc(2 * page, sizeof(*record));

	for (size_t i = 0; i < LENGTH(metrics); i++)
		for (uint32_t m = OMENDB_MIN_M; m <= OMENDB_MAX_M; m++)
			for (uint32_t d = 1; d <= OMENDB_MAX_SPARSE_DIM / 4; d += d / 3 + 1)
			{
				uint32_t room = (page * 64 - 64 - 8 * m - 4) / 6;

				if (!omendb_layout_choose_spans(&l, metrics[i], d, m, TEST_PAGE_BYTES))
				{
					good = false;
					continue;
				}
				good = good && l.spans && l.neighbours_offset == 64 && l.own_offset == 64 + 8 * m &&
					   l.edges == 2 * m && l.per_page == page && l.slot_bytes == 64 &&
					   l.elements == (d < room ? d : room) && l.record_bytes % 64 == 0 &&
					   l.record_bytes >= 512 && l.record_bytes <= page * 64 &&
					   l.record_bytes >= l.own_offset + 4 + 6 * l.elements &&
					   l.head_bytes == l.record_bytes && l.codes_offset == l.record_bytes;
				for (uint32_t n = 0; n <= l.elements; n += 1 + n / 7)
				{
					uint32_t wanted = (64 + 8 * m + 4 + 6 * n + 63) / 64;
					OmendbRecord *node = (OmendbRecord *) record;

					node->kind = OMENDB_RECORD_NODE;
					*omendb_record_own_sparse(&l, node) = n;
					slots = slots && omendb_record_slots(&l, node) == wanted &&
							omendb_record_size(&l, node) == 64 * wanted &&
							omendb_head_size(&l, node) == 64 * wanted &&
							omendb_visit_size(&l, node) == 64 * wanted;
					on_page =
						on_page && omendb_record_ends_on_page(&l, page - wanted, node) &&
						(wanted == 1 || !omendb_record_ends_on_page(&l, page - wanted + 1, node));
					*omendb_record_own_sparse(&l, node) = UINT32_MAX;
					slots = slots && omendb_record_size(&l, node) <= l.record_bytes;
					node->kind = OMENDB_RECORD_FREE;
					slots = slots && omendb_record_slots(&l, node) == 1;
					node->kind = OMENDB_RECORD_OVERFLOW;
					slots = slots && omendb_record_slots(&l, node) == 8;
					*omendb_record_own_sparse(&l, node) = 0;
				}
			}
	free(record);
	tap_result(good, "parts of a spanning record lie where they are said to");
	tap_result(slots, "a record takes as many slots as its vector needs, a damaged one no more");
	tap_result(on_page, "a record that would end beyond its page is seen");
	tap_result(!omendb_layout_set_spans(&l, OMENDB_METRIC_HAMMING, 10, 10, 16, 8144) &&
				   !omendb_layout_set_spans(&l, OMENDB_METRIC_L2, 10, 0, 16, 8144) &&
				   !omendb_layout_set_spans(&l, OMENDB_METRIC_L2, 2000, 1323, 16, 8144) &&
				   omendb_layout_set_spans(&l, OMENDB_METRIC_L2, 2000, 1322, 16, 8144) &&
				   !omendb_layout_set_spans(&l, OMENDB_METRIC_L2, 10, 10, 101, 8144),
			   "impossible parameters of spanning records are refused");
}

/* ---------------------------------------------------------------- vectors */

static OmendbCodec *
sparse_codec(OmendbMetric metric, uint32_t elements)
{
	OmendbLayout layout;

	if (!omendb_layout_set_sparse(&layout, metric, OMENDB_MAX_SPARSE_DIM, elements, 16, 1 << 20))
		abort();
	return codec_of(&layout);
}

static void
make_vector(Random *random, Vector *v, uint32_t most, double magnitude, bool tails)
{
	v->n = random_below(random, most + 1);
	for (uint32_t i = 0, index = 0; i < v->n; i++)
	{
		double value = random_normal(random);

		if (tails)
			value *= pow(10, random_normal(random) * 2);
		value *= magnitude;
		value = fmin(FLT_MAX, fmax(-FLT_MAX, value));
		v->values[i] = fabs(value) < FLT_TRUE_MIN ? FLT_TRUE_MIN : (float) value;
		v->indices[i] = index += 1 + random_below(random, 3);
	}
	/* the last dimension there is */
	if (v->n > 0 && random_below(random, 2))
		v->indices[v->n - 1] = OMENDB_MAX_SPARSE_DIM - 1;
}

/* The operator's value, in long double, as src/types/sparsevec.c computes it. */
static double
operator_value(OmendbMetric metric, const Vector *a, const Vector *b)
{
	double l2 = 0, dot = 0, l1 = 0, norm_a = 0, norm_b = 0;

	for (uint32_t i = 0, k = 0; i < a->n || k < b->n;)
	{
		uint32_t at_a = i < a->n ? a->indices[i] : UINT32_MAX;
		uint32_t at_b = k < b->n ? b->indices[k] : UINT32_MAX;
		double x = at_a <= at_b ? a->values[i++] : 0;
		double y = at_b <= at_a ? b->values[k++] : 0;

		l2 += (x - y) * (x - y);
		dot += x * y;
		l1 += fabs(x - y);
		norm_a += x * x;
		norm_b += y * y;
	}
	if (metric == OMENDB_METRIC_COSINE)
		return 1 - fmin(1, fmax(-1, dot / sqrt(norm_a * norm_b)));
	return metric == OMENDB_METRIC_L2 ? sqrt(l2) : metric == OMENDB_METRIC_IP ? -dot : l1;
}

static double
length_of(const Vector *v)
{
	double norm2 = 0;

	for (uint32_t i = 0; i < v->n; i++)
		norm2 += (double) v->values[i] * v->values[i];
	return sqrt(norm2);
}

static void
test_bounds(void)
{
	static const double magnitudes[] = {1e-42, 1e-30, 1e-10, 1, 1e10, 1e18, 1e30, 1e38};
	static float stored[MAX_ELEMENTS];
	Random random = {3};

	for (size_t i = 0; i < LENGTH(metrics); i++)
	{
		bool bounds = true, finite = true, tight = true, fits = true, zeros = true;
		unsigned cut = 0;

		for (int round = 0; round < 3000; round++)
		{
			static const uint32_t rooms[] = {1, 2, 7, 50, 300};
			uint32_t most = round % 4 == 0 ? 3 : round % 4 == 1 ? 20 : 400;
			OmendbCodec *codec = sparse_codec(metrics[i], rooms[random_below(&random, 5)]);
			OmendbRecord *record = record_new(codec);
			OmendbQuery *query = query_new(codec);
			double magnitude = magnitudes[random_below(&random, LENGTH(magnitudes))];
			double of_query = random_below(&random, 2)
								  ? magnitude
								  : magnitudes[random_below(&random, LENGTH(magnitudes))];
			double value, low, high;
			bool all;

			make_vector(&random, &row, most, magnitude, round % 3 == 0);
			make_vector(&random, &query_vector, most, of_query, round % 5 == 0);
			if (round % 7 == 0)
				query_vector = row;
			all = row.n <= codec->layout.elements;
			cut += !all;
			if (!omendb_sparse_store(codec, row.values, row.n, stored))
			{
				zeros = zeros && metrics[i] == OMENDB_METRIC_COSINE && row.n == 0;
				goto next;
			}
			omendb_own_encode_sparse(codec, row.indices, stored, row.n, record);
			fits = fits && omendb_own_sparse_fits(&codec->layout, record) &&
				   omendb_own_sparse(&codec->layout, record).n <= row.n;
			if (!omendb_sparse_store(codec, query_vector.values, query_vector.n, stored))
				goto next;
			omendb_query_set_sparse(query, query_vector.indices, stored, query_vector.n,
									length_of(&query_vector));
			value = operator_value(metrics[i], &row, &query_vector);
			low = omendb_lower_bound(query, omendb_query_distance(query, record), record->error,
									 record->norm2, &high);
			if (!(low <= value && value <= high))
			{
				tap_diag("%s: %.17g is not from %.17g to %.17g; %u and %u elements, %u kept",
						 index_metric_name(metrics[i]), value, low, high, row.n, query_vector.n,
						 omendb_own_sparse(&codec->layout, record).n);
				bounds = false;
			}
			/* of usual vectors that are kept whole the bounds are near each other */
			if (magnitude == 1 && of_query == 1 && round % 15 != 0 && round % 3 != 0 &&
				round % 5 != 0)
			{
				finite = finite && isfinite(high);
				if (all && value > 0.1)
					tight = tight && high - low < 0.01 * (1 + fabs(value));
			}
		next:
			query_free(query);
			free(record);
			codec_free(codec);
		}
		tap_result(bounds, "%s: the operator's value is within the bounds",
				   index_metric_name(metrics[i]));
		tap_result(finite && tight, "%s: the bounds of usual vectors are of use",
				   index_metric_name(metrics[i]));
		tap_result(fits && cut > 100, "%s: no record has more elements than fit",
				   index_metric_name(metrics[i]));
		tap_result(zeros, "%s: only zero vectors are not taken", index_metric_name(metrics[i]));
	}
}

/* ---------------------------------------------------------------- records */

static void
test_kept_by(OmendbCodec *codec)
{
	static const uint32_t indices[] = {1, 5, 6, 70000, 999999999};
	static const float values[] = {0.5f, -3, 0.25f, 2, 1e-9f};
	OmendbRecord *record = record_new(codec);
	OmendbRecord *again = record_new(codec);
	OmendbQuery *query = query_new(codec);
	OmendbSparseList list;
	const OmendbLayout *layout = &codec->layout;
	const uint8_t *bytes;
	bool zero = true;

	memset(omendb_record_own_sparse(layout, record), 0xff, layout->head_bytes - layout->own_offset);
	omendb_own_encode_sparse(codec, indices, values, 5, record);
	list = omendb_own_sparse(&codec->layout, record);
	tap_result(list.n == 3 && list.indices[0] == 1 && list.indices[1] == 5 &&
				   list.indices[2] == 70000 && list.values[1] == -32767,
			   "the largest elements are kept, in order");
	tap_result(fabsf(record->error - 0.25f) < 1e-4f, "the others are in the error");
	omendb_own_encode_sparse(codec, indices, values, 2, record);
	list = omendb_own_sparse(&codec->layout, record);
	bytes = (const uint8_t *) (list.values + list.n);
	for (; bytes < (const uint8_t *) record + omendb_head_size(layout, record); bytes++)
		zero = zero && *bytes == 0;
	tap_result(list.n == 2 && zero, "what is behind a shorter vector is 0");
	omendb_own_encode_sparse(codec, indices, values, 2, again);
	tap_result(omendb_own_equal(codec, record, again), "the same vector gives the same record");
	omendb_own_encode_sparse(codec, indices, values, 3, again);
	tap_result(!omendb_own_equal(codec, record, again), "another vector another one");
	omendb_query_set_record(query, again);
	tap_result(fabsf(omendb_query_distance(query, record) - 0.0625f) < 1e-4f &&
				   omendb_own_distance(codec, record, again, NULL) ==
					   omendb_own_distance(codec, again, record, NULL) &&
				   fabsf(omendb_own_distance(codec, record, again, NULL) - 0.0625f) < 1e-4f,
			   "records are compared with a record, and as one's query");
	omendb_own_encode_sparse(codec, NULL, NULL, 0, record);
	tap_result(omendb_own_sparse(&codec->layout, record).n == 0 && record->error == 0 &&
				   record->norm2 == 0,
			   "the zero vector");
	*omendb_record_own_sparse(layout, record) = 4;
	tap_result(!omendb_own_sparse_fits(&codec->layout, record), "more elements than fit are seen");
	query_free(query);
	free(record);
	free(again);
	codec_free(codec);
}

static void
test_kept(void)
{
	OmendbLayout spans;
	OmendbCodec *codec = sparse_codec(OMENDB_METRIC_L2, 3);

	test_kept_by(codec);
	if (!omendb_layout_set_spans(&spans, OMENDB_METRIC_L2, OMENDB_MAX_SPARSE_DIM, 3, 16, 8144))
		abort();
	test_kept_by(codec_of(&spans));
}

/* ---------------------------------------------------------------- graphs */

/* Topics of 20 words each; a vector has words of two topics. */
static void
make_text(Random *random, Vector *v)
{
	bool has[2000] = {false};
	uint32_t topics[2] = {random_below(random, 60), random_below(random, 60)};

	for (int i = 0; i < 24; i++)
		has[topics[i % 3 == 0] * 20 + random_below(random, 20)] = true;
	for (int i = 0; i < 4; i++)
		has[1200 + random_below(random, 800)] = true;
	v->n = 0;
	for (uint32_t i = 0; i < 2000; i++)
		if (has[i])
		{
			v->indices[v->n] = i * 50000;
			v->values[v->n++] = (float) (0.2 + fabs(random_normal(random)));
		}
}

static void
test_graph(OmendbMetric metric, uint32_t elements)
{
	enum
	{
		N = 1500,
		QUERIES = 40,
		K = 10,
		EF = 60
	};
	static Vector vectors[N];
	static double distances[N];
	static float stored[MAX_ELEMENTS];
	OmendbCodec *codec = sparse_codec(metric, elements);
	TestGraph *graph = graph_new(codec, N);
	BuildOptions options = {.n = N, .ef = 64, .passes = 1, .chunk = 64, .connect = true};
	OmendbQuery *query = query_new(graph->codec);
	TestAllocator allocator;
	OmendbSearch search;
	OmendbNode entry;
	uint32_t connected;
	Random random = {4};
	uint32_t found = 0;

	for (OmendbNode i = 0; i < N; i++)
	{
		OmendbRecord *record = graph_record(graph, i);

		make_text(&random, &vectors[i]);
		record->kind = OMENDB_RECORD_NODE;
		record->down = record->overflow = OMENDB_NO_NODE;
		omendb_sparse_store(graph->codec, vectors[i].values, vectors[i].n, stored);
		omendb_own_encode_sparse(graph->codec, vectors[i].indices, stored, vectors[i].n, record);
	}
	allocator_init(&allocator, -1);
	if (!graph_build(graph, &options, &allocator, &entry, &connected))
		abort();
	omendb_search_init(&search, &omendb_array_ops, &graph->array, &allocator.operations, false);
	for (int q = 0; q < QUERIES; q++)
	{
		double tenth = 0;

		make_text(&random, &query_vector);
		omendb_sparse_store(graph->codec, query_vector.values, query_vector.n, stored);
		omendb_query_set_sparse(query, query_vector.indices, stored, query_vector.n,
								length_of(&query_vector));
		for (int i = 0; i < N; i++)
			distances[i] = operator_value(metric, &vectors[i], &query_vector);
		/* the K-th smallest: the least that has K that are no larger */
		tenth = INFINITY;
		for (int i = 0; i < N; i++)
		{
			int no_larger = 0;

			for (int k = 0; k < N && no_larger < K; k++)
				no_larger += distances[k] <= distances[i];
			if (no_larger >= K && distances[i] < tenth)
				tenth = distances[i];
		}
		omendb_search_begin(&search, query, 0, EF);
		omendb_search_enter(&search, entry);
		omendb_search_run(&search);
		for (size_t i = 0; i < search.visited_used; i++)
			found += distances[search.visited[i].node] <= tenth;
	}
	tap_result(found >= 0.9 * QUERIES * K, "%s, room for %u elements: %.3f of the nearest found",
			   index_metric_name(metric), elements, found / (double) (QUERIES * K));
	tap_result(graph_reached(graph, entry, 0) == N, "and every node is reached");
	omendb_search_free(&search);
	query_free(query);
	graph_free(graph);
	codec_free(codec);
}

int
main(void)
{
	test_layout();
	test_spans();
	test_bounds();
	test_kept();
	for (size_t i = 0; i < LENGTH(metrics); i++)
		test_graph(metrics[i], 40);
	/* a quarter of the elements of most vectors are left out */
	test_graph(OMENDB_METRIC_COSINE, 15);
	return tap_done();
}
