/*
 * hnswstate.h
 *	  The state of a custom scan that runs.
 */
#ifndef OMENDB_HNSWSTATE_H
#define OMENDB_HNSWSTATE_H

#include "postgres.h"

#include "access/genam.h"
#include "am/hnswscan.h"
#include "nodes/execnodes.h"
#include "plan/hnswcosts.h"
#include "plan/hnswmembers.h"
#include "plan/hnswrows.h"
#include "plan/hnswsort.h"

/* Strategies that a scan went through, for EXPLAIN: at most so many are noted. */
#define HNSW_MOST_CHANGES 4

/* What EXPLAIN shows; all rescans together. */
typedef struct HnswCounts
{
	uint64 nodes;     /* visited */
	uint64 members;   /* nodes' rows that were looked up in the bitmap and found */
	uint64 fetched;   /* heap rows read */
	uint64 distances; /* computed by the operator */
	uint64 sweeps;
	HnswStop stop;
	int nstrategies;
	const char *strategies[HNSW_MOST_CHANGES];
} HnswCounts;

/* How the parts of the plan are evaluated. */
typedef struct HnswExpressions
{
	ExprContext *context;    /* over rows of the table */
	ProjectionInfo *columns; /* of the scan's row, but for the distance */
	ExprState *indexed;      /* what is compared with the query */
	ExprState *query;
	FmgrInfo distance; /* the operator's function */
	Oid collation;
	bool shows_distance; /* somebody reads the column of the distance */
	ExprState *later;    /* clauses from the first one on that reads it; or NULL */
	List *radii;         /* ExprState */
	List *radius_nodes;  /* their expressions */
	List *radius_forms;  /* Integer */
	ExprState *limit;    /* or NULL */
	ExprState *offset;   /* or NULL */
} HnswExpressions;

typedef enum HnswSource
{
	HNSW_SOURCE_INDEX, /* search, or sweep, of the index */
	HNSW_SOURCE_SORT,
	HNSW_SOURCE_NONE, /* no more rows come */
} HnswSource;

/* One scan, from one rescan to the next. */
typedef struct HnswRun
{
	bool started;
	Datum query; /* detoasted */
	bool query_is_null;
	double wanted; /* rows to hold back until they are all there; 0: none, infinite: all */
	double radius; /* the smallest that is known; infinite: none */
	Bitmapset *radii_known;
	bool may_read_all; /* settings, as they were when the run started */
	bool relaxed;
	bool released; /* rows are being returned */
	bool searched; /* the index */
	bool sweeping;
	bool draining; /* the search goes no further */
	int table_reads;
	HnswSource source;
	HnswStrategy strategy;
	double popped; /* rows that the index gave */
	double passed; /* of them, rows that passed all clauses */
	double held_bytes;
} HnswRun;

typedef struct HnswState
{
	CustomScanState css; /* first */
	HnswPlanned planned;
	HnswCosts costs;
	int flags;
	bool has_clauses;
	Relation index;
	TupleTableSlot *heap_slot; /* a row of the table */
	TupleTableSlot *held_slot; /* a row that was held back, being returned */
	TupleTableSlot *look_slot; /* likewise, to compute its distance */
	HnswExpressions expressions;

	MemoryContext context; /* of this run; reset by a rescan */
	IndexScanDesc scan;    /* begun; or NULL */
	HnswDrive *drive;
	HnswMembers *members; /* or NULL */
	HnswSort *sort;       /* or NULL */
	HnswRows rows;
	ItemPointerData *seen; /* TIDs of rows whose clauses were checked */
	size_t nseen;
	size_t seen_room;
	HnswRun run;
	HnswCounts counts;
} HnswState;

static inline PlanState *
hnsw_bitmap_child(const HnswState *state)
{
	return state->css.custom_ps ? linitial(state->css.custom_ps) : NULL;
}

/* hnswrow.c: one row of the table. */

/* Let the expressions read this row of the table; check the clauses before the distance. */
extern bool hnsw_row_passes_first(HnswState *state, TupleTableSlot *slot);
/* The distance of the row that the expressions read; false: null. */
extern bool hnsw_row_distance(HnswState *state, double *distance);
/* Check the other clauses, for which the distance is known. */
extern bool hnsw_row_passes_later(HnswState *state, double distance, bool null);
/* What the node returns of the row that the expressions read. */
extern TupleTableSlot *hnsw_row_result(HnswState *state, double distance, bool null);
/* Let the expressions read a row without checking anything. */
extern void hnsw_row_set(HnswState *state, TupleTableSlot *slot);

/* hnswexact.c: read rows, sort them by the distance. */
extern void hnsw_exact_begin(HnswState *state);
extern void hnsw_exact_end(HnswState *state);

/* hnswchange.c: which strategy goes on. */

typedef enum HnswAction
{
	HNSW_GO_ON,
	HNSW_TO_BITMAP,
	HNSW_TO_EXACT,
	HNSW_TO_SWEEP,
} HnswAction;

/* before another round; must_stop: the search may go no further. */
extern HnswAction hnsw_choose_action(const HnswState *state, bool must_stop);

/* Is it right to sort the rows of the bitmap, now that their number is known? */
extern bool hnsw_exact_is_right(const HnswState *state);

/* Make the bitmap, where there is none yet. */
extern void hnsw_make_members(HnswState *state);

/* Add what the present search did. */
extern void hnsw_add_search_counts(const HnswState *state, HnswCounts *counts);

/* hnswexplain.c */
extern void hnsw_explain(CustomScanState *css, List *ancestors, ExplainState *es);

#endif /* OMENDB_HNSWSTATE_H */
