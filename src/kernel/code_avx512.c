/*
 * code_avx512.c
 *	  The kernels of codes for x86-64 with AVX-512 F, BW, DQ and VL, and with VBMI if the
 *	  processor has it.
 *
 * Only kernels that are faster than those of AVX2; the table keeps AVX2's for the rest.
 */
#include "kernel/kernel_tables.h"

#ifdef OMENDB_X86

#include <string.h>

#include "kernel/avx512.h"
#include "kernel/code.h"

/* ---------------------------------------------------------------- look-ups */

/*
 * A word is 8 bytes of a code, an octet is eight slots. A register has the same word of an octet.
 * vpermi2b looks up in eight tables at once: bits 4 to 6 of an index, here the byte's place in its
 * word, select the table. So the bytes of a word are not separated.
 */
#define OCTET       8
#define WORDS       4   /* of a code that are loaded together */
#define WORD_TABLES 256 /* bytes of the tables of a word */

/* Tables for the low and the high four bits of bytes 0 to 3 (index 0) and 4 to 7 (index 1). */
typedef struct WordTables
{
	__m512i low[2];
	__m512i high[2];
} WordTables;

INLINE WordTables
load_tables(const uint8_t *lut)
{
	WordTables tables;

	OMENDB_UNROLL
	for (int i = 0; i < 2; i++)
	{
		__m512i first = _mm512_loadu_si512(lut + 128 * i);
		__m512i second = _mm512_loadu_si512(lut + 128 * i + 64);

		tables.low[i] = _mm512_shuffle_i64x2(first, second, 0x88);
		tables.high[i] = _mm512_shuffle_i64x2(first, second, 0xDD);
	}
	return tables;
}

/* In each byte: the low four bits of x, and in bits 4 to 6 the byte's place in its word. */
INLINE __m512i
table_index(__m512i x)
{
	const __m512i four_bits = _mm512_set1_epi8(15);
	const __m512i places = _mm512_set1_epi64(0x7060504030201000);

	return _mm512_ternarylogic_epi64(x, four_bits, places, 0xEA); /* (x AND four_bits) OR places */
}

/* Adds one word's entries to a 64-bit sum for each slot. */
INLINE_VBMI __m512i
add_word(__m512i sums, __m512i x, const WordTables *tables)
{
	const __m512i zero = _mm512_setzero_si512();
	__m512i low = _mm512_permutex2var_epi8(tables->low[0], table_index(x), tables->low[1]);
	__m512i high = _mm512_permutex2var_epi8(tables->high[0], table_index(_mm512_srli_epi16(x, 4)),
											tables->high[1]);

	sums = _mm512_add_epi64(sums, _mm512_sad_epu8(low, zero));
	return _mm512_add_epi64(sums, _mm512_sad_epu8(high, zero));
}

/* Up to four words of two slots; those without a bit in the masks are 0, and not read. */
INLINE __m512i
load_two(const uint8_t *first, __mmask8 of_first, const uint8_t *second, __mmask8 of_second)
{
	return _mm512_inserti64x4(_mm512_castsi256_si512(_mm256_maskz_loadu_epi64(of_first, first)),
							  _mm256_maskz_loadu_epi64(of_second, second), 1);
}

/*
 * Load up to four words of an octet, x[k] with word k. p: the words of the first slot. Only the
 * first `slots` slots are read. words: a mask.
 */
INLINE void
load_words(__m512i *x, const uint8_t *p, size_t stride, size_t slots, __mmask8 words)
{
#define SLOT(i) p + (i) *stride, (__mmask8) ((i) < slots ? words : 0)
	/* Slots are paired so that the shuffles below put them in order. */
	__m512i a = load_two(SLOT(0), SLOT(2));
	__m512i b = load_two(SLOT(1), SLOT(3));
	__m512i c = load_two(SLOT(4), SLOT(6));
	__m512i d = load_two(SLOT(5), SLOT(7));
#undef SLOT
	__m512i ab = _mm512_unpacklo_epi64(a, b);
	__m512i cd = _mm512_unpacklo_epi64(c, d);

	x[0] = _mm512_shuffle_i64x2(ab, cd, 0x88);
	x[2] = _mm512_shuffle_i64x2(ab, cd, 0xDD);
	ab = _mm512_unpackhi_epi64(a, b);
	cd = _mm512_unpackhi_epi64(c, d);
	x[1] = _mm512_shuffle_i64x2(ab, cd, 0x88);
	x[3] = _mm512_shuffle_i64x2(ab, cd, 0xDD);
}

/* Adds the entries of `words` words from p to the sums of each octet. octets is a constant. */
INLINE_VBMI void
add_words(__m512i *sum, int octets, const uint8_t *p, size_t stride, size_t slots, int words,
		  const uint8_t *lut)
{
	__m512i x[4][WORDS];

	OMENDB_UNROLL
	for (int o = 0; o < octets; o++)
		load_words(x[o], p + (size_t) (OCTET * o) * stride, stride, slots,
				   (__mmask8) ((1u << words) - 1));
	OMENDB_UNROLL
	for (int k = 0; k < WORDS; k++)
		if (k < words)
		{
			WordTables tables = load_tables(lut + WORD_TABLES * k);

			OMENDB_UNROLL
			for (int o = 0; o < octets; o++)
				sum[o] = add_word(sum[o], x[o][k], &tables);
		}
}

/* code_sums of `octets` octets. slots: of each octet; less than 8 only if there is one octet. */
INLINE_VBMI void
sum_octets(const uint8_t *codes, size_t stride, size_t bytes, int octets, size_t slots,
		   const uint8_t *lut, uint16_t *sums)
{
	const uint8_t *end = codes + bytes;
	__m512i sum[4];

	OMENDB_UNROLL
	for (int o = 0; o < octets; o++)
		sum[o] = _mm512_setzero_si512();
	for (; codes + 8 * WORDS <= end; codes += 8 * WORDS, lut += WORDS * WORD_TABLES)
		add_words(sum, octets, codes, stride, slots, WORDS, lut);
	if (codes < end)
		add_words(sum, octets, codes, stride, slots, (int) (end - codes) / 8, lut);
	OMENDB_UNROLL
	for (int o = 0; o < octets; o++)
		_mm_storeu_si128((__m128i *) (sums + OCTET * o), _mm512_cvtepi64_epi16(sum[o]));
}

TARGET_VBMI static void
code_sums_vbmi(const uint8_t *codes, size_t stride, size_t bytes, size_t slots, const uint8_t *lut,
			   uint16_t *sums)
{
	size_t s = 0;

	for (; s + 4 * OCTET <= slots; s += 4 * OCTET)
		sum_octets(codes + s * stride, stride, bytes, 4, OCTET, lut, sums + s);
	for (; s < slots; s += OCTET)
		sum_octets(codes + s * stride, stride, bytes, 1, slots - s, lut, sums + s);
}

/* ---------------------------------------------------------------- rotation */

TARGET static void
multiply_signs(float *x, const uint8_t *bits, size_t n)
{
	const __m512 sign = _mm512_set1_ps(-0.0f);
	size_t i = 0;

	for (; i + 16 <= n; i += 16)
	{
		__m512 y = _mm512_loadu_ps(x + i);
		uint16_t negative;

		memcpy(&negative, bits + i / 8, 2);
		_mm512_storeu_ps(x + i, _mm512_mask_xor_ps(y, negative, y, sign));
	}
	for (; i < n; i++)
		if (bits[i / 8] >> (i % 8) & 1)
			x[i] = -x[i];
}

void
omendb_fill_code_avx512(OmendbKernels *table, unsigned features)
{
	table->multiply_signs = multiply_signs;
	if (features & OMENDB_CPU_VBMI)
		table->code_sums = code_sums_vbmi;
}

#endif /* OMENDB_X86 */
