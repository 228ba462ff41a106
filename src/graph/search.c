/*
 * search.c
 *	  Best-first search: start, steps, descent through the levels, results.
 *
 * Owns the visited set and the list of visited nodes. Reaches records through ops only, and holds
 * none of them between two calls of ops.
 */
#include "graph/searchwork.h"

/* Places of the visited set at first. It doubles when half full. */
#define FIRST_CAPACITY 512

void
omendb_search_init(OmendbSearch *search, const OmendbGraphOps *ops, void *store,
				   const OmendbAllocator *allocator, bool coded)
{
	memset(search, 0, offsetof(OmendbSearch, step));
	search->ops = ops;
	search->store = store;
	search->allocator = allocator;
	search->coded = coded;
	search->visit_limit = SIZE_MAX;
	search->ahead = SEARCH_LEAST_AHEAD;
}

static void
release(const OmendbAllocator *allocator, void *memory)
{
	if (memory)
		allocator->release(allocator->context, memory);
}

void
omendb_search_free(OmendbSearch *search)
{
	release(search->allocator, search->beam.candidates);
	release(search->allocator, search->aside.candidates);
	release(search->allocator, search->enough.distances);
	release(search->allocator, search->visited_set.nodes);
	release(search->allocator, search->visited);
	search->beam.candidates = NULL;
	search->beam.capacity = 0;
	search->aside.candidates = NULL;
	search->aside.capacity = 0;
	search->enough.distances = NULL;
	search->enough.capacity = 0;
	search->visited_set.nodes = NULL;
	search->visited_set.capacity = 0;
	search->visited = NULL;
	search->visited_capacity = 0;
}

bool
omendb_search_grow(const OmendbAllocator *allocator, void **memory, size_t *capacity, size_t need,
				   size_t size)
{
	size_t want = *capacity * 2 > need ? *capacity * 2 : need;
	void *grown = allocator->resize(allocator->context, *memory, want * size);

	if (!grown)
		return false;
	*memory = grown;
	*capacity = want;
	return true;
}

bool
omendb_search_reserve_beam(OmendbSearch *search, uint32_t width)
{
	OmendbBeam *beam = &search->beam;
	size_t capacity = beam->capacity;

	if (width <= capacity)
		return true;
	if (!omendb_search_grow(search->allocator, (void **) &beam->candidates, &capacity, width,
							sizeof(OmendbCandidate)))
		return false;
	beam->capacity = capacity;
	return true;
}

/* ---------------------------------------------------------------- the visited set */

/* The first place at which a node is looked for. */
static inline size_t
hash_place(OmendbNode node, size_t capacity)
{
	return (node * UINT32_C(0x9e3779b1) >> 7) & (capacity - 1);
}

static inline bool
has_visited(const OmendbVisitedSet *set, OmendbNode node)
{
	size_t mask = set->capacity - 1;

	for (size_t i = hash_place(node, set->capacity);; i = (i + 1) & mask)
	{
		if (set->nodes[i] == node)
			return true;
		if (set->nodes[i] == OMENDB_NO_NODE)
			return false;
	}
}

bool
omendb_search_has_visited(const OmendbSearch *search, OmendbNode node)
{
	return has_visited(&search->visited_set, node);
}

static bool
double_visited_set(const OmendbAllocator *allocator, OmendbVisitedSet *set)
{
	size_t capacity = set->capacity * 2;
	OmendbNode *nodes = allocator->resize(allocator->context, NULL, capacity * sizeof(OmendbNode));

	if (!nodes)
		return false;
	memset(nodes, 0xff, capacity * sizeof(OmendbNode));
	for (size_t i = 0; i < set->capacity; i++)
		if (set->nodes[i] != OMENDB_NO_NODE)
		{
			size_t k = hash_place(set->nodes[i], capacity);

			while (nodes[k] != OMENDB_NO_NODE)
				k = (k + 1) & (capacity - 1);
			nodes[k] = set->nodes[i];
		}
	allocator->release(allocator->context, set->nodes);
	set->nodes = nodes;
	set->capacity = capacity;
	return true;
}

/* Add a node to the visited set. *fresh: it was not in the set. False when out of memory. */
static inline bool
mark_visited(OmendbSearch *search, OmendbNode node, bool *fresh)
{
	OmendbVisitedSet *set = &search->visited_set;
	size_t mask = set->capacity - 1;
	size_t i = hash_place(node, set->capacity);

	while (set->nodes[i] != OMENDB_NO_NODE)
	{
		if (set->nodes[i] == node)
		{
			*fresh = false;
			return true;
		}
		i = (i + 1) & mask;
	}
	*fresh = true;
	set->nodes[i] = node;
	if (++set->used * 2 > set->capacity)
		return double_visited_set(search->allocator, set);
	return true;
}

/* ---------------------------------------------------------------- start */

bool
omendb_search_begin(OmendbSearch *search, const OmendbQuery *query, unsigned level, uint32_t width)
{
	OmendbVisitedSet *set = &search->visited_set;

	search->query = query;
	search->level = level;
	search->beam.used = 0;
	search->beam.cursor = 0;
	search->aside.used = 0;
	search->aside.checked = 0;
	search->visited_used = 0;
	search->enough.wanted = 0;
	search->enough.reached = false;
	search->beam.width = width;
	search->beam.rest = UINT32_MAX;
	if (!omendb_search_reserve_beam(search, width))
		return false;
	if (!set->nodes && !omendb_search_grow(search->allocator, (void **) &set->nodes, &set->capacity,
										   FIRST_CAPACITY, sizeof(OmendbNode)))
		return false;
	memset(set->nodes, 0xff, set->capacity * sizeof(OmendbNode));
	set->used = 0;
	return true;
}

bool
omendb_search_enter(OmendbSearch *search, OmendbNode node)
{
	bool fresh;

	if (!search->coded)
	{
		float distance;

		if (!search->ops->distance(search->store, node, search->level, search->query, &distance))
			return true;
		if (!mark_visited(search, node, &fresh))
			return false;
		return !fresh || omendb_search_offer(search, distance, node);
	}
	return omendb_search_offer(search, -INFINITY, node);
}

bool
omendb_search_begin_from(OmendbSearch *search, const OmendbQuery *query, unsigned level,
						 uint32_t width, const OmendbNode *from, uint32_t n)
{
	if (!omendb_search_begin(search, query, level, width))
		return false;
	/* Coded layouts read nothing of these nodes before the run. */
	if (!search->coded)
		omendb_search_prefetch_entries(search, from, n);
	for (uint32_t i = 0; i < n; i++)
		if (!omendb_search_enter(search, from[i]))
			return false;
	return true;
}

/* ---------------------------------------------------------------- steps */

/* Append the node of search->step to the list of visited nodes. */
static bool
add_visited(OmendbSearch *search, OmendbNode node)
{
	OmendbVisited *visited;

	if (search->visited_used == search->visited_capacity &&
		!omendb_search_grow(search->allocator, (void **) &search->visited,
							&search->visited_capacity, 128, sizeof(OmendbVisited)))
		return false;
	visited = &search->visited[search->visited_used++];
	visited->distance = search_orderly(search->step.distance);
	visited->node = node;
	visited->payload = search->step.payload;
	search_note_enough(&search->enough, visited);
	return true;
}

/*
 * Make the neighbours of search->step candidates by their estimates: those below the beam's
 * limit enter the beam, the others are set aside. Both lists are made without branches, for no
 * processor can predict which candidate goes where.
 */
static bool
expand_coded(OmendbSearch *search)
{
	const OmendbStep *step = &search->step;
	OmendbCandidate candidates[OMENDB_MAX_EDGES];
	OmendbCandidate near[OMENDB_MAX_EDGES];
	uint64_t limit = search_beam_limit(&search->beam);
	uint32_t n = 0;
	uint32_t fresh = 0;

	for (uint32_t i = 0; i < step->count; i++)
		candidates[i] = omendb_candidate(search_orderly(step->estimates[i]), step->neighbours[i]);
	for (uint32_t i = 0; i < step->count; i++)
	{
		near[n] = candidates[i];
		n += candidates[i] >> 32 < limit;
	}
	if (search->aside.keep && step->count > 0)
	{
		OmendbCandidate *aside;

		if (!search_reserve_aside(search, step->count))
			return false;
		aside = search->aside.candidates + search->aside.used;
		for (uint32_t i = 0; i < step->count; i++)
		{
			*aside = candidates[i];
			aside += candidates[i] >> 32 >= limit;
		}
		search->aside.used = aside - search->aside.candidates;
	}
	for (uint32_t i = 0; i < n; i++)
	{
		near[fresh] = near[i];
		fresh += !has_visited(&search->visited_set, omendb_candidate_node(near[i]));
	}
	return omendb_search_insert(search, near, fresh);
}

/* Score the neighbours of search->step that were not scored before: these become candidates. */
static bool
expand_plain(OmendbSearch *search)
{
	const OmendbStep *step = &search->step;
	bool from_storage = search->ahead > SEARCH_LEAST_AHEAD;
	bool stored = false;

	if (from_storage)
		for (uint32_t i = 0; i < step->count; i++)
			if (!has_visited(&search->visited_set, step->neighbours[i]))
				stored |= search->ops->request(search->store, step->neighbours[i]);
	for (uint32_t i = 0; i < step->count; i++)
	{
		OmendbNode node = step->neighbours[i];
		float distance;
		bool fresh;

		/* A node scored earlier may have left memory. Its record is not needed again. */
		if (i + 1 < step->count &&
			(!from_storage || !has_visited(&search->visited_set, step->neighbours[i + 1])))
			stored |= search->ops->prefetch(search->store, step->neighbours[i + 1]);
		if (!mark_visited(search, node, &fresh))
			return false;
		if (fresh &&
			search->ops->distance(search->store, node, search->level, search->query, &distance) &&
			!omendb_search_offer(search, distance, node))
			return false;
	}
	search_adapt_ahead(search, stored);
	return true;
}

bool
omendb_search_run(OmendbSearch *search)
{
	OmendbBeam *beam = &search->beam;

	if (search->coded)
		omendb_search_request_beam(search);
	while (search->visited_used < search->visit_limit)
	{
		uint32_t at = search_next_unvisited(beam, beam->cursor);
		OmendbNode node;

		beam->cursor = at;
		if (at == beam->used || at >= beam->rest)
			break;
		if (search_has_enough(search, beam->candidates[at]))
		{
			search->enough.reached = true;
			break;
		}
		node = omendb_candidate_node(beam->candidates[at]);
		beam->candidates[at] |= OMENDB_VISITED;
		beam->cursor++;
		if (search->coded)
		{
			bool fresh;

			/* Not fresh: the node was visited as a candidate with another estimate. */
			if (!mark_visited(search, node, &fresh))
				return false;
			if (!fresh)
				continue;
		}
		if (!search->ops->visit(search->store, node, search->level, search->query, &search->step))
			continue;
		if (!add_visited(search, node))
			return false;
		if (!(search->coded ? expand_coded(search) : expand_plain(search)))
			return false;
		omendb_search_prefetch_next(search);
	}
	return true;
}

/* ---------------------------------------------------------------- results */

uint32_t
omendb_search_nearest(const OmendbSearch *search, uint32_t want, bool live,
					  const OmendbVisited **nearest)
{
	uint32_t n = 0;

	for (size_t i = 0; i < search->visited_used; i++)
	{
		const OmendbVisited *visited = &search->visited[i];
		uint32_t k;

		if ((live && !visited->payload.live) ||
			(n == want && visited->distance >= nearest[n - 1]->distance))
			continue;
		if (n < want)
			n++;
		for (k = n - 1; k > 0 && nearest[k - 1]->distance > visited->distance; k--)
			nearest[k] = nearest[k - 1];
		nearest[k] = visited;
	}
	return n;
}

uint32_t
omendb_search_below(const OmendbSearch *search, uint32_t want, bool live, OmendbNode *below)
{
	const OmendbVisited *nearest[OMENDB_UPPER_BEAM];
	uint32_t n = omendb_search_nearest(search, want, live, nearest);

	for (uint32_t i = 0; i < n; i++)
		below[i] = nearest[i]->payload.down;
	return n;
}

size_t
omendb_search_bytes(const OmendbSearch *search)
{
	return (search->beam.width + search->aside.used) * sizeof(OmendbCandidate) +
		   2 * search->visited_set.used * sizeof(OmendbNode) +
		   search->visited_used * sizeof(OmendbVisited);
}

/* ---------------------------------------------------------------- descent */

bool
omendb_search_descend(OmendbSearch *search, const OmendbQuery *query, OmendbNode entry,
					  unsigned level, uint32_t upper_width, uint32_t width, size_t visit_limit)
{
	OmendbNode from[OMENDB_UPPER_BEAM] = {entry};
	uint32_t n = 1;

	search->aside.keep = false;
	search->visit_limit = SIZE_MAX;
	for (; level > 0; level--)
	{
		if (!omendb_search_begin_from(search, query, level, upper_width, from, n) ||
			!omendb_search_run(search))
			return false;
		n = omendb_search_below(search, OMENDB_UPPER_BEAM, false, from);
	}
	search->aside.keep = true;
	search->visit_limit = visit_limit;
	return omendb_search_begin_from(search, query, 0, width, from, n);
}
