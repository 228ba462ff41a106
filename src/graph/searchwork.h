/*
 * searchwork.h
 *	  What the files of the search share.
 */
#ifndef OMENDB_SEARCHWORK_H
#define OMENDB_SEARCHWORK_H

#include <math.h>

#include "graph/search.h"

/*
 * Entries of the beam that are asked for in advance. A visit takes a microsecond, as
 * the next records take from memory: two are on their way. Storage takes a hundred
 * times as long for one, but reads several at a time.
 */
#define LEAST_AHEAD 2
#define MOST_AHEAD  16

/* search.c */
extern bool omendb_search_grow(const OmendbAllocator *allocator, void **memory, size_t *capacity,
							   size_t need, size_t size);

/* searchbeam.c */
extern bool omendb_search_insert(OmendbSearch *search, OmendbCandidate candidate);
extern bool omendb_search_insert_all(OmendbSearch *search, OmendbCandidate *near, uint32_t n);

/* searchahead.c */
extern void omendb_search_look_ahead(OmendbSearch *search, bool stored);
extern void omendb_search_request_further(OmendbSearch *search, uint32_t at, bool stored);
extern void omendb_search_prefetch_next(OmendbSearch *search);

static inline bool
aside_capacity(OmendbSearch *search, size_t n)
{
	if (search->aside_used + n <= search->aside_capacity)
		return true;
	return omendb_search_grow(search->allocator, (void **) &search->aside, &search->aside_capacity,
							  search->aside_used + n + 1024, sizeof(OmendbCandidate));
}

static inline bool
set_aside(OmendbSearch *search, OmendbCandidate candidate)
{
	if (!search->keep_aside)
		return true;
	if (!aside_capacity(search, 1))
		return false;
	search->aside[search->aside_used++] = candidate;
	return true;
}

/* The beam takes what has a smaller estimate, in its order-preserving bits, than this. */
static inline uint64_t
threshold(const OmendbSearch *search)
{
	return search->used == search->width ? search->beam[search->used - 1] >> 32 : UINT64_MAX;
}

/* NaN and infinities last, so that they cannot break the order. */
static inline float
orderly(float x)
{
	return x < INFINITY ? x : INFINITY;
}

/* The next entry of the beam that was not visited, or used. */
static inline uint32_t
next_unvisited(const OmendbSearch *search, uint32_t at)
{
	while (at < search->used && (search->beam[at] & OMENDB_VISITED))
		at++;
	return at;
}

#endif /* OMENDB_SEARCHWORK_H */
