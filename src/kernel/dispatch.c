/*
 * dispatch.c
 *	  Detects the instructions of the machine and fills the table of kernels.
 *
 * Owns omendb_kernels. Not thread-safe: a backend is one thread, and the table changes only when
 * the library is loaded or omendb.simd_level is set.
 */
#include "kernel/kernel_tables.h"

#ifdef OMENDB_X86
#include <cpuid.h>
#endif

#if defined(OMENDB_ARM64) && defined(__linux__)
#include <sys/auxv.h>
#ifndef HWCAP_ASIMDDP
#define HWCAP_ASIMDDP (1 << 20)
#endif
#endif

OmendbKernels omendb_kernels;

static OmendbSimdLevel current_level = OMENDB_SIMD_SCALAR;

#ifdef OMENDB_X86

/* Bits of XCR0: registers that the operating system saves. */
#define XCR0_AVX    0x06 /* XMM, YMM */
#define XCR0_AVX512 0xE6 /* and opmask, ZMM */

static uint64_t
read_xcr0(void)
{
	uint32_t low;
	uint32_t high;

	__asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	return ((uint64_t) high << 32) | low;
}

static unsigned
detect_features(void)
{
	const unsigned leaf1 = bit_OSXSAVE | bit_AVX | bit_FMA | bit_F16C | bit_POPCNT;
	const unsigned leaf7 = bit_AVX512F | bit_AVX512BW | bit_AVX512DQ | bit_AVX512VL;
	unsigned a, b, c, d;
	unsigned features = 0;
	uint64_t xcr0;

	if (!__get_cpuid(1, &a, &b, &c, &d) || (c & leaf1) != leaf1)
		return 0;
	xcr0 = read_xcr0();
	if ((xcr0 & XCR0_AVX) != XCR0_AVX || !__get_cpuid_count(7, 0, &a, &b, &c, &d))
		return 0;
	if (b & bit_AVX2)
		features |= OMENDB_CPU_AVX2;
	if ((features & OMENDB_CPU_AVX2) && (xcr0 & XCR0_AVX512) == XCR0_AVX512 && (b & leaf7) == leaf7)
	{
		features |= OMENDB_CPU_AVX512;
		if (c & bit_AVX512VNNI)
			features |= OMENDB_CPU_VNNI;
		if (c & bit_AVX512VPOPCNTDQ)
			features |= OMENDB_CPU_VPOPCNTDQ;
		if (c & bit_AVX512VBMI)
			features |= OMENDB_CPU_VBMI;
	}
	return features;
}

#elif defined(OMENDB_ARM64)

static unsigned
detect_features(void)
{
	unsigned features = OMENDB_CPU_NEON; /* part of the architecture */

#if defined(__linux__)
	if (getauxval(AT_HWCAP) & HWCAP_ASIMDDP)
		features |= OMENDB_CPU_DOTPROD;
#elif defined(__APPLE__)
	features |= OMENDB_CPU_DOTPROD; /* every Apple arm64 processor */
#endif
	return features;
}

#else

static unsigned
detect_features(void)
{
	return 0;
}

#endif

/* Detected once: CPUID exits to the hypervisor in a virtual machine (tens of microseconds). */
unsigned
omendb_cpu_features(void)
{
	static bool known = false;
	static unsigned features;

	if (!known)
	{
		features = detect_features();
		known = true;
	}
	return features;
}

bool
omendb_level_available(OmendbSimdLevel level, unsigned features)
{
	switch (level)
	{
		case OMENDB_SIMD_SCALAR:
			return true;
		case OMENDB_SIMD_NEON:
			return (features & OMENDB_CPU_NEON) != 0;
		case OMENDB_SIMD_AVX2:
			return (features & OMENDB_CPU_AVX2) != 0;
		case OMENDB_SIMD_AVX512:
			return (features & OMENDB_CPU_AVX512) != 0;
	}
	return false;
}

OmendbSimdLevel
omendb_best_level(unsigned features)
{
	int level = OMENDB_SIMD_LEVELS - 1;

	while (!omendb_level_available((OmendbSimdLevel) level, features))
		level--;
	return (OmendbSimdLevel) level;
}

const char *
omendb_level_name(OmendbSimdLevel level)
{
	static const char *const names[OMENDB_SIMD_LEVELS] = {
		[OMENDB_SIMD_SCALAR] = "scalar",
		[OMENDB_SIMD_NEON] = "neon",
		[OMENDB_SIMD_AVX2] = "avx2",
		[OMENDB_SIMD_AVX512] = "avx512",
	};

	return names[level];
}

void
omendb_kernels_fill(OmendbKernels *table, OmendbSimdLevel level, unsigned features)
{
	omendb_fill_scalar(table);
#ifdef OMENDB_X86
	if (level >= OMENDB_SIMD_AVX2)
		omendb_fill_avx2(table);
	if (level >= OMENDB_SIMD_AVX512)
		omendb_fill_avx512(table, features);
#endif
#ifdef OMENDB_ARM64
	if (level == OMENDB_SIMD_NEON)
		omendb_fill_neon(table, features);
#endif
	(void) level;
	(void) features;
}

void
omendb_kernels_use(OmendbSimdLevel level)
{
	omendb_kernels_fill(&omendb_kernels, level, omendb_cpu_features());
	current_level = level;
}

OmendbSimdLevel
omendb_kernels_level(void)
{
	return current_level;
}
