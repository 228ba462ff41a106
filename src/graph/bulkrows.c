/*
 * bulkrows.c
 *	  Rows of the bulk build: vectors as int8 (steps 1 and 2 of bulk.h), and local rows.
 */
#include "graph/bulkwork.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Maximum number of vectors whose elements give the unit. */
#define SAMPLE 4096

/*
 * Factor by which the largest element of a vector may exceed 127 units, and is cut off, before the
 * row takes a larger scale.
 */
#define CUT 1.5f

/* Maximum power of 8: squared lengths stay in the range of float. */
#define MOST_EXPONENT 16

/* Choose the power of 8 with which a row uses its 8 bits; most: its largest magnitude. */
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
 * Set the unit such that, of a sample of vectors, all but one in 500 have no element above 127
 * units.
 */
bool
omendb_bulk_set_unit(OmendbBulkWork *work)
{
	OmendbBuildLevel *level = work->level;
	OmendbBulk *bulk = work->bulk;
	const OmendbAllocator *allocator = work->allocator;
	uint32_t n = level->window.n < SAMPLE ? level->window.n : SAMPLE;
	float *found = allocator->resize(allocator->context, NULL, n * sizeof(float));
	float most;

	if (!found)
		return false;
	for (uint32_t s = 0; s < n; s++)
	{
		uint32_t i = level->window.first + (uint32_t) ((uint64_t) s * level->window.n / n);

		omendb_own_decode(level->array->codec, build_record(level, i), work->vectors.stored);
		found[s] = omendb_kernels.largest_f32(work->vectors.stored, bulk->shape.dimensions);
	}
	qsort(found, n, sizeof(float), build_by_number);
	most = found[n - 1 - n / 500];
	/* Zeros, and elements so small that their inverse is infinite, take any unit. */
	bulk->rows.unit = most > 1e-30f ? most / 127 : 1;
	allocator->release(allocator->context, found);
	return true;
}

/* Make row i of the vector x, in that unit. */
static void
set_row(const OmendbBulk *bulk, OmendbRows *rows, uint32_t i, const float *x, float unit)
{
	uint32_t d = bulk->shape.dimensions;
	int8_t *row = rows->elements + (size_t) i * rows->row_bytes;
	int32_t squares;

	rows->exponents[i] = (int8_t) choose_exponent(omendb_kernels.largest_f32(x, d), unit);
	squares = omendb_kernels.round_f32_i8(x, 1 / (unit * bulk_scale(rows, i)), row, d);
	memset(row + d, 0, rows->row_bytes - d);
	rows->norms[i] = rows->ip ? 0 : (float) squares * bulk_scale(rows, i) * bulk_scale(rows, i);
}

void
omendb_bulk_quantize(OmendbBulkWork *work, uint32_t i)
{
	OmendbBuildLevel *level = work->level;
	OmendbBulk *bulk = work->bulk;
	const OmendbCodec *codec = level->array->codec;
	float *x = work->vectors.stored;

	omendb_own_decode(codec, build_record(level, i), x);
	set_row(bulk, &bulk->rows, i, x, bulk->rows.unit);
	memset(&bulk->apart[i], 0, sizeof(OmendbApart));
	if (level->parts.on)
		return;
	if (bulk->leaders.n > 0)
		memset(bulk_candidates(level, i), 0xff,
			   bulk->shape.slots * (bulk->shape.forward + bulk->shape.backward) * sizeof(uint32_t));
	else
		bulk->order[i] = i;
}

/* Set out[] to the vector that row i of the level's rows stands for. */
static void
decode_row(const OmendbBulk *bulk, const OmendbRows *rows, uint32_t i, float *out)
{
	const int8_t *row = bulk_row(rows, i);
	float step = rows->unit * bulk_scale(rows, i);

	for (uint32_t k = 0; k < bulk->shape.dimensions; k++)
		out[k] = step * (float) row[k];
}

/*
 * Set out[] to the difference of a node's vector from the center. A node outside of the window has
 * its row only.
 */
static void
subtract_center(OmendbBulkWork *work, uint32_t node, float *out)
{
	if (build_has_record(work->level, node))
		omendb_own_decode(work->level->array->codec, build_record(work->level, node), out);
	else
		decode_row(work->bulk, &work->bulk->rows, node, out);
	for (uint32_t k = 0; k < work->bulk->shape.dimensions; k++)
		out[k] -= work->vectors.center[k];
}

bool
omendb_bulk_make_local(OmendbBulkWork *work, const OmendbRows *rows, const uint32_t *members,
					   uint32_t n, uint32_t middle, OmendbRows *local)
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
					  work->vectors.center);
	for (uint32_t i = 0; i < n; i++)
	{
		float most;

		subtract_center(work, nodes[i], work->vectors.stored);
		most = omendb_kernels.largest_f32(work->vectors.stored, work->bulk->shape.dimensions) / 127;
		unit = most > unit ? most : unit;
	}
	for (uint32_t i = 0; i < n; i++)
	{
		subtract_center(work, nodes[i], work->vectors.stored);
		set_row(work->bulk, local, i, work->vectors.stored, unit > 1e-30f ? unit : 1);
	}
	return true;
}

void
omendb_bulk_free_local(OmendbBulkWork *work, OmendbRows *local)
{
	work->allocator->release(work->allocator->context, local->norms);
}

float
omendb_bulk_norm(const OmendbBulk *bulk, const OmendbRows *rows, uint32_t i)
{
	const int8_t *row = bulk_row(rows, i);
	int32_t squares;

	omendb_kernels.row_products(row, &row, 1, bulk->shape.dimensions, &squares);
	return (float) squares * bulk_scale(rows, i) * bulk_scale(rows, i);
}

void
omendb_bulk_pack(const OmendbBulk *bulk, const int8_t *const *rows, uint32_t n, uint8_t *packed)
{
	for (uint32_t c = 0; c < n; c += OMENDB_BLOCK_COLUMNS)
		omendb_kernels.pack_columns(
			rows + c, n - c < OMENDB_BLOCK_COLUMNS ? n - c : OMENDB_BLOCK_COLUMNS,
			bulk->shape.dimensions,
			packed + c / OMENDB_BLOCK_COLUMNS * OMENDB_PACKED_BYTES(bulk->shape.dimensions));
}
