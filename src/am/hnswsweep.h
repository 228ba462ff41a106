/*
 * hnswsweep.h
 *	  Returns all nodes of an index in order of distance, by reading it from its first block to
 *	  its last.
 *
 * Used where so many rows are wanted that a search takes more time or memory than reading every
 * record once. A sweep does not depend on edges, so it finds every node. Its order is that of
 * the lower bounds, rounded down to floats.
 */
#ifndef OMENDB_HNSWSWEEP_H
#define OMENDB_HNSWSWEEP_H

#include "postgres.h"

#include "code/codec.h"
#include "graph/graph.h"
#include "page/store.h"

typedef struct HnswSweep HnswSweep;

typedef struct HnswSwept
{
	OmendbNode node;
	OmendbPayload payload;
	double low; /* bounds of the operator's value. low falls once: at the first late node */
	double high;
	double next_low; /* low of the next node; infinite if there is none */
	bool late;
} HnswSwept;

/*
 * Read the index and sort its nodes. `returned` has a bit for each node of the first `blocks`
 * blocks, set for nodes to leave out. Nodes with a lower bound below late_below are late: they
 * come after all others. Sorts in memory_kb, or on disk. The result is palloc'd. Callers hold no
 * lock; one page is locked at a time.
 */
extern HnswSweep *hnsw_sweep_begin(OmendbStore *store, const OmendbQuery *query,
								   const uint8 *returned, BlockNumber blocks, double late_below,
								   int memory_kb);

/* The next node that still has rows; false if none is left. */
extern bool hnsw_sweep_next(HnswSweep *sweep, HnswSwept *swept);

extern void hnsw_sweep_end(HnswSweep *sweep);

#endif /* OMENDB_HNSWSWEEP_H */
