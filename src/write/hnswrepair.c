/*
 * hnswrepair.c
 *	  Vacuum: replaces a node's edges to dead nodes.
 *
 * Live nodes are joined already: edges of live nodes lead to every live node, and no edge between
 * live nodes is given up here. So an edge to a dead node may be replaced by any edge, or by none.
 * Candidates are the live neighbours of the dead ones:
 *
 * - The nearest neighbours of a dead node are its replacement neighbours: each takes over one of
 *   the dead node's farthest edges, which may be all that leads to another component.
 * - One edge of a node to another component becomes an edge to there.
 * - All other edges become those that the occlusion rule chooses.
 *
 * A node that keeps fewer than half of its edges is also searched for, as by an insert. What each
 * choice is worth was measured (bench/README.md, "What replaces edges to dead nodes").
 *
 * No page is locked between reading a record and changing it: a record that has another version by
 * then is repaired again.
 */
#include "write/hnswvacuum.h"

#include <math.h>

#include "compat.h"
#include "graph/search.h"
#include "page/change.h"
#include "utils/memutils.h"

/* A dead node has one replacement neighbour for this many edges that a node may have. */
#define EDGES_A_REPLACEMENT 8

/*
 * Maximum number of candidates out of the pool: this many for each edge to replace and for one more
 * (measured: bench/README.md, "What replaces edges to dead nodes"), ..
 */
#define CANDIDATES_AN_EDGE 4
/* .. but not more than this many times the edges that a node may have. */
#define CANDIDATES_SHARE 2

/* Candidates whose copies memory is allocated for at first. */
#define COPIES_AT_FIRST 512

void
hnsw_allocate_work(HnswVacuum *vacuum)
{
	const OmendbCodec *codec = &vacuum->store.index->codec;
	const OmendbLayout *layout = &codec->layout;
	HnswEdgeWork *work = &vacuum->work;
	HnswRepair *repair = &vacuum->repair;

	work->record = palloc(layout->record_bytes);
	work->other = palloc(layout->record_bytes);
	omendb_chooser_init(&work->chooser, codec, &omendb_palloc_allocator);
	work->insert = hnsw_insert_create(vacuum->store.relation, vacuum->store.index);
	repair->copy_bytes = layout->neighbours_offset;
	repair->copies_capacity = COPIES_AT_FIRST;
	repair->copies =
		MemoryContextAllocHuge(CurrentMemoryContext, repair->copies_capacity * repair->copy_bytes);
	omendb_query_init(&repair->query, codec, palloc(omendb_query_bytes(codec) + 1));
	omendb_query_init(&repair->other_query, codec, palloc(omendb_query_bytes(codec) + 1));
	repair->pool = palloc((Size) layout->edges * layout->edges * sizeof(HnswEstimate));
}

/* Distance of a record, of which `other` is at least the header and own vector, from work.record. */
static float
distance_from_node(HnswVacuum *vacuum, const OmendbRecord *other)
{
	return omendb_own_distance(&vacuum->store.index->codec, vacuum->work.record, other,
							   vacuum->work.chooser.scratch);
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

/* ---------------------------------------------------------------- candidates */

static OmendbRecord *
copied_record(HnswVacuum *vacuum, size_t i)
{
	return (OmendbRecord *) (vacuum->repair.copies + i * vacuum->repair.copy_bytes);
}

/* For omendb_choose. */
static const OmendbRecord *
candidate_record(void *context, const OmendbSelectCandidate *candidate)
{
	return copied_record(context, candidate->tag);
}

static bool
is_candidate(const HnswVacuum *vacuum, size_t n, OmendbNode node)
{
	for (size_t i = 0; i < n; i++)
		if (vacuum->work.chooser.candidates[i].node == node)
			return true;
	return false;
}

/* Add a node to the *n candidates for edges of `self` if the node lives and is none yet. */
static void
add_candidate(HnswVacuum *vacuum, size_t *n, OmendbNode self, OmendbNode node, unsigned level)
{
	HnswRepair *repair = &vacuum->repair;
	OmendbChooser *chooser = &vacuum->work.chooser;
	OmendbRecord *copy;

	if (node == self || hnsw_vacuum_is_dead(vacuum, node) || is_candidate(vacuum, *n, node))
		return;
	if (*n >= repair->copies_capacity)
	{
		repair->copies_capacity *= 2;
		repair->copies =
			repalloc_huge(repair->copies, repair->copies_capacity * repair->copy_bytes);
	}
	copy = copied_record(vacuum, *n);
	if (!omendb_record_copy_own(&vacuum->store, node, level, copy) ||
		(copy->flags & OMENDB_RECORD_DEAD))
		return;
	omendb_chooser_reserve(chooser, *n + 1);
	chooser->candidates[*n] =
		(OmendbSelectCandidate){distance_from_node(vacuum, copy), node, (uint32) *n};
	(*n)++;
}

/* Add the nodes that a search for work.record visits. */
static void
add_visited(HnswVacuum *vacuum, size_t *n, OmendbNode self, unsigned level)
{
	const OmendbSearch *search = hnsw_find_near(vacuum->work.insert, vacuum->work.record, level);

	for (size_t i = 0; search && i < search->visited_used; i++)
		if (search->visited[i].payload.live)
			add_candidate(vacuum, n, self, search->visited[i].node, level);
}

/* Add the neighbours of work.record. */
static void
add_neighbours(HnswVacuum *vacuum, size_t *n, OmendbNode self, unsigned level)
{
	const OmendbLayout *layout = &vacuum->store.index->codec.layout;
	const OmendbRecord *record = vacuum->work.record;

	for (uint32 i = 0; i < record->count; i++)
		add_candidate(vacuum, n, self, omendb_record_neighbours(layout, record)[i], level);
}

/* ---------------------------------------------------------------- what a dead node leaves behind */

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
 * List the live neighbours of the dead node in work.other, except `self`, with estimates of
 * their distances from the query; `distance` is the dead node's distance from the query. Plain
 * layouts have no codes: there an estimate is the slot, for edges are about in the order in which
 * they were chosen, nearest first. Returns their number. *self_estimate is infinite if the
 * dead node has no edge to self.
 */
static uint32
list_live_neighbours(HnswVacuum *vacuum, const OmendbQuery *query, float distance, OmendbNode self,
					 HnswEstimate *out, float *self_estimate)
{
	const OmendbLayout *layout = &vacuum->store.index->codec.layout;
	const OmendbRecord *dead = vacuum->work.other;
	float estimates[OMENDB_ESTIMATES_CAPACITY];
	uint32 n = 0;

	*self_estimate = INFINITY;
	if (omendb_layout_is_coded(layout))
		omendb_query_estimates(query, dead, distance, estimates);
	for (uint32 i = 0; i < dead->count; i++)
	{
		OmendbNode node = omendb_record_neighbours(layout, dead)[i];
		float estimate = omendb_layout_is_coded(layout) ? estimates[i] : (float) i;

		if (node == self)
			*self_estimate = estimate;
		else if (!hnsw_vacuum_is_dead(vacuum, node))
			out[n++] = (HnswEstimate){estimate, node};
	}
	return n;
}

/*
 * Add the live neighbours of the dead node in work.other to the pool, with estimates of their
 * distances from work.record. Returns the dead node's distance from work.record.
 */
static float
add_to_pool(HnswVacuum *vacuum, OmendbNode self)
{
	HnswRepair *repair = &vacuum->repair;
	float distance = omendb_layout_is_coded(&vacuum->store.index->codec.layout)
						 ? omendb_query_distance(&repair->query, vacuum->work.other)
						 : distance_from_node(vacuum, vacuum->work.other);
	float self_estimate;

	repair->npool += list_live_neighbours(vacuum, &repair->query, distance, self,
										  repair->pool + repair->npool, &self_estimate);
	return distance;
}

/*
 * List the live neighbours of the dead node in work.other, except `self`, with estimates of
 * their distances from the dead node. Returns their number. *rank: how many are nearer
 * to the dead node than self; all, if the dead node has no edge to self.
 */
static uint32
list_by_dead_node(HnswVacuum *vacuum, OmendbNode self, HnswEstimate *out, uint32 *rank)
{
	OmendbQuery *query = &vacuum->repair.other_query;
	float distance = 0;
	float self_estimate;
	uint32 n;

	if (omendb_layout_is_coded(&vacuum->store.index->codec.layout))
	{
		omendb_query_set_record(query, vacuum->work.other);
		distance = omendb_query_distance(query, vacuum->work.other);
	}
	n = list_live_neighbours(vacuum, query, distance, self, out, &self_estimate);
	*rank = 0;
	for (uint32 i = 0; i < n; i++)
		*rank += out[i].estimate < self_estimate;
	return n;
}

static OmendbNode
nearest_of(const HnswEstimate *nodes, uint32 n)
{
	uint32 nearest = 0;

	for (uint32 i = 1; i < n; i++)
		if (by_estimate(&nodes[i], &nodes[nearest]) < 0)
			nearest = i;
	return nodes[nearest].node;
}

/* True if work.record and work.other have a neighbour in common. */
static bool
have_common_neighbour(const HnswVacuum *vacuum)
{
	const OmendbLayout *layout = &vacuum->store.index->codec.layout;
	const OmendbRecord *other = vacuum->work.other;

	for (uint32 i = 0; i < other->count; i++)
		if (omendb_record_has_edge(layout, vacuum->work.record,
								   omendb_record_neighbours(layout, other)[i]))
			return true;
	return false;
}

/* ---------------------------------------------------------------- edges of a node */

/*
 * Write an edge to a node into a slot of work.record. False if the node is dead, or a neighbour
 * already. Leaves work.other changed.
 */
static bool
write_edge(HnswVacuum *vacuum, unsigned level, uint32 slot, OmendbNode node)
{
	HnswEdgeWork *work = &vacuum->work;

	if (omendb_record_has_edge(&vacuum->store.index->codec.layout, work->record, node) ||
		!omendb_record_copy_own(&vacuum->store, node, level, work->other) ||
		(work->other->flags & OMENDB_RECORD_DEAD))
		return false;
	omendb_edge_write(&work->chooser, work->record, slot, node, work->other,
					  distance_from_node(vacuum, work->other));
	return true;
}

/*
 * A slot of work.record has an edge to a dead node. Add what could replace the edge to the pool and to
 * other_component. If `self` is one of the dead node's `replacements` nearest neighbours, the
 * slot gets one of the dead node's farthest edges, each of these neighbours another one:
 * returns true then.
 */
static bool
take_over_edge(HnswVacuum *vacuum, OmendbNode self, unsigned level, uint32 slot,
			   uint32 replacements)
{
	const OmendbLayout *layout = &vacuum->store.index->codec.layout;
	OmendbNode dead = omendb_record_neighbours(layout, vacuum->work.record)[slot];
	HnswRepair *repair = &vacuum->repair;
	HnswEstimate live[OMENDB_MAX_EDGES];
	float distance;
	uint32 rank;
	uint32 n;

	if (!omendb_record_copy(&vacuum->store, dead, level, vacuum->work.other))
		return false;
	distance = add_to_pool(vacuum, self);
	n = list_by_dead_node(vacuum, self, live, &rank);
	if (n > 0 && distance > repair->other_component.estimate && !have_common_neighbour(vacuum))
		repair->other_component = (HnswEstimate){distance, nearest_of(live, n)};
	if (rank >= Min(replacements, n))
		return false;
	qsort(live, n, sizeof(HnswEstimate), by_estimate);
	return write_edge(vacuum, level, slot, live[n - 1 - rank].node);
}

/*
 * Fill the free slots of work.record, which the chooser is set to, with the best of n
 * candidates. Its present neighbours have to be among the candidates: they occlude others. chosen:
 * indexes of the candidates that were chosen, present neighbours included; returns their number.
 */
static uint32
fill_slots(HnswVacuum *vacuum, size_t n, uint32 edges, uint16_t *chosen)
{
	OmendbChooser *chooser = &vacuum->work.chooser;
	OmendbRecord *record = vacuum->work.record;
	uint32 count = omendb_choose(chooser, n, edges, candidate_record, vacuum, chosen);

	for (uint32 i = 0; i < count && record->count < edges; i++)
	{
		const OmendbSelectCandidate *c = &chooser->candidates[chosen[i]];

		if (!omendb_record_has_edge(&vacuum->store.index->codec.layout, record, c->node))
			omendb_edge_write(chooser, record, record->count++, c->node,
							  copied_record(vacuum, c->tag), c->distance);
	}
	return count;
}

/*
 * Replace the edges of work.record to dead nodes, as far as the dead nodes' neighbours
 * suffice; slots without a replacement become free. edges: how many the node may have.
 * Leaves work.other changed.
 */
static void
replace_dead_edges(HnswVacuum *vacuum, OmendbNode node, unsigned level, uint32 edges)
{
	const OmendbLayout *layout = &vacuum->store.index->codec.layout;
	HnswRepair *repair = &vacuum->repair;
	OmendbRecord *record = vacuum->work.record;
	uint16_t chosen[OMENDB_MAX_EDGES];
	size_t n = 0;
	size_t most;

	omendb_chooser_set(&vacuum->work.chooser, record);
	if (omendb_layout_is_coded(layout))
		omendb_query_set_record(&repair->query, record);
	repair->npool = 0;
	repair->other_component = (HnswEstimate){-INFINITY, OMENDB_NO_NODE};
	for (uint32 i = record->count; i-- > 0;)
		if (hnsw_vacuum_is_dead(vacuum, omendb_record_neighbours(layout, record)[i]) &&
			!take_over_edge(vacuum, node, level, i, Max(edges / EDGES_A_REPLACEMENT, 1)))
			omendb_edge_move(layout, record, --record->count, i);
	if (record->count < edges && repair->other_component.node != OMENDB_NO_NODE &&
		write_edge(vacuum, level, record->count, repair->other_component.node))
		record->count++;
	if (record->count == edges || repair->npool == 0)
		return;
	add_neighbours(vacuum, &n, node, level);
	most = n + Min(CANDIDATES_SHARE * edges, CANDIDATES_AN_EDGE * (edges - record->count + 1));
	qsort(repair->pool, repair->npool, sizeof(HnswEstimate), by_estimate);
	for (size_t i = 0; i < repair->npool && n < most; i++)
		add_candidate(vacuum, &n, node, repair->pool[i].node, level);
	if (n > 0)
		fill_slots(vacuum, n, edges, chosen);
}

/*
 * Fill the free slots of work.record with nodes that a search for the record visits. All
 * nodes whose neighbours died get edges in this way, so that they stay one component.
 * visited: the chosen ones, or else the nearest, which are to have an edge to the
 * node. Returns their number.
 */
static uint32
fill_by_search(HnswVacuum *vacuum, OmendbNode node, unsigned level, uint32 edges,
			   OmendbNode *visited)
{
	const OmendbChooser *chooser = &vacuum->work.chooser;
	uint16_t chosen[OMENDB_MAX_EDGES];
	size_t n = 0;
	size_t nsearch; /* candidates that the search visited: the first ones */
	uint32 count;
	uint32 nvisited = 0;

	add_visited(vacuum, &n, node, level);
	nsearch = n;
	add_neighbours(vacuum, &n, node, level);
	if (n == 0)
		return 0;
	count = fill_slots(vacuum, n, edges, chosen);
	for (uint32 i = 0; i < count; i++)
		if (chooser->candidates[chosen[i]].tag < nsearch)
			visited[nvisited++] = chooser->candidates[chosen[i]].node;
	for (size_t i = 0; i < n && nvisited == 0; i++)
		if (chooser->candidates[i].tag < nsearch)
			visited[nvisited++] = chooser->candidates[i].node;
	return nvisited;
}

void
hnsw_repair_node(HnswVacuum *vacuum, OmendbNode node, unsigned level)
{
	const OmendbLayout *layout = &vacuum->store.index->codec.layout;
	uint32 edges = level == 0 ? layout->edges : layout->m;
	OmendbRecord *record = vacuum->work.record;
	OmendbNode visited[OMENDB_MAX_EDGES];

	for (;;)
	{
		uint32 nvisited = 0;
		bool has_dead;

		omendb_vacuum_delay_point();
		if (!omendb_record_copy(&vacuum->store, node, level, record) ||
			(record->flags & OMENDB_RECORD_DEAD))
			return;
		has_dead = has_dead_neighbour(vacuum, record);
		if (record->count > 0 && !has_dead)
			return;
		replace_dead_edges(vacuum, node, level, edges);
		/* Most of the node's neighbours died, and most of theirs. */
		if (record->count < edges / 2)
			nvisited = fill_by_search(vacuum, node, level, edges, visited);
		if (!has_dead && record->count == 0)
			return;
		if (!omendb_record_put_edges(&vacuum->store, node, record))
			continue;
		if (nvisited > 0)
			hnsw_add_reverse_edges(vacuum->work.insert, node, level, record, visited, nvisited);
		return;
	}
}

/* ---------------------------------------------------------------- the graph */

/*
 * Repair the entry point and its records below first: searches that start there then visit live
 * nodes.
 */
static void
repair_entry(HnswVacuum *vacuum)
{
	OmendbNode node;
	unsigned level;

	if (!omendb_index_entry(&vacuum->store, &node, &level))
		return;
	for (;; level--)
	{
		hnsw_repair_node(vacuum, node, level);
		if (level == 0 || !omendb_record_copy(&vacuum->store, node, level, vacuum->work.other))
			return;
		node = vacuum->work.other->down;
	}
}

/* Repair the nodes of a block that have edges to dead ones. The block is not locked meanwhile. */
static void
repair_block(HnswVacuum *vacuum, BlockNumber block)
{
	const OmendbLayout *layout = &vacuum->store.index->codec.layout;
	Buffer buffer = hnsw_vacuum_lock(vacuum, block, BUFFER_LOCK_SHARE);
	unsigned levels[BLCKSZ / sizeof(OmendbRecord)];
	bool has_dead[BLCKSZ / sizeof(OmendbRecord)];

	if (!BufferIsValid(buffer))
		return;
	for (uint32 slot = 0; slot < layout->per_page; slot++)
	{
		OmendbRecord *record = omendb_page_record(layout, BufferGetPage(buffer), slot);

		has_dead[slot] = has_dead_neighbour(vacuum, record);
		levels[slot] = record->level;
	}
	UnlockReleaseBuffer(buffer);
	for (uint32 slot = 0; slot < layout->per_page; slot++)
		if (has_dead[slot])
			hnsw_repair_node(vacuum, omendb_block_node(layout, block, slot), levels[slot]);
}

void
hnsw_repair_graph(HnswVacuum *vacuum)
{
	/*
	 * Nodes inserted after the marks have no dead neighbour, but blocks added since this vacuum
	 * began may hold nodes that were inserted before.
	 */
	BlockNumber blocks = RelationGetNumberOfBlocks(vacuum->store.relation);

	repair_entry(vacuum);
	for (BlockNumber block = OMENDB_FIRST_BLOCK; block < blocks; block++)
		repair_block(vacuum, block);
}
