/*
 * tids.h
 *	  Changes of heap TIDs, in nodes of level 0 and in overflow records, each WAL-logged. Locks as
 *	  in change.h.
 *
 * A heap TID never moves from one record to another: a scan would miss it.
 */
#ifndef OMENDB_TIDS_H
#define OMENDB_TIDS_H

#include "page/store.h"

/*
 * Add a heap TID to a node. False if it is not a live node with the identity and the own vector of
 * `like`.
 */
extern bool omendb_record_add_tid(OmendbStore *store, OmendbNode node, const OmendbRecord *like,
								  ItemPointer tid);

/* Counts of heap TIDs by omendb_page_remove_tids. */
typedef struct OmendbPageTids
{
	uint64 removed;
	uint64 left;
} OmendbPageTids;

/*
 * True if dead() is true for a heap TID of the page's records. If false, dead() was called once for
 * each TID, and *count is their number. The buffer is locked.
 */
extern bool omendb_page_has_dead_tids(OmendbStore *store, Buffer buffer,
									  bool (*dead)(ItemPointer tid, void *context), void *context,
									  uint64 *count);

/*
 * Remove the heap TIDs of a page's records for which dead() is true. Nodes of level 0 without a TID
 * and without an overflow record are marked dead. Writes WAL only if something changes. Adds to
 * *counts. The buffer is exclusively locked and stays locked.
 */
extern void omendb_page_remove_tids(OmendbStore *store, Buffer buffer,
									bool (*dead)(ItemPointer tid, void *context), void *context,
									OmendbPageTids *counts);

/* A heap TID of a dead row, and the record that has it. */
typedef struct OmendbDeadTid
{
	OmendbNode record;
	uint32 version; /* of the record, when the TID was read there */
	ItemPointerData tid;
} OmendbDeadTid;

/*
 * Mark heap TIDs (OMENDB_TID_MARK), if the record still has the version: in a later version the same
 * TID may be of a new row. Sorts dead[]. Does not raise the version, because no backend writes back
 * heap TIDs that it has read before.
 *
 * Marks are WAL-logged, unlike the hints of other access methods: wal_consistency_checking compares
 * whole pages of generic WAL, so a page must not differ from its WAL.
 */
extern void omendb_mark_tids(OmendbStore *store, OmendbDeadTid *dead, size_t n);

/*
 * Free the empty overflow records of a node, and mark the node dead if it has no TID and no overflow
 * record left. True if the node is dead then. For vacuum only.
 */
extern bool omendb_record_free_empty(OmendbStore *store, OmendbNode node);

#endif /* OMENDB_TIDS_H */
