/*
 * hnswbuild.c
 *	  CREATE INDEX and REINDEX.
 *
 * The heap is read in its own order: every different vector becomes a record
 * in memory, numbered as it comes. Then the graph is built over the records
 * (graph/build.h), level by level, the records are copied to pages and the
 * pages written to WAL once. Rows that come when maintenance_work_mem is full
 * are inserted one by one afterwards.
 */
#include "am/hnsw.h"

#include "access/tableam.h"
#include "access/xloginsert.h"
#include "catalog/index.h"
#include "commands/progress.h"
#include "graph/build.h"
#include "miscadmin.h"
#include "optimizer/planner.h"
#include "pgstat.h"
#include "storage/bufmgr.h"
#include "utils/backend_progress.h"
#include "utils/memutils.h"

#define PHASE_LOAD   2 /* 1 is PostgreSQL's own "initializing" */
#define PHASE_GRAPH  3
#define PHASE_REFINE 4
#define PHASE_WRITE  5

/* Refining passes over the whole graph (measured: bench/README.md). */
#define REFINING_PASSES 1

#define CHUNK_SHIFT   12
#define CHUNK_RECORDS (1 << CHUNK_SHIFT)
#define MAX_CHUNKS    ((OMENDB_MAX_NODE >> CHUNK_SHIFT) + 1)
#define GRAPH_CHUNK   64 /* nodes taken at a time */

typedef struct VectorEntry
{
	uint64 identity;
	OmendbNode node;
	uint32 status;
} VectorEntry;

#define SH_PREFIX        vectors
#define SH_ELEMENT_TYPE  VectorEntry
#define SH_KEY_TYPE      uint64
#define SH_KEY           identity
#define SH_HASH_KEY(t, k) ((uint32) (k))
#define SH_EQUAL(t, a, b) ((a) == (b))
#define SH_SCOPE         static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

/* A heap TID that does not fit its node's record. */
typedef struct ExtraTid
{
	OmendbNode node;
	uint32 order; /* keeps the sort stable */
	ItemPointerData tid;
} ExtraTid;

typedef struct HnswBuild
{
	Relation heap;
	Relation index;
	IndexInfo *info;
	const HnswOpclass *opclass;
	OmendbIndex *open;
	MemoryContext context; /* of all that lives until the end */
	MemoryContext row;     /* reset for every row */
	void *room;
	Size budget;
	Size used;
	double rows; /* indexed */
	bool flushed;

	OmendbArray array;
	uint32 nodes;           /* of level 0 */
	vectors_hash *vectors;  /* by identity */
	ExtraTid *extra;
	size_t nextra;
	size_t extra_room;
	OmendbNode entry;
	unsigned entry_level;
} HnswBuild;

char *
hnsw_build_phase_name(int64 phase)
{
	switch (phase)
	{
		case PROGRESS_CREATEIDX_SUBPHASE_INITIALIZE:
			return "initializing";
		case PHASE_LOAD:
			return "loading tuples";
		case PHASE_GRAPH:
			return "building graph";
		case PHASE_REFINE:
			return "refining graph";
		case PHASE_WRITE:
			return "writing pages";
		default:
			return NULL;
	}
}

static void
fill_meta(HnswBuild *build, OmendbMetaPage *meta)
{
	OmendbLayout layout;
	int dimensions = hnsw_column_dimensions(build->index, build->opclass);
	int m = hnsw_get_m(build->index);

	if (hnsw_get_ef_construction(build->index) < 2 * m)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("ef_construction must be greater than or equal to 2 * m")));
	if (!omendb_layout_choose(&layout, build->opclass->metric, dimensions, m,
							  hnsw_get_compact(build->index), OMENDB_PAGE_BYTES))
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("a record of %d dimensions with m = %d does not fit a page",
							   dimensions, m),
						errhint("Use a smaller m.")));
	memset(meta, 0, sizeof(*meta));
	meta->magic = OMENDB_META_MAGIC;
	meta->version = OMENDB_FORMAT_VERSION;
	meta->metric = layout.metric;
	meta->own = layout.own;
	meta->m = m;
	meta->ef_construction = hnsw_get_ef_construction(build->index);
	meta->code_bits = layout.code_bits;
	meta->dimensions = dimensions;
	meta->entry = OMENDB_NO_NODE;
	meta->level_shift = HNSW_LEVEL_SHIFT;
	/* Any number does; a constant one makes builds repeatable. */
	meta->seed = UINT64CONST(0x6f6d656e6462) + dimensions;
}

static Buffer
new_block(Relation index, ForkNumber fork)
{
	Buffer buffer = ReadBufferExtended(index, fork, P_NEW, RBM_ZERO_AND_LOCK, NULL);

	return buffer;
}

static void
write_meta(Relation index, ForkNumber fork, const OmendbMetaPage *meta)
{
	Buffer buffer = new_block(index, fork);
	Page page = BufferGetPage(buffer);

	Assert(BufferGetBlockNumber(buffer) == OMENDB_META_BLOCK);
	omendb_page_init(page, OMENDB_PAGE_META);
	*omendb_page_meta(page) = *meta;
	MarkBufferDirty(buffer);
	UnlockReleaseBuffer(buffer);
}

/* Room in the array for one more record. */
static OmendbRecord *
add_record(HnswBuild *build)
{
	const OmendbLayout *layout = &build->open->codec.layout;
	OmendbArray *array = &build->array;
	uint32 chunk = array->n >> CHUNK_SHIFT;
	OmendbRecord *record;

	if (array->n > OMENDB_MAX_NODE)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("hnsw index \"%s\" cannot have more than %u records",
							   RelationGetRelationName(build->index), OMENDB_MAX_NODE)));
	if (array->chunks[chunk] == NULL)
	{
		Size bytes = omendb_array_stride(layout) << CHUNK_SHIFT;

		array->chunks[chunk] = (uint8 *) TYPEALIGN(
			64, MemoryContextAllocHuge(build->context, bytes + 64));
		build->used += bytes;
	}
	array->n++;
	record = omendb_array_record(array, array->n - 1);
	memset(record, 0, layout->record_bytes);
	record->kind = OMENDB_RECORD_NODE;
	record->down = OMENDB_NO_NODE;
	record->overflow = OMENDB_NO_NODE;
	return record;
}

static void
add_tid(HnswBuild *build, OmendbNode node, ItemPointer tid)
{
	OmendbRecord *record = omendb_array_record(&build->array, node);

	if (record->ntids < OMENDB_INLINE_TIDS)
	{
		memcpy(record->tids + record->ntids++ * OMENDB_TID_BYTES, tid, OMENDB_TID_BYTES);
		return;
	}
	if (build->nextra == build->extra_room)
	{
		build->extra_room = Max(1024, build->extra_room * 2);
		build->extra = build->extra
						   ? repalloc_huge(build->extra, build->extra_room * sizeof(ExtraTid))
						   : MemoryContextAllocHuge(build->context,
													build->extra_room * sizeof(ExtraTid));
		build->used += build->extra_room / 2 * sizeof(ExtraTid);
	}
	build->extra[build->nextra] = (ExtraTid){node, (uint32) build->nextra, *tid};
	build->nextra++;
}

/* Bytes that a row takes besides its record while the graph is built. */
static Size
row_overhead(const OmendbLayout *layout)
{
	return omendb_build_level_bytes(1024, layout->links) / 1024 + 32;
}

static void
load_row(HnswBuild *build, ItemPointer tid, Datum value)
{
	OmendbRecord *record = add_record(build);
	OmendbNode node = build->array.n - 1;
	VectorEntry *entry;
	uint64 id;
	bool found;

	if (!hnsw_encode_value(build->open, build->opclass, value, build->room, record))
	{
		build->array.n--;
		return;
	}
	build->rows++;
	id = record->identity[0] | (uint64) record->identity[1] << 32;
	entry = vectors_insert(build->vectors, id, &found);
	if (found && omendb_own_equal(&build->open->codec, record,
								  omendb_array_record(&build->array, entry->node)))
	{
		build->array.n--;
		node = entry->node;
	}
	else
	{
		if (!found)
			entry->node = node;
		build->used += row_overhead(&build->open->codec.layout);
	}
	add_tid(build, node, tid);
}

static void
run_phase(HnswBuild *build, OmendbBuilder *builder, OmendbBuildLevel *level, OmendbBuildPhase phase)
{
	uint32 size = omendb_build_phase_size(level, phase);

	for (uint32 from = 0; from < size; from += GRAPH_CHUNK)
	{
		CHECK_FOR_INTERRUPTS();
		omendb_build_chunk(builder, level, phase, from, Min(from + GRAPH_CHUNK, size));
		if (level->level == 0 && phase == OMENDB_BUILD_SEARCH)
			pgstat_progress_update_param(PROGRESS_CREATEIDX_TUPLES_DONE, level->from + from);
	}
}

static void
build_level(HnswBuild *build, OmendbBuilder *builder, OmendbNode first, uint32 n, unsigned number)
{
	const OmendbLayout *layout = &build->open->codec.layout;
	OmendbBuildLevel level = {0};
	void *memory;
	uint32 linked;

	level.array = &build->array;
	level.first = first;
	level.n = n;
	level.level = number;
	level.links = number == 0 ? layout->links : layout->m;
	level.beam = hnsw_beam_width(layout, build->open->meta.ef_construction);
	level.rough_beam = build->open->meta.ef_construction;
	level.seed = build->open->meta.seed;
	memory = MemoryContextAllocHuge(build->context, omendb_build_level_bytes(n, level.links));
	omendb_build_level_attach(&level, memory);
	omendb_build_level_init(&level);
	for (uint32 step = 0; omendb_build_step(&level, step, REFINING_PASSES); step++)
	{
		if (number == 0 && level.refines)
			pgstat_progress_update_param(PROGRESS_CREATEIDX_SUBPHASE, PHASE_REFINE);
		run_phase(build, builder, &level, OMENDB_BUILD_SEARCH);
		omendb_build_gather(&level);
		run_phase(build, builder, &level, OMENDB_BUILD_MERGE);
	}
	omendb_build_connect(builder, &level, &linked);
	build->entry = omendb_build_entry(&level);
	build->entry_level = number;
	pfree(memory);
}

static void
build_graph(HnswBuild *build)
{
	OmendbBuilder *builder;
	uint32 n = build->array.n;
	OmendbNode first = 0;

	build->entry = OMENDB_NO_NODE;
	if (n == 0)
		return;
	pgstat_progress_update_param(PROGRESS_CREATEIDX_SUBPHASE, PHASE_GRAPH);
	pgstat_progress_update_param(PROGRESS_CREATEIDX_TUPLES_TOTAL, n);
	builder = omendb_builder_create(&build->array, &omendb_palloc_allocator);
	for (unsigned level = 0; n > 0 && level <= OMENDB_MAX_LEVEL; level++)
	{
		OmendbNode next = build->array.n;

		build_level(build, builder, first, n, level);
		/* A level that one node's neighbours almost cover needs none above. */
		if (n <= 64)
			break;
		for (OmendbNode node = first; node < first + n; node++)
		{
			OmendbRecord *record;

			if (omendb_hash64(build->open->meta.seed * 3 + node) & ((1 << HNSW_LEVEL_SHIFT) - 1))
				continue;
			record = add_record(build);
			memcpy(record, omendb_array_record(&build->array, node),
				   build->open->codec.layout.neighbours_offset);
			record->level = level + 1;
			record->count = 0;
			record->ntids = 0;
			memset(record->tids, 0, sizeof(record->tids));
			record->down = node;
		}
		first = next;
		n = build->array.n - next;
	}
	omendb_builder_free(builder);
}

static int
compare_extra(const void *a, const void *b)
{
	const ExtraTid *x = a;
	const ExtraTid *y = b;

	if (x->node != y->node)
		return x->node < y->node ? -1 : 1;
	return x->order < y->order ? -1 : x->order > y->order;
}

/* TIDs that did not fit into overflow records, chained from their nodes. */
static void
add_overflow_records(HnswBuild *build)
{
	const OmendbLayout *layout = &build->open->codec.layout;
	uint32 room = omendb_overflow_room(layout);

	qsort(build->extra, build->nextra, sizeof(ExtraTid), compare_extra);
	for (size_t i = 0; i < build->nextra;)
	{
		OmendbNode node = build->extra[i].node;
		OmendbRecord *record = add_record(build);
		OmendbRecord *owner = omendb_array_record(&build->array, node);
		OmendbOverflow *overflow = omendb_record_overflow(record);

		record->kind = OMENDB_RECORD_OVERFLOW;
		record->overflow = owner->overflow;
		owner->overflow = build->array.n - 1;
		overflow->owner = node;
		overflow->owner_incarnation = owner->incarnation;
		while (i < build->nextra && build->extra[i].node == node && overflow->count < room)
			overflow->tids[overflow->count++] = build->extra[i++].tid;
	}
}

static void
write_pages(HnswBuild *build)
{
	const OmendbLayout *layout = &build->open->codec.layout;
	OmendbMetaPage meta = build->open->meta;

	pgstat_progress_update_param(PROGRESS_CREATEIDX_SUBPHASE, PHASE_WRITE);
	meta.entry = build->entry;
	meta.entry_level = build->entry_level;
	write_meta(build->index, MAIN_FORKNUM, &meta);
	for (uint32 node = 0; node < build->array.n;)
	{
		Buffer buffer = new_block(build->index, MAIN_FORKNUM);
		Page page = BufferGetPage(buffer);

		CHECK_FOR_INTERRUPTS();
		omendb_page_init(page, OMENDB_PAGE_RECORDS);
		for (uint32 slot = 0; slot < layout->per_page && node < build->array.n; slot++, node++)
			memcpy(omendb_page_record(layout, page, slot),
				   omendb_array_record(&build->array, node), layout->record_bytes);
		MarkBufferDirty(buffer);
		UnlockReleaseBuffer(buffer);
	}
	if (RelationNeedsWAL(build->index))
		log_newpage_range(build->index, MAIN_FORKNUM, 0, RelationGetNumberOfBlocks(build->index),
						  false);
}

/* From memory to pages; what comes later is inserted. */
static void
flush(HnswBuild *build)
{
	build_graph(build);
	add_overflow_records(build);
	write_pages(build);
	build->flushed = true;
}

static void
build_callback(Relation index, ItemPointer tid, Datum *values, bool *isnull, bool alive,
			   void *context)
{
	HnswBuild *build = context;
	MemoryContext old;

	if (isnull[0])
		return;
	old = MemoryContextSwitchTo(build->row);
	if (!build->flushed && build->used > build->budget)
	{
		MemoryContextSwitchTo(build->context);
		flush(build);
		MemoryContextSwitchTo(build->row);
	}
	if (build->flushed)
		build->rows += hnsw_insert(index, values, isnull, tid, build->heap, UNIQUE_CHECK_NO, false,
								   build->info);
	else
		load_row(build, tid, values[0]);
	MemoryContextSwitchTo(old);
	MemoryContextReset(build->row);
}

IndexBuildResult *
hnsw_build(Relation heap, Relation index, IndexInfo *info)
{
	IndexBuildResult *result = palloc(sizeof(IndexBuildResult));
	HnswBuild build = {0};
	OmendbMetaPage meta;
	MemoryContext old;

	if (RelationGetNumberOfBlocks(index) != 0)
		elog(ERROR, "index \"%s\" already contains data", RelationGetRelationName(index));
	build.heap = heap;
	build.index = index;
	build.info = info;
	build.opclass = hnsw_opclass(index);
	build.context = AllocSetContextCreate(CurrentMemoryContext, "hnsw build",
										  ALLOCSET_DEFAULT_SIZES);
	build.row = AllocSetContextCreate(build.context, "hnsw build row", ALLOCSET_DEFAULT_SIZES);
	build.budget = (Size) maintenance_work_mem * 1024;
	old = MemoryContextSwitchTo(build.context);

	fill_meta(&build, &meta);
	build.open = omendb_index_make(index, &meta);
	build.room = palloc(hnsw_value_room(&build.open->codec.layout));
	build.array.codec = &build.open->codec;
	build.array.chunk_shift = CHUNK_SHIFT;
	build.array.chunks = palloc_extended(MAX_CHUNKS * sizeof(uint8 *),
										 MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	build.vectors = vectors_create(build.context, 1024, NULL);

	pgstat_progress_update_param(PROGRESS_CREATEIDX_SUBPHASE, PHASE_LOAD);
	result->heap_tuples = table_index_build_scan(heap, index, info, true, true, build_callback,
												 &build, NULL);
	if (!build.flushed)
		flush(&build);
	result->index_tuples = build.rows;
	MemoryContextSwitchTo(old);
	MemoryContextDelete(build.context);
	return result;
}

/* The init fork of an unlogged index: an empty graph. */
void
hnsw_build_empty(Relation index)
{
	HnswBuild build = {0};
	OmendbMetaPage meta;

	build.index = index;
	build.opclass = hnsw_opclass(index);
	fill_meta(&build, &meta);
	write_meta(index, INIT_FORKNUM, &meta);
	log_newpage_range(index, INIT_FORKNUM, 0, 1, false);
}
