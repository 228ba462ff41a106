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
 *	 hnswdrive.h: it gets the bounds of each row, orders the rows itself, and
 *	 decides how far the search goes and what comes after it.
 *
 * Rounds. The search goes on in rounds, and each round widens the beam and
 * allows more nodes to be returned. The rounds depend on the query and the
 * settings only, never on how many rows are wanted. So the rows of LIMIT n are
 * the first n of LIMIT m.
 */
#include "am/hnsw.h"

#include "access/relscan.h"
#include "am/hnswscanstate.h"
#include "compat.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "utils/float.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

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
	omendb_query_init(&state->query.prepared, &open->codec,
					  palloc(omendb_query_bytes(&open->codec) + 1));
	state->query.buffer = palloc(hnsw_value_bytes(layout));
	omendb_search_init(&state->rounds.search, &omendb_store_ops, &state->store,
					   &omendb_palloc_allocator, omendb_layout_is_coded(layout));
	hnsw_tids_init(&state->current.tids, &state->store);
	MemoryContextSwitchTo(old);

	if (norderbys > 0)
	{
		scan->xs_orderbyvals = palloc0(sizeof(Datum) * norderbys);
		scan->xs_orderbynulls = palloc0(sizeof(bool) * norderbys);
	}
	scan->opaque = state;
	return scan;
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
	hnsw_dead_mark(&state->dead, &state->store);
	if (state->started)
		hnsw_publish_report(state);
	/* What took much memory is not kept: clearing it costs each search that follows. */
	if (state->started && state->report.resumes > 0)
		omendb_search_free(&state->rounds.search);
	end_sweep(state);
	state->started = false;
}

void
hnsw_end_scan(IndexScanDesc scan)
{
	HnswScan *state = scan->opaque;

	hnsw_dead_mark(&state->dead, &state->store);
	if (state->started)
		hnsw_publish_report(state);
	end_sweep(state);
	MemoryContextDelete(state->context);
	scan->opaque = NULL;
}

static void
start(IndexScanDesc scan)
{
	HnswScan *state = scan->opaque;
	ScanKey key;

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
	hnsw_rounds_begin(state);
	state->rounds.returned = 0;
	state->rounds.entered = ENTERED_NEAREST;
	state->pending.collected = 0;
	state->pending.max_error = 0;
	state->pending.max_norm2 = 0;
	state->pending.results.n = 0;
	state->pending.late.n = 0;
	state->pending.last_low = -get_float8_infinity();
	state->pending.max_high = -get_float8_infinity();
	hnsw_tids_reset(&state->current.tids);
	state->own_check.node = OMENDB_NO_NODE;
	/* A driver gets them all: what it does next follows from how many rows there were. */
	state->current.tids.skip_marked = scan->ignore_killed_tuples && !state->drive.driven;
	state->current.heap_blocks = 0;
	state->query.without_order = false;

	/* No heap quals reach an index without keys, but IS NULL could. */
	key = &scan->orderByData[0];
	if (key->sk_flags & SK_ISNULL)
	{
		state->query.without_order = true;
		state->query.only_distance_is_null = true;
	}
	else if (!hnsw_set_query(&state->query.prepared, state->opclass, key->sk_argument,
							 state->query.buffer))
	{
		/* Zero under cosine: NaN from everything. */
		state->query.without_order = true;
		state->query.only_distance_is_null = false;
		state->query.only_distance = Float8GetDatum(get_float8_nan());
	}
	if (state->query.without_order)
	{
		/* Any order will do: that of some vector. */
		hnsw_set_zero_query(&state->query.prepared, state->query.buffer);
	}

	hnsw_rounds_start(state);
	hnsw_collect_visited(state);
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
	OmendbNode node = state->current.tids.node;
	double norm2;

	if (node == state->own_check.node || codec->layout.own == OMENDB_OWN_BITS ||
		codec->layout.own == OMENDB_OWN_SPARSE)
		return;
	if (!state->own_check.record)
	{
		state->own_check.record =
			MemoryContextAlloc(state->context, codec->layout.neighbours_offset);
		state->own_check.vector =
			MemoryContextAlloc(state->context, codec->layout.dimensions * sizeof(float));
	}
	state->own_check.node = node;
	if (omendb_record_copy_own(&state->store, node, 0, state->own_check.record) &&
		!omendb_own_decode_checked(codec, state->own_check.record, state->own_check.vector, &norm2))
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
		hnsw_scan_note_dead(scan, &state->drive.place, &state->current.tid);
	state->drive.paused = false;
	if (!state->started)
	{
		start(scan);
		state->drive.paused = !state->rounds.first_finished;
	}
	while (!state->drive.paused &&
		   !(found = hnsw_tids_next(&state->current.tids, &scan->xs_heaptid)))
		if (!hnsw_next_node(state))
			break;
	MemoryContextSwitchTo(old);
	if (!found)
		return false;
	omendb_store_check_tid(&state->store, state->current.tids.node, &scan->xs_heaptid,
						   scan->heapRelation, &state->current.heap_blocks);

	scan->xs_recheck = false;
	scan->xs_recheckorderby = state->current.recheck && !state->query.without_order;
	if (state->query.without_order)
	{
		scan->xs_orderbyvals[0] = state->query.only_distance;
		scan->xs_orderbynulls[0] = state->query.only_distance_is_null;
	}
	else
	{
		scan->xs_orderbyvals[0] = Float8GetDatum(state->current.low);
		scan->xs_orderbynulls[0] = false;
	}
	set_further_keys(scan);
	if (scan->xs_recheckorderby && !state->drive.driven)
		check_own(state);
	state->drive.no_order = state->query.without_order;
	state->drive.place =
		(HnswPlace){state->current.tids.record, state->current.tids.record_version};
	state->drive.dead = state->current.tids.marked && scan->ignore_killed_tuples;
	state->current.tid = scan->xs_heaptid;
	state->drive.low = state->current.low;
	state->drive.high = state->current.high;
	state->drive.next_low = state->current.low;
	if (!hnsw_tids_has_more(&state->current.tids) && !state->sweep && state->pending.results.n > 0)
		state->drive.next_low = Max(state->current.low, state->pending.results.items[0].low);
	if (!state->drive.dead)
		state->report.rows++;
	if (scan->xs_recheckorderby)
		state->report.rechecks++;
	return true;
}
