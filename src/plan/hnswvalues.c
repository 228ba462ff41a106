/*
 * hnswvalues.c
 *	  Estimates the share of rows that pass by the values of parameters, when a scan runs.
 *
 * A plan for unknown values (a generic plan of a prepared statement, the inner side of a nested
 * loop) has average shares. Values differ: one tenant has a tenth of all rows, another ten rows. So
 * a scan whose strategy depends on values calls the planner's estimators again. These need a
 * PlannerInfo: it is made of one table, for nothing but estimates, as the planner does for CLUSTER.
 *
 * No expression of the query is evaluated. An operand that is a parameter with a known value is
 * replaced by the value; other operands stay.
 */
#include "plan/hnswcustom.h"
#include "plan/hnswstate.h"

#include "catalog/pg_class_d.h"
#include "compat.h"
#include "executor/executor.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "rewrite/rewriteManip.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

/* Range table index of the table in the PlannerInfo. */
#define TABLE 1

List *
hnsw_clauses_for_estimates(List *clauses, Index rti)
{
	clauses = copyObject(clauses);
	ChangeVarNodes((Node *) clauses, rti, TABLE, 0);
	return clauses;
}

static PlannerInfo *
make_root(Relation table)
{
	Query *query = makeNode(Query);
	PlannerInfo *root = makeNode(PlannerInfo);
	RangeTblEntry *rte = makeNode(RangeTblEntry);

	rte->rtekind = RTE_RELATION;
	rte->relid = RelationGetRelid(table);
	rte->relkind = table->rd_rel->relkind;
	rte->rellockmode = AccessShareLock;
	query->commandType = CMD_SELECT;
	query->rtable = list_make1(rte);
	root->parse = query;
	root->glob = makeNode(PlannerGlobal);
	root->query_level = 1;
	root->planner_cxt = CurrentMemoryContext;
	root->wt_param_id = -1;
	omendb_complete_planner_info(root, rte);
	setup_simple_rel_arrays(root);
	build_simple_rel(root, TABLE, NULL);
	return root;
}

typedef struct Values
{
	ParamListInfo external;
	ExprContext *context;
	bool waits; /* a value is that of an InitPlan which has not run yet */
} Values;

static Const *
make_value(const Param *param, Datum value, bool null)
{
	int16 length;
	bool by_value;

	get_typlenbyval(param->paramtype, &length, &by_value);
	return makeConst(param->paramtype, param->paramtypmod, param->paramcollid, length, value, null,
					 by_value);
}

/* The value of the parameter, or the parameter itself. */
static Node *
value_of(Param *param, Values *values)
{
	ParamListInfo external = values->external;
	ParamExternData place;
	const ParamExternData *known;

	if (param->paramkind == PARAM_EXEC)
	{
		const ParamExecData *internal = &values->context->ecxt_param_exec_vals[param->paramid];

		if (internal->execPlan == NULL)
			return (Node *) make_value(param, internal->value, internal->isnull);
		values->waits = true;
		return (Node *) param;
	}
	if (param->paramkind != PARAM_EXTERN || !external || param->paramid <= 0 ||
		param->paramid > external->numParams)
		return (Node *) param;
	known = external->paramFetch ? external->paramFetch(external, param->paramid, true, &place)
								 : &external->params[param->paramid - 1];
	if (known->ptype != param->paramtype)
		return (Node *) param;
	return (Node *) make_value(param, known->value, known->isnull);
}

/* The operands, with values in place of parameters. */
static List *
values_of(List *operands, Values *values)
{
	List *result = NIL;
	ListCell *cell;

	foreach (cell, operands)
	{
		Node *operand = lfirst(cell);

		while (IsA(operand, RelabelType))
			operand = (Node *) ((RelabelType *) operand)->arg;
		result = lappend(result,
						 IsA(operand, Param) ? value_of((Param *) operand, values) : lfirst(cell));
	}
	return result;
}

/* Copy clauses, with values in place of operands that are parameters. */
static Node *
put_values(Node *node, void *values)
{
	Node *copy;

	if (node == NULL)
		return NULL;
	if (IsA(node, List) || IsA(node, BoolExpr))
		return expression_tree_mutator(node, put_values, values);
	if (!IsA(node, OpExpr) && !IsA(node, ScalarArrayOpExpr))
		return node;
	copy = copyObject(node);
	if (IsA(copy, OpExpr))
		((OpExpr *) copy)->args = values_of(((OpExpr *) copy)->args, values);
	else
		((ScalarArrayOpExpr *) copy)->args = values_of(((ScalarArrayOpExpr *) copy)->args, values);
	return copy;
}

/* The share of rows that pass the clauses. */
static double
share_of(HnswState *state, List *clauses, Values *values)
{
	clauses = (List *) put_values((Node *) clauses, values);
	return clauselist_selectivity(state->estimates.root, clauses, TABLE, JOIN_INNER, NULL);
}

static void
begin_estimates(HnswState *state)
{
	MemoryContext old;

	state->estimates.context = AllocSetContextCreate(
		state->css.ss.ps.state->es_query_cxt, "hnsw custom scan estimates", ALLOCSET_SMALL_SIZES);
	old = MemoryContextSwitchTo(state->estimates.context);
	state->estimates.root = make_root(state->css.ss.ss_currentRelation);
	MemoryContextSwitchTo(old);
}

bool
hnsw_use_values(HnswState *state)
{
	const CustomScan *plan = (const CustomScan *) state->css.ss.ps.plan;
	List *clauses = list_nth(plan->custom_private, HNSW_PRIVATE_CLAUSES);
	HnswPlanned *planned = &state->estimates.planned;
	Values values = {.external = state->css.ss.ps.state->es_param_list_info,
					 .context = state->css.ss.ps.ps_ExprContext};
	double passing;
	double members;
	MemoryContext old;

	if (clauses == NIL || state->run.values_known)
		return false;
	if (!state->estimates.root)
		begin_estimates(state);
	old = MemoryContextSwitchTo(state->context);
	passing = share_of(state, linitial(clauses), &values);
	members = share_of(state, lsecond(clauses), &values);
	MemoryContextSwitchTo(old);
	if (values.waits)
		return false;
	state->run.values_known = true;
	planned->share = Max(passing, 1 / planned->rows);
	members = Max(members, planned->share);
	planned->bitmap_pages *= members / planned->members_share;
	planned->members_share = members;
	hnsw_costs_init(&state->estimates.costs, planned);
	return true;
}
