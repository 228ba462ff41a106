/*
 * layout.h
 *	  The record: a node of the graph on one level, in memory and on a page.
 *
 * Owns the byte layout of a record and the choice of its sizes from the
 * dimensions (omendb_layout_choose).
 *
 * All records of an index have the same size, but for spanning ones, below. In the machine's byte
 * order:
 *
 *	offset			bytes	what
 *	0				64		OmendbRecord, the header
 *	own				..		the node's own vector (see OmendbOwn), padded to 8
 *	neighbours		4 R		node numbers; the first `count` are in use
 *	codes			R B/8	code of each neighbour		(coded layouts only)
 *	slopes			R		slope of each edge	(coded layouts only)
 *	shifts			3 R/2	shift of each edge	(coded layouts only)
 *	padding			..		to 8
 *
 * R is 2m on every level; upper levels use at most m. B is the bits of a code, a multiple of 8.
 * A plain layout (L1, bit distances, sparse vectors) has no codes, slopes and shifts: B = 0.
 *
 * Kernels read up to 7 bytes behind the last code. R is 4 or more, so slopes and shifts cover these.
 *
 * A slope is the magnitude of b (codec.h; b is never above 0) as a float with four bits of exponent
 * and four of fraction. Added to 16 times slope_exponent and shifted left by 19 it is the bits of
 * a float. A shift is an integer of 12 bits, times 2 to the power of shift_exponent - 127. Both
 * exponents are the record's, and large enough for all its edges.
 *
 * Integers of 12 bits (own vector, shifts), -2048 to 2047, have a high part, an int8 that counts
 * 16, and a low part, 0 to 15. With n of them and h = (n + 1) / 2:
 *
 *	0				n		the high parts
 *	n				h		the low parts: byte i has that of element i in its lower
 *							four bits, that of element i + h in its upper ones
 *
 * The own vector of a sparse one (code/ownsparse.h):
 *
 *	0				4		n, its elements, at most `elements` of the layout
 *	4				4 n		their indices, from 0, ascending
 *	4 + 4 n			2 n		their values, int16, none 0
 *
 * Spanning records. Of an index of sparse vectors that was created before its rows were known, records
 * take one or more adjacent slots of a page, as many as their own vectors need. The own vector is
 * then the last part, so that the neighbours have the same place in all records:
 *
 *	0				64		OmendbRecord, the header
 *	neighbours		4 R		node numbers
 *	own				..		the own vector, padded to the end of a slot
 *
 * In memory such a record has room for the longest own vector (record_bytes).
 */
#ifndef OMENDB_LAYOUT_H
#define OMENDB_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* A node's number: where its record is. */
typedef uint32_t OmendbNode;

#define OMENDB_NO_NODE UINT32_MAX

/* What the graph calls a distance; smaller is nearer. Values are on disk. */
typedef enum OmendbMetric
{
	OMENDB_METRIC_L2 = 1,      /* squared L2 */
	OMENDB_METRIC_IP = 2,      /* -<a,b> */
	OMENDB_METRIC_COSINE = 3,  /* squared L2 of normalised vectors: twice the cosine distance */
	OMENDB_METRIC_L1 = 4,      /* plain layouts */
	OMENDB_METRIC_HAMMING = 5, /* plain layouts, own vectors are bits */
	OMENDB_METRIC_JACCARD = 6, /* plain layouts, own vectors are bits */
} OmendbMetric;

/* How a record keeps its own vector. Values are on disk. */
typedef enum OmendbOwn
{
	OMENDB_OWN_HALF = 1,   /* scale * binary16, scale a power of two; L1 */
	OMENDB_OWN_INT8 = 2,   /* scale * int8 */
	OMENDB_OWN_BITS = 3,   /* the bits themselves; bit distances */
	OMENDB_OWN_INT16 = 4,  /* scale * int16; coded layouts */
	OMENDB_OWN_INT4 = 5,   /* scale * odd number from -15 to 15, packed */
	OMENDB_OWN_INT2 = 6,   /* scale * odd number from -3 to 3, packed */
	OMENDB_OWN_SPARSE = 7, /* elements that are not 0, scale * int16; plain layouts */
	OMENDB_OWN_INT12 = 8,  /* scale * 12-bit integer; coded layouts */
} OmendbOwn;

/*
 * INT4 and INT2 are packed in blocks of 64 elements. Byte i of a block of INT4 has elements i and
 * i + 32, byte i of INT2 elements i, i + 16, i + 32 and i + 48, the first in the lowest bits. The
 * bits (x + 15) / 2 or (x + 3) / 2 stand for x. Padding is 0 bits.
 */
#define OMENDB_PACKED_BLOCK 64

typedef enum OmendbRecordKind
{
	OMENDB_RECORD_FREE = 0,
	OMENDB_RECORD_NODE = 1,
	OMENDB_RECORD_OVERFLOW = 2, /* more heap TIDs of a node (page layer) */
	OMENDB_RECORD_INNER = 3,    /* never stored: a slot that is part of the record before it */
} OmendbRecordKind;

/* A dead node: no heap TID is left. Scans visit it, inserts give no edge to it. */
#define OMENDB_RECORD_DEAD 0x01

#define OMENDB_INLINE_TIDS 4
#define OMENDB_TID_BYTES   6

typedef struct OmendbRecord
{
	uint8_t kind : 4;  /* OmendbRecordKind */
	uint8_t flags : 4; /* OMENDB_RECORD_DEAD */
	uint8_t slope_exponent;
	uint8_t level;       /* of this record; level 0 has every node */
	uint8_t ntids;       /* heap TIDs in tids[]; level 0 only */
	uint32_t version;    /* raised by every change of the record, also by reuse */
	OmendbNode down;     /* pointer down; OMENDB_NO_NODE on level 0 */
	OmendbNode overflow; /* first overflow record, or OMENDB_NO_NODE */
	uint8_t count;       /* edges in use */
	uint8_t shift_exponent;
	uint16_t incarnation; /* raised by every reuse of the slot */
	float error;          /* upper bound of |vector - own| in the metric's norm (L2 or L1) */
	float norm2;          /* |own|^2 */
	float scale;          /* an element of own is scale times what is stored (OmendbOwn) */
	uint32_t identity[2]; /* hash of the vector that own was made from */
	uint8_t tids[OMENDB_INLINE_TIDS * OMENDB_TID_BYTES];
} OmendbRecord;

_Static_assert(sizeof(OmendbRecord) == 64, "record header is 64 bytes");
_Static_assert(offsetof(OmendbRecord, count) == 16, "record header layout");
_Static_assert(offsetof(OmendbRecord, tids) == 40, "record header layout");

#define OMENDB_MIN_M     2
#define OMENDB_MAX_M     100
#define OMENDB_MAX_EDGES (2 * OMENDB_MAX_M)
#define OMENDB_MAX_DIM   16000
/* Sparse vectors: dimensions, and elements that are not 0. */
#define OMENDB_MAX_SPARSE_DIM 1000000000
#define OMENDB_MAX_NONZERO    16000
#define OMENDB_MAX_LEVEL      15
#define OMENDB_CODE_ALIGN     8    /* bits */
#define OMENDB_CODE_READ      64   /* bits: kernels read a code up to a multiple of this */
#define OMENDB_MAX_CODE       2048 /* bits: OMENDB_PLAN_MAX_GROUPS times four */

/* Spanning records: bytes of a slot, and the slots of an overflow record. */
#define OMENDB_SPAN_SLOT_BYTES     64
#define OMENDB_SPAN_OVERFLOW_SLOTS 8

_Static_assert(OMENDB_SPAN_SLOT_BYTES == sizeof(OmendbRecord), "a free slot has a header");

typedef struct OmendbLayout
{
	uint8_t metric; /* OmendbMetric */
	uint8_t own;    /* OmendbOwn */
	uint16_t m;
	uint16_t edges; /* R */
	uint16_t code_bits;
	uint32_t dimensions;
	uint32_t elements; /* capacity of an own sparse vector; else 0 */
	bool spans;        /* a record may take more than one slot */
	/* derived from the fields above */
	uint32_t own_bytes; /* without padding */
	uint32_t own_offset;
	uint32_t head_bytes; /* header and own vector; of spanning records the neighbours, too */
	uint32_t neighbours_offset;
	uint32_t codes_offset;
	uint32_t slopes_offset;
	uint32_t shifts_offset;
	uint32_t record_bytes; /* a multiple of 8; of spanning records that of the longest one */
	uint32_t slot_bytes;   /* from a slot of a page to the next one */
	uint32_t per_page;     /* slots a page */
} OmendbLayout;

/*
 * Choose own vectors and code bits for pages with page_bytes for records, and set the layout.
 * compact: own vectors of int8, and shorter codes. Vectors that are too long for a page get packed
 * own vectors. False if no layout fits.
 */
extern bool omendb_layout_choose(OmendbLayout *layout, OmendbMetric metric, uint32_t dimensions,
								 uint32_t m, bool compact, uint32_t page_bytes);

/*
 * Set the layout from these parameters: derives offsets and sizes. False if a parameter is out of
 * range; a damaged metapage may have such.
 */
extern bool omendb_layout_set(OmendbLayout *layout, OmendbMetric metric, OmendbOwn own,
							  uint32_t dimensions, uint32_t m, uint32_t code_bits,
							  uint32_t page_bytes);

/*
 * The same for sparse vectors. Choosing takes the largest number of records a page whose own
 * vectors hold `wanted` elements, and then as many elements as fit the record.
 */
extern bool omendb_layout_choose_sparse(OmendbLayout *layout, OmendbMetric metric,
										uint32_t dimensions, uint32_t m, uint32_t wanted,
										uint32_t page_bytes);
extern bool omendb_layout_set_sparse(OmendbLayout *layout, OmendbMetric metric, uint32_t dimensions,
									 uint32_t elements, uint32_t m, uint32_t page_bytes);

/*
 * The same for sparse vectors in spanning records. Choosing takes as many elements as a page, or a
 * vector, may have.
 */
extern bool omendb_layout_choose_spans(OmendbLayout *layout, OmendbMetric metric,
									   uint32_t dimensions, uint32_t m, uint32_t page_bytes);
extern bool omendb_layout_set_spans(OmendbLayout *layout, OmendbMetric metric, uint32_t dimensions,
									uint32_t elements, uint32_t m, uint32_t page_bytes);

static inline bool
omendb_own_is_packed(OmendbOwn own)
{
	return own == OMENDB_OWN_INT4 || own == OMENDB_OWN_INT2;
}

/* True if elements are int8 when unpacked; the kernels then sum products in int32. */
static inline bool
omendb_own_is_short(OmendbOwn own)
{
	return own == OMENDB_OWN_INT8 || omendb_own_is_packed(own);
}

/* True if elements are int16 when unpacked. */
static inline bool
omendb_own_is_wide(OmendbOwn own)
{
	return own == OMENDB_OWN_INT16 || own == OMENDB_OWN_INT12;
}

static inline bool
omendb_layout_is_coded(const OmendbLayout *layout)
{
	return layout->code_bits > 0;
}

static inline size_t
omendb_code_bytes(const OmendbLayout *layout)
{
	return layout->code_bits / 8;
}

/* Groups of dimensions, of which each has four bits of a code (kernel/codebook.h). */
static inline uint32_t
omendb_code_groups(const OmendbLayout *layout)
{
	return layout->code_bits / 4;
}

/* Bits of a code that kernels read. The tables for the bits behind its end are 0. */
static inline uint32_t
omendb_code_read_bits(const OmendbLayout *layout)
{
	return (layout->code_bits + OMENDB_CODE_READ - 1) / OMENDB_CODE_READ * OMENDB_CODE_READ;
}

/* The own vector of a record that is not sparse (omendb_record_own_sparse). */
static inline uint8_t *
omendb_record_own(const OmendbRecord *record)
{
	return (uint8_t *) record + sizeof(OmendbRecord);
}

static inline uint32_t *
omendb_record_own_sparse(const OmendbLayout *layout, const OmendbRecord *record)
{
	return (uint32_t *) ((uint8_t *) record + layout->own_offset);
}

/* Bytes of an own sparse vector: the number of its elements, then index and value of each. */
#define OMENDB_SPARSE_HEADER_BYTES  4
#define OMENDB_SPARSE_ELEMENT_BYTES 6

/* Slots of a spanning record whose own vector has that many elements; at most those of record_bytes. */
static inline uint32_t
omendb_sparse_slots(const OmendbLayout *layout, uint32_t elements)
{
	uint32_t kept = elements < layout->elements ? elements : layout->elements;
	uint32_t bytes =
		layout->own_offset + OMENDB_SPARSE_HEADER_BYTES + OMENDB_SPARSE_ELEMENT_BYTES * kept;

	return (bytes + layout->slot_bytes - 1) / layout->slot_bytes;
}

/* Slots that a record takes. */
static inline uint32_t
omendb_record_slots(const OmendbLayout *layout, const OmendbRecord *record)
{
	if (!layout->spans)
		return 1;
	if (record->kind == OMENDB_RECORD_OVERFLOW)
		return OMENDB_SPAN_OVERFLOW_SLOTS;
	if (record->kind != OMENDB_RECORD_NODE)
		return 1;
	return omendb_sparse_slots(layout, *omendb_record_own_sparse(layout, record));
}

/* True if a record in that slot ends before the page's slots do. Reads nothing behind these. */
static inline bool
omendb_record_ends_on_page(const OmendbLayout *layout, uint32_t slot, const OmendbRecord *record)
{
	uint32_t room = (layout->per_page - slot) * layout->slot_bytes;

	if (!layout->spans)
		return true;
	if (record->kind == OMENDB_RECORD_NODE &&
		layout->own_offset + OMENDB_SPARSE_HEADER_BYTES > room)
		return false;
	return omendb_record_slots(layout, record) * layout->slot_bytes <= room;
}

/* Bytes of a record, to copy it. */
static inline uint32_t
omendb_record_size(const OmendbLayout *layout, const OmendbRecord *record)
{
	return layout->spans ? omendb_record_slots(layout, record) * layout->slot_bytes
						 : layout->record_bytes;
}

/* Bytes of the beginning of a record with header and own vector. */
static inline uint32_t
omendb_head_size(const OmendbLayout *layout, const OmendbRecord *record)
{
	return layout->spans ? omendb_record_size(layout, record) : layout->head_bytes;
}

/* Bytes of the beginning of a record with header, own vector and neighbours. */
static inline uint32_t
omendb_visit_size(const OmendbLayout *layout, const OmendbRecord *record)
{
	return layout->spans ? omendb_record_size(layout, record) : layout->codes_offset;
}

static inline OmendbNode *
omendb_record_neighbours(const OmendbLayout *layout, const OmendbRecord *record)
{
	return (OmendbNode *) ((uint8_t *) record + layout->neighbours_offset);
}

/*
 * Prefetch the record into the level 2 cache. The first level cache can have too few misses
 * outstanding for a whole record.
 */
static inline void
omendb_record_prefetch(const OmendbLayout *layout, const OmendbRecord *record)
{
	for (uint32_t i = 0; i < layout->record_bytes; i += 64)
		__builtin_prefetch((const char *) record + i, 0, 2);
}

/* True if the record has an edge to that node. */
static inline bool
omendb_record_has_edge(const OmendbLayout *layout, const OmendbRecord *record, OmendbNode to)
{
	const OmendbNode *neighbours = omendb_record_neighbours(layout, record);

	for (uint32_t i = 0; i < record->count && i < layout->edges; i++)
		if (neighbours[i] == to)
			return true;
	return false;
}

static inline uint8_t *
omendb_record_slopes(const OmendbLayout *layout, const OmendbRecord *record)
{
	return (uint8_t *) record + layout->slopes_offset;
}

static inline uint8_t *
omendb_record_shifts(const OmendbLayout *layout, const OmendbRecord *record)
{
	return (uint8_t *) record + layout->shifts_offset;
}

/* Bytes of all slopes and shifts, which are adjacent. */
static inline size_t
omendb_factor_bytes(const OmendbLayout *layout)
{
	return layout->shifts_offset + 3 * layout->edges / 2 - layout->slopes_offset;
}

/* Element i of n integers of 12 bits, packed as the first comment of this file says. */
static inline void
omendb_put_int12(uint8_t *packed, size_t n, size_t i, int x)
{
	size_t half = (n + 1) / 2;
	uint8_t *low = packed + n + (i < half ? i : i - half);
	int rest = x & 15;

	((int8_t *) packed)[i] = (int8_t) ((x - rest) / 16);
	*low = (uint8_t) (i < half ? (*low & 0xf0) | rest : (*low & 0x0f) | rest << 4);
}

static inline int
omendb_get_int12(const uint8_t *packed, size_t n, size_t i)
{
	size_t half = (n + 1) / 2;
	int rest = i < half ? packed[n + i] & 15 : packed[n + i - half] >> 4;

	return ((const int8_t *) packed)[i] * 16 + rest;
}

static inline uint8_t *
omendb_record_code(const OmendbLayout *layout, const OmendbRecord *record, uint32_t slot)
{
	return (uint8_t *) record + layout->codes_offset + slot * omendb_code_bytes(layout);
}

#endif /* OMENDB_LAYOUT_H */
