/*
 * hnswrounds.c
 *	  The rounds of a scan's search: how far each goes.
 */
#include "am/hnswscanstate.h"

#include "am/hnswcalibrate.h"
#include "miscadmin.h"
#include "page/reach.h"
#include "utils/float.h"

/*
 * HNSW_EF_A_NODE where the caller puts nodes found late in their places. Rows within a radius (debian-384, ef_search
 * = 40): the recall of 30 is .980, of 100 .990, of 1,000 .997, in .42 of the time
 * that 3.5 takes.
 */
#define EF_A_KEPT_NODE 1.2

/* A round allows so many more nodes than the one before: a quarter, and at least that. */
#define LEAST_ROUND 8

/* Entries of the beam for each node that it lacks; at least one of so many that it has. */
#define ENTRIES_A_NODE 2
#define LEAST_STEP     32

/* The first round returns so many nodes more. */
#define MORE_TO_BE_SURE 4

/*
 * The ef that decides how many candidates the beam has for each node returned (HNSW_WIDE_EF). With
 * a filter all rows returned may be near the edge of the beam, so the beam has as many candidates a
 * node as a narrow beam has.
 */
static inline double
ef_of_ratio(const HnswScan *state)
{
	return state->drive.filters ? 0 : state->rounds.first_ef;
}

/* The ef with which as many nodes are found as may be returned in a later round. */
static double
ef_of_round(HnswScan *state)
{
	if (hnsw_recall_target > 0 && !state->drive.keeps_all)
		return hnsw_ef_for(&state->store, state->rounds.allowed);
	if (state->drive.keeps_all)
		return state->rounds.allowed * EF_A_KEPT_NODE;
	return hnsw_ef_of_nodes(ef_of_ratio(state), state->rounds.allowed);
}

/* The first round. */
void
hnsw_rounds_begin(HnswScan *state)
{
	state->rounds.ef = hnsw_ef_for(&state->store, state->drive.wanted);
	state->rounds.first_ef = state->report.ef = state->rounds.ef;
	if (state->drive.keeps_all)
		state->rounds.allowed = (int64) (state->rounds.ef / EF_A_KEPT_NODE);
	else if (hnsw_recall_target > 0)
		state->rounds.allowed = (int64) Max(state->rounds.ef / HNSW_EF_A_NODE,
											Min(state->drive.wanted, state->rounds.ef));
	else
		state->rounds.allowed = (int64) hnsw_nodes_of_ef(ef_of_ratio(state), state->rounds.ef);
	state->rounds.allowed =
		Max(state->rounds.allowed, Min(state->rounds.ef, HNSW_LEAST_FIRST_NODES));
	if (hnsw_iterative_scan == HNSW_ITERATIVE_OFF)
		state->rounds.allowed = state->rounds.ef;
	/* The executor may have to see the next row to be sure of the order. */
	else
		state->rounds.allowed += MORE_TO_BE_SURE;
}

/*
 * Start again from the entry point, or from every node of the levels above,
 * beside what was visited.
 *
 * Edges lead one way, and the node of level 0 that the search came down to may
 * lie among a few whose edges lead nowhere else.
 */
static void
enter_from_above(HnswScan *state, bool all)
{
	OmendbReach reach;
	OmendbNode at;
	unsigned level;

	if (!omendb_index_entry(&state->store, &at, &level))
		return;
	omendb_reach_init(&reach, &state->store, NULL);
	omendb_reach_add(&reach, at);
	for (; level > 0; level--)
		omendb_reach_descend(&reach, level, all);
	for (at = 0; (at = omendb_reach_next(&reach, at)) != OMENDB_NO_NODE; at++)
		if (!omendb_search_has_seen(&state->rounds.search, at))
			omendb_search_enter(&state->rounds.search, at);
	omendb_reach_free(&reach);
}

/* Is there no node left to visit? */
bool
hnsw_rounds_exhausted(HnswScan *state)
{
	while (omendb_search_exhausted(&state->rounds.search))
	{
		if (state->rounds.entered == ENTERED_ALL)
			return true;
		enter_from_above(state, ++state->rounds.entered == ENTERED_ALL);
	}
	return false;
}

/*
 * The width to which a beam is widened that has visited too few different nodes. By no more
 * than it takes: twice the width found nothing more (debian-384, 100 rows by an ef of
 * 200: recall .9866 by 339 visits, .9853 by 251). But where all rows within a distance are wanted
 * EF_A_KEPT_NODE suffices only with twice the width (inner product: else 996 of 1,000 rows).
 */
static uint32
wider_beam(const HnswScan *state, size_t lacking)
{
	uint32 width = state->rounds.search.width;

	/* With a recall target, by steps as large as those that it was measured by. */
	if (hnsw_recall_target > 0)
		return omendb_search_wider(width);
	if (state->drive.keeps_all)
		return width * 2;
	return width + (uint32) Max(ENTRIES_A_NODE * lacking, width / LEAST_STEP);
}

/*
 * A node may come into the beam several times, with different estimates. Widen
 * the beam until ef different nodes were visited, if there are as many.
 */
static void
visit_ef(HnswScan *state)
{
	OmendbSearch *search = &state->rounds.search;
	size_t wanted = Min((size_t) state->rounds.ef, search->visit_limit);

	while (search->visited_used < wanted && !hnsw_rounds_exhausted(state))
		omendb_search_extend(search, wider_beam(state, wanted - search->visited_used));
}

/*
 * Search until the first round is finished, or for the driver's budget: it may not
 * be worth while to finish it.
 */
void
hnsw_rounds_finish_first(HnswScan *state, double budget)
{
	OmendbSearch *search = &state->rounds.search;
	uint32 width = hnsw_beam_width(&state->store.index->codec.layout, state->rounds.ef);
	size_t limit = SIZE_MAX;

	if (hnsw_iterative_scan != HNSW_ITERATIVE_OFF)
		limit = Max((size_t) hnsw_max_scan_tuples, (size_t) state->rounds.ef);
	search->visit_limit = limit;
	if (state->drive.driven && hnsw_iterative_scan != HNSW_ITERATIVE_OFF && budget < limit)
		search->visit_limit = Max((size_t) budget, 1);
	omendb_search_settle(search, OMENDB_MAX_WIDENING * width);
	visit_ef(state);
	state->rounds.first_finished =
		search->visit_limit == limit || search->visited_used < search->visit_limit;
	search->visit_limit = limit;
}

/*
 * Descend from the entry point and search level 0. False where the way led to
 * no node.
 */
static bool
search_from(HnswScan *state, OmendbNode at, unsigned level)
{
	OmendbSearch *search = &state->rounds.search;
	uint32 width = hnsw_beam_width(&state->store.index->codec.layout, state->rounds.ef);

	omendb_search_descend(search, &state->query.prepared, at, level,
						  omendb_meta_upper_beam(&state->store.index->meta), width, SIZE_MAX);
	hnsw_rounds_finish_first(state, state->drive.first_round);
	return search->visited_used > 0;
}

void
hnsw_rounds_start(HnswScan *state)
{
	OmendbSearch *search = &state->rounds.search;
	OmendbNode at;
	unsigned level;

	/*
	 * A vacuum may free the entry point, or a node on the way down from it,
	 * between our reading its number and our visit. Then there is another entry
	 * point by now.
	 */
	for (int attempt = 0;; attempt++)
	{
		CHECK_FOR_INTERRUPTS();
		state->empty = !omendb_index_entry(&state->store, &at, &level);
		if (state->empty)
		{
			state->rounds.first_finished = true;
			omendb_search_begin(search, &state->query.prepared, 0, 1);
			state->report.stop = HNSW_STOP_EXHAUSTED;
			return;
		}
		if (search_from(state, at, level))
			break;
		if (attempt == 1000)
			omendb_corrupt_page(state->store.relation, OMENDB_META_BLOCK,
								"The entry point leads to no node.");
	}
}

/* The next round of the search. */
void
hnsw_rounds_next(HnswScan *state)
{
	state->report.resumes++;
	state->rounds.allowed += Max(state->rounds.allowed / 4, LEAST_ROUND);
	state->rounds.ef = (int) Min(Max(ef_of_round(state), state->rounds.ef),
								 Min(2.0 * state->rounds.ef, INT_MAX / 4));
	omendb_search_advance(&state->rounds.search,
						  hnsw_beam_width(&state->store.index->codec.layout, state->rounds.ef));
	visit_ef(state);
}

/*
 * Does a round of a wide beam return nodes for which there are fewer candidates than
 * HNSW_EF_A_NODE says? That far from the query there always is a doubt, and to follow
 * it costs more than the same recall does by a larger ef (glove-100, 100 rows: 472
 * visits for a recall of .933, 452 for .956).
 */
bool
hnsw_rounds_beyond_ratio(const HnswScan *state)
{
	return ef_of_ratio(state) >= HNSW_WIDE_EF && !state->drive.keeps_all &&
		   state->rounds.returned > state->rounds.ef / HNSW_EF_A_NODE + MORE_TO_BE_SURE;
}
