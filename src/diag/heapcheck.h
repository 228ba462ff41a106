/*
 * heapcheck.h
 *	  The part of hnsw_index_check that compares heap TIDs with each other and with the table.
 */
#ifndef OMENDB_HEAPCHECK_H
#define OMENDB_HEAPCHECK_H

#include "diag/checkstate.h"

/* No two TIDs are the same; sorts them. */
extern void omendb_check_tids(OmendbCheck *check);

/* Which of the nodes that are not reached have rows that somebody may see? */
extern void omendb_check_visible(OmendbCheck *check);

/* Compare with the table, after omendb_check_tids. */
extern void omendb_check_heap(OmendbCheck *check);

#endif /* OMENDB_HEAPCHECK_H */
