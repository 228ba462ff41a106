/*
 * dense_io_template.h
 *	  Text and binary form, type modifier and array casts of the dense types,
 *	  written once for vector and halfvec. No include guard: vector.c and
 *	  halfvec.c include it, then dense_ops_template.h.
 *
 * The including file defines, for all dense templates:
 *	  DENSE				the struct
 *	  DENSE_NAME		the type's SQL name, a string literal
 *	  DENSE_MAX_DIM
 *	  FN(name)			the C name of the type's SQL-callable function
 *	  DENSE_NEW(dim)	a new value, elements not yet set
 *	  DENSE_GETARG(n)	detoasted argument
 *	  ELEM				the element type, an unsigned integer or a float
 *	  ELEM_BITS(e), ELEM_FROM_BITS(u)	its bits, of type ELEM_UINT
 *	  ELEM_HTON(u), ELEM_NTOH(u)		byte order of the wire
 *	  ELEM_LIMIT		the smallest float that ELEM does not hold: it would be rounded to infinity
 *	  ELEM_EXPONENT		the bits of the exponent, which are all set in NaN and infinities only
 *	  ELEM_TO_FLOAT(e)
 *	  dense_floats(v)	the elements as const float *: in place or converted
 *	  dense_buffer(r)	where to write the elements of a new value as floats
 *	  dense_store(r, f)	stores the floats of dense_buffer in the value, rounded to ELEM
 *	  dense_store_checked(r, f, escontext)	stores any floats; 22003 for finite ones that ELEM
 *						cannot hold
 */

#define DENSE_FORM "[1,2.5,-3]"

PG_FUNCTION_INFO_V1(FN(in));
PG_FUNCTION_INFO_V1(FN(out));
PG_FUNCTION_INFO_V1(FN(typmod_in));
PG_FUNCTION_INFO_V1(FN(recv));
PG_FUNCTION_INFO_V1(FN(send));
PG_FUNCTION_INFO_V1(FN(coerce));
PG_FUNCTION_INFO_V1(FN(from_array));
PG_FUNCTION_INFO_V1(FN(to_float4));

/* True if no element is NaN or infinite. The loop has no branch: it runs over every new value. */
static bool
all_finite(const DENSE *v)
{
	ELEM_UINT not_finite = 0;

	for (int i = 0; i < v->dim; i++)
		not_finite |= (ELEM_BITS(v->x[i]) & ELEM_EXPONENT) == ELEM_EXPONENT;
	return not_finite == 0;
}

/* in(cstring, oid, integer): "[1,2.5,-3]". */
Datum
FN(in)(PG_FUNCTION_ARGS)
{
	const char *start = PG_GETARG_CSTRING(0);
	int32 typmod = PG_GETARG_INT32(2);
	Node *escontext = fcinfo->context;
	const char *text = omendb_skip_space(start);
	int dim = 0;
	int64 commas = 0;
	float *values;
	DENSE *result;

	if (*text != '[')
	{
		omendb_syntax_error(start, text, DENSE_NAME, DENSE_FORM, "\"[\"", escontext);
		PG_RETURN_NULL();
	}
	text = omendb_skip_space(text + 1);

	/* One element more than commas, at most. */
	for (const char *p = text; *p != '\0'; p++)
		commas += (*p == ',');
	if (!omendb_check_dim(*text == ']' ? 0 : commas + 1, DENSE_MAX_DIM, DENSE_NAME, escontext))
		PG_RETURN_NULL();
	values = palloc(sizeof(float) * (commas + 1));

	for (;;)
	{
		if (!omendb_parse_float(&text, start, DENSE_NAME, DENSE_FORM, ELEM_LIMIT, false,
								&values[dim++], escontext))
			PG_RETURN_NULL();
		if (*text != ',')
			break;
		text++;
	}
	if (*text != ']')
	{
		omendb_syntax_error(start, text, DENSE_NAME, DENSE_FORM, "\",\" or \"]\"", escontext);
		PG_RETURN_NULL();
	}
	text = omendb_skip_space(text + 1);
	if (*text != '\0')
	{
		omendb_syntax_error(start, text, DENSE_NAME, DENSE_FORM, "the end", escontext);
		PG_RETURN_NULL();
	}
	if (!omendb_check_typmod(typmod, dim, escontext))
		PG_RETURN_NULL();

	result = DENSE_NEW(dim);
	if (!dense_store_checked(result, values, escontext))
		PG_RETURN_NULL();
	pfree(values);
	PG_RETURN_POINTER(result);
}

/* out: shortest decimals that read back as the same float. */
Datum
FN(out)(PG_FUNCTION_ARGS)
{
	DENSE *v = DENSE_GETARG(0);
	const float *x = dense_floats(v);
	char *result = palloc((size_t) v->dim * FLOAT_SHORTEST_DECIMAL_LEN + 2);
	char *p = result;

	*p++ = '[';
	for (int i = 0; i < v->dim; i++)
	{
		if (i > 0)
			*p++ = ',';
		p += float_to_shortest_decimal_bufn(x[i], p);
	}
	*p++ = ']';
	*p = '\0';
	PG_RETURN_CSTRING(result);
}

Datum
FN(typmod_in)(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(omendb_typmod_in(PG_GETARG_ARRAYTYPE_P(0), DENSE_MAX_DIM, DENSE_NAME));
}

/* recv: int16 dimensions, int16 0, then the elements, all big-endian. */
Datum
FN(recv)(PG_FUNCTION_ARGS)
{
	StringInfo buf = (StringInfo) PG_GETARG_POINTER(0);
	int32 typmod = PG_GETARG_INT32(2);
	int16 dim = pq_getmsgint(buf, sizeof(int16));
	int16 unused = pq_getmsgint(buf, sizeof(int16));
	const char *wire;
	int there;
	DENSE *result;

	omendb_check_dim(dim, DENSE_MAX_DIM, DENSE_NAME, NULL);
	omendb_check_typmod(typmod, dim, NULL);
	omendb_check_unused(unused);

	/* An element that is not finite is said before that others are missing. */
	there = Min(dim, (buf->len - buf->cursor) / (int) sizeof(ELEM));
	wire = buf->data + buf->cursor;
	result = DENSE_NEW(dim);
	memset(result->x + there, 0, sizeof(ELEM) * (dim - there));
	for (int i = 0; i < there; i++)
	{
		ELEM_UINT bits;

		memcpy(&bits, wire + i * sizeof(ELEM), sizeof(ELEM));
		result->x[i] = ELEM_FROM_BITS(ELEM_NTOH(bits));
	}
	if (unlikely(!all_finite(result)))
		for (int i = 0; i < there; i++)
			omendb_check_finite(ELEM_TO_FLOAT(result->x[i]), DENSE_NAME, NULL);
	pq_getmsgbytes(buf, dim * sizeof(ELEM));
	PG_RETURN_POINTER(result);
}

Datum
FN(send)(PG_FUNCTION_ARGS)
{
	DENSE *v = DENSE_GETARG(0);
	StringInfoData buf;
	char *wire;

	pq_begintypsend(&buf);
	pq_sendint16(&buf, v->dim);
	pq_sendint16(&buf, v->unused);
	enlargeStringInfo(&buf, v->dim * sizeof(ELEM));
	wire = buf.data + buf.len;
	for (int i = 0; i < v->dim; i++)
	{
		ELEM_UINT bits = ELEM_HTON(ELEM_BITS(v->x[i]));

		memcpy(wire + i * sizeof(ELEM), &bits, sizeof(ELEM));
	}
	buf.len += v->dim * sizeof(ELEM);
	PG_RETURN_BYTEA_P(pq_endtypsend(&buf));
}

/* The cast to the type itself, which applies a type modifier. */
Datum
FN(coerce)(PG_FUNCTION_ARGS)
{
	DENSE *v = DENSE_GETARG(0);

	omendb_check_typmod(PG_GETARG_INT32(1), v->dim, NULL);
	PG_RETURN_POINTER(v);
}

/* The cast from int4[], float4[], float8[] and numeric[]. */
Datum
FN(from_array)(PG_FUNCTION_ARGS)
{
	int32 typmod = PG_GETARG_INT32(1);
	int dim;
	float *values =
		omendb_array_to_floats(PG_GETARG_ARRAYTYPE_P(0), typmod, DENSE_MAX_DIM, &dim, DENSE_NAME);
	DENSE *result;

	for (int i = 0; i < dim; i++)
		omendb_check_finite(values[i], DENSE_NAME, NULL);
	result = DENSE_NEW(dim);
	dense_store_checked(result, values, NULL);
	pfree(values);
	PG_RETURN_POINTER(result);
}

/* The cast to float4[]; type modifiers of arrays do not matter here. */
Datum
FN(to_float4)(PG_FUNCTION_ARGS)
{
	DENSE *v = DENSE_GETARG(0);
	const float *x = dense_floats(v);
	Datum *elements = palloc(sizeof(Datum) * v->dim);

	for (int i = 0; i < v->dim; i++)
		elements[i] = Float4GetDatum(x[i]);
	PG_RETURN_ARRAYTYPE_P(
		construct_array(elements, v->dim, FLOAT4OID, sizeof(float4), true, TYPALIGN_INT));
}
