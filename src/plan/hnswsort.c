/*
 * hnswsort.c
 *	  Sorts TIDs of rows by their exact distances, in memory or on disk.
 */
#include "plan/hnswsort.h"

#include "catalog/pg_operator_d.h"
#include "catalog/pg_type_d.h"
#include "compat.h"
#include "executor/tuptable.h"
#include "utils/tuplesort.h"

/* Sort keys. TIDs make the order unique, so that LIMIT and OFFSET divide rows into disjoint pages. */
enum
{
	COLUMN_DISTANCE,
	COLUMN_TID,
	COLUMNS
};

struct HnswSort
{
	Tuplesortstate *sort;
	TupleTableSlot *in;
	TupleTableSlot *out;
	int64 left; /* rows that may still be read: a bounded sort keeps no more than its bound */
};

HnswSort *
hnsw_sort_begin(int64 bound, int memory_kb)
{
	HnswSort *sort = palloc(sizeof(HnswSort));
	TupleDesc desc = CreateTemplateTupleDesc(COLUMNS);
	AttrNumber columns[] = {COLUMN_DISTANCE + 1, COLUMN_TID + 1};
	Oid less_than[] = {Float8LessOperator, TIDLessOperator};
	Oid collations[] = {InvalidOid, InvalidOid};
	bool nulls_first[] = {false, false};

	TupleDescInitEntry(desc, COLUMN_DISTANCE + 1, "distance", FLOAT8OID, -1, 0);
	TupleDescInitEntry(desc, COLUMN_TID + 1, "tid", TIDOID, -1, 0);
	omendb_finish_tuple_desc(desc);
	sort->in = MakeSingleTupleTableSlot(desc, &TTSOpsVirtual);
	sort->out = MakeSingleTupleTableSlot(desc, &TTSOpsMinimalTuple);
	sort->sort =
		tuplesort_begin_heap(desc, COLUMNS, columns, less_than, collations, nulls_first, memory_kb,
							 NULL, bound > 0 ? TUPLESORT_ALLOWBOUNDED : TUPLESORT_NONE);
	sort->left = PG_INT64_MAX;
	if (bound > 0)
	{
		tuplesort_set_bound(sort->sort, bound);
		sort->left = bound;
	}
	return sort;
}

void
hnsw_sort_add(HnswSort *sort, ItemPointer tid, double distance, bool null)
{
	TupleTableSlot *slot = sort->in;

	ExecClearTuple(slot);
	slot->tts_values[COLUMN_DISTANCE] = Float8GetDatum(distance);
	slot->tts_values[COLUMN_TID] = PointerGetDatum(tid);
	slot->tts_isnull[COLUMN_DISTANCE] = null;
	slot->tts_isnull[COLUMN_TID] = false;
	ExecStoreVirtualTuple(slot);
	tuplesort_puttupleslot(sort->sort, slot);
}

void
hnsw_sort_perform(HnswSort *sort)
{
	tuplesort_performsort(sort->sort);
}

bool
hnsw_sort_next(HnswSort *sort, ItemPointer tid, double *distance, bool *null)
{
	TupleTableSlot *slot = sort->out;

	if (sort->left == 0 || !tuplesort_gettupleslot(sort->sort, true, false, slot, NULL))
		return false;
	sort->left--;
	slot_getallattrs(slot);
	*null = slot->tts_isnull[COLUMN_DISTANCE];
	*distance = *null ? 0 : DatumGetFloat8(slot->tts_values[COLUMN_DISTANCE]);
	*tid = *(ItemPointer) DatumGetPointer(slot->tts_values[COLUMN_TID]);
	return true;
}

void
hnsw_sort_end(HnswSort *sort)
{
	ExecDropSingleTupleTableSlot(sort->in);
	ExecDropSingleTupleTableSlot(sort->out);
	tuplesort_end(sort->sort);
	pfree(sort);
}
