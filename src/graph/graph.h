/*
 * graph.h
 *	  What the graph's algorithms know of a graph: node numbers, distances, and operations that reach
 *	  records in memory (array.h) or on pages (page/store.h).
 *
 * No file of this folder includes a PostgreSQL header or takes a lock. Memory comes from an
 * allocator, which may return NULL when out of memory, or not return at all (palloc). Functions
 * return false where it returned NULL.
 */
#ifndef OMENDB_GRAPH_H
#define OMENDB_GRAPH_H

#include "code/edge.h"
#include "code/own.h"

/* Node numbers are below this: a candidate holds 31 bits of a node (search.h). */
#define OMENDB_MAX_NODE UINT32_C(0x7fffffff)

typedef struct OmendbAllocator
{
	void *(*resize)(void *context, void *memory, size_t bytes); /* memory may be NULL */
	void (*release)(void *context, void *memory);
	void *context;
} OmendbAllocator;

/* What a scan or an insert needs of a visited node later: copied while its record is locked. */
typedef struct OmendbPayload
{
	float error; /* these fields: see OmendbRecord */
	float norm2;
	OmendbNode down;     /* pointer down */
	OmendbNode overflow; /* first overflow record */
	uint32_t version;
	uint16_t incarnation;
	uint8_t live;  /* not a dead node: may be a result */
	uint8_t ntids; /* in tids */
	uint8_t tids[OMENDB_INLINE_TIDS * OMENDB_TID_BYTES];
} OmendbPayload;

/* What a visit returns of a node and its neighbours. */
typedef struct OmendbStep
{
	float distance; /* between the query and the node's own vector */
	uint32_t count; /* of neighbours */
	OmendbPayload payload;
	OmendbNode neighbours[OMENDB_MAX_EDGES];
	float estimates[OMENDB_ESTIMATES_CAPACITY]; /* coded layouts: of the neighbours' distances */
} OmendbStep;

/* store: the graph's, passed to each operation. */
typedef struct OmendbGraphOps
{
	/* Fill *step for a node. False, and *step unchanged, if the record is no node of that level now. */
	bool (*visit)(void *store, OmendbNode node, unsigned level, const OmendbQuery *query,
				  OmendbStep *step);
	/* Plain layouts: set *distance to the distance of a node. False as for visit. */
	bool (*distance)(void *store, OmendbNode node, unsigned level, const OmendbQuery *query,
					 float *distance);
	/*
	 * Hint that the node will be visited soon. True if memory does not have its record: then storage
	 * was requested to read it, now or before.
	 */
	bool (*prefetch)(void *store, OmendbNode node);
	/* The same for a node that will be visited later: without a prefetch from memory. */
	bool (*request)(void *store, OmendbNode node);
} OmendbGraphOps;

#endif /* OMENDB_GRAPH_H */
