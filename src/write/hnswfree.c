/*
 * hnswfree.c
 *	  Vacuum, last phase: frees the slots of dead nodes.
 *
 * No live node has an edge to a dead one, and no insert runs that began at a dead entry
 * point. Locks one page at a time, exclusively.
 */
#include "write/hnswvacuum.h"

#include "page/change.h"
#include "storage/freespace.h"

uint32
hnsw_count_free_slots(const OmendbLayout *layout, Page page)
{
	uint32 n = 0;

	for (uint32 slot = 0; slot < layout->per_page; slot++)
		n += omendb_page_record(layout, page, slot)->kind == OMENDB_RECORD_FREE;
	return n;
}

static bool
is_dead_node(OmendbNode node, void *context)
{
	return hnsw_vacuum_is_dead(context, node);
}

static bool
is_that_node(OmendbNode node, void *context)
{
	return node == *(const OmendbNode *) context;
}

/* Free one dead node of an upper level. */
static void
free_upper(HnswVacuum *vacuum, OmendbNode node)
{
	BlockNumber block = omendb_node_block(&vacuum->store.index->codec.layout, node);
	Buffer buffer = hnsw_vacuum_lock(vacuum, block, BUFFER_LOCK_EXCLUSIVE);

	if (!BufferIsValid(buffer))
		return;
	omendb_page_free_dead(&vacuum->store, buffer, is_that_node, &node);
	UnlockReleaseBuffer(buffer);
}

/* Free all dead nodes of a block, and note its free slots in the free space map. */
static void
free_block(HnswVacuum *vacuum, BlockNumber block, IndexBulkDeleteResult *stats)
{
	const OmendbLayout *layout = &vacuum->store.index->codec.layout;
	Buffer buffer = hnsw_vacuum_lock(vacuum, block, BUFFER_LOCK_EXCLUSIVE);
	Size space;
	bool is_free;

	if (!BufferIsValid(buffer))
		return;
	omendb_page_free_dead(&vacuum->store, buffer, is_dead_node, vacuum);
	is_free = hnsw_count_free_slots(layout, BufferGetPage(buffer)) == layout->per_page;
	space = omendb_page_free_space(layout, BufferGetPage(buffer));
	UnlockReleaseBuffer(buffer);
	RecordPageWithFreeSpace(vacuum->store.relation, block, space);
	stats->pages_newly_deleted += is_free;
	stats->pages_free += is_free;
}

void
hnsw_free_dead_nodes(HnswVacuum *vacuum, IndexBulkDeleteResult *stats)
{
	/* From the highest level down, so that a pointer down always leads to the same vector. */
	for (size_t i = vacuum->upper.n; i > 0; i--)
		if (hnsw_vacuum_is_dead(vacuum, vacuum->upper.records[i - 1].node))
			free_upper(vacuum, vacuum->upper.records[i - 1].node);
	for (BlockNumber block = OMENDB_FIRST_BLOCK; block < vacuum->blocks; block++)
		if (hnsw_set_has_block(&vacuum->dead, &vacuum->store.index->codec.layout, block))
			free_block(vacuum, block, stats);
}
