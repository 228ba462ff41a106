/*
 * explainscan.c
 *	  EXPLAIN (ANALYZE) of a plain index scan: adds what the scan did. For PostgreSQL 18 and later,
 *	  which have a hook for it; earlier versions have omendb_last_scan() only.
 */
#include "diag/explainscan.h"

#include "compat.h"
#include "diag/diagnosis.h"

#ifdef OMENDB_HAS_EXPLAIN_HOOK
#include "commands/explain.h"
#include "commands/explain_format.h"
#include "commands/explain_state.h"
#include "nodes/execnodes.h"

static explain_per_node_hook_type previous_hook;

static void
show_scan(IndexScanState *state, ExplainState *es)
{
	HnswScanReport report;
	const char *stop;

	/* Not for a scan that never began, nor for one of parallel workers, whose reports are lost. */
	if (!state->iss_ScanDesc || state->ss.ps.worker_instrument ||
		!hnsw_is_index(state->iss_RelationDesc))
		return;
	hnsw_scan_report(state->iss_ScanDesc, &report);
	if (!report.valid)
		return;
	if (hnsw_recall_target > 0)
		ExplainPropertyInteger("EF Search", NULL, report.ef, es);
	ExplainPropertyUInteger("Nodes Visited", NULL, report.nodes, es);
	ExplainPropertyUInteger("Pages Read", NULL, report.pages, es);
	ExplainPropertyUInteger("Rows Rechecked", NULL, report.rechecks, es);
	if (report.sweeps > 0)
		ExplainPropertyUInteger("Sweeps", NULL, report.sweeps, es);
	if (report.table_reads > 0)
		ExplainPropertyUInteger("Table Reads", NULL, report.table_reads, es);
	stop = omendb_stop_name(report.stop);
	if (stop)
		ExplainPropertyText("Stopped By", stop, es);
}

static void
explain_node(PlanState *plan, List *ancestors, const char *relationship, const char *plan_name,
			 ExplainState *es)
{
	if (previous_hook)
		previous_hook(plan, ancestors, relationship, plan_name, es);
	if (es->analyze && IsA(plan, IndexScanState))
		show_scan((IndexScanState *) plan, es);
}

void
omendb_explain_init_module(void)
{
	previous_hook = explain_per_node_hook;
	explain_per_node_hook = explain_node;
}

#else

void
omendb_explain_init_module(void)
{
}

#endif
