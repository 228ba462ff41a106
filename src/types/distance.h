/*
 * distance.h
 *	  The distances of all types.
 */
#ifndef OMENDB_DISTANCE_H
#define OMENDB_DISTANCE_H

#include "postgres.h"
#include "fmgr.h"

/* Distances that an index can order by: SQL functions (type, type) returns float8. */
extern Datum omendb_sql_vector_l2_distance(PG_FUNCTION_ARGS);
extern Datum omendb_sql_vector_negative_inner_product(PG_FUNCTION_ARGS);
extern Datum omendb_sql_vector_cosine_distance(PG_FUNCTION_ARGS);
extern Datum omendb_sql_vector_l1_distance(PG_FUNCTION_ARGS);
extern Datum omendb_sql_halfvec_l2_distance(PG_FUNCTION_ARGS);
extern Datum omendb_sql_halfvec_negative_inner_product(PG_FUNCTION_ARGS);
extern Datum omendb_sql_halfvec_cosine_distance(PG_FUNCTION_ARGS);
extern Datum omendb_sql_halfvec_l1_distance(PG_FUNCTION_ARGS);
extern Datum omendb_sql_sparsevec_l2_distance(PG_FUNCTION_ARGS);
extern Datum omendb_sql_sparsevec_negative_inner_product(PG_FUNCTION_ARGS);
extern Datum omendb_sql_sparsevec_cosine_distance(PG_FUNCTION_ARGS);
extern Datum omendb_sql_sparsevec_l1_distance(PG_FUNCTION_ARGS);
extern Datum omendb_sql_hamming_distance(PG_FUNCTION_ARGS);
extern Datum omendb_sql_jaccard_distance(PG_FUNCTION_ARGS);

/* The cosine, cut to -1 to 1, which rounding may have left. NaN stays NaN. */
static inline double
omendb_clamp_cosine(double cosine)
{
	if (cosine > 1)
		return 1;
	if (cosine < -1)
		return -1;
	return cosine;
}

#endif /* OMENDB_DISTANCE_H */
