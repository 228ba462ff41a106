/*
 * own.h
 *	  Own vectors of records: into records, back, and their distances.
 *
 * Of all kinds but sparse ones, which ownsparse.h has; equality and distances also of these.
 */
#ifndef OMENDB_OWN_H
#define OMENDB_OWN_H

#include "code/codec.h"
#include "kernel/kernel.h"

/*
 * Own vectors. Encode sets own, error, norm2 and scale of the record; where
 * the vector cannot be kept (overflow) error is infinite and own is the
 * nearest that can. Decode gives the stored-space vector as it was kept.
 */
extern void omendb_own_encode(const OmendbCodec *codec, const float *stored, OmendbRecord *record);
extern void omendb_own_decode(const OmendbCodec *codec, const OmendbRecord *record, float *out);

/*
 * The same of float elements, with the sum of their squares in *norm2. False where that is not
 * what the record says, but for rounding: the vector was damaged.
 */
extern bool omendb_own_decode_checked(const OmendbCodec *codec, const OmendbRecord *record,
									  float *out, double *norm2);

/* Bits: own is the bit string itself. */
extern void omendb_own_encode_bits(const OmendbCodec *codec, const uint8_t *bits,
								   OmendbRecord *record);

/* Of sparse vectors: ownsparse.h. They are never decoded. */

/* Do the two hold the same own vector? */
extern bool omendb_own_equal(const OmendbCodec *codec, const OmendbRecord *a,
							 const OmendbRecord *b);

/*
 * Distance between the own vectors of two records. scratch: 2 * dimensions
 * floats, used where they are not comparable as they are.
 */
extern float omendb_own_distance(const OmendbCodec *codec, const OmendbRecord *a,
								 const OmendbRecord *b, float *scratch);

/* The odd numbers of a packed vector; out: dimensions, rounded up to whole blocks. */
extern void omendb_own_unpack(const OmendbLayout *layout, const uint8_t *own, int8_t *out);

/* The bytes of an own vector that is_short, unpacked into the buffer where needed. */
static inline const int8_t *
omendb_own_ints(const OmendbLayout *layout, const OmendbRecord *record, void *buffer)
{
	if (!omendb_own_is_packed(layout->own))
		return (const int8_t *) omendb_record_own(record);
	omendb_own_unpack(layout, omendb_record_own(record), buffer);
	return buffer;
}

/* The elements of an own vector that is_wide, unpacked into the buffer where needed. */
static inline const int16_t *
omendb_own_wide(const OmendbLayout *layout, const OmendbRecord *record, void *buffer)
{
	if (layout->own == OMENDB_OWN_INT16)
		return (const int16_t *) omendb_record_own(record);
	omendb_kernels.i12_to_i16(omendb_record_own(record), buffer, layout->dimensions);
	return buffer;
}

#endif /* OMENDB_OWN_H */
