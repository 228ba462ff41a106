/*
 * block.h
 *	  What the instruction-set files of the bulk build's kernels share.
 */
#ifndef OMENDB_BLOCK_H
#define OMENDB_BLOCK_H

#include "kernel/kernel.h"
#include "kernel/unroll.h"

/*
 * Put a value into the k smallest, ascending, *used of them so far. To be called
 * with j ascending: equal values stay in that order.
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
