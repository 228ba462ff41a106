-- Arithmetic of vector and halfvec, element by element.

SELECT '[1,2,3]'::vector + '[10,20,30]', '[1,2,3]'::vector - '[10,20,30]', '[1,2,3]'::vector * '[10,20,30]';
SELECT '[1,2,3]'::halfvec + '[10,20,30]', '[1,2,3]'::halfvec - '[10,20,30]', '[1,2,3]'::halfvec * '[10,20,30]';
SELECT '[1,2]'::vector || '[3]', '[1,2]'::halfvec || '[3]';
SELECT vector_add('[1]', '[2]'), vector_sub('[1]', '[2]'), vector_mul('[3]', '[2]'), vector_concat('[1]', '[2]');
SELECT halfvec_add('[1]', '[2]'), halfvec_sub('[1]', '[2]'), halfvec_mul('[3]', '[2]'), halfvec_concat('[1]', '[2]');

-- more elements than any vector register holds, and an odd tail
SELECT sum(v + v) = array_fill(3 * 4, ARRAY[67])::vector AS add_ok, sum(v - v - v) = array_fill(-6, ARRAY[67])::vector AS sub_ok,
       sum(v * v) = array_fill(14, ARRAY[67])::vector AS mul_ok
    FROM (SELECT array_fill(i, ARRAY[67])::vector v FROM generate_series(1, 3) i) t;
SELECT sum(v + v) = array_fill(3 * 4, ARRAY[67])::halfvec AS add_ok, sum(v * v) = array_fill(14, ARRAY[67])::halfvec AS mul_ok
    FROM (SELECT array_fill(i, ARRAY[67])::halfvec v FROM generate_series(1, 3) i) t;

-- one rounding to the element type
SELECT '[16777216]'::vector + '[1]', '[16777216]'::vector + '[3]';
SELECT '[2048]'::halfvec + '[1]', '[2048]'::halfvec + '[3]', '[2050]'::halfvec - '[1]';

-- overflow; subtraction and products too
SELECT '[3e38]'::vector + '[3e38]';
SELECT '[-3e38,1]'::vector - '[3e38,1]';
SELECT '[1,1e20]'::vector * '[1,1e20]';
SELECT '[65504]'::halfvec + '[16]';
SELECT '[65504]'::halfvec + '[15]';
SELECT '[-65504]'::halfvec - '[65504]';
SELECT '[256]'::halfvec * '[256]';

-- underflow of a product is an error, as in float4; a difference cannot underflow
SELECT '[1e-30]'::vector * '[1e-30]';
SELECT '[1e-20]'::vector * '[1e-20]' > '[0]';
SELECT '[1e-30,0]'::vector * '[0,1e-30]';
SELECT '[1e-4]'::halfvec * '[1e-4]';
SELECT '[0.5]'::halfvec * '[5.9604645e-08]';
SELECT '[0.5]'::halfvec * '[1.7881393e-07]';
SELECT '[1.1754944e-38]'::vector - '[1.1754942e-38]' > '[0]';

SELECT '[1,2]'::vector + '[3]';
SELECT '[1,2]'::vector - '[3]';
SELECT '[1,2]'::vector * '[3,4,5]';
SELECT '[1,2]'::halfvec + '[3]';
SELECT '[1,2]'::halfvec - '[3]';
SELECT '[1,2]'::halfvec * '[3,4,5]';
-- no such operators (versions differ in the hint)
\set VERBOSITY terse
SELECT '[1]'::vector / '[1]';
SELECT '{1:1}/1'::sparsevec + '{1:1}/1'::sparsevec;
SELECT '{1:1}/1'::sparsevec || '{1:1}/1'::sparsevec;
\set VERBOSITY default

SELECT '[1]'::vector + NULL IS NULL AND NULL - '[1]'::vector IS NULL AND '[1]'::vector * NULL IS NULL
       AND '[1]'::halfvec + NULL IS NULL AND NULL - '[1]'::halfvec IS NULL AND '[1]'::halfvec * NULL IS NULL AS all_null;

-- the operands stay what they were
CREATE TEMP TABLE operands (a vector, b vector, c halfvec, d halfvec);
INSERT INTO operands VALUES ('[1,2]', '[3,4]', '[1,2]', '[3,4]');
SELECT a + b, a - b, a * b, a || b, c + d, c - d, c * d, c || d FROM operands;
SELECT * FROM operands;
