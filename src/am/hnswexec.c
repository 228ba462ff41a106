/*
 * hnswexec.c
 *	  What the executor will do with the rows of a scan.
 *
 * A hook looks at plans before they run, and keeps a list of their scans of hnsw
 * indexes, in which these find themselves.
 *
 * Limits. A scan that is told how many rows will be wanted begins with a beam for
 * as many, which takes less time than to widen a narrower one.
 *
 * Filters. A scan that would have to search far may read the table itself, if it
 * knows what to look for (hnswtable.h). And they are checked before distances: of a
 * row whose order is in doubt the executor computes the distance, for which it
 * reads the vector, often out of line, and only then the WHERE clause, which most
 * rows of a filtered scan do not pass. An index scan can have a condition that is
 * checked first, for rows that the access method marks (xs_recheck); a scan of an
 * hnsw index has no use for it. Here the filter becomes that condition as well:
 * what passes it is checked again, what does not costs no distance. Such rows are
 * counted as removed by the filter, as they are.
 *
 * Volatile filters run once a row, so they are left alone, and so are those with
 * subqueries, which may be.
 */
#include "am/hnswexec.h"

#include "am/hnsw.h"
#include "am/module.h"
#include "compat.h"
#include "executor/executor.h"
#include "executor/nodeSubplan.h"
#include "lib/ilist.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "utils/lsyscache.h"

static ExecutorStart_hook_type previous_start;
static ExecutorFinish_hook_type previous_finish;

/* A scan of a plan that runs; as long as the executor's state of that. */
typedef struct KnownScan
{
	dlist_node link;
	IndexScanState *state;
	bool filtered;           /* by conditions that may be checked twice */
	const LimitState *limit; /* to which its rows go as they are, or NULL */
	MemoryContextCallback forget;
} KnownScan;

static dlist_head known_scans = DLIST_STATIC_INIT(known_scans);

/* An ordered scan of an hnsw index, begun? */
static bool
is_hnsw_scan(const PlanState *state)
{
	const IndexScanState *scan = (const IndexScanState *) state;

	return IsA(state, IndexScanState) && scan->iss_NumOrderByKeys > 0 && scan->iss_RelationDesc &&
		   hnsw_is_index(scan->iss_RelationDesc);
}

static void
forget(void *scan)
{
	dlist_delete(&((KnownScan *) scan)->link);
}

static void
remember(IndexScanState *state, const LimitState *limit)
{
	Node *filter = (Node *) state->ss.ps.plan->qual;
	MemoryContext context = state->ss.ps.state->es_query_cxt;
	KnownScan *scan = MemoryContextAlloc(context, sizeof(KnownScan));

	scan->state = state;
	scan->filtered = filter && !contain_volatile_functions(filter) && !contain_subplans(filter);
	scan->limit = filter ? NULL : limit;
	scan->forget.func = forget;
	scan->forget.arg = scan;
	dlist_push_head(&known_scans, &scan->link);
	MemoryContextRegisterResetCallback(context, &scan->forget);
	if (scan->filtered && !state->indexqualorig)
		state->indexqualorig = state->ss.ps.qual;
}

/* Do all rows of its inputs become rows of its own? */
static bool
passes_all(const PlanState *state)
{
	switch (nodeTag(state))
	{
		case T_ResultState:
		case T_SubqueryScanState:
		case T_AppendState:
		case T_MergeAppendState:
		case T_LockRowsState:
			return !state->plan->qual;
		default:
			return false;
	}
}

/* limit: where the rows of the node go as they are; or NULL. */
static bool
know_scans(PlanState *state, void *limit)
{
	if (is_hnsw_scan(state))
		remember((IndexScanState *) state, limit);
	if (IsA(state, LimitState))
		limit = state;
	else if (!passes_all(state))
		limit = NULL;
	return planstate_tree_walker(state, know_scans, limit);
}

static const KnownScan *
known_scan(IndexScanDesc scan)
{
	dlist_iter at;

	dlist_foreach(at, &known_scans)
	{
		const KnownScan *known = dlist_container(KnownScan, link, at.cur);

		if (known->state->iss_ScanDesc == scan)
			return known;
	}
	return NULL;
}

int64
hnsw_scan_limit(IndexScanDesc scan)
{
	const KnownScan *known = known_scan(scan);

	/* What is not computed yet is 0. */
	if (!known || !known->limit || known->limit->noCount)
		return 0;
	return known->limit->count > PG_INT64_MAX - known->limit->offset
			   ? 0
			   : known->limit->count + known->limit->offset;
}

bool
hnsw_scan_is_filtered(IndexScanDesc scan, double *rows)
{
	const KnownScan *known = known_scan(scan);

	if (!known || !known->filtered)
		return false;
	*rows = known->state->ss.ps.plan->plan_rows;
	return true;
}

/* Parameters become what they stand for: the table is read without the plan's state. */
static Node *
set_parameters(Node *node, void *context)
{
	const Param *param = (const Param *) node;
	ExprContext *values = context;
	Datum value;
	bool null;
	int16 length;
	bool by_value;

	if (!node)
		return NULL;
	if (!IsA(node, Param))
		return expression_tree_mutator(node, set_parameters, context);
	if (param->paramkind == PARAM_EXEC)
	{
		ParamExecData *known = &values->ecxt_param_exec_vals[param->paramid];

		if (known->execPlan)
			ExecSetParamPlan(known->execPlan, values);
		value = known->value;
		null = known->isnull;
	}
	else
	{
		ParamListInfo list = values->ecxt_param_list_info;
		ParamExternData room;
		const ParamExternData *known = list->paramFetch
										   ? list->paramFetch(list, param->paramid, false, &room)
										   : &list->params[param->paramid - 1];

		value = known->value;
		null = known->isnull;
	}
	get_typlenbyval(param->paramtype, &length, &by_value);
	return (Node *) makeConst(param->paramtype, param->paramtypmod, param->paramcollid, length,
							  value, null, by_value);
}

List *
hnsw_scan_filter(IndexScanDesc scan)
{
	IndexScanState *state = known_scan(scan)->state;

	return (List *) set_parameters((Node *) state->ss.ps.plan->qual, state->ss.ps.ps_ExprContext);
}

void
hnsw_scan_count_removed(IndexScanDesc scan, double rows)
{
	InstrCountFiltered1(known_scan(scan)->state, rows);
}

static bool
count_as_filtered(PlanState *state, void *context)
{
	if (state->instrument && is_hnsw_scan(state) &&
		((IndexScanState *) state)->indexqualorig == state->qual)
	{
		state->instrument->nfiltered1 += state->instrument->nfiltered2;
		state->instrument->nfiltered2 = 0;
	}
	return planstate_tree_walker(state, count_as_filtered, context);
}

static void
start_executor(QueryDesc *query, int flags)
{
	if (previous_start)
		previous_start(query, flags);
	else
		standard_ExecutorStart(query, flags);
	if (query->planstate)
		know_scans(query->planstate, NULL);
}

static void
finish_executor(QueryDesc *query)
{
	if (previous_finish)
		previous_finish(query);
	else
		standard_ExecutorFinish(query);
	if (query->planstate && query->instrument_options)
		count_as_filtered(query->planstate, NULL);
}

void
hnsw_init_executor(void)
{
	previous_start = ExecutorStart_hook;
	ExecutorStart_hook = start_executor;
	previous_finish = ExecutorFinish_hook;
	ExecutorFinish_hook = finish_executor;
}
