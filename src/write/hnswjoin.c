/*
 * hnswjoin.c
 *	  Every live node is led to by edges of live nodes: before vacuum replaces those
 *	  to dead ones, after which no row may be lost (see src/README.md).
 */
#include "write/hnswvacuum.h"

#include "graph/search.h"
#include "miscadmin.h"
#include "page/change.h"
#include "storage/lmgr.h"
#include "utils/memutils.h"
#include "write/hnswjoin.h"

/* So many reached nodes at most are asked to take an edge to one that is not. */
#define JOIN_NEAR 64

/*
 * The live nodes that a search for vacuum->record finds nearest, of those that are
 * reached, nearest first; then `last`, if there is one, for a search may not come to
 * the level yet.
 */
static uint32
reached_near(HnswVacuum *vacuum, const OmendbReach *reach, unsigned level, OmendbNode last,
			 OmendbNode *near)
{
	const OmendbSearch *search = hnsw_find_near(vacuum->insert, vacuum->record, level);
	const OmendbVisited *found[JOIN_NEAR];
	uint32 n = 0;

	for (size_t i = 0; search && i < search->visited_used; i++)
	{
		const OmendbVisited *visited = &search->visited[i];
		uint32 at;

		if (!visited->payload.live || !omendb_reach_has(reach, visited->node))
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
 * Note by which node each one was reached, from the entry point, dead ones included:
 * these edges make a tree. Where one is given up meanwhile, its end is reached by a
 * detour of live nodes instead (hnswedges.c), which ends with another edge there. False
 * where a vacuum may not take as much memory.
 */
static bool
note_parents(HnswVacuum *vacuum)
{
	OmendbReach reach;
	OmendbNode entry;
	unsigned level;
	Size bytes = (Size) vacuum->nnodes * sizeof(OmendbNode);

	if (vacuum->parents)
		return true;
	if (bytes > (Size) omendb_vacuum_work_mem() * 1024)
		return false;
	omendb_reach_init(&reach, &vacuum->store, vacuum->info->strategy);
	bytes = (reach.nodes + 1) * sizeof(OmendbNode);
	vacuum->parents = MemoryContextAllocHuge(CurrentMemoryContext, bytes);
	memset(vacuum->parents, 0xff, bytes);
	reach.parents = vacuum->parents;
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
 * May the node's edge to a dead one be replaced? Only if the tree reaches the dead one by
 * another node, its parent. *way: the parent, if its edge may be replaced meanwhile. Edges
 * of dead nodes and edges to the level below are never replaced, so *way is empty there.
 */
static bool
is_spare(HnswVacuum *vacuum, OmendbNode node, OmendbNode dead, unsigned level, OmendbDetour *way)
{
	OmendbNode parent = vacuum->parents[dead];
	unsigned parent_level;

	if (parent == OMENDB_NO_NODE || parent == node ||
		!omendb_record_level(&vacuum->store, parent, &parent_level))
		return false;
	*way = (OmendbDetour){.nodes = {parent}};
	way->n = hnsw_vacuum_is_dead(vacuum, parent) || parent_level != level ? 0 : 1;
	return true;
}

/* Let a node have an edge to vacuum->record in place of one to a dead node that is to spare. */
static bool
replace_spare(HnswVacuum *vacuum, OmendbNode at, OmendbNode node, unsigned level)
{
	const OmendbLayout *layout = &vacuum->store.index->codec.layout;
	OmendbRecord *whole = vacuum->whole;

	/* Without them the node becomes the entry point, unless there are too many levels. */
	if (!note_parents(vacuum))
		return false;
	for (uint32 slot = 0; omendb_record_copy(&vacuum->store, at, level, whole) &&
						  !(whole->flags & OMENDB_RECORD_DEAD) && slot < whole->count;
		 slot++)
	{
		OmendbNode end = omendb_record_neighbours(layout, whole)[slot];
		OmendbDetour way;

		if (!hnsw_vacuum_is_dead(vacuum, end) || !is_spare(vacuum, at, end, level, &way))
			continue;
		omendb_chooser_set(&vacuum->chooser, whole);
		omendb_edge_write(&vacuum->chooser, whole, slot, node, vacuum->record,
						  omendb_own_distance(&vacuum->store.index->codec, whole, vacuum->record,
											  vacuum->chooser.scratch));
		if (omendb_record_put_edge(&vacuum->store, at, whole, slot, &way))
			return true;
	}
	return false;
}

/*
 * Let edges of live nodes lead to the node. Reached nodes near it are asked for an edge
 * first, then `last`, the node that was joined last. If none has room, the node becomes
 * vacuum->entry, the next entry point. False if there are too many levels for that.
 */
static bool
join_node(HnswVacuum *vacuum, const OmendbReach *reach, OmendbNode node, unsigned level,
		  OmendbNode last)
{
	OmendbNode near[JOIN_NEAR];
	uint32 n;

	if (!omendb_record_copy(&vacuum->store, node, level, vacuum->record) ||
		(vacuum->record->flags & OMENDB_RECORD_DEAD))
		return true;
	n = reached_near(vacuum, reach, level, last, near);
	if (hnsw_add_reverse_edges(vacuum->insert, node, level, vacuum->record, near, n))
		return true;
	for (uint32 i = 0; i < n; i++)
		if (replace_spare(vacuum, near[i], node, level))
			return true;
	return hnsw_make_entry(vacuum->insert, node, level, vacuum->record, &vacuum->entry,
						   &vacuum->entry_level);
}

static void
note_missing(HnswVacuum *vacuum, const OmendbReach *reach, OmendbNode node)
{
	if (!reach || !omendb_reach_has(reach, node))
		hnsw_note_node(&vacuum->missing, node);
}

/*
 * Note the missing live nodes of a level above 0, and the nodes below all live ones. No
 * page is read: vacuum->upper has the records of these levels.
 */
static void
look_above(HnswVacuum *vacuum, const OmendbReach *reach, unsigned level)
{
	vacuum->missing.n = 0;
	for (size_t i = 0; i < vacuum->nupper; i++)
	{
		const HnswUpper *upper = &vacuum->upper[i];

		if (upper->level != level || hnsw_vacuum_is_dead(vacuum, upper->node))
			continue;
		note_missing(vacuum, reach, upper->node);
		hnsw_note_node(&vacuum->below, upper->down);
	}
}

/*
 * Note the live nodes of level 0 that are not reached, but no more than `most`. reach: NULL where
 * none is.
 */
static void
look_below(HnswVacuum *vacuum, const OmendbReach *reach, size_t most)
{
	const OmendbLayout *layout = &vacuum->store.index->codec.layout;
	BlockNumber blocks = reach ? OMENDB_FIRST_BLOCK + reach->nodes / layout->per_page
							   : RelationGetNumberOfBlocks(vacuum->store.relation);

	vacuum->missing.n = 0;
	for (BlockNumber block = OMENDB_FIRST_BLOCK; block < blocks && vacuum->missing.n < most;
		 block++)
	{
		Buffer buffer = hnsw_vacuum_lock(vacuum, block, BUFFER_LOCK_SHARE);

		if (!BufferIsValid(buffer))
			continue;
		for (uint32 slot = 0; slot < layout->per_page && vacuum->missing.n < most; slot++)
		{
			const OmendbRecord *record = omendb_page_record(layout, BufferGetPage(buffer), slot);

			if (record->kind == OMENDB_RECORD_NODE && record->level == 0 &&
				!(record->flags & OMENDB_RECORD_DEAD))
				note_missing(vacuum, reach, omendb_block_node(layout, block, slot));
		}
		UnlockReleaseBuffer(buffer);
	}
}

/*
 * Join the live nodes of a level that are not reached from those that wait; then
 * those below all of them wait.
 */
static bool
join_level(HnswVacuum *vacuum, OmendbReach *reach, unsigned level)
{
	OmendbNode last = level == vacuum->entry_level ? vacuum->entry : OMENDB_NO_NODE;

	vacuum->below.n = 0;
	omendb_reach_follow(reach, level);
	if (level > 0)
		look_above(vacuum, reach, level);
	else
		look_below(vacuum, reach, SIZE_MAX);
	/*
	 * An insert may change edges of its new node as it likes as long as nothing
	 * leads there. So nothing is led there before that insert is over.
	 */
	if (vacuum->missing.n > 0)
		hnsw_wait_for_inserts(vacuum);
	for (size_t i = 0; i < vacuum->missing.n; i++)
	{
		OmendbNode node = vacuum->missing.nodes[i];

		if (omendb_reach_has(reach, node))
			continue;
		if (!join_node(vacuum, reach, node, level, last))
			return false;
		last = node;
		omendb_reach_add(reach, node);
		omendb_reach_follow(reach, level);
	}
	for (size_t i = 0; i < vacuum->below.n; i++)
		omendb_reach_add(reach, vacuum->below.nodes[i]);
	return true;
}

/* Some live node of level 0, or none. */
static OmendbNode
any_live_node(HnswVacuum *vacuum)
{
	look_below(vacuum, NULL, 1);
	return vacuum->missing.n > 0 ? vacuum->missing.nodes[0] : OMENDB_NO_NODE;
}

/* The entry point if it lives and no live node is of a higher level, else such a node. */
static void
choose_entry(HnswVacuum *vacuum, OmendbNode entry, unsigned level)
{
	size_t i = vacuum->nupper;

	vacuum->entry = entry;
	vacuum->entry_level = level;
	while (i > 0 && hnsw_vacuum_is_dead(vacuum, vacuum->upper[i - 1].node))
		i--;
	if (!hnsw_vacuum_is_dead(vacuum, entry) && (i == 0 || vacuum->upper[i - 1].level <= level))
		return;
	vacuum->entry = i > 0 ? vacuum->upper[i - 1].node : any_live_node(vacuum);
	vacuum->entry_level = i > 0 ? vacuum->upper[i - 1].level : 0;
}

/*
 * Let edges of live nodes lead from vacuum->entry to all live nodes, level by level.
 * Nodes that are inserted meanwhile get edges from live ones.
 */
static bool
join_levels(HnswVacuum *vacuum)
{
	OmendbReach *reach = &vacuum->joined;
	bool good = true;

	if (reach->reached)
		omendb_reach_free(reach);
	omendb_reach_init(reach, &vacuum->store, vacuum->info->strategy);
	reach->live = true;
	omendb_reach_add(reach, vacuum->entry);
	for (int level = vacuum->entry_level; good && level >= 0; level--)
		good = join_level(vacuum, reach, level);
	return good;
}

/*
 * Let the entry point be vacuum->entry, if it is not, without inserts: those that
 * began when it was dead are over then. False if an insert changed it meanwhile.
 *
 * Where vacuum->entry is none, no node lived when the dead ones were marked and the inserts
 * that ran had ended: all nodes have been looked through since. The first insert after that
 * found no live node, and made its own the entry point. So if the entry point is still the
 * old one, none lives now.
 */
static bool
set_entry(HnswVacuum *vacuum, OmendbNode old)
{
	Relation index = vacuum->store.relation;
	bool done;

	LockPage(index, OMENDB_META_BLOCK, ExclusiveLock);
	/* What came in place of a live one leads there. */
	done = vacuum->entry == old ||
		   omendb_meta_change_entry(&vacuum->store, old, vacuum->entry, vacuum->entry_level);
	UnlockPage(index, OMENDB_META_BLOCK, ExclusiveLock);
	return done;
}

bool
hnsw_join_living(HnswVacuum *vacuum)
{
	OmendbNode entry;
	unsigned level;

	while (omendb_index_entry(&vacuum->store, &entry, &level))
	{
		CHECK_FOR_INTERRUPTS();
		choose_entry(vacuum, entry, level);
		if (vacuum->entry != OMENDB_NO_NODE && !join_levels(vacuum))
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
	vacuum->only = OMENDB_NO_NODE;
	vacuum->upper_capacity = 1024;
	vacuum->upper = palloc(vacuum->upper_capacity * sizeof(HnswUpper));
	for (BlockNumber block = omendb_node_block(&vacuum->store.index->codec.layout, upper);
		 block < vacuum->blocks; block++)
	{
		Buffer buffer = hnsw_vacuum_lock(vacuum, block, BUFFER_LOCK_SHARE);

		hnsw_note_page(vacuum, BufferGetPage(buffer), block);
		UnlockReleaseBuffer(buffer);
	}
	qsort(vacuum->upper, vacuum->nupper, sizeof(HnswUpper), hnsw_upper_by_level);
	hnsw_prepare_repairs(vacuum);
	/* Without dead nodes nothing is given up for it. */
	if (!hnsw_join_living(vacuum))
		elog(ERROR, "could not join the nodes of index \"%s\"", RelationGetRelationName(index));
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}
