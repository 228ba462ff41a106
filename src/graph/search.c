/*
 * search.c
 *	  Best-first search with a beam of estimates.
 */
#include <stdlib.h>
#include <string.h>

#include "graph/searchwork.h"

#define FIRST_SEEN 512

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
	search->ahead = LEAST_AHEAD;
}

void
omendb_search_free(OmendbSearch *search)
{
	const OmendbAllocator *allocator = search->allocator;

	if (search->beam)
		allocator->release(allocator->context, search->beam);
	if (search->aside)
		allocator->release(allocator->context, search->aside);
	if (search->seen)
		allocator->release(allocator->context, search->seen);
	if (search->visited)
		allocator->release(allocator->context, search->visited);
	search->beam = NULL;
	search->width_capacity = 0;
	search->aside = NULL;
	search->aside_capacity = 0;
	search->seen = NULL;
	search->seen_capacity = 0;
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

static inline size_t
slot_of(uint32_t node, size_t capacity)
{
	return (node * UINT32_C(0x9e3779b1) >> 7) & (capacity - 1);
}

bool
omendb_search_has_seen(const OmendbSearch *search, OmendbNode node)
{
	size_t mask = search->seen_capacity - 1;

	for (size_t i = slot_of(node, search->seen_capacity);; i = (i + 1) & mask)
	{
		if (search->seen[i] == node)
			return true;
		if (search->seen[i] == OMENDB_NO_NODE)
			return false;
	}
}

static bool
grow_seen(OmendbSearch *search)
{
	const OmendbAllocator *allocator = search->allocator;
	size_t capacity = search->seen_capacity * 2;
	uint32_t *seen = allocator->resize(allocator->context, NULL, capacity * sizeof(uint32_t));

	if (!seen)
		return false;
	memset(seen, 0xff, capacity * sizeof(uint32_t));
	for (size_t i = 0; i < search->seen_capacity; i++)
		if (search->seen[i] != OMENDB_NO_NODE)
		{
			size_t k = slot_of(search->seen[i], capacity);

			while (seen[k] != OMENDB_NO_NODE)
				k = (k + 1) & (capacity - 1);
			seen[k] = search->seen[i];
		}
	allocator->release(allocator->context, search->seen);
	search->seen = seen;
	search->seen_capacity = capacity;
	return true;
}

/* Note the node. *fresh: it was not noted before. */
static inline bool
note_seen(OmendbSearch *search, OmendbNode node, bool *fresh)
{
	size_t mask = search->seen_capacity - 1;
	size_t i = slot_of(node, search->seen_capacity);

	while (search->seen[i] != OMENDB_NO_NODE)
	{
		if (search->seen[i] == node)
		{
			*fresh = false;
			return true;
		}
		i = (i + 1) & mask;
	}
	*fresh = true;
	search->seen[i] = node;
	if (++search->seen_used * 2 > search->seen_capacity)
		return grow_seen(search);
	return true;
}

bool
omendb_search_begin(OmendbSearch *search, const OmendbQuery *query, unsigned level, uint32_t width)
{
	search->query = query;
	search->level = level;
	search->used = 0;
	search->cursor = 0;
	search->aside_used = 0;
	search->aside_kept = 0;
	search->visited_used = 0;
	search->width = width;
	search->rest = UINT32_MAX;
	if (width > search->width_capacity)
	{
		size_t capacity = search->width_capacity;

		if (!omendb_search_grow(search->allocator, (void **) &search->beam, &capacity, width,
								sizeof(OmendbCandidate)))
			return false;
		search->width_capacity = capacity;
	}
	if (!search->seen)
	{
		if (!omendb_search_grow(search->allocator, (void **) &search->seen, &search->seen_capacity,
								FIRST_SEEN, sizeof(uint32_t)))
			return false;
	}
	memset(search->seen, 0xff, search->seen_capacity * sizeof(uint32_t));
	search->seen_used = 0;
	return true;
}

static bool
offer(OmendbSearch *search, float estimate, uint32_t node)
{
	OmendbCandidate candidate = omendb_candidate(orderly(estimate), node);

	if (candidate >> 32 < threshold(search))
		return omendb_search_insert(search, candidate);
	return set_aside(search, candidate);
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
		if (!note_seen(search, node, &fresh))
			return false;
		return !fresh || offer(search, distance, node);
	}
	return offer(search, -INFINITY, node);
}

bool
omendb_search_begin_from(OmendbSearch *search, const OmendbQuery *query, unsigned level,
						 uint32_t width, const OmendbNode *from, uint32_t n)
{
	bool stored = false;

	if (!omendb_search_begin(search, query, level, width))
		return false;
	/* Coded: nothing of them is looked at before the run. */
	if (!search->coded)
	{
		for (uint32_t i = 0; i < n; i++)
			stored |= search->ops->prefetch(search->store, from[i]);
		omendb_search_look_ahead(search, stored);
	}
	for (uint32_t i = 0; i < n; i++)
		if (!omendb_search_enter(search, from[i]))
			return false;
	return true;
}

static bool
add_visited(OmendbSearch *search, OmendbNode node)
{
	OmendbVisited *visited;

	if (search->visited_used == search->visited_capacity &&
		!omendb_search_grow(search->allocator, (void **) &search->visited,
							&search->visited_capacity, 128, sizeof(OmendbVisited)))
		return false;
	visited = &search->visited[search->visited_used++];
	visited->distance = orderly(search->step.distance);
	visited->node = node;
	visited->payload = search->step.payload;
	return true;
}

static bool
expand_coded(OmendbSearch *search)
{
	const OmendbStep *step = &search->step;
	OmendbCandidate candidates[OMENDB_MAX_EDGES];
	OmendbCandidate near[OMENDB_MAX_EDGES];
	uint64_t limit = threshold(search);
	uint32_t n = 0;

	for (uint32_t i = 0; i < step->count; i++)
		candidates[i] = omendb_candidate(orderly(step->estimates[i]), step->neighbours[i]);
	/* Sorting out without branches: which way each goes is anybody's guess. */
	for (uint32_t i = 0; i < step->count; i++)
	{
		near[n] = candidates[i];
		n += candidates[i] >> 32 < limit;
	}
	if (search->keep_aside && step->count > 0)
	{
		OmendbCandidate *aside;

		if (!aside_capacity(search, step->count))
			return false;
		aside = search->aside + search->aside_used;
		for (uint32_t i = 0; i < step->count; i++)
		{
			*aside = candidates[i];
			aside += candidates[i] >> 32 >= limit;
		}
		search->aside_used = aside - search->aside;
	}
	return omendb_search_insert_all(search, near, n);
}

static bool
expand_plain(OmendbSearch *search)
{
	const OmendbStep *step = &search->step;
	bool stored = false;

	/* All that were not seen yet are looked at, so all may be asked for. */
	if (search->ahead > LEAST_AHEAD)
		for (uint32_t i = 0; i < step->count; i++)
			if (!omendb_search_has_seen(search, step->neighbours[i]))
				stored |= search->ops->request(search->store, step->neighbours[i]);

	for (uint32_t i = 0; i < step->count; i++)
	{
		uint32_t node = step->neighbours[i];
		float distance;
		bool fresh;

		/* What was seen may have been evicted since: nobody reads it again. */
		if (i + 1 < step->count && (search->ahead == LEAST_AHEAD ||
									!omendb_search_has_seen(search, step->neighbours[i + 1])))
			stored |= search->ops->prefetch(search->store, step->neighbours[i + 1]);
		if (!note_seen(search, node, &fresh))
			return false;
		if (fresh &&
			search->ops->distance(search->store, node, search->level, search->query, &distance) &&
			!offer(search, distance, node))
			return false;
	}
	omendb_search_look_ahead(search, stored);
	return true;
}

bool
omendb_search_run(OmendbSearch *search)
{
	/* What was entered, or came into a wider beam, is likely to come from storage, too. */
	if (search->coded && search->ahead > LEAST_AHEAD)
		omendb_search_request_further(search, search->cursor, false);
	while (search->visited_used < search->visit_limit)
	{
		uint32_t at = next_unvisited(search, search->cursor);
		uint32_t node;

		search->cursor = at;
		if (at == search->used || at >= search->rest)
			break;
		node = omendb_candidate_node(search->beam[at]);
		search->beam[at] |= OMENDB_VISITED;
		search->cursor++;
		if (search->coded)
		{
			bool fresh;

			/* An earlier entry of the same node, with another estimate, was visited. */
			if (!note_seen(search, node, &fresh))
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
	return search->width * sizeof(OmendbCandidate) + search->aside_used * sizeof(OmendbCandidate) +
		   2 * search->seen_used * sizeof(uint32_t) + search->visited_used * sizeof(OmendbVisited);
}

bool
omendb_search_descend(OmendbSearch *search, const OmendbQuery *query, OmendbNode entry,
					  unsigned level, uint32_t upper_width, uint32_t width, size_t visit_limit)
{
	OmendbNode from[OMENDB_UPPER_BEAM] = {entry};
	uint32_t n = 1;

	search->keep_aside = false;
	search->visit_limit = SIZE_MAX;
	for (; level > 0; level--)
	{
		if (!omendb_search_begin_from(search, query, level, upper_width, from, n) ||
			!omendb_search_run(search))
			return false;
		n = omendb_search_below(search, OMENDB_UPPER_BEAM, false, from);
	}
	search->keep_aside = true;
	search->visit_limit = visit_limit;
	return omendb_search_begin_from(search, query, 0, width, from, n);
}
