/*
 * hnswcalibrate.c
 *	  Measures which ef gives which recall, on the index's own rows.
 *
 * 1. take_sample: some nodes, spread evenly over the index, are the queries.
 * 2. find_truth: all records are read once for the distances of each query's nearest nodes.
 * 3. measure_curve: each query is searched by one ef after another, as a scan does. The query's
 *	  own node is hidden from its search, because a user's query has no node either. The curve is
 *	  the mean share of the nearest nodes that were missed.
 *
 * The error of a mean is that of a sample, and recalls of single queries deviate less where the
 * recall is high (bench/README.md, "Constants of a scan"). So all queries are searched by a small
 * ef, which is cheap, and some by a large one.
 *
 * Holds one page lock at a time, in share mode, and none between two steps of a search.
 */
#include "am/hnswcalibrate.h"

#include <math.h>

#include "am/hnsw.h"
#include "compat.h"
#include "graph/truth.h"
#include "page/change.h"
#include "utils/memutils.h"

/* One query for this many slots of records, but no fewer and no more than these. */
#define SLOTS_PER_QUERY 300
#define MIN_QUERIES     50
#define MAX_QUERIES     300

/* Maximum memory that the queries take, in bytes. */
#define MAX_QUERY_BYTES (32 * 1024 * 1024)

/* Minimum ef that is measured. */
#define MIN_MEASURED_EF 16

/* Steps by which all queries are searched; one of ALL_STEPS_QUERY queries is searched by all steps. */
#define COMMON_STEPS    7
#define ALL_STEPS_QUERY 10

/* Share of rows inserted or removed after which the recall is measured again. */
#define CHANGED_SHARE 0.2

/* The queries. */
typedef struct Sample
{
	uint32 n;
	OmendbNode *nodes;
	OmendbRecord **records; /* headers and own vectors */
} Sample;

/* The graph without one node, for a search. */
typedef struct Hidden
{
	OmendbStore store; /* first: the graph's operations get this struct */
	OmendbNode node;
} Hidden;

static bool
hidden_visit(void *context, OmendbNode node, unsigned level, const OmendbQuery *query,
			 OmendbStep *step)
{
	return node != ((Hidden *) context)->node &&
		   omendb_store_ops.visit(context, node, level, query, step);
}

static bool
hidden_distance(void *context, OmendbNode node, unsigned level, const OmendbQuery *query,
				float *distance)
{
	return node != ((Hidden *) context)->node &&
		   omendb_store_ops.distance(context, node, level, query, distance);
}

static bool
hidden_prefetch(void *context, OmendbNode node)
{
	return omendb_store_ops.prefetch(context, node);
}

static bool
hidden_request(void *context, OmendbNode node)
{
	return omendb_store_ops.request(context, node);
}

static const OmendbGraphOps hidden_ops = {hidden_visit, hidden_distance, hidden_prefetch,
										  hidden_request};

static inline bool
is_node_with_rows(const OmendbRecord *record)
{
	return record->kind == OMENDB_RECORD_NODE && record->level == 0 &&
		   !(record->flags & OMENDB_RECORD_DEAD);
}

/* Copy the first node with rows of the slots from..to - 1. False if there is none. */
static bool
copy_query(OmendbStore *store, uint64 from, uint64 to, OmendbNode *node, OmendbRecord *copy)
{
	for (; from < to; from++)
	{
		*node = (OmendbNode) from;
		omendb_vacuum_delay_point(); /* checks for interrupts, too */
		if (omendb_record_copy_own_any(store, *node, 0, copy) && is_node_with_rows(copy))
			return true;
	}
	return false;
}

/* Take one node of each of as many equal parts of the index as queries are wanted. */
static void
take_sample(OmendbStore *store, BlockNumber blocks, Sample *sample)
{
	const OmendbLayout *layout = &store->index->codec.layout;
	uint64 slots = (uint64) (blocks - OMENDB_FIRST_BLOCK) * layout->per_page;
	uint64 wanted = Min(Max(slots / SLOTS_PER_QUERY, MIN_QUERIES), MAX_QUERIES);
	OmendbRecord *copy = palloc(layout->head_bytes);

	/* omendb_query_bytes is 0 for bits: such a query refers to the record. */
	wanted = Min(wanted, MAX_QUERY_BYTES / (omendb_query_bytes(&store->index->codec) + 1));
	wanted = Min(wanted, slots);
	sample->n = 0;
	sample->nodes = palloc(wanted * sizeof(OmendbNode));
	sample->records = palloc(wanted * sizeof(OmendbRecord *));
	for (uint64 i = 0; i < wanted; i++)
	{
		uint64 from = slots * i / wanted;
		uint64 to = slots * (i + 1) / wanted;
		Size bytes;
		/* A random place: not the same slot of every page, nor the first row of each INSERT. */
		uint64 at = from + omendb_hash64(store->index->meta.seed + i) % (to - from);

		if (!copy_query(store, at, to, &sample->nodes[sample->n], copy) &&
			!copy_query(store, from, at, &sample->nodes[sample->n], copy))
			continue;
		bytes = omendb_head_size(layout, copy);
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

			if (is_node_with_rows(record))
				omendb_truth_add(truth, omendb_block_node(layout, block, slot), record);
		}
		UnlockReleaseBuffer(buffer);
	}
	omendb_truth_finish(truth);
}

/*
 * One query's search in steps, each of which has a width and the ef that it stands for.
 *
 * A search with a narrower beam visits the same nodes in the same order, but rests earlier: when
 * all entries that the narrower beam would have were visited. So one search by the width of the
 * last common step shows what each narrower one finds. Wider beams are made by widening. They
 * lack a few in a hundred entries that a beam of that width has from the beginning: visited
 * entries that were dropped from the narrower beam.
 */
typedef struct Steps
{
	uint32 n;
	uint32 ef[OMENDB_CURVE_POINTS];
	uint32 width[OMENDB_CURVE_POINTS];

	/* of the current query, after each step */
	bool settled[OMENDB_CURVE_POINTS];
	uint32 visited[OMENDB_CURVE_POINTS];
	double missed[OMENDB_CURVE_POINTS][2]; /* share of the OMENDB_CURVE_FEW and _MANY nearest */

	/* of all queries that did this step */
	uint32 queries[OMENDB_CURVE_POINTS];
	double sum[OMENDB_CURVE_POINTS][2];
} Steps;

/* Set the widths to those of a search that is widened until it settles, and the ef of each. */
static void
make_steps(Steps *steps, const OmendbLayout *layout)
{
	uint32 ef = MIN_MEASURED_EF;

	memset(steps, 0, sizeof(*steps));
	for (uint32 i = 0; i < OMENDB_CURVE_POINTS; i++)
	{
		uint32 width =
			i == 0 ? hnsw_beam_width(layout, ef) : omendb_search_wider(steps->width[i - 1]);

		while (hnsw_beam_width(layout, ef + 1) <= width)
			ef++;
		steps->ef[i] = ef;
		steps->width[i] = width;
	}
	steps->n = OMENDB_CURVE_POINTS;
}

/* The share of the k nearest nodes that the search has not visited yet. */
static double
missed_share(const OmendbSearch *search, const OmendbTruth *truth, uint32 query, uint32 k)
{
	uint32 all = Min(k, truth->found[query]);
	float farthest = omendb_truth_distance(truth, query, all);
	uint32 found = 0;

	if (all == 0)
		return 0;
	for (size_t i = 0; i < search->visited_used && found < all; i++)
		found += search->visited[i].payload.live && search->visited[i].distance <= farthest;
	return 1 - (double) found / all;
}

/*
 * Search a query by at least `required` steps, and go on until a search that began with the last
 * of them has settled and visited as many nodes as its ef; or until nothing is missed. Returns
 * the number of steps done: 0 if the search found no node but the hidden one.
 */
static uint32
search_in_steps(Steps *steps, OmendbSearch *search, const OmendbTruth *truth, uint32 query,
				uint32 required)
{
	Hidden *hidden = search->store;
	OmendbNode entry;
	unsigned level;
	uint32 i = 0;

	hidden->node = truth->nodes[query];
	if (!omendb_index_entry(&hidden->store, &entry, &level))
		return 0;
	omendb_search_descend(search, &truth->queries[query], entry, level,
						  omendb_meta_upper_beam(&hidden->store.index->meta),
						  steps->width[COMMON_STEPS - 1], SIZE_MAX);
	for (;; i++)
	{
		omendb_search_widen(search, steps->width[i]);
		search->beam.rest = steps->width[i];
		omendb_search_run(search);
		if (search->visited_used == 0 && truth->found[query] > 0)
			return 0;
		steps->visited[i] = (uint32) search->visited_used;
		steps->settled[i] = omendb_search_is_settled(search);
		steps->missed[i][0] = missed_share(search, truth, query, OMENDB_CURVE_FEW);
		steps->missed[i][1] = missed_share(search, truth, query, OMENDB_CURVE_MANY);
		if (i + 1 == steps->n || (i + 1 >= required && steps->settled[i] &&
								  steps->visited[i] >= steps->ef[required - 1]))
			return i + 1;
		if (steps->settled[i] && steps->missed[i][0] == 0 && steps->missed[i][1] == 0)
			break;
	}
	/* A wider beam misses nothing, too. */
	for (uint32 next = i + 1; next < steps->n; next++)
	{
		steps->visited[next] = UINT32_MAX;
		steps->settled[next] = true;
		steps->missed[next][0] = steps->missed[next][1] = 0;
	}
	return steps->n;
}

/*
 * Add what searches of the query missed that began at each of the first `required` steps. A search
 * that began at a step ends at the first step from there on where it has settled, or is widened
 * no further, and has visited as many nodes as its ef.
 */
static void
add_missed(Steps *steps, uint32 done, uint32 required)
{
	for (uint32 from = 0; from < Min(done, required); from++)
	{
		uint32 i = from;

		while (i + 1 < done && ((!steps->settled[i] &&
								 steps->width[i] < OMENDB_MAX_WIDENING * steps->width[from]) ||
								steps->visited[i] < steps->ef[from]))
			i++;
		steps->queries[from]++;
		steps->sum[from][0] += steps->missed[i][0];
		steps->sum[from][1] += steps->missed[i][1];
	}
}

static void
measure_curve(OmendbStore *store, const OmendbTruth *truth, OmendbCurve *curve)
{
	const OmendbLayout *layout = &store->index->codec.layout;
	Hidden hidden = {*store, OMENDB_NO_NODE};
	OmendbSearch search;
	Steps steps;

	make_steps(&steps, layout);
	omendb_search_init(&search, &hidden_ops, &hidden, &omendb_palloc_allocator,
					   omendb_layout_is_coded(layout));
	for (uint32 i = 0; i < truth->n; i++)
	{
		uint32 required =
			i % ALL_STEPS_QUERY == 0 || truth->n < MIN_QUERIES ? steps.n : COMMON_STEPS;

		omendb_vacuum_delay_point();
		add_missed(&steps, search_in_steps(&steps, &search, truth, i, required), required);
	}
	for (uint32 i = 0; i < steps.n && steps.queries[i] > 0; i++)
		omendb_curve_add(curve, steps.ef[i], (float) (steps.sum[i][0] / steps.queries[i]),
						 (float) (steps.sum[i][1] / steps.queries[i]));
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
