/*
 * hnswtids.h
 *	  Reads the heap TIDs of a node one after another.
 *
 * A node's record has the first few TIDs; overflow records, in a chain that begins at the node,
 * have the others. A TID stays in its record until its row is dead. New overflow records come to
 * the front of the chain, and empty ones are taken out of it.
 *
 * A reader goes from record to record. If a record was changed after the reader had read from
 * it which record comes next, the reader begins the chain again and leaves out the records that
 * it has read. So it finds every TID whose row its snapshot sees.
 */
#ifndef OMENDB_HNSWTIDS_H
#define OMENDB_HNSWTIDS_H

#include "postgres.h"

#include "graph/graph.h"
#include "page/store.h"

/* TIDs copied from the node's record when it was visited. */
typedef struct HnswFirstTids
{
	uint8 bytes[OMENDB_INLINE_TIDS * OMENDB_TID_BYTES];
	uint32 n;
	uint32 next;
} HnswFirstTids;

/* TIDs copied from the overflow record read last. */
typedef struct HnswOverflowTids
{
	ItemPointerData *tids;
	uint32 n;
	uint32 next;
} HnswOverflowTids;

/* Where the reader is in the chain of overflow records. */
typedef struct HnswChain
{
	OmendbNode next;           /* the overflow record to read next, or OMENDB_NO_NODE */
	OmendbNode from;           /* the record that says so */
	uint32 from_version;       /* the version of `from` that said so */
	uint32 walk;               /* how often the chain was begun again */
	struct readset_hash *read; /* the overflow records that were read; or NULL */
} HnswChain;

typedef struct HnswTids
{
	OmendbStore *store;
	bool skip_marked; /* pass over TIDs that are marked as dead */
	MemoryContext context;
	OmendbNode node;
	uint16 incarnation; /* of the node's slot */
	HnswFirstTids first;
	HnswOverflowTids overflow;
	HnswChain chain;

	/* of the TID returned last */
	bool marked;           /* as dead */
	OmendbNode record;     /* the record that has it */
	uint32 record_version; /* the record's version when it was read */
} HnswTids;

/* Memory comes from the current memory context, now and later. */
extern void hnsw_tids_init(HnswTids *tids, OmendbStore *store);

/* Begin with a node; the payload is what its record said when it was visited. */
extern void hnsw_tids_begin(HnswTids *tids, OmendbNode node, const OmendbPayload *payload);

/* Begin with no node: there is no TID. */
extern void hnsw_tids_reset(HnswTids *tids);

/*
 * The next TID; false if there is none left. Callers hold no lock; one page is locked at a time,
 * in share mode.
 */
extern bool hnsw_tids_next(HnswTids *tids, ItemPointer tid);

/* False if hnsw_tids_next would return false; true if it may return another TID. */
static inline bool
hnsw_tids_has_more(const HnswTids *tids)
{
	return tids->first.next < tids->first.n || tids->overflow.next < tids->overflow.n ||
		   tids->chain.next != OMENDB_NO_NODE;
}

#endif /* OMENDB_HNSWTIDS_H */
