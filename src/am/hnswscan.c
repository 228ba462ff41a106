/*
 * hnswscan.c
 *	  The index scan: heap TIDs in order of distance, as many as the caller asks
 *	  for.
 *
 * Owns one search of the graph and what it visited. A scan holds no lock and no
 * pin between two calls. Heap TIDs are copied when their node is visited, or when
 * their turn comes (hnswtids.h). A vacuum may remove these TIDs and the heap may
 * reuse them meanwhile: an MVCC snapshot does not see what was put there later,
 * and other snapshots are refused.
 *
 * Order. A node's distance is known within bounds. Nodes are returned by their
 * lower bound. Two kinds of callers use that:
 *
 * - The executor, through amgettuple (a plain Index Scan). Where bounds overlap,
 *	 the executor is told to compute the operator's value and to reorder. A node
 *	 whose lower bound is below that of a node already returned was found too
 *	 late: relaxed_order returns it at once, strict_order only when nothing else
 *	 is left. Where the search has to stop, the scan sweeps the index
 *	 (hnswsweep.h).
 * - The custom scan (plan/), which "drives" the scan by the functions of
 *	 hnswscan.h: it gets the bounds of each row, orders the rows itself, and
 *	 decides how far the search goes and what comes after it.
 *
 * Rounds. The search goes on in rounds, and each round widens the beam and
 * allows more nodes to be returned. The rounds depend on the query and the
 * settings only, never on how many rows are wanted. So the rows of LIMIT n are
 * the first n of LIMIT m.
 */
#include "am/hnsw.h"

#include "access/relscan.h"
#include "am/hnswcalibrate.h"
#include "am/hnswresults.h"
#include "am/hnswscan.h"
#include "am/hnswsweep.h"
#include "am/hnswtids.h"
#include "code/bound.h"
#include "compat.h"
#include "graph/search.h"
#include "miscadmin.h"
#include "page/change.h"
#include "page/reach.h"
#include "page/tids.h"
#include "pgstat.h"
#include "utils/float.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

/*
 * HNSW_EF_A_NODE where the caller puts nodes found late in their places. Rows within a radius (debian-384, ef_search
 * = 40): the recall of 30 is .980, of 100 .990, of 1,000 .997, in .42 of the time
 * that 3.5 takes.
 */
#define EF_A_KEPT_NODE 1.2

/* A round allows so many more nodes than the one before: a quarter, and at least that. */
#define LEAST_ROUND 8

/*
 * How much wider the beam may become, than the nodes returned call for, only
 * because an unvisited candidate may be nearer than the next node. Where nearly
 * all nodes are equally far, such a candidate always exists.
 */
#define MAX_DOUBT 2

/* Entries of the beam for each node that it lacks; at least one of so many that it has. */
#define ENTRIES_A_NODE 2
#define LEAST_STEP     32

/* The first round returns so many nodes more. */
#define MORE_TO_BE_SURE 4

/* So many dead rows at most are noted before they are marked, page by page. */
#define DEAD_AT_A_TIME 65536

/* Relative costs: a visit, and a record that a sweep reads. */
#define COST_OF_VISIT 10.0
#define COST_OF_SWEPT 1.0

HnswScanReport hnsw_last_scan;

/* Where level 0 was entered. */
typedef enum HnswEntered
{
	ENTERED_NEAREST, /* at the nearest of the level above */
	ENTERED_ENTRY,   /* also below the entry point */
	ENTERED_ALL      /* also below every node of level 1 */
} HnswEntered;

typedef struct HnswScan
{
	HnswDrive drive; /* first: hnsw_scan_drive */
	MemoryContext context;
	OmendbStore store;
	const HnswOpclass *opclass;
	OmendbQuery query;
	void *buffer; /* hnsw_value_bytes bytes */
	OmendbSearch search;
	bool started;
	bool empty;
	bool settled;    /* the first round is finished */
	bool null_order; /* every distance is null or NaN */
	Datum null_value;
	bool null_is_null;
	int ef;         /* candidates the beam stands for */
	int first_ef;   /* in the first round */
	int64 allowed;  /* nodes that may be returned before the next round */
	int64 returned; /* nodes */
	HnswEntered entered;
	size_t considered; /* visited nodes that are in results or beyond */
	float most_error;  /* of them */
	float most_norm2;
	HnswResults results;
	HnswResults late; /* found too late for a strict order */
	double last_low;  /* of the node returned last */
	double last_high; /* the largest of all nodes returned */
	HnswSweep *sweep; /* goes on instead of the search; or NULL */

	/* rows that turned out to be dead and are not marked yet */
	OmendbDeadTid *dead;
	size_t ndead;
	size_t dead_capacity;

	/* the node being returned */
	HnswTids tids;
	OmendbNode checked; /* check_own has looked at it last */
	OmendbRecord *own_record;
	float *own;
	ItemPointerData returned_tid; /* last */
	BlockNumber heap_blocks;      /* that the table has, at least; 0 before it was asked */
	double now_low;
	double now_high;
	bool now_recheck;

	HnswScanReport report;
	HnswScanReport earlier; /* the scans before the last rescan, added up */
} HnswScan;

IndexScanDesc
hnsw_begin_scan(Relation index, int nkeys, int norderbys)
{
	IndexScanDesc scan = RelationGetIndexScan(index, nkeys, norderbys);
	MemoryContext context =
		AllocSetContextCreate(CurrentMemoryContext, "hnsw scan", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	HnswScan *state = palloc0(sizeof(HnswScan));
	const OmendbLayout *layout;
	const OmendbIndex *open = omendb_index_open(index);

	layout = &open->codec.layout;
	state->context = context;
	state->store.relation = index;
	state->store.index = open;
	state->store.requests = omendb_store_may_request(index);
	state->opclass = hnsw_opclass(index);
	omendb_query_init(&state->query, &open->codec, palloc(omendb_query_bytes(&open->codec) + 1));
	state->buffer = palloc(hnsw_value_bytes(layout));
	omendb_search_init(&state->search, &omendb_store_ops, &state->store, &omendb_palloc_allocator,
					   omendb_layout_is_coded(layout));
	hnsw_tids_init(&state->tids, &state->store);
	MemoryContextSwitchTo(old);

	if (norderbys > 0)
	{
		scan->xs_orderbyvals = palloc0(sizeof(Datum) * norderbys);
		scan->xs_orderbynulls = palloc0(sizeof(bool) * norderbys);
	}
	scan->opaque = state;
	return scan;
}

/* Complete the report of the scan that goes on. */
static void
update_report(HnswScan *state)
{
	state->report.valid = true;
	state->report.index = RelationGetRelid(state->store.relation);
	if (!state->sweep)
		state->report.nodes = state->search.visited_used;
	state->report.pages = state->store.counters.pages;
	state->report.misses = state->store.counters.misses;
}

static void
add_report(HnswScanReport *sum, const HnswScanReport *report)
{
	sum->valid = true;
	sum->index = report->index;
	sum->nodes += report->nodes;
	sum->pages += report->pages;
	sum->misses += report->misses;
	sum->rows += report->rows;
	sum->rechecks += report->rechecks;
	sum->resumes += report->resumes;
	sum->late += report->late;
	sum->sweeps += report->sweeps;
	sum->table_reads += report->table_reads;
	sum->ef = Max(sum->ef, report->ef);
	if (report->stop != HNSW_STOP_NONE)
		sum->stop = report->stop;
}

static void
publish_report(HnswScan *state)
{
	update_report(state);
	hnsw_last_scan = state->report;
	add_report(&state->earlier, &state->report);
}

void
hnsw_scan_report(IndexScanDesc scan, HnswScanReport *report)
{
	HnswScan *state = scan->opaque;

	*report = state->earlier;
	if (state->started)
	{
		update_report(state);
		add_report(report, &state->report);
	}
}

static void
mark_dead(HnswScan *state)
{
	if (state->ndead > 0)
		omendb_mark_tids(&state->store, state->dead, state->ndead);
	state->ndead = 0;
}

void
hnsw_scan_note_dead(IndexScanDesc scan, const HnswPlace *place, const ItemPointerData *tid)
{
	HnswScan *state = scan->opaque;

	if (state->ndead == state->dead_capacity)
	{
		MemoryContext old = MemoryContextSwitchTo(state->context);

		state->dead_capacity = Max(64, 2 * state->dead_capacity);
		state->dead = omendb_palloc_allocator.resize(NULL, state->dead,
													 state->dead_capacity * sizeof(OmendbDeadTid));
		MemoryContextSwitchTo(old);
	}
	state->dead[state->ndead++] = (OmendbDeadTid){place->record, place->version, *tid};
	if (state->ndead == DEAD_AT_A_TIME)
		mark_dead(state);
}

static void
end_sweep(HnswScan *state)
{
	if (state->sweep)
		hnsw_sweep_end(state->sweep);
	state->sweep = NULL;
}

void
hnsw_rescan(IndexScanDesc scan, ScanKey keys, int nkeys, ScanKey orderbys, int norderbys)
{
	HnswScan *state = scan->opaque;

	if (keys && scan->numberOfKeys > 0)
		memmove(scan->keyData, keys, scan->numberOfKeys * sizeof(ScanKeyData));
	if (orderbys && scan->numberOfOrderBys > 0)
		memmove(scan->orderByData, orderbys, scan->numberOfOrderBys * sizeof(ScanKeyData));
	mark_dead(state);
	if (state->started)
		publish_report(state);
	/* What took much memory is not kept: clearing it costs each search that follows. */
	if (state->started && state->report.resumes > 0)
		omendb_search_free(&state->search);
	end_sweep(state);
	state->started = false;
}

void
hnsw_end_scan(IndexScanDesc scan)
{
	HnswScan *state = scan->opaque;

	mark_dead(state);
	if (state->started)
		publish_report(state);
	end_sweep(state);
	MemoryContextDelete(state->context);
	scan->opaque = NULL;
}

/* Must the scan itself return nodes in the order of their lower bounds? */
static inline bool
keeps_order(const HnswScan *state)
{
	return !state->drive.driven && hnsw_iterative_scan != HNSW_ITERATIVE_RELAXED;
}

/*
 * The ef that decides how many candidates the beam has for each node returned (HNSW_WIDE_EF). With
 * a filter all rows returned may be near the edge of the beam, so the beam has as many candidates a
 * node as a narrow beam has.
 */
static inline double
ef_of_ratio(const HnswScan *state)
{
	return state->drive.filters ? 0 : state->first_ef;
}

/* The ef with which as many nodes are found as may be returned in a later round. */
static double
ef_of_round(HnswScan *state)
{
	if (hnsw_recall_target > 0 && !state->drive.keeps_all)
		return hnsw_ef_for(&state->store, state->allowed);
	if (state->drive.keeps_all)
		return state->allowed * EF_A_KEPT_NODE;
	return hnsw_ef_of_nodes(ef_of_ratio(state), state->allowed);
}

/* The first round. */
static void
set_first_round(HnswScan *state)
{
	state->ef = hnsw_ef_for(&state->store, state->drive.wanted);
	state->first_ef = state->report.ef = state->ef;
	if (state->drive.keeps_all)
		state->allowed = (int64) (state->ef / EF_A_KEPT_NODE);
	else if (hnsw_recall_target > 0)
		state->allowed =
			(int64) Max(state->ef / HNSW_EF_A_NODE, Min(state->drive.wanted, state->ef));
	else
		state->allowed = (int64) hnsw_nodes_of_ef(ef_of_ratio(state), state->ef);
	state->allowed = Max(state->allowed, Min(state->ef, HNSW_LEAST_FIRST_NODES));
	if (hnsw_iterative_scan == HNSW_ITERATIVE_OFF)
		state->allowed = state->ef;
	/* The executor may have to see the next row to be sure of the order. */
	else
		state->allowed += MORE_TO_BE_SURE;
}

/* Put what was visited since the last time among the results. */
static void
take_results(HnswScan *state)
{
	OmendbSearch *search = &state->search;

	for (; state->considered < search->visited_used; state->considered++)
	{
		const OmendbVisited *visited = &search->visited[state->considered];
		HnswResult result;

		if (!visited->payload.live)
			continue;
		result.visited = state->considered;
		state->most_error = Max(state->most_error, visited->payload.error);
		state->most_norm2 = Max(state->most_norm2, visited->payload.norm2);
		result.low = omendb_lower_bound(&state->query, visited->distance, visited->payload.error,
										visited->payload.norm2, &result.high);
		if (result.low < state->last_low && keeps_order(state))
		{
			state->report.late++;
			hnsw_results_push(&state->late, state->context, result);
		}
		else
			hnsw_results_push(&state->results, state->context, result);
	}
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
		if (!omendb_search_has_visited(&state->search, at))
			omendb_search_enter(&state->search, at);
	omendb_reach_free(&reach);
}

/* Is there no node left to visit? */
static bool
exhausted(HnswScan *state)
{
	while (omendb_search_exhausted(&state->search))
	{
		if (state->entered == ENTERED_ALL)
			return true;
		enter_from_above(state, ++state->entered == ENTERED_ALL);
	}
	return false;
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
	return (double) state->search.visited_used * COST_OF_VISIT >
		   slots_of_index(state) * COST_OF_SWEPT;
}

/* May there be another round? Where not, report.stop says why, or is NONE: a sweep is cheaper. */
static bool
may_search_on(HnswScan *state)
{
	OmendbSearch *search = &state->search;

	state->report.stop = HNSW_STOP_NONE;
	if (hnsw_iterative_scan == HNSW_ITERATIVE_OFF)
		state->report.stop = HNSW_STOP_EF_SEARCH;
	else if (!state->drive.driven && hnsw_exhaustive_scan && sweep_is_cheaper(state))
		return false;
	else if (exhausted(state))
		state->report.stop = HNSW_STOP_EXHAUSTED;
	else if (search->visited_used >= (size_t) hnsw_max_scan_tuples)
		state->report.stop = HNSW_STOP_TUPLES;
	else if (omendb_search_bytes(search) + (state->results.n + state->late.n) * sizeof(HnswResult) >
			 (double) work_mem * 1024 * hnsw_scan_mem_multiplier)
		state->report.stop = HNSW_STOP_MEMORY;
	else
		return true;
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
	uint32 width = state->search.beam.width;

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
	OmendbSearch *search = &state->search;
	size_t wanted = Min((size_t) state->ef, search->visit_limit);

	while (search->visited_used < wanted && !exhausted(state))
		omendb_search_extend(search, wider_beam(state, wanted - search->visited_used));
}

/* The next round of the search. */
static void
search_on(HnswScan *state)
{
	state->report.resumes++;
	state->allowed += Max(state->allowed / 4, LEAST_ROUND);
	state->ef = (int) Min(Max(ef_of_round(state), state->ef), Min(2.0 * state->ef, INT_MAX / 4));
	omendb_search_advance(&state->search,
						  hnsw_beam_width(&state->store.index->codec.layout, state->ef));
	visit_ef(state);
	take_results(state);
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
static void
begin_sweep(HnswScan *state)
{
	OmendbSearch *search = &state->search;
	const OmendbLayout *layout = &state->store.index->codec.layout;
	double late = keeps_order(state) ? state->last_low : -get_float8_infinity();
	double memory = Min(work_mem * hnsw_scan_mem_multiplier, MAX_KILOBYTES);
	BlockNumber blocks = RelationGetNumberOfBlocks(state->store.relation);
	uint64 nodes = (uint64) (blocks - OMENDB_FIRST_BLOCK) * layout->per_page;
	uint8 *returned = MemoryContextAllocExtended(state->context, nodes / 8 + 1,
												 MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);

	for (size_t i = 0; i < search->visited_used; i++)
		mark(returned, nodes, search->visited[i].node, true);
	for (size_t i = 0; i < state->results.n; i++)
		mark(returned, nodes, search->visited[state->results.items[i].visited].node, false);
	for (size_t i = 0; i < state->late.n; i++)
		mark(returned, nodes, search->visited[state->late.items[i].visited].node, false);
	state->report.nodes = search->visited_used;
	omendb_search_free(search);
	state->report.sweeps++;
	state->report.late = 0; /* counted anew */
	state->report.stop = HNSW_STOP_NONE;
	state->sweep =
		hnsw_sweep_begin(&state->store, &state->query, returned, blocks, late, (int) memory);
	state->results.n = state->late.n = 0;
	pfree(returned);
}

/*
 * Search until the first round is finished, or for the driver's budget: it may not
 * be worth while to finish it.
 */
static void
settle(HnswScan *state, double budget)
{
	OmendbSearch *search = &state->search;
	uint32 width = hnsw_beam_width(&state->store.index->codec.layout, state->ef);
	size_t limit = SIZE_MAX;

	if (hnsw_iterative_scan != HNSW_ITERATIVE_OFF)
	{
		limit = Max((size_t) hnsw_max_scan_tuples, (size_t) state->ef);
		if (state->drive.driven && budget < limit)
			search->visit_limit = Max((size_t) budget, 1);
		else
			search->visit_limit = limit;
	}
	omendb_search_settle(search, OMENDB_MAX_WIDENING * width);
	visit_ef(state);
	state->settled = search->visit_limit == limit || search->visited_used < search->visit_limit;
	search->visit_limit = limit;
}

/*
 * Descend from the entry point and search level 0. False where the way led to
 * no node.
 */
static bool
search_from(HnswScan *state, OmendbNode at, unsigned level)
{
	OmendbSearch *search = &state->search;
	uint32 width = hnsw_beam_width(&state->store.index->codec.layout, state->ef);

	omendb_search_descend(search, &state->query, at, level,
						  omendb_meta_upper_beam(&state->store.index->meta), width, SIZE_MAX);
	settle(state, state->drive.first_round);
	return search->visited_used > 0;
}

static void
start(IndexScanDesc scan)
{
	HnswScan *state = scan->opaque;
	OmendbSearch *search = &state->search;
	ScanKey key;
	OmendbNode at;
	unsigned level;

	if (scan->numberOfOrderBys == 0)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("cannot scan hnsw index without order")));
	if (!IsMVCCSnapshot(scan->xs_snapshot))
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("non-MVCC snapshots are not supported with hnsw")));
	pgstat_count_index_scan(scan->indexRelation);
	omendb_count_search(scan);

	state->started = true;
	memset(&state->report, 0, sizeof(state->report));
	memset(&state->store.counters, 0, sizeof(state->store.counters));
	set_first_round(state);
	state->returned = 0;
	state->entered = ENTERED_NEAREST;
	state->considered = 0;
	state->most_error = 0;
	state->most_norm2 = 0;
	state->results.n = 0;
	state->late.n = 0;
	state->last_low = -get_float8_infinity();
	state->last_high = -get_float8_infinity();
	hnsw_tids_reset(&state->tids);
	state->checked = OMENDB_NO_NODE;
	/* A driver gets them all: what it does next follows from how many rows there were. */
	state->tids.skip_marked = scan->ignore_killed_tuples && !state->drive.driven;
	state->heap_blocks = 0;
	state->null_order = false;

	/* No heap quals reach an index without keys, but IS NULL could. */
	key = &scan->orderByData[0];
	if (key->sk_flags & SK_ISNULL)
	{
		state->null_order = true;
		state->null_is_null = true;
	}
	else if (!hnsw_set_query(&state->query, state->opclass, key->sk_argument, state->buffer))
	{
		/* Zero under cosine: NaN from everything. */
		state->null_order = true;
		state->null_is_null = false;
		state->null_value = Float8GetDatum(get_float8_nan());
	}
	if (state->null_order)
	{
		/* Any order will do: that of some vector. */
		hnsw_set_zero_query(&state->query, state->buffer);
	}

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
			state->settled = true;
			omendb_search_begin(search, &state->query, 0, 1);
			state->report.stop = HNSW_STOP_EXHAUSTED;
			return;
		}
		if (search_from(state, at, level))
			break;
		if (attempt == 1000)
			omendb_corrupt_page(scan->indexRelation, OMENDB_META_BLOCK,
								"The entry point leads to no node.");
	}
	take_results(state);
}

/*
 * Does a round of a wide beam return nodes for which there are fewer candidates than
 * HNSW_EF_A_NODE says? That far from the query there always is a doubt, and to follow
 * it costs more than the same recall does by a larger ef (glove-100, 100 rows: 472
 * visits for a recall of .933, 452 for .956).
 */
static inline bool
is_beyond_ratio(const HnswScan *state)
{
	return ef_of_ratio(state) >= HNSW_WIDE_EF && !state->drive.keeps_all &&
		   state->returned > state->ef / HNSW_EF_A_NODE + MORE_TO_BE_SURE;
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
		state->allowed == PG_INT64_MAX || state->results.n == 0 || is_beyond_ratio(state) ||
		state->ef > MAX_DOUBT * Max(state->first_ef, HNSW_EF_A_NODE * (state->returned + 1)) ||
		!omendb_search_next_estimate(&state->search, &nearest))
		return false;
	low = omendb_lower_bound(&state->query, nearest, state->most_error, state->most_norm2, &high);
	/* Bits are exact: among equals any order will do. */
	return state->store.index->codec.layout.own == OMENDB_OWN_BITS
			   ? state->results.items[0].low > low
			   : state->results.items[0].low >= low;
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
	state->now_low = low;
	state->now_high = high;
	state->now_recheck =
		low < state->last_high || (last || rows_differ(state, payload) ? high > low : high > next);
	if (high > state->last_high)
		state->last_high = high;
	if (low > state->last_low)
		state->last_low = low;
	hnsw_tids_begin(&state->tids, node, payload);
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

/*
 * Go on until the next node may be returned. False where the scan pauses, or
 * leaves it to its driver to go on.
 */
static bool
find_next(HnswScan *state)
{
	while (state->allowed != PG_INT64_MAX &&
		   (state->results.n == 0 || state->returned >= state->allowed || in_doubt(state)))
	{
		if (state->drive.driven && state->search.visited_used >= state->drive.budget &&
			hnsw_iterative_scan != HNSW_ITERATIVE_OFF && !exhausted(state))
		{
			state->drive.paused = true;
			return false;
		}
		if (may_search_on(state))
			search_on(state);
		else if (state->report.stop == HNSW_STOP_EF_SEARCH)
			return false;
		else if (state->report.stop == HNSW_STOP_EXHAUSTED)
			state->allowed = PG_INT64_MAX;
		else if (state->drive.driven)
			return false;
		else if (hnsw_exhaustive_scan)
		{
			begin_sweep(state);
			return true;
		}
		else
			state->allowed = PG_INT64_MAX; /* what was visited, to the end */
	}
	return true;
}

/*
 * Was all returned that edges led to? Inserts and vacuums replace edges while the
 * scan goes on, so a node may have lost the edge by which the scan would have come
 * to it, and have got another from a node that the scan had visited before. A scan
 * that has to be complete reads the index then. (A driver reads the table.)
 */
static bool
is_at_end(const HnswScan *state)
{
	return !state->drive.driven && state->results.n == 0 && state->late.n == 0 &&
		   state->report.stop == HNSW_STOP_EXHAUSTED && hnsw_may_read_all();
}

/* Make the next node the one being returned; false where there is none. */
static bool
next_node(HnswScan *state)
{
	HnswResult result;
	const OmendbVisited *visited;
	bool last;

	if (!state->sweep && !find_next(state))
		return false;
	if (!state->sweep && is_at_end(state))
		begin_sweep(state);
	if (state->sweep)
		return next_of_sweep(state);
	if (state->results.n > 0)
		result = hnsw_results_pop(&state->results);
	else if (state->late.n > 0)
		result = hnsw_results_pop(&state->late);
	else
		return false;
	state->returned++;
	last = state->results.n == 0 || state->returned >= state->allowed || in_doubt(state);
	visited = &state->search.visited[result.visited];
	set_now(state, visited->node, &visited->payload, result.low, result.high, last,
			last ? 0 : state->results.items[0].low);
	return true;
}

/*
 * Several order keys: the index orders by the first. The executor orders the
 * rows that are equal by it, for the least value is a lower bound of any other.
 */
static void
set_further_keys(IndexScanDesc scan)
{
	if (scan->numberOfOrderBys == 1)
		return;
	scan->xs_recheckorderby = true;
	for (int i = 1; i < scan->numberOfOrderBys; i++)
	{
		scan->xs_orderbyvals[i] = Float8GetDatum(-get_float8_infinity());
		scan->xs_orderbynulls[i] = false;
	}
}

/*
 * The executor will compute the distance of a row of this node, and fails with an internal error
 * if it is below the bound. No bound is above a distance unless the own vector was
 * damaged. So look at the own vector first, if the record is still that of the node.
 */
static void
check_own(HnswScan *state)
{
	const OmendbCodec *codec = &state->store.index->codec;
	OmendbNode node = state->tids.node;
	double norm2;

	if (node == state->checked || codec->layout.own == OMENDB_OWN_BITS ||
		codec->layout.own == OMENDB_OWN_SPARSE)
		return;
	if (!state->own_record)
	{
		state->own_record = MemoryContextAlloc(state->context, codec->layout.neighbours_offset);
		state->own = MemoryContextAlloc(state->context, codec->layout.dimensions * sizeof(float));
	}
	state->checked = node;
	if (omendb_record_copy_own(&state->store, node, 0, state->own_record) &&
		!omendb_own_decode_checked(codec, state->own_record, state->own, &norm2))
		omendb_corrupt_page(state->store.relation, omendb_node_block(&codec->layout, node),
							"A record's own vector has another length than the record says.");
}

bool
hnsw_get_tuple(IndexScanDesc scan, ScanDirection direction)
{
	HnswScan *state = scan->opaque;
	MemoryContext old = MemoryContextSwitchTo(state->context);
	bool found = false;

	Assert(ScanDirectionIsForward(direction));
	if (scan->kill_prior_tuple && !state->drive.driven)
		hnsw_scan_note_dead(scan, &state->drive.place, &state->returned_tid);
	state->drive.paused = false;
	if (!state->started)
	{
		start(scan);
		state->drive.paused = !state->settled;
	}
	else if (!state->settled && !state->sweep)
	{
		settle(state, get_float8_infinity());
		take_results(state);
	}
	while (!state->drive.paused && !(found = hnsw_tids_next(&state->tids, &scan->xs_heaptid)))
		if (state->empty || !next_node(state))
			break;
	MemoryContextSwitchTo(old);
	if (!found)
		return false;
	omendb_store_check_tid(&state->store, state->tids.node, &scan->xs_heaptid, scan->heapRelation,
						   &state->heap_blocks);

	scan->xs_recheck = false;
	scan->xs_recheckorderby = state->now_recheck && !state->null_order;
	if (state->null_order)
	{
		scan->xs_orderbyvals[0] = state->null_value;
		scan->xs_orderbynulls[0] = state->null_is_null;
	}
	else
	{
		scan->xs_orderbyvals[0] = Float8GetDatum(state->now_low);
		scan->xs_orderbynulls[0] = false;
	}
	set_further_keys(scan);
	if (scan->xs_recheckorderby && !state->drive.driven)
		check_own(state);
	state->drive.no_order = state->null_order;
	state->drive.place = (HnswPlace){state->tids.record, state->tids.record_version};
	state->drive.dead = state->tids.marked && scan->ignore_killed_tuples;
	state->returned_tid = scan->xs_heaptid;
	state->drive.low = state->now_low;
	state->drive.high = state->now_high;
	state->drive.next_low = state->now_low;
	if (!hnsw_tids_has_more(&state->tids) && !state->sweep && state->results.n > 0)
		state->drive.next_low = Max(state->now_low, state->results.items[0].low);
	if (!state->drive.dead)
		state->report.rows++;
	if (scan->xs_recheckorderby)
		state->report.rechecks++;
	return true;
}

void
hnsw_scan_want(IndexScanDesc scan, double rows)
{
	HnswScan *state = scan->opaque;

	state->drive.wanted = rows;
}

HnswDrive *
hnsw_scan_drive(IndexScanDesc scan)
{
	HnswScan *state = scan->opaque;

	state->drive.driven = true;
	return &state->drive;
}

HnswScanReport *
hnsw_scan_progress(IndexScanDesc scan)
{
	HnswScan *state = scan->opaque;

	update_report(state);
	return &state->report;
}

static int
compare_nodes(const void *a, const void *b)
{
	OmendbNode x = *(const OmendbNode *) a;
	OmendbNode y = *(const OmendbNode *) b;

	return x < y ? -1 : x > y;
}

/* Append those of n candidates that were not visited and may lie within the distance. */
static size_t
add_known(const HnswScan *state, const OmendbCandidate *candidates, size_t n, double distance,
		  OmendbNode *nodes, size_t used)
{
	const OmendbSearch *search = &state->search;

	for (size_t i = 0; i < n; i++)
	{
		OmendbNode node = omendb_candidate_node(candidates[i]);
		double high;

		if ((candidates[i] & OMENDB_VISITED) ||
			(search->coded && omendb_search_has_visited(search, node)))
			continue;
		if (omendb_lower_bound(&state->query, omendb_candidate_estimate(candidates[i]),
							   state->most_error, state->most_norm2, &high) <= distance)
			nodes[used++] = node;
	}
	return used;
}

size_t
hnsw_scan_candidates_within(IndexScanDesc scan, double distance)
{
	const HnswScan *state = scan->opaque;
	const OmendbSearch *search = &state->search;
	OmendbNode *nodes = MemoryContextAllocHuge(
		state->context, (search->beam.used + search->aside.used + 1) * sizeof(OmendbNode));
	size_t used = add_known(state, search->beam.candidates, search->beam.used, distance, nodes, 0);
	size_t known = 0;

	used = add_known(state, search->aside.candidates, search->aside.used, distance, nodes, used);
	/* A node may be known by several estimates. */
	qsort(nodes, used, sizeof(OmendbNode), compare_nodes);
	for (size_t i = 0; i < used; i++)
		known += i == 0 || nodes[i] != nodes[i - 1];
	pfree(nodes);
	return known;
}

bool
hnsw_scan_left_out_nan(IndexScanDesc scan)
{
	HnswScan *state = scan->opaque;

	return omendb_index_left_out(&state->store);
}

void
hnsw_scan_sweep(IndexScanDesc scan)
{
	HnswScan *state = scan->opaque;
	MemoryContext old = MemoryContextSwitchTo(state->context);

	Assert(state->started && !state->sweep);
	if (!state->empty)
		begin_sweep(state);
	MemoryContextSwitchTo(old);
}

void
hnsw_scan_finish(IndexScanDesc scan)
{
	HnswScan *state = scan->opaque;

	state->allowed = PG_INT64_MAX;
}
