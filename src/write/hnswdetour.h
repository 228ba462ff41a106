/*
 * hnswdetour.h
 *	  Detours of edges that are given up, and the edges that were read to find them.
 */
#ifndef OMENDB_HNSWDETOUR_H
#define OMENDB_HNSWDETOUR_H

#include "am/hnsw.h"
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

/*
 * A node on one level before it is written. It may take over edges that its neighbours give up, in place of
 * its own from `keep` on: then the node itself is the detour to the ends of these edges.
 */
typedef struct HnswNewNode
{
	const OmendbRecord *record; /* header and own vector */
	uint32 n;
	uint32 keep;
	OmendbSelectCandidate edges[OMENDB_MAX_EDGES]; /* at first the nearest first */
	OmendbRecord *records[OMENDB_MAX_EDGES];       /* header and own vector of each */
	bool needed[OMENDB_MAX_EDGES];                 /* planned detours lead there */
} HnswNewNode;

typedef struct HnswEdgeWriter
{
	OmendbStore *store;
	OmendbChooser *chooser; /* the caller's; set to other nodes here */
	OmendbQuery query;      /* the record that gets the edge */
	OmendbQuery walk_query; /* the end of a detour */
	OmendbRecord *copy;     /* of the record that gets the edge */
	OmendbRecord *other;    /* of another record */
	uint64 filter[4];       /* Bloom filter of the neighbours of the copy: one bit for each */

	HnswNewNode *new_node; /* whose reverse edges are planned, or NULL */

	struct known_hash *known; /* edges read since hnsw_edge_writer_remember; or NULL */
	unsigned known_level;     /* their level */
} HnswEdgeWriter;

/*
 * From now on remember the edges of nodes of that level once they were read, while one row is
 * inserted. Changes by others are not seen any more, but each change of an edge checks its
 * detour on the pages. A second call forgets what was remembered, but does not free memory.
 */
extern void hnsw_edge_writer_remember(HnswEdgeWriter *writer, unsigned level);

/* Remember nothing from now on. */
extern void hnsw_edge_writer_forget(HnswEdgeWriter *writer);

/*
 * Remember the edges of a record that was read already, up to its neighbours (omendb_visit_size).
 * The caller keeps the record; its neighbours are changed when the page's are.
 */
extern void hnsw_edge_writer_add(HnswEdgeWriter *writer, OmendbNode node, OmendbRecord *record);

/* Maximum number of edges of a node on a level. */
extern uint32 hnsw_edge_capacity(const HnswEdgeWriter *writer, unsigned level);

/* Read the node's edges from its page the next time. */
extern void hnsw_forget_edges(HnswEdgeWriter *writer, OmendbNode node, unsigned level);

/* If the node's edges are remembered, remember those of writer->copy, which are written or planned. */
extern void hnsw_update_edges(HnswEdgeWriter *writer, OmendbNode node, unsigned level);

/* The detours that are looked for next begin at the node in writer->copy. */
extern void hnsw_set_detour_start(HnswEdgeWriter *writer);

/*
 * Find a detour from `self`, the node in writer->copy, to its neighbour `end`. The detour
 * begins with another neighbour of self, or with `newcomer`, to which self will have an edge.
 * Neighbours of `end` are tried first: most edges have a reverse edge.
 * occluder: the neighbour of self that occludes `end`, or OMENDB_NO_NODE. No detour leads by
 * self, to which self has an edge in a damaged index: such a detour would be found and
 * refused again and again.
 *
 * newcomer OMENDB_NO_NODE: writer->new_node, which is not written yet. If no short detour is found, it
 * takes over the edge to `end`, and is the detour.
 */
extern bool hnsw_find_detour(HnswEdgeWriter *writer, OmendbNode self, OmendbNode end,
							 OmendbNode occluder, OmendbNode newcomer, unsigned level,
							 OmendbDetour *detour);

#endif /* OMENDB_HNSWDETOUR_H */
