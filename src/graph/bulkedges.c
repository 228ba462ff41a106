/*
 * bulkedges.c
 *	  The edges of the bulk build in records (step 10 of bulk.h).
 */
#include "graph/bulkwork.h"

/* Number of neighbours whose records are prefetched before the one that is read. */
#define AHEAD 4

/* Return the vector of a record in code space, in out[]. */
static const float *
code_vector(OmendbBulkWork *work, const OmendbRecord *record, float *out)
{
	const OmendbCodec *codec = work->level->array->codec;

	omendb_own_decode(codec, record, codec->expands ? work->vectors.stored : out);
	return codec->expands ? omendb_code_vector(codec, work->vectors.stored, out) : out;
}

/* Prefetch the own vector of node i. */
static void
prefetch_own_vector(const OmendbBulkWork *work, uint32_t i)
{
	const OmendbLayout *layout = &work->level->array->codec->layout;
	const char *at = (const char *) build_record(work->level, i);

	for (uint32_t k = 0; k < sizeof(OmendbRecord) + layout->own_bytes; k += 64)
		__builtin_prefetch(at + k);
}

/* Clear the slots that have no edge: candidates may have been there. */
static void
clear_unused_edges(const OmendbLayout *layout, OmendbRecord *record)
{
	for (uint32_t i = record->count; i < layout->edges; i++)
		omendb_edge_free(layout, record, i);
}

/* The node of a candidate, given its place in choice.sorted. */
static inline uint32_t
chosen_node(const OmendbBulkWork *work, const OmendbRows *rows, uint32_t place)
{
	return bulk_node(rows, (uint32_t) work->choice.sorted[place]);
}

void
omendb_bulk_write_edges(OmendbBulkWork *work, const OmendbRows *rows, uint32_t node,
						const uint16_t *chosen, uint32_t count)
{
	OmendbBuildLevel *level = work->level;
	const OmendbCodec *codec = level->array->codec;
	OmendbRecord *record = build_record(level, node);
	const float *v = code_vector(work, record, work->vectors.own_code);

	omendb_edge_clear(&codec->layout, record);
	for (uint32_t i = 0; i < count && i < AHEAD; i++)
		prefetch_own_vector(work, chosen_node(work, rows, chosen[i]));
	for (uint32_t i = 0; i < count; i++)
	{
		uint32_t other = chosen_node(work, rows, chosen[i]);
		const OmendbRecord *neighbour = build_record(level, other);

		if (i + AHEAD < count)
			prefetch_own_vector(work, chosen_node(work, rows, chosen[i + AHEAD]));
		omendb_edge_encode(codec, record, i, level->first + other, v,
						   code_vector(work, neighbour, work->vectors.other_code),
						   omendb_own_distance(codec, record, neighbour, work->vectors.scratch),
						   record->norm2, neighbour->norm2);
	}
	record->count = (uint8_t) count;
	clear_unused_edges(&codec->layout, record);
}

void
omendb_bulk_write_neighbours(OmendbBulkWork *work, const OmendbRows *rows, uint32_t node,
							 const uint16_t *chosen, uint32_t count)
{
	const OmendbLayout *layout = &work->level->array->codec->layout;
	OmendbRecord *record = build_record(work->level, node);

	omendb_edge_clear(layout, record);
	for (uint32_t i = 0; i < count; i++)
		omendb_record_neighbours(layout, record)[i] = chosen_node(work, rows, chosen[i]);
	record->count = (uint8_t) count;
	clear_unused_edges(layout, record);
}

/* The record of a neighbour if it is in memory now and was not before, else NULL. */
static const OmendbRecord *
find_new_neighbour(const OmendbBuildLevel *level, uint32_t node)
{
	const OmendbBulk *bulk = &level->bulk;
	uint32_t low = 0;
	uint32_t high = bulk->outside.n;

	if (build_has_record(level, node))
		return bulk->outside.first ? build_record(level, node) : NULL;
	while (low < high)
	{
		uint32_t middle = (low + high) / 2;

		if (bulk->outside.nodes[middle] < node)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == bulk->outside.n || bulk->outside.nodes[low] != node)
		return NULL;
	return omendb_array_record(level->array, level->first + level->window.n + low);
}

void
omendb_bulk_encode_edges(OmendbBulkWork *work, uint32_t node)
{
	OmendbBuildLevel *level = work->level;
	const OmendbCodec *codec = level->array->codec;
	OmendbRecord *record = build_record(level, node);
	const OmendbNode *neighbours = omendb_record_neighbours(&codec->layout, record);
	const float *v = code_vector(work, record, work->vectors.own_code);

	for (uint32_t i = 0; i < record->count; i++)
	{
		uint32_t other = neighbours[i];
		const OmendbRecord *neighbour = find_new_neighbour(level, other);

		if (neighbour)
			omendb_edge_encode(codec, record, i, other, v,
							   code_vector(work, neighbour, work->vectors.other_code),
							   omendb_own_distance(codec, record, neighbour, work->vectors.scratch),
							   record->norm2, neighbour->norm2);
	}
}
