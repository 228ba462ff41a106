/*
 * hnswbuild.c
 *	  CREATE INDEX and REINDEX: reads the table, and decides what happens when memory is full.
 *
 * The table is read in its own order. Every vector becomes a record in memory, numbered in that
 * order (hnswload.c). Records of equal vectors are merged, and the last records take the numbers
 * that become free. The graph is built over the records, level by level (hnswlevels.c); the records
 * are copied to pages, which are written to WAL once (hnswpages.c).
 *
 * When maintenance_work_mem is full, the records go to a temporary file, and the index is built
 * in parts afterwards (hnswparts.c). A graph that has to be made in rounds (graph/build.h) is
 * not: then the graph of the records in memory is built, and all later rows are inserted one
 * by one.
 *
 * Parallel workers take part (hnswparallel.c), but only this process reads the table, and
 * numbers follow the table's order: the same table gives the same index with any number of
 * workers.
 *
 * Nobody else sees the index until the transaction commits, so pages are locked only as the buffer
 * manager wants it.
 */
#include "am/hnsw.h"

#include "access/tableam.h"
#include "build/hnswbuildstate.h"
#include "build/hnswbuildsize.h"
#include "am/hnswcalibrate.h"
#include "build/hnswpages.h"
#include "build/hnswparts.h"
#include "catalog/index.h"
#include "commands/progress.h"
#include "miscadmin.h"
#include "page/change.h"
#include "pgstat.h"
#include "storage/bufmgr.h"
#include "utils/backend_progress.h"
#include "utils/memutils.h"
#include "write/hnswjoin.h"

#include <math.h>

/*
 * Choose the layout of records. Returns m: the option's, or a smaller one if so many edges of the widest
 * vectors do not fit a page.
 */
static int
choose_layout(HnswBuild *build, int dimensions, OmendbLayout *layout)
{
	OmendbMetric metric = build->opclass->metric;
	int m = hnsw_get_m(build->index);

	if (build->opclass->sparse)
	{
		uint32 elements = hnsw_sample_elements(build->heap, build->index, build->info);

		if (elements == HNSW_ELEMENTS_UNKNOWN
				? !omendb_layout_choose_spans(layout, metric, dimensions, m, OMENDB_SPAN_PAGE_BYTES)
				: !omendb_layout_choose_sparse(layout, metric, dimensions, m, elements,
											   OMENDB_PAGE_BYTES))
			elog(ERROR, "no record has room for %d edges", 2 * m);
		return m;
	}
	while (!omendb_layout_choose(layout, metric, dimensions, m, hnsw_get_compact(build->index),
								 OMENDB_PAGE_BYTES))
		if (--m < OMENDB_MIN_M)
			ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
							errmsg("a vector of %d dimensions does not fit a page", dimensions)));
	return m;
}

/* Make the metapage of an index without nodes. */
static void
fill_meta(HnswBuild *build, OmendbMetaPage *meta)
{
	OmendbLayout layout;
	int dimensions = hnsw_column_dimensions(build->index, build->opclass);

	if (hnsw_get_ef_construction(build->index) < 2 * hnsw_get_m(build->index))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("ef_construction must be greater than or equal to 2 * m")));
	memset(meta, 0, sizeof(*meta));
	meta->magic = OMENDB_META_MAGIC;
	meta->m = choose_layout(build, dimensions, &layout);
	meta->metric = layout.metric;
	meta->own = layout.own;
	meta->ef_construction = hnsw_get_ef_construction(build->index);
	meta->code_bits = layout.code_bits;
	meta->dimensions = dimensions;
	meta->elements = layout.elements;
	meta->spans = layout.spans;
	meta->version = layout.spans ? OMENDB_FORMAT_VERSION : OMENDB_FORMAT_FIXED;
	meta->entry = OMENDB_NO_NODE;
	meta->level_shift = HNSW_LEVEL_SHIFT;
	/* Any number would do; a constant one makes builds repeatable. */
	meta->seed = UINT64CONST(0x6f6d656e6462) + dimensions;
	meta->checksum = omendb_meta_checksum(meta);
}

/* Write the metapage and all records in memory. */
static void
write_pages(HnswBuild *build)
{
	const OmendbLayout *layout = &build->open->codec.layout;
	OmendbMetaPage meta = build->open->meta;

	hnsw_build_phase(HNSW_PHASE_WRITE, build->records.array.n);
	hnsw_build_finish_meta(build, &meta);
	if (layout->spans)
	{
		hnsw_write_spans(build->index, &build->records.array, &meta);
		return;
	}
	hnsw_write_meta(build->index, MAIN_FORKNUM, &meta);
	hnsw_extend_for(build->index, layout, OMENDB_FIRST_BLOCK, build->records.array.n);
	hnsw_crew_write(build->crew, build->index, OMENDB_FIRST_BLOCK);
}

/* Measure the recall of the index, whose records are all in memory. False if it was not measured. */
static bool
measure_recall(HnswBuild *build)
{
	OmendbMetaPage meta = build->open->meta;
	OmendbStore store = {.relation = build->index, .index = omendb_index_open(build->index)};
	OmendbCalibration calibration = {.rows = (uint64) build->load.indexed};

	hnsw_build_phase(HNSW_PHASE_CALIBRATE, build->records.array.n);
	hnsw_build_finish_meta(build, &meta);
	calibration.queries = hnsw_crew_measure(build->crew, &meta, &calibration.curve);
	if (calibration.queries == 0)
		return false;
	omendb_meta_put_calibration(&store, &calibration);
	return true;
}

/*
 * Build the graph of all rows so far, and write its pages. Later rows are inserted. last: there are
 * none.
 */
static void
flush(HnswBuild *build, bool last)
{
	OmendbNode upper = OMENDB_NO_NODE;

	if (build->parts)
		upper = hnsw_parts_build(build->parts);
	vectors_destroy(build->vectors);
	if (!build->parts)
	{
		hnsw_build_graph(build);
		hnsw_build_add_overflow(build);
		write_pages(build);
		/* Spanning records have other numbers now than in memory (hnsw_write_spans). */
		build->measured = last && !build->open->codec.layout.spans && measure_recall(build);
	}
	hnsw_crew_free(build->crew);
	if (build->extra.tids)
		pfree(build->extra.tids);
	build->flushed = true;
	if (build->parts)
	{
		hnsw_build_phase(HNSW_PHASE_JOIN, 0);
		hnsw_join_new(build->index, upper);
	}
}

/* Write the records in memory to a temporary file. */
static void
spill(HnswBuild *build)
{
	if (!build->parts)
		build->parts = hnsw_parts_create(build);
	build->memory.rows_at_once = build->records.array.n;
	hnsw_parts_add(build->parts);
	build->memory.used = 0;
	build->load.merged = 0;
}

/* Tell the user that memory is short, once a build. rows: an estimate. */
static void
report_short_memory(HnswBuild *build, double rows, bool in_parts)
{
	double wanted = rows * build->memory.node_bytes;

	if (build->memory.warned)
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
	build->memory.warned = true;
}

/*
 * True if there is no memory for another node, or no number: the arrays of the graph's edges are
 * indexed by 32 bits (graph/build.h). Records are complete and merged then.
 */
static bool
is_full(HnswBuild *build)
{
	uint32 most = PG_UINT32_MAX / build->open->codec.layout.edges;

	if (build->memory.used <= build->memory.budget && build->records.array.n < most)
		return false;
	/* Rows of equal vectors take less memory than was counted for them. */
	hnsw_build_collect(build);
	if (build->memory.used > build->memory.budget - build->memory.budget / 8 ||
		build->records.array.n >= most)
		return true;
	hnsw_build_begin_loading(build);
	return false;
}

/*
 * True if the index can be built in parts, now that memory is full: not if its graph is made in rounds,
 * nor if memory is so small that a part would have hardly more rows than a row has neighbours.
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

/*
 * Memory is full: write the records to a temporary file, or build the index of them. tid: of the next
 * row, by which the number of rows is estimated, for the table is read from its first block to its last.
 */
static void
free_memory(HnswBuild *build, ItemPointer tid)
{
	bool in_parts = build->parts || can_be_in_parts(build);
	double rows = build->load.indexed * RelationGetNumberOfBlocks(build->heap) /
				  (ItemPointerGetBlockNumber(tid) + 1.0);

	report_short_memory(build, rows, in_parts && hnsw_parts_hold(build, rows));
	if (in_parts)
		spill(build);
	if (in_parts && !hnsw_parts_full(build->parts, build->memory.rows_at_once))
		hnsw_build_begin_loading(build);
	else
	{
		flush(build, false);
		hnsw_build_phase(HNSW_PHASE_INSERT, 0);
	}
}

/* For table_index_build_scan: a row of the table. */
static void
build_callback(Relation index, ItemPointer tid, Datum *values, bool *isnull, bool alive,
			   void *context)
{
	HnswBuild *build = context;
	MemoryContext old;

	if (isnull[0])
		return;
	old = MemoryContextSwitchTo(build->load.row_context);
	if (!build->flushed && is_full(build))
	{
		MemoryContextSwitchTo(build->context);
		free_memory(build, tid);
		MemoryContextSwitchTo(build->load.row_context);
	}
	if (build->flushed)
	{
		/* Without an IndexInfo, whose statement would be told of its end: rows are not gathered. */
		hnsw_insert(index, values, isnull, tid, build->heap, UNIQUE_CHECK_NO, false, NULL);
		build->load.indexed++;
		pgstat_progress_update_param(PROGRESS_CREATEIDX_TUPLES_DONE, ++build->load.inserted);
	}
	else
		hnsw_build_load_row(build, tid, values[0]);
	MemoryContextSwitchTo(old);
	MemoryContextReset(build->load.row_context);
}

IndexBuildResult *
hnsw_build(Relation heap, Relation index, IndexInfo *info)
{
	IndexBuildResult *result = palloc(sizeof(IndexBuildResult));
	HnswBuild build = {0};
	OmendbMetaPage meta;
	MemoryContext old;
	double estimate;
	bool cost_active = VacuumCostActive;

	if (RelationGetNumberOfBlocks(index) != 0)
		elog(ERROR, "index \"%s\" already contains data", RelationGetRelationName(index));
	/*
	 * VACUUM FULL builds indexes, too, while nobody else can use the table: as in the server's own builds,
	 * no cost delay then. An error ends VACUUM, which clears the variable.
	 */
	VacuumCostActive = false;
	build.heap = heap;
	build.index = index;
	build.info = info;
	build.opclass = hnsw_opclass(index);
	build.context =
		AllocSetContextCreate(CurrentMemoryContext, "hnsw build", ALLOCSET_DEFAULT_SIZES);
	build.load.row_context =
		AllocSetContextCreate(build.context, "hnsw build row", ALLOCSET_DEFAULT_SIZES);
	build.memory.budget = (Size) maintenance_work_mem * 1024;
	old = MemoryContextSwitchTo(build.context);

	fill_meta(&build, &meta);
	build.open = omendb_index_make(index, &meta);
	build.load.buffer = palloc(hnsw_value_bytes(&build.open->codec.layout));
	build.memory.node_bytes =
		hnsw_build_node_bytes(&build.open->codec.layout, meta.ef_construction);
	build.vectors = vectors_create(build.context, 1024, NULL);

	estimate = hnsw_estimate_rows(heap);
	hnsw_build_phase(HNSW_PHASE_LOAD, info->ii_Predicate == NIL ? estimate : 0);
	hnsw_build_begin(&build, estimate);
	/*
	 * The number of a partial index's rows is not known. Nor is it known, before there are vectors,
	 * whether an index for the inner product can be built in parts: free_memory reports that.
	 */
	if (info->ii_Predicate == NIL && meta.metric != OMENDB_METRIC_IP &&
		estimate * build.memory.node_bytes > (double) build.memory.budget)
		report_short_memory(&build, estimate,
							omendb_layout_is_coded(&build.open->codec.layout) &&
								hnsw_parts_hold(&build, estimate));
	/* Expressions and predicates may do what is forbidden in parallel mode. */
	if (info->ii_Predicate == NIL && info->ii_Expressions == NIL)
		hnsw_build_launch(&build, estimate);
	hnsw_build_begin_loading(&build);
	/* Not a synchronized scan: the order of rows decides their numbers. */
	result->heap_tuples =
		table_index_build_scan(heap, index, info, false, true, build_callback, &build, NULL);
	if (!build.flushed)
	{
		hnsw_build_collect(&build);
		if (build.parts)
			spill(&build);
		flush(&build, true);
	}
	if (build.load.left_out)
	{
		OmendbStore store = {.relation = index, .index = omendb_index_open(index)};

		omendb_meta_note_left_out(&store);
	}
	result->index_tuples = build.load.indexed;
	MemoryContextSwitchTo(old);
	if (!build.measured)
	{
		hnsw_build_phase(HNSW_PHASE_CALIBRATE, 0);
		hnsw_calibrate(index, build.load.indexed, NULL);
	}
	MemoryContextDelete(build.context);
	VacuumCostActive = cost_active;
	return result;
}

/* Write the init fork of an unlogged index: an empty graph. */
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
