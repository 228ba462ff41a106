/*
 * hnswtable.h
 *	  The rows of a table that pass a scan's filter, in order of distance, by
 *	  reading the table.
 *
 * Where the rows that pass are few, or far from the query, so that searching on
 * for them would take longer. Distances are those of the operator: exact.
 */
#ifndef OMENDB_HNSWTABLE_H
#define OMENDB_HNSWTABLE_H

#include "postgres.h"

#include "access/genam.h"
#include "storage/itemptr.h"

typedef struct HnswTable HnswTable;

/*
 * Read the table of a filtered scan (hnswexec.h), with its snapshot. Of the rows that the
 * index has and that pass the filter all come but those in returned (which is
 * sorted here); after all others those nearer than one that was returned and
 * passes, if their distance is below `late`. Sorts in memory_kb, or on disk.
 * Palloc'd.
 */
extern HnswTable *hnsw_table_begin(IndexScanDesc scan, ItemPointerData *returned, size_t nreturned,
								   double late, int memory_kb);

/* False where none is left. distance: the operator's value. */
extern bool hnsw_table_next(HnswTable *table, ItemPointer tid, double *distance, bool *late);
extern void hnsw_table_end(HnswTable *table);

#endif /* OMENDB_HNSWTABLE_H */
