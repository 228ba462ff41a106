/*
 * hnswnext.c
 *	  The next node of a scan.
 */
#include "am/hnswscanstate.h"

#include "miscadmin.h"
#include "utils/float.h"
#include "utils/memutils.h"

/*
 * How much wider the beam may become, than the nodes returned call for, only
 * because an unvisited candidate may be nearer than the next node. Where nearly
 * all nodes are equally far, such a candidate always exists.
 */
#define MAX_DOUBT 2

/* Relative costs: a visit, and a record that a sweep reads. */
#define COST_OF_VISIT 10.0
#define COST_OF_SWEPT 1.0

/* Must the scan itself return nodes in the order of their lower bounds? */
static inline bool
keeps_order(const HnswScan *state)
{
	return !state->drive.driven && hnsw_iterative_scan != HNSW_ITERATIVE_RELAXED;
}

/* Put what was visited since the last time among the results. */
void
hnsw_collect_visited(HnswScan *state)
{
	OmendbSearch *search = &state->rounds.search;

	for (; state->pending.collected < search->visited_used; state->pending.collected++)
	{
		const OmendbVisited *visited = &search->visited[state->pending.collected];
		HnswResult result;

		if (!visited->payload.live)
			continue;
		result.visited = state->pending.collected;
		state->pending.max_error = Max(state->pending.max_error, visited->payload.error);
		state->pending.max_norm2 = Max(state->pending.max_norm2, visited->payload.norm2);
		result.low =
			omendb_lower_bound(&state->query.prepared, visited->distance, visited->payload.error,
							   visited->payload.norm2, &result.high);
		if (result.low < state->pending.last_low && keeps_order(state))
		{
			state->report.late++;
			hnsw_results_push(&state->pending.late, state->context, result);
		}
		else
			hnsw_results_push(&state->pending.results, state->context, result);
	}
}

/* Slots of records that the index has. */
static double
slots_of_index(HnswScan *state)
{
	return (double) omendb_store_blocks(&state->store) * state->store.index->codec.layout.per_page;
}

/* Another round visits about as many nodes as all before it. */
static bool
sweep_is_cheaper(HnswScan *state)
{
	return (double) state->rounds.search.visited_used * COST_OF_VISIT >
		   slots_of_index(state) * COST_OF_SWEPT;
}

/* What forbids another round, or HNSW_STOP_NONE. */
static HnswStop
what_stops(HnswScan *state)
{
	const OmendbSearch *search = &state->rounds.search;
	size_t waiting = state->pending.results.n + state->pending.late.n;

	if (hnsw_rounds_exhausted(state))
		return HNSW_STOP_EXHAUSTED;
	if (search->visited_used >= (size_t) hnsw_max_scan_tuples)
		return HNSW_STOP_TUPLES;
	if (omendb_search_bytes(search) + waiting * sizeof(HnswResult) >
		(double) work_mem * 1024 * hnsw_scan_mem_multiplier)
		return HNSW_STOP_MEMORY;
	return HNSW_STOP_NONE;
}

static inline void
mark(uint8 *bits, uint64 nodes, OmendbNode node, bool to)
{
	/* A node beyond the file's end as it was then is too young for the snapshot. */
	if (node >= nodes)
		return;
	if (to)
		bits[node / 8] |= 1 << (node % 8);
	else
		bits[node / 8] &= ~(1 << (node % 8));
}

/*
 * Go on with all nodes of the index that were not returned yet, in order. The
 * nodes found too late come after all others, unless the caller orders.
 */
void
hnsw_begin_sweep(HnswScan *state)
{
	OmendbSearch *search = &state->rounds.search;
	const OmendbLayout *layout = &state->store.index->codec.layout;
	double late = keeps_order(state) ? state->pending.last_low : -get_float8_infinity();
	double memory = Min(work_mem * hnsw_scan_mem_multiplier, MAX_KILOBYTES);
	BlockNumber blocks = RelationGetNumberOfBlocks(state->store.relation);
	uint64 nodes = (uint64) (blocks - OMENDB_FIRST_BLOCK) * layout->per_page;
	uint8 *returned = MemoryContextAllocExtended(state->context, nodes / 8 + 1,
												 MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);

	for (size_t i = 0; i < search->visited_used; i++)
		mark(returned, nodes, search->visited[i].node, true);
	for (size_t i = 0; i < state->pending.results.n; i++)
		mark(returned, nodes, search->visited[state->pending.results.items[i].visited].node, false);
	for (size_t i = 0; i < state->pending.late.n; i++)
		mark(returned, nodes, search->visited[state->pending.late.items[i].visited].node, false);
	state->report.nodes = search->visited_used;
	omendb_search_free(search);
	state->report.sweeps++;
	state->report.late = 0; /* counted anew */
	state->report.stop = HNSW_STOP_NONE;
	state->sweep = hnsw_sweep_begin(&state->store, &state->query.prepared, returned, blocks, late,
									(int) memory);
	state->pending.results.n = state->pending.late.n = 0;
	pfree(returned);
}

/*
 * Could a node that was not visited yet be as near as the nearest result? The
 * way to the query leads past nodes that are farther than others set aside, and
 * distances are known within bounds only.
 */
static bool
in_doubt(const HnswScan *state)
{
	float nearest;
	double high;
	double low;

	/* The ef of a recall was measured without that. */
	if (hnsw_recall_target > 0 || hnsw_iterative_scan == HNSW_ITERATIVE_OFF ||
		state->rounds.allowed == PG_INT64_MAX || state->pending.results.n == 0 ||
		hnsw_rounds_beyond_ratio(state) ||
		state->rounds.ef > MAX_DOUBT * Max(state->rounds.first_ef,
										   HNSW_EF_A_NODE * (state->rounds.returned + 1)) ||
		!omendb_search_next_estimate(&state->rounds.search, &nearest))
		return false;
	low = omendb_lower_bound(&state->query.prepared, nearest, state->pending.max_error,
							 state->pending.max_norm2, &high);
	/* Bits are exact: among equals any order will do. */
	return state->store.index->codec.layout.own == OMENDB_OWN_BITS
			   ? state->pending.results.items[0].low > low
			   : state->pending.results.items[0].low >= low;
}

/* Must the search go on before another result may be returned? */
static bool
needs_round(const HnswScan *state)
{
	const HnswRounds *rounds = &state->rounds;

	return rounds->allowed != PG_INT64_MAX &&
		   (state->pending.results.n == 0 || rounds->returned >= rounds->allowed ||
			in_doubt(state));
}

/* Has the driver to be asked before another round? */
static bool
is_over_budget(HnswScan *state)
{
	return state->drive.driven && state->rounds.search.visited_used >= state->drive.budget &&
		   hnsw_iterative_scan != HNSW_ITERATIVE_OFF && !hnsw_rounds_exhausted(state);
}

/*
 * May heap TIDs of one node have different distances? Under cosine a node
 * stands for a direction, and the operator rounds by length.
 */
static bool
rows_differ(const HnswScan *state, const OmendbPayload *payload)
{
	return state->store.index->codec.layout.metric == OMENDB_METRIC_COSINE &&
		   (payload->ntids > 1 || payload->overflow != OMENDB_NO_NODE);
}

/*
 * Make a node the one being returned. last: which one follows is not known yet;
 * else its lower bound is `next`.
 */
static void
set_now(HnswScan *state, OmendbNode node, const OmendbPayload *payload, double low, double high,
		bool last, double next)
{
	state->current.low = low;
	state->current.high = high;
	state->current.recheck = low < state->pending.max_high ||
							 (last || rows_differ(state, payload) ? high > low : high > next);
	if (high > state->pending.max_high)
		state->pending.max_high = high;
	if (low > state->pending.last_low)
		state->pending.last_low = low;
	hnsw_tids_begin(&state->current.tids, node, payload);
}

static bool
next_of_sweep(HnswScan *state)
{
	HnswSwept swept;

	if (!hnsw_sweep_next(state->sweep, &swept))
	{
		state->report.stop = HNSW_STOP_EXHAUSTED;
		return false;
	}
	state->report.late += swept.late;
	set_now(state, swept.node, &swept.payload, swept.low, swept.high, false, swept.next);
	return true;
}

/* Return the nearest result, or where none is left the nearest of those found late. */
static void
return_result(HnswScan *state)
{
	HnswPending *pending = &state->pending;
	HnswResult result =
		hnsw_results_pop(pending->results.n > 0 ? &pending->results : &pending->late);
	const OmendbVisited *visited = &state->rounds.search.visited[result.visited];
	bool last;

	state->rounds.returned++;
	last = pending->results.n == 0 || needs_round(state);
	set_now(state, visited->node, &visited->payload, result.low, result.high, last,
			last ? 0 : pending->results.items[0].low);
}

/* What a scan does to return its next node. */
typedef enum Step
{
	STEP_RESULT,      /* return a result */
	STEP_FIRST_ROUND, /* finish the first round of the search */
	STEP_ROUND,       /* search another round */
	STEP_BEGIN_SWEEP, /* go over to a sweep */
	STEP_SWEEP,       /* return the next node of the sweep */
	STEP_PAUSE,       /* the driver's budget is used up */
	STEP_END,         /* report.stop says why no node is returned; a driver goes on from there */
} Step;

/*
 * The one place that decides who goes on: the results, the search, the sweep, or the driver.
 *
 * Where everything was returned that edges led to, a scan that has to be complete
 * reads the index: inserts and vacuums replace edges while the scan goes on, so a node
 * may have lost the edge by which the scan would have come to it, and have got another
 * from a node that the scan had visited before. (A driver reads the table.)
 */
static Step
choose_step(HnswScan *state)
{
	HnswScanReport *report = &state->report;

	if (state->sweep)
		return STEP_SWEEP;
	if (state->empty)
		return STEP_END;
	if (!state->rounds.first_finished)
		return STEP_FIRST_ROUND;
	if (needs_round(state))
	{
		if (is_over_budget(state))
			return STEP_PAUSE;
		report->stop = HNSW_STOP_EF_SEARCH;
		if (hnsw_iterative_scan == HNSW_ITERATIVE_OFF)
			return STEP_END;
		report->stop = HNSW_STOP_NONE;
		if (!state->drive.driven && hnsw_exhaustive_scan && sweep_is_cheaper(state))
			return STEP_BEGIN_SWEEP;
		report->stop = what_stops(state);
		if (report->stop == HNSW_STOP_NONE)
			return STEP_ROUND;
		if (report->stop != HNSW_STOP_EXHAUSTED && state->drive.driven)
			return STEP_END;
		if (report->stop != HNSW_STOP_EXHAUSTED && hnsw_exhaustive_scan)
			return STEP_BEGIN_SWEEP;
		state->rounds.allowed = PG_INT64_MAX; /* what was visited, to the end */
	}
	if (state->pending.results.n > 0 || state->pending.late.n > 0)
		return STEP_RESULT;
	if (report->stop == HNSW_STOP_EXHAUSTED && !state->drive.driven && hnsw_may_read_all())
		return STEP_BEGIN_SWEEP;
	return STEP_END;
}

/* Make the next node the one being returned; false where there is none, or the scan pauses. */
bool
hnsw_next_node(HnswScan *state)
{
	for (;;)
		switch (choose_step(state))
		{
			case STEP_RESULT:
				return_result(state);
				return true;
			case STEP_FIRST_ROUND:
				hnsw_rounds_finish_first(state, get_float8_infinity());
				hnsw_collect_visited(state);
				break;
			case STEP_ROUND:
				hnsw_rounds_next(state);
				hnsw_collect_visited(state);
				break;
			case STEP_BEGIN_SWEEP:
				hnsw_begin_sweep(state);
				break;
			case STEP_SWEEP:
				return next_of_sweep(state);
			case STEP_PAUSE:
				state->drive.paused = true;
				return false;
			case STEP_END:
				return false;
		}
}
