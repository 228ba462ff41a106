/*
 * hnswcost.c
 *	  Estimates the cost of a plain Index Scan for the planner.
 *
 * Startup cost: before it returns the first row, a scan visits about as many nodes as its beam is
 * wide. Total cost: each further row costs visits of its own, so the total is proportional to the
 * rows of the table. The planner takes the share of it that LIMIT and the selectivity of the
 * WHERE clause call for.
 *
 * A visit is a page access, the own vector's distance and the estimates of all neighbours. The
 * formula gives the measured cost for 384 dimensions and m = 16 (bench/README.md, "Constants of a
 * scan").
 *
 * After hnsw.max_scan_tuples visits, or where it costs less, an iterative scan sweeps the index.
 * That costs less than the formula says, but twice as much as reading the table from the
 * beginning. The formula ignores it. Without hnsw.exhaustive_scan the scan ends instead: if more
 * rows would have to be checked, its result would be short. Any other plan is better then,
 * whatever its cost.
 */
#include "am/hnsw.h"

#include <math.h>

#include "access/genam.h"
#include "access/relation.h"
#include "am/hnswcalibrate.h"
#include "am/hnsworder.h"
#include "compat.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "utils/selfuncs.h"
#include "utils/spccache.h"

/* Added to the cost of a plan that would return too few rows: more than any estimated cost. */
#define SHORT_RESULT_COST 1.0e8

/*
 * Cost of each row returned beyond those of the first beam, in visits. It includes widening the
 * beam and rechecks. With this factor the planner changes to reading all rows where one of 100
 * passes the filter, as it should (bench/README.md, "Constants of a scan").
 */
#define VISITS_PER_ROW 10.0

/* Visits on each upper level. */
#define VISITS_PER_LEVEL 6.0

/* Rows of this table that have to be found until LIMIT is met, the filtered ones included. */
static double
rows_needed(PlannerInfo *root, IndexPath *path)
{
	RelOptInfo *rel = path->indexinfo->rel;
	double tuples = Max(path->indexinfo->tuples, 1.0);
	double selectivity = Min(Max(rel->rows, 1.0) / tuples, 1.0);
	double wanted = root->tuple_fraction;

	if (wanted <= 0)
		return tuples;
	if (wanted < 1)
		return wanted * tuples;
	return Min(wanted / selectivity, tuples);
}

void
hnsw_cost_estimate(PlannerInfo *root, IndexPath *path, double loop_count, Cost *startup,
				   Cost *total, Selectivity *selectivity, double *correlation, double *pages)
{
	IndexOptInfo *info = path->indexinfo;
	double tuples = Max(info->tuples, 1.0);
	int dimensions = 384;
	int m = HNSW_DEFAULT_M;
	double ef = hnsw_ef_search;
	double beam;
	double levels;
	double visits;
	double uncached;
	double random_page;
	Cost visit;
	double needed;

	/*
	 * The index can only return rows in order, by one order key. An approximate order is of no
	 * use where all rows are read, or a node above relies on the order of all rows.
	 */
	if (list_length(path->indexorderbys) != 1 ||
		!hnsw_has_order(info, linitial(path->indexorderbys)) ||
		hnsw_plain_order_use(root, info->rel) == HNSW_ORDER_ALL)
	{
		omendb_disable_path(path);
		*startup = *total = HNSW_USELESS_COST;
		*selectivity = 0;
		*correlation = 0;
		*pages = 0;
		return;
	}

	if (!info->hypothetical)
	{
		Relation index = index_open(info->indexoid, NoLock);
		int typmod = TupleDescAttr(RelationGetDescr(index), 0)->atttypmod;
		OmendbStore store = {.relation = index};

		m = hnsw_get_m(index);
		if (hnsw_recall_target > 0)
			ef = hnsw_ef_for(&store, 0);
		/* The cost of a visit to a sparse vector does not depend on its dimensions. */
		if (typmod > 0 && !hnsw_opclass_of_built(index)->sparse)
			dimensions = typmod;
		index_close(index, NoLock);
	}

	beam = 2.0 * ef + 8;
	levels = tuples > 1 ? log(tuples) / (HNSW_LEVEL_SHIFT * M_LN2) : 0;
	visits = Min(tuples, beam + VISITS_PER_LEVEL * levels);

	/* The share of pages that caches cannot hold is read from storage. */
	get_tablespace_page_costs(info->reltablespace, &random_page, NULL);
	uncached =
		info->pages > effective_cache_size ? 1.0 - (double) effective_cache_size / info->pages : 0;
	visit = cpu_index_tuple_cost + cpu_operator_cost * (dimensions / 32.0 + 1.5 * m) +
			uncached * random_page;

	*startup = visits * visit;
	*total = *startup + VISITS_PER_ROW * tuples * visit;

	needed = rows_needed(root, path);
	if (hnsw_iterative_scan != HNSW_ITERATIVE_OFF && !hnsw_exhaustive_scan &&
		needed > hnsw_max_scan_tuples)
	{
		*startup += SHORT_RESULT_COST;
		*total += SHORT_RESULT_COST;
	}
	*selectivity = 1;
	*correlation = 0;
	*pages = Min(info->pages, visits);
}
