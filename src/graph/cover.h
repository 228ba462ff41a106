/*
 * cover.h
 *	  Which nodes of a level are on the next level, beside those that were drawn.
 */
#ifndef OMENDB_COVER_H
#define OMENDB_COVER_H

#include "graph/build.h"

/*
 * A search comes to the level at nodes of the next level, and its beam is full of near nodes after a
 * few steps. So a region to which none of these nodes leads, as a cluster of which none was drawn, would be
 * missed by all queries in it. rises[i], of each of the level's nodes: 1 if the node is
 * on the next level. Sets further ones, so that each node, or one of its neighbours, is on the next level or is a
 * neighbour of a node that is (where nodes have less than 24 edges: within two edges of it). After the level is built. covered: memory of level->n bytes.
 * Returns the number of nodes that were added.
 */
extern uint32_t omendb_build_cover(const OmendbBuildLevel *level, uint8_t *rises, uint8_t *covered);

#endif /* OMENDB_COVER_H */
