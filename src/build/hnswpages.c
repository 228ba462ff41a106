/*
 * hnswpages.c
 *	  Writes the pages of a new index, from records in memory.
 *
 * The file is extended first. After that pages are independent of each other: each process of a
 * build takes some of them, copies records into shared buffers, and logs the pages as full
 * images. Pages of spanning records, of small tables, are written one after another.
 */
#include "build/hnswpages.h"

#include "access/xloginsert.h"
#include "compat.h"
#include "miscadmin.h"
#include "page/slot.h"
#include "storage/bufmgr.h"
#include "storage/smgr.h"

/* Blocks of a position: as many as a WAL record may have images. */
#define BLOCKS_AT_A_TIME 32

/* Maximum number of blocks that the file is extended by at a time. */
#define EXTENDED_AT_A_TIME 256

void
hnsw_write_meta(Relation index, ForkNumber fork, const OmendbMetaPage *meta)
{
	Buffer buffer = omendb_extend(index, fork, true);
	Page page = BufferGetPage(buffer);

	Assert(BufferGetBlockNumber(buffer) == OMENDB_META_BLOCK);
	START_CRIT_SECTION();
	omendb_page_init(page, OMENDB_PAGE_META);
	*omendb_page_meta(page) = *meta;
	MarkBufferDirty(buffer);
	/* The init fork is copied after a crash, so it is always logged. */
	if (fork == INIT_FORKNUM || RelationNeedsWAL(index))
		log_newpage_buffer(buffer, false);
	END_CRIT_SECTION();
	UnlockReleaseBuffer(buffer);
}

void
hnsw_rewrite_meta(Relation index, const OmendbMetaPage *meta)
{
	Buffer buffer = ReadBuffer(index, OMENDB_META_BLOCK);

	LockBuffer(buffer, BUFFER_LOCK_EXCLUSIVE);
	START_CRIT_SECTION();
	*omendb_page_meta(BufferGetPage(buffer)) = *meta;
	MarkBufferDirty(buffer);
	if (RelationNeedsWAL(index))
		log_newpage_buffer(buffer, false);
	END_CRIT_SECTION();
	UnlockReleaseBuffer(buffer);
}

/* Number of blocks for that many records. */
static uint32
blocks_for(const OmendbLayout *layout, uint32 records)
{
	return (uint32) (((uint64) records + layout->per_page - 1) / layout->per_page);
}

/* Not through shared buffers: pages would be evicted as zeros before the processes write them. */
void
hnsw_extend_for(Relation index, const OmendbLayout *layout, BlockNumber from, uint32 records)
{
	BlockNumber end = from + blocks_for(layout, records);

	for (BlockNumber block = from; block < end; block += EXTENDED_AT_A_TIME)
	{
		CHECK_FOR_INTERRUPTS();
		omendb_extend_by_zeros(RelationGetSmgr(index), MAIN_FORKNUM, block,
							   Min(EXTENDED_AT_A_TIME, end - block));
	}
}

uint32
hnsw_write_positions(const OmendbLayout *layout, uint32 records)
{
	return (blocks_for(layout, records) + BLOCKS_AT_A_TIME - 1) / BLOCKS_AT_A_TIME;
}

uint32
hnsw_records_written(const OmendbLayout *layout, uint32 records, uint32 positions)
{
	return (uint32) Min((uint64) positions * BLOCKS_AT_A_TIME * layout->per_page, records);
}

void
hnsw_write_position(Relation index, const OmendbArray *array, BlockNumber first, uint32 position)
{
	const OmendbLayout *layout = &array->codec->layout;
	uint32 blocks = blocks_for(layout, array->n);
	uint32 from = position * BLOCKS_AT_A_TIME;
	uint32 to = Min(from + BLOCKS_AT_A_TIME, blocks);

	for (uint32 i = from; i < to; i++)
	{
		Buffer buffer = ReadBufferExtended(index, MAIN_FORKNUM, first + i, RBM_ZERO_AND_LOCK, NULL);
		Page page = BufferGetPage(buffer);
		OmendbNode node = i * layout->per_page;

		CHECK_FOR_INTERRUPTS();
		omendb_page_init(page, OMENDB_PAGE_RECORDS);
		for (uint32 slot = 0; slot < layout->per_page && node < array->n; slot++, node++)
			memcpy(omendb_page_record(layout, page, slot), omendb_array_record(array, node),
				   layout->record_bytes);
		MarkBufferDirty(buffer);
		UnlockReleaseBuffer(buffer);
	}
	if (RelationNeedsWAL(index))
		log_newpage_range(index, MAIN_FORKNUM, first + from, first + to, false);
}

/* Give spanning records the numbers of the slots that they begin in, page by page. */
static OmendbNode *
number_spans(const OmendbArray *array)
{
	const OmendbLayout *layout = &array->codec->layout;
	OmendbNode *numbers = palloc_extended(array->n * sizeof(OmendbNode) + 1, MCXT_ALLOC_HUGE);
	OmendbNode next = 0;

	for (OmendbNode node = 0; node < array->n; node++)
	{
		uint32 slots = omendb_record_slots(layout, omendb_array_record(array, node));

		if (next % layout->per_page + slots > layout->per_page)
			next = (next / layout->per_page + 1) * layout->per_page;
		numbers[node] = next;
		next += slots;
	}
	return numbers;
}

/* Replace the numbers that a record has of others. */
static void
renumber(const OmendbLayout *layout, OmendbRecord *record, const OmendbNode *numbers)
{
	OmendbNode *neighbours = omendb_record_neighbours(layout, record);

	if (record->overflow != OMENDB_NO_NODE)
		record->overflow = numbers[record->overflow];
	if (record->kind == OMENDB_RECORD_OVERFLOW)
	{
		OmendbOverflow *overflow = omendb_record_overflow(record);

		overflow->owner = numbers[overflow->owner];
		return;
	}
	if (record->down != OMENDB_NO_NODE)
		record->down = numbers[record->down];
	for (uint32 i = 0; i < record->count; i++)
		neighbours[i] = numbers[neighbours[i]];
}

void
hnsw_write_spans(Relation index, const OmendbArray *array, OmendbMetaPage *meta)
{
	const OmendbLayout *layout = &array->codec->layout;
	OmendbNode *numbers = number_spans(array);
	OmendbNode node = 0;

	if (meta->entry != OMENDB_NO_NODE)
		meta->entry = numbers[meta->entry];
	hnsw_write_meta(index, MAIN_FORKNUM, meta);
	while (node < array->n)
	{
		Buffer buffer = omendb_extend(index, MAIN_FORKNUM, true);
		BlockNumber block = BufferGetBlockNumber(buffer);
		Page page = BufferGetPage(buffer);

		CHECK_FOR_INTERRUPTS();
		START_CRIT_SECTION();
		omendb_page_init(page, OMENDB_PAGE_RECORDS);
		for (; node < array->n && omendb_node_block(layout, numbers[node]) == block; node++)
		{
			OmendbRecord *record = omendb_array_record(array, node);

			renumber(layout, record, numbers);
			omendb_slot_put(layout, page, numbers[node] % layout->per_page, record);
		}
		MarkBufferDirty(buffer);
		if (RelationNeedsWAL(index))
			log_newpage_buffer(buffer, false);
		END_CRIT_SECTION();
		UnlockReleaseBuffer(buffer);
	}
	pfree(numbers);
}
