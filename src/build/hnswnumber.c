/*
 * hnswnumber.c
 *	  A build in parts, third step: makes nodes of rows, and pieces of nodes.
 *
 * Rows with equal vectors are in one part. Those that are in memory together share a node; so
 * near nodes get near numbers, and are on near pages.
 */
#include "build/hnswpartsstate.h"

#include "utils/memutils.h"

/* Number of overflow records of a node with that many heap TIDs. */
static uint32
overflow_records(const OmendbLayout *layout, uint32 tids)
{
	uint32 capacity = omendb_overflow_capacity(layout);

	return tids <= OMENDB_INLINE_TIDS ? 0 : (tids - OMENDB_INLINE_TIDS + capacity - 1) / capacity;
}

/* Make a piece of the records in memory: its int8 rows, its files, its numbers. */
static void
add_piece(HnswParts *parts)
{
	const OmendbLayout *layout = &parts->build->open->codec.layout;
	HnswPiece piece = {
		.first = parts->pieces.nodes, .n = hnsw_parts_in_memory(parts), .base = parts->pieces.end};
	uint64 end;

	if (piece.n == 0)
		return;
	hnsw_parts_run_window(parts, piece.first, piece.n);
	for (uint32 i = 0; i < piece.n; i++)
	{
		OmendbRecord *record = hnsw_parts_record(parts, i);

		/* Until here the version is the number of heap TIDs of the node (add_row). */
		piece.overflow += overflow_records(layout, record->version);
		record->version = 0;
		hnsw_parts_write(parts, &piece.nodes, piece.first + i, record);
	}
	/* The next piece begins on a page of its own. */
	end = (uint64) piece.base + piece.n + piece.overflow;
	end = (end + layout->per_page - 1) / layout->per_page * layout->per_page;
	if (end > OMENDB_MAX_NODE)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("hnsw index \"%s\" cannot have more than %u records",
							   RelationGetRelationName(parts->build->index), OMENDB_MAX_NODE)));
	if (parts->pieces.n == parts->pieces.capacity)
	{
		parts->pieces.capacity = Max(64, 2 * parts->pieces.capacity);
		parts->pieces.pieces =
			parts->pieces.pieces
				? repalloc_huge(parts->pieces.pieces, parts->pieces.capacity * sizeof(HnswPiece))
				: palloc(parts->pieces.capacity * sizeof(HnswPiece));
	}
	piece.tids = parts->pieces.tids;
	memset(&parts->pieces.tids, 0, sizeof(HnswRowFile));
	parts->pieces.end = (OmendbNode) end;
	parts->pieces.nodes += piece.n;
	parts->pieces.pieces[parts->pieces.n++] = piece;
	parts->build->records.array.n = 0;
	vectors_reset(parts->build->vectors);
}

/*
 * Make a node of the last record in memory, which is of that row; or, if a node in memory has an
 * equal vector, add the record's heap TIDs to that node's file.
 */
static void
add_row(HnswParts *parts, uint32 row)
{
	HnswBuild *build = parts->build;
	uint32 last = hnsw_parts_in_memory(parts) - 1;
	OmendbRecord *record = hnsw_parts_record(parts, last);
	uint32 node = last;
	HnswVectorEntry *entry;
	bool found;

	record->version = record->ntids;
	entry = hnsw_build_vector(build, record, &found);
	if (!found)
		entry->node = last;
	else if (omendb_own_equal(&build->open->codec, record, hnsw_parts_record(parts, entry->node)))
	{
		node = entry->node;
		hnsw_parts_record(parts, node)->version += record->ntids;
		hnsw_parts_write(parts, &parts->pieces.tids, node, record);
		build->records.array.n = last;
	}
	hnsw_parts_note_leader(parts, row, parts->pieces.nodes + node);
}

void
hnsw_parts_number(HnswParts *parts)
{
	uint32 done = 0;

	hnsw_build_phase(HNSW_PHASE_NUMBER, parts->level.parts.capacity);
	parts->build->records.array.n = 0;
	vectors_reset(parts->build->vectors);
	for (uint32 p = 0; p < parts->parts.n; p++)
	{
		HnswRowFile *rows = &parts->parts.files[p];

		hnsw_parts_seek(parts, rows, 0);
		for (uint32 i = 0; i < rows->n; i++)
		{
			OmendbRecord *record;

			add_row(parts, hnsw_parts_read(parts, rows, &record));
			hnsw_parts_report(++done);
			if (hnsw_parts_in_memory(parts) == parts->capacity)
				add_piece(parts);
		}
		add_piece(parts);
		hnsw_row_file_close(rows);
	}
	parts->level.n = parts->pieces.nodes;
	/* Level 1 has to fit into memory, with those above it. */
	parts->upper_shift = HNSW_LEVEL_SHIFT;
	while (parts->pieces.nodes >> parts->upper_shift > parts->capacity / 2)
		parts->upper_shift++;
}

HnswPiece *
hnsw_piece_of(const HnswParts *parts, uint32 node)
{
	uint32 low = 0;
	uint32 high = parts->pieces.n;

	while (high - low > 1)
	{
		uint32 middle = (low + high) / 2;

		if (parts->pieces.pieces[middle].first <= node)
			low = middle;
		else
			high = middle;
	}
	return &parts->pieces.pieces[low];
}
