/*
 * change.c
 *	  Changes of records and of the metapage, each WAL-logged.
 */
#include "page/change.h"

#include "access/generic_xlog.h"
#include "page/slot.h"
#include "utils/rel.h"

OmendbNode
omendb_record_put(OmendbStore *store, const OmendbRecord *record)
{
	const OmendbLayout *layout = &store->index->codec.layout;
	uint32 slot;
	Buffer buffer = omendb_slot_lock_free(store, record, &slot);
	BlockNumber block = BufferGetBlockNumber(buffer);
	GenericXLogState *state = GenericXLogStart(store->relation);
	Page page = omendb_slot_register(state, buffer);

	omendb_slot_fill(layout, page, slot, record);
	GenericXLogFinish(state);
	UnlockReleaseBuffer(buffer);
	return omendb_block_node(layout, block, slot);
}

uint32
omendb_records_put(OmendbStore *store, const OmendbRecord *const *records, uint32 n,
				   OmendbNode *nodes)
{
	const OmendbLayout *layout = &store->index->codec.layout;
	uint32 slot;
	uint32 count = 0;
	Buffer buffer = omendb_slot_lock_free(store, records[0], &slot);
	BlockNumber block = BufferGetBlockNumber(buffer);
	GenericXLogState *state = GenericXLogStart(store->relation);
	Page page = omendb_slot_register(state, buffer);

	Assert(!layout->spans);
	for (; count < n && slot < layout->per_page; slot++)
	{
		if (omendb_page_record(layout, page, slot)->kind != OMENDB_RECORD_FREE)
			continue;
		omendb_slot_fill(layout, page, slot, records[count]);
		nodes[count++] = omendb_block_node(layout, block, slot);
	}
	GenericXLogFinish(state);
	UnlockReleaseBuffer(buffer);
	return count;
}

/* Lock the metapage exclusively if `entry` is the entry point; else InvalidBuffer. */
static Buffer
lock_entry(OmendbStore *store, OmendbNode entry)
{
	Buffer buffer = ReadBuffer(store->relation, OMENDB_META_BLOCK);

	LockBuffer(buffer, BUFFER_LOCK_EXCLUSIVE);
	omendb_store_check_meta(store, buffer);
	if (omendb_page_meta(BufferGetPage(buffer))->entry == entry)
		return buffer;
	UnlockReleaseBuffer(buffer);
	return InvalidBuffer;
}

static void
register_entry(GenericXLogState *state, Buffer buffer, OmendbNode node, unsigned level)
{
	OmendbMetaPage *meta = omendb_page_meta(GenericXLogRegisterBuffer(state, buffer, 0));

	meta->entry = node;
	meta->entry_level = level;
}

bool
omendb_record_put_entry(OmendbStore *store, const OmendbRecord *record, OmendbNode old,
						OmendbNode *node)
{
	const OmendbLayout *layout = &store->index->codec.layout;
	uint32 slot;
	Buffer buffer = omendb_slot_lock_free(store, record, &slot);
	Buffer meta_buffer = lock_entry(store, old);

	if (BufferIsValid(meta_buffer))
	{
		GenericXLogState *state = GenericXLogStart(store->relation);
		Page page = omendb_slot_register(state, buffer);

		*node = omendb_block_node(layout, BufferGetBlockNumber(buffer), slot);
		omendb_slot_fill(layout, page, slot, record);
		register_entry(state, meta_buffer, *node, record->level);
		GenericXLogFinish(state);
		UnlockReleaseBuffer(meta_buffer);
	}
	UnlockReleaseBuffer(buffer);
	return BufferIsValid(meta_buffer);
}

/* omendb_record_size or omendb_head_size. */
typedef uint32_t (*SizeOfRecord)(const OmendbLayout *layout, const OmendbRecord *record);

/* Copy the first bytes of a record from a locked page, and unlock the page. */
static inline bool
copy_locked(OmendbStore *store, Buffer buffer, OmendbNode node, unsigned level, OmendbRecord *out,
			SizeOfRecord size)
{
	const OmendbRecord *record = omendb_store_record(store, buffer, node);
	bool good = record->kind == OMENDB_RECORD_NODE && record->level == level;

	if (good)
		memcpy(out, record, size(&store->index->codec.layout, record));
	UnlockReleaseBuffer(buffer);
	return good;
}

static inline bool
copy_record(OmendbStore *store, OmendbNode node, unsigned level, OmendbRecord *out,
			SizeOfRecord size)
{
	return copy_locked(store, omendb_store_lock_node(store, node, BUFFER_LOCK_SHARE), node, level,
					   out, size);
}

bool
omendb_record_copy(OmendbStore *store, OmendbNode node, unsigned level, OmendbRecord *out)
{
	return copy_record(store, node, level, out, omendb_record_size);
}

bool
omendb_record_copy_edges(OmendbStore *store, OmendbNode node, unsigned level, OmendbRecord *out)
{
	const OmendbLayout *layout = &store->index->codec.layout;
	Buffer buffer = omendb_store_lock_node(store, node, BUFFER_LOCK_SHARE);
	const OmendbRecord *record = omendb_store_record(store, buffer, node);
	bool good = record->kind == OMENDB_RECORD_NODE && record->level == level;

	if (good)
	{
		memcpy(out, record, sizeof(OmendbRecord));
		memcpy(omendb_record_neighbours(layout, out), omendb_record_neighbours(layout, record),
			   Min(record->count, layout->edges) * sizeof(OmendbNode));
	}
	UnlockReleaseBuffer(buffer);
	return good;
}

bool
omendb_record_copy_own(OmendbStore *store, OmendbNode node, unsigned level, OmendbRecord *out)
{
	return copy_record(store, node, level, out, omendb_head_size);
}

bool
omendb_record_copy_own_any(OmendbStore *store, OmendbNode node, unsigned level, OmendbRecord *out)
{
	const OmendbLayout *layout = &store->index->codec.layout;
	Buffer buffer = omendb_store_lock(store, omendb_node_block(layout, node), BUFFER_LOCK_SHARE);

	return BufferIsValid(buffer) && copy_locked(store, buffer, node, level, out, omendb_head_size);
}

bool
omendb_record_has_edge_to(OmendbStore *store, OmendbNode node, unsigned level, OmendbNode to)
{
	const OmendbLayout *layout = &store->index->codec.layout;
	Buffer buffer = omendb_store_lock_node(store, node, BUFFER_LOCK_SHARE);
	const OmendbRecord *record = omendb_store_record(store, buffer, node);
	bool found = record->kind == OMENDB_RECORD_NODE && record->level == level;

	if (found)
		found = omendb_record_has_edge(layout, record, to);
	UnlockReleaseBuffer(buffer);
	return found;
}

bool
omendb_record_level(OmendbStore *store, OmendbNode node, unsigned *level)
{
	Buffer buffer = omendb_store_lock_node(store, node, BUFFER_LOCK_SHARE);
	const OmendbRecord *record = omendb_store_record(store, buffer, node);
	bool good = record->kind == OMENDB_RECORD_NODE;

	*level = record->level;
	UnlockReleaseBuffer(buffer);
	return good;
}

/* The node's record on its locked page, or NULL if its version is not the copy's. */
static const OmendbRecord *
same_version(OmendbStore *store, Buffer buffer, OmendbNode node, const OmendbRecord *copy)
{
	const OmendbRecord *record = omendb_store_record(store, buffer, node);

	return record->kind == OMENDB_RECORD_NODE && record->version == copy->version ? record : NULL;
}

/* Lock the node's page exclusively if the record has the copy's version; else InvalidBuffer. */
static Buffer
lock_version(OmendbStore *store, OmendbNode node, const OmendbRecord *copy)
{
	Buffer buffer = omendb_store_lock_node(store, node, BUFFER_LOCK_EXCLUSIVE);

	if (same_version(store, buffer, node, copy))
		return buffer;
	UnlockReleaseBuffer(buffer);
	return InvalidBuffer;
}

/* True if the record is a live node of that level with an edge to `to`. */
static bool
has_live_edge(const OmendbLayout *layout, const OmendbRecord *record, unsigned level, OmendbNode to)
{
	return record->kind == OMENDB_RECORD_NODE && record->level == level &&
		   !(record->flags & OMENDB_RECORD_DEAD) && omendb_record_has_edge(layout, record, to);
}

/* The page of nodes whose edges are replaced, and the pages of the detours, each once. */
typedef struct EdgePages
{
	uint32 n;
	BlockNumber blocks[OMENDB_CHANGE_PAGES]; /* ascending */
	Buffer buffers[OMENDB_CHANGE_PAGES];
	BlockNumber changed; /* the block of the nodes whose edges are replaced, .. */
	Page page;           /* .. and this page as the changes so far have made it, or NULL */
} EdgePages;

_Static_assert(OMENDB_CHANGE_PAGES > OMENDB_DETOUR_NODES, "all pages of one detour are locked");

static void
add_edge_page(EdgePages *pages, BlockNumber block)
{
	uint32 at = pages->n;

	while (at > 0 && pages->blocks[at - 1] >= block)
		at--;
	if (at < pages->n && pages->blocks[at] == block)
		return;
	if (pages->n == OMENDB_CHANGE_PAGES)
		elog(ERROR, "too many pages for one change");
	memmove(&pages->blocks[at + 1], &pages->blocks[at], (pages->n - at) * sizeof(BlockNumber));
	pages->blocks[at] = block;
	pages->n++;
}

/* Begin a list of pages with the one whose records will be changed. */
static void
begin_edge_pages(EdgePages *pages, BlockNumber block)
{
	pages->n = 0;
	pages->changed = block;
	pages->page = NULL;
	add_edge_page(pages, block);
}

static void
add_detour_pages(OmendbStore *store, EdgePages *pages, const OmendbDetour *detour)
{
	for (uint32 i = 0; i < detour->n; i++)
		add_edge_page(pages, omendb_node_block(&store->index->codec.layout, detour->nodes[i]));
}

/* Lock the changed page exclusively, and the others in share mode. */
static void
lock_edge_pages(OmendbStore *store, EdgePages *pages)
{
	for (uint32 i = 0; i < pages->n; i++)
		pages->buffers[i] = omendb_store_read(store, pages->blocks[i]);
	for (uint32 i = 0; i < pages->n; i++)
	{
		LockBuffer(pages->buffers[i],
				   pages->blocks[i] == pages->changed ? BUFFER_LOCK_EXCLUSIVE : BUFFER_LOCK_SHARE);
		omendb_store_check(store, pages->buffers[i]);
	}
}

static void
unlock_edge_pages(EdgePages *pages)
{
	for (uint32 i = 0; i < pages->n; i++)
		UnlockReleaseBuffer(pages->buffers[i]);
}

static Buffer
edge_page(const EdgePages *pages, BlockNumber block)
{
	uint32 i = 0;

	while (pages->blocks[i] != block)
		i++;
	return pages->buffers[i];
}

/* The record of a node on one of the locked pages. */
static const OmendbRecord *
edge_record(OmendbStore *store, const EdgePages *pages, OmendbNode node)
{
	const OmendbLayout *layout = &store->index->codec.layout;
	BlockNumber block = omendb_node_block(layout, node);

	if (pages->page && block == pages->changed)
		return omendb_page_record(layout, pages->page, node % layout->per_page);
	return omendb_store_record(store, edge_page(pages, block), node);
}

/* True if the detour leads to `end`, without `node`. All its pages are locked. */
static bool
is_detour(OmendbStore *store, const EdgePages *pages, OmendbNode node, const OmendbDetour *detour,
		  unsigned level, OmendbNode end)
{
	const OmendbLayout *layout = &store->index->codec.layout;

	for (uint32 i = 0; i < detour->n; i++)
		if (detour->nodes[i] == node ||
			!has_live_edge(layout, edge_record(store, pages, detour->nodes[i]), level,
						   i + 1 < detour->n ? detour->nodes[i + 1] : end))
			return false;
	return true;
}

/*
 * Copy all edges: a new edge may have changed the shifts of the others (code/edge.h). WAL has only
 * the bytes that differ.
 */
static void
copy_edges(const OmendbLayout *layout, OmendbRecord *to, const OmendbRecord *from)
{
	uint32 end = layout->spans ? layout->own_offset : layout->record_bytes;

	memcpy((char *) to + layout->neighbours_offset, (const char *) from + layout->neighbours_offset,
		   end - layout->neighbours_offset);
	to->count = from->count;
	to->slope_exponent = from->slope_exponent;
	to->shift_exponent = from->shift_exponent;
}

bool
omendb_record_put_edge(OmendbStore *store, OmendbNode node, const OmendbRecord *from, uint32 slot,
					   const OmendbDetour *detour)
{
	const OmendbLayout *layout = &store->index->codec.layout;
	const OmendbRecord *present;
	EdgePages pages;
	Buffer buffer;
	bool good;

	begin_edge_pages(&pages, omendb_node_block(layout, node));
	if (detour)
		add_detour_pages(store, &pages, detour);
	lock_edge_pages(store, &pages);
	buffer = edge_page(&pages, pages.changed);
	present = same_version(store, buffer, node, from);
	good = present && (!detour || is_detour(store, &pages, node, detour, present->level,
											omendb_record_neighbours(layout, present)[slot]));
	if (good)
	{
		GenericXLogState *state = GenericXLogStart(store->relation);
		OmendbRecord *record = omendb_page_record(
			layout, GenericXLogRegisterBuffer(state, buffer, 0), node % layout->per_page);

		copy_edges(layout, record, from);
		record->version++;
		GenericXLogFinish(state);
	}
	unlock_edge_pages(&pages);
	return good;
}

/*
 * True if the changes of a node may be made in this order: of each edge that is replaced the end is
 * reached by a detour. `present` is the node's record on the changed page.
 */
static bool
are_detours(OmendbStore *store, const EdgePages *pages, const OmendbNodeChange *change,
			const OmendbRecord *present)
{
	const OmendbLayout *layout = &store->index->codec.layout;
	OmendbNode neighbours[OMENDB_MAX_EDGES];
	uint32 count = Min(present->count, layout->edges);

	memcpy(neighbours, omendb_record_neighbours(layout, present), count * sizeof(OmendbNode));
	for (uint32 i = 0; i < change->nchanges; i++)
	{
		const OmendbEdgeChange *edge = &change->changes[i];

		if (edge->slot == count)
			count++;
		else if (edge->detour.n == 0 || !is_detour(store, pages, change->node, &edge->detour,
												   present->level, neighbours[edge->slot]))
			return false;
		neighbours[edge->slot] = edge->to;
	}
	return true;
}

void
omendb_page_put_changes(OmendbStore *store, OmendbNodeChange *nodes, uint32 n)
{
	const OmendbLayout *layout = &store->index->codec.layout;
	GenericXLogState *state = NULL;
	EdgePages pages;
	Buffer buffer;

	begin_edge_pages(&pages, omendb_node_block(layout, nodes[0].node));
	for (uint32 i = 0; i < n; i++)
		for (uint32 k = 0; k < nodes[i].nchanges; k++)
			add_detour_pages(store, &pages, &nodes[i].changes[k].detour);
	lock_edge_pages(store, &pages);
	buffer = edge_page(&pages, pages.changed);
	for (uint32 i = 0; i < n; i++)
	{
		OmendbNodeChange *change = &nodes[i];
		const OmendbRecord *present = edge_record(store, &pages, change->node);
		OmendbRecord *record;

		change->done = present->kind == OMENDB_RECORD_NODE &&
					   present->version == change->from->version &&
					   are_detours(store, &pages, change, present);
		if (!change->done)
			continue;
		if (!state)
		{
			state = GenericXLogStart(store->relation);
			pages.page = GenericXLogRegisterBuffer(state, buffer, 0);
		}
		record = omendb_page_record(layout, pages.page, change->node % layout->per_page);
		copy_edges(layout, record, change->from);
		record->version++;
	}
	if (state)
		GenericXLogFinish(state);
	unlock_edge_pages(&pages);
}

bool
omendb_record_put_edges(OmendbStore *store, OmendbNode node, const OmendbRecord *from)
{
	const OmendbLayout *layout = &store->index->codec.layout;
	Buffer buffer = lock_version(store, node, from);
	GenericXLogState *state;
	OmendbRecord *record;

	if (!BufferIsValid(buffer))
		return false;
	state = GenericXLogStart(store->relation);
	record = omendb_page_record(layout, GenericXLogRegisterBuffer(state, buffer, 0),
								node % layout->per_page);
	copy_edges(layout, record, from);
	record->version++;
	GenericXLogFinish(state);
	UnlockReleaseBuffer(buffer);
	return true;
}

void
omendb_page_put_edges(OmendbStore *store, BlockNumber block, const char *copy, bool *put)
{
	const OmendbLayout *layout = &store->index->codec.layout;
	Buffer buffer =
		omendb_store_lock_node(store, omendb_block_node(layout, block, 0), BUFFER_LOCK_EXCLUSIVE);
	GenericXLogState *state = NULL;
	Page page = NULL;

	for (uint32 slot = 0; slot < layout->per_page; slot++)
	{
		const OmendbRecord *from = omendb_page_record(layout, (Page) copy, slot);
		OmendbRecord *record;

		if (!put[slot])
			continue;
		put[slot] = same_version(store, buffer, omendb_block_node(layout, block, slot), from);
		if (!put[slot])
			continue;
		if (!state)
		{
			state = GenericXLogStart(store->relation);
			page = GenericXLogRegisterBuffer(state, buffer, 0);
		}
		record = omendb_page_record(layout, page, slot);
		copy_edges(layout, record, from);
		record->version++;
	}
	if (state)
		GenericXLogFinish(state);
	UnlockReleaseBuffer(buffer);
}

void
omendb_record_mark_dead(OmendbStore *store, OmendbNode node, unsigned level)
{
	const OmendbLayout *layout = &store->index->codec.layout;
	Buffer buffer = omendb_store_lock_node(store, node, BUFFER_LOCK_EXCLUSIVE);
	OmendbRecord *record = omendb_store_record(store, buffer, node);

	if (record->kind == OMENDB_RECORD_NODE && record->level == level &&
		!(record->flags & OMENDB_RECORD_DEAD))
	{
		GenericXLogState *state = GenericXLogStart(store->relation);

		record = omendb_page_record(layout, GenericXLogRegisterBuffer(state, buffer, 0),
									node % layout->per_page);
		record->flags |= OMENDB_RECORD_DEAD;
		record->version++;
		GenericXLogFinish(state);
	}
	UnlockReleaseBuffer(buffer);
}

uint32
omendb_page_free_dead(OmendbStore *store, Buffer buffer,
					  bool (*may_free)(OmendbNode node, void *context), void *context)
{
	const OmendbLayout *layout = &store->index->codec.layout;
	GenericXLogState *state = NULL;
	Page page = BufferGetPage(buffer);
	uint32 freed = 0;

	for (uint32 slot = 0; slot < layout->per_page; slot++)
	{
		const OmendbRecord *record = omendb_page_record(layout, page, slot);

		if (record->kind != OMENDB_RECORD_NODE || !(record->flags & OMENDB_RECORD_DEAD) ||
			!may_free(omendb_block_node(layout, BufferGetBlockNumber(buffer), slot), context))
			continue;
		if (!state)
		{
			state = GenericXLogStart(store->relation);
			page = GenericXLogRegisterBuffer(state, buffer, 0);
		}
		omendb_slot_clear(layout, page, slot);
		freed++;
	}
	if (state)
		GenericXLogFinish(state);
	return freed;
}

bool
omendb_meta_change_entry(OmendbStore *store, OmendbNode old, OmendbNode node, unsigned level)
{
	Buffer buffer = lock_entry(store, old);
	GenericXLogState *state;

	if (!BufferIsValid(buffer))
		return false;
	state = GenericXLogStart(store->relation);
	register_entry(state, buffer, node, level);
	GenericXLogFinish(state);
	UnlockReleaseBuffer(buffer);
	return true;
}

void
omendb_meta_note_left_out(OmendbStore *store)
{
	Buffer buffer;
	GenericXLogState *state;

	if (omendb_index_left_out(store))
		return;
	buffer = ReadBuffer(store->relation, OMENDB_META_BLOCK);
	LockBuffer(buffer, BUFFER_LOCK_EXCLUSIVE);
	omendb_store_check_meta(store, buffer);
	state = GenericXLogStart(store->relation);
	omendb_page_meta(GenericXLogRegisterBuffer(state, buffer, 0))->flags |= OMENDB_META_LEFT_OUT;
	GenericXLogFinish(state);
	UnlockReleaseBuffer(buffer);
}

void
omendb_meta_put_calibration(OmendbStore *store, OmendbCalibration *calibration)
{
	Buffer buffer = ReadBuffer(store->relation, OMENDB_META_BLOCK);
	GenericXLogState *state;

	calibration->checksum = omendb_calibration_checksum(calibration);
	LockBuffer(buffer, BUFFER_LOCK_EXCLUSIVE);
	omendb_store_check_meta(store, buffer);
	state = GenericXLogStart(store->relation);
	*omendb_page_calibration(GenericXLogRegisterBuffer(state, buffer, 0)) = *calibration;
	GenericXLogFinish(state);
	UnlockReleaseBuffer(buffer);
}
