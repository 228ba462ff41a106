/*
 * parts.h
 *	  The lowest level where its records do not all fit into memory, in parts.
 *
 * A bulk build (bulk.h) reads records in its first phase and in its last one, and the last
 * one needs no more of most nodes than their rows. So all rows are kept in memory, and records
 * and candidates are there for some nodes at a time. The caller keeps the rest, in files.
 * The candidates are those that a build in memory finds.
 *
 *	omendb_parts_prepare, omendb_build_attach
 *	omendb_parts_begin_window		with records of a sample: the leaders. omendb_parts_assign_leaders makes
 *							parts of them
 *	omendb_parts_begin_window		with any records: omendb_parts_of says which part each belongs to
 *	omendb_parts_begin_window		of all records, numbered part by part: the level's rows
 *	omendb_parts_begin_clusters, then until there is none
 *	omendb_parts_next_batch	some clusters into leaves; omendb_parts_found gives
 *							candidates, for the caller to keep
 *	omendb_parts_begin_choice		with the records of a part, and the candidates of its nodes
 *							(omendb_parts_candidates): the nodes that edges lead to
 *	omendb_parts_begin_encoding		with records of those outside of the part, a number of them at
 *							a time: the codes of the edges
 *
 * A window goes through omendb_build_next as a level does. What the last three begin is
 * one phase.
 *
 * Rows that int8 does not tell apart are told by their own vectors in the choice, if they
 * are in one part, but not in leaves: these have no records.
 */
#ifndef OMENDB_PARTS_H
#define OMENDB_PARTS_H

#include "graph/build.h"

/* Most parts. */
#define OMENDB_PARTS_MOST 500

#define OMENDB_PARTS_LEAST_LEADERS 64

/*
 * With the caller's fields set, for at most `room` nodes: how many bytes of memory does the
 * level take, with so many records in memory, so many others outside, and so many members of
 * clusters at a time?
 */
extern size_t omendb_parts_prepare(OmendbBuildLevel *level, uint32_t capacity,
								   uint32_t window_capacity, uint32_t outside_capacity,
								   uint32_t group_capacity);

/* For omendb_build_attach. */
extern size_t omendb_parts_attach(OmendbBuildLevel *level, void *memory);

/*
 * The array's n records are those of nodes from `first` on: begin to make their rows and to
 * assign these to leaders.
 */
extern void omendb_parts_begin_window(OmendbBuildLevel *level, uint32_t first, uint32_t n);

/*
 * Group the leaders into so many parts, by the rows in the window: of about equal size,
 * sharing few rows. part_of: of each leader. False when out of memory.
 */
extern bool omendb_parts_assign_leaders(OmendbBuildLevel *level, const OmendbAllocator *allocator,
										uint32_t parts, uint16_t *part_of);

/* The part of a node whose row was assigned. */
extern uint32_t omendb_parts_of(const OmendbBuildLevel *level, const uint16_t *part_of, uint32_t i);

/* All rows are made, n of them. */
extern void omendb_parts_begin_clusters(OmendbBuildLevel *level);

/* Begin with the next clusters. False where all are done. */
extern bool omendb_parts_next_batch(OmendbBuildLevel *level);

/*
 * Of member i of the group that was done (bulk.batch.members): its node, which of the node's
 * clusters that was, and the candidates found there. Returns how many.
 */
extern uint32_t omendb_parts_found(const OmendbBuildLevel *level, uint32_t member, uint32_t *node,
								   uint32_t *which, const uint32_t **candidates);

/* The bytes that these take. */
extern size_t omendb_parts_found_bytes(const OmendbBuildLevel *level);

/* Where these belong before the choice: of a node in the window. */
extern uint32_t *omendb_parts_candidates(const OmendbBuildLevel *level, uint32_t node,
										 uint32_t which);

/* The array's n records are those of nodes from `first` on: choose their neighbours. */
extern void omendb_parts_begin_choice(OmendbBuildLevel *level, uint32_t first, uint32_t n);

/*
 * Behind these, the array has records of n other nodes, which are in bulk.outside.nodes in
 * ascending order: make the codes of edges to them. first: of those within the part, too.
 */
extern void omendb_parts_begin_encoding(OmendbBuildLevel *level, uint32_t n, bool first);

#endif /* OMENDB_PARTS_H */
