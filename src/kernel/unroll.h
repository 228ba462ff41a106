/*
 * unroll.h
 *	  How loops over arrays of registers are written.
 */
#ifndef OMENDB_UNROLL_H
#define OMENDB_UNROLL_H

/*
 * Before a loop over an array of registers, of up to 32 turns: unrolled, or the
 * array stays in memory. gcc does not do so by itself at -O2.
 */
#ifdef __clang__
#define OMENDB_UNROLL _Pragma("clang loop unroll(full)")
#else
#define OMENDB_UNROLL _Pragma("GCC unroll 32")
#endif

#endif /* OMENDB_UNROLL_H */
