/*
 * hnswrows.c
 *	  Rows of a custom scan that wait for their turn, in order of distance.
 */
#include "plan/hnswrows.h"

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
hnsw_rows_reset(HnswRows *rows)
{
	memset(&rows->waiting, 0, sizeof(HnswRowList));
	memset(&rows->ready, 0, sizeof(HnswRowList));
	memset(&rows->late, 0, sizeof(HnswRowList));
	rows->next = 0;
	rows->last_low = rows->last_high = -get_float8_infinity();
}

void
hnsw_rows_add_late(HnswRows *rows, const HnswRow *row)
{
	push(&rows->late, row);
}

HnswRow *
hnsw_rows_take(HnswRows *rows)
{
	HnswRow *row = &rows->ready.rows[rows->next++];

	return row;
}

void
hnsw_rows_add(HnswRows *rows, const HnswRow *row)
{
	HnswRow *heap;
	size_t i;

	push(&rows->waiting, row);
	heap = rows->waiting.rows;
	for (i = rows->waiting.used - 1; i > 0 && heap[(i - 1) / 2].low > row->low; i = (i - 1) / 2)
		heap[i] = heap[(i - 1) / 2];
	heap[i] = *row;
}

/* The first of the heap has a larger low now. */
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

/* The second smallest low of the heap. */
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
hnsw_rows_settle(HnswRows *rows, double frontier)
{
	HnswRowList *heap = &rows->waiting;

	while (heap->used > 0 && heap->rows[0].low <= frontier)
	{
		HnswRow *first = &heap->rows[0];
		HnswRow row;

		if (!first->exact && (first->high > frontier || first->high > second_low(heap) ||
							  (first->low < rows->last_high && first->high > rows->last_low)))
		{
			rows->resolve(rows->owner, first);
			sift_down(heap->rows, heap->used);
			continue;
		}
		row = *first;
		*first = heap->rows[--heap->used];
		if (heap->used > 0)
			sift_down(heap->rows, heap->used);
		if (row.low < rows->last_high)
			push(&rows->late, &row);
		else
			hnsw_rows_append(rows, &row);
	}
}

void
hnsw_rows_append(HnswRows *rows, const HnswRow *row)
{
	push(&rows->ready, row);
	rows->last_low = Max(rows->last_low, row->low);
	rows->last_high = Max(rows->last_high, row->high);
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

static void
resolve_all(HnswRows *rows, HnswRowList *list, size_t from)
{
	for (size_t i = from; i < list->used; i++)
		if (!list->rows[i].exact)
			rows->resolve(rows->owner, &list->rows[i]);
}

void
hnsw_rows_merge_late(HnswRows *rows)
{
	resolve_all(rows, &rows->ready, rows->next);
	resolve_all(rows, &rows->late, 0);
	for (size_t i = 0; i < rows->late.used; i++)
		push(&rows->ready, &rows->late.rows[i]);
	rows->late.used = 0;
	if (hnsw_rows_ready(rows) > 0)
		qsort(rows->ready.rows + rows->next, hnsw_rows_ready(rows), sizeof(HnswRow), by_distance);
}

void
hnsw_rows_append_late(HnswRows *rows)
{
	resolve_all(rows, &rows->late, 0);
	if (rows->late.used > 0)
		qsort(rows->late.rows, rows->late.used, sizeof(HnswRow), by_distance);
	for (size_t i = 0; i < rows->late.used; i++)
		push(&rows->ready, &rows->late.rows[i]);
	rows->late.used = 0;
}
