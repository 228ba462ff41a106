/*
 * format.c
 *	  Initialisation of pages, and the checksums of the metapage.
 */
#include "page/format.h"

#include "port/pg_crc32c.h"

const OmendbRecord omendb_inner_record = {
	.kind = OMENDB_RECORD_INNER,
	.down = OMENDB_NO_NODE,
	.overflow = OMENDB_NO_NODE,
};

void
omendb_page_init(Page page, OmendbPageKind kind)
{
	OmendbPageSpecial *special;

	PageInit(page, BLCKSZ, sizeof(OmendbPageSpecial));
	special = omendb_page_special(page);
	special->kind = kind;
	special->page_id = OMENDB_PAGE_ID;
	((PageHeader) page)->pd_lower = ((PageHeader) page)->pd_upper;
}

uint32
omendb_page_find_free(const OmendbLayout *layout, Page page, uint32 slots, uint32 *longest)
{
	uint32 run = 0;

	*longest = 0;
	for (uint32 slot = 0; slot < layout->per_page && *longest < slots; slot++)
	{
		run = omendb_page_record(layout, page, slot)->kind == OMENDB_RECORD_FREE ? run + 1 : 0;
		*longest = Max(*longest, run);
		if (run == slots)
			return slot + 1 - run;
	}
	return layout->per_page;
}

Size
omendb_page_free_space(const OmendbLayout *layout, Page page)
{
	uint32 longest;

	if (!layout->spans)
		return BLCKSZ - 1;
	(void) omendb_page_find_free(layout, page, layout->per_page, &longest);
	return (Size) longest * layout->slot_bytes;
}

uint32
omendb_meta_checksum(const OmendbMetaPage *meta)
{
	OmendbMetaPage fixed = *meta;
	pg_crc32c crc;

	fixed.entry = 0;
	fixed.entry_level = 0;
	fixed.flags = 0;
	fixed.checksum = 0;
	INIT_CRC32C(crc);
	COMP_CRC32C(crc, &fixed, sizeof(fixed));
	FIN_CRC32C(crc);
	return crc;
}

uint32
omendb_calibration_checksum(const OmendbCalibration *calibration)
{
	pg_crc32c crc;

	INIT_CRC32C(crc);
	COMP_CRC32C(crc, &calibration->queries,
				sizeof(*calibration) - offsetof(OmendbCalibration, queries));
	FIN_CRC32C(crc);
	return crc;
}

bool
omendb_calibration_is_possible(const OmendbCalibration *calibration)
{
	return calibration->curve.n == 0 ||
		   (calibration->checksum == omendb_calibration_checksum(calibration) &&
			omendb_curve_is_possible(&calibration->curve));
}
