/*
 * hnswbuild.c
 *	  CREATE INDEX and REINDEX.
 *
 * The heap is read in its own order: every different vector becomes a record
 * in memory, numbered as it comes. Then the graph is built over the records
 * (graph/build.h), level by level, by this process and parallel workers; the
 * records are copied to pages and the pages written to WAL once. Rows that come
 * when maintenance_work_mem is full are inserted one by one afterwards.
 *
 * Only this process reads the heap, and what it reads is numbered in the heap's
 * order: the same heap gives the same index, whatever the number of workers.
 */
#include "am/hnsw.h"

#include "access/htup_details.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "access/xloginsert.h"
#include "am/hnswparallel.h"
#include "catalog/index.h"
#include "catalog/pg_am.h"
#include "commands/progress.h"
#include "funcapi.h"
#include "graph/build.h"
#include "miscadmin.h"
#include "optimizer/optimizer.h"
#include "optimizer/plancat.h"
#include "pgstat.h"
#include "storage/bufmgr.h"
#include "utils/backend_progress.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include <math.h>

#define PHASE_LOAD   2 /* 1 is PostgreSQL's own "initializing" */
#define PHASE_GRAPH  3
#define PHASE_REFINE 4
#define PHASE_WRITE  5
#define PHASE_INSERT 6

/* Refining passes over the whole graph (measured: bench/README.md). */
#define REFINING_PASSES 1

/*
 * A process for so many nodes: they take it a few tenths of a second, and to
 * start it takes some milliseconds.
 */
#define NODES_PER_PROCESS 1000

/* A level that has no more nodes needs none above: they almost all are neighbours. */
#define TOP_LEVEL 64

/* Bytes that a row's entry in the hash table of vectors takes. */
#define VECTOR_ENTRY_BYTES 32

typedef struct VectorEntry
{
	uint64 identity;
	OmendbNode node;
	uint32 status;
} VectorEntry;

#define SH_PREFIX         vectors
#define SH_ELEMENT_TYPE   VectorEntry
#define SH_KEY_TYPE       uint64
#define SH_KEY            identity
#define SH_HASH_KEY(t, k) ((uint32) (k))
#define SH_EQUAL(t, a, b) ((a) == (b))
#define SH_SCOPE          static inline
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
	int64 inserted; /* after that */
	bool warned;    /* that memory is short */

	HnswRecords records;
	HnswCrew *crew;
	vectors_hash *vectors; /* by identity */
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
		case PHASE_INSERT:
			return "inserting tuples";
		default:
			return NULL;
	}
}

static void
start_phase(int phase, uint64 total)
{
	const int params[] = {PROGRESS_CREATEIDX_SUBPHASE, PROGRESS_CREATEIDX_TUPLES_TOTAL,
						  PROGRESS_CREATEIDX_TUPLES_DONE};
	const int64 values[] = {phase, (int64) total, 0};

	pgstat_progress_update_multi_param(lengthof(params), params, values);
}

static void
report_done(void *context, uint32 done)
{
	pgstat_progress_update_param(PROGRESS_CREATEIDX_TUPLES_DONE, *(uint32 *) context + done);
}

static void
report_nothing(void *context, uint32 done)
{
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
	/* The widest vectors leave no room for so many links: then as many as fit. */
	while (!omendb_layout_choose(&layout, build->opclass->metric, dimensions, m,
								 hnsw_get_compact(build->index), OMENDB_PAGE_BYTES))
		if (--m < OMENDB_MIN_M)
			ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
							errmsg("a vector of %d dimensions does not fit a page", dimensions)));
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

/* Room for one more record. */
static OmendbRecord *
add_record(HnswBuild *build)
{
	OmendbRecord *record;

	if (build->records.array.n > OMENDB_MAX_NODE)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("hnsw index \"%s\" cannot have more than %u records",
							   RelationGetRelationName(build->index), OMENDB_MAX_NODE)));
	record = hnsw_records_add(&build->records);
	record->kind = OMENDB_RECORD_NODE;
	record->down = OMENDB_NO_NODE;
	record->overflow = OMENDB_NO_NODE;
	return record;
}

static void
add_tid(HnswBuild *build, OmendbNode node, ItemPointer tid)
{
	OmendbRecord *record = omendb_array_record(&build->records.array, node);

	if (record->ntids < OMENDB_INLINE_TIDS)
	{
		memcpy(record->tids + record->ntids++ * OMENDB_TID_BYTES, tid, OMENDB_TID_BYTES);
		return;
	}
	if (build->nextra == build->extra_room)
	{
		build->extra_room = Max(1024, build->extra_room * 2);
		build->extra =
			build->extra
				? repalloc_huge(build->extra, build->extra_room * sizeof(ExtraTid))
				: MemoryContextAllocHuge(build->context, build->extra_room * sizeof(ExtraTid));
		build->used += build->extra_room / 2 * sizeof(ExtraTid);
	}
	build->extra[build->nextra] = (ExtraTid){node, (uint32) build->nextra, *tid};
	build->nextra++;
}

/*
 * Bytes that a node takes while the graph is built: its record, with its share
 * of the levels above, and its place in the level's arrays and in the hash
 * table of vectors (or later, in less, in what checks the graph).
 */
static Size
node_bytes(const OmendbLayout *layout)
{
	Size record = omendb_array_stride(layout);

	return record + (record >> HNSW_LEVEL_SHIFT) +
		   omendb_build_level_bytes(1024, layout->links) / 1024 + VECTOR_ENTRY_BYTES;
}

static void
load_row(HnswBuild *build, ItemPointer tid, Datum value)
{
	OmendbRecord *record = add_record(build);
	OmendbNode node = build->records.array.n - 1;
	VectorEntry *entry;
	uint64 id;
	bool found;

	if (!hnsw_encode_value(build->open, build->opclass, value, build->room, record))
	{
		build->records.array.n--;
		return;
	}
	build->rows++;
	pgstat_progress_update_param(PROGRESS_CREATEIDX_TUPLES_DONE, (int64) build->rows);
	id = record->identity[0] | (uint64) record->identity[1] << 32;
	entry = vectors_insert(build->vectors, id, &found);
	if (found && omendb_own_equal(&build->open->codec, record,
								  omendb_array_record(&build->records.array, entry->node)))
	{
		build->records.array.n--;
		node = entry->node;
	}
	else
	{
		if (!found)
			entry->node = node;
		build->used += node_bytes(&build->open->codec.layout);
	}
	add_tid(build, node, tid);
}

/* Is the node of a level on the next level too? */
static inline bool
rises(const OmendbMetaPage *meta, OmendbNode node)
{
	return (omendb_hash64(meta->seed * 3 + node) & ((1 << HNSW_LEVEL_SHIFT) - 1)) == 0;
}

/* Records that a graph of n nodes will have on all its levels. */
static uint64
count_records(const OmendbMetaPage *meta, uint32 n)
{
	uint64 total = n;
	uint64 first = 0;

	while (n > TOP_LEVEL)
	{
		uint32 next = 0;

		for (uint32 i = 0; i < n; i++)
			next += rises(meta, first + i);
		first = total;
		total += next;
		n = next;
	}
	return total;
}

/*
 * How many workers? plan_create_index_workers would say, but asks what does not
 * matter here: how large the heap is (vectors may be in TOAST), whether
 * expressions are parallel safe and the table is not temporary (workers see
 * neither), and 32 MB of maintenance_work_mem for each (all share one memory).
 */
static int
choose_workers(HnswBuild *build)
{
	int workers = max_parallel_maintenance_workers;
	int wanted = RelationGetParallelWorkers(build->heap, -1);
	uint32 n = build->records.array.n;

	if (!IsUnderPostmaster || IsInParallelMode() || !ActiveSnapshotSet() || n <= TOP_LEVEL)
		return 0;
	if (wanted < 0)
		wanted = Min(n / NODES_PER_PROCESS, INT_MAX) - 1;
	return Max(0, Min(workers, wanted));
}

static void
check_interrupts(void)
{
	CHECK_FOR_INTERRUPTS();
}

static void
build_level(HnswBuild *build, OmendbNode first, uint32 n, unsigned number)
{
	const OmendbLayout *layout = &build->open->codec.layout;
	OmendbBuildLevel level = {0};
	uint32 linked;

	level.array = &build->records.array;
	level.first = first;
	level.n = n;
	level.level = number;
	level.links = number == 0 ? layout->links : layout->m;
	level.beam = hnsw_beam_width(layout, build->open->meta.ef_construction);
	level.rough_beam = build->open->meta.ef_construction;
	level.seed = build->open->meta.seed;
	level.interrupt = check_interrupts;
	omendb_build_level_attach(&level, hnsw_crew_level_memory(build->crew));
	omendb_build_level_init(&level);
	for (uint32 step = 0; omendb_build_step(&level, step, REFINING_PASSES); step++)
	{
		if (number == 0 && level.refines)
			start_phase(PHASE_REFINE, n);
		hnsw_crew_run(build->crew, &level, OMENDB_BUILD_SEARCH,
					  number == 0 ? report_done : report_nothing, &level.from);
		omendb_build_gather(&level);
		hnsw_crew_run(build->crew, &level, OMENDB_BUILD_MERGE, report_nothing, NULL);
	}
	omendb_build_connect(hnsw_crew_builder(build->crew), &level, &linked);
	build->entry = omendb_build_entry(&level);
	build->entry_level = number;
}

static void
build_graph(HnswBuild *build)
{
	const OmendbMetaPage *meta = &build->open->meta;
	const OmendbLayout *layout = &build->open->codec.layout;
	uint32 n = build->records.array.n;
	OmendbNode first = 0;

	build->entry = OMENDB_NO_NODE;
	if (n == 0)
		return;
	start_phase(PHASE_GRAPH, n);
	build->crew =
		hnsw_crew_start(&build->records, meta, choose_workers(build), count_records(meta, n),
						omendb_build_level_bytes(n, layout->links));
	for (unsigned level = 0; n > 0 && level <= OMENDB_MAX_LEVEL; level++)
	{
		OmendbNode next = build->records.array.n;

		build_level(build, first, n, level);
		if (n <= TOP_LEVEL)
			break;
		for (OmendbNode node = first; node < first + n; node++)
		{
			OmendbRecord *record;

			if (!rises(meta, node))
				continue;
			record = add_record(build);
			memcpy(record, omendb_array_record(&build->records.array, node),
				   layout->neighbours_offset);
			record->level = level + 1;
			record->count = 0;
			record->ntids = 0;
			memset(record->tids, 0, sizeof(record->tids));
			record->down = node;
		}
		first = next;
		n = build->records.array.n - next;
	}
	hnsw_crew_dismiss(build->crew);
}

static int
compare_extra(const void *a, const void *b)
{
	const ExtraTid *x = a;
	const ExtraTid *y = b;

	CHECK_FOR_INTERRUPTS();
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
		OmendbRecord *owner = omendb_array_record(&build->records.array, node);
		OmendbOverflow *overflow = omendb_record_overflow(record);

		record->kind = OMENDB_RECORD_OVERFLOW;
		record->overflow = owner->overflow;
		owner->overflow = build->records.array.n - 1;
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

	start_phase(PHASE_WRITE, build->records.array.n);
	meta.entry = build->entry;
	meta.entry_level = build->entry_level;
	write_meta(build->index, MAIN_FORKNUM, &meta);
	for (uint32 node = 0; node < build->records.array.n;)
	{
		Buffer buffer = new_block(build->index, MAIN_FORKNUM);
		Page page = BufferGetPage(buffer);

		CHECK_FOR_INTERRUPTS();
		omendb_page_init(page, OMENDB_PAGE_RECORDS);
		for (uint32 slot = 0; slot < layout->per_page && node < build->records.array.n;
			 slot++, node++)
			memcpy(omendb_page_record(layout, page, slot),
				   omendb_array_record(&build->records.array, node), layout->record_bytes);
		MarkBufferDirty(buffer);
		UnlockReleaseBuffer(buffer);
		pgstat_progress_update_param(PROGRESS_CREATEIDX_TUPLES_DONE, node);
	}
	if (RelationNeedsWAL(build->index))
		log_newpage_range(build->index, MAIN_FORKNUM, 0, RelationGetNumberOfBlocks(build->index),
						  false);
}

/* From memory to pages; what comes later is inserted. */
static void
flush(HnswBuild *build)
{
	vectors_destroy(build->vectors);
	build_graph(build);
	add_overflow_records(build);
	write_pages(build);
	if (build->crew)
		hnsw_crew_free(build->crew);
	if (build->extra)
		pfree(build->extra);
	build->flushed = true;
}

static double
build_bytes(const OmendbLayout *layout, double rows)
{
	return rows * node_bytes(layout);
}

/* Once a build; rows may be an estimate. */
static void
say_memory_is_short(HnswBuild *build, double rows)
{
	double wanted = build_bytes(&build->open->codec.layout, rows);

	if (build->warned)
		return;
	ereport(NOTICE,
			(errmsg("hnsw index \"%s\" cannot be built within maintenance_work_mem",
					RelationGetRelationName(build->index)),
			 errdetail("About %.0f rows want %.0f MB; maintenance_work_mem is %d MB.", rows,
					   ceil(wanted / (1024 * 1024)), maintenance_work_mem / 1024),
			 errhint("Rows for which there is no memory are inserted one by one, which takes "
					 "longer; a larger maintenance_work_mem avoids that.")));
	build->warned = true;
}

/*
 * How many rows has the table? From its statistics; without those from some of
 * its pages, for nothing is known of the width of its rows then.
 */
static double
estimate_rows(Relation heap)
{
	const BlockNumber samples = 16;
	BlockNumber pages = RelationGetNumberOfBlocks(heap);
	double items = 0;
	double all_visible;
	double rows;

	if (pages == 0)
		return 0;
	if (heap->rd_rel->relam != HEAP_TABLE_AM_OID ||
		(heap->rd_rel->relpages > 0 && heap->rd_rel->reltuples >= 0))
	{
		estimate_rel_size(heap, NULL, &pages, &rows, &all_visible);
		return rows;
	}
	for (BlockNumber i = 0; i < Min(pages, samples); i++)
	{
		BlockNumber block = (uint64) i * pages / Min(pages, samples);
		Buffer buffer = ReadBuffer(heap, block);
		Page page;

		CHECK_FOR_INTERRUPTS();
		LockBuffer(buffer, BUFFER_LOCK_SHARE);
		page = BufferGetPage(buffer);
		for (OffsetNumber k = FirstOffsetNumber;
			 !PageIsNew(page) && k <= PageGetMaxOffsetNumber(page); k++)
			items += ItemIdIsNormal(PageGetItemId(page, k));
		UnlockReleaseBuffer(buffer);
	}
	return items / Min(pages, samples) * pages;
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
	/* The second: the graph's arrays are indexed by 32 bits (graph/build.h). */
	if (!build->flushed &&
		(build->used > build->budget ||
		 build->records.array.n >= PG_UINT32_MAX / build->open->codec.layout.links))
	{
		/* The heap is read from its first block to its last. */
		if (build->used > build->budget)
			say_memory_is_short(build, build->rows * RelationGetNumberOfBlocks(build->heap) /
										   (ItemPointerGetBlockNumber(tid) + 1.0));
		MemoryContextSwitchTo(build->context);
		flush(build);
		MemoryContextSwitchTo(build->row);
		start_phase(PHASE_INSERT, 0);
	}
	if (build->flushed)
	{
		hnsw_insert(index, values, isnull, tid, build->heap, UNIQUE_CHECK_NO, false, build->info);
		build->rows++;
		pgstat_progress_update_param(PROGRESS_CREATEIDX_TUPLES_DONE, ++build->inserted);
	}
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
	double estimate;

	if (RelationGetNumberOfBlocks(index) != 0)
		elog(ERROR, "index \"%s\" already contains data", RelationGetRelationName(index));
	build.heap = heap;
	build.index = index;
	build.info = info;
	build.opclass = hnsw_opclass(index);
	build.context =
		AllocSetContextCreate(CurrentMemoryContext, "hnsw build", ALLOCSET_DEFAULT_SIZES);
	build.row = AllocSetContextCreate(build.context, "hnsw build row", ALLOCSET_DEFAULT_SIZES);
	build.budget = (Size) maintenance_work_mem * 1024;
	old = MemoryContextSwitchTo(build.context);

	fill_meta(&build, &meta);
	build.open = omendb_index_make(index, &meta);
	build.room = palloc(hnsw_value_room(&build.open->codec.layout));
	hnsw_records_init(&build.records, &build.open->codec);
	build.vectors = vectors_create(build.context, 1024, NULL);

	estimate = estimate_rows(heap);
	/* Nothing is known of how many rows a partial index has. */
	if (info->ii_Predicate == NIL &&
		build_bytes(&build.open->codec.layout, estimate) > (double) build.budget)
		say_memory_is_short(&build, estimate);

	start_phase(PHASE_LOAD, info->ii_Predicate == NIL ? estimate : 0);
	/* Not from where other scans are now: the order decides the numbers. */
	result->heap_tuples =
		table_index_build_scan(heap, index, info, false, true, build_callback, &build, NULL);
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

PG_FUNCTION_INFO_V1(omendb_sql_hnsw_index_size_estimate);

/*
 * hnsw_index_size_estimate(rows bigint, dimensions int, m int, out index_bytes
 * bigint, out build_bytes bigint): of vector columns, all rows different.
 */
Datum
omendb_sql_hnsw_index_size_estimate(PG_FUNCTION_ARGS)
{
	int64 rows = PG_GETARG_INT64(0);
	int32 dimensions = PG_GETARG_INT32(1);
	int32 m = PG_GETARG_INT32(2);
	OmendbLayout layout;
	TupleDesc descriptor;
	Datum values[2];
	bool nulls[2] = {false, false};
	double records;

	if (rows < 0 || rows > OMENDB_MAX_NODE)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("rows must be between 0 and %u", OMENDB_MAX_NODE)));
	if (m < OMENDB_MIN_M || m > OMENDB_MAX_M)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("m must be between %d and %d", OMENDB_MIN_M, OMENDB_MAX_M)));
	if (dimensions < 1 || dimensions > OMENDB_MAX_DIM)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("dimensions must be between 1 and %d", OMENDB_MAX_DIM)));
	if (!omendb_layout_choose(&layout, OMENDB_METRIC_L2, dimensions, m, false, OMENDB_PAGE_BYTES))
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("a record of %d dimensions with m = %d does not fit a page", dimensions, m),
				 errhint("Use a smaller m.")));
	if (get_call_result_type(fcinfo, NULL, &descriptor) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	/* with the levels above */
	records = rows + (rows > TOP_LEVEL ? ceil(rows / ((1 << HNSW_LEVEL_SHIFT) - 1.0)) : 0);
	values[0] =
		Int64GetDatum((int64) (OMENDB_FIRST_BLOCK + ceil(records / layout.per_page)) * BLCKSZ);
	values[1] = Int64GetDatum((int64) build_bytes(&layout, rows));
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(descriptor), values, nulls)));
}
