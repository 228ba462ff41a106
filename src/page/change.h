/*
 * change.h
 *	  Changes of the index's pages, each WAL-logged before its locks are released. Of heap
 *	  TIDs: tids.h. These two are the only callers of generic WAL.
 *
 * Locks. Callers hold no lock on a page, unless a function takes a locked buffer. A function locks
 * one or two pages, and the pages of a detour if it replaces an edge, in ascending order of blocks.
 * A new page is the highest block. The metapage is locked alone or last: no other lock is awaited
 * while it is held. src/README.md has the order with heavyweight locks.
 */
#ifndef OMENDB_CHANGE_H
#define OMENDB_CHANGE_H

#include "page/store.h"

/*
 * Put a record (record_bytes of the layout) into a free slot of an existing page or of a new one.
 * Returns its number. Version and incarnation are those of the slot, raised; all else is copied from
 * *record.
 */
extern OmendbNode omendb_record_put(OmendbStore *store, const OmendbRecord *record);

/*
 * The same, and make the node the entry point, in one WAL record. False, with no change, if the entry
 * point is not `old` (which may be OMENDB_NO_NODE) any more.
 */
extern bool omendb_record_put_entry(OmendbStore *store, const OmendbRecord *record, OmendbNode old,
									OmendbNode *node);

/*
 * Put the first of n records, as many as a page has free slots, into one page, in one WAL record.
 * Returns their number, at least one; nodes[]: their numbers. Not for spanning records.
 */
extern uint32 omendb_records_put(OmendbStore *store, const OmendbRecord *const *records, uint32 n,
								 OmendbNode *nodes);

/* Copy the record of a node, under a share lock. False if it is not a node of that level. */
extern bool omendb_record_copy(OmendbStore *store, OmendbNode node, unsigned level,
							   OmendbRecord *out);

/* The same for header and own vector only (omendb_head_size). */
extern bool omendb_record_copy_own(OmendbStore *store, OmendbNode node, unsigned level,
								   OmendbRecord *out);

/* The same, false as well if the page was never written: for numbers to which nothing leads. */
extern bool omendb_record_copy_own_any(OmendbStore *store, OmendbNode node, unsigned level,
									   OmendbRecord *out);

/* The same for header and neighbours only. */
extern bool omendb_record_copy_edges(OmendbStore *store, OmendbNode node, unsigned level,
									 OmendbRecord *out);

/* True if the node, of that level, has an edge to `to`. */
extern bool omendb_record_has_edge_to(OmendbStore *store, OmendbNode node, unsigned level,
									  OmendbNode to);

/* The level of a node. False if the record is not a node. */
extern bool omendb_record_level(OmendbStore *store, OmendbNode node, unsigned *level);

/*
 * Maximum number of nodes of a detour: nodes between a node and a neighbour, where an edge leads from
 * each to the next.
 */
#define OMENDB_DETOUR_NODES 6

typedef struct OmendbDetour
{
	uint32 n;
	OmendbNode nodes[OMENDB_DETOUR_NODES];
} OmendbDetour;

/*
 * Write the edges, and the count of edges, of `from` to the page. `from` is a copy of the node's
 * record, changed in slot `slot`. False, with no change, if the page's record has another version
 * than the copy.
 *
 * If an edge is replaced, `detour` has to lead from the node to the end of the replaced edge: each
 * node of the detour is alive and has an edge to the next one, the last one to that end. Else false,
 * with no change. The pages of the detour are locked in share mode, so that no edge of the detour is
 * replaced before this one. detour is NULL if none is needed, as when nothing leads to the node yet.
 */
extern bool omendb_record_put_edge(OmendbStore *store, OmendbNode node, const OmendbRecord *from,
								   uint32 slot, const OmendbDetour *detour);

/* One edge more of a node, or one that replaces another. */
typedef struct OmendbEdgeChange
{
	uint32 slot;
	OmendbNode to;
	OmendbDetour detour; /* to the end of the replaced edge; empty if the slot is free */
} OmendbEdgeChange;

/* Changes of a node's edges, one after another. */
typedef struct OmendbNodeChange
{
	OmendbNode node;
	const OmendbRecord *from; /* a copy of the node's record, with the changed edges */
	const OmendbEdgeChange *changes;
	uint32 nchanges; /* 0: nothing leads to the node yet, all edges may be others */
	bool done;       /* result */
} OmendbNodeChange;

/* Maximum number of pages that omendb_page_put_changes locks. */
#define OMENDB_CHANGE_PAGES 48

/*
 * omendb_record_put_edge for several edges of several nodes of one page, in one WAL record. The changes
 * are made in this order, and each is checked in the state that those before it have made. So what
 * holds for each of them holds for all. All changes of a node are made (done), or none: if the node's
 * record has another version than the copy, or a detour is gone. All pages of the detours and the
 * nodes' page are at most OMENDB_CHANGE_PAGES.
 */
extern void omendb_page_put_changes(OmendbStore *store, OmendbNodeChange *nodes, uint32 n);

/* Write the edges of `from`, a copy of the node's record. False as for another version above. */
extern bool omendb_record_put_edges(OmendbStore *store, OmendbNode node, const OmendbRecord *from);

/*
 * The same for several records of a block, in one WAL record: those of the page's copy whose put[slot] is
 * true. Sets put[slot] to false for records that have another version than the copy's.
 */
extern void omendb_page_put_edges(OmendbStore *store, BlockNumber block, const char *copy,
								  bool *put);

/* Mark a node of that level dead, if it is one. For upper levels, which have no heap TIDs. */
extern void omendb_record_mark_dead(OmendbStore *store, OmendbNode node, unsigned level);

/*
 * Free all dead nodes of a page for which may_free() is true. Returns their number. The buffer is
 * exclusively locked and stays locked.
 */
extern uint32 omendb_page_free_dead(OmendbStore *store, Buffer buffer,
									bool (*may_free)(OmendbNode node, void *context),
									void *context);

/* Change the entry point to `node` (or OMENDB_NO_NODE). False if it is not `old` any more. */
extern bool omendb_meta_change_entry(OmendbStore *store, OmendbNode old, OmendbNode node,
									 unsigned level);

/* Set OMENDB_META_LEFT_OUT: the index leaves out a row that has a vector. */
extern void omendb_meta_note_left_out(OmendbStore *store);

/* Replace the calibration of the metapage. Sets calibration->checksum. */
extern void omendb_meta_put_calibration(OmendbStore *store, OmendbCalibration *calibration);

#endif /* OMENDB_CHANGE_H */
