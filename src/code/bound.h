/*
 * bound.h
 *	  Bounds of an operator's value, from the distance that a search computed.
 */
#ifndef OMENDB_BOUND_H
#define OMENDB_BOUND_H

#include "code/query.h"

/*
 * Returns a lower bound of the operator's value (L2: the distance, not its square; cosine
 * distance; negative inner product; L1; Hamming; Jaccard) for the rows of a visited record, and
 * sets *upper to an upper bound. distance: omendb_query_distance. error and norm2: the record's.
 * The bounds allow for every rounding on both sides (bound.c). Without a bound, as after an
 * overflow, *upper is infinite, and the result is 0, or minus infinity for the inner product.
 */
extern double omendb_lower_bound(const OmendbQuery *query, float distance, float error, float norm2,
								 double *upper);

#endif /* OMENDB_BOUND_H */
