/*
 * int12.h
 *	  How n numbers of 12 bits, -2048..2047, lie in OMENDB_INT12_BYTES(n) bytes.
 *
 * Two planes, neither padded: byte i is number i's upper 8 bits, with the sign. Behind
 * these n bytes come the lower 4 bits: with h = n / 2, number i < h shares byte n + i
 * with number h + i, which has the upper half of it. Of an odd n the last number has
 * the lower half of the last byte to itself; the rest of that byte is 0.
 */
#ifndef OMENDB_INT12_H
#define OMENDB_INT12_H

#include <stddef.h>
#include <stdint.h>

#define OMENDB_INT12_MAX      2047
#define OMENDB_INT12_BYTES(n) ((n) + ((n) + 1) / 2)

static inline int
omendb_int12_get(const uint8_t *numbers, size_t n, size_t i)
{
	size_t half = n / 2;
	uint8_t low = i < half       ? numbers[n + i] & 15
				  : i < 2 * half ? numbers[n + i - half] >> 4
								 : numbers[n + half] & 15;

	return (int8_t) numbers[i] * 16 + low;
}

/* Into memory that is 0. */
static inline void
omendb_int12_set(uint8_t *numbers, size_t n, size_t i, int number)
{
	size_t half = n / 2;

	numbers[i] = (uint8_t) (number >> 4);
	if (i < half || i == 2 * half)
		numbers[n + (i < half ? i : half)] |= number & 15;
	else
		numbers[n + i - half] |= (number & 15) << 4;
}

#endif /* OMENDB_INT12_H */
