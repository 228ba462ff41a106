/*
 * hnswparts.c
 *	  An index whose vectors do not fit maintenance_work_mem, built in parts (graph/parts.h).
 *
 * 1. Rows (record headers and own vectors) go to a temporary file as memory fills.
 * 2. The file is split into parts of near rows, which fit into memory.
 * 3. Part by part rows with equal vectors, which are in one part, share a node, and nodes
 *	  get their numbers, and so the pages they will be on. Nodes go to other files. Their
 *	  int8 rows stay in memory from then on.
 * 4. Clusters are split into leaves, some at a time. The candidates that nodes get there go to a
 *	  file of each part.
 * 5. Part by part the neighbours of nodes are chosen. The own vectors of those that are in
 *	  other parts are read for their codes. Then the part's pages are written for good, for all
 *	  numbers are known.
 * 6. The nodes of level 1, which are collected meanwhile, fit into memory, with the levels above.
 *
 * Nothing depends on who does what: the same heap and the same memory give the same index.
 *
 * Only the leader reads and writes files; workers make rows, compare them, choose
 * edges and write pages, as they do it with all of an index (hnswparallel.c).
 */
#include "build/hnswparts.h"

#include "build/hnswbuildsize.h"
#include "build/hnswpages.h"
#include "commands/progress.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "utils/backend_progress.h"
#include "utils/memutils.h"
#include "build/hnswpieces.h"

#include <math.h>

/* Of the memory that rows leave, the share for records; the rest is for groups of clusters. */
#define RECORDS_SHARE 0.6

/* Files that are open for a part at the same time, at most. */
#define FILES_OF_PART 4

/* Rows may take that share of memory. */
#define ROWS_SHARE 0.75

/* Searches may miss rows where more than one of so many is too close to others for a build in parts. */
#define MOST_UNTOLD 20

/* The next entry's record, as another one in memory. Returns its row. */
uint32
hnsw_parts_read(HnswParts *parts, HnswRowFile *from, OmendbRecord **record)
{
	uint32 row;

	*record = hnsw_crew_add_record(parts->build->crew);
	hnsw_row_file_read(from, &row, *record, parts->record_bytes);
	return row;
}

void
hnsw_parts_write(HnswParts *parts, HnswRowFile *to, uint32 row, const OmendbRecord *record)
{
	hnsw_row_file_write(to, row, record, parts->record_bytes);
}

void
hnsw_parts_seek(HnswParts *parts, HnswRowFile *from, uint32 entry)
{
	hnsw_row_file_seek(from, entry, parts->record_bytes);
}

void
hnsw_parts_report(uint32 done)
{
	if (done % 1024 == 0)
		pgstat_progress_update_param(PROGRESS_CREATEIDX_TUPLES_DONE, done);
}

/* Have all together do the level's phases up to the last one. */
void
hnsw_parts_run_window(HnswParts *parts, uint32 first, uint32 n)
{
	HnswCrew *crew = parts->build->crew;

	omendb_parts_window(&parts->level, first, n);
	for (;;)
	{
		/* The allocator does not return without memory. */
		if (!omendb_build_next(hnsw_crew_builder(crew), &parts->level))
			elog(ERROR, "out of memory");
		if (parts->level.phase == OMENDB_BUILD_DONE)
			break;
		hnsw_crew_run(crew, &parts->level, false);
	}
}

/* Bytes that are kept of every row. */
static Size
row_bytes(HnswBuild *build)
{
	OmendbBuildLevel level;
	const uint32 sample = 100000;

	hnsw_build_set_level(build, &level);
	return (omendb_parts_prepare(&level, 2 * sample, 1, 1, 1) -
			omendb_parts_prepare(&level, sample, 1, 1, 1)) /
			   sample +
		   1;
}

/* Rows that there is memory for. */
static uint32
most_rows(HnswBuild *build)
{
	return (uint32) Min(build->budget * ROWS_SHARE / row_bytes(build), OMENDB_MAX_NODE / 2);
}

bool
hnsw_parts_hold(HnswBuild *build, double rows)
{
	return rows <= most_rows(build);
}

HnswParts *
hnsw_parts_create(HnswBuild *build)
{
	HnswParts *parts = palloc0(sizeof(HnswParts));

	parts->build = build;
	parts->record_bytes = build->open->codec.layout.neighbours_offset;
	parts->most = most_rows(build);
	return parts;
}

void
hnsw_parts_add(HnswParts *parts)
{
	HnswBuild *build = parts->build;

	for (uint32 i = 0; i < hnsw_parts_in_memory(parts); i++)
	{
		if (i % 1024 == 0)
			CHECK_FOR_INTERRUPTS();
		hnsw_parts_write(parts, &parts->rows, parts->rows.n, hnsw_parts_record(parts, i));
	}
	/* More heap TIDs of a row than fit are so many rows more. */
	hnsw_build_sort_extra(build);
	for (size_t i = 0; i < build->nextra;)
	{
		OmendbNode node = build->extra[i].node;
		OmendbRecord *record = hnsw_parts_record(parts, node);

		CHECK_FOR_INTERRUPTS();
		for (record->ntids = 0; record->ntids < OMENDB_INLINE_TIDS && i < build->nextra &&
								build->extra[i].node == node;
			 i++)
			memcpy(record->tids + record->ntids++ * OMENDB_TID_BYTES, &build->extra[i].tid,
				   OMENDB_TID_BYTES);
		hnsw_parts_write(parts, &parts->rows, parts->rows.n, record);
	}
	build->nextra = 0;
	build->records.array.n = 0;
	vectors_reset(build->vectors);
}

bool
hnsw_parts_full(const HnswParts *parts, uint32 more)
{
	return parts->rows.n + more > parts->most;
}

static void
build_upper(HnswParts *parts)
{
	HnswBuild *build = parts->build;
	const OmendbLayout *layout = &build->open->codec.layout;

	if (parts->upper.n == 0)
	{
		build->entry = 0;
		build->entry_level = 0;
		return;
	}
	build->records.array.n = 0;
	hnsw_parts_seek(parts, &parts->upper, 0);
	for (uint32 i = 0; i < parts->upper.n; i++)
	{
		OmendbRecord *record;
		OmendbNode down = hnsw_parts_read(parts, &parts->upper, &record);

		record->level = 1;
		record->count = 0;
		record->ntids = 0;
		memset(record->tids, 0, sizeof(record->tids));
		record->overflow = OMENDB_NO_NODE;
		record->down = down;
	}
	hnsw_build_levels(build, 1, parts->end);
	for (uint32 i = 0; i < hnsw_parts_in_memory(parts); i++)
	{
		OmendbRecord *record = hnsw_parts_record(parts, i);
		OmendbNode *neighbours = omendb_record_neighbours(layout, record);

		for (uint32 k = 0; k < record->count; k++)
			neighbours[k] += parts->end;
		if (record->level > 1)
			record->down += parts->end;
	}
	build->entry += parts->end;
	hnsw_parts_write_records(parts, parts->end);
}

static void
set_capacity(HnswParts *parts, double left, Size of_record)
{
	/* For each two records of a piece one of others. */
	double most = left * RECORDS_SHARE / (1.5 * of_record);

	parts->capacity = Min(parts->rows.n, Max(HNSW_LEAST_PART / 8, most));
}

/* Share memory out: to rows, to records, to groups of clusters. */
static void
allocate(HnswParts *parts)
{
	HnswBuild *build = parts->build;
	OmendbBuildLevel *level = &parts->level;
	Size stride = omendb_array_stride(&build->open->codec.layout);
	Size rows = parts->rows.n * row_bytes(build);
	double left = build->budget > rows ? build->budget - rows : 0;
	double files;
	Size of_record;
	Size of_member;
	Size bytes;

	hnsw_build_set_level(build, level);
	of_record = stride + HNSW_VECTOR_ENTRY_BYTES + sizeof(uint32) +
				(omendb_parts_prepare(level, 1, 1024 * 1024, 1, 1) -
				 omendb_parts_prepare(level, 1, 512 * 1024, 1, 1)) /
					(512 * 1024);
	of_member = (omendb_parts_prepare(level, 1, 1, 1, 1024 * 1024) -
				 omendb_parts_prepare(level, 1, 1, 1, 512 * 1024)) /
				(512 * 1024);
	set_capacity(parts, left, of_record);
	/* The buffers of files take memory, too. */
	files = ceil((double) parts->rows.n / parts->capacity) * FILES_OF_PART * BLCKSZ;
	left -= Min(files, left / 2);
	set_capacity(parts, left, of_record);
	bytes = omendb_parts_prepare(level, parts->rows.n, parts->capacity, parts->capacity / 2,
								 Max(1024, left * (1 - RECORDS_SHARE) / of_member));
	/* Level 1 and those above are built in the same memory. */
	bytes = Max(bytes, omendb_build_bytes(&build->open->codec.layout, parts->capacity / 2 + 1,
										  build->open->meta.ef_construction));
	hnsw_build_begin_anew(build, parts->rows.n);
	hnsw_crew_allocate_level(build->crew, bytes);
	omendb_build_attach(level, hnsw_crew_level_memory(build->crew));
	parts->wanted = MemoryContextAllocHuge(build->context, parts->rows.n / 8 + 1);
	parts->here = MemoryContextAllocHuge(build->context, parts->capacity * sizeof(uint32));
}

/*
 * Where vectors are too close together for int8, a build in memory looks at their differences.
 * In parts it has not all of them at hand, and edges are as good as drawn by lot.
 */
static void
warn_of_untold(const HnswParts *parts)
{
	if (parts->untold <= parts->nodes / MOST_UNTOLD)
		return;
	ereport(
		WARNING,
		(errmsg("searches of index \"%s\" may miss rows",
				RelationGetRelationName(parts->build->index)),
		 errdetail("%u of %u vectors lie too close to others to be told from them while an "
				   "index is built in parts.",
				   parts->untold, parts->nodes),
		 errhint("REINDEX with a larger maintenance_work_mem, so that it is built in memory.")));
}

OmendbNode
hnsw_parts_build(HnswParts *parts)
{
	HnswBuild *build = parts->build;
	OmendbMetaPage meta = build->open->meta;

	allocate(parts);
	hnsw_parts_split(parts);
	hnsw_parts_number(parts);
	hnsw_parts_find_candidates(parts);
	hnsw_write_meta(build->index, MAIN_FORKNUM, &meta);
	for (uint32 i = 0; i < parts->npieces; i++)
		hnsw_piece_build(parts, &parts->pieces[i]);
	for (uint32 i = 0; i < parts->npieces; i++)
		hnsw_row_file_close(&parts->pieces[i].nodes);
	build_upper(parts);
	hnsw_row_file_close(&parts->upper);
	hnsw_build_finish_meta(build, &meta);
	warn_of_untold(parts);
	hnsw_rewrite_meta(build->index, &meta);
	return parts->end;
}
