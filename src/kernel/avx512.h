/*
 * avx512.h
 *	  What the files for x86-64 with AVX-512 F, BW, DQ and VL share, and the
 *	  targets of those with more.
 */
#ifndef OMENDB_AVX512_H
#define OMENDB_AVX512_H

#include <immintrin.h>

#define AVX512           "avx2,fma,f16c,popcnt,avx512f,avx512bw,avx512dq,avx512vl"
#define TARGET           __attribute__((target(AVX512)))
#define TARGET_VNNI      __attribute__((target(AVX512 ",avx512vnni")))
#define TARGET_VPOPCNTDQ __attribute__((target(AVX512 ",avx512vpopcntdq")))
#define TARGET_VBMI      __attribute__((target(AVX512 ",avx512vbmi")))
#define INLINE           TARGET static inline __attribute__((always_inline))
#define INLINE_VNNI      TARGET_VNNI static inline __attribute__((always_inline))
#define INLINE_VPOPCNTDQ TARGET_VPOPCNTDQ static inline __attribute__((always_inline))
#define INLINE_VBMI      TARGET_VBMI static inline __attribute__((always_inline))

#endif /* OMENDB_AVX512_H */
