/*
 * partleaders.c
 *	  Leaders into parts.
 *
 * Leaders are halved by the difference of their distances to two of them, again and
 * again; of some pairs that pair is taken by which fewest rows have leaders on both sides.
 * Then leaders move one by one to where they share more rows.
 */
#include "graph/parts.h"

#include <stdlib.h>
#include <string.h>

#include "graph/bulkwork.h"

/* Pairs of leaders that are tried, and rounds in which leaders move. */
#define PAIRS  12
#define ROUNDS 4

/* A part may have so many tenths of its share of the rows. */
#define MOST_TENTHS 11

static uint32_t
nearest(const OmendbBuildLevel *level)
{
	return level->bulk.fanout[0];
}

/* ---------------------------------------------------------------- halving */

typedef struct Projected
{
	float at;
	uint16_t leader;
} Projected;

typedef struct Grouping
{
	OmendbBuildLevel *level;
	uint32_t leaders;
	uint16_t *part_of;
	uint32_t *weights; /* rows of which a leader is the nearest, and 1 */
	uint32_t *starts;  /* leaders + 1: of a leader's rows in rows */
	uint32_t *rows;    /* assigned to a leader, of all leaders */
	Projected *line;   /* leaders */
	uint16_t *best;    /* leaders: the order of the best pair */
	uint8_t *side;     /* leaders: 0 none, 1, 2 */
	const int8_t **others;
	int32_t *products;
	float *distances; /* leaders */
} Grouping;

static int
by_place(const void *a, const void *b)
{
	const Projected *x = a;
	const Projected *y = b;

	if (x->at != y->at)
		return x->at < y->at ? -1 : 1;
	return x->leader < y->leader ? -1 : x->leader > y->leader;
}

/* Squared distances from one leader to n others, without the one's own norm. */
static void
measure(Grouping *grouping, uint16_t from, const uint16_t *leaders, uint32_t n)
{
	const OmendbBulk *bulk = &grouping->level->bulk;
	const OmendbRows *rows = &bulk->rows;
	float factor = -2 * bulk->leader_scales[from];

	for (uint32_t i = 0; i < n; i++)
		grouping->others[i] = bulk_row(rows, bulk->leader_nodes[leaders[i]]);
	omendb_kernels.row_products(bulk_row(rows, bulk->leader_nodes[from]), grouping->others, n,
								bulk->dimensions, grouping->products);
	for (uint32_t i = 0; i < n; i++)
		grouping->distances[i] =
			bulk->leader_norms[leaders[i]] +
			factor * bulk->leader_scales[leaders[i]] * (float) grouping->products[i];
}

/* Put the leaders on the line between two of them: line[i] is where. */
static void
project(Grouping *grouping, const uint16_t *leaders, uint32_t n, uint32_t first)
{
	uint32_t farthest = 0;

	measure(grouping, leaders[first], leaders, n);
	for (uint32_t i = 0; i < n; i++)
	{
		grouping->line[i] = (Projected){grouping->distances[i], leaders[i]};
		if (grouping->distances[i] > grouping->distances[farthest])
			farthest = i;
	}
	measure(grouping, leaders[farthest], leaders, n);
	for (uint32_t i = 0; i < n; i++)
		grouping->line[i].at -= grouping->distances[i];
}

/* How many of the first leaders on the line have a share of all of their weight? */
static uint32_t
cut_line(const Grouping *grouping, uint32_t n, uint32_t share, uint32_t of)
{
	uint64_t all = 0;
	uint64_t sum = 0;
	uint32_t k = 0;

	for (uint32_t i = 0; i < n; i++)
		all += grouping->weights[grouping->line[i].leader];
	while (k + 1 < n && (k == 0 || sum * of < all * share))
		sum += grouping->weights[grouping->line[k++].leader];
	return k;
}

/* Rows that would be in both halves, the first k of the n leaders and the others. */
static uint32_t
count_shared(Grouping *grouping, uint32_t k, uint32_t n)
{
	const OmendbBuildLevel *level = grouping->level;
	uint32_t f = nearest(level);
	uint32_t shared = 0;

	memset(grouping->side, 0, grouping->leaders);
	for (uint32_t i = 0; i < n; i++)
		grouping->side[grouping->line[i].leader] = i < k ? 1 : 2;
	for (uint32_t i = 0; i < level->in_window; i++)
	{
		uint8_t sides = 0;

		for (uint32_t j = 0; j < f; j++)
			sides |= grouping->side[level->bulk.assigned[(size_t) i * f + j]];
		shared += sides == 3;
	}
	return shared;
}

/* Let n leaders be parts first .. first + parts - 1. */
static void
halve(Grouping *grouping, uint16_t *leaders, uint32_t n, uint32_t first, uint32_t parts)
{
	uint32_t least = UINT32_MAX;
	uint32_t best_cut = 0;

	if (parts == 1 || n < 2)
	{
		for (uint32_t i = 0; i < n; i++)
			grouping->part_of[leaders[i]] = (uint16_t) first;
		return;
	}
	bulk_interrupt(grouping->level);
	for (uint32_t t = 0; t < PAIRS; t++)
	{
		uint32_t pole =
			(uint32_t) (omendb_hash64(((uint64_t) first << 32) + ((uint64_t) parts << 16) + t) % n);
		uint32_t shared;
		uint32_t k;

		project(grouping, leaders, n, pole);
		qsort(grouping->line, n, sizeof(Projected), by_place);
		k = cut_line(grouping, n, parts / 2, parts);
		shared = count_shared(grouping, k, n);
		if (shared >= least)
			continue;
		least = shared;
		best_cut = k;
		for (uint32_t i = 0; i < n; i++)
			grouping->best[i] = grouping->line[i].leader;
	}
	memcpy(leaders, grouping->best, n * sizeof(uint16_t));
	halve(grouping, leaders, best_cut, first, parts / 2);
	halve(grouping, leaders + best_cut, n - best_cut, first + parts / 2, parts - parts / 2);
}

/* ---------------------------------------------------------------- moving */

/* Which rows are assigned to each leader? */
static void
list_rows(Grouping *grouping)
{
	const OmendbBuildLevel *level = grouping->level;
	uint32_t f = nearest(level);
	size_t entries = (size_t) level->in_window * f;
	uint32_t *starts = grouping->starts;

	memset(starts, 0, (grouping->leaders + 1) * sizeof(uint32_t));
	for (size_t e = 0; e < entries; e++)
		starts[level->bulk.assigned[e] + 1]++;
	for (uint32_t s = 0; s < grouping->leaders; s++)
		starts[s + 1] += starts[s];
	for (size_t e = 0; e < entries; e++)
		grouping->rows[starts[level->bulk.assigned[e]]++] = (uint32_t) (e / f);
	memmove(starts + 1, starts, grouping->leaders * sizeof(uint32_t));
	starts[0] = 0;
}

/*
 * Move the leader to the part where that makes rows guests of fewest parts, if that has
 * room. loads: the weights of parts.
 */
static bool
move_leader(Grouping *grouping, uint16_t leader, uint32_t parts, uint64_t *loads, uint64_t most,
			uint32_t *counts)
{
	const OmendbBulk *bulk = &grouping->level->bulk;
	uint16_t now = grouping->part_of[leader];
	uint16_t best = now;
	uint32_t weight = grouping->weights[leader];
	uint32_t f = nearest(grouping->level);

	/* counts[p]: of the leader's rows, how many are in part p, this leader left out */
	memset(counts, 0, parts * sizeof(uint32_t));
	for (uint32_t r = grouping->starts[leader]; r < grouping->starts[leader + 1]; r++)
	{
		const uint16_t *assigned = bulk->assigned + (size_t) grouping->rows[r] * f;

		for (uint32_t k = 0; k < f; k++)
		{
			uint16_t part = grouping->part_of[assigned[k]];
			bool counted = assigned[k] == leader;

			for (uint32_t j = 0; j < k && !counted; j++)
				counted = assigned[j] != leader && grouping->part_of[assigned[j]] == part;
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
	grouping->part_of[leader] = best;
	return true;
}

static bool
move_leaders(Grouping *grouping, uint32_t parts, uint32_t *counts)
{
	uint64_t loads[OMENDB_PARTS_MOST] = {0};
	uint64_t all = 0;
	bool moved = false;

	for (uint32_t s = 0; s < grouping->leaders; s++)
	{
		loads[grouping->part_of[s]] += grouping->weights[s];
		all += grouping->weights[s];
	}
	for (uint32_t s = 0; s < grouping->leaders; s++)
	{
		if (s % 64 == 0)
			bulk_interrupt(grouping->level);
		moved |= move_leader(grouping, (uint16_t) s, parts, loads, all * MOST_TENTHS / (10 * parts),
							 counts);
	}
	return moved;
}

static size_t
carve(Grouping *grouping, uint8_t *memory)
{
	size_t used = 0;
	size_t n = grouping->leaders;
	size_t entries = (size_t) grouping->level->in_window * nearest(grouping->level);

	grouping->weights = build_part(memory, &used, n * sizeof(uint32_t));
	grouping->starts = build_part(memory, &used, (n + 1) * sizeof(uint32_t));
	grouping->rows = build_part(memory, &used, entries * sizeof(uint32_t));
	grouping->line = build_part(memory, &used, n * sizeof(Projected));
	grouping->best = build_part(memory, &used, n * sizeof(uint16_t));
	grouping->side = build_part(memory, &used, n);
	grouping->others = build_part(memory, &used, n * sizeof(*grouping->others));
	grouping->products = build_part(memory, &used, (n + 16) * sizeof(int32_t));
	grouping->distances = build_part(memory, &used, n * sizeof(float));
	return used;
}

bool
omendb_parts_group(OmendbBuildLevel *level, const OmendbAllocator *allocator, uint32_t parts,
				   uint16_t *part_of)
{
	Grouping grouping = {.level = level, .leaders = level->bulk.leaders, .part_of = part_of};
	size_t bytes = carve(&grouping, NULL);
	uint32_t counts[OMENDB_PARTS_MOST];
	uint16_t leaders[OMENDB_BULK_LEADERS];
	void *memory = allocator->resize(allocator->context, NULL, bytes);

	if (!memory)
		return false;
	carve(&grouping, memory);
	for (uint32_t s = 0; s < grouping.leaders; s++)
	{
		leaders[s] = (uint16_t) s;
		grouping.weights[s] = 1;
	}
	for (uint32_t i = 0; i < level->in_window; i++)
		grouping.weights[level->bulk.assigned[(size_t) i * nearest(level)]]++;
	halve(&grouping, leaders, grouping.leaders, 0, parts);
	list_rows(&grouping);
	for (uint32_t round = 0; round < ROUNDS && move_leaders(&grouping, parts, counts); round++)
		;
	allocator->release(allocator->context, memory);
	return true;
}

uint32_t
omendb_parts_of(const OmendbBuildLevel *level, const uint16_t *part_of, uint32_t i)
{
	return part_of[level->bulk.assigned[(size_t) i * nearest(level)]];
}
