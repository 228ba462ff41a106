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
 *
 * This file is long: its steps share the state of one build, and each one's files are the next one's input.
 */
#include "build/hnswparts.h"

#include "build/hnswbuildsize.h"
#include "build/hnswpages.h"
#include "build/hnswrowfile.h"
#include "commands/progress.h"
#include "graph/parts.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "utils/backend_progress.h"
#include "utils/memutils.h"

#include <math.h>

/* Rows that leaders are sampled from, at most. */
#define SAMPLE 16384

/* Room for parts that come out larger than their share of the sample. */
#define MARGIN 1.1

/* Of the memory that rows leave, the share for records; the rest is for groups of clusters. */
#define RECORDS_SHARE 0.6

/* Files that are open for a part at the same time, at most. */
#define FILES_OF_PART 4

/* Rows may take that share of memory. */
#define ROWS_SHARE 0.75

/* Searches may miss rows where more than one of so many is too close to others for a build in parts. */
#define MOST_UNTOLD 20

/* The nodes of a part, or some of them where they do not all fit into memory. */
typedef struct Piece
{
	uint32 first;    /* of its nodes: how many are in pieces before */
	uint32 n;        /* nodes */
	OmendbNode base; /* the first one's number */
	uint32 overflow; /* overflow records, whose numbers follow */
	HnswRowFile nodes;
	HnswRowFile tids;  /* of more rows with the vectors of nodes */
	HnswRowFile found; /* candidates */
} Piece;

/* The row that is a leader. */
typedef struct Leader
{
	uint32 row;
	uint32 leader;
} Leader;

struct HnswParts
{
	HnswBuild *build;
	OmendbBuildLevel level;
	Size record_bytes; /* of a record up to its edges */
	HnswRowFile rows;  /* as they came */
	HnswRowFile upper; /* nodes of level 1; rows are the numbers of those below */
	uint32 untold;     /* nodes whose nearest ones rounding hides */
	HnswRowFile *parts;
	uint32 nparts;
	Piece *pieces;
	uint32 npieces;
	uint32 pieces_capacity;
	uint32 capacity; /* records in memory at a time */
	uint32 most;     /* rows that there is memory for */
	unsigned shift;  /* one of 2^shift nodes is on level 1 */
	uint32 nodes;
	OmendbNode end;   /* numbers in use */
	HnswRowFile tids; /* of the piece that is made */
	uint8 *wanted;    /* a bit for each node */
	uint32 *here;     /* of records in memory: their rows */
	Leader *leaders;
};

/* The next entry's record, as another one in memory. Returns its row. */
static uint32
read_entry(HnswParts *parts, HnswRowFile *from, OmendbRecord **record)
{
	uint32 row;

	*record = hnsw_crew_add_record(parts->build->crew);
	hnsw_row_file_read(from, &row, *record, parts->record_bytes);
	return row;
}

static void
write_entry(HnswParts *parts, HnswRowFile *to, uint32 row, const OmendbRecord *record)
{
	hnsw_row_file_write(to, row, record, parts->record_bytes);
}

static void
go_to(HnswParts *parts, HnswRowFile *from, uint32 entry)
{
	hnsw_row_file_seek(from, entry, parts->record_bytes);
}

static inline uint32
in_memory(const HnswParts *parts)
{
	return parts->build->records.array.n;
}

static inline OmendbRecord *
record_of(const HnswParts *parts, uint32 i)
{
	return omendb_array_record(&parts->build->records.array, i);
}

static void
report_rows(uint32 done)
{
	if (done % 1024 == 0)
		pgstat_progress_update_param(PROGRESS_CREATEIDX_TUPLES_DONE, done);
}

/* ---------------------------------------------------------------- rows */

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

	for (uint32 i = 0; i < in_memory(parts); i++)
	{
		if (i % 1024 == 0)
			CHECK_FOR_INTERRUPTS();
		write_entry(parts, &parts->rows, parts->rows.n, record_of(parts, i));
	}
	/* More heap TIDs of a row than fit are so many rows more. */
	hnsw_build_sort_extra(build);
	for (size_t i = 0; i < build->nextra;)
	{
		OmendbNode node = build->extra[i].node;
		OmendbRecord *record = record_of(parts, node);

		CHECK_FOR_INTERRUPTS();
		for (record->ntids = 0; record->ntids < OMENDB_INLINE_TIDS && i < build->nextra &&
								build->extra[i].node == node;
			 i++)
			memcpy(record->tids + record->ntids++ * OMENDB_TID_BYTES, &build->extra[i].tid,
				   OMENDB_TID_BYTES);
		write_entry(parts, &parts->rows, parts->rows.n, record);
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

/* ---------------------------------------------------------------- parts */

/* Have all together do the level's phases up to the last one. */
static void
run_window(HnswParts *parts, uint32 first, uint32 n)
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

static int
by_row(const void *a, const void *b)
{
	const Leader *x = a;
	const Leader *y = b;

	return x->row < y->row ? -1 : x->row > y->row;
}

/* A sample of the rows into memory, and from it the leaders. */
static void
find_leaders(HnswParts *parts)
{
	OmendbBuildLevel *level = &parts->level;
	uint32 n = Min(Min(SAMPLE, parts->capacity), parts->rows.n);

	parts->build->records.array.n = 0;
	for (uint32 s = 0; s < n; s++)
	{
		uint64 low = (uint64) s * parts->rows.n / n;
		uint64 high = (uint64) (s + 1) * parts->rows.n / n;
		OmendbRecord *record;

		go_to(parts, &parts->rows, low + omendb_hash64(level->options.seed + s) % (high - low));
		parts->here[s] = read_entry(parts, &parts->rows, &record);
	}
	run_window(parts, 0, n);
	parts->leaders = palloc(level->bulk.leaders.n * sizeof(Leader));
	for (uint32 s = 0; s < level->bulk.leaders.n; s++)
		parts->leaders[s] = (Leader){parts->here[level->bulk.leaders.nodes[s]], s};
	qsort(parts->leaders, level->bulk.leaders.n, sizeof(Leader), by_row);
}

static void
group_leaders(HnswParts *parts, uint16 *part_of)
{
	uint32 most = Min(OMENDB_PARTS_MOST, parts->level.bulk.leaders.n / 2);

	parts->nparts = Min(most, ceil(parts->rows.n * MARGIN * MARGIN / parts->capacity));
	if (!omendb_parts_assign_leaders(&parts->level, &omendb_palloc_allocator, parts->nparts,
									 part_of))
		elog(ERROR, "out of memory");
	parts->parts = palloc0(parts->nparts * sizeof(HnswRowFile));
}

static void
split_rows(HnswParts *parts)
{
	uint16 part_of[OMENDB_BULK_LEADERS];
	uint32 n;

	hnsw_build_phase(HNSW_PHASE_SPLIT, parts->rows.n);
	find_leaders(parts);
	group_leaders(parts, part_of);
	go_to(parts, &parts->rows, 0);
	for (uint32 done = 0; done < parts->rows.n; done += n)
	{
		n = Min(parts->capacity, parts->rows.n - done);
		parts->build->records.array.n = 0;
		for (uint32 i = 0; i < n; i++)
		{
			OmendbRecord *record;

			parts->here[i] = read_entry(parts, &parts->rows, &record);
		}
		run_window(parts, 0, n);
		for (uint32 i = 0; i < n; i++)
		{
			CHECK_FOR_INTERRUPTS();
			write_entry(parts, &parts->parts[omendb_parts_of(&parts->level, part_of, i)],
						parts->here[i], record_of(parts, i));
			report_rows(done + i + 1);
		}
	}
	hnsw_row_file_close(&parts->rows);
}

/* ---------------------------------------------------------------- nodes */

/* The overflow records that a node with so many heap TIDs has. */
static uint32
overflow_records(const OmendbLayout *layout, uint32 tids)
{
	uint32 capacity = omendb_overflow_capacity(layout);

	return tids <= OMENDB_INLINE_TIDS ? 0 : (tids - OMENDB_INLINE_TIDS + capacity - 1) / capacity;
}

/* The records in memory are a piece's nodes. */
static void
add_piece(HnswParts *parts)
{
	const OmendbLayout *layout = &parts->build->open->codec.layout;
	Piece piece = {.first = parts->nodes, .n = in_memory(parts), .base = parts->end};
	uint64 end;

	if (piece.n == 0)
		return;
	run_window(parts, piece.first, piece.n);
	for (uint32 i = 0; i < piece.n; i++)
	{
		OmendbRecord *record = record_of(parts, i);

		/* Until now the version counted the heap TIDs of the node. */
		piece.overflow += overflow_records(layout, record->version);
		record->version = 0;
		write_entry(parts, &piece.nodes, piece.first + i, record);
	}
	/* Pieces begin on pages of their own. */
	end = (uint64) piece.base + piece.n + piece.overflow;
	end = (end + layout->per_page - 1) / layout->per_page * layout->per_page;
	if (end > OMENDB_MAX_NODE)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("hnsw index \"%s\" cannot have more than %u records",
							   RelationGetRelationName(parts->build->index), OMENDB_MAX_NODE)));
	if (parts->npieces == parts->pieces_capacity)
	{
		parts->pieces_capacity = Max(64, 2 * parts->pieces_capacity);
		parts->pieces = parts->pieces
							? repalloc_huge(parts->pieces, parts->pieces_capacity * sizeof(Piece))
							: palloc(parts->pieces_capacity * sizeof(Piece));
	}
	piece.tids = parts->tids;
	memset(&parts->tids, 0, sizeof(HnswRowFile));
	parts->end = (OmendbNode) end;
	parts->nodes += piece.n;
	parts->pieces[parts->npieces++] = piece;
	parts->build->records.array.n = 0;
	vectors_reset(parts->build->vectors);
}

/* If the row is a leader, its node is. */
static void
note_leader(HnswParts *parts, uint32 row, uint32 node)
{
	OmendbBulk *bulk = &parts->level.bulk;
	Leader key = {row, 0};
	const Leader *found = bsearch(&key, parts->leaders, bulk->leaders.n, sizeof(Leader), by_row);

	if (found)
		bulk->leaders.nodes[found->leader] = node;
}

/*
 * The last record in memory, which is of that row, is that of a node, or its heap TIDs are
 * further ones of a node in memory that has an equal vector.
 */
static void
add_row(HnswParts *parts, uint32 row)
{
	HnswBuild *build = parts->build;
	uint32 last = in_memory(parts) - 1;
	OmendbRecord *record = record_of(parts, last);
	uint32 node = last;
	HnswVectorEntry *entry;
	bool found;

	record->version = record->ntids;
	entry = hnsw_build_vector(build, record, &found);
	if (!found)
		entry->node = last;
	else if (omendb_own_equal(&build->open->codec, record, record_of(parts, entry->node)))
	{
		node = entry->node;
		record_of(parts, node)->version += record->ntids;
		write_entry(parts, &parts->tids, node, record);
		build->records.array.n = last;
	}
	note_leader(parts, row, parts->nodes + node);
}

static void
number_nodes(HnswParts *parts)
{
	uint32 done = 0;

	hnsw_build_phase(HNSW_PHASE_NUMBER, parts->level.parts.capacity);
	parts->build->records.array.n = 0;
	vectors_reset(parts->build->vectors);
	for (uint32 p = 0; p < parts->nparts; p++)
	{
		HnswRowFile *rows = &parts->parts[p];

		go_to(parts, rows, 0);
		for (uint32 i = 0; i < rows->n; i++)
		{
			OmendbRecord *record;

			add_row(parts, read_entry(parts, rows, &record));
			report_rows(++done);
			if (in_memory(parts) == parts->capacity)
				add_piece(parts);
		}
		add_piece(parts);
		hnsw_row_file_close(rows);
	}
	parts->level.n = parts->nodes;
	/* Level 1 has to fit into memory, with those above it. */
	parts->shift = HNSW_LEVEL_SHIFT;
	while (parts->nodes >> parts->shift > parts->capacity / 2)
		parts->shift++;
}

/* In which piece is the node? */
static Piece *
piece_of(const HnswParts *parts, uint32 node)
{
	uint32 low = 0;
	uint32 high = parts->npieces;

	while (high - low > 1)
	{
		uint32 middle = (low + high) / 2;

		if (parts->pieces[middle].first <= node)
			low = middle;
		else
			high = middle;
	}
	return &parts->pieces[low];
}

/* ---------------------------------------------------------------- candidates */

/*
 * What the group of clusters found, to the files of the nodes' pieces; where in the piece
 * that belongs is the entry's row.
 */
static void
save_found(HnswParts *parts)
{
	uint32 fanout = parts->level.bulk.shape.fanout[0];

	for (uint32 i = 0; i < parts->level.bulk.batch.members; i++)
	{
		const uint32 *candidates;
		uint32 node;
		uint32 which;
		uint32 n = omendb_parts_found(&parts->level, i, &node, &which, &candidates);
		Piece *piece = piece_of(parts, node);

		hnsw_row_file_write(&piece->found, (node - piece->first) * fanout + which, candidates,
							n * sizeof(uint32));
	}
}

static void
find_candidates(HnswParts *parts)
{
	uint64 members = 0;

	/* Of each node as often as it is in a cluster. */
	hnsw_build_phase(HNSW_PHASE_COMPARE, parts->nodes);
	omendb_parts_count_clusters(&parts->level);
	while (omendb_parts_next_batch(&parts->level))
	{
		hnsw_crew_run(parts->build->crew, &parts->level, false);
		save_found(parts);
		members += parts->level.bulk.batch.members;
		pgstat_progress_update_param(PROGRESS_CREATEIDX_TUPLES_DONE,
									 members / parts->level.bulk.shape.fanout[0]);
	}
}

/* To where the choice looks for them. */
static void
load_found(HnswParts *parts, Piece *piece)
{
	uint32 fanout = parts->level.bulk.shape.fanout[0];
	Size bytes = omendb_parts_found_bytes(&parts->level);
	uint32 *candidates = palloc(bytes);

	hnsw_row_file_seek(&piece->found, 0, bytes);
	for (uint32 i = 0; i < piece->found.n; i++)
	{
		uint32 place;

		hnsw_row_file_read(&piece->found, &place, candidates, bytes);
		memcpy(
			omendb_parts_candidates(&parts->level, piece->first + place / fanout, place % fanout),
			candidates, bytes);
	}
	pfree(candidates);
	hnsw_row_file_close(&piece->found);
}

/* ---------------------------------------------------------------- a piece's graph */

static void
load_nodes(HnswParts *parts, Piece *piece)
{
	HnswBuild *build = parts->build;
	OmendbRecord *record;

	build->records.array.n = 0;
	build->nextra = 0;
	go_to(parts, &piece->nodes, 0);
	for (uint32 i = 0; i < piece->n; i++)
		(void) read_entry(parts, &piece->nodes, &record);
	go_to(parts, &piece->tids, 0);
	for (uint32 i = 0; i < piece->tids.n; i++)
	{
		uint32 node = read_entry(parts, &piece->tids, &record);

		for (uint32 k = 0; k < record->ntids; k++)
		{
			ItemPointerData tid;

			memcpy(&tid, record->tids + k * OMENDB_TID_BYTES, OMENDB_TID_BYTES);
			hnsw_build_add_tid(build, node, &tid);
		}
		build->records.array.n--;
	}
	hnsw_row_file_close(&piece->tids);
}

/* Note the nodes of other pieces that edges lead to. */
static void
want_neighbours(HnswParts *parts, const Piece *piece)
{
	const OmendbLayout *layout = &parts->build->open->codec.layout;

	memset(parts->wanted, 0, parts->nodes / 8 + 1);
	for (uint32 i = 0; i < piece->n; i++)
	{
		OmendbRecord *record = record_of(parts, i);
		const OmendbNode *neighbours = omendb_record_neighbours(layout, record);

		if (i % 1024 == 0)
			CHECK_FOR_INTERRUPTS();
		for (uint32 k = 0; k < record->count; k++)
			if (neighbours[k] - piece->first >= piece->n)
				parts->wanted[neighbours[k] / 8] |= 1 << neighbours[k] % 8;
	}
}

/*
 * The next wanted nodes from *node on into memory, behind the piece's, as many as there is
 * room for. Returns how many.
 */
static uint32
load_wanted(HnswParts *parts, const Piece *piece, uint32 *node)
{
	OmendbBulk *bulk = &parts->level.bulk;
	uint32 next = 0; /* that the file is at */
	uint32 n = 0;

	parts->build->records.array.n = piece->n;
	for (; *node < parts->nodes && n < bulk->outside.capacity; (*node)++)
	{
		Piece *other;
		OmendbRecord *record;

		if (parts->wanted[*node / 8] == 0)
			*node |= 7;
		if (!(parts->wanted[*node / 8] & 1 << *node % 8))
			continue;
		other = piece_of(parts, *node);
		if (n == 0 || *node != next || *node == other->first)
			go_to(parts, &other->nodes, *node - other->first);
		next = read_entry(parts, &other->nodes, &record) + 1;
		bulk->outside.nodes[n++] = *node;
	}
	return n;
}

/* Make the codes of the piece's edges. */
static void
encode_edges(HnswParts *parts, const Piece *piece)
{
	bool first = true;
	uint32 node = 0;

	want_neighbours(parts, piece);
	do
	{
		omendb_parts_begin_encoding(&parts->level, load_wanted(parts, piece, &node), first);
		hnsw_crew_run(parts->build->crew, &parts->level, false);
		first = false;
	} while (node < parts->nodes);
	parts->build->records.array.n = piece->n;
}

/* Edges lead to nodes as they were counted; on pages, to their numbers. */
static void
set_numbers(HnswParts *parts, const Piece *piece)
{
	const OmendbLayout *layout = &parts->build->open->codec.layout;

	for (uint32 i = 0; i < piece->n; i++)
	{
		OmendbRecord *record = record_of(parts, i);
		OmendbNode *neighbours = omendb_record_neighbours(layout, record);

		if (i % 1024 == 0)
			CHECK_FOR_INTERRUPTS();
		parts->untold += parts->level.bulk.apart[piece->first + i].indistinct;
		for (uint32 k = 0; k < record->count; k++)
		{
			const Piece *other = piece_of(parts, neighbours[k]);

			neighbours[k] = other->base + (neighbours[k] - other->first);
		}
		/* Level 1 has to fit into memory. */
		if (parts->upper.n < parts->capacity / 2 &&
			hnsw_build_rises(parts->build, &parts->level, piece->first + i, piece->base + i,
							 parts->shift))
			write_entry(parts, &parts->upper, piece->base + i, record);
	}
}

static void
add_overflow(HnswParts *parts, const Piece *piece)
{
	HnswBuild *build = parts->build;

	build->records.array.n = piece->n;
	hnsw_build_add_overflow(build);
	if (in_memory(parts) != piece->n + piece->overflow)
		elog(ERROR, "wrong number of overflow records");
	for (uint32 i = 0; i < in_memory(parts); i++)
	{
		OmendbRecord *record = record_of(parts, i);

		if (record->overflow != OMENDB_NO_NODE)
			record->overflow += piece->base;
		if (record->kind == OMENDB_RECORD_OVERFLOW)
			omendb_record_overflow(record)->owner += piece->base;
	}
}

/* All records in memory to the end of the index, whose next number is that. */
static void
write_records(HnswParts *parts, OmendbNode base)
{
	HnswBuild *build = parts->build;
	const OmendbLayout *layout = &build->open->codec.layout;
	BlockNumber first = omendb_node_block(layout, base);

	hnsw_build_phase(HNSW_PHASE_WRITE, in_memory(parts));
	hnsw_extend_for(build->index, layout, first, in_memory(parts));
	hnsw_crew_write(build->crew, build->index, first);
}

static void
build_piece(HnswParts *parts, Piece *piece)
{
	load_nodes(parts, piece);
	omendb_parts_begin_choice(&parts->level, piece->first, piece->n);
	load_found(parts, piece);
	hnsw_build_phase(HNSW_PHASE_CHOOSE, piece->n);
	hnsw_crew_run(parts->build->crew, &parts->level, true);
	encode_edges(parts, piece);
	set_numbers(parts, piece);
	add_overflow(parts, piece);
	write_records(parts, piece->base);
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
	go_to(parts, &parts->upper, 0);
	for (uint32 i = 0; i < parts->upper.n; i++)
	{
		OmendbRecord *record;
		OmendbNode down = read_entry(parts, &parts->upper, &record);

		record->level = 1;
		record->count = 0;
		record->ntids = 0;
		memset(record->tids, 0, sizeof(record->tids));
		record->overflow = OMENDB_NO_NODE;
		record->down = down;
	}
	hnsw_build_levels(build, 1, parts->end);
	for (uint32 i = 0; i < in_memory(parts); i++)
	{
		OmendbRecord *record = record_of(parts, i);
		OmendbNode *neighbours = omendb_record_neighbours(layout, record);

		for (uint32 k = 0; k < record->count; k++)
			neighbours[k] += parts->end;
		if (record->level > 1)
			record->down += parts->end;
	}
	build->entry += parts->end;
	write_records(parts, parts->end);
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
	split_rows(parts);
	number_nodes(parts);
	find_candidates(parts);
	hnsw_write_meta(build->index, MAIN_FORKNUM, &meta);
	for (uint32 i = 0; i < parts->npieces; i++)
		build_piece(parts, &parts->pieces[i]);
	for (uint32 i = 0; i < parts->npieces; i++)
		hnsw_row_file_close(&parts->pieces[i].nodes);
	build_upper(parts);
	hnsw_row_file_close(&parts->upper);
	hnsw_build_finish_meta(build, &meta);
	warn_of_untold(parts);
	hnsw_rewrite_meta(build->index, &meta);
	return parts->end;
}
