/*
 * leaves.c
 *	  The candidates that the rows of a leaf get (step 7 of bulk.h).
 *
 * A row is meant by its place in the leaf: members[i] is its row, slots[i] the slot that takes its
 * candidates.
 */
#include "graph/bulkwork.h"

#include <string.h>

/* Number of rows that are prefetched before the row that is read. */
#define AHEAD 4

/* Row i's list. */
static inline float *
list_distances(const BulkLists *lists, uint32_t i)
{
	return lists->distances + (size_t) i * lists->most;
}

static inline uint32_t *
list_rows(const BulkLists *lists, uint32_t i)
{
	return lists->rows + (size_t) i * lists->most;
}

/* Insert row j at that distance into row i's list of nearest; equal distances are ordered by j. */
static void
insert_near(const BulkLists *lists, uint32_t i, float distance, uint32_t j)
{
	float *distances = list_distances(lists, i);
	uint32_t *rows = list_rows(lists, i);
	uint8_t *count = &lists->counts[i];
	uint32_t most = lists->most;
	uint32_t at;

	if (*count == most &&
		(distance > distances[most - 1] || (distance == distances[most - 1] && j > rows[most - 1])))
		return;
	at = *count < most ? (*count)++ : most - 1;
	for (; at > 0 &&
		   (distances[at - 1] > distance || (distances[at - 1] == distance && rows[at - 1] > j));
		 at--)
	{
		distances[at] = distances[at - 1];
		rows[at] = rows[at - 1];
	}
	distances[at] = distance;
	rows[at] = j;
}

/* Load the rows of a leaf, as rows and as packed columns, and empty all lists. */
static void
load_leaf(OmendbBulkWork *work, const OmendbRows *rows, const uint32_t *members, uint32_t m)
{
	BulkLeafWork *leaf = &work->leaf;

	for (uint32_t i = 0; i < m; i++)
	{
		if (i + AHEAD < m)
			for (uint32_t k = 0; k < rows->row_bytes; k += 64)
				__builtin_prefetch(bulk_row(rows, members[i + AHEAD]) + k);
		leaf->block[i] = bulk_row(rows, members[i]);
		leaf->norms[i] = rows->norms[members[i]];
		leaf->scales[i] = bulk_scale(rows, members[i]);
		leaf->near.counts[i] = leaf->back.counts[i] = 0;
		leaf->beyond.counts[i] = leaf->back_beyond.counts[i] = 0;
	}
	omendb_bulk_pack(work->bulk, leaf->block, m, leaf->packed);
	/* Kernels read whole blocks. Products of the rows beyond m are ignored. */
	for (uint32_t i = m; i % OMENDB_BLOCK_ROWS != 0; i++)
		leaf->block[i] = leaf->block[0];
}

/* The distance of row j from row i; factor: row i's bulk_factor; products: of row i with all. */
static inline float
distance_to(const BulkLeafWork *leaf, float factor, const int32_t *products, uint32_t i, uint32_t j)
{
	return leaf->norms[j] + factor * leaf->scales[j] * (float) products[j] + leaf->norms[i];
}

/* The distance, not squared, of the farthest row from the first one. */
static float
leaf_radius(const BulkLeafWork *leaf, float factor, const int32_t *products, uint32_t m)
{
	float most = 0;

	for (uint32_t j = 0; j < m; j++)
		most = fmaxf(most, distance_to(leaf, factor, products, 0, j));
	return sqrtf(most);
}

/*
 * If row i is in a group that lies apart, note so, and take candidates beyond its gap: the nearest
 * row of each of BULK_BEYOND samples. A sample has all rows beyond the gap, or one of 4, 16 or 64.
 * The size of a sample and its rows are drawn by node and slot, so that rows of one group take
 * rows of different other groups, near and far ones.
 */
static void
find_beyond_gap(OmendbBulkWork *work, const OmendbRows *rows, const uint32_t *members,
				uint32_t slot, uint32_t m, uint32_t i, float factor, const int32_t *products,
				float gap)
{
	uint32_t node = bulk_node(rows, members[i]);
	uint64_t draw = omendb_hash64((uint64_t) node << 32 | slot);
	BulkLeafWork *leaf = &work->leaf;
	uint32_t *beyond = list_rows(&leaf->beyond, i);
	float *distances = list_distances(&leaf->beyond, i);
	uint64_t masks[BULK_BEYOND];
	uint32_t count = 0;
	BulkGroup group;

	for (uint32_t s = 0; s < BULK_BEYOND; s++)
	{
		masks[s] = (UINT64_C(1) << 2 * (draw >> 8 * s) % 8) - 1;
		distances[s] = INFINITY;
	}
	bulk_group_begin(&group, node);
	for (uint32_t j = 0; j < m; j++)
	{
		float distance = distance_to(leaf, factor, products, i, j);
		uint32_t other = bulk_node(rows, members[j]);
		uint64_t hash;

		if (j == i)
			continue;
		bulk_group_add(&group, other, distance, gap);
		if (!(distance > gap))
			continue;
		hash = omendb_hash64(draw ^ other);
		for (uint32_t s = 0; s < BULK_BEYOND; s++)
			if (((hash >> 16 * s) & masks[s]) == 0 && distance < distances[s])
			{
				distances[s] = distance;
				beyond[s] = j;
			}
	}
	if (!bulk_group_is_apart(&group, gap))
		return;
	bulk_group_note(&group, rows, &work->bulk->apart[node]);
	for (uint32_t s = 0; s < BULK_BEYOND; s++)
	{
		bool skip = distances[s] == INFINITY; /* an empty sample, or a row of an earlier one */

		for (uint32_t k = 0; k < count && !skip; k++)
			skip = beyond[k] == beyond[s];
		if (skip)
			continue;
		distances[count] = distances[s];
		beyond[count++] = beyond[s];
	}
	leaf->beyond.counts[i] = (uint8_t) count;
}

/*
 * Compare all rows with all: find the nearest of each, and rows beyond a gap. The inner product has
 * no gaps, for the distance of equal rows is not the smallest.
 */
static void
find_nearest(OmendbBulkWork *work, const OmendbRows *rows, const uint32_t *members,
			 const uint32_t *slots, uint32_t m)
{
	const OmendbBulk *bulk = work->bulk;
	BulkLeafWork *leaf = &work->leaf;
	size_t groups = (m + OMENDB_BLOCK_COLUMNS - 1) / OMENDB_BLOCK_COLUMNS;
	size_t stride = groups * OMENDB_BLOCK_COLUMNS;
	uint32_t k = bulk->shape.forward;
	float radius = 0;

	for (uint32_t i = 0; i < m; i += OMENDB_BLOCK_ROWS)
	{
		omendb_kernels.block_products(leaf->block + i, leaf->packed, groups, bulk->shape.dimensions,
									  leaf->products, stride);
		if (i == 0)
			radius = leaf_radius(leaf, bulk_factor(rows, members[0]), leaf->products, m);
		for (uint32_t row = i; row < i + OMENDB_BLOCK_ROWS && row < m; row++)
		{
			const int32_t *products = leaf->products + (row - i) * stride;
			float factor = bulk_factor(rows, members[row]);
			float *distances = list_distances(&leaf->near, row);
			float farthest;
			float gap;

			leaf->near.counts[row] =
				(uint8_t) omendb_kernels.nearest(leaf->norms, leaf->scales, products, factor, m,
												 row, k, distances, list_rows(&leaf->near, row));
			if (rows->ip || leaf->near.counts[row] < k)
				continue;
			gap = bulk_gap(bulk, rows, members[row], distances[k - 1] + leaf->norms[row]);
			/* No row of the leaf is farther away. In most data that says that no group lies apart. */
			farthest = radius + sqrtf(fmaxf(0, distance_to(leaf, factor, products, row, 0)));
			if (farthest * farthest >= OMENDB_BULK_GAP * gap)
				find_beyond_gap(work, rows, members, slots[row], m, row, factor, products, gap);
		}
	}
}

/* Give each row the nearest of those rows that keep it, and that it does not keep. */
static void
find_backward(BulkLeafWork *leaf, uint32_t m)
{
	for (uint32_t i = 0; i < m; i++)
		for (uint32_t a = 0; a < leaf->near.counts[i]; a++)
		{
			uint32_t j = list_rows(&leaf->near, i)[a];
			bool mutual = false;

			for (uint32_t b = 0; b < leaf->near.counts[j]; b++)
				mutual |= list_rows(&leaf->near, j)[b] == i;
			if (!mutual)
				insert_near(&leaf->back, j, list_distances(&leaf->near, i)[a] + leaf->norms[i], i);
		}
}

/* Give each row the nearest of those rows that take it beyond their gap. */
static void
find_back_beyond(BulkLeafWork *leaf, uint32_t m)
{
	for (uint32_t i = 0; i < m; i++)
		for (uint32_t a = 0; a < leaf->beyond.counts[i]; a++)
			insert_near(&leaf->back_beyond, list_rows(&leaf->beyond, i)[a],
						list_distances(&leaf->beyond, i)[a], i);
}

/* Write the nodes of the first `count` rows of row i's list. Returns the place after them. */
static uint32_t *
write_list(const OmendbRows *rows, const uint32_t *members, const BulkLists *lists, uint32_t i,
		   uint32_t count, uint32_t *out)
{
	for (uint32_t k = 0; k < count; k++)
		*out++ = bulk_node(rows, members[list_rows(lists, i)[k]]);
	return out;
}

/* Write the candidates of all rows to their slots. */
static void
write_candidates(OmendbBulkWork *work, const OmendbRows *rows, const uint32_t *members,
				 const uint32_t *slots, uint32_t m)
{
	const OmendbBulk *bulk = work->bulk;
	const BulkLeafWork *leaf = &work->leaf;
	uint32_t capacity = bulk->shape.forward + bulk->shape.backward;

	for (uint32_t i = 0; i < m; i++)
	{
		uint32_t *out =
			(work->level->parts.on ? bulk->batch.found
								   : bulk_candidates(work->level, bulk_node(rows, members[i]))) +
			(size_t) slots[i] * capacity;
		uint32_t back = leaf->back.counts[i];
		uint32_t left = bulk->shape.backward - leaf->beyond.counts[i] - leaf->back_beyond.counts[i];

		out = write_list(rows, members, &leaf->near, i, leaf->near.counts[i], out);
		out = write_list(rows, members, &leaf->beyond, i, leaf->beyond.counts[i], out);
		out = write_list(rows, members, &leaf->back_beyond, i, leaf->back_beyond.counts[i], out);
		write_list(rows, members, &leaf->back, i, back < left ? back : left, out);
	}
}

/* True if rounding hides which rows are the nearest of row i. */
static bool
is_indistinct(const OmendbBulkWork *work, const OmendbRows *rows, const uint32_t *members,
			  uint32_t i)
{
	const BulkLeafWork *leaf = &work->leaf;
	uint32_t k = work->bulk->shape.forward;

	return leaf->near.counts[i] == k && list_distances(&leaf->near, i)[k - 1] + leaf->norms[i] <
											bulk_rounding_limit(work->bulk, rows, members[i]);
}

static bool compare_rows(OmendbBulkWork *work, const OmendbRows *rows, const uint32_t *members,
						 const uint32_t *slots, uint32_t m);

/*
 * Find the candidates of indistinct rows again, by local rows: of each such row together with all
 * indistinct rows near it. Rows with few such neighbours keep the candidates they have.
 */
static bool
compare_indistinct(OmendbBulkWork *work, const OmendbRows *rows, const uint32_t *members,
				   const uint32_t *slots, uint32_t m, bool *indistinct)
{
	uint32_t group[BULK_MOST_LEAF];
	uint32_t in_group[BULK_MOST_LEAF];
	uint32_t group_slots[BULK_MOST_LEAF];
	const int8_t *block[BULK_MOST_LEAF];
	int32_t products[BULK_MOST_LEAF];
	bool good = true;

	for (uint32_t i = 0; i < m; i++)
		block[i] = bulk_row(rows, members[i]);
	for (uint32_t i = 0; i < m && good; i++)
	{
		float within = 4 * bulk_rounding_limit(work->bulk, rows, members[i]);
		OmendbRows local;
		uint32_t n = 0;

		if (!indistinct[i])
			continue;
		omendb_kernels.row_products(block[i], block, m, work->bulk->shape.dimensions, products);
		for (uint32_t j = 0; j < m; j++)
		{
			float distance =
				rows->norms[members[j]] +
				bulk_factor(rows, members[i]) * bulk_scale(rows, members[j]) * (float) products[j] +
				rows->norms[members[i]];

			if (!indistinct[j] || (j != i && !(distance < within)))
				continue;
			indistinct[j] = false;
			group[n] = members[j];
			in_group[n] = n;
			group_slots[n++] = slots[j];
		}
		if (n <= work->bulk->shape.forward)
			continue;
		good = omendb_bulk_make_local(work, rows, group, n, n / 2, &local);
		if (good)
		{
			good = compare_rows(work, &local, in_group, group_slots, n);
			omendb_bulk_free_local(work, &local);
		}
	}
	return good;
}

/* Find the candidates of the rows of a leaf, or of local rows of some of them. */
static bool
compare_rows(OmendbBulkWork *work, const OmendbRows *rows, const uint32_t *members,
			 const uint32_t *slots, uint32_t m)
{
	bool indistinct[BULK_MOST_LEAF];
	bool any = false;

	bulk_interrupt(work->level);
	load_leaf(work, rows, members, m);
	find_nearest(work, rows, members, slots, m);
	find_backward(&work->leaf, m);
	find_back_beyond(&work->leaf, m);
	write_candidates(work, rows, members, slots, m);
	for (uint32_t i = 0; i < m; i++)
	{
		any |= indistinct[i] = is_indistinct(work, rows, members, i);
		if (indistinct[i])
			work->bulk->apart[bulk_node(rows, members[i])].indistinct = 1;
	}
	/* A level in parts has no records here, so no local rows; build/hnswparts.c warns of that. */
	return !any || work->level->parts.on ||
		   compare_indistinct(work, rows, members, slots, m, indistinct);
}

bool
omendb_bulk_compare_leaf(OmendbBulkWork *work, const OmendbRows *rows, const uint32_t *members,
						 const uint32_t *slots, uint32_t m)
{
	/* The leaf of a node's slot 0 gives the node's place in the order. */
	for (uint32_t i = 0; i < m && !work->level->parts.on; i++)
		if (slots[i] == 0)
			work->bulk->order[work->leaf.next_place++] = bulk_node(rows, members[i]);
	return compare_rows(work, rows, members, slots, m);
}
