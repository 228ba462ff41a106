/*
 * connect.c
 *	  Edges that connect a level's graph: a path from the entry point (here "root") to every node, and
 *	  back.
 *
 * A node that the root does not reach gets an edge from a near node that it reaches; a node that
 * does not lead to the root gets an edge to a near node that does. A full node gives up its
 * farthest edge that is not in the tree of paths from the root.
 */
#include <stdlib.h>
#include <string.h>

#include "graph/builder.h"

/* Parent of a node that the root does not reach. */
#define UNREACHED UINT32_MAX

/* Nodes by which prefetches are ahead. */
#define AHEAD 8

/* Passes that look for nodes which lead to the root. */
#define PASSES 4

/* The nodes that the root reaches, in the order of their visits: n places, of which `used` are taken. */
typedef struct Reached
{
	uint32_t *nodes;
	uint32_t used;
} Reached;

/*
 * Add `start`, with that parent, and all nodes reached from there to the tree of paths: set their
 * parents. Nodes that are in the tree already stay as they are. Nodes that are not visited yet are a
 * stack at the end of the places: each node is in one place only.
 */
static void
mark_reached(const OmendbBuildLevel *level, uint32_t start, uint32_t parent, uint32_t *parents,
			 Reached *reached)
{
	uint32_t *nodes = reached->nodes;
	uint32_t top = level->n;

	parents[start] = parent;
	nodes[--top] = start;
	while (top < level->n)
	{
		uint32_t i = nodes[top++];
		const OmendbNode *edges = build_edges(level, i);

		build_interruptible(level, reached->used);
		/* Most nodes add none to the stack, so what lies below is next. */
		if (top + AHEAD < level->n)
			build_prefetch_edges(level, nodes[top + AHEAD]);
		nodes[reached->used++] = i;
		for (uint32_t k = 0; k < build_record(level, i)->count; k++)
		{
			uint32_t other = edges[k] - level->first;

			if (parents[other] == UNREACHED)
			{
				parents[other] = i;
				nodes[--top] = other;
			}
		}
	}
}

/* True if one of the node's neighbours is marked. */
static inline bool
leads_to_marked(const OmendbBuildLevel *level, uint32_t i, const uint8_t *marked)
{
	const OmendbNode *edges = build_edges(level, i);

	for (uint32_t k = 0; k < build_record(level, i)->count; k++)
		if (marked[edges[k] - level->first])
			return true;
	return false;
}

/*
 * Mark the nodes that lead to the root, as far as a few passes over the nodes find them: all, as a
 * rule, for most nodes have an edge to a node that was reached before them. That reads each record about
 * once; the reverse edges of all nodes take several times as long. nodes: all nodes, of
 * which those that are not marked are kept. Returns the number of these.
 */
static uint32_t
mark_most_leading(const OmendbBuildLevel *level, uint32_t root, uint8_t *leading, uint32_t *nodes)
{
	uint32_t left = level->n;

	leading[root] = 1;
	for (unsigned pass = 0; pass < PASSES && left > 0; pass++)
	{
		uint32_t kept = 0;

		for (uint32_t at = 0; at < left; at++)
		{
			uint32_t i = nodes[at];

			build_interruptible(level, at);
			if (at + AHEAD < left)
				build_prefetch_edges(level, nodes[at + AHEAD]);
			if (i != root && !leads_to_marked(level, i, leading))
				nodes[kept++] = i;
			else
				leading[i] = 1;
		}
		left = kept;
	}
	return left;
}

static int
by_candidate(const void *a, const void *b)
{
	const OmendbSelectCandidate *x = a;
	const OmendbSelectCandidate *y = b;

	if (x->distance != y->distance)
		return x->distance < y->distance ? -1 : 1;
	return x->node < y->node ? -1 : x->node > y->node;
}

/* List the reverse edges of all nodes. */
static void
list_reverse_edges(OmendbBuildLevel *level)
{
	uint32_t total = 0;

	memset(level->reverse.end, 0, level->n * sizeof(uint32_t));
	for (uint32_t i = 0; i < level->n; i++)
	{
		build_interruptible(level, i);
		for (uint32_t k = 0; k < build_record(level, i)->count; k++)
			level->reverse.end[build_edges(level, i)[k] - level->first]++;
	}
	for (uint32_t i = 0; i < level->n; i++)
	{
		uint32_t count = level->reverse.end[i];

		level->reverse.begin[i] = level->reverse.end[i] = total;
		total += count;
	}
	for (uint32_t i = 0; i < level->n; i++)
	{
		build_interruptible(level, i);
		for (uint32_t k = 0; k < build_record(level, i)->count; k++)
			level->reverse.nodes[level->reverse.end[build_edges(level, i)[k] - level->first]++] = i;
	}
}

/* Mark the nodes from which the target is reached, by the listed reverse edges. */
static void
mark_leading(const OmendbBuildLevel *level, uint32_t target, uint8_t *leading, uint32_t *stack)
{
	uint32_t used = 0;
	uint32_t steps = 0;

	leading[target] = 1;
	stack[used++] = target;
	while (used > 0)
	{
		uint32_t i = stack[--used];

		build_interruptible(level, steps++);
		for (uint32_t k = level->reverse.begin[i]; k < level->reverse.end[i]; k++)
		{
			uint32_t other = level->reverse.nodes[k];

			if (!leading[other])
			{
				leading[other] = 1;
				stack[used++] = other;
			}
		}
	}
}

/*
 * Find a slot of the node for one more edge: a free slot, or that of its farthest edge that is not in
 * the tree. Returns level->edges if there is none.
 */
static uint32_t
find_slot(const OmendbBuildLevel *level, uint32_t self, const uint32_t *parents)
{
	const OmendbNode *edges = build_edges(level, self);
	uint32_t slot = build_record(level, self)->count;

	if (slot < level->edges)
		return slot;
	while (slot > 0 && parents[edges[slot - 1] - level->first] == self)
		slot--;
	return slot == 0 ? level->edges : slot - 1;
}

/* Write an edge of a node into a slot. */
static void
write_edge(OmendbBuilder *builder, OmendbBuildLevel *level, uint32_t self, uint32_t slot,
		   OmendbEdge edge)
{
	OmendbRecord *record = build_record(level, self);

	if (slot == record->count)
		record->count++;
	omendb_chooser_set(&builder->chooser, record);
	omendb_edge_write(&builder->chooser, record, slot, edge.node,
					  omendb_array_record(builder->array, edge.node), edge.distance);
}

/*
 * Search for the node from the root. The *n nodes found become the chooser's candidates, the nearest
 * first. False when out of memory.
 */
static bool
find_near(OmendbBuilder *builder, OmendbBuildLevel *level, uint32_t self, size_t *n)
{
	OmendbNode node = level->first + self;
	OmendbSearch *search = &builder->search;

	*n = 0;
	omendb_query_set_record(&builder->query, omendb_array_record(builder->array, node));
	if (!omendb_search_begin(search, &builder->query, level->level, level->options.beam) ||
		!omendb_search_enter(search, omendb_build_entry(level)) || !omendb_search_run(search) ||
		!omendb_chooser_reserve(&builder->chooser, search->visited_used))
		return false;
	for (size_t i = 0; i < search->visited_used; i++)
		if (search->visited[i].node != node)
			builder->chooser.candidates[(*n)++] =
				(OmendbSelectCandidate){search->visited[i].distance, search->visited[i].node, 0};
	qsort(builder->chooser.candidates, *n, sizeof(OmendbSelectCandidate), by_candidate);
	return true;
}

/*
 * Write an edge to an unreached node from the nearest reached node that has a slot for an edge.
 * *parent: that node, or UNREACHED. False when out of memory.
 */
static bool
connect_from_near(OmendbBuilder *builder, OmendbBuildLevel *level, uint32_t self,
				  const uint32_t *parents, uint32_t *parent)
{
	size_t n;

	*parent = UNREACHED;
	if (!find_near(builder, level, self, &n))
		return false;
	for (size_t i = 0; i < n && *parent == UNREACHED; i++)
	{
		uint32_t other = builder->chooser.candidates[i].node - level->first;
		uint32_t slot = find_slot(level, other, parents);

		if (parents[other] == UNREACHED || slot == level->edges)
			continue;
		write_edge(builder, level, other, slot,
				   (OmendbEdge){builder->chooser.candidates[i].distance, level->first + self});
		*parent = other;
	}
	/* No near node has a slot. Another one has: the tree needs less than one edge a node. */
	for (uint32_t i = 0; i < level->n && *parent == UNREACHED; i++)
	{
		uint32_t other = level->order[i];
		uint32_t slot = find_slot(level, other, parents);

		if (parents[other] == UNREACHED || slot == level->edges)
			continue;
		write_edge(builder, level, other, slot,
				   (OmendbEdge){omendb_own_distance(
									builder->array->codec,
									omendb_array_record(builder->array, level->first + other),
									omendb_array_record(builder->array, level->first + self),
									builder->chooser.scratch),
								level->first + self});
		*parent = other;
	}
	return true;
}

/*
 * Write an edge from a node that does not lead to the root to the nearest node found that does.
 * *added: an edge was written. False when out of memory.
 */
static bool
connect_to_near(OmendbBuilder *builder, OmendbBuildLevel *level, uint32_t self,
				const uint32_t *parents, const uint8_t *leading, bool *added)
{
	uint32_t slot = find_slot(level, self, parents);
	size_t n;

	*added = false;
	if (slot == level->edges)
		return true;
	if (!find_near(builder, level, self, &n))
		return false;
	for (size_t i = 0; i < n && !*added; i++)
	{
		const OmendbSelectCandidate *near = &builder->chooser.candidates[i];

		if (!leading[near->node - level->first])
			continue;
		write_edge(builder, level, self, slot, (OmendbEdge){near->distance, near->node});
		*added = true;
	}
	return true;
}

bool
omendb_build_connect(OmendbBuilder *builder, OmendbBuildLevel *level, uint32_t *added)
{
	const OmendbAllocator *allocator = builder->allocator;
	uint32_t *parents = allocator->resize(allocator->context, NULL, level->n * sizeof(uint32_t));
	uint32_t *nodes = allocator->resize(allocator->context, NULL, level->n * sizeof(uint32_t));
	Reached reached = {nodes, 0};
	uint8_t *leading = allocator->resize(allocator->context, NULL, level->n);
	bool good = parents && nodes && leading;
	uint32_t root = level->order[0];
	bool missing = false;
	bool progress;

	/* Paths from the root to every node. No edge of the tree is given up, so each edge counts. */
	*added = 0;
	if (good)
	{
		memset(parents, 0xff, level->n * sizeof(uint32_t));
		mark_reached(level, root, root, parents, &reached);
	}
	for (progress = true; good && progress;)
	{
		progress = false;
		for (uint32_t i = 0; i < level->n && good; i++)
		{
			uint32_t parent;

			if (parents[i] != UNREACHED)
				continue;
			build_interruptible(level, 0);
			good = connect_from_near(builder, level, i, parents, &parent);
			if (good && parent != UNREACHED)
			{
				(*added)++;
				progress = true;
				mark_reached(level, i, parent, parents, &reached);
			}
		}
	}

	/*
	 * Paths from every node to the root, for a search may enter the level anywhere. An edge given
	 * up leads to a node that does not lead to the root either.
	 */
	if (good)
	{
		memset(leading, 0, level->n);
		missing = reached.used < level->n || mark_most_leading(level, root, leading, nodes) > 0;
	}
	if (missing)
	{
		memset(leading, 0, level->n);
		list_reverse_edges(level);
		mark_leading(level, root, leading, nodes);
	}
	for (progress = missing; good && progress;)
	{
		progress = false;
		for (uint32_t i = 0; i < level->n && good; i++)
		{
			bool made;

			if (leading[i])
				continue;
			build_interruptible(level, 0);
			good = connect_to_near(builder, level, i, parents, leading, &made);
			if (good && made)
			{
				(*added)++;
				progress = true;
				mark_leading(level, i, leading, nodes);
			}
		}
	}
	if (parents)
		allocator->release(allocator->context, parents);
	if (nodes)
		allocator->release(allocator->context, nodes);
	if (leading)
		allocator->release(allocator->context, leading);
	return good;
}
