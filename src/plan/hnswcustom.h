/*
 * hnswcustom.h
 *	  The custom scan "HnswScan": what its files share.
 *
 *	hnswpaths.c		adds the path to a table's paths
 *	hnswupper.c		sorts what LIMIT takes of a join
 *	hnswcosts.c		what each strategy costs, when planning and when running
 *	hnswplan.c		makes the plan of the path: clauses, columns, radius
 *	hnswexec.c		runs the plan: one source of rows after another
 *	hnswbounds.c	LIMIT and radius
 *	hnswchange.c	which strategy goes on
 *	hnswvalues.c	shares of rows by the values of parameters
 *	hnswfetch.c		heap TIDs that the index gives, a batch at a time
 *	hnswmembers.c	which heap TIDs a bitmap holds
 *	hnswexact.c		reads rows, and sorts them (hnswsort.c)
 *	hnswrow.c		one row: its clauses, its distance
 *	hnswqueue.c		rows that wait for their turn
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
	CustomPath path;
	IndexOptInfo *index;
	OpExpr *distance;    /* indexed expression <op> query */
	PathTarget *columns; /* that the query reads of the table */
	bool bounded;        /* LIMIT is met by the first rows of this scan */
	List *uncertain; /* RestrictInfos, where their share depends on values that the plan lacks */
	HnswPlanned planned;
} HnswPath;

/*
 * Fields of CustomScan.
 *
 * custom_scan_tlist: the distance as the index knows it, the same with its
 * operands exchanged (a NULL where the operator has no commutator), then the
 * columns that the plan needs.
 */
enum
{
	HNSW_COLUMN_DISTANCE = 1, /* attribute numbers */
	HNSW_COLUMN_COMMUTED,
};

/* custom_exprs, a list of these */
enum
{
	HNSW_EXPR_QUERY,  /* the query; for its parameters, the distance has it too */
	HNSW_EXPR_LATER,  /* list: clauses from the first one on that reads the distance */
	HNSW_EXPR_RADIUS, /* list: one expression for each radius */
	HNSW_EXPR_LIMIT,  /* list: LIMIT and OFFSET where they bound this scan; either may be NULL */
};

/* custom_private, a list of these */
enum
{
	HNSW_PRIVATE_INDEX,   /* list of one OID */
	HNSW_PRIVATE_FLAGS,   /* Integer: HNSW_FLAG_* */
	HNSW_PRIVATE_RADIUS,  /* list: for each radius, an Integer HnswRadiusForm */
	HNSW_PRIVATE_PLANNED, /* hnsw_planned_to_list */
	HNSW_PRIVATE_CLAUSES, /* clauses whose share depends on values: hnswvalues.c; or NIL */
};

#define HNSW_FLAG_ORDERED 0x01 /* rows are promised in order of distance */
#define HNSW_FLAG_BOUNDED 0x02 /* HnswPath.bounded */
#define HNSW_FLAG_BEYOND \
	0x04 /* more rows than LIMIT may be wanted: ties, rows that a lock leaves out */
#define HNSW_FLAG_UNINDEXED 0x08 /* rows may exist that the index leaves out */
#define HNSW_FLAG_RADIUS_FIRST \
	0x20                          /* the first clause that reads the distance is the first radius */
#define HNSW_FLAG_DROPS_JUNK 0x10 /* no node above reads columns that are marked resjunk */

/* What a clause says of distance d and a value e; d must be below the radius. */
typedef enum HnswRadiusForm
{
	HNSW_RADIUS_PLAIN,     /* d < e or d <= e; radius e */
	HNSW_RADIUS_ONE_MINUS, /* 1 - d > e; radius 1 - e */
	HNSW_RADIUS_NEGATIVE,  /* -d > e; radius -e */
} HnswRadiusForm;

/*
 * Is the clause a radius? Then *distance is the expression that it bounds and
 * *value the other operand. hnswplan.c
 */
extern bool hnsw_radius_clause(Node *clause, OpExpr **distance, Expr **value, HnswRadiusForm *form);

/* hnswpaths.c */
extern bool hnsw_is_index_info(const IndexOptInfo *index);
extern bool hnsw_is_path(const CustomPath *path); /* an HnswPath */

/* hnswupper.c: take part in planning what stands above joins. */
extern void hnsw_init_upper_paths(void);

/* May LIMIT or OFFSET (or NULL) be evaluated apart from the Limit node? hnswplan.c */
extern bool hnsw_may_evaluate_early(Node *limit);

/* The expression with its operands exchanged; NULL where the operator has no commutator. */
extern OpExpr *hnsw_commuted(const OpExpr *distance);

/* A copy of the clauses, as HNSW_PRIVATE_CLAUSES keeps them. hnswvalues.c */
extern List *hnsw_clauses_for_estimates(List *clauses, Index rti);

/* PlanCustomPath */
extern Plan *hnsw_make_plan(PlannerInfo *root, RelOptInfo *rel, CustomPath *path, List *tlist,
							List *clauses, List *custom_plans);

/* CreateCustomScanState; hnswexec.c */
extern Node *hnsw_create_state(CustomScan *plan);

extern const CustomScanMethods hnsw_scan_methods;

#endif /* OMENDB_HNSWCUSTOM_H */
