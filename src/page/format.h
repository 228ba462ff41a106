/*
 * format.h
 *	  The index on disk: pages, addresses, the metapage.
 *
 * Block 0 is the metapage: an OmendbMetaPage, and behind it an OmendbCalibration. All other blocks
 * have records (code/layout.h) of one size, adjacent, behind the page header. The number of a record
 * is its address:
 *
 *	block = 1 + node / per_page, slot = node % per_page
 *
 * A spanning record takes several slots; its number is that of the first. The others are inner slots.
 * They have no header, so a bitmap behind the slots says which these are.
 *
 * There are no line pointers, and records never move. A slot is free, or has a node, or an overflow
 * record. pd_lower = pd_upper, so that neither generic WAL nor full-page images leave anything out.
 *
 * page			bytes	what
 * 0			24		PageHeaderData
 * 24			..		records (or OmendbMetaPage)
 * BLCKSZ - 24	16		spanning records: bit i % 8 of byte i / 8 is set if slot i is inner (of 8 KB
 *						pages; OMENDB_INNER_BYTES)
 * BLCKSZ - 8	8		OmendbPageSpecial
 *
 * An overflow record has more heap TIDs of a node. It is an OmendbRecord of kind
 * OMENDB_RECORD_OVERFLOW, of which only kind, version, overflow (the next overflow record) and
 * incarnation are used; an OmendbOverflow follows the header.
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
#define OMENDB_FORMAT_VERSION 5          /* of indexes with spanning records */
#define OMENDB_FORMAT_FIXED   4          /* of others */
#define OMENDB_FORMAT_OLDEST  4

#define OMENDB_PAGE_ID 0xdb0e
/* Page IDs of pgvector, which are in the same place. */
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
	uint16 page_id; /* OMENDB_PAGE_ID, which identifies raw pages */
} OmendbPageSpecial;

StaticAssertDecl(sizeof(OmendbPageSpecial) == 8, "page special space is 8 bytes");

/* Bytes of the bitmap of inner slots. */
#define OMENDB_INNER_BYTES (BLCKSZ / OMENDB_SPAN_SLOT_BYTES / 8)

/* Bytes of a page for records, and for spanning records. */
#define OMENDB_PAGE_BYTES      (BLCKSZ - MAXALIGN(SizeOfPageHeaderData) - sizeof(OmendbPageSpecial))
#define OMENDB_SPAN_PAGE_BYTES (OMENDB_PAGE_BYTES - OMENDB_INNER_BYTES)

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
	uint32 elements;     /* capacity of an own sparse vector; else 0 */
	uint32 upper_beam;   /* width of the beam on upper levels; 0: OMENDB_UPPER_BEAM */
	uint32 spans;        /* 1: spanning records; else 0 */
	uint32 reserved[29]; /* 0 */
} OmendbMetaPage;

/* The index left out a row that has a vector: a zero vector under cosine. Never unset. */
#define OMENDB_META_LEFT_OUT 0x01

StaticAssertDecl(offsetof(OmendbMetaPage, dimensions) == 16, "metapage layout");
StaticAssertDecl(offsetof(OmendbMetaPage, seed) == 32, "metapage layout");

/*
 * Recall of the index by ef, behind OmendbMetaPage. All 0 if it was not measured: the checksum is
 * valid only if the curve has points.
 */
typedef struct OmendbCalibration
{
	uint32 checksum;   /* CRC-32C of the fields below */
	uint32 queries;    /* queries of the measurement */
	uint64 rows;       /* heap TIDs of the index when recall was measured */
	uint64 removed;    /* heap TIDs that vacuum has removed since then */
	OmendbCurve curve; /* recall by ef */
	uint32 reserved;   /* 0 */
} OmendbCalibration;

StaticAssertDecl(offsetof(OmendbCalibration, curve) == 24, "calibration layout");
StaticAssertDecl(sizeof(OmendbCurvePoint) == 12, "calibration layout");
StaticAssertDecl(sizeof(OmendbCalibration) == 24 + 4 + 12 * OMENDB_CURVE_POINTS + 4,
				 "calibration layout");

/* What follows the header of an overflow record. */
typedef struct OmendbOverflow
{
	uint32 count; /* heap TIDs in tids[] */
	OmendbNode owner;
	uint16 owner_incarnation;
	uint16 reserved; /* 0 */
	ItemPointerData tids[FLEXIBLE_ARRAY_MEMBER];
} OmendbOverflow;

StaticAssertDecl(sizeof(ItemPointerData) == OMENDB_TID_BYTES, "heap TIDs take 6 bytes");
StaticAssertDecl(offsetof(OmendbOverflow, tids) == 12, "overflow layout");

static inline BlockNumber
omendb_node_block(const OmendbLayout *layout, OmendbNode node)
{
	return OMENDB_FIRST_BLOCK + node / layout->per_page;
}

/* A slot of a page, which may be an inner one. */
static inline OmendbRecord *
omendb_page_slot(const OmendbLayout *layout, Page page, uint32 slot)
{
	return (OmendbRecord *) ((char *) page + MAXALIGN(SizeOfPageHeaderData) +
							 (Size) slot * layout->slot_bytes);
}

static inline uint8 *
omendb_page_inner(Page page)
{
	return (uint8 *) page + BLCKSZ - sizeof(OmendbPageSpecial) - OMENDB_INNER_BYTES;
}

/* True if the slot is part of the record before it. */
static inline bool
omendb_slot_is_inner(const OmendbLayout *layout, Page page, uint32 slot)
{
	return layout->spans && (omendb_page_inner(page)[slot / 8] >> (slot % 8) & 1) != 0;
}

/* The record of an inner slot: of the kind OMENDB_RECORD_INNER, else 0. */
extern const OmendbRecord omendb_inner_record;

/* The record that begins in a slot, or omendb_inner_record, which must not be changed. */
static inline OmendbRecord *
omendb_page_record(const OmendbLayout *layout, Page page, uint32 slot)
{
	if (unlikely(omendb_slot_is_inner(layout, page, slot)))
		return unconstify(OmendbRecord *, &omendb_inner_record);
	return omendb_page_slot(layout, page, slot);
}

/* Slots of the page that the record in `slot` takes. Of a damaged record no more than there are. */
static inline uint32
omendb_page_slots(const OmendbLayout *layout, Page page, uint32 slot)
{
	return Min(omendb_record_slots(layout, omendb_page_record(layout, page, slot)),
			   layout->per_page - slot);
}

/*
 * How many records a page has, of spanning ones an estimate: with own vectors of 40 elements.
 */
static inline double
omendb_page_usual_records(const OmendbLayout *layout)
{
	const double usual_own_bytes = 256;

	return layout->spans ? OMENDB_SPAN_PAGE_BYTES / (layout->own_offset + usual_own_bytes)
						 : layout->per_page;
}

/*
 * Look for that many adjacent free slots. Returns the first one; *longest is `slots` then, else the
 * number of the most adjacent free slots that the page has. A new page is free.
 */
extern uint32 omendb_page_find_free(const OmendbLayout *layout, Page page, uint32 slots,
									uint32 *longest);

/*
 * What the free space map says of a page that has a free slot: of spanning records the bytes of the
 * most adjacent free slots, else that there is a free one (as RecordFreeIndexPage).
 */
extern Size omendb_page_free_space(const OmendbLayout *layout, Page page);

/* The same of a new page. */
static inline Size
omendb_new_page_space(const OmendbLayout *layout)
{
	return layout->spans ? (Size) layout->per_page * layout->slot_bytes : BLCKSZ - 1;
}

static inline OmendbNode
omendb_block_node(const OmendbLayout *layout, BlockNumber block, uint32 slot)
{
	return (OmendbNode) (block - OMENDB_FIRST_BLOCK) * layout->per_page + slot;
}

/* True if every slot of the block has a node number, OMENDB_MAX_NODE or below. */
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

/* Heap TIDs that fit an overflow record. */
static inline uint32
omendb_overflow_capacity(const OmendbLayout *layout)
{
	Size bytes =
		layout->spans ? OMENDB_SPAN_OVERFLOW_SLOTS * layout->slot_bytes : layout->record_bytes;

	return (bytes - sizeof(OmendbRecord) - offsetof(OmendbOverflow, tids)) /
		   sizeof(ItemPointerData);
}

/*
 * Mark of a heap TID whose row is dead to all snapshots, as a scan has found; a bit that offsets of
 * rows leave free. Scans skip a marked TID. Scans of a transaction that began in recovery do not: a
 * snapshot of a standby may be older than all snapshots of the primary, which set the mark. Vacuum
 * removes the TID like others.
 */
#define OMENDB_TID_MARK 0x8000

StaticAssertDecl(MaxOffsetNumber < OMENDB_TID_MARK, "the mark of a heap TID is no part of it");

/* Copy a heap TID out of a record, without its mark. True if it was marked. */
static inline bool
omendb_tid_load(const void *from, ItemPointerData *tid)
{
	bool marked;

	memcpy(tid, from, sizeof(*tid));
	marked = (tid->ip_posid & OMENDB_TID_MARK) != 0;
	tid->ip_posid &= ~OMENDB_TID_MARK;
	return marked;
}

/* True if a table can have a row at the TID. */
static inline bool
omendb_tid_is_possible(const ItemPointerData *tid)
{
	return ItemPointerGetBlockNumberNoCheck(tid) <= MaxBlockNumber &&
		   OffsetNumberIsValid(ItemPointerGetOffsetNumberNoCheck(tid));
}

/* CRC-32C of the fields that do not change after the build: without entry, entry_level and flags. */
extern uint32 omendb_meta_checksum(const OmendbMetaPage *meta);

static inline uint32
omendb_meta_upper_beam(const OmendbMetaPage *meta)
{
	return meta->upper_beam > 0 ? meta->upper_beam : OMENDB_UPPER_BEAM;
}

/* CRC-32C of the fields behind the checksum. */
extern uint32 omendb_calibration_checksum(const OmendbCalibration *calibration);

/* True if the calibration is empty, or its checksum is right and its curve possible. */
extern bool omendb_calibration_is_possible(const OmendbCalibration *calibration);

/* Initialise an empty page of that kind, whose slots are all free. */
extern void omendb_page_init(Page page, OmendbPageKind kind);

#endif /* OMENDB_FORMAT_H */
