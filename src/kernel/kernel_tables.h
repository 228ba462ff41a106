/*
 * kernel_tables.h
 *	  How the instruction-set files hand their kernels to dispatch.c. Each
 *	  function overwrites the entries that its instructions serve better.
 */
#ifndef OMENDB_KERNEL_TABLES_H
#define OMENDB_KERNEL_TABLES_H

#include "kernel/kernel.h"

#if defined(__x86_64__) || defined(_M_X64)
#define OMENDB_X86 1
#elif defined(__aarch64__) && defined(__AARCH64EL__)
#define OMENDB_ARM64 1
#endif

extern void omendb_fill_scalar(OmendbKernels *table);

#ifdef OMENDB_X86
extern void omendb_fill_avx2(OmendbKernels *table);
extern void omendb_fill_avx512(OmendbKernels *table, unsigned features);
#endif

#ifdef OMENDB_ARM64
extern void omendb_fill_neon(OmendbKernels *table, unsigned features);
#endif

#endif /* OMENDB_KERNEL_TABLES_H */
