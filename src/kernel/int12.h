/*
 * int12.h
 *	  Integers of 12 bits, as the kernels' files unpack them.
 */
#ifndef OMENDB_INT12_H
#define OMENDB_INT12_H

#include <stddef.h>
#include <stdint.h>

/* What i12_to_i16 does, from element `from` of the first half and of the second one on. */
static inline void
omendb_unpack_i12(const uint8_t *packed, int16_t *out, size_t n, size_t from)
{
	const int8_t *high = (const int8_t *) packed;
	const uint8_t *low = packed + n;
	size_t half = (n + 1) / 2;

	for (size_t i = from; i < half; i++)
		out[i] = (int16_t) (high[i] * 16 + (low[i] & 15));
	for (size_t i = from; half + i < n; i++)
		out[half + i] = (int16_t) (high[half + i] * 16 + (low[i] >> 4));
}

#endif /* OMENDB_INT12_H */
