/*
 * hnswscanstate.h
 *	  The state of an index scan. Private to these files:
 *
 *	hnswscan.c		the access method's interface: begin, rescan, get a row, end
 *	hnswnext.c		finds the next node: decides between results, another round, a sweep and the driver
 *	hnswrounds.c	searches the graph, in rounds
 *	hnswdrive.c		the functions by which a custom scan drives an index scan (hnswdrive.h)
 *	hnswdead.c		collects dead rows, and marks their TIDs
 *	hnswreport.c	what the scan did, for EXPLAIN and omendb_last_scan()
 *
 * Calls go down: hnswscan.c calls hnswnext.c, which calls hnswrounds.c and hnswsweep.c; these
 * call the graph's search and the pages.
 */
#ifndef OMENDB_HNSWSCANSTATE_H
#define OMENDB_HNSWSCANSTATE_H

#include "postgres.h"

#include "am/hnsw.h"
#include "am/hnswdead.h"
#include "am/hnswdrive.h"
#include "am/hnswpace.h"
#include "am/hnswresults.h"
#include "am/hnswsweep.h"
#include "am/hnswtids.h"
#include "graph/search.h"

typedef struct HnswScanQuery
{
	OmendbQuery prepared;
	void *buffer; /* hnsw_value_bytes bytes, to which `prepared` refers */
	/*
	 * The query is null, or zero under cosine: the distance of every row is the same
	 * null or NaN. Rows are returned in any order.
	 */
	bool without_order;
	Datum only_distance;
	bool only_distance_is_null;
} HnswScanQuery;

/* Where the search entered level 0. Each value includes those before it. */
typedef enum HnswEntered
{
	HNSW_ENTERED_NEAREST, /* below the nearest nodes of level 1 */
	HNSW_ENTERED_ENTRY,   /* below the entry point */
	HNSW_ENTERED_ALL      /* below every node of level 1 */
} HnswEntered;

/* hnswrounds.c: the search of level 0, and how far it has come. */
typedef struct HnswRounds
{
	OmendbSearch search;
	bool first_finished; /* false: the first round rests at the driver's budget */
	int ef;              /* of this round: its beam has the width for this ef */
	double called_for;   /* the ef that as many nodes as are allowed call for */
	HnswPace pace;
	int64 allowed;  /* nodes that may be returned before the next round, or HNSW_ALL_NODES */
	int64 returned; /* nodes returned so far */
	HnswEntered entered;
} HnswRounds;

/* No further round is searched: every visited node is returned. */
#define HNSW_ALL_NODES PG_INT64_MAX

/* hnswnext.c: visited nodes that were not returned yet, and bounds of their distances. */
typedef struct HnswPending
{
	size_t collected;    /* nodes of rounds.search.visited that were moved to the heaps */
	float max_error;     /* largest error of an own vector among them */
	float max_norm2;     /* largest squared length among them */
	HnswResults results; /* to be returned in order */
	HnswResults late;    /* strict_order only: late nodes, returned after all results */
	double last_low;     /* lower bound of the last returned node, or of an earlier one if larger */
	double max_high;     /* largest upper bound of all returned nodes */
} HnswPending;

/* The node whose rows are being returned. */
typedef struct HnswCurrent
{
	HnswTids tids;
	double low; /* bounds of the operator's value */
	double high;
	bool recheck;            /* the executor has to compute the operator's value */
	ItemPointerData tid;     /* returned last */
	BlockNumber heap_blocks; /* minimum number of the table's blocks; 0: not known yet */
} HnswCurrent;

/* hnswscan.c, check_own_vector */
typedef struct HnswOwnCheck
{
	OmendbNode node;      /* checked last */
	OmendbRecord *record; /* buffers */
	float *vector;
} HnswOwnCheck;

typedef struct HnswScan
{
	HnswDrive drive; /* first: hnsw_scan_drive */
	MemoryContext context;
	OmendbStore store;
	const HnswOpclass *opclass;
	HnswScanQuery query;
	bool started; /* since the last rescan */
	bool empty;   /* the graph has no node */
	HnswRounds rounds;
	HnswPending pending;
	HnswSweep *sweep; /* NULL until the scan changes from searching to sweeping */
	HnswCurrent current;
	HnswOwnCheck own_check;
	HnswDeadRows dead;
	HnswScanReport report;  /* since the last rescan */
	HnswScanReport earlier; /* sum of the scans before the last rescan */
} HnswScan;

/* ---- hnswrounds.c */

/* Set the ef of the first round, and how many nodes it may return. */
extern void hnsw_rounds_init(HnswScan *state);

/*
 * Descend from the entry point to level 0 and search the first round, up to the driver's
 * budget. Sets state->empty where the graph has no entry point.
 */
extern void hnsw_rounds_start(HnswScan *state);

/* Search the rest of the first round. */
extern void hnsw_rounds_finish_first(HnswScan *state);

/* Search another round, by a wider beam. */
extern void hnsw_rounds_next(HnswScan *state);

/*
 * True if every node that edges lead to was visited. Enters from the upper levels before it
 * says so.
 */
extern bool hnsw_rounds_exhausted(HnswScan *state);

/*
 * True if another round may be searched only because an unvisited candidate may be nearer
 * than the nearest result.
 */
extern bool hnsw_rounds_may_follow_doubt(const HnswScan *state);

/* ---- hnswnext.c */

/* Return no node yet: forget results, sweep and current node. */
extern void hnsw_next_reset(HnswScan *state);

/* Move nodes visited since the last call to the results, or to the late nodes. */
extern void hnsw_collect_visited(HnswScan *state);

/*
 * Find the next node and make it the current one. False where there is none now: the graph is
 * empty, drive.paused is set, or report.stop says why.
 */
extern bool hnsw_next_node(HnswScan *state);

/* Change to a sweep, which returns all nodes of the index that were not returned yet. */
extern void hnsw_begin_sweep(HnswScan *state);

/* ---- hnswreport.c */

/* Bring state->report up to date. */
extern void hnsw_update_report(HnswScan *state);

/* At the end of a scan: make it the one that omendb_last_scan() shows, add it to `earlier`. */
extern void hnsw_publish_report(HnswScan *state);

#endif /* OMENDB_HNSWSCANSTATE_H */
