/*
 * hnswjoin.h
 *	  For a build: the edges that make one graph of the parts of an index.
 */
#ifndef OMENDB_HNSWJOIN_H
#define OMENDB_HNSWJOIN_H

#include "graph/graph.h"
#include "utils/relcache.h"

/*
 * Let edges lead from the entry point to all nodes of an index that is being built,
 * whose levels above 0 are of one piece already and begin with the number `upper`.
 */
extern void hnsw_join_new(Relation index, OmendbNode upper);

#endif /* OMENDB_HNSWJOIN_H */
