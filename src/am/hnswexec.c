/*
 * hnswexec.c
 *	  Filters before distances.
 *
 * Of a row whose order is in doubt the executor computes the distance, for which
 * it reads the vector, often out of line, and only then the WHERE clause, which
 * most rows of a filtered scan do not pass. An index scan can have a condition
 * that is checked first, for rows that the access method marks (xs_recheck); a
 * scan of an hnsw index has no use for it. Here the filter becomes that
 * condition as well: what passes it is checked again, what does not costs no
 * distance. Such rows are counted as removed by the filter, as they are.
 *
 * Volatile filters run once a row, so they are left alone, and so are those with
 * subqueries, which may be.
 */
#include "am/module.h"

#include "am/hnsw.h"
#include "compat.h"
#include "executor/executor.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"

static ExecutorStart_hook_type previous_start;
static ExecutorFinish_hook_type previous_finish;

/* An ordered scan of an hnsw index, begun? */
static bool
is_hnsw_scan(const PlanState *state)
{
	const IndexScanState *scan = (const IndexScanState *) state;

	return IsA(state, IndexScanState) && scan->iss_NumOrderByKeys > 0 && scan->iss_RelationDesc &&
		   hnsw_is_index(scan->iss_RelationDesc);
}

static bool
filter_first(PlanState *state, void *context)
{
	if (is_hnsw_scan(state))
	{
		IndexScanState *scan = (IndexScanState *) state;
		Node *filter = (Node *) state->plan->qual;

		if (!scan->indexqualorig && !contain_volatile_functions(filter) &&
			!contain_subplans(filter))
			scan->indexqualorig = state->qual;
	}
	return planstate_tree_walker(state, filter_first, context);
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
		filter_first(query->planstate, NULL);
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
