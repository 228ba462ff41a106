/*
 * hnswedges.h
 *	  Adds edges to records on pages, one at a time.
 *
 * Callers hold no page lock. Each edge is one WAL-logged change.
 */
#ifndef OMENDB_HNSWEDGES_H
#define OMENDB_HNSWEDGES_H

#include "write/hnswdetour.h"

/* A reverse edge to a node that is not written yet. */
typedef struct HnswPlannedEdge
{
	OmendbNode neighbour; /* which gets the edge */
	float distance;
	uint32 slot;
	OmendbDetour detour; /* OMENDB_NO_NODE stands for the new node */
	OmendbRecord *copy;  /* memory for the neighbour's record, by the caller: with the edge */
} HnswPlannedEdge;

/* Allocates in the current memory context. */
extern void hnsw_edge_writer_init(HnswEdgeWriter *writer, OmendbStore *store,
								  OmendbChooser *chooser);

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
 * Plan hnsw_add_reverse_edge, not forced, for writer->new_node. Nothing is written. False if the neighbour does
 * not take the edge.
 */
extern bool hnsw_plan_reverse_edge(HnswEdgeWriter *writer, OmendbNode neighbour, unsigned level,
								   float distance, HnswPlannedEdge *planned);

/*
 * Write a planned reverse edge to the node, which is written by now. If the neighbour or the detour has changed
 * meanwhile, do as hnsw_add_reverse_edge does.
 */
extern bool hnsw_put_planned_edge(HnswEdgeWriter *writer, HnswPlannedEdge *planned, OmendbNode node,
								  const OmendbRecord *record, unsigned level);

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
