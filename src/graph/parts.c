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
	return level->bulk.fanout[0];
}

static size_t
found_of_member(const OmendbBulk *bulk)
{
	return bulk->fanout[1] * (bulk->forward + bulk->backward);
}

/* ---------------------------------------------------------------- memory */

size_t
omendb_parts_attach(OmendbBuildLevel *level, void *memory)
{
	OmendbBulk *bulk = &level->bulk;
	size_t n = level->capacity;
	size_t leaders = bulk->leaders;
	size_t used = 0;

	bulk->rows.elements = build_part(memory, &used, n * bulk->rows.row_bytes);
	bulk->rows.exponents = build_part(memory, &used, n);
	bulk->rows.norms = build_part(memory, &used, n * sizeof(float));
	bulk->apart = build_part(memory, &used, n * sizeof(OmendbApart));
	bulk->assigned = build_part(memory, &used, n * nearest(level) * sizeof(uint16_t));
	bulk->starts = build_part(memory, &used, (leaders + 1) * sizeof(uint32_t));
	bulk->sizes = build_part(memory, &used, leaders * sizeof(uint32_t));
	bulk->leader_nodes = build_part(memory, &used, leaders * sizeof(uint32_t));
	bulk->leader_norms = build_part(memory, &used, (leaders + 16) * sizeof(float));
	bulk->leader_scales = build_part(memory, &used, (leaders + 16) * sizeof(float));
	bulk->packed = build_part(memory, &used,
							  (leaders + OMENDB_BLOCK_COLUMNS - 1) / OMENDB_BLOCK_COLUMNS *
								  OMENDB_PACKED_BYTES(bulk->dimensions));
	bulk->members = build_part(memory, &used, bulk->group_capacity * sizeof(uint32_t));
	bulk->member_slots = build_part(memory, &used, bulk->group_capacity);
	/* Candidates are found before they are chosen from. */
	bulk->found = bulk->candidates = NULL;
	if (!bulk->in_records)
		bulk->candidates = build_part(memory, &used,
									  (size_t) level->window_capacity * nearest(level) *
										  found_of_member(bulk) * sizeof(uint32_t));
	bulk->outside = build_part(memory, &used, bulk->outside_capacity * sizeof(uint32_t));
	bulk->found = build_part(
		memory, &used, (size_t) bulk->group_capacity * found_of_member(bulk) * sizeof(uint32_t));
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
	level->in_bulk = level->in_parts = true;
	level->led = false;
	level->capacity = capacity;
	level->window_capacity = window_capacity;
	level->window = level->in_window = 0;
	omendb_bulk_set(bulk, layout, capacity > OMENDB_BULK_FEW ? capacity : OMENDB_BULK_FEW + 1,
					level->edges, level->ef_construction);
	bulk->outside_capacity = outside_capacity;
	bulk->group_capacity = group_capacity;
	/* They are chosen from a window of rows. */
	leaders = window_capacity / 2 > OMENDB_PARTS_LEAST_LEADERS ? window_capacity / 2
															   : OMENDB_PARTS_LEAST_LEADERS;
	if (bulk->leaders > leaders)
		bulk->leaders = leaders;
	return omendb_parts_attach(level, NULL);
}

/* ---------------------------------------------------------------- phases */

void
omendb_parts_window(OmendbBuildLevel *level, uint32_t first, uint32_t n)
{
	level->window = first;
	level->in_window = n;
	level->phase = OMENDB_BUILD_NEW;
}

void
omendb_parts_choose(OmendbBuildLevel *level, uint32_t first, uint32_t n)
{
	level->window = first;
	level->in_window = n;
	level->phase = OMENDB_BUILD_CHOOSE;
}

void
omendb_parts_encode(OmendbBuildLevel *level, uint32_t n, bool first)
{
	level->bulk.outside_n = n;
	level->bulk.outside_first = first;
	level->phase = OMENDB_BUILD_ENCODE;
}

void
omendb_parts_clusters(OmendbBuildLevel *level)
{
	OmendbBulk *bulk = &level->bulk;
	uint32_t f = nearest(level);

	memset(bulk->sizes, 0, bulk->leaders * sizeof(uint32_t));
	for (uint32_t i = 0; i < level->n; i++)
	{
		if (i % 65536 == 0)
			bulk_interrupt(level);
		for (uint32_t k = 0; k < f; k++)
			bulk->sizes[bulk->assigned[(size_t) i * f + k]]++;
	}
	bulk->group_n = bulk->group_first = 0;
	bulk->next = bulk->next_from = 0;
}

/*
 * Which clusters: as many as there is room for, or a piece of one that is too large:
 * `skip` of its members are done, `take` of them go with this group.
 */
static bool
next_clusters(OmendbBulk *bulk, uint32_t *skip, uint32_t *take)
{
	uint32_t left;

	while (bulk->next < bulk->leaders && bulk->next_from == bulk->sizes[bulk->next])
	{
		bulk->next++;
		bulk->next_from = 0;
	}
	bulk->group_first = bulk->next;
	bulk->group_n = bulk->members_n = 0;
	if (bulk->next == bulk->leaders)
		return false;
	left = bulk->sizes[bulk->next] - bulk->next_from;
	*skip = bulk->next_from;
	*take = left < bulk->group_capacity ? left : bulk->group_capacity;
	bulk->starts[0] = 0;
	bulk->starts[++bulk->group_n] = bulk->members_n = *take;
	bulk->next_from += *take;
	if (bulk->next_from < bulk->sizes[bulk->next])
		return true;
	bulk->next_from = 0;
	for (bulk->next++; bulk->next < bulk->leaders &&
					   bulk->sizes[bulk->next] <= bulk->group_capacity - bulk->members_n;
		 bulk->next++)
	{
		bulk->members_n += bulk->sizes[bulk->next];
		bulk->starts[++bulk->group_n] = bulk->members_n;
	}
	return true;
}

bool
omendb_parts_next_group(OmendbBuildLevel *level)
{
	OmendbBulk *bulk = &level->bulk;
	uint32_t f = nearest(level);
	uint32_t skip;
	uint32_t take;
	uint32_t to[OMENDB_BULK_LEADERS];

	if (!next_clusters(bulk, &skip, &take))
		return false;
	memcpy(to, bulk->starts, bulk->group_n * sizeof(uint32_t));
	for (uint32_t i = 0; i < level->n; i++)
	{
		const uint16_t *assigned = bulk->assigned + (size_t) i * f;

		if (i % 65536 == 0)
			bulk_interrupt(level);
		for (uint32_t k = 0; k < f; k++)
		{
			uint32_t c = assigned[k] - bulk->group_first;

			if (c >= bulk->group_n)
				continue;
			if (c == 0 && skip > 0)
			{
				skip--;
				continue;
			}
			if (c == 0 && take == 0)
				continue;
			take -= c == 0;
			bulk->members[to[c]] = i;
			bulk->member_slots[to[c]++] = (uint8_t) k;
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

	*node = bulk->members[member];
	*which = bulk->member_slots[member];
	*candidates = bulk->found + member * found_of_member(bulk);
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
