/*
 * kernels.h
 *	  What the two files of the kernel benchmark share.
 */
#ifndef OMENDB_BENCH_KERNELS_H
#define OMENDB_BENCH_KERNELS_H

#include "kernel/kernel.h"

/*
 * Overwrite the entries for which autovec.c has a plain loop, compiled with all
 * the freedom that a compiler can be given; the others become NULL.
 */
extern void bench_fill_autovec(OmendbKernels *table);

#endif /* OMENDB_BENCH_KERNELS_H */
