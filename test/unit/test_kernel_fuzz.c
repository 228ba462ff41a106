/*
 * test_kernel_fuzz.c
 *	  Random cases that the systematic tests do not meet: any dimension,
 *	  operands of different distributions, sprinkled with other ones, at unlike
 *	  addresses.
 *
 *	  test_kernel_fuzz [ITERATIONS [SEED]]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel_support.h"
#include "tap.h"

#define MAX_DIM 4096

/* One operand in its forms. */
typedef struct Operand
{
	float f32[MAX_DIM];
	OmendbHalf f16[MAX_DIM];
	float widened[MAX_DIM];
	uint8_t bytes[MAX_DIM];
	int16_t i16[MAX_DIM];
	float scale; /* of i16 */
	Guarded memory;
} Operand;

static void
make_operand(Random *random, Operand *operand, size_t n)
{
	Distribution most = (Distribution) random_below(random, DISTRIBUTIONS);
	Distribution some = (Distribution) random_below(random, DISTRIBUTIONS);
	size_t pieces = random_below(random, 4);

	random_floats(random, most, operand->f32, n);
	random_halves(random, most, operand->f16, n);
	random_bytes(random, most, operand->bytes, n);
	random_int16s(random, most, operand->i16, n);
	operand->scale = random_scale(random, some);
	while (n > 0 && pieces-- > 0)
	{
		size_t place = random_below(random, n);
		size_t length = random_below(random, n - place < 40 ? n - place : 40);

		random_floats(random, some, operand->f32 + place, length);
		random_halves(random, some, operand->f16 + place, length);
		random_bytes(random, some, operand->bytes + place, length);
		random_int16s(random, some, operand->i16 + place, length);
	}
	reference_widen(operand->f16, operand->widened, n);
}

static void *
placed(Random *random, Operand *operand, const void *data, size_t n, size_t element)
{
	size_t place = random_bits(random) & 1 ? PLACE_END : random_below(random, 64) * element;

	return guarded_place(&operand->memory, data, n * element, place);
}

static bool
one_case(Random *random, const Variant *variants, size_t n_variants, Operand *x, Operand *y)
{
	size_t n = random_bits(random) & 1 ? random_below(random, 300) : random_below(random, MAX_DIM);
	DenseReference want_f32;
	DenseReference want_f16;
	Int8Reference want_i8;
	BitReference want_bits;
	Int16Reference want_i16;
	const void *a;
	const void *b;
	bool good = true;

	make_operand(random, x, n);
	make_operand(random, y, n);
	want_f32 = reference_dense(x->f32, y->f32, n);
	want_f16 = reference_dense(x->widened, y->widened, n);
	want_i8 = reference_int8((int8_t *) x->bytes, (int8_t *) y->bytes, n);
	want_bits = reference_bits(x->bytes, y->bytes, n);

	a = placed(random, x, x->f32, n, sizeof(float));
	b = placed(random, y, y->f32, n, sizeof(float));
	for (size_t v = 0; v < n_variants; v++)
		for (int m = 0; m < METRICS; m++)
			good &= check_f32(&variants[v], m, a, b, n, &want_f32);

	a = placed(random, x, x->f16, n, sizeof(OmendbHalf));
	b = placed(random, y, y->f16, n, sizeof(OmendbHalf));
	for (size_t v = 0; v < n_variants; v++)
		for (int m = 0; m < METRICS; m++)
			good &= check_f16(&variants[v], m, a, b, n, &want_f16);

	a = placed(random, x, x->bytes, n, 1);
	b = placed(random, y, y->bytes, n, 1);
	for (size_t v = 0; v < n_variants; v++)
	{
		for (int m = 0; m < METRICS; m++)
			good &= check_i8(&variants[v], m, a, b, n, &want_i8);
		good &= check_hamming(&variants[v], a, b, n, &want_bits);
		good &= check_overlap(&variants[v], a, b, n, &want_bits);
	}

	want_i16 = reference_int16(x->f32, x->i16, x->scale, y->i16, y->scale, n);
	a = placed(random, x, x->i16, n, sizeof(int16_t));
	b = placed(random, y, y->i16, n, sizeof(int16_t));
	for (size_t v = 0; v < n_variants; v++)
		good &= check_i16(&variants[v], x->f32, a, x->scale, b, y->scale, n, &want_i16);
	return good;
}

int
main(int argc, char **argv)
{
	static Operand x;
	static Operand y;
	long iterations = argc > 1 ? atol(argv[1]) : 1000;
	Random seeds = {argc > 2 ? strtoull(argv[2], NULL, 0) : 31};
	size_t n_variants;
	const Variant *variants = test_variants(&n_variants);
	bool good = true;

	x.memory = guarded_new(MAX_DIM * sizeof(float) + 64 * sizeof(float));
	y.memory = guarded_new(MAX_DIM * sizeof(float) + 64 * sizeof(float));
	for (long i = 0; i < iterations; i++)
	{
		uint64_t seed = seeds.state;
		Random random = {random_bits(&seeds)};

		if (!one_case(&random, variants, n_variants, &x, &y))
		{
			tap_diag("to repeat: test_kernel_fuzz 1 %#llx", (unsigned long long) seed);
			good = false;
		}
	}
	tap_result(good, "%ld random cases", iterations);
	return tap_done();
}
