/*
 * parts.h
 *	  The bulk build of a lowest level whose records do not all fit into memory, in parts.
 *
 * A bulk build (bulk.h) reads records when it makes rows and when it chooses neighbours, and the
 * choice needs the row alone of most nodes. So the rows of all nodes are in memory; records and
 * candidates are there for some nodes at a time (the window). The caller keeps the others in files.
 * The candidates are the same as those of a build in memory.
 *
 *	1. omendb_parts_prepare, omendb_build_attach.
 *	2. omendb_parts_begin_window with the records of a sample: chooses the leaders.
 *	   omendb_parts_assign_leaders then makes parts of them.
 *	3. omendb_parts_begin_window with any records, for all of them in turn: omendb_parts_of then says
 *	   which part a node belongs to. The caller numbers the nodes part by part.
 *	4. omendb_parts_begin_window with the records of each part: makes the level's rows.
 *	5. omendb_parts_count_clusters. Then omendb_parts_next_batch until there is none: splits some
 *	   clusters into leaves. omendb_parts_found returns candidates, for the caller to keep.
 *	6. For each part: omendb_parts_begin_choice with its records, and the candidates of its nodes at
 *	   omendb_parts_candidates: chooses neighbours.
 *	7. omendb_parts_begin_encoding, with some records of neighbours outside of the part at a time:
 *	   writes the codes of edges to them.
 *
 * A window (2 to 4) goes through omendb_build_next as a level does. What 5 to 7 begin is one phase.
 *
 * Rows that int8 does not distinguish are distinguished by their own vectors in the choice, if they
 * are in the same part, but not in leaves, which have no records.
 */
#ifndef OMENDB_PARTS_H
#define OMENDB_PARTS_H

#include "graph/build.h"

/* Maximum number of parts. */
#define OMENDB_PARTS_MOST 500

/* Minimum number of leaders, however small the window. */
#define OMENDB_PARTS_LEAST_LEADERS 64

/*
 * With the caller's fields set, prepare a level of at most `capacity` nodes, with at most
 * window_capacity records in the window, outside_capacity others, and batch_capacity members of
 * clusters at a time. Returns the bytes of memory that the level needs.
 */
extern size_t omendb_parts_prepare(OmendbBuildLevel *level, uint32_t capacity,
								   uint32_t window_capacity, uint32_t outside_capacity,
								   uint32_t batch_capacity);

/*
 * The array's n records are those of nodes from `first` on: begin to make their rows, and to assign
 * these to leaders.
 */
extern void omendb_parts_begin_window(OmendbBuildLevel *level, uint32_t first, uint32_t n);

/*
 * Assign the leaders to parts of about equal size that share few rows, by the rows in the window.
 * part_of: each leader's part. False when out of memory.
 */
extern bool omendb_parts_assign_leaders(OmendbBuildLevel *level, const OmendbAllocator *allocator,
										uint32_t parts, uint16_t *part_of);

/* The part of node i, whose row was assigned. */
extern uint32_t omendb_parts_of(const OmendbBuildLevel *level, const uint16_t *part_of, uint32_t i);

/* After all rows were made: count the clusters' members, before the first batch. */
extern void omendb_parts_count_clusters(OmendbBuildLevel *level);

/* Begin to split the next batch of clusters. False if none is left. */
extern bool omendb_parts_next_batch(OmendbBuildLevel *level);

/*
 * Of a member of the batch, below bulk.batch.members, that was split: its node, which of the node's
 * clusters it is a member of, and the candidates found there. Returns the number of places for
 * candidates; empty ones are OMENDB_BULK_NONE.
 */
extern uint32_t omendb_parts_found(const OmendbBuildLevel *level, uint32_t member, uint32_t *node,
								   uint32_t *which, const uint32_t **candidates);

/* Bytes of these places. */
extern size_t omendb_parts_found_bytes(const OmendbBuildLevel *level);

/* Where the choice reads these candidates, for a node in the window. */
extern uint32_t *omendb_parts_candidates(const OmendbBuildLevel *level, uint32_t node,
										 uint32_t which);

/* The array's n records are those of nodes from `first` on: begin to choose their neighbours. */
extern void omendb_parts_begin_choice(OmendbBuildLevel *level, uint32_t first, uint32_t n);

/*
 * After these, the array has the records of n other nodes, which are in bulk.outside.nodes in
 * ascending order: begin to write the codes of edges to them. first: and of edges within the window.
 */
extern void omendb_parts_begin_encoding(OmendbBuildLevel *level, uint32_t n, bool first);

#endif /* OMENDB_PARTS_H */
