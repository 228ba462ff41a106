/*
 * hnswtoast.h
 *	  Fetches out-of-line values of one column, one after another.
 *
 * PostgreSQL's detoast_attr opens the TOAST table, its indexes and a scan for each value. Here they
 * stay open from the first value on.
 */
#ifndef OMENDB_HNSWTOAST_H
#define OMENDB_HNSWTOAST_H

#include "postgres.h"

typedef struct HnswToast HnswToast;

/*
 * The value, with all its bytes in the current memory context if it is stored out of line; else
 * unchanged. *toast: NULL before the first call; memory for the next ones comes from the context.
 */
extern Datum hnsw_toast_fetch(HnswToast **toast, MemoryContext context, Datum value);

/* Close what was opened. toast may be NULL. */
extern void hnsw_toast_end(HnswToast *toast);

#endif /* OMENDB_HNSWTOAST_H */
