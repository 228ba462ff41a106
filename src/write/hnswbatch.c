/*
 * hnswbatch.c
 *	  Gathers the rows of a statement, and inserts them together.
 *
 * A batch is the rows that one statement has put into the table, and not yet into one of the table's
 * indexes. A row of a committed transaction is in the index, so a batch is inserted ("flushed") at the
 * latest before the subtransaction that made its rows commits, or the transaction is prepared. It is
 * flushed
 *
 *	- when the statement ends (aminsertcleanup);
 *	- when its memory is full;
 *	- before this session reads the index, if the reader's snapshot sees the rows. Such a reader is a
 *	  function or trigger that the statement calls. Parallel workers do not know of the batch, so the
 *	  start of a parallel plan flushes all batches;
 *	- before commit, for a caller that inserts into an index and does not tell of the end. PostgreSQL
 *	  has no such caller of an hnsw index.
 *
 * The rows belong to the subtransaction in which the statement runs. If it aborts the rows are dead,
 * and the batch is forgotten. Other sessions do not see the rows before commit.
 *
 * No TID of a batch is given to another row before the flush. Vacuum frees a TID after it has found
 * the row dead. A row of a running transaction is not dead for vacuum, even if the transaction has
 * deleted it, with two exceptions: rows of an aborted subtransaction, which are forgotten, and rows
 * that INSERT ... ON CONFLICT takes back, which are not queued. The rows that CREATE INDEX CONCURRENTLY
 * inserts in its last phase may be of any transaction; its lock on the table keeps vacuum out.
 *
 * A flush that ends with an error may have put a row's record into the index, but no edge to the
 * record. Mostly the whole transaction ends with that error. If a function has caught it, and the
 * flush was of a statement around the function, then that statement may not go on either
 * (begin_flush).
 *
 * Locks: none are held between two calls. A flush takes those of an insert.
 */
#include "write/hnswbatch.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "compat.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/memutils.h"
#include "write/hnswflush.h"

/* The first row of a statement that is queued: most statements insert one row. */
#define FIRST_QUEUED 2

/* Share of maintenance_work_mem that the rows of a batch may take, as a divisor. */
#define MEMORY_SHARE 2

/*
 * Maximum number of rows of a batch. A vacuum that waits for running inserts waits for the flush, about two
 * seconds for so many rows, and other inserts wait behind that vacuum.
 */
#define MOST_ROWS 8192

/* Rows that memory is allocated for at first. */
#define ROWS_AT_FIRST 64

struct HnswBatch
{
	HnswBatch *next;
	Oid index;
	uint32 file;              /* number of the index's file */
	SubTransactionId subxact; /* of the statement */
	CommandId command;        /* the smallest one of the rows */
	MemoryContext context;    /* of the batch and its rows */
	bool flushing;            /* or a flush has failed */
	Size row_bytes;           /* memory that a row takes while the batch is flushed */
	HnswRows rows;
};

/* What an IndexInfo refers to (ii_AmCache), in its memory. */
typedef struct BatchUser
{
	uint64 transaction; /* value of transactions when the batch was made */
	uint64 seen;        /* rows of the statement */
	HnswBatch *batch;   /* or NULL */
} BatchUser;

HnswBatch *hnsw_batches = NULL;

/* Bytes that the flushes of all rows of all batches need, if each batch is flushed by itself. */
static Size queued_bytes;

/* Number of transactions that this process has ended. */
static uint64 transactions;

static ExecutorStart_hook_type next_executor_start;

/* Take the batch out of the list, and free it. */
static void
forget_batch(HnswBatch *batch)
{
	HnswBatch **at = &hnsw_batches;

	while (*at != batch)
		at = &(*at)->next;
	*at = batch->next;
	queued_bytes -= batch->rows.n * batch->row_bytes;
	MemoryContextDelete(batch->context);
}

/*
 * Note that a flush begins. An error if an earlier one did not end: one of its rows may be in the
 * index already, but not be found.
 */
static void
begin_flush(HnswBatch *batch, Relation index)
{
	if (batch->flushing)
		ereport(
			ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("cannot insert further rows into index \"%s\"", RelationGetRelationName(index)),
			 errdetail("An error that was caught has interrupted the insertion of earlier rows "
					   "of the same statement.")));
	batch->flushing = true;
}

static void
flush_batch(HnswBatch *batch, Relation index)
{
	if (batch->rows.n == 0)
		return;
	begin_flush(batch, index);
	hnsw_insert_rows(index, &batch->rows);
	queued_bytes -= batch->rows.n * batch->row_bytes;
	pfree(batch->rows.memory);
	batch->rows.memory = NULL;
	batch->rows.n = batch->rows.capacity = 0;
	batch->command = InvalidCommandId;
	batch->flushing = false;
}

void
hnsw_flush_batches(Relation index, Snapshot snapshot)
{
	for (HnswBatch *batch = hnsw_batches; batch; batch = batch->next)
		if (batch->index == RelationGetRelid(index) &&
			!(snapshot && snapshot->snapshot_type == SNAPSHOT_MVCC &&
			  snapshot->curcid <= batch->command))
			flush_batch(batch, index);
}

/* Flush a batch whose index is not open. */
static void
open_and_flush(HnswBatch *batch)
{
	Relation index;

	if (batch->rows.n == 0)
		return;
	index = try_relation_open(batch->index, RowExclusiveLock);
	if (!index)
		return;
	/* If the index was made anew, or its table truncated, the new file has all the table's rows. */
	if (omendb_relation_number(index) == batch->file)
		flush_batch(batch, index);
	relation_close(index, NoLock);
}

/* Flush, and then forget, the batches of a subtransaction. */
static void
end_batches(SubTransactionId subxact)
{
	HnswBatch *next;

	for (HnswBatch *batch = hnsw_batches; batch; batch = next)
	{
		next = batch->next;
		if (batch->subxact != subxact)
			continue;
		open_and_flush(batch);
		forget_batch(batch);
	}
}

static void
at_transaction_event(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
		case XACT_EVENT_PRE_PREPARE:
			end_batches(TopSubTransactionId);
			break;
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PARALLEL_ABORT:
			/* Their memory goes with the transaction's. */
			hnsw_batches = NULL;
			queued_bytes = 0;
			transactions++;
			break;
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_PREPARE:
			transactions++;
			break;
		default:
			break;
	}
}

static void
at_subtransaction_event(SubXactEvent event, SubTransactionId subxact, SubTransactionId parent,
						void *arg)
{
	HnswBatch *next;

	if (event == SUBXACT_EVENT_PRE_COMMIT_SUB)
		end_batches(subxact);
	if (event != SUBXACT_EVENT_ABORT_SUB)
		return;
	for (HnswBatch *batch = hnsw_batches; batch; batch = next)
	{
		next = batch->next;
		if (batch->subxact == subxact)
			forget_batch(batch);
	}
}

/* Parallel workers may read an index without that this process does. */
static void
flush_before_parallel(QueryDesc *query, int flags)
{
	if (query->plannedstmt->parallelModeNeeded && !(flags & EXEC_FLAG_EXPLAIN_ONLY))
		for (HnswBatch *batch = hnsw_batches; batch; batch = batch->next)
			open_and_flush(batch);
	if (next_executor_start)
		next_executor_start(query, flags);
	else
		standard_ExecutorStart(query, flags);
}

/* Once for each process. */
static void
register_callbacks(void)
{
	static bool registered = false;

	if (registered)
		return;
	RegisterXactCallback(at_transaction_event, NULL);
	RegisterSubXactCallback(at_subtransaction_event, NULL);
	next_executor_start = ExecutorStart_hook;
	ExecutorStart_hook = flush_before_parallel;
	registered = true;
}

static HnswBatch *
make_batch(Relation index, const OmendbIndex *open)
{
	/* Of the transaction, not of the IndexInfo: the rows must not go before they are in the index. */
	MemoryContext context =
		AllocSetContextCreate(TopTransactionContext, "hnsw batch", ALLOCSET_DEFAULT_SIZES);
	HnswBatch *batch = MemoryContextAllocZero(context, sizeof(HnswBatch));

	register_callbacks();
	batch->context = context;
	batch->index = RelationGetRelid(index);
	batch->file = omendb_relation_number(index);
	batch->subxact = GetCurrentSubTransactionId();
	batch->command = InvalidCommandId;
	batch->rows.bytes = open->codec.layout.head_bytes;
	batch->row_bytes = hnsw_flush_bytes(open);
	batch->next = hnsw_batches;
	hnsw_batches = batch;
	return batch;
}

static void
append_row(HnswBatch *batch, const OmendbRecord *row, CommandId command)
{
	HnswRows *rows = &batch->rows;

	if (rows->n == rows->capacity)
	{
		rows->capacity = Max(ROWS_AT_FIRST, 2 * rows->capacity);
		rows->memory = rows->memory
						   ? repalloc_huge(rows->memory, rows->capacity * rows->bytes)
						   : MemoryContextAllocHuge(batch->context, rows->capacity * rows->bytes);
	}
	memcpy(hnsw_row(rows, rows->n++), row, rows->bytes);
	queued_bytes += batch->row_bytes;
	batch->command = Min(batch->command, command);
}

/* True if the batch, or all batches together, have as many rows as they may. */
static bool
is_full(const HnswBatch *batch)
{
	return batch->rows.n >= MOST_ROWS ||
		   queued_bytes >= (Size) maintenance_work_mem * 1024 / MEMORY_SHARE;
}

/*
 * True if the row at that TID stays until the statement ends. *command: the row's, or the first one if
 * the row is not this transaction's.
 */
static bool
is_lasting(Relation heap, const OmendbRecord *row, CommandId *command)
{
	ItemPointerData tid;
	Buffer buffer;
	Page page;
	ItemId item;
	bool lasting = true;

	memcpy(&tid, row->tids, OMENDB_TID_BYTES);
	buffer = ReadBuffer(heap, ItemPointerGetBlockNumber(&tid));
	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	page = BufferGetPage(buffer);
	item = PageGetItemId(page, ItemPointerGetOffsetNumber(&tid));
	*command = FirstCommandId;
	/* CREATE INDEX CONCURRENTLY inserts roots of HOT chains, which may be redirected. */
	if (ItemIdIsNormal(item))
	{
		HeapTupleHeader tuple = (HeapTupleHeader) PageGetItem(page, item);

		lasting = !HeapTupleHeaderIsSpeculative(tuple);
		if (TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetXmin(tuple)))
			*command = HeapTupleHeaderGetRawCommandId(tuple);
	}
	UnlockReleaseBuffer(buffer);
	return lasting;
}

bool
hnsw_batch_add(Relation index, Relation heap, IndexInfo *info, const OmendbIndex *open,
			   const OmendbRecord *row)
{
	BatchUser *user;
	CommandId command;

	if (!OMENDB_HAS_INSERT_CLEANUP || !info || heap->rd_tableam != GetHeapamTableAmRoutine())
		return false;
	user = info->ii_AmCache;
	if (!user)
		user = info->ii_AmCache = MemoryContextAllocZero(info->ii_Context, sizeof(BatchUser));
	if (user->transaction != transactions)
		*user = (BatchUser){.transaction = transactions};
	if (++user->seen < FIRST_QUEUED || !is_lasting(heap, row, &command))
		return false;
	if (!user->batch)
		user->batch = make_batch(index, open);
	Assert(user->batch->subxact == GetCurrentSubTransactionId());
	if (is_full(user->batch))
		/* Those of the statement's other partitions, too: together they have filled the memory. */
		for (HnswBatch *batch = hnsw_batches; batch; batch = batch->next)
			open_and_flush(batch);
	append_row(user->batch, row, command);
	return true;
}

void
hnsw_insert_cleanup(Relation index, IndexInfo *info)
{
	BatchUser *user = info->ii_AmCache;

	if (!user)
		return;
	info->ii_AmCache = NULL;
	if (user->batch && user->transaction == transactions)
	{
		flush_batch(user->batch, index);
		forget_batch(user->batch);
	}
	pfree(user);
}
