/*
 * array.h
 *	  A graph in memory: records in chunks, one after another.
 *
 * The store of the index build (chunks are shared memory then) and of the unit
 * tests and benchmarks. Reading is safe from any number of processes while
 * nobody writes.
 */
#ifndef OMENDB_ARRAY_H
#define OMENDB_ARRAY_H

#include "graph/graph.h"

typedef struct OmendbArray
{
	const OmendbCodec *codec;
	uint8_t **chunks;
	uint32_t chunk_shift; /* log2 of the records in a chunk */
	uint32_t n;           /* records */
} OmendbArray;

extern const OmendbGraphOps omendb_array_ops;

/*
 * Bytes that a record has behind its own vector, at least: a build keeps its candidates there
 * (bulk.h), 24 times 8 node numbers by default.
 */
#define OMENDB_ARRAY_ROOM (24 * 8 * sizeof(OmendbNode))

/* Bytes of a record in the array: whole cache lines. */
static inline size_t
omendb_array_stride(const OmendbLayout *layout)
{
	size_t least = layout->neighbours_offset + OMENDB_ARRAY_ROOM;

	return ((layout->record_bytes > least ? layout->record_bytes : least) + 63) / 64 * 64;
}

static inline OmendbRecord *
omendb_array_record(const OmendbArray *array, OmendbNode node)
{
	uint32_t mask = (UINT32_C(1) << array->chunk_shift) - 1;

	return (OmendbRecord *) (array->chunks[node >> array->chunk_shift] +
							 (node & mask) * omendb_array_stride(&array->codec->layout));
}

/* What a visit copies of a record; for stores. */
extern void omendb_payload_fill(const OmendbRecord *record, OmendbPayload *payload);
extern void omendb_step_fill(const OmendbRecord *record, const OmendbQuery *query,
							 OmendbStep *step);

#endif /* OMENDB_ARRAY_H */
