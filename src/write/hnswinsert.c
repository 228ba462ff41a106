/*
 * hnswinsert.c
 *	  A new row into the index.
 *
 * The row's vector is searched for on every level it will be on, and its
 * neighbours are chosen, before anything is written. Then, from level 0 up: its
 * record is written with its edges, and each neighbour takes a reverse edge if it
 * is the better for it; one has to. A crash in between leaves a node with fewer
 * edges to it, never an edge to nothing, nor another node without a way to it.
 *
 * A row whose vector the index holds already becomes another heap TID of that
 * node.
 *
 * The heavyweight lock on the metapage's "page" is held in share mode
 * throughout: vacuum takes it exclusively to know that no insert still works
 * with nodes it has seen before they were marked dead.
 */
#include "write/hnswinsert.h"

#include "common/pg_prng.h"
#include "graph/neighbours.h"
#include "graph/search.h"
#include "miscadmin.h"
#include "page/change.h"
#include "page/tids.h"
#include "storage/lmgr.h"
#include "utils/memutils.h"
#include "write/hnswedges.h"

/* The plan for one level. */
typedef struct LevelPlan
{
	uint32 n;
	OmendbSelectCandidate edges[OMENDB_MAX_EDGES];
	OmendbRecord *records[OMENDB_MAX_EDGES]; /* header and own vector of each */
} LevelPlan;

struct HnswInsert
{
	OmendbStore store; /* first: the graph's operations get this struct */
	OmendbSearch search;
	OmendbQuery query;
	OmendbChooser chooser;
	OmendbRecord *record; /* the new node's */
	HnswEdgeWriter writer;
	/* copies of the records visited in the present search, in its order */
	uint8 *arena;
	Size copy_bytes;
	size_t arena_capacity; /* records */
};

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

	if (at >= insert->arena_capacity)
	{
		insert->arena_capacity *= 2;
		insert->arena = repalloc_huge(insert->arena, insert->arena_capacity * insert->copy_bytes);
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

static bool
insert_prefetch(void *context, OmendbNode node)
{
	return omendb_store_ops.prefetch(context, node);
}

static bool
insert_request(void *context, OmendbNode node)
{
	return omendb_store_ops.request(context, node);
}

static const OmendbGraphOps insert_ops = {insert_visit, insert_distance, insert_prefetch,
										  insert_request};

static const OmendbRecord *
candidate_record(void *context, const OmendbSelectCandidate *candidate)
{
	return arena_record(context, candidate->tag);
}

/* So much wider than asked for at most, to find more than one live node. */
#define MAX_WIDER 16

/* Where the search of a level starts. */
typedef struct Entrances
{
	uint32 n;
	OmendbNode nodes[OMENDB_UPPER_BEAM + 1];
} Entrances;

/*
 * Search a level; wider as long as most of what is found is dead, for to those
 * no edge may lead. want: live nodes that are enough. False where none can
 * be reached.
 */
static bool
search_level(HnswInsert *insert, const Entrances *from, unsigned level, uint32 width, uint32 want)
{
	OmendbSearch *search = &insert->search;

	for (uint32 wider = 1;; wider *= 4)
	{
		uint32 live = 0;

		omendb_search_begin_from(search, &insert->query, level, width * wider, from->nodes,
								 from->n);
		omendb_search_run(search);
		for (size_t i = 0; i < search->visited_used; i++)
			live += search->visited[i].payload.live;
		/* A beam that is not full has seen all there is. */
		if (live >= want || (live > 0 && wider >= MAX_WIDER) ||
			search->beam.used < search->beam.width)
			return live > 0;
	}
}

/* The same on the way down to a level, where one node is enough, or on that level. */
static bool
search_towards(HnswInsert *insert, const Entrances *from, unsigned at, unsigned level, uint32 width)
{
	const OmendbIndex *index = insert->store.index;

	return at > level ? search_level(insert, from, at, omendb_meta_upper_beam(&index->meta), 1)
					  : search_level(insert, from, at, width, index->codec.layout.m);
}

/*
 * Where the search goes on a level below: from the nearest nodes, and from the
 * nearest live one (for all around may be dead).
 */
static bool
next_level(HnswInsert *insert, Entrances *below)
{
	const OmendbSearch *search = &insert->search;

	below->n = omendb_search_below(search, OMENDB_UPPER_BEAM, false, below->nodes);
	below->n += omendb_search_below(search, 1, true, &below->nodes[below->n]);
	return below->n > 0;
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
	Size own_bytes = insert->store.index->codec.layout.neighbours_offset;
	uint16_t chosen[OMENDB_MAX_EDGES];
	size_t n = 0;

	omendb_chooser_reserve(chooser, insert->search.visited_used + 1);
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
		plan->edges[i] = chooser->candidates[chosen[i]];
		plan->records[i] = palloc(own_bytes);
		memcpy(plan->records[i], arena_record(insert, plan->edges[i].tag), own_bytes);
	}
}

/* Most questions about which node has an edge to which are about nodes that were just visited. */
static void
remember_visited(HnswInsert *insert, unsigned level)
{
	const OmendbSearch *search = &insert->search;

	hnsw_edge_writer_remember(&insert->writer, level);
	for (size_t i = 0; i < search->visited_used; i++)
		if (search->visited[i].payload.live)
			hnsw_edge_writer_add(&insert->writer, search->visited[i].node, arena_record(insert, i));
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

/*
 * Let the planned neighbours know the node: those for which it is good, or one.
 * fresh: nothing leads to it yet. False if none could take it.
 */
static bool
add_reverse_edges(HnswInsert *insert, const LevelPlan *plan, OmendbNode node, unsigned level,
				  bool fresh)
{
	const OmendbRecord *record = insert->record;
	uint32 taken = 0;

	/*
	 * The m nearest: the others are there for their directions, and would hardly
	 * find the node's of use to them (measured: two tenths of a point of recall
	 * at most, for twice the pages written).
	 */
	for (uint32 i = 0; i < Min(plan->n, insert->store.index->codec.layout.m); i++)
		taken += hnsw_add_reverse_edge(&insert->writer, plan->edges[i].node, node, record, level,
									   plan->edges[i].distance, false);
	if (taken > 0)
		return true;
	for (uint32 i = 0; i < plan->n; i++)
		if (fresh ? hnsw_add_first_reverse_edge(&insert->writer, plan->edges[i].node, node, record,
												level, plan->edges[i].distance)
				  : hnsw_add_reverse_edge(&insert->writer, plan->edges[i].node, node, record, level,
										  plan->edges[i].distance, true))
			return true;
	return false;
}

/* The record of the planned node on a level. */
static void
make_record(HnswInsert *insert, const LevelPlan *plan, unsigned level, OmendbNode down)
{
	OmendbRecord *record = insert->record;

	record->level = level;
	record->down = down;
	record->count = plan->n;
	if (level > 0)
	{
		record->ntids = 0;
		record->overflow = OMENDB_NO_NODE;
		memset(record->tids, 0, sizeof(record->tids));
	}
	omendb_edge_clear(&insert->store.index->codec.layout, record);
	omendb_chooser_set(&insert->chooser, record);
	for (uint32 i = 0; i < plan->n; i++)
		omendb_edge_write(&insert->chooser, record, i, plan->edges[i].node, plan->records[i],
						  plan->edges[i].distance);
}

/* The same without edges, above the node. */
static OmendbNode
put_above(HnswInsert *insert, unsigned level, OmendbNode down)
{
	static const LevelPlan none = {0};

	make_record(insert, &none, level, down);
	return omendb_record_put(&insert->store, insert->record);
}

/*
 * No neighbour of a new node can take an edge to it. So it becomes the entry point
 * and leads to the one before; on the levels in between it has no edges.
 */
static void
become_entry(HnswInsert *insert, OmendbNode node, unsigned level)
{
	for (;;)
	{
		OmendbNode entry;
		unsigned entry_level;

		CHECK_FOR_INTERRUPTS();
		omendb_index_entry(&insert->store, &entry, &entry_level);
		while (level < entry_level)
		{
			level++;
			node = put_above(insert, level, node);
		}
		/*
		 * It may be dead. Then no vacuum repairs as long as this insert goes on, for it
		 * first makes a live node the entry point, without inserts; and an edge to a
		 * dead node that is there when it begins to repair does no harm.
		 */
		if (!hnsw_add_edge(&insert->writer, node, entry, level, true))
			ereport(ERROR, (errcode(ERRCODE_INDEX_CORRUPTED),
							errmsg("index \"%s\" has an entry point that is no node",
								   RelationGetRelationName(insert->store.relation)),
							errhint("Please REINDEX it.")));
		if (omendb_meta_change_entry(&insert->store, entry, node, level))
			return;
	}
}

/* The node is all that the graph has, or all that lives in it. */
static void
begin_graph(HnswInsert *insert, OmendbNode entry)
{
	static const LevelPlan none = {0};
	OmendbNode node;

	make_record(insert, &none, 0, OMENDB_NO_NODE);
	if (!omendb_record_put_entry(&insert->store, insert->record, entry, &node))
		elog(ERROR, "the entry point changed under lock");
}

/* Let the plan have an edge to the entry point among its own. */
static void
plan_entry(HnswInsert *insert, LevelPlan *plan, OmendbNode entry, unsigned level)
{
	const OmendbCodec *codec = &insert->store.index->codec;
	OmendbRecord *record;
	uint32 i = 0;

	while (i < plan->n && plan->edges[i].node != entry)
		i++;
	if (i < plan->n)
		return;
	record = palloc(codec->layout.neighbours_offset);
	if (!omendb_record_copy_own(&insert->store, entry, level, record))
		return;
	if (plan->n == (level == 0 ? codec->layout.edges : codec->layout.m))
		plan->n--;
	plan->edges[plan->n] = (OmendbSelectCandidate){
		omendb_own_distance(codec, insert->record, record, insert->chooser.scratch), entry, 0};
	plan->records[plan->n++] = record;
}

/*
 * Write the planned records, from below, with the reverse edges to them. Above the
 * entry point the last one becomes it: for what the entry point led to, the
 * record below has an edge to that.
 */
static void
write_levels(HnswInsert *insert, LevelPlan *plans, unsigned level, OmendbNode entry,
			 unsigned entry_level)
{
	OmendbNode node = OMENDB_NO_NODE;
	bool known = false;

	if (level > entry_level)
		plan_entry(insert, &plans[entry_level], entry, entry_level);
	for (unsigned at = 0; at <= level; at++)
	{
		make_record(insert, &plans[at], at, node);
		if (at > entry_level)
		{
			if (!omendb_record_put_entry(&insert->store, insert->record, entry, &node))
				elog(ERROR, "the entry point changed under lock");
			return;
		}
		node = omendb_record_put(&insert->store, insert->record);
		/* Its edge to the entry point must not make room for another. */
		known |= add_reverse_edges(insert, &plans[at], node, at, at < entry_level || at == level);
	}
	if (!known)
		become_entry(insert, node, level);
}

static void
insert_record(HnswInsert *insert, ItemPointer tid, LOCKMODE mode)
{
	const OmendbLayout *layout = &insert->store.index->codec.layout;
	Relation index = insert->store.relation;
	unsigned level = random_level();
	LevelPlan *plans;
	Entrances from = {1, {0}};
	OmendbNode same;
	OmendbNode entry;
	unsigned entry_level;
	bool begun;
	uint32 width = 2 * hnsw_beam_width(layout, insert->store.index->meta.ef_construction);

	LockPage(index, OMENDB_META_BLOCK, mode);
	begun = omendb_index_entry(&insert->store, &entry, &entry_level);
	if (mode == ShareLock && (!begun || level > entry_level))
	{
		/* Only one at a time begins the graph, or a level. */
		UnlockPage(index, OMENDB_META_BLOCK, mode);
		mode = ExclusiveLock;
		LockPage(index, OMENDB_META_BLOCK, mode);
		begun = omendb_index_entry(&insert->store, &entry, &entry_level);
	}
	if (!begun)
	{
		begin_graph(insert, OMENDB_NO_NODE);
		UnlockPage(index, OMENDB_META_BLOCK, mode);
		return;
	}
	level = Min(level, entry_level + 1);
	from.nodes[0] = entry;

	plans = palloc0((level + 1) * sizeof(LevelPlan));
	for (unsigned at = entry_level;; at--)
	{
		bool found = search_towards(insert, &from, at, level, width);

		/* Of the nodes on the way one lives, or all are marked as dead: they are there. */
		if (at == 0 && insert->search.visited_used == 0)
			omendb_corrupt_page(index, OMENDB_META_BLOCK, "The entry point leads to no node.");
		if (at == 0 && !found)
		{
			/*
			 * All is dead; a vacuum goes on or was interrupted. The graph begins
			 * anew, unless somebody was quicker.
			 */
			if (mode == ExclusiveLock)
				begin_graph(insert, entry);
			UnlockPage(index, OMENDB_META_BLOCK, mode);
			if (mode == ShareLock)
				insert_record(insert, tid, ExclusiveLock);
			return;
		}
		if (at == 0)
			break;
		/* Not on a level, nor above it, where nothing could know it. */
		if (!found && at <= level)
			level = at - 1;
		if (at <= level)
			plan_level(insert, &plans[at], layout->m);
		if (!next_level(insert, &from))
			omendb_corrupt_page(index, OMENDB_META_BLOCK,
								"The entry point leads to no node of a level below it.");
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
	plan_level(insert, &plans[0], layout->edges);
	remember_visited(insert, 0);
	write_levels(insert, plans, level, entry, entry_level);
	UnlockPage(index, OMENDB_META_BLOCK, mode);
}

HnswInsert *
hnsw_insert_create(Relation index, const OmendbIndex *open)
{
	HnswInsert *insert = palloc0(sizeof(HnswInsert));
	const OmendbCodec *codec = &open->codec;

	insert->store.relation = index;
	insert->store.index = open;
	insert->store.requests = omendb_store_may_request(index);
	insert->record = palloc0(codec->layout.record_bytes);
	insert->copy_bytes = codec->layout.codes_offset;
	insert->arena_capacity = 512;
	insert->arena =
		MemoryContextAllocHuge(CurrentMemoryContext, insert->arena_capacity * insert->copy_bytes);
	omendb_query_init(&insert->query, codec, palloc(omendb_query_bytes(codec) + 1));
	omendb_chooser_init(&insert->chooser, codec, &omendb_palloc_allocator);
	hnsw_edge_writer_init(&insert->writer, &insert->store, &insert->chooser);
	omendb_search_init(&insert->search, &insert_ops, insert, &omendb_palloc_allocator,
					   omendb_layout_is_coded(&codec->layout));
	return insert;
}

const OmendbSearch *
hnsw_find_near(HnswInsert *insert, const OmendbRecord *record, unsigned level)
{
	const OmendbLayout *layout = &insert->store.index->codec.layout;
	uint32 width = hnsw_beam_width(layout, insert->store.index->meta.ef_construction);
	Entrances from = {1, {0}};
	unsigned at;

	if (!omendb_index_entry(&insert->store, &from.nodes[0], &at) || at < level)
		return NULL;
	omendb_query_set_record(&insert->query, record);
	for (;; at--)
	{
		search_towards(insert, &from, at, level, width);
		if (at == level)
			return &insert->search;
		if (!next_level(insert, &from))
			return NULL;
	}
}

bool
hnsw_add_reverse_edges(HnswInsert *insert, OmendbNode node, unsigned level,
					   const OmendbRecord *record, const OmendbNode *to, uint32 n)
{
	const OmendbCodec *codec = &insert->store.index->codec;
	LevelPlan plan;

	plan.n = 0;
	for (uint32 i = 0; i < n; i++)
		if (omendb_record_copy(&insert->store, to[i], level, insert->writer.copy))
			plan.edges[plan.n++] = (OmendbSelectCandidate){
				omendb_own_distance(codec, record, insert->writer.copy, insert->chooser.scratch),
				to[i], i};
	memcpy(insert->record, record, codec->layout.neighbours_offset);
	return add_reverse_edges(insert, &plan, node, level, false);
}

bool
hnsw_make_entry(HnswInsert *insert, OmendbNode node, unsigned level, const OmendbRecord *record,
				OmendbNode *entry, unsigned *entry_level)
{
	const Size own_bytes = insert->store.index->codec.layout.neighbours_offset;

	if (level == *entry_level)
	{
		if (level == OMENDB_MAX_LEVEL ||
			!omendb_record_copy_own(&insert->store, *entry, level, insert->record))
			return false;
		*entry = put_above(insert, ++*entry_level, *entry);
	}
	memcpy(insert->record, record, own_bytes);
	while (level < *entry_level)
	{
		level++;
		node = put_above(insert, level, node);
	}
	if (!hnsw_add_edge(&insert->writer, node, *entry, level, false))
		return false;
	*entry = node;
	return true;
}

bool
hnsw_insert(Relation index, Datum *values, bool *isnull, ItemPointer tid, Relation heap,
			IndexUniqueCheck unique, bool unchanged, IndexInfo *info)
{
	MemoryContext context;
	MemoryContext old;
	HnswInsert *insert;
	const OmendbIndex *open;
	bool taken;

	if (isnull[0])
		return false;
	context = AllocSetContextCreate(CurrentMemoryContext, "hnsw insert", ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(context);
	open = omendb_index_open(index);
	insert = hnsw_insert_create(index, open);
	taken = hnsw_encode_value(open, hnsw_opclass(index), values[0],
							  palloc(hnsw_value_bytes(&open->codec.layout)), insert->record);
	if (taken)
	{
		insert->record->kind = OMENDB_RECORD_NODE;
		insert->record->overflow = OMENDB_NO_NODE;
		insert->record->ntids = 1;
		memcpy(insert->record->tids, tid, OMENDB_TID_BYTES);
		omendb_query_set_record(&insert->query, insert->record);
		insert_record(insert, tid, ShareLock);
	}
	else
		omendb_meta_note_left_out(&insert->store);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
	return taken;
}
