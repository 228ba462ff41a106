/*
 * hnswmeasure.c
 *	  What searches for sample nodes miss, by ef.
 *
 * Each query is searched by one ef after another, as a scan does. The query's own node is hidden from
 * its search. The curve is the mean share of the nearest nodes that were missed.
 *
 * The error of a mean is that of a sample, and recalls of single queries deviate less where the
 * recall is high (bench/README.md, "Constants of a scan"). So all queries are searched by a small
 * ef, which is cheap, and some by a large one.
 *
 * A search has steps, each of which has a width and the ef that it stands for. A search with a
 * narrower beam visits the same nodes in the same order, but rests earlier: when all entries that the
 * narrower beam would have were visited. So one search by the width of the last common step shows
 * what each narrower one finds. Wider beams are made by widening. They lack a few in a hundred
 * entries that a beam of that width has from the beginning: visited entries that were dropped from
 * the narrower beam.
 */
#include "am/hnswmeasure.h"

#include "am/hnsw.h"
#include "miscadmin.h"

/* One query for this many slots of records, but no fewer and no more than these. */
#define SLOTS_PER_QUERY 300
#define MIN_QUERIES     50
#define MAX_QUERIES     300

/* Maximum memory that the queries take, in bytes. */
#define MAX_QUERY_BYTES (32 * 1024 * 1024)

/* Minimum ef that is measured. */
#define MIN_MEASURED_EF 16

/* Steps by which all queries are searched; one of ALL_STEPS_QUERY queries is searched by all steps. */
#define COMMON_STEPS    7
#define ALL_STEPS_QUERY 10

static bool
hidden_visit(void *store, OmendbNode node, unsigned level, const OmendbQuery *query,
			 OmendbStep *step)
{
	HnswHidden *hidden = store;

	/* A search by a large ef takes long. No lock is held between two steps. */
	CHECK_FOR_INTERRUPTS();
	return node != hidden->node && hidden->ops->visit(hidden->store, node, level, query, step);
}

static bool
hidden_distance(void *store, OmendbNode node, unsigned level, const OmendbQuery *query,
				float *distance)
{
	HnswHidden *hidden = store;

	return node != hidden->node &&
		   hidden->ops->distance(hidden->store, node, level, query, distance);
}

static bool
hidden_prefetch(void *store, OmendbNode node)
{
	HnswHidden *hidden = store;

	return hidden->ops->prefetch(hidden->store, node);
}

static bool
hidden_request(void *store, OmendbNode node)
{
	HnswHidden *hidden = store;

	return hidden->ops->request(hidden->store, node);
}

const OmendbGraphOps hnsw_hidden_ops = {hidden_visit, hidden_distance, hidden_prefetch,
										hidden_request};

uint32
hnsw_measure_queries(const OmendbCodec *codec, uint64 slots)
{
	uint64 wanted = Min(Max(slots / SLOTS_PER_QUERY, MIN_QUERIES), MAX_QUERIES);

	/* omendb_query_bytes is 0 for bits: such a query refers to the record. */
	wanted = Min(wanted, MAX_QUERY_BYTES / (omendb_query_bytes(codec) + 1));
	return (uint32) Min(wanted, slots);
}

void
hnsw_measure_places(uint64 seed, uint64 slots, uint32 i, uint32 n, uint64 *from, uint64 *at,
					uint64 *to)
{
	*from = slots * i / n;
	*to = slots * (i + 1) / n;
	/* A random place: not the same slot of every page, nor the first row of each INSERT. */
	*at = *from + omendb_hash64(seed + i) % (*to - *from);
}

void
hnsw_measure_steps(HnswSteps *steps, const OmendbLayout *layout)
{
	uint32 ef = MIN_MEASURED_EF;

	memset(steps, 0, sizeof(*steps));
	for (uint32 i = 0; i < OMENDB_CURVE_POINTS; i++)
	{
		uint32 width =
			i == 0 ? hnsw_beam_width(layout, ef) : omendb_search_wider(steps->width[i - 1]);

		while (hnsw_beam_width(layout, ef + 1) <= width)
			ef++;
		steps->ef[i] = ef;
		steps->width[i] = width;
	}
	steps->n = OMENDB_CURVE_POINTS;
}

/* The share of the k nearest nodes that the search has not visited yet. */
static double
missed_share(const OmendbSearch *search, const HnswTrial *trial, uint32 k)
{
	uint32 all = Min(k, trial->found);
	uint32 found = 0;

	if (all == 0)
		return 0;
	for (size_t i = 0; i < search->visited_used && found < all; i++)
		found += search->visited[i].payload.live &&
				 search->visited[i].distance <= trial->nearest[all - 1];
	return 1 - (double) found / all;
}

/*
 * Search by at least the required steps, and go on until a search that began with the last of them
 * has settled and visited as many nodes as its ef; or until nothing is missed. Returns the number
 * of steps done.
 */
static uint32
search_in_steps(const HnswSteps *steps, OmendbSearch *search, const HnswTrial *trial,
				HnswMeasured *measured)
{
	uint32 required = measured->required;
	uint32 i = 0;

	omendb_search_descend(search, trial->query, trial->entry, trial->entry_level, trial->upper_beam,
						  steps->width[COMMON_STEPS - 1], SIZE_MAX);
	for (;; i++)
	{
		omendb_search_widen(search, steps->width[i]);
		search->beam.rest = steps->width[i];
		omendb_search_run(search);
		if (search->visited_used == 0 && trial->found > 0)
			return 0;
		measured->visited[i] = (uint32) search->visited_used;
		measured->settled[i] = omendb_search_is_settled(search);
		measured->missed[i][0] = missed_share(search, trial, OMENDB_CURVE_FEW);
		measured->missed[i][1] = missed_share(search, trial, OMENDB_CURVE_MANY);
		if (i + 1 == steps->n || (i + 1 >= required && measured->settled[i] &&
								  measured->visited[i] >= steps->ef[required - 1]))
			return i + 1;
		if (measured->settled[i] && measured->missed[i][0] == 0 && measured->missed[i][1] == 0)
			break;
	}
	/* A wider beam misses nothing, too. */
	for (uint32 next = i + 1; next < steps->n; next++)
	{
		measured->visited[next] = UINT32_MAX;
		measured->settled[next] = true;
		measured->missed[next][0] = measured->missed[next][1] = 0;
	}
	return steps->n;
}

void
hnsw_measure(const HnswSteps *steps, OmendbSearch *search, const HnswTrial *trial, uint32 i,
			 uint32 n, HnswMeasured *measured)
{
	memset(measured, 0, sizeof(*measured));
	measured->required = i % ALL_STEPS_QUERY == 0 || n < MIN_QUERIES ? steps->n : COMMON_STEPS;
	measured->done = search_in_steps(steps, search, trial, measured);
}

/* What all queries missed that did a step. */
typedef struct Sums
{
	uint32 queries[OMENDB_CURVE_POINTS];
	double missed[OMENDB_CURVE_POINTS][2];
} Sums;

/*
 * Add what searches of the query missed that began at each of the required steps. A search that
 * began at a step ends at the first step from there on where it has settled, or is widened no
 * further, and has visited as many nodes as its ef.
 */
static void
add_missed(const HnswSteps *steps, const HnswMeasured *measured, Sums *sums)
{
	for (uint32 from = 0; from < Min(measured->done, measured->required); from++)
	{
		uint32 i = from;

		while (i + 1 < measured->done &&
			   ((!measured->settled[i] &&
				 steps->width[i] < OMENDB_MAX_WIDENING * steps->width[from]) ||
				measured->visited[i] < steps->ef[from]))
			i++;
		sums->queries[from]++;
		sums->missed[from][0] += measured->missed[i][0];
		sums->missed[from][1] += measured->missed[i][1];
	}
}

void
hnsw_measure_curve(const HnswSteps *steps, const HnswMeasured *measured, uint32 n,
				   OmendbCurve *curve)
{
	Sums sums = {0};

	for (uint32 i = 0; i < n; i++)
		add_missed(steps, &measured[i], &sums);
	for (uint32 i = 0; i < steps->n && sums.queries[i] > 0; i++)
		omendb_curve_add(curve, steps->ef[i], (float) (sums.missed[i][0] / sums.queries[i]),
						 (float) (sums.missed[i][1] / sums.queries[i]));
}
