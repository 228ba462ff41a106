/*
 * code.h
 *	  What the instruction-set files of the code kernels share.
 */
#ifndef OMENDB_CODE_H
#define OMENDB_CODE_H

#include <float.h>

#include "kernel/kernel.h"
#include "kernel/unroll.h"

/*
 * The step of lut_f32's tables, given the largest sum of four magnitudes: a
 * table spans twice that. Not so small that 2 / step, or a product with it,
 * would leave the range of float.
 */
static inline float
omendb_lut_step(float largest, size_t n)
{
	size_t limit = n == 0 ? 0 : 65535 / (n / 4);
	float step = largest / (0.5f * (float) (limit < 255 ? limit : 255));

	return step >= 8 * FLT_MIN ? step : 1;
}

/* Also where fewer elements than a register has are to be transformed. */
static inline void
omendb_hadamard_plain(float *x, size_t n)
{
	for (size_t half = 1; half < n; half *= 2)
		for (size_t i = 0; i < n; i += 2 * half)
			for (size_t j = i; j < i + half; j++)
			{
				float a = x[j];
				float b = x[j + half];

				x[j] = a + b;
				x[j + half] = a - b;
			}
}

#endif /* OMENDB_CODE_H */
