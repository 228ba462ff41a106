/*
 * adoption.h
 *	  What keeps values that omendb's functions, or pgvector's in their place, have computed.
 */
#ifndef OMENDB_ADOPTION_H
#define OMENDB_ADOPTION_H

#include "postgres.h"

#include "executor/spi.h"

/*
 * Runs the query for it, connected to SPI, with pg_catalog alone in the search_path, for the
 * extension that "function" belongs to.
 */
extern SPITupleTable *omendb_find_computed(Oid function, uint64 *count);

/* Columns of its result. */
#define COMPUTED_KIND    1 /* text: see adoption.c */
#define COMPUTED_OBJECT  2 /* oid, of pg_class but for constraints */
#define COMPUTED_NAME    3 /* text */
#define COMPUTED_COMMAND 4 /* text: what computes or checks it anew; null where none does */
#define COMPUTED_IS_BUSY 5 /* boolean: REINDEX CONCURRENTLY has made it, or it is being built */
#define COMPUTED_COLUMNS 4 /* that SQL gets */

#endif
