/*
 * hnswchange.c
 *	  Decides which strategy a custom scan that runs goes on with.
 *
 * Before each round of the search the scan knows how many rows the index has returned, and how
 * many of them passed. That gives estimates of what the rest costs by searching on, by searching
 * with a bitmap, by a sweep, or by reading. The scan changes to a strategy that is cheaper by
 * MARGIN.
 *
 * Reads the state of the scan. Changes nothing but estimates, what runs have shown (HnswLearned),
 * and makes the bitmap where its rows have to be counted.
 */
#include "plan/hnswcustom.h"
#include "plan/hnswstate.h"

#include <math.h>

#include "miscadmin.h"
#include "port/pg_bitutils.h"

/* Minimum ratio of the cost of searching on to the cost of a strategy to change to. */
#define MARGIN 1.15

/*
 * Costs of the search, as parts of the cost of reading. Below MIN_EVIDENCE the search goes on: too
 * little is known of the rows that pass, and of the rows within a radius. Up to FULL_EVIDENCE the
 * estimates are taken in favour of the search, by less and less: DOUBT standard deviations at first.
 */
#define MIN_EVIDENCE  0.2
#define FULL_EVIDENCE 0.4
#define DOUBT         2.0

/*
 * Maximum number of nodes expected within the radius, for each candidate within it. The nodes
 * returned so far do not show that a gap follows.
 */
#define NODES_PER_CANDIDATE 3.0

/* Weight of the expected share of rows that pass, in rows that the index has returned. */
#define WEIGHT_OF_PLAN 10

/*
 * A search in vain costs HNSW_TRIAL of reading, one that finds the rows saves nearly all of it. So a
 * search is worth its cost if it finds them in at least this share of the runs.
 */
#define WORTH_TRYING (HNSW_TRIAL / (1 + HNSW_TRIAL))

/* Factor by which each run reduces the weight of all runs before. */
#define MEMORY 0.9

/* At least one of 2^this runs searches, however often a search was abandoned. */
#define MAX_DOUBLINGS 6

/* The share of the table's rows that pass, as the planner and the bitmap say. */
static double
expected_share(const HnswState *state)
{
	const HnswPlanned *planned = &state->estimates.planned;
	double share = planned->share;

	/* The number of the bitmap's rows is known; of these the expected share passes. */
	if (state->bitmap.members)
		share *=
			hnsw_members_count(state->bitmap.members) / (planned->rows * planned->members_share);
	return Max(share, 1 / (4 * planned->rows));
}

/* An expected share that passes, corrected by this number of rows. */
static double
corrected_share(double expected, double rows, double passed)
{
	return Min((passed + WEIGHT_OF_PLAN * expected) / (rows + WEIGHT_OF_PLAN), 1);
}

/* The share that passes of the rows near the query: the expected one, corrected by the rows returned. */
static double
share_of_found(const HnswState *state)
{
	double expected = Min(expected_share(state) * state->learned.near, 1);

	return corrected_share(expected, state->run.found.rows, state->run.found.passed);
}

/* The mark that parts the rows returned in two, the second part the larger; 0 for fewer than four rows. */
static int
middle_mark(const HnswEvidence *found)
{
	return found->rows < 4 ? 0 : pg_leftmost_one_pos64((uint64) found->rows) - 1;
}

/*
 * The share that passes of the rows that the index returns next. Where rows that pass lie together, it
 * changes with the distance: so the share of the first rows returned is what is expected of the others,
 * and corrected by these.
 */
static double
share_of_next(const HnswState *state)
{
	const HnswEvidence *found = &state->run.found;
	double expected = Min(expected_share(state) * state->learned.near, 1);
	int middle = middle_mark(found);
	double first = middle > 0 ? ldexp(1, middle) - 1 : 0;
	double passed = middle > 0 ? found->marks[middle].passed : 0;

	return corrected_share(corrected_share(expected, first, passed), found->rows - first,
						   found->passed - passed);
}

/* Rows that the scan still has to find. If the number is not known: as many as it has found. */
static double
rows_needed(const HnswState *state)
{
	const HnswRun *run = &state->run;
	double held = hnsw_queue_held(&state->queue);

	if (!run->released && run->bounds.wanted > 0 && !isinf(run->bounds.wanted))
		return Max(run->bounds.wanted - held, 1);
	if (!isinf(run->bounds.radius))
		return INFINITY; /* all within the radius */
	return Max(run->found.passed, hnsw_ef_search);
}

/*
 * Estimated number of nodes within the radius that the index has not returned yet. The number of
 * nodes within a distance grows as a power of the distance. The power is estimated from the
 * distances of the nodes returned, and taken `doubt` standard deviations below the estimate.
 */
static double
estimate_nodes_within(const HnswState *state, double doubt)
{
	const HnswRun *run = &state->run;
	double n = run->found.rows;
	int middle = middle_mark(&run->found);
	double k = ldexp(1, middle);
	/* Distances start at 0, negative inner products at the value of the nearest node. */
	double origin = Min(run->found.marks[0].reached, 0);
	double near = run->found.marks[middle].reached - origin;
	double far = run->found.reached - origin;
	double power;

	if (isinf(run->bounds.radius) || n < 4)
		return INFINITY;
	if (!(near > 0) || !(far > near))
		return n;
	power = log(n / k) / log(far / near) * Max(1 - doubt / sqrt(n - k), 0);
	return Max(n * pow(Max(run->bounds.radius - origin, 0) / far, power) - n, 0);
}

/* What the rest of the scan is expected to take. */
typedef struct Outlook
{
	double spent;         /* cost of the search so far, as a part of `exact` */
	double nodes;         /* nodes to return until the needed rows are found */
	double fetched_share; /* share of these nodes' rows that are in the bitmap */
	double exact;         /* cost of reading all rows that may pass, and of the bitmap */
	double make;          /* cost of making the bitmap; 0 if it is made, or there is none */
} Outlook;

static Outlook
make_outlook(const HnswState *state)
{
	const HnswPlanned *planned = &state->estimates.planned;
	const HnswCosts *costs = &state->estimates.costs;
	bool has_bitmap = state->bitmap.members || hnsw_bitmap_child(state);
	double share = share_of_found(state);
	/* Of all rows: rows near the query pass learned.near times as often. */
	double overall = Min(share / state->learned.near, 1);
	double passing = overall * planned->rows;
	double members = 0;
	double doubt;
	Outlook outlook = {0};

	if (state->bitmap.members)
		members = hnsw_members_count(state->bitmap.members);
	else if (has_bitmap)
	{
		/* If more rows pass than planned, more are in the bitmap. */
		members = planned->rows * Min(planned->members_share * Max(overall / planned->share, 1), 1);
		outlook.make = hnsw_cost_make_bitmap(costs, planned, members);
	}
	outlook.exact = has_bitmap
						? outlook.make + hnsw_cost_read_bitmap(costs, planned, members, passing)
						: hnsw_cost_read_table(costs, planned, passing);
	outlook.spent = hnsw_cost_spent(costs, hnsw_scan_progress(state->index.scan)->nodes,
									state->run.found.rows) /
					outlook.exact;
	doubt = DOUBT * (FULL_EVIDENCE - outlook.spent) / (FULL_EVIDENCE - MIN_EVIDENCE);
	doubt = Max(doubt, 0);
	share = share_of_next(state);
	outlook.nodes = Min(rows_needed(state) / share, estimate_nodes_within(state, doubt));
	outlook.fetched_share = Max(members / planned->rows, share);
	return outlook;
}

/* The cost of searching on. */
static double
cost_of_search(const HnswState *state, const Outlook *outlook, bool members)
{
	return hnsw_cost_search(&state->estimates.costs, &state->estimates.planned,
							state->run.found.rows, outlook->nodes,
							outlook->nodes * (members ? outlook->fetched_share : 1), members);
}

static double
cost_of_sweep(const HnswState *state, const Outlook *outlook)
{
	const HnswCosts *costs = &state->estimates.costs;
	double nodes = state->estimates.planned.nodes;
	double cost = costs->sweep + Min(outlook->nodes, nodes) *
									 (state->bitmap.members ? costs->member : costs->fetch);

	/* If the whole index does not have enough rows, the table is read for those it leaves out. */
	if (state->run.found.rows + outlook->nodes > nodes && (state->flags & HNSW_FLAG_UNINDEXED))
		cost += outlook->exact;
	return cost;
}

/*
 * True if searches of earlier runs were in vain too often to begin with another. After n in a row,
 * 2^n - 1 runs do not try one.
 */
static bool
is_not_worth_trying(const HnswLearned *learned)
{
	double rate = (learned->found + 0.5) / (learned->found + learned->abandoned + 1);

	return rate < WORTH_TRYING &&
		   learned->untried + 1 < UINT32_C(1) << Min(learned->in_vain, MAX_DOUBLINGS);
}

void
hnsw_choose_beginning(HnswState *state, bool values_changed)
{
	const HnswRun *run = &state->run;
	const HnswLearned *learned = &state->learned;
	HnswGoal goal = {
		.wanted = run->bounds.wanted,
		.max_nodes = state->estimates.planned.rows,
		.near = learned->near,
		.clauses = state->has_clauses,
		.bitmap = hnsw_bitmap_child(state) != NULL,
		.bitmap_made = state->bitmap.members != NULL,
	};

	if (run->bounds.wanted <= 0 || isinf(run->bounds.wanted) || !isinf(run->bounds.radius) ||
		!goal.clauses)
		return;
	/* The plan's choice is based on the same estimates. */
	if (!values_changed && !state->learned.has_run)
		return;
	goal.no_trial = is_not_worth_trying(learned);
	hnsw_choose_strategy(&state->estimates.costs, &state->estimates.planned, &goal);
}

void
hnsw_learn(HnswState *state)
{
	const HnswRun *run = &state->run;
	HnswLearned *learned = &state->learned;

	state->learned.has_run = true;
	if (!run->search.begun)
	{
		learned->untried++;
		return;
	}
	learned->untried = 0;
	if (run->found.rows > 0)
		learned->near = share_of_found(state) / expected_share(state);
	learned->found = learned->found * MEMORY + !run->search.abandoned;
	learned->abandoned = learned->abandoned * MEMORY + run->search.abandoned;
	learned->in_vain = run->search.abandoned ? learned->in_vain + 1 : 0;
}

double
hnsw_first_budget(const HnswState *state)
{
	bool has_bitmap = hnsw_bitmap_child(state) != NULL;
	double cost;

	if (!state->has_clauses || state->bitmap.members || !state->run.settings.may_read_all ||
		hnsw_scan_strategy != HNSW_STRATEGY_AUTO)
		return INFINITY;
	cost = hnsw_cost_without_search(&state->estimates.costs, &state->estimates.planned, has_bitmap);
	return Max(hnsw_visits_for(&state->estimates.costs, cost * HNSW_TRIAL), hnsw_ef_search);
}

/*
 * Choose the cheapest way to the rows that are still needed. must_stop: a limit of the search was
 * reached, so searching on is not among the ways.
 */
static HnswAction
choose_cheapest(HnswState *state, bool must_stop)
{
	bool forced = hnsw_scan_strategy != HNSW_STRATEGY_AUTO;
	Outlook outlook;
	HnswAction action = HNSW_SEARCH_ON;
	double best = INFINITY;
	double cost;

	if (!forced)
		hnsw_use_values(state);
	outlook = make_outlook(state);
	if (!state->run.settings.may_read_all ||
		(!must_stop && (forced || outlook.spent < MIN_EVIDENCE)))
		return HNSW_SEARCH_ON;
	if (!must_stop)
	{
		best = cost_of_search(state, &outlook, state->bitmap.members != NULL) / MARGIN;
		if (!isinf(state->run.bounds.radius) &&
			Min(outlook.exact, cost_of_sweep(state, &outlook)) < best)
		{
			double known = hnsw_scan_candidates_within(state->index.scan, state->run.bounds.radius);

			outlook.nodes = Min(outlook.nodes, known * NODES_PER_CANDIDATE);
			best = cost_of_search(state, &outlook, state->bitmap.members != NULL) / MARGIN;
		}
		if (hnsw_bitmap_child(state) && !state->bitmap.members &&
			(cost = outlook.make + cost_of_search(state, &outlook, true)) < best)
		{
			best = cost;
			action = HNSW_TO_BITMAP;
		}
	}
	/*
	 * Without clauses there is no change to a sweep: it finds rows that the search has missed,
	 * and the rows of LIMIT n would not be the first of LIMIT m.
	 */
	cost = cost_of_sweep(state, &outlook);
	if ((must_stop || state->has_clauses || isinf(state->run.bounds.wanted)) && cost < best)
	{
		best = cost;
		action = HNSW_TO_SWEEP;
	}
	if (state->has_clauses && (!forced || state->bitmap.members) && outlook.exact < best)
		action = HNSW_TO_EXACT;
	return action;
}

/* Choose what comes after a search or a sweep that has returned all nodes. */
static HnswAction
choose_after_index(const HnswState *state)
{
	const HnswRun *run = &state->run;
	size_t ready = hnsw_queue_ready(&state->queue);

	if (ready > 0 && (run->released || ready >= run->bounds.wanted))
		return HNSW_RETURN_ROWS;
	/* A search may have missed nodes: edges are replaced while it goes on. */
	if (state->flags & HNSW_FLAG_UNINDEXED || !run->search.sweeping)
		return HNSW_TO_EXACT;
	return HNSW_FINISH;
}

HnswAction
hnsw_choose_action(HnswState *state)
{
	const HnswRun *run = &state->run;
	bool must_stop = !state->index.drive->paused;
	HnswAction action;

	if (must_stop)
	{
		HnswStop stop = hnsw_scan_progress(state->index.scan)->stop;

		if (stop == HNSW_STOP_EF_SEARCH)
			return HNSW_FINISH;
		if (!run->settings.may_read_all)
			return run->search.draining || stop == HNSW_STOP_EXHAUSTED ? HNSW_FINISH : HNSW_DRAIN;
		if (stop == HNSW_STOP_EXHAUSTED)
			return choose_after_index(state);
	}
	action = choose_cheapest(state, must_stop);
	/* Count the bitmap's rows first: then another strategy may be cheaper. */
	if (action == HNSW_TO_EXACT && hnsw_bitmap_child(state) && !state->bitmap.members)
	{
		hnsw_bitmap_make(state);
		action = choose_cheapest(state, must_stop);
		if (action == HNSW_SEARCH_ON)
			action = HNSW_TO_BITMAP;
	}
	return action;
}

bool
hnsw_is_exact_cheaper(const HnswState *state)
{
	const HnswRun *run = &state->run;
	double rows = state->estimates.planned.rows;
	double members;
	double nodes;

	if (!state->bitmap.members || isinf(run->bounds.wanted) || run->released)
		return true;
	members = Max(hnsw_members_count(state->bitmap.members), 1);
	nodes = run->bounds.wanted * rows / members / state->learned.near;
	return hnsw_cost_read_bitmap(&state->estimates.costs, &state->estimates.planned, members,
								 members) <= hnsw_cost_search(&state->estimates.costs,
															  &state->estimates.planned, 0, nodes,
															  run->bounds.wanted, true);
}
