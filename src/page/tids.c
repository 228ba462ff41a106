/*
 * tids.c
 *	  Changes of heap TIDs, in nodes and in overflow records.
 *
 * A node has up to OMENDB_INLINE_TIDS heap TIDs, then a chain of overflow records. A new overflow
 * record becomes the head of the chain.
 */
#include "page/tids.h"

#include "access/generic_xlog.h"
#include "compat.h"
#include "miscadmin.h"
#include "page/slot.h"
#include "storage/freespace.h"
#include "utils/rel.h"

/* The node's record on its locked page, or NULL if it is not a live node with the vector of `like`. */
static OmendbRecord *
same_vector(OmendbStore *store, Buffer buffer, OmendbNode node, const OmendbRecord *like)
{
	const OmendbCodec *codec = &store->index->codec;
	OmendbRecord *record = omendb_store_record(store, buffer, node);

	if (record->kind == OMENDB_RECORD_NODE && record->level == 0 &&
		!(record->flags & OMENDB_RECORD_DEAD) && record->identity[0] == like->identity[0] &&
		record->identity[1] == like->identity[1] && omendb_own_equal(codec, record, like))
		return record;
	return NULL;
}

static void
add_inline_tid(OmendbRecord *record, ItemPointer tid)
{
	memcpy(record->tids + record->ntids * OMENDB_TID_BYTES, tid, OMENDB_TID_BYTES);
	record->ntids++;
	record->version++;
}

/* Lock a page exclusively. It has a node or an overflow record, so it is not new. */
static void
lock_page(OmendbStore *store, Buffer buffer)
{
	LockBuffer(buffer, BUFFER_LOCK_EXCLUSIVE);
	omendb_store_check(store, buffer);
}

/* Check that the record is an overflow record of that node; else an error. */
static void
check_overflow(OmendbStore *store, BlockNumber block, OmendbRecord *record, OmendbNode owner,
			   uint16 incarnation)
{
	const OmendbOverflow *overflow = omendb_record_overflow(record);

	if (record->kind != OMENDB_RECORD_OVERFLOW || overflow->owner != owner ||
		overflow->owner_incarnation != incarnation)
		omendb_corrupt_page(store->relation, block,
							"An overflow record does not belong to the node that names it.");
}

/*
 * Add the TID to the overflow record at the head of the node's chain; *added is false if it is full.
 * Returns false, with no change, if the node has changed meanwhile.
 */
static bool
add_to_overflow(OmendbStore *store, OmendbNode node, const OmendbRecord *like, OmendbNode head,
				ItemPointer tid, bool *added)
{
	const OmendbCodec *codec = &store->index->codec;
	const OmendbLayout *layout = &codec->layout;
	BlockNumber node_block = omendb_node_block(layout, node);
	BlockNumber head_block = omendb_node_block(layout, head);
	Buffer first = omendb_store_read(store, Min(node_block, head_block));
	Buffer second = node_block == head_block
						? InvalidBuffer
						: omendb_store_read(store, Max(node_block, head_block));
	Buffer head_buffer;
	OmendbRecord *owner;
	OmendbRecord *record;
	OmendbOverflow *overflow;
	bool good;

	lock_page(store, first);
	if (BufferIsValid(second))
		lock_page(store, second);
	head_buffer = head_block > node_block ? second : first;
	owner = same_vector(store, node_block > head_block ? second : first, node, like);
	good = owner != NULL && owner->overflow == head;
	*added = false;
	if (good)
	{
		record = omendb_store_record(store, head_buffer, head);
		overflow = omendb_record_overflow(record);
		check_overflow(store, head_block, record, node, owner->incarnation);
		if (overflow->count < omendb_overflow_capacity(layout))
		{
			GenericXLogState *state = GenericXLogStart(store->relation);
			Page page = GenericXLogRegisterBuffer(state, head_buffer, 0);

			record = omendb_page_record(layout, page, head % layout->per_page);
			overflow = omendb_record_overflow(record);
			overflow->tids[overflow->count++] = *tid;
			record->version++;
			GenericXLogFinish(state);
			*added = true;
		}
	}
	if (BufferIsValid(second))
		UnlockReleaseBuffer(second);
	UnlockReleaseBuffer(first);
	return good;
}

/*
 * Put a new overflow record with the TID at the head of the node's chain. False, with no change, if
 * the node has changed meanwhile.
 */
static bool
add_overflow_record(OmendbStore *store, OmendbNode node, const OmendbRecord *like,
					OmendbNode old_head, ItemPointer tid)
{
	const OmendbCodec *codec = &store->index->codec;
	const OmendbLayout *layout = &codec->layout;
	BlockNumber node_block = omendb_node_block(layout, node);
	OmendbRecord *fresh = palloc0(layout->record_bytes);
	uint32 slot;
	Buffer slot_buffer;
	BlockNumber slot_block;
	Buffer node_buffer;
	OmendbRecord *owner;
	bool good;

	fresh->kind = OMENDB_RECORD_OVERFLOW;
	slot_buffer = omendb_slot_lock_free(store, fresh, &slot);
	slot_block = BufferGetBlockNumber(slot_buffer);
	if (slot_block == node_block)
		node_buffer = slot_buffer;
	else
	{
		node_buffer = omendb_store_read(store, node_block);
		if (node_block < slot_block)
		{
			/* Lock in ascending order of blocks. The slot is checked again below. */
			LockBuffer(slot_buffer, BUFFER_LOCK_UNLOCK);
			lock_page(store, node_buffer);
			LockBuffer(slot_buffer, BUFFER_LOCK_EXCLUSIVE);
		}
		else
			lock_page(store, node_buffer);
	}
	owner = same_vector(store, node_buffer, node, like);
	good = owner != NULL && owner->overflow == old_head &&
		   omendb_slot_is_free(layout, BufferGetPage(slot_buffer), slot, fresh);
	if (good)
	{
		GenericXLogState *state = GenericXLogStart(store->relation);
		Page slot_page = omendb_slot_register(state, slot_buffer);
		Page node_page = node_buffer == slot_buffer
							 ? slot_page
							 : GenericXLogRegisterBuffer(state, node_buffer, 0);
		OmendbOverflow *overflow = omendb_record_overflow(fresh);

		owner = omendb_page_record(layout, node_page, node % layout->per_page);
		fresh->down = OMENDB_NO_NODE;
		fresh->overflow = old_head;
		overflow->owner = node;
		overflow->owner_incarnation = owner->incarnation;
		overflow->tids[overflow->count++] = *tid;
		omendb_slot_fill(layout, slot_page, slot, fresh);
		owner->overflow = omendb_block_node(layout, slot_block, slot);
		owner->version++;
		GenericXLogFinish(state);
	}
	if (node_buffer != slot_buffer)
		UnlockReleaseBuffer(node_buffer);
	UnlockReleaseBuffer(slot_buffer);
	pfree(fresh);
	return good;
}

bool
omendb_record_add_tid(OmendbStore *store, OmendbNode node, const OmendbRecord *like,
					  ItemPointer tid)
{
	const OmendbCodec *codec = &store->index->codec;
	const OmendbLayout *layout = &codec->layout;

	for (;;)
	{
		Buffer buffer;
		OmendbRecord *record;
		OmendbNode head;
		bool added;

		CHECK_FOR_INTERRUPTS();
		buffer = omendb_store_lock_node(store, node, BUFFER_LOCK_EXCLUSIVE);
		record = same_vector(store, buffer, node, like);
		if (!record)
		{
			UnlockReleaseBuffer(buffer);
			return false;
		}
		if (record->ntids < OMENDB_INLINE_TIDS)
		{
			GenericXLogState *state = GenericXLogStart(store->relation);
			Page page = GenericXLogRegisterBuffer(state, buffer, 0);

			add_inline_tid(omendb_page_record(layout, page, node % layout->per_page), tid);
			GenericXLogFinish(state);
			UnlockReleaseBuffer(buffer);
			return true;
		}
		head = record->overflow;
		UnlockReleaseBuffer(buffer);
		if (head != OMENDB_NO_NODE)
		{
			if (!add_to_overflow(store, node, like, head, tid, &added))
				continue;
			if (added)
				return true;
		}
		if (add_overflow_record(store, node, like, head, tid))
			return true;
	}
}

/* Copy the TIDs for which dead() is false to living[]. Returns their number. */
static uint32
copy_living(const uint8 *tids, uint32 n, bool (*dead)(ItemPointer tid, void *context),
			void *context, uint8 *living)
{
	uint32 left = 0;

	for (uint32 i = 0; i < n; i++)
	{
		ItemPointerData tid;

		omendb_tid_load(tids + i * OMENDB_TID_BYTES, &tid);
		if (!dead(&tid, context))
			memcpy(living + left++ * OMENDB_TID_BYTES, tids + i * OMENDB_TID_BYTES,
				   OMENDB_TID_BYTES);
	}
	return left;
}

/* Set *tids to the heap TIDs of a node of level 0 or an overflow record. Returns their number. */
static uint32
record_tids(OmendbStore *store, Buffer buffer, OmendbRecord *record, uint8 **tids)
{
	const OmendbLayout *layout = &store->index->codec.layout;

	if (record->kind == OMENDB_RECORD_NODE && record->level == 0)
	{
		*tids = record->tids;
		if (record->ntids > OMENDB_INLINE_TIDS)
			omendb_corrupt_page(store->relation, BufferGetBlockNumber(buffer),
								"A record has too many heap TIDs.");
		return record->ntids;
	}
	if (record->kind == OMENDB_RECORD_OVERFLOW)
	{
		OmendbOverflow *overflow = omendb_record_overflow(record);

		*tids = (uint8 *) overflow->tids;
		if (overflow->count > omendb_overflow_capacity(layout))
			omendb_corrupt_page(store->relation, BufferGetBlockNumber(buffer),
								"An overflow record has too many heap TIDs.");
		return overflow->count;
	}
	return 0;
}

bool
omendb_page_has_dead_tids(OmendbStore *store, Buffer buffer,
						  bool (*dead)(ItemPointer tid, void *context), void *context,
						  uint64 *count)
{
	const OmendbLayout *layout = &store->index->codec.layout;

	*count = 0;
	for (uint32 slot = 0; slot < layout->per_page; slot++)
	{
		uint8 *tids;
		uint32 n = record_tids(store, buffer,
							   omendb_page_record(layout, BufferGetPage(buffer), slot), &tids);

		for (uint32 i = 0; i < n; i++)
		{
			ItemPointerData tid;

			omendb_tid_load(tids + i * OMENDB_TID_BYTES, &tid);
			if (dead(&tid, context))
				return true;
		}
		*count += n;
	}
	return false;
}

void
omendb_page_remove_tids(OmendbStore *store, Buffer buffer,
						bool (*dead)(ItemPointer tid, void *context), void *context,
						OmendbPageTids *counts)
{
	const OmendbLayout *layout = &store->index->codec.layout;
	GenericXLogState *state = NULL;
	Page page = BufferGetPage(buffer);

	for (uint32 slot = 0; slot < layout->per_page; slot++)
	{
		OmendbRecord *record = omendb_page_record(layout, page, slot);
		uint8 living[BLCKSZ];
		uint8 *tids;
		uint32 n = record_tids(store, buffer, record, &tids);
		uint32 left = copy_living(tids, n, dead, context, living);

		counts->left += left;
		counts->removed += n - left;
		if (left == n)
			continue;
		if (!state)
		{
			state = GenericXLogStart(store->relation);
			page = GenericXLogRegisterBuffer(state, buffer, 0);
			record = omendb_page_record(layout, page, slot);
			record_tids(store, buffer, record, &tids);
		}
		memcpy(tids, living, left * OMENDB_TID_BYTES);
		memset(tids + left * OMENDB_TID_BYTES, 0, (n - left) * OMENDB_TID_BYTES);
		record->version++;
		if (record->kind == OMENDB_RECORD_OVERFLOW)
			omendb_record_overflow(record)->count = left;
		else
		{
			record->ntids = left;
			if (left == 0 && record->overflow == OMENDB_NO_NODE)
				record->flags |= OMENDB_RECORD_DEAD;
		}
	}
	if (state)
		GenericXLogFinish(state);
}

/* Mark a heap TID among n. False if it is not among them, or marked already. */
static bool
mark_tid(uint8 *tids, uint32 n, const ItemPointerData *dead)
{
	for (uint32 i = 0; i < n; i++)
	{
		ItemPointerData tid;
		bool marked = omendb_tid_load(tids + i * OMENDB_TID_BYTES, &tid);

		if (!ItemPointerEquals(&tid, unconstify(ItemPointerData *, dead)))
			continue;
		if (marked)
			return false;
		tid.ip_posid |= OMENDB_TID_MARK;
		memcpy(tids + i * OMENDB_TID_BYTES, &tid, OMENDB_TID_BYTES);
		return true;
	}
	return false;
}

/* Mark n TIDs, all of records of one page. */
static void
mark_on_page(OmendbStore *store, const OmendbDeadTid *dead, size_t n)
{
	const OmendbLayout *layout = &store->index->codec.layout;
	Buffer buffer = omendb_store_lock_node(store, dead->record, BUFFER_LOCK_EXCLUSIVE);
	GenericXLogState *state = GenericXLogStart(store->relation);
	Page page = GenericXLogRegisterBuffer(state, buffer, 0);
	bool changed = false;

	for (size_t i = 0; i < n; i++)
	{
		OmendbRecord *record = omendb_page_record(layout, page, dead[i].record % layout->per_page);
		uint8 *tids;

		if (record->version == dead[i].version)
		{
			uint32 count = record_tids(store, buffer, record, &tids);

			changed |= mark_tid(tids, count, &dead[i].tid);
		}
	}
	if (changed)
		GenericXLogFinish(state);
	else
		GenericXLogAbort(state);
	UnlockReleaseBuffer(buffer);
}

static int
by_record(const void *a, const void *b)
{
	const OmendbDeadTid *x = a;
	const OmendbDeadTid *y = b;

	return x->record < y->record ? -1 : x->record > y->record;
}

void
omendb_mark_tids(OmendbStore *store, OmendbDeadTid *dead, size_t n)
{
	const OmendbLayout *layout = &store->index->codec.layout;
	size_t end;

	qsort(dead, n, sizeof(OmendbDeadTid), by_record);
	for (size_t at = 0; at < n; at = end)
	{
		BlockNumber block = omendb_node_block(layout, dead[at].record);

		CHECK_FOR_INTERRUPTS();
		for (end = at; end < n && omendb_node_block(layout, dead[end].record) == block;)
			end++;
		mark_on_page(store, dead + at, end - at);
	}
}

/*
 * Read the overflow record that follows `at`, a node or an overflow record of its chain. False if
 * there is none. *dead: `at` is a dead node.
 */
static bool
read_next(OmendbStore *store, OmendbNode at, OmendbNode *next, bool *dead)
{
	Buffer buffer = omendb_store_lock_node(store, at, BUFFER_LOCK_SHARE);
	const OmendbRecord *record = omendb_store_record(store, buffer, at);

	*next = OMENDB_NO_NODE;
	if (record->kind != OMENDB_RECORD_FREE && record->level == 0)
		*next = record->overflow;
	*dead = record->kind == OMENDB_RECORD_NODE && (record->flags & OMENDB_RECORD_DEAD);
	UnlockReleaseBuffer(buffer);
	return *next != OMENDB_NO_NODE;
}

/*
 * Remove the overflow record `at` from a node's chain and free it, if it is empty: *freed. before:
 * the node, or the overflow record in front of `at`. *dead is set if the node becomes dead. False,
 * with no change, if `at` does not follow `before` any more.
 */
static bool
free_empty(OmendbStore *store, OmendbNode node, OmendbNode before, OmendbNode at, bool *freed,
		   bool *dead)
{
	const OmendbLayout *layout = &store->index->codec.layout;
	BlockNumber before_block = omendb_node_block(layout, before);
	BlockNumber at_block = omendb_node_block(layout, at);
	Buffer first = omendb_store_read(store, Min(before_block, at_block));
	Buffer second = before_block == at_block
						? InvalidBuffer
						: omendb_store_read(store, Max(before_block, at_block));
	Buffer before_buffer = before_block > at_block ? second : first;
	Buffer at_buffer = at_block > before_block ? second : first;
	OmendbRecord *owner;
	OmendbRecord *record;
	Size space;
	bool good;

	lock_page(store, first);
	if (BufferIsValid(second))
		lock_page(store, second);
	owner = omendb_store_record(store, before_buffer, before);
	record = omendb_store_record(store, at_buffer, at);
	*freed = false;
	good = owner->overflow == at;
	if (good)
	{
		check_overflow(store, at_block, record, node,
					   before == node ? owner->incarnation
									  : omendb_record_overflow(owner)->owner_incarnation);
		*freed = omendb_record_overflow(record)->count == 0;
	}
	if (*freed)
	{
		GenericXLogState *state = GenericXLogStart(store->relation);
		Page before_page = GenericXLogRegisterBuffer(state, before_buffer, 0);
		Page at_page = at_buffer == before_buffer ? before_page
												  : GenericXLogRegisterBuffer(state, at_buffer, 0);

		owner = omendb_page_record(layout, before_page, before % layout->per_page);
		record = omendb_page_record(layout, at_page, at % layout->per_page);
		owner->version++;
		owner->overflow = record->overflow;
		omendb_slot_clear(layout, at_page, at % layout->per_page);
		if (before == node && owner->ntids == 0 && owner->overflow == OMENDB_NO_NODE)
		{
			owner->flags |= OMENDB_RECORD_DEAD;
			*dead = true;
		}
		GenericXLogFinish(state);
	}
	space = omendb_page_free_space(layout, BufferGetPage(at_buffer));
	if (BufferIsValid(second))
		UnlockReleaseBuffer(second);
	UnlockReleaseBuffer(first);
	if (*freed)
		RecordPageWithFreeSpace(store->relation, at_block, space);
	return good;
}

bool
omendb_record_free_empty(OmendbStore *store, OmendbNode node)
{
	const OmendbLayout *layout = &store->index->codec.layout;
	uint64 most = (uint64) RelationGetNumberOfBlocks(store->relation) * layout->per_page;
	OmendbNode before = node;
	OmendbNode at;
	bool dead;

	for (uint64 steps = 0; read_next(store, before, &at, &dead); steps++)
	{
		bool freed;

		omendb_vacuum_delay_point(); /* checks for interrupts, too */
		if (steps > 2 * most)
			omendb_corrupt_page(store->relation, omendb_node_block(layout, node),
								"A chain of overflow records has no end.");
		if (!free_empty(store, node, before, at, &freed, &dead))
			before = node;
		else if (!freed)
			before = at;
	}
	return before == node && dead;
}
