/*
 * hnswfetch.h
 *	  Gets heap TIDs from the index, a batch at a time, and reads their rows.
 *
 * The heap pages of a batch are prefetched before the first of its rows is read: from storage
 * several at a time, from memory into the processor's caches. A batch causes at most one round of
 * the search.
 */
#ifndef OMENDB_HNSWFETCH_H
#define OMENDB_HNSWFETCH_H

#include "postgres.h"

#include "am/hnswdrive.h"
#include "storage/itemptr.h"

/* Maximum number of TIDs in a batch. */
#define HNSW_MAX_BATCH 32

typedef struct HnswFound
{
	ItemPointerData tid;
	HnswFoundRow row;
	bool member; /* in the bitmap; true if there is no bitmap */
} HnswFound;

typedef struct HnswBatch
{
	HnswFound *found; /* HNSW_MAX_BATCH, or NULL before the first batch; kept by a rescan */
	int used;
	int next; /* not returned yet from here on */
	int size; /* maximum number of TIDs of this batch */
} HnswBatch;

typedef struct HnswState HnswState;

/*
 * The next TID; NULL if the index returns none now (hnswdrive.h says why). expected: the number of
 * TIDs that will be needed; 0: not known.
 */
extern const HnswFound *hnsw_next_found(HnswState *state, double expected);

/* Read the row of a TID into slots.heap. False if the snapshot does not see it. */
extern bool hnsw_fetch_found(HnswState *state, const HnswFound *found);

#endif /* OMENDB_HNSWFETCH_H */
