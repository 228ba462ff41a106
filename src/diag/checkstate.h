/*
 * checkstate.h
 *	  What the parts of hnsw_index_check share: tables of the index's records, and the report.
 *
 * indexcheck.c reads all records once, into the tables below, and checks what
 * follows from them: pages, records, edges, chains, the entry point, who can be
 * reached. edgecheck.c reads them again for the vectors and codes. heapcheck.c
 * compares heap TIDs with each other and with the table.
 */
#ifndef OMENDB_CHECKSTATE_H
#define OMENDB_CHECKSTATE_H

#include "diag/diagnosis.h"
#include "funcapi.h"

/* What is remembered of a record. */
typedef struct CheckRecord
{
	uint64 first;        /* its edges are edges[first ..] */
	OmendbNode down;     /* overflow records: the owner */
	OmendbNode overflow; /* the next one */
	uint16 count;        /* edges that lead to some slot of the index */
	uint16 incarnation;  /* overflow records: the owner's */
	uint8 kind;          /* OMENDB_RECORD_FREE where the page is unusable */
	uint8 level;
	uint8 dead;
	uint8 seen; /* CHECK_REACHED .. CHECK_ROWS */
} CheckRecord;

#define CHECK_REACHED 0x01 /* from the entry point */
#define CHECK_NAMED   0x02 /* by a node above, or as part of a node's chain */
#define CHECK_ROWS    0x04 /* has rows that somebody may see (known of nodes not reached) */

/* A heap TID of a node. */
typedef struct CheckTid
{
	uint64 tid; /* block << 16 | offset */
	OmendbNode node;
	bool seen;   /* in the table */
	bool marked; /* as that of a dead row */
} CheckTid;

typedef struct OmendbCheck
{
	OmendbDiagnosis diagnosis;
	ReturnSetInfo *result;
	BufferAccessStrategy ring;
	CheckRecord *records; /* of all slots */
	OmendbNode *edges;
	size_t nedges;
	size_t edges_capacity;
	CheckTid *tids;
	size_t ntids;
	size_t tids_capacity;
} OmendbCheck;

/* How bad a problem is. */
typedef enum CheckSeverity
{
	CHECK_NOTICE, /* what a crash or a cancel leaves: no row is lost, and vacuum takes it away */
	CHECK_ERROR,  /* rows may not be found, or the file is damaged */
} CheckSeverity;

/* A row of the result. Without a node: OMENDB_NO_NODE and the block, or InvalidBlockNumber. */
extern void omendb_check_report(OmendbCheck *check, CheckSeverity severity, BlockNumber block,
								OmendbNode node, const char *format, ...) pg_attribute_printf(5, 6);

#define omendb_check_problem(check, block, node, ...) \
	omendb_check_report(check, CHECK_ERROR, block, node, __VA_ARGS__)

/* Of an edge of that node: nothing follows edges of a dead node to which none lead. */
static inline CheckSeverity
omendb_check_edge_severity(const OmendbCheck *check, OmendbNode node)
{
	const CheckRecord *record = &check->records[node];

	return record->dead && !(record->seen & CHECK_REACHED) ? CHECK_NOTICE : CHECK_ERROR;
}

/* Copy a page of records; false where it is new or was found unusable. */
extern bool omendb_check_read(OmendbCheck *check, BlockNumber block, BufferAccessStrategy ring,
							  PGAlignedBlock *copy);

static inline uint64
omendb_check_tid(const ItemPointerData *tid)
{
	return (uint64) ItemPointerGetBlockNumberNoCheck(tid) << 16 |
		   ItemPointerGetOffsetNumberNoCheck(tid);
}

#endif /* OMENDB_CHECKSTATE_H */
