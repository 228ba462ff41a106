/*
 * hnswmembers.c
 *	  The heap TIDs of a bitmap: look-up of one, and reading all in order.
 *
 * PostgreSQL's TIDBitmap can only be read from one end to the other. Here an array has an entry for
 * each block, in ascending order, with a bit for each offset. A hash table finds the entry of a
 * block.
 */
#include "plan/hnswmembers.h"

#include "access/htup_details.h"
#include "common/hashfn.h"
#include "compat.h"
#include "miscadmin.h"
#include "port/pg_bitutils.h"

#define WORDS ((MaxHeapTuplesPerPage + 64) / 64)

/* Number of TIDs that a lossy block counts for: a guess. */
#define TIDS_PER_LOSSY_BLOCK 20

typedef struct MemberBlock
{
	BlockNumber block;
	bool lossy; /* the bitmap has the block only, not its TIDs */
	uint64 words[WORDS];
} MemberBlock;

typedef struct MemberSlot
{
	BlockNumber block; /* key */
	char status;
	uint32 at; /* index in HnswMembers.blocks */
} MemberSlot;

#define SH_PREFIX         membertable
#define SH_ELEMENT_TYPE   MemberSlot
#define SH_KEY_TYPE       BlockNumber
#define SH_KEY            block
#define SH_HASH_KEY(t, k) murmurhash32(k)
#define SH_EQUAL(t, a, b) ((a) == (b))
#define SH_SCOPE          static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

struct HnswMembers
{
	MemberBlock *blocks;
	size_t nblocks;
	size_t capacity;
	membertable_hash *table;
	double count;
	/* of the TID read last */
	size_t at; /* index in blocks */
	int offset;
};

static MemberBlock *
add_block(HnswMembers *members, BlockNumber block)
{
	MemberBlock *entry;
	MemberSlot *slot;
	bool found;

	if (members->nblocks == members->capacity)
	{
		members->capacity = Max(members->capacity * 2, 64);
		members->blocks = members->blocks ? repalloc_huge(members->blocks,
														  members->capacity * sizeof(MemberBlock))
										  : palloc(members->capacity * sizeof(MemberBlock));
	}
	slot = membertable_insert(members->table, block, &found);
	slot->at = members->nblocks;
	entry = &members->blocks[members->nblocks++];
	memset(entry, 0, sizeof(*entry));
	entry->block = block;
	return entry;
}

HnswMembers *
hnsw_members_create(TIDBitmap *bitmap)
{
	HnswMembers *members = palloc0(sizeof(HnswMembers));
	OmendbBitmapIterator *iterator = omendb_bitmap_begin(bitmap);
	OffsetNumber offsets[MaxHeapTuplesPerPage];
	BlockNumber block;
	int n;

	members->table = membertable_create(CurrentMemoryContext, 256, NULL);
	while (omendb_bitmap_next(iterator, &block, offsets, &n))
	{
		MemberBlock *entry = add_block(members, block);

		CHECK_FOR_INTERRUPTS();
		entry->lossy = n < 0;
		members->count += n < 0 ? TIDS_PER_LOSSY_BLOCK : n;
		for (int i = 0; i < n; i++)
			if (offsets[i] <= MaxHeapTuplesPerPage)
				entry->words[offsets[i] / 64] |= UINT64CONST(1) << (offsets[i] % 64);
	}
	omendb_bitmap_end(iterator);
	return members;
}

double
hnsw_members_count(const HnswMembers *members)
{
	return members->count;
}

bool
hnsw_members_has(HnswMembers *members, ItemPointer tid)
{
	const MemberSlot *slot = membertable_lookup(members->table, ItemPointerGetBlockNumber(tid));
	const MemberBlock *block;
	OffsetNumber offset = ItemPointerGetOffsetNumber(tid);

	if (!slot)
		return false;
	block = &members->blocks[slot->at];
	return block->lossy ||
		   (offset <= MaxHeapTuplesPerPage && (block->words[offset / 64] >> (offset % 64) & 1));
}

void
hnsw_members_rewind(HnswMembers *members)
{
	members->at = 0;
	members->offset = 0;
}

bool
hnsw_members_next(HnswMembers *members, ItemPointer tid)
{
	while (members->at < members->nblocks)
	{
		const MemberBlock *block = &members->blocks[members->at];

		while (members->offset < MaxHeapTuplesPerPage)
		{
			int offset = ++members->offset;

			if (block->lossy || (block->words[offset / 64] >> (offset % 64) & 1))
			{
				ItemPointerSet(tid, block->block, offset);
				return true;
			}
			/* Skip the rest of an empty word. */
			if (block->words[offset / 64] >> (offset % 64) == 0)
				members->offset = offset | 63;
		}
		members->at++;
		members->offset = 0;
	}
	return false;
}
