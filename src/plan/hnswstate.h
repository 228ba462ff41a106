/*
 * hnswstate.h
 *	  The state of a custom scan that runs.
 */
#ifndef OMENDB_HNSWSTATE_H
#define OMENDB_HNSWSTATE_H

#include "postgres.h"

#include "access/genam.h"
#include "access/tableam.h"
#include "am/hnswdrive.h"
#include "nodes/execnodes.h"
#include "nodes/extensible.h"
#include "nodes/pathnodes.h"
#include "plan/hnswcosts.h"
#include "plan/hnswfetch.h"
#include "plan/hnswmembers.h"
#include "plan/hnswqueue.h"
#include "plan/hnswsort.h"

/* Strategies that a scan went through, for EXPLAIN: at most so many are noted. */
#define HNSW_MOST_CHANGES 4

/* What EXPLAIN shows; all rescans together. */
typedef struct HnswCounts
{
	uint64 nodes;     /* visited */
	int ef;           /* the largest that a search began with */
	uint64 members;   /* nodes' rows that were looked up in the bitmap and found */
	uint64 fetched;   /* heap rows read */
	uint64 distances; /* computed by the operator */
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
	bool query_is_given; /* nothing is evaluated for it: a constant or a parameter */
	FmgrInfo distance;   /* the operator's function */
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
	HNSW_SOURCE_SORT,  /* rows that were read, in order */
	HNSW_SOURCE_READ,  /* rows as they are read */
	HNSW_SOURCE_NONE,  /* no more rows come */
} HnswSource;

/* What runs of a scan have shown, for those that follow. */
typedef struct HnswLearned
{
	bool has_run; /* there was a run before this one */
	double near;  /* share of rows that passed among those that searches gave, in planned shares */
	uint32 in_vain; /* runs, one after another, whose search was given up for something else */
	uint32 untried; /* runs since the last one that searched */
} HnswLearned;

typedef struct HnswQueryValue
{
	bool known;
	bool is_null;
	Datum value; /* detoasted */
} HnswQueryValue;

/* How many rows are wanted, and within which distance. */
typedef struct HnswBounds
{
	double wanted; /* rows to hold back until they are all there; 0: none, infinite: all */
	double radius; /* the smallest that is known; infinite: none */
	Bitmapset *radii_known;
} HnswBounds;

/* Settings, as they were when the run started. */
typedef struct HnswRunSettings
{
	bool may_read_all;
	bool relaxed;
} HnswRunSettings;

/* The search of the index in this run. */
typedef struct HnswRunSearch
{
	bool begun;
	bool sweeping;
	bool abandoned; /* given up for something else, though it might have gone on */
	bool draining;  /* the search goes no further */
} HnswRunSearch;

/* What the index gave. */
typedef struct HnswEvidence
{
	double rows;
	double passed;    /* of them, rows that passed all clauses */
	double reached;   /* the largest lower bound of a row */
	double marks[32]; /* reached, when the index had given 1, 2, 4, ... rows */
} HnswEvidence;

/* One scan, from one rescan to the next. */
typedef struct HnswRun
{
	bool started;
	HnswQueryValue query;
	HnswBounds bounds;
	HnswRunSettings settings;
	HnswRunSearch search;
	HnswEvidence found;
	HnswBatch batch;
	HnswSource source;
	HnswStrategy strategy;
	bool values_known; /* hnsw_use_values has them */
	bool released;     /* rows are being returned */
	int table_reads;
	double held_bytes;
} HnswRun;

/* Shares of rows and costs. */
typedef struct HnswEstimates
{
	HnswPlanned planned; /* by the values that are known */
	HnswPlanned by_plan;
	HnswCosts costs;
	PlannerInfo *root; /* hnswvalues.c; or NULL */
	MemoryContext context;
} HnswEstimates;

typedef struct HnswSlots
{
	TupleTableSlot *heap;     /* a row of the table */
	TupleTableSlot *held;     /* a row that was held back, being returned */
	TupleTableSlot *resolved; /* likewise, to compute its distance */
} HnswSlots;

/* The scan of the index that this node drives. */
typedef struct HnswIndexScan
{
	Relation relation;
	IndexScanDesc scan; /* begun; or NULL */
	HnswDrive *drive;
} HnswIndexScan;

/* Kept by a rescan that does not change the bitmap. */
typedef struct HnswBitmap
{
	HnswMembers *members; /* or NULL */
	MemoryContext context;
} HnswBitmap;

/* hnswexact.c */
typedef struct HnswExact
{
	HnswSort *sort;                    /* or NULL */
	TableScanDesc table_scan;          /* reading the table; or NULL */
	IndexFetchTableData *bitmap_fetch; /* reading the rows of the bitmap; or NULL */
} HnswExact;

/* TIDs of rows whose clauses were checked. */
typedef struct HnswCheckedRows
{
	ItemPointerData *tids;
	size_t n;
	size_t capacity;
} HnswCheckedRows;

struct HnswState
{
	CustomScanState css; /* first */
	int flags;
	bool has_clauses;
	HnswExpressions expressions;
	HnswSlots slots;
	HnswEstimates estimates;
	MemoryContext context; /* of this run; reset by a rescan */
	HnswIndexScan index;
	HnswBitmap bitmap;
	HnswExact exact;
	HnswQueue queue;
	HnswCheckedRows checked;
	HnswRun run;
	HnswLearned learned;
	HnswCounts counts;
};

static inline PlanState *
hnsw_bitmap_child(const HnswState *state)
{
	return state->css.custom_ps ? linitial(state->css.custom_ps) : NULL;
}

/* hnswbounds.c: the query, LIMIT and radius. */

/* The value of an expression over no row, in the memory of the run. */
extern Datum hnsw_evaluate(HnswState *state, ExprState *expression, bool *null);
/* Evaluate the query, at the first call; reading rows that do not pass needs none. */
extern void hnsw_prepare_query(HnswState *state);
/* Rows that LIMIT and OFFSET want; infinite: all. */
extern double hnsw_limit(HnswState *state);

/* When a radius is evaluated: it must not raise an error that its clause would not have raised. */
typedef enum HnswRadiusMoment
{
	HNSW_RADIUS_AT_START, /* no clause was evaluated yet */
	HNSW_RADIUS_CHECKED,  /* a row came as far as the first clause that reads the distance */
	HNSW_RADIUS_PASSED,   /* a row passed all clauses */
} HnswRadiusMoment;

/* Evaluate the radii that may be; HnswRun.radius is the smallest. */
extern void hnsw_note_radii(HnswState *state, HnswRadiusMoment moment);

/* hnswrow.c: one row of the table. */

/* Prepare the plan's expressions. */
extern void hnsw_row_init(HnswState *state, EState *estate);

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
/* What the node returns of the next row that is read in no order; NULL: there is none. */
extern TupleTableSlot *hnsw_exact_read(HnswState *state);
extern void hnsw_exact_end(HnswState *state);

/*
 * hnswvalues.c: where the plan knows shares on average only, estimate them by the
 * values that parameters have. False: nothing is known that was not known before.
 */
extern bool hnsw_use_values(HnswState *state);

/* hnswchange.c: which strategy goes on. */

/* Choose the strategy of a run by its LIMIT, and by what earlier runs have shown. */
extern void hnsw_choose_beginning(HnswState *state, bool values);
/* At the end of a run. */
extern void hnsw_learn(HnswState *state);

typedef enum HnswAction
{
	HNSW_SEARCH_ON,   /* search another round, or finish the first one */
	HNSW_TO_BITMAP,   /* search on, with a bitmap */
	HNSW_TO_EXACT,    /* read the rows of the bitmap, or of the table */
	HNSW_TO_SWEEP,    /* sweep the index */
	HNSW_DRAIN,       /* return all nodes that were visited */
	HNSW_RETURN_ROWS, /* return the rows that are ready */
	HNSW_FINISH,      /* no more rows come */
} HnswAction;

/*
 * The only place that decides who goes on when the index has returned no row: the search, the
 * sweep, reading rows, or nothing. May make the bitmap, to count its rows.
 */
extern HnswAction hnsw_choose_action(HnswState *state);

/* Visits after which it is in doubt whether it is worth while to finish the first round. */
extern double hnsw_first_round(const HnswState *state);

/* Is it right to sort the rows of the bitmap, now that their number is known? */
extern bool hnsw_exact_is_right(const HnswState *state);

/* hnswbitmap.c */

/* Make the bitmap, where there is none yet. */
extern void hnsw_make_members(HnswState *state);
extern void hnsw_forget_members(HnswState *state);

/* Add what the present search did. */
extern void hnsw_add_search_counts(const HnswState *state, HnswCounts *counts);

/* hnswexplain.c */
extern void hnsw_explain(CustomScanState *css, List *ancestors, ExplainState *es);

#endif /* OMENDB_HNSWSTATE_H */
