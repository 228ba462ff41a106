/*
 * codec.h
 *	  Vectors into records and back: own vectors, the codes of neighbours, and
 *	  the distances and estimates a query gets from a record.
 *
 * Owns the formulas; knows nothing of pages, graphs or PostgreSQL. A codec is
 * made once for an index and only read afterwards.
 *
 * Spaces. The "stored space" of a vector is what own vectors keep: rotated for
 * the metrics that a rotation does not change (L2, inner product, cosine;
 * cosine also normalises), as given for L1. The "code space" is the stored space, or where
 * codes have more groups than the vector has dimensions, the vector padded with zeros and
 * rotated again, which gives an element to each group.
 *
 * Estimates. Neighbour n of node v is kept as the codewords c nearest to r = n - v in code
 * space (kernel/codebook.h), four bits for a group of dimensions, and f = |r|^2 / <r, c>,
 * from which
 *
 *		|q-n|^2  ~  |q-v|^2 + b (<q, c> + t),  b = -2f,  t = |r|^2 / b - <v, c>
 *		-<q,n>   ~  -<q,v> + b (<q, c> + w t),  b = -f,  t = -<v,r> / b - <v, c>
 *
 * (The estimate from the quantized residual's direction alone: Gao and Long, "RaBitQ", SIGMOD
 * 2024; kept with each edge as in Gou et al., "SymphonyQG", SIGMOD 2025. There c are signs.)
 * An edge keeps the code, b (the slope of the estimate in <q, c>) and t (its shift). b is rounded,
 * to a 32nd at most, before t is computed from it, so that this rounding touches only the small
 * difference q - v. t is -<v + r/2, c>, the product with the middle of the edge: of one size for
 * near edges and far ones, which a = b t is not; so the edges of a node share a unit of t.
 *
 * The inner product has no such difference: <q,n> = <q,v> + w <v,r> + <q - wv,r> for
 * every w, and only the last term is estimated. w = <q,v> / |v|^2 makes q - wv shortest,
 * and the estimate as good for a query of any length as for one as long as v.
 */
#ifndef OMENDB_CODEC_H
#define OMENDB_CODEC_H

#include "code/layout.h"
#include "code/rotation.h"
#include "kernel/codebook.h"
#include "kernel/sparse.h"

typedef struct OmendbCodec
{
	OmendbLayout layout;
	bool rotates;          /* stored space is rotated */
	bool expands;          /* code space is not the stored space */
	OmendbRotation rotate; /* stored space, where rotates */
	OmendbRotation expand; /* code space, where expands */
	OmendbCodePlan plan;   /* which dimensions of the code space are in which group */
	float code_length;     /* <r, c> / |r| on average */
	/*
	 * Entry i: the cosine of the angle at a node between two neighbours whose
	 * codes' signs differ in i bits; plan.elements + 1 entries.
	 */
	const float *cosines;
} OmendbCodec;

/* Has code space more dimensions than vectors, so that its vectors are made apart? */
extern bool omendb_layout_expands(const OmendbLayout *layout);

/*
 * Bytes of memory that a codec needs beside the struct, and its set-up in such
 * memory. The seed is the index's.
 */
extern size_t omendb_codec_bytes(const OmendbLayout *layout);
extern void omendb_codec_init(OmendbCodec *codec, const OmendbLayout *layout, uint64_t seed,
							  void *memory);

/*
 * For a copy of a codec whose memory was copied as well, from `from` to `to`:
 * let it point there.
 */
extern void omendb_codec_move(OmendbCodec *codec, const void *from, void *to);

/*
 * Floats that omendb_codec_store writes and stored vectors have: dimensions. Those of a
 * code-space vector. In memory OMENDB_PLAN_SLACK more follow each, which are 0.
 */
extern size_t omendb_code_floats(const OmendbCodec *codec);

/*
 * x (dimensions floats) into stored space: normalises (cosine) and rotates.
 * False where the metric has no direction for it: a zero vector under cosine.
 * x and out may be the same.
 */
extern bool omendb_codec_store(const OmendbCodec *codec, const float *x, float *out);

/*
 * The code-space vector of a stored-space vector: either `stored` itself or
 * `out` (omendb_code_floats floats).
 */
extern const float *omendb_code_vector(const OmendbCodec *codec, const float *stored, float *out);

/*
 * Own vectors. Encode sets own, error, norm2 and scale of the record; where
 * the vector cannot be kept (overflow) error is infinite and own is the
 * nearest that can. Decode gives the stored-space vector as it was kept.
 */
extern void omendb_own_encode(const OmendbCodec *codec, const float *stored, OmendbRecord *record);
extern void omendb_own_decode(const OmendbCodec *codec, const OmendbRecord *record, float *out);

/*
 * The same of float elements, with the sum of their squares in *norm2. False where that is not
 * what the record says, but for rounding: the vector was damaged.
 */
extern bool omendb_own_decode_checked(const OmendbCodec *codec, const OmendbRecord *record,
									  float *out, double *norm2);

/* Bits: own is the bit string itself. */
extern void omendb_own_encode_bits(const OmendbCodec *codec, const uint8_t *bits,
								   OmendbRecord *record);

/* Of sparse vectors: ownsparse.h. They are never decoded. */

/* Do the two hold the same own vector? */
extern bool omendb_own_equal(const OmendbCodec *codec, const OmendbRecord *a,
							 const OmendbRecord *b);

/*
 * Distance between the own vectors of two records. scratch: 2 * dimensions
 * floats, used where they are not comparable as they are.
 */
extern float omendb_own_distance(const OmendbCodec *codec, const OmendbRecord *a,
								 const OmendbRecord *b, float *scratch);

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

/* Distance between the query and a record's own vector. */
extern float omendb_query_distance(const OmendbQuery *query, const OmendbRecord *record);

/*
 * A lower bound of the operator's own value (L2: the distance, not its square;
 * cosine distance; negative inner product; L1; Hamming; Jaccard) of the row
 * behind a visited record, of which the record said error and norm2. Equal to
 * the value only by chance; never above it (bound.c says why).
 * *upper gets the matching upper bound.
 */
extern double omendb_lower_bound(const OmendbQuery *query, float distance, float error, float norm2,
								 double *upper);

#endif /* OMENDB_CODEC_H */
