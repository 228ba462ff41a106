/*
 * hnswcosts.h
 *	  Costs of the strategies of the custom scan, when planning and when running.
 *
 * Unit: microseconds of one core of the machine on which the constants were measured
 * (bench/README.md, "Constants of a scan"). Only ratios matter.
 */
#ifndef OMENDB_HNSWCOSTS_H
#define OMENDB_HNSWCOSTS_H

#include "postgres.h"

#include "nodes/pg_list.h"

/* Microseconds per unit of the planner's costs: cpu_tuple_cost (0.01) is 0.1 us. */
#define HNSW_US_PER_COST 10.0

typedef enum HnswStrategy
{
	HNSW_STRATEGY_AUTO = -1,
	HNSW_STRATEGY_GRAPH,  /* search the graph, read each row found, check its clauses */
	HNSW_STRATEGY_BITMAP, /* search the graph, read only rows that are in the bitmap */
	HNSW_STRATEGY_EXACT, /* read the rows of the bitmap, or of the table, and sort them by distance */
} HnswStrategy;

/* Estimates of the planner, kept in the plan. All fields are doubles (hnsw_planned_to_list). */
typedef struct HnswPlanned
{
	double rows;       /* of the table */
	double pages;      /* of the table */
	double nodes;      /* of the index */
	double node_bytes; /* bytes of the index for each node */
	double dimensions;
	double share;         /* share of the rows that pass all clauses */
	double members_share; /* share of the rows that are in the bitmap; 1: there is none */
	double bitmap_pages;  /* index pages read to make the bitmap */
	/* The planner's costs of pages in the tablespaces of the table, the index, and the bitmap's indexes. */
	double table_random_page;
	double table_seq_page;
	double index_random_page;
	double index_seq_page;
	double bitmap_seq_page; /* mean of the bitmap's pages */
	double strategy;        /* HnswStrategy to begin with */
	double ef;              /* of the search's first round */
	double ef_nodes;        /* nodes that the first round may return */
	double ef_per_node;     /* in later rounds: ef for each node returned */
} HnswPlanned;

extern List *hnsw_planned_to_list(const HnswPlanned *planned);
extern void hnsw_planned_from_list(HnswPlanned *planned, List *list);

/* Costs of single steps, in microseconds. */
typedef struct HnswCosts
{
	double visit;      /* visiting a node, in a narrow beam */
	double fetch;      /* reading a row by its TID, and checking its clauses */
	double member;     /* looking up the row of a node in the bitmap */
	double distance;   /* computing the operator's distance of a row */
	double bitmap;     /* reading the indexes that make the bitmap */
	double table_page; /* reading a page of the table by a bitmap */
	double table_row;  /* checking a row when the whole table is read */
	double table;      /* reading all pages of the table */
	double sweep;      /* reading all records of the index */
} HnswCosts;

extern void hnsw_costs_init(HnswCosts *costs, const HnswPlanned *planned);

/*
 * Maximum cost of a search's first round as a trial, as a share of the cost of the best strategy.
 * Statistics do not say whether the rows that pass are near the query; the first round shows it. So
 * a scan begins with that round unless it costs more. If the round shows nothing new, the scan takes
 * longer by at most this share.
 */
#define HNSW_TRIAL 0.3

/*
 * Cost of returning `nodes` more nodes after `before` nodes, and of reading `fetched` of their rows;
 * has_bitmap: each row is looked up in the bitmap first.
 */
extern double hnsw_cost_search(const HnswCosts *costs, const HnswPlanned *planned, double before,
							   double nodes, double fetched, bool has_bitmap);

/* Cost of a search that visited this number of nodes and read this number of rows. */
extern double hnsw_cost_spent(const HnswCosts *costs, double visits, double fetched);

/* The number of visits that have this cost. */
extern double hnsw_visits_for(const HnswCosts *costs, double cost);

/* Cost of making a bitmap of this number of rows. */
extern double hnsw_cost_make_bitmap(const HnswCosts *costs, const HnswPlanned *planned,
									double members);

/* Cost of reading the rows of a bitmap that is made, and sorting the `passing` ones. */
extern double hnsw_cost_read_bitmap(const HnswCosts *costs, const HnswPlanned *planned,
									double members, double passing);

/* Cost of reading the whole table, and sorting the `passing` rows. */
extern double hnsw_cost_read_table(const HnswCosts *costs, const HnswPlanned *planned,
								   double passing);

/* Cost of the cheaper of both, which includes making the bitmap; bitmap: there can be one. */
extern double hnsw_cost_without_search(const HnswCosts *costs, const HnswPlanned *planned,
									   bool bitmap);

/* What a scan has to find. */
typedef struct HnswGoal
{
	double wanted;    /* rows that pass */
	double max_nodes; /* maximum number of nodes to return for them */
	double
		near; /* share of rows that pass among those that a search finds, divided by the planned share */
	bool clauses;     /* rows have to pass clauses */
	bool bitmap;      /* there can be a bitmap */
	bool bitmap_made; /* it is made */
	bool uncertain;   /* shares are averages over unknown values */
	bool no_trial;    /* no trial of the first round: earlier ones were in vain */
} HnswGoal;

/* Choose the strategy to begin with (sets planned->strategy). Returns its cost. */
extern double hnsw_choose_strategy(const HnswCosts *costs, HnswPlanned *planned,
								   const HnswGoal *goal);

#endif /* OMENDB_HNSWCOSTS_H */
