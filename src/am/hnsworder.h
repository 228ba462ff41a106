/*
 * hnsworder.h
 *	  What a query does with rows in order of distance.
 */
#ifndef OMENDB_HNSWORDER_H
#define OMENDB_HNSWORDER_H

#include "postgres.h"

#include "nodes/pathnodes.h"

typedef enum HnswOrderUse
{
	/*
	 * All rows are read, or a node above (a window, DISTINCT, GROUP BY, a merge
	 * join) relies on the order of all that it reads. An approximate search is
	 * no source for such a node: the order is not offered.
	 */
	HNSW_ORDER_ALL,
	HNSW_ORDER_SOME,  /* as many rows as a join or a set-returning function above needs */
	HNSW_ORDER_LIMIT, /* the first rows, as many as LIMIT and OFFSET say */
} HnswOrderUse;

/*
 * Of plans that are no use: more than any other, also one that settings such as
 * enable_seqscan forbid. Finite, for the planner subtracts such costs.
 */
#define HNSW_USELESS_COST 1.0e20

extern HnswOrderUse hnsw_order_use(PlannerInfo *root, const RelOptInfo *rel);

/* The same of a plain Index Scan, which may serve fewer queries. */
extern HnswOrderUse hnsw_plain_order_use(PlannerInfo *root, const RelOptInfo *rel);

/* LIMIT plus OFFSET; a guess where they are not known yet. */
extern double hnsw_order_limit(const PlannerInfo *root);

/* Is there a further order key, by which a node above sorts the rows that are equal by the first? */
static inline bool
hnsw_order_is_grouped(const PlannerInfo *root)
{
	return list_length(root->query_pathkeys) > 1;
}

#endif /* OMENDB_HNSWORDER_H */
