/*
 * recall.c
 *	  hnsw_recall: the share of the exact answer that the index finds, at the session's settings.
 *
 * Queries are vectors of rows whose nodes are spread evenly over the index; they are the same as long
 * as the index does not change. The exact answers are computed in one pass over the table, from the
 * distance of every row to every query. The other side scans the index, and reorders rows as the
 * executor does. One snapshot is used for all. A row that is not farther than the last row of the
 * exact answer counts as found.
 */
#include "diag/diagnosis.h"

#include <math.h>

#include "access/relscan.h"
#include "access/stratnum.h"
#include "access/tableam.h"
#include "am/hnswdrive.h"
#include "catalog/index.h"
#include "compat.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#define MAX_QUERIES 100000
#define MAX_ROWS    10000

/* The k smallest distances so far, n of them, as a heap with the largest distance first. */
typedef struct Nearest
{
	double *heap;
	int n;
	int k;
} Nearest;

typedef struct Recall
{
	OmendbDiagnosis diagnosis;
	Snapshot snapshot;
	int queries;
	int k;
	FmgrInfo distance; /* the ordering operator's function */
	Oid operator_function;
	Oid collation;
	Datum *query;
	Nearest *exact; /* of each query */
	MemoryContext row;
	/* to evaluate the index's expressions for a row */
	IndexInfo *info;
	EState *estate;
	TupleTableSlot *slot;
} Recall;

static void
sift_down(double *heap, int n, double item)
{
	int i = 0;

	for (int child = 1; child < n; child = 2 * i + 1)
	{
		if (child + 1 < n && heap[child + 1] > heap[child])
			child++;
		if (heap[child] <= item)
			break;
		heap[i] = heap[child];
		i = child;
	}
	heap[i] = item;
}

static void
add_distance(Nearest *nearest, double distance)
{
	int i;

	if (nearest->n == nearest->k)
	{
		if (distance < nearest->heap[0])
			sift_down(nearest->heap, nearest->n, distance);
		return;
	}
	for (i = nearest->n++; i > 0 && nearest->heap[(i - 1) / 2] < distance; i = (i - 1) / 2)
		nearest->heap[i] = nearest->heap[(i - 1) / 2];
	nearest->heap[i] = distance;
}

/* False if the distance is NaN, as from a zero vector under cosine. */
static bool
compute_distance(Recall *recall, Datum value, int query, double *distance)
{
	*distance = DatumGetFloat8(
		FunctionCall2Coll(&recall->distance, recall->collation, value, recall->query[query]));
	return !isnan(*distance);
}

static void
exact_callback(Relation index, ItemPointer tid, Datum *values, bool *isnull, bool alive,
			   void *state)
{
	Recall *recall = state;
	MemoryContext old;
	Datum value;

	if (isnull[0])
		return;
	old = MemoryContextSwitchTo(recall->row);
	value = PointerGetDatum(PG_DETOAST_DATUM(values[0]));
	for (int i = 0; i < recall->queries; i++)
	{
		double distance;

		if (compute_distance(recall, value, i, &distance))
			add_distance(&recall->exact[i], distance);
	}
	MemoryContextSwitchTo(old);
	MemoryContextReset(recall->row);
	CHECK_FOR_INTERRUPTS();
}

/* The indexed value of the row in recall->slot. False for null. */
static bool
indexed_value(Recall *recall, Datum *value)
{
	Datum values[INDEX_MAX_KEYS];
	bool nulls[INDEX_MAX_KEYS];

	ResetPerTupleExprContext(recall->estate);
	GetPerTupleExprContext(recall->estate)->ecxt_scantuple = recall->slot;
	FormIndexDatum(recall->info, recall->slot, recall->estate, values, nulls);
	*value = values[0];
	return !nulls[0];
}

/* Add the value of a visible row of the node to the queries. False if the node has no such row. */
static bool
add_query(Recall *recall, OmendbStore *store, OmendbNode node, IndexFetchTableData *fetch,
		  const OmendbRecord *record)
{
	BlockNumber blocks = 0;

	for (int i = 0; i < Min(record->ntids, OMENDB_INLINE_TIDS); i++)
	{
		ItemPointerData tid;
		bool again = false;
		bool all_dead = false;
		Datum value;

		/* Skip marked TIDs: their rows are dead. */
		if (omendb_tid_load(record->tids + i * OMENDB_TID_BYTES, &tid))
			continue;
		omendb_store_check_tid(store, node, &tid, recall->diagnosis.heap, &blocks);
		if (table_index_fetch_tuple(fetch, &tid, recall->snapshot, recall->slot, &again,
									&all_dead) &&
			indexed_value(recall, &value))
		{
			recall->query[recall->queries++] = PointerGetDatum(PG_DETOAST_DATUM_COPY(value));
			return true;
		}
	}
	return false;
}

/* Add a query from the next node, from *node to before `end`, that has a visible row; advance *node. */
static bool
add_next_query(Recall *recall, OmendbStore *store, IndexFetchTableData *fetch, OmendbRecord *record,
			   uint64 *node, uint64 end)
{
	const OmendbLayout *layout = &store->index->codec.layout;

	while (*node < end)
	{
		OmendbNode at = (OmendbNode) (*node)++;
		Buffer buffer;

		CHECK_FOR_INTERRUPTS();
		buffer = omendb_store_lock(store, omendb_node_block(layout, at), BUFFER_LOCK_SHARE);
		if (!BufferIsValid(buffer))
			continue;
		memcpy(record, omendb_store_record(store, buffer, at), sizeof(OmendbRecord));
		UnlockReleaseBuffer(buffer);
		if (record->kind == OMENDB_RECORD_NODE && record->level == 0 &&
			add_query(recall, store, at, fetch, record))
			return true;
	}
	return false;
}

/*
 * Choose `wanted` queries: one from each of `wanted` equal parts of the index. If parts have none,
 * more from the others.
 */
static void
choose_queries(Recall *recall, int wanted)
{
	OmendbDiagnosis *diagnosis = &recall->diagnosis;
	OmendbStore store = {.relation = diagnosis->relation, .index = diagnosis->index};
	OmendbRecord record;
	IndexFetchTableData *fetch = omendb_index_fetch_begin(diagnosis->heap);
	uint64 n = diagnosis->nodes;
	uint64 *next = palloc(wanted * sizeof(uint64));
	bool more = true;

	for (int i = 0; i < wanted; i++)
		next[i] = n * i / wanted;
	while (more && recall->queries < wanted)
	{
		more = false;
		for (int i = 0; i < wanted && recall->queries < wanted; i++)
			more |= add_next_query(recall, &store, fetch, &record, &next[i], n * (i + 1) / wanted);
	}
	table_index_fetch_end(fetch);
	ExecClearTuple(recall->slot);
	pfree(next);
}

/*
 * Count the rows, among the first k that the index returns for a query, that are not farther than the
 * last row of the exact answer. Rows come in the order of lower bounds of their distances, so the
 * first k are known when k distances are not above the last bound.
 */
static int
count_found(Recall *recall, IndexScanDesc scan, int query)
{
	Nearest *exact = &recall->exact[query];
	Nearest found = {palloc(recall->k * sizeof(double)), 0, recall->k};
	ScanKeyData order;
	int hits = 0;

	ScanKeyEntryInitialize(&order, SK_ORDER_BY, 1, 1, InvalidOid, recall->collation,
						   recall->operator_function, recall->query[query]);
	index_rescan(scan, NULL, 0, &order, 1);
	hnsw_scan_set_wanted(scan, recall->k);
	while (index_getnext_slot(scan, ForwardScanDirection, recall->slot))
	{
		double bound = DatumGetFloat8(scan->xs_orderbyvals[0]);
		double distance;
		MemoryContext old;
		Datum value;

		CHECK_FOR_INTERRUPTS();
		if (found.n == found.k && found.heap[0] <= bound)
			break;
		old = MemoryContextSwitchTo(recall->row);
		if (indexed_value(recall, &value) && compute_distance(recall, value, query, &distance))
			add_distance(&found, distance);
		MemoryContextSwitchTo(old);
		MemoryContextReset(recall->row);
	}
	for (int i = 0; i < found.n; i++)
		hits += found.heap[i] <= exact->heap[0];
	pfree(found.heap);
	return Min(hits, exact->n);
}

static void
prepare(Recall *recall)
{
	Relation relation = recall->diagnosis.relation;
	Oid type = relation->rd_opcintype[0];
	Oid op = get_opfamily_member(relation->rd_opfamily[0], type, type, 1);

	if (!OidIsValid(op))
		elog(ERROR, "missing ordering operator of index \"%s\"", RelationGetRelationName(relation));
	recall->operator_function = get_opcode(op);
	fmgr_info(recall->operator_function, &recall->distance);
	recall->collation = relation->rd_indcollation[0];
	recall->row =
		AllocSetContextCreate(CurrentMemoryContext, "hnsw_recall row", ALLOCSET_DEFAULT_SIZES);
	recall->info = BuildIndexInfo(relation);
	recall->estate = CreateExecutorState();
	recall->slot = table_slot_create(recall->diagnosis.heap, NULL);
}

static void
measure_exact(Recall *recall)
{
	recall->exact = palloc_extended(recall->queries * sizeof(Nearest), MCXT_ALLOC_HUGE);
	for (int i = 0; i < recall->queries; i++)
		recall->exact[i] = (Nearest){palloc(recall->k * sizeof(double)), 0, recall->k};
	omendb_diagnosis_scan_heap(&recall->diagnosis, recall->snapshot, exact_callback, recall);
}

PG_FUNCTION_INFO_V1(omendb_sql_hnsw_recall);

/* hnsw_recall(index regclass, queries integer, k integer) returns float8. */
Datum
omendb_sql_hnsw_recall(PG_FUNCTION_ARGS)
{
	int wanted = PG_GETARG_INT32(1);
	int64 hits = 0;
	int64 all = 0;
	Recall recall = {0};
	IndexScanDesc scan;

	recall.k = PG_GETARG_INT32(2);
	if (wanted < 1 || wanted > MAX_QUERIES)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("number of queries must be between 1 and %d", MAX_QUERIES)));
	if (recall.k < 1 || recall.k > MAX_ROWS)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("k must be between 1 and %d", MAX_ROWS)));
	omendb_diagnosis_open(&recall.diagnosis, PG_GETARG_OID(0), AccessShareLock,
						  OMENDB_DIAGNOSIS_ROWS);
	/* An error if the metapage is another index's. */
	(void) hnsw_opclass_of_built(recall.diagnosis.relation);
	recall.snapshot = RegisterSnapshot(GetActiveSnapshot());
	omendb_diagnosis_check_snapshot(&recall.diagnosis, recall.snapshot);
	prepare(&recall);
	recall.query = palloc_extended(wanted * sizeof(Datum), MCXT_ALLOC_HUGE);
	choose_queries(&recall, wanted);
	measure_exact(&recall);

	scan = omendb_index_beginscan(recall.diagnosis.heap, recall.diagnosis.relation, recall.snapshot,
								  0, 1);
	for (int i = 0; i < recall.queries; i++)
		if (recall.exact[i].n > 0)
		{
			hits += count_found(&recall, scan, i);
			all += recall.exact[i].n;
		}
	index_endscan(scan);

	ExecDropSingleTupleTableSlot(recall.slot);
	FreeExecutorState(recall.estate);
	MemoryContextDelete(recall.row);
	UnregisterSnapshot(recall.snapshot);
	omendb_diagnosis_close(&recall.diagnosis);
	/* Without rows there is no recall. */
	if (all == 0)
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8((double) hits / (double) all);
}
