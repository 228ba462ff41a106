/*
 * hnswtids.h
 *	  The heap TIDs of a node, one after another.
 *
 * A node's record has the first few of them; overflow records, in a chain from
 * the node on, have the others. A heap TID stays in the record that it was put
 * into until its row is dead; new overflow records come to the front of the
 * chain, and empty ones are taken out of it. So a reader that goes from record
 * to record finds every TID whose row its snapshot sees, as long as it knows
 * when the record it comes from was changed. Then it begins the chain again, and
 * leaves out the records that it has read.
 */
#ifndef OMENDB_HNSWTIDS_H
#define OMENDB_HNSWTIDS_H

#include "postgres.h"

#include "graph/graph.h"
#include "page/store.h"

typedef struct HnswTids
{
	OmendbStore *store;
	bool skip_marked; /* pass over TIDs that are marked as dead */
	MemoryContext context;
	OmendbNode node;
	uint16 incarnation;

	/* of the node's record */
	uint8 first[OMENDB_INLINE_TIDS * OMENDB_TID_BYTES];
	uint32 nfirst;
	uint32 next_first;

	/* of the overflow record read last */
	ItemPointerData *tids;
	uint32 ntids;
	uint32 next_tid;

	bool marked;            /* is the TID returned last? */
	OmendbNode record;      /* that has the TID returned last, */
	uint32 record_version;  /* in this version */
	OmendbNode at;          /* the overflow record that comes next, or none */
	OmendbNode from;        /* the record that says so, */
	uint32 from_version;    /* in this version */
	uint32 walk;            /* how often the chain was begun */
	struct done_hash *done; /* the overflow records that were read; or NULL */
} HnswTids;

/* palloc's in CurrentMemoryContext, where memory will come from later, too. */
extern void hnsw_tids_init(HnswTids *tids, OmendbStore *store);

/* Begin with a node; the payload is what its record said when it was visited. */
extern void hnsw_tids_begin(HnswTids *tids, OmendbNode node, const OmendbPayload *payload);

/* Begin with none. */
extern void hnsw_tids_reset(HnswTids *tids);

/* The next TID; false where there is none left. */
extern bool hnsw_tids_next(HnswTids *tids, ItemPointer tid);

/* May there be further ones? */
static inline bool
hnsw_tids_has_more(const HnswTids *tids)
{
	return tids->next_first < tids->nfirst || tids->next_tid < tids->ntids ||
		   tids->at != OMENDB_NO_NODE;
}

#endif /* OMENDB_HNSWTIDS_H */
