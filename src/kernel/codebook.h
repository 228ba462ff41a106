/*
 * codebook.h
 *	  Codebooks of four bits, and the plan: which elements of a vector are in which group.
 *
 * A group has 1 to 8 elements of a vector. Its code is the number of one of 16 codewords: z from 0
 * to 7 is codeword z of the codebook, 8 + z is the negated codeword z. There is a codebook for each
 * size of groups. The codebooks are made for elements with a normal distribution of mean 0, which
 * is about what a random rotation gives, so nothing is trained on data. Elements of codewords are
 * integers; OMENDB_CODEBOOK_UNIT is one deviation. So their products with integers are exact, and
 * the same at every level.
 *
 * Blocks of eight groups are interleaved, so that a register has the same element of eight groups:
 * element i of group l of a block is element first + w * i + l of the vector, with `first` the
 * block's first element and w its number of groups.
 */
#ifndef OMENDB_CODEBOOK_H
#define OMENDB_CODEBOOK_H

#include <stddef.h>
#include <stdint.h>

#define OMENDB_CODEBOOK_UNIT   32
#define OMENDB_GROUP_ELEMENTS  8 /* maximum of a group */
#define OMENDB_CODEWORDS       8 /* of a codebook, without the negated ones */
#define OMENDB_BLOCK_GROUPS    8
#define OMENDB_PLAN_MAX_GROUPS 512

/*
 * Floats that the kernels of codes read behind a vector. Those that belong to the plan's elements
 * have to be 0; the others do not matter.
 */
#define OMENDB_PLAN_SLACK 16

/* Which elements of a vector are in which group. */
typedef struct OmendbCodePlan
{
	uint32_t groups;      /* even: a byte of a code has two */
	uint32_t wide_blocks; /* the first blocks, whose groups have size + 1 elements */
	uint32_t size;        /* elements of a group in the other blocks */
	uint32_t elements;    /* the first elements of a vector, which have a group; up to n + 7 */
} OmendbCodePlan;

/*
 * Make the plan for vectors of n elements, n >= groups. A group has up to 8 elements, so with n
 * above 8 * groups the last elements have no group.
 */
extern void omendb_code_plan(OmendbCodePlan *plan, uint32_t n, uint32_t groups);

/* Elements of each group of a block. */
static inline uint32_t
omendb_plan_size(const OmendbCodePlan *plan, uint32_t block)
{
	return plan->size + (block < plan->wide_blocks);
}

static inline uint32_t
omendb_plan_blocks(const OmendbCodePlan *plan)
{
	return (plan->groups + OMENDB_BLOCK_GROUPS - 1) / OMENDB_BLOCK_GROUPS;
}

/* Groups of a block: 8, or less in the last block. */
static inline uint32_t
omendb_plan_width(const OmendbCodePlan *plan, uint32_t block)
{
	uint32_t left = plan->groups - block * OMENDB_BLOCK_GROUPS;

	return left < OMENDB_BLOCK_GROUPS ? left : OMENDB_BLOCK_GROUPS;
}

typedef struct OmendbCodebook
{
	float words[OMENDB_GROUP_ELEMENTS][OMENDB_CODEWORDS]; /* element i, i < k, of codeword z */
	float norm2[OMENDB_CODEWORDS];                        /* squared lengths */
	uint8_t positive[2 * OMENDB_CODEWORDS]; /* bit i: is element i of codeword z above 0? */
	float cosine2; /* squared mean cosine between a random group and its codeword */
	float length2; /* mean squared length of that codeword, an element, in variances */
} OmendbCodebook;

/* omendb_codebooks[k - 1]: for groups of k elements. */
extern const OmendbCodebook omendb_codebooks[OMENDB_GROUP_ELEMENTS];

static inline const OmendbCodebook *
omendb_codebook(uint32_t k)
{
	return &omendb_codebooks[k - 1];
}

/*
 * The signs of a code: bit j is 1 if element j of the codewords is positive, counting the elements
 * of one group after the other. Writes (elements + 7) / 8 bytes; unused bits are 0.
 */
extern void omendb_code_signs(const OmendbCodePlan *plan, const uint8_t *code, uint8_t *signs);

/* The sum of v[i] * c[i], and of the terms' magnitudes, in double; for tests and checks. */
extern void omendb_code_product(const OmendbCodePlan *plan, const uint8_t *code, const float *v,
								double *sum, double *magnitude);

#endif /* OMENDB_CODEBOOK_H */
