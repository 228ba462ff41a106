/*
 * reindex.c
 *	  hnsw_reindex_commands: the indexes that are out of use until REINDEX.
 *
 * Those that the catalog calls invalid, of omendb's access methods, and of others where they
 * hold what functions have computed whose results may differ from pgvector's; and those whose
 * pages are pgvector's, whatever the catalog says: another session may have built such an index
 * while its database became omendb's.
 */
#include "compat.h"

#include "access/genam.h"
#include "access/relation.h"
#include "access/table.h"
#include "am/hnsw.h"
#include "catalog/index.h"
#include "diag/adoption.h"
#include "funcapi.h"
#include "page/store.h"
#include "utils/builtins.h"
#include "utils/rel.h"
#include "utils/tuplestore.h"

/* Is the index out of use, and would REINDEX help? Not if it is gone. */
static bool
needs_reindex(Oid index)
{
	Oid heap = IndexGetRelation(index, true);
	Relation table = OidIsValid(heap) ? try_table_open(heap, AccessShareLock) : NULL;
	Relation relation;
	bool result = false;

	if (!table)
		return false;
	relation = try_relation_open(index, AccessShareLock);
	if (relation)
	{
		if (relation->rd_rel->relkind != RELKIND_INDEX)
			result = false;
		else if (!hnsw_is_index(relation))
			result = !relation->rd_index->indisvalid;
		else if (hnsw_supports(relation))
			result = !relation->rd_index->indisvalid || omendb_index_is_pgvectors(relation);
		relation_close(relation, AccessShareLock);
	}
	table_close(table, AccessShareLock);
	return result;
}

PG_FUNCTION_INFO_V1(omendb_sql_hnsw_reindex_commands);

/* hnsw_reindex_commands() returns an index and its command, a row each. */
Datum
omendb_sql_hnsw_reindex_commands(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	uint64 total;
	uint64 count = 0;
	SPITupleTable *found;
	uint64 *needed;

	InitMaterializedSRF(fcinfo, 0);
	SPI_connect();
	found = omendb_find_computed(fcinfo->flinfo->fn_oid, &total);
	needed = palloc(sizeof(uint64) * (total + 1));
	for (uint64 i = 0; i < total; i++)
	{
		HeapTuple row = found->vals[i];
		char *kind = SPI_getvalue(row, found->tupdesc, COMPUTED_KIND);
		bool null;

		if ((strcmp(kind, "own index") == 0 || strcmp(kind, "index") == 0) &&
			SPI_getvalue(row, found->tupdesc, COMPUTED_COMMAND) != NULL &&
			!DatumGetBool(SPI_getbinval(row, found->tupdesc, COMPUTED_IS_BUSY, &null)) &&
			needs_reindex(
				DatumGetObjectId(SPI_getbinval(row, found->tupdesc, COMPUTED_OBJECT, &null))))
			needed[count++] = i;
	}
	for (uint64 k = 0; k < count; k++)
	{
		HeapTuple row = found->vals[needed[k]];
		char *command = SPI_getvalue(row, found->tupdesc, COMPUTED_COMMAND);
		Datum values[2];
		bool nulls[2] = {false, false};

		command = psprintf("REINDEX (VERBOSE) %s /* %llu of %llu */", command + strlen("REINDEX "),
						   (unsigned long long) k + 1, (unsigned long long) count);
		values[0] = SPI_getbinval(row, found->tupdesc, COMPUTED_OBJECT, &nulls[0]);
		values[1] = CStringGetTextDatum(command);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	SPI_finish();
	return (Datum) 0;
}
