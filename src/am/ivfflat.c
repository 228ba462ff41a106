/*
 * ivfflat.c
 *	  pgvector's access method ivfflat, by name only: the index is an hnsw graph.
 *
 * So programs that create an ivfflat index still work, and a database adopted from pgvector
 * can rebuild its ivfflat indexes. There are no inverted lists: the option "lists" and the
 * settings ivfflat.* are accepted and have no effect.
 */
#include "am/hnsw.h"

#include "access/reloptions.h"
#include "am/module.h"
#include "compat.h"
#include "utils/guc.h"

/* Support functions that an operator class may have: pgvector's have 5. None is called. */
#define IVFFLAT_SUPPORT_PROCS 5

#define IVFFLAT_DEFAULT_LISTS 100
#define IVFFLAT_MAX_LISTS     32768

/* The options of the graph always have their defaults: ivfflat_options does not parse them. */
typedef struct IvfflatOptions
{
	HnswOptions graph;
	int lists;
} IvfflatOptions;

#define IVFFLAT_ITERATIVE_OFF     0
#define IVFFLAT_ITERATIVE_RELAXED 1

static const struct config_enum_entry iterative_scan_options[] = {
	{"off", IVFFLAT_ITERATIVE_OFF, false},
	{"relaxed_order", IVFFLAT_ITERATIVE_RELAXED, false},
	{NULL, 0, false},
};

static relopt_kind reloption_kind;

/* Values of the settings. Nothing reads them. */
static int probes;
static int iterative_scan;
static int max_probes;

void
ivfflat_define_settings(void)
{
	const char *no_effect = "No effect: an ivfflat index of omendb is an hnsw graph.";

	DefineCustomIntVariable("ivfflat.probes", no_effect, "hnsw.ef_search has the effect meant.",
							&probes, 1, 1, IVFFLAT_MAX_LISTS, PGC_USERSET, HNSW_SETTING_FLAGS, NULL,
							NULL, NULL);
	DefineCustomEnumVariable("ivfflat.iterative_scan", no_effect,
							 "hnsw.iterative_scan has the effect meant.", &iterative_scan,
							 IVFFLAT_ITERATIVE_OFF, iterative_scan_options, PGC_USERSET,
							 HNSW_SETTING_FLAGS, NULL, NULL, NULL);
	DefineCustomIntVariable(
		"ivfflat.max_probes", no_effect, "hnsw.max_scan_tuples has the effect meant.", &max_probes,
		IVFFLAT_MAX_LISTS, 1, IVFFLAT_MAX_LISTS, PGC_USERSET, HNSW_SETTING_FLAGS, NULL, NULL, NULL);
	MarkGUCPrefixReserved("ivfflat");
}

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
	static IndexAmRoutine am;

	am = *(const IndexAmRoutine *) DatumGetPointer(omendb_sql_hnsw_handler(fcinfo));
	am.amsupport = IVFFLAT_SUPPORT_PROCS;
	am.amoptions = ivfflat_options;
	am.ambuild = ivfflat_build;
	PG_RETURN_POINTER(omendb_am_result(&am));
}

PG_FUNCTION_INFO_V1(omendb_sql_pgvector_support);

/*
 * Stands for the last support function of pgvector's operator classes, (internal) returns
 * internal, in a database adopted from pgvector.
 */
Datum
omendb_sql_pgvector_support(PG_FUNCTION_ARGS)
{
	ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					errmsg("support functions of pgvector's operator classes cannot be called")));
}
