/*
 * lastscan.c
 *	  omendb_last_scan: what the last index scan that the session finished did.
 */
#include "diag/diagnosis.h"

#include "compat.h"
#include "funcapi.h"
#include "utils/builtins.h"

const char *
omendb_stop_name(HnswStop stop)
{
	switch (stop)
	{
		case HNSW_STOP_NONE:
			break;
		case HNSW_STOP_EF_SEARCH:
			return "ef_search";
		case HNSW_STOP_EXHAUSTED:
			return "exhausted";
		case HNSW_STOP_TUPLES:
			return "max_scan_tuples";
		case HNSW_STOP_MEMORY:
			return "memory";
	}
	return NULL;
}

#define SCAN_COLUMNS 12

PG_FUNCTION_INFO_V1(omendb_sql_last_scan);

/* omendb_last_scan() returns one row, with the columns of sql/omendb.sql. */
Datum
omendb_sql_last_scan(PG_FUNCTION_ARGS)
{
	const HnswScanReport *report = &hnsw_last_scan;
	const char *stop = omendb_stop_name(report->stop);
	Datum values[SCAN_COLUMNS] = {0};
	bool nulls[SCAN_COLUMNS];
	TupleDesc row;
	int at = 0;

	if (get_call_result_type(fcinfo, NULL, &row) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	memset(nulls, !report->valid, sizeof(nulls));
	values[at++] = ObjectIdGetDatum(report->index);
	values[at++] = Int64GetDatum(report->nodes);
	values[at++] = Int64GetDatum(report->pages);
	values[at++] = Int64GetDatum(report->misses);
	values[at++] = Int64GetDatum(report->rows);
	values[at++] = Int64GetDatum(report->rechecks);
	values[at++] = Int64GetDatum(report->resumes);
	values[at++] = Int64GetDatum(report->late);
	values[at++] = Int64GetDatum(report->sweeps);
	values[at++] = Int64GetDatum(report->table_reads);
	nulls[at] = !report->valid || report->ef == 0;
	values[at++] = Int32GetDatum(report->ef);
	nulls[at] = !report->valid || !stop;
	if (!nulls[at])
		values[at] = CStringGetTextDatum(stop);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(row), values, nulls)));
}
