/*
 * hnswvacuum.h
 *	  The state of one vacuum of an index, and its phases. Private to these files:
 *
 *	hnswvacuum.c	the entry points and the order of the phases
 *	hnswmark.c		removes heap TIDs of dead rows, marks nodes without any as dead
 *	hnswjoin.c		makes edges of live nodes lead to every live node
 *	hnswrepair.c	replaces edges to dead nodes
 *	hnswincoming.c	gives an edge to each node that lost its last one with a dead node
 *	hnswfree.c		frees the slots of dead nodes
 *
 * hnswjoin.c uses this state for a build as well, with no dead nodes.
 *
 * Callers hold no page lock when they call a phase, and no lock on the metapage's number:
 * the phases take and release them (src/README.md, "Locks").
 */
#ifndef OMENDB_HNSWVACUUM_H
#define OMENDB_HNSWVACUUM_H

#include "am/hnsw.h"
#include "graph/neighbours.h"
#include "page/reach.h"
#include "write/hnswinsert.h"

/* A set of nodes: a bit for each slot of the index's first blocks. */
typedef struct HnswNodeSet
{
	BlockNumber blocks; /* blocks of the index that the set covers */
	uint64 slots;       /* slots in them; no node from this number on is in the set */
	uint64 n;           /* nodes in the set */
	uint8 *bits;
} HnswNodeSet;

typedef struct HnswNodeList
{
	OmendbNode *nodes;
	size_t n;
	size_t capacity;
} HnswNodeList;

/* A record above level 0. */
typedef struct HnswUpper
{
	OmendbNode node;
	OmendbNode down;
	unsigned level;
} HnswUpper;

typedef struct HnswUpperList
{
	HnswUpper *records; /* by level, then by node, after hnsw_sort_upper */
	size_t n;
	size_t capacity;
} HnswUpperList;

/* hnswmark.c: the server's test of heap TIDs, and what it is applied to. */
typedef struct HnswMark
{
	IndexBulkDeleteCallback is_dead;
	void *is_dead_state;
	BlockNumber block;    /* whose heap TIDs are being tested */
	HnswNodeList emptied; /* nodes with overflow records that have no heap TID left */
} HnswMark;

/* Working memory for edges. */
typedef struct HnswEdgeWork
{
	OmendbChooser chooser;
	OmendbRecord
		*record; /* a copy of the record whose edges are changed, or that gets edges to it */
	OmendbRecord *other; /* a copy of another record */
	HnswInsert *insert;  /* searches, and adds reverse edges */
} HnswEdgeWork;

/* hnswjoin.c */
typedef struct HnswJoin
{
	OmendbNode entry; /* the entry point when live nodes are joined */
	unsigned entry_level;
	OmendbReach reached;  /* nodes that edges of live nodes lead to from `entry` */
	OmendbNode *parents;  /* the node by which each one is reached; NULL: not known yet */
	HnswNodeList missing; /* live nodes of the present level that are not reached */
	HnswNodeList below;   /* nodes below the live nodes of the present level */
} HnswJoin;

typedef struct HnswEstimate
{
	float estimate; /* of a distance */
	OmendbNode node;
} HnswEstimate;

/* hnswrepair.c: for the node in HnswEdgeWork.record. */
typedef struct HnswRepair
{
	OmendbQuery query;       /* the node's vector */
	OmendbQuery other_query; /* a dead neighbour's vector */
	HnswEstimate *nearest;   /* of live neighbours of the node's dead neighbours, nearest first */
	uint32 nnearest;
	uint32 most;       /* how many are kept */
	uint64 filter[16]; /* Bloom filter of the node's neighbours and of nodes that were offered */
	/*
	 * Of the dead neighbours that had no neighbour in common with the node, the farthest: its
	 * distance, and the live neighbour nearest to it. An edge to that one may be the only way to
	 * another component.
	 */
	HnswEstimate other_component;
	uint8 *copies; /* of candidates: headers and own vectors */
	Size copy_bytes;
	size_t copies_capacity;
	char *page; /* a copy of the page whose records are repaired */
} HnswRepair;

typedef struct HnswVacuum
{
	OmendbStore store;
	IndexVacuumInfo *info;
	BlockNumber blocks;  /* of the index when the vacuum began; later ones have no dead node */
	HnswNodeSet dead;    /* nodes that are marked dead */
	HnswUpperList upper; /* records above level 0 */
	HnswMark mark;
	HnswEdgeWork work;
	HnswJoin join;
	HnswRepair repair;
	HnswNodeSet exposed; /* nodes that dead nodes have edges to */
} HnswVacuum;

/* Allocate an empty set for the nodes of that many blocks. */
extern void hnsw_set_init(HnswNodeSet *set, const OmendbLayout *layout, BlockNumber blocks);

static inline bool
hnsw_set_has(const HnswNodeSet *set, OmendbNode node)
{
	return node < set->slots && (set->bits[node / 8] >> (node % 8) & 1);
}

/* Add a node; without effect if the set does not cover the node. */
static inline void
hnsw_set_add(HnswNodeSet *set, OmendbNode node)
{
	if (node < set->slots && !hnsw_set_has(set, node))
	{
		set->bits[node / 8] |= 1 << (node % 8);
		set->n++;
	}
}

/* True if a node of the block is in the set. */
extern bool hnsw_set_has_block(const HnswNodeSet *set, const OmendbLayout *layout,
							   BlockNumber block);

extern void hnsw_list_add(HnswNodeList *list, OmendbNode node);

static inline bool
hnsw_vacuum_is_dead(const HnswVacuum *vacuum, OmendbNode node)
{
	return hnsw_set_has(&vacuum->dead, node);
}

/* Lock the block's page of records. InvalidBuffer if the page was never initialised. */
extern Buffer hnsw_vacuum_lock(HnswVacuum *vacuum, BlockNumber block, int mode);

/* Wait until the inserts that run now have ended. */
extern void hnsw_wait_for_inserts(HnswVacuum *vacuum);

/*
 * Remove the heap TIDs of all dead rows, mark nodes of level 0 without any left as dead, and
 * collect dead nodes and upper records. Free slots are noted in the free space map. Sets
 * num_index_tuples and pages_free of stats, adds to tuples_removed.
 */
extern void hnsw_remove_heap_tids(HnswVacuum *vacuum, IndexBulkDeleteResult *stats);

/* Collect the page's dead nodes, upper records and nodes with empty overflow records. */
extern void hnsw_collect_page(HnswVacuum *vacuum, Page page, BlockNumber block);

extern void hnsw_sort_upper(HnswVacuum *vacuum);

/* Sort the upper records, and mark those of dead nodes as dead. */
extern void hnsw_mark_upper_records(HnswVacuum *vacuum);

/*
 * Make edges of live nodes lead from the entry point, which is a live node afterwards, to
 * all live nodes. False if that is impossible: then dead nodes have to stay.
 */
extern bool hnsw_join_live_nodes(HnswVacuum *vacuum);

/* Allocate what hnsw_join_live_nodes and the repairs work with. */
extern void hnsw_allocate_work(HnswVacuum *vacuum);

/* Replace the edges of all live nodes to dead ones. */
extern void hnsw_repair_graph(HnswVacuum *vacuum);

/* Replace the edges of one node to dead ones. A node without edges gets some. */
extern void hnsw_repair_node(HnswVacuum *vacuum, OmendbNode node, unsigned level);

/* Collect the nodes that dead nodes have edges to: before slots are freed. */
extern void hnsw_collect_exposed(HnswVacuum *vacuum);

/* Give each of them an edge from a neighbour, if none of its neighbours has one to it. */
extern void hnsw_add_incoming_edges(HnswVacuum *vacuum);

/* Number of free slots of a page. */
extern uint32 hnsw_count_free_slots(const OmendbLayout *layout, Page page);

/* Free the slots of all dead nodes. No live node may have an edge to one. */
extern void hnsw_free_dead_nodes(HnswVacuum *vacuum, IndexBulkDeleteResult *stats);

#endif /* OMENDB_HNSWVACUUM_H */
