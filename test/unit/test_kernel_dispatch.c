/*
 * test_kernel_dispatch.c
 *	  Which level a processor gets, and which kernels a level puts into the table.
 *
 * test/unit/run sets OMENDB_EXPECT_FEATURES where it knows the processor, which
 * is when it emulates one.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel_support.h"
#include "tap.h"

#define ENTRIES       (sizeof(OmendbKernels) / sizeof(void (*)(void)))
#define INDEX(kernel) (offsetof(OmendbKernels, kernel) / sizeof(void (*)(void)))

/* The table as an array, so that no entry can be forgotten here. */
typedef struct Entries
{
	void (*kernel[ENTRIES])(void);
} Entries;

_Static_assert(sizeof(Entries) == sizeof(OmendbKernels), "the table holds nothing but pointers");

static Entries
filled(OmendbSimdLevel level, unsigned features)
{
	OmendbKernels table;
	Entries entries;

	memset(&table, 0, sizeof(table));
	omendb_kernels_fill(&table, level, features);
	memcpy(&entries, &table, sizeof(entries));
	return entries;
}

/* Does the table of one variant differ from the other's in these entries and no others? */
static bool
differs_exactly(const Entries *x, const Entries *y, const size_t *expected, size_t n)
{
	bool good = true;

	for (size_t i = 0; i < ENTRIES; i++)
	{
		bool wanted = false;

		for (size_t j = 0; j < n; j++)
			wanted |= expected[j] == i;
		if ((x->kernel[i] != y->kernel[i]) != wanted)
		{
			tap_diag("entry %zu is %s", i, wanted ? "the same" : "another");
			good = false;
		}
	}
	return good;
}

static void
test_levels(void)
{
	static const struct
	{
		unsigned features;
		OmendbSimdLevel best;
	} cases[] = {
		{0, OMENDB_SIMD_SCALAR},
		{OMENDB_CPU_NEON, OMENDB_SIMD_NEON},
		{OMENDB_CPU_NEON | OMENDB_CPU_DOTPROD, OMENDB_SIMD_NEON},
		{OMENDB_CPU_AVX2, OMENDB_SIMD_AVX2},
		{OMENDB_CPU_AVX2 | OMENDB_CPU_AVX512, OMENDB_SIMD_AVX512},
		{OMENDB_CPU_AVX2 | OMENDB_CPU_AVX512 | OMENDB_CPU_VNNI | OMENDB_CPU_VPOPCNTDQ |
			 OMENDB_CPU_VBMI,
		 OMENDB_SIMD_AVX512},
	};
	static const char *const names[] = {"scalar", "neon", "avx2", "avx512"};

	for (size_t i = 0; i < LENGTH(cases); i++)
	{
		unsigned features = cases[i].features;
		bool good = omendb_best_level(features) == cases[i].best;

		good &= omendb_level_available(OMENDB_SIMD_SCALAR, features);
		good &= omendb_level_available(OMENDB_SIMD_NEON, features) ==
				((features & OMENDB_CPU_NEON) != 0);
		good &= omendb_level_available(OMENDB_SIMD_AVX2, features) ==
				((features & OMENDB_CPU_AVX2) != 0);
		good &= omendb_level_available(OMENDB_SIMD_AVX512, features) ==
				((features & OMENDB_CPU_AVX512) != 0);
		tap_result(good, "features %#x: best level %s", features, omendb_level_name(cases[i].best));
	}
	for (size_t i = 0; i < LENGTH(names); i++)
		tap_result(strcmp(omendb_level_name((OmendbSimdLevel) i), names[i]) == 0,
				   "level %zu is named %s", i, names[i]);
	tap_result(LENGTH(names) == OMENDB_SIMD_LEVELS, "these are all levels");
}

/* What the compiler's runtime says of this processor. */
static unsigned
expected_features(void)
{
	unsigned features = 0;

#if defined(__x86_64__)
	/* VPOPCNTDQ implies no other in the compiler's list; F16C is in none of old compilers'. */
	if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
		__builtin_cpu_supports("popcnt"))
		features |= OMENDB_CPU_AVX2;
	if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
		__builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
	{
		features |= OMENDB_CPU_AVX512;
		if (__builtin_cpu_supports("avx512vnni"))
			features |= OMENDB_CPU_VNNI;
		if (__builtin_cpu_supports("avx512vpopcntdq"))
			features |= OMENDB_CPU_VPOPCNTDQ;
		if (__builtin_cpu_supports("avx512vbmi"))
			features |= OMENDB_CPU_VBMI;
	}
#elif defined(__aarch64__)
	features = OMENDB_CPU_NEON | (omendb_cpu_features() & OMENDB_CPU_DOTPROD);
#endif
	return features;
}

static void
test_machine(void)
{
	const char *told = getenv("OMENDB_EXPECT_FEATURES");
	unsigned features = omendb_cpu_features();

	tap_diag("features %#x, best level %s", features,
			 omendb_level_name(omendb_best_level(features)));
	tap_result(features == expected_features(), "the compiler's runtime sees the same features");
	if (told)
		tap_result(features == strtoul(told, NULL, 0), "features are %s, as told", told);
}

static void
test_use(void)
{
	unsigned features = omendb_cpu_features();

	for (int level = 0; level < OMENDB_SIMD_LEVELS; level++)
	{
		Entries want;

		if (!omendb_level_available((OmendbSimdLevel) level, features))
			continue;
		omendb_kernels_use((OmendbSimdLevel) level);
		want = filled((OmendbSimdLevel) level, features);
		tap_result(omendb_kernels_level() == (OmendbSimdLevel) level &&
					   memcmp(&omendb_kernels, &want, sizeof(want)) == 0,
				   "omendb_kernels_use(%s)", omendb_level_name((OmendbSimdLevel) level));
	}
}

static void
test_tables(void)
{
	size_t n;
	const Variant *variants = test_variants(&n);

	for (size_t v = 0; v < n; v++)
	{
		Entries entries = filled(variants[v].level, variants[v].features);
		bool full = true;

		for (size_t i = 0; i < ENTRIES; i++)
			full &= entries.kernel[i] != NULL;
		tap_result(full, "%s: no empty entry", variants[v].name);
	}

#if defined(__x86_64__)
	static const size_t own[] = {
		INDEX(l2sq_f32),     INDEX(dot_f32),    INDEX(cosine_f32),     INDEX(l1_f32),
		INDEX(l1_i8),        INDEX(dot_f32_i8), INDEX(l2sq_f32_i16),   INDEX(dot_f32_i16),
		INDEX(l2sq_i16),     INDEX(dot_i16),    INDEX(multiply_signs), INDEX(nearest),
		INDEX(compare_rows), INDEX(below),      INDEX(ranks),
	};
	static const size_t vnni[] = {INDEX(l2sq_i8),      INDEX(dot_i8),         INDEX(cosine_i8),
								  INDEX(pack_columns), INDEX(block_products), INDEX(row_products)};
	static const size_t vpopcntdq[] = {INDEX(hamming), INDEX(hamming_rows), INDEX(overlap),
									   INDEX(column_hamming)};
	static const size_t vbmi[] = {INDEX(code_sums)};
	unsigned machine = omendb_cpu_features();
	unsigned avx512 = OMENDB_CPU_AVX2 | OMENDB_CPU_AVX512;
	size_t all[ENTRIES];
	Entries scalar = filled(OMENDB_SIMD_SCALAR, machine);
	Entries avx2;
	Entries plain;
	Entries other;

	for (size_t i = 0; i < ENTRIES; i++)
		all[i] = i;
	/* Filling needs no processor that could run the kernels. */
	avx2 = filled(OMENDB_SIMD_AVX2, OMENDB_CPU_AVX2);
	plain = filled(OMENDB_SIMD_AVX512, avx512);
	tap_result(differs_exactly(&scalar, &avx2, all, ENTRIES), "avx2 replaces every kernel");
	tap_result(differs_exactly(&avx2, &plain, own, LENGTH(own)), "avx512 replaces its own");
	other = filled(OMENDB_SIMD_AVX512, avx512 | OMENDB_CPU_VNNI);
	tap_result(differs_exactly(&plain, &other, vnni, LENGTH(vnni)), "VNNI replaces int8 kernels");
	other = filled(OMENDB_SIMD_AVX512, avx512 | OMENDB_CPU_VPOPCNTDQ);
	tap_result(differs_exactly(&plain, &other, vpopcntdq, LENGTH(vpopcntdq)),
			   "VPOPCNTDQ replaces bit kernels");
	other = filled(OMENDB_SIMD_AVX512, avx512 | OMENDB_CPU_VBMI);
	tap_result(differs_exactly(&plain, &other, vbmi, LENGTH(vbmi)), "VBMI replaces code_sums");
	other = filled(OMENDB_SIMD_AVX2, machine);
	tap_result(differs_exactly(&avx2, &other, NULL, 0), "avx2 ignores AVX-512 features");
#elif defined(__aarch64__)
	static const size_t dotprod[] = {INDEX(l2sq_i8),        INDEX(dot_i8),
									 INDEX(cosine_i8),      INDEX(pack_columns),
									 INDEX(block_products), INDEX(row_products)};
	size_t all[ENTRIES];
	Entries scalar = filled(OMENDB_SIMD_SCALAR, OMENDB_CPU_NEON);
	Entries neon = filled(OMENDB_SIMD_NEON, OMENDB_CPU_NEON);
	Entries other = filled(OMENDB_SIMD_NEON, OMENDB_CPU_NEON | OMENDB_CPU_DOTPROD);

	for (size_t i = 0; i < ENTRIES; i++)
		all[i] = i;
	tap_result(differs_exactly(&scalar, &neon, all, ENTRIES), "neon replaces every kernel");
	tap_result(differs_exactly(&neon, &other, dotprod, LENGTH(dotprod)),
			   "the dot product instructions replace int8 kernels");
#endif
}

int
main(void)
{
	test_levels();
	test_machine();
	test_use();
	test_tables();
	return tap_done();
}
