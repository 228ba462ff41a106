/*
 * hnswopclass.c
 *	  Operator classes: their types and distances, values into records.
 */
#include "am/hnsw.h"

#include "access/amvalidate.h"
#include "access/htup_details.h"
#include "catalog/pg_amop.h"
#include "catalog/pg_amproc.h"
#include "catalog/pg_opclass.h"
#include "catalog/pg_type.h"
#include "kernel/kernel.h"
#include "types/checks.h"
#include "types/halfvec.h"
#include "types/vector.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"
#include "utils/syscache.h"
#include "utils/varbit.h"

static int
vector_dimensions(Datum value)
{
	return ((Vector *) DatumGetPointer(value))->dim;
}

static void
vector_floats(Datum value, float *out)
{
	Vector *vector = (Vector *) DatumGetPointer(value);

	memcpy(out, vector->x, vector->dim * sizeof(float));
}

static int
halfvec_dimensions(Datum value)
{
	return ((HalfVector *) DatumGetPointer(value))->dim;
}

static void
halfvec_floats(Datum value, float *out)
{
	HalfVector *vector = (HalfVector *) DatumGetPointer(value);

	omendb_kernels.half_to_float(vector->x, out, vector->dim);
}

static int
bit_dimensions(Datum value)
{
	return VARBITLEN((VarBit *) DatumGetPointer(value));
}

#define HNSW_MAX_BITS 64000

#define OPCLASS(name, metric, type, max, floats)                                               \
	static const HnswOpclass name##_opclass = {metric, #type, max, type##_dimensions, floats}; \
	PG_FUNCTION_INFO_V1(omendb_sql_hnsw_##name);                                               \
	Datum omendb_sql_hnsw_##name(PG_FUNCTION_ARGS)                                             \
	{                                                                                          \
		PG_RETURN_POINTER(&name##_opclass);                                                    \
	}                                                                                          \
	StaticAssertDecl(true, "a semicolon follows")

OPCLASS(vector_l2, OMENDB_METRIC_L2, vector, VECTOR_MAX_DIM, vector_floats);
OPCLASS(vector_ip, OMENDB_METRIC_IP, vector, VECTOR_MAX_DIM, vector_floats);
OPCLASS(vector_cosine, OMENDB_METRIC_COSINE, vector, VECTOR_MAX_DIM, vector_floats);
OPCLASS(vector_l1, OMENDB_METRIC_L1, vector, VECTOR_MAX_DIM, vector_floats);
OPCLASS(halfvec_l2, OMENDB_METRIC_L2, halfvec, HALFVEC_MAX_DIM, halfvec_floats);
OPCLASS(halfvec_ip, OMENDB_METRIC_IP, halfvec, HALFVEC_MAX_DIM, halfvec_floats);
OPCLASS(halfvec_cosine, OMENDB_METRIC_COSINE, halfvec, HALFVEC_MAX_DIM, halfvec_floats);
OPCLASS(halfvec_l1, OMENDB_METRIC_L1, halfvec, HALFVEC_MAX_DIM, halfvec_floats);
OPCLASS(bit_hamming, OMENDB_METRIC_HAMMING, bit, HNSW_MAX_BITS, NULL);
OPCLASS(bit_jaccard, OMENDB_METRIC_JACCARD, bit, HNSW_MAX_BITS, NULL);

const HnswOpclass *
hnsw_opclass(Relation index)
{
	FmgrInfo *proc = index_getprocinfo(index, 1, HNSW_OPCLASS_PROC);

	return (const HnswOpclass *) DatumGetPointer(FunctionCall1(proc, PointerGetDatum(NULL)));
}

int
hnsw_column_dimensions(Relation index, const HnswOpclass *opclass)
{
	Form_pg_attribute column = TupleDescAttr(RelationGetDescr(index), 0);
	int32 dimensions = column->atttypmod;
	/* That of a domain is of the type it is made of. */
	Oid type = getBaseTypeAndTypmod(column->atttypid, &dimensions);

	/* bit varying passes for bit. */
	if (type != index->rd_opcintype[0])
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("type %s is not supported for hnsw index", format_type_be(type))));
	if (dimensions < 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("column does not have dimensions"),
						errhint("Give the type its dimensions, as in %s(3), or index an expression "
								"with a cast to it.",
								opclass->type)));
	if (dimensions > opclass->max_dimensions)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("column cannot have more than %d dimensions for hnsw index",
							   opclass->max_dimensions)));
	return dimensions;
}

/* A number for "the same vector": of all its bits in stored space. */
static uint64
identity(const void *data, size_t bytes)
{
	const uint8 *at = data;
	uint64 hash = bytes;
	uint64 word;

	for (; bytes >= 8; bytes -= 8, at += 8)
	{
		memcpy(&word, at, 8);
		hash = omendb_hash64(hash ^ word) + UINT64CONST(0x9e3779b97f4a7c15);
	}
	if (bytes > 0)
	{
		word = 0;
		memcpy(&word, at, bytes);
		hash = omendb_hash64(hash ^ word);
	}
	return hash;
}

bool
hnsw_encode_floats(const OmendbCodec *codec, float *floats, OmendbRecord *record)
{
	uint64 id;

	if (!omendb_codec_store(codec, floats, floats))
		return false;
	omendb_own_encode(codec, floats, record);
	id = identity(floats, codec->layout.dimensions * sizeof(float));
	record->identity[0] = (uint32) id;
	record->identity[1] = (uint32) (id >> 32);
	return true;
}

void
hnsw_get_floats(const OmendbIndex *index, const HnswOpclass *opclass, Datum value, float *out)
{
	struct varlena *flat = PG_DETOAST_DATUM(value);

	omendb_check_same_dim(index->codec.layout.dimensions,
						  opclass->dimensions(PointerGetDatum(flat)));
	opclass->floats(PointerGetDatum(flat), out);
	if ((Pointer) flat != DatumGetPointer(value))
		pfree(flat);
}

bool
hnsw_encode_value(const OmendbIndex *index, const HnswOpclass *opclass, Datum value, void *room,
				  OmendbRecord *record)
{
	const OmendbLayout *layout = &index->codec.layout;
	struct varlena *flat;
	const uint8 *bits;
	uint64 id;

	if (opclass->floats)
	{
		hnsw_get_floats(index, opclass, value, room);
		return hnsw_encode_floats(&index->codec, room, record);
	}
	flat = PG_DETOAST_DATUM(value);
	omendb_check_same_dim(layout->dimensions, opclass->dimensions(PointerGetDatum(flat)));
	bits = VARBITS((VarBit *) flat);
	omendb_own_encode_bits(&index->codec, bits, record);
	id = identity(bits, layout->own_bytes);
	record->identity[0] = (uint32) id;
	record->identity[1] = (uint32) (id >> 32);
	if ((Pointer) flat != DatumGetPointer(value))
		pfree(flat);
	return true;
}

bool
hnsw_set_query(OmendbQuery *query, const HnswOpclass *opclass, Datum value, void *room)
{
	const OmendbLayout *layout = &query->codec->layout;
	struct varlena *flat = PG_DETOAST_DATUM(value);
	bool good = true;

	omendb_check_same_dim(layout->dimensions, opclass->dimensions(PointerGetDatum(flat)));
	if (!opclass->floats)
	{
		memcpy(room, VARBITS((VarBit *) flat), layout->own_bytes);
		omendb_query_set_bits(query, room);
	}
	else
	{
		opclass->floats(PointerGetDatum(flat), room);
		good = omendb_query_set(query, room);
	}
	/* A scan is rescanned for every row of an outer one. */
	if ((Pointer) flat != DatumGetPointer(value))
		pfree(flat);
	return good;
}

Size
hnsw_value_room(const OmendbLayout *layout)
{
	return Max((Size) layout->own_bytes, layout->dimensions * sizeof(float));
}

/*
 * Is the operator class usable? One ordering operator with a float8 result, one
 * support function (internal) returns internal.
 */
bool
hnsw_validate(Oid opclass_oid)
{
	HeapTuple tuple = SearchSysCache1(CLAOID, ObjectIdGetDatum(opclass_oid));
	Form_pg_opclass form;
	CatCList *procs;
	CatCList *operators;
	bool result = true;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for operator class %u", opclass_oid);
	form = (Form_pg_opclass) GETSTRUCT(tuple);

	operators = SearchSysCacheList1(AMOPSTRATEGY, ObjectIdGetDatum(form->opcfamily));
	for (int i = 0; i < operators->n_members; i++)
	{
		Form_pg_amop op = (Form_pg_amop) GETSTRUCT(&operators->members[i]->tuple);

		if (op->amopstrategy != 1)
		{
			ereport(INFO, (errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
						   errmsg("operator family \"%s\" of access method %s contains operator %s "
								  "with invalid strategy number %d",
								  NameStr(form->opcname), "hnsw", format_operator(op->amopopr),
								  op->amopstrategy)));
			result = false;
		}
		if (op->amoppurpose != AMOP_ORDER || get_op_rettype(op->amopopr) != FLOAT8OID)
		{
			ereport(INFO,
					(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
					 errmsg("operator family \"%s\" of access method %s contains operator %s that "
							"does not order by float8",
							NameStr(form->opcname), "hnsw", format_operator(op->amopopr))));
			result = false;
		}
	}
	ReleaseCatCacheList(operators);

	procs = SearchSysCacheList1(AMPROCNUM, ObjectIdGetDatum(form->opcfamily));
	for (int i = 0; i < procs->n_members; i++)
	{
		Form_pg_amproc proc = (Form_pg_amproc) GETSTRUCT(&procs->members[i]->tuple);

		if (proc->amprocnum != HNSW_OPCLASS_PROC ||
			!check_amproc_signature(proc->amproc, INTERNALOID, true, 1, 1, INTERNALOID))
		{
			ereport(INFO, (errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
						   errmsg("operator family \"%s\" of access method %s contains function %s "
								  "with wrong number or signature",
								  NameStr(form->opcname), "hnsw", format_procedure(proc->amproc))));
			result = false;
		}
	}
	if (procs->n_members == 0)
	{
		ereport(INFO, (errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
					   errmsg("operator class \"%s\" of access method %s is missing support "
							  "function %d",
							  NameStr(form->opcname), "hnsw", HNSW_OPCLASS_PROC)));
		result = false;
	}
	ReleaseCatCacheList(procs);
	ReleaseSysCache(tuple);
	return result;
}
