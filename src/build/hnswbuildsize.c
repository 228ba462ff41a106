/*
 * hnswbuildsize.c
 *	  Estimates before a build: its memory, its rows, the elements of its sparse vectors; and
 *	  hnsw_index_size_estimate.
 */
#include "build/hnswbuildsize.h"

#include <math.h>

#include "access/htup_details.h"
#include "access/tableam.h"
#include "am/hnsw.h"
#include "catalog/pg_am.h"
#include "funcapi.h"
#include "graph/build.h"
#include "miscadmin.h"
#include "optimizer/plancat.h"
#include "storage/bufmgr.h"
#include "utils/memutils.h"

Size
hnsw_build_node_bytes(const OmendbLayout *layout, int ef_construction)
{
	const uint32 sample = 100000;
	Size record = omendb_array_stride(layout);

	return record + (record >> HNSW_LEVEL_SHIFT) +
		   omendb_build_bytes(layout, sample, ef_construction) / sample + HNSW_VECTOR_ENTRY_BYTES;
}

double
hnsw_estimate_rows(Relation heap)
{
	const BlockNumber samples = 16;
	BlockNumber pages = RelationGetNumberOfBlocks(heap);
	double items = 0;
	double all_visible;
	double rows;

	if (pages == 0)
		return 0;
	if (heap->rd_rel->relam != HEAP_TABLE_AM_OID ||
		(heap->rd_rel->relpages > 0 && heap->rd_rel->reltuples >= 0))
	{
		estimate_rel_size(heap, NULL, &pages, &rows, &all_visible);
		return rows;
	}
	for (BlockNumber i = 0; i < Min(pages, samples); i++)
	{
		BlockNumber block = (uint64) i * pages / Min(pages, samples);
		Buffer buffer = ReadBuffer(heap, block);
		Page page;

		CHECK_FOR_INTERRUPTS();
		LockBuffer(buffer, BUFFER_LOCK_SHARE);
		page = BufferGetPage(buffer);
		for (OffsetNumber k = FirstOffsetNumber;
			 !PageIsNew(page) && k <= PageGetMaxOffsetNumber(page); k++)
			items += ItemIdIsNormal(PageGetItemId(page, k));
		UnlockReleaseBuffer(buffer);
	}
	return items / Min(pages, samples) * pages;
}

/* The sample of rows: ranges of blocks, evenly over the heap. */
#define SAMPLE_RANGES       64
#define SAMPLE_RANGE_BLOCKS 16

/* Minimum number of rows that decide alone; later rows may be longer than those of a smaller sample. */
#define SAMPLE_SURE_ROWS 1000

/*
 * Minimum number of elements if the sample has fewer rows, though there is more of the table: of a
 * partial index, say.
 */
#define USUAL_ELEMENTS 256

/*
 * Share of the rows whose elements all fit into their record. Of the others the smallest
 * elements are left out, and scans read a row from the table more often.
 */
#define SHARE_OF_ROWS         0.99
#define SHARE_OF_ROWS_COMPACT 0.90

typedef struct ElementSample
{
	uint32 rows;
	uint32 rows_of[OMENDB_MAX_NONZERO + 1]; /* rows by number of elements */
	MemoryContext row;
} ElementSample;

static void
sample_callback(Relation index, ItemPointer tid, Datum *values, bool *isnull, bool alive,
				void *context)
{
	ElementSample *sample = context;
	MemoryContext old;

	if (isnull[0])
		return;
	old = MemoryContextSwitchTo(sample->row);
	/* A value with more elements is refused later. */
	sample->rows_of[Min(hnsw_nonzero_elements(values[0]), OMENDB_MAX_NONZERO)]++;
	sample->rows++;
	MemoryContextSwitchTo(old);
	MemoryContextReset(sample->row);
}

/* Count the elements of a sample of the table's rows. True if the sample is the whole table. */
static bool
read_sample(Relation heap, Relation index, IndexInfo *info, ElementSample *sample)
{
	BlockNumber blocks = RelationGetNumberOfBlocks(heap);
	BlockNumber ranges = SAMPLE_RANGES;
	BlockNumber length = SAMPLE_RANGE_BLOCKS;

	if (blocks <= ranges * length)
	{
		ranges = 1;
		length = blocks;
	}
	for (BlockNumber i = 0; i < ranges && blocks > 0; i++)
	{
		/* from the first block to the last */
		BlockNumber start =
			ranges == 1 ? 0 : (BlockNumber) ((uint64) i * (blocks - length) / (ranges - 1));

		CHECK_FOR_INTERRUPTS();
		table_index_build_range_scan(heap, index, info, false, false, false, start, length,
									 sample_callback, sample, NULL);
	}
	return ranges <= 1;
}

uint32
hnsw_sample_elements(Relation heap, Relation index, IndexInfo *info)
{
	double share = hnsw_get_compact(index) ? SHARE_OF_ROWS_COMPACT : SHARE_OF_ROWS;
	ElementSample *sample;
	uint32 elements = 0;
	uint32 below;
	bool whole;

	if (heap == NULL)
		return HNSW_ELEMENTS_UNKNOWN;
	sample = palloc0(sizeof(ElementSample));
	sample->row =
		AllocSetContextCreate(CurrentMemoryContext, "hnsw sample row", ALLOCSET_DEFAULT_SIZES);
	whole = read_sample(heap, index, info, sample);
	for (below = sample->rows_of[0]; below < share * sample->rows;
		 below += sample->rows_of[elements])
		elements++;
	if (sample->rows >= SAMPLE_SURE_ROWS)
		elements = Max(elements, 1);
	else
		elements = whole ? HNSW_ELEMENTS_UNKNOWN : Max(elements, USUAL_ELEMENTS);
	MemoryContextDelete(sample->row);
	pfree(sample);
	return elements;
}

PG_FUNCTION_INFO_V1(omendb_sql_hnsw_index_size_estimate);

static void
check_number(const char *what, int64 number, int64 least, int64 most)
{
	if (number < least || number > most)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("%s must be between %lld and %lld", what, (long long) least,
							   (long long) most)));
}

/*
 * hnsw_index_size_estimate(rows bigint, dimensions int, m int, elements int, out
 * index_bytes bigint, out build_bytes bigint): for a vector column, or, with elements, for a
 * sparsevec column, if no two rows are equal.
 */
Datum
omendb_sql_hnsw_index_size_estimate(PG_FUNCTION_ARGS)
{
	int64 rows = PG_GETARG_INT64(0);
	int32 dimensions = PG_GETARG_INT32(1);
	int32 m = PG_GETARG_INT32(2);
	int32 elements = PG_GETARG_INT32(3);
	OmendbLayout layout;
	TupleDesc descriptor;
	Datum values[2];
	bool nulls[2] = {false, false};
	double records;
	double per_page;
	bool fits;
	bool spans;

	check_number("rows", rows, 0, OMENDB_MAX_NODE);
	check_number("m", m, OMENDB_MIN_M, OMENDB_MAX_M);
	check_number("dimensions", dimensions, 1, elements ? OMENDB_MAX_SPARSE_DIM : OMENDB_MAX_DIM);
	check_number("elements", elements, 0, Min(dimensions, OMENDB_MAX_NONZERO));
	spans = elements > 0 && rows < SAMPLE_SURE_ROWS;
	if (spans)
		fits = omendb_layout_choose_spans(&layout, OMENDB_METRIC_L2, dimensions, m,
										  OMENDB_SPAN_PAGE_BYTES);
	else if (elements > 0)
		fits = omendb_layout_choose_sparse(&layout, OMENDB_METRIC_L2, dimensions, m, elements,
										   OMENDB_PAGE_BYTES);
	else
		fits = omendb_layout_choose(&layout, OMENDB_METRIC_L2, dimensions, m, false,
									OMENDB_PAGE_BYTES);
	if (!fits)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("a record of %d dimensions with m = %d does not fit a page", dimensions, m),
				 errhint("Use a smaller m.")));
	if (get_call_result_type(fcinfo, NULL, &descriptor) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	/* with the levels above */
	records = rows + (rows > HNSW_TOP_LEVEL ? ceil(rows / ((1 << HNSW_LEVEL_SHIFT) - 1.0)) : 0);
	per_page = spans ? layout.per_page / omendb_sparse_slots(&layout, elements) : layout.per_page;
	values[0] = Int64GetDatum((int64) (OMENDB_FIRST_BLOCK + ceil(records / per_page)) * BLCKSZ);
	values[1] = Int64GetDatum(
		(int64) ((double) rows * hnsw_build_node_bytes(&layout, HNSW_DEFAULT_EF_CONSTRUCTION)));
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(descriptor), values, nulls)));
}
