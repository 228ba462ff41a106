/*
 * distance.h
 *	  What the distances of all types share.
 */
#ifndef OMENDB_DISTANCE_H
#define OMENDB_DISTANCE_H

#include "postgres.h"
#include "fmgr.h"

/* The distances that an index can order by: (type, type) returns float8. */
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

/* A cosine within -1..1, whatever the rounding made of it; NaN stays. */
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
