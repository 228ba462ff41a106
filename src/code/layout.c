/*
 * layout.c
 *	  Sizes of a record: from parameters, and the choice of the parameters.
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

bool
omendb_layout_set(OmendbLayout *layout, OmendbMetric metric, OmendbOwn own, uint32_t dimensions,
				  uint32_t m, uint32_t code_bits, uint32_t page_bytes)
{
	uint32_t at = sizeof(OmendbRecord);
	bool bits = metric == OMENDB_METRIC_HAMMING || metric == OMENDB_METRIC_JACCARD;

	memset(layout, 0, sizeof(*layout));
	if (metric < OMENDB_METRIC_L2 || metric > OMENDB_METRIC_JACCARD)
		return false;
	if (own < OMENDB_OWN_HALF || own > OMENDB_OWN_BITS || bits != (own == OMENDB_OWN_BITS))
		return false;
	if (m < OMENDB_MIN_M || m > OMENDB_MAX_M || dimensions < 1)
		return false;
	if (dimensions > (bits ? page_bytes * 8 : OMENDB_MAX_DIM))
		return false;
	if (code_bits % OMENDB_CODE_ALIGN != 0 || code_bits > OMENDB_MAX_CODE ||
		(code_bits == 0) != is_plain(metric))
		return false;

	layout->metric = metric;
	layout->own = own;
	layout->m = m;
	layout->links = 2 * m;
	layout->code_bits = code_bits;
	layout->dimensions = dimensions;
	switch (own)
	{
		case OMENDB_OWN_HALF:
			layout->own_bytes = 2 * dimensions;
			break;
		case OMENDB_OWN_INT8:
			layout->own_bytes = dimensions;
			break;
		case OMENDB_OWN_BITS:
			layout->own_bytes = (dimensions + 7) / 8;
			break;
	}

	at += round_up(layout->own_bytes, 8);
	layout->neighbours_offset = at;
	at += 4 * layout->links;
	layout->factor_a_offset = at;
	if (code_bits > 0)
		at += 4 * layout->links;
	layout->factor_b_offset = at;
	if (code_bits > 0)
		at += 2 * layout->links;
	layout->codes_offset = at;
	at += layout->links * (code_bits / 8);
	layout->record_bytes = round_up(at, 8);
	layout->per_page = page_bytes / layout->record_bytes;
	return layout->per_page > 0;
}

/*
 * The longest code with which k records of that kind fill a page, at most
 * `most`; 0 where not even the shortest fits.
 */
static uint32_t
longest_code(OmendbOwn own, uint32_t dimensions, uint32_t m, uint32_t k, uint32_t most,
			 uint32_t page_bytes)
{
	uint32_t share = page_bytes / k / 8 * 8;
	uint32_t own_bytes = round_up(own == OMENDB_OWN_HALF ? 2 * dimensions : dimensions, 8);
	uint32_t fixed = sizeof(OmendbRecord) + own_bytes + 2 * m * 10;
	uint32_t bits;

	if (fixed >= share)
		return 0;
	bits = (share - fixed) / (2 * m) * 8 / OMENDB_CODE_ALIGN * OMENDB_CODE_ALIGN;
	return bits < most ? bits : most;
}

/*
 * Most records a page whose codes still have the wanted bits: a longer code
 * saves visits, a smaller record saves memory. The wanted bits are measured
 * (bench/README.md): about half the dimensions, from 128 up to 512.
 */
bool
omendb_layout_choose(OmendbLayout *layout, OmendbMetric metric, uint32_t dimensions, uint32_t m,
					 bool compact, uint32_t page_bytes)
{
	uint32_t wanted;
	uint32_t least;
	uint32_t most;

	if (metric == OMENDB_METRIC_HAMMING || metric == OMENDB_METRIC_JACCARD)
		return omendb_layout_set(layout, metric, OMENDB_OWN_BITS, dimensions, m, 0, page_bytes);
	if (metric == OMENDB_METRIC_L1)
	{
		OmendbOwn own = compact ? OMENDB_OWN_INT8 : OMENDB_OWN_HALF;

		return omendb_layout_set(layout, metric, own, dimensions, m, 0, page_bytes) ||
			   omendb_layout_set(layout, metric, OMENDB_OWN_INT8, dimensions, m, 0, page_bytes);
	}
	if (dimensions < 1 || dimensions > OMENDB_MAX_DIM || m < OMENDB_MIN_M || m > OMENDB_MAX_M)
		return false;

	wanted = round_up(dimensions, OMENDB_CODE_ALIGN);
	if (compact)
		wanted = wanted / 2;
	least = dimensions < 64 ? 128 : 192;
	wanted = wanted < least ? least : wanted > 384 ? 384 : wanted;
	most = round_up(dimensions < 128 ? 2 * dimensions : dimensions, OMENDB_CODE_ALIGN);
	most = most < least ? least : most > 1024 ? 1024 : most;

	/* Take the best that fits; give up bits before precision of own vectors. */
	for (; wanted >= OMENDB_CODE_ALIGN; wanted -= OMENDB_CODE_ALIGN)
	{
		for (int own = compact ? OMENDB_OWN_INT8 : OMENDB_OWN_HALF; own <= OMENDB_OWN_INT8; own++)
		{
			for (uint32_t k = page_bytes / sizeof(OmendbRecord); k > 0; k--)
			{
				uint32_t bits = longest_code(own, dimensions, m, k, most, page_bytes);

				if (bits >= wanted)
					return omendb_layout_set(layout, metric, own, dimensions, m, bits, page_bytes);
			}
			/* int8 only where halves do not fit at all with half of what is wanted */
			if (wanted > 128)
				break;
		}
	}
	return false;
}
