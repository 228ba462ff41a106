/*
 * format.h
 *	  The index on disk: pages, addresses, the metapage.
 *
 * Block 0 is the metapage. All other blocks hold records (code/layout.h), all
 * of one size, one after another from the page header on; the place of a
 * record follows from its number:
 *
 *	block = 1 + node / per_page, record = node % per_page
 *
 * The metapage has an OmendbMetaPage and behind it an OmendbCalibration.
 *
 * There are no line pointers. A slot is never moved: it is free, or holds a
 * node or heap TIDs that did not fit a node. pd_lower = pd_upper, so that
 * neither generic WAL nor full-page images leave anything out.
 *
 * page			bytes	what
 * 0			24		PageHeaderData
 * 24			..		records (or OmendbMetaPage)
 * BLCKSZ - 8	8		OmendbPageSpecial
 *
 * An overflow record continues the heap TIDs of a node. It is an OmendbRecord
 * of kind OMENDB_RECORD_OVERFLOW, of which only kind, version, overflow (the
 * next one), incarnation, and after the header count (uint32), owner (node),
 * the owner's incarnation (uint16, 2 bytes 0) and then the TIDs are used.
 */
#ifndef OMENDB_FORMAT_H
#define OMENDB_FORMAT_H

#include "postgres.h"

#include "code/layout.h"
#include "graph/curve.h"
#include "graph/search.h"
#include "storage/block.h"
#include "storage/bufpage.h"
#include "storage/itemptr.h"
#include "storage/off.h"

#define OMENDB_META_BLOCK     0
#define OMENDB_FIRST_BLOCK    1
#define OMENDB_META_MAGIC     0x6f6d656e /* "omen" */
#define OMENDB_FORMAT_VERSION 4
#define OMENDB_FORMAT_OLDEST  4

#define OMENDB_PAGE_ID 0xdb0e
/* What pgvector writes in the same place. */
#define PGVECTOR_HNSW_PAGE_ID    0xff90
#define PGVECTOR_IVFFLAT_PAGE_ID 0xff84

typedef enum OmendbPageKind
{
	OMENDB_PAGE_META = 1,
	OMENDB_PAGE_RECORDS = 2,
} OmendbPageKind;

typedef struct OmendbPageSpecial
{
	uint16 kind;     /* OmendbPageKind */
	uint16 reserved; /* 0 */
	uint16 reserved2;
	uint16 page_id; /* OMENDB_PAGE_ID, for those who look at raw pages */
} OmendbPageSpecial;

StaticAssertDecl(sizeof(OmendbPageSpecial) == 8, "page special space is 8 bytes");

/* Bytes of a page for records. */
#define OMENDB_PAGE_BYTES (BLCKSZ - MAXALIGN(SizeOfPageHeaderData) - sizeof(OmendbPageSpecial))

typedef struct OmendbMetaPage
{
	uint32 magic;
	uint32 version;
	uint8 metric; /* OmendbMetric */
	uint8 own;    /* OmendbOwn */
	uint16 m;
	uint16 ef_construction;
	uint16 code_bits;
	uint32 dimensions;
	OmendbNode entry;    /* where searches start; OMENDB_NO_NODE: the graph is empty */
	uint8 entry_level;   /* the entry's level */
	uint8 flags;         /* OMENDB_META_* */
	uint16 level_shift;  /* one node of 2^level_shift is on the next level */
	uint32 checksum;     /* of all fields but entry, entry_level, flags: omendb_meta_checksum */
	uint64 seed;         /* of the rotation */
	uint32 elements;     /* that a record of a sparse vector has room for; else 0 */
	uint32 upper_beam;   /* how wide a beam on upper levels is; 0: OMENDB_UPPER_BEAM */
	uint32 reserved[30]; /* 0 */
} OmendbMetaPage;

/* The index left out a row that has a vector: a zero vector under cosine. Never unset. */
#define OMENDB_META_LEFT_OUT 0x01

StaticAssertDecl(offsetof(OmendbMetaPage, dimensions) == 16, "metapage layout");
StaticAssertDecl(offsetof(OmendbMetaPage, seed) == 32, "metapage layout");

/*
 * Behind OmendbMetaPage: what recall the index's rows are found with. All 0 where nothing was
 * measured: the checksum counts only where the curve has points.
 */
typedef struct OmendbCalibration
{
	uint32 checksum; /* CRC-32C of all that follows */
	uint32 queries;  /* rows that were searched for */
	uint64 rows;     /* heap TIDs that the index had then */
	uint64 removed;  /* of them, and of later ones, by vacuums since */
	OmendbCurve curve;
	uint32 reserved; /* 0 */
} OmendbCalibration;

StaticAssertDecl(offsetof(OmendbCalibration, curve) == 24, "calibration layout");
StaticAssertDecl(sizeof(OmendbCurvePoint) == 12, "calibration layout");
StaticAssertDecl(sizeof(OmendbCalibration) == 24 + 4 + 12 * OMENDB_CURVE_POINTS + 4,
				 "calibration layout");

/* What follows the header of an overflow record. */
typedef struct OmendbOverflow
{
	uint32 count; /* TIDs */
	OmendbNode owner;
	uint16 owner_incarnation;
	uint16 reserved;
	ItemPointerData tids[FLEXIBLE_ARRAY_MEMBER];
} OmendbOverflow;

StaticAssertDecl(sizeof(ItemPointerData) == OMENDB_TID_BYTES, "heap TIDs take 6 bytes");
StaticAssertDecl(offsetof(OmendbOverflow, tids) == 12, "overflow layout");

static inline BlockNumber
omendb_node_block(const OmendbLayout *layout, OmendbNode node)
{
	return OMENDB_FIRST_BLOCK + node / layout->per_page;
}

static inline OmendbRecord *
omendb_page_record(const OmendbLayout *layout, Page page, uint32 slot)
{
	return (OmendbRecord *) ((char *) page + MAXALIGN(SizeOfPageHeaderData) +
							 (Size) slot * layout->record_bytes);
}

static inline OmendbNode
omendb_block_node(const OmendbLayout *layout, BlockNumber block, uint32 slot)
{
	return (OmendbNode) (block - OMENDB_FIRST_BLOCK) * layout->per_page + slot;
}

/* Is there a number for each record of the block? */
static inline bool
omendb_block_has_numbers(const OmendbLayout *layout, BlockNumber block)
{
	return (uint64) (block - OMENDB_FIRST_BLOCK + 1) * layout->per_page <= OMENDB_MAX_NODE;
}

static inline OmendbPageSpecial *
omendb_page_special(Page page)
{
	return (OmendbPageSpecial *) ((char *) page + BLCKSZ - sizeof(OmendbPageSpecial));
}

static inline OmendbMetaPage *
omendb_page_meta(Page page)
{
	return (OmendbMetaPage *) ((char *) page + MAXALIGN(SizeOfPageHeaderData));
}

static inline OmendbCalibration *
omendb_page_calibration(Page page)
{
	return (OmendbCalibration *) (omendb_page_meta(page) + 1);
}

static inline OmendbOverflow *
omendb_record_overflow(OmendbRecord *record)
{
	return (OmendbOverflow *) (record + 1);
}

/* TIDs that fit an overflow record. */
static inline uint32
omendb_overflow_capacity(const OmendbLayout *layout)
{
	return (layout->record_bytes - sizeof(OmendbRecord) - offsetof(OmendbOverflow, tids)) /
		   sizeof(ItemPointerData);
}

/*
 * A heap TID in a record may be marked: a scan found that nobody can see its row any more. Offsets
 * of rows leave that bit free. Scans pass such a TID over, but not those of a transaction that
 * began in recovery: snapshots of a standby may be older than any of the primary, where the mark
 * comes from. Vacuum removes the TID as any other.
 */
#define OMENDB_TID_MARK 0x8000

StaticAssertDecl(MaxOffsetNumber < OMENDB_TID_MARK, "the mark of a heap TID is no part of it");

/* Copy a heap TID out of a record, without its mark; was it marked? */
static inline bool
omendb_tid_load(const void *from, ItemPointerData *tid)
{
	bool marked;

	memcpy(tid, from, sizeof(*tid));
	marked = (tid->ip_posid & OMENDB_TID_MARK) != 0;
	tid->ip_posid &= ~OMENDB_TID_MARK;
	return marked;
}

/* May it be the place of a row in some table? */
static inline bool
omendb_tid_is_possible(const ItemPointerData *tid)
{
	return ItemPointerGetBlockNumberNoCheck(tid) <= MaxBlockNumber &&
		   OffsetNumberIsValid(ItemPointerGetOffsetNumberNoCheck(tid));
}

/* CRC-32C of what stays as it was when the index was built. */
extern uint32 omendb_meta_checksum(const OmendbMetaPage *meta);

static inline uint32
omendb_meta_upper_beam(const OmendbMetaPage *meta)
{
	return meta->upper_beam > 0 ? meta->upper_beam : OMENDB_UPPER_BEAM;
}

/* CRC-32C of what follows the checksum. */
extern uint32 omendb_calibration_checksum(const OmendbCalibration *calibration);

/* Is it empty, or as it was written? */
extern bool omendb_calibration_is_possible(const OmendbCalibration *calibration);

/* Make an empty page of that kind; no slot is in use. */
extern void omendb_page_init(Page page, OmendbPageKind kind);

#endif /* OMENDB_FORMAT_H */
