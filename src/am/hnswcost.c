/*
 * hnswcost.c
 *	  What a scan costs, for the planner.
 */
#include "am/hnsw.h"

#include "access/genam.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "utils/selfuncs.h"
#include "utils/float.h"

void
hnsw_cost_estimate(PlannerInfo *root, IndexPath *path, double loop_count, Cost *startup,
				   Cost *total, Selectivity *selectivity, double *correlation, double *pages)
{
	GenericCosts costs = {0};
	double nodes;

	/* Without an order to return there is nothing that the index can do. */
	if (path->indexorderbys == NIL)
	{
		*startup = *total = get_float8_infinity();
		*selectivity = 0;
		*correlation = 0;
		*pages = 0;
		return;
	}
	nodes = Min(path->indexinfo->tuples, 2.0 * hnsw_ef_search + 20);
	genericcostestimate(root, path, loop_count, &costs);
	*startup = nodes * (cpu_index_tuple_cost + 10 * cpu_operator_cost + random_page_cost / 20);
	*total = *startup + path->indexinfo->tuples *
							(cpu_index_tuple_cost + 10 * cpu_operator_cost + random_page_cost / 20);
	*selectivity = 1;
	*correlation = 0;
	*pages = costs.numIndexPages;
}
