/*
 * test_kernel_sparse.c
 *	  Sums over sparse vectors against plain loops over dense ones, and which
 *	  elements a threshold keeps.
 */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/sparse.h"
#include "kernel_support.h"
#include "tap.h"

#define MAX_ELEMENTS 16000

typedef struct Sparse
{
	uint32_t indices[MAX_ELEMENTS];
	int16_t values[MAX_ELEMENTS];
	OmendbSparseList list;
} Sparse;

static Sparse a;
static Sparse b;
static double dense_a[65536];
static double dense_b[65536];

/* n ascending indices of the first `space`, all multiples of `step`; values not 0. */
static void
make_sparse(Random *random, Sparse *sparse, double *dense, uint32_t n, uint32_t space,
			uint32_t step, float scale)
{
	uint32_t left = n;

	memset(dense, 0, sizeof(dense_a));
	for (uint32_t i = 0; i < space && left > 0; i++)
		if (random_below(random, space - i) < left)
		{
			uint32_t at = n - left--;
			int16_t value = (int16_t) (random_below(random, 65535) - 32767);

			sparse->indices[at] = i * step;
			sparse->values[at] = value == 0 ? 1 : value;
			dense[i] = (double) sparse->values[at] * scale;
		}
	sparse->list = (OmendbSparseList){sparse->indices, sparse->values, n, scale};
}

static bool
is_near(double is, double should, double magnitude)
{
	return fabs(is - should) <= 1e-12 * magnitude + DBL_MIN;
}

static void
test_sums(void)
{
	static const uint32_t sizes[] = {0, 1, 2, 3, 10, 100, 1000, 4000, 4001, 16000};
	static const float scales[] = {1, 0.1f, 1e-30f, 1e30f};
	size_t bytes = omendb_sparse_table_bytes(MAX_ELEMENTS);
	uint8_t *memory = malloc(bytes);
	OmendbSparseTable table;
	Random random = {1};
	bool dots = true, l1s = true, pair_dots = true, pair_l1s = true, norms = true;
	unsigned common = 0;

	omendb_sparse_table_init(&table, MAX_ELEMENTS, memory);
	for (size_t i = 0; i < LENGTH(sizes); i++)
		for (size_t k = 0; k < LENGTH(sizes); k++)
			for (size_t s = 0; s < LENGTH(scales); s++)
			{
				uint32_t most = sizes[i] > sizes[k] ? sizes[i] : sizes[k];
				uint32_t space = most == 0 ? 1 : random_below(&random, 2) ? most : 4 * most;
				/* indices that are all multiples of a power of two are a test of the hash */
				uint32_t step = random_below(&random, 2) ? 1 : 1 << 14;
				double dot = 0, dots_of = 0, l1 = 0, magnitudes = 0, norm2 = 0;

				make_sparse(&random, &a, dense_a, sizes[i], space, step, 0.5f);
				make_sparse(&random, &b, dense_b, sizes[k], space, step, scales[s]);
				omendb_sparse_table_reset(&table, a.list.n);
				for (uint32_t e = 0; e < a.list.n; e++)
					omendb_sparse_table_add(&table, a.indices[e], a.values[e] * a.list.scale);
				for (uint32_t e = 0; e < space; e++)
				{
					dot += dense_a[e] * dense_b[e];
					dots_of += fabs(dense_a[e] * dense_b[e]);
					l1 += fabs(dense_a[e] - dense_b[e]);
					magnitudes += fabs(dense_a[e]) + fabs(dense_b[e]);
					norm2 += dense_a[e] * dense_a[e];
					common += dense_a[e] != 0 && dense_b[e] != 0;
				}
				dots = dots && is_near(omendb_sparse_dot(&table, &b.list), dot, dots_of);
				l1s = l1s && is_near(omendb_sparse_l1(&table, &b.list), l1, magnitudes);
				pair_dots = pair_dots &&
							is_near(omendb_sparse_pair_dot(&a.list, &b.list), dot, dots_of) &&
							omendb_sparse_pair_dot(&a.list, &b.list) ==
								omendb_sparse_pair_dot(&b.list, &a.list);
				pair_l1s = pair_l1s &&
						   is_near(omendb_sparse_pair_l1(&a.list, &b.list), l1, magnitudes) &&
						   omendb_sparse_pair_l1(&a.list, &b.list) ==
							   omendb_sparse_pair_l1(&b.list, &a.list);
				norms = norms && is_near(table.norm2, norm2, norm2);
			}
	tap_result(dots, "inner products of a query and lists");
	tap_result(l1s, "absolute differences of a query and lists");
	tap_result(pair_dots, "inner products of two lists, both ways");
	tap_result(pair_l1s, "absolute differences of two lists, both ways");
	tap_result(norms, "lengths of queries");
	tap_result(common > 1000, "lists have elements in common");
	free(memory);
}

static int
descending(const void *x, const void *y)
{
	float p = *(const float *) x;
	float q = *(const float *) y;

	return (p < q) - (p > q);
}

static void
test_threshold(void)
{
	static float values[1000];
	static float sorted[1000];
	Random random = {2};
	bool thresholds = true;
	bool counts = true;
	uint32_t larger;

	for (int round = 0; round < 300; round++)
	{
		uint32_t count = 1 + random_below(&random, 1000);
		uint32_t n = 1 + random_below(&random, 1000);
		uint32_t more = 0;
		float threshold;

		for (uint32_t i = 0; i < count; i++)
		{
			/* of half of the rounds many are equal */
			double value = round % 2 ? 1.0 + random_below(&random, 5) : random_normal(&random);

			values[i] =
				(float) (random_below(&random, 2) ? value : -value) * (round % 3 == 0   ? 1e-42f
																	   : round % 3 == 1 ? 1
																						: 1e37f);
			sorted[i] = fabsf(values[i]);
		}
		qsort(sorted, count, sizeof(float), descending);
		threshold = omendb_sparse_threshold(values, count, n, &larger);
		if (count <= n)
		{
			thresholds = thresholds && threshold == 0;
			counts = counts && larger == count;
			continue;
		}
		for (uint32_t i = 0; i < count; i++)
			more += fabsf(values[i]) > sorted[n - 1];
		thresholds = thresholds && threshold == sorted[n - 1];
		counts = counts && larger == more;
	}
	tap_result(thresholds, "the least magnitude that is kept");
	tap_result(counts, "how many are larger");
	tap_result(omendb_sparse_threshold(NULL, 0, 1, &larger) == 0 && larger == 0, "of no elements");
}

int
main(void)
{
	test_sums();
	test_threshold();
	return tap_done();
}
