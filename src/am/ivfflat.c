/*
 * ivfflat.c
 *	  pgvector's other access method, by name only: the index is an hnsw graph.
 *
 * What creates an ivfflat index goes on to work, and a database that comes from
 * pgvector can rebuild those it has. There are no inverted lists: the option
 * "lists" is accepted and has no effect, and nothing reads settings ivfflat.*,
 * which are not defined, so that SET takes them.
 */
#include "am/hnsw.h"

#include "access/reloptions.h"
#include "am/module.h"

/* None is used; pgvector's operator classes have up to 5. */
#define IVFFLAT_SUPPORT_PROCS 5

#define IVFFLAT_DEFAULT_LISTS 100
#define IVFFLAT_MAX_LISTS     32768

/* Those of the graph are not in its table: they have their defaults. */
typedef struct IvfflatOptions
{
	HnswOptions graph;
	int lists;
} IvfflatOptions;

static relopt_kind reloption_kind;

void
ivfflat_init_module(void)
{
	reloption_kind = add_reloption_kind();
	add_int_reloption(reloption_kind, "lists", "no effect: the index is an hnsw graph",
					  IVFFLAT_DEFAULT_LISTS, 1, IVFFLAT_MAX_LISTS, AccessExclusiveLock);
}

static bytea *
ivfflat_options(Datum reloptions, bool validate)
{
	static const relopt_parse_elt table[] = {
		{.optname = "lists", .opttype = RELOPT_TYPE_INT, .offset = offsetof(IvfflatOptions, lists)},
	};
	IvfflatOptions *options = (IvfflatOptions *) build_reloptions(
		reloptions, validate, reloption_kind, sizeof(IvfflatOptions), table, lengthof(table));

	if (options)
	{
		options->graph.m = HNSW_DEFAULT_M;
		options->graph.ef_construction = HNSW_DEFAULT_EF_CONSTRUCTION;
	}
	return (bytea *) options;
}

static IndexBuildResult *
ivfflat_build(Relation heap, Relation index, IndexInfo *info)
{
	ereport(NOTICE, (errmsg("index \"%s\" becomes an hnsw graph: omendb has no ivfflat",
							RelationGetRelationName(index)),
					 errdetail("The option lists and the settings ivfflat.* have no effect; "
							   "hnsw.ef_search has.")));
	return hnsw_build(heap, index, info);
}

PG_FUNCTION_INFO_V1(omendb_sql_ivfflat_handler);

/* ivfflathandler(internal) returns index_am_handler */
Datum
omendb_sql_ivfflat_handler(PG_FUNCTION_ARGS)
{
	IndexAmRoutine *am = (IndexAmRoutine *) DatumGetPointer(omendb_sql_hnsw_handler(fcinfo));

	am->amsupport = IVFFLAT_SUPPORT_PROCS;
	am->amoptions = ivfflat_options;
	am->ambuild = ivfflat_build;
	PG_RETURN_POINTER(am);
}

PG_FUNCTION_INFO_V1(omendb_sql_pgvector_support);

/*
 * Stands for the last support function of pgvector's operator classes, (internal)
 * returns internal, in a database that comes from pgvector.
 */
Datum
omendb_sql_pgvector_support(PG_FUNCTION_ARGS)
{
	ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					errmsg("support functions of pgvector's operator classes cannot be called")));
}
