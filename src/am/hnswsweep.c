/*
 * hnswsweep.c
 *	  Returns all nodes of an index in order of distance, by reading it from its first block to
 *	  its last.
 *
 * For each node one number is sorted: its lower bound, rounded down to a float, and the node's
 * number. The record is read again when its turn comes. Meanwhile a vacuum may have removed it:
 * then it is passed over. Or an insert may have taken its slot: the scan's snapshot does not see
 * the new row.
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

/* Makes a candidate (OmendbCandidate, unsigned) a signed number of the same order, and back. */
#define SIGN_BIT UINT64CONST(0x8000000000000000)

struct HnswSweep
{
	OmendbStore *store;
	const OmendbQuery *query;
	int memory_kb;
	Tuplesortstate *sorts[2]; /* nodes in time, late nodes; NULL if there are none */
	bool late;                /* late nodes are being returned */
	bool has_next;
	OmendbCandidate next; /* read ahead, for HnswSwept.next_low */
};

typedef struct Key
{
	OmendbCandidate candidate;
	bool late;
} Key;

/* The greatest float that is not above the value. */
static inline float
float_below(double value)
{
	float rounded = (float) value;

	return rounded > value ? nextafterf(rounded, -INFINITY) : rounded;
}

static void
add_key(HnswSweep *sweep, const Key *key)
{
	Tuplesortstate **sort = &sweep->sorts[key->late];

	if (!*sort)
		*sort = tuplesort_begin_datum(INT8OID, Int8LessOperator, InvalidOid, false,
									  sweep->memory_kb, NULL, TUPLESORT_NONE);
	tuplesort_putdatum(*sort, Int64GetDatum((int64) (key->candidate ^ SIGN_BIT)), false);
}

/* True if the record is a node that has rows. */
static inline bool
has_rows(const OmendbRecord *record)
{
	return record->kind == OMENDB_RECORD_NODE && record->level == 0 &&
		   !(record->flags & OMENDB_RECORD_DEAD);
}

/* Compute the keys of a page's nodes. Returns their number. The caller has locked the page. */
static uint32
read_page(const OmendbQuery *query, Page page, OmendbNode first, const uint8 *returned,
		  double late_below, Key *keys)
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
		keys[n++] = (Key){omendb_candidate(float_below(low), node), low < late_below};
	}
	return n;
}

static bool
read_sort(HnswSweep *sweep, Datum *value)
{
	Tuplesortstate *sort = sweep->sorts[sweep->late];

	return sort && omendb_tuplesort_next_datum(sort, value);
}

/* Read the next key: of the nodes in time, then of the late ones. */
static void
read_ahead(HnswSweep *sweep)
{
	Datum value;

	sweep->has_next = read_sort(sweep, &value);
	if (!sweep->has_next && !sweep->late)
	{
		sweep->late = true;
		sweep->has_next = read_sort(sweep, &value);
	}
	if (sweep->has_next)
		sweep->next = (uint64) DatumGetInt64(value) ^ SIGN_BIT;
}

HnswSweep *
hnsw_sweep_begin(OmendbStore *store, const OmendbQuery *query, const uint8 *returned,
				 BlockNumber blocks, double late_below, int memory_kb)
{
	HnswSweep *sweep = palloc0(sizeof(HnswSweep));
	const OmendbLayout *layout = &query->codec->layout;
	Key *keys = palloc(layout->per_page * sizeof(Key));
	BufferAccessStrategy strategy = NULL;

	sweep->store = store;
	sweep->query = query;
	sweep->memory_kb = memory_kb;
	/* As a sequential scan of a table: a larger one would evict all other pages. */
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
					  late_below, keys);
		UnlockReleaseBuffer(buffer);
		/* The sort may write to disk. Meanwhile others do not have to wait for the page. */
		for (uint32 i = 0; i < n; i++)
			add_key(sweep, &keys[i]);
	}
	pfree(keys);
	if (strategy)
		FreeAccessStrategy(strategy);
	for (int i = 0; i < lengthof(sweep->sorts); i++)
		if (sweep->sorts[i])
			tuplesort_performsort(sweep->sorts[i]);
	read_ahead(sweep);
	return sweep;
}

/* Read the node's record again. False if it has no rows any more. */
static bool
read_node(HnswSweep *sweep, HnswSwept *swept)
{
	Buffer buffer = omendb_store_lock_node(sweep->store, swept->node, BUFFER_LOCK_SHARE);
	const OmendbRecord *record = omendb_store_record(sweep->store, buffer, swept->node);
	bool good = has_rows(record);

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
	while (sweep->has_next)
	{
		CHECK_FOR_INTERRUPTS();
		swept->node = omendb_candidate_node(sweep->next);
		swept->low = omendb_candidate_estimate(sweep->next);
		swept->late = sweep->late;
		read_ahead(sweep);
		swept->next_low =
			sweep->has_next ? omendb_candidate_estimate(sweep->next) : get_float8_infinity();
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
