/*
 * hnswoverflow.c
 *	  Heap TIDs that do not fit into their node's record: collected while rows are loaded, then
 *	  put into overflow records.
 */
#include "build/hnswbuildstate.h"

#include "miscadmin.h"
#include "utils/memutils.h"

void
hnsw_build_add_tid(HnswBuild *build, OmendbNode node, ItemPointer tid)
{
	OmendbRecord *record = omendb_array_record(&build->records.array, node);

	if (record->ntids < OMENDB_INLINE_TIDS)
	{
		memcpy(record->tids + record->ntids++ * OMENDB_TID_BYTES, tid, OMENDB_TID_BYTES);
		return;
	}
	if (build->extra.n == build->extra.capacity)
	{
		build->extra.capacity = Max(1024, build->extra.capacity * 2);
		build->extra.tids =
			build->extra.tids
				? repalloc_huge(build->extra.tids, build->extra.capacity * sizeof(HnswExtraTid))
				: MemoryContextAllocHuge(build->context,
										 build->extra.capacity * sizeof(HnswExtraTid));
		build->memory.used += build->extra.capacity / 2 * sizeof(HnswExtraTid);
	}
	build->extra.tids[build->extra.n] = (HnswExtraTid){node, (uint32) build->extra.n, *tid};
	build->extra.n++;
}

static int
by_node_and_order(const void *a, const void *b)
{
	const HnswExtraTid *x = a;
	const HnswExtraTid *y = b;

	CHECK_FOR_INTERRUPTS();
	if (x->node != y->node)
		return x->node < y->node ? -1 : 1;
	return x->order < y->order ? -1 : x->order > y->order;
}

void
hnsw_build_sort_extra(HnswBuild *build)
{
	qsort(build->extra.tids, build->extra.n, sizeof(HnswExtraTid), by_node_and_order);
}

void
hnsw_build_add_overflow(HnswBuild *build)
{
	const OmendbLayout *layout = &build->open->codec.layout;
	uint32 capacity = omendb_overflow_capacity(layout);

	hnsw_build_sort_extra(build);
	for (size_t i = 0; i < build->extra.n;)
	{
		OmendbNode node = build->extra.tids[i].node;
		OmendbRecord *record = hnsw_build_add_record(build);
		OmendbRecord *owner = omendb_array_record(&build->records.array, node);
		OmendbOverflow *overflow = omendb_record_overflow(record);

		record->kind = OMENDB_RECORD_OVERFLOW;
		record->overflow = owner->overflow;
		owner->overflow = build->records.array.n - 1;
		overflow->owner = node;
		overflow->owner_incarnation = owner->incarnation;
		while (i < build->extra.n && build->extra.tids[i].node == node &&
			   overflow->count < capacity)
			overflow->tids[overflow->count++] = build->extra.tids[i++].tid;
	}
}
