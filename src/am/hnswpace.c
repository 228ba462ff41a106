/*
 * hnswpace.c
 *	  How many nodes each round of a scan may return, and by which ef.
 *
 * At the end of a round the scan returns nodes although nearer ones may be found later: these are
 * late, and lost. So few large rounds find more than many small ones of the same ef. An
 * ordered scan ends its rounds a little above the numbers of rows that queries ask for.
 */
#include "am/hnswpace.h"

#include <math.h>

/*
 * Ratio of ef to the nodes that the first round returns, up to an ef of PACE_RATIO_EF: at
 * hnsw.ef_search = 40 these are 11 nodes. A smaller ratio costs recall. From there on the ratio falls as a power of ef:
 * rows far from the edge of the beam are found more surely, and most of many rows are.
 */
#define PACE_RATIO       3.5
#define PACE_RATIO_EF    40
#define PACE_RATIO_POWER -0.25

/* Minimum of all ratios of an ordered scan. */
#define PACE_LEAST_RATIO 2.0

/* ef of a later round grows as this power of the nodes that it may return. */
#define PACE_EF_POWER 0.8

/* Ratio where late nodes get their places. */
#define PACE_UNTIL_RATIO 1.2

/*
 * Rounds of an ordered scan end at these numbers of nodes, and at 10, 100 and more times as many. The
 * first is for 25 rows, the second for 100, the third for 300; the rest is for nodes whose order is in
 * doubt. A round allows at least 1 / PACE_LEAST_STEP more nodes than the round before.
 */
static const double round_ends[] = {30, 120, 400};
#define ROUND_ENDS_FACTOR 10
#define PACE_LEAST_STEP   4

/* The part of a round's nodes of which it has to be sure. The others are for rows in doubt. */
#define PACE_SURE_PART 0.8

/* Other scans: a round allows a quarter more nodes than the round before, at least this many more. */
#define PACE_MIN_STEP 8

double
hnsw_pace_first_nodes(const HnswPace *pace)
{
	double ef = pace->first_ef;
	double ratio = PACE_RATIO;

	if (pace->kind == HNSW_PACE_UNTIL)
		ratio = PACE_UNTIL_RATIO;
	else if (pace->kind == HNSW_PACE_ORDERED && ef > PACE_RATIO_EF)
		ratio = Max(PACE_RATIO * pow(ef / PACE_RATIO_EF, PACE_RATIO_POWER), PACE_LEAST_RATIO);
	return Max(ef / ratio, Min(ef, PACE_MIN_FIRST_NODES));
}

double
hnsw_pace_next_nodes(const HnswPace *pace, double nodes)
{
	double least = nodes + nodes / PACE_LEAST_STEP;
	double scale = 1;

	if (pace->kind != HNSW_PACE_ORDERED || pace->by_limit)
		return Max(least, nodes + PACE_MIN_STEP);
	for (;; scale *= ROUND_ENDS_FACTOR)
		for (int i = 0; i < lengthof(round_ends); i++)
			if (round_ends[i] * scale >= least)
				return round_ends[i] * scale;
}

double
hnsw_pace_enough(const HnswPace *pace, double nodes)
{
	return pace->kind == HNSW_PACE_ORDERED ? ceil(nodes * PACE_SURE_PART) : 0;
}

double
hnsw_pace_ef(const HnswPace *pace, double nodes)
{
	double first_nodes = hnsw_pace_first_nodes(pace);

	if (pace->kind == HNSW_PACE_UNTIL)
		return nodes * PACE_UNTIL_RATIO;
	if (pace->kind == HNSW_PACE_FILTERED)
		return nodes * PACE_RATIO;
	return Max(pace->first_ef * pow(Max(nodes / first_nodes, 1), PACE_EF_POWER),
			   nodes * PACE_LEAST_RATIO);
}
