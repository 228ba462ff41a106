/*
 * slot.h
 *	  Free slots of pages: finding and filling them. For the files of this folder that write records,
 *	  and for a build.
 */
#ifndef OMENDB_SLOT_H
#define OMENDB_SLOT_H

#include "postgres.h"

#include "access/generic_xlog.h"
#include "page/store.h"

/*
 * Find a page with adjacent free slots for the record, and lock it exclusively: the page used last, a
 * page of the free space map, the last page of the file, or a new page. *slot: the first of the slots.
 * Callers hold no lock on a page.
 */
extern Buffer omendb_slot_lock_free(OmendbStore *store, const OmendbRecord *record, uint32 *slot);

/* True if the slots that the record would take from `slot` on are free. The page may be new. */
extern bool omendb_slot_is_free(const OmendbLayout *layout, Page page, uint32 slot,
								const OmendbRecord *record);

/* Register a page with generic WAL, and initialise it if it is new. */
extern Page omendb_slot_register(GenericXLogState *state, Buffer buffer);

/*
 * Copy a record into free slots of a registered page. Version and incarnation are higher than those
 * of all of the slots.
 */
extern void omendb_slot_fill(const OmendbLayout *layout, Page page, uint32 slot,
							 const OmendbRecord *from);

/* Copy a record, as it is, into free slots of a page that nobody else reads yet. */
extern void omendb_slot_put(const OmendbLayout *layout, Page page, uint32 slot,
							const OmendbRecord *from);

/* Free the slots of a record of a registered page. */
extern void omendb_slot_clear(const OmendbLayout *layout, Page page, uint32 slot);

#endif /* OMENDB_SLOT_H */
