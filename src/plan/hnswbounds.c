/*
 * hnswbounds.c
 *	  Evaluates what a custom scan needs before it has rows: the query, LIMIT and OFFSET, and the
 *	  bounds of radius clauses.
 */
#include "plan/hnswcustom.h"
#include "plan/hnswstate.h"

#include <float.h>
#include <math.h>

#include "executor/executor.h"
#include "utils/fmgroids.h"

Datum
hnsw_evaluate(HnswState *state, ExprState *expression, bool *null)
{
	MemoryContext old = MemoryContextSwitchTo(state->context);
	Datum value = ExecEvalExpr(expression, state->css.ss.ps.ps_ExprContext, null);

	MemoryContextSwitchTo(old);
	return value;
}

void
hnsw_prepare_query(HnswState *state)
{
	HnswRun *run = &state->run;
	MemoryContext old;

	if (run->query.known)
		return;
	run->query.value = hnsw_evaluate(state, state->expressions.query, &run->query.is_null);
	if (!run->query.is_null)
	{
		old = MemoryContextSwitchTo(state->context);
		run->query.value = PointerGetDatum(PG_DETOAST_DATUM(run->query.value));
		MemoryContextSwitchTo(old);
		hnsw_check_query(state->index.relation, run->query.value, state->flags & HNSW_FLAG_ORDERED);
	}
	run->query.known = true;
}

double
hnsw_limit(HnswState *state)
{
	const HnswExpressions *e = &state->expressions;
	double wanted = INFINITY;
	bool null = true;
	Datum value = (Datum) 0;

	if (e->limit)
		value = hnsw_evaluate(state, e->limit, &null);
	if (null)
		return wanted;
	/* The Limit node has raised an error before if a value is negative. */
	wanted = Max(DatumGetInt64(value), 0);
	if (e->offset)
	{
		value = hnsw_evaluate(state, e->offset, &null);
		if (!null)
			wanted += Max(DatumGetInt64(value), 0);
	}
	/* One row more: it shows whether rows are equal to the last one. */
	if (state->flags & HNSW_FLAG_BEYOND)
		wanted++;
	return wanted;
}

static void
set_known(HnswState *state, int radius)
{
	MemoryContext old = MemoryContextSwitchTo(state->context);

	state->run.bounds.radii_known = bms_add_member(state->run.bounds.radii_known, radius);
	MemoryContextSwitchTo(old);
}

/* The radius of a clause with this bound. Rows beyond it do not pass the clause. */
static double
radius_of(double value, HnswRadiusForm form)
{
	switch (form)
	{
		case HNSW_RADIUS_PLAIN:
			break;
		case HNSW_RADIUS_ONE_MINUS:
			/* Rounded up, so that no row is left out. The clause itself is checked, too. */
			return (1 - value) + 4 * DBL_EPSILON * (1 + fabs(value));
		case HNSW_RADIUS_NEGATIVE:
			return -value;
	}
	return value;
}

/* True if the i-th radius may be evaluated now: it raises no error that its clause would not raise. */
static bool
is_safe(const HnswState *state, int i, HnswRadiusMoment moment)
{
	const Node *node = list_nth(state->expressions.radius_nodes, i);

	/* A bound of type real is cast (hnswplan.c). */
	if (IsA(node, FuncExpr) && ((const FuncExpr *) node)->funcid == F_FLOAT8_FLOAT4)
		node = linitial(((const FuncExpr *) node)->args);
	if (IsA(node, Const) || (IsA(node, Param) && ((const Param *) node)->paramkind == PARAM_EXTERN))
		return true;
	if (moment == HNSW_RADIUS_CHECKED)
		return i == 0 && (state->flags & HNSW_FLAG_RADIUS_FIRST) != 0;
	return moment == HNSW_RADIUS_PASSED;
}

void
hnsw_note_radii(HnswState *state, HnswRadiusMoment moment)
{
	const HnswExpressions *e = &state->expressions;
	HnswRun *run = &state->run;

	for (int i = 0; i < list_length(e->radii); i++)
	{
		double radius = -INFINITY;
		bool null;
		Datum datum;

		if (bms_is_member(i, run->bounds.radii_known) || !is_safe(state, i, moment))
			continue;
		datum = hnsw_evaluate(state, list_nth(e->radii, i), &null);
		if (!null)
			radius = radius_of(DatumGetFloat8(datum), intVal(list_nth(e->radius_forms, i)));
		/* NaN is above all numbers: it bounds nothing. */
		if (!isnan(radius))
			run->bounds.radius = Min(run->bounds.radius, radius);
		set_known(state, i);
	}
}
