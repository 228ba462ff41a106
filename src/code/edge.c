/*
 * edge.c
 *	  Edges of a record: encoding, moving, and estimates of the neighbours' distances.
 */
#include "code/edge.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "kernel/kernel.h"

#define SLOPE_STEPS   16   /* from one power of two to the next: four bits of fraction */
#define MAX_SLOPE     255  /* a byte */
#define MAX_SHIFT     2047 /* of 12 bits with a sign */
#define SHIFT_BITS    11   /* of a shift's magnitude */
#define EXPONENT_BIAS 127  /* of a float */
#define MAX_EXPONENT  254  /* of a finite float */

static inline float
float_of_bits(uint32_t bits)
{
	float f;

	memcpy(&f, &bits, sizeof(f));
	return f;
}

/* The b of a kept slope: its bits are those of a float from bit 19 on (layout.h). */
static inline float
slope_value(uint32_t slope, uint32_t exponent)
{
	return -float_of_bits((slope + SLOPE_STEPS * exponent) << 19);
}

float
omendb_edge_slope(const OmendbLayout *layout, const OmendbRecord *record, uint32_t slot)
{
	return slope_value(omendb_record_slopes(layout, record)[slot], record->slope_exponent);
}

/* Two to the power of exponent - 127; an exponent of 0 gives 0. */
float
omendb_edge_shift_unit(const OmendbRecord *record)
{
	return float_of_bits((uint32_t) record->shift_exponent << 23);
}

float
omendb_edge_shift(const OmendbLayout *layout, const OmendbRecord *record, uint32_t slot)
{
	const uint8_t *shifts = omendb_record_shifts(layout, record);

	return (float) omendb_get_int12(shifts, layout->edges, slot) * omendb_edge_shift_unit(record);
}

float
omendb_edge_slope_least(const OmendbRecord *record)
{
	return -slope_value(0, record->slope_exponent);
}

void
omendb_edge_clear(const OmendbLayout *layout, OmendbRecord *record)
{
	record->slope_exponent = 0;
	record->shift_exponent = 0;
	if (omendb_layout_is_coded(layout))
		memset(omendb_record_slopes(layout, record), 0, omendb_factor_bytes(layout));
}

void
omendb_edge_free(const OmendbLayout *layout, OmendbRecord *record, uint32_t slot)
{
	omendb_record_neighbours(layout, record)[slot] = 0;
	if (!omendb_layout_is_coded(layout))
		return;
	omendb_record_slopes(layout, record)[slot] = 0;
	omendb_put_int12(omendb_record_shifts(layout, record), layout->edges, slot, 0);
	memset(omendb_record_code(layout, record, slot), 0, omendb_code_bytes(layout));
}

void
omendb_edge_copy(const OmendbLayout *layout, const OmendbRecord *record, uint32_t from,
				 OmendbRecord *other, uint32_t to)
{
	omendb_record_neighbours(layout, other)[to] = omendb_record_neighbours(layout, record)[from];
	if (!omendb_layout_is_coded(layout))
		return;
	omendb_record_slopes(layout, other)[to] = omendb_record_slopes(layout, record)[from];
	omendb_put_int12(omendb_record_shifts(layout, other), layout->edges, to,
					 omendb_get_int12(omendb_record_shifts(layout, record), layout->edges, from));
	memmove(omendb_record_code(layout, other, to), omendb_record_code(layout, record, from),
			omendb_code_bytes(layout));
}

void
omendb_edge_move(const OmendbLayout *layout, OmendbRecord *record, uint32_t from, uint32_t to)
{
	omendb_edge_copy(layout, record, from, record, to);
}

/* Raise the exponent of all slopes. Slopes below the new least one become the least one. */
static void
raise_slopes(const OmendbLayout *layout, OmendbRecord *record, uint32_t exponent)
{
	uint8_t *slopes = omendb_record_slopes(layout, record);
	uint32_t steps = SLOPE_STEPS * (exponent - record->slope_exponent);

	for (uint32_t i = 0; i < layout->edges; i++)
		slopes[i] = slopes[i] > steps ? (uint8_t) (slopes[i] - steps) : 0;
	record->slope_exponent = (uint8_t) exponent;
}

/* Raise the exponent of all shifts: each shift is rounded to the larger unit. */
static void
raise_shifts(const OmendbLayout *layout, OmendbRecord *record, uint32_t exponent)
{
	uint8_t *shifts = omendb_record_shifts(layout, record);
	uint32_t bits = exponent - record->shift_exponent;

	for (uint32_t i = 0; i < layout->edges; i++)
	{
		int x = omendb_get_int12(shifts, layout->edges, i);

		x = bits > SHIFT_BITS + 1 ? 0 : (x + (1 << bits) / 2) >> bits;
		omendb_put_int12(shifts, layout->edges, i, x < MAX_SHIFT ? x : MAX_SHIFT);
	}
	record->shift_exponent = (uint8_t) exponent;
}

/* Put b, finite and at most 0, into the slot. Returns b as it is kept, rounded. */
static float
put_slope(const OmendbLayout *layout, OmendbRecord *record, uint32_t slot, float b)
{
	float magnitude = fabsf(b);
	uint32_t bits;
	uint32_t steps;
	uint32_t least;

	memcpy(&bits, &magnitude, sizeof(bits));
	steps = (bits + (1 << 18)) >> 19;
	if (steps > SLOPE_STEPS * (MAX_EXPONENT + 1) - 1)
		steps = SLOPE_STEPS * (MAX_EXPONENT + 1) - 1;
	if (steps > MAX_SLOPE + SLOPE_STEPS * (uint32_t) record->slope_exponent)
		raise_slopes(layout, record, (steps - MAX_SLOPE + SLOPE_STEPS - 1) / SLOPE_STEPS);
	least = SLOPE_STEPS * (uint32_t) record->slope_exponent;
	omendb_record_slopes(layout, record)[slot] = (uint8_t) (steps > least ? steps - least : 0);
	return omendb_edge_slope(layout, record, slot);
}

static void
put_shift(const OmendbLayout *layout, OmendbRecord *record, uint32_t slot, float t)
{
	float units;
	int exponent;

	if (!isfinite(t))
		t = 0;
	frexpf(t, &exponent);
	exponent += EXPONENT_BIAS - SHIFT_BITS;
	if (exponent > MAX_EXPONENT)
		exponent = MAX_EXPONENT;
	if (t != 0 && exponent > record->shift_exponent)
		raise_shifts(layout, record, (uint32_t) exponent);
	units = record->shift_exponent > 0 ? rintf(t / omendb_edge_shift_unit(record)) : 0;
	units = units > MAX_SHIFT ? MAX_SHIFT : units < -MAX_SHIFT ? -MAX_SHIFT : units;
	omendb_put_int12(omendb_record_shifts(layout, record), layout->edges, slot, (int) units);
}

void
omendb_edge_encode(const OmendbCodec *codec, OmendbRecord *record, uint32_t slot, OmendbNode node,
				   const float *v, const float *x, float distance, float norm2_v, float norm2_x)
{
	const OmendbLayout *layout = &codec->layout;
	bool ip = layout->metric == OMENDB_METRIC_IP;
	float residual;
	float origin;
	float r2;
	float f;
	float b;

	omendb_record_neighbours(layout, record)[slot] = node;
	if (!omendb_layout_is_coded(layout))
		return;
	omendb_kernels.residual_code(v, x, &codec->plan, omendb_record_code(layout, record, slot),
								 &residual, &origin);
	r2 = ip ? norm2_v + norm2_x + 2 * distance : distance;
	/* Dimensions without a group are missing in `residual`. f corrects for them. */
	f = residual > 0 && r2 > 0 ? r2 / residual : 0;
	if (!(f < FLT_MAX / 4))
		f = 0;
	b = put_slope(layout, record, slot, ip ? -f : -2 * f);
	/* ip: -<v,r> = |v|^2 - <v,x> = norm2_v + distance */
	put_shift(layout, record, slot, b < 0 ? (ip ? norm2_v + distance : r2) / b - origin : 0);
}

/*
 * True if the query is at least 16 times as long as its distance from the record. The rounding
 * error of the tables is proportional to the query's length. From about 16 times on it is as large
 * as the error of the codes. (Inner product: what is estimated is the product with the component of
 * the query that is orthogonal to the record. So the length of that component is the distance.)
 */
static bool
is_far_from_origin(const OmendbQuery *query, const OmendbRecord *record, float distance)
{
	float distance2 = distance; /* squared */

	if (query->codec->layout.metric == OMENDB_METRIC_IP)
		distance2 =
			record->norm2 > 0 ? query->norm2 - distance * distance / record->norm2 : INFINITY;
	return distance2 * 256 < query->norm2;
}

void
omendb_query_estimates(const OmendbQuery *query, const OmendbRecord *record, float distance,
					   float *estimates)
{
	const OmendbLayout *layout = &query->codec->layout;
	const uint8_t *slopes = omendb_record_slopes(layout, record);
	int16_t shifts[OMENDB_ESTIMATES_CAPACITY];
	uint16_t sums[OMENDB_ESTIMATES_CAPACITY];
	uint16_t rests[OMENDB_ESTIMATES_CAPACITY];
	uint32_t count = record->count < layout->edges ? record->count : layout->edges;
	const uint8_t *codes = omendb_record_code(layout, record, 0);
	size_t bytes = omendb_code_read_bits(layout) / 8;
	uint32_t groups = omendb_code_groups(layout);
	/* w of codec.h; -distance is <q,v>. 1 for L2. */
	float w = layout->metric != OMENDB_METRIC_IP ? 1
			  : record->norm2 > 0                ? -distance / record->norm2
												 : 0;
	OmendbEstimate e = {distance, query->base, query->step, w * omendb_edge_shift_unit(record),
						record->slope_exponent};

	omendb_kernels.i12_to_i16(omendb_record_shifts(layout, record), shifts, layout->edges);
	omendb_kernels.code_sums(codes, omendb_code_bytes(layout), bytes, count, query->lut, sums);
	omendb_kernels.estimates(&e, slopes, shifts, sums, count, estimates);
	if (!is_far_from_origin(query, record, distance))
		return;
	/* Add what the second tables of lut_f32 have of the rounding of the first. */
	omendb_kernels.code_sums(codes, omendb_code_bytes(layout), bytes, count,
							 query->lut + OMENDB_LUT_BYTES(groups), rests);
	for (uint32_t i = 0; i < count; i++)
	{
		int rest = (int) rests[i] - OMENDB_LUT_REST * (int) groups;

		estimates[i] +=
			slope_value(slopes[i], e.exponent) * e.step * (float) rest / (2 * OMENDB_LUT_REST);
	}
}
