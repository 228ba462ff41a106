/*
 * hnsworder.h
 *	  What a query does with rows in order of distance: whether an approximate order is of use.
 */
#ifndef OMENDB_HNSWORDER_H
#define OMENDB_HNSWORDER_H

#include "postgres.h"

#include "nodes/pathnodes.h"

typedef enum HnswOrderUse
{
	/*
	 * Reads all rows, or a node above (a window, DISTINCT, GROUP BY, a merge join) relies on
	 * the order of all rows that it reads. An approximate order is wrong for such a node, so
	 * it is not offered.
	 */
	HNSW_ORDER_ALL,
	HNSW_ORDER_SOME,  /* reads as many rows as a join or a set-returning function above needs */
	HNSW_ORDER_LIMIT, /* reads the first rows, as many as LIMIT and OFFSET say */
} HnswOrderUse;

/*
 * Cost of a plan that must not be chosen: more than that of any other plan, also of one that
 * settings such as enable_seqscan forbid. Finite, because the planner subtracts costs.
 */
#define HNSW_USELESS_COST 1.0e20

/* What the query does with the order of this table's rows. */
extern HnswOrderUse hnsw_order_use(PlannerInfo *root, const RelOptInfo *rel);

/* The same for a plain Index Scan, which serves fewer queries. */
extern HnswOrderUse hnsw_plain_order_use(PlannerInfo *root, const RelOptInfo *rel);

/* LIMIT plus OFFSET; a guess where the planner does not know them. */
extern double hnsw_order_limit(const PlannerInfo *root);

/* True if there is a further order key: a node above sorts rows that are equal by the first one. */
static inline bool
hnsw_order_is_grouped(const PlannerInfo *root)
{
	return list_length(root->query_pathkeys) > 1;
}

#endif /* OMENDB_HNSWORDER_H */
