-- omendb's SQL objects; scripts.mk makes the extensions' scripts of them. Names
-- and signatures are those of pgvector, so that SQL written for it runs unchanged;
-- test/compat/pgvector-surface.tsv lists them and test/t checks them against the list.

-- type vector

CREATE TYPE vector;
COMMENT ON TYPE vector IS 'vector of float4 elements';
CREATE FUNCTION vector_in(cstring, oid, integer) RETURNS vector
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'omendb_sql_vector_in';
COMMENT ON FUNCTION vector_in(cstring, oid, integer) IS 'I/O';
CREATE FUNCTION vector_out(vector) RETURNS cstring
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'omendb_sql_vector_out';
COMMENT ON FUNCTION vector_out(vector) IS 'I/O';
CREATE FUNCTION vector_typmod_in(cstring[]) RETURNS integer
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'omendb_sql_vector_typmod_in';
COMMENT ON FUNCTION vector_typmod_in(cstring[]) IS 'I/O typmod: the number of dimensions';
CREATE FUNCTION vector_recv(internal, oid, integer) RETURNS vector
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'omendb_sql_vector_recv';
COMMENT ON FUNCTION vector_recv(internal, oid, integer) IS 'I/O';
CREATE FUNCTION vector_send(vector) RETURNS bytea
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'omendb_sql_vector_send';
COMMENT ON FUNCTION vector_send(vector) IS 'I/O';
CREATE TYPE vector (
    INPUT = vector_in,
    OUTPUT = vector_out,
    TYPMOD_IN = vector_typmod_in,
    RECEIVE = vector_recv,
    SEND = vector_send,
    STORAGE = external
);

-- type halfvec

CREATE TYPE halfvec;
COMMENT ON TYPE halfvec IS 'vector of half-precision (IEEE 754 binary16) elements';
CREATE FUNCTION halfvec_in(cstring, oid, integer) RETURNS halfvec
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'omendb_sql_halfvec_in';
COMMENT ON FUNCTION halfvec_in(cstring, oid, integer) IS 'I/O';
CREATE FUNCTION halfvec_out(halfvec) RETURNS cstring
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'omendb_sql_halfvec_out';
COMMENT ON FUNCTION halfvec_out(halfvec) IS 'I/O';
CREATE FUNCTION halfvec_typmod_in(cstring[]) RETURNS integer
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'omendb_sql_halfvec_typmod_in';
COMMENT ON FUNCTION halfvec_typmod_in(cstring[]) IS 'I/O typmod: the number of dimensions';
CREATE FUNCTION halfvec_recv(internal, oid, integer) RETURNS halfvec
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'omendb_sql_halfvec_recv';
COMMENT ON FUNCTION halfvec_recv(internal, oid, integer) IS 'I/O';
CREATE FUNCTION halfvec_send(halfvec) RETURNS bytea
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'omendb_sql_halfvec_send';
COMMENT ON FUNCTION halfvec_send(halfvec) IS 'I/O';
CREATE TYPE halfvec (
    INPUT = halfvec_in,
    OUTPUT = halfvec_out,
    TYPMOD_IN = halfvec_typmod_in,
    RECEIVE = halfvec_recv,
    SEND = halfvec_send,
    STORAGE = external
);

-- type sparsevec

CREATE TYPE sparsevec;
COMMENT ON TYPE sparsevec IS 'vector of float4 elements of which only the non-zero ones are stored';
CREATE FUNCTION sparsevec_in(cstring, oid, integer) RETURNS sparsevec
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'omendb_sql_sparsevec_in';
COMMENT ON FUNCTION sparsevec_in(cstring, oid, integer) IS 'I/O';
CREATE FUNCTION sparsevec_out(sparsevec) RETURNS cstring
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'omendb_sql_sparsevec_out';
COMMENT ON FUNCTION sparsevec_out(sparsevec) IS 'I/O';
CREATE FUNCTION sparsevec_typmod_in(cstring[]) RETURNS integer
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'omendb_sql_sparsevec_typmod_in';
COMMENT ON FUNCTION sparsevec_typmod_in(cstring[]) IS 'I/O typmod: the number of dimensions';
CREATE FUNCTION sparsevec_recv(internal, oid, integer) RETURNS sparsevec
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'omendb_sql_sparsevec_recv';
COMMENT ON FUNCTION sparsevec_recv(internal, oid, integer) IS 'I/O';
CREATE FUNCTION sparsevec_send(sparsevec) RETURNS bytea
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'omendb_sql_sparsevec_send';
COMMENT ON FUNCTION sparsevec_send(sparsevec) IS 'I/O';
CREATE TYPE sparsevec (
    INPUT = sparsevec_in,
    OUTPUT = sparsevec_out,
    TYPMOD_IN = sparsevec_typmod_in,
    RECEIVE = sparsevec_recv,
    SEND = sparsevec_send,
    STORAGE = external
);

-- functions of vector

CREATE FUNCTION l2_distance(vector, vector) RETURNS double precision
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'omendb_sql_vector_l2_distance';
COMMENT ON FUNCTION l2_distance(vector, vector) IS 'Euclidean distance';
CREATE FUNCTION inner_product(vector, vector) RETURNS double precision
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'omendb_sql_vector_inner_product';
COMMENT ON FUNCTION inner_product(vector, vector) IS 'inner product';
CREATE FUNCTION cosine_distance(vector, vector) RETURNS double precision
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'omendb_sql_vector_cosine_distance';
COMMENT ON FUNCTION cosine_distance(vector, vector) IS '1 - cosine of the angle, 0 to 2; NaN for a zero vector';
CREATE FUNCTION l1_distance(vector, vector) RETURNS double precision
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'omendb_sql_vector_l1_distance';
COMMENT ON FUNCTION l1_distance(vector, vector) IS 'taxicab distance: sum of absolute differences';
CREATE FUNCTION vector_dims(vector) RETURNS integer
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'omendb_sql_vector_dims';
COMMENT ON FUNCTION vector_dims(vector) IS 'number of dimensions';
CREATE FUNCTION vector_norm(vector) RETURNS double precision
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'omendb_sql_vector_norm';
COMMENT ON FUNCTION vector_norm(vector) IS 'Euclidean length';
CREATE FUNCTION l2_normalize(vector) RETURNS vector
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'omendb_sql_vector_l2_normalize';
COMMENT ON FUNCTION l2_normalize(vector) IS 'scaled to Euclidean length 1; a zero vector stays zero';
CREATE FUNCTION binary_quantize(vector) RETURNS bit
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'omendb_sql_vector_binary_quantize';
COMMENT ON FUNCTION binary_quantize(vector) IS 'one bit an element: 1 where it is greater than 0';
CREATE FUNCTION subvector(vector, integer, integer) RETURNS vector
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'omendb_sql_vector_subvector';
COMMENT ON FUNCTION subvector(vector, integer, integer) IS 'elements from a start, 1 being the first, and how many; cut to those there are';

-- private functions of vector: operators, aggregates, indexes

CREATE FUNCTION vector_add(vector, vector) RETURNS vector
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'omendb_sql_vector_add';
COMMENT ON FUNCTION vector_add(vector, vector) IS 'sum, element by element';
CREATE FUNCTION vector_sub(vector, vector) RETURNS vector
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'omendb_sql_vector_sub';
COMMENT ON FUNCTION vector_sub(vector, vector) IS 'difference, element by element';
CREATE FUNCTION vector_mul(vector, vector) RETURNS vector
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'omendb_sql_vector_mul';
COMMENT ON FUNCTION vector_mul(vector, vector) IS 'product, element by element';
CREATE FUNCTION vector_concat(vector, vector) RETURNS vector
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'omendb_sql_vector_concat';
COMMENT ON FUNCTION vector_concat(vector, vector) IS 'concatenation';
CREATE FUNCTION vector_lt(vector, vector) RETURNS boolean
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'omendb_sql_vector_lt';
COMMENT ON FUNCTION vector_lt(vector, vector) IS 'implementation of < operator';
CREATE FUNCTION vector_le(vector, vector) RETURNS boolean
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'omendb_sql_vector_le';
COMMENT ON FUNCTION vector_le(vector, vector) IS 'implementation of <= operator';
CREATE FUNCTION vector_eq(vector, vector) RETURNS boolean
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'omendb_sql_vector_eq';
COMMENT ON FUNCTION vector_eq(vector, vector) IS 'implementation of = operator';
CREATE FUNCTION vector_ne(vector, vector) RETURNS boolean
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'omendb_sql_vector_ne';
COMMENT ON FUNCTION vector_ne(vector, vector) IS 'implementation of <> operator';
CREATE FUNCTION vector_ge(vector, vector) RETURNS boolean
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'omendb_sql_vector_ge';
COMMENT ON FUNCTION vector_ge(vector, vector) IS 'implementation of >= operator';
CREATE FUNCTION vector_gt(vector, vector) RETURNS boolean
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'omendb_sql_vector_gt';
COMMENT ON FUNCTION vector_gt(vector, vector) IS 'implementation of > operator';
CREATE FUNCTION vector_cmp(vector, vector) RETURNS integer
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'omendb_sql_vector_cmp';
COMMENT ON FUNCTION vector_cmp(vector, vector) IS 'less-equal-greater';
CREATE FUNCTION vector_l2_squared_distance(vector, vector) RETURNS double precision
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'omendb_sql_vector_l2_squared_distance';
COMMENT ON FUNCTION vector_l2_squared_distance(vector, vector) IS 'square of the Euclidean distance';
CREATE FUNCTION vector_negative_inner_product(vector, vector) RETURNS double precision
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'omendb_sql_vector_negative_inner_product';
COMMENT ON FUNCTION vector_negative_inner_product(vector, vector) IS 'negative inner product: the smaller, the more alike';
CREATE FUNCTION vector_spherical_distance(vector, vector) RETURNS double precision
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'omendb_sql_vector_spherical_distance';
COMMENT ON FUNCTION vector_spherical_distance(vector, vector) IS 'angle between two vectors of length 1, divided by pi';
CREATE FUNCTION vector_accum(double precision[], vector) RETURNS double precision[]
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'omendb_sql_vector_accum';
COMMENT ON FUNCTION vector_accum(double precision[], vector) IS 'aggregate transition function';
CREATE FUNCTION vector_avg(double precision[]) RETURNS vector
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'omendb_sql_vector_avg';
COMMENT ON FUNCTION vector_avg(double precision[]) IS 'aggregate final function';
CREATE FUNCTION vector_combine(double precision[], double precision[]) RETURNS double precision[]
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'omendb_sql_vector_combine';
COMMENT ON FUNCTION vector_combine(double precision[], double precision[]) IS 'aggregate combine function';

-- aggregates of vector

CREATE AGGREGATE avg(vector) (
    SFUNC = vector_accum,
    STYPE = double precision[],
    FINALFUNC = vector_avg,
    COMBINEFUNC = vector_combine,
    INITCOND = '{0}',
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE avg(vector) IS 'the average (arithmetic mean) as vector, element by element';
CREATE AGGREGATE sum(vector) (
    SFUNC = vector_add,
    STYPE = vector,
    COMBINEFUNC = vector_add,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE sum(vector) IS 'sum as vector, element by element';

-- functions of halfvec

CREATE FUNCTION l2_distance(halfvec, halfvec) RETURNS double precision
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'omendb_sql_halfvec_l2_distance';
COMMENT ON FUNCTION l2_distance(halfvec, halfvec) IS 'Euclidean distance';
CREATE FUNCTION inner_product(halfvec, halfvec) RETURNS double precision
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'omendb_sql_halfvec_inner_product';
COMMENT ON FUNCTION inner_product(halfvec, halfvec) IS 'inner product';
CREATE FUNCTION cosine_distance(halfvec, halfvec) RETURNS double precision
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'omendb_sql_halfvec_cosine_distance';
COMMENT ON FUNCTION cosine_distance(halfvec, halfvec) IS '1 - cosine of the angle, 0 to 2; NaN for a zero vector';
CREATE FUNCTION l1_distance(halfvec, halfvec) RETURNS double precision
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'omendb_sql_halfvec_l1_distance';
COMMENT ON FUNCTION l1_distance(halfvec, halfvec) IS 'taxicab distance: sum of absolute differences';
CREATE FUNCTION vector_dims(halfvec) RETURNS integer
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'omendb_sql_halfvec_dims';
COMMENT ON FUNCTION vector_dims(halfvec) IS 'number of dimensions';
CREATE FUNCTION l2_norm(halfvec) RETURNS double precision
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'omendb_sql_halfvec_norm';
COMMENT ON FUNCTION l2_norm(halfvec) IS 'Euclidean length';
CREATE FUNCTION l2_normalize(halfvec) RETURNS halfvec
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'omendb_sql_halfvec_l2_normalize';
COMMENT ON FUNCTION l2_normalize(halfvec) IS 'scaled to Euclidean length 1; a zero vector stays zero';
CREATE FUNCTION binary_quantize(halfvec) RETURNS bit
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'omendb_sql_halfvec_binary_quantize';
COMMENT ON FUNCTION binary_quantize(halfvec) IS 'one bit an element: 1 where it is greater than 0';
CREATE FUNCTION subvector(halfvec, integer, integer) RETURNS halfvec
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'omendb_sql_halfvec_subvector';
COMMENT ON FUNCTION subvector(halfvec, integer, integer) IS 'elements from a start, 1 being the first, and how many; cut to those there are';

-- private functions of halfvec: operators, aggregates, indexes

CREATE FUNCTION halfvec_add(halfvec, halfvec) RETURNS halfvec
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'omendb_sql_halfvec_add';
COMMENT ON FUNCTION halfvec_add(halfvec, halfvec) IS 'sum, element by element';
CREATE FUNCTION halfvec_sub(halfvec, halfvec) RETURNS halfvec
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'omendb_sql_halfvec_sub';
COMMENT ON FUNCTION halfvec_sub(halfvec, halfvec) IS 'difference, element by element';
CREATE FUNCTION halfvec_mul(halfvec, halfvec) RETURNS halfvec
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'omendb_sql_halfvec_mul';
COMMENT ON FUNCTION halfvec_mul(halfvec, halfvec) IS 'product, element by element';
CREATE FUNCTION halfvec_concat(halfvec, halfvec) RETURNS halfvec
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'omendb_sql_halfvec_concat';
COMMENT ON FUNCTION halfvec_concat(halfvec, halfvec) IS 'concatenation';
CREATE FUNCTION halfvec_lt(halfvec, halfvec) RETURNS boolean
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'omendb_sql_halfvec_lt';
COMMENT ON FUNCTION halfvec_lt(halfvec, halfvec) IS 'implementation of < operator';
CREATE FUNCTION halfvec_le(halfvec, halfvec) RETURNS boolean
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'omendb_sql_halfvec_le';
COMMENT ON FUNCTION halfvec_le(halfvec, halfvec) IS 'implementation of <= operator';
CREATE FUNCTION halfvec_eq(halfvec, halfvec) RETURNS boolean
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'omendb_sql_halfvec_eq';
COMMENT ON FUNCTION halfvec_eq(halfvec, halfvec) IS 'implementation of = operator';
CREATE FUNCTION halfvec_ne(halfvec, halfvec) RETURNS boolean
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'omendb_sql_halfvec_ne';
COMMENT ON FUNCTION halfvec_ne(halfvec, halfvec) IS 'implementation of <> operator';
CREATE FUNCTION halfvec_ge(halfvec, halfvec) RETURNS boolean
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'omendb_sql_halfvec_ge';
COMMENT ON FUNCTION halfvec_ge(halfvec, halfvec) IS 'implementation of >= operator';
CREATE FUNCTION halfvec_gt(halfvec, halfvec) RETURNS boolean
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'omendb_sql_halfvec_gt';
COMMENT ON FUNCTION halfvec_gt(halfvec, halfvec) IS 'implementation of > operator';
CREATE FUNCTION halfvec_cmp(halfvec, halfvec) RETURNS integer
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'omendb_sql_halfvec_cmp';
COMMENT ON FUNCTION halfvec_cmp(halfvec, halfvec) IS 'less-equal-greater';
CREATE FUNCTION halfvec_l2_squared_distance(halfvec, halfvec) RETURNS double precision
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'omendb_sql_halfvec_l2_squared_distance';
COMMENT ON FUNCTION halfvec_l2_squared_distance(halfvec, halfvec) IS 'square of the Euclidean distance';
CREATE FUNCTION halfvec_negative_inner_product(halfvec, halfvec) RETURNS double precision
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'omendb_sql_halfvec_negative_inner_product';
COMMENT ON FUNCTION halfvec_negative_inner_product(halfvec, halfvec) IS 'negative inner product: the smaller, the more alike';
CREATE FUNCTION halfvec_spherical_distance(halfvec, halfvec) RETURNS double precision
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'omendb_sql_halfvec_spherical_distance';
COMMENT ON FUNCTION halfvec_spherical_distance(halfvec, halfvec) IS 'angle between two vectors of length 1, divided by pi';
CREATE FUNCTION halfvec_accum(double precision[], halfvec) RETURNS double precision[]
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'omendb_sql_halfvec_accum';
COMMENT ON FUNCTION halfvec_accum(double precision[], halfvec) IS 'aggregate transition function';
CREATE FUNCTION halfvec_avg(double precision[]) RETURNS halfvec
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'omendb_sql_halfvec_avg';
COMMENT ON FUNCTION halfvec_avg(double precision[]) IS 'aggregate final function';
CREATE FUNCTION halfvec_combine(double precision[], double precision[]) RETURNS double precision[]
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'omendb_sql_halfvec_combine';
COMMENT ON FUNCTION halfvec_combine(double precision[], double precision[]) IS 'aggregate combine function';

-- aggregates of halfvec

CREATE AGGREGATE avg(halfvec) (
    SFUNC = halfvec_accum,
    STYPE = double precision[],
    FINALFUNC = halfvec_avg,
    COMBINEFUNC = halfvec_combine,
    INITCOND = '{0}',
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE avg(halfvec) IS 'the average (arithmetic mean) as halfvec, element by element';
CREATE AGGREGATE sum(halfvec) (
    SFUNC = halfvec_add,
    STYPE = halfvec,
    COMBINEFUNC = halfvec_add,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE sum(halfvec) IS 'sum as halfvec, element by element';

-- functions of sparsevec

CREATE FUNCTION l2_distance(sparsevec, sparsevec) RETURNS double precision
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'omendb_sql_sparsevec_l2_distance';
COMMENT ON FUNCTION l2_distance(sparsevec, sparsevec) IS 'Euclidean distance';
CREATE FUNCTION inner_product(sparsevec, sparsevec) RETURNS double precision
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'omendb_sql_sparsevec_inner_product';
COMMENT ON FUNCTION inner_product(sparsevec, sparsevec) IS 'inner product';
CREATE FUNCTION cosine_distance(sparsevec, sparsevec) RETURNS double precision
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'omendb_sql_sparsevec_cosine_distance';
COMMENT ON FUNCTION cosine_distance(sparsevec, sparsevec) IS '1 - cosine of the angle, 0 to 2; NaN for a zero vector';
CREATE FUNCTION l1_distance(sparsevec, sparsevec) RETURNS double precision
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'omendb_sql_sparsevec_l1_distance';
COMMENT ON FUNCTION l1_distance(sparsevec, sparsevec) IS 'taxicab distance: sum of absolute differences';
CREATE FUNCTION l2_norm(sparsevec) RETURNS double precision
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'omendb_sql_sparsevec_norm';
COMMENT ON FUNCTION l2_norm(sparsevec) IS 'Euclidean length';
CREATE FUNCTION l2_normalize(sparsevec) RETURNS sparsevec
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'omendb_sql_sparsevec_l2_normalize';
COMMENT ON FUNCTION l2_normalize(sparsevec) IS 'scaled to Euclidean length 1; a zero vector stays zero';

-- private functions of sparsevec: operators, aggregates, indexes

CREATE FUNCTION sparsevec_lt(sparsevec, sparsevec) RETURNS boolean
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'omendb_sql_sparsevec_lt';
COMMENT ON FUNCTION sparsevec_lt(sparsevec, sparsevec) IS 'implementation of < operator';
CREATE FUNCTION sparsevec_le(sparsevec, sparsevec) RETURNS boolean
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'omendb_sql_sparsevec_le';
COMMENT ON FUNCTION sparsevec_le(sparsevec, sparsevec) IS 'implementation of <= operator';
CREATE FUNCTION sparsevec_eq(sparsevec, sparsevec) RETURNS boolean
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'omendb_sql_sparsevec_eq';
COMMENT ON FUNCTION sparsevec_eq(sparsevec, sparsevec) IS 'implementation of = operator';
CREATE FUNCTION sparsevec_ne(sparsevec, sparsevec) RETURNS boolean
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'omendb_sql_sparsevec_ne';
COMMENT ON FUNCTION sparsevec_ne(sparsevec, sparsevec) IS 'implementation of <> operator';
CREATE FUNCTION sparsevec_ge(sparsevec, sparsevec) RETURNS boolean
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'omendb_sql_sparsevec_ge';
COMMENT ON FUNCTION sparsevec_ge(sparsevec, sparsevec) IS 'implementation of >= operator';
CREATE FUNCTION sparsevec_gt(sparsevec, sparsevec) RETURNS boolean
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'omendb_sql_sparsevec_gt';
COMMENT ON FUNCTION sparsevec_gt(sparsevec, sparsevec) IS 'implementation of > operator';
CREATE FUNCTION sparsevec_cmp(sparsevec, sparsevec) RETURNS integer
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'omendb_sql_sparsevec_cmp';
COMMENT ON FUNCTION sparsevec_cmp(sparsevec, sparsevec) IS 'less-equal-greater';
CREATE FUNCTION sparsevec_l2_squared_distance(sparsevec, sparsevec) RETURNS double precision
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'omendb_sql_sparsevec_l2_squared_distance';
COMMENT ON FUNCTION sparsevec_l2_squared_distance(sparsevec, sparsevec) IS 'square of the Euclidean distance';
CREATE FUNCTION sparsevec_negative_inner_product(sparsevec, sparsevec) RETURNS double precision
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'omendb_sql_sparsevec_negative_inner_product';
COMMENT ON FUNCTION sparsevec_negative_inner_product(sparsevec, sparsevec) IS 'negative inner product: the smaller, the more alike';

-- casts

CREATE FUNCTION vector(vector, integer, boolean) RETURNS vector
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'omendb_sql_vector_coerce';
COMMENT ON FUNCTION vector(vector, integer, boolean) IS 'checks the number of dimensions of a vector column';
CREATE CAST (vector AS vector)
    WITH FUNCTION vector(vector, integer, boolean) AS IMPLICIT;
COMMENT ON CAST (vector AS vector) IS 'checks the number of dimensions of a vector column';
CREATE FUNCTION halfvec(halfvec, integer, boolean) RETURNS halfvec
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'omendb_sql_halfvec_coerce';
COMMENT ON FUNCTION halfvec(halfvec, integer, boolean) IS 'checks the number of dimensions of a halfvec column';
CREATE CAST (halfvec AS halfvec)
    WITH FUNCTION halfvec(halfvec, integer, boolean) AS IMPLICIT;
COMMENT ON CAST (halfvec AS halfvec) IS 'checks the number of dimensions of a halfvec column';
CREATE FUNCTION sparsevec(sparsevec, integer, boolean) RETURNS sparsevec
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'omendb_sql_sparsevec_coerce';
COMMENT ON FUNCTION sparsevec(sparsevec, integer, boolean) IS 'checks the number of dimensions of a sparsevec column';
CREATE CAST (sparsevec AS sparsevec)
    WITH FUNCTION sparsevec(sparsevec, integer, boolean) AS IMPLICIT;
COMMENT ON CAST (sparsevec AS sparsevec) IS 'checks the number of dimensions of a sparsevec column';
CREATE FUNCTION array_to_vector(integer[], integer, boolean) RETURNS vector
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'omendb_sql_vector_from_array';
COMMENT ON FUNCTION array_to_vector(integer[], integer, boolean) IS 'convert integer[] to vector';
CREATE CAST (integer[] AS vector)
    WITH FUNCTION array_to_vector(integer[], integer, boolean) AS ASSIGNMENT;
COMMENT ON CAST (integer[] AS vector) IS 'convert integer[] to vector';
CREATE FUNCTION array_to_vector(real[], integer, boolean) RETURNS vector
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'omendb_sql_vector_from_array';
COMMENT ON FUNCTION array_to_vector(real[], integer, boolean) IS 'convert real[] to vector';
CREATE CAST (real[] AS vector)
    WITH FUNCTION array_to_vector(real[], integer, boolean) AS ASSIGNMENT;
COMMENT ON CAST (real[] AS vector) IS 'convert real[] to vector';
CREATE FUNCTION array_to_vector(double precision[], integer, boolean) RETURNS vector
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'omendb_sql_vector_from_array';
COMMENT ON FUNCTION array_to_vector(double precision[], integer, boolean) IS 'convert double precision[] to vector';
CREATE CAST (double precision[] AS vector)
    WITH FUNCTION array_to_vector(double precision[], integer, boolean) AS ASSIGNMENT;
COMMENT ON CAST (double precision[] AS vector) IS 'convert double precision[] to vector';
CREATE FUNCTION array_to_vector(numeric[], integer, boolean) RETURNS vector
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'omendb_sql_vector_from_array';
COMMENT ON FUNCTION array_to_vector(numeric[], integer, boolean) IS 'convert numeric[] to vector';
CREATE CAST (numeric[] AS vector)
    WITH FUNCTION array_to_vector(numeric[], integer, boolean) AS ASSIGNMENT;
COMMENT ON CAST (numeric[] AS vector) IS 'convert numeric[] to vector';
CREATE FUNCTION array_to_halfvec(integer[], integer, boolean) RETURNS halfvec
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'omendb_sql_halfvec_from_array';
COMMENT ON FUNCTION array_to_halfvec(integer[], integer, boolean) IS 'convert integer[] to halfvec';
CREATE CAST (integer[] AS halfvec)
    WITH FUNCTION array_to_halfvec(integer[], integer, boolean) AS ASSIGNMENT;
COMMENT ON CAST (integer[] AS halfvec) IS 'convert integer[] to halfvec';
CREATE FUNCTION array_to_halfvec(real[], integer, boolean) RETURNS halfvec
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'omendb_sql_halfvec_from_array';
COMMENT ON FUNCTION array_to_halfvec(real[], integer, boolean) IS 'convert real[] to halfvec';
CREATE CAST (real[] AS halfvec)
    WITH FUNCTION array_to_halfvec(real[], integer, boolean) AS ASSIGNMENT;
COMMENT ON CAST (real[] AS halfvec) IS 'convert real[] to halfvec';
CREATE FUNCTION array_to_halfvec(double precision[], integer, boolean) RETURNS halfvec
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'omendb_sql_halfvec_from_array';
COMMENT ON FUNCTION array_to_halfvec(double precision[], integer, boolean) IS 'convert double precision[] to halfvec';
CREATE CAST (double precision[] AS halfvec)
    WITH FUNCTION array_to_halfvec(double precision[], integer, boolean) AS ASSIGNMENT;
COMMENT ON CAST (double precision[] AS halfvec) IS 'convert double precision[] to halfvec';
CREATE FUNCTION array_to_halfvec(numeric[], integer, boolean) RETURNS halfvec
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'omendb_sql_halfvec_from_array';
COMMENT ON FUNCTION array_to_halfvec(numeric[], integer, boolean) IS 'convert numeric[] to halfvec';
CREATE CAST (numeric[] AS halfvec)
    WITH FUNCTION array_to_halfvec(numeric[], integer, boolean) AS ASSIGNMENT;
COMMENT ON CAST (numeric[] AS halfvec) IS 'convert numeric[] to halfvec';
CREATE FUNCTION array_to_sparsevec(integer[], integer, boolean) RETURNS sparsevec
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'omendb_sql_array_to_sparsevec';
COMMENT ON FUNCTION array_to_sparsevec(integer[], integer, boolean) IS 'convert integer[] to sparsevec';
CREATE CAST (integer[] AS sparsevec)
    WITH FUNCTION array_to_sparsevec(integer[], integer, boolean) AS ASSIGNMENT;
COMMENT ON CAST (integer[] AS sparsevec) IS 'convert integer[] to sparsevec';
CREATE FUNCTION array_to_sparsevec(real[], integer, boolean) RETURNS sparsevec
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'omendb_sql_array_to_sparsevec';
COMMENT ON FUNCTION array_to_sparsevec(real[], integer, boolean) IS 'convert real[] to sparsevec';
CREATE CAST (real[] AS sparsevec)
    WITH FUNCTION array_to_sparsevec(real[], integer, boolean) AS ASSIGNMENT;
COMMENT ON CAST (real[] AS sparsevec) IS 'convert real[] to sparsevec';
CREATE FUNCTION array_to_sparsevec(double precision[], integer, boolean) RETURNS sparsevec
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'omendb_sql_array_to_sparsevec';
COMMENT ON FUNCTION array_to_sparsevec(double precision[], integer, boolean) IS 'convert double precision[] to sparsevec';
CREATE CAST (double precision[] AS sparsevec)
    WITH FUNCTION array_to_sparsevec(double precision[], integer, boolean) AS ASSIGNMENT;
COMMENT ON CAST (double precision[] AS sparsevec) IS 'convert double precision[] to sparsevec';
CREATE FUNCTION array_to_sparsevec(numeric[], integer, boolean) RETURNS sparsevec
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'omendb_sql_array_to_sparsevec';
COMMENT ON FUNCTION array_to_sparsevec(numeric[], integer, boolean) IS 'convert numeric[] to sparsevec';
CREATE CAST (numeric[] AS sparsevec)
    WITH FUNCTION array_to_sparsevec(numeric[], integer, boolean) AS ASSIGNMENT;
COMMENT ON CAST (numeric[] AS sparsevec) IS 'convert numeric[] to sparsevec';
CREATE FUNCTION vector_to_float4(vector, integer, boolean) RETURNS real[]
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'omendb_sql_vector_to_float4';
COMMENT ON FUNCTION vector_to_float4(vector, integer, boolean) IS 'convert vector to real[]';
CREATE CAST (vector AS real[])
    WITH FUNCTION vector_to_float4(vector, integer, boolean) AS IMPLICIT;
COMMENT ON CAST (vector AS real[]) IS 'convert vector to real[]';
CREATE FUNCTION halfvec_to_float4(halfvec, integer, boolean) RETURNS real[]
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'omendb_sql_halfvec_to_float4';
COMMENT ON FUNCTION halfvec_to_float4(halfvec, integer, boolean) IS 'convert halfvec to real[]';
CREATE CAST (halfvec AS real[])
    WITH FUNCTION halfvec_to_float4(halfvec, integer, boolean) AS ASSIGNMENT;
COMMENT ON CAST (halfvec AS real[]) IS 'convert halfvec to real[]';
CREATE FUNCTION vector_to_halfvec(vector, integer, boolean) RETURNS halfvec
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'omendb_sql_vector_to_halfvec';
COMMENT ON FUNCTION vector_to_halfvec(vector, integer, boolean) IS 'convert vector to halfvec';
CREATE CAST (vector AS halfvec)
    WITH FUNCTION vector_to_halfvec(vector, integer, boolean) AS IMPLICIT;
COMMENT ON CAST (vector AS halfvec) IS 'convert vector to halfvec';
CREATE FUNCTION vector_to_sparsevec(vector, integer, boolean) RETURNS sparsevec
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'omendb_sql_vector_to_sparsevec';
COMMENT ON FUNCTION vector_to_sparsevec(vector, integer, boolean) IS 'convert vector to sparsevec';
CREATE CAST (vector AS sparsevec)
    WITH FUNCTION vector_to_sparsevec(vector, integer, boolean) AS IMPLICIT;
COMMENT ON CAST (vector AS sparsevec) IS 'convert vector to sparsevec';
CREATE FUNCTION halfvec_to_vector(halfvec, integer, boolean) RETURNS vector
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'omendb_sql_halfvec_to_vector';
COMMENT ON FUNCTION halfvec_to_vector(halfvec, integer, boolean) IS 'convert halfvec to vector';
CREATE CAST (halfvec AS vector)
    WITH FUNCTION halfvec_to_vector(halfvec, integer, boolean) AS ASSIGNMENT;
COMMENT ON CAST (halfvec AS vector) IS 'convert halfvec to vector';
CREATE FUNCTION halfvec_to_sparsevec(halfvec, integer, boolean) RETURNS sparsevec
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'omendb_sql_halfvec_to_sparsevec';
COMMENT ON FUNCTION halfvec_to_sparsevec(halfvec, integer, boolean) IS 'convert halfvec to sparsevec';
CREATE CAST (halfvec AS sparsevec)
    WITH FUNCTION halfvec_to_sparsevec(halfvec, integer, boolean) AS IMPLICIT;
COMMENT ON CAST (halfvec AS sparsevec) IS 'convert halfvec to sparsevec';
CREATE FUNCTION sparsevec_to_vector(sparsevec, integer, boolean) RETURNS vector
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'omendb_sql_sparsevec_to_vector';
COMMENT ON FUNCTION sparsevec_to_vector(sparsevec, integer, boolean) IS 'convert sparsevec to vector';
CREATE CAST (sparsevec AS vector)
    WITH FUNCTION sparsevec_to_vector(sparsevec, integer, boolean) AS ASSIGNMENT;
COMMENT ON CAST (sparsevec AS vector) IS 'convert sparsevec to vector';
CREATE FUNCTION sparsevec_to_halfvec(sparsevec, integer, boolean) RETURNS halfvec
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'omendb_sql_sparsevec_to_halfvec';
COMMENT ON FUNCTION sparsevec_to_halfvec(sparsevec, integer, boolean) IS 'convert sparsevec to halfvec';
CREATE CAST (sparsevec AS halfvec)
    WITH FUNCTION sparsevec_to_halfvec(sparsevec, integer, boolean) AS ASSIGNMENT;
COMMENT ON CAST (sparsevec AS halfvec) IS 'convert sparsevec to halfvec';

-- bit distances

CREATE FUNCTION hamming_distance(bit, bit) RETURNS double precision
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'omendb_sql_hamming_distance';
COMMENT ON FUNCTION hamming_distance(bit, bit) IS 'number of bits that differ';
CREATE FUNCTION jaccard_distance(bit, bit) RETURNS double precision
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'omendb_sql_jaccard_distance';
COMMENT ON FUNCTION jaccard_distance(bit, bit) IS '1 - common bits / bits set in either; 1 where none is common';

-- operators

CREATE OPERATOR <-> (
    LEFTARG = vector, RIGHTARG = vector, FUNCTION = l2_distance,
    COMMUTATOR = <->
);
COMMENT ON OPERATOR <-> (vector, vector) IS 'Euclidean distance';
CREATE OPERATOR <#> (
    LEFTARG = vector, RIGHTARG = vector, FUNCTION = vector_negative_inner_product,
    COMMUTATOR = <#>
);
COMMENT ON OPERATOR <#> (vector, vector) IS 'negative inner product';
CREATE OPERATOR <=> (
    LEFTARG = vector, RIGHTARG = vector, FUNCTION = cosine_distance,
    COMMUTATOR = <=>
);
COMMENT ON OPERATOR <=> (vector, vector) IS 'cosine distance';
CREATE OPERATOR <+> (
    LEFTARG = vector, RIGHTARG = vector, FUNCTION = l1_distance,
    COMMUTATOR = <+>
);
COMMENT ON OPERATOR <+> (vector, vector) IS 'taxicab distance';
CREATE OPERATOR + (
    LEFTARG = vector, RIGHTARG = vector, FUNCTION = vector_add,
    COMMUTATOR = +
);
COMMENT ON OPERATOR + (vector, vector) IS 'add, element by element';
CREATE OPERATOR - (
    LEFTARG = vector, RIGHTARG = vector, FUNCTION = vector_sub
);
COMMENT ON OPERATOR - (vector, vector) IS 'subtract, element by element';
CREATE OPERATOR * (
    LEFTARG = vector, RIGHTARG = vector, FUNCTION = vector_mul,
    COMMUTATOR = *
);
COMMENT ON OPERATOR * (vector, vector) IS 'multiply, element by element';
CREATE OPERATOR || (
    LEFTARG = vector, RIGHTARG = vector, FUNCTION = vector_concat
);
COMMENT ON OPERATOR || (vector, vector) IS 'concatenate';
CREATE OPERATOR < (
    LEFTARG = vector, RIGHTARG = vector, FUNCTION = vector_lt,
    COMMUTATOR = >, NEGATOR = >=,
    RESTRICT = scalarltsel, JOIN = scalarltjoinsel
);
COMMENT ON OPERATOR < (vector, vector) IS 'less than';
CREATE OPERATOR <= (
    LEFTARG = vector, RIGHTARG = vector, FUNCTION = vector_le,
    COMMUTATOR = >=, NEGATOR = >,
    RESTRICT = scalarlesel, JOIN = scalarlejoinsel
);
COMMENT ON OPERATOR <= (vector, vector) IS 'less than or equal';
CREATE OPERATOR = (
    LEFTARG = vector, RIGHTARG = vector, FUNCTION = vector_eq,
    COMMUTATOR = =, NEGATOR = <>,
    RESTRICT = eqsel, JOIN = eqjoinsel
);
COMMENT ON OPERATOR = (vector, vector) IS 'equal';
CREATE OPERATOR <> (
    LEFTARG = vector, RIGHTARG = vector, FUNCTION = vector_ne,
    COMMUTATOR = <>, NEGATOR = =,
    RESTRICT = eqsel, JOIN = eqjoinsel
);
COMMENT ON OPERATOR <> (vector, vector) IS 'not equal';
CREATE OPERATOR >= (
    LEFTARG = vector, RIGHTARG = vector, FUNCTION = vector_ge,
    COMMUTATOR = <=, NEGATOR = <,
    RESTRICT = scalargesel, JOIN = scalargejoinsel
);
COMMENT ON OPERATOR >= (vector, vector) IS 'greater than or equal';
CREATE OPERATOR > (
    LEFTARG = vector, RIGHTARG = vector, FUNCTION = vector_gt,
    COMMUTATOR = <, NEGATOR = <=,
    RESTRICT = scalargtsel, JOIN = scalargtjoinsel
);
COMMENT ON OPERATOR > (vector, vector) IS 'greater than';
CREATE OPERATOR <-> (
    LEFTARG = halfvec, RIGHTARG = halfvec, FUNCTION = l2_distance,
    COMMUTATOR = <->
);
COMMENT ON OPERATOR <-> (halfvec, halfvec) IS 'Euclidean distance';
CREATE OPERATOR <#> (
    LEFTARG = halfvec, RIGHTARG = halfvec, FUNCTION = halfvec_negative_inner_product,
    COMMUTATOR = <#>
);
COMMENT ON OPERATOR <#> (halfvec, halfvec) IS 'negative inner product';
CREATE OPERATOR <=> (
    LEFTARG = halfvec, RIGHTARG = halfvec, FUNCTION = cosine_distance,
    COMMUTATOR = <=>
);
COMMENT ON OPERATOR <=> (halfvec, halfvec) IS 'cosine distance';
CREATE OPERATOR <+> (
    LEFTARG = halfvec, RIGHTARG = halfvec, FUNCTION = l1_distance,
    COMMUTATOR = <+>
);
COMMENT ON OPERATOR <+> (halfvec, halfvec) IS 'taxicab distance';
CREATE OPERATOR + (
    LEFTARG = halfvec, RIGHTARG = halfvec, FUNCTION = halfvec_add,
    COMMUTATOR = +
);
COMMENT ON OPERATOR + (halfvec, halfvec) IS 'add, element by element';
CREATE OPERATOR - (
    LEFTARG = halfvec, RIGHTARG = halfvec, FUNCTION = halfvec_sub
);
COMMENT ON OPERATOR - (halfvec, halfvec) IS 'subtract, element by element';
CREATE OPERATOR * (
    LEFTARG = halfvec, RIGHTARG = halfvec, FUNCTION = halfvec_mul,
    COMMUTATOR = *
);
COMMENT ON OPERATOR * (halfvec, halfvec) IS 'multiply, element by element';
CREATE OPERATOR || (
    LEFTARG = halfvec, RIGHTARG = halfvec, FUNCTION = halfvec_concat
);
COMMENT ON OPERATOR || (halfvec, halfvec) IS 'concatenate';
CREATE OPERATOR < (
    LEFTARG = halfvec, RIGHTARG = halfvec, FUNCTION = halfvec_lt,
    COMMUTATOR = >, NEGATOR = >=,
    RESTRICT = scalarltsel, JOIN = scalarltjoinsel
);
COMMENT ON OPERATOR < (halfvec, halfvec) IS 'less than';
CREATE OPERATOR <= (
    LEFTARG = halfvec, RIGHTARG = halfvec, FUNCTION = halfvec_le,
    COMMUTATOR = >=, NEGATOR = >,
    RESTRICT = scalarlesel, JOIN = scalarlejoinsel
);
COMMENT ON OPERATOR <= (halfvec, halfvec) IS 'less than or equal';
CREATE OPERATOR = (
    LEFTARG = halfvec, RIGHTARG = halfvec, FUNCTION = halfvec_eq,
    COMMUTATOR = =, NEGATOR = <>,
    RESTRICT = eqsel, JOIN = eqjoinsel
);
COMMENT ON OPERATOR = (halfvec, halfvec) IS 'equal';
CREATE OPERATOR <> (
    LEFTARG = halfvec, RIGHTARG = halfvec, FUNCTION = halfvec_ne,
    COMMUTATOR = <>, NEGATOR = =,
    RESTRICT = eqsel, JOIN = eqjoinsel
);
COMMENT ON OPERATOR <> (halfvec, halfvec) IS 'not equal';
CREATE OPERATOR >= (
    LEFTARG = halfvec, RIGHTARG = halfvec, FUNCTION = halfvec_ge,
    COMMUTATOR = <=, NEGATOR = <,
    RESTRICT = scalargesel, JOIN = scalargejoinsel
);
COMMENT ON OPERATOR >= (halfvec, halfvec) IS 'greater than or equal';
CREATE OPERATOR > (
    LEFTARG = halfvec, RIGHTARG = halfvec, FUNCTION = halfvec_gt,
    COMMUTATOR = <, NEGATOR = <=,
    RESTRICT = scalargtsel, JOIN = scalargtjoinsel
);
COMMENT ON OPERATOR > (halfvec, halfvec) IS 'greater than';
CREATE OPERATOR <-> (
    LEFTARG = sparsevec, RIGHTARG = sparsevec, FUNCTION = l2_distance,
    COMMUTATOR = <->
);
COMMENT ON OPERATOR <-> (sparsevec, sparsevec) IS 'Euclidean distance';
CREATE OPERATOR <#> (
    LEFTARG = sparsevec, RIGHTARG = sparsevec, FUNCTION = sparsevec_negative_inner_product,
    COMMUTATOR = <#>
);
COMMENT ON OPERATOR <#> (sparsevec, sparsevec) IS 'negative inner product';
CREATE OPERATOR <=> (
    LEFTARG = sparsevec, RIGHTARG = sparsevec, FUNCTION = cosine_distance,
    COMMUTATOR = <=>
);
COMMENT ON OPERATOR <=> (sparsevec, sparsevec) IS 'cosine distance';
CREATE OPERATOR <+> (
    LEFTARG = sparsevec, RIGHTARG = sparsevec, FUNCTION = l1_distance,
    COMMUTATOR = <+>
);
COMMENT ON OPERATOR <+> (sparsevec, sparsevec) IS 'taxicab distance';
CREATE OPERATOR < (
    LEFTARG = sparsevec, RIGHTARG = sparsevec, FUNCTION = sparsevec_lt,
    COMMUTATOR = >, NEGATOR = >=,
    RESTRICT = scalarltsel, JOIN = scalarltjoinsel
);
COMMENT ON OPERATOR < (sparsevec, sparsevec) IS 'less than';
CREATE OPERATOR <= (
    LEFTARG = sparsevec, RIGHTARG = sparsevec, FUNCTION = sparsevec_le,
    COMMUTATOR = >=, NEGATOR = >,
    RESTRICT = scalarlesel, JOIN = scalarlejoinsel
);
COMMENT ON OPERATOR <= (sparsevec, sparsevec) IS 'less than or equal';
CREATE OPERATOR = (
    LEFTARG = sparsevec, RIGHTARG = sparsevec, FUNCTION = sparsevec_eq,
    COMMUTATOR = =, NEGATOR = <>,
    RESTRICT = eqsel, JOIN = eqjoinsel
);
COMMENT ON OPERATOR = (sparsevec, sparsevec) IS 'equal';
CREATE OPERATOR <> (
    LEFTARG = sparsevec, RIGHTARG = sparsevec, FUNCTION = sparsevec_ne,
    COMMUTATOR = <>, NEGATOR = =,
    RESTRICT = eqsel, JOIN = eqjoinsel
);
COMMENT ON OPERATOR <> (sparsevec, sparsevec) IS 'not equal';
CREATE OPERATOR >= (
    LEFTARG = sparsevec, RIGHTARG = sparsevec, FUNCTION = sparsevec_ge,
    COMMUTATOR = <=, NEGATOR = <,
    RESTRICT = scalargesel, JOIN = scalargejoinsel
);
COMMENT ON OPERATOR >= (sparsevec, sparsevec) IS 'greater than or equal';
CREATE OPERATOR > (
    LEFTARG = sparsevec, RIGHTARG = sparsevec, FUNCTION = sparsevec_gt,
    COMMUTATOR = <, NEGATOR = <=,
    RESTRICT = scalargtsel, JOIN = scalargtjoinsel
);
COMMENT ON OPERATOR > (sparsevec, sparsevec) IS 'greater than';
CREATE OPERATOR <~> (
    LEFTARG = bit, RIGHTARG = bit, FUNCTION = hamming_distance,
    COMMUTATOR = <~>
);
COMMENT ON OPERATOR <~> (bit, bit) IS 'Hamming distance';
CREATE OPERATOR <%> (
    LEFTARG = bit, RIGHTARG = bit, FUNCTION = jaccard_distance,
    COMMUTATOR = <%>
);
COMMENT ON OPERATOR <%> (bit, bit) IS 'Jaccard distance';

-- btree operator classes: ordering, DISTINCT, unique indexes

CREATE OPERATOR CLASS vector_ops DEFAULT FOR TYPE vector USING btree AS
    OPERATOR 1 <,
    OPERATOR 2 <=,
    OPERATOR 3 =,
    OPERATOR 4 >=,
    OPERATOR 5 >,
    FUNCTION 1 vector_cmp(vector, vector);
COMMENT ON OPERATOR CLASS vector_ops USING btree IS 'order of vector: by elements, then by dimensions';
COMMENT ON OPERATOR FAMILY vector_ops USING btree IS 'order of vector: by elements, then by dimensions';
CREATE OPERATOR CLASS halfvec_ops DEFAULT FOR TYPE halfvec USING btree AS
    OPERATOR 1 <,
    OPERATOR 2 <=,
    OPERATOR 3 =,
    OPERATOR 4 >=,
    OPERATOR 5 >,
    FUNCTION 1 halfvec_cmp(halfvec, halfvec);
COMMENT ON OPERATOR CLASS halfvec_ops USING btree IS 'order of halfvec: by elements, then by dimensions';
COMMENT ON OPERATOR FAMILY halfvec_ops USING btree IS 'order of halfvec: by elements, then by dimensions';
CREATE OPERATOR CLASS sparsevec_ops DEFAULT FOR TYPE sparsevec USING btree AS
    OPERATOR 1 <,
    OPERATOR 2 <=,
    OPERATOR 3 =,
    OPERATOR 4 >=,
    OPERATOR 5 >,
    FUNCTION 1 sparsevec_cmp(sparsevec, sparsevec);
COMMENT ON OPERATOR CLASS sparsevec_ops USING btree IS 'order of sparsevec: by elements, then by dimensions';
COMMENT ON OPERATOR FAMILY sparsevec_ops USING btree IS 'order of sparsevec: by elements, then by dimensions';

-- access method hnsw

CREATE FUNCTION hnswhandler(internal) RETURNS index_am_handler
    LANGUAGE C AS 'MODULE_PATHNAME', 'omendb_sql_hnsw_handler';
COMMENT ON FUNCTION hnswhandler(internal) IS 'hnsw index access method handler';
CREATE ACCESS METHOD hnsw TYPE INDEX HANDLER hnswhandler;
COMMENT ON ACCESS METHOD hnsw IS 'hnsw index access method: approximate nearest neighbours in a navigable graph';

CREATE FUNCTION hnsw_index_size_estimate(rows bigint, dimensions integer, m integer DEFAULT 16, elements integer DEFAULT 0,
    OUT index_bytes bigint, OUT build_bytes bigint)
    LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'omendb_sql_hnsw_index_size_estimate';
COMMENT ON FUNCTION hnsw_index_size_estimate(bigint, integer, integer, integer) IS
    'size of an hnsw index on a vector column, or with elements on a sparsevec column whose rows have up to so many that are not 0, and the maintenance_work_mem that CREATE INDEX wants to build it in memory';

CREATE OPERATOR CLASS vector_l2_ops FOR TYPE vector USING hnsw AS
    OPERATOR 1 <-> (vector, vector) FOR ORDER BY float_ops;
COMMENT ON OPERATOR CLASS vector_l2_ops USING hnsw IS 'nearest vector by Euclidean distance';
COMMENT ON OPERATOR FAMILY vector_l2_ops USING hnsw IS 'nearest vector by Euclidean distance';
CREATE OPERATOR CLASS vector_ip_ops FOR TYPE vector USING hnsw AS
    OPERATOR 1 <#> (vector, vector) FOR ORDER BY float_ops;
COMMENT ON OPERATOR CLASS vector_ip_ops USING hnsw IS 'nearest vector by negative inner product';
COMMENT ON OPERATOR FAMILY vector_ip_ops USING hnsw IS 'nearest vector by negative inner product';
CREATE OPERATOR CLASS vector_cosine_ops FOR TYPE vector USING hnsw AS
    OPERATOR 1 <=> (vector, vector) FOR ORDER BY float_ops;
COMMENT ON OPERATOR CLASS vector_cosine_ops USING hnsw IS 'nearest vector by cosine distance';
COMMENT ON OPERATOR FAMILY vector_cosine_ops USING hnsw IS 'nearest vector by cosine distance';
CREATE OPERATOR CLASS vector_l1_ops FOR TYPE vector USING hnsw AS
    OPERATOR 1 <+> (vector, vector) FOR ORDER BY float_ops;
COMMENT ON OPERATOR CLASS vector_l1_ops USING hnsw IS 'nearest vector by taxicab distance';
COMMENT ON OPERATOR FAMILY vector_l1_ops USING hnsw IS 'nearest vector by taxicab distance';
CREATE OPERATOR CLASS halfvec_l2_ops FOR TYPE halfvec USING hnsw AS
    OPERATOR 1 <-> (halfvec, halfvec) FOR ORDER BY float_ops;
COMMENT ON OPERATOR CLASS halfvec_l2_ops USING hnsw IS 'nearest halfvec by Euclidean distance';
COMMENT ON OPERATOR FAMILY halfvec_l2_ops USING hnsw IS 'nearest halfvec by Euclidean distance';
CREATE OPERATOR CLASS halfvec_ip_ops FOR TYPE halfvec USING hnsw AS
    OPERATOR 1 <#> (halfvec, halfvec) FOR ORDER BY float_ops;
COMMENT ON OPERATOR CLASS halfvec_ip_ops USING hnsw IS 'nearest halfvec by negative inner product';
COMMENT ON OPERATOR FAMILY halfvec_ip_ops USING hnsw IS 'nearest halfvec by negative inner product';
CREATE OPERATOR CLASS halfvec_cosine_ops FOR TYPE halfvec USING hnsw AS
    OPERATOR 1 <=> (halfvec, halfvec) FOR ORDER BY float_ops;
COMMENT ON OPERATOR CLASS halfvec_cosine_ops USING hnsw IS 'nearest halfvec by cosine distance';
COMMENT ON OPERATOR FAMILY halfvec_cosine_ops USING hnsw IS 'nearest halfvec by cosine distance';
CREATE OPERATOR CLASS halfvec_l1_ops FOR TYPE halfvec USING hnsw AS
    OPERATOR 1 <+> (halfvec, halfvec) FOR ORDER BY float_ops;
COMMENT ON OPERATOR CLASS halfvec_l1_ops USING hnsw IS 'nearest halfvec by taxicab distance';
COMMENT ON OPERATOR FAMILY halfvec_l1_ops USING hnsw IS 'nearest halfvec by taxicab distance';
CREATE OPERATOR CLASS sparsevec_l2_ops FOR TYPE sparsevec USING hnsw AS
    OPERATOR 1 <-> (sparsevec, sparsevec) FOR ORDER BY float_ops;
COMMENT ON OPERATOR CLASS sparsevec_l2_ops USING hnsw IS 'nearest sparsevec by Euclidean distance';
COMMENT ON OPERATOR FAMILY sparsevec_l2_ops USING hnsw IS 'nearest sparsevec by Euclidean distance';
CREATE OPERATOR CLASS sparsevec_ip_ops FOR TYPE sparsevec USING hnsw AS
    OPERATOR 1 <#> (sparsevec, sparsevec) FOR ORDER BY float_ops;
COMMENT ON OPERATOR CLASS sparsevec_ip_ops USING hnsw IS 'nearest sparsevec by negative inner product';
COMMENT ON OPERATOR FAMILY sparsevec_ip_ops USING hnsw IS 'nearest sparsevec by negative inner product';
CREATE OPERATOR CLASS sparsevec_cosine_ops FOR TYPE sparsevec USING hnsw AS
    OPERATOR 1 <=> (sparsevec, sparsevec) FOR ORDER BY float_ops;
COMMENT ON OPERATOR CLASS sparsevec_cosine_ops USING hnsw IS 'nearest sparsevec by cosine distance';
COMMENT ON OPERATOR FAMILY sparsevec_cosine_ops USING hnsw IS 'nearest sparsevec by cosine distance';
CREATE OPERATOR CLASS sparsevec_l1_ops FOR TYPE sparsevec USING hnsw AS
    OPERATOR 1 <+> (sparsevec, sparsevec) FOR ORDER BY float_ops;
COMMENT ON OPERATOR CLASS sparsevec_l1_ops USING hnsw IS 'nearest sparsevec by taxicab distance';
COMMENT ON OPERATOR FAMILY sparsevec_l1_ops USING hnsw IS 'nearest sparsevec by taxicab distance';
CREATE OPERATOR CLASS bit_hamming_ops FOR TYPE bit USING hnsw AS
    OPERATOR 1 <~> (bit, bit) FOR ORDER BY float_ops;
COMMENT ON OPERATOR CLASS bit_hamming_ops USING hnsw IS 'nearest bit by Hamming distance';
COMMENT ON OPERATOR FAMILY bit_hamming_ops USING hnsw IS 'nearest bit by Hamming distance';
CREATE OPERATOR CLASS bit_jaccard_ops FOR TYPE bit USING hnsw AS
    OPERATOR 1 <%> (bit, bit) FOR ORDER BY float_ops;
COMMENT ON OPERATOR CLASS bit_jaccard_ops USING hnsw IS 'nearest bit by Jaccard distance';
COMMENT ON OPERATOR FAMILY bit_jaccard_ops USING hnsw IS 'nearest bit by Jaccard distance';

-- access method ivfflat: pgvector's name, an hnsw graph

CREATE FUNCTION ivfflathandler(internal) RETURNS index_am_handler
    LANGUAGE C AS 'MODULE_PATHNAME', 'omendb_sql_ivfflat_handler';
COMMENT ON FUNCTION ivfflathandler(internal) IS 'ivfflat index access method handler';
CREATE ACCESS METHOD ivfflat TYPE INDEX HANDLER ivfflathandler;
COMMENT ON ACCESS METHOD ivfflat IS 'another name of hnsw, for what was written for pgvector: lists and probes have no effect';

CREATE OPERATOR CLASS vector_l2_ops DEFAULT FOR TYPE vector USING ivfflat AS
    OPERATOR 1 <-> (vector, vector) FOR ORDER BY float_ops;
COMMENT ON OPERATOR CLASS vector_l2_ops USING ivfflat IS 'nearest vector by Euclidean distance';
COMMENT ON OPERATOR FAMILY vector_l2_ops USING ivfflat IS 'nearest vector by Euclidean distance';
CREATE OPERATOR CLASS vector_ip_ops FOR TYPE vector USING ivfflat AS
    OPERATOR 1 <#> (vector, vector) FOR ORDER BY float_ops;
COMMENT ON OPERATOR CLASS vector_ip_ops USING ivfflat IS 'nearest vector by negative inner product';
COMMENT ON OPERATOR FAMILY vector_ip_ops USING ivfflat IS 'nearest vector by negative inner product';
CREATE OPERATOR CLASS vector_cosine_ops FOR TYPE vector USING ivfflat AS
    OPERATOR 1 <=> (vector, vector) FOR ORDER BY float_ops;
COMMENT ON OPERATOR CLASS vector_cosine_ops USING ivfflat IS 'nearest vector by cosine distance';
COMMENT ON OPERATOR FAMILY vector_cosine_ops USING ivfflat IS 'nearest vector by cosine distance';
CREATE OPERATOR CLASS halfvec_l2_ops FOR TYPE halfvec USING ivfflat AS
    OPERATOR 1 <-> (halfvec, halfvec) FOR ORDER BY float_ops;
COMMENT ON OPERATOR CLASS halfvec_l2_ops USING ivfflat IS 'nearest halfvec by Euclidean distance';
COMMENT ON OPERATOR FAMILY halfvec_l2_ops USING ivfflat IS 'nearest halfvec by Euclidean distance';
CREATE OPERATOR CLASS halfvec_ip_ops FOR TYPE halfvec USING ivfflat AS
    OPERATOR 1 <#> (halfvec, halfvec) FOR ORDER BY float_ops;
COMMENT ON OPERATOR CLASS halfvec_ip_ops USING ivfflat IS 'nearest halfvec by negative inner product';
COMMENT ON OPERATOR FAMILY halfvec_ip_ops USING ivfflat IS 'nearest halfvec by negative inner product';
CREATE OPERATOR CLASS halfvec_cosine_ops FOR TYPE halfvec USING ivfflat AS
    OPERATOR 1 <=> (halfvec, halfvec) FOR ORDER BY float_ops;
COMMENT ON OPERATOR CLASS halfvec_cosine_ops USING ivfflat IS 'nearest halfvec by cosine distance';
COMMENT ON OPERATOR FAMILY halfvec_cosine_ops USING ivfflat IS 'nearest halfvec by cosine distance';
CREATE OPERATOR CLASS bit_hamming_ops FOR TYPE bit USING ivfflat AS
    OPERATOR 1 <~> (bit, bit) FOR ORDER BY float_ops;
COMMENT ON OPERATOR CLASS bit_hamming_ops USING ivfflat IS 'nearest bit by Hamming distance';
COMMENT ON OPERATOR FAMILY bit_hamming_ops USING ivfflat IS 'nearest bit by Hamming distance';

-- omendb's own

CREATE FUNCTION omendb_simd_level() RETURNS text
    LANGUAGE C STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'omendb_sql_simd_level';
COMMENT ON FUNCTION omendb_simd_level() IS
    'instruction set of the distance kernels in use: scalar, neon, avx2 or avx512';

CREATE FUNCTION rrf(rank bigint, k integer DEFAULT 60) RETURNS float8
    LANGUAGE C IMMUTABLE CALLED ON NULL INPUT PARALLEL SAFE AS 'MODULE_PATHNAME', 'omendb_sql_rrf';
COMMENT ON FUNCTION rrf(bigint, integer) IS
    'reciprocal rank fusion: 1 / (k + rank), what the row with that rank (from 1) in a list gets from it; 0 if rank is null, for a row not in the list';

CREATE FUNCTION hnsw_index_info(index regclass,
    OUT access_method text, OUT structure text, OUT format_version integer, OUT dimensions integer, OUT m integer, OUT ef_construction integer, OUT metric text,
    OUT vector_storage text, OUT code_bits integer, OUT record_bytes integer, OUT records_per_page integer,
    OUT pages bigint, OUT nodes bigint, OUT records bigint, OUT overflow_records bigint, OUT free_records bigint,
    OUT heap_tids bigint, OUT levels integer, OUT nodes_by_level bigint[], OUT entry_point bigint, OUT entry_level integer,
    OUT dead_nodes bigint, OUT dead_share float8, OUT edges_per_node float8, OUT bytes_per_row float8,
    OUT recall_curve jsonb)
    RETURNS record LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'omendb_sql_hnsw_index_info';
COMMENT ON FUNCTION hnsw_index_info(regclass) IS
    'what an hnsw index is and holds; reads all its pages. For the table''s owner, who may SELECT from it, and pg_stat_scan_tables';
CREATE FUNCTION hnsw_index_check(index regclass, heap_check boolean DEFAULT false,
    OUT block bigint, OUT node bigint, OUT problem text, OUT severity text)
    RETURNS SETOF record LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'omendb_sql_hnsw_index_check';
COMMENT ON FUNCTION hnsw_index_check(regclass, boolean) IS
    'everything that is wrong with an hnsw index, and by heap_check with its agreement with the table; no row if nothing. severity is error, or notice: left by a crash or a cancelled command, no row is lost, a later VACUUM takes it away. For the table''s owner; blocks writers meanwhile';
CREATE FUNCTION hnsw_recall(index regclass, queries integer DEFAULT 100, k integer DEFAULT 10) RETURNS float8
    LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'omendb_sql_hnsw_recall';
COMMENT ON FUNCTION hnsw_recall(regclass, integer, integer) IS
    'share of the k nearest rows that an hnsw index finds at the present settings, for queries from the table itself; reads the whole table. For who may SELECT from it';
CREATE FUNCTION omendb_last_scan(
    OUT index regclass, OUT nodes_visited bigint, OUT pages_read bigint, OUT buffer_lookups bigint, OUT rows_returned bigint,
    OUT rows_rechecked bigint, OUT resumes bigint, OUT rows_late bigint, OUT sweeps bigint, OUT table_reads bigint,
    OUT ef_search integer, OUT stopped_by text)
    RETURNS record LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'omendb_sql_last_scan';
COMMENT ON FUNCTION omendb_last_scan() IS
    'what the latest finished hnsw index scan of this session did; sweeps and table_reads: times that the whole index, or the whole table, was read; stopped_by is null where the executor had enough';

CREATE FUNCTION hnsw_reindex_commands(OUT index regclass, OUT command text)
    RETURNS SETOF record LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED SET search_path = pg_catalog, pg_temp AS 'MODULE_PATHNAME', 'omendb_sql_hnsw_reindex_commands';
COMMENT ON FUNCTION hnsw_reindex_commands() IS
    'for each hnsw index that is invalid, or as pgvector built it, and each other index over distances or norms that is invalid, the command that rebuilds it, but for exclusion constraints while the table is in use; in psql: SELECT command FROM hnsw_reindex_commands() \gexec';
