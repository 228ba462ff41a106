/*
 * comparison_template.h
 *	  The comparison operators and the btree support function that follow from a type's compare(),
 *	  written once for all types. No include guard.
 *
 * The including file defines FN(name), the C name of the type's SQL-callable
 * function, and the static function compare: less than, equal to or greater than
 * 0 of a FunctionCallInfo.
 */

PG_FUNCTION_INFO_V1(FN(lt));
PG_FUNCTION_INFO_V1(FN(le));
PG_FUNCTION_INFO_V1(FN(eq));
PG_FUNCTION_INFO_V1(FN(ne));
PG_FUNCTION_INFO_V1(FN(ge));
PG_FUNCTION_INFO_V1(FN(gt));
PG_FUNCTION_INFO_V1(FN(cmp));

Datum
FN(lt)(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(fcinfo) < 0);
}

Datum
FN(le)(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(fcinfo) <= 0);
}

Datum
FN(eq)(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(fcinfo) == 0);
}

Datum
FN(ne)(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(fcinfo) != 0);
}

Datum
FN(ge)(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(fcinfo) >= 0);
}

Datum
FN(gt)(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare(fcinfo) > 0);
}

Datum
FN(cmp)(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(compare(fcinfo));
}
