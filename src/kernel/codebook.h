/*
 * codebook.h
 *	  How a code of four bits a group stands for a vector.
 *
 * A group is 1 to 8 elements of a vector, and its code one of 16 codewords: eight of a
 * codebook and their opposites. Number z of 0 to 7 is codeword z, 8 + z is its opposite.
 * The codebooks are those of elements with a normal distribution of mean 0 and one
 * deviation, which is what a random rotation makes of a vector's elements: nothing is
 * trained on data. Codewords are integers, OMENDB_CODEBOOK_UNIT being one deviation, so
 * that their products with integers are exact at every instruction set.
 *
 * The groups of a vector are laid out in blocks of eight, so that eight groups go through a
 * register side by side: element i of the block's group l is element
 * first + groups of the block * i + l of the vector.
 */
#ifndef OMENDB_CODEBOOK_H
#define OMENDB_CODEBOOK_H

#include <stddef.h>
#include <stdint.h>

#define OMENDB_CODEBOOK_UNIT   32
#define OMENDB_GROUP_ELEMENTS  8 /* of a group, at most */
#define OMENDB_CODEWORDS       8 /* of a codebook, besides their opposites */
#define OMENDB_BLOCK_GROUPS    8
#define OMENDB_PLAN_MAX_GROUPS 512

/*
 * Floats behind a vector that the kernels of codes read: what they hold counts only where the
 * plan has more elements than the vector, and is to be 0 there.
 */
#define OMENDB_PLAN_SLACK 16

/* Which elements of a vector are in which group. */
typedef struct OmendbCodePlan
{
	uint32_t groups;      /* an even number: a byte has two */
	uint32_t wide_blocks; /* that come first, with groups of an element more */
	uint32_t size;        /* elements of a group in all other blocks */
	uint32_t elements;    /* of the vector that have a group; at most 7 more than it has */
} OmendbCodePlan;

/*
 * For vectors of n elements, which may be any number: every element gets a group as long as
 * there is room, that is up to 8 a group. n is at least `groups`.
 */
extern void omendb_code_plan(OmendbCodePlan *plan, uint32_t n, uint32_t groups);

/* Elements of the groups of that block. */
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

/* Groups of that block: 8, fewer in the last one. */
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
	/*
	 * Of the codeword of a random group: the square of its mean cosine to the group, and its
	 * squared length an element, in deviations.
	 */
	float cosine2;
	float length2;
} OmendbCodebook;

/* That of groups of k elements, 1 to 8. */
extern const OmendbCodebook omendb_codebooks[OMENDB_GROUP_ELEMENTS];

static inline const OmendbCodebook *
omendb_codebook(uint32_t k)
{
	return &omendb_codebooks[k - 1];
}

/*
 * The code as signs: bit j of `signs` is 1 where the codewords' element j is positive, the
 * elements counted group by group. Writes (elements + 7) / 8 bytes, unused bits 0.
 */
extern void omendb_code_signs(const OmendbCodePlan *plan, const uint8_t *code, uint8_t *signs);

/* The sum of v[i] * c[i], and of the terms' magnitudes; for tests and checks. */
extern void omendb_code_product(const OmendbCodePlan *plan, const uint8_t *code, const float *v,
								double *sum, double *magnitude);

#endif /* OMENDB_CODEBOOK_H */
