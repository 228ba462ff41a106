/*
 * hnsw.h
 *	  The access method "hnsw": what its files share.
 */
#ifndef OMENDB_HNSW_H
#define OMENDB_HNSW_H

#include "postgres.h"

#include "access/amapi.h"
#include "access/genam.h"
#include "graph/search.h"
#include "nodes/execnodes.h"
#include "page/store.h"

#define HNSW_DISTANCE_STRATEGY 1
/* None is used; pgvector's operator classes have up to 3. */
#define HNSW_SUPPORT_PROCS 3

#define HNSW_DEFAULT_M               16
#define HNSW_DEFAULT_EF_CONSTRUCTION 64
#define HNSW_MIN_EF_CONSTRUCTION     4
#define HNSW_MAX_EF_CONSTRUCTION     1000
#define HNSW_DEFAULT_EF_SEARCH       40

/* A beam of estimates narrower than this saves next to nothing. */
#define HNSW_MIN_BEAM 40

/*
 * The beam stands for so many candidates for each node that may be returned. By
 * hnsw.ef_search = 40 the first round returns 11 nodes. With this ratio the
 * hundredth node is found with the recall of the tenth (debian-384: 3, glove-100:
 * 4). A smaller ratio costs recall: a node found too late for its place is never
 * returned there. (With hnsw.recall_target the index says the ef: hnswcalibrate.h.)
 */
#define HNSW_EF_PER_NODE 3.5

/*
 * In scans that begin with an ef of 200 or more the ratio falls evenly as the beam becomes wider,
 * from the above at 200 to 2 at 400. For the mean recall of many rows counts those that lie far from the edge of
 * the beam, too: 100 rows by a beam of 300 are found with the recall of ten rows by one of 100. Scans that begin
 * with fewer lose recall by it, for rows found late are not returned.
 */
#define HNSW_WIDE_EF          200
#define HNSW_WIDEST_EF        400
#define HNSW_WIDE_EF_PER_NODE 2.0

/*
 * The first round returns at least so many, if the beam is as wide. So ten rows need one round also where
 * hnsw.ef_search is below 40. (With the ratio alone they needed three rounds at 10, which took 1.4 times
 * as long as at 40.)
 */
#define HNSW_MIN_FIRST_NODES 11

/* One node of 2^6 is on the next level too (measured: bench/README.md). */
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

/* May a scan read all rows that pass, where the search has to stop or takes longer? */
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
 * What an operator class is for: type and distance. They follow from the operator
 * that it orders by.
 */
typedef struct HnswOpclass
{
	OmendbMetric metric;
	const char *type;
	int max_dimensions;
	/* The value's dimensions (detoasted). */
	int (*dimensions)(Datum value);
	/* Its elements as floats; NULL for bits and sparse vectors. */
	void (*floats)(Datum value, float *out);
	bool sparse;
} HnswOpclass;

extern const HnswOpclass *hnsw_opclass(Relation index);

/* Would hnsw_opclass find one? */
extern bool hnsw_supports(Relation index);

/*
 * Is that the operator whose order the index has? Its family may have others, that the
 * planner takes for as good.
 */
extern bool hnsw_has_order(const struct IndexOptInfo *info, const struct Expr *order);

/* Dimensions of the indexed column; an error where it has none or too many. */
extern int hnsw_column_dimensions(Relation index, const HnswOpclass *opclass);

/*
 * Has a query (not null, detoasted) the column's dimensions? If not, 22000: with an order in the words
 * of pgvector's index scans, without in those of the distance, for pgvector has no index then.
 */
extern void hnsw_check_query(Relation index, Datum query, bool ordered);

/*
 * A non-null value for the index: detoasted, dimensions checked. Sets the
 * record's own vector from it (and its identity). False where the index does
 * not take it (a zero vector under cosine). buffer: hnsw_value_bytes bytes.
 */
extern bool hnsw_encode_value(const OmendbIndex *index, const HnswOpclass *opclass, Datum value,
							  void *buffer, OmendbRecord *record);

/* The same in two steps, for opclasses with floats; the floats are overwritten. */
extern void hnsw_get_floats(const OmendbIndex *index, const HnswOpclass *opclass, Datum value,
							float *out);
extern bool hnsw_encode_floats(const OmendbCodec *codec, float *floats, OmendbRecord *record);

/*
 * Set the query from a value of the opclass's type; errors as above. The buffer
 * belongs to the query then.
 */
extern bool hnsw_set_query(OmendbQuery *query, const HnswOpclass *opclass, Datum value,
						   void *buffer);

/* The query that is as near to all vectors: the zero vector. buffer: as above. */
extern void hnsw_set_zero_query(OmendbQuery *query, void *buffer);

extern Size hnsw_value_bytes(const OmendbLayout *layout);

/* Elements that are not 0 of a value of a sparse type, which need not be detoasted. */
extern int hnsw_nonzero_elements(Datum value);

/* The width of the beam of estimates that serves an ef of exact distances. */
extern uint32 hnsw_beam_width(const OmendbLayout *layout, int ef);

/*
 * In a scan that began with first_ef: how many nodes a round by that ef returns, and by which ef so
 * many are returned.
 */
extern double hnsw_nodes_of_ef(double first_ef, double ef);
extern double hnsw_ef_of_nodes(double first_ef, double nodes);

/* What a scan did: see omendb_last_scan in the SQL script. */
typedef enum HnswStop
{
	HNSW_STOP_NONE,      /* the executor did not ask for more */
	HNSW_STOP_EF_SEARCH, /* not iterative, ef_search rows returned */
	HNSW_STOP_EXHAUSTED, /* the whole graph was visited */
	HNSW_STOP_TUPLES,    /* hnsw.max_scan_tuples */
	HNSW_STOP_MEMORY,    /* hnsw.scan_mem_multiplier */
} HnswStop;

typedef struct HnswScanReport
{
	bool valid;
	Oid index;
	uint64 nodes;       /* visited */
	uint64 pages;       /* accessed */
	uint64 misses;      /* of them, looked up in the buffer mapping table */
	uint64 rows;        /* returned to the executor */
	uint64 rechecks;    /* of them, marked for recheck of the distance */
	uint64 resumes;     /* times the beam was widened */
	uint64 late;        /* nodes found too late for a strict order: returned last */
	uint64 sweeps;      /* times the whole index was read */
	uint64 table_reads; /* times the whole table was read instead */
	int ef;             /* the one that the search began with; 0: none did */
	HnswStop stop;
} HnswScanReport;

extern HnswScanReport hnsw_last_scan;

/*
 * What a scan that was not ended yet did, all its rescans together; stop is the
 * latest that there was. Not valid where it never started.
 */
extern void hnsw_scan_report(IndexScanDesc scan, HnswScanReport *report);

/* build/hnswbuild.c */
extern IndexBuildResult *hnsw_build(Relation heap, Relation index, IndexInfo *info);
extern void hnsw_build_empty(Relation index);

extern char *hnsw_build_phase_name(int64 phase);

/* write/hnswinsert.c */
extern bool hnsw_insert(Relation index, Datum *values, bool *isnull, ItemPointer tid, Relation heap,
						IndexUniqueCheck unique, bool unchanged, IndexInfo *info);

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

/* Is it an index of this access method, also by the name ivfflat? */
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
