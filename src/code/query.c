/*
 * query.c
 *	  Queries and their distances to own vectors.
 */
#include "code/query.h"

#include <math.h>
#include <string.h>

#include "code/metric.h"
#include "code/own.h"
#include "code/ownsparse.h"
#include "kernel/kernel.h"

static size_t
align8(size_t n)
{
	return (n + 7) & ~(size_t) 7;
}

/* Bytes of a vector with the floats that kernels read behind it; 0 for no vector. */
static size_t
vector_bytes(size_t floats)
{
	return floats > 0 ? align8((floats + OMENDB_PLAN_SLACK) * sizeof(float)) : 0;
}

static size_t
code_vector_bytes(const OmendbCodec *codec)
{
	return vector_bytes(codec->expands ? codec->expand.n : 0);
}

size_t
omendb_query_bytes(const OmendbCodec *codec)
{
	size_t n = codec->layout.dimensions;

	if (codec->layout.own == OMENDB_OWN_BITS)
		return 0;
	if (codec->layout.own == OMENDB_OWN_SPARSE)
		return omendb_sparse_table_bytes(OMENDB_MAX_NONZERO);
	/* stored, code, scratch, lut */
	return vector_bytes(n) + code_vector_bytes(codec) + align8(2 * n * sizeof(float)) +
		   2 * OMENDB_LUT_BYTES(omendb_code_groups(&codec->layout));
}

void
omendb_query_init(OmendbQuery *query, const OmendbCodec *codec, void *memory)
{
	size_t n = codec->layout.dimensions;
	uint8_t *at = memory;

	memset(query, 0, sizeof(*query));
	query->codec = codec;
	if (codec->layout.own == OMENDB_OWN_BITS)
		return;
	if (codec->layout.own == OMENDB_OWN_SPARSE)
	{
		omendb_sparse_table_init(&query->sparse, OMENDB_MAX_NONZERO, memory);
		return;
	}
	query->stored = (float *) at;
	memset(at, 0, vector_bytes(n));
	at += vector_bytes(n);
	query->code = codec->expands ? (float *) at : query->stored;
	memset(at, 0, code_vector_bytes(codec));
	at += code_vector_bytes(codec);
	query->scratch = (float *) at;
	at += align8(2 * n * sizeof(float));
	query->lut = at;
}

/* Compute what depends on query->stored: length, code-space vector, tables. */
static void
prepare_query(OmendbQuery *query)
{
	const OmendbCodec *codec = query->codec;

	query->norm2 = (float) omendb_kernels.norm2_f32(query->stored, codec->layout.dimensions);
	if (omendb_layout_is_coded(&codec->layout))
	{
		const float *code = omendb_code_vector(codec, query->stored, query->code);

		omendb_kernels.lut_f32(code, &codec->plan, query->lut, &query->base, &query->step);
	}
}

bool
omendb_query_set(OmendbQuery *query, const float *x)
{
	query->norm = sqrt(omendb_kernels.norm2_f32(x, query->codec->layout.dimensions));
	if (!omendb_codec_store(query->codec, x, query->stored))
		return false;
	prepare_query(query);
	return true;
}

void
omendb_query_set_stored(OmendbQuery *query, const float *stored)
{
	memcpy(query->stored, stored, query->codec->layout.dimensions * sizeof(float));
	prepare_query(query);
	query->norm = sqrt(query->norm2);
}

void
omendb_query_set_bits(OmendbQuery *query, const uint8_t *bits)
{
	query->bits = bits;
}

void
omendb_query_set_sparse(OmendbQuery *query, const uint32_t *indices, const float *stored,
						uint32_t n, double norm)
{
	omendb_sparse_table_reset(&query->sparse, n);
	for (uint32_t i = 0; i < n; i++)
		omendb_sparse_table_add(&query->sparse, indices[i], stored[i]);
	query->norm2 = (float) query->sparse.norm2;
	query->norm = norm;
}

static void
set_sparse_record(OmendbQuery *query, const OmendbRecord *record)
{
	OmendbSparseList list = omendb_own_sparse(&query->codec->layout, record);

	omendb_sparse_table_reset(&query->sparse, list.n);
	for (uint32_t i = 0; i < list.n; i++)
		omendb_sparse_table_add(&query->sparse, list.indices[i], list.values[i] * list.scale);
	query->norm2 = (float) query->sparse.norm2;
	query->norm = sqrt(query->sparse.norm2);
}

void
omendb_query_set_record(OmendbQuery *query, const OmendbRecord *record)
{
	if (query->codec->layout.own == OMENDB_OWN_BITS)
	{
		query->bits = omendb_record_own(record);
		return;
	}
	if (query->codec->layout.own == OMENDB_OWN_SPARSE)
	{
		set_sparse_record(query, record);
		return;
	}
	omendb_own_decode(query->codec, record, query->stored);
	prepare_query(query);
	query->norm = sqrt(query->norm2);
}

static float
sparse_distance(const OmendbQuery *query, const OmendbRecord *record)
{
	OmendbSparseList list = omendb_own_sparse(&query->codec->layout, record);

	switch (query->codec->layout.metric)
	{
		case OMENDB_METRIC_L1:
			return (float) omendb_sparse_l1(&query->sparse, &list);
		case OMENDB_METRIC_IP:
			return (float) -omendb_sparse_dot(&query->sparse, &list);
		default:
			return omendb_l2_from_dot(query->sparse.norm2, record->norm2,
									  omendb_sparse_dot(&query->sparse, &list));
	}
}

float
omendb_query_distance(const OmendbQuery *query, const OmendbRecord *record)
{
	const OmendbLayout *layout = &query->codec->layout;
	size_t n = layout->dimensions;
	const uint8_t *own = omendb_record_own(record);

	if (layout->own == OMENDB_OWN_SPARSE)
		return sparse_distance(query, record);
	if (omendb_own_is_wide(layout->own))
	{
		const int16_t *ints = omendb_own_wide(layout, record, query->scratch);

		if (layout->metric == OMENDB_METRIC_IP)
			return -omendb_kernels.dot_f32_i16(query->stored, ints, n) * record->scale;
		return omendb_kernels.l2sq_f32_i16(query->stored, ints, record->scale, n);
	}
	else if (omendb_own_is_short(layout->own) && layout->metric != OMENDB_METRIC_L1)
	{
		const int8_t *ints = omendb_own_ints(layout, record, query->scratch);
		float dot = omendb_kernels.dot_f32_i8(query->stored, ints, n) * record->scale;

		if (layout->metric == OMENDB_METRIC_IP)
			return -dot;
		return omendb_l2_from_dot(query->norm2, record->norm2, dot);
	}
	else if (layout->metric == OMENDB_METRIC_HAMMING)
		return (float) omendb_kernels.hamming(query->bits, own, layout->own_bytes);
	else if (layout->metric == OMENDB_METRIC_JACCARD)
		return omendb_jaccard(omendb_kernels.overlap(query->bits, own, layout->own_bytes));

	omendb_own_decode(query->codec, record, query->scratch);
	return omendb_float_distance(layout->metric, query->stored, query->scratch, n);
}
