/*
 * hnswedges.h
 *	  Adds edges to records on pages, one at a time.
 *
 * Callers hold no page lock. Each edge is one WAL-logged change.
 */
#ifndef OMENDB_HNSWEDGES_H
#define OMENDB_HNSWEDGES_H

#include "graph/neighbours.h"
#include "page/change.h"

/* A node's edges as they were read. */
typedef struct HnswEdges
{
	OmendbNode node;
	uint16 count;
	bool dead;   /* or no node any more */
	char status; /* of the hash table's entry */
	OmendbNode *neighbours;
} HnswEdges;

typedef struct HnswEdgeWriter
{
	OmendbStore *store;
	OmendbChooser *chooser; /* the caller's; set to other nodes here */
	OmendbQuery query;      /* the record that gets the edge */
	OmendbQuery walk_query; /* the end of a detour */
	OmendbRecord *copy;     /* of the record that gets the edge */
	OmendbRecord *other;    /* of another record */
	uint64 filter[4];       /* Bloom filter of the neighbours of the copy: one bit for each */

	struct known_hash *known; /* edges read since hnsw_edge_writer_remember; or NULL */
	unsigned known_level;     /* their level */
} HnswEdgeWriter;

/* Allocates in the current memory context. */
extern void hnsw_edge_writer_init(HnswEdgeWriter *writer, OmendbStore *store,
								  OmendbChooser *chooser);

/*
 * From now on remember the edges of nodes of that level once they were read, while one row is
 * inserted. Changes by others are not seen any more, but each change of an edge checks its
 * detour on the pages. A second call forgets what was remembered, but does not free memory.
 */
extern void hnsw_edge_writer_remember(HnswEdgeWriter *writer, unsigned level);

/* Remember nothing from now on. */
extern void hnsw_edge_writer_forget(HnswEdgeWriter *writer);

/*
 * Remember the edges of a record that was read already, up to its neighbours
 * (omendb_visit_size). The caller keeps the record; its neighbours are changed when the page's are.
 */
extern void hnsw_edge_writer_add(HnswEdgeWriter *writer, OmendbNode node, OmendbRecord *record);

/*
 * Give a neighbour an edge to a node at that distance. record: the node's header and own vector. In a
 * full neighbour the new edge replaces another one, to whose end there is a detour. If no edge
 * has a detour, or if none is worse than the new edge, the neighbour stays as it is;
 * forced: a better edge may be replaced, too. True if the neighbour has the edge in the end.
 */
extern bool hnsw_add_reverse_edge(HnswEdgeWriter *writer, OmendbNode neighbour, OmendbNode node,
								  const OmendbRecord *record, unsigned level, float distance,
								  bool forced);

/*
 * hnsw_add_reverse_edge, forced, for a node to which nothing leads yet. If no edge of the
 * neighbour has a detour, the node first gets an edge to one of the neighbour's neighbours, so
 * that the node itself is the detour; then the neighbour's edge is replaced.
 */
extern bool hnsw_add_first_reverse_edge(HnswEdgeWriter *writer, OmendbNode neighbour,
										OmendbNode node, const OmendbRecord *record, unsigned level,
										float distance);

/*
 * A copy of a record that gets several edges, before they are written to the page. The writer is
 * set to it by hnsw_begin_edges.
 */
extern bool hnsw_begin_edges(HnswEdgeWriter *writer, OmendbNode node, unsigned level);

/*
 * Choose the slot of the node's copy for an edge to another node at that distance, as
 * hnsw_add_reverse_edge does, and write the edge into the copy. *change: for omendb_page_put_changes.
 * False if the node does not take the edge.
 */
extern bool hnsw_plan_edge(HnswEdgeWriter *writer, OmendbNode node, OmendbNode to,
						   const OmendbRecord *record, unsigned level, float distance,
						   OmendbEdgeChange *change);

/*
 * Give a node to which nothing leads yet an edge to `to`; in a full node it replaces the last
 * one. False if one of the two is no node, or if `to` is dead and may not be.
 */
extern bool hnsw_add_edge(HnswEdgeWriter *writer, OmendbNode node, OmendbNode to, unsigned level,
						  bool may_be_dead);

#endif /* OMENDB_HNSWEDGES_H */
