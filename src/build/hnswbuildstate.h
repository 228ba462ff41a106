/*
 * hnswbuildstate.h
 *	  The state of one build of an index, and its steps. Private to build/:
 *
 *	hnswbuild.c		CREATE INDEX: reads the table, decides what happens when memory is full
 *	hnswbuildsize.c	estimates of memory, rows and elements of sparse vectors
 *	hnswphases.c	the phases that pg_stat_progress_create_index shows
 *	hnswload.c		rows become records in memory; records of equal vectors are merged
 *	hnswoverflow.c	heap TIDs that do not fit into their node's record
 *	hnswlevels.c	the levels of the graph
 *	hnswrecords.c	memory for records, the leader's own or shared
 *	hnswpages.c		writes pages
 *	hnswparallel.c	the leader: tasks for the workers and itself
 *	hnswtask.c		what leader and workers do of a task
 *	hnswworker.c	a worker
 *	hnswrecall.c	measures the recall of the records in memory
 *	hnswparts.c		a build in parts; its steps: hnswsplit.c, hnswnumber.c, hnswpieces.c
 *	hnswrowfile.c	its temporary files
 */
#ifndef OMENDB_HNSWBUILDSTATE_H
#define OMENDB_HNSWBUILDSTATE_H

#include "am/hnsw.h"

#include "build/hnswparallel.h"
#include "build/hnswphases.h"
#include "nodes/execnodes.h"
#include "storage/itemptr.h"

/* The hash table of vectors: which node has a vector, by the hash of the original vector. */
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

/* A heap TID that does not fit into its node's record. */
typedef struct HnswExtraTid
{
	OmendbNode node;
	uint32 order; /* keeps the sort stable */
	ItemPointerData tid;
} HnswExtraTid;

typedef struct HnswExtraTids
{
	HnswExtraTid *tids;
	size_t n;
	size_t capacity;
} HnswExtraTids;

/* Rows on their way from the table into records. */
typedef struct HnswLoad
{
	MemoryContext row_context; /* reset for every row */
	void *buffer;              /* for a value's elements */
	double indexed;            /* rows in the index */
	int64 loaded;   /* rows that became records, also those that the index does not take */
	int64 inserted; /* rows inserted one by one, after memory was full */
	uint32 merged;  /* the first records, among which no two are equal */
	bool left_out;  /* the index does not take some row that has a vector */
} HnswLoad;

/* Memory for records; bytes. */
typedef struct HnswBuildMemory
{
	Size budget;         /* maintenance_work_mem */
	Size used;           /* by records and extra TIDs, as estimated */
	Size node_bytes;     /* that a node takes */
	uint32 rows_at_once; /* records in memory when memory was last full */
	bool warned;         /* the user was told that memory is short */
} HnswBuildMemory;

/* What the metapage will say of the graph. */
typedef struct HnswBuiltGraph
{
	OmendbNode entry;
	unsigned entry_level;
	uint32 upper_nodes;     /* nodes of upper levels */
	uint32 representatives; /* of them, those of groups that lie apart (graph/bulk.h) */
} HnswBuiltGraph;

typedef struct HnswBuild
{
	Relation heap; /* NULL: nothing is known of the rows */
	Relation index;
	IndexInfo *info;
	const HnswOpclass *opclass;
	OmendbIndex *open;
	MemoryContext context; /* of all that lives until the build's end */
	HnswLoad load;
	HnswBuildMemory memory;
	HnswRecords records;
	HnswCrew *crew;
	bool launched;         /* workers were started, as far as there are any */
	vectors_hash *vectors; /* by identity */
	HnswExtraTids extra;
	HnswBuiltGraph graph;
	struct HnswParts *parts; /* NULL: memory was never full */
	bool flushed;            /* the graph is on pages; further rows are inserted */
	bool measured;           /* so is the recall */
} HnswBuild;

/* ---------------------------------------------------------------- hnswload.c */

/* One more record in memory, zeroed. */
extern OmendbRecord *hnsw_build_add_record(HnswBuild *build);

/* Begin to load rows; ends with hnsw_build_collect. */
extern void hnsw_build_begin_loading(HnswBuild *build);

/* Make a record of a row. The record may not be complete before hnsw_build_collect. */
extern void hnsw_build_load_row(HnswBuild *build, ItemPointer tid, Datum value);

/*
 * Complete all records loaded so far, merge those of equal vectors, and move the last records into the
 * places that become free.
 */
extern void hnsw_build_collect(HnswBuild *build);

/* The vector's entry in the hash table; *found: the entry was there. */
extern HnswVectorEntry *hnsw_build_vector(HnswBuild *build, const OmendbRecord *record,
										  bool *found);

/* ---------------------------------------------------------------- hnswoverflow.c */

/* Add a heap TID to a node: to its record, or to the extra TIDs. */
extern void hnsw_build_add_tid(HnswBuild *build, OmendbNode node, ItemPointer tid);

/* Sort the extra TIDs by node, and of each node in the order in which they were added. */
extern void hnsw_build_sort_extra(HnswBuild *build);

/* Add overflow records with the extra TIDs, chained from their nodes. */
extern void hnsw_build_add_overflow(HnswBuild *build);

/* ---------------------------------------------------------------- hnswlevels.c */

/* Create the crew, and empty records, in shared memory if there will be workers for n rows. */
extern void hnsw_build_begin(HnswBuild *build, double n);

/* Start the workers for n rows, once. */
extern void hnsw_build_launch(HnswBuild *build, double n);

/* Free the crew and all records; then begin and launch again, for n rows. */
extern void hnsw_build_begin_anew(HnswBuild *build, double n);

/* Set up a level of all records in memory, before its first phase. */
extern void hnsw_build_set_level(HnswBuild *build, OmendbBuildLevel *level);

/* Build the whole graph of the records in memory. */
extern void hnsw_build_graph(HnswBuild *build);

/*
 * Build a level of all records in memory, and those above. offset: a record's number in the index
 * minus its number in memory.
 */
extern void hnsw_build_levels(HnswBuild *build, unsigned level, OmendbNode offset);

/*
 * True if node i of the level is on the next level too. One node of 2^shift is, and the
 * representative of each group that lies apart. node: its number in the index.
 */
extern bool hnsw_build_rises(HnswBuild *build, const OmendbBuildLevel *level, uint32 i,
							 OmendbNode node, unsigned shift);

/* Set the metapage's entry point, beam of upper levels, and checksum. */
extern void hnsw_build_finish_meta(const HnswBuild *build, OmendbMetaPage *meta);

#endif /* OMENDB_HNSWBUILDSTATE_H */
