/*
 * hnswlink.h
 *	  Links to a node from its neighbours, on pages.
 */
#ifndef OMENDB_HNSWLINK_H
#define OMENDB_HNSWLINK_H

#include "graph/link.h"
#include "page/change.h"

typedef struct HnswLinker
{
	OmendbStore *store;
	OmendbChooser *chooser; /* the caller's; set to other nodes here */
	OmendbQuery query;
	OmendbRecord *copy;  /* of the neighbour's record */
	OmendbRecord *other; /* of some other record */
} HnswLinker;

/* Allocates in the current memory context. */
extern void hnsw_linker_init(HnswLinker *linker, OmendbStore *store, OmendbChooser *chooser);

/*
 * Give a neighbour a link to a node (of which `record` is the header and own
 * vector) at that distance. A full neighbour gives up a link that it can do
 * without, and whose end others link to as well; if it finds none it takes no
 * new one, unless forced: then *given_up, if not NULL, is where the link led
 * that it gave up (or OMENDB_NO_NODE). True if it took it.
 */
extern bool hnsw_link_back(HnswLinker *linker, OmendbNode neighbour, OmendbNode node,
						   const OmendbRecord *record, unsigned level, float distance, bool forced,
						   OmendbNode *given_up);

#endif /* OMENDB_HNSWLINK_H */
