/*
 * hnswvacuum.c
 *	  Dead rows out of the index.
 *
 * 1. Every page: heap TIDs of dead rows are removed; a node without any left
 *    is marked dead. Scans pass through dead nodes, inserts give no edge to one.
 * 2. Upper-level records of dead nodes are marked dead too. Where few nodes died, that is
 *    all for now. Else wait until no insert runs that saw a node before it was marked.
 * 3. Live nodes are joined (hnswjoin.c). The start is the entry point or, if the entry
 *    point is dead, the live node that will replace it. A live node that no edges of
 *    live nodes lead to from the start gets an edge from one that they lead to.
 * 4. Every page: a node's edges to dead ones are replaced by the best of those
 *    that the dead ones had; no edge to a live node is given up, for it may be
 *    the only one that leads there. The nearest neighbours of a dead node are its
 *    heirs: they take over its farthest edges, which may be all that leads to
 *    another part of the graph. A node that has few left looks around as an
 *    insert does.
 *    Then, the nodes that dead ones had edges to: one that none of its
 *    neighbours knows is made known to one.
 * 5. Wait until no insert runs that began at the old entry point.
 * 6. Dead nodes' slots are freed, the upper levels' first.
 *
 * Each page change is WAL-logged by itself. Stopped anywhere, the graph is
 * whole: until all live nodes are joined, dead nodes keep their edges; from then on
 * no live node depends on dead ones. Dead nodes stay marked, and the next vacuum begins
 * with them.
 *
 * This file is long: steps 1, 2, 4 to 6 share the state of one vacuum and its order.
 */
#include "am/hnsw.h"

#include <math.h>

#include "access/genam.h"
#include "am/hnswcalibrate.h"
#include "write/hnswjoin.h"
#include "write/hnswvacuum.h"
#include "commands/progress.h"
#include "commands/vacuum.h"
#include "compat.h"
#include "graph/neighbours.h"
#include "graph/search.h"
#include "miscadmin.h"
#include "page/change.h"
#include "page/tids.h"
#include "pgstat.h"
#include "storage/indexfsm.h"
#include "storage/lmgr.h"
#include "utils/memutils.h"

/* One of so many neighbours of a dead node is its heir. */
#define HEIR_SHARE 8

/*
 * Of what dead neighbours had, so many are candidates for each edge that has to be replaced, and a few
 * more; but no more than so many times a node's edges.
 */
#define POOL_A_EDGE 4
#define POOL_SHARE  2

/*
 * To take a dead node out of the graph takes about as long as reading so many pages, which is
 * what it takes even for one.
 */
#define BLOCKS_A_DEAD_NODE 512

static void
note_dead(HnswVacuum *vacuum, OmendbNode node)
{
	if (node < vacuum->nnodes && !hnsw_vacuum_is_dead(vacuum, node))
	{
		vacuum->dead[node / 8] |= 1 << (node % 8);
		vacuum->ndead++;
	}
}

/* Is a bit set for any node of the block? */
static bool
any_bit(const HnswVacuum *vacuum, const uint8 *bits, BlockNumber block)
{
	const OmendbLayout *layout = &vacuum->store.index->codec.layout;
	OmendbNode first = omendb_block_node(layout, block, 0);

	for (OmendbNode node = first; node < first + layout->per_page; node++)
		if (bits[node / 8] >> (node % 8) & 1)
			return true;
	return false;
}

static bool
tid_is_dead(ItemPointer tid, void *context)
{
	HnswVacuum *vacuum = context;

	if (!omendb_tid_is_possible(tid))
		omendb_corrupt_page(vacuum->store.relation, vacuum->block,
							"A record has an impossible heap TID.");
	return vacuum->callback(tid, vacuum->callback_state);
}

Buffer
hnsw_vacuum_lock(HnswVacuum *vacuum, BlockNumber block, int mode)
{
	omendb_vacuum_delay_point();
	return omendb_store_lock_by(&vacuum->store, block, mode, vacuum->info->strategy);
}

void
hnsw_note_node(HnswNodeList *list, OmendbNode node)
{
	if (list->n == list->capacity)
	{
		list->capacity = Max(1024, 2 * list->capacity);
		list->nodes =
			omendb_palloc_allocator.resize(NULL, list->nodes, list->capacity * sizeof(OmendbNode));
	}
	list->nodes[list->n++] = node;
}

/* Note what later steps need to know of the page. */
static void
note_page(HnswVacuum *vacuum, Page page, BlockNumber block)
{
	const OmendbLayout *layout = &vacuum->store.index->codec.layout;

	for (uint32 slot = 0; slot < layout->per_page; slot++)
	{
		OmendbRecord *record = omendb_page_record(layout, page, slot);
		OmendbNode node = omendb_block_node(layout, block, slot);

		if (record->kind == OMENDB_RECORD_OVERFLOW && omendb_record_overflow(record)->count == 0)
			hnsw_note_node(&vacuum->emptied, omendb_record_overflow(record)->owner);
		if (record->kind != OMENDB_RECORD_NODE)
			continue;
		if (record->flags & OMENDB_RECORD_DEAD)
			note_dead(vacuum, node);
		if (record->level > 0)
		{
			if (vacuum->nupper == vacuum->upper_capacity)
			{
				vacuum->upper_capacity *= 2;
				vacuum->upper =
					repalloc_huge(vacuum->upper, vacuum->upper_capacity * sizeof(HnswUpper));
			}
			vacuum->upper[vacuum->nupper++] = (HnswUpper){node, record->down, record->level};
		}
	}
}

/* How many of the page's slots are free. */
static uint32
count_free(const OmendbLayout *layout, Page page)
{
	uint32 n = 0;

	for (uint32 slot = 0; slot < layout->per_page; slot++)
		n += omendb_page_record(layout, page, slot)->kind == OMENDB_RECORD_FREE;
	return n;
}

/*
 * Remove the heap TIDs of the block's dead rows. Returns how many of its slots are free. An
 * exclusive lock is taken only where there is something to remove.
 */
static uint32
clean_block(HnswVacuum *vacuum, BlockNumber block, OmendbPageTids *counts)
{
	const OmendbLayout *layout = &vacuum->store.index->codec.layout;
	Buffer buffer = hnsw_vacuum_lock(vacuum, block, BUFFER_LOCK_SHARE);
	uint64 count;
	uint32 nfree;

	if (!BufferIsValid(buffer))
		return layout->per_page;
	vacuum->block = block;
	if (!omendb_page_has_dead_tids(&vacuum->store, buffer, tid_is_dead, vacuum, &count))
		counts->left += count;
	else
	{
		LockBuffer(buffer, BUFFER_LOCK_UNLOCK);
		LockBuffer(buffer, BUFFER_LOCK_EXCLUSIVE);
		omendb_page_remove_tids(&vacuum->store, buffer, tid_is_dead, vacuum, counts);
	}
	note_page(vacuum, BufferGetPage(buffer), block);
	nfree = count_free(layout, BufferGetPage(buffer));
	UnlockReleaseBuffer(buffer);
	return nfree;
}

static int
by_node(const void *a, const void *b)
{
	OmendbNode x = *(const OmendbNode *) a;
	OmendbNode y = *(const OmendbNode *) b;

	return x < y ? -1 : x > y;
}

/* Take empty overflow records out of their chains, and each chain once. */
static void
free_emptied(HnswVacuum *vacuum)
{
	HnswNodeList *emptied = &vacuum->emptied;

	if (emptied->n > 0)
		qsort(emptied->nodes, emptied->n, sizeof(OmendbNode), by_node);
	for (size_t i = 0; i < emptied->n; i++)
		if ((i == 0 || emptied->nodes[i] != emptied->nodes[i - 1]) &&
			omendb_record_free_empty(&vacuum->store, emptied->nodes[i]))
			note_dead(vacuum, emptied->nodes[i]);
}

/*
 * Remove the heap TIDs of all dead rows. The free space map gets to know every page with
 * free slots on the way: it does not survive a crash.
 */
static void
remove_heap_tids(HnswVacuum *vacuum, IndexBulkDeleteResult *stats)
{
	const OmendbLayout *layout = &vacuum->store.index->codec.layout;
	bool report = vacuum->info->report_progress;
	OmendbPageTids counts = {0};

	if (report)
		pgstat_progress_update_param(PROGRESS_SCAN_BLOCKS_TOTAL, vacuum->blocks);
	stats->pages_free = 0;
	for (BlockNumber block = OMENDB_FIRST_BLOCK; block < vacuum->blocks; block++)
	{
		uint32 nfree = clean_block(vacuum, block, &counts);

		if (nfree > 0)
			RecordFreeIndexPage(vacuum->store.relation, block);
		stats->pages_free += nfree == layout->per_page;
		if (report)
			pgstat_progress_update_param(PROGRESS_SCAN_BLOCKS_DONE, block + 1);
	}
	free_emptied(vacuum);
	stats->tuples_removed += counts.removed;
	stats->num_index_tuples = counts.left;
}

void
hnsw_wait_for_inserts(HnswVacuum *vacuum)
{
	LockPage(vacuum->store.relation, OMENDB_META_BLOCK, ExclusiveLock);
	UnlockPage(vacuum->store.relation, OMENDB_META_BLOCK, ExclusiveLock);
}

static int
by_level(const void *a, const void *b)
{
	const HnswUpper *x = a;
	const HnswUpper *y = b;

	if (x->level != y->level)
		return x->level < y->level ? -1 : 1;
	return x->node < y->node ? -1 : x->node > y->node;
}

static void
mark_upper_records(HnswVacuum *vacuum)
{
	/* ascending: a record's lower one is marked before it */
	qsort(vacuum->upper, vacuum->nupper, sizeof(HnswUpper), by_level);
	for (size_t i = 0; i < vacuum->nupper; i++)
	{
		HnswUpper *upper = &vacuum->upper[i];

		CHECK_FOR_INTERRUPTS();
		if (hnsw_vacuum_is_dead(vacuum, upper->down) && !hnsw_vacuum_is_dead(vacuum, upper->node))
		{
			omendb_record_mark_dead(&vacuum->store, upper->node, upper->level);
			note_dead(vacuum, upper->node);
		}
	}
}

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

/* Note the nodes that dead ones have edges to. */
static void
note_lost(HnswVacuum *vacuum)
{
	const OmendbLayout *layout = &vacuum->store.index->codec.layout;
	uint64 nodes;

	vacuum->lost_blocks = RelationGetNumberOfBlocks(vacuum->store.relation);
	nodes = (uint64) (vacuum->lost_blocks - OMENDB_FIRST_BLOCK) * layout->per_page;
	vacuum->lost = MemoryContextAllocExtended(CurrentMemoryContext, nodes / 8 + 1,
											  MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	for (BlockNumber block = OMENDB_FIRST_BLOCK; block < vacuum->blocks; block++)
	{
		Buffer buffer;

		if (!any_bit(vacuum, vacuum->dead, block))
			continue;
		buffer = hnsw_vacuum_lock(vacuum, block, BUFFER_LOCK_SHARE);
		if (!BufferIsValid(buffer))
			continue;
		for (uint32 slot = 0; slot < layout->per_page; slot++)
		{
			OmendbRecord *record = omendb_page_record(layout, BufferGetPage(buffer), slot);

			if (record->kind != OMENDB_RECORD_NODE || !(record->flags & OMENDB_RECORD_DEAD))
				continue;
			for (uint32 i = 0; i < Min(record->count, layout->edges); i++)
			{
				OmendbNode node = omendb_record_neighbours(layout, record)[i];

				if (node < nodes)
					vacuum->lost[node / 8] |= 1 << (node % 8);
			}
		}
		UnlockReleaseBuffer(buffer);
	}
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
	float estimates[OMENDB_ESTIMATES_CAPACITY];
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
static void
repair_node(HnswVacuum *vacuum, OmendbNode node, unsigned level)
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
		repair_node(vacuum, at, level);
		if (level == 0 || !omendb_record_copy(&vacuum->store, at, level, vacuum->whole))
			return;
		at = vacuum->whole->down;
	}
}

static void
prepare_repairs(HnswVacuum *vacuum)
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

static void
repair_graph(HnswVacuum *vacuum)
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
				repair_node(vacuum, omendb_block_node(layout, block, slot), levels[slot]);
	}
}

/* Make the node known to a neighbour if none of them has an edge to it. */
static void
make_known(HnswVacuum *vacuum, OmendbNode node)
{
	const OmendbLayout *layout = &vacuum->store.index->codec.layout;
	unsigned level;
	OmendbRecord *record = vacuum->record;

	if (!omendb_record_level(&vacuum->store, node, &level))
		return;
	if (!omendb_record_copy(&vacuum->store, node, level, record) ||
		(record->flags & OMENDB_RECORD_DEAD))
		return;
	if (record->count == 0)
	{
		repair_node(vacuum, node, level);
		if (!omendb_record_copy(&vacuum->store, node, level, record))
			return;
	}
	for (uint32 i = 0; i < record->count; i++)
	{
		OmendbNode neighbour = omendb_record_neighbours(layout, record)[i];

		if (omendb_record_has_edge_to(&vacuum->store, neighbour, level, node))
			return;
	}
	hnsw_add_reverse_edges(vacuum->insert, node, level, record,
						   omendb_record_neighbours(layout, record), record->count);
}

static void
find_lost(HnswVacuum *vacuum)
{
	const OmendbLayout *layout = &vacuum->store.index->codec.layout;

	for (BlockNumber block = OMENDB_FIRST_BLOCK; block < vacuum->lost_blocks; block++)
	{
		OmendbNode first = omendb_block_node(layout, block, 0);

		if (!any_bit(vacuum, vacuum->lost, block))
			continue;
		for (OmendbNode node = first; node < first + layout->per_page; node++)
			/* Others are new: what their inserts do about them is up to those. */
			if ((vacuum->lost[node / 8] >> (node % 8) & 1) && !hnsw_vacuum_is_dead(vacuum, node) &&
				omendb_reach_has(&vacuum->joined, node))
			{
				omendb_vacuum_delay_point();
				make_known(vacuum, node);
			}
	}
}

static bool
may_free(OmendbNode node, void *context)
{
	HnswVacuum *vacuum = context;

	return hnsw_vacuum_is_dead(vacuum, node) &&
		   (vacuum->only == OMENDB_NO_NODE || vacuum->only == node);
}

static void
free_dead_nodes(HnswVacuum *vacuum, IndexBulkDeleteResult *stats)
{
	/* From above, so that no pointer down ever leads to what is not the same vector's. */
	for (size_t i = vacuum->nupper; i > 0; i--)
	{
		Buffer buffer;

		vacuum->only = vacuum->upper[i - 1].node;
		if (!hnsw_vacuum_is_dead(vacuum, vacuum->only))
			continue;
		buffer = hnsw_vacuum_lock(
			vacuum, omendb_node_block(&vacuum->store.index->codec.layout, vacuum->only),
			BUFFER_LOCK_EXCLUSIVE);
		if (!BufferIsValid(buffer))
			continue;
		omendb_page_free_dead(&vacuum->store, buffer, may_free, vacuum);
		UnlockReleaseBuffer(buffer);
	}
	vacuum->only = OMENDB_NO_NODE;
	for (BlockNumber block = OMENDB_FIRST_BLOCK; block < vacuum->blocks; block++)
	{
		const OmendbLayout *layout = &vacuum->store.index->codec.layout;
		Buffer buffer;
		bool is_free;

		if (!any_bit(vacuum, vacuum->dead, block))
			continue;
		buffer = hnsw_vacuum_lock(vacuum, block, BUFFER_LOCK_EXCLUSIVE);
		if (!BufferIsValid(buffer))
			continue;
		omendb_page_free_dead(&vacuum->store, buffer, may_free, vacuum);
		is_free = count_free(layout, BufferGetPage(buffer)) == layout->per_page;
		UnlockReleaseBuffer(buffer);
		RecordFreeIndexPage(vacuum->store.relation, block);
		stats->pages_newly_deleted += is_free;
		stats->pages_free += is_free;
	}
}

/*
 * Are there enough dead nodes to take them out of the graph? For that the index is read some times
 * over. Until there are, they stay, as after a vacuum that was cancelled: searches pass through.
 */
static bool
enough_died(const HnswVacuum *vacuum)
{
	return vacuum->ndead > 0 && vacuum->ndead >= vacuum->blocks / BLOCKS_A_DEAD_NODE;
}

IndexBulkDeleteResult *
hnsw_bulk_delete(IndexVacuumInfo *info, IndexBulkDeleteResult *stats,
				 IndexBulkDeleteCallback callback, void *state)
{
	MemoryContext context =
		AllocSetContextCreate(CurrentMemoryContext, "hnsw vacuum", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old;
	HnswVacuum *vacuum;

	if (stats == NULL)
		stats = palloc0(sizeof(IndexBulkDeleteResult));
	old = MemoryContextSwitchTo(context);
	vacuum = palloc0(sizeof(HnswVacuum));
	vacuum->store.relation = info->index;
	vacuum->store.index = omendb_index_open(info->index);
	vacuum->info = info;
	vacuum->callback = callback;
	vacuum->callback_state = state;
	vacuum->blocks = RelationGetNumberOfBlocks(info->index);
	vacuum->nnodes =
		(uint64) (vacuum->blocks - OMENDB_FIRST_BLOCK) * vacuum->store.index->codec.layout.per_page;
	vacuum->dead = MemoryContextAllocExtended(context, vacuum->nnodes / 8 + 1,
											  MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	vacuum->only = OMENDB_NO_NODE;
	vacuum->upper_capacity = 1024;
	vacuum->upper = palloc(vacuum->upper_capacity * sizeof(HnswUpper));

	remove_heap_tids(vacuum, stats);
	mark_upper_records(vacuum);
	if (enough_died(vacuum))
	{
		hnsw_wait_for_inserts(vacuum);
		prepare_repairs(vacuum);
		if (hnsw_join_living(vacuum))
		{
			note_lost(vacuum);
			repair_graph(vacuum);
			find_lost(vacuum);
			hnsw_wait_for_inserts(vacuum);
			free_dead_nodes(vacuum, stats);
		}
	}
	stats->pages_deleted = stats->pages_free;
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
	return stats;
}

void
hnsw_join_new(Relation index, OmendbNode upper)
{
	MemoryContext context =
		AllocSetContextCreate(CurrentMemoryContext, "hnsw join", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	HnswVacuum *vacuum = palloc0(sizeof(HnswVacuum));
	IndexVacuumInfo info = {.index = index};

	vacuum->store.relation = index;
	vacuum->store.index = omendb_index_open(index);
	vacuum->info = &info;
	vacuum->blocks = RelationGetNumberOfBlocks(index);
	vacuum->only = OMENDB_NO_NODE;
	vacuum->upper_capacity = 1024;
	vacuum->upper = palloc(vacuum->upper_capacity * sizeof(HnswUpper));
	for (BlockNumber block = omendb_node_block(&vacuum->store.index->codec.layout, upper);
		 block < vacuum->blocks; block++)
	{
		Buffer buffer = hnsw_vacuum_lock(vacuum, block, BUFFER_LOCK_SHARE);

		note_page(vacuum, BufferGetPage(buffer), block);
		UnlockReleaseBuffer(buffer);
	}
	qsort(vacuum->upper, vacuum->nupper, sizeof(HnswUpper), by_level);
	prepare_repairs(vacuum);
	/* Without dead nodes nothing is given up for it. */
	if (!hnsw_join_living(vacuum))
		elog(ERROR, "could not join the nodes of index \"%s\"", RelationGetRelationName(index));
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}

/*
 * Rows of the index at most, without reading it: it has no more nodes than room for records.
 */
static double
guess_rows(const IndexVacuumInfo *info)
{
	const OmendbLayout *layout = &omendb_index_peek(info->index)->codec.layout;
	double blocks = RelationGetNumberOfBlocks(info->index);

	return Max(Min(info->num_heap_tuples, (blocks - OMENDB_FIRST_BLOCK) * layout->per_page), 0);
}

/*
 * Where no row was deleted, nothing is read: what the catalogs say of the index stays as it is.
 * Else hnsw_bulk_delete has counted all rows and noted all free slots.
 */
IndexBulkDeleteResult *
hnsw_vacuum_cleanup(IndexVacuumInfo *info, IndexBulkDeleteResult *stats)
{
	if (info->analyze_only)
		return stats;
	if (stats == NULL)
	{
		hnsw_calibrate_again(info->index, guess_rows(info), 0, info->strategy);
		return NULL;
	}
	IndexFreeSpaceMapVacuum(info->index);
	stats->num_pages = RelationGetNumberOfBlocks(info->index);
	/* Rows that are inserted meanwhile may have been counted here only. */
	if (!info->estimated_count)
		stats->num_index_tuples = Min(stats->num_index_tuples, info->num_heap_tuples);
	hnsw_calibrate_again(info->index, stats->num_index_tuples, stats->tuples_removed,
						 info->strategy);
	return stats;
}
