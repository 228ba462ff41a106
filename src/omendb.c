/*
 * omendb.c
 *	  Module start: settings and the choice of kernels. Nothing else belongs here.
 *
 * Loading the library does not define the settings hnsw.* and ivfflat.*: pgvector has settings of the
 * same names, and pg_upgrade loads all libraries of a cluster in one session.
 */
#include "compat.h"

#include "am/module.h"
#include "diag/explainscan.h"
#include "kernel/kernel.h"
#include "plan/hnswplanmodule.h"
#include "utils/builtins.h"
#include "utils/guc.h"

OMENDB_MODULE_MAGIC("omendb", "0.1.0");

#define SIMD_LEVEL_AUTO (-1)

static const struct config_enum_entry simd_level_options[] = {
	{"auto", SIMD_LEVEL_AUTO, false},      {"scalar", OMENDB_SIMD_SCALAR, false},
	{"neon", OMENDB_SIMD_NEON, false},     {"avx2", OMENDB_SIMD_AVX2, false},
	{"avx512", OMENDB_SIMD_AVX512, false}, {NULL, 0, false},
};

static int simd_level = SIMD_LEVEL_AUTO;

extern void _PG_init(void);

PG_FUNCTION_INFO_V1(omendb_sql_simd_level);

/* Refuse a level whose instructions this machine lacks: they would end the backend. */
static bool
check_simd_level(int *newval, void **extra, GucSource source)
{
	unsigned features = omendb_cpu_features();

	if (*newval == SIMD_LEVEL_AUTO || omendb_level_available(*newval, features))
		return true;
	GUC_check_errcode(ERRCODE_FEATURE_NOT_SUPPORTED);
	GUC_check_errdetail("This machine has no \"%s\" instructions; its best level is \"%s\".",
						omendb_level_name(*newval), omendb_level_name(omendb_best_level(features)));
	return false;
}

static void
assign_simd_level(int newval, void *extra)
{
	if (newval == SIMD_LEVEL_AUTO)
		newval = omendb_best_level(omendb_cpu_features());
	omendb_kernels_use(newval);
}

/* Called when the session uses an index for the first time. */
static void
define_index_settings(void)
{
	hnsw_define_settings();
	ivfflat_define_settings();
	hnsw_define_plan_settings();
	MarkGUCPrefixReserved("hnsw");
}

void
_PG_init(void)
{
	/* Calls assign_simd_level, which fills the kernel table. */
	DefineCustomEnumVariable("omendb.simd_level", "Instruction set that the vector kernels use.",
							 "\"auto\" takes the best one of the machine.", &simd_level,
							 SIMD_LEVEL_AUTO, simd_level_options, PGC_SUSET, 0, check_simd_level,
							 assign_simd_level, NULL);
	MarkGUCPrefixReserved("omendb");
	hnsw_init_module(define_index_settings);
	ivfflat_init_module();
	hnsw_init_plan_module();
	omendb_explain_init_module();
}

/* omendb_simd_level() returns text: the level of the kernels in use. */
Datum
omendb_sql_simd_level(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(omendb_level_name(omendb_kernels_level())));
}
