/*
 * hnswexplain.c
 *	  Shows a custom scan in EXPLAIN: its plan, and with ANALYZE what it did.
 */
#include "plan/hnswcustom.h"
#include "plan/hnswstate.h"

#include "am/hnsw.h"
#include "compat.h"
#include "commands/explain.h"
#ifdef OMENDB_HAS_EXPLAIN_HOOK
#include "commands/explain_format.h"
#include "commands/explain_state.h"
#endif
#include "executor/instrument.h"
#include "nodes/makefuncs.h"
#include "utils/lsyscache.h"
#include "utils/ruleutils.h"

static const char *
strategy_name(HnswStrategy strategy)
{
	switch (strategy)
	{
		case HNSW_STRATEGY_GRAPH:
			return "graph";
		case HNSW_STRATEGY_BITMAP:
			return "bitmap";
		case HNSW_STRATEGY_EXACT:
			return "exact";
		case HNSW_STRATEGY_AUTO:
			break;
	}
	return "auto";
}

static void
show_expression(Node *node, const char *label, CustomScanState *css, List *ancestors,
				ExplainState *es)
{
	List *context = set_deparse_context_plan(es->deparse_cxt, css->ss.ps.plan, ancestors);
	bool prefix = list_length(es->rtable) > 1 || es->verbose;

	ExplainPropertyText(label, deparse_expression(node, context, prefix, false), es);
}

static HnswStrategy
planned_strategy(const HnswState *state)
{
	return hnsw_scan_strategy == HNSW_STRATEGY_AUTO
			   ? (HnswStrategy) state->estimates.planned.strategy
			   : (HnswStrategy) hnsw_scan_strategy;
}

/* Show the strategies that the scan used; before it runs, the planned one. */
static void
show_strategies(const HnswState *state, const HnswCounts *counts, ExplainState *es)
{
	StringInfoData names;

	initStringInfo(&names);
	if (counts->nstrategies == 0)
		appendStringInfoString(&names, strategy_name(planned_strategy(state)));
	for (int i = 0; i < counts->nstrategies; i++)
		appendStringInfo(&names, "%s%s", i > 0 ? ", then " : "", counts->strategies[i]);
	ExplainPropertyText("Strategy", names.data, es);
}

void
hnsw_explain(CustomScanState *css, List *ancestors, ExplainState *es)
{
	HnswState *state = (HnswState *) css;
	const CustomScan *plan = (const CustomScan *) css->ss.ps.plan;
	List *later = list_nth(plan->custom_exprs, HNSW_EXPR_LATER);
	Oid index = linitial_oid(list_nth(plan->custom_private, HNSW_PRIVATE_INDEX));
	HnswCounts counts = state->counts;
	int64 ef;

	hnsw_add_search_counts(state, &counts);
	ExplainPropertyText("Index", get_rel_name(index), es);
	show_expression((Node *) linitial_node(TargetEntry, plan->custom_scan_tlist)->expr,
					state->flags & HNSW_FLAG_ORDERED ? "Order By" : "Distance", css, ancestors, es);
	if (later)
		show_expression((Node *) make_ands_explicit(later), "Distance Filter", css, ancestors, es);
	show_strategies(state, &counts, es);
	/* The largest ef of a first round, or the planned one; 0 if nothing is searched. */
	ef = counts.ef;
	if (counts.nstrategies == 0 && planned_strategy(state) != HNSW_STRATEGY_EXACT)
		ef = (int64) state->estimates.planned.ef;
	if (hnsw_recall_target > 0 && ef > 0)
		ExplainPropertyInteger("EF Search", NULL, ef, es);
	/* A node that is not parallel-aware cannot report what it did in a worker. */
	if (!es->analyze || (counts.nstrategies == 0 && css->ss.ps.worker_instrument))
		return;
	if (later && !plan->scan.plan.qual && css->ss.ps.instrument)
		ExplainPropertyFloat(
			"Rows Removed by Filter", NULL,
			css->ss.ps.instrument->nfiltered1 / Max(css->ss.ps.instrument->nloops, 1), 0, es);
	ExplainPropertyUInteger("Nodes Visited", NULL, counts.nodes, es);
	if (hnsw_bitmap_child(state))
		ExplainPropertyUInteger("Members Visited", NULL, counts.members, es);
	ExplainPropertyUInteger("Heap Rows Read", NULL, counts.fetched, es);
	ExplainPropertyUInteger("Distances Computed", NULL, counts.distances, es);
}
