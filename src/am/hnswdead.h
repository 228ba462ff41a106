/*
 * hnswdead.h
 *	  Dead rows that a scan has met, until they are marked.
 */
#ifndef OMENDB_HNSWDEAD_H
#define OMENDB_HNSWDEAD_H

#include "postgres.h"

#include "page/change.h"

/* The record from which a heap TID comes, in the version in which it was read. */
typedef struct HnswPlace
{
	OmendbNode record;
	uint32 version;
} HnswPlace;

/* Rows that turned out to be dead and are not marked yet. */
typedef struct HnswDeadRows
{
	OmendbDeadTid *tids;
	size_t n;
	size_t capacity;
} HnswDeadRows;

extern void hnsw_dead_note(HnswDeadRows *dead, OmendbStore *store, const HnswPlace *place,
						   const ItemPointerData *tid);
extern void hnsw_dead_mark(HnswDeadRows *dead, OmendbStore *store);

#endif /* OMENDB_HNSWDEAD_H */
