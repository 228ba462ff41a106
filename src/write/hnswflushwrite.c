/*
 * hnswflushwrite.c
 *	  The steps of a flush that write pages: records of the rows, edges of the index's nodes to them,
 *	  and edges to rows that nothing leads to (steps 5 to 7 of hnswflush.c).
 *
 * Locks: hnswflushwork.h. Page locks are those of single reads and changes.
 */
#include "write/hnswflushwork.h"

#include "miscadmin.h"
#include "utils/memutils.h"

/* Maximum number of edges that a node gets in one change. */
#define MOST_CHANGES 16

/* Pages after which the edges that were read are forgotten. */
#define REMEMBERED_PAGES 2048

/* ---------------------------------------------------------------- records */

/* The number of a neighbour in a row's record; OMENDB_NO_NODE if the neighbour has none yet. */
static OmendbNode
number_of(const HnswFlush *flush, OmendbNode neighbour)
{
	return neighbour & HNSW_OF_BATCH ? flush->nodes[neighbour & ~HNSW_OF_BATCH] : neighbour;
}

/*
 * Move the edges to neighbours without a number behind the others, so that those keep their slots when
 * these are written later.
 */
static void
put_numbered_first(HnswFlush *flush, uint32 i)
{
	const OmendbLayout *layout = &flush->open->codec.layout;
	OmendbRecord *record = hnsw_flush_record(flush, i);
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
copy_numbered(const HnswFlush *flush, uint32 i, OmendbRecord *out)
{
	const OmendbLayout *layout = &flush->open->codec.layout;
	OmendbNode *neighbours = omendb_record_neighbours(layout, out);
	bool complete = true;
	uint32 n = 0;

	memcpy(out, hnsw_flush_record(flush, i), layout->record_bytes);
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
page_record(const HnswFlush *flush, uint32 k)
{
	return (OmendbRecord *) ((char *) flush->page_records +
							 k * flush->open->codec.layout.record_bytes);
}

/* Write the records of n rows, with the edges to records that have a number. */
static void
write_records(HnswFlush *flush, const uint32 *rows, uint32 n, bool *incomplete)
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
			flush->states[rows[from + k]] = HNSW_ROW_WRITTEN;
		}
	}
	pfree(records);
	pfree(nodes);
}

/* Write the edges that lacked a number, page by page. rows: in the order of their numbers. */
static void
complete_records(HnswFlush *flush, const uint32 *rows, uint32 n, const bool *incomplete)
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

void
hnsw_write_rows(HnswFlush *flush)
{
	uint32 *rows = palloc(flush->n * sizeof(uint32));
	bool *incomplete = palloc0(flush->n * sizeof(bool));
	uint32 n = 0;

	for (uint32 k = 0; k < flush->n; k++)
		if (flush->states[flush->order[k]] == HNSW_ROW_NEW)
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
	const HnswOffer **offers; /* the same: of each edge */
} PageWork;

/* Make the collected changes. Of nodes that have changed meanwhile the offers are made one by one. */
static void
put_page(HnswFlush *flush, PageWork *work)
{
	HnswInsert *insert = flush->insert;

	if (work->nodes > 0)
		omendb_page_put_changes(&insert->store, work->change, work->nodes);
	for (uint32 i = 0; i < work->nodes; i++)
	{
		const OmendbNodeChange *change = &work->change[i];

		for (uint32 k = 0; k < change->nchanges; k++)
		{
			const HnswOffer *offer = work->offers[i * MOST_CHANGES + k];

			if (!change->done)
				hnsw_edge_writer_remember(&insert->writer, 0);
			if (change->done ||
				hnsw_add_reverse_edge(&insert->writer, change->node, flush->nodes[offer->row],
									  hnsw_flush_record(flush, offer->row), 0, offer->distance,
									  false))
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
is_occluded(HnswFlush *flush, const HnswOffer *const *taken, uint32 n, const HnswOffer *offer)
{
	for (uint32 i = 0; i < n; i++)
		if (omendb_own_distance(&flush->open->codec, hnsw_flush_record(flush, taken[i]->row),
								hnsw_flush_record(flush, offer->row),
								flush->insert->chooser.scratch) < offer->distance)
			return true;
	return false;
}

/*
 * Collect the changes of a node, which n offers are for. Returns the number of offers that were
 * looked at: less than n if there are too many changes for one WAL record.
 */
static uint32
collect_changes(HnswFlush *flush, PageWork *work, const HnswOffer *offers, uint32 n)
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
							hnsw_flush_record(flush, offers[k].row), 0, offers[k].distance, edge))
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
change_page(HnswFlush *flush, PageWork *work, const HnswOffer *offers, uint32 n)
{
	uint32 next;

	work->nodes = 0;
	work->pages = 1;
	for (uint32 from = 0; from < n; from = next)
	{
		for (next = from; next < n && offers[next].target == offers[from].target; next++)
			;
		/* The next node, of this page or another. */
		if (offers + next < flush->offers + flush->noffers)
			omendb_store_ops.prefetch(&flush->insert->store, offers[next].target);
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

void
hnsw_take_offers(HnswFlush *flush)
{
	const OmendbLayout *layout = &flush->open->codec.layout;
	PageWork work = {0};
	size_t next;

	work.change = palloc(layout->per_page * sizeof(OmendbNodeChange));
	work.edges = palloc(layout->per_page * MOST_CHANGES * sizeof(OmendbEdgeChange));
	work.offers = palloc(layout->per_page * MOST_CHANGES * sizeof(HnswOffer *));
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

/* ---------------------------------------------------------------- rows that are not reached */

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
follow_edges(HnswFlush *flush, const NumberedRow *rows, uint32 nrows, uint32 *waiting, uint32 n)
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

void
hnsw_reach_rows(HnswFlush *flush)
{
	NumberedRow *rows = palloc(flush->n * sizeof(NumberedRow));
	uint32 *waiting = palloc(flush->n * sizeof(uint32));
	uint32 nrows = 0;
	uint32 missing = 0;
	uint32 n = 0;

	for (uint32 i = 0; i < flush->n; i++)
	{
		if (flush->states[i] != HNSW_ROW_WRITTEN)
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

		if (flush->states[i] != HNSW_ROW_WRITTEN || flush->reached[i])
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
