/*
 * select.h
 *	  Which of the candidates become neighbours of a node.
 *
 * First the occlusion rule: in order of distance, a candidate is kept unless a
 * kept one is nearer to it than the node is (Malkov and Yashunin 2016,
 * algorithm 4; the relative neighbourhood graph). That leaves slots empty
 * which a scan pays for all the same, so they are filled: candidates are taken
 * back whose angle with every nearer neighbour is wide, the threshold found by
 * bisection so that the slots are just filled. Angles are estimated from codes.
 */
#ifndef OMENDB_SELECT_H
#define OMENDB_SELECT_H

#include "graph/graph.h"

/* Candidates beyond this many are not looked at. */
#define OMENDB_SELECT_MAX 256

typedef struct OmendbSelectCandidate
{
	float distance; /* from the node */
	OmendbNode node;
	uint32_t tag; /* the caller's */
} OmendbSelectCandidate;

typedef struct OmendbSelectInput
{
	/* Distance between candidates i and j. */
	float (*distance)(void *context, uint32_t i, uint32_t j);
	/* Code of candidate i relative to the node; NULL: fill with the nearest. */
	const uint8_t *(*code)(void *context, uint32_t i);
	void *context;
	size_t code_bytes;
	/*
	 * Do candidates i and j coincide? NULL: none do. Of those that do one is
	 * kept, or the edges of a node that many others coincide with would all stay
	 * among them.
	 */
	bool (*same)(void *context, uint32_t i, uint32_t j);
} OmendbSelectInput;

/*
 * Choose at most `want` of n candidates, which are in ascending order of
 * distance. chosen gets their indices, ascending; returns how many.
 */
extern uint32_t omendb_select(const OmendbSelectCandidate *candidates, uint32_t n, uint32_t want,
							  const OmendbSelectInput *input, uint16_t *chosen);

#endif /* OMENDB_SELECT_H */
