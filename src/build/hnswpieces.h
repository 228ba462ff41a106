/*
 * hnswpieces.h
 *	  What the files of a build in parts share.
 */
#ifndef OMENDB_HNSWPIECES_H
#define OMENDB_HNSWPIECES_H

#include "build/hnswparts.h"
#include "build/hnswrowfile.h"
#include "graph/parts.h"

/* The nodes of a part, or some of them where they do not all fit into memory. */
typedef struct HnswPiece
{
	uint32 first;    /* of its nodes: how many are in pieces before */
	uint32 n;        /* nodes */
	OmendbNode base; /* the first one's number */
	uint32 overflow; /* overflow records, whose numbers follow */
	HnswRowFile nodes;
	HnswRowFile tids;  /* of more rows with the vectors of nodes */
	HnswRowFile found; /* candidates */
} HnswPiece;

struct HnswParts
{
	HnswBuild *build;
	OmendbBuildLevel level;
	Size record_bytes; /* of a record up to its edges */
	HnswRowFile rows;  /* as they came */
	HnswRowFile upper; /* nodes of level 1; rows are the numbers of those below */
	uint32 untold;     /* nodes whose nearest ones rounding hides */
	HnswRowFile *parts;
	uint32 nparts;
	HnswPiece *pieces;
	uint32 npieces;
	uint32 pieces_capacity;
	uint32 capacity; /* records in memory at a time */
	uint32 most;     /* rows that there is memory for */
	unsigned shift;  /* one of 2^shift nodes is on level 1 */
	uint32 nodes;
	OmendbNode end;   /* numbers in use */
	HnswRowFile tids; /* of the piece that is made */
	uint8 *wanted;    /* a bit for each node */
	uint32 *here;     /* of records in memory: their rows */
	struct HnswLeader *leaders;
};

static inline uint32
hnsw_parts_in_memory(const HnswParts *parts)
{
	return parts->build->records.array.n;
}

static inline OmendbRecord *
hnsw_parts_record(const HnswParts *parts, uint32 i)
{
	return omendb_array_record(&parts->build->records.array, i);
}

/* hnswparts.c */
extern uint32 hnsw_parts_read(HnswParts *parts, HnswRowFile *from, OmendbRecord **record);
extern void hnsw_parts_write(HnswParts *parts, HnswRowFile *to, uint32 row,
							 const OmendbRecord *record);
extern void hnsw_parts_seek(HnswParts *parts, HnswRowFile *from, uint32 entry);
extern void hnsw_parts_report(uint32 done);
extern void hnsw_parts_run_window(HnswParts *parts, uint32 first, uint32 n);

/* hnswsplit.c */
extern void hnsw_parts_split(HnswParts *parts);
extern void hnsw_parts_note_leader(HnswParts *parts, uint32 row, uint32 node);

/* hnswnumber.c */
extern void hnsw_parts_number(HnswParts *parts);
extern HnswPiece *hnsw_piece_of(const HnswParts *parts, uint32 node);

/* hnswpieces.c */
extern void hnsw_parts_find_candidates(HnswParts *parts);
extern void hnsw_piece_build(HnswParts *parts, HnswPiece *piece);
extern void hnsw_parts_write_records(HnswParts *parts, OmendbNode base);

#endif /* OMENDB_HNSWPIECES_H */
