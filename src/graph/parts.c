/*
 * parts.c
 *	  The phases of a level that is built in parts.
 */
#include "graph/parts.h"

#include <string.h>

#include "graph/bulkwork.h"

static uint32_t
nearest(const OmendbBuildLevel *level)
{
	return level->bulk.shape.fanout[0];
}

static size_t
found_of_member(const OmendbBulk *bulk)
{
	return bulk->shape.fanout[1] * (bulk->shape.forward + bulk->shape.backward);
}

/* ---------------------------------------------------------------- memory */

size_t
omendb_parts_attach(OmendbBuildLevel *level, void *memory)
{
	OmendbBulk *bulk = &level->bulk;
	size_t n = level->parts.capacity;
	size_t leaders = bulk->leaders.n;
	size_t used = 0;

	bulk->rows.elements = build_carve(memory, &used, n * bulk->rows.row_bytes);
	bulk->rows.exponents = build_carve(memory, &used, n);
	bulk->rows.norms = build_carve(memory, &used, n * sizeof(float));
	bulk->apart = build_carve(memory, &used, n * sizeof(OmendbApart));
	bulk->clusters.assigned = build_carve(memory, &used, n * nearest(level) * sizeof(uint16_t));
	bulk->clusters.starts = build_carve(memory, &used, (leaders + 1) * sizeof(uint32_t));
	bulk->batch.sizes = build_carve(memory, &used, leaders * sizeof(uint32_t));
	bulk->leaders.nodes = build_carve(memory, &used, leaders * sizeof(uint32_t));
	bulk->leaders.norms = build_carve(memory, &used, (leaders + 16) * sizeof(float));
	bulk->leaders.scales = build_carve(memory, &used, (leaders + 16) * sizeof(float));
	bulk->leaders.packed = build_carve(memory, &used,
									   (leaders + OMENDB_BLOCK_COLUMNS - 1) / OMENDB_BLOCK_COLUMNS *
										   OMENDB_PACKED_BYTES(bulk->shape.dimensions));
	bulk->clusters.members = build_carve(memory, &used, bulk->batch.capacity * sizeof(uint32_t));
	bulk->clusters.slots = build_carve(memory, &used, bulk->batch.capacity);
	/* Candidates are found before they are chosen from. */
	bulk->batch.found = bulk->candidates = NULL;
	if (!bulk->shape.in_records)
		bulk->candidates = build_carve(memory, &used,
									   (size_t) level->parts.window_capacity * nearest(level) *
										   found_of_member(bulk) * sizeof(uint32_t));
	bulk->outside.nodes = build_carve(memory, &used, bulk->outside.capacity * sizeof(uint32_t));
	bulk->batch.found = build_carve(
		memory, &used, (size_t) bulk->batch.capacity * found_of_member(bulk) * sizeof(uint32_t));
	return used;
}

size_t
omendb_parts_prepare(OmendbBuildLevel *level, uint32_t capacity, uint32_t window_capacity,
					 uint32_t outside_capacity, uint32_t group_capacity)
{
	OmendbBulk *bulk = &level->bulk;
	const OmendbLayout *layout = &level->array->codec->layout;
	uint32_t leaders;

	level->phase = OMENDB_BUILD_NEW;
	level->in_bulk = level->parts.on = true;
	level->bulk.leaders.chosen = false;
	level->parts.capacity = capacity;
	level->parts.window_capacity = window_capacity;
	level->window.first = level->window.n = 0;
	omendb_bulk_set_shape(bulk, layout, capacity > OMENDB_BULK_FEW ? capacity : OMENDB_BULK_FEW + 1,
						  level->edges, level->options.ef_construction);
	bulk->outside.capacity = outside_capacity;
	bulk->batch.capacity = group_capacity;
	/* They are chosen from a window of rows. */
	leaders = window_capacity / 2 > OMENDB_PARTS_LEAST_LEADERS ? window_capacity / 2
															   : OMENDB_PARTS_LEAST_LEADERS;
	if (bulk->leaders.n > leaders)
		bulk->leaders.n = leaders;
	return omendb_parts_attach(level, NULL);
}

/* ---------------------------------------------------------------- phases */

void
omendb_parts_begin_window(OmendbBuildLevel *level, uint32_t first, uint32_t n)
{
	level->window.first = first;
	level->window.n = n;
	level->phase = OMENDB_BUILD_NEW;
}

void
omendb_parts_begin_choice(OmendbBuildLevel *level, uint32_t first, uint32_t n)
{
	level->window.first = first;
	level->window.n = n;
	level->phase = OMENDB_BUILD_CHOOSE;
}

void
omendb_parts_begin_encoding(OmendbBuildLevel *level, uint32_t n, bool first)
{
	level->bulk.outside.n = n;
	level->bulk.outside.first = first;
	level->phase = OMENDB_BUILD_ENCODE;
}

void
omendb_parts_begin_clusters(OmendbBuildLevel *level)
{
	OmendbBulk *bulk = &level->bulk;
	uint32_t f = nearest(level);

	memset(bulk->batch.sizes, 0, bulk->leaders.n * sizeof(uint32_t));
	for (uint32_t i = 0; i < level->n; i++)
	{
		if (i % 65536 == 0)
			bulk_interrupt(level);
		for (uint32_t k = 0; k < f; k++)
			bulk->batch.sizes[bulk->clusters.assigned[(size_t) i * f + k]]++;
	}
	bulk->batch.n = bulk->batch.first = 0;
	bulk->batch.next = bulk->batch.next_from = 0;
}

/*
 * Which clusters: as many as there is room for, or a piece of one that is too large:
 * `skip` of its members are done, `take` of them go with this group.
 */
static bool
next_clusters(OmendbBulk *bulk, uint32_t *skip, uint32_t *take)
{
	uint32_t left;

	while (bulk->batch.next < bulk->leaders.n &&
		   bulk->batch.next_from == bulk->batch.sizes[bulk->batch.next])
	{
		bulk->batch.next++;
		bulk->batch.next_from = 0;
	}
	bulk->batch.first = bulk->batch.next;
	bulk->batch.n = bulk->batch.members = 0;
	if (bulk->batch.next == bulk->leaders.n)
		return false;
	left = bulk->batch.sizes[bulk->batch.next] - bulk->batch.next_from;
	*skip = bulk->batch.next_from;
	*take = left < bulk->batch.capacity ? left : bulk->batch.capacity;
	bulk->clusters.starts[0] = 0;
	bulk->clusters.starts[++bulk->batch.n] = bulk->batch.members = *take;
	bulk->batch.next_from += *take;
	if (bulk->batch.next_from < bulk->batch.sizes[bulk->batch.next])
		return true;
	bulk->batch.next_from = 0;
	for (bulk->batch.next++;
		 bulk->batch.next < bulk->leaders.n &&
		 bulk->batch.sizes[bulk->batch.next] <= bulk->batch.capacity - bulk->batch.members;
		 bulk->batch.next++)
	{
		bulk->batch.members += bulk->batch.sizes[bulk->batch.next];
		bulk->clusters.starts[++bulk->batch.n] = bulk->batch.members;
	}
	return true;
}

bool
omendb_parts_next_batch(OmendbBuildLevel *level)
{
	OmendbBulk *bulk = &level->bulk;
	uint32_t f = nearest(level);
	uint32_t skip;
	uint32_t take;
	uint32_t to[OMENDB_BULK_LEADERS];

	if (!next_clusters(bulk, &skip, &take))
		return false;
	memcpy(to, bulk->clusters.starts, bulk->batch.n * sizeof(uint32_t));
	for (uint32_t i = 0; i < level->n; i++)
	{
		const uint16_t *assigned = bulk->clusters.assigned + (size_t) i * f;

		if (i % 65536 == 0)
			bulk_interrupt(level);
		for (uint32_t k = 0; k < f; k++)
		{
			uint32_t c = assigned[k] - bulk->batch.first;

			if (c >= bulk->batch.n)
				continue;
			if (c == 0 && skip > 0)
			{
				skip--;
				continue;
			}
			if (c == 0 && take == 0)
				continue;
			take -= c == 0;
			bulk->clusters.members[to[c]] = i;
			bulk->clusters.slots[to[c]++] = (uint8_t) k;
		}
	}
	level->phase = OMENDB_BUILD_LEAVES;
	return true;
}

uint32_t
omendb_parts_found(const OmendbBuildLevel *level, uint32_t member, uint32_t *node, uint32_t *which,
				   const uint32_t **candidates)
{
	const OmendbBulk *bulk = &level->bulk;

	*node = bulk->clusters.members[member];
	*which = bulk->clusters.slots[member];
	*candidates = bulk->batch.found + member * found_of_member(bulk);
	return (uint32_t) found_of_member(bulk);
}

size_t
omendb_parts_found_bytes(const OmendbBuildLevel *level)
{
	return found_of_member(&level->bulk) * sizeof(uint32_t);
}

uint32_t *
omendb_parts_candidates(const OmendbBuildLevel *level, uint32_t node, uint32_t which)
{
	return bulk_candidates(level, node) + which * found_of_member(&level->bulk);
}
