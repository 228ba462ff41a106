/*
 * bulk.h
 *	  The graph of one level made from a partition of its vectors.
 *
 * For coded layouts (L2, cosine, inner product); the graph of plain ones is made in
 * rounds of searches (build.h). The idea of the partition is that of PiPNN: vectors
 * that are near each other fall into one small group, where all are compared with
 * all, by integer products that need no search and no memory access per pair. Every
 * vector is in several groups, so that the groups' borders are of no account.
 *
 * Phases, in this order; each is done in positions by any process in any order, with
 * the same result:
 *
 *	quantize	a vector becomes a row of int8 with a power of 8 as its scale
 *	assign		a row is assigned to its fanout[0] nearest leaders (sampled rows); the
 *				rows of a leader are its cluster
 *	leaves		a cluster is split, in the same way, into leaves of at most `leaf` rows.
 *				In a leaf each row keeps the nearest others as candidates, and those
 *				others to which it is among the nearest
 *	choose		out of the candidates from all its leaves, and of some leaders, each node
 *				chooses its neighbours (occlusion rule, then the widest angles); edges
 *				and codes are written into its record
 *
 * A level of few nodes has no leaves: all its nodes are candidates of each other.
 *
 * Groups of rows that are nearly equal, far from all others, get more. Their rows have
 * no candidates but each other in any leaf, and a beam that has come into one group
 * is full of its rows. So a row also takes candidates beyond a gap of
 * distances (leaves.c), and of a group that lies apart just one row, its
 * representative, is on the next level, where it meets those of other groups.
 *
 * All distances between rows are sums of integers, scaled and added in float in one
 * order: the graph is the same at every instruction set.
 */
#ifndef OMENDB_BULK_H
#define OMENDB_BULK_H

#include "graph/array.h"

/* A level of so many nodes or fewer is compared all with all. */
#define OMENDB_BULK_FEW 2048

/* Most leaders of the root, and most that a cluster is split by at a time. */
#define OMENDB_BULK_LEADERS 1000

/*
 * A factor of squared distances. The gap of a row ends at this factor times the distance of the
 * last of its nearest rows. The row's group, the rows up to there, lies apart if the nearest row
 * outside the group is farther by the factor once more.
 */
#define OMENDB_BULK_GAP 16.0f

/* A group with fewer rows needs no representative: its rows meet other groups' in the leaves. */
#define OMENDB_BULK_GROUP 8

/* Most candidates that a choice of neighbours looks at. */
#define OMENDB_BULK_POOL 512

/*
 * Rows: vectors as int8 with a power of 8 each. Those of a level are made of the vectors
 * themselves. Where these lie so close together that their rows are equal or nearly so,
 * rows are made again for a few of them, of the differences from one of them ("local"
 * rows), with a finer unit.
 */
typedef struct OmendbRows
{
	uint32_t row_bytes;    /* OMENDB_ROW_LENGTH(dimensions) */
	bool ip;               /* distances are negative inner products */
	int8_t *elements;      /* n * row_bytes */
	int8_t *exponents;     /* n: the vector is unit * 8^exponent * row */
	float *norms;          /* n: |8^exponent * row|^2; inner product: 0 */
	const uint32_t *nodes; /* n: the nodes they are of; NULL: row i is of node i */
	float unit;            /* of the level's: stored vector = unit * 8^exponent * row */
	unsigned depth;        /* how often the unit was made finer */
} OmendbRows;

/*
 * A row is in several leaves, and may see a part of its group in each. Bytes, because
 * several processes may set them at once, each to the same.
 */
typedef struct OmendbApart
{
	uint8_t as_first; /* its hash is the smallest of the group */
	uint8_t as_other;
	uint8_t as_local_first; /* the same of a smaller group, within: seen in local rows */
	uint8_t as_local_other;
	uint8_t untold; /* in parts: rounding hides which rows are its nearest */
} OmendbApart;

typedef struct OmendbBulk
{
	/* parameters, from ef_construction (omendb_bulk_set) */
	uint32_t leaf;      /* most rows of a leaf */
	uint32_t fanout[2]; /* clusters of a row; parts of a cluster that a row goes to */
	uint32_t forward;   /* nearest rows that a row keeps of a leaf */
	uint32_t backward;  /* most of those that it is among the nearest to */
	uint32_t pool;      /* candidates that a choice looks at */
	uint32_t far;       /* leaders from anywhere that are candidates of each node */

	uint32_t slots;   /* leaves of a row: fanout[0] * fanout[1] */
	uint32_t leaders; /* of the root; 0 where all are compared with all */
	uint32_t dimensions;
	bool in_records; /* candidates lie where the record's edges will be */

	/* All below in the level's memory; indices are of nodes within the level. */
	OmendbRows rows;        /* n */
	OmendbApart *apart;     /* n: has the row been seen in a group that lies apart? */
	uint32_t *candidates;   /* n * slots * (forward + backward), unless in_records */
	uint32_t *order;        /* n: nodes, near ones together */
	uint16_t *assigned;     /* n * fanout[0]: leaders */
	uint32_t *members;      /* n * fanout[0]: the clusters, one behind the other */
	uint8_t *member_slots;  /* n * fanout[0]: the first slot the member has there */
	uint32_t *starts;       /* leaders + 1: of the clusters in members */
	uint32_t *order_starts; /* leaders + 1: of the clusters in order */
	uint32_t *by_size;      /* leaders: clusters, the largest first */
	uint32_t *leader_nodes; /* leaders */
	float *leader_norms;    /* leaders, and 16 more */
	float *leader_scales;   /* leaders, and 16 more */
	uint8_t *packed;        /* leaders as groups of columns */

	/* A level in parts: clusters are split into leaves a group of them at a time. */
	uint32_t group_capacity; /* members that a group may have */
	uint32_t group_n;        /* clusters of the group; their members are from starts[i] on */
	uint32_t group_first;    /* which cluster is the first of them */
	uint32_t members_n;      /* members of the group */
	uint32_t next;           /* the cluster that the next group begins with, .. */
	uint32_t next_from;      /* .. at that one of its members */
	uint32_t *sizes;         /* leaders: members of each cluster */
	uint32_t *found;         /* group_capacity * fanout[1] * (forward + backward): candidates */

	/* And records of nodes outside of the window, behind those in it. */
	uint32_t outside_capacity;
	uint32_t outside_n;
	bool outside_first; /* the first ones that there are for the window */
	uint32_t *outside;  /* their nodes, ascending */
} OmendbBulk;

#define OMENDB_BULK_NONE UINT32_MAX

/* Which nodes are on the next level? */
typedef enum OmendbRise
{
	OMENDB_RISE_BY_LOT, /* as any other */
	OMENDB_RISE_ALWAYS, /* the representative of a group */
	OMENDB_RISE_NEVER,  /* the rest of it */
} OmendbRise;

static inline OmendbRise
omendb_bulk_rise(const OmendbBulk *bulk, uint32_t node)
{
	const OmendbApart *apart = &bulk->apart[node];

	/* Of groups within groups the smallest count. */
	if (apart->as_local_first || apart->as_local_other)
		return apart->as_local_other ? OMENDB_RISE_NEVER : OMENDB_RISE_ALWAYS;
	if (apart->as_first || apart->as_other)
		return apart->as_other ? OMENDB_RISE_NEVER : OMENDB_RISE_ALWAYS;
	return OMENDB_RISE_BY_LOT;
}

#endif /* OMENDB_BULK_H */
