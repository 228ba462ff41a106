/*
 * bulk.c
 *	  The bulk build's parameters, memory and phases. bulk.h has the steps.
 */
#include "graph/bulkwork.h"

#include <string.h>

static uint32_t
clamp(uint32_t x, uint32_t low, uint32_t high)
{
	return x < low ? low : x > high ? high : x;
}

/*
 * A search for a new row keeps ef_construction exact distances. The pool stands for them. A row gets
 * as many candidates from its leaves as fill the pool one and a half times. The constants are
 * measured (bench/README.md, "Bulk build").
 */
void
omendb_bulk_set_shape(OmendbBulk *bulk, const OmendbLayout *layout, uint32_t n, uint32_t edges,
					  uint32_t ef_construction)
{
	OmendbBulkShape *shape = &bulk->shape;
	uint32_t least = edges + 32 < OMENDB_BULK_POOL ? edges + 32 : OMENDB_BULK_POOL;

	memset(bulk, 0, sizeof(*bulk));
	bulk->rows.row_bytes = OMENDB_ROW_LENGTH(layout->dimensions);
	bulk->rows.ip = layout->metric == OMENDB_METRIC_IP;
	shape->dimensions = layout->dimensions;
	shape->leaf = BULK_MOST_LEAF;
	shape->forward = shape->backward = 4;
	shape->far = 8;
	shape->pool = clamp(2 * ef_construction, least, OMENDB_BULK_POOL);
	shape->fanout[0] = clamp(shape->pool / 16, 4, 32);
	shape->fanout[1] = 3;
	shape->slots = shape->fanout[0] * shape->fanout[1];
	shape->in_records = shape->slots * (shape->forward + shape->backward) * sizeof(uint32_t) <=
						omendb_array_stride(layout) - layout->neighbours_offset;
	if (n > OMENDB_BULK_FEW)
		bulk->leaders.n = clamp(n / 100, 2 * shape->fanout[0], OMENDB_BULK_LEADERS);
}

/* ---------------------------------------------------------------- the level's memory */

void
omendb_bulk_carve_rows(OmendbBulk *bulk, size_t n, uint8_t *memory, size_t *used)
{
	bulk->rows.elements = build_carve(memory, used, n * bulk->rows.row_bytes);
	bulk->rows.exponents = build_carve(memory, used, n);
	bulk->rows.norms = build_carve(memory, used, n * sizeof(float));
}

void
omendb_bulk_carve_leaders(OmendbBulk *bulk, uint8_t *memory, size_t *used)
{
	OmendbLeaders *leaders = &bulk->leaders;
	size_t n = leaders->n;
	size_t groups = (n + OMENDB_BLOCK_COLUMNS - 1) / OMENDB_BLOCK_COLUMNS;

	leaders->nodes = build_carve(memory, used, n * sizeof(uint32_t));
	/* Kernels read up to 16 elements beyond. */
	leaders->norms = build_carve(memory, used, (n + 16) * sizeof(float));
	leaders->scales = build_carve(memory, used, (n + 16) * sizeof(float));
	leaders->packed =
		build_carve(memory, used, groups * OMENDB_PACKED_BYTES(bulk->shape.dimensions));
}

size_t
omendb_bulk_attach(OmendbBulk *bulk, uint32_t nodes, void *memory)
{
	OmendbClusters *clusters = &bulk->clusters;
	size_t n = nodes;
	size_t used = 0;
	size_t assignments = n * bulk->shape.fanout[0];
	size_t leaders = bulk->leaders.n;

	omendb_bulk_carve_rows(bulk, n, memory, &used);
	if (leaders == 0)
		return used;
	bulk->candidates = NULL;
	if (!bulk->shape.in_records)
		bulk->candidates =
			build_carve(memory, &used,
						n * bulk->shape.slots * (bulk->shape.forward + bulk->shape.backward) *
							sizeof(uint32_t));
	clusters->assigned = build_carve(memory, &used, assignments * sizeof(uint16_t));
	clusters->members = build_carve(memory, &used, assignments * sizeof(uint32_t));
	clusters->slots = build_carve(memory, &used, assignments);
	clusters->starts = build_carve(memory, &used, (leaders + 1) * sizeof(uint32_t));
	clusters->order_starts = build_carve(memory, &used, (leaders + 1) * sizeof(uint32_t));
	clusters->by_size = build_carve(memory, &used, leaders * sizeof(uint32_t));
	omendb_bulk_carve_leaders(bulk, memory, &used);
	return used;
}

/* ---------------------------------------------------------------- work space of a process */

/* Maximum number of candidates of a node, before its pool is chosen. */
static size_t
most_candidates(const OmendbBulk *bulk, uint32_t n)
{
	return bulk->leaders.n == 0 && n > BULK_GATHERED ? n : BULK_GATHERED;
}

static void
carve_lists(BulkLists *lists, size_t rows, uint32_t most, uint8_t *memory, size_t *used)
{
	lists->most = most;
	lists->distances = build_carve(memory, used, rows * most * sizeof(float));
	lists->rows = build_carve(memory, used, rows * most * sizeof(uint32_t));
	lists->counts = build_carve(memory, used, rows);
}

/* wide: maximum number of leaders or of a leaf's rows, in whole groups of columns and one more */
static void
carve_leaf(BulkLeafWork *leaf, const OmendbBulkShape *shape, size_t wide, uint8_t *memory,
		   size_t *used)
{
	size_t rows = shape->leaf + OMENDB_BLOCK_ROWS;

	leaf->block = build_carve(memory, used, wide * sizeof(*leaf->block));
	leaf->packed = build_carve(
		memory, used, wide / OMENDB_BLOCK_COLUMNS * OMENDB_PACKED_BYTES(shape->dimensions));
	leaf->norms = build_carve(memory, used, wide * sizeof(float));
	leaf->scales = build_carve(memory, used, wide * sizeof(float));
	leaf->products = build_carve(memory, used, OMENDB_BLOCK_ROWS * wide * sizeof(int32_t));
	carve_lists(&leaf->near, rows, shape->forward, memory, used);
	carve_lists(&leaf->back, rows, shape->backward, memory, used);
	carve_lists(&leaf->beyond, rows, BULK_BEYOND, memory, used);
	carve_lists(&leaf->back_beyond, rows, BULK_BEYOND, memory, used);
}

static void
carve_choice(BulkChoiceWork *choice, size_t row_bytes, size_t most, uint8_t *memory, size_t *used)
{
	choice->members = build_carve(memory, used, (most + OMENDB_BULK_POOL + 1) * sizeof(uint32_t));
	choice->keys = build_carve(memory, used, (most + 16) * sizeof(uint64_t));
	choice->sorted = build_carve(memory, used, (BULK_GATHERED + 16) * sizeof(uint64_t));
	choice->ranks = build_carve(memory, used, (BULK_GATHERED + 32) * sizeof(uint16_t));
	choice->candidates = build_carve(memory, used, most * sizeof(*choice->candidates));
	choice->products = build_carve(memory, used, (most + 16) * sizeof(int32_t));
	choice->codes = build_carve(memory, used, row_bytes / 64 * OMENDB_BULK_POOL * sizeof(uint64_t));
	/* Kernels write a row of Hamming distances, and read codes, a little beyond the pool. */
	choice->hamming = build_carve(
		memory, used, (size_t) OMENDB_BULK_POOL * BULK_HAMMING_STRIDE * sizeof(uint16_t) + 512);
	choice->scaled = build_carve(memory, used, row_bytes);
}

static size_t
carve_work(OmendbBulkWork *work, const OmendbBulk *bulk, const OmendbCodec *codec, uint32_t n,
		   uint8_t *memory)
{
	const OmendbBulkShape *shape = &bulk->shape;
	size_t used = 0;
	size_t floats = codec->layout.dimensions + omendb_code_floats(codec) + 64;
	size_t most = shape->leaf > OMENDB_BULK_LEADERS ? shape->leaf : OMENDB_BULK_LEADERS;
	size_t wide = (most + 2 * OMENDB_BLOCK_COLUMNS) / OMENDB_BLOCK_COLUMNS * OMENDB_BLOCK_COLUMNS;

	work->vectors.stored = build_carve(memory, &used, floats * sizeof(float));
	work->vectors.own_code = build_carve(memory, &used, floats * sizeof(float));
	work->vectors.other_code = build_carve(memory, &used, floats * sizeof(float));
	work->vectors.scratch = build_carve(memory, &used, 2 * floats * sizeof(float));
	work->vectors.center = build_carve(memory, &used, floats * sizeof(float));
	carve_leaf(&work->leaf, shape, wide, memory, &used);
	carve_choice(&work->choice, bulk->rows.row_bytes, most_candidates(bulk, n), memory, &used);
	work->set.nodes = build_carve(memory, &used, BULK_HASH * sizeof(uint32_t));
	work->set.stamps = build_carve(memory, &used, BULK_HASH * sizeof(uint16_t));
	return used;
}

bool
omendb_bulk_prepare_work(OmendbBulkWork *work, OmendbBuildLevel *level,
						 const OmendbAllocator *allocator)
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
	work->set.stamp = 0;
	work->level = level;
	work->bulk = &level->bulk;
	work->allocator = allocator;
	return true;
}

void
omendb_bulk_free_work(OmendbBulkWork *work, const OmendbAllocator *allocator)
{
	if (work->memory)
		allocator->release(allocator->context, work->memory);
}

/* ---------------------------------------------------------------- phases */

uint32_t
omendb_bulk_count_positions(const OmendbBuildLevel *level, OmendbBuildPhase phase)
{
	if (phase == OMENDB_BUILD_LEAVES)
		return level->parts.on ? level->bulk.batch.n : level->bulk.leaders.n;
	return (level->window.n + OMENDB_BLOCK_ROWS - 1) / OMENDB_BLOCK_ROWS;
}

bool
omendb_bulk_do_position(OmendbBulkWork *work, OmendbBuildPhase phase, uint32_t position)
{
	const OmendbBuildLevel *level = work->level;
	OmendbBulk *bulk = work->bulk;
	uint32_t from = level->window.first + position * OMENDB_BLOCK_ROWS;
	uint32_t left = level->window.first + level->window.n - from;
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
			omendb_bulk_assign(work, &bulk->rows, nodes, count, bulk->leaders.packed,
							   bulk->leaders.norms, bulk->leaders.scales, bulk->leaders.n,
							   bulk->shape.fanout[0],
							   bulk->clusters.assigned + (size_t) from * bulk->shape.fanout[0]);
			return true;
		case OMENDB_BUILD_LEAVES:
			return omendb_bulk_split_cluster(
				work, level->parts.on ? position : bulk->clusters.by_size[position]);
		case OMENDB_BUILD_ENCODE:
			for (uint32_t i = 0; i < count; i++)
				omendb_bulk_encode_edges(work, from + i);
			return true;
		default:
			for (uint32_t i = 0; i < count; i++)
				if (!omendb_bulk_choose_neighbours(work, level->parts.on ? from + i
																		 : bulk->order[from + i]))
					return false;
			return true;
	}
}
