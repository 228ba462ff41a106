/*
 * hnswdead.c
 *	  Collects the dead rows that a scan meets, and marks their TIDs.
 *
 * They are collected because each page that is changed takes a WAL record: so all TIDs of a
 * page are marked at once.
 */
#include "am/hnswdead.h"

/* Maximum number of dead rows collected before their TIDs are marked. */
#define MAX_DEAD_ROWS 65536

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
	if (dead->n == MAX_DEAD_ROWS)
		hnsw_dead_mark(dead, store);
}
