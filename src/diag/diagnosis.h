/*
 * diagnosis.h
 *	  An index opened to be looked at: what the functions of this folder share.
 *
 * Nothing in this folder changes an index.
 */
#ifndef OMENDB_DIAGNOSIS_H
#define OMENDB_DIAGNOSIS_H

#include "postgres.h"

#include "am/hnsw.h"
#include "access/tableam.h"
#include "utils/snapshot.h"

/* Who may look. */
typedef enum OmendbDiagnosisRight
{
	OMENDB_DIAGNOSIS_SIZES, /* the table's owner, who may SELECT from it, pg_stat_scan_tables */
	OMENDB_DIAGNOSIS_ROWS,  /* the table's owner, who may SELECT all its rows */
	OMENDB_DIAGNOSIS_OWNER, /* the table's owner: it blocks writers */
} OmendbDiagnosisRight;

typedef struct OmendbDiagnosis
{
	Relation heap;
	Relation relation;   /* the index */
	OmendbIndex *index;  /* its meta may be out of date */
	OmendbMetaPage meta; /* as of opening */
	OmendbCalibration calibration;
	const HnswOpclass *opclass;
	BlockNumber blocks; /* of the index, as of opening */
	OmendbNode nodes;   /* slots for records in those blocks */
	LOCKMODE lock;      /* held on both relations until closing */
	Oid user;           /* to be restored */
	int security;
	int nest_level;
} OmendbDiagnosis;

/*
 * Open an index and its table; an error where it is no valid hnsw index of
 * omendb, or the user lacks the right. Index expressions run as the table's
 * owner from here to the closing, as in CREATE INDEX.
 */
extern void omendb_diagnosis_open(OmendbDiagnosis *diagnosis, Oid index, LOCKMODE lock,
								  OmendbDiagnosisRight right);
extern void omendb_diagnosis_close(OmendbDiagnosis *diagnosis);

/* What is wrong with a page that should be of that kind; NULL for nothing. */
extern const char *omendb_diagnosis_page(Page page, OmendbPageKind kind);

/*
 * A scan of the table's rows that the snapshot sees and the index is for:
 * callback gets each with its values, as in CREATE INDEX.
 */
extern void omendb_diagnosis_scan_heap(OmendbDiagnosis *diagnosis, Snapshot snapshot,
									   IndexBuildCallback callback, void *state);

/* An error where a scan of the index under that snapshot could miss rows. */
extern void omendb_diagnosis_check_snapshot(OmendbDiagnosis *diagnosis, Snapshot snapshot);

/* Why a scan stopped, as users know it; NULL where the executor stopped it. */
extern const char *omendb_stop_name(HnswStop stop);

#endif /* OMENDB_DIAGNOSIS_H */
