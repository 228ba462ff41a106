/*
 * hnswbuild.h
 *	  What the files of CREATE INDEX share.
 */
#ifndef OMENDB_HNSWBUILD_H
#define OMENDB_HNSWBUILD_H

#include "am/hnsw.h"

#include "build/hnswparallel.h"
#include "build/hnswphases.h"
#include "nodes/execnodes.h"
#include "storage/itemptr.h"

typedef struct HnswVectorEntry
{
	uint64 identity;
	OmendbNode node;
	uint32 status;
} HnswVectorEntry;

#define SH_PREFIX         vectors
#define SH_ELEMENT_TYPE   HnswVectorEntry
#define SH_KEY_TYPE       uint64
#define SH_KEY            identity
#define SH_HASH_KEY(t, k) ((uint32) (k))
#define SH_EQUAL(t, a, b) ((a) == (b))
#define SH_SCOPE          static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

/* A heap TID that does not fit its node's record. */
typedef struct HnswExtraTid
{
	OmendbNode node;
	uint32 order; /* keeps the sort stable */
	ItemPointerData tid;
} HnswExtraTid;

typedef struct HnswBuild
{
	Relation heap;
	Relation index;
	IndexInfo *info;
	const HnswOpclass *opclass;
	OmendbIndex *open;
	MemoryContext context; /* of all that lives until the end */
	MemoryContext row;     /* reset for every row */
	void *buffer;
	Size budget;
	Size used;
	Size node_bytes;  /* of one node */
	double rows;      /* indexed */
	int64 loaded;     /* rows, also those that the index does not take */
	uint32 collected; /* records */
	bool launched;    /* the crew was, before rows were loaded */
	bool flushed;
	struct HnswParts *parts; /* NULL: memory was never full */
	uint32 loaded_at_once;   /* rows that were in memory when it was last full */
	int64 inserted;          /* after that */
	bool warned;             /* that memory is short */

	HnswRecords records;
	HnswCrew *crew;
	vectors_hash *vectors; /* by identity */
	HnswExtraTid *extra;
	size_t nextra;
	size_t extra_capacity;
	OmendbNode entry;
	unsigned entry_level;
	uint32 risen;  /* nodes of upper levels */
	uint32 groups; /* of these, the representatives of groups */
	bool left_out; /* rows that have a vector: zero vectors under cosine */
} HnswBuild;

/* Add a heap TID to a node. */
extern void hnsw_build_add_tid(HnswBuild *build, OmendbNode node, ItemPointer tid);

/* The vector's entry in the hash table; *found: it was there. */
extern HnswVectorEntry *hnsw_build_vector(HnswBuild *build, const OmendbRecord *record,
										  bool *found);

/*
 * Is node i of the level on the next level too? One node of 2^shift is, and the representative
 * of each group that lies apart. node: its number in the index.
 */
extern bool hnsw_build_rises(HnswBuild *build, const OmendbBuildLevel *level, uint32 i,
							 OmendbNode node, unsigned shift);

/* Set the entry point, the beam of upper levels and the checksum of the metapage. */
extern void hnsw_build_finish_meta(const HnswBuild *build, OmendbMetaPage *meta);

/* Let a level be one of all records in memory, of which none is in a phase yet. */
extern void hnsw_build_set_level(HnswBuild *build, OmendbBuildLevel *level);

/* Forget all records, and give their memory back; then another crew, for n rows. */
extern void hnsw_build_begin_anew(HnswBuild *build, double n);

/*
 * Build a level of all records there are, and those above it. The numbers of nodes will be
 * larger by that offset.
 */
extern void hnsw_build_levels(HnswBuild *build, unsigned level, OmendbNode offset);

/* By node, and as they came. */
extern void hnsw_build_sort_extra(HnswBuild *build);

/* TIDs that did not fit into overflow records, chained from their nodes. */
extern void hnsw_build_add_overflow(HnswBuild *build);

/* hnswload.c */
extern OmendbRecord *hnsw_build_add_record(HnswBuild *build);
extern void hnsw_build_begin_loading(HnswBuild *build);
extern void hnsw_build_load_row(HnswBuild *build, ItemPointer tid, Datum value);
extern void hnsw_build_collect(HnswBuild *build);

/* hnswlevels.c */
extern void hnsw_build_begin(HnswBuild *build, double n);
extern void hnsw_build_launch(HnswBuild *build, double n);
extern void hnsw_build_graph(HnswBuild *build);

#endif /* OMENDB_HNSWBUILD_H */
