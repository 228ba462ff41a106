/*
 * metric.h
 *	  From the sums of kernels to distances (OmendbMetric).
 */
#ifndef OMENDB_METRIC_H
#define OMENDB_METRIC_H

#include <math.h>

#include "code/layout.h"
#include "kernel/kernel.h"

/*
 * Squared L2 distance from squared lengths and inner product. In double, where the sum of two
 * finite floats is finite. NaN, which an overflow left, becomes infinity; a negative result,
 * which rounding left, becomes 0.
 */
static inline float
omendb_l2_from_dot(double norm2_a, double norm2_b, double dot)
{
	double l2 = norm2_a + norm2_b - 2 * dot;

	return l2 > 0 ? (float) l2 : l2 <= 0 ? 0 : INFINITY;
}

/* Jaccard distance; 1 for two strings without a common bit, also if both are 0. */
static inline float
omendb_jaccard(OmendbBitOverlap overlap)
{
	return overlap.either == 0 || overlap.both == 0
			   ? 1.0f
			   : (float) (1.0 - (double) overlap.both / (double) overlap.either);
}

/* Distance between two stored-space vectors of n floats: L2, cosine, inner product or L1. */
static inline float
omendb_float_distance(OmendbMetric metric, const float *a, const float *b, size_t n)
{
	switch (metric)
	{
		case OMENDB_METRIC_IP:
			return -omendb_kernels.dot_f32(a, b, n);
		case OMENDB_METRIC_L1:
			return omendb_kernels.l1_f32(a, b, n);
		default:
			return omendb_kernels.l2sq_f32(a, b, n);
	}
}

#endif /* OMENDB_METRIC_H */
