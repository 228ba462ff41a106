/*
 * truth.c
 *	  The exact distances of the nearest records (truth.h).
 */
#include "graph/truth.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Maximum error of sums in float, relative to the squared lengths that are summed. */
#define ROUNDING 1e-4f

/* Largest magnitude up to which a vector is not scaled: int8 does not distinguish such vectors. */
#define TINY 1e-30f

/* Queries of which a row is excluded by one test; a multiple of what a register holds. */
#define TESTED_AT_A_TIME 32

/* Whole cache lines. */
static inline size_t
carve_align(size_t bytes)
{
	return (bytes + 63) & ~(size_t) 63;
}

/* Carve the next array out of memory, in whole cache lines; without memory only add to *used. */
static void *
carve_array(uint8_t *memory, size_t *used, size_t bytes)
{
	void *at = memory ? memory + *used : NULL;

	*used += carve_align(bytes);
	return at;
}

/* Point the arrays into memory; NULL: only count. Returns the bytes that they take. */
static size_t
carve(OmendbTruth *truth, uint8_t *memory)
{
	const OmendbLayout *layout = &truth->codec->layout;
	size_t n = truth->n;
	size_t used = 0;

	truth->queries = carve_array(memory, &used, n * sizeof(OmendbQuery));
	truth->nodes = carve_array(memory, &used, n * sizeof(OmendbNode));
	truth->nearest = carve_array(memory, &used, n * truth->k * sizeof(float));
	truth->found = carve_array(memory, &used, n * sizeof(uint32_t));
	truth->limits = carve_array(memory, &used, n * sizeof(float));
	truth->query_memory = carve_array(memory, &used, n * truth->query_bytes);
	if (!truth->blocked)
		return used;
	truth->block.queries.scales = carve_array(memory, &used, n * sizeof(float));
	truth->block.queries.errors = carve_array(memory, &used, n * sizeof(float));
	truth->block.queries.norms = carve_array(memory, &used, n * sizeof(float));
	truth->block.queries.lengths = carve_array(memory, &used, n * sizeof(float));
	truth->block.packed =
		carve_array(memory, &used, truth->block.groups * OMENDB_PACKED_BYTES(layout->dimensions));
	truth->block.products = carve_array(memory, &used,
										OMENDB_BLOCK_ROWS * truth->block.groups *
											OMENDB_BLOCK_COLUMNS * sizeof(int32_t));
	truth->block.slack = carve_array(memory, &used, n * sizeof(float));
	truth->block.stored = carve_array(memory, &used, layout->dimensions * sizeof(float));
	truth->block.kept = carve_array(memory, &used, layout->dimensions * sizeof(int16_t));
	truth->block.elements =
		carve_array(memory, &used, OMENDB_BLOCK_COLUMNS * truth->block.row_bytes);
	truth->block.records =
		carve_array(memory, &used, OMENDB_BLOCK_ROWS * (size_t) layout->neighbours_offset);
	return used;
}

static void
set_shape(OmendbTruth *truth, const OmendbCodec *codec, uint32_t n, uint32_t k)
{
	memset(truth, 0, sizeof(*truth));
	truth->codec = codec;
	truth->n = n;
	truth->k = k;
	truth->query_bytes = carve_align(omendb_query_bytes(codec));
	truth->blocked = omendb_layout_is_coded(&codec->layout);
	truth->block.row_bytes = OMENDB_ROW_LENGTH(codec->layout.dimensions);
	truth->block.groups = (n + OMENDB_BLOCK_COLUMNS - 1) / OMENDB_BLOCK_COLUMNS;
}

size_t
omendb_truth_bytes(const OmendbCodec *codec, uint32_t n, uint32_t k)
{
	OmendbTruth truth;

	set_shape(&truth, codec, n, k);
	return carve(&truth, NULL) + 64;
}

void
omendb_truth_attach(OmendbTruth *truth, const OmendbCodec *codec, uint32_t n, uint32_t k,
					void *memory)
{
	set_shape(truth, codec, n, k);
	carve(truth, (uint8_t *) carve_align((uintptr_t) memory));
}

/* Set out[] to the record's own vector as int8. */
static OmendbTruthVector
to_int8(OmendbTruth *truth, const OmendbRecord *record, int8_t *out)
{
	uint32_t d = truth->codec->layout.dimensions;
	float *x = truth->block.stored;
	int16_t *kept = truth->block.kept;
	OmendbTruthVector vector;
	float most;
	int32_t squares;

	omendb_own_decode(truth->codec, record, x);
	most = omendb_kernels.largest_f32(x, d);
	vector.scale = most > TINY && most < INFINITY ? most / 127 : 1;
	squares = omendb_kernels.round_f32_i8(x, 1 / vector.scale, out, d);
	for (uint32_t i = 0; i < d; i++)
		kept[i] = out[i];
	vector.error = sqrtf(omendb_kernels.l2sq_f32_i16(x, kept, vector.scale, d)) * (1 + ROUNDING);
	vector.norm2 = vector.scale * vector.scale * (float) squares;
	vector.length = sqrtf(record->norm2);
	return vector;
}

static void
set_query(OmendbTruth *truth, uint32_t i, const OmendbRecord *record, int8_t *out)
{
	OmendbTruthVector vector = to_int8(truth, record, out);
	OmendbTruthVectors *queries = &truth->block.queries;

	queries->scales[i] = vector.scale;
	queries->errors[i] = vector.error;
	queries->norms[i] = vector.norm2;
	queries->lengths[i] = vector.length;
}

void
omendb_truth_init(OmendbTruth *truth, const OmendbCodec *codec, uint32_t n, uint32_t k,
				  const OmendbNode *nodes, const OmendbRecord *const *records, void *memory)
{
	const int8_t *columns[OMENDB_BLOCK_COLUMNS];

	omendb_truth_attach(truth, codec, n, k, memory);
	/* Kernels read zeros after a row. */
	if (truth->blocked)
		memset(truth->block.elements, 0, OMENDB_BLOCK_COLUMNS * truth->block.row_bytes);
	for (uint32_t i = 0; i < n; i++)
	{
		truth->nodes[i] = nodes[i];
		truth->found[i] = 0;
		truth->limits[i] = INFINITY;
		omendb_query_init(&truth->queries[i], codec, truth->query_memory + i * truth->query_bytes);
		omendb_query_set_record(&truth->queries[i], records[i]);
	}
	for (uint32_t i = 0; truth->blocked && i < n; i += OMENDB_BLOCK_COLUMNS)
	{
		uint32_t count = n - i < OMENDB_BLOCK_COLUMNS ? n - i : OMENDB_BLOCK_COLUMNS;

		for (uint32_t c = 0; c < count; c++)
		{
			int8_t *out = truth->block.elements + c * truth->block.row_bytes;

			set_query(truth, i + c, records[i + c], out);
			columns[c] = out;
		}
		omendb_kernels.pack_columns(columns, count, codec->layout.dimensions,
									truth->block.packed +
										i / OMENDB_BLOCK_COLUMNS *
											OMENDB_PACKED_BYTES(codec->layout.dimensions));
	}
}

/* Replace the largest value of the heap. */
static void
replace_largest(float *heap, uint32_t n, float value)
{
	uint32_t i = 0;

	for (uint32_t child = 1; child < n; child = 2 * i + 1)
	{
		if (child + 1 < n && heap[child + 1] > heap[child])
			child++;
		if (heap[child] <= value)
			break;
		heap[i] = heap[child];
		i = child;
	}
	heap[i] = value;
}

/* Compute the distance of a record to a query, and keep it if it is one of the k least. */
static void
score(OmendbTruth *truth, uint32_t query, OmendbNode node, const OmendbRecord *record)
{
	float *heap = truth->nearest + (size_t) query * truth->k;
	uint32_t *found = &truth->found[query];
	float distance;

	if (node == truth->nodes[query])
		return;
	distance = omendb_query_distance(&truth->queries[query], record);
	/* A search, too, takes NaN for infinity. */
	if (!(distance < INFINITY))
		return;
	if (*found < truth->k)
	{
		uint32_t i = (*found)++;

		for (; i > 0 && heap[(i - 1) / 2] < distance; i = (i - 1) / 2)
			heap[i] = heap[(i - 1) / 2];
		heap[i] = distance;
	}
	else if (distance < heap[0])
		replace_largest(heap, truth->k, distance);
	else
		return;
	if (*found == truth->k)
		truth->limits[query] = truth->codec->layout.metric == OMENDB_METRIC_IP
								   ? heap[0]
								   : sqrtf(heap[0] > 0 ? heap[0] : 0);
}

/*
 * Set slack[] to how far below its limit each query's distance to the row may be, by the bound. One
 * loop without branches.
 */
static void
bound_row(OmendbTruth *truth, const OmendbTruthVector *x, const int32_t *products)
{
	const OmendbTruthVectors *q = &truth->block.queries;
	const float *restrict limits = truth->limits;
	const float *restrict scales = q->scales;
	const float *restrict errors = q->errors;
	const float *restrict norms = q->norms;
	const float *restrict lengths = q->lengths;
	float *restrict slack = truth->block.slack;
	OmendbTruthVector row = *x;
	float length = sqrtf(row.norm2);
	float error = row.error + ROUNDING * row.length;
	uint32_t n = truth->n;

	if (truth->codec->layout.metric == OMENDB_METRIC_IP)
		for (uint32_t i = 0; i < n; i++)
			slack[i] = limits[i] + lengths[i] * error + length * errors[i] +
					   row.scale * scales[i] * (float) products[i];
	else
		for (uint32_t i = 0; i < n; i++)
		{
			float far = limits[i] + errors[i] + row.error;

			slack[i] = far * far - (1 - ROUNDING) * (row.norm2 + norms[i]) +
					   2 * row.scale * scales[i] * (float) products[i];
		}
}

/* True if slack[0 .. n - 1] has one that is not negative. NaN is none. */
static inline bool
any_left(const float *slack, uint32_t n)
{
	int32_t any = 0;

	for (uint32_t i = 0; i < n; i++)
		any |= !(slack[i] < 0);
	return any != 0;
}

/* Compute the distances of those queries for which the bound does not exclude the row. */
static void
score_row(OmendbTruth *truth, uint32_t row, const int32_t *products)
{
	const OmendbRecord *record =
		(const OmendbRecord *) (truth->block.records +
								row * (size_t) truth->codec->layout.neighbours_offset);
	const float *slack = truth->block.slack;

	bound_row(truth, &truth->block.rows[row], products);
	for (uint32_t from = 0; from < truth->n; from += TESTED_AT_A_TIME)
	{
		uint32_t n = truth->n - from < TESTED_AT_A_TIME ? truth->n - from : TESTED_AT_A_TIME;

		if (!any_left(slack + from, n))
			continue;
		for (uint32_t i = from; i < from + n; i++)
			/* NaN excludes nothing. */
			if (!(slack[i] < 0))
				score(truth, i, truth->block.nodes[row], record);
	}
}

/* Compare the waiting records with all queries. */
static void
score_block(OmendbTruth *truth)
{
	const int8_t *rows[OMENDB_BLOCK_ROWS];
	size_t stride = truth->block.groups * OMENDB_BLOCK_COLUMNS;

	/* Kernels read whole blocks. Products of the rows beyond `waiting` are ignored. */
	for (uint32_t r = 0; r < OMENDB_BLOCK_ROWS; r++)
		rows[r] =
			truth->block.elements + (r < truth->block.waiting ? r : 0) * truth->block.row_bytes;
	omendb_kernels.block_products(rows, truth->block.packed, truth->block.groups,
								  truth->codec->layout.dimensions, truth->block.products, stride);
	for (uint32_t r = 0; r < truth->block.waiting; r++)
		score_row(truth, r, truth->block.products + r * stride);
	truth->block.waiting = 0;
}

void
omendb_truth_add(OmendbTruth *truth, OmendbNode node, const OmendbRecord *record)
{
	size_t bytes = truth->codec->layout.neighbours_offset;
	uint32_t at = truth->block.waiting;

	if (!truth->blocked)
	{
		for (uint32_t i = 0; i < truth->n; i++)
			score(truth, i, node, record);
		return;
	}
	memcpy(truth->block.records + at * bytes, record, bytes);
	truth->block.nodes[at] = node;
	truth->block.rows[at] =
		to_int8(truth, record, truth->block.elements + at * truth->block.row_bytes);
	if (++truth->block.waiting == OMENDB_BLOCK_ROWS)
		score_block(truth);
}

static int
by_number(const void *a, const void *b)
{
	float x = *(const float *) a;
	float y = *(const float *) b;

	return (x > y) - (x < y);
}

void
omendb_truth_finish(OmendbTruth *truth)
{
	if (truth->block.waiting > 0)
		score_block(truth);
}

uint32_t
omendb_truth_nearest(const OmendbTruth *truths, uint32_t ntruths, uint32_t query, float *nearest)
{
	uint32_t k = truths[0].k;
	uint32_t n = 0;

	for (uint32_t i = 0; i < ntruths; i++)
	{
		memcpy(nearest + n, truths[i].nearest + (size_t) query * k,
			   truths[i].found[query] * sizeof(float));
		n += truths[i].found[query];
	}
	qsort(nearest, n, sizeof(float), by_number);
	return n < k ? n : k;
}
