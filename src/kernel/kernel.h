/*
 * kernel.h
 *	  Distance, conversion and quantization kernels: the interface.
 *
 * Owns nothing but one table of function pointers, omendb_kernels, filled once
 * when the library is loaded (and again when omendb.simd_level is set). Pure C:
 * no PostgreSQL header here or in any file of this directory, so that the unit
 * tests run it without a server.
 *
 * Common rules for every kernel:
 *	- operands need the alignment of their element type only;
 *	- n is the number of elements (bytes for the bit kernels); 0 is allowed;
 *	- inputs may hold NaN and infinities: the result is then NaN or an infinity
 *	  as IEEE arithmetic has it, and nothing is read out of bounds;
 *	- float results are sums in float of several partial sums, so they differ
 *	  between instruction sets by rounding. The error is at most
 *	  (n / lanes + 8) * FLT_EPSILON times the sum of the terms' magnitudes,
 *	  with lanes = 1 for the scalar level and at least 8 for all others, plus
 *	  n * FLT_TRUE_MIN (products may underflow). Where that sum of magnitudes
 *	  leaves the range of float the result may be an infinity or NaN;
 *	- where both operands have one type their order does not matter: k(a, b) and
 *	  k(b, a) are the same bits.
 */
#ifndef OMENDB_KERNEL_H
#define OMENDB_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernel/codebook.h"

/* An IEEE 754 binary16 number, as bits. */
typedef uint16_t OmendbHalf;

/* What one pass over two operands gives the cosine: <a,b>, <a,a>, <b,b>. */
typedef struct OmendbCosine
{
	float dot;
	float norm2_a;
	float norm2_b;
} OmendbCosine;

typedef struct OmendbCosineInt
{
	int32_t dot;
	int32_t norm2_a;
	int32_t norm2_b;
} OmendbCosineInt;

/* What one pass over two bit strings gives Jaccard: bits of a AND b, of a OR b. */
typedef struct OmendbBitOverlap
{
	uint64_t both;
	uint64_t either;
} OmendbBitOverlap;

/* What a query and a record give to all estimates of the record's edges. */
typedef struct OmendbEstimate
{
	float distance; /* of the record */
	float base;
	float step;
	float unit;        /* of the shifts */
	uint32_t exponent; /* of the slopes */
} OmendbEstimate;

typedef struct OmendbKernels
{
	/* sum of (a[i] - b[i])^2; sum of a[i] * b[i]; sum of |a[i] - b[i]| */
	float (*l2sq_f32)(const float *a, const float *b, size_t n);
	float (*dot_f32)(const float *a, const float *b, size_t n);
	OmendbCosine (*cosine_f32)(const float *a, const float *b, size_t n);
	float (*l1_f32)(const float *a, const float *b, size_t n);

	/* The same for halves, each widened to float (exact) before use. */
	float (*l2sq_f16)(const OmendbHalf *a, const OmendbHalf *b, size_t n);
	float (*dot_f16)(const OmendbHalf *a, const OmendbHalf *b, size_t n);
	OmendbCosine (*cosine_f16)(const OmendbHalf *a, const OmendbHalf *b, size_t n);
	float (*l1_f16)(const OmendbHalf *a, const OmendbHalf *b, size_t n);

	/*
	 * A query in float against stored int8, widened to float (exact) before
	 * use: the sum of a[i] * b[i], which the caller scales.
	 */
	float (*dot_f32_i8)(const float *a, const int8_t *b, size_t n);

	/*
	 * Stored int16, all of -32768..32767, that stand for scale * b[i]. With
	 * y[i] being that product rounded to float, the same bits at every level:
	 *
	 * l2sq_f32_i16: the sum of (a[i] - y[i])^2, a difference being rounded before
	 * it is squared: the terms of l2sq_f32 for what i16_to_float gives.
	 * l2sq_i16: the same of two of them. Operands change places together with
	 * their scales, and one compared with itself gives 0, if its y are finite.
	 * i16_to_float: out[i] = y[i]. The operands must not overlap.
	 *
	 * The products know no scale: sums of a[i] * b[i], widened to float (exact)
	 * before use, in float, which the caller scales.
	 */
	float (*l2sq_f32_i16)(const float *a, const int16_t *b, float scale, size_t n);
	float (*dot_f32_i16)(const float *a, const int16_t *b, size_t n);
	float (*l2sq_i16)(const int16_t *a, float scale_a, const int16_t *b, float scale_b, size_t n);
	float (*dot_i16)(const int16_t *a, const int16_t *b, size_t n);
	void (*i16_to_float)(const int16_t *b, float scale, float *out, size_t n);

	/*
	 * n integers of 12 bits in n + (n + 1) / 2 bytes, packed as OMENDB_OWN_INT12 is
	 * (code/layout.h), widened. Exact. The operands must not overlap.
	 */
	void (*i12_to_i16)(const uint8_t *packed, int16_t *out, size_t n);

	/*
	 * The first four for int8, all of -128..127, exact. Accumulators are 32 bits
	 * wide: n may be up to OMENDB_INT8_MAX_DIM.
	 */
	int32_t (*l2sq_i8)(const int8_t *a, const int8_t *b, size_t n);
	int32_t (*dot_i8)(const int8_t *a, const int8_t *b, size_t n);
	OmendbCosineInt (*cosine_i8)(const int8_t *a, const int8_t *b, size_t n);
	int32_t (*l1_i8)(const int8_t *a, const int8_t *b, size_t n);

	/* Bits that differ, and the parts of Jaccard; n in bytes. Exact. */
	uint64_t (*hamming)(const uint8_t *a, const uint8_t *b, size_t n);
	/* out[i] = hamming(a, b + i * n, n) for `rows` strings one behind the other. */
	void (*hamming_rows)(const uint8_t *a, const uint8_t *b, size_t n, size_t rows, uint32_t *out);
	OmendbBitOverlap (*overlap)(const uint8_t *a, const uint8_t *b, size_t n);

	/*
	 * Conversions. To half: round to nearest, ties to even; beyond the range
	 * of half (magnitude from 65520 on) an infinity: the caller looks for it.
	 * NaN stays NaN (payload not kept). The operands must not overlap.
	 */
	void (*half_to_float)(const OmendbHalf *a, float *out, size_t n);
	void (*float_to_half)(const float *a, OmendbHalf *out, size_t n);

	/*
	 * sum of a[i]^2 in double: cannot overflow, underflow or lose more than
	 * n * DBL_EPSILON for any finite input.
	 */
	double (*norm2_f32)(const float *a, size_t n);
	double (*norm2_f16)(const OmendbHalf *a, size_t n);

	/*
	 * out[i] = a[i] / norm, divided in double and rounded once. norm must not
	 * be 0. a and out may be the same array.
	 */
	void (*normalize_f32)(const float *a, float *out, size_t n, double norm);

	/*
	 * Binary quantization: bit i of out is 1 where a[i] > 0; bit 0 is the most
	 * significant of byte 0, as in PostgreSQL's bit type. Writes (n + 7) / 8
	 * bytes, unused trailing bits 0.
	 */
	void (*quantize_f32)(const float *a, uint8_t *out, size_t n);
	void (*quantize_f16)(const OmendbHalf *a, uint8_t *out, size_t n);

	/*
	 * residual_signs: with r[i] = x[i] - v[i], bit i % 8 of bits[i / 8] is 1 (value
	 * 1 << i % 8, not the order of the bit type above) where r[i] > 0. Writes (n + 7) / 8
	 * bytes, unused trailing bits 0. The same at every level.
	 */
	void (*residual_signs)(const float *v, const float *x, size_t n, uint8_t *bits);

	/*
	 * The codes of the index: four bits for a group of elements, by the codebooks of
	 * kernel/codebook.h. Group g is in the low bits of byte g / 2 where g is even, else in
	 * the high ones. Vectors have OMENDB_PLAN_SLACK floats behind the plan's elements.
	 *
	 * residual_code: the code of r = x - v, each group's nearest codeword when elements are
	 * in units of their mean magnitude. Writes plan->groups / 2 bytes. With c the codewords:
	 * *residual is the sum of r[i] * c[i] for the r that is rounded to the integers of
	 * code.h, *origin the sum of v[i] * c[i]. The code is the same at every level. Where an
	 * r[i] is not finite, the code is some code.
	 */
	void (*residual_code)(const float *v, const float *x, const OmendbCodePlan *plan, uint8_t *code,
						  float *residual, float *origin);

	/*
	 * The tables by which code_sums finds the sum of q[i] * c[i] for a code. That sum is
	 * about *base + *step * (what code_sums gives), at most groups * *step / 2 off, besides
	 * the rounding of q to the integers of code.h. Table g, the 16 bytes from lut[16 * g],
	 * serves group g; the maxima of all tables sum up to 65535 or less. Up to the next
	 * multiple of 16 groups tables of 0 follow: OMENDB_LUT_BYTES(groups) in all.
	 *
	 * As many bytes behind them have tables of the same kind for what rounding has left: with
	 * their sum by code_sums, too, *base + *step * (sum + (their sum - OMENDB_LUT_REST * groups)
	 * / (2 * OMENDB_LUT_REST)) is off by a 250th of that. lut has both.
	 *
	 * The tables, *base and *step are the same at every level. Where magnitudes are so
	 * small that *step is no normal float, or sum up to more than 1e37, or are NaN, the
	 * results are unspecified, and sums made from them may wrap around.
	 */
	void (*lut_f32)(const float *q, const OmendbCodePlan *plan, uint8_t *lut, float *base,
					float *step);

	/*
	 * For `slots` codes, each beginning `stride` bytes behind the one before:
	 * sums[s] is the sum, over the 2 * bytes four-bit numbers in `bytes` bytes (a
	 * multiple of 8) from code s, of the entry that the number selects in its table.
	 * The low four bits of byte i select in table 2 * i, the high ones in table
	 * 2 * i + 1. Exact modulo 65536, so exact if the tables' maxima sum up to no more
	 * than 65535. A code whose stride is no multiple of 8 has tables of 0 for the bytes
	 * from there on, which are the next code's.
	 *
	 * sums has room for OMENDB_SUMS_CAPACITY(slots) numbers; those behind `slots` are
	 * unspecified afterwards. Of codes nothing else is read.
	 */
	void (*code_sums)(const uint8_t *codes, size_t stride, size_t bytes, size_t slots,
					  const uint8_t *lut, uint16_t *sums);

	/*
	 * Estimates of n edges from what a record keeps of them (code/layout.h) and from the sums
	 * of code_sums: out[i] = e->distance + b * (e->base + e->step * sums[i] + e->unit *
	 * shifts[i]), b being minus the float whose bits are slopes[i] + 16 * e->exponent,
	 * shifted left by 19. All arrays are read, and out is written, up to the next multiple of 8;
	 * what stands there from n on is unspecified.
	 */
	void (*estimates)(const OmendbEstimate *e, const uint8_t *slopes, const int16_t *shifts,
					  const uint16_t *sums, size_t n, float *out);

	/*
	 * The Walsh-Hadamard transform in place, not scaled: x[i] becomes the sum of
	 * x[j], negated where i & j has an odd number of bits. n is a power of two.
	 * The additions are the same ones at every level, and so are the results.
	 */
	void (*hadamard)(float *x, size_t n);

	/* Negates x[i] (NaN too) where bit i is 1, bit 0 the least significant of byte 0. */
	void (*multiply_signs)(float *x, const uint8_t *bits, size_t n);

	/*
	 * The kernels of the bulk build (graph/bulk.c): many distances at a time between
	 * short vectors. A "row" has n elements of -127..127 and is followed by zeros up to
	 * OMENDB_ROW_LENGTH(n), which kernels read; n is at most OMENDB_INT8_MAX_DIM. All
	 * results are exact, so they are the same at every level.
	 *
	 * pack_columns: `count` rows, 1 to OMENDB_BLOCK_COLUMNS, as one group of columns
	 * for block_products of the same table: OMENDB_PACKED_BYTES(n), in an order that is
	 * the level's own. Columns from `count` on are unspecified.
	 *
	 * block_products: for OMENDB_BLOCK_ROWS rows and `groups` groups of columns, packed
	 * one behind the other, out[r * stride + c] is the sum of rows[r][i] * column c's
	 * [i]; stride is at least OMENDB_BLOCK_COLUMNS * groups.
	 *
	 * row_products: out[j] is the sum of v[i] * rows[j][i], for `count` rows.
	 */
	void (*pack_columns)(const int8_t *const *rows, size_t count, size_t n, void *packed);
	void (*block_products)(const int8_t *const *rows, const void *packed, size_t groups, size_t n,
						   int32_t *out, size_t stride);
	void (*row_products)(const int8_t *v, const int8_t *const *rows, size_t count, size_t n,
						 int32_t *out);

	/*
	 * The k smallest of base[j] + factor * scale[j] * products[j], j from 0 to n - 1 but
	 * for j = skip (SIZE_MAX: none): values and j ascending by value, equal values by
	 * j. Returns how many there are: k, or fewer where n is small. k is at most
	 * OMENDB_NEAREST_MAX. factor and scale[j] have to be powers of two (factor with
	 * either sign), and no intermediate result may leave the range of float: then each
	 * value is the product rounded to float, scaled without rounding, added with one
	 * rounding, at every level. base and scale are readable up to a multiple of 16.
	 */
	uint32_t (*nearest)(const float *base, const float *scale, const int32_t *products,
						float factor, size_t n, size_t skip, uint32_t k, float *values,
						uint32_t *which);

	/* Bit i % 64 of out[i / 64] is 1 where x[i] > v[i]; n elements, a multiple of 64. */
	void (*compare_rows)(const int8_t *v, const int8_t *x, size_t n, uint64_t *out);

	/*
	 * Codes by columns: word w of code j is codes[w * stride + j], stride a multiple of
	 * 8. differ[j] is the number of bits in which codes i and j differ, for j < n; at
	 * most 65535 bits. Reads codes, and writes differ, up to the next multiple of 32.
	 */
	void (*column_hamming)(const uint64_t *codes, size_t words, size_t stride, size_t i, size_t n,
						   uint16_t *differ);

	/*
	 * Bit j % 64 of mask[j / 64] is 1 where differ[j] < limit, j < n; bits of the last
	 * word from n on are unspecified. Reads differ up to the next multiple of 64.
	 */
	void (*below)(const uint16_t *differ, size_t n, uint16_t limit, uint64_t *mask);

	/*
	 * ranks[i]: how many of the n keys are smaller than keys[i]. Up to the next multiple
	 * of 16 keys is readable and ranks writable; the keys there are UINT64_MAX.
	 */
	void (*ranks)(const uint64_t *keys, size_t n, uint16_t *ranks);
} OmendbKernels;

#define OMENDB_BLOCK_ROWS      8
#define OMENDB_BLOCK_COLUMNS   16
#define OMENDB_ROW_LENGTH(n)   (((size_t) (n) + 63) / 64 * 64)
#define OMENDB_PACKED_BYTES(n) (OMENDB_BLOCK_COLUMNS * (((size_t) (n) + 3) / 4 * 4))
#define OMENDB_NEAREST_MAX     32

#define OMENDB_LUT_BYTES(groups) (((size_t) (groups) + 15) / 16 * 256)

/* In the second tables of lut_f32, 0 to twice that stand for -1/2 to 1/2. */
#define OMENDB_LUT_REST 127

/* Kernels write the sums of 32 codes at a time. */
#define OMENDB_SUMS_CAPACITY(slots) (((slots) + 31) / 32 * 32)

/* 255^2 * 33025 < 2^31: the longest int8 operands whose squared L2 fits int32. */
#define OMENDB_INT8_MAX_DIM 33025

/*
 * Levels: what omendb.simd_level names. A level includes those below it on its
 * own architecture; scalar is everywhere.
 */
typedef enum OmendbSimdLevel
{
	OMENDB_SIMD_SCALAR,
	OMENDB_SIMD_NEON,   /* aarch64; with DOTPROD where present */
	OMENDB_SIMD_AVX2,   /* AVX2, FMA, F16C, POPCNT */
	OMENDB_SIMD_AVX512, /* F, BW, DQ, VL; with VNNI, VPOPCNTDQ, VBMI where present */
} OmendbSimdLevel;

#define OMENDB_SIMD_LEVELS 4

/* What the processor and the operating system together support, as bits. */
#define OMENDB_CPU_NEON      (1u << 0)
#define OMENDB_CPU_DOTPROD   (1u << 1)
#define OMENDB_CPU_AVX2      (1u << 2)
#define OMENDB_CPU_AVX512    (1u << 3)
#define OMENDB_CPU_VNNI      (1u << 4)
#define OMENDB_CPU_VPOPCNTDQ (1u << 5)
#define OMENDB_CPU_VBMI      (1u << 6)

/* The table in use. Valid after omendb_kernels_use. */
extern OmendbKernels omendb_kernels;

/* OMENDB_CPU_ bits of this machine. */
extern unsigned omendb_cpu_features(void);

/* The highest level that a set of OMENDB_CPU_ bits allows. */
extern OmendbSimdLevel omendb_best_level(unsigned features);

/* Does this set of OMENDB_CPU_ bits allow that level? */
extern bool omendb_level_available(OmendbSimdLevel level, unsigned features);

/* "scalar", "neon", "avx2", "avx512". */
extern const char *omendb_level_name(OmendbSimdLevel level);

/*
 * Fill a table with the best kernels of at most that level that the features
 * allow. The level must be available.
 */
extern void omendb_kernels_fill(OmendbKernels *table, OmendbSimdLevel level, unsigned features);

/* Fill omendb_kernels so, and remember the level. */
extern void omendb_kernels_use(OmendbSimdLevel level);

/* The level of omendb_kernels. */
extern OmendbSimdLevel omendb_kernels_level(void);

/*
 * Double-precision versions, slower: for operands whose squares leave the
 * range of float. Neither overflows nor underflows for finite input.
 */
extern double omendb_wide_l2sq_f32(const float *a, const float *b, size_t n);
extern double omendb_wide_dot_f32(const float *a, const float *b, size_t n);
extern double omendb_wide_l1_f32(const float *a, const float *b, size_t n);

#endif /* OMENDB_KERNEL_H */
