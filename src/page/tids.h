/*
 * tids.h
 *	  Changes of heap TIDs, in records and in overflow records. Locks and WAL as in change.h.
 */
#ifndef OMENDB_TIDS_H
#define OMENDB_TIDS_H

#include "page/store.h"

/*
 * Add a heap TID to a node that has that identity and own vector; false where
 * it is no such node (any more), or is dead.
 */
extern bool omendb_record_add_tid(OmendbStore *store, OmendbNode node, const OmendbRecord *like,
								  ItemPointer tid);

/* What omendb_page_remove_tids found on a page. */
typedef struct OmendbPageTids
{
	uint64 removed;
	uint64 left;
} OmendbPageTids;

/*
 * Is dead() true for a heap TID of the page's records? If not, it was asked once for each
 * of them, and *count is their number. buffer is locked.
 */
extern bool omendb_page_has_dead_tids(OmendbStore *store, Buffer buffer,
									  bool (*dead)(ItemPointer tid, void *context), void *context,
									  uint64 *count);

/*
 * Remove the heap TIDs of a page's records for which dead() is true. Nodes of
 * level 0 that have none left, nor overflow records, are marked dead. The page
 * is only changed, and WAL-logged, if that changes anything. buffer is
 * exclusively locked and stays so.
 */
extern void omendb_page_remove_tids(OmendbStore *store, Buffer buffer,
									bool (*dead)(ItemPointer tid, void *context), void *context,
									OmendbPageTids *counts);

/* A heap TID of a row that nobody can see any more, and the record that has it. */
typedef struct OmendbDeadTid
{
	OmendbNode record;
	uint32 version; /* of the record, when the TID was read there */
	ItemPointerData tid;
} OmendbDeadTid;

/*
 * Mark heap TIDs, where the record still has that version: in another one the same TID may be of
 * a new row. Sorts them. A mark does not change the version: nobody writes back heap TIDs that
 * were read before.
 *
 * This is WAL-logged, unlike the hints of other access methods. A generic WAL record is checked
 * (wal_consistency_checking) without leaving anything out, so a page may not differ from its WAL.
 */
extern void omendb_mark_tids(OmendbStore *store, OmendbDeadTid *dead, size_t n);

/*
 * Free all overflow records of a node that are empty; mark the node dead if
 * nothing is left. True if it is dead then. Vacuum only. No TID goes from one
 * record into another: a scan would miss it.
 */
extern bool omendb_record_free_empty(OmendbStore *store, OmendbNode node);

#endif /* OMENDB_TIDS_H */
