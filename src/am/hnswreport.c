/*
 * hnswreport.c
 *	  What index scans did: for EXPLAIN, omendb_last_scan() and the custom scan.
 */
#include "am/hnswscanstate.h"

#include "access/relscan.h"

HnswScanReport hnsw_last_scan;

void
hnsw_update_report(HnswScan *state)
{
	state->report.valid = true;
	state->report.index = RelationGetRelid(state->store.relation);
	if (!state->sweep)
		state->report.nodes = state->rounds.search.visited_used;
	state->report.pages = state->store.counters.pages;
	state->report.misses = state->store.counters.misses;
}

/* Add a report to a sum of reports; ef is the largest, stop the last one that is set. */
static void
add_report(HnswScanReport *sum, const HnswScanReport *report)
{
	sum->valid = true;
	sum->index = report->index;
	sum->nodes += report->nodes;
	sum->pages += report->pages;
	sum->misses += report->misses;
	sum->rows += report->rows;
	sum->rechecks += report->rechecks;
	sum->resumes += report->resumes;
	sum->late += report->late;
	sum->sweeps += report->sweeps;
	sum->table_reads += report->table_reads;
	sum->ef = Max(sum->ef, report->ef);
	if (report->stop != HNSW_STOP_NONE)
		sum->stop = report->stop;
}

void
hnsw_publish_report(HnswScan *state)
{
	hnsw_update_report(state);
	hnsw_last_scan = state->report;
	add_report(&state->earlier, &state->report);
}

void
hnsw_scan_report(IndexScanDesc scan, HnswScanReport *report)
{
	HnswScan *state = scan->opaque;

	*report = state->earlier;
	if (state->started)
	{
		hnsw_update_report(state);
		add_report(report, &state->report);
	}
}
