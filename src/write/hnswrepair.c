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
#define CANDIDATES_AN_EDGE 2
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
	repair->copy_bytes = layout->head_bytes;
	repair->copies_capacity = COPIES_AT_FIRST;
	repair->copies =
		MemoryContextAllocHuge(CurrentMemoryContext, repair->copies_capacity * repair->copy_bytes);
	omendb_query_init(&repair->query, codec, palloc(omendb_query_bytes(codec) + 1));
	omendb_query_init(&repair->other_query, codec, palloc(omendb_query_bytes(codec) + 1));
	repair->nearest = palloc((CANDIDATES_SHARE * layout->edges + 1) * sizeof(HnswEstimate));
	repair->page = palloc(BLCKSZ);
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

static uint32
count_dead_edges(const HnswVacuum *vacuum, const OmendbRecord *record)
{
	const OmendbLayout *layout = &vacuum->store.index->codec.layout;
	const OmendbNode *neighbours = omendb_record_neighbours(layout, record);
	uint32 n = 0;

	for (uint32 i = 0; i < Min(record->count, layout->edges); i++)
		n += hnsw_vacuum_is_dead(vacuum, neighbours[i]);
	return n;
}

/* True if the record is of a live node with edges to dead ones. */
static bool
needs_repair(const HnswVacuum *vacuum, const OmendbRecord *record)
{
	return record->kind == OMENDB_RECORD_NODE && !(record->flags & OMENDB_RECORD_DEAD) &&
		   count_dead_edges(vacuum, record) > 0;
}

/* How many candidates are looked at for so many edges to replace. */
static uint32
most_candidates(uint32 edges, uint32 replaced)
{
	return Min(CANDIDATES_SHARE * edges, CANDIDATES_AN_EDGE * (replaced + 1));
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

/* The bit of repair.filter for a node: a pair of word and mask. */
static inline uint64 *
filter_word(HnswRepair *repair, OmendbNode node, uint64 *mask)
{
	uint32 hash = node * 0x9e3779b1u;

	*mask = (uint64) 1 << (hash >> 26);
	return &repair->filter[(hash >> 20) % lengthof(repair->filter)];
}

/* Add a node to repair.filter: a neighbour of work.record, or one that was offered. */
static void
filter_add(HnswRepair *repair, OmendbNode node)
{
	uint64 mask;
	uint64 *word = filter_word(repair, node, &mask);

	*word |= mask;
}

/* False if the node was certainly not added. */
static bool
filter_may_have(HnswRepair *repair, OmendbNode node)
{
	uint64 mask;
	const uint64 *word = filter_word(repair, node, &mask);

	return (*word & mask) != 0;
}

/* Begin with the neighbours of work.record. */
static void
filter_set(HnswVacuum *vacuum)
{
	const OmendbRecord *record = vacuum->work.record;
	const OmendbNode *neighbours =
		omendb_record_neighbours(&vacuum->store.index->codec.layout, record);

	memset(vacuum->repair.filter, 0, sizeof(vacuum->repair.filter));
	for (uint32 i = 0; i < record->count; i++)
		filter_add(&vacuum->repair, neighbours[i]);
}

/*
 * Keep a node among repair.nearest if it is one of the repair.most nearest so far, by estimates, and no
 * neighbour of work.record.
 */
static void
offer(HnswVacuum *vacuum, const HnswEstimate *offered)
{
	HnswRepair *repair = &vacuum->repair;
	HnswEstimate *nearest = repair->nearest;
	uint32 at;

	if (repair->nnearest == repair->most &&
		(repair->most == 0 || by_estimate(offered, &nearest[repair->most - 1]) >= 0))
		return;
	at = repair->nnearest;
	if (filter_may_have(repair, offered->node))
	{
		if (omendb_record_has_edge(&vacuum->store.index->codec.layout, vacuum->work.record,
								   offered->node))
			return;
		for (at = 0; at < repair->nnearest && nearest[at].node != offered->node; at++)
			;
	}
	if (at == repair->nnearest)
	{
		filter_add(repair, offered->node);
		if (repair->nnearest < repair->most)
			repair->nnearest++;
		at = repair->nnearest - 1;
	}
	else if (by_estimate(offered, &nearest[at]) >= 0)
		return;
	for (; at > 0 && by_estimate(offered, &nearest[at - 1]) < 0; at--)
		nearest[at] = nearest[at - 1];
	nearest[at] = *offered;
}

/*
 * Offer the live neighbours of the dead node in work.other, by estimates of their distances from
 * work.record. Returns the dead node's distance from work.record. *mutual: does the dead node have an
 * edge to self?
 */
static float
offer_neighbours(HnswVacuum *vacuum, OmendbNode self, bool *mutual)
{
	HnswRepair *repair = &vacuum->repair;
	float distance = omendb_layout_is_coded(&vacuum->store.index->codec.layout)
						 ? omendb_query_distance(&repair->query, vacuum->work.other)
						 : distance_from_node(vacuum, vacuum->work.other);
	HnswEstimate live[OMENDB_MAX_EDGES];
	float self_estimate;
	uint32 n = list_live_neighbours(vacuum, &repair->query, distance, self, live, &self_estimate);

	for (uint32 i = 0; i < n; i++)
		offer(vacuum, &live[i]);
	*mutual = self_estimate < INFINITY;
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
have_common_neighbour(HnswVacuum *vacuum)
{
	const OmendbLayout *layout = &vacuum->store.index->codec.layout;
	const OmendbRecord *other = vacuum->work.other;

	for (uint32 i = 0; i < other->count; i++)
	{
		OmendbNode node = omendb_record_neighbours(layout, other)[i];

		if (filter_may_have(&vacuum->repair, node) &&
			omendb_record_has_edge(layout, vacuum->work.record, node))
			return true;
	}
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
 * A slot of work.record has an edge to a dead node. Offer what could replace the edge, for
 * repair.nearest and other_component. If `self` is one of the dead node's `replacements` nearest neighbours, the
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
	bool mutual;
	bool elsewhere;
	uint32 rank;
	uint32 n;

	if (!omendb_record_copy(&vacuum->store, dead, level, vacuum->work.other))
		return false;
	distance = offer_neighbours(vacuum, self, &mutual);
	elsewhere = distance > repair->other_component.estimate && !have_common_neighbour(vacuum);
	if (!mutual && !elsewhere)
		return false;
	n = list_by_dead_node(vacuum, self, live, &rank);
	if (n > 0 && elsewhere)
		repair->other_component = (HnswEstimate){distance, nearest_of(live, n)};
	if (rank >= Min(replacements, n))
		return false;
	qsort(live, n, sizeof(HnswEstimate), by_estimate);
	return write_edge(vacuum, level, slot, live[n - 1 - rank].node);
}

/* Write edges to the chosen candidates that are no neighbours of work.record yet into its free slots. */
static void
write_chosen(HnswVacuum *vacuum, uint32 edges, const uint16_t *chosen, uint32 count)
{
	OmendbChooser *chooser = &vacuum->work.chooser;
	OmendbRecord *record = vacuum->work.record;

	for (uint32 i = 0; i < count && record->count < edges; i++)
	{
		const OmendbSelectCandidate *c = &chooser->candidates[chosen[i]];

		if (!omendb_record_has_edge(&vacuum->store.index->codec.layout, record, c->node))
			omendb_edge_write(chooser, record, record->count++, c->node,
							  copied_record(vacuum, c->tag), c->distance);
	}
}

/*
 * Fill the free slots of work.record, which the chooser is set to, with the best of n
 * candidates. Its present neighbours have to be among the candidates: they occlude others. chosen:
 * indexes of the candidates that were chosen, present neighbours included; returns their number.
 */
static uint32
fill_slots(HnswVacuum *vacuum, size_t n, uint32 edges, uint16_t *chosen)
{
	uint32 count = omendb_choose(&vacuum->work.chooser, n, edges, candidate_record, vacuum, chosen);

	write_chosen(vacuum, edges, chosen, count);
	return count;
}

/* Fill the free slots of work.record with the best of repair.nearest. */
static void
fill_by_nearest(HnswVacuum *vacuum, OmendbNode node, unsigned level, uint32 edges)
{
	HnswRepair *repair = &vacuum->repair;
	OmendbRecord *record = vacuum->work.record;
	uint16_t chosen[OMENDB_MAX_EDGES];
	bool coded = omendb_layout_is_coded(&vacuum->store.index->codec.layout);
	uint32 most = most_candidates(edges, edges - record->count);
	size_t n = 0;

	for (uint32 i = 0; i < Min(most, repair->nnearest); i++)
		omendb_store_prefetch_own(&vacuum->store, repair->nearest[i].node);
	/* Codes tell where the present neighbours are. */
	if (!coded)
		add_neighbours(vacuum, &n, node, level);
	most += n;
	for (uint32 i = 0; i < repair->nnearest && n < most; i++)
		if (!omendb_record_has_edge(&vacuum->store.index->codec.layout, record,
									repair->nearest[i].node))
			add_candidate(vacuum, &n, node, repair->nearest[i].node, level);
	if (n == 0)
		return;
	if (coded)
		write_chosen(vacuum, edges, chosen,
					 omendb_choose_by_codes(&vacuum->work.chooser, &repair->query, record, n,
											edges - record->count, candidate_record, vacuum,
											chosen));
	else
		fill_slots(vacuum, n, edges, chosen);
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

	omendb_chooser_set(&vacuum->work.chooser, record);
	if (omendb_layout_is_coded(layout))
		omendb_query_set_record(&repair->query, record);
	filter_set(vacuum);
	repair->nnearest = 0;
	repair->most = most_candidates(edges, edges - record->count + count_dead_edges(vacuum, record));
	repair->other_component = (HnswEstimate){-INFINITY, OMENDB_NO_NODE};
	for (uint32 i = record->count; i-- > 0;)
		if (hnsw_vacuum_is_dead(vacuum, omendb_record_neighbours(layout, record)[i]) &&
			!take_over_edge(vacuum, node, level, i, Max(edges / EDGES_A_REPLACEMENT, 1)))
			omendb_edge_move(layout, record, --record->count, i);
	omendb_chooser_edges_changed(&vacuum->work.chooser);
	if (record->count < edges && repair->other_component.node != OMENDB_NO_NODE &&
		write_edge(vacuum, level, record->count, repair->other_component.node))
		record->count++;
	if (record->count < edges && repair->nnearest > 0)
		fill_by_nearest(vacuum, node, level, edges);
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

/*
 * Write the edges of work.record, a copy that was changed, to the node's page, after those that a search
 * finds. False if the page's record has another version than the copy.
 */
static bool
put_with_search(HnswVacuum *vacuum, OmendbNode node, unsigned level, uint32 edges)
{
	OmendbRecord *record = vacuum->work.record;
	OmendbNode visited[OMENDB_MAX_EDGES];
	uint32 nvisited = fill_by_search(vacuum, node, level, edges, visited);

	if (!omendb_record_put_edges(&vacuum->store, node, record))
		return false;
	if (nvisited > 0)
		hnsw_add_reverse_edges(vacuum->work.insert, node, level, record, visited, nvisited);
	return true;
}

/* Most of the node's neighbours died, and most of theirs: others are searched for. */
static bool
needs_search(const OmendbRecord *record, uint32 edges)
{
	return record->count < edges / 2;
}

static uint32
edges_of_level(const HnswVacuum *vacuum, unsigned level)
{
	const OmendbLayout *layout = &vacuum->store.index->codec.layout;

	return level == 0 ? layout->edges : layout->m;
}

void
hnsw_repair_node(HnswVacuum *vacuum, OmendbNode node, unsigned level)
{
	uint32 edges = edges_of_level(vacuum, level);
	OmendbRecord *record = vacuum->work.record;
	bool done;

	do
	{
		omendb_vacuum_delay_point();
		if (!omendb_record_copy(&vacuum->store, node, level, record) ||
			(record->flags & OMENDB_RECORD_DEAD) ||
			(record->count > 0 && !needs_repair(vacuum, record)))
			return;
		replace_dead_edges(vacuum, node, level, edges);
		done = needs_search(record, edges) ? put_with_search(vacuum, node, level, edges)
										   : omendb_record_put_edges(&vacuum->store, node, record);
	} while (!done);
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

/*
 * Copy the block's page to repair.page. False if the page was never initialised. The block is not locked
 * afterwards.
 */
static bool
copy_page(HnswVacuum *vacuum, BlockNumber block)
{
	Buffer buffer = hnsw_vacuum_lock(vacuum, block, BUFFER_LOCK_SHARE);

	if (!BufferIsValid(buffer))
		return false;
	memcpy(vacuum->repair.page, BufferGetPage(buffer), BLCKSZ);
	UnlockReleaseBuffer(buffer);
	return true;
}

/* Request the records of the dead nodes that a record has edges to. */
static void
request_dead_neighbours(HnswVacuum *vacuum, const OmendbRecord *record)
{
	const OmendbNode *neighbours =
		omendb_record_neighbours(&vacuum->store.index->codec.layout, record);

	for (uint32 i = 0; i < record->count; i++)
		if (hnsw_vacuum_is_dead(vacuum, neighbours[i]))
			omendb_store_ops.prefetch(&vacuum->store, neighbours[i]);
}

/*
 * Repair the nodes of a block that have edges to dead ones: in a copy of the page, which is written at
 * once, as far as the page's records are the same by then. The others are repaired one by one.
 */
static void
repair_block(HnswVacuum *vacuum, BlockNumber block)
{
	const OmendbLayout *layout = &vacuum->store.index->codec.layout;
	OmendbRecord *copy = vacuum->work.record;
	bool repaired[BLCKSZ / sizeof(OmendbRecord)];
	bool put[BLCKSZ / sizeof(OmendbRecord)];
	bool any = false;

	if (!copy_page(vacuum, block))
		return;
	for (uint32 slot = 0; slot < layout->per_page; slot++)
	{
		const OmendbRecord *record = omendb_page_record(layout, vacuum->repair.page, slot);

		put[slot] = false;
		repaired[slot] = needs_repair(vacuum, record);
		if (repaired[slot])
			request_dead_neighbours(vacuum, record);
	}
	for (uint32 slot = 0; slot < layout->per_page; slot++)
	{
		OmendbRecord *record = omendb_page_record(layout, vacuum->repair.page, slot);
		OmendbNode node = omendb_block_node(layout, block, slot);
		uint32 edges;

		if (!repaired[slot])
			continue;
		omendb_vacuum_delay_point();
		edges = edges_of_level(vacuum, record->level);
		vacuum->work.record = record;
		replace_dead_edges(vacuum, node, record->level, edges);
		if (!needs_search(record, edges))
			any = put[slot] = true;
		else if (put_with_search(vacuum, node, record->level, edges))
			repaired[slot] = false;
		vacuum->work.record = copy;
	}
	if (any)
		omendb_page_put_edges(&vacuum->store, block, vacuum->repair.page, put);
	for (uint32 slot = 0; slot < layout->per_page; slot++)
		if (repaired[slot] && !put[slot])
			hnsw_repair_node(vacuum, omendb_block_node(layout, block, slot),
							 omendb_page_record(layout, vacuum->repair.page, slot)->level);
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
