/*
 * rrf.c
 *	  Reciprocal rank fusion: one order of several lists of rows.
 *
 * It uses ranks, because the scores of a text search and the distances of vectors have no common
 * scale. (Cormack, Clarke, Buettcher, SIGIR 2009, where k is 60.)
 */
#include "postgres.h"

#include "fmgr.h"

PG_FUNCTION_INFO_V1(omendb_sql_rrf);

/*
 * rrf(rank bigint, k int) returns float8: 1 / (k + rank), the score of a row with that rank in a
 * list, from 1. The score is 0 if rank is null, as an outer join gives it for a row that is not in the
 * list. Null if k is null.
 */
Datum
omendb_sql_rrf(PG_FUNCTION_ARGS)
{
	int64 rank;
	int32 k;

	if (PG_ARGISNULL(1))
		PG_RETURN_NULL();
	k = PG_GETARG_INT32(1);
	if (k < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("k must not be negative")));
	if (PG_ARGISNULL(0))
		PG_RETURN_FLOAT8(0);
	rank = PG_GETARG_INT64(0);
	if (rank < 1)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("rank must be greater than zero")));
	/* In double, because the sum may overflow an integer. */
	PG_RETURN_FLOAT8(1.0 / ((double) k + (double) rank));
}
