/*
 * bulkclusters.c
 *	  Leaders and clusters of the bulk build, and their split into leaves (steps 3 to 6 of bulk.h).
 */
#include "graph/bulkwork.h"

#include <string.h>

/*
 * A cluster is split by as many leaders as make its pieces three fifths of the maximum size of a
 * leaf on average. The fraction below is the inverse.
 */
#define LEADERS_NUMERATOR   5
#define LEADERS_DENOMINATOR 3

/* ---------------------------------------------------------------- leaders and clusters */

/* The s-th of a sample of `count` out of n numbers, one of each stratum. */
static uint32_t
sample_stratum(uint32_t s, uint32_t count, uint32_t n, uint64_t seed)
{
	uint64_t low = (uint64_t) s * n / count;
	uint64_t high = (uint64_t) (s + 1) * n / count;

	return (uint32_t) (low + omendb_hash64(seed + s * UINT64_C(0x9e3779b97f4a7c15)) % (high - low));
}

void
omendb_bulk_assign(OmendbBulkWork *work, const OmendbRows *rows, const uint32_t *members,
				   uint32_t count, const uint8_t *packed, const float *norms, const float *scales,
				   uint32_t leaders, uint32_t fanout, uint16_t *out)
{
	size_t groups = (leaders + OMENDB_BLOCK_COLUMNS - 1) / OMENDB_BLOCK_COLUMNS;
	size_t stride = groups * OMENDB_BLOCK_COLUMNS;
	const int8_t *block[OMENDB_BLOCK_ROWS];

	for (uint32_t r = 0; r < OMENDB_BLOCK_ROWS; r++)
		block[r] = bulk_row(rows, members[r < count ? r : 0]);
	omendb_kernels.block_products(block, packed, groups, work->bulk->shape.dimensions,
								  work->leaf.products, stride);
	for (uint32_t r = 0; r < count; r++)
	{
		float values[OMENDB_NEAREST_MAX];
		uint32_t which[OMENDB_NEAREST_MAX];

		/* The squared distance, whatever the metric. */
		omendb_kernels.nearest(norms, scales, work->leaf.products + r * stride,
							   -2 * bulk_scale(rows, members[r]), leaders, SIZE_MAX, fanout, values,
							   which);
		for (uint32_t k = 0; k < fanout; k++)
			out[r * fanout + k] = (uint16_t) which[k];
	}
}

/* Step 3, by one process: a sample of the rows in the window. */
void
omendb_bulk_choose_leaders(OmendbBulkWork *work)
{
	OmendbBuildLevel *level = work->level;
	OmendbBulk *bulk = work->bulk;

	for (uint32_t s = 0; s < bulk->leaders.n; s++)
	{
		uint32_t node = level->window.first + sample_stratum(s, bulk->leaders.n, level->window.n,
															 level->options.seed + 12345);

		bulk->leaders.nodes[s] = node;
		bulk->leaders.norms[s] = omendb_bulk_norm(bulk, &bulk->rows, node);
		bulk->leaders.scales[s] = bulk_scale(&bulk->rows, node);
		work->leaf.block[s] = bulk_row(&bulk->rows, node);
	}
	omendb_bulk_pack(bulk, work->leaf.block, bulk->leaders.n, bulk->leaders.packed);
}

/* Sort the largest first, so that processes end the phase at about the same time. */
static void
sort_by_size(OmendbBulk *bulk)
{
	const uint32_t *starts = bulk->clusters.starts;

	for (uint32_t s = 0; s < bulk->leaders.n; s++)
	{
		uint32_t size = starts[s + 1] - starts[s];
		uint32_t at = s;

		for (; at > 0; at--)
		{
			uint32_t before = bulk->clusters.by_size[at - 1];

			if (starts[before + 1] - starts[before] >= size)
				break;
			bulk->clusters.by_size[at] = before;
		}
		bulk->clusters.by_size[at] = s;
	}
}

/* Step 5, by one process: a counting sort of all assignments. */
void
omendb_bulk_sort_clusters(OmendbBuildLevel *level)
{
	OmendbBulk *bulk = &level->bulk;
	uint32_t f = bulk->shape.fanout[0];
	uint32_t *starts = bulk->clusters.starts;

	memset(starts, 0, (bulk->leaders.n + 1) * sizeof(uint32_t));
	memset(bulk->clusters.order_starts, 0, (bulk->leaders.n + 1) * sizeof(uint32_t));
	for (uint32_t i = 0; i < level->n; i++)
	{
		const uint16_t *assigned = bulk->clusters.assigned + (size_t) i * f;

		if (i % 65536 == 0)
			bulk_interrupt(level);
		bulk->clusters.order_starts[assigned[0] + 1]++;
		for (uint32_t k = 0; k < f; k++)
			starts[assigned[k] + 1]++;
	}
	for (uint32_t s = 0; s < bulk->leaders.n; s++)
	{
		starts[s + 1] += starts[s];
		bulk->clusters.order_starts[s + 1] += bulk->clusters.order_starts[s];
	}
	for (uint32_t i = 0; i < level->n; i++)
	{
		if (i % 65536 == 0)
			bulk_interrupt(level);
		for (uint32_t k = 0; k < f; k++)
		{
			uint32_t to = starts[bulk->clusters.assigned[(size_t) i * f + k]]++;

			bulk->clusters.members[to] = i;
			bulk->clusters.slots[to] = (uint8_t) (k * bulk->shape.fanout[1]);
		}
	}
	/* The sort moved each start to the start of the next cluster. */
	memmove(starts + 1, starts, bulk->leaders.n * sizeof(uint32_t));
	starts[0] = 0;
	sort_by_size(bulk);
}

/* ---------------------------------------------------------------- a cluster into leaves */

/* Cut rows that distances do not distinguish into leaves, in any order. */
static bool
cut_into_leaves(OmendbBulkWork *work, const OmendbRows *rows, const uint32_t *members,
				const uint32_t *slots, uint32_t m)
{
	uint32_t most = work->bulk->shape.leaf;
	bool good = true;

	for (uint32_t i = 0; i < m && good; i += most)
		good = omendb_bulk_compare_leaf(work, rows, members + i, slots + i,
										m - i < most ? m - i : most);
	return good;
}

/* A cluster, split. A piece is a leaf or is split again. */
typedef struct Pieces
{
	uint16_t *assigned; /* m * fanout: leaders of the split */
	uint32_t *starts;   /* leaders + 2: of pieces in members and slots */
	uint32_t *members;  /* m * fanout */
	uint32_t *slots;    /* m * fanout */
} Pieces;

static void *
allocate_pieces(const OmendbAllocator *allocator, Pieces *pieces, uint32_t count, size_t entries)
{
	size_t bytes =
		(count + 2) * sizeof(uint32_t) + entries * (2 * sizeof(uint32_t) + sizeof(uint16_t));
	uint8_t *memory = allocator->resize(allocator->context, NULL, bytes);

	if (!memory)
		return NULL;
	pieces->starts = (uint32_t *) memory;
	pieces->members = pieces->starts + count + 2;
	pieces->slots = pieces->members + entries;
	pieces->assigned = (uint16_t *) (pieces->slots + entries);
	return memory;
}

/* Assign m rows of a cluster to leaders sampled from them. */
static void
assign_to_pieces(OmendbBulkWork *work, const OmendbRows *rows, const uint32_t *members, uint32_t m,
				 uint32_t leaders, uint32_t fanout, uint64_t seed, uint16_t *assigned)
{
	const OmendbBulk *bulk = work->bulk;

	for (uint32_t s = 0; s < leaders; s++)
	{
		uint32_t i = members[sample_stratum(s, leaders, m, seed)];

		work->leaf.block[s] = bulk_row(rows, i);
		work->leaf.norms[s] = omendb_bulk_norm(bulk, rows, i);
		work->leaf.scales[s] = bulk_scale(rows, i);
	}
	omendb_bulk_pack(bulk, work->leaf.block, leaders, work->leaf.packed);
	for (uint32_t i = 0; i < m; i += OMENDB_BLOCK_ROWS)
	{
		if (i % 1024 == 0)
			bulk_interrupt(work->level);
		omendb_bulk_assign(work, rows, members + i,
						   m - i < OMENDB_BLOCK_ROWS ? m - i : OMENDB_BLOCK_ROWS, work->leaf.packed,
						   work->leaf.norms, work->leaf.scales, leaders, fanout,
						   assigned + (size_t) i * fanout);
	}
}

/*
 * Sort the rows into pieces, by their leaders. Returns false if a piece has almost all rows, that is
 * if distances do not split the cluster.
 */
static bool
sort_into_pieces(const Pieces *pieces, const uint32_t *members, const uint32_t *slots, uint32_t m,
				 uint32_t leaders, uint32_t fanout)
{
	uint32_t *starts = pieces->starts;
	bool smaller = true;

	memset(starts, 0, (leaders + 2) * sizeof(uint32_t));
	for (size_t i = 0; i < (size_t) m * fanout; i++)
		starts[pieces->assigned[i] + 2]++;
	for (uint32_t s = 1; s <= leaders; s++)
	{
		smaller &= starts[s + 1] < m - m / 8;
		starts[s + 1] += starts[s];
	}
	for (uint32_t i = 0; i < m; i++)
		for (uint32_t k = 0; k < fanout; k++)
		{
			uint32_t to = starts[pieces->assigned[(size_t) i * fanout + k] + 1]++;

			pieces->members[to] = members[i];
			pieces->slots[to] = slots[i] + k;
		}
	return smaller;
}

static bool split(OmendbBulkWork *work, const OmendbRows *rows, const uint32_t *members,
				  const uint32_t *slots, uint32_t m, uint32_t fanout, bool finest, uint64_t seed);

/* Split a cluster by local rows of it. */
static bool
split_local(OmendbBulkWork *work, const OmendbRows *rows, const uint32_t *members,
			const uint32_t *slots, uint32_t m, uint32_t fanout, uint64_t seed)
{
	const OmendbAllocator *allocator = work->allocator;
	uint32_t *all = allocator->resize(allocator->context, NULL, m * sizeof(uint32_t));
	OmendbRows local;
	bool good = false;

	for (uint32_t i = 0; i < m && all; i++)
		all[i] = i;
	if (all && omendb_bulk_make_local(work, rows, members, m, m / 2, &local))
	{
		good = split(work, &local, all, slots, m, fanout, true, seed);
		omendb_bulk_free_local(work, &local);
	}
	if (all)
		allocator->release(allocator->context, all);
	return good;
}

/*
 * Split m rows of a cluster into leaves, and compare the rows of each leaf. slots[i]: the first slot
 * for candidates of members[i], of `fanout`. finest: the rows are local ones of the same members, so
 * that no others would be finer.
 */
static bool
split(OmendbBulkWork *work, const OmendbRows *rows, const uint32_t *members, const uint32_t *slots,
	  uint32_t m, uint32_t fanout, bool finest, uint64_t seed)
{
	const OmendbBulk *bulk = work->bulk;
	Pieces pieces;
	uint32_t leaders;
	void *memory;
	bool smaller;
	bool good = true;

	if (m <= bulk->shape.leaf)
		return m == 0 || omendb_bulk_compare_leaf(work, rows, members, slots, m);
	leaders = (uint32_t) ((uint64_t) m * fanout * LEADERS_NUMERATOR /
						  ((uint64_t) bulk->shape.leaf * LEADERS_DENOMINATOR)) +
			  1;
	leaders = leaders < fanout + 1 ? fanout + 1 : leaders;
	leaders = leaders > OMENDB_BULK_LEADERS ? OMENDB_BULK_LEADERS : leaders;
	memory = allocate_pieces(work->allocator, &pieces, leaders, (size_t) m * fanout);
	if (!memory)
		return false;
	assign_to_pieces(work, rows, members, m, leaders, fanout, seed, pieces.assigned);
	smaller = sort_into_pieces(&pieces, members, slots, m, leaders, fanout);
	if (!smaller && !finest && !work->level->parts.on && !rows->ip && rows->depth < BULK_MOST_DEPTH)
	{
		work->allocator->release(work->allocator->context, memory);
		return split_local(work, rows, members, slots, m, fanout, seed);
	}
	for (uint32_t s = 0; s < leaders && good; s++)
	{
		uint32_t from = pieces.starts[s];
		uint32_t size = pieces.starts[s + 1] - from;

		if (smaller)
			good = split(work, rows, pieces.members + from, pieces.slots + from, size, 1, false,
						 omendb_hash64(seed + s + 1));
		else
			good = cut_into_leaves(work, rows, pieces.members + from, pieces.slots + from, size);
	}
	work->allocator->release(work->allocator->context, memory);
	return good;
}

bool
omendb_bulk_split_cluster(OmendbBulkWork *work, uint32_t cluster)
{
	const OmendbAllocator *allocator = work->allocator;
	const OmendbBulk *bulk = work->bulk;
	uint32_t from = bulk->clusters.starts[cluster];
	uint32_t m = bulk->clusters.starts[cluster + 1] - from;
	size_t capacity = bulk->shape.fanout[1] * (bulk->shape.forward + bulk->shape.backward);
	uint32_t *slots = allocator->resize(allocator->context, NULL, (m + 1) * sizeof(uint32_t));
	bool good;

	if (!slots)
		return false;
	/* Slots are the node's or, in parts, the member's. */
	for (uint32_t i = 0; i < m; i++)
		slots[i] = work->level->parts.on ? (from + i) * bulk->shape.fanout[1]
										 : bulk->clusters.slots[from + i];
	if (work->level->parts.on)
		memset(bulk->batch.found + from * capacity, 0xff, m * capacity * sizeof(uint32_t));
	else
		work->leaf.next_place = bulk->clusters.order_starts[cluster];
	good =
		split(work, &bulk->rows, bulk->clusters.members + from, slots, m, bulk->shape.fanout[1],
			  false, omendb_hash64(work->level->options.seed + 777 + bulk->batch.first + cluster));
	allocator->release(allocator->context, slots);
	return good;
}
