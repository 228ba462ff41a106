/*
 * edge.h
 *	  What a record keeps of an edge besides the neighbour's number, in the slot that the edge
 *	  has: a code, a slope and a shift (codec.h has the formulas, layout.h the bytes).
 *
 * Slopes and shifts have exponents in common, the record's. Encoding an edge raises them where
 * its slope or shift would not fit: the record's other shifts are then rounded anew, by half a
 * unit of the new exponent at most, so that none is ever further off than one unit; slopes
 * become the least there is where they are less. Exponents of 0, as in a record of zeros, fit
 * nothing yet.
 *
 * For plain layouts, only the neighbour's number is written.
 */
#ifndef OMENDB_EDGE_H
#define OMENDB_EDGE_H

#include "code/query.h"

/*
 * Write neighbour `node` into a slot: v and x are the code-space vectors of
 * the record and of the neighbour, distance the metric's between their own
 * vectors, norm2_v and norm2_x their squared lengths.
 */
extern void omendb_edge_encode(const OmendbCodec *codec, OmendbRecord *record, uint32_t slot,
							   OmendbNode node, const float *v, const float *x, float distance,
							   float norm2_v, float norm2_x);

/* Reset all slopes, all shifts and both exponents of the record to 0. */
extern void omendb_edge_clear(const OmendbLayout *layout, OmendbRecord *record);

/* Fill a slot that is not in use with zeros. */
extern void omendb_edge_free(const OmendbLayout *layout, OmendbRecord *record, uint32_t slot);

/* Copy an edge into another slot of its record. */
extern void omendb_edge_move(const OmendbLayout *layout, OmendbRecord *record, uint32_t from,
							 uint32_t to);

/*
 * b and t of an edge as they are kept. The least magnitude that b has in this record, and the unit
 * of which every t in this record is a multiple.
 */
extern float omendb_edge_slope(const OmendbLayout *layout, const OmendbRecord *record,
							   uint32_t slot);
extern float omendb_edge_shift(const OmendbLayout *layout, const OmendbRecord *record,
							   uint32_t slot);
extern float omendb_edge_slope_least(const OmendbRecord *record);
extern float omendb_edge_shift_unit(const OmendbRecord *record);

/*
 * Estimated distances of all neighbours in use of a record whose own distance
 * is known. estimates: room for OMENDB_ESTIMATES_ROOM floats.
 */
extern void omendb_query_estimates(const OmendbQuery *query, const OmendbRecord *record,
								   float distance, float *estimates);

#define OMENDB_ESTIMATES_ROOM ((OMENDB_MAX_EDGES + 31) / 32 * 32)

#endif /* OMENDB_EDGE_H */
