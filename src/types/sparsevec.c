/*
 * sparsevec.c
 *	  The sparsevec type: everything but its distances and conversions.
 */
#include "types/sparsevec.h"

#include <limits.h>
#include <math.h>

#include "common/shortest_dec.h"
#include "libpq/pqformat.h"
#include "types/checks.h"
#include "utils/array.h"
#include "utils/builtins.h"

#define SPARSEVEC_FORM "{1:1.5,3:-2}/5"

PG_FUNCTION_INFO_V1(omendb_sql_sparsevec_in);
PG_FUNCTION_INFO_V1(omendb_sql_sparsevec_out);
PG_FUNCTION_INFO_V1(omendb_sql_sparsevec_typmod_in);
PG_FUNCTION_INFO_V1(omendb_sql_sparsevec_recv);
PG_FUNCTION_INFO_V1(omendb_sql_sparsevec_send);
PG_FUNCTION_INFO_V1(omendb_sql_sparsevec_coerce);
PG_FUNCTION_INFO_V1(omendb_sql_sparsevec_norm);
PG_FUNCTION_INFO_V1(omendb_sql_sparsevec_l2_normalize);

/* An element of the text form; its index counts from 1. */
typedef struct Element
{
	int64 index;
	float value;
} Element;

bool
omendb_check_nnz(int64 nnz, Node *escontext)
{
	if (nnz > SPARSEVEC_MAX_NNZ)
		ereturn(
			escontext, false,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
			 errmsg("sparsevec cannot have more than %d non-zero elements", SPARSEVEC_MAX_NNZ)));
	return true;
}

/* ---------------------------------------------------------------- text form */

/*
 * Parse an integer at *text, and advance *text behind it and the white space around it. A number
 * beyond int64 becomes the nearest int64, which fails the range checks as well.
 */
static bool
parse_integer(const char **text, const char *start, const char *expected, int64 *value,
			  Node *escontext)
{
	const char *token = omendb_skip_space(*text);
	char *end;

	*value = strtoi64(token, &end, 10);
	if (end == token)
		return omendb_syntax_error(start, token, "sparsevec", SPARSEVEC_FORM, expected, escontext);
	*text = omendb_skip_space(end);
	return true;
}

static bool
parse_char(const char **text, const char *start, char c, const char *expected, Node *escontext)
{
	if (**text != c)
		return omendb_syntax_error(start, *text, "sparsevec", SPARSEVEC_FORM, expected, escontext);
	*text = omendb_skip_space(*text + 1);
	return true;
}

static int
compare_elements(const void *a, const void *b)
{
	int64 x = ((const Element *) a)->index;
	int64 y = ((const Element *) b)->index;

	return (x > y) - (x < y);
}

/* Sort the elements, and check that each index is from 1 to dim and appears once: 22000. */
static bool
check_indices(Element *elements, int n, int64 dim, Node *escontext)
{
	bool sorted = true;

	for (int i = 1; i < n; i++)
		sorted = sorted && elements[i - 1].index < elements[i].index;
	if (!sorted)
		qsort(elements, n, sizeof(Element), compare_elements);

	for (int i = 0; i < n; i++)
	{
		if (elements[i].index < 1 || elements[i].index > dim)
			ereturn(escontext, false,
					(errcode(ERRCODE_DATA_EXCEPTION), errmsg("sparsevec index out of bounds"),
					 errdetail("Index " INT64_FORMAT
							   " is not from 1 to the number of dimensions, " INT64_FORMAT ".",
							   elements[i].index, dim)));
		if (i > 0 && elements[i - 1].index == elements[i].index)
			ereturn(
				escontext, false,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("sparsevec indices must not contain duplicates"),
				 errdetail("Index " INT64_FORMAT " appears more than once.", elements[i].index)));
	}
	return true;
}

/* in(cstring, oid, integer): "{1:1.5,3:-2}/5"; indices from 1, in any order. */
Datum
omendb_sql_sparsevec_in(PG_FUNCTION_ARGS)
{
	const char *start = PG_GETARG_CSTRING(0);
	int32 typmod = PG_GETARG_INT32(2);
	Node *escontext = fcinfo->context;
	const char *text = omendb_skip_space(start);
	int n = 0;
	int nnz = 0;
	int64 commas = 0;
	int64 dim;
	Element *elements;
	SparseVector *result;
	float *values;

	/* One element more than commas, at most. */
	for (const char *p = text; *p != '\0'; p++)
		commas += (*p == ',');
	if (!omendb_check_nnz(commas + 1, escontext) ||
		!parse_char(&text, start, '{', "\"{\"", escontext))
		PG_RETURN_NULL();
	elements = palloc(sizeof(Element) * (commas + 1));

	while (*text != '}' || n > 0)
	{
		Element *element = &elements[n];

		if (!parse_integer(&text, start, "an index", &element->index, escontext) ||
			!parse_char(&text, start, ':', "\":\"", escontext) ||
			!omendb_parse_float(&text, start, "sparsevec", SPARSEVEC_FORM, INFINITY, true,
								&element->value, escontext))
			PG_RETURN_NULL();
		n++;
		if (*text != ',')
			break;
		text++;
	}
	if (!parse_char(&text, start, '}', "\",\" or \"}\"", escontext) ||
		!parse_char(&text, start, '/', "\"/\"", escontext) ||
		!parse_integer(&text, start, "the number of dimensions", &dim, escontext))
		PG_RETURN_NULL();
	if (*text != '\0')
	{
		omendb_syntax_error(start, text, "sparsevec", SPARSEVEC_FORM, "the end", escontext);
		PG_RETURN_NULL();
	}
	if (!omendb_check_dim(dim, SPARSEVEC_MAX_DIM, "sparsevec", escontext) ||
		!omendb_check_typmod(typmod, dim, escontext) || !check_indices(elements, n, dim, escontext))
		PG_RETURN_NULL();

	for (int i = 0; i < n; i++)
		nnz += (elements[i].value != 0);
	result = omendb_sparsevec_new(dim, nnz);
	values = SPARSEVEC_VALUES(result);
	nnz = 0;
	for (int i = 0; i < n; i++)
		if (elements[i].value != 0)
		{
			result->indices[nnz] = elements[i].index - 1;
			values[nnz++] = elements[i].value;
		}
	pfree(elements);
	PG_RETURN_POINTER(result);
}

Datum
omendb_sql_sparsevec_out(PG_FUNCTION_ARGS)
{
	SparseVector *v = PG_GETARG_SPARSEVEC_P(0);
	const float *values = SPARSEVEC_VALUES(v);
	/* Each element: index of up to 10 digits, ":", a float, ","; then "{}/" and dim. */
	char *result = palloc((size_t) v->nnz * (10 + FLOAT_SHORTEST_DECIMAL_LEN + 1) + 14);
	char *p = result;

	*p++ = '{';
	for (int i = 0; i < v->nnz; i++)
	{
		if (i > 0)
			*p++ = ',';
		p += pg_ltoa(v->indices[i] + 1, p);
		*p++ = ':';
		p += float_to_shortest_decimal_bufn(values[i], p);
	}
	*p++ = '}';
	*p++ = '/';
	pg_ltoa(v->dim, p);
	PG_RETURN_CSTRING(result);
}

Datum
omendb_sql_sparsevec_typmod_in(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(omendb_typmod_in(PG_GETARG_ARRAYTYPE_P(0), SPARSEVEC_MAX_DIM, "sparsevec"));
}

/* The cast to the type itself, which applies a type modifier. */
Datum
omendb_sql_sparsevec_coerce(PG_FUNCTION_ARGS)
{
	SparseVector *v = PG_GETARG_SPARSEVEC_P(0);

	omendb_check_typmod(PG_GETARG_INT32(1), v->dim, NULL);
	PG_RETURN_POINTER(v);
}

/* ---------------------------------------------------------------- binary form */

static void
bad_binary(const char *message)
{
	ereport(ERROR, (errcode(ERRCODE_DATA_EXCEPTION), errmsg_internal("%s", message)));
}

/*
 * recv: int32 dimensions, int32 count of non-zero elements, int32 0, then their
 * int32 indices, from 0 and ascending, then their float4 values; all big-endian.
 */
Datum
omendb_sql_sparsevec_recv(PG_FUNCTION_ARGS)
{
	StringInfo buf = (StringInfo) PG_GETARG_POINTER(0);
	int32 typmod = PG_GETARG_INT32(2);
	int32 dim = pq_getmsgint(buf, sizeof(int32));
	int32 nnz = pq_getmsgint(buf, sizeof(int32));
	int32 unused = pq_getmsgint(buf, sizeof(int32));
	SparseVector *result;
	float *values;

	omendb_check_dim(dim, SPARSEVEC_MAX_DIM, "sparsevec", NULL);
	omendb_check_typmod(typmod, dim, NULL);
	if (nnz < 0)
		bad_binary("sparsevec cannot have negative number of elements");
	omendb_check_nnz(nnz, NULL);
	if (nnz > dim)
		ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						errmsg("sparsevec cannot have more elements than dimensions")));
	omendb_check_unused(unused);

	result = omendb_sparsevec_new(dim, nnz);
	values = SPARSEVEC_VALUES(result);
	for (int i = 0; i < nnz; i++)
	{
		result->indices[i] = pq_getmsgint(buf, sizeof(int32));
		if (result->indices[i] < 0 || result->indices[i] >= dim)
			bad_binary("sparsevec index out of bounds");
		if (i > 0 && result->indices[i - 1] > result->indices[i])
			bad_binary("sparsevec indices must be in ascending order");
		if (i > 0 && result->indices[i - 1] == result->indices[i])
			bad_binary("sparsevec indices must not contain duplicates");
	}
	for (int i = 0; i < nnz; i++)
	{
		values[i] = pq_getmsgfloat4(buf);
		omendb_check_finite(values[i], "sparsevec", NULL);
		if (values[i] == 0)
			bad_binary("binary representation of sparsevec cannot contain zero values");
	}
	PG_RETURN_POINTER(result);
}

Datum
omendb_sql_sparsevec_send(PG_FUNCTION_ARGS)
{
	SparseVector *v = PG_GETARG_SPARSEVEC_P(0);
	const float *values = SPARSEVEC_VALUES(v);
	StringInfoData buf;

	pq_begintypsend(&buf);
	pq_sendint32(&buf, v->dim);
	pq_sendint32(&buf, v->nnz);
	pq_sendint32(&buf, v->unused);
	for (int i = 0; i < v->nnz; i++)
		pq_sendint32(&buf, v->indices[i]);
	for (int i = 0; i < v->nnz; i++)
		pq_sendfloat4(&buf, values[i]);
	PG_RETURN_BYTEA_P(pq_endtypsend(&buf));
}

/* ---------------------------------------------------------------- length */

Datum
omendb_sql_sparsevec_norm(PG_FUNCTION_ARGS)
{
	PG_RETURN_FLOAT8(sqrt(omendb_sparsevec_norm2(PG_GETARG_SPARSEVEC_P(0))));
}

/* Scale to length 1, without elements that round to 0; the zero vector is returned as it is. */
Datum
omendb_sql_sparsevec_l2_normalize(PG_FUNCTION_ARGS)
{
	SparseVector *v = PG_GETARG_SPARSEVEC_P(0);
	const float *values = SPARSEVEC_VALUES(v);
	double length = sqrt(omendb_sparsevec_norm2(v));
	float *normal = palloc(sizeof(float) * Max(v->nnz, 1));
	SparseVector *result;
	int nnz = 0;

	for (int i = 0; i < v->nnz; i++)
	{
		normal[i] = (float) (values[i] / length);
		nnz += (normal[i] != 0);
	}
	result = omendb_sparsevec_new(v->dim, nnz);
	nnz = 0;
	for (int i = 0; i < v->nnz; i++)
		if (normal[i] != 0)
		{
			SPARSEVEC_VALUES(result)[nnz] = normal[i];
			result->indices[nnz++] = v->indices[i];
		}
	PG_RETURN_POINTER(result);
}

/* ---------------------------------------------------------------- comparison */

/*
 * Compare as dense values: by elements, then by length. Detoasted copies are freed, because btree and
 * sort do not reset a memory context after each call.
 */
static int
compare(FunctionCallInfo fcinfo)
{
	SparseVector *a = PG_GETARG_SPARSEVEC_P(0);
	SparseVector *b = PG_GETARG_SPARSEVEC_P(1);
	int dim = Min(a->dim, b->dim);
	int i = 0;
	int j = 0;
	int result = (a->dim > b->dim) - (a->dim < b->dim);

	for (;;)
	{
		int32 index_a = i < a->nnz ? a->indices[i] : INT_MAX;
		int32 index_b = j < b->nnz ? b->indices[j] : INT_MAX;
		int32 index = Min(index_a, index_b);
		float x;
		float y;

		if (index >= dim)
			break;
		x = index_a == index ? SPARSEVEC_VALUES(a)[i++] : 0;
		y = index_b == index ? SPARSEVEC_VALUES(b)[j++] : 0;
		if (x != y)
		{
			result = x < y ? -1 : 1;
			break;
		}
	}
	PG_FREE_IF_COPY(a, 0);
	PG_FREE_IF_COPY(b, 1);
	return result;
}

#define FN(name) omendb_sql_sparsevec_##name
#include "types/comparison_template.h"
