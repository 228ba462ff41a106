/*
 * slot.h
 *	  Free slots of pages: finding and filling one. For the files of this folder that write records.
 */
#ifndef OMENDB_SLOT_H
#define OMENDB_SLOT_H

#include "postgres.h"

#include "access/generic_xlog.h"
#include "page/store.h"

/*
 * Find a page with a free slot, and lock it exclusively: the page used last, a page of the free
 * space map, the last page of the file, or a new page. Callers hold no lock on a page.
 */
extern Buffer omendb_slot_lock_free(OmendbStore *store, uint32 *slot);

/* Register a page with generic WAL, and initialise it if it is new. */
extern Page omendb_slot_register(GenericXLogState *state, Buffer buffer);

/* Copy a record into a slot of a registered page. The slot's version and incarnation are raised. */
extern void omendb_slot_fill(const OmendbLayout *layout, OmendbRecord *to,
							 const OmendbRecord *from);

#endif /* OMENDB_SLOT_H */
