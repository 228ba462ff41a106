/*
 * indexcheck.c
 *	  hnsw_index_check: checks of the metapage, records, edges, chains, and reachability.
 *
 * Holds ShareLock on table and index, so no insert and no vacuum runs meanwhile. (A standby cannot
 * take that lock.)
 *
 * A problem is a notice if a crash or a cancelled command may leave it, no row is lost by it, and
 * vacuum removes it: nodes that are not reached and are above level 0 or of rows that did not
 * commit; an entry point below the level of such nodes; wrong edges of dead nodes that are not
 * reached. Edges to dead nodes are no problem, because vacuum replaces them.
 *
 * Memory: 24 bytes a slot, 4 an edge, 16 a heap TID.
 */
#include "compat.h"

#include "diag/checkstate.h"
#include "diag/edgecheck.h"
#include "diag/heapcheck.h"
#include "miscadmin.h"
#include "storage/off.h"

static void
add_edge(OmendbCheck *check, OmendbNode node)
{
	if (check->nedges == check->edges_capacity)
	{
		check->edges_capacity = Max(4096, check->edges_capacity * 2);
		check->edges = omendb_palloc_allocator.resize(NULL, check->edges,
													  check->edges_capacity * sizeof(OmendbNode));
	}
	check->edges[check->nedges++] = node;
}

static void
add_tid(OmendbCheck *check, OmendbNode at, OmendbNode node, const uint8 *bytes)
{
	ItemPointerData tid;
	bool marked = omendb_tid_load(bytes, &tid);

	if (ItemPointerGetBlockNumberNoCheck(&tid) > MaxBlockNumber ||
		!OffsetNumberIsValid(ItemPointerGetOffsetNumberNoCheck(&tid)))
	{
		omendb_check_problem(check, 0, at, "invalid heap TID (%u,%u)",
							 ItemPointerGetBlockNumberNoCheck(&tid),
							 ItemPointerGetOffsetNumberNoCheck(&tid));
		return;
	}
	if (check->ntids == check->tids_capacity)
	{
		check->tids_capacity = Max(4096, check->tids_capacity * 2);
		check->tids = omendb_palloc_allocator.resize(NULL, check->tids,
													 check->tids_capacity * sizeof(CheckTid));
	}
	check->tids[check->ntids++] = (CheckTid){omendb_check_tid(&tid), node, false, marked};
}

static void
add_edges(OmendbCheck *check, OmendbNode node, const OmendbRecord *record, CheckRecord *entry)
{
	const OmendbLayout *layout = &check->diagnosis.index->codec.layout;
	const OmendbNode *neighbours = omendb_record_neighbours(layout, record);
	uint32 most = record->level == 0 ? layout->edges : layout->m;

	entry->first = check->nedges;
	if (record->count > most)
		omendb_check_problem(check, 0, node, "%u edges, more than the %u of its level",
							 record->count, most);
	for (uint32 i = 0; i < Min(record->count, layout->edges); i++)
	{
		if (neighbours[i] >= check->diagnosis.nodes)
		{
			omendb_check_problem(check, 0, node, "edge %u leads beyond the end of the index, to %u",
								 i, neighbours[i]);
			continue;
		}
		if (neighbours[i] == node)
			omendb_check_problem(check, 0, node, "edge %u leads to the node itself", i);
		for (uint32 k = 0; k < i; k++)
			if (neighbours[k] == neighbours[i])
			{
				omendb_check_problem(check, 0, node, "edges %u and %u both lead to node %u", k, i,
									 neighbours[i]);
				break;
			}
		add_edge(check, neighbours[i]);
	}
	entry->count = check->nedges - entry->first;
}

static void
add_node(OmendbCheck *check, OmendbNode node, const OmendbRecord *record, CheckRecord *entry)
{
	bool dead = record->flags & OMENDB_RECORD_DEAD;

	entry->level = record->level;
	entry->dead = dead;
	entry->down = record->down;
	entry->overflow = record->overflow;
	entry->incarnation = record->incarnation;
	if (record->level > OMENDB_MAX_LEVEL)
	{
		omendb_check_problem(check, 0, node, "impossible level %u", record->level);
		entry->kind = OMENDB_RECORD_FREE;
		return;
	}
	if (record->flags & ~OMENDB_RECORD_DEAD)
		omendb_check_problem(check, 0, node, "unknown flags 0x%02x", record->flags);
	if (record->ntids > OMENDB_INLINE_TIDS)
		omendb_check_problem(check, 0, node, "%u heap TIDs where %u fit", record->ntids,
							 OMENDB_INLINE_TIDS);
	for (uint32 i = 0; i < Min(record->ntids, OMENDB_INLINE_TIDS); i++)
		add_tid(check, node, node, record->tids + i * OMENDB_TID_BYTES);
	if (record->level > 0)
	{
		if (record->ntids > 0 || record->overflow != OMENDB_NO_NODE)
			omendb_check_problem(check, 0, node, "heap TIDs on level %u", record->level);
		if (record->down >= check->diagnosis.nodes)
			omendb_check_problem(check, 0, node,
								 "the pointer down leads beyond the end of the index");
	}
	else
	{
		bool tids = record->ntids > 0 || record->overflow != OMENDB_NO_NODE;

		if (record->down != OMENDB_NO_NODE)
			omendb_check_problem(check, 0, node, "a pointer down, to %u, on level 0", record->down);
		if (tids && dead)
			omendb_check_problem(check, 0, node, "heap TIDs, but marked as dead");
		if (!tids && !dead)
			omendb_check_problem(check, 0, node, "no heap TIDs, but not marked as dead");
	}
	add_edges(check, node, record, entry);
}

static void
add_overflow(OmendbCheck *check, OmendbNode node, const OmendbRecord *record, CheckRecord *entry)
{
	const OmendbOverflow *overflow = omendb_record_overflow((OmendbRecord *) record);
	uint32 capacity = omendb_overflow_capacity(&check->diagnosis.index->codec.layout);

	entry->down = overflow->owner;
	entry->overflow = record->overflow;
	entry->incarnation = overflow->owner_incarnation;
	if (overflow->count == 0 || overflow->count > capacity)
		omendb_check_problem(check, 0, node,
							 "%u heap TIDs in an overflow record, which has 1 to %u",
							 overflow->count, capacity);
	for (uint32 i = 0; i < Min(overflow->count, capacity); i++)
		add_tid(check, node, overflow->owner, (const uint8 *) &overflow->tids[i]);
}

/*
 * Check that a spanning record is on the page, with inner slots behind its first, and no more of
 * them. False if its own vector must not be read.
 */
static bool
check_span(OmendbCheck *check, Page page, uint32 slot, OmendbNode node, const OmendbRecord *record)
{
	const OmendbLayout *layout = &check->diagnosis.index->codec.layout;
	uint32 end;

	if (!layout->spans)
		return true;
	if (!omendb_record_ends_on_page(layout, slot, record))
	{
		omendb_check_problem(check, 0, node, "the record ends beyond its page");
		return false;
	}
	end = slot + omendb_record_slots(layout, record);
	for (uint32 i = slot + 1; i < end; i++)
		if (!omendb_slot_is_inner(layout, page, i))
		{
			omendb_check_problem(check, 0, node, "the record's slot %u is not marked as inner",
								 i - slot);
			return false;
		}
	if (end < layout->per_page && omendb_slot_is_inner(layout, page, end))
		omendb_check_problem(check, 0, node,
							 "the slot behind the record's last is marked as inner");
	return true;
}

/* Read all records into the tables, and check each record by itself. */
static void
read_records(OmendbCheck *check)
{
	const OmendbLayout *layout = &check->diagnosis.index->codec.layout;
	PGAlignedBlock copy;

	for (BlockNumber block = OMENDB_FIRST_BLOCK; block < check->diagnosis.blocks; block++)
	{
		Page page = (Page) copy.data;

		if (!omendb_check_read(check, block, check->ring, &copy))
		{
			/* A new page: a crash came between extending the file and the page's first WAL. */
			if (!PageIsNew(page))
				omendb_check_problem(check, block, OMENDB_NO_NODE, "%s",
									 omendb_diagnosis_page(page, OMENDB_PAGE_RECORDS));
			continue;
		}
		for (uint32 slot = 0; slot < layout->per_page; slot++)
		{
			OmendbNode node = omendb_block_node(layout, block, slot);
			const OmendbRecord *record = omendb_page_record(layout, page, slot);
			CheckRecord *entry = &check->records[node];

			entry->kind = record->kind;
			if (record == &omendb_inner_record)
			{
				if (slot == 0)
					omendb_check_problem(check, 0, node,
										 "the page's first slot is marked as inner");
				continue;
			}
			if (!check_span(check, page, slot, node, record))
			{
				entry->kind = OMENDB_RECORD_FREE;
				continue;
			}
			if (record->kind == OMENDB_RECORD_NODE)
				add_node(check, node, record, entry);
			else if (record->kind == OMENDB_RECORD_OVERFLOW)
				add_overflow(check, node, record, entry);
			else if (record->kind != OMENDB_RECORD_FREE)
			{
				omendb_check_problem(check, 0, node, "unknown kind of record: %u", record->kind);
				entry->kind = OMENDB_RECORD_FREE;
			}
		}
	}
}

/* What is wrong with a record that should be a node of that level, or NULL. */
static const char *
node_problem(const OmendbCheck *check, OmendbNode node, unsigned level)
{
	const CheckRecord *record = &check->records[node];

	if (record->kind == OMENDB_RECORD_FREE)
		return "which is free";
	if (record->kind == OMENDB_RECORD_OVERFLOW)
		return "which is an overflow record";
	if (record->kind == OMENDB_RECORD_INNER)
		return "which is part of another record";
	if (record->level != level)
		return "which is of another level";
	return NULL;
}

static void
check_edges(OmendbCheck *check, OmendbNode node)
{
	const CheckRecord *record = &check->records[node];
	const char *wrong;

	for (uint32 i = 0; i < record->count; i++)
	{
		OmendbNode other = check->edges[record->first + i];

		wrong = node_problem(check, other, record->level);
		if (wrong)
			omendb_check_report(check, omendb_check_edge_severity(check, node), 0, node,
								"an edge leads to record %u, %s", other, wrong);
	}
	if (record->level > 0 && record->down < check->diagnosis.nodes)
	{
		CheckRecord *down = &check->records[record->down];

		wrong = node_problem(check, record->down, record->level - 1);
		if (wrong)
			omendb_check_problem(check, 0, node, "the pointer down leads to record %u, %s",
								 record->down, wrong);
		else if (down->seen & CHECK_NAMED)
			omendb_check_problem(check, 0, node,
								 "the pointer down leads to node %u, as that of another node does",
								 record->down);
		else
			down->seen |= CHECK_NAMED;
	}
}

static void
check_chain(OmendbCheck *check, OmendbNode node)
{
	const CheckRecord *owner = &check->records[node];
	OmendbNode at = owner->overflow;

	while (at != OMENDB_NO_NODE)
	{
		CheckRecord *record;

		if (at >= check->diagnosis.nodes || check->records[at].kind != OMENDB_RECORD_OVERFLOW)
		{
			omendb_check_problem(check, 0, node,
								 "its chain leads to record %u, which is no overflow record", at);
			return;
		}
		record = &check->records[at];
		if (record->down != node || record->incarnation != owner->incarnation)
		{
			omendb_check_problem(check, 0, node,
								 "its chain leads to overflow record %u, which is of node %u", at,
								 record->down);
			return;
		}
		if (record->seen & CHECK_NAMED)
		{
			omendb_check_problem(check, 0, node, "its chain comes to overflow record %u twice", at);
			return;
		}
		record->seen |= CHECK_NAMED;
		at = record->overflow;
	}
}

static void
check_all_edges(OmendbCheck *check)
{
	for (OmendbNode node = 0; node < check->diagnosis.nodes; node++)
	{
		if (check->records[node].kind != OMENDB_RECORD_NODE)
			continue;
		check_edges(check, node);
		check_chain(check, node);
	}
	for (OmendbNode node = 0; node < check->diagnosis.nodes; node++)
		if (check->records[node].kind == OMENDB_RECORD_OVERFLOW &&
			!(check->records[node].seen & CHECK_NAMED))
			omendb_check_problem(check, 0, node, "an overflow record of no node (it names node %u)",
								 check->records[node].down);
}

/*
 * Follow the edges of the n nodes in queue[], which are CHECK_REACHED, and of all nodes reached by
 * that. These are appended to the queue. Returns its new length.
 */
static size_t
follow_edges(OmendbCheck *check, OmendbNode *queue, size_t n)
{
	for (size_t at = 0; at < n; at++)
	{
		const CheckRecord *record = &check->records[queue[at]];

		if (at % 65536 == 0)
			CHECK_FOR_INTERRUPTS();
		for (uint32 i = 0; i < record->count; i++)
		{
			OmendbNode other = check->edges[record->first + i];
			CheckRecord *end = &check->records[other];

			if ((end->seen & CHECK_REACHED) || node_problem(check, other, record->level))
				continue;
			end->seen |= CHECK_REACHED;
			queue[n++] = other;
		}
	}
	return n;
}

/*
 * Set CHECK_REACHED as searches reach nodes: from the entry point, along the edges of a level, and
 * by the pointer down of every node reached there.
 */
static void
reach_nodes(OmendbCheck *check)
{
	const OmendbMetaPage *meta = &check->diagnosis.meta;
	OmendbNode *queue =
		omendb_palloc_allocator.resize(NULL, NULL, check->diagnosis.nodes * sizeof(OmendbNode) + 1);
	size_t n = 0;
	unsigned highest = 0;

	for (OmendbNode node = 0; node < check->diagnosis.nodes; node++)
		if (check->records[node].kind == OMENDB_RECORD_NODE && !check->records[node].dead)
			highest = Max(highest, check->records[node].level);
	if (meta->entry != OMENDB_NO_NODE)
	{
		if (meta->entry >= check->diagnosis.nodes ||
			check->records[meta->entry].kind != OMENDB_RECORD_NODE ||
			check->records[meta->entry].level != meta->entry_level)
			omendb_check_problem(check, OMENDB_META_BLOCK, OMENDB_NO_NODE,
								 "the entry point, record %u, is no node of level %u", meta->entry,
								 meta->entry_level);
		else
		{
			if (meta->entry_level < highest)
				omendb_check_report(check, CHECK_NOTICE, OMENDB_META_BLOCK, OMENDB_NO_NODE,
									"the entry point, node %u, is of level %u, but there are "
									"nodes of level %u",
									meta->entry, meta->entry_level, highest);
			queue[n++] = meta->entry;
			check->records[meta->entry].seen |= CHECK_REACHED;
		}
	}
	for (int level = meta->entry_level; n > 0 && level >= 0; level--)
	{
		size_t below = 0;

		n = follow_edges(check, queue, n);
		for (size_t i = 0; i < n && level > 0; i++)
		{
			OmendbNode down = check->records[queue[i]].down;

			if (down >= check->diagnosis.nodes || node_problem(check, down, level - 1) ||
				(check->records[down].seen & CHECK_REACHED))
				continue;
			check->records[down].seen |= CHECK_REACHED;
			queue[below++] = down;
		}
		n = below;
	}
	pfree(queue);
}

/* Report the live nodes that are not reached. Above level 0 this costs only time. */
static void
report_unreached(OmendbCheck *check)
{
	omendb_check_visible(check);
	for (OmendbNode node = 0; node < check->diagnosis.nodes; node++)
	{
		const CheckRecord *record = &check->records[node];

		if (record->kind == OMENDB_RECORD_NODE && !record->dead && !(record->seen & CHECK_REACHED))
			omendb_check_report(
				check,
				record->level == 0 && (record->seen & CHECK_ROWS) ? CHECK_ERROR : CHECK_NOTICE, 0,
				node, "not reached from the entry point, on level %u", record->level);
	}
}

/* Check what omendb_index_open does not check of the metapage. */
static void
check_meta(OmendbCheck *check)
{
	const OmendbDiagnosis *diagnosis = &check->diagnosis;
	const OmendbMetaPage *meta = &diagnosis->meta;
	int dimensions = hnsw_column_dimensions(diagnosis->relation, diagnosis->opclass);

	if (meta->metric != diagnosis->opclass->metric)
		omendb_check_problem(check, OMENDB_META_BLOCK, OMENDB_NO_NODE,
							 "the metapage has another metric than the operator class");
	if ((meta->own == OMENDB_OWN_SPARSE) != diagnosis->opclass->sparse)
		omendb_check_problem(check, OMENDB_META_BLOCK, OMENDB_NO_NODE,
							 "the metapage is of an index of another type");
	if (meta->dimensions != dimensions)
		omendb_check_problem(check, OMENDB_META_BLOCK, OMENDB_NO_NODE,
							 "the metapage says %u dimensions, the column has %d", meta->dimensions,
							 dimensions);
	if (meta->ef_construction < HNSW_MIN_EF_CONSTRUCTION ||
		meta->ef_construction > HNSW_MAX_EF_CONSTRUCTION)
		omendb_check_problem(check, OMENDB_META_BLOCK, OMENDB_NO_NODE,
							 "the metapage has an impossible ef_construction, %u",
							 meta->ef_construction);
	if (!omendb_calibration_is_possible(&diagnosis->calibration))
		omendb_check_problem(check, OMENDB_META_BLOCK, OMENDB_NO_NODE,
							 "what the metapage says of recall has a wrong checksum");
	if (meta->entry != OMENDB_NO_NODE && meta->entry_level > OMENDB_MAX_LEVEL)
		omendb_check_problem(check, OMENDB_META_BLOCK, OMENDB_NO_NODE,
							 "the metapage has an impossible level, %u", meta->entry_level);
}

PG_FUNCTION_INFO_V1(omendb_sql_hnsw_index_check);

/* hnsw_index_check(index regclass, heap_check boolean) returns problems, a row each. */
Datum
omendb_sql_hnsw_index_check(PG_FUNCTION_ARGS)
{
	OmendbCheck check = {0};

	InitMaterializedSRF(fcinfo, 0);
	check.result = (ReturnSetInfo *) fcinfo->resultinfo;
	omendb_diagnosis_open(&check.diagnosis, PG_GETARG_OID(0), ShareLock, OMENDB_DIAGNOSIS_OWNER);
	check.ring = GetAccessStrategy(BAS_BULKREAD);
	check.records = palloc_extended(((Size) check.diagnosis.nodes + 1) * sizeof(CheckRecord),
									MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);

	check_meta(&check);
	read_records(&check);
	reach_nodes(&check);
	check_all_edges(&check);
	report_unreached(&check);
	omendb_check_vectors(&check);
	omendb_check_tids(&check);
	/* By the metapage of another index the table's values cannot be compared with records. */
	if (PG_GETARG_BOOL(1) &&
		!hnsw_metapage_problem(check.diagnosis.relation, &check.diagnosis.index->codec.layout,
							   check.diagnosis.opclass))
		omendb_check_heap(&check);

	pfree(check.records);
	if (check.edges)
		pfree(check.edges);
	if (check.tids)
		pfree(check.tids);
	FreeAccessStrategy(check.ring);
	omendb_diagnosis_close(&check.diagnosis);
	return (Datum) 0;
}
