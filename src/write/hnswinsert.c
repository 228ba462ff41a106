/*
 * hnswinsert.c
 *	  Inserts a row into the index.
 *
 * The row's vector is searched for on every level that it will be on, and its neighbours are
 * chosen, before anything is written. Then, from level 0 up, the reverse edges are planned: each neighbour
 * takes one if that is better for it. An edge that a neighbour gives up without another detour is
 * taken over by the new node. The node's record is written with its edges, then the reverse
 * edges; one neighbour has to take one. A crash in between leaves a node with fewer incoming edges, never
 * an edge to nothing, nor another node that is not reached any more.
 *
 * A row whose vector the index has already becomes another heap TID of that node.
 *
 * Locks: the heavyweight lock on the metapage's number is held in share mode throughout.
 * Vacuum takes that lock exclusively to know that no insert still works with nodes that the
 * insert read before they were marked dead. An insert that begins the graph or a level holds
 * it exclusively. Page locks are those of single reads and changes.
 */
#include "write/hnswinsertwork.h"

#include <math.h>

#include "common/pg_prng.h"
#include "miscadmin.h"
#include "page/tids.h"
#include "storage/lmgr.h"
#include "utils/memutils.h"
#include "write/hnswbatch.h"

/* Visit a node, and keep a copy of its record at the place that the search will give the visit. */
static bool
insert_visit(void *context, OmendbNode node, unsigned level, const OmendbQuery *query,
			 OmendbStep *step)
{
	HnswInsert *insert = context;
	const OmendbLayout *layout = &insert->store.index->codec.layout;
	size_t at = insert->search.visited_used;
	OmendbRecord *copy;

	if (at + 1 >= insert->places_capacity)
	{
		insert->places_capacity *= 2;
		insert->places = repalloc_huge(insert->places, insert->places_capacity * sizeof(Size));
	}
	while (insert->places[at] + layout->record_bytes > insert->copies_bytes)
	{
		insert->copies_bytes *= 2;
		insert->copies = repalloc_huge(insert->copies, insert->copies_bytes);
	}
	copy = hnsw_visited_record(insert, at);
	if (!omendb_store_visit_copy(&insert->store, node, level, query, step, copy))
		return false;
	/* A dead node is not copied. */
	insert->places[at + 1] =
		insert->places[at] + (step->payload.live ? omendb_visit_size(layout, copy) : 0);
	return true;
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
	return hnsw_visited_record(context, candidate->tag);
}

/* Copies that memory is allocated for at first; a search that visits more doubles it. */
#define COPIES_AT_FIRST 512

/* Bytes of such a copy of a spanning record: of a vector of 50 elements by the default m. */
#define USUAL_COPY_BYTES 512

/* Maximum factor by which a beam is widened to find more than one live node. */
#define MAX_WIDER 16

/*
 * A node is put on level 1 if all nodes at which the search came down are this many times as far as its m-th nearest
 * one. Among rows that are spread evenly they are hardly farther.
 */
#define UNCOVERED_RATIO 1.75F

/* The nodes that a level is entered at. */
typedef struct StartNodes
{
	uint32 n;
	OmendbNode nodes[OMENDB_UPPER_BEAM + 1];
} StartNodes;

/*
 * Search a level. The beam is widened until `enough` live nodes are visited, because no edge may
 * lead to a dead one. False if no live node can be reached.
 */
static bool
search_level(HnswInsert *insert, const StartNodes *from, unsigned level, uint32 width,
			 uint32 enough)
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
		/* A beam that is not full has visited all nodes that can be reached. */
		if (live >= enough || (live > 0 && wider >= MAX_WIDER) ||
			search->beam.used < search->beam.width)
			return live > 0;
	}
}

/*
 * Search level `at` on the way down to `level`: above that level with the beam of upper levels, for one
 * live node; on it with a beam of `width`, for m. False if no live node can be reached.
 */
static bool
search_towards(HnswInsert *insert, const StartNodes *from, unsigned at, unsigned level,
			   uint32 width)
{
	const OmendbIndex *index = insert->store.index;

	return at > level ? search_level(insert, from, at, omendb_meta_upper_beam(&index->meta), 1)
					  : search_level(insert, from, at, width, index->codec.layout.m);
}

/*
 * Set the nodes that the level below is entered at: those below the nearest nodes, and below the
 * nearest live node, because all nodes near may be dead. False if there are none.
 */
static bool
descend(HnswInsert *insert, StartNodes *below)
{
	const OmendbSearch *search = &insert->search;

	below->n = omendb_search_below(search, OMENDB_UPPER_BEAM, false, below->nodes);
	below->n += omendb_search_below(search, 1, true, &below->nodes[below->n]);
	return below->n > 0;
}

/* The live visited node that has the new node's vector, or OMENDB_NO_NODE. */
OmendbNode
hnsw_find_equal(HnswInsert *insert)
{
	for (size_t i = 0; i < insert->search.visited_used; i++)
	{
		const OmendbVisited *visited = &insert->search.visited[i];
		const OmendbRecord *record = hnsw_visited_record(insert, i);

		if (visited->payload.live && record->identity[0] == insert->record->identity[0] &&
			record->identity[1] == insert->record->identity[1] &&
			omendb_own_equal(&insert->store.index->codec, record, insert->record))
			return visited->node;
	}
	return OMENDB_NO_NODE;
}

/* Choose up to `edges` neighbours out of the live nodes that the search visited. */
static void
plan_level(HnswInsert *insert, HnswNewNode *plan, uint32 edges)
{
	OmendbChooser *chooser = &insert->chooser;
	const OmendbLayout *layout = &insert->store.index->codec.layout;
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
	plan->n = omendb_choose(chooser, n, edges, candidate_record, insert, chosen);
	for (uint32 i = 0; i < plan->n; i++)
	{
		const OmendbRecord *record;
		Size bytes;

		plan->edges[i] = chooser->candidates[chosen[i]];
		record = hnsw_visited_record(insert, plan->edges[i].tag);
		bytes = omendb_head_size(layout, record);
		plan->records[i] = memcpy(palloc(bytes), record, bytes);
	}
}

/*
 * Level 0 was searched and planned: true if the node's neighbours are much nearer than every node at which the
 * search came down. Then the node's region has no node on the level above, and searches might not find it, as
 * whole clusters of rows. (A build looks at edges instead: graph/cover.h.)
 */
static bool
is_uncovered(const HnswInsert *insert, const HnswNewNode *plan, const StartNodes *from)
{
	const OmendbSearch *search = &insert->search;
	const OmendbLayout *layout = &insert->store.index->codec.layout;
	uint32 least = layout->m;
	/* Distances of L2 and cosine are squares. */
	bool squares = layout->metric == OMENDB_METRIC_L2 || layout->metric == OMENDB_METRIC_COSINE;
	float ratio = squares ? UNCOVERED_RATIO * UNCOVERED_RATIO : UNCOVERED_RATIO;
	float nearest = INFINITY;

	/* Differences of inner products say nothing about how near two rows are. */
	if (layout->metric == OMENDB_METRIC_IP || plan->n < least)
		return false;
	for (size_t i = 0; i < search->visited_used; i++)
		for (uint32 k = 0; k < from->n; k++)
			if (search->visited[i].node == from->nodes[k])
				nearest = Min(nearest, search->visited[i].distance);
	return nearest > ratio * insert->chooser.candidates[least - 1].distance;
}

/* Let the edge writer know the edges of the visited nodes: most detours lead through these. */
static void
remember_visited(HnswInsert *insert, unsigned level)
{
	const OmendbSearch *search = &insert->search;

	hnsw_edge_writer_remember(&insert->writer, level);
	for (size_t i = 0; i < search->visited_used; i++)
		if (search->visited[i].payload.live)
			hnsw_edge_writer_add(&insert->writer, search->visited[i].node,
								 hnsw_visited_record(insert, i));
}

unsigned
hnsw_random_level(void)
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
 * Neighbours that are offered a reverse edge: the m nearest. The others were chosen for their directions, and
 * the node is hardly one of their best neighbours. (Measured: all of them raise recall by .002 at most, and
 * double the pages that are written.)
 */
static uint32
count_offers(const HnswInsert *insert, const HnswNewNode *plan)
{
	return Min(plan->n, insert->store.index->codec.layout.m);
}

/* Give the node, which may have none yet, a reverse edge from the first planned neighbour that can take it. */
static bool
force_reverse_edge(HnswInsert *insert, const HnswNewNode *plan, OmendbNode node, unsigned level,
				   bool is_new)
{
	const OmendbRecord *record = insert->record;

	for (uint32 i = 0; i < plan->n; i++)
		if (is_new ? hnsw_add_first_reverse_edge(&insert->writer, plan->edges[i].node, node, record,
												 level, plan->edges[i].distance)
				   : hnsw_add_reverse_edge(&insert->writer, plan->edges[i].node, node, record,
										   level, plan->edges[i].distance, true))
			return true;
	return false;
}

/*
 * Give a node that was written before reverse edges from the planned neighbours for which these are better than
 * one of theirs. False if no neighbour takes one.
 */
static bool
add_reverse_edges(HnswInsert *insert, const HnswNewNode *plan, OmendbNode node, unsigned level)
{
	uint32 added = 0;

	for (uint32 i = 0; i < count_offers(insert, plan); i++)
		added += hnsw_add_reverse_edge(&insert->writer, plan->edges[i].node, node, insert->record,
									   level, plan->edges[i].distance, false);
	return added > 0;
}

/*
 * Plan reverse edges from the neighbours for which they are better than one of theirs. The node, which is not
 * written yet, takes over at most half of its edges from them. Returns the number of planned edges.
 */
static uint32
plan_reverse_edges(HnswInsert *insert, HnswNewNode *plan, unsigned level, HnswPlannedEdge *planned)
{
	uint32 capacity = hnsw_edge_capacity(&insert->writer, level);
	uint32 offers = count_offers(insert, plan);
	OmendbSelectCandidate nearest[OMENDB_MAX_M];
	uint32 n = 0;

	/* The plan's own edges may be replaced meanwhile. */
	memcpy(nearest, plan->edges, offers * sizeof(OmendbSelectCandidate));
	plan->record = insert->record;
	plan->keep = capacity - capacity / 2;
	insert->writer.new_node = plan;
	for (uint32 i = 0; i < offers; i++)
	{
		planned[n].copy = palloc(insert->store.index->codec.layout.record_bytes);
		if (hnsw_plan_reverse_edge(&insert->writer, nearest[i].node, level, nearest[i].distance,
								   &planned[n]))
			n++;
		else
			pfree(planned[n].copy);
	}
	insert->writer.new_node = NULL;
	return n;
}

/* Make insert->record the node's record on a level, with the planned edges. down: its pointer down. */
static void
make_record(HnswInsert *insert, const HnswNewNode *plan, unsigned level, OmendbNode down)
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

/* Put a record without edges above the node. Returns the record's number. */
static OmendbNode
put_above(HnswInsert *insert, unsigned level, OmendbNode down)
{
	static const HnswNewNode none = {0};

	make_record(insert, &none, level, down);
	return omendb_record_put(&insert->store, insert->record);
}

/*
 * No neighbour of a new node can take an edge to it. So the node becomes the entry point, with an
 * edge to the old one; on the levels in between it has no edges. node: its highest record.
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
		 * The entry point may be dead. Then no vacuum repairs edges while this insert runs:
		 * before that, vacuum makes a live node the entry point while no insert runs. And an
		 * edge to a dead node that is there when vacuum begins to repair does no harm.
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

/*
 * The node is the only one in the graph, or the only live one: put it on level 0, as the entry
 * point in place of `entry`. The lock on the metapage's number is held exclusively.
 */
static void
begin_graph(HnswInsert *insert, OmendbNode entry)
{
	static const HnswNewNode none = {0};
	OmendbNode node;

	make_record(insert, &none, 0, OMENDB_NO_NODE);
	if (!omendb_record_put_entry(&insert->store, insert->record, entry, &node))
		elog(ERROR, "the entry point changed under lock");
}

/* Add the entry point to the planned neighbours, in place of the last one if there are too many. */
static void
plan_entry(HnswInsert *insert, HnswNewNode *plan, OmendbNode entry, unsigned level)
{
	const OmendbCodec *codec = &insert->store.index->codec;
	OmendbRecord *record;
	uint32 i = 0;

	while (i < plan->n && plan->edges[i].node != entry)
		i++;
	if (i < plan->n)
	{
		plan->needed[i] = true;
		return;
	}
	record = palloc(codec->layout.head_bytes);
	if (!omendb_record_copy_own(&insert->store, entry, level, record))
		return;
	if (plan->n == hnsw_edge_capacity(&insert->writer, level))
		plan->n--;
	plan->edges[plan->n] = (OmendbSelectCandidate){
		omendb_own_distance(codec, insert->record, record, insert->chooser.scratch), entry, 0};
	plan->needed[plan->n] = true;
	plan->records[plan->n++] = record;
}

/*
 * Write the planned records, from level 0 up, and reverse edges to them. A record above the entry
 * point's level becomes the entry point: the record below has an edge to the old entry
 * point, so all that the old one led to is still reached.
 */
static void
write_levels(HnswInsert *insert, HnswNewNode *plans, unsigned level, OmendbNode entry,
			 unsigned entry_level)
{
	OmendbNode node = OMENDB_NO_NODE;
	bool has_incoming = false;

	if (level > entry_level)
		plan_entry(insert, &plans[entry_level], entry, entry_level);
	for (unsigned at = 0; at <= level; at++)
	{
		HnswPlannedEdge planned[OMENDB_MAX_M];
		uint32 n = at > entry_level ? 0 : plan_reverse_edges(insert, &plans[at], at, planned);
		bool taken = false;

		make_record(insert, &plans[at], at, node);
		if (at > entry_level)
		{
			if (!omendb_record_put_entry(&insert->store, insert->record, entry, &node))
				elog(ERROR, "the entry point changed under lock");
			return;
		}
		node = omendb_record_put(&insert->store, insert->record);
		for (uint32 i = 0; i < n; i++)
			taken |= hnsw_put_planned_edge(&insert->writer, &planned[i], node, insert->record, at);
		/*
		 * A node that gets a record above the entry point is not called new on the level below: its
		 * edge to the entry point must not be replaced.
		 */
		has_incoming |= taken || force_reverse_edge(insert, &plans[at], node, at,
													at < entry_level || at == level);
	}
	if (!has_incoming)
		become_entry(insert, node, level);
}

/*
 * Insert the row of insert->record. mode: of the lock on the metapage's number, which is taken
 * and released here.
 */
static void
insert_record(HnswInsert *insert, ItemPointer tid, unsigned level, LOCKMODE mode)
{
	const OmendbLayout *layout = &insert->store.index->codec.layout;
	Relation index = insert->store.relation;
	HnswNewNode *plans;
	StartNodes from = {1, {0}};
	OmendbNode equal;
	OmendbNode entry;
	unsigned entry_level;
	bool begun;
	uint32 width = 2 * hnsw_beam_width(layout, insert->store.index->meta.ef_construction);

	LockPage(index, OMENDB_META_BLOCK, mode);
	begun = omendb_index_entry(&insert->store, &entry, &entry_level);
	if (mode == ShareLock && (!begun || level > entry_level))
	{
		/* Only one insert at a time begins the graph, or a level. */
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

	plans = palloc0((level + 1) * sizeof(HnswNewNode));
	for (unsigned at = entry_level;; at--)
	{
		bool found = search_towards(insert, &from, at, level, width);

		/* Nodes of the graph are there, be they dead: a search always visits some. */
		if (at == 0 && insert->search.visited_used == 0)
			omendb_corrupt_page(index, OMENDB_META_BLOCK, "The entry point leads to no node.");
		if (at == 0 && !found)
		{
			/*
			 * All nodes are dead: a vacuum is running or was interrupted. The graph begins
			 * anew, unless another insert has begun it.
			 */
			if (mode == ExclusiveLock)
				begin_graph(insert, entry);
			UnlockPage(index, OMENDB_META_BLOCK, mode);
			if (mode == ShareLock)
				insert_record(insert, tid, level, ExclusiveLock);
			return;
		}
		if (at == 0)
			break;
		/* No record on a level without live nodes, nor above: nothing could lead to the record. */
		if (!found && at <= level)
			level = at - 1;
		if (at <= level)
			plan_level(insert, &plans[at], layout->m);
		if (!descend(insert, &from))
			omendb_corrupt_page(index, OMENDB_META_BLOCK,
								"The entry point leads to no node of a level below it.");
	}
	while ((equal = hnsw_find_equal(insert)) != OMENDB_NO_NODE)
	{
		if (omendb_record_add_tid(&insert->store, equal, insert->record, tid))
		{
			UnlockPage(index, OMENDB_META_BLOCK, mode);
			return;
		}
		/* The node was marked dead since the visit: do not find it again. */
		for (size_t i = 0; i < insert->search.visited_used; i++)
			if (insert->search.visited[i].node == equal)
				insert->search.visited[i].payload.live = false;
	}
	plan_level(insert, &plans[0], layout->edges);
	if (level == 0 && entry_level > 0 && is_uncovered(insert, &plans[0], &from))
	{
		UnlockPage(index, OMENDB_META_BLOCK, mode);
		insert_record(insert, tid, 1, ShareLock);
		return;
	}
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
	insert->places_capacity = COPIES_AT_FIRST;
	insert->places = palloc(insert->places_capacity * sizeof(Size));
	insert->places[0] = 0;
	insert->copies_bytes =
		COPIES_AT_FIRST *
			(Size) (codec->layout.spans ? USUAL_COPY_BYTES : codec->layout.codes_offset) +
		codec->layout.record_bytes;
	insert->copies = MemoryContextAllocHuge(CurrentMemoryContext, insert->copies_bytes);
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
	StartNodes from = {1, {0}};
	unsigned at;

	if (!omendb_index_entry(&insert->store, &from.nodes[0], &at) || at < level)
		return NULL;
	omendb_query_set_record(&insert->query, record);
	for (;; at--)
	{
		search_towards(insert, &from, at, level, width);
		if (at == level)
			return &insert->search;
		if (!descend(insert, &from))
			return NULL;
	}
}

bool
hnsw_find_neighbours(HnswInsert *insert, OmendbNode entry, unsigned entry_level, uint32 width)
{
	StartNodes from = {1, {entry}};

	for (unsigned at = entry_level;; at--)
	{
		bool found = search_towards(insert, &from, at, 0, width);

		if (at == 0)
			return found;
		if (!descend(insert, &from))
			omendb_corrupt_page(insert->store.relation, OMENDB_META_BLOCK,
								"The entry point leads to no node of a level below it.");
	}
}

bool
hnsw_find_neighbours_from(HnswInsert *insert, const OmendbNode *from, uint32 n, uint32 width)
{
	StartNodes start = {.n = n};

	memcpy(start.nodes, from, n * sizeof(OmendbNode));
	return search_towards(insert, &start, 0, 0, width);
}

void
hnsw_force_reverse_edge(HnswInsert *insert, OmendbNode node, const OmendbRecord *record)
{
	const OmendbCodec *codec = &insert->store.index->codec;
	HnswNewNode *plan = palloc(sizeof(HnswNewNode));

	plan->n = 0;
	for (uint32 i = 0; i < record->count; i++)
	{
		OmendbNode neighbour = omendb_record_neighbours(&codec->layout, record)[i];

		if (omendb_record_copy_own(&insert->store, neighbour, 0, insert->writer.other))
			plan->edges[plan->n++] = (OmendbSelectCandidate){
				omendb_own_distance(codec, record, insert->writer.other, insert->chooser.scratch),
				neighbour, i};
	}
	memcpy(insert->record, record, omendb_record_size(&codec->layout, record));
	if (!add_reverse_edges(insert, plan, node, 0) &&
		!force_reverse_edge(insert, plan, node, 0, true))
		become_entry(insert, node, 0);
	pfree(plan);
}

bool
hnsw_add_reverse_edges(HnswInsert *insert, OmendbNode node, unsigned level,
					   const OmendbRecord *record, const OmendbNode *to, uint32 n)
{
	const OmendbCodec *codec = &insert->store.index->codec;
	HnswNewNode plan;

	plan.n = 0;
	for (uint32 i = 0; i < n; i++)
		if (omendb_record_copy(&insert->store, to[i], level, insert->writer.copy))
			plan.edges[plan.n++] = (OmendbSelectCandidate){
				omendb_own_distance(codec, record, insert->writer.copy, insert->chooser.scratch),
				to[i], i};
	memcpy(insert->record, record, omendb_head_size(&codec->layout, record));
	return add_reverse_edges(insert, &plan, node, level) ||
		   force_reverse_edge(insert, &plan, node, level, false);
}

bool
hnsw_make_entry(HnswInsert *insert, OmendbNode node, unsigned level, const OmendbRecord *record,
				OmendbNode *entry, unsigned *entry_level)
{
	const OmendbLayout *layout = &insert->store.index->codec.layout;

	if (level == *entry_level)
	{
		if (level == OMENDB_MAX_LEVEL ||
			!omendb_record_copy_own(&insert->store, *entry, level, insert->record))
			return false;
		*entry = put_above(insert, ++*entry_level, *entry);
	}
	memcpy(insert->record, record, omendb_head_size(layout, record));
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

void
hnsw_insert_row(HnswInsert *insert, const OmendbRecord *row, unsigned level)
{
	ItemPointerData tid;

	memcpy(insert->record, row, omendb_head_size(&insert->store.index->codec.layout, row));
	memcpy(&tid, row->tids, OMENDB_TID_BYTES);
	omendb_query_set_record(&insert->query, insert->record);
	insert_record(insert, &tid, level, ShareLock);
}

bool
hnsw_insert(Relation index, Datum *values, bool *isnull, ItemPointer tid, Relation heap,
			IndexUniqueCheck unique, bool unchanged, IndexInfo *info)
{
	MemoryContext context;
	MemoryContext old;
	OmendbRecord *record;
	const OmendbIndex *open;
	bool indexed;

	if (isnull[0])
		return false;
	context = AllocSetContextCreate(CurrentMemoryContext, "hnsw insert", ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(context);
	open = omendb_index_open(index);
	record = palloc0(open->codec.layout.record_bytes);
	indexed = hnsw_encode_value(open, hnsw_opclass_of_built(index), values[0],
								palloc(hnsw_value_bytes(&open->codec.layout)), record);
	if (indexed)
	{
		record->kind = OMENDB_RECORD_NODE;
		record->overflow = OMENDB_NO_NODE;
		record->ntids = 1;
		memcpy(record->tids, tid, OMENDB_TID_BYTES);
		if (!hnsw_batch_add(index, heap, info, open, record))
			hnsw_insert_row(hnsw_insert_create(index, open), record, hnsw_random_level());
	}
	else
	{
		OmendbStore store = {.relation = index, .index = open};

		omendb_meta_note_left_out(&store);
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
	return indexed;
}
