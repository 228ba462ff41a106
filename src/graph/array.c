/*
 * array.c
 *	  OmendbGraphOps of a graph in memory, and what all stores copy of a visited record.
 */
#include "graph/array.h"

#include <string.h>

void
omendb_payload_fill(const OmendbRecord *record, OmendbPayload *payload)
{
	payload->error = record->error;
	payload->norm2 = record->norm2;
	payload->down = record->down;
	payload->overflow = record->overflow;
	payload->version = record->version;
	payload->incarnation = record->incarnation;
	payload->live = !(record->flags & OMENDB_RECORD_DEAD);
	payload->ntids = record->ntids < OMENDB_INLINE_TIDS ? record->ntids : OMENDB_INLINE_TIDS;
	memcpy(payload->tids, record->tids, sizeof(record->tids));
}

void
omendb_step_fill(const OmendbRecord *record, const OmendbQuery *query, OmendbStep *step)
{
	const OmendbLayout *layout = &query->codec->layout;
	uint32_t count = record->count < layout->edges ? record->count : layout->edges;

	step->distance = omendb_query_distance(query, record);
	step->count = count;
	omendb_payload_fill(record, &step->payload);
	memcpy(step->neighbours, omendb_record_neighbours(layout, record), count * sizeof(OmendbNode));
	if (omendb_layout_is_coded(layout))
		omendb_query_estimates(query, record, step->distance, step->estimates);
}

static bool
array_visit(void *store, OmendbNode node, unsigned level, const OmendbQuery *query,
			OmendbStep *step)
{
	OmendbArray *array = store;
	const OmendbRecord *record;

	if (node >= array->n)
		return false;
	record = omendb_array_record(array, node);
	if (record->kind != OMENDB_RECORD_NODE || record->level != level)
		return false;
	omendb_step_fill(record, query, step);
	return true;
}

static bool
array_distance(void *store, OmendbNode node, unsigned level, const OmendbQuery *query,
			   float *distance)
{
	OmendbArray *array = store;
	const OmendbRecord *record;

	if (node >= array->n)
		return false;
	record = omendb_array_record(array, node);
	if (record->kind != OMENDB_RECORD_NODE || record->level != level)
		return false;
	*distance = omendb_query_distance(query, record);
	return true;
}

static bool
array_prefetch(void *store, OmendbNode node)
{
	OmendbArray *array = store;

	if (node < array->n)
		omendb_record_prefetch(&array->codec->layout, omendb_array_record(array, node));
	return false;
}

/* All records are in memory. */
static bool
array_request(void *store, OmendbNode node)
{
	(void) store;
	(void) node;
	return false;
}

const OmendbGraphOps omendb_array_ops = {array_visit, array_distance, array_prefetch,
										 array_request};
