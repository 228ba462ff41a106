/*
 * hnswpieces.c
 *	  A build in parts, fourth and fifth step: finds candidates for all nodes, and makes the graph
 *	  of one piece.
 */
#include "build/hnswpartsstate.h"

#include "commands/progress.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "utils/backend_progress.h"

/*
 * Write the candidates that were found in the batch of clusters to the files of the nodes' pieces. The
 * number of an entry is the place of the candidates in the piece: node and cluster.
 */
static void
write_candidates(HnswParts *parts)
{
	uint32 fanout = parts->level.bulk.shape.fanout[0];

	for (uint32 i = 0; i < parts->level.bulk.batch.members; i++)
	{
		const uint32 *candidates;
		uint32 node;
		uint32 which;
		uint32 n = omendb_parts_found(&parts->level, i, &node, &which, &candidates);
		HnswPiece *piece = hnsw_piece_of(parts, node);

		hnsw_row_file_write(&piece->found, (node - piece->first) * fanout + which, candidates,
							n * sizeof(uint32));
	}
}

void
hnsw_parts_find_candidates(HnswParts *parts)
{
	uint64 members = 0;

	/* A node is done when it was compared in all its clusters. */
	hnsw_build_phase(HNSW_PHASE_COMPARE, parts->pieces.nodes);
	omendb_parts_count_clusters(&parts->level);
	while (omendb_parts_next_batch(&parts->level))
	{
		hnsw_crew_run(parts->build->crew, &parts->level, false);
		write_candidates(parts);
		members += parts->level.bulk.batch.members;
		pgstat_progress_update_param(PROGRESS_CREATEIDX_TUPLES_DONE,
									 members / parts->level.bulk.shape.fanout[0]);
	}
}

/* Read a piece's candidates to where the choice expects them. */
static void
read_candidates(HnswParts *parts, HnswPiece *piece)
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

/* Read a piece's nodes into memory, with all heap TIDs. */
static void
read_nodes(HnswParts *parts, HnswPiece *piece)
{
	HnswBuild *build = parts->build;
	OmendbRecord *record;

	build->records.array.n = 0;
	build->extra.n = 0;
	hnsw_parts_seek(parts, &piece->nodes, 0);
	for (uint32 i = 0; i < piece->n; i++)
		(void) hnsw_parts_read(parts, &piece->nodes, &record);
	hnsw_parts_seek(parts, &piece->tids, 0);
	for (uint32 i = 0; i < piece->tids.n; i++)
	{
		uint32 node = hnsw_parts_read(parts, &piece->tids, &record);

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

/* Set parts->wanted to the neighbours of the piece's nodes that are in other pieces. */
static void
find_wanted(HnswParts *parts, const HnswPiece *piece)
{
	const OmendbLayout *layout = &parts->build->open->codec.layout;

	memset(parts->wanted, 0, parts->pieces.nodes / 8 + 1);
	for (uint32 i = 0; i < piece->n; i++)
	{
		OmendbRecord *record = hnsw_parts_record(parts, i);
		const OmendbNode *neighbours = omendb_record_neighbours(layout, record);

		if (i % 1024 == 0)
			CHECK_FOR_INTERRUPTS();
		for (uint32 k = 0; k < record->count; k++)
			if (neighbours[k] - piece->first >= piece->n)
				parts->wanted[neighbours[k] / 8] |= 1 << neighbours[k] % 8;
	}
}

/*
 * Read the next wanted nodes from *node on into memory, after the piece's, as many as memory is
 * reserved for. Returns how many; *node is where to go on.
 */
static uint32
read_wanted(HnswParts *parts, const HnswPiece *piece, uint32 *node)
{
	OmendbBulk *bulk = &parts->level.bulk;
	uint32 next = 0; /* the node that the file is at */
	uint32 n = 0;

	parts->build->records.array.n = piece->n;
	for (; *node < parts->pieces.nodes && n < bulk->outside.capacity; (*node)++)
	{
		HnswPiece *other;
		OmendbRecord *record;

		if (parts->wanted[*node / 8] == 0)
			*node |= 7;
		if (!(parts->wanted[*node / 8] & 1 << *node % 8))
			continue;
		other = hnsw_piece_of(parts, *node);
		if (n == 0 || *node != next || *node == other->first)
			hnsw_parts_seek(parts, &other->nodes, *node - other->first);
		next = hnsw_parts_read(parts, &other->nodes, &record) + 1;
		bulk->outside.nodes[n++] = *node;
	}
	return n;
}

/* Make the codes of the piece's edges, for as many wanted nodes at a time as fit into memory. */
static void
encode_edges(HnswParts *parts, const HnswPiece *piece)
{
	bool first = true;
	uint32 node = 0;

	find_wanted(parts, piece);
	do
	{
		omendb_parts_begin_encoding(&parts->level, read_wanted(parts, piece, &node), first);
		hnsw_crew_run(parts->build->crew, &parts->level, false);
		first = false;
	} while (node < parts->pieces.nodes);
	parts->build->records.array.n = piece->n;
}

/*
 * Replace the neighbours' counts by their numbers in the index. Collects the piece's nodes of
 * level 1, and counts indistinct ones.
 */
static void
set_numbers(HnswParts *parts, const HnswPiece *piece)
{
	const OmendbLayout *layout = &parts->build->open->codec.layout;

	for (uint32 i = 0; i < piece->n; i++)
	{
		OmendbRecord *record = hnsw_parts_record(parts, i);
		OmendbNode *neighbours = omendb_record_neighbours(layout, record);

		if (i % 1024 == 0)
			CHECK_FOR_INTERRUPTS();
		parts->nindistinct += parts->level.bulk.apart[piece->first + i].indistinct;
		for (uint32 k = 0; k < record->count; k++)
		{
			const HnswPiece *other = hnsw_piece_of(parts, neighbours[k]);

			neighbours[k] = other->base + (neighbours[k] - other->first);
		}
		/* Level 1 has to fit into memory. */
		if (parts->upper.n < parts->capacity / 2 &&
			hnsw_build_rises(parts->build, &parts->level, piece->first + i, piece->base + i,
							 parts->upper_shift))
			hnsw_parts_write(parts, &parts->upper, piece->base + i, record);
	}
}

/* Add the piece's overflow records in memory, after its nodes, with numbers in the index. */
static void
add_overflow(HnswParts *parts, const HnswPiece *piece)
{
	HnswBuild *build = parts->build;

	build->records.array.n = piece->n;
	hnsw_build_add_overflow(build);
	if (hnsw_parts_in_memory(parts) != piece->n + piece->overflow)
		elog(ERROR, "wrong number of overflow records");
	for (uint32 i = 0; i < hnsw_parts_in_memory(parts); i++)
	{
		OmendbRecord *record = hnsw_parts_record(parts, i);

		if (record->overflow != OMENDB_NO_NODE)
			record->overflow += piece->base;
		if (record->kind == OMENDB_RECORD_OVERFLOW)
			omendb_record_overflow(record)->owner += piece->base;
	}
}

void
hnsw_piece_build(HnswParts *parts, HnswPiece *piece)
{
	read_nodes(parts, piece);
	omendb_parts_begin_choice(&parts->level, piece->first, piece->n);
	read_candidates(parts, piece);
	hnsw_build_phase(HNSW_PHASE_CHOOSE, piece->n);
	hnsw_crew_run(parts->build->crew, &parts->level, true);
	encode_edges(parts, piece);
	set_numbers(parts, piece);
	add_overflow(parts, piece);
	hnsw_parts_write_records(parts, piece->base);
}
