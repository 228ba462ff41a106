/*
 * search.h
 *	  Best-first search of one level of the graph.
 *
 * The beam holds the `width` candidates of smallest estimate found so far. A step visits the
 * nearest candidate that was not visited: its own distance becomes known, and the estimates of
 * its neighbours compete for the beam. The search rests when every candidate of the beam was
 * visited. A wider beam continues the search where it rested: candidates that did not fit are
 * set aside, and compete again when the beam is widened.
 *
 * Coded layouts estimate a neighbour's distance from the node's record. A neighbour may so be a
 * candidate several times, with an estimate by each node that has an edge to it. Plain layouts
 * compute ("score") the distance of each neighbour once.
 *
 * Functions that return bool return false when out of memory, unless they say otherwise.
 *
 *	search.c		start, steps, descent through the levels, results
 *	searchbeam.c	insertion of candidates into the beam
 *	searchwiden.c	candidates set aside, wider beams
 *	searchahead.c	requests in advance to memory and storage
 */
#ifndef OMENDB_SEARCH_H
#define OMENDB_SEARCH_H

#include <string.h>

#include "graph/graph.h"

/*
 * A node and the estimate of its distance in one number that orders candidates: from the highest
 * bit on 32 bits of the estimate, mapped so that they compare as the estimates do, 31 bits of
 * the node, and OMENDB_VISITED.
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

typedef struct OmendbBeam
{
	OmendbCandidate *candidates; /* ascending, none twice */
	uint32_t width;              /* maximum of used */
	uint32_t capacity;           /* of candidates */
	uint32_t used;
	uint32_t cursor; /* all candidates before it were visited */
	uint32_t rest;   /* the search rests when all before it were visited; UINT32_MAX: all */
} OmendbBeam;

/* Candidates that did not fit into the beam. */
typedef struct OmendbAside
{
	OmendbCandidate *candidates; /* unordered */
	size_t used;
	size_t capacity;
	size_t checked; /* value of used when candidates of visited nodes were last removed */
	bool keep;      /* false: such candidates are dropped, and the beam cannot be widened */
} OmendbAside;

/* A hash table with open addressing. OMENDB_NO_NODE: a free place. */
typedef struct OmendbVisitedSet
{
	OmendbNode *nodes;
	size_t used;
	size_t capacity; /* a power of two */
} OmendbVisitedSet;

/* When a search has found enough to rest before its beam is used up (omendb_search_set_enough). */
typedef struct OmendbEnough
{
	float *
		distances; /* of the nearest live nodes visited, at most `wanted`: a heap, the largest first */
	size_t capacity;
	uint32_t wanted; /* 0: the search never has enough */
	uint32_t used;
	size_t least; /* visits */
	bool reached; /* the search rests because it has enough */
} OmendbEnough;

typedef struct OmendbSearch
{
	const OmendbGraphOps *ops;
	void *store; /* for ops */
	const OmendbAllocator *allocator;
	const OmendbQuery *query;
	bool coded;
	unsigned level;

	OmendbBeam beam;
	OmendbAside aside;
	OmendbEnough enough;
	OmendbVisitedSet visited_set; /* coded: visited nodes; plain: scored ones */
	uint32_t ahead;               /* unvisited candidates requested in advance (searchahead.c) */

	OmendbVisited *visited; /* in the order of the visits */
	size_t visited_used;
	size_t visited_capacity;
	size_t visit_limit; /* maximum of visited_used; the search rests there */

	OmendbStep step; /* the node visited last */
} OmendbSearch;

extern void omendb_search_init(OmendbSearch *search, const OmendbGraphOps *ops, void *store,
							   const OmendbAllocator *allocator, bool coded);
extern void omendb_search_free(OmendbSearch *search);

/* Begin a new search of a level with an empty beam. What an earlier search found is lost. */
extern bool omendb_search_begin(OmendbSearch *search, const OmendbQuery *query, unsigned level,
								uint32_t width);

/* Add a node to start from. The first run needs at least one. */
extern bool omendb_search_enter(OmendbSearch *search, OmendbNode node);

/* Begin a new search and enter n nodes. */
extern bool omendb_search_begin_from(OmendbSearch *search, const OmendbQuery *query, unsigned level,
									 uint32_t width, const OmendbNode *from, uint32_t n);

/*
 * Coded layouts, distances that are not negative. From now on the search rests as soon as it
 * has visited `wanted` live nodes and `least` nodes in all, and every unvisited candidate of the beam is
 * estimated to be a ratio (SEARCH_ENOUGH) times as far as the last of the `wanted` nearest, or farther.
 * wanted 0: the search never has enough. False when out of memory. A new search begins with 0.
 */
extern bool omendb_search_set_enough(OmendbSearch *search, uint32_t wanted, size_t least);

/* Visit nodes until the search rests or reaches visit_limit. */
extern bool omendb_search_run(OmendbSearch *search);

/*
 * Run; then widen the beam by half and run again while the visits have not settled
 * (omendb_search_is_settled), up to a width of `most`. Where estimates distinguish near nodes
 * from far ones the first run suffices. Where they do not (codes of few bits, nearly equal
 * distances) a wider beam finds what the first one missed. aside.keep must be set.
 */
extern bool omendb_search_settle(OmendbSearch *search, uint32_t most);

/* Number of nearest nodes by which omendb_search_is_settled judges. */
#define OMENDB_SETTLE 10

/* Maximum factor by which omendb_search_settle's callers widen their first beam. */
#define OMENDB_MAX_WIDENING 8

/* The next width after this one. */
static inline uint32_t
omendb_search_wider(uint32_t width)
{
	return width + width / 2;
}

/*
 * True if the last third of the visits found hardly any of the OMENDB_SETTLE nearest nodes, if no
 * candidate is left, or if the layout is plain.
 */
extern bool omendb_search_is_settled(const OmendbSearch *search);

/*
 * Width of the beam on upper levels, and number of its nearest nodes that are entered one level
 * below. One node would not do: below the nearest node may be a region without an edge to the
 * query's, if no node of the query's region is on the upper level.
 */
#define OMENDB_UPPER_BEAM 4

/*
 * The same width where upper levels hold the representatives of groups that lie apart (bulk.h).
 * The lowest level has no path from one group to the next, so the upper levels must find the
 * right group. Of 200 groups a beam of 4 misses 5 %, a beam of 12 none.
 */
#define OMENDB_UPPER_BEAM_OF_GROUPS 12

/*
 * Descend from an entry point on the given level to level 0 with a beam of upper_width, and begin
 * a search of level 0 there, with a beam of `width` and a visit_limit. Does not run that search.
 */
extern bool omendb_search_descend(OmendbSearch *search, const OmendbQuery *query, OmendbNode entry,
								  unsigned level, uint32_t upper_width, uint32_t width,
								  size_t visit_limit);

/* Widen the beam: the nearest candidates set aside enter it. Does not run. */
extern bool omendb_search_widen(OmendbSearch *search, uint32_t width);

/*
 * Widen the beam to that width and run, in steps. An insertion moves all candidates behind it, so
 * a beam should not have many unvisited candidates at a time.
 */
extern bool omendb_search_extend(OmendbSearch *search, uint32_t width);

/*
 * Run until the first `width` candidates of the beam were visited. The beam doubles. again: more calls
 * follow whose width is not much larger, so the beam may grow beyond `width`, and most calls do
 * not widen it.
 */
extern bool omendb_search_advance(OmendbSearch *search, uint32_t width, bool again);

/*
 * Set *estimate to a lower limit of the estimates of all candidates that were not visited.
 * False if there is no such candidate.
 */
extern bool omendb_search_next_estimate(const OmendbSearch *search, float *estimate);

/* True if no candidate is left, in the beam or set aside. */
extern bool omendb_search_exhausted(const OmendbSearch *search);

/* True if the node is in the visited set. */
extern bool omendb_search_has_visited(const OmendbSearch *search, OmendbNode node);

/*
 * Set nearest[] to the `want` nearest visited nodes, or to all if fewer were visited, in
 * ascending order of distance. live: dead nodes are left out. Returns their number.
 */
extern uint32_t omendb_search_nearest(const OmendbSearch *search, uint32_t want, bool live,
									  const OmendbVisited **nearest);

/* The same nodes' pointers down; want: at most OMENDB_UPPER_BEAM. */
extern uint32_t omendb_search_below(const OmendbSearch *search, uint32_t want, bool live,
									OmendbNode *below);

/* Bytes that this search uses. Up to four times as many may be allocated. */
extern size_t omendb_search_bytes(const OmendbSearch *search);

#endif /* OMENDB_SEARCH_H */
