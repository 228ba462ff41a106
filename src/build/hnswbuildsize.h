/*
 * hnswbuildsize.h
 *	  How much memory a build takes, and how many rows it will have.
 */
#ifndef OMENDB_HNSWBUILDSIZE_H
#define OMENDB_HNSWBUILDSIZE_H

#include "postgres.h"

#include "code/layout.h"
#include "nodes/execnodes.h"
#include "utils/relcache.h"

/* A level that has no more nodes needs none above: they almost all are neighbours. */
#define HNSW_TOP_LEVEL 64

/* Bytes that a row's entry in the hash table of vectors takes. */
#define HNSW_VECTOR_ENTRY_BYTES 32

/*
 * Bytes that a node takes while the graph is built: its record, with its share
 * of the levels above, and its place in the level's arrays and in the hash
 * table of vectors (or later, in less, in what checks the graph).
 */
extern Size hnsw_build_node_bytes(const OmendbLayout *layout, int ef_construction);

/*
 * How many rows has the table? From its statistics; without those from some of
 * its pages, for nothing is known of the width of its rows then.
 */
extern double hnsw_estimate_rows(Relation heap);

/*
 * How many elements the records of an index of sparse vectors get room for, at least:
 * as many as most of the heap's rows have, of which a sample is read. heap: NULL where
 * nothing is known of the rows.
 */
extern uint32 hnsw_sample_elements(Relation heap, Relation index, IndexInfo *info);

#endif /* OMENDB_HNSWBUILDSIZE_H */
