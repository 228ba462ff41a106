/*
 * hnswjoin.h
 *	  For a build in parts: the edges that connect the components of a new index.
 */
#ifndef OMENDB_HNSWJOIN_H
#define OMENDB_HNSWJOIN_H

#include "graph/graph.h"
#include "utils/relcache.h"

/*
 * Make edges lead from the entry point to all nodes of an index that is being built.
 * upper: the first number of the levels above 0, which are one component already.
 */
extern void hnsw_join_new(Relation index, OmendbNode upper);

#endif /* OMENDB_HNSWJOIN_H */
