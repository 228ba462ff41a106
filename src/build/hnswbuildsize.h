/*
 * hnswbuildsize.h
 *	  Estimates: memory that a build takes, rows, and elements of sparse vectors.
 */
#ifndef OMENDB_HNSWBUILDSIZE_H
#define OMENDB_HNSWBUILDSIZE_H

#include "postgres.h"

#include "code/layout.h"
#include "nodes/execnodes.h"
#include "utils/relcache.h"

/* Maximum number of nodes of the highest level: they almost all are neighbours of each other. */
#define HNSW_TOP_LEVEL 64

/* Bytes that a row's entry in the hash table of vectors takes, free entries included. */
#define HNSW_VECTOR_ENTRY_BYTES 32

/*
 * Bytes that a node takes while the graph is built: its record, with its share of the levels above,
 * its place in the level's arrays, and its entry in the hash table of vectors. (What connects
 * the graph afterwards takes less.)
 */
extern Size hnsw_build_node_bytes(const OmendbLayout *layout, int ef_construction);

/*
 * Estimate the table's rows: by its statistics; without those by some of its pages, because the
 * width of its rows is not known then.
 */
extern double hnsw_estimate_rows(Relation heap);

/* The table has too few rows to know how many elements later ones will have. */
#define HNSW_ELEMENTS_UNKNOWN 0

/*
 * The number of elements that records of an index of sparse vectors have to hold: as many as most of
 * the table's rows have, of which a sample is read; or HNSW_ELEMENTS_UNKNOWN. heap: NULL if nothing is
 * known of the rows.
 */
extern uint32 hnsw_sample_elements(Relation heap, Relation index, IndexInfo *info);

#endif /* OMENDB_HNSWBUILDSIZE_H */
