/*
 * hnswresults.h
 *	  A binary heap of visited nodes that a scan has not returned yet, the smallest lower bound
 *	  first.
 */
#ifndef OMENDB_HNSWRESULTS_H
#define OMENDB_HNSWRESULTS_H

#include "postgres.h"

#include "utils/memutils.h"

typedef struct HnswResult
{
	double low; /* bounds of the operator's value */
	double high;
	size_t visited; /* index in OmendbSearch.visited */
} HnswResult;

typedef struct HnswResults
{
	HnswResult *items;
	size_t n;
	size_t capacity;
} HnswResults;

/* Memory comes from the context. */
static inline void
hnsw_results_push(HnswResults *results, MemoryContext context, HnswResult result)
{
	HnswResult *heap;
	size_t i = results->n++;

	if (i == results->capacity)
	{
		results->capacity = Max(128, results->capacity * 2);
		results->items =
			results->items
				? repalloc_huge(results->items, results->capacity * sizeof(HnswResult))
				: MemoryContextAllocHuge(context, results->capacity * sizeof(HnswResult));
	}
	heap = results->items;
	for (; i > 0 && heap[(i - 1) / 2].low > result.low; i = (i - 1) / 2)
		heap[i] = heap[(i - 1) / 2];
	heap[i] = result;
}

/* Take the result of the smallest lower bound. There has to be one. */
static inline HnswResult
hnsw_results_pop(HnswResults *results)
{
	HnswResult *heap = results->items;
	HnswResult top = heap[0];
	HnswResult item = heap[--results->n];
	size_t i = 0;

	for (size_t child = 1; child < results->n; child = 2 * i + 1)
	{
		if (child + 1 < results->n && heap[child + 1].low < heap[child].low)
			child++;
		if (heap[child].low >= item.low)
			break;
		heap[i] = heap[child];
		i = child;
	}
	heap[i] = item;
	return top;
}

#endif /* OMENDB_HNSWRESULTS_H */
