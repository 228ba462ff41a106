/*
 * edge.h
 *	  Edges between nodes: choosing a node's neighbours among visited ones, and
 *	  the slot in which a full node takes a new neighbour.
 */
#ifndef OMENDB_NEIGHBOURS_H
#define OMENDB_NEIGHBOURS_H

#include "graph/select.h"

/* Scratch to choose with; reused from node to node. */
typedef struct OmendbChooser
{
	const OmendbCodec *codec;
	const OmendbAllocator *allocator;
	OmendbSelectCandidate *candidates;
	size_t capacity;
	const OmendbRecord *records[OMENDB_SELECT_MAX]; /* of the first candidates */
	const float *own;                               /* the node's vector in code space */
	uint8_t *signs;                                 /* of the first candidates, or of edges */
	float *memory;                                  /* all floats */
	float *own_stored;                              /* parts of memory */
	float *own_code;
	float *other_stored;
	float *other_code;
	float *scratch;
} OmendbChooser;

/* False when out of memory (free all the same). */
extern bool omendb_chooser_init(OmendbChooser *chooser, const OmendbCodec *codec,
								const OmendbAllocator *allocator);
extern void omendb_chooser_free(OmendbChooser *chooser);

/* Room for n candidates, to be filled in by the caller. */
extern bool omendb_chooser_reserve(OmendbChooser *chooser, size_t n);

/* The node whose neighbours are to be chosen. */
extern void omendb_chooser_set(OmendbChooser *chooser, const OmendbRecord *node);

/*
 * Choose at most `want` of the first n candidates, which are sorted here; at
 * most OMENDB_SELECT_MAX of them are looked at, the nearest. record() gives a
 * candidate's record (header and own vector). chosen gets indices into
 * candidates, ascending in distance; returns how many.
 */
extern uint32_t omendb_choose(OmendbChooser *chooser, size_t n, uint32_t want,
							  const OmendbRecord *(*record)(void *context,
															const OmendbSelectCandidate *candidate),
							  void *context, uint16_t *chosen);

/* Write an edge from `node` (omendb_chooser_set was called for it) into its slot. */
extern void omendb_edge_write(OmendbChooser *chooser, OmendbRecord *node, uint32_t slot,
							  OmendbNode neighbour, const OmendbRecord *neighbour_record,
							  float distance);

/* A neighbour that a full node could give up for a new one. */
typedef struct OmendbEdgeOption
{
	uint32_t slot;       /* OMENDB_MAX_EDGES: the new one itself */
	OmendbNode occluder; /* a nearer neighbour in nearly its direction, or none */
} OmendbEdgeOption;

#define OMENDB_EDGE_OPTIONS 16

/*
 * Which neighbour does a full node give up for a new one at that distance?
 * Options in order of preference, as far as the node's own codes tell: those
 * that another neighbour occludes, the ones in the most nearly same direction
 * first; where none is occluded, the farthest. With `forced` the new one is no
 * option. query is set to the node (omendb_query_set_record), and
 * omendb_chooser_set was called for it. Returns how many, at least one.
 */
extern uint32_t omendb_edge_options(OmendbChooser *chooser, const OmendbQuery *query,
									const OmendbRecord *node, const OmendbRecord *neighbour,
									float distance, bool forced,
									OmendbEdgeOption options[OMENDB_EDGE_OPTIONS]);

#endif /* OMENDB_NEIGHBOURS_H */
