/*
 * searchahead.c
 *	  What a search asks memory and storage for in advance.
 */
#include "graph/searchwork.h"

/*
 * What is looked at next comes from storage, or all of it from memory. Early in a search
 * much of the beam is driven out of it unvisited, so each step looks only one entry further.
 */
void
omendb_search_look_ahead(OmendbSearch *search, bool stored)
{
	if (!stored)
		search->ahead = LEAST_AHEAD;
	else if (search->ahead < MOST_AHEAD)
		search->ahead++;
}

/*
 * Storage reads some of what is visited next: ask for more of the unvisited entries,
 * from that one on. They are likely to be visited later.
 */
void
omendb_search_request_further(OmendbSearch *search, uint32_t at, bool stored)
{
	for (uint32_t ahead = LEAST_AHEAD; ahead < search->ahead; ahead++)
	{
		at = next_unvisited(search, at);
		if (at >= search->used)
			break;
		stored |= search->ops->request(search->store, omendb_candidate_node(search->beam[at++]));
	}
	omendb_search_look_ahead(search, stored);
}

/*
 * The node visited next is needed at once, but the one after it, if nothing
 * nearer comes between, only in a step: by then it is there.
 */
void
omendb_search_prefetch_next(OmendbSearch *search)
{
	uint32_t at = search->cursor;
	bool stored = false;

	for (int ahead = 0; ahead < LEAST_AHEAD; ahead++)
	{
		at = next_unvisited(search, at);
		if (at >= search->used)
			break;
		stored |= search->ops->prefetch(search->store, omendb_candidate_node(search->beam[at++]));
	}
	/* Plain: what entered the beam was looked at already. */
	if (search->coded && (stored || search->ahead > LEAST_AHEAD))
		omendb_search_request_further(search, at, stored);
}
