/*
 * curve.c
 *	  The recall that searches have by ef (curve.h).
 */
#include "graph/curve.h"

#include <math.h>

/* Smaller shares count as this one, for there is no logarithm of 0. */
#define LEAST_MISSED 1e-4

/* A limit of what rounding changes, relative and of logarithms. */
#define ROUNDING_ERROR 1e-6

void
omendb_curve_add(OmendbCurve *curve, uint32_t ef, float missed_few, float missed_many)
{
	OmendbCurvePoint *point = &curve->points[curve->n];

	*point = (OmendbCurvePoint){ef, {missed_few, missed_many}};
	if (curve->n++ == 0)
		return;
	for (int which = 0; which < 2; which++)
		if (point->missed[which] > point[-1].missed[which])
			point->missed[which] = point[-1].missed[which];
}

static double
log_of_missed(double missed)
{
	return log(missed > LEAST_MISSED ? missed : LEAST_MISSED);
}

/* The logarithm of the ef by which that share is missed; which: of missed[]. */
static double
log_of_ef(const OmendbCurve *curve, double missed, int which)
{
	const OmendbCurvePoint *points = curve->points;
	double wanted = log_of_missed(missed);
	double near;
	double far;
	uint32_t i = 0;

	while (i < curve->n && log_of_missed(points[i].missed[which]) > wanted + ROUNDING_ERROR)
		i++;
	if (i == 0)
		return log(points[0].ef);
	if (i == curve->n)
		return log(points[curve->n - 1].ef);
	far = log_of_missed(points[i - 1].missed[which]);
	near = log_of_missed(points[i].missed[which]);
	return log(points[i - 1].ef) +
		   (far - wanted) / (far - near) * (log(points[i].ef) - log(points[i - 1].ef));
}

uint32_t
omendb_curve_ef(const OmendbCurve *curve, double recall, double k)
{
	const double few = OMENDB_CURVE_FEW;
	const double many = OMENDB_CURVE_MANY;
	double most = INT32_MAX / 4;
	double ef;

	if (k <= few)
		ef = log_of_ef(curve, 1 - recall, 0);
	else
	{
		double ef_few = log_of_ef(curve, 1 - recall, 0);
		double ef_many = log_of_ef(curve, 1 - recall, 1);

		if (ef_many < ef_few)
			ef_many = ef_few;
		if (k <= many)
			ef = ef_few + log(k / few) / log(many / few) * (ef_many - ef_few);
		else
			/* Beyond the measured k, ef rises in proportion. */
			ef = ef_many + log(k / many);
	}
	ef = ceil(exp(ef) * (1 - 2 * ROUNDING_ERROR));
	if (ef < k)
		ef = ceil(k);
	return (uint32_t) (ef < most ? ef : most);
}

bool
omendb_curve_is_possible(const OmendbCurve *curve)
{
	if (curve->n > OMENDB_CURVE_POINTS)
		return false;
	for (uint32_t i = 0; i < curve->n; i++)
	{
		const OmendbCurvePoint *point = &curve->points[i];

		if (point->ef < 1 || (i > 0 && point->ef <= point[-1].ef))
			return false;
		for (int which = 0; which < 2; which++)
			/* Written such that NaN is impossible, too. */
			if (!(point->missed[which] >= 0 && point->missed[which] <= 1) ||
				(i > 0 && point->missed[which] > point[-1].missed[which]))
				return false;
	}
	return true;
}
