/*
 * hnswsplit.c
 *	  A build in parts, second step: splits the file of rows into parts of near rows.
 *
 * Leaders are sampled from the rows and grouped into parts; a row goes to the part of its nearest
 * leader (graph/parts.h).
 */
#include "build/hnswpartsstate.h"

#include <math.h>

#include "miscadmin.h"

/* Maximum number of rows that leaders are sampled from. */
#define SAMPLE 16384

/* The square of this factor is how much larger than its share of the sample a part may be and still fit. */
#define MARGIN 1.1

/* A leader and its row. */
typedef struct HnswLeader
{
	uint32 row;
	uint32 leader;
} HnswLeader;

static int
by_row(const void *a, const void *b)
{
	const HnswLeader *x = a;
	const HnswLeader *y = b;

	return x->row < y->row ? -1 : x->row > y->row;
}

/* Read a sample of the rows, one from each of n equal ranges, and choose leaders among them. */
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

		hnsw_parts_seek(parts, &parts->rows,
						low + omendb_hash64(level->options.seed + s) % (high - low));
		parts->row_of[s] = hnsw_parts_read(parts, &parts->rows, &record);
	}
	hnsw_parts_run_window(parts, 0, n);
	parts->leaders = palloc(level->bulk.leaders.n * sizeof(HnswLeader));
	for (uint32 s = 0; s < level->bulk.leaders.n; s++)
		parts->leaders[s] = (HnswLeader){parts->row_of[level->bulk.leaders.nodes[s]], s};
	qsort(parts->leaders, level->bulk.leaders.n, sizeof(HnswLeader), by_row);
}

/* Group the leaders into as many parts as let each fit into memory. part_of: of each leader. */
static void
group_leaders(HnswParts *parts, uint16 *part_of)
{
	uint32 most = Min(OMENDB_PARTS_MOST, parts->level.bulk.leaders.n / 2);

	parts->parts.n = Min(most, ceil(parts->rows.n * MARGIN * MARGIN / parts->capacity));
	if (!omendb_parts_assign_leaders(&parts->level, &omendb_palloc_allocator, parts->parts.n,
									 part_of))
		elog(ERROR, "out of memory");
	parts->parts.files = palloc0(parts->parts.n * sizeof(HnswRowFile));
}

void
hnsw_parts_split(HnswParts *parts)
{
	uint16 part_of[OMENDB_BULK_LEADERS];
	uint32 n;

	hnsw_build_phase(HNSW_PHASE_SPLIT, parts->rows.n);
	find_leaders(parts);
	group_leaders(parts, part_of);
	hnsw_parts_seek(parts, &parts->rows, 0);
	for (uint32 done = 0; done < parts->rows.n; done += n)
	{
		n = Min(parts->capacity, parts->rows.n - done);
		parts->build->records.array.n = 0;
		for (uint32 i = 0; i < n; i++)
		{
			OmendbRecord *record;

			parts->row_of[i] = hnsw_parts_read(parts, &parts->rows, &record);
		}
		hnsw_parts_run_window(parts, 0, n);
		for (uint32 i = 0; i < n; i++)
		{
			CHECK_FOR_INTERRUPTS();
			hnsw_parts_write(parts, &parts->parts.files[omendb_parts_of(&parts->level, part_of, i)],
							 parts->row_of[i], hnsw_parts_record(parts, i));
			hnsw_parts_report(done + i + 1);
		}
	}
	hnsw_row_file_close(&parts->rows);
}

void
hnsw_parts_note_leader(HnswParts *parts, uint32 row, uint32 node)
{
	OmendbBulk *bulk = &parts->level.bulk;
	HnswLeader key = {row, 0};
	const HnswLeader *found =
		bsearch(&key, parts->leaders, bulk->leaders.n, sizeof(HnswLeader), by_row);

	if (found)
		bulk->leaders.nodes[found->leader] = node;
}
