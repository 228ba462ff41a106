/*
 * hnswphases.h
 *	  Phases of a build, as pg_stat_progress_create_index shows them.
 */
#ifndef OMENDB_HNSWPHASES_H
#define OMENDB_HNSWPHASES_H

#include "postgres.h"

#include "graph/build.h"

/* 1 is PostgreSQL's own "initializing". Values are in the order in which they came to be. */
#define HNSW_PHASE_LOAD      2
#define HNSW_PHASE_QUANTIZE  3
#define HNSW_PHASE_PARTITION 4
#define HNSW_PHASE_COMPARE   5
#define HNSW_PHASE_CHOOSE    6
#define HNSW_PHASE_GRAPH     7
#define HNSW_PHASE_REFINE    8
#define HNSW_PHASE_WRITE     9
#define HNSW_PHASE_INSERT    10
#define HNSW_PHASE_SPLIT     11
#define HNSW_PHASE_NUMBER    12
#define HNSW_PHASE_JOIN      13
#define HNSW_PHASE_CALIBRATE 14

/* Show that a phase begins. total: rows that will be done, or 0 if not known. */
extern void hnsw_build_phase(int phase, uint64 total);

/* Show which phase the lowest level is in; the others take next to no time. */
extern void hnsw_build_show_phase(const OmendbBuildLevel *level);

#endif /* OMENDB_HNSWPHASES_H */
