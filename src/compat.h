/*
 * compat.h
 *	  Differences between the PostgreSQL versions that omendb supports (15 to 19). The only file that
 *	  uses PG_VERSION_NUM.
 */
#ifndef OMENDB_COMPAT_H
#define OMENDB_COMPAT_H

#include "postgres.h"
#include "fmgr.h"
#include "nodes/nodes.h"

#if PG_VERSION_NUM < 150000
#error "omendb needs PostgreSQL 15 or newer"
#endif

#include "utils/guc.h"

/* New in the minor releases of November 2024. Settings reach parallel workers by it (src/README.md). */
#ifndef GUC_ALLOW_IN_PARALLEL
#error "omendb needs PostgreSQL 15.9, 16.5, 17.1 or newer"
#endif

#if PG_VERSION_NUM >= 160000
#include "nodes/miscnodes.h"
#include "varatt.h"
#else

/* Before 16 there are no soft errors: every error is thrown. */
#define ereturn(context, dummy_value, ...) \
	do                                     \
	{                                      \
		(void) (context);                  \
		ereport(ERROR, __VA_ARGS__);       \
		return dummy_value;                \
	} while (0)
#define SOFT_ERROR_OCCURRED(context) ((void) (context), false)
#endif

/* From 18 on pg_noreturn is a prefix of the declaration; before, an attribute. */
#if PG_VERSION_NUM < 180000
#define pg_noreturn pg_attribute_noreturn()
#endif

/* From 18 on a module has a name and a version (pg_get_loaded_modules). */
#if PG_VERSION_NUM >= 180000
#define OMENDB_MODULE_MAGIC(n, v) PG_MODULE_MAGIC_EXT(.name = n, .version = v)
#else
#define OMENDB_MODULE_MAGIC(n, v) PG_MODULE_MAGIC
#endif

#include "access/amapi.h"
#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relscan.h"
#include "catalog/pg_class.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "storage/smgr.h"
#include "utils/acl.h"
#include "utils/rel.h"

/* From 18 on there is explain_per_node_hook. */
#if PG_VERSION_NUM >= 180000
#define OMENDB_HAS_EXPLAIN_HOOK
#endif

/* The first fields of an IndexAmRoutine that builds in parallel. amcanbuildparallel is new in 17. */
#if PG_VERSION_NUM >= 170000
#define OMENDB_AM_BUILDS_PARALLEL .type = T_IndexAmRoutine, .amcanbuildparallel = true
#else
#define OMENDB_AM_BUILDS_PARALLEL .type = T_IndexAmRoutine
#endif

/*
 * From 17 on an access method is told when a statement has inserted its last row. A field of an
 * IndexAmRoutine.
 */
#if PG_VERSION_NUM >= 170000
#define OMENDB_HAS_INSERT_CLEANUP          true
#define OMENDB_AM_INSERT_CLEANUP(function) .aminsertcleanup = (function),
#else
#define OMENDB_HAS_INSERT_CLEANUP false
#define OMENDB_AM_INSERT_CLEANUP(function)
#endif

/* The result of a handler. From 19 on the server keeps the pointer; before, it copies and frees it. */
static inline const IndexAmRoutine *
omendb_am_result(const IndexAmRoutine *am)
{
#if PG_VERSION_NUM >= 190000
	return am;
#else
	IndexAmRoutine *copy = palloc(sizeof(IndexAmRoutine));

	*copy = *am;
	return copy;
#endif
}

/* Pin the buffer if it still has the block. */
static inline bool
omendb_read_recent_buffer(Relation relation, BlockNumber block, Buffer buffer)
{
#if PG_VERSION_NUM >= 160000
	return ReadRecentBuffer(relation->rd_locator, MAIN_FORKNUM, block, buffer);
#else
	return ReadRecentBuffer(relation->rd_node, MAIN_FORKNUM, block, buffer);
#endif
}

/* The usage count of a buffer. A macro, because few files include what declares BufferDesc. */
#if PG_VERSION_NUM >= 190000
#define omendb_usage_count(descriptor) \
	BUF_STATE_GET_USAGECOUNT(pg_atomic_read_u64(&(descriptor)->state))
#else
#define omendb_usage_count(descriptor) \
	BUF_STATE_GET_USAGECOUNT(pg_atomic_read_u32(&(descriptor)->state))
#endif

/* The number of the relation's file. */
static inline uint32
omendb_relation_number(Relation relation)
{
#if PG_VERSION_NUM >= 160000
	return relation->rd_locator.relNumber;
#else
	return relation->rd_node.relNode;
#endif
}

#include "utils/backend_status.h"

/* Identifiers of queries are signed from 18 on. */
#if PG_VERSION_NUM >= 180000
typedef int64 OmendbQueryId;
#else
typedef uint64 OmendbQueryId;
#endif

#include "storage/buffile.h"

/* Read `bytes` bytes of a temporary file; an error if there are less. */
static inline void
omendb_buffile_read(BufFile *file, void *to, size_t bytes)
{
#if PG_VERSION_NUM >= 160000
	BufFileReadExact(file, to, bytes);
#else
	if (BufFileRead(file, to, bytes) != bytes)
		ereport(ERROR, (errcode_for_file_access(), errmsg("could not read from a temporary file")));
#endif
}

#include "commands/vacuum.h"

static inline void
omendb_vacuum_delay_point(void)
{
#if PG_VERSION_NUM >= 180000
	vacuum_delay_point(false);
#else
	vacuum_delay_point();
#endif
}

#include "postmaster/autovacuum.h"

/* Memory for a vacuum, in kilobytes. */
static inline int
omendb_vacuum_work_mem(void)
{
#if PG_VERSION_NUM >= 170000
	bool automatic = AmAutoVacuumWorkerProcess();
#else
	bool automatic = IsAutoVacuumWorkerProcess();
#endif

	return automatic && autovacuum_work_mem != -1 ? autovacuum_work_mem : maintenance_work_mem;
}

/* True if the current user owns the relation. */
static inline bool
omendb_owns_relation(Oid relation)
{
#if PG_VERSION_NUM >= 160000
	return object_ownercheck(RelationRelationId, relation, GetUserId());
#else
	return pg_class_ownercheck(relation, GetUserId());
#endif
}

#include "catalog/objectaccess.h"
#include "catalog/pg_proc.h"
#include "utils/lsyscache.h"

/* The checks that the executor makes of a function when it starts a plan that calls it. */
static inline void
omendb_check_function(Oid function)
{
#if PG_VERSION_NUM >= 160000
	AclResult allowed = object_aclcheck(ProcedureRelationId, function, GetUserId(), ACL_EXECUTE);
#else
	AclResult allowed = pg_proc_aclcheck(function, GetUserId(), ACL_EXECUTE);
#endif

	if (allowed != ACLCHECK_OK)
		aclcheck_error(allowed, OBJECT_FUNCTION, get_func_name(function));
	InvokeFunctionExecuteHook(function);
}

/* From 17 on maintenance commands evaluate index expressions with a safe search_path. */
static inline void
omendb_restrict_search_path(void)
{
#if PG_VERSION_NUM >= 170000
	RestrictSearchPath();
#endif
}

#include "access/tableam.h"
#include "access/toast_internals.h"

static inline IndexScanDesc
omendb_index_beginscan(Relation heap, Relation index, Snapshot snapshot, int nkeys, int norderbys)
{
#if PG_VERSION_NUM >= 190000
	return index_beginscan(heap, index, snapshot, NULL, nkeys, norderbys, SO_NONE);
#elif PG_VERSION_NUM >= 180000
	return index_beginscan(heap, index, snapshot, NULL, nkeys, norderbys);
#else
	return index_beginscan(heap, index, snapshot, nkeys, norderbys);
#endif
}

/* The snapshot by which TOAST tables are read. memory: for the servers that need some. */
static inline Snapshot
omendb_toast_snapshot(SnapshotData *memory)
{
#if PG_VERSION_NUM >= 180000
	return get_toast_snapshot();
#else
	init_toast_snapshot(memory);
	return memory;
#endif
}

/* Begin fetching rows of a table by TIDs of an index. */
static inline IndexFetchTableData *
omendb_index_fetch_begin(Relation table)
{
#if PG_VERSION_NUM >= 190000
	return table_index_fetch_begin(table, SO_NONE);
#else
	return table_index_fetch_begin(table);
#endif
}

static inline TableScanDesc
omendb_table_beginscan(Relation table, Snapshot snapshot)
{
#if PG_VERSION_NUM >= 190000
	return table_beginscan(table, snapshot, 0, NULL, SO_NONE);
#else
	return table_beginscan(table, snapshot, 0, NULL);
#endif
}

/* To be called after the last TupleDescInitEntry of a descriptor. */
static inline void
omendb_finish_tuple_desc(TupleDesc desc)
{
#if PG_VERSION_NUM >= 190000
	TupleDescFinalize(desc);
#endif
}

/* Count a search of the index, which EXPLAIN (ANALYZE) shows from 18 on. */
static inline void
omendb_count_search(IndexScanDesc scan)
{
#if PG_VERSION_NUM >= 180000
	if (scan->instrument)
		scan->instrument->nsearches++;
#endif
}

#include "utils/tuplesort.h"

/* The next value of an ascending sort of pass-by-value datums that are not null. */
static inline bool
omendb_tuplesort_next_datum(Tuplesortstate *sort, Datum *value)
{
	bool null;

#if PG_VERSION_NUM >= 160000
	return tuplesort_getdatum(sort, true, false, value, &null, NULL);
#else
	return tuplesort_getdatum(sort, true, value, &null, NULL);
#endif
}

#include "nodes/pathnodes.h"

/*
 * Disable a path so that even a disabled sequential scan is preferred. Before 18 an infinite cost does
 * that. From 18 on the planner compares numbers of disabled nodes before costs.
 */
static inline void
omendb_disable_path(IndexPath *path)
{
#if PG_VERSION_NUM >= 180000
	path->path.disabled_nodes = 1000;
#endif
}

#include "access/table.h"
#include "catalog/pg_operator_d.h"
#include "optimizer/cost.h"
#include "optimizer/paths.h"

/* Disable a scan as a setting such as enable_indexscan does. */
static inline void
omendb_disable_scan(Path *path)
{
#if PG_VERSION_NUM >= 180000
	path->disabled_nodes++;
#else
	path->startup_cost += disable_cost;
	path->total_cost += disable_cost;
#endif
}

/* The cost of an index path if enable_indexscan were on. */
static inline Cost
omendb_enabled_cost(Cost cost)
{
#if PG_VERSION_NUM >= 180000
	return cost;
#else
	return enable_indexscan ? cost : cost - disable_cost;
#endif
}

/*
 * Make the pathkey of an ascending order, nulls last, by a float8 expression of a relation. It gets a
 * new equivalence class: the query's classes are complete when paths are made, and have none for an
 * expression that is not a sort key.
 */
static inline PathKey *
omendb_make_pathkey(Expr *expr, Relids relids)
{
	EquivalenceMember *member = makeNode(EquivalenceMember);
	EquivalenceClass *class = makeNode(EquivalenceClass);
	PathKey *key = makeNode(PathKey);
	Oid opfamily;
	Oid type;
#if PG_VERSION_NUM >= 180000
	CompareType strategy;
#else
	int16 strategy;
#endif

	if (!get_ordering_op_properties(Float8LessOperator, &opfamily, &type, &strategy))
		elog(ERROR, "operator %u is not a valid ordering operator", Float8LessOperator);
	member->em_expr = expr;
	member->em_relids = relids;
	member->em_datatype = FLOAT8OID;
	class->ec_opfamilies = list_make1_oid(opfamily);
	class->ec_members = list_make1(member);
	class->ec_relids = relids;
	class->ec_min_security = UINT_MAX;
	key->pk_eclass = class;
	key->pk_opfamily = opfamily;
#if PG_VERSION_NUM >= 180000
	key->pk_cmptype = strategy;
#else
	key->pk_strategy = strategy;
#endif
	return key;
}

static inline bool
omendb_is_ascending(const PathKey *key)
{
#if PG_VERSION_NUM >= 180000
	return key->pk_cmptype == COMPARE_LT && !key->pk_nulls_first;
#else
	return key->pk_strategy == BTLessStrategyNumber && !key->pk_nulls_first;
#endif
}

/* True if the column has a valid NOT NULL constraint. The caller has locked the table. */
static inline bool
omendb_column_is_not_null(Oid table, AttrNumber column)
{
	Relation relation = table_open(table, NoLock);
	TupleDesc desc = RelationGetDescr(relation);
	bool not_null;

#if PG_VERSION_NUM >= 180000
	/* A constraint that is not valid does not hold for older rows. */
	not_null = TupleDescCompactAttr(desc, column - 1)->attnullability == ATTNULLABLE_VALID;
#else
	not_null = TupleDescAttr(desc, column - 1)->attnotnull;
#endif
	table_close(relation, NoLock);
	return not_null;
}

#include "parser/parse_relation.h"

/* Complete a PlannerInfo of a query of one table, not made by the planner: new fields in 16. */
static inline void
omendb_complete_planner_info(PlannerInfo *root, RangeTblEntry *rte)
{
#if PG_VERSION_NUM >= 160000
	root->join_domains = list_make1(makeNode(JoinDomain));
	addRTEPermissionInfo(&root->parse->rteperminfos, rte);
#endif
}

/* Iteration over the blocks of a bitmap. */
#include "nodes/tidbitmap.h"

#if PG_VERSION_NUM >= 180000
typedef TBMPrivateIterator OmendbBitmapIterator;
#else
typedef TBMIterator OmendbBitmapIterator;
#endif

static inline OmendbBitmapIterator *
omendb_bitmap_begin(TIDBitmap *bitmap)
{
#if PG_VERSION_NUM >= 180000
	return tbm_begin_private_iterate(bitmap);
#else
	return tbm_begin_iterate(bitmap);
#endif
}

static inline void
omendb_bitmap_end(OmendbBitmapIterator *iterator)
{
#if PG_VERSION_NUM >= 180000
	tbm_end_private_iterate(iterator);
#else
	tbm_end_iterate(iterator);
#endif
}

/*
 * The next block, ascending, and its offsets (capacity MaxHeapTuplesPerPage). *noffsets is -1 if any
 * row of the block may be in the bitmap. False at the end.
 */
static inline bool
omendb_bitmap_next(OmendbBitmapIterator *iterator, BlockNumber *block, OffsetNumber *offsets,
				   int *noffsets)
{
#if PG_VERSION_NUM >= 180000
	TBMIterateResult result;

	if (!tbm_private_iterate(iterator, &result))
		return false;
	*block = result.blockno;
	*noffsets = result.lossy ? -1 : tbm_extract_page_tuple(&result, offsets, MaxHeapTuplesPerPage);
#else
	TBMIterateResult *result = tbm_iterate(iterator);

	if (!result)
		return false;
	*block = result->blockno;
	*noffsets = result->ntuples;
	if (result->ntuples > 0)
		memcpy(offsets, result->offsets, result->ntuples * sizeof(OffsetNumber));
#endif
	return true;
}

/*
 * Extend the relation by a block of zeros, and lock the block exclusively. alone: nobody else can extend
 * the fork. From 16 on others who see the longer file wait until the block is locked; before, they may
 * lock the block first.
 */
static inline Buffer
omendb_extend(Relation relation, ForkNumber fork, bool alone)
{
#if PG_VERSION_NUM >= 160000
	return ExtendBufferedRel(BMR_REL(relation), fork, NULL,
							 EB_LOCK_FIRST | (alone ? EB_SKIP_EXTENSION_LOCK : 0));
#else
	Buffer buffer;

	if (!alone)
		LockRelationForExtension(relation, ExclusiveLock);
	buffer = ReadBufferExtended(relation, fork, P_NEW, RBM_NORMAL, NULL);
	if (!alone)
		UnlockRelationForExtension(relation, ExclusiveLock);
	LockBuffer(buffer, BUFFER_LOCK_EXCLUSIVE);
	return buffer;
#endif
}

/* Extend a file by n blocks of zeros, from `block` on. Before 16 block by block. */
static inline void
omendb_extend_by_zeros(SMgrRelation file, ForkNumber fork, BlockNumber block, int n)
{
#if PG_VERSION_NUM >= 160000
	smgrzeroextend(file, fork, block, n, false);
#else
	static const PGAlignedBlock zeros;

	for (int i = 0; i < n; i++)
		smgrextend(file, fork, block + i, (char *) zeros.data, false);
#endif
}

#endif /* OMENDB_COMPAT_H */
