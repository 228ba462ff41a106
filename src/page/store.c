/*
 * store.c
 *	  An open index, and its records through the buffer manager: pins, visits, requests.
 */
#include "page/store.h"

#include "compat.h"
#include "graph/array.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/buf_internals.h"
#include "utils/memutils.h"
#include "utils/spccache.h"

/*
 * hints[]: for a block the buffer in which it was last found, by a hash of relation and block.
 * Consecutive blocks have consecutive elements. Pinning verifies a hint.
 */
static Buffer *hints;
static uint32 hint_mask;

static void *
palloc_resize(void *context, void *memory, size_t bytes)
{
	return memory ? repalloc_huge(memory, bytes)
				  : MemoryContextAllocHuge(CurrentMemoryContext, bytes);
}

static void
palloc_release(void *context, void *memory)
{
	pfree(memory);
}

const OmendbAllocator omendb_palloc_allocator = {palloc_resize, palloc_release, NULL};

static Size
index_bytes(const OmendbLayout *layout)
{
	return sizeof(OmendbIndex) + omendb_codec_bytes(layout);
}

OmendbIndex *
omendb_index_make(Relation relation, const OmendbMetaPage *meta)
{
	OmendbLayout layout;
	OmendbIndex *index;

	omendb_meta_layout(relation, meta, &layout);
	index = palloc(index_bytes(&layout));
	index->meta = *meta;
	index->number = 0;
	index->opclass = NULL;
	omendb_codec_init(&index->codec, &layout, meta->seed, index + 1);
	return index;
}

static OmendbMetaPage
read_meta(Relation relation)
{
	Buffer buffer = ReadBuffer(relation, OMENDB_META_BLOCK);
	OmendbMetaPage meta;

	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	if (PageIsNew(BufferGetPage(buffer)))
		omendb_corrupt_page(relation, OMENDB_META_BLOCK, "The metapage was never written.");
	omendb_page_check(relation, buffer, OMENDB_PAGE_META);
	meta = *omendb_page_meta(BufferGetPage(buffer));
	UnlockReleaseBuffer(buffer);
	return meta;
}

const OmendbIndex *
omendb_index_peek(Relation relation)
{
	static uint64 last_number;
	OmendbIndex *cached = relation->rd_amcache;

	if (cached == NULL)
	{
		OmendbMetaPage meta = read_meta(relation);
		MemoryContext old = MemoryContextSwitchTo(relation->rd_indexcxt);

		cached = omendb_index_make(relation, &meta);
		MemoryContextSwitchTo(old);
		cached->number = ++last_number;
		relation->rd_amcache = cached;
	}
	return cached;
}

void
omendb_index_set_opclass(Relation relation, const void *opclass)
{
	OmendbIndex *cached = relation->rd_amcache;

	if (cached)
		cached->opclass = opclass;
}

OmendbIndex *
omendb_index_open(Relation relation)
{
	const OmendbIndex *cached = omendb_index_peek(relation);
	OmendbIndex *index;

	/* A copy, because an invalidation frees the cached index. */
	index = palloc(index_bytes(&cached->codec.layout));
	memcpy(index, cached, index_bytes(&cached->codec.layout));
	omendb_codec_move(&index->codec, cached + 1, index + 1);
	return index;
}

static void
make_hints(void)
{
	uint32 n = 1024;

	/* Two hints for each shared buffer, but at most 2 MB. */
	while (n < NBuffers * 2 && n < 524288)
		n *= 2;
	hints = MemoryContextAllocZero(TopMemoryContext, n * sizeof(Buffer));
	hint_mask = n - 1;
}

static inline Buffer *
hint_of(Relation relation, BlockNumber block)
{
	if (unlikely(hints == NULL))
		make_hints();
	return &hints[(block + omendb_relation_number(relation) * 0x9e3779b1u) & hint_mask];
}

BlockNumber
omendb_store_blocks(OmendbStore *store)
{
	if (store->blocks == 0)
		store->blocks = RelationGetNumberOfBlocks(store->relation);
	return store->blocks;
}

/* True if the file has the block. Reads the file's length only if the known one is too small. */
static bool
has_block(OmendbStore *store, BlockNumber block)
{
	if (block >= store->blocks)
		store->blocks = RelationGetNumberOfBlocks(store->relation);
	return block < store->blocks;
}

/*
 * True if the usage count of the buffer is at its maximum. Pinning a buffer by its number does not
 * raise the usage count. So only a buffer whose count cannot be raised is pinned that way: otherwise
 * pages that many searches visit would be evicted like all others.
 */
static inline bool
is_used_most(Buffer buffer)
{
	return omendb_usage_count(GetBufferDescriptor(buffer - 1)) >= BM_MAX_USAGE_COUNT;
}

bool
omendb_store_may_request(Relation relation)
{
	return get_tablespace_io_concurrency(relation->rd_rel->reltablespace) > 0;
}

/* The element of store->requested for a block. */
static inline BlockNumber *
request_of(OmendbStore *store, BlockNumber block)
{
	return &store->requested[block % OMENDB_REQUESTED];
}

/* Forget the request of a block that is read now, so that it can be requested again later. */
static inline void
forget_request(OmendbStore *store, BlockNumber block)
{
	BlockNumber *requested = request_of(store, block);

	if (*requested == block)
		*requested = 0;
}

Buffer
omendb_store_read(OmendbStore *store, BlockNumber block)
{
	Relation relation = store->relation;
	Buffer *hint = hint_of(relation, block);
	Buffer buffer;

	store->counters.pages++;
	if (likely(*hint != InvalidBuffer && is_used_most(*hint) &&
			   omendb_read_recent_buffer(relation, block, *hint)))
	{
		pgstat_count_buffer_read(relation);
		pgstat_count_buffer_hit(relation);
		if (unlikely(VacuumCostActive)) /* as ReadBuffer does */
			VacuumCostBalance += VacuumCostPageHit;
		return *hint;
	}
	store->counters.misses++;
	forget_request(store, block);
	if (!has_block(store, block))
		omendb_corrupt_page(relation, block, "An edge leads there, beyond the end of the index.");
	buffer = ReadBuffer(relation, block);
	/* No hints for local buffers, of temporary tables. */
	if (!BufferIsLocal(buffer))
		*hint = buffer;
	return buffer;
}

void
omendb_store_check(OmendbStore *store, Buffer buffer)
{
	omendb_page_check(store->relation, buffer, OMENDB_PAGE_RECORDS);
}

void
omendb_store_check_meta(OmendbStore *store, Buffer buffer)
{
	omendb_page_check(store->relation, buffer, OMENDB_PAGE_META);
}

void
omendb_store_check_record(OmendbStore *store, OmendbNode node, const OmendbRecord *record)
{
	omendb_record_check(store->relation, &store->index->codec.layout, node, record);
}

OmendbRecord *
omendb_store_record(OmendbStore *store, Buffer buffer, OmendbNode node)
{
	const OmendbLayout *layout = &store->index->codec.layout;
	OmendbRecord *record =
		omendb_page_record(layout, BufferGetPage(buffer), node % layout->per_page);

	omendb_store_check_record(store, node, record);
	return record;
}

void
omendb_store_check_records(OmendbStore *store, Buffer buffer)
{
	const OmendbLayout *layout = &store->index->codec.layout;
	OmendbNode first = omendb_block_node(layout, BufferGetBlockNumber(buffer), 0);

	omendb_store_check(store, buffer);
	for (uint32 slot = 0; slot < layout->per_page; slot++)
		omendb_record_check(store->relation, layout, first + slot,
							omendb_page_record(layout, BufferGetPage(buffer), slot));
}

/* omendb_store_lock of a pinned buffer. Releases the buffer if the page is new. */
static inline Buffer
lock_records(OmendbStore *store, Buffer buffer, int mode)
{
	Page page;

	LockBuffer(buffer, mode);
	page = BufferGetPage(buffer);
	if (unlikely(PageIsNew(page)))
	{
		/* A crash may come between the extension of the file and the page's first WAL record. */
		UnlockReleaseBuffer(buffer);
		return InvalidBuffer;
	}
	omendb_page_check(store->relation, buffer, OMENDB_PAGE_RECORDS);
	return buffer;
}

Buffer
omendb_store_lock(OmendbStore *store, BlockNumber block, int mode)
{
	return lock_records(store, omendb_store_read(store, block), mode);
}

Buffer
omendb_store_lock_node(OmendbStore *store, OmendbNode node, int mode)
{
	BlockNumber block = omendb_node_block(&store->index->codec.layout, node);
	Buffer buffer = omendb_store_lock(store, block, mode);

	if (unlikely(!BufferIsValid(buffer)))
		omendb_corrupt_page(store->relation, block,
							"The page was never written, but the index leads to a record on it.");
	return buffer;
}

Buffer
omendb_store_lock_by(OmendbStore *store, BlockNumber block, int mode, BufferAccessStrategy strategy)
{
	Buffer buffer;

	if (!strategy)
		buffer = omendb_store_read(store, block);
	else
	{
		store->counters.pages++;
		store->counters.misses++;
		buffer = ReadBufferExtended(store->relation, MAIN_FORKNUM, block, RBM_NORMAL, strategy);
	}
	buffer = lock_records(store, buffer, mode);
	if (BufferIsValid(buffer))
		omendb_store_check_records(store, buffer);
	return buffer;
}

bool
omendb_index_entry(OmendbStore *store, OmendbNode *entry, unsigned *level)
{
	Buffer buffer = omendb_store_read(store, OMENDB_META_BLOCK);
	const OmendbMetaPage *meta;

	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	omendb_page_check(store->relation, buffer, OMENDB_PAGE_META);
	meta = omendb_page_meta(BufferGetPage(buffer));
	*entry = meta->entry;
	*level = meta->entry_level;
	UnlockReleaseBuffer(buffer);
	if (*entry == OMENDB_NO_NODE)
		return false;
	if (*level > OMENDB_MAX_LEVEL ||
		!has_block(store, omendb_node_block(&store->index->codec.layout, *entry)))
		omendb_corrupt_page(store->relation, OMENDB_META_BLOCK,
							"The metapage has an impossible entry point.");
	return true;
}

bool
omendb_index_left_out(OmendbStore *store)
{
	Buffer buffer = omendb_store_read(store, OMENDB_META_BLOCK);
	bool left_out;

	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	omendb_page_check(store->relation, buffer, OMENDB_PAGE_META);
	left_out = (omendb_page_meta(BufferGetPage(buffer))->flags & OMENDB_META_LEFT_OUT) != 0;
	UnlockReleaseBuffer(buffer);
	return left_out;
}

bool
omendb_index_calibration(OmendbStore *store, OmendbCalibration *calibration)
{
	Buffer buffer = omendb_store_read(store, OMENDB_META_BLOCK);

	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	omendb_page_check(store->relation, buffer, OMENDB_PAGE_META);
	*calibration = *omendb_page_calibration(BufferGetPage(buffer));
	UnlockReleaseBuffer(buffer);
	if (!omendb_calibration_is_possible(calibration))
		omendb_corrupt_page(store->relation, OMENDB_META_BLOCK,
							"What the metapage says of recall has a wrong checksum.");
	return calibration->curve.n > 0;
}

/*
 * Lock the node's page in share mode, and return the record. NULL, and no lock, if the record is not
 * (or no longer) a node of that level.
 */
static inline const OmendbRecord *
lock_node(OmendbStore *store, OmendbNode node, unsigned level, Buffer *buffer)
{
	const OmendbLayout *layout = &store->index->codec.layout;
	const OmendbRecord *record;

	CHECK_FOR_INTERRUPTS();
	*buffer = omendb_store_lock_node(store, node, BUFFER_LOCK_SHARE);
	record = omendb_page_record(layout, BufferGetPage(*buffer), node % layout->per_page);
	omendb_record_check(store->relation, layout, node, record);
	if (record->kind != OMENDB_RECORD_NODE || record->level != level)
	{
		UnlockReleaseBuffer(*buffer);
		store->counters.stale++;
		return NULL;
	}
	return record;
}

static bool
store_visit(void *context, OmendbNode node, unsigned level, const OmendbQuery *query,
			OmendbStep *step)
{
	Buffer buffer;
	const OmendbRecord *record = lock_node(context, node, level, &buffer);

	if (!record)
		return false;
	omendb_step_fill(record, query, step);
	UnlockReleaseBuffer(buffer);
	return true;
}

bool
omendb_store_visit_copy(OmendbStore *store, OmendbNode node, unsigned level,
						const OmendbQuery *query, OmendbStep *step, OmendbRecord *copy)
{
	Buffer buffer;
	const OmendbRecord *record = lock_node(store, node, level, &buffer);

	if (!record)
		return false;
	omendb_step_fill(record, query, step);
	if (step->payload.live)
		memcpy(copy, record, omendb_visit_size(&store->index->codec.layout, record));
	UnlockReleaseBuffer(buffer);
	return true;
}

static bool
store_distance(void *context, OmendbNode node, unsigned level, const OmendbQuery *query,
			   float *distance)
{
	Buffer buffer;
	const OmendbRecord *record = lock_node(context, node, level, &buffer);

	if (!record)
		return false;
	*distance = omendb_query_distance(query, record);
	UnlockReleaseBuffer(buffer);
	return true;
}

/* True if the hinted buffer has a block of that number. Ignores that it may be another relation's. */
static inline bool
is_hint_right(Buffer hint, BlockNumber block)
{
	return hint != InvalidBuffer && GetBufferDescriptor(hint - 1)->tag.blockNum == block;
}

/*
 * Request the block from storage, unless that was done before. If a shared buffer has the block, sets
 * *hint. True if the block is being read from storage.
 */
static pg_noinline bool
request_block(OmendbStore *store, BlockNumber block, Buffer *hint)
{
	BlockNumber *requested = request_of(store, block);
	PrefetchBufferResult result;

	if (*requested == block)
		return true;
	if (!store->requests || !has_block(store, block))
		return false;
	result = PrefetchBuffer(store->relation, MAIN_FORKNUM, block);
	if (BufferIsValid(result.recent_buffer) && !BufferIsLocal(result.recent_buffer))
		*hint = result.recent_buffer;
	if (result.initiated_io)
		*requested = block;
	return result.initiated_io;
}

static bool
store_request(void *context, OmendbNode node)
{
	OmendbStore *store = context;
	BlockNumber block = omendb_node_block(&store->index->codec.layout, node);
	Buffer *hint = hint_of(store->relation, block);

	return !is_hint_right(*hint, block) && request_block(store, block, hint);
}

/*
 * Prefetch what pinning and the check of a node's page read into the processor's cache. Returns the record,
 * or NULL if memory does not have it: then the block is requested from storage. *stored: it is being
 * read from there.
 */
static inline const char *
prefetch_page(OmendbStore *store, OmendbNode node, bool *stored)
{
	const OmendbLayout *layout = &store->index->codec.layout;
	BlockNumber block = omendb_node_block(layout, node);
	Buffer *hint = hint_of(store->relation, block);
	Page page;

	*stored = false;
	if (unlikely(!is_hint_right(*hint, block)))
	{
		*stored = request_block(store, block, hint);
		if (*stored || !is_hint_right(*hint, block))
			return NULL;
	}
	/* The buffer is not pinned, but its memory exists whatever page it has by now. */
	page = BufferGetPage(*hint);
	__builtin_prefetch(GetBufferDescriptor(*hint - 1), 1);
	__builtin_prefetch(page);
	__builtin_prefetch(page + BLCKSZ - 1);
	return (const char *) omendb_page_slot(layout, page, node % layout->per_page);
}

/* Prefetch bytes of a record from an offset on. */
static inline void
prefetch_bytes(const char *record, Size offset, Size bytes)
{
	for (Size i = 0; i < bytes; i += 64)
		__builtin_prefetch(record + offset + i, 0, 2);
}

/*
 * Prefetch the first bytes of a record. If memory does not have them, request the block from storage.
 * True if it is being read from there.
 */
static inline bool
prefetch_record(OmendbStore *store, OmendbNode node, Size bytes)
{
	bool stored;
	const char *record = prefetch_page(store, node, &stored);

	if (likely(record))
		prefetch_bytes(record, 0, bytes);
	return stored;
}

/* Elements of an own sparse vector that are prefetched of a spanning record, whose length is not known. */
#define PREFETCHED_ELEMENTS 64

/* Bytes to prefetch of a record, with codes or without. */
static inline Size
most_prefetched(const OmendbLayout *layout, bool codes)
{
	if (layout->spans)
		return Min(layout->record_bytes, layout->own_offset + OMENDB_SPARSE_HEADER_BYTES +
											 OMENDB_SPARSE_ELEMENT_BYTES * PREFETCHED_ELEMENTS);
	return codes ? layout->record_bytes : layout->codes_offset;
}

static bool
store_prefetch(void *context, OmendbNode node)
{
	OmendbStore *store = context;

	return prefetch_record(store, node, most_prefetched(&store->index->codec.layout, true));
}

void
omendb_store_prefetch_own(OmendbStore *store, OmendbNode node)
{
	prefetch_record(store, node, most_prefetched(&store->index->codec.layout, false));
}

void
omendb_store_prefetch_edges(OmendbStore *store, OmendbNode node)
{
	const OmendbLayout *layout = &store->index->codec.layout;
	bool stored;
	const char *record = prefetch_page(store, node, &stored);

	if (!record)
		return;
	prefetch_bytes(record, 0, sizeof(OmendbRecord));
	prefetch_bytes(record, layout->neighbours_offset, layout->edges * sizeof(OmendbNode));
}

const OmendbGraphOps omendb_store_ops = {store_visit, store_distance, store_prefetch,
										 store_request};
