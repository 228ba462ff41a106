/*
 * hnswflush.h
 *	  Inserts the rows of a batch.
 */
#ifndef OMENDB_HNSWFLUSH_H
#define OMENDB_HNSWFLUSH_H

#include "am/hnsw.h"

/* Rows: header and own vector of each, with one heap TID. */
typedef struct HnswRows
{
	Size bytes; /* of a row */
	uint32 n;
	uint32 capacity;
	char *memory;
} HnswRows;

static inline OmendbRecord *
hnsw_row(const HnswRows *rows, uint32 i)
{
	return (OmendbRecord *) (rows->memory + i * rows->bytes);
}

/* Insert rows into an index. */
extern void hnsw_insert_rows(Relation index, const HnswRows *rows);

/* Bytes of memory that this takes for a row, with the row itself. */
extern Size hnsw_flush_bytes(const OmendbIndex *open);

#endif /* OMENDB_HNSWFLUSH_H */
