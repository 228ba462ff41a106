/*
 * graph.h
 *	  What the graph algorithms see of a graph: node numbers, distances, and a
 *	  struct of operations behind which records lie in memory or on pages.
 *
 * Pure: no PostgreSQL header. Memory comes from an allocator that either
 * returns it or does not return (palloc), or may return NULL (then functions
 * that say so give false).
 */
#ifndef OMENDB_GRAPH_H
#define OMENDB_GRAPH_H

#include "code/codec.h"
#include "code/edge.h"

/* Numbers from here on are no nodes: the search marks candidates with the top bit. */
#define OMENDB_MAX_NODE UINT32_C(0x7fffffff)

typedef struct OmendbAllocator
{
	void *(*resize)(void *context, void *memory, size_t bytes); /* memory may be NULL */
	void (*release)(void *context, void *memory);
	void *context;
} OmendbAllocator;

/* What a result needs from its node later; copied while the record was held. */
typedef struct OmendbPayload
{
	float error;
	float norm2;
	OmendbNode down;
	OmendbNode overflow;
	uint32_t version;
	uint16_t incarnation;
	uint8_t live; /* has heap TIDs: may be a result */
	uint8_t ntids;
	uint8_t tids[OMENDB_INLINE_TIDS * OMENDB_TID_BYTES];
} OmendbPayload;

/* One step: what a node says of itself and of its neighbours. */
typedef struct OmendbStep
{
	float distance; /* between the query and the node's own vector */
	uint32_t count; /* neighbours */
	OmendbPayload payload;
	OmendbNode neighbours[OMENDB_MAX_EDGES];
	float estimates[OMENDB_ESTIMATES_ROOM]; /* coded layouts */
} OmendbStep;

typedef struct OmendbGraphOps
{
	/*
	 * Fill *step for a node of that level. False where the number holds no
	 * node of that level now (a stale edge): then nothing is filled.
	 */
	bool (*visit)(void *store, OmendbNode node, unsigned level, const OmendbQuery *query,
				  OmendbStep *step);
	/* Plain layouts: the distance to a node, or false as visit. */
	bool (*distance)(void *store, OmendbNode node, unsigned level, const OmendbQuery *query,
					 float *distance);
	/*
	 * A hint that the node will be visited soon. True where memory does not have
	 * its record: then storage was asked for it, now or before.
	 */
	bool (*prefetch)(void *store, OmendbNode node);
	/* The same for a node that will be visited later: nothing but storage is asked. */
	bool (*request)(void *store, OmendbNode node);
} OmendbGraphOps;

#endif /* OMENDB_GRAPH_H */
