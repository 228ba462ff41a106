/*
 * test_kernel_block.c
 *	  The kernels of the bulk build: every level against references of the plainest
 *	  kind, and so against the scalar level, which is one of the variants.
 */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernel_support.h"
#include "tap.h"

#define MAX_N       OMENDB_INT8_MAX_DIM
#define MAX_ROWS    40
#define MAX_GROUPS  8
#define MAX_COLUMNS (OMENDB_BLOCK_COLUMNS * MAX_GROUPS)
#define MAX_NEAREST 2112
#define MAX_KEYS    300
#define MAX_CODES   200

static const Variant *variants;
static size_t n_variants;
static bool failed[MAX_VARIANTS];

/* Rows that the kernels may read up to a multiple of 64, each at the end of its memory. */
static Guarded row_memory[MAX_ROWS];
static Guarded memory_a;
static Guarded memory_b;
static Guarded memory_c;
static Guarded memory_d;
static Guarded memory_e;

static void
report(const char *property)
{
	for (size_t v = 0; v < n_variants; v++)
		tap_result(!failed[v], "%s: %s", variants[v].name, property);
	memset(failed, 0, sizeof(failed));
}

static size_t
round_up(size_t n, size_t multiple)
{
	return (n + multiple - 1) / multiple * multiple;
}

/* Now and then at another place than the end: bytes of any alignment, a multiple of element. */
static size_t
random_offset(Random *random, size_t element)
{
	return random_below(random, 3) ? PLACE_END : random_below(random, 64 / element) * element;
}

/* ---------------------------------------------------------------- rows */

typedef enum Filling
{
	FILL_ANY,     /* all of -127 .. 127 */
	FILL_LARGE,   /* -127 or 127 */
	FILL_EQUAL,   /* 127 */
	FILL_OPPOSED, /* 127 in even rows, -127 in odd ones */
	FILL_SMALL,   /* -1 .. 1 */
} Filling;

#define FILLINGS 5

/* Row `number` of n elements and zeros behind them. */
static const int8_t *
place_row(Random *random, size_t number, Filling filling, size_t n)
{
	static int8_t row[OMENDB_ROW_LENGTH(MAX_N)];

	memset(row, 0, OMENDB_ROW_LENGTH(n));
	for (size_t i = 0; i < n; i++)
		switch (filling)
		{
			case FILL_ANY:
				row[i] = (int8_t) ((int) random_below(random, 255) - 127);
				break;
			case FILL_LARGE:
				row[i] = random_bits(random) & 1 ? 127 : -127;
				break;
			case FILL_EQUAL:
				row[i] = 127;
				break;
			case FILL_OPPOSED:
				row[i] = number % 2 ? -127 : 127;
				break;
			case FILL_SMALL:
				row[i] = (int8_t) ((int) random_below(random, 3) - 1);
				break;
		}
	return guarded_place(&row_memory[number], row, OMENDB_ROW_LENGTH(n), random_offset(random, 1));
}

static int64_t
reference_product(const int8_t *a, const int8_t *b, size_t n)
{
	int64_t sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += (int64_t) a[i] * b[i];
	return sum;
}

/* ---------------------------------------------------------------- products */

/* 8 rows with `count` columns, of which the last group may have fewer than 16. */
static bool
check_block(const Variant *variant, const int8_t *const *rows, const int8_t *const *columns,
			size_t count, size_t n, const int64_t *want, size_t place, size_t more)
{
	const OmendbKernels *k = &variant->kernels;
	size_t groups = round_up(count, OMENDB_BLOCK_COLUMNS) / OMENDB_BLOCK_COLUMNS;
	size_t stride = groups * OMENDB_BLOCK_COLUMNS + more;
	/* The last row needs no more than its columns. */
	size_t cells = (OMENDB_BLOCK_ROWS - 1) * stride + groups * OMENDB_BLOCK_COLUMNS;
	uint8_t *packed = guarded_place(&memory_a, NULL, groups * OMENDB_PACKED_BYTES(n), place);
	int32_t *out = guarded_place(&memory_b, NULL, cells * sizeof(int32_t), PLACE_END);
	bool good = true;

	for (size_t g = 0; g < groups; g++)
	{
		size_t first = g * OMENDB_BLOCK_COLUMNS;
		size_t here = count - first < OMENDB_BLOCK_COLUMNS ? count - first : OMENDB_BLOCK_COLUMNS;

		k->pack_columns(columns + first, here, n, packed + g * OMENDB_PACKED_BYTES(n));
	}
	k->block_products(rows, packed, groups, n, out, stride);
	for (size_t r = 0; r < OMENDB_BLOCK_ROWS; r++)
	{
		for (size_t c = 0; c < count; c++)
			if (out[r * stride + c] != want[r * count + c])
			{
				tap_diag("%s block_products n=%zu columns=%zu: [%zu][%zu] got %d, want %lld",
						 variant->name, n, count, r, c, out[r * stride + c],
						 (long long) want[r * count + c]);
				good = false;
				break;
			}
		/* What lies between the rows of the result is not touched. */
		if (r + 1 < OMENDB_BLOCK_ROWS)
			for (size_t c = groups * OMENDB_BLOCK_COLUMNS; c < stride; c++)
				good &= out[r * stride + c] == -1;
	}
	good &= guarded_intact(&memory_a);
	good &= guarded_intact(&memory_b);
	if (!good)
		tap_diag("%s block_products n=%zu columns=%zu", variant->name, n, count);
	return good;
}

static void
check_blocks(Random *random, Filling filling, size_t n, size_t count)
{
	static int64_t want[OMENDB_BLOCK_ROWS * MAX_COLUMNS];
	const int8_t *rows[OMENDB_BLOCK_ROWS];
	const int8_t *columns[MAX_COLUMNS];
	size_t place = random_offset(random, 1);
	size_t more = random_below(random, 2) * random_below(random, 40);

	for (size_t r = 0; r < OMENDB_BLOCK_ROWS; r++)
		rows[r] = place_row(random, r, filling, n);
	for (size_t c = 0; c < count; c++)
	{
		/* Memory for so many columns there is not: the same ones, in another order. */
		size_t fresh = MAX_ROWS - OMENDB_BLOCK_ROWS;

		columns[c] = c < fresh ? place_row(random, OMENDB_BLOCK_ROWS + c, filling, n)
							   : columns[random_below(random, fresh)];
	}
	for (size_t r = 0; r < OMENDB_BLOCK_ROWS; r++)
		for (size_t c = 0; c < count; c++)
			want[r * count + c] = reference_product(rows[r], columns[c], n);
	for (size_t v = 0; v < n_variants; v++)
		failed[v] |= !check_block(&variants[v], rows, columns, count, n, want, place, more);
}

static void
test_block_products(void)
{
	static const size_t large[] = {384, 784, 1024, 16000};
	Random random = {61};

	for (size_t n = 1; n <= 130; n++)
		for (int filling = 0; filling < FILLINGS; filling++)
			check_blocks(&random, filling, n, 1 + random_below(&random, 40));
	for (size_t i = 0; i < LENGTH(large); i++)
		for (int filling = 0; filling < FILLINGS; filling++)
			check_blocks(&random, filling, large[i], 1 + random_below(&random, 24));
	report("block_products exact for any n");

	for (size_t count = 1; count <= MAX_COLUMNS; count++)
		check_blocks(&random, FILL_ANY, 1 + random_below(&random, 80), count);
	report("block_products for any number of columns");

	for (Filling filling = FILL_LARGE; filling <= FILL_OPPOSED; filling++)
		check_blocks(&random, filling, MAX_N, 17);
	report("block_products of the longest rows does not overflow");
}

static void
check_rows(Random *random, Filling filling, size_t n, size_t count)
{
	int64_t want[MAX_ROWS];
	const int8_t *rows[MAX_ROWS];
	const int8_t *v = place_row(random, 0, filling, n);

	for (size_t j = 0; j < count; j++)
	{
		rows[j] = place_row(random, j + 1, filling, n);
		want[j] = reference_product(v, rows[j], n);
	}
	for (size_t i = 0; i < n_variants; i++)
	{
		/* The pointers too end where memory does. */
		const int8_t *const *pointers =
			guarded_place(&memory_a, rows, count * sizeof(rows[0]), PLACE_END);
		int32_t *out = guarded_place(&memory_b, NULL, count * sizeof(int32_t), PLACE_END);
		bool good = true;

		variants[i].kernels.row_products(v, pointers, count, n, out);
		for (size_t j = 0; j < count; j++)
			good &= out[j] == want[j];
		good &= guarded_intact(&memory_b);
		if (!good)
			tap_diag("%s row_products n=%zu count=%zu", variants[i].name, n, count);
		failed[i] |= !good;
	}
}

static void
test_row_products(void)
{
	static const size_t large[] = {384, 784, 1024, 16000};
	Random random = {62};

	for (size_t n = 1; n <= 130; n++)
		for (int filling = 0; filling < FILLINGS; filling++)
			check_rows(&random, filling, n, 1 + random_below(&random, MAX_ROWS - 1));
	for (size_t i = 0; i < LENGTH(large); i++)
		for (int filling = 0; filling < FILLINGS; filling++)
			check_rows(&random, filling, large[i], 1 + random_below(&random, 8));
	for (size_t count = 0; count < MAX_ROWS; count++)
		check_rows(&random, FILL_ANY, 1 + random_below(&random, 200), count);
	report("row_products exact for any n and number of rows");

	for (Filling filling = FILL_LARGE; filling <= FILL_OPPOSED; filling++)
		check_rows(&random, filling, MAX_N, 5);
	report("row_products of the longest rows does not overflow");
}

/* One element that is not 0, in every place: none is lost, doubled or moved. */
static void
test_places(void)
{
	static const size_t lengths[] = {1, 3, 4, 5, 31, 33, 64, 65, 100, 130};
	Random random = {63};

	for (size_t l = 0; l < LENGTH(lengths); l++)
		for (size_t place = 0; place < lengths[l]; place++)
		{
			size_t n = lengths[l];
			int8_t one[OMENDB_ROW_LENGTH(130)] = {0};
			const int8_t *rows[OMENDB_BLOCK_ROWS];
			const int8_t *columns[OMENDB_BLOCK_COLUMNS];
			int64_t want[OMENDB_BLOCK_ROWS * OMENDB_BLOCK_COLUMNS];

			one[place] = random_bits(&random) & 1 ? 127 : -3;
			for (size_t c = 0; c < OMENDB_BLOCK_COLUMNS; c++)
				columns[c] = place_row(&random, OMENDB_BLOCK_ROWS + c, FILL_ANY, n);
			for (size_t r = 0; r < OMENDB_BLOCK_ROWS; r++)
			{
				rows[r] = one;
				for (size_t c = 0; c < OMENDB_BLOCK_COLUMNS; c++)
					want[r * OMENDB_BLOCK_COLUMNS + c] = one[place] * columns[c][place];
			}
			for (size_t v = 0; v < n_variants; v++)
			{
				int32_t out[OMENDB_BLOCK_COLUMNS];

				failed[v] |= !check_block(&variants[v], rows, columns, OMENDB_BLOCK_COLUMNS, n,
										  want, PLACE_END, 0);
				variants[v].kernels.row_products(one, columns, OMENDB_BLOCK_COLUMNS, n, out);
				for (size_t c = 0; c < OMENDB_BLOCK_COLUMNS; c++)
					failed[v] |= out[c] != want[c];
			}
		}
	report("products: every element in its place");
}

/* ---------------------------------------------------------------- nearest */

typedef struct Element
{
	float value;
	uint32_t number;
} Element;

static int
compare_elements(const void *a, const void *b)
{
	const Element *x = a;
	const Element *y = b;

	if (x->value != y->value)
		return x->value < y->value ? -1 : 1;
	return x->number < y->number ? -1 : x->number > y->number;
}

typedef struct NearestCase
{
	float base[MAX_NEAREST];
	float scale[MAX_NEAREST];
	int32_t products[MAX_NEAREST];
	float factor;
	size_t n;
	size_t skip;
} NearestCase;

/*
 * Products beyond 2^24 are rounded to float, and that is what a value is made of. In
 * double the multiplications are exact, and so is the sum of numbers which are not
 * very unlike in size: it is rounded once, to float.
 */
static size_t
reference_nearest(const NearestCase *c, Element *sorted)
{
	size_t count = 0;

	for (size_t j = 0; j < c->n; j++)
		if (j != c->skip)
		{
			double product = (double) (float) c->products[j];

			sorted[count].value =
				(float) ((double) c->base[j] + (double) c->factor * (double) c->scale[j] * product);
			sorted[count++].number = (uint32_t) j;
		}
	qsort(sorted, count, sizeof(Element), compare_elements);
	return count;
}

/* base and scale end with NaN, which is readable but stands for nothing. */
static void
check_nearest(Random *random, const NearestCase *c, uint32_t k_least, uint32_t k_most)
{
	static Element sorted[MAX_NEAREST];
	static float padded[2][MAX_NEAREST];
	size_t padded_bytes = round_up(c->n, 16) * sizeof(float);
	size_t count = reference_nearest(c, sorted);
	const float *base;
	const float *scale;
	const int32_t *products;

	for (size_t j = 0; j < round_up(c->n, 16); j++)
	{
		padded[0][j] = j < c->n ? c->base[j] : NAN;
		padded[1][j] = j < c->n ? c->scale[j] : NAN;
	}
	base = guarded_place(&memory_a, padded[0], padded_bytes, random_offset(random, 4));
	scale = guarded_place(&memory_b, padded[1], padded_bytes, random_offset(random, 4));
	products = guarded_place(&memory_c, c->products, c->n * sizeof(int32_t), PLACE_END);
	for (uint32_t k = k_least; k <= k_most; k++)
		for (size_t v = 0; v < n_variants; v++)
		{
			uint32_t want = k < count ? k : (uint32_t) count;
			float *values = guarded_place(&memory_d, NULL, k * sizeof(float), PLACE_END);
			uint32_t *which = guarded_place(&memory_e, NULL, k * sizeof(uint32_t), PLACE_END);
			uint32_t got = variants[v].kernels.nearest(base, scale, products, c->factor, c->n,
													   c->skip, k, values, which);
			bool good = got == want;

			for (uint32_t i = 0; i < want && good; i++)
				good = same_float(values[i], sorted[i].value) && which[i] == sorted[i].number;
			good &= guarded_intact(&memory_d);
			good &= guarded_intact(&memory_e);
			if (!good)
				tap_diag("%s nearest n=%zu k=%u skip=%zu", variants[v].name, c->n, k, c->skip);
			failed[v] |= !good;
		}
}

typedef enum Spread
{
	SPREAD_WIDE,      /* values unlike each other */
	SPREAD_TIES,      /* a few different values */
	SPREAD_ALL_EQUAL, /* one */
	SPREAD_RISING,    /* the nearest first */
	SPREAD_FALLING,   /* the nearest last */
} Spread;

#define SPREADS 5

static void
fill_case(Random *random, NearestCase *c, Spread spread, size_t n)
{
	/* Not so unlike in size that a double could not hold their sum. */
	int most = spread == SPREAD_WIDE ? 8 : 0;

	c->n = n;
	c->skip = random_bits(random) & 1 ? SIZE_MAX : random_below(random, n + 1);
	c->factor = ldexpf(random_bits(random) & 1 ? 1 : -1, (int) random_below(random, 9) - 4);
	for (size_t j = 0; j < n; j++)
	{
		c->scale[j] = ldexpf(1, most ? (int) random_below(random, 17) - most : -2);
		switch (spread)
		{
			case SPREAD_WIDE:
				c->products[j] = (int32_t) random_bits(random) / 4;
				c->base[j] = (float) random_normal(random) * 1e6f;
				break;
			case SPREAD_TIES:
				c->products[j] = (int32_t) random_below(random, 5) - 2;
				c->base[j] = (float) random_below(random, 3);
				break;
			case SPREAD_ALL_EQUAL:
				c->products[j] = 0;
				c->base[j] = random_bits(random) & 1 ? 0.0f : -0.0f;
				break;
			case SPREAD_RISING:
				c->products[j] = 0;
				c->base[j] = (float) (j / 3);
				break;
			case SPREAD_FALLING:
				c->products[j] = 0;
				c->base[j] = (float) ((n - j) / 3);
				break;
		}
		/* An addition of 0 in whatever order: +0 at every level. */
		if (c->products[j] == 0 && c->base[j] == 0)
			c->base[j] = 0;
	}
}

static void
test_nearest(void)
{
	static const size_t sizes[] = {255, 256, 257, 511, 512, 513, 529, 1023, 1024, 1025, 1500, 2100};
	static NearestCase c;
	Random random = {64};

	for (size_t n = 0; n <= 140; n++)
		for (int spread = 0; spread < SPREADS; spread++)
		{
			fill_case(&random, &c, spread, n);
			check_nearest(&random, &c, 1, OMENDB_NEAREST_MAX);
		}
	report("nearest of few elements, any k");
	for (size_t i = 0; i < LENGTH(sizes); i++)
		for (int round = 0; round < 3 * SPREADS; round++)
		{
			fill_case(&random, &c, round % SPREADS, sizes[i]);
			check_nearest(&random, &c, 1, OMENDB_NEAREST_MAX);
		}
	report("nearest of many elements, any k");

	/* Every place is skipped, while its value is the smallest, and another time the largest. */
	for (size_t n = 1; n <= 600; n += n < 100 ? 1 : 250)
		for (size_t skip = 0; skip < n; skip++)
		{
			fill_case(&random, &c, SPREAD_WIDE, n);
			c.skip = skip;
			c.base[skip] = skip % 2 ? 1e15f : -1e15f;
			check_nearest(&random, &c, 1, 1);
			check_nearest(&random, &c, 4, 4);
			check_nearest(&random, &c, 16, 16);
		}
	report("nearest: any place skipped");

	/* The k smallest within one lane of any register, where a threshold helps least. */
	for (size_t step = 4; step <= 64; step *= 2)
		for (size_t first = 0; first < step; first++)
		{
			fill_case(&random, &c, SPREAD_WIDE, 700);
			for (size_t j = first; j < c.n; j += step)
				c.base[j] = -1e15f + (float) j * 1e9f;
			check_nearest(&random, &c, 3, 17);
		}
	report("nearest: all of them in one lane");
}

/* ---------------------------------------------------------------- rows of int8 */

/* What round_f32_i8 makes of a product, by the C library. */
static int
rounded(float y)
{
	if (isnan(y) || y >= 127)
		return 127;
	return y <= -127 ? -127 : (int) nearbyintf(y);
}

/* Elements of all magnitudes, halves between two integers, NaN and infinities. */
static float
odd_element(Random *random, int kind)
{
	static const float special[] = {NAN, INFINITY, -INFINITY, 0, -0.0f, FLT_MAX, -FLT_MAX, 1e-40f};
	uint64_t number = random_bits(random);

	if (kind == 1 && number % 16 == 0)
		return special[number / 16 % (sizeof(special) / sizeof(special[0]))];
	if (kind == 2)
		return (float) ((int) (number % 1023) - 511) / 2;
	return (float) ((double) (int64_t) number / 9.3e18) * (kind == 3 ? 1e-3f : 400);
}

static void
test_rounding(void)
{
	static float x[1100];
	Random random = {66};
	bool largest_failed[MAX_VARIANTS] = {false};

	for (size_t n = 0; n <= 1030; n += n < 140 ? 1 : 89)
		for (int kind = 0; kind < 4; kind++)
		{
			size_t place = random_below(&random, 8);
			const float *placed;
			float factor = kind == 2 ? 1 : kind == 3 ? 1 / 1e-5f : 0.3f;
			float largest = 0;
			int32_t squares = 0;

			for (size_t i = 0; i < n; i++)
			{
				int number;

				x[i] = odd_element(&random, kind);
				number = rounded(x[i] * factor);
				squares += number * number;
				if (fabsf(x[i]) > largest)
					largest = fabsf(x[i]);
			}
			placed = guarded_place(&memory_b, x, n * sizeof(float), PLACE_END);
			for (size_t v = 0; v < n_variants; v++)
			{
				int8_t *out = guarded_place(&memory_a, NULL, n, place);
				bool good = variants[v].kernels.round_f32_i8(placed, factor, out, n) == squares;

				for (size_t i = 0; i < n; i++)
					good &= out[i] == rounded(x[i] * factor);
				failed[v] |= !good || !guarded_intact(&memory_a);
				largest_failed[v] |= variants[v].kernels.largest_f32(placed, n) != largest;
			}
		}
	report("round_f32_i8");
	memcpy(failed, largest_failed, sizeof(largest_failed));
	report("largest_f32");
}

/* ---------------------------------------------------------------- codes */

static void
test_compare_rows(void)
{
	Random random = {65};

	for (size_t n = 0; n <= 1024; n += 64)
		for (int round = 0; round < 20; round++)
		{
			const int8_t *a = place_row(&random, 0, round % FILLINGS, n);
			const int8_t *b = place_row(&random, 1, round / 3 % FILLINGS, n);
			size_t place = random_offset(&random, 8);

			for (size_t v = 0; v < n_variants; v++)
			{
				uint64_t *out = guarded_place(&memory_a, NULL, n / 8, place);
				bool good = true;

				variants[v].kernels.compare_rows(a, b, n, out);
				for (size_t i = 0; i < n; i++)
					good &= (out[i / 64] >> i % 64 & 1) == (b[i] > a[i]);
				failed[v] |= !good || !guarded_intact(&memory_a);
			}
		}
	report("compare_rows");
}

static void
check_hamming_columns(Random *random, size_t words, size_t n, Distribution distribution)
{
	static uint64_t codes[1024 * 64];
	size_t capacity = round_up(n, 32);
	/* What is read of the last word may go beyond its stride. */
	size_t stride = round_up(n, 8) + 8 * random_below(random, 3);
	size_t length = words == 0 ? 0 : (words - 1) * stride + (capacity > stride ? capacity : stride);
	size_t own = random_below(random, stride);
	const uint64_t *placed;

	random_bytes(random, distribution, (uint8_t *) codes, length * sizeof(uint64_t));
	if (distribution == DIST_LARGEST)
		for (size_t i = 0; i < length; i++)
			codes[i] = i % stride == own ? 0 : UINT64_MAX;
	placed = guarded_place(&memory_a, codes, length * sizeof(uint64_t), PLACE_END);
	for (size_t v = 0; v < n_variants; v++)
	{
		uint16_t *differ = guarded_place(&memory_b, NULL, capacity * sizeof(uint16_t), PLACE_END);
		bool good = true;

		variants[v].kernels.column_hamming(placed, words, stride, own, n, differ);
		for (size_t j = 0; j < n; j++)
		{
			unsigned want = 0;

			for (size_t bit = 0; bit < 64 * words; bit++)
				want +=
					(codes[bit / 64 * stride + own] ^ codes[bit / 64 * stride + j]) >> bit % 64 & 1;
			good &= differ[j] == want;
		}
		good &= guarded_intact(&memory_b);
		if (!good)
			tap_diag("%s column_hamming words=%zu n=%zu", variants[v].name, words, n);
		failed[v] |= !good;
	}
}

static void
test_column_hamming(void)
{
	static const size_t many[] = {255, 256, 257, 1023};
	Random random = {66};

	for (size_t words = 0; words <= 66; words++)
		for (int round = 0; round < 4; round++)
			check_hamming_columns(&random, words, random_below(&random, 130), DIST_NORMAL);
	for (size_t n = 0; n <= MAX_CODES; n++)
		check_hamming_columns(&random, 3, n, DIST_NORMAL);
	/* 65,472 bits that all differ. */
	for (size_t i = 0; i < LENGTH(many); i++)
		check_hamming_columns(&random, many[i], 33, DIST_LARGEST);
	report("column_hamming");
}

static void
test_below(void)
{
	static const uint16_t limits[] = {0, 1, 2, 31, 32767, 32768, 32769, 65534, 65535};
	static uint16_t numbers[MAX_CODES + 64];
	Random random = {67};

	for (size_t n = 0; n <= MAX_CODES; n++)
		for (size_t round = 0; round < 2 * LENGTH(limits); round++)
		{
			uint16_t limit = limits[round / 2];
			size_t words = round_up(n, 64) / 64;
			const uint16_t *differ;

			/* Near the limit, and anywhere. */
			for (size_t j = 0; j < words * 64; j++)
				numbers[j] = (uint16_t) (round % 2 ? random_bits(&random)
												   : limit + random_below(&random, 3) - 1);
			differ = guarded_place(&memory_a, numbers, words * 64 * sizeof(uint16_t),
								   random_offset(&random, 2));
			for (size_t v = 0; v < n_variants; v++)
			{
				uint64_t *mask =
					guarded_place(&memory_b, NULL, words * sizeof(uint64_t), PLACE_END);
				bool good = true;

				variants[v].kernels.below(differ, n, limit, mask);
				for (size_t j = 0; j < n; j++)
					good &= (mask[j / 64] >> j % 64 & 1) == (numbers[j] < limit);
				failed[v] |= !good || !guarded_intact(&memory_b);
			}
		}
	report("below");
}

/* ---------------------------------------------------------------- ranks */

typedef enum Keys
{
	KEYS_ANY,
	KEYS_HIGH,        /* that differ in their high halves alone */
	KEYS_LOW,         /* in their low halves alone */
	KEYS_FEW,         /* a few different ones */
	KEYS_EQUAL_HIGH,  /* two have equal high halves, all others not */
	KEYS_EQUAL,       /* one and the same, the largest */
	KEYS_NEAR_MIDDLE, /* around 2^63 */
} Keys;

#define KEYS_KINDS 7

static uint64_t
random_key(Random *random, Keys kind)
{
	switch (kind)
	{
		case KEYS_ANY:
		case KEYS_EQUAL_HIGH:
			return random_bits(random);
		case KEYS_HIGH:
			return random_bits(random) << 32 | 7;
		case KEYS_LOW:
			return (uint64_t) 0x80000000 << 32 | random_bits(random) >> 32;
		case KEYS_FEW:
			return random_below(random, 3) << 32 | random_below(random, 3) << 31;
		case KEYS_EQUAL:
			return UINT64_MAX;
		case KEYS_NEAR_MIDDLE:
			return ((uint64_t) 1 << 63) + random_below(random, 64) - 32;
	}
	abort();
}

static void
test_ranks(void)
{
	static uint64_t keys[MAX_KEYS + 16];
	Random random = {68};

	for (size_t n = 0; n <= MAX_KEYS; n++)
		for (int kind = 0; kind < KEYS_KINDS; kind++)
		{
			size_t capacity = round_up(n, 16);
			const uint64_t *placed;

			for (size_t i = 0; i < capacity; i++)
				keys[i] = i < n ? random_key(&random, kind) : UINT64_MAX;
			if (kind == KEYS_EQUAL_HIGH && n > 1)
				keys[random_below(&random, n)] = keys[random_below(&random, n)] ^ 1;
			placed = guarded_place(&memory_a, keys, capacity * sizeof(uint64_t),
								   random_offset(&random, 8));
			for (size_t v = 0; v < n_variants; v++)
			{
				uint16_t *ranks =
					guarded_place(&memory_b, NULL, capacity * sizeof(uint16_t), PLACE_END);
				bool good = true;

				variants[v].kernels.ranks(placed, n, ranks);
				for (size_t i = 0; i < n; i++)
				{
					size_t smaller = 0;

					for (size_t j = 0; j < n; j++)
						smaller += keys[j] < keys[i];
					good &= ranks[i] == smaller;
				}
				good &= guarded_intact(&memory_b);
				if (!good)
					tap_diag("%s ranks n=%zu kind %d", variants[v].name, n, kind);
				failed[v] |= !good;
			}
		}
	report("ranks, with equal keys and with equal halves of keys");
}

int
main(void)
{
	variants = test_variants(&n_variants);
	for (size_t i = 0; i < MAX_ROWS; i++)
		row_memory[i] = guarded_new(OMENDB_ROW_LENGTH(MAX_N) + 64);
	memory_a = guarded_new(MAX_GROUPS * OMENDB_PACKED_BYTES(MAX_N) + 64);
	memory_b = guarded_new(65536);
	memory_c = guarded_new(65536);
	memory_d = guarded_new(4096);
	memory_e = guarded_new(4096);

	test_block_products();
	test_row_products();
	test_places();
	test_nearest();
	test_rounding();
	test_compare_rows();
	test_column_hamming();
	test_below();
	test_ranks();
	return tap_done();
}
