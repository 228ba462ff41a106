/*
 * distance.h
 *	  What the distances of all types share.
 */
#ifndef OMENDB_DISTANCE_H
#define OMENDB_DISTANCE_H

/* A cosine within -1..1, whatever the rounding made of it; NaN stays. */
static inline double
omendb_clamp_cosine(double cosine)
{
	if (cosine > 1)
		return 1;
	if (cosine < -1)
		return -1;
	return cosine;
}

#endif /* OMENDB_DISTANCE_H */
