/*
 * searchenough.c
 *	  Whether a search has found enough: the distances of the nearest nodes visited.
 *
 * Codes tell far nodes from near ones. Where all candidates left are clearly farther than the
 * nodes wanted, the rest of the beam need not be visited. Queries differ: in a region that
 * codes know well half of the beam is enough, in others all of it is visited.
 */
#include "graph/searchwork.h"

void
omendb_search_add_distance(OmendbEnough *enough, float distance)
{
	float *heap = enough->distances;
	uint32_t i;

	if (enough->used < enough->wanted)
	{
		for (i = enough->used++; i > 0 && heap[(i - 1) / 2] < distance; i = (i - 1) / 2)
			heap[i] = heap[(i - 1) / 2];
		heap[i] = distance;
		return;
	}
	for (i = 0;;)
	{
		uint32_t child = 2 * i + 1;

		if (child + 1 < enough->used && heap[child + 1] > heap[child])
			child++;
		if (child >= enough->used || heap[child] <= distance)
			break;
		heap[i] = heap[child];
		i = child;
	}
	heap[i] = distance;
}

bool
omendb_search_set_enough(OmendbSearch *search, uint32_t wanted, size_t least)
{
	OmendbEnough *enough = &search->enough;

	enough->wanted = 0;
	enough->used = 0;
	enough->reached = false;
	if (wanted > enough->capacity &&
		!omendb_search_grow(search->allocator, (void **) &enough->distances, &enough->capacity,
							wanted, sizeof(float)))
		return false;
	enough->wanted = wanted;
	enough->least = least;
	for (size_t i = 0; i < search->visited_used; i++)
		search_note_enough(enough, &search->visited[i]);
	return true;
}
