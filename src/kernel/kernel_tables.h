/*
 * kernel_tables.h
 *	  The functions of the instruction-set files that fill the table of kernels (dispatch.c). Each
 *	  overwrites the entries for which it has a faster kernel.
 */
#ifndef OMENDB_KERNEL_TABLES_H
#define OMENDB_KERNEL_TABLES_H

#include "kernel/kernel.h"

#if defined(__x86_64__) || defined(_M_X64)
#define OMENDB_X86 1
#elif defined(__aarch64__) && defined(__AARCH64EL__)
#define OMENDB_ARM64 1
#endif

/*
 * A table of all kernels of a file whose functions have the names of the entries. Files of their
 * own add the kernels of codes and of the bulk build.
 */
#define OMENDB_WHOLE_TABLE              \
	((OmendbKernels){                   \
		.l2sq_f32 = l2sq_f32,           \
		.dot_f32 = dot_f32,             \
		.cosine_f32 = cosine_f32,       \
		.l1_f32 = l1_f32,               \
		.l2sq_f16 = l2sq_f16,           \
		.dot_f16 = dot_f16,             \
		.cosine_f16 = cosine_f16,       \
		.l1_f16 = l1_f16,               \
		.dot_f32_i8 = dot_f32_i8,       \
		.l2sq_f32_i16 = l2sq_f32_i16,   \
		.dot_f32_i16 = dot_f32_i16,     \
		.l2sq_i16 = l2sq_i16,           \
		.dot_i16 = dot_i16,             \
		.i16_to_float = i16_to_float,   \
		.i12_to_i16 = i12_to_i16,       \
		.l2sq_i8 = l2sq_i8,             \
		.dot_i8 = dot_i8,               \
		.cosine_i8 = cosine_i8,         \
		.l1_i8 = l1_i8,                 \
		.hamming = hamming,             \
		.hamming_rows = hamming_rows,   \
		.overlap = overlap,             \
		.half_to_float = half_to_float, \
		.float_to_half = float_to_half, \
		.norm2_f32 = norm2_f32,         \
		.norm2_f16 = norm2_f16,         \
		.normalize_f32 = normalize_f32, \
		.quantize_f32 = quantize_f32,   \
		.quantize_f16 = quantize_f16,   \
	})

extern void omendb_fill_scalar(OmendbKernels *table);
extern void omendb_fill_code_scalar(OmendbKernels *table);
extern void omendb_fill_block_scalar(OmendbKernels *table);

#ifdef OMENDB_X86
extern void omendb_fill_avx2(OmendbKernels *table);
extern void omendb_fill_code_avx2(OmendbKernels *table);
extern void omendb_fill_block_avx2(OmendbKernels *table);
extern void omendb_fill_avx512(OmendbKernels *table, unsigned features);
extern void omendb_fill_code_avx512(OmendbKernels *table, unsigned features);
extern void omendb_fill_block_avx512(OmendbKernels *table, unsigned features);
#endif

#ifdef OMENDB_ARM64
extern void omendb_fill_neon(OmendbKernels *table, unsigned features);
extern void omendb_fill_code_neon(OmendbKernels *table);
extern void omendb_fill_block_neon(OmendbKernels *table, unsigned features);
#endif

#endif /* OMENDB_KERNEL_TABLES_H */
