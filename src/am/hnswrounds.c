/*
 * hnswrounds.c
 *	  Searches the graph in rounds: by which ef, and how many nodes each round may return.
 *
 * Owns the search of one scan (HnswRounds). Each round widens the beam and allows more
 * nodes to be returned. Rounds depend on the query and the settings only, never on how many
 * rows are wanted, so the rows of LIMIT n are the first n of LIMIT m. (With
 * hnsw.recall_target they depend on LIMIT, too.)
 *
 * Whether another round is searched is not decided here but in hnswnext.c. Callers hold no
 * lock; each step of a search locks one page at a time.
 */
#include "am/hnswscanstate.h"

#include "am/hnswcalibrate.h"
#include "miscadmin.h"
#include "page/reach.h"
#include "utils/float.h"

/*
 * By how much a beam is widened: by this many entries for each node that it lacks, at least
 * by this part of its width.
 */
#define ENTRIES_PER_NODE 2
#define MIN_STEP_DIVISOR 32

/*
 * Nodes that the first round returns beyond those of its ef. The executor may have to see
 * the next row to be sure of the order.
 */
#define EXTRA_FIRST_NODES 4

/*
 * A beam is widened by this factor where an unvisited candidate may be nearer than the nearest
 * result, up to MAX_DOUBT times the ef that the round calls for. Where nearly all nodes are
 * equally far, such a candidate always exists.
 */
#define DOUBT_STEP 1.25
#define MAX_DOUBT  1.5

/*
 * No round of doubt where the beam has fewer entries than this for each node returned: among nodes
 * so far from the query one is always in doubt.
 */
#define DOUBT_RATIO 3.5

/*
 * A search rests because it has enough only after ef divided by this: where codes know little,
 * as among near copies, no more than half of the beam is saved. And only if m is at least ENOUGH_LEAST_M.
 */
#define ENOUGH_DIVISOR 2
#define ENOUGH_VISITS  40
#define ENOUGH_LEAST_M 8

/*
 * Where rows in doubt take more nodes than a search was sure of, the search goes on until it is sure
 * of this many times as many.
 */
#define ENOUGH_STEP 1.2

#define MAX_ENOUGH 1e6

/* Attempts to descend from the entry point, each from another one, before the index counts as damaged. */
#define MAX_ENTRY_ATTEMPTS 1000

static inline uint32
beam_width(const HnswScan *state)
{
	return hnsw_beam_width(&state->store.index->codec.layout, state->rounds.ef);
}

/* True if the index's own measurement says which ef a round needs. */
static inline bool
has_recall_target(const HnswScan *state)
{
	return hnsw_recall_target > 0 && state->rounds.pace.kind != HNSW_PACE_UNTIL;
}

/* The ef by which as many nodes are found as a later round may return. */
static double
ef_of_round(HnswScan *state)
{
	const HnswRounds *rounds = &state->rounds;

	if (has_recall_target(state))
		return hnsw_ef_for(&state->store, rounds->allowed);
	return hnsw_pace_ef(&rounds->pace, rounds->allowed);
}

void
hnsw_rounds_init(HnswScan *state)
{
	HnswRounds *rounds = &state->rounds;
	const HnswRequest *request = &state->drive.request;

	rounds->ef = hnsw_ef_for(&state->store, request->wanted);
	rounds->pace.kind = request->pace;
	rounds->pace.by_limit = has_recall_target(state);
	rounds->pace.first_ef = rounds->ef;
	rounds->returned = 0;
	rounds->entered = HNSW_ENTERED_NEAREST;
	if (hnsw_iterative_scan == HNSW_ITERATIVE_OFF)
	{
		rounds->allowed = rounds->ef;
		return;
	}
	rounds->allowed = (int64) hnsw_pace_first_nodes(&rounds->pace);
	if (has_recall_target(state))
		rounds->allowed = (int64) Max(rounds->allowed, Min(request->wanted, rounds->ef));
	rounds->allowed += EXTRA_FIRST_NODES;
	rounds->called_for = ef_of_round(state);
}

/* Nodes that the first round returns if it rests because it has enough. */
static double
first_nodes(const HnswScan *state)
{
	double wanted = has_recall_target(state) ? state->drive.request.wanted : 0;

	/* hnsw_pace_enough is sure of a part of them. */
	return Max(wanted * ENOUGH_STEP, PACE_MIN_FIRST_NODES) + EXTRA_FIRST_NODES;
}

/*
 * Enter level 0 below the entry point, or below every node of the levels above, beside the
 * nodes that were visited.
 *
 * An edge may have no reverse edge. The node by which the search came down to level 0 may
 * be one of a few whose edges lead nowhere else.
 */
static void
enter_from_above(HnswScan *state, HnswEntered below)
{
	OmendbReach reach;
	OmendbNode node;
	unsigned level;

	if (!omendb_index_entry(&state->store, &node, &level))
		return;
	omendb_reach_init(&reach, &state->store, NULL);
	omendb_reach_add(&reach, node);
	for (; level > 0; level--)
		omendb_reach_descend(&reach, level, below == HNSW_ENTERED_ALL);
	for (node = 0; (node = omendb_reach_next(&reach, node)) != OMENDB_NO_NODE; node++)
		if (!omendb_search_has_visited(&state->rounds.search, node))
			omendb_search_enter(&state->rounds.search, node);
	omendb_reach_free(&reach);
}

bool
hnsw_rounds_exhausted(HnswScan *state)
{
	HnswRounds *rounds = &state->rounds;

	while (omendb_search_exhausted(&rounds->search))
	{
		if (rounds->entered == HNSW_ENTERED_ALL)
			return true;
		enter_from_above(state, ++rounds->entered);
	}
	return false;
}

/*
 * The next width of a beam that has visited too few different nodes: `lacking` more are
 * needed. The beam is widened no more than necessary, because a wider one costs time and
 * finds nothing more (bench/README.md, "Constants of a scan").
 */
static uint32
next_width(const HnswScan *state, size_t lacking)
{
	uint32 width = state->rounds.search.beam.width;

	/* The steps by which the curve of the recall was measured. */
	if (hnsw_recall_target > 0)
		return omendb_search_wider(width);
	/* The ratio of HNSW_PACE_UNTIL suffices only with twice the width. */
	if (state->rounds.pace.kind == HNSW_PACE_UNTIL)
		return width * 2;
	return width + (uint32) Max(ENTRIES_PER_NODE * lacking, width / MIN_STEP_DIVISOR);
}

/* Let the search rest as soon as it is sure of that many nodes; 0: it visits all of its ef. */
static void
set_enough(HnswScan *state, double wanted)
{
	const HnswRounds *rounds = &state->rounds;
	const OmendbLayout *layout = &state->store.index->codec.layout;

	/*
	 * Ratios of inner products say nothing, and distances of plain layouts are no estimates. Where nodes have
	 * few edges, some near rows are reached only through far ones.
	 */
	if (!rounds->search.coded || layout->m < ENOUGH_LEAST_M ||
		(layout->metric != OMENDB_METRIC_L2 && layout->metric != OMENDB_METRIC_COSINE))
		wanted = 0;
	omendb_search_set_enough(&state->rounds.search, (uint32) Min(wanted, MAX_ENOUGH),
							 Max(rounds->ef / ENOUGH_DIVISOR, ENOUGH_VISITS));
}

/*
 * Widen the beam until ef different nodes were visited, if there are so many. One node may
 * have several entries in the beam, with different estimates.
 */
static void
visit_ef_nodes(HnswScan *state)
{
	OmendbSearch *search = &state->rounds.search;
	size_t wanted = Min((size_t) state->rounds.ef, search->visit_limit);

	while (search->visited_used < wanted && !search->enough.reached &&
		   !hnsw_rounds_exhausted(state))
		omendb_search_extend(search, next_width(state, wanted - search->visited_used));
}

/*
 * Search the first round until it is finished or `budget` nodes were visited. To finish it
 * may not be worth while: the driver decides.
 */
static void
search_first_round(HnswScan *state, double budget)
{
	HnswRounds *rounds = &state->rounds;
	OmendbSearch *search = &rounds->search;
	bool is_iterative = hnsw_iterative_scan != HNSW_ITERATIVE_OFF;
	size_t limit =
		is_iterative ? Max((size_t) hnsw_max_scan_tuples, (size_t) rounds->ef) : SIZE_MAX;

	search->visit_limit = limit;
	if (is_iterative && state->drive.driven && budget < limit)
		search->visit_limit = Max((size_t) budget, 1);
	if (is_iterative)
		set_enough(state, hnsw_pace_enough(&rounds->pace, first_nodes(state)));
	omendb_search_settle(search, OMENDB_MAX_WIDENING * beam_width(state));
	visit_ef_nodes(state);
	if (search->enough.reached)
		rounds->allowed = Min(rounds->allowed, first_nodes(state));
	rounds->first_finished =
		search->visit_limit == limit || search->visited_used < search->visit_limit;
	search->visit_limit = limit;
}

/* Descend from the entry point and search level 0. False if the entry point led to no node. */
static bool
search_from(HnswScan *state, OmendbNode entry, unsigned level)
{
	OmendbSearch *search = &state->rounds.search;

	omendb_search_descend(search, &state->query.prepared, entry, level,
						  omendb_meta_upper_beam(&state->store.index->meta), beam_width(state),
						  SIZE_MAX);
	search_first_round(state, state->drive.request.first_budget);
	return search->visited_used > 0;
}

void
hnsw_rounds_start(HnswScan *state)
{
	OmendbNode entry;
	unsigned level;

	/*
	 * A vacuum may free the entry point, or a node on the way down from it, after its
	 * number was read and before it is visited. By then there is another entry point.
	 */
	for (int attempt = 0; attempt <= MAX_ENTRY_ATTEMPTS; attempt++)
	{
		CHECK_FOR_INTERRUPTS();
		state->empty = !omendb_index_entry(&state->store, &entry, &level);
		if (state->empty)
		{
			state->rounds.first_finished = true;
			omendb_search_begin(&state->rounds.search, &state->query.prepared, 0, 1);
			return;
		}
		if (search_from(state, entry, level))
			return;
	}
	omendb_corrupt_page(state->store.relation, OMENDB_META_BLOCK,
						"The entry point leads to no node.");
}

void
hnsw_rounds_finish_first(HnswScan *state)
{
	search_first_round(state, get_float8_infinity());
}

/* True if results wait that may be returned before the next round, and only doubt holds them back. */
static inline bool
is_only_in_doubt(const HnswScan *state)
{
	return state->pending.results.n > 0 && state->rounds.returned < state->rounds.allowed;
}

void
hnsw_rounds_next(HnswScan *state)
{
	HnswRounds *rounds = &state->rounds;

	double ef = rounds->ef;
	double wanted;

	if (rounds->search.enough.reached && rounds->returned < rounds->allowed)
		wanted = rounds->search.enough.wanted * ENOUGH_STEP + 1;
	else
	{
		if (is_only_in_doubt(state))
			ef *= DOUBT_STEP;
		else
		{
			rounds->allowed = (int64) hnsw_pace_next_nodes(&rounds->pace, rounds->allowed);
			ef = rounds->called_for = ef_of_round(state);
		}
		wanted = hnsw_pace_enough(&rounds->pace, rounds->allowed);
	}
	rounds->ef = (int) Min(Max(ef, rounds->ef), INT_MAX / 4);
	set_enough(state, wanted);
	omendb_search_advance(&rounds->search, beam_width(state),
						  rounds->pace.kind != HNSW_PACE_ORDERED);
	visit_ef_nodes(state);
}

bool
hnsw_rounds_may_follow_doubt(const HnswScan *state)
{
	const HnswRounds *rounds = &state->rounds;

	/* The ef of a recall target was measured without further rounds. */
	return hnsw_recall_target == 0 && hnsw_iterative_scan != HNSW_ITERATIVE_OFF &&
		   rounds->allowed != HNSW_ALL_NODES && rounds->ef <= MAX_DOUBT * rounds->called_for &&
		   rounds->returned <= rounds->ef / DOUBT_RATIO && !rounds->search.enough.reached;
}
