/*
 * hnswqueue.c
 *	  Rows of a custom scan that wait for their turn, in order of distance.
 */
#include "plan/hnswqueue.h"

#include "utils/float.h"
#include "utils/memutils.h"

static void
push(HnswRowList *list, const HnswRow *row)
{
	if (list->used == list->capacity)
	{
		list->capacity = Max(list->capacity * 2, 64);
		list->rows = list->rows ? repalloc_huge(list->rows, list->capacity * sizeof(HnswRow))
								: palloc(list->capacity * sizeof(HnswRow));
	}
	list->rows[list->used++] = *row;
}

void
hnsw_queue_reset(HnswQueue *queue)
{
	memset(&queue->waiting, 0, sizeof(HnswRowList));
	memset(&queue->ready, 0, sizeof(HnswRowList));
	memset(&queue->late, 0, sizeof(HnswRowList));
	queue->next = 0;
	queue->max_low = queue->max_high = -get_float8_infinity();
}

void
hnsw_queue_add_late(HnswQueue *queue, const HnswRow *row)
{
	push(&queue->late, row);
}

HnswRow *
hnsw_queue_take(HnswQueue *queue)
{
	return &queue->ready.rows[queue->next++];
}

void
hnsw_queue_add(HnswQueue *queue, const HnswRow *row)
{
	HnswRow *heap;
	size_t i;

	push(&queue->waiting, row);
	heap = queue->waiting.rows;
	for (i = queue->waiting.used - 1; i > 0 && heap[(i - 1) / 2].low > row->low; i = (i - 1) / 2)
		heap[i] = heap[(i - 1) / 2];
	heap[i] = *row;
}

/* Restore the order of the heap after the low of its first row was raised. */
static void
sift_down(HnswRow *heap, size_t n)
{
	HnswRow row = heap[0];
	size_t i = 0;

	for (size_t child = 1; child < n; child = 2 * i + 1)
	{
		if (child + 1 < n && heap[child + 1].low < heap[child].low)
			child++;
		if (heap[child].low >= row.low)
			break;
		heap[i] = heap[child];
		i = child;
	}
	heap[i] = row;
}

/* The second smallest low of the heap; infinite if there is none. */
static double
second_low(const HnswRowList *heap)
{
	double low = get_float8_infinity();

	if (heap->used > 1)
		low = heap->rows[1].low;
	if (heap->used > 2)
		low = Min(low, heap->rows[2].low);
	return low;
}

void
hnsw_queue_settle(HnswQueue *queue, double frontier)
{
	HnswRowList *heap = &queue->waiting;

	while (heap->used > 0 && heap->rows[0].low <= frontier)
	{
		HnswRow *first = &heap->rows[0];
		HnswRow row;

		if (!first->exact && (first->high > frontier || first->high > second_low(heap) ||
							  (first->low < queue->max_high && first->high > queue->max_low)))
		{
			queue->resolve(queue->owner, first);
			sift_down(heap->rows, heap->used);
			continue;
		}
		row = *first;
		*first = heap->rows[--heap->used];
		if (heap->used > 0)
			sift_down(heap->rows, heap->used);
		if (row.low < queue->max_high)
			push(&queue->late, &row);
		else
			hnsw_queue_append(queue, &row);
	}
}

void
hnsw_queue_append(HnswQueue *queue, const HnswRow *row)
{
	push(&queue->ready, row);
	queue->max_low = Max(queue->max_low, row->low);
	queue->max_high = Max(queue->max_high, row->high);
}

static int
by_distance(const void *a, const void *b)
{
	const HnswRow *x = a;
	const HnswRow *y = b;

	if (x->null != y->null)
		return x->null ? 1 : -1;
	return float8_cmp_internal(x->low, y->low);
}

/* Compute the distances of the rows of a list, from this one on. */
static void
resolve_all(HnswQueue *queue, HnswRowList *list, size_t from)
{
	for (size_t i = from; i < list->used; i++)
		if (!list->rows[i].exact)
			queue->resolve(queue->owner, &list->rows[i]);
}

void
hnsw_queue_merge_late(HnswQueue *queue)
{
	resolve_all(queue, &queue->ready, queue->next);
	resolve_all(queue, &queue->late, 0);
	for (size_t i = 0; i < queue->late.used; i++)
		push(&queue->ready, &queue->late.rows[i]);
	queue->late.used = 0;
	if (hnsw_queue_ready(queue) > 0)
		qsort(queue->ready.rows + queue->next, hnsw_queue_ready(queue), sizeof(HnswRow),
			  by_distance);
}

void
hnsw_queue_append_late(HnswQueue *queue)
{
	resolve_all(queue, &queue->late, 0);
	if (queue->late.used > 0)
		qsort(queue->late.rows, queue->late.used, sizeof(HnswRow), by_distance);
	for (size_t i = 0; i < queue->late.used; i++)
		push(&queue->ready, &queue->late.rows[i]);
	queue->late.used = 0;
}
