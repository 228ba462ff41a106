/*
 * hnswexec.c
 *	  What a scan of an hnsw index learns of its filter.
 *
 * Filters before distances. Of a row whose order is in doubt the executor computes the distance, for which
 * it reads the vector, often out of line, and only then the WHERE clause, which
 * most rows of a filtered scan do not pass. An index scan can have a condition
 * that is checked first, for rows that the access method marks (xs_recheck); a
 * scan of an hnsw index has no use for it. Here the filter becomes that
 * condition as well: what passes it is checked again, what does not costs no
 * distance. Such rows are counted as removed by the filter, as they are.
 *
 * Filters of tables. A scan that would have to search far may read the table
 * itself, if it knows what to look for (hnswtable.h). Nodes of plans that run are
 * kept in a list, by which a scan finds its own.
 *
 * Volatile filters run once a row, so they are left alone, and so are those with
 * subqueries, which may be.
 */
#include "am/module.h"

#include "am/hnsw.h"
#include "am/hnswtable.h"
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

/* A filtered scan of a plan that runs; as long as the executor's state of that. */
typedef struct FilteredScan
{
	dlist_node link;
	IndexScanState *state;
	MemoryContextCallback forget;
} FilteredScan;

static dlist_head filtered_scans = DLIST_STATIC_INIT(filtered_scans);

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
	dlist_delete(&((FilteredScan *) scan)->link);
}

static void
remember(IndexScanState *state)
{
	MemoryContext context = state->ss.ps.state->es_query_cxt;
	FilteredScan *scan = MemoryContextAlloc(context, sizeof(FilteredScan));

	scan->state = state;
	scan->forget.func = forget;
	scan->forget.arg = scan;
	dlist_push_head(&filtered_scans, &scan->link);
	MemoryContextRegisterResetCallback(context, &scan->forget);
}

static bool
take_filters(PlanState *state, void *context)
{
	Node *filter = (Node *) state->plan->qual;

	if (filter && is_hnsw_scan(state) && !contain_volatile_functions(filter) &&
		!contain_subplans(filter))
	{
		IndexScanState *scan = (IndexScanState *) state;

		if (!scan->indexqualorig)
			scan->indexqualorig = state->qual;
		remember(scan);
	}
	return planstate_tree_walker(state, take_filters, context);
}

static IndexScanState *
filtered_scan(IndexScanDesc scan)
{
	dlist_iter at;

	dlist_foreach(at, &filtered_scans)
	{
		IndexScanState *state = dlist_container(FilteredScan, link, at.cur)->state;

		if (state->iss_ScanDesc == scan)
			return state;
	}
	return NULL;
}

bool
hnsw_scan_is_filtered(IndexScanDesc scan, double *rows)
{
	const IndexScanState *state = filtered_scan(scan);

	if (!state)
		return false;
	*rows = state->ss.ps.plan->plan_rows;
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
	IndexScanState *state = filtered_scan(scan);

	return (List *) set_parameters((Node *) state->ss.ps.plan->qual, state->ss.ps.ps_ExprContext);
}

void
hnsw_scan_count_removed(IndexScanDesc scan, double rows)
{
	InstrCountFiltered1(filtered_scan(scan), rows);
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
		take_filters(query->planstate, NULL);
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
