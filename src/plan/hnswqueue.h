/*
 * hnswqueue.h
 *	  Rows of a custom scan that wait for their turn, in order of distance.
 *
 * A row is added with bounds of its distance. It waits until no row that is added later can be
 * nearer; then it is ready. A row that is nearer than a row already ready is late. The exact
 * distance of a row is computed (`resolve`) only where bounds overlap.
 *
 * Memory belongs to the memory context that is current when rows are added.
 */
#ifndef OMENDB_HNSWQUEUE_H
#define OMENDB_HNSWQUEUE_H

#include "postgres.h"

#include "access/htup.h"
#include "storage/itemptr.h"

typedef struct HnswRow
{
	double low; /* bounds of the distance */
	double high;
	bool exact; /* low and high are the distance itself */
	bool null;  /* the distance is null; then low is infinite */
	ItemPointerData tid;
	HeapTuple tuple; /* a copy of the row; NULL: it has to be read again */
} HnswRow;

typedef struct HnswRowList
{
	HnswRow *rows;
	size_t used;
	size_t capacity;
} HnswRowList;

typedef struct HnswQueue HnswQueue;

struct HnswQueue
{
	HnswRowList waiting; /* a binary heap, smallest low first */
	HnswRowList ready;   /* in the order in which they are returned */
	HnswRowList late;
	size_t next;    /* index in ready.rows of the row that is taken next */
	double max_low; /* largest bounds of all rows that became ready */
	double max_high;
	/* Compute the distance of a row, and set its low, high, exact and null. */
	void (*resolve)(void *owner, HnswRow *row);
	void *owner;
};

/* Forget all rows. Their memory is freed with its context. */
extern void hnsw_queue_reset(HnswQueue *queue);

/* Add a row that waits. */
extern void hnsw_queue_add(HnswQueue *queue, const HnswRow *row);

/* Let rows become ready: no row that is added later has a distance below the frontier. */
extern void hnsw_queue_settle(HnswQueue *queue, double frontier);

/* Add a row that is ready, whatever its distance. */
extern void hnsw_queue_append(HnswQueue *queue, const HnswRow *row);

/* Add a late row. */
extern void hnsw_queue_add_late(HnswQueue *queue, const HnswRow *row);

/* Take the next row that is ready; there has to be one. The pointer is valid until rows are added. */
extern HnswRow *hnsw_queue_take(HnswQueue *queue);

/* Put late rows in their places among the rows that are ready and not taken yet. */
extern void hnsw_queue_merge_late(HnswQueue *queue);

/* Put late rows, in order, after the rows that are ready. */
extern void hnsw_queue_append_late(HnswQueue *queue);

/* The number of rows that are ready and not taken yet. */
static inline size_t
hnsw_queue_ready(const HnswQueue *queue)
{
	return queue->ready.used - queue->next;
}

/* The number of rows that are ready or wait. */
static inline size_t
hnsw_queue_held(const HnswQueue *queue)
{
	return hnsw_queue_ready(queue) + queue->waiting.used;
}

#endif /* OMENDB_HNSWQUEUE_H */
