/*
 * hnswfetch.h
 *	  Heap TIDs that the index gives a custom scan, a batch at a time.
 *
 * The heap pages of a batch are asked for before the first of its rows is read:
 * pages that are on disk come together, and what is in memory is on its way to
 * the processor. The index does the work of one round for a batch at most.
 */
#ifndef OMENDB_HNSWFETCH_H
#define OMENDB_HNSWFETCH_H

#include "postgres.h"

#include "am/hnswdrive.h"
#include "storage/itemptr.h"

#define HNSW_LARGEST_BATCH 32

typedef struct HnswFound
{
	ItemPointerData tid;
	HnswFoundRow row;
	bool member; /* of the bitmap, or there is none */
} HnswFound;

typedef struct HnswBatch
{
	HnswFound found[HNSW_LARGEST_BATCH];
	int used;
	int next;
	int size; /* of the batch before, at most */
} HnswBatch;

typedef struct HnswState HnswState;

/*
 * The next TID; NULL: the index gives none for now, see hnswdrive.h. expected: so
 * many will be needed, as far as anybody knows; 0: nobody does.
 */
extern const HnswFound *hnsw_next_found(HnswState *state, double expected);

/* Read the row of a TID into heap_slot; false: the snapshot does not see it. */
extern bool hnsw_fetch_found(HnswState *state, const HnswFound *found);

#endif /* OMENDB_HNSWFETCH_H */
