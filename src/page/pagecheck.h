/*
 * pagecheck.h
 *	  What is checked of pages and records when they are read. Whatever fails is an error,
 *	  ERRCODE_INDEX_CORRUPTED if nothing else is said, with the block.
 *
 * Callers hold a lock on the buffer, share or exclusive.
 */
#ifndef OMENDB_PAGECHECK_H
#define OMENDB_PAGECHECK_H

#include "postgres.h"

#include "compat.h"
#include "page/format.h"
#include "storage/bufmgr.h"
#include "utils/rel.h"

pg_noreturn extern void omendb_corrupt_page(Relation relation, BlockNumber block, const char *what);

/* Was the index built by pgvector? Its pages are not to be read then. Callers hold no lock. */
extern bool omendb_index_is_pgvectors(Relation relation);

/* The layout that a metapage says; raises an error where that is impossible. */
extern void omendb_meta_layout(Relation relation, const OmendbMetaPage *meta, OmendbLayout *layout);

/* An error where a page that is not new is not of that kind. */
extern void omendb_page_check(Relation relation, Buffer buffer, OmendbPageKind kind);

/*
 * An error where the header of a record is impossible: more heap TIDs or edges than
 * fit, edges to what no number is of, a level that there is not, floats that are
 * none. What is possible and wrong is for hnsw_index_check to find.
 */
extern void omendb_record_check(Relation relation, const OmendbLayout *layout, OmendbNode node,
								const OmendbRecord *record);

#endif /* OMENDB_PAGECHECK_H */
