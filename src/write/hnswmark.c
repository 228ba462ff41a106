/*
 * hnswmark.c
 *	  Vacuum: heap TIDs of dead rows are removed, nodes without any are marked dead.
 */
#include "write/hnswvacuum.h"

#include "commands/progress.h"
#include "miscadmin.h"
#include "page/change.h"
#include "pgstat.h"
#include "storage/indexfsm.h"
#include "utils/memutils.h"

static void
note_dead(HnswVacuum *vacuum, OmendbNode node)
{
	if (node < vacuum->nnodes && !hnsw_vacuum_is_dead(vacuum, node))
	{
		vacuum->dead[node / 8] |= 1 << (node % 8);
		vacuum->ndead++;
	}
}

static bool
tid_is_dead(ItemPointer tid, void *context)
{
	HnswVacuum *vacuum = context;

	if (!omendb_tid_is_possible(tid))
		omendb_corrupt_page(vacuum->store.relation, vacuum->block,
							"A record has an impossible heap TID.");
	return vacuum->callback(tid, vacuum->callback_state);
}

/* Note what later steps need to know of the page. */
void
hnsw_note_page(HnswVacuum *vacuum, Page page, BlockNumber block)
{
	const OmendbLayout *layout = &vacuum->store.index->codec.layout;

	for (uint32 slot = 0; slot < layout->per_page; slot++)
	{
		OmendbRecord *record = omendb_page_record(layout, page, slot);
		OmendbNode node = omendb_block_node(layout, block, slot);

		if (record->kind == OMENDB_RECORD_OVERFLOW && omendb_record_overflow(record)->count == 0)
			hnsw_note_node(&vacuum->emptied, omendb_record_overflow(record)->owner);
		if (record->kind != OMENDB_RECORD_NODE)
			continue;
		if (record->flags & OMENDB_RECORD_DEAD)
			note_dead(vacuum, node);
		if (record->level > 0)
		{
			if (vacuum->nupper == vacuum->upper_capacity)
			{
				vacuum->upper_capacity *= 2;
				vacuum->upper =
					repalloc_huge(vacuum->upper, vacuum->upper_capacity * sizeof(HnswUpper));
			}
			vacuum->upper[vacuum->nupper++] = (HnswUpper){node, record->down, record->level};
		}
	}
}

/*
 * Remove the heap TIDs of the block's dead rows. Returns how many of its slots are free. An
 * exclusive lock is taken only where there is something to remove.
 */
static uint32
clean_block(HnswVacuum *vacuum, BlockNumber block, OmendbPageTids *counts)
{
	const OmendbLayout *layout = &vacuum->store.index->codec.layout;
	Buffer buffer = hnsw_vacuum_lock(vacuum, block, BUFFER_LOCK_SHARE);
	uint64 count;
	uint32 nfree;

	if (!BufferIsValid(buffer))
		return layout->per_page;
	vacuum->block = block;
	if (!omendb_page_has_dead_tids(&vacuum->store, buffer, tid_is_dead, vacuum, &count))
		counts->left += count;
	else
	{
		LockBuffer(buffer, BUFFER_LOCK_UNLOCK);
		LockBuffer(buffer, BUFFER_LOCK_EXCLUSIVE);
		omendb_page_remove_tids(&vacuum->store, buffer, tid_is_dead, vacuum, counts);
	}
	hnsw_note_page(vacuum, BufferGetPage(buffer), block);
	nfree = hnsw_count_free(layout, BufferGetPage(buffer));
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

/* Take empty overflow records out of their chains, and each chain once. */
static void
free_emptied(HnswVacuum *vacuum)
{
	HnswNodeList *emptied = &vacuum->emptied;

	if (emptied->n > 0)
		qsort(emptied->nodes, emptied->n, sizeof(OmendbNode), by_node);
	for (size_t i = 0; i < emptied->n; i++)
		if ((i == 0 || emptied->nodes[i] != emptied->nodes[i - 1]) &&
			omendb_record_free_empty(&vacuum->store, emptied->nodes[i]))
			note_dead(vacuum, emptied->nodes[i]);
}

/*
 * Remove the heap TIDs of all dead rows. The free space map gets to know every page with
 * free slots on the way: it does not survive a crash.
 */
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
		uint32 nfree = clean_block(vacuum, block, &counts);

		if (nfree > 0)
			RecordFreeIndexPage(vacuum->store.relation, block);
		stats->pages_free += nfree == layout->per_page;
		if (report)
			pgstat_progress_update_param(PROGRESS_SCAN_BLOCKS_DONE, block + 1);
	}
	free_emptied(vacuum);
	stats->tuples_removed += counts.removed;
	stats->num_index_tuples = counts.left;
}

int
hnsw_upper_by_level(const void *a, const void *b)
{
	const HnswUpper *x = a;
	const HnswUpper *y = b;

	if (x->level != y->level)
		return x->level < y->level ? -1 : 1;
	return x->node < y->node ? -1 : x->node > y->node;
}

void
hnsw_mark_upper_records(HnswVacuum *vacuum)
{
	/* ascending: a record's lower one is marked before it */
	qsort(vacuum->upper, vacuum->nupper, sizeof(HnswUpper), hnsw_upper_by_level);
	for (size_t i = 0; i < vacuum->nupper; i++)
	{
		HnswUpper *upper = &vacuum->upper[i];

		CHECK_FOR_INTERRUPTS();
		if (hnsw_vacuum_is_dead(vacuum, upper->down) && !hnsw_vacuum_is_dead(vacuum, upper->node))
		{
			omendb_record_mark_dead(&vacuum->store, upper->node, upper->level);
			note_dead(vacuum, upper->node);
		}
	}
}
