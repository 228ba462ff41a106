/*
 * hnswcost.c
 *	  What a scan costs, for the planner.
 *
 * A scan visits about as many nodes as its beam is wide before it returns the
 * first row: the startup cost. Each further row costs visits of its own, so
 * the total is in proportion to the rows of the table; the planner takes the
 * share of it that LIMIT and the selectivity of the WHERE clause call for.
 *
 * A visit is a page access, the own vector's distance and the codes of all
 * neighbours. Measured, that is about a microsecond in cache, 0.1 in units of
 * a sequential page; the formula gives it for 384 dimensions and m = 16.
 *
 * After hnsw.max_scan_tuples visits, or where it is quicker, an iterative scan
 * reads the table or the index. That costs less than the formula says, and still
 * twice what reading the table at once does, so the formula makes no allowance for
 * it. Without hnsw.exhaustive_scan it ends: where more rows than that would have to
 * be looked at, its result would be short, and any other plan is better, whatever
 * it costs.
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

/* Added to plans that would return too few rows: more than any honest cost. */
#define SHORT_RESULT_COST 1.0e8

/*
 * Visits to each row returned beyond the first beam, or what costs as much: the
 * beam is doubled whenever its nearer half is used up, and such rows are rechecked
 * more often than not. Measured over 60,000 rows of 784 dimensions: where one row
 * of 20, 50, 100, 200 passes a filter, ten of them take 4, 9, 17, 45 ms, and
 * reading all rows 44, 25, 16, 12: with this factor the planner changes its mind
 * at one of 100.
 */
#define VISITS_A_ROW 10.0

/* Visits on each level above 0. */
#define VISITS_A_LEVEL 6.0

/* Rows that the query wants of this relation, before its own filters. */
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
	Cost visit;
	double needed;

	/*
	 * Without an order to return there is nothing that the index can do; and where
	 * all rows are read, or a node above relies on all of the order, its approximate
	 * order is no use. Of several order keys the index knows the first one only.
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
		/* What a visit of a sparse vector takes does not depend on its dimensions. */
		if (typmod > 0 && !hnsw_opclass(index)->sparse)
			dimensions = typmod;
		index_close(index, NoLock);
	}

	beam = 2.0 * ef + 8;
	levels = tuples > 1 ? log(tuples) / (HNSW_LEVEL_SHIFT * M_LN2) : 0;
	visits = Min(tuples, beam + VISITS_A_LEVEL * levels);

	/* Pages that the caches cannot hold are read. */
	uncached =
		info->pages > effective_cache_size ? 1.0 - (double) effective_cache_size / info->pages : 0;
	visit = cpu_index_tuple_cost + cpu_operator_cost * (dimensions / 32.0 + 1.5 * m) +
			uncached * random_page_cost;

	*startup = visits * visit;
	*total = *startup + VISITS_A_ROW * tuples * visit;

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
