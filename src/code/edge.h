/*
 * edge.h
 *	  The edges of a record: for each slot the neighbour's number, a code, a slope and a shift.
 *	  codec.h has the formulas, layout.h the bytes. Plain layouts have the number only.
 *
 * All slopes of a record share an exponent, and all shifts. Encoding an edge raises an exponent if
 * the new slope or shift does not fit. The other shifts are then rounded to the larger unit, by
 * half of that unit at most, so that a shift is never off by more than one unit. The other slopes
 * become the least one if they are less. An exponent of 0, as in a record of zeros, is raised by
 * the first edge.
 */
#ifndef OMENDB_EDGE_H
#define OMENDB_EDGE_H

#include "code/query.h"

/*
 * Encode an edge to `node` in a slot. v and x: code-space vectors of the record and of the
 * neighbour (omendb_code_floats floats and OMENDB_PLAN_SLACK zeros). distance: between their own
 * vectors. norm2_v and norm2_x: the squared lengths of these. Does not change record->count.
 */
extern void omendb_edge_encode(const OmendbCodec *codec, OmendbRecord *record, uint32_t slot,
							   OmendbNode node, const float *v, const float *x, float distance,
							   float norm2_v, float norm2_x);

/* Reset all slopes, all shifts and both exponents of the record to 0. */
extern void omendb_edge_clear(const OmendbLayout *layout, OmendbRecord *record);

/* Fill a slot with zeros. Does not change record->count. */
extern void omendb_edge_free(const OmendbLayout *layout, OmendbRecord *record, uint32_t slot);

/* Copy an edge of one record of a node into a slot of another record of it, with the same exponents. */
extern void omendb_edge_copy(const OmendbLayout *layout, const OmendbRecord *record, uint32_t from,
							 OmendbRecord *other, uint32_t to);

/* Copy an edge into another slot of its record. */
extern void omendb_edge_move(const OmendbLayout *layout, OmendbRecord *record, uint32_t from,
							 uint32_t to);

/*
 * The slope b and the shift t of an edge as they are kept, rounded; the least magnitude of b in this
 * record; the unit of which every t in this record is a multiple.
 */
extern float omendb_edge_slope(const OmendbLayout *layout, const OmendbRecord *record,
							   uint32_t slot);
extern float omendb_edge_shift(const OmendbLayout *layout, const OmendbRecord *record,
							   uint32_t slot);
extern float omendb_edge_slope_least(const OmendbRecord *record);
extern float omendb_edge_shift_unit(const OmendbRecord *record);

/*
 * Estimate the distances between the query and the record's neighbours. distance: between the query
 * and the own vector. estimates: capacity OMENDB_ESTIMATES_CAPACITY; record->count are set.
 */
extern void omendb_query_estimates(const OmendbQuery *query, const OmendbRecord *record,
								   float distance, float *estimates);

#define OMENDB_ESTIMATES_CAPACITY ((OMENDB_MAX_EDGES + 31) / 32 * 32)

#endif /* OMENDB_EDGE_H */
