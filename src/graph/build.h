/*
 * build.h
 *	  The graph of one level, made over records in memory.
 *
 * A level is a contiguous range of records that have their own vectors already. It is built in
 * phases, and a phase in positions. The positions of a phase are independent of each other: any
 * process may do any of them at any time of the phase, with the same result. Between two phases all
 * positions must be finished; the caller sees to that (build/hnswparallel.c with processes, a loop
 * in tests).
 *
 *	size = omendb_build_prepare(level)
 *	omendb_build_attach(level, memory of that size)
 *	omendb_build_next(builder, level) until level->phase is OMENDB_BUILD_DONE, each time followed by
 *		omendb_build_chunk for all positions
 *	omendb_build_connect(builder, level)
 *
 * Most levels are built from a partition of the vectors: the bulk build, whose steps are in bulk.h.
 * Two kinds are built in rounds: levels of plain layouts (L1, bits and sparse vectors, which have
 * no products), and of vectors of very different lengths under the inner product. In a round as many
 * nodes join as are in the graph before, in an order given by a hash of their number. After the
 * rounds, passes refine all nodes. A round or pass is a "turn" and has two phases:
 *
 *	SEARCH	each joining node is searched for in the graph of the turn before, and neighbours are
 *			chosen for it
 *	MERGE	a node's chosen neighbours, and the nodes that chose it, become its neighbours, and are
 *			written into its record
 *
 * Functions that return bool return false when out of memory.
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
	/* rounds */
	OMENDB_BUILD_SEARCH,
	OMENDB_BUILD_MERGE,
	/* bulk build */
	OMENDB_BUILD_QUANTIZE,
	OMENDB_BUILD_ASSIGN,
	OMENDB_BUILD_LEAVES,
	OMENDB_BUILD_CHOOSE,
	OMENDB_BUILD_ENCODE, /* a level in parts only */
	OMENDB_BUILD_DONE,
} OmendbBuildPhase;

typedef struct OmendbBuildOptions
{
	uint32_t ef_construction;
	uint32_t beam;   /* width, in searches of refining passes and of omendb_build_connect */
	uint32_t passes; /* refining passes after the rounds */
	uint64_t seed;
	/* A bulk build whose level begins with node 0 writes no codes: the caller wants neighbours only. */
	bool neighbours_only;
} OmendbBuildOptions;

/*
 * The nodes whose records are in memory: all nodes, except where a level is built in parts. The
 * record of node `first` is the level's first record.
 */
typedef struct OmendbBuildWindow
{
	uint32_t first;
	uint32_t n;
} OmendbBuildWindow;

typedef struct OmendbBuildParts
{
	bool on;                  /* the level is built in parts (parts.h) */
	uint32_t capacity;        /* nodes of the level that there is memory for */
	uint32_t window_capacity; /* nodes in the window that there is memory for */
} OmendbBuildParts;

/*
 * Reverse edges of a level: those to node i are at begin[i] .. end[i] - 1 in `nodes`, or in
 * rounds.incoming.
 */
typedef struct OmendbReverseEdges
{
	uint32_t *begin; /* n */
	uint32_t *end;   /* n */
	uint32_t *nodes; /* n * edges: nodes that have an edge to node i */
} OmendbReverseEdges;

/* The present turn has the nodes order[from] .. order[to - 1]. */
typedef struct OmendbBuildRounds
{
	OmendbEdge *incoming;    /* n * edges: from nodes that chose node i; shares reverse.nodes */
	OmendbEdge *current;     /* n * edges: the graph */
	uint16_t *current_count; /* n */
	OmendbEdge *chosen;      /* n * edges: what searches of this turn chose */
	uint16_t *chosen_count;  /* n */
	uint32_t turn;           /* number of the turn, from 0 */
	uint32_t from;
	uint32_t to;
	uint32_t joined; /* nodes in the graph before the turn */
	bool refines;    /* a refining pass */
} OmendbBuildRounds;

/*
 * The state of a level's build, in shared memory where processes share it. Pointers are the
 * process's own. What the arrays hold is shared.
 */
typedef struct OmendbBuildLevel
{
	/* set by the caller */
	OmendbArray *array;
	OmendbNode first; /* the level's records are first .. first + n - 1 */
	uint32_t n;
	unsigned level;
	uint32_t edges; /* maximum number of a node's neighbours on this level */
	OmendbBuildOptions options;
	void (*interrupt)(void); /* may be NULL; called at times in long loops; may not return */

	OmendbBuildPhase phase;
	bool in_bulk; /* the bulk build, not rounds */
	OmendbBuildWindow window;
	OmendbBuildParts parts;

	/* in the level's memory */
	uint32_t *order; /* n: in rounds, nodes as they join; in bulk, near nodes together */
	OmendbReverseEdges reverse;
	OmendbBulk bulk;
	OmendbBuildRounds rounds;
} OmendbBuildLevel;

/*
 * Decide how the level is built, and set its fields. Returns the bytes of memory that it needs beside
 * the records.
 */
extern size_t omendb_build_prepare(OmendbBuildLevel *level);

/* An upper limit of these bytes for the lowest level of n nodes, before there are records. */
extern size_t omendb_build_bytes(const OmendbLayout *layout, uint32_t n, uint32_t ef_construction);

/* Point the level's arrays into that memory, which is aligned to 64 bytes. */
extern void omendb_build_attach(OmendbBuildLevel *level, void *memory);

/* The work space of one process, for all levels. */
typedef struct OmendbBuilder OmendbBuilder;

extern OmendbBuilder *omendb_builder_create(OmendbArray *array, const OmendbAllocator *allocator);
extern void omendb_builder_free(OmendbBuilder *builder);

/* End a phase, or begin the level, and set the next phase. By one process, while others wait. */
extern bool omendb_build_next(OmendbBuilder *builder, OmendbBuildLevel *level);

/* Number of positions of the phase. */
extern uint32_t omendb_build_phase_size(const OmendbBuildLevel *level);

/* Number of positions that a process should take at a time. */
extern uint32_t omendb_build_phase_take(const OmendbBuildLevel *level);

/* For a progress report: nodes of the level, or of the window, that are done with these positions. */
extern uint32_t omendb_build_phase_nodes(const OmendbBuildLevel *level, uint32_t positions);

/* Do positions from .. to - 1 of the phase. */
extern bool omendb_build_chunk(OmendbBuilder *builder, OmendbBuildLevel *level, uint32_t from,
							   uint32_t to);

/* The entry point of the level's searches. */
extern OmendbNode omendb_build_entry(const OmendbBuildLevel *level);

/*
 * Add edges until a path leads from the entry point to every node, and from every node to the entry
 * point. By one process, after the last phase. *added: the number of edges added.
 */
extern bool omendb_build_connect(OmendbBuilder *builder, OmendbBuildLevel *level, uint32_t *added);

#endif /* OMENDB_BUILD_H */
