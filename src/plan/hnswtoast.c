/*
 * hnswtoast.c
 *	  Fetches out-of-line values of one column, one after another.
 *
 * Whatever is not as expected (another table access method, a chunk that is missing or has another
 * length) is left to PostgreSQL's detoast_attr, which knows what it means and which error to raise.
 */
#include "plan/hnswtoast.h"

#include "access/detoast.h"
#include "access/genam.h"
#include "access/heapam.h"
#include "access/heaptoast.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/toast_internals.h"
#include "compat.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"

/* Columns of a TOAST table. */
enum
{
	CHUNK_ID = 1,
	CHUNK_SEQ,
	CHUNK_DATA,
};

struct HnswToast
{
	MemoryContext context; /* of this and of the scan, which allocates while it runs, too */
	Oid table_oid;
	Relation table;
	Relation *indexes;
	int nindexes;
	SnapshotData memory; /* for omendb_toast_snapshot */
	IndexScanDesc scan;  /* NULL: values of this table are left to detoast_attr */
	TupleTableSlot *slot;
	ScanKeyData key;
};

static HnswToast *
open_table(Oid table)
{
	HnswToast *toast = palloc0(sizeof(HnswToast));
	int valid;

	toast->context = CurrentMemoryContext;
	toast->table_oid = table;
	toast->table = table_open(table, AccessShareLock);
	if (toast->table->rd_tableam != GetHeapamTableAmRoutine())
		return toast;
	valid = toast_open_indexes(toast->table, AccessShareLock, &toast->indexes, &toast->nindexes);
	toast->slot = table_slot_create(toast->table, NULL);
	ScanKeyInit(&toast->key, CHUNK_ID, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(InvalidOid));
	toast->scan = omendb_index_beginscan(toast->table, toast->indexes[valid],
										 omendb_toast_snapshot(&toast->memory), 1, 0);
	return toast;
}

void
hnsw_toast_end(HnswToast *toast)
{
	if (!toast)
		return;
	if (toast->scan)
	{
		index_endscan(toast->scan);
		ExecDropSingleTupleTableSlot(toast->slot);
		toast_close_indexes(toast->indexes, toast->nindexes, AccessShareLock);
	}
	table_close(toast->table, AccessShareLock);
	pfree(toast);
}

/* Copy the chunk in the slot to where it belongs. False if it is not chunk number `seq` of a value. */
static bool
copy_chunk(TupleTableSlot *slot, int32 seq, char *data, int32 size)
{
	int32 offset = seq * TOAST_MAX_CHUNK_SIZE;
	int32 expected = Min(size - offset, (int32) TOAST_MAX_CHUNK_SIZE);
	const struct varlena *chunk;
	bool null;

	if (expected <= 0 || DatumGetInt32(slot_getattr(slot, CHUNK_SEQ, &null)) != seq || null)
		return false;
	chunk = (const struct varlena *) DatumGetPointer(slot_getattr(slot, CHUNK_DATA, &null));
	if (null || VARATT_IS_EXTERNAL(chunk) || VARATT_IS_COMPRESSED(chunk) ||
		VARSIZE_ANY_EXHDR(chunk) != expected)
		return false;
	memcpy(data + offset, VARDATA_ANY(chunk), expected);
	return true;
}

/* Fetch a value's bytes, still compressed if they are. NULL if the chunks are not as expected. */
static struct varlena *
fetch_chunks(HnswToast *toast, const struct varatt_external *pointer)
{
	int32 size = VARATT_EXTERNAL_GET_EXTSIZE(*pointer);
	struct varlena *value = palloc(size + VARHDRSZ);
	MemoryContext old = MemoryContextSwitchTo(toast->context);
	int32 seq = 0;
	bool good = true;

	if (VARATT_EXTERNAL_IS_COMPRESSED(*pointer))
		SET_VARSIZE_COMPRESSED(value, size + VARHDRSZ);
	else
		SET_VARSIZE(value, size + VARHDRSZ);
	toast->key.sk_argument = ObjectIdGetDatum(pointer->va_valueid);
	index_rescan(toast->scan, &toast->key, 1, NULL, 0);
	/* To the end, where the scan gives up its pin of the index page. */
	while (index_getnext_slot(toast->scan, ForwardScanDirection, toast->slot))
		good = good && copy_chunk(toast->slot, seq++, VARDATA(value), size);
	ExecClearTuple(toast->slot);
	MemoryContextSwitchTo(old);
	if (good && seq == (size + (int32) TOAST_MAX_CHUNK_SIZE - 1) / (int32) TOAST_MAX_CHUNK_SIZE)
		return value;
	pfree(value);
	return NULL;
}

Datum
hnsw_toast_fetch(HnswToast **toast, MemoryContext context, Datum value)
{
	struct varlena *stored = (struct varlena *) DatumGetPointer(value);
	struct varlena *fetched;
	struct varatt_external pointer;

	if (!VARATT_IS_EXTERNAL_ONDISK(stored))
		return value;
	VARATT_EXTERNAL_GET_POINTER(pointer, stored);
	if (!*toast || (*toast)->table_oid != pointer.va_toastrelid)
	{
		MemoryContext old = MemoryContextSwitchTo(context);

		hnsw_toast_end(*toast);
		*toast = NULL;
		*toast = open_table(pointer.va_toastrelid);
		MemoryContextSwitchTo(old);
	}
	if (!(*toast)->scan || !(fetched = fetch_chunks(*toast, &pointer)))
		return PointerGetDatum(detoast_attr(stored));
	return PointerGetDatum(VARATT_IS_COMPRESSED(fetched) ? detoast_attr(fetched) : fetched);
}
