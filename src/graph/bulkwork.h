/*
 * bulkwork.h
 *	  What the files of the bulk build share: a process's work space, and the
 *	  functions that one calls in another.
 */
#ifndef OMENDB_BULKWORK_H
#define OMENDB_BULKWORK_H

#include <math.h>

#include "code/rotation.h"
#include "graph/build.h"
#include "kernel/kernel.h"

/* Most rows of a leaf. */
#define BULK_MOST_LEAF 256

/* Rows beyond a gap that a row takes of a leaf, and of those that take it. */
#define BULK_BEYOND 2

/* No vector of 16 bits an element is told from others by a finer unit than that. */
#define BULK_MOST_DEPTH 8

/* The gathered candidates of a node, before the nearest are chosen from. */
#define BULK_GATHERED 1024
#define BULK_HASH     2048

/* Words of a bit mask over a pool; a row of Hamming distances, with room to read beyond. */
#define BULK_MASK_WORDS     (OMENDB_BULK_POOL / 64)
#define BULK_HAMMING_STRIDE (OMENDB_BULK_POOL + 64)

/* The work space of a process; it belongs to one level at a time. */
typedef struct OmendbBulkWork
{
	OmendbBuildLevel *level;
	OmendbBulk *bulk;
	const OmendbAllocator *allocator;
	void *memory; /* all that the pointers below point to */
	size_t bytes;

	/* vectors in float */
	float *stored;
	float *own_code;
	float *other_code;
	float *scratch;

	/* of a leaf, or of a cluster's leaders */
	const int8_t **block; /* rows */
	uint8_t *packed;
	float *norms;
	float *scales;
	int32_t *tile;      /* OMENDB_BLOCK_ROWS rows of products */
	float *near_values; /* a leaf's nearest: leaf * forward */
	uint32_t *near;
	uint8_t *near_count;
	float *back_values; /* leaf * backward */
	uint32_t *back;
	uint8_t *back_count;
	float *beyond_values; /* leaf * BULK_BEYOND */
	uint32_t *beyond;
	uint8_t *beyond_count;
	float *back_beyond_values; /* leaf * BULK_BEYOND */
	uint32_t *back_beyond;
	uint8_t *back_beyond_count;
	uint32_t next_place; /* in bulk->order */

	/* of a choice of neighbours */
	uint32_t *members; /* candidates, as rows */
	uint64_t *keys;    /* BULK_GATHERED, or all nodes of a small level */
	uint64_t *sorted;
	uint16_t *ranks;
	uint32_t *hash; /* nodes gathered; a place counts if its stamp is the present one */
	uint16_t *stamps;
	uint16_t stamp;
	const int8_t **candidates;
	int32_t *products;
	uint64_t *codes; /* signs of candidates, by columns */
	uint16_t *hamming;
	int8_t *scaled; /* a row in another row's scale */
	float *center;  /* what local rows are differences from */
} OmendbBulkWork;

static inline const int8_t *
bulk_row(const OmendbRows *rows, uint32_t i)
{
	return rows->elements + (size_t) i * rows->row_bytes;
}

static inline uint32_t
bulk_node(const OmendbRows *rows, uint32_t i)
{
	return rows->nodes ? rows->nodes[i] : i;
}

/* 8^exponent, exact. */
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

/* The factor of products in distances from row i. */
static inline float
bulk_factor(const OmendbRows *rows, uint32_t i)
{
	return rows->ip ? -bulk_scale(rows, i) : -2 * bulk_scale(rows, i);
}

/*
 * Distances from row i below this are mostly rounding, which adds a sixth of a step's
 * square for each dimension. For the inner product nothing is told so.
 */
static inline float
bulk_blunt(const OmendbBulk *bulk, const OmendbRows *rows, uint32_t i)
{
	float scale = bulk_scale(rows, i);

	return rows->ip || rows->depth >= BULK_MOST_DEPTH
			   ? -INFINITY
			   : (float) bulk->dimensions / 4 * scale * scale;
}

/*
 * The squared distance from row i beyond which rows lie beyond the gap; nearest: the squared
 * distance of the last of its `forward` nearest rows. A distance below the rounding error
 * counts as large as the rounding error.
 */
static inline float
bulk_gap(const OmendbBulk *bulk, const OmendbRows *rows, uint32_t i, float nearest)
{
	float blunt = bulk_blunt(bulk, rows, i);

	return OMENDB_BULK_GAP * (nearest > blunt ? nearest : blunt);
}

/* What the rows around one say of its group. */
typedef struct BulkGroup
{
	uint64_t hash; /* the row's own */
	uint32_t rows; /* on this side of the gap */
	bool first;    /* no hash of theirs is smaller */
	float outside; /* the nearest beyond */
} BulkGroup;

static inline void
bulk_group_begin(BulkGroup *group, uint32_t node)
{
	group->hash = omendb_hash64(node);
	group->rows = 1;
	group->first = true;
	group->outside = INFINITY;
}

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

/* Does the group lie apart? Where distances go on without a gap, as on a line, none does. */
static inline bool
bulk_group_is_apart(const BulkGroup *group, float gap)
{
	return group->outside < INFINITY && group->outside >= OMENDB_BULK_GAP * gap;
}

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

/* Is the node's record in memory? */
static inline bool
build_has_record(const OmendbBuildLevel *level, uint32_t i)
{
	return i - level->window < level->in_window;
}

static inline OmendbRecord *
build_record(const OmendbBuildLevel *level, uint32_t i)
{
	return omendb_array_record(level->array, level->first + (i - level->window));
}

/* Where the candidates of a node are kept. */
static inline uint32_t *
bulk_candidates(const OmendbBuildLevel *level, uint32_t i)
{
	const OmendbBulk *bulk = &level->bulk;

	if (bulk->in_records)
		return omendb_record_neighbours(&level->array->codec->layout, build_record(level, i));
	return bulk->candidates +
		   (size_t) (i - level->window) * bulk->slots * (bulk->forward + bulk->backward);
}

/* Whole cache lines. */
static inline size_t
build_align(size_t n)
{
	return (n + 63) & ~(size_t) 63;
}

/* The next part of a piece of memory; without memory the part is only measured. */
static inline void *
build_part(uint8_t *memory, size_t *used, size_t bytes)
{
	void *at = memory ? memory + *used : NULL;

	*used += build_align(bytes);
	return at;
}

/* For qsort: floats, ascending. */
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

/* bulk.c */

/* The parameters for a level of n nodes with so many edges. */
extern void omendb_bulk_set(OmendbBulk *bulk, const OmendbLayout *layout, uint32_t n,
							uint32_t edges, uint32_t ef_construction);

/* Point the arrays into the level's memory (NULL: nowhere); returns the bytes they take. */
extern size_t omendb_bulk_attach(OmendbBulk *bulk, uint32_t n, void *memory);

/*
 * Work space for a level; what there was for another one is used again. False when out
 * of memory.
 */
extern bool omendb_bulk_work(OmendbBulkWork *work, OmendbBuildLevel *level,
							 const OmendbAllocator *allocator);
extern void omendb_bulk_work_free(OmendbBulkWork *work, const OmendbAllocator *allocator);

/*
 * By one process: the unit of rows, before they are made (false when out of memory);
 * the leaders, after it; the clusters, after rows were assigned.
 */
extern bool omendb_bulk_start(OmendbBulkWork *work);
extern void omendb_bulk_lead(OmendbBulkWork *work);
extern void omendb_bulk_cluster(OmendbBuildLevel *level);

/* Positions of a phase, and one of them. False when out of memory. */
extern uint32_t omendb_bulk_positions(const OmendbBuildLevel *level, OmendbBuildPhase phase);
extern bool omendb_bulk_position(OmendbBulkWork *work, OmendbBuildPhase phase, uint32_t position);

/* bulkrows.c */

extern void omendb_bulk_quantize(OmendbBulkWork *work, uint32_t i);

/* A vector as its row keeps it. */
extern void omendb_bulk_decode(const OmendbBulk *bulk, const OmendbRows *rows, uint32_t i,
							   float *out);

/* The squared length of a row; norms[] has zeros for the inner product. */
extern float omendb_bulk_norm(const OmendbBulk *bulk, const OmendbRows *rows, uint32_t i);

/*
 * Local rows of n members of the rows: of the differences from members[middle], whose
 * own row is zero. False when out of memory.
 */
extern bool omendb_bulk_local(OmendbBulkWork *work, const OmendbRows *rows, const uint32_t *members,
							  uint32_t n, uint32_t middle, OmendbRows *local);
extern void omendb_bulk_local_free(OmendbBulkWork *work, OmendbRows *local);

/* n rows as groups of columns, one behind the other. */
extern void omendb_bulk_pack(const OmendbBulk *bulk, const int8_t *const *rows, uint32_t n,
							 uint8_t *packed);

/* Node number s of a sample of `count` out of n, one of each stratum. */
extern uint32_t omendb_bulk_sample(uint32_t s, uint32_t count, uint32_t n, uint64_t seed);

/*
 * The `fanout` nearest of packed leaders for each of up to OMENDB_BLOCK_ROWS rows;
 * out: fanout for each.
 */
extern void omendb_bulk_assign(OmendbBulkWork *work, const OmendbRows *rows,
							   const uint32_t *members, uint32_t count, const uint8_t *packed,
							   const float *norms, const float *scales, uint32_t leaders,
							   uint32_t fanout, uint16_t *out);

/* leaves.c: a leaf of the partition. */
extern bool omendb_bulk_leaf(OmendbBulkWork *work, const OmendbRows *rows, const uint32_t *members,
							 const uint32_t *slots, uint32_t m);

/* bulkclusters.c: a cluster into leaves, the leaves' candidates. False when out of memory. */
extern bool omendb_bulk_split(OmendbBulkWork *work, uint32_t cluster);

/* bulkchoose.c: a node's neighbours. False when out of memory. */
extern bool omendb_bulk_choose(OmendbBulkWork *work, uint32_t node);

/* bulkedges.c */
extern void omendb_bulk_write_edges(OmendbBulkWork *work, const OmendbRows *rows, uint32_t self,
									const uint16_t *chosen, uint32_t count);
extern void omendb_bulk_note_edges(OmendbBulkWork *work, const OmendbRows *rows, uint32_t self,
								   const uint16_t *chosen, uint32_t count);

/* In parts: the codes of those of its neighbours whose records are in memory. */
extern void omendb_bulk_encode(OmendbBulkWork *work, uint32_t node);

#endif /* OMENDB_BULKWORK_H */
