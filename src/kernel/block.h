/*
 * block.h
 *	  What the kernels of the bulk build share at every level.
 */
#ifndef OMENDB_BLOCK_H
#define OMENDB_BLOCK_H

#include "kernel/kernel.h"
#include "kernel/unroll.h"

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
