/*
 * code_scalar.c
 *	  The kernels of the index's codes in plain C: the reference that every other
 *	  level is compared with, and what runs where there is no better one.
 */
#include <math.h>
#include <string.h>

#include "kernel/code.h"
#include "kernel/kernel_tables.h"

static void
residual_code(const float *v, const float *x, size_t n, uint8_t *bits, float *abs_sum,
			  float *signed_sum)
{
	float sum = 0;
	float with_signs = 0;

	memset(bits, 0, (n + 7) / 8);
	for (size_t i = 0; i < n; i++)
	{
		float r = x[i] - v[i];

		bits[i / 8] |= (uint8_t) ((r > 0) << (i % 8));
		sum += fabsf(r);
		with_signs += r > 0 ? v[i] : -v[i];
	}
	*abs_sum = sum;
	*signed_sum = with_signs;
}

/* Half of what one element adds to an entry, before the step divides it. */
static inline float
positive_part(float x)
{
	return x > 0 ? x : 0;
}

/*
 * Entry z less the table's minimum is twice the sum of those magnitudes whose
 * bit agrees with their sign: no difference of large numbers.
 */
static void
lut_f32(const float *q, size_t n, uint8_t *lut, float *base, float *step)
{
	float largest = 0;
	float sum = 0;
	float scale;

	for (size_t j = 0; j < n / 4; j++)
	{
		const float *p = q + 4 * j;
		float magnitude = (fabsf(p[0]) + fabsf(p[1])) + (fabsf(p[2]) + fabsf(p[3]));

		largest = magnitude > largest ? magnitude : largest;
		sum += magnitude;
	}
	*base = -sum;
	*step = omendb_lut_step(largest, n);
	scale = 2 / *step;
	for (size_t j = 0; j < n / 4; j++)
		for (unsigned z = 0; z < 16; z++)
		{
			float part[4];
			float entry;

			for (int b = 0; b < 4; b++)
				part[b] = positive_part(z >> b & 1 ? q[4 * j + b] : -q[4 * j + b]);
			entry = ((part[0] + part[1]) + (part[2] + part[3])) * scale;
			/*
			 * Not + 0.5f, which a compiler may join with the multiplication. The
			 * number is at most 255 but for NaN and infinities, where any will do.
			 */
			lut[16 * j + z] = (uint8_t) lrintf(entry);
		}
}

static void
code_sums(const uint8_t *codes, size_t bytes, size_t slots, const uint8_t *lut, uint16_t *sums)
{
	for (size_t s = 0; s < slots; s++)
	{
		const uint8_t *code = codes + s * bytes;
		unsigned sum = 0;

		for (size_t i = 0; i < bytes; i++)
			sum += lut[32 * i + (code[i] & 15)] + lut[32 * i + 16 + (code[i] >> 4)];
		sums[s] = (uint16_t) sum;
	}
}

static void
multiply_signs(float *x, const uint8_t *bits, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (bits[i / 8] >> (i % 8) & 1)
			x[i] = -x[i];
}

void
omendb_fill_code_scalar(OmendbKernels *table)
{
	table->residual_code = residual_code;
	table->lut_f32 = lut_f32;
	table->code_sums = code_sums;
	table->hadamard = omendb_hadamard_plain;
	table->multiply_signs = multiply_signs;
}
