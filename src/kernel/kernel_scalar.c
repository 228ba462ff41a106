/*
 * kernel_scalar.c
 *	  The kernels in plain C: the reference for all other levels, and the kernels of machines
 *	  without a better level.
 *
 * One accumulator, which adds the elements in order.
 */
#include <math.h>

#include "kernel/half.h"
#include "kernel/int12.h"
#include "kernel/kernel_tables.h"

/* ---------------------------------------------------------------- float, half */

static inline float
same(float x)
{
	return x;
}

#define DEFINE_SCALAR_DENSE(TYPE, SUFFIX, WIDEN)                                \
	static float l2sq_##SUFFIX(const TYPE *a, const TYPE *b, size_t n)          \
	{                                                                           \
		float sum = 0;                                                          \
                                                                                \
		for (size_t i = 0; i < n; i++)                                          \
		{                                                                       \
			float diff = WIDEN(a[i]) - WIDEN(b[i]);                             \
                                                                                \
			sum += diff * diff;                                                 \
		}                                                                       \
		return sum;                                                             \
	}                                                                           \
                                                                                \
	static float dot_##SUFFIX(const TYPE *a, const TYPE *b, size_t n)           \
	{                                                                           \
		float sum = 0;                                                          \
                                                                                \
		for (size_t i = 0; i < n; i++)                                          \
			sum += WIDEN(a[i]) * WIDEN(b[i]);                                   \
		return sum;                                                             \
	}                                                                           \
                                                                                \
	static OmendbCosine cosine_##SUFFIX(const TYPE *a, const TYPE *b, size_t n) \
	{                                                                           \
		OmendbCosine result = {0, 0, 0};                                        \
                                                                                \
		for (size_t i = 0; i < n; i++)                                          \
		{                                                                       \
			float x = WIDEN(a[i]);                                              \
			float y = WIDEN(b[i]);                                              \
                                                                                \
			result.dot += x * y;                                                \
			result.norm2_a += x * x;                                            \
			result.norm2_b += y * y;                                            \
		}                                                                       \
		return result;                                                          \
	}                                                                           \
                                                                                \
	static float l1_##SUFFIX(const TYPE *a, const TYPE *b, size_t n)            \
	{                                                                           \
		float sum = 0;                                                          \
                                                                                \
		for (size_t i = 0; i < n; i++)                                          \
			sum += fabsf(WIDEN(a[i]) - WIDEN(b[i]));                            \
		return sum;                                                             \
	}                                                                           \
                                                                                \
	static double norm2_##SUFFIX(const TYPE *a, size_t n)                       \
	{                                                                           \
		double sum = 0;                                                         \
                                                                                \
		for (size_t i = 0; i < n; i++)                                          \
		{                                                                       \
			double x = WIDEN(a[i]);                                             \
                                                                                \
			sum += x * x;                                                       \
		}                                                                       \
		return sum;                                                             \
	}                                                                           \
                                                                                \
	static void quantize_##SUFFIX(const TYPE *a, uint8_t *out, size_t n)        \
	{                                                                           \
		memset(out, 0, (n + 7) / 8);                                            \
		for (size_t i = 0; i < n; i++)                                          \
			out[i / 8] |= (uint8_t) ((WIDEN(a[i]) > 0) << (7 - i % 8));         \
	}

DEFINE_SCALAR_DENSE(float, f32, same)
DEFINE_SCALAR_DENSE(OmendbHalf, f16, omendb_half_to_float)

static float
dot_f32_i8(const float *a, const int8_t *b, size_t n)
{
	float sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += a[i] * (float) b[i];
	return sum;
}

/*
 * The product, rounded to float. It is exact in double. In float the compiler might fuse it with a
 * following subtraction, without rounding.
 */
static inline float
scaled(int16_t x, float scale)
{
	return (float) ((double) scale * x);
}

static float
l2sq_f32_i16(const float *a, const int16_t *b, float scale, size_t n)
{
	float sum = 0;

	for (size_t i = 0; i < n; i++)
	{
		float diff = a[i] - scaled(b[i], scale);

		sum += diff * diff;
	}
	return sum;
}

static float
dot_f32_i16(const float *a, const int16_t *b, size_t n)
{
	float sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += a[i] * (float) b[i];
	return sum;
}

static float
l2sq_i16(const int16_t *a, float scale_a, const int16_t *b, float scale_b, size_t n)
{
	float sum = 0;

	for (size_t i = 0; i < n; i++)
	{
		float diff = scaled(a[i], scale_a) - scaled(b[i], scale_b);

		sum += diff * diff;
	}
	return sum;
}

static float
dot_i16(const int16_t *a, const int16_t *b, size_t n)
{
	float sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += (float) a[i] * (float) b[i];
	return sum;
}

static void
i16_to_float(const int16_t *b, float scale, float *out, size_t n)
{
	for (size_t i = 0; i < n; i++)
		out[i] = scaled(b[i], scale);
}

static void
i12_to_i16(const uint8_t *packed, int16_t *out, size_t n)
{
	omendb_unpack_i12(packed, out, n, 0);
}

static void
normalize_f32(const float *a, float *out, size_t n, double norm)
{
	for (size_t i = 0; i < n; i++)
		out[i] = (float) (a[i] / norm);
}

static void
half_to_float(const OmendbHalf *a, float *out, size_t n)
{
	for (size_t i = 0; i < n; i++)
		out[i] = omendb_half_to_float(a[i]);
}

static void
float_to_half(const float *a, OmendbHalf *out, size_t n)
{
	for (size_t i = 0; i < n; i++)
		out[i] = omendb_float_to_half(a[i]);
}

/* ---------------------------------------------------------------- int8 */

static int32_t
l2sq_i8(const int8_t *a, const int8_t *b, size_t n)
{
	int32_t sum = 0;

	for (size_t i = 0; i < n; i++)
	{
		int32_t diff = a[i] - b[i];

		sum += diff * diff;
	}
	return sum;
}

static int32_t
dot_i8(const int8_t *a, const int8_t *b, size_t n)
{
	int32_t sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += a[i] * b[i];
	return sum;
}

static OmendbCosineInt
cosine_i8(const int8_t *a, const int8_t *b, size_t n)
{
	OmendbCosineInt result = {0, 0, 0};

	for (size_t i = 0; i < n; i++)
	{
		result.dot += a[i] * b[i];
		result.norm2_a += a[i] * a[i];
		result.norm2_b += b[i] * b[i];
	}
	return result;
}

static int32_t
l1_i8(const int8_t *a, const int8_t *b, size_t n)
{
	int32_t sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += a[i] > b[i] ? a[i] - b[i] : b[i] - a[i];
	return sum;
}

/* ---------------------------------------------------------------- bits */

static uint64_t
hamming(const uint8_t *a, const uint8_t *b, size_t n)
{
	uint64_t sum = 0;
	size_t i = 0;

	for (; i + 8 <= n; i += 8)
	{
		uint64_t x;
		uint64_t y;

		memcpy(&x, a + i, 8);
		memcpy(&y, b + i, 8);
		sum += (uint64_t) __builtin_popcountll(x ^ y);
	}
	for (; i < n; i++)
		sum += (uint64_t) __builtin_popcount((unsigned) (a[i] ^ b[i]));
	return sum;
}

static void
hamming_rows(const uint8_t *a, const uint8_t *b, size_t n, size_t rows, uint32_t *out)
{
	for (size_t i = 0; i < rows; i++)
		out[i] = (uint32_t) hamming(a, b + i * n, n);
}

static OmendbBitOverlap
overlap(const uint8_t *a, const uint8_t *b, size_t n)
{
	OmendbBitOverlap result = {0, 0};
	size_t i = 0;

	for (; i + 8 <= n; i += 8)
	{
		uint64_t x;
		uint64_t y;

		memcpy(&x, a + i, 8);
		memcpy(&y, b + i, 8);
		result.both += (uint64_t) __builtin_popcountll(x & y);
		result.either += (uint64_t) __builtin_popcountll(x | y);
	}
	for (; i < n; i++)
	{
		result.both += (uint64_t) __builtin_popcount((unsigned) (a[i] & b[i]));
		result.either += (uint64_t) __builtin_popcount((unsigned) (a[i] | b[i]));
	}
	return result;
}

/* ---------------------------------------------------------------- double precision */

/* Four accumulators hide the latency of the addition. */
#define WIDE_REDUCTION(name, TERM)                                      \
	double omendb_wide_##name(const float *a, const float *b, size_t n) \
	{                                                                   \
		double s[4] = {0, 0, 0, 0};                                     \
		size_t i = 0;                                                   \
                                                                        \
		for (; i + 4 <= n; i += 4)                                      \
		{                                                               \
			s[0] += TERM((double) a[i], b[i]);                          \
			s[1] += TERM((double) a[i + 1], b[i + 1]);                  \
			s[2] += TERM((double) a[i + 2], b[i + 2]);                  \
			s[3] += TERM((double) a[i + 3], b[i + 3]);                  \
		}                                                               \
		for (; i < n; i++)                                              \
			s[0] += TERM((double) a[i], b[i]);                          \
		return (s[0] + s[1]) + (s[2] + s[3]);                           \
	}

#define SQUARED_DIFFERENCE(x, y)  (((x) - (y)) * ((x) - (y)))
#define PRODUCT(x, y)             ((x) * (y))
#define ABSOLUTE_DIFFERENCE(x, y) fabs((x) - (y))

WIDE_REDUCTION(l2sq_f32, SQUARED_DIFFERENCE)
WIDE_REDUCTION(dot_f32, PRODUCT)
WIDE_REDUCTION(l1_f32, ABSOLUTE_DIFFERENCE)

void
omendb_fill_scalar(OmendbKernels *table)
{
	*table = OMENDB_WHOLE_TABLE;
	omendb_fill_code_scalar(table);
	omendb_fill_block_scalar(table);
}
