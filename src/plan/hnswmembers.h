/*
 * hnswmembers.h
 *	  Which heap TIDs a bitmap holds: look-up, and reading in order.
 */
#ifndef OMENDB_HNSWMEMBERS_H
#define OMENDB_HNSWMEMBERS_H

#include "postgres.h"

#include "nodes/tidbitmap.h"
#include "storage/itemptr.h"

typedef struct HnswMembers HnswMembers;

/*
 * From a bitmap, in the current memory context; the bitmap may be freed
 * afterwards. An index knows a chain of HOT tuples by its root: such are the
 * TIDs of the bitmap and of an hnsw index.
 */
extern HnswMembers *hnsw_members_create(TIDBitmap *bitmap);

/* TIDs that it holds; those of blocks that it holds only as a whole are guessed. */
extern double hnsw_members_count(const HnswMembers *members);

/* May the row be in the bitmap? For sure, unless the bitmap holds the block only as a whole. */
extern bool hnsw_members_has(HnswMembers *members, ItemPointer tid);

/*
 * The next TID in the order of blocks, from the first on after a rewind. Of
 * blocks that are held as a whole every possible TID comes. False: none is left.
 */
extern void hnsw_members_rewind(HnswMembers *members);
extern bool hnsw_members_next(HnswMembers *members, ItemPointer tid);

#endif /* OMENDB_HNSWMEMBERS_H */
