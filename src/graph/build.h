/*
 * build.h
 *	  A whole graph, made in passes over records in memory.
 *
 * One level is built at a time, over a contiguous range of records that have
 * their own vectors already. Nodes join in rounds, each as large as all before
 * it together, in an order given by a hash of their number; then passes refine
 * all nodes. A round or pass ("step") is the same three phases over its nodes:
 *
 *	search	every joining node is searched for in the graph as the last step
 *			left it, and its neighbours are chosen			(chunks of nodes)
 *	gather	who was chosen by whom: incoming links			(one process)
 *	merge	every node's list and incoming links become its neighbours, and are
 *			written into its record with their codes			(chunks of nodes)
 *
 * Within a phase chunks are independent of each other: any process may do any
 * of them, at the same time, and the result is the same. Between phases all
 * must be finished: that is the caller's part (am/build.c with processes; one
 * loop in tests).
 */
#ifndef OMENDB_BUILD_H
#define OMENDB_BUILD_H

#include "graph/array.h"
#include "graph/link.h"
#include "graph/search.h"

typedef struct OmendbLink
{
	float distance;
	OmendbNode node;
} OmendbLink;

typedef enum OmendbBuildPhase
{
	OMENDB_BUILD_SEARCH,
	OMENDB_BUILD_MERGE,
} OmendbBuildPhase;

/*
 * The state of a level's build, in (shared) memory. Pointers are the
 * process's own; everything they point at is shared.
 */
typedef struct OmendbBuildLevel
{
	OmendbArray *array;
	OmendbNode first; /* the level's records are first .. first + n - 1 */
	uint32_t n;
	unsigned level;
	uint32_t links;      /* neighbours a node may have on this level */
	uint32_t beam;       /* width of the beam of refining passes */
	uint32_t rough_beam; /* of the rounds before them */
	uint64_t seed;
	/* Called now and then by what one process does, if set; need not return. */
	void (*interrupt)(void);

	uint32_t *order;      /* n: index of the node that joins i-th */
	uint32_t *begin;      /* n: the step's incoming links of node i are .. */
	uint32_t *end;        /* n: .. incoming[begin[i]] to incoming[end[i] - 1] */
	OmendbLink *incoming; /* n * links */
	OmendbLink *now;      /* n * links: the graph's lists */
	OmendbLink *next;     /* n * links: what the step's searches chose */
	uint16_t *now_count;  /* n */
	uint16_t *next_count; /* n */

	/* the present step: nodes order[from] .. order[to - 1] */
	uint32_t from;
	uint32_t to;
	uint32_t joined; /* nodes in the graph before the step */
	bool refines;
} OmendbBuildLevel;

/* Bytes of the shared memory a level of n nodes needs beside the records. */
extern size_t omendb_build_level_bytes(uint32_t n, uint32_t links);

/* Point the level's arrays into such memory. */
extern void omendb_build_level_attach(OmendbBuildLevel *level, void *memory);

/* Clear them, and set the order of joining; one process, once. */
extern void omendb_build_level_init(OmendbBuildLevel *level);

/*
 * Set the next step of a level that is to have that many refining passes.
 * False when the level is complete. step counts from 0.
 */
extern bool omendb_build_step(OmendbBuildLevel *level, uint32_t step, uint32_t passes);

/* Nodes from which a level's searches start: its first to join. */
extern OmendbNode omendb_build_entry(const OmendbBuildLevel *level);

/* What one process needs for its share; reused from chunk to chunk. */
typedef struct OmendbBuilder OmendbBuilder;

extern OmendbBuilder *omendb_builder_create(OmendbArray *array, const OmendbAllocator *allocator);
extern void omendb_builder_free(OmendbBuilder *builder);

/* Do a chunk (positions from .. to - 1 of the phase's range). */
extern bool omendb_build_chunk(OmendbBuilder *builder, OmendbBuildLevel *level,
							   OmendbBuildPhase phase, uint32_t from, uint32_t to);

/* How many positions a phase has in this step. */
extern uint32_t omendb_build_phase_size(const OmendbBuildLevel *level, OmendbBuildPhase phase);

/* Between search and merge; one process. */
extern void omendb_build_gather(OmendbBuildLevel *level);

/*
 * Is every node reached from the entry? Link those that are not from nodes
 * that are. One process, after the last step. False when out of memory;
 * *linked counts the links that had to be made.
 */
extern bool omendb_build_connect(OmendbBuilder *builder, OmendbBuildLevel *level, uint32_t *linked);

#endif /* OMENDB_BUILD_H */
