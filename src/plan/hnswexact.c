/*
 * hnswexact.c
 *	  The exact strategy: reads all rows of the bitmap, or of the table, checks their clauses, and
 *	  sorts the rows that pass by the operator's distance. If no order is wanted, rows are returned
 *	  as they are read.
 *
 * Rows that were checked before (HnswState.checked) are left out: no clause is evaluated twice for
 * a row. Rows that passed and wait in the queue are sorted with the others.
 */
#include "plan/hnswcustom.h"
#include "plan/hnswstate.h"

#include <limits.h>
#include <math.h>

#include "access/tableam.h"
#include "compat.h"
#include "executor/executor.h"
#include "executor/instrument.h"
#include "miscadmin.h"
#include "pgstat.h"

static int
compare_tids(const void *a, const void *b)
{
	return ItemPointerCompare(unconstify(void *, a), unconstify(void *, b));
}

static bool
was_checked(const HnswState *state, ItemPointer tid)
{
	return state->checked.n > 0 && bsearch(tid, state->checked.tids, state->checked.n,
										   sizeof(ItemPointerData), compare_tids) != NULL;
}

static void
begin_reading(HnswState *state)
{
	Relation table = state->css.ss.ss_currentRelation;

	if (state->checked.n > 0)
		qsort(state->checked.tids, state->checked.n, sizeof(ItemPointerData), compare_tids);
	if (state->bitmap.members)
	{
		hnsw_members_rewind(state->bitmap.members);
		state->exact.bitmap_fetch = omendb_index_fetch_begin(table);
	}
	else
	{
		state->run.table_reads++;
		state->exact.table_scan =
			omendb_table_beginscan(table, state->css.ss.ps.state->es_snapshot);
	}
}

/* Read the next row of the bitmap into slots.heap. False if there is none. */
static bool
read_member(HnswState *state)
{
	Relation table = state->css.ss.ss_currentRelation;
	Snapshot snapshot = state->css.ss.ps.state->es_snapshot;
	ItemPointerData tid;

	while (hnsw_members_next(state->bitmap.members, &tid))
	{
		bool again = false;

		if (table_index_fetch_tuple(state->exact.bitmap_fetch, &tid, snapshot, state->slots.heap,
									&again, NULL))
		{
			pgstat_count_heap_fetch(table);
			return true;
		}
	}
	return false;
}

/*
 * Read the next row that passes into slots.heap. False if there is none. The distance is computed
 * if a clause reads it, or if with_distance is set; else *null is true.
 */
static bool
read_row(HnswState *state, bool with_distance, double *distance, bool *null)
{
	TupleTableSlot *slot = state->slots.heap;

	while (state->bitmap.members
			   ? read_member(state)
			   : table_scan_getnextslot(state->exact.table_scan, ForwardScanDirection, slot))
	{
		CHECK_FOR_INTERRUPTS();
		if (was_checked(state, &slot->tts_tid))
			continue;
		state->counts.fetched++;
		*null = true;
		if (hnsw_row_passes_first(state, slot))
		{
			if (with_distance || state->expressions.later)
				*null = !hnsw_row_distance(state, distance);
			if (!state->expressions.later || hnsw_row_passes_later(state, *distance, *null))
				return true;
		}
		InstrCountFiltered1(&state->css, 1);
	}
	return false;
}

static void
end_reading(HnswState *state)
{
	ExecClearTuple(state->slots.heap);
	if (state->exact.bitmap_fetch)
		table_index_fetch_end(state->exact.bitmap_fetch);
	if (state->exact.table_scan)
		table_endscan(state->exact.table_scan);
	state->exact.bitmap_fetch = NULL;
	state->exact.table_scan = NULL;
}

/* Move the rows of a list, from this one on, to the sort. */
static void
move_to_sort(HnswState *state, HnswRowList *list, size_t from)
{
	for (size_t i = from; i < list->used; i++)
	{
		HnswRow *row = &list->rows[i];

		if (!row->exact)
			state->queue.resolve(state, row);
		hnsw_sort_add(state->exact.sort, &row->tid, row->low, row->null);
		if (row->tuple)
			pfree(row->tuple);
	}
	list->used = from;
}

/* Read all rows, and sort those that pass with those that wait. */
static void
sort_all(HnswState *state)
{
	HnswRun *run = &state->run;
	HnswQueue *queue = &state->queue;
	bool bounded = !run->released && run->bounds.wanted > 0 && run->bounds.wanted < INT_MAX &&
				   !(state->flags & HNSW_FLAG_BEYOND);
	double distance = 0;
	bool null;

	state->exact.sort = hnsw_sort_begin(bounded ? (int64) run->bounds.wanted : 0, work_mem);
	/* Once rows are returned, those that are ready stay before the sorted ones. */
	if (!run->released)
		move_to_sort(state, &queue->ready, 0);
	move_to_sort(state, &queue->waiting, 0);
	move_to_sort(state, &queue->late, 0);
	while (read_row(state, true, &distance, &null))
		hnsw_sort_add(state->exact.sort, &state->slots.heap->tts_tid, distance, null);
	end_reading(state);
	hnsw_sort_perform(state->exact.sort);
	if (!run->released)
		queue->max_low = queue->max_high = -INFINITY;
}

void
hnsw_exact_begin(HnswState *state)
{
	HnswRun *run = &state->run;
	MemoryContext old;

	/* Raise the error of wrong dimensions also if there are no rows, unless that runs code of the query. */
	if (state->expressions.query_is_fixed)
		hnsw_prepare_query(state);
	old = MemoryContextSwitchTo(state->context);
	begin_reading(state);
	if (state->flags & HNSW_FLAG_ORDERED)
	{
		sort_all(state);
		run->source = HNSW_SOURCE_SORT;
	}
	else
		run->source = HNSW_SOURCE_READ;
	MemoryContextSwitchTo(old);
	run->strategy = HNSW_STRATEGY_EXACT;
	run->released = true;
}

TupleTableSlot *
hnsw_exact_read(HnswState *state)
{
	double distance = 0;
	bool null;

	if (!read_row(state, state->expressions.shows_distance, &distance, &null))
		return NULL;
	return hnsw_row_result(state, distance, null);
}

void
hnsw_exact_end(HnswState *state)
{
	end_reading(state);
	if (state->exact.sort)
		hnsw_sort_end(state->exact.sort);
	state->exact.sort = NULL;
}
