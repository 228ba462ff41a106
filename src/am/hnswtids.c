/*
 * hnswtids.c
 *	  The heap TIDs of a node, one after another.
 *
 * Nothing is locked between two records. The record that comes next is read,
 * and then the record that named it is looked at again: if its version is still
 * the same, what was read is its successor. If not, a vacuum may have taken the
 * one or the other out of the chain, and somebody may have put a new record into
 * the same slot. A slot's version goes on when it is reused.
 */
#include "am/hnswtids.h"

#include "common/hashfn.h"
#include "miscadmin.h"

/* An overflow record that was read. A slot that is reused has another incarnation. */
typedef struct DoneRecord
{
	uint64 key;  /* its number and incarnation */
	uint32 walk; /* in which it was met last */
	char status;
} DoneRecord;

#define SH_PREFIX           done
#define SH_ELEMENT_TYPE     DoneRecord
#define SH_KEY_TYPE         uint64
#define SH_KEY              key
#define SH_HASH_KEY(t, key) murmurhash32((uint32) ((key) >> 16) + (uint32) (key))
#define SH_EQUAL(t, a, b)   ((a) == (b))
#define SH_SCOPE            static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

/* What an overflow record says beside its TIDs. */
typedef struct NextOverflow
{
	OmendbNode next;
	uint32 version;
	uint16 incarnation;
} NextOverflow;

void
hnsw_tids_init(HnswTids *tids, OmendbStore *store)
{
	const OmendbLayout *layout = &store->index->codec.layout;

	memset(tids, 0, sizeof(*tids));
	tids->store = store;
	tids->context = CurrentMemoryContext;
	tids->tids = palloc(omendb_overflow_capacity(layout) * sizeof(ItemPointerData));
	hnsw_tids_reset(tids);
}

void
hnsw_tids_reset(HnswTids *tids)
{
	tids->nfirst = tids->next_first = 0;
	tids->ntids = tids->next_tid = 0;
	tids->at = OMENDB_NO_NODE;
	tids->walk = 0;
	if (tids->done)
		done_destroy(tids->done);
	tids->done = NULL;
}

void
hnsw_tids_begin(HnswTids *tids, OmendbNode node, const OmendbPayload *payload)
{
	hnsw_tids_reset(tids);
	tids->node = node;
	tids->incarnation = payload->incarnation;
	memcpy(tids->first, payload->tids, sizeof(tids->first));
	tids->nfirst = payload->ntids;
	tids->record = node;
	tids->record_version = payload->version;
	tids->at = payload->overflow;
	tids->from = node;
	tids->from_version = payload->version;
}

/* The record, its page share-locked; NULL where its page was never initialised. */
static OmendbRecord *
lock_record(HnswTids *tids, OmendbNode node, Buffer *buffer)
{
	const OmendbLayout *layout = &tids->store->index->codec.layout;

	*buffer = omendb_store_lock(tids->store, omendb_node_block(layout, node), BUFFER_LOCK_SHARE);
	if (!BufferIsValid(*buffer))
		return NULL;
	return omendb_store_record(tids->store, *buffer, node);
}

/* Copy the TIDs of tids->at and say what follows it; false where it is not the node's. */
static bool
copy_overflow(HnswTids *tids, NextOverflow *next)
{
	Buffer buffer;
	OmendbRecord *record = lock_record(tids, tids->at, &buffer);
	const OmendbOverflow *overflow;
	bool good;

	tids->ntids = tids->next_tid = 0;
	*next = (NextOverflow){OMENDB_NO_NODE, 0, 0};
	if (!record)
		return false;
	overflow = omendb_record_overflow(record);
	good = record->kind == OMENDB_RECORD_OVERFLOW && overflow->owner == tids->node &&
		   overflow->owner_incarnation == tids->incarnation;
	if (good)
	{
		tids->ntids = overflow->count;
		memcpy(tids->tids, overflow->tids, overflow->count * sizeof(ItemPointerData));
		*next = (NextOverflow){record->overflow, record->version, record->incarnation};
	}
	UnlockReleaseBuffer(buffer);
	return good;
}

/* Is the record that named tids->at as it was then? */
static bool
is_unchanged(HnswTids *tids)
{
	Buffer buffer;
	const OmendbRecord *record = lock_record(tids, tids->from, &buffer);
	bool same;

	if (!record)
		return false;
	same = record->version == tids->from_version;
	UnlockReleaseBuffer(buffer);
	return same;
}

/* Begin the chain again. Where the node is gone, all of its rows were dead. */
static void
begin_chain(HnswTids *tids)
{
	Buffer buffer;
	const OmendbRecord *record = lock_record(tids, tids->node, &buffer);

	tids->walk++;
	tids->at = OMENDB_NO_NODE;
	if (!record)
		return;
	if (record->kind == OMENDB_RECORD_NODE && record->level == 0 &&
		record->incarnation == tids->incarnation)
	{
		tids->at = record->overflow;
		tids->from = tids->node;
		tids->from_version = record->version;
	}
	UnlockReleaseBuffer(buffer);
}

/* Note the overflow record as read. False where it had been read before. */
static bool
note_done(HnswTids *tids, uint16 incarnation)
{
	uint64 key = (uint64) tids->at << 16 | incarnation;
	DoneRecord *record;
	bool found;

	if (!tids->done)
		tids->done = done_create(tids->context, 16, NULL);
	record = done_insert(tids->done, key, &found);
	/* Each record is older than the one before it. */
	if (found && record->walk == tids->walk)
		omendb_corrupt_page(tids->store->relation,
							omendb_node_block(&tids->store->index->codec.layout, tids->at),
							"A chain of overflow records has no end.");
	record->walk = tids->walk;
	return !found;
}

/* Copy the TIDs of the next overflow record that was not read; false where there is none. */
static bool
read_overflow(HnswTids *tids)
{
	while (tids->at != OMENDB_NO_NODE)
	{
		NextOverflow next;
		bool good;

		CHECK_FOR_INTERRUPTS();
		good = copy_overflow(tids, &next);
		if (!is_unchanged(tids))
		{
			begin_chain(tids);
			continue;
		}
		if (!good)
			omendb_corrupt_page(tids->store->relation,
								omendb_node_block(&tids->store->index->codec.layout, tids->at),
								"An overflow record does not belong to the node that names it.");
		good = note_done(tids, next.incarnation);
		tids->from = tids->at;
		tids->from_version = next.version;
		tids->at = next.next;
		if (good)
		{
			tids->record = tids->from;
			tids->record_version = tids->from_version;
			return true;
		}
	}
	tids->ntids = tids->next_tid = 0;
	return false;
}

/* The next TID, marked or not; false where there is none left. */
static bool
next_tid(HnswTids *tids, ItemPointer tid)
{
	if (tids->next_first < tids->nfirst)
	{
		tids->marked = omendb_tid_load(tids->first + tids->next_first++ * OMENDB_TID_BYTES, tid);
		return true;
	}
	while (tids->next_tid >= tids->ntids)
		if (!read_overflow(tids))
			return false;
	tids->marked = omendb_tid_load(&tids->tids[tids->next_tid++], tid);
	return true;
}

bool
hnsw_tids_next(HnswTids *tids, ItemPointer tid)
{
	while (next_tid(tids, tid))
		if (!tids->marked || !tids->skip_marked)
			return true;
	return false;
}
