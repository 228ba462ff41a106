/*
 * graph_support.h
 *	  Vectors to build graphs of, and what is to be said of a graph.
 */
#ifndef OMENDB_TEST_GRAPH_SUPPORT_H
#define OMENDB_TEST_GRAPH_SUPPORT_H

#include "index_support.h"

/* Of vectors with a center each: `clusters` of them, `spread` around. */
extern void graph_clustered(Random *random, float *out, uint32_t n, uint32_t dimensions,
							uint32_t clusters, double spread);

/* The same as bits: the signs, in as many bytes as each vector has floats. */
extern void graph_to_bits(float *vectors, uint32_t n, uint32_t dimensions);

/* A codec of 64 bits a code; none for plain metrics. */
extern OmendbCodec *graph_codec(OmendbMetric metric, OmendbOwn own, uint32_t dimensions,
								uint32_t m);

/*
 * Of the k nearest by brute force, the share that a search finds. What is as near as
 * the k-th counts as well (bits have many of one distance).
 */
extern double graph_recall(const TestGraph *graph, OmendbNode entry, const float *vectors,
						   uint32_t n, const float *queries, uint32_t nqueries, uint32_t k,
						   uint32_t ef);

/* Edges within the level, each once, none to itself; as many as allowed, and zeros. */
extern bool graph_is_sound(const TestGraph *graph, OmendbNode first, uint32_t n, unsigned level);

/* Are the codes of a built record those of its edges? */
extern bool graph_codes_are_right(const TestGraph *graph, uint32_t n);

/* Not a byte differs. */
extern bool graph_same_records(const TestGraph *a, const TestGraph *b);

#endif /* OMENDB_TEST_GRAPH_SUPPORT_H */
