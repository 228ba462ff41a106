/*
 * kernel_support.c
 *	  Operands, guarded memory, references and checks for the kernel tests.
 *
 * The references use double precision, exact integers or byte-wise counting,
 * and none of the code under test.
 */
#define _GNU_SOURCE /* MAP_ANONYMOUS */
#include "kernel_support.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tap.h"

#ifdef __SANITIZE_ADDRESS__
#define HAVE_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAVE_ASAN 1
#endif
#endif

#ifdef HAVE_ASAN
#include <sanitizer/asan_interface.h>
#define POISON(p, size)   ASAN_POISON_MEMORY_REGION(p, size)
#define UNPOISON(p, size) ASAN_UNPOISON_MEMORY_REGION(p, size)
#else
#define POISON(p, size)   ((void) (p), (void) (size))
#define UNPOISON(p, size) ((void) (p), (void) (size))
#endif

/* How much around an operand is filled: more than the widest load. */
#define FILLING 256

size_t
test_dim(size_t i)
{
	static const size_t large[] = {384, 768, 1536, 3072, TEST_MAX_DIM};

	return i <= 130 ? i : large[i - 131];
}

/* ---------------------------------------------------------------- tables */

const Variant *
test_variants(size_t *count)
{
	static const struct
	{
		const char *name;
		OmendbSimdLevel level;
		unsigned features;
	} all[] = {
		{"scalar", OMENDB_SIMD_SCALAR, 0},
		{"neon", OMENDB_SIMD_NEON, OMENDB_CPU_NEON},
		{"neon+dotprod", OMENDB_SIMD_NEON, OMENDB_CPU_NEON | OMENDB_CPU_DOTPROD},
		{"avx2", OMENDB_SIMD_AVX2, OMENDB_CPU_AVX2},
		{"avx512", OMENDB_SIMD_AVX512, OMENDB_CPU_AVX2 | OMENDB_CPU_AVX512},
		{"avx512+vnni", OMENDB_SIMD_AVX512, OMENDB_CPU_AVX2 | OMENDB_CPU_AVX512 | OMENDB_CPU_VNNI},
		{"avx512+vpopcntdq", OMENDB_SIMD_AVX512,
		 OMENDB_CPU_AVX2 | OMENDB_CPU_AVX512 | OMENDB_CPU_VPOPCNTDQ},
		{"avx512+vbmi", OMENDB_SIMD_AVX512, OMENDB_CPU_AVX2 | OMENDB_CPU_AVX512 | OMENDB_CPU_VBMI},
		{"avx512+vnni+vpopcntdq", OMENDB_SIMD_AVX512,
		 OMENDB_CPU_AVX2 | OMENDB_CPU_AVX512 | OMENDB_CPU_VNNI | OMENDB_CPU_VPOPCNTDQ},
		{"avx512+vnni+vpopcntdq+vbmi", OMENDB_SIMD_AVX512,
		 OMENDB_CPU_AVX2 | OMENDB_CPU_AVX512 | OMENDB_CPU_VNNI | OMENDB_CPU_VPOPCNTDQ |
			 OMENDB_CPU_VBMI},
	};
	static Variant variants[MAX_VARIANTS];
	static size_t found = 0;
	unsigned machine = omendb_cpu_features();

	for (size_t i = 0; found == 0 || i < LENGTH(all); i++)
	{
		Variant *variant = &variants[found];

		if (i > 0 && variants[found - 1].features == machine)
			break;
		if ((all[i].features & ~machine) != 0)
			continue;
		variant->name = all[i].name;
		variant->level = all[i].level;
		variant->features = all[i].features;
		omendb_kernels_fill(&variant->kernels, variant->level, variant->features);
		found++;
	}
	*count = found;
	return variants;
}

/* ---------------------------------------------------------------- random numbers */

uint64_t
random_bits(Random *random)
{
	uint64_t x = random->state += 0x9E3779B97F4A7C15;

	x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9;
	x = (x ^ (x >> 27)) * 0x94D049BB133111EB;
	return x ^ (x >> 31);
}

size_t
random_below(Random *random, size_t limit)
{
	return (size_t) (random_bits(random) % limit);
}

double
random_uniform(Random *random)
{
	return (double) (random_bits(random) >> 11) * 0x1p-53;
}

double
random_normal(Random *random)
{
	double radius = sqrt(-2 * log(1 - random_uniform(random)));

	return radius * cos(6.283185307179586 * random_uniform(random));
}

/* ---------------------------------------------------------------- memory */

Guarded
guarded_new(size_t capacity)
{
	size_t page = (size_t) sysconf(_SC_PAGESIZE);
	size_t size = (capacity + FILLING + page - 1) / page * page;
	uint8_t *map = mmap(NULL, size + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	Guarded memory = {.first = map + page, .size = size};

	if (map == MAP_FAILED || mprotect(memory.first, size, PROT_READ | PROT_WRITE) != 0)
	{
		perror("guarded_new");
		exit(2);
	}
	memory.operand = memory.first;
	return memory;
}

static size_t
filling_before(const Guarded *memory)
{
	size_t before = (size_t) (memory->operand - memory->first);

	return before < FILLING ? before : FILLING;
}

static size_t
filling_after(const Guarded *memory)
{
	size_t after = memory->size - (size_t) (memory->operand - memory->first) - memory->bytes;

	return after < FILLING ? after : FILLING;
}

void *
guarded_place(Guarded *memory, const void *data, size_t bytes, size_t place)
{
	size_t before;
	size_t after;

	UNPOISON(memory->first, memory->size);
	memory->bytes = bytes;
	memory->operand = memory->first + (place == PLACE_END ? memory->size - bytes : place);
	before = filling_before(memory);
	after = filling_after(memory);
	memset(memory->operand - before, 0xFF, before);
	memset(memory->operand + bytes, 0xFF, after);
	if (data)
		memcpy(memory->operand, data, bytes);
	else
		memset(memory->operand, 0xFF, bytes);
	/* Poison works in units of 8 bytes; a unit's beginning may stay usable, not its end. */
	POISON(memory->operand - before, before & ~(size_t) 7);
	POISON(memory->operand + bytes, after);
	return memory->operand;
}

bool
guarded_intact(Guarded *memory)
{
	UNPOISON(memory->first, memory->size);
	for (size_t i = 1; i <= filling_before(memory); i++)
		if (memory->operand[-(ptrdiff_t) i] != 0xFF)
			return false;
	for (size_t i = 0; i < filling_after(memory); i++)
		if (memory->operand[memory->bytes + i] != 0xFF)
			return false;
	return true;
}

/* ---------------------------------------------------------------- operands */

const char *
distribution_name(Distribution distribution)
{
	static const char *const names[DISTRIBUTIONS] = {
		"normal",  "uniform", "mixed",    "extreme", "tiny",
		"largest", "one-hot", "constant", "zero",    "integer",
	};

	return names[distribution];
}

static float
float_from_bits(uint32_t bits)
{
	float number;

	memcpy(&number, &bits, sizeof(number));
	return number;
}

static int
random_sign(Random *random)
{
	return random_bits(random) & 1 ? 1 : -1;
}

/* Any place, but every second time within the last few: the tail. */
static size_t
random_place(Random *random, size_t n)
{
	size_t tail = n < 16 ? n : 16;

	return random_bits(random) & 1 ? random_below(random, n) : n - 1 - random_below(random, tail);
}

void
random_floats(Random *random, Distribution distribution, float *out, size_t n)
{
	/* Twice this, squared, 16,000 times is just below FLT_MAX. */
	float largest = sqrtf(FLT_MAX) / 256;
	float constant = (float) random_normal(random);

	for (size_t i = 0; i < n; i++)
		switch (distribution)
		{
			case DIST_NORMAL:
				out[i] = (float) random_normal(random);
				break;
			case DIST_UNIFORM:
				out[i] = (float) random_uniform(random);
				break;
			case DIST_MIXED:
				out[i] = (float) ldexp(random_normal(random), (int) random_below(random, 61) - 30);
				break;
			case DIST_EXTREME:
				do
					out[i] = float_from_bits((uint32_t) random_bits(random));
				while (!isfinite(out[i]));
				break;
			case DIST_TINY:
				out[i] = float_from_bits((uint32_t) random_bits(random) & 0x807FFFFF);
				break;
			case DIST_LARGEST:
				out[i] = (float) random_sign(random) * largest;
				break;
			case DIST_CONSTANT:
				out[i] = constant;
				break;
			case DIST_ONE_HOT:
			case DIST_ZERO:
				out[i] = 0;
				break;
			case DIST_INTEGER:
				out[i] = (float) random_below(random, 17) - 8;
				break;
		}
	if (distribution == DIST_ONE_HOT && n > 0)
		out[random_place(random, n)] = constant;
}

void
random_halves(Random *random, Distribution distribution, OmendbHalf *out, size_t n)
{
	for (size_t i = 0; i < n; i++)
	{
		float number;

		switch (distribution)
		{
			case DIST_MIXED:
			case DIST_EXTREME:
				do
					out[i] = (OmendbHalf) random_bits(random);
				while ((out[i] & 0x7C00) == 0x7C00);
				break;
			case DIST_TINY:
				out[i] = (OmendbHalf) (random_bits(random) & 0x83FF);
				break;
			case DIST_LARGEST:
				out[i] = random_sign(random) > 0 ? 0x7BFF : 0xFBFF;
				break;
			case DIST_CONSTANT:
				out[i] = i == 0 ? reference_double_to_half((float) random_normal(random)) : out[0];
				break;
			case DIST_ONE_HOT:
				out[i] = 0;
				break;
			default:
				random_floats(random, distribution, &number, 1);
				out[i] = reference_double_to_half(number);
				break;
		}
	}
	if (distribution == DIST_ONE_HOT && n > 0)
		out[random_place(random, n)] = 0x7BFF;
}

void
random_bytes(Random *random, Distribution distribution, uint8_t *out, size_t n)
{
	uint8_t constant = (uint8_t) random_bits(random);

	for (size_t i = 0; i < n; i++)
		switch (distribution)
		{
			case DIST_LARGEST:
				out[i] = random_bits(random) & 1 ? 0x80 : 0x7F;
				break;
			case DIST_EXTREME: /* the sums' largest: the same sign everywhere */
				out[i] = constant & 1 ? 0x80 : 0x7F;
				break;
			case DIST_TINY:
				out[i] = (uint8_t) (random_below(random, 3) - 1);
				break;
			case DIST_CONSTANT:
				out[i] = constant;
				break;
			case DIST_ONE_HOT:
			case DIST_ZERO:
				out[i] = 0;
				break;
			default:
				out[i] = (uint8_t) random_bits(random);
				break;
		}
	if (distribution == DIST_ONE_HOT && n > 0)
		out[random_place(random, n)] = (uint8_t) (1u << random_below(random, 8));
}

void
random_int16s(Random *random, Distribution distribution, int16_t *out, size_t n)
{
	int16_t constant = (int16_t) random_bits(random);

	for (size_t i = 0; i < n; i++)
		switch (distribution)
		{
			case DIST_NORMAL:
				out[i] = (int16_t) fmax(-32768, fmin(32767, 8000 * random_normal(random)));
				break;
			case DIST_LARGEST:
				out[i] = random_bits(random) & 1 ? INT16_MIN : INT16_MAX;
				break;
			case DIST_EXTREME: /* the sums' largest: the same sign everywhere */
				out[i] = constant & 1 ? INT16_MIN : INT16_MAX;
				break;
			case DIST_TINY:
				out[i] = (int16_t) ((int) random_below(random, 3) - 1);
				break;
			case DIST_CONSTANT:
				out[i] = constant;
				break;
			case DIST_ONE_HOT:
			case DIST_ZERO:
				out[i] = 0;
				break;
			case DIST_INTEGER:
				out[i] = (int16_t) ((int) random_below(random, 17) - 8);
				break;
			default:
				out[i] = (int16_t) random_bits(random);
				break;
		}
	if (distribution == DIST_ONE_HOT && n > 0)
		out[random_place(random, n)] = constant;
}

float
random_scale(Random *random, Distribution distribution)
{
	float scale;

	random_floats(random, distribution, &scale, 1);
	return fabsf(scale) < 1 ? scale : scale * 0x1p-15f;
}

/* ---------------------------------------------------------------- references */

bool
half_is_nan(OmendbHalf half)
{
	return (half & 0x7C00) == 0x7C00 && (half & 0x3FF) != 0;
}

/* The definition of binary16, in powers of two. */
double
reference_half_to_double(OmendbHalf half)
{
	int exponent = (half >> 10) & 31;
	int fraction = half & 1023;
	double magnitude;

	if (exponent == 31)
		magnitude = fraction ? (double) NAN : (double) INFINITY;
	else if (exponent == 0)
		magnitude = ldexp(fraction, -24);
	else
		magnitude = ldexp(1024 + fraction, exponent - 25);
	return half & 0x8000 ? -magnitude : magnitude;
}

/* Scaled so that the half's last place is 1, rounded by rint (ties to even). */
OmendbHalf
reference_double_to_half(double number)
{
	unsigned sign = signbit(number) ? 0x8000 : 0;
	double magnitude = fabs(number);
	int exponent;
	int steps;

	if (isnan(number))
		return 0x7E00;
	if (magnitude >= 65520)
		return (OmendbHalf) (sign | 0x7C00);
	if (magnitude < 0x1p-14)
		return (OmendbHalf) (sign | (unsigned) rint(ldexp(magnitude, 24)));
	exponent = ilogb(magnitude);
	steps = (int) rint(ldexp(magnitude, 10 - exponent)); /* 1024 .. 2048 */
	return (OmendbHalf) (sign | (unsigned) ((exponent + 14) * 1024 + steps));
}

void
reference_widen(const OmendbHalf *a, float *out, size_t n)
{
	for (size_t i = 0; i < n; i++)
		out[i] = (float) reference_half_to_double(a[i]);
}

DenseReference
reference_dense(const float *a, const float *b, size_t n)
{
	DenseReference want = {0};

	for (size_t i = 0; i < n; i++)
	{
		double x = a[i];
		double y = b[i];

		want.l2sq += (x - y) * (x - y);
		want.l1 += fabs(x - y);
		want.dot += x * y;
		want.dot_magnitude += fabs(x * y);
		want.norm2_a += x * x;
		want.norm2_b += y * y;
	}
	return want;
}

Int8Reference
reference_int8(const int8_t *a, const int8_t *b, size_t n)
{
	Int8Reference want = {0};

	for (size_t i = 0; i < n; i++)
	{
		int64_t x = a[i];
		int64_t y = b[i];

		want.l2sq += (x - y) * (x - y);
		want.l1 += llabs(x - y);
		want.dot += x * y;
		want.norm2_a += x * x;
		want.norm2_b += y * y;
	}
	return want;
}

/* Exact in double, so rounded once. */
float
reference_scaled(int16_t number, float scale)
{
	return (float) ((double) number * (double) scale);
}

Int16Reference
reference_int16(const float *x, const int16_t *a, float scale_a, const int16_t *b, float scale_b,
				size_t n)
{
	Int16Reference want = {0};

	for (size_t i = 0; i < n; i++)
	{
		double q = x[i];
		double y = reference_scaled(a[i], scale_a);
		double z = reference_scaled(b[i], scale_b);
		double product = (double) a[i] * (double) b[i];

		want.mixed_l2sq += (q - z) * (q - z);
		want.mixed_dot += q * b[i];
		want.mixed_dot_magnitude += fabs(q * b[i]);
		want.l2sq += (y - z) * (y - z);
		want.dot += product;
		want.dot_magnitude += fabs(product);
	}
	return want;
}

BitReference
reference_bits(const uint8_t *a, const uint8_t *b, size_t n)
{
	BitReference want = {0};

	for (size_t i = 0; i < 8 * n; i++)
	{
		unsigned x = (a[i / 8] >> (i % 8)) & 1;
		unsigned y = (b[i / 8] >> (i % 8)) & 1;

		want.differ += x != y;
		want.both += x && y;
		want.either += x || y;
	}
	return want;
}

/* ---------------------------------------------------------------- checks */

bool
same_float(float x, float y)
{
	return (isnan(x) && isnan(y)) || memcmp(&x, &y, sizeof(x)) == 0;
}

bool
sum_within_bound(float got, double want, double magnitude, bool both_signs, size_t n,
				 OmendbSimdLevel level)
{
	double lanes = level == OMENDB_SIMD_SCALAR ? 1 : 8;
	double terms = (double) n;
	double relative = (terms / lanes + 8) * (double) FLT_EPSILON;
	double bound = relative * magnitude + terms * (double) FLT_TRUE_MIN;

	/* The reference's own rounding. */
	bound += (terms + 4) * DBL_EPSILON * magnitude;
	if (!isfinite(got))
		return magnitude * (1 + relative) > (double) FLT_MAX &&
			   (both_signs || got == (float) INFINITY);
	return fabs((double) got - want) <= bound;
}

bool
check_sum(const Variant *variant, const char *kernel, size_t n, float got, double want,
		  double magnitude, bool both_signs)
{
	if (sum_within_bound(got, want, magnitude, both_signs, n, variant->level))
		return true;
	tap_diag("%s %s n=%zu: got %.9g, want %.17g, magnitude %.9g", variant->name, kernel, n,
			 (double) got, want, magnitude);
	return false;
}

const char *
metric_name(Metric metric)
{
	static const char *const names[METRICS] = {"l2sq", "dot", "cosine", "l1"};

	return names[metric];
}

/* What one call of a float kernel gives: one sum, or the cosine's three. */
typedef struct Sums
{
	int count;
	float sum[3];
} Sums;

static Sums
sums_of_cosine(OmendbCosine cosine)
{
	return (Sums){3, {cosine.dot, cosine.norm2_a, cosine.norm2_b}};
}

static Sums
call_f32(const OmendbKernels *kernels, Metric metric, const float *a, const float *b, size_t n)
{
	switch (metric)
	{
		case METRIC_L2SQ:
			return (Sums){1, {kernels->l2sq_f32(a, b, n)}};
		case METRIC_DOT:
			return (Sums){1, {kernels->dot_f32(a, b, n)}};
		case METRIC_COSINE:
			return sums_of_cosine(kernels->cosine_f32(a, b, n));
		case METRIC_L1:
			return (Sums){1, {kernels->l1_f32(a, b, n)}};
	}
	abort();
}

static Sums
call_f16(const OmendbKernels *kernels, Metric metric, const OmendbHalf *a, const OmendbHalf *b,
		 size_t n)
{
	switch (metric)
	{
		case METRIC_L2SQ:
			return (Sums){1, {kernels->l2sq_f16(a, b, n)}};
		case METRIC_DOT:
			return (Sums){1, {kernels->dot_f16(a, b, n)}};
		case METRIC_COSINE:
			return sums_of_cosine(kernels->cosine_f16(a, b, n));
		case METRIC_L1:
			return (Sums){1, {kernels->l1_f16(a, b, n)}};
	}
	abort();
}

/* One kernel's results for one pair of operands, in all the ways it was called. */
typedef struct DenseCalls
{
	Sums ab;
	Sums ba;
	Sums aa;
	Sums scalar; /* of a and b, by the scalar level */
} DenseCalls;

static bool
check_dense(const Variant *variant, Metric metric, const char *type, size_t n,
			const DenseCalls *calls, const DenseReference *want)
{
	double wanted[3] = {want->dot, want->norm2_a, want->norm2_b};
	double magnitude[3] = {want->dot_magnitude, want->norm2_a, want->norm2_b};
	bool zero_on_itself = metric == METRIC_L2SQ || metric == METRIC_L1;
	bool good = true;

	if (zero_on_itself)
		wanted[0] = magnitude[0] = metric == METRIC_L2SQ ? want->l2sq : want->l1;

	for (int i = 0; i < calls->ab.count; i++)
	{
		/* The cosine's norms change places with the operands. */
		int swapped = calls->ab.count == 3 && i > 0 ? 3 - i : i;
		float got = calls->ab.sum[i];
		float scalar = calls->scalar.sum[i];
		bool both_signs = !zero_on_itself && i == 0;

		if (!sum_within_bound(got, wanted[i], magnitude[i], both_signs, n, variant->level))
		{
			tap_diag("%s %s_%s n=%zu sum %d: got %.9g, want %.17g, magnitude %.9g", variant->name,
					 metric_name(metric), type, n, i, (double) got, wanted[i], magnitude[i]);
			good = false;
		}
		/* Both are as far as allowed from the truth at most, so twice the scalar's bound. */
		if (isfinite(got) && isfinite(scalar) &&
			!sum_within_bound(scalar, (double) got, 2 * magnitude[i], true, 2 * n,
							  OMENDB_SIMD_SCALAR))
		{
			tap_diag("%s %s_%s n=%zu sum %d: got %.9g, scalar %.9g", variant->name,
					 metric_name(metric), type, n, i, (double) got, (double) scalar);
			good = false;
		}
		if (!same_float(got, calls->ba.sum[swapped]))
		{
			tap_diag("%s %s_%s n=%zu sum %d: (a,b) %.9g, (b,a) %.9g", variant->name,
					 metric_name(metric), type, n, i, (double) got,
					 (double) calls->ba.sum[swapped]);
			good = false;
		}
		if (metric == METRIC_COSINE && !same_float(calls->aa.sum[i], calls->ab.sum[1]))
		{
			tap_diag("%s %s_%s n=%zu: (a,a) sum %d %.9g, norm %.9g", variant->name,
					 metric_name(metric), type, n, i, (double) calls->aa.sum[i],
					 (double) calls->ab.sum[1]);
			good = false;
		}
	}
	if (zero_on_itself && !same_float(calls->aa.sum[0], 0))
	{
		tap_diag("%s %s_%s n=%zu: (a,a) is %.9g", variant->name, metric_name(metric), type, n,
				 (double) calls->aa.sum[0]);
		good = false;
	}
	return good;
}

static const OmendbKernels *
scalar_kernels(void)
{
	static OmendbKernels scalar;

	if (scalar.l2sq_f32 == NULL)
		omendb_kernels_fill(&scalar, OMENDB_SIMD_SCALAR, 0);
	return &scalar;
}

bool
check_f32(const Variant *variant, Metric metric, const float *a, const float *b, size_t n,
		  const DenseReference *want)
{
	DenseCalls calls = {
		.ab = call_f32(&variant->kernels, metric, a, b, n),
		.ba = call_f32(&variant->kernels, metric, b, a, n),
		.aa = call_f32(&variant->kernels, metric, a, a, n),
		.scalar = call_f32(scalar_kernels(), metric, a, b, n),
	};

	return check_dense(variant, metric, "f32", n, &calls, want);
}

bool
check_f16(const Variant *variant, Metric metric, const OmendbHalf *a, const OmendbHalf *b, size_t n,
		  const DenseReference *want)
{
	DenseCalls calls = {
		.ab = call_f16(&variant->kernels, metric, a, b, n),
		.ba = call_f16(&variant->kernels, metric, b, a, n),
		.aa = call_f16(&variant->kernels, metric, a, a, n),
		.scalar = call_f16(scalar_kernels(), metric, a, b, n),
	};

	return check_dense(variant, metric, "f16", n, &calls, want);
}

static bool
check_exact(const Variant *variant, const char *kernel, size_t n, const char *what, int64_t got,
			int64_t want)
{
	if (got == want)
		return true;
	tap_diag("%s %s n=%zu %s: got %lld, want %lld", variant->name, kernel, n, what, (long long) got,
			 (long long) want);
	return false;
}

bool
check_i8(const Variant *variant, Metric metric, const int8_t *a, const int8_t *b, size_t n,
		 const Int8Reference *want)
{
	const OmendbKernels *k = &variant->kernels;
	OmendbCosineInt ab;
	OmendbCosineInt ba;

	switch (metric)
	{
		case METRIC_L2SQ:
			return check_exact(variant, "l2sq_i8", n, "(a,b)", k->l2sq_i8(a, b, n), want->l2sq) &&
				   check_exact(variant, "l2sq_i8", n, "(b,a)", k->l2sq_i8(b, a, n), want->l2sq) &&
				   check_exact(variant, "l2sq_i8", n, "(a,a)", k->l2sq_i8(a, a, n), 0);
		case METRIC_DOT:
			return check_exact(variant, "dot_i8", n, "(a,b)", k->dot_i8(a, b, n), want->dot) &&
				   check_exact(variant, "dot_i8", n, "(b,a)", k->dot_i8(b, a, n), want->dot) &&
				   check_exact(variant, "dot_i8", n, "(a,a)", k->dot_i8(a, a, n), want->norm2_a);
		case METRIC_COSINE:
			ab = k->cosine_i8(a, b, n);
			ba = k->cosine_i8(b, a, n);
			return check_exact(variant, "cosine_i8", n, "dot", ab.dot, want->dot) &&
				   check_exact(variant, "cosine_i8", n, "norm2_a", ab.norm2_a, want->norm2_a) &&
				   check_exact(variant, "cosine_i8", n, "norm2_b", ab.norm2_b, want->norm2_b) &&
				   check_exact(variant, "cosine_i8", n, "(b,a) dot", ba.dot, want->dot) &&
				   check_exact(variant, "cosine_i8", n, "(b,a) a", ba.norm2_a, want->norm2_b) &&
				   check_exact(variant, "cosine_i8", n, "(b,a) b", ba.norm2_b, want->norm2_a);
		case METRIC_L1:
			return check_exact(variant, "l1_i8", n, "(a,b)", k->l1_i8(a, b, n), want->l1) &&
				   check_exact(variant, "l1_i8", n, "(b,a)", k->l1_i8(b, a, n), want->l1) &&
				   check_exact(variant, "l1_i8", n, "(a,a)", k->l1_i8(a, a, n), 0);
	}
	abort();
}

static bool
check_same(const Variant *variant, const char *kernel, size_t n, const char *what, float got,
		   float want)
{
	if (same_float(got, want))
		return true;
	tap_diag("%s %s n=%zu %s: got %.9g, want %.9g", variant->name, kernel, n, what, (double) got,
			 (double) want);
	return false;
}

bool
check_i16(const Variant *variant, const float *x, const int16_t *a, float scale_a, const int16_t *b,
		  float scale_b, size_t n, const Int16Reference *want)
{
	const OmendbKernels *k = &variant->kernels;
	float l2sq = k->l2sq_i16(a, scale_a, b, scale_b, n);
	float dot = k->dot_i16(a, b, n);
	bool good = true;

	good &= check_sum(variant, "l2sq_f32_i16", n, k->l2sq_f32_i16(x, b, scale_b, n),
					  want->mixed_l2sq, want->mixed_l2sq, false);
	good &= check_sum(variant, "dot_f32_i16", n, k->dot_f32_i16(x, b, n), want->mixed_dot,
					  want->mixed_dot_magnitude, true);
	good &= check_sum(variant, "l2sq_i16", n, l2sq, want->l2sq, want->l2sq, false);
	good &=
		check_same(variant, "l2sq_i16", n, "(b,a)", k->l2sq_i16(b, scale_b, a, scale_a, n), l2sq);
	good &= check_same(variant, "l2sq_i16", n, "(a,a)", k->l2sq_i16(a, scale_a, a, scale_a, n), 0);
	good &= check_sum(variant, "dot_i16", n, dot, want->dot, want->dot_magnitude, true);
	good &= check_same(variant, "dot_i16", n, "(b,a)", k->dot_i16(b, a, n), dot);
	return good;
}

/* The string itself, and as rows what can be cut from b: first it all, then its thirds and its elevenths. */
static bool
check_rows(const Variant *variant, const uint8_t *a, const uint8_t *b, size_t n, int64_t differ)
{
	const OmendbKernels *k = &variant->kernels;
	static const size_t counts[] = {3, 11};
	uint32_t out[12];
	bool good;

	k->hamming_rows(a, b, n, 1, out);
	good = check_exact(variant, "hamming_rows", n, "one", out[0], differ);
	for (size_t c = 0; c < 2; c++)
	{
		size_t rows = counts[c];
		size_t part = n / rows;

		out[rows] = UINT32_MAX;
		k->hamming_rows(a, b, part, rows, out);
		for (size_t i = 0; i < rows; i++)
			good &= check_exact(variant, "hamming_rows", part, "of several", out[i],
								(int64_t) reference_bits(a, b + i * part, part).differ);
		k->hamming_rows(a, b, n, 0, out + rows);
		good &= check_exact(variant, "hamming_rows", n, "beyond the rows", out[rows], UINT32_MAX);
	}
	return good;
}

bool
check_hamming(const Variant *variant, const uint8_t *a, const uint8_t *b, size_t n,
			  const BitReference *want)
{
	const OmendbKernels *k = &variant->kernels;
	int64_t differ = (int64_t) want->differ;

	return check_exact(variant, "hamming", n, "(a,b)", (int64_t) k->hamming(a, b, n), differ) &&
		   check_exact(variant, "hamming", n, "(b,a)", (int64_t) k->hamming(b, a, n), differ) &&
		   check_exact(variant, "hamming", n, "(a,a)", (int64_t) k->hamming(a, a, n), 0) &&
		   check_rows(variant, a, b, n, differ);
}

bool
check_overlap(const Variant *variant, const uint8_t *a, const uint8_t *b, size_t n,
			  const BitReference *want)
{
	OmendbBitOverlap ab = variant->kernels.overlap(a, b, n);
	OmendbBitOverlap ba = variant->kernels.overlap(b, a, n);

	return check_exact(variant, "overlap", n, "both", (int64_t) ab.both, (int64_t) want->both) &&
		   check_exact(variant, "overlap", n, "either", (int64_t) ab.either,
					   (int64_t) want->either) &&
		   check_exact(variant, "overlap", n, "(b,a) both", (int64_t) ba.both,
					   (int64_t) want->both) &&
		   check_exact(variant, "overlap", n, "(b,a) either", (int64_t) ba.either,
					   (int64_t) want->either);
}
