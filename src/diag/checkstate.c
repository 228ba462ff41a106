/*
 * checkstate.c
 *	  What the parts of hnsw_index_check share: the report, and reading a page.
 */
#include "diag/checkstate.h"

#include "compat.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/tuplestore.h"

void
omendb_check_report(OmendbCheck *check, CheckSeverity severity, BlockNumber block, OmendbNode node,
					const char *format, ...)
{
	StringInfoData text;
	Datum values[4];
	bool nulls[4] = {false, false, false, false};
	va_list args;
	int more;

	initStringInfo(&text);
	do
	{
		va_start(args, format);
		more = appendStringInfoVA(&text, format, args);
		va_end(args);
		if (more > 0)
			enlargeStringInfo(&text, more);
	} while (more > 0);

	if (node != OMENDB_NO_NODE)
		block = omendb_node_block(&check->diagnosis.index->codec.layout, node);
	nulls[0] = block == InvalidBlockNumber;
	values[0] = Int64GetDatum(block);
	nulls[1] = node == OMENDB_NO_NODE;
	values[1] = Int64GetDatum(node);
	values[2] = PointerGetDatum(cstring_to_text_with_len(text.data, text.len));
	values[3] = CStringGetTextDatum(severity == CHECK_ERROR ? "error" : "notice");
	tuplestore_putvalues(check->result->setResult, check->result->setDesc, values, nulls);
	pfree(DatumGetPointer(values[2]));
	pfree(text.data);
}

bool
omendb_check_read(OmendbCheck *check, BlockNumber block, BufferAccessStrategy ring,
				  PGAlignedBlock *copy)
{
	Buffer buffer;

	CHECK_FOR_INTERRUPTS();
	buffer = ReadBufferExtended(check->diagnosis.relation, MAIN_FORKNUM, block, RBM_NORMAL, ring);
	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	memcpy(copy->data, BufferGetPage(buffer), BLCKSZ);
	UnlockReleaseBuffer(buffer);
	return !PageIsNew((Page) copy->data) &&
		   omendb_diagnosis_page((Page) copy->data, OMENDB_PAGE_RECORDS) == NULL;
}
