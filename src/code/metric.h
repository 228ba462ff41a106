/*
 * metric.h
 *	  The metrics (OmendbMetric) of what kernels sum.
 */
#ifndef OMENDB_METRIC_H
#define OMENDB_METRIC_H

#include <math.h>

#include "code/layout.h"
#include "kernel/kernel.h"

/* In double: the sum of two finite floats is finite. NaN, after overflow, is far. */
static inline float
omendb_l2_from_dot(double norm2_a, double norm2_b, double dot)
{
	double l2 = norm2_a + norm2_b - 2 * dot;

	return l2 > 0 ? (float) l2 : l2 <= 0 ? 0 : INFINITY;
}

static inline float
omendb_jaccard(OmendbBitOverlap overlap)
{
	return overlap.either == 0 || overlap.both == 0
			   ? 1.0f
			   : (float) (1.0 - (double) overlap.both / (double) overlap.either);
}

/* The metric between stored-space vectors. */
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
