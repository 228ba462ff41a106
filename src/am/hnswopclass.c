/*
 * hnswopclass.c
 *	  Operator classes: finds an index's type and distance, makes records and queries of values,
 *	  and validates operator classes.
 *
 * The only file of the access method that knows the types.
 */
#include "am/hnsw.h"

#include "access/amvalidate.h"
#include "access/htup_details.h"
#include "catalog/pg_amop.h"
#include "catalog/pg_amproc.h"
#include "catalog/pg_language.h"
#include "catalog/pg_opclass.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "code/ownsparse.h"
#include "commands/defrem.h"
#include "kernel/kernel.h"
#include "types/checks.h"
#include "types/distance.h"
#include "types/halfvec.h"
#include "types/sparsevec.h"
#include "types/vector.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"
#include "utils/syscache.h"
#include "utils/varbit.h"

#include <math.h>

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

static int
sparsevec_dimensions(Datum value)
{
	return ((SparseVector *) DatumGetPointer(value))->dim;
}

#define HNSW_MAX_BITS 64000

StaticAssertDecl(SPARSEVEC_MAX_NNZ == OMENDB_MAX_NONZERO, "an index takes every sparsevec");
StaticAssertDecl(SPARSEVEC_MAX_DIM == OMENDB_MAX_SPARSE_DIM, "an index takes every sparsevec");

/*
 * Type and distance of an operator class follow from the C function of the operator that it
 * orders by. So operator classes that another script made, such as pgvector's in an adopted
 * database, work like omendb's own. Support functions are never called.
 */
static const struct
{
	PGFunction distance;
	HnswOpclass opclass;
} known_opclasses[] = {
#define KNOWN(function, metric, type, max, floats)               \
	{                                                            \
		omendb_sql_##function,                                   \
		{                                                        \
			metric, #type, max, type##_dimensions, floats, false \
		}                                                        \
	}
#define SPARSE(function, metric)                                                     \
	{                                                                                \
		omendb_sql_##function,                                                       \
		{                                                                            \
			metric, "sparsevec", SPARSEVEC_MAX_DIM, sparsevec_dimensions, NULL, true \
		}                                                                            \
	}
	KNOWN(vector_l2_distance, OMENDB_METRIC_L2, vector, VECTOR_MAX_DIM, vector_floats),
	KNOWN(vector_negative_inner_product, OMENDB_METRIC_IP, vector, VECTOR_MAX_DIM, vector_floats),
	KNOWN(vector_cosine_distance, OMENDB_METRIC_COSINE, vector, VECTOR_MAX_DIM, vector_floats),
	KNOWN(vector_l1_distance, OMENDB_METRIC_L1, vector, VECTOR_MAX_DIM, vector_floats),
	KNOWN(halfvec_l2_distance, OMENDB_METRIC_L2, halfvec, HALFVEC_MAX_DIM, halfvec_floats),
	KNOWN(halfvec_negative_inner_product, OMENDB_METRIC_IP, halfvec, HALFVEC_MAX_DIM,
		  halfvec_floats),
	KNOWN(halfvec_cosine_distance, OMENDB_METRIC_COSINE, halfvec, HALFVEC_MAX_DIM, halfvec_floats),
	KNOWN(halfvec_l1_distance, OMENDB_METRIC_L1, halfvec, HALFVEC_MAX_DIM, halfvec_floats),
	SPARSE(sparsevec_l2_distance, OMENDB_METRIC_L2),
	SPARSE(sparsevec_negative_inner_product, OMENDB_METRIC_IP),
	SPARSE(sparsevec_cosine_distance, OMENDB_METRIC_COSINE),
	SPARSE(sparsevec_l1_distance, OMENDB_METRIC_L1),
	KNOWN(hamming_distance, OMENDB_METRIC_HAMMING, bit, HNSW_MAX_BITS, NULL),
	KNOWN(jaccard_distance, OMENDB_METRIC_JACCARD, bit, HNSW_MAX_BITS, NULL),
#undef KNOWN
#undef SPARSE
};

/* The operator that a class of this family and type orders by, or InvalidOid. */
static Oid
distance_operator(Oid opfamily, Oid type)
{
	return get_opfamily_member(opfamily, type, type, HNSW_DISTANCE_STRATEGY);
}

/* The operator class of this distance; NULL if there is none. */
static const HnswOpclass *
opclass_of(PGFunction distance)
{
	for (int i = 0; i < lengthof(known_opclasses); i++)
		if (known_opclasses[i].distance == distance)
			return &known_opclasses[i].opclass;
	return NULL;
}

/* The C function that an SQL function names, without any wrapper; NULL if it is no C function. */
static PGFunction
load_c_function(Oid function)
{
	HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	PGFunction result = NULL;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for function %u", function);
	if (((Form_pg_proc) GETSTRUCT(tuple))->prolang == ClanguageId)
	{
		bool null;
		Datum library = SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_probin, &null);
		Datum symbol = SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_prosrc, &null);

		result = (PGFunction) load_external_function(TextDatumGetCString(library),
													 TextDatumGetCString(symbol), false, NULL);
	}
	ReleaseSysCache(tuple);
	return result;
}

/* The operator class that orders by this operator; NULL if it is none of omendb's distances. */
static const HnswOpclass *
find_opclass(Oid op)
{
	Oid function = OidIsValid(op) ? get_opcode(op) : InvalidOid;
	const HnswOpclass *opclass;
	FmgrInfo info;

	if (!OidIsValid(function))
		return NULL;
	fmgr_info(function, &info);
	opclass = opclass_of(info.fn_addr);
	/* A function with settings of its own, or SECURITY DEFINER, is called through a wrapper. */
	return opclass ? opclass : opclass_of(load_c_function(function));
}

const HnswOpclass *
hnsw_opclass(Relation index)
{
	Oid op = distance_operator(index->rd_opfamily[0], index->rd_opcintype[0]);
	const HnswOpclass *opclass = find_opclass(op);

	if (opclass == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("operator class of index \"%s\" is not supported",
						RelationGetRelationName(index)),
				 OidIsValid(op) ? errdetail("omendb has no index that orders by operator %s.",
											format_operator_qualified(op))
								: errdetail("The operator class has no operator to order by.")));
	return opclass;
}

const char *
hnsw_metapage_problem(Relation index, const OmendbLayout *layout, const HnswOpclass *opclass)
{
	Form_pg_attribute column = TupleDescAttr(RelationGetDescr(index), 0);
	int32 dimensions = column->atttypmod;

	if (layout->metric != opclass->metric)
		return "The metapage has another metric than the operator class.";
	if ((layout->own == OMENDB_OWN_SPARSE) != opclass->sparse)
		return "The metapage is of an index of another type.";
	(void) getBaseTypeAndTypmod(column->atttypid, &dimensions);
	if (dimensions > 0 && layout->dimensions != dimensions)
		return "The metapage has other dimensions than the column.";
	return NULL;
}

const HnswOpclass *
hnsw_opclass_of_built(Relation index)
{
	const OmendbIndex *open = omendb_index_peek(index);
	const HnswOpclass *opclass = open->opclass;
	const char *problem;

	if (opclass == NULL)
	{
		opclass = hnsw_opclass(index);
		problem = hnsw_metapage_problem(index, &open->codec.layout, opclass);
		if (problem)
			omendb_corrupt_page(index, OMENDB_META_BLOCK, problem);
		omendb_index_set_opclass(index, opclass);
	}
	return opclass;
}

bool
hnsw_supports(Relation index)
{
	return find_opclass(distance_operator(index->rd_opfamily[0], index->rd_opcintype[0])) != NULL;
}

bool
hnsw_has_order(const IndexOptInfo *info, const Expr *order)
{
	return IsA(order, OpExpr) && ((const OpExpr *) order)->opno ==
									 distance_operator(info->opfamily[0], info->opcintype[0]);
}

int
hnsw_column_dimensions(Relation index, const HnswOpclass *opclass)
{
	Form_pg_attribute column = TupleDescAttr(RelationGetDescr(index), 0);
	int32 dimensions = column->atttypmod;
	/* A domain has its base type's typmod. */
	Oid type = getBaseTypeAndTypmod(column->atttypid, &dimensions);

	/* bit varying uses the operator class of bit, but its values have no fixed length. */
	if (type != index->rd_opcintype[0])
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("type not supported for %s index", get_am_name(index->rd_rel->relam)),
				 errdetail("The column is of type %s.", format_type_be(type))));
	if (dimensions < 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("column does not have dimensions"),
						errhint("Give the type its dimensions, as in %s(3), or index an expression "
								"with a cast to it.",
								opclass->type)));
	if (dimensions > opclass->max_dimensions)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("column cannot have more than %d dimensions for %s index",
							   opclass->max_dimensions, get_am_name(index->rd_rel->relam))));
	return dimensions;
}

void
hnsw_check_query(Relation index, Datum query, bool ordered)
{
	const HnswOpclass *opclass = hnsw_opclass_of_built(index);
	int dimensions = omendb_index_peek(index)->codec.layout.dimensions;
	int query_dimensions = opclass->dimensions(query);

	if (ordered)
		omendb_check_typmod(dimensions, query_dimensions, NULL);
	else if (opclass->metric == OMENDB_METRIC_HAMMING || opclass->metric == OMENDB_METRIC_JACCARD)
		omendb_check_same_bits(dimensions, query_dimensions);
	else
		omendb_check_same_dim(dimensions, query_dimensions, opclass->type);
}

/* A hash of a vector in stored space. Equal vectors have equal hashes: they share a node. */
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

static void
set_identity(OmendbRecord *record, uint64 id)
{
	record->identity[0] = (uint32) id;
	record->identity[1] = (uint32) (id >> 32);
}

bool
hnsw_encode_floats(const OmendbCodec *codec, float *floats, OmendbRecord *record)
{
	if (!omendb_codec_store(codec, floats, floats))
		return false;
	omendb_own_encode(codec, floats, record);
	set_identity(record, identity(floats, codec->layout.dimensions * sizeof(float)));
	return true;
}

/*
 * Raise 22000 if a value has other dimensions than the column, with the message of pgvector's
 * index scans; 54000 if it has more non-zero elements than a sparsevec may have.
 */
static void
check_dimensions(const OmendbLayout *layout, const HnswOpclass *opclass, struct varlena *value)
{
	omendb_check_typmod(layout->dimensions, opclass->dimensions(PointerGetDatum(value)), NULL);
	/* In a database adopted from pgvector: its casts made such values. */
	if (opclass->sparse && ((SparseVector *) value)->nnz > SPARSEVEC_MAX_NNZ)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("sparsevec cannot have more than %d non-zero elements for hnsw index",
						SPARSEVEC_MAX_NNZ)));
}

void
hnsw_get_floats(const OmendbIndex *index, const HnswOpclass *opclass, Datum value, float *out)
{
	struct varlena *flat = PG_DETOAST_DATUM(value);

	check_dimensions(&index->codec.layout, opclass, flat);
	opclass->floats(PointerGetDatum(flat), out);
	if ((Pointer) flat != DatumGetPointer(value))
		pfree(flat);
}

static bool
encode_sparse(const OmendbCodec *codec, const SparseVector *v, float *stored, OmendbRecord *record)
{
	uint64 id;

	if (!omendb_sparse_store(codec, SPARSEVEC_VALUES(v), v->nnz, stored))
		return false;
	omendb_own_encode_sparse(codec, (const uint32 *) v->indices, stored, v->nnz, record);
	/* A hash of all elements, though the record may hold only some of them. */
	id = identity(v->indices, v->nnz * sizeof(int32)) ^ identity(stored, v->nnz * sizeof(float));
	set_identity(record, id);
	return true;
}

static bool
encode_bits(const OmendbCodec *codec, const uint8 *bits, OmendbRecord *record)
{
	omendb_own_encode_bits(codec, bits, record);
	set_identity(record, identity(bits, codec->layout.own_bytes));
	return true;
}

bool
hnsw_encode_value(const OmendbIndex *index, const HnswOpclass *opclass, Datum value, void *buffer,
				  OmendbRecord *record)
{
	struct varlena *flat;
	bool indexed;

	if (opclass->floats)
	{
		hnsw_get_floats(index, opclass, value, buffer);
		return hnsw_encode_floats(&index->codec, buffer, record);
	}
	flat = PG_DETOAST_DATUM(value);
	check_dimensions(&index->codec.layout, opclass, flat);
	indexed = opclass->sparse ? encode_sparse(&index->codec, (SparseVector *) flat, buffer, record)
							  : encode_bits(&index->codec, VARBITS((VarBit *) flat), record);
	if ((Pointer) flat != DatumGetPointer(value))
		pfree(flat);
	return indexed;
}

int
hnsw_nonzero_elements(Datum value)
{
	/* Only the beginning of a value that is out of line or compressed. */
	SparseVector *head = (SparseVector *) PG_DETOAST_DATUM_SLICE(
		value, 0, offsetof(SparseVector, indices) - offsetof(SparseVector, dim));
	int nnz = head->nnz;

	if ((Pointer) head != DatumGetPointer(value))
		pfree(head);
	return nnz;
}

bool
hnsw_set_query(OmendbQuery *query, const HnswOpclass *opclass, Datum value, void *buffer)
{
	const OmendbLayout *layout = &query->codec->layout;
	struct varlena *flat = PG_DETOAST_DATUM(value);
	bool good = true;

	check_dimensions(layout, opclass, flat);
	if (opclass->sparse)
	{
		const SparseVector *v = (const SparseVector *) flat;
		const float *values = SPARSEVEC_VALUES(v);
		double norm2 = 0;

		for (int i = 0; i < v->nnz; i++)
			norm2 += (double) values[i] * values[i];
		good = omendb_sparse_store(query->codec, values, v->nnz, buffer);
		if (good)
			omendb_query_set_sparse(query, (const uint32 *) v->indices, buffer, v->nnz,
									sqrt(norm2));
	}
	else if (!opclass->floats)
	{
		memcpy(buffer, VARBITS((VarBit *) flat), layout->own_bytes);
		omendb_query_set_bits(query, buffer);
	}
	else
	{
		opclass->floats(PointerGetDatum(flat), buffer);
		good = omendb_query_set(query, buffer);
	}
	/* Freed at once: the inner scan of a join is rescanned many times. */
	if ((Pointer) flat != DatumGetPointer(value))
		pfree(flat);
	return good;
}

void
hnsw_set_zero_query(OmendbQuery *query, void *buffer)
{
	const OmendbLayout *layout = &query->codec->layout;

	if (layout->own == OMENDB_OWN_SPARSE)
	{
		omendb_query_set_sparse(query, NULL, NULL, 0, 0);
		return;
	}
	memset(buffer, 0, hnsw_value_bytes(layout));
	if (layout->own == OMENDB_OWN_BITS)
		omendb_query_set_bits(query, buffer);
	else
		omendb_query_set_stored(query, buffer);
}

Size
hnsw_value_bytes(const OmendbLayout *layout)
{
	if (layout->own == OMENDB_OWN_SPARSE)
		return OMENDB_MAX_NONZERO * sizeof(float);
	return Max((Size) layout->own_bytes, layout->dimensions * sizeof(float));
}

/*
 * True if the support function has the signature that pgvector's operator classes need: odd
 * numbers are distances, even numbers norms, and the last one is (internal) returns internal.
 */
static bool
is_support_signature(Form_pg_amproc proc, int last)
{
	Oid type = proc->amproclefttype;

	if (proc->amprocnum == last)
		return check_amproc_signature(proc->amproc, INTERNALOID, true, 1, 1, INTERNALOID);
	if (proc->amprocnum % 2 == 1)
		return check_amproc_signature(proc->amproc, FLOAT8OID, true, 2, 2, type, type);
	return check_amproc_signature(proc->amproc, FLOAT8OID, true, 1, 1, type);
}

/*
 * amvalidate: an operator class is valid if it orders by one of omendb's distances. Support
 * functions are optional.
 */
bool
hnsw_validate(Oid opclass_oid)
{
	HeapTuple tuple = SearchSysCache1(CLAOID, ObjectIdGetDatum(opclass_oid));
	Form_pg_opclass form;
	const IndexAmRoutine *am;
	const char *method;
	CatCList *procs;
	CatCList *operators;
	bool result = true;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for operator class %u", opclass_oid);
	form = (Form_pg_opclass) GETSTRUCT(tuple);
	am = GetIndexAmRoutineByAmId(form->opcmethod, false);
	method = get_am_name(form->opcmethod);

	operators = SearchSysCacheList1(AMOPSTRATEGY, ObjectIdGetDatum(form->opcfamily));
	for (int i = 0; i < operators->n_members; i++)
	{
		Form_pg_amop op = (Form_pg_amop) GETSTRUCT(&operators->members[i]->tuple);

		if (op->amopstrategy != HNSW_DISTANCE_STRATEGY)
		{
			ereport(INFO, (errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
						   errmsg("operator family \"%s\" of access method %s contains operator %s "
								  "with invalid strategy number %d",
								  NameStr(form->opcname), method, format_operator(op->amopopr),
								  op->amopstrategy)));
			result = false;
		}
		if (op->amoppurpose != AMOP_ORDER || find_opclass(op->amopopr) == NULL)
		{
			ereport(INFO,
					(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
					 errmsg("operator family \"%s\" of access method %s contains operator %s that "
							"does not order by a distance of omendb",
							NameStr(form->opcname), method, format_operator(op->amopopr))));
			result = false;
		}
	}
	ReleaseCatCacheList(operators);
	if (!OidIsValid(distance_operator(form->opcfamily, form->opcintype)))
	{
		ereport(INFO, (errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
					   errmsg("operator class \"%s\" of access method %s is missing operator %d",
							  NameStr(form->opcname), method, HNSW_DISTANCE_STRATEGY)));
		result = false;
	}

	procs = SearchSysCacheList1(AMPROCNUM, ObjectIdGetDatum(form->opcfamily));
	for (int i = 0; i < procs->n_members; i++)
	{
		Form_pg_amproc proc = (Form_pg_amproc) GETSTRUCT(&procs->members[i]->tuple);

		if (!is_support_signature(proc, am->amsupport))
		{
			ereport(INFO, (errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
						   errmsg("operator family \"%s\" of access method %s contains function %s "
								  "with wrong signature for support number %d",
								  NameStr(form->opcname), method, format_procedure(proc->amproc),
								  proc->amprocnum)));
			result = false;
		}
	}
	ReleaseCatCacheList(procs);
	ReleaseSysCache(tuple);
	return result;
}
