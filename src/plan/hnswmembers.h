/*
 * hnswmembers.h
 *	  The heap TIDs of a bitmap: look-up of one, and reading all in order.
 */
#ifndef OMENDB_HNSWMEMBERS_H
#define OMENDB_HNSWMEMBERS_H

#include "postgres.h"

#include "nodes/tidbitmap.h"
#include "storage/itemptr.h"

typedef struct HnswMembers HnswMembers;

/*
 * Make it from a bitmap, in the current memory context. The bitmap may be freed afterwards. The
 * TIDs of a bitmap and those of an hnsw index are comparable: an index has the TID of the root of a
 * chain of HOT tuples.
 */
extern HnswMembers *hnsw_members_create(TIDBitmap *bitmap);

/* The number of its TIDs. Those of lossy blocks, of which the bitmap has no TIDs, are guessed. */
extern double hnsw_members_count(const HnswMembers *members);

/* True if the bitmap has the TID; of a lossy block, always. */
extern bool hnsw_members_has(HnswMembers *members, ItemPointer tid);

/* Begin to read at the first TID. */
extern void hnsw_members_rewind(HnswMembers *members);

/*
 * The next TID, in the order of blocks. False if none is left. Of a lossy block every possible TID
 * is returned.
 */
extern bool hnsw_members_next(HnswMembers *members, ItemPointer tid);

#endif /* OMENDB_HNSWMEMBERS_H */
