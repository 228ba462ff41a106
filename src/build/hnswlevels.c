/*
 * hnswlevels.c
 *	  Builds the levels of the graph over records in memory, with the crew's help.
 */
#include "build/hnswbuildstate.h"

#include "build/hnswbuildsize.h"
#include "build/hnswtask.h"
#include "access/xact.h"
#include "graph/build.h"
#include "graph/cover.h"
#include "miscadmin.h"
#include "optimizer/optimizer.h"
#include "utils/snapmgr.h"

/* Refining passes over a graph built in rounds (measured: bench/README.md). */
#define REFINING_PASSES 1

/*
 * Searches keep a wider beam on upper levels if more than one in this many of these levels' nodes
 * represents a group.
 */
#define GROUPS_SHARE 8

/*
 * Nodes for each process: they take a process a few tenths of a second, and its start takes some
 * milliseconds.
 */
#define NODES_PER_PROCESS 1000

bool
hnsw_build_rises(HnswBuild *build, const OmendbBuildLevel *level, uint32 i, OmendbNode node,
				 unsigned shift)
{
	uint64 lot = omendb_hash64(build->open->meta.seed * 3 + node);
	OmendbRise rise = level->in_bulk ? omendb_bulk_rise(&level->bulk, i) : OMENDB_RISE_BY_LOT;
	bool rises = rise == OMENDB_RISE_ALWAYS ||
				 (rise == OMENDB_RISE_BY_LOT && (lot & ((UINT64CONST(1) << shift) - 1)) == 0);

	build->graph.upper_nodes += rises;
	build->graph.representatives += rise == OMENDB_RISE_ALWAYS;
	return rises;
}

void
hnsw_build_finish_meta(const HnswBuild *build, OmendbMetaPage *meta)
{
	meta->entry = build->graph.entry;
	meta->entry_level = build->graph.entry_level;
	if (build->graph.representatives > build->graph.upper_nodes / GROUPS_SHARE)
		meta->upper_beam = OMENDB_UPPER_BEAM_OF_GROUPS;
	meta->checksum = omendb_meta_checksum(meta);
}

/*
 * Choose the number of workers for n rows. plan_create_index_workers considers what does not matter
 * here: the size of the heap (vectors may be in TOAST), whether expressions are parallel safe and the
 * table is not temporary (workers see neither), and 32 MB of maintenance_work_mem for
 * each worker (all share the same memory).
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

/* Build one level over the n records from `first` on. number: the level's. */
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
			hnsw_build_show_phase(level);
		hnsw_crew_run(build->crew, level, number == 0);
	}
	if (!omendb_build_connect(builder, level, &added))
		elog(ERROR, "out of memory");
	build->graph.entry = omendb_build_entry(level);
	build->graph.entry_level = number;
}

void
hnsw_build_launch(HnswBuild *build, double n)
{
	if (!build->launched)
		hnsw_crew_launch(build->crew, choose_workers(build, n));
	build->launched = true;
}

void
hnsw_build_begin(HnswBuild *build, double n)
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
	hnsw_build_begin(build, n);
	hnsw_build_launch(build, n);
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

/* Add a record above a node's, without edges. */
static void
add_upper(HnswBuild *build, OmendbNode node, unsigned level)
{
	OmendbRecord *record = hnsw_build_add_record(build);

	memcpy(record, omendb_array_record(&build->records.array, node),
		   build->open->codec.layout.head_bytes);
	record->level = level;
	record->count = 0;
	record->ntids = 0;
	memset(record->tids, 0, sizeof(record->tids));
	record->down = node;
}

/* Add the records of the level above. */
static void
add_next_level(HnswBuild *build, const OmendbBuildLevel *level, OmendbNode offset)
{
	uint8 *rises = palloc_extended(level->n, MCXT_ALLOC_HUGE);
	uint8 *covered = palloc_extended(level->n, MCXT_ALLOC_HUGE);
	uint32 added;

	for (uint32 i = 0; i < level->n; i++)
		rises[i] = hnsw_build_rises(build, level, i, offset + level->first + i, HNSW_LEVEL_SHIFT);
	added = omendb_build_cover(level, rises, covered);
	build->graph.upper_nodes += added;
	build->graph.representatives += added;
	pfree(covered);
	for (uint32 i = 0; i < level->n; i++)
		if (rises[i])
			add_upper(build, level->first + i, level->level + 1);
	pfree(rises);
}

void
hnsw_build_levels(HnswBuild *build, unsigned level, OmendbNode offset)
{
	uint32 n = build->records.array.n;
	OmendbNode first = 0;

	for (; n > 0 && level <= OMENDB_MAX_LEVEL; level++)
	{
		OmendbNode next = build->records.array.n;
		OmendbBuildLevel built;

		build_level(build, &built, first, n, level);
		if (n <= HNSW_TOP_LEVEL)
			break;
		add_next_level(build, &built, offset);
		first = next;
		n = build->records.array.n - next;
	}
}

void
hnsw_build_graph(HnswBuild *build)
{
	const OmendbMetaPage *meta = &build->open->meta;
	const OmendbLayout *layout = &build->open->codec.layout;
	uint32 n = build->records.array.n;

	build->graph.entry = OMENDB_NO_NODE;
	if (n == 0)
		return;
	hnsw_build_launch(build, n);
	hnsw_crew_allocate_level(build->crew, omendb_build_bytes(layout, n, meta->ef_construction));
	hnsw_build_levels(build, 0, 0);
}
