/*
 * adoption.c
 *	  What keeps values that omendb's functions, or pgvector's in their place, have computed.
 *
 * Distances and norms are sums of float, or of double, whose last bits depend on the order in
 * which they are summed. pgvector leaves that order to its compiler (-fassociative-math and
 * -ftree-vectorize), which takes another one for another width of registers: there is no one
 * result of pgvector's that omendb could compute as well. So whatever keeps such a value is
 * wrong in last bits when the library behind the functions becomes another.
 */
#include "diag/adoption.h"

#include "compat.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/indexing.h"
#include "catalog/pg_index.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "storage/lmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/tuplestore.h"

/*
 * The functions, of whatever types, that may give other bits than pgvector's: all that sum. Of
 * all others the bits are the same; test/adoption/004_results.pl compares them.
 */
static const char *const inexact[] = {
	"l2_distance",
	"inner_product",
	"cosine_distance",
	"l1_distance",
	"vector_norm",
	"l2_norm",
	"l2_normalize",
	"vector_l2_squared_distance",
	"halfvec_l2_squared_distance",
	"sparsevec_l2_squared_distance",
	"vector_negative_inner_product",
	"halfvec_negative_inner_product",
	"sparsevec_negative_inner_product",
	"vector_spherical_distance",
	"halfvec_spherical_distance",
};

/*
 * What reached, a function or a view, calls or reads of functions and views: columns classid and
 * objid. Known by pg_depend of a view, and of a function whose body is parsed already. One whose
 * body is a string is taken to call all functions and operators and to read all views whose names
 * are in it, and to use all casts: values of any type may come out of its arguments, tables and
 * functions, and nothing in the text need say that they are cast, but for casts that are explicit
 * only. Nothing is known of functions in C.
 */
#define IS_VIEW "IN (SELECT oid FROM pg_class WHERE relkind IN ('v', 'm'))"
#define WORDS \
	"(SELECT DISTINCT w[1] FROM regexp_matches(f.prosrc, '[[:alnum:]_$]+', 'g') w) w(word)"
#define IS_WORD "= ANY (ARRAY[w.word::name, lower(w.word)::name])"
#define CALLEES                                                                                 \
	"SELECT CASE WHEN o.oid IS NULL THEN d.refclassid ELSE 'pg_proc'::regclass END, "           \
	"COALESCE(o.oprcode::oid, d.refobjid) "                                                     \
	"FROM (SELECT reached.classid, reached.objid "                                              \
	"UNION ALL SELECT 'pg_rewrite'::regclass, w.oid FROM pg_rewrite w "                         \
	"WHERE reached.classid = 'pg_class'::regclass AND w.ev_class = reached.objid) c "           \
	"JOIN pg_depend d ON d.classid = c.classid AND d.objid = c.objid "                          \
	"LEFT JOIN pg_operator o ON d.refclassid = 'pg_operator'::regclass AND o.oid = d.refobjid " \
	"WHERE c.classid <> 'pg_class'::regclass "                                                  \
	"AND (d.refclassid IN ('pg_proc'::regclass, 'pg_operator'::regclass) "                      \
	"OR d.refclassid = 'pg_class'::regclass AND d.refobjid " IS_VIEW ") "                       \
	"UNION ALL "                                                                                \
	"SELECT 'pg_proc'::regclass, unnest(ARRAY[a.aggtransfn, a.aggfinalfn, a.aggcombinefn, "     \
	"a.aggserialfn, a.aggdeserialfn, a.aggmtransfn, a.aggminvtransfn, a.aggmfinalfn]::oid[]) "  \
	"FROM pg_aggregate a WHERE reached.classid = 'pg_proc'::regclass "                          \
	"AND a.aggfnoid = reached.objid "                                                           \
	"UNION ALL "                                                                                \
	"SELECT n.* FROM pg_proc f "                                                                \
	"JOIN pg_language l ON l.oid = f.prolang AND l.lanname NOT IN ('internal', 'c') "           \
	"CROSS JOIN LATERAL ("                                                                      \
	"SELECT 'pg_proc'::regclass, g.oid FROM " WORDS " JOIN pg_proc g ON g.proname " IS_WORD " " \
	"UNION SELECT 'pg_class'::regclass, g.oid FROM " WORDS " JOIN pg_class g "                  \
	"ON g.relname " IS_WORD " AND g.relkind IN ('v', 'm') "                                     \
	"UNION SELECT 'pg_proc'::regclass, o.oprcode FROM pg_operator o WHERE o.oprcode >= 16384 "  \
	"AND position(o.oprname::text IN f.prosrc) > 0 "                                            \
	"UNION SELECT 'pg_proc'::regclass, k.castfunc FROM pg_cast k WHERE k.castfunc >= 16384 "    \
	"AND (k.castcontext <> 'e' OR f.prosrc ~* '::|\\mcast\\M')) n(classid, objid) "             \
	"WHERE reached.classid = 'pg_proc'::regclass AND f.oid = reached.objid "                    \
	"AND f.prosqlbody IS NULL"

/* But for the places that they had in a command. */
#define WITHOUT_PLACES(tree) \
	"regexp_replace(" tree "::text, ':(location|list_start|list_end) -?[0-9]+', '', 'g')"
#define SAME_EXPRESSION(a, b) WITHOUT_PLACES(a) " IS NOT DISTINCT FROM " WITHOUT_PLACES(b)

/*
 * Kinds: "own index" of an access method whose handler is a function of the extension, whoever
 * made the access method; "index" of any other; "columns" that are stored generated ones;
 * "constraint"; "materialized view"; "partitions"; "statistics".
 *
 * An object calls functions directly, by operators, and an index by its operator classes.
 * Objects below 16384 (FirstNormalObjectId) are PostgreSQL's.
 */
static const char computed[] =
	"WITH RECURSIVE member AS ("
	"SELECT f.objid AS function FROM pg_depend this "
	"JOIN pg_depend f USING (classid, refclassid, refobjid, deptype) "
	"WHERE this.classid = 'pg_proc'::regclass AND this.objid = $1 "
	"AND this.refclassid = 'pg_extension'::regclass AND this.deptype = 'e'), "
	"called(classid, objid, refclassid, refobjid) AS ("
	"SELECT d.classid, d.objid, "
	"CASE WHEN o.oid IS NULL THEN d.refclassid ELSE 'pg_proc'::regclass END, "
	"COALESCE(o.oprcode::oid, d.refobjid) FROM pg_depend d "
	"LEFT JOIN pg_operator o ON d.refclassid = 'pg_operator'::regclass AND o.oid = d.refobjid "
	"WHERE d.refobjid >= 16384 AND (d.refclassid IN ('pg_proc'::regclass, 'pg_operator'::regclass) "
	"OR d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass "
	"AND d.deptype = 'n' AND d.refobjid " IS_VIEW ") "
	"UNION "
	"SELECT 'pg_class'::regclass, k.relation, 'pg_proc'::regclass, p.amproc FROM ("
	"SELECT indexrelid, unnest(indclass) FROM pg_index "
	"UNION SELECT partrelid, unnest(partclass) FROM pg_partitioned_table) k(relation, class) "
	"JOIN pg_opclass c ON c.oid = k.class JOIN pg_amproc p ON p.amprocfamily = c.opcfamily "
	"AND p.amproclefttype = c.opcintype AND p.amprocrighttype = c.opcintype "
	"WHERE p.amproc >= 16384), "
	/* The functions and views that objects call or read, and those that these do in their turn. */
	"reached(classid, objid) AS ("
	"SELECT refclassid, refobjid FROM called "
	"WHERE classid IN ('pg_class'::regclass, 'pg_attrdef'::regclass, 'pg_constraint'::regclass, "
	"'pg_rewrite'::regclass, 'pg_statistic_ext'::regclass) "
	"UNION "
	"SELECT c.* FROM reached CROSS JOIN LATERAL (" CALLEES ") c(classid, objid) "
	"WHERE c.objid >= 16384), "
	/* Found forwards, for few have to be looked at; then backwards, for many may call one. */
	"call AS (SELECT reached.*, c.* FROM reached CROSS JOIN LATERAL (" CALLEES
	") c(refclassid, refobjid)), "
	"suspect AS (SELECT r.classid, r.objid FROM reached r JOIN member m ON m.function = r.objid "
	"JOIN pg_proc p ON p.oid = r.objid "
	"WHERE r.classid = 'pg_proc'::regclass AND p.proname = ANY ($2::name[]) "
	"UNION SELECT c.classid, c.objid FROM suspect s JOIN call c "
	"ON c.refclassid = s.classid AND c.refobjid = s.objid), "
	"dependent AS (SELECT DISTINCT c.classid, c.objid FROM called c "
	"JOIN suspect s ON s.classid = c.refclassid AND s.objid = c.refobjid), "
	"indexes AS (SELECT i.*, c.reltuples, a.amhandler IN (SELECT function FROM member) AS is_own, "
	/* No session but its own can rebuild what belongs to its temporary tables. */
	"CASE WHEN NOT pg_is_other_temp_schema(c.relnamespace) THEN format('REINDEX INDEX %s%s', "
	"CASE WHEN NOT i.indisexclusion THEN 'CONCURRENTLY ' END, i.indexrelid::regclass) END "
	"AS command, "
	/*
	 * Neither what is being built, nor what REINDEX CONCURRENTLY leaves behind where it fails: a
	 * copy, by the name of the index or, where that is too long, by the beginning of its name.
	 */
	"EXISTS (SELECT FROM pg_stat_progress_create_index b WHERE b.index_relid = i.indexrelid) "
	"OR EXISTS (SELECT FROM pg_index j JOIN pg_class n ON n.oid = j.indexrelid, "
	"substring(c.relname from '^(.*)_cc(?:new|old)[0-9]*$') AS of(name) "
	"WHERE j.indrelid = i.indrelid AND j.indexrelid <> i.indexrelid AND j.indislive "
	"AND NOT i.indisvalid AND (n.relname = of.name "
	"OR octet_length(c.relname::text) >= 60 AND starts_with(n.relname::text, of.name)) "
	/* pg_get_indexdef would call the handler: one library's in a session of the other one's. */
	"AND (n.relam, j.indisunique, j.indkey, j.indclass, j.indcollation, j.indoption) "
	"= (c.relam, i.indisunique, i.indkey, i.indclass, i.indcollation, i.indoption) "
	"AND n.reloptions IS NOT DISTINCT FROM c.reloptions "
	"AND " SAME_EXPRESSION(
		"j.indexprs",
		"i.indexprs") " "
					  "AND " SAME_EXPRESSION(
						  "j.indpred",
						  "i.indpred") ") AS is_busy "
									   "FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid "
									   "JOIN pg_am a ON a.oid = c.relam "
									   "WHERE c.relkind = 'i' AND i.indislive) "
									   /* All of them. */
									   "SELECT kind, object, name, command, is_busy FROM ("
									   "SELECT 1 AS rank, 'own index' AS kind, indexrelid AS "
									   "object, indexrelid::regclass::text AS "
									   "name, "
									   "command, is_busy, reltuples FROM indexes WHERE is_own "
									   "UNION ALL "
									   "SELECT 2, 'index', indexrelid, indexrelid::regclass::text, "
									   "command, is_busy, reltuples "
									   "FROM indexes JOIN dependent ON classid = "
									   "'pg_class'::regclass AND objid = indexrelid "
									   "WHERE NOT is_own "
									   "UNION ALL "
									   "SELECT 3, 'columns', d.adrelid, format('columns %s of "
									   "table %s', "
									   "string_agg(DISTINCT quote_ident(a.attname), ', '), "
									   "d.adrelid::regclass), "
									   "format('UPDATE %s SET %s', d.adrelid::regclass, "
									   "string_agg(DISTINCT format('%1$I = %1$I', b.attname), ', "
									   "')), false, 0 "
									   "FROM dependent x JOIN pg_attrdef d ON d.oid = x.objid "
									   "JOIN pg_class c ON c.oid = d.adrelid AND c.relkind = 'r' "
									   "JOIN pg_attribute a ON a.attrelid = d.adrelid AND a.attnum "
									   "= d.adnum AND a.attgenerated = 's' "
									   "JOIN pg_depend e ON e.classid = 'pg_attrdef'::regclass AND "
									   "e.objid = d.oid "
									   "AND e.refclassid = 'pg_class'::regclass AND e.refobjid = "
									   "d.adrelid "
									   "JOIN pg_attribute b ON b.attrelid = d.adrelid AND b.attnum "
									   "= e.refobjsubid "
									   "AND b.attnum <> d.adnum "
									   "WHERE x.classid = 'pg_attrdef'::regclass GROUP BY "
									   "d.adrelid "
									   "UNION ALL "
									   "SELECT 4, 'partitions', t.partrelid, format('partitions of "
									   "table %s', t.partrelid::regclass), "
									   "format('UPDATE %s SET %s', t.partrelid::regclass, "
									   "string_agg(DISTINCT format('%1$I = %1$I', a.attname), ', "
									   "')), false, 0 "
									   "FROM dependent x JOIN pg_partitioned_table t ON "
									   "t.partrelid = x.objid "
									   "LEFT JOIN pg_depend e ON e.classid = 'pg_class'::regclass "
									   "AND e.objid = t.partrelid "
									   "AND e.objsubid > 0 AND e.refclassid = 'pg_class'::regclass "
									   "AND e.refobjid = t.partrelid "
									   "AND e.refobjsubid = 0 AND e.deptype = 'i' "
									   "JOIN pg_attribute a ON a.attrelid = t.partrelid "
									   "AND (a.attnum = e.objsubid OR a.attnum = ANY "
									   "(t.partattrs)) "
									   "WHERE x.classid = 'pg_class'::regclass GROUP BY "
									   "t.partrelid "
									   "UNION ALL "
									   "SELECT 5, 'constraint', n.oid, format('constraint %I of "
									   "%s', n.conname, "
									   "CASE n.conrelid WHEN 0 THEN 'domain ' || "
									   "n.contypid::regtype ELSE 'table ' || "
									   "n.conrelid::regclass END), "
									   "CASE WHEN n.conrelid <> 0 THEN format('SELECT * FROM %s "
									   "WHERE NOT (%s)', "
									   "n.conrelid::regclass, "
									   /* pg_get_expr would wait for the table's lock. */
									   "substring(pg_get_constraintdef(n.oid) from '^CHECK "
									   "\\((.*)\\)(?: NO INHERIT| NOT ENFORCED| "
									   "NOT VALID)*$')) "
									   "END, false, 0 "
									   "FROM dependent x JOIN pg_constraint n ON n.oid = x.objid "
									   "AND n.contype = 'c' "
									   "AND n.coninhcount = 0 WHERE x.classid = "
									   "'pg_constraint'::regclass "
									   "UNION ALL "
									   "SELECT DISTINCT 6, 'materialized view', v.oid, "
									   "'materialized view ' || v.oid::regclass, "
									   "'REFRESH MATERIALIZED VIEW ' || v.oid::regclass, false, 0 "
									   "FROM dependent x JOIN pg_rewrite w ON w.oid = x.objid "
									   "JOIN pg_class v ON v.oid = w.ev_class AND v.relkind = 'm' "
									   "WHERE x.classid = 'pg_rewrite'::regclass "
									   "UNION ALL "
									   "SELECT DISTINCT 7, 'statistics', s.stxrelid, 'statistics "
									   "of table ' || s.stxrelid::regclass, "
									   "'ANALYZE ' || s.stxrelid::regclass, false, 0 "
									   "FROM dependent x JOIN pg_statistic_ext s ON s.oid = "
									   "x.objid "
									   "WHERE x.classid = 'pg_statistic_ext'::regclass) q "
									   "ORDER BY rank, reltuples, object";

static Datum
inexact_names(void)
{
	Datum names[lengthof(inexact)];

	for (int i = 0; i < lengthof(inexact); i++)
		names[i] = CStringGetTextDatum(inexact[i]);
	return PointerGetDatum(
		construct_array(names, lengthof(inexact), TEXTOID, -1, false, TYPALIGN_INT));
}

SPITupleTable *
omendb_find_computed(Oid function, uint64 *count)
{
	Oid types[] = {OIDOID, TEXTARRAYOID};
	Datum arguments[] = {ObjectIdGetDatum(function), inexact_names()};

	if (SPI_execute_with_args(computed, 2, types, arguments, NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "looking for what was computed failed");
	*count = SPI_processed;
	return SPI_tuptable;
}

/*
 * No scan reads the index until REINDEX. One of the library's own is not changed either.
 *
 * Nor does a REINDEX or a TRUNCATE begin before the end of this transaction, for it would build
 * with the library before, wait for pg_index, and then call the index valid.
 */
static void
take_out_of_use(Relation pg_index, Oid index, bool is_own)
{
	HeapTuple tuple = SearchSysCacheCopy1(INDEXRELID, ObjectIdGetDatum(index));
	Form_pg_index form;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for index %u", index);
	if (!ConditionalLockRelationOid(index, AccessShareLock))
		ereport(ERROR, (errcode(ERRCODE_OBJECT_IN_USE),
						errmsg("index \"%s\" is being rebuilt or dropped", get_rel_name(index)),
						errhint("Try again when that transaction has ended.")));
	form = (Form_pg_index) GETSTRUCT(tuple);
	form->indisvalid = false;
	if (is_own)
		form->indisready = false;
	CatalogTupleUpdate(pg_index, &tuple->t_self, tuple);
	/* Plans that use the index depend on its table only. */
	CacheInvalidateRelcacheByRelid(form->indrelid);
	heap_freetuple(tuple);
}

PG_FUNCTION_INFO_V1(omendb_sql_adoption_objects);

/*
 * omendb_adoption_objects(mark boolean): what keeps values that the functions have computed, a
 * row each; with "mark" indexes are taken out of use. The scripts that make a database of
 * pgvector's omendb's, and back, create and drop it.
 */
Datum
omendb_sql_adoption_objects(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	bool mark = PG_GETARG_BOOL(0);
	Relation pg_index = NULL;
	SPITupleTable *found;
	uint64 count;

	/* The scripts run as a superuser. */
	if (mark && !superuser())
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						errmsg("must be superuser to take indexes out of use")));
	InitMaterializedSRF(fcinfo, 0);
	SPI_connect();
	found = omendb_find_computed(fcinfo->flinfo->fn_oid, &count);
	if (mark)
		pg_index = table_open(IndexRelationId, RowExclusiveLock);
	for (uint64 i = 0; i < count; i++)
	{
		Datum values[COMPUTED_COLUMNS];
		bool nulls[COMPUTED_COLUMNS];
		char *kind = SPI_getvalue(found->vals[i], found->tupdesc, COMPUTED_KIND);
		bool is_own = strcmp(kind, "own index") == 0;

		for (int k = 0; k < COMPUTED_COLUMNS; k++)
			values[k] = SPI_getbinval(found->vals[i], found->tupdesc, k + 1, &nulls[k]);
		if (mark && (is_own || strcmp(kind, "index") == 0))
			take_out_of_use(pg_index, DatumGetObjectId(values[COMPUTED_OBJECT - 1]), is_own);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	if (mark)
		table_close(pg_index, NoLock);
	SPI_finish();
	return (Datum) 0;
}

PG_FUNCTION_INFO_V1(omendb_sql_adoption_inexact);

/* omendb_adoption_inexact() returns text[]: the list above. */
Datum
omendb_sql_adoption_inexact(PG_FUNCTION_ARGS)
{
	PG_RETURN_DATUM(inexact_names());
}
