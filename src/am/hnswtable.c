/*
 * hnswtable.c
 *	  The rows of a table that pass a scan's filter, in order of distance, by
 *	  reading the table.
 *
 * The table is read as for the build of a partial index: that is how PostgreSQL
 * tells an access method the TIDs by which an index knows rows (those of the
 * roots of HOT chains), and the values that it holds.
 */
#include "am/hnswtable.h"

#include <math.h>

#include "access/relscan.h"
#include "access/tableam.h"
#include "am/hnswexec.h"
#include "catalog/index.h"
#include "catalog/pg_operator_d.h"
#include "catalog/pg_type_d.h"
#include "executor/tuptable.h"
#include "utils/float.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/tuplesort.h"

/* What is sorted, and by the first of them. */
enum
{
	COLUMN_DISTANCE,
	COLUMN_TID,
	COLUMNS
};

struct HnswTable
{
	MemoryContext context; /* of all this */
	MemoryContext row;     /* reset for every row */
	ScanKey order;
	Datum query; /* detoasted */
	const ItemPointerData *returned;
	size_t nreturned;
	double passed; /* rows, also of those that were returned */
	size_t returned_passed;
	double farthest; /* of those that were returned and pass */
	double late;     /* rows nearer than that come last */
	bool at_late;    /* that is where we are */
	TupleTableSlot *slot;
	Tuplesortstate *sort;
};

static int
compare_tids(const void *a, const void *b)
{
	return ItemPointerCompare(unconstify(void *, a), unconstify(void *, b));
}

static void
take_row(Relation index, ItemPointer tid, Datum *values, bool *isnull, bool alive, void *state)
{
	HnswTable *table = state;
	TupleTableSlot *slot = table->slot;
	MemoryContext old;
	double distance;

	table->passed++;
	if (isnull[0])
		return;
	old = MemoryContextSwitchTo(table->row);
	distance = DatumGetFloat8(FunctionCall2Coll(&table->order->sk_func, table->order->sk_collation,
												values[0], table->query));
	MemoryContextSwitchTo(old);
	MemoryContextReset(table->row);
	/* Zero vectors, which under cosine no index has. */
	if (isnan(distance))
		return;
	if (bsearch(tid, table->returned, table->nreturned, sizeof(ItemPointerData), compare_tids))
	{
		table->returned_passed++;
		table->farthest = Max(table->farthest, distance);
		return;
	}
	ExecClearTuple(slot);
	slot->tts_values[COLUMN_DISTANCE] = Float8GetDatum(distance);
	slot->tts_values[COLUMN_TID] = PointerGetDatum(tid);
	memset(slot->tts_isnull, 0, COLUMNS * sizeof(bool));
	ExecStoreVirtualTuple(slot);
	tuplesort_puttupleslot(table->sort, slot);
}

static TupleDesc
sorted_columns(void)
{
	TupleDesc desc = CreateTemplateTupleDesc(COLUMNS);

	TupleDescInitEntry(desc, COLUMN_DISTANCE + 1, "distance", FLOAT8OID, -1, 0);
	TupleDescInitEntry(desc, COLUMN_TID + 1, "tid", TIDOID, -1, 0);
	return desc;
}

HnswTable *
hnsw_table_begin(IndexScanDesc scan, ItemPointerData *returned, size_t nreturned, double late,
				 int memory_kb)
{
	MemoryContext context =
		AllocSetContextCreate(CurrentMemoryContext, "hnsw table", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	HnswTable *table = palloc0(sizeof(HnswTable));
	IndexInfo *info = BuildIndexInfo(scan->indexRelation);
	TupleDesc desc = sorted_columns();
	AttrNumber column = COLUMN_DISTANCE + 1;
	Oid less_than = Float8LessOperator;
	Oid collation = InvalidOid;
	bool nulls_first = false;
	TableScanDesc table_scan;
	double rows;

	qsort(returned, nreturned, sizeof(ItemPointerData), compare_tids);
	table->context = context;
	table->row = AllocSetContextCreate(context, "hnsw table row", ALLOCSET_DEFAULT_SIZES);
	table->order = &scan->orderByData[0];
	table->query = PointerGetDatum(PG_DETOAST_DATUM(table->order->sk_argument));
	table->returned = returned;
	table->nreturned = nreturned;
	table->farthest = -get_float8_infinity();
	table->slot = MakeSingleTupleTableSlot(desc, &TTSOpsVirtual);
	table->sort = tuplesort_begin_heap(desc, 1, &column, &less_than, &collation, &nulls_first,
									   memory_kb, NULL, TUPLESORT_RANDOMACCESS);

	/* A condition that the index's own predicate implies is not among those of the scan. */
	info->ii_Predicate = list_concat(info->ii_Predicate, hnsw_scan_filter(scan));
	/* With the scan's snapshot: what a concurrent build does too. */
	info->ii_Concurrent = true;
	table_scan = table_beginscan_strat(scan->heapRelation, scan->xs_snapshot, 0, NULL, true, true);
	rows = table_index_build_scan(scan->heapRelation, scan->indexRelation, info, true, false,
								  take_row, table, table_scan);
	/* Those that were returned and do not pass were counted. */
	hnsw_scan_count_removed(scan, rows - table->passed - (nreturned - table->returned_passed));
	ExecDropSingleTupleTableSlot(table->slot);

	table->late = Min(late, table->farthest);
	tuplesort_performsort(table->sort);
	table->slot = MakeSingleTupleTableSlot(desc, &TTSOpsMinimalTuple);
	MemoryContextSwitchTo(old);
	return table;
}

static bool
next_row(HnswTable *table, ItemPointer tid, double *distance)
{
	TupleTableSlot *slot = table->slot;

	if (!tuplesort_gettupleslot(table->sort, true, false, slot, NULL))
		return false;
	slot_getallattrs(slot);
	*distance = DatumGetFloat8(slot->tts_values[COLUMN_DISTANCE]);
	*tid = *(ItemPointer) DatumGetPointer(slot->tts_values[COLUMN_TID]);
	return true;
}

bool
hnsw_table_next(HnswTable *table, ItemPointer tid, double *distance, bool *late)
{
	if (!table->at_late)
	{
		*late = false;
		while (next_row(table, tid, distance))
			if (*distance >= table->late)
				return true;
		table->at_late = true;
		tuplesort_rescan(table->sort);
	}
	*late = true;
	return next_row(table, tid, distance) && *distance < table->late;
}

void
hnsw_table_end(HnswTable *table)
{
	ExecDropSingleTupleTableSlot(table->slot);
	tuplesort_end(table->sort);
	MemoryContextDelete(table->context);
}
