/*
 * reach.c
 *	  The set of nodes that edges lead to, level by level.
 */
#include "page/reach.h"

#include "compat.h"
#include "utils/memutils.h"

static uint8 *
make_bits(uint64 n)
{
	return MemoryContextAllocExtended(CurrentMemoryContext, n / 8 + 1,
									  MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
}

void
omendb_reach_init(OmendbReach *reach, OmendbStore *store, BufferAccessStrategy strategy)
{
	BlockNumber blocks = RelationGetNumberOfBlocks(store->relation);

	memset(reach, 0, sizeof(*reach));
	reach->store = store;
	reach->strategy = strategy;
	reach->nodes = (uint64) (blocks - OMENDB_FIRST_BLOCK) * store->index->codec.layout.per_page;
	reach->reached = make_bits(reach->nodes);
	reach->waiting = make_bits(reach->nodes);
	reach->first = InvalidBlockNumber;
}

void
omendb_reach_free(OmendbReach *reach)
{
	pfree(reach->reached);
	pfree(reach->waiting);
}

void
omendb_reach_add(OmendbReach *reach, OmendbNode node)
{
	BlockNumber block;

	if (node >= reach->nodes || omendb_reach_has(reach, node))
		return;
	block = omendb_node_block(&reach->store->index->codec.layout, node);
	reach->reached[node / 8] |= 1 << (node % 8);
	reach->waiting[node / 8] |= 1 << (node % 8);
	reach->nwaiting++;
	reach->first = Min(reach->first, block);
}

OmendbNode
omendb_reach_next(const OmendbReach *reach, OmendbNode from)
{
	for (uint64 node = from; node < reach->nodes; node++)
		if (reach->waiting[node / 8] == 0)
			node |= 7;
		else if (reach->waiting[node / 8] >> (node % 8) & 1)
			return node;
	return OMENDB_NO_NODE;
}

/* Add a node that an edge, or a pointer down, of `parent` leads to. */
static void
add_child(OmendbReach *reach, OmendbNode parent, OmendbNode node)
{
	if (reach->parents && node < reach->nodes && !omendb_reach_has(reach, node))
		reach->parents[node] = parent;
	omendb_reach_add(reach, node);
}

/*
 * Follow one waiting node: its edges if `edges`, its pointer down (into `below`) unless that is NULL.
 * record: NULL if the page was never initialised.
 */
static void
follow(OmendbReach *reach, OmendbNode node, const OmendbRecord *record, unsigned level,
	   OmendbReach *below, bool edges)
{
	const OmendbLayout *layout = &reach->store->index->codec.layout;

	reach->waiting[node / 8] &= ~(1 << (node % 8));
	reach->nwaiting--;
	if (record)
		omendb_store_check_record(reach->store, node, record);
	if (!record || record->kind != OMENDB_RECORD_NODE || record->level != level)
	{
		reach->reached[node / 8] &= ~(1 << (node % 8));
		return;
	}
	if (reach->live && (record->flags & OMENDB_RECORD_DEAD))
		return;
	if (below)
		add_child(below, node, record->down);
	for (uint32 i = 0; edges && i < record->count; i++)
		add_child(reach, node, omendb_record_neighbours(layout, record)[i]);
}

/* Follow the waiting nodes of a page, also those that become waiting by that. */
static void
follow_page(OmendbReach *reach, Page page, BlockNumber block, unsigned level, OmendbReach *below,
			bool edges)
{
	const OmendbLayout *layout = &reach->store->index->codec.layout;
	OmendbNode first = omendb_block_node(layout, block, 0);
	OmendbNode node;

	while ((node = omendb_reach_next(reach, first)) < first + layout->per_page)
		follow(reach, node, PageIsNew(page) ? NULL : omendb_page_record(layout, page, node - first),
			   level, below, edges);
}

/* Follow waiting nodes, in passes over the file, until none is waiting. */
static void
follow_all(OmendbReach *reach, unsigned level, OmendbReach *below, bool edges)
{
	const OmendbLayout *layout = &reach->store->index->codec.layout;

	while (reach->nwaiting > 0)
	{
		OmendbNode node = omendb_block_node(layout, reach->first, 0);

		/* Nodes of earlier blocks that become waiting are for the next pass. */
		reach->first = InvalidBlockNumber;
		while ((node = omendb_reach_next(reach, node)) != OMENDB_NO_NODE)
		{
			BlockNumber block = omendb_node_block(layout, node);
			Buffer buffer;

			omendb_vacuum_delay_point(); /* checks for interrupts, too */
			buffer = ReadBufferExtended(reach->store->relation, MAIN_FORKNUM, block, RBM_NORMAL,
										reach->strategy);
			LockBuffer(buffer, BUFFER_LOCK_SHARE);
			if (!PageIsNew(BufferGetPage(buffer)))
				omendb_store_check(reach->store, buffer);
			follow_page(reach, BufferGetPage(buffer), block, level, below, edges);
			UnlockReleaseBuffer(buffer);
			node = omendb_block_node(layout, block + 1, 0);
		}
	}
}

void
omendb_reach_follow(OmendbReach *reach, unsigned level)
{
	follow_all(reach, level, NULL, true);
}

void
omendb_reach_descend(OmendbReach *reach, unsigned level, bool edges)
{
	OmendbReach below = *reach;

	below.reached = make_bits(reach->nodes);
	below.waiting = make_bits(reach->nodes);
	below.nwaiting = 0;
	below.first = InvalidBlockNumber;
	follow_all(reach, level, &below, edges);
	omendb_reach_free(reach);
	*reach = below;
}
