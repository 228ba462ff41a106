/*
 * hnswvacuum.h
 *	  A vacuum of an index: what its two files share.
 *
 * hnswvacuum.c removes dead rows and repairs edges. Before the repairs, hnswjoin.c makes
 * edges of live nodes lead to all live nodes.
 */
#ifndef OMENDB_HNSWVACUUM_H
#define OMENDB_HNSWVACUUM_H

#include "am/hnsw.h"
#include "graph/neighbours.h"
#include "page/reach.h"
#include "write/hnswinsert.h"

typedef struct HnswEstimate
{
	float estimate;
	OmendbNode node;
} HnswEstimate;

/* A record above level 0. */
typedef struct HnswUpper
{
	OmendbNode node;
	OmendbNode down;
	unsigned level;
} HnswUpper;

typedef struct HnswNodeList
{
	OmendbNode *nodes;
	size_t n;
	size_t capacity;
} HnswNodeList;

typedef struct HnswVacuum
{
	OmendbStore store;
	IndexVacuumInfo *info;
	IndexBulkDeleteCallback callback;
	void *callback_state;
	BlockNumber blocks; /* that the index had when we began */
	BlockNumber block;  /* whose heap TIDs are being looked at */
	uint64 nnodes;      /* slots in them */
	uint8 *dead;        /* a bit for each */
	uint64 ndead;
	BlockNumber lost_blocks; /* that the index had when dead nodes got no more edges */
	uint8 *lost;             /* a bit for each slot in them: a dead node has an edge to it */
	OmendbNode only;         /* the only one that may be freed now, or OMENDB_NO_NODE */
	HnswUpper *upper;
	size_t nupper;
	size_t upper_capacity;
	HnswNodeList emptied; /* nodes with empty overflow records */
	HnswNodeList below;   /* nodes below the live nodes of the level being joined */
	HnswNodeList missing; /* live nodes of that level that are not reached */

	OmendbNode entry; /* what will be the entry point */
	unsigned entry_level;
	OmendbReach joined;  /* nodes that were reached from there, or were joined */
	OmendbNode *parents; /* by which each node was reached, or NULL: not noted yet */

	/* for repairs */
	OmendbChooser chooser;
	OmendbRecord *record; /* the node being repaired */
	OmendbRecord *whole;  /* another */
	OmendbQuery query;    /* for distances from the one */
	OmendbQuery around;   /* from the other */
	HnswEstimate *pool;   /* live neighbours of the node's dead ones */
	size_t npool;
	HnswEstimate apart; /* one in another part of the graph, as a dead one was */
	uint8 *arena;       /* headers and own vectors of candidates */
	Size copy_bytes;
	size_t arena_capacity;
	size_t narena;
	HnswInsert *insert; /* to make nodes known */
} HnswVacuum;

static inline bool
hnsw_vacuum_is_dead(const HnswVacuum *vacuum, OmendbNode node)
{
	return node < vacuum->nnodes && (vacuum->dead[node / 8] >> (node % 8) & 1);
}

/* The block's page of records, locked; InvalidBuffer where it has none. */
extern Buffer hnsw_vacuum_lock(HnswVacuum *vacuum, BlockNumber block, int mode);

/* Wait for the inserts that run now. */
extern void hnsw_wait_for_inserts(HnswVacuum *vacuum);

/* Append a node to the list. */
extern void hnsw_note_node(HnswNodeList *list, OmendbNode node);

/* Is a bit set for any node of the block? */
extern bool hnsw_any_bit(const HnswVacuum *vacuum, const uint8 *bits, BlockNumber block);

/* hnswmark.c */
extern void hnsw_remove_heap_tids(HnswVacuum *vacuum, IndexBulkDeleteResult *stats);
extern void hnsw_note_page(HnswVacuum *vacuum, Page page, BlockNumber block);
extern int hnsw_upper_by_level(const void *a, const void *b);
extern void hnsw_mark_upper_records(HnswVacuum *vacuum);

/* hnswrepair.c */
extern void hnsw_prepare_repairs(HnswVacuum *vacuum);
extern void hnsw_repair_node(HnswVacuum *vacuum, OmendbNode node, unsigned level);
extern void hnsw_repair_graph(HnswVacuum *vacuum);

/* hnswincoming.c */
extern void hnsw_note_lost(HnswVacuum *vacuum);
extern void hnsw_find_lost(HnswVacuum *vacuum);

/* hnswfree.c */
extern uint32 hnsw_count_free(const OmendbLayout *layout, Page page);
extern void hnsw_free_dead_nodes(HnswVacuum *vacuum, IndexBulkDeleteResult *stats);

/*
 * Let edges of live nodes lead from the entry point, which lives then, to all live
 * nodes. False if that cannot be: then dead ones have to stay.
 */
extern bool hnsw_join_living(HnswVacuum *vacuum);

#endif /* OMENDB_HNSWVACUUM_H */
