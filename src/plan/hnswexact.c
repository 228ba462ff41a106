/*
 * hnswexact.c
 *	  The exact strategy: read all rows that the bitmap holds, or all of the
 *	  table, check the clauses, and sort what passes by the operator's distance.
 *
 * Rows that the search checked before are left out, so that no clause is
 * evaluated twice for a row. Those of them that passed and wait are sorted with
 * the others.
 */
#include "plan/hnswcustom.h"
#include "plan/hnswstate.h"

#include <limits.h>
#include <math.h>

#include "access/tableam.h"
#include "compat.h"
#include "executor/executor.h"
#include "miscadmin.h"

static int
compare_tids(const void *a, const void *b)
{
	return ItemPointerCompare(unconstify(void *, a), unconstify(void *, b));
}

static bool
was_checked(const HnswState *state, ItemPointer tid)
{
	return state->nseen > 0 &&
		   bsearch(tid, state->seen, state->nseen, sizeof(ItemPointerData), compare_tids) != NULL;
}

static void
take_row(HnswState *state, TupleTableSlot *slot)
{
	double distance = 0;
	bool null;

	CHECK_FOR_INTERRUPTS();
	if (was_checked(state, &slot->tts_tid))
		return;
	state->counts.fetched++;
	if (!hnsw_row_passes_first(state, slot))
	{
		InstrCountFiltered1(&state->css, 1);
		return;
	}
	null = !hnsw_row_distance(state, &distance);
	if (state->expressions.later && !hnsw_row_passes_later(state, distance, null))
		InstrCountFiltered1(&state->css, 1);
	else
		hnsw_sort_add(state->sort, &slot->tts_tid, distance, null);
}

static void
read_members(HnswState *state)
{
	Relation table = state->css.ss.ss_currentRelation;
	IndexFetchTableData *fetch = omendb_index_fetch_begin(table);
	Snapshot snapshot = state->css.ss.ps.state->es_snapshot;
	ItemPointerData tid;

	hnsw_members_rewind(state->members);
	while (hnsw_members_next(state->members, &tid))
	{
		bool again = false;

		if (table_index_fetch_tuple(fetch, &tid, snapshot, state->heap_slot, &again, NULL))
			take_row(state, state->heap_slot);
	}
	table_index_fetch_end(fetch);
}

static void
read_table(HnswState *state)
{
	Relation table = state->css.ss.ss_currentRelation;
	TableScanDesc scan = table_beginscan(table, state->css.ss.ps.state->es_snapshot, 0, NULL);

	state->run.table_reads++;
	while (table_scan_getnextslot(scan, ForwardScanDirection, state->heap_slot))
		take_row(state, state->heap_slot);
	ExecClearTuple(state->heap_slot);
	table_endscan(scan);
}

/* Put rows that wait among those that are sorted. */
static void
sort_rows(HnswState *state, HnswRowList *list, size_t from)
{
	for (size_t i = from; i < list->used; i++)
	{
		HnswRow *row = &list->rows[i];

		if (!row->exact)
			state->rows.resolve(state, row);
		hnsw_sort_add(state->sort, &row->tid, row->low, row->null);
		if (row->tuple)
			pfree(row->tuple);
	}
	list->used = from;
}

void
hnsw_exact_begin(HnswState *state)
{
	HnswRun *run = &state->run;
	MemoryContext old = MemoryContextSwitchTo(state->context);
	HnswRows *rows = &state->rows;
	bool bounded = !run->released && run->wanted > 0 && run->wanted < INT_MAX &&
				   !(state->flags & HNSW_FLAG_BEYOND);

	state->sort = hnsw_sort_begin(bounded ? (int64) run->wanted : 0, work_mem);
	if (state->nseen > 0)
		qsort(state->seen, state->nseen, sizeof(ItemPointerData), compare_tids);
	/* What was returned stays before what comes now. */
	if (!run->released)
		sort_rows(state, &rows->ready, 0);
	sort_rows(state, &rows->waiting, 0);
	sort_rows(state, &rows->late, 0);
	if (state->members)
		read_members(state);
	else
		read_table(state);
	hnsw_sort_perform(state->sort);
	MemoryContextSwitchTo(old);
	run->source = HNSW_SOURCE_SORT;
	run->strategy = HNSW_STRATEGY_EXACT;
	if (!run->released)
		rows->last_low = rows->last_high = -INFINITY;
	run->released = true;
}

void
hnsw_exact_end(HnswState *state)
{
	if (state->sort)
		hnsw_sort_end(state->sort);
	state->sort = NULL;
}
