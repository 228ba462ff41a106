/*
 * unroll.h
 *	  Full unrolling of loops over arrays of registers.
 */
#ifndef OMENDB_UNROLL_H
#define OMENDB_UNROLL_H

/*
 * Stands before a loop of up to 32 iterations over an array of registers. If the loop is not
 * unrolled the array is in memory; gcc does not unroll it by itself at -O2.
 */
#ifdef __clang__
#define OMENDB_UNROLL _Pragma("clang loop unroll(full)")
#else
#define OMENDB_UNROLL _Pragma("GCC unroll 32")
#endif

#endif /* OMENDB_UNROLL_H */
