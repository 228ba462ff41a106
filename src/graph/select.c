/*
 * select.c
 *	  The choice of a node's neighbours: occlusion rule, then the widest angles (select.h).
 */
#include "graph/select.h"

#include <string.h>

#include "kernel/kernel.h"

/*
 * Merge the kept candidates and those removed ones (by the occlusion rule) whose code differs in at
 * least `limit` bits from that of every chosen one before. All lists are ascending. Returns the
 * number of candidates chosen, at most `want`.
 */
static uint32_t
restore_wide(const uint16_t *kept, uint32_t nkept, const uint16_t *removed, uint32_t nremoved,
			 uint32_t want, uint32_t limit, const uint8_t *const *codes, size_t code_bytes,
			 uint16_t *out)
{
	uint32_t n = 0;        /* in out */
	uint32_t k = 0;        /* kept candidates in out */
	uint32_t rest = nkept; /* kept candidates not in out */

	for (uint32_t i = 0; i < nremoved && n + rest < want; i++)
	{
		bool wide = true;

		for (; k < nkept && kept[k] < removed[i]; k++, rest--)
			out[n++] = kept[k];
		for (uint32_t j = n; j-- > 0 && wide;)
			wide = omendb_kernels.hamming(codes[removed[i]], codes[out[j]], code_bytes) >= limit;
		if (wide)
			out[n++] = removed[i];
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
	uint16_t removed[OMENDB_SELECT_MAX];
	const uint8_t *codes[OMENDB_SELECT_MAX];
	uint32_t nkept = 0;
	uint32_t nremoved = 0;
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
			removed[nremoved++] = i;
		else
			kept[nkept++] = i;
	}
	if (nkept == want || nremoved == 0)
	{
		memcpy(chosen, kept, nkept * sizeof(uint16_t));
		return nkept;
	}

	if (!input->code || nkept + nremoved <= want)
	{
		/* The nearest: merge the two ascending lists. */
		uint32_t take = want - nkept < nremoved ? want - nkept : nremoved;
		uint32_t a = 0;
		uint32_t b = 0;

		for (nchosen = 0; a < nkept || b < take; nchosen++)
			chosen[nchosen] =
				b == take || (a < nkept && kept[a] < removed[b]) ? kept[a++] : removed[b++];
		return nchosen;
	}

	/* Find the largest limit at which all slots are filled. */
	for (uint32_t i = 0; i < n; i++)
		codes[i] = input->code(input->context, i);
	high = (uint32_t) input->code_bytes * 4; /* a right angle */
	while (high - low > 1 + input->code_bytes / 16)
	{
		uint32_t middle = (low + high) / 2;

		if (restore_wide(kept, nkept, removed, nremoved, want, middle, codes, input->code_bytes,
						 chosen) < want)
			high = middle;
		else
			low = middle;
	}
	return restore_wide(kept, nkept, removed, nremoved, want, low, codes, input->code_bytes,
						chosen);
}
