/*
 * index_support.h
 *	  What the tests of src/code and src/graph share: codecs, records and queries
 *	  in memory of exactly their size, an allocator that fails when asked to,
 *	  distances in double, and graphs in memory.
 */
#ifndef OMENDB_TEST_INDEX_SUPPORT_H
#define OMENDB_TEST_INDEX_SUPPORT_H

#include "graph/build.h"
#include "kernel_support.h"

/* What the page layer has for records on a page of 8 KB. */
#define TEST_PAGE_BYTES 8160

extern const char *index_metric_name(OmendbMetric metric);
extern bool metric_is_bits(OmendbMetric metric);
extern bool metric_is_plain(OmendbMetric metric);

extern const char *own_name(OmendbOwn own);
/* The most precise kind of own vectors that the metric has. */
extern OmendbOwn metric_own(OmendbMetric metric);
extern bool own_serves(OmendbOwn own, OmendbMetric metric);
/* From the first to the last. */
#define OWN_KINDS(own)                                   \
	(int own = OMENDB_OWN_HALF; own <= OMENDB_OWN_INT12; \
	 own += own == OMENDB_OWN_INT2 ? OMENDB_OWN_INT12 - OMENDB_OWN_INT2 : 1)

/* Run everything once for each level of this machine. */
extern size_t simd_levels(OmendbSimdLevel levels[OMENDB_SIMD_LEVELS]);

/* ---------------------------------------------------------------- codecs */

/* Of any size, not only what fits a page. Stops the program where the layout is refused. */
extern OmendbCodec *codec_new(OmendbMetric metric, OmendbOwn own, uint32_t dimensions, uint32_t m,
							  uint32_t code_bits);
extern OmendbCodec *codec_of(const OmendbLayout *layout);
extern void codec_free(OmendbCodec *codec);

/* A zeroed node of level 0. */
extern OmendbRecord *record_new(const OmendbCodec *codec);

extern OmendbQuery *query_new(const OmendbCodec *codec);
extern void query_free(OmendbQuery *query);

/* The own vector as the format says it is, in double; nothing of the code under test. */
extern void own_reference(const OmendbCodec *codec, const OmendbRecord *record, double *out);

/* ---------------------------------------------------------------- memory */

/* Counts what is out, and says no from one call on. */
typedef struct TestAllocator
{
	OmendbAllocator operations; /* the context is the struct */
	long calls;
	long fail_at; /* the first call to be refused; -1: none */
	long live;
} TestAllocator;

extern void allocator_init(TestAllocator *allocator, long fail_at);

/* ---------------------------------------------------------------- graphs */

typedef struct TestGraph
{
	OmendbCodec *codec;
	OmendbArray array;
	uint32_t nchunks;
} TestGraph;

/* Zeroed nodes; records in chunks of 64, so that graphs have several. */
extern TestGraph *graph_new(OmendbCodec *codec, uint32_t n);
extern void graph_free(TestGraph *graph);
extern OmendbRecord *graph_record(const TestGraph *graph, OmendbNode node);

/* Make the record a node of that level with this vector (dimensions floats, or bits). */
extern void graph_set(TestGraph *graph, OmendbNode node, unsigned level, const void *vector);

typedef struct BuildOptions
{
	OmendbNode first;
	uint32_t n;
	unsigned level;
	uint32_t ef;      /* the beam as the access method makes it */
	uint32_t passes;  /* refining */
	uint32_t chunk;   /* positions a chunk */
	uint64_t shuffle; /* not 0: chunks in an order that depends on it */
	unsigned threads; /* 0: none beside this one */
	bool connect;
} BuildOptions;

/* True unless out of memory; *connected as omendb_build_connect says. */
extern bool graph_build(TestGraph *graph, const BuildOptions *options, TestAllocator *allocator,
						OmendbNode *entry, uint32_t *connected);

/* How many nodes of that level lead from the entry, itself included. */
extern uint32_t graph_reached(const TestGraph *graph, OmendbNode entry, unsigned level);

#endif /* OMENDB_TEST_INDEX_SUPPORT_H */
