/*
 * kernel.h
 *	  Kernels: distances, conversions, quantization, codes, and those of the bulk build.
 *
 * The interface is one table of function pointers, omendb_kernels, which is filled when the library
 * is loaded, and again when omendb.simd_level is set. No file of this folder includes a PostgreSQL
 * header, so the unit tests need no server.
 *
 * Rules for every kernel, unless its comment says otherwise:
 *	- Shapes: n is the number of elements of each operand (bytes for the bit kernels). 0 is allowed.
 *	- Alignment: that of the element type. Nothing is read or written behind n elements.
 *	- NaN and infinities are allowed in inputs. The result is then what IEEE arithmetic gives.
 *	- Sums in float have several partial sums, so instruction sets differ by rounding. The error is
 *	  at most (n / lanes + 8) * FLT_EPSILON times the sum of the terms' magnitudes, plus
 *	  n * FLT_TRUE_MIN because products may underflow. lanes is 1 for the scalar level and 8 or more
 *	  for the others. If the sum of magnitudes leaves the range of float, the result may be an
 *	  infinity or NaN.
 *	- Operands of one type may change places: k(a, b) and k(b, a) are the same bits.
 */
#ifndef OMENDB_KERNEL_H
#define OMENDB_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernel/codebook.h"

/* An IEEE 754 binary16 number, as bits. */
typedef uint16_t OmendbHalf;

/* The sums of a cosine: <a,b>, <a,a>, <b,b>. */
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

/* The sums of Jaccard: numbers of bits that are 1 in a AND b, and in a OR b. */
typedef struct OmendbBitOverlap
{
	uint64_t both;
	uint64_t either;
} OmendbBitOverlap;

/* What the estimates of all edges of a record have in common; see `estimates`. */
typedef struct OmendbEstimate
{
	float distance;    /* between query and record */
	float base;        /* of the query: by lut_f32 */
	float step;        /* of the query: by lut_f32 */
	float unit;        /* of the record's shifts, times w (code/codec.h) */
	uint32_t exponent; /* of the record's slopes */
} OmendbEstimate;

typedef struct OmendbKernels
{
	/*
	 * l2sq: the sum of (a[i] - b[i])^2; dot: of a[i] * b[i]; l1: of |a[i] - b[i]|; cosine: the
	 * three sums of OmendbCosine. Accumulators are floats.
	 */
	float (*l2sq_f32)(const float *a, const float *b, size_t n);
	float (*dot_f32)(const float *a, const float *b, size_t n);
	OmendbCosine (*cosine_f32)(const float *a, const float *b, size_t n);
	float (*l1_f32)(const float *a, const float *b, size_t n);

	/* The same for halves, each widened to float (exact). Accumulators are floats. */
	float (*l2sq_f16)(const OmendbHalf *a, const OmendbHalf *b, size_t n);
	float (*dot_f16)(const OmendbHalf *a, const OmendbHalf *b, size_t n);
	OmendbCosine (*cosine_f16)(const OmendbHalf *a, const OmendbHalf *b, size_t n);
	float (*l1_f16)(const OmendbHalf *a, const OmendbHalf *b, size_t n);

	/* The sum of a[i] * b[i], each b[i] widened to float (exact). The caller scales it. */
	float (*dot_f32_i8)(const float *a, const int8_t *b, size_t n);

	/*
	 * int16 elements, -32768 to 32767, that stand for y[i] = scale * b[i], rounded to float: the
	 * same bits at every level.
	 *
	 * l2sq_f32_i16: the sum of (a[i] - y[i])^2, where the difference is rounded to float before it
	 * is squared. These are the terms of l2sq_f32 for the output of i16_to_float.
	 * l2sq_i16: the same for two operands. They may change places together with their scales. The
	 * distance of an operand from itself is 0 if its y[i] are finite.
	 * i16_to_float: out[i] = y[i]. b and out must not overlap.
	 *
	 * dot_f32_i16, dot_i16: the sum of a[i] * b[i], each widened to float (exact), accumulated in
	 * float. The caller scales it.
	 */
	float (*l2sq_f32_i16)(const float *a, const int16_t *b, float scale, size_t n);
	float (*dot_f32_i16)(const float *a, const int16_t *b, size_t n);
	float (*l2sq_i16)(const int16_t *a, float scale_a, const int16_t *b, float scale_b, size_t n);
	float (*dot_i16)(const int16_t *a, const int16_t *b, size_t n);
	void (*i16_to_float)(const int16_t *b, float scale, float *out, size_t n);

	/*
	 * Widens n integers of 12 bits, in n + (n + 1) / 2 bytes (code/layout.h has their packing).
	 * Exact. packed and out must not overlap.
	 */
	void (*i12_to_i16)(const uint8_t *packed, int16_t *out, size_t n);

	/*
	 * The first four for int8, -128 to 127. Exact. Accumulators are int32: n is at most
	 * OMENDB_INT8_MAX_DIM.
	 */
	int32_t (*l2sq_i8)(const int8_t *a, const int8_t *b, size_t n);
	int32_t (*dot_i8)(const int8_t *a, const int8_t *b, size_t n);
	OmendbCosineInt (*cosine_i8)(const int8_t *a, const int8_t *b, size_t n);
	int32_t (*l1_i8)(const int8_t *a, const int8_t *b, size_t n);

	/*
	 * hamming: the number of bits that differ. overlap: the sums of OmendbBitOverlap. n in bytes.
	 * hamming_rows: out[i] = hamming(a, b + i * n, n) for i < rows. Exact.
	 */
	uint64_t (*hamming)(const uint8_t *a, const uint8_t *b, size_t n);
	void (*hamming_rows)(const uint8_t *a, const uint8_t *b, size_t n, size_t rows, uint32_t *out);
	OmendbBitOverlap (*overlap)(const uint8_t *a, const uint8_t *b, size_t n);

	/*
	 * Conversions; a and out must not overlap. half_to_float is exact. float_to_half rounds to
	 * nearest, ties to even. Magnitudes from 65520 on become infinities, for which the caller has to
	 * look. NaN stays NaN, but its payload may change.
	 */
	void (*half_to_float)(const OmendbHalf *a, float *out, size_t n);
	void (*float_to_half)(const float *a, OmendbHalf *out, size_t n);

	/*
	 * The sum of a[i]^2, in double: no overflow or underflow with finite input, and a relative error
	 * of at most n * DBL_EPSILON.
	 */
	double (*norm2_f32)(const float *a, size_t n);
	double (*norm2_f16)(const OmendbHalf *a, size_t n);

	/*
	 * out[i] = a[i] / norm, divided in double and rounded to float once. norm is not 0. a and out may
	 * be the same array.
	 */
	void (*normalize_f32)(const float *a, float *out, size_t n, double norm);

	/*
	 * Binary quantization: bit i of out is 1 if a[i] > 0. Bit 0 is the most significant bit of byte
	 * 0, as in PostgreSQL's type bit. Writes (n + 7) / 8 bytes; unused bits are 0.
	 */
	void (*quantize_f32)(const float *a, uint8_t *out, size_t n);
	void (*quantize_f16)(const OmendbHalf *a, uint8_t *out, size_t n);

	/*
	 * Bit i is 1 if x[i] - v[i] > 0. Bit 0 is the least significant bit of byte 0, unlike above.
	 * Writes (n + 7) / 8 bytes; unused bits are 0. The same at every level.
	 */
	void (*residual_signs)(const float *v, const float *x, size_t n, uint8_t *bits);

	/*
	 * The codes of edges: four bits for a group of elements, by the codebooks of kernel/codebook.h
	 * (the formulas are in code/codec.h). Group g has the low bits of byte g / 2 if g is even, else
	 * the high bits. v, x and q have plan->elements floats, and OMENDB_PLAN_SLACK more that are read.
	 *
	 * residual_code: the code of r = x - v. Each group gets the nearest codeword, with elements in
	 * units of a deviation, which is estimated from the mean magnitude of r. Writes plan->groups / 2
	 * bytes. With c the codewords, *residual is the sum of r[i] * c[i], where r is rounded to the
	 * integers of code.h, and *origin the sum of v[i] * c[i]. Code and *residual are the same at
	 * every level. If an r[i] is not finite, the code is unspecified.
	 */
	void (*residual_code)(const float *v, const float *x, const OmendbCodePlan *plan, uint8_t *code,
						  float *residual, float *origin);

	/*
	 * Makes the tables of a query q, from which code_sums computes the sum of q[i] * c[i] for a
	 * code. lut has 2 * OMENDB_LUT_BYTES(plan->groups) bytes: first tables, then second tables.
	 *
	 * Table g is the 16 bytes from lut[16 * g]: entry z is the product of group g with codeword z, in
	 * units of *step, rounded and raised to 0 or more. The tables from plan->groups up to the next
	 * multiple of 16 are 0. The maxima of all tables sum up to 65535 or less. With `sum` by
	 * code_sums, the product is about *base + *step * sum; the error is at most groups * *step / 2,
	 * and the rounding of q to the integers of code.h.
	 *
	 * The second tables, of the same shape, have the rounding of the first. With `rest` by
	 * code_sums of them, *base + *step * (sum + (rest - OMENDB_LUT_REST * groups) /
	 * (2 * OMENDB_LUT_REST)) has a 250th of that error.
	 *
	 * The tables, *base and *step are the same at every level. If *step would be subnormal,
	 * magnitudes sum up to more than 1e37, or one is NaN, the tables are unspecified, and sums of
	 * them may wrap around.
	 */
	void (*lut_f32)(const float *q, const OmendbCodePlan *plan, uint8_t *lut, float *base,
					float *step);

	/*
	 * Looks up and sums the entries of `slots` codes. Code s is the `bytes` bytes from
	 * codes + s * stride; `bytes` is a multiple of 8. The low four bits of byte i select an entry of
	 * table 2 * i, the high four bits one of table 2 * i + 1; sums[s] is the sum of all 2 * bytes
	 * entries. Accumulators have 16 bits: exact modulo 65536, and exact if the maxima of the tables
	 * sum up to 65535 or less.
	 *
	 * If stride is less than `bytes`, the bytes behind a code are read, which are the next code's;
	 * their tables are 0. Nothing else behind the last code is read. sums: capacity
	 * OMENDB_SUMS_CAPACITY(slots); the elements from `slots` on are unspecified afterwards.
	 */
	void (*code_sums)(const uint8_t *codes, size_t stride, size_t bytes, size_t slots,
					  const uint8_t *lut, uint16_t *sums);

	/*
	 * Estimates of n edges (code/codec.h has the formula): out[i] = e->distance + b * (e->base +
	 * e->step * sums[i] + e->unit * shifts[i]), where -b is the float with the bits
	 * (slopes[i] + 16 * e->exponent) << 19 (code/layout.h). All arrays are read, and out is written,
	 * up to the next multiple of 8; the elements of out from n on are unspecified afterwards.
	 */
	void (*estimates)(const OmendbEstimate *e, const uint8_t *slopes, const int16_t *shifts,
					  const uint16_t *sums, size_t n, float *out);

	/*
	 * The Walsh-Hadamard transform in place, not scaled: x[i] becomes the sum over j of x[j], negated
	 * if i & j has an odd number of bits. n is a power of two. The same at every level, because the
	 * additions are the same.
	 */
	void (*hadamard)(float *x, size_t n);

	/* Negates x[i], also NaN, if bit i is 1. Bit 0 is the least significant bit of byte 0. */
	void (*multiply_signs)(float *x, const uint8_t *bits, size_t n);

	/*
	 * Vectors as rows of the bulk build (graph/bulkrows.c).
	 *
	 * largest_f32: the largest magnitude of x[0 .. n - 1]; 0 for n = 0. NaN is ignored.
	 *
	 * round_f32_i8: out[i] is x[i] * factor, rounded to the nearest integer (ties to even), of
	 * magnitude 127 at most; NaN becomes 127. Returns the sum of out[i] * out[i], exactly; n is at
	 * most OMENDB_INT8_MAX_DIM.
	 */
	float (*largest_f32)(const float *x, size_t n);
	int32_t (*round_f32_i8)(const float *x, float factor, int8_t *out, size_t n);

	/*
	 * Kernels of the bulk build (graph/bulk.c): inner products of int8 vectors, many at a time. A
	 * "row" has n elements, -127 to 127, and zeros behind them up to OMENDB_ROW_LENGTH(n), which are
	 * read. Accumulators are int32: n is at most OMENDB_INT8_MAX_DIM. Exact, so the same at every
	 * level.
	 *
	 * pack_columns: packs `count` rows, 1 to OMENDB_BLOCK_COLUMNS, as the columns of one group for
	 * block_products of the same table. Writes OMENDB_PACKED_BYTES(n); the order of the bytes is the
	 * level's own. Columns from `count` on are unspecified.
	 *
	 * block_products: OMENDB_BLOCK_ROWS rows times OMENDB_BLOCK_COLUMNS * groups columns; the packed
	 * groups are adjacent. out[r * stride + c] is the sum of rows[r][i] * column[c][i]. stride is at
	 * least OMENDB_BLOCK_COLUMNS * groups.
	 *
	 * row_products: out[j] is the sum of v[i] * rows[j][i], for j < count.
	 */
	void (*pack_columns)(const int8_t *const *rows, size_t count, size_t n, void *packed);
	void (*block_products)(const int8_t *const *rows, const void *packed, size_t groups, size_t n,
						   int32_t *out, size_t stride);
	void (*row_products)(const int8_t *v, const int8_t *const *rows, size_t count, size_t n,
						 int32_t *out);

	/*
	 * The k smallest of base[j] + factor * scale[j] * products[j] for j < n and j != skip (SIZE_MAX:
	 * none). Writes values, ascending, and which, their j; equal values are in the order of j.
	 * Returns their number: k, or less if n is small. k is at most OMENDB_NEAREST_MAX.
	 *
	 * factor and scale[j] are powers of two (factor also negated), and no intermediate result leaves
	 * the range of float. So products[j] is rounded to float, scaled without rounding, and added with
	 * one rounding: the same at every level. base and scale are read up to the next multiple of 16.
	 */
	uint32_t (*nearest)(const float *base, const float *scale, const int32_t *products,
						float factor, size_t n, size_t skip, uint32_t k, float *values,
						uint32_t *which);

	/* Bit i % 64 of out[i / 64] is 1 if x[i] > v[i]. n is a multiple of 64. */
	void (*compare_rows)(const int8_t *v, const int8_t *x, size_t n, uint64_t *out);

	/*
	 * differ[j] is the number of bits in which codes i and j differ, for j < n. Codes are stored by
	 * columns: word w of code j is codes[w * stride + j]; stride is a multiple of 8. A code has at
	 * most 65535 bits. Reads codes, and writes differ, up to the next multiple of 32.
	 */
	void (*column_hamming)(const uint64_t *codes, size_t words, size_t stride, size_t i, size_t n,
						   uint16_t *differ);

	/*
	 * Bit j % 64 of mask[j / 64] is 1 if differ[j] < limit, for j < n. Bits of the last word from n
	 * on are unspecified. Reads differ up to the next multiple of 64.
	 */
	void (*below)(const uint16_t *differ, size_t n, uint16_t limit, uint64_t *mask);

	/*
	 * ranks[i] is the number of keys that are smaller than keys[i], for i < n. keys is read, and ranks
	 * written, up to the next multiple of 16; the keys from n on are UINT64_MAX.
	 */
	void (*ranks)(const uint64_t *keys, size_t n, uint16_t *ranks);
} OmendbKernels;

#define OMENDB_BLOCK_ROWS      8  /* of block_products */
#define OMENDB_BLOCK_COLUMNS   16 /* of a group of columns */
#define OMENDB_ROW_LENGTH(n)   (((size_t) (n) + 63) / 64 * 64)
#define OMENDB_PACKED_BYTES(n) (OMENDB_BLOCK_COLUMNS * (((size_t) (n) + 3) / 4 * 4))
#define OMENDB_NEAREST_MAX     32

/* Bytes of the first tables of lut_f32, and of the second ones. */
#define OMENDB_LUT_BYTES(groups) (((size_t) (groups) + 15) / 16 * 256)

/* In the second tables, entries 0 to 2 * OMENDB_LUT_REST stand for -1/2 to 1/2. */
#define OMENDB_LUT_REST 127

/* Kernels write the sums of 32 codes at a time. */
#define OMENDB_SUMS_CAPACITY(slots) (((slots) + 31) / 32 * 32)

/* Elements of int8 operands, at most: 255^2 * 33025 < 2^31, so their squared L2 fits int32. */
#define OMENDB_INT8_MAX_DIM 33025

/*
 * The values of omendb.simd_level. A level includes the lower ones of its architecture; every
 * machine has scalar.
 */
typedef enum OmendbSimdLevel
{
	OMENDB_SIMD_SCALAR,
	OMENDB_SIMD_NEON,   /* aarch64; with DOTPROD where present */
	OMENDB_SIMD_AVX2,   /* AVX2, FMA, F16C, POPCNT */
	OMENDB_SIMD_AVX512, /* F, BW, DQ, VL; with VNNI, VPOPCNTDQ, VBMI where present */
} OmendbSimdLevel;

#define OMENDB_SIMD_LEVELS 4

/* Instructions that the processor and the operating system support. */
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

/* True if a set of OMENDB_CPU_ bits allows the level. */
extern bool omendb_level_available(OmendbSimdLevel level, unsigned features);

/* "scalar", "neon", "avx2", "avx512". */
extern const char *omendb_level_name(OmendbSimdLevel level);

/*
 * Fill a table with the best kernels that the level and the features (OMENDB_CPU_ bits) allow. The
 * level has to be available.
 */
extern void omendb_kernels_fill(OmendbKernels *table, OmendbSimdLevel level, unsigned features);

/* Fill omendb_kernels with the kernels of a level, and keep the level for omendb_kernels_level. */
extern void omendb_kernels_use(OmendbSimdLevel level);

/* The level of omendb_kernels. */
extern OmendbSimdLevel omendb_kernels_level(void);

/*
 * l2sq, dot and l1 with accumulators in double, for operands whose squares leave the range of float.
 * Slower; no overflow or underflow with finite input.
 */
extern double omendb_wide_l2sq_f32(const float *a, const float *b, size_t n);
extern double omendb_wide_dot_f32(const float *a, const float *b, size_t n);
extern double omendb_wide_l1_f32(const float *a, const float *b, size_t n);

#endif /* OMENDB_KERNEL_H */
