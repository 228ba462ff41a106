/*
 * bulkwork.h
 *	  What the files of the bulk build share: a process's work space, and the functions that one
 *	  file calls in another. bulk.h has the steps.
 */
#ifndef OMENDB_BULKWORK_H
#define OMENDB_BULKWORK_H

#include <math.h>

#include "code/rotation.h"
#include "graph/build.h"
#include "kernel/kernel.h"

/* Maximum number of rows of a leaf. */
#define BULK_MOST_LEAF 256

/*
 * Maximum number of rows beyond its gap that a row takes of a leaf, and of rows kept for taking
 * that one so.
 */
#define BULK_BEYOND 2

/* Maximum depth of local rows: a finer unit distinguishes no vectors of 16-bit elements. */
#define BULK_MOST_DEPTH 8

/* Maximum number of different candidates of a node, and places of the hash table of them. */
#define BULK_GATHERED 1024
#define BULK_HASH     2048

/* 64-bit words of a bit mask over a pool. */
#define BULK_MASK_WORDS (OMENDB_BULK_POOL / 64)

/* Elements of a row of Hamming distances: kernels read beyond a pool. */
#define BULK_HAMMING_STRIDE (OMENDB_BULK_POOL + 64)

/* Vectors in float. */
typedef struct BulkVectors
{
	float *stored;
	float *own_code;   /* in code space */
	float *other_code; /* in code space */
	float *scratch;
	float *center; /* local rows are differences from this vector */
} BulkVectors;

/* A list of rows, as places in the leaf, for each row of a leaf; all but `beyond` nearest first. */
typedef struct BulkLists
{
	uint32_t most;    /* maximum length of a list */
	float *distances; /* leaf * most */
	uint32_t *rows;   /* leaf * most */
	uint8_t *counts;  /* leaf */
} BulkLists;

/* Steps 6 and 7: a leaf, or the leaders of a cluster that is split. */
typedef struct BulkLeafWork
{
	const int8_t **block; /* rows */
	uint8_t *packed;      /* the rows as groups of columns */
	float *norms;
	float *scales;
	int32_t *products; /* OMENDB_BLOCK_ROWS rows with all */
	BulkLists near;    /* forward; the distances lack the row's own norm */
	BulkLists back;    /* backward */
	BulkLists beyond;  /* forward, beyond the gap */
	BulkLists back_beyond;
	uint32_t next_place; /* in bulk->order */
} BulkLeafWork;

/* Steps 8 and 9. A key is a candidate's distance and row in one number (bulkchoose.c). */
typedef struct BulkChoiceWork
{
	uint32_t *members; /* the node's row, then rows of candidates */
	uint64_t *keys;    /* BULK_GATHERED, or all nodes of a small level */
	uint64_t *sorted;  /* the pool's keys, ascending */
	uint16_t *ranks;
	const int8_t **candidates; /* rows */
	int32_t *products;
	uint64_t *codes; /* signs of candidates, by columns */
	uint16_t *hamming;
	int8_t *scaled; /* a row in another row's scale */
} BulkChoiceWork;

/* A set of nodes. A place is taken if its stamp is the present one. */
typedef struct BulkNodeSet
{
	uint32_t *nodes;  /* BULK_HASH */
	uint16_t *stamps; /* BULK_HASH */
	uint16_t stamp;
} BulkNodeSet;

/* The work space of a process; it belongs to one level at a time. */
typedef struct OmendbBulkWork
{
	OmendbBuildLevel *level;
	OmendbBulk *bulk;
	const OmendbAllocator *allocator;
	void *memory; /* all that pointers below point to */
	size_t bytes;
	BulkVectors vectors;
	BulkLeafWork leaf;
	BulkChoiceWork choice;
	BulkNodeSet set; /* candidates of a node, and the node */
} OmendbBulkWork;

static inline const int8_t *
bulk_row(const OmendbRows *rows, uint32_t i)
{
	return rows->elements + (size_t) i * rows->row_bytes;
}

/* The node of row i. */
static inline uint32_t
bulk_node(const OmendbRows *rows, uint32_t i)
{
	return rows->nodes ? rows->nodes[i] : i;
}

/* The scale of row i: 8^exponent, exact. */
static inline float
bulk_scale(const OmendbRows *rows, uint32_t i)
{
	union
	{
		uint32_t bits;
		float number;
	} power = {(uint32_t) (127 + 3 * rows->exponents[i]) << 23};

	return power.number;
}

/* The factor of products in distances from row i, beside the other row's scale. */
static inline float
bulk_factor(const OmendbRows *rows, uint32_t i)
{
	return rows->ip ? -bulk_scale(rows, i) : -2 * bulk_scale(rows, i);
}

/*
 * The squared distance from row i below which a distance is mostly rounding: that adds a sixth of a
 * step's square for each dimension. Minus infinity where no finer rows would help, and for the
 * inner product.
 */
static inline float
bulk_rounding_limit(const OmendbBulk *bulk, const OmendbRows *rows, uint32_t i)
{
	float scale = bulk_scale(rows, i);

	return rows->ip || rows->depth >= BULK_MOST_DEPTH
			   ? -INFINITY
			   : (float) bulk->shape.dimensions / 4 * scale * scale;
}

/*
 * The squared distance from row i at which its gap ends; nearest: the squared distance of the last
 * of its `forward` nearest rows. A distance below the rounding limit counts as the limit.
 */
static inline float
bulk_gap(const OmendbBulk *bulk, const OmendbRows *rows, uint32_t i, float nearest)
{
	float rounding = bulk_rounding_limit(bulk, rows, i);

	return OMENDB_BULK_GAP * (nearest > rounding ? nearest : rounding);
}

/* A row's group, as the rows compared with that row show it. */
typedef struct BulkGroup
{
	uint64_t hash; /* of the row's node */
	uint32_t rows; /* of the group */
	bool first;    /* no hash in the group is smaller */
	float outside; /* distance of the nearest row outside */
} BulkGroup;

static inline void
bulk_group_begin(BulkGroup *group, uint32_t node)
{
	group->hash = omendb_hash64(node);
	group->rows = 1;
	group->first = true;
	group->outside = INFINITY;
}

/* Count a row at that distance into the group, or as outside. */
static inline void
bulk_group_add(BulkGroup *group, uint32_t node, float distance, float gap)
{
	if (distance > gap)
		group->outside = distance < group->outside ? distance : group->outside;
	else
	{
		group->rows++;
		group->first &= omendb_hash64(node) > group->hash;
	}
}

/*
 * True if the group lies apart. Where distances rise without a gap, as on a line, no group does.
 */
static inline bool
bulk_group_is_apart(const BulkGroup *group, float gap)
{
	return group->outside < INFINITY && group->outside >= OMENDB_BULK_GAP * gap;
}

/* Note that the row's group lies apart, if it is large enough to have a representative. */
static inline void
bulk_group_note(const BulkGroup *group, const OmendbRows *rows, OmendbApart *apart)
{
	if (group->rows < OMENDB_BULK_GROUP)
		return;
	if (rows->depth > 0)
		*(group->first ? &apart->as_local_first : &apart->as_local_other) = 1;
	else
		*(group->first ? &apart->as_first : &apart->as_other) = 1;
}

/* True if the node's record is in memory. */
static inline bool
build_has_record(const OmendbBuildLevel *level, uint32_t i)
{
	return i - level->window.first < level->window.n;
}

/* The record of node i of the level, which is in memory. */
static inline OmendbRecord *
build_record(const OmendbBuildLevel *level, uint32_t i)
{
	return omendb_array_record(level->array, level->first + (i - level->window.first));
}

/* The node's places for candidates: forward + backward for each of its slots. */
static inline uint32_t *
bulk_candidates(const OmendbBuildLevel *level, uint32_t i)
{
	const OmendbBulk *bulk = &level->bulk;

	if (bulk->shape.in_records)
		return omendb_record_neighbours(&level->array->codec->layout, build_record(level, i));
	return bulk->candidates + (size_t) (i - level->window.first) * bulk->shape.slots *
								  (bulk->shape.forward + bulk->shape.backward);
}

/* Round up to whole cache lines. */
static inline size_t
build_align(size_t n)
{
	return (n + 63) & ~(size_t) 63;
}

/*
 * Carve the next array of that size out of memory; without memory only add to *used. Arrays begin
 * at cache lines.
 */
static inline void *
build_carve(uint8_t *memory, size_t *used, size_t bytes)
{
	void *at = memory ? memory + *used : NULL;

	*used += build_align(bytes);
	return at;
}

/* For qsort: floats in ascending order. */
static inline int
build_by_number(const void *a, const void *b)
{
	float x = *(const float *) a;
	float y = *(const float *) b;

	return (x > y) - (x < y);
}

static inline void
bulk_interrupt(const OmendbBuildLevel *level)
{
	if (level->interrupt)
		level->interrupt();
}

/* ---------------------------------------------------------------- bulk.c */

/* Set the shape, and leaders.n, for a level of n nodes with at most `edges` edges each. */
extern void omendb_bulk_set_shape(OmendbBulk *bulk, const OmendbLayout *layout, uint32_t n,
								  uint32_t edges, uint32_t ef_construction);

/*
 * Point the arrays into the level's memory; NULL: only count. Returns the bytes that they take.
 */
extern size_t omendb_bulk_attach(OmendbBulk *bulk, uint32_t n, void *memory);

/* Carve the arrays of rows for n nodes. */
extern void omendb_bulk_carve_rows(OmendbBulk *bulk, size_t n, uint8_t *memory, size_t *used);

/* Carve the arrays of leaders. */
extern void omendb_bulk_carve_leaders(OmendbBulk *bulk, uint8_t *memory, size_t *used);

/* Prepare the work space for a level; its memory is reused. False when out of memory. */
extern bool omendb_bulk_prepare_work(OmendbBulkWork *work, OmendbBuildLevel *level,
									 const OmendbAllocator *allocator);
extern void omendb_bulk_free_work(OmendbBulkWork *work, const OmendbAllocator *allocator);

/* Number of positions of a phase. */
extern uint32_t omendb_bulk_count_positions(const OmendbBuildLevel *level, OmendbBuildPhase phase);

/* Do one of them. False when out of memory. */
extern bool omendb_bulk_do_position(OmendbBulkWork *work, OmendbBuildPhase phase,
									uint32_t position);

/* ---------------------------------------------------------------- bulkrows.c */

/* Step 1. False when out of memory. */
extern bool omendb_bulk_set_unit(OmendbBulkWork *work);

/* Step 2 for node i; empties the node's places for candidates. */
extern void omendb_bulk_quantize(OmendbBulkWork *work, uint32_t i);

/* The squared length of a row, whatever the metric. */
extern float omendb_bulk_norm(const OmendbBulk *bulk, const OmendbRows *rows, uint32_t i);

/* Pack n rows as groups of columns, one group after another. */
extern void omendb_bulk_pack(const OmendbBulk *bulk, const int8_t *const *rows, uint32_t n,
							 uint8_t *packed);

/*
 * Make local rows of n members of the rows: of the differences from members[middle], whose own
 * local row is zero. False when out of memory.
 */
extern bool omendb_bulk_make_local(OmendbBulkWork *work, const OmendbRows *rows,
								   const uint32_t *members, uint32_t n, uint32_t middle,
								   OmendbRows *local);
extern void omendb_bulk_free_local(OmendbBulkWork *work, OmendbRows *local);

/* ---------------------------------------------------------------- bulkclusters.c */

/* Steps 3 and 5. */
extern void omendb_bulk_choose_leaders(OmendbBulkWork *work);
extern void omendb_bulk_sort_clusters(OmendbBuildLevel *level);

/*
 * Step 4: set assigned[] to the `fanout` nearest of n packed leaders for each of `count` rows, at
 * most OMENDB_BLOCK_ROWS, the nearest leader first.
 */
extern void omendb_bulk_assign(OmendbBulkWork *work, const OmendbRows *rows,
							   const uint32_t *members, uint32_t count, const uint8_t *packed,
							   const float *norms, const float *scales, uint32_t n, uint32_t fanout,
							   uint16_t *assigned);

/* Steps 6 and 7 for one cluster. False when out of memory. */
extern bool omendb_bulk_split_cluster(OmendbBulkWork *work, uint32_t cluster);

/* ---------------------------------------------------------------- leaves.c */

/*
 * Step 7 for one leaf of m rows; slots[i]: the slot that takes the candidates of members[i]. False
 * when out of memory.
 */
extern bool omendb_bulk_compare_leaf(OmendbBulkWork *work, const OmendbRows *rows,
									 const uint32_t *members, const uint32_t *slots, uint32_t m);

/* ---------------------------------------------------------------- bulkchoose.c */

/* Steps 8 to 10 for one node. False when out of memory. */
extern bool omendb_bulk_choose_neighbours(OmendbBulkWork *work, uint32_t node);

/* ---------------------------------------------------------------- bulkedges.c */

/* Step 10: write the edges of a node to the candidates whose keys are choice.sorted[chosen[i]]. */
extern void omendb_bulk_write_edges(OmendbBulkWork *work, const OmendbRows *rows, uint32_t node,
									const uint16_t *chosen, uint32_t count);

/*
 * The same without codes: of a level in parts, for neighbours' vectors may not be in memory; and where the
 * caller of the build wants neighbours only.
 */
extern void omendb_bulk_write_neighbours(OmendbBulkWork *work, const OmendbRows *rows,
										 uint32_t node, const uint16_t *chosen, uint32_t count);

/*
 * A level in parts: write the codes of a node's edges to those neighbours whose records are in
 * memory now and were not before.
 */
extern void omendb_bulk_encode_edges(OmendbBulkWork *work, uint32_t node);

/* parts.c: omendb_build_attach for a level in parts. Bytes of memory; NULL: only counts them. */
extern size_t omendb_parts_attach(OmendbBuildLevel *level, void *memory);

#endif /* OMENDB_BULKWORK_H */
