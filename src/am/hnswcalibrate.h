/*
 * hnswcalibrate.h
 *	  Measures the recall of an index's searches by ef: at the end of a build, and by a vacuum when
 *	  the index has changed much.
 *
 * The result is kept on the metapage (page/format.h). A search with hnsw.recall_target takes its
 * ef from there.
 */
#ifndef OMENDB_HNSWCALIBRATE_H
#define OMENDB_HNSWCALIBRATE_H

#include "postgres.h"

#include "page/store.h"
#include "storage/buf.h"

/*
 * Measure the recall and write it to the metapage. rows: the number of the index's heap TIDs.
 * strategy: for reading pages; may be NULL. Callers hold no lock on a page.
 */
extern void hnsw_calibrate(Relation index, double rows, BufferAccessStrategy strategy);

/*
 * Measure again if a fifth of the rows was inserted or removed since the last time. To be called
 * at the end of a vacuum. rows: the number of the index's heap TIDs; removed: those that the
 * vacuum removed.
 */
extern void hnsw_calibrate_again(Relation index, double rows, double removed,
								 BufferAccessStrategy strategy);

/*
 * The ef by which k rows of the index are found with the recall of hnsw.recall_target; k = 0: the
 * number is not known. hnsw.ef_search if there is no target, or nothing was measured.
 */
extern int hnsw_ef_for(OmendbStore *store, double k);

#endif /* OMENDB_HNSWCALIBRATE_H */
