/*
 * average.h
 *	  The transition state of avg over the dense types: a float8 array of the count of rows and the
 *	  sum of each element; '{0}' before the first row. Sums are in double, so their rounding does not
 *	  show in an average in float.
 */
#ifndef OMENDB_AVERAGE_H
#define OMENDB_AVERAGE_H

#include "compat.h"

#include "utils/array.h"

/*
 * Check a state, which may come from SQL, and return its sums. Sets the count of rows and the
 * dimensions (0 before the first row).
 */
extern const double *omendb_average_state(ArrayType *state, double *count, int *dim);

/* Add a row of dim elements to a state. Within an aggregate the state is changed in place. */
extern ArrayType *omendb_average_add(FunctionCallInfo fcinfo, ArrayType *state, const float *x,
									 int dim);

/* Add two states, of up to max_dim dimensions. Within an aggregate a is changed in place. */
extern ArrayType *omendb_average_combine(FunctionCallInfo fcinfo, ArrayType *a, ArrayType *b,
										 int max_dim, const char *type);

#endif /* OMENDB_AVERAGE_H */
