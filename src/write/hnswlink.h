/*
 * hnswlink.h
 *	  Links to a node from its neighbours, on pages.
 */
#ifndef OMENDB_HNSWLINK_H
#define OMENDB_HNSWLINK_H

#include "graph/link.h"
#include "page/change.h"

/* Where a node led a moment ago. */
typedef struct HnswLinks
{
	OmendbNode node;
	uint16 count;
	bool dead;   /* or no node any more */
	char status; /* of its place in the hash table */
	OmendbNode *neighbours;
} HnswLinks;

typedef struct HnswLinker
{
	OmendbStore *store;
	OmendbChooser *chooser; /* the caller's; set to other nodes here */
	OmendbQuery query;
	OmendbRecord *copy;  /* of the neighbour's record */
	OmendbRecord *other; /* of some other record */
	uint64 filter[4];    /* a bit for each neighbour of the copy */

	struct known_hash *known; /* links that were read since hnsw_linker_remember; or NULL */
	unsigned known_level;
} HnswLinker;

/* Allocates in the current memory context. */
extern void hnsw_linker_init(HnswLinker *linker, OmendbStore *store, OmendbChooser *chooser);

/*
 * From now on keep what is read of who links to whom on that level: what others
 * change is not seen any more. For as long as one row is inserted; once only.
 */
extern void hnsw_linker_remember(HnswLinker *linker, unsigned level);

/*
 * Add what was read already: a record up to its neighbours (codes_offset
 * bytes), which the caller keeps. Its neighbours are changed with the page's.
 */
extern void hnsw_linker_add(HnswLinker *linker, OmendbNode node, OmendbRecord *record);

/*
 * Give a neighbour a link to a node (of which `record` is the header and own
 * vector) at that distance. In a full neighbour the new link replaces another one, to
 * whose end there is a detour. If no link has a detour, or if none is worse than the new
 * link, the neighbour stays as it is; forced: a better link may be replaced, too. True
 * if the neighbour has the link in the end.
 */
extern bool hnsw_link_back(HnswLinker *linker, OmendbNode neighbour, OmendbNode node,
						   const OmendbRecord *record, unsigned level, float distance, bool forced);

/*
 * The same, forced, for a node to which nothing leads yet. If no link of the neighbour
 * has a detour, the node first gets a link to one of the neighbour's neighbours, so
 * that the node itself is the detour; then the neighbour's link is replaced.
 */
extern bool hnsw_link_between(HnswLinker *linker, OmendbNode neighbour, OmendbNode node,
							  const OmendbRecord *record, unsigned level, float distance);

/* Give a node to which nothing leads yet a link to another one; dead: it may be dead. */
extern bool hnsw_link_forward(HnswLinker *linker, OmendbNode node, OmendbNode to, unsigned level,
							  bool dead);

#endif /* OMENDB_HNSWLINK_H */
