/*
 * hnswpaths.c
 *	  Adds the path "HnswScan" to the paths of a table, and defines the settings of the custom scan.
 *
 * A path is added for
 *
 * - ORDER BY distance, if not all rows will be read (hnsw_order_use);
 * - WHERE distance < radius, with or without an order or LIMIT.
 *
 * Matching clauses and orders with indexes is left to PostgreSQL: create_index_paths is called for a
 * copy of the table's RelOptInfo, once with the hnsw indexes for the order, and once with all others
 * for bitmaps. The paths of the copy are read afterwards.
 *
 * Cost. The scan can do whatever a bitmap scan or a sequential scan with a sort can do, and changes
 * its strategy when estimates turn out wrong. So the path of a table with a filter costs no more
 * than the cheapest of those.
 */
#include "plan/hnswcustom.h"

#include <math.h>

#include "access/relation.h"
#include "am/hnsw.h"
#include "am/hnswcalibrate.h"
#include "am/hnsworder.h"
#include "am/hnswpace.h"
#include "am/module.h"
#include "compat.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "page/store.h"
#include "plan/hnswplanmodule.h"
#include "utils/guc.h"
#include "utils/rel.h"
#include "utils/spccache.h"

bool hnsw_custom_scan = true;
int hnsw_scan_strategy = HNSW_STRATEGY_AUTO;

static const struct config_enum_entry strategy_options[] = {
	{"auto", HNSW_STRATEGY_AUTO, false},
	{"graph", HNSW_STRATEGY_GRAPH, false},
	{"bitmap", HNSW_STRATEGY_BITMAP, false},
	{"exact", HNSW_STRATEGY_EXACT, false},
	{NULL, 0, false},
};

/* Assumed share of rows within a radius (at least 10 rows): there are no statistics for it. */
#define RADIUS_SHARE 0.005

/* Maximum cost of this path, as a share of the cost of a path that it can replace. */
#define MAX_COST_SHARE 0.95

static set_rel_pathlist_hook_type previous_hook;

static const CustomPathMethods path_methods = {
	.CustomName = "HnswScan",
	.PlanCustomPath = hnsw_make_plan,
};

bool
hnsw_is_index_info(const IndexOptInfo *index)
{
	return (void *) index->amcostestimate == (void *) hnsw_cost_estimate;
}

bool
hnsw_is_path(const CustomPath *path)
{
	return path->methods == &path_methods;
}

/* The hnsw indexes of the table. */
static List *
hnsw_indexes_of(const RelOptInfo *rel)
{
	List *indexes = NIL;
	ListCell *cell;

	foreach (cell, rel->indexlist)
		if (hnsw_is_index_info(lfirst_node(IndexOptInfo, cell)))
			indexes = lappend(indexes, lfirst(cell));
	return indexes;
}

/* The paths that the planner makes of these indexes alone, for an order. */
static List *
make_index_paths(PlannerInfo *root, const RelOptInfo *rel, List *indexes, List *pathkeys)
{
	RelOptInfo *copy = palloc(sizeof(RelOptInfo));
	List *wanted = root->query_pathkeys;

	memcpy(copy, rel, sizeof(RelOptInfo));
	copy->indexlist = indexes;
	copy->pathlist = NIL;
	copy->partial_pathlist = NIL;
	copy->consider_parallel = false;
	root->query_pathkeys = pathkeys;
	create_index_paths(root, copy);
	root->query_pathkeys = wanted;
	return copy->pathlist;
}

/* The cheapest bitmap heap scan that the planner makes of the table's clauses and indexes; or NULL. */
static BitmapHeapPath *
find_bitmap_path(PlannerInfo *root, RelOptInfo *rel)
{
	BitmapHeapPath *best = NULL;
	List *indexes = NIL;
	List *hidden = NIL;
	List *paths;
	ListCell *cell;

	if (!enable_bitmapscan || rel->baserestrictinfo == NIL)
		return NULL;
	foreach (cell, rel->indexlist)
	{
		IndexOptInfo *index = lfirst_node(IndexOptInfo, cell);

		if (index->amhasgetbitmap)
			indexes = lappend(indexes, index);
	}
	if (indexes == NIL)
		return NULL;
	/* Hide that indexes allow plain index scans: these would displace bitmaps of few rows. */
	foreach (cell, indexes)
	{
		IndexOptInfo *index = lfirst_node(IndexOptInfo, cell);

		if (index->amhasgettuple)
		{
			index->amhasgettuple = false;
			hidden = lappend(hidden, index);
		}
	}
	paths = make_index_paths(root, rel, indexes, NIL);
	foreach (cell, hidden)
		lfirst_node(IndexOptInfo, cell)->amhasgettuple = true;
	foreach (cell, paths)
	{
		Path *path = lfirst(cell);

		if (IsA(path, BitmapHeapPath) && path->param_info == NULL &&
			(!best || path->total_cost < best->path.total_cost))
			best = (BitmapHeapPath *) path;
	}
	return best;
}

/* Add the number of index pages that are read to make the bitmap, and what the planner says they cost. */
static void
estimate_bitmap_pages(Path *path, double *pages, double *cost)
{
	List *parts = NIL;
	ListCell *cell;

	if (IsA(path, BitmapAndPath))
		parts = ((BitmapAndPath *) path)->bitmapquals;
	else if (IsA(path, BitmapOrPath))
		parts = ((BitmapOrPath *) path)->bitmapquals;
	else if (IsA(path, IndexPath))
	{
		IndexPath *index = (IndexPath *) path;
		double read = index->indexinfo->pages * index->indexselectivity + 3;
		double seq_page;

		get_tablespace_page_costs(index->indexinfo->reltablespace, NULL, &seq_page);
		*pages += read;
		*cost += read * seq_page;
	}
	foreach (cell, parts)
		estimate_bitmap_pages(lfirst(cell), pages, cost);
}

/* Tree walker: true if the expression contains a parameter. */
static bool
has_parameter(Node *node, void *context)
{
	if (node == NULL)
		return false;
	return IsA(node, Param) || expression_tree_walker(node, has_parameter, context);
}

/* True if the share of rows that pass depends on parameters, so that only an average is known. */
static bool
is_uncertain(const List *clauses)
{
	ListCell *cell;

	foreach (cell, clauses)
		if (has_parameter((Node *) lfirst_node(RestrictInfo, cell)->clause, NULL))
			return true;
	return false;
}

/*
 * Dimensions of a dense vector that cost as much as one element of a sparse record's capacity. An
 * average sparse vector has half as many elements as the capacity.
 */
#define DIMENSIONS_PER_ELEMENT 2

/* Bytes of the index for each node. Spanning records have different lengths: their mean. */
static double
node_bytes(const IndexOptInfo *index, const OmendbLayout *layout)
{
	double least = layout->own_offset + OMENDB_SPARSE_HEADER_BYTES;

	if (!layout->spans)
		return (double) BLCKSZ / layout->per_page;
	return Min(Max((double) index->pages * BLCKSZ / Max(index->tuples, 1), least),
			   layout->record_bytes);
}

/*
 * Fill in the estimates. clauses: those of the table without radius clauses, of whose selectivity
 * the planner knows nothing. wanted: rows that LIMIT takes; 0 if LIMIT does not bound the scan.
 */
static void
fill_planned(PlannerInfo *root, const RelOptInfo *rel, List *clauses, HnswPlanned *planned,
			 const IndexOptInfo *index, Relation relation, double wanted, Path *bitmap)
{
	OmendbStore store = {.relation = relation, .index = omendb_index_peek(relation)};
	const OmendbLayout *layout = &store.index->codec.layout;
	Cost cost;

	planned->node_bytes = node_bytes(index, layout);
	if (layout->spans)
		planned->dimensions =
			2 * DIMENSIONS_PER_ELEMENT *
			Max((planned->node_bytes - layout->own_offset) / OMENDB_SPARSE_ELEMENT_BYTES, 1);
	else
		planned->dimensions = layout->own == OMENDB_OWN_SPARSE
								  ? DIMENSIONS_PER_ELEMENT * layout->elements
								  : layout->dimensions;
	planned->rows = Max(rel->tuples, 1);
	planned->pages = rel->pages;
	planned->nodes = Max(index->pages, 1) * BLCKSZ / planned->node_bytes;
	planned->nodes = Min(planned->nodes, planned->rows);
	planned->ef = hnsw_ef_for(&store, wanted);
	if (hnsw_recall_target > 0)
	{
		planned->ef_nodes = Max(wanted, OMENDB_CURVE_FEW);
		planned->ef_per_node = planned->ef / planned->ef_nodes;
	}
	else
	{
		/* The same choice as in a scan (choose_pace). */
		HnswPace pace = {.kind = clauses ? HNSW_PACE_FILTERED : HNSW_PACE_ORDERED,
						 .first_ef = planned->ef};
		double first = hnsw_pace_first_nodes(&pace);
		double nodes = Max(first, wanted);
		double round = pace.kind == HNSW_PACE_ORDERED ? hnsw_pace_next_nodes(&pace, nodes) : nodes;

		planned->ef_nodes = first;
		planned->ef_per_node = hnsw_pace_ef(&pace, round) / nodes;
	}
	/* From here on catalogs may be read, which may invalidate `layout`. */
	planned->share = clauselist_selectivity(root, clauses, rel->relid, JOIN_INNER, NULL);
	planned->share = Max(planned->share, 1 / planned->rows);
	planned->members_share = 1;
	planned->bitmap_pages = planned->bitmap_seq_page = 0;
	get_tablespace_page_costs(rel->reltablespace, &planned->table_random_page,
							  &planned->table_seq_page);
	get_tablespace_page_costs(index->reltablespace, &planned->index_random_page,
							  &planned->index_seq_page);
	if (bitmap)
	{
		cost_bitmap_tree_node(bitmap, &cost, &planned->members_share);
		planned->members_share = Max(planned->members_share, planned->share);
		estimate_bitmap_pages(bitmap, &planned->bitmap_pages, &planned->bitmap_seq_page);
		/* At least three pages for each index. */
		planned->bitmap_seq_page /= planned->bitmap_pages;
	}
}

/*
 * The cost of the cheapest other path to all rows that pass; sort: and of sorting the first `limit`
 * of them. -1 if there is no path.
 */
static Cost
cheapest_sorted(PlannerInfo *root, const RelOptInfo *rel, bool sort, double limit)
{
	Cost cheapest = -1;
	ListCell *cell;

	foreach (cell, rel->pathlist)
	{
		const Path *path = lfirst(cell);
		Cost cost = path->total_cost;

		if (path->param_info != NULL || IsA(path, CustomPath) || path->pathkeys != NIL)
			continue;
		if (sort)
			cost += 2 * cpu_operator_cost * path->rows * log2(Max(Min(limit, path->rows), 2));
		if (cheapest < 0 || cost < cheapest)
			cheapest = cost;
	}
	return cheapest;
}

/* True if the table may have rows that the index leaves out: nulls; under cosine zero vectors. */
static bool
may_leave_rows_out(const OmendbLayout *layout, const Var *column, const RangeTblEntry *rte)
{
	return layout->metric == OMENDB_METRIC_COSINE || !IsA(column, Var) || column->varattno <= 0 ||
		   !omendb_column_is_not_null(rte->relid, column->varattno);
}

/* A table whose paths are planned. */
typedef struct TablePaths
{
	PlannerInfo *root;
	RelOptInfo *rel;
	RangeTblEntry *rte;
	HnswOrderUse use;
	bool bitmap_known; /* find_bitmap_path was called */
	BitmapHeapPath *bitmap;
} TablePaths;

/* The clauses of the table that are not radius clauses of this distance. */
static List *
clauses_beside_radius(const RelOptInfo *rel, const OpExpr *distance)
{
	OpExpr *commuted = hnsw_commuted(distance);
	List *others = NIL;
	ListCell *cell;

	foreach (cell, rel->baserestrictinfo)
	{
		OpExpr *bounded;
		Expr *value;
		HnswRadiusForm form;

		if (!hnsw_radius_clause((Node *) lfirst_node(RestrictInfo, cell)->clause, &bounded, &value,
								&form) ||
			!(equal(bounded, distance) || equal(bounded, commuted)))
			others = lappend(others, lfirst(cell));
	}
	return others;
}

/*
 * Choose a strategy and set the path's costs, by those of the plain index scan and of the cheapest
 * other path. others: clauses beside the radius; radius: there is a radius clause; rows: rows that
 * the scan has to find.
 */
static void
set_costs(const TablePaths *table, HnswPath *path, const Path *plain, List *others, bool radius,
		  double rows)
{
	const RelOptInfo *rel = table->rel;
	Path *base = &path->path.path;
	bool ordered = base->pathkeys != NIL;
	Cost plain_startup = omendb_enabled_cost(plain->startup_cost);
	Cost plain_total = omendb_enabled_cost(plain->total_cost);
	double max_nodes = radius ? Max(path->planned.rows * RADIUS_SHARE, 10) : path->planned.rows;
	HnswGoal goal = {
		.wanted = rows,
		.max_nodes = max_nodes,
		.near = 1,
		.clauses = rel->baserestrictinfo != NIL,
		.bitmap = table->bitmap != NULL,
		.uncertain = radius || is_uncertain(others),
	};
	HnswCosts costs;
	Cost cost;

	hnsw_costs_init(&costs, &path->planned);
	cost = hnsw_choose_strategy(&costs, &path->planned, &goal) / HNSW_US_PER_COST;
	if ((path->bounded || radius) && hnsw_may_read_all())
	{
		Cost cheapest = cheapest_sorted(table->root, rel, ordered, rows);

		cost += rel->baserestrictcost.startup;
		if (rel->baserestrictinfo != NIL && cheapest >= 0)
			cost = Min(cost, cheapest * MAX_COST_SHARE);
		/*
		 * In order, all work is done before the first row. In no order, rows are returned as
		 * they are found. The planner assumes that a third of all rows lies within a radius, so
		 * for it a sequential scan with LIMIT finds its rows at the beginning of the table. No
		 * real startup cost is below the cost of that.
		 */
		base->startup_cost = ordered ? cost : 0;
		base->total_cost = cost + cpu_tuple_cost * Min(rel->rows, rows);
	}
	else if (plain_total < HNSW_USELESS_COST)
	{
		base->startup_cost = plain_startup * MAX_COST_SHARE;
		base->total_cost = plain_total * MAX_COST_SHARE;
	}
	else
	{
		base->startup_cost =
			Min(hnsw_cost_search(&costs, &path->planned, 0, 1, 1, false) / HNSW_US_PER_COST, cost);
		base->total_cost = cost + cpu_tuple_cost * rel->rows;
	}
	/* The path costs no more than the plain index scan that it replaces. */
	if (ordered && hnsw_may_read_all())
	{
		base->total_cost = Min(base->total_cost, plain_total * MAX_COST_SHARE);
		base->startup_cost = Min(base->startup_cost, plain_startup * MAX_COST_SHARE);
	}
	if (!enable_indexscan)
		omendb_disable_scan(base);
}

/*
 * Remove the plain index scan of this order. It is never better: if all rows are read in the end,
 * it loses those that the index leaves out. A higher cost does not suffice: for the planner, costs as
 * high as those of a disabled scan are all equal.
 */
static void
remove_plain_path(RelOptInfo *rel, const IndexPath *plain)
{
	ListCell *cell;

	foreach (cell, rel->pathlist)
	{
		const IndexPath *path = lfirst(cell);

		if (IsA(path, IndexPath) && path->indexinfo == plain->indexinfo &&
			path->path.param_info == NULL && equal(path->indexorderbys, plain->indexorderbys))
			rel->pathlist = foreach_delete_current(rel->pathlist, cell);
	}
}

/* Add a path of the index of a plain index scan; ordered: its order is promised. */
static void
add_custom_path(const TablePaths *table, const IndexPath *plain, bool ordered)
{
	PlannerInfo *root = table->root;
	RelOptInfo *rel = table->rel;
	HnswPath *path = palloc0(sizeof(HnswPath));
	Path *base = &path->path.path;
	OpExpr *distance = linitial(plain->indexorderbys);
	Path *bitmap = table->bitmap ? table->bitmap->bitmapqual : NULL;
	Relation relation;
	bool unindexed;
	List *others;
	bool radius;
	double rows;

	/* With lateral references (param_info) the planner may copy and change the path for a partition. */
	if (!IsA(distance, OpExpr) || contain_subplans((Node *) distance) ||
		plain->path.param_info != NULL)
		return;
	others = clauses_beside_radius(rel, distance);
	radius = list_length(others) < list_length(rel->baserestrictinfo);
	/* To read all rows in order a sort is better. */
	if (!radius && (!ordered || table->use == HNSW_ORDER_ALL))
		return;

	path->path.path.type = T_CustomPath;
	base->pathtype = T_CustomScan;
	base->parent = rel;
	base->pathtarget = rel->reltarget;
	base->parallel_safe = rel->consider_parallel;
	base->rows = rel->rows;
	base->pathkeys = ordered ? list_make1(linitial(plain->path.pathkeys)) : NIL;
	path->path.flags = CUSTOMPATH_SUPPORT_PROJECTION;
	path->path.methods = &path_methods;
	path->index = plain->indexinfo;
	path->distance = distance;
	path->columns = rel->reltarget;
	path->bounded = ordered && table->use == HNSW_ORDER_LIMIT;
	relation = index_open(path->index->indexoid, NoLock);
	unindexed = may_leave_rows_out(&omendb_index_peek(relation)->codec.layout,
								   linitial(distance->args), table->rte);
	fill_planned(root, rel, others, &path->planned, path->index, relation,
				 path->bounded && root->limit_tuples > 0 ? root->limit_tuples : 0, bitmap);
	index_close(relation, NoLock);
	path->path.custom_private = list_make1_int(unindexed);
	if (bitmap)
		path->path.custom_paths = list_make1(table->bitmap);
	/* With row security the planner hides statistics from estimators; the scan could not. */
	if (bitmap && is_uncertain(others) && table->root->qual_security_level == 0)
		path->uncertain = others;

	rows = path->planned.share * path->planned.rows;
	if (radius)
		rows = Max(rows * RADIUS_SHARE, 10);
	if (path->bounded)
		rows = Min(rows, hnsw_order_limit(root));
	set_costs(table, path, &plain->path, others, radius, rows);
	if (ordered)
		remove_plain_path(rel, plain);
	add_path(rel, base);
}

/* Add paths of the order of this key; ordered: the order is promised. */
static void
add_paths_of_order(TablePaths *table, List *indexes, PathKey *key, bool ordered)
{
	List *paths = make_index_paths(table->root, table->rel, indexes, list_make1(key));
	ListCell *cell;

	foreach (cell, paths)
	{
		const IndexPath *path = lfirst(cell);

		if (!IsA(path, IndexPath) || path->indexorderbys == NIL ||
			!hnsw_has_order(path->indexinfo, linitial(path->indexorderbys)))
			continue;
		if (!table->bitmap_known)
			table->bitmap = find_bitmap_path(table->root, table->rel);
		table->bitmap_known = true;
		add_custom_path(table, path, ordered);
	}
}

/* True if the key orders by this distance, the nearest first. */
static bool
orders_by(const PathKey *key, const OpExpr *distance)
{
	OpExpr *commuted = hnsw_commuted(distance);
	ListCell *cell;

	if (!omendb_is_ascending(key))
		return false;

	foreach (cell, key->pk_eclass->ec_members)
	{
		const Expr *expr = lfirst_node(EquivalenceMember, cell)->em_expr;

		if (equal(expr, distance) || equal(expr, commuted))
			return true;
	}
	return false;
}

/* Add paths for the order of the query, and for the distance of each radius clause. */
static void
add_paths(PlannerInfo *root, RelOptInfo *rel, Index rti, RangeTblEntry *rte)
{
	TablePaths table = {.root = root, .rel = rel, .rte = rte};
	List *indexes = hnsw_indexes_of(rel);
	List *keys = NIL;
	bool ordered = false;
	ListCell *cell;

	if (indexes == NIL)
		return;
	table.use = hnsw_order_use(root, rel);
	if (table.use != HNSW_ORDER_ALL)
	{
		keys = list_make1(linitial(root->query_pathkeys));
		ordered = true;
	}
	foreach (cell, rel->baserestrictinfo)
	{
		OpExpr *distance;
		Expr *value;
		HnswRadiusForm form;
		ListCell *known;

		if (!hnsw_radius_clause((Node *) lfirst_node(RestrictInfo, cell)->clause, &distance, &value,
								&form))
			continue;
		foreach (known, keys)
			if (orders_by(lfirst(known), distance))
				break;
		if (known == NULL)
			keys = lappend(keys, omendb_make_pathkey((Expr *) distance, rel->relids));
	}
	foreach (cell, keys)
		add_paths_of_order(&table, indexes, lfirst(cell),
						   ordered && foreach_current_index(cell) == 0);
}

/*
 * Remove index scans in the order of another operator of the index's family, which the planner takes
 * for the index's own. They cost too much to have displaced other paths.
 */
static void
remove_other_orders(RelOptInfo *rel)
{
	ListCell *cell;

	foreach (cell, rel->pathlist)
	{
		const IndexPath *path = lfirst(cell);

		if (IsA(path, IndexPath) && hnsw_is_index_info(path->indexinfo) &&
			path->indexorderbys != NIL &&
			!hnsw_has_order(path->indexinfo, linitial(path->indexorderbys)))
			rel->pathlist = foreach_delete_current(rel->pathlist, cell);
	}
}

/* set_rel_pathlist_hook */
static void
add_table_paths(PlannerInfo *root, RelOptInfo *rel, Index rti, RangeTblEntry *rte)
{
	if (previous_hook)
		previous_hook(root, rel, rti, rte);
	remove_other_orders(rel);
	if (hnsw_custom_scan && rte->rtekind == RTE_RELATION && rte->tablesample == NULL && !rte->inh &&
		!IS_DUMMY_REL(rel))
		add_paths(root, rel, rti, rte);
}

void
hnsw_define_plan_settings(void)
{
	DefineCustomBoolVariable(
		"hnsw.custom_scan", "Whether searches by hnsw indexes use a scan node of their own.",
		"It knows the filter and the LIMIT. Without it, a plain index scan searches.",
		&hnsw_custom_scan, true, PGC_USERSET, GUC_EXPLAIN | HNSW_SETTING_FLAGS, NULL, NULL, NULL);
	DefineCustomEnumVariable(
		"hnsw.scan_strategy", "How a custom scan finds the rows that pass its filter.",
		"\"auto\" chooses, and goes over to another while running; the others are for tests and "
		"measurements.",
		&hnsw_scan_strategy, HNSW_STRATEGY_AUTO, strategy_options, PGC_USERSET,
		GUC_EXPLAIN | HNSW_SETTING_FLAGS, NULL, NULL, NULL);
}

void
hnsw_init_plan_module(void)
{
	RegisterCustomScanMethods(&hnsw_scan_methods);
	previous_hook = set_rel_pathlist_hook;
	set_rel_pathlist_hook = add_table_paths;
	hnsw_init_upper_paths();
}
