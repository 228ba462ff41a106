/*
 * hnswcosts.c
 *	  What each strategy of the custom scan costs, when planning and when running.
 *
 * The planner and the running scan decide by the same formulas: the planner
 * with what it expects, the scan with what it found.
 *
 * The constants were measured with everything in cache on one core of an AMD
 * EPYC (Zen 4), over 60,000 rows of 784 dimensions (vectors out of line) and
 * 62,666 of 384; those of a visit by the processor time of searches of 100 to
 * 7,000 visits, 62,666 rows of 384 dimensions (an index of 165 MB) and 1,000,000
 * of 128 (1.7 GB: a visit takes .9 longer there). What the cache cannot hold costs what the planner's settings
 * say (random_page_cost, seq_page_cost, effective_cache_size).
 */
#include "plan/hnswcosts.h"

#include <math.h>

#include "am/hnsw.h"
#include "catalog/pg_type_d.h"
#include "nodes/makefuncs.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"

/* Nodes that a search visits for each candidate that its ef stands for. */
#define VISITS_A_CANDIDATE 2.0

/* From so many visits on, another one costs three times as much as the first ones. */
#define WIDE 1000.0

#define PLANNED_VALUES (sizeof(HnswPlanned) / sizeof(double))

List *
hnsw_planned_to_list(const HnswPlanned *planned)
{
	const double *value = (const double *) planned;
	List *list = NIL;

	/* A Float node without a fraction would come to a parallel worker as an Integer. */
	for (int i = 0; i < PLANNED_VALUES; i++)
		list = lappend(list, makeConst(FLOAT8OID, -1, InvalidOid, sizeof(float8),
									   Float8GetDatum(value[i]), false, FLOAT8PASSBYVAL));
	return list;
}

void
hnsw_planned_from_list(HnswPlanned *planned, List *list)
{
	double *value = (double *) planned;

	Assert(list_length(list) == PLANNED_VALUES);
	for (int i = 0; i < PLANNED_VALUES; i++)
		value[i] = DatumGetFloat8(list_nth_node(Const, list, i)->constvalue);
}

/*
 * The larger the index, the less of a record, and of what leads to its page, is in
 * the processor's caches.
 */
static double
in_memory(double index_pages)
{
	const double cached = 128.0 * 1024 * 1024 / BLCKSZ;

	return index_pages > cached ? 0.25 * log2(index_pages / cached) : 0;
}

void
hnsw_costs_init(HnswCosts *costs, const HnswPlanned *planned)
{
	double rows = Max(planned->rows, 1);
	double d = planned->dimensions;
	double index_pages = planned->nodes * planned->node_bytes / BLCKSZ;
	double pages = planned->pages + index_pages;
	double uncached = pages > effective_cache_size ? 1 - effective_cache_size / pages : 0;
	double random_read = uncached * random_page_cost * HNSW_US_PER_COST;
	double read = uncached * seq_page_cost * HNSW_US_PER_COST;
	/* Is there room for the vectors in the table's pages, at half precision? */
	bool out_of_line = planned->pages * BLCKSZ / rows < d * 2;

	costs->visit = 0.8 + d * 0.0012 + in_memory(index_pages) + random_read;
	costs->fetch = 0.9 + random_read;
	costs->member = 0.05;
	costs->distance = 0.15 + d * 0.0004 + (out_of_line ? 2.6 + d * 0.0004 + random_read : 0);
	costs->bitmap = 5 + planned->bitmap_pages * (0.2 + read);
	costs->table_page = 0.8 + random_read / 2;
	costs->table_row = 0.09;
	costs->table = planned->pages * (0.9 + read);
	costs->sweep =
		planned->nodes * (0.27 + planned->node_bytes * 0.00015) + index_pages * (0.2 + read);
}

/* Nodes that a search visits so that `nodes` may be returned. */
static double
visits(const HnswPlanned *planned, double nodes)
{
	double ef = planned->ef;

	if (nodes > planned->ef_nodes)
		ef = Max(ef, nodes * planned->ef_per_node);
	return VISITS_A_CANDIDATE * ef + 20;
}

/*
 * So many visits cost more than as many searches of one visit: the wider the
 * beam, the more there is to move for each candidate. Measured: 1.7 times the
 * first visits at 700, 3 times at 7,000.
 */
static double
cost_of_visits(const HnswCosts *costs, double visits)
{
	if (visits <= WIDE)
		return costs->visit * (visits + visits * visits / WIDE);
	return costs->visit * (2 * WIDE + 3 * (visits - WIDE));
}

double
hnsw_cost_spent(const HnswCosts *costs, double visits, double fetched)
{
	return cost_of_visits(costs, visits) + fetched * costs->fetch;
}

double
hnsw_visits_for(const HnswCosts *costs, double cost)
{
	double visits = cost / costs->visit;

	/* cost_of_visits, inverted */
	if (visits <= 2 * WIDE)
		return (sqrt(WIDE * WIDE + 4 * WIDE * visits) - WIDE) / 2;
	return WIDE + (visits - 2 * WIDE) / 3;
}

double
hnsw_cost_search(const HnswCosts *costs, const HnswPlanned *planned, double before, double nodes,
				 double fetched, bool members)
{
	double all = Max(planned->nodes, 1);
	double cost = cost_of_visits(costs, Min(visits(planned, before + nodes), all));

	if (before > 0)
		cost -= cost_of_visits(costs, Min(visits(planned, before), all));
	if (before + nodes > all)
		nodes = Max(all - before, 0);
	return cost + Min(fetched, nodes) * costs->fetch + (members ? nodes * costs->member : 0);
}

/* Pages of the table that so many rows, anywhere, lie on. */
static double
pages_of(const HnswPlanned *planned, double rows)
{
	double pages = Max(planned->pages, 1);

	return pages * (1 - exp(-rows / pages));
}

double
hnsw_cost_make_bitmap(const HnswCosts *costs, const HnswPlanned *planned, double members)
{
	return costs->bitmap + members * 0.1 + pages_of(planned, members) * 0.6;
}

double
hnsw_cost_exact(const HnswCosts *costs, const HnswPlanned *planned, bool members, double nmembers,
				double passing)
{
	if (members)
		return nmembers * 0.2 + pages_of(planned, nmembers) * costs->table_page +
			   Min(passing, nmembers) * costs->distance;
	return planned->rows * costs->table_row + costs->table + passing * costs->distance;
}

double
hnsw_choose_strategy(const HnswCosts *costs, HnswPlanned *planned, const HnswTask *task)
{
	double passing = planned->share * planned->rows;
	double members = planned->members_share * planned->rows;
	double share = Min(Max(planned->share * task->near, 1e-9), 1);
	double nodes = Min(task->wanted / share, task->most);
	double round = hnsw_cost_search(costs, planned, 0, 1, 1, false);
	double best;
	double cost;

	planned->strategy = HNSW_STRATEGY_GRAPH;
	best = hnsw_cost_search(costs, planned, 0, nodes, nodes, false);
	/* As far as the index goes; then the table is read as well. */
	if (nodes > planned->nodes)
		best += hnsw_cost_exact(costs, planned, false, 0, passing);
	if (!hnsw_may_read_all())
		return best;
	cost = hnsw_cost_exact(costs, planned, false, 0, passing);
	/* Without clauses the choice must not depend on LIMIT: LIMIT n begins LIMIT m. */
	if (cost < (task->clauses ? best : round))
	{
		planned->strategy = HNSW_STRATEGY_EXACT;
		best = cost;
	}
	if (task->bitmap)
	{
		double make = task->bitmap_made ? 0 : hnsw_cost_make_bitmap(costs, planned, members);

		cost = make + hnsw_cost_exact(costs, planned, true, members, passing);
		if (cost < best)
		{
			planned->strategy = HNSW_STRATEGY_EXACT;
			best = cost;
		}
		cost =
			make + hnsw_cost_search(costs, planned, 0, nodes,
									task->wanted * planned->members_share / planned->share, true);
		if (cost < best)
		{
			planned->strategy = HNSW_STRATEGY_BITMAP;
			best = cost;
		}
	}
	if (task->clauses && !task->no_trial && planned->strategy != HNSW_STRATEGY_GRAPH &&
		round <= best * (task->uncertain ? 1 : HNSW_TRIAL))
	{
		planned->strategy = HNSW_STRATEGY_GRAPH;
		best += round;
	}
	return best;
}

double
hnsw_cost_without_search(const HnswCosts *costs, const HnswPlanned *planned, bool bitmap)
{
	double passing = planned->share * planned->rows;
	double members = planned->members_share * planned->rows;
	double table = hnsw_cost_exact(costs, planned, false, 0, passing);

	if (!bitmap)
		return table;
	return Min(table, hnsw_cost_make_bitmap(costs, planned, members) +
						  hnsw_cost_exact(costs, planned, true, members, passing));
}
