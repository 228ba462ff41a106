/*
 * edgecheck.h
 *	  The part of hnsw_index_check that decodes vectors and codes.
 */
#ifndef OMENDB_EDGECHECK_H
#define OMENDB_EDGECHECK_H

#include "diag/checkstate.h"

/*
 * Check own vectors, and codes, slopes and shifts of edges. Decodes the neighbour of every edge: a
 * page access for each edge.
 */
extern void omendb_check_vectors(OmendbCheck *check);

#endif /* OMENDB_EDGECHECK_H */
