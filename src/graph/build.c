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
	OmendbSelectCandidate *candidates;
	size_t candidates_room;
	uint8_t *codes; /* of the first OMENDB_SELECT_MAX candidates */
	float *own;     /* the node's vector, stored space */
	float *own_code;
	float *other;
	float *other_code;
	float *scratch; /* for omendb_own_distance */
	const float *own_in_code; /* own_code or own */
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
	const OmendbLayout *layout = &codec->layout;
	size_t floats = layout->own == OMENDB_OWN_BITS ? 1 : layout->dimensions + OMENDB_CODE_ALIGN;
	size_t code_floats = omendb_code_floats(codec) + 1;
	OmendbBuilder *builder = allocator->resize(allocator->context, NULL, sizeof(OmendbBuilder));
	float *memory;

	if (!builder)
		return NULL;
	memset(builder, 0, sizeof(*builder));
	builder->array = array;
	builder->allocator = allocator;
	omendb_search_init(&builder->search, &omendb_array_ops, array, allocator,
	                   omendb_layout_is_coded(layout));
	builder->query_memory =
		allocator->resize(allocator->context, NULL, omendb_query_bytes(codec) + 1);
	memory = allocator->resize(allocator->context, NULL,
	                           (4 * floats + 2 * code_floats) * sizeof(float));
	builder->codes = allocator->resize(allocator->context, NULL,
	                                   OMENDB_SELECT_MAX * omendb_code_bytes(layout) + 1);
	builder->own = memory;
	if (!builder->query_memory || !memory || !builder->codes)
	{
		omendb_builder_free(builder);
		return NULL;
	}
	memset(memory, 0, (4 * floats + 2 * code_floats) * sizeof(float));
	builder->other = memory + floats;
	builder->scratch = memory + 2 * floats;
	builder->own_code = memory + 4 * floats;
	builder->other_code = builder->own_code + code_floats;
	omendb_query_init(&builder->query, codec, builder->query_memory);
	return builder;
}

void
omendb_builder_free(OmendbBuilder *builder)
{
	const OmendbAllocator *allocator = builder->allocator;

	omendb_search_free(&builder->search);
	if (builder->query_memory)
		allocator->release(allocator->context, builder->query_memory);
	if (builder->own)
		allocator->release(allocator->context, builder->own);
	if (builder->codes)
		allocator->release(allocator->context, builder->codes);
	if (builder->candidates)
		allocator->release(allocator->context, builder->candidates);
	allocator->release(allocator->context, builder);
}

static bool
room_for_candidates(OmendbBuilder *builder, size_t n)
{
	const OmendbAllocator *allocator = builder->allocator;
	void *grown;

	if (n <= builder->candidates_room)
		return true;
	n += n / 2;
	grown = allocator->resize(allocator->context, builder->candidates,
	                          n * sizeof(OmendbSelectCandidate));
	if (!grown)
		return false;
	builder->candidates = grown;
	builder->candidates_room = n;
	return true;
}

static int
by_distance(const void *a, const void *b)
{
	const OmendbSelectCandidate *x = a;
	const OmendbSelectCandidate *y = b;

	if (x->distance != y->distance)
		return x->distance < y->distance ? -1 : 1;
	return x->node < y->node ? -1 : x->node > y->node;
}

static float
pair_distance(void *context, uint32_t i, uint32_t j)
{
	OmendbBuilder *builder = context;

	return omendb_own_distance(builder->array->codec,
	                           omendb_array_record(builder->array, builder->candidates[i].node),
	                           omendb_array_record(builder->array, builder->candidates[j].node),
	                           builder->scratch);
}

/* The code-space vector of a record. */
static const float *
in_code_space(const OmendbBuilder *builder, OmendbNode node, float *stored, float *code)
{
	omendb_own_decode(builder->array->codec, omendb_array_record(builder->array, node), stored);
	return omendb_code_vector(builder->array->codec, stored, code);
}

static void
set_own(OmendbBuilder *builder, OmendbNode node)
{
	if (omendb_layout_is_coded(&builder->array->codec->layout))
		builder->own_in_code = in_code_space(builder, node, builder->own, builder->own_code);
}

static const uint8_t *
candidate_code(void *context, uint32_t i)
{
	OmendbBuilder *builder = context;
	const OmendbLayout *layout = &builder->array->codec->layout;
	uint8_t *code = builder->codes + i * omendb_code_bytes(layout);
	float abs_sum;
	float signed_sum;

	omendb_kernels.residual_code(builder->own_in_code,
	                             in_code_space(builder, builder->candidates[i].node,
	                                           builder->other, builder->other_code),
	                             layout->code_bits, code, &abs_sum, &signed_sum);
	return code;
}

/*
 * Of the first n of builder->candidates (sorted here) choose neighbours for
 * the node that set_own was called for.
 */
static uint32_t
choose(OmendbBuilder *builder, size_t n, uint32_t want, OmendbLink *out)
{
	const OmendbLayout *layout = &builder->array->codec->layout;
	OmendbSelectInput input = {pair_distance, candidate_code, builder, omendb_code_bytes(layout)};
	uint16_t chosen[OMENDB_MAX_LINKS];
	uint32_t count;

	qsort(builder->candidates, n, sizeof(OmendbSelectCandidate), by_distance);
	if (!omendb_layout_is_coded(layout))
		input.code = NULL;
	count = omendb_select(builder->candidates, n < OMENDB_SELECT_MAX ? n : OMENDB_SELECT_MAX,
	                      want, &input, chosen);
	for (uint32_t i = 0; i < count; i++)
		out[i] = (OmendbLink){builder->candidates[chosen[i]].distance,
		                      builder->candidates[chosen[i]].node};
	return count;
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
		if (!room_for_candidates(builder, level->to))
			return false;
		for (uint32_t i = level->from; i < level->to; i++)
			if (i != position)
			{
				OmendbNode other = level->first + level->order[i];

				builder->candidates[n++] = (OmendbSelectCandidate){
					omendb_own_distance(builder->array->codec,
				                        omendb_array_record(builder->array, node),
				                        omendb_array_record(builder->array, other),
				                        builder->scratch),
					other, 0};
			}
	}
	else
	{
		omendb_query_set_record(&builder->query, omendb_array_record(builder->array, node));
		if (!omendb_search_begin(search, &builder->query, level->level,
		                         level->refines ? level->beam : level->rough_beam) ||
		    !omendb_search_enter(search, omendb_build_entry(level)) ||
		    !omendb_search_run(search) ||
		    !room_for_candidates(builder, search->visited_used + level->links))
			return false;
		for (size_t i = 0; i < search->visited_used; i++)
			if (search->visited[i].node != node)
				builder->candidates[n++] = (OmendbSelectCandidate){search->visited[i].distance,
				                                                   search->visited[i].node, 0};
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
				builder->candidates[n++] =
					(OmendbSelectCandidate){link->distance, link->node, 0};
		}
	}
	set_own(builder, node);
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

		for (uint32_t k = 0; k < level->next_count[i]; k++)
			level->incoming[level->end[links[k].node - level->first]++] =
				(OmendbLink){links[k].distance, level->first + i};
	}
}

static void
write_links(OmendbBuilder *builder, OmendbBuildLevel *level, uint32_t self)
{
	const OmendbCodec *codec = builder->array->codec;
	OmendbNode node = level->first + self;
	OmendbRecord *record = omendb_array_record(builder->array, node);
	const OmendbLink *links = &level->now[(size_t) self * level->links];
	bool coded = omendb_layout_is_coded(&codec->layout);

	for (uint32_t i = 0; i < level->now_count[self]; i++)
	{
		const OmendbRecord *other = omendb_array_record(builder->array, links[i].node);
		const float *x =
			coded ? in_code_space(builder, links[i].node, builder->other, builder->other_code)
				  : NULL;

		omendb_edge_encode(codec, record, i, links[i].node, builder->own_in_code, x,
		                   links[i].distance, record->norm2, other->norm2);
	}
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
	if (!room_for_candidates(builder, count + (level->end[self] - level->begin[self])))
		return false;
	for (uint32_t i = 0; i < count; i++)
		builder->candidates[i] = (OmendbSelectCandidate){base[i].distance, base[i].node, 0};
	for (uint32_t i = level->begin[self]; i < level->end[self]; i++)
	{
		bool fresh = true;

		for (uint32_t k = 0; k < count && fresh; k++)
			fresh = base[k].node != level->incoming[i].node;
		if (fresh)
			builder->candidates[n++] = (OmendbSelectCandidate){level->incoming[i].distance,
			                                                   level->incoming[i].node, 0};
	}
	set_own(builder, level->first + self);
	if (n <= level->links)
	{
		qsort(builder->candidates, n, sizeof(OmendbSelectCandidate), by_distance);
		for (size_t i = 0; i < n; i++)
			out[i] = (OmendbLink){builder->candidates[i].distance, builder->candidates[i].node};
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

	reached[start] = 1;
	stack[used++] = start;
	while (used > 0)
	{
		uint32_t i = stack[--used];
		const OmendbLink *links = &level->now[(size_t) i * level->links];

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
	    !room_for_candidates(builder, search->visited_used))
		return false;
	for (size_t i = 0; i < search->visited_used; i++)
		if (reached[search->visited[i].node - level->first])
			builder->candidates[n++] = (OmendbSelectCandidate){search->visited[i].distance,
			                                                   search->visited[i].node, 0};
	qsort(builder->candidates, n, sizeof(OmendbSelectCandidate), by_distance);
	for (size_t i = 0; i < n && !*linked; i++)
	{
		uint32_t other = builder->candidates[i].node - level->first;
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
		links[slot] = (OmendbLink){builder->candidates[i].distance, node};
		in_degree[self]++;
		set_own(builder, level->first + other);
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
	/* A replaced link may cut off others: look again until all are reached. */
	while (good && progress)
	{
		progress = false;
		memset(reached, 0, level->n);
		if (reach(level, level->order[0], reached, stack) == level->n)
			break;
		memset(in_degree, 0, level->n * sizeof(uint32_t));
		for (uint32_t i = 0; i < level->n; i++)
			for (uint32_t k = 0; k < level->now_count[i]; k++)
				in_degree[level->now[(size_t) i * level->links + k].node - level->first]++;
		for (uint32_t i = 0; i < level->n && good; i++)
		{
			bool made;

			if (reached[i])
				continue;
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
