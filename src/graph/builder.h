/*
 * builder.h
 *	  The work space of one process that builds levels; for build.c and connect.c.
 */
#ifndef OMENDB_BUILDER_H
#define OMENDB_BUILDER_H

#include "graph/bulkwork.h"

struct OmendbBuilder
{
	OmendbArray *array;
	const OmendbAllocator *allocator;
	OmendbSearch search;
	OmendbQuery query;
	void *query_memory;
	OmendbChooser chooser;
	OmendbBulkWork bulk;
	bool bulk_set;         /* bulk is prepared, .. */
	unsigned bulk_level;   /* .. for this level, .. */
	uint32_t bulk_leaders; /* .. which has this number of leaders */
};

/* For loops over nodes, with their counter: call interrupt once in 65,536 nodes. */
static inline void
build_interruptible(const OmendbBuildLevel *level, uint32_t i)
{
	if ((i & 0xffff) == 0 && level->interrupt)
		level->interrupt();
}

/* The neighbours of node i of the level. */
static inline const OmendbNode *
build_edges(const OmendbBuildLevel *level, uint32_t i)
{
	return omendb_record_neighbours(&level->array->codec->layout, build_record(level, i));
}

/* Prefetch what a loop over a node's neighbours reads: their number, and the neighbours. */
static inline void
build_prefetch_edges(const OmendbBuildLevel *level, uint32_t i)
{
	const char *edges = (const char *) build_edges(level, i);

	__builtin_prefetch(build_record(level, i));
	for (size_t at = 0; at < level->edges * sizeof(OmendbNode); at += 64)
		__builtin_prefetch(edges + at);
	__builtin_prefetch(edges + level->edges * sizeof(OmendbNode) - 1);
}

#endif /* OMENDB_BUILDER_H */
