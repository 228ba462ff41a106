/*
 * hnswedges.c
 *	  An edge into a record that may be full: which one goes, and the change.
 *
 * Nothing is locked between reading a record and changing it; the change is
 * made if the record's version is still the same, else all is done again.
 *
 * An edge A -> B goes only if A leads to B by a detour, A -> C -> ... -> B, of nodes
 * that live; that it does is looked at under the locks of all their pages. So
 * whatever a node led to before the change it leads to afterwards, and as that
 * holds for each change by itself, it holds for all that have been made when the
 * server stops, in whatever order several backends made them.
 */
#include "am/hnsw.h"

#include <math.h>

#include "write/hnswedges.h"
#include "common/hashfn.h"
#include "miscadmin.h"

/* Neighbours of a node that are asked whether they have an edge to it. */
#define ASKED 8

/* Nodes whose edges are read for one row, usually less. */
#define USUALLY_KNOWN 400

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
}

void
hnsw_edge_writer_remember(HnswEdgeWriter *writer, unsigned level)
{
	Assert(writer->known == NULL);
	writer->known_level = level;
	writer->known = known_create(CurrentMemoryContext, USUALLY_KNOWN, NULL);
}

static bool
remembers(const HnswEdgeWriter *writer, unsigned level)
{
	return writer->known != NULL && writer->known_level == level;
}

static void
add_known(HnswEdgeWriter *writer, HnswEdges edges)
{
	bool found;
	HnswEdges *place = known_insert(writer->known, edges.node, &found);

	edges.status = place->status;
	*place = edges;
}

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

/* Where a node leads; good until the next call. */
static HnswEdges
edges_of(HnswEdgeWriter *writer, OmendbNode node, unsigned level)
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

/* Does a live node edge to that one? */
static bool
has_edge_to(HnswEdgeWriter *writer, OmendbNode node, unsigned level, OmendbNode to)
{
	HnswEdges edges = edges_of(writer, node, level);

	if (edges.dead)
		return false;
	for (uint32 i = 0; i < edges.count; i++)
		if (edges.neighbours[i] == to)
			return true;
	return false;
}

/* Read it again, the next time. */
static void
forget(HnswEdgeWriter *writer, OmendbNode node, unsigned level)
{
	if (remembers(writer, level))
		known_delete(writer->known, node);
}

/* What was written to the record in writer->copy, if that node is known. */
static void
note_change(HnswEdgeWriter *writer, OmendbNode node, unsigned level)
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

static inline uint32
filter_bit(OmendbNode node)
{
	return murmurhash32(node) % (sizeof(((HnswEdgeWriter *) NULL)->filter) * BITS_PER_BYTE);
}

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

/* Does the node in writer->copy edge to that one? */
static bool
copy_has_edge_to(const HnswEdgeWriter *writer, OmendbNode node)
{
	uint32 bit = filter_bit(node);

	return (writer->filter[bit / 64] >> bit % 64 & 1) &&
		   omendb_record_has_edge(&writer->store->index->codec.layout, writer->copy, node);
}

/*
 * The first few neighbours of a node. common: only those to which the node in
 * writer->copy has an edge, too.
 */
static uint32
first_of(HnswEdgeWriter *writer, OmendbNode node, unsigned level, bool common, OmendbNode *out)
{
	HnswEdges edges = edges_of(writer, node, level);
	uint32 n = 0;

	for (uint32 i = 0; i < edges.count && n < ASKED; i++)
		if (!common || copy_has_edge_to(writer, edges.neighbours[i]))
			out[n++] = edges.neighbours[i];
	return n;
}

/* A detour of one node. self: the node in writer->copy. */
static bool
find_short_detour(HnswEdgeWriter *writer, OmendbNode self, OmendbNode end, OmendbNode occluder,
				  OmendbNode newcomer, unsigned level, OmendbDetour *detour)
{
	OmendbNode near[ASKED + 2];
	uint32 n = 0;

	if (occluder != OMENDB_NO_NODE)
		near[n++] = occluder;
	near[n++] = newcomer;
	n += first_of(writer, end, level, true, near + n);
	for (uint32 i = 0; i < n; i++)
		if (near[i] != end && near[i] != self && has_edge_to(writer, near[i], level, end))
		{
			*detour = (OmendbDetour){1, {near[i]}};
			return true;
		}
	return false;
}

/*
 * A detour of two nodes. The second one is looked for among the neighbours of `end`, the
 * first one among the neighbours of the second. self: the node in writer->copy.
 */
static bool
find_detour_back(HnswEdgeWriter *writer, OmendbNode self, OmendbNode end, OmendbNode newcomer,
				 unsigned level, OmendbDetour *detour)
{
	OmendbNode last[ASKED];
	uint32 nlast = first_of(writer, end, level, false, last);

	for (uint32 k = 0; k < nlast; k++)
	{
		OmendbNode first[ASKED + 1];
		uint32 n;

		if (last[k] == self || last[k] == newcomer || !has_edge_to(writer, last[k], level, end))
			continue;
		n = first_of(writer, last[k], level, true, first);
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

/* The neighbour with the smallest estimate; not self, nor a node of the detour. */
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
 * A detour that begins with `at` and goes on, as a search does, to the neighbour that
 * seems nearest to `end`. writer->query has the vector of `end`.
 */
static bool
walk_to(HnswEdgeWriter *writer, OmendbNode self, OmendbNode at, OmendbNode end, unsigned level,
		OmendbDetour *detour)
{
	OmendbStep step;

	for (detour->n = 0; at != OMENDB_NO_NODE && detour->n < OMENDB_DETOUR_NODES;)
	{
		if (!omendb_store_ops.visit(writer->store, at, level, &writer->query, &step) ||
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

/* Walk to `end` from the occluder, which is nearer to `end` than self is; then from the newcomer. */
static bool
find_walk(HnswEdgeWriter *writer, OmendbNode self, OmendbNode end, OmendbNode occluder,
		  OmendbNode newcomer, unsigned level, OmendbDetour *detour)
{
	if (!omendb_layout_is_coded(&writer->store->index->codec.layout) ||
		!omendb_record_copy_own(writer->store, end, level, writer->other))
		return false;
	omendb_query_set_record(&writer->query, writer->other);
	return (occluder != OMENDB_NO_NODE && walk_to(writer, self, occluder, end, level, detour)) ||
		   walk_to(writer, self, newcomer, end, level, detour);
}

/*
 * Find a detour from `self`, the node in writer->copy, to its neighbour `end`. The detour
 * begins with another neighbour of self, or with `newcomer`, to which self will have a
 * edge. Neighbours of `end` are asked first: edges are mutual more often than not.
 * occluder: the neighbour of self that occludes `end`, or none. No detour goes by self, to
 * which self has an edge in a damaged index: it would be refused each time it is found.
 */
static bool
find_detour(HnswEdgeWriter *writer, OmendbNode self, OmendbNode end, OmendbNode occluder,
			OmendbNode newcomer, unsigned level, OmendbDetour *detour)
{
	if (occluder == self)
		occluder = OMENDB_NO_NODE;
	return find_short_detour(writer, self, end, occluder, newcomer, level, detour) ||
		   find_detour_back(writer, self, end, newcomer, level, detour) ||
		   find_walk(writer, self, end, occluder, newcomer, level, detour);
}

/* A neighbour of a full node of a plain layout, or the new one. */
typedef struct PlainSpoke
{
	float distance; /* from the node */
	uint32 slot;    /* OMENDB_MAX_EDGES: the new one */
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
 * As omendb_edge_options for the node in writer->copy, where there are no
 * codes: the neighbours' own vectors are read. The farthest occluded ones come
 * first, and before them all one that is gone.
 */
static uint32
plain_edge_options(HnswEdgeWriter *writer, const OmendbRecord *record, unsigned level,
				   float distance, bool forced, OmendbEdgeOption *options)
{
	const OmendbCodec *codec = &writer->store->index->codec;
	const OmendbLayout *layout = &codec->layout;
	const OmendbNode *neighbours = omendb_record_neighbours(layout, writer->copy);
	float *scratch = writer->chooser->scratch;
	Size copy_bytes = layout->neighbours_offset;
	PlainSpoke spokes[OMENDB_MAX_EDGES + 1];
	OmendbEdgeOption occluded[OMENDB_MAX_EDGES + 1];
	uint32 kept[OMENDB_MAX_EDGES + 1];
	uint32 nkept = 0;
	uint32 noccluded = 0;
	uint32 noptions = 0;
	uint32 n = Min(writer->copy->count, layout->edges);
	char *copies = palloc(n * copy_bytes);

	for (uint32 i = 0; i < n; i++)
	{
		if (!omendb_record_copy(writer->store, neighbours[i], level, writer->other))
		{
			pfree(copies);
			options[0] = (OmendbEdgeOption){i, OMENDB_NO_NODE};
			return 1;
		}
		memcpy(copies + i * copy_bytes, writer->other, copy_bytes);
		spokes[i].record = (OmendbRecord *) (copies + i * copy_bytes);
		spokes[i].slot = i;
		spokes[i].distance = omendb_own_distance(codec, writer->copy, spokes[i].record, scratch);
	}
	spokes[n] = (PlainSpoke){distance, OMENDB_MAX_EDGES, record};
	qsort(spokes, n + 1, sizeof(PlainSpoke), by_plain_spoke);
	for (uint32 i = 0; i <= n; i++)
	{
		uint32 k = 0;

		while (k < nkept && omendb_own_distance(codec, spokes[i].record, spokes[kept[k]].record,
												scratch) >= spokes[i].distance)
			k++;
		if (k == nkept)
			kept[nkept++] = i;
		else if (!forced || spokes[i].slot != OMENDB_MAX_EDGES)
			occluded[noccluded++] =
				(OmendbEdgeOption){spokes[i].slot, spokes[kept[k]].slot == OMENDB_MAX_EDGES
													   ? OMENDB_NO_NODE
													   : neighbours[spokes[kept[k]].slot]};
	}
	while (noccluded > 0 && noptions < OMENDB_EDGE_OPTIONS)
		options[noptions++] = occluded[--noccluded];
	if (noptions == 0)
	{
		uint32 farthest = forced && spokes[n].slot == OMENDB_MAX_EDGES ? n - 1 : n;

		options[noptions++] = (OmendbEdgeOption){spokes[farthest].slot, OMENDB_NO_NODE};
	}
	pfree(copies);
	return noptions;
}

static uint32
edge_capacity(const HnswEdgeWriter *writer, unsigned level)
{
	const OmendbLayout *layout = &writer->store->index->codec.layout;

	return level == 0 ? layout->edges : layout->m;
}

/*
 * The slot for the new edge of the node in writer->copy, and the detour to where the edge leads that it replaces;
 * OMENDB_MAX_EDGES for none.
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
	{
		omendb_query_set_record(&writer->query, writer->copy);
		n = omendb_edge_options(writer->chooser, &writer->query, writer->copy, record, distance,
								forced, options);
	}
	else
		n = plain_edge_options(writer, record, level, distance, forced, options);
	set_filter(writer);
	for (uint32 i = 0; i < n; i++)
	{
		/* What comes behind the new one is the better for the node. */
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
hnsw_add_edge(HnswEdgeWriter *writer, OmendbNode node, OmendbNode to, unsigned level, bool dead)
{
	const OmendbCodec *codec = &writer->store->index->codec;
	OmendbRecord *record = writer->copy;

	for (;;)
	{
		uint32 slot;

		CHECK_FOR_INTERRUPTS();
		if (!omendb_record_copy(writer->store, node, level, record) ||
			!omendb_record_copy_own(writer->store, to, level, writer->other) ||
			(!dead && (writer->other->flags & OMENDB_RECORD_DEAD)))
			return false;
		if (omendb_record_has_edge(&codec->layout, record, to))
			return true;
		omendb_chooser_set(writer->chooser, record);
		/* The last one is the farthest. */
		slot = Min(record->count, edge_capacity(writer, level) - 1);
		omendb_edge_write(
			writer->chooser, record, slot, to, writer->other,
			omendb_own_distance(codec, record, writer->other, writer->chooser->scratch));
		record->count = Max(record->count, slot + 1);
		if (omendb_record_put_edge(writer->store, node, record, slot, NULL))
		{
			forget(writer, node, level);
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
		/* A dead node would lead there only until vacuum takes it away. */
		if (!omendb_record_copy(writer->store, neighbour, level, writer->copy) ||
			(writer->copy->flags & OMENDB_RECORD_DEAD))
			return false;
		/* Vacuum may offer what is there already. */
		if (omendb_record_has_edge(&writer->store->index->codec.layout, writer->copy, node))
			return true;
		omendb_chooser_set(writer->chooser, writer->copy);
		slot = choose_slot(writer, neighbour, node, record, level, distance, forced, &detour);
		if (slot == OMENDB_MAX_EDGES)
			return false;
		omendb_edge_write(writer->chooser, writer->copy, slot, node, record, distance);
		if (slot == writer->copy->count)
			writer->copy->count++;
		if (omendb_record_put_edge(writer->store, neighbour, writer->copy, slot, &detour))
		{
			note_change(writer, neighbour, level);
			return true;
		}
		for (uint32 i = 0; i < detour.n; i++)
			forget(writer, detour.nodes[i], level);
	}
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
