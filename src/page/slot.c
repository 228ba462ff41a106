/*
 * slot.c
 *	  Free slots of pages: finding one, extending the file, filling one.
 */
#include "page/slot.h"

#include "compat.h"
#include "miscadmin.h"
#include "storage/freespace.h"
#include "storage/indexfsm.h"
#include "utils/rel.h"

/* The first free slot of a page, or per_page. */
static uint32
free_slot(const OmendbLayout *layout, Page page)
{
	for (uint32 slot = 0; slot < layout->per_page; slot++)
		if (omendb_page_record(layout, page, slot)->kind == OMENDB_RECORD_FREE)
			return slot;
	return layout->per_page;
}

/* Lock the block exclusively if it has a free slot; else InvalidBuffer. */
static Buffer
lock_if_free(OmendbStore *store, BlockNumber block, uint32 *slot)
{
	const OmendbLayout *layout = &store->index->codec.layout;
	Buffer buffer = ReadBuffer(store->relation, block);
	Page page;

	LockBuffer(buffer, BUFFER_LOCK_EXCLUSIVE);
	page = BufferGetPage(buffer);
	/* New: a crash came between extending the file and the page's first WAL record. */
	if (PageIsNew(page))
		*slot = 0;
	else
	{
		omendb_store_check(store, buffer);
		*slot = free_slot(layout, page);
	}
	if (*slot < layout->per_page)
		return buffer;
	UnlockReleaseBuffer(buffer);
	return InvalidBuffer;
}

/*
 * Raise an error if there are no node numbers for another block. Called before the file is extended,
 * because otherwise each insert that fails would leave a page. The extension lock is not held, so every
 * other backend may extend the file by a block between its check and this one's extension.
 */
static void
check_capacity(OmendbStore *store)
{
	BlockNumber blocks = RelationGetNumberOfBlocks(store->relation);

	if (blocks > MaxBlockNumber - MaxBackends ||
		!omendb_block_has_numbers(&store->index->codec.layout, blocks + MaxBackends))
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("hnsw index \"%s\" cannot have more than %u records",
							   RelationGetRelationName(store->relation), OMENDB_MAX_NODE)));
}

Buffer
omendb_slot_lock_free(OmendbStore *store, uint32 *slot)
{
	Relation relation = store->relation;
	const OmendbLayout *layout = &store->index->codec.layout;
	BlockNumber block = RelationGetTargetBlock(relation);
	BlockNumber blocks;
	Buffer buffer;

	if (block != InvalidBlockNumber)
	{
		buffer = lock_if_free(store, block, slot);
		if (BufferIsValid(buffer))
			return buffer;
	}
	blocks = RelationGetNumberOfBlocks(relation);
	while ((block = GetFreeIndexPage(relation)) != InvalidBlockNumber)
	{
		/* The free space map is not crash-safe: the block may not exist. */
		if (block < OMENDB_FIRST_BLOCK || block >= blocks)
			continue;
		buffer = lock_if_free(store, block, slot);
		if (BufferIsValid(buffer))
		{
			RelationSetTargetBlock(relation, block);
			return buffer;
		}
	}
	if (layout->per_page > 1 && blocks > OMENDB_FIRST_BLOCK)
	{
		buffer = lock_if_free(store, blocks - 1, slot);
		if (BufferIsValid(buffer))
		{
			RelationSetTargetBlock(relation, blocks - 1);
			return buffer;
		}
	}
	for (;;)
	{
		check_capacity(store);
		buffer = omendb_extend(relation, MAIN_FORKNUM, RELATION_IS_LOCAL(relation));
		block = BufferGetBlockNumber(buffer);
		RelationSetTargetBlock(relation, block);
		*slot = 0;
		if (!PageIsNew(BufferGetPage(buffer)))
		{
			omendb_store_check(store, buffer);
			*slot = free_slot(layout, BufferGetPage(buffer));
		}
		/* Before PostgreSQL 16 other backends may have filled the page before it was locked. */
		if (*slot < layout->per_page)
			return buffer;
		UnlockReleaseBuffer(buffer);
	}
}

Page
omendb_slot_register(GenericXLogState *state, Buffer buffer)
{
	bool fresh = PageIsNew(BufferGetPage(buffer));
	Page page = GenericXLogRegisterBuffer(state, buffer, fresh ? GENERIC_XLOG_FULL_IMAGE : 0);

	if (fresh)
		omendb_page_init(page, OMENDB_PAGE_RECORDS);
	return page;
}

void
omendb_slot_fill(const OmendbLayout *layout, OmendbRecord *to, const OmendbRecord *from)
{
	uint32 version = to->version + 1;
	uint16 incarnation = to->incarnation + 1;

	memcpy(to, from, layout->record_bytes);
	to->version = version;
	to->incarnation = incarnation;
}
