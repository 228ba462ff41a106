/*
 * searchwiden.c
 *	  Candidates that the beam had no room for, and wider beams.
 */
#include "graph/searchwork.h"

/* Entries by which a beam is extended at a time, at least. */
#define MIN_STEP 512

/* What sorts a part of the candidates that were set aside. */
#define FEW_TO_SORT  16
#define MANY_TO_SORT 256
#define SMALL_SAMPLE 5
#define LARGE_SAMPLE 31

/* Of so many candidates at least, those that were visited are looked for. */
#define SEEN_KEPT 32768

/* So many late finds say that there is more to find. */
#define SETTLE_LATE 3

/* Ascending; for few. */
static void
sort_few(OmendbCandidate *c, size_t n)
{
	for (size_t i = 1; i < n; i++)
	{
		OmendbCandidate x = c[i];
		size_t k = i;

		for (; k > 0 && c[k - 1] > x; k--)
			c[k] = c[k - 1];
		c[k] = x;
	}
}

/* One of n candidates; the k nearest are likely to be below it, or half of them if those are fewer. */
static OmendbCandidate
choose_pivot(const OmendbCandidate *c, size_t n, size_t k)
{
	OmendbCandidate sample[LARGE_SAMPLE];
	size_t size = n < MANY_TO_SORT ? SMALL_SAMPLE : LARGE_SAMPLE;
	size_t rank = k < n ? k * size / n + 1 : size;

	for (size_t i = 0; i < size; i++)
		sample[i] = c[i * (n - 1) / (size - 1)];
	sort_few(sample, size);
	return sample[rank < size / 2 ? rank : size / 2];
}

/* Move those below the limit to the front; how many they are. No branch depends on which. */
static size_t
move_below(OmendbCandidate *c, size_t n, OmendbCandidate limit)
{
	size_t below = 0;

	for (size_t i = 0; i < n; i++)
	{
		OmendbCandidate x = c[i];

		c[i] = c[below];
		c[below] = x;
		below += x < limit;
	}
	return below;
}

/* Move the k nearest of n candidates to the front, ascending (quicksort of what is needed). */
static void
sort_nearest(OmendbCandidate *c, size_t n, size_t k)
{
	while (n > FEW_TO_SORT && k > 0)
	{
		OmendbCandidate pivot = choose_pivot(c, n, k);
		size_t below = move_below(c, n, pivot);
		size_t above;

		/* None is below the pivot: those that equal it are the nearest, and in order. */
		if (below == 0)
		{
			below = move_below(c, n, pivot + 1);
			c += below;
			n -= below;
			k -= k < below ? k : below;
			continue;
		}
		/* The smaller part by a call, which bounds the depth. */
		above = k > below ? k - below : 0;
		if (below <= n / 2)
		{
			sort_nearest(c, below, k);
			c += below;
			n -= below;
			k = above;
		}
		else
		{
			sort_nearest(c + below, n - below, above);
			n = below;
		}
	}
	if (k > 0)
		sort_few(c, n);
}

/*
 * Candidates of nodes that were visited since are left among those set aside until they
 * come to the front, for a look at each takes long. But they are not to take memory without end.
 */
static void
drop_seen(OmendbSearch *search)
{
	size_t left = 0;

	if (!search->coded || search->aside_used < search->aside_kept * 2 + SEEN_KEPT)
		return;
	for (size_t i = 0; i < search->aside_used; i++)
		if (!omendb_search_has_seen(search, omendb_candidate_node(search->aside[i])))
			search->aside[left++] = search->aside[i];
	search->aside_used = search->aside_kept = left;
}

/* Forget the first n of what was set aside. */
static void
drop_first(OmendbSearch *search, size_t n)
{
	size_t left = search->aside_used - n;
	size_t moved = left < n ? left : n;

	memcpy(search->aside, search->aside + search->aside_used - moved,
		   moved * sizeof(OmendbCandidate));
	search->aside_used = left;
}

/* The end of the beam takes the nearest of those set aside. */
static bool
take_aside(OmendbSearch *search)
{
	uint32_t wanted = search->width - search->used;
	size_t n = wanted + (size_t) wanted / 2;
	size_t at = 0;

	/* Some were visited since. */
	if (n > search->aside_used)
		n = search->aside_used;
	sort_nearest(search->aside, search->aside_used, n);
	for (; at < n && search->used < search->width; at++)
	{
		OmendbCandidate candidate = search->aside[at];

		/* Plain: what was set aside has been scored, so it counts as seen. */
		if (search->coded && omendb_search_has_seen(search, omendb_candidate_node(candidate)))
			continue;
		/* None is nearer than the beam's last, but it may be as near. */
		if (search->used == 0 || search->beam[search->used - 1] < candidate)
			search->beam[search->used++] = candidate;
		else if (!omendb_search_insert(search, candidate))
			return false;
	}
	drop_first(search, at);
	return true;
}

bool
omendb_search_widen(OmendbSearch *search, uint32_t width)
{
	if (width <= search->width)
		return true;
	if (width > search->width_capacity)
	{
		size_t capacity = search->width_capacity;

		if (!omendb_search_grow(search->allocator, (void **) &search->beam, &capacity, width,
								sizeof(OmendbCandidate)))
			return false;
		search->width_capacity = capacity;
	}
	search->width = width;
	drop_seen(search);
	while (search->used < search->width && search->aside_used > 0)
		if (!take_aside(search))
			return false;
	return true;
}

bool
omendb_search_extend(OmendbSearch *search, uint32_t width)
{
	while (search->width < width)
	{
		uint32_t step = search->width / 4 > MIN_STEP ? search->width / 4 : MIN_STEP;

		if (!omendb_search_widen(search,
								 width - search->width > step ? search->width + step : width) ||
			!omendb_search_run(search))
			return false;
	}
	return true;
}

bool
omendb_search_advance(OmendbSearch *search, uint32_t width)
{
	bool good = true;

	search->rest = width;
	while (good && search->width < width)
	{
		uint32_t step = search->width < MIN_STEP ? search->width : MIN_STEP;

		if (step < search->width / 4)
			step = search->width / 4;
		good = omendb_search_widen(search, search->width + step) && omendb_search_run(search);
	}
	good = good && omendb_search_run(search);
	search->rest = UINT32_MAX;
	return good;
}

bool
omendb_search_next_estimate(const OmendbSearch *search, float *estimate)
{
	uint32_t at = next_unvisited(search, search->cursor);

	if (at < search->used)
		*estimate = omendb_candidate_estimate(search->beam[at]);
	else if (search->aside_used > 0)
		*estimate = omendb_candidate_estimate(search->beam[search->used - 1]);
	else
		return false;
	return true;
}

/* How many of the OMENDB_SETTLE nearest were found by the last third of the visits. */
static uint32_t
found_late(const OmendbSearch *search)
{
	size_t nearest[OMENDB_SETTLE]; /* ascending distances */
	size_t from = search->visited_used - search->visited_used / 3;
	uint32_t n = 0;
	uint32_t late = 0;

	for (size_t i = 0; i < search->visited_used; i++)
	{
		float distance = search->visited[i].distance;
		uint32_t k;

		if (n == OMENDB_SETTLE && !(distance < search->visited[nearest[n - 1]].distance))
			continue;
		if (n < OMENDB_SETTLE)
			n++;
		for (k = n - 1; k > 0 && search->visited[nearest[k - 1]].distance > distance; k--)
			nearest[k] = nearest[k - 1];
		nearest[k] = i;
	}
	for (uint32_t k = 0; k < n; k++)
		late += nearest[k] >= from;
	return late;
}

bool
omendb_search_is_settled(const OmendbSearch *search)
{
	return !search->coded || found_late(search) < SETTLE_LATE || omendb_search_exhausted(search);
}

bool
omendb_search_settle(OmendbSearch *search, uint32_t most)
{
	if (!omendb_search_run(search))
		return false;
	while (search->width < most && !omendb_search_is_settled(search) &&
		   search->visited_used < search->visit_limit)
	{
		uint32_t width = omendb_search_wider(search->width);

		if (!omendb_search_widen(search, width < most ? width : most) || !omendb_search_run(search))
			return false;
	}
	return true;
}

bool
omendb_search_exhausted(const OmendbSearch *search)
{
	return next_unvisited(search, search->cursor) == search->used && search->aside_used == 0;
}
