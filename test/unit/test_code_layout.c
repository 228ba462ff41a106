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
		case OMENDB_OWN_INT12:
			return dimensions + (dimensions + 1) / 2;
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
	uint32_t edges = 2 * m;
	uint32_t own_end = 64 + (own_bytes(own, dimensions) + 7) / 8 * 8;
	uint32_t factors = bits > 0 ? edges : 0;
	uint32_t codes_end = own_end + 4 * edges + edges * bits / 8;
	uint32_t end = codes_end + factors + 3 * factors / 2;

	return l->metric == metric && l->own == own && l->m == m && l->edges == edges &&
		   l->dimensions == dimensions && l->code_bits == bits &&
		   l->own_bytes == own_bytes(own, dimensions) && l->neighbours_offset == own_end &&
		   l->codes_offset == own_end + 4 * edges && l->slopes_offset == codes_end &&
		   l->shifts_offset == codes_end + factors && l->record_bytes == (end + 7) / 8 * 8;
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
							metric_is_plain(metrics[i]) ? 0 : 8 * (1 + (m * 5 + dims[d]) % 256);
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
							(char *) omendb_record_slopes(&l, record) == at + l.slopes_offset &&
							(char *) omendb_record_shifts(&l, record) == at + l.shifts_offset &&
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
				   !omendb_layout_set(&l, l2, (OmendbOwn) 9, 100, 2, 64, 8160) &&
				   !omendb_layout_set(&l, OMENDB_METRIC_L1, OMENDB_OWN_INT12, 100, 2, 0, 8160) &&
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
				   !omendb_layout_set(&l, l2, int16, 10, 2, 4, 8160) &&
				   !omendb_layout_set(&l, l2, int16, 10, 2, 65, 8160) &&
				   !omendb_layout_set(&l, l2, int16, 10, 2, 2048 + 8, 80000) &&
				   !omendb_layout_set(&l, OMENDB_METRIC_L1, OMENDB_OWN_HALF, 10, 2, 64, 8160),
			   "no layout for such codes");
	/* 64 + 24 + 4 * 4 + 4 * 8 + 4 + 6 = 146, to 152 */
	tap_result(omendb_layout_set(&l, l2, int16, 10, 2, 64, 152) && l.per_page == 1 &&
				   omendb_layout_set(&l, l2, int16, 10, 2, 64, 303) && l.per_page == 1 &&
				   omendb_layout_set(&l, l2, int16, 10, 2, 64, 304) && l.per_page == 2 &&
				   !omendb_layout_set(&l, l2, int16, 10, 2, 64, 151) &&
				   omendb_layout_set(&l, l2, int16, 10, 2, 56, 152) && l.record_bytes == 144 &&
				   omendb_layout_set(&l, l2, int16, 10, 2, 48, 152) && l.record_bytes == 144 &&
				   omendb_layout_set(&l, l2, int16, 10, 2, 40, 152) && l.record_bytes == 136,
			   "records a page, and none where not even one fits");
}

static bool
fits_as_many(const OmendbLayout *l, OmendbOwn own, uint32_t bits, uint32_t per_page)
{
	OmendbLayout other;

	return omendb_layout_set(&other, l->metric, own, l->dimensions, l->m, bits, TEST_PAGE_BYTES) &&
		   other.per_page >= per_page;
}

/*
 * A coded choice: fits, its code is no longer than there is use for, and no
 * longer one would fit as many a page.
 */
static bool
is_sane(const OmendbLayout *l, bool compact)
{
	static const OmendbOwn precise[] = {OMENDB_OWN_INT16, OMENDB_OWN_INT12, OMENDB_OWN_INT8,
										OMENDB_OWN_INT4, OMENDB_OWN_INT2};
	bool few = l->dimensions < 64;
	uint32_t least = few ? 64 : compact ? 96 : 128;
	uint32_t wanted = few ? 2 * l->dimensions : 2 * l->dimensions / 3;
	uint32_t most = (l->dimensions + 1) / 2 * 8;
	bool is_precise = l->own == OMENDB_OWN_INT16 || l->own == OMENDB_OWN_INT12;

	wanted = (wanted > 344 ? 344 : wanted) / (compact ? 2 : 1);
	wanted = wanted < least ? least : (wanted + 7) / 8 * 8;
	most = most < 128 ? 128 : most > 1024 ? 1024 : most;
	if (l->record_bytes * l->per_page > TEST_PAGE_BYTES || l->per_page < 1)
		return false;
	if (l->code_bits % 8 != 0 || l->code_bits < 8 || l->code_bits > most)
		return false;
	if (!own_serves(l->own, l->metric) || (compact && is_precise))
		return false;
	if (l->code_bits < most && fits_as_many(l, l->own, l->code_bits + 8, l->per_page))
		return false;
	/* Fewer bits than wanted only where a page holds one record. */
	if (l->code_bits < wanted && l->per_page > 1)
		return false;
	/* Another record a page would leave fewer bits than wanted. */
	if (fits_as_many(l, l->own, wanted, l->per_page + 1))
		return false;
	if (is_precise &&
		(fits_as_many(l, OMENDB_OWN_INT12, wanted, l->per_page + 1) ||
		 (l->own == OMENDB_OWN_INT12 && l->code_bits >= wanted &&
		  fits_as_many(l, OMENDB_OWN_INT16, few ? wanted : wanted + wanted / 8 + 7, l->per_page))))
		return false;
	/* The most precise that goes with 128 bits. */
	for (size_t i = compact ? 2 : 0; precise[i] != l->own; i++)
		if (!(is_precise && i < 2) && fits_as_many(l, precise[i], 128, 1))
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
		{3, 16, false, OMENDB_OWN_INT16, 64, 15},    {48, 16, false, OMENDB_OWN_INT12, 96, 11},
		{64, 16, false, OMENDB_OWN_INT12, 128, 9},   {100, 16, false, OMENDB_OWN_INT12, 144, 8},
		{128, 16, false, OMENDB_OWN_INT12, 136, 8},  {384, 16, false, OMENDB_OWN_INT12, 296, 4},
		{768, 16, false, OMENDB_OWN_INT16, 568, 2},  {784, 16, false, OMENDB_OWN_INT16, 560, 2},
		{1024, 16, false, OMENDB_OWN_INT16, 440, 2}, {1536, 16, false, OMENDB_OWN_INT12, 376, 2},
		{2000, 16, false, OMENDB_OWN_INT16, 968, 1}, {3072, 16, false, OMENDB_OWN_INT16, 432, 1},
		{4096, 16, false, OMENDB_OWN_INT12, 432, 1}, {8192, 16, false, OMENDB_OWN_INT4, 944, 1},
		{16000, 16, false, OMENDB_OWN_INT2, 968, 1}, {100, 16, true, OMENDB_OWN_INT8, 104, 10},
		{128, 16, true, OMENDB_OWN_INT8, 104, 10},   {384, 16, true, OMENDB_OWN_INT8, 176, 6},
		{768, 16, true, OMENDB_OWN_INT8, 248, 4},    {1536, 16, true, OMENDB_OWN_INT8, 224, 3},
		{3072, 16, true, OMENDB_OWN_INT8, 184, 2},
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
