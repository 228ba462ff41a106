/*
 * searchwork.h
 *	  What the files of the search share (search.h lists them).
 */
#ifndef OMENDB_SEARCHWORK_H
#define OMENDB_SEARCHWORK_H

#include <math.h>

#include "graph/search.h"

/*
 * Number of unvisited candidates that are requested in advance. A visit takes a microsecond, as
 * long as the next two records take to come from memory. Storage takes a hundred times as long
 * for a record, but reads several at a time (src/README.md, "Pages in storage").
 */
#define SEARCH_LEAST_AHEAD 2
#define SEARCH_MOST_AHEAD  16

/* search.c */

/* Enlarge an array to at least `need` elements of that size. False when out of memory. */
extern bool omendb_search_grow(const OmendbAllocator *allocator, void **memory, size_t *capacity,
							   size_t need, size_t size);

/* Enlarge the beam's array to at least `width` candidates. False when out of memory. */
extern bool omendb_search_reserve_beam(OmendbSearch *search, uint32_t width);

/* searchbeam.c */

/*
 * Insert n candidates, at most OMENDB_MAX_EDGES, in any order. A candidate that the beam has
 * already is dropped. What the beam's width does not hold is set aside, except visited ones.
 * Changes near[]. False when out of memory.
 */
extern bool omendb_search_insert(OmendbSearch *search, OmendbCandidate *near, uint32_t n);

/* Insert a node with that estimate into the beam, or set it aside. False when out of memory. */
extern bool omendb_search_offer(OmendbSearch *search, float estimate, OmendbNode node);

/* searchenough.c */

/* Put a distance into the heap, in the place of the largest if the heap is full. */
extern void omendb_search_add_distance(OmendbEnough *enough, float distance);

/*
 * Squared ratio of distances (those of L2 and cosine are squares). Candidates beyond it hardly
 * ever are among the nearest (bench/README.md, "When a search has enough").
 */
#define SEARCH_ENOUGH 1.2F

/* Note a node that was visited. */
static inline void
search_note_enough(OmendbEnough *enough, const OmendbVisited *visited)
{
	if (enough->wanted > 0 && visited->payload.live &&
		(enough->used < enough->wanted || visited->distance < enough->distances[0]))
		omendb_search_add_distance(enough, visited->distance);
}

/* True if the search may rest before it visits its nearest candidate. */
static inline bool
search_has_enough(const OmendbSearch *search, OmendbCandidate nearest)
{
	const OmendbEnough *enough = &search->enough;

	return enough->wanted > 0 && enough->used == enough->wanted &&
		   search->visited_used >= enough->least &&
		   omendb_candidate_estimate(nearest) >= SEARCH_ENOUGH * enough->distances[0];
}

/* searchahead.c */

/* Prefetch the nodes that a search of a plain layout starts from. */
extern void omendb_search_prefetch_entries(OmendbSearch *search, const OmendbNode *from,
										   uint32_t n);

/* Prefetch the nodes of the next visits. */
extern void omendb_search_prefetch_next(OmendbSearch *search);

/* Coded layouts, before a run: if storage was read last, request candidates of the beam. */
extern void omendb_search_request_beam(OmendbSearch *search);

/*
 * Set the number of candidates requested in advance. stored: storage has to read some of those
 * requested now. The number rises by one a step only: early in a search many candidates
 * leave the beam unvisited.
 */
static inline void
search_adapt_ahead(OmendbSearch *search, bool stored)
{
	if (!stored)
		search->ahead = SEARCH_LEAST_AHEAD;
	else if (search->ahead < SEARCH_MOST_AHEAD)
		search->ahead++;
}

/* Reserve memory to set aside n more candidates. False when out of memory. */
static inline bool
search_reserve_aside(OmendbSearch *search, size_t n)
{
	OmendbAside *aside = &search->aside;

	if (aside->used + n <= aside->capacity)
		return true;
	return omendb_search_grow(search->allocator, (void **) &aside->candidates, &aside->capacity,
							  aside->used + n + 1024, sizeof(OmendbCandidate));
}

/* Set a candidate aside, or drop it if none are kept. False when out of memory. */
static inline bool
search_set_aside(OmendbSearch *search, OmendbCandidate candidate)
{
	if (!search->aside.keep)
		return true;
	if (!search_reserve_aside(search, 1))
		return false;
	search->aside.candidates[search->aside.used++] = candidate;
	return true;
}

/*
 * The beam takes candidates whose estimate, in the bits that order candidates, is below this
 * limit.
 */
static inline uint64_t
search_beam_limit(const OmendbBeam *beam)
{
	return beam->used == beam->width ? beam->candidates[beam->used - 1] >> 32 : UINT64_MAX;
}

/* NaN becomes infinity, so that distances have an order. */
static inline float
search_orderly(float distance)
{
	return distance < INFINITY ? distance : INFINITY;
}

/* The place of the first unvisited candidate of the beam from `at` on; beam->used: none. */
static inline uint32_t
search_next_unvisited(const OmendbBeam *beam, uint32_t at)
{
	while (at < beam->used && (beam->candidates[at] & OMENDB_VISITED))
		at++;
	return at;
}

#endif /* OMENDB_SEARCHWORK_H */
