/*
 * hnswrowfile.c
 *	  Temporary files of a build in parts (BufFile).
 */
#include "build/hnswrowfile.h"

#include "compat.h"
#include "miscadmin.h"

void
hnsw_row_file_write(HnswRowFile *file, uint32 number, const void *data, Size bytes)
{
	CHECK_FOR_INTERRUPTS();
	if (!file->file)
		file->file = BufFileCreateTemp(false);
	BufFileWrite(file->file, &number, sizeof(number));
	BufFileWrite(file->file, unconstify(void *, data), bytes);
	file->n++;
}

void
hnsw_row_file_seek(HnswRowFile *file, uint32 i, Size bytes)
{
	Size entry = sizeof(uint32) + bytes;

	if (file->file && BufFileSeek(file->file, 0, (off_t) (i * entry), SEEK_SET) != 0)
		ereport(ERROR,
				(errcode_for_file_access(), errmsg("could not seek in a temporary file: %m")));
}

void
hnsw_row_file_read(HnswRowFile *file, uint32 *number, void *data, Size bytes)
{
	CHECK_FOR_INTERRUPTS();
	omendb_buffile_read(file->file, number, sizeof(*number));
	omendb_buffile_read(file->file, data, bytes);
}

void
hnsw_row_file_close(HnswRowFile *file)
{
	if (file->file)
		BufFileClose(file->file);
	file->file = NULL;
	file->n = 0;
}
