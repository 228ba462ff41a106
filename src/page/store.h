/*
 * store.h
 *	  An open index (metapage, codec), and its records through the buffer manager.
 *
 * A backend keeps a hint for each block: the buffer in which the block was last found. With a hint
 * a page is pinned without the buffer mapping table, and a record can be prefetched into the
 * processor's cache before the page is pinned. A wrong hint costs time only: the buffer manager
 * checks which block the buffer has.
 *
 * Locks. A visit (omendb_store_ops, omendb_store_visit_copy) holds a share lock on one page while it
 * runs. Functions that take a buffer expect it to be locked by the caller. No function changes a
 * page.
 */
#ifndef OMENDB_STORE_H
#define OMENDB_STORE_H

#include "postgres.h"

#include "compat.h"
#include "graph/graph.h"
#include "page/format.h"
#include "page/pagecheck.h"
#include "storage/bufmgr.h"
#include "storage/smgr.h"
#include "utils/rel.h"

typedef struct OmendbIndex
{
	OmendbMetaPage meta; /* entry, entry_level and flags may be out of date */
	uint64 number;       /* of the index in the relcache entry that this is, or is a copy of */
	const void *opclass; /* for am/hnswopclass.c: NULL, or what follows from the relcache entry */
	OmendbCodec codec;
} OmendbIndex;

/* Counters of a scan or an insert. */
typedef struct OmendbCounters
{
	uint64 pages;  /* pages accessed */
	uint64 misses; /* page accesses whose hint was missing or wrong */
	uint64 stale;  /* visits to a record that is not (or no longer) a node of the level */
} OmendbCounters;

/* Blocks that a store can have requested from storage at a time. */
#define OMENDB_REQUESTED 128

typedef struct OmendbStore
{
	Relation relation;
	const OmendbIndex *index;
	BlockNumber blocks; /* the file has this many or more; 0: not known yet */
	bool requests;      /* pages are requested in advance: omendb_store_may_request */
	/* Blocks requested and not read yet: block b is in element b % OMENDB_REQUESTED; 0: none. */
	BlockNumber requested[OMENDB_REQUESTED];
	OmendbCounters counters;
} OmendbStore;

extern const OmendbGraphOps omendb_store_ops;

/* Open an index: a copy of omendb_index_peek, palloc'd in the current memory context. */
extern OmendbIndex *omendb_index_open(Relation relation);

/*
 * The index in the relcache entry; valid until the next invalidation. The first call reads and
 * checks the metapage. An index made anew after an invalidation has another number, so a copy with
 * the same number is not out of date.
 */
extern const OmendbIndex *omendb_index_peek(Relation relation);

/* Set the opclass of the index in the relcache entry. */
extern void omendb_index_set_opclass(Relation relation, const void *opclass);

/* Make an index from a metapage; palloc'd in the current memory context. */
extern OmendbIndex *omendb_index_make(Relation relation, const OmendbMetaPage *meta);

/*
 * The visit of omendb_store_ops. Unless the node is dead, it also copies the record up to its
 * neighbours (omendb_visit_size) to *copy.
 */
extern bool omendb_store_visit_copy(OmendbStore *store, OmendbNode node, unsigned level,
									const OmendbQuery *query, OmendbStep *step, OmendbRecord *copy);

/* The prefetch of omendb_store_ops for what omendb_record_copy_own reads: no codes. */
extern void omendb_store_prefetch_own(OmendbStore *store, OmendbNode node);

/* The same for what omendb_record_copy_edges reads. */
extern void omendb_store_prefetch_edges(OmendbStore *store, OmendbNode node);

/* True if effective_io_concurrency allows to request pages of the index in advance. */
extern bool omendb_store_may_request(Relation relation);

/* Read the present entry point from the metapage. False if the graph is empty. */
extern bool omendb_index_entry(OmendbStore *store, OmendbNode *entry, unsigned *level);

/* True if the index has left out a row that has a vector (OMENDB_META_LEFT_OUT). */
extern bool omendb_index_left_out(OmendbStore *store);

/*
 * Read the present calibration, recall by ef, from the metapage. False if recall was not measured.
 * An error if the calibration is damaged.
 */
extern bool omendb_index_calibration(OmendbStore *store, OmendbCalibration *calibration);

/* Length of the file in blocks, or less if it has grown since the last time it was read. */
extern BlockNumber omendb_store_blocks(OmendbStore *store);

/* Pin a block. An error if it is behind the end of the file. */
extern Buffer omendb_store_read(OmendbStore *store, BlockNumber block);

/*
 * Pin and lock (BUFFER_LOCK_SHARE or _EXCLUSIVE) a block, and check that it is a page of records.
 * InvalidBuffer, and no lock, if the page was never initialised.
 */
extern Buffer omendb_store_lock(OmendbStore *store, BlockNumber block, int mode);

/*
 * Pin and lock the page of a record to which an edge, a chain of overflow records or a heap TID's place
 * leads. A record is logged before anything leads to it, so a page that was never initialised is an
 * error: a storage system has lost it.
 */
extern Buffer omendb_store_lock_node(OmendbStore *store, OmendbNode node, int mode);

/*
 * The same as omendb_store_lock for readers of all records of many blocks: also checks the records of the page. strategy
 * may be NULL.
 */
extern Buffer omendb_store_lock_by(OmendbStore *store, BlockNumber block, int mode,
								   BufferAccessStrategy strategy);

/* Check that a page, which is not new, is a page of records; else an error. */
extern void omendb_store_check(OmendbStore *store, Buffer buffer);

/* Check that a page is the metapage; else an error. */
extern void omendb_store_check_meta(OmendbStore *store, Buffer buffer);

/* omendb_store_check, and omendb_store_check_record of all records of the page. */
extern void omendb_store_check_records(OmendbStore *store, Buffer buffer);

/*
 * The node's record on its locked page, checked by omendb_store_check_record. Its kind and level are
 * for the caller to check.
 */
extern OmendbRecord *omendb_store_record(OmendbStore *store, Buffer buffer, OmendbNode node);

/* omendb_record_check of a record of this index. */
extern void omendb_store_check_record(OmendbStore *store, OmendbNode node,
									  const OmendbRecord *record);

/*
 * The number of blocks that the table had when the storage manager last read it. Others may have
 * extended the table; a truncation makes the storage manager forget the number. 0: not known.
 */
static inline BlockNumber
omendb_remembered_blocks(Relation table)
{
	BlockNumber blocks = RelationGetSmgr(table)->smgr_cached_nblocks[MAIN_FORKNUM];

	return BlockNumberIsValid(blocks) ? blocks : 0;
}

/*
 * Check that the table can have a row at a heap TID of a node; else an error. (Reading the row would
 * fail, or extend the table.) *blocks: the table has this many blocks or more; 0: not known yet.
 */
static inline void
omendb_store_check_tid(OmendbStore *store, OmendbNode node, const ItemPointerData *tid,
					   Relation table, BlockNumber *blocks)
{
	BlockNumber block = ItemPointerGetBlockNumberNoCheck(tid);

	if (likely(omendb_tid_is_possible(tid)))
	{
		if (*blocks == 0)
			*blocks = omendb_remembered_blocks(table);
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
