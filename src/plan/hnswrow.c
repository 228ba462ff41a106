/*
 * hnswrow.c
 *	  One row of the table in a custom scan: its clauses, its distance, and what
 *	  the node returns of it.
 *
 * All expressions are the plan's own, evaluated by the executor. The scan's row
 * (ss_ScanTupleSlot) has the distance as its first two columns.
 */
#include "plan/hnswcustom.h"
#include "plan/hnswstate.h"

#include "executor/executor.h"

void
hnsw_row_set(HnswState *state, TupleTableSlot *slot)
{
	HnswExpressions *e = &state->expressions;
	TupleTableSlot *row;

	ResetExprContext(e->context);
	ResetExprContext(state->css.ss.ps.ps_ExprContext);
	e->context->ecxt_scantuple = slot;
	row = ExecProject(e->columns);
	/* For WHERE CURRENT OF. */
	row->tts_tid = slot->tts_tid;
	row->tts_tableOid = slot->tts_tableOid;
	state->css.ss.ps.ps_ExprContext->ecxt_scantuple = row;
}

bool
hnsw_row_passes_first(HnswState *state, TupleTableSlot *slot)
{
	hnsw_row_set(state, slot);
	return ExecQual(state->css.ss.ps.qual, state->css.ss.ps.ps_ExprContext);
}

bool
hnsw_row_distance(HnswState *state, double *distance)
{
	HnswExpressions *e = &state->expressions;
	MemoryContext old;
	Datum value;
	bool null;

	if (state->run.query_is_null)
		return false;
	old = MemoryContextSwitchTo(e->context->ecxt_per_tuple_memory);
	value = ExecEvalExpr(e->indexed, e->context, &null);
	if (!null)
	{
		state->counts.distances++;
		*distance =
			DatumGetFloat8(FunctionCall2Coll(&e->distance, e->collation, value, state->run.query));
	}
	MemoryContextSwitchTo(old);
	return !null;
}

static void
set_distance(HnswState *state, double distance, bool null)
{
	TupleTableSlot *row = state->css.ss.ps.ps_ExprContext->ecxt_scantuple;

	for (int column = HNSW_COLUMN_DISTANCE; column <= HNSW_COLUMN_COMMUTED; column++)
	{
		row->tts_values[column - 1] = Float8GetDatum(distance);
		row->tts_isnull[column - 1] = null;
	}
}

bool
hnsw_row_passes_later(HnswState *state, double distance, bool null)
{
	set_distance(state, distance, null);
	return ExecQual(state->expressions.later, state->css.ss.ps.ps_ExprContext);
}

TupleTableSlot *
hnsw_row_result(HnswState *state, double distance, bool null)
{
	PlanState *ps = &state->css.ss.ps;

	set_distance(state, distance, null);
	return ps->ps_ProjInfo ? ExecProject(ps->ps_ProjInfo) : ps->ps_ExprContext->ecxt_scantuple;
}
