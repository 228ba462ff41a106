/*
 * hnswinsert.c
 *	  A new row into the index.
 *
 * The row's vector is searched for on every level it will be on, and its
 * neighbours are chosen, before anything is written. Then, from level 0 up: its
 * record is written with its links, and each neighbour takes a link back if it
 * is the better for it. A crash in between leaves a node with fewer links to
 * it, never a link to nothing.
 *
 * A row whose vector the index holds already becomes another heap TID of that
 * node.
 *
 * The heavyweight lock on the metapage's "page" is held in share mode
 * throughout: vacuum takes it exclusively to know that no insert still works
 * with nodes it has seen before they were marked dead.
 */
#include "am/hnsw.h"

#include "common/pg_prng.h"
#include "graph/link.h"
#include "graph/search.h"
#include "miscadmin.h"
#include "page/change.h"
#include "storage/lmgr.h"
#include "utils/memutils.h"

/* The plan for one level. */
typedef struct LevelPlan
{
	uint32 n;
	OmendbSelectCandidate links[OMENDB_MAX_LINKS];
	OmendbRecord *records[OMENDB_MAX_LINKS]; /* header and own vector of each */
} LevelPlan;

typedef struct HnswInsert
{
	OmendbStore store; /* first: the graph's operations get this struct */
	const HnswOpclass *opclass;
	OmendbSearch search;
	OmendbQuery query;
	OmendbQuery neighbour_query;
	OmendbChooser chooser;
	OmendbRecord *record; /* the new node's */
	OmendbRecord *copy;   /* of a neighbour's record */
	/* copies of the records visited in the present search, in its order */
	uint8 *arena;
	Size copy_bytes;
	size_t arena_room; /* records */
} HnswInsert;

static OmendbRecord *
arena_record(HnswInsert *insert, size_t i)
{
	return (OmendbRecord *) (insert->arena + i * insert->copy_bytes);
}

/* Visit, and keep a copy at the place the search will give the visit. */
static bool
insert_visit(void *context, OmendbNode node, unsigned level, const OmendbQuery *query,
			 OmendbStep *step)
{
	HnswInsert *insert = context;
	size_t at = insert->search.visited_used;

	if (at >= insert->arena_room)
	{
		insert->arena_room *= 2;
		insert->arena = repalloc_huge(insert->arena, insert->arena_room * insert->copy_bytes);
	}
	return omendb_store_visit_copy(&insert->store, node, level, query, step,
								   arena_record(insert, at));
}

static bool
insert_distance(void *context, OmendbNode node, unsigned level, const OmendbQuery *query,
				float *distance)
{
	return omendb_store_ops.distance(context, node, level, query, distance);
}

static void
insert_prefetch(void *context, OmendbNode node)
{
	omendb_store_ops.prefetch(context, node);
}

static const OmendbGraphOps insert_ops = {insert_visit, insert_distance, insert_prefetch};

static const OmendbRecord *
candidate_record(void *context, const OmendbSelectCandidate *candidate)
{
	return arena_record(context, candidate->tag);
}

static void
search_level(HnswInsert *insert, OmendbNode from, unsigned level, uint32 width)
{
	omendb_search_begin(&insert->search, &insert->query, level, width);
	omendb_search_enter(&insert->search, from);
	omendb_search_run(&insert->search);
}

/* The node among the visited ones that holds the same vector, or none. */
static OmendbNode
find_same(HnswInsert *insert)
{
	for (size_t i = 0; i < insert->search.visited_used; i++)
	{
		const OmendbVisited *visited = &insert->search.visited[i];
		const OmendbRecord *record = arena_record(insert, i);

		if (visited->payload.live && record->identity[0] == insert->record->identity[0] &&
			record->identity[1] == insert->record->identity[1] &&
			omendb_own_equal(&insert->store.index->codec, record, insert->record))
			return visited->node;
	}
	return OMENDB_NO_NODE;
}

static void
plan_level(HnswInsert *insert, LevelPlan *plan, uint32 want)
{
	OmendbChooser *chooser = &insert->chooser;
	uint16_t chosen[OMENDB_MAX_LINKS];
	size_t n = 0;

	omendb_chooser_room(chooser, insert->search.visited_used + 1);
	for (size_t i = 0; i < insert->search.visited_used; i++)
	{
		const OmendbVisited *visited = &insert->search.visited[i];

		if (visited->payload.live)
			chooser->candidates[n++] =
				(OmendbSelectCandidate){visited->distance, visited->node, (uint32) i};
	}
	omendb_chooser_set(chooser, insert->record);
	plan->n = omendb_choose(chooser, n, want, candidate_record, insert, chosen);
	for (uint32 i = 0; i < plan->n; i++)
	{
		plan->links[i] = chooser->candidates[chosen[i]];
		plan->records[i] = palloc(insert->copy_bytes);
		memcpy(plan->records[i], arena_record(insert, plan->links[i].tag), insert->copy_bytes);
	}
}

/* A neighbour of a full node of a plain layout, or the new one. */
typedef struct PlainSpoke
{
	float distance; /* from the node */
	uint32 slot;    /* OMENDB_MAX_LINKS: the new one */
	const OmendbRecord *record;
} PlainSpoke;

static int
by_plain_spoke(const void *a, const void *b)
{
	const PlainSpoke *x = a;
	const PlainSpoke *y = b;

	if (x->distance != y->distance)
		return x->distance < y->distance ? -1 : 1;
	return x->slot < y->slot ? -1 : x->slot > y->slot;
}

/*
 * As omendb_link_slot for the node in insert->copy, where there are no codes:
 * the neighbours' own vectors are read. A slot whose link is stale is free.
 */
static uint32
plain_link_slot(HnswInsert *insert, unsigned level, uint32 links, float distance, bool forced)
{
	const OmendbCodec *codec = &insert->store.index->codec;
	const OmendbLayout *layout = &codec->layout;
	float *scratch = insert->chooser.scratch;
	PlainSpoke spokes[OMENDB_MAX_LINKS + 1];
	uint32 kept[OMENDB_MAX_LINKS + 1];
	uint32 nkept = 0;
	uint32 drop = UINT32_MAX;
	uint32 n = insert->copy->count;
	OmendbRecord *whole = palloc(layout->record_bytes);

	for (uint32 i = 0; i < n; i++)
	{
		OmendbRecord *record;

		if (!omendb_record_copy(&insert->store, omendb_record_neighbours(layout, insert->copy)[i],
								level, whole))
			return i;
		record = palloc(insert->copy_bytes);
		memcpy(record, whole, insert->copy_bytes);
		spokes[i] = (PlainSpoke){omendb_own_distance(codec, insert->copy, record, scratch), i,
								 record};
	}
	pfree(whole);
	spokes[n] = (PlainSpoke){distance, OMENDB_MAX_LINKS, insert->record};
	qsort(spokes, n + 1, sizeof(PlainSpoke), by_plain_spoke);
	for (uint32 i = 0; i <= n; i++)
	{
		bool occluded = false;

		for (uint32 k = 0; k < nkept && !occluded; k++)
			occluded = omendb_own_distance(codec, spokes[i].record, spokes[kept[k]].record,
										   scratch) < spokes[i].distance;
		if (!occluded)
			kept[nkept++] = i;
		else if (!forced || spokes[i].slot != OMENDB_MAX_LINKS)
			drop = i;
	}
	if (drop == UINT32_MAX)
		drop = forced && spokes[n].slot == OMENDB_MAX_LINKS ? n - 1 : n;
	drop = spokes[drop].slot;
	return drop;
}

/* Give the neighbour a link to the node. True if it took it. */
static bool
link_back(HnswInsert *insert, OmendbNode neighbour, OmendbNode node, unsigned level,
		  uint32 links, float distance, bool forced)
{
	OmendbChooser *chooser = &insert->chooser;
	bool coded = omendb_layout_is_coded(&insert->store.index->codec.layout);

	for (;;)
	{
		uint32 slot;

		CHECK_FOR_INTERRUPTS();
		if (!omendb_record_copy(&insert->store, neighbour, level, insert->copy))
			return false;
		omendb_chooser_set(chooser, insert->copy);
		if (insert->copy->count < links)
			slot = insert->copy->count;
		else if (coded)
		{
			omendb_query_set_record(&insert->neighbour_query, insert->copy);
			slot = omendb_link_slot(chooser, &insert->neighbour_query, insert->copy, links,
									insert->record, distance, forced);
		}
		else
			slot = plain_link_slot(insert, level, links, distance, forced);
		if (slot >= links)
			return false;
		omendb_link_write(chooser, insert->copy, slot, node, insert->record, distance);
		if (slot == insert->copy->count)
			insert->copy->count++;
		if (omendb_record_put_link(&insert->store, neighbour, insert->copy, slot))
			return true;
	}
}

static unsigned
random_level(void)
{
	uint64 bits = pg_prng_uint64(&pg_global_prng_state);
	unsigned level = 0;

	while (level < OMENDB_MAX_LEVEL && (bits & ((1 << HNSW_LEVEL_SHIFT) - 1)) == 0)
	{
		level++;
		bits >>= HNSW_LEVEL_SHIFT;
	}
	return level;
}

/* Write the planned node's record on a level, and the links back to it. */
static OmendbNode
write_level(HnswInsert *insert, const LevelPlan *plan, unsigned level, OmendbNode down)
{
	const OmendbLayout *layout = &insert->store.index->codec.layout;
	uint32 links = level == 0 ? layout->links : layout->m;
	OmendbRecord *record = insert->record;
	OmendbNode node;
	uint32 taken = 0;

	record->level = level;
	record->down = down;
	record->count = plan->n;
	if (level > 0)
	{
		record->ntids = 0;
		memset(record->tids, 0, sizeof(record->tids));
	}
	omendb_chooser_set(&insert->chooser, record);
	for (uint32 i = 0; i < plan->n; i++)
		omendb_link_write(&insert->chooser, record, i, plan->links[i].node, plan->records[i],
						  plan->links[i].distance);
	node = omendb_record_put(&insert->store, record);
	for (uint32 i = 0; i < plan->n; i++)
		taken += link_back(insert, plan->links[i].node, node, level, links,
						   plan->links[i].distance, false);
	/* Somebody has to know it. */
	for (uint32 i = 0; i < plan->n && taken == 0; i++)
		taken += link_back(insert, plan->links[i].node, node, level, links,
						   plan->links[i].distance, true);
	return node;
}

static void
insert_record(HnswInsert *insert, ItemPointer tid)
{
	const OmendbLayout *layout = &insert->store.index->codec.layout;
	Relation index = insert->store.relation;
	unsigned level = random_level();
	LOCKMODE mode = ShareLock;
	LevelPlan *plans;
	OmendbNode entry;
	OmendbNode node = OMENDB_NO_NODE;
	OmendbNode same;
	unsigned entry_level;
	uint32 width = 2*hnsw_beam_width(layout, insert->store.index->meta.ef_construction);

	LockPage(index, OMENDB_META_BLOCK, mode);
	if (!omendb_index_entry(&insert->store, &entry, &entry_level) || level > entry_level)
	{
		/* Only one at a time begins the graph, or a level. */
		UnlockPage(index, OMENDB_META_BLOCK, mode);
		mode = ExclusiveLock;
		LockPage(index, OMENDB_META_BLOCK, mode);
		if (!omendb_index_entry(&insert->store, &entry, &entry_level))
		{
			LevelPlan none = {0};

			node = write_level(insert, &none, 0, OMENDB_NO_NODE);
			omendb_meta_raise_entry(&insert->store, node, 0);
			UnlockPage(index, OMENDB_META_BLOCK, mode);
			return;
		}
		level = Min(level, entry_level + 1);
	}

	plans = palloc0((level + 1) * sizeof(LevelPlan));
	for (unsigned at = entry_level;; at--)
	{
		const OmendbVisited *nearest;

		search_level(insert, entry, at, at > level ? 4 : width);
		if (at == 0)
			break;
		if (at <= level)
			plan_level(insert, &plans[at], layout->m);
		nearest = omendb_search_nearest(&insert->search);
		if (!nearest)
			ereport(ERROR, (errcode(ERRCODE_INDEX_CORRUPTED),
							errmsg("index \"%s\" has no node on level %u to go on from",
								   RelationGetRelationName(index), at),
							errhint("Please REINDEX it.")));
		entry = nearest->payload.down;
	}
	while ((same = find_same(insert)) != OMENDB_NO_NODE)
	{
		if (omendb_record_add_tid(&insert->store, same, insert->record, tid))
		{
			UnlockPage(index, OMENDB_META_BLOCK, mode);
			return;
		}
		/* It died since; not to be found again. */
		for (size_t i = 0; i < insert->search.visited_used; i++)
			if (insert->search.visited[i].node == same)
				insert->search.visited[i].payload.live = false;
	}
	plan_level(insert, &plans[0], layout->links);

	for (unsigned at = 0; at <= level; at++)
		node = write_level(insert, &plans[at], at, node);
	if (level > entry_level)
		omendb_meta_raise_entry(&insert->store, node, level);
	UnlockPage(index, OMENDB_META_BLOCK, mode);
}

bool
hnsw_insert(Relation index, Datum *values, bool *isnull, ItemPointer tid, Relation heap,
			IndexUniqueCheck unique, bool unchanged, IndexInfo *info)
{
	MemoryContext context;
	MemoryContext old;
	HnswInsert *insert;
	const OmendbIndex *open;
	const OmendbCodec *codec;
	bool taken;

	if (isnull[0])
		return false;
	context = AllocSetContextCreate(CurrentMemoryContext, "hnsw insert", ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(context);
	open = omendb_index_open(index);
	codec = &open->codec;
	insert = palloc0(sizeof(HnswInsert));
	insert->store.relation = index;
	insert->store.index = open;
	insert->opclass = hnsw_opclass(index);
	insert->record = palloc0(codec->layout.record_bytes);
	taken = hnsw_encode_value(open, insert->opclass, values[0],
							  palloc(hnsw_value_room(&codec->layout)), insert->record);
	if (taken)
	{
		insert->record->kind = OMENDB_RECORD_NODE;
		insert->record->overflow = OMENDB_NO_NODE;
		insert->record->ntids = 1;
		memcpy(insert->record->tids, tid, OMENDB_TID_BYTES);
		insert->copy = palloc(codec->layout.record_bytes);
		insert->copy_bytes = codec->layout.neighbours_offset;
		insert->arena_room = 512;
		insert->arena = MemoryContextAllocHuge(context, insert->arena_room * insert->copy_bytes);
		omendb_query_init(&insert->query, codec, palloc(omendb_query_bytes(codec) + 1));
		omendb_query_init(&insert->neighbour_query, codec, palloc(omendb_query_bytes(codec) + 1));
		omendb_query_set_record(&insert->query, insert->record);
		omendb_chooser_init(&insert->chooser, codec, &omendb_palloc_allocator);
		omendb_search_init(&insert->search, &insert_ops, insert, &omendb_palloc_allocator,
						   omendb_layout_is_coded(&codec->layout));
		insert_record(insert, tid);
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
	return taken;
}
