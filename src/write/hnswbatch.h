/*
 * hnswbatch.h
 *	  Rows that a statement has inserted and that are not in the index yet.
 */
#ifndef OMENDB_HNSWBATCH_H
#define OMENDB_HNSWBATCH_H

#include "am/hnsw.h"
#include "nodes/execnodes.h"

/*
 * Queue an encoded row (header and own vector, with its heap TID) of the statement that `info` belongs
 * to. False if the row has to be inserted at once: PostgreSQL does not tell of the statement's end
 * (before 17), the row is the statement's first, the row may be taken back before the statement ends
 * (ON CONFLICT), or the table's access method is not heap.
 */
extern bool hnsw_batch_add(Relation index, Relation heap, IndexInfo *info, const OmendbIndex *open,
						   const OmendbRecord *row);

#endif /* OMENDB_HNSWBATCH_H */
