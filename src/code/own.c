/*
 * own.c
 *	  Own vectors: encoding, decoding, distances.
 */
#include "code/own.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "code/metric.h"
#include "code/ownsparse.h"
#include "kernel/kernel.h"

static float
largest_magnitude(const float *x, size_t n)
{
	float largest = 0;

	for (size_t i = 0; i < n; i++)
	{
		float a = fabsf(x[i]);

		largest = a > largest ? a : largest;
	}
	return largest;
}

/*
 * Scale of halves, by the largest magnitude. Halves hold magnitudes up to 65504, with 11 bits from
 * 2^-14 on. The scale is 1 where it can be, because records of one scale are compared without
 * conversion to float; else a power of 2^16.
 */
static float
half_scale(float largest)
{
	int exponent;

	if (!(largest > 0) || !isfinite(largest))
		return 1.0f;
	frexpf(largest, &exponent);
	if (exponent <= 15 && exponent >= -6)
		return 1.0f;
	/* Makes largest / scale at least 2^-2 and below 2^14, if a float can hold the scale. */
	exponent = (int) floor((exponent + 1) / 16.0) * 16;
	return ldexpf(1.0f, exponent > 112 ? 112 : exponent < -144 ? -144 : exponent);
}

/*
 * The value of a kept element in distances. Where a distance is computed from a sum of products
 * that is scaled afterwards (int8 and packed, inner products of int16) the value is not rounded;
 * elsewhere the scaled element is rounded to float.
 */
static inline double
kept_element(const OmendbLayout *layout, float element, float scale)
{
	if (omendb_own_is_short(layout->own) ? layout->metric == OMENDB_METRIC_L1
										 : layout->metric != OMENDB_METRIC_IP)
		return (double) (element * scale);
	return (double) element * scale;
}

/* Sums over the elements of an own vector. */
typedef struct OwnSums
{
	double error; /* L1: of |stored - kept|; else of the squares */
	double norm2; /* of kept^2 */
} OwnSums;

static inline void
add_element(OwnSums *sums, const OmendbLayout *layout, float stored, float element, float scale)
{
	double value = kept_element(layout, element, scale);
	double diff = stored - value;

	sums->norm2 += value * value;
	sums->error += layout->metric == OMENDB_METRIC_L1 ? fabs(diff) : diff * diff;
}

static OwnSums
encode_halves(const OmendbLayout *layout, const float *stored, float largest, OmendbRecord *record)
{
	size_t n = layout->dimensions;
	OmendbHalf *own = (OmendbHalf *) omendb_record_own(record);
	float scale = half_scale(largest);
	double inverse = 1.0 / scale;
	OwnSums sums = {0, 0};
	float chunk[64];
	float kept[64];

	record->scale = scale;
	for (size_t i = 0; i < n; i += 64)
	{
		size_t length = n - i < 64 ? n - i : 64;

		for (size_t k = 0; k < length; k++)
		{
			float y = (float) (stored[i + k] * inverse);

			chunk[k] = y > 65504.0f ? 65504.0f : y < -65504.0f ? -65504.0f : y;
		}
		omendb_kernels.float_to_half(chunk, own + i, length);
		omendb_kernels.half_to_float(own + i, kept, length);
		for (size_t k = 0; k < length; k++)
			add_element(&sums, layout, stored[i + k], kept[k], scale);
	}
	return sums;
}

/* The scale, or 1 if it is subnormal (all elements then become 0) or not finite. */
static float
usable_scale(float scale)
{
	return scale > FLT_MIN && isfinite(scale) ? scale : 1.0f;
}

/* The nearest integer from -most to most; 0 for NaN. */
static inline float
nearest_int(float x, float most)
{
	float y = rintf(x);

	return y > most ? most : y < -most ? -most : y == y ? y : 0;
}

static OwnSums
encode_ints(const OmendbLayout *layout, const float *stored, float largest, OmendbRecord *record)
{
	size_t n = layout->dimensions;
	uint8_t *own = omendb_record_own(record);
	float most = layout->own == OMENDB_OWN_INT16   ? 32767
				 : layout->own == OMENDB_OWN_INT12 ? 2047
												   : 127;
	float scale = usable_scale(largest / most);
	OwnSums sums = {0, 0};

	record->scale = scale;
	for (size_t i = 0; i < n; i++)
	{
		float y = nearest_int(stored[i] / scale, most);

		if (layout->own == OMENDB_OWN_INT16)
			((int16_t *) own)[i] = (int16_t) y;
		else if (layout->own == OMENDB_OWN_INT12)
			omendb_put_int12(own, n, i, (int) y);
		else
			((int8_t *) own)[i] = (int8_t) y;
		add_element(&sums, layout, stored[i], y, scale);
	}
	return sums;
}

/* The nearest odd number from -most to most, which is odd; 1 for NaN. */
static inline float
nearest_odd(float x, float most)
{
	float y = 2 * floorf(x / 2) + 1;

	return y > most ? most : y < -most ? -most : y == y ? y : 1;
}

/* The sums that odd numbers of this scale would have. */
static OwnSums
measure_odd(const OmendbLayout *layout, const float *stored, float scale, float most)
{
	OwnSums sums = {0, 0};

	for (size_t i = 0; i < layout->dimensions; i++)
		add_element(&sums, layout, stored[i], nearest_odd(stored[i] / scale, most), scale);
	return sums;
}

/*
 * Encode as odd numbers of 4 or 2 bits, with the scale of least error. With few levels it is better
 * to clip the largest elements than to make all others coarse. Tries the scale at which the largest
 * element fits, and scales from 0.5 to 2 times the best one for a normal distribution (Max,
 * "Quantizing for minimum distortion", 1960): 0.1676 and 0.4979 of a deviation.
 */
static OwnSums
encode_packed(const OmendbLayout *layout, const float *stored, float largest, OmendbRecord *record)
{
	size_t n = layout->dimensions;
	uint8_t *own = omendb_record_own(record);
	bool four = layout->own == OMENDB_OWN_INT4;
	float most = four ? 15 : 3;
	float deviation = (float) sqrt(omendb_kernels.norm2_f32(stored, n) / n);
	float normal = deviation * (four ? 0.1676f : 0.4979f);
	OwnSums best;

	/* No level is 0, so a zero vector has a scale of 0. */
	record->scale = largest / most > FLT_MIN && isfinite(largest) ? largest / most : 0;
	best = measure_odd(layout, stored, record->scale, most);
	for (float part = 0.5f;
		 part <= 2.0f && record->scale > 0 && normal * part > FLT_MIN && isfinite(normal * part);
		 part *= 1.189207f)
	{
		OwnSums sums = measure_odd(layout, stored, normal * part, most);

		if (sums.error < best.error)
		{
			best = sums;
			record->scale = normal * part;
		}
	}
	memset(own, 0, layout->own_bytes);
	for (size_t i = 0; i < n; i++)
	{
		uint8_t level = (uint8_t) ((nearest_odd(stored[i] / record->scale, most) + most) / 2);
		size_t at = i % OMENDB_PACKED_BLOCK;

		if (four)
			own[i / OMENDB_PACKED_BLOCK * 32 + at % 32] |= level << (at / 32 * 4);
		else
			own[i / OMENDB_PACKED_BLOCK * 16 + at % 16] |= level << (at / 16 * 2);
	}
	return best;
}

void
omendb_own_unpack(const OmendbLayout *layout, const uint8_t *own, int8_t *out)
{
	size_t blocks = (layout->dimensions + OMENDB_PACKED_BLOCK - 1) / OMENDB_PACKED_BLOCK;

	/* Loops of constant length, which compilers make SIMD of. */
	if (layout->own == OMENDB_OWN_INT4)
		for (size_t b = 0; b < blocks; b++, own += 32, out += 64)
			for (int i = 0; i < 32; i++)
			{
				out[i] = (int8_t) ((own[i] & 15) * 2 - 15);
				out[i + 32] = (int8_t) ((own[i] >> 4) * 2 - 15);
			}
	else
		for (size_t b = 0; b < blocks; b++, own += 16, out += 64)
			for (int i = 0; i < 16; i++)
			{
				out[i] = (int8_t) ((own[i] & 3) * 2 - 3);
				out[i + 16] = (int8_t) ((own[i] >> 2 & 3) * 2 - 3);
				out[i + 32] = (int8_t) ((own[i] >> 4 & 3) * 2 - 3);
				out[i + 48] = (int8_t) ((own[i] >> 6) * 2 - 3);
			}
}

void
omendb_own_encode(const OmendbCodec *codec, const float *stored, OmendbRecord *record)
{
	const OmendbLayout *layout = &codec->layout;
	float largest = largest_magnitude(stored, layout->dimensions);
	OwnSums sums = layout->own == OMENDB_OWN_HALF ? encode_halves(layout, stored, largest, record)
				   : omendb_own_is_packed(layout->own)
					   ? encode_packed(layout, stored, largest, record)
					   : encode_ints(layout, stored, largest, record);
	double error = layout->metric == OMENDB_METRIC_L1 ? sums.error : sqrt(sums.error);

	/* Rounded up, so that the float is a bound. NaN (from infinite elements) becomes infinity. */
	record->error = error < FLT_MAX / 2 ? nextafterf((float) error, INFINITY) : INFINITY;
	if (error == 0)
		record->error = 0;
	record->norm2 = (float) sums.norm2;
	memset(omendb_record_own(record) + layout->own_bytes, 0,
		   layout->neighbours_offset - sizeof(OmendbRecord) - layout->own_bytes);
}

void
omendb_own_encode_bits(const OmendbCodec *codec, const uint8_t *bits, OmendbRecord *record)
{
	uint8_t *own = omendb_record_own(record);

	memcpy(own, bits, codec->layout.own_bytes);
	memset(own + codec->layout.own_bytes, 0,
		   codec->layout.neighbours_offset - sizeof(OmendbRecord) - codec->layout.own_bytes);
	record->error = 0;
	record->norm2 = 0;
	record->scale = 1;
}

void
omendb_own_decode_unpacked(const OmendbCodec *codec, const OmendbRecord *record,
						   const void *unpacked, float *out)
{
	const OmendbLayout *layout = &codec->layout;
	size_t n = layout->dimensions;
	const int8_t *ints = unpacked;

	if (omendb_own_is_wide(layout->own))
		omendb_kernels.i16_to_float(unpacked, record->scale, out, n);
	else
		for (size_t i = 0; i < n; i++)
			out[i] = record->scale * ints[i];
}

void
omendb_own_decode(const OmendbCodec *codec, const OmendbRecord *record, float *out)
{
	const OmendbLayout *layout = &codec->layout;
	size_t n = layout->dimensions;
	const uint8_t *own = omendb_record_own(record);
	float scale = record->scale;

	if (layout->own == OMENDB_OWN_HALF)
	{
		omendb_kernels.half_to_float((const OmendbHalf *) own, out, n);
		if (scale != 1.0f)
			for (size_t i = 0; i < n; i++)
				out[i] *= scale;
	}
	else if (omendb_own_is_wide(layout->own))
	{
		int16_t ints[OMENDB_MAX_DIM];

		omendb_own_decode_unpacked(codec, record, omendb_own_wide(layout, record, ints), out);
	}
	else
	{
		int8_t ints[OMENDB_MAX_DIM + OMENDB_PACKED_BLOCK];

		omendb_own_decode_unpacked(codec, record, omendb_own_ints(layout, record, ints), out);
	}
}

bool
omendb_own_decode_checked(const OmendbCodec *codec, const OmendbRecord *record, float *out,
						  double *norm2)
{
	uint32_t n = codec->layout.dimensions;
	double rounding = (n + 64) * FLT_EPSILON;

	omendb_own_decode(codec, record, out);
	*norm2 = 0;
	for (uint32_t i = 0; i < n; i++)
		*norm2 += (double) out[i] * out[i];
	return *norm2 >= FLT_MAX / 2 || fabs(record->norm2 - *norm2) <= rounding * *norm2 + FLT_MIN;
}

bool
omendb_own_equal(const OmendbCodec *codec, const OmendbRecord *a, const OmendbRecord *b)
{
	if (codec->layout.own == OMENDB_OWN_SPARSE)
		return a->scale == b->scale && omendb_own_sparse_equal(&codec->layout, a, b);
	return a->scale == b->scale &&
		   memcmp(omendb_record_own(a), omendb_record_own(b), codec->layout.own_bytes) == 0;
}

float
omendb_own_distance_unpacked(const OmendbCodec *codec, const OmendbRecord *a,
							 const void *unpacked_a, const OmendbRecord *b, const void *unpacked_b)
{
	const OmendbLayout *layout = &codec->layout;
	size_t n = layout->dimensions;
	double scales = (double) a->scale * b->scale;
	float dot;

	if (omendb_own_is_wide(layout->own))
	{
		if (layout->metric == OMENDB_METRIC_IP)
			return -(float) (omendb_kernels.dot_i16(unpacked_a, unpacked_b, n) * scales);
		return omendb_kernels.l2sq_i16(unpacked_a, a->scale, unpacked_b, b->scale, n);
	}
	/* The product of the scales is exact, so the order of a and b does not matter. */
	dot = (float) (omendb_kernels.dot_i8(unpacked_a, unpacked_b, n) * scales);
	return layout->metric == OMENDB_METRIC_IP ? -dot : omendb_l2_from_dot(a->norm2, b->norm2, dot);
}

float
omendb_own_distance(const OmendbCodec *codec, const OmendbRecord *a, const OmendbRecord *b,
					float *scratch)
{
	const OmendbLayout *layout = &codec->layout;
	size_t n = layout->dimensions;
	const uint8_t *own_a = omendb_record_own(a);
	const uint8_t *own_b = omendb_record_own(b);

	if (layout->own == OMENDB_OWN_SPARSE)
		return omendb_own_sparse_distance(layout, a, b);
	if (omendb_own_is_wide(layout->own))
		return omendb_own_distance_unpacked(codec, a, omendb_own_wide(layout, a, scratch), b,
											omendb_own_wide(layout, b, scratch + n));
	if (layout->own == OMENDB_OWN_HALF && a->scale == b->scale)
		return omendb_kernels.l1_f16((const OmendbHalf *) own_a, (const OmendbHalf *) own_b, n) *
			   a->scale;
	if (omendb_own_is_short(layout->own) && layout->metric != OMENDB_METRIC_L1)
		return omendb_own_distance_unpacked(codec, a, omendb_own_ints(layout, a, scratch), b,
											omendb_own_ints(layout, b, scratch + n));
	if (layout->metric == OMENDB_METRIC_HAMMING)
		return (float) omendb_kernels.hamming(own_a, own_b, layout->own_bytes);
	if (layout->metric == OMENDB_METRIC_JACCARD)
		return omendb_jaccard(omendb_kernels.overlap(own_a, own_b, layout->own_bytes));

	omendb_own_decode(codec, a, scratch);
	omendb_own_decode(codec, b, scratch + n);
	return omendb_float_distance(layout->metric, scratch, scratch + n, n);
}
