/*
 * hnswcalibrate.c
 *	  Measures which ef gives which recall, on the index's own rows (hnswmeasure.h), over its pages.
 *
 * 1. take_sample: some nodes, spread evenly over the index, are the queries.
 * 2. find_truth: all records are read once for the distances of each query's nearest nodes.
 * 3. measure_curve: each query is searched for.
 *
 * By one process: a vacuum, or the end of a build whose records are not in memory any more, or are
 * spanning ones.
 * (A build in memory has a measurement of its own, build/hnswrecall.c, with the same result.)
 *
 * Holds one page lock at a time, in share mode, and none between two steps of a search.
 */
#include "am/hnswcalibrate.h"

#include <math.h>

#include "am/hnsw.h"
#include "am/hnswmeasure.h"
#include "compat.h"
#include "graph/truth.h"
#include "page/change.h"
#include "utils/memutils.h"

/* Share of rows inserted or removed after which the recall is measured again. */
#define CHANGED_SHARE 0.2

/* The queries. */
typedef struct Sample
{
	uint32 n;
	OmendbNode *nodes;
	OmendbRecord **records; /* headers and own vectors */
} Sample;

/* Copy the first node with rows of the slots from..to - 1. False if there is none. */
static bool
copy_query(OmendbStore *store, uint64 from, uint64 to, OmendbNode *node, OmendbRecord *copy)
{
	for (; from < to; from++)
	{
		*node = (OmendbNode) from;
		omendb_vacuum_delay_point(); /* checks for interrupts, too */
		if (omendb_record_copy_own_any(store, *node, 0, copy) && hnsw_is_measured(copy))
			return true;
	}
	return false;
}

/* Take one node of each of as many equal parts of the index as queries are wanted. */
static void
take_sample(OmendbStore *store, BlockNumber blocks, Sample *sample)
{
	const OmendbCodec *codec = &store->index->codec;
	uint64 slots = (uint64) (blocks - OMENDB_FIRST_BLOCK) * codec->layout.per_page;
	uint32 wanted = hnsw_measure_queries(codec, slots);
	OmendbRecord *copy = palloc(codec->layout.head_bytes);

	sample->n = 0;
	sample->nodes = palloc(wanted * sizeof(OmendbNode));
	sample->records = palloc(wanted * sizeof(OmendbRecord *));
	for (uint32 i = 0; i < wanted; i++)
	{
		uint64 from;
		uint64 at;
		uint64 to;
		Size bytes;

		hnsw_measure_places(store->index->meta.seed, slots, i, wanted, &from, &at, &to);
		if (!copy_query(store, at, to, &sample->nodes[sample->n], copy) &&
			!copy_query(store, from, at, &sample->nodes[sample->n], copy))
			continue;
		bytes = omendb_head_size(&codec->layout, copy);
		sample->records[sample->n++] = memcpy(palloc(bytes), copy, bytes);
	}
}

/* Read all records, and compare each with all queries. */
static void
find_truth(OmendbStore *store, BlockNumber blocks, BufferAccessStrategy strategy,
		   OmendbTruth *truth)
{
	const OmendbLayout *layout = &store->index->codec.layout;

	for (BlockNumber block = OMENDB_FIRST_BLOCK; block < blocks; block++)
	{
		Buffer buffer;

		omendb_vacuum_delay_point();
		buffer = omendb_store_lock_by(store, block, BUFFER_LOCK_SHARE, strategy);
		if (!BufferIsValid(buffer))
			continue;
		for (uint32 slot = 0; slot < layout->per_page; slot++)
		{
			OmendbRecord *record = omendb_page_record(layout, BufferGetPage(buffer), slot);

			if (hnsw_is_measured(record))
				omendb_truth_add(truth, omendb_block_node(layout, block, slot), record);
		}
		UnlockReleaseBuffer(buffer);
	}
	omendb_truth_finish(truth);
}

static void
measure_curve(OmendbStore *store, const OmendbTruth *truth, OmendbCurve *curve)
{
	const OmendbLayout *layout = &store->index->codec.layout;
	HnswHidden hidden = {&omendb_store_ops, store, OMENDB_NO_NODE};
	HnswMeasured *measured = palloc0(truth->n * sizeof(HnswMeasured));
	float nearest[OMENDB_CURVE_MANY];
	OmendbSearch search;
	HnswSteps steps;

	hnsw_measure_steps(&steps, layout);
	omendb_search_init(&search, &hnsw_hidden_ops, &hidden, &omendb_palloc_allocator,
					   omendb_layout_is_coded(layout));
	for (uint32 i = 0; i < truth->n; i++)
	{
		HnswTrial trial = {.query = &truth->queries[i], .nearest = nearest};

		omendb_vacuum_delay_point();
		hidden.node = truth->nodes[i];
		if (!omendb_index_entry(store, &trial.entry, &trial.entry_level))
			continue;
		trial.upper_beam = omendb_meta_upper_beam(&store->index->meta);
		trial.found = omendb_truth_nearest(truth, 1, i, nearest);
		hnsw_measure(&steps, &search, &trial, i, truth->n, &measured[i]);
	}
	hnsw_measure_curve(&steps, measured, truth->n, curve);
	omendb_search_free(&search);
}

void
hnsw_calibrate(Relation index, double rows, BufferAccessStrategy strategy)
{
	MemoryContext context =
		AllocSetContextCreate(CurrentMemoryContext, "hnsw calibration", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	OmendbStore store = {.relation = index, .index = omendb_index_open(index)};
	const OmendbCodec *codec = &store.index->codec;
	BlockNumber blocks = RelationGetNumberOfBlocks(index);
	OmendbCalibration calibration = {0};
	Sample sample;

	store.requests = omendb_store_may_request(index);
	take_sample(&store, blocks, &sample);
	if (sample.n > 0)
	{
		OmendbTruth truth;
		void *memory = palloc_extended(omendb_truth_bytes(codec, sample.n, OMENDB_CURVE_MANY),
									   MCXT_ALLOC_HUGE);

		omendb_truth_init(&truth, codec, sample.n, OMENDB_CURVE_MANY, sample.nodes,
						  (const OmendbRecord *const *) sample.records, memory);
		find_truth(&store, blocks, strategy, &truth);
		measure_curve(&store, &truth, &calibration.curve);
		calibration.queries = sample.n;
		calibration.rows = (uint64) rows;
	}
	omendb_meta_put_calibration(&store, &calibration);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}

void
hnsw_calibrate_again(Relation index, double rows, double removed, BufferAccessStrategy strategy)
{
	OmendbStore store = {.relation = index, .index = omendb_index_peek(index)};
	OmendbCalibration calibration;
	double inserted;

	if (!omendb_index_calibration(&store, &calibration))
	{
		if (rows > 0)
			hnsw_calibrate(index, rows, strategy);
		return;
	}
	if (removed > 0)
	{
		calibration.removed += (uint64) removed;
		omendb_meta_put_calibration(&store, &calibration);
	}
	inserted = Max(rows + calibration.removed - calibration.rows, 0);
	if (inserted + calibration.removed > CHANGED_SHARE * calibration.rows)
		hnsw_calibrate(index, rows, strategy);
}

/* No first round is wider because of LIMIT alone. The maximum of hnsw.ef_search. */
#define MAX_EF_FOR_ROWS 1000

/* Nodes beyond the rows wanted. */
#define EXTRA_NODES 5

int
hnsw_ef_for(OmendbStore *store, double k)
{
	OmendbCalibration calibration;

	if (hnsw_recall_target == 0 || !omendb_index_calibration(store, &calibration))
		return hnsw_ef_search;
	k = k > 0 ? k : OMENDB_CURVE_FEW;
	/*
	 * A low target may call for fewer nodes than rows are wanted. One round is to return them all,
	 * and some for rows in doubt.
	 */
	return Max(omendb_curve_ef(&calibration.curve, hnsw_recall_target, k),
			   (int) Min(k + EXTRA_NODES, MAX_EF_FOR_ROWS));
}
