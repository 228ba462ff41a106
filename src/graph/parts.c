/*
 * parts.c
 *	  The memory and the phases of a level that is built in parts.
 */
#include "graph/parts.h"

#include <string.h>

#include "graph/bulkwork.h"

/* Number of leaders that a row is assigned to. */
static uint32_t
assignments(const OmendbBuildLevel *level)
{
	return level->bulk.shape.fanout[0];
}

/* Number of places for candidates that a member of a cluster has. */
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
	OmendbClusters *clusters = &bulk->clusters;
	OmendbClusterBatch *batch = &bulk->batch;
	size_t n = level->parts.capacity;
	size_t leaders = bulk->leaders.n;
	size_t used = 0;

	omendb_bulk_carve_rows(bulk, n, memory, &used);
	bulk->apart = build_carve(memory, &used, n * sizeof(OmendbApart));
	clusters->assigned = build_carve(memory, &used, n * assignments(level) * sizeof(uint16_t));
	clusters->starts = build_carve(memory, &used, (leaders + 1) * sizeof(uint32_t));
	batch->sizes = build_carve(memory, &used, leaders * sizeof(uint32_t));
	omendb_bulk_carve_leaders(bulk, memory, &used);
	clusters->members = build_carve(memory, &used, batch->capacity * sizeof(uint32_t));
	clusters->slots = build_carve(memory, &used, batch->capacity);
	bulk->candidates = NULL;
	if (!bulk->shape.in_records)
		bulk->candidates = build_carve(memory, &used,
									   (size_t) level->parts.window_capacity * assignments(level) *
										   found_of_member(bulk) * sizeof(uint32_t));
	bulk->outside.nodes = build_carve(memory, &used, bulk->outside.capacity * sizeof(uint32_t));
	batch->found = build_carve(memory, &used,
							   (size_t) batch->capacity * found_of_member(bulk) * sizeof(uint32_t));
	return used;
}

size_t
omendb_parts_prepare(OmendbBuildLevel *level, uint32_t capacity, uint32_t window_capacity,
					 uint32_t outside_capacity, uint32_t batch_capacity)
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
	bulk->batch.capacity = batch_capacity;
	/* Leaders are a sample of the rows of one window. */
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
omendb_parts_count_clusters(OmendbBuildLevel *level)
{
	OmendbBulk *bulk = &level->bulk;
	uint32_t f = assignments(level);

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
 * Set the clusters of the next batch: as many as its capacity holds, or a piece of one cluster that is
 * too large: *skip of its members were in earlier batches, *take of them are in this one. False if
 * no members are left.
 */
static bool
set_batch(OmendbBulk *bulk, uint32_t *skip, uint32_t *take)
{
	OmendbClusterBatch *batch = &bulk->batch;
	uint32_t left;

	while (batch->next < bulk->leaders.n && batch->next_from == batch->sizes[batch->next])
	{
		batch->next++;
		batch->next_from = 0;
	}
	batch->first = batch->next;
	batch->n = batch->members = 0;
	if (batch->next == bulk->leaders.n)
		return false;
	left = batch->sizes[batch->next] - batch->next_from;
	*skip = batch->next_from;
	*take = left < batch->capacity ? left : batch->capacity;
	bulk->clusters.starts[0] = 0;
	bulk->clusters.starts[++batch->n] = batch->members = *take;
	batch->next_from += *take;
	if (batch->next_from < batch->sizes[batch->next])
		return true;
	batch->next_from = 0;
	for (batch->next++; batch->next < bulk->leaders.n &&
						batch->sizes[batch->next] <= batch->capacity - batch->members;
		 batch->next++)
	{
		batch->members += batch->sizes[batch->next];
		bulk->clusters.starts[++batch->n] = batch->members;
	}
	return true;
}

bool
omendb_parts_next_batch(OmendbBuildLevel *level)
{
	OmendbBulk *bulk = &level->bulk;
	uint32_t f = assignments(level);
	uint32_t skip;
	uint32_t take;
	uint32_t to[OMENDB_BULK_LEADERS];

	if (!set_batch(bulk, &skip, &take))
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
