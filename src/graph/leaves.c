/*
 * leaves.c
 *	  Clusters into leaves, and the candidates that a leaf gives its rows.
 */
#include "graph/bulkwork.h"

#include <string.h>

/* Rows fetched ahead of the one that is read. */
#define AHEAD 4

/* ---------------------------------------------------------------- a leaf */

/* Put row j among the `most` nearest that a leaf's row has; equal ones by j. */
static void
put_near(float *values, uint32_t *near, uint8_t *count, uint32_t most, float value, uint32_t j)
{
	uint32_t at;

	if (*count == most &&
		(value > values[most - 1] || (value == values[most - 1] && j > near[most - 1])))
		return;
	at = *count < most ? (*count)++ : most - 1;
	for (; at > 0 && (values[at - 1] > value || (values[at - 1] == value && near[at - 1] > j));
		 at--)
	{
		values[at] = values[at - 1];
		near[at] = near[at - 1];
	}
	values[at] = value;
	near[at] = j;
}

/* The rows of a leaf, as rows and as packed columns. */
static void
load_leaf(OmendbBulkWork *work, const OmendbRows *rows, const uint32_t *members, uint32_t m)
{
	for (uint32_t i = 0; i < m; i++)
	{
		if (i + AHEAD < m)
			for (uint32_t k = 0; k < rows->row_bytes; k += 64)
				__builtin_prefetch(bulk_row(rows, members[i + AHEAD]) + k);
		work->block[i] = bulk_row(rows, members[i]);
		work->norms[i] = rows->norms[members[i]];
		work->scales[i] = bulk_scale(rows, members[i]);
		work->near_count[i] = work->back_count[i] = 0;
		work->beyond_count[i] = work->back_beyond_count[i] = 0;
	}
	omendb_bulk_pack(work->bulk, work->block, m, work->packed);
	/* Blocks are whole; what comes of the rows beyond is not looked at. */
	for (uint32_t i = m; i % OMENDB_BLOCK_ROWS != 0; i++)
		work->block[i] = work->block[0];
}

/* The distance of row j from row i, which is a member of the rows; products are i's. */
static inline float
distance_to(const OmendbBulkWork *work, float factor, const int32_t *products, uint32_t i,
			uint32_t j)
{
	return work->norms[j] + factor * work->scales[j] * (float) products[j] + work->norms[i];
}

/* How far the farthest row of a leaf is from the first one, whose products are given. */
static float
leaf_radius(const OmendbBulkWork *work, float factor, const int32_t *products, uint32_t m)
{
	float most = 0;

	for (uint32_t j = 0; j < m; j++)
		most = fmaxf(most, distance_to(work, factor, products, 0, j));
	return sqrtf(most);
}

/*
 * If row i is in a group that lies apart, note that, and take candidates beyond the gap: the
 * nearest row of each of BULK_BEYOND samples. A sample has all rows beyond the gap, or one of
 * 4, 16 or 64. The size of a sample, and its rows, are drawn by row and slot, so that rows of one
 * group take rows of different other groups, near ones and farther ones.
 */
static void
find_beyond(OmendbBulkWork *work, const OmendbRows *rows, const uint32_t *members, uint32_t slot,
			uint32_t m, uint32_t i, float factor, const int32_t *products, float gap)
{
	uint32_t node = bulk_node(rows, members[i]);
	uint64_t draw = omendb_hash64((uint64_t) node << 32 | slot);
	uint32_t *beyond = work->beyond + (size_t) i * BULK_BEYOND;
	float *values = work->beyond_values + (size_t) i * BULK_BEYOND;
	uint64_t masks[BULK_BEYOND];
	uint32_t count = 0;
	BulkGroup group;

	for (uint32_t s = 0; s < BULK_BEYOND; s++)
	{
		masks[s] = (UINT64_C(1) << 2 * (draw >> 8 * s) % 8) - 1;
		values[s] = INFINITY;
	}
	bulk_group_begin(&group, node);
	for (uint32_t j = 0; j < m; j++)
	{
		float distance = distance_to(work, factor, products, i, j);
		uint32_t other = bulk_node(rows, members[j]);
		uint64_t hash;

		if (j == i)
			continue;
		bulk_group_add(&group, other, distance, gap);
		if (!(distance > gap))
			continue;
		hash = omendb_hash64(draw ^ other);
		for (uint32_t s = 0; s < BULK_BEYOND; s++)
			if (((hash >> 16 * s) & masks[s]) == 0 && distance < values[s])
			{
				values[s] = distance;
				beyond[s] = j;
			}
	}
	if (!bulk_group_is_apart(&group, gap))
		return;
	bulk_group_note(&group, rows, &work->bulk->apart[node]);
	for (uint32_t s = 0; s < BULK_BEYOND; s++)
	{
		bool known = values[s] == INFINITY;

		for (uint32_t k = 0; k < count && !known; k++)
			known = beyond[k] == beyond[s];
		if (known)
			continue;
		values[count] = values[s];
		beyond[count++] = beyond[s];
	}
	work->beyond_count[i] = (uint8_t) count;
}

/*
 * All with all: the nearest of each, and what is beyond a gap. The inner product has no
 * gaps: the distance of equal rows is not the smallest.
 */
static void
find_nearest(OmendbBulkWork *work, const OmendbRows *rows, const uint32_t *members,
			 const uint32_t *slots, uint32_t m)
{
	const OmendbBulk *bulk = work->bulk;
	size_t groups = (m + OMENDB_BLOCK_COLUMNS - 1) / OMENDB_BLOCK_COLUMNS;
	size_t stride = groups * OMENDB_BLOCK_COLUMNS;
	uint32_t k = bulk->forward;
	float radius = 0;

	for (uint32_t i = 0; i < m; i += OMENDB_BLOCK_ROWS)
	{
		omendb_kernels.block_products(work->block + i, work->packed, groups, bulk->dimensions,
									  work->tile, stride);
		if (i == 0)
			radius = leaf_radius(work, bulk_factor(rows, members[0]), work->tile, m);
		for (uint32_t row = i; row < i + OMENDB_BLOCK_ROWS && row < m; row++)
		{
			const int32_t *products = work->tile + (row - i) * stride;
			float factor = bulk_factor(rows, members[row]);
			float *values = work->near_values + (size_t) row * k;
			float farthest;
			float gap;

			work->near_count[row] =
				(uint8_t) omendb_kernels.nearest(work->norms, work->scales, products, factor, m,
												 row, k, values, work->near + (size_t) row * k);
			if (rows->ip || work->near_count[row] < k)
				continue;
			gap = bulk_gap(bulk, rows, members[row], values[k - 1] + work->norms[row]);
			/* No row of the leaf is farther than that. In most data no group can lie apart then. */
			farthest = radius + sqrtf(fmaxf(0, distance_to(work, factor, products, row, 0)));
			if (farthest * farthest >= OMENDB_BULK_GAP * gap)
				find_beyond(work, rows, members, slots[row], m, row, factor, products, gap);
		}
	}
}

/* Rows by which a row is kept that does not keep them itself: the nearest of those. */
static void
find_backward(OmendbBulkWork *work, uint32_t m)
{
	OmendbBulk *bulk = work->bulk;
	uint32_t k = bulk->forward;
	uint32_t most = bulk->backward;

	for (uint32_t i = 0; i < m; i++)
		for (uint32_t a = 0; a < work->near_count[i]; a++)
		{
			uint32_t j = work->near[(size_t) i * k + a];
			bool mutual = false;

			for (uint32_t b = 0; b < work->near_count[j]; b++)
				mutual |= work->near[(size_t) j * k + b] == i;
			if (!mutual)
				put_near(work->back_values + (size_t) j * most, work->back + (size_t) j * most,
						 &work->back_count[j], most,
						 work->near_values[(size_t) i * k + a] + work->norms[i], i);
		}
}

/* Rows by which a row is taken beyond a gap: the nearest of those. */
static void
find_back_beyond(OmendbBulkWork *work, uint32_t m)
{
	for (uint32_t i = 0; i < m; i++)
		for (uint32_t a = 0; a < work->beyond_count[i]; a++)
		{
			uint32_t j = work->beyond[(size_t) i * BULK_BEYOND + a];

			put_near(work->back_beyond_values + (size_t) j * BULK_BEYOND,
					 work->back_beyond + (size_t) j * BULK_BEYOND, &work->back_beyond_count[j],
					 BULK_BEYOND, work->beyond_values[(size_t) i * BULK_BEYOND + a], i);
		}
}

static uint32_t *
write_some(const OmendbRows *rows, const uint32_t *members, const uint32_t *which, uint32_t count,
		   uint32_t *out)
{
	for (uint32_t k = 0; k < count; k++)
		*out++ = bulk_node(rows, members[which[k]]);
	return out;
}

/* Candidates for the rows' slots. */
static void
write_candidates(OmendbBulkWork *work, const OmendbRows *rows, const uint32_t *members,
				 const uint32_t *slots, uint32_t m)
{
	const OmendbBulk *bulk = work->bulk;
	uint32_t capacity = bulk->forward + bulk->backward;

	for (uint32_t i = 0; i < m; i++)
	{
		uint32_t *out =
			(work->level->in_parts ? bulk->found
								   : bulk_candidates(work->level, bulk_node(rows, members[i]))) +
			(size_t) slots[i] * capacity;

		uint32_t back = work->back_count[i];
		uint32_t left = bulk->backward - work->beyond_count[i] - work->back_beyond_count[i];

		out = write_some(rows, members, work->near + (size_t) i * bulk->forward,
						 work->near_count[i], out);
		out = write_some(rows, members, work->beyond + (size_t) i * BULK_BEYOND,
						 work->beyond_count[i], out);
		out = write_some(rows, members, work->back_beyond + (size_t) i * BULK_BEYOND,
						 work->back_beyond_count[i], out);
		write_some(rows, members, work->back + (size_t) i * bulk->backward,
				   back < left ? back : left, out);
	}
}

/* Are those that row i keeps not told from each other? */
static bool
is_blunt(const OmendbBulkWork *work, const OmendbRows *rows, const uint32_t *members, uint32_t i)
{
	uint32_t k = work->bulk->forward;

	return work->near_count[i] == k && work->near_values[(size_t) i * k + k - 1] + work->norms[i] <
										   bulk_blunt(work->bulk, rows, members[i]);
}

static bool leaf(OmendbBulkWork *work, const OmendbRows *rows, const uint32_t *members,
				 const uint32_t *slots, uint32_t m);

/*
 * Rows whose distances the leaf did not tell get their candidates again, of local rows,
 * together with all blunt rows that are as near. What they had stays where a group has
 * fewer.
 */
static bool
compare_groups(OmendbBulkWork *work, const OmendbRows *rows, const uint32_t *members,
			   const uint32_t *slots, uint32_t m, bool *blunt)
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
		float within = 4 * bulk_blunt(work->bulk, rows, members[i]);
		OmendbRows local;
		uint32_t n = 0;

		if (!blunt[i])
			continue;
		omendb_kernels.row_products(block[i], block, m, work->bulk->dimensions, products);
		for (uint32_t j = 0; j < m; j++)
		{
			float distance =
				rows->norms[members[j]] +
				bulk_factor(rows, members[i]) * bulk_scale(rows, members[j]) * (float) products[j] +
				rows->norms[members[i]];

			if (!blunt[j] || (j != i && !(distance < within)))
				continue;
			blunt[j] = false;
			group[n] = members[j];
			in_group[n] = n;
			group_slots[n++] = slots[j];
		}
		if (n <= work->bulk->forward)
			continue;
		good = omendb_bulk_local(work, rows, group, n, n / 2, &local);
		if (good)
		{
			good = leaf(work, &local, in_group, group_slots, n);
			omendb_bulk_local_free(work, &local);
		}
	}
	return good;
}

static bool
leaf(OmendbBulkWork *work, const OmendbRows *rows, const uint32_t *members, const uint32_t *slots,
	 uint32_t m)
{
	bool blunt[BULK_MOST_LEAF];
	bool any = false;

	bulk_interrupt(work->level);
	load_leaf(work, rows, members, m);
	find_nearest(work, rows, members, slots, m);
	find_backward(work, m);
	find_back_beyond(work, m);
	write_candidates(work, rows, members, slots, m);
	for (uint32_t i = 0; i < m; i++)
	{
		any |= blunt[i] = is_blunt(work, rows, members, i);
		if (blunt[i])
			work->bulk->apart[bulk_node(rows, members[i])].untold = 1;
	}
	/* Without records there are no finer rows; hnswparts.c warns of it. */
	return !any || work->level->in_parts || compare_groups(work, rows, members, slots, m, blunt);
}

/* A leaf of the partition. */
bool
omendb_bulk_leaf(OmendbBulkWork *work, const OmendbRows *rows, const uint32_t *members,
				 const uint32_t *slots, uint32_t m)
{
	/* The row's first leaf of all decides its place in the order. */
	for (uint32_t i = 0; i < m && !work->level->in_parts; i++)
		if (slots[i] == 0)
			work->bulk->order[work->next_place++] = bulk_node(rows, members[i]);
	return leaf(work, rows, members, slots, m);
}
