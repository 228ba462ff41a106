/*
 * build.c
 *	  The phases of a graph's build in memory.
 */
#include <stdlib.h>
#include <string.h>

#include "graph/builder.h"
#include "graph/parts.h"

/*
 * Lengths of a level's vectors under the inner product: a sample, and the ratio of its
 * 95th to its 5th percentile up to which the level is made from a partition (measured:
 * bench/README.md, "Bulk build").
 */
#define LENGTH_SAMPLE     512
#define MOST_LENGTH_RATIO 2.2f

/* So many nodes start a level: each is compared with all others of them. */
#define FIRST_ROUND 64

static inline const OmendbLayout *
layout_of(const OmendbBuildLevel *level)
{
	return &level->array->codec->layout;
}

/*
 * Are lengths, all but one in ten, within so small a range that near rows by the inner
 * product are near by distance, too? A partition by distance does not bring a row
 * together with the long ones that are its neighbours otherwise.
 */
static bool
lengths_are_alike(const OmendbBuildLevel *level)
{
	float norms[LENGTH_SAMPLE];
	uint32_t n = level->n < LENGTH_SAMPLE ? level->n : LENGTH_SAMPLE;

	for (uint32_t s = 0; s < n; s++)
		norms[s] = build_record(level, (uint32_t) ((uint64_t) s * level->n / n))->norm2;
	qsort(norms, n, sizeof(float), build_by_number);
	return norms[n - 1 - n / 20] <= MOST_LENGTH_RATIO * MOST_LENGTH_RATIO * norms[n / 20];
}

static size_t
attach_rounds(OmendbBuildLevel *level, void *memory)
{
	size_t n = level->n;
	size_t pairs = n * level->edges;
	size_t used = 0;

	level->order = build_part(memory, &used, n * sizeof(uint32_t));
	level->begin = build_part(memory, &used, n * sizeof(uint32_t));
	level->end = build_part(memory, &used, n * sizeof(uint32_t));
	level->incoming = build_part(memory, &used, pairs * sizeof(OmendbEdge));
	level->now = build_part(memory, &used, pairs * sizeof(OmendbEdge));
	level->next = build_part(memory, &used, pairs * sizeof(OmendbEdge));
	level->now_count = build_part(memory, &used, n * sizeof(uint16_t));
	level->next_count = build_part(memory, &used, n * sizeof(uint16_t));
	level->turned = (uint32_t *) level->incoming;
	return used;
}

/*
 * What connecting needs lies where rows and codes were before. The order, and which rows lie
 * apart, are wanted later.
 */
static size_t
attach_bulk(OmendbBuildLevel *level, void *memory)
{
	size_t n = level->n;
	size_t used = 0;
	size_t bulk;

	level->order = build_part(memory, &used, n * sizeof(uint32_t));
	level->bulk.apart = build_part(memory, &used, n * sizeof(OmendbApart));
	bulk = used +
		   omendb_bulk_attach(&level->bulk, level->n, memory ? (uint8_t *) memory + used : NULL);
	level->bulk.order = level->order;
	level->begin = build_part(memory, &used, n * sizeof(uint32_t));
	level->end = build_part(memory, &used, n * sizeof(uint32_t));
	level->turned = build_part(memory, &used, n * level->edges * sizeof(uint32_t));
	return used > bulk ? used : bulk;
}

size_t
omendb_build_prepare(OmendbBuildLevel *level)
{
	const OmendbLayout *layout = layout_of(level);

	level->phase = OMENDB_BUILD_NEW;
	level->window = 0;
	level->in_window = level->n;
	level->in_parts = level->led = false;
	level->in_bulk = omendb_layout_is_coded(layout) &&
					 (layout->metric != OMENDB_METRIC_IP || lengths_are_alike(level));
	if (!level->in_bulk)
		return attach_rounds(level, NULL);
	omendb_bulk_set(&level->bulk, layout, level->n, level->edges, level->ef_construction);
	return attach_bulk(level, NULL);
}

size_t
omendb_build_bytes(const OmendbLayout *layout, uint32_t n, uint32_t ef_construction)
{
	OmendbBuildLevel level = {.n = n, .edges = layout->edges, .ef_construction = ef_construction};

	size_t rounds = attach_rounds(&level, NULL);
	size_t bulk;

	if (!omendb_layout_is_coded(layout))
		return rounds;
	omendb_bulk_set(&level.bulk, layout, n, level.edges, ef_construction);
	bulk = attach_bulk(&level, NULL);
	/* Which way it will be is known by the vectors alone. */
	return layout->metric == OMENDB_METRIC_IP && rounds > bulk ? rounds : bulk;
}

void
omendb_build_attach(OmendbBuildLevel *level, void *memory)
{
	if (level->in_parts)
		omendb_parts_attach(level, memory);
	else if (level->in_bulk)
		attach_bulk(level, memory);
	else
		attach_rounds(level, memory);
}

/* In which of 32 rounds a node joins: half of the rest each time, backwards. */
static unsigned
round_of(const OmendbBuildLevel *level, uint32_t i)
{
	uint64_t hash = omendb_hash64(level->seed + (level->first + (uint64_t) i));

	return hash == 0 ? 31 : (unsigned) __builtin_ctzll(hash) & 31;
}

/* The order in which nodes join. */
static void
begin_rounds(OmendbBuildLevel *level)
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
}

OmendbNode
omendb_build_entry(const OmendbBuildLevel *level)
{
	return level->first + level->order[0];
}

/* Set the step; step counts from 0. False when the level is complete. */
static bool
set_step(OmendbBuildLevel *level, uint32_t step)
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
	if (step - round > level->passes || level->n <= FIRST_ROUND)
		return false;
	level->refines = true;
	level->joined = level->n;
	level->from = 0;
	level->to = level->n;
	return true;
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
	omendb_bulk_work_free(&builder->bulk, allocator);
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
choose(OmendbBuilder *builder, size_t n, uint32_t want, OmendbEdge *out)
{
	OmendbChooser *chooser = &builder->chooser;
	uint16_t chosen[OMENDB_MAX_EDGES];
	uint32_t count = omendb_choose(chooser, n, want, candidate_record, builder->array, chosen);

	for (uint32_t i = 0; i < count; i++)
		out[i] = (OmendbEdge){chooser->candidates[chosen[i]].distance,
							  chooser->candidates[chosen[i]].node};
	return count;
}

static int
by_edge(const void *a, const void *b)
{
	const OmendbEdge *x = a;
	const OmendbEdge *y = b;

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
		if (!omendb_chooser_reserve(&builder->chooser, level->to))
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
								 level->refines ? level->beam : level->ef_construction) ||
			!omendb_search_enter(search, omendb_build_entry(level)) || !omendb_search_run(search) ||
			!omendb_chooser_reserve(&builder->chooser, search->visited_used + level->edges))
			return false;
		for (size_t i = 0; i < search->visited_used; i++)
			if (search->visited[i].node != node)
				builder->chooser.candidates[n++] = (OmendbSelectCandidate){
					search->visited[i].distance, search->visited[i].node, 0};
		for (uint32_t i = 0; i < level->now_count[self]; i++)
		{
			OmendbEdge *edge = &level->now[(size_t) self * level->edges + i];
			bool fresh = true;

			if (search->coded)
				fresh = !omendb_search_has_visited(search, edge->node);
			else
				for (size_t k = 0; k < search->visited_used && fresh; k++)
					fresh = search->visited[k].node != edge->node;
			if (fresh)
				builder->chooser.candidates[n++] =
					(OmendbSelectCandidate){edge->distance, edge->node, 0};
		}
	}
	omendb_chooser_set(&builder->chooser, omendb_array_record(builder->array, node));
	level->next_count[self] =
		choose(builder, n, level->refines ? level->edges : (level->edges + 1) / 2,
			   &level->next[(size_t) self * level->edges]);
	return true;
}

/* Who was chosen by whom. */
static void
gather(OmendbBuildLevel *level)
{
	uint32_t total = 0;

	memset(level->end, 0, level->n * sizeof(uint32_t));
	for (uint32_t p = level->from; p < level->to; p++)
	{
		uint32_t i = level->order[p];
		const OmendbEdge *edges = &level->next[(size_t) i * level->edges];

		build_interruptible(level, p);
		for (uint32_t k = 0; k < level->next_count[i]; k++)
			level->end[edges[k].node - level->first]++;
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
		const OmendbEdge *edges = &level->next[(size_t) i * level->edges];

		build_interruptible(level, p);
		for (uint32_t k = 0; k < level->next_count[i]; k++)
			level->incoming[level->end[edges[k].node - level->first]++] =
				(OmendbEdge){edges[k].distance, level->first + i};
	}
}

static void
write_edges(OmendbBuilder *builder, OmendbBuildLevel *level, uint32_t self)
{
	OmendbRecord *record = omendb_array_record(builder->array, level->first + self);
	const OmendbEdge *edges = &level->now[(size_t) self * level->edges];

	omendb_edge_clear(&builder->array->codec->layout, record);
	for (uint32_t i = 0; i < level->now_count[self]; i++)
		omendb_edge_write(&builder->chooser, record, i, edges[i].node,
						  omendb_array_record(builder->array, edges[i].node), edges[i].distance);
	record->count = level->now_count[self];
}

static bool
merge_node(OmendbBuilder *builder, OmendbBuildLevel *level, uint32_t position)
{
	uint32_t self = level->order[position];
	bool searched = position >= level->from;
	const OmendbEdge *base = &(searched ? level->next : level->now)[(size_t) self * level->edges];
	uint32_t count = searched ? level->next_count[self] : level->now_count[self];
	OmendbEdge *out = &level->now[(size_t) self * level->edges];
	size_t n = count;

	if (!searched && level->begin[self] == level->end[self])
		return true;
	if (!omendb_chooser_reserve(&builder->chooser, count + (level->end[self] - level->begin[self])))
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
	if (n <= level->edges)
	{
		for (size_t i = 0; i < n; i++)
			out[i] = (OmendbEdge){builder->chooser.candidates[i].distance,
								  builder->chooser.candidates[i].node};
		qsort(out, n, sizeof(OmendbEdge), by_edge);
		level->now_count[self] = n;
	}
	else
		level->now_count[self] = choose(builder, n, level->edges, out);
	write_edges(builder, level, self);
	return true;
}

/* ---------------------------------------------------------------- phases */

static bool
next_of_rounds(OmendbBuildLevel *level)
{
	switch (level->phase)
	{
		case OMENDB_BUILD_NEW:
			memset(level->now_count, 0, level->n * sizeof(uint16_t));
			memset(level->next_count, 0, level->n * sizeof(uint16_t));
			begin_rounds(level);
			level->step = 0;
			break;
		case OMENDB_BUILD_SEARCH:
			gather(level);
			level->phase = OMENDB_BUILD_MERGE;
			return true;
		default:
			level->step++;
	}
	level->phase = set_step(level, level->step) ? OMENDB_BUILD_SEARCH : OMENDB_BUILD_DONE;
	return true;
}

/* The builder's work space for the level. */
static bool
set_bulk_work(OmendbBuilder *builder, OmendbBuildLevel *level)
{
	if (!builder->bulk_set || builder->bulk_level != level->level ||
		builder->bulk_leaders != level->bulk.leaders)
	{
		builder->bulk_set = omendb_bulk_work(&builder->bulk, level, builder->allocator);
		builder->bulk_level = level->level;
		builder->bulk_leaders = level->bulk.leaders;
	}
	builder->bulk.level = level;
	builder->bulk.bulk = &level->bulk;
	return builder->bulk_set;
}

static bool
next_of_bulk(OmendbBuilder *builder, OmendbBuildLevel *level)
{
	if (!set_bulk_work(builder, level))
		return false;
	switch (level->phase)
	{
		case OMENDB_BUILD_NEW:
			level->phase = OMENDB_BUILD_QUANTIZE;
			return level->led || omendb_bulk_start(&builder->bulk);
		case OMENDB_BUILD_QUANTIZE:
			level->phase = OMENDB_BUILD_CHOOSE;
			if (level->bulk.leaders > 0)
			{
				if (!level->led)
					omendb_bulk_lead(&builder->bulk);
				level->led = true;
				level->phase = OMENDB_BUILD_ASSIGN;
			}
			return true;
		case OMENDB_BUILD_ASSIGN:
			if (level->in_parts)
			{
				level->phase = OMENDB_BUILD_DONE;
				return true;
			}
			omendb_bulk_cluster(level);
			level->phase = OMENDB_BUILD_LEAVES;
			return true;
		case OMENDB_BUILD_LEAVES:
			level->phase = OMENDB_BUILD_CHOOSE;
			return true;
		default:
			level->phase = OMENDB_BUILD_DONE;
			return true;
	}
}

bool
omendb_build_next(OmendbBuilder *builder, OmendbBuildLevel *level)
{
	return level->in_bulk ? next_of_bulk(builder, level) : next_of_rounds(level);
}

uint32_t
omendb_build_phase_size(const OmendbBuildLevel *level)
{
	return level->phase == OMENDB_BUILD_SEARCH  ? level->to - level->from
		   : level->phase == OMENDB_BUILD_MERGE ? level->to
												: omendb_bulk_positions(level, level->phase);
}

uint32_t
omendb_build_phase_take(const OmendbBuildLevel *level)
{
	return level->phase == OMENDB_BUILD_LEAVES ? 1 : 64;
}

uint32_t
omendb_build_phase_nodes(const OmendbBuildLevel *level, uint32_t positions)
{
	return level->phase == OMENDB_BUILD_SEARCH
			   ? level->from + positions
			   : (uint32_t) ((uint64_t) positions * level->in_window /
							 omendb_build_phase_size(level));
}

bool
omendb_build_chunk(OmendbBuilder *builder, OmendbBuildLevel *level, uint32_t from, uint32_t to)
{
	bool good = !level->in_bulk || set_bulk_work(builder, level);

	for (uint32_t i = from; i < to && good; i++)
		switch (level->phase)
		{
			case OMENDB_BUILD_SEARCH:
				good = search_node(builder, level, level->from + i);
				break;
			case OMENDB_BUILD_MERGE:
				good = merge_node(builder, level, i);
				break;
			default:
				good = omendb_bulk_position(&builder->bulk, level->phase, i);
		}
	return good;
}
