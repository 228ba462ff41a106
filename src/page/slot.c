/*
 * slot.c
 *	  Free slots of pages: finding them, extending the file, filling them.
 */
#include "page/slot.h"

#include "compat.h"
#include "miscadmin.h"
#include "storage/freespace.h"
#include "storage/indexfsm.h"
#include "utils/rel.h"

/* Free slots that are looked for, and what was found on the page that was looked at last. */
typedef struct Wanted
{
	uint32 slots;   /* adjacent ones */
	uint32 slot;    /* the first of the slots found */
	uint32 longest; /* the most adjacent free slots of the page, or `slots` if it has these */
} Wanted;

/* Look for the first of so many adjacent free slots. False if the page has none. */
static bool
find_free(const OmendbLayout *layout, Page page, Wanted *wanted)
{
	wanted->slot = omendb_page_find_free(layout, page, wanted->slots, &wanted->longest);
	return wanted->longest == wanted->slots;
}

/* Lock the block exclusively if it has the free slots; else InvalidBuffer. */
static Buffer
lock_if_free(OmendbStore *store, BlockNumber block, Wanted *wanted)
{
	Buffer buffer = ReadBuffer(store->relation, block);

	LockBuffer(buffer, BUFFER_LOCK_EXCLUSIVE);
	/* New: a crash came between extending the file and the page's first WAL record. */
	if (!PageIsNew(BufferGetPage(buffer)))
		omendb_store_check(store, buffer);
	if (find_free(&store->index->codec.layout, BufferGetPage(buffer), wanted))
		return buffer;
	UnlockReleaseBuffer(buffer);
	return InvalidBuffer;
}

/*
 * A block that has the free slots by the free space map, or InvalidBlockNumber. before: a block that has
 * not, wanted->longest says how many it has; or InvalidBlockNumber. The map of an index of spanning
 * records has the most adjacent free slots of each page, for a page that has too few of them for one
 * record may have enough for another. The map of other indexes has pages with a free slot, and forgets
 * a page that it returns.
 */
static BlockNumber
next_block(OmendbStore *store, BlockNumber before, const Wanted *wanted)
{
	const OmendbLayout *layout = &store->index->codec.layout;

	if (!layout->spans)
		return GetFreeIndexPage(store->relation);
	if (before == InvalidBlockNumber)
		return GetPageWithFreeSpace(store->relation, (Size) wanted->slots * layout->slot_bytes);
	return RecordAndGetPageWithFreeSpace(store->relation, before,
										 (Size) wanted->longest * layout->slot_bytes,
										 (Size) wanted->slots * layout->slot_bytes);
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

/* omendb_slot_lock_free for that many slots. */
static Buffer
lock_free(OmendbStore *store, Wanted *wanted)
{
	Relation relation = store->relation;
	const OmendbLayout *layout = &store->index->codec.layout;
	BlockNumber block = RelationGetTargetBlock(relation);
	BlockNumber blocks;
	Buffer buffer;

	if (block != InvalidBlockNumber)
	{
		buffer = lock_if_free(store, block, wanted);
		if (BufferIsValid(buffer))
			return buffer;
	}
	blocks = RelationGetNumberOfBlocks(relation);
	while ((block = next_block(store, block, wanted)) != InvalidBlockNumber)
	{
		/* The free space map is not crash-safe: the block may not exist. */
		if (block < OMENDB_FIRST_BLOCK || block >= blocks)
		{
			wanted->longest = 0;
			continue;
		}
		buffer = lock_if_free(store, block, wanted);
		if (BufferIsValid(buffer))
		{
			RelationSetTargetBlock(relation, block);
			return buffer;
		}
	}
	if (layout->per_page > 1 && blocks > OMENDB_FIRST_BLOCK)
	{
		buffer = lock_if_free(store, blocks - 1, wanted);
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
		if (!PageIsNew(BufferGetPage(buffer)))
			omendb_store_check(store, buffer);
		/* Before PostgreSQL 16 other backends may have filled the page before it was locked. */
		if (find_free(layout, BufferGetPage(buffer), wanted))
			return buffer;
		UnlockReleaseBuffer(buffer);
	}
}

Buffer
omendb_slot_lock_free(OmendbStore *store, const OmendbRecord *record, uint32 *slot)
{
	Wanted wanted = {.slots = omendb_record_slots(&store->index->codec.layout, record)};
	Buffer buffer = lock_free(store, &wanted);

	*slot = wanted.slot;
	return buffer;
}

bool
omendb_slot_is_free(const OmendbLayout *layout, Page page, uint32 slot, const OmendbRecord *record)
{
	uint32 slots = omendb_record_slots(layout, record);

	for (uint32 i = slot; i < slot + slots; i++)
		if (omendb_page_record(layout, page, i)->kind != OMENDB_RECORD_FREE)
			return false;
	return true;
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

/* Set whether slots of a registered page are inner ones. */
static void
set_inner(Page page, uint32 from, uint32 to, bool inner)
{
	uint8 *bits = omendb_page_inner(page);

	for (uint32 slot = from; slot < to; slot++)
		if (inner)
			bits[slot / 8] |= 1 << (slot % 8);
		else
			bits[slot / 8] &= ~(1 << (slot % 8));
}

void
omendb_slot_put(const OmendbLayout *layout, Page page, uint32 slot, const OmendbRecord *from)
{
	uint32 slots = omendb_record_slots(layout, from);

	memcpy(omendb_page_slot(layout, page, slot), from, omendb_record_size(layout, from));
	if (slots > 1)
		set_inner(page, slot + 1, slot + slots, true);
}

/*
 * A slot's version never becomes one that it had before, though the slot may be part of a record that
 * begins before it: a record's version is above those of all its slots, and omendb_slot_clear gives it
 * to all of them.
 */
void
omendb_slot_fill(const OmendbLayout *layout, Page page, uint32 slot, const OmendbRecord *from)
{
	OmendbRecord *to = omendb_page_slot(layout, page, slot);
	uint32 slots = omendb_record_slots(layout, from);
	uint32 version = to->version;
	uint16 incarnation = to->incarnation;

	for (uint32 i = slot + 1; i < slot + slots; i++)
	{
		const OmendbRecord *covered = omendb_page_slot(layout, page, i);

		version = Max(version, covered->version);
		incarnation = Max(incarnation, covered->incarnation);
	}
	omendb_slot_put(layout, page, slot, from);
	to->version = version + 1;
	to->incarnation = incarnation + 1;
}

void
omendb_slot_clear(const OmendbLayout *layout, Page page, uint32 slot)
{
	OmendbRecord *record = omendb_page_slot(layout, page, slot);
	uint32 slots = omendb_page_slots(layout, page, slot);
	uint32 version = record->version + 1;
	uint16 incarnation = record->incarnation;

	memset(record, 0, (Size) slots * layout->slot_bytes);
	for (uint32 i = slot; i < slot + slots; i++)
	{
		omendb_page_slot(layout, page, i)->version = version;
		omendb_page_slot(layout, page, i)->incarnation = incarnation;
	}
	if (slots > 1)
		set_inner(page, slot + 1, slot + slots, false);
}
