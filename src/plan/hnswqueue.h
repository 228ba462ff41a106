/*
 * hnswqueue.h
 *	  Rows of a custom scan that wait for their turn, in order of distance.
 *
 * A row comes with bounds of its distance. It waits until no row that comes
 * later can be nearer; then it is ready. A row that is nearer than one that is
 * ready already is late. The owner says how a row's exact distance is computed;
 * it is asked only where bounds overlap.
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
	bool exact; /* both are the distance itself */
	bool null;  /* the distance is null; then low is infinite */
	ItemPointerData tid;
	HeapTuple tuple; /* a copy, or NULL: to be read again */
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
	HnswRowList ready;   /* in order */
	HnswRowList late;
	size_t next;      /* of those ready, the one that is taken next */
	double last_low;  /* of the row that became ready last */
	double last_high; /* the largest of all that became ready */
	/* Compute the distance of a row: sets low, high, exact, null. */
	void (*resolve)(void *owner, HnswRow *row);
	void *owner;
};

/* Forget all rows. Their memory belongs to the current memory context of the calls that add. */
extern void hnsw_queue_reset(HnswQueue *queue);
extern void hnsw_queue_add(HnswQueue *queue, const HnswRow *row);
/* No row that comes later has a distance below that: rows become ready. */
extern void hnsw_queue_settle(HnswQueue *queue, double frontier);
/* Append to the rows that are ready, whatever their order. */
extern void hnsw_queue_append(HnswQueue *queue, const HnswRow *row);
/* A row that is known to be late. */
extern void hnsw_queue_add_late(HnswQueue *queue, const HnswRow *row);
/* The next row that is ready; valid until rows are added. */
extern HnswRow *hnsw_queue_take(HnswQueue *queue);
/* Rows found late take their places among those that are ready and were not taken. */
extern void hnsw_queue_merge_late(HnswQueue *queue);
/* Rows found late come after those that are ready. */
extern void hnsw_queue_append_late(HnswQueue *queue);

static inline size_t
hnsw_queue_ready(const HnswQueue *queue)
{
	return queue->ready.used - queue->next;
}

/* Rows that are ready, or may become so. */
static inline size_t
hnsw_queue_held(const HnswQueue *queue)
{
	return hnsw_queue_ready(queue) + queue->waiting.used;
}

#endif /* OMENDB_HNSWQUEUE_H */
