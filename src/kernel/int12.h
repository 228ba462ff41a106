/*
 * int12.h
 *	  Unpacking of integers of 12 bits, for the ends of arrays at every level.
 */
#ifndef OMENDB_INT12_H
#define OMENDB_INT12_H

#include <stddef.h>
#include <stdint.h>

/* i12_to_i16 without the first `from` elements of each half (code/layout.h has the packing). */
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
