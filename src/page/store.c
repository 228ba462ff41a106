/*
 * store.c
 *	  Records through the buffer manager: the operations of a graph on pages.
 *
 * A visit holds a share lock on one page and nothing else. No function here
 * changes a page.
 */
#include "page/store.h"

#include <float.h>

#include "code/ownsparse.h"
#include "compat.h"
#include "graph/array.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "port/pg_crc32c.h"
#include "storage/buf_internals.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/spccache.h"

/*
 * The buffers that blocks were last found in, by a hash of relation and block;
 * consecutive blocks have consecutive places. Pinning verifies what is found.
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

void
omendb_page_init(Page page, OmendbPageKind kind)
{
	OmendbPageSpecial *special;

	PageInit(page, BLCKSZ, sizeof(OmendbPageSpecial));
	special = omendb_page_special(page);
	special->kind = kind;
	special->page_id = OMENDB_PAGE_ID;
	((PageHeader) page)->pd_lower = ((PageHeader) page)->pd_upper;
}

void
omendb_corrupt_page(Relation relation, BlockNumber block, const char *what)
{
	ereport(ERROR, (errcode(ERRCODE_INDEX_CORRUPTED),
					errmsg("index \"%s\" contains a corrupted page at block %u",
						   RelationGetRelationName(relation), block),
					errdetail_internal("%s", what), errhint("Please REINDEX it.")));
}

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
	omendb_codec_init(&index->codec, &layout, meta->seed, index + 1);
	return index;
}

uint32
omendb_meta_checksum(const OmendbMetaPage *meta)
{
	OmendbMetaPage fixed = *meta;
	pg_crc32c crc;

	fixed.entry = 0;
	fixed.entry_level = 0;
	fixed.flags = 0;
	fixed.checksum = 0;
	INIT_CRC32C(crc);
	COMP_CRC32C(crc, &fixed, sizeof(fixed));
	FIN_CRC32C(crc);
	return crc;
}

uint32
omendb_calibration_checksum(const OmendbCalibration *calibration)
{
	pg_crc32c crc;

	INIT_CRC32C(crc);
	COMP_CRC32C(crc, &calibration->queries,
				sizeof(*calibration) - offsetof(OmendbCalibration, queries));
	FIN_CRC32C(crc);
	return crc;
}

bool
omendb_calibration_is_possible(const OmendbCalibration *calibration)
{
	return calibration->curve.n == 0 ||
		   (calibration->checksum == omendb_calibration_checksum(calibration) &&
			omendb_curve_is_possible(&calibration->curve));
}

void
omendb_meta_layout(Relation relation, const OmendbMetaPage *meta, OmendbLayout *layout)
{
	if (meta->magic != OMENDB_META_MAGIC)
		omendb_corrupt_page(relation, OMENDB_META_BLOCK, "The metapage has a wrong magic number.");
	if (meta->checksum != omendb_meta_checksum(meta))
		omendb_corrupt_page(relation, OMENDB_META_BLOCK, "The metapage has a wrong checksum.");
	if (meta->version < OMENDB_FORMAT_OLDEST || meta->version > OMENDB_FORMAT_VERSION)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("index \"%s\" has format version %u, which this omendb cannot read",
							   RelationGetRelationName(relation), meta->version),
						errdetail("It reads versions %d to %d.", OMENDB_FORMAT_OLDEST,
								  OMENDB_FORMAT_VERSION),
						errhint("Install a newer omendb library, or REINDEX.")));
	if (meta->upper_beam > OMENDB_UPPER_BEAM_OF_GROUPS ||
		(meta->own == OMENDB_OWN_SPARSE
			 ? !omendb_layout_set_sparse(layout, meta->metric, meta->dimensions, meta->elements,
										 meta->m, OMENDB_PAGE_BYTES)
			 : !omendb_layout_set(layout, meta->metric, meta->own, meta->dimensions, meta->m,
								  meta->code_bits, OMENDB_PAGE_BYTES)))
		omendb_corrupt_page(relation, OMENDB_META_BLOCK, "The metapage has impossible values.");
}

/*
 * In a database that pgvector left to omendb an index may still be as pgvector
 * built it. The last two bytes of its pages, like those of omendb's, say so.
 */
static bool
is_pgvectors(Page page)
{
	uint16 page_id = omendb_page_special(page)->page_id;

	return PageGetSpecialSize(page) == sizeof(OmendbPageSpecial) &&
		   (page_id == PGVECTOR_HNSW_PAGE_ID || page_id == PGVECTOR_IVFFLAT_PAGE_ID);
}

bool
omendb_index_is_pgvectors(Relation relation)
{
	Buffer buffer;
	bool result;

	/* On a standby an unlogged index has no pages. */
	if ((!RelationIsPermanent(relation) && RecoveryInProgress()) ||
		RelationGetNumberOfBlocks(relation) == 0)
		return false;
	buffer = ReadBuffer(relation, OMENDB_META_BLOCK);
	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	result = !PageIsNew(BufferGetPage(buffer)) && is_pgvectors(BufferGetPage(buffer));
	UnlockReleaseBuffer(buffer);
	return result;
}

static void
check_not_pgvectors(Relation relation, Page page)
{
	if (is_pgvectors(page))
		ereport(
			ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("index \"%s\" was built by pgvector", RelationGetRelationName(relation)),
			 errdetail("omendb does not read its pages."),
			 errhint("Run REINDEX INDEX CONCURRENTLY %s.",
					 quote_qualified_identifier(get_namespace_name(RelationGetNamespace(relation)),
												RelationGetRelationName(relation)))));
}

static void
check_page(Relation relation, Buffer buffer, OmendbPageKind kind)
{
	Page page = BufferGetPage(buffer);
	BlockNumber block = BufferGetBlockNumber(buffer);

	check_not_pgvectors(relation, page);
	if (PageGetSpecialSize(page) != sizeof(OmendbPageSpecial) ||
		omendb_page_special(page)->page_id != OMENDB_PAGE_ID)
		omendb_corrupt_page(relation, block, "This is no page of an omendb index.");
	if (omendb_page_special(page)->kind != kind)
		omendb_corrupt_page(relation, block, "The page is of another kind than its place says.");
	/* Or generic WAL would leave something out. */
	if (((PageHeader) page)->pd_lower != ((PageHeader) page)->pd_upper)
		omendb_corrupt_page(relation, block, "The page's header says that part of it is unused.");
}

static OmendbMetaPage
read_meta(Relation relation)
{
	Buffer buffer = ReadBuffer(relation, OMENDB_META_BLOCK);
	OmendbMetaPage meta;

	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	if (PageIsNew(BufferGetPage(buffer)))
		omendb_corrupt_page(relation, OMENDB_META_BLOCK, "The metapage was never written.");
	check_page(relation, buffer, OMENDB_PAGE_META);
	meta = *omendb_page_meta(BufferGetPage(buffer));
	UnlockReleaseBuffer(buffer);
	return meta;
}

const OmendbIndex *
omendb_index_peek(Relation relation)
{
	OmendbIndex *cached = relation->rd_amcache;

	if (cached == NULL)
	{
		OmendbMetaPage meta = read_meta(relation);
		MemoryContext old = MemoryContextSwitchTo(relation->rd_indexcxt);

		cached = omendb_index_make(relation, &meta);
		MemoryContextSwitchTo(old);
		relation->rd_amcache = cached;
	}
	return cached;
}

OmendbIndex *
omendb_index_open(Relation relation)
{
	const OmendbIndex *cached = omendb_index_peek(relation);
	OmendbIndex *index;

	/* Any invalidation frees the cached one. */
	index = palloc(index_bytes(&cached->codec.layout));
	memcpy(index, cached, index_bytes(&cached->codec.layout));
	omendb_codec_move(&index->codec, cached + 1, index + 1);
	return index;
}

static void
make_hints(void)
{
	uint32 n = 1024;

	/* Twice the buffers there are, at most 2 MB. */
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

/* Is it a block of the file? Asks for its length only where it must have grown. */
static bool
has_block(OmendbStore *store, BlockNumber block)
{
	if (block >= store->blocks)
		store->blocks = RelationGetNumberOfBlocks(store->relation);
	return block < store->blocks;
}

/*
 * Does the clock sweep count the buffer as used as often as it can? Pinning a buffer by
 * its number does not count. Pages that many searches visit would be evicted like all
 * others, so only a buffer that needs no more is pinned that way.
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

static inline BlockNumber *
request_of(OmendbStore *store, BlockNumber block)
{
	return &store->requested[block % OMENDB_REQUESTED];
}

/* It is read: if it is evicted later, storage may be asked for it again. */
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
		return *hint;
	}
	store->counters.misses++;
	forget_request(store, block);
	if (!has_block(store, block))
		omendb_corrupt_page(relation, block, "An edge leads there, beyond the end of the index.");
	buffer = ReadBuffer(relation, block);
	/* A local buffer (of a temporary table) is found by its own table. */
	if (!BufferIsLocal(buffer))
		*hint = buffer;
	return buffer;
}

void
omendb_store_check(OmendbStore *store, Buffer buffer)
{
	check_page(store->relation, buffer, OMENDB_PAGE_RECORDS);
}

void
omendb_store_check_meta(OmendbStore *store, Buffer buffer)
{
	check_page(store->relation, buffer, OMENDB_PAGE_META);
}

/* Two at a time: there are many. */
static inline bool
has_impossible_edge(const OmendbLayout *layout, const OmendbRecord *record)
{
	const OmendbNode *neighbours = omendb_record_neighbours(layout, record);
	uint64 all = record->count % 2 ? neighbours[record->count - 1] : 0;

	for (uint32 i = 0; i + 2 <= record->count; i += 2)
	{
		uint64 two;

		memcpy(&two, &neighbours[i], sizeof(two));
		all |= two;
	}
	return ((all | all >> 32) & ~OMENDB_MAX_NODE & PG_UINT32_MAX) != 0;
}

/* What is wrong with a node's header and edges; NULL for nothing. */
static inline const char *
node_problem(const OmendbLayout *layout, const OmendbRecord *record)
{
	bool has_tids = record->ntids > 0 || record->overflow != OMENDB_NO_NODE;
	bool dead = record->flags & OMENDB_RECORD_DEAD;

	if (record->flags & ~OMENDB_RECORD_DEAD)
		return "A record has unknown flags.";
	if (record->level > OMENDB_MAX_LEVEL)
		return "A record is of an impossible level.";
	if (record->ntids > OMENDB_INLINE_TIDS)
		return "A record has too many heap TIDs.";
	if (record->level == 0 ? has_tids == dead : has_tids)
		return "A record has heap TIDs where none may be, or none where it must have some.";
	if (record->level == 0 && record->down != OMENDB_NO_NODE)
		return "A record of level 0 has one below it.";
	if (record->count > (record->level == 0 ? layout->edges : layout->m))
		return "A record has too many edges.";
	if (has_impossible_edge(layout, record))
		return "A record has an edge to what no record can be.";
	/* Not so, too, where it is not a number. */
	if (!(record->error >= 0))
		return "A record has an impossible error of its own vector.";
	/* Elements of a sparse vector are multiples of it, so it is never 0 there. */
	if (!(record->scale >= 0 && record->scale <= FLT_MAX) ||
		(layout->own == OMENDB_OWN_SPARSE && record->scale == 0))
		return "A record has an impossible scale of its own vector.";
	if (!(record->norm2 >= 0))
		return "A record has an impossible length of its own vector.";
	if (layout->own == OMENDB_OWN_SPARSE && !omendb_own_sparse_fits(layout, record))
		return "A record has too many elements of its own vector.";
	return NULL;
}

static inline const char *
record_problem(const OmendbLayout *layout, const OmendbRecord *record)
{
	if (likely(record->kind == OMENDB_RECORD_NODE))
		return node_problem(layout, record);
	if (record->kind == OMENDB_RECORD_FREE)
		return NULL;
	if (record->kind != OMENDB_RECORD_OVERFLOW)
		return "A record is of an unknown kind.";
	if (record->level != 0 || record->ntids != 0 || record->flags != 0)
		return "An overflow record has what only nodes have.";
	if (omendb_record_overflow((OmendbRecord *) record)->count > omendb_overflow_capacity(layout))
		return "An overflow record has too many heap TIDs.";
	return NULL;
}

static inline void
check_record(OmendbStore *store, OmendbNode node, const OmendbRecord *record)
{
	const OmendbLayout *layout = &store->index->codec.layout;
	const char *problem = record_problem(layout, record);

	if (unlikely(problem != NULL))
		omendb_corrupt_page(store->relation, omendb_node_block(layout, node), problem);
}

void
omendb_store_check_record(OmendbStore *store, OmendbNode node, const OmendbRecord *record)
{
	check_record(store, node, record);
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
		check_record(store, first + slot, omendb_page_record(layout, BufferGetPage(buffer), slot));
}

/* As omendb_store_lock, of a buffer that is pinned; releases it where it returns none. */
static inline Buffer
lock_records(OmendbStore *store, Buffer buffer, int mode)
{
	Page page;

	LockBuffer(buffer, mode);
	page = BufferGetPage(buffer);
	if (unlikely(PageIsNew(page)))
	{
		/* A crash came between extending the file and the page's first WAL. */
		UnlockReleaseBuffer(buffer);
		return InvalidBuffer;
	}
	check_page(store->relation, buffer, OMENDB_PAGE_RECORDS);
	return buffer;
}

Buffer
omendb_store_lock(OmendbStore *store, BlockNumber block, int mode)
{
	return lock_records(store, omendb_store_read(store, block), mode);
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
	check_page(store->relation, buffer, OMENDB_PAGE_META);
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
	check_page(store->relation, buffer, OMENDB_PAGE_META);
	left_out = (omendb_page_meta(BufferGetPage(buffer))->flags & OMENDB_META_LEFT_OUT) != 0;
	UnlockReleaseBuffer(buffer);
	return left_out;
}

bool
omendb_index_calibration(OmendbStore *store, OmendbCalibration *calibration)
{
	Buffer buffer = omendb_store_read(store, OMENDB_META_BLOCK);

	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	check_page(store->relation, buffer, OMENDB_PAGE_META);
	*calibration = *omendb_page_calibration(BufferGetPage(buffer));
	UnlockReleaseBuffer(buffer);
	if (!omendb_calibration_is_possible(calibration))
		omendb_corrupt_page(store->relation, OMENDB_META_BLOCK,
							"What the metapage says of recall has a wrong checksum.");
	return calibration->curve.n > 0;
}

/* The node's record under a share lock, or NULL where it is no such node now. */
static inline const OmendbRecord *
lock_node(OmendbStore *store, OmendbNode node, unsigned level, Buffer *buffer)
{
	const OmendbLayout *layout = &store->index->codec.layout;
	const OmendbRecord *record;

	CHECK_FOR_INTERRUPTS();
	*buffer = omendb_store_lock(store, omendb_node_block(layout, node), BUFFER_LOCK_SHARE);
	if (!BufferIsValid(*buffer))
	{
		store->counters.stale++;
		return NULL;
	}
	record = omendb_page_record(layout, BufferGetPage(*buffer), node % layout->per_page);
	check_record(store, node, record);
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
		memcpy(copy, record, store->index->codec.layout.codes_offset);
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

/* Another relation's block of that number is not worth telling apart here. */
static inline bool
is_where_hinted(Buffer hint, BlockNumber block)
{
	return hint != InvalidBuffer && GetBufferDescriptor(hint - 1)->tag.blockNum == block;
}

/*
 * Ask storage for the block, unless it was asked before or a shared buffer has the block,
 * which *hint then is. Is the block on its way from storage?
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

	return !is_where_hinted(*hint, block) && request_block(store, block, hint);
}

static bool
store_prefetch(void *context, OmendbNode node)
{
	OmendbStore *store = context;
	const OmendbLayout *layout = &store->index->codec.layout;
	BlockNumber block = omendb_node_block(layout, node);
	Buffer *hint = hint_of(store->relation, block);
	Page page;

	if (unlikely(!is_where_hinted(*hint, block)))
	{
		if (request_block(store, block, hint))
			return true;
		if (!is_where_hinted(*hint, block))
			return false;
	}
	/*
	 * Not pinned: whatever the buffer holds now, its memory is there. What pinning
	 * and the check of the page touch first, then the record.
	 */
	page = BufferGetPage(*hint);
	__builtin_prefetch(GetBufferDescriptor(*hint - 1), 1);
	__builtin_prefetch(page);
	__builtin_prefetch(page + BLCKSZ - 1);
	omendb_record_prefetch(layout, omendb_page_record(layout, page, node % layout->per_page));
	return false;
}

const OmendbGraphOps omendb_store_ops = {store_visit, store_distance, store_prefetch,
										 store_request};
