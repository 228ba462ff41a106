#include "am/hnsw.h"
bool
hnsw_insert(Relation index, Datum *values, bool *isnull, ItemPointer tid, Relation heap,
			IndexUniqueCheck unique, bool unchanged, IndexInfo *info)
{
	elog(ERROR, "insert is not there yet");
	return false;
}
