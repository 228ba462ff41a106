/*
 * hnswlink.c
 *	  A link into a record that may be full: which one goes, and the change.
 *
 * Nothing is locked between reading a record and changing it; the change is
 * made if the record's version is still the same, else all is done again.
 */
#include "am/hnsw.h"

#include "am/hnswlink.h"
#include "common/hashfn.h"
#include "miscadmin.h"

/* Neighbours of a node that are asked whether they link to it. */
#define ASKED 4

/* Nodes whose links are read for one row, usually less. */
#define USUALLY_KNOWN 400

#define SH_PREFIX           known
#define SH_ELEMENT_TYPE     HnswLinks
#define SH_KEY_TYPE         OmendbNode
#define SH_KEY              node
#define SH_HASH_KEY(t, key) murmurhash32(key)
#define SH_EQUAL(t, a, b)   ((a) == (b))
#define SH_SCOPE            static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

/*
 * A link that another node has too may still be the only one that leads to both
 * of them. So one is given up first where another way to its end is known, and
 * only if there is none so, of the first few where its end is known to somebody.
 * With fewer links than SURE_M never then: of 62,666 rows inserted one by one
 * 4.7 % were not reached any more with m = 2, 0.04 % with 4, none with 16.
 */
#define LESS_SURE 4
#define SURE_M    8

void
hnsw_linker_init(HnswLinker *linker, OmendbStore *store, OmendbChooser *chooser)
{
	const OmendbCodec *codec = &store->index->codec;

	linker->known = NULL;
	linker->store = store;
	linker->chooser = chooser;
	linker->copy = palloc(codec->layout.record_bytes);
	linker->other = palloc(codec->layout.record_bytes);
	omendb_query_init(&linker->query, codec, palloc(omendb_query_bytes(codec) + 1));
}

void
hnsw_linker_remember(HnswLinker *linker, unsigned level)
{
	Assert(linker->known == NULL);
	linker->known_level = level;
	linker->known = known_create(CurrentMemoryContext, USUALLY_KNOWN, NULL);
}

static bool
remembers(const HnswLinker *linker, unsigned level)
{
	return linker->known != NULL && linker->known_level == level;
}

static void
add_known(HnswLinker *linker, HnswLinks links)
{
	bool found;
	HnswLinks *place = known_insert(linker->known, links.node, &found);

	links.status = place->status;
	*place = links;
}

static HnswLinks
record_links(const HnswLinker *linker, OmendbNode node, const OmendbRecord *record)
{
	const OmendbLayout *layout = &linker->store->index->codec.layout;

	return (HnswLinks){.node = node,
					   .count = Min(record->count, layout->links),
					   .dead = (record->flags & OMENDB_RECORD_DEAD) != 0,
					   .neighbours = omendb_record_neighbours(layout, record)};
}

void
hnsw_linker_add(HnswLinker *linker, OmendbNode node, OmendbRecord *record)
{
	add_known(linker, record_links(linker, node, record));
}

/* Where a node leads; good until the next call. */
static HnswLinks
links_of(HnswLinker *linker, OmendbNode node, unsigned level)
{
	HnswLinks links = {.node = node, .dead = true};

	if (remembers(linker, level))
	{
		const HnswLinks *known = known_lookup(linker->known, node);

		if (known)
			return *known;
	}
	if (omendb_record_copy_links(linker->store, node, level, linker->other))
		links = record_links(linker, node, linker->other);
	if (remembers(linker, level))
	{
		if (links.count > 0)
		{
			Size bytes = links.count * sizeof(OmendbNode);

			links.neighbours = memcpy(palloc(bytes), links.neighbours, bytes);
		}
		add_known(linker, links);
	}
	return links;
}

static bool
links_to(HnswLinker *linker, OmendbNode node, unsigned level, OmendbNode to)
{
	HnswLinks links;

	if (!remembers(linker, level))
		return omendb_record_links_to(linker->store, node, level, to);
	links = links_of(linker, node, level);
	for (uint32 i = 0; i < links.count; i++)
		if (links.neighbours[i] == to)
			return true;
	return false;
}

/*
 * Is it still so, after links_to said yes? Somebody else may have thought that his
 * link was to spare because of the one that was remembered here.
 */
static bool
still_links_to(HnswLinker *linker, OmendbNode node, unsigned level, OmendbNode to)
{
	return !remembers(linker, level) || omendb_record_links_to(linker->store, node, level, to);
}

/* What was written to the record in linker->copy, if that node is known. */
static void
note_change(HnswLinker *linker, OmendbNode node, unsigned level)
{
	HnswLinks *known;
	HnswLinks links;

	if (!remembers(linker, level) || !(known = known_lookup(linker->known, node)))
		return;
	links = record_links(linker, node, linker->copy);
	if (links.count > known->count)
		known->neighbours = palloc(links.count * sizeof(OmendbNode));
	memcpy(known->neighbours, links.neighbours, links.count * sizeof(OmendbNode));
	known->count = links.count;
}

static inline uint32
filter_bit(OmendbNode node)
{
	return murmurhash32(node) % (sizeof(((HnswLinker *) NULL)->filter) * BITS_PER_BYTE);
}

static void
set_filter(HnswLinker *linker)
{
	HnswLinks links = record_links(linker, OMENDB_NO_NODE, linker->copy);

	memset(linker->filter, 0, sizeof(linker->filter));
	for (uint32 i = 0; i < links.count; i++)
	{
		uint32 bit = filter_bit(links.neighbours[i]);

		linker->filter[bit / 64] |= UINT64CONST(1) << bit % 64;
	}
}

/* Does the node in linker->copy link to that one? */
static bool
copy_links_to(const HnswLinker *linker, OmendbNode node)
{
	uint32 bit = filter_bit(node);

	return (linker->filter[bit / 64] >> bit % 64 & 1) &&
		   omendb_record_has_link(&linker->store->index->codec.layout, linker->copy, node);
}

/* Does the node in linker->copy lead to `via`, in one step or two, and that to `node`? */
static bool
leads_by(HnswLinker *linker, OmendbNode via, OmendbNode node, unsigned level)
{
	OmendbNode first[ASKED];
	HnswLinks links;
	uint32 n = 0;

	if (!links_to(linker, via, level, node))
		return false;
	if (copy_links_to(linker, via))
		return true;
	links = links_of(linker, via, level);
	for (uint32 i = 0; i < links.count && n < ASKED; i++)
		if (links.neighbours[i] != node && copy_links_to(linker, links.neighbours[i]))
			first[n++] = links.neighbours[i];
	for (uint32 i = 0; i < n; i++)
		if (links_to(linker, first[i], level, via))
			return true;
	return false;
}

/*
 * Would `loser`, which is in linker->copy, still lead to `node` if it gave up
 * its link for one to `newcomer`? Asks that, the one that occludes it, and then those
 * nearest to `node`: links are mutual more often than not. A link to a node
 * that is gone may be given up.
 */
static bool
is_linked_otherwise(HnswLinker *linker, OmendbNode loser, OmendbNode node, OmendbNode occluder,
					OmendbNode newcomer, unsigned level, bool sure)
{
	OmendbNode neighbours[ASKED];
	HnswLinks links;
	uint32 n = 0;

	if (occluder != OMENDB_NO_NODE && links_to(linker, occluder, level, node) &&
		still_links_to(linker, occluder, level, node))
		return true;
	if (links_to(linker, newcomer, level, node) && still_links_to(linker, newcomer, level, node))
		return true;
	links = links_of(linker, node, level);
	if (links.dead)
		return true;
	for (uint32 i = 0; i < links.count && n < ASKED; i++)
		if (links.neighbours[i] != loser && links.neighbours[i] != occluder &&
			links.neighbours[i] != newcomer)
			neighbours[n++] = links.neighbours[i];
	for (uint32 i = 0; i < n; i++)
		if ((sure ? leads_by(linker, neighbours[i], node, level)
				  : links_to(linker, neighbours[i], level, node)) &&
			still_links_to(linker, neighbours[i], level, node))
			return true;
	return false;
}

/* A neighbour of a full node of a plain layout, or the new one. */
typedef struct PlainSpoke
{
	float distance; /* from the node */
	uint32 slot;    /* OMENDB_MAX_LINKS: the new one */
	const OmendbRecord *record;
} PlainSpoke;

static int
by_plain_spoke(const void *a, const void *b)
{
	const PlainSpoke *x = a;
	const PlainSpoke *y = b;

	if (x->distance != y->distance)
		return x->distance < y->distance ? -1 : 1;
	return x->slot < y->slot ? -1 : x->slot > y->slot;
}

/*
 * As omendb_link_options for the node in linker->copy, where there are no
 * codes: the neighbours' own vectors are read. The farthest occluded ones come
 * first, and before them all one that is gone.
 */
static uint32
plain_link_options(HnswLinker *linker, const OmendbRecord *record, unsigned level, float distance,
				   bool forced, OmendbLinkOption *options)
{
	const OmendbCodec *codec = &linker->store->index->codec;
	const OmendbLayout *layout = &codec->layout;
	const OmendbNode *neighbours = omendb_record_neighbours(layout, linker->copy);
	float *scratch = linker->chooser->scratch;
	Size copy_bytes = layout->neighbours_offset;
	PlainSpoke spokes[OMENDB_MAX_LINKS + 1];
	OmendbLinkOption occluded[OMENDB_MAX_LINKS + 1];
	uint32 kept[OMENDB_MAX_LINKS + 1];
	uint32 nkept = 0;
	uint32 noccluded = 0;
	uint32 noptions = 0;
	uint32 n = Min(linker->copy->count, layout->links);
	char *copies = palloc(n * copy_bytes);

	for (uint32 i = 0; i < n; i++)
	{
		if (!omendb_record_copy(linker->store, neighbours[i], level, linker->other))
		{
			pfree(copies);
			options[0] = (OmendbLinkOption){i, OMENDB_NO_NODE};
			return 1;
		}
		memcpy(copies + i * copy_bytes, linker->other, copy_bytes);
		spokes[i].record = (OmendbRecord *) (copies + i * copy_bytes);
		spokes[i].slot = i;
		spokes[i].distance = omendb_own_distance(codec, linker->copy, spokes[i].record, scratch);
	}
	spokes[n] = (PlainSpoke){distance, OMENDB_MAX_LINKS, record};
	qsort(spokes, n + 1, sizeof(PlainSpoke), by_plain_spoke);
	for (uint32 i = 0; i <= n; i++)
	{
		uint32 k = 0;

		while (k < nkept && omendb_own_distance(codec, spokes[i].record, spokes[kept[k]].record,
												scratch) >= spokes[i].distance)
			k++;
		if (k == nkept)
			kept[nkept++] = i;
		else if (!forced || spokes[i].slot != OMENDB_MAX_LINKS)
			occluded[noccluded++] =
				(OmendbLinkOption){spokes[i].slot, spokes[kept[k]].slot == OMENDB_MAX_LINKS
													   ? OMENDB_NO_NODE
													   : neighbours[spokes[kept[k]].slot]};
	}
	while (noccluded > 0 && noptions < OMENDB_LINK_OPTIONS)
		options[noptions++] = occluded[--noccluded];
	if (noptions == 0)
	{
		uint32 farthest = forced && spokes[n].slot == OMENDB_MAX_LINKS ? n - 1 : n;

		options[noptions++] = (OmendbLinkOption){spokes[farthest].slot, OMENDB_NO_NODE};
	}
	pfree(copies);
	return noptions;
}

/* The slot for the new link, or OMENDB_MAX_LINKS for none. */
static uint32
choose_slot(HnswLinker *linker, OmendbNode neighbour, OmendbNode node, const OmendbRecord *record,
			unsigned level, float distance, bool forced)
{
	const OmendbLayout *layout = &linker->store->index->codec.layout;
	uint32 links = level == 0 ? layout->links : layout->m;
	OmendbLinkOption options[OMENDB_LINK_OPTIONS];
	uint32 n;

	if (linker->copy->count < links)
		return linker->copy->count;
	if (omendb_layout_is_coded(layout))
	{
		omendb_query_set_record(&linker->query, linker->copy);
		n = omendb_link_options(linker->chooser, &linker->query, linker->copy, record, distance,
								forced, options);
	}
	else
		n = plain_link_options(linker, record, level, distance, forced, options);
	set_filter(linker);
	for (int sure = 1; sure >= (layout->m >= SURE_M ? 0 : 1); sure--)
		/* What comes behind the new one is the better for the node. */
		for (uint32 i = 0; i < (sure ? n : Min(n, LESS_SURE)); i++)
			if (options[i].slot == OMENDB_MAX_LINKS)
				break;
			else if (is_linked_otherwise(
						 linker, neighbour,
						 omendb_record_neighbours(layout, linker->copy)[options[i].slot],
						 options[i].occluder, node, level, sure))
				return options[i].slot;
	return forced ? options[0].slot : OMENDB_MAX_LINKS;
}

bool
hnsw_link_back(HnswLinker *linker, OmendbNode neighbour, OmendbNode node,
			   const OmendbRecord *record, unsigned level, float distance, bool forced,
			   OmendbNode *given_up)
{
	for (;;)
	{
		uint32 slot;
		OmendbNode loser = OMENDB_NO_NODE;

		CHECK_FOR_INTERRUPTS();
		if (!omendb_record_copy(linker->store, neighbour, level, linker->copy))
			return false;
		/* Vacuum may offer what is there already. */
		if (omendb_record_has_link(&linker->store->index->codec.layout, linker->copy, node))
			return true;
		omendb_chooser_set(linker->chooser, linker->copy);
		slot = choose_slot(linker, neighbour, node, record, level, distance, forced);
		if (slot == OMENDB_MAX_LINKS)
			return false;
		if (slot < linker->copy->count)
			loser =
				omendb_record_neighbours(&linker->store->index->codec.layout, linker->copy)[slot];
		omendb_link_write(linker->chooser, linker->copy, slot, node, record, distance);
		if (slot == linker->copy->count)
			linker->copy->count++;
		if (omendb_record_put_link(linker->store, neighbour, linker->copy, slot))
		{
			note_change(linker, neighbour, level);
			if (given_up)
				*given_up = forced ? loser : OMENDB_NO_NODE;
			return true;
		}
	}
}
