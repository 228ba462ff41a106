/*
 * search.h
 *	  Best-first search of one level of the graph.
 *
 * The beam holds the `width` candidates of smallest estimate seen so far. The
 * nearest that was not visited yet is visited: its own distance becomes known,
 * its neighbours' estimates compete for the beam. The search rests when the
 * whole beam was visited; a wider beam continues it where it rested.
 *
 * Candidates that do not fit the beam are set aside, not forgotten: they
 * compete again when the beam is widened.
 */
#ifndef OMENDB_SEARCH_H
#define OMENDB_SEARCH_H

#include <string.h>

#include "graph/graph.h"

/*
 * A node and the estimate of its distance in one number, by which candidates are
 * ordered: the estimate's bits such that they compare as the estimates do, 31
 * bits of the node, and whether it was visited.
 */
typedef uint64_t OmendbCandidate;

#define OMENDB_VISITED UINT64_C(1)

static inline OmendbCandidate
omendb_candidate(float estimate, OmendbNode node)
{
	uint32_t bits;

	memcpy(&bits, &estimate, sizeof(bits));
	bits ^= bits >> 31 ? UINT32_MAX : UINT32_C(1) << 31;
	return (uint64_t) bits << 32 | (uint64_t) node << 1;
}

static inline float
omendb_candidate_estimate(OmendbCandidate candidate)
{
	uint32_t bits = candidate >> 32;
	float estimate;

	bits ^= bits >> 31 ? UINT32_C(1) << 31 : UINT32_MAX;
	memcpy(&estimate, &bits, sizeof(estimate));
	return estimate;
}

static inline OmendbNode
omendb_candidate_node(OmendbCandidate candidate)
{
	return (uint32_t) candidate >> 1;
}

typedef struct OmendbVisited
{
	float distance;
	OmendbNode node;
	OmendbPayload payload;
} OmendbVisited;

typedef struct OmendbSearch
{
	const OmendbGraphOps *ops;
	void *store;
	const OmendbAllocator *allocator;
	const OmendbQuery *query;
	bool coded;
	bool keep_aside; /* candidates beyond the beam are kept for widening */
	unsigned level;

	OmendbCandidate *beam; /* ascending */
	uint32_t width;
	uint32_t width_capacity;
	uint32_t used;
	uint32_t cursor; /* no unvisited entry lies before it */
	uint32_t rest;   /* rest when all entries before it were visited; at most width counts */

	/*
	 * How many unvisited entries of the beam are asked for in advance: LEAST_AHEAD where
	 * memory has all of them, up to MOST_AHEAD where storage has to read some.
	 */
	uint32_t ahead;

	OmendbCandidate *aside; /* unordered */
	size_t aside_used;
	size_t aside_kept; /* when those that were visited were looked for last */
	size_t aside_capacity;

	/* Nodes that were visited (coded) or scored (plain): open addressing. */
	uint32_t *seen;
	size_t seen_used;
	size_t seen_capacity; /* a power of two */

	OmendbVisited *visited; /* in the order of the visits */
	size_t visited_used;
	size_t visited_capacity;
	size_t visit_limit; /* rest after that many visits altogether */

	OmendbStep step;
} OmendbSearch;

extern void omendb_search_init(OmendbSearch *search, const OmendbGraphOps *ops, void *store,
							   const OmendbAllocator *allocator, bool coded);
extern void omendb_search_free(OmendbSearch *search);

/* Forget all; search that level for the query with a beam of that width. */
extern bool omendb_search_begin(OmendbSearch *search, const OmendbQuery *query, unsigned level,
								uint32_t width);

/* A node to start from. At least one, before the first run. */
extern bool omendb_search_enter(OmendbSearch *search, OmendbNode node);

/* Both: begin, and enter these nodes. */
extern bool omendb_search_begin_from(OmendbSearch *search, const OmendbQuery *query, unsigned level,
									 uint32_t width, const OmendbNode *from, uint32_t n);

/*
 * Visit until the beam rests or visit_limit is reached. False when out of
 * memory.
 */
extern bool omendb_search_run(OmendbSearch *search);

/*
 * Run; then, as long as the last third of the visits still found several of the
 * OMENDB_SETTLE nearest nodes, widen the beam by half and run again, up to a
 * width of `most`. Where estimates tell near from far the first run suffices;
 * where they do not (codes of few bits, distances all alike), this looks
 * further instead of missing what it came for. keep_aside must be set.
 */
extern bool omendb_search_settle(OmendbSearch *search, uint32_t most);

#define OMENDB_SETTLE 10

/* How much wider than it began a beam may become until it settles. */
#define OMENDB_MAX_WIDENING 8

/* The width after that one, and: has what was visited so far settled? */
static inline uint32_t
omendb_search_wider(uint32_t width)
{
	return width + width / 2;
}
extern bool omendb_search_is_settled(const OmendbSearch *search);

/*
 * The beam on levels above the one that is searched, and how many of what it
 * found are entered below: what the nearest leads to may lie apart from what is
 * looked for, where no node near that is on the upper level.
 */
#define OMENDB_UPPER_BEAM 4

/*
 * The beam where the upper levels have the representatives of groups that lie apart
 * (bulk.h): the lowest level does not lead from one group to the next, so the right one has to be
 * found above. 200 groups: a beam of 4 misses 5 % of them, one of 12 none.
 */
#define OMENDB_UPPER_BEAM_OF_GROUPS 12

/*
 * Come down from a node of that level to level 0, by a beam of upper_width, and begin there with
 * one of width. visit_limit is of level 0.
 */
extern bool omendb_search_descend(OmendbSearch *search, const OmendbQuery *query, OmendbNode entry,
								  unsigned level, uint32_t upper_width, uint32_t width,
								  size_t visit_limit);

/* Widen the beam; the candidates set aside compete for it. */
extern bool omendb_search_widen(OmendbSearch *search, uint32_t width);

/*
 * Widen the beam and run, by steps: whatever enters a beam moves all that is
 * behind it, and so few unvisited entries are in it at a time.
 */
extern bool omendb_search_extend(OmendbSearch *search, uint32_t width);

/*
 * Go on until the first `width` entries of the beam were visited. The beam
 * itself grows in larger steps, so that most calls do not widen it.
 */
extern bool omendb_search_advance(OmendbSearch *search, uint32_t width);

/* The smallest estimate in the beam that was not visited; false: there is none. */
extern bool omendb_search_next_estimate(const OmendbSearch *search, float *estimate);

/* Is there any candidate left that a wider beam would visit? */
extern bool omendb_search_exhausted(const OmendbSearch *search);

/* Was the node visited (coded) or scored (plain)? */
extern bool omendb_search_has_seen(const OmendbSearch *search, OmendbNode node);

/*
 * The `want` nearest visited nodes, or all if fewer, nearest first; live: none
 * that is dead. Returns how many.
 */
extern uint32_t omendb_search_nearest(const OmendbSearch *search, uint32_t want, bool live,
									  const OmendbVisited **nearest);

/* The numbers of the same, one level below; want: at most OMENDB_UPPER_BEAM. */
extern uint32_t omendb_search_below(const OmendbSearch *search, uint32_t want, bool live,
									OmendbNode *below);

/*
 * Bytes that the present search takes, whatever came before it; up to four times
 * as many may be allocated.
 */
extern size_t omendb_search_bytes(const OmendbSearch *search);

#endif /* OMENDB_SEARCH_H */
