/*
 * searchbeam.c
 *	  Candidates into the beam.
 */
#include "graph/searchwork.h"

/* How many entries of the beam come before it. No branch depends on what they are. */
static inline uint32_t
place(const OmendbSearch *search, OmendbCandidate candidate)
{
	const OmendbCandidate *at = search->beam;

	if (search->used == 0)
		return 0;
	for (uint32_t n = search->used; n > 1; n -= n / 2)
		at += n / 2 * (size_t) (at[n / 2 - 1] < candidate);
	return at - search->beam + (*at < candidate);
}

/* Into the beam at its place; the beam has room, or the estimate is below the threshold. */
bool
omendb_search_insert(OmendbSearch *search, OmendbCandidate candidate)
{
	OmendbCandidate *beam = search->beam;
	uint32_t low = place(search, candidate);

	/* The same node with the same estimate: reached twice the same way. */
	if (low < search->used && (beam[low] & ~OMENDB_VISITED) == candidate)
		return true;
	if (search->used == search->width)
	{
		OmendbCandidate last = beam[search->used - 1];

		if (!(last & OMENDB_VISITED) && !set_aside(search, last))
			return false;
	}
	else
		search->used++;
	memmove(&beam[low + 1], &beam[low], (search->used - 1 - low) * sizeof(OmendbCandidate));
	beam[low] = candidate;
	if (low < search->cursor)
		search->cursor = low;
	return true;
}

/*
 * Keep the candidates that are not in the beam and were not visited, sort them, and look up
 * the place of each in the beam. Returns how many candidates are kept.
 */
static uint32_t
find_places(const OmendbSearch *search, OmendbCandidate *near, uint32_t n, uint32_t *places)
{
	uint32_t fresh = 0;
	uint32_t kept = 0;

	for (uint32_t i = 0; i < n; i++)
	{
		near[fresh] = near[i];
		fresh += !omendb_search_has_seen(search, omendb_candidate_node(near[i]));
	}
	for (uint32_t i = 0; i < fresh; i++)
		places[i] = place(search, near[i]);
	for (uint32_t i = 0; i < fresh; i++)
	{
		OmendbCandidate candidate = near[i];
		uint32_t at = places[i];
		uint32_t k = kept;

		/* The same node with the same estimate: reached twice the same way. */
		if (at < search->used && (search->beam[at] & ~OMENDB_VISITED) == candidate)
			continue;
		for (; k > 0 && near[k - 1] > candidate; k--)
		{
			near[k] = near[k - 1];
			places[k] = places[k - 1];
		}
		near[k] = candidate;
		places[k] = at;
		kept++;
	}
	n = 0;
	for (uint32_t i = 0; i < kept; i++)
	{
		near[n] = near[i];
		places[n] = places[i];
		/* A record that is damaged may have an edge twice. */
		n += i + 1 == kept || near[i + 1] != near[i];
	}
	return n;
}

/*
 * Set aside what the beam has no room for: the farthest entries of the beam and of the *n sorted
 * candidates together. *n becomes the number of candidates that are left.
 */
static bool
drop_last(OmendbSearch *search, const OmendbCandidate *near, uint32_t *n)
{
	while (search->used + *n > search->width)
	{
		OmendbCandidate last = *n > 0 ? near[*n - 1] : 0;

		if (search->used > 0 && search->beam[search->used - 1] > last)
			last = search->beam[--search->used];
		else
			--*n;
		if (!(last & OMENDB_VISITED) && !set_aside(search, last))
			return false;
	}
	return true;
}

/*
 * Insert n candidates into the beam. All places are looked up before any entry moves: processors
 * do such searches side by side, and each entry of the beam moves only once.
 */
bool
omendb_search_insert_all(OmendbSearch *search, OmendbCandidate *near, uint32_t n)
{
	OmendbCandidate *beam = search->beam;
	uint32_t places[OMENDB_MAX_EDGES];
	uint32_t end;

	n = find_places(search, near, n, places);
	if (!drop_last(search, near, &n))
		return false;
	if (n == 0)
		return true;
	end = search->used;
	search->used += n;
	for (uint32_t i = n; i-- > 0;)
	{
		memmove(&beam[places[i] + i + 1], &beam[places[i]],
				(end - places[i]) * sizeof(OmendbCandidate));
		beam[places[i] + i] = near[i];
		end = places[i];
	}
	if (places[0] < search->cursor)
		search->cursor = places[0];
	return true;
}
