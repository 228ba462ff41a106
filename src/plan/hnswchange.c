/*
 * hnswchange.c
 *	  Which strategy goes on: the decision of a custom scan that runs.
 *
 * Before each round of the search the scan knows how many rows the index gave,
 * and how many of them passed. From that follows what it will cost to find the
 * rest by searching on, by searching with a bitmap, or by reading. The scan goes
 * over to what is cheaper by MARGIN.
 */
#include "plan/hnswcustom.h"
#include "plan/hnswstate.h"

#include <math.h>

#include "executor/executor.h"
#include "miscadmin.h"

/* A change pays only where it is cheaper by that. */
#define MARGIN 1.15

/* What the planner expects counts as much as so many rows that were seen. */
#define WEIGHT_OF_PLAN 10

/* The share of the rows that pass: what was seen, and what the planner expects. */
static double
share_that_passes(const HnswState *state)
{
	const HnswRun *run = &state->run;
	double expected = Max(state->planned.share, 1 / (4 * state->planned.rows));

	return Min((run->passed + WEIGHT_OF_PLAN * expected) / (run->popped + WEIGHT_OF_PLAN), 1);
}

/* Rows that the scan still has to find; where nobody knows, as many as it found. */
static double
rows_needed(const HnswState *state)
{
	const HnswRun *run = &state->run;
	double held = hnsw_rows_ready(&state->rows) + state->rows.waiting.used;

	if (!run->released && run->wanted > 0 && !isinf(run->wanted))
		return Max(run->wanted - held, 1);
	return Max(run->passed, hnsw_ef_search);
}

HnswAction
hnsw_choose_action(const HnswState *state, bool must_stop)
{
	const HnswRun *run = &state->run;
	const HnswCosts *costs = &state->costs;
	const HnswPlanned *planned = &state->planned;
	bool forced = hnsw_scan_strategy != HNSW_STRATEGY_AUTO;
	double share = share_that_passes(state);
	double needed = rows_needed(state);
	double nodes = needed / share;
	bool has_bitmap = state->members || hnsw_bitmap_child(state);
	double passing = share * planned->rows;
	double members = 0;
	double make = 0;
	double rest = 0;
	HnswAction action = HNSW_GO_ON;
	double best;
	double cost;

	if (!run->may_read_all || (forced && !must_stop))
		return HNSW_GO_ON;
	if (state->members)
		members = hnsw_members_count(state->members);
	else if (has_bitmap)
	{
		/* If more rows pass than expected, more are in the bitmap. */
		members = planned->rows * Min(planned->members_share * Max(share / planned->share, 1), 1);
		make = hnsw_cost_make_bitmap(costs, planned, members);
	}
	/* All of the index will not do: rows that it leaves out have to be read after it. */
	if (run->popped + nodes > planned->nodes && (state->flags & HNSW_FLAG_UNINDEXED))
		rest = has_bitmap ? make + hnsw_cost_exact(costs, planned, true, members, passing)
						  : hnsw_cost_exact(costs, planned, false, 0, passing);
	best = must_stop
			   ? INFINITY
			   : hnsw_cost_search(
					 costs, planned, run->popped, nodes,
					 state->members ? needed * Max(members / planned->rows, share) / share : nodes,
					 state->members != NULL) /
					 MARGIN;

	if (has_bitmap && !state->members && !must_stop)
	{
		cost = make + hnsw_cost_search(costs, planned, run->popped, nodes,
									   needed * Max(members / planned->rows, share) / share, true);
		if (cost < best)
		{
			best = cost;
			action = HNSW_TO_BITMAP;
		}
	}
	cost = costs->sweep + rest +
		   Min(nodes, planned->nodes) * (state->members ? costs->member : costs->fetch);
	if (cost < best)
	{
		best = cost;
		action = HNSW_TO_SWEEP;
	}
	/* Without clauses the order of what was found first stays: LIMIT n begins LIMIT m. */
	if (state->has_clauses && (!forced || state->members))
	{
		cost = has_bitmap ? make + hnsw_cost_exact(costs, planned, true, members, passing)
						  : hnsw_cost_exact(costs, planned, false, 0, passing);
		if (cost < best)
			action = HNSW_TO_EXACT;
	}
	return action;
}

bool
hnsw_exact_is_right(const HnswState *state)
{
	const HnswRun *run = &state->run;
	double rows = state->planned.rows;
	double members;
	double nodes;

	if (!state->members || isinf(run->wanted) || run->released)
		return true;
	members = Max(hnsw_members_count(state->members), 1);
	nodes = run->wanted * rows / members;
	return hnsw_cost_exact(&state->costs, &state->planned, true, members, members) <=
		   hnsw_cost_search(&state->costs, &state->planned, 0, nodes, run->wanted, true);
}

void
hnsw_make_members(HnswState *state)
{
	PlanState *child = hnsw_bitmap_child(state);
	MemoryContext old;
	Node *bitmap;

	if (state->members || !child)
		return;
	bitmap = MultiExecProcNode(child);
	if (!bitmap || !IsA(bitmap, TIDBitmap))
		elog(ERROR, "unrecognized result from subplan");
	old = MemoryContextSwitchTo(state->context);
	state->members = hnsw_members_create((TIDBitmap *) bitmap);
	MemoryContextSwitchTo(old);
	tbm_free((TIDBitmap *) bitmap);
}
