/*
 * bound.c
 *	  How far the operator's value can be from what a search computed.
 *
 * A search knows d, the metric between the query and a record's own vector,
 * both rounded; the executor will compare with the operator's value of the
 * original vectors, rounded as well. Between them lie, each bounded here:
 *
 *	error	own vector against the vector it was made from (in the record)
 *	spin	rotation in float of query and vector: every butterfly rounds once,
 *			so at most (log2(window) + 2) roundings of the whole length a round
 *	sum		n products summed in float: at most (n / lanes + 8) roundings of the
 *			sum of the magnitudes (kernel.h), once for d and once for the
 *			operator
 *	tiny	what is below FLT_MIN loses digits: a product so much, times the scale
 *			of the own vector, which is below 4 lengths (or 1); an element so
 *			much, times the query
 *
 * Sums over sparse vectors are in double: what is rounded are squared lengths and the
 * result, to floats, once each; and under cosine each element of a normalised vector.
 */
#include "code/bound.h"

#include <float.h>
#include <math.h>

#include "kernel/kernel.h"

static double
spin(const OmendbRotation *rotation)
{
	double roundings = 0;

	for (uint32_t w = rotation->window; w > 0; w /= 2)
		roundings++;
	/* and the butterfly that mixes the two ends */
	return (rotation->rounds * (roundings + 2) + 2) * FLT_EPSILON;
}

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
	double spun = codec->rotates ? spin(&codec->rotate) : 0;
	double d = distance;
	double e = error;
	/* Lengths, at most: squares below FLT_TRUE_MIN are 0 as floats. */
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
			 * d was rounded to a float once, by half of FLT_EPSILON at most.
			 * Fractions of numbers below 2048 differ by more than that: equal
			 * floats are equal values, the bounds of others do not meet.
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
			double slack = query->norm * (e + (3 * spun + 2 * sum) * length) * (1 + sum) +
						   n * FLT_MIN * (1 + 4 * length + query->norm);

			low = d - slack;
			high = d + slack;
			break;
		}
		default:
		{
			double around = e + 2 * spun * (query_length + length);
			/* Is the distance the difference of squared lengths and a product? */
			bool differs = sparse || omendb_own_is_short(layout->own);
			double slack = n * FLT_MIN + sum * (differs ? 2 * (query->norm2 + (double) norm2) : d);

			low = sqrt(d > slack ? d - slack : 0) - around;
			low = low > 0 ? low : 0;
			high = sqrt(d + slack) + around;
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
	/* Overflow somewhere on the way bounds nothing. */
	if (!(low > -DBL_MAX) || !(high < DBL_MAX) || !(d < FLT_MAX))
	{
		*upper = INFINITY;
		return layout->metric == OMENDB_METRIC_IP ? -INFINITY : 0;
	}
	*upper = high;
	return low;
}
