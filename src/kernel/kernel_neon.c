/*
 * kernel_neon.c
 *	  The kernels for 64-bit Arm: with Advanced SIMD, which every such processor has, and with the
 *	  int8 dot product instructions if the processor has them.
 */
#include "kernel/kernel_tables.h"

#ifdef OMENDB_ARM64

#include <arm_neon.h>
#include <string.h>

#include "kernel/half.h"
#include "kernel/int12.h"
#include "kernel/tail.h"

#define TARGET
#ifdef __clang__
#define TARGET_DOTPROD __attribute__((target("dotprod")))
#else
#define TARGET_DOTPROD __attribute__((target("arch=armv8.2-a+dotprod")))
#endif
#define INLINE static inline __attribute__((always_inline))

#define VEC   float32x4_t
#define LANES 4

INLINE VEC
vec_zero(void)
{
	return vdupq_n_f32(0);
}

INLINE VEC
vec_add(VEC x, VEC y)
{
	return vaddq_f32(x, y);
}

INLINE VEC
vec_fma(VEC x, VEC y, VEC acc)
{
	return vfmaq_f32(acc, x, y);
}

INLINE VEC
l2sq_step(VEC x, VEC y, VEC acc)
{
	VEC diff = vsubq_f32(x, y);

	return vfmaq_f32(acc, diff, diff);
}

INLINE VEC
l1_step(VEC x, VEC y, VEC acc)
{
	return vaddq_f32(acc, vabdq_f32(x, y));
}

INLINE float
vec_sum(VEC x)
{
	return vaddvq_f32(x);
}

INLINE VEC
load_f32(const float *p)
{
	return vld1q_f32(p);
}

/* The n < 16 bytes from p, then zeros. */
INLINE uint8x16_t
load_part(const void *p, size_t n)
{
	OmendbTail tail = omendb_load_tail(p, n);

	return vreinterpretq_u8_u64(vcombine_u64(vcreate_u64(tail.low), vcreate_u64(tail.high)));
}

INLINE VEC
load_part_f32(const float *p, size_t k)
{
	return vreinterpretq_f32_u8(load_part(p, k * sizeof(float)));
}

INLINE VEC
load_f16(const OmendbHalf *p)
{
	return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p)));
}

INLINE VEC
load_part_f16(const OmendbHalf *p, size_t k)
{
	return vcvt_f32_f16(vreinterpret_f16_u8(vget_low_u8(load_part(p, k * sizeof(OmendbHalf)))));
}

#define ELEM            float
#define KERNEL(name)    name##_f32
#define LOAD(p)         load_f32(p)
#define LOAD_PART(p, k) load_part_f32(p, k)
#include "kernel/dense_template.h"

#define ELEM            OmendbHalf
#define KERNEL(name)    name##_f16
#define LOAD(p)         load_f16(p)
#define LOAD_PART(p, k) load_part_f16(p, k)
#include "kernel/dense_template.h"

INLINE VEC
widen_i8(int8x8_t x, int half)
{
	int16x8_t wide = vmovl_s8(x);

	return vcvtq_f32_s32(half ? vmovl_high_s16(wide) : vmovl_s16(vget_low_s16(wide)));
}

/* Eight elements at a time: the widening of int8 takes eight. */
static float
dot_f32_i8(const float *a, const int8_t *b, size_t n)
{
	VEC s0 = vec_zero();
	VEC s1 = vec_zero();
	VEC s2 = vec_zero();
	VEC s3 = vec_zero();
	size_t i = 0;

	for (; i + 16 <= n; i += 16)
	{
		int8x16_t x = vld1q_s8(b + i);

		s0 = vec_fma(load_f32(a + i), widen_i8(vget_low_s8(x), 0), s0);
		s1 = vec_fma(load_f32(a + i + 4), widen_i8(vget_low_s8(x), 1), s1);
		s2 = vec_fma(load_f32(a + i + 8), widen_i8(vget_high_s8(x), 0), s2);
		s3 = vec_fma(load_f32(a + i + 12), widen_i8(vget_high_s8(x), 1), s3);
	}
	for (; i + LANES <= n; i += LANES)
		s0 = vec_fma(load_f32(a + i),
					 widen_i8(vreinterpret_s8_u8(vget_low_u8(load_part(b + i, LANES))), 0), s0);
	if (i < n)
		s1 = vec_fma(load_part_f32(a + i, n - i),
					 widen_i8(vreinterpret_s8_u8(vget_low_u8(load_part(b + i, n - i))), 0), s1);
	return vec_sum(vec_add(vec_add(s0, s1), vec_add(s2, s3)));
}

INLINE VEC
widen_i16(int16x4_t x)
{
	return vcvtq_f32_s32(vmovl_s16(x));
}

INLINE VEC
load_i16(const int16_t *p)
{
	return widen_i16(vld1_s16(p));
}

INLINE VEC
load_part_i16(const int16_t *p, size_t k)
{
	return widen_i16(vreinterpret_s16_u8(vget_low_u8(load_part(p, k * sizeof(int16_t)))));
}

INLINE VEC
vec_all(float x)
{
	return vdupq_n_f32(x);
}

/*
 * The product rounded to float. The empty asm statement keeps the compiler from fusing the
 * multiplication with a following subtraction, without rounding.
 */
INLINE VEC
vec_product(VEC x, VEC y)
{
	VEC product = vmulq_f32(x, y);

	__asm__("" : "+w"(product));
	return product;
}

INLINE VEC
vec_first(VEC x, size_t k)
{
	static const uint32_t lane[LANES] = {0, 1, 2, 3};
	uint32x4_t first = vcltq_u32(vld1q_u32(lane), vdupq_n_u32((uint32_t) k));

	return vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_f32(x), first));
}

#include "kernel/int16_template.h"

/* ---------------------------------------------------------------- norms */

INLINE void
add_squares(VEC x, float64x2_t *low, float64x2_t *high)
{
	float64x2_t l = vcvt_f64_f32(vget_low_f32(x));
	float64x2_t h = vcvt_high_f64_f32(x);

	*low = vfmaq_f64(*low, l, l);
	*high = vfmaq_f64(*high, h, h);
}

static double
norm2_f32(const float *a, size_t n)
{
	float64x2_t low = vdupq_n_f64(0);
	float64x2_t high = vdupq_n_f64(0);
	size_t i = 0;

	for (; i + LANES <= n; i += LANES)
		add_squares(load_f32(a + i), &low, &high);
	if (i < n)
		add_squares(load_part_f32(a + i, n - i), &low, &high);
	return vaddvq_f64(vaddq_f64(low, high));
}

static double
norm2_f16(const OmendbHalf *a, size_t n)
{
	float64x2_t low = vdupq_n_f64(0);
	float64x2_t high = vdupq_n_f64(0);
	size_t i = 0;

	for (; i + LANES <= n; i += LANES)
		add_squares(load_f16(a + i), &low, &high);
	if (i < n)
		add_squares(load_part_f16(a + i, n - i), &low, &high);
	return vaddvq_f64(vaddq_f64(low, high));
}

static void
normalize_f32(const float *a, float *out, size_t n, double norm)
{
	float64x2_t divisor = vdupq_n_f64(norm);
	size_t i = 0;

	for (; i + LANES <= n; i += LANES)
	{
		VEC x = load_f32(a + i);
		float64x2_t low = vdivq_f64(vcvt_f64_f32(vget_low_f32(x)), divisor);
		float64x2_t high = vdivq_f64(vcvt_high_f64_f32(x), divisor);

		vst1q_f32(out + i, vcvt_high_f32_f64(vcvt_f32_f64(low), high));
	}
	for (; i < n; i++)
		out[i] = (float) (a[i] / norm);
}

/* ---------------------------------------------------------------- conversions */

static void
half_to_float(const OmendbHalf *a, float *out, size_t n)
{
	size_t i = 0;

	for (; i + LANES <= n; i += LANES)
		vst1q_f32(out + i, load_f16(a + i));
	for (; i < n; i++)
		out[i] = omendb_half_to_float(a[i]);
}

static void
i16_to_float(const int16_t *b, float scale, float *out, size_t n)
{
	VEC factor = vec_all(scale);
	size_t i = 0;

	for (; i + LANES <= n; i += LANES)
		vst1q_f32(out + i, vec_product(load_i16(b + i), factor));
	for (; i < n; i++)
		out[i] = scale * (float) b[i];
}

INLINE int16x8_t
high_parts(int8x8_t x)
{
	return vshll_n_s8(x, 4);
}

static void
i12_to_i16(const uint8_t *packed, int16_t *out, size_t n)
{
	const int8_t *high = (const int8_t *) packed;
	size_t half = (n + 1) / 2;
	size_t i = 0;

	/* The second half has n / 2 elements, one less than the first if n is odd. */
	for (; i + 8 <= n / 2; i += 8)
	{
		uint8x8_t low = vld1_u8(packed + n + i);
		uint16x8_t first = vmovl_u8(vand_u8(low, vdup_n_u8(15)));
		uint16x8_t second = vmovl_u8(vshr_n_u8(low, 4));

		vst1q_s16(out + i, vorrq_s16(high_parts(vld1_s8(high + i)), vreinterpretq_s16_u16(first)));
		vst1q_s16(out + half + i,
				  vorrq_s16(high_parts(vld1_s8(high + half + i)), vreinterpretq_s16_u16(second)));
	}
	omendb_unpack_i12(packed, out, n, i);
}

static void
float_to_half(const float *a, OmendbHalf *out, size_t n)
{
	size_t i = 0;

	for (; i + LANES <= n; i += LANES)
		vst1_u16(out + i, vreinterpret_u16_f16(vcvt_f16_f32(load_f32(a + i))));
	for (; i < n; i++)
		out[i] = omendb_float_to_half(a[i]);
}

/* A byte of quantize: the bits of eight comparisons, the first in the most significant place. */
INLINE uint8_t
positive_byte(VEC first, VEC second)
{
	static const uint16_t place[8] = {128, 64, 32, 16, 8, 4, 2, 1};
	uint16x8_t positive = vcombine_u16(vmovn_u32(vcgtzq_f32(first)), vmovn_u32(vcgtzq_f32(second)));

	return (uint8_t) vaddvq_u16(vandq_u16(positive, vld1q_u16(place)));
}

static void
quantize_f32(const float *a, uint8_t *out, size_t n)
{
	size_t i = 0;

	for (; i + 8 <= n; i += 8)
		out[i / 8] = positive_byte(load_f32(a + i), load_f32(a + i + 4));
	if (i < n)
	{
		float part[8] = {0};

		memcpy(part, a + i, (n - i) * sizeof(float));
		out[i / 8] = positive_byte(load_f32(part), load_f32(part + 4));
	}
}

static void
quantize_f16(const OmendbHalf *a, uint8_t *out, size_t n)
{
	size_t i = 0;

	for (; i + 8 <= n; i += 8)
		out[i / 8] = positive_byte(load_f16(a + i), load_f16(a + i + 4));
	if (i < n)
	{
		OmendbHalf part[8] = {0};

		memcpy(part, a + i, (n - i) * sizeof(OmendbHalf));
		out[i / 8] = positive_byte(load_f16(part), load_f16(part + 4));
	}
}

/* ---------------------------------------------------------------- int8 */

/* 16 int8; if less than 16 are left, then zeros. */
INLINE int8x16_t
load_i8(const int8_t *p, size_t left)
{
	return left >= 16 ? vld1q_s8(p) : vreinterpretq_s8_u8(load_part(p, left));
}

INLINE int32x4_t
add_products(int32x4_t acc, int8x16_t x, int8x16_t y)
{
	acc = vpadalq_s16(acc, vmull_s8(vget_low_s8(x), vget_low_s8(y)));
	return vpadalq_s16(acc, vmull_high_s8(x, y));
}

/* |x - y|, at most 255: unsigned bytes. */
INLINE uint8x16_t
difference(int8x16_t x, int8x16_t y)
{
	return vreinterpretq_u8_s8(vabdq_s8(x, y));
}

static int32_t
l2sq_i8(const int8_t *a, const int8_t *b, size_t n)
{
	uint32x4_t sum = vdupq_n_u32(0);

	for (size_t i = 0; i < n; i += 16)
	{
		uint8x16_t d = difference(load_i8(a + i, n - i), load_i8(b + i, n - i));

		sum = vpadalq_u16(sum, vmull_u8(vget_low_u8(d), vget_low_u8(d)));
		sum = vpadalq_u16(sum, vmull_high_u8(d, d));
	}
	return (int32_t) vaddvq_u32(sum);
}

static int32_t
dot_i8(const int8_t *a, const int8_t *b, size_t n)
{
	int32x4_t sum = vdupq_n_s32(0);

	for (size_t i = 0; i < n; i += 16)
		sum = add_products(sum, load_i8(a + i, n - i), load_i8(b + i, n - i));
	return vaddvq_s32(sum);
}

static OmendbCosineInt
cosine_i8(const int8_t *a, const int8_t *b, size_t n)
{
	int32x4_t dot = vdupq_n_s32(0);
	int32x4_t aa = vdupq_n_s32(0);
	int32x4_t bb = vdupq_n_s32(0);
	OmendbCosineInt result;

	for (size_t i = 0; i < n; i += 16)
	{
		int8x16_t x = load_i8(a + i, n - i);
		int8x16_t y = load_i8(b + i, n - i);

		dot = add_products(dot, x, y);
		aa = add_products(aa, x, x);
		bb = add_products(bb, y, y);
	}
	result.dot = vaddvq_s32(dot);
	result.norm2_a = vaddvq_s32(aa);
	result.norm2_b = vaddvq_s32(bb);
	return result;
}

static int32_t
l1_i8(const int8_t *a, const int8_t *b, size_t n)
{
	uint32x4_t sum = vdupq_n_u32(0);

	for (size_t i = 0; i < n; i += 16)
	{
		uint8x16_t d = difference(load_i8(a + i, n - i), load_i8(b + i, n - i));

		sum = vpadalq_u16(sum, vpaddlq_u8(d));
	}
	return (int32_t) vaddvq_u32(sum);
}

TARGET_DOTPROD static int32_t
l2sq_i8_dotprod(const int8_t *a, const int8_t *b, size_t n)
{
	uint32x4_t sum = vdupq_n_u32(0);

	for (size_t i = 0; i < n; i += 16)
	{
		uint8x16_t d = difference(load_i8(a + i, n - i), load_i8(b + i, n - i));

		sum = vdotq_u32(sum, d, d);
	}
	return (int32_t) vaddvq_u32(sum);
}

TARGET_DOTPROD static int32_t
dot_i8_dotprod(const int8_t *a, const int8_t *b, size_t n)
{
	int32x4_t sum = vdupq_n_s32(0);

	for (size_t i = 0; i < n; i += 16)
		sum = vdotq_s32(sum, load_i8(a + i, n - i), load_i8(b + i, n - i));
	return vaddvq_s32(sum);
}

TARGET_DOTPROD static OmendbCosineInt
cosine_i8_dotprod(const int8_t *a, const int8_t *b, size_t n)
{
	int32x4_t dot = vdupq_n_s32(0);
	int32x4_t aa = vdupq_n_s32(0);
	int32x4_t bb = vdupq_n_s32(0);
	OmendbCosineInt result;

	for (size_t i = 0; i < n; i += 16)
	{
		int8x16_t x = load_i8(a + i, n - i);
		int8x16_t y = load_i8(b + i, n - i);

		dot = vdotq_s32(dot, x, y);
		aa = vdotq_s32(aa, x, x);
		bb = vdotq_s32(bb, y, y);
	}
	result.dot = vaddvq_s32(dot);
	result.norm2_a = vaddvq_s32(aa);
	result.norm2_b = vaddvq_s32(bb);
	return result;
}

/* ---------------------------------------------------------------- bits */

INLINE uint8x16_t
load_bytes(const uint8_t *p, size_t left)
{
	return left >= 16 ? vld1q_u8(p) : load_part(p, left);
}

INLINE uint64x2_t
add_popcount(uint64x2_t acc, uint8x16_t x)
{
	return vpadalq_u32(acc, vpaddlq_u16(vpaddlq_u8(vcntq_u8(x))));
}

INLINE uint64_t
differing(const uint8_t *a, const uint8_t *b, size_t n)
{
	uint64x2_t sum = vdupq_n_u64(0);

	for (size_t i = 0; i < n; i += 16)
		sum = add_popcount(sum, veorq_u8(load_bytes(a + i, n - i), load_bytes(b + i, n - i)));
	return vaddvq_u64(sum);
}

static uint64_t
hamming(const uint8_t *a, const uint8_t *b, size_t n)
{
	return differing(a, b, n);
}

static void
hamming_rows(const uint8_t *a, const uint8_t *b, size_t n, size_t rows, uint32_t *out)
{
	for (size_t i = 0; i < rows; i++)
		out[i] = (uint32_t) differing(a, b + i * n, n);
}

static OmendbBitOverlap
overlap(const uint8_t *a, const uint8_t *b, size_t n)
{
	uint64x2_t both = vdupq_n_u64(0);
	uint64x2_t either = vdupq_n_u64(0);
	OmendbBitOverlap result;

	for (size_t i = 0; i < n; i += 16)
	{
		uint8x16_t x = load_bytes(a + i, n - i);
		uint8x16_t y = load_bytes(b + i, n - i);

		both = add_popcount(both, vandq_u8(x, y));
		either = add_popcount(either, vorrq_u8(x, y));
	}
	result.both = vaddvq_u64(both);
	result.either = vaddvq_u64(either);
	return result;
}

void
omendb_fill_neon(OmendbKernels *table, unsigned features)
{
	*table = OMENDB_WHOLE_TABLE;
	omendb_fill_code_neon(table);
	omendb_fill_block_neon(table, features);
	if (features & OMENDB_CPU_DOTPROD)
	{
		table->l2sq_i8 = l2sq_i8_dotprod;
		table->dot_i8 = dot_i8_dotprod;
		table->cosine_i8 = cosine_i8_dotprod;
	}
}

#endif /* OMENDB_ARM64 */
