/*
 * hnswbuild.c
 *	  CREATE INDEX and REINDEX.
 *
 * The heap is read in its own order: every vector becomes a record in memory,
 * numbered as it comes. Equal ones are merged, and the last records take the
 * numbers that are free then. The graph is built over the records (graph/build.h),
 * level by level; the records are copied to pages and the pages written to WAL once.
 *
 * When maintenance_work_mem is full, the records go to a temporary file, and the index is
 * built in parts afterwards (hnswparts.c). Graphs that have to be made in rounds
 * (graph/build.h) are not: there the rows that come then are inserted one by one.
 *
 * Parallel workers take part in all of that (hnswparallel.c), but only this process
 * reads the heap, and numbers follow its order: the same heap gives the same index,
 * whatever the number of workers.
 */
#include "am/hnsw.h"

#include "access/tableam.h"
#include "access/xact.h"
#include "build/hnswbuild.h"
#include "build/hnswbuildsize.h"
#include "am/hnswcalibrate.h"
#include "build/hnswpages.h"
#include "build/hnswparts.h"
#include "catalog/index.h"
#include "commands/progress.h"
#include "graph/build.h"
#include "miscadmin.h"
#include "optimizer/optimizer.h"
#include "page/change.h"
#include "pgstat.h"
#include "storage/bufmgr.h"
#include "utils/backend_progress.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "write/hnswjoin.h"

#include <math.h>

/* Refining passes over a graph built in rounds (measured: bench/README.md). */
#define REFINING_PASSES 1

/* The beam of upper levels is wider if more than one of so many nodes there represents a group. */
#define GROUPS_SHARE 8

/*
 * A process for so many nodes: they take it a few tenths of a second, and to
 * start it takes some milliseconds.
 */
#define NODES_PER_PROCESS 1000

char *
hnsw_build_phase_name(int64 phase)
{
	switch (phase)
	{
		case PROGRESS_CREATEIDX_SUBPHASE_INITIALIZE:
			return "initializing";
		case HNSW_PHASE_LOAD:
			return "loading tuples";
		case HNSW_PHASE_QUANTIZE:
			return "quantizing vectors";
		case HNSW_PHASE_PARTITION:
			return "partitioning vectors";
		case HNSW_PHASE_COMPARE:
			return "comparing vectors";
		case HNSW_PHASE_CHOOSE:
			return "choosing neighbours";
		case HNSW_PHASE_GRAPH:
			return "building graph";
		case HNSW_PHASE_REFINE:
			return "refining graph";
		case HNSW_PHASE_WRITE:
			return "writing pages";
		case HNSW_PHASE_INSERT:
			return "inserting tuples";
		case HNSW_PHASE_CALIBRATE:
			return "measuring recall";
		case HNSW_PHASE_SPLIT:
			return "splitting into parts";
		case HNSW_PHASE_NUMBER:
			return "numbering nodes";
		case HNSW_PHASE_JOIN:
			return "joining parts";
		default:
			return NULL;
	}
}

void
hnsw_build_phase(int phase, uint64 total)
{
	const int params[] = {PROGRESS_CREATEIDX_SUBPHASE, PROGRESS_CREATEIDX_TUPLES_TOTAL,
						  PROGRESS_CREATEIDX_TUPLES_DONE};
	const int64 values[] = {phase, (int64) total, 0};

	pgstat_progress_update_multi_param(lengthof(params), params, values);
}

/* build->heap may be NULL: then nothing is known of the rows. */
static void
fill_meta(HnswBuild *build, OmendbMetaPage *meta)
{
	OmendbLayout layout;
	int dimensions = hnsw_column_dimensions(build->index, build->opclass);
	int m = hnsw_get_m(build->index);

	if (hnsw_get_ef_construction(build->index) < 2 * m)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("ef_construction must be greater than or equal to 2 * m")));
	if (build->opclass->sparse)
	{
		uint32 elements = hnsw_sample_elements(build->heap, build->index, build->info);

		if (!omendb_layout_choose_sparse(&layout, build->opclass->metric, dimensions, m, elements,
										 OMENDB_PAGE_BYTES))
			elog(ERROR, "no record has room for %d edges", 2 * m);
	}
	else
		/* The widest vectors leave no room for so many edges: then as many as fit. */
		while (!omendb_layout_choose(&layout, build->opclass->metric, dimensions, m,
									 hnsw_get_compact(build->index), OMENDB_PAGE_BYTES))
			if (--m < OMENDB_MIN_M)
				ereport(ERROR,
						(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
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
	meta->elements = layout.elements;
	meta->entry = OMENDB_NO_NODE;
	meta->level_shift = HNSW_LEVEL_SHIFT;
	/* Any number does; a constant one makes builds repeatable. */
	meta->seed = UINT64CONST(0x6f6d656e6462) + dimensions;
	meta->checksum = omendb_meta_checksum(meta);
}

/* Room for one more record. */
static OmendbRecord *
add_record(HnswBuild *build)
{
	if (build->records.array.n > OMENDB_MAX_NODE)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("hnsw index \"%s\" cannot have more than %u records",
							   RelationGetRelationName(build->index), OMENDB_MAX_NODE)));
	return hnsw_crew_add_record(build->crew);
}

void
hnsw_build_add_tid(HnswBuild *build, OmendbNode node, ItemPointer tid)
{
	OmendbRecord *record = omendb_array_record(&build->records.array, node);

	if (record->ntids < OMENDB_INLINE_TIDS)
	{
		memcpy(record->tids + record->ntids++ * OMENDB_TID_BYTES, tid, OMENDB_TID_BYTES);
		return;
	}
	if (build->nextra == build->extra_capacity)
	{
		build->extra_capacity = Max(1024, build->extra_capacity * 2);
		build->extra =
			build->extra ? repalloc_huge(build->extra, build->extra_capacity * sizeof(HnswExtraTid))
						 : MemoryContextAllocHuge(build->context,
												  build->extra_capacity * sizeof(HnswExtraTid));
		build->used += build->extra_capacity / 2 * sizeof(HnswExtraTid);
	}
	build->extra[build->nextra] = (HnswExtraTid){node, (uint32) build->nextra, *tid};
	build->nextra++;
}

static void
load_row(HnswBuild *build, ItemPointer tid, Datum value)
{
	const HnswOpclass *opclass = build->opclass;

	if (opclass->floats)
	{
		float *floats = hnsw_crew_next(build->crew, tid);

		hnsw_get_floats(build->open, opclass, value, floats);
		hnsw_crew_add(build->crew);
	}
	else
	{
		OmendbRecord *record = add_record(build);

		/* A zero vector under cosine: its record's place is given to another one. */
		if (!hnsw_encode_value(build->open, opclass, value, build->buffer, record))
			record->kind = OMENDB_RECORD_FREE;
		memcpy(record->tids, tid, OMENDB_TID_BYTES);
		record->ntids = 1;
	}
	build->used += build->node_bytes;
	pgstat_progress_update_param(PROGRESS_CREATEIDX_TUPLES_DONE, ++build->loaded);
}

HnswVectorEntry *
hnsw_build_vector(HnswBuild *build, const OmendbRecord *record, bool *found)
{
	return vectors_insert(build->vectors, record->identity[0] | (uint64) record->identity[1] << 32,
						  found);
}

/*
 * Rows with equal vectors share a node, the first of them: a later one's record becomes
 * free. Returns how many of the records loaded since the last time are free, with those
 * of rows that the index does not take.
 */
static uint32
merge_equal(HnswBuild *build)
{
	OmendbArray *array = &build->records.array;
	uint32 nfree = 0;

	for (OmendbNode node = build->collected; node < array->n; node++)
	{
		OmendbRecord *record = omendb_array_record(array, node);
		HnswVectorEntry *entry;
		ItemPointerData tid;
		bool found;

		if (node % 4096 == 0)
			CHECK_FOR_INTERRUPTS();
		if (record->kind == OMENDB_RECORD_FREE)
		{
			build->left_out = true;
			nfree++;
			continue;
		}
		build->rows++;
		entry = hnsw_build_vector(build, record, &found);
		if (!found)
			entry->node = node;
		else if (omendb_own_equal(&build->open->codec, record,
								  omendb_array_record(array, entry->node)))
		{
			memcpy(&tid, record->tids, OMENDB_TID_BYTES);
			hnsw_build_add_tid(build, entry->node, &tid);
			record->kind = OMENDB_RECORD_FREE;
			nfree++;
		}
	}
	return nfree;
}

/*
 * After all records loaded so far are made: merge equal ones, and move the last records
 * into the places of free ones.
 */
static void
collect(HnswBuild *build)
{
	OmendbArray *array = &build->records.array;
	Size stride = omendb_array_stride(&array->codec->layout);
	OmendbNode *moved; /* moved[i]: where node n + i is now */
	uint32 nfree;
	uint32 n;
	OmendbNode hole = build->collected;

	hnsw_crew_finish(build->crew);
	nfree = merge_equal(build);
	n = array->n - nfree;
	moved = palloc_extended(Max(nfree, 1) * sizeof(OmendbNode), MCXT_ALLOC_HUGE);
	for (OmendbNode node = n; node < array->n; node++)
	{
		OmendbRecord *record = omendb_array_record(array, node);
		HnswVectorEntry *entry;
		bool found;

		if (record->kind == OMENDB_RECORD_FREE)
			continue;
		while (omendb_array_record(array, hole)->kind != OMENDB_RECORD_FREE)
			hole++;
		memcpy(omendb_array_record(array, hole), record, stride);
		entry = hnsw_build_vector(build, record, &found);
		if (entry->node == node)
			entry->node = hole;
		moved[node - n] = hole;
	}
	for (size_t i = 0; i < build->nextra; i++)
		if (build->extra[i].node >= n)
			build->extra[i].node = moved[build->extra[i].node - n];
	pfree(moved);
	build->used -= (Size) nfree * build->node_bytes;
	array->n = build->collected = n;
}

bool
hnsw_build_rises(HnswBuild *build, const OmendbBuildLevel *level, uint32 i, OmendbNode node,
				 unsigned shift)
{
	uint64 lot = omendb_hash64(build->open->meta.seed * 3 + node);
	OmendbRise rise = level->in_bulk ? omendb_bulk_rise(&level->bulk, i) : OMENDB_RISE_BY_LOT;
	bool rises = rise == OMENDB_RISE_ALWAYS ||
				 (rise == OMENDB_RISE_BY_LOT && (lot & ((UINT64CONST(1) << shift) - 1)) == 0);

	build->risen += rises;
	build->groups += rise == OMENDB_RISE_ALWAYS;
	return rises;
}

void
hnsw_build_finish_meta(const HnswBuild *build, OmendbMetaPage *meta)
{
	meta->entry = build->entry;
	meta->entry_level = build->entry_level;
	if (build->groups > build->risen / GROUPS_SHARE)
		meta->upper_beam = OMENDB_UPPER_BEAM_OF_GROUPS;
	meta->checksum = omendb_meta_checksum(meta);
}

/*
 * How many workers? plan_create_index_workers would say, but asks what does not
 * matter here: how large the heap is (vectors may be in TOAST), whether
 * expressions are parallel safe and the table is not temporary (workers see
 * neither), and 32 MB of maintenance_work_mem for each (all share one memory).
 */
static int
choose_workers(HnswBuild *build, double n)
{
	int workers = max_parallel_maintenance_workers;
	int wanted = RelationGetParallelWorkers(build->heap, -1);

	if (!IsUnderPostmaster || IsInParallelMode() || !ActiveSnapshotSet() || n <= HNSW_TOP_LEVEL)
		return 0;
	if (wanted < 0)
		wanted = (int) Min(n / NODES_PER_PROCESS, INT_MAX / 2) - 1;
	return Max(0, Min(workers, wanted));
}

/* What the lowest level is at; the others take next to no time. */
static void
show_phase(const OmendbBuildLevel *level)
{
	switch (level->phase)
	{
		case OMENDB_BUILD_QUANTIZE:
			hnsw_build_phase(HNSW_PHASE_QUANTIZE, level->n);
			break;
		case OMENDB_BUILD_ASSIGN:
			hnsw_build_phase(HNSW_PHASE_PARTITION, level->n);
			break;
		case OMENDB_BUILD_LEAVES:
			hnsw_build_phase(HNSW_PHASE_COMPARE, level->n);
			break;
		case OMENDB_BUILD_CHOOSE:
			hnsw_build_phase(HNSW_PHASE_CHOOSE, level->n);
			break;
		case OMENDB_BUILD_SEARCH:
			if (level->rounds.refines)
				hnsw_build_phase(HNSW_PHASE_REFINE, level->n);
			else if (level->rounds.from == 0)
				hnsw_build_phase(HNSW_PHASE_GRAPH, level->n);
			break;
		default:
			break;
	}
}

static void
build_level(HnswBuild *build, OmendbBuildLevel *level, OmendbNode first, uint32 n, unsigned number)
{
	const OmendbLayout *layout = &build->open->codec.layout;
	OmendbBuilder *builder = hnsw_crew_builder(build->crew);
	uint32 added;

	hnsw_build_set_level(build, level);
	level->first = first;
	level->n = n;
	level->level = number;
	level->edges = number == 0 ? layout->edges : layout->m;
	level->options.beam = hnsw_beam_width(layout, build->open->meta.ef_construction);
	level->options.passes = REFINING_PASSES;
	omendb_build_prepare(level);
	omendb_build_attach(level, hnsw_crew_level_memory(build->crew));
	for (;;)
	{
		/* The allocator does not return without memory. */
		if (!omendb_build_next(builder, level))
			elog(ERROR, "out of memory");
		if (level->phase == OMENDB_BUILD_DONE)
			break;
		if (number == 0)
			show_phase(level);
		hnsw_crew_run(build->crew, level, number == 0);
	}
	if (!omendb_build_connect(builder, level, &added))
		elog(ERROR, "out of memory");
	build->entry = omendb_build_entry(level);
	build->entry_level = number;
}

/* Expressions and predicates may do what is not allowed in parallel mode. */
static void
launch(HnswBuild *build, double n)
{
	if (!build->launched)
		hnsw_crew_launch(build->crew, choose_workers(build, n));
	build->launched = true;
}

/* A crew, and records, in shared memory where there will be workers. */
static void
begin(HnswBuild *build, double n)
{
	hnsw_records_init(&build->records, &build->open->codec);
	if (choose_workers(build, n) > 0)
		hnsw_records_share(&build->records);
	build->crew =
		hnsw_crew_create(&build->records, RelationGetRelid(build->index), &build->open->meta);
	build->launched = false;
}

void
hnsw_build_begin_anew(HnswBuild *build, double n)
{
	hnsw_crew_free(build->crew);
	begin(build, n);
	launch(build, n);
}

void
hnsw_build_levels(HnswBuild *build, unsigned level, OmendbNode offset)
{
	const OmendbLayout *layout = &build->open->codec.layout;
	uint32 n = build->records.array.n;
	OmendbNode first = 0;

	for (; n > 0 && level <= OMENDB_MAX_LEVEL; level++)
	{
		OmendbNode next = build->records.array.n;
		OmendbBuildLevel built;

		build_level(build, &built, first, n, level);
		if (n <= HNSW_TOP_LEVEL)
			break;
		for (OmendbNode node = first; node < first + n; node++)
		{
			OmendbRecord *record;

			if (!hnsw_build_rises(build, &built, node - first, offset + node, HNSW_LEVEL_SHIFT))
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
}

static void
build_graph(HnswBuild *build)
{
	const OmendbMetaPage *meta = &build->open->meta;
	const OmendbLayout *layout = &build->open->codec.layout;
	uint32 n = build->records.array.n;

	build->entry = OMENDB_NO_NODE;
	if (n == 0)
		return;
	launch(build, n);
	hnsw_crew_allocate_level(build->crew, omendb_build_bytes(layout, n, meta->ef_construction));
	hnsw_build_levels(build, 0, 0);
}

static int
compare_extra(const void *a, const void *b)
{
	const HnswExtraTid *x = a;
	const HnswExtraTid *y = b;

	CHECK_FOR_INTERRUPTS();
	if (x->node != y->node)
		return x->node < y->node ? -1 : 1;
	return x->order < y->order ? -1 : x->order > y->order;
}

void
hnsw_build_sort_extra(HnswBuild *build)
{
	qsort(build->extra, build->nextra, sizeof(HnswExtraTid), compare_extra);
}

void
hnsw_build_add_overflow(HnswBuild *build)
{
	const OmendbLayout *layout = &build->open->codec.layout;
	uint32 capacity = omendb_overflow_capacity(layout);

	hnsw_build_sort_extra(build);
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
		while (i < build->nextra && build->extra[i].node == node && overflow->count < capacity)
			overflow->tids[overflow->count++] = build->extra[i++].tid;
	}
}

static void
write_pages(HnswBuild *build)
{
	const OmendbLayout *layout = &build->open->codec.layout;
	OmendbMetaPage meta = build->open->meta;

	hnsw_build_phase(HNSW_PHASE_WRITE, build->records.array.n);
	hnsw_build_finish_meta(build, &meta);
	hnsw_write_meta(build->index, MAIN_FORKNUM, &meta);
	hnsw_extend_for(build->index, layout, OMENDB_FIRST_BLOCK, build->records.array.n);
	hnsw_crew_write(build->crew, build->index, OMENDB_FIRST_BLOCK);
}

/* From memory to pages; what comes later is inserted. */
static void
flush(HnswBuild *build)
{
	OmendbNode upper = OMENDB_NO_NODE;

	if (build->parts)
		upper = hnsw_parts_build(build->parts);
	vectors_destroy(build->vectors);
	if (!build->parts)
	{
		build_graph(build);
		hnsw_build_add_overflow(build);
		write_pages(build);
	}
	hnsw_crew_free(build->crew);
	if (build->extra)
		pfree(build->extra);
	build->flushed = true;
	if (build->parts)
	{
		hnsw_build_phase(HNSW_PHASE_JOIN, 0);
		hnsw_join_new(build->index, upper);
	}
}

/* From memory to a temporary file. */
static void
spill(HnswBuild *build)
{
	if (!build->parts)
		build->parts = hnsw_parts_create(build);
	build->loaded_at_once = build->records.array.n;
	hnsw_parts_add(build->parts);
	build->used = 0;
	build->collected = 0;
}

/* Once a build; rows may be an estimate. */
static void
say_memory_is_short(HnswBuild *build, double rows, bool in_parts)
{
	double wanted = rows * build->node_bytes;

	if (build->warned)
		return;
	ereport(NOTICE,
			(errmsg("hnsw index \"%s\" cannot be built within maintenance_work_mem",
					RelationGetRelationName(build->index)),
			 errdetail("About %.0f rows want %.0f MB; maintenance_work_mem is %d MB.", rows,
					   ceil(wanted / (1024 * 1024)), maintenance_work_mem / 1024),
			 in_parts
				 ? errhint("It is built in parts, with its vectors in temporary files, which takes "
						   "longer; a larger maintenance_work_mem avoids that.")
				 : errhint("Rows for which there is no memory are inserted one by one, which takes "
						   "longer; a larger maintenance_work_mem avoids that.")));
	build->warned = true;
}

static void
begin_loading(HnswBuild *build)
{
	if (build->opclass->floats)
		hnsw_crew_begin(build->crew);
}

/*
 * Is there no memory, or no number, for another node? The latter because the graph's
 * arrays are indexed by 32 bits (graph/build.h).
 */
static bool
is_full(HnswBuild *build)
{
	uint32 most = PG_UINT32_MAX / build->open->codec.layout.edges;

	if (build->used <= build->budget && build->records.array.n < most)
		return false;
	/* Equal rows need less than what they were taken for. */
	collect(build);
	if (build->used > build->budget - build->budget / 8 || build->records.array.n >= most)
		return true;
	begin_loading(build);
	return false;
}

void
hnsw_build_set_level(HnswBuild *build, OmendbBuildLevel *level)
{
	const OmendbMetaPage *meta = &build->open->meta;

	memset(level, 0, sizeof(*level));
	level->array = &build->records.array;
	level->edges = build->open->codec.layout.edges;
	level->options.ef_construction = meta->ef_construction;
	level->options.seed = meta->seed;
	level->interrupt = hnsw_build_interrupt;
}

/*
 * With memory full: can the index be built in parts? Not where its graph is made in rounds, nor
 * where memory is so small that parts would have hardly more rows than their neighbours.
 */
static bool
can_be_in_parts(HnswBuild *build)
{
	OmendbBuildLevel level;

	if (build->records.array.n < HNSW_LEAST_PART)
		return false;
	hnsw_build_set_level(build, &level);
	level.n = build->records.array.n;
	(void) omendb_build_prepare(&level);
	return level.in_bulk;
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
	if (!build->flushed && is_full(build))
	{
		bool in_parts = build->parts || can_be_in_parts(build);

		/* The heap is read from its first block to its last. */
		double rows = build->rows * RelationGetNumberOfBlocks(build->heap) /
					  (ItemPointerGetBlockNumber(tid) + 1.0);

		say_memory_is_short(build, rows, in_parts && hnsw_parts_hold(build, rows));
		MemoryContextSwitchTo(build->context);
		if (in_parts)
			spill(build);
		if (in_parts && !hnsw_parts_full(build->parts, build->loaded_at_once))
			begin_loading(build);
		else
		{
			flush(build);
			hnsw_build_phase(HNSW_PHASE_INSERT, 0);
		}
		MemoryContextSwitchTo(build->row);
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
	build.buffer = palloc(hnsw_value_bytes(&build.open->codec.layout));
	build.node_bytes = hnsw_build_node_bytes(&build.open->codec.layout, meta.ef_construction);
	build.vectors = vectors_create(build.context, 1024, NULL);

	estimate = hnsw_estimate_rows(heap);
	hnsw_build_phase(HNSW_PHASE_LOAD, info->ii_Predicate == NIL ? estimate : 0);
	begin(&build, estimate);
	/* Nothing is known of how many rows a partial index has. */
	if (info->ii_Predicate == NIL && estimate * build.node_bytes > (double) build.budget)
		say_memory_is_short(&build, estimate,
							omendb_layout_is_coded(&build.open->codec.layout) &&
								hnsw_parts_hold(&build, estimate));
	if (info->ii_Predicate == NIL && info->ii_Expressions == NIL)
		launch(&build, estimate);
	begin_loading(&build);
	/* Not from where other scans are now: the order decides the numbers. */
	result->heap_tuples =
		table_index_build_scan(heap, index, info, false, true, build_callback, &build, NULL);
	if (!build.flushed)
	{
		collect(&build);
		if (build.parts)
			spill(&build);
		flush(&build);
	}
	if (build.left_out)
	{
		OmendbStore store = {.relation = index, .index = omendb_index_open(index)};

		omendb_meta_note_left_out(&store);
	}
	result->index_tuples = build.rows;
	MemoryContextSwitchTo(old);
	hnsw_build_phase(HNSW_PHASE_CALIBRATE, 0);
	hnsw_calibrate(index, build.rows, NULL);
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
	hnsw_write_meta(index, INIT_FORKNUM, &meta);
}
