/*
 * hnswjoin.c
 *	  Makes edges of live nodes lead from the entry point to every live node.
 *
 * Vacuum does so before it replaces edges to dead nodes; a build in parts does so at its end.
 * Each change keeps what src/README.md promises ("Nothing is lost"): whatever edges led to
 * before a change they lead to after it.
 *
 * Locks: waits for inserts by the lock on the metapage's number, and sets the entry point
 * under it; page locks are those of reads and of single changes.
 */
#include "write/hnswvacuum.h"

#include "compat.h"
#include "graph/search.h"
#include "miscadmin.h"
#include "page/change.h"
#include "storage/lmgr.h"
#include "utils/memutils.h"
#include "write/hnswjoin.h"

/* Maximum number of reached nodes that are tried for an edge to a node that is not reached. */
#define JOIN_NEAR 64

static bool
is_live_node(const OmendbLayout *layout, Page page, uint32 slot)
{
	const OmendbRecord *record = omendb_page_record(layout, page, slot);

	return record->kind == OMENDB_RECORD_NODE && record->level == 0 &&
		   !(record->flags & OMENDB_RECORD_DEAD);
}

/*
 * List the nearest to work.record of the live nodes that a search visits and that are reached,
 * nearest first; then `last`, if there is one, for a search may not get to the level
 * yet. Returns their number.
 */
static uint32
find_reached_near(HnswVacuum *vacuum, unsigned level, OmendbNode last, OmendbNode *near)
{
	const OmendbSearch *search = hnsw_find_near(vacuum->work.insert, vacuum->work.record, level);
	const OmendbVisited *found[JOIN_NEAR];
	uint32 n = 0;

	for (size_t i = 0; search && i < search->visited_used; i++)
	{
		const OmendbVisited *visited = &search->visited[i];
		uint32 at;

		if (!visited->payload.live || !omendb_reach_has(&vacuum->join.reached, visited->node))
			continue;
		if (n == JOIN_NEAR && visited->distance >= found[n - 1]->distance)
			continue;
		n = Min(n + 1, JOIN_NEAR);
		for (at = n - 1; at > 0 && found[at - 1]->distance > visited->distance; at--)
			found[at] = found[at - 1];
		found[at] = visited;
	}
	for (uint32 i = 0; i < n; i++)
		near[i] = found[i]->node;
	if (last != OMENDB_NO_NODE && n < JOIN_NEAR)
		near[n++] = last;
	return n;
}

/*
 * Set join.parents, once: the node by which each node, dead or live, is reached from the entry
 * point. These edges are a tree. If an edge of the tree is given up meanwhile, its end is reached
 * by a detour of live nodes (hnswedges.c), which ends with another edge to the same end. False if
 * that takes more memory than a vacuum may use.
 */
static bool
find_parents(HnswVacuum *vacuum)
{
	OmendbReach reach;
	OmendbNode entry;
	unsigned level;
	Size bytes = (Size) vacuum->dead.slots * sizeof(OmendbNode);

	if (vacuum->join.parents)
		return true;
	if (bytes > (Size) omendb_vacuum_work_mem() * 1024)
		return false;
	omendb_reach_init(&reach, &vacuum->store, vacuum->info->strategy);
	bytes = (reach.nodes + 1) * sizeof(OmendbNode);
	vacuum->join.parents = MemoryContextAllocHuge(CurrentMemoryContext, bytes);
	memset(vacuum->join.parents, 0xff, bytes);
	reach.parents = vacuum->join.parents;
	if (omendb_index_entry(&vacuum->store, &entry, &level))
	{
		omendb_reach_add(&reach, entry);
		for (; level > 0; level--)
			omendb_reach_descend(&reach, level, true);
		omendb_reach_follow(&reach, 0);
	}
	omendb_reach_free(&reach);
	return true;
}

/*
 * True if the edge from `node` to the dead node `dead` may be replaced, as far as the tree is
 * concerned: another node, the dead node's parent, reaches it. *detour: the parent, if its
 * edge may be replaced meanwhile, so that the edge has to be seen when the change is made. Edges
 * of dead nodes and pointers down are never replaced: then *detour is empty.
 */
static bool
is_reached_without(HnswVacuum *vacuum, OmendbNode node, OmendbNode dead, unsigned level,
				   OmendbDetour *detour)
{
	OmendbNode parent = vacuum->join.parents[dead];
	unsigned parent_level;

	if (parent == OMENDB_NO_NODE || parent == node ||
		!omendb_record_level(&vacuum->store, parent, &parent_level))
		return false;
	*detour = (OmendbDetour){.nodes = {parent}};
	detour->n = hnsw_vacuum_is_dead(vacuum, parent) || parent_level != level ? 0 : 1;
	return true;
}

/*
 * Replace an edge from `from` to a dead node by one to `node`, which work.record is a copy of. False if
 * `from` has no edge to a dead node that the tree can do without.
 */
static bool
replace_edge_to_dead(HnswVacuum *vacuum, OmendbNode from, OmendbNode node, unsigned level)
{
	const OmendbCodec *codec = &vacuum->store.index->codec;
	OmendbChooser *chooser = &vacuum->work.chooser;
	OmendbRecord *record = vacuum->work.other;

	/* Without parents the node becomes the entry point, unless there are too many levels. */
	if (!find_parents(vacuum))
		return false;
	for (uint32 slot = 0; omendb_record_copy(&vacuum->store, from, level, record) &&
						  !(record->flags & OMENDB_RECORD_DEAD) && slot < record->count;
		 slot++)
	{
		OmendbNode end = omendb_record_neighbours(&codec->layout, record)[slot];
		OmendbDetour detour;

		if (!hnsw_vacuum_is_dead(vacuum, end) ||
			!is_reached_without(vacuum, from, end, level, &detour))
			continue;
		omendb_chooser_set(chooser, record);
		omendb_edge_write(
			chooser, record, slot, node, vacuum->work.record,
			omendb_own_distance(codec, record, vacuum->work.record, chooser->scratch));
		if (omendb_record_put_edge(&vacuum->store, from, record, slot, &detour))
			return true;
	}
	return false;
}

/*
 * Give the node an edge from a reached live node: from a near one, else from `last`, the node that
 * was joined last. If none of them can take an edge, the node becomes join.entry, the next entry point.
 * False if there are too many levels for that.
 */
static bool
join_node(HnswVacuum *vacuum, OmendbNode node, unsigned level, OmendbNode last)
{
	HnswEdgeWork *work = &vacuum->work;
	OmendbNode near[JOIN_NEAR];
	uint32 n;

	if (!omendb_record_copy(&vacuum->store, node, level, work->record) ||
		(work->record->flags & OMENDB_RECORD_DEAD))
		return true;
	n = find_reached_near(vacuum, level, last, near);
	if (hnsw_add_reverse_edges(work->insert, node, level, work->record, near, n))
		return true;
	for (uint32 i = 0; i < n; i++)
		if (replace_edge_to_dead(vacuum, near[i], node, level))
			return true;
	return hnsw_make_entry(work->insert, node, level, work->record, &vacuum->join.entry,
						   &vacuum->join.entry_level);
}

/*
 * List the live nodes of a level above 0 that are not reached as missing, and the nodes below all
 * live ones. Reads no page: the upper records are in memory.
 */
static void
list_missing_upper(HnswVacuum *vacuum, unsigned level)
{
	HnswJoin *join = &vacuum->join;

	join->missing.n = 0;
	for (size_t i = 0; i < vacuum->upper.n; i++)
	{
		const HnswUpper *upper = &vacuum->upper.records[i];

		if (upper->level != level || hnsw_vacuum_is_dead(vacuum, upper->node))
			continue;
		if (!omendb_reach_has(&join->reached, upper->node))
			hnsw_list_add(&join->missing, upper->node);
		hnsw_list_add(&join->below, upper->down);
	}
}

/* List the live nodes of level 0 that are not reached as missing. */
static void
list_missing_nodes(HnswVacuum *vacuum)
{
	const OmendbLayout *layout = &vacuum->store.index->codec.layout;
	HnswJoin *join = &vacuum->join;
	BlockNumber blocks = OMENDB_FIRST_BLOCK + join->reached.nodes / layout->per_page;

	join->missing.n = 0;
	for (BlockNumber block = OMENDB_FIRST_BLOCK; block < blocks; block++)
	{
		Buffer buffer = hnsw_vacuum_lock(vacuum, block, BUFFER_LOCK_SHARE);

		if (!BufferIsValid(buffer))
			continue;
		for (uint32 slot = 0; slot < layout->per_page; slot++)
		{
			OmendbNode node = omendb_block_node(layout, block, slot);

			if (is_live_node(layout, BufferGetPage(buffer), slot) &&
				!omendb_reach_has(&join->reached, node))
				hnsw_list_add(&join->missing, node);
		}
		UnlockReleaseBuffer(buffer);
	}
}

/*
 * Join the live nodes of a level that are not reached from the waiting ones; afterwards the
 * nodes below all live ones wait. False if a node cannot be joined.
 */
static bool
join_level(HnswVacuum *vacuum, unsigned level)
{
	HnswJoin *join = &vacuum->join;
	OmendbReach *reach = &join->reached;
	OmendbNode last = level == join->entry_level ? join->entry : OMENDB_NO_NODE;

	join->below.n = 0;
	omendb_reach_follow(reach, level);
	if (level > 0)
		list_missing_upper(vacuum, level);
	else
		list_missing_nodes(vacuum);
	/*
	 * An insert may change edges of its new node freely as long as nothing leads to the
	 * node. So the node gets no incoming edge before that insert has ended.
	 */
	if (join->missing.n > 0)
		hnsw_wait_for_inserts(vacuum);
	for (size_t i = 0; i < join->missing.n; i++)
	{
		OmendbNode node = join->missing.nodes[i];

		omendb_vacuum_delay_point(); /* not in a build (hnsw_build) */
		if (omendb_reach_has(reach, node))
			continue;
		if (!join_node(vacuum, node, level, last))
			return false;
		last = node;
		omendb_reach_add(reach, node);
		omendb_reach_follow(reach, level);
	}
	for (size_t i = 0; i < join->below.n; i++)
		omendb_reach_add(reach, join->below.nodes[i]);
	return true;
}

/* Find a live node of level 0. OMENDB_NO_NODE if there is none. */
static OmendbNode
find_live_node(HnswVacuum *vacuum)
{
	const OmendbLayout *layout = &vacuum->store.index->codec.layout;
	BlockNumber blocks = RelationGetNumberOfBlocks(vacuum->store.relation);
	OmendbNode found = OMENDB_NO_NODE;

	for (BlockNumber block = OMENDB_FIRST_BLOCK; block < blocks && found == OMENDB_NO_NODE; block++)
	{
		Buffer buffer = hnsw_vacuum_lock(vacuum, block, BUFFER_LOCK_SHARE);

		if (!BufferIsValid(buffer))
			continue;
		for (uint32 slot = 0; slot < layout->per_page && found == OMENDB_NO_NODE; slot++)
			if (is_live_node(layout, BufferGetPage(buffer), slot))
				found = omendb_block_node(layout, block, slot);
		UnlockReleaseBuffer(buffer);
	}
	return found;
}

/*
 * Set join.entry to the entry point if it lives and no live node is of a higher level, else to a live
 * node of the highest level, or to OMENDB_NO_NODE if no node lives.
 */
static void
choose_entry(HnswVacuum *vacuum, OmendbNode entry, unsigned level)
{
	const HnswUpper *highest = NULL;

	for (size_t i = vacuum->upper.n; i > 0 && !highest; i--)
		if (!hnsw_vacuum_is_dead(vacuum, vacuum->upper.records[i - 1].node))
			highest = &vacuum->upper.records[i - 1];
	vacuum->join.entry = entry;
	vacuum->join.entry_level = level;
	if (!hnsw_vacuum_is_dead(vacuum, entry) && (!highest || highest->level <= level))
		return;
	vacuum->join.entry = highest ? highest->node : find_live_node(vacuum);
	vacuum->join.entry_level = highest ? highest->level : 0;
}

/*
 * Join all live nodes to join.entry, level by level. Nodes that are inserted meanwhile get edges from
 * live nodes by their inserts. False if a node cannot be joined.
 */
static bool
join_levels(HnswVacuum *vacuum)
{
	OmendbReach *reach = &vacuum->join.reached;
	bool joined = true;

	if (reach->reached)
		omendb_reach_free(reach);
	omendb_reach_init(reach, &vacuum->store, vacuum->info->strategy);
	reach->live = true;
	omendb_reach_add(reach, vacuum->join.entry);
	for (int level = vacuum->join.entry_level; joined && level >= 0; level--)
		joined = join_level(vacuum, level);
	return joined;
}

/*
 * Make join.entry the entry point, if it is not, while no insert runs: those that began when the
 * old one was dead have ended then. False if an insert changed the entry point meanwhile.
 *
 * If join.entry is OMENDB_NO_NODE, no node lived when dead nodes had been marked and the inserts
 * that ran had ended: find_live_node has read all nodes since. The first insert after that
 * found no live node, and made its own node the entry point. So if the entry point is
 * still the old one, no node lives now.
 */
static bool
set_entry(HnswVacuum *vacuum, OmendbNode old)
{
	Relation index = vacuum->store.relation;
	bool done;

	LockPage(index, OMENDB_META_BLOCK, ExclusiveLock);
	/* An entry point that replaced a live one leads to that one. */
	done =
		vacuum->join.entry == old ||
		omendb_meta_change_entry(&vacuum->store, old, vacuum->join.entry, vacuum->join.entry_level);
	UnlockPage(index, OMENDB_META_BLOCK, ExclusiveLock);
	return done;
}

bool
hnsw_join_live_nodes(HnswVacuum *vacuum)
{
	OmendbNode entry;
	unsigned level;

	while (omendb_index_entry(&vacuum->store, &entry, &level))
	{
		CHECK_FOR_INTERRUPTS();
		choose_entry(vacuum, entry, level);
		if (vacuum->join.entry != OMENDB_NO_NODE && !join_levels(vacuum))
			return false;
		if (set_entry(vacuum, entry))
			break;
	}
	return true;
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
	for (BlockNumber block = omendb_node_block(&vacuum->store.index->codec.layout, upper);
		 block < vacuum->blocks; block++)
	{
		Buffer buffer = hnsw_vacuum_lock(vacuum, block, BUFFER_LOCK_SHARE);

		hnsw_collect_page(vacuum, BufferGetPage(buffer), block);
		UnlockReleaseBuffer(buffer);
	}
	hnsw_sort_upper(vacuum);
	hnsw_allocate_work(vacuum);
	/* False only if there would be too many levels: no node is dead. */
	if (!hnsw_join_live_nodes(vacuum))
		elog(ERROR, "could not join the nodes of index \"%s\"", RelationGetRelationName(index));
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}
