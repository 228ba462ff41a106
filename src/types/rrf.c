/*
 * rrf.c: reciprocal rank fusion, which makes one order of several lists of rows.
 *
 * It takes ranks, for the scores of a text search and the distances of vectors
 * have no common scale. (Cormack, Clarke, Buettcher, SIGIR 2009, where k is 60.)
 */
#include "postgres.h"

#include "fmgr.h"

PG_FUNCTION_INFO_V1(omendb_sql_rrf);

/*
 * rrf(rank bigint, k int) returns float8: 1 / (k + rank), what a row that is the
 * rank-th of a list gets from that list; the first has rank 1. A row that the
 * list does not have, of which an outer join says that its rank is null, gets 0.
 * Null if k is.
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
	/* The sum in double: of two integers it could be too large for one. */
	PG_RETURN_FLOAT8(1.0 / ((double) k + (double) rank));
}
