/*
 * layout.c
 *	  Sizes of a record, and the choice of its parameters.
 */
#include "code/layout.h"

#include <string.h>

static uint32_t
round_up(uint32_t n, uint32_t to)
{
	return (n + to - 1) / to * to;
}

static bool
is_plain(OmendbMetric metric)
{
	return metric == OMENDB_METRIC_L1 || metric == OMENDB_METRIC_HAMMING ||
		   metric == OMENDB_METRIC_JACCARD;
}

/* Bytes of an own vector, without padding to 8; 0 for an unknown kind. */
static uint32_t
own_bytes(OmendbOwn own, uint32_t dimensions)
{
	switch (own)
	{
		case OMENDB_OWN_HALF:
		case OMENDB_OWN_INT16:
			return 2 * dimensions;
		case OMENDB_OWN_INT12:
			return dimensions + (dimensions + 1) / 2;
		case OMENDB_OWN_INT8:
			return dimensions;
		case OMENDB_OWN_BITS:
			return (dimensions + 7) / 8;
		case OMENDB_OWN_INT4:
			return round_up(dimensions, OMENDB_PACKED_BLOCK) / 2;
		case OMENDB_OWN_INT2:
			return round_up(dimensions, OMENDB_PACKED_BLOCK) / 4;
		case OMENDB_OWN_SPARSE:
			break; /* depends on the elements, not on the dimensions */
	}
	return 0;
}

/* True if records of that metric can have that kind of own vectors. */
static bool
is_own_of_metric(OmendbOwn own, OmendbMetric metric)
{
	switch (own)
	{
		case OMENDB_OWN_HALF:
			return metric == OMENDB_METRIC_L1;
		case OMENDB_OWN_BITS:
			return metric == OMENDB_METRIC_HAMMING || metric == OMENDB_METRIC_JACCARD;
		case OMENDB_OWN_INT16:
		case OMENDB_OWN_INT12:
			return !is_plain(metric);
		default:
			return metric == OMENDB_METRIC_L1 || !is_plain(metric);
	}
}

/* Set the derived fields. False if a page holds no record. */
static bool
set_offsets(OmendbLayout *layout, uint32_t page_bytes)
{
	uint32_t at = sizeof(OmendbRecord);
	bool coded = layout->code_bits > 0;

	layout->edges = 2 * layout->m;
	layout->own_offset = at;
	at += round_up(layout->own_bytes, 8);
	layout->neighbours_offset = at;
	layout->head_bytes = at;
	at += 4 * layout->edges;
	layout->codes_offset = at;
	at += layout->edges * (layout->code_bits / 8);
	layout->slopes_offset = at;
	if (coded)
		at += layout->edges;
	layout->shifts_offset = at;
	if (coded)
		at += 3 * layout->edges / 2;
	layout->record_bytes = round_up(at, 8);
	layout->slot_bytes = layout->record_bytes;
	layout->per_page = page_bytes / layout->record_bytes;
	return layout->per_page > 0;
}

bool
omendb_layout_set(OmendbLayout *layout, OmendbMetric metric, OmendbOwn own, uint32_t dimensions,
				  uint32_t m, uint32_t code_bits, uint32_t page_bytes)
{
	bool bits = metric == OMENDB_METRIC_HAMMING || metric == OMENDB_METRIC_JACCARD;

	memset(layout, 0, sizeof(*layout));
	if (metric < OMENDB_METRIC_L2 || metric > OMENDB_METRIC_JACCARD)
		return false;
	if (own_bytes(own, 64) == 0 || !is_own_of_metric(own, metric))
		return false;
	if (m < OMENDB_MIN_M || m > OMENDB_MAX_M || dimensions < 1)
		return false;
	if (dimensions > (bits ? page_bytes * 8 : OMENDB_MAX_DIM))
		return false;
	/* A packed vector is unpacked, in whole blocks, into scratch memory of 4 * dimensions bytes. */
	if (omendb_own_is_packed(own) && dimensions < OMENDB_PACKED_BLOCK)
		return false;
	if (code_bits % OMENDB_CODE_ALIGN != 0 || code_bits > OMENDB_MAX_CODE ||
		(code_bits == 0) != is_plain(metric))
		return false;

	layout->metric = metric;
	layout->own = own;
	layout->m = m;
	layout->code_bits = code_bits;
	layout->dimensions = dimensions;
	layout->own_bytes = own_bytes(own, dimensions);
	return set_offsets(layout, page_bytes);
}

/* Set the fields of a layout of sparse vectors that are not derived, and own_bytes. */
static bool
set_sparse(OmendbLayout *layout, OmendbMetric metric, uint32_t dimensions, uint32_t elements,
		   uint32_t m)
{
	memset(layout, 0, sizeof(*layout));
	if (metric < OMENDB_METRIC_L2 || metric > OMENDB_METRIC_L1)
		return false;
	if (m < OMENDB_MIN_M || m > OMENDB_MAX_M)
		return false;
	if (dimensions < 1 || dimensions > OMENDB_MAX_SPARSE_DIM)
		return false;
	if (elements < 1 || elements > OMENDB_MAX_NONZERO)
		return false;
	layout->metric = metric;
	layout->own = OMENDB_OWN_SPARSE;
	layout->m = m;
	layout->dimensions = dimensions;
	layout->elements = elements;
	layout->own_bytes = OMENDB_SPARSE_HEADER_BYTES + OMENDB_SPARSE_ELEMENT_BYTES * elements;
	return true;
}

bool
omendb_layout_set_sparse(OmendbLayout *layout, OmendbMetric metric, uint32_t dimensions,
						 uint32_t elements, uint32_t m, uint32_t page_bytes)
{
	return set_sparse(layout, metric, dimensions, elements, m) && set_offsets(layout, page_bytes);
}

bool
omendb_layout_set_spans(OmendbLayout *layout, OmendbMetric metric, uint32_t dimensions,
						uint32_t elements, uint32_t m, uint32_t page_bytes)
{
	uint32_t end;

	if (!set_sparse(layout, metric, dimensions, elements, m))
		return false;
	layout->spans = true;
	layout->edges = 2 * m;
	layout->neighbours_offset = sizeof(OmendbRecord);
	layout->own_offset = sizeof(OmendbRecord) + 4 * layout->edges;
	end = round_up(layout->own_offset + layout->own_bytes, OMENDB_SPAN_SLOT_BYTES);
	/* In memory a record has room for an overflow record, too. */
	if (end < OMENDB_SPAN_OVERFLOW_SLOTS * OMENDB_SPAN_SLOT_BYTES)
		end = OMENDB_SPAN_OVERFLOW_SLOTS * OMENDB_SPAN_SLOT_BYTES;
	layout->head_bytes = layout->codes_offset = end;
	layout->slopes_offset = layout->shifts_offset = end;
	layout->record_bytes = end;
	layout->slot_bytes = OMENDB_SPAN_SLOT_BYTES;
	layout->per_page = page_bytes / layout->slot_bytes;
	return end <= layout->per_page * layout->slot_bytes;
}

bool
omendb_layout_choose_spans(OmendbLayout *layout, OmendbMetric metric, uint32_t dimensions,
						   uint32_t m, uint32_t page_bytes)
{
	uint32_t room = page_bytes / OMENDB_SPAN_SLOT_BYTES * OMENDB_SPAN_SLOT_BYTES;
	uint32_t fixed = sizeof(OmendbRecord) + 4 * 2 * m + OMENDB_SPARSE_HEADER_BYTES;
	uint32_t elements = room > fixed ? (room - fixed) / OMENDB_SPARSE_ELEMENT_BYTES : 0;

	if (elements > dimensions)
		elements = dimensions;
	if (elements > OMENDB_MAX_NONZERO)
		elements = OMENDB_MAX_NONZERO;
	return omendb_layout_set_spans(layout, metric, dimensions, elements, m, page_bytes);
}

bool
omendb_layout_choose_sparse(OmendbLayout *layout, OmendbMetric metric, uint32_t dimensions,
							uint32_t m, uint32_t wanted, uint32_t page_bytes)
{
	uint32_t fixed = sizeof(OmendbRecord) + 4 * 2 * m + OMENDB_SPARSE_HEADER_BYTES;

	for (uint32_t k = page_bytes / sizeof(OmendbRecord); k > 0; k--)
	{
		uint32_t share = page_bytes / k / 8 * 8;
		uint32_t capacity = share > fixed ? (share - fixed) / OMENDB_SPARSE_ELEMENT_BYTES : 0;

		/* With one record a page, the elements that do not fit are left out (ownsparse.h). */
		if (capacity == 0 || (capacity < wanted && k > 1))
			continue;
		if (capacity > OMENDB_MAX_NONZERO)
			capacity = OMENDB_MAX_NONZERO;
		return omendb_layout_set_sparse(layout, metric, dimensions, capacity, m, page_bytes);
	}
	return false;
}

/*
 * Bits of the longest code with which k records fit a page, at most `most`; 0 if not even the
 * shortest fits.
 */
static uint32_t
longest_code(OmendbOwn own, uint32_t dimensions, uint32_t m, uint32_t k, uint32_t most,
			 uint32_t page_bytes)
{
	uint32_t share = page_bytes / k / 8 * 8;
	/* An edge's node, slope and shift have 6.5 bytes. */
	uint32_t fixed = sizeof(OmendbRecord) + round_up(own_bytes(own, dimensions), 8) + 13 * m;
	uint32_t bits = fixed < share ? (share - fixed) / (2 * m) * 8 : 0;

	return bits < most ? bits : most;
}

/* Kinds of own vectors of coded layouts, the most precise first. */
static const OmendbOwn kinds[] = {OMENDB_OWN_INT16, OMENDB_OWN_INT12, OMENDB_OWN_INT8,
								  OMENDB_OWN_INT4, OMENDB_OWN_INT2};

#define PRECISE_KINDS 2 /* the first kinds, which a compact index does not use */
#define NKINDS        (sizeof(kinds) / sizeof(kinds[0]))

/* With this many bits of code or fewer, coarser own vectors are tried before shorter codes. */
#define LEAST_BITS 128

/* Below this, codes have two bits a dimension. */
#define FEW_DIMENSIONS 64

/*
 * Wanted bits of a code: fewer make records smaller, more save visits. Measured (bench/README.md,
 * "Smaller records"): two thirds of a bit a dimension, from 128 up to 344; two bits with few
 * dimensions. What is left of a page is filled with longer codes, up to most_bits.
 */
static uint32_t
wanted_bits(uint32_t dimensions, bool compact)
{
	bool few = dimensions < FEW_DIMENSIONS;
	uint32_t bits = few ? 2 * dimensions : 2 * dimensions / 3;
	uint32_t least = few ? 64 : compact ? 96 : 128;

	bits = bits > 344 ? 344 : bits;
	if (compact)
		bits /= 2;
	return round_up(bits < least ? least : bits, OMENDB_CODE_ALIGN);
}

static uint32_t
most_bits(uint32_t dimensions)
{
	uint32_t bits = round_up(4 * dimensions, OMENDB_CODE_ALIGN);

	return bits < 128 ? 128 : bits > 1024 ? 1024 : bits;
}

/*
 * Choose the kind of own vectors, from `from` to before `to`, with the most records a page whose
 * codes have `wanted` bits or more; of equal kinds the first. Then give each code the bits that are
 * left. False if a page holds no such record.
 */
static bool
choose_kind(OmendbLayout *layout, const OmendbLayout *wish, const OmendbOwn *from,
			const OmendbOwn *to, uint32_t wanted, uint32_t most, uint32_t page_bytes)
{
	const OmendbOwn *best = NULL;
	uint32_t per_page = 0;

	for (const OmendbOwn *own = from; own < to; own++)
	{
		/* INT16 instead of INT12 is worth less than an eighth of a code; not with few dimensions. */
		bool costly = *own == OMENDB_OWN_INT16 && wish->dimensions >= FEW_DIMENSIONS;
		uint32_t least = round_up(costly ? wanted + wanted / 8 : wanted, OMENDB_CODE_ALIGN);

		if (omendb_layout_set(layout, wish->metric, *own, wish->dimensions, wish->m, least,
							  page_bytes) &&
			layout->per_page > per_page)
		{
			best = own;
			per_page = layout->per_page;
		}
	}
	return best && omendb_layout_set(
					   layout, wish->metric, *best, wish->dimensions, wish->m,
					   longest_code(*best, wish->dimensions, wish->m, per_page, most, page_bytes),
					   page_bytes);
}

bool
omendb_layout_choose(OmendbLayout *layout, OmendbMetric metric, uint32_t dimensions, uint32_t m,
					 bool compact, uint32_t page_bytes)
{
	const OmendbLayout wish = {.metric = metric, .dimensions = dimensions, .m = m};
	const OmendbOwn *precise = compact ? kinds + PRECISE_KINDS : kinds;
	const OmendbOwn *coarse = compact ? precise + 1 : kinds + PRECISE_KINDS;
	uint32_t wanted;
	uint32_t most;

	if (metric == OMENDB_METRIC_HAMMING || metric == OMENDB_METRIC_JACCARD)
		return omendb_layout_set(layout, metric, OMENDB_OWN_BITS, dimensions, m, 0, page_bytes);
	if (metric == OMENDB_METRIC_L1)
	{
		if (!compact &&
			omendb_layout_set(layout, metric, OMENDB_OWN_HALF, dimensions, m, 0, page_bytes))
			return true;
		for (size_t i = PRECISE_KINDS; i < NKINDS; i++)
			if (omendb_layout_set(layout, metric, kinds[i], dimensions, m, 0, page_bytes))
				return true;
		return false;
	}
	if (dimensions < 1 || dimensions > OMENDB_MAX_DIM || m < OMENDB_MIN_M || m > OMENDB_MAX_M)
		return false;

	wanted = wanted_bits(dimensions, compact);
	most = most_bits(dimensions);

	/* Shorten the code before own vectors become coarser, down to LEAST_BITS. */
	for (; wanted >= OMENDB_CODE_ALIGN; wanted -= OMENDB_CODE_ALIGN)
	{
		if (choose_kind(layout, &wish, precise, coarse, wanted, most, page_bytes))
			return true;
		for (const OmendbOwn *own = coarse; own < kinds + NKINDS && wanted <= LEAST_BITS; own++)
			if (choose_kind(layout, &wish, own, own + 1, wanted, most, page_bytes))
				return true;
	}
	return false;
}
