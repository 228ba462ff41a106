/*
 * block.h
 *	  What the kernels of the bulk build share at every level.
 */
#ifndef OMENDB_BLOCK_H
#define OMENDB_BLOCK_H

#include <math.h>

#include "kernel/kernel.h"
#include "kernel/unroll.h"

/* largest_f32 in plain C, where `most` is the largest magnitude so far. */
static inline float
omendb_largest_plain(const float *x, size_t n, float most)
{
	for (size_t i = 0; i < n; i++)
	{
		float magnitude = fabsf(x[i]);

		most = magnitude > most ? magnitude : most;
	}
	return most;
}

/* round_f32_i8 in plain C. */
static inline int32_t
omendb_round_plain(const float *x, float factor, int8_t *out, size_t n)
{
	int32_t squares = 0;

	for (size_t i = 0; i < n; i++)
	{
		float y = x[i] * factor;
		int32_t number;

		y = y < 127 ? y : 127;
		y = y > -127 ? y : -127;
		number = (int32_t) lrintf(y);
		out[i] = (int8_t) number;
		squares += number * number;
	}
	return squares;
}

/*
 * Insert a value into the *used (at most k) smallest, which are ascending. Call it with j ascending:
 * equal values stay in the order of j.
 */
static inline void
omendb_put_nearest(float value, uint32_t j, uint32_t k, uint32_t *used, float *values,
				   uint32_t *which)
{
	uint32_t at;

	if (*used == k && !(value < values[k - 1]))
		return;
	at = *used < k ? (*used)++ : k - 1;
	for (; at > 0 && values[at - 1] > value; at--)
	{
		values[at] = values[at - 1];
		which[at] = which[at - 1];
	}
	values[at] = value;
	which[at] = j;
}

#endif /* OMENDB_BLOCK_H */
