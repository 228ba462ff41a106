/*
 * hnswexec.h
 *	  What the executor will do with the rows of a scan.
 *
 * Known of scans that are nodes of a plan which the executor runs; not of others.
 */
#ifndef OMENDB_HNSWEXEC_H
#define OMENDB_HNSWEXEC_H

#include "postgres.h"

#include "access/genam.h"
#include "nodes/pg_list.h"

/*
 * Does it filter them, by conditions that may be checked more than once a row?
 * rows: that pass them, as the planner thinks.
 */
extern bool hnsw_scan_is_filtered(IndexScanDesc scan, double *rows);

/*
 * The conditions, implicitly ANDed, with the values that their parameters have
 * now. Palloc'd.
 */
extern List *hnsw_scan_filter(IndexScanDesc scan);

/* Add to the rows that EXPLAIN (ANALYZE) says were removed by the filter. */
extern void hnsw_scan_count_removed(IndexScanDesc scan, double rows);

/* How many of them it takes at most; 0: who knows, or it filters them. */
extern int64 hnsw_scan_limit(IndexScanDesc scan);

#endif /* OMENDB_HNSWEXEC_H */
