/*
 * hnswinsert.h
 *	  What an insert does, a part at a time: for vacuum.
 */
#ifndef OMENDB_HNSWINSERT_H
#define OMENDB_HNSWINSERT_H

#include "am/hnsw.h"

/* Working memory of an insert. */
typedef struct HnswInsert HnswInsert;
/* In the current memory context. */
extern HnswInsert *hnsw_insert_create(Relation index, const OmendbIndex *open);

/*
 * A search of a level for the record's vector, from the entry point on. Of what
 * it visited some may be dead; at least one lives if any does there. NULL where
 * it comes to nothing.
 */
extern const OmendbSearch *hnsw_find_near(HnswInsert *insert, const OmendbRecord *record,
										  unsigned level);

/*
 * Offer edges to the node to n others: those for which it is good take one, or
 * else the first that can. record is a copy of the node's. False where none can.
 */
extern bool hnsw_add_reverse_edges(HnswInsert *insert, OmendbNode node, unsigned level,
								   const OmendbRecord *record, const OmendbNode *to, uint32 n);

/*
 * Give the node records up to the level of that entry point (or one more, with the
 * entry point, if it is of that level itself), of which the last has an edge to
 * the entry point: it is to be the entry point in its place. Nothing leads there
 * until it is. The node has no record above that one. False where there are too
 * many levels.
 */
extern bool hnsw_make_entry(HnswInsert *insert, OmendbNode node, unsigned level,
							const OmendbRecord *record, OmendbNode *entry, unsigned *entry_level);

#endif /* OMENDB_HNSWINSERT_H */
