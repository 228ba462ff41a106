/*
 * reach.h
 *	  The set of nodes that edges lead to, level by level, whatever their distance.
 *
 * For a scan that has visited all that its search reaches, and for vacuum. Reads pages in the order
 * of the file, as often as needed: each a few times if edges lead in both directions.
 *
 * A node is waiting from when it is reached until its edges were followed. Locks one page at a time,
 * in share mode. Callers hold no lock on a page.
 */
#ifndef OMENDB_REACH_H
#define OMENDB_REACH_H

#include "page/store.h"

typedef struct OmendbReach
{
	OmendbStore *store;
	BufferAccessStrategy strategy; /* or NULL */
	bool live;                     /* edges of dead nodes are not followed */
	OmendbNode *parents;           /* NULL, or for each node the one whose edge reached it */
	uint64 nodes;                  /* slots of the file at the start; later nodes are ignored */
	uint8 *reached;                /* a bit for each node */
	uint8 *waiting;                /* a bit for each node */
	uint64 nwaiting;
	BlockNumber first; /* no node of an earlier block is waiting */
} OmendbReach;

extern void omendb_reach_init(OmendbReach *reach, OmendbStore *store,
							  BufferAccessStrategy strategy);
extern void omendb_reach_free(OmendbReach *reach);

static inline bool
omendb_reach_has(const OmendbReach *reach, OmendbNode node)
{
	return node < reach->nodes && (reach->reached[node / 8] >> (node % 8) & 1);
}

/* Add a node: it is reached and waiting. */
extern void omendb_reach_add(OmendbReach *reach, OmendbNode node);

/*
 * Follow the edges of all waiting nodes, until none is waiting. Those that are not (or no longer)
 * nodes of that level are not reached afterwards.
 */
extern void omendb_reach_follow(OmendbReach *reach, unsigned level);

/*
 * Replace the set by the records below its waiting nodes, which are of that level, above 0. With
 * `edges`, also by the records below all nodes that their edges lead to. All of these are waiting.
 */
extern void omendb_reach_descend(OmendbReach *reach, unsigned level, bool edges);

/* The first waiting node with the number `from` or a higher one, or OMENDB_NO_NODE. */
extern OmendbNode omendb_reach_next(const OmendbReach *reach, OmendbNode from);

#endif /* OMENDB_REACH_H */
