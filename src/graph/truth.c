/*
 * truth.c
 *	  The exact distances of the nearest records.
 */
#include "graph/truth.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* What sums in float may be off, of the squared lengths that are summed. */
#define ROUNDING 1e-4f

/* Vectors of smaller elements are not told apart by int8. */
#define TINY 1e-30f

/* The next part of a piece of memory, in whole cache lines; without memory it is only measured. */
static void *
part(uint8_t *memory, size_t *used, size_t bytes)
{
	void *at = memory ? memory + *used : NULL;

	*used += (bytes + 63) & ~(size_t) 63;
	return at;
}

static size_t
carve(OmendbTruth *truth, uint8_t *memory)
{
	const OmendbLayout *layout = &truth->codec->layout;
	size_t n = truth->n;
	size_t query_bytes = omendb_query_bytes(truth->codec);
	size_t used = 0;

	truth->queries = part(memory, &used, n * sizeof(OmendbQuery));
	truth->nodes = part(memory, &used, n * sizeof(OmendbNode));
	truth->nearest = part(memory, &used, n * truth->k * sizeof(float));
	truth->found = part(memory, &used, n * sizeof(uint32_t));
	truth->limits = part(memory, &used, n * sizeof(float));
	for (size_t i = 0; i < n; i++)
	{
		void *at = part(memory, &used, query_bytes);

		if (memory)
			omendb_query_init(&truth->queries[i], truth->codec, at);
	}
	if (!truth->blocked)
		return used;
	truth->vectors = part(memory, &used, n * sizeof(OmendbTruthVector));
	truth->packed = part(memory, &used, truth->groups * OMENDB_PACKED_BYTES(layout->dimensions));
	truth->products = part(
		memory, &used, OMENDB_BLOCK_ROWS * truth->groups * OMENDB_BLOCK_COLUMNS * sizeof(int32_t));
	truth->slack = part(memory, &used, n * sizeof(float));
	truth->stored = part(memory, &used, layout->dimensions * sizeof(float));
	truth->kept = part(memory, &used, layout->dimensions * sizeof(float));
	truth->elements = part(memory, &used, OMENDB_BLOCK_COLUMNS * truth->row_bytes);
	truth->records = part(memory, &used, OMENDB_BLOCK_ROWS * (size_t) layout->neighbours_offset);
	return used;
}

static void
set_shape(OmendbTruth *truth, const OmendbCodec *codec, uint32_t n, uint32_t k)
{
	memset(truth, 0, sizeof(*truth));
	truth->codec = codec;
	truth->n = n;
	truth->k = k;
	truth->blocked = omendb_layout_is_coded(&codec->layout);
	truth->row_bytes = OMENDB_ROW_LENGTH(codec->layout.dimensions);
	truth->groups = (n + OMENDB_BLOCK_COLUMNS - 1) / OMENDB_BLOCK_COLUMNS;
}

size_t
omendb_truth_bytes(const OmendbCodec *codec, uint32_t n, uint32_t k)
{
	OmendbTruth truth;

	set_shape(&truth, codec, n, k);
	return carve(&truth, NULL) + 64;
}

/* The largest magnitude; in integers, whose order is that of floats without a sign. */
static float
largest(const float *x, uint32_t n)
{
	int32_t most = 0;
	float magnitude;

	for (uint32_t i = 0; i < n; i++)
	{
		int32_t bits;

		memcpy(&bits, &x[i], sizeof(bits));
		bits &= INT32_MAX;
		most = bits > most ? bits : most;
	}
	memcpy(&magnitude, &most, sizeof(magnitude));
	return magnitude;
}

/* The record's own vector as int8. */
static OmendbTruthVector
to_int8(OmendbTruth *truth, const OmendbRecord *record, int8_t *out)
{
	const float round = 12582912; /* added to a number below 2^22, it leaves no fraction */
	uint32_t d = truth->codec->layout.dimensions;
	float *x = truth->stored;
	float *kept = truth->kept;
	OmendbTruthVector vector;
	float most;
	float inverse;

	omendb_own_decode(truth->codec, record, x);
	most = largest(x, d);
	vector.scale = most > TINY && most < INFINITY ? most / 127 : 1;
	inverse = 1 / vector.scale;
	for (uint32_t i = 0; i < d; i++)
	{
		float element = (x[i] * inverse + round) - round;

		/* Never, but where the vector has what is no number. */
		element = element > 127 ? 127 : element;
		element = element > -127 ? element : -127;
		out[i] = (int8_t) (int32_t) element;
		kept[i] = vector.scale * element;
	}
	vector.error = sqrtf(omendb_kernels.l2sq_f32(x, kept, d)) * (1 + ROUNDING);
	vector.norm2 = omendb_kernels.dot_f32(kept, kept, d);
	vector.length = sqrtf(record->norm2);
	return vector;
}

void
omendb_truth_init(OmendbTruth *truth, const OmendbCodec *codec, uint32_t n, uint32_t k,
				  const OmendbNode *nodes, const OmendbRecord *const *records, void *memory)
{
	const int8_t *columns[OMENDB_BLOCK_COLUMNS];

	set_shape(truth, codec, n, k);
	carve(truth, (uint8_t *) (((uintptr_t) memory + 63) & ~(uintptr_t) 63));
	/* Rows are followed by zeros. */
	if (truth->blocked)
		memset(truth->elements, 0, OMENDB_BLOCK_COLUMNS * truth->row_bytes);
	for (uint32_t i = 0; i < n; i++)
	{
		truth->nodes[i] = nodes[i];
		truth->found[i] = 0;
		truth->limits[i] = INFINITY;
		omendb_query_set_record(&truth->queries[i], records[i]);
	}
	for (uint32_t i = 0; truth->blocked && i < n; i += OMENDB_BLOCK_COLUMNS)
	{
		uint32_t count = n - i < OMENDB_BLOCK_COLUMNS ? n - i : OMENDB_BLOCK_COLUMNS;

		for (uint32_t c = 0; c < count; c++)
		{
			int8_t *out = truth->elements + c * truth->row_bytes;

			truth->vectors[i + c] = to_int8(truth, records[i + c], out);
			columns[c] = out;
		}
		omendb_kernels.pack_columns(columns, count, codec->layout.dimensions,
									truth->packed +
										i / OMENDB_BLOCK_COLUMNS *
											OMENDB_PACKED_BYTES(codec->layout.dimensions));
	}
}

/* The heap's largest becomes that one. */
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

/* Compute the distance, and keep it if it is one of the k least. */
static void
score(OmendbTruth *truth, uint32_t query, OmendbNode node, const OmendbRecord *record)
{
	float *heap = truth->nearest + (size_t) query * truth->k;
	uint32_t *found = &truth->found[query];
	float distance;

	if (node == truth->nodes[query])
		return;
	distance = omendb_query_distance(&truth->queries[query], record);
	/* As the search has it: NaN is as far as can be. */
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

/* How far below the limit the bound says each query's distance may be; one loop without branches. */
static void
bound_row(OmendbTruth *truth, const OmendbTruthVector *x, const int32_t *products)
{
	const OmendbTruthVector *q = truth->vectors;
	const float *limits = truth->limits;
	float *slack = truth->slack;
	float length = sqrtf(x->norm2);

	if (truth->codec->layout.metric == OMENDB_METRIC_IP)
		for (uint32_t i = 0; i < truth->n; i++)
			slack[i] = limits[i] + q[i].length * (x->error + ROUNDING * x->length) +
					   length * q[i].error + x->scale * q[i].scale * (float) products[i];
	else
		for (uint32_t i = 0; i < truth->n; i++)
		{
			float far = limits[i] + q[i].error + x->error;

			slack[i] = far * far - (1 - ROUNDING) * (x->norm2 + q[i].norm2) +
					   2 * x->scale * q[i].scale * (float) products[i];
		}
}

/* Score the queries for which the bound does not say that the row is too far. */
static void
score_row(OmendbTruth *truth, uint32_t row, const int32_t *products)
{
	const OmendbRecord *record =
		(const OmendbRecord *) (truth->records +
								row * (size_t) truth->codec->layout.neighbours_offset);

	bound_row(truth, &truth->rows[row], products);
	for (uint32_t i = 0; i < truth->n; i++)
		/* So it is, too, where something is no number. */
		if (!(truth->slack[i] < 0))
			score(truth, i, truth->row_nodes[row], record);
}

static void
score_block(OmendbTruth *truth)
{
	const int8_t *rows[OMENDB_BLOCK_ROWS];
	size_t stride = truth->groups * OMENDB_BLOCK_COLUMNS;

	/* Blocks are whole; what comes of the rows beyond is not looked at. */
	for (uint32_t r = 0; r < OMENDB_BLOCK_ROWS; r++)
		rows[r] = truth->elements + (r < truth->waiting ? r : 0) * truth->row_bytes;
	omendb_kernels.block_products(rows, truth->packed, truth->groups,
								  truth->codec->layout.dimensions, truth->products, stride);
	for (uint32_t r = 0; r < truth->waiting; r++)
		score_row(truth, r, truth->products + r * stride);
	truth->waiting = 0;
}

void
omendb_truth_add(OmendbTruth *truth, OmendbNode node, const OmendbRecord *record)
{
	size_t bytes = truth->codec->layout.neighbours_offset;
	uint32_t at = truth->waiting;

	if (!truth->blocked)
	{
		for (uint32_t i = 0; i < truth->n; i++)
			score(truth, i, node, record);
		return;
	}
	memcpy(truth->records + at * bytes, record, bytes);
	truth->row_nodes[at] = node;
	truth->rows[at] = to_int8(truth, record, truth->elements + at * truth->row_bytes);
	if (++truth->waiting == OMENDB_BLOCK_ROWS)
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
	if (truth->waiting > 0)
		score_block(truth);
	for (uint32_t i = 0; i < truth->n; i++)
		qsort(truth->nearest + (size_t) i * truth->k, truth->found[i], sizeof(float), by_number);
}

float
omendb_truth_distance(const OmendbTruth *truth, uint32_t query, uint32_t kth)
{
	return kth <= truth->found[query] ? truth->nearest[(size_t) query * truth->k + kth - 1]
									  : INFINITY;
}
