/*
 * ownsparse.c
 *	  Own vectors of which only the non-zero elements are kept: into
 *	  records, and their distances.
 */
#include "code/ownsparse.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "code/metric.h"

/* Largest magnitude of a kept value: int16. */
#define MAX_VALUE 32767

static double
length_of(const float *values, uint32_t n)
{
	double norm2 = 0;

	for (uint32_t i = 0; i < n; i++)
		norm2 += (double) values[i] * values[i];
	return sqrt(norm2);
}

bool
omendb_sparse_store(const OmendbCodec *codec, const float *values, uint32_t n, float *out)
{
	double norm;

	if (codec->layout.metric != OMENDB_METRIC_COSINE)
	{
		if (out != values && n > 0)
			memcpy(out, values, n * sizeof(float));
		return true;
	}
	norm = length_of(values, n);
	if (!(norm > 0))
		return false;
	for (uint32_t i = 0; i < n; i++)
		out[i] = (float) (values[i] / norm);
	return true;
}

static float
largest_magnitude(const float *values, uint32_t n)
{
	float largest = 0;

	for (uint32_t i = 0; i < n; i++)
		largest = fmaxf(largest, fabsf(values[i]));
	return largest;
}

void
omendb_own_encode_sparse(const OmendbCodec *codec, const uint32_t *indices, const float *stored,
						 uint32_t n, OmendbRecord *record)
{
	const OmendbLayout *layout = &codec->layout;
	uint32_t larger; /* elements above the threshold: all of these are kept */
	float threshold = omendb_sparse_threshold(stored, n, layout->elements, &larger);
	uint32_t ties = larger < layout->elements ? layout->elements - larger : 0;
	float scale = largest_magnitude(stored, n) / MAX_VALUE;
	uint32_t *own = omendb_record_own_sparse(layout, record);
	int16_t values[OMENDB_MAX_NONZERO];
	uint32_t kept = 0;
	double error = 0;
	double norm2 = 0;
	size_t used;
	size_t end;

	/* If the scale is subnormal it is 1, and every value becomes 0. */
	record->scale = scale = scale > FLT_MIN ? scale : 1.0f;
	for (uint32_t i = 0; i < n; i++)
	{
		float magnitude = fabsf(stored[i]);
		bool keep = magnitude > threshold || (magnitude == threshold && ties > 0);
		int16_t value = 0;
		double element;
		double diff;

		if (keep && magnitude == threshold)
			ties--;
		if (keep)
			value = (int16_t) fmaxf(-MAX_VALUE, fminf(MAX_VALUE, rintf(stored[i] / scale)));
		if (value != 0)
		{
			own[1 + kept] = indices[i];
			values[kept++] = value;
		}
		element = (double) value * scale;
		diff = stored[i] - element;
		norm2 += element * element;
		error += layout->metric == OMENDB_METRIC_L1 ? fabs(diff) : diff * diff;
	}
	own[0] = kept;
	if (kept > 0)
		memcpy(own + 1 + kept, values, kept * sizeof(int16_t));
	used = (1 + kept) * sizeof(uint32_t) + kept * sizeof(int16_t);
	/* Of a spanning record to the end of its last slot, else to the neighbours. */
	end = layout->spans ? (layout->own_offset + used + layout->slot_bytes - 1) /
							  layout->slot_bytes * layout->slot_bytes
						: layout->head_bytes;
	memset((uint8_t *) own + used, 0, end - layout->own_offset - used);

	if (layout->metric != OMENDB_METRIC_L1)
		error = sqrt(error);
	/* Rounded up, so that the float is a bound. */
	record->error = error == 0            ? 0
					: error < FLT_MAX / 2 ? nextafterf((float) error, INFINITY)
										  : INFINITY;
	record->norm2 = (float) norm2;
}

bool
omendb_own_sparse_equal(const OmendbLayout *layout, const OmendbRecord *a, const OmendbRecord *b)
{
	const uint32_t *x = omendb_record_own_sparse(layout, a);
	const uint32_t *y = omendb_record_own_sparse(layout, b);

	return x[0] == y[0] && memcmp(x + 1, y + 1, (size_t) x[0] * OMENDB_SPARSE_ELEMENT_BYTES) == 0;
}

float
omendb_own_sparse_distance(const OmendbLayout *layout, const OmendbRecord *a, const OmendbRecord *b)
{
	OmendbSparseList x = omendb_own_sparse(layout, a);
	OmendbSparseList y = omendb_own_sparse(layout, b);

	if (layout->metric == OMENDB_METRIC_L1)
		return (float) omendb_sparse_pair_l1(&x, &y);
	if (layout->metric == OMENDB_METRIC_IP)
		return (float) -omendb_sparse_pair_dot(&x, &y);
	return omendb_l2_from_dot(a->norm2, b->norm2, omendb_sparse_pair_dot(&x, &y));
}
