/*
 * query.h
 *	  A query: a vector prepared for many distances to own vectors, and for estimates (edge.h).
 */
#ifndef OMENDB_QUERY_H
#define OMENDB_QUERY_H

#include "code/codec.h"
#include "kernel/sparse.h"

/* Which fields are used depends on the kind of own vectors: bits, sparse, or all others. */
typedef struct OmendbQuery
{
	const OmendbCodec *codec;
	float *stored;       /* stored space; dimensions floats */
	float *code;         /* code space; the same array as stored if the codec does not expand */
	float *scratch;      /* 2 * dimensions floats */
	uint8_t *lut;        /* tables of lut_f32 for code_sums, of both kinds */
	const uint8_t *bits; /* bit distances: the caller's memory */
	OmendbSparseTable sparse; /* sparse vectors */
	float base;               /* <q, c> ~ base + step * code_sums */
	float step;
	float norm2; /* squared length in stored space */
	double norm; /* length before it was normalised; for bounds */
} OmendbQuery;

/* Set up a query that has no vector yet. memory: omendb_query_bytes bytes, aligned to 8. */
extern size_t omendb_query_bytes(const OmendbCodec *codec);
extern void omendb_query_init(OmendbQuery *query, const OmendbCodec *codec, void *memory);

/* Set from a user's vector (dimensions floats); false as omendb_codec_store. */
extern bool omendb_query_set(OmendbQuery *query, const float *x);
/* Set from a vector already in stored space (dimensions floats). */
extern void omendb_query_set_stored(OmendbQuery *query, const float *stored);
/* Set from the own vector of a record, of any kind. */
extern void omendb_query_set_record(OmendbQuery *query, const OmendbRecord *record);
/* Set from a bit string, which the query refers to and does not copy. */
extern void omendb_query_set_bits(OmendbQuery *query, const uint8_t *bits);

/*
 * Set from n elements of a sparse vector, values in stored space, at most OMENDB_MAX_NONZERO. n of
 * 0 is the zero vector. norm: its length before it was normalised.
 */
extern void omendb_query_set_sparse(OmendbQuery *query, const uint32_t *indices,
									const float *stored, uint32_t n, double norm);

/* Distance (OmendbMetric) between the query and the record's own vector. */
extern float omendb_query_distance(const OmendbQuery *query, const OmendbRecord *record);

#endif /* OMENDB_QUERY_H */
