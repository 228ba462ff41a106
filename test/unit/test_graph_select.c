/*
 * test_graph_select.c
 *	  The choice of neighbours: the occlusion rule against one written down
 *	  plainly, and what fills the slots that it leaves.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "graph/neighbours.h"
#include "index_support.h"
#include "tap.h"

#define MAX_POINTS 400
#define DIM        8

/* Points around a node at the origin. */
typedef struct Points
{
	uint32_t n;
	float at[MAX_POINTS][DIM];
	uint8_t codes[MAX_POINTS][DIM];
	OmendbSelectCandidate candidates[MAX_POINTS];
	uint32_t asked; /* the highest index that was asked for */
} Points;

static int
by_distance(const void *a, const void *b)
{
	const OmendbSelectCandidate *x = a, *y = b;

	return (x->distance > y->distance) - (x->distance < y->distance);
}

/* Squared L2 between candidates. */
static float
between(void *context, uint32_t i, uint32_t j)
{
	Points *points = context;
	const float *a = points->at[points->candidates[i].tag];
	const float *b = points->at[points->candidates[j].tag];
	float sum = 0;

	points->asked = i > points->asked ? i : points->asked;
	for (int k = 0; k < DIM; k++)
		sum += (a[k] - b[k]) * (a[k] - b[k]);
	return sum;
}

static const uint8_t *
code_of(void *context, uint32_t i)
{
	Points *points = context;

	points->asked = i > points->asked ? i : points->asked;
	return points->codes[points->candidates[i].tag];
}

static void
make_points(Points *points, Random *random, uint32_t n, unsigned kinds)
{
	points->n = n;
	points->asked = 0;
	for (uint32_t i = 0; i < n; i++)
	{
		float distance = 0;

		for (int k = 0; k < DIM; k++)
		{
			points->at[i][k] =
				kinds ? (float) random_below(random, kinds) : (float) random_normal(random);
			distance += points->at[i][k] * points->at[i][k];
		}
		random_bytes(random, DIST_NORMAL, points->codes[i], DIM);
		points->candidates[i] = (OmendbSelectCandidate){distance, 10 * i, i};
	}
	qsort(points->candidates, n, sizeof(OmendbSelectCandidate), by_distance);
}

/* Kept unless nearer to one kept before than to the node. */
static uint32_t
naive(Points *points, uint32_t want, bool *kept)
{
	uint32_t used = 0;
	uint32_t n = points->n < OMENDB_SELECT_MAX ? points->n : OMENDB_SELECT_MAX;

	memset(kept, 0, MAX_POINTS);
	for (uint32_t i = 0; i < n && used < want; i++)
	{
		kept[i] = true;
		for (uint32_t k = 0; k < i; k++)
			if (kept[k] && between(points, i, k) < points->candidates[i].distance)
				kept[i] = false;
		used += kept[i];
	}
	return used;
}

static uint32_t
differing(const Points *points, uint32_t i, uint32_t j)
{
	const uint8_t *a = points->codes[points->candidates[i].tag];
	const uint8_t *b = points->codes[points->candidates[j].tag];
	uint32_t bits = 0;

	for (int k = 0; k < DIM; k++)
		bits += (uint32_t) __builtin_popcount(a[k] ^ b[k]);
	return bits;
}

static void
test_rule(bool coded)
{
	static const uint32_t wants[] = {0, 1, 2, 4, 7, 16, 32, 64, 200};
	const char *kind = coded ? "with codes" : "without codes";
	Random random = {1};
	Points points;
	bool all = true, filled = true, ascending = true, nearest = true, limit = true;
	bool some_filled = false, some_full = false;

	for (int turn = 0; turn < 700; turn++)
	{
		uint32_t n =
			turn < 40 ? (uint32_t) turn / 10 : (uint32_t) random_below(&random, MAX_POINTS);
		uint32_t want = wants[random_below(&random, LENGTH(wants))];
		uint32_t looked = n < OMENDB_SELECT_MAX ? n : OMENDB_SELECT_MAX;
		OmendbSelectInput input = {between, coded ? code_of : NULL, &points, DIM, NULL};
		uint16_t *chosen = malloc((want + 1) * sizeof(uint16_t));
		bool kept[MAX_POINTS], taken[MAX_POINTS] = {false};
		uint32_t count, nkept, rest = 0;

		/* One time in four few different points: ties and duplicates. */
		make_points(&points, &random, n, turn % 4 == 0 ? 2 : 0);
		nkept = naive(&points, want, kept);
		points.asked = 0;
		chosen[want] = 0xABCD;
		count = omendb_select(points.candidates, n, want, &input, chosen);

		filled = filled && count == (looked < want ? looked : want);
		limit = limit && chosen[want] == 0xABCD && points.asked < OMENDB_SELECT_MAX;
		for (uint32_t i = 0; i < count; i++)
		{
			ascending = ascending && chosen[i] < looked && (i == 0 || chosen[i - 1] < chosen[i]);
			if (chosen[i] < MAX_POINTS)
				taken[chosen[i]] = true;
		}
		for (uint32_t i = 0; i < n; i++)
			all = all && (!kept[i] || taken[i]);
		/* Without codes: the rest are the nearest of those that are left. */
		for (uint32_t i = 0; i < looked && !coded; i++)
			if (!kept[i])
			{
				nearest = nearest && taken[i] == (rest < count - nkept);
				rest++;
			}
		some_filled = some_filled || (nkept < count && count == want);
		some_full = some_full || (nkept == want && want > 1);
		free(chosen);
	}
	tap_result(all, "%s: what the occlusion rule keeps is chosen", kind);
	tap_result(filled, "%s: the slots are filled as far as candidates go", kind);
	tap_result(ascending, "%s: indices ascend, each once", kind);
	tap_result(limit, "%s: nothing is written or asked beyond the limits", kind);
	if (!coded)
		tap_result(nearest, "%s: filled with the nearest", kind);
	tap_result(some_filled && some_full, "%s: both kinds of cases came up", kind);
}

/* By codes the slots are filled with wide angles rather than with the nearest. */
static void
test_angles(void)
{
	Random random = {2};
	Points points;
	double by_codes = 0, by_distance = 0;
	int better = 0, turns = 0;

	for (int turn = 0; turn < 100; turn++)
	{
		OmendbSelectInput input = {between, code_of, &points, DIM, NULL};
		uint16_t chosen[2][32];
		double least[2] = {0, 0};

		make_points(&points, &random, 200, 0);
		for (int i = 0; i < 200; i++)
			for (int k = 0; k < DIM * 8; k++)
			{
				/* Signs of the point along 64 fixed directions: real angles. */
				float dot = 0;

				for (int c = 0; c < DIM; c++)
					dot += points.at[i][c] *
						   (float) ((int) (omendb_hash64((uint64_t) k * DIM + c + 1) >> 50) - 8192);
				if (k % 8 == 0)
					points.codes[i][k / 8] = 0;
				points.codes[i][k / 8] |= (dot > 0) << (k % 8);
			}
		for (int way = 0; way < 2; way++)
		{
			uint32_t count;

			input.code = way == 0 ? code_of : NULL;
			count = omendb_select(points.candidates, 200, 32, &input, chosen[way]);
			/* Mean over the chosen of the narrowest angle with a nearer one. */
			for (uint32_t i = 1; i < count; i++)
			{
				uint32_t narrowest = 64;

				for (uint32_t k = 0; k < i; k++)
				{
					uint32_t bits = differing(&points, chosen[way][i], chosen[way][k]);

					narrowest = bits < narrowest ? bits : narrowest;
				}
				least[way] += narrowest / (double) count;
			}
		}
		by_codes += least[0];
		by_distance += least[1];
		better += least[0] > least[1];
		turns++;
	}
	tap_diag("narrowest angles: %.2f bits by codes, %.2f by distance", by_codes / turns,
			 by_distance / turns);
	tap_result(better * 10 > turns * 9 && by_codes > by_distance * 1.15,
			   "slots are filled with wide angles");
}

/*
 * A case worked out by hand, in the plane: n1 = (1, 0) is kept; n2 = (1.5, 0.1)
 * is nearer to n1 than to the node; n3 = (0, 2) is not; n4 = (0, 2.1) hides
 * behind n3; n5 = (-3, 0) is kept.
 */
static void
test_by_hand(void)
{
	static const float at[5][2] = {{1, 0}, {1.5f, 0.1f}, {0, 2}, {0, 2.1f}, {-3, 0}};
	static const uint8_t codes[5] = {0x00, 0x01, 0xF0, 0xF1, 0xFF};
	Points points;
	OmendbSelectInput input = {between, NULL, &points, 8, NULL};
	uint16_t chosen[5];
	uint32_t count;

	memset(&points, 0, sizeof(points));
	points.n = 5;
	for (uint32_t i = 0; i < 5; i++)
	{
		points.at[i][0] = at[i][0];
		points.at[i][1] = at[i][1];
		memset(points.codes[i], codes[i], DIM);
		points.candidates[i] =
			(OmendbSelectCandidate){at[i][0] * at[i][0] + at[i][1] * at[i][1], i, i};
	}
	count = omendb_select(points.candidates, 5, 3, &input, chosen);
	tap_result(count == 3 && chosen[0] == 0 && chosen[1] == 2 && chosen[2] == 4,
			   "by hand: three are kept");
	count = omendb_select(points.candidates, 5, 2, &input, chosen);
	tap_result(count == 2 && chosen[0] == 0 && chosen[1] == 2, "by hand: two of them wanted");
	count = omendb_select(points.candidates, 5, 4, &input, chosen);
	tap_result(count == 4 && chosen[0] == 0 && chosen[1] == 1 && chosen[2] == 2 && chosen[3] == 4,
			   "by hand: the nearest is taken back");
	/* Now n2's code equals n1's: n4, which differs in 8 bits, comes back instead. */
	memset(points.codes[1], 0x00, DIM);
	input.code = code_of;
	count = omendb_select(points.candidates, 5, 4, &input, chosen);
	tap_result(count == 4 && chosen[0] == 0 && chosen[1] == 2 && chosen[2] == 3 && chosen[3] == 4,
			   "by hand: the one with the widest angle is taken back");
}

static bool
coincide(void *context, uint32_t i, uint32_t j)
{
	return between(context, i, j) == 0;
}

/*
 * Twenty points where the node is and three elsewhere: of those that coincide
 * one is kept, so that there is room for the others.
 */
static void
test_same(void)
{
	Points points;
	OmendbSelectInput input = {between, NULL, &points, 8, coincide};
	uint16_t chosen[8];
	uint32_t count;

	memset(&points, 0, sizeof(points));
	points.n = 23;
	for (uint32_t i = 0; i < 23; i++)
	{
		if (i >= 20)
			points.at[i][i - 20] = 1;
		points.candidates[i] = (OmendbSelectCandidate){i >= 20, i, i};
	}
	count = omendb_select(points.candidates, 23, 4, &input, chosen);
	tap_result(count == 4 && chosen[0] == 0 && chosen[1] == 20 && chosen[2] == 21 &&
				   chosen[3] == 22,
			   "of candidates that coincide one is kept");
	count = omendb_select(points.candidates, 23, 6, &input, chosen);
	tap_result(count == 6 && chosen[0] == 0 && chosen[1] == 1 && chosen[2] == 2 && chosen[3] == 20,
			   "others only where slots are left");
	input.same = NULL;
	count = omendb_select(points.candidates, 23, 4, &input, chosen);
	tap_result(count == 4 && chosen[3] == 3, "unless they are not said to coincide");
}

#define SLOT_DIM 512

/* Write neighbour `i` of the node: number 100 + i, in slot i. */
static float
write_neighbour(OmendbChooser *chooser, OmendbRecord *node, uint32_t i, OmendbRecord *other,
				const float *x)
{
	float stored[SLOT_DIM], scratch[2 * SLOT_DIM], distance;

	omendb_codec_store(chooser->codec, x, stored);
	omendb_own_encode(chooser->codec, stored, other);
	distance = omendb_own_distance(chooser->codec, node, other, scratch);
	if (i < chooser->codec->layout.edges)
		omendb_edge_write(chooser, node, i, 100 + i, other, distance);
	return distance;
}

/* What a full node gives up for a new neighbour. */
static void
test_edge_options(OmendbMetric metric)
{
	const uint32_t n = SLOT_DIM, edges = 16;
	const char *name = index_metric_name(metric);
	/* Two bits a dimension, and many of them: codes tell what hides without doubt. */
	OmendbCodec *codec = codec_new(metric, metric_own(metric), n, 8, 2 * SLOT_DIM);
	OmendbRecord *node = record_new(codec);
	OmendbRecord *others[17];
	OmendbQuery *query = query_new(codec);
	TestAllocator allocator;
	OmendbChooser chooser;
	OmendbEdgeOption options[OMENDB_EDGE_OPTIONS];
	Random random = {3};
	float center[SLOT_DIM], x[SLOT_DIM], stored[SLOT_DIM];
	float hidden[SLOT_DIM] = {0}, hidden_too[SLOT_DIM] = {0};
	bool order = true, refused = true, forced = true, sane = true, new_hides = true;

	allocator_init(&allocator, -1);
	if (!omendb_chooser_init(&chooser, codec, &allocator.operations))
		return;
	for (int i = 0; i < 17; i++)
		others[i] = record_new(codec);
	for (int turn = 0; turn < 50; turn++)
	{
		float distance = 0;
		uint32_t count;

		random_floats(&random, DIST_NORMAL, center, n);
		omendb_codec_store(codec, center, stored);
		omendb_own_encode(codec, stored, node);
		omendb_chooser_set(&chooser, node);
		omendb_query_set_record(query, node);
		node->count = edges;
		/*
		 * Neighbour 11 hides close behind neighbour 3, and 5 less closely behind
		 * 8. The 17th, which is new, is the farthest but hides behind none.
		 */
		for (uint32_t i = 0; i < 17; i++)
		{
			for (uint32_t k = 0; k < n; k++)
				x[k] = (float) random_normal(&random) * (i == 16 ? 0.7f : 0.5f);
			if (i == 3)
				memcpy(hidden, x, sizeof(x));
			if (i == 5)
				memcpy(hidden_too, x, sizeof(x));
			for (uint32_t k = 0; k < n; k++)
			{
				if (i == 8)
					x[k] = 0.7f * hidden_too[k] + 0.3f * x[k];
				if (i == 11)
					x[k] = 1.3f * hidden[k] + 0.1f * x[k];
				x[k] += center[k];
			}
			distance = write_neighbour(&chooser, node, i, others[i], x);
		}
		count = omendb_edge_options(&chooser, query, node, others[16], distance, false, options);
		/* After normalising, others may hide behind what became shorter. */
		order = order && options[0].slot == 11 && options[0].occluder == 103 &&
				(metric != OMENDB_METRIC_L2 ||
				 (count == 2 && options[1].slot == 5 && options[1].occluder == 108));
		sane = sane && count >= 1 && count <= OMENDB_EDGE_OPTIONS;
		for (uint32_t i = 0; i < count; i++)
		{
			sane = sane && (options[i].slot < edges || options[i].slot == OMENDB_MAX_EDGES) &&
				   (options[i].occluder == OMENDB_NO_NODE ||
					(options[i].occluder >= 100 && options[i].occluder < 116));
			for (uint32_t k = 0; k < i; k++)
				sane = sane && options[k].slot != options[i].slot;
		}

		/* A new one at the very place of neighbour 11, a little farther. */
		for (uint32_t k = 0; k < n; k++)
			x[k] = center[k] + 1.5f * hidden[k];
		distance = write_neighbour(&chooser, node, 16, others[16], x);
		count = omendb_edge_options(&chooser, query, node, others[16], distance, false, options);
		new_hides = new_hides && (options[0].slot == OMENDB_MAX_EDGES ||
								  (count > 1 && options[1].slot == OMENDB_MAX_EDGES));
		count = omendb_edge_options(&chooser, query, node, others[16], distance, true, options);
		forced = forced && count >= 1;
		for (uint32_t i = 0; i < count; i++)
			forced = forced && options[i].slot < edges;

		/* Now none hides. */
		for (uint32_t i = 0; i < 17; i++)
			if (i == 5 || i == 8 || i == 11 || i == 16)
			{
				for (uint32_t k = 0; k < n; k++)
					x[k] = center[k] + (float) random_normal(&random) * (i == 16 ? 0.7f : 0.5f);
				distance = write_neighbour(&chooser, node, i, others[i], x);
			}
		count = omendb_edge_options(&chooser, query, node, others[16], distance, false, options);
		refused = refused && count == 1 && options[0].slot == OMENDB_MAX_EDGES &&
				  options[0].occluder == OMENDB_NO_NODE;
		count = omendb_edge_options(&chooser, query, node, others[16], distance, true, options);
		forced = forced && options[0].slot < edges;
	}
	tap_result(sane, "%s: options are slots, each once", name);
	tap_result(forced, "%s: the new one is no option where it is forced", name);
	/* By inner products another one is the nearest, and hides others. */
	if (metric != OMENDB_METRIC_IP)
	{
		tap_result(order, "%s: given up is what hides behind another, most closely first", name);
		tap_result(new_hides, "%s: also the new one", name);
		tap_result(refused, "%s: and where none hides, the farthest", name);
	}
	omendb_chooser_free(&chooser);
	tap_result(allocator.live == 0, "%s: the chooser gives its memory back", name);
	for (int i = 0; i < 17; i++)
		free(others[i]);
	free(node);
	query_free(query);
	codec_free(codec);
}

/* For omendb_choose_by_codes: the tag is the place. */
static const OmendbRecord *
record_of_tag(void *context, const OmendbSelectCandidate *candidate)
{
	return ((OmendbRecord **) context)[candidate->tag];
}

static bool
is_chosen(const OmendbChooser *chooser, const uint16_t *chosen, uint32_t count, OmendbNode node)
{
	for (uint32_t i = 0; i < count; i++)
		if (chooser->candidates[chosen[i]].node == node)
			return true;
	return false;
}

/* What gets the free slots of a node whose neighbours stay. */
static void
test_choose_by_codes(OmendbMetric metric)
{
	const uint32_t n = SLOT_DIM, neighbours = 12, candidates = 8;
	const char *name = index_metric_name(metric);
	OmendbCodec *codec = codec_new(metric, metric_own(metric), n, 8, 2 * SLOT_DIM);
	OmendbRecord *node = record_new(codec);
	OmendbRecord *others[20];
	OmendbQuery *query = query_new(codec);
	TestAllocator allocator;
	OmendbChooser chooser;
	Random random = {7};
	float center[SLOT_DIM], x[SLOT_DIM], stored[SLOT_DIM], first[20][SLOT_DIM];
	bool once = true, none = true, free_first = true, wide_first = true, all = true,
		 each_once = true;

	allocator_init(&allocator, -1);
	if (!omendb_chooser_init(&chooser, codec, &allocator.operations))
		return;
	for (int i = 0; i < 20; i++)
		others[i] = record_new(codec);
	for (int turn = 0; turn < 50; turn++)
	{
		uint16_t chosen[OMENDB_MAX_EDGES];
		uint32_t count;

		random_floats(&random, DIST_NORMAL, center, n);
		omendb_codec_store(codec, center, stored);
		omendb_own_encode(codec, stored, node);
		omendb_chooser_set(&chooser, node);
		omendb_query_set_record(query, node);
		node->count = neighbours;
		omendb_chooser_reserve(&chooser, candidates);
		/*
		 * Candidates 200 to 202 hide behind the neighbours 0 to 2, less closely each; 203 hides behind
		 * candidate 204, which like all others hides behind none.
		 */
		for (uint32_t i = 0; i < neighbours + candidates; i++)
		{
			uint32_t at = i < neighbours ? i : neighbours + (i - neighbours + 4) % candidates;
			uint32_t behind = at - neighbours == 3 ? neighbours + 4 : at - neighbours;
			float part = at == neighbours ? 0.05f : 0.2f;
			float distance;

			for (uint32_t k = 0; k < n; k++)
				first[at][k] = (float) random_normal(&random) * 0.5f;
			for (uint32_t k = 0; k < n && at >= neighbours && at < neighbours + 4; k++)
				first[at][k] = 1.3f * ((1 - part) * first[behind][k] + part * first[at][k]);
			for (uint32_t k = 0; k < n; k++)
				x[k] = center[k] + first[at][k];
			distance =
				write_neighbour(&chooser, node, at < neighbours ? at : UINT32_MAX, others[at], x);
			if (at >= neighbours)
				chooser.candidates[at - neighbours] =
					(OmendbSelectCandidate){distance, 200 + at - neighbours, at};
		}

		for (uint32_t want = 0; want <= candidates + 1; want++)
		{
			count = omendb_choose_by_codes(&chooser, query, node, candidates, want, record_of_tag,
										   others, chosen);
			none = none && (want > 0 || count == 0);
			all = all && count == (want < candidates ? want : candidates);
			for (uint32_t i = 0; i < count; i++)
				for (uint32_t k = 0; k < i; k++)
					each_once = each_once && chosen[i] != chosen[k];
			for (OmendbNode hidden = 200; hidden < 204; hidden++)
				free_first =
					free_first && (want > 4 || !is_chosen(&chooser, chosen, count, hidden));
			/* Two at the very place of the node: one of them. */
			if (want == 4)
			{
				OmendbSelectCandidate saved[2] = {chooser.candidates[0], chooser.candidates[1]};
				uint8_t own[2][4 * SLOT_DIM + sizeof(OmendbRecord)];

				for (int i = 0; i < 2; i++)
				{
					memcpy(own[i], others[saved[i].tag], codec->layout.neighbours_offset);
					memcpy(others[saved[i].tag], node, codec->layout.neighbours_offset);
					chooser.candidates[i].distance = metric == OMENDB_METRIC_IP ? -node->norm2 : 0;
				}
				count = omendb_choose_by_codes(&chooser, query, node, candidates, 4, record_of_tag,
											   others, chosen);
				once = once && is_chosen(&chooser, chosen, count, saved[0].node) +
									   is_chosen(&chooser, chosen, count, saved[1].node) <
								   2;
				for (int i = 0; i < 2; i++)
					memcpy(others[saved[i].tag], own[i], codec->layout.neighbours_offset);
				chooser.candidates[0] = saved[0];
				chooser.candidates[1] = saved[1];
			}
			/* The closer one hides, the later its turn. */
			if (want == 7)
				wide_first = wide_first && !is_chosen(&chooser, chosen, count, 200);
		}
	}
	tap_result(none && all, "%s: as many slots are filled as there are candidates for", name);
	tap_result(each_once, "%s: each by another one", name);
	tap_result(once, "%s: of two that coincide with the node, by one", name);
	/* By inner products another one is the nearest, and hides others. */
	if (metric != OMENDB_METRIC_IP)
	{
		tap_result(free_first, "%s: at first by those that hide behind none", name);
		tap_result(wide_first, "%s: at last by what hides most closely", name);
	}
	omendb_chooser_free(&chooser);
	tap_result(allocator.live == 0, "%s: the chooser gives its memory back after that", name);
	for (int i = 0; i < 20; i++)
		free(others[i]);
	free(node);
	query_free(query);
	codec_free(codec);
}

int
main(void)
{
	omendb_kernels_use(omendb_best_level(omendb_cpu_features()));
	test_by_hand();
	test_rule(false);
	test_rule(true);
	test_angles();
	test_same();
	test_edge_options(OMENDB_METRIC_L2);
	test_edge_options(OMENDB_METRIC_COSINE);
	test_edge_options(OMENDB_METRIC_IP);
	test_choose_by_codes(OMENDB_METRIC_L2);
	test_choose_by_codes(OMENDB_METRIC_COSINE);
	test_choose_by_codes(OMENDB_METRIC_IP);
	return tap_done();
}
