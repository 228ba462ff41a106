/*
 * hnswparts.c
 *	  Builds an index whose vectors do not fit maintenance_work_mem, in parts (graph/parts.h).
 *
 * 1. Rows (record headers and own vectors) go to a temporary file whenever memory is full.
 * 2. The file is split into parts of near rows, which fit into memory (hnswsplit.c).
 * 3. Part by part, rows with equal vectors, which are in one part, share a node. Nodes get their
 *    numbers, and so their pages, and are written to a file of each piece. Their int8 rows stay in
 *    memory from then on (hnswnumber.c).
 * 4. Clusters are split into leaves, some clusters at a time. The candidates that nodes get there
 *    are written to a file of each piece (hnswpieces.c).
 * 5. Piece by piece, the neighbours of nodes are chosen. The own vectors of neighbours in
 *    other pieces are read for the edges' codes. Then the piece's pages are written once, for
 *    all numbers are known (hnswpieces.c).
 * 6. The nodes of level 1, which were collected meanwhile, fit into memory, with those of the levels
 *    above.
 *
 * The result does not depend on which process does what: the same table and the same memory
 * give the same index.
 *
 * Only the leader reads and writes files. Workers make rows, compare them, choose edges and
 * write pages, as in a build in memory (hnswparallel.c).
 */
#include "build/hnswparts.h"

#include "build/hnswbuildsize.h"
#include "build/hnswpages.h"
#include "build/hnswpartsstate.h"
#include "commands/progress.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "utils/backend_progress.h"
#include "utils/memutils.h"

#include <math.h>

/* Share of the memory that int8 rows leave which is for records; the rest is for batches of clusters. */
#define RECORDS_SHARE 0.6

/* Maximum number of files that are open for a piece at the same time, each with a buffer. */
#define FILES_OF_PIECE 4

/* Maximum share of memory that int8 rows may take. */
#define ROWS_SHARE 0.75

/*
 * The user is warned if int8 rows do not distinguish the nearest nodes of more than one node in this
 * many.
 */
#define INDISTINCT_SHARE 20

uint32
hnsw_parts_read(HnswParts *parts, HnswRowFile *from, OmendbRecord **record)
{
	uint32 number;

	*record = hnsw_crew_add_record(parts->build->crew);
	hnsw_row_file_read(from, &number, *record, parts->record_bytes);
	return number;
}

void
hnsw_parts_write(HnswParts *parts, HnswRowFile *to, uint32 number, const OmendbRecord *record)
{
	hnsw_row_file_write(to, number, record, parts->record_bytes);
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

void
hnsw_parts_run_window(HnswParts *parts, uint32 first, uint32 n)
{
	HnswCrew *crew = parts->build->crew;

	omendb_parts_begin_window(&parts->level, first, n);
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

/* Bytes that the level keeps in memory of every row. */
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

/* Maximum number of rows that a build in parts has memory for. */
static uint32
max_rows(HnswBuild *build)
{
	return (uint32) Min(build->memory.budget * ROWS_SHARE / row_bytes(build), OMENDB_MAX_NODE / 2);
}

bool
hnsw_parts_hold(HnswBuild *build, double rows)
{
	return rows <= max_rows(build);
}

HnswParts *
hnsw_parts_create(HnswBuild *build)
{
	HnswParts *parts = palloc0(sizeof(HnswParts));

	parts->build = build;
	parts->record_bytes = build->open->codec.layout.neighbours_offset;
	parts->max_rows = max_rows(build);
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
	/* Extra TIDs of a node are written as further rows with the same vector. */
	hnsw_build_sort_extra(build);
	for (size_t i = 0; i < build->extra.n;)
	{
		OmendbNode node = build->extra.tids[i].node;
		OmendbRecord *record = hnsw_parts_record(parts, node);

		CHECK_FOR_INTERRUPTS();
		for (record->ntids = 0; record->ntids < OMENDB_INLINE_TIDS && i < build->extra.n &&
								build->extra.tids[i].node == node;
			 i++)
			memcpy(record->tids + record->ntids++ * OMENDB_TID_BYTES, &build->extra.tids[i].tid,
				   OMENDB_TID_BYTES);
		hnsw_parts_write(parts, &parts->rows, parts->rows.n, record);
	}
	build->extra.n = 0;
	build->records.array.n = 0;
	vectors_reset(build->vectors);
}

bool
hnsw_parts_full(const HnswParts *parts, uint32 more)
{
	return parts->rows.n + more > parts->max_rows;
}

void
hnsw_parts_write_records(HnswParts *parts, OmendbNode base)
{
	HnswBuild *build = parts->build;
	const OmendbLayout *layout = &build->open->codec.layout;
	BlockNumber first = omendb_node_block(layout, base);

	hnsw_build_phase(HNSW_PHASE_WRITE, hnsw_parts_in_memory(parts));
	hnsw_extend_for(build->index, layout, first, hnsw_parts_in_memory(parts));
	hnsw_crew_write(build->crew, build->index, first);
}

/* Build level 1 and those above, in memory, and write their pages. */
static void
build_upper(HnswParts *parts)
{
	HnswBuild *build = parts->build;
	const OmendbLayout *layout = &build->open->codec.layout;

	if (parts->upper.n == 0)
	{
		build->graph.entry = 0;
		build->graph.entry_level = 0;
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
	hnsw_build_levels(build, 1, parts->pieces.end);
	for (uint32 i = 0; i < hnsw_parts_in_memory(parts); i++)
	{
		OmendbRecord *record = hnsw_parts_record(parts, i);
		OmendbNode *neighbours = omendb_record_neighbours(layout, record);

		for (uint32 k = 0; k < record->count; k++)
			neighbours[k] += parts->pieces.end;
		if (record->level > 1)
			record->down += parts->pieces.end;
	}
	build->graph.entry += parts->pieces.end;
	hnsw_parts_write_records(parts, parts->pieces.end);
}

/* Set how many records are in memory at a time. left: bytes; record_bytes: that a record takes. */
static void
set_capacity(HnswParts *parts, double left, Size record_bytes)
{
	/* Half as many again for neighbours of a piece's nodes in other pieces. */
	double capacity = left * RECORDS_SHARE / (1.5 * record_bytes);

	parts->capacity = Min(parts->rows.n, Max(HNSW_LEAST_PART / 8, capacity));
}

/* Divide memory: among int8 rows, records, and batches of clusters. Begins the records anew. */
static void
allocate(HnswParts *parts)
{
	HnswBuild *build = parts->build;
	OmendbBuildLevel *level = &parts->level;
	Size stride = omendb_array_stride(&build->open->codec.layout);
	Size rows = parts->rows.n * row_bytes(build);
	double left = build->memory.budget > rows ? build->memory.budget - rows : 0;
	double files;
	Size record_bytes;
	Size member_bytes;
	Size bytes;

	hnsw_build_set_level(build, level);
	record_bytes = stride + HNSW_VECTOR_ENTRY_BYTES + sizeof(uint32) +
				   (omendb_parts_prepare(level, 1, 1024 * 1024, 1, 1) -
					omendb_parts_prepare(level, 1, 512 * 1024, 1, 1)) /
					   (512 * 1024);
	member_bytes = (omendb_parts_prepare(level, 1, 1, 1, 1024 * 1024) -
					omendb_parts_prepare(level, 1, 1, 1, 512 * 1024)) /
				   (512 * 1024);
	set_capacity(parts, left, record_bytes);
	/* Without the buffers of files, of which there are more the fewer records are in memory. */
	files = ceil((double) parts->rows.n / parts->capacity) * FILES_OF_PIECE * BLCKSZ;
	left -= Min(files, left / 2);
	set_capacity(parts, left, record_bytes);
	bytes = omendb_parts_prepare(level, parts->rows.n, parts->capacity, parts->capacity / 2,
								 Max(1024, left * (1 - RECORDS_SHARE) / member_bytes));
	/* Level 1 and those above are built in the same memory. */
	bytes = Max(bytes, omendb_build_bytes(&build->open->codec.layout, parts->capacity / 2 + 1,
										  build->open->meta.ef_construction));
	hnsw_build_begin_anew(build, parts->rows.n);
	hnsw_crew_allocate_level(build->crew, bytes);
	omendb_build_attach(level, hnsw_crew_level_memory(build->crew));
	parts->wanted = MemoryContextAllocHuge(build->context, parts->rows.n / 8 + 1);
	parts->row_of = MemoryContextAllocHuge(build->context, parts->capacity * sizeof(uint32));
}

/*
 * Warn if many vectors are too close together for int8 rows. A build in memory makes rows of their
 * differences; a build in parts does not have all of the vectors in memory, and their edges are
 * about random.
 */
static void
warn_of_indistinct(const HnswParts *parts)
{
	if (parts->nindistinct <= parts->pieces.nodes / INDISTINCT_SHARE)
		return;
	ereport(
		WARNING,
		(errmsg("searches of index \"%s\" may miss rows",
				RelationGetRelationName(parts->build->index)),
		 errdetail("%u of %u vectors lie too close to others to be told from them while an "
				   "index is built in parts.",
				   parts->nindistinct, parts->pieces.nodes),
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
	for (uint32 i = 0; i < parts->pieces.n; i++)
		hnsw_piece_build(parts, &parts->pieces.pieces[i]);
	for (uint32 i = 0; i < parts->pieces.n; i++)
		hnsw_row_file_close(&parts->pieces.pieces[i].nodes);
	build_upper(parts);
	hnsw_row_file_close(&parts->upper);
	hnsw_build_finish_meta(build, &meta);
	warn_of_indistinct(parts);
	hnsw_rewrite_meta(build->index, &meta);
	return parts->pieces.end;
}
