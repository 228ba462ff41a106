/*
 * hnswparts.h
 *	  An index whose vectors do not fit maintenance_work_mem, built in parts.
 */
#ifndef OMENDB_HNSWPARTS_H
#define OMENDB_HNSWPARTS_H

#include "build/hnswbuild.h"

/* Memory for fewer nodes than that is too little to build in parts. */
#define HNSW_LEAST_PART 1000

typedef struct HnswParts HnswParts;

/* Does what is kept of each row fit into memory for so many rows? The records are begun. */
extern bool hnsw_parts_hold(HnswBuild *build, double rows);

extern HnswParts *hnsw_parts_create(HnswBuild *build);

/* Write all records that are in memory to a temporary file, and forget them. */
extern void hnsw_parts_add(HnswParts *parts);

/* Would so many more rows be too many? */
extern bool hnsw_parts_full(const HnswParts *parts, uint32 more);

/*
 * Build the graph of all that was added, and write the index's pages. What its parts lack
 * to be one, hnsw_join_new does. Returns the first number above level 0.
 */
extern OmendbNode hnsw_parts_build(HnswParts *parts);

#endif /* OMENDB_HNSWPARTS_H */
