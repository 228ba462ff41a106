/*
 * codec.c
 *	  Set-up of a codec; vectors into stored space and code space.
 */
#include "code/codec.h"

#include <math.h>
#include <string.h>

#include "kernel/kernel.h"

static bool
rotates(const OmendbLayout *layout)
{
	return layout->code_bits > 0;
}

bool
omendb_layout_expands(const OmendbLayout *layout)
{
	return omendb_code_groups(layout) > layout->dimensions;
}

static size_t
align8(size_t n)
{
	return (n + 7) & ~(size_t) 7;
}

_Static_assert(OMENDB_MAX_CODE == 4 * OMENDB_PLAN_MAX_GROUPS, "a plan serves the longest code");

static OmendbCodePlan
code_plan(const OmendbLayout *layout)
{
	uint32_t groups = omendb_code_groups(layout);
	OmendbCodePlan plan;

	omendb_code_plan(&plan, layout->dimensions > groups ? layout->dimensions : groups, groups);
	return plan;
}

/*
 * Compute codec->cosines and code_length. The cosine y that the signs of two codes give is smaller
 * than the cosine between the residuals, because a codeword differs from its residual. With c the
 * cosine between a residual and its codewords, the cosine between the residuals is estimated as
 * y + (1 - c^2) y (1 - |y|), with an error of at most .03 for every size of groups (simulated,
 * normal distribution).
 */
static void
set_cosines(OmendbCodec *codec, float *cosines)
{
	const OmendbCodePlan *plan = &codec->plan;
	double cosine2 = 0;
	double length2 = 0;

	for (uint32_t b = 0; b < omendb_plan_blocks(plan); b++)
	{
		const OmendbCodebook *book = omendb_codebook(omendb_plan_size(plan, b));
		double share = (double) omendb_plan_size(plan, b) * omendb_plan_width(plan, b);

		cosine2 += share * book->cosine2;
		length2 += share * book->length2;
	}
	cosine2 /= plan->elements;
	codec->code_length = (float) (OMENDB_CODEBOOK_UNIT * sqrt(cosine2 * length2));
	for (uint32_t i = 0; i <= plan->elements; i++)
	{
		double y = cos(3.14159265358979 * i / plan->elements);

		cosines[i] = (float) (y + (1 - cosine2) * y * (1 - fabs(y)));
	}
	codec->cosines = cosines;
}

size_t
omendb_codec_bytes(const OmendbLayout *layout)
{
	size_t bytes = 0;

	if (rotates(layout))
		bytes += align8(omendb_rotation_bytes(layout->dimensions));
	if (omendb_layout_expands(layout))
		bytes += align8(omendb_rotation_bytes(omendb_code_groups(layout)));
	if (layout->code_bits > 0)
		bytes += (code_plan(layout).elements + 1) * sizeof(float);
	return bytes;
}

void
omendb_codec_init(OmendbCodec *codec, const OmendbLayout *layout, uint64_t seed, void *memory)
{
	uint8_t *at = memory;

	memset(codec, 0, sizeof(*codec));
	codec->layout = *layout;
	codec->rotates = rotates(layout);
	codec->expands = omendb_layout_expands(layout);
	if (codec->rotates)
	{
		omendb_rotation_init(&codec->rotate, layout->dimensions, seed, at);
		at += align8(omendb_rotation_bytes(layout->dimensions));
	}
	if (codec->expands)
	{
		omendb_rotation_init(&codec->expand, omendb_code_groups(layout), ~seed, at);
		at += align8(omendb_rotation_bytes(omendb_code_groups(layout)));
	}
	if (layout->code_bits > 0)
	{
		codec->plan = code_plan(layout);
		set_cosines(codec, (float *) at);
	}
}

void
omendb_codec_move(OmendbCodec *codec, const void *from, void *to)
{
	uint8_t *base = to;

	if (codec->rotates)
		codec->rotate.signs = base + (codec->rotate.signs - (const uint8_t *) from);
	if (codec->expands)
		codec->expand.signs = base + (codec->expand.signs - (const uint8_t *) from);
	if (codec->cosines)
		codec->cosines =
			(const float *) (base + ((const uint8_t *) codec->cosines - (const uint8_t *) from));
}

size_t
omendb_code_floats(const OmendbCodec *codec)
{
	return codec->expands ? codec->expand.n : codec->layout.dimensions;
}

bool
omendb_codec_store(const OmendbCodec *codec, const float *x, float *out)
{
	size_t n = codec->layout.dimensions;

	if (codec->layout.metric == OMENDB_METRIC_COSINE)
	{
		double norm = sqrt(omendb_kernels.norm2_f32(x, n));

		if (!(norm > 0))
			return false;
		omendb_kernels.normalize_f32(x, out, n, norm);
	}
	else if (out != x)
		memcpy(out, x, n * sizeof(float));
	if (codec->rotates)
		omendb_rotate(&codec->rotate, out);
	return true;
}

const float *
omendb_code_vector(const OmendbCodec *codec, const float *stored, float *out)
{
	size_t n = codec->layout.dimensions;

	if (!codec->expands)
		return stored;
	memcpy(out, stored, n * sizeof(float));
	memset(out + n, 0, (codec->expand.n - n) * sizeof(float));
	omendb_rotate(&codec->expand, out);
	return out;
}
