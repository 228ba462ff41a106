/*
 * diagnosis.c
 *	  Opening an index for the functions of this folder: privileges, locks, metapage.
 *
 * Privileges. PostgreSQL's tools of this kind use GRANT EXECUTE: to pg_stat_scan_tables for
 * pgstattuple's functions, to superusers for amcheck's. omendb can be created by roles that are not
 * superuser, so the privilege follows from the table: roles that may read the table may read the
 * sizes and the recall of its index. A check blocks writers while it runs, so only the owner may run
 * it.
 */
#include "diag/diagnosis.h"

#include "access/relation.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/transam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/index.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_class.h"
#include "compat.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rls.h"

static void
refuse_other(const char *name)
{
	ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE),
					errmsg("\"%s\" is not an hnsw index of omendb", name)));
}

static void
refuse_missing(const char *name)
{
	ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE), errmsg("index \"%s\" does not exist", name)));
}

static void
check_right(Oid index, Oid heap, OmendbDiagnosisRight right)
{
	if (omendb_owns_relation(heap))
		return;
	if (right == OMENDB_DIAGNOSIS_OWNER)
		aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_INDEX, get_rel_name(index));
	if (right == OMENDB_DIAGNOSIS_SIZES && has_privs_of_role(GetUserId(), ROLE_PG_STAT_SCAN_TABLES))
		return;
	if (pg_class_aclcheck(heap, GetUserId(), ACL_SELECT) != ACLCHECK_OK)
		aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_TABLE, get_rel_name(heap));
	if (right == OMENDB_DIAGNOSIS_ROWS && check_enable_rls(heap, InvalidOid, true) == RLS_ENABLED)
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						errmsg("permission denied for table %s", get_rel_name(heap)),
						errdetail("Its row-level security hides rows from this user.")));
}

/* Read the present metapage. That of the relcache is from when the session opened the index first. */
static void
read_meta(OmendbDiagnosis *diagnosis)
{
	Relation relation = diagnosis->relation;
	Buffer buffer = ReadBuffer(relation, OMENDB_META_BLOCK);
	OmendbLayout layout;
	const char *problem;

	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	problem = omendb_diagnosis_page(BufferGetPage(buffer), OMENDB_PAGE_META);
	diagnosis->meta = *omendb_page_meta(BufferGetPage(buffer));
	diagnosis->calibration = *omendb_page_calibration(BufferGetPage(buffer));
	UnlockReleaseBuffer(buffer);
	if (problem)
		omendb_corrupt_page(relation, OMENDB_META_BLOCK, problem);
	omendb_meta_layout(relation, &diagnosis->meta, &layout);
	if (memcmp(&layout, &diagnosis->index->codec.layout, sizeof(layout)) != 0)
		omendb_corrupt_page(relation, OMENDB_META_BLOCK,
							"The metapage changed since this session read it first.");
}

void
omendb_diagnosis_open(OmendbDiagnosis *diagnosis, Oid index, LOCKMODE lock,
					  OmendbDiagnosisRight right)
{
	char *name = get_rel_name(index);
	char kind = get_rel_relkind(index);
	Oid heap;
	Relation relation;

	memset(diagnosis, 0, sizeof(*diagnosis));
	if (!name)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE),
						errmsg("relation with OID %u does not exist", index)));
	if (kind == RELKIND_PARTITIONED_INDEX)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE), errmsg("\"%s\" is a partitioned index", name),
				 errhint("Name an index of one of its partitions; pg_partition_tree() "
						 "lists them.")));
	heap = kind == RELKIND_INDEX ? IndexGetRelation(index, true) : InvalidOid;
	if (!OidIsValid(heap))
		refuse_other(name);
	check_right(index, heap, right);

	/* Lock the table first, as others do. Table and index may be gone when the lock is granted. */
	diagnosis->lock = lock;
	diagnosis->heap = try_table_open(heap, lock);
	if (!diagnosis->heap)
		refuse_missing(name);
	/* The privilege may be gone, too. */
	check_right(index, heap, right);
	GetUserIdAndSecContext(&diagnosis->user, &diagnosis->security);
	SetUserIdAndSecContext(diagnosis->heap->rd_rel->relowner,
						   diagnosis->security | SECURITY_RESTRICTED_OPERATION);
	diagnosis->nest_level = NewGUCNestLevel();
	omendb_restrict_search_path();
	diagnosis->relation = relation = try_relation_open(index, lock);

	if (!relation || relation->rd_rel->relkind != RELKIND_INDEX ||
		IndexGetRelation(index, true) != heap)
		refuse_missing(name);
	if (!hnsw_is_index(relation))
		refuse_other(RelationGetRelationName(relation));
	if (RELATION_IS_OTHER_TEMP(relation))
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("cannot access temporary tables of other sessions")));
	if (!RelationIsPermanent(relation) && RecoveryInProgress())
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("cannot access temporary or unlogged relations during recovery")));
	if (!relation->rd_index->indisvalid)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("index \"%s\" is not valid", RelationGetRelationName(relation)),
						errhint("It is being built, or its build failed: then REINDEX it.")));

	hnsw_flush_before_read(relation, NULL);
	diagnosis->index = omendb_index_open(relation);
	read_meta(diagnosis);
	diagnosis->opclass = hnsw_opclass(relation);
	diagnosis->blocks = RelationGetNumberOfBlocks(relation);
	diagnosis->nodes = Min((uint64) (diagnosis->blocks - OMENDB_FIRST_BLOCK) *
							   diagnosis->index->codec.layout.per_page,
						   (uint64) OMENDB_MAX_NODE + 1);
}

void
omendb_diagnosis_close(OmendbDiagnosis *diagnosis)
{
	AtEOXact_GUC(false, diagnosis->nest_level);
	SetUserIdAndSecContext(diagnosis->user, diagnosis->security);
	index_close(diagnosis->relation, diagnosis->lock);
	table_close(diagnosis->heap, diagnosis->lock);
}

const char *
omendb_diagnosis_page(Page page, OmendbPageKind kind)
{
	PageHeader header = (PageHeader) page;
	const OmendbPageSpecial *special = omendb_page_special(page);

	if (PageGetPageSize(page) != BLCKSZ ||
		PageGetPageLayoutVersion(page) != PG_PAGE_LAYOUT_VERSION ||
		header->pd_special != BLCKSZ - sizeof(OmendbPageSpecial))
		return "the page's header has a wrong size or version";
	if (special->page_id != OMENDB_PAGE_ID)
		return "this is no page of an omendb index";
	if (special->kind != kind)
		return "the page is of another kind than its place says";
	/* Generic WAL and full-page images leave out what lies between them. */
	if (header->pd_lower != header->pd_upper)
		return "the page's header says that part of it is unused";
	return NULL;
}

void
omendb_diagnosis_check_snapshot(OmendbDiagnosis *diagnosis, Snapshot snapshot)
{
	Relation relation = diagnosis->relation;

	/* The planner does not use such an index either. */
	if (relation->rd_index->indcheckxmin &&
		!TransactionIdPrecedes(HeapTupleHeaderGetXmin(relation->rd_indextuple->t_data),
							   snapshot->xmin))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("index \"%s\" is too new for this transaction's snapshot",
						RelationGetRelationName(relation)),
				 errdetail("It may lack rows that only transactions older than the index see.")));
}

void
omendb_diagnosis_scan_heap(OmendbDiagnosis *diagnosis, Snapshot snapshot,
						   IndexBuildCallback callback, void *state)
{
	IndexInfo *info = BuildIndexInfo(diagnosis->relation);
	TableScanDesc scan =
		table_beginscan_strat(diagnosis->heap, snapshot, 0, NULL, true /* ring buffer */,
							  false /* from the first block on */);

	/* Returns the rows of the snapshot, and does not wait for transactions as a build does. */
	info->ii_Concurrent = true;
	table_index_build_scan(diagnosis->heap, diagnosis->relation, info, true, false, callback, state,
						   scan);
}
