/*
 * hnswrepair.c
 *	  Vacuum: edges to dead nodes are replaced.
 */
#include "write/hnswvacuum.h"

#include <math.h>

#include "compat.h"
#include "graph/search.h"
#include "page/change.h"
#include "utils/memutils.h"

/* One of so many neighbours of a dead node is its heir. */
#define HEIR_SHARE 8

/*
 * Of what dead neighbours had, so many are candidates for each edge that has to be replaced, and a few
 * more; but no more than so many times a node's edges.
 */
#define POOL_A_EDGE 4
#define POOL_SHARE  2

static OmendbRecord *
arena_record(HnswVacuum *vacuum, size_t i)
{
	return (OmendbRecord *) (vacuum->arena + i * vacuum->copy_bytes);
}

static const OmendbRecord *
candidate_record(void *context, const OmendbSelectCandidate *candidate)
{
	return arena_record(context, candidate->tag);
}

static bool
is_candidate(const HnswVacuum *vacuum, size_t n, OmendbNode node)
{
	for (size_t i = 0; i < n; i++)
		if (vacuum->chooser.candidates[i].node == node)
			return true;
	return false;
}

/* Add a node to the candidates if it lives and is none yet. */
static bool
add_candidate(HnswVacuum *vacuum, size_t *n, OmendbNode self, OmendbNode node, unsigned level)
{
	OmendbRecord *copy;

	if (node == self || hnsw_vacuum_is_dead(vacuum, node) || is_candidate(vacuum, *n, node))
		return false;
	if (*n >= vacuum->arena_capacity)
	{
		vacuum->arena_capacity *= 2;
		vacuum->arena = repalloc_huge(vacuum->arena, vacuum->arena_capacity * vacuum->copy_bytes);
	}
	copy = arena_record(vacuum, *n);
	if (!omendb_record_copy_own(&vacuum->store, node, level, copy) ||
		(copy->flags & OMENDB_RECORD_DEAD))
		return false;
	omendb_chooser_reserve(&vacuum->chooser, *n + 1);
	vacuum->chooser.candidates[*n] =
		(OmendbSelectCandidate){omendb_own_distance(&vacuum->store.index->codec, vacuum->record,
													copy, vacuum->chooser.scratch),
								node, (uint32) *n};
	(*n)++;
	return true;
}

static int
by_estimate(const void *a, const void *b)
{
	const HnswEstimate *x = a;
	const HnswEstimate *y = b;

	if (x->estimate != y->estimate)
		return x->estimate < y->estimate ? -1 : 1;
	return x->node < y->node ? -1 : x->node > y->node;
}

/* Nodes near vacuum->record by a search from the entry point. */
static void
add_found(HnswVacuum *vacuum, size_t *n, OmendbNode self, unsigned level)
{
	const OmendbSearch *search = hnsw_find_near(vacuum->insert, vacuum->record, level);

	for (size_t i = 0; search && i < search->visited_used; i++)
		if (search->visited[i].payload.live)
			add_candidate(vacuum, n, self, search->visited[i].node, level);
}

static bool
has_dead_neighbour(const HnswVacuum *vacuum, const OmendbRecord *record)
{
	const OmendbLayout *layout = &vacuum->store.index->codec.layout;
	const OmendbNode *neighbours = omendb_record_neighbours(layout, record);

	if (record->kind != OMENDB_RECORD_NODE || (record->flags & OMENDB_RECORD_DEAD))
		return false;
	for (uint32 i = 0; i < Min(record->count, layout->edges); i++)
		if (hnsw_vacuum_is_dead(vacuum, neighbours[i]))
			return true;
	return false;
}

/*
 * The live neighbours of vacuum->whole, a dead node, but for self, with distances
 * from the query, from which that node is so far, as codes tell them; where there
 * are none, with their places, for plain ones stay about as they were chosen:
 * nearest first. Returns their number; *own is self's, infinite where the node has
 * no edge to self.
 */
static uint32
live_neighbours(HnswVacuum *vacuum, const OmendbQuery *query, float distance, OmendbNode self,
				HnswEstimate *out, float *own)
{
	const OmendbLayout *layout = &vacuum->store.index->codec.layout;
	float estimates[OMENDB_ESTIMATES_ROOM];
	uint32 n = 0;

	*own = INFINITY;
	if (omendb_layout_is_coded(layout))
		omendb_query_estimates(query, vacuum->whole, distance, estimates);
	for (uint32 i = 0; i < vacuum->whole->count; i++)
	{
		OmendbNode node = omendb_record_neighbours(layout, vacuum->whole)[i];
		float estimate = omendb_layout_is_coded(layout) ? estimates[i] : (float) i;

		if (node == self)
			*own = estimate;
		else if (!hnsw_vacuum_is_dead(vacuum, node))
			out[n++] = (HnswEstimate){estimate, node};
	}
	return n;
}

/* Put them into the pool as vacuum->record sees them. Returns the dead node's distance. */
static float
pool_neighbours(HnswVacuum *vacuum, OmendbNode self)
{
	const OmendbCodec *codec = &vacuum->store.index->codec;
	float distance =
		omendb_layout_is_coded(&codec->layout)
			? omendb_query_distance(&vacuum->query, vacuum->whole)
			: omendb_own_distance(codec, vacuum->record, vacuum->whole, vacuum->chooser.scratch);
	float own;

	vacuum->npool +=
		live_neighbours(vacuum, &vacuum->query, distance, self, vacuum->pool + vacuum->npool, &own);
	return distance;
}

/*
 * The same as the dead node sees them. *rank: how many are nearer than self, all where it
 * has no edge to self.
 */
static uint32
survivors(HnswVacuum *vacuum, OmendbNode self, HnswEstimate *out, uint32 *rank)
{
	float distance = 0;
	float own;
	uint32 n;

	if (omendb_layout_is_coded(&vacuum->store.index->codec.layout))
	{
		omendb_query_set_record(&vacuum->around, vacuum->whole);
		distance = omendb_query_distance(&vacuum->around, vacuum->whole);
	}
	n = live_neighbours(vacuum, &vacuum->around, distance, self, out, &own);
	*rank = 0;
	for (uint32 i = 0; i < n; i++)
		*rank += out[i].estimate < own;
	return n;
}

/* The nearest of them. */
static OmendbNode
nearest_of(const HnswEstimate *nodes, uint32 n)
{
	uint32 nearest = 0;

	for (uint32 i = 1; i < n; i++)
		if (by_estimate(&nodes[i], &nodes[nearest]) < 0)
			nearest = i;
	return nodes[nearest].node;
}

/* Have vacuum->record and vacuum->whole a neighbour in common? */
static bool
have_common_neighbour(const HnswVacuum *vacuum)
{
	const OmendbLayout *layout = &vacuum->store.index->codec.layout;

	for (uint32 i = 0; i < vacuum->whole->count; i++)
		if (omendb_record_has_edge(layout, vacuum->record,
								   omendb_record_neighbours(layout, vacuum->whole)[i]))
			return true;
	return false;
}

/* Let a slot of vacuum->record have an edge to a node, if that lives and has none yet. */
static bool
replace_edge(HnswVacuum *vacuum, unsigned level, uint32 slot, OmendbNode node)
{
	const OmendbCodec *codec = &vacuum->store.index->codec;

	if (omendb_record_has_edge(&codec->layout, vacuum->record, node) ||
		!omendb_record_copy_own(&vacuum->store, node, level, vacuum->whole) ||
		(vacuum->whole->flags & OMENDB_RECORD_DEAD))
		return false;
	omendb_edge_write(
		&vacuum->chooser, vacuum->record, slot, node, vacuum->whole,
		omendb_own_distance(codec, vacuum->record, vacuum->whole, vacuum->chooser.scratch));
	return true;
}

/*
 * The node that a slot of vacuum->record has an edge to is dead: note what there
 * is instead, in vacuum->pool and vacuum->apart. If self is an heir, the slot
 * gets one of the dead node's farthest edges, another for each heir: true then.
 */
static bool
inherit(HnswVacuum *vacuum, OmendbNode self, unsigned level, uint32 slot, uint32 heirs)
{
	const OmendbLayout *layout = &vacuum->store.index->codec.layout;
	OmendbNode dead = omendb_record_neighbours(layout, vacuum->record)[slot];
	HnswEstimate live[OMENDB_MAX_EDGES];
	float distance;
	uint32 rank;
	uint32 n;

	if (!omendb_record_copy(&vacuum->store, dead, level, vacuum->whole))
		return false;
	distance = pool_neighbours(vacuum, self);
	n = survivors(vacuum, self, live, &rank);
	if (n > 0 && distance > vacuum->apart.estimate && !have_common_neighbour(vacuum))
		vacuum->apart = (HnswEstimate){distance, nearest_of(live, n)};
	if (rank >= Min(heirs, n))
		return false;
	qsort(live, n, sizeof(HnswEstimate), by_estimate);
	return replace_edge(vacuum, level, slot, live[n - 1 - rank].node);
}

/*
 * Fill the free slots of vacuum->record, which the chooser is set to, with the best
 * of n candidates, which have its present neighbours among them. Returns how many
 * are chosen, with present ones.
 */
static uint32
fill_slots(HnswVacuum *vacuum, size_t n, uint32 edges, uint16_t *chosen)
{
	OmendbChooser *chooser = &vacuum->chooser;
	uint32 count;

	count = omendb_choose(chooser, n, edges, candidate_record, vacuum, chosen);
	for (uint32 i = 0; i < count && vacuum->record->count < edges; i++)
	{
		const OmendbSelectCandidate *c = &chooser->candidates[chosen[i]];

		if (!omendb_record_has_edge(&vacuum->store.index->codec.layout, vacuum->record, c->node))
			omendb_edge_write(chooser, vacuum->record, vacuum->record->count++, c->node,
							  arena_record(vacuum, c->tag), c->distance);
	}
	return count;
}

static void
add_neighbours(HnswVacuum *vacuum, size_t *n, OmendbNode self, unsigned level)
{
	const OmendbLayout *layout = &vacuum->store.index->codec.layout;

	for (uint32 i = 0; i < vacuum->record->count; i++)
		add_candidate(vacuum, n, self, omendb_record_neighbours(layout, vacuum->record)[i], level);
}

/*
 * Replace the edges of vacuum->record to dead nodes, as far as the neighbours
 * of those go: one to another part of the graph by one to there, the others by
 * what is best for the node. Leaves vacuum->whole changed.
 */
static void
replace_dead_edges(HnswVacuum *vacuum, OmendbNode node, unsigned level, uint32 edges)
{
	const OmendbLayout *layout = &vacuum->store.index->codec.layout;
	OmendbRecord *record = vacuum->record;
	uint16_t chosen[OMENDB_MAX_EDGES];
	size_t n = 0;
	size_t most;

	omendb_chooser_set(&vacuum->chooser, record);
	if (omendb_layout_is_coded(layout))
		omendb_query_set_record(&vacuum->query, record);
	vacuum->npool = 0;
	vacuum->apart = (HnswEstimate){-INFINITY, OMENDB_NO_NODE};
	for (uint32 i = record->count; i-- > 0;)
		if (hnsw_vacuum_is_dead(vacuum, omendb_record_neighbours(layout, record)[i]) &&
			!inherit(vacuum, node, level, i, Max(edges / HEIR_SHARE, 1)))
			omendb_edge_move(layout, record, --record->count, i);
	if (record->count < edges && vacuum->apart.node != OMENDB_NO_NODE &&
		replace_edge(vacuum, level, record->count, vacuum->apart.node))
		record->count++;
	if (record->count == edges || vacuum->npool == 0)
		return;
	add_neighbours(vacuum, &n, node, level);
	most = n + Min(POOL_SHARE * edges, POOL_A_EDGE * (edges - record->count + 1));
	qsort(vacuum->pool, vacuum->npool, sizeof(HnswEstimate), by_estimate);
	for (size_t i = 0; i < vacuum->npool && n < most; i++)
		add_candidate(vacuum, &n, node, vacuum->pool[i].node, level);
	if (n > 0)
		fill_slots(vacuum, n, edges, chosen);
}

/*
 * Fill the free slots of vacuum->record with what lies around, also by a search
 * from the entry point. Others do so as well: what is left does not fall apart.
 * to: nodes near that can be reached from the entry point. Returns their number.
 */
static uint32
look_around(HnswVacuum *vacuum, OmendbNode node, unsigned level, uint32 edges, OmendbNode *to)
{
	OmendbChooser *chooser = &vacuum->chooser;
	uint16_t chosen[OMENDB_MAX_EDGES];
	size_t n = 0;
	size_t found;
	uint32 count;
	uint32 nto = 0;

	add_found(vacuum, &n, node, level);
	found = n;
	add_neighbours(vacuum, &n, node, level);
	if (n == 0)
		return 0;
	count = fill_slots(vacuum, n, edges, chosen);
	for (uint32 i = 0; i < count; i++)
		if (chooser->candidates[chosen[i]].tag < found)
			to[nto++] = chooser->candidates[chosen[i]].node;
	for (size_t i = 0; i < n && nto == 0; i++)
		if (chooser->candidates[i].tag < found)
			to[nto++] = chooser->candidates[i].node;
	return nto;
}

/* Give a node live neighbours if it has dead ones, or none. */
void
hnsw_repair_node(HnswVacuum *vacuum, OmendbNode node, unsigned level)
{
	const OmendbLayout *layout = &vacuum->store.index->codec.layout;
	uint32 edges = level == 0 ? layout->edges : layout->m;
	OmendbRecord *record = vacuum->record;
	OmendbNode to[OMENDB_MAX_EDGES];

	for (;;)
	{
		uint32 nto = 0;
		bool broken;

		omendb_vacuum_delay_point();
		if (!omendb_record_copy(&vacuum->store, node, level, record) ||
			(record->flags & OMENDB_RECORD_DEAD))
			return;
		broken = has_dead_neighbour(vacuum, record);
		if (record->count > 0 && !broken)
			return;
		replace_dead_edges(vacuum, node, level, edges);
		/* A whole neighbourhood died. */
		if (record->count < edges / 2)
			nto = look_around(vacuum, node, level, edges, to);
		if (!broken && record->count == 0)
			return;
		if (!omendb_record_put_edges(&vacuum->store, node, record))
			continue;
		if (nto > 0)
			hnsw_add_reverse_edges(vacuum->insert, node, level, record, to, nto);
		return;
	}
}

/*
 * The entry point, and its records below, come first: a search that starts
 * there then goes among the living.
 */
static void
repair_entry(HnswVacuum *vacuum)
{
	OmendbNode at;
	unsigned level;

	if (!omendb_index_entry(&vacuum->store, &at, &level))
		return;
	for (;; level--)
	{
		hnsw_repair_node(vacuum, at, level);
		if (level == 0 || !omendb_record_copy(&vacuum->store, at, level, vacuum->whole))
			return;
		at = vacuum->whole->down;
	}
}

void
hnsw_prepare_repairs(HnswVacuum *vacuum)
{
	const OmendbCodec *codec = &vacuum->store.index->codec;
	const OmendbLayout *layout = &codec->layout;

	vacuum->record = palloc(layout->record_bytes);
	vacuum->whole = palloc(layout->record_bytes);
	vacuum->copy_bytes = layout->neighbours_offset;
	vacuum->arena_capacity = 512;
	vacuum->arena =
		MemoryContextAllocHuge(CurrentMemoryContext, vacuum->arena_capacity * vacuum->copy_bytes);
	omendb_query_init(&vacuum->query, codec, palloc(omendb_query_bytes(codec) + 1));
	omendb_query_init(&vacuum->around, codec, palloc(omendb_query_bytes(codec) + 1));
	vacuum->pool = palloc((Size) layout->edges * layout->edges * sizeof(HnswEstimate));
	omendb_chooser_init(&vacuum->chooser, codec, &omendb_palloc_allocator);
	vacuum->insert = hnsw_insert_create(vacuum->store.relation, vacuum->store.index);
}

void
hnsw_repair_graph(HnswVacuum *vacuum)
{
	const OmendbLayout *layout = &vacuum->store.index->codec.layout;
	/* Nodes that came meanwhile have no dead neighbours, but their pages may. */
	BlockNumber blocks = RelationGetNumberOfBlocks(vacuum->store.relation);

	repair_entry(vacuum);
	for (BlockNumber block = OMENDB_FIRST_BLOCK; block < blocks; block++)
	{
		Buffer buffer = hnsw_vacuum_lock(vacuum, block, BUFFER_LOCK_SHARE);
		unsigned levels[BLCKSZ / sizeof(OmendbRecord)];
		bool broken[BLCKSZ / sizeof(OmendbRecord)];

		if (!BufferIsValid(buffer))
			continue;
		for (uint32 slot = 0; slot < layout->per_page; slot++)
		{
			OmendbRecord *record = omendb_page_record(layout, BufferGetPage(buffer), slot);

			broken[slot] = has_dead_neighbour(vacuum, record);
			levels[slot] = record->level;
		}
		UnlockReleaseBuffer(buffer);
		for (uint32 slot = 0; slot < layout->per_page; slot++)
			if (broken[slot])
				hnsw_repair_node(vacuum, omendb_block_node(layout, block, slot), levels[slot]);
	}
}
