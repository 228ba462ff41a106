/*
 * hnswinsertwork.h
 *	  What the insert of one row and that of a batch share.
 *
 * Callers hold the lock on the metapage's number, and no page lock.
 */
#ifndef OMENDB_HNSWINSERTWORK_H
#define OMENDB_HNSWINSERTWORK_H

#include "graph/neighbours.h"
#include "graph/search.h"
#include "page/change.h"
#include "write/hnswedges.h"
#include "write/hnswinsert.h"

struct HnswInsert
{
	OmendbStore store; /* first, because the store's operations take this struct for theirs */
	OmendbSearch search;
	OmendbQuery query;
	OmendbChooser chooser;
	OmendbRecord *record; /* of the new node */
	HnswEdgeWriter writer;
	/* copies of the records that the present search visits, .. */
	uint8 *copies;
	Size copies_bytes; /* of memory */
	/* .. and where each begins, by its place in search.visited; the next one begins where it ends */
	Size *places;
	size_t places_capacity;
};

static inline OmendbRecord *
hnsw_visited_record(HnswInsert *insert, size_t i)
{
	return (OmendbRecord *) (insert->copies + insert->places[i]);
}

/*
 * Search level 0 from the entry point for insert->query, with a beam of `width`. False if no live
 * node can be reached.
 */
extern bool hnsw_find_neighbours(HnswInsert *insert, OmendbNode entry, unsigned entry_level,
								 uint32 width);

/* The same from n nodes of level 0 on, at most OMENDB_UPPER_BEAM. */
extern bool hnsw_find_neighbours_from(HnswInsert *insert, const OmendbNode *from, uint32 n,
									  uint32 width);

/* The live visited node that has the vector of insert->record, or OMENDB_NO_NODE. */
extern OmendbNode hnsw_find_equal(HnswInsert *insert);

/*
 * Make something lead to a node of level 0 to which nothing leads: one of its neighbours, or the
 * metapage, as to the entry point. record: the node's, with its edges.
 */
extern void hnsw_force_reverse_edge(HnswInsert *insert, OmendbNode node,
									const OmendbRecord *record);

#endif /* OMENDB_HNSWINSERTWORK_H */
