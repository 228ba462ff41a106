/*
 * hnswfree.c
 *	  Vacuum: slots of dead nodes are freed.
 */
#include "write/hnswvacuum.h"

#include "page/change.h"
#include "storage/indexfsm.h"

/* How many of the page's slots are free. */
uint32
hnsw_count_free(const OmendbLayout *layout, Page page)
{
	uint32 n = 0;

	for (uint32 slot = 0; slot < layout->per_page; slot++)
		n += omendb_page_record(layout, page, slot)->kind == OMENDB_RECORD_FREE;
	return n;
}

static bool
may_free(OmendbNode node, void *context)
{
	HnswVacuum *vacuum = context;

	return hnsw_vacuum_is_dead(vacuum, node) &&
		   (vacuum->only == OMENDB_NO_NODE || vacuum->only == node);
}

void
hnsw_free_dead_nodes(HnswVacuum *vacuum, IndexBulkDeleteResult *stats)
{
	/* From above, so that no pointer down ever leads to what is not the same vector's. */
	for (size_t i = vacuum->nupper; i > 0; i--)
	{
		Buffer buffer;

		vacuum->only = vacuum->upper[i - 1].node;
		if (!hnsw_vacuum_is_dead(vacuum, vacuum->only))
			continue;
		buffer = hnsw_vacuum_lock(
			vacuum, omendb_node_block(&vacuum->store.index->codec.layout, vacuum->only),
			BUFFER_LOCK_EXCLUSIVE);
		if (!BufferIsValid(buffer))
			continue;
		omendb_page_free_dead(&vacuum->store, buffer, may_free, vacuum);
		UnlockReleaseBuffer(buffer);
	}
	vacuum->only = OMENDB_NO_NODE;
	for (BlockNumber block = OMENDB_FIRST_BLOCK; block < vacuum->blocks; block++)
	{
		const OmendbLayout *layout = &vacuum->store.index->codec.layout;
		Buffer buffer;
		bool is_free;

		if (!hnsw_any_bit(vacuum, vacuum->dead, block))
			continue;
		buffer = hnsw_vacuum_lock(vacuum, block, BUFFER_LOCK_EXCLUSIVE);
		if (!BufferIsValid(buffer))
			continue;
		omendb_page_free_dead(&vacuum->store, buffer, may_free, vacuum);
		is_free = hnsw_count_free(layout, BufferGetPage(buffer)) == layout->per_page;
		UnlockReleaseBuffer(buffer);
		RecordFreeIndexPage(vacuum->store.relation, block);
		stats->pages_newly_deleted += is_free;
		stats->pages_free += is_free;
	}
}
