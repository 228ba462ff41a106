/*
 * hnswpages.h
 *	  Writes the pages of a new index, from records in memory.
 */
#ifndef OMENDB_HNSWPAGES_H
#define OMENDB_HNSWPAGES_H

#include "postgres.h"

#include "common/relpath.h"
#include "graph/array.h"
#include "page/format.h"
#include "utils/relcache.h"

/* Add the metapage, the first block of an empty fork. Logged if the relation or the fork is. */
extern void hnsw_write_meta(Relation index, ForkNumber fork, const OmendbMetaPage *meta);

/* Replace the metapage of the main fork. */
extern void hnsw_rewrite_meta(Relation index, const OmendbMetaPage *meta);

/* Extend the main fork, which has `from` blocks, by empty pages for that many records. */
extern void hnsw_extend_for(Relation index, const OmendbLayout *layout, BlockNumber from,
							uint32 records);

/*
 * Pages of records are written in positions, ranges of blocks: any process writes any position,
 * in any order.
 *
 * hnsw_write_positions: number of positions for that many records.
 * hnsw_records_written: number of records in the first positions.
 * hnsw_write_position: write a position. first: the block of record 0.
 */
extern uint32 hnsw_write_positions(const OmendbLayout *layout, uint32 records);
extern uint32 hnsw_records_written(const OmendbLayout *layout, uint32 records, uint32 positions);
extern void hnsw_write_position(Relation index, const OmendbArray *array, BlockNumber first,
								uint32 position);

/*
 * Write the metapage and the pages of spanning records, whose numbers in the array are not those in the
 * index: changes the records' numbers of others, and meta->entry. Logged if the relation is.
 */
extern void hnsw_write_spans(Relation index, const OmendbArray *array, OmendbMetaPage *meta);

#endif /* OMENDB_HNSWPAGES_H */
