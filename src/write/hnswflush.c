/*
 * hnswflush.c
 *	  Inserts the rows of a batch.
 *
 * The rows of a batch are made nodes of level 0 together, so that a page that gets edges to several of
 * them is changed and logged once:
 *
 *	1. Rows of upper levels, one of 64, are inserted one by one, as all rows are of a plain layout.
 *	   Of rows with equal vectors one is inserted; the others' TIDs are added to its node at the end.
 *	2. A graph of the batch's rows is built in memory, as CREATE INDEX does (graph/build.h). It gives the
 *	   rows of the batch that are near a row, and the order of the next step.
 *	3. Each row is searched for in the index, from the entry point or from the neighbours of a near row of
 *	   the batch. Its neighbours are chosen from visited nodes and from near
 *	   rows of the batch, those that were searched for before: the first row of a new cluster has no near one,
 *	   and connects the cluster with the index. Nothing is written, except the TID of a row whose vector the index has.
 *	4. Rows of the batch take reverse edges from each other, in memory: nothing leads to them yet.
 *	5. The records are written, each page once; then edges to records that had no number yet.
 *	6. Nodes of the index take reverse edges: all offers to the nodes of a page in one change, with
 *	   detours for the edges that are replaced.
 *	7. A row to which no edge leads from the index, nor from a row that is reached, gets one by force.
 *
 * Each change by itself keeps what src/README.md promises ("Nothing is lost").
 *
 * Locks: the lock on the metapage's number is held in share mode from step 2 on, as an insert
 * of one row holds it. Page locks are those of single reads and changes.
 */
#include "write/hnswflushwork.h"

#include "graph/build.h"
#include "miscadmin.h"
#include "page/tids.h"
#include "storage/lmgr.h"
#include "utils/memutils.h"

/*
 * Rows that are inserted together are no more than the nodes that the index has room for already, or this
 * number: their neighbours are searched for among those nodes.
 */
#define MOST_AT_FIRST 64

/* Minimum number of rows that are inserted together. */
#define FEWEST_TOGETHER 8

/* Of fewer edges a node takes over too many of its neighbours (hnswedges.h), which only a row by itself can. */
#define TOGETHER_LEAST_M 8

/* Candidates of a row, the nearest that the search visited or that the batch has. */
#define POOL 128

/*
 * A row is searched for from the neighbours of a near row of the batch, if the squared distance of the two
 * is from LEAST_NEAR to MOST_NEAR times the one from the near row to its nearest node of the index. A
 * farther row may be elsewhere. A nearer one is in a cluster that the index does not have: its rows
 * connect the cluster with several parts of the index only if each is searched for from the entry point.
 */
#define LEAST_NEAR .25F
#define MOST_NEAR  3.F

/* The beam of such a search: it begins where a wider one has been. */
#define NEAR_WIDTH(width) ((width) *5 / 8)

/* ef_construction of the graph of the batch's rows: all of its edges are candidates only. */
#define BATCH_EF 16

Size
hnsw_flush_bytes(const OmendbIndex *open)
{
	const OmendbLayout *layout = &open->codec.layout;

	if (!omendb_layout_is_coded(layout))
		return layout->head_bytes;
	return layout->neighbours_offset + omendb_array_stride(layout) +
		   omendb_build_bytes(layout, 4096, BATCH_EF) / 4096 + layout->m * sizeof(HnswOffer) + 64;
}

/* Insert a row by itself, up to that level. */
static void
insert_alone(Relation index, const OmendbRecord *row, unsigned level)
{
	MemoryContext context =
		AllocSetContextCreate(CurrentMemoryContext, "hnsw insert", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);

	CHECK_FOR_INTERRUPTS();
	hnsw_insert_row(hnsw_insert_create(index, omendb_index_open(index)), row, level);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}

/* ---------------------------------------------------------------- the batch's own graph */

static void
make_array(HnswFlush *flush, uint32 n)
{
	Size bytes = n * omendb_array_stride(&flush->open->codec.layout);
	uint32 shift = 0;

	while ((UINT64CONST(1) << shift) < n)
		shift++;
	flush->array.codec = &flush->open->codec;
	flush->array.chunk_shift = shift;
	flush->array.n = n;
	flush->array.chunks = palloc(sizeof(uint8 *));
	flush->array.chunks[0] =
		(uint8 *) TYPEALIGN(64, MemoryContextAllocHuge(CurrentMemoryContext, bytes + 64));
	memset(flush->array.chunks[0], 0, bytes);
}

/* For OmendbBuildLevel. */
static void
check_interrupts(void)
{
	CHECK_FOR_INTERRUPTS();
}

/* Step 2. Afterwards the records have their neighbours in the batch. */
static void
build_batch_graph(HnswFlush *flush)
{
	OmendbBuildLevel *level = palloc0(sizeof(OmendbBuildLevel));
	OmendbBuilder *builder = omendb_builder_create(&flush->array, &omendb_palloc_allocator);
	char *memory;

	level->array = &flush->array;
	level->n = flush->n;
	level->edges = flush->open->codec.layout.edges;
	level->options = (OmendbBuildOptions){
		.ef_construction = BATCH_EF, .beam = BATCH_EF, .neighbours_only = true};
	level->interrupt = check_interrupts;
	memory = MemoryContextAllocHuge(CurrentMemoryContext, omendb_build_prepare(level) + 64);
	omendb_build_attach(level, (void *) TYPEALIGN(64, memory));
	while (omendb_build_next(builder, level) && level->phase != OMENDB_BUILD_DONE)
		for (uint32 at = 0, size = omendb_build_phase_size(level); at < size; at++)
		{
			CHECK_FOR_INTERRUPTS();
			omendb_build_chunk(builder, level, at, at + 1);
		}
	memcpy(flush->order, level->order, flush->n * sizeof(uint32));
	omendb_builder_free(builder);
	pfree(memory);
	pfree(level);
}

/* ---------------------------------------------------------------- neighbours */

static void
add_offer(HnswFlush *flush, OmendbNode target, uint32 row, float distance)
{
	if (flush->noffers == flush->offers_capacity)
	{
		flush->offers_capacity = Max(1024, 2 * flush->offers_capacity);
		flush->offers =
			flush->offers ? repalloc_huge(flush->offers, flush->offers_capacity * sizeof(HnswOffer))
						  : palloc(flush->offers_capacity * sizeof(HnswOffer));
	}
	flush->offers[flush->noffers++] = (HnswOffer){target, row, distance};
}

/* Move the k nearest of n candidates to the front, in any order. */
static void
select_nearest(OmendbSelectCandidate *c, uint32 n, uint32 k)
{
	uint32 low = 0;
	uint32 high = n;

	while (high - low > 1)
	{
		float pivot = c[low + (high - low) / 2].distance;
		uint32 i = low;
		uint32 j = high - 1;

		for (;;)
		{
			OmendbSelectCandidate swap;

			while (c[i].distance < pivot)
				i++;
			while (c[j].distance > pivot)
				j--;
			if (i >= j)
				break;
			swap = c[i];
			c[i++] = c[j];
			c[j--] = swap;
		}
		/* No candidate before i is farther than the pivot, none from i on is nearer. */
		if (k <= i)
		{
			if (high == i)
				return;
			high = i;
		}
		else
			low = i == j ? i + 1 : i;
	}
}

/* For omendb_choose: a candidate of the search, or a row of the batch. */
static const OmendbRecord *
candidate_record(void *context, const OmendbSelectCandidate *candidate)
{
	HnswFlush *flush = context;

	if (candidate->node & HNSW_OF_BATCH)
		return hnsw_flush_record(flush, candidate->node & ~HNSW_OF_BATCH);
	return hnsw_visited_record(flush->insert, candidate->tag);
}

/* The squared length of the difference between two vectors at that distance. */
static float
squared_length(const OmendbCodec *codec, float norm2_a, float norm2_b, float distance)
{
	return codec->layout.metric == OMENDB_METRIC_IP ? norm2_a + norm2_b + 2 * distance : distance;
}

/*
 * Choose the neighbours of row i from n near rows of the batch, whose distances are known, and the
 * visited nodes; offer reverse edges.
 */
static void
choose_neighbours(HnswFlush *flush, uint32 i, const OmendbSelectCandidate *near, uint32 nnear)
{
	HnswInsert *insert = flush->insert;
	const OmendbCodec *codec = &flush->open->codec;
	const OmendbLayout *layout = &codec->layout;
	OmendbChooser *chooser = &insert->chooser;
	OmendbRecord *record = hnsw_flush_record(flush, i);
	const OmendbVisited *nearest;
	uint16_t chosen[OMENDB_MAX_EDGES];
	size_t n = 0;

	if (omendb_search_nearest(&insert->search, 1, true, &nearest) > 0)
		flush->spans[i] =
			squared_length(codec, record->norm2, nearest->payload.norm2, nearest->distance);
	omendb_chooser_reserve(chooser, insert->search.visited_used + nnear + 1);
	for (size_t k = 0; k < insert->search.visited_used; k++)
	{
		const OmendbVisited *visited = &insert->search.visited[k];

		if (visited->payload.live)
			chooser->candidates[n++] =
				(OmendbSelectCandidate){visited->distance, visited->node, (uint32) k};
	}
	for (uint32 k = 0; k < nnear; k++)
		chooser->candidates[n++] = near[k];
	if (n > POOL)
	{
		select_nearest(chooser->candidates, n, POOL);
		n = POOL;
	}
	omendb_chooser_set(chooser, record);
	n = omendb_choose(chooser, n, layout->edges, candidate_record, flush, chosen);
	record->count = (uint8) n;
	omendb_edge_clear(layout, record);
	for (uint32 k = 0; k < n; k++)
	{
		const OmendbSelectCandidate *candidate = &chooser->candidates[chosen[k]];

		omendb_edge_write(chooser, record, k, candidate->node, candidate_record(flush, candidate),
						  candidate->distance);
		/* Only the m nearest, as an insert of one row. */
		if (k < layout->m)
			add_offer(flush, candidate->node, i, candidate->distance);
	}
}

/* Add the row's TID to the node that has its vector. */
static bool
add_to_equal(HnswFlush *flush, OmendbNode node, const OmendbRecord *row)
{
	ItemPointerData tid;

	memcpy(&tid, row->tids, OMENDB_TID_BYTES);
	return omendb_record_add_tid(&flush->insert->store, node, row, &tid);
}

/*
 * List rows of the batch that are near row i and were searched for before, the nearest first. insert->query
 * is set to row i. Returns their number.
 */
static uint32
list_near_rows(const HnswFlush *flush, uint32 i, OmendbSelectCandidate *near)
{
	const OmendbLayout *layout = &flush->open->codec.layout;
	const OmendbRecord *record = hnsw_flush_record(flush, i);
	const OmendbNode *neighbours = omendb_record_neighbours(layout, record);
	uint32 n = 0;

	for (uint32 k = 0; k < record->count; k++)
	{
		float distance;
		uint32 at;

		if (!flush->searched[neighbours[k]])
			continue;
		distance =
			omendb_query_distance(&flush->insert->query, hnsw_flush_record(flush, neighbours[k]));
		for (at = n++; at > 0 && near[at - 1].distance > distance; at--)
			near[at] = near[at - 1];
		near[at] = (OmendbSelectCandidate){distance, neighbours[k] | HNSW_OF_BATCH, 0};
	}
	return n;
}

/*
 * List nodes of the index near row i: neighbours of the nearest rows of the batch that are as near to row i
 * as to the index. Returns their number, at most OMENDB_UPPER_BEAM.
 */
static uint32
list_start_nodes(const HnswFlush *flush, uint32 i, const OmendbSelectCandidate *near, uint32 nnear,
				 OmendbNode *from)
{
	const OmendbCodec *codec = &flush->open->codec;
	uint32 n = 0;

	for (uint32 k = 0; k < nnear; k++)
	{
		uint32 row = near[k].node & ~HNSW_OF_BATCH;
		const OmendbRecord *record = hnsw_flush_record(flush, row);
		const OmendbNode *neighbours = omendb_record_neighbours(&codec->layout, record);
		float distance = squared_length(codec, hnsw_flush_record(flush, i)->norm2, record->norm2,
										near[k].distance);

		if (!(distance >= LEAST_NEAR * flush->spans[row] &&
			  distance <= MOST_NEAR * flush->spans[row]))
			continue;
		for (uint32 e = 0; e < record->count; e++)
		{
			uint32 at = 0;

			if (neighbours[e] & HNSW_OF_BATCH)
				continue;
			while (at < n && from[at] != neighbours[e])
				at++;
			if (at < n)
				continue;
			from[n++] = neighbours[e];
			if (n == OMENDB_UPPER_BEAM)
				return n;
		}
	}
	return n;
}

/* Step 3 for row i. */
static void
find_neighbours(HnswFlush *flush, uint32 i, OmendbNode entry, unsigned entry_level, uint32 width)
{
	HnswInsert *insert = flush->insert;
	const OmendbLayout *layout = &flush->open->codec.layout;
	OmendbRecord *record = hnsw_flush_record(flush, i);
	OmendbSelectCandidate near[OMENDB_MAX_EDGES];
	OmendbNode from[OMENDB_UPPER_BEAM];
	uint32 nnear;
	uint32 nfrom;
	OmendbNode equal;

	CHECK_FOR_INTERRUPTS();
	omendb_query_set_record(&insert->query, record);
	nnear = list_near_rows(flush, i, near);
	nfrom = list_start_nodes(flush, i, near, nnear, from);
	flush->searched[i] = true;
	memset((char *) record + layout->neighbours_offset, 0,
		   layout->record_bytes - layout->neighbours_offset);
	record->count = 0;
	memcpy(insert->record, record, layout->neighbours_offset);
	if (!(nfrom > 0 ? hnsw_find_neighbours_from(insert, from, nfrom, NEAR_WIDTH(width))
					: hnsw_find_neighbours(insert, entry, entry_level, width)))
	{
		flush->states[i] = HNSW_ROW_LATER;
		return;
	}
	equal = hnsw_find_equal(insert);
	if (equal != OMENDB_NO_NODE && add_to_equal(flush, equal, record))
	{
		flush->states[i] = HNSW_ROW_EQUAL;
		flush->nodes[i] = equal;
		return;
	}
	choose_neighbours(flush, i, near, nnear);
}

/* ---------------------------------------------------------------- reverse edges in the batch */

static int
by_target(const void *a, const void *b)
{
	const HnswOffer *x = a;
	const HnswOffer *y = b;

	if (x->target != y->target)
		return x->target < y->target ? -1 : 1;
	if (x->distance != y->distance)
		return x->distance < y->distance ? -1 : 1;
	return x->row < y->row ? -1 : x->row > y->row;
}

/* Give row i of the batch the offered edge, if the edge is good enough. No edge leads to row i yet. */
static void
take_in_batch(HnswFlush *flush, uint32 i, const HnswOffer *offer)
{
	HnswInsert *insert = flush->insert;
	const OmendbLayout *layout = &flush->open->codec.layout;
	OmendbRecord *record = hnsw_flush_record(flush, i);
	OmendbNode to = offer->row | HNSW_OF_BATCH;
	uint32 slot = record->count;

	if (omendb_record_has_edge(layout, record, to))
		return;
	omendb_chooser_set(&insert->chooser, record);
	if (slot == layout->edges)
	{
		OmendbEdgeOption options[OMENDB_EDGE_OPTIONS];

		omendb_query_set_record(&insert->query, record);
		omendb_edge_options(&insert->chooser, &insert->query, record,
							hnsw_flush_record(flush, offer->row), offer->distance, false, options);
		slot = options[0].slot;
		if (slot == OMENDB_MAX_EDGES)
			return;
	}
	omendb_edge_write(&insert->chooser, record, slot, to, hnsw_flush_record(flush, offer->row),
					  offer->distance);
	record->count = Max(record->count, slot + 1);
}

/* Step 4. Leaves the offers to nodes of the index, sorted by their targets. */
static void
take_offers_in_batch(HnswFlush *flush)
{
	size_t left = 0;

	/* A row whose vector the index has is a node of the index. */
	for (size_t k = 0; k < flush->noffers; k++)
	{
		HnswOffer *offer = &flush->offers[k];

		if ((offer->target & HNSW_OF_BATCH) &&
			flush->states[offer->target & ~HNSW_OF_BATCH] == HNSW_ROW_EQUAL)
			offer->target = flush->nodes[offer->target & ~HNSW_OF_BATCH];
	}
	qsort(flush->offers, flush->noffers, sizeof(HnswOffer), by_target);
	for (size_t k = 0; k < flush->noffers; k++)
	{
		const HnswOffer *offer = &flush->offers[k];
		uint32 i = offer->target & ~HNSW_OF_BATCH;

		if (!(offer->target & HNSW_OF_BATCH))
			flush->offers[left++] = *offer;
		else if (flush->states[i] == HNSW_ROW_NEW)
			take_in_batch(flush, i, offer);
		if (k % 1024 == 0)
			CHECK_FOR_INTERRUPTS();
	}
	flush->noffers = left;
}

/* ---------------------------------------------------------------- the batch */

/* A row's vector, for finding equal ones. */
typedef struct RowKey
{
	uint64 identity;
	uint32 row;
} RowKey;

static int
by_identity(const void *a, const void *b)
{
	const RowKey *x = a;
	const RowKey *y = b;

	if (x->identity != y->identity)
		return x->identity < y->identity ? -1 : 1;
	return x->row < y->row ? -1 : x->row > y->row;
}

/* Set first[i] to the first row that has the same vector as row i. */
static void
find_equal_rows(const OmendbCodec *codec, const HnswRows *rows, uint32 *first)
{
	RowKey *keys = palloc(rows->n * sizeof(RowKey));

	for (uint32 i = 0; i < rows->n; i++)
	{
		const OmendbRecord *row = hnsw_row(rows, i);

		keys[i] = (RowKey){(uint64) row->identity[0] << 32 | row->identity[1], i};
		first[i] = i;
	}
	qsort(keys, rows->n, sizeof(RowKey), by_identity);
	for (uint32 k = 1, begin = 0; k < rows->n; k++)
	{
		if (keys[k].identity != keys[begin].identity)
			begin = k;
		else if (omendb_own_equal(codec, hnsw_row(rows, keys[k].row),
								  hnsw_row(rows, keys[begin].row)))
			first[keys[k].row] = keys[begin].row;
	}
	pfree(keys);
}

/*
 * Steps 2 to 7 for the rows of the array. False, with nothing done, if the graph has not begun.
 */
static bool
insert_together(HnswFlush *flush)
{
	const OmendbLayout *layout = &flush->open->codec.layout;
	uint32 width = hnsw_beam_width(layout, flush->open->meta.ef_construction);
	OmendbNode entry;
	unsigned entry_level;

	if (!omendb_index_entry(&flush->insert->store, &entry, &entry_level))
		return false;
	build_batch_graph(flush);
	for (uint32 k = 0; k < flush->n; k++)
		find_neighbours(flush, flush->order[k], entry, entry_level, width);
	take_offers_in_batch(flush);
	hnsw_write_rows(flush);
	hnsw_take_offers(flush);
	hnsw_reach_rows(flush);
	return true;
}

/* Insert rows whose level is 0. first: find_equal_rows. */
static void
insert_lowest(Relation index, const OmendbIndex *open, const HnswRows *rows, const uint8 *levels,
			  const uint32 *first)
{
	const OmendbLayout *layout = &open->codec.layout;
	HnswFlush *flush = palloc0(sizeof(HnswFlush));
	uint32 *places = palloc(rows->n * sizeof(uint32)); /* of rows in the array */
	uint32 n = 0;

	for (uint32 i = 0; i < rows->n; i++)
		if (levels[i] == 0 && first[i] == i)
			places[i] = n++;
	flush->index = index;
	flush->open = open;
	flush->n = n;
	make_array(flush, n);
	for (uint32 i = 0; i < rows->n; i++)
		if (levels[i] == 0 && first[i] == i)
		{
			OmendbRecord *record = hnsw_flush_record(flush, places[i]);

			memcpy(record, hnsw_row(rows, i), layout->neighbours_offset);
			record->level = 0;
			record->down = OMENDB_NO_NODE;
		}
	flush->states = palloc0(n);
	flush->nodes = palloc(n * sizeof(OmendbNode));
	memset(flush->nodes, 0xff, n * sizeof(OmendbNode));
	flush->order = palloc(n * sizeof(uint32));
	flush->searched = palloc0(n * sizeof(bool));
	flush->spans = palloc0(n * sizeof(float));
	flush->reached = palloc0(n * sizeof(bool));
	flush->page_records = palloc(layout->per_page * layout->record_bytes);
	flush->known =
		AllocSetContextCreate(CurrentMemoryContext, "hnsw edges", ALLOCSET_DEFAULT_SIZES);
	flush->insert = hnsw_insert_create(index, open);

	LockPage(index, OMENDB_META_BLOCK, ShareLock);
	if (n < FEWEST_TOGETHER || !insert_together(flush))
		memset(flush->states, HNSW_ROW_LATER, n);
	UnlockPage(index, OMENDB_META_BLOCK, ShareLock);

	for (uint32 i = 0; i < rows->n; i++)
	{
		const OmendbRecord *row = hnsw_row(rows, i);

		if (levels[i] > 0 || (first[i] == i && flush->states[places[i]] != HNSW_ROW_LATER))
			continue;
		if (first[i] == i || levels[first[i]] > 0 ||
			flush->states[places[first[i]]] == HNSW_ROW_LATER ||
			!add_to_equal(flush, flush->nodes[places[first[i]]], row))
			insert_alone(index, row, 0);
	}
}

/* Insert rows together. */
static void
insert_part(Relation index, const HnswRows *rows)
{
	MemoryContext context =
		AllocSetContextCreate(CurrentMemoryContext, "hnsw batch insert", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	const OmendbIndex *open = omendb_index_open(index);
	bool together = rows->n >= FEWEST_TOGETHER && omendb_layout_is_coded(&open->codec.layout) &&
					open->codec.layout.m >= TOGETHER_LEAST_M;
	uint8 *levels = palloc(rows->n);
	uint32 *first = palloc(rows->n * sizeof(uint32));

	for (uint32 i = 0; i < rows->n; i++)
	{
		levels[i] = (uint8) hnsw_random_level();
		if (levels[i] > 0 || !together)
			insert_alone(index, hnsw_row(rows, i), levels[i]);
	}
	if (together)
	{
		find_equal_rows(&open->codec, rows, first);
		insert_lowest(index, open, rows, levels, first);
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}

void
hnsw_insert_rows(Relation index, const HnswRows *rows)
{
	HnswRows part = *rows;

	for (uint32 from = 0; from < rows->n; from += part.n)
	{
		uint64 nodes = (uint64) RelationGetNumberOfBlocks(index) *
					   omendb_index_open(index)->codec.layout.per_page;

		part.memory = rows->memory + from * rows->bytes;
		part.n = (uint32) Min(rows->n - from, Max(nodes, MOST_AT_FIRST));
		insert_part(index, &part);
	}
}
