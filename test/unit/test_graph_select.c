/*
 * test_graph_select.c
 *	  The choice of neighbours: the occlusion rule against one written down
 *	  plainly, and what fills the slots that it leaves.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "graph/link.h"
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
		OmendbSelectInput input = {between, coded ? code_of : NULL, &points, DIM};
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
		OmendbSelectInput input = {between, code_of, &points, DIM};
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
	OmendbSelectInput input = {between, NULL, &points, 8};
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

#define SLOT_DIM 256

/* The slot for a new neighbour: free ones first, then that of one that is occluded. */
static void
test_link_slot(OmendbMetric metric)
{
	const uint32_t n = SLOT_DIM, links = 16;
	const char *name = index_metric_name(metric);
	OmendbCodec *codec = codec_new(metric, OMENDB_OWN_HALF, n, 8, SLOT_DIM);
	OmendbRecord *node = record_new(codec);
	OmendbRecord *others[17];
	OmendbQuery *query = query_new(codec);
	TestAllocator allocator;
	OmendbChooser chooser;
	Random random = {3};
	float center[SLOT_DIM], x[SLOT_DIM], stored[SLOT_DIM], scratch[2 * SLOT_DIM];
	bool free_first = true, twin = true, never = true;
	int far_refused = 0;

	allocator_init(&allocator, -1);
	if (!omendb_chooser_init(&chooser, codec, &allocator.operations))
		return;
	for (int i = 0; i < 17; i++)
		others[i] = record_new(codec);
	for (int turn = 0; turn < 50; turn++)
	{
		random_floats(&random, DIST_NORMAL, center, n);
		omendb_codec_store(codec, center, stored);
		omendb_own_encode(codec, stored, node);
		omendb_chooser_set(&chooser, node);
		omendb_query_set_record(query, node);
		node->count = 0;
		/* Neighbour 11 hides behind neighbour 3: its residual is 1.3 times as long. */
		for (uint32_t i = 0; i < 17; i++)
		{
			static float hidden[SLOT_DIM];
			float distance;

			for (uint32_t k = 0; k < n; k++)
			{
				float r = (float) random_normal(&random) * 0.5f * (i == 16 ? 1.4f : 1);

				if (i == 3)
					hidden[k] = r;
				x[k] = center[k] + (i == 11 ? 1.3f * hidden[k] + 0.05f * r : r);
			}
			omendb_codec_store(codec, x, stored);
			omendb_own_encode(codec, stored, others[i]);
			distance = omendb_own_distance(codec, node, others[i], scratch);
			if (i < links)
			{
				free_first = free_first && omendb_link_slot(&chooser, query, node, links, others[i],
															distance, turn % 2) == i;
				omendb_link_write(&chooser, node, i, 100 + i, others[i], distance);
				node->count = i + 1;
			}
			else
			{
				twin = twin && omendb_link_slot(&chooser, query, node, links, others[i], distance,
												false) == 11;
				never = never && omendb_link_slot(&chooser, query, node, links, others[i], distance,
												  true) < links;
			}
		}
		/* Nothing hides any more; the new one is the farthest. */
		omendb_link_write(&chooser, node, 11, 111, others[0],
						  omendb_own_distance(codec, node, others[0], scratch));
		for (uint32_t k = 0; k < n; k++)
			x[k] = center[k] + (float) random_normal(&random) * 0.5f;
		omendb_codec_store(codec, x, stored);
		omendb_own_encode(codec, stored, others[11]);
		omendb_link_write(&chooser, node, 11, 111, others[11],
						  omendb_own_distance(codec, node, others[11], scratch));
		far_refused += omendb_link_slot(&chooser, query, node, links, others[16],
										omendb_own_distance(codec, node, others[16], scratch),
										false) == OMENDB_MAX_LINKS;
	}
	tap_result(free_first, "%s: a new link takes the first free slot", name);
	tap_result(never, "%s: forced, it takes one", name);
	/* By inner products another one is the nearest, and hides others. */
	if (metric != OMENDB_METRIC_IP)
	{
		tap_result(twin, "%s: then that of a neighbour behind another", name);
		tap_result(far_refused == 50, "%s: or none, where it would be the farthest", name);
	}
	omendb_chooser_free(&chooser);
	tap_result(allocator.live == 0, "%s: the chooser gives its memory back", name);
	for (int i = 0; i < 17; i++)
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
	test_link_slot(OMENDB_METRIC_L2);
	test_link_slot(OMENDB_METRIC_COSINE);
	test_link_slot(OMENDB_METRIC_IP);
	return tap_done();
}
