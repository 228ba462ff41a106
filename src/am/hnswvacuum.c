/*
 * hnswvacuum.c
 *	  Dead rows out of the index.
 *
 * 1. Every page: heap TIDs of dead rows are removed; a node without any left
 *    is marked dead. Scans pass through dead nodes, inserts link to none.
 * 2. Wait until no insert runs that saw a node before it was marked.
 * 3. Upper-level records of dead nodes are marked dead too; if the entry point
 *    is, another becomes it.
 * 4. Every page: a link to a dead node becomes one to that node's nearest
 *    neighbour; no link to a live node is given up, for it may be the only one
 *    that leads there. A node that has few left looks around as an insert does.
 *    Then, the nodes that dead ones had links to: one that none of its
 *    neighbours knows is made known to one. Islands are joined.
 * 5. Wait until no insert runs that began at the old entry point.
 * 6. Dead nodes' slots are freed, the upper levels' first.
 *
 * Each page change is WAL-logged by itself. Stopped anywhere, the graph is
 * whole: dead nodes stay marked, and the next vacuum begins with them.
 */
#include "am/hnsw.h"

#include "access/genam.h"
#include "commands/vacuum.h"
#include "compat.h"
#include "graph/link.h"
#include "graph/search.h"
#include "miscadmin.h"
#include "page/change.h"
#include "page/reach.h"
#include "storage/indexfsm.h"
#include "storage/lmgr.h"
#include "utils/memutils.h"

/* A record above level 0. */
typedef struct UpperRecord
{
	OmendbNode node;
	OmendbNode down;
	unsigned level;
} UpperRecord;

typedef struct HnswVacuum
{
	OmendbStore store;
	IndexVacuumInfo *info;
	IndexBulkDeleteCallback callback;
	void *callback_state;
	BlockNumber blocks; /* that the index had when we began */
	BlockNumber block;  /* whose heap TIDs are being looked at */
	uint64 nnodes;      /* slots in them */
	uint8 *dead;        /* a bit for each */
	uint64 ndead;
	BlockNumber lost_blocks; /* that the index had when dead nodes got no more links */
	uint8 *lost;             /* a bit for each slot in them: a dead node has a link to it */
	OmendbNode only;         /* the only one that may be freed now, or OMENDB_NO_NODE */
	UpperRecord *upper;
	size_t nupper;
	size_t upper_room;
	OmendbNode *refill; /* nodes with room for overflow TIDs, or empty overflow records */
	size_t nrefill;
	size_t refill_room;

	/* for repairs */
	OmendbQuery query;
	OmendbChooser chooser;
	OmendbRecord *record; /* the node being repaired */
	OmendbRecord *whole;  /* another */
	uint8 *arena;         /* headers and own vectors of candidates */
	Size copy_bytes;
	size_t arena_room;
	size_t narena;
	HnswInsert *insert; /* to make nodes known */
} HnswVacuum;

static bool
is_dead(const HnswVacuum *vacuum, OmendbNode node)
{
	return node < vacuum->nnodes && (vacuum->dead[node / 8] >> (node % 8) & 1);
}

static void
note_dead(HnswVacuum *vacuum, OmendbNode node)
{
	if (node < vacuum->nnodes && !is_dead(vacuum, node))
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

	if (!ItemPointerIsValid(tid))
		omendb_corrupt_page(vacuum->store.relation, vacuum->block,
							"A record has an impossible heap TID.");
	return vacuum->callback(tid, vacuum->callback_state);
}

/* The block's page of records, locked; InvalidBuffer where it has none. */
static Buffer
lock_block(HnswVacuum *vacuum, BlockNumber block, int mode)
{
	Buffer buffer;

	omendb_vacuum_delay_point();
	buffer = ReadBufferExtended(vacuum->store.relation, MAIN_FORKNUM, block, RBM_NORMAL,
								vacuum->info->strategy);
	LockBuffer(buffer, mode);
	if (!PageIsNew(BufferGetPage(buffer)))
	{
		omendb_store_check(&vacuum->store, buffer);
		return buffer;
	}
	UnlockReleaseBuffer(buffer);
	return InvalidBuffer;
}

/* Does the page hold a heap TID of a dead row? */
static bool
page_has_work(HnswVacuum *vacuum, Page page)
{
	const OmendbLayout *layout = &vacuum->store.index->codec.layout;

	for (uint32 slot = 0; slot < layout->per_page; slot++)
	{
		OmendbRecord *record = omendb_page_record(layout, page, slot);
		OmendbOverflow *overflow = omendb_record_overflow(record);

		if (record->kind == OMENDB_RECORD_NODE && record->level == 0)
			for (uint32 i = 0; i < Min(record->ntids, OMENDB_INLINE_TIDS); i++)
			{
				ItemPointerData tid;

				memcpy(&tid, record->tids + i * OMENDB_TID_BYTES, OMENDB_TID_BYTES);
				if (tid_is_dead(&tid, vacuum))
					return true;
			}
		else if (record->kind == OMENDB_RECORD_OVERFLOW)
			for (uint32 i = 0; i < Min(overflow->count, omendb_overflow_room(layout)); i++)
				if (tid_is_dead(&overflow->tids[i], vacuum))
					return true;
	}
	return false;
}

static void
note_refill(HnswVacuum *vacuum, OmendbNode node)
{
	if (vacuum->nrefill > 0 && vacuum->refill[vacuum->nrefill - 1] == node)
		return;
	if (vacuum->nrefill == vacuum->refill_room)
	{
		vacuum->refill_room *= 2;
		vacuum->refill = repalloc_huge(vacuum->refill, vacuum->refill_room * sizeof(OmendbNode));
	}
	vacuum->refill[vacuum->nrefill++] = node;
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
			note_refill(vacuum, omendb_record_overflow(record)->owner);
		if (record->kind != OMENDB_RECORD_NODE)
			continue;
		if (record->flags & OMENDB_RECORD_DEAD)
			note_dead(vacuum, node);
		if (record->level > 0)
		{
			if (vacuum->nupper == vacuum->upper_room)
			{
				vacuum->upper_room *= 2;
				vacuum->upper =
					repalloc_huge(vacuum->upper, vacuum->upper_room * sizeof(UpperRecord));
			}
			vacuum->upper[vacuum->nupper++] = (UpperRecord){node, record->down, record->level};
		}
		else if (record->ntids < OMENDB_INLINE_TIDS && record->overflow != OMENDB_NO_NODE)
			note_refill(vacuum, node);
	}
}

static void
remove_heap_tids(HnswVacuum *vacuum, OmendbPageTids *counts)
{
	static const OmendbPageTids none = {0};

	*counts = none;
	for (BlockNumber block = OMENDB_FIRST_BLOCK; block < vacuum->blocks; block++)
	{
		Buffer buffer = lock_block(vacuum, block, BUFFER_LOCK_SHARE);

		if (!BufferIsValid(buffer))
			continue;
		vacuum->block = block;
		if (page_has_work(vacuum, BufferGetPage(buffer)))
		{
			LockBuffer(buffer, BUFFER_LOCK_UNLOCK);
			LockBuffer(buffer, BUFFER_LOCK_EXCLUSIVE);
		}
		/* Changes nothing where there is nothing to remove. */
		omendb_page_remove_tids(&vacuum->store, buffer, tid_is_dead, vacuum, counts);
		note_page(vacuum, BufferGetPage(buffer), block);
		UnlockReleaseBuffer(buffer);
	}
	for (size_t i = 0; i < vacuum->nrefill; i++)
		if (omendb_record_refill_tids(&vacuum->store, vacuum->refill[i]))
			note_dead(vacuum, vacuum->refill[i]);
}

/* Wait for the inserts that run now. */
static void
wait_for_inserts(HnswVacuum *vacuum)
{
	LockPage(vacuum->store.relation, OMENDB_META_BLOCK, ExclusiveLock);
	UnlockPage(vacuum->store.relation, OMENDB_META_BLOCK, ExclusiveLock);
}

static int
by_level(const void *a, const void *b)
{
	const UpperRecord *x = a;
	const UpperRecord *y = b;

	if (x->level != y->level)
		return x->level < y->level ? -1 : 1;
	return x->node < y->node ? -1 : x->node > y->node;
}

static void
mark_upper_records(HnswVacuum *vacuum)
{
	/* ascending: a record's lower one is marked before it */
	qsort(vacuum->upper, vacuum->nupper, sizeof(UpperRecord), by_level);
	for (size_t i = 0; i < vacuum->nupper; i++)
	{
		UpperRecord *upper = &vacuum->upper[i];

		CHECK_FOR_INTERRUPTS();
		if (is_dead(vacuum, upper->down) && !is_dead(vacuum, upper->node))
		{
			omendb_record_mark_dead(&vacuum->store, upper->node, upper->level);
			note_dead(vacuum, upper->node);
		}
	}
}

/* Some live node of level 0. */
static OmendbNode
any_live_node(HnswVacuum *vacuum)
{
	const OmendbLayout *layout = &vacuum->store.index->codec.layout;
	BlockNumber blocks = RelationGetNumberOfBlocks(vacuum->store.relation);

	for (BlockNumber block = OMENDB_FIRST_BLOCK; block < blocks; block++)
	{
		Buffer buffer = lock_block(vacuum, block, BUFFER_LOCK_SHARE);
		OmendbNode found = OMENDB_NO_NODE;

		if (!BufferIsValid(buffer))
			continue;
		for (uint32 slot = 0; slot < layout->per_page && found == OMENDB_NO_NODE; slot++)
		{
			OmendbRecord *record = omendb_page_record(layout, BufferGetPage(buffer), slot);

			if (record->kind == OMENDB_RECORD_NODE && record->level == 0 &&
				!(record->flags & OMENDB_RECORD_DEAD))
				found = omendb_block_node(layout, block, slot);
		}
		UnlockReleaseBuffer(buffer);
		if (found != OMENDB_NO_NODE)
			return found;
	}
	return OMENDB_NO_NODE;
}

/*
 * If the entry point is dead, take a live node of the highest level that has
 * one. Inserts are kept out, for they may raise the entry point.
 */
static void
replace_entry(HnswVacuum *vacuum)
{
	Relation index = vacuum->store.relation;
	OmendbNode entry;
	unsigned level;

	LockPage(index, OMENDB_META_BLOCK, ExclusiveLock);
	if (omendb_index_entry(&vacuum->store, &entry, &level) && is_dead(vacuum, entry))
	{
		size_t i = vacuum->nupper;

		while (i > 0 && is_dead(vacuum, vacuum->upper[i - 1].node))
			i--;
		if (i > 0)
			omendb_meta_set_entry(&vacuum->store, vacuum->upper[i - 1].node,
								  vacuum->upper[i - 1].level);
		else
			omendb_meta_set_entry(&vacuum->store, any_live_node(vacuum), 0);
	}
	UnlockPage(index, OMENDB_META_BLOCK, ExclusiveLock);
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

	if (node == self || is_dead(vacuum, node) || is_candidate(vacuum, *n, node) ||
		!omendb_record_copy(&vacuum->store, node, level, vacuum->whole) ||
		(vacuum->whole->flags & OMENDB_RECORD_DEAD))
		return false;
	if (*n >= vacuum->arena_room)
	{
		vacuum->arena_room *= 2;
		vacuum->arena = repalloc_huge(vacuum->arena, vacuum->arena_room * vacuum->copy_bytes);
	}
	copy = arena_record(vacuum, *n);
	memcpy(copy, vacuum->whole, vacuum->copy_bytes);
	omendb_chooser_room(&vacuum->chooser, *n + 1);
	vacuum->chooser.candidates[*n] =
		(OmendbSelectCandidate){omendb_own_distance(&vacuum->store.index->codec, vacuum->record,
													copy, vacuum->chooser.scratch),
								node, (uint32) *n};
	(*n)++;
	return true;
}

typedef struct Estimate
{
	float estimate;
	OmendbNode node;
} Estimate;

static int
by_estimate(const void *a, const void *b)
{
	const Estimate *x = a;
	const Estimate *y = b;

	if (x->estimate != y->estimate)
		return x->estimate < y->estimate ? -1 : 1;
	return x->node < y->node ? -1 : x->node > y->node;
}

/* Nodes near vacuum->record by a search from the entry point. */
static void
add_found(HnswVacuum *vacuum, size_t *n, OmendbNode self, unsigned level)
{
	size_t nvisited;
	const OmendbVisited *visited = hnsw_find_near(vacuum->insert, vacuum->record, level, &nvisited);

	for (size_t i = 0; i < nvisited; i++)
		if (visited[i].payload.live)
			add_candidate(vacuum, n, self, visited[i].node, level);
}

/* Note the nodes that dead ones have links to. */
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
		buffer = lock_block(vacuum, block, BUFFER_LOCK_SHARE);
		if (!BufferIsValid(buffer))
			continue;
		for (uint32 slot = 0; slot < layout->per_page; slot++)
		{
			OmendbRecord *record = omendb_page_record(layout, BufferGetPage(buffer), slot);

			if (record->kind != OMENDB_RECORD_NODE || !(record->flags & OMENDB_RECORD_DEAD))
				continue;
			for (uint32 i = 0; i < Min(record->count, layout->links); i++)
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
	for (uint32 i = 0; i < Min(record->count, layout->links); i++)
		if (is_dead(vacuum, neighbours[i]))
			return true;
	return false;
}

/*
 * Replace a link of vacuum->record to a dead node by one to the live neighbour
 * of that node which is nearest to it, as far as its codes tell: where it lay in
 * another part of the graph than vacuum->record, so does this one.
 */
static bool
substitute(HnswVacuum *vacuum, OmendbNode self, unsigned level, uint32 slot)
{
	const OmendbLayout *layout = &vacuum->store.index->codec.layout;
	OmendbNode dead = omendb_record_neighbours(layout, vacuum->record)[slot];
	Estimate found[OMENDB_MAX_LINKS];
	float estimates[OMENDB_ESTIMATES_ROOM] = {0};
	uint32 n;

	if (!omendb_record_copy(&vacuum->store, dead, level, vacuum->whole))
		return false;
	n = vacuum->whole->count;
	if (omendb_layout_is_coded(layout))
	{
		omendb_query_set_record(&vacuum->query, vacuum->whole);
		omendb_query_estimates(&vacuum->query, vacuum->whole,
							   omendb_query_distance(&vacuum->query, vacuum->whole), estimates);
	}
	/* Plain ones stay about as they were chosen: nearest first. */
	for (uint32 i = 0; i < n; i++)
		found[i] = (Estimate){omendb_layout_is_coded(layout) ? estimates[i] : (float) i,
							  omendb_record_neighbours(layout, vacuum->whole)[i]};
	qsort(found, n, sizeof(Estimate), by_estimate);
	for (uint32 i = 0; i < n; i++)
	{
		OmendbNode node = found[i].node;

		if (node == self || is_dead(vacuum, node) ||
			omendb_record_has_link(layout, vacuum->record, node) ||
			!omendb_record_copy(&vacuum->store, node, level, vacuum->whole) ||
			(vacuum->whole->flags & OMENDB_RECORD_DEAD))
			continue;
		omendb_link_write(&vacuum->chooser, vacuum->record, slot, node, vacuum->whole,
						  omendb_own_distance(&vacuum->store.index->codec, vacuum->record,
											  vacuum->whole, vacuum->chooser.scratch));
		return true;
	}
	return false;
}

/*
 * Fill the free slots of vacuum->record with what lies around, also by a search
 * from the entry point. Others do so as well: what is left does not fall apart.
 * to: nodes near that can be reached from the entry point. Returns their number.
 */
static uint32
look_around(HnswVacuum *vacuum, OmendbNode node, unsigned level, uint32 links, OmendbNode *to)
{
	const OmendbLayout *layout = &vacuum->store.index->codec.layout;
	OmendbChooser *chooser = &vacuum->chooser;
	uint16_t chosen[OMENDB_MAX_LINKS];
	size_t n = 0;
	size_t found;
	uint32 count;
	uint32 nto = 0;

	add_found(vacuum, &n, node, level);
	found = n;
	for (uint32 i = 0; i < vacuum->record->count; i++)
		add_candidate(vacuum, &n, node, omendb_record_neighbours(layout, vacuum->record)[i], level);
	if (n == 0)
		return 0;
	omendb_chooser_set(chooser, vacuum->record);
	count = omendb_choose(chooser, n, links, candidate_record, vacuum, chosen);
	for (uint32 i = 0; i < count; i++)
	{
		const OmendbSelectCandidate *c = &chooser->candidates[chosen[i]];

		if (c->tag < found)
			to[nto++] = c->node;
		if (vacuum->record->count < links &&
			!omendb_record_has_link(layout, vacuum->record, c->node))
			omendb_link_write(chooser, vacuum->record, vacuum->record->count++, c->node,
							  arena_record(vacuum, c->tag), c->distance);
	}
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
	uint32 links = level == 0 ? layout->links : layout->m;
	OmendbRecord *record = vacuum->record;
	OmendbNode to[OMENDB_MAX_LINKS];

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
		omendb_chooser_set(&vacuum->chooser, record);
		for (uint32 i = record->count; i-- > 0;)
			if (is_dead(vacuum, omendb_record_neighbours(layout, record)[i]) &&
				!substitute(vacuum, node, level, i))
				omendb_record_move_link(layout, record, --record->count, i);
		/* A whole neighbourhood died. */
		if (record->count < links / 2)
			nto = look_around(vacuum, node, level, links, to);
		if (!broken && record->count == 0)
			return;
		if (!omendb_record_put_links(&vacuum->store, node, record))
			continue;
		if (nto > 0)
			hnsw_make_known(vacuum->insert, node, level, record, to, nto);
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
repair_graph(HnswVacuum *vacuum)
{
	const OmendbCodec *codec = &vacuum->store.index->codec;
	const OmendbLayout *layout = &codec->layout;
	/* Nodes that came meanwhile have no dead neighbours, but their pages may. */
	BlockNumber blocks = RelationGetNumberOfBlocks(vacuum->store.relation);
	OmendbNode top = OMENDB_NO_NODE; /* a live node of the highest level */
	unsigned top_level = 0;

	vacuum->record = palloc(layout->record_bytes);
	vacuum->whole = palloc(layout->record_bytes);
	vacuum->copy_bytes = layout->neighbours_offset;
	vacuum->arena_room = 512;
	vacuum->arena =
		MemoryContextAllocHuge(CurrentMemoryContext, vacuum->arena_room * vacuum->copy_bytes);
	omendb_query_init(&vacuum->query, codec, palloc(omendb_query_bytes(codec) + 1));
	omendb_chooser_init(&vacuum->chooser, codec, &omendb_palloc_allocator);
	vacuum->insert = hnsw_insert_create(vacuum->store.relation, vacuum->store.index);
	repair_entry(vacuum);
	for (BlockNumber block = OMENDB_FIRST_BLOCK; block < blocks; block++)
	{
		Buffer buffer = lock_block(vacuum, block, BUFFER_LOCK_SHARE);
		unsigned levels[BLCKSZ / sizeof(OmendbRecord)];
		bool broken[BLCKSZ / sizeof(OmendbRecord)];

		if (!BufferIsValid(buffer))
			continue;
		for (uint32 slot = 0; slot < layout->per_page; slot++)
		{
			OmendbRecord *record = omendb_page_record(layout, BufferGetPage(buffer), slot);

			broken[slot] = has_dead_neighbour(vacuum, record);
			levels[slot] = record->level;
			if (record->kind == OMENDB_RECORD_NODE && !(record->flags & OMENDB_RECORD_DEAD) &&
				(top == OMENDB_NO_NODE || record->level > top_level))
			{
				top = omendb_block_node(layout, block, slot);
				top_level = record->level;
			}
		}
		UnlockReleaseBuffer(buffer);
		for (uint32 slot = 0; slot < layout->per_page; slot++)
			if (broken[slot])
				repair_node(vacuum, omendb_block_node(layout, block, slot), levels[slot]);
	}
	/* The entry point that was chosen did not take into account nodes that came later. */
	if (top != OMENDB_NO_NODE)
	{
		LockPage(vacuum->store.relation, OMENDB_META_BLOCK, ExclusiveLock);
		omendb_meta_raise_entry(&vacuum->store, top, top_level);
		UnlockPage(vacuum->store.relation, OMENDB_META_BLOCK, ExclusiveLock);
	}
}

/* Make the node known to a neighbour if none of them has a link to it. */
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

		if (omendb_record_links_to(&vacuum->store, neighbour, level, node))
			return;
	}
	hnsw_make_known(vacuum->insert, node, level, record, omendb_record_neighbours(layout, record),
					record->count);
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
			if ((vacuum->lost[node / 8] >> (node % 8) & 1) && !is_dead(vacuum, node))
			{
				omendb_vacuum_delay_point();
				make_known(vacuum, node);
			}
	}
}

/* Make the node known to the nearest that a search for it finds. */
static void
join_node(HnswVacuum *vacuum, OmendbNode node, unsigned level)
{
	OmendbNode nearest[OMENDB_MAX_M];
	float distances[OMENDB_MAX_M];
	uint32 most = vacuum->store.index->codec.layout.m;
	uint32 n = 0;
	size_t nvisited;
	const OmendbVisited *visited;

	if (!omendb_record_copy(&vacuum->store, node, level, vacuum->record) ||
		(vacuum->record->flags & OMENDB_RECORD_DEAD))
		return;
	visited = hnsw_find_near(vacuum->insert, vacuum->record, level, &nvisited);
	for (size_t i = 0; i < nvisited; i++)
	{
		float distance = visited[i].distance;
		uint32 k;

		if (!visited[i].payload.live || visited[i].node == node ||
			(n == most && distance >= distances[n - 1]))
			continue;
		if (n < most)
			n++;
		for (k = n - 1; k > 0 && distances[k - 1] > distance; k--)
		{
			distances[k] = distances[k - 1];
			nearest[k] = nearest[k - 1];
		}
		distances[k] = distance;
		nearest[k] = visited[i].node;
	}
	if (n > 0)
		hnsw_make_known(vacuum->insert, node, level, vacuum->record, nearest, n);
}

/* Join the nodes of a level that are not reached from those that wait. */
static void
join_level(HnswVacuum *vacuum, OmendbReach *reach, unsigned level)
{
	const OmendbLayout *layout = &vacuum->store.index->codec.layout;
	BlockNumber blocks = OMENDB_FIRST_BLOCK + reach->nodes / layout->per_page;

	omendb_reach_follow(reach, level);
	for (BlockNumber block = OMENDB_FIRST_BLOCK; block < blocks; block++)
	{
		Buffer buffer = lock_block(vacuum, block, BUFFER_LOCK_SHARE);
		bool missing[BLCKSZ / sizeof(OmendbRecord)];

		if (!BufferIsValid(buffer))
			continue;
		for (uint32 slot = 0; slot < layout->per_page; slot++)
		{
			OmendbRecord *record = omendb_page_record(layout, BufferGetPage(buffer), slot);

			missing[slot] = record->kind == OMENDB_RECORD_NODE && record->level == level &&
							!(record->flags & OMENDB_RECORD_DEAD);
		}
		UnlockReleaseBuffer(buffer);
		for (uint32 slot = 0; slot < layout->per_page; slot++)
		{
			OmendbNode node = omendb_block_node(layout, block, slot);

			if (!missing[slot] || omendb_reach_has(reach, node))
				continue;
			join_node(vacuum, node, level);
			omendb_reach_add(reach, node);
			omendb_reach_follow(reach, level);
		}
	}
}

/*
 * Those that live may be left in islands: each node is known to a neighbour,
 * but none of them to the rest.
 */
static void
join_islands(HnswVacuum *vacuum)
{
	OmendbReach reach;
	OmendbNode at;
	unsigned level;

	if (!omendb_index_entry(&vacuum->store, &at, &level))
		return;
	omendb_reach_init(&reach, &vacuum->store, vacuum->info->strategy);
	for (;; level--)
	{
		omendb_reach_add(&reach, at);
		join_level(vacuum, &reach, level);
		if (level == 0 || !omendb_record_copy(&vacuum->store, at, level, vacuum->whole))
			break;
		at = vacuum->whole->down;
	}
}

static bool
may_free(OmendbNode node, void *context)
{
	HnswVacuum *vacuum = context;

	return is_dead(vacuum, node) && (vacuum->only == OMENDB_NO_NODE || vacuum->only == node);
}

static void
free_dead_nodes(HnswVacuum *vacuum, IndexBulkDeleteResult *stats)
{
	/* From above, so that no link down ever leads to what is not the same vector's. */
	for (size_t i = vacuum->nupper; i > 0; i--)
	{
		Buffer buffer;

		vacuum->only = vacuum->upper[i - 1].node;
		if (!is_dead(vacuum, vacuum->only))
			continue;
		buffer =
			lock_block(vacuum, omendb_node_block(&vacuum->store.index->codec.layout, vacuum->only),
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

		if (!any_bit(vacuum, vacuum->dead, block))
			continue;
		buffer = lock_block(vacuum, block, BUFFER_LOCK_EXCLUSIVE);
		if (!BufferIsValid(buffer))
			continue;
		stats->pages_deleted +=
			omendb_page_free_dead(&vacuum->store, buffer, may_free, vacuum) == layout->per_page;
		UnlockReleaseBuffer(buffer);
	}
}

IndexBulkDeleteResult *
hnsw_bulk_delete(IndexVacuumInfo *info, IndexBulkDeleteResult *stats,
				 IndexBulkDeleteCallback callback, void *state)
{
	MemoryContext context =
		AllocSetContextCreate(CurrentMemoryContext, "hnsw vacuum", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old;
	HnswVacuum *vacuum;
	OmendbPageTids counts;

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
	vacuum->upper_room = 1024;
	vacuum->upper = palloc(vacuum->upper_room * sizeof(UpperRecord));
	vacuum->refill_room = 1024;
	vacuum->refill = palloc(vacuum->refill_room * sizeof(OmendbNode));

	remove_heap_tids(vacuum, &counts);
	stats->tuples_removed += counts.removed;
	stats->num_index_tuples = counts.left;
	if (vacuum->ndead > 0)
	{
		wait_for_inserts(vacuum);
		mark_upper_records(vacuum);
		replace_entry(vacuum);
		note_lost(vacuum);
		repair_graph(vacuum);
		find_lost(vacuum);
		join_islands(vacuum);
		wait_for_inserts(vacuum);
		free_dead_nodes(vacuum, stats);
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
	return stats;
}

IndexBulkDeleteResult *
hnsw_vacuum_cleanup(IndexVacuumInfo *info, IndexBulkDeleteResult *stats)
{
	OmendbStore store = {.relation = info->index};
	const OmendbLayout *layout;
	BlockNumber blocks;
	bool count = stats == NULL;

	if (info->analyze_only)
		return stats;
	if (stats == NULL)
		stats = palloc0(sizeof(IndexBulkDeleteResult));
	store.index = omendb_index_open(info->index);
	layout = &store.index->codec.layout;
	blocks = RelationGetNumberOfBlocks(info->index);
	stats->num_pages = blocks;
	stats->pages_free = 0;

	/* Free slots into the free space map: it does not survive a crash. */
	for (BlockNumber block = OMENDB_FIRST_BLOCK; block < blocks; block++)
	{
		Buffer buffer;
		bool has_free = false;
		bool all_free = true;

		omendb_vacuum_delay_point();
		buffer = ReadBufferExtended(info->index, MAIN_FORKNUM, block, RBM_NORMAL, info->strategy);
		LockBuffer(buffer, BUFFER_LOCK_SHARE);
		if (PageIsNew(BufferGetPage(buffer)))
			has_free = true;
		else
		{
			omendb_store_check(&store, buffer);
			for (uint32 slot = 0; slot < layout->per_page; slot++)
			{
				OmendbRecord *record = omendb_page_record(layout, BufferGetPage(buffer), slot);
				bool is_free = record->kind == OMENDB_RECORD_FREE;

				has_free |= is_free;
				all_free &= is_free;
				if (count && record->kind == OMENDB_RECORD_NODE && record->level == 0)
					stats->num_index_tuples += record->ntids;
				else if (count && record->kind == OMENDB_RECORD_OVERFLOW)
					stats->num_index_tuples += omendb_record_overflow(record)->count;
			}
		}
		UnlockReleaseBuffer(buffer);
		if (has_free)
			RecordFreeIndexPage(info->index, block);
		stats->pages_free += all_free;
	}
	IndexFreeSpaceMapVacuum(info->index);
	return stats;
}
