/*
 * hnswedges.c
 *	  Writes one edge into a record that may be full: chooses the edge that the new one
 *	  replaces, finds a detour for that edge, and makes the change.
 *
 * Nothing is locked between reading a record and changing it. The change is made if the
 * record's version is still the same; else everything is done again.
 *
 * An edge A -> B is replaced only if A leads to B by a detour, A -> C -> ... -> B, of live nodes.
 * That the detour is there is checked under the locks of all its pages
 * (omendb_record_put_edge). So whatever a node led to before a change it leads to
 * afterwards. That holds for each change by itself, so it holds for all changes made when the
 * server stops, in whatever order several backends made them.
 */
#include "am/hnsw.h"

#include <math.h>

#include "common/hashfn.h"
#include "miscadmin.h"
#include "write/hnswedges.h"

/* Maximum number of neighbours of a node that are tried as the node before it in a detour. */
#define DETOUR_TRIES 8

/* Initial size of the hash table of known edges: nodes whose edges are read for most rows. */
#define KNOWN_AT_FIRST 400

#define SH_PREFIX           known
#define SH_ELEMENT_TYPE     HnswEdges
#define SH_KEY_TYPE         OmendbNode
#define SH_KEY              node
#define SH_HASH_KEY(t, key) murmurhash32(key)
#define SH_EQUAL(t, a, b)   ((a) == (b))
#define SH_SCOPE            static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

void
hnsw_edge_writer_init(HnswEdgeWriter *writer, OmendbStore *store, OmendbChooser *chooser)
{
	const OmendbCodec *codec = &store->index->codec;

	writer->known = NULL;
	writer->store = store;
	writer->chooser = chooser;
	writer->copy = palloc(codec->layout.record_bytes);
	writer->other = palloc(codec->layout.record_bytes);
	omendb_query_init(&writer->query, codec, palloc(omendb_query_bytes(codec) + 1));
	omendb_query_init(&writer->walk_query, codec, palloc(omendb_query_bytes(codec) + 1));
}

void
hnsw_edge_writer_remember(HnswEdgeWriter *writer, unsigned level)
{
	writer->known_level = level;
	writer->known = known_create(CurrentMemoryContext, KNOWN_AT_FIRST, NULL);
}

void
hnsw_edge_writer_forget(HnswEdgeWriter *writer)
{
	writer->known = NULL;
}

/* True if edges on that level are remembered. */
static bool
remembers(const HnswEdgeWriter *writer, unsigned level)
{
	return writer->known != NULL && writer->known_level == level;
}

/* Remember a node's edges, in place of those that were remembered. */
static void
add_known(HnswEdgeWriter *writer, HnswEdges edges)
{
	bool found;
	HnswEdges *place = known_insert(writer->known, edges.node, &found);

	edges.status = place->status;
	*place = edges;
}

/* The edges of a record; its neighbours stay the record's. */
static HnswEdges
record_edges(const HnswEdgeWriter *writer, OmendbNode node, const OmendbRecord *record)
{
	const OmendbLayout *layout = &writer->store->index->codec.layout;

	return (HnswEdges){.node = node,
					   .count = Min(record->count, layout->edges),
					   .dead = (record->flags & OMENDB_RECORD_DEAD) != 0,
					   .neighbours = omendb_record_neighbours(layout, record)};
}

void
hnsw_edge_writer_add(HnswEdgeWriter *writer, OmendbNode node, OmendbRecord *record)
{
	add_known(writer, record_edges(writer, node, record));
}

/*
 * The edges of a node, remembered or read from its page. They are valid until the next call, which
 * may overwrite writer->other.
 */
static HnswEdges
read_edges(HnswEdgeWriter *writer, OmendbNode node, unsigned level)
{
	HnswEdges edges = {.node = node, .dead = true};

	if (remembers(writer, level))
	{
		const HnswEdges *known = known_lookup(writer->known, node);

		if (known)
			return *known;
	}
	if (omendb_record_copy_edges(writer->store, node, level, writer->other))
		edges = record_edges(writer, node, writer->other);
	if (remembers(writer, level))
	{
		if (edges.count > 0)
		{
			Size bytes = edges.count * sizeof(OmendbNode);

			edges.neighbours = memcpy(palloc(bytes), edges.neighbours, bytes);
		}
		add_known(writer, edges);
	}
	return edges;
}

/* True if the node lives and has an edge to `to`. */
static bool
has_edge_to(HnswEdgeWriter *writer, OmendbNode node, unsigned level, OmendbNode to)
{
	HnswEdges edges = read_edges(writer, node, level);

	if (edges.dead)
		return false;
	for (uint32 i = 0; i < edges.count; i++)
		if (edges.neighbours[i] == to)
			return true;
	return false;
}

/* Read the node's edges from its page the next time. */
static void
forget_edges(HnswEdgeWriter *writer, OmendbNode node, unsigned level)
{
	if (remembers(writer, level))
		known_delete(writer->known, node);
}

/* If the node's edges are remembered, remember those in writer->copy, which were written. */
static void
update_known(HnswEdgeWriter *writer, OmendbNode node, unsigned level)
{
	HnswEdges *known;
	HnswEdges edges;

	if (!remembers(writer, level) || !(known = known_lookup(writer->known, node)))
		return;
	edges = record_edges(writer, node, writer->copy);
	if (edges.count > known->count)
		known->neighbours = palloc(edges.count * sizeof(OmendbNode));
	memcpy(known->neighbours, edges.neighbours, edges.count * sizeof(OmendbNode));
	known->count = edges.count;
}

/* The bit of writer->filter for a node. */
static inline uint32
filter_bit(OmendbNode node)
{
	return murmurhash32(node) % (sizeof(((HnswEdgeWriter *) NULL)->filter) * BITS_PER_BYTE);
}

/* Set writer->filter to the neighbours of the node in writer->copy. */
static void
set_filter(HnswEdgeWriter *writer)
{
	HnswEdges edges = record_edges(writer, OMENDB_NO_NODE, writer->copy);

	memset(writer->filter, 0, sizeof(writer->filter));
	for (uint32 i = 0; i < edges.count; i++)
	{
		uint32 bit = filter_bit(edges.neighbours[i]);

		writer->filter[bit / 64] |= UINT64CONST(1) << bit % 64;
	}
}

/* True if the node in writer->copy has an edge to `node`. The filter is set. */
static bool
copy_has_edge_to(const HnswEdgeWriter *writer, OmendbNode node)
{
	uint32 bit = filter_bit(node);

	return (writer->filter[bit / 64] >> bit % 64 & 1) &&
		   omendb_record_has_edge(&writer->store->index->codec.layout, writer->copy, node);
}

/* List the first DETOUR_TRIES neighbours of a node. Returns their number. */
static uint32
first_neighbours(HnswEdgeWriter *writer, OmendbNode node, unsigned level, OmendbNode *out)
{
	HnswEdges edges = read_edges(writer, node, level);
	uint32 n = Min(edges.count, DETOUR_TRIES);

	for (uint32 i = 0; i < n; i++)
		out[i] = edges.neighbours[i];
	return n;
}

/* List those that are neighbours of the node in writer->copy, too. */
static uint32
first_common_neighbours(HnswEdgeWriter *writer, OmendbNode node, unsigned level, OmendbNode *out)
{
	HnswEdges edges = read_edges(writer, node, level);
	uint32 n = 0;

	for (uint32 i = 0; i < edges.count && n < DETOUR_TRIES; i++)
		if (copy_has_edge_to(writer, edges.neighbours[i]))
			out[n++] = edges.neighbours[i];
	return n;
}

/* Prefetch a node's edges, unless they are remembered. */
static void
prefetch_edges(HnswEdgeWriter *writer, OmendbNode node, unsigned level)
{
	if (!remembers(writer, level) || !known_lookup(writer->known, node))
		omendb_store_prefetch_edges(writer->store, node);
}

/*
 * Find a detour of one node to `end`: the occluder, the newcomer, or a neighbour that `end` and self
 * have in common. self: the node in writer->copy.
 */
static bool
find_short_detour(HnswEdgeWriter *writer, OmendbNode self, OmendbNode end, OmendbNode occluder,
				  OmendbNode newcomer, unsigned level, OmendbDetour *detour)
{
	OmendbNode near[DETOUR_TRIES + 2];
	uint32 n = 0;

	if (occluder != OMENDB_NO_NODE)
		near[n++] = occluder;
	near[n++] = newcomer;
	for (uint32 i = 0; i < n; i++)
		prefetch_edges(writer, near[i], level);
	prefetch_edges(writer, end, level);
	for (uint32 i = 0, known = n; i < n; i++)
	{
		if (near[i] != end && near[i] != self && has_edge_to(writer, near[i], level, end))
		{
			*detour = (OmendbDetour){1, {near[i]}};
			return true;
		}
		/* The edges of `end` are read only if they are needed. */
		if (i + 1 == known)
			n += first_common_neighbours(writer, end, level, near + n);
	}
	return false;
}

/*
 * Find a detour of two nodes to `end`: the second one among the neighbours of `end`, the first
 * one among the neighbours of the second. self: the node in writer->copy.
 */
static bool
find_long_detour(HnswEdgeWriter *writer, OmendbNode self, OmendbNode end, OmendbNode newcomer,
				 unsigned level, OmendbDetour *detour)
{
	OmendbNode last[DETOUR_TRIES];
	uint32 nlast = first_neighbours(writer, end, level, last);

	for (uint32 k = 0; k < nlast; k++)
	{
		OmendbNode first[DETOUR_TRIES + 1];
		uint32 n;

		if (last[k] == self || last[k] == newcomer || !has_edge_to(writer, last[k], level, end))
			continue;
		n = first_common_neighbours(writer, last[k], level, first);
		first[n++] = newcomer;
		for (uint32 i = 0; i < n; i++)
			if (first[i] != end && first[i] != self &&
				has_edge_to(writer, first[i], level, last[k]))
			{
				*detour = (OmendbDetour){2, {first[i], last[k]}};
				return true;
			}
	}
	return false;
}

/* The neighbour with the smallest estimate, except self and the nodes of the detour. */
static OmendbNode
next_step(const OmendbStep *step, OmendbNode self, const OmendbDetour *detour)
{
	OmendbNode next = OMENDB_NO_NODE;
	float nearest = INFINITY;

	for (uint32 i = 0; i < step->count; i++)
	{
		bool taken = step->neighbours[i] == self;

		for (uint32 k = 0; k < detour->n; k++)
			taken |= step->neighbours[i] == detour->nodes[k];
		if (!taken && step->estimates[i] < nearest)
		{
			nearest = step->estimates[i];
			next = step->neighbours[i];
		}
	}
	return next;
}

/*
 * Find a detour to `end` that begins with `at` and goes on, as a search does, to the neighbour
 * with the smallest estimate. writer->walk_query has the vector of `end`.
 */
static bool
walk_to(HnswEdgeWriter *writer, OmendbNode self, OmendbNode at, OmendbNode end, unsigned level,
		OmendbDetour *detour)
{
	OmendbStep step;

	for (detour->n = 0; at != OMENDB_NO_NODE && detour->n < OMENDB_DETOUR_NODES;)
	{
		if (!omendb_store_ops.visit(writer->store, at, level, &writer->walk_query, &step) ||
			!step.payload.live)
			return false;
		detour->nodes[detour->n++] = at;
		for (uint32 i = 0; i < step.count; i++)
			if (step.neighbours[i] == end)
				return true;
		at = next_step(&step, self, detour);
	}
	return false;
}

/*
 * Find a detour to `end` by a walk from the occluder, which is nearer to `end` than self is, else from
 * the newcomer. Coded layouts only: a plain one has no estimates.
 */
static bool
find_walked_detour(HnswEdgeWriter *writer, OmendbNode self, OmendbNode end, OmendbNode occluder,
				   OmendbNode newcomer, unsigned level, OmendbDetour *detour)
{
	if (!omendb_layout_is_coded(&writer->store->index->codec.layout) ||
		!omendb_record_copy_own(writer->store, end, level, writer->other))
		return false;
	omendb_query_set_record(&writer->walk_query, writer->other);
	return (occluder != OMENDB_NO_NODE && walk_to(writer, self, occluder, end, level, detour)) ||
		   walk_to(writer, self, newcomer, end, level, detour);
}

/*
 * Find a detour from `self`, the node in writer->copy, to its neighbour `end`. The detour
 * begins with another neighbour of self, or with `newcomer`, to which self will have an edge.
 * Neighbours of `end` are tried first: most edges have a reverse edge.
 * occluder: the neighbour of self that occludes `end`, or OMENDB_NO_NODE. No detour leads by
 * self, to which self has an edge in a damaged index: such a detour would be found and
 * refused again and again.
 */
static bool
find_detour(HnswEdgeWriter *writer, OmendbNode self, OmendbNode end, OmendbNode occluder,
			OmendbNode newcomer, unsigned level, OmendbDetour *detour)
{
	if (occluder == self)
		occluder = OMENDB_NO_NODE;
	return find_short_detour(writer, self, end, occluder, newcomer, level, detour) ||
		   find_long_detour(writer, self, end, newcomer, level, detour) ||
		   find_walked_detour(writer, self, end, occluder, newcomer, level, detour);
}

/* A neighbour of a full node of a plain layout, or the new neighbour. */
typedef struct PlainNeighbour
{
	float distance; /* from the node */
	uint32 slot;    /* OMENDB_MAX_EDGES: the new neighbour */
	const OmendbRecord *record;
} PlainNeighbour;

static int
by_distance(const void *a, const void *b)
{
	const PlainNeighbour *x = a;
	const PlainNeighbour *y = b;

	if (x->distance != y->distance)
		return x->distance < y->distance ? -1 : 1;
	return x->slot < y->slot ? -1 : x->slot > y->slot;
}

/*
 * omendb_edge_options for the node in writer->copy of a plain layout, which has no codes: the
 * neighbours' own vectors are read. If a neighbour is no node any more, that is the only
 * option; else the occluded neighbours are, the farthest first.
 */
static uint32
plain_edge_options(HnswEdgeWriter *writer, const OmendbRecord *record, unsigned level,
				   float distance, bool forced, OmendbEdgeOption *options)
{
	const OmendbCodec *codec = &writer->store->index->codec;
	const OmendbLayout *layout = &codec->layout;
	const OmendbNode *neighbours = omendb_record_neighbours(layout, writer->copy);
	float *scratch = writer->chooser->scratch;
	PlainNeighbour around[OMENDB_MAX_EDGES + 1];
	OmendbEdgeOption occluded[OMENDB_MAX_EDGES + 1];
	uint32 kept[OMENDB_MAX_EDGES + 1];
	uint32 nkept = 0;
	uint32 noccluded = 0;
	uint32 noptions = 0;
	uint32 n = Min(writer->copy->count, layout->edges);
	MemoryContext context =
		AllocSetContextCreate(CurrentMemoryContext, "hnsw neighbours", ALLOCSET_DEFAULT_SIZES);

	for (uint32 i = 0; i < n; i++)
	{
		Size bytes;

		if (!omendb_record_copy(writer->store, neighbours[i], level, writer->other))
		{
			MemoryContextDelete(context);
			options[0] = (OmendbEdgeOption){i, OMENDB_NO_NODE};
			return 1;
		}
		bytes = omendb_head_size(layout, writer->other);
		around[i].record = memcpy(MemoryContextAlloc(context, bytes), writer->other, bytes);
		around[i].slot = i;
		around[i].distance = omendb_own_distance(codec, writer->copy, around[i].record, scratch);
	}
	around[n] = (PlainNeighbour){distance, OMENDB_MAX_EDGES, record};
	qsort(around, n + 1, sizeof(PlainNeighbour), by_distance);
	for (uint32 i = 0; i <= n; i++)
	{
		uint32 k = 0;

		while (k < nkept && omendb_own_distance(codec, around[i].record, around[kept[k]].record,
												scratch) >= around[i].distance)
			k++;
		if (k == nkept)
			kept[nkept++] = i;
		else if (!forced || around[i].slot != OMENDB_MAX_EDGES)
			occluded[noccluded++] =
				(OmendbEdgeOption){around[i].slot, around[kept[k]].slot == OMENDB_MAX_EDGES
													   ? OMENDB_NO_NODE
													   : neighbours[around[kept[k]].slot]};
	}
	while (noccluded > 0 && noptions < OMENDB_EDGE_OPTIONS)
		options[noptions++] = occluded[--noccluded];
	if (noptions == 0)
	{
		uint32 farthest = forced && around[n].slot == OMENDB_MAX_EDGES ? n - 1 : n;

		options[noptions++] = (OmendbEdgeOption){around[farthest].slot, OMENDB_NO_NODE};
	}
	MemoryContextDelete(context);
	return noptions;
}

/* Maximum number of edges of a node on a level. */
static uint32
edge_capacity(const HnswEdgeWriter *writer, unsigned level)
{
	const OmendbLayout *layout = &writer->store->index->codec.layout;

	return level == 0 ? layout->edges : layout->m;
}

/* Prepare to choose slots of the node in writer->copy, and to write its edges. */
static void
set_copy(HnswEdgeWriter *writer, unsigned level)
{
	omendb_chooser_set(writer->chooser, writer->copy);
	/* Only a full node has to choose. */
	if (omendb_layout_is_coded(&writer->store->index->codec.layout) &&
		writer->copy->count >= edge_capacity(writer, level))
		omendb_query_set_record(&writer->query, writer->copy);
}

/*
 * Choose the slot of the node in writer->copy for an edge to `node`. *detour: leads to the end of the
 * edge that the new one replaces; empty if the slot is free. Returns OMENDB_MAX_EDGES if the
 * node does not take the edge.
 */
static uint32
choose_slot(HnswEdgeWriter *writer, OmendbNode self, OmendbNode node, const OmendbRecord *record,
			unsigned level, float distance, bool forced, OmendbDetour *detour)
{
	const OmendbLayout *layout = &writer->store->index->codec.layout;
	const OmendbNode *neighbours = omendb_record_neighbours(layout, writer->copy);
	OmendbEdgeOption options[OMENDB_EDGE_OPTIONS];
	uint32 n;

	detour->n = 0;
	if (writer->copy->count < edge_capacity(writer, level))
		return writer->copy->count;
	if (omendb_layout_is_coded(layout))
		n = omendb_edge_options(writer->chooser, &writer->query, writer->copy, record, distance,
								forced, options);
	else
		n = plain_edge_options(writer, record, level, distance, forced, options);
	set_filter(writer);
	for (uint32 i = 0; i < n; i++)
	{
		/* All later options are better neighbours than the new one. */
		if (options[i].slot == OMENDB_MAX_EDGES)
			return OMENDB_MAX_EDGES;
		if (find_detour(writer, self, neighbours[options[i].slot], options[i].occluder, node, level,
						detour))
			return options[i].slot;
	}
	for (uint32 slot = writer->copy->count; forced && slot-- > 0;)
		if (find_detour(writer, self, neighbours[slot], OMENDB_NO_NODE, node, level, detour))
			return slot;
	return OMENDB_MAX_EDGES;
}

bool
hnsw_add_edge(HnswEdgeWriter *writer, OmendbNode node, OmendbNode to, unsigned level,
			  bool may_be_dead)
{
	const OmendbCodec *codec = &writer->store->index->codec;
	OmendbRecord *record = writer->copy;

	for (;;)
	{
		uint32 slot;

		CHECK_FOR_INTERRUPTS();
		if (!omendb_record_copy(writer->store, node, level, record) ||
			!omendb_record_copy_own(writer->store, to, level, writer->other) ||
			(!may_be_dead && (writer->other->flags & OMENDB_RECORD_DEAD)))
			return false;
		if (omendb_record_has_edge(&codec->layout, record, to))
			return true;
		omendb_chooser_set(writer->chooser, record);
		/* In a full record the last edge is replaced, the farthest. */
		slot = Min(record->count, edge_capacity(writer, level) - 1);
		omendb_edge_write(
			writer->chooser, record, slot, to, writer->other,
			omendb_own_distance(codec, record, writer->other, writer->chooser->scratch));
		record->count = Max(record->count, slot + 1);
		if (omendb_record_put_edge(writer->store, node, record, slot, NULL))
		{
			forget_edges(writer, node, level);
			return true;
		}
	}
}

bool
hnsw_add_reverse_edge(HnswEdgeWriter *writer, OmendbNode neighbour, OmendbNode node,
					  const OmendbRecord *record, unsigned level, float distance, bool forced)
{
	for (;;)
	{
		OmendbDetour detour;
		uint32 slot;

		CHECK_FOR_INTERRUPTS();
		/* A dead node would lead to the node only until vacuum frees the dead node's slot. */
		if (!omendb_record_copy(writer->store, neighbour, level, writer->copy) ||
			(writer->copy->flags & OMENDB_RECORD_DEAD))
			return false;
		/* Vacuum may offer an edge that is there already. */
		if (omendb_record_has_edge(&writer->store->index->codec.layout, writer->copy, node))
			return true;
		set_copy(writer, level);
		slot = choose_slot(writer, neighbour, node, record, level, distance, forced, &detour);
		if (slot == OMENDB_MAX_EDGES)
			return false;
		omendb_edge_write(writer->chooser, writer->copy, slot, node, record, distance);
		if (slot == writer->copy->count)
			writer->copy->count++;
		if (omendb_record_put_edge(writer->store, neighbour, writer->copy, slot, &detour))
		{
			update_known(writer, neighbour, level);
			return true;
		}
		for (uint32 i = 0; i < detour.n; i++)
			forget_edges(writer, detour.nodes[i], level);
	}
}

bool
hnsw_begin_edges(HnswEdgeWriter *writer, OmendbNode node, unsigned level)
{
	if (!omendb_record_copy(writer->store, node, level, writer->copy) ||
		(writer->copy->flags & OMENDB_RECORD_DEAD))
		return false;
	set_copy(writer, level);
	return true;
}

bool
hnsw_plan_edge(HnswEdgeWriter *writer, OmendbNode node, OmendbNode to, const OmendbRecord *record,
			   unsigned level, float distance, OmendbEdgeChange *change)
{
	if (omendb_record_has_edge(&writer->store->index->codec.layout, writer->copy, to))
		return false;
	change->to = to;
	change->slot = choose_slot(writer, node, to, record, level, distance, false, &change->detour);
	if (change->slot == OMENDB_MAX_EDGES)
		return false;
	omendb_edge_write(writer->chooser, writer->copy, change->slot, to, record, distance);
	if (change->slot == writer->copy->count)
		writer->copy->count++;
	if (writer->copy->count == edge_capacity(writer, level) && change->detour.n == 0 &&
		omendb_layout_is_coded(&writer->store->index->codec.layout))
		omendb_query_set_record(&writer->query, writer->copy);
	update_known(writer, node, level);
	return true;
}

bool
hnsw_add_first_reverse_edge(HnswEdgeWriter *writer, OmendbNode neighbour, OmendbNode node,
							const OmendbRecord *record, unsigned level, float distance)
{
	const OmendbLayout *layout = &writer->store->index->codec.layout;
	OmendbNode ends[OMENDB_MAX_EDGES];
	uint32 n;

	if (hnsw_add_reverse_edge(writer, neighbour, node, record, level, distance, true))
		return true;
	if (!omendb_record_copy_edges(writer->store, neighbour, level, writer->copy) ||
		(writer->copy->flags & OMENDB_RECORD_DEAD))
		return false;
	n = writer->copy->count;
	memcpy(ends, omendb_record_neighbours(layout, writer->copy), n * sizeof(OmendbNode));
	while (n > 0)
		if (hnsw_add_edge(writer, node, ends[--n], level, false))
			return hnsw_add_reverse_edge(writer, neighbour, node, record, level, distance, true);
	return false;
}
