/*
 * partleaders.c
 *	  The assignment of leaders to parts.
 *
 * A set of leaders is halved, and each half again, until there are as many sets as parts. The halves
 * differ by which of two leaders is nearer; of some such pairs the one is used by which fewest rows
 * have leaders in both halves. Then leaders move one by one to a part that has more of their rows.
 */
#include "graph/parts.h"

#include <stdlib.h>
#include <string.h>

#include "graph/bulkwork.h"

/* Number of pairs of leaders that are tried for a halving. */
#define PAIRS 12

/* Maximum number of passes over the leaders in which they move. */
#define PASSES 4

/* Maximum weight of a part, in tenths of an even share. */
#define MOST_TENTHS 11

/* Number of leaders that a row is assigned to. */
static uint32_t
assignments(const OmendbBuildLevel *level)
{
	return level->bulk.shape.fanout[0];
}

/* ---------------------------------------------------------------- halving */

/* A leader on the line between two others: its squared distance from one less that from the other. */
typedef struct Projected
{
	float at;
	uint16_t leader;
} Projected;

typedef struct Partition
{
	OmendbBuildLevel *level;
	uint32_t leaders;
	uint16_t *part_of; /* leaders */
	uint32_t *weights; /* leaders: rows of which it is the nearest, and 1 */
	uint32_t *starts;  /* leaders + 1: of a leader's rows in rows */
	uint32_t *rows;    /* of each leader, those assigned to it */
	Projected *line;   /* leaders */
	uint16_t *best;    /* leaders: in the order on the best line so far */
	uint8_t *side;     /* leaders: 1 and 2, the half; 0: not of this set */
	const int8_t **others;
	int32_t *products;
	float *distances; /* leaders */
} Partition;

static int
by_place(const void *a, const void *b)
{
	const Projected *x = a;
	const Projected *y = b;

	if (x->at != y->at)
		return x->at < y->at ? -1 : 1;
	return x->leader < y->leader ? -1 : x->leader > y->leader;
}

/* Compute the squared distances from leader `from` to n others, less that leader's own norm. */
static void
compute_distances(Partition *partition, uint16_t from, const uint16_t *leaders, uint32_t n)
{
	const OmendbBulk *bulk = &partition->level->bulk;
	const OmendbRows *rows = &bulk->rows;
	float factor = -2 * bulk->leaders.scales[from];

	for (uint32_t i = 0; i < n; i++)
		partition->others[i] = bulk_row(rows, bulk->leaders.nodes[leaders[i]]);
	omendb_kernels.row_products(bulk_row(rows, bulk->leaders.nodes[from]), partition->others, n,
								bulk->shape.dimensions, partition->products);
	for (uint32_t i = 0; i < n; i++)
		partition->distances[i] =
			bulk->leaders.norms[leaders[i]] +
			factor * bulk->leaders.scales[leaders[i]] * (float) partition->products[i];
}

/* Set line[] to the leaders on the line between leaders[first] and the farthest from that one. */
static void
project_leaders(Partition *partition, const uint16_t *leaders, uint32_t n, uint32_t first)
{
	uint32_t farthest = 0;

	compute_distances(partition, leaders[first], leaders, n);
	for (uint32_t i = 0; i < n; i++)
	{
		partition->line[i] = (Projected){partition->distances[i], leaders[i]};
		if (partition->distances[i] > partition->distances[farthest])
			farthest = i;
	}
	compute_distances(partition, leaders[farthest], leaders, n);
	for (uint32_t i = 0; i < n; i++)
		partition->line[i].at -= partition->distances[i];
}

/* Number of first leaders on the line that have share / of of the weight of all. */
static uint32_t
cut_line(const Partition *partition, uint32_t n, uint32_t share, uint32_t of)
{
	uint64_t all = 0;
	uint64_t sum = 0;
	uint32_t k = 0;

	for (uint32_t i = 0; i < n; i++)
		all += partition->weights[partition->line[i].leader];
	while (k + 1 < n && (k == 0 || sum * of < all * share))
		sum += partition->weights[partition->line[k++].leader];
	return k;
}

/* Count the rows that have leaders in both halves: the first k of the line, and the others. */
static uint32_t
count_shared(Partition *partition, uint32_t k, uint32_t n)
{
	const OmendbBuildLevel *level = partition->level;
	uint32_t f = assignments(level);
	uint32_t shared = 0;

	memset(partition->side, 0, partition->leaders);
	for (uint32_t i = 0; i < n; i++)
		partition->side[partition->line[i].leader] = i < k ? 1 : 2;
	for (uint32_t i = 0; i < level->window.n; i++)
	{
		uint8_t sides = 0;

		for (uint32_t j = 0; j < f; j++)
			sides |= partition->side[level->bulk.clusters.assigned[(size_t) i * f + j]];
		shared += sides == 3;
	}
	return shared;
}

/* Assign n leaders to parts first .. first + parts - 1. */
static void
halve(Partition *partition, uint16_t *leaders, uint32_t n, uint32_t first, uint32_t parts)
{
	uint32_t least = UINT32_MAX;
	uint32_t best_cut = 0;

	if (parts == 1 || n < 2)
	{
		for (uint32_t i = 0; i < n; i++)
			partition->part_of[leaders[i]] = (uint16_t) first;
		return;
	}
	bulk_interrupt(partition->level);
	for (uint32_t t = 0; t < PAIRS; t++)
	{
		uint32_t pole =
			(uint32_t) (omendb_hash64(((uint64_t) first << 32) + ((uint64_t) parts << 16) + t) % n);
		uint32_t shared;
		uint32_t k;

		project_leaders(partition, leaders, n, pole);
		qsort(partition->line, n, sizeof(Projected), by_place);
		k = cut_line(partition, n, parts / 2, parts);
		shared = count_shared(partition, k, n);
		if (shared >= least)
			continue;
		least = shared;
		best_cut = k;
		for (uint32_t i = 0; i < n; i++)
			partition->best[i] = partition->line[i].leader;
	}
	memcpy(leaders, partition->best, n * sizeof(uint16_t));
	halve(partition, leaders, best_cut, first, parts / 2);
	halve(partition, leaders + best_cut, n - best_cut, first + parts / 2, parts - parts / 2);
}

/* ---------------------------------------------------------------- moving */

/* List the rows of each leader, by a counting sort. */
static void
list_rows(Partition *partition)
{
	const OmendbBuildLevel *level = partition->level;
	uint32_t f = assignments(level);
	size_t entries = (size_t) level->window.n * f;
	uint32_t *starts = partition->starts;

	memset(starts, 0, (partition->leaders + 1) * sizeof(uint32_t));
	for (size_t e = 0; e < entries; e++)
		starts[level->bulk.clusters.assigned[e] + 1]++;
	for (uint32_t s = 0; s < partition->leaders; s++)
		starts[s + 1] += starts[s];
	for (size_t e = 0; e < entries; e++)
		partition->rows[starts[level->bulk.clusters.assigned[e]]++] = (uint32_t) (e / f);
	memmove(starts + 1, starts, partition->leaders * sizeof(uint32_t));
	starts[0] = 0;
}

/*
 * Move a leader to the part that has most of its rows by their other leaders, unless that part would
 * become too large. loads: weights of parts; counts: working memory, one for each part. Returns
 * whether the leader moved.
 */
static bool
move_leader(Partition *partition, uint16_t leader, uint32_t parts, uint64_t *loads, uint64_t most,
			uint32_t *counts)
{
	const OmendbBulk *bulk = &partition->level->bulk;
	uint16_t now = partition->part_of[leader];
	uint16_t best = now;
	uint32_t weight = partition->weights[leader];
	uint32_t f = assignments(partition->level);

	/* counts[p]: rows of the leader that are in part p by another leader, too */
	memset(counts, 0, parts * sizeof(uint32_t));
	for (uint32_t r = partition->starts[leader]; r < partition->starts[leader + 1]; r++)
	{
		const uint16_t *assigned = bulk->clusters.assigned + (size_t) partition->rows[r] * f;

		for (uint32_t k = 0; k < f; k++)
		{
			uint16_t part = partition->part_of[assigned[k]];
			bool counted = assigned[k] == leader;

			for (uint32_t j = 0; j < k && !counted; j++)
				counted = assigned[j] != leader && partition->part_of[assigned[j]] == part;
			counts[part] += !counted;
		}
	}
	for (uint32_t p = 0; p < parts; p++)
		if (counts[p] > counts[best] && p != now && loads[p] + weight <= most)
			best = (uint16_t) p;
	if (best == now || loads[now] == weight)
		return false;
	loads[now] -= weight;
	loads[best] += weight;
	partition->part_of[leader] = best;
	return true;
}

static bool
move_leaders(Partition *partition, uint32_t parts, uint32_t *counts)
{
	uint64_t loads[OMENDB_PARTS_MOST] = {0};
	uint64_t all = 0;
	bool moved = false;

	for (uint32_t s = 0; s < partition->leaders; s++)
	{
		loads[partition->part_of[s]] += partition->weights[s];
		all += partition->weights[s];
	}
	for (uint32_t s = 0; s < partition->leaders; s++)
	{
		if (s % 64 == 0)
			bulk_interrupt(partition->level);
		moved |= move_leader(partition, (uint16_t) s, parts, loads,
							 all * MOST_TENTHS / (10 * parts), counts);
	}
	return moved;
}

static size_t
carve(Partition *partition, uint8_t *memory)
{
	size_t used = 0;
	size_t n = partition->leaders;
	size_t entries = (size_t) partition->level->window.n * assignments(partition->level);

	partition->weights = build_carve(memory, &used, n * sizeof(uint32_t));
	partition->starts = build_carve(memory, &used, (n + 1) * sizeof(uint32_t));
	partition->rows = build_carve(memory, &used, entries * sizeof(uint32_t));
	partition->line = build_carve(memory, &used, n * sizeof(Projected));
	partition->best = build_carve(memory, &used, n * sizeof(uint16_t));
	partition->side = build_carve(memory, &used, n);
	partition->others = build_carve(memory, &used, n * sizeof(*partition->others));
	partition->products = build_carve(memory, &used, (n + 16) * sizeof(int32_t));
	partition->distances = build_carve(memory, &used, n * sizeof(float));
	return used;
}

bool
omendb_parts_assign_leaders(OmendbBuildLevel *level, const OmendbAllocator *allocator,
							uint32_t parts, uint16_t *part_of)
{
	Partition partition = {.level = level, .leaders = level->bulk.leaders.n, .part_of = part_of};
	size_t bytes = carve(&partition, NULL);
	uint32_t counts[OMENDB_PARTS_MOST];
	uint16_t leaders[OMENDB_BULK_LEADERS];
	void *memory = allocator->resize(allocator->context, NULL, bytes);

	if (!memory)
		return false;
	carve(&partition, memory);
	for (uint32_t s = 0; s < partition.leaders; s++)
	{
		leaders[s] = (uint16_t) s;
		partition.weights[s] = 1;
	}
	for (uint32_t i = 0; i < level->window.n; i++)
		partition.weights[level->bulk.clusters.assigned[(size_t) i * assignments(level)]]++;
	halve(&partition, leaders, partition.leaders, 0, parts);
	list_rows(&partition);
	for (uint32_t pass = 0; pass < PASSES && move_leaders(&partition, parts, counts); pass++)
		;
	allocator->release(allocator->context, memory);
	return true;
}

uint32_t
omendb_parts_of(const OmendbBuildLevel *level, const uint16_t *part_of, uint32_t i)
{
	return part_of[level->bulk.clusters.assigned[(size_t) i * assignments(level)]];
}
