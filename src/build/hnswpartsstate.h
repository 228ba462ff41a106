/*
 * hnswpartsstate.h
 *	  The state of a build in parts. Private to hnswparts.c, hnswsplit.c, hnswnumber.c and
 *	  hnswpieces.c.
 *
 * A part is a set of near rows; a piece is the nodes of a part, or some of them if they do not all
 * fit into memory. Nodes are counted through all pieces; a node's number in the index follows from
 * its piece.
 */
#ifndef OMENDB_HNSWPARTSSTATE_H
#define OMENDB_HNSWPARTSSTATE_H

#include "build/hnswparts.h"
#include "build/hnswrowfile.h"
#include "graph/parts.h"

typedef struct HnswPiece
{
	uint32 first;      /* nodes in the pieces before */
	uint32 n;          /* nodes */
	OmendbNode base;   /* number of the first node in the index */
	uint32 overflow;   /* overflow records, whose numbers follow those of the nodes */
	HnswRowFile nodes; /* records up to their edges; an entry's number is the node */
	HnswRowFile
		tids; /* records of further rows with the vectors of nodes; number: node of the piece */
	HnswRowFile found; /* candidates; number: place among the piece's candidates */
} HnswPiece;

typedef struct HnswPieces
{
	HnswPiece *pieces;
	uint32 n;
	uint32 capacity;
	HnswRowFile tids; /* of the piece that is made now */
	uint32 nodes;     /* in all pieces so far */
	OmendbNode end;   /* first number in the index that is free */
} HnswPieces;

typedef struct HnswPartFiles
{
	HnswRowFile *files; /* rows of each part */
	uint32 n;
} HnswPartFiles;

struct HnswParts
{
	HnswBuild *build;
	OmendbBuildLevel level;
	Size record_bytes; /* of a record up to its edges */
	uint32 max_rows;   /* rows whose int8 rows fit into memory */
	uint32 capacity;   /* records in memory at a time */
	HnswRowFile rows;  /* all rows, in the table's order */
	HnswPartFiles parts;
	HnswPieces pieces;
	HnswRowFile upper;    /* nodes of level 1; an entry's number is that of the node below */
	unsigned upper_shift; /* one of 2^upper_shift nodes is on level 1 */
	uint32 nindistinct;   /* nodes whose nearest nodes int8 rows do not distinguish */
	uint8 *wanted;        /* a bit for each node: its own vector is needed for an edge's code */
	uint32 *row_of;       /* of each record in memory: its entry in `rows` */
	struct HnswLeader *leaders; /* by row */
};

/* Number of records in memory. */
static inline uint32
hnsw_parts_in_memory(const HnswParts *parts)
{
	return parts->build->records.array.n;
}

/* Record i in memory. */
static inline OmendbRecord *
hnsw_parts_record(const HnswParts *parts, uint32 i)
{
	return omendb_array_record(&parts->build->records.array, i);
}

/* ---------------------------------------------------------------- hnswparts.c */

/* Read the file's next entry as one more record in memory. Returns the entry's number. */
extern uint32 hnsw_parts_read(HnswParts *parts, HnswRowFile *from, OmendbRecord **record);

/* Append a record up to its edges to a file. */
extern void hnsw_parts_write(HnswParts *parts, HnswRowFile *to, uint32 number,
							 const OmendbRecord *record);

/* Go to an entry of a file of records. */
extern void hnsw_parts_seek(HnswParts *parts, HnswRowFile *from, uint32 entry);

/* Show progress, now and then. */
extern void hnsw_parts_report(uint32 done);

/* Do a window (graph/parts.h): the n records in memory are those of nodes from `first` on. */
extern void hnsw_parts_run_window(HnswParts *parts, uint32 first, uint32 n);

/* Write all records in memory to the index's pages, from the one of number `base` on. */
extern void hnsw_parts_write_records(HnswParts *parts, OmendbNode base);

/* ---------------------------------------------------------------- hnswsplit.c */

/* Choose leaders and group them into parts; split the rows into files of the parts. */
extern void hnsw_parts_split(HnswParts *parts);

/* If the row is a leader, note its node. */
extern void hnsw_parts_note_leader(HnswParts *parts, uint32 row, uint32 node);

/* ---------------------------------------------------------------- hnswnumber.c */

/* Merge equal rows, part by part, and make pieces of the nodes, with int8 rows in memory. */
extern void hnsw_parts_number(HnswParts *parts);

/* The piece that a node is in. */
extern HnswPiece *hnsw_piece_of(const HnswParts *parts, uint32 node);

/* ---------------------------------------------------------------- hnswpieces.c */

/* Find the candidates of all nodes, and write them to files of the pieces. */
extern void hnsw_parts_find_candidates(HnswParts *parts);

/* Choose the neighbours of a piece's nodes, and write the piece's pages. */
extern void hnsw_piece_build(HnswParts *parts, HnswPiece *piece);

#endif /* OMENDB_HNSWPARTSSTATE_H */
