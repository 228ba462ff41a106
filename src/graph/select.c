/*
 * select.c
 *	  Choice of neighbours: occlusion, then the widest angles.
 */
#include "graph/select.h"

#include <string.h>

#include "kernel/kernel.h"

/*
 * Take back those of the left candidates (ascending) that differ in at least
 * `limit` bits from every chosen one before them. Returns how many are chosen
 * then, at most want.
 */
static uint32_t
take_back(const uint16_t *kept, uint32_t nkept, const uint16_t *left, uint32_t nleft, uint32_t want,
		  uint32_t limit, const uint8_t *const *codes, size_t code_bytes, uint16_t *out)
{
	uint32_t n = 0; /* chosen so far, ascending */
	uint32_t k = 0; /* of kept, those already in out */
	uint32_t rest = nkept;

	for (uint32_t i = 0; i < nleft && n + rest < want; i++)
	{
		bool wide = true;

		for (; k < nkept && kept[k] < left[i]; k++, rest--)
			out[n++] = kept[k];
		for (uint32_t j = n; j-- > 0 && wide;)
			wide = omendb_kernels.hamming(codes[left[i]], codes[out[j]], code_bytes) >= limit;
		if (wide)
			out[n++] = left[i];
	}
	for (; k < nkept; k++)
		out[n++] = kept[k];
	return n;
}

uint32_t
omendb_select(const OmendbSelectCandidate *candidates, uint32_t n, uint32_t want,
			  const OmendbSelectInput *input, uint16_t *chosen)
{
	uint16_t kept[OMENDB_MAX_EDGES];
	uint16_t left[OMENDB_SELECT_MAX];
	const uint8_t *codes[OMENDB_SELECT_MAX];
	uint32_t nkept = 0;
	uint32_t nleft = 0;
	uint32_t nchosen;
	uint32_t low = 0;
	uint32_t high;

	if (n > OMENDB_SELECT_MAX)
		n = OMENDB_SELECT_MAX;
	for (uint32_t i = 0; i < n && nkept < want; i++)
	{
		bool occluded = false;

		for (uint32_t k = 0; k < nkept && !occluded; k++)
			occluded = input->distance(input->context, i, kept[k]) < candidates[i].distance ||
					   (input->same && input->same(input->context, i, kept[k]));
		if (occluded)
			left[nleft++] = i;
		else
			kept[nkept++] = i;
	}
	if (nkept == want || nleft == 0)
	{
		memcpy(chosen, kept, nkept * sizeof(uint16_t));
		return nkept;
	}

	if (!input->code || nkept + nleft <= want)
	{
		/* The nearest; merge the two ascending lists. */
		uint32_t take = want - nkept < nleft ? want - nkept : nleft;
		uint32_t a = 0;
		uint32_t b = 0;

		for (nchosen = 0; a < nkept || b < take; nchosen++)
			chosen[nchosen] = b == take || (a < nkept && kept[a] < left[b]) ? kept[a++] : left[b++];
		return nchosen;
	}

	/* The largest number of differing bits at which the slots are filled. */
	for (uint32_t i = 0; i < n; i++)
		codes[i] = input->code(input->context, i);
	high = (uint32_t) input->code_bytes * 4; /* a right angle */
	while (high - low > 1 + input->code_bytes / 16)
	{
		uint32_t middle = (low + high) / 2;

		if (take_back(kept, nkept, left, nleft, want, middle, codes, input->code_bytes, chosen) <
			want)
			high = middle;
		else
			low = middle;
	}
	return take_back(kept, nkept, left, nleft, want, low, codes, input->code_bytes, chosen);
}
