/*
 * hnswsweep.h
 *	  All rows of an index in order of distance, by reading it from its first
 *	  block to its last.
 *
 * Where so many rows are wanted that following edges costs more, or more
 * memory, than looking at every node once. Nearly as exact as a search that
 * visited everything, and complete: it does not depend on edges.
 */
#ifndef OMENDB_HNSWSWEEP_H
#define OMENDB_HNSWSWEEP_H

#include "postgres.h"

#include "code/codec.h"
#include "graph/graph.h"
#include "page/store.h"

typedef struct HnswSweep HnswSweep;

/* One node of the order. */
typedef struct HnswSwept
{
	OmendbNode node;
	OmendbPayload payload;
	double low;  /* bounds of the operator's value; low does not fall from one node */
	double high; /* to the next, but once: where those found too late begin */
	double next; /* low of the next node, or infinity: none follows */
	bool late;
} HnswSwept;

/*
 * Read the index. A bit of `returned` (one for each node of the first `blocks`
 * blocks) says which to leave out. Nodes with a lower bound below `late` come
 * after all others. Sorts in memory_kb, or on disk. Palloc'd.
 */
extern HnswSweep *hnsw_sweep_begin(OmendbStore *store, const OmendbQuery *query,
								   const uint8 *returned, BlockNumber blocks, double late,
								   int memory_kb);
/* False where none is left. */
extern bool hnsw_sweep_next(HnswSweep *sweep, HnswSwept *swept);
extern void hnsw_sweep_end(HnswSweep *sweep);

#endif /* OMENDB_HNSWSWEEP_H */
