/*
 * hnswrecords.h
 *	  The records of an index that is built, in memory: the leader's own, or
 *	  shared with parallel workers.
 */
#ifndef OMENDB_HNSWRECORDS_H
#define OMENDB_HNSWRECORDS_H

#include "postgres.h"

#include "graph/array.h"
#include "storage/dsm.h"

/* Most segments of shared memory for records. */
#define HNSW_MOST_SEGMENTS 112

/*
 * The records in memory. All their chunks are of the same size; memory[i] is
 * what chunks[i], which is aligned, was cut from: NULL where it lies in shared
 * memory.
 */
typedef struct HnswRecords
{
	OmendbArray array;
	void **memory;
	uint32 capacity; /* of the two arrays, in chunks */
	MemoryContext context;
	bool shared; /* further chunks are shared memory */
	uint32 nsegments;
	uint32 shared_chunks; /* in them */
	dsm_segment *segments[HNSW_MOST_SEGMENTS];
} HnswRecords;

extern void hnsw_records_init(HnswRecords *records, const OmendbCodec *codec);

/* Let the records, of which there are none yet, be in shared memory. */
extern void hnsw_records_share(HnswRecords *records);

/*
 * Room for one more record. False where it would have to be shared memory, of which there
 * is not enough: *why gets the server's words.
 */
extern bool hnsw_records_reserve(HnswRecords *records, char **why);

/* For a worker: the next segment that the leader has. */
extern void hnsw_records_attach(HnswRecords *records, dsm_segment *segment);

/* From shared memory to the leader's own, and no more from there. */
extern void hnsw_records_withdraw(HnswRecords *records);

/* Free all memory, and let go of what is shared. */
extern void hnsw_records_free(HnswRecords *records);

/*
 * Make record `node` a zeroed one of a node; fresh: it is all zero already, as new shared
 * memory is.
 */
extern OmendbRecord *hnsw_init_record(const OmendbArray *array, OmendbNode node, bool fresh);

/* A segment of shared memory; NULL and *why as above. And the pages of one, all at once. */
extern dsm_segment *hnsw_create_segment(Size bytes, char **why);
extern void hnsw_populate_segment(dsm_segment *segment);

#endif /* OMENDB_HNSWRECORDS_H */
