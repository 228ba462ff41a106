/*
 * store.h
 *	  An index that is open: what it is (metapage, codec), and its records
 *	  through the buffer manager.
 *
 * A backend remembers in which buffer a block was last seen: a step of a
 * search then finds its page without the buffer mapping table, and can
 * prefetch a record into the processor's cache before it is pinned. A wrong
 * hint costs time, nothing else: the buffer manager checks it.
 */
#ifndef OMENDB_STORE_H
#define OMENDB_STORE_H

#include "postgres.h"

#include "compat.h"
#include "graph/graph.h"
#include "page/format.h"
#include "page/pagecheck.h"
#include "storage/bufmgr.h"
#include "utils/rel.h"

typedef struct OmendbIndex
{
	OmendbMetaPage meta; /* entry, entry_level and flags may be out of date */
	OmendbCodec codec;
} OmendbIndex;

/* What a scan or an insert counts. */
typedef struct OmendbCounters
{
	uint64 pages;  /* accessed */
	uint64 misses; /* of them, not found where they were last seen */
	uint64 stale;  /* edges to what is no node (any more) */
} OmendbCounters;

#define OMENDB_REQUESTED 128

typedef struct OmendbStore
{
	Relation relation;
	const OmendbIndex *index;
	BlockNumber blocks; /* that the file has at least; 0 before it was asked */
	bool requests;      /* storage is asked for pages in advance: omendb_store_may_request */
	/* Those that were asked for and not read yet, each at the place of its number; 0: none. */
	BlockNumber requested[OMENDB_REQUESTED];
	OmendbCounters counters;
} OmendbStore;

extern const OmendbGraphOps omendb_store_ops;

/*
 * What the index is, from its metapage, which is checked, or from the relcache
 * entry, where it is kept; palloc'd in the current memory context.
 */
extern OmendbIndex *omendb_index_open(Relation relation);

/* The relcache entry's own; valid until the next invalidation. */
extern const OmendbIndex *omendb_index_peek(Relation relation);

/* The same from a metapage that is to be written. */
extern OmendbIndex *omendb_index_make(Relation relation, const OmendbMetaPage *meta);

/*
 * As the visit of omendb_store_ops; *copy gets the record up to its neighbours
 * (codes_offset bytes), if the node is not dead.
 */
extern bool omendb_store_visit_copy(OmendbStore *store, OmendbNode node, unsigned level,
									const OmendbQuery *query, OmendbStep *step, OmendbRecord *copy);

/* Is storage asked for pages of the index in advance? effective_io_concurrency says so. */
extern bool omendb_store_may_request(Relation relation);

/* Read the entry point afresh; false where the graph is empty. */
extern bool omendb_index_entry(OmendbStore *store, OmendbNode *entry, unsigned *level);

/* Did the index leave out rows that have a vector? (Those without one it always does.) */
extern bool omendb_index_left_out(OmendbStore *store);

/*
 * Read afresh which ef gives which recall; false where nobody has measured it. An error where it
 * is damaged.
 */
extern bool omendb_index_calibration(OmendbStore *store, OmendbCalibration *calibration);

/* The blocks that the file has, at least: as many as when it was last asked. */
extern BlockNumber omendb_store_blocks(OmendbStore *store);

/* The block, pinned; an error where the file ends before it. */
extern Buffer omendb_store_read(OmendbStore *store, BlockNumber block);

/*
 * The block's page, pinned and locked (BUFFER_LOCK_SHARE or _EXCLUSIVE), known
 * to be a page of records; InvalidBuffer where it was never initialised.
 */
extern Buffer omendb_store_lock(OmendbStore *store, BlockNumber block, int mode);

/*
 * The same for who reads all records of many blocks once: they are checked, too.
 * strategy: or NULL.
 */
extern Buffer omendb_store_lock_by(OmendbStore *store, BlockNumber block, int mode,
								   BufferAccessStrategy strategy);

/* An error where a page that is not new is no page of records. */
extern void omendb_store_check(OmendbStore *store, Buffer buffer);

/* An error where the page is no metapage. */
extern void omendb_store_check_meta(OmendbStore *store, Buffer buffer);

/* omendb_store_check, and an error where the header of one of its records is impossible. */
extern void omendb_store_check_records(OmendbStore *store, Buffer buffer);

/*
 * The node's record on its page, which was locked; an error where the record's
 * header is impossible. Of what kind and level it is, is for the caller to see.
 */
extern OmendbRecord *omendb_store_record(OmendbStore *store, Buffer buffer, OmendbNode node);

/* omendb_record_check of a record of this index. */
extern void omendb_store_check_record(OmendbStore *store, OmendbNode node,
									  const OmendbRecord *record);

/*
 * An error where that heap TID of a node is of no row that the table could have: to
 * read it would fail otherwise, or extend the table. *blocks: that the table has, at
 * least; 0 before it was asked.
 */
static inline void
omendb_store_check_tid(OmendbStore *store, OmendbNode node, const ItemPointerData *tid,
					   Relation table, BlockNumber *blocks)
{
	BlockNumber block = ItemPointerGetBlockNumberNoCheck(tid);

	if (likely(omendb_tid_is_possible(tid)))
	{
		if (likely(block < *blocks))
			return;
		*blocks = RelationGetNumberOfBlocks(table);
		if (block < *blocks)
			return;
	}
	omendb_corrupt_page(store->relation, omendb_node_block(&store->index->codec.layout, node),
						"A record has an impossible heap TID.");
}

/* palloc and pfree in CurrentMemoryContext, huge sizes allowed. */
extern const OmendbAllocator omendb_palloc_allocator;

#endif /* OMENDB_STORE_H */
