/*
 * cover.c
 *	  Adds nodes to the next level of the graph where none leads to a region (cover.h).
 *
 * In data without clusters hardly a node is added: one node of 64 is drawn, and of 32 edges a node a third of
 * all nodes are neighbours of one that was drawn.
 */
#include "graph/cover.h"

#include <string.h>

#include "graph/builder.h"

/* Number of edges of a node from which on its neighbours are enough to cover a region. */
#define MANY_EDGES 24

/* Nodes by which prefetches are ahead. */
#define AHEAD 8

/* Mark a node and its neighbours; where nodes have few edges, the neighbours' neighbours, too. */
static void
mark_from(const OmendbBuildLevel *level, uint32_t i, uint8_t *covered)
{
	const OmendbNode *near = build_edges(level, i);

	covered[i] = 1;
	for (uint32_t k = 0; k < build_record(level, i)->count; k++)
	{
		uint32_t other = near[k] - level->first;
		const OmendbNode *next = build_edges(level, other);

		covered[other] = 1;
		for (uint32_t e = 0; level->edges < MANY_EDGES && e < build_record(level, other)->count;
			 e++)
			covered[next[e] - level->first] = 1;
	}
}

/* True if the node or one of its neighbours is marked. */
static bool
is_covered(const OmendbBuildLevel *level, uint32_t i, const uint8_t *covered)
{
	const OmendbNode *near = build_edges(level, i);
	uint8_t any = covered[i];

	for (uint32_t k = 0; k < build_record(level, i)->count; k++)
		any |= covered[near[k] - level->first];
	return any != 0;
}

uint32_t
omendb_build_cover(const OmendbBuildLevel *level, uint8_t *rises, uint8_t *covered)
{
	uint32_t added = 0;

	memset(covered, 0, level->n);
	for (uint32_t i = 0; i < level->n; i++)
		if (rises[i])
		{
			build_interruptible(level, 0);
			mark_from(level, i, covered);
		}
	for (uint32_t i = 0; i < level->n; i++)
	{
		build_interruptible(level, i);
		if (i + AHEAD < level->n)
			build_prefetch_edges(level, i + AHEAD);
		if (is_covered(level, i, covered))
			continue;
		rises[i] = 1;
		added++;
		mark_from(level, i, covered);
	}
	return added;
}
