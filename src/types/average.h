/*
 * average.h
 *	  The transition state of avg over the dense types: a float8 array of the
 *	  count of rows and then the sum of each element; '{0}' before the first row.
 *	  Sums are in double, so they lose nothing that an average in float shows.
 */
#ifndef OMENDB_AVERAGE_H
#define OMENDB_AVERAGE_H

#include "compat.h"

#include "utils/array.h"

/*
 * Checks a state, which anyone can pass from SQL, and returns its sums; sets
 * the count of rows and the dimensions (0 before the first row).
 */
extern const double *omendb_average_state(ArrayType *state, double *count, int *dim);

/* state + one row of dim elements; in place within an aggregate. */
extern ArrayType *omendb_average_add(FunctionCallInfo fcinfo, ArrayType *state, const float *x,
									 int dim);

/* Two states' sum, of at most max_dim dimensions of the type; in place within an aggregate. */
extern ArrayType *omendb_average_combine(FunctionCallInfo fcinfo, ArrayType *a, ArrayType *b,
										 int max_dim, const char *type);

#endif /* OMENDB_AVERAGE_H */
