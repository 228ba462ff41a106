/*
 * neighbours.h
 *	  The choice of a node's neighbours from records in memory, and of the edge that a full node gives
 *	  up for a new neighbour. Works on records that the caller holds.
 */
#ifndef OMENDB_NEIGHBOURS_H
#define OMENDB_NEIGHBOURS_H

#include "graph/select.h"

/*
 * By how much the distance between two neighbours of a node must be less than the farther one's distance from
 * the node, for the nearer one to occlude it. near_norm2: |x|^2 of the nearer one.
 *
 * Inner product: the one occludes the other if it is nearer to it by Euclidean distance. By the product itself a
 * long vector would occlude nearly all others, and edges would lead to the longest rows only.
 */
static inline float
omendb_occlusion_margin(const OmendbLayout *layout, float near_norm2, float node_norm2)
{
	return layout->metric == OMENDB_METRIC_IP ? (near_norm2 - node_norm2) / 2 : 0;
}

/* The work space of a choice, for any number of nodes. */
typedef struct OmendbChooser
{
	const OmendbCodec *codec;
	const OmendbAllocator *allocator;
	OmendbSelectCandidate *candidates;               /* filled in by the caller */
	size_t capacity;                                 /* of candidates */
	const OmendbRecord *records[OMENDB_SELECT_MAX];  /* of the candidates */
	uint8_t *unpacked;                               /* their own vectors, if they are packed */
	float norm2;                                     /* of the node, for inner products */
	const float *own;                                /* the node's vector in code space */
	uint8_t *signs;                                  /* of the candidates, or of edges */
	uint8_t *slot_signs;                             /* of the node's edges, by slots, .. */
	uint64_t slots_known[OMENDB_MAX_EDGES / 64 + 1]; /* .. where a bit is set */
	float *memory;                                   /* of the arrays below */
	float *own_stored;
	float *own_code;
	float *other_stored;
	float *other_code;
	float *scratch;
} OmendbChooser;

/* False when out of memory; must be freed then, too. */
extern bool omendb_chooser_init(OmendbChooser *chooser, const OmendbCodec *codec,
								const OmendbAllocator *allocator);
extern void omendb_chooser_free(OmendbChooser *chooser);

/* Reserve memory for n candidates, which the caller fills in. False when out of memory. */
extern bool omendb_chooser_reserve(OmendbChooser *chooser, size_t n);

/*
 * Set the node whose neighbours are chosen next, or whose edges are written. Who changes its
 * edges other than by omendb_edge_write calls omendb_chooser_edges_changed.
 */
extern void omendb_chooser_set(OmendbChooser *chooser, const OmendbRecord *node);
extern void omendb_chooser_edges_changed(OmendbChooser *chooser);

/*
 * Sort the first n candidates, and choose at most `want` of the nearest OMENDB_SELECT_MAX of them.
 * record() returns a candidate's record (header and own vector). chosen: places in candidates, the
 * nearest first. Returns their number.
 */
extern uint32_t omendb_choose(OmendbChooser *chooser, size_t n, uint32_t want,
							  const OmendbRecord *(*record)(void *context,
															const OmendbSelectCandidate *candidate),
							  void *context, uint16_t *chosen);

/*
 * Choose at most `want` of n candidates for the free slots of a node, whose present neighbours stay: of
 * these, codes suffice, and no record is needed. By the same rules as omendb_choose, but distances between
 * two neighbours are estimated. Of candidates beyond OMENDB_SELECT_MAX, neighbours counted, the last
 * are ignored. No candidate is a neighbour. query is set to the
 * node (omendb_query_set_record), and omendb_chooser_set was called for it. chosen: places in candidates.
 * Returns their number. For layouts with codes.
 */
extern uint32_t omendb_choose_by_codes(
	OmendbChooser *chooser, const OmendbQuery *query, const OmendbRecord *node, size_t n,
	uint32_t want,
	const OmendbRecord *(*record)(void *context, const OmendbSelectCandidate *candidate),
	void *context, uint16_t *chosen);

/* Write an edge from `node`, for which omendb_chooser_set was called, into a slot. */
extern void omendb_edge_write(OmendbChooser *chooser, OmendbRecord *node, uint32_t slot,
							  OmendbNode neighbour, const OmendbRecord *neighbour_record,
							  float distance);

/* A neighbour that a full node could give up for a new one. */
typedef struct OmendbEdgeOption
{
	uint32_t slot;       /* OMENDB_MAX_EDGES: the new neighbour itself */
	OmendbNode occluder; /* a nearer neighbour in nearly the same direction, or OMENDB_NO_NODE */
} OmendbEdgeOption;

/* Maximum number of options. */
#define OMENDB_EDGE_OPTIONS 16

/*
 * List the neighbours that a full node can give up for a new one at that distance, in order of
 * preference, by the node's own codes: neighbours that another one occludes, those with the smallest
 * angle to a nearer neighbour first; if none is occluded, the farthest neighbour. forced: the new
 * neighbour is no option. query is set to the node (omendb_query_set_record), and
 * omendb_chooser_set was called for it. Returns the number of options, at least one.
 */
extern uint32_t omendb_edge_options(OmendbChooser *chooser, const OmendbQuery *query,
									const OmendbRecord *node, const OmendbRecord *neighbour,
									float distance, bool forced,
									OmendbEdgeOption options[OMENDB_EDGE_OPTIONS]);

#endif /* OMENDB_NEIGHBOURS_H */
