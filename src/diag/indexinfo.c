/*
 * indexinfo.c
 *	  hnsw_index_info: parameters and contents of an index.
 *
 * Reads all pages once, through a ring of buffers, under a share lock on one page at a time. Records
 * that are inserted meanwhile may be counted or not.
 */
#include "diag/diagnosis.h"

#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "compat.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

typedef struct IndexTotals
{
	int64 nodes[OMENDB_MAX_LEVEL + 1];
	int64 overflow;
	int64 free; /* slots */
	int64 tids;
	int64 dead;  /* of level 0 */
	int64 edges; /* of level 0 */
	int64 bytes; /* of nodes of all levels */
} IndexTotals;

static const char *
metric_name(uint8 metric)
{
	switch (metric)
	{
		case OMENDB_METRIC_L2:
			return "l2";
		case OMENDB_METRIC_IP:
			return "ip";
		case OMENDB_METRIC_COSINE:
			return "cosine";
		case OMENDB_METRIC_L1:
			return "l1";
		case OMENDB_METRIC_HAMMING:
			return "hamming";
		case OMENDB_METRIC_JACCARD:
			return "jaccard";
	}
	return NULL;
}

static const char *
storage_name(uint8 own)
{
	switch (own)
	{
		case OMENDB_OWN_HALF:
			return "half";
		case OMENDB_OWN_INT8:
			return "int8";
		case OMENDB_OWN_BITS:
			return "bit";
		case OMENDB_OWN_INT16:
			return "int16";
		case OMENDB_OWN_INT12:
			return "int12";
		case OMENDB_OWN_INT4:
			return "int4";
		case OMENDB_OWN_INT2:
			return "int2";
		case OMENDB_OWN_SPARSE:
			return "sparse";
	}
	return NULL;
}

static void
count_record(IndexTotals *totals, const OmendbLayout *layout, const OmendbRecord *record)
{
	switch (record->kind)
	{
		case OMENDB_RECORD_FREE:
			totals->free++;
			break;
		case OMENDB_RECORD_NODE:
			totals->nodes[Min(record->level, OMENDB_MAX_LEVEL)]++;
			totals->bytes += omendb_record_size(layout, record);
			if (record->level > 0)
				break;
			totals->tids += record->ntids;
			totals->edges += record->count;
			totals->dead += (record->flags & OMENDB_RECORD_DEAD) != 0;
			break;
		case OMENDB_RECORD_OVERFLOW:
			totals->overflow++;
			totals->tids += omendb_record_overflow((OmendbRecord *) record)->count;
			break;
	}
}

static void
count_records(OmendbDiagnosis *diagnosis, IndexTotals *totals)
{
	const OmendbLayout *layout = &diagnosis->index->codec.layout;
	BufferAccessStrategy ring = GetAccessStrategy(BAS_BULKREAD);

	for (BlockNumber block = OMENDB_FIRST_BLOCK; block < diagnosis->blocks; block++)
	{
		Buffer buffer;
		Page page;

		CHECK_FOR_INTERRUPTS();
		buffer = ReadBufferExtended(diagnosis->relation, MAIN_FORKNUM, block, RBM_NORMAL, ring);
		LockBuffer(buffer, BUFFER_LOCK_SHARE);
		page = BufferGetPage(buffer);
		if (PageIsNew(page))
			totals->free += layout->per_page;
		else
		{
			const char *problem = omendb_diagnosis_page(page, OMENDB_PAGE_RECORDS);

			if (problem)
				omendb_corrupt_page(diagnosis->relation, block, problem);
			for (uint32 slot = 0; slot < layout->per_page; slot++)
			{
				const OmendbRecord *record = omendb_page_record(layout, page, slot);

				if (!omendb_record_ends_on_page(layout, slot, record))
					omendb_corrupt_page(diagnosis->relation, block,
										"A record ends beyond its page.");
				count_record(totals, layout, record);
			}
		}
		UnlockReleaseBuffer(buffer);
	}
	FreeAccessStrategy(ring);
}

/* [{"ef": 10, "recall_10": 0.8, "recall_100": 0.5}, ...] */
static Datum
recall_curve(const OmendbCurve *curve)
{
	StringInfoData json;

	initStringInfo(&json);
	appendStringInfoChar(&json, '[');
	for (uint32 i = 0; i < curve->n; i++)
	{
		const OmendbCurvePoint *point = &curve->points[i];

		appendStringInfo(&json, "%s{\"ef\": %u, \"recall_%d\": %.4f, \"recall_%d\": %.4f}",
						 i == 0 ? "" : ", ", point->ef, OMENDB_CURVE_FEW, 1 - point->missed[0],
						 OMENDB_CURVE_MANY, 1 - point->missed[1]);
	}
	appendStringInfoChar(&json, ']');
	return DirectFunctionCall1(jsonb_in, CStringGetDatum(json.data));
}

#define INFO_COLUMNS 26

PG_FUNCTION_INFO_V1(omendb_sql_hnsw_index_info);

/* hnsw_index_info(index regclass) returns one row: see the SQL script. */
Datum
omendb_sql_hnsw_index_info(PG_FUNCTION_ARGS)
{
	OmendbDiagnosis diagnosis;
	IndexTotals totals = {0};
	const OmendbMetaPage *meta;
	const OmendbLayout *layout;
	Datum by_level[OMENDB_MAX_LEVEL + 1];
	Datum values[INFO_COLUMNS];
	bool nulls[INFO_COLUMNS] = {0};
	TupleDesc row;
	int64 records = 0;
	int64 record_bytes;
	int levels = 0;
	int at = 0;

	if (get_call_result_type(fcinfo, NULL, &row) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	omendb_diagnosis_open(&diagnosis, PG_GETARG_OID(0), AccessShareLock, OMENDB_DIAGNOSIS_SIZES);
	meta = &diagnosis.meta;
	if (!omendb_calibration_is_possible(&diagnosis.calibration))
		omendb_corrupt_page(diagnosis.relation, OMENDB_META_BLOCK,
							"What the metapage says of recall has a wrong checksum.");
	layout = &diagnosis.index->codec.layout;
	count_records(&diagnosis, &totals);
	for (int level = 0; level <= OMENDB_MAX_LEVEL; level++)
	{
		records += totals.nodes[level];
		by_level[level] = Int64GetDatum(totals.nodes[level]);
		if (totals.nodes[level] > 0)
			levels = level + 1;
	}

	values[at++] = CStringGetTextDatum(get_am_name(diagnosis.relation->rd_rel->relam));
	/* Also by the name ivfflat. */
	values[at++] = CStringGetTextDatum("hnsw graph");
	values[at++] = Int32GetDatum(meta->version);
	values[at++] = Int32GetDatum(meta->dimensions);
	values[at++] = Int32GetDatum(meta->m);
	values[at++] = Int32GetDatum(meta->ef_construction);
	values[at++] = CStringGetTextDatum(metric_name(meta->metric));
	values[at++] = CStringGetTextDatum(storage_name(meta->own));
	values[at++] = Int32GetDatum(meta->code_bits);
	/* Of spanning records the mean; without any, what an empty page has. */
	record_bytes =
		layout->spans && records > 0 ? (totals.bytes + records - 1) / records : layout->slot_bytes;
	values[at++] = Int32GetDatum((int32) record_bytes);
	values[at++] = Int32GetDatum((int32) (layout->per_page * layout->slot_bytes / record_bytes));
	values[at++] = Int64GetDatum(diagnosis.blocks);
	values[at++] = Int64GetDatum(totals.nodes[0]);
	values[at++] = Int64GetDatum(records);
	values[at++] = Int64GetDatum(totals.overflow);
	/* Of spanning records as many as would have room. */
	values[at++] = Int64GetDatum(totals.free * layout->slot_bytes / record_bytes);
	values[at++] = Int64GetDatum(totals.tids);
	values[at++] = Int32GetDatum(levels);
	values[at++] = PointerGetDatum(construct_array(by_level, levels, INT8OID, sizeof(int64),
												   FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
	nulls[at] = nulls[at + 1] = meta->entry == OMENDB_NO_NODE;
	values[at++] = Int64GetDatum(meta->entry);
	values[at++] = Int32GetDatum(meta->entry_level);
	values[at++] = Int64GetDatum(totals.dead);
	/* Shares are null without nodes. */
	nulls[at] = nulls[at + 1] = totals.nodes[0] == 0;
	values[at++] = Float8GetDatum((double) totals.dead / (double) Max(totals.nodes[0], 1));
	values[at++] = Float8GetDatum((double) totals.edges / (double) Max(totals.nodes[0], 1));
	nulls[at] = totals.tids == 0;
	values[at++] =
		Float8GetDatum((double) diagnosis.blocks * BLCKSZ / (double) Max(totals.tids, 1));
	nulls[at] = diagnosis.calibration.curve.n == 0;
	values[at++] = recall_curve(&diagnosis.calibration.curve);
	Assert(at == INFO_COLUMNS);

	omendb_diagnosis_close(&diagnosis);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(row), values, nulls)));
}
