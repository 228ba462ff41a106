/*
 * hnswpages.h
 *	  The pages of a new index, from records in memory.
 */
#ifndef OMENDB_HNSWPAGES_H
#define OMENDB_HNSWPAGES_H

#include "postgres.h"

#include "common/relpath.h"
#include "graph/array.h"
#include "page/format.h"
#include "utils/relcache.h"

/* Write the metapage; it is the first block. Logged where the relation or the fork is. */
extern void hnsw_write_meta(Relation index, ForkNumber fork, const OmendbMetaPage *meta);

/* Let a metapage that is there already be another. */
extern void hnsw_rewrite_meta(Relation index, const OmendbMetaPage *meta);

/* Extend the main fork, which has so many pages, by empty ones for so many records. */
extern void hnsw_extend_for(Relation index, const OmendbLayout *layout, BlockNumber from,
							uint32 records);

/*
 * The records from number 0 on are written to the pages from that one on in positions, by
 * any process, in any order. So many there are, and so many records are in the first ones
 * of them.
 */
extern uint32 hnsw_write_positions(const OmendbLayout *layout, uint32 records);
extern uint32 hnsw_records_written(const OmendbLayout *layout, uint32 records, uint32 positions);
extern void hnsw_write_position(Relation index, const OmendbArray *array, BlockNumber first,
								uint32 position);

#endif /* OMENDB_HNSWPAGES_H */
