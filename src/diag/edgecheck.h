/*
 * edgecheck.h
 *	  The part of hnsw_index_check that decodes vectors and codes.
 */
#ifndef OMENDB_EDGECHECK_H
#define OMENDB_EDGECHECK_H

#include "diag/checkstate.h"

/*
 * Own vectors, edges' codes and factors. Decodes every edge's other end: as
 * many page accesses as there are edges.
 */
extern void omendb_check_vectors(OmendbCheck *check);

#endif /* OMENDB_EDGECHECK_H */
