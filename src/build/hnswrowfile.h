/*
 * hnswrowfile.h
 *	  Temporary files of a build in parts: entries of one size, each with a number.
 */
#ifndef OMENDB_HNSWROWFILE_H
#define OMENDB_HNSWROWFILE_H

#include "postgres.h"

#include "storage/buffile.h"

/* All zero: no entries. The file is created with its first entry, and ends with the transaction. */
typedef struct HnswRowFile
{
	BufFile *file;
	uint32 n; /* entries */
} HnswRowFile;

/* Append an entry with a number and that many bytes of data. */
extern void hnsw_row_file_write(HnswRowFile *file, uint32 number, const void *data, Size bytes);

/* Go to entry i, or to the start of an empty file. bytes: the data of each entry. */
extern void hnsw_row_file_seek(HnswRowFile *file, uint32 i, Size bytes);

/* Read the next entry. */
extern void hnsw_row_file_read(HnswRowFile *file, uint32 *number, void *data, Size bytes);

/* Delete the file. It may be used again, and is empty then. */
extern void hnsw_row_file_close(HnswRowFile *file);

#endif /* OMENDB_HNSWROWFILE_H */
