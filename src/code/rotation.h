/*
 * rotation.h
 *	  A fixed random rotation of vectors. Distances do not change; elements of the result are
 *	  about normally distributed, with the same deviation in every dimension. So one scale
 *	  fits all elements of an own vector, and one codebook fits all groups.
 *
 * Random signs and fast Walsh-Hadamard transforms over windows of a power of
 * two, O(d log d). (Ailon and Chazelle, "The fast Johnson-Lindenstrauss
 * transform", 2009; windows for lengths that are no power of two as in the
 * RaBitQ library's description.) Pure.
 */
#ifndef OMENDB_ROTATION_H
#define OMENDB_ROTATION_H

#include <stddef.h>
#include <stdint.h>

typedef struct OmendbRotation
{
	uint32_t n;        /* length of the vectors */
	uint32_t window;   /* largest power of two <= n */
	uint32_t rounds;   /* sign flips and transforms */
	double error;      /* relative error of a rotated vector: see bound.c */
	size_t sign_bytes; /* bytes of the signs of one round */
	uint8_t *signs;    /* rounds * sign_bytes, owned by the caller's memory */
} OmendbRotation;

/* Bytes of signs that a rotation of length n needs. */
extern size_t omendb_rotation_bytes(uint32_t n);

/*
 * Set up a rotation. memory: omendb_rotation_bytes bytes for the signs. A seed gives the same
 * signs on every machine.
 */
extern void omendb_rotation_init(OmendbRotation *rotation, uint32_t n, uint64_t seed, void *memory);

/* Rotate x (n floats) in place. */
extern void omendb_rotate(const OmendbRotation *rotation, float *x);

/* The next number of SplitMix64 (Steele, Lea, Flood 2014). */
extern uint64_t omendb_random_next(uint64_t *state);

/* Hash of x, which depends on all its bits: SplitMix64's finalizer. */
extern uint64_t omendb_hash64(uint64_t x);

#endif /* OMENDB_ROTATION_H */
