/*
 * hnswdrive.h
 *	  An index scan that its caller drives: the custom scan of plan/.
 *
 * The caller begins, rescans and ends the scan by PostgreSQL's interface
 * (index_beginscan, index_rescan, index_getnext_tid, index_endscan). A driven scan returns late
 * nodes at once, so lower bounds may fall from one row to the next: the caller orders the rows.
 *
 * index_getnext_tid returns NULL in four cases:
 *
 *	paused					the budget is used up: raise it and call again, or, where the
 *							first round is not finished, call again to finish it
 *	report.stop EXHAUSTED	every node that edges lead to was returned
 *	report.stop EF_SEARCH	hnsw.iterative_scan is off
 *	report.stop otherwise	a limit was reached: call hnsw_scan_sweep or hnsw_scan_finish
 */
#ifndef OMENDB_HNSWDRIVE_H
#define OMENDB_HNSWDRIVE_H

#include "postgres.h"

#include "am/hnsw.h"
#include "am/hnswdead.h"
#include "am/hnswpace.h"

/* What the caller asks for. All but the budget is set before the first row. */
typedef struct HnswRequest
{
	HnswPaceKind pace;   /* what becomes of the rows */
	double wanted;       /* rows that LIMIT and OFFSET take; 0: not known */
	double budget;       /* visits after which no other round begins */
	double first_budget; /* visits after which the first round rests */
} HnswRequest;

/* The row returned last. */
typedef struct HnswFoundRow
{
	double low; /* bounds of the operator's value */
	double high;
	double next_low; /* a row returned before the next round has no lower bound below this */
	HnswPlace place; /* for hnsw_scan_note_dead */
	bool dead;       /* marked as dead: no snapshot sees the row, so it is not to be read */
} HnswFoundRow;

typedef struct HnswDrive
{
	bool driven;
	HnswRequest request;
	bool paused;
	/* The query is null or has no direction: rows come in any order, and bounds say nothing. */
	bool without_order;
	HnswFoundRow row;
} HnswDrive;

/* Drive the scan. To be called before the first row; the result is valid as long as the scan. */
extern HnswDrive *hnsw_scan_drive(IndexScanDesc scan);

/* Say how many rows will be fetched, for a recall target. To be called before the first row. */
extern void hnsw_scan_set_wanted(IndexScanDesc scan, double rows);

/*
 * Note that no snapshot sees the row of this TID any more; its TID is marked later. A driver may
 * be some rows behind the scan, so kill_prior_tuple has no effect on a driven scan.
 */
extern void hnsw_scan_note_dead(IndexScanDesc scan, const HnswPlace *place,
								const ItemPointerData *tid);

/* What the scan did since its last rescan, up to date. table_reads and stop may be changed. */
extern HnswScanReport *hnsw_scan_progress(IndexScanDesc scan);

/* The number of candidates that were not visited and may lie within the distance. */
extern size_t hnsw_scan_candidates_within(IndexScanDesc scan, double distance);

/*
 * True if the index left out rows whose distance from everything is NaN. NaN is above all
 * numbers, so such rows pass clauses like 1 - distance > e.
 */
extern bool hnsw_scan_left_out_nan(IndexScanDesc scan);

/* Change to a sweep: all nodes of the index that were not returned yet, in order. */
extern void hnsw_scan_sweep(IndexScanDesc scan);

/* Search no further: return all nodes that were visited. */
extern void hnsw_scan_finish(IndexScanDesc scan);

#endif /* OMENDB_HNSWDRIVE_H */
