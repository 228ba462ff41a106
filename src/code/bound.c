/*
 * bound.c
 *	  Bounds of an operator's value, from the distance that a search computed.
 *
 * A search computes d, the metric between the query and a record's own vector. The executor
 * computes the operator's value of the original vectors. The difference has these parts, each of
 * which is bounded here:
 *
 *	error		the own vector differs from the vector it was made from; the record has the bound
 *	rotation	query and vector were rotated in float. Every butterfly rounds once: at most
 *				(log2(window) + 2) roundings a round, each relative to the vector's length
 *	sum			n products were summed in float: at most (n / lanes + 8) roundings, relative to
 *				the sum of the magnitudes (kernel.h), once for d and once for the operator
 *	underflow	below FLT_MIN digits are lost: FLT_MIN a product, times the scale of the own
 *				vector, which is below 4 lengths (or 1); FLT_MIN an element, times the query
 *
 * Sums over sparse vectors are in double. There squared lengths and the result are rounded to
 * float, once each, and under cosine each element of a normalised vector.
 */
#include "code/bound.h"

#include <float.h>
#include <math.h>

#include "kernel/kernel.h"

double
omendb_lower_bound(const OmendbQuery *query, float distance, float error, float norm2,
				   double *upper)
{
	const OmendbCodec *codec = query->codec;
	const OmendbLayout *layout = &codec->layout;
	bool sparse = layout->own == OMENDB_OWN_SPARSE;
	double n = sparse ? 16 : layout->dimensions;
	double lanes = omendb_kernels_level() == OMENDB_SIMD_SCALAR ? 1 : 8;
	double sum = (sparse ? 4 : n / lanes + 16) * FLT_EPSILON;
	double rotated = codec->rotates ? codec->rotate.error : 0;
	double d = distance;
	double e = error;
	/* Upper bounds of lengths: squares below FLT_TRUE_MIN are 0 as floats. */
	double length = sqrt((double) norm2 + FLT_TRUE_MIN) + e;
	double query_length = sqrt((double) query->norm2 + FLT_TRUE_MIN);
	double low;
	double high;

	switch (layout->metric)
	{
		case OMENDB_METRIC_HAMMING:
			*upper = d;
			return d;
		case OMENDB_METRIC_JACCARD:
			/*
			 * d was rounded to float once, by half of FLT_EPSILON at most. Two different
			 * fractions of numbers below 2048 differ by more. So equal floats are equal values,
			 * and bounds of different ones do not overlap.
			 */
			*upper = d + FLT_EPSILON / 2;
			return d <= 0 ? 0 : d - FLT_EPSILON / 2;
		case OMENDB_METRIC_L1:
			low = (d * (1 - sum) - e) * (1 - sum);
			high = (d * (1 + sum) + e) * (1 + sum);
			if (sparse)
			{
				low -= FLT_TRUE_MIN;
				high += FLT_TRUE_MIN;
			}
			break;
		case OMENDB_METRIC_IP:
		{
			double slack = query->norm * (e + (3 * rotated + 2 * sum) * length) * (1 + sum) +
						   n * FLT_MIN * (1 + 4 * length + query->norm);

			low = d - slack;
			high = d + slack;
			break;
		}
		default:
		{
			double moved = e + 2 * rotated * (query_length + length);
			/* True if d is |q|^2 + |v|^2 - 2 <q,v>, whose terms are rounded, and larger than d. */
			bool from_dot = sparse || omendb_own_is_short(layout->own);
			double slack = n * FLT_MIN + sum * (from_dot ? 2 * (query->norm2 + (double) norm2) : d);

			low = sqrt(d > slack ? d - slack : 0) - moved;
			low = low > 0 ? low : 0;
			high = sqrt(d + slack) + moved;
			if (layout->metric == OMENDB_METRIC_COSINE)
			{
				low = low * low / 2 - 4 * sum;
				high = high * high / 2 + 4 * sum;
			}
			else
			{
				low *= 1 - sum;
				high *= 1 + sum;
			}
			low = low > 0 ? low : 0;
			break;
		}
	}
	/* After an overflow there is no bound. */
	if (!(low > -DBL_MAX) || !(high < DBL_MAX) || !(d < FLT_MAX))
	{
		*upper = INFINITY;
		return layout->metric == OMENDB_METRIC_IP ? -INFINITY : 0;
	}
	*upper = high;
	return low;
}
