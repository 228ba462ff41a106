/*
 * curve.h
 *	  Which ef gives which recall: measured on some of an index's own rows, and read by
 *	  searches that are given a recall instead of an ef.
 *
 * Of each ef the curve has the share of the k nearest nodes that searches miss, for two
 * k. In between, the logarithm of what is missed is about a line over the logarithm of
 * ef, and so is ef over k.
 */
#ifndef OMENDB_CURVE_H
#define OMENDB_CURVE_H

#include <stdbool.h>
#include <stdint.h>

#define OMENDB_CURVE_POINTS 12

/* The two k that are measured. */
#define OMENDB_CURVE_FEW  10
#define OMENDB_CURVE_MANY 100

typedef struct OmendbCurvePoint
{
	uint32_t ef;
	float missed[2]; /* 1 - recall at OMENDB_CURVE_FEW, and at OMENDB_CURVE_MANY */
} OmendbCurvePoint;

typedef struct OmendbCurve
{
	uint32_t n; /* points; 0: nothing was measured */
	OmendbCurvePoint points[OMENDB_CURVE_POINTS];
} OmendbCurve;

/*
 * Append a point. What is missed with a larger ef is not more than with a smaller one: where
 * chance has it otherwise, the smaller number stays.
 */
extern void omendb_curve_add(OmendbCurve *curve, uint32_t ef, float missed_few, float missed_many);

/*
 * The ef by which k rows are found with that recall, at least k; the largest that was measured
 * where none is enough. The curve has points.
 */
extern uint32_t omendb_curve_ef(const OmendbCurve *curve, double recall, double k);

/* Could it have been measured? */
extern bool omendb_curve_is_possible(const OmendbCurve *curve);

#endif /* OMENDB_CURVE_H */
