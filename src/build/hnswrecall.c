/*
 * hnswrecall.c
 *	  Measures the recall of searches over the records in memory: what each process does.
 *
 * Nothing is locked. Records do not change any more. Processes take records, truths and queries by
 * atomic counters or as positions of a task (hnswtask.h); what they find of a query is added up
 * by the leader, in the order of queries.
 */
#include "build/hnswrecall.h"

#include "am/hnswmeasure.h"
#include "commands/progress.h"
#include "graph/truth.h"
#include "miscadmin.h"
#include "page/store.h"
#include "pgstat.h"
#include "port/atomics.h"
#include "utils/backend_progress.h"

/* Records that a process compares at a time. */
#define COMPARED_AT_A_TIME 256

/* Records by which the processor's cache is ahead. */
#define AHEAD 2

struct HnswRecall
{
	OmendbNode entry;
	unsigned entry_level;
	uint32 upper_beam;
	HnswSteps steps;
	uint32 n; /* queries */
	Size truth_bytes;
	pg_atomic_uint32 next;   /* the first record that no process has taken */
	pg_atomic_uint32 truths; /* begun */
};

struct HnswSearcher
{
	OmendbArray *array;
	HnswHidden hidden;
	OmendbSearch search;
	OmendbQuery query;
	void *query_memory;
	OmendbTruth *truths;
	float *nearest; /* of all truths, of one query */
	uint32 ntruths; /* 0: not attached yet */
};

/* The arrays of a measurement. */
typedef struct Arrays
{
	OmendbNode *nodes;      /* n: the queries */
	HnswMeasured *measured; /* n */
	uint8 *truths;          /* truth_bytes each */
} Arrays;

/* Point the arrays into memory; NULL: only count. Returns the bytes before the truths. */
static Size
carve(uint8 *memory, uint32 n, Arrays *arrays)
{
	Size nodes = TYPEALIGN(64, sizeof(HnswRecall));
	Size measured = TYPEALIGN(64, nodes + n * sizeof(OmendbNode));
	Size truths = TYPEALIGN(64, measured + n * sizeof(HnswMeasured));

	if (memory)
	{
		arrays->nodes = (OmendbNode *) (memory + nodes);
		arrays->measured = (HnswMeasured *) (memory + measured);
		arrays->truths = memory + truths;
	}
	return truths;
}

static Arrays
arrays_of(const HnswRecall *recall)
{
	Arrays arrays;

	(void) carve((uint8 *) recall, recall->n, &arrays);
	return arrays;
}

static Size
truth_bytes(const OmendbCodec *codec, uint32 n)
{
	return TYPEALIGN(64, omendb_truth_bytes(codec, n, OMENDB_CURVE_MANY));
}

Size
hnsw_recall_bytes(const OmendbCodec *codec, uint32 n, uint32 truths)
{
	return carve(NULL, n, NULL) + truths * truth_bytes(codec, n);
}

/* Find the first node with rows of the slots from .. to - 1. False if there is none. */
static bool
find_node(const OmendbArray *array, uint64 from, uint64 to, OmendbNode *node)
{
	for (; from < Min(to, array->n); from++)
	{
		*node = (OmendbNode) from;
		if (from % 4096 == 0)
			CHECK_FOR_INTERRUPTS();
		if (hnsw_is_measured(omendb_array_record(array, *node)))
			return true;
	}
	return false;
}

uint32
hnsw_recall_sample(const OmendbArray *array, uint64 seed, OmendbNode **nodes)
{
	uint32 per_page = array->codec->layout.per_page;
	/* Of whole pages: record i is in slot i. (Not so of spanning records, which are not measured here.) */
	uint64 slots = ((uint64) array->n + per_page - 1) / per_page * per_page;
	uint32 wanted = hnsw_measure_queries(array->codec, slots);
	uint32 n = 0;

	*nodes = palloc(Max(wanted, 1) * sizeof(OmendbNode));
	for (uint32 i = 0; i < wanted; i++)
	{
		uint64 from;
		uint64 at;
		uint64 to;

		hnsw_measure_places(seed, slots, i, wanted, &from, &at, &to);
		n += find_node(array, at, to, &(*nodes)[n]) || find_node(array, from, at, &(*nodes)[n]);
	}
	return n;
}

HnswRecall *
hnsw_recall_begin(void *memory, const OmendbArray *array, const OmendbMetaPage *meta,
				  const OmendbNode *nodes, uint32 n)
{
	HnswRecall *recall = memory;

	memset(recall, 0, sizeof(*recall));
	recall->entry = meta->entry;
	recall->entry_level = meta->entry_level;
	recall->upper_beam = omendb_meta_upper_beam(meta);
	hnsw_measure_steps(&recall->steps, &array->codec->layout);
	recall->n = n;
	recall->truth_bytes = truth_bytes(array->codec, n);
	pg_atomic_init_u32(&recall->next, 0);
	pg_atomic_init_u32(&recall->truths, 0);
	memcpy(arrays_of(recall).nodes, nodes, n * sizeof(OmendbNode));
	return recall;
}

/* Begin a truth in the next truth's memory. */
static void
begin_truth(HnswRecall *recall, const OmendbArray *array, OmendbTruth *truth)
{
	Arrays arrays = arrays_of(recall);
	uint32 number = pg_atomic_fetch_add_u32(&recall->truths, 1);
	const OmendbRecord **records = palloc(recall->n * sizeof(OmendbRecord *));

	for (uint32 i = 0; i < recall->n; i++)
		records[i] = omendb_array_record(array, arrays.nodes[i]);
	omendb_truth_init(truth, array->codec, recall->n, OMENDB_CURVE_MANY, arrays.nodes, records,
					  arrays.truths + number * recall->truth_bytes);
	pfree(records);
}

/* Prefetch what a comparison reads. */
static inline void
prefetch(const OmendbLayout *layout, const OmendbRecord *record)
{
	for (uint32 i = 0; i < layout->neighbours_offset; i += 64)
		__builtin_prefetch((const char *) record + i, 0, 2);
}

static void
compare(const OmendbArray *array, OmendbTruth *truth, uint32 from, uint32 to)
{
	for (OmendbNode node = from; node < to; node++)
	{
		const OmendbRecord *record = omendb_array_record(array, node);

		/* Plain layouts compute the distances of all queries. */
		CHECK_FOR_INTERRUPTS();
		if (node + AHEAD < array->n)
			prefetch(&array->codec->layout, omendb_array_record(array, node + AHEAD));
		if (hnsw_is_measured(record))
			omendb_truth_add(truth, node, record);
	}
}

void
hnsw_recall_compare(HnswRecall *recall, const OmendbArray *array, bool report)
{
	OmendbTruth truth;
	uint32 from = pg_atomic_fetch_add_u32(&recall->next, COMPARED_AT_A_TIME);

	/* Too late: others have taken all records. */
	if (from >= array->n)
		return;
	begin_truth(recall, array, &truth);
	for (; from < array->n; from = pg_atomic_fetch_add_u32(&recall->next, COMPARED_AT_A_TIME))
	{
		compare(array, &truth, from, Min(from + COMPARED_AT_A_TIME, array->n));
		if (report)
			pgstat_progress_update_param(PROGRESS_CREATEIDX_TUPLES_DONE, from);
	}
	omendb_truth_finish(&truth);
}

HnswSearcher *
hnsw_searcher_create(OmendbArray *array)
{
	HnswSearcher *searcher = palloc0(sizeof(HnswSearcher));

	searcher->array = array;
	searcher->hidden = (HnswHidden){&omendb_array_ops, array, OMENDB_NO_NODE};
	omendb_search_init(&searcher->search, &hnsw_hidden_ops, &searcher->hidden,
					   &omendb_palloc_allocator, omendb_layout_is_coded(&array->codec->layout));
	searcher->query_memory = palloc(omendb_query_bytes(array->codec) + 64);
	omendb_query_init(&searcher->query, array->codec,
					  (void *) TYPEALIGN(64, searcher->query_memory));
	return searcher;
}

void
hnsw_searcher_free(HnswSearcher *searcher)
{
	omendb_search_free(&searcher->search);
	pfree(searcher->query_memory);
	if (searcher->ntruths > 0)
	{
		pfree(searcher->truths);
		pfree(searcher->nearest);
	}
	pfree(searcher);
}

/* Attach the truths of all processes. */
static void
attach_truths(HnswRecall *recall, HnswSearcher *searcher)
{
	Arrays arrays = arrays_of(recall);
	uint32 n = pg_atomic_read_u32(&recall->truths);

	searcher->truths = palloc(n * sizeof(OmendbTruth));
	searcher->nearest = palloc(n * OMENDB_CURVE_MANY * sizeof(float));
	for (uint32 i = 0; i < n; i++)
		omendb_truth_attach(&searcher->truths[i], searcher->array->codec, recall->n,
							OMENDB_CURVE_MANY, arrays.truths + i * recall->truth_bytes);
	searcher->ntruths = n;
}

void
hnsw_recall_search(HnswRecall *recall, HnswSearcher *searcher, uint32 i)
{
	Arrays arrays = arrays_of(recall);
	OmendbNode node = arrays.nodes[i];
	HnswTrial trial = {.query = &searcher->query,
					   .entry = recall->entry,
					   .entry_level = recall->entry_level,
					   .upper_beam = recall->upper_beam};

	if (searcher->ntruths == 0)
		attach_truths(recall, searcher);
	omendb_query_set_record(&searcher->query, omendb_array_record(searcher->array, node));
	searcher->hidden.node = node;
	trial.found = omendb_truth_nearest(searcher->truths, searcher->ntruths, i, searcher->nearest);
	trial.nearest = searcher->nearest;
	hnsw_measure(&recall->steps, &searcher->search, &trial, i, recall->n, &arrays.measured[i]);
}

void
hnsw_recall_curve(const HnswRecall *recall, OmendbCurve *curve)
{
	hnsw_measure_curve(&recall->steps, arrays_of(recall).measured, recall->n, curve);
}
