/*
 * hnswsort.h
 *	  Rows by their exact distance: a sort that may go to disk.
 */
#ifndef OMENDB_HNSWSORT_H
#define OMENDB_HNSWSORT_H

#include "postgres.h"

#include "storage/itemptr.h"

typedef struct HnswSort HnswSort;

/* bound: only so many rows will be asked for; 0: all. In the current memory context. */
extern HnswSort *hnsw_sort_begin(int64 bound, int memory_kb);
extern void hnsw_sort_add(HnswSort *sort, ItemPointer tid, double distance, bool null);
extern void hnsw_sort_perform(HnswSort *sort);
/* Ascending, NaN and then null distances last. False: none is left. */
extern bool hnsw_sort_next(HnswSort *sort, ItemPointer tid, double *distance, bool *null);
extern void hnsw_sort_end(HnswSort *sort);

#endif /* OMENDB_HNSWSORT_H */
