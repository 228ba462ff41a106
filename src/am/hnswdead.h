/*
 * hnswdead.h
 *	  Collects the dead rows that a scan meets, and marks their TIDs.
 */
#ifndef OMENDB_HNSWDEAD_H
#define OMENDB_HNSWDEAD_H

#include "postgres.h"

#include "page/tids.h"

/* The record that has a heap TID, and the record's version when the TID was read. */
typedef struct HnswPlace
{
	OmendbNode record;
	uint32 version;
} HnswPlace;

/* Dead rows whose TIDs are not marked yet. */
typedef struct HnswDeadRows
{
	OmendbDeadTid *tids;
	size_t n;
	size_t capacity;
} HnswDeadRows;

/* Add a row. Marks all TIDs when there are many. Allocates in the current memory context. */
extern void hnsw_dead_note(HnswDeadRows *dead, OmendbStore *store, const HnswPlace *place,
						   const ItemPointerData *tid);

/*
 * Mark the TIDs of all collected rows, page by page: later scans pass them over. Callers hold
 * no lock on a page.
 */
extern void hnsw_dead_mark(HnswDeadRows *dead, OmendbStore *store);

#endif /* OMENDB_HNSWDEAD_H */
