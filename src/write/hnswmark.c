/*
 * hnswmark.c
 *	  Vacuum, first phase: removes heap TIDs of dead rows, and marks nodes without any as dead.
 *
 * Changes no edge. Locks one page at a time, exclusively only if the page has something to
 * remove.
 */
#include "write/hnswvacuum.h"

#include "commands/progress.h"
#include "compat.h"
#include "page/change.h"
#include "page/tids.h"
#include "pgstat.h"
#include "storage/freespace.h"
#include "utils/memutils.h"

static bool
is_dead_tid(ItemPointer tid, void *context)
{
	HnswVacuum *vacuum = context;

	if (!omendb_tid_is_possible(tid))
		omendb_corrupt_page(vacuum->store.relation, vacuum->mark.block,
							"A record has an impossible heap TID.");
	return vacuum->mark.is_dead(tid, vacuum->mark.is_dead_state);
}

static void
add_upper(HnswUpperList *list, HnswUpper upper)
{
	if (list->n == list->capacity)
	{
		list->capacity = Max(1024, 2 * list->capacity);
		list->records =
			omendb_palloc_allocator.resize(NULL, list->records, list->capacity * sizeof(HnswUpper));
	}
	list->records[list->n++] = upper;
}

void
hnsw_collect_page(HnswVacuum *vacuum, Page page, BlockNumber block)
{
	const OmendbLayout *layout = &vacuum->store.index->codec.layout;

	for (uint32 slot = 0; slot < layout->per_page; slot++)
	{
		OmendbRecord *record = omendb_page_record(layout, page, slot);
		OmendbNode node = omendb_block_node(layout, block, slot);

		if (record->kind == OMENDB_RECORD_OVERFLOW && omendb_record_overflow(record)->count == 0)
			hnsw_list_add(&vacuum->mark.emptied, omendb_record_overflow(record)->owner);
		if (record->kind != OMENDB_RECORD_NODE)
			continue;
		if (record->flags & OMENDB_RECORD_DEAD)
			hnsw_set_add(&vacuum->dead, node);
		if (record->level > 0)
			add_upper(&vacuum->upper, (HnswUpper){node, record->down, record->level});
	}
}

/*
 * Remove the heap TIDs of the block's dead rows. Returns how many of its slots are free. *space: for
 * the free space map.
 */
static uint32
clean_block(HnswVacuum *vacuum, BlockNumber block, OmendbPageTids *counts, Size *space)
{
	const OmendbLayout *layout = &vacuum->store.index->codec.layout;
	Buffer buffer = hnsw_vacuum_lock(vacuum, block, BUFFER_LOCK_SHARE);
	uint64 count;
	uint32 nfree;

	*space = omendb_new_page_space(layout);
	if (!BufferIsValid(buffer))
		return layout->per_page;
	vacuum->mark.block = block;
	if (!omendb_page_has_dead_tids(&vacuum->store, buffer, is_dead_tid, vacuum, &count))
		counts->left += count;
	else
	{
		LockBuffer(buffer, BUFFER_LOCK_UNLOCK);
		LockBuffer(buffer, BUFFER_LOCK_EXCLUSIVE);
		omendb_page_remove_tids(&vacuum->store, buffer, is_dead_tid, vacuum, counts);
	}
	hnsw_collect_page(vacuum, BufferGetPage(buffer), block);
	nfree = hnsw_count_free_slots(layout, BufferGetPage(buffer));
	*space = omendb_page_free_space(layout, BufferGetPage(buffer));
	UnlockReleaseBuffer(buffer);
	return nfree;
}

static int
by_node(const void *a, const void *b)
{
	OmendbNode x = *(const OmendbNode *) a;
	OmendbNode y = *(const OmendbNode *) b;

	return x < y ? -1 : x > y;
}

/*
 * Take empty overflow records out of their chains. A node may be listed once for each of its
 * records; its chain is cleaned once.
 */
static void
free_empty_overflow(HnswVacuum *vacuum)
{
	HnswNodeList *emptied = &vacuum->mark.emptied;

	if (emptied->n > 0)
		qsort(emptied->nodes, emptied->n, sizeof(OmendbNode), by_node);
	for (size_t i = 0; i < emptied->n; i++)
		if ((i == 0 || emptied->nodes[i] != emptied->nodes[i - 1]) &&
			omendb_record_free_empty(&vacuum->store, emptied->nodes[i]))
			hnsw_set_add(&vacuum->dead, emptied->nodes[i]);
}

/* Notes all pages with free slots: the free space map does not survive a crash. */
void
hnsw_remove_heap_tids(HnswVacuum *vacuum, IndexBulkDeleteResult *stats)
{
	const OmendbLayout *layout = &vacuum->store.index->codec.layout;
	bool report = vacuum->info->report_progress;
	OmendbPageTids counts = {0};

	if (report)
		pgstat_progress_update_param(PROGRESS_SCAN_BLOCKS_TOTAL, vacuum->blocks);
	stats->pages_free = 0;
	for (BlockNumber block = OMENDB_FIRST_BLOCK; block < vacuum->blocks; block++)
	{
		Size space;
		uint32 nfree = clean_block(vacuum, block, &counts, &space);

		if (nfree > 0)
			RecordPageWithFreeSpace(vacuum->store.relation, block, space);
		stats->pages_free += nfree == layout->per_page;
		if (report)
			pgstat_progress_update_param(PROGRESS_SCAN_BLOCKS_DONE, block + 1);
	}
	free_empty_overflow(vacuum);
	stats->tuples_removed += counts.removed;
	stats->num_index_tuples = counts.left;
}

static int
by_level(const void *a, const void *b)
{
	const HnswUpper *x = a;
	const HnswUpper *y = b;

	if (x->level != y->level)
		return x->level < y->level ? -1 : 1;
	return x->node < y->node ? -1 : x->node > y->node;
}

void
hnsw_sort_upper(HnswVacuum *vacuum)
{
	if (vacuum->upper.n > 0)
		qsort(vacuum->upper.records, vacuum->upper.n, sizeof(HnswUpper), by_level);
}

void
hnsw_mark_upper_records(HnswVacuum *vacuum)
{
	/* Ascending levels: the record below is marked before the record above. */
	hnsw_sort_upper(vacuum);
	for (size_t i = 0; i < vacuum->upper.n; i++)
	{
		HnswUpper *upper = &vacuum->upper.records[i];

		omendb_vacuum_delay_point(); /* checks for interrupts, too */
		if (hnsw_vacuum_is_dead(vacuum, upper->down) && !hnsw_vacuum_is_dead(vacuum, upper->node))
		{
			omendb_record_mark_dead(&vacuum->store, upper->node, upper->level);
			hnsw_set_add(&vacuum->dead, upper->node);
		}
	}
}
