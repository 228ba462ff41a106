/*
 * hnswnext.c
 *	  Finds the next node of a scan.
 *
 * Owns the order: visited nodes that wait to be returned, bounds of those that were returned
 * (HnswPending), and the current node (HnswCurrent). choose_step is the only place that
 * decides between results, another round of the search, a sweep of the index, and the
 * driver. Callers hold no lock.
 *
 * Order. A node's distance is known within bounds. Nodes are returned by their lower bounds.
 * A late node is one whose lower bound is below that of a node already returned:
 * relaxed_order returns it at once, strict_order only when nothing else is left. A driver
 * gets it at once, and orders the rows itself.
 */
#include "am/hnswscanstate.h"

#include "code/bound.h"
#include "miscadmin.h"
#include "utils/float.h"
#include "utils/memutils.h"

/* Relative costs of a visit, and of reading a record in a sweep. */
#define COST_OF_VISIT        10.0
#define COST_OF_SWEPT_RECORD 1.0

/* ---- results */

/* True if the scan itself has to return nodes in the order of their lower bounds. */
static inline bool
is_strict(const HnswScan *state)
{
	return !state->drive.driven && hnsw_iterative_scan != HNSW_ITERATIVE_RELAXED;
}

void
hnsw_next_reset(HnswScan *state)
{
	HnswPending *pending = &state->pending;

	if (state->sweep)
		hnsw_sweep_end(state->sweep);
	state->sweep = NULL;
	pending->collected = 0;
	pending->max_error = 0;
	pending->max_norm2 = 0;
	pending->results.n = 0;
	pending->late.n = 0;
	pending->last_low = -get_float8_infinity();
	pending->max_high = -get_float8_infinity();
	hnsw_tids_reset(&state->current.tids);
}

void
hnsw_collect_visited(HnswScan *state)
{
	const OmendbSearch *search = &state->rounds.search;
	HnswPending *pending = &state->pending;

	for (; pending->collected < search->visited_used; pending->collected++)
	{
		const OmendbVisited *visited = &search->visited[pending->collected];
		const OmendbPayload *payload = &visited->payload;
		HnswResult result;

		if (!payload->live)
			continue;
		result.visited = pending->collected;
		pending->max_error = Max(pending->max_error, payload->error);
		pending->max_norm2 = Max(pending->max_norm2, payload->norm2);
		result.low = omendb_lower_bound(&state->query.prepared, visited->distance, payload->error,
										payload->norm2, &result.high);
		if (result.low < pending->last_low && is_strict(state))
		{
			state->report.late++;
			hnsw_results_push(&pending->late, state->context, result);
		}
		else
			hnsw_results_push(&pending->results, state->context, result);
	}
}

/*
 * True if rows of the node may have different distances. Under cosine a node stands for a
 * direction, and the operator's rounding depends on the length.
 */
static bool
rows_may_differ(const HnswScan *state, const OmendbPayload *payload)
{
	return state->store.index->codec.layout.metric == OMENDB_METRIC_COSINE &&
		   (payload->ntids > 1 || payload->overflow != OMENDB_NO_NODE);
}

/*
 * Make a node the current one. The executor has to compute the operator's value of its rows
 * (recheck) where the bounds overlap those of a node already returned, or may reach
 * next_low, the lower bound of the node that follows; `next_known` says whether that is known.
 */
static void
set_current(HnswScan *state, OmendbNode node, const OmendbPayload *payload, double low, double high,
			bool next_known, double next_low)
{
	HnswCurrent *current = &state->current;
	HnswPending *pending = &state->pending;

	current->low = low;
	current->high = high;
	if (low < pending->max_high)
		current->recheck = true;
	else if (!next_known || rows_may_differ(state, payload))
		current->recheck = high > low;
	else
		current->recheck = high > next_low;
	pending->max_high = Max(pending->max_high, high);
	pending->last_low = Max(pending->last_low, low);
	hnsw_tids_begin(&current->tids, node, payload);
}

/* ---- what decides about the next step */

/*
 * True if an unvisited candidate may be as near as the nearest result, and is worth another
 * round. The way to the query leads past nodes that are farther than candidates set aside,
 * and distances are known only within bounds.
 */
static bool
is_in_doubt(const HnswScan *state)
{
	const HnswPending *pending = &state->pending;
	float nearest;
	double low;
	double high;

	if (pending->results.n == 0 || !hnsw_rounds_may_follow_doubt(state) ||
		!omendb_search_next_estimate(&state->rounds.search, &nearest))
		return false;
	low = omendb_lower_bound(&state->query.prepared, nearest, pending->max_error,
							 pending->max_norm2, &high);
	/* Distances of bits are exact: equal ones may come in any order. */
	return state->store.index->codec.layout.own == OMENDB_OWN_BITS
			   ? pending->results.items[0].low > low
			   : pending->results.items[0].low >= low;
}

/* True if no result may be returned before another round. */
static bool
needs_round(const HnswScan *state)
{
	const HnswRounds *rounds = &state->rounds;

	return rounds->allowed != HNSW_ALL_NODES &&
		   (state->pending.results.n == 0 || rounds->returned >= rounds->allowed ||
			is_in_doubt(state));
}

/* True if the driver decides whether another round is searched. */
static bool
is_over_budget(HnswScan *state)
{
	return state->drive.driven && hnsw_iterative_scan != HNSW_ITERATIVE_OFF &&
		   state->rounds.search.visited_used >= state->drive.request.budget &&
		   !hnsw_rounds_exhausted(state);
}

/* True if a sweep costs less than another round, which visits about as many nodes as all before. */
static bool
is_sweep_cheaper(HnswScan *state)
{
	double records = omendb_store_blocks(&state->store) *
					 omendb_page_usual_records(&state->store.index->codec.layout);

	return state->rounds.search.visited_used * COST_OF_VISIT > records * COST_OF_SWEPT_RECORD;
}

/* The limit that forbids another round; HNSW_STOP_NONE if there may be one. */
static HnswStop
find_limit(HnswScan *state)
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

typedef enum Step
{
	STEP_RESULT,      /* return a result, or a late node where there is none */
	STEP_FIRST_ROUND, /* finish the first round of the search */
	STEP_ROUND,       /* search another round */
	STEP_BEGIN_SWEEP, /* change to a sweep */
	STEP_SWEEP,       /* return the next node of the sweep */
	STEP_PAUSE,       /* return nothing: the driver's budget is used up */
	STEP_END,         /* return nothing: report.stop says why */
} Step;

/*
 * Decide what the scan does next. Sets report.stop.
 *
 * If every node was returned that edges lead to, a plain Index Scan sweeps the index, and a
 * driver reads the table. Inserts and vacuums replace edges during the scan: a node may have
 * lost the edge by which the scan would have come to it, and have got another one from a
 * node that the scan had visited before.
 */
static Step
choose_step(HnswScan *state)
{
	HnswScanReport *report = &state->report;
	bool driven = state->drive.driven;

	if (state->sweep)
		return STEP_SWEEP;
	if (state->empty)
	{
		report->stop = HNSW_STOP_EXHAUSTED;
		return STEP_END;
	}
	if (!state->rounds.first_finished)
		return STEP_FIRST_ROUND;
	if (needs_round(state))
	{
		if (is_over_budget(state))
			return STEP_PAUSE;
		if (hnsw_iterative_scan == HNSW_ITERATIVE_OFF)
		{
			report->stop = HNSW_STOP_EF_SEARCH;
			return STEP_END;
		}
		if (!driven && hnsw_exhaustive_scan && is_sweep_cheaper(state))
			return STEP_BEGIN_SWEEP;
		report->stop = find_limit(state);
		if (report->stop == HNSW_STOP_NONE)
			return STEP_ROUND;
		if (report->stop != HNSW_STOP_EXHAUSTED && driven)
			return STEP_END;
		if (report->stop != HNSW_STOP_EXHAUSTED && hnsw_exhaustive_scan)
			return STEP_BEGIN_SWEEP;
		state->rounds.allowed = HNSW_ALL_NODES;
	}
	if (state->pending.results.n > 0 || state->pending.late.n > 0)
		return STEP_RESULT;
	if (report->stop == HNSW_STOP_EXHAUSTED && !driven && hnsw_may_read_all())
		return STEP_BEGIN_SWEEP;
	return STEP_END;
}

/* ---- the steps */

static void
return_result(HnswScan *state)
{
	HnswPending *pending = &state->pending;
	HnswResult result =
		hnsw_results_pop(pending->results.n > 0 ? &pending->results : &pending->late);
	const OmendbVisited *visited = &state->rounds.search.visited[result.visited];
	bool next_known;

	state->rounds.returned++;
	next_known = pending->results.n > 0 && !needs_round(state);
	set_current(state, visited->node, &visited->payload, result.low, result.high, next_known,
				next_known ? pending->results.items[0].low : 0);
}

/* Make the next node of the sweep the current one; false at the sweep's end. */
static bool
return_swept(HnswScan *state)
{
	HnswSwept swept;

	if (!hnsw_sweep_next(state->sweep, &swept))
	{
		state->report.stop = HNSW_STOP_EXHAUSTED;
		return false;
	}
	state->report.late += swept.late;
	set_current(state, swept.node, &swept.payload, swept.low, swept.high, true, swept.next_low);
	return true;
}

/* Set or clear a node's bit. A node beyond the file's end as it was is too young for the snapshot. */
static inline void
set_bit(uint8 *bits, uint64 nodes, OmendbNode node, bool on)
{
	if (node >= nodes)
		return;
	if (on)
		bits[node / 8] |= 1 << (node % 8);
	else
		bits[node / 8] &= ~(1 << (node % 8));
}

/* The nodes that were visited and do not wait to be returned: a bit for each of `nodes` nodes. */
static uint8 *
make_returned_set(HnswScan *state, uint64 nodes)
{
	const OmendbVisited *visited = state->rounds.search.visited;
	const HnswResults *heaps[] = {&state->pending.results, &state->pending.late};
	uint8 *bits = MemoryContextAllocExtended(state->context, nodes / 8 + 1,
											 MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);

	for (size_t i = 0; i < state->rounds.search.visited_used; i++)
		set_bit(bits, nodes, visited[i].node, true);
	for (int h = 0; h < lengthof(heaps); h++)
		for (size_t i = 0; i < heaps[h]->n; i++)
			set_bit(bits, nodes, visited[heaps[h]->items[i].visited].node, false);
	return bits;
}

void
hnsw_begin_sweep(HnswScan *state)
{
	HnswPending *pending = &state->pending;
	/* Late nodes come after all others, unless the caller orders. */
	double late = is_strict(state) ? pending->last_low : -get_float8_infinity();
	double memory = Min(work_mem * hnsw_scan_mem_multiplier, MAX_KILOBYTES);
	BlockNumber blocks = RelationGetNumberOfBlocks(state->store.relation);
	uint64 nodes =
		(uint64) (blocks - OMENDB_FIRST_BLOCK) * state->store.index->codec.layout.per_page;
	uint8 *returned = make_returned_set(state, nodes);

	state->report.nodes = state->rounds.search.visited_used;
	omendb_search_free(&state->rounds.search);
	state->report.sweeps++;
	state->report.late = 0; /* the sweep counts them again */
	state->report.stop = HNSW_STOP_NONE;
	state->sweep = hnsw_sweep_begin(&state->store, &state->query.prepared, returned, blocks, late,
									(int) memory);
	pending->results.n = pending->late.n = 0;
	pfree(returned);
}

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
				hnsw_rounds_finish_first(state);
				hnsw_collect_visited(state);
				break;
			case STEP_ROUND:
				state->report.resumes++;
				hnsw_rounds_next(state);
				hnsw_collect_visited(state);
				break;
			case STEP_BEGIN_SWEEP:
				hnsw_begin_sweep(state);
				break;
			case STEP_SWEEP:
				return return_swept(state);
			case STEP_PAUSE:
				state->drive.paused = true;
				return false;
			case STEP_END:
				return false;
		}
}
