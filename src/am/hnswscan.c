/*
 * hnswscan.c
 *	  The index scan as PostgreSQL's index interface asks for it: begin, rescan, get the next
 *	  row's heap TID, end.
 *
 * A scan returns heap TIDs in the order of their distances, as many as the caller asks for.
 * Two kinds of callers:
 *
 * - The executor (a plain Index Scan). Where bounds of distances overlap, it is told to compute
 *	 the operator's value and to reorder (xs_recheckorderby).
 * - The custom scan of plan/, which drives the scan by the functions of hnswdrive.h: it gets
 *	 the bounds of each row, orders the rows, and decides how far the search goes.
 *
 * A scan holds no lock and no pin between two calls. Heap TIDs are copied when their node is
 * visited, or when their turn comes (hnswtids.h). Meanwhile a vacuum may remove these TIDs and
 * the heap may reuse them: an MVCC snapshot does not see what was put there later, and other
 * snapshots are refused.
 *
 * Which node comes next: hnswnext.c.
 */
#include "am/hnsw.h"

#include "access/relscan.h"
#include "am/hnswscanstate.h"
#include "compat.h"
#include "miscadmin.h"
#include "page/change.h"
#include "pgstat.h"
#include "utils/float.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

/*
 * The memory of the scan that ended last, for the next scan of the same index in this session: the
 * open index, the operator class, the buffers of the query and of the search. NULL if there is none.
 * While a scan has it, it is a child of the memory context in which the scan began, so an error
 * frees it.
 */
static HnswScan *idle_scan;

/* Maximum size of what is kept. Later searches would have to clear the memory of a large one. */
#define MAX_IDLE_BYTES (512 * 1024)

static HnswScan *
make_scan(Relation index)
{
	MemoryContext context =
		AllocSetContextCreate(CurrentMemoryContext, "hnsw scan", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	HnswScan *state = palloc0(sizeof(HnswScan));
	const OmendbIndex *open = omendb_index_open(index);
	const OmendbLayout *layout = &open->codec.layout;

	state->context = context;
	state->store.index = open;
	state->opclass = hnsw_opclass_of_built(index);
	omendb_query_init(&state->query.prepared, &open->codec,
					  palloc(omendb_query_bytes(&open->codec) + 1));
	state->query.buffer = palloc(hnsw_value_bytes(layout));
	omendb_search_init(&state->rounds.search, &omendb_store_ops, &state->store,
					   &omendb_palloc_allocator, omendb_layout_is_coded(layout));
	hnsw_tids_init(&state->current.tids, &state->store);
	MemoryContextSwitchTo(old);
	return state;
}

/* Take the idle scan if it is one of this index, as the index is now; else NULL. */
static HnswScan *
take_idle_scan(Relation index)
{
	HnswScan *state = idle_scan;

	if (!state || state->store.index->number != omendb_index_peek(index)->number)
		return NULL;
	idle_scan = NULL;
	MemoryContextSetParent(state->context, CurrentMemoryContext);
	return state;
}

/* Keep a scan that has ended, in place of the one kept so far, or free it. */
static void
keep_idle_scan(HnswScan *state)
{
	if (state->started && state->report.resumes > 0)
		omendb_search_free(&state->rounds.search);
	if (MemoryContextMemAllocated(state->context, true) > MAX_IDLE_BYTES)
	{
		MemoryContextDelete(state->context);
		return;
	}
	state->started = false;
	state->store.relation = NULL;
	state->rounds.search.visited_used = 0;
	memset(&state->drive, 0, sizeof(state->drive));
	memset(&state->store.requested, 0, sizeof(state->store.requested));
	memset(&state->report, 0, sizeof(state->report));
	memset(&state->earlier, 0, sizeof(state->earlier));
	MemoryContextSetParent(state->context, TopMemoryContext);
	if (idle_scan)
		MemoryContextDelete(idle_scan->context);
	idle_scan = state;
}

IndexScanDesc
hnsw_begin_scan(Relation index, int nkeys, int norderbys)
{
	IndexScanDesc scan = RelationGetIndexScan(index, nkeys, norderbys);
	HnswScan *state = take_idle_scan(index);

	if (!state)
		state = make_scan(index);
	state->store.relation = index;
	state->store.requests = omendb_store_may_request(index);
	if (norderbys > 0)
	{
		scan->xs_orderbyvals = palloc0(sizeof(Datum) * norderbys);
		scan->xs_orderbynulls = palloc0(sizeof(bool) * norderbys);
	}
	scan->opaque = state;
	return scan;
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
	/* The memory of a large search is not kept: every later search would have to clear it. */
	if (state->started && state->report.resumes > 0)
		omendb_search_free(&state->rounds.search);
	hnsw_next_reset(state);
	state->started = false;
}

void
hnsw_end_scan(IndexScanDesc scan)
{
	HnswScan *state = scan->opaque;

	hnsw_dead_mark(&state->dead, &state->store);
	if (state->started)
		hnsw_publish_report(state);
	hnsw_next_reset(state);
	scan->opaque = NULL;
	keep_idle_scan(state);
}

/* Set the query from the order key. */
static void
set_query(HnswScan *state, const ScanKeyData *key)
{
	HnswScanQuery *query = &state->query;

	query->without_order = false;
	/* The operand in ORDER BY may be a null parameter. */
	if (key->sk_flags & SK_ISNULL)
	{
		query->without_order = true;
		query->only_distance_is_null = true;
	}
	else if (!hnsw_set_query(&query->prepared, state->opclass, key->sk_argument, query->buffer))
	{
		/* Zero under cosine: its distance from every vector is NaN. */
		query->without_order = true;
		query->only_distance_is_null = false;
		query->only_distance = Float8GetDatum(get_float8_nan());
	}
	if (query->without_order)
		hnsw_set_zero_query(&query->prepared, query->buffer);
}

/* Begin the search: at the first row after a rescan. */
static void
start_scan(IndexScanDesc scan)
{
	HnswScan *state = scan->opaque;

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
	hnsw_next_reset(state);
	hnsw_rounds_init(state);
	state->report.ef = state->rounds.ef;
	state->own_check.node = OMENDB_NO_NODE;
	state->current.heap_blocks = 0;
	/* A driver gets marked TIDs, too: it goes by the number of rows that the search found. */
	state->current.tids.skip_marked = scan->ignore_killed_tuples && !state->drive.driven;
	set_query(state, &scan->orderByData[0]);
	hnsw_rounds_start(state);
	hnsw_collect_visited(state);
	state->drive.paused = !state->rounds.first_finished;
}

/* Find the next heap TID, into xs_heaptid. False if there is none, or the scan pauses. */
static bool
find_tid(IndexScanDesc scan)
{
	HnswScan *state = scan->opaque;

	state->drive.paused = false;
	if (!state->started)
		start_scan(scan);
	if (state->drive.paused)
		return false;
	while (!hnsw_tids_next(&state->current.tids, &scan->xs_heaptid))
		if (!hnsw_next_node(state))
			return false;
	return true;
}

/*
 * Check the own vector of the current node, if its record is still there. The executor
 * will compute the distance of a row of this node, and fails with an internal error if the
 * distance is below the bound. That happens only if the own vector was damaged.
 */
static void
check_own_vector(HnswScan *state)
{
	const OmendbCodec *codec = &state->store.index->codec;
	OmendbNode node = state->current.tids.node;
	HnswOwnCheck *check = &state->own_check;
	double norm2;

	if (node == check->node || codec->layout.own == OMENDB_OWN_BITS ||
		codec->layout.own == OMENDB_OWN_SPARSE)
		return;
	if (!check->record)
	{
		check->record = MemoryContextAlloc(state->context, codec->layout.neighbours_offset);
		check->vector =
			MemoryContextAlloc(state->context, codec->layout.dimensions * sizeof(float));
	}
	check->node = node;
	if (omendb_record_copy_own(&state->store, node, 0, check->record) &&
		!omendb_own_decode_checked(codec, check->record, check->vector, &norm2))
		omendb_corrupt_page(state->store.relation, omendb_node_block(&codec->layout, node),
							"A record's own vector has another length than the record says.");
}

/* Set what the executor gets beside the TID: the values of the order keys. */
static void
set_order_values(IndexScanDesc scan)
{
	const HnswScan *state = scan->opaque;
	const HnswScanQuery *query = &state->query;

	scan->xs_recheck = false;
	scan->xs_recheckorderby = state->current.recheck && !query->without_order;
	scan->xs_orderbyvals[0] =
		query->without_order ? query->only_distance : Float8GetDatum(state->current.low);
	scan->xs_orderbynulls[0] = query->without_order && query->only_distance_is_null;
	/*
	 * The index orders by the first key. The executor orders rows that are equal by it: the
	 * least value is a lower bound of every value of a further key.
	 */
	for (int i = 1; i < scan->numberOfOrderBys; i++)
	{
		scan->xs_recheckorderby = true;
		scan->xs_orderbyvals[i] = Float8GetDatum(-get_float8_infinity());
		scan->xs_orderbynulls[i] = false;
	}
}

/* Set what a driver gets beside the TID. */
static void
set_found_row(HnswScan *state, bool ignores_marked)
{
	const HnswCurrent *current = &state->current;
	HnswFoundRow *row = &state->drive.row;

	state->drive.without_order = state->query.without_order;
	row->low = row->next_low = current->low;
	row->high = current->high;
	if (!hnsw_tids_has_more(&current->tids) && !state->sweep && state->pending.results.n > 0)
		row->next_low = Max(current->low, state->pending.results.items[0].low);
	row->place = (HnswPlace){current->tids.record, current->tids.record_version};
	row->dead = current->tids.marked && ignores_marked;
}

bool
hnsw_get_tuple(IndexScanDesc scan, ScanDirection direction)
{
	HnswScan *state = scan->opaque;
	MemoryContext old = MemoryContextSwitchTo(state->context);
	bool found;

	Assert(ScanDirectionIsForward(direction));
	hnsw_flush_before_read(scan->indexRelation, scan->xs_snapshot);
	if (scan->kill_prior_tuple && !state->drive.driven)
		hnsw_dead_note(&state->dead, &state->store, &state->drive.row.place, &state->current.tid);
	found = find_tid(scan);
	MemoryContextSwitchTo(old);
	if (!found)
		return false;
	omendb_store_check_tid(&state->store, state->current.tids.record, &scan->xs_heaptid,
						   scan->heapRelation, &state->current.heap_blocks);
	state->current.tid = scan->xs_heaptid;
	set_order_values(scan);
	set_found_row(state, scan->ignore_killed_tuples);
	if (scan->xs_recheckorderby && !state->drive.driven)
		check_own_vector(state);
	state->report.rows += !state->drive.row.dead;
	state->report.rechecks += scan->xs_recheckorderby;
	return true;
}
