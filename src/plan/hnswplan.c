/*
 * hnswplan.c
 *	  Makes the plan of a path "HnswScan": clauses, columns, radius clauses.
 *
 * The scan's row has the distance as a column (custom_scan_tlist). Every expression of the plan that
 * contains the distance reads that column: the target list, the hidden column of ORDER BY, clauses.
 * So the distance is computed at most once for each row.
 *
 * Clauses stay as they are. Those before the first one that reads the distance are checked before
 * the distance is computed. Their order is the planner's, but for cheap_clauses_first.
 */
#include "plan/hnswcustom.h"

#include "am/hnsworder.h"
#include "catalog/pg_type_d.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/restrictinfo.h"
#include "optimizer/tlist.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"

const CustomScanMethods hnsw_scan_methods = {
	.CustomName = "HnswScan",
	.CreateCustomScanState = hnsw_create_state,
};

OpExpr *
hnsw_commuted(const OpExpr *distance)
{
	Oid commutator = get_commutator(distance->opno);
	OpExpr *commuted;

	if (!OidIsValid(commutator))
		return NULL;
	commuted = makeNode(OpExpr);
	memcpy(commuted, distance, sizeof(OpExpr));
	commuted->opno = commutator;
	commuted->opfuncid = get_opcode(commutator);
	commuted->args = list_make2(lsecond(distance->args), linitial(distance->args));
	return commuted;
}

/* The distance of the path, as tree walkers need it. */
typedef struct Distance
{
	OpExpr *plain;    /* as the index has it */
	OpExpr *commuted; /* operands exchanged; or NULL */
	List *columns;    /* Vars found by collect_columns */
} Distance;

static inline bool
is_distance(const Node *node, const Distance *distance)
{
	return IsA(node, OpExpr) && (equal(node, distance->plain) || equal(node, distance->commuted));
}

/* True if the expression contains the distance. */
static bool
reads_distance(Node *node, void *distance)
{
	if (node == NULL)
		return false;
	return is_distance(node, distance) || expression_tree_walker(node, reads_distance, distance);
}

/* Add the columns that an expression reads, other than for the distance, to distance->columns. */
static bool
collect_columns(Node *node, void *context)
{
	Distance *distance = context;

	if (node == NULL || is_distance(node, distance))
		return false;
	if (IsA(node, Var))
	{
		if (((Var *) node)->varlevelsup == 0)
			distance->columns = list_append_unique(distance->columns, node);
		return false;
	}
	return expression_tree_walker(node, collect_columns, context);
}

static bool
is_const_float8(const Node *node, float8 value)
{
	return IsA(node, Const) && ((const Const *) node)->consttype == FLOAT8OID &&
		   !((const Const *) node)->constisnull &&
		   DatumGetFloat8(((const Const *) node)->constvalue) == value;
}

/*
 * True if the float8 expression is an operator (*distance), 1 minus one, or the negative of one.
 * *form says which.
 */
static bool
match_form(Node *node, OpExpr **distance, HnswRadiusForm *form)
{
	OpExpr *op = (OpExpr *) node;

	if (!IsA(node, OpExpr))
		return false;
	*form = HNSW_RADIUS_PLAIN;
	if (op->opfuncid == F_FLOAT8MI && is_const_float8(linitial(op->args), 1))
	{
		*form = HNSW_RADIUS_ONE_MINUS;
		op = lsecond(op->args);
	}
	else if (op->opfuncid == F_FLOAT8UM)
	{
		*form = HNSW_RADIUS_NEGATIVE;
		op = linitial(op->args);
	}
	else if (op->opfuncid == F_FLOAT8MUL && is_const_float8(linitial(op->args), -1))
	{
		*form = HNSW_RADIUS_NEGATIVE;
		op = lsecond(op->args);
	}
	else if (op->opfuncid == F_FLOAT8MUL && is_const_float8(lsecond(op->args), -1))
	{
		*form = HNSW_RADIUS_NEGATIVE;
		op = linitial(op->args);
	}
	if (!IsA(op, OpExpr) || list_length(op->args) != 2)
		return false;
	*distance = op;
	return true;
}

/* True if the function compares two floats by less (or equal) or, *greater, by greater (or equal). */
static bool
is_comparison(Oid function, bool *greater)
{
	switch (function)
	{
		case F_FLOAT8LT:
		case F_FLOAT8LE:
		case F_FLOAT84LT:
		case F_FLOAT84LE:
		case F_FLOAT48LT:
		case F_FLOAT48LE:
			*greater = false;
			return true;
		case F_FLOAT8GT:
		case F_FLOAT8GE:
		case F_FLOAT84GT:
		case F_FLOAT84GE:
		case F_FLOAT48GT:
		case F_FLOAT48GE:
			*greater = true;
			return true;
		default:
			return false;
	}
}

/* True if the value is the same for all rows of the table. */
static bool
is_fixed(Node *value)
{
	return !contain_var_clause(value) && !contain_volatile_functions(value) &&
		   !contain_subplans(value);
}

/* True if the operator combines an expression of a row with a value that is the same for all rows. */
static bool
may_be_distance(const OpExpr *op)
{
	return op->opresulttype == FLOAT8OID &&
		   is_fixed(linitial(op->args)) != is_fixed(lsecond(op->args)) &&
		   !contain_volatile_functions((Node *) op) && !contain_subplans((Node *) op);
}

/* Cast a bound of type real, as drivers send it, to float8. The number stays the same. */
static Expr *
as_float8(Node *value)
{
	if (exprType(value) != FLOAT4OID)
		return (Expr *) value;
	return (Expr *) makeFuncExpr(F_FLOAT8_FLOAT4, FLOAT8OID, list_make1(value), InvalidOid,
								 InvalidOid, COERCE_IMPLICIT_CAST);
}

bool
hnsw_radius_clause(Node *clause, OpExpr **distance, Expr **value, HnswRadiusForm *form)
{
	OpExpr *op = (OpExpr *) clause;
	bool greater;

	if (!IsA(clause, OpExpr) || list_length(op->args) != 2 ||
		!is_comparison(op->opfuncid, &greater))
		return false;
	for (int side = 0; side < 2; side++)
	{
		Node *bounded = list_nth(op->args, side);
		Node *other = list_nth(op->args, 1 - side);

		/* "below" on the left means the same as "above" on the right. */
		if (match_form(bounded, distance, form) && is_fixed(other) && may_be_distance(*distance) &&
			(greater != (side == 1)) == (*form != HNSW_RADIUS_PLAIN))
		{
			*value = as_float8(other);
			return true;
		}
	}
	return false;
}

/* Find the radius clauses of this distance: lists of their bounds and forms. */
static void
find_radii(List *clauses, const Distance *distance, List **values, List **forms)
{
	ListCell *cell;

	*values = *forms = NIL;
	foreach (cell, clauses)
	{
		OpExpr *bounded;
		Expr *value;
		HnswRadiusForm form;

		if (hnsw_radius_clause(lfirst(cell), &bounded, &value, &form) &&
			is_distance((Node *) bounded, distance))
		{
			*values = lappend(*values, value);
			*forms = lappend(*forms, makeInteger(form));
		}
	}
}

static bool
is_radius(Node *clause, const Distance *distance)
{
	List *values;
	List *forms;

	find_radii(list_make1(clause), distance, &values, &forms);
	return values != NIL;
}

/*
 * True if no node reads the column that ORDER BY has added to the target list. A sort reads such a
 * column. Above a bounded scan there is no sort, only LIMIT, and the executor drops the column,
 * which is marked resjunk, at the end.
 */
static bool
drops_hidden_columns(PlannerInfo *root, const RelOptInfo *rel, const HnswPath *path)
{
	const Query *parse = root->parse;

	return path->bounded && rel->reloptkind == RELOPT_BASEREL && !hnsw_order_is_grouped(root) &&
		   parse->commandType == CMD_SELECT && parse->rowMarks == NIL &&
		   parse->limitOption == LIMIT_OPTION_COUNT;
}

static Cost
cost_of_clause(PlannerInfo *root, Node *clause)
{
	QualCost cost;

	cost_qual_eval_node(&cost, clause, root);
	return cost.startup + cost.per_tuple;
}

/*
 * The clauses (RestrictInfos) in the planner's order, with one change: a cheap clause that does not
 * read the distance comes before those that do. For the planner the distance costs as much as any
 * operator. Expensive clauses, and clauses of another security level, keep their places.
 */
static List *
cheap_clauses_first(PlannerInfo *root, List *clauses, const Distance *distance)
{
	List *ordered = NIL;
	List *distances = NIL;
	ListCell *cell;

	foreach (cell, clauses)
	{
		RestrictInfo *info = lfirst_node(RestrictInfo, cell);
		const RestrictInfo *before = distances ? linitial(distances) : NULL;

		if (before && (info->security_level != before->security_level ||
					   cost_of_clause(root, (Node *) info->clause) >
						   2 * cost_of_clause(root, (Node *) before->clause)))
		{
			ordered = list_concat(ordered, distances);
			distances = NIL;
		}
		if (reads_distance((Node *) info->clause, (void *) distance))
			distances = lappend(distances, info);
		else
			ordered = lappend(ordered, info);
	}
	return list_concat(ordered, distances);
}

/* The columns of the scan's row: see custom_scan_tlist in hnswcustom.h. */
static List *
make_scan_tlist(const Distance *distance)
{
	List *tlist = NIL;
	ListCell *cell;
	Expr *commuted = (Expr *) distance->commuted;

	if (!commuted)
		commuted = (Expr *) makeNullConst(FLOAT8OID, -1, InvalidOid);
	tlist = lappend(tlist, makeTargetEntry((Expr *) distance->plain, HNSW_COLUMN_DISTANCE,
										   pstrdup("distance"), false));
	tlist = lappend(tlist, makeTargetEntry(commuted, HNSW_COLUMN_COMMUTED, NULL, false));
	foreach (cell, distance->columns)
		tlist = lappend(tlist, makeTargetEntry(lfirst(cell), list_length(tlist) + 1, NULL, false));
	return tlist;
}

bool
hnsw_may_evaluate_early(Node *limit)
{
	return limit == NULL || (!contain_volatile_functions(limit) && !contain_subplans(limit));
}

/* The bitmap heap scan of a custom_plans entry. */
static BitmapHeapScan *
bitmap_scan_of(Plan *plan)
{
	/* A condition without columns is a Result node. It stands above the custom scan, too. */
	while (IsA(plan, Result))
		plan = outerPlan(plan);
	return castNode(BitmapHeapScan, plan);
}

Plan *
hnsw_make_plan(PlannerInfo *root, RelOptInfo *rel, CustomPath *custom_path, List *tlist,
			   List *clauses, List *custom_plans)
{
	HnswPath *path = (HnswPath *) custom_path;
	CustomScan *plan = makeNode(CustomScan);
	Distance distance = {path->distance, hnsw_commuted(path->distance), NIL};
	const Query *parse = root->parse;
	List *first = extract_actual_clauses(cheap_clauses_first(root, clauses, &distance), false);
	List *later = NIL;
	List *limit = NIL;
	List *uncertain = NIL;
	List *radii;
	List *forms;
	ListCell *cell;
	int nfirst = 0;
	int flags = 0;

	/* The planner may replace the target list later, but by none that reads other columns. */
	collect_columns((Node *) path->columns->exprs, &distance);
	collect_columns((Node *) first, &distance);

	foreach (cell, first)
	{
		if (reads_distance(lfirst(cell), &distance))
			break;
		nfirst++;
	}
	later = list_copy_tail(first, nfirst);
	first = list_truncate(first, nfirst);
	find_radii(later, &distance, &radii, &forms);

	if (custom_path->path.pathkeys != NIL)
		flags |= HNSW_FLAG_ORDERED;
	if (path->bounded && hnsw_may_evaluate_early(parse->limitCount) &&
		hnsw_may_evaluate_early(parse->limitOffset))
	{
		flags |= HNSW_FLAG_BOUNDED;
		limit = list_make2(parse->limitCount, parse->limitOffset);
	}
	if (hnsw_order_is_grouped(root) || parse->limitOption == LIMIT_OPTION_WITH_TIES ||
		parse->rowMarks != NIL)
		flags |= HNSW_FLAG_BEYOND;
	if (linitial_int(custom_path->custom_private))
		flags |= HNSW_FLAG_UNINDEXED;
	if (later && is_radius(linitial(later), &distance))
		flags |= HNSW_FLAG_RADIUS_FIRST;
	if (drops_hidden_columns(root, rel, path))
		flags |= HNSW_FLAG_DROPS_JUNK;

	plan->scan.plan.targetlist = tlist;
	plan->scan.plan.qual = first;
	plan->scan.scanrelid = rel->relid;
	plan->flags = custom_path->flags;
	foreach (cell, custom_plans)
	{
		BitmapHeapScan *scan = bitmap_scan_of(lfirst(cell));

		plan->custom_plans = lappend(plan->custom_plans, outerPlan(scan));
		if (path->uncertain != NIL)
			uncertain = list_make2(hnsw_clauses_for_estimates(
									   extract_actual_clauses(path->uncertain, false), rel->relid),
								   hnsw_clauses_for_estimates(scan->bitmapqualorig, rel->relid));
	}
	plan->custom_exprs = list_make4(copyObject(lsecond(path->distance->args)), later,
									copyObject(radii), copyObject(limit));
	plan->custom_private = list_make5(list_make1_oid(path->index->indexoid), makeInteger(flags),
									  forms, hnsw_planned_to_list(&path->planned), uncertain);
	plan->custom_scan_tlist = make_scan_tlist(&distance);
	plan->methods = &hnsw_scan_methods;
	return &plan->scan.plan;
}
