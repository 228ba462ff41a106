/*
 * hnswcalibrate.h
 *	  What recall an index's searches have: measured at the end of a build, and again by a vacuum
 *	  when the index has changed much.
 *
 * What is measured stands on the metapage (page/format.h). A search with hnsw.recall_target takes its
 * ef from there.
 */
#ifndef OMENDB_HNSWCALIBRATE_H
#define OMENDB_HNSWCALIBRATE_H

#include "postgres.h"

#include "page/store.h"
#include "storage/buf.h"

/*
 * Measure, and write to the metapage. rows: heap TIDs that the index has. strategy, by which pages
 * are read, may be NULL.
 */
extern void hnsw_calibrate(Relation index, double rows, BufferAccessStrategy strategy);

/*
 * At the end of a vacuum, after which the index has so many heap TIDs, and which removed so many:
 * measure again if a fifth of the rows is new or gone since the last time.
 */
extern void hnsw_calibrate_again(Relation index, double rows, double removed,
								 BufferAccessStrategy strategy);

/*
 * The ef by which k rows of the index are found with the recall of hnsw.recall_target; k 0: nobody
 * knows how many. hnsw.ef_search where there is no such target, or nothing was measured.
 */
extern int hnsw_ef_for(OmendbStore *store, double k);

#endif /* OMENDB_HNSWCALIBRATE_H */
