/*
 * hnswbitmap.c
 *	  Makes and frees the bitmap of a custom scan.
 *
 * The plan node below makes a TIDBitmap; hnswmembers.c makes it searchable. A rescan keeps the
 * bitmap if no parameter of that node changed.
 */
#include "plan/hnswcustom.h"
#include "plan/hnswstate.h"

#include "executor/executor.h"
#include "utils/memutils.h"

void
hnsw_bitmap_make(HnswState *state)
{
	PlanState *child = hnsw_bitmap_child(state);
	MemoryContext old;
	Node *bitmap;

	if (state->bitmap.members || !child)
		return;
	if (!state->bitmap.context)
		state->bitmap.context =
			AllocSetContextCreate(state->css.ss.ps.state->es_query_cxt, "hnsw custom scan bitmap",
								  ALLOCSET_DEFAULT_SIZES);
	bitmap = MultiExecProcNode(child);
	if (!bitmap || !IsA(bitmap, TIDBitmap))
		elog(ERROR, "unrecognized result from subplan");
	old = MemoryContextSwitchTo(state->bitmap.context);
	state->bitmap.members = hnsw_members_create((TIDBitmap *) bitmap);
	MemoryContextSwitchTo(old);
	tbm_free((TIDBitmap *) bitmap);
}

void
hnsw_bitmap_free(HnswState *state)
{
	if (state->bitmap.context)
		MemoryContextReset(state->bitmap.context);
	state->bitmap.members = NULL;
}
