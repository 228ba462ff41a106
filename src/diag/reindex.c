/*
 * reindex.c
 *	  hnsw_reindex_commands: the indexes that are out of use until REINDEX.
 *
 * Those that the catalog calls invalid, and those whose pages are pgvector's, whatever
 * the catalog says: another session may have built such an index while its database
 * became omendb's.
 */
#include "compat.h"

#include "access/genam.h"
#include "access/relation.h"
#include "access/table.h"
#include "am/hnsw.h"
#include "catalog/index.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "page/store.h"
#include "utils/builtins.h"
#include "utils/rel.h"
#include "utils/tuplestore.h"

/* Of the access methods whose handler is a function of this one's library. */
static const char candidates[] =
	"SELECT i.indexrelid, quote_ident(n.nspname) || '.' || quote_ident(c.relname) "
	"FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid "
	"JOIN pg_namespace n ON n.oid = c.relnamespace "
	"JOIN pg_am a ON a.oid = c.relam JOIN pg_proc h ON h.oid = a.amhandler "
	"JOIN pg_proc this ON this.oid = $1 AND this.probin = h.probin "
	"WHERE c.relkind = 'i' AND i.indislive "
	/*
	 * Neither what REINDEX CONCURRENTLY leaves behind where it fails, nor what is being built,
	 * nor what belongs to a temporary table of another session.
	 */
	"AND NOT pg_is_other_temp_schema(n.oid) "
	"AND c.relname !~ '_cc(new|old)[0-9]*$' "
	"AND NOT EXISTS (SELECT FROM pg_stat_progress_create_index b "
	"WHERE b.index_relid = i.indexrelid) "
	"ORDER BY c.reltuples, c.oid";

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
		if (relation->rd_rel->relkind == RELKIND_INDEX && hnsw_is_index(relation) &&
			hnsw_supports(relation))
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
	Oid types[] = {OIDOID};
	Datum arguments[] = {ObjectIdGetDatum(fcinfo->flinfo->fn_oid)};
	uint64 count = 0;
	SPITupleTable *found;
	uint64 *needed;

	InitMaterializedSRF(fcinfo, 0);
	SPI_connect();
	if (SPI_execute_with_args(candidates, 1, types, arguments, NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "looking for indexes failed");
	found = SPI_tuptable;
	needed = palloc(sizeof(uint64) * (found->numvals + 1));
	for (uint64 i = 0; i < found->numvals; i++)
	{
		bool null;

		if (needs_reindex(
				DatumGetObjectId(SPI_getbinval(found->vals[i], found->tupdesc, 1, &null))))
			needed[count++] = i;
	}
	for (uint64 k = 0; k < count; k++)
	{
		HeapTuple row = found->vals[needed[k]];
		char *command = psprintf("REINDEX (VERBOSE) INDEX CONCURRENTLY %s /* %llu of %llu */",
								 SPI_getvalue(row, found->tupdesc, 2), (unsigned long long) k + 1,
								 (unsigned long long) count);
		Datum values[2];
		bool nulls[2] = {false, false};

		values[0] = SPI_getbinval(row, found->tupdesc, 1, &nulls[0]);
		values[1] = CStringGetTextDatum(command);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	SPI_finish();
	return (Datum) 0;
}
