/*
 * hnswedges.h
 *	  Edges to a node from its neighbours, on pages.
 */
#ifndef OMENDB_HNSWEDGES_H
#define OMENDB_HNSWEDGES_H

#include "graph/neighbours.h"
#include "page/change.h"

/* Where a node led a moment ago. */
typedef struct HnswEdges
{
	OmendbNode node;
	uint16 count;
	bool dead;   /* or no node any more */
	char status; /* of its place in the hash table */
	OmendbNode *neighbours;
} HnswEdges;

typedef struct HnswEdgeWriter
{
	OmendbStore *store;
	OmendbChooser *chooser; /* the caller's; set to other nodes here */
	OmendbQuery query;
	OmendbRecord *copy;  /* of the neighbour's record */
	OmendbRecord *other; /* of some other record */
	uint64 filter[4];    /* a bit for each neighbour of the copy */

	struct known_hash *known; /* edges that were read since hnsw_edge_writer_remember; or NULL */
	unsigned known_level;
} HnswEdgeWriter;

/* Allocates in the current memory context. */
extern void hnsw_edge_writer_init(HnswEdgeWriter *writer, OmendbStore *store,
								  OmendbChooser *chooser);

/*
 * From now on keep what is read of which node has an edge to which on that level: what others
 * change is not seen any more. For as long as one row is inserted; once only.
 */
extern void hnsw_edge_writer_remember(HnswEdgeWriter *writer, unsigned level);

/*
 * Add what was read already: a record up to its neighbours (codes_offset
 * bytes), which the caller keeps. Its neighbours are changed with the page's.
 */
extern void hnsw_edge_writer_add(HnswEdgeWriter *writer, OmendbNode node, OmendbRecord *record);

/*
 * Give a neighbour an edge to a node (of which `record` is the header and own
 * vector) at that distance. In a full neighbour the new edge replaces another one, to
 * whose end there is a detour. If no edge has a detour, or if none is worse than the new
 * edge, the neighbour stays as it is; forced: a better edge may be replaced, too. True
 * if the neighbour has the edge in the end.
 */
extern bool hnsw_add_reverse_edge(HnswEdgeWriter *writer, OmendbNode neighbour, OmendbNode node,
								  const OmendbRecord *record, unsigned level, float distance,
								  bool forced);

/*
 * The same, forced, for a node to which nothing leads yet. If no edge of the neighbour
 * has a detour, the node first gets an edge to one of the neighbour's neighbours, so
 * that the node itself is the detour; then the neighbour's edge is replaced.
 */
extern bool hnsw_add_first_reverse_edge(HnswEdgeWriter *writer, OmendbNode neighbour,
										OmendbNode node, const OmendbRecord *record, unsigned level,
										float distance);

/* Give a node to which nothing leads yet an edge to another one; dead: it may be dead. */
extern bool hnsw_add_edge(HnswEdgeWriter *writer, OmendbNode node, OmendbNode to, unsigned level,
						  bool dead);

#endif /* OMENDB_HNSWEDGES_H */
