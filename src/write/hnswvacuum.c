/*
 * hnswvacuum.c
 *	  Vacuum: its entry points, and the order of its phases.
 *
 * 1. hnswmark.c. On every page, heap TIDs of dead rows are removed; a node without any left
 *    is marked dead. Scans pass through dead nodes, inserts give no edge to one.
 * 2. hnswmark.c. Upper-level records of dead nodes are marked dead too. If few nodes died,
 *    vacuum ends here. Else it waits until no insert runs that saw a node before the node
 *    was marked.
 * 3. hnswjoin.c. Live nodes are joined. The start is the entry point or, if the entry
 *    point is dead, the live node that will replace it. A live node that no edges of
 *    live nodes lead to from the start gets an edge from a node that they lead to.
 * 4. hnswrepair.c. On every page, a node's edges to dead nodes are replaced by the best of
 *    those that the dead nodes had. No edge to a live node is given up, for it may be
 *    the only one to that node.
 *    hnswincoming.c. Each node that dead nodes had edges to, and that none of its own
 *    neighbours has an edge to, gets an edge from one of these neighbours.
 * 5. Vacuum waits until no insert runs that began at the old entry point. hnswfree.c. Dead
 *    nodes' slots are freed, those of upper levels first.
 * 6. hnswcalibrate.c. If the index has changed much, its recall is measured again.
 *
 * Each page change is WAL-logged by itself. If vacuum stops anywhere, the graph is whole:
 * until all live nodes are joined, dead nodes keep their edges; from then on no live node
 * depends on dead ones. Dead nodes stay marked, and the next vacuum begins with them.
 */
#include "write/hnswvacuum.h"

#include "access/genam.h"
#include "am/hnswcalibrate.h"
#include "commands/vacuum.h"
#include "compat.h"
#include "storage/indexfsm.h"
#include "storage/lmgr.h"
#include "utils/memutils.h"

/*
 * Dead nodes are taken out of the graph if there is one in this many pages of the index: to take one
 * out takes about as long as to read so many pages (bench/README.md, "What replaces edges to dead
 * nodes").
 */
#define BLOCKS_A_DEAD_NODE 512

void
hnsw_set_init(HnswNodeSet *set, const OmendbLayout *layout, BlockNumber blocks)
{
	set->blocks = blocks;
	set->slots = (uint64) (blocks - OMENDB_FIRST_BLOCK) * layout->per_page;
	set->n = 0;
	set->bits = MemoryContextAllocExtended(CurrentMemoryContext, set->slots / 8 + 1,
										   MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
}

bool
hnsw_set_has_block(const HnswNodeSet *set, const OmendbLayout *layout, BlockNumber block)
{
	OmendbNode first = omendb_block_node(layout, block, 0);

	for (OmendbNode node = first; node < first + layout->per_page; node++)
		if (hnsw_set_has(set, node))
			return true;
	return false;
}

void
hnsw_list_add(HnswNodeList *list, OmendbNode node)
{
	if (list->n == list->capacity)
	{
		list->capacity = Max(1024, 2 * list->capacity);
		list->nodes =
			omendb_palloc_allocator.resize(NULL, list->nodes, list->capacity * sizeof(OmendbNode));
	}
	list->nodes[list->n++] = node;
}

Buffer
hnsw_vacuum_lock(HnswVacuum *vacuum, BlockNumber block, int mode)
{
	omendb_vacuum_delay_point();
	return omendb_store_lock_by(&vacuum->store, block, mode, vacuum->info->strategy);
}

void
hnsw_wait_for_inserts(HnswVacuum *vacuum)
{
	LockPage(vacuum->store.relation, OMENDB_META_BLOCK, ExclusiveLock);
	UnlockPage(vacuum->store.relation, OMENDB_META_BLOCK, ExclusiveLock);
}

/*
 * True if there are enough dead nodes to take them out of the graph, for which the index is read
 * several times. Until there are, dead nodes stay, as after a vacuum that was cancelled.
 */
static bool
has_enough_dead_nodes(const HnswVacuum *vacuum)
{
	return vacuum->dead.n > 0 && vacuum->dead.n >= vacuum->blocks / BLOCKS_A_DEAD_NODE;
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
	/* An error if the metapage is another index's. */
	(void) hnsw_opclass_of_built(info->index);
	old = MemoryContextSwitchTo(context);
	vacuum = palloc0(sizeof(HnswVacuum));
	vacuum->store.relation = info->index;
	vacuum->store.index = omendb_index_open(info->index);
	vacuum->store.requests = omendb_store_may_request(info->index);
	vacuum->info = info;
	vacuum->blocks = RelationGetNumberOfBlocks(info->index);
	vacuum->mark.is_dead = callback;
	vacuum->mark.is_dead_state = state;
	hnsw_set_init(&vacuum->dead, &vacuum->store.index->codec.layout, vacuum->blocks);

	hnsw_remove_heap_tids(vacuum, stats);
	hnsw_mark_upper_records(vacuum);
	if (has_enough_dead_nodes(vacuum))
	{
		hnsw_wait_for_inserts(vacuum);
		hnsw_allocate_work(vacuum);
		if (hnsw_join_live_nodes(vacuum))
		{
			hnsw_collect_exposed(vacuum);
			hnsw_repair_graph(vacuum);
			hnsw_add_incoming_edges(vacuum);
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
 * Estimate the index's rows without reading the index: those of the table, but no more than the
 * index has slots.
 */
static double
estimate_rows(const IndexVacuumInfo *info)
{
	const OmendbLayout *layout = &omendb_index_peek(info->index)->codec.layout;
	double blocks = RelationGetNumberOfBlocks(info->index);

	return Max(Min(info->num_heap_tuples, (blocks - OMENDB_FIRST_BLOCK) * layout->per_page), 0);
}

/*
 * If no row was deleted (stats is NULL), only the metapage is read, unless recall has to be measured
 * again: what the catalogs say of the index stays. Else hnsw_bulk_delete has counted all rows and
 * noted all free slots.
 */
IndexBulkDeleteResult *
hnsw_vacuum_cleanup(IndexVacuumInfo *info, IndexBulkDeleteResult *stats)
{
	if (info->analyze_only)
		return stats;
	/* An error if the metapage is another index's. */
	(void) hnsw_opclass_of_built(info->index);
	if (stats == NULL)
	{
		hnsw_calibrate_again(info->index, estimate_rows(info), 0, info->strategy);
		return NULL;
	}
	IndexFreeSpaceMapVacuum(info->index);
	stats->num_pages = RelationGetNumberOfBlocks(info->index);
	/* Rows that were inserted meanwhile may be counted in the index only. */
	if (!info->estimated_count)
		stats->num_index_tuples = Min(stats->num_index_tuples, info->num_heap_tuples);
	hnsw_calibrate_again(info->index, stats->num_index_tuples, stats->tuples_removed,
						 info->strategy);
	return stats;
}
