/*
 * hnsw.h
 *	  The access method "hnsw": its settings, options, operator classes and entry points.
 *
 * Included by whatever handles an hnsw index. What only the files of a scan share is in
 * hnswscanstate.h.
 */
#ifndef OMENDB_HNSW_H
#define OMENDB_HNSW_H

#include "postgres.h"

#include "access/amapi.h"
#include "access/genam.h"
#include "graph/search.h"
#include "nodes/execnodes.h"
#include "page/store.h"
#include "utils/snapshot.h"

#define HNSW_DISTANCE_STRATEGY 1
/* Support functions that an operator class may have: pgvector's have 3. None is called. */
#define HNSW_SUPPORT_PROCS 3

#define HNSW_DEFAULT_M               16
#define HNSW_DEFAULT_EF_CONSTRUCTION 64
#define HNSW_MIN_EF_CONSTRUCTION     4
#define HNSW_MAX_EF_CONSTRUCTION     1000
#define HNSW_DEFAULT_EF_SEARCH       40

/* Minimum width of a beam of estimates. A narrower one saves hardly any time. */
#define HNSW_MIN_BEAM 40

/* One of 2^6 nodes is on the next level, too (bench/README.md). */
#define HNSW_LEVEL_SHIFT 6

typedef enum HnswIterativeScan
{
	HNSW_ITERATIVE_OFF,
	HNSW_ITERATIVE_RELAXED,
	HNSW_ITERATIVE_STRICT,
} HnswIterativeScan;

/* Settings (hnsw.c). */
extern int hnsw_ef_search;
extern double hnsw_recall_target; /* 0: none */
extern int hnsw_iterative_scan;
extern int hnsw_max_scan_tuples;
extern double hnsw_scan_mem_multiplier;
extern bool hnsw_exhaustive_scan;

/* True if a scan may read all rows where the search has to stop, or costs more. */
static inline bool
hnsw_may_read_all(void)
{
	return hnsw_exhaustive_scan && hnsw_iterative_scan != HNSW_ITERATIVE_OFF;
}

typedef struct HnswOptions
{
	int32 vl_len_; /* varlena header (do not touch directly!) */
	int m;
	int ef_construction;
	bool compact;
} HnswOptions;

/* Index options in force. */
extern int hnsw_get_m(Relation index);
extern int hnsw_get_ef_construction(Relation index);
extern bool hnsw_get_compact(Relation index);

/*
 * An operator class: a type and a distance. Both follow from the operator that the class
 * orders by.
 */
typedef struct HnswOpclass
{
	OmendbMetric metric;
	const char *type;
	int max_dimensions;
	/* The dimensions of a detoasted value. */
	int (*dimensions)(Datum value);
	/* Write the elements of a detoasted value as floats. NULL for bits and sparse vectors. */
	void (*floats)(Datum value, float *out);
	bool sparse;
} HnswOpclass;

/* The operator class of an index; 0A000 if it orders by none of omendb's distances. */
extern const HnswOpclass *hnsw_opclass(Relation index);

/*
 * The same of an index that is built; index_corrupted if the metapage does not fit it. The relcache entry
 * keeps it, so most calls look nothing up in the catalogs.
 */
extern const HnswOpclass *hnsw_opclass_of_built(Relation index);

/* What of the metapage does not fit the operator class and the column: a sentence, or NULL. */
extern const char *hnsw_metapage_problem(Relation index, const OmendbLayout *layout,
										 const HnswOpclass *opclass);

/* True if hnsw_opclass finds an operator class; false where it raises an error. */
extern bool hnsw_supports(Relation index);

/*
 * True if the index orders by the operator of this expression. Its family may have other
 * operators, which the planner takes for equally good.
 */
extern bool hnsw_has_order(const struct IndexOptInfo *info, const struct Expr *order);

/* The dimensions of the indexed column; an error if it has none or too many. */
extern int hnsw_column_dimensions(Relation index, const HnswOpclass *opclass);

/*
 * Raise 22000 if a query (not null, detoasted) has other dimensions than the column. The message
 * is that of pgvector's index scans if rows are ordered, else that of the distance function:
 * pgvector uses no index then.
 */
extern void hnsw_check_query(Relation index, Datum query, bool ordered);

/*
 * Detoast a non-null value, check its dimensions, and set the record's own vector and identity
 * from it. False if the index does not take the value (a zero vector under cosine). buffer has
 * hnsw_value_bytes bytes.
 */
extern bool hnsw_encode_value(const OmendbIndex *index, const HnswOpclass *opclass, Datum value,
							  void *buffer, OmendbRecord *record);

/* The same in two steps, for operator classes with floats. hnsw_encode_floats overwrites the floats. */
extern void hnsw_get_floats(const OmendbIndex *index, const HnswOpclass *opclass, Datum value,
							float *out);
extern bool hnsw_encode_floats(const OmendbCodec *codec, float *floats, OmendbRecord *record);

/*
 * Set the query from a value of the operator class's type; errors and false as hnsw_encode_value.
 * The query refers to the buffer (hnsw_value_bytes bytes) from then on.
 */
extern bool hnsw_set_query(OmendbQuery *query, const HnswOpclass *opclass, Datum value,
						   void *buffer);

/* Set the query to the zero vector. buffer as for hnsw_set_query. */
extern void hnsw_set_zero_query(OmendbQuery *query, void *buffer);

/* Bytes of a buffer for a value's elements. */
extern Size hnsw_value_bytes(const OmendbLayout *layout);

/* The number of non-zero elements of a sparse value, which need not be detoasted. */
extern int hnsw_nonzero_elements(Datum value);

/* The width of the beam of estimates that gives the recall of `ef` exact distances. */
extern uint32 hnsw_beam_width(const OmendbLayout *layout, int ef);

/* Why a scan went no further: see omendb_last_scan in the SQL script. */
typedef enum HnswStop
{
	HNSW_STOP_NONE,      /* the caller asked for no more rows */
	HNSW_STOP_EF_SEARCH, /* not iterative, ef_search rows returned */
	HNSW_STOP_EXHAUSTED, /* every reachable node was visited, or every row was read */
	HNSW_STOP_TUPLES,    /* hnsw.max_scan_tuples */
	HNSW_STOP_MEMORY,    /* hnsw.scan_mem_multiplier */
} HnswStop;

typedef struct HnswScanReport
{
	bool valid;
	Oid index;
	uint64 nodes;       /* visited */
	uint64 pages;       /* accessed */
	uint64 misses;      /* pages looked up in the buffer mapping table */
	uint64 rows;        /* returned to the executor */
	uint64 rechecks;    /* rows returned for which the executor computes the distance */
	uint64 resumes;     /* times the beam was widened */
	uint64 late;        /* late nodes, which strict_order returns last */
	uint64 sweeps;      /* times the whole index was read */
	uint64 table_reads; /* times the whole table was read instead */
	int ef;             /* of the search's first round; 0: there was no search */
	HnswStop stop;
} HnswScanReport;

/* The scan of this session that ended last. */
extern HnswScanReport hnsw_last_scan;

/*
 * What a scan that was not ended yet did, all its rescans together; stop is the last one that
 * there was. Not valid if the scan never started.
 */
extern void hnsw_scan_report(IndexScanDesc scan, HnswScanReport *report);

/* build/ */
extern IndexBuildResult *hnsw_build(Relation heap, Relation index, IndexInfo *info);
extern void hnsw_build_empty(Relation index);

extern char *hnsw_build_phase_name(int64 phase);

/* write/hnswinsert.c */
extern bool hnsw_insert(Relation index, Datum *values, bool *isnull, ItemPointer tid, Relation heap,
						IndexUniqueCheck unique, bool unchanged, IndexInfo *info);

/* write/hnswbatch.c: rows of running statements of this session that are not in their index yet. */
typedef struct HnswBatch HnswBatch;

extern HnswBatch *hnsw_batches; /* of all indexes, or NULL */

/* aminsertcleanup: a statement has inserted its last row. */
extern void hnsw_insert_cleanup(Relation index, IndexInfo *info);

/*
 * Insert the rows of the index's batches. snapshot: only batches whose rows it may see; NULL: all.
 */
extern void hnsw_flush_batches(Relation index, Snapshot snapshot);

/* Call this before the index is read, with no page locked. */
static inline void
hnsw_flush_before_read(Relation index, Snapshot snapshot)
{
	if (unlikely(hnsw_batches != NULL))
		hnsw_flush_batches(index, snapshot);
}

/* hnswscan.c */
extern IndexScanDesc hnsw_begin_scan(Relation index, int nkeys, int norderbys);
extern void hnsw_rescan(IndexScanDesc scan, ScanKey keys, int nkeys, ScanKey orderbys,
						int norderbys);
extern bool hnsw_get_tuple(IndexScanDesc scan, ScanDirection direction);
extern void hnsw_end_scan(IndexScanDesc scan);

/* write/hnswvacuum.c */
extern IndexBulkDeleteResult *hnsw_bulk_delete(IndexVacuumInfo *info, IndexBulkDeleteResult *stats,
											   IndexBulkDeleteCallback callback, void *state);
extern IndexBulkDeleteResult *hnsw_vacuum_cleanup(IndexVacuumInfo *info,
												  IndexBulkDeleteResult *stats);

/* hnswcost.c */
extern void hnsw_cost_estimate(struct PlannerInfo *root, struct IndexPath *path, double loop_count,
							   Cost *startup, Cost *total, Selectivity *selectivity,
							   double *correlation, double *pages);

/* True if the index is of this access method, also under the name ivfflat. */
static inline bool
hnsw_is_index(Relation index)
{
	return index->rd_indam->amcostestimate == hnsw_cost_estimate;
}

/* hnsw.c */
extern Datum omendb_sql_hnsw_handler(PG_FUNCTION_ARGS);

/* hnswopclass.c */
extern bool hnsw_validate(Oid opclass);

#endif /* OMENDB_HNSW_H */
