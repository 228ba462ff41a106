/*
 * sparse.c
 *	  Sums over sparse vectors.
 *
 * Plain C at every level: the time goes into looking up single elements.
 */
#include "kernel/sparse.h"

#include <math.h>
#include <string.h>

/*
 * A table of n elements has 2^bits places: 8 for each element, so that most look-ups of an absent
 * index end at the first place, but at most 2^15 (256 KB); and at least 2
 * for each element.
 */
#define MIN_BITS       8
#define SPARSE_BITS    15
#define ELEMENT_PLACES 8

static unsigned
table_bits(uint32_t n)
{
	unsigned bits = MIN_BITS;

	while (bits < SPARSE_BITS && (UINT64_C(1) << bits) < (uint64_t) n * ELEMENT_PLACES)
		bits++;
	while ((UINT64_C(1) << bits) < (uint64_t) n * 2)
		bits++;
	return bits;
}

size_t
omendb_sparse_table_bytes(uint32_t n)
{
	return ((size_t) 1 << table_bits(n)) * (sizeof(uint32_t) + sizeof(float));
}

void
omendb_sparse_table_init(OmendbSparseTable *table, uint32_t n, void *memory)
{
	table->indices = memory;
	table->values = (float *) (table->indices + ((size_t) 1 << table_bits(n)));
	omendb_sparse_table_reset(table, 0);
}

void
omendb_sparse_table_reset(OmendbSparseTable *table, uint32_t n)
{
	table->bits = table_bits(n);
	table->norm1 = 0;
	table->norm2 = 0;
	memset(table->indices, 0xff, ((size_t) 1 << table->bits) * sizeof(uint32_t));
}

/* The first place for an index: Knuth's multiplicative hash, which separates near indices. */
static inline uint32_t
place_of(const OmendbSparseTable *table, uint32_t index)
{
	return index * UINT32_C(2654435769) >> (32 - table->bits);
}

void
omendb_sparse_table_add(OmendbSparseTable *table, uint32_t index, float value)
{
	uint32_t mask = (UINT32_C(1) << table->bits) - 1;
	uint32_t place = place_of(table, index);

	while (table->indices[place] != OMENDB_SPARSE_NO_INDEX)
		place = (place + 1) & mask;
	table->indices[place] = index;
	table->values[place] = value;
	table->norm1 += fabs((double) value);
	table->norm2 += (double) value * value;
}

/* The query's element of an index, or NULL. */
static inline const float *
look_up(const OmendbSparseTable *table, uint32_t index)
{
	uint32_t mask = (UINT32_C(1) << table->bits) - 1;
	uint32_t place = place_of(table, index);

	for (;; place = (place + 1) & mask)
	{
		if (table->indices[place] == OMENDB_SPARSE_NO_INDEX)
			return NULL;
		if (table->indices[place] == index)
			return &table->values[place];
	}
}

double
omendb_sparse_dot(const OmendbSparseTable *query, const OmendbSparseList *list)
{
	double sum = 0;

	for (uint32_t i = 0; i < list->n; i++)
	{
		const float *value = look_up(query, list->indices[i]);

		if (value)
			sum += (double) *value * list->values[i];
	}
	return sum * list->scale;
}

double
omendb_sparse_l1(const OmendbSparseTable *query, const OmendbSparseList *list)
{
	double sum = query->norm1;

	for (uint32_t i = 0; i < list->n; i++)
	{
		const float *value = look_up(query, list->indices[i]);
		double element = (double) list->values[i] * list->scale;

		/* norm1 includes the magnitude of the query's element. */
		sum += value ? fabs(*value - element) - fabs((double) *value) : fabs(element);
	}
	return sum > 0 ? sum : 0;
}

double
omendb_sparse_pair_dot(const OmendbSparseList *a, const OmendbSparseList *b)
{
	uint32_t i = 0;
	uint32_t k = 0;
	int64_t sum = 0;

	/* The lists advance without a branch, which would be mispredicted often. */
	while (i < a->n && k < b->n)
	{
		uint32_t x = a->indices[i];
		uint32_t y = b->indices[k];

		if (x == y)
			sum += (int32_t) a->values[i] * b->values[k];
		i += x <= y;
		k += y <= x;
	}
	/* The product of two floats is exact. */
	return sum * ((double) a->scale * b->scale);
}

static inline double
magnitude(const OmendbSparseList *list, uint32_t i)
{
	return fabs((double) list->values[i] * list->scale);
}

double
omendb_sparse_pair_l1(const OmendbSparseList *a, const OmendbSparseList *b)
{
	uint32_t i = 0;
	uint32_t k = 0;
	double sum = 0;

	while (i < a->n && k < b->n)
	{
		uint32_t x = a->indices[i];
		uint32_t y = b->indices[k];

		if (x == y)
			sum += fabs((double) a->values[i] * a->scale - (double) b->values[k] * b->scale);
		else if (x < y)
			sum += magnitude(a, i);
		else
			sum += magnitude(b, k);
		i += x <= y;
		k += y <= x;
	}
	for (; i < a->n; i++)
		sum += magnitude(a, i);
	for (; k < b->n; k++)
		sum += magnitude(b, k);
	return sum;
}

/* The bits of |value|, which have the order of the magnitudes. */
static inline uint32_t
magnitude_bits(float value)
{
	uint32_t bits;

	memcpy(&bits, &value, sizeof(bits));
	return bits & INT32_MAX;
}

float
omendb_sparse_threshold(const float *values, uint32_t count, uint32_t n, uint32_t *larger)
{
	uint32_t bits = 0;
	float threshold;

	*larger = count;
	if (count <= n)
		return 0;
	/* Find the largest number that n magnitudes or more reach, bit by bit. */
	for (uint32_t bit = UINT32_C(1) << 30; bit > 0; bit >>= 1)
	{
		uint32_t reach = 0;

		for (uint32_t i = 0; i < count; i++)
			reach += magnitude_bits(values[i]) >= (bits | bit);
		if (reach >= n)
			bits |= bit;
	}
	*larger = 0;
	for (uint32_t i = 0; i < count; i++)
		*larger += magnitude_bits(values[i]) > bits;
	memcpy(&threshold, &bits, sizeof(threshold));
	return threshold;
}
