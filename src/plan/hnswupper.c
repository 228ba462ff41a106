/*
 * hnswupper.c
 *	  The order of what an approximate search gives to a join, or to a plain
 *	  Index Scan.
 *
 * A search that reads on to the end of the index may find a row too late for its
 * place. Where LIMIT bounds the custom scan itself, the scan holds its rows back,
 * and puts such a row in its place. Elsewhere nobody tells the scan how many
 * rows will be wanted, and rows found late come last. They come only where the
 * query asks for more rows than there are before them. So it is enough to sort
 * the rows that LIMIT takes:
 *
 *	Limit 10 -> Sort -> Limit 10 -> Nested Loop -> HnswScan
 *
 * Such a path takes the place of the one without the sort: as a path it is
 * dearer, and right.
 */
#include "plan/hnswcustom.h"

#include "am/hnsw.h"
#include "catalog/pg_type_d.h"
#include "nodes/makefuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/planner.h"
#include "plan/hnswplanmodule.h"
#include "utils/fmgroids.h"

static create_upper_paths_hook_type previous_hook;

/* Does the order of this path's rows come from an hnsw index, with rows found late at the end? */
static bool
has_late_rows(const Path *path)
{
	const List *parts = NIL;
	ListCell *cell;

	switch (nodeTag(path))
	{
		case T_IndexPath:
			return hnsw_is_index_info(((const IndexPath *) path)->indexinfo) &&
				   ((const IndexPath *) path)->indexorderbys != NIL;
		case T_CustomPath:
			return hnsw_is_path((const CustomPath *) path) && path->pathkeys != NIL &&
				   !((const HnswPath *) path)->bounded;
		case T_ProjectionPath:
			return has_late_rows(((const ProjectionPath *) path)->subpath);
		case T_ProjectSetPath:
			return has_late_rows(((const ProjectSetPath *) path)->subpath);
		case T_LockRowsPath:
			return has_late_rows(((const LockRowsPath *) path)->subpath);
		case T_MaterialPath:
			return has_late_rows(((const MaterialPath *) path)->subpath);
		case T_IncrementalSortPath:
			return has_late_rows(((const IncrementalSortPath *) path)->spath.subpath);
		case T_GatherMergePath:
			return has_late_rows(((const GatherMergePath *) path)->subpath);
		case T_NestPath:
		case T_HashPath:
		case T_MergePath:
			return has_late_rows(((const JoinPath *) path)->outerjoinpath);
		case T_AppendPath:
			parts = ((const AppendPath *) path)->subpaths;
			break;
		case T_MergeAppendPath:
			parts = ((const MergeAppendPath *) path)->subpaths;
			break;
		default:
			return false;
	}
	foreach (cell, parts)
		if (has_late_rows(lfirst(cell)))
			return true;
	return false;
}

static Expr *
int8_const(int64 value)
{
	return (Expr *) makeConst(INT8OID, -1, InvalidOid, sizeof(int64), Int64GetDatum(value), false,
							  FLOAT8PASSBYVAL);
}

/* The lesser of an int8 expression and 2^62; of a null, 2^62. */
static Expr *
at_most_huge(Node *value)
{
	MinMaxExpr *least = makeNode(MinMaxExpr);

	least->minmaxtype = INT8OID;
	least->op = IS_LEAST;
	least->args = list_make2(value, int8_const(INT64CONST(1) << 62));
	least->location = -1;
	return (Expr *) least;
}

/* LIMIT plus OFFSET, without overflow. A null LIMIT means all rows, a null OFFSET none. */
static Node *
rows_taken(PlannerInfo *root)
{
	const Query *parse = root->parse;
	Expr *rows = at_most_huge(copyObject(parse->limitCount));

	if (parse->limitOffset)
	{
		CoalesceExpr *offset = makeNode(CoalesceExpr);

		offset->coalescetype = INT8OID;
		offset->args = list_make2(copyObject(parse->limitOffset), int8_const(0));
		offset->location = -1;
		rows = (Expr *) makeFuncExpr(F_INT8PL, INT8OID,
									 list_make2(rows, at_most_huge((Node *) offset)), InvalidOid,
									 InvalidOid, COERCE_EXPLICIT_CALL);
	}
	return eval_const_expressions(root, (Node *) rows);
}

/* A path like that of LIMIT, with the rows that LIMIT takes sorted below it. */
static Path *
sort_what_limit_takes(PlannerInfo *root, RelOptInfo *rel, const LimitPath *limit)
{
	int64 expected = root->limit_tuples > 0 ? (int64) root->limit_tuples : -1;
	Path *path = (Path *) create_limit_path(root, rel, limit->subpath, NULL, rows_taken(root),
											limit->limitOption, 0, expected);

	path = (Path *) create_sort_path(root, rel, path, root->sort_pathkeys, root->limit_tuples);
	return (Path *) create_limit_path(root, rel, path, limit->limitOffset, limit->limitCount,
									  limit->limitOption, 0, expected);
}

static void
look_at_final(PlannerInfo *root, UpperRelationKind stage, RelOptInfo *input, RelOptInfo *output,
			  void *extra)
{
	const Query *parse = root->parse;
	ListCell *cell;

	if (previous_hook)
		previous_hook(root, stage, input, output, extra);
	if (stage != UPPERREL_FINAL || parse->limitCount == NULL || root->sort_pathkeys == NIL ||
		!hnsw_may_evaluate_early(parse->limitCount) || !hnsw_may_evaluate_early(parse->limitOffset))
		return;
	foreach (cell, output->pathlist)
	{
		const LimitPath *limit = lfirst(cell);

		if (IsA(limit, LimitPath) && has_late_rows(limit->subpath))
			lfirst(cell) = sort_what_limit_takes(root, output, limit);
	}
}

void
hnsw_init_upper_paths(void)
{
	previous_hook = create_upper_paths_hook;
	create_upper_paths_hook = look_at_final;
}
