/*
 * slot.h
 *	  Free slots of pages, for the files that put records into them.
 */
#ifndef OMENDB_SLOT_H
#define OMENDB_SLOT_H

#include "postgres.h"

#include "access/generic_xlog.h"
#include "page/store.h"

/*
 * A page with a free slot, exclusively locked: the one used last, one that the
 * free space map knows, the file's last, or a new one.
 */
extern Buffer omendb_slot_lock_free(OmendbStore *store, uint32 *slot);

/* Register a page that may be new. */
extern Page omendb_slot_register(GenericXLogState *state, Buffer buffer);

/* Copy a record into a slot of a registered page; the slot's version and incarnation go on. */
extern void omendb_slot_fill(const OmendbLayout *layout, OmendbRecord *to,
							 const OmendbRecord *from);

#endif /* OMENDB_SLOT_H */
