/*
 * searchwiden.c
 *	  Candidates set aside, and wider beams.
 *
 * A beam that is widened takes the nearest of the candidates that did not fit into it before. They
 * are kept unordered, for most are never needed: a widening sorts as many as it takes.
 */
#include "graph/searchwork.h"

/*
 * Minimum number of candidates by which omendb_search_extend widens a beam. omendb_search_advance
 * doubles a beam that is narrower.
 */
#define LEAST_WIDENING 512

/* Quicksort: up to FEW_TO_SORT candidates are sorted by insertion. */
#define FEW_TO_SORT 16

/* Its pivot is chosen from a sample: the larger one from MANY_TO_SORT candidates on. */
#define MANY_TO_SORT 256
#define SMALL_SAMPLE 5
#define LARGE_SAMPLE 31

/*
 * Candidates of visited nodes are removed when the list has twice as many candidates as after the
 * last removal, and this number more.
 */
#define REMOVAL_THRESHOLD 32768

/* Number of the OMENDB_SETTLE nearest nodes that, if found recently, say that more can be found. */
#define UNSETTLED_FINDS 3

/* ---------------------------------------------------------------- sorting */

/* Sort by insertion. */
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

/*
 * Choose one of n candidates such that about k are below it, or half of them if that is less.
 */
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

/*
 * Move the candidates below the limit to the front. Returns their number. No branch depends on the
 * candidates.
 */
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

/* Move the k nearest of n candidates to the front, ascending: quicksort of the part needed. */
static void
sort_nearest(OmendbCandidate *c, size_t n, size_t k)
{
	while (n > FEW_TO_SORT && k > 0)
	{
		OmendbCandidate pivot = choose_pivot(c, n, k);
		size_t below = move_below(c, n, pivot);
		size_t above;

		/* None is below the pivot: the candidates equal to it are the nearest, and sorted. */
		if (below == 0)
		{
			below = move_below(c, n, pivot + 1);
			c += below;
			n -= below;
			k -= k < below ? k : below;
			continue;
		}
		/* Recursion sorts the smaller part, which bounds its depth. */
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

/* ---------------------------------------------------------------- candidates set aside */

/*
 * Remove the candidates of nodes that were visited, if there are many. Otherwise they stay until a
 * widening meets them, for looking up each of them takes long; but memory has to be bounded.
 */
static void
remove_visited(OmendbSearch *search)
{
	OmendbAside *aside = &search->aside;
	size_t left = 0;

	if (!search->coded || aside->used < aside->checked * 2 + REMOVAL_THRESHOLD)
		return;
	for (size_t i = 0; i < aside->used; i++)
		if (!omendb_search_has_visited(search, omendb_candidate_node(aside->candidates[i])))
			aside->candidates[left++] = aside->candidates[i];
	aside->used = aside->checked = left;
}

/* Remove the first n candidates. The order of the others changes. */
static void
remove_first(OmendbAside *aside, size_t n)
{
	size_t left = aside->used - n;
	size_t moved = left < n ? left : n;

	memcpy(aside->candidates, aside->candidates + aside->used - moved,
		   moved * sizeof(OmendbCandidate));
	aside->used = left;
}

/* Fill the end of the beam with the nearest candidates set aside. */
static bool
fill_beam(OmendbSearch *search)
{
	OmendbBeam *beam = &search->beam;
	OmendbAside *aside = &search->aside;
	uint32_t wanted = beam->width - beam->used;
	size_t n = wanted + (size_t) wanted / 2; /* more than wanted: some were visited since */
	size_t at = 0;

	if (n > aside->used)
		n = aside->used;
	sort_nearest(aside->candidates, aside->used, n);
	for (; at < n && beam->used < beam->width; at++)
	{
		OmendbCandidate candidate = aside->candidates[at];

		/* Plain layouts: a candidate was scored once, so the visited set has its node. */
		if (search->coded && omendb_search_has_visited(search, omendb_candidate_node(candidate)))
			continue;
		/* No candidate set aside is nearer than the beam's last, but it may be as near. */
		if (beam->used == 0 || beam->candidates[beam->used - 1] < candidate)
			beam->candidates[beam->used++] = candidate;
		else if (!omendb_search_insert(search, &candidate, 1))
			return false;
	}
	remove_first(aside, at);
	return true;
}

/* ---------------------------------------------------------------- wider beams */

bool
omendb_search_widen(OmendbSearch *search, uint32_t width)
{
	OmendbBeam *beam = &search->beam;

	if (width <= beam->width)
		return true;
	if (!omendb_search_reserve_beam(search, width))
		return false;
	beam->width = width;
	remove_visited(search);
	while (beam->used < width && search->aside.used > 0)
		if (!fill_beam(search))
			return false;
	return true;
}

bool
omendb_search_extend(OmendbSearch *search, uint32_t width)
{
	while (search->beam.width < width && !search->enough.reached)
	{
		uint32_t step =
			search->beam.width / 4 > LEAST_WIDENING ? search->beam.width / 4 : LEAST_WIDENING;

		if (!omendb_search_widen(
				search, width - search->beam.width > step ? search->beam.width + step : width) ||
			!omendb_search_run(search))
			return false;
	}
	return true;
}

bool
omendb_search_advance(OmendbSearch *search, uint32_t width, bool again)
{
	bool good = true;

	search->beam.rest = width;
	while (good && search->beam.width < width && !search->enough.reached)
	{
		uint32_t step = search->beam.width < LEAST_WIDENING ? search->beam.width : LEAST_WIDENING;

		if (step < search->beam.width / 4)
			step = search->beam.width / 4;
		/* No small step at the end: each sorts what was set aside. */
		if (!again && width - search->beam.width < step + step / 2)
			step = width - search->beam.width;
		good = omendb_search_widen(search, search->beam.width + step) && omendb_search_run(search);
	}
	good = good && omendb_search_run(search);
	search->beam.rest = UINT32_MAX;
	return good;
}

bool
omendb_search_next_estimate(const OmendbSearch *search, float *estimate)
{
	const OmendbBeam *beam = &search->beam;
	uint32_t at = search_next_unvisited(beam, beam->cursor);

	if (at < beam->used)
		*estimate = omendb_candidate_estimate(beam->candidates[at]);
	else if (search->aside.used > 0)
		*estimate = omendb_candidate_estimate(beam->candidates[beam->used - 1]);
	else
		return false;
	return true;
}

/* ---------------------------------------------------------------- whether to widen */

/* Number of the OMENDB_SETTLE nearest visited nodes that the last third of the visits found. */
static uint32_t
count_recent_finds(const OmendbSearch *search)
{
	size_t nearest[OMENDB_SETTLE]; /* ascending distances */
	size_t from = search->visited_used - search->visited_used / 3;
	uint32_t n = 0;
	uint32_t recent = 0; /* of nearest[] */

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
		recent += nearest[k] >= from;
	return recent;
}

bool
omendb_search_is_settled(const OmendbSearch *search)
{
	return !search->coded || count_recent_finds(search) < UNSETTLED_FINDS ||
		   omendb_search_exhausted(search);
}

bool
omendb_search_settle(OmendbSearch *search, uint32_t most)
{
	if (!omendb_search_run(search))
		return false;
	/* The visits still find near nodes: those wanted are not found yet. */
	if (search->enough.reached && !omendb_search_is_settled(search) &&
		(!omendb_search_set_enough(search, 0, 0) || !omendb_search_run(search)))
		return false;
	while (!search->enough.reached && search->beam.width < most &&
		   !omendb_search_is_settled(search) && search->visited_used < search->visit_limit)
	{
		uint32_t width = omendb_search_wider(search->beam.width);

		if (!omendb_search_widen(search, width < most ? width : most) || !omendb_search_run(search))
			return false;
	}
	return true;
}

bool
omendb_search_exhausted(const OmendbSearch *search)
{
	const OmendbBeam *beam = &search->beam;

	return search_next_unvisited(beam, beam->cursor) == beam->used && search->aside.used == 0;
}
