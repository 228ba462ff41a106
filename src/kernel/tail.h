/*
 * tail.h
 *	  The last few bytes of an operand, to be loaded into a register. A memcpy of variable length
 *	  would be a call, and loading the copied bytes would wait for the store buffer: 20 ns, the
 *	  time of 500 elements.
 *
 * For little-endian processors.
 */
#ifndef OMENDB_TAIL_H
#define OMENDB_TAIL_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* 16 bytes in the order of memory: low first. */
typedef struct OmendbTail
{
	uint64_t low;
	uint64_t high;
} OmendbTail;

/* The n < 16 bytes, then zeros. Reads only these, by overlapping loads. */
static inline __attribute__((always_inline)) OmendbTail
omendb_load_tail(const void *from, size_t n)
{
	const uint8_t *p = from;
	OmendbTail tail = {0, 0};

	if (n > 8)
	{
		memcpy(&tail.low, p, 8);
		memcpy(&tail.high, p + n - 8, 8);
		tail.high >>= 8 * (16 - n);
	}
	else if (n >= 4)
	{
		uint32_t first;
		uint32_t last;

		memcpy(&first, p, 4);
		memcpy(&last, p + n - 4, 4);
		tail.low = first | (uint64_t) last << (8 * (n - 4));
	}
	else if (n > 0)
		tail.low =
			p[0] | (uint64_t) p[n / 2] << (8 * (n / 2)) | (uint64_t) p[n - 1] << (8 * (n - 1));
	return tail;
}

#endif /* OMENDB_TAIL_H */
