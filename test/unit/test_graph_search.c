/*
 * test_graph_search.c
 *	  Best-first search: over a graph that answers as the test wants it to, and
 *	  over records in memory with edges that lead nowhere.
 */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "index_support.h"
#include "tap.h"

/* ---------------------------------------------------------------- a graph of our own */

#define MOCK_EDGES 12

typedef enum Place
{
	IN_MEMORY,
	IN_STORAGE,
	UNDER_WAY /* storage was asked for it */
} Place;

typedef struct Mock
{
	uint32_t n;
	float *distances;
	OmendbNode *edges; /* n * MOCK_EDGES */
	bool *stale;       /* holds no node */
	float noise;       /* of estimates, relative */
	uint32_t every;    /* n-th estimate (or distance) is NaN or infinite; 0: none */
	long visits;
	long scores;
	long prefetches;
	/* Where nodes lie; NULL: all in memory. */
	Place *places;
	long requests; /* calls, of whichever answer */
	long waits;    /* for nodes that storage was not asked for in advance */
	long under_way;
	long most_under_way;
} Mock;

/* The node is looked at, and in memory from then on. */
static void
mock_read(Mock *mock, OmendbNode node)
{
	if (!mock->places)
		return;
	mock->waits += mock->places[node] == IN_STORAGE;
	mock->under_way -= mock->places[node] == UNDER_WAY;
	mock->places[node] = IN_MEMORY;
}

/* Does storage read it? */
static bool
mock_ask(Mock *mock, OmendbNode node)
{
	if (!mock->places || node >= mock->n || mock->places[node] == IN_MEMORY)
		return false;
	if (mock->places[node] == IN_STORAGE)
	{
		mock->places[node] = UNDER_WAY;
		mock->under_way++;
		if (mock->under_way > mock->most_under_way)
			mock->most_under_way = mock->under_way;
	}
	return true;
}

/* The same for a pair in every run; nothing else may depend on when it is asked. */
static float
estimate_of(const Mock *mock, OmendbNode from, OmendbNode to)
{
	uint64_t hash = omendb_hash64(from * UINT64_C(1000003) + to + 1);
	float factor = 1 + mock->noise * ((float) (hash >> 40) / (1 << 23) - 1);

	if (mock->every && hash % mock->every == 0)
		return hash & 1024 ? NAN : INFINITY;
	return mock->distances[to] * factor;
}

static bool
mock_visit(void *store, OmendbNode node, unsigned level, const OmendbQuery *query, OmendbStep *step)
{
	Mock *mock = store;

	(void) query;
	if (node >= mock->n || mock->stale[node] || level != 3)
		return false;
	mock->visits++;
	mock_read(mock, node);
	step->distance = mock->distances[node];
	step->count = MOCK_EDGES;
	memset(&step->payload, 0, sizeof(step->payload));
	step->payload.down = node * 3;
	step->payload.live = node % 3 != 0;
	for (int i = 0; i < MOCK_EDGES; i++)
	{
		OmendbNode to = mock->edges[node * MOCK_EDGES + i];

		step->neighbours[i] = to;
		step->estimates[i] = to < mock->n ? estimate_of(mock, node, to) : 0;
	}
	return true;
}

static bool
mock_distance(void *store, OmendbNode node, unsigned level, const OmendbQuery *query,
			  float *distance)
{
	Mock *mock = store;

	(void) query;
	if (node >= mock->n || mock->stale[node] || level != 3)
		return false;
	mock->scores++;
	mock_read(mock, node);
	*distance = mock->distances[node];
	return true;
}

static bool
mock_prefetch(void *store, OmendbNode node)
{
	((Mock *) store)->prefetches++;
	return mock_ask(store, node);
}

static bool
mock_request(void *store, OmendbNode node)
{
	((Mock *) store)->requests++;
	return mock_ask(store, node);
}

static const OmendbGraphOps mock_ops = {mock_visit, mock_distance, mock_prefetch, mock_request};

/* A ring, so that all is reached, and edges at random. */
static void
mock_make(Mock *mock, Random *random, uint32_t n)
{
	memset(mock, 0, sizeof(*mock));
	mock->n = n;
	mock->distances = malloc(n * sizeof(float));
	mock->edges = malloc((size_t) n * MOCK_EDGES * sizeof(OmendbNode));
	mock->stale = calloc(n, sizeof(bool));
	for (uint32_t i = 0; i < n; i++)
	{
		mock->distances[i] = (float) (1 + random_uniform(random) * 1000);
		mock->edges[i * MOCK_EDGES] = (i + 1) % n;
		for (int k = 1; k < MOCK_EDGES; k++)
			mock->edges[i * MOCK_EDGES + k] = (OmendbNode) random_below(random, n);
	}
}

static void
mock_free(Mock *mock)
{
	free(mock->distances);
	free(mock->edges);
	free(mock->stale);
}

typedef struct Run
{
	TestAllocator allocator;
	OmendbSearch search;
} Run;

static void
run_begin(Run *run, Mock *mock, bool coded, uint32_t width, OmendbNode entry)
{
	allocator_init(&run->allocator, -1);
	omendb_search_init(&run->search, &mock_ops, mock, &run->allocator.operations, coded);
	run->search.aside.keep = true;
	omendb_search_begin(&run->search, NULL, 3, width);
	omendb_search_enter(&run->search, entry);
}

static bool
run_end(Run *run)
{
	omendb_search_free(&run->search);
	return run->allocator.live == 0;
}

static bool
beam_in_order(const OmendbSearch *search)
{
	if (search->beam.used > search->beam.width)
		return false;
	for (uint32_t i = 1; i < search->beam.used; i++)
		if (!(search->beam.candidates[i - 1] < search->beam.candidates[i]))
			return false;
	return true;
}

static bool
visited_once(const OmendbSearch *search, uint32_t n)
{
	bool *seen = calloc(n, sizeof(bool));
	bool good = true;

	for (size_t i = 0; i < search->visited_used; i++)
	{
		OmendbNode node = search->visited[i].node;

		good = good && node < n && !seen[node];
		if (node < n)
			seen[node] = true;
	}
	free(seen);
	return good;
}

/* Are the first visits those of the other, in its order? */
static bool
begins_as(const OmendbSearch *search, const OmendbSearch *other)
{
	if (search->visited_used < other->visited_used)
		return false;
	for (size_t i = 0; i < other->visited_used; i++)
		if (search->visited[i].node != other->visited[i].node)
			return false;
	return true;
}

/* NaN where nothing was visited. */
static float
nearest_distance(const OmendbSearch *search)
{
	const OmendbVisited *nearest;

	return omendb_search_nearest(search, 1, false, &nearest) == 1 ? nearest->distance : NAN;
}

/* Are the nearest ascending, of the asked kind, and is none nearer that is not among them? */
static bool
nearest_are_right(const OmendbSearch *search, uint32_t want, bool live)
{
	const OmendbVisited *nearest[64];
	uint32_t n = omendb_search_nearest(search, want, live, nearest);
	OmendbNode below[OMENDB_UPPER_BEAM];
	uint32_t nbelow = omendb_search_below(
		search, want < OMENDB_UPPER_BEAM ? want : OMENDB_UPPER_BEAM, live, below);
	uint32_t eligible = 0;
	uint32_t nearer = 0;

	if (nbelow != (n < OMENDB_UPPER_BEAM ? n : OMENDB_UPPER_BEAM))
		return false;
	for (uint32_t i = 0; i < nbelow; i++)
		if (below[i] != nearest[i]->payload.down)
			return false;
	for (size_t i = 0; i < search->visited_used; i++)
	{
		const OmendbVisited *visited = &search->visited[i];

		if (live && !visited->payload.live)
			continue;
		eligible++;
		nearer += n > 0 && visited->distance < nearest[n - 1]->distance;
	}
	for (uint32_t i = 0; i < n; i++)
		if ((live && !nearest[i]->payload.live) ||
			(i > 0 && (nearest[i - 1]->distance > nearest[i]->distance ||
					   nearest[i - 1]->node == nearest[i]->node)))
			return false;
	return n == (want < eligible ? want : eligible) && nearer < (n > 0 ? n : 1);
}

/* ---------------------------------------------------------------- the tests */

static void
test_exactness(bool coded)
{
	Random random = {1};
	const char *kind = coded ? "coded" : "plain";
	bool all = true, distances = true, freed = true, noisy = true, order = true;
	bool nearest = true;

	for (int turn = 0; turn < 40; turn++)
	{
		Mock mock;
		Run run;
		uint32_t n = 1 + (uint32_t) random_below(&random, 1500);

		mock_make(&mock, &random, n);
		run_begin(&run, &mock, coded, n, (OmendbNode) random_below(&random, n));
		all = all && omendb_search_run(&run.search) && run.search.visited_used == n &&
			  visited_once(&run.search, n) && mock.visits == n;
		/* What was set aside by codes may have been visited since: widening looks. */
		all =
			all && omendb_search_widen(&run.search, n + 1) && omendb_search_exhausted(&run.search);
		order = order && beam_in_order(&run.search);
		for (size_t i = 0; i < run.search.visited_used; i++)
		{
			const OmendbVisited *visited = &run.search.visited[i];

			distances = distances && visited->distance == mock.distances[visited->node] &&
						visited->payload.down == visited->node * 3 &&
						omendb_search_has_visited(&run.search, visited->node) &&
						nearest_distance(&run.search) <= visited->distance;
		}
		for (uint32_t want = 1; want <= 64; want *= 4)
			nearest = nearest && nearest_are_right(&run.search, want, false) &&
					  nearest_are_right(&run.search, want, true);
		/* A plain search scores every node once. */
		if (!coded)
			all = all && mock.scores == n;
		distances = distances && !omendb_search_has_visited(&run.search, n + 5);
		freed = freed && run_end(&run);

		/* Estimates of one node may differ, and each takes its place. */
		mock.noise = 0.5;
		run_begin(&run, &mock, coded, n * MOCK_EDGES + 1, 0);
		noisy = noisy && omendb_search_run(&run.search) && run.search.visited_used == n &&
				visited_once(&run.search, n);
		freed = freed && run_end(&run);
		mock_free(&mock);
	}
	tap_result(nearest, "%s: the nearest visited ones, dead or only alive", kind);
	tap_result(all, "%s: a beam of all nodes visits all, once", kind);
	tap_result(distances, "%s: with their distances and what the visit told", kind);
	tap_result(order, "%s: the beam is in order", kind);
	tap_result(noisy, "%s: also by noisy estimates", kind);
	tap_result(freed, "%s: all memory is given back", kind);
}

/* The textbook algorithm for a plain search: lists instead of a beam. */
static size_t
naive_search(const Mock *mock, OmendbNode entry, uint32_t width, OmendbNode *order)
{
	bool *scored = calloc(mock->n, sizeof(bool));
	bool *visited = calloc(mock->n, sizeof(bool));
	size_t used = 0;

	scored[entry] = true;
	for (;;)
	{
		OmendbNode best = OMENDB_NO_NODE;
		uint32_t nearer = 0;

		for (uint32_t i = 0; i < mock->n; i++)
			if (scored[i] && !visited[i] &&
				(best == OMENDB_NO_NODE || mock->distances[i] < mock->distances[best]))
				best = i;
		if (best == OMENDB_NO_NODE)
			break;
		for (uint32_t i = 0; i < mock->n; i++)
			nearer += scored[i] && mock->distances[i] < mock->distances[best];
		if (nearer >= width)
			break;
		visited[best] = true;
		order[used++] = best;
		for (int k = 0; k < MOCK_EDGES; k++)
			scored[mock->edges[best * MOCK_EDGES + k]] = true;
	}
	free(scored);
	free(visited);
	return used;
}

static void
test_against_naive(void)
{
	Random random = {2};
	bool plain = true, coded = true;

	for (int turn = 0; turn < 60; turn++)
	{
		Mock mock;
		Run run;
		uint32_t n = 20 + (uint32_t) random_below(&random, 400);
		uint32_t width = 1 + (uint32_t) random_below(&random, 60);
		OmendbNode entry = (OmendbNode) random_below(&random, n);
		OmendbNode *order = malloc(n * sizeof(OmendbNode));
		size_t used;

		mock_make(&mock, &random, n);
		used = naive_search(&mock, entry, width, order);
		run_begin(&run, &mock, false, width, entry);
		omendb_search_run(&run.search);
		plain = plain && run.search.visited_used == used;
		for (size_t i = 0; i < used && plain; i++)
			plain = run.search.visited[i].node == order[i];
		run_end(&run);

		/* Exact estimates: the same, but that the entry stays the nearest of the beam. */
		mock.distances[entry] = 0;
		used = naive_search(&mock, entry, width, order);
		run_begin(&run, &mock, true, width, entry);
		omendb_search_run(&run.search);
		coded = coded && run.search.visited_used == used;
		for (size_t i = 0; i < used && coded; i++)
			coded = run.search.visited[i].node == order[i];
		run_end(&run);
		free(order);
		mock_free(&mock);
	}
	tap_result(plain, "a plain search visits what the textbook's does, in its order");
	tap_result(coded, "so does one by codes whose estimates are exact");
}

/*
 * Does it visit first what a search with a beam of that width does, in its order?
 * Adds to the visits of that one, and to those that it itself makes beyond.
 */
static bool
visits_as_wide(const Run *step, Mock *mock, bool coded, uint32_t width, OmendbNode entry,
			   size_t *wide_total, size_t *extra)
{
	Run wide;
	bool same;

	run_begin(&wide, mock, coded, width, entry);
	omendb_search_run(&wide.search);
	same = begins_as(&step->search, &wide.search) && visited_once(&step->search, mock->n);
	*wide_total += wide.search.visited_used;
	*extra += step->search.visited_used - wide.search.visited_used;
	run_end(&wide);
	return same;
}

/*
 * Widened step by step, a search visits in the same order as one with a wide
 * beam from the start. It may go on a little longer: of the wide beam's places
 * some are taken by what a narrow one had visited and dropped.
 */
static void
test_resume(bool coded)
{
	Random random = {3};
	const char *kind = coded ? "coded" : "plain";
	bool prefix = true, exhausted = true, resumed = false;
	size_t wide_total = 0, extra = 0;

	for (int turn = 0; turn < 60; turn++)
	{
		Mock mock;
		Run step;
		uint32_t n = 500 + (uint32_t) random_below(&random, 1500);
		uint32_t width = 2 + (uint32_t) random_below(&random, 20);
		uint32_t last = width;
		OmendbNode entry = (OmendbNode) random_below(&random, n);

		mock_make(&mock, &random, n);
		mock.noise = coded ? 0.3f : 0;
		run_begin(&step, &mock, coded, width, entry);
		omendb_search_run(&step.search);
		for (int k = 0; k < 4; k++)
		{
			size_t before = step.search.visited_used;

			last = last * 2;
			exhausted = exhausted && !omendb_search_exhausted(&step.search);
			omendb_search_widen(&step.search, last);
			exhausted = exhausted && beam_in_order(&step.search);
			omendb_search_run(&step.search);
			resumed = resumed || step.search.visited_used > before;
		}
		prefix = visits_as_wide(&step, &mock, coded, last, entry, &wide_total, &extra) && prefix;

		/* To the very end, all are visited. */
		for (; last < 20 * n; last *= 2)
		{
			omendb_search_widen(&step.search, last);
			omendb_search_run(&step.search);
		}
		exhausted =
			exhausted && omendb_search_exhausted(&step.search) && step.search.visited_used == n;
		run_end(&step);
		mock_free(&mock);
	}
	tap_diag("%s: widened beams visit %.1f%% more than wide ones", kind,
			 100.0 * (double) extra / (double) wide_total);
	tap_result(prefix && resumed, "%s: a widened beam visits as a wide one, in its order", kind);
	tap_result(extra * 5 < wide_total, "%s: and hardly more", kind);
	tap_result(exhausted, "%s: says when nothing is left, and not before", kind);
}

/* By steps a beam comes to the same, and at its end nothing nearer is left out. */
static void
test_extend(bool coded)
{
	Random random = {11};
	const char *kind = coded ? "coded" : "plain";
	bool prefix = true, nothing_left = true, end = true;
	size_t extra = 0, wide_total = 0;

	for (int turn = 0; turn < 10; turn++)
	{
		Mock mock;
		Run step;
		uint32_t n = 4000 + (uint32_t) random_below(&random, 4000);
		uint32_t width = 1000 + (uint32_t) random_below(&random, 2000);
		OmendbNode entry = (OmendbNode) random_below(&random, n);

		mock_make(&mock, &random, n);
		mock.noise = coded ? 0.3f : 0;
		run_begin(&step, &mock, coded, 10 + (uint32_t) random_below(&random, 500), entry);
		omendb_search_run(&step.search);
		end = end && omendb_search_extend(&step.search, width) && step.search.beam.width == width &&
			  omendb_search_extend(&step.search, 5) && step.search.beam.width == width;
		prefix = visits_as_wide(&step, &mock, coded, width, entry, &wide_total, &extra) && prefix;
		nothing_left = nothing_left && beam_in_order(&step.search);
		for (size_t i = 0; i < step.search.aside.used; i++)
			nothing_left = nothing_left &&
						   omendb_candidate_estimate(step.search.aside.candidates[i]) >=
							   omendb_candidate_estimate(step.search.beam.candidates[width - 1]);
		end = end && omendb_search_extend(&step.search, 20 * n) &&
			  omendb_search_exhausted(&step.search) && step.search.visited_used == n;
		run_end(&step);
		mock_free(&mock);
	}
	tap_result(prefix, "%s: a beam extended by steps visits as a wide one, in its order", kind);
	tap_result(extra * 5 < wide_total, "%s: and hardly more (%zu to %zu)", kind, extra, wide_total);
	tap_result(nothing_left, "%s: and leaves nothing out that is nearer", kind);
	tap_result(end, "%s: to the width asked for, or the end", kind);
}

/* Without keep_aside nothing is remembered, and nothing costs memory. */
static void
test_forgetful(void)
{
	Random random = {4};
	Mock mock;
	Run run;
	size_t visited;

	mock_make(&mock, &random, 1000);
	run_begin(&run, &mock, true, 10, 0);
	run.search.aside.keep = false;
	omendb_search_run(&run.search);
	visited = run.search.visited_used;
	omendb_search_widen(&run.search, 500);
	omendb_search_run(&run.search);
	tap_result(run.search.visited_used == visited && run.search.aside.capacity == 0 &&
				   omendb_search_exhausted(&run.search),
			   "without keep_aside nothing is set aside");
	run_end(&run);
	mock_free(&mock);
}

static int
by_visited_distance(const void *a, const void *b)
{
	float x = (*(const OmendbVisited *const *) a)->distance;
	float y = (*(const OmendbVisited *const *) b)->distance;

	return x < y ? -1 : x > y;
}

/* Of the ten nearest visited nodes, how many the last third of the visits found. */
static int
late_finds(const OmendbSearch *search)
{
	size_t n = search->visited_used;
	const OmendbVisited **order = malloc((n + 1) * sizeof(OmendbVisited *));
	int late = 0;

	for (size_t i = 0; i < n; i++)
		order[i] = &search->visited[i];
	qsort(order, n, sizeof(OmendbVisited *), by_visited_distance);
	for (size_t i = 0; i < n && i < OMENDB_SETTLE; i++)
		late += order[i] - search->visited >= (ptrdiff_t) (n - n / 3);
	free(order);
	return late;
}

/*
 * A search that settles widens its beam by half while three of the ten nearest
 * were found late, and is otherwise one that was widened by hand.
 */
static void
test_settle(void)
{
	Random random = {12};
	bool same = true, capped = true, once = false, again = false, at_most = false;
	bool plain = true;

	for (int turn = 0; turn < 200; turn++)
	{
		Mock mock;
		Run settled, stepped;
		uint32_t n = 500 + (uint32_t) random_below(&random, 1500);
		uint32_t width = 10 + (uint32_t) random_below(&random, 40);
		uint32_t most = width * (1 + (uint32_t) random_below(&random, 4));
		OmendbNode entry = (OmendbNode) random_below(&random, n);

		mock_make(&mock, &random, n);
		mock.noise = turn % 4 * 0.3f;
		run_begin(&settled, &mock, true, width, entry);
		same = same && omendb_search_settle(&settled.search, most);
		run_begin(&stepped, &mock, true, width, entry);
		omendb_search_run(&stepped.search);
		while (stepped.search.beam.width < most && late_finds(&stepped.search) >= 3 &&
			   !omendb_search_exhausted(&stepped.search))
		{
			uint32_t next = stepped.search.beam.width + stepped.search.beam.width / 2;

			omendb_search_widen(&stepped.search, next < most ? next : most);
			omendb_search_run(&stepped.search);
		}
		same = same && settled.search.beam.width == stepped.search.beam.width &&
			   settled.search.visited_used == stepped.search.visited_used;
		for (size_t i = 0; i < stepped.search.visited_used && same; i++)
			same = settled.search.visited[i].node == stepped.search.visited[i].node;
		capped = capped && settled.search.beam.width <= most;
		once = once || (settled.search.beam.width == width && most > width);
		again = again || (settled.search.beam.width > width && settled.search.beam.width < most);
		at_most = at_most || (settled.search.beam.width == most && most > width);
		run_end(&settled);
		run_end(&stepped);

		run_begin(&settled, &mock, true, width, entry);
		settled.search.visit_limit = 15;
		omendb_search_settle(&settled.search, most);
		capped = capped && settled.search.visited_used <= 15;
		run_end(&settled);

		run_begin(&settled, &mock, false, width, entry);
		omendb_search_settle(&settled.search, most);
		plain = plain && settled.search.beam.width == width;
		run_end(&settled);
		mock_free(&mock);
	}
	tap_result(same, "a search that settles widens while near nodes are found late");
	tap_result(once && again && at_most, "sometimes not at all, sometimes as far as it may");
	tap_result(capped, "but never beyond that, nor beyond visit_limit");
	tap_result(plain, "where estimates are distances it does not");
}

/* The k-th of the nearest live nodes visited; infinite if there are fewer. */
static float
live_distance(const OmendbSearch *search, uint32_t k)
{
	const OmendbVisited **nearest = malloc(k * sizeof(OmendbVisited *));
	uint32_t n = omendb_search_nearest(search, k, true, nearest);
	float distance = n < k ? INFINITY : nearest[k - 1]->distance;

	free(nearest);
	return distance;
}

/* The estimate of the candidate of the beam that is visited next; infinite if there is none. */
static float
next_of_beam(const Mock *mock, const OmendbSearch *search)
{
	for (uint32_t i = search->beam.cursor; i < search->beam.used; i++)
	{
		OmendbCandidate candidate = search->beam.candidates[i];
		OmendbNode node = omendb_candidate_node(candidate);

		if (!(candidate & OMENDB_VISITED) && node < mock->n && !mock->stale[node] &&
			!omendb_search_has_visited(search, node))
			return omendb_candidate_estimate(candidate);
	}
	return INFINITY;
}

/*
 * A search that has enough rests where one that visits node by node first finds the next candidate of
 * the beam 1.2 times as far as the last of the wanted nodes, and not before `least` visits. It goes on as if it had not rested.
 */
static void
test_enough(void)
{
	Random random = {14};
	bool same = true, goes_on = true, settles = true, rested = false, used_up = false;
	bool unsettled = false;

	for (int turn = 0; turn < 300; turn++)
	{
		Mock mock;
		Run run, stepped;
		uint32_t n = 500 + (uint32_t) random_below(&random, 1500);
		uint32_t width = 20 + (uint32_t) random_below(&random, 100);
		uint32_t wanted = 1 + (uint32_t) random_below(&random, 20);
		size_t least = random_below(&random, 60);
		OmendbNode entry = (OmendbNode) random_below(&random, n);

		mock_make(&mock, &random, n);
		mock.noise = turn % 4 * 0.1f;
		run_begin(&run, &mock, true, width, entry);
		same = same && omendb_search_set_enough(&run.search, wanted, least) &&
			   omendb_search_run(&run.search);
		run_begin(&stepped, &mock, true, width, entry);
		for (stepped.search.visit_limit = 1; omendb_search_run(&stepped.search);
			 stepped.search.visit_limit++)
			if (stepped.search.visited_used < stepped.search.visit_limit ||
				(stepped.search.visited_used >= least &&
				 next_of_beam(&mock, &stepped.search) >=
					 1.2F * live_distance(&stepped.search, wanted)))
				break;
		same = same && run.search.visited_used == stepped.search.visited_used;
		rested = rested || run.search.enough.reached;
		used_up = used_up || !run.search.enough.reached;

		/* More is wanted: what was visited counts. Then all of the beam. */
		omendb_search_set_enough(&run.search, wanted * 2, least);
		omendb_search_run(&run.search);
		stepped.search.visit_limit = SIZE_MAX;
		omendb_search_set_enough(&stepped.search, wanted * 2, least);
		omendb_search_run(&stepped.search);
		goes_on = goes_on && run.search.visited_used == stepped.search.visited_used;
		omendb_search_set_enough(&run.search, 0, 0);
		omendb_search_run(&run.search);
		run_end(&stepped);
		run_begin(&stepped, &mock, true, width, entry);
		omendb_search_run(&stepped.search);
		goes_on = goes_on && run.search.visited_used == stepped.search.visited_used;
		for (size_t i = 0; i < stepped.search.visited_used && goes_on; i++)
			goes_on = run.search.visited[i].node == stepped.search.visited[i].node;
		run_end(&run);
		run_end(&stepped);

		/* A search that settles does not rest while it still finds near nodes. */
		run_begin(&run, &mock, true, width, entry);
		omendb_search_set_enough(&run.search, wanted, least);
		omendb_search_run(&run.search);
		run_begin(&stepped, &mock, true, width, entry);
		omendb_search_set_enough(&stepped.search, wanted, least);
		omendb_search_settle(&stepped.search, width);
		if (run.search.enough.reached && late_finds(&run.search) >= 3)
		{
			unsettled = true;
			settles = settles && !stepped.search.enough.reached;
		}
		else
			settles = settles && stepped.search.visited_used == run.search.visited_used;
		run_end(&run);
		run_end(&stepped);
		mock_free(&mock);
	}
	tap_result(same, "a search rests as soon as it has enough");
	tap_result(rested && used_up,
			   "where candidates are far, and not where its beam is used up first");
	tap_result(goes_on, "then it goes on as if it had not rested");
	tap_result(settles && unsettled, "it does not rest while near nodes are found late");
}

static void
test_visit_limit(bool coded)
{
	Random random = {5};
	const char *kind = coded ? "coded" : "plain";
	Mock mock;
	Run run, whole;
	bool limited = true, same;

	mock_make(&mock, &random, 1000);
	mock.noise = 0.2f;
	run_begin(&whole, &mock, coded, 100, 0);
	omendb_search_run(&whole.search);
	run_begin(&run, &mock, coded, 100, 0);
	for (size_t limit = 0; limit <= whole.search.visited_used; limit += 7)
	{
		run.search.visit_limit = limit;
		limited = limited && omendb_search_run(&run.search) && run.search.visited_used == limit &&
				  !omendb_search_exhausted(&run.search);
	}
	tap_result(limited, "%s: the search rests at visit_limit", kind);
	run.search.visit_limit = SIZE_MAX;
	omendb_search_run(&run.search);
	same = run.search.visited_used == whole.search.visited_used;
	for (size_t i = 0; i < whole.search.visited_used && same; i++)
		same = run.search.visited[i].node == whole.search.visited[i].node;
	tap_result(same, "%s: and goes on as if it had not", kind);
	run_end(&run);
	run_end(&whole);
	mock_free(&mock);
}

/* One search after another in the same memory. */
static void
test_reuse(bool coded)
{
	Random random = {6};
	Mock mock;
	Run run, fresh;
	bool same = true;

	mock_make(&mock, &random, 800);
	mock.noise = 0.1f;
	run_begin(&run, &mock, coded, 200, 0);
	omendb_search_run(&run.search);
	for (int turn = 0; turn < 20; turn++)
	{
		OmendbNode entry = (OmendbNode) random_below(&random, 800);
		uint32_t width = 1 + (uint32_t) random_below(&random, 300);
		long before = run.allocator.calls;

		omendb_search_begin(&run.search, NULL, 3, width);
		omendb_search_enter(&run.search, entry);
		omendb_search_run(&run.search);
		run_begin(&fresh, &mock, coded, width, entry);
		omendb_search_run(&fresh.search);
		same = same && run.search.visited_used == fresh.search.visited_used;
		for (size_t i = 0; i < fresh.search.visited_used && same; i++)
			same = run.search.visited[i].node == fresh.search.visited[i].node;
		same = same && omendb_search_bytes(&run.search) == omendb_search_bytes(&fresh.search);
		same = same && (turn < 15 || run.allocator.calls == before || width > 200);
		run_end(&fresh);
	}
	tap_result(same, "%s: a search knows nothing of the one before", coded ? "coded" : "plain");
	tap_result(omendb_search_bytes(&run.search) > 0 && run_end(&run), "%s: and leaves nothing",
			   coded ? "coded" : "plain");
	mock_free(&mock);
}

/* A candidate's number orders as estimate and node do, and gives both back. */
static void
test_candidates(void)
{
	static const float ascending[] = {-INFINITY, -FLT_MAX,     -1.5f,   -FLT_MIN, -FLT_TRUE_MIN,
									  0,         FLT_TRUE_MIN, FLT_MIN, 1,        1.00000012f,
									  FLT_MAX,   INFINITY};
	static const OmendbNode nodes[] = {0, 1, 12345, INT32_MAX};
	OmendbCandidate last = 0;
	bool order = true, same = true;

	for (size_t i = 0; i < sizeof(ascending) / sizeof(ascending[0]); i++)
		for (size_t k = 0; k < sizeof(nodes) / sizeof(nodes[0]); k++)
		{
			OmendbCandidate candidate = omendb_candidate(ascending[i], nodes[k]);

			order = order && (i + k == 0 || (last | OMENDB_VISITED) < candidate);
			same = same && omendb_candidate_estimate(candidate) == ascending[i] &&
				   omendb_candidate_node(candidate | OMENDB_VISITED) == nodes[k] &&
				   !(candidate & OMENDB_VISITED);
			last = candidate;
		}
	tap_result(order, "candidates order by estimate, then node, visited or not");
	tap_result(same, "and say both");
}

static void
test_several_entries(bool coded)
{
	Random random = {7};
	Mock mock;
	Run run;

	mock_make(&mock, &random, 300);
	/* Three islands: each node leads only to itself and the next two of its hundred. */
	for (uint32_t i = 0; i < 300; i++)
		for (int k = 0; k < MOCK_EDGES; k++)
			mock.edges[i * MOCK_EDGES + k] = i / 100 * 100 + (i % 100 + (uint32_t) k % 3) % 100;
	run_begin(&run, &mock, coded, 400, 5);
	omendb_search_enter(&run.search, 250);
	omendb_search_enter(&run.search, 5);
	omendb_search_enter(&run.search, 5000); /* none such */
	omendb_search_run(&run.search);
	tap_result(run.search.visited_used == 200 && visited_once(&run.search, 300) &&
				   !omendb_search_has_visited(&run.search, 150),
			   "%s: a search may start from several nodes", coded ? "coded" : "plain");
	omendb_search_begin_from(&run.search, NULL, 3, 400, (OmendbNode[]){5, 250, 5, 5000, 120}, 4);
	omendb_search_run(&run.search);
	tap_result(run.search.visited_used == 200 && visited_once(&run.search, 300) &&
				   !omendb_search_has_visited(&run.search, 150),
			   "%s: and take all of them at once", coded ? "coded" : "plain");
	run_end(&run);
	mock_free(&mock);
}

/* Not numbers among distances and estimates: last, and the rest is found all the same. */
static void
test_not_numbers(bool coded)
{
	Random random = {8};
	const char *kind = coded ? "coded" : "plain";
	bool order = true, all = true, nearest = true, narrow = true;

	for (int turn = 0; turn < 40; turn++)
	{
		Mock mock;
		Run run;
		uint32_t n = 300 + (uint32_t) random_below(&random, 700);
		float best = INFINITY;

		mock_make(&mock, &random, n);
		mock.noise = 0.2f;
		mock.every = 5;
		for (uint32_t i = 0; i < n; i++)
		{
			if (i % 7 == 0)
				mock.distances[i] = i % 2 ? NAN : INFINITY;
			else if (mock.distances[i] < best)
				best = mock.distances[i];
		}
		run_begin(&run, &mock, coded, n * MOCK_EDGES + 1, 0);
		omendb_search_run(&run.search);
		order = order && beam_in_order(&run.search);
		all = all && run.search.visited_used == n && visited_once(&run.search, n);
		nearest = nearest && nearest_distance(&run.search) == best;
		for (size_t i = 0; i < run.search.visited_used; i++)
			nearest = nearest && !isnan(run.search.visited[i].distance);
		run_end(&run);

		run_begin(&run, &mock, coded, 15, 0);
		for (uint32_t width = 15; width < 20 * n; width *= 2)
		{
			omendb_search_widen(&run.search, width);
			omendb_search_run(&run.search);
			narrow = narrow && beam_in_order(&run.search);
		}
		narrow = narrow && run.search.visited_used == n && visited_once(&run.search, n);
		run_end(&run);
		mock_free(&mock);
	}
	tap_result(order, "%s: NaN and infinities do not break the beam's order", kind);
	tap_result(all, "%s: their nodes are visited", kind);
	tap_result(nearest, "%s: a number is nearer than they are", kind);
	tap_result(narrow, "%s: also set aside and back", kind);
}

/* Storage is asked for much in advance, memory only for the next two. */
static void
test_storage(bool coded)
{
	const uint32_t n = 3000;
	Random random = {11};
	const char *kind = coded ? "coded" : "plain";
	Place *places = malloc(n * sizeof(Place));
	bool no_requests = true, same = true, ahead = true, few = true, back = true;
	long looked_at = 0, waits = 0;

	for (int turn = 0; turn < 20; turn++)
	{
		Mock mock;
		Run memory, storage;
		long requests;

		mock_make(&mock, &random, n);
		mock.noise = 0.2f;
		run_begin(&memory, &mock, coded, 60, 0);
		omendb_search_run(&memory.search);
		no_requests = no_requests && mock.requests == 0 && mock.prefetches > 0;

		for (uint32_t i = 0; i < n; i++)
			places[i] = IN_STORAGE;
		mock.places = places;
		mock.visits = mock.scores = 0;
		run_begin(&storage, &mock, coded, 60, 0);
		omendb_search_run(&storage.search);
		same = same && begins_as(&storage.search, &memory.search) &&
			   begins_as(&memory.search, &storage.search);
		looked_at += coded ? mock.visits : mock.scores;
		waits += mock.waits;
		ahead = ahead && mock.most_under_way >= 10;
		/* Beside 16 of the beam, those that nearer ones drove out of it. */
		few = few && mock.under_way < (coded ? mock.visits : 1);

		/* All in memory: the next step sees it. */
		for (uint32_t i = 0; i < n; i++)
			places[i] = IN_MEMORY;
		requests = mock.requests;
		omendb_search_begin_from(&storage.search, NULL, 3, 60, (OmendbNode[]){0}, 1);
		omendb_search_run(&storage.search);
		back = back && requests > 0 && mock.requests - requests <= 16;
		run_end(&memory);
		run_end(&storage);
		mock_free(&mock);
	}
	tap_result(no_requests, "%s: where all is in memory nobody asks storage", kind);
	tap_result(same, "%s: where nodes lie changes no visit", kind);
	tap_result(ahead, "%s: storage has at least 10 to read at a time", kind);
	tap_result(waits * 5 < looked_at, "%s: most are asked for in advance (%ld of %ld are not)",
			   kind, waits, looked_at);
	tap_result(few, "%s: fewer are asked for in vain than are visited", kind);
	tap_result(back, "%s: and nobody asks again when all came into memory", kind);
	free(places);
}

/* From every point on: false, and nothing is lost. */
static void
test_out_of_memory(bool coded)
{
	Random random = {9};
	const char *kind = coded ? "coded" : "plain";
	Mock mock;
	bool refused = true, freed = true, succeeded = false;
	long k;

	mock_make(&mock, &random, 3000);
	mock.noise = 0.2f;
	for (k = 0; !succeeded && k < 1000; k++)
	{
		TestAllocator allocator;
		OmendbSearch search;
		bool good;

		allocator_init(&allocator, k);
		omendb_search_init(&search, &mock_ops, &mock, &allocator.operations, coded);
		search.aside.keep = true;
		good = omendb_search_begin(&search, NULL, 3, 20) &&
			   (!coded || omendb_search_set_enough(&search, 10, 100)) &&
			   omendb_search_enter(&search, 0) && omendb_search_run(&search) &&
			   omendb_search_widen(&search, 900) && omendb_search_run(&search) &&
			   omendb_search_begin(&search, NULL, 3, 5000) && omendb_search_enter(&search, 0) &&
			   omendb_search_run(&search);
		omendb_search_free(&search);
		freed = freed && allocator.live == 0;
		/* It is false if and only if a call was refused. */
		if (good)
			succeeded = true;
		else
			refused = refused && allocator.calls == k;
	}
	tap_result(succeeded && refused && k > 8, "%s: out of memory is told (%ld places)", kind, k);
	tap_result(freed, "%s: and nothing leaks", kind);
	mock_free(&mock);
}

/* ---------------------------------------------------------------- records */

/* Edges of every wrong kind are passed over, as long as there are right ones. */
static void
test_stale_edges(OmendbMetric metric)
{
	const uint32_t n = 300;
	Random random = {10};
	OmendbCodec *codec =
		metric == OMENDB_METRIC_HAMMING
			? codec_new(metric, OMENDB_OWN_BITS, 200, 8, 0)
			: codec_new(metric, metric_own(metric), 32, 8, metric == OMENDB_METRIC_L1 ? 0 : 64);
	TestGraph *graph = graph_new(codec, n);
	BuildOptions options = {.n = n, .ef = 40, .passes = 1, .chunk = 64, .connect = true};
	OmendbQuery *query = query_new(codec);
	TestAllocator allocator;
	OmendbSearch search;
	OmendbNode entry;
	uint32_t connected, live = 0;
	float x[64];
	bool good, none = true;

	for (uint32_t i = 0; i < n; i++)
	{
		random_floats(&random, DIST_NORMAL, x, 64);
		graph_set(graph, i, 0, x);
	}
	graph_build(graph, &options, NULL, &entry, &connected);

	/* One in four changes into something else; some edges lead beyond the end. */
	for (uint32_t i = 0; i < n; i++)
	{
		OmendbRecord *record = graph_record(graph, i);
		OmendbNode *neighbours = omendb_record_neighbours(&codec->layout, record);

		if (record->count > 6)
		{
			neighbours[0] = n;
			neighbours[2] = OMENDB_MAX_NODE;
			neighbours[3] = n + 100000;
		}
		if (i == entry)
			continue;
		if (i % 4 == 1)
			record->kind = i % 8 == 1 ? OMENDB_RECORD_FREE : OMENDB_RECORD_OVERFLOW;
		else if (i % 4 == 2)
			record->level = 1;
	}
	allocator_init(&allocator, -1);
	omendb_search_init(&search, &omendb_array_ops, &graph->array, &allocator.operations,
					   omendb_layout_is_coded(&codec->layout));
	if (metric == OMENDB_METRIC_HAMMING)
		omendb_query_set_bits(query, (uint8_t *) x);
	else
		omendb_query_set(query, x);
	good = omendb_search_begin(&search, query, 0, 8 * n) && omendb_search_enter(&search, entry) &&
		   omendb_search_run(&search);
	for (uint32_t i = 0; i < n; i++)
		live += graph_record(graph, i)->kind == OMENDB_RECORD_NODE &&
				graph_record(graph, i)->level == 0;
	for (size_t i = 0; i < search.visited_used; i++)
	{
		OmendbNode node = search.visited[i].node;

		good = good && node < n && graph_record(graph, node)->kind == OMENDB_RECORD_NODE &&
			   graph_record(graph, node)->level == 0;
		good = good && search.visited[i].distance ==
						   omendb_query_distance(query, graph_record(graph, node));
	}
	tap_result(good && search.visited_used * 10 >= live * 9 && visited_once(&search, n),
			   "%s: stale edges are passed over (%zu of %u visited)", index_metric_name(metric),
			   search.visited_used, live);

	/* An entry that is none. */
	for (int k = 0; k < 3; k++)
	{
		OmendbNode wrong = k == 0 ? n : k == 1 ? (entry == 1 ? 5 : 1) : (entry == 2 ? 6 : 2);

		omendb_search_begin(&search, query, 0, 10);
		none = none && omendb_search_enter(&search, wrong) && omendb_search_run(&search) &&
			   search.visited_used == 0 && isnan(nearest_distance(&search));
	}
	tap_result(none, "%s: from a stale entry nothing is found", index_metric_name(metric));

	/* What a visit copies. */
	graph_record(graph, entry)->flags = OMENDB_RECORD_DEAD;
	graph_record(graph, entry)->ntids = 200;
	graph_record(graph, entry)->version = 77;
	memset(graph_record(graph, entry)->tids, 9, OMENDB_INLINE_TIDS * OMENDB_TID_BYTES);
	omendb_search_begin(&search, query, 0, 10);
	omendb_search_enter(&search, entry);
	search.visit_limit = 1;
	omendb_search_run(&search);
	tap_result(search.visited_used == 1 && search.visited[0].node == entry &&
				   !search.visited[0].payload.live &&
				   search.visited[0].payload.ntids == OMENDB_INLINE_TIDS &&
				   search.visited[0].payload.version == 77 &&
				   search.visited[0].payload.tids[OMENDB_INLINE_TIDS * OMENDB_TID_BYTES - 1] == 9,
			   "%s: a visit copies what the record says", index_metric_name(metric));
	omendb_search_free(&search);
	query_free(query);
	graph_free(graph);
	codec_free(codec);
}

int
main(void)
{
	omendb_kernels_use(omendb_best_level(omendb_cpu_features()));
	for (int coded = 1; coded >= 0; coded--)
	{
		test_exactness(coded);
		test_resume(coded);
		test_visit_limit(coded);
		test_reuse(coded);
		test_several_entries(coded);
		test_extend(coded);
		test_not_numbers(coded);
		test_storage(coded);
		test_out_of_memory(coded);
	}
	test_candidates();
	test_against_naive();
	test_forgetful();
	test_settle();
	test_enough();
	test_stale_edges(OMENDB_METRIC_L2);
	test_stale_edges(OMENDB_METRIC_L1);
	test_stale_edges(OMENDB_METRIC_HAMMING);
	return tap_done();
}
