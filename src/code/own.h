/*
 * own.h
 *	  Own vectors: encoding into a record, decoding, distances between records.
 *
 * ownsparse.h encodes sparse vectors. omendb_own_equal and omendb_own_distance take any kind
 * (OmendbOwn).
 */
#ifndef OMENDB_OWN_H
#define OMENDB_OWN_H

#include "code/codec.h"
#include "kernel/kernel.h"

/*
 * Encode a stored-space vector (dimensions floats) into the record: own vector, error, norm2,
 * scale. If the vector is out of range, error is infinite and the own vector is the nearest one
 * that fits.
 */
extern void omendb_own_encode(const OmendbCodec *codec, const float *stored, OmendbRecord *record);

/* Decode the own vector (dimensions floats, stored space). Not for bits and sparse vectors. */
extern void omendb_own_decode(const OmendbCodec *codec, const OmendbRecord *record, float *out);

/*
 * omendb_own_decode, and the squared length in *norm2. False if it differs from the record's norm2
 * by more than rounding: the record is damaged.
 */
extern bool omendb_own_decode_checked(const OmendbCodec *codec, const OmendbRecord *record,
									  float *out, double *norm2);

/* Copy a bit string (own_bytes of the layout) into the record as its own vector. */
extern void omendb_own_encode_bits(const OmendbCodec *codec, const uint8_t *bits,
								   OmendbRecord *record);

/* True if both records have the same own vector, bit for bit. */
extern bool omendb_own_equal(const OmendbCodec *codec, const OmendbRecord *a,
							 const OmendbRecord *b);

/*
 * Distance (OmendbMetric) between the own vectors of two records. scratch: 2 * dimensions floats,
 * for own vectors that have to be decoded first.
 */
extern float omendb_own_distance(const OmendbCodec *codec, const OmendbRecord *a,
								 const OmendbRecord *b, float *scratch);

/* Unpack INT4 or INT2. out: dimensions, rounded up to a multiple of OMENDB_PACKED_BLOCK. */
extern void omendb_own_unpack(const OmendbLayout *layout, const uint8_t *own, int8_t *out);

/*
 * Elements as int8 (omendb_own_is_short): those of the record, or unpacked into buffer
 * (dimensions, rounded up as for omendb_own_unpack).
 */
static inline const int8_t *
omendb_own_ints(const OmendbLayout *layout, const OmendbRecord *record, void *buffer)
{
	if (!omendb_own_is_packed(layout->own))
		return (const int8_t *) omendb_record_own(record);
	omendb_own_unpack(layout, omendb_record_own(record), buffer);
	return buffer;
}

/* Elements as int16 (omendb_own_is_wide): those of the record, or unpacked into buffer. */
static inline const int16_t *
omendb_own_wide(const OmendbLayout *layout, const OmendbRecord *record, void *buffer)
{
	if (layout->own == OMENDB_OWN_INT16)
		return (const int16_t *) omendb_record_own(record);
	omendb_kernels.i12_to_i16(omendb_record_own(record), buffer, layout->dimensions);
	return buffer;
}

/*
 * For many distances of the same records: their elements, unpacked once. Bytes of an unpacked vector, a
 * multiple of 64; 0 if the elements of a record serve as they are, or are of another kind.
 */
static inline size_t
omendb_own_unpacked_bytes(const OmendbLayout *layout)
{
	if (layout->own == OMENDB_OWN_INT12)
		return (layout->dimensions * sizeof(int16_t) + 63) / 64 * 64;
	if (omendb_own_is_packed(layout->own) && layout->metric != OMENDB_METRIC_L1)
		return (layout->dimensions + 63) / 64 * 64;
	return 0;
}

_Static_assert(OMENDB_PACKED_BLOCK == 64, "omendb_own_unpack fills whole blocks");

/* Unpack the own vector of a record to out, omendb_own_unpacked_bytes bytes (which are not 0). */
static inline void
omendb_own_unpack_record(const OmendbLayout *layout, const OmendbRecord *record, void *out)
{
	if (omendb_own_is_wide(layout->own))
		omendb_own_wide(layout, record, out);
	else
		omendb_own_ints(layout, record, out);
}

/* omendb_own_distance and omendb_own_decode of records whose own vectors were unpacked. */
extern float omendb_own_distance_unpacked(const OmendbCodec *codec, const OmendbRecord *a,
										  const void *unpacked_a, const OmendbRecord *b,
										  const void *unpacked_b);
extern void omendb_own_decode_unpacked(const OmendbCodec *codec, const OmendbRecord *record,
									   const void *unpacked, float *out);

#endif /* OMENDB_OWN_H */
