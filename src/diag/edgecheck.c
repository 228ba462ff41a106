/*
 * edgecheck.c
 *	  Checks that own vectors are possible, that records of a node have the same vector on all
 *	  levels, and that code, slope and shift of every edge follow from the vectors at its ends.
 *
 * This finds an edge whose neighbour's slot was reused for another vector: its code is still that of
 * the former vector.
 *
 * Kernels of different instruction sets sum in different orders, so slopes and shifts may differ by
 * rounding. Codes do not differ.
 */
#include "diag/edgecheck.h"

#include <float.h>
#include <math.h>

#include "code/edge.h"
#include "code/ownsparse.h"
#include "kernel/kernel.h"
#include "miscadmin.h"

/* Memory that is used again for every record and edge. */
typedef struct EdgeCheck
{
	OmendbCheck *check;
	const OmendbCodec *codec;
	OmendbRecord *other; /* header and own vector of the other end of an edge or pointer down */
	OmendbRecord *fresh; /* slot 0 has the edge as encoded again */
	float *own;          /* the node's vector, stored space */
	float *own_code;     /* for the node's vector in code space */
	float *other_own;    /* the neighbour's vector, stored space */
	float *other_code;   /* for the neighbour's vector in code space */
	float *scratch;      /* of omendb_own_distance */
	const float *v;      /* the node's vector in code space */
} EdgeCheck;

static float *
allocate_floats(size_t n)
{
	return palloc0((n + OMENDB_PLAN_SLACK) * sizeof(float));
}

static void
prepare(EdgeCheck *edge, OmendbCheck *check)
{
	const OmendbCodec *codec = &check->diagnosis.index->codec;
	const OmendbLayout *layout = &codec->layout;

	edge->check = check;
	edge->codec = codec;
	edge->other = palloc0(layout->record_bytes);
	edge->fresh = palloc0(layout->record_bytes);
	/* Sparse vectors are not decoded, and have no codes. */
	if (layout->own == OMENDB_OWN_SPARSE)
		return;
	edge->own = allocate_floats(layout->dimensions);
	edge->other_own = allocate_floats(layout->dimensions);
	edge->scratch = allocate_floats(2 * (size_t) layout->dimensions);
	edge->own_code = allocate_floats(omendb_code_floats(codec));
	edge->other_code = allocate_floats(omendb_code_floats(codec));
}

/* Copy header and own vector of a node to edge->other. */
static void
fetch_other(EdgeCheck *edge, OmendbNode node)
{
	const OmendbLayout *layout = &edge->codec->layout;
	Buffer buffer;
	const OmendbRecord *record;

	CHECK_FOR_INTERRUPTS();
	/* Without the ring, because a neighbour is read again for other edges. */
	buffer = ReadBuffer(edge->check->diagnosis.relation, omendb_node_block(layout, node));
	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	record = omendb_page_record(layout, BufferGetPage(buffer), node % layout->per_page);
	memcpy(edge->other, record, omendb_head_size(layout, record));
	UnlockReleaseBuffer(buffer);
}

static void
check_bits(EdgeCheck *edge, OmendbNode node, const OmendbRecord *record)
{
	const OmendbLayout *layout = &edge->codec->layout;
	unsigned unused = layout->own_bytes * 8 - layout->dimensions;

	if (unused > 0 && (omendb_record_own(record)[layout->own_bytes - 1] & ((1 << unused) - 1)))
		omendb_check_problem(edge->check, 0, node, "bits beyond the vector's dimensions are set");
}

/* Relative rounding error of a sum over the dimensions. */
static double
rounding(const EdgeCheck *edge)
{
	return (edge->codec->layout.dimensions + 64) * FLT_EPSILON;
}

static void
check_sparse(EdgeCheck *edge, OmendbNode node, const OmendbRecord *record)
{
	const OmendbLayout *layout = &edge->codec->layout;
	const char *end = (const char *) record + omendb_head_size(layout, record);
	OmendbSparseList list;
	double norm2 = 0;

	if (!omendb_own_sparse_fits(layout, record))
	{
		omendb_check_problem(edge->check, 0, node, "more elements of the own vector than fit");
		return;
	}
	list = omendb_own_sparse(layout, record);
	if (!(record->scale > 0))
		omendb_check_problem(edge->check, 0, node, "impossible scale of the own vector: %g",
							 record->scale);
	for (uint32 i = 0; i < list.n; i++)
	{
		double value = (double) list.values[i] * list.scale;

		norm2 += value * value;
		if (list.indices[i] >= layout->dimensions ||
			(i > 0 && list.indices[i] <= list.indices[i - 1]))
		{
			omendb_check_problem(edge->check, 0, node,
								 "the own vector's element %u has an impossible index, %u", i,
								 list.indices[i]);
			return;
		}
		if (list.values[i] == 0)
			omendb_check_problem(edge->check, 0, node, "the own vector's element %u is 0", i);
	}
	for (const char *at = (const char *) (list.values + list.n); at < end; at++)
		if (*at != 0)
		{
			omendb_check_problem(edge->check, 0, node, "bytes behind the own vector are set");
			break;
		}
	if (norm2 < FLT_MAX / 2 && !(fabs(record->norm2 - norm2) <= 4 * FLT_EPSILON * norm2 + FLT_MIN))
		omendb_check_problem(edge->check, 0, node, "its squared length is kept as %g, but is %g",
							 record->norm2, norm2);
}

/* Check a dense own vector, decoded to edge->own. False if it cannot be used. */
static bool
check_own(EdgeCheck *edge, OmendbNode node, const OmendbRecord *record)
{
	double norm2;
	bool sound;

	/* An infinite error is possible: the vector was out of range. */
	if (!(record->error >= 0))
		omendb_check_problem(edge->check, 0, node, "impossible error of the own vector: %g",
							 record->error);
	/* A packed zero vector has a scale of 0. */
	if (!(record->scale > 0 ||
		  (record->scale == 0 && omendb_own_is_packed(edge->codec->layout.own))) ||
		isinf(record->scale))
	{
		omendb_check_problem(edge->check, 0, node, "impossible scale of the own vector: %g",
							 record->scale);
		return false;
	}
	sound = omendb_own_decode_checked(edge->codec, record, edge->own, &norm2);
	if (!isfinite(norm2))
	{
		omendb_check_problem(edge->check, 0, node, "the own vector is not finite");
		return false;
	}
	if (!sound)
		omendb_check_problem(edge->check, 0, node, "its squared length is kept as %g, but is %g",
							 record->norm2, norm2);
	return true;
}

/* Check that the record below has the same vector. */
static void
check_down(EdgeCheck *edge, OmendbNode node, const OmendbRecord *record)
{
	const CheckRecord *down;

	if (record->level == 0 || record->down >= edge->check->diagnosis.nodes)
		return;
	down = &edge->check->records[record->down];
	if (down->kind != OMENDB_RECORD_NODE || down->level != record->level - 1)
		return; /* was reported */
	fetch_other(edge, record->down);
	if (!omendb_own_equal(edge->codec, record, edge->other) ||
		memcmp(record->identity, edge->other->identity, sizeof(record->identity)) != 0)
		omendb_check_problem(edge->check, 0, node,
							 "the pointer down leads to node %u, which has another vector",
							 record->down);
}

/*
 * Compare an edge with edge->fresh: codes, then slopes b, then shifts t = base / b - <v, c>, for
 * which the edge's own b is used. Codes are computed in integers: the same vectors give the same
 * code. distance: between the own vectors.
 */
static void
compare_edge(EdgeCheck *edge, OmendbNode node, const OmendbRecord *record, uint32 slot,
			 double distance)
{
	const OmendbLayout *layout = &edge->codec->layout;
	const uint8_t *code = omendb_record_code(layout, record, slot);
	const uint8_t *fresh_code = omendb_record_code(layout, edge->fresh, 0);
	bool ip = layout->metric == OMENDB_METRIC_IP;
	double b = omendb_edge_slope(layout, record, slot);
	double t = omendb_edge_shift(layout, record, slot);
	double fresh_b = omendb_edge_slope(layout, edge->fresh, 0);
	double fresh_t = omendb_edge_shift(layout, edge->fresh, 0);
	double share = rounding(edge);
	double norms = (double) record->norm2 + edge->other->norm2;
	double r2 = ip ? norms + 2 * distance : distance;
	double base = ip ? record->norm2 + distance : distance;
	/* True if r2 and base are differences of larger numbers, which were rounded. */
	bool differs = ip || omendb_own_is_short(layout->own);
	double r2_slack = share * (differs ? norms + fabs(r2) : r2);
	double base_slack = share * (differs ? norms + fabs(base) : base) + FLT_MIN;
	double origin = 0;
	double magnitude = 0;
	unsigned wrong = 0;
	CheckSeverity severity = omendb_check_edge_severity(edge->check, node);

	if (b == fresh_b && t == fresh_t && memcmp(code, fresh_code, omendb_code_bytes(layout)) == 0)
		return;
	/* With an infinite distance there is nothing to compare. */
	if (!isfinite(base) || !isfinite(norms))
		return;
	for (uint32 i = 0; i < omendb_code_bytes(layout); i++)
	{
		wrong += ((code[i] ^ fresh_code[i]) & 15) != 0;
		wrong += (code[i] ^ fresh_code[i]) >> 4 != 0;
	}
	omendb_code_product(&edge->codec->plan, fresh_code, edge->v, &origin, &magnitude);
	if (wrong > 0)
		omendb_check_report(
			edge->check, severity, 0, node,
			"the code of edge %u, to node %u, differs in %u groups from that of the "
			"vectors: stale",
			slot, omendb_record_neighbours(layout, record)[slot], wrong);
	/*
	 * Slopes have 16 steps from a power of two to the next. Rounding may make a difference of one
	 * step. If r2 may be 0 the slope may be anything.
	 */
	else if (r2 > 4 * r2_slack &&
			 !(fabs(b - fresh_b) <= fabs(fresh_b) * (1 / 15.0 + 2 * share + 2 * r2_slack / r2) +
										omendb_edge_slope_least(record)))
		omendb_check_report(edge->check, severity, 0, node,
							"the slope of edge %u, to node %u, is %g where the vectors give %g",
							slot, omendb_record_neighbours(layout, record)[slot], b, fresh_b);
	/* Not for the least slope, which may have been less when the shift was computed. */
	else if (-b > omendb_edge_slope_least(record) &&
			 !(fabs(t - (base / b - origin)) <=
			   omendb_edge_shift_unit(record) - base_slack / b + 2 * share * magnitude))
		omendb_check_report(edge->check, severity, 0, node,
							"the shift of edge %u, to node %u, is %g where the vectors give %g",
							slot, omendb_record_neighbours(layout, record)[slot], t,
							base / b - origin);
}

static void
check_codes(EdgeCheck *edge, OmendbNode node, const OmendbRecord *record)
{
	const OmendbCodec *codec = edge->codec;
	const OmendbLayout *layout = &codec->layout;
	const OmendbNode *neighbours = omendb_record_neighbours(layout, record);

	edge->v = omendb_code_vector(codec, edge->own, edge->own_code);
	for (uint32 i = 0; i < Min(record->count, layout->edges); i++)
	{
		const float *x;
		float distance;

		if (neighbours[i] >= edge->check->diagnosis.nodes ||
			edge->check->records[neighbours[i]].kind != OMENDB_RECORD_NODE ||
			edge->check->records[neighbours[i]].level != record->level)
			continue; /* was reported */
		fetch_other(edge, neighbours[i]);
		if (!(edge->other->scale > 0) || isinf(edge->other->scale))
			continue; /* is reported for the neighbour */
		omendb_own_decode(codec, edge->other, edge->other_own);
		x = omendb_code_vector(codec, edge->other_own, edge->other_code);
		distance = omendb_own_distance(codec, record, edge->other, edge->scratch);
		omendb_edge_clear(layout, edge->fresh);
		omendb_edge_encode(codec, edge->fresh, 0, neighbours[i], edge->v, x, distance,
						   record->norm2, edge->other->norm2);
		compare_edge(edge, node, record, i, distance);
	}
}

void
omendb_check_vectors(OmendbCheck *check)
{
	const OmendbLayout *layout = &check->diagnosis.index->codec.layout;
	EdgeCheck edge = {0};
	PGAlignedBlock copy;

	prepare(&edge, check);
	for (BlockNumber block = OMENDB_FIRST_BLOCK; block < check->diagnosis.blocks; block++)
	{
		if (!omendb_check_read(check, block, check->ring, &copy))
			continue;
		for (uint32 slot = 0; slot < layout->per_page; slot++)
		{
			OmendbNode node = omendb_block_node(layout, block, slot);
			const OmendbRecord *record = omendb_page_record(layout, (Page) copy.data, slot);

			if (check->records[node].kind != OMENDB_RECORD_NODE)
				continue;
			check_down(&edge, node, record);
			if (layout->own == OMENDB_OWN_BITS)
				check_bits(&edge, node, record);
			else if (layout->own == OMENDB_OWN_SPARSE)
				check_sparse(&edge, node, record);
			else if (check_own(&edge, node, record) && omendb_layout_is_coded(layout))
				check_codes(&edge, node, record);
		}
	}
}
