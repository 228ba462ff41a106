/*
 * bulkclusters.c
 *	  Leaders, clusters, and clusters into leaves.
 */
#include "graph/bulkwork.h"

#include <string.h>

/* Leaders of a cluster: leaves come out at about three fifths of the most. */
#define LEADERS_NUMERATOR   5
#define LEADERS_DENOMINATOR 3

/* ---------------------------------------------------------------- leaders and clusters */

uint32_t
omendb_bulk_sample(uint32_t s, uint32_t count, uint32_t n, uint64_t seed)
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
	omendb_kernels.block_products(block, packed, groups, work->bulk->dimensions, work->tile,
								  stride);
	for (uint32_t r = 0; r < count; r++)
	{
		float values[OMENDB_NEAREST_MAX];
		uint32_t which[OMENDB_NEAREST_MAX];

		/* Clusters are by the squared distance whatever the metric. */
		omendb_kernels.nearest(norms, scales, work->tile + r * stride,
							   -2 * bulk_scale(rows, members[r]), leaders, SIZE_MAX, fanout, values,
							   which);
		for (uint32_t k = 0; k < fanout; k++)
			out[r * fanout + k] = (uint16_t) which[k];
	}
}

/* A sample of the rows as leaders. */
void
omendb_bulk_lead(OmendbBulkWork *work)
{
	OmendbBuildLevel *level = work->level;
	OmendbBulk *bulk = work->bulk;

	for (uint32_t s = 0; s < bulk->leaders; s++)
	{
		uint32_t node = level->window +
						omendb_bulk_sample(s, bulk->leaders, level->in_window, level->seed + 12345);

		bulk->leader_nodes[s] = node;
		bulk->leader_norms[s] = omendb_bulk_norm(bulk, &bulk->rows, node);
		bulk->leader_scales[s] = bulk_scale(&bulk->rows, node);
		work->block[s] = bulk_row(&bulk->rows, node);
	}
	omendb_bulk_pack(bulk, work->block, bulk->leaders, bulk->packed);
}

/* The largest first: what is begun last should not take long. */
static void
sort_by_size(OmendbBulk *bulk)
{
	const uint32_t *starts = bulk->starts;

	for (uint32_t s = 0; s < bulk->leaders; s++)
	{
		uint32_t size = starts[s + 1] - starts[s];
		uint32_t at = s;

		for (; at > 0; at--)
		{
			uint32_t before = bulk->by_size[at - 1];

			if (starts[before + 1] - starts[before] >= size)
				break;
			bulk->by_size[at] = before;
		}
		bulk->by_size[at] = s;
	}
}

/* The clusters by a counting sort of all assignments. */
void
omendb_bulk_cluster(OmendbBuildLevel *level)
{
	OmendbBulk *bulk = &level->bulk;
	uint32_t f = bulk->fanout[0];
	uint32_t *starts = bulk->starts;

	memset(starts, 0, (bulk->leaders + 1) * sizeof(uint32_t));
	memset(bulk->order_starts, 0, (bulk->leaders + 1) * sizeof(uint32_t));
	for (uint32_t i = 0; i < level->n; i++)
	{
		const uint16_t *assigned = bulk->assigned + (size_t) i * f;

		if (i % 65536 == 0)
			bulk_interrupt(level);
		bulk->order_starts[assigned[0] + 1]++;
		for (uint32_t k = 0; k < f; k++)
			starts[assigned[k] + 1]++;
	}
	for (uint32_t s = 0; s < bulk->leaders; s++)
	{
		starts[s + 1] += starts[s];
		bulk->order_starts[s + 1] += bulk->order_starts[s];
	}
	for (uint32_t i = 0; i < level->n; i++)
	{
		if (i % 65536 == 0)
			bulk_interrupt(level);
		for (uint32_t k = 0; k < f; k++)
		{
			uint32_t to = starts[bulk->assigned[(size_t) i * f + k]]++;

			bulk->members[to] = i;
			bulk->member_slots[to] = (uint8_t) (k * bulk->fanout[1]);
		}
	}
	/* Each start is where the next cluster starts now. */
	memmove(starts + 1, starts, bulk->leaders * sizeof(uint32_t));
	starts[0] = 0;
	sort_by_size(bulk);
}

/* ---------------------------------------------------------------- a cluster into leaves */

/* Any rows together, where distances do not tell them apart. */
static bool
cut_up(OmendbBulkWork *work, const OmendbRows *rows, const uint32_t *members, const uint32_t *slots,
	   uint32_t m)
{
	uint32_t most = work->bulk->leaf;
	bool good = true;

	for (uint32_t i = 0; i < m && good; i += most)
		good = omendb_bulk_leaf(work, rows, members + i, slots + i, m - i < most ? m - i : most);
	return good;
}

/* What a cluster is sorted by and into. */
typedef struct Parts
{
	uint16_t *assigned; /* m * fanout */
	uint32_t *starts;   /* parts + 2 */
	uint32_t *members;  /* m * fanout */
	uint32_t *slots;    /* m * fanout */
} Parts;

static void *
allocate_parts(const OmendbAllocator *allocator, Parts *parts, uint32_t count, size_t entries)
{
	size_t bytes =
		(count + 2) * sizeof(uint32_t) + entries * (2 * sizeof(uint32_t) + sizeof(uint16_t));
	uint8_t *memory = allocator->resize(allocator->context, NULL, bytes);

	if (!memory)
		return NULL;
	parts->starts = (uint32_t *) memory;
	parts->members = parts->starts + count + 2;
	parts->slots = parts->members + entries;
	parts->assigned = (uint16_t *) (parts->slots + entries);
	return memory;
}

/* Assign the rows of a cluster to leaders sampled of them. */
static void
assign_parts(OmendbBulkWork *work, const OmendbRows *rows, const uint32_t *members, uint32_t m,
			 uint32_t leaders, uint32_t fanout, uint64_t seed, uint16_t *assigned)
{
	const OmendbBulk *bulk = work->bulk;

	for (uint32_t s = 0; s < leaders; s++)
	{
		uint32_t i = members[omendb_bulk_sample(s, leaders, m, seed)];

		work->block[s] = bulk_row(rows, i);
		work->norms[s] = omendb_bulk_norm(bulk, rows, i);
		work->scales[s] = bulk_scale(rows, i);
	}
	omendb_bulk_pack(bulk, work->block, leaders, work->packed);
	for (uint32_t i = 0; i < m; i += OMENDB_BLOCK_ROWS)
	{
		if (i % 1024 == 0)
			bulk_interrupt(work->level);
		omendb_bulk_assign(work, rows, members + i,
						   m - i < OMENDB_BLOCK_ROWS ? m - i : OMENDB_BLOCK_ROWS, work->packed,
						   work->norms, work->scales, leaders, fanout,
						   assigned + (size_t) i * fanout);
	}
}

/*
 * Counting sort of the rows by the leaders they are assigned to. False where a part
 * has almost all of them.
 */
static bool
sort_parts(const Parts *parts, const uint32_t *members, const uint32_t *slots, uint32_t m,
		   uint32_t leaders, uint32_t fanout)
{
	uint32_t *starts = parts->starts;
	bool smaller = true;

	memset(starts, 0, (leaders + 2) * sizeof(uint32_t));
	for (size_t i = 0; i < (size_t) m * fanout; i++)
		starts[parts->assigned[i] + 2]++;
	for (uint32_t s = 1; s <= leaders; s++)
	{
		smaller &= starts[s + 1] < m - m / 8;
		starts[s + 1] += starts[s];
	}
	for (uint32_t i = 0; i < m; i++)
		for (uint32_t k = 0; k < fanout; k++)
		{
			uint32_t to = starts[parts->assigned[(size_t) i * fanout + k] + 1]++;

			parts->members[to] = members[i];
			parts->slots[to] = slots[i] + k;
		}
	return smaller;
}

static bool split(OmendbBulkWork *work, const OmendbRows *rows, const uint32_t *members,
				  const uint32_t *slots, uint32_t m, uint32_t fanout, bool finest, uint64_t seed);

/* The cluster by local rows, where the rows that there are do not split it. */
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
	if (all && omendb_bulk_local(work, rows, members, m, m / 2, &local))
	{
		good = split(work, &local, all, slots, m, fanout, true, seed);
		omendb_bulk_local_free(work, &local);
	}
	if (all)
		allocator->release(allocator->context, all);
	return good;
}

/* finest: the rows are local ones of all the cluster, others would not be finer. */
static bool
split(OmendbBulkWork *work, const OmendbRows *rows, const uint32_t *members, const uint32_t *slots,
	  uint32_t m, uint32_t fanout, bool finest, uint64_t seed)
{
	const OmendbBulk *bulk = work->bulk;
	Parts parts;
	uint32_t leaders;
	void *memory;
	bool smaller;
	bool good = true;

	if (m <= bulk->leaf)
		return m == 0 || omendb_bulk_leaf(work, rows, members, slots, m);
	leaders = (uint32_t) ((uint64_t) m * fanout * LEADERS_NUMERATOR /
						  ((uint64_t) bulk->leaf * LEADERS_DENOMINATOR)) +
			  1;
	leaders = leaders < fanout + 1 ? fanout + 1 : leaders;
	leaders = leaders > OMENDB_BULK_LEADERS ? OMENDB_BULK_LEADERS : leaders;
	memory = allocate_parts(work->allocator, &parts, leaders, (size_t) m * fanout);
	if (!memory)
		return false;
	assign_parts(work, rows, members, m, leaders, fanout, seed, parts.assigned);
	smaller = sort_parts(&parts, members, slots, m, leaders, fanout);
	if (!smaller && !finest && !work->level->in_parts && !rows->ip && rows->depth < BULK_MOST_DEPTH)
	{
		work->allocator->release(work->allocator->context, memory);
		return split_local(work, rows, members, slots, m, fanout, seed);
	}
	for (uint32_t s = 0; s < leaders && good; s++)
	{
		uint32_t from = parts.starts[s];
		uint32_t size = parts.starts[s + 1] - from;

		if (smaller)
			good = split(work, rows, parts.members + from, parts.slots + from, size, 1, false,
						 omendb_hash64(seed + s + 1));
		else
			good = cut_up(work, rows, parts.members + from, parts.slots + from, size);
	}
	work->allocator->release(work->allocator->context, memory);
	return good;
}

bool
omendb_bulk_split(OmendbBulkWork *work, uint32_t cluster)
{
	const OmendbAllocator *allocator = work->allocator;
	const OmendbBulk *bulk = work->bulk;
	uint32_t from = bulk->starts[cluster];
	uint32_t m = bulk->starts[cluster + 1] - from;
	size_t capacity = bulk->fanout[1] * (bulk->forward + bulk->backward);
	uint32_t *slots = allocator->resize(allocator->context, NULL, (m + 1) * sizeof(uint32_t));
	bool good;

	if (!slots)
		return false;
	/* A row's candidates have places of their own, or the member's in the group. */
	for (uint32_t i = 0; i < m; i++)
		slots[i] =
			work->level->in_parts ? (from + i) * bulk->fanout[1] : bulk->member_slots[from + i];
	if (work->level->in_parts)
		memset(bulk->found + from * capacity, 0xff, m * capacity * sizeof(uint32_t));
	else
		work->next_place = bulk->order_starts[cluster];
	good = split(work, &bulk->rows, bulk->members + from, slots, m, bulk->fanout[1], false,
				 omendb_hash64(work->level->seed + 777 + bulk->group_first + cluster));
	allocator->release(allocator->context, slots);
	return good;
}
