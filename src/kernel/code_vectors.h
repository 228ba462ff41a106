/*
 * code_vectors.h
 *	  The vector types of code_template.h, of eight lanes (vector extension of gcc and clang).
 */
#ifndef OMENDB_CODE_VECTORS_H
#define OMENDB_CODE_VECTORS_H

#include <stdint.h>

typedef float Floats __attribute__((vector_size(32)));
typedef int32_t Ints __attribute__((vector_size(32)));
typedef uint32_t Bits __attribute__((vector_size(32)));

#endif /* OMENDB_CODE_VECTORS_H */
