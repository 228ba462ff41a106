/*
 * checks.c
 *	  Checks and parsers that all vector types share.
 */
#include "types/checks.h"

#include <ctype.h>
#include <float.h>
#include <math.h>

#include "catalog/pg_type.h"
#include "common/shortest_dec.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

bool
omendb_check_dim(int64 dim, int max_dim, const char *type, Node *escontext)
{
	if (dim < 1)
		ereturn(
			escontext, false,
			(errcode(ERRCODE_DATA_EXCEPTION), errmsg("%s must have at least 1 dimension", type)));
	if (dim > max_dim)
		ereturn(escontext, false,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("%s cannot have more than %d dimensions", type, max_dim)));
	return true;
}

bool
omendb_check_typmod(int32 typmod, int dim, Node *escontext)
{
	if (typmod != -1 && typmod != dim)
		ereturn(escontext, false,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("expected %d dimensions, not %d", typmod, dim)));
	return true;
}

void
omendb_dims_differ(int a, int b, const char *type)
{
	ereport(ERROR, (errcode(ERRCODE_DATA_EXCEPTION),
					errmsg("different %s dimensions %d and %d", type, a, b)));
}

void
omendb_bits_differ(int a, int b)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_EXCEPTION), errmsg("different bit lengths %d and %d", a, b)));
}

void
omendb_check_unused(int unused)
{
	if (unused != 0)
		ereport(ERROR, (errcode(ERRCODE_DATA_EXCEPTION),
						errmsg("expected unused to be 0, not %d", unused)));
}

bool
omendb_check_finite(float value, const char *type, Node *escontext)
{
	if (unlikely(isnan(value)))
		ereturn(escontext, false,
				(errcode(ERRCODE_DATA_EXCEPTION), errmsg("NaN not allowed in %s", type)));
	if (unlikely(isinf(value)))
		ereturn(
			escontext, false,
			(errcode(ERRCODE_DATA_EXCEPTION), errmsg("infinite value not allowed in %s", type)));
	return true;
}

bool
omendb_out_of_range(const char *number, const char *type, Node *escontext)
{
	ereturn(escontext, false,
			(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
			 errmsg("\"%s\" is out of range for type %s", number, type)));
}

int32
omendb_typmod_in(ArrayType *modifiers, int max_dim, const char *type)
{
	int n;
	int32 *values = ArrayGetIntegerTypmods(modifiers, &n);

	if (n != 1)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("invalid type modifier"),
						errdetail("Type %s takes one modifier, the number of dimensions.", type)));
	if (values[0] < 1)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("dimensions for type %s must be at least 1", type)));
	if (values[0] > max_dim)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("dimensions for type %s cannot exceed %d", type, max_dim)));
	return values[0];
}

float *
omendb_array_to_floats(ArrayType *array, int32 typmod, int max_dim, int *n, const char *type)
{
	Oid element_type = ARR_ELEMTYPE(array);
	int16 typlen;
	bool typbyval;
	char typalign;
	Datum *elements;
	bool *nulls;
	float *result;

	if (ARR_NDIM(array) > 1)
		ereport(ERROR, (errcode(ERRCODE_DATA_EXCEPTION), errmsg("array must be 1-D")));

	get_typlenbyvalalign(element_type, &typlen, &typbyval, &typalign);
	deconstruct_array(array, element_type, typlen, typbyval, typalign, &elements, &nulls, n);

	/* Nulls, dimensions and elements are looked at in pgvector's order. */
	for (int i = 0; i < *n; i++)
		if (nulls[i])
			ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
							errmsg("array must not contain nulls")));
	omendb_check_dim(*n, max_dim, type, NULL);
	omendb_check_typmod(typmod, *n, NULL);

	result = palloc(sizeof(float) * *n);
	for (int i = 0; i < *n; i++)
	{
		switch (element_type)
		{
			case INT4OID:
				result[i] = (float) DatumGetInt32(elements[i]);
				break;
			case FLOAT4OID:
				result[i] = DatumGetFloat4(elements[i]);
				break;
			case FLOAT8OID:
			{
				float8 value = DatumGetFloat8(elements[i]);
				char text[DOUBLE_SHORTEST_DECIMAL_LEN];

				result[i] = (float) value;
				if (isinf(result[i]) && !isinf(value))
				{
					double_to_shortest_decimal_buf(value, text);
					omendb_out_of_range(text, type, NULL);
				}
				break;
			}
			case NUMERICOID:
				/* numeric_float4 raises the error for numbers out of range. */
				result[i] = DatumGetFloat4(DirectFunctionCall1(numeric_float4, elements[i]));
				break;
			default:
				elog(ERROR, "array element type %u cannot become a %s", element_type, type);
		}
	}
	return result;
}

bool
omendb_syntax_error(const char *start, const char *place, const char *type, const char *form,
					const char *expected, Node *escontext)
{
	int character = pg_mbstrlen_with_len(start, place - start) + 1;

	ereturn(escontext, false,
			(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
			 errmsg("invalid input syntax for type %s: \"%s\"", type, start),
			 errdetail("Expected %s at character %d.", expected, character),
			 errhint("The text form is %s.", form)));
}

/*
 * Parse a plain decimal number; most of the time of reading a vector goes in here. The result is
 * that of strtof. False, with no change, if the nearest float is not sure, or if the text is not a
 * plain decimal number; the caller then uses strtof.
 *
 * Up to 19 digits fit a uint64. Multiplied or divided by a power of ten up to 10^22, which double
 * holds exactly, they give the number as a double after two roundings: it is off by at most 2 units
 * in the last place. Rounding that to float is right unless the double is as close as that to the
 * middle between two floats. 29 bits are dropped; a 1 and 28 zeros are the middle. After W. Clinger,
 * "How to Read Floating Point Numbers Accurately", 1990.
 */
static bool
parse_decimal(const char **text, float *value)
{
	static const double powers_of_ten[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
										   1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
										   1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
	const uint64 middle = UINT64CONST(1) << 28;
	const char *p = *text;
	bool negative = (*p == '-');
	uint64 mantissa = 0;
	int digits = 0;
	int exponent = 0;
	double number;
	uint64 dropped;

	if (*p == '-' || *p == '+')
		p++;
	for (; isdigit((unsigned char) *p); p++, digits++)
		mantissa = mantissa * 10 + (*p - '0');
	if (*p == '.')
		for (p++; isdigit((unsigned char) *p); p++, digits++, exponent--)
			mantissa = mantissa * 10 + (*p - '0');
	if (digits == 0 || digits > 19)
		return false;
	if (*p == 'e' || *p == 'E')
	{
		int sign = (p[1] == '-') ? -1 : 1;
		int power = 0;
		const char *first = p + 1 + (p[1] == '-' || p[1] == '+');

		for (p = first; isdigit((unsigned char) *p) && p < first + 3; p++)
			power = power * 10 + (*p - '0');
		if (p == first)
			return false;
		exponent += sign * power;
	}
	/* Hexadecimal, more digits of the exponent, or a word. */
	if (isalnum((unsigned char) *p))
		return false;

	if (exponent < -22 || exponent > 22)
		return false;
	if (exponent < 0)
		number = (double) mantissa / powers_of_ten[-exponent];
	else
		number = (double) mantissa * powers_of_ten[exponent];
	memcpy(&dropped, &number, sizeof(dropped));
	dropped &= (middle << 1) - 1;
	if (dropped > middle - 8 && dropped < middle + 8)
		return false;
	/* The number is 0 or at least 10^-22, so its float is not subnormal (more bits are dropped there). */
	if (number >= FLT_MAX)
		return false;

	*value = (float) (negative ? -number : number);
	*text = p;
	return true;
}

bool
omendb_parse_float(const char **text, const char *start, const char *type, const char *form,
				   float limit, bool stays_nonzero, float *value, Node *escontext)
{
	const char *token = omendb_skip_space(*text);
	const char *end = token;

	if (unlikely(!parse_decimal(&end, value)))
	{
		char *strtof_end;

		errno = 0;
		*value = strtof(token, &strtof_end);
		end = strtof_end;
		if (end == token)
			return omendb_syntax_error(start, token, type, form, "a number", escontext);
		if (errno == ERANGE && (isinf(*value) || (stays_nonzero && *value == 0)))
			return omendb_out_of_range(pnstrdup(token, end - token), type, escontext);
		if (!omendb_check_finite(*value, type, escontext))
			return false;
	}
	if (unlikely(fabsf(*value) >= limit))
		return omendb_out_of_range(pnstrdup(token, end - token), type, escontext);
	*text = omendb_skip_space(end);
	return true;
}
