/*
 * build.h
 *	  A whole graph, made over records in memory, level by level.
 *
 * A level is a contiguous range of records that have their own vectors already. It is
 * built in phases; a phase is done in positions. Within a phase positions are
 * independent of each other: any process may do any of them, at the same time, and the
 * result is the same. Between phases all must be finished: that is the caller's part
 * (build/hnswparallel.c with processes; one loop in tests).
 *
 *	size = omendb_build_prepare(level)
 *	omendb_build_attach(level, memory of that size)
 *	omendb_build_next(builder, level) until level->phase is OMENDB_BUILD_DONE, each time
 *		followed by omendb_build_chunk for all positions
 *	omendb_build_connect(builder, level)
 *
 * Levels are made from a partition of the vectors (bulk.h), but for those of plain
 * layouts (L1, bits and sparse vectors, which have no products) and of vectors of very different
 * lengths under the inner product. These are made in rounds: nodes join in rounds, each
 * as large as all before it together, in an order given by a hash of their number; then
 * passes refine all nodes. A round or pass ("step") has these phases:
 *
 *	search	every joining node is searched for in the graph as the last step left it, and
 *			its neighbours are chosen
 *	merge	every node's list and the edges it is the end of become its neighbours, and
 *			are written into its record
 */
#ifndef OMENDB_BUILD_H
#define OMENDB_BUILD_H

#include "graph/array.h"
#include "graph/bulk.h"
#include "graph/neighbours.h"
#include "graph/search.h"

typedef struct OmendbEdge
{
	float distance;
	OmendbNode node;
} OmendbEdge;

typedef enum OmendbBuildPhase
{
	OMENDB_BUILD_NEW,
	OMENDB_BUILD_SEARCH,
	OMENDB_BUILD_MERGE,
	OMENDB_BUILD_QUANTIZE,
	OMENDB_BUILD_ASSIGN,
	OMENDB_BUILD_LEAVES,
	OMENDB_BUILD_CHOOSE,
	OMENDB_BUILD_ENCODE, /* in parts only */
	OMENDB_BUILD_DONE,
} OmendbBuildPhase;

/*
 * The state of a level's build, in (shared) memory. Pointers are the
 * process's own; everything they point at is shared.
 */
typedef struct OmendbBuildLevel
{
	/* the caller's */
	OmendbArray *array;
	OmendbNode first; /* the level's records are first .. first + n - 1 */
	uint32_t n;
	unsigned level;
	uint32_t edges; /* neighbours a node may have on this level */
	uint32_t ef_construction;
	uint32_t beam;   /* of searches of refining passes and of connecting */
	uint32_t passes; /* that refine, after rounds */
	uint64_t seed;
	/* Called now and then by what takes long, if set; need not return. */
	void (*interrupt)(void);

	OmendbBuildPhase phase;
	bool in_bulk; /* made from a partition, not in rounds */
	OmendbBulk bulk;

	/*
	 * Records are in memory of nodes window .. window + in_window - 1 alone: all, but for
	 * a level that is built in parts (parts.h). Record `first` is of node `window` then.
	 */
	uint32_t window;
	uint32_t in_window;
	bool in_parts;
	uint32_t capacity; /* parts: nodes, and nodes in the window, that there is memory for */
	uint32_t window_capacity;
	bool led; /* parts: the leaders are chosen */

	/* in the level's memory */
	uint32_t *order; /* n: rounds: the node that joins i-th; bulk: near nodes together */
	uint32_t *begin; /* n: incoming edges of node i are .. */
	uint32_t *end;   /* n: .. those from begin[i] to end[i] - 1 */
	uint32_t
		*turned; /* n * edges: nodes that have an edge to a node, while reverse edges are made */
	/* rounds alone */
	OmendbEdge *incoming; /* n * edges; in the place of turned */
	OmendbEdge *now;      /* n * edges: the graph's lists */
	OmendbEdge *next;     /* n * edges: what the step's searches chose */
	uint16_t *now_count;  /* n */
	uint16_t *next_count; /* n */

	/* rounds: the present step has nodes order[from] .. order[to - 1] */
	uint32_t step;
	uint32_t from;
	uint32_t to;
	uint32_t joined; /* nodes in the graph before the step */
	bool refines;
} OmendbBuildLevel;

/*
 * With the caller's fields set: decide how the level is built. Returns the bytes of
 * shared memory it needs beside the records.
 */
extern size_t omendb_build_prepare(OmendbBuildLevel *level);

/* The same for the lowest level of n nodes, before there are any. */
extern size_t omendb_build_bytes(const OmendbLayout *layout, uint32_t n, uint32_t ef_construction);

/* Point the level's arrays into such memory, which is aligned to 64 bytes. */
extern void omendb_build_attach(OmendbBuildLevel *level, void *memory);

/* What one process needs for its share; reused from chunk to chunk and level to level. */
typedef struct OmendbBuilder OmendbBuilder;

extern OmendbBuilder *omendb_builder_create(OmendbArray *array, const OmendbAllocator *allocator);
extern void omendb_builder_free(OmendbBuilder *builder);

/*
 * End a phase (or begin the level) and set the next one: one process, all others
 * idle. False when out of memory.
 */
extern bool omendb_build_next(OmendbBuilder *builder, OmendbBuildLevel *level);

/* How many positions the phase has. */
extern uint32_t omendb_build_phase_size(const OmendbBuildLevel *level);

/*
 * How many positions a process takes at a time, at most: few where one takes long. And
 * how many of the level's nodes (parts: of those in the window) are done when so many
 * positions are.
 */
extern uint32_t omendb_build_phase_take(const OmendbBuildLevel *level);
extern uint32_t omendb_build_phase_nodes(const OmendbBuildLevel *level, uint32_t positions);

/* Do positions from .. to - 1 of the phase. False when out of memory. */
extern bool omendb_build_chunk(OmendbBuilder *builder, OmendbBuildLevel *level, uint32_t from,
							   uint32_t to);

/* The node from which the level's searches start. */
extern OmendbNode omendb_build_entry(const OmendbBuildLevel *level);

/*
 * Is every node reached from the entry, and the entry from every node? Edge those that
 * are not. One process, after the last phase. False when out of memory; *added counts
 * the edges that had to be made.
 */
extern bool omendb_build_connect(OmendbBuilder *builder, OmendbBuildLevel *level, uint32_t *added);

#endif /* OMENDB_BUILD_H */
