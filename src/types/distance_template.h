/*
 * distance_template.h
 *	  The SQL functions that follow from a type's squared L2 distance and inner product, written once
 *	  for vector, halfvec and sparsevec. No include guard.
 *
 * The including file defines, undone at the end of this one:
 *	  FN(name)			the C name of the type's SQL-callable function
 *	  L2SQ, DOT			static functions: double of a FunctionCallInfo, which
 *						check the operands' dimensions
 */

PG_FUNCTION_INFO_V1(FN(l2_distance));
PG_FUNCTION_INFO_V1(FN(l2_squared_distance));
PG_FUNCTION_INFO_V1(FN(inner_product));
PG_FUNCTION_INFO_V1(FN(negative_inner_product));

Datum
FN(l2_distance)(PG_FUNCTION_ARGS)
{
	PG_RETURN_FLOAT8(sqrt(L2SQ(fcinfo)));
}

Datum
FN(l2_squared_distance)(PG_FUNCTION_ARGS)
{
	PG_RETURN_FLOAT8(L2SQ(fcinfo));
}

Datum
FN(inner_product)(PG_FUNCTION_ARGS)
{
	PG_RETURN_FLOAT8(DOT(fcinfo));
}

Datum
FN(negative_inner_product)(PG_FUNCTION_ARGS)
{
	PG_RETURN_FLOAT8(-DOT(fcinfo));
}

#undef FN
#undef L2SQ
#undef DOT
