/*
 * hnswincoming.c
 *	  Vacuum: nodes that dead ones had edges to are made known to a neighbour.
 */
#include "write/hnswvacuum.h"

#include "compat.h"
#include "page/change.h"
#include "utils/memutils.h"

/* Note the nodes that dead ones have edges to. */
void
hnsw_note_lost(HnswVacuum *vacuum)
{
	const OmendbLayout *layout = &vacuum->store.index->codec.layout;
	uint64 nodes;

	vacuum->lost_blocks = RelationGetNumberOfBlocks(vacuum->store.relation);
	nodes = (uint64) (vacuum->lost_blocks - OMENDB_FIRST_BLOCK) * layout->per_page;
	vacuum->lost = MemoryContextAllocExtended(CurrentMemoryContext, nodes / 8 + 1,
											  MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	for (BlockNumber block = OMENDB_FIRST_BLOCK; block < vacuum->blocks; block++)
	{
		Buffer buffer;

		if (!hnsw_any_bit(vacuum, vacuum->dead, block))
			continue;
		buffer = hnsw_vacuum_lock(vacuum, block, BUFFER_LOCK_SHARE);
		if (!BufferIsValid(buffer))
			continue;
		for (uint32 slot = 0; slot < layout->per_page; slot++)
		{
			OmendbRecord *record = omendb_page_record(layout, BufferGetPage(buffer), slot);

			if (record->kind != OMENDB_RECORD_NODE || !(record->flags & OMENDB_RECORD_DEAD))
				continue;
			for (uint32 i = 0; i < Min(record->count, layout->edges); i++)
			{
				OmendbNode node = omendb_record_neighbours(layout, record)[i];

				if (node < nodes)
					vacuum->lost[node / 8] |= 1 << (node % 8);
			}
		}
		UnlockReleaseBuffer(buffer);
	}
}

/* Make the node known to a neighbour if none of them has an edge to it. */
static void
make_known(HnswVacuum *vacuum, OmendbNode node)
{
	const OmendbLayout *layout = &vacuum->store.index->codec.layout;
	unsigned level;
	OmendbRecord *record = vacuum->record;

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
	hnsw_add_reverse_edges(vacuum->insert, node, level, record,
						   omendb_record_neighbours(layout, record), record->count);
}

void
hnsw_find_lost(HnswVacuum *vacuum)
{
	const OmendbLayout *layout = &vacuum->store.index->codec.layout;

	for (BlockNumber block = OMENDB_FIRST_BLOCK; block < vacuum->lost_blocks; block++)
	{
		OmendbNode first = omendb_block_node(layout, block, 0);

		if (!hnsw_any_bit(vacuum, vacuum->lost, block))
			continue;
		for (OmendbNode node = first; node < first + layout->per_page; node++)
			/* Others are new: what their inserts do about them is up to those. */
			if ((vacuum->lost[node / 8] >> (node % 8) & 1) && !hnsw_vacuum_is_dead(vacuum, node) &&
				omendb_reach_has(&vacuum->joined, node))
			{
				omendb_vacuum_delay_point();
				make_known(vacuum, node);
			}
	}
}
