/*
 * bulk.c
 *	  The bulk build's parameters and memory, rows, leaders and clusters.
 */
#include "graph/bulkwork.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static uint32_t
clamp(uint32_t x, uint32_t low, uint32_t high)
{
	return x < low ? low : x > high ? high : x;
}

/*
 * ef_construction is the number of exact distances that a search for a new row keeps;
 * the pool stands for it, and as many candidates as fill it one and a half times. The
 * constants are measured (bench/README.md, "Bulk build").
 */
void
omendb_bulk_set(OmendbBulk *bulk, const OmendbLayout *layout, uint32_t n, uint32_t edges,
				uint32_t ef_construction)
{
	uint32_t most;

	memset(bulk, 0, sizeof(*bulk));
	bulk->dimensions = layout->dimensions;
	bulk->rows.row_bytes = OMENDB_ROW_LENGTH(layout->dimensions);
	bulk->rows.ip = layout->metric == OMENDB_METRIC_IP;
	bulk->leaf = BULK_MOST_LEAF;
	bulk->forward = bulk->backward = 4;
	bulk->far = 8;
	most = edges + 32 < OMENDB_BULK_POOL ? edges + 32 : OMENDB_BULK_POOL;
	bulk->pool = clamp(2 * ef_construction, most, OMENDB_BULK_POOL);
	bulk->fanout[0] = clamp(bulk->pool / 16, 4, 32);
	bulk->fanout[1] = 3;
	bulk->slots = bulk->fanout[0] * bulk->fanout[1];
	if (n > OMENDB_BULK_FEW)
		bulk->leaders = clamp(n / 100, 2 * bulk->fanout[0], OMENDB_BULK_LEADERS);
	bulk->in_records = bulk->slots * (bulk->forward + bulk->backward) * sizeof(uint32_t) <=
					   omendb_array_stride(layout) - layout->neighbours_offset;
}

size_t
omendb_bulk_attach(OmendbBulk *bulk, uint32_t nodes, void *memory)
{
	size_t n = nodes;
	size_t used = 0;
	uint32_t f = bulk->fanout[0];
	size_t leaders = bulk->leaders;

	bulk->rows.elements = build_part(memory, &used, n * bulk->rows.row_bytes);
	bulk->rows.exponents = build_part(memory, &used, n);
	bulk->rows.norms = build_part(memory, &used, n * sizeof(float));
	if (leaders == 0)
		return used;
	bulk->candidates = NULL;
	if (!bulk->in_records)
		bulk->candidates = build_part(
			memory, &used, n * bulk->slots * (bulk->forward + bulk->backward) * sizeof(uint32_t));
	bulk->assigned = build_part(memory, &used, n * f * sizeof(uint16_t));
	bulk->members = build_part(memory, &used, n * f * sizeof(uint32_t));
	bulk->member_slots = build_part(memory, &used, n * f);
	bulk->starts = build_part(memory, &used, (leaders + 1) * sizeof(uint32_t));
	bulk->order_starts = build_part(memory, &used, (leaders + 1) * sizeof(uint32_t));
	bulk->by_size = build_part(memory, &used, leaders * sizeof(uint32_t));
	bulk->leader_nodes = build_part(memory, &used, leaders * sizeof(uint32_t));
	bulk->leader_norms = build_part(memory, &used, (leaders + 16) * sizeof(float));
	bulk->leader_scales = build_part(memory, &used, (leaders + 16) * sizeof(float));
	bulk->packed = build_part(memory, &used,
							  (leaders + OMENDB_BLOCK_COLUMNS - 1) / OMENDB_BLOCK_COLUMNS *
								  OMENDB_PACKED_BYTES(bulk->dimensions));
	return used;
}

/* ---------------------------------------------------------------- work space */

/* Of the chunk of a level that is compared all with all: rows of other nodes at a time. */
static size_t
gathered(const OmendbBulk *bulk, uint32_t n)
{
	return bulk->leaders == 0 && n > BULK_GATHERED ? n : BULK_GATHERED;
}

static size_t
carve_work(OmendbBulkWork *work, const OmendbBulk *bulk, const OmendbCodec *codec, uint32_t n,
		   uint8_t *memory)
{
	size_t used = 0;
	size_t floats = codec->layout.dimensions + omendb_code_floats(codec) + 64;
	size_t leaf = bulk->leaf + OMENDB_BLOCK_ROWS;
	size_t most = bulk->leaf > OMENDB_BULK_LEADERS ? bulk->leaf : OMENDB_BULK_LEADERS;
	size_t wide = (most + 2 * OMENDB_BLOCK_COLUMNS) / OMENDB_BLOCK_COLUMNS * OMENDB_BLOCK_COLUMNS;
	size_t pool = gathered(bulk, n);

	work->stored = build_part(memory, &used, floats * sizeof(float));
	work->own_code = build_part(memory, &used, floats * sizeof(float));
	work->other_code = build_part(memory, &used, floats * sizeof(float));
	work->scratch = build_part(memory, &used, 2 * floats * sizeof(float));
	work->block = build_part(memory, &used, wide * sizeof(*work->block));
	work->packed = build_part(memory, &used,
							  wide / OMENDB_BLOCK_COLUMNS * OMENDB_PACKED_BYTES(bulk->dimensions));
	work->norms = build_part(memory, &used, wide * sizeof(float));
	work->scales = build_part(memory, &used, wide * sizeof(float));
	work->tile = build_part(memory, &used, OMENDB_BLOCK_ROWS * wide * sizeof(int32_t));
	work->near_values = build_part(memory, &used, leaf * bulk->forward * sizeof(float));
	work->near = build_part(memory, &used, leaf * bulk->forward * sizeof(uint32_t));
	work->near_count = build_part(memory, &used, leaf);
	work->back_values = build_part(memory, &used, leaf * bulk->backward * sizeof(float));
	work->back = build_part(memory, &used, leaf * bulk->backward * sizeof(uint32_t));
	work->back_count = build_part(memory, &used, leaf);
	work->beyond_values = build_part(memory, &used, leaf * BULK_BEYOND * sizeof(float));
	work->beyond = build_part(memory, &used, leaf * BULK_BEYOND * sizeof(uint32_t));
	work->beyond_count = build_part(memory, &used, leaf);
	work->back_beyond_values = build_part(memory, &used, leaf * BULK_BEYOND * sizeof(float));
	work->back_beyond = build_part(memory, &used, leaf * BULK_BEYOND * sizeof(uint32_t));
	work->back_beyond_count = build_part(memory, &used, leaf);
	work->members = build_part(memory, &used, (pool + OMENDB_BULK_POOL + 1) * sizeof(uint32_t));
	work->keys = build_part(memory, &used, (pool + 16) * sizeof(uint64_t));
	work->sorted = build_part(memory, &used, (BULK_GATHERED + 16) * sizeof(uint64_t));
	work->ranks = build_part(memory, &used, (BULK_GATHERED + 32) * sizeof(uint16_t));
	work->hash = build_part(memory, &used, BULK_HASH * sizeof(uint32_t));
	work->stamps = build_part(memory, &used, BULK_HASH * sizeof(uint16_t));
	work->candidates = build_part(memory, &used, pool * sizeof(*work->candidates));
	work->products = build_part(memory, &used, (pool + 16) * sizeof(int32_t));
	work->codes = build_part(
		memory, &used, (size_t) bulk->rows.row_bytes / 64 * OMENDB_BULK_POOL * sizeof(uint64_t));
	/* hamming rows are written, and codes read, a little beyond the pool */
	work->hamming = build_part(
		memory, &used, (size_t) OMENDB_BULK_POOL * BULK_HAMMING_STRIDE * sizeof(uint16_t) + 512);
	work->scaled = build_part(memory, &used, bulk->rows.row_bytes);
	work->center = build_part(memory, &used, floats * sizeof(float));
	return used;
}

bool
omendb_bulk_work(OmendbBulkWork *work, OmendbBuildLevel *level, const OmendbAllocator *allocator)
{
	const OmendbCodec *codec = level->array->codec;
	size_t bytes = carve_work(work, &level->bulk, codec, level->n, NULL) + 64;
	void *memory = work->memory;
	uint8_t *aligned;

	if (bytes > work->bytes)
	{
		memory = allocator->resize(allocator->context, memory, bytes);
		if (!memory)
			return false;
		work->memory = memory;
		work->bytes = bytes;
	}
	aligned = (uint8_t *) build_align((uintptr_t) memory);
	carve_work(work, &level->bulk, codec, level->n, aligned);
	memset(aligned, 0, bytes - 64);
	work->stamp = 0;
	work->level = level;
	work->bulk = &level->bulk;
	work->allocator = allocator;
	return true;
}

void
omendb_bulk_work_free(OmendbBulkWork *work, const OmendbAllocator *allocator)
{
	if (work->memory)
		allocator->release(allocator->context, work->memory);
}

/* ---------------------------------------------------------------- phases */

uint32_t
omendb_bulk_positions(const OmendbBuildLevel *level, OmendbBuildPhase phase)
{
	if (phase == OMENDB_BUILD_LEAVES)
		return level->in_parts ? level->bulk.group_n : level->bulk.leaders;
	return (level->in_window + OMENDB_BLOCK_ROWS - 1) / OMENDB_BLOCK_ROWS;
}

bool
omendb_bulk_position(OmendbBulkWork *work, OmendbBuildPhase phase, uint32_t position)
{
	const OmendbBuildLevel *level = work->level;
	OmendbBulk *bulk = work->bulk;
	uint32_t from = level->window + position * OMENDB_BLOCK_ROWS;
	uint32_t left = level->window + level->in_window - from;
	uint32_t count = left < OMENDB_BLOCK_ROWS ? left : OMENDB_BLOCK_ROWS;
	uint32_t nodes[OMENDB_BLOCK_ROWS];

	switch (phase)
	{
		case OMENDB_BUILD_QUANTIZE:
			for (uint32_t i = 0; i < count; i++)
				omendb_bulk_quantize(work, from + i);
			return true;
		case OMENDB_BUILD_ASSIGN:
			for (uint32_t i = 0; i < count; i++)
				nodes[i] = from + i;
			omendb_bulk_assign(work, &bulk->rows, nodes, count, bulk->packed, bulk->leader_norms,
							   bulk->leader_scales, bulk->leaders, bulk->fanout[0],
							   bulk->assigned + (size_t) from * bulk->fanout[0]);
			return true;
		case OMENDB_BUILD_LEAVES:
			return omendb_bulk_split(work, level->in_parts ? position : bulk->by_size[position]);
		case OMENDB_BUILD_ENCODE:
			for (uint32_t i = 0; i < count; i++)
				omendb_bulk_encode(work, from + i);
			return true;
		default:
			for (uint32_t i = 0; i < count; i++)
				if (!omendb_bulk_choose(work, level->in_parts ? from + i : bulk->order[from + i]))
					return false;
			return true;
	}
}
