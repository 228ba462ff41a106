/*
 * build.c
 *	  The phases of a graph's build in memory.
 */
#include "graph/build.h"

#include <stdlib.h>
#include <string.h>

#include "kernel/kernel.h"

/* So many nodes start a level: each is compared with all others of them. */
#define FIRST_ROUND 64

struct OmendbBuilder
{
	OmendbArray *array;
	const OmendbAllocator *allocator;
	OmendbSearch search;
	OmendbQuery query;
	void *query_memory;
	OmendbChooser chooser;
};

static size_t
align64(size_t n)
{
	return (n + 63) & ~(size_t) 63;
}

size_t
omendb_build_level_bytes(uint32_t n, uint32_t links)
{
	size_t pairs = (size_t) n * links;

	return 3 * align64(n * sizeof(uint32_t)) + 3 * align64(pairs * sizeof(OmendbLink)) +
		   2 * align64(n * sizeof(uint16_t));
}

void
omendb_build_level_attach(OmendbBuildLevel *level, void *memory)
{
	uint8_t *at = memory;
	size_t n = level->n;
	size_t pairs = n * level->links;

	level->order = (uint32_t *) at;
	at += align64(n * sizeof(uint32_t));
	level->begin = (uint32_t *) at;
	at += align64(n * sizeof(uint32_t));
	level->end = (uint32_t *) at;
	at += align64(n * sizeof(uint32_t));
	level->incoming = (OmendbLink *) at;
	at += align64(pairs * sizeof(OmendbLink));
	level->now = (OmendbLink *) at;
	at += align64(pairs * sizeof(OmendbLink));
	level->next = (OmendbLink *) at;
	at += align64(pairs * sizeof(OmendbLink));
	level->now_count = (uint16_t *) at;
	at += align64(n * sizeof(uint16_t));
	level->next_count = (uint16_t *) at;
}

/* Called with a counter of nodes; every 65,536th may take long enough to ask. */
static inline void
interruptible(const OmendbBuildLevel *level, uint32_t i)
{
	if ((i & 0xffff) == 0 && level->interrupt)
		level->interrupt();
}

/* In which of 32 rounds a node joins: half of the rest each time, backwards. */
static unsigned
round_of(const OmendbBuildLevel *level, uint32_t i)
{
	uint64_t hash = omendb_hash64(level->seed + (level->first + (uint64_t) i));

	return hash == 0 ? 31 : (unsigned) __builtin_ctzll(hash) & 31;
}

void
omendb_build_level_init(OmendbBuildLevel *level)
{
	uint32_t starts[33] = {0};

	memset(level->now_count, 0, level->n * sizeof(uint16_t));
	memset(level->next_count, 0, level->n * sizeof(uint16_t));
	/* counting sort: round 31 first */
	for (uint32_t i = 0; i < level->n; i++)
		starts[31 - round_of(level, i) + 1]++;
	for (int r = 1; r <= 32; r++)
		starts[r] += starts[r - 1];
	for (uint32_t i = 0; i < level->n; i++)
		level->order[starts[31 - round_of(level, i)]++] = i;
	level->from = level->to = level->joined = 0;
	level->refines = false;
}

OmendbNode
omendb_build_entry(const OmendbBuildLevel *level)
{
	return level->first + level->order[0];
}

bool
omendb_build_step(OmendbBuildLevel *level, uint32_t step, uint32_t passes)
{
	uint32_t size = FIRST_ROUND;
	uint32_t joined = 0;
	uint32_t round = 0;

	/* size is how many there are after round `round` */
	for (;; round++)
	{
		if (size > level->n)
			size = level->n;
		if (round == step)
		{
			level->refines = false;
			level->joined = joined;
			level->from = joined;
			level->to = size;
			return true;
		}
		if (size == level->n)
			break;
		joined = size;
		size = size > UINT32_MAX / 2 ? UINT32_MAX : size * 2;
	}
	/* A single round has compared all with all. */
	if (step - round > passes || level->n <= FIRST_ROUND)
		return false;
	level->refines = true;
	level->joined = level->n;
	level->from = 0;
	level->to = level->n;
	return true;
}

uint32_t
omendb_build_phase_size(const OmendbBuildLevel *level, OmendbBuildPhase phase)
{
	return phase == OMENDB_BUILD_SEARCH ? level->to - level->from : level->to;
}

OmendbBuilder *
omendb_builder_create(OmendbArray *array, const OmendbAllocator *allocator)
{
	const OmendbCodec *codec = array->codec;
	OmendbBuilder *builder = allocator->resize(allocator->context, NULL, sizeof(OmendbBuilder));

	if (!builder)
		return NULL;
	memset(builder, 0, sizeof(*builder));
	builder->array = array;
	builder->allocator = allocator;
	omendb_search_init(&builder->search, &omendb_array_ops, array, allocator,
					   omendb_layout_is_coded(&codec->layout));
	builder->query_memory =
		allocator->resize(allocator->context, NULL, omendb_query_bytes(codec) + 1);
	if (!omendb_chooser_init(&builder->chooser, codec, allocator) || !builder->query_memory)
	{
		omendb_builder_free(builder);
		return NULL;
	}
	omendb_query_init(&builder->query, codec, builder->query_memory);
	return builder;
}

void
omendb_builder_free(OmendbBuilder *builder)
{
	const OmendbAllocator *allocator = builder->allocator;

	omendb_search_free(&builder->search);
	omendb_chooser_free(&builder->chooser);
	if (builder->query_memory)
		allocator->release(allocator->context, builder->query_memory);
	allocator->release(allocator->context, builder);
}

static const OmendbRecord *
candidate_record(void *context, const OmendbSelectCandidate *candidate)
{
	return omendb_array_record(context, candidate->node);
}

/*
 * Of the chooser's first n candidates choose neighbours for the node that
 * omendb_chooser_set was called for.
 */
static uint32_t
choose(OmendbBuilder *builder, size_t n, uint32_t want, OmendbLink *out)
{
	OmendbChooser *chooser = &builder->chooser;
	uint16_t chosen[OMENDB_MAX_LINKS];
	uint32_t count = omendb_choose(chooser, n, want, candidate_record, builder->array, chosen);

	for (uint32_t i = 0; i < count; i++)
		out[i] = (OmendbLink){chooser->candidates[chosen[i]].distance,
							  chooser->candidates[chosen[i]].node};
	return count;
}

static int
by_link(const void *a, const void *b)
{
	const OmendbLink *x = a;
	const OmendbLink *y = b;

	if (x->distance != y->distance)
		return x->distance < y->distance ? -1 : 1;
	return x->node < y->node ? -1 : x->node > y->node;
}

static bool
search_node(OmendbBuilder *builder, OmendbBuildLevel *level, uint32_t position)
{
	uint32_t self = level->order[position];
	OmendbNode node = level->first + self;
	OmendbSearch *search = &builder->search;
	size_t n = 0;

	if (level->joined == 0)
	{
		/* The first round: all with all. */
		if (!omendb_chooser_room(&builder->chooser, level->to))
			return false;
		for (uint32_t i = level->from; i < level->to; i++)
			if (i != position)
			{
				OmendbNode other = level->first + level->order[i];

				builder->chooser.candidates[n++] = (OmendbSelectCandidate){
					omendb_own_distance(
						builder->array->codec, omendb_array_record(builder->array, node),
						omendb_array_record(builder->array, other), builder->chooser.scratch),
					other, 0};
			}
	}
	else
	{
		omendb_query_set_record(&builder->query, omendb_array_record(builder->array, node));
		if (!omendb_search_begin(search, &builder->query, level->level,
								 level->refines ? level->beam : level->rough_beam) ||
			!omendb_search_enter(search, omendb_build_entry(level)) || !omendb_search_run(search) ||
			!omendb_chooser_room(&builder->chooser, search->visited_used + level->links))
			return false;
		for (size_t i = 0; i < search->visited_used; i++)
			if (search->visited[i].node != node)
				builder->chooser.candidates[n++] = (OmendbSelectCandidate){
					search->visited[i].distance, search->visited[i].node, 0};
		for (uint32_t i = 0; i < level->now_count[self]; i++)
		{
			OmendbLink *link = &level->now[(size_t) self * level->links + i];
			bool fresh = true;

			if (search->coded)
				fresh = !omendb_search_has_seen(search, link->node);
			else
				for (size_t k = 0; k < search->visited_used && fresh; k++)
					fresh = search->visited[k].node != link->node;
			if (fresh)
				builder->chooser.candidates[n++] =
					(OmendbSelectCandidate){link->distance, link->node, 0};
		}
	}
	omendb_chooser_set(&builder->chooser, omendb_array_record(builder->array, node));
	level->next_count[self] =
		choose(builder, n, level->refines ? level->links : (level->links + 1) / 2,
			   &level->next[(size_t) self * level->links]);
	return true;
}

void
omendb_build_gather(OmendbBuildLevel *level)
{
	uint32_t total = 0;

	memset(level->end, 0, level->n * sizeof(uint32_t));
	for (uint32_t p = level->from; p < level->to; p++)
	{
		uint32_t i = level->order[p];
		const OmendbLink *links = &level->next[(size_t) i * level->links];

		interruptible(level, p);
		for (uint32_t k = 0; k < level->next_count[i]; k++)
			level->end[links[k].node - level->first]++;
	}
	for (uint32_t i = 0; i < level->n; i++)
	{
		uint32_t count = level->end[i];

		level->begin[i] = level->end[i] = total;
		total += count;
	}
	for (uint32_t p = level->from; p < level->to; p++)
	{
		uint32_t i = level->order[p];
		const OmendbLink *links = &level->next[(size_t) i * level->links];

		interruptible(level, p);
		for (uint32_t k = 0; k < level->next_count[i]; k++)
			level->incoming[level->end[links[k].node - level->first]++] =
				(OmendbLink){links[k].distance, level->first + i};
	}
}

static void
write_links(OmendbBuilder *builder, OmendbBuildLevel *level, uint32_t self)
{
	OmendbRecord *record = omendb_array_record(builder->array, level->first + self);
	const OmendbLink *links = &level->now[(size_t) self * level->links];

	for (uint32_t i = 0; i < level->now_count[self]; i++)
		omendb_link_write(&builder->chooser, record, i, links[i].node,
						  omendb_array_record(builder->array, links[i].node), links[i].distance);
	record->count = level->now_count[self];
}

static bool
merge_node(OmendbBuilder *builder, OmendbBuildLevel *level, uint32_t position)
{
	uint32_t self = level->order[position];
	bool searched = position >= level->from;
	const OmendbLink *base = &(searched ? level->next : level->now)[(size_t) self * level->links];
	uint32_t count = searched ? level->next_count[self] : level->now_count[self];
	OmendbLink *out = &level->now[(size_t) self * level->links];
	size_t n = count;

	if (!searched && level->begin[self] == level->end[self])
		return true;
	if (!omendb_chooser_room(&builder->chooser, count + (level->end[self] - level->begin[self])))
		return false;
	for (uint32_t i = 0; i < count; i++)
		builder->chooser.candidates[i] = (OmendbSelectCandidate){base[i].distance, base[i].node, 0};
	for (uint32_t i = level->begin[self]; i < level->end[self]; i++)
	{
		bool fresh = true;

		for (uint32_t k = 0; k < count && fresh; k++)
			fresh = base[k].node != level->incoming[i].node;
		if (fresh)
			builder->chooser.candidates[n++] =
				(OmendbSelectCandidate){level->incoming[i].distance, level->incoming[i].node, 0};
	}
	omendb_chooser_set(&builder->chooser, omendb_array_record(builder->array, level->first + self));
	if (n <= level->links)
	{
		for (size_t i = 0; i < n; i++)
			out[i] = (OmendbLink){builder->chooser.candidates[i].distance,
								  builder->chooser.candidates[i].node};
		qsort(out, n, sizeof(OmendbLink), by_link);
		level->now_count[self] = n;
	}
	else
		level->now_count[self] = choose(builder, n, level->links, out);
	write_links(builder, level, self);
	return true;
}

bool
omendb_build_chunk(OmendbBuilder *builder, OmendbBuildLevel *level, OmendbBuildPhase phase,
				   uint32_t from, uint32_t to)
{
	for (uint32_t i = from; i < to; i++)
		if (!(phase == OMENDB_BUILD_SEARCH ? search_node(builder, level, level->from + i)
										   : merge_node(builder, level, i)))
			return false;
	return true;
}

#define UNREACHED UINT32_MAX

/*
 * Note by which node each one is reached from the start, as far as it was not
 * before: the links from those nodes make a tree.
 */
static void
reach(const OmendbBuildLevel *level, uint32_t start, uint32_t by, uint32_t *parents,
	  uint32_t *stack)
{
	uint32_t used = 0;
	uint32_t steps = 0;

	parents[start] = by;
	stack[used++] = start;
	while (used > 0)
	{
		uint32_t i = stack[--used];
		const OmendbLink *links = &level->now[(size_t) i * level->links];

		interruptible(level, steps++);
		for (uint32_t k = 0; k < level->now_count[i]; k++)
		{
			uint32_t other = links[k].node - level->first;

			if (parents[other] == UNREACHED)
			{
				parents[other] = i;
				stack[used++] = other;
			}
		}
	}
}

static int
by_candidate(const void *a, const void *b)
{
	const OmendbSelectCandidate *x = a;
	const OmendbSelectCandidate *y = b;

	if (x->distance != y->distance)
		return x->distance < y->distance ? -1 : 1;
	return x->node < y->node ? -1 : x->node > y->node;
}

/* All links the other way round into level->incoming. */
static void
turn_links(OmendbBuildLevel *level)
{
	uint32_t total = 0;

	memset(level->end, 0, level->n * sizeof(uint32_t));
	for (uint32_t i = 0; i < level->n; i++)
		for (uint32_t k = 0; k < level->now_count[i]; k++)
			level->end[level->now[(size_t) i * level->links + k].node - level->first]++;
	for (uint32_t i = 0; i < level->n; i++)
	{
		uint32_t count = level->end[i];

		level->begin[i] = level->end[i] = total;
		total += count;
	}
	for (uint32_t i = 0; i < level->n; i++)
	{
		interruptible(level, i);
		for (uint32_t k = 0; k < level->now_count[i]; k++)
		{
			const OmendbLink *link = &level->now[(size_t) i * level->links + k];

			level->incoming[level->end[link->node - level->first]++] =
				(OmendbLink){link->distance, level->first + i};
		}
	}
}

/* Mark the nodes from which the target is reached, by the turned links. */
static void
reach_back(const OmendbBuildLevel *level, uint32_t target, uint8_t *leads, uint32_t *stack)
{
	uint32_t used = 0;
	uint32_t steps = 0;

	leads[target] = 1;
	stack[used++] = target;
	while (used > 0)
	{
		uint32_t i = stack[--used];

		interruptible(level, steps++);
		for (uint32_t k = level->begin[i]; k < level->end[i]; k++)
		{
			uint32_t other = level->incoming[k].node - level->first;

			if (!leads[other])
			{
				leads[other] = 1;
				stack[used++] = other;
			}
		}
	}
}

/*
 * A slot of the node for one more link: a free one, or the farthest by which
 * nothing is reached that is not reached otherwise. level->links: none.
 */
static uint32_t
spare_slot(const OmendbBuildLevel *level, uint32_t self, const uint32_t *parents)
{
	const OmendbLink *links = &level->now[(size_t) self * level->links];
	uint32_t slot = level->now_count[self];

	if (slot < level->links)
		return slot;
	while (slot > 0 && parents[links[slot - 1].node - level->first] == self)
		slot--;
	return slot == 0 ? level->links : slot - 1;
}

static void
put_link(OmendbBuilder *builder, OmendbBuildLevel *level, uint32_t self, uint32_t slot,
		 OmendbLink link)
{
	level->now[(size_t) self * level->links + slot] = link;
	if (slot == level->now_count[self])
		level->now_count[self]++;
	omendb_chooser_set(&builder->chooser, omendb_array_record(builder->array, level->first + self));
	write_links(builder, level, self);
}

/*
 * Search for the node from the entry; the nodes found are the chooser's
 * candidates, nearest first.
 */
static bool
find_near(OmendbBuilder *builder, OmendbBuildLevel *level, uint32_t self, size_t *n)
{
	OmendbNode node = level->first + self;
	OmendbSearch *search = &builder->search;

	*n = 0;
	omendb_query_set_record(&builder->query, omendb_array_record(builder->array, node));
	if (!omendb_search_begin(search, &builder->query, level->level, level->beam) ||
		!omendb_search_enter(search, omendb_build_entry(level)) || !omendb_search_run(search) ||
		!omendb_chooser_room(&builder->chooser, search->visited_used))
		return false;
	for (size_t i = 0; i < search->visited_used; i++)
		if (search->visited[i].node != node)
			builder->chooser.candidates[(*n)++] =
				(OmendbSelectCandidate){search->visited[i].distance, search->visited[i].node, 0};
	qsort(builder->chooser.candidates, *n, sizeof(OmendbSelectCandidate), by_candidate);
	return true;
}

/*
 * Link an unreached node from the nearest reached one that can spare a slot;
 * by: which, or UNREACHED.
 */
static bool
link_from_near(OmendbBuilder *builder, OmendbBuildLevel *level, uint32_t self,
			   const uint32_t *parents, uint32_t *by)
{
	size_t n;

	*by = UNREACHED;
	if (!find_near(builder, level, self, &n))
		return false;
	for (size_t i = 0; i < n && *by == UNREACHED; i++)
	{
		uint32_t other = builder->chooser.candidates[i].node - level->first;
		uint32_t slot = spare_slot(level, other, parents);

		if (parents[other] == UNREACHED || slot == level->links)
			continue;
		put_link(builder, level, other, slot,
				 (OmendbLink){builder->chooser.candidates[i].distance, level->first + self});
		*by = other;
	}
	/* None near can: any. There is one, a tree of n nodes needs n - 1 links. */
	for (uint32_t i = 0; i < level->n && *by == UNREACHED; i++)
	{
		uint32_t other = level->order[i];
		uint32_t slot = spare_slot(level, other, parents);

		if (parents[other] == UNREACHED || slot == level->links)
			continue;
		put_link(builder, level, other, slot,
				 (OmendbLink){
					 omendb_own_distance(builder->array->codec,
										 omendb_array_record(builder->array, level->first + other),
										 omendb_array_record(builder->array, level->first + self),
										 builder->chooser.scratch),
					 level->first + self});
		*by = other;
	}
	return true;
}

/* Link a node from which the entry is not reached to the nearest that leads there. */
static bool
link_to_near(OmendbBuilder *builder, OmendbBuildLevel *level, uint32_t self,
			 const uint32_t *parents, const uint8_t *leads, bool *linked)
{
	uint32_t slot = spare_slot(level, self, parents);
	size_t n;

	*linked = false;
	if (slot == level->links)
		return true;
	if (!find_near(builder, level, self, &n))
		return false;
	for (size_t i = 0; i < n && !*linked; i++)
	{
		const OmendbSelectCandidate *near = &builder->chooser.candidates[i];

		if (!leads[near->node - level->first])
			continue;
		put_link(builder, level, self, slot, (OmendbLink){near->distance, near->node});
		*linked = true;
	}
	return true;
}

bool
omendb_build_connect(OmendbBuilder *builder, OmendbBuildLevel *level, uint32_t *linked)
{
	const OmendbAllocator *allocator = builder->allocator;
	uint32_t *parents = allocator->resize(allocator->context, NULL, level->n * sizeof(uint32_t));
	uint32_t *stack = allocator->resize(allocator->context, NULL, level->n * sizeof(uint32_t));
	uint8_t *leads = allocator->resize(allocator->context, NULL, level->n);
	bool good = parents && stack && leads;
	uint32_t root = level->order[0];
	bool progress;

	/*
	 * From the root to every node. No link of the tree is replaced, so that each
	 * node linked is one less to do.
	 */
	*linked = 0;
	if (good)
	{
		memset(parents, 0xff, level->n * sizeof(uint32_t));
		reach(level, root, root, parents, stack);
	}
	for (progress = true; good && progress;)
	{
		progress = false;
		for (uint32_t i = 0; i < level->n && good; i++)
		{
			uint32_t by;

			if (parents[i] != UNREACHED)
				continue;
			interruptible(level, 0);
			good = link_from_near(builder, level, i, parents, &by);
			if (good && by != UNREACHED)
			{
				(*linked)++;
				progress = true;
				reach(level, i, by, parents, stack);
			}
		}
	}

	/*
	 * From every node to the root, for a search may come down anywhere. What a
	 * replaced link led to does not lead to the root either.
	 */
	if (good)
	{
		memset(leads, 0, level->n);
		turn_links(level);
		reach_back(level, root, leads, stack);
	}
	for (progress = true; good && progress;)
	{
		progress = false;
		for (uint32_t i = 0; i < level->n && good; i++)
		{
			bool made;

			if (leads[i])
				continue;
			interruptible(level, 0);
			good = link_to_near(builder, level, i, parents, leads, &made);
			if (good && made)
			{
				(*linked)++;
				progress = true;
				reach_back(level, i, leads, stack);
			}
		}
	}
	if (parents)
		allocator->release(allocator->context, parents);
	if (stack)
		allocator->release(allocator->context, stack);
	if (leads)
		allocator->release(allocator->context, leads);
	return good;
}
