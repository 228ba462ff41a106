/*
 * diagnosis.h
 *	  Opening an index for the functions of this folder: privileges, locks, metapage.
 *
 * No function of this folder changes an index.
 */
#ifndef OMENDB_DIAGNOSIS_H
#define OMENDB_DIAGNOSIS_H

#include "postgres.h"

#include "am/hnsw.h"
#include "access/tableam.h"
#include "utils/snapshot.h"

/* Who may call a function. The table's owner may call all. */
typedef enum OmendbDiagnosisRight
{
	OMENDB_DIAGNOSIS_SIZES, /* roles with SELECT on the table, members of pg_stat_scan_tables */
	OMENDB_DIAGNOSIS_ROWS,  /* roles with SELECT on all rows of the table */
	OMENDB_DIAGNOSIS_OWNER, /* nobody else, because the function blocks writers */
} OmendbDiagnosisRight;

typedef struct OmendbDiagnosis
{
	Relation heap;
	Relation relation;   /* the index */
	OmendbIndex *index;  /* its meta may be out of date */
	OmendbMetaPage meta; /* read when the index was opened */
	OmendbCalibration calibration;
	const HnswOpclass *opclass;
	BlockNumber blocks; /* of the index when it was opened */
	OmendbNode nodes;   /* slots of these blocks */
	LOCKMODE lock;      /* on both relations */
	Oid user;           /* for omendb_diagnosis_close to restore, as the next two fields */
	int security;
	int nest_level;
} OmendbDiagnosis;

/*
 * Open and lock an index and its table. An error if it is not a valid hnsw index of omendb, or the
 * user lacks the privilege. Until omendb_diagnosis_close, which releases the locks, index expressions
 * run as the table's owner, as in CREATE INDEX.
 */
extern void omendb_diagnosis_open(OmendbDiagnosis *diagnosis, Oid index, LOCKMODE lock,
								  OmendbDiagnosisRight right);
extern void omendb_diagnosis_close(OmendbDiagnosis *diagnosis);

/* What is wrong with a page that should be of that kind, or NULL. */
extern const char *omendb_diagnosis_page(Page page, OmendbPageKind kind);

/*
 * Call callback for every row that the snapshot sees and the index includes, with the values of the
 * index's columns, as CREATE INDEX does.
 */
extern void omendb_diagnosis_scan_heap(OmendbDiagnosis *diagnosis, Snapshot snapshot,
									   IndexBuildCallback callback, void *state);

/* Raise an error if a scan of the index under that snapshot could miss rows (indcheckxmin). */
extern void omendb_diagnosis_check_snapshot(OmendbDiagnosis *diagnosis, Snapshot snapshot);

/* The reason why a scan stopped, for users; NULL if the executor stopped it. */
extern const char *omendb_stop_name(HnswStop stop);

#endif /* OMENDB_DIAGNOSIS_H */
