/*
 * convert.h
 *	  Conversions between the vector types.
 */
#ifndef OMENDB_CONVERT_H
#define OMENDB_CONVERT_H

#include "compat.h"
#include "kernel/kernel.h"

/*
 * n floats, all finite, to halves. A float beyond the range of half is an
 * error, 22003, softly where there is an escontext: then false.
 */
extern bool omendb_floats_to_halves(const float *values, OmendbHalf *halves, int n,
									Node *escontext);

#endif /* OMENDB_CONVERT_H */
