/*
 * searchahead.c
 *	  Requests in advance: a search asks memory, and storage where memory does not have them, for
 *	  the records of its next visits.
 *
 * ops->prefetch and ops->request are hints; no result of a search depends on them.
 */
#include "graph/searchwork.h"

void
omendb_search_prefetch_entries(OmendbSearch *search, const OmendbNode *from, uint32_t n)
{
	bool stored = false;

	for (uint32_t i = 0; i < n; i++)
		stored |= search->ops->prefetch(search->store, from[i]);
	search_adapt_ahead(search, stored);
}

/*
 * Request unvisited candidates from a place of the beam on, beyond the SEARCH_LEAST_AHEAD that
 * were prefetched. stored: storage has to read some of the prefetched ones.
 */
static void
request_further(OmendbSearch *search, uint32_t at, bool stored)
{
	const OmendbBeam *beam = &search->beam;

	for (uint32_t ahead = SEARCH_LEAST_AHEAD; ahead < search->ahead; ahead++)
	{
		at = search_next_unvisited(beam, at);
		if (at >= beam->used)
			break;
		stored |=
			search->ops->request(search->store, omendb_candidate_node(beam->candidates[at++]));
	}
	search_adapt_ahead(search, stored);
}

/*
 * The next visit needs its record at once. The one after it, unless a nearer candidate comes
 * between, needs its record a step later: it has come by then.
 */
void
omendb_search_prefetch_next(OmendbSearch *search)
{
	const OmendbBeam *beam = &search->beam;
	uint32_t at = beam->cursor;
	bool stored = false;

	for (int ahead = 0; ahead < SEARCH_LEAST_AHEAD; ahead++)
	{
		at = search_next_unvisited(beam, at);
		if (at >= beam->used)
			break;
		stored |=
			search->ops->prefetch(search->store, omendb_candidate_node(beam->candidates[at++]));
	}
	/* Plain layouts: a candidate of the beam was scored, so memory has its record. */
	if (search->coded && (stored || search->ahead > SEARCH_LEAST_AHEAD))
		request_further(search, at, stored);
}

/* Nodes that were entered, and candidates of a wider beam, are likely to be in storage, too. */
void
omendb_search_request_beam(OmendbSearch *search)
{
	if (search->ahead > SEARCH_LEAST_AHEAD)
		request_further(search, search->beam.cursor, false);
}
