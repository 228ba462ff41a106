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
 *	- operand order does not matter: k(a, b) and k(b, a) are the same bits.
 */
#ifndef OMENDB_KERNEL_H
#define OMENDB_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

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
	 * The same for int8, all of -128..127, exact. Accumulators are 32 bits
	 * wide: n may be up to OMENDB_INT8_MAX_DIM.
	 */
	int32_t (*l2sq_i8)(const int8_t *a, const int8_t *b, size_t n);
	int32_t (*dot_i8)(const int8_t *a, const int8_t *b, size_t n);
	OmendbCosineInt (*cosine_i8)(const int8_t *a, const int8_t *b, size_t n);
	int32_t (*l1_i8)(const int8_t *a, const int8_t *b, size_t n);

	/* Bits that differ, and the parts of Jaccard; n in bytes. Exact. */
	uint64_t (*hamming)(const uint8_t *a, const uint8_t *b, size_t n);
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
} OmendbKernels;

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
	OMENDB_SIMD_AVX512, /* F, BW, DQ, VL; with VNNI, VPOPCNTDQ where present */
} OmendbSimdLevel;

#define OMENDB_SIMD_LEVELS 4

/* What the processor and the operating system together support, as bits. */
#define OMENDB_CPU_NEON      (1u << 0)
#define OMENDB_CPU_DOTPROD   (1u << 1)
#define OMENDB_CPU_AVX2      (1u << 2)
#define OMENDB_CPU_AVX512    (1u << 3)
#define OMENDB_CPU_VNNI      (1u << 4)
#define OMENDB_CPU_VPOPCNTDQ (1u << 5)

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
