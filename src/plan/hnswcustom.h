/*
 * hnswcustom.h
 *	  The custom scan "HnswScan": its path and its plan. The state of a scan that runs is in
 *	  hnswstate.h.
 *
 *	hnswpaths.c		planning: adds the path to a table's paths
 *	hnswupper.c		planning: sorts the rows that LIMIT takes of a join
 *	hnswcosts.c		planning and running: the cost of each strategy
 *	hnswplan.c		planning: makes the plan of the path: clauses, columns, radius
 *	hnswexec.c		running: rows from one source after another
 *	hnswbounds.c	running: values of the query, LIMIT and radius
 *	hnswchange.c	running: decides which strategy goes on
 *	hnswvalues.c	running: shares of rows by the values of parameters
 *	hnswfetch.c		running: heap TIDs of the index, a batch at a time
 *	hnswbitmap.c	running: makes the bitmap
 *	hnswmembers.c	running: look-up of a heap TID in the bitmap
 *	hnswexact.c		running: reads rows and sorts them (hnswsort.c)
 *	hnswrow.c		running: one row's clauses and distance
 *	hnswtoast.c		running: out-of-line vectors
 *	hnswqueue.c		running: rows that wait for their turn
 *	hnswexplain.c	EXPLAIN
 */
#ifndef OMENDB_HNSWCUSTOM_H
#define OMENDB_HNSWCUSTOM_H

#include "postgres.h"

#include "nodes/extensible.h"
#include "nodes/pathnodes.h"
#include "plan/hnswcosts.h"

/* Settings (hnswpaths.c). */
extern bool hnsw_custom_scan;
extern int hnsw_scan_strategy; /* HnswStrategy, or HNSW_STRATEGY_AUTO */

/* The path. It has no parameters, so the planner never makes a flat copy of it. */
typedef struct HnswPath
{
	CustomPath path; /* first */
	IndexOptInfo *index;
	OpExpr *distance;    /* indexed expression <op> query */
	PathTarget *columns; /* columns of the table that the query reads */
	bool bounded;        /* LIMIT takes the first rows of this scan, and no others */
	List *uncertain;     /* RestrictInfos whose selectivity depends on parameters; or NIL */
	HnswPlanned planned;
} HnswPath;

/*
 * Fields of CustomScan.
 *
 * custom_scan_tlist: the distance as the index has it; the distance with its operands exchanged
 * (a NULL if the operator has no commutator); the columns that the plan reads.
 */
enum
{
	HNSW_COLUMN_DISTANCE = 1, /* attribute numbers */
	HNSW_COLUMN_COMMUTED,
};

/* custom_exprs, a list of these */
enum
{
	HNSW_EXPR_QUERY,  /* the query */
	HNSW_EXPR_LATER,  /* list: the first clause that reads the distance, and all after it */
	HNSW_EXPR_RADIUS, /* list: for each radius clause, the operand that bounds the distance */
	HNSW_EXPR_LIMIT,  /* list: LIMIT and OFFSET, either may be NULL; NIL: not HNSW_FLAG_BOUNDED */
};

/* custom_private, a list of these */
enum
{
	HNSW_PRIVATE_INDEX,   /* list of one OID */
	HNSW_PRIVATE_FLAGS,   /* Integer: HNSW_FLAG_* */
	HNSW_PRIVATE_RADIUS,  /* list: for each radius clause, an Integer HnswRadiusForm */
	HNSW_PRIVATE_PLANNED, /* hnsw_planned_to_list */
	HNSW_PRIVATE_CLAUSES, /* clauses for hnswvalues.c: list of all, and of the bitmap's; or NIL */
};

/* Rows are promised in order of distance. */
#define HNSW_FLAG_ORDERED 0x01
/* HnswPath.bounded */
#define HNSW_FLAG_BOUNDED 0x02
/* More rows than LIMIT takes may be read: ties, rows that a row lock skips. */
#define HNSW_FLAG_BEYOND 0x04
/* The table may have rows that the index leaves out. */
#define HNSW_FLAG_UNINDEXED 0x08
/* No node above reads columns that are marked resjunk. */
#define HNSW_FLAG_DROPS_JUNK 0x10
/* The first clause that reads the distance is the first radius clause. */
#define HNSW_FLAG_RADIUS_FIRST 0x20

/* Forms of a radius clause of a distance d and a value e. Rows that pass have d up to the radius. */
typedef enum HnswRadiusForm
{
	HNSW_RADIUS_PLAIN,     /* d < e or d <= e; radius e */
	HNSW_RADIUS_ONE_MINUS, /* 1 - d > e; radius 1 - e */
	HNSW_RADIUS_NEGATIVE,  /* -d > e; radius -e */
} HnswRadiusForm;

/*
 * True if the clause is a radius clause. *distance gets the expression that it bounds, *value the
 * other operand. hnswplan.c
 */
extern bool hnsw_radius_clause(Node *clause, OpExpr **distance, Expr **value, HnswRadiusForm *form);

/* True if the index is an hnsw index. hnswpaths.c */
extern bool hnsw_is_index_info(const IndexOptInfo *index);

/* True if the path is an HnswPath. hnswpaths.c */
extern bool hnsw_is_path(const CustomPath *path);

/* Install the hook that sorts the rows that LIMIT takes of a join. hnswupper.c */
extern void hnsw_init_upper_paths(void);

/* True if LIMIT or OFFSET (or NULL) may be evaluated outside of the Limit node. hnswplan.c */
extern bool hnsw_may_evaluate_early(Node *limit);

/* The expression with its operands exchanged; NULL if the operator has no commutator. hnswplan.c */
extern OpExpr *hnsw_commuted(const OpExpr *distance);

/* A copy of the clauses for HNSW_PRIVATE_CLAUSES. rti: the table's index in them. hnswvalues.c */
extern List *hnsw_clauses_for_estimates(List *clauses, Index rti);

/* PlanCustomPath */
extern Plan *hnsw_make_plan(PlannerInfo *root, RelOptInfo *rel, CustomPath *path, List *tlist,
							List *clauses, List *custom_plans);

/* CreateCustomScanState; hnswexec.c */
extern Node *hnsw_create_state(CustomScan *plan);

extern const CustomScanMethods hnsw_scan_methods;

#endif /* OMENDB_HNSWCUSTOM_H */
