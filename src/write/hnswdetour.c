/*
 * hnswdetour.c
 *	  Finds detours: ways by which a node still leads to the end of an edge that it gives up.
 *
 * Keeps the edges of nodes that were read, while one row is inserted. Nothing is written here.
 */
#include "write/hnswdetour.h"

#include <math.h>

#include "common/hashfn.h"

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

uint32
hnsw_edge_capacity(const HnswEdgeWriter *writer, unsigned level)
{
	const OmendbLayout *layout = &writer->store->index->codec.layout;

	return level == 0 ? layout->edges : layout->m;
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

/* The slot of the new node's edge to `to`; the number of its edges if it has none. */
static uint32
new_node_slot(const HnswNewNode *new_node, OmendbNode to)
{
	uint32 slot = 0;

	while (slot < new_node->n && new_node->edges[slot].node != to)
		slot++;
	return slot;
}

/*
 * True if the node lives and has an edge to `to`. OMENDB_NO_NODE: the new node, if there is one; a damaged index may
 * have such an edge, too.
 */
static bool
has_edge_to(HnswEdgeWriter *writer, OmendbNode node, unsigned level, OmendbNode to)
{
	HnswEdges edges;

	if (node == OMENDB_NO_NODE)
		return writer->new_node && new_node_slot(writer->new_node, to) < writer->new_node->n;
	edges = read_edges(writer, node, level);
	if (edges.dead)
		return false;
	for (uint32 i = 0; i < edges.count; i++)
		if (edges.neighbours[i] == to)
			return true;
	return false;
}

void
hnsw_forget_edges(HnswEdgeWriter *writer, OmendbNode node, unsigned level)
{
	if (remembers(writer, level))
		known_delete(writer->known, node);
}

void
hnsw_update_edges(HnswEdgeWriter *writer, OmendbNode node, unsigned level)
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

void
hnsw_set_detour_start(HnswEdgeWriter *writer)
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
	if (node != OMENDB_NO_NODE && (!remembers(writer, level) || !known_lookup(writer->known, node)))
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
 * the newcomer, if that is written. Coded layouts only: a plain one has no estimates.
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
		   (newcomer != OMENDB_NO_NODE && walk_to(writer, self, newcomer, end, level, detour));
}

/*
 * Make the new node, which is not written yet, the detour to `end`: it gets an edge there, in a free slot or
 * in place of one of its own that no planned detour needs. False if it has no room, or if `end` is dead.
 */
static bool
give_to_new_node(HnswEdgeWriter *writer, OmendbNode end, unsigned level, OmendbDetour *detour)
{
	const OmendbCodec *codec = &writer->store->index->codec;
	HnswNewNode *new_node = writer->new_node;
	uint32 slot = new_node->n;
	Size bytes;

	if (new_node->n == hnsw_edge_capacity(writer, level))
		do
		{
			if (slot-- == new_node->keep)
				return false;
		} while (new_node->needed[slot]);
	if (!omendb_record_copy_own(writer->store, end, level, writer->other) ||
		(writer->other->flags & OMENDB_RECORD_DEAD))
		return false;
	bytes = omendb_head_size(&codec->layout, writer->other);
	new_node->records[slot] = memcpy(palloc(bytes), writer->other, bytes);
	new_node->edges[slot] = (OmendbSelectCandidate){
		omendb_own_distance(codec, new_node->record, writer->other, writer->chooser->scratch), end,
		0};
	new_node->needed[slot] = false;
	new_node->n = Max(new_node->n, slot + 1);
	*detour = (OmendbDetour){1, {OMENDB_NO_NODE}};
	return true;
}

/* The new node must keep its edge to `to`, because a planned detour leads there. */
static void
need_edge(HnswNewNode *new_node, OmendbNode to)
{
	new_node->needed[new_node_slot(new_node, to)] = true;
}

bool
hnsw_find_detour(HnswEdgeWriter *writer, OmendbNode self, OmendbNode end, OmendbNode occluder,
				 OmendbNode newcomer, unsigned level, OmendbDetour *detour)
{
	bool is_new = newcomer == OMENDB_NO_NODE;
	bool found;

	if (occluder == self)
		occluder = OMENDB_NO_NODE;
	found = find_short_detour(writer, self, end, occluder, newcomer, level, detour) ||
			(is_new && give_to_new_node(writer, end, level, detour)) ||
			find_long_detour(writer, self, end, newcomer, level, detour) ||
			find_walked_detour(writer, self, end, occluder, newcomer, level, detour);
	if (found && is_new && detour->nodes[0] == OMENDB_NO_NODE)
		need_edge(writer->new_node, detour->n > 1 ? detour->nodes[1] : end);
	return found;
}
