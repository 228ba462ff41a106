/*
 * bulk.h
 *	  The bulk build: the graph of one level made from a partition of its vectors.
 *
 * For coded layouts (L2, cosine, inner product). The graph of plain layouts is made in rounds of
 * searches (build.h). The idea is PiPNN's: vectors near each other are brought together in one
 * small set, a leaf, in which all are compared with all, by integer products, without a search
 * and without a memory access for each pair. Every vector is in several leaves, so that near
 * vectors on both sides of a leaf's border meet in another leaf.
 *
 * Steps, each with the phase it belongs to (build.h) and its functions. "By one process" steps run
 * between two phases; the others are done in positions, by any process in any order, with the same
 * result.
 *
 *	1. Unit (by one process: omendb_bulk_set_unit). A sample of vectors gives the unit of rows.
 *	2. Rows (QUANTIZE: omendb_bulk_quantize). A vector becomes a row: int8 elements, with a power
 *	   of 8 as its scale.
 *	3. Leaders (by one process: omendb_bulk_choose_leaders). A sample of the rows.
 *	4. Assignment (ASSIGN: omendb_bulk_assign). A row is assigned to its fanout[0] nearest leaders.
 *	5. Clusters (by one process: omendb_bulk_sort_clusters). A leader's rows are its cluster.
 *	6. Leaves (LEAVES: omendb_bulk_split_cluster). A cluster is split in the same way, by leaders
 *	   of its own, until its pieces are leaves of at most `leaf` rows. In the first split a row goes
 *	   to fanout[1] pieces, in further ones to one.
 *	7. Candidates (LEAVES: omendb_bulk_compare_leaf). In a leaf a row keeps its nearest rows as
 *	   candidates ("forward"), and rows to which it is among the nearest ("backward").
 *	8. Pool (CHOOSE: omendb_bulk_choose_neighbours). The candidates from all leaves of a node, and
 *	   some leaders, are sorted by distance; the nearest are its pool.
 *	9. Neighbours (CHOOSE: the same). From the pool the node's neighbours are chosen: the occlusion
 *	   rule, then the widest angles.
 *	10. Edges (CHOOSE: omendb_bulk_write_edges). Edges and their codes are written into the record.
 *	11. Connection (by one process, after the last phase: omendb_build_connect).
 *
 * A level of OMENDB_BULK_FEW nodes or fewer goes through steps 1, 2, and 8 to 11: all its nodes
 * are candidates of each other.
 *
 * Where rounding to int8 hides which rows are nearest (bulk_rounding_limit), steps 6 to 9 make
 * finer rows, "local" ones (omendb_bulk_make_local).
 *
 * Groups of nearly equal rows that lie far from all others need more. Without it, their rows would
 * have no candidates but each other in any leaf, and a beam that has come into one group is full
 * of its rows. So in step 7 a row also takes candidates beyond a gap of distances, and only one
 * row of a group that lies apart, its representative, is on the next level, where it meets those
 * of other groups.
 *
 * All distances between rows are sums of integers, scaled and added in float in one order: the
 * graph is the same at every instruction set.
 *
 *	bulk.c			parameters, memory, phases
 *	bulkrows.c		steps 1 and 2, local rows
 *	bulkclusters.c	steps 3 to 6
 *	leaves.c		step 7
 *	bulkchoose.c	steps 8 and 9
 *	bulkedges.c		step 10
 *	parts.h			the same steps for a level whose records do not all fit into memory
 */
#ifndef OMENDB_BULK_H
#define OMENDB_BULK_H

#include "graph/array.h"

/* Maximum number of nodes of a level that is compared all with all. */
#define OMENDB_BULK_FEW 2048

/* Maximum number of leaders, of a level and of one split of a cluster. */
#define OMENDB_BULK_LEADERS 1000

/*
 * A factor of squared distances. The gap of a row ends at this factor times the distance of the
 * last of its `forward` nearest rows. The row's group, the rows up to there, lies apart if the
 * nearest row outside the group is farther by the factor once more.
 */
#define OMENDB_BULK_GAP 16.0f

/*
 * Minimum number of rows of a group with a representative. Rows of a smaller group meet rows of
 * others in the leaves.
 */
#define OMENDB_BULK_GROUP 8

/* Maximum size of a pool. */
#define OMENDB_BULK_POOL 512

/*
 * Rows: vectors as int8 with a power of 8 each. The level's rows are made from the vectors. Local
 * rows are made from the differences of a few vectors from one of them, with a finer unit, where
 * the vectors lie so close together that their rows are equal or nearly so.
 */
typedef struct OmendbRows
{
	uint32_t row_bytes;    /* OMENDB_ROW_LENGTH(dimensions) */
	bool ip;               /* distances are negative inner products */
	int8_t *elements;      /* n * row_bytes */
	int8_t *exponents;     /* n: the vector is unit * 8^exponent * row */
	float *norms;          /* n: |8^exponent * row|^2; inner product: 0 */
	const uint32_t *nodes; /* n: the row's node; NULL: row i is of node i */
	float unit;            /* the level's rows only */
	unsigned depth;        /* 0: the level's rows; 1: local ones; 2: local ones of those; ... */
} OmendbRows;

/*
 * What the leaves showed of a node. Bytes, because several processes may set one at the same time,
 * to the same value: a row is in several leaves, each with a part of its group.
 */
typedef struct OmendbApart
{
	/* The node is in a group that lies apart: with its smallest hash, or another one. */
	uint8_t as_first;
	uint8_t as_other;
	/* The same of a smaller group within it, found by local rows. */
	uint8_t as_local_first;
	uint8_t as_local_other;
	uint8_t indistinct; /* rounding hides which rows are its nearest */
} OmendbApart;

/* Numbers that are set before the build, from ef_construction (omendb_bulk_set_shape). */
typedef struct OmendbBulkShape
{
	uint32_t dimensions;
	uint32_t leaf;      /* maximum number of rows of a leaf */
	uint32_t fanout[2]; /* clusters of a row; pieces of a cluster that a row goes to */
	uint32_t forward;   /* nearest rows that a row keeps of a leaf */
	uint32_t backward;  /* maximum number of rows kept for being among their nearest */
	uint32_t pool;      /* size of a pool */
	uint32_t far;       /* leaders drawn from all that are candidates of a node */
	uint32_t slots;     /* leaves of a row: fanout[0] * fanout[1] */
	bool in_records;    /* candidates are kept where the record's edges will be */
} OmendbBulkShape;

typedef struct OmendbLeaders
{
	uint32_t n; /* 0: the level is compared all with all */
	bool chosen;
	uint32_t *nodes; /* n */
	float *norms;    /* n + 16: squared lengths of their rows, whatever the metric */
	float *scales;   /* n + 16: bulk_scale of their rows */
	uint8_t *packed; /* their rows as groups of columns */
} OmendbLeaders;

/* The clusters, one after another. */
typedef struct OmendbClusters
{
	uint16_t *assigned;     /* n * fanout[0]: leaders, the nearest first */
	uint32_t *members;      /* n * fanout[0]: nodes */
	uint8_t *slots;         /* n * fanout[0]: the member's first slot for candidates */
	uint32_t *starts;       /* leaders + 1: of clusters in members */
	uint32_t *order_starts; /* leaders + 1: of clusters in OmendbBulk.order */
	uint32_t *by_size;      /* leaders: clusters, the largest first */
} OmendbClusters;

/* A level in parts: the clusters that are split now (parts.h). Replaces all members at once. */
typedef struct OmendbClusterBatch
{
	uint32_t capacity;  /* of clusters.members */
	uint32_t n;         /* clusters of the batch; starts[i]: where the i-th one's members are */
	uint32_t first;     /* number of its first cluster */
	uint32_t members;   /* of all its clusters */
	uint32_t next;      /* the next batch begins with this cluster, .. */
	uint32_t next_from; /* .. with this one of its members */
	uint32_t *sizes;    /* leaders: members of each cluster of the level */
	uint32_t *found;    /* capacity * fanout[1] * (forward + backward): candidates */
} OmendbClusterBatch;

/* A level in parts: records of nodes outside of the window, after those in the window. */
typedef struct OmendbOutside
{
	uint32_t capacity;
	uint32_t n;
	bool first;      /* the first of several sets of records for this window */
	uint32_t *nodes; /* ascending */
} OmendbOutside;

/* Arrays are in the level's memory. Indices are of nodes within the level. */
typedef struct OmendbBulk
{
	OmendbBulkShape shape;
	OmendbRows rows;      /* n */
	OmendbApart *apart;   /* n */
	uint32_t *candidates; /* n * slots * (forward + backward), unless in_records */
	uint32_t *order;      /* n: nodes, near ones together */
	OmendbLeaders leaders;
	OmendbClusters clusters;
	OmendbClusterBatch batch;
	OmendbOutside outside;
} OmendbBulk;

/* An empty place for a candidate. */
#define OMENDB_BULK_NONE UINT32_MAX

/* Whether a node is on the next level. */
typedef enum OmendbRise
{
	OMENDB_RISE_BY_LOT, /* drawn at random */
	OMENDB_RISE_ALWAYS, /* the representative of a group that lies apart */
	OMENDB_RISE_NEVER,  /* another node of such a group */
} OmendbRise;

static inline OmendbRise
omendb_bulk_rise(const OmendbBulk *bulk, uint32_t node)
{
	const OmendbApart *apart = &bulk->apart[node];

	/* A smaller group within a group decides. */
	if (apart->as_local_first || apart->as_local_other)
		return apart->as_local_other ? OMENDB_RISE_NEVER : OMENDB_RISE_ALWAYS;
	if (apart->as_first || apart->as_other)
		return apart->as_other ? OMENDB_RISE_NEVER : OMENDB_RISE_ALWAYS;
	return OMENDB_RISE_BY_LOT;
}

#endif /* OMENDB_BULK_H */
