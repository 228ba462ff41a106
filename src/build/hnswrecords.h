/*
 * hnswrecords.h
 *	  Memory for the records of an index that is built: the leader's own, or shared with parallel
 *	  workers.
 */
#ifndef OMENDB_HNSWRECORDS_H
#define OMENDB_HNSWRECORDS_H

#include "postgres.h"

#include "graph/array.h"
#include "storage/dsm.h"

/* Maximum number of segments of shared memory for records. */
#define HNSW_MOST_SEGMENTS 112

/* The records in memory, in chunks of one size. */
typedef struct HnswRecords
{
	OmendbArray array;
	void **memory;   /* what each chunk, which is aligned, was cut from; NULL in shared memory */
	uint32 capacity; /* of array.chunks and memory */
	MemoryContext context;
	bool shared;          /* further chunks are allocated in shared memory */
	uint32 nsegments;     /* of shared memory */
	uint32 shared_chunks; /* chunks in these segments: the first ones */
	dsm_segment *segments[HNSW_MOST_SEGMENTS];
} HnswRecords;

extern void hnsw_records_init(HnswRecords *records, const OmendbCodec *codec);

/* Allocate records, of which there are none yet, in shared memory. */
extern void hnsw_records_share(HnswRecords *records);

/*
 * Make sure that there is memory for one more record. False if that would be shared memory, and
 * there is not enough: *why gets the server's message.
 */
extern bool hnsw_records_reserve(HnswRecords *records, char **why);

/* Add the chunks of a segment. A worker attaches the leader's segments in their order. */
extern void hnsw_records_attach(HnswRecords *records, dsm_segment *segment);

/* Move all records from shared memory into the leader's own, and allocate further ones there. */
extern void hnsw_records_withdraw(HnswRecords *records);

/* Free all memory, and detach what is shared. */
extern void hnsw_records_free(HnswRecords *records);

/*
 * Make a record that of a node, otherwise zero. fresh: its memory is zero already, as new shared memory
 * is.
 */
extern OmendbRecord *hnsw_init_record(const OmendbArray *array, OmendbNode node, bool fresh);

/*
 * Create a segment of shared memory, owned by the current resource owner. NULL if there is not
 * enough: *why gets the server's message.
 */
extern dsm_segment *hnsw_create_segment(Size bytes, char **why);

/*
 * Populate all pages of a segment at once: a page fault for each takes several times as long, in a
 * virtual machine most of all. Only a hint to the kernel.
 */
extern void hnsw_populate_segment(dsm_segment *segment);

#endif /* OMENDB_HNSWRECORDS_H */
