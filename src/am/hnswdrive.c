/*
 * hnswdrive.c
 *	  The functions by which a custom scan drives an index scan (hnswdrive.h).
 *
 * They set what hnswnext.c and hnswrounds.c go by, and answer questions about the search.
 * Callers hold no lock.
 */
#include "am/hnswscanstate.h"

#include "code/bound.h"
#include "access/relscan.h"
#include "utils/memutils.h"

HnswDrive *
hnsw_scan_drive(IndexScanDesc scan)
{
	HnswScan *state = scan->opaque;

	state->drive.driven = true;
	return &state->drive;
}

void
hnsw_scan_set_wanted(IndexScanDesc scan, double rows)
{
	HnswScan *state = scan->opaque;

	state->drive.request.wanted = rows;
}

void
hnsw_scan_note_dead(IndexScanDesc scan, const HnswPlace *place, const ItemPointerData *tid)
{
	HnswScan *state = scan->opaque;
	MemoryContext old = MemoryContextSwitchTo(state->context);

	hnsw_dead_note(&state->dead, &state->store, place, tid);
	MemoryContextSwitchTo(old);
}

HnswScanReport *
hnsw_scan_progress(IndexScanDesc scan)
{
	HnswScan *state = scan->opaque;

	hnsw_update_report(state);
	return &state->report;
}

static int
compare_nodes(const void *a, const void *b)
{
	OmendbNode x = *(const OmendbNode *) a;
	OmendbNode y = *(const OmendbNode *) b;

	return x < y ? -1 : x > y;
}

/*
 * Append the nodes of those candidates that were not visited and may lie within the distance.
 * Returns the number of nodes there are then; a node may be there several times.
 */
static size_t
append_unvisited(const HnswScan *state, const OmendbCandidate *candidates, size_t ncandidates,
				 double distance, OmendbNode *nodes, size_t nnodes)
{
	const OmendbSearch *search = &state->rounds.search;

	for (size_t i = 0; i < ncandidates; i++)
	{
		OmendbNode node = omendb_candidate_node(candidates[i]);
		double high;

		if ((candidates[i] & OMENDB_VISITED) ||
			(search->coded && omendb_search_has_visited(search, node)))
			continue;
		if (omendb_lower_bound(&state->query.prepared, omendb_candidate_estimate(candidates[i]),
							   state->pending.max_error, state->pending.max_norm2,
							   &high) <= distance)
			nodes[nnodes++] = node;
	}
	return nnodes;
}

size_t
hnsw_scan_candidates_within(IndexScanDesc scan, double distance)
{
	const HnswScan *state = scan->opaque;
	const OmendbSearch *search = &state->rounds.search;
	OmendbNode *nodes = MemoryContextAllocHuge(
		state->context, (search->beam.used + search->aside.used + 1) * sizeof(OmendbNode));
	size_t nnodes =
		append_unvisited(state, search->beam.candidates, search->beam.used, distance, nodes, 0);
	size_t distinct = 0;

	nnodes = append_unvisited(state, search->aside.candidates, search->aside.used, distance, nodes,
							  nnodes);
	qsort(nodes, nnodes, sizeof(OmendbNode), compare_nodes);
	for (size_t i = 0; i < nnodes; i++)
		distinct += i == 0 || nodes[i] != nodes[i - 1];
	pfree(nodes);
	return distinct;
}

bool
hnsw_scan_left_out_nan(IndexScanDesc scan)
{
	HnswScan *state = scan->opaque;

	return omendb_index_left_out(&state->store);
}

void
hnsw_scan_sweep(IndexScanDesc scan)
{
	HnswScan *state = scan->opaque;
	MemoryContext old = MemoryContextSwitchTo(state->context);

	Assert(state->started && !state->sweep);
	if (!state->empty)
		hnsw_begin_sweep(state);
	MemoryContextSwitchTo(old);
}

void
hnsw_scan_finish(IndexScanDesc scan)
{
	HnswScan *state = scan->opaque;

	state->rounds.allowed = HNSW_ALL_NODES;
}
