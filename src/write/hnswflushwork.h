/*
 * hnswflushwork.h
 *	  A flush, for the files that do its steps (hnswflush.c).
 *
 * Callers hold the lock on the metapage's number in share mode, and no page lock.
 */
#ifndef OMENDB_HNSWFLUSHWORK_H
#define OMENDB_HNSWFLUSHWORK_H

#include "graph/array.h"
#include "write/hnswflush.h"
#include "write/hnswinsertwork.h"

/* In a neighbour's number: a row of the batch, which has no number yet. */
#define HNSW_OF_BATCH (UINT32_C(1) << 31)

_Static_assert(OMENDB_MAX_NODE < HNSW_OF_BATCH, "numbers of nodes lack the bit");

/* An edge that a node may take, to a row of the batch. */
typedef struct HnswOffer
{
	OmendbNode target; /* of the index, or a row of the batch */
	uint32 row;
	float distance;
} HnswOffer;

/* What becomes of a row. */
typedef enum HnswRowState
{
	HNSW_ROW_NEW,     /* a record, not written yet */
	HNSW_ROW_WRITTEN, /* nodes[i] has its record */
	HNSW_ROW_EQUAL,   /* nodes[i], of the index, has its vector and got its TID */
	HNSW_ROW_LATER,   /* is inserted by itself */
} HnswRowState;

typedef struct HnswFlush
{
	Relation index;
	const OmendbIndex *open;
	HnswInsert *insert;
	OmendbArray array; /* records of the rows */
	uint32 n;
	uint8 *states;     /* n: HnswRowState */
	OmendbNode *nodes; /* n */
	uint32 *order;     /* n: rows, near ones together */
	bool *searched;    /* n: step 3 is done */
	float *spans;      /* n: squared distances to the nearest node of the index; 0: not known */
	bool *reached;     /* n */
	HnswOffer *offers;
	size_t noffers;
	size_t offers_capacity;
	OmendbRecord *page_records; /* per_page copies */
	MemoryContext known;        /* of the edges that the writer remembers */
	uint32 pages;               /* changed since the writer began to remember */
} HnswFlush;

static inline OmendbRecord *
hnsw_flush_record(const HnswFlush *flush, uint32 i)
{
	return omendb_array_record(&flush->array, i);
}

/* Step 5: write the records of new rows. */
extern void hnsw_write_rows(HnswFlush *flush);

/* Step 6: give nodes of the index the edges that are offered to them, sorted by node. */
extern void hnsw_take_offers(HnswFlush *flush);

/* Step 7: give each row that is not reached an edge that leads to it. */
extern void hnsw_reach_rows(HnswFlush *flush);

#endif /* OMENDB_HNSWFLUSHWORK_H */
