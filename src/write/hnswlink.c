/*
 * hnswlink.c
 *	  A link into a record that may be full: which one goes, and the change.
 *
 * Nothing is locked between reading a record and changing it; the change is
 * made if the record's version is still the same, else all is done again.
 *
 * A link A -> B goes only if A leads to B by a detour, A -> C -> ... -> B, of nodes
 * that live; that it does is looked at under the locks of all their pages. So
 * whatever a node led to before the change it leads to afterwards, and as that
 * holds for each change by itself, it holds for all that have been made when the
 * server stops, in whatever order several backends made them.
 */
#include "am/hnsw.h"

#include <math.h>

#include "write/hnswlink.h"
#include "common/hashfn.h"
#include "miscadmin.h"

/* Neighbours of a node that are asked whether they link to it. */
#define ASKED 8

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

/* Does a live node link to that one? */
static bool
links_to(HnswLinker *linker, OmendbNode node, unsigned level, OmendbNode to)
{
	HnswLinks links = links_of(linker, node, level);

	if (links.dead)
		return false;
	for (uint32 i = 0; i < links.count; i++)
		if (links.neighbours[i] == to)
			return true;
	return false;
}

/* Read it again, the next time. */
static void
forget(HnswLinker *linker, OmendbNode node, unsigned level)
{
	if (remembers(linker, level))
		known_delete(linker->known, node);
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

/*
 * The first few neighbours of a node. common: only those to which the node in
 * linker->copy has a link, too.
 */
static uint32
first_of(HnswLinker *linker, OmendbNode node, unsigned level, bool common, OmendbNode *out)
{
	HnswLinks links = links_of(linker, node, level);
	uint32 n = 0;

	for (uint32 i = 0; i < links.count && n < ASKED; i++)
		if (!common || copy_links_to(linker, links.neighbours[i]))
			out[n++] = links.neighbours[i];
	return n;
}

/* A detour of one node. self: the node in linker->copy. */
static bool
find_short_detour(HnswLinker *linker, OmendbNode self, OmendbNode end, OmendbNode occluder,
				  OmendbNode newcomer, unsigned level, OmendbDetour *detour)
{
	OmendbNode near[ASKED + 2];
	uint32 n = 0;

	if (occluder != OMENDB_NO_NODE)
		near[n++] = occluder;
	near[n++] = newcomer;
	n += first_of(linker, end, level, true, near + n);
	for (uint32 i = 0; i < n; i++)
		if (near[i] != end && near[i] != self && links_to(linker, near[i], level, end))
		{
			*detour = (OmendbDetour){1, {near[i]}};
			return true;
		}
	return false;
}

/*
 * A detour of two nodes. The second one is looked for among the neighbours of `end`, the
 * first one among the neighbours of the second. self: the node in linker->copy.
 */
static bool
find_detour_back(HnswLinker *linker, OmendbNode self, OmendbNode end, OmendbNode newcomer,
				 unsigned level, OmendbDetour *detour)
{
	OmendbNode last[ASKED];
	uint32 nlast = first_of(linker, end, level, false, last);

	for (uint32 k = 0; k < nlast; k++)
	{
		OmendbNode first[ASKED + 1];
		uint32 n;

		if (last[k] == self || last[k] == newcomer || !links_to(linker, last[k], level, end))
			continue;
		n = first_of(linker, last[k], level, true, first);
		first[n++] = newcomer;
		for (uint32 i = 0; i < n; i++)
			if (first[i] != end && first[i] != self && links_to(linker, first[i], level, last[k]))
			{
				*detour = (OmendbDetour){2, {first[i], last[k]}};
				return true;
			}
	}
	return false;
}

/* The neighbour with the smallest estimate; not self, nor a node of the detour. */
static OmendbNode
next_step(const OmendbStep *step, OmendbNode self, const OmendbDetour *detour)
{
	OmendbNode next = OMENDB_NO_NODE;
	float nearest = INFINITY;

	for (uint32 i = 0; i < step->count; i++)
	{
		bool taken = step->neighbours[i] == self;

		for (uint32 k = 0; k < detour->n; k++)
			taken |= step->neighbours[i] == detour->nodes[k];
		if (!taken && step->estimates[i] < nearest)
		{
			nearest = step->estimates[i];
			next = step->neighbours[i];
		}
	}
	return next;
}

/*
 * A detour that begins with `at` and goes on, as a search does, to the neighbour that
 * seems nearest to `end`. linker->query has the vector of `end`.
 */
static bool
walk_to(HnswLinker *linker, OmendbNode self, OmendbNode at, OmendbNode end, unsigned level,
		OmendbDetour *detour)
{
	OmendbStep step;

	for (detour->n = 0; at != OMENDB_NO_NODE && detour->n < OMENDB_DETOUR_NODES;)
	{
		if (!omendb_store_ops.visit(linker->store, at, level, &linker->query, &step) ||
			!step.payload.live)
			return false;
		detour->nodes[detour->n++] = at;
		for (uint32 i = 0; i < step.count; i++)
			if (step.neighbours[i] == end)
				return true;
		at = next_step(&step, self, detour);
	}
	return false;
}

/* Walk to `end` from the occluder, which is nearer to `end` than self is; then from the newcomer. */
static bool
find_walk(HnswLinker *linker, OmendbNode self, OmendbNode end, OmendbNode occluder,
		  OmendbNode newcomer, unsigned level, OmendbDetour *detour)
{
	if (!omendb_layout_is_coded(&linker->store->index->codec.layout) ||
		!omendb_record_copy_own(linker->store, end, level, linker->other))
		return false;
	omendb_query_set_record(&linker->query, linker->other);
	return (occluder != OMENDB_NO_NODE && walk_to(linker, self, occluder, end, level, detour)) ||
		   walk_to(linker, self, newcomer, end, level, detour);
}

/*
 * Find a detour from `self`, the node in linker->copy, to its neighbour `end`. The detour
 * begins with another neighbour of self, or with `newcomer`, to which self will have a
 * link. Neighbours of `end` are asked first: links are mutual more often than not.
 * occluder: the neighbour of self that occludes `end`, or none. No detour goes by self, to
 * which self has a link in a damaged index: it would be refused each time it is found.
 */
static bool
find_detour(HnswLinker *linker, OmendbNode self, OmendbNode end, OmendbNode occluder,
			OmendbNode newcomer, unsigned level, OmendbDetour *detour)
{
	if (occluder == self)
		occluder = OMENDB_NO_NODE;
	return find_short_detour(linker, self, end, occluder, newcomer, level, detour) ||
		   find_detour_back(linker, self, end, newcomer, level, detour) ||
		   find_walk(linker, self, end, occluder, newcomer, level, detour);
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

static uint32
link_room(const HnswLinker *linker, unsigned level)
{
	const OmendbLayout *layout = &linker->store->index->codec.layout;

	return level == 0 ? layout->links : layout->m;
}

/*
 * The slot for the new link of the node in linker->copy, and the detour to where the link leads that it replaces;
 * OMENDB_MAX_LINKS for none.
 */
static uint32
choose_slot(HnswLinker *linker, OmendbNode self, OmendbNode node, const OmendbRecord *record,
			unsigned level, float distance, bool forced, OmendbDetour *detour)
{
	const OmendbLayout *layout = &linker->store->index->codec.layout;
	const OmendbNode *neighbours = omendb_record_neighbours(layout, linker->copy);
	OmendbLinkOption options[OMENDB_LINK_OPTIONS];
	uint32 n;

	detour->n = 0;
	if (linker->copy->count < link_room(linker, level))
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
	for (uint32 i = 0; i < n; i++)
	{
		/* What comes behind the new one is the better for the node. */
		if (options[i].slot == OMENDB_MAX_LINKS)
			return OMENDB_MAX_LINKS;
		if (find_detour(linker, self, neighbours[options[i].slot], options[i].occluder, node, level,
						detour))
			return options[i].slot;
	}
	for (uint32 slot = linker->copy->count; forced && slot-- > 0;)
		if (find_detour(linker, self, neighbours[slot], OMENDB_NO_NODE, node, level, detour))
			return slot;
	return OMENDB_MAX_LINKS;
}

bool
hnsw_link_forward(HnswLinker *linker, OmendbNode node, OmendbNode to, unsigned level, bool dead)
{
	const OmendbCodec *codec = &linker->store->index->codec;
	OmendbRecord *record = linker->copy;

	for (;;)
	{
		uint32 slot;

		CHECK_FOR_INTERRUPTS();
		if (!omendb_record_copy(linker->store, node, level, record) ||
			!omendb_record_copy_own(linker->store, to, level, linker->other) ||
			(!dead && (linker->other->flags & OMENDB_RECORD_DEAD)))
			return false;
		if (omendb_record_has_link(&codec->layout, record, to))
			return true;
		omendb_chooser_set(linker->chooser, record);
		/* The last one is the farthest. */
		slot = Min(record->count, link_room(linker, level) - 1);
		omendb_link_write(
			linker->chooser, record, slot, to, linker->other,
			omendb_own_distance(codec, record, linker->other, linker->chooser->scratch));
		record->count = Max(record->count, slot + 1);
		if (omendb_record_put_link(linker->store, node, record, slot, NULL))
		{
			forget(linker, node, level);
			return true;
		}
	}
}

bool
hnsw_link_back(HnswLinker *linker, OmendbNode neighbour, OmendbNode node,
			   const OmendbRecord *record, unsigned level, float distance, bool forced)
{
	for (;;)
	{
		OmendbDetour detour;
		uint32 slot;

		CHECK_FOR_INTERRUPTS();
		/* A dead node would lead there only until vacuum takes it away. */
		if (!omendb_record_copy(linker->store, neighbour, level, linker->copy) ||
			(linker->copy->flags & OMENDB_RECORD_DEAD))
			return false;
		/* Vacuum may offer what is there already. */
		if (omendb_record_has_link(&linker->store->index->codec.layout, linker->copy, node))
			return true;
		omendb_chooser_set(linker->chooser, linker->copy);
		slot = choose_slot(linker, neighbour, node, record, level, distance, forced, &detour);
		if (slot == OMENDB_MAX_LINKS)
			return false;
		omendb_link_write(linker->chooser, linker->copy, slot, node, record, distance);
		if (slot == linker->copy->count)
			linker->copy->count++;
		if (omendb_record_put_link(linker->store, neighbour, linker->copy, slot, &detour))
		{
			note_change(linker, neighbour, level);
			return true;
		}
		for (uint32 i = 0; i < detour.n; i++)
			forget(linker, detour.nodes[i], level);
	}
}

bool
hnsw_link_between(HnswLinker *linker, OmendbNode neighbour, OmendbNode node,
				  const OmendbRecord *record, unsigned level, float distance)
{
	const OmendbLayout *layout = &linker->store->index->codec.layout;
	OmendbNode ends[OMENDB_MAX_LINKS];
	uint32 n;

	if (hnsw_link_back(linker, neighbour, node, record, level, distance, true))
		return true;
	if (!omendb_record_copy_links(linker->store, neighbour, level, linker->copy) ||
		(linker->copy->flags & OMENDB_RECORD_DEAD))
		return false;
	n = linker->copy->count;
	memcpy(ends, omendb_record_neighbours(layout, linker->copy), n * sizeof(OmendbNode));
	while (n > 0)
		if (hnsw_link_forward(linker, node, ends[--n], level, false))
			return hnsw_link_back(linker, neighbour, node, record, level, distance, true);
	return false;
}
