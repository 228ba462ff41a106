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
 *	3. Each row is searched for in the index. Its neighbours are chosen from visited nodes and from near
 *	   rows of the batch. Nothing is written, except the TID of a row whose vector the index has.
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
#include "write/hnswflush.h"

#include "graph/build.h"
#include "miscadmin.h"
#include "page/tids.h"
#include "storage/lmgr.h"
#include "utils/memutils.h"
#include "write/hnswinsertwork.h"

/* Minimum number of rows that are inserted together. */
#define FEWEST_TOGETHER 8

/* Candidates of a row, the nearest that the search visited or that the batch has. */
#define POOL 128

/* ef_construction of the graph of the batch's rows: all of its edges are candidates only. */
#define BATCH_EF 16

/* Maximum number of edges that a node gets in one change. */
#define MOST_CHANGES 16

/* Pages after which the edges that were read are forgotten. */
#define REMEMBERED_PAGES 2048

/* In a neighbour's number: a row of the batch, which has no number yet. */
#define OF_BATCH (UINT32_C(1) << 31)

_Static_assert(OMENDB_MAX_NODE < OF_BATCH, "numbers of nodes lack the bit");

/* An edge that a node may take, to a row of the batch. */
typedef struct Offer
{
	OmendbNode target; /* of the index, or a row of the batch */
	uint32 row;
	float distance;
} Offer;

/* What becomes of a row. */
typedef enum RowState
{
	ROW_NEW,     /* a record, not written yet */
	ROW_WRITTEN, /* nodes[i] has its record */
	ROW_EQUAL,   /* nodes[i], of the index, has its vector and got its TID */
	ROW_LATER,   /* is inserted by itself */
} RowState;

typedef struct Flush
{
	Relation index;
	const OmendbIndex *open;
	HnswInsert *insert;
	OmendbArray array; /* records of the rows */
	uint32 n;
	uint8 *states;     /* n: RowState */
	OmendbNode *nodes; /* n */
	uint32 *order;     /* n: rows, near ones together */
	bool *reached;     /* n */
	Offer *offers;
	size_t noffers;
	size_t offers_capacity;
	OmendbRecord *page_records; /* per_page copies */
	MemoryContext known;        /* of the edges that the writer remembers */
	uint32 pages;               /* changed since the writer began to remember */
} Flush;

static inline OmendbRecord *
row_record(const Flush *flush, uint32 i)
{
	return omendb_array_record(&flush->array, i);
}

Size
hnsw_flush_bytes(const OmendbIndex *open)
{
	const OmendbLayout *layout = &open->codec.layout;

	if (!omendb_layout_is_coded(layout))
		return layout->neighbours_offset;
	return layout->neighbours_offset + omendb_array_stride(layout) +
		   omendb_build_bytes(layout, 4096, BATCH_EF) / 4096 + layout->m * sizeof(Offer) + 64;
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
make_array(Flush *flush, uint32 n)
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
		(uint8 *) TYPEALIGN(64, MemoryContextAllocExtended(CurrentMemoryContext, bytes + 64,
														   MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO));
}

/* For OmendbBuildLevel. */
static void
check_interrupts(void)
{
	CHECK_FOR_INTERRUPTS();
}

/* Step 2. Afterwards the records have their neighbours in the batch. */
static void
build_batch_graph(Flush *flush)
{
	OmendbBuildLevel *level = palloc0(sizeof(OmendbBuildLevel));
	OmendbBuilder *builder = omendb_builder_create(&flush->array, &omendb_palloc_allocator);
	char *memory;

	level->array = &flush->array;
	level->n = flush->n;
	level->edges = flush->open->codec.layout.edges;
	level->options = (OmendbBuildOptions){.ef_construction = BATCH_EF, .beam = BATCH_EF};
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
add_offer(Flush *flush, OmendbNode target, uint32 row, float distance)
{
	if (flush->noffers == flush->offers_capacity)
	{
		flush->offers_capacity = Max(1024, 2 * flush->offers_capacity);
		flush->offers = flush->offers
							? repalloc_huge(flush->offers, flush->offers_capacity * sizeof(Offer))
							: palloc(flush->offers_capacity * sizeof(Offer));
	}
	flush->offers[flush->noffers++] = (Offer){target, row, distance};
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
	Flush *flush = context;

	if (candidate->node & OF_BATCH)
		return row_record(flush, candidate->node & ~OF_BATCH);
	return hnsw_visited_record(flush->insert, candidate->tag);
}

/* Choose the neighbours of row i from `near`, of the batch, and the visited nodes; offer reverse edges. */
static void
choose_neighbours(Flush *flush, uint32 i, const OmendbNode *near, uint32 nnear)
{
	HnswInsert *insert = flush->insert;
	const OmendbCodec *codec = &flush->open->codec;
	const OmendbLayout *layout = &codec->layout;
	OmendbChooser *chooser = &insert->chooser;
	OmendbRecord *record = row_record(flush, i);
	uint16_t chosen[OMENDB_MAX_EDGES];
	size_t n = 0;

	omendb_chooser_reserve(chooser, insert->search.visited_used + nnear + 1);
	for (size_t k = 0; k < insert->search.visited_used; k++)
	{
		const OmendbVisited *visited = &insert->search.visited[k];

		if (visited->payload.live)
			chooser->candidates[n++] =
				(OmendbSelectCandidate){visited->distance, visited->node, (uint32) k};
	}
	for (uint32 k = 0; k < nnear; k++)
		chooser->candidates[n++] = (OmendbSelectCandidate){
			omendb_own_distance(codec, record, row_record(flush, near[k]), chooser->scratch),
			near[k] | OF_BATCH, 0};
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
add_to_equal(Flush *flush, OmendbNode node, const OmendbRecord *row)
{
	ItemPointerData tid;

	memcpy(&tid, row->tids, OMENDB_TID_BYTES);
	return omendb_record_add_tid(&flush->insert->store, node, row, &tid);
}

/* Step 3 for row i. */
static void
find_neighbours(Flush *flush, uint32 i, OmendbNode entry, unsigned entry_level, uint32 width)
{
	HnswInsert *insert = flush->insert;
	const OmendbLayout *layout = &flush->open->codec.layout;
	OmendbRecord *record = row_record(flush, i);
	OmendbNode near[OMENDB_MAX_EDGES];
	uint32 nnear = record->count;
	OmendbNode equal;

	CHECK_FOR_INTERRUPTS();
	memcpy(near, omendb_record_neighbours(layout, record), nnear * sizeof(OmendbNode));
	memset((char *) record + layout->neighbours_offset, 0,
		   layout->record_bytes - layout->neighbours_offset);
	record->count = 0;
	memcpy(insert->record, record, layout->neighbours_offset);
	omendb_query_set_record(&insert->query, record);
	if (!hnsw_find_neighbours(insert, entry, entry_level, width))
	{
		flush->states[i] = ROW_LATER;
		return;
	}
	equal = hnsw_find_equal(insert);
	if (equal != OMENDB_NO_NODE && add_to_equal(flush, equal, record))
	{
		flush->states[i] = ROW_EQUAL;
		flush->nodes[i] = equal;
		return;
	}
	choose_neighbours(flush, i, near, nnear);
}

/* ---------------------------------------------------------------- reverse edges in the batch */

static int
by_target(const void *a, const void *b)
{
	const Offer *x = a;
	const Offer *y = b;

	if (x->target != y->target)
		return x->target < y->target ? -1 : 1;
	if (x->distance != y->distance)
		return x->distance < y->distance ? -1 : 1;
	return x->row < y->row ? -1 : x->row > y->row;
}

/* Give row i of the batch an edge to another row, if it is good enough; nothing leads to row i. */
static void
take_in_batch(Flush *flush, uint32 i, const Offer *offer)
{
	HnswInsert *insert = flush->insert;
	const OmendbLayout *layout = &flush->open->codec.layout;
	OmendbRecord *record = row_record(flush, i);
	OmendbNode to = offer->row | OF_BATCH;
	uint32 slot = record->count;

	if (omendb_record_has_edge(layout, record, to))
		return;
	omendb_chooser_set(&insert->chooser, record);
	if (slot == layout->edges)
	{
		OmendbEdgeOption options[OMENDB_EDGE_OPTIONS];

		omendb_query_set_record(&insert->query, record);
		omendb_edge_options(&insert->chooser, &insert->query, record, row_record(flush, offer->row),
							offer->distance, false, options);
		slot = options[0].slot;
		if (slot == OMENDB_MAX_EDGES)
			return;
	}
	omendb_edge_write(&insert->chooser, record, slot, to, row_record(flush, offer->row),
					  offer->distance);
	record->count = Max(record->count, slot + 1);
}

/* Step 4. Leaves the offers to nodes of the index, sorted by their targets. */
static void
take_offers_in_batch(Flush *flush)
{
	size_t left = 0;

	/* A row whose vector the index has is a node of the index. */
	for (size_t k = 0; k < flush->noffers; k++)
	{
		Offer *offer = &flush->offers[k];

		if ((offer->target & OF_BATCH) && flush->states[offer->target & ~OF_BATCH] == ROW_EQUAL)
			offer->target = flush->nodes[offer->target & ~OF_BATCH];
	}
	qsort(flush->offers, flush->noffers, sizeof(Offer), by_target);
	for (size_t k = 0; k < flush->noffers; k++)
	{
		const Offer *offer = &flush->offers[k];
		uint32 i = offer->target & ~OF_BATCH;

		if (!(offer->target & OF_BATCH))
			flush->offers[left++] = *offer;
		else if (flush->states[i] == ROW_NEW)
			take_in_batch(flush, i, offer);
		if (k % 1024 == 0)
			CHECK_FOR_INTERRUPTS();
	}
	flush->noffers = left;
}

/* ---------------------------------------------------------------- records */

/* The number of a neighbour in a row's record; OMENDB_NO_NODE if the neighbour has none yet. */
static OmendbNode
number_of(const Flush *flush, OmendbNode neighbour)
{
	return neighbour & OF_BATCH ? flush->nodes[neighbour & ~OF_BATCH] : neighbour;
}

/*
 * Move the edges to neighbours without a number behind the others, so that those keep their slots when
 * these are written later.
 */
static void
put_numbered_first(Flush *flush, uint32 i)
{
	const OmendbLayout *layout = &flush->open->codec.layout;
	OmendbRecord *record = row_record(flush, i);
	OmendbRecord *copy = memcpy(flush->insert->writer.copy, record, layout->record_bytes);
	const OmendbNode *neighbours = omendb_record_neighbours(layout, copy);
	uint32 n = 0;

	for (uint32 k = 0; k < copy->count; k++)
		if (number_of(flush, neighbours[k]) != OMENDB_NO_NODE)
			omendb_edge_copy(layout, copy, k, record, n++);
	for (uint32 k = 0; k < copy->count; k++)
		if (number_of(flush, neighbours[k]) == OMENDB_NO_NODE)
			omendb_edge_copy(layout, copy, k, record, n++);
}

/* True if one of the first n neighbours is that node. */
static bool
has_node(const OmendbNode *neighbours, uint32 n, OmendbNode node)
{
	for (uint32 k = 0; k < n; k++)
		if (neighbours[k] == node)
			return true;
	return false;
}

/*
 * Copy a row's record, with the numbers of its neighbours, to *out. Neighbours without a number are left
 * out. False if there are such. Two neighbours can be the same node: a row whose vector the index has, and
 * that node.
 */
static bool
copy_numbered(const Flush *flush, uint32 i, OmendbRecord *out)
{
	const OmendbLayout *layout = &flush->open->codec.layout;
	OmendbNode *neighbours = omendb_record_neighbours(layout, out);
	bool complete = true;
	uint32 n = 0;

	memcpy(out, row_record(flush, i), layout->record_bytes);
	for (uint32 k = 0; k < out->count; k++)
	{
		OmendbNode number = number_of(flush, neighbours[k]);

		complete &= number != OMENDB_NO_NODE;
		if (number == OMENDB_NO_NODE || has_node(neighbours, n, number))
			continue;
		if (n < k)
			omendb_edge_move(layout, out, k, n);
		neighbours[n++] = number;
	}
	for (uint32 k = n; k < out->count; k++)
		omendb_edge_free(layout, out, k);
	out->count = (uint8) n;
	return complete;
}

static OmendbRecord *
page_record(const Flush *flush, uint32 k)
{
	return (OmendbRecord *) ((char *) flush->page_records +
							 k * flush->open->codec.layout.record_bytes);
}

/* Write the records of n rows, with the edges to records that have a number. */
static void
write_records(Flush *flush, const uint32 *rows, uint32 n, bool *incomplete)
{
	const OmendbLayout *layout = &flush->open->codec.layout;
	const OmendbRecord **records = palloc(layout->per_page * sizeof(OmendbRecord *));
	OmendbNode *nodes = palloc(layout->per_page * sizeof(OmendbNode));
	uint32 written;

	for (uint32 from = 0; from < n; from += written)
	{
		uint32 count = Min(n - from, layout->per_page);

		CHECK_FOR_INTERRUPTS();
		for (uint32 k = 0; k < count; k++)
		{
			put_numbered_first(flush, rows[from + k]);
			incomplete[rows[from + k]] =
				!copy_numbered(flush, rows[from + k], page_record(flush, k));
			records[k] = page_record(flush, k);
		}
		written = omendb_records_put(&flush->insert->store, records, count, nodes);
		for (uint32 k = 0; k < written; k++)
		{
			flush->nodes[rows[from + k]] = nodes[k];
			flush->states[rows[from + k]] = ROW_WRITTEN;
		}
	}
	pfree(records);
	pfree(nodes);
}

/* Write the edges that lacked a number, page by page. rows: in the order of their numbers. */
static void
complete_records(Flush *flush, const uint32 *rows, uint32 n, const bool *incomplete)
{
	const OmendbLayout *layout = &flush->open->codec.layout;
	OmendbNodeChange *changes = palloc(layout->per_page * sizeof(OmendbNodeChange));
	uint32 next;

	for (uint32 from = 0; from < n; from = next)
	{
		BlockNumber block = omendb_node_block(layout, flush->nodes[rows[from]]);
		uint32 count = 0;

		CHECK_FOR_INTERRUPTS();
		for (next = from; next < n && omendb_node_block(layout, flush->nodes[rows[next]]) == block;
			 next++)
		{
			OmendbRecord *record = page_record(flush, count);
			OmendbRecord *copy = flush->insert->writer.copy;

			if (!incomplete[rows[next]])
				continue;
			copy_numbered(flush, rows[next], record);
			/* The version is the slot's. */
			if (!omendb_record_copy_own(&flush->insert->store, flush->nodes[rows[next]], 0, copy))
				continue;
			record->version = copy->version;
			changes[count++] = (OmendbNodeChange){.node = flush->nodes[rows[next]], .from = record};
		}
		if (count > 0)
			omendb_page_put_changes(&flush->insert->store, changes, count);
	}
	pfree(changes);
}

/* Step 5. */
static void
write_all(Flush *flush)
{
	uint32 *rows = palloc(flush->n * sizeof(uint32));
	bool *incomplete = palloc0(flush->n * sizeof(bool));
	uint32 n = 0;

	for (uint32 k = 0; k < flush->n; k++)
		if (flush->states[flush->order[k]] == ROW_NEW)
			rows[n++] = flush->order[k];
	write_records(flush, rows, n, incomplete);
	complete_records(flush, rows, n, incomplete);
	pfree(rows);
	pfree(incomplete);
}

/* ---------------------------------------------------------------- reverse edges in the index */

/* The changes of one page that are collected. */
typedef struct PageWork
{
	uint32 nodes;
	uint32 pages;             /* that the change will lock, at most */
	OmendbNodeChange *change; /* per_page */
	OmendbEdgeChange *edges;  /* per_page * MOST_CHANGES */
	const Offer **offers;     /* the same: of each edge */
} PageWork;

/* Make the collected changes. Of nodes that have changed meanwhile the offers are made one by one. */
static void
put_page(Flush *flush, PageWork *work)
{
	HnswInsert *insert = flush->insert;

	if (work->nodes > 0)
		omendb_page_put_changes(&insert->store, work->change, work->nodes);
	for (uint32 i = 0; i < work->nodes; i++)
	{
		const OmendbNodeChange *change = &work->change[i];

		for (uint32 k = 0; k < change->nchanges; k++)
		{
			const Offer *offer = work->offers[i * MOST_CHANGES + k];

			if (!change->done)
				hnsw_edge_writer_remember(&insert->writer, 0);
			if (change->done ||
				hnsw_add_reverse_edge(&insert->writer, change->node, flush->nodes[offer->row],
									  row_record(flush, offer->row), 0, offer->distance, false))
				flush->reached[offer->row] = true;
		}
	}
	work->nodes = 0;
	work->pages = 1;
}

/*
 * True if one of n taken offers to a node occludes a farther one: its row is nearer to that row than the
 * node is. The node leads there by that row.
 */
static bool
is_occluded(Flush *flush, const Offer *const *taken, uint32 n, const Offer *offer)
{
	for (uint32 i = 0; i < n; i++)
		if (omendb_own_distance(&flush->open->codec, row_record(flush, taken[i]->row),
								row_record(flush, offer->row),
								flush->insert->chooser.scratch) < offer->distance)
			return true;
	return false;
}

/*
 * Collect the changes of a node, which n offers are for. Returns the number of offers that were
 * looked at: less than n if there are too many changes for one WAL record.
 */
static uint32
collect_changes(Flush *flush, PageWork *work, const Offer *offers, uint32 n)
{
	HnswInsert *insert = flush->insert;
	uint32 at = work->nodes;
	OmendbNodeChange *change = &work->change[at];
	OmendbNode node = offers[0].target;
	OmendbEdgeChange *edges = work->edges + at * MOST_CHANGES;
	uint32 k;

	*change = (OmendbNodeChange){.node = node, .changes = edges};
	if (!hnsw_begin_edges(&insert->writer, node, 0))
		return n;
	for (k = 0; k < n && change->nchanges < MOST_CHANGES &&
				work->pages + OMENDB_DETOUR_NODES <= OMENDB_CHANGE_PAGES;
		 k++)
	{
		OmendbEdgeChange *edge = &edges[change->nchanges];

		if (is_occluded(flush, &work->offers[at * MOST_CHANGES], change->nchanges, &offers[k]) ||
			!hnsw_plan_edge(&insert->writer, node, flush->nodes[offers[k].row],
							row_record(flush, offers[k].row), 0, offers[k].distance, edge))
			continue;
		work->offers[at * MOST_CHANGES + change->nchanges++] = &offers[k];
		work->pages += edge->detour.n;
	}
	if (change->nchanges == 0)
		return k;
	change->from =
		memcpy(page_record(flush, at), insert->writer.copy, flush->open->codec.layout.record_bytes);
	work->nodes++;
	return k;
}

/* Step 6 for the offers to the nodes of one page. */
static void
change_page(Flush *flush, PageWork *work, const Offer *offers, uint32 n)
{
	uint32 next;

	work->nodes = 0;
	work->pages = 1;
	for (uint32 from = 0; from < n; from = next)
	{
		for (next = from; next < n && offers[next].target == offers[from].target; next++)
			;
		while (from < next)
		{
			uint32 taken = collect_changes(flush, work, offers + from, next - from);

			from += taken;
			if (from < next)
				put_page(flush, work);
		}
	}
	put_page(flush, work);
}

/* Step 6. */
static void
take_offers_in_index(Flush *flush)
{
	const OmendbLayout *layout = &flush->open->codec.layout;
	PageWork work = {0};
	size_t next;

	work.change = palloc(layout->per_page * sizeof(OmendbNodeChange));
	work.edges = palloc(layout->per_page * MOST_CHANGES * sizeof(OmendbEdgeChange));
	work.offers = palloc(layout->per_page * MOST_CHANGES * sizeof(Offer *));
	for (size_t from = 0; from < flush->noffers; from = next)
	{
		BlockNumber block = omendb_node_block(layout, flush->offers[from].target);
		MemoryContext old;

		CHECK_FOR_INTERRUPTS();
		for (next = from; next < flush->noffers &&
						  omendb_node_block(layout, flush->offers[next].target) == block;
			 next++)
			;
		if (flush->pages++ % REMEMBERED_PAGES == 0)
			MemoryContextReset(flush->known);
		old = MemoryContextSwitchTo(flush->known);
		if (flush->pages % REMEMBERED_PAGES == 1)
			hnsw_edge_writer_remember(&flush->insert->writer, 0);
		change_page(flush, &work, flush->offers + from, next - from);
		MemoryContextSwitchTo(old);
	}
	hnsw_edge_writer_forget(&flush->insert->writer);
}

/* ---------------------------------------------------------------- what nothing leads to */

/* A row of the batch by its node. */
typedef struct NumberedRow
{
	OmendbNode node;
	uint32 row;
} NumberedRow;

static int
by_node(const void *a, const void *b)
{
	OmendbNode x = ((const NumberedRow *) a)->node;
	OmendbNode y = ((const NumberedRow *) b)->node;

	return x < y ? -1 : x > y;
}

/* Set reached[] of the rows to which edges lead from waiting[0 .. n-1], as the pages have them. */
static void
follow_edges(Flush *flush, const NumberedRow *rows, uint32 nrows, uint32 *waiting, uint32 n)
{
	const OmendbLayout *layout = &flush->open->codec.layout;
	OmendbRecord *copy = flush->insert->writer.copy;

	while (n > 0)
	{
		uint32 i = waiting[--n];

		CHECK_FOR_INTERRUPTS();
		if (!omendb_record_copy_edges(&flush->insert->store, flush->nodes[i], 0, copy))
			continue;
		for (uint32 k = 0; k < copy->count; k++)
		{
			NumberedRow key = {.node = omendb_record_neighbours(layout, copy)[k]};
			const NumberedRow *found = bsearch(&key, rows, nrows, sizeof(NumberedRow), by_node);

			if (!found || flush->reached[found->row])
				continue;
			flush->reached[found->row] = true;
			waiting[n++] = found->row;
		}
	}
}

/* Step 7. */
static void
reach_all(Flush *flush)
{
	NumberedRow *rows = palloc(flush->n * sizeof(NumberedRow));
	uint32 *waiting = palloc(flush->n * sizeof(uint32));
	uint32 nrows = 0;
	uint32 missing = 0;
	uint32 n = 0;

	for (uint32 i = 0; i < flush->n; i++)
	{
		if (flush->states[i] != ROW_WRITTEN)
			continue;
		rows[nrows++] = (NumberedRow){flush->nodes[i], i};
		if (flush->reached[i])
			waiting[n++] = i;
		else
			missing++;
	}
	if (missing > 0)
	{
		qsort(rows, nrows, sizeof(NumberedRow), by_node);
		follow_edges(flush, rows, nrows, waiting, n);
	}
	for (uint32 k = 0; missing > 0 && k < flush->n; k++)
	{
		uint32 i = flush->order[k];

		if (flush->states[i] != ROW_WRITTEN || flush->reached[i])
			continue;
		copy_numbered(flush, i, page_record(flush, 0));
		hnsw_force_reverse_edge(flush->insert, flush->nodes[i], page_record(flush, 0));
		flush->reached[i] = true;
		waiting[0] = i;
		follow_edges(flush, rows, nrows, waiting, 1);
	}
	pfree(rows);
	pfree(waiting);
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

/*
 * Set first[i] to the first of the rows whose vector row i has. keys: n places.
 */
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
insert_together(Flush *flush)
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
	write_all(flush);
	take_offers_in_index(flush);
	reach_all(flush);
	return true;
}

/* Insert rows whose level is 0. first: find_equal_rows. */
static void
insert_lowest(Relation index, const OmendbIndex *open, const HnswRows *rows, const uint8 *levels,
			  const uint32 *first)
{
	const OmendbLayout *layout = &open->codec.layout;
	Flush *flush = palloc0(sizeof(Flush));
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
			OmendbRecord *record = row_record(flush, places[i]);

			memcpy(record, hnsw_row(rows, i), layout->neighbours_offset);
			record->level = 0;
			record->down = OMENDB_NO_NODE;
		}
	flush->states = palloc0(n);
	flush->nodes = palloc(n * sizeof(OmendbNode));
	memset(flush->nodes, 0xff, n * sizeof(OmendbNode));
	flush->order = palloc(n * sizeof(uint32));
	flush->reached = palloc0(n * sizeof(bool));
	flush->page_records = palloc(layout->per_page * layout->record_bytes);
	flush->known =
		AllocSetContextCreate(CurrentMemoryContext, "hnsw edges", ALLOCSET_DEFAULT_SIZES);
	flush->insert = hnsw_insert_create(index, open);

	LockPage(index, OMENDB_META_BLOCK, ShareLock);
	if (n < FEWEST_TOGETHER || !insert_together(flush))
		memset(flush->states, ROW_LATER, n);
	UnlockPage(index, OMENDB_META_BLOCK, ShareLock);

	for (uint32 i = 0; i < rows->n; i++)
	{
		const OmendbRecord *row = hnsw_row(rows, i);

		if (levels[i] > 0 || (first[i] == i && flush->states[places[i]] != ROW_LATER))
			continue;
		if (first[i] == i || levels[first[i]] > 0 || flush->states[places[first[i]]] == ROW_LATER ||
			!add_to_equal(flush, flush->nodes[places[first[i]]], row))
			insert_alone(index, row, 0);
	}
}

void
hnsw_insert_rows(Relation index, const HnswRows *rows)
{
	MemoryContext context =
		AllocSetContextCreate(CurrentMemoryContext, "hnsw batch insert", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	const OmendbIndex *open = omendb_index_open(index);
	bool together = rows->n >= FEWEST_TOGETHER && omendb_layout_is_coded(&open->codec.layout);
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
