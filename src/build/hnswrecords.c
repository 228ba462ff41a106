/*
 * hnswrecords.c
 *	  Memory for the records of an index that is built.
 *
 * Records lie in chunks. If workers are planned, chunks lie in segments of dynamic shared memory,
 * which are created as they are needed. That may fail: containers often have 64 MB of shared
 * memory. Then the records are moved into the leader's own memory, segment by segment, so that
 * little more than one segment exists twice.
 *
 * No locks: only the leader allocates, and publishes segments to workers (hnswparallel.c).
 */
#include "build/hnswrecords.h"

#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <sys/mman.h>

#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

/* Maximum size of a chunk, bytes. */
#define CHUNK_BYTES (2 * 1024 * 1024)

/*
 * Number of segments of one size: eight have one chunk, the next eight two, the next eight four. So at
 * most an eighth of the memory is unused, however many records there will be.
 */
#define DOUBLED_AFTER 8

static Size
chunk_bytes(const OmendbArray *array)
{
	return omendb_array_stride(&array->codec->layout) << array->chunk_shift;
}

void
hnsw_records_init(HnswRecords *records, const OmendbCodec *codec)
{
	memset(records, 0, sizeof(*records));
	records->context = CurrentMemoryContext;
	records->array.codec = codec;
	while (chunk_bytes(&records->array) * 2 <= CHUNK_BYTES)
		records->array.chunk_shift++;
}

void
hnsw_records_share(HnswRecords *records)
{
	Assert(records->array.n == 0);
	records->shared = true;
}

static uint32
chunks_of_segment(uint32 segment)
{
	return (uint32) 1 << (segment / DOUBLED_AFTER);
}

/* Allocate a chunk, aligned to cache lines. */
static void
allocate_chunk(HnswRecords *records, uint32 chunk)
{
	records->memory[chunk] =
		MemoryContextAllocHuge(records->context, chunk_bytes(&records->array) + 64);
	records->array.chunks[chunk] = (uint8 *) TYPEALIGN(64, records->memory[chunk]);
}

/* Make sure that there are pointers for that many chunks. */
static void
reserve_pointers(HnswRecords *records, uint32 chunks)
{
	OmendbArray *array = &records->array;
	uint32 capacity = Max(64, records->capacity);

	while (capacity < chunks)
		capacity *= 2;
	if (capacity == records->capacity)
		return;
	if (records->capacity == 0)
	{
		records->memory = MemoryContextAlloc(records->context, capacity * sizeof(void *));
		array->chunks = MemoryContextAlloc(records->context, capacity * sizeof(uint8 *));
	}
	else
	{
		records->memory = repalloc_huge(records->memory, capacity * sizeof(void *));
		array->chunks = repalloc_huge(array->chunks, capacity * sizeof(uint8 *));
	}
	for (uint32 i = records->capacity; i < capacity; i++)
	{
		records->memory[i] = NULL;
		array->chunks[i] = NULL;
	}
	records->capacity = capacity;
}

dsm_segment *
hnsw_create_segment(Size bytes, char **why)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner outer = CurrentResourceOwner;
	ResourceOwner owner = ResourceOwnerCreate(outer, "hnsw shared memory");
	dsm_segment *volatile segment = NULL;

	/*
	 * If dsm_create fails, it raises an error and leaves an incomplete entry to the resource
	 * owner. No lock is held and nothing else was begun then, so releasing that owner is
	 * the only clean-up.
	 */
	CurrentResourceOwner = owner;
	PG_TRY();
	{
		segment = dsm_create(bytes, DSM_CREATE_NULL_IF_MAXSEGMENTS);
		if (segment)
			dsm_pin_mapping(segment);
		else
			*why = pstrdup("too many dynamic shared memory segments");
	}
	PG_CATCH();
	{
		ErrorData *error;
		int code;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		code = error->sqlerrcode;
		if (code != ERRCODE_OUT_OF_MEMORY && code != ERRCODE_DISK_FULL &&
			code != ERRCODE_INSUFFICIENT_RESOURCES)
		{
			CurrentResourceOwner = outer;
			PG_RE_THROW();
		}
		FlushErrorState();
		*why = error->message;
	}
	PG_END_TRY();
	CurrentResourceOwner = outer;
	ResourceOwnerRelease(owner, RESOURCE_RELEASE_BEFORE_LOCKS, segment != NULL, false);
	ResourceOwnerRelease(owner, RESOURCE_RELEASE_LOCKS, segment != NULL, false);
	ResourceOwnerRelease(owner, RESOURCE_RELEASE_AFTER_LOCKS, segment != NULL, false);
	ResourceOwnerDelete(owner);
	if (segment)
		dsm_unpin_mapping(segment);
	return segment;
}

void
hnsw_populate_segment(dsm_segment *segment)
{
#ifdef MADV_POPULATE_WRITE
	(void) madvise(dsm_segment_address(segment), dsm_segment_map_length(segment),
				   MADV_POPULATE_WRITE);
#endif
}

void
hnsw_records_attach(HnswRecords *records, dsm_segment *segment)
{
	OmendbArray *array = &records->array;
	uint32 n = chunks_of_segment(records->nsegments);
	uint8 *at = dsm_segment_address(segment);

	reserve_pointers(records, records->shared_chunks + n);
	for (uint32 i = 0; i < n; i++)
		array->chunks[records->shared_chunks++] = at + i * chunk_bytes(array);
	records->segments[records->nsegments++] = segment;
	hnsw_populate_segment(segment);
}

/*
 * Return freed chunks to the system: in a session that has built before, glibc takes chunks from its
 * heap, which shrinks only from the end.
 */
static void
return_freed_memory(void)
{
#ifdef __GLIBC__
	malloc_trim(0);
#endif
}

void
hnsw_records_withdraw(HnswRecords *records)
{
	OmendbArray *array = &records->array;

	while (records->nsegments > 0)
	{
		uint32 n = chunks_of_segment(records->nsegments - 1);

		for (uint32 i = records->shared_chunks - n; i < records->shared_chunks; i++)
		{
			const uint8 *at = array->chunks[i];

			CHECK_FOR_INTERRUPTS();
			array->chunks[i] = NULL;
			if (array->n == 0 || i > (array->n - 1) >> array->chunk_shift)
				continue;
			allocate_chunk(records, i);
			memcpy(array->chunks[i], at, chunk_bytes(array));
		}
		records->shared_chunks -= n;
		dsm_detach(records->segments[--records->nsegments]);
	}
	records->shared = false;
}

bool
hnsw_records_reserve(HnswRecords *records, char **why)
{
	OmendbArray *array = &records->array;
	uint32 chunk = array->n >> array->chunk_shift;

	if (records->shared && chunk >= records->shared_chunks)
	{
		Size chunks = chunks_of_segment(records->nsegments);
		dsm_segment *segment = NULL;

		*why = "too many segments";
		if (records->nsegments < HNSW_MOST_SEGMENTS)
			segment = hnsw_create_segment(chunks * chunk_bytes(array), why);
		if (!segment)
			return false;
		hnsw_records_attach(records, segment);
	}
	if (chunk >= records->capacity)
		reserve_pointers(records, chunk + 1);
	if (array->chunks[chunk] == NULL)
		allocate_chunk(records, chunk);
	return true;
}

OmendbRecord *
hnsw_init_record(const OmendbArray *array, OmendbNode node, bool fresh)
{
	OmendbRecord *record = omendb_array_record(array, node);

	if (!fresh)
		memset(record, 0, omendb_array_stride(&array->codec->layout));
	record->kind = OMENDB_RECORD_NODE;
	record->down = OMENDB_NO_NODE;
	record->overflow = OMENDB_NO_NODE;
	return record;
}

void
hnsw_records_free(HnswRecords *records)
{
	for (uint32 i = 0; i < records->capacity; i++)
		if (records->memory[i])
			pfree(records->memory[i]);
	if (records->capacity > 0)
	{
		pfree(records->memory);
		pfree(records->array.chunks);
	}
	for (uint32 i = 0; i < records->nsegments; i++)
		dsm_detach(records->segments[i]);
	records->capacity = records->nsegments = records->shared_chunks = 0;
	records->array.n = 0;
	return_freed_memory();
}
