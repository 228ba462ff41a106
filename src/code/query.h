/*
 * query.h
 *	  A query: a vector prepared for many distances and estimates (edge.h).
 */
#ifndef OMENDB_QUERY_H
#define OMENDB_QUERY_H

#include "code/codec.h"
#include "kernel/sparse.h"

/* A query, prepared for many distances and estimates. */
typedef struct OmendbQuery
{
	const OmendbCodec *codec;
	float *stored;            /* stored space; dimensions floats */
	float *code;              /* code space; used where it expands */
	float *scratch;           /* 2 * dimensions floats */
	uint8_t *lut;             /* tables for code_sums */
	const uint8_t *bits;      /* the query of a bit index; the caller's */
	OmendbSparseTable sparse; /* the query of sparse vectors */
	float base;               /* <q, c> ~ base + step * code_sums */
	float step;
	float norm2;
	double norm; /* length of the query before normalising; for bounds */
} OmendbQuery;

extern size_t omendb_query_bytes(const OmendbCodec *codec);
extern void omendb_query_init(OmendbQuery *query, const OmendbCodec *codec, void *memory);

/* Set from a vector as the user gives it; false as omendb_codec_store. */
extern bool omendb_query_set(OmendbQuery *query, const float *x);
/* Set from a vector already in stored space (dimensions floats). */
extern void omendb_query_set_stored(OmendbQuery *query, const float *stored);
/* Set from the own vector of a record (also of bits, of a sparse one). */
extern void omendb_query_set_record(OmendbQuery *query, const OmendbRecord *record);
extern void omendb_query_set_bits(OmendbQuery *query, const uint8_t *bits);

/*
 * Set the query: values in stored space. norm: its length before it was normalised.
 * At most OMENDB_MAX_NONZERO elements; none is the zero vector.
 */
extern void omendb_query_set_sparse(OmendbQuery *query, const uint32_t *indices,
									const float *stored, uint32_t n, double norm);

/* Distance between the query and a record's own vector. */
extern float omendb_query_distance(const OmendbQuery *query, const OmendbRecord *record);

#endif /* OMENDB_QUERY_H */
