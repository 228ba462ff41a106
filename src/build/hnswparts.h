/*
 * hnswparts.h
 *	  Builds an index whose vectors do not fit maintenance_work_mem, in parts.
 */
#ifndef OMENDB_HNSWPARTS_H
#define OMENDB_HNSWPARTS_H

#include "build/hnswbuildstate.h"

/* Minimum number of nodes that memory has to hold for a build in parts. */
#define HNSW_LEAST_PART 1000

typedef struct HnswParts HnswParts;

/* True if what is kept in memory of each row fits for that many rows. After hnsw_build_begin. */
extern bool hnsw_parts_hold(HnswBuild *build, double rows);

extern HnswParts *hnsw_parts_create(HnswBuild *build);

/* Move all records that are in memory to a temporary file. */
extern void hnsw_parts_add(HnswParts *parts);

/* True if that many more rows would be too many. */
extern bool hnsw_parts_full(const HnswParts *parts, uint32 more);

/*
 * Build the graph of all rows that were added, and write the index's pages. Its parts may be several
 * components, which hnsw_join_new connects. Returns the first number above level 0.
 */
extern OmendbNode hnsw_parts_build(HnswParts *parts);

#endif /* OMENDB_HNSWPARTS_H */
