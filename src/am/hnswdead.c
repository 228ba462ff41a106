/*
 * hnswdead.c
 *	  Dead rows that a scan has met, until they are marked.
 */
#include "am/hnswdead.h"

/* So many dead rows at most are noted before they are marked, page by page. */
#define DEAD_AT_A_TIME 65536

void
hnsw_dead_mark(HnswDeadRows *dead, OmendbStore *store)
{
	if (dead->n > 0)
		omendb_mark_tids(store, dead->tids, dead->n);
	dead->n = 0;
}

void
hnsw_dead_note(HnswDeadRows *dead, OmendbStore *store, const HnswPlace *place,
			   const ItemPointerData *tid)
{
	if (dead->n == dead->capacity)
	{
		dead->capacity = Max(64, 2 * dead->capacity);
		dead->tids = omendb_palloc_allocator.resize(NULL, dead->tids,
													dead->capacity * sizeof(OmendbDeadTid));
	}
	dead->tids[dead->n++] = (OmendbDeadTid){place->record, place->version, *tid};
	if (dead->n == DEAD_AT_A_TIME)
		hnsw_dead_mark(dead, store);
}
