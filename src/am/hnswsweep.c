/*
 * hnswsweep.c
 *	  All rows of an index in order of distance, by reading it from its first
 *	  block to its last.
 *
 * What is sorted is one number a node: its lower bound, rounded down to a
 * float, and where it is. The record is read again when its turn comes: between
 * the two a vacuum may have removed it, then it is passed over, or its slot may
 * have been taken by a row that no snapshot older than it sees.
 */
#include "am/hnswsweep.h"

#include <math.h>

#include "catalog/pg_operator_d.h"
#include "catalog/pg_type_d.h"
#include "code/bound.h"
#include "compat.h"
#include "graph/array.h"
#include "graph/search.h"
#include "miscadmin.h"
#include "utils/float.h"
#include "utils/tuplesort.h"

/* Of the candidates as the graph's search orders them, made signed. */
#define SIGN UINT64CONST(0x8000000000000000)

struct HnswSweep
{
	OmendbStore *store;
	const OmendbQuery *query;
	int memory_kb;
	Tuplesortstate *sorts[2]; /* in time, and late; NULL where there are none */
	bool late;                /* the second is being returned */
	bool ahead;               /* there is a next one */
	OmendbCandidate next;
};

typedef struct Key
{
	OmendbCandidate candidate;
	bool late;
} Key;

/* The greatest float not above it. */
static inline float
float_below(double value)
{
	float rounded = (float) value;

	return rounded > value ? nextafterf(rounded, -INFINITY) : rounded;
}

static void
put(HnswSweep *sweep, const Key *key)
{
	Tuplesortstate **sort = &sweep->sorts[key->late];

	if (!*sort)
		*sort = tuplesort_begin_datum(INT8OID, Int8LessOperator, InvalidOid, false,
									  sweep->memory_kb, NULL, TUPLESORT_NONE);
	tuplesort_putdatum(*sort, Int64GetDatum((int64) (key->candidate ^ SIGN)), false);
}

/* Is it a node with rows? */
static inline bool
has_rows(const OmendbRecord *record)
{
	return record->kind == OMENDB_RECORD_NODE && record->level == 0 &&
		   !(record->flags & OMENDB_RECORD_DEAD);
}

/* The keys of a page's nodes, which was locked; returns how many. */
static uint32
read_page(const OmendbQuery *query, Page page, OmendbNode first, const uint8 *returned, double late,
		  Key *keys)
{
	const OmendbLayout *layout = &query->codec->layout;
	uint32 n = 0;

	for (uint32 slot = 0; slot < layout->per_page; slot++)
	{
		const OmendbRecord *record = omendb_page_record(layout, page, slot);
		OmendbNode node = first + slot;
		double low;
		double high;

		if ((returned[node / 8] >> (node % 8) & 1) || !has_rows(record))
			continue;
		low = omendb_lower_bound(query, omendb_query_distance(query, record), record->error,
								 record->norm2, &high);
		keys[n++] = (Key){omendb_candidate(float_below(low), node), low < late};
	}
	return n;
}

static bool
take(HnswSweep *sweep, Datum *value)
{
	Tuplesortstate *sort = sweep->sorts[sweep->late];

	return sort && omendb_tuplesort_next_datum(sort, value);
}

/* Look one ahead. */
static void
look_ahead(HnswSweep *sweep)
{
	Datum value;

	sweep->ahead = take(sweep, &value);
	if (!sweep->ahead && !sweep->late)
	{
		sweep->late = true;
		sweep->ahead = take(sweep, &value);
	}
	if (sweep->ahead)
		sweep->next = (uint64) DatumGetInt64(value) ^ SIGN;
}

HnswSweep *
hnsw_sweep_begin(OmendbStore *store, const OmendbQuery *query, const uint8 *returned,
				 BlockNumber blocks, double late, int memory_kb)
{
	HnswSweep *sweep = palloc0(sizeof(HnswSweep));
	const OmendbLayout *layout = &query->codec->layout;
	Key *keys = palloc(layout->per_page * sizeof(Key));
	BufferAccessStrategy strategy = NULL;

	sweep->store = store;
	sweep->query = query;
	sweep->memory_kb = memory_kb;
	/* As a sequential scan of a table does: one larger than that would drive out all else. */
	if (blocks > NBuffers / 4)
		strategy = GetAccessStrategy(BAS_BULKREAD);
	for (BlockNumber block = OMENDB_FIRST_BLOCK; block < blocks; block++)
	{
		Buffer buffer;
		uint32 n;

		CHECK_FOR_INTERRUPTS();
		buffer = omendb_store_lock_by(store, block, BUFFER_LOCK_SHARE, strategy);
		if (!BufferIsValid(buffer))
			continue;
		n = read_page(query, BufferGetPage(buffer), omendb_block_node(layout, block, 0), returned,
					  late, keys);
		UnlockReleaseBuffer(buffer);
		/* The sort may write to disk: not while others wait for the page. */
		for (uint32 i = 0; i < n; i++)
			put(sweep, &keys[i]);
	}
	pfree(keys);
	if (strategy)
		FreeAccessStrategy(strategy);
	for (int i = 0; i < lengthof(sweep->sorts); i++)
		if (sweep->sorts[i])
			tuplesort_performsort(sweep->sorts[i]);
	look_ahead(sweep);
	return sweep;
}

/* Read the node's record again; false where it has no rows any more. */
static bool
read_node(HnswSweep *sweep, HnswSwept *swept)
{
	const OmendbLayout *layout = &sweep->query->codec->layout;
	Buffer buffer =
		omendb_store_lock(sweep->store, omendb_node_block(layout, swept->node), BUFFER_LOCK_SHARE);
	const OmendbRecord *record;
	bool good;

	if (!BufferIsValid(buffer))
		return false;
	record = omendb_store_record(sweep->store, buffer, swept->node);
	good = has_rows(record);
	if (good)
	{
		omendb_payload_fill(record, &swept->payload);
		omendb_lower_bound(sweep->query, omendb_query_distance(sweep->query, record), record->error,
						   record->norm2, &swept->high);
	}
	UnlockReleaseBuffer(buffer);
	return good;
}

bool
hnsw_sweep_next(HnswSweep *sweep, HnswSwept *swept)
{
	while (sweep->ahead)
	{
		CHECK_FOR_INTERRUPTS();
		swept->node = omendb_candidate_node(sweep->next);
		swept->low = omendb_candidate_estimate(sweep->next);
		swept->late = sweep->late;
		look_ahead(sweep);
		swept->next = sweep->ahead ? omendb_candidate_estimate(sweep->next) : get_float8_infinity();
		if (read_node(sweep, swept))
			return true;
	}
	return false;
}

void
hnsw_sweep_end(HnswSweep *sweep)
{
	for (int i = 0; i < lengthof(sweep->sorts); i++)
		if (sweep->sorts[i])
			tuplesort_end(sweep->sorts[i]);
	pfree(sweep);
}
