/*
 * hnswcosts.h
 *	  What each strategy of the custom scan costs, when planning and when running.
 *
 * Unit: microseconds of one core of the machine on which the constants were
 * measured (hnswcosts.c). Only ratios matter.
 */
#ifndef OMENDB_HNSWCOSTS_H
#define OMENDB_HNSWCOSTS_H

#include "postgres.h"

#include "nodes/pg_list.h"

/* Microseconds that one unit of the planner's costs stands for: cpu_tuple_cost is a tenth of one. */
#define HNSW_US_PER_COST 10.0

typedef enum HnswStrategy
{
	HNSW_STRATEGY_AUTO = -1,
	HNSW_STRATEGY_GRAPH,  /* search the graph, read the heap row, check the clauses */
	HNSW_STRATEGY_BITMAP, /* search the graph, read only heap rows that are in the bitmap */
	HNSW_STRATEGY_EXACT,  /* sort the rows of the bitmap, or of the table, by distance */
} HnswStrategy;

/* What the planner knows; kept in the plan. All fields are doubles. */
typedef struct HnswPlanned
{
	double rows;       /* of the table */
	double pages;      /* of the table */
	double nodes;      /* of the index */
	double node_bytes; /* of the index, for each of them */
	double dimensions;
	double share;         /* of the rows that pass all clauses */
	double members_share; /* of the rows that are in the bitmap; 1: there is none */
	double bitmap_pages;  /* read to make it */
	double strategy;      /* HnswStrategy to begin with */
	double ef;            /* of the search's first round */
	double ef_nodes;      /* nodes that it may return */
	double ef_per_node;   /* where more are returned: for each node */
} HnswPlanned;

extern List *hnsw_planned_to_list(const HnswPlanned *planned);
extern void hnsw_planned_from_list(HnswPlanned *planned, List *list);

/* Costs of single steps. */
typedef struct HnswCosts
{
	double visit;      /* of a node of the graph */
	double fetch;      /* of a heap row by its TID, and the check of its clauses */
	double member;     /* look-up in the bitmap, of a node that was visited */
	double distance;   /* the operator's */
	double bitmap;     /* reading the indexes that make it */
	double table_page; /* of the table, read by a bitmap */
	double table_row;  /* of a heap row by reading the table */
	double table;      /* pages of the table, all */
	double sweep;      /* all records of the index, once */
} HnswCosts;

extern void hnsw_costs_init(HnswCosts *costs, const HnswPlanned *planned);

/*
 * Whether the rows that pass are near the query no statistics tell, but the first
 * round of a search does. So a scan begins with that round, unless the round costs
 * more than this share of what is expected to be the best. (Where the round tells
 * nothing new, the scan takes so much longer.)
 */
#define HNSW_TRIAL 0.3

/* To return `nodes` more nodes after as many as `before`, reading `fetched` rows of them. */
extern double hnsw_cost_search(const HnswCosts *costs, const HnswPlanned *planned, double before,
							   double nodes, double fetched, bool members);
/* Of a search that visited so many nodes and read so many rows. */
extern double hnsw_cost_spent(const HnswCosts *costs, double visits, double fetched);
/* The number of visits that cost so much. */
extern double hnsw_visits_for(const HnswCosts *costs, double cost);
/* To make the bitmap. */
extern double hnsw_cost_make_bitmap(const HnswCosts *costs, const HnswPlanned *planned,
									double members);
/* To sort the rows of the bitmap, which is there, or of the table. */
extern double hnsw_cost_exact(const HnswCosts *costs, const HnswPlanned *planned, bool members,
							  double nmembers, double passing);
/* To read all rows that may pass, by the bitmap if there may be one, and sort them. */
extern double hnsw_cost_without_search(const HnswCosts *costs, const HnswPlanned *planned,
									   bool bitmap);

/* What there is to find, and what for. */
typedef struct HnswTask
{
	double wanted; /* rows that pass */
	double most;   /* nodes that they are among, at most */
	double near;   /* planned->share times this is the share among the nodes that a search finds */
	bool clauses;  /* not every row passes */
	bool bitmap;   /* there may be one */
	bool bitmap_made; /* it is there */
	bool uncertain;   /* shares are those of rows on average, over values that are not known yet */
	bool no_trial;    /* it is known that a round of the search helps nothing */
} HnswTask;

/* Choose the strategy to begin with, planned->strategy, and say what it costs. */
extern double hnsw_choose_strategy(const HnswCosts *costs, HnswPlanned *planned,
								   const HnswTask *task);

#endif /* OMENDB_HNSWCOSTS_H */
