/*
 * hnswscanstate.h
 *	  The state of an index scan, which its files share.
 *
 *	hnswscan.c		the access method's interface: begin, rescan, get a row, end
 *	hnswnext.c		which node comes next, and who goes on: search, sweep or driver
 *	hnswrounds.c	how far the search of the graph goes
 *	hnswdrive.c		the functions by which a custom scan drives the scan
 *	hnswdead.c		dead rows, until they are marked
 *	hnswreport.c	what the scan did
 */
#ifndef OMENDB_HNSWSCANSTATE_H
#define OMENDB_HNSWSCANSTATE_H

#include "postgres.h"

#include "am/hnsw.h"
#include "am/hnswdead.h"
#include "am/hnswdrive.h"
#include "am/hnswresults.h"
#include "am/hnswsweep.h"
#include "am/hnswtids.h"
#include "graph/search.h"

/* Where level 0 was entered. */
typedef enum HnswEntered
{
	ENTERED_NEAREST, /* at the nearest of the level above */
	ENTERED_ENTRY,   /* also below the entry point */
	ENTERED_ALL      /* also below every node of level 1 */
} HnswEntered;

/* The query, and what takes the place of distances where it has none. */
typedef struct HnswScanQuery
{
	OmendbQuery prepared;
	void *buffer; /* hnsw_value_bytes bytes, to which `prepared` refers */
	/* Every distance is the same null or NaN: rows come in any order. */
	bool without_order;
	Datum only_distance;
	bool only_distance_is_null;
} HnswScanQuery;

/* The search, and how far its rounds have come. */
typedef struct HnswRounds
{
	OmendbSearch search;
	bool first_finished;
	int ef;         /* candidates the beam stands for */
	int first_ef;   /* in the first round */
	int64 allowed;  /* nodes that may be returned before the next round */
	int64 returned; /* nodes */
	HnswEntered entered;
} HnswRounds;

/* Visited nodes that were not returned yet, and the bounds of those that were. */
typedef struct HnswPending
{
	size_t collected; /* visited nodes that are in results or beyond */
	float max_error;  /* of them */
	float max_norm2;
	HnswResults results;
	HnswResults late; /* found too late for a strict order */
	double last_low;  /* of the node returned last */
	double max_high;  /* the largest of all nodes returned */
} HnswPending;

/* The node being returned. */
typedef struct HnswCurrent
{
	HnswTids tids;
	double low;
	double high;
	bool recheck;
	ItemPointerData tid;     /* returned last */
	BlockNumber heap_blocks; /* that the table has, at least; 0 before it was asked */
} HnswCurrent;

/* Memory of check_own. */
typedef struct HnswOwnCheck
{
	OmendbNode node; /* checked last */
	OmendbRecord *record;
	float *vector;
} HnswOwnCheck;

typedef struct HnswScan
{
	HnswDrive drive; /* first: hnsw_scan_drive */
	MemoryContext context;
	OmendbStore store;
	const HnswOpclass *opclass;
	HnswScanQuery query;
	bool started;
	bool empty;
	HnswRounds rounds;
	HnswPending pending;
	HnswSweep *sweep; /* goes on instead of the search; or NULL */
	HnswCurrent current;
	HnswOwnCheck own_check;
	HnswDeadRows dead;
	HnswScanReport report;
	HnswScanReport earlier; /* the scans before the last rescan, added up */
} HnswScan;

/* hnswrounds.c */
extern void hnsw_rounds_begin(HnswScan *state);
extern void hnsw_rounds_start(HnswScan *state);
extern void hnsw_rounds_finish_first(HnswScan *state, double budget);
extern void hnsw_rounds_next(HnswScan *state);
extern bool hnsw_rounds_exhausted(HnswScan *state);
extern bool hnsw_rounds_beyond_ratio(const HnswScan *state);

/* hnswnext.c */
extern void hnsw_collect_visited(HnswScan *state);
extern bool hnsw_next_node(HnswScan *state);
extern void hnsw_begin_sweep(HnswScan *state);

/* hnswreport.c */
extern void hnsw_update_report(HnswScan *state);
extern void hnsw_publish_report(HnswScan *state);

#endif /* OMENDB_HNSWSCANSTATE_H */
