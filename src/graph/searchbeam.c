/*
 * searchbeam.c
 *	  Insertion of candidates into the beam.
 *
 * Keeps the beam ascending, without duplicates and within its width.
 */
#include "graph/searchwork.h"

/* Number of candidates of the beam below this one. No branch depends on their values. */
static inline uint32_t
find_place(const OmendbBeam *beam, OmendbCandidate candidate)
{
	const OmendbCandidate *at = beam->candidates;

	if (beam->used == 0)
		return 0;
	for (uint32_t n = beam->used; n > 1; n -= n / 2)
		at += n / 2 * (size_t) (at[n / 2 - 1] < candidate);
	return at - beam->candidates + (*at < candidate);
}

/*
 * Sort the candidates, drop duplicates, and set places[] to the place of each in the beam.
 * Returns the number of candidates left.
 */
static uint32_t
find_places(const OmendbBeam *beam, OmendbCandidate *near, uint32_t n, uint32_t *places)
{
	uint32_t sorted = 0;
	uint32_t left = 0;

	/* One loop for all: the processor overlaps these look-ups. */
	for (uint32_t i = 0; i < n; i++)
		places[i] = find_place(beam, near[i]);
	for (uint32_t i = 0; i < n; i++)
	{
		OmendbCandidate candidate = near[i];
		uint32_t at = places[i];
		uint32_t k = sorted;

		/* The same node with the same estimate: reached a second time from the same node. */
		if (at < beam->used && (beam->candidates[at] & ~OMENDB_VISITED) == candidate)
			continue;
		for (; k > 0 && near[k - 1] > candidate; k--)
		{
			near[k] = near[k - 1];
			places[k] = places[k - 1];
		}
		near[k] = candidate;
		places[k] = at;
		sorted++;
	}
	for (uint32_t i = 0; i < sorted; i++)
	{
		near[left] = near[i];
		places[left] = places[i];
		/* A damaged record may have an edge twice. */
		left += i + 1 == sorted || near[i + 1] != near[i];
	}
	return left;
}

/*
 * Remove the farthest of the beam's candidates and the *n sorted new ones until the rest fits
 * into the beam's width; set the unvisited ones aside. *n becomes the number of new ones left.
 */
static inline __attribute__((always_inline)) bool
remove_farthest(OmendbSearch *search, const OmendbCandidate *near, uint32_t *n)
{
	OmendbBeam *beam = &search->beam;

	while (beam->used + *n > beam->width)
	{
		OmendbCandidate last = *n > 0 ? near[*n - 1] : 0;

		if (beam->used > 0 && beam->candidates[beam->used - 1] > last)
			last = beam->candidates[--beam->used];
		else
			--*n;
		if (!(last & OMENDB_VISITED) && !search_set_aside(search, last))
			return false;
	}
	return true;
}

/* All places are found before the first move, so that each candidate of the beam moves once. */
bool
omendb_search_insert(OmendbSearch *search, OmendbCandidate *near, uint32_t n)
{
	OmendbBeam *beam = &search->beam;
	OmendbCandidate *candidates = beam->candidates;
	uint32_t places[OMENDB_MAX_EDGES];
	uint32_t end;

	n = find_places(beam, near, n, places);
	if (!remove_farthest(search, near, &n))
		return false;
	if (n == 0)
		return true;
	end = beam->used;
	beam->used += n;
	for (uint32_t i = n; i-- > 0;)
	{
		memmove(&candidates[places[i] + i + 1], &candidates[places[i]],
				(end - places[i]) * sizeof(OmendbCandidate));
		candidates[places[i] + i] = near[i];
		end = places[i];
	}
	if (places[0] < beam->cursor)
		beam->cursor = places[0];
	return true;
}

/* The same for one candidate: a plain search offers every neighbour by itself. */
static bool
insert_one(OmendbSearch *search, OmendbCandidate candidate)
{
	OmendbBeam *beam = &search->beam;
	OmendbCandidate *candidates = beam->candidates;
	uint32_t at = find_place(beam, candidate);
	uint32_t n = 1;

	if (at < beam->used && (candidates[at] & ~OMENDB_VISITED) == candidate)
		return true;
	if (!remove_farthest(search, &candidate, &n))
		return false;
	if (n == 0)
		return true;
	memmove(&candidates[at + 1], &candidates[at], (beam->used - at) * sizeof(OmendbCandidate));
	candidates[at] = candidate;
	beam->used++;
	if (at < beam->cursor)
		beam->cursor = at;
	return true;
}

bool
omendb_search_offer(OmendbSearch *search, float estimate, OmendbNode node)
{
	OmendbCandidate candidate = omendb_candidate(search_orderly(estimate), node);

	if (candidate >> 32 < search_beam_limit(&search->beam))
		return insert_one(search, candidate);
	return search_set_aside(search, candidate);
}
