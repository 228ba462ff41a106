/*
 * codec.h
 *	  The spaces that vectors are kept in, and the formulas of estimates.
 *
 * Does not know pages, graphs or PostgreSQL. A codec is made once for an index and only read
 * afterwards. own.h encodes own vectors, edge.h edges, query.h prepares queries.
 *
 * Spaces. The "stored space" is the space of own vectors. For the metrics that a rotation does
 * not change (L2, inner product, cosine) a vector is rotated; for cosine it is normalised first.
 * For L1 it is not changed. The "code space" is the stored space. If codes have more groups than
 * the vector has dimensions, the stored vector is padded with zeros and rotated again, so that
 * each group has an element.
 *
 * Estimates. An edge from node v to neighbour n keeps the codewords c nearest to r = n - v in
 * code space (kernel/codebook.h), four bits for a group of dimensions. With f = |r|^2 / <r, c>
 * the estimates for a query q are
 *
 *		|q-n|^2  ~  |q-v|^2 + b (<q, c> + t),  b = -2f,  t = |r|^2 / b - <v, c>
 *		-<q,n>   ~  -<q,v> + b (<q, c> + w t),  b = -f,  t = -<v,r> / b - <v, c>
 *
 * (The estimate from the quantized residual's direction alone: Gao and Long, "RaBitQ", SIGMOD
 * 2024; kept with each edge as in Gou et al., "SymphonyQG", SIGMOD 2025. There c are signs.)
 * An edge keeps the code, b (the slope of the estimate in <q, c>) and t (the shift). b is rounded,
 * with a relative error of 1/32 at most, before t is computed from it. So the rounding of b affects
 * only the small difference q - v. t is -<v + r/2, c>, the product of the codewords with the middle
 * of the edge. Its magnitude is the same for near and far neighbours (that of a = b t is not), so
 * the edges of a node share a unit of t.
 *
 * The inner product is not a function of q - v. <q,n> = <q,v> + w <v,r> + <q - wv,r> holds for
 * every w, and only the last term is estimated. w = <q,v> / |v|^2 makes q - wv shortest, and
 * the estimate is as good for a query of any length as for one of the length of v.
 */
#ifndef OMENDB_CODEC_H
#define OMENDB_CODEC_H

#include "code/layout.h"
#include "code/rotation.h"
#include "kernel/codebook.h"

typedef struct OmendbCodec
{
	OmendbLayout layout;
	bool rotates;          /* vectors are rotated into stored space */
	bool expands;          /* code space has more dimensions than stored space */
	OmendbRotation rotate; /* into stored space, if rotates */
	OmendbRotation expand; /* from padded stored space into code space, if expands */
	OmendbCodePlan plan;   /* which dimensions of the code space are in which group */
	float code_length;     /* mean of <r, c> / |r| */
	/*
	 * cosines[i]: estimated cosine of the angle between two residuals of a node whose codes
	 * differ in i signs (omendb_code_signs); plan.elements + 1 entries.
	 */
	const float *cosines;
} OmendbCodec;

/* True if code space has more dimensions than stored space. */
extern bool omendb_layout_expands(const OmendbLayout *layout);

/*
 * Set up a codec. memory: omendb_codec_bytes bytes, aligned to 8, which the codec uses as long as
 * it lives. The same seed, which the metapage keeps, gives the same codec.
 */
extern size_t omendb_codec_bytes(const OmendbLayout *layout);
extern void omendb_codec_init(OmendbCodec *codec, const OmendbLayout *layout, uint64_t seed,
							  void *memory);

/* Relocate the pointers of a copied codec, whose memory was copied from `from` to `to`. */
extern void omendb_codec_move(OmendbCodec *codec, const void *from, void *to);

/*
 * Number of floats of a code-space vector. (A stored-space vector has `dimensions`.) Kernels read
 * OMENDB_PLAN_SLACK floats more behind a vector of either space; these have to be 0.
 */
extern size_t omendb_code_floats(const OmendbCodec *codec);

/*
 * Transform x (dimensions floats) into stored space: normalise it (cosine only) and rotate it.
 * False for a zero vector under cosine, which has no direction. x and out may be the same array.
 */
extern bool omendb_codec_store(const OmendbCodec *codec, const float *x, float *out);

/*
 * Transform a stored-space vector into code space. Returns `stored` where the spaces are the same,
 * else `out` (omendb_code_floats floats).
 */
extern const float *omendb_code_vector(const OmendbCodec *codec, const float *stored, float *out);

#endif /* OMENDB_CODEC_H */
