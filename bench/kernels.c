/*
 * kernels.c
 *	  Measures the kernels: one operand (the query) against one vector after the
 *	  other, in cache and from memory, called through the table as the server
 *	  does; those of the bulk build in cache, with operands as large as there.
 *	  bench/README.md says what the numbers mean.
 */
#define _GNU_SOURCE
#include "kernels.h"

#include <getopt.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

#define CACHE_BYTES    16384 /* working set in cache, unless four vectors are more */
#define CACHE_MIN      4     /* vectors */
#define SLICE_NS       200e3 /* one timing in cache: far above the clock's resolution */
#define MAX_DIM        3072
#define MAX_VARIANTS   6
#define MIB            ((size_t) 1 << 20)
#define MEMORY_BYTES   (256 * MIB) /* far beyond the last cache, which here has 32 MiB */
#define PATTERN_FLOATS (MIB / sizeof(float))

/* ---------------------------------------------------------------- what is measured */

typedef enum Element
{
	ELEMENT_F32,
	ELEMENT_F16,
	ELEMENT_I8,
	ELEMENT_BIT,
	/* Operands of the bulk build: rows, or always a leaf's rows or a row's candidates. */
	ELEMENT_ROWS,
	ELEMENT_LEAF,
	ELEMENT_POOL,
} Element;

static bool
of_bulk_build(Element element)
{
	return element >= ELEMENT_ROWS;
}

static size_t
vector_bytes(Element element, size_t dims)
{
	switch (element)
	{
		case ELEMENT_F32:
			return dims * sizeof(float);
		case ELEMENT_F16:
			return dims * sizeof(OmendbHalf);
		case ELEMENT_I8:
		case ELEMENT_ROWS:
		case ELEMENT_LEAF:
		case ELEMENT_POOL:
			return dims;
		case ELEMENT_BIT:
			return (dims + 7) / 8;
	}
	abort();
}

/* Calls the kernel for count vectors one after the other. */
typedef void (*Scan)(const OmendbKernels *kernels, const void *query, const void *vectors,
					 size_t stride, size_t count, size_t n);

/* Results end here, so that they count as used. */
static volatile double sink;
static float output[MAX_DIM];

#define VECTOR(TYPE, i) ((const TYPE *) ((const char *) vectors + (i) *stride))

#define DEFINE_SCAN(KERNEL, TYPE, CALL)                                                   \
	static void scan_##KERNEL(const OmendbKernels *kernels, const void *query,            \
							  const void *vectors, size_t stride, size_t count, size_t n) \
	{                                                                                     \
		const TYPE *a = query;                                                            \
		double sum = 0;                                                                   \
                                                                                          \
		(void) a;                                                                         \
		for (size_t i = 0; i < count; i++)                                                \
		{                                                                                 \
			const TYPE *b = VECTOR(TYPE, i);                                              \
                                                                                          \
			CALL;                                                                         \
		}                                                                                 \
		sink = sum;                                                                       \
	}

#define DISTANCE(KERNEL, TYPE) DEFINE_SCAN(KERNEL, TYPE, sum += (double) kernels->KERNEL(a, b, n))
#define COSINE(KERNEL, TYPE, RESULT)                               \
	DEFINE_SCAN(KERNEL, TYPE, RESULT c = kernels->KERNEL(a, b, n); \
				sum += (double) c.dot + (double) c.norm2_a + (double) c.norm2_b)

DISTANCE(l2sq_f32, float)
DISTANCE(dot_f32, float)
COSINE(cosine_f32, float, OmendbCosine)
DISTANCE(l1_f32, float)
DISTANCE(l2sq_f16, OmendbHalf)
DISTANCE(dot_f16, OmendbHalf)
COSINE(cosine_f16, OmendbHalf, OmendbCosine)
DISTANCE(l1_f16, OmendbHalf)
DISTANCE(l2sq_i8, int8_t)
DISTANCE(dot_i8, int8_t)
COSINE(cosine_i8, int8_t, OmendbCosineInt)
DISTANCE(l1_i8, int8_t)
DISTANCE(hamming, uint8_t)
DEFINE_SCAN(overlap, uint8_t, OmendbBitOverlap o = kernels->overlap(a, b, n);
			sum += (double) (o.both + o.either))
DEFINE_SCAN(half_to_float, OmendbHalf, kernels->half_to_float(b, output, n))
DEFINE_SCAN(float_to_half, float, kernels->float_to_half(b, (OmendbHalf *) output, n))
DEFINE_SCAN(norm2_f32, float, sum += kernels->norm2_f32(b, n))
DEFINE_SCAN(norm2_f16, OmendbHalf, sum += kernels->norm2_f16(b, n))
DEFINE_SCAN(normalize_f32, float, kernels->normalize_f32(b, output, n, 1.25))
DEFINE_SCAN(quantize_f32, float, kernels->quantize_f32(b, (uint8_t *) output, n))
DEFINE_SCAN(quantize_f16, OmendbHalf, kernels->quantize_f16(b, (uint8_t *) output, n))

/* ---------------------------------------------------------------- the bulk build */

#define LEAF_ROWS   256 /* rows of a leaf: 16 groups of columns */
#define LEAF_GROUPS (LEAF_ROWS / OMENDB_BLOCK_COLUMNS)
#define POOL        112 /* candidates of a row */
#define CODE_STRIDE 128
#define PRODUCTS    16384 /* of which a call takes any 256, or branches would be learnt by heart */

typedef struct BlockData
{
	const int8_t *rows[LEAF_ROWS];
	int8_t elements[LEAF_ROWS * OMENDB_ROW_LENGTH(MAX_DIM)];
	const OmendbKernels *packed_by;
	size_t packed_dims;
	uint8_t packed[LEAF_GROUPS * OMENDB_PACKED_BYTES(MAX_DIM)];
	int32_t products[PRODUCTS];
	float base[LEAF_ROWS];
	float scale[LEAF_ROWS];
	uint64_t codes[OMENDB_ROW_LENGTH(MAX_DIM) / 64 * CODE_STRIDE];
	uint16_t numbers[CODE_STRIDE];
	uint64_t keys[CODE_STRIDE];
	int32_t tile[OMENDB_BLOCK_ROWS * LEAF_ROWS];
	uint64_t bits[OMENDB_ROW_LENGTH(MAX_DIM) / 64];
} BlockData;

static BlockData block;

static uint32_t next_random(void);

static void
make_block(size_t dims)
{
	memset(block.elements, 0, sizeof(block.elements));
	for (size_t r = 0; r < LEAF_ROWS; r++)
	{
		int8_t *row = block.elements + r * OMENDB_ROW_LENGTH(dims);

		for (size_t i = 0; i < dims; i++)
			row[i] = (int8_t) ((int) (next_random() % 255) - 127);
		block.rows[r] = row;
		block.base[r] = (float) (next_random() % (1u << 16));
		block.scale[r] = 1;
	}
	/* Sums of four: about as normal distances are. */
	memset(block.products, 0, sizeof(block.products));
	for (size_t i = 0; i < 4 * PRODUCTS; i++)
		block.products[i / 4] += (int32_t) (next_random() % (1u << 18));
	for (size_t i = 0; i < LENGTH(block.codes); i++)
		block.codes[i] = (uint64_t) next_random() << 33 ^ next_random();
	for (size_t i = 0; i < CODE_STRIDE; i++)
	{
		block.numbers[i] = (uint16_t) (next_random() % 400);
		block.keys[i] = i < POOL ? (uint64_t) next_random() << 32 | next_random() : UINT64_MAX;
	}
	block.packed_by = NULL;
}

/* The order of the columns is the level's own. */
static void
pack_leaf(const OmendbKernels *kernels, size_t dims)
{
	if (block.packed_by == kernels && block.packed_dims == dims)
		return;
	for (size_t g = 0; g < LEAF_GROUPS; g++)
		kernels->pack_columns(block.rows + g * OMENDB_BLOCK_COLUMNS, OMENDB_BLOCK_COLUMNS, dims,
							  block.packed + g * OMENDB_PACKED_BYTES(dims));
	block.packed_by = kernels;
	block.packed_dims = dims;
}

#define BLOCK_SCAN(KERNEL, CALL)                                                          \
	static void scan_##KERNEL(const OmendbKernels *kernels, const void *query,            \
							  const void *vectors, size_t stride, size_t count, size_t n) \
	{                                                                                     \
		(void) query;                                                                     \
		(void) vectors;                                                                   \
		(void) stride;                                                                    \
		(void) n;                                                                         \
		if (offsetof(OmendbKernels, KERNEL) == offsetof(OmendbKernels, block_products))   \
			pack_leaf(kernels, n);                                                        \
		for (size_t i = 0; i < count; i++)                                                \
			CALL;                                                                         \
		sink = block.tile[0];                                                             \
	}

/* One row of the leaf after the other. */
#define ROW(i) block.rows[(i) % LEAF_ROWS]

BLOCK_SCAN(pack_columns, kernels->pack_columns(block.rows + i % LEAF_GROUPS * OMENDB_BLOCK_COLUMNS,
											   OMENDB_BLOCK_COLUMNS, n, block.packed))
BLOCK_SCAN(block_products,
		   kernels->block_products(block.rows +
									   i % (LEAF_ROWS / OMENDB_BLOCK_ROWS) * OMENDB_BLOCK_ROWS,
								   block.packed, LEAF_GROUPS, n, block.tile, LEAF_ROWS))
BLOCK_SCAN(row_products, kernels->row_products(ROW(i), block.rows, POOL, n, block.tile))
BLOCK_SCAN(nearest,
		   kernels->nearest(block.base, block.scale,
							block.products + next_random() % (PRODUCTS / 16 - 16) * 16, -2,
							LEAF_ROWS, i % LEAF_ROWS, 4, (float *) output, (uint32_t *) block.tile))
BLOCK_SCAN(compare_rows,
		   kernels->compare_rows(ROW(i), ROW(i + 1), OMENDB_ROW_LENGTH(n), block.bits))
BLOCK_SCAN(column_hamming, kernels->column_hamming(block.codes, OMENDB_ROW_LENGTH(n) / 64,
												   CODE_STRIDE, i % POOL, POOL, block.numbers))
BLOCK_SCAN(below, kernels->below(block.numbers, POOL, (uint16_t) (i % 400), block.bits))
BLOCK_SCAN(ranks, kernels->ranks(block.keys, POOL, block.numbers))

/* ---------------------------------------------------------------- all kernels */

typedef struct Kernel
{
	const char *name;
	size_t entry; /* offset in the table */
	Element element;
	Scan scan;
} Kernel;

#define KERNEL(NAME, ELEMENT)                                      \
	{                                                              \
#NAME, offsetof(OmendbKernels, NAME), ELEMENT, scan_##NAME \
	}

static const Kernel all_kernels[] = {
	KERNEL(l2sq_f32, ELEMENT_F32),        KERNEL(dot_f32, ELEMENT_F32),
	KERNEL(cosine_f32, ELEMENT_F32),      KERNEL(l1_f32, ELEMENT_F32),
	KERNEL(l2sq_f16, ELEMENT_F16),        KERNEL(dot_f16, ELEMENT_F16),
	KERNEL(cosine_f16, ELEMENT_F16),      KERNEL(l1_f16, ELEMENT_F16),
	KERNEL(l2sq_i8, ELEMENT_I8),          KERNEL(dot_i8, ELEMENT_I8),
	KERNEL(cosine_i8, ELEMENT_I8),        KERNEL(l1_i8, ELEMENT_I8),
	KERNEL(hamming, ELEMENT_BIT),         KERNEL(overlap, ELEMENT_BIT),
	KERNEL(half_to_float, ELEMENT_F16),   KERNEL(float_to_half, ELEMENT_F32),
	KERNEL(norm2_f32, ELEMENT_F32),       KERNEL(norm2_f16, ELEMENT_F16),
	KERNEL(normalize_f32, ELEMENT_F32),   KERNEL(quantize_f32, ELEMENT_F32),
	KERNEL(quantize_f16, ELEMENT_F16),    KERNEL(pack_columns, ELEMENT_ROWS),
	KERNEL(block_products, ELEMENT_ROWS), KERNEL(row_products, ELEMENT_ROWS),
	KERNEL(nearest, ELEMENT_LEAF),        KERNEL(compare_rows, ELEMENT_ROWS),
	KERNEL(column_hamming, ELEMENT_ROWS), KERNEL(below, ELEMENT_POOL),
	KERNEL(ranks, ELEMENT_POOL),
};

typedef void (*Entry)(void);

static Entry
table_entry(const OmendbKernels *table, const Kernel *kernel)
{
	Entry entry;

	memcpy(&entry, (const char *) table + kernel->entry, sizeof(entry));
	return entry;
}

typedef struct Variant
{
	const char *name;
	OmendbKernels kernels;
} Variant;

static Variant variants[MAX_VARIANTS];
static size_t n_variants = 0;

static void
add_variant(const char *name, OmendbSimdLevel level, unsigned needs)
{
	if ((needs & ~omendb_cpu_features()) != 0)
		return;
	variants[n_variants].name = name;
	omendb_kernels_fill(&variants[n_variants].kernels, level, needs);
	n_variants++;
}

/* The scalar level first: it is what the others are divided by. */
static void
find_variants(void)
{
	const unsigned avx512 = OMENDB_CPU_AVX2 | OMENDB_CPU_AVX512;

	add_variant("scalar", OMENDB_SIMD_SCALAR, 0);
	variants[n_variants].name = "fast-math";
	bench_fill_autovec(&variants[n_variants].kernels);
	n_variants++;
	add_variant("neon", OMENDB_SIMD_NEON, OMENDB_CPU_NEON);
	add_variant("neon+", OMENDB_SIMD_NEON, OMENDB_CPU_NEON | OMENDB_CPU_DOTPROD);
	add_variant("avx2", OMENDB_SIMD_AVX2, OMENDB_CPU_AVX2);
	add_variant("avx512", OMENDB_SIMD_AVX512, avx512);
	add_variant("avx512+", OMENDB_SIMD_AVX512, avx512 | OMENDB_CPU_VNNI | OMENDB_CPU_VPOPCNTDQ);
}

/* Not at all, or by the same function as in a variant before this one? */
static bool
redundant(const Kernel *kernel, size_t variant)
{
	Entry entry = table_entry(&variants[variant].kernels, kernel);

	for (size_t v = 0; v < variant; v++)
		if (table_entry(&variants[v].kernels, kernel) == entry)
			return true;
	return entry == NULL;
}

/* ---------------------------------------------------------------- data */

static float query_f32[MAX_DIM];
static OmendbHalf query_f16[MAX_DIM];
static float *pattern_f32;
static OmendbHalf *pattern_f16;

static char *memory;
static size_t memory_size;

static uint32_t
next_random(void)
{
	static uint64_t state = 1;

	state = state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t) (state >> 33);
}

/* Numbers in -1 .. 1, so that no distance meets infinities. */
static void
make_patterns(void)
{
	pattern_f32 = malloc(PATTERN_FLOATS * sizeof(float));
	pattern_f16 = malloc(PATTERN_FLOATS * sizeof(OmendbHalf));
	if (!pattern_f32 || !pattern_f16)
		abort();
	for (size_t i = 0; i < PATTERN_FLOATS; i++)
		pattern_f32[i] = (float) next_random() / (float) (1u << 30) - 1;
	variants[0].kernels.float_to_half(pattern_f32, pattern_f16, PATTERN_FLOATS);
	memcpy(query_f32, pattern_f32 + 12345, sizeof(query_f32));
	memcpy(query_f16, pattern_f16 + 12345, sizeof(query_f16));
}

/* int8 and bits take the floats' bytes: their kernels know no special values. */
static void
fill_memory(Element element)
{
	const void *pattern = element == ELEMENT_F16 ? (void *) pattern_f16 : (void *) pattern_f32;
	size_t length = PATTERN_FLOATS * (element == ELEMENT_F16 ? 2 : 4);

	for (size_t offset = 0; offset < memory_size; offset += length)
		memcpy(memory + offset, pattern, length);
}

/* ---------------------------------------------------------------- time */

static double
now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double) t.tv_sec * 1e9 + (double) t.tv_nsec;
}

/* The shortest nanoseconds a call, one figure a variant; 0: not measured. */
typedef struct Times
{
	double ns[MAX_VARIANTS];
} Times;

static void
keep_shorter(double *best, double time)
{
	if (*best == 0 || time < *best)
		*best = time;
}

static const void *
query_of(Element element)
{
	return element == ELEMENT_F16 ? (const void *) query_f16 : (const void *) query_f32;
}

static double
time_cache(const Kernel *kernel, const OmendbKernels *table, size_t bytes, size_t n, size_t rounds)
{
	size_t count = CACHE_BYTES / bytes > CACHE_MIN ? CACHE_BYTES / bytes : CACHE_MIN;
	const void *query = query_of(kernel->element);
	double start = now_ns();

	for (size_t i = 0; i < rounds; i++)
		kernel->scan(table, query, memory, bytes, count, n);
	return (now_ns() - start) / (double) (rounds * count);
}

/* Variants take turns within a repetition: a machine's slow moments meet all. */
static Times
measure_cache(const Kernel *kernel, size_t dims, int repetitions)
{
	size_t bytes = vector_bytes(kernel->element, dims);
	size_t n = kernel->element == ELEMENT_BIT ? bytes : dims;
	size_t count = CACHE_BYTES / bytes > CACHE_MIN ? CACHE_BYTES / bytes : CACHE_MIN;
	size_t rounds[MAX_VARIANTS];
	Times times = {{0}};

	for (size_t v = 0; v < n_variants; v++)
		if (!redundant(kernel, v))
		{
			double ns = time_cache(kernel, &variants[v].kernels, bytes, n, 20);

			rounds[v] = 1 + (size_t) (SLICE_NS / (ns * (double) count));
		}
	for (int r = 0; r < repetitions; r++)
		for (size_t v = 0; v < n_variants; v++)
			if (!redundant(kernel, v))
				keep_shorter(&times.ns[v],
							 time_cache(kernel, &variants[v].kernels, bytes, n, rounds[v]));
	return times;
}

static Times
measure_memory(const Kernel *kernel, size_t dims, int repetitions)
{
	size_t bytes = vector_bytes(kernel->element, dims);
	size_t n = kernel->element == ELEMENT_BIT ? bytes : dims;
	size_t count = memory_size / bytes;
	Times times = {{0}};

	for (int r = 0; r < repetitions; r++)
		for (size_t v = 0; v < n_variants; v++)
			if (!redundant(kernel, v))
			{
				double start = now_ns();

				kernel->scan(&variants[v].kernels, query_of(kernel->element), memory, bytes, count,
							 n);
				keep_shorter(&times.ns[v], (now_ns() - start) / (double) count);
			}
	return times;
}

/* ---------------------------------------------------------------- memory bandwidth */

#if defined(__x86_64__)

__attribute__((target("avx2"))) static uint64_t
read_avx2(const char *p, size_t size)
{
	__m256i s[4] = {_mm256_setzero_si256()};

	for (size_t i = 0; i < size; i += 128)
		for (size_t j = 0; j < 4; j++)
			s[j] = _mm256_add_epi64(s[j], _mm256_loadu_si256((const __m256i *) (p + i + 32 * j)));
	s[0] = _mm256_add_epi64(_mm256_add_epi64(s[0], s[1]), _mm256_add_epi64(s[2], s[3]));
	return (uint64_t) _mm256_extract_epi64(s[0], 0) + (uint64_t) _mm256_extract_epi64(s[0], 3);
}

__attribute__((target("avx512f"))) static uint64_t
read_avx512(const char *p, size_t size)
{
	__m512i s[4] = {_mm512_setzero_si512()};

	for (size_t i = 0; i < size; i += 256)
		for (size_t j = 0; j < 4; j++)
			s[j] = _mm512_add_epi64(s[j], _mm512_loadu_si512(p + i + 64 * j));
	s[0] = _mm512_add_epi64(_mm512_add_epi64(s[0], s[1]), _mm512_add_epi64(s[2], s[3]));
	return (uint64_t) _mm512_reduce_add_epi64(s[0]);
}

#endif

static uint64_t
read_plain(const char *p, size_t size)
{
	uint64_t s[8] = {0};

	for (size_t i = 0; i < size; i += 64)
		for (size_t j = 0; j < 8; j++)
		{
			uint64_t word;

			memcpy(&word, p + i + 8 * j, 8);
			s[j] += word;
		}
	return s[0] + s[1] + s[2] + s[3] + s[4] + s[5] + s[6] + s[7];
}

/* Bytes a nanosecond, the best of all ways to read and of several times. */
static double
read_bandwidth(void)
{
	double best = 0;

	for (int r = 0; r < 15; r++)
	{
		double start = now_ns();

		switch (r % 3)
		{
#if defined(__x86_64__)
			case 1:
				if (omendb_cpu_features() & OMENDB_CPU_AVX2)
					sink = (double) read_avx2(memory, memory_size);
				else
					continue;
				break;
			case 2:
				if (omendb_cpu_features() & OMENDB_CPU_AVX512)
					sink = (double) read_avx512(memory, memory_size);
				else
					continue;
				break;
#endif
			default:
				sink = (double) read_plain(memory, memory_size);
				break;
		}
		keep_shorter(&best, now_ns() - start);
	}
	return (double) memory_size / best;
}

/* ---------------------------------------------------------------- output */

static bool as_tsv = false;

static void
print_heading(double bandwidth)
{
	char model[128] = "unknown processor";
	char line[256];
	FILE *cpuinfo = fopen("/proc/cpuinfo", "r");

	while (cpuinfo && fgets(line, sizeof(line), cpuinfo))
		if (sscanf(line, "model name : %127[^\n]", model) == 1)
			break;
	if (cpuinfo)
		fclose(cpuinfo);
	if (as_tsv)
	{
		printf("kernel\tdims\tlevel\tcache_ns\tcache_mvectors_s\tcache_gb_s\tcache_x_scalar\t"
			   "memory_ns\tmemory_mvectors_s\tmemory_gb_s\tmemory_x_scalar\tmemory_share\n");
		return;
	}
	printf("%s; best level %s; memory read at %.1f GB/s (%zu MiB)\n\n", model,
		   omendb_level_name(omendb_best_level(omendb_cpu_features())), bandwidth,
		   memory_size / MIB);
	printf("%-14s %5s %-9s | %9s %9s %7s %8s | %9s %9s %7s %8s %6s\n", "", "", "", "in cache", "",
		   "", "", "memory", "", "", "", "of");
	printf("%-14s %5s %-9s | %9s %9s %7s %8s | %9s %9s %7s %8s %6s\n", "kernel", "dims", "level",
		   "ns/call", "Mvec/s", "GB/s", "x scalar", "ns/call", "Mvec/s", "GB/s", "x scalar",
		   "read");
}

static void
print_times(const Kernel *kernel, size_t dims, const Times *cache, const Times *far,
			double bandwidth)
{
	const char *format =
		as_tsv ? "%s\t%zu\t%s\t%.2f\t%.3f\t%.2f\t%.2f\t%.2f\t%.3f\t%.2f\t%.2f\t%.3f\n"
			   : "%-14s %5zu %-9s | %9.2f %9.2f %7.1f %8.2f | %9.2f %9.2f %7.1f %8.2f %5.0f%%\n";
	double bytes = (double) vector_bytes(kernel->element, dims);

	for (size_t v = 0; v < n_variants; v++)
	{
		double near_ns = cache->ns[v];
		double far_ns = far->ns[v];
		double share = bytes / far_ns / bandwidth;

		if (near_ns == 0)
			continue;
		/* A call is about many vectors: figures for one would mean nothing. */
		if (of_bulk_build(kernel->element))
			printf(as_tsv ? "%s\t%zu\t%s\t%.2f\t\t\t%.2f\t\t\t\t\t\n"
						  : "%-14s %5zu %-9s | %9.2f                   %8.2f |\n",
				   kernel->name, dims, variants[v].name, near_ns, cache->ns[0] / near_ns);
		else
			printf(format, kernel->name, dims, variants[v].name, near_ns, 1e3 / near_ns,
				   bytes / near_ns, cache->ns[0] / near_ns, far_ns, 1e3 / far_ns, bytes / far_ns,
				   far->ns[0] / far_ns, as_tsv ? share : 100 * share);
	}
	if (!as_tsv)
		putchar('\n');
	fflush(stdout);
}

static void
usage(void)
{
	fprintf(stderr, "usage: bench/run [--quick] [--tsv] [--kernel NAME] [--dims N]\n");
	exit(2);
}

int
main(int argc, char **argv)
{
	static const size_t all_dims[] = {96, 100, 128, 256, 384, 512, 768, 1024, 1536, 2048, 3072};
	static const size_t quick_dims[] = {128, 768, 1536};
	static const size_t leaf = LEAF_ROWS;
	static const size_t pool = POOL;
	static const struct option options[] = {
		{"quick", no_argument, NULL, 'q'},
		{"tsv", no_argument, NULL, 't'},
		{"kernel", required_argument, NULL, 'k'},
		{"dims", required_argument, NULL, 'd'},
		{NULL, 0, NULL, 0},
	};
	const char *only_kernel = NULL;
	size_t only_dims = 0;
	bool quick = false;
	bool filled = false;
	Element filling = ELEMENT_F32;
	double bandwidth;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
		switch (option)
		{
			case 'q':
				quick = true;
				break;
			case 't':
				as_tsv = true;
				break;
			case 'k':
				only_kernel = optarg;
				break;
			case 'd':
				only_dims = strtoul(optarg, NULL, 10);
				if (only_dims == 0 || only_dims > MAX_DIM)
					usage();
				break;
			default:
				usage();
		}
	if (optind != argc)
		usage();

	memory_size = MEMORY_BYTES;
	memory = aligned_alloc(64, memory_size);
	if (!memory)
	{
		fprintf(stderr, "cannot allocate %zu MiB\n", memory_size / MIB);
		return 1;
	}
	find_variants();
	make_patterns();
	fill_memory(ELEMENT_F32);
	bandwidth = read_bandwidth();
	print_heading(bandwidth);

	for (size_t k = 0; k < LENGTH(all_kernels); k++)
	{
		const Kernel *kernel = &all_kernels[k];
		const size_t *dims = only_dims ? &only_dims : quick ? quick_dims : all_dims;
		size_t n_dims = only_dims ? 1 : quick ? LENGTH(quick_dims) : LENGTH(all_dims);

		if (only_kernel && strcmp(only_kernel, kernel->name) != 0)
			continue;
		if (kernel->element == ELEMENT_LEAF || kernel->element == ELEMENT_POOL)
		{
			dims = kernel->element == ELEMENT_LEAF ? &leaf : &pool;
			n_dims = 1;
		}
		if (!filled || (filling == ELEMENT_F16) != (kernel->element == ELEMENT_F16))
			fill_memory(kernel->element);
		filling = kernel->element;
		filled = true;
		for (size_t d = 0; d < n_dims; d++)
		{
			bool bulk = of_bulk_build(kernel->element);
			Times far = {{0}};
			Times cache;

			if (bulk)
				make_block(dims[d]);
			cache = measure_cache(kernel, dims[d], quick ? 15 : 31);
			if (!bulk)
				far = measure_memory(kernel, dims[d], quick ? 2 : 3);
			print_times(kernel, dims[d], &cache, &far, bandwidth);
		}
	}
	free(memory);
	free(pattern_f32);
	free(pattern_f16);
	return 0;
}
