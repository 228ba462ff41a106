/*
 * hnswupper.c
 *	  Sorts the rows that LIMIT takes of a join over a custom scan, or of a plain Index Scan.
 *
 * A search that goes on to the end of the index finds late rows. If LIMIT bounds the custom scan
 * itself, the scan holds rows back and puts late ones in their places. Else the scan does not know
 * how many rows are wanted, and late rows come last: only if the query asks for more rows than
 * come before them. So it is enough to sort the rows that LIMIT takes:
 *
 *	Limit 10 -> Sort -> Limit 10 -> Nested Loop -> HnswScan
 *
 * Such a path replaces the path without the sort, though it costs more.
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

/* True if the order of the path's rows comes from an hnsw index, with late rows at the end. */
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

/* LEAST(value, 2^62) of an int8 expression, which is 2^62 for a null. */
static Expr *
least_of_huge(Node *value)
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
	Expr *rows = least_of_huge(copyObject(parse->limitCount));

	if (parse->limitOffset)
	{
		CoalesceExpr *offset = makeNode(CoalesceExpr);

		offset->coalescetype = INT8OID;
		offset->args = list_make2(copyObject(parse->limitOffset), int8_const(0));
		offset->location = -1;
		rows = (Expr *) makeFuncExpr(F_INT8PL, INT8OID,
									 list_make2(rows, least_of_huge((Node *) offset)), InvalidOid,
									 InvalidOid, COERCE_EXPLICIT_CALL);
	}
	return eval_const_expressions(root, (Node *) rows);
}

/* A Limit path like this one, above a sort of the rows that LIMIT and OFFSET take. */
static Path *
sort_limited_rows(PlannerInfo *root, RelOptInfo *rel, const LimitPath *limit)
{
	int64 expected = root->limit_tuples > 0 ? (int64) root->limit_tuples : -1;
	Path *path = (Path *) create_limit_path(root, rel, limit->subpath, NULL, rows_taken(root),
											limit->limitOption, 0, expected);

	path = (Path *) create_sort_path(root, rel, path, root->sort_pathkeys, root->limit_tuples);
	return (Path *) create_limit_path(root, rel, path, limit->limitOffset, limit->limitCount,
									  limit->limitOption, 0, expected);
}

/* create_upper_paths_hook */
static void
sort_final_paths(PlannerInfo *root, UpperRelationKind stage, RelOptInfo *input, RelOptInfo *output,
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
			lfirst(cell) = sort_limited_rows(root, output, limit);
	}
}

void
hnsw_init_upper_paths(void)
{
	previous_hook = create_upper_paths_hook;
	create_upper_paths_hook = sort_final_paths;
}
