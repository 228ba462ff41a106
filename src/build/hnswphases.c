/*
 * hnswphases.c
 *	  The phases of a build, and their progress.
 */
#include "build/hnswphases.h"

#include "am/hnsw.h"
#include "commands/progress.h"
#include "pgstat.h"
#include "utils/backend_progress.h"

char *
hnsw_build_phase_name(int64 phase)
{
	switch (phase)
	{
		case PROGRESS_CREATEIDX_SUBPHASE_INITIALIZE:
			return "initializing";
		case HNSW_PHASE_LOAD:
			return "loading tuples";
		case HNSW_PHASE_QUANTIZE:
			return "quantizing vectors";
		case HNSW_PHASE_PARTITION:
			return "partitioning vectors";
		case HNSW_PHASE_COMPARE:
			return "comparing vectors";
		case HNSW_PHASE_CHOOSE:
			return "choosing neighbours";
		case HNSW_PHASE_GRAPH:
			return "building graph";
		case HNSW_PHASE_REFINE:
			return "refining graph";
		case HNSW_PHASE_WRITE:
			return "writing pages";
		case HNSW_PHASE_INSERT:
			return "inserting tuples";
		case HNSW_PHASE_CALIBRATE:
			return "measuring recall";
		case HNSW_PHASE_SPLIT:
			return "splitting into parts";
		case HNSW_PHASE_NUMBER:
			return "numbering nodes";
		case HNSW_PHASE_JOIN:
			return "joining parts";
		default:
			return NULL;
	}
}

void
hnsw_build_phase(int phase, uint64 total)
{
	const int params[] = {PROGRESS_CREATEIDX_SUBPHASE, PROGRESS_CREATEIDX_TUPLES_TOTAL,
						  PROGRESS_CREATEIDX_TUPLES_DONE};
	const int64 values[] = {phase, (int64) total, 0};

	pgstat_progress_update_multi_param(lengthof(params), params, values);
}

void
hnsw_build_show_phase(const OmendbBuildLevel *level)
{
	switch (level->phase)
	{
		case OMENDB_BUILD_QUANTIZE:
			hnsw_build_phase(HNSW_PHASE_QUANTIZE, level->n);
			break;
		case OMENDB_BUILD_ASSIGN:
			hnsw_build_phase(HNSW_PHASE_PARTITION, level->n);
			break;
		case OMENDB_BUILD_LEAVES:
			hnsw_build_phase(HNSW_PHASE_COMPARE, level->n);
			break;
		case OMENDB_BUILD_CHOOSE:
			hnsw_build_phase(HNSW_PHASE_CHOOSE, level->n);
			break;
		case OMENDB_BUILD_SEARCH:
			if (level->rounds.refines)
				hnsw_build_phase(HNSW_PHASE_REFINE, level->n);
			else if (level->rounds.from == 0)
				hnsw_build_phase(HNSW_PHASE_GRAPH, level->n);
			break;
		default:
			break;
	}
}
