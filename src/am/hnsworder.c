/*
 * hnsworder.c
 *	  What a query does with rows in order of distance.
 */
#include "am/hnsworder.h"

#include "access/sysattr.h"
#include "am/hnsw.h"
#include "nodes/parsenodes.h"
#include "optimizer/optimizer.h"

/* Could a merge join, or whatever else knows the sort key by another expression, use the order? */
static bool
is_shared_key(const PlannerInfo *root)
{
	const PathKey *key = linitial(root->query_pathkeys);

	return list_length(key->pk_eclass->ec_sources) > 0;
}

HnswOrderUse
hnsw_order_use(PlannerInfo *root, const RelOptInfo *rel)
{
	const Query *parse = root->parse;
	bool has_limit = parse->limitCount != NULL &&
					 !(IsA(parse->limitCount, Const) && ((Const *) parse->limitCount)->constisnull);

	if (root->query_pathkeys == NIL || parse->hasAggs || parse->hasWindowFuncs ||
		parse->groupClause || parse->groupingSets || parse->havingQual || parse->distinctClause ||
		parse->setOperations || !has_limit || is_shared_key(root))
		return HNSW_ORDER_ALL;
	if (parse->hasTargetSRFs || bms_membership(root->all_baserels) != BMS_SINGLETON)
		return HNSW_ORDER_SOME;
	return HNSW_ORDER_LIMIT;
}

/* Does somebody above the scan read ctid? */
static bool
shows_ctid(const RelOptInfo *rel)
{
	Bitmapset *columns = NULL;

	pull_varattnos((Node *) rel->reltarget->exprs, rel->relid, &columns);
	return bms_is_member(SelfItemPointerAttributeNumber - FirstLowInvalidHeapAttributeNumber,
						 columns);
}

HnswOrderUse
hnsw_plain_order_use(PlannerInfo *root, const RelOptInfo *rel)
{
	/*
	 * Where bounds overlap, the executor's Index Scan keeps rows back to reorder
	 * them, and forgets where they are: their ctid is invalid then.
	 */
	return shows_ctid(rel) || root->parse->rowMarks != NIL ? HNSW_ORDER_ALL
														   : hnsw_order_use(root, rel);
}

double
hnsw_order_limit(const PlannerInfo *root)
{
	if (root->limit_tuples > 0)
		return root->limit_tuples;
	/* The planner takes a tenth of all rows then, which nobody asks of a search. */
	return hnsw_ef_search;
}
