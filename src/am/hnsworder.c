/*
 * hnsworder.c
 *	  What a query does with rows in order of distance: whether an approximate order is of use.
 */
#include "am/hnsworder.h"

#include "access/htup_details.h"
#include "access/sysattr.h"
#include "am/hnsw.h"
#include "compat.h"
#include "executor/tuptable.h"
#include "nodes/parsenodes.h"
#include "optimizer/optimizer.h"

/* True if something else, such as a merge join, may use the order: another expression has the same sort key. */
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

/*
 * True if rows that the executor's Index Scan has reordered still have their ctid. Where bounds
 * overlap it holds rows back, and stores them in its slot again later. Minor releases differ in
 * whether the slot gets the ctid, so this tries it out in the running server.
 */
static bool
reordering_keeps_ctid(void)
{
	static int keeps = -1;

	if (keeps < 0)
	{
		TupleDesc desc = CreateTemplateTupleDesc(0);
		TupleTableSlot *slot;
		HeapTuple tuple;

		omendb_finish_tuple_desc(desc);
		slot = MakeSingleTupleTableSlot(desc, &TTSOpsBufferHeapTuple);
		tuple = heap_form_tuple(desc, NULL, NULL);
		ItemPointerSet(&tuple->t_self, 1, 2);
		ExecForceStoreHeapTuple(tuple, slot, false);
		/* If the ctid was lost it is invalid: ItemPointerEquals asserts that both are valid. */
		keeps =
			ItemPointerIsValid(&slot->tts_tid) && ItemPointerEquals(&slot->tts_tid, &tuple->t_self);
		ExecDropSingleTupleTableSlot(slot);
		heap_freetuple(tuple);
		FreeTupleDesc(desc);
	}
	return keeps > 0;
}

/* True if ctid is read above the scan, or by a clause, which the scan checks after reordering. */
static bool
reads_ctid(const RelOptInfo *rel)
{
	Bitmapset *columns = NULL;
	ListCell *cell;

	pull_varattnos((Node *) rel->reltarget->exprs, rel->relid, &columns);
	foreach (cell, rel->baserestrictinfo)
		pull_varattnos((Node *) lfirst_node(RestrictInfo, cell)->clause, rel->relid, &columns);
	return bms_is_member(SelfItemPointerAttributeNumber - FirstLowInvalidHeapAttributeNumber,
						 columns);
}

HnswOrderUse
hnsw_plain_order_use(PlannerInfo *root, const RelOptInfo *rel)
{
	if ((reads_ctid(rel) || root->parse->rowMarks != NIL) && !reordering_keeps_ctid())
		return HNSW_ORDER_ALL;
	return hnsw_order_use(root, rel);
}

double
hnsw_order_limit(const PlannerInfo *root)
{
	if (root->limit_tuples > 0)
		return root->limit_tuples;
	/* The planner assumes a tenth of all rows, many more than a search is asked for. */
	return hnsw_ef_search;
}
