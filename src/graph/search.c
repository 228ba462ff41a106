/*
 * search.c
 *	  Best-first search with a beam of estimates.
 */
#include "graph/search.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_SEEN 512

/* Entries by which a beam is extended at a time, at least. */
#define MIN_STEP 512

/* What sorts a part of the candidates that were set aside. */
#define FEW_TO_SORT  16
#define MANY_TO_SORT 256
#define SMALL_SAMPLE 5
#define LARGE_SAMPLE 31

/* Of so many candidates at least, those that were visited are looked for. */
#define SEEN_KEPT 32768

/*
 * Entries of the beam that are asked for in advance. A visit takes a microsecond, as
 * the next records take from memory: two are on their way. Storage takes a hundred
 * times as long for one, but reads several at a time.
 */
#define LEAST_AHEAD 2
#define MOST_AHEAD  16

/* So many late finds say that there is more to find. */
#define SETTLE_LATE 3

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

static bool
grow(const OmendbAllocator *allocator, void **memory, size_t *capacity, size_t need, size_t size)
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

		if (!grow(search->allocator, (void **) &search->beam, &capacity, width,
				  sizeof(OmendbCandidate)))
			return false;
		search->width_capacity = capacity;
	}
	if (!search->seen)
	{
		if (!grow(search->allocator, (void **) &search->seen, &search->seen_capacity, FIRST_SEEN,
				  sizeof(uint32_t)))
			return false;
	}
	memset(search->seen, 0xff, search->seen_capacity * sizeof(uint32_t));
	search->seen_used = 0;
	return true;
}

static bool
aside_capacity(OmendbSearch *search, size_t n)
{
	if (search->aside_used + n <= search->aside_capacity)
		return true;
	return grow(search->allocator, (void **) &search->aside, &search->aside_capacity,
				search->aside_used + n + 1024, sizeof(OmendbCandidate));
}

static bool
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
static inline bool
insert(OmendbSearch *search, OmendbCandidate candidate)
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

/* NaN and infinities last, so that they cannot break the order. */
static inline float
orderly(float x)
{
	return x < INFINITY ? x : INFINITY;
}

static bool
offer(OmendbSearch *search, float estimate, uint32_t node)
{
	OmendbCandidate candidate = omendb_candidate(orderly(estimate), node);

	if (candidate >> 32 < threshold(search))
		return insert(search, candidate);
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

/*
 * What is looked at next comes from storage, or all of it from memory. Early in a search
 * much of the beam is driven out of it unvisited, so each step looks only one entry further.
 */
static inline void
look_ahead(OmendbSearch *search, bool stored)
{
	if (!stored)
		search->ahead = LEAST_AHEAD;
	else if (search->ahead < MOST_AHEAD)
		search->ahead++;
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
		look_ahead(search, stored);
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
		!grow(search->allocator, (void **) &search->visited, &search->visited_capacity, 128,
			  sizeof(OmendbVisited)))
		return false;
	visited = &search->visited[search->visited_used++];
	visited->distance = orderly(search->step.distance);
	visited->node = node;
	visited->payload = search->step.payload;
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
static bool
insert_all(OmendbSearch *search, OmendbCandidate *near, uint32_t n)
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
	return insert_all(search, near, n);
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
	look_ahead(search, stored);
	return true;
}

/* The next entry of the beam that was not visited, or used. */
static inline uint32_t
next_unvisited(const OmendbSearch *search, uint32_t at)
{
	while (at < search->used && (search->beam[at] & OMENDB_VISITED))
		at++;
	return at;
}

/*
 * Storage reads some of what is visited next: ask for more of the unvisited entries,
 * from that one on. They are likely to be visited later.
 */
static void
request_further(OmendbSearch *search, uint32_t at, bool stored)
{
	for (uint32_t ahead = LEAST_AHEAD; ahead < search->ahead; ahead++)
	{
		at = next_unvisited(search, at);
		if (at >= search->used)
			break;
		stored |= search->ops->request(search->store, omendb_candidate_node(search->beam[at++]));
	}
	look_ahead(search, stored);
}

/*
 * The node visited next is needed at once, but the one after it, if nothing
 * nearer comes between, only in a step: by then it is there.
 */
static inline void
prefetch_next(OmendbSearch *search)
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
		request_further(search, at, stored);
}

bool
omendb_search_run(OmendbSearch *search)
{
	/* What was entered, or came into a wider beam, is likely to come from storage, too. */
	if (search->coded && search->ahead > LEAST_AHEAD)
		request_further(search, search->cursor, false);
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
		prefetch_next(search);
	}
	return true;
}

/* Ascending; for few. */
static void
sort_few(OmendbCandidate *c, size_t n)
{
	for (size_t i = 1; i < n; i++)
	{
		OmendbCandidate x = c[i];
		size_t k = i;

		for (; k > 0 && c[k - 1] > x; k--)
			c[k] = c[k - 1];
		c[k] = x;
	}
}

/* One of n candidates; the k nearest are likely to be below it, or half of them if those are fewer. */
static OmendbCandidate
choose_pivot(const OmendbCandidate *c, size_t n, size_t k)
{
	OmendbCandidate sample[LARGE_SAMPLE];
	size_t size = n < MANY_TO_SORT ? SMALL_SAMPLE : LARGE_SAMPLE;
	size_t rank = k < n ? k * size / n + 1 : size;

	for (size_t i = 0; i < size; i++)
		sample[i] = c[i * (n - 1) / (size - 1)];
	sort_few(sample, size);
	return sample[rank < size / 2 ? rank : size / 2];
}

/* Move those below the limit to the front; how many they are. No branch depends on which. */
static size_t
move_below(OmendbCandidate *c, size_t n, OmendbCandidate limit)
{
	size_t below = 0;

	for (size_t i = 0; i < n; i++)
	{
		OmendbCandidate x = c[i];

		c[i] = c[below];
		c[below] = x;
		below += x < limit;
	}
	return below;
}

/* Move the k nearest of n candidates to the front, ascending (quicksort of what is needed). */
static void
sort_nearest(OmendbCandidate *c, size_t n, size_t k)
{
	while (n > FEW_TO_SORT && k > 0)
	{
		OmendbCandidate pivot = choose_pivot(c, n, k);
		size_t below = move_below(c, n, pivot);
		size_t above;

		/* None is below the pivot: those that equal it are the nearest, and in order. */
		if (below == 0)
		{
			below = move_below(c, n, pivot + 1);
			c += below;
			n -= below;
			k -= k < below ? k : below;
			continue;
		}
		/* The smaller part by a call, which bounds the depth. */
		above = k > below ? k - below : 0;
		if (below <= n / 2)
		{
			sort_nearest(c, below, k);
			c += below;
			n -= below;
			k = above;
		}
		else
		{
			sort_nearest(c + below, n - below, above);
			n = below;
		}
	}
	if (k > 0)
		sort_few(c, n);
}

/*
 * Candidates of nodes that were visited since are left among those set aside until they
 * come to the front, for a look at each takes long. But they are not to take memory without end.
 */
static void
drop_seen(OmendbSearch *search)
{
	size_t left = 0;

	if (!search->coded || search->aside_used < search->aside_kept * 2 + SEEN_KEPT)
		return;
	for (size_t i = 0; i < search->aside_used; i++)
		if (!omendb_search_has_seen(search, omendb_candidate_node(search->aside[i])))
			search->aside[left++] = search->aside[i];
	search->aside_used = search->aside_kept = left;
}

/* Forget the first n of what was set aside. */
static void
drop_first(OmendbSearch *search, size_t n)
{
	size_t left = search->aside_used - n;
	size_t moved = left < n ? left : n;

	memcpy(search->aside, search->aside + search->aside_used - moved,
		   moved * sizeof(OmendbCandidate));
	search->aside_used = left;
}

/* The end of the beam takes the nearest of those set aside. */
static bool
take_aside(OmendbSearch *search)
{
	uint32_t wanted = search->width - search->used;
	size_t n = wanted + (size_t) wanted / 2;
	size_t at = 0;

	/* Some were visited since. */
	if (n > search->aside_used)
		n = search->aside_used;
	sort_nearest(search->aside, search->aside_used, n);
	for (; at < n && search->used < search->width; at++)
	{
		OmendbCandidate candidate = search->aside[at];

		/* Plain: what was set aside has been scored, so it counts as seen. */
		if (search->coded && omendb_search_has_seen(search, omendb_candidate_node(candidate)))
			continue;
		/* None is nearer than the beam's last, but it may be as near. */
		if (search->used == 0 || search->beam[search->used - 1] < candidate)
			search->beam[search->used++] = candidate;
		else if (!insert(search, candidate))
			return false;
	}
	drop_first(search, at);
	return true;
}

bool
omendb_search_widen(OmendbSearch *search, uint32_t width)
{
	if (width <= search->width)
		return true;
	if (width > search->width_capacity)
	{
		size_t capacity = search->width_capacity;

		if (!grow(search->allocator, (void **) &search->beam, &capacity, width,
				  sizeof(OmendbCandidate)))
			return false;
		search->width_capacity = capacity;
	}
	search->width = width;
	drop_seen(search);
	while (search->used < search->width && search->aside_used > 0)
		if (!take_aside(search))
			return false;
	return true;
}

bool
omendb_search_extend(OmendbSearch *search, uint32_t width)
{
	while (search->width < width)
	{
		uint32_t step = search->width / 4 > MIN_STEP ? search->width / 4 : MIN_STEP;

		if (!omendb_search_widen(search,
								 width - search->width > step ? search->width + step : width) ||
			!omendb_search_run(search))
			return false;
	}
	return true;
}

bool
omendb_search_advance(OmendbSearch *search, uint32_t width)
{
	bool good = true;

	search->rest = width;
	while (good && search->width < width)
	{
		uint32_t step = search->width < MIN_STEP ? search->width : MIN_STEP;

		if (step < search->width / 4)
			step = search->width / 4;
		good = omendb_search_widen(search, search->width + step) && omendb_search_run(search);
	}
	good = good && omendb_search_run(search);
	search->rest = UINT32_MAX;
	return good;
}

bool
omendb_search_next_estimate(const OmendbSearch *search, float *estimate)
{
	uint32_t at = next_unvisited(search, search->cursor);

	if (at < search->used)
		*estimate = omendb_candidate_estimate(search->beam[at]);
	else if (search->aside_used > 0)
		*estimate = omendb_candidate_estimate(search->beam[search->used - 1]);
	else
		return false;
	return true;
}

/* How many of the OMENDB_SETTLE nearest were found by the last third of the visits. */
static uint32_t
found_late(const OmendbSearch *search)
{
	size_t nearest[OMENDB_SETTLE]; /* ascending distances */
	size_t from = search->visited_used - search->visited_used / 3;
	uint32_t n = 0;
	uint32_t late = 0;

	for (size_t i = 0; i < search->visited_used; i++)
	{
		float distance = search->visited[i].distance;
		uint32_t k;

		if (n == OMENDB_SETTLE && !(distance < search->visited[nearest[n - 1]].distance))
			continue;
		if (n < OMENDB_SETTLE)
			n++;
		for (k = n - 1; k > 0 && search->visited[nearest[k - 1]].distance > distance; k--)
			nearest[k] = nearest[k - 1];
		nearest[k] = i;
	}
	for (uint32_t k = 0; k < n; k++)
		late += nearest[k] >= from;
	return late;
}

bool
omendb_search_is_settled(const OmendbSearch *search)
{
	return !search->coded || found_late(search) < SETTLE_LATE || omendb_search_exhausted(search);
}

bool
omendb_search_settle(OmendbSearch *search, uint32_t most)
{
	if (!omendb_search_run(search))
		return false;
	while (search->width < most && !omendb_search_is_settled(search) &&
		   search->visited_used < search->visit_limit)
	{
		uint32_t width = omendb_search_wider(search->width);

		if (!omendb_search_widen(search, width < most ? width : most) || !omendb_search_run(search))
			return false;
	}
	return true;
}

bool
omendb_search_exhausted(const OmendbSearch *search)
{
	return next_unvisited(search, search->cursor) == search->used && search->aside_used == 0;
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
