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

/* How often omendb_build_connect looks for nodes that are not reached. */
#define CONNECT_PASSES 16

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

/* Mark what can be reached from the node; returns how many were new. */
static uint32_t
reach(const OmendbBuildLevel *level, uint32_t start, uint8_t *reached, uint32_t *stack)
{
	uint32_t used = 0;
	uint32_t marked = 1;
	uint32_t steps = 0;

	reached[start] = 1;
	stack[used++] = start;
	while (used > 0)
	{
		uint32_t i = stack[--used];
		const OmendbLink *links = &level->now[(size_t) i * level->links];

		interruptible(level, steps++);
		for (uint32_t k = 0; k < level->now_count[i]; k++)
		{
			uint32_t other = links[k].node - level->first;

			if (!reached[other])
			{
				reached[other] = 1;
				marked++;
				stack[used++] = other;
			}
		}
	}
	return marked;
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

/*
 * Link an unreached node from the nearest reached one that has room, or that
 * has a neighbour which others link to as well. in_degree of all nodes.
 */
static bool
link_unreached(OmendbBuilder *builder, OmendbBuildLevel *level, uint32_t self,
			   const uint8_t *reached, uint32_t *in_degree, bool *linked)
{
	OmendbNode node = level->first + self;
	OmendbSearch *search = &builder->search;
	size_t n = 0;

	*linked = false;
	omendb_query_set_record(&builder->query, omendb_array_record(builder->array, node));
	if (!omendb_search_begin(search, &builder->query, level->level, level->beam) ||
		!omendb_search_enter(search, omendb_build_entry(level)) || !omendb_search_run(search) ||
		!omendb_chooser_room(&builder->chooser, search->visited_used))
		return false;
	for (size_t i = 0; i < search->visited_used; i++)
		if (reached[search->visited[i].node - level->first])
			builder->chooser.candidates[n++] =
				(OmendbSelectCandidate){search->visited[i].distance, search->visited[i].node, 0};
	qsort(builder->chooser.candidates, n, sizeof(OmendbSelectCandidate), by_candidate);
	for (size_t i = 0; i < n && !*linked; i++)
	{
		uint32_t other = builder->chooser.candidates[i].node - level->first;
		OmendbLink *links = &level->now[(size_t) other * level->links];
		bool full = level->now_count[other] == level->links;
		uint32_t slot = level->now_count[other];

		if (full)
		{
			/* the farthest that is reached in other ways as well */
			while (slot > 0 && in_degree[links[slot - 1].node - level->first] < 3)
				slot--;
			if (slot == 0)
				continue;
			slot--;
			in_degree[links[slot].node - level->first]--;
		}
		else
			level->now_count[other]++;
		links[slot] = (OmendbLink){builder->chooser.candidates[i].distance, node};
		in_degree[self]++;
		omendb_chooser_set(&builder->chooser,
						   omendb_array_record(builder->array, level->first + other));
		write_links(builder, level, other);
		*linked = true;
	}
	return true;
}

bool
omendb_build_connect(OmendbBuilder *builder, OmendbBuildLevel *level, uint32_t *linked)
{
	const OmendbAllocator *allocator = builder->allocator;
	uint8_t *reached = allocator->resize(allocator->context, NULL, level->n);
	uint32_t *stack = allocator->resize(allocator->context, NULL, level->n * sizeof(uint32_t));
	uint32_t *in_degree = allocator->resize(allocator->context, NULL, level->n * sizeof(uint32_t));
	bool good = reached && stack && in_degree;
	bool progress = true;

	*linked = 0;
	/*
	 * A replaced link may cut off others: look again until all are reached, or
	 * it seems that they only change places.
	 */
	for (int i = 0; i < CONNECT_PASSES && good && progress; i++)
	{
		progress = false;
		memset(reached, 0, level->n);
		if (reach(level, level->order[0], reached, stack) == level->n)
			break;
		memset(in_degree, 0, level->n * sizeof(uint32_t));
		for (uint32_t i = 0; i < level->n; i++)
		{
			interruptible(level, i);
			for (uint32_t k = 0; k < level->now_count[i]; k++)
				in_degree[level->now[(size_t) i * level->links + k].node - level->first]++;
		}
		for (uint32_t i = 0; i < level->n && good; i++)
		{
			bool made;

			if (reached[i])
				continue;
			interruptible(level, 0);
			good = link_unreached(builder, level, i, reached, in_degree, &made);
			if (good && made)
			{
				(*linked)++;
				progress = true;
				reach(level, i, reached, stack);
			}
		}
	}
	if (reached)
		allocator->release(allocator->context, reached);
	if (stack)
		allocator->release(allocator->context, stack);
	if (in_degree)
		allocator->release(allocator->context, in_degree);
	return good;
}
