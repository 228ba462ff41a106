/*
 * bound.h
 *	  How far the operator's value can be from what a search computed.
 */
#ifndef OMENDB_BOUND_H
#define OMENDB_BOUND_H

#include "code/query.h"

/*
 * A lower bound of the operator's own value (L2: the distance, not its square;
 * cosine distance; negative inner product; L1; Hamming; Jaccard) of the row
 * behind a visited record, of which the record said error and norm2. Equal to
 * the value only by chance; never above it (bound.c says why).
 * *upper gets the matching upper bound.
 */
extern double omendb_lower_bound(const OmendbQuery *query, float distance, float error, float norm2,
								 double *upper);

#endif /* OMENDB_BOUND_H */
