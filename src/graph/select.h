/*
 * select.h
 *	  The choice of a node's neighbours from candidates.
 *
 * First the occlusion rule: in order of distance, a candidate is kept unless a kept one is nearer to
 * it than the node is (Malkov and Yashunin 2016, algorithm 4; the relative neighbourhood graph).
 * A scan pays for the slots that are left empty, too. So they are filled with removed candidates
 * whose angle with every nearer neighbour is wide: the least angle is found by bisection such that
 * all slots are filled. Angles are estimated from codes.
 */
#ifndef OMENDB_SELECT_H
#define OMENDB_SELECT_H

#include "graph/graph.h"

/* Maximum number of candidates; farther ones are ignored. */
#define OMENDB_SELECT_MAX 256

typedef struct OmendbSelectCandidate
{
	float distance; /* from the node */
	OmendbNode node;
	uint32_t tag; /* for the caller */
} OmendbSelectCandidate;

typedef struct OmendbSelectInput
{
	/*
	 * The distance between candidates i and j, where j is nearer to the node. If this distance is less than
	 * the distance of i from the node, j occludes i.
	 */
	float (*distance)(void *context, uint32_t i, uint32_t j);
	/* The code of candidate i relative to the node; NULL: slots are filled with the nearest. */
	const uint8_t *(*code)(void *context, uint32_t i);
	void *context;
	size_t code_bytes;
	/*
	 * True if the vectors of candidates i and j are equal; NULL: none are. The occlusion rule keeps one
	 * of such candidates. Otherwise all edges of nodes with equal vectors would lead to each other.
	 */
	bool (*same)(void *context, uint32_t i, uint32_t j);
} OmendbSelectInput;

/*
 * Choose at most `want` of n candidates, which are in ascending order of distance. chosen: their
 * indices, ascending. Returns their number.
 */
extern uint32_t omendb_select(const OmendbSelectCandidate *candidates, uint32_t n, uint32_t want,
							  const OmendbSelectInput *input, uint16_t *chosen);

#endif /* OMENDB_SELECT_H */
