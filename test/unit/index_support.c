/*
 * index_support.c
 *	  Shared by the tests of src/code and src/graph.
 */
#include "index_support.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_SHIFT 6

const char *
index_metric_name(OmendbMetric metric)
{
	static const char *const names[] = {
		"", "L2", "inner product", "cosine", "L1", "Hamming", "Jaccard",
	};

	return names[metric];
}

bool
metric_is_bits(OmendbMetric metric)
{
	return metric == OMENDB_METRIC_HAMMING || metric == OMENDB_METRIC_JACCARD;
}

bool
metric_is_plain(OmendbMetric metric)
{
	return metric == OMENDB_METRIC_L1 || metric_is_bits(metric);
}

const char *
own_name(OmendbOwn own)
{
	static const char *const names[] = {"",     "halves", "int8",   "bits", "int16",
										"int4", "int2",   "sparse", "int12"};

	return names[own];
}

OmendbOwn
metric_own(OmendbMetric metric)
{
	return metric_is_bits(metric)       ? OMENDB_OWN_BITS
		   : metric == OMENDB_METRIC_L1 ? OMENDB_OWN_HALF
										: OMENDB_OWN_INT16;
}

bool
own_serves(OmendbOwn own, OmendbMetric metric)
{
	return own == metric_own(metric) ||
		   (!metric_is_bits(metric) &&
			(own == OMENDB_OWN_INT8 || own == OMENDB_OWN_INT4 || own == OMENDB_OWN_INT2)) ||
		   (!metric_is_plain(metric) && own == OMENDB_OWN_INT12);
}

size_t
simd_levels(OmendbSimdLevel levels[OMENDB_SIMD_LEVELS])
{
	size_t n = 0;

	for (int level = 0; level < OMENDB_SIMD_LEVELS; level++)
		if (omendb_level_available((OmendbSimdLevel) level, omendb_cpu_features()))
			levels[n++] = (OmendbSimdLevel) level;
	return n;
}

static void *
must(void *memory)
{
	if (!memory)
	{
		fprintf(stderr, "out of memory, or a test asks for a layout that there is not\n");
		abort();
	}
	return memory;
}

/* ---------------------------------------------------------------- codecs */

typedef struct CodecAndMemory
{
	OmendbCodec codec;
	void *memory;
} CodecAndMemory;

OmendbCodec *
codec_of(const OmendbLayout *layout)
{
	CodecAndMemory *made = must(malloc(sizeof(CodecAndMemory)));

	made->memory = must(malloc(omendb_codec_bytes(layout) + (omendb_codec_bytes(layout) == 0)));
	omendb_codec_init(&made->codec, layout, 42, made->memory);
	return &made->codec;
}

OmendbCodec *
codec_new(OmendbMetric metric, OmendbOwn own, uint32_t dimensions, uint32_t m, uint32_t code_bits)
{
	OmendbLayout layout;

	if (!omendb_layout_set(&layout, metric, own, dimensions, m, code_bits, 1 << 20))
		must(NULL);
	return codec_of(&layout);
}

void
codec_free(OmendbCodec *codec)
{
	CodecAndMemory *made = (CodecAndMemory *) codec;

	free(made->memory);
	free(made);
}

OmendbRecord *
record_new(const OmendbCodec *codec)
{
	OmendbRecord *record = must(calloc(1, codec->layout.record_bytes));

	record->kind = OMENDB_RECORD_NODE;
	return record;
}

typedef struct QueryAndMemory
{
	OmendbQuery query;
	void *memory;
} QueryAndMemory;

OmendbQuery *
query_new(const OmendbCodec *codec)
{
	QueryAndMemory *made = must(malloc(sizeof(QueryAndMemory)));

	made->memory = must(malloc(omendb_query_bytes(codec) + (omendb_query_bytes(codec) == 0)));
	omendb_query_init(&made->query, codec, made->memory);
	return &made->query;
}

void
query_free(OmendbQuery *query)
{
	QueryAndMemory *made = (QueryAndMemory *) query;

	free(made->memory);
	free(made);
}

/* Element i of n integers of 12 bits, by the table of layout.h. */
static int
int12_reference(const uint8_t *own, uint32_t n, uint32_t i)
{
	uint32_t half = (n + 1) / 2;
	uint8_t low = i < half ? own[n + i] & 15 : own[n + i - half] >> 4;

	return ((const int8_t *) own)[i] * 16 + low;
}

void
own_reference(const OmendbCodec *codec, const OmendbRecord *record, double *out)
{
	const uint8_t *own = (const uint8_t *) record + 64;

	for (uint32_t i = 0; i < codec->layout.dimensions; i++)
		switch (codec->layout.own)
		{
			case OMENDB_OWN_HALF:
				out[i] = reference_half_to_double(((const OmendbHalf *) own)[i]) * record->scale;
				break;
			case OMENDB_OWN_INT16:
				out[i] = (double) ((const int16_t *) own)[i] * record->scale;
				break;
			case OMENDB_OWN_INT12:
				out[i] = (double) int12_reference(own, codec->layout.dimensions, i) * record->scale;
				break;
			case OMENDB_OWN_INT8:
				out[i] = (double) ((const int8_t *) own)[i] * record->scale;
				break;
			case OMENDB_OWN_INT4:
				out[i] = own[i / 64 * 32 + i % 32] >> (i % 64 < 32 ? 0 : 4) & 15;
				out[i] = (2 * out[i] - 15) * record->scale;
				break;
			default:
				out[i] = own[i / 64 * 16 + i % 16] >> i % 64 / 16 * 2 & 3;
				out[i] = (2 * out[i] - 3) * record->scale;
		}
}

/* ---------------------------------------------------------------- memory */

static void *
resize(void *context, void *memory, size_t bytes)
{
	TestAllocator *allocator = context;

	if (allocator->fail_at >= 0 && allocator->calls >= allocator->fail_at)
		return NULL;
	allocator->calls++;
	allocator->live += memory == NULL;
	return must(realloc(memory, bytes));
}

static void
release(void *context, void *memory)
{
	TestAllocator *allocator = context;

	allocator->live--;
	free(memory);
}

void
allocator_init(TestAllocator *allocator, long fail_at)
{
	*allocator = (TestAllocator){{resize, release, allocator}, 0, fail_at, 0};
}

/* ---------------------------------------------------------------- graphs */

TestGraph *
graph_new(OmendbCodec *codec, uint32_t n)
{
	TestGraph *graph = must(calloc(1, sizeof(TestGraph)));
	size_t bytes = omendb_array_stride(&codec->layout) << CHUNK_SHIFT;

	graph->codec = codec;
	graph->nchunks = (n + (1 << CHUNK_SHIFT) - 1) >> CHUNK_SHIFT;
	graph->array.codec = codec;
	graph->array.chunk_shift = CHUNK_SHIFT;
	graph->array.n = n;
	graph->array.chunks = must(malloc((graph->nchunks + 1) * sizeof(uint8_t *)));
	for (uint32_t i = 0; i < graph->nchunks; i++)
	{
		graph->array.chunks[i] = must(aligned_alloc(64, bytes));
		memset(graph->array.chunks[i], 0, bytes);
	}
	return graph;
}

void
graph_free(TestGraph *graph)
{
	for (uint32_t i = 0; i < graph->nchunks; i++)
		free(graph->array.chunks[i]);
	free(graph->array.chunks);
	free(graph);
}

OmendbRecord *
graph_record(const TestGraph *graph, OmendbNode node)
{
	return omendb_array_record(&graph->array, node);
}

void
graph_set(TestGraph *graph, OmendbNode node, unsigned level, const void *vector)
{
	const OmendbCodec *codec = graph->codec;
	OmendbRecord *record = graph_record(graph, node);

	memset(record, 0, codec->layout.record_bytes);
	record->kind = OMENDB_RECORD_NODE;
	record->level = level;
	record->down = OMENDB_NO_NODE;
	record->overflow = OMENDB_NO_NODE;
	if (metric_is_bits(codec->layout.metric))
		omendb_own_encode_bits(codec, vector, record);
	else
	{
		float *stored = must(malloc(codec->layout.dimensions * sizeof(float)));

		if (!omendb_codec_store(codec, vector, stored))
			must(NULL);
		omendb_own_encode(codec, stored, record);
		free(stored);
	}
}

/* A phase as its workers share it. */
typedef struct Phase
{
	OmendbBuildLevel *level;
	const uint32_t *chunks; /* their first positions, in the order of doing */
	uint32_t nchunks;
	uint32_t chunk;
	uint32_t size;
	uint32_t next; /* taken atomically */
} Phase;

typedef struct Worker
{
	Phase *phase;
	OmendbBuilder *builder;
	bool good;
} Worker;

static void *
work(void *argument)
{
	Worker *worker = argument;
	Phase *phase = worker->phase;
	uint32_t i;

	worker->good = true;
	while ((i = __atomic_fetch_add(&phase->next, 1, __ATOMIC_RELAXED)) < phase->nchunks)
	{
		uint32_t from = phase->chunks[i];
		uint32_t to = from + phase->chunk < phase->size ? from + phase->chunk : phase->size;

		if (!omendb_build_chunk(worker->builder, phase->level, from, to))
			worker->good = false;
	}
	return NULL;
}

#define MAX_THREADS 4

static bool
run_phase(OmendbBuildLevel *level, const BuildOptions *options, OmendbBuilder **builders,
		  Random *random)
{
	Phase phase = {level, NULL, 0, options->chunk, omendb_build_phase_size(level), 0};
	uint32_t *chunks = must(malloc((phase.size / phase.chunk + 1) * sizeof(uint32_t)));
	Worker workers[MAX_THREADS + 1];
	pthread_t threads[MAX_THREADS];
	bool good = true;

	for (uint32_t from = 0; from < phase.size; from += phase.chunk)
		chunks[phase.nchunks++] = from;
	if (options->shuffle)
		for (uint32_t i = phase.nchunks; i > 1; i--)
		{
			uint32_t k = (uint32_t) random_below(random, i);
			uint32_t other = chunks[k];

			chunks[k] = chunks[i - 1];
			chunks[i - 1] = other;
		}
	phase.chunks = chunks;
	for (unsigned i = 0; i <= options->threads; i++)
		workers[i] = (Worker){&phase, builders[i], true};
	for (unsigned i = 0; i < options->threads; i++)
		if (pthread_create(&threads[i], NULL, work, &workers[i + 1]) != 0)
			must(NULL);
	work(&workers[0]);
	for (unsigned i = 0; i < options->threads; i++)
		pthread_join(threads[i], NULL);
	for (unsigned i = 0; i <= options->threads; i++)
		good = good && workers[i].good;
	free(chunks);
	return good;
}

static bool
build_with(TestGraph *graph, const BuildOptions *options, OmendbBuilder **builders,
		   OmendbNode *entry, uint32_t *connected)
{
	const OmendbLayout *layout = &graph->codec->layout;
	OmendbBuildLevel level = {0};
	Random random = {options->shuffle};
	void *memory;
	size_t bytes;
	bool good = true;

	level.array = &graph->array;
	level.first = options->first;
	level.n = options->n;
	level.level = options->level;
	level.edges = options->level == 0 ? layout->edges : layout->m;
	level.options.beam = omendb_layout_is_coded(layout) ? 2 * options->ef + 8 : options->ef;
	level.options.ef_construction = options->ef;
	level.options.passes = options->passes;
	level.options.seed = 7;
	bytes = omendb_build_prepare(&level);
	memory = must(aligned_alloc(64, (bytes + 63) / 64 * 64));
	memset(memory, 0xEE, bytes);
	omendb_build_attach(&level, memory);
	while ((good = good && omendb_build_next(builders[0], &level)) &&
		   level.phase != OMENDB_BUILD_DONE)
		good = run_phase(&level, options, builders, &random);
	*entry = omendb_build_entry(&level);
	*connected = 0;
	if (good && options->connect)
		good = omendb_build_connect(builders[0], &level, connected);
	free(memory);
	return good;
}

bool
graph_build(TestGraph *graph, const BuildOptions *options, TestAllocator *allocator,
			OmendbNode *entry, uint32_t *connected)
{
	TestAllocator own[MAX_THREADS + 1];
	OmendbBuilder *builders[MAX_THREADS + 1];
	bool good = true;
	long live = 0;

	for (unsigned i = 0; i <= options->threads; i++)
	{
		allocator_init(&own[i], -1);
		builders[i] = omendb_builder_create(
			&graph->array, i == 0 && allocator ? &allocator->operations : &own[i].operations);
		good = good && builders[i];
	}
	if (good)
		good = build_with(graph, options, builders, entry, connected);
	for (unsigned i = 0; i <= options->threads; i++)
	{
		if (builders[i])
			omendb_builder_free(builders[i]);
		live += own[i].live;
	}
	if (live != 0)
	{
		fprintf(stderr, "a builder kept %ld pieces of memory\n", live);
		abort();
	}
	return good;
}

uint32_t
graph_reached(const TestGraph *graph, OmendbNode entry, unsigned level)
{
	uint8_t *seen = must(calloc(graph->array.n, 1));
	OmendbNode *stack = must(malloc(graph->array.n * sizeof(OmendbNode)));
	uint32_t used = 0;
	uint32_t reached = 1;

	seen[entry] = 1;
	stack[used++] = entry;
	while (used > 0)
	{
		const OmendbRecord *record = graph_record(graph, stack[--used]);
		const OmendbNode *neighbours = omendb_record_neighbours(&graph->codec->layout, record);

		for (uint32_t i = 0; i < record->count; i++)
		{
			OmendbNode node = neighbours[i];

			if (node >= graph->array.n || seen[node] || graph_record(graph, node)->level != level)
				continue;
			seen[node] = 1;
			reached++;
			stack[used++] = node;
		}
	}
	free(seen);
	free(stack);
	return reached;
}
