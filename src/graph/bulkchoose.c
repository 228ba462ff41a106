/*
 * bulkchoose.c
 *	  The choice of a node's neighbours in the bulk build (steps 8 and 9 of bulk.h).
 *
 * The rule is that of select.c, over rows of int8. First the occlusion rule: in order of distance, a
 * candidate is kept unless a kept one is nearer to it than the node is. Slots that are left are
 * filled with candidates whose angle with every nearer neighbour is wide. The angle is estimated by
 * the number of dimensions in which the signs of two residuals differ.
 */
#include "graph/bulkwork.h"

#include <string.h>

/* A key: a candidate's distance and row in one number that orders candidates by distance. */
static inline uint64_t
make_key(float distance, uint32_t node)
{
	uint32_t bits;

	memcpy(&bits, &distance, sizeof(bits));
	bits = bits & 0x80000000u ? ~bits : bits | 0x80000000u;
	return (uint64_t) bits << 32 | node;
}

static inline float
key_distance(uint64_t key)
{
	uint32_t bits = (uint32_t) (key >> 32);
	float distance;

	bits = bits & 0x80000000u ? bits & 0x7fffffffu : ~bits;
	memcpy(&distance, &bits, sizeof(distance));
	return distance;
}

static inline bool
has_bit(const uint64_t *mask, uint32_t i)
{
	return mask[i / 64] >> i % 64 & 1;
}

static inline void
set_bit(uint64_t *mask, uint32_t i)
{
	mask[i / 64] |= UINT64_C(1) << i % 64;
}

/* ---------------------------------------------------------------- the set of candidates */

/* Add a node to the set. False if the set has the node already. */
static bool
add_to_set(OmendbBulkWork *work, uint32_t node)
{
	uint32_t at = (node * UINT32_C(0x9e3779b1) >> 16) % BULK_HASH;

	while (work->set.stamps[at] == work->set.stamp)
	{
		if (work->set.nodes[at] == node)
			return false;
		at = (at + 1) % BULK_HASH;
	}
	work->set.stamps[at] = work->set.stamp;
	work->set.nodes[at] = node;
	return true;
}

/* Begin a set that has only the node itself. */
static void
begin_set(OmendbBulkWork *work, uint32_t self)
{
	if (++work->set.stamp == 0)
	{
		memset(work->set.stamps, 0, BULK_HASH * sizeof(*work->set.stamps));
		work->set.stamp = 1;
	}
	add_to_set(work, self);
}

/* ---------------------------------------------------------------- distances */

/* Compute the keys of n members of the rows by their distances from row `self`. */
static void
compute_keys(OmendbBulkWork *work, const OmendbRows *rows, uint32_t self, const uint32_t *members,
			 uint32_t n, uint64_t *keys)
{
	float factor = bulk_factor(rows, self);

	for (uint32_t i = 0; i < n; i++)
		work->choice.candidates[i] = bulk_row(rows, members[i]);
	omendb_kernels.row_products(bulk_row(rows, self), work->choice.candidates, n,
								work->bulk->shape.dimensions, work->choice.products);
	for (uint32_t i = 0; i < n; i++)
		keys[i] =
			make_key(rows->norms[members[i]] +
						 factor * bulk_scale(rows, members[i]) * (float) work->choice.products[i] +
						 rows->norms[self],
					 members[i]);
}

/* Sort the first n of choice.keys into choice.sorted. */
static void
sort_keys(OmendbBulkWork *work, uint32_t n)
{
	for (uint32_t i = n; i % 16 != 0; i++)
		work->choice.keys[i] = UINT64_MAX;
	omendb_kernels.ranks(work->choice.keys, n, work->choice.ranks);
	for (uint32_t i = 0; i < n; i++)
		work->choice.sorted[work->choice.ranks[i]] = work->choice.keys[i];
}

/* Move the k smallest of n keys to the front, in any order. */
static void
select_smallest(uint64_t *keys, uint32_t n, uint32_t k)
{
	uint32_t low = 0;
	uint32_t high = n;

	while (high - low > 1 && low < k && k < high)
	{
		uint64_t pivot = keys[low + (high - low) / 2];
		uint32_t i = low;
		uint32_t j = high - 1;

		for (;;)
		{
			while (keys[i] < pivot)
				i++;
			while (keys[j] > pivot)
				j--;
			if (i >= j)
				break;
			{
				uint64_t key = keys[i];

				keys[i++] = keys[j];
				keys[j--] = key;
			}
		}
		/* No key before i is above the pivot, none from i on is below. */
		if (k <= i)
			high = i;
		else
			low = i == j ? i + 1 : i;
	}
}

/* Sort the nearest of n choice.keys, at most `most`, into choice.sorted. Returns their number. */
static uint32_t
sort_nearest(OmendbBulkWork *work, uint32_t n, uint32_t most)
{
	if (n > BULK_GATHERED)
	{
		select_smallest(work->choice.keys, n, most);
		n = most;
	}
	sort_keys(work, n);
	return n < most ? n : most;
}

/* Append the keys of further members to the n in choice.sorted, sorted among themselves. */
static uint32_t
insert_further(OmendbBulkWork *work, const OmendbRows *rows, uint32_t self, const uint32_t *members,
			   uint32_t count, uint32_t n)
{
	uint64_t keys[OMENDB_BULK_POOL];

	compute_keys(work, rows, self, members, count, keys);
	for (uint32_t i = 0; i < count; i++)
	{
		uint32_t at = n + i;

		for (; at > n && work->choice.sorted[at - 1] > keys[i]; at--)
			work->choice.sorted[at] = work->choice.sorted[at - 1];
		work->choice.sorted[at] = keys[i];
	}
	return n + count;
}

/* ---------------------------------------------------------------- the pool */

/* Collect the different candidates that the leaves gave the node. Returns their number. */
static uint32_t
collect_from_leaves(OmendbBulkWork *work, uint32_t self, uint32_t *nodes)
{
	const OmendbBulk *bulk = work->bulk;
	const uint32_t *candidates = bulk_candidates(work->level, self);
	uint32_t capacity = bulk->shape.slots * (bulk->shape.forward + bulk->shape.backward);
	uint32_t n = 0;

	for (uint32_t i = 0; i < capacity; i++)
		if (candidates[i] != OMENDB_BULK_NONE && add_to_set(work, candidates[i]))
			nodes[n++] = candidates[i];
	for (uint32_t i = 0; i < n; i++)
		for (uint32_t k = 0; k < bulk->rows.row_bytes; k += 64)
			__builtin_prefetch(bulk_row(&bulk->rows, nodes[i]) + k);
	return n;
}

/*
 * Collect the leaders that the node is assigned to, and `far` leaders drawn from all, unless the set
 * has them. Where clusters lie far apart these are the only candidates outside the node's clusters.
 * Returns their number.
 */
static uint32_t
collect_leaders(OmendbBulkWork *work, uint32_t self, uint32_t *nodes)
{
	const OmendbBulk *bulk = work->bulk;
	uint32_t f = bulk->shape.fanout[0];
	uint32_t n = 0;

	for (uint32_t i = 0; i < f + bulk->shape.far; i++)
	{
		uint32_t leader = i < f ? bulk->clusters.assigned[(size_t) self * f + i]
								: omendb_hash64(((uint64_t) self << 8) + i) % bulk->leaders.n;
		uint32_t node = bulk->leaders.nodes[leader];

		if (add_to_set(work, node))
			nodes[n++] = node;
	}
	return n;
}

/*
 * Note whether the node is in a group that lies apart; choice.keys: its distances from all other
 * nodes. Changes the order of the keys.
 */
static void
detect_group(OmendbBulkWork *work, uint32_t self, uint32_t n)
{
	const OmendbBulk *bulk = work->bulk;
	float nearest = 0;
	float gap;
	BulkGroup group;

	if (bulk->rows.ip || n <= bulk->shape.forward)
		return;
	select_smallest(work->choice.keys, n, bulk->shape.forward);
	for (uint32_t i = 0; i < bulk->shape.forward; i++)
		nearest = fmaxf(nearest, key_distance(work->choice.keys[i]));
	gap = bulk_gap(bulk, &bulk->rows, self, nearest);
	bulk_group_begin(&group, self);
	for (uint32_t i = 0; i < n; i++)
		bulk_group_add(&group, (uint32_t) work->choice.keys[i], key_distance(work->choice.keys[i]),
					   gap);
	if (bulk_group_is_apart(&group, gap))
		bulk_group_note(&group, &bulk->rows, &bulk->apart[self]);
}

/*
 * Collect all other nodes of a small level; if they do not fit the pool, the nearest of them, and all
 * that rounding does not distinguish from these. Returns their number.
 */
static uint32_t
collect_all_nodes(OmendbBulkWork *work, uint32_t self, uint32_t *nodes)
{
	const OmendbBulk *bulk = work->bulk;
	float rounding = bulk_rounding_limit(bulk, &bulk->rows, self);
	uint32_t n = 0;
	uint32_t most = 0;

	for (uint32_t i = 0; i < work->level->n; i++)
		if (i != self)
			nodes[n++] = i;
	compute_keys(work, &bulk->rows, self, nodes, n, work->choice.keys);
	for (uint32_t i = 0; i < n; i++)
		most += key_distance(work->choice.keys[i]) < rounding;
	detect_group(work, self, n);
	most = most < bulk->shape.pool ? bulk->shape.pool : most;
	if (n > most)
	{
		select_smallest(work->choice.keys, n, most);
		n = most;
	}
	for (uint32_t i = 0; i < n; i++)
		nodes[i] = (uint32_t) work->choice.keys[i];
	return n;
}

/* ---------------------------------------------------------------- choice */

/*
 * Apply the occlusion rule to the n candidates of choice.sorted: a kept candidate removes all farther
 * ones that are nearer to it than to the node, or equal to it. kept: a bit mask. Returns the
 * number of kept ones, at most `want`.
 */
static uint32_t
keep_unoccluded(OmendbBulkWork *work, const OmendbRows *rows, uint32_t n, uint32_t want,
				uint64_t *kept)
{
	uint16_t alive[OMENDB_BULK_POOL];
	const int8_t *others[OMENDB_BULK_POOL];
	uint32_t nalive = n;
	uint32_t nkept = 0;

	for (uint32_t i = 0; i < n; i++)
		alive[i] = (uint16_t) i;
	while (nalive > 0 && nkept < want)
	{
		uint32_t k = alive[0];
		uint32_t row = (uint32_t) work->choice.sorted[k];
		float factor = bulk_factor(rows, row);
		float norm = rows->norms[row];
		uint32_t left = 0;

		set_bit(kept, k);
		nkept++;
		for (uint32_t i = 1; i < nalive; i++)
			others[i - 1] = work->choice.candidates[alive[i]];
		omendb_kernels.row_products(work->choice.candidates[k], others, nalive - 1,
									work->bulk->shape.dimensions, work->choice.products);
		for (uint32_t i = 1; i < nalive; i++)
		{
			uint32_t c = alive[i];
			uint32_t other = (uint32_t) work->choice.sorted[c];
			float between =
				rows->norms[other] +
				factor * bulk_scale(rows, other) * (float) work->choice.products[i - 1] + norm;

			alive[left] = (uint16_t) c;
			left += between >= key_distance(work->choice.sorted[c]) && (rows->ip || between > 0);
		}
		nalive = left;
	}
	return nkept;
}

/*
 * Select, in order, the kept candidates and those whose code differs in at least `limit` bits from
 * every one selected before. Returns the number of selected ones, at most `want`.
 */
static uint32_t
select_wide(const OmendbBulkWork *work, const uint64_t *kept, uint32_t nkept, uint32_t n,
			uint32_t want, uint32_t limit, uint64_t *taken)
{
	uint32_t count = 0;
	uint32_t rest = nkept;
	uint32_t words = (n + 63) / 64;

	memset(taken, 0, BULK_MASK_WORDS * sizeof(uint64_t));
	for (uint32_t i = 0; i < n && count + rest < want; i++)
	{
		uint64_t narrow[BULK_MASK_WORDS] = {0};
		uint64_t any = 0;

		if (has_bit(kept, i))
		{
			set_bit(taken, i);
			count++;
			rest--;
			continue;
		}
		omendb_kernels.below(work->choice.hamming + (size_t) i * BULK_HAMMING_STRIDE, i,
							 (uint16_t) limit, narrow);
		for (uint32_t w = 0; w < words; w++)
			any |= narrow[w] & taken[w];
		if (any == 0)
		{
			set_bit(taken, i);
			count++;
		}
	}
	for (uint32_t w = 0; w < BULK_MASK_WORDS; w++)
		taken[w] |= kept[w];
	return count + rest;
}

/* Return a row's elements in the scale of row `self`, so that they compare. */
static const int8_t *
rescale_row(OmendbBulkWork *work, const OmendbRows *rows, uint32_t self, uint32_t other)
{
	const int8_t *row = bulk_row(rows, other);
	float times = bulk_scale(rows, other) / bulk_scale(rows, self);

	/* Local rows: row `self` is zero, in any scale. */
	if (rows->exponents[self] == rows->exponents[other] || rows->depth > 0)
		return row;
	for (uint32_t k = 0; k < rows->row_bytes; k++)
	{
		float x = (float) row[k] * times;

		work->choice.scaled[k] = (int8_t) (x > 127 ? 127 : x < -127 ? -127 : x);
	}
	return work->choice.scaled;
}

/*
 * Fill the slots that the occlusion rule left with some of the first `near` candidates: by the
 * largest limit of select_wide at which all slots are filled, found by bisection.
 */
static void
fill_slots(OmendbBulkWork *work, const OmendbRows *rows, uint32_t self, uint32_t near,
		   uint32_t want, uint32_t nkept, const uint64_t *kept, uint64_t *taken)
{
	const int8_t *own = bulk_row(rows, self);
	size_t words = rows->row_bytes / 64;
	uint32_t low = 0;
	uint32_t high = rows->row_bytes / 2; /* a right angle */
	uint64_t code[OMENDB_MAX_DIM / 64 + 1];

	for (uint32_t i = 0; i < near; i++)
	{
		omendb_kernels.compare_rows(
			own, rescale_row(work, rows, self, (uint32_t) work->choice.sorted[i]), rows->row_bytes,
			code);
		for (size_t w = 0; w < words; w++)
			work->choice.codes[w * OMENDB_BULK_POOL + i] = code[w];
	}
	for (uint32_t i = 1; i < near; i++)
		omendb_kernels.column_hamming(work->choice.codes, words, OMENDB_BULK_POOL, i, i,
									  work->choice.hamming + (size_t) i * BULK_HAMMING_STRIDE);
	while (high - low > 1 + rows->row_bytes / 128)
	{
		uint32_t middle = (low + high) / 2;

		if (select_wide(work, kept, nkept, near, want, middle, taken) < want)
			high = middle;
		else
			low = middle;
	}
	select_wide(work, kept, nkept, near, want, low, taken);
}

/*
 * Choose at most `want` of the n candidates in choice.sorted. From `near` on only those that the
 * occlusion rule keeps are chosen. chosen: their places, ascending. Returns their number.
 */
static uint32_t
choose_from_pool(OmendbBulkWork *work, const OmendbRows *rows, uint32_t self, uint32_t n,
				 uint32_t near, uint32_t want, uint16_t *chosen)
{
	uint64_t kept[BULK_MASK_WORDS] = {0};
	uint64_t taken[BULK_MASK_WORDS];
	uint32_t count = 0;
	uint32_t nkept;

	for (uint32_t i = 0; i < n; i++)
		work->choice.candidates[i] = bulk_row(rows, (uint32_t) work->choice.sorted[i]);
	if (n <= want)
		memset(taken, 0xff, sizeof(taken));
	else
	{
		nkept = keep_unoccluded(work, rows, n, want, kept);
		if (nkept < want)
			fill_slots(work, rows, self, near, want, nkept, kept, taken);
		else
			memcpy(taken, kept, sizeof(taken));
	}
	for (uint32_t i = 0; i < n && count < want; i++)
		if (has_bit(taken, i))
			chosen[count++] = (uint16_t) i;
	return count;
}

/*
 * Choose a node's neighbours from `near` candidates, whose keys are in choice.keys, and `far`
 * leaders after them in members[], and write the edges.
 */
static void
choose_and_write(OmendbBulkWork *work, const OmendbRows *rows, uint32_t self, uint32_t node,
				 const uint32_t *members, uint32_t near, uint32_t far)
{
	const OmendbBulk *bulk = work->bulk;
	uint32_t most = bulk->leaders.n == 0
						? bulk->shape.pool
						: bulk->shape.pool - (bulk->shape.fanout[0] + bulk->shape.far);
	uint16_t chosen[OMENDB_MAX_EDGES];
	uint32_t ranked = sort_nearest(work, near, most);
	uint32_t n = insert_further(work, rows, self, members + near, far, ranked);

	n = choose_from_pool(work, rows, self, n, ranked, work->level->edges, chosen);
	if (work->level->parts.on || work->level->options.neighbours_only)
		omendb_bulk_write_neighbours(work, rows, node, chosen, n);
	else
		omendb_bulk_write_edges(work, rows, node, chosen, n);
}

bool
omendb_bulk_choose_neighbours(OmendbBulkWork *work, uint32_t node)
{
	const OmendbBulk *bulk = work->bulk;
	const OmendbRows *rows = &bulk->rows;
	uint32_t *members = work->choice.members; /* the node, near candidates, leaders */
	float rounding = bulk_rounding_limit(bulk, rows, node);
	OmendbRows local;
	uint32_t near;
	uint32_t far = 0;
	uint32_t indistinct = 0;

	members[0] = node;
	if (bulk->leaders.n == 0)
		near = collect_all_nodes(work, node, members + 1);
	else
	{
		begin_set(work, node);
		near = collect_from_leaves(work, node, members + 1);
		far = collect_leaders(work, node, members + 1 + near);
	}
	/* Local rows, if rounding hides which candidates are the nearest. */
	compute_keys(work, rows, node, members + 1, near, work->choice.keys);
	for (uint32_t i = 0; i < near; i++)
		indistinct += key_distance(work->choice.keys[i]) < rounding;
	if (indistinct <= bulk->shape.forward)
	{
		choose_and_write(work, rows, node, node, members + 1, near, far);
		return true;
	}
	if (!omendb_bulk_make_local(work, rows, members, 1 + near + far, 0, &local))
		return false;
	for (uint32_t i = 0; i <= near + far; i++)
		members[i] = i;
	compute_keys(work, &local, 0, members + 1, near, work->choice.keys);
	choose_and_write(work, &local, 0, node, members + 1, near, far);
	omendb_bulk_free_local(work, &local);
	return true;
}
