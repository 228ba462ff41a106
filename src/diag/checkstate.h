/*
 * checkstate.h
 *	  What the parts of hnsw_index_check share: tables of the index's records, and the report.
 *
 * indexcheck.c reads all records once, into these tables, and checks what follows from them: pages,
 * records, edges, chains of overflow records, the entry point, which nodes are reached. edgecheck.c
 * reads the records again for vectors and codes. heapcheck.c compares heap TIDs with each other and
 * with the table.
 */
#ifndef OMENDB_CHECKSTATE_H
#define OMENDB_CHECKSTATE_H

#include "diag/diagnosis.h"
#include "funcapi.h"

/* A slot of the index. */
typedef struct CheckRecord
{
	uint64 first;        /* the record's edges are edges[first], edges[first + 1], ... */
	OmendbNode down;     /* pointer down; of an overflow record: the owner */
	OmendbNode overflow; /* the next overflow record */
	uint16 count;        /* number of edges, without those that lead behind the last slot */
	uint16 incarnation;  /* of an overflow record: the owner's */
	uint8 kind;          /* OmendbRecordKind; OMENDB_RECORD_FREE if page or record is unusable */
	uint8 level;
	uint8 dead;
	uint8 seen; /* CHECK_ flags */
} CheckRecord;

#define CHECK_REACHED 0x01 /* edges lead to the node from the entry point */
#define CHECK_NAMED   0x02 /* a pointer down, or a chain of overflow records, leads to the record */
#define CHECK_ROWS    0x04 /* a row of the node may be visible; set for nodes not reached only */

/* A heap TID of a node. */
typedef struct CheckTid
{
	uint64 tid; /* block << 16 | offset */
	OmendbNode node;
	bool seen;   /* the scan of the table had the row */
	bool marked; /* OMENDB_TID_MARK */
} CheckTid;

typedef struct OmendbCheck
{
	OmendbDiagnosis diagnosis;
	ReturnSetInfo *result;
	BufferAccessStrategy ring;
	CheckRecord *records; /* one for each slot */
	OmendbNode *edges;
	size_t nedges;
	size_t edges_capacity;
	CheckTid *tids;
	size_t ntids;
	size_t tids_capacity;
} OmendbCheck;

/* Severity of a problem. */
typedef enum CheckSeverity
{
	CHECK_NOTICE, /* left by a crash or a cancel: no row is lost, and vacuum removes it */
	CHECK_ERROR,  /* rows may be lost, or the file is damaged */
} CheckSeverity;

/*
 * Add a row to the result. The block is that of the node; if node is OMENDB_NO_NODE it is `block`, or
 * null for InvalidBlockNumber.
 */
extern void omendb_check_report(OmendbCheck *check, CheckSeverity severity, BlockNumber block,
								OmendbNode node, const char *format, ...) pg_attribute_printf(5, 6);

#define omendb_check_problem(check, block, node, ...) \
	omendb_check_report(check, CHECK_ERROR, block, node, __VA_ARGS__)

/* Severity of a wrong edge of a node. No search follows the edges of a dead node that is not reached. */
static inline CheckSeverity
omendb_check_edge_severity(const OmendbCheck *check, OmendbNode node)
{
	const CheckRecord *record = &check->records[node];

	return record->dead && !(record->seen & CHECK_REACHED) ? CHECK_NOTICE : CHECK_ERROR;
}

/* Copy a page of records, under a share lock. False if the page is new or unusable. ring: or NULL. */
extern bool omendb_check_read(OmendbCheck *check, BlockNumber block, BufferAccessStrategy ring,
							  PGAlignedBlock *copy);

static inline uint64
omendb_check_tid(const ItemPointerData *tid)
{
	return (uint64) ItemPointerGetBlockNumberNoCheck(tid) << 16 |
		   ItemPointerGetOffsetNumberNoCheck(tid);
}

#endif /* OMENDB_CHECKSTATE_H */
