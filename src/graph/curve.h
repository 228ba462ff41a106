/*
 * curve.h
 *	  The recall that searches of an index have by ef. Measured on some of the index's own rows
 *	  (am/hnswcalibrate.c), and read by searches with a recall target.
 *
 * For each ef the curve has the share of the k nearest nodes that searches miss, for two values of
 * k. Between the points the logarithm of the share missed is about linear in the logarithm of ef, and
 * so is the logarithm of ef in that of k.
 */
#ifndef OMENDB_CURVE_H
#define OMENDB_CURVE_H

#include <stdbool.h>
#include <stdint.h>

/* Maximum number of points. */
#define OMENDB_CURVE_POINTS 12

/* The two values of k that are measured. */
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
 * Append a point, of a larger ef than the last one. A larger ef does not miss more: where a
 * measurement says otherwise by chance, the last point's share is used.
 */
extern void omendb_curve_add(OmendbCurve *curve, uint32_t ef, float missed_few, float missed_many);

/*
 * The ef by which searches find k rows with that recall, at least k; the largest ef measured if none
 * has that recall. The curve must have points.
 */
extern uint32_t omendb_curve_ef(const OmendbCurve *curve, double recall, double k);

/* False if the curve is damaged: no measurement gives such points. */
extern bool omendb_curve_is_possible(const OmendbCurve *curve);

#endif /* OMENDB_CURVE_H */
