/*
 * neighbours.c
 *	  The choice of a node's neighbours, and of the edge that a full node gives up (neighbours.h).
 */
#include "graph/neighbours.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/kernel.h"

/*
 * Maximum number of signs from which the angle between two candidates is estimated: one sign for each
 * dimension of the code space, of their residuals.
 */
#define MAX_ANGLE_BITS 1024

static size_t
angle_bits(const OmendbCodec *codec)
{
	size_t bits = omendb_code_floats(codec);

	return bits < MAX_ANGLE_BITS ? bits : MAX_ANGLE_BITS;
}

static size_t
angle_bytes(const OmendbCodec *codec)
{
	return (angle_bits(codec) + 7) / 8;
}

/* Bytes of the signs of an edge's codewords: of its neighbours, a full node has codes only. */
static size_t
signs_bytes(const OmendbCodec *codec)
{
	return (codec->plan.elements + 7) / 8;
}

bool
omendb_chooser_init(OmendbChooser *chooser, const OmendbCodec *codec,
					const OmendbAllocator *allocator)
{
	const OmendbLayout *layout = &codec->layout;
	bool decodes = layout->own != OMENDB_OWN_BITS && layout->own != OMENDB_OWN_SPARSE;
	size_t floats = decodes ? layout->dimensions + OMENDB_PLAN_SLACK : 8;
	size_t code_floats = decodes ? omendb_code_floats(codec) + OMENDB_PLAN_SLACK : 8;
	size_t signs =
		angle_bytes(codec) > signs_bytes(codec) ? angle_bytes(codec) : signs_bytes(codec);
	size_t total = 4 * floats + 2 * code_floats;

	memset(chooser, 0, sizeof(*chooser));
	chooser->codec = codec;
	chooser->allocator = allocator;
	chooser->memory = allocator->resize(allocator->context, NULL, total * sizeof(float));
	chooser->signs = allocator->resize(allocator->context, NULL, OMENDB_SELECT_MAX * signs + 1);
	chooser->slot_signs =
		allocator->resize(allocator->context, NULL, OMENDB_MAX_EDGES * signs_bytes(codec) + 1);
	if (omendb_own_unpacked_bytes(layout) > 0)
		chooser->unpacked = allocator->resize(
			allocator->context, NULL, OMENDB_SELECT_MAX * omendb_own_unpacked_bytes(layout));
	if (!chooser->memory || !chooser->signs || !chooser->slot_signs ||
		(omendb_own_unpacked_bytes(layout) > 0 && !chooser->unpacked))
		return false;
	memset(chooser->memory, 0, total * sizeof(float));
	chooser->own_stored = chooser->memory;
	chooser->other_stored = chooser->memory + floats;
	chooser->scratch = chooser->memory + 2 * floats;
	chooser->own_code = chooser->memory + 4 * floats;
	chooser->other_code = chooser->own_code + code_floats;
	return true;
}

_Static_assert(OMENDB_SELECT_MAX > OMENDB_MAX_EDGES,
			   "signs hold the codes of all edges and of a new one");

void
omendb_chooser_free(OmendbChooser *chooser)
{
	const OmendbAllocator *allocator = chooser->allocator;

	if (chooser->memory)
		allocator->release(allocator->context, chooser->memory);
	if (chooser->signs)
		allocator->release(allocator->context, chooser->signs);
	if (chooser->slot_signs)
		allocator->release(allocator->context, chooser->slot_signs);
	if (chooser->unpacked)
		allocator->release(allocator->context, chooser->unpacked);
	if (chooser->candidates)
		allocator->release(allocator->context, chooser->candidates);
	chooser->memory = NULL;
	chooser->slot_signs = NULL;
	chooser->signs = NULL;
	chooser->unpacked = NULL;
	chooser->candidates = NULL;
}

bool
omendb_chooser_reserve(OmendbChooser *chooser, size_t n)
{
	void *grown;

	if (n <= chooser->capacity)
		return true;
	n += n / 2;
	grown = chooser->allocator->resize(chooser->allocator->context, chooser->candidates,
									   n * sizeof(OmendbSelectCandidate));
	if (!grown)
		return false;
	chooser->candidates = grown;
	chooser->capacity = n;
	return true;
}

static bool
coded(const OmendbChooser *chooser)
{
	return omendb_layout_is_coded(&chooser->codec->layout);
}

void
omendb_chooser_edges_changed(OmendbChooser *chooser)
{
	memset(chooser->slots_known, 0, sizeof(chooser->slots_known));
}

void
omendb_chooser_set(OmendbChooser *chooser, const OmendbRecord *node)
{
	chooser->norm2 = node->norm2;
	if (!coded(chooser))
		return;
	omendb_chooser_edges_changed(chooser);
	omendb_own_decode(chooser->codec, node, chooser->own_stored);
	chooser->own = omendb_code_vector(chooser->codec, chooser->own_stored, chooser->own_code);
}

/* The vector of another record in code space. */
static const float *
other_in_code_space(OmendbChooser *chooser, const OmendbRecord *record)
{
	omendb_own_decode(chooser->codec, record, chooser->other_stored);
	return omendb_code_vector(chooser->codec, chooser->other_stored, chooser->other_code);
}

static int
by_distance(const void *a, const void *b)
{
	const OmendbSelectCandidate *x = a;
	const OmendbSelectCandidate *y = b;

	if (x->distance != y->distance)
		return x->distance < y->distance ? -1 : 1;
	return x->node < y->node ? -1 : x->node > y->node;
}

/* The own vector of candidate i, unpacked by omendb_choose. */
static inline const void *
unpacked(const OmendbChooser *chooser, uint32_t i)
{
	return chooser->unpacked + i * omendb_own_unpacked_bytes(&chooser->codec->layout);
}

/* The distance between candidates i and j, plus the margin by which j must be nearer to occlude i. */
static float
pair_distance(void *context, uint32_t i, uint32_t j)
{
	OmendbChooser *chooser = context;
	const OmendbRecord *a = chooser->records[i];
	const OmendbRecord *b = chooser->records[j];
	float margin = omendb_occlusion_margin(&chooser->codec->layout, b->norm2, chooser->norm2);

	if (chooser->unpacked)
		return margin + omendb_own_distance_unpacked(chooser->codec, a, unpacked(chooser, i), b,
													 unpacked(chooser, j));
	return margin + omendb_own_distance(chooser->codec, a, b, chooser->scratch);
}

static bool
pair_same(void *context, uint32_t i, uint32_t j)
{
	OmendbChooser *chooser = context;

	return omendb_own_equal(chooser->codec, chooser->records[i], chooser->records[j]);
}

static const uint8_t *
candidate_signs(void *context, uint32_t i)
{
	OmendbChooser *chooser = context;
	uint8_t *signs = chooser->signs + i * angle_bytes(chooser->codec);

	if (chooser->unpacked)
		omendb_own_decode_unpacked(chooser->codec, chooser->records[i], unpacked(chooser, i),
								   chooser->other_stored);
	else
		omendb_own_decode(chooser->codec, chooser->records[i], chooser->other_stored);
	omendb_kernels.residual_signs(
		chooser->own,
		omendb_code_vector(chooser->codec, chooser->other_stored, chooser->other_code),
		angle_bits(chooser->codec), signs);
	return signs;
}

uint32_t
omendb_choose(OmendbChooser *chooser, size_t n, uint32_t want,
			  const OmendbRecord *(*record)(void *context, const OmendbSelectCandidate *candidate),
			  void *context, uint16_t *chosen)
{
	OmendbSelectInput input = {pair_distance, coded(chooser) ? candidate_signs : NULL, chooser,
							   coded(chooser) ? angle_bytes(chooser->codec) : 0, pair_same};

	qsort(chooser->candidates, n, sizeof(OmendbSelectCandidate), by_distance);
	if (n > OMENDB_SELECT_MAX)
		n = OMENDB_SELECT_MAX;
	for (size_t i = 0; i < n; i++)
	{
		chooser->records[i] = record(context, &chooser->candidates[i]);
		if (chooser->unpacked)
			omendb_own_unpack_record(&chooser->codec->layout, chooser->records[i],
									 chooser->unpacked +
										 i * omendb_own_unpacked_bytes(&chooser->codec->layout));
	}
	return omendb_select(chooser->candidates, n, want, &input, chosen);
}

void
omendb_edge_write(OmendbChooser *chooser, OmendbRecord *node, uint32_t slot, OmendbNode neighbour,
				  const OmendbRecord *neighbour_record, float distance)
{
	const float *x = coded(chooser) ? other_in_code_space(chooser, neighbour_record) : NULL;

	omendb_edge_encode(chooser->codec, node, slot, neighbour, chooser->own, x, distance,
					   node->norm2, neighbour_record->norm2);
	chooser->slots_known[slot / 64] &= ~(UINT64_C(1) << slot % 64);
}

/* A neighbour of a full node, by the code of its edge. r: its residual, from the node. */
typedef struct CodedNeighbour
{
	float distance; /* of the metric, from the node */
	float length;   /* |r| */
	uint32_t slot;
} CodedNeighbour;

static inline bool
is_nearer(const CodedNeighbour *a, const CodedNeighbour *b)
{
	return a->distance < b->distance || (a->distance == b->distance && a->slot < b->slot);
}

/* Sort n neighbours, the nearest first. They are few, and edges are nearly in that order. */
static void
sort_neighbours(CodedNeighbour *neighbours, uint32_t n)
{
	for (uint32_t i = 1; i < n; i++)
	{
		CodedNeighbour one = neighbours[i];
		uint32_t at = i;

		for (; at > 0 && is_nearer(&one, &neighbours[at - 1]); at--)
			neighbours[at] = neighbours[at - 1];
		neighbours[at] = one;
	}
}

/* The square root of x, which rounding may have made negative. */
static inline float
root(float x)
{
	return x > 0 ? sqrtf(x) : 0;
}

/* The signs of the code of an edge of the node. */
static const uint8_t *
slot_signs(OmendbChooser *chooser, const OmendbRecord *node, uint32_t slot)
{
	uint8_t *signs = chooser->slot_signs + slot * signs_bytes(chooser->codec);
	uint64_t *known = &chooser->slots_known[slot / 64];
	uint64_t bit = UINT64_C(1) << slot % 64;

	if (!(*known & bit))
	{
		omendb_code_signs(&chooser->codec->plan,
						  omendb_record_code(&chooser->codec->layout, node, slot), signs);
		*known |= bit;
	}
	return signs;
}

/*
 * List the neighbours of a record by its codes: distances and lengths. query is set to the node. Returns
 * their number.
 */
static uint32_t
list_edges(const OmendbCodec *codec, const OmendbQuery *query, const OmendbRecord *node,
		   CodedNeighbour *neighbours)
{
	const OmendbLayout *layout = &codec->layout;
	bool ip = layout->metric == OMENDB_METRIC_IP;
	float estimates[OMENDB_ESTIMATES_CAPACITY];
	uint32_t n = node->count < layout->edges ? node->count : layout->edges;

	/* Estimates for the node itself as the query are the distances of its neighbours. */
	omendb_query_estimates(query, node, ip ? -node->norm2 : 0, estimates);
	for (uint32_t i = 0; i < n; i++)
	{
		float b = omendb_edge_slope(layout, node, i);

		neighbours[i].distance = estimates[i];
		/* Inner product: a record has no |r|^2, but b = -|r|^2 / <r, c>. */
		if (ip)
			neighbours[i].length = -b * codec->code_length;
		else
			neighbours[i].length = root(estimates[i]);
		neighbours[i].slot = i;
	}
	return n;
}

/* A node that is no neighbour, whose record is in memory, at that distance. */
static CodedNeighbour
new_neighbour(const OmendbCodec *codec, const OmendbRecord *node, const OmendbRecord *neighbour,
			  float distance, uint32_t slot)
{
	bool ip = codec->layout.metric == OMENDB_METRIC_IP;

	return (CodedNeighbour){
		distance, root(ip ? node->norm2 + neighbour->norm2 + 2 * distance : distance), slot};
}

/*
 * Write the signs of the codes of n neighbours into chooser->signs. Those with a slot of
 * OMENDB_MAX_EDGES or more are no neighbours yet: their records are others[slot - OMENDB_MAX_EDGES].
 */
static void
write_signs(OmendbChooser *chooser, const OmendbRecord *node, const CodedNeighbour *neighbours,
			uint32_t n, const OmendbRecord *const *others)
{
	const OmendbCodec *codec = chooser->codec;
	uint8_t *signs = chooser->signs;

	for (uint32_t i = 0; i < n; i++, signs += signs_bytes(codec))
	{
		uint8_t fresh[OMENDB_MAX_CODE / 8];
		float residual;
		float origin;

		if (neighbours[i].slot < OMENDB_MAX_EDGES)
		{
			memcpy(signs, slot_signs(chooser, node, neighbours[i].slot), signs_bytes(codec));
			continue;
		}
		omendb_kernels.residual_code(
			chooser->own,
			other_in_code_space(chooser, others[neighbours[i].slot - OMENDB_MAX_EDGES]),
			&codec->plan, fresh, &residual, &origin);
		omendb_code_signs(&codec->plan, fresh, signs);
	}
}

/*
 * True if a neighbour of a node is nearer to a farther one than the node is, by their codes, which differ in so
 * many signs. Inner products too: omendb_occlusion_margin.
 */
static inline bool
occludes(const OmendbCodec *codec, const CodedNeighbour *nearer, const CodedNeighbour *farther,
		 uint32_t differ)
{
	/* |f - n|^2 < |f|^2, where f and n are the residuals. A neighbour at the node's own place occludes none. */
	return nearer->length * nearer->length <
		   2 * farther->length * nearer->length * codec->cosines[differ];
}

/*
 * True if two neighbours seem to have the same vector. The occlusion rule keeps one of them, whatever
 * their distances; it does not by itself where both are at the node's own place, or for inner products.
 */
static inline bool
coincide(const CodedNeighbour *a, const CodedNeighbour *b, uint32_t differ)
{
	return differ == 0 && fabsf(a->length - b->length) <= b->length / 1024;
}

/* The place of the first of the least of n > 0 numbers below 2^24. No branch depends on them. */
static inline uint32_t
least_of(const uint32_t *numbers, uint32_t n)
{
	uint32_t a = numbers[0] << 8;
	uint32_t b = a;
	uint32_t i = 1;

	for (; i + 2 <= n; i += 2)
	{
		uint32_t x = numbers[i] << 8 | i;
		uint32_t y = numbers[i + 1] << 8 | (i + 1);

		a = x < a ? x : a;
		b = y < b ? y : b;
	}
	if (i < n && (numbers[i] << 8 | i) < a)
		a = numbers[i] << 8 | i;
	return (a < b ? a : b) & 255;
}

_Static_assert(OMENDB_MAX_EDGES < 256, "a place among the edges and a new neighbour is a byte");

uint32_t
omendb_edge_options(OmendbChooser *chooser, const OmendbQuery *query, const OmendbRecord *node,
					const OmendbRecord *neighbour, float distance, bool forced,
					OmendbEdgeOption options[OMENDB_EDGE_OPTIONS])
{
	const OmendbCodec *codec = chooser->codec;
	const OmendbLayout *layout = &codec->layout;
	size_t bytes = signs_bytes(codec);
	CodedNeighbour neighbours[OMENDB_MAX_EDGES + 1];
	uint32_t differ[OMENDB_MAX_EDGES + 1];
	uint32_t kept[OMENDB_MAX_EDGES + 1]; /* by the occlusion rule, places in neighbours */
	uint32_t narrow
		[OMENDB_EDGE_OPTIONS]; /* bits by which options differ from their occluder, ascending */
	uint32_t nkept = 0;
	uint32_t noptions = 0;
	uint32_t n = list_edges(codec, query, node, neighbours);

	neighbours[n++] = new_neighbour(codec, node, neighbour, distance, OMENDB_MAX_EDGES);
	sort_neighbours(neighbours, n);
	write_signs(chooser, node, neighbours, n, &neighbour);
	for (uint32_t i = 0; i < n; i++)
	{
		const CodedNeighbour *a = &neighbours[i];
		bool occluded = false;
		uint32_t occluder;
		uint32_t at;

		omendb_kernels.hamming_rows(chooser->signs + i * bytes, chooser->signs, bytes, i, differ);
		for (uint32_t k = 0; k < nkept && !occluded; k++)
			occluded = occludes(codec, &neighbours[kept[k]], a, differ[kept[k]]);
		if (!occluded)
			kept[nkept++] = i;
		if (!occluded || (forced && a->slot == OMENDB_MAX_EDGES))
			continue;
		/* An occluded neighbour has a nearer one, so i > 0. */
		occluder = least_of(differ, i);
		for (at = noptions; at > 0 && narrow[at - 1] > differ[occluder]; at--)
			if (at < OMENDB_EDGE_OPTIONS)
			{
				options[at] = options[at - 1];
				narrow[at] = narrow[at - 1];
			}
		if (at == OMENDB_EDGE_OPTIONS)
			continue;
		options[at].slot = a->slot;
		options[at].occluder =
			neighbours[occluder].slot == OMENDB_MAX_EDGES
				? OMENDB_NO_NODE
				: omendb_record_neighbours(layout, node)[neighbours[occluder].slot];
		narrow[at] = differ[occluder];
		if (noptions < OMENDB_EDGE_OPTIONS)
			noptions++;
	}
	if (noptions == 0)
	{
		uint32_t farthest = forced && neighbours[n - 1].slot == OMENDB_MAX_EDGES ? n - 2 : n - 1;

		options[noptions++] = (OmendbEdgeOption){neighbours[farthest].slot, OMENDB_NO_NODE};
	}
	return noptions;
}

uint32_t
omendb_choose_by_codes(OmendbChooser *chooser, const OmendbQuery *query, const OmendbRecord *node,
					   size_t n, uint32_t want,
					   const OmendbRecord *(*record)(void *context,
													 const OmendbSelectCandidate *candidate),
					   void *context, uint16_t *chosen)
{
	const OmendbCodec *codec = chooser->codec;
	size_t bytes = signs_bytes(codec);
	CodedNeighbour all[OMENDB_SELECT_MAX];
	uint32_t differ[OMENDB_SELECT_MAX];
	uint32_t narrow[OMENDB_SELECT_MAX]; /* least bits that differ from a nearer neighbour */
	uint16_t in[OMENDB_SELECT_MAX];     /* neighbours, present and chosen, the nearest first */
	uint16_t occluded[OMENDB_SELECT_MAX];
	uint32_t nin = 0;
	uint32_t noccluded = 0;
	uint32_t nall = list_edges(codec, query, node, all);
	uint32_t nchosen = 0;

	for (uint32_t i = 0; i < n && nall < OMENDB_SELECT_MAX; i++)
	{
		chooser->records[i] = record(context, &chooser->candidates[i]);
		all[nall++] = new_neighbour(codec, node, chooser->records[i],
									chooser->candidates[i].distance, OMENDB_MAX_EDGES + i);
	}
	sort_neighbours(all, nall);
	write_signs(chooser, node, all, nall, chooser->records);

	for (uint32_t i = 0; i < nall && nchosen < want; i++)
	{
		bool is_occluded = false;

		if (all[i].slot < OMENDB_MAX_EDGES)
		{
			in[nin++] = i;
			continue;
		}
		narrow[i] = UINT32_MAX;
		omendb_kernels.hamming_rows(chooser->signs + i * bytes, chooser->signs, bytes, i, differ);
		for (uint32_t k = 0; k < nin; k++)
		{
			const CodedNeighbour *nearer = &all[in[k]];
			uint32_t d = differ[in[k]];

			narrow[i] = d < narrow[i] ? d : narrow[i];
			is_occluded |= occludes(codec, nearer, &all[i], d) || coincide(&all[i], nearer, d);
		}
		if (is_occluded)
			occluded[noccluded++] = i;
		else
		{
			in[nin++] = i;
			chosen[nchosen++] = all[i].slot - OMENDB_MAX_EDGES;
		}
	}
	/* Occluded ones, those with the widest angle to the nearer neighbours first. */
	while (nchosen < want && noccluded > 0)
	{
		const uint8_t *signs;
		uint32_t widest = 0;
		uint32_t last = 0; /* occluded ones that stay */

		for (uint32_t i = 1; i < noccluded; i++)
			if (narrow[occluded[i]] > narrow[occluded[widest]])
				widest = i;
		chosen[nchosen++] = all[occluded[widest]].slot - OMENDB_MAX_EDGES;
		signs = chooser->signs + occluded[widest] * bytes;
		for (uint32_t i = 0; i < noccluded; i++)
		{
			uint32_t at = occluded[i];

			if (i == widest)
				continue;
			if (i > widest)
			{
				uint32_t d =
					(uint32_t) omendb_kernels.hamming(signs, chooser->signs + at * bytes, bytes);

				narrow[at] = d < narrow[at] ? d : narrow[at];
			}
			occluded[last++] = at;
		}
		noccluded = last;
	}
	return nchosen;
}
