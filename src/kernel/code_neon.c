/*
 * code_neon.c
 *	  The kernels of the index's codes for 64-bit Arm.
 */
#include "kernel/kernel_tables.h"

#ifdef OMENDB_ARM64

#include <arm_neon.h>
#include <string.h>

#include "kernel/code.h"
#include "kernel/code_vectors.h"

#define INLINE static inline __attribute__((always_inline))

#define VEC   float32x4_t
#define LANES 4

/* Negates lanes of x whose lane of `sign` is 0x80000000; the others are 0. */
INLINE VEC
turn_signs(VEC x, uint32x4_t sign)
{
	return vreinterpretq_f32_u32(veorq_u32(vreinterpretq_u32_f32(x), sign));
}

INLINE uint32x4_t
sign_bits(void)
{
	return vdupq_n_u32(0x80000000);
}

/* ---------------------------------------------------------------- codes */

#define TARGET
INLINE Floats
nearest_int(Floats x)
{
	float32x4_t halves[2];

	memcpy(halves, &x, sizeof(x));
	halves[0] = vrndnq_f32(halves[0]);
	halves[1] = vrndnq_f32(halves[1]);
	memcpy(&x, halves, sizeof(x));
	return x;
}

INLINE Ints
to_ints(Floats x)
{
	float32x4_t halves[2];
	int32x4_t ints[2];
	Ints result;

	memcpy(halves, &x, sizeof(x));
	ints[0] = vcvtnq_s32_f32(halves[0]);
	ints[1] = vcvtnq_s32_f32(halves[1]);
	memcpy(&result, ints, sizeof(result));
	return result;
}

/* PAIR_PRODUCT of code_template.h. */
INLINE Ints
pair_product(Ints x, Ints y)
{
	int16x8_t a[2];
	int16x8_t b[2];
	int32x4_t sums[2];
	Ints result;

	memcpy(a, &x, sizeof(x));
	memcpy(b, &y, sizeof(y));
	for (int i = 0; i < 2; i++)
		sums[i] = vpaddq_s32(vmull_s16(vget_low_s16(a[i]), vget_low_s16(b[i])),
							 vmull_high_s16(a[i], b[i]));
	memcpy(&result, sums, sizeof(result));
	return result;
}

#define NEAREST_INT(x)     nearest_int(x)
#define TO_INTS(x)         to_ints(x)
#define INT_MAGNITUDE(x)   ((Ints) (((Bits) (x) ^ (Bits) ((x) >> 31)) - (Bits) ((x) >> 31)))
#define MAX_INT(x, y)      ((Ints) ((((x) > (y)) & (x)) | (~((x) > (y)) & (y))))
#define PAIR_PRODUCT(x, y) pair_product(x, y)
#define LOOK_UP_INT(table, i)                                                                    \
	((Ints){(table)[(i)[0]], (table)[(i)[1]], (table)[(i)[2]], (table)[(i)[3]], (table)[(i)[4]], \
			(table)[(i)[5]], (table)[(i)[6]], (table)[(i)[7]]})
#define MAX_FLOAT(x, y) ((Floats) ((((x) > (y)) & (Ints) (x)) | (~((x) > (y)) & (Ints) (y))))
#define LOOK_UP(table, i)                                                                          \
	((Floats){(table)[(i)[0]], (table)[(i)[1]], (table)[(i)[2]], (table)[(i)[3]], (table)[(i)[4]], \
			  (table)[(i)[5]], (table)[(i)[6]], (table)[(i)[7]]})

INLINE void
store_tables(const Ints *numbers, uint32_t width, uint8_t *lut)
{
	for (uint32_t l = 0; l < width; l++)
		for (int z = 0; z < 2 * OMENDB_CODEWORDS; z++)
			lut[16 * l + z] = (uint8_t) numbers[z][l];
}

INLINE Ints
widen_numbers(uint16x8_t x)
{
	uint32x4_t halves[2] = {vmovl_u16(vget_low_u16(x)), vmovl_high_u16(x)};
	Ints result;

	memcpy(&result, halves, sizeof(result));
	return result;
}

INLINE Ints
widen_shorts(int16x8_t x)
{
	int32x4_t halves[2] = {vmovl_s16(vget_low_s16(x)), vmovl_high_s16(x)};
	Ints result;

	memcpy(&result, halves, sizeof(result));
	return result;
}

#define WIDEN_BYTES(p)   widen_numbers(vmovl_u8(vld1_u8(p)))
#define WIDEN_NUMBERS(p) widen_numbers(vld1q_u16(p))
#define WIDEN_SHORTS(p)  widen_shorts(vld1q_s16(p))
#include "kernel/code_template.h"

INLINE uint16x4_t
is_positive(const float *v, const float *x)
{
	return vmovn_u32(vcgtzq_f32(vsubq_f32(vld1q_f32(x), vld1q_f32(v))));
}

INLINE uint8_t
signs_of_eight(const float *v, const float *x)
{
	static const uint16_t place[8] = {1, 2, 4, 8, 16, 32, 64, 128};
	uint16x8_t positive = vcombine_u16(is_positive(v, x), is_positive(v + 4, x + 4));

	return (uint8_t) vaddvq_u16(vandq_u16(positive, vld1q_u16(place)));
}

static void
residual_signs(const float *v, const float *x, size_t n, uint8_t *bits)
{
	size_t i = 0;

	for (; i + 8 <= n; i += 8)
		bits[i / 8] = signs_of_eight(v + i, x + i);
	if (i < n)
	{
		float part_v[8] = {0};
		float part_x[8] = {0};

		memcpy(part_v, v + i, (n - i) * sizeof(float));
		memcpy(part_x, x + i, (n - i) * sizeof(float));
		bits[i / 8] = signs_of_eight(part_v, part_x);
	}
}

/* ---------------------------------------------------------------- look-ups */

/* Slots whose codes are summed together. */
#define GROUP 16

typedef struct GroupSums
{
	uint16x8_t low;
	uint16x8_t high;
} GroupSums;

INLINE GroupSums
add_bytes(GroupSums sums, uint8x16_t x)
{
	sums.low = vaddw_u8(sums.low, vget_low_u8(x));
	sums.high = vaddw_high_u8(sums.high, x);
	return sums;
}

/*
 * Adds the entries of 8 bytes of each slot. x[i] has 8 bytes of slot i and of slot i + 8,
 * interleaved. A byte's place, register and byte, is a number of seven bits. Interleaving register i
 * with register i + 4 rotates that number by one bit. After three times x[j] has byte j of the 16
 * slots.
 */
INLINE GroupSums
add_columns(GroupSums sums, uint8x16_t *x, const uint8_t *lut)
{
	OMENDB_UNROLL
	for (int stage = 0; stage < 3; stage++)
	{
		uint8x16_t y[8];

		OMENDB_UNROLL
		for (int i = 0; i < 4; i++)
		{
			y[2 * i] = vzip1q_u8(x[i], x[i + 4]);
			y[2 * i + 1] = vzip2q_u8(x[i], x[i + 4]);
		}
		OMENDB_UNROLL
		for (int i = 0; i < 8; i++)
			x[i] = y[i];
	}
	OMENDB_UNROLL
	for (int i = 0; i < 8; i++)
	{
		uint8x16_t low = vandq_u8(x[i], vdupq_n_u8(15));
		uint8x16_t high = vshrq_n_u8(x[i], 4);

		sums = add_bytes(sums, vqtbl1q_u8(vld1q_u8(lut + 32 * i), low));
		sums = add_bytes(sums, vqtbl1q_u8(vld1q_u8(lut + 32 * i + 16), high));
	}
	return sums;
}

/* The bytes of slot i; p: those of slot 0. Slots behind `last` are replaced by `last`. */
INLINE const uint8_t *
slot(const uint8_t *p, size_t stride, size_t i, size_t last)
{
	return p + (i < last ? i : last) * stride;
}

INLINE GroupSums
add_16_bytes(GroupSums sums, const uint8_t *p, size_t stride, size_t last, const uint8_t *lut)
{
	uint8x16_t low[8];
	uint8x16_t high[8];

	OMENDB_UNROLL
	for (size_t i = 0; i < 8; i++)
	{
		uint8x16_t x = vld1q_u8(slot(p, stride, i, last));
		uint8x16_t y = vld1q_u8(slot(p, stride, i + 8, last));

		low[i] = vzip1q_u8(x, y);
		high[i] = vzip2q_u8(x, y);
	}
	sums = add_columns(sums, low, lut);
	return add_columns(sums, high, lut + 8 * 32);
}

INLINE uint8x16_t
load_8_bytes(const uint8_t *p)
{
	return vcombine_u8(vld1_u8(p), vdup_n_u8(0));
}

/* The same for the last 8 bytes of codes. */
INLINE GroupSums
add_8_bytes(GroupSums sums, const uint8_t *p, size_t stride, size_t last, const uint8_t *lut)
{
	uint8x16_t x[8];

	OMENDB_UNROLL
	for (size_t i = 0; i < 8; i++)
		x[i] = vzip1q_u8(load_8_bytes(slot(p, stride, i, last)),
						 load_8_bytes(slot(p, stride, i + 8, last)));
	return add_columns(sums, x, lut);
}

INLINE void
sum_group(const uint8_t *codes, size_t stride, size_t bytes, size_t last, const uint8_t *lut,
		  uint16_t *sums)
{
	const uint8_t *end = codes + bytes;
	GroupSums sum = {vdupq_n_u16(0), vdupq_n_u16(0)};

	for (; codes + 16 <= end; codes += 16, lut += 16 * 32)
		sum = add_16_bytes(sum, codes, stride, last, lut);
	if (codes < end)
		sum = add_8_bytes(sum, codes, stride, last, lut);
	vst1q_u16(sums, sum.low);
	vst1q_u16(sums + 8, sum.high);
}

static void
code_sums(const uint8_t *codes, size_t stride, size_t bytes, size_t slots, const uint8_t *lut,
		  uint16_t *sums)
{
	size_t s = 0;

	/* A loop for whole groups, in which `last` is a constant and addresses need no comparison. */
	for (; s + GROUP <= slots; s += GROUP)
		sum_group(codes + s * stride, stride, bytes, GROUP - 1, lut, sums + s);
	if (s < slots)
		sum_group(codes + s * stride, stride, bytes, slots - s - 1, lut, sums + s);
}

/* ---------------------------------------------------------------- rotation */

/* The first two stages of hadamard, within a register. */
INLINE VEC
butterflies_within(VEC x)
{
	static const uint32_t odd[4] = {0, 0x80000000, 0, 0x80000000};
	static const uint32_t upper[4] = {0, 0, 0x80000000, 0x80000000};

	x = vaddq_f32(vrev64q_f32(x), turn_signs(x, vld1q_u32(odd)));
	return vaddq_f32(vextq_f32(x, x, 2), turn_signs(x, vld1q_u32(upper)));
}

/* One stage: the butterflies of x[i] and x[i + half], of `count` registers. */
INLINE void
butterflies(VEC *x, int count, int half)
{
	OMENDB_UNROLL
	for (int i = 0; i < count; i++)
		if ((i & half) == 0)
		{
			VEC a = x[i];
			VEC b = x[i + half];

			x[i] = vaddq_f32(a, b);
			x[i + half] = vsubq_f32(a, b);
		}
}

/* The first five stages, on 32 elements. */
INLINE void
transform_32(float *p)
{
	VEC x[8];

	OMENDB_UNROLL
	for (int i = 0; i < 8; i++)
		x[i] = butterflies_within(vld1q_f32(p + LANES * i));
	butterflies(x, 8, 1);
	butterflies(x, 8, 2);
	butterflies(x, 8, 4);
	OMENDB_UNROLL
	for (int i = 0; i < 8; i++)
		vst1q_f32(p + LANES * i, x[i]);
}

/* The stages `half` and 2 * half, on four columns of four rows; row i begins at p + i * half. */
INLINE void
transform_rows(float *p, size_t half)
{
	VEC x[4];

	OMENDB_UNROLL
	for (size_t i = 0; i < 4; i++)
		x[i] = vld1q_f32(p + i * half);
	butterflies(x, 4, 1);
	butterflies(x, 4, 2);
	OMENDB_UNROLL
	for (size_t i = 0; i < 4; i++)
		vst1q_f32(p + i * half, x[i]);
}

static void
hadamard(float *x, size_t n)
{
	size_t half = LANES;

	if (n < LANES)
	{
		omendb_hadamard_plain(x, n);
		return;
	}
	if (n < 32)
		for (size_t i = 0; i < n; i += LANES)
			vst1q_f32(x + i, butterflies_within(vld1q_f32(x + i)));
	else
	{
		for (size_t i = 0; i < n; i += 32)
			transform_32(x + i);
		half = 32;
	}
	for (; 4 * half <= n; half *= 4)
		for (size_t i = 0; i < n; i += 4 * half)
			for (size_t j = i; j < i + half; j += LANES)
				transform_rows(x + j, half);
	if (half < n)
		for (size_t j = 0; j < half; j += LANES)
		{
			VEC a = vld1q_f32(x + j);
			VEC b = vld1q_f32(x + j + half);

			vst1q_f32(x + j, vaddq_f32(a, b));
			vst1q_f32(x + j + half, vsubq_f32(a, b));
		}
}

static void
multiply_signs(float *x, const uint8_t *bits, size_t n)
{
	static const int32_t to_sign[8] = {31, 30, 29, 28, 27, 26, 25, 24};
	size_t i = 0;

	for (; i + 8 <= n; i += 8)
	{
		uint32x4_t byte = vdupq_n_u32(bits[i / 8]);
		uint32x4_t first = vandq_u32(vshlq_u32(byte, vld1q_s32(to_sign)), sign_bits());
		uint32x4_t second = vandq_u32(vshlq_u32(byte, vld1q_s32(to_sign + 4)), sign_bits());

		vst1q_f32(x + i, turn_signs(vld1q_f32(x + i), first));
		vst1q_f32(x + i + 4, turn_signs(vld1q_f32(x + i + 4), second));
	}
	for (; i < n; i++)
		if (bits[i / 8] >> (i % 8) & 1)
			x[i] = -x[i];
}

void
omendb_fill_code_neon(OmendbKernels *table)
{
	spread_words();
	table->residual_signs = residual_signs;
	table->residual_code = residual_code;
	table->lut_f32 = lut_f32;
	table->code_sums = code_sums;
	table->estimates = estimates;
	table->hadamard = hadamard;
	table->multiply_signs = multiply_signs;
}

#endif /* OMENDB_ARM64 */
