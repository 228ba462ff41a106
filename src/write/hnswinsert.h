/*
 * hnswinsert.h
 *	  Steps of an insert, for vacuum.
 */
#ifndef OMENDB_HNSWINSERT_H
#define OMENDB_HNSWINSERT_H

#include "am/hnsw.h"

/* Working memory of an insert. */
typedef struct HnswInsert HnswInsert;

/* Allocate it in the current memory context. */
extern HnswInsert *hnsw_insert_create(Relation index, const OmendbIndex *open);

/*
 * Search a level for the record's vector, from the entry point. Visited nodes may be dead; if a
 * live node of that level can be reached, one is visited. NULL if the search does not get to the
 * level. The result is valid until the next call.
 */
extern const OmendbSearch *hnsw_find_near(HnswInsert *insert, const OmendbRecord *record,
										  unsigned level);

/*
 * Offer n nodes an edge to `node`, of which `record` is a copy: those for which the edge is better
 * than one of theirs take it; if there is none, the first that can. False if none can.
 */
extern bool hnsw_add_reverse_edges(HnswInsert *insert, OmendbNode node, unsigned level,
								   const OmendbRecord *record, const OmendbNode *to, uint32 n);

/*
 * Prepare a node to become the entry point in place of *entry: give it records up to the level
 * of that entry point, the last of which has an edge to the entry point. If the entry point is
 * on the node's own level, both get a record one level above first. *entry and *entry_level become
 * the node's last record and its level; nothing leads to the new records until the caller
 * changes the metapage. level: the node's, which has no record above. False if there are
 * too many levels.
 */
extern bool hnsw_make_entry(HnswInsert *insert, OmendbNode node, unsigned level,
							const OmendbRecord *record, OmendbNode *entry, unsigned *entry_level);

/* Draw a new node's level: one node of 2^HNSW_LEVEL_SHIFT is on the next level too. */
extern unsigned hnsw_random_level(void);

/*
 * Insert a row: header and own vector of *row, with its heap TID, up to that level. Memory is
 * allocated in the current memory context, so an HnswInsert is good for one row.
 */
extern void hnsw_insert_row(HnswInsert *insert, const OmendbRecord *row, unsigned level);

#endif /* OMENDB_HNSWINSERT_H */
