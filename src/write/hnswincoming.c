/*
 * hnswincoming.c
 *	  Vacuum: a node that a dead node had an edge to keeps an incoming edge from a neighbour.
 *
 * Live nodes are joined already, so no row depends on this: it is for recall. Locks one page at
 * a time itself; repairs and reverse edges take their own locks.
 */
#include "write/hnswvacuum.h"

#include "compat.h"
#include "page/change.h"

/* Add the ends of a dead record's edges to the exposed nodes. */
static void
collect_ends(HnswVacuum *vacuum, const OmendbRecord *record)
{
	const OmendbLayout *layout = &vacuum->store.index->codec.layout;

	for (uint32 i = 0; i < Min(record->count, layout->edges); i++)
		hnsw_set_add(&vacuum->exposed, omendb_record_neighbours(layout, record)[i]);
}

void
hnsw_collect_exposed(HnswVacuum *vacuum)
{
	const OmendbLayout *layout = &vacuum->store.index->codec.layout;

	/* The blocks that there are now: dead nodes get no more edges, but may have some to new nodes. */
	hnsw_set_init(&vacuum->exposed, layout, RelationGetNumberOfBlocks(vacuum->store.relation));
	for (BlockNumber block = OMENDB_FIRST_BLOCK; block < vacuum->blocks; block++)
	{
		Buffer buffer;

		if (!hnsw_set_has_block(&vacuum->dead, layout, block))
			continue;
		buffer = hnsw_vacuum_lock(vacuum, block, BUFFER_LOCK_SHARE);
		if (!BufferIsValid(buffer))
			continue;
		for (uint32 slot = 0; slot < layout->per_page; slot++)
		{
			OmendbRecord *record = omendb_page_record(layout, BufferGetPage(buffer), slot);

			if (record->kind == OMENDB_RECORD_NODE && (record->flags & OMENDB_RECORD_DEAD))
				collect_ends(vacuum, record);
		}
		UnlockReleaseBuffer(buffer);
	}
}

/* Give the node an edge from a neighbour, if none of its neighbours has an edge to it. */
static void
add_incoming_edge(HnswVacuum *vacuum, OmendbNode node)
{
	const OmendbLayout *layout = &vacuum->store.index->codec.layout;
	unsigned level;
	OmendbRecord *record = vacuum->work.record;

	if (!omendb_record_level(&vacuum->store, node, &level))
		return;
	if (!omendb_record_copy(&vacuum->store, node, level, record) ||
		(record->flags & OMENDB_RECORD_DEAD))
		return;
	if (record->count == 0)
	{
		hnsw_repair_node(vacuum, node, level);
		if (!omendb_record_copy(&vacuum->store, node, level, record))
			return;
	}
	for (uint32 i = 0; i < record->count; i++)
	{
		OmendbNode neighbour = omendb_record_neighbours(layout, record)[i];

		if (omendb_record_has_edge_to(&vacuum->store, neighbour, level, node))
			return;
	}
	hnsw_add_reverse_edges(vacuum->work.insert, node, level, record,
						   omendb_record_neighbours(layout, record), record->count);
}

void
hnsw_add_incoming_edges(HnswVacuum *vacuum)
{
	const OmendbLayout *layout = &vacuum->store.index->codec.layout;

	for (BlockNumber block = OMENDB_FIRST_BLOCK; block < vacuum->exposed.blocks; block++)
	{
		OmendbNode first = omendb_block_node(layout, block, 0);

		if (!hnsw_set_has_block(&vacuum->exposed, layout, block))
			continue;
		for (OmendbNode node = first; node < first + layout->per_page; node++)
			/* A live node that is not reached is new: its insert gives it its edges. */
			if (hnsw_set_has(&vacuum->exposed, node) && !hnsw_vacuum_is_dead(vacuum, node) &&
				omendb_reach_has(&vacuum->join.reached, node))
			{
				omendb_vacuum_delay_point();
				add_incoming_edge(vacuum, node);
			}
	}
}
