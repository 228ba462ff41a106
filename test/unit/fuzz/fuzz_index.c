/*
 * fuzz_index.c
 *	  A damaged index, by libFuzzer: searched, read, vacuumed, and given a row.
 *
 * An index of some shape is made first, by the code under test. The input says
 * which shape, what is done, and which bytes of the pages have other values.
 * Whatever these are, nothing outside of a page is read or written, and the only
 * error is ERRCODE_INDEX_CORRUPTED. Nobody locks a page twice, or forgets a lock or
 * a pin, and no file grows without end.
 *
 *	byte	what
 *	0		the shape
 *	1		what is done
 *	2..		changes: block (1 byte), offset (2 bytes), length - 1 (1 byte, the lowest
 *			3 bits), the bytes
 *
 * The pages are local buffers, each of them a piece of malloc's. What else the code
 * calls of the server stays unresolved where an index's pages do not lead there.
 */
#include "postgres.h"

#include "access/generic_xlog.h"
#include "am/hnsw.h"
#include "am/hnswcalibrate.h"
#include "am/hnswtids.h"
#include "code/bound.h"
#include "code/ownsparse.h"
#include "commands/vacuum.h"
#include "common/pg_prng.h"
#include "fuzz/server.h"
#include "graph/search.h"
#include "kernel/kernel.h"
#include "miscadmin.h"
#include "page/change.h"
#include "page/tids.h"
#include "storage/bufmgr.h"
#include "storage/freespace.h"
#include "storage/indexfsm.h"
#include "storage/lmgr.h"
#include "storage/smgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/spccache.h"
#include "write/hnswflush.h"

/* ---------------------------------------------------------------- the server */

#define MAX_BLOCKS 128
/* What is done once needs no more new pages. */
#define MAX_GROWTH 24

static Block blocks[MAX_BLOCKS];
static int locks[MAX_BLOCKS]; /* a mode, or BUFFER_LOCK_UNLOCK */
static int pins[MAX_BLOCKS];
static bool requested[MAX_BLOCKS]; /* storage was asked for it, and it was not read since */
static BlockNumber nblocks;

Block *LocalBufferBlockPointers = blocks;
char *BufferBlocks;
int NBuffers = 16;
int MaxBackends = 1;
volatile sig_atomic_t InterruptPending;
int autovacuum_work_mem = -1;
int maintenance_work_mem = 65536;

/* What should never be. */
static void
fail(const char *what)
{
	fprintf(stderr, "%s\n", what);
	abort();
}

static Buffer
pin(BlockNumber block)
{
	if (block >= nblocks)
		fail("a block beyond the end of the file is read");
	requested[block] = false;
	pins[block]++;
	return -(Buffer) block - 1;
}

Buffer
ReadBuffer(Relation relation, BlockNumber block)
{
	if (block != P_NEW)
		return pin(block);
	if (nblocks == MAX_BLOCKS)
		fail("the file grows without end");
	memset(blocks[nblocks], 0, BLCKSZ);
	return pin(nblocks++);
}

Buffer
ReadBufferExtended(Relation relation, ForkNumber fork, BlockNumber block, ReadBufferMode mode,
				   BufferAccessStrategy strategy)
{
	return ReadBuffer(relation, block);
}

/* The server has these from 16 on. */
#ifdef BMR_REL
Buffer
ExtendBufferedRel(BufferManagerRelation relation, ForkNumber fork, BufferAccessStrategy strategy,
				  uint32 flags)
{
	Buffer buffer = ReadBuffer(relation.rel, P_NEW);

	if (flags & EB_LOCK_FIRST)
		LockBuffer(buffer, BUFFER_LOCK_EXCLUSIVE);
	return buffer;
}
#endif

BlockNumber
BufferGetBlockNumber(Buffer buffer)
{
	return -buffer - 1;
}

BlockNumber
RelationGetNumberOfBlocksInFork(Relation relation, ForkNumber fork)
{
	return nblocks;
}

PrefetchBufferResult
PrefetchBuffer(Relation relation, ForkNumber fork, BlockNumber block)
{
	if (block >= nblocks)
		fail("a block beyond the end of the file is asked for");
	if (block % 4 == 0)
		return (PrefetchBufferResult){InvalidBuffer, false};
	if (requested[block])
		fail("storage is asked twice for a block");
	requested[block] = true;
	return (PrefetchBufferResult){InvalidBuffer, true};
}

/* Asked for each store: it knows nothing of what others asked for. */
int
get_tablespace_io_concurrency(Oid tablespace)
{
	memset(requested, 0, sizeof(requested));
	return 1;
}

void
LockBuffer(Buffer buffer, int mode)
{
	int *lock = &locks[-buffer - 1];

	if ((mode == BUFFER_LOCK_UNLOCK) == (*lock == BUFFER_LOCK_UNLOCK))
		fail("a page is locked twice, or unlocked without a lock");
	*lock = mode;
}

void
ReleaseBuffer(Buffer buffer)
{
	if (pins[-buffer - 1]-- == 0)
		fail("a buffer is released that is not pinned");
}

void
UnlockReleaseBuffer(Buffer buffer)
{
	LockBuffer(buffer, BUFFER_LOCK_UNLOCK);
	ReleaseBuffer(buffer);
}

void
PageInit(Page page, Size bytes, Size special)
{
	PageHeader header = (PageHeader) page;

	memset(page, 0, bytes);
	header->pd_lower = SizeOfPageHeaderData;
	header->pd_upper = header->pd_special = bytes - MAXALIGN(special);
	PageSetPageSizeAndVersion(page, bytes, PG_PAGE_LAYOUT_VERSION);
}

bool
ItemPointerEquals(ItemPointer a, ItemPointer b)
{
	return memcmp(a, b, sizeof(ItemPointerData)) == 0;
}

/* Heavyweight locks. A vacuum that waits may be cancelled there. */
static bool cancel;

void
LockPage(Relation relation, BlockNumber block, LOCKMODE mode)
{
	if (cancel)
		longjmp(fuzz_error, 2);
}

void
UnlockPage(Relation relation, BlockNumber block, LOCKMODE mode)
{
}

void
LockRelationForExtension(Relation relation, LOCKMODE mode)
{
}

void
UnlockRelationForExtension(Relation relation, LOCKMODE mode)
{
}

BlockNumber
GetFreeIndexPage(Relation relation)
{
	return InvalidBlockNumber;
}

BlockNumber
GetPageWithFreeSpace(Relation relation, Size wanted)
{
	return InvalidBlockNumber;
}

BlockNumber
RecordAndGetPageWithFreeSpace(Relation relation, BlockNumber block, Size space, Size wanted)
{
	return InvalidBlockNumber;
}

void
RecordPageWithFreeSpace(Relation relation, BlockNumber block, Size space)
{
}

#define MAX_REGISTERED 4

struct GenericXLogState
{
	int n;
	Buffer buffers[MAX_REGISTERED];
	char *images[MAX_REGISTERED];
};

GenericXLogState *
GenericXLogStart(Relation relation)
{
	return palloc0(sizeof(GenericXLogState));
}

Page
GenericXLogRegisterBuffer(GenericXLogState *state, Buffer buffer, int flags)
{
	if (state->n == MAX_REGISTERED || locks[-buffer - 1] != BUFFER_LOCK_EXCLUSIVE)
		fail("too many buffers are registered, or one that is not locked");
	for (int i = 0; i < state->n; i++)
		if (state->buffers[i] == buffer)
			fail("a buffer is registered twice");
	state->buffers[state->n] = buffer;
	state->images[state->n] = palloc(BLCKSZ);
	memcpy(state->images[state->n], BufferGetPage(buffer), BLCKSZ);
	return state->images[state->n++];
}

void
GenericXLogAbort(GenericXLogState *state)
{
	for (int i = 0; i < state->n; i++)
		pfree(state->images[i]);
	pfree(state);
}

XLogRecPtr
GenericXLogFinish(GenericXLogState *state)
{
	for (int i = 0; i < state->n; i++)
		memcpy(BufferGetPage(state->buffers[i]), state->images[i], BLCKSZ);
	GenericXLogAbort(state);
	return InvalidXLogRecPtr;
}

void
ProcessInterrupts(void)
{
}

void
vacuum_delay_point(void)
{
	for (BlockNumber block = 0; block < nblocks; block++)
		if (locks[block] != BUFFER_LOCK_UNLOCK)
			fail("a vacuum rests while it holds a page's lock");
}

bool
IsAutoVacuumWorkerProcess(void)
{
	return false;
}

/* For the message about an index of pgvector's. */

char *
get_namespace_name(Oid namespace)
{
	return "public";
}

char *
quote_qualified_identifier(const char *qualifier, const char *name)
{
	return "name";
}

/* ---------------------------------------------------------------- values, as floats */

/* The vector of the row that is inserted. */
static const float *row;

const HnswOpclass *
hnsw_opclass_of_built(Relation index)
{
	return NULL;
}

Size
hnsw_value_bytes(const OmendbLayout *layout)
{
	return layout->dimensions * sizeof(float);
}

/* The indices of the elements of a sparse vector of so many dimensions. */
static uint32_t *
elements_of(const OmendbLayout *layout, const float *values, float *stored, uint32_t *n)
{
	uint32_t *indices = palloc(layout->dimensions * sizeof(uint32_t));

	*n = 0;
	for (uint32_t i = 0; i < layout->dimensions; i++)
		if (values[i] != 0)
		{
			indices[*n] = i;
			stored[(*n)++] = values[i];
		}
	return indices;
}

bool
hnsw_encode_value(const OmendbIndex *index, const HnswOpclass *opclass, Datum value, void *buffer,
				  OmendbRecord *record)
{
	const OmendbCodec *codec = &index->codec;

	record->identity[0] = (uint32_t) (int) (row[0] * 100);
	if (codec->layout.own == OMENDB_OWN_BITS)
		omendb_own_encode_bits(codec, (const uint8_t *) row, record);
	else if (codec->layout.own == OMENDB_OWN_SPARSE)
	{
		uint32_t n;
		uint32_t *indices = elements_of(&codec->layout, row, buffer, &n);

		if (!omendb_sparse_store(codec, buffer, n, buffer))
			return false;
		omendb_own_encode_sparse(codec, indices, buffer, n, record);
	}
	else
	{
		if (!omendb_codec_store(codec, row, buffer))
			return false;
		omendb_own_encode(codec, buffer, record);
	}
	return true;
}

static void
set_query(OmendbQuery *query, const OmendbCodec *codec)
{
	omendb_query_init(query, codec, palloc(omendb_query_bytes(codec) + 1));
	if (codec->layout.own == OMENDB_OWN_BITS)
		omendb_query_set_bits(query, (const uint8_t *) row);
	else if (codec->layout.own == OMENDB_OWN_SPARSE)
	{
		float *stored = palloc(codec->layout.dimensions * sizeof(float));
		uint32_t n;
		uint32_t *indices = elements_of(&codec->layout, row, stored, &n);

		omendb_sparse_store(codec, stored, n, stored);
		omendb_query_set_sparse(query, indices, stored, n, 1);
	}
	else
		omendb_query_set(query, row);
}

/* A vacuum does not measure recall here: the fuzzer searches by itself. */
void
hnsw_calibrate_again(Relation index, double rows, double removed, BufferAccessStrategy strategy)
{
}

uint32
hnsw_beam_width(const OmendbLayout *layout, int ef)
{
	return omendb_layout_is_coded(layout) ? 2 * ef + 8 : ef;
}

/* ---------------------------------------------------------------- the index */

#define MANY      40
#define ROWS      120
#define DIMENSION 96 /* at most */
/* One row of so many is one of a few vectors, and one of so many dies. */
#define SAME_SHARE 3
#define DEAD_SHARE 5

typedef struct Shape
{
	OmendbMetric metric;
	uint32_t dimensions;
	uint32_t m;
	bool compact;
	bool sparse;
	bool spans; /* spanning records of them */
} Shape;

static const Shape shapes[] = {
	{OMENDB_METRIC_L2, 24, 4, false, false, false},
	{OMENDB_METRIC_COSINE, 96, 8, true, false, false},
	{OMENDB_METRIC_IP, 3, 2, false, false, false},
	{OMENDB_METRIC_L1, 16, 4, false, false, false},
	{OMENDB_METRIC_HAMMING, 64, 4, false, false, false},
	{OMENDB_METRIC_JACCARD, 40, 2, false, false, false},
	{OMENDB_METRIC_L2, 80, 4, false, true, false},
	{OMENDB_METRIC_L1, 60, 2, false, true, false},
	{OMENDB_METRIC_L2, 70, 3, false, true, true},
	{OMENDB_METRIC_IP, 40, 5, false, true, true},
};

/* As it was made: to begin each input with. */
typedef struct Image
{
	BlockNumber n;
	Block blocks[MAX_BLOCKS];
} Image;

static Image images[lengthof(shapes)];

static SMgrRelationData file;
static FormData_pg_class class;
static RelationData relation;

static void
set_relation(void)
{
	memset(&relation, 0, sizeof(relation));
	memset(&file, 0, sizeof(file));
	file.smgr_targblock = InvalidBlockNumber;
	strcpy(NameStr(class.relname), "fuzz");
	relation.rd_rel = &class;
	relation.rd_smgr = &file;
	memset(locks, 0, sizeof(locks));
	memset(pins, 0, sizeof(pins));
}

static void
make_row(float *values, uint64 seed, const Shape *shape)
{
	for (uint32_t i = 0; i < shape->dimensions; i++)
	{
		uint64 random = omendb_hash64(seed * DIMENSION + i);

		values[i] = shape->sparse && random % 4 != 0 ? 0 : (float) (int) (random % 201) / 100 - 1;
	}
	row = values;
}

static bool
is_dead(ItemPointer tid, void *state)
{
	return ItemPointerGetBlockNumberNoCheck(tid) % DEAD_SHARE == 0;
}

static bool
is_dead_later(ItemPointer tid, void *state)
{
	return ItemPointerGetBlockNumberNoCheck(tid) % 2 == 0;
}

static void
run_vacuum(IndexBulkDeleteCallback callback)
{
	IndexVacuumInfo info = {.index = &relation};

	hnsw_bulk_delete(&info, NULL, callback, NULL);
}

static void
insert(BlockNumber number)
{
	bool null = false;
	Datum value = 0;
	ItemPointerData tid;

	ItemPointerSet(&tid, number, 1);
	hnsw_insert(&relation, &value, &null, &tid, NULL, UNIQUE_CHECK_NO, false, NULL);
}

/* A batch of rows, of which some are there, some are equal, and others near them. */
static void
insert_many(const OmendbIndex *index, const Shape *shape)
{
	HnswRows rows = {.bytes = index->codec.layout.head_bytes, .n = MANY};
	float values[DIMENSION];

	rows.memory = palloc0(MANY * rows.bytes);
	for (uint32 i = 0; i < MANY; i++)
	{
		OmendbRecord *record = palloc0(index->codec.layout.record_bytes);
		ItemPointerData tid;

		make_row(values, i % 2 ? 5000 + i / 4 : i, shape);
		hnsw_encode_value(index, NULL, 0, palloc(hnsw_value_bytes(&index->codec.layout)), record);
		record->kind = OMENDB_RECORD_NODE;
		record->overflow = OMENDB_NO_NODE;
		record->ntids = 1;
		ItemPointerSet(&tid, ROWS + i, 1);
		memcpy(record->tids, &tid, OMENDB_TID_BYTES);
		memcpy(hnsw_row(&rows, i), record, rows.bytes);
	}
	hnsw_insert_rows(&relation, &rows);
}

static void
make_meta(const Shape *shape)
{
	OmendbMetaPage *meta;
	OmendbLayout layout;

	if (!(shape->spans    ? omendb_layout_choose_spans(&layout, shape->metric, shape->dimensions,
													   shape->m, OMENDB_SPAN_PAGE_BYTES)
		  : shape->sparse ? omendb_layout_choose_sparse(&layout, shape->metric, shape->dimensions,
														shape->m, 20, OMENDB_PAGE_BYTES)
						  : omendb_layout_choose(&layout, shape->metric, shape->dimensions,
												 shape->m, shape->compact, OMENDB_PAGE_BYTES)))
		fail("no layout for a shape");
	nblocks = 1;
	memset(blocks[0], 0, BLCKSZ);
	omendb_page_init((Page) blocks[0], OMENDB_PAGE_META);
	meta = omendb_page_meta((Page) blocks[0]);
	meta->magic = OMENDB_META_MAGIC;
	meta->version = shape->spans ? OMENDB_FORMAT_VERSION : OMENDB_FORMAT_FIXED;
	meta->spans = shape->spans;
	meta->metric = layout.metric;
	meta->own = layout.own;
	meta->m = layout.m;
	meta->ef_construction = 16;
	meta->code_bits = layout.code_bits;
	meta->dimensions = layout.dimensions;
	meta->elements = layout.elements;
	meta->entry = OMENDB_NO_NODE;
	meta->level_shift = HNSW_LEVEL_SHIFT;
	meta->checksum = omendb_meta_checksum(meta);
}

/* Rows are inserted, among them many that are equal; a vacuum is cancelled. */
static void
make_image(const Shape *shape, Image *image)
{
	float values[DIMENSION];

	set_relation();
	make_meta(shape);
	for (uint32_t i = 0; i < ROWS; i++)
	{
		make_row(values, i % SAME_SHARE == 0 ? i / SAME_SHARE % 3 : i + 1000, shape);
		insert(i);
	}
	cancel = true;
	if (setjmp(fuzz_error) == 0)
		run_vacuum(is_dead);
	cancel = false;
	image->n = nblocks;
	for (BlockNumber i = 0; i < nblocks; i++)
	{
		image->blocks[i] = malloc(BLCKSZ);
		memcpy(image->blocks[i], blocks[i], BLCKSZ);
	}
	fuzz_free_all();
}

/* ---------------------------------------------------------------- what is done */

static void
read_tids(HnswTids *tids, const OmendbVisited *visited)
{
	ItemPointerData tid;
	int n = 0;

	hnsw_tids_begin(tids, visited->node, &visited->payload);
	while (hnsw_tids_next(tids, &tid))
		if (++n > MAX_BLOCKS * BLCKSZ / (int) sizeof(ItemPointerData))
			fail("a node has heap TIDs without end");
}

static void
search(const OmendbIndex *index)
{
	OmendbStore store = {.relation = &relation, .index = index};
	OmendbSearch *search = palloc(sizeof(OmendbSearch));
	OmendbQuery query;
	OmendbNode entry;
	unsigned level;
	HnswTids tids;
	bool coded = omendb_layout_is_coded(&index->codec.layout);

	StaticAssertStmt(MAX_BLOCKS <= OMENDB_REQUESTED, "each block has a place of its own");
	store.requests = omendb_store_may_request(&relation);
	set_query(&query, &index->codec);
	hnsw_tids_init(&tids, &store);
	omendb_search_init(search, &omendb_store_ops, &store, &omendb_palloc_allocator, coded);
	search->aside.keep = true;
	if (!omendb_index_entry(&store, &entry, &level))
		return;
	omendb_search_descend(search, &query, entry, level, omendb_meta_upper_beam(&index->meta), 20,
						  SIZE_MAX);
	omendb_search_settle(search, 160);
	omendb_search_advance(search, 60, false);
	omendb_search_advance(search, 90, true);
	for (size_t i = 0; i < search->visited_used; i++)
	{
		const OmendbVisited *visited = &search->visited[i];
		double upper;

		omendb_lower_bound(&query, visited->distance, visited->payload.error,
						   visited->payload.norm2, &upper);
		read_tids(&tids, visited);
	}
	hnsw_tids_reset(&tids);
}

/* Each node as vacuum, a sweep and hnsw_index_check read it. */
static void
read_records(const OmendbIndex *index)
{
	const OmendbLayout *layout = &index->codec.layout;
	OmendbStore store = {.relation = &relation, .index = index};
	OmendbRecord *before = palloc0(layout->record_bytes);
	OmendbQuery query;
	OmendbCalibration calibration;
	float estimates[OMENDB_ESTIMATES_CAPACITY];
	float *floats = palloc(layout->dimensions * sizeof(float));
	float *scratch = palloc(2 * layout->dimensions * sizeof(float));
	double norm2;

	omendb_index_calibration(&store, &calibration);
	set_query(&query, &index->codec);
	for (BlockNumber block = OMENDB_FIRST_BLOCK; block < nblocks; block++)
	{
		Buffer buffer = omendb_store_lock_by(&store, block, BUFFER_LOCK_SHARE, NULL);

		for (uint32_t slot = 0; BufferIsValid(buffer) && slot < layout->per_page; slot++)
		{
			const OmendbRecord *record = omendb_page_record(layout, BufferGetPage(buffer), slot);
			float distance;

			if (record->kind != OMENDB_RECORD_NODE)
				continue;
			if (before->kind == OMENDB_RECORD_NODE)
			{
				omendb_own_equal(&index->codec, before, record);
				omendb_own_distance(&index->codec, before, record, scratch);
			}
			memcpy(before, record, omendb_record_size(layout, record));
			distance = omendb_query_distance(&query, record);
			if (omendb_layout_is_coded(layout))
			{
				omendb_query_estimates(&query, record, distance, estimates);
				omendb_own_decode_checked(&index->codec, record, floats, &norm2);
			}
			omendb_query_set_record(&query, record);
		}
		if (BufferIsValid(buffer))
			UnlockReleaseBuffer(buffer);
	}
}

static void
mark_dead(const OmendbIndex *index)
{
	OmendbStore store = {.relation = &relation, .index = index};
	OmendbNode nodes = (nblocks - 1) * index->codec.layout.per_page;
	OmendbDeadTid *dead = palloc0(nodes * sizeof(OmendbDeadTid));

	for (OmendbNode node = 0; node < nodes; node++)
	{
		dead[node].record = node;
		dead[node].version = 1 + node % 3;
		ItemPointerSet(&dead[node].tid, node, 1);
	}
	omendb_mark_tids(&store, dead, nodes);
}

static void
act(int what, const Shape *shape)
{
	float values[DIMENSION];
	const OmendbIndex *index;

	/* One that is there, or not. */
	make_row(values, what & 0x80 ? 1 : 5000, shape);
	index = omendb_index_open(&relation);
	switch (what % 5)
	{
		case 0:
			search(index);
			break;
		case 1:
			read_records(index);
			break;
		case 2:
			if (what & 0x20)
				insert_many(index, shape);
			else
				insert(ROWS);
			break;
		case 3:
			run_vacuum(what & 0x40 ? is_dead : is_dead_later);
			break;
		default:
			mark_dead(index);
			break;
	}
}

static void
change_pages(const uint8_t *data, size_t size)
{
	while (size > 4)
	{
		BlockNumber block = data[0] % nblocks;
		uint32_t offset = (data[1] | data[2] << 8) % BLCKSZ;
		size_t n = Min((data[3] & 7) + 1, size - 4);

		n = Min(n, BLCKSZ - offset);
		memcpy((char *) blocks[block] + offset, data + 4, n);
		data += 4 + n;
		size -= 4 + n;
	}
}

extern int LLVMFuzzerInitialize(int *argc, char ***argv);
extern int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	for (int i = 0; i < MAX_BLOCKS; i++)
		blocks[i] = malloc(BLCKSZ);
	omendb_kernels_use(omendb_best_level(omendb_cpu_features()));
	pg_prng_seed(&pg_global_prng_state, 1);
	for (size_t i = 0; i < lengthof(shapes); i++)
		make_image(&shapes[i], &images[i]);
	return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const Shape *shape;
	const Image *image;

	if (size < 2)
		return 0;
	shape = &shapes[data[0] % lengthof(shapes)];
	image = &images[data[0] % lengthof(shapes)];
	nblocks = image->n;
	for (BlockNumber i = 0; i < nblocks; i++)
		memcpy(blocks[i], image->blocks[i], BLCKSZ);
	set_relation();
	change_pages(data + 2, size - 2);
	pg_prng_seed(&pg_global_prng_state, 2);
	if (setjmp(fuzz_error) == 0)
	{
		act(data[1], shape);
		for (BlockNumber i = 0; i < nblocks; i++)
			if (locks[i] != BUFFER_LOCK_UNLOCK || pins[i] != 0)
				fail("a page stays locked or pinned");
	}
	/* The latter of a page that says that pgvector wrote it. */
	else if (fuzz_sqlstate != ERRCODE_INDEX_CORRUPTED &&
			 fuzz_sqlstate != ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE)
		fail("an error that is not ERRCODE_INDEX_CORRUPTED");
	if (nblocks > image->n + MAX_GROWTH)
		fail("the file grew by many pages");
	fuzz_free_all();
	return 0;
}
