/*
 * builder.h
 *	  What one process needs to build a level; shared by the files that do so.
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
	unsigned bulk_level; /* the level that bulk is for, and how many leaders that has */
	uint32_t bulk_leaders;
	bool bulk_set;
};

/* Called with a counter; every 65,536th time may take long enough to ask. */
static inline void
build_interruptible(const OmendbBuildLevel *level, uint32_t i)
{
	if ((i & 0xffff) == 0 && level->interrupt)
		level->interrupt();
}

#endif /* OMENDB_BUILDER_H */
