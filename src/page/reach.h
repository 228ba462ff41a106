/*
 * reach.h
 *	  Which nodes edges lead to, level by level.
 *
 * For those who need every node there is, whatever its distance: a search with
 * nothing left to visit, a vacuum. Pages are read in the order of the file,
 * each a few times at most, as long as edges lead forth and back alike.
 */
#ifndef OMENDB_REACH_H
#define OMENDB_REACH_H

#include "page/store.h"

typedef struct OmendbReach
{
	OmendbStore *store;
	BufferAccessStrategy strategy; /* or NULL */
	bool live;                     /* dead nodes lead nowhere */
	OmendbNode *parents;           /* by which node each was reached; or NULL */
	uint64 nodes;                  /* slots there were when it began; later ones do not count */
	uint8 *reached;                /* a bit for each */
	uint8 *waiting;                /* of them, those that were not followed yet */
	uint64 nwaiting;
	BlockNumber first; /* none waits before it */
} OmendbReach;

extern void omendb_reach_init(OmendbReach *reach, OmendbStore *store,
							  BufferAccessStrategy strategy);
extern void omendb_reach_free(OmendbReach *reach);

static inline bool
omendb_reach_has(const OmendbReach *reach, OmendbNode node)
{
	return node < reach->nodes && (reach->reached[node / 8] >> (node % 8) & 1);
}

/* Count a node as reached; it waits to be followed. */
extern void omendb_reach_add(OmendbReach *reach, OmendbNode node);

/*
 * Follow the edges of all waiting nodes, which are of that level, or of none
 * any more: then they do not count as reached.
 */
extern void omendb_reach_follow(OmendbReach *reach, unsigned level);

/*
 * Replace the waiting nodes, which are of that level above 0, by the records
 * below them; with `edges`, also by those below all that edges lead to.
 */
extern void omendb_reach_descend(OmendbReach *reach, unsigned level, bool edges);

/* The first waiting node from that one on, or OMENDB_NO_NODE. */
extern OmendbNode omendb_reach_next(const OmendbReach *reach, OmendbNode from);

#endif /* OMENDB_REACH_H */
