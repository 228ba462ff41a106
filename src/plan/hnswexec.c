/*
 * hnswexec.c
 *	  Runs a custom scan "HnswScan": the executor's callbacks.
 *
 * Rows come from one source after another (HnswSource): the index, by a search and then perhaps a
 * sweep; or rows of the table that were read, and sorted if an order is wanted. Rows of the index
 * wait in the queue (hnswqueue.c) until their order is certain. Which source comes next is decided
 * in hnswchange.c.
 *
 * Holding back. Where LIMIT says how many rows are wanted, no row is returned before all of them
 * are ready, or all sources are at their end. So a scan that reads everything in the end returns
 * all rows in order: no row was returned that belongs behind a late one. The same within a radius.
 * Under a join the number of wanted rows is not known: rows are returned as soon as they are
 * ready, and late rows come last.
 */
#include "plan/hnswcustom.h"
#include "plan/hnswstate.h"

#include <math.h>

#include "access/tableam.h"
#include "compat.h"
#include "executor/executor.h"
#include "executor/instrument.h"
#include "miscadmin.h"
#include "port/pg_bitutils.h"
#include "utils/rel.h"

static const CustomExecMethods exec_methods;

Node *
hnsw_create_state(CustomScan *plan)
{
	HnswState *state = (HnswState *) newNode(sizeof(HnswState), T_CustomScanState);

	state->css.methods = &exec_methods;
	return (Node *) state;
}

static void resolve_row(void *owner, HnswRow *row);

/* BeginCustomScan. The first run begins at the first row. */
static void
begin_scan(CustomScanState *css, EState *estate, int eflags)
{
	HnswState *state = (HnswState *) css;
	const CustomScan *plan = (const CustomScan *) css->ss.ps.plan;
	Relation table = css->ss.ss_currentRelation;
	TupleDesc desc = RelationGetDescr(table);
	ListCell *cell;

	hnsw_planned_from_list(&state->estimates.by_plan,
						   list_nth(plan->custom_private, HNSW_PRIVATE_PLANNED));
	state->estimates.planned = state->estimates.by_plan;
	state->flags = intVal(list_nth(plan->custom_private, HNSW_PRIVATE_FLAGS));
	state->has_clauses =
		plan->scan.plan.qual != NIL || list_nth(plan->custom_exprs, HNSW_EXPR_LATER) != NIL;
	foreach (cell, plan->custom_plans)
		css->custom_ps = lappend(css->custom_ps, ExecInitNode(lfirst(cell), estate, eflags));
	state->slots.heap = ExecInitExtraTupleSlot(estate, desc, table_slot_callbacks(table));
	state->slots.held = ExecInitExtraTupleSlot(estate, desc, &TTSOpsHeapTuple);
	state->slots.resolved = ExecInitExtraTupleSlot(estate, desc, &TTSOpsHeapTuple);
	hnsw_row_init(state, estate);
	state->learned.near = 1;
	state->queue.resolve = resolve_row;
	state->queue.owner = state;
	hnsw_queue_reset(&state->queue);
	if (eflags & EXEC_FLAG_EXPLAIN_ONLY)
		return;
	state->context =
		AllocSetContextCreate(estate->es_query_cxt, "hnsw custom scan", ALLOCSET_DEFAULT_SIZES);
	state->index.relation =
		index_open(linitial_oid(list_nth(plan->custom_private, HNSW_PRIVATE_INDEX)),
				   exec_rt_fetch(plan->scan.scanrelid, estate)->rellockmode);
}

/* Note for EXPLAIN that the scan used this strategy. */
static void
note_strategy(HnswState *state, const char *name)
{
	HnswCounts *counts = &state->counts;

	for (int i = 0; i < counts->nstrategies; i++)
		if (strcmp(counts->strategies[i], name) == 0)
			return;
	if (counts->nstrategies < HNSW_MAX_STRATEGIES)
		counts->strategies[counts->nstrategies++] = name;
}

void
hnsw_add_search_counts(const HnswState *state, HnswCounts *counts)
{
	const HnswScanReport *report;

	if (!state->run.search.begun)
		return;
	report = hnsw_scan_progress(state->index.scan);
	counts->nodes += report->nodes;
	counts->ef = Max(counts->ef, report->ef);
}

/* Make omendb_last_scan() show a run that did not search. */
static void
publish_exact_run(const HnswState *state)
{
	memset(&hnsw_last_scan, 0, sizeof(hnsw_last_scan));
	hnsw_last_scan.valid = true;
	hnsw_last_scan.index = RelationGetRelid(state->index.relation);
	hnsw_last_scan.table_reads = state->run.table_reads;
	hnsw_last_scan.stop = HNSW_STOP_EXHAUSTED;
}

/* End the run: learn from it, count what it did, free its memory. */
static void
end_run(HnswState *state)
{
	if (!state->run.started)
		return;
	ExecClearTuple(state->slots.held);
	ExecClearTuple(state->slots.resolved);
	hnsw_learn(state);
	hnsw_exact_end(state);
	hnsw_add_search_counts(state, &state->counts);
	if (state->run.search.begun)
		hnsw_scan_progress(state->index.scan)->table_reads = state->run.table_reads;
	else if (state->run.source != HNSW_SOURCE_INDEX)
		publish_exact_run(state);
	hnsw_queue_reset(&state->queue);
	state->checked.tids = NULL;
	state->checked.n = state->checked.capacity = 0;
	MemoryContextReset(state->context);
	state->batch.used = state->batch.next = state->batch.size = 0;
	memset(&state->run, 0, sizeof(HnswRun));
}

static void
rescan(CustomScanState *css)
{
	HnswState *state = (HnswState *) css;
	PlanState *child = hnsw_bitmap_child(state);

	end_run(state);
	if (child)
	{
		if (css->ss.ps.chgParam != NULL)
			UpdateChangedParamSet(child, css->ss.ps.chgParam);
		/* The node is rescanned when it is run. With the same parameters its bitmap is the same. */
		if (child->chgParam != NULL)
			hnsw_bitmap_free(state);
	}
	ExecScanReScan(&css->ss);
}

static void
end_scan(CustomScanState *css)
{
	HnswState *state = (HnswState *) css;

	end_run(state);
	hnsw_bitmap_free(state);
	if (state->index.scan)
		index_endscan(state->index.scan);
	if (state->index.relation)
		index_close(state->index.relation, NoLock);
	hnsw_toast_end(state->toast);
	if (hnsw_bitmap_child(state))
		ExecEndNode(hnsw_bitmap_child(state));
}

static HnswPaceKind
choose_pace(const HnswState *state)
{
	double wanted = state->run.bounds.wanted;

	/* All rows within a radius are wanted: late rows get their places in the end. */
	if (wanted == 0 ? !(state->flags & HNSW_FLAG_ORDERED) : isinf(wanted))
		return HNSW_PACE_UNTIL;
	if (state->bitmap.members || state->css.ss.ps.qual || state->expressions.later)
		return HNSW_PACE_FILTERED;
	return HNSW_PACE_ORDERED;
}

/* Begin to search the index. The search itself starts at the first row. */
static void
begin_search(HnswState *state)
{
	EState *estate = state->css.ss.ps.state;
	double wanted = state->run.bounds.wanted;
	HnswRequest *request;
	MemoryContext old;
	ScanKeyData key;

	hnsw_prepare_query(state);
	old = MemoryContextSwitchTo(estate->es_query_cxt);
	if (!state->index.scan)
	{
		state->index.scan = omendb_index_beginscan(
			state->css.ss.ss_currentRelation, state->index.relation, estate->es_snapshot, 0, 1);
		state->index.drive = hnsw_scan_drive(state->index.scan);
	}
	request = &state->index.drive->request;
	request->pace = choose_pace(state);
	request->wanted = isinf(wanted) ? 0 : wanted;
	request->budget = 0;
	request->first_budget = hnsw_first_budget(state);

	ScanKeyEntryInitialize(&key, SK_ORDER_BY | (state->run.query.is_null ? SK_ISNULL : 0), 1,
						   HNSW_DISTANCE_STRATEGY, InvalidOid, state->expressions.collation,
						   state->expressions.distance.fn_oid, state->run.query.value);
	index_rescan(state->index.scan, NULL, 0, &key, 1);
	MemoryContextSwitchTo(old);
	state->run.search.begun = true;
	note_strategy(state, state->bitmap.members ? "bitmap" : "graph");
}

/*
 * Choose the strategy that the run begins with, and begin it. The setting hnsw.scan_strategy forces
 * one, except that nothing is read where settings forbid it.
 */
static void
begin_strategy(HnswState *state)
{
	HnswRun *run = &state->run;

	if (hnsw_scan_strategy == HNSW_STRATEGY_AUTO)
		hnsw_choose_beginning(state, hnsw_use_values(state));
	run->strategy = hnsw_scan_strategy == HNSW_STRATEGY_AUTO
						? (HnswStrategy) state->estimates.planned.strategy
						: (HnswStrategy) hnsw_scan_strategy;
	if (run->strategy == HNSW_STRATEGY_EXACT && !run->settings.may_read_all)
		run->strategy = HNSW_STRATEGY_GRAPH;
	if (run->strategy != HNSW_STRATEGY_GRAPH)
		hnsw_bitmap_make(state);
	if (run->strategy == HNSW_STRATEGY_EXACT &&
		(hnsw_scan_strategy == HNSW_STRATEGY_EXACT || hnsw_is_exact_cheaper(state)))
	{
		note_strategy(state, "exact");
		hnsw_exact_begin(state);
	}
	else
		begin_search(state);
}

/* Start a run: evaluate what bounds it, and begin its first strategy. */
static void
start_run(HnswState *state)
{
	HnswRun *run = &state->run;
	bool ordered = state->flags & HNSW_FLAG_ORDERED;

	state->estimates.planned = state->estimates.by_plan;
	hnsw_costs_init(&state->estimates.costs, &state->estimates.planned);
	run->started = true;
	run->settings.may_read_all = hnsw_may_read_all();
	run->settings.relaxed = hnsw_iterative_scan == HNSW_ITERATIVE_RELAXED;
	run->source = HNSW_SOURCE_INDEX;
	run->bounds.radius = INFINITY;
	if (state->flags & HNSW_FLAG_BOUNDED)
		run->bounds.wanted = hnsw_limit(state);
	if (state->expressions.radii)
	{
		if (ordered && run->bounds.wanted == 0)
			run->bounds.wanted = INFINITY;
		hnsw_note_radii(state, HNSW_RADIUS_AT_START);
	}
	run->released = !ordered || run->bounds.wanted == 0;

	begin_strategy(state);
}

/*
 * Set the row that the expressions read to one that waits. The slot frees the copy of the row,
 * unless it is kept. False if the row is not there any more.
 */
static bool
set_queued_row(HnswState *state, const HnswRow *row, TupleTableSlot *slot, bool keep)
{
	if (row->tuple)
		ExecStoreHeapTuple(row->tuple, slot, !keep);
	else
	{
		ItemPointerData tid = row->tid;

		slot = state->slots.heap;
		if (!table_tuple_fetch_row_version(state->css.ss.ss_currentRelation, &tid,
										   state->css.ss.ps.state->es_snapshot, slot))
			return false;
	}
	hnsw_row_set(state, slot);
	return true;
}

/* HnswQueue.resolve: compute the exact distance of a row that waits. */
static void
resolve_row(void *owner, HnswRow *row)
{
	HnswState *state = owner;
	double distance = INFINITY;

	row->exact = true;
	if (!set_queued_row(state, row, state->slots.resolved, true))
		elog(ERROR, "could not read row (%u,%u) again", ItemPointerGetBlockNumber(&row->tid),
			 ItemPointerGetOffsetNumber(&row->tid));
	row->null = !hnsw_row_distance(state, &distance);
	row->low = row->high = distance;
	ExecClearTuple(state->slots.resolved);
}

/* Note that the row's clauses were checked: hnswexact.c leaves the row out. */
static void
note_checked(HnswState *state, ItemPointer tid)
{
	if (!state->run.settings.may_read_all)
		return;
	if (state->checked.n == state->checked.capacity)
	{
		MemoryContext old = MemoryContextSwitchTo(state->context);

		state->checked.capacity = Max(state->checked.capacity * 2, 128);
		state->checked.tids = state->checked.tids
								  ? repalloc_huge(state->checked.tids,
												  state->checked.capacity * sizeof(ItemPointerData))
								  : palloc(state->checked.capacity * sizeof(ItemPointerData));
		MemoryContextSwitchTo(old);
	}
	state->checked.tids[state->checked.n++] = *tid;
}

/* A copy of the row; NULL if copies take half of work_mem: then the row is read again. */
static HeapTuple
copy_row(HnswState *state, TupleTableSlot *slot)
{
	HeapTuple tuple;
	MemoryContext old;

	if (state->run.held_bytes > work_mem * 512.0)
		return NULL;
	old = MemoryContextSwitchTo(state->context);
	tuple = ExecCopySlotHeapTuple(slot);
	MemoryContextSwitchTo(old);
	state->run.held_bytes += tuple->t_len;
	return tuple;
}

/* Check the clauses of a row of the index, which is in slots.heap. A row that passes waits. */
static void
check_row(HnswState *state, const HnswFound *found)
{
	HnswRun *run = &state->run;
	TupleTableSlot *slot = state->slots.heap;
	HnswRow row = {.low = found->row.low, .high = found->row.high};
	MemoryContext old;

	state->counts.fetched++;
	note_checked(state, &slot->tts_tid);
	/* Without clauses nothing reads the row yet. */
	if (state->has_clauses && !hnsw_row_passes_first(state, slot))
	{
		InstrCountFiltered1(&state->css, 1);
		return;
	}
	if (state->expressions.later)
	{
		double distance = 0;

		bool passes;

		row.null = !hnsw_row_distance(state, &distance);
		passes = hnsw_row_passes_later(state, distance, row.null);
		hnsw_note_radii(state, passes ? HNSW_RADIUS_PASSED : HNSW_RADIUS_CHECKED);
		if (!passes)
		{
			InstrCountFiltered1(&state->css, 1);
			return;
		}
		row.low = row.high = distance;
		row.exact = true;
	}
	/* Bounds of a query without order say nothing. */
	if (state->index.drive->without_order && !row.exact)
		row.low = row.high = 0;
	run->found.passed++;
	row.tid = slot->tts_tid;
	row.tuple = copy_row(state, slot);
	old = MemoryContextSwitchTo(state->context);
	if (state->index.drive->without_order || !(state->flags & HNSW_FLAG_ORDERED) ||
		(run->released && run->settings.relaxed))
		hnsw_queue_append(&state->queue, &row);
	else
		hnsw_queue_add(&state->queue, &row);
	MemoryContextSwitchTo(old);
}

static void
settle_queue(HnswState *state, double frontier)
{
	MemoryContext old = MemoryContextSwitchTo(state->context);

	hnsw_queue_settle(&state->queue, frontier);
	MemoryContextSwitchTo(old);
}

/*
 * As many rows are ready as LIMIT wants. With a recall target late rows get their places: the rows of
 * LIMIT n need not be the first of LIMIT m then.
 */
static void
release(HnswState *state)
{
	if (hnsw_recall_target > 0 && state->queue.late.used > 0)
	{
		MemoryContext old = MemoryContextSwitchTo(state->context);

		hnsw_queue_merge_late(&state->queue);
		MemoryContextSwitchTo(old);
	}
	state->run.released = true;
}

/*
 * End the run: no more rows come. Rows that wait become ready. Late rows get their places if rows
 * were held back, else they come last.
 */
static void
finish_run(HnswState *state)
{
	HnswRun *run = &state->run;
	MemoryContext old = MemoryContextSwitchTo(state->context);

	hnsw_queue_settle(&state->queue, INFINITY);
	if (!run->released)
		hnsw_queue_merge_late(&state->queue);
	else
		hnsw_queue_append_late(&state->queue);
	MemoryContextSwitchTo(old);
	run->source = HNSW_SOURCE_NONE;
	run->released = true;
}

static void
change_to_exact(HnswState *state)
{
	HnswScanReport *report = hnsw_scan_progress(state->index.scan);

	if (hnsw_bitmap_child(state))
		hnsw_bitmap_make(state);
	note_strategy(state, "exact");
	/* A limit that stopped the search did not stop the scan. */
	if (report->stop != HNSW_STOP_EXHAUSTED)
		report->stop = HNSW_STOP_NONE;
	hnsw_exact_begin(state);
}

/* True if every radius clause holds for the distance NaN, which is above all numbers. */
static bool
radii_hold_for_nan(const HnswState *state)
{
	ListCell *cell;

	foreach (cell, state->expressions.radius_forms)
		if (intVal(lfirst(cell)) == HNSW_RADIUS_PLAIN)
			return false;
	return true;
}

/*
 * The index has no more rows within the radius. Rows whose distance is NaN are not in the index,
 * and may pass.
 */
static void
end_at_radius(HnswState *state)
{
	if (state->run.settings.may_read_all && radii_hold_for_nan(state) &&
		hnsw_scan_left_out_nan(state->index.scan))
		change_to_exact(state);
	else
		finish_run(state);
}

/* Do what hnsw_choose_action says: the index has returned no row. */
static void
change_source(HnswState *state)
{
	HnswRun *run = &state->run;
	bool paused = state->index.drive->paused;
	HnswAction action;

	if (!paused && hnsw_scan_progress(state->index.scan)->stop == HNSW_STOP_EXHAUSTED)
		settle_queue(state, INFINITY);
	action = hnsw_choose_action(state);
	run->search.abandoned |= paused && action != HNSW_SEARCH_ON;
	switch (action)
	{
		case HNSW_SEARCH_ON:
			state->index.drive->request.budget = INFINITY;
			break;
		case HNSW_TO_BITMAP:
			hnsw_bitmap_make(state);
			note_strategy(state, "bitmap");
			run->strategy = HNSW_STRATEGY_BITMAP;
			break;
		case HNSW_TO_EXACT:
			change_to_exact(state);
			break;
		case HNSW_TO_SWEEP:
			note_strategy(state, "sweep");
			run->search.sweeping = true;
			hnsw_scan_sweep(state->index.scan);
			break;
		case HNSW_DRAIN:
			run->search.draining = true;
			hnsw_scan_finish(state->index.scan);
			break;
		case HNSW_RETURN_ROWS:
			break;
		case HNSW_FINISH:
			finish_run(state);
			break;
	}
}

/* Note the lower bound of another row of the index. */
static void
note_found(HnswRun *run, double low)
{
	uint64 n = (uint64) ++run->found.rows;

	run->found.reached = n == 1 ? low : Max(run->found.reached, low);
	if ((n & (n - 1)) == 0 && n < UINT64CONST(1) << lengthof(run->found.marks))
	{
		run->found.marks[pg_leftmost_one_pos64(n)].passed = run->found.passed;
		run->found.marks[pg_leftmost_one_pos64(n)].reached = run->found.reached;
	}
}

/* Get a row from the index, and check it. */
static void
advance_index(HnswState *state)
{
	HnswRun *run = &state->run;
	double expected = 0;
	const HnswFound *found;
	bool ordered;

	/* One more than wanted: the row that follows shows that the last one is in its place. */
	if (!run->released)
		expected = Max(run->bounds.wanted - hnsw_queue_held(&state->queue), 0) + 1;
	found = hnsw_next_found(state, expected);
	if (!found)
	{
		change_source(state);
		return;
	}
	note_found(run, found->row.low);
	ordered = !state->index.drive->without_order;
	if (found->row.low > run->bounds.radius && ordered)
	{
		end_at_radius(state);
		return;
	}
	if (found->member)
	{
		if (state->bitmap.members)
			state->counts.members++;
		if (hnsw_fetch_found(state, found))
			check_row(state, found);
	}
	if (ordered)
		settle_queue(state, found->row.next_low);
}

/* Get a row from the sort. */
static void
advance_sort(HnswState *state)
{
	HnswRow row = {.exact = true};
	MemoryContext old = MemoryContextSwitchTo(state->context);

	if (!hnsw_sort_next(state->exact.sort, &row.tid, &row.low, &row.null))
	{
		/* All rows were read, though the search visited only some of them. */
		if (state->run.search.begun)
			hnsw_scan_progress(state->index.scan)->stop = HNSW_STOP_EXHAUSTED;
		finish_run(state);
	}
	else
	{
		if (row.null)
			row.low = INFINITY;
		row.high = row.low;
		/* A late row is nearer than a row that the search returned. */
		if (row.low < state->queue.max_high)
			hnsw_queue_add_late(&state->queue, &row);
		else
			hnsw_queue_append(&state->queue, &row);
	}
	MemoryContextSwitchTo(old);
}

/* The node's result for the next row that is ready; NULL if the row is gone. */
static TupleTableSlot *
return_row(HnswState *state)
{
	HnswRow row = *hnsw_queue_take(&state->queue);
	double distance = row.low;

	if (!set_queued_row(state, &row, state->slots.held, false))
		return NULL;
	if (!state->expressions.shows_distance)
		row.null = true;
	else if (!row.exact)
		row.null = !hnsw_row_distance(state, &distance);
	return hnsw_row_result(state, distance, row.null);
}

/*
 * The result for the row that EvalPlanQual puts in place of all rows of this scan, or NULL.
 * *substituted is false if EvalPlanQual leaves the scan's own rows.
 */
static TupleTableSlot *
recheck_row(HnswState *state, bool *substituted)
{
	EPQState *epq = state->css.ss.ps.state->es_epq_active;
	Index at = ((Scan *) state->css.ss.ps.plan)->scanrelid - 1;
	TupleTableSlot *slot;
	double distance = 0;
	bool null;

	*substituted = true;
	if (epq->relsubs_done[at])
		return NULL;
	if (epq->relsubs_slot[at] != NULL)
		slot = epq->relsubs_slot[at];
	else if (epq->relsubs_rowmark[at] != NULL)
	{
		slot = state->slots.heap;
		if (!EvalPlanQualFetchRowMark(epq, at + 1, slot))
			ExecClearTuple(slot);
	}
	else
	{
		*substituted = false;
		return NULL;
	}
	epq->relsubs_done[at] = true;
	if (TupIsNull(slot))
		return NULL;
	state->run.started = true;
	if (!hnsw_row_passes_first(state, slot))
		return NULL;
	null = !hnsw_row_distance(state, &distance);
	if (state->expressions.later && !hnsw_row_passes_later(state, distance, null))
		return NULL;
	return hnsw_row_result(state, distance, null);
}

static TupleTableSlot *
exec_scan(CustomScanState *css)
{
	HnswState *state = (HnswState *) css;
	HnswRun *run = &state->run;
	TupleTableSlot *result;

	if (css->ss.ps.state->es_epq_active)
	{
		bool substituted;

		result = recheck_row(state, &substituted);
		if (substituted)
			return result;
	}
	if (!run->started)
		start_run(state);
	for (;;)
	{
		if (!run->released && hnsw_queue_ready(&state->queue) >= run->bounds.wanted)
			release(state);
		if (run->released && hnsw_queue_ready(&state->queue) > 0)
		{
			result = return_row(state);
			if (result)
				return result;
			continue;
		}
		switch (run->source)
		{
			case HNSW_SOURCE_INDEX:
				advance_index(state);
				break;
			case HNSW_SOURCE_SORT:
				advance_sort(state);
				break;
			case HNSW_SOURCE_READ:
				result = hnsw_exact_read(state);
				if (result)
					return result;
				finish_run(state);
				break;
			case HNSW_SOURCE_NONE:
				return NULL;
		}
	}
}

static const CustomExecMethods exec_methods = {
	.CustomName = "HnswScan",
	.BeginCustomScan = begin_scan,
	.ExecCustomScan = exec_scan,
	.EndCustomScan = end_scan,
	.ReScanCustomScan = rescan,
	.ExplainCustomScan = hnsw_explain,
};
