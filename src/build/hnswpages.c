/*
 * hnswpages.c
 *	  Writes the pages of a new index, from records in memory.
 *
 * The file is extended first. After that pages are independent of each other: each process of a
 * build takes some of them, copies records into shared buffers, and logs the pages as full
 * images.
 */
#include "build/hnswpages.h"

#include "access/xloginsert.h"
#include "compat.h"
#include "miscadmin.h"
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
