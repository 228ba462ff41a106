/*
 * hnswdrive.h
 *	  An index scan that its caller drives: the custom scan of plan/.
 *
 * The caller begins, rescans and ends the scan by PostgreSQL's interface
 * (index_beginscan, index_rescan, index_getnext_tid). A driven scan does not
 * order its rows beyond their lower bounds: a row that was found late comes at
 * once, so lower bounds may fall.
 *
 * index_getnext_tid says false in four cases:
 *
 *	paused					the budget is used up; raise it and call again, or call again
 *							to finish the first round
 *	report.stop EXHAUSTED	every node that edges lead to was returned
 *	report.stop EF_SEARCH	hnsw.iterative_scan is off
 *	report.stop otherwise	a limit was reached: hnsw_scan_sweep or hnsw_scan_finish
 */
#ifndef OMENDB_HNSWDRIVE_H
#define OMENDB_HNSWDRIVE_H

#include "postgres.h"

#include "am/hnsw.h"
#include "am/hnswdead.h"

typedef struct HnswDrive
{
	bool driven;
	/*
	 * Set by the caller before the first row: it wants all rows up to some
	 * distance, and puts those found late in their places. A narrower beam does.
	 */
	bool keeps_all;
	bool filters;       /* set by the caller: it filters the rows */
	double wanted;      /* set by the caller: rows that LIMIT takes; 0: nobody knows */
	double budget;      /* set by the caller: visits, after which another round waits */
	double first_round; /* likewise: visits, after which the first round waits to be finished */
	bool paused;
	/* The query is null or has no direction: any order will do, and what follows says nothing. */
	bool no_order;
	/* Of the row returned last: the operator's value lies between. */
	double low;
	double high;
	double next_low; /* rows that come before the next round are not below */
	HnswPlace place; /* for hnsw_scan_note_dead */
	bool dead;       /* the index says that nobody can see it: not to be read */
} HnswDrive;

/*
 * The table says that nobody can see the row of that TID any more. Later scans will pass it over.
 * (A driver may be some rows behind, so kill_prior_tuple says nothing to a driven scan.)
 */
extern void hnsw_scan_note_dead(IndexScanDesc scan, const HnswPlace *place,
								const ItemPointerData *tid);

/* So many rows will be fetched: what a recall target is for. Before the first one. */
extern void hnsw_scan_want(IndexScanDesc scan, double rows);

/* Drive the scan, from before its first row; valid as long as the scan. */
extern HnswDrive *hnsw_scan_drive(IndexScanDesc scan);

/* What the scan did since its last rescan, up to date; table_reads is the caller's. */
extern HnswScanReport *hnsw_scan_progress(IndexScanDesc scan);

/* Nodes that the search knows of, did not visit, and that may lie within that distance. */
extern size_t hnsw_scan_candidates_within(IndexScanDesc scan, double distance);

/*
 * Did the index leave out rows whose distance is NaN from everything? NaN is above all
 * numbers, so such rows pass clauses like 1 - distance > e.
 */
extern bool hnsw_scan_left_out_nan(IndexScanDesc scan);

/* Go on with all nodes of the index that were not returned yet, in order. */
extern void hnsw_scan_sweep(IndexScanDesc scan);

/* Search no further: return what was visited, to its end. */
extern void hnsw_scan_finish(IndexScanDesc scan);

#endif /* OMENDB_HNSWDRIVE_H */
