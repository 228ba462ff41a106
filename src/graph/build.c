/*
 * build.c
 *	  The phases of a level's build in memory: rounds here, the bulk build in bulk.c.
 */
#include <stdlib.h>
#include <string.h>

#include "graph/builder.h"

/*
 * Inner product: maximum number of vectors whose lengths are sampled, and maximum ratio of the 95th
 * to the 5th percentile of these lengths for a bulk build (bench/README.md, "Bulk build").
 */
#define LENGTH_SAMPLE     512
#define MOST_LENGTH_RATIO 2.2f

/* Number of nodes of the first round: each is compared with all others of them. */
#define FIRST_ROUND 64

static inline const OmendbLayout *
layout_of(const OmendbBuildLevel *level)
{
	return &level->array->codec->layout;
}

/*
 * True if nine in ten lengths are in so small a range that rows near by the inner product are near by
 * distance, too. Otherwise long rows are neighbours of rows with which a partition by distance
 * does not bring them together.
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

	level->order = build_carve(memory, &used, n * sizeof(uint32_t));
	level->reverse.begin = build_carve(memory, &used, n * sizeof(uint32_t));
	level->reverse.end = build_carve(memory, &used, n * sizeof(uint32_t));
	level->rounds.incoming = build_carve(memory, &used, pairs * sizeof(OmendbEdge));
	level->rounds.current = build_carve(memory, &used, pairs * sizeof(OmendbEdge));
	level->rounds.chosen = build_carve(memory, &used, pairs * sizeof(OmendbEdge));
	level->rounds.current_count = build_carve(memory, &used, n * sizeof(uint16_t));
	level->rounds.chosen_count = build_carve(memory, &used, n * sizeof(uint16_t));
	level->reverse.nodes = (uint32_t *) level->rounds.incoming;
	return used;
}

/*
 * Reverse edges, which omendb_build_connect makes, take the place of rows and clusters. The order
 * and bulk.apart are needed after that.
 */
static size_t
attach_bulk(OmendbBuildLevel *level, void *memory)
{
	size_t n = level->n;
	size_t used = 0;
	size_t bulk;

	level->order = build_carve(memory, &used, n * sizeof(uint32_t));
	level->bulk.apart = build_carve(memory, &used, n * sizeof(OmendbApart));
	bulk = used +
		   omendb_bulk_attach(&level->bulk, level->n, memory ? (uint8_t *) memory + used : NULL);
	level->bulk.order = level->order;
	level->reverse.begin = build_carve(memory, &used, n * sizeof(uint32_t));
	level->reverse.end = build_carve(memory, &used, n * sizeof(uint32_t));
	level->reverse.nodes = build_carve(memory, &used, n * level->edges * sizeof(uint32_t));
	return used > bulk ? used : bulk;
}

size_t
omendb_build_prepare(OmendbBuildLevel *level)
{
	const OmendbLayout *layout = layout_of(level);

	level->phase = OMENDB_BUILD_NEW;
	level->window.first = 0;
	level->window.n = level->n;
	level->parts.on = level->bulk.leaders.chosen = false;
	level->in_bulk = omendb_layout_is_coded(layout) &&
					 (layout->metric != OMENDB_METRIC_IP || lengths_are_alike(level));
	if (!level->in_bulk)
		return attach_rounds(level, NULL);
	omendb_bulk_set_shape(&level->bulk, layout, level->n, level->edges,
						  level->options.ef_construction);
	return attach_bulk(level, NULL);
}

size_t
omendb_build_bytes(const OmendbLayout *layout, uint32_t n, uint32_t ef_construction)
{
	OmendbBuildLevel level = {.n = n, .edges = layout->edges};
	size_t rounds = attach_rounds(&level, NULL);
	size_t bulk;

	if (!omendb_layout_is_coded(layout))
		return rounds;
	omendb_bulk_set_shape(&level.bulk, layout, n, level.edges, ef_construction);
	bulk = attach_bulk(&level, NULL);
	/* Inner product: the vectors decide between bulk build and rounds. */
	return layout->metric == OMENDB_METRIC_IP && rounds > bulk ? rounds : bulk;
}

void
omendb_build_attach(OmendbBuildLevel *level, void *memory)
{
	if (level->parts.on)
		omendb_parts_attach(level, memory);
	else if (level->in_bulk)
		attach_bulk(level, memory);
	else
		attach_rounds(level, memory);
}

/* The round of a node, of 32 in reverse order: 0 for half of the nodes, 1 for half of the rest, .. */
static unsigned
round_of(const OmendbBuildLevel *level, uint32_t i)
{
	uint64_t hash = omendb_hash64(level->options.seed + (level->first + (uint64_t) i));

	return hash == 0 ? 31 : (unsigned) __builtin_ctzll(hash) & 31;
}

/* Set the order in which nodes join. */
static void
order_nodes(OmendbBuildLevel *level)
{
	uint32_t starts[33] = {0};

	/* A counting sort; round 31 comes first. */
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

/* Begin a turn; turns count from 0. False when the level is complete. */
static bool
begin_turn(OmendbBuildLevel *level, uint32_t turn)
{
	uint32_t size = FIRST_ROUND;
	uint32_t joined = 0;
	uint32_t round = 0;

	/* size: number of nodes in the graph after that round */
	for (;; round++)
	{
		if (size > level->n)
			size = level->n;
		if (round == turn)
		{
			level->rounds.refines = false;
			level->rounds.joined = joined;
			level->rounds.from = joined;
			level->rounds.to = size;
			return true;
		}
		if (size == level->n)
			break;
		joined = size;
		size = size > UINT32_MAX / 2 ? UINT32_MAX : size * 2;
	}
	/* A level of one round was compared all with all: passes would change nothing. */
	if (turn - round > level->options.passes || level->n <= FIRST_ROUND)
		return false;
	level->rounds.refines = true;
	level->rounds.joined = level->n;
	level->rounds.from = 0;
	level->rounds.to = level->n;
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
	omendb_bulk_free_work(&builder->bulk, allocator);
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
 * Choose at most `want` of the chooser's first n candidates as neighbours of the node that
 * omendb_chooser_set was called for. Returns their number.
 */
static uint32_t
choose_neighbours(OmendbBuilder *builder, size_t n, uint32_t want, OmendbEdge *out)
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

/*
 * SEARCH, one position: find candidates for a joining node, and choose its neighbours. A node joins
 * with half of its edges, for reverse edges need the others.
 */
static bool
choose_for_node(OmendbBuilder *builder, OmendbBuildLevel *level, uint32_t position)
{
	uint32_t self = level->order[position];
	OmendbNode node = level->first + self;
	OmendbSearch *search = &builder->search;
	size_t n = 0;

	if (level->rounds.joined == 0)
	{
		/* The first round: all its other nodes. */
		if (!omendb_chooser_reserve(&builder->chooser, level->rounds.to))
			return false;
		for (uint32_t i = level->rounds.from; i < level->rounds.to; i++)
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
								 level->rounds.refines ? level->options.beam
													   : level->options.ef_construction) ||
			!omendb_search_enter(search, omendb_build_entry(level)) || !omendb_search_run(search) ||
			!omendb_chooser_reserve(&builder->chooser, search->visited_used + level->edges))
			return false;
		for (size_t i = 0; i < search->visited_used; i++)
			if (search->visited[i].node != node)
				builder->chooser.candidates[n++] = (OmendbSelectCandidate){
					search->visited[i].distance, search->visited[i].node, 0};
		for (uint32_t i = 0; i < level->rounds.current_count[self]; i++)
		{
			OmendbEdge *edge = &level->rounds.current[(size_t) self * level->edges + i];
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
	level->rounds.chosen_count[self] =
		choose_neighbours(builder, n, level->rounds.refines ? level->edges : (level->edges + 1) / 2,
						  &level->rounds.chosen[(size_t) self * level->edges]);
	return true;
}

/* Collect the chosen edges of the turn by the nodes they lead to. */
static void
collect_reverse_edges(OmendbBuildLevel *level)
{
	uint32_t total = 0;

	memset(level->reverse.end, 0, level->n * sizeof(uint32_t));
	for (uint32_t p = level->rounds.from; p < level->rounds.to; p++)
	{
		uint32_t i = level->order[p];
		const OmendbEdge *edges = &level->rounds.chosen[(size_t) i * level->edges];

		build_interruptible(level, p);
		for (uint32_t k = 0; k < level->rounds.chosen_count[i]; k++)
			level->reverse.end[edges[k].node - level->first]++;
	}
	for (uint32_t i = 0; i < level->n; i++)
	{
		uint32_t count = level->reverse.end[i];

		level->reverse.begin[i] = level->reverse.end[i] = total;
		total += count;
	}
	for (uint32_t p = level->rounds.from; p < level->rounds.to; p++)
	{
		uint32_t i = level->order[p];
		const OmendbEdge *edges = &level->rounds.chosen[(size_t) i * level->edges];

		build_interruptible(level, p);
		for (uint32_t k = 0; k < level->rounds.chosen_count[i]; k++)
			level->rounds.incoming[level->reverse.end[edges[k].node - level->first]++] =
				(OmendbEdge){edges[k].distance, level->first + i};
	}
}

/* Write the present edges of a node into its record. */
static void
write_edges(OmendbBuilder *builder, OmendbBuildLevel *level, uint32_t self)
{
	OmendbRecord *record = omendb_array_record(builder->array, level->first + self);
	const OmendbEdge *edges = &level->rounds.current[(size_t) self * level->edges];

	omendb_edge_clear(&builder->array->codec->layout, record);
	for (uint32_t i = 0; i < level->rounds.current_count[self]; i++)
		omendb_edge_write(&builder->chooser, record, i, edges[i].node,
						  omendb_array_record(builder->array, edges[i].node), edges[i].distance);
	record->count = level->rounds.current_count[self];
}

/*
 * MERGE, one position: make the chosen neighbours of a node, and the nodes that chose it, its
 * neighbours. A node that joined before has its present neighbours in place of chosen ones.
 */
static bool
merge_node(OmendbBuilder *builder, OmendbBuildLevel *level, uint32_t position)
{
	uint32_t self = level->order[position];
	bool searched = position >= level->rounds.from;
	const OmendbEdge *base =
		&(searched ? level->rounds.chosen : level->rounds.current)[(size_t) self * level->edges];
	uint32_t count =
		searched ? level->rounds.chosen_count[self] : level->rounds.current_count[self];
	OmendbEdge *out = &level->rounds.current[(size_t) self * level->edges];
	size_t n = count;

	if (!searched && level->reverse.begin[self] == level->reverse.end[self])
		return true;
	if (!omendb_chooser_reserve(&builder->chooser,
								count + (level->reverse.end[self] - level->reverse.begin[self])))
		return false;
	for (uint32_t i = 0; i < count; i++)
		builder->chooser.candidates[i] = (OmendbSelectCandidate){base[i].distance, base[i].node, 0};
	for (uint32_t i = level->reverse.begin[self]; i < level->reverse.end[self]; i++)
	{
		bool fresh = true;

		for (uint32_t k = 0; k < count && fresh; k++)
			fresh = base[k].node != level->rounds.incoming[i].node;
		if (fresh)
			builder->chooser.candidates[n++] = (OmendbSelectCandidate){
				level->rounds.incoming[i].distance, level->rounds.incoming[i].node, 0};
	}
	omendb_chooser_set(&builder->chooser, omendb_array_record(builder->array, level->first + self));
	if (n <= level->edges)
	{
		for (size_t i = 0; i < n; i++)
			out[i] = (OmendbEdge){builder->chooser.candidates[i].distance,
								  builder->chooser.candidates[i].node};
		qsort(out, n, sizeof(OmendbEdge), by_edge);
		level->rounds.current_count[self] = n;
	}
	else
		level->rounds.current_count[self] = choose_neighbours(builder, n, level->edges, out);
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
			memset(level->rounds.current_count, 0, level->n * sizeof(uint16_t));
			memset(level->rounds.chosen_count, 0, level->n * sizeof(uint16_t));
			order_nodes(level);
			level->rounds.turn = 0;
			break;
		case OMENDB_BUILD_SEARCH:
			collect_reverse_edges(level);
			level->phase = OMENDB_BUILD_MERGE;
			return true;
		default:
			level->rounds.turn++;
	}
	level->phase = begin_turn(level, level->rounds.turn) ? OMENDB_BUILD_SEARCH : OMENDB_BUILD_DONE;
	return true;
}

/* Prepare the builder's work space for the level, unless it is. */
static bool
prepare_bulk_work(OmendbBuilder *builder, OmendbBuildLevel *level)
{
	if (!builder->bulk_set || builder->bulk_level != level->level ||
		builder->bulk_leaders != level->bulk.leaders.n)
	{
		builder->bulk_set = omendb_bulk_prepare_work(&builder->bulk, level, builder->allocator);
		builder->bulk_level = level->level;
		builder->bulk_leaders = level->bulk.leaders.n;
	}
	builder->bulk.level = level;
	builder->bulk.bulk = &level->bulk;
	return builder->bulk_set;
}

/* Does those steps of bulk.h that one process does: 1, 3 and 5. */
static bool
next_of_bulk(OmendbBuilder *builder, OmendbBuildLevel *level)
{
	if (!prepare_bulk_work(builder, level))
		return false;
	switch (level->phase)
	{
		case OMENDB_BUILD_NEW:
			level->phase = OMENDB_BUILD_QUANTIZE;
			return level->bulk.leaders.chosen || omendb_bulk_set_unit(&builder->bulk);
		case OMENDB_BUILD_QUANTIZE:
			level->phase = OMENDB_BUILD_CHOOSE;
			if (level->bulk.leaders.n > 0)
			{
				if (!level->bulk.leaders.chosen)
					omendb_bulk_choose_leaders(&builder->bulk);
				level->bulk.leaders.chosen = true;
				level->phase = OMENDB_BUILD_ASSIGN;
			}
			return true;
		case OMENDB_BUILD_ASSIGN:
			if (level->parts.on)
			{
				level->phase = OMENDB_BUILD_DONE;
				return true;
			}
			omendb_bulk_sort_clusters(level);
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
	return level->phase == OMENDB_BUILD_SEARCH  ? level->rounds.to - level->rounds.from
		   : level->phase == OMENDB_BUILD_MERGE ? level->rounds.to
												: omendb_bulk_count_positions(level, level->phase);
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
			   ? level->rounds.from + positions
			   : (uint32_t) ((uint64_t) positions * level->window.n /
							 omendb_build_phase_size(level));
}

bool
omendb_build_chunk(OmendbBuilder *builder, OmendbBuildLevel *level, uint32_t from, uint32_t to)
{
	bool good = !level->in_bulk || prepare_bulk_work(builder, level);

	for (uint32_t i = from; i < to && good; i++)
		switch (level->phase)
		{
			case OMENDB_BUILD_SEARCH:
				good = choose_for_node(builder, level, level->rounds.from + i);
				break;
			case OMENDB_BUILD_MERGE:
				good = merge_node(builder, level, i);
				break;
			default:
				good = omendb_bulk_do_position(&builder->bulk, level->phase, i);
		}
	return good;
}
