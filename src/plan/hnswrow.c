/*
 * hnswrow.c
 *	  Evaluates expressions over one row of the table: its clauses, its distance, and the node's
 *	  result.
 *
 * The executor evaluates the plan's own expressions. The scan's row (ss_ScanTupleSlot) has the
 * distance in its first two columns (HNSW_COLUMN_*).
 */
#include "plan/hnswcustom.h"
#include "plan/hnswstate.h"

#include "catalog/pg_type_d.h"
#include "compat.h"
#include "executor/executor.h"
#include "nodes/makefuncs.h"
#include "optimizer/optimizer.h"
#include "utils/rel.h"

/* The columns of the scan's row, with NULL in place of the distance. */
static List *
columns_without_distance(List *tlist)
{
	List *plain = NIL;
	ListCell *cell;

	foreach (cell, tlist)
	{
		TargetEntry *entry = lfirst_node(TargetEntry, cell);

		if (entry->resno <= HNSW_COLUMN_COMMUTED)
			entry = makeTargetEntry((Expr *) makeNullConst(FLOAT8OID, -1, InvalidOid), entry->resno,
									NULL, false);
		plain = lappend(plain, entry);
	}
	return plain;
}

/*
 * Prepare how the scan's row is made of a row of the table: by copying columns, or by a projection
 * where it has system columns or the whole row.
 */
static void
init_columns(HnswState *state, List *tlist)
{
	HnswExpressions *e = &state->expressions;
	ListCell *cell;

	e->attributes = palloc(list_length(tlist) * sizeof(AttrNumber));
	foreach (cell, tlist)
	{
		const TargetEntry *entry = lfirst_node(TargetEntry, cell);
		const Var *var = (const Var *) entry->expr;

		if (entry->resno <= HNSW_COLUMN_COMMUTED)
			continue;
		if (!IsA(var, Var) || var->varattno <= 0)
		{
			e->columns = ExecBuildProjectionInfo(
				columns_without_distance(tlist), e->context, state->css.ss.ss_ScanTupleSlot, NULL,
				RelationGetDescr(state->css.ss.ss_currentRelation));
			return;
		}
		e->attributes[e->nattributes++] = var->varattno;
		e->last_attribute = Max(e->last_attribute, var->varattno);
	}
}

void
hnsw_row_init(HnswState *state, EState *estate)
{
	const CustomScan *plan = (const CustomScan *) state->css.ss.ps.plan;
	PlanState *parent = &state->css.ss.ps;
	HnswExpressions *e = &state->expressions;
	const TargetEntry *first = linitial_node(TargetEntry, plan->custom_scan_tlist);
	const OpExpr *distance = castNode(OpExpr, first->expr);
	Expr *query = list_nth(plan->custom_exprs, HNSW_EXPR_QUERY);
	List *later = list_nth(plan->custom_exprs, HNSW_EXPR_LATER);
	List *limit = list_nth(plan->custom_exprs, HNSW_EXPR_LIMIT);
	Bitmapset *columns = NULL;
	ListCell *cell;

	/*
	 * Expressions over rows of the table get no parent: the executor would assume that the row's
	 * slot has the type of the parent's scan slot.
	 */
	e->context = CreateExprContext(estate);
	init_columns(state, plan->custom_scan_tlist);
	e->indexed = ExecInitExpr(linitial(distance->args), NULL);
	e->indexed_is_column = IsA(linitial(distance->args), Var);
	e->query = ExecInitExpr(query, parent);
	e->query_is_fixed = IsA(query, Const) ||
						(IsA(query, Param) && castNode(Param, query)->paramkind == PARAM_EXTERN);
	omendb_check_function(distance->opfuncid);
	fmgr_info(distance->opfuncid, &e->distance);
	e->collation = distance->inputcollid;
	e->later = ExecInitQual(later, parent);
	e->radius_nodes = list_nth(plan->custom_exprs, HNSW_EXPR_RADIUS);
	e->radius_forms = list_nth(plan->custom_private, HNSW_PRIVATE_RADIUS);
	foreach (cell, e->radius_nodes)
		e->radii = lappend(e->radii, ExecInitExpr(lfirst(cell), parent));
	if (limit)
	{
		e->limit = ExecInitExpr(linitial(limit), parent);
		e->offset = ExecInitExpr(lsecond(limit), parent);
	}
	foreach (cell, plan->scan.plan.targetlist)
	{
		const TargetEntry *entry = lfirst_node(TargetEntry, cell);

		if (!entry->resjunk || !(state->flags & HNSW_FLAG_DROPS_JUNK))
			pull_varattnos((Node *) entry->expr, INDEX_VAR, &columns);
	}
	for (int column = HNSW_COLUMN_DISTANCE; column <= HNSW_COLUMN_COMMUTED; column++)
		e->shows_distance |= bms_is_member(column - FirstLowInvalidHeapAttributeNumber, columns);
}

/* Make the scan's row by copying columns. It refers to the memory of the table's row. */
static TupleTableSlot *
copy_columns(const HnswState *state, TupleTableSlot *slot)
{
	const HnswExpressions *e = &state->expressions;
	TupleTableSlot *row = state->css.ss.ss_ScanTupleSlot;

	ExecClearTuple(row);
	slot_getsomeattrs(slot, e->last_attribute);
	for (int i = 0; i < HNSW_COLUMN_COMMUTED; i++)
		row->tts_isnull[i] = true;
	for (int i = 0; i < e->nattributes; i++)
	{
		row->tts_values[HNSW_COLUMN_COMMUTED + i] = slot->tts_values[e->attributes[i] - 1];
		row->tts_isnull[HNSW_COLUMN_COMMUTED + i] = slot->tts_isnull[e->attributes[i] - 1];
	}
	return ExecStoreVirtualTuple(row);
}

void
hnsw_row_set(HnswState *state, TupleTableSlot *slot)
{
	HnswExpressions *e = &state->expressions;
	TupleTableSlot *row;

	ResetExprContext(e->context);
	ResetExprContext(state->css.ss.ps.ps_ExprContext);
	e->context->ecxt_scantuple = slot;
	row = e->columns ? ExecProject(e->columns) : copy_columns(state, slot);
	/* WHERE CURRENT OF reads these. */
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

	hnsw_prepare_query(state);
	if (state->run.query.is_null)
		return false;
	old = MemoryContextSwitchTo(e->context->ecxt_per_tuple_memory);
	value = ExecEvalExpr(e->indexed, e->context, &null);
	if (!null)
	{
		state->counts.distances++;
		if (e->indexed_is_column)
			value = hnsw_toast_fetch(&state->toast, state->css.ss.ps.state->es_query_cxt, value);
		*distance = DatumGetFloat8(
			FunctionCall2Coll(&e->distance, e->collation, value, state->run.query.value));
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
