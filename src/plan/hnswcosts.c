/*
 * hnswcosts.c
 *	  Costs of the strategies of the custom scan, when planning and when running.
 *
 * The planner and the running scan decide by the same formulas: the planner by estimates, the scan
 * by what it found. Pure: no state.
 *
 * The constants are microseconds with everything in cache (bench/README.md, "Constants of a scan").
 * Pages that the cache cannot hold (effective_cache_size) cost what the planner's settings, or
 * options of the tablespaces, said when the plan was made (random_page_cost, seq_page_cost).
 */
#include "plan/hnswcosts.h"

#include <math.h>

#include "am/hnsw.h"
#include "catalog/pg_type_d.h"
#include "nodes/makefuncs.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"

/* Nodes that a search visits for each unit of ef. */
#define VISITS_PER_EF 2.0

/* Number of visits from which on another visit costs three times as much as the first ones. */
#define WIDE_SEARCH 1000.0

#define PLANNED_VALUES (sizeof(HnswPlanned) / sizeof(double))

List *
hnsw_planned_to_list(const HnswPlanned *planned)
{
	const double *value = (const double *) planned;
	List *list = NIL;

	/* Const nodes, because a parallel worker would read a Float node without a fraction as an Integer. */
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
 * Additional cost of a visit in a large index: less of a record, and of the structures that lead to
 * its page, is in the processor's caches.
 */
static double
cost_of_cache_misses(double index_pages)
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
	double read = uncached * HNSW_US_PER_COST; /* of a page that costs 1 */
	double random_read = read * planned->table_random_page;
	/* True if the table's pages cannot hold the vectors, even at half precision. */
	bool out_of_line = planned->pages * BLCKSZ / rows < d * 2;

	costs->visit =
		0.8 + d * 0.0012 + cost_of_cache_misses(index_pages) + read * planned->index_random_page;
	costs->fetch = 0.9 + random_read;
	costs->member = 0.05;
	costs->distance = 0.15 + d * 0.0004 + (out_of_line ? 2.6 + d * 0.0004 + random_read : 0);
	costs->bitmap = 5 + planned->bitmap_pages * (0.2 + read * planned->bitmap_seq_page);
	costs->table_page = 0.8 + random_read / 2;
	costs->table_row = 0.09;
	costs->table = planned->pages * (0.9 + read * planned->table_seq_page);
	costs->sweep = planned->nodes * (0.27 + planned->node_bytes * 0.00015) +
				   index_pages * (0.2 + read * planned->index_seq_page);
}

/* The number of nodes that a search visits to return `nodes` of them. */
static double
visits(const HnswPlanned *planned, double nodes)
{
	double ef = planned->ef;

	if (nodes > planned->ef_nodes)
		ef = Max(ef, nodes * planned->ef_per_node);
	return VISITS_PER_EF * ef + 20;
}

/*
 * The cost of a search of this number of visits. The wider the beam, the more a visit costs: more
 * entries move for each candidate that enters (bench/README.md, "Constants of a scan").
 */
static double
cost_of_visits(const HnswCosts *costs, double visits)
{
	if (visits <= WIDE_SEARCH)
		return costs->visit * (visits + visits * visits / WIDE_SEARCH);
	return costs->visit * (2 * WIDE_SEARCH + 3 * (visits - WIDE_SEARCH));
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

	/* The inverse of cost_of_visits. */
	if (visits <= 2 * WIDE_SEARCH)
		return (sqrt(WIDE_SEARCH * WIDE_SEARCH + 4 * WIDE_SEARCH * visits) - WIDE_SEARCH) / 2;
	return WIDE_SEARCH + (visits - 2 * WIDE_SEARCH) / 3;
}

double
hnsw_cost_search(const HnswCosts *costs, const HnswPlanned *planned, double before, double nodes,
				 double fetched, bool has_bitmap)
{
	double all = Max(planned->nodes, 1);
	double cost = cost_of_visits(costs, Min(visits(planned, before + nodes), all));

	if (before > 0)
		cost -= cost_of_visits(costs, Min(visits(planned, before), all));
	if (before + nodes > all)
		nodes = Max(all - before, 0);
	return cost + Min(fetched, nodes) * costs->fetch + (has_bitmap ? nodes * costs->member : 0);
}

/* The expected number of the table's pages that have this number of rows, in random places. */
static double
pages_with_rows(const HnswPlanned *planned, double rows)
{
	double pages = Max(planned->pages, 1);

	return pages * (1 - exp(-rows / pages));
}

double
hnsw_cost_make_bitmap(const HnswCosts *costs, const HnswPlanned *planned, double members)
{
	return costs->bitmap + members * 0.1 + pages_with_rows(planned, members) * 0.6;
}

double
hnsw_cost_read_bitmap(const HnswCosts *costs, const HnswPlanned *planned, double members,
					  double passing)
{
	return members * 0.2 + pages_with_rows(planned, members) * costs->table_page +
		   Min(passing, members) * costs->distance;
}

double
hnsw_cost_read_table(const HnswCosts *costs, const HnswPlanned *planned, double passing)
{
	return planned->rows * costs->table_row + costs->table + passing * costs->distance;
}

double
hnsw_choose_strategy(const HnswCosts *costs, HnswPlanned *planned, const HnswGoal *goal)
{
	double passing = planned->share * planned->rows;
	double members = planned->members_share * planned->rows;
	double share = Min(Max(planned->share * goal->near, 1e-9), 1);
	double nodes = Min(goal->wanted / share, goal->max_nodes);
	double round = hnsw_cost_search(costs, planned, 0, 1, 1, false);
	double best;
	double cost;

	planned->strategy = HNSW_STRATEGY_GRAPH;
	best = hnsw_cost_search(costs, planned, 0, nodes, nodes, false);
	/* If the index does not have enough nodes, the table is read, too. */
	if (nodes > planned->nodes)
		best += hnsw_cost_read_table(costs, planned, passing);
	if (!hnsw_may_read_all())
		return best;
	cost = hnsw_cost_read_table(costs, planned, passing);
	/*
	 * Without clauses the choice must not depend on LIMIT, or the rows of LIMIT n would not be the
	 * first of LIMIT m.
	 */
	if (cost < (goal->clauses ? best : round))
	{
		planned->strategy = HNSW_STRATEGY_EXACT;
		best = cost;
	}
	if (goal->bitmap)
	{
		double make = goal->bitmap_made ? 0 : hnsw_cost_make_bitmap(costs, planned, members);

		cost = make + hnsw_cost_read_bitmap(costs, planned, members, passing);
		if (cost < best)
		{
			planned->strategy = HNSW_STRATEGY_EXACT;
			best = cost;
		}
		cost =
			make + hnsw_cost_search(costs, planned, 0, nodes,
									goal->wanted * planned->members_share / planned->share, true);
		if (cost < best)
		{
			planned->strategy = HNSW_STRATEGY_BITMAP;
			best = cost;
		}
	}
	if (goal->clauses && !goal->no_trial && planned->strategy != HNSW_STRATEGY_GRAPH &&
		round <= best * (goal->uncertain ? 1 : HNSW_TRIAL))
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
	double table = hnsw_cost_read_table(costs, planned, passing);

	if (!bitmap)
		return table;
	return Min(table, hnsw_cost_make_bitmap(costs, planned, members) +
						  hnsw_cost_read_bitmap(costs, planned, members, passing));
}
