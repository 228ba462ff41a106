/*
 * bulk.c
 *	  The bulk build's parameters and memory, rows, leaders and clusters.
 */
#include "graph/bulkwork.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Rows that the unit of all rows is told by. */
#define SAMPLE 4096

/* Elements of a row may be cut off by so much before the row takes a larger scale. */
#define CUT 1.5f

/* Powers of 8 within which squared lengths stay in the range of float. */
#define MOST_EXPONENT 16

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

/* ---------------------------------------------------------------- rows */

static float
largest(const float *x, size_t n)
{
	float most = 0;

	for (size_t i = 0; i < n; i++)
	{
		float magnitude = fabsf(x[i]);

		most = magnitude > most ? magnitude : most;
	}
	return most;
}

/* The power of 8 with which the row uses its bits. */
static int
choose_exponent(float most, float unit)
{
	float full = 127 * unit;
	int exponent = 0;

	while (most > CUT * full && exponent < MOST_EXPONENT)
	{
		full *= 8;
		exponent++;
	}
	while (most > 0 && most * 8 <= full && exponent > -MOST_EXPONENT)
	{
		full /= 8;
		exponent--;
	}
	return exponent;
}

/*
 * The unit of rows: the largest magnitude of all but one in 500 of a sample is 127 of it.
 */
bool
omendb_bulk_start(OmendbBulkWork *work)
{
	OmendbBuildLevel *level = work->level;
	OmendbBulk *bulk = work->bulk;
	const OmendbAllocator *allocator = work->allocator;
	uint32_t n = level->in_window < SAMPLE ? level->in_window : SAMPLE;
	float *found = allocator->resize(allocator->context, NULL, n * sizeof(float));
	float most;

	if (!found)
		return false;
	for (uint32_t s = 0; s < n; s++)
	{
		uint32_t i = level->window + (uint32_t) ((uint64_t) s * level->in_window / n);

		omendb_own_decode(level->array->codec, build_record(level, i), work->stored);
		found[s] = largest(work->stored, bulk->dimensions);
	}
	qsort(found, n, sizeof(float), build_by_number);
	most = found[n - 1 - n / 500];
	/* Zeros, and what is so small that its inverse is infinite, take any unit. */
	bulk->rows.unit = most > 1e-30f ? most / 127 : 1;
	allocator->release(allocator->context, found);
	return true;
}

static inline int32_t
round_to(float x, float limit)
{
	x = x > limit ? limit : x < -limit ? -limit : x;
	return (int32_t) (x + (x < 0 ? -0.5f : 0.5f));
}

/* Row i, of a vector, in that unit. */
static void
set_row(const OmendbBulk *bulk, OmendbRows *rows, uint32_t i, const float *x, float unit)
{
	uint32_t d = bulk->dimensions;
	int8_t *row = rows->elements + (size_t) i * rows->row_bytes;
	int32_t squares = 0;
	float inverse;

	rows->exponents[i] = (int8_t) choose_exponent(largest(x, d), unit);
	inverse = 1 / (unit * bulk_scale(rows, i));
	for (uint32_t k = 0; k < d; k++)
	{
		int32_t q = round_to(x[k] * inverse, 127);

		row[k] = (int8_t) q;
		squares += q * q;
	}
	memset(row + d, 0, rows->row_bytes - d);
	rows->norms[i] = rows->ip ? 0 : (float) squares * bulk_scale(rows, i) * bulk_scale(rows, i);
}

static void
quantize(OmendbBulkWork *work, uint32_t i)
{
	OmendbBuildLevel *level = work->level;
	OmendbBulk *bulk = work->bulk;
	const OmendbCodec *codec = level->array->codec;
	float *x = work->stored;

	omendb_own_decode(codec, build_record(level, i), x);
	set_row(bulk, &bulk->rows, i, x, bulk->rows.unit);
	memset(&bulk->apart[i], 0, sizeof(OmendbApart));
	if (level->in_parts)
		return;
	if (bulk->leaders > 0)
		memset(bulk_candidates(level, i), 0xff,
			   bulk->slots * (bulk->forward + bulk->backward) * sizeof(uint32_t));
	else
		bulk->order[i] = i;
}

void
omendb_bulk_decode(const OmendbBulk *bulk, const OmendbRows *rows, uint32_t i, float *out)
{
	const int8_t *row = bulk_row(rows, i);
	float step = rows->unit * bulk_scale(rows, i);

	for (uint32_t k = 0; k < bulk->dimensions; k++)
		out[k] = step * (float) row[k];
}

/* The difference of a node's vector from the center. */
static void
get_difference(OmendbBulkWork *work, uint32_t node, float *out)
{
	if (build_has_record(work->level, node))
		omendb_own_decode(work->level->array->codec, build_record(work->level, node), out);
	else
		omendb_bulk_decode(work->bulk, &work->bulk->rows, node, out);
	for (uint32_t k = 0; k < work->bulk->dimensions; k++)
		out[k] -= work->center[k];
}

bool
omendb_bulk_local(OmendbBulkWork *work, const OmendbRows *rows, const uint32_t *members, uint32_t n,
				  uint32_t middle, OmendbRows *local)
{
	const OmendbAllocator *allocator = work->allocator;
	size_t row_bytes = rows->row_bytes;
	float unit = 0;
	uint32_t *nodes;

	local->norms = allocator->resize(allocator->context, NULL,
									 n * (sizeof(float) + sizeof(uint32_t) + row_bytes + 1));
	if (!local->norms)
		return false;
	nodes = (uint32_t *) (local->norms + n);
	local->nodes = nodes;
	local->elements = (int8_t *) (nodes + n);
	local->exponents = local->elements + n * row_bytes;
	local->row_bytes = rows->row_bytes;
	local->ip = false;
	local->depth = rows->depth + 1;
	for (uint32_t i = 0; i < n; i++)
		nodes[i] = bulk_node(rows, members[i]);
	omendb_own_decode(work->level->array->codec, build_record(work->level, nodes[middle]),
					  work->center);
	for (uint32_t i = 0; i < n; i++)
	{
		float most;

		get_difference(work, nodes[i], work->stored);
		most = largest(work->stored, work->bulk->dimensions) / 127;
		unit = most > unit ? most : unit;
	}
	for (uint32_t i = 0; i < n; i++)
	{
		get_difference(work, nodes[i], work->stored);
		set_row(work->bulk, local, i, work->stored, unit > 1e-30f ? unit : 1);
	}
	return true;
}

void
omendb_bulk_local_free(OmendbBulkWork *work, OmendbRows *local)
{
	work->allocator->release(work->allocator->context, local->norms);
}

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

float
omendb_bulk_norm(const OmendbBulk *bulk, const OmendbRows *rows, uint32_t i)
{
	const int8_t *row = bulk_row(rows, i);
	int32_t squares;

	omendb_kernels.row_products(row, &row, 1, bulk->dimensions, &squares);
	return (float) squares * bulk_scale(rows, i) * bulk_scale(rows, i);
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

void
omendb_bulk_pack(const OmendbBulk *bulk, const int8_t *const *rows, uint32_t n, uint8_t *packed)
{
	for (uint32_t c = 0; c < n; c += OMENDB_BLOCK_COLUMNS)
		omendb_kernels.pack_columns(
			rows + c, n - c < OMENDB_BLOCK_COLUMNS ? n - c : OMENDB_BLOCK_COLUMNS, bulk->dimensions,
			packed + c / OMENDB_BLOCK_COLUMNS * OMENDB_PACKED_BYTES(bulk->dimensions));
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
				quantize(work, from + i);
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
