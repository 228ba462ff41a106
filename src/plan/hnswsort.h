/*
 * hnswsort.h
 *	  Sorts TIDs of rows by their exact distances, in memory or on disk.
 */
#ifndef OMENDB_HNSWSORT_H
#define OMENDB_HNSWSORT_H

#include "postgres.h"

#include "storage/itemptr.h"

typedef struct HnswSort HnswSort;

/* bound: maximum number of rows that will be read; 0: all. In the current memory context. */
extern HnswSort *hnsw_sort_begin(int64 bound, int memory_kb);
extern void hnsw_sort_add(HnswSort *sort, ItemPointer tid, double distance, bool null);
extern void hnsw_sort_perform(HnswSort *sort);

/*
 * The next row, in ascending order of distance; NaN and then null come last. False if none is left.
 * Equal distances come in the order of TIDs.
 */
extern bool hnsw_sort_next(HnswSort *sort, ItemPointer tid, double *distance, bool *null);

extern void hnsw_sort_end(HnswSort *sort);

#endif /* OMENDB_HNSWSORT_H */
