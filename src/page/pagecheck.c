/*
 * pagecheck.c
 *	  Checks of pages and records when they are read.
 */
#include "page/pagecheck.h"

#include <float.h>

#include "code/ownsparse.h"
#include "compat.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

void
omendb_corrupt_page(Relation relation, BlockNumber block, const char *what)
{
	ereport(ERROR, (errcode(ERRCODE_INDEX_CORRUPTED),
					errmsg("index \"%s\" contains a corrupted page at block %u",
						   RelationGetRelationName(relation), block),
					errdetail_internal("%s", what), errhint("Please REINDEX it.")));
}

static bool
set_layout(const OmendbMetaPage *meta, OmendbLayout *layout)
{
	if (meta->own != OMENDB_OWN_SPARSE)
		return !meta->spans && omendb_layout_set(layout, meta->metric, meta->own, meta->dimensions,
												 meta->m, meta->code_bits, OMENDB_PAGE_BYTES);
	if (meta->spans)
		return omendb_layout_set_spans(layout, meta->metric, meta->dimensions, meta->elements,
									   meta->m, OMENDB_SPAN_PAGE_BYTES);
	return omendb_layout_set_sparse(layout, meta->metric, meta->dimensions, meta->elements, meta->m,
									OMENDB_PAGE_BYTES);
}

void
omendb_meta_layout(Relation relation, const OmendbMetaPage *meta, OmendbLayout *layout)
{
	if (meta->magic != OMENDB_META_MAGIC)
		omendb_corrupt_page(relation, OMENDB_META_BLOCK, "The metapage has a wrong magic number.");
	if (meta->checksum != omendb_meta_checksum(meta))
		omendb_corrupt_page(relation, OMENDB_META_BLOCK, "The metapage has a wrong checksum.");
	if (meta->version < OMENDB_FORMAT_OLDEST || meta->version > OMENDB_FORMAT_VERSION)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("index \"%s\" has format version %u, which this omendb cannot read",
							   RelationGetRelationName(relation), meta->version),
						errdetail("It reads versions %d to %d.", OMENDB_FORMAT_OLDEST,
								  OMENDB_FORMAT_VERSION),
						errhint("Install a newer omendb library, or REINDEX.")));
	if (meta->upper_beam > OMENDB_UPPER_BEAM_OF_GROUPS ||
		meta->spans != (meta->version > OMENDB_FORMAT_FIXED) || !set_layout(meta, layout))
		omendb_corrupt_page(relation, OMENDB_META_BLOCK, "The metapage has impossible values.");
}

/*
 * True for a page of pgvector, by its last two bytes. In a database that omendb took over from
 * pgvector an index may still be the one that pgvector built.
 */
static bool
is_pgvectors(Page page)
{
	uint16 page_id = omendb_page_special(page)->page_id;

	return PageGetSpecialSize(page) == sizeof(OmendbPageSpecial) &&
		   (page_id == PGVECTOR_HNSW_PAGE_ID || page_id == PGVECTOR_IVFFLAT_PAGE_ID);
}

bool
omendb_index_is_pgvectors(Relation relation)
{
	Buffer buffer;
	bool result;

	/* In recovery an unlogged index has no pages. */
	if ((!RelationIsPermanent(relation) && RecoveryInProgress()) ||
		RelationGetNumberOfBlocks(relation) == 0)
		return false;
	buffer = ReadBuffer(relation, OMENDB_META_BLOCK);
	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	result = !PageIsNew(BufferGetPage(buffer)) && is_pgvectors(BufferGetPage(buffer));
	UnlockReleaseBuffer(buffer);
	return result;
}

static void
check_not_pgvectors(Relation relation, Page page)
{
	if (is_pgvectors(page))
		ereport(
			ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("index \"%s\" was built by pgvector", RelationGetRelationName(relation)),
			 errdetail("omendb does not read its pages."),
			 errhint("Run REINDEX INDEX CONCURRENTLY %s.",
					 quote_qualified_identifier(get_namespace_name(RelationGetNamespace(relation)),
												RelationGetRelationName(relation)))));
}

void
omendb_page_check(Relation relation, Buffer buffer, OmendbPageKind kind)
{
	Page page = BufferGetPage(buffer);
	BlockNumber block = BufferGetBlockNumber(buffer);

	check_not_pgvectors(relation, page);
	if (PageGetSpecialSize(page) != sizeof(OmendbPageSpecial) ||
		omendb_page_special(page)->page_id != OMENDB_PAGE_ID)
		omendb_corrupt_page(relation, block, "This is no page of an omendb index.");
	if (omendb_page_special(page)->kind != kind)
		omendb_corrupt_page(relation, block, "The page is of another kind than its place says.");
	/* Generic WAL leaves out what lies between them. */
	if (((PageHeader) page)->pd_lower != ((PageHeader) page)->pd_upper)
		omendb_corrupt_page(relation, block, "The page's header says that part of it is unused.");
}

/* True if a node number is above OMENDB_MAX_NODE. Takes two numbers at a time, for speed. */
static inline bool
has_impossible_edge(const OmendbLayout *layout, const OmendbRecord *record)
{
	const OmendbNode *neighbours = omendb_record_neighbours(layout, record);
	uint64 all = record->count % 2 ? neighbours[record->count - 1] : 0;

	for (uint32 i = 0; i + 2 <= record->count; i += 2)
	{
		uint64 two;

		memcpy(&two, &neighbours[i], sizeof(two));
		all |= two;
	}
	return ((all | all >> 32) & ~OMENDB_MAX_NODE & PG_UINT32_MAX) != 0;
}

/* What is wrong with a node's header and edges, or NULL. */
static inline const char *
node_problem(const OmendbLayout *layout, const OmendbRecord *record)
{
	bool has_tids = record->ntids > 0 || record->overflow != OMENDB_NO_NODE;
	bool dead = record->flags & OMENDB_RECORD_DEAD;

	if (record->flags & ~OMENDB_RECORD_DEAD)
		return "A record has unknown flags.";
	if (record->level > OMENDB_MAX_LEVEL)
		return "A record is of an impossible level.";
	if (record->ntids > OMENDB_INLINE_TIDS)
		return "A record has too many heap TIDs.";
	if (record->level == 0 ? has_tids == dead : has_tids)
		return "A record has heap TIDs where none may be, or none where it must have some.";
	if (record->level == 0 && record->down != OMENDB_NO_NODE)
		return "A record of level 0 has one below it.";
	if (record->count > (record->level == 0 ? layout->edges : layout->m))
		return "A record has too many edges.";
	if (has_impossible_edge(layout, record))
		return "A record has an edge to what no record can be.";
	/* This comparison, and those below, fail for NaN, too. */
	if (!(record->error >= 0))
		return "A record has an impossible error of its own vector.";
	/* The scale of a sparse vector is never 0 (omendb_own_encode_sparse). */
	if (!(record->scale >= 0 && record->scale <= FLT_MAX) ||
		(layout->own == OMENDB_OWN_SPARSE && record->scale == 0))
		return "A record has an impossible scale of its own vector.";
	if (!(record->norm2 >= 0))
		return "A record has an impossible length of its own vector.";
	if (layout->own == OMENDB_OWN_SPARSE && !omendb_own_sparse_fits(layout, record))
		return "A record has too many elements of its own vector.";
	return NULL;
}

static inline const char *
record_problem(const OmendbLayout *layout, OmendbNode node, const OmendbRecord *record)
{
	if (!omendb_record_ends_on_page(layout, node % layout->per_page, record))
		return "A record ends beyond its page.";
	if (likely(record->kind == OMENDB_RECORD_NODE))
		return node_problem(layout, record);
	if (record->kind == OMENDB_RECORD_FREE || record == &omendb_inner_record)
		return NULL;
	if (record->kind != OMENDB_RECORD_OVERFLOW)
		return "A record is of an unknown kind.";
	if (record->level != 0 || record->ntids != 0 || record->flags != 0)
		return "An overflow record has what only nodes have.";
	if (omendb_record_overflow((OmendbRecord *) record)->count > omendb_overflow_capacity(layout))
		return "An overflow record has too many heap TIDs.";
	return NULL;
}

void
omendb_record_check(Relation relation, const OmendbLayout *layout, OmendbNode node,
					const OmendbRecord *record)
{
	const char *problem = record_problem(layout, node, record);

	if (unlikely(problem != NULL))
		omendb_corrupt_page(relation, omendb_node_block(layout, node), problem);
}
