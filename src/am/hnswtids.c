/*
 * hnswtids.c
 *	  Reads the heap TIDs of a node one after another.
 *
 * Nothing is locked between two records. The next overflow record is read, then the record that
 * named it is read again. If that record's version is unchanged, the overflow record was its
 * successor when it was read. If not, a vacuum may have taken either record out of the chain,
 * and a new record may be in the same slot. A slot's version is raised when the slot is reused,
 * never set back.
 */
#include "am/hnswtids.h"

#include "common/hashfn.h"
#include "miscadmin.h"

/* An overflow record that was read. A reused slot has another incarnation. */
typedef struct ReadRecord
{
	uint64 key;  /* the record's number and incarnation */
	uint32 walk; /* HnswChain.walk when the record was read last */
	char status;
} ReadRecord;

#define SH_PREFIX           readset
#define SH_ELEMENT_TYPE     ReadRecord
#define SH_KEY_TYPE         uint64
#define SH_KEY              key
#define SH_HASH_KEY(t, key) murmurhash32((uint32) ((key) >> 16) + (uint32) (key))
#define SH_EQUAL(t, a, b)   ((a) == (b))
#define SH_SCOPE            static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

/* The header of an overflow record, as far as it matters here. */
typedef struct OverflowHeader
{
	OmendbNode next;
	uint32 version;
	uint16 incarnation;
} OverflowHeader;

void
hnsw_tids_init(HnswTids *tids, OmendbStore *store)
{
	const OmendbLayout *layout = &store->index->codec.layout;

	memset(tids, 0, sizeof(*tids));
	tids->store = store;
	tids->context = CurrentMemoryContext;
	tids->overflow.tids = palloc(omendb_overflow_capacity(layout) * sizeof(ItemPointerData));
	hnsw_tids_reset(tids);
}

void
hnsw_tids_reset(HnswTids *tids)
{
	tids->first.n = tids->first.next = 0;
	tids->overflow.n = tids->overflow.next = 0;
	tids->chain.next = OMENDB_NO_NODE;
	tids->chain.walk = 0;
	if (tids->chain.read)
		readset_destroy(tids->chain.read);
	tids->chain.read = NULL;
}

void
hnsw_tids_begin(HnswTids *tids, OmendbNode node, const OmendbPayload *payload)
{
	hnsw_tids_reset(tids);
	tids->node = node;
	tids->incarnation = payload->incarnation;
	memcpy(tids->first.bytes, payload->tids, sizeof(tids->first.bytes));
	tids->first.n = payload->ntids;
	tids->record = node;
	tids->record_version = payload->version;
	tids->chain.next = payload->overflow;
	tids->chain.from = node;
	tids->chain.from_version = payload->version;
}

/* The record, its page share-locked. */
static OmendbRecord *
lock_record(HnswTids *tids, OmendbNode node, Buffer *buffer)
{
	*buffer = omendb_store_lock_node(tids->store, node, BUFFER_LOCK_SHARE);
	return omendb_store_record(tids->store, *buffer, node);
}

/* Copy the TIDs of the next overflow record, and its header. False if it does not belong to the node. */
static bool
copy_overflow(HnswTids *tids, OverflowHeader *header)
{
	Buffer buffer;
	OmendbRecord *record = lock_record(tids, tids->chain.next, &buffer);
	const OmendbOverflow *overflow;
	bool good;

	tids->overflow.n = tids->overflow.next = 0;
	*header = (OverflowHeader){OMENDB_NO_NODE, 0, 0};
	overflow = omendb_record_overflow(record);
	good = record->kind == OMENDB_RECORD_OVERFLOW && overflow->owner == tids->node &&
		   overflow->owner_incarnation == tids->incarnation;
	if (good)
	{
		tids->overflow.n = overflow->count;
		memcpy(tids->overflow.tids, overflow->tids, overflow->count * sizeof(ItemPointerData));
		*header = (OverflowHeader){record->overflow, record->version, record->incarnation};
	}
	UnlockReleaseBuffer(buffer);
	return good;
}

/* True if the record that named the next overflow record is unchanged since then. */
static bool
is_unchanged(HnswTids *tids)
{
	Buffer buffer;
	const OmendbRecord *record = lock_record(tids, tids->chain.from, &buffer);
	bool same = record->version == tids->chain.from_version;

	UnlockReleaseBuffer(buffer);
	return same;
}

/* Begin the chain again. It is empty if the node is gone: then all of its rows were dead. */
static void
begin_chain(HnswTids *tids)
{
	Buffer buffer;
	const OmendbRecord *record = lock_record(tids, tids->node, &buffer);

	tids->chain.walk++;
	tids->chain.next = OMENDB_NO_NODE;
	if (record->kind == OMENDB_RECORD_NODE && record->level == 0 &&
		record->incarnation == tids->incarnation)
	{
		tids->chain.next = record->overflow;
		tids->chain.from = tids->node;
		tids->chain.from_version = record->version;
	}
	UnlockReleaseBuffer(buffer);
}

/* Note the next overflow record as read. False if it had been read before. */
static bool
note_read(HnswTids *tids, uint16 incarnation)
{
	uint64 key = (uint64) tids->chain.next << 16 | incarnation;
	ReadRecord *record;
	bool found;

	if (!tids->chain.read)
		tids->chain.read = readset_create(tids->context, 16, NULL);
	record = readset_insert(tids->chain.read, key, &found);
	/* In one walk no record comes twice: each is older than the one before it. */
	if (found && record->walk == tids->chain.walk)
		omendb_corrupt_page(tids->store->relation,
							omendb_node_block(&tids->store->index->codec.layout, tids->chain.next),
							"A chain of overflow records has no end.");
	record->walk = tids->chain.walk;
	return !found;
}

/* Copy the TIDs of the next overflow record that was not read. False if there is none. */
static bool
read_overflow(HnswTids *tids)
{
	while (tids->chain.next != OMENDB_NO_NODE)
	{
		OverflowHeader header;
		bool good;

		CHECK_FOR_INTERRUPTS();
		good = copy_overflow(tids, &header);
		if (!is_unchanged(tids))
		{
			begin_chain(tids);
			continue;
		}
		if (!good)
			omendb_corrupt_page(
				tids->store->relation,
				omendb_node_block(&tids->store->index->codec.layout, tids->chain.next),
				"An overflow record does not belong to the node that names it.");
		good = note_read(tids, header.incarnation);
		tids->chain.from = tids->chain.next;
		tids->chain.from_version = header.version;
		tids->chain.next = header.next;
		if (good)
		{
			tids->record = tids->chain.from;
			tids->record_version = tids->chain.from_version;
			return true;
		}
	}
	tids->overflow.n = tids->overflow.next = 0;
	return false;
}

/* The next TID, marked or not. False if there is none left. */
static bool
next_tid(HnswTids *tids, ItemPointer tid)
{
	if (tids->first.next < tids->first.n)
	{
		tids->marked =
			omendb_tid_load(tids->first.bytes + tids->first.next++ * OMENDB_TID_BYTES, tid);
		return true;
	}
	while (tids->overflow.next >= tids->overflow.n)
		if (!read_overflow(tids))
			return false;
	tids->marked = omendb_tid_load(&tids->overflow.tids[tids->overflow.next++], tid);
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
