/*
 * hnswpace.h
 *	  How many nodes each round of a scan may return, and by which ef.
 *
 * Pure arithmetic, used by the scan (hnswrounds.c) and by the planner's estimates. None of it
 * depends on LIMIT (but for by_limit), so the rows of LIMIT n are the first n of LIMIT m. What was
 * measured, and tried: bench/README.md, "Rounds".
 */
#ifndef OMENDB_HNSWPACE_H
#define OMENDB_HNSWPACE_H

#include "postgres.h"

/*
 * Minimum number of nodes that the first round may return, if ef is not smaller. So one round
 * suffices for ten rows also where hnsw.ef_search is below 40.
 */
#define PACE_MIN_FIRST_NODES 11

/* What becomes of the nodes that a scan returns. */
typedef enum HnswPaceKind
{
	HNSW_PACE_ORDERED,  /* rows are returned in order: a late node is lost */
	HNSW_PACE_FILTERED, /* the same, and the rows that pass may all be near the edge of the beam */
	HNSW_PACE_UNTIL,    /* all rows up to some distance: late nodes get their places */
} HnswPaceKind;

typedef struct HnswPace
{
	HnswPaceKind kind;
	bool by_limit;   /* the first round returns about as many nodes as LIMIT wants */
	double first_ef; /* of the first round */
} HnswPace;

/* Nodes that the first round returns. */
extern double hnsw_pace_first_nodes(const HnswPace *pace);

/* Nodes that the first rounds return up to the one after that which may return `nodes`. */
extern double hnsw_pace_next_nodes(const HnswPace *pace, double nodes);

/*
 * Of how many of its nearest nodes a round has to be sure that may return `nodes`, the rounds
 * before included. 0: it visits all of its ef.
 */
extern double hnsw_pace_enough(const HnswPace *pace, double nodes);

/* The ef of a later round, which may return as many nodes (at least 1), the first rounds included. */
extern double hnsw_pace_ef(const HnswPace *pace, double nodes);

#endif /* OMENDB_HNSWPACE_H */
