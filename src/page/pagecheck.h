/*
 * pagecheck.h
 *	  Checks of pages and records when they are read.
 *
 * A check that fails raises an error, ERRCODE_INDEX_CORRUPTED with the block unless the comment says
 * otherwise. Values that are possible and wrong, such as an edge to a wrong node, are for
 * hnsw_index_check to find. Callers hold a lock on the buffer, in share or exclusive mode.
 */
#ifndef OMENDB_PAGECHECK_H
#define OMENDB_PAGECHECK_H

#include "postgres.h"

#include "compat.h"
#include "page/format.h"
#include "storage/bufmgr.h"
#include "utils/rel.h"

/* Raise the error for a damaged page. what: a sentence for the detail. */
pg_noreturn extern void omendb_corrupt_page(Relation relation, BlockNumber block, const char *what);

/* True if pgvector built the index; omendb cannot read its pages. Callers hold no lock. */
extern bool omendb_index_is_pgvectors(Relation relation);

/*
 * Check a metapage, and set *layout from it. An unknown format version is
 * ERRCODE_FEATURE_NOT_SUPPORTED.
 */
extern void omendb_meta_layout(Relation relation, const OmendbMetaPage *meta, OmendbLayout *layout);

/*
 * Check that a page, which is not new, is of that kind. A page of pgvector is
 * ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE.
 */
extern void omendb_page_check(Relation relation, Buffer buffer, OmendbPageKind kind);

/*
 * Check the header of a record: kind, flags, level, numbers of heap TIDs and edges, node numbers of
 * edges, floats of the own vector.
 */
extern void omendb_record_check(Relation relation, const OmendbLayout *layout, OmendbNode node,
								const OmendbRecord *record);

#endif /* OMENDB_PAGECHECK_H */
