/*
 * change.h
 *	  Changes of the index's pages, each WAL-logged before its locks are released. Of heap
 *	  TIDs: tids.h. These two are the only callers of generic WAL.
 *
 * Locks. Callers hold none on pages. A function locks pages in ascending order of
 * blocks: one or two, and where an edge is replaced those of its detour; only extending
 * the file (the new block is the highest) and the metapage take others. The metapage is
 * locked alone or last: who holds it waits for no other page. See src/README.md for the
 * order with the heavyweight locks.
 */
#ifndef OMENDB_CHANGE_H
#define OMENDB_CHANGE_H

#include "page/store.h"

/*
 * Put a record (record_bytes of the index's layout) into a free slot, of an
 * existing page or of a new one, and give its number. The slot's version and
 * incarnation continue there; all else is as in *record.
 */
extern OmendbNode omendb_record_put(OmendbStore *store, const OmendbRecord *record);

/*
 * The same, and the node becomes the entry point, all in one WAL record: if the
 * entry point is still `old` (or none). False, and nothing is done, if not.
 */
extern bool omendb_record_put_entry(OmendbStore *store, const OmendbRecord *record, OmendbNode old,
									OmendbNode *node);

/* Copy the record of a node under a share lock; false where it is no such node. */
extern bool omendb_record_copy(OmendbStore *store, OmendbNode node, unsigned level,
							   OmendbRecord *out);

/* The same for its header and own vector only (neighbours_offset bytes). */
extern bool omendb_record_copy_own(OmendbStore *store, OmendbNode node, unsigned level,
								   OmendbRecord *out);

/* The same up to its neighbours (codes_offset bytes). */
extern bool omendb_record_copy_edges(OmendbStore *store, OmendbNode node, unsigned level,
									 OmendbRecord *out);

/* Does that node edge to that other one? */
extern bool omendb_record_has_edge_to(OmendbStore *store, OmendbNode node, unsigned level,
									  OmendbNode to);

/* The level of a node; false where it is no node. */
extern bool omendb_record_level(OmendbStore *store, OmendbNode node, unsigned *level);

/* Nodes between a node and an end of its edges: edges lead from each to the next one. */
#define OMENDB_DETOUR_NODES 6

typedef struct OmendbDetour
{
	uint32 n;
	OmendbNode nodes[OMENDB_DETOUR_NODES];
} OmendbDetour;

/*
 * Write the edges of `from`, a copy of the node's record of which slot `slot` is changed, to
 * the page, if the page's record still has the copy's version. from->count is the
 * new count of neighbours.
 *
 * Where that replaces an edge, the nodes of the detour have to live and to have edges to
 * the next one, the last one to where the replaced edge leads, else nothing is done: all
 * their pages are locked, so no edge of the detour goes before this one does. NULL if
 * the caller knows that no detour is needed, as where nothing leads to the node yet.
 */
extern bool omendb_record_put_edge(OmendbStore *store, OmendbNode node, const OmendbRecord *from,
								   uint32 slot, const OmendbDetour *detour);

/*
 * Replace all neighbours of a node by those of `from`, under the same
 * condition.
 */
extern bool omendb_record_put_edges(OmendbStore *store, OmendbNode node, const OmendbRecord *from);

/* Mark a node (of an upper level) dead. */
extern void omendb_record_mark_dead(OmendbStore *store, OmendbNode node, unsigned level);

/*
 * Free all dead nodes of a page for which may_free() is true; buffer is
 * exclusively locked and stays so. Returns how many.
 */
extern uint32 omendb_page_free_dead(OmendbStore *store, Buffer buffer,
									bool (*may_free)(OmendbNode node, void *context),
									void *context);

/* Let the entry point be another (or none) if it is still `old`; else false. */
extern bool omendb_meta_change_entry(OmendbStore *store, OmendbNode old, OmendbNode node,
									 unsigned level);

/* The index does not take a row that has a vector. */
extern void omendb_meta_note_left_out(OmendbStore *store);

/* Replace what the metapage says of recall; sets the checksum. */
extern void omendb_meta_put_calibration(OmendbStore *store, OmendbCalibration *calibration);

#endif /* OMENDB_CHANGE_H */
