/*
 * graph.c
 *	  The graph without a server: builds it in memory from a file of vectors and
 *	  measures recall, visits and time of searches. For work on src/graph and
 *	  src/code; what counts is bench/index.
 *
 * graph BASE.fbin QUERY.fbin TRUTH.ibin METRIC(l2|ip|cosine|l1) [name=value ...]
 *	rows, m, ef_construction, beam, passes, bits (with own: OmendbOwn), ratio (log2), threads, compact, avx2
 */
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "graph/build.h"
#include "kernel/kernel.h"

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec * 1e-9;
}

static double
cpu(void)
{
	struct rusage r;

	getrusage(RUSAGE_SELF, &r);
	return r.ru_utime.tv_sec + r.ru_utime.tv_usec * 1e-6 + r.ru_stime.tv_sec +
		   r.ru_stime.tv_usec * 1e-6;
}

static void *
resize(void *context, void *memory, size_t bytes)
{
	(void) context;
	return realloc(memory, bytes ? bytes : 1);
}

static void
release(void *context, void *memory)
{
	(void) context;
	free(memory);
}

static const OmendbAllocator allocator = {resize, release, NULL};

static void *
load(const char *path, int32_t *n, int32_t *d)
{
	FILE *f = fopen(path, "rb");
	void *data;

	if (!f || fread(n, 4, 1, f) != 1 || fread(d, 4, 1, f) != 1)
	{
		perror(path);
		exit(1);
	}
	data = malloc((size_t) *n * *d * 4);
	if (fread(data, 4, (size_t) *n * *d, f) != (size_t) *n * *d)
	{
		perror(path);
		exit(1);
	}
	fclose(f);
	return data;
}

static int argc_;
static char **argv_;

static double
option(const char *name, double otherwise)
{
	size_t length = strlen(name);

	for (int i = 5; i < argc_; i++)
		if (strncmp(argv_[i], name, length) == 0 && argv_[i][length] == '=')
			return atof(argv_[i] + length + 1);
	return otherwise;
}

typedef struct Work
{
	OmendbBuilder *builder;
	OmendbBuildLevel *level;
	atomic_uint *next;
} Work;

static void *
worker(void *argument)
{
	Work *work = argument;
	uint32_t size = omendb_build_phase_size(work->level);
	uint32_t take = omendb_build_phase_take(work->level);

	for (;;)
	{
		uint32_t from = atomic_fetch_add(work->next, take);

		if (from >= size)
			return NULL;
		if (!omendb_build_chunk(work->builder, work->level, from,
								from + take < size ? from + take : size))
			abort();
	}
}

static void
run_phase(OmendbBuilder **builders, int threads, OmendbBuildLevel *level)
{
	pthread_t ids[64];
	Work work[64];
	atomic_uint next = 0;

	for (int t = 0; t < threads; t++)
	{
		work[t] = (Work){builders[t], level, &next};
		pthread_create(&ids[t], NULL, worker, &work[t]);
	}
	for (int t = 0; t < threads; t++)
		pthread_join(ids[t], NULL);
}

/* A number that tells two graphs apart. */
static uint64_t
graph_hash(const OmendbArray *array)
{
	uint64_t hash = 0;

	for (uint32_t i = 0; i < array->n; i++)
	{
		const OmendbRecord *record = omendb_array_record(array, i);
		const OmendbNode *edges = omendb_record_neighbours(&array->codec->layout, record);

		for (uint32_t k = 0; k < record->count; k++)
			hash = omendb_hash64(hash * 31 + edges[k]);
	}
	return hash;
}

int
main(int argc, char **argv)
{
	int32_t n, d, nq, dq, ng, kg;
	float *base, *queries;
	int32_t *truth;
	OmendbMetric metric;
	OmendbLayout layout;
	OmendbCodec codec;
	OmendbArray array;
	OmendbBuilder *builders[64];
	OmendbNode entry = 0;
	unsigned top = 0;
	uint32_t members;
	OmendbNode first = 0;
	double start, start_cpu;
	int threads;
	float *stored;

	argc_ = argc;
	argv_ = argv;
	if (argc < 5)
		return 1;
	base = load(argv[1], &n, &d);
	queries = load(argv[2], &nq, &dq);
	truth = load(argv[3], &ng, &kg);
	metric = strcmp(argv[4], "l2") == 0   ? OMENDB_METRIC_L2
			 : strcmp(argv[4], "ip") == 0 ? OMENDB_METRIC_IP
			 : strcmp(argv[4], "l1") == 0 ? OMENDB_METRIC_L1
										  : OMENDB_METRIC_COSINE;
	n = (int) option("rows", n) < n ? (int) option("rows", n) : n;
	nq = nq < ng ? nq : ng;
	threads = (int) option("threads", 2);
	omendb_kernels_use(option("avx2", 0) ? OMENDB_SIMD_AVX2
										 : omendb_best_level(omendb_cpu_features()));
	if (!omendb_layout_choose(&layout, metric, d, (int) option("m", 16), option("compact", 0) != 0,
							  8160))
		return 1;
	if (option("bits", 0) > 0 &&
		!omendb_layout_set(&layout, metric, (int) option("own", layout.own), d, layout.m,
						   (int) option("bits", 0), 8160))
		return 1;
	omendb_codec_init(&codec, &layout, 42, malloc(omendb_codec_bytes(&layout) + 1));
	printf("own %d, %u bits, record %u, %u a page (%u bytes a row)\n", layout.own, layout.code_bits,
		   layout.record_bytes, layout.per_page, 8192 / layout.per_page);

	array.codec = &codec;
	array.chunk_shift = 14;
	array.n = 0;
	array.chunks = calloc(1 << 14, sizeof(uint8_t *));
	for (int t = 0; t < threads; t++)
		builders[t] = omendb_builder_create(&array, &allocator);

	start = now();
	start_cpu = cpu();
	stored = malloc((d + 64) * sizeof(float));
	members = n;
	for (unsigned level = 0; members > 0 && level < 15; level++)
	{
		OmendbBuildLevel build = {0};
		uint32_t connected;
		OmendbNode next_first = array.n + members;
		double t0 = now(), c0 = cpu();
		static const char *const names[] = {"",       "search", "merge", "quantize",
											"assign", "leaves", "choose"};
		size_t bytes;

		(void) next_first;
		if (level == 0)
			for (int i = 0; i < n; i++)
			{
				if (!array.chunks[i >> 14])
					array.chunks[i >> 14] = aligned_alloc(4096, omendb_array_stride(&layout) << 14);
				OmendbRecord *record = omendb_array_record(&array, i);

				memset(record, 0, layout.record_bytes);
				record->kind = OMENDB_RECORD_NODE;
				if (!omendb_codec_store(&codec, base + (size_t) i * d, stored))
					continue;
				omendb_own_encode(&codec, stored, record);
				record->ntids = 1;
				array.n = i + 1;
			}
		if (level == 0)
			printf("encode %.2f s, %.2f us a row\n", now() - t0, (cpu() - c0) / n * 1e6);
		build.array = &array;
		build.first = first;
		build.n = members;
		build.level = level;
		build.edges = level == 0 ? layout.edges : layout.m;
		build.options.ef_construction = (uint32_t) option("ef_construction", 64);
		build.options.beam = (uint32_t) option("beam", 2 * option("ef_construction", 64));
		build.options.passes = (uint32_t) option("passes", 1);
		build.options.seed = 7;
		bytes = omendb_build_prepare(&build);
		if (level == 0)
			printf("%.0f bytes a row beside the records\n", (double) bytes / members);
		omendb_build_attach(&build, aligned_alloc(64, (bytes + 63) & ~(size_t) 63));
		for (;;)
		{
			double t1, c1;

			t0 = now();
			c0 = cpu();
			if (!omendb_build_next(builders[0], &build))
				abort();
			if (build.phase == OMENDB_BUILD_DONE)
				break;
			t1 = now();
			c1 = cpu();
			run_phase(builders, threads, &build);
			if (members > 10000)
				printf("  %-8s %6.2f us a row of cpu, %.2f s; before it %.2f s\n",
					   names[build.phase], (cpu() - c1) / members * 1e6, now() - t1, t1 - t0);
		}
		t0 = now();
		if (!omendb_build_connect(builders[0], &build, &connected))
			abort();
		{
			double edges = 0;
			uint32_t next_members = 0;
			uint32_t from = first;

			for (uint32_t i = 0; i < members; i++)
				edges += omendb_array_record(&array, from + i)->count;
			printf("level %u: %u nodes, %.1f edges, %u connected in %.2f s\n", level, members,
				   edges / members, connected, now() - t0);
			entry = omendb_build_entry(&build);
			top = level;
			first = array.n;
			if (option("ratio", 6) > 0 && members > 64)
				for (uint32_t i = 0; i < members; i++)
				{
					OmendbNode node = from + i;

					if ((omendb_hash64(999 + i + level * 77777777) &
						 ((1u << (int) option("ratio", 6)) - 1)) != 0)
						continue;
					if (!array.chunks[array.n >> 14])
						array.chunks[array.n >> 14] =
							aligned_alloc(4096, omendb_array_stride(&layout) << 14);
					OmendbRecord *record = omendb_array_record(&array, array.n);

					memcpy(record, omendb_array_record(&array, node), layout.record_bytes);
					record->level = level + 1;
					record->count = 0;
					record->down = node;
					array.n++;
					next_members++;
				}
			members = next_members;
		}
	}
	printf("build %.2f s, %.0f vectors/s with %d threads; %.2f us a row of cpu; graph %016llx\n",
		   now() - start, n / (now() - start), threads, (cpu() - start_cpu) / n * 1e6,
		   (unsigned long long) graph_hash(&array));
	if (option("flat", 0) != 0)
	{
		entry = (OmendbNode) option("entry", 0);
		top = 0;
	}

	{
		OmendbSearch search;
		OmendbQuery query;
		static const int widths[] = {48, 88, 168, 328}; /* ef 20, 40, 80, 160 */

		omendb_query_init(&query, &codec, malloc(omendb_query_bytes(&codec) + 1));
		omendb_search_init(&search, &omendb_array_ops, &array, &allocator,
						   omendb_layout_is_coded(&layout));
		search.aside.keep = option("aside", 1) != 0;
		for (size_t w = 0; w < sizeof(widths) / sizeof(widths[0]); w++)
		{
			double best = 1e9;
			long hits = 0, visits = 0;

			for (int repeat = 0; repeat < 3; repeat++)
			{
				double t = now();

				hits = visits = 0;
				for (int i = 0; i < nq; i++)
				{
					OmendbNode from[OMENDB_UPPER_BEAM] = {entry};
					uint32_t n = 1;
					OmendbVisited nearest[10];
					int found = 0;

					omendb_query_set(&query, queries + (size_t) i * d);
					for (unsigned level = top; level > 0; level--)
					{
						omendb_search_begin_from(&search, &query, level, OMENDB_UPPER_BEAM, from,
												 n);
						omendb_search_run(&search);
						n = omendb_search_below(&search, OMENDB_UPPER_BEAM, false, from);
						visits += search.visited_used;
					}
					omendb_search_begin_from(&search, &query, 0, widths[w], from, n);
					if (option("settle", 1) != 0)
						omendb_search_settle(&search, 8 * widths[w]);
					else
						omendb_search_run(&search);
					visits += search.visited_used;
					for (size_t v = 0; v < search.visited_used; v++)
					{
						int k;

						if (found == 10 && search.visited[v].distance >= nearest[9].distance)
							continue;
						if (found < 10)
							found++;
						for (k = found - 1;
							 k > 0 && nearest[k - 1].distance > search.visited[v].distance; k--)
							nearest[k] = nearest[k - 1];
						nearest[k] = search.visited[v];
					}
					for (int k = 0; k < found; k++)
						for (int j = 0; j < 10; j++)
							hits += truth[(size_t) i * kg + j] == (int32_t) nearest[k].node;
				}
				t = now() - t;
				best = t < best ? t : best;
			}
			printf("width %3d  recall %.4f  us %6.1f  visits %.0f\n", widths[w], hits / (10.0 * nq),
				   best / nq * 1e6, (double) visits / nq);
		}
	}
	return 0;
}
