/*
 * format.c
 *	  Initialisation of pages, and the checksums of the metapage.
 */
#include "page/format.h"

#include "port/pg_crc32c.h"

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
