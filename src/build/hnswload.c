/*
 * hnswload.c
 *	  Rows become records in memory; records of equal vectors are merged.
 *
 * Vectors of floats become records in any process of the crew; other values in the leader.
 */
#include "build/hnswbuildstate.h"

#include "commands/progress.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "utils/backend_progress.h"

OmendbRecord *
hnsw_build_add_record(HnswBuild *build)
{
	if (build->records.array.n > OMENDB_MAX_NODE)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("hnsw index \"%s\" cannot have more than %u records",
							   RelationGetRelationName(build->index), OMENDB_MAX_NODE)));
	return hnsw_crew_add_record(build->crew);
}

void
hnsw_build_load_row(HnswBuild *build, ItemPointer tid, Datum value)
{
	const HnswOpclass *opclass = build->opclass;

	if (opclass->floats)
	{
		float *floats = hnsw_crew_next(build->crew, tid);

		hnsw_get_floats(build->open, opclass, value, floats);
		hnsw_crew_add(build->crew);
	}
	else
	{
		OmendbRecord *record = hnsw_build_add_record(build);

		/* The index does not take the value: another record gets the place. */
		if (!hnsw_encode_value(build->open, opclass, value, build->load.buffer, record))
			record->kind = OMENDB_RECORD_FREE;
		memcpy(record->tids, tid, OMENDB_TID_BYTES);
		record->ntids = 1;
	}
	build->memory.used += build->memory.node_bytes;
	pgstat_progress_update_param(PROGRESS_CREATEIDX_TUPLES_DONE, ++build->load.loaded);
}

HnswVectorEntry *
hnsw_build_vector(HnswBuild *build, const OmendbRecord *record, bool *found)
{
	return vectors_insert(build->vectors, record->identity[0] | (uint64) record->identity[1] << 32,
						  found);
}

/*
 * Let rows with equal vectors share a node, the first one's: the later ones' records become free.
 * Returns how many of the records loaded since the last call are free, including those
 * of rows that the index does not take.
 */
static uint32
merge_equal(HnswBuild *build)
{
	OmendbArray *array = &build->records.array;
	uint32 nfree = 0;

	for (OmendbNode node = build->load.merged; node < array->n; node++)
	{
		OmendbRecord *record = omendb_array_record(array, node);
		HnswVectorEntry *entry;
		ItemPointerData tid;
		bool found;

		if (node % 4096 == 0)
			CHECK_FOR_INTERRUPTS();
		if (record->kind == OMENDB_RECORD_FREE)
		{
			build->load.left_out = true;
			nfree++;
			continue;
		}
		build->load.indexed++;
		entry = hnsw_build_vector(build, record, &found);
		if (!found)
			entry->node = node;
		else if (omendb_own_equal(&build->open->codec, record,
								  omendb_array_record(array, entry->node)))
		{
			memcpy(&tid, record->tids, OMENDB_TID_BYTES);
			hnsw_build_add_tid(build, entry->node, &tid);
			record->kind = OMENDB_RECORD_FREE;
			nfree++;
		}
	}
	return nfree;
}

void
hnsw_build_collect(HnswBuild *build)
{
	OmendbArray *array = &build->records.array;
	Size stride = omendb_array_stride(&array->codec->layout);
	OmendbNode *moved; /* moved[i]: the new number of node n + i */
	uint32 nfree;
	uint32 n;
	OmendbNode hole = build->load.merged;

	hnsw_crew_finish(build->crew);
	nfree = merge_equal(build);
	n = array->n - nfree;
	moved = palloc_extended(Max(nfree, 1) * sizeof(OmendbNode), MCXT_ALLOC_HUGE);
	for (OmendbNode node = n; node < array->n; node++)
	{
		OmendbRecord *record = omendb_array_record(array, node);
		HnswVectorEntry *entry;
		bool found;

		if (record->kind == OMENDB_RECORD_FREE)
			continue;
		while (omendb_array_record(array, hole)->kind != OMENDB_RECORD_FREE)
			hole++;
		memcpy(omendb_array_record(array, hole), record, stride);
		entry = hnsw_build_vector(build, record, &found);
		if (entry->node == node)
			entry->node = hole;
		moved[node - n] = hole;
	}
	for (size_t i = 0; i < build->extra.n; i++)
		if (build->extra.tids[i].node >= n)
			build->extra.tids[i].node = moved[build->extra.tids[i].node - n];
	pfree(moved);
	build->memory.used -= (Size) nfree * build->memory.node_bytes;
	array->n = build->load.merged = n;
}

void
hnsw_build_begin_loading(HnswBuild *build)
{
	if (build->opclass->floats)
		hnsw_crew_begin(build->crew);
}
