/*
 * heapcheck.h
 *	  The part of hnsw_index_check that compares heap TIDs with each other and with the table.
 */
#ifndef OMENDB_HEAPCHECK_H
#define OMENDB_HEAPCHECK_H

#include "diag/checkstate.h"

/* Sort check->tids, and check that no TID appears twice. */
extern void omendb_check_tids(OmendbCheck *check);

/* Set CHECK_ROWS for nodes that are not reached and have a row that may be visible. */
extern void omendb_check_visible(OmendbCheck *check);

/* Compare heap TIDs and vectors with the table. To be called after omendb_check_tids. */
extern void omendb_check_heap(OmendbCheck *check);

#endif /* OMENDB_HEAPCHECK_H */
