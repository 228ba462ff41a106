/*
 * array.h
 *	  A graph in memory: records in chunks of equal size.
 *
 * The store of the index build, where chunks are shared memory, and of unit tests and benchmarks. Any
 * number of processes may read while none writes.
 */
#ifndef OMENDB_ARRAY_H
#define OMENDB_ARRAY_H

#include "graph/graph.h"

typedef struct OmendbArray
{
	const OmendbCodec *codec;
	uint8_t **chunks;
	uint32_t chunk_shift; /* log2 of the number of records of a chunk */
	uint32_t n;           /* records */
} OmendbArray;

extern const OmendbGraphOps omendb_array_ops;

/*
 * Minimum number of bytes of a record after its own vector: a bulk build keeps candidates there, by
 * default 24 slots of 8 node numbers (OmendbBulkShape).
 */
#define OMENDB_ARRAY_CANDIDATE_BYTES (24 * 8 * sizeof(OmendbNode))

/* Bytes from a record to the next one: whole cache lines. */
static inline size_t
omendb_array_stride(const OmendbLayout *layout)
{
	size_t least = layout->neighbours_offset + OMENDB_ARRAY_CANDIDATE_BYTES;

	return ((layout->record_bytes > least ? layout->record_bytes : least) + 63) / 64 * 64;
}

/* The record of a node below array->n. */
static inline OmendbRecord *
omendb_array_record(const OmendbArray *array, OmendbNode node)
{
	uint32_t mask = (UINT32_C(1) << array->chunk_shift) - 1;

	return (OmendbRecord *) (array->chunks[node >> array->chunk_shift] +
							 (node & mask) * omendb_array_stride(&array->codec->layout));
}

/* For stores: copy what a visit needs of a record. */
extern void omendb_payload_fill(const OmendbRecord *record, OmendbPayload *payload);
extern void omendb_step_fill(const OmendbRecord *record, const OmendbQuery *query,
							 OmendbStep *step);

#endif /* OMENDB_ARRAY_H */
