/*
 * link.h
 *	  Links between nodes: choosing a node's neighbours among visited ones, and
 *	  the slot in which a full node takes a new neighbour.
 */
#ifndef OMENDB_LINK_H
#define OMENDB_LINK_H

#include "graph/select.h"

/* Scratch to choose with; reused from node to node. */
typedef struct OmendbChooser
{
	const OmendbCodec *codec;
	const OmendbAllocator *allocator;
	OmendbSelectCandidate *candidates;
	size_t room;
	const OmendbRecord *records[OMENDB_SELECT_MAX]; /* of the first candidates */
	const float *own;                               /* the node's vector in code space */
	uint8_t *codes;                                 /* of the first candidates */
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
extern bool omendb_chooser_room(OmendbChooser *chooser, size_t n);

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

/* Write a link from `node` (omendb_chooser_set was called for it) into its slot. */
extern void omendb_link_write(OmendbChooser *chooser, OmendbRecord *node, uint32_t slot,
							  OmendbNode neighbour, const OmendbRecord *neighbour_record,
							  float distance);

/*
 * In which slot does `node` take a new neighbour at that distance? A free one;
 * or that of the farthest neighbour which another one occludes, as far as the
 * node's own codes tell; or OMENDB_MAX_LINKS if it is better off without.
 * forced: never that. query is set to the node (omendb_query_set_record).
 */
extern uint32_t omendb_link_slot(OmendbChooser *chooser, const OmendbQuery *query,
								 const OmendbRecord *node, uint32_t links,
								 const OmendbRecord *neighbour, float distance, bool forced);

#endif /* OMENDB_LINK_H */
