/*
 * rotation.c
 *	  Random rotation by signs and Walsh-Hadamard transforms.
 */
#include "code/rotation.h"

#include <float.h>
#include <math.h>

#include "kernel/kernel.h"

/* 1 / sqrt(2) */
#define HALF_ROOT 0.70710678f

uint64_t
omendb_hash64(uint64_t x)
{
	x ^= x >> 30;
	x *= UINT64_C(0xbf58476d1ce4e5b9);
	x ^= x >> 27;
	x *= UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

uint64_t
omendb_random_next(uint64_t *state)
{
	*state += UINT64_C(0x9e3779b97f4a7c15);
	return omendb_hash64(*state);
}

/* The largest power of two <= n. */
static uint32_t
window_of(uint32_t n)
{
	uint32_t window = 1;

	while (window <= n / 2)
		window *= 2;
	return window;
}

/* If the window does not cover all elements, more rounds are needed to mix both ends. */
static uint32_t
rounds_of(uint32_t n)
{
	return window_of(n) == n ? 2 : 4;
}

size_t
omendb_rotation_bytes(uint32_t n)
{
	return rounds_of(n) * (((size_t) n + 7) / 8);
}

/* Relative error of a rotated vector. */
static double
error_of(const OmendbRotation *rotation)
{
	double roundings = 0;

	for (uint32_t w = rotation->window; w > 0; w /= 2)
		roundings++;
	/* Two more for the butterfly that mixes the ends. */
	return (rotation->rounds * (roundings + 2) + 2) * FLT_EPSILON;
}

void
omendb_rotation_init(OmendbRotation *rotation, uint32_t n, uint64_t seed, void *memory)
{
	rotation->n = n;
	rotation->window = window_of(n);
	rotation->rounds = rounds_of(n);
	rotation->error = error_of(rotation);
	rotation->sign_bytes = ((size_t) n + 7) / 8;
	rotation->signs = memory;
	for (size_t i = 0; i < rotation->rounds * rotation->sign_bytes; i++)
		rotation->signs[i] = omendb_random_next(&seed) >> 56;
}

/* Elements of a loop of mix_ends. */
#define PART 64

/* Butterfly of element i and element n - 1 - i, for each i < n / 2. */
static void
mix_ends(float *x, uint32_t n)
{
	/* The second half is reversed part by part, in loops that compilers vectorise. */
	for (uint32_t i = 0; i < n / 2; i += PART)
	{
		float other[PART];
		uint32_t length = n / 2 - i < PART ? n / 2 - i : PART;
		float *restrict a = x + i;
		float *restrict b = x + n - i - length;

		for (uint32_t k = 0; k < length; k++)
			other[k] = b[length - 1 - k];
		for (uint32_t k = 0; k < length; k++)
		{
			float sum = (a[k] + other[k]) * HALF_ROOT;

			other[k] = (a[k] - other[k]) * HALF_ROOT;
			a[k] = sum;
		}
		for (uint32_t k = 0; k < length; k++)
			b[k] = other[length - 1 - k];
	}
}

void
omendb_rotate(const OmendbRotation *rotation, float *x)
{
	const uint32_t n = rotation->n;
	const uint32_t window = rotation->window;
	const float scale = (float) (1.0 / sqrt(window));

	for (uint32_t round = 0; round < rotation->rounds; round++)
	{
		/* The window begins at the first element in even rounds, and ends at the last in odd ones. */
		float *at = round % 2 == 0 ? x : x + (n - window);

		omendb_kernels.multiply_signs(x, rotation->signs + round * rotation->sign_bytes, n);
		/* If the windows barely overlap, they alone would hardly mix the two ends. */
		if (round == 2)
			mix_ends(x, n);
		for (uint32_t i = 0; i < window; i++)
			at[i] *= scale;
		omendb_kernels.hadamard(at, window);
	}
}
