/*
 * codec.h
 *	  The spaces of vectors in records, and the formulas of own vectors (own.h), of edges and
 *	  estimates (edge.h) and of queries (query.h).
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

#endif /* OMENDB_CODEC_H */
