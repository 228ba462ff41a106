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
#include "write/hnswedges.h"

#include "miscadmin.h"
#include "utils/memutils.h"

void
hnsw_edge_writer_init(HnswEdgeWriter *writer, OmendbStore *store, OmendbChooser *chooser)
{
	const OmendbCodec *codec = &store->index->codec;

	writer->known = NULL;
	writer->new_node = NULL;
	writer->store = store;
	writer->chooser = chooser;
	writer->copy = palloc(codec->layout.record_bytes);
	writer->other = palloc(codec->layout.record_bytes);
	omendb_query_init(&writer->query, codec, palloc(omendb_query_bytes(codec) + 1));
	omendb_query_init(&writer->walk_query, codec, palloc(omendb_query_bytes(codec) + 1));
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

		for (; k < nkept; k++)
		{
			const OmendbRecord *near = around[kept[k]].record;

			if (omendb_own_distance(codec, around[i].record, near, scratch) +
					omendb_occlusion_margin(layout, near->norm2, writer->copy->norm2) <
				around[i].distance)
				break;
		}
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

/* Prepare to choose slots of the node in writer->copy, and to write its edges. */
static void
set_copy(HnswEdgeWriter *writer, unsigned level)
{
	omendb_chooser_set(writer->chooser, writer->copy);
	/* Only a full node has to choose. */
	if (omendb_layout_is_coded(&writer->store->index->codec.layout) &&
		writer->copy->count >= hnsw_edge_capacity(writer, level))
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
	if (writer->copy->count < hnsw_edge_capacity(writer, level))
		return writer->copy->count;
	if (omendb_layout_is_coded(layout))
		n = omendb_edge_options(writer->chooser, &writer->query, writer->copy, record, distance,
								forced, options);
	else
		n = plain_edge_options(writer, record, level, distance, forced, options);
	hnsw_set_detour_start(writer);
	for (uint32 i = 0; i < n; i++)
	{
		/* All later options are better neighbours than the new one. */
		if (options[i].slot == OMENDB_MAX_EDGES)
			return OMENDB_MAX_EDGES;
		if (hnsw_find_detour(writer, self, neighbours[options[i].slot], options[i].occluder, node,
							 level, detour))
			return options[i].slot;
	}
	for (uint32 slot = writer->copy->count; forced && slot-- > 0;)
		if (hnsw_find_detour(writer, self, neighbours[slot], OMENDB_NO_NODE, node, level, detour))
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
		slot = Min(record->count, hnsw_edge_capacity(writer, level) - 1);
		omendb_edge_write(
			writer->chooser, record, slot, to, writer->other,
			omendb_own_distance(codec, record, writer->other, writer->chooser->scratch));
		record->count = Max(record->count, slot + 1);
		if (omendb_record_put_edge(writer->store, node, record, slot, NULL))
		{
			hnsw_forget_edges(writer, node, level);
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
			hnsw_update_edges(writer, neighbour, level);
			return true;
		}
		for (uint32 i = 0; i < detour.n; i++)
			hnsw_forget_edges(writer, detour.nodes[i], level);
	}
}

/* Of the node in writer->copy, which is full, remember its edges but the one in this slot, which will be replaced. */
static void
forget_slot(HnswEdgeWriter *writer, OmendbNode node, unsigned level, uint32 slot)
{
	const OmendbLayout *layout = &writer->store->index->codec.layout;
	OmendbNode *neighbours = omendb_record_neighbours(layout, writer->copy);

	neighbours[slot] = neighbours[slot == 0 ? 1 : 0];
	hnsw_update_edges(writer, node, level);
}

bool
hnsw_plan_reverse_edge(HnswEdgeWriter *writer, OmendbNode neighbour, unsigned level, float distance,
					   HnswPlannedEdge *planned)
{
	const OmendbRecord *record = writer->new_node->record;
	OmendbRecord *copy = writer->copy;
	bool takes = false;

	CHECK_FOR_INTERRUPTS();
	writer->copy = planned->copy;
	if (omendb_record_copy(writer->store, neighbour, level, writer->copy) &&
		!(writer->copy->flags & OMENDB_RECORD_DEAD))
	{
		set_copy(writer, level);
		planned->slot = choose_slot(writer, neighbour, OMENDB_NO_NODE, record, level, distance,
									false, &planned->detour);
		takes = planned->slot != OMENDB_MAX_EDGES;
	}
	if (takes)
	{
		planned->neighbour = neighbour;
		planned->distance = distance;
		if (planned->slot < writer->copy->count)
			forget_slot(writer, neighbour, level, planned->slot);
		omendb_edge_write(writer->chooser, writer->copy, planned->slot, OMENDB_NO_NODE, record,
						  distance);
		if (planned->slot == writer->copy->count)
			writer->copy->count++;
	}
	writer->copy = copy;
	return takes;
}

bool
hnsw_put_planned_edge(HnswEdgeWriter *writer, HnswPlannedEdge *planned, OmendbNode node,
					  const OmendbRecord *record, unsigned level)
{
	const OmendbLayout *layout = &writer->store->index->codec.layout;
	OmendbDetour *detour = &planned->detour;

	omendb_record_neighbours(layout, planned->copy)[planned->slot] = node;
	for (uint32 i = 0; i < detour->n; i++)
		if (detour->nodes[i] == OMENDB_NO_NODE)
			detour->nodes[i] = node;
	return omendb_record_put_edge(writer->store, planned->neighbour, planned->copy, planned->slot,
								  detour) ||
		   hnsw_add_reverse_edge(writer, planned->neighbour, node, record, level, planned->distance,
								 false);
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
	if (writer->copy->count == hnsw_edge_capacity(writer, level) && change->detour.n == 0 &&
		omendb_layout_is_coded(&writer->store->index->codec.layout))
		omendb_query_set_record(&writer->query, writer->copy);
	hnsw_update_edges(writer, node, level);
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
