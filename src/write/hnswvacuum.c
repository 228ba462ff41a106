/*
 * hnswvacuum.c
 *	  Dead rows out of the index.
 *
 * 1. Every page: heap TIDs of dead rows are removed; a node without any left
 *    is marked dead. Scans pass through dead nodes, inserts give no edge to one.
 * 2. Upper-level records of dead nodes are marked dead too. Where few nodes died, that is
 *    all for now. Else wait until no insert runs that saw a node before it was marked.
 * 3. Live nodes are joined (hnswjoin.c). The start is the entry point or, if the entry
 *    point is dead, the live node that will replace it. A live node that no edges of
 *    live nodes lead to from the start gets an edge from one that they lead to.
 * 4. Every page: a node's edges to dead ones are replaced by the best of those
 *    that the dead ones had; no edge to a live node is given up, for it may be
 *    the only one that leads there. The nearest neighbours of a dead node are its
 *    heirs: they take over its farthest edges, which may be all that leads to
 *    another part of the graph. A node that has few left looks around as an
 *    insert does.
 *    Then, the nodes that dead ones had edges to: one that none of its
 *    neighbours knows is made known to one.
 * 5. Wait until no insert runs that began at the old entry point.
 * 6. Dead nodes' slots are freed, the upper levels' first.
 *
 * Each page change is WAL-logged by itself. Stopped anywhere, the graph is
 * whole: until all live nodes are joined, dead nodes keep their edges; from then on
 * no live node depends on dead ones. Dead nodes stay marked, and the next vacuum begins
 * with them.
 */
#include "am/hnsw.h"

#include "access/genam.h"
#include "am/hnswcalibrate.h"
#include "commands/vacuum.h"
#include "compat.h"
#include "storage/indexfsm.h"
#include "storage/lmgr.h"
#include "utils/memutils.h"
#include "write/hnswvacuum.h"

/*
 * To take a dead node out of the graph takes about as long as reading so many pages, which is
 * what it takes even for one.
 */
#define BLOCKS_A_DEAD_NODE 512

/* Is a bit set for any node of the block? */
bool
hnsw_any_bit(const HnswVacuum *vacuum, const uint8 *bits, BlockNumber block)
{
	const OmendbLayout *layout = &vacuum->store.index->codec.layout;
	OmendbNode first = omendb_block_node(layout, block, 0);

	for (OmendbNode node = first; node < first + layout->per_page; node++)
		if (bits[node / 8] >> (node % 8) & 1)
			return true;
	return false;
}

Buffer
hnsw_vacuum_lock(HnswVacuum *vacuum, BlockNumber block, int mode)
{
	omendb_vacuum_delay_point();
	return omendb_store_lock_by(&vacuum->store, block, mode, vacuum->info->strategy);
}

void
hnsw_note_node(HnswNodeList *list, OmendbNode node)
{
	if (list->n == list->capacity)
	{
		list->capacity = Max(1024, 2 * list->capacity);
		list->nodes =
			omendb_palloc_allocator.resize(NULL, list->nodes, list->capacity * sizeof(OmendbNode));
	}
	list->nodes[list->n++] = node;
}

void
hnsw_wait_for_inserts(HnswVacuum *vacuum)
{
	LockPage(vacuum->store.relation, OMENDB_META_BLOCK, ExclusiveLock);
	UnlockPage(vacuum->store.relation, OMENDB_META_BLOCK, ExclusiveLock);
}

/*
 * Are there enough dead nodes to take them out of the graph? For that the index is read some times
 * over. Until there are, they stay, as after a vacuum that was cancelled: searches pass through.
 */
static bool
enough_died(const HnswVacuum *vacuum)
{
	return vacuum->ndead > 0 && vacuum->ndead >= vacuum->blocks / BLOCKS_A_DEAD_NODE;
}

IndexBulkDeleteResult *
hnsw_bulk_delete(IndexVacuumInfo *info, IndexBulkDeleteResult *stats,
				 IndexBulkDeleteCallback callback, void *state)
{
	MemoryContext context =
		AllocSetContextCreate(CurrentMemoryContext, "hnsw vacuum", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old;
	HnswVacuum *vacuum;

	if (stats == NULL)
		stats = palloc0(sizeof(IndexBulkDeleteResult));
	old = MemoryContextSwitchTo(context);
	vacuum = palloc0(sizeof(HnswVacuum));
	vacuum->store.relation = info->index;
	vacuum->store.index = omendb_index_open(info->index);
	vacuum->info = info;
	vacuum->callback = callback;
	vacuum->callback_state = state;
	vacuum->blocks = RelationGetNumberOfBlocks(info->index);
	vacuum->nnodes =
		(uint64) (vacuum->blocks - OMENDB_FIRST_BLOCK) * vacuum->store.index->codec.layout.per_page;
	vacuum->dead = MemoryContextAllocExtended(context, vacuum->nnodes / 8 + 1,
											  MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	vacuum->only = OMENDB_NO_NODE;
	vacuum->upper_capacity = 1024;
	vacuum->upper = palloc(vacuum->upper_capacity * sizeof(HnswUpper));

	hnsw_remove_heap_tids(vacuum, stats);
	hnsw_mark_upper_records(vacuum);
	if (enough_died(vacuum))
	{
		hnsw_wait_for_inserts(vacuum);
		hnsw_prepare_repairs(vacuum);
		if (hnsw_join_living(vacuum))
		{
			hnsw_note_lost(vacuum);
			hnsw_repair_graph(vacuum);
			hnsw_find_lost(vacuum);
			hnsw_wait_for_inserts(vacuum);
			hnsw_free_dead_nodes(vacuum, stats);
		}
	}
	stats->pages_deleted = stats->pages_free;
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
	return stats;
}

/*
 * Rows of the index at most, without reading it: it has no more nodes than room for records.
 */
static double
guess_rows(const IndexVacuumInfo *info)
{
	const OmendbLayout *layout = &omendb_index_peek(info->index)->codec.layout;
	double blocks = RelationGetNumberOfBlocks(info->index);

	return Max(Min(info->num_heap_tuples, (blocks - OMENDB_FIRST_BLOCK) * layout->per_page), 0);
}

/*
 * Where no row was deleted, nothing is read: what the catalogs say of the index stays as it is.
 * Else hnsw_bulk_delete has counted all rows and noted all free slots.
 */
IndexBulkDeleteResult *
hnsw_vacuum_cleanup(IndexVacuumInfo *info, IndexBulkDeleteResult *stats)
{
	if (info->analyze_only)
		return stats;
	if (stats == NULL)
	{
		hnsw_calibrate_again(info->index, guess_rows(info), 0, info->strategy);
		return NULL;
	}
	IndexFreeSpaceMapVacuum(info->index);
	stats->num_pages = RelationGetNumberOfBlocks(info->index);
	/* Rows that are inserted meanwhile may have been counted here only. */
	if (!info->estimated_count)
		stats->num_index_tuples = Min(stats->num_index_tuples, info->num_heap_tuples);
	hnsw_calibrate_again(info->index, stats->num_index_tuples, stats->tuples_removed,
						 info->strategy);
	return stats;
}
