/*
 * hnswstate.h
 *	  The state of a custom scan that runs, shared by the files that run it (hnswcustom.h).
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
#include "plan/hnswtoast.h"

/* Maximum number of strategies that a scan notes for EXPLAIN. There are four. */
#define HNSW_MAX_STRATEGIES 4

/* What EXPLAIN shows; all rescans together. */
typedef struct HnswCounts
{
	uint64 nodes;     /* visited */
	int ef;           /* largest ef of a search's first round */
	uint64 members;   /* rows of nodes that are in the bitmap */
	uint64 fetched;   /* heap rows read */
	uint64 distances; /* computed by the operator's function */
	int nstrategies;
	const char *strategies[HNSW_MAX_STRATEGIES];
} HnswCounts;

/* The plan's expressions, ready to be evaluated (hnswrow.c, hnswbounds.c). */
typedef struct HnswExpressions
{
	ExprContext *context; /* over a row of the table */
	/* The scan's row, but for the distance: by a projection, or (NULL) copied columns of the table. */
	ProjectionInfo *columns;
	AttrNumber *attributes;
	int nattributes;
	AttrNumber last_attribute;
	ExprState *indexed; /* the distance's operand that is indexed */
	bool indexed_is_column;
	ExprState *query;    /* the other one */
	bool query_is_fixed; /* a constant or an external parameter: reading its value runs no code */
	FmgrInfo distance;   /* the operator's function */
	Oid collation;
	bool shows_distance; /* a node above, or the target list, reads the distance */
	ExprState *later;    /* HNSW_EXPR_LATER; or NULL */
	List *radii;         /* ExprState of each radius clause's bound */
	List *radius_nodes;  /* their expressions */
	List *radius_forms;  /* Integer HnswRadiusForm */
	ExprState *limit;    /* or NULL */
	ExprState *offset;   /* or NULL */
} HnswExpressions;

/* Where the next row comes from. */
typedef enum HnswSource
{
	HNSW_SOURCE_INDEX, /* search or sweep of the index */
	HNSW_SOURCE_SORT,  /* rows that were read and sorted */
	HNSW_SOURCE_READ,  /* rows as they are read, in no order */
	HNSW_SOURCE_NONE,  /* no more rows come */
} HnswSource;

/* What earlier runs of this scan have shown. Kept by rescans. */
typedef struct HnswLearned
{
	bool has_run; /* there was an earlier run */
	/* Share of rows that passed among those that a search found, divided by the planned share. */
	double near;
	/* Runs whose search found the rows, and runs whose search was abandoned; earlier ones weigh less. */
	double found;
	double abandoned;
	uint32 in_vain; /* consecutive runs whose search was abandoned */
	uint32 untried; /* runs since the last one that searched */
} HnswLearned;

/* The value of the query, once hnsw_prepare_query has evaluated it. */
typedef struct HnswQueryValue
{
	bool known;
	bool is_null;
	Datum value; /* detoasted */
} HnswQueryValue;

/* How many rows are wanted, and within which distance (hnswbounds.c). */
typedef struct HnswBounds
{
	double wanted; /* rows to hold back until all are there; 0: none, infinite: all */
	double radius; /* the smallest known radius; infinite: none */
	Bitmapset *radii_known;
} HnswBounds;

/* Settings, as they were when the run started. */
typedef struct HnswRunSettings
{
	bool may_read_all; /* hnsw_may_read_all */
	bool relaxed;      /* hnsw.iterative_scan = relaxed_order */
} HnswRunSettings;

/* The search of the index in this run. */
typedef struct HnswRunSearch
{
	bool begun;
	bool sweeping;
	bool abandoned; /* another strategy was chosen, though the search might have gone on */
	bool draining;  /* HNSW_DRAIN was chosen */
} HnswRunSearch;

/* Rows that the index has returned in this run: evidence for hnswchange.c. */
typedef struct HnswEvidence
{
	double rows;
	double passed;  /* rows that passed all clauses */
	double reached; /* largest lower bound of all rows */
	/* What was known when the index had returned 2^i rows, of which the last was not checked yet. */
	struct
	{
		double passed;
		double reached;
	} marks[32];
} HnswEvidence;

/* From one rescan to the next. */
typedef struct HnswRun
{
	bool started;
	HnswQueryValue query;
	HnswBounds bounds;
	HnswRunSettings settings;
	HnswRunSearch search;
	HnswEvidence found;
	HnswSource source;
	HnswStrategy strategy;
	bool values_known; /* hnsw_use_values has estimated by the values of parameters */
	bool released;     /* rows that are ready are returned; false: they are held back */
	int table_reads;
	double held_bytes; /* of copies of rows, those already returned included */
} HnswRun;

/* Shares of rows and costs. */
typedef struct HnswEstimates
{
	HnswPlanned planned; /* by the plan, and by values of parameters as far as they are known */
	HnswPlanned by_plan;
	HnswCosts costs;       /* of `planned` */
	PlannerInfo *root;     /* for the planner's estimators (hnswvalues.c); or NULL */
	MemoryContext context; /* of root */
} HnswEstimates;

typedef struct HnswSlots
{
	TupleTableSlot *heap;     /* a row as it is read from the table */
	TupleTableSlot *held;     /* a row that waited and is returned */
	TupleTableSlot *resolved; /* a row that waits and whose distance is computed */
} HnswSlots;

/* The index scan that this node drives (am/hnswdrive.h). */
typedef struct HnswIndexScan
{
	Relation relation;
	IndexScanDesc scan; /* NULL until a run searches */
	HnswDrive *drive;
} HnswIndexScan;

/* hnswbitmap.c. Kept by a rescan that does not change the bitmap. */
typedef struct HnswBitmap
{
	HnswMembers *members; /* NULL until the bitmap is made */
	MemoryContext context;
} HnswBitmap;

/* hnswexact.c */
typedef struct HnswExact
{
	HnswSort *sort;                    /* or NULL */
	TableScanDesc table_scan;          /* while the table is read; or NULL */
	IndexFetchTableData *bitmap_fetch; /* while rows of the bitmap are read; or NULL */
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
	int flags;           /* HNSW_FLAG_* */
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
	HnswBatch batch;
	HnswToast *toast; /* of the indexed column; or NULL */
	HnswRun run;
	HnswLearned learned;
	HnswCounts counts;
};

/* The plan node that makes the bitmap; NULL if there can be none. */
static inline PlanState *
hnsw_bitmap_child(const HnswState *state)
{
	return state->css.custom_ps ? linitial(state->css.custom_ps) : NULL;
}

/* ---- hnswbounds.c: the query, LIMIT and radius */

/* Evaluate an expression that reads no row, in the memory of the run. */
extern Datum hnsw_evaluate(HnswState *state, ExprState *expression, bool *null);

/* Evaluate the query at the first call. Reading rows that do not pass does not call this. */
extern void hnsw_prepare_query(HnswState *state);

/* The number of rows that LIMIT and OFFSET want; infinite: all. */
extern double hnsw_limit(HnswState *state);

/* When a radius is evaluated. It must not raise an error that its clause would not have raised. */
typedef enum HnswRadiusMoment
{
	HNSW_RADIUS_AT_START, /* no clause was evaluated yet */
	HNSW_RADIUS_CHECKED,  /* the first clause that reads the distance was evaluated */
	HNSW_RADIUS_PASSED,   /* a row passed all clauses */
} HnswRadiusMoment;

/* Evaluate the radii that may be evaluated now, and set run.bounds.radius. */
extern void hnsw_note_radii(HnswState *state, HnswRadiusMoment moment);

/* ---- hnswrow.c: one row of the table */

/* Prepare the plan's expressions. */
extern void hnsw_row_init(HnswState *state, EState *estate);

/* Set the row of the table that the expressions read. */
extern void hnsw_row_set(HnswState *state, TupleTableSlot *slot);

/* Set the row, and check the clauses that come before the distance. */
extern bool hnsw_row_passes_first(HnswState *state, TupleTableSlot *slot);

/* Compute the distance of the row. False if it is null. */
extern bool hnsw_row_distance(HnswState *state, double *distance);

/* Check the other clauses, which read the distance. */
extern bool hnsw_row_passes_later(HnswState *state, double distance, bool null);

/* The node's result for the row. */
extern TupleTableSlot *hnsw_row_result(HnswState *state, double distance, bool null);

/* ---- hnswexact.c: reads rows and sorts them by distance */

/* Begin. If rows are wanted in order, reads and sorts all of them. */
extern void hnsw_exact_begin(HnswState *state);

/* The node's result for the next row, in no order; NULL if there is none. */
extern TupleTableSlot *hnsw_exact_read(HnswState *state);

extern void hnsw_exact_end(HnswState *state);

/* ---- hnswvalues.c */

/*
 * If the plan's shares are averages, estimate them again by the values of parameters. False if
 * that changes nothing: it was done before, or not all values are known.
 */
extern bool hnsw_use_values(HnswState *state);

/* ---- hnswchange.c: decides which strategy goes on */

/*
 * Choose the strategy of a run that starts. values_changed: hnsw_use_values returned true. Leaves
 * the plan's strategy where nothing is known that the plan did not know.
 */
extern void hnsw_choose_beginning(HnswState *state, bool values_changed);

/* Learn from a run that ends. */
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

/* The number of visits after which the first round rests, because reading may cost less. */
extern double hnsw_first_budget(const HnswState *state);

/* True if sorting the rows of the bitmap costs less than a search, now that their number is known. */
extern bool hnsw_is_exact_cheaper(const HnswState *state);

/* ---- hnswbitmap.c */

/* Run the plan node that makes the bitmap, if there is one and the bitmap is not made yet. */
extern void hnsw_bitmap_make(HnswState *state);

/* Free the bitmap. */
extern void hnsw_bitmap_free(HnswState *state);

/* ---- hnswexec.c */

/* Add what the search of this run has done so far. */
extern void hnsw_add_search_counts(const HnswState *state, HnswCounts *counts);

/* ---- hnswexplain.c */
extern void hnsw_explain(CustomScanState *css, List *ancestors, ExplainState *es);

#endif /* OMENDB_HNSWSTATE_H */
