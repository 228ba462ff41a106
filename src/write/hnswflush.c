/*
 * hnswflush.c
 *	  Inserts the rows of a batch.
 */
#include "write/hnswflush.h"

#include "miscadmin.h"
#include "utils/memutils.h"
#include "write/hnswinsert.h"

Size
hnsw_flush_bytes(const OmendbIndex *open)
{
	return open->codec.layout.neighbours_offset;
}

void
hnsw_insert_rows(Relation index, const HnswRows *rows)
{
	MemoryContext context =
		AllocSetContextCreate(CurrentMemoryContext, "hnsw insert", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);

	for (uint32 i = 0; i < rows->n; i++)
	{
		CHECK_FOR_INTERRUPTS();
		hnsw_insert_row(hnsw_insert_create(index, omendb_index_open(index)), hnsw_row(rows, i));
		MemoryContextReset(context);
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}
