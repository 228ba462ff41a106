-- halfvec: text form, rounding to half, type modifier, limits.

SELECT '[1,2,3]'::halfvec;
SELECT ' [ -1.5 , 0,2.25 ] '::halfvec;
SELECT E'\t[\n1\r,\f2\t,3\n]\r'::halfvec;
-- the vertical tab too, which the server itself takes for space from 16 on only
SELECT E'\x0B[\x0B1\x0B,\x0B2.5\x0B]\x0B'::halfvec;
SELECT '[-0,0]'::halfvec;

-- round to the nearest half, ties to even: 11 bits of precision
SELECT '[2048,2049,2050,2051,2052,2053]'::halfvec;
SELECT '[0.1,0.2,0.3]'::halfvec;
-- 65504 is the largest; what rounds to it is fine, from 65520 on it is out of range
SELECT '[65504,-65504,65519.99]'::halfvec;
SELECT '[65520]'::halfvec;
SELECT '[1,-65520]'::halfvec;
SELECT '[1e38]'::halfvec;
SELECT '[1e39]'::halfvec;
-- the smallest normal and subnormal; half of the latter ties to 0
SELECT '[6.1035156e-05,6.0975552e-05,5.9604645e-08]'::halfvec;
SELECT '[2.9802322e-08,2.9802326e-08,8.940697e-08,1e-50,-1e-10]'::halfvec;

SELECT '[NaN]'::halfvec;
SELECT '[Infinity]'::halfvec;
SELECT '[1,-inf]'::halfvec;

SELECT ''::halfvec;
SELECT '1,2'::halfvec;
SELECT '['::halfvec;
SELECT '[1'::halfvec;
SELECT '[1,'::halfvec;
SELECT '[,1]'::halfvec;
SELECT '[1,,2]'::halfvec;
SELECT '[1 2]'::halfvec;
SELECT '[1,a]'::halfvec;
SELECT '[1]]'::halfvec;
SELECT '[1]x'::halfvec;
SELECT '[]'::halfvec;

SELECT '[1,2,3]'::halfvec(3);
SELECT '[1,2,3]'::halfvec(2);
SELECT '[1]'::halfvec(0);
SELECT '[1]'::halfvec(16001);
SELECT '[1]'::halfvec(1,2);
SELECT '[1]'::halfvec('a');
SELECT format_type('halfvec'::regtype, 3), format_type('halfvec'::regtype, -1);
CREATE TABLE modifier (v halfvec(3));
INSERT INTO modifier VALUES ('[1,2,3]'), (NULL);
INSERT INTO modifier VALUES ('[1,2]');
INSERT INTO modifier SELECT '[1,2,3,4]'::halfvec;
SELECT * FROM modifier;
DROP TABLE modifier;

SELECT vector_dims(('[' || repeat('1,', 15999) || '1]')::halfvec);
DO $$
BEGIN
    PERFORM ('[' || repeat('1,', 16000) || '1]')::halfvec;
EXCEPTION WHEN program_limit_exceeded THEN
    RAISE NOTICE '% %', SQLSTATE, SQLERRM;
END $$;
SELECT array_fill(1, ARRAY[16001])::halfvec;
SELECT vector_dims(array_fill(1, ARRAY[8000])::halfvec || array_fill(1, ARRAY[8000])::halfvec);
SELECT array_fill(1, ARRAY[8000])::halfvec || array_fill(1, ARRAY[8001])::halfvec;

-- size: 8 bytes and 2 for each element
SELECT pg_column_size('[1]'::halfvec), pg_column_size('[1,2,3]'::halfvec),
       pg_column_size(array_fill(1, ARRAY[16000])::halfvec);

SELECT vector_dims('[1,2,3]'::halfvec);
SELECT subvector('[1,2,3,4,5]'::halfvec, 1, 3), subvector('[1,2,3,4,5]'::halfvec, 5, 1);
SELECT subvector('[1,2,3,4,5]'::halfvec, 4, 100), subvector('[1,2,3,4,5]'::halfvec, -1, 4);
SELECT subvector('[1,2,3,4,5]'::halfvec, 1, 0);
SELECT subvector('[1,2,3,4,5]'::halfvec, 6, 1);
SELECT subvector('[1,2,3,4,5]'::halfvec, 2147483647, 2147483647);

SELECT vector_dims(NULL::halfvec) IS NULL AND subvector(NULL::halfvec, 1, 1) IS NULL
       AND ('[1]'::halfvec || NULL) IS NULL AND l2_norm(NULL::halfvec) IS NULL
       AND l2_normalize(NULL::halfvec) IS NULL AND binary_quantize(NULL::halfvec) IS NULL AS all_null;

SELECT l2_norm('[3,4]'::halfvec), l2_norm('[0,0]'::halfvec), l2_norm('[-2]'::halfvec);
-- 65504 * sqrt(16000) is beyond half, not beyond double
SELECT l2_norm(array_fill(65504, ARRAY[10000])::halfvec);
SELECT l2_normalize('[3,4]'::halfvec), l2_normalize('[0,5,0]'::halfvec), l2_normalize('[0,0]'::halfvec);
SELECT l2_normalize('[65504]'::halfvec), l2_normalize('[-5.9604645e-08]'::halfvec);
SELECT binary_quantize('[1,0,-1,0.5,-0,5.9604645e-08,-5.9604645e-08,65504,7]'::halfvec);
SELECT length(binary_quantize(array_fill(1, ARRAY[16000])::halfvec)),
       bit_count(binary_quantize(array_fill(1, ARRAY[16000])::halfvec));
