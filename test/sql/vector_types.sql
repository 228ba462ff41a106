-- vector: text form, type modifier, limits.

-- plain values, and the shortest decimals that read back as the same float4
SELECT '[1,2,3]'::vector;
SELECT '[-1.5,0,2.25e3]'::vector;
SELECT '[1]'::vector;
SELECT '[0.1,0.2,1e-3,1e-4,1e-5,123456,1234567,12345678]'::vector;
SELECT '[+1,.5,5.,1E2,1e+2,0x10]'::vector;
SELECT '[-0,0,-0.0]'::vector;
SELECT '[3.4028235e38,-3.4028235e38,1.1754944e-38,1e-45]'::vector;

-- white space between all parts, of every kind
SELECT '  [ 1 , 2 , 3 ]  '::vector;
SELECT E'\t[\n1\r,\f2\t,3\n]\r'::vector;
-- the vertical tab too, which the server itself takes for space from 16 on only
SELECT E'\x0B[\x0B1\x0B,\x0B2.5\x0B]\x0B'::vector;

-- what float4 cannot tell from its neighbour is rounded; too small becomes 0
SELECT '[16777217,0.10000000149011612,1e-50,-1e-50]'::vector;

-- too large, NaN and infinity are refused
SELECT '[1,4e38]'::vector;
SELECT '[-4e38,1]'::vector;
SELECT '[1,1e400]'::vector;
SELECT '[NaN]'::vector;
SELECT '[1,nan,2]'::vector;
SELECT '[Infinity]'::vector;
SELECT '[-inf]'::vector;

-- malformed text: each place, with its position
SELECT ''::vector;
SELECT '   '::vector;
SELECT '1,2,3'::vector;
SELECT '{1,2,3}'::vector;
SELECT '(1,2,3)'::vector;
SELECT '['::vector;
SELECT '[1'::vector;
SELECT '[1,'::vector;
SELECT '[1,2'::vector;
SELECT '[,1]'::vector;
SELECT '[1,,2]'::vector;
SELECT '[1,2,]'::vector;
SELECT '[1 2]'::vector;
SELECT '[1;2]'::vector;
SELECT '[a]'::vector;
SELECT '[1,a]'::vector;
SELECT '[1a]'::vector;
SELECT '[1,--2]'::vector;
SELECT '[1,e5]'::vector;
SELECT '[.]'::vector;
SELECT '[1.2.3]'::vector;
SELECT '[[1]]'::vector;
SELECT '[1]]'::vector;
SELECT '[1,2,3]x'::vector;
SELECT '[1,2,3] [4]'::vector;
SELECT '[1,NULL]'::vector;
-- at and before characters of several bytes
SELECT '[1,é]'::vector;
SELECT '[é,1]'::vector;
-- no dimensions
SELECT '[]'::vector;
SELECT ' [ ] '::vector;
SELECT '[] x'::vector;

-- type modifier
SELECT '[1,2,3]'::vector(3);
SELECT '[1,2,3]'::vector(2);
SELECT '[1,2,3]'::vector(4);
SELECT '[1]'::vector(0);
SELECT '[1]'::vector(-1);
SELECT '[1]'::vector(16001);
SELECT '[1]'::vector(2147483648);
SELECT '[1]'::vector(1,2);
SELECT '[1]'::vector('a');
SELECT '[1]'::vector(1.5);
SELECT NULL::vector(3);
SELECT format_type('vector'::regtype, 3), format_type('vector'::regtype, -1);
CREATE TABLE modifier (v vector(3));
INSERT INTO modifier VALUES ('[1,2,3]'), (NULL);
INSERT INTO modifier VALUES ('[1,2]');
INSERT INTO modifier SELECT '[1,2,3,4]'::vector;
UPDATE modifier SET v = '[1]';
SELECT atttypmod, format_type(atttypid, atttypmod) FROM pg_attribute
    WHERE attrelid = 'modifier'::regclass AND attname = 'v';
SELECT * FROM modifier;
CREATE TABLE too_wide (v vector(16001));
CREATE TABLE widest (v vector(16000));
DROP TABLE modifier, widest;

-- limits: 16000 dimensions, in text, array and concatenation
SELECT vector_dims(('[' || repeat('1,', 15999) || '1]')::vector);
SELECT length(('[' || repeat('1,', 15999) || '1]')::vector::text);
-- the text would flood the error's context, hence no literal
DO $$
BEGIN
    PERFORM ('[' || repeat('1,', 16000) || '1]')::vector;
EXCEPTION WHEN program_limit_exceeded THEN
    RAISE NOTICE '% %', SQLSTATE, SQLERRM;
END $$;
SELECT vector_dims(array_fill(1, ARRAY[16000])::vector);
SELECT array_fill(1, ARRAY[16001])::vector;
SELECT vector_dims(array_fill(1, ARRAY[8000])::vector || array_fill(1, ARRAY[8000])::vector);
SELECT vector_dims(array_fill(1, ARRAY[8000])::vector || array_fill(1, ARRAY[8001])::vector);

-- the longest texts of a float4 fill the output buffer to the last byte
SELECT length(array_fill(-1.1754944e-38::real, ARRAY[16000])::vector::text);

-- size: 8 bytes and 4 for each element
SELECT pg_column_size('[1]'::vector), pg_column_size('[1,2,3]'::vector),
       pg_column_size(array_fill(1, ARRAY[16000])::vector);

-- pieces
SELECT vector_dims('[1,2,3]'::vector), vector_dims('[0]'::vector);
SELECT subvector('[1,2,3,4,5]'::vector, 1, 3);
SELECT subvector('[1,2,3,4,5]'::vector, 3, 2);
SELECT subvector('[1,2,3,4,5]'::vector, 5, 1);
-- cut to what there is, on both sides
SELECT subvector('[1,2,3,4,5]'::vector, 4, 100);
SELECT subvector('[1,2,3,4,5]'::vector, 2, 2147483647);
SELECT subvector('[1,2,3,4,5]'::vector, -1, 4);
SELECT subvector('[1,2,3,4,5]'::vector, 0, 2);
SELECT subvector('[1,2,3,4,5]'::vector, -2147483648, 2147483647);
SELECT subvector('[1,2,3,4,5]'::vector, 1, 0);
SELECT subvector('[1,2,3,4,5]'::vector, 1, -1);
SELECT subvector('[1,2,3,4,5]'::vector, 6, 1);
SELECT subvector('[1,2,3,4,5]'::vector, 2147483647, 2147483647);
SELECT subvector('[1,2,3,4,5]'::vector, -5, 3);

-- STRICT: NULL in, NULL out
SELECT vector_dims(NULL::vector) IS NULL AND subvector(NULL::vector, 1, 1) IS NULL
       AND subvector('[1]'::vector, NULL, 1) IS NULL AND ('[1]'::vector || NULL) IS NULL
       AND vector_norm(NULL) IS NULL AND l2_normalize(NULL::vector) IS NULL
       AND binary_quantize(NULL::vector) IS NULL AS all_null;

-- length, direction, signs
SELECT vector_norm('[3,4]'::vector), vector_norm('[0,0]'::vector), vector_norm('[-2]'::vector);
SELECT vector_norm('[3e37,4e37]'::vector) BETWEEN 4.9999e37 AND 5.0001e37 AS no_overflow,
       vector_norm('[3e-30,4e-30]'::vector) BETWEEN 4.9999e-30 AND 5.0001e-30 AS no_underflow;
SELECT l2_normalize('[3,4]'::vector), l2_normalize('[0,5,0]'::vector), l2_normalize('[0,0]'::vector);
SELECT l2_normalize('[3e38]'::vector), l2_normalize('[-1e-38]'::vector);
SELECT l2_normalize('[-0,0]'::vector);
SELECT binary_quantize('[1,0,-1,0.5,-0,1e-45,-1e-45,3e38,7]'::vector);
SELECT binary_quantize('[1]'::vector), binary_quantize('[0]'::vector);
SELECT length(binary_quantize(array_fill(1, ARRAY[16000])::vector)),
       bit_count(binary_quantize(array_fill(1, ARRAY[16000])::vector));
SELECT pg_typeof(binary_quantize('[1]'::vector));
