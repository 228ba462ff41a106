/*
 * hnswplan.c
 *	  Plans that do not compute a distance that nobody reads.
 *
 * ORDER BY v <-> q adds the distance to the target list as a hidden column, for
 * a sort. A scan of an hnsw index returns its rows in order: there is no sort,
 * but the executor would still compute the hidden column of each row returned,
 * and for that read the vector, which is often out of line. Measured with 784
 * dimensions, that is a quarter of the time of a query for 10 rows.
 *
 * Here, where the final paths of a query are known and no plan has been made
 * of them, the hidden column becomes a NULL if nothing above the scan but LIMIT
 * is left: LIMIT passes it on, and the executor drops it. A visible distance,
 * or one that a node above needs, is not touched.
 */
#include "am/module.h"

#include "am/hnsw.h"
#include "compat.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "optimizer/planner.h"
#include "optimizer/tlist.h"

static create_upper_paths_hook_type previous_hook;

/* Do the path's rows come in the order of a scan of an hnsw index? */
static bool
has_index_order(const Path *path)
{
	while (IsA(path, NestPath))
		path = ((const JoinPath *) path)->outerjoinpath;
	return IsA(path, IndexPath) && ((const IndexPath *) path)->indexorderbys != NIL &&
		   (void *) ((const IndexPath *) path)->indexinfo->amcostestimate ==
			   (void *) hnsw_cost_estimate;
}

/* The same target with a NULL for each hidden sort column; NULL where it has none. */
static PathTarget *
without_hidden(PlannerInfo *root, const PathTarget *target)
{
	PathTarget *changed = NULL;
	ListCell *cell;
	int at = 0;

	if (list_length(target->exprs) != list_length(root->processed_tlist))
		return NULL;
	foreach (cell, root->processed_tlist)
	{
		TargetEntry *entry = lfirst_node(TargetEntry, cell);
		Node *expr = list_nth(target->exprs, at);

		if (entry->resjunk && entry->ressortgroupref != 0 && equal(expr, entry->expr) &&
			!IsA(expr, Const) && !contain_volatile_functions(expr))
		{
			if (!changed)
				changed = copy_pathtarget((PathTarget *) target);
			lfirst(list_nth_cell(changed->exprs, at)) =
				makeNullConst(exprType(expr), exprTypmod(expr), exprCollation(expr));
		}
		at++;
	}
	return changed;
}

/* The path without hidden columns, or itself; what others may share is copied. */
static Path *
spare_hidden(PlannerInfo *root, Path *path)
{
	const Path *rows = IsA(path, ProjectionPath) ? ((ProjectionPath *) path)->subpath : path;
	PathTarget *target;
	Path *changed;
	size_t size;

	if (IsA(path, ProjectionPath))
		size = sizeof(ProjectionPath);
	else if (IsA(path, IndexPath))
		size = sizeof(IndexPath);
	else if (IsA(path, NestPath))
		size = sizeof(NestPath);
	else
		return path;
	if (!has_index_order(rows))
		return path;
	target = without_hidden(root, path->pathtarget);
	if (!target)
		return path;
	changed = palloc(size);
	memcpy(changed, path, size);
	changed->pathtarget = target;
	return changed;
}

static void
spare_hidden_columns(PlannerInfo *root, UpperRelationKind stage, RelOptInfo *input_rel,
					 RelOptInfo *output_rel, void *extra)
{
	ListCell *cell;

	if (previous_hook)
		previous_hook(root, stage, input_rel, output_rel, extra);
	if (stage != UPPERREL_FINAL || root->parse->commandType != CMD_SELECT ||
		root->parse->rowMarks != NIL)
		return;
	foreach (cell, output_rel->pathlist)
	{
		Path *path = lfirst(cell);

		/* Ties are told by the sort columns. */
		if (!IsA(path, LimitPath))
			lfirst(cell) = spare_hidden(root, path);
		else if (((LimitPath *) path)->limitOption == LIMIT_OPTION_COUNT)
			((LimitPath *) path)->subpath = spare_hidden(root, ((LimitPath *) path)->subpath);
	}
}

void
hnsw_init_plans(void)
{
	previous_hook = create_upper_paths_hook;
	create_upper_paths_hook = spare_hidden_columns;
}
