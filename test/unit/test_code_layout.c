/*
 * test_code_layout.c
 *	  Records: where their parts lie, and which sizes are chosen for a page.
 */
#include <string.h>

#include "index_support.h"
#include "tap.h"

static const OmendbMetric metrics[] = {
	OMENDB_METRIC_L2, OMENDB_METRIC_IP,      OMENDB_METRIC_COSINE,
	OMENDB_METRIC_L1, OMENDB_METRIC_HAMMING, OMENDB_METRIC_JACCARD,
};

static uint32_t
own_bytes(OmendbOwn own, uint32_t dimensions)
{
	switch (own)
	{
		case OMENDB_OWN_INT8:
			return dimensions;
		case OMENDB_OWN_BITS:
			return (dimensions + 7) / 8;
		case OMENDB_OWN_INT4:
			return (dimensions + 63) / 64 * 32;
		case OMENDB_OWN_INT2:
			return (dimensions + 63) / 64 * 16;
		default:
			return 2 * dimensions;
	}
}

/* The table of layout.h, added up here once more. */
static bool
is_as_documented(const OmendbLayout *l, OmendbMetric metric, OmendbOwn own, uint32_t dimensions,
				 uint32_t m, uint32_t bits)
{
	uint32_t links = 2 * m;
	uint32_t own_end = 64 + (own_bytes(own, dimensions) + 7) / 8 * 8;
	uint32_t factors = bits > 0 ? links : 0;
	uint32_t end = own_end + 4 * links + 4 * factors + 2 * factors + links * bits / 8;

	return l->metric == metric && l->own == own && l->m == m && l->links == links &&
		   l->dimensions == dimensions && l->code_bits == bits &&
		   l->own_bytes == own_bytes(own, dimensions) && l->neighbours_offset == own_end &&
		   l->factor_a_offset == own_end + 4 * links &&
		   l->factor_b_offset == own_end + 4 * links + 4 * factors &&
		   l->codes_offset == own_end + 4 * links + 6 * factors &&
		   l->record_bytes == (end + 7) / 8 * 8;
}

static void
test_offsets(void)
{
	static const uint32_t dims[] = {1, 2, 3, 4, 5, 7, 8, 9, 63, 64, 65, 384, 1536, 16000};
	bool offsets = true;
	bool pointers = true;
	OmendbLayout l;

	for (size_t i = 0; i < LENGTH(metrics); i++)
		for (size_t d = 0; d < LENGTH(dims); d++)
			for (uint32_t m = OMENDB_MIN_M; m <= OMENDB_MAX_M; m++)
				for
					OWN_KINDS(own)
					{
						uint32_t bits =
							metric_is_plain(metrics[i]) ? 0 : 64 * (1 + (m + dims[d]) % 32);
						OmendbRecord *record = (OmendbRecord *) &l; /* only an address */
						char *at = (char *) record;

						if (!own_serves((OmendbOwn) own, metrics[i]))
							continue;
						if (omendb_own_is_packed((OmendbOwn) own) && dims[d] < 64)
							continue;
						if (!omendb_layout_set(&l, metrics[i], (OmendbOwn) own, dims[d], m, bits,
											   100000) ||
							!is_as_documented(&l, metrics[i], (OmendbOwn) own, dims[d], m, bits) ||
							l.per_page != 100000 / l.record_bytes)
						{
							offsets = false;
							tap_diag("%s, own %d, %u dimensions, m = %u",
									 index_metric_name(metrics[i]), own, dims[d], m);
						}
						pointers =
							pointers && (char *) omendb_record_own(record) == at + 64 &&
							(char *) omendb_record_neighbours(&l, record) ==
								at + l.neighbours_offset &&
							(char *) omendb_record_factor_a(&l, record) == at + l.factor_a_offset &&
							(char *) omendb_record_factor_b(&l, record) == at + l.factor_b_offset &&
							(char *) omendb_record_code(&l, record, 2 * m - 1) ==
								at + l.codes_offset + (2 * m - 1) * bits / 8 &&
							omendb_code_bytes(&l) == bits / 8 &&
							omendb_layout_is_coded(&l) == (bits > 0);
					}
	tap_result(offsets, "offsets and sizes are the table of layout.h");
	tap_result(pointers, "the accessors point there");
}

static void
test_refusals(void)
{
	OmendbLayout l;
	const OmendbMetric l2 = OMENDB_METRIC_L2;
	const OmendbOwn int16 = OMENDB_OWN_INT16;

	tap_result(omendb_layout_set(&l, l2, int16, 10, 2, 64, 8160) &&
				   omendb_layout_set(&l, l2, int16, 10, 100, 64, 8160) &&
				   omendb_layout_set(&l, l2, OMENDB_OWN_INT8, 16000, 2, 2048, 20000) &&
				   omendb_layout_set(&l, OMENDB_METRIC_HAMMING, OMENDB_OWN_BITS, 64000, 2, 0, 8160),
			   "layouts at the ends of the ranges");
	tap_result(!omendb_layout_set(&l, (OmendbMetric) 0, int16, 10, 2, 64, 8160) &&
				   !omendb_layout_set(&l, (OmendbMetric) 7, int16, 10, 2, 64, 8160),
			   "no layout for an unknown metric");
	tap_result(!omendb_layout_set(&l, l2, (OmendbOwn) 0, 10, 2, 64, 8160) &&
				   !omendb_layout_set(&l, l2, (OmendbOwn) 7, 100, 2, 64, 8160) &&
				   !omendb_layout_set(&l, l2, OMENDB_OWN_HALF, 10, 2, 64, 8160) &&
				   !omendb_layout_set(&l, OMENDB_METRIC_L1, int16, 10, 2, 0, 8160) &&
				   !omendb_layout_set(&l, l2, OMENDB_OWN_INT4, 63, 2, 64, 8160) &&
				   !omendb_layout_set(&l, l2, OMENDB_OWN_BITS, 10, 2, 64, 8160) &&
				   !omendb_layout_set(&l, OMENDB_METRIC_HAMMING, int16, 10, 2, 0, 8160),
			   "no layout for an own vector that the metric does not have");
	tap_result(!omendb_layout_set(&l, l2, int16, 10, 1, 64, 8160) &&
				   !omendb_layout_set(&l, l2, int16, 10, 101, 64, 80000),
			   "no layout for m out of range");
	tap_result(!omendb_layout_set(&l, l2, int16, 0, 2, 64, 8160) &&
				   !omendb_layout_set(&l, l2, int16, 16001, 2, 64, 80000) &&
				   !omendb_layout_set(&l, l2, int16, UINT32_MAX, 2, 64, 80000) &&
				   !omendb_layout_set(&l, OMENDB_METRIC_HAMMING, OMENDB_OWN_BITS, UINT32_MAX, 2, 0,
									  8160) &&
				   !omendb_layout_set(&l, OMENDB_METRIC_HAMMING, OMENDB_OWN_BITS, 8160 * 8 + 1, 2,
									  0, 8160),
			   "no layout for dimensions out of range");
	tap_result(!omendb_layout_set(&l, l2, int16, 10, 2, 0, 8160) &&
				   !omendb_layout_set(&l, l2, int16, 10, 2, 32, 8160) &&
				   !omendb_layout_set(&l, l2, int16, 10, 2, 65, 8160) &&
				   !omendb_layout_set(&l, l2, int16, 10, 2, 2048 + 64, 80000) &&
				   !omendb_layout_set(&l, OMENDB_METRIC_L1, OMENDB_OWN_HALF, 10, 2, 64, 8160),
			   "no layout for such codes");
	/* 64 + 24 + 4 * 10 + 4 * 8 = 160 */
	tap_result(omendb_layout_set(&l, l2, int16, 10, 2, 64, 160) && l.per_page == 1 &&
				   omendb_layout_set(&l, l2, int16, 10, 2, 64, 319) && l.per_page == 1 &&
				   omendb_layout_set(&l, l2, int16, 10, 2, 64, 320) && l.per_page == 2 &&
				   !omendb_layout_set(&l, l2, int16, 10, 2, 64, 159),
			   "records a page, and none where not even one fits");
}

static uint32_t
round_64(uint32_t n)
{
	return (n + 63) / 64 * 64;
}

/*
 * A coded choice: fits, its code is no longer than there is use for, and no
 * longer one would fit as many a page.
 */
static bool
is_sane(const OmendbLayout *l, bool compact)
{
	static const OmendbOwn precise[] = {OMENDB_OWN_INT16, OMENDB_OWN_INT8, OMENDB_OWN_INT4,
										OMENDB_OWN_INT2};
	uint32_t least = l->dimensions < 64 ? 128 : 192;
	uint32_t wanted = round_64(l->dimensions) / (compact ? 2 : 1);
	uint32_t most = round_64(l->dimensions < 128 ? 2 * l->dimensions : l->dimensions);
	OmendbLayout other;

	wanted = wanted < least ? least : wanted > 384 ? 384 : wanted;
	most = most < least ? least : most > 1024 ? 1024 : most;
	if (l->record_bytes * l->per_page > TEST_PAGE_BYTES || l->per_page < 1)
		return false;
	if (l->code_bits % 64 != 0 || l->code_bits < 64 || l->code_bits > most)
		return false;
	if (!own_serves(l->own, l->metric) || (compact && l->own == OMENDB_OWN_INT16))
		return false;
	if (l->code_bits < most &&
		omendb_layout_set(&other, l->metric, l->own, l->dimensions, l->m, l->code_bits + 64,
						  TEST_PAGE_BYTES) &&
		other.per_page >= l->per_page)
		return false;
	/* Fewer bits than wanted only where a page holds one record. */
	if (l->code_bits + 63u < wanted && l->per_page > 1)
		return false;
	/* Another record a page would leave fewer bits than wanted. */
	if (omendb_layout_set(&other, l->metric, l->own, l->dimensions, l->m,
						  wanted / 64 * 64 < wanted ? wanted / 64 * 64 + 64 : wanted,
						  TEST_PAGE_BYTES) &&
		other.per_page > l->per_page)
		return false;
	/* The most precise that goes with 128 bits. */
	for (size_t i = compact ? 1 : 0; precise[i] != l->own; i++)
		if (omendb_layout_set(&other, l->metric, precise[i], l->dimensions, l->m, 128,
							  TEST_PAGE_BYTES))
			return false;
	return true;
}

static void
test_choice(void)
{
	bool fits = true;
	bool plain = true;
	OmendbLayout l;

	for (int compact = 0; compact <= 1; compact++)
		for (uint32_t m = OMENDB_MIN_M; m <= OMENDB_MAX_M; m++)
		{
			/* Every one up to 600, then steps that meet all remainders. */
			for (uint32_t d = 1; d <= OMENDB_MAX_DIM; d += d < 600 ? 1 : 7)
			{
				bool good = omendb_layout_choose(&l, OMENDB_METRIC_COSINE, d, m, compact != 0,
												 TEST_PAGE_BYTES);

				if (!good ||
					(!is_sane(&l, compact != 0) ||
					 !is_as_documented(&l, OMENDB_METRIC_COSINE, l.own, d, m, l.code_bits)))
				{
					fits = false;
					tap_diag("%u dimensions, m = %u, compact %d: own %d, %u bits, %u a page", d, m,
							 compact, l.own, l.code_bits, l.per_page);
				}

				good =
					omendb_layout_choose(&l, OMENDB_METRIC_L1, d, m, compact != 0, TEST_PAGE_BYTES);
				plain = plain && good && l.code_bits == 0 &&
						l.record_bytes * l.per_page <= TEST_PAGE_BYTES &&
						own_serves(l.own, OMENDB_METRIC_L1) &&
						!(l.own == OMENDB_OWN_HALF && compact);
			}
			for (uint32_t d = 1; d <= 64000; d += 801)
				plain = plain &&
						omendb_layout_choose(&l, OMENDB_METRIC_JACCARD, d, 2, compact != 0,
											 TEST_PAGE_BYTES) == (64 + (d + 7) / 8 + 16 <= 8160) &&
						(l.per_page == 0 || l.own == OMENDB_OWN_BITS);
		}
	tap_result(
		fits,
		"coded layouts of up to 16000 dimensions and m = 100 fit a page and waste none of it");
	tap_result(plain, "so do plain ones");
}

static void
test_table(void)
{
	static const struct
	{
		uint32_t dimensions;
		uint32_t m;
		bool compact;
		OmendbOwn own;
		uint32_t bits;
		uint32_t per_page;
	} expected[] = {
		{3, 16, false, OMENDB_OWN_INT16, 128, 9},    {100, 16, false, OMENDB_OWN_INT16, 192, 6},
		{128, 16, false, OMENDB_OWN_INT16, 192, 5},  {384, 16, false, OMENDB_OWN_INT16, 384, 3},
		{768, 16, false, OMENDB_OWN_INT16, 512, 2},  {784, 16, false, OMENDB_OWN_INT16, 512, 2},
		{1024, 16, false, OMENDB_OWN_INT16, 384, 2}, {1536, 16, false, OMENDB_OWN_INT16, 1024, 1},
		{2000, 16, false, OMENDB_OWN_INT16, 896, 1}, {3072, 16, false, OMENDB_OWN_INT16, 384, 1},
		{4096, 16, false, OMENDB_OWN_INT8, 896, 1},  {7000, 16, false, OMENDB_OWN_INT8, 192, 1},
		{7520, 16, false, OMENDB_OWN_INT4, 960, 1},  {12288, 16, false, OMENDB_OWN_INT4, 384, 1},
		{16000, 16, false, OMENDB_OWN_INT2, 896, 1}, {16000, 100, true, OMENDB_OWN_INT2, 64, 1},
		{128, 16, true, OMENDB_OWN_INT8, 192, 6},    {384, 16, true, OMENDB_OWN_INT8, 192, 5},
		{768, 16, true, OMENDB_OWN_INT8, 384, 3},    {784, 16, true, OMENDB_OWN_INT8, 384, 3},
		{1536, 16, true, OMENDB_OWN_INT8, 512, 2},   {3072, 16, true, OMENDB_OWN_INT8, 1024, 1},
		{1536, 100, false, OMENDB_OWN_INT8, 128, 1}, {1024, 100, false, OMENDB_OWN_INT16, 128, 1},
	};

	for (size_t i = 0; i < LENGTH(expected); i++)
	{
		OmendbLayout l;
		bool good = omendb_layout_choose(&l, OMENDB_METRIC_L2, expected[i].dimensions,
										 expected[i].m, expected[i].compact, TEST_PAGE_BYTES);

		tap_result(good && l.own == expected[i].own && l.code_bits == expected[i].bits &&
					   l.per_page == expected[i].per_page,
				   "%u dimensions, m = %u%s: %s, %u bits, %u a page", expected[i].dimensions,
				   expected[i].m, expected[i].compact ? ", compact" : "", own_name(expected[i].own),
				   expected[i].bits, expected[i].per_page);
	}
}

int
main(void)
{
	test_offsets();
	test_refusals();
	test_choice();
	test_table();
	return tap_done();
}
