/*
 * kernel_support.h
 *	  What the kernel tests share: the tables to test, random operands, guarded
 *	  memory to put them into, references that use none of the code under test.
 */
#ifndef OMENDB_TEST_KERNEL_SUPPORT_H
#define OMENDB_TEST_KERNEL_SUPPORT_H

#include "kernel/kernel.h"

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

/* The dimensions that the property tests run: 0..130, then the usual large ones. */
#define TEST_DIMS    136
#define TEST_MAX_DIM 16000
extern size_t test_dim(size_t i);

/* ---------------------------------------------------------------- tables */

/* One way of filling the table that this machine can run. */
typedef struct Variant
{
	const char *name;
	OmendbSimdLevel level;
	unsigned features;
	OmendbKernels kernels;
} Variant;

#define MAX_VARIANTS 8

/* Every one of them, the scalar level first. */
extern const Variant *test_variants(size_t *count);

/* ---------------------------------------------------------------- random numbers */

/* splitmix64: the same numbers on every machine and in every run. */
typedef struct Random
{
	uint64_t state;
} Random;

extern uint64_t random_bits(Random *random);
extern size_t random_below(Random *random, size_t limit);
extern double random_uniform(Random *random); /* [0, 1) */
extern double random_normal(Random *random);

/* ---------------------------------------------------------------- memory */

/*
 * Pages between two that cannot be accessed. Whatever lies around the operand
 * placed last is filled with 0xFF (NaN as float and as half), and poisoned
 * where AddressSanitizer runs. The pages, not the sanitizer, catch the masked
 * loads, which no compiler instruments.
 */
typedef struct Guarded
{
	uint8_t *first;
	size_t size;
	uint8_t *operand;
	size_t bytes;
} Guarded;

/* Against the guard behind: reading one byte too far is a fault. */
#define PLACE_END ((size_t) -1)

extern Guarded guarded_new(size_t capacity);

/*
 * Room for an operand at the end, or at this byte offset from the beginning of
 * the first page (0: reading before it is a fault), holding the bytes of data
 * (0xFF if that is NULL).
 */
extern void *guarded_place(Guarded *memory, const void *data, size_t bytes, size_t place);

/* Is the filling around the operand as it was? */
extern bool guarded_intact(Guarded *memory);

/* ---------------------------------------------------------------- operands */

typedef enum Distribution
{
	DIST_NORMAL,
	DIST_UNIFORM,
	DIST_MIXED,    /* magnitudes 2^-30 .. 2^30 (halves: all exponents) */
	DIST_EXTREME,  /* any finite number: products overflow and underflow */
	DIST_TINY,     /* subnormal */
	DIST_LARGEST,  /* plus or minus the largest whose sums are finite */
	DIST_ONE_HOT,  /* one element at a random place, often the last */
	DIST_CONSTANT, /* the same number everywhere */
	DIST_ZERO,
	DIST_INTEGER, /* -8 .. 8: sums in float are exact, so a lost element shows */
} Distribution;

#define DISTRIBUTIONS 10

extern const char *distribution_name(Distribution distribution);
extern void random_floats(Random *random, Distribution distribution, float *out, size_t n);
extern void random_halves(Random *random, Distribution distribution, OmendbHalf *out, size_t n);
/* As bytes, which serve as int8 and as bit strings; LARGEST: -128 or 127. */
extern void random_bytes(Random *random, Distribution distribution, uint8_t *out, size_t n);
/* LARGEST: -32768 or 32767. */
extern void random_int16s(Random *random, Distribution distribution, int16_t *out, size_t n);
/* By which no int16 gets beyond the range of float. */
extern float random_scale(Random *random, Distribution distribution);

/* ---------------------------------------------------------------- references */

extern double reference_half_to_double(OmendbHalf half);
extern OmendbHalf reference_double_to_half(double number); /* exact input, rounded once */
extern void reference_widen(const OmendbHalf *a, float *out, size_t n);
extern bool half_is_nan(OmendbHalf half);

/* Sums in double, and the sum of the terms' magnitudes where it differs. */
typedef struct DenseReference
{
	double l2sq;
	double l1;
	double dot;
	double dot_magnitude;
	double norm2_a;
	double norm2_b;
} DenseReference;

extern DenseReference reference_dense(const float *a, const float *b, size_t n);

typedef struct Int8Reference
{
	int64_t l2sq;
	int64_t l1;
	int64_t dot;
	int64_t norm2_a;
	int64_t norm2_b;
} Int8Reference;

extern Int8Reference reference_int8(const int8_t *a, const int8_t *b, size_t n);

/* scale * number rounded to float. */
extern float reference_scaled(int16_t number, float scale);

/* Of x in float, and of a and b with their scales; the products without them. */
typedef struct Int16Reference
{
	double mixed_l2sq; /* x against b */
	double mixed_dot;
	double mixed_dot_magnitude;
	double l2sq; /* a against b */
	double dot;
	double dot_magnitude;
} Int16Reference;

extern Int16Reference reference_int16(const float *x, const int16_t *a, float scale_a,
									  const int16_t *b, float scale_b, size_t n);

typedef struct BitReference
{
	uint64_t differ;
	uint64_t both;
	uint64_t either;
} BitReference;

extern BitReference reference_bits(const uint8_t *a, const uint8_t *b, size_t n);

/* ---------------------------------------------------------------- checks */

/* The same bits; any NaN equals any other, because its payload is not promised. */
extern bool same_float(float x, float y);

/*
 * Is a float sum of n terms what kernel.h promises? want and magnitude are the
 * sum and the sum of magnitudes in double. Where the magnitudes leave the range
 * of float an infinity is right as well, and, if the terms have both signs, NaN.
 */
extern bool sum_within_bound(float got, double want, double magnitude, bool both_signs, size_t n,
							 OmendbSimdLevel level);

/* That, and says so if it is not. */
extern bool check_sum(const Variant *variant, const char *kernel, size_t n, float got, double want,
					  double magnitude, bool both_signs);

/*
 * The distance kernels of one element type. Checks compare with the reference
 * and with the scalar level, swap the operands, and compare each with itself.
 */
typedef enum Metric
{
	METRIC_L2SQ,
	METRIC_DOT,
	METRIC_COSINE,
	METRIC_L1,
} Metric;

#define METRICS 4

extern const char *metric_name(Metric metric);
extern bool check_f32(const Variant *variant, Metric metric, const float *a, const float *b,
					  size_t n, const DenseReference *want);
extern bool check_f16(const Variant *variant, Metric metric, const OmendbHalf *a,
					  const OmendbHalf *b, size_t n, const DenseReference *want);
extern bool check_i8(const Variant *variant, Metric metric, const int8_t *a, const int8_t *b,
					 size_t n, const Int8Reference *want);
/* All distances of int16, besides x against b. */
extern bool check_i16(const Variant *variant, const float *x, const int16_t *a, float scale_a,
					  const int16_t *b, float scale_b, size_t n, const Int16Reference *want);
extern bool check_hamming(const Variant *variant, const uint8_t *a, const uint8_t *b, size_t n,
						  const BitReference *want);
extern bool check_overlap(const Variant *variant, const uint8_t *a, const uint8_t *b, size_t n,
						  const BitReference *want);

#endif /* OMENDB_TEST_KERNEL_SUPPORT_H */
