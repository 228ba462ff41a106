/*
 * hnsw.c
 *	  The access method's handler, settings and index options, and the arithmetic of ef.
 */
#include "am/hnsw.h"

#include "access/reloptions.h"
#include "am/module.h"
#include "compat.h"
#include "commands/progress.h"
#include "commands/vacuum.h"
#include "utils/guc.h"

int hnsw_ef_search = HNSW_DEFAULT_EF_SEARCH;
double hnsw_recall_target = 0;
int hnsw_iterative_scan = HNSW_ITERATIVE_STRICT;
int hnsw_max_scan_tuples = 20000;
double hnsw_scan_mem_multiplier = 1;
bool hnsw_exhaustive_scan = true;

static const struct config_enum_entry iterative_scan_options[] = {
	{"off", HNSW_ITERATIVE_OFF, false},
	{"relaxed_order", HNSW_ITERATIVE_RELAXED, false},
	{"strict_order", HNSW_ITERATIVE_STRICT, false},
	{NULL, 0, false},
};

static relopt_kind reloption_kind;
static void (*define_settings)(void);

/*
 * Raise an error if another extension has defined the settings: all libraries of a session
 * share the names of settings.
 */
static void
check_no_clash(void)
{
	if (GetConfigOption("hnsw.ef_search", true, false) != NULL &&
		!(GetConfigOptionFlags("hnsw.ef_search", true) & GUC_CUSTOM_PLACEHOLDER))
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("the setting \"hnsw.ef_search\" is already defined by another extension"),
				 errdetail("Another vector extension was loaded in this session; its settings have "
						   "the same names as those of omendb."),
				 errhint("Reconnect, if the database was the other's when this session began. "
						 "Else use one of them in a database, and do not list the other in "
						 "shared_preload_libraries.")));
}

/* Bounds of hnsw.recall_target: recalls between them are measured accurately enough. */
#define LEAST_RECALL_TARGET 0.8
#define MOST_RECALL_TARGET  0.999

static bool
check_recall_target(double *value, void **extra, GucSource source)
{
	if (*value == 0 || *value >= LEAST_RECALL_TARGET)
		return true;
	GUC_check_errdetail("It is 0, or from %g to %g.", LEAST_RECALL_TARGET, MOST_RECALL_TARGET);
	return false;
}

void
hnsw_define_settings(void)
{
	DefineCustomIntVariable("hnsw.ef_search", "How many nearest candidates a search keeps.",
							"Larger finds more of the true nearest rows, and takes longer.",
							&hnsw_ef_search, HNSW_DEFAULT_EF_SEARCH, 1, 1000, PGC_USERSET,
							HNSW_SETTING_FLAGS, NULL, NULL, NULL);
	DefineCustomRealVariable("hnsw.recall_target",
							 "Recall that searches aim at, on average; 0 for none.",
							 "The index knows which ef it takes, in place of hnsw.ef_search.",
							 &hnsw_recall_target, 0, 0, MOST_RECALL_TARGET, PGC_USERSET,
							 GUC_EXPLAIN | HNSW_SETTING_FLAGS, check_recall_target, NULL, NULL);
	DefineCustomEnumVariable(
		"hnsw.iterative_scan", "Whether a scan goes on when its first candidates do not suffice.",
		"\"strict_order\" returns rows in exact order of distance, \"relaxed_order\" also those "
		"found late, \"off\" at most hnsw.ef_search rows.",
		&hnsw_iterative_scan, HNSW_ITERATIVE_STRICT, iterative_scan_options, PGC_USERSET,
		HNSW_SETTING_FLAGS, NULL, NULL, NULL);
	DefineCustomIntVariable(
		"hnsw.max_scan_tuples", "How many nodes an iterative scan visits at most.",
		"Then it ends, or with hnsw.exhaustive_scan reads the table or the index from end to end.",
		&hnsw_max_scan_tuples, 20000, 1, INT_MAX, PGC_USERSET, HNSW_SETTING_FLAGS, NULL, NULL,
		NULL);
	DefineCustomRealVariable("hnsw.scan_mem_multiplier",
							 "Multiple of work_mem that an iterative scan uses at most.", NULL,
							 &hnsw_scan_mem_multiplier, 1, 1, 1000, PGC_USERSET, HNSW_SETTING_FLAGS,
							 NULL, NULL, NULL);
	DefineCustomBoolVariable(
		"hnsw.exhaustive_scan",
		"Whether an iterative scan reads all rows rather than end without enough of them.",
		"It does so, too, where that is quicker than to visit more nodes.", &hnsw_exhaustive_scan,
		true, PGC_USERSET, HNSW_SETTING_FLAGS, NULL, NULL, NULL);
}

/* Called by the handler, which every session calls before it uses an index. */
static void
define_settings_once(void)
{
	static bool defined = false;

	if (defined)
		return;
	check_no_clash();
	defined = true;
	define_settings();
}

void
hnsw_init_module(void (*define)(void))
{
	define_settings = define;
	reloption_kind = add_reloption_kind();
	add_int_reloption(reloption_kind, "m", "neighbours of a node: up to 2 m", HNSW_DEFAULT_M,
					  OMENDB_MIN_M, OMENDB_MAX_M, AccessExclusiveLock);
	add_int_reloption(reloption_kind, "ef_construction",
					  "candidates considered when a node is connected",
					  HNSW_DEFAULT_EF_CONSTRUCTION, HNSW_MIN_EF_CONSTRUCTION,
					  HNSW_MAX_EF_CONSTRUCTION, AccessExclusiveLock);
	add_bool_reloption(reloption_kind, "compact",
					   "keep vectors in 8 bits a dimension: half the size, more rechecks", false,
					   AccessExclusiveLock);
}

static bytea *
hnsw_options(Datum reloptions, bool validate)
{
	static const relopt_parse_elt table[] = {
		{.optname = "m", .opttype = RELOPT_TYPE_INT, .offset = offsetof(HnswOptions, m)},
		{.optname = "ef_construction",
		 .opttype = RELOPT_TYPE_INT,
		 .offset = offsetof(HnswOptions, ef_construction)},
		{.optname = "compact",
		 .opttype = RELOPT_TYPE_BOOL,
		 .offset = offsetof(HnswOptions, compact)},
	};

	return (bytea *) build_reloptions(reloptions, validate, reloption_kind, sizeof(HnswOptions),
									  table, lengthof(table));
}

int
hnsw_get_m(Relation index)
{
	HnswOptions *options = (HnswOptions *) index->rd_options;

	return options ? options->m : HNSW_DEFAULT_M;
}

int
hnsw_get_ef_construction(Relation index)
{
	HnswOptions *options = (HnswOptions *) index->rd_options;

	return options ? options->ef_construction : HNSW_DEFAULT_EF_CONSTRUCTION;
}

bool
hnsw_get_compact(Relation index)
{
	HnswOptions *options = (HnswOptions *) index->rd_options;

	return options && options->compact;
}

/*
 * Estimates are noisy: to get the recall of ef exact distances, more than ef candidates have
 * to be visited (bench/README.md).
 */
uint32
hnsw_beam_width(const OmendbLayout *layout, int ef)
{
	return omendb_layout_is_coded(layout) ? Max(2 * ef + 8, HNSW_MIN_BEAM) : ef;
}

PG_FUNCTION_INFO_V1(omendb_sql_hnsw_handler);

Datum
omendb_sql_hnsw_handler(PG_FUNCTION_ARGS)
{
	static const IndexAmRoutine am = {
		OMENDB_AM_BUILDS_PARALLEL,
		OMENDB_AM_INSERT_CLEANUP(hnsw_insert_cleanup)
			/* No fixed set, like pgvector: its families with further operators can be restored. */
			.amstrategies = 0,
		.amsupport = HNSW_SUPPORT_PROCS,
		.amcanorderbyop = true,
		.amoptionalkey = true,
		.amusemaintenanceworkmem = true,
		/* Cleanup reads the index, too, if it measures recall. */
		.amparallelvacuumoptions = VACUUM_OPTION_PARALLEL_BULKDEL | VACUUM_OPTION_PARALLEL_CLEANUP,
		.amkeytype = InvalidOid,
		.ambuild = hnsw_build,
		.ambuildempty = hnsw_build_empty,
		.aminsert = hnsw_insert,
		.ambulkdelete = hnsw_bulk_delete,
		.amvacuumcleanup = hnsw_vacuum_cleanup,
		.amcostestimate = hnsw_cost_estimate,
		.amoptions = hnsw_options,
		.ambuildphasename = hnsw_build_phase_name,
		.amvalidate = hnsw_validate,
		.ambeginscan = hnsw_begin_scan,
		.amrescan = hnsw_rescan,
		.amgettuple = hnsw_get_tuple,
		.amendscan = hnsw_end_scan,
	};

	define_settings_once();
	PG_RETURN_POINTER(omendb_am_result(&am));
}
