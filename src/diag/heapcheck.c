/*
 * heapcheck.c
 *	  Checks of the index's heap TIDs against each other and against the table.
 *
 * Every row that the snapshot sees has to be in the index, at a node with its vector. A TID whose row
 * the snapshot does not see may be of a dead row, or of a transaction that the snapshot does not
 * include. Of such a TID only the line pointer is checked, because the row's TOAST values may be
 * gone.
 */
#include "diag/heapcheck.h"

#include <float.h>
#include <math.h>

#include "access/heapam.h"
#include "access/tableam.h"
#include "catalog/pg_am.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

typedef struct HeapCheck
{
	OmendbCheck *check;
	MemoryContext row;    /* reset for every row */
	void *buffer;         /* of hnsw_encode_value, which leaves the stored-space vector there */
	float *kept;          /* the node's own vector, decoded */
	OmendbRecord *value;  /* header and own vector of the row's value */
	OmendbRecord *record; /* header and own vector of the node */
} HeapCheck;

static int
compare_tids(const void *a, const void *b)
{
	const CheckTid *x = a;
	const CheckTid *y = b;

	if (x->tid != y->tid)
		return x->tid < y->tid ? -1 : 1;
	return x->node < y->node ? -1 : x->node > y->node;
}

static BlockNumber
tid_block(uint64 tid)
{
	return (BlockNumber) (tid >> 16);
}

static OffsetNumber
tid_offset(uint64 tid)
{
	return (OffsetNumber) (tid & 0xffff);
}

void
omendb_check_tids(OmendbCheck *check)
{
	qsort(check->tids, check->ntids, sizeof(CheckTid), compare_tids);
	for (size_t i = 1; i < check->ntids; i++)
		if (check->tids[i].tid == check->tids[i - 1].tid)
			omendb_check_problem(check, 0, check->tids[i].node,
								 "its heap TID (%u,%u) is that of node %u, too",
								 tid_block(check->tids[i].tid), tid_offset(check->tids[i].tid),
								 check->tids[i - 1].node);
}

/* The first element of check->tids with that TID, or NULL. */
static CheckTid *
find_tid(OmendbCheck *check, uint64 tid)
{
	size_t low = 0;
	size_t high = check->ntids;

	while (low < high)
	{
		size_t middle = low + (high - low) / 2;

		if (check->tids[middle].tid < tid)
			low = middle + 1;
		else
			high = middle;
	}
	return low < check->ntids && check->tids[low].tid == tid ? &check->tids[low] : NULL;
}

/* Copy header and own vector of a node to heap->record. False if it is not a node. */
static bool
fetch_node(HeapCheck *heap, OmendbNode node)
{
	const OmendbLayout *layout = &heap->check->diagnosis.index->codec.layout;
	Buffer buffer;
	const OmendbRecord *record;

	if (node >= heap->check->diagnosis.nodes ||
		heap->check->records[node].kind != OMENDB_RECORD_NODE)
		return false; /* was reported */
	buffer = ReadBuffer(heap->check->diagnosis.relation, omendb_node_block(layout, node));
	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	record = omendb_page_record(layout, BufferGetPage(buffer), node % layout->per_page);
	memcpy(heap->record, record, omendb_head_size(layout, record));
	UnlockReleaseBuffer(buffer);
	return true;
}

/*
 * True if the node has the value's vector. Kernels of another instruction set may have normalised or
 * rotated the vector with other roundings, so the difference may also be within the node's error.
 */
static bool
holds_value(HeapCheck *heap)
{
	const OmendbCodec *codec = &heap->check->diagnosis.index->codec;
	uint32 n = codec->layout.dimensions;
	const float *stored = heap->buffer;
	double error = 0;
	double length = 0;
	bool l1 = codec->layout.metric == OMENDB_METRIC_L1;

	if (omendb_own_equal(codec, heap->record, heap->value) &&
		memcmp(heap->record->identity, heap->value->identity, sizeof(heap->value->identity)) == 0)
		return true;
	/* Own vectors of bits and sparse vectors are the same at every instruction set. */
	if (codec->layout.own == OMENDB_OWN_BITS || codec->layout.own == OMENDB_OWN_SPARSE)
		return false;
	omendb_own_decode(codec, heap->record, heap->kept);
	for (uint32 i = 0; i < n; i++)
	{
		double diff = (double) stored[i] - heap->kept[i];

		error += l1 ? fabs(diff) : diff * diff;
		length += l1 ? fabs(stored[i]) : (double) stored[i] * stored[i];
	}
	if (!l1)
	{
		error = sqrt(error);
		length = sqrt(length);
	}
	return error <= heap->record->error * 1.001 + 32 * FLT_EPSILON * length;
}

static void
check_row(HeapCheck *heap, ItemPointer tid, Datum value, bool isnull, bool alive)
{
	OmendbCheck *check = heap->check;
	CheckTid *found = find_tid(check, omendb_check_tid(tid));
	bool indexed = !isnull && hnsw_encode_value(check->diagnosis.index, check->diagnosis.opclass,
												value, heap->buffer, heap->value);

	if (!found)
	{
		if (indexed)
			omendb_check_problem(check, InvalidBlockNumber, OMENDB_NO_NODE,
								 "the table's row (%u,%u) is not in the index",
								 ItemPointerGetBlockNumber(tid), ItemPointerGetOffsetNumber(tid));
		return;
	}
	found->seen = true;
	if (found->marked && alive)
		omendb_check_problem(check, 0, found->node,
							 "its heap TID (%u,%u) is marked as a dead row's, but the row lives",
							 ItemPointerGetBlockNumber(tid), ItemPointerGetOffsetNumber(tid));
	if (!indexed)
		omendb_check_problem(check, 0, found->node,
							 "its heap TID (%u,%u) is of a row that has no vector to index",
							 ItemPointerGetBlockNumber(tid), ItemPointerGetOffsetNumber(tid));
	else if (fetch_node(heap, found->node) && !holds_value(heap))
		omendb_check_problem(check, 0, found->node,
							 "its heap TID (%u,%u) is of a row with another vector",
							 ItemPointerGetBlockNumber(tid), ItemPointerGetOffsetNumber(tid));
}

static void
row_callback(Relation index, ItemPointer tid, Datum *values, bool *isnull, bool alive, void *state)
{
	HeapCheck *heap = state;
	MemoryContext old = MemoryContextSwitchTo(heap->row);

	check_row(heap, tid, values[0], isnull[0], alive);
	MemoryContextSwitchTo(old);
	MemoryContextReset(heap->row);
}

/* True if the line pointer of the TID is in use. *buffer keeps the page pinned for the next call. */
static bool
is_row(OmendbCheck *check, uint64 tid, BlockNumber blocks, Buffer *buffer)
{
	BlockNumber block = tid_block(tid);
	Page page;
	bool used;

	if (block >= blocks)
		return false;
	if (!BufferIsValid(*buffer) || BufferGetBlockNumber(*buffer) != block)
	{
		if (BufferIsValid(*buffer))
			ReleaseBuffer(*buffer);
		*buffer =
			ReadBufferExtended(check->diagnosis.heap, MAIN_FORKNUM, block, RBM_NORMAL, check->ring);
	}
	LockBuffer(*buffer, BUFFER_LOCK_SHARE);
	page = BufferGetPage(*buffer);
	used = !PageIsNew(page) && tid_offset(tid) <= PageGetMaxOffsetNumber(page) &&
		   ItemIdIsUsed(PageGetItemId(page, tid_offset(tid)));
	LockBuffer(*buffer, BUFFER_LOCK_UNLOCK);
	return used;
}

/* True if the row, or a later version in its HOT chain, may be visible to somebody. */
static bool
is_visible(OmendbCheck *check, uint64 tid, BlockNumber blocks, Snapshot snapshot)
{
	ItemPointerData pointer;
	bool dead = false;

	if (tid_block(tid) >= blocks)
		return false;
	ItemPointerSet(&pointer, tid_block(tid), tid_offset(tid));
	return table_index_fetch_tuple_check(check->diagnosis.heap, &pointer, snapshot, &dead) || !dead;
}

void
omendb_check_visible(OmendbCheck *check)
{
	BlockNumber blocks = RelationGetNumberOfBlocks(check->diagnosis.heap);
	Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());

	for (size_t i = 0; i < check->ntids; i++)
	{
		OmendbNode node = check->tids[i].node;

		CHECK_FOR_INTERRUPTS();
		if (node < check->diagnosis.nodes &&
			!(check->records[node].seen & (CHECK_REACHED | CHECK_ROWS)) &&
			is_visible(check, check->tids[i].tid, blocks, snapshot))
			check->records[node].seen |= CHECK_ROWS;
	}
	UnregisterSnapshot(snapshot);
}

/* Check the TIDs whose rows the scan of the table did not return. */
static void
check_unseen(OmendbCheck *check, Snapshot snapshot)
{
	Relation heap = check->diagnosis.heap;
	bool is_heap = heap->rd_rel->relam == HEAP_TABLE_AM_OID;
	BlockNumber blocks = RelationGetNumberOfBlocks(heap);
	Buffer buffer = InvalidBuffer;

	for (size_t i = 0; i < check->ntids; i++)
	{
		uint64 tid = check->tids[i].tid;
		ItemPointerData pointer;

		CHECK_FOR_INTERRUPTS();
		if (check->tids[i].seen || (i > 0 && check->tids[i - 1].tid == tid))
			continue;
		ItemPointerSet(&pointer, tid_block(tid), tid_offset(tid));
		if (tid_block(tid) >= blocks || (is_heap && !is_row(check, tid, blocks, &buffer)))
			omendb_check_problem(check, 0, check->tids[i].node, "its heap TID (%u,%u) is of no row",
								 tid_block(tid), tid_offset(tid));
		else if (table_index_fetch_tuple_check(heap, &pointer, snapshot, NULL))
			omendb_check_problem(check, 0, check->tids[i].node,
								 "its heap TID (%u,%u) is of a row that the index is not for",
								 tid_block(tid), tid_offset(tid));
	}
	if (BufferIsValid(buffer))
		ReleaseBuffer(buffer);
}

void
omendb_check_heap(OmendbCheck *check)
{
	const OmendbLayout *layout = &check->diagnosis.index->codec.layout;
	HeapCheck heap = {0};
	Snapshot snapshot = RegisterSnapshot(GetTransactionSnapshot());

	omendb_diagnosis_check_snapshot(&check->diagnosis, snapshot);
	heap.check = check;
	heap.row =
		AllocSetContextCreate(CurrentMemoryContext, "hnsw_index_check row", ALLOCSET_DEFAULT_SIZES);
	heap.buffer = palloc(hnsw_value_bytes(layout));
	if (layout->own != OMENDB_OWN_SPARSE)
		heap.kept = palloc(layout->dimensions * sizeof(float));
	heap.value = palloc0(layout->record_bytes);
	heap.record = palloc0(layout->record_bytes);
	omendb_diagnosis_scan_heap(&check->diagnosis, snapshot, row_callback, &heap);
	check_unseen(check, snapshot);
	UnregisterSnapshot(snapshot);
	MemoryContextDelete(heap.row);
}
