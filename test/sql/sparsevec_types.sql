-- sparsevec: text form, order, duplicates, bounds, limits.

SELECT '{1:1.5,3:-2}/5'::sparsevec;
SELECT '{}/5'::sparsevec, '{}/1'::sparsevec, '{1:1}/1'::sparsevec;
SELECT '  { 1 : 1.5 , 3 : -2 } / 5  '::sparsevec;
SELECT E'\t{\n1\r:\f1.5\t,\n3:-2\r}\f/\t5\n'::sparsevec, '{ } / 5'::sparsevec;
-- the vertical tab too, which the server itself takes for space from 16 on only
SELECT E'\x0B{\x0B1\x0B:\x0B1.5\x0B,\x0B3:2\x0B}\x0B/\x0B5\x0B'::sparsevec;
-- any order in, ascending out
SELECT '{5:5,1:1,3:3}/5'::sparsevec;
-- zeros are dropped; what would only round to zero is an error
SELECT '{1:0,2:-0,4:4}/5'::sparsevec, '{1:0}/1'::sparsevec;
SELECT '{1:0,3:1e-50,4:4}/5'::sparsevec;
SELECT '{9999999999:1}/5'::sparsevec;
SELECT '{-3:1}/5'::sparsevec;
SELECT '{+1:+1,02:.5,3:1e2}/+5'::sparsevec;
SELECT '{1:3.4028235e38,2:-1e-45}/2'::sparsevec;

-- bounds
SELECT '{0:1}/5'::sparsevec;
SELECT '{6:1}/5'::sparsevec;
SELECT '{-1:1}/5'::sparsevec;
SELECT '{1:1,6:1,2:1}/5'::sparsevec;
SELECT '{2147483647:1}/5'::sparsevec;
-- each index once, whatever its value
SELECT '{1:1,1:2}/5'::sparsevec;
SELECT '{2:1,1:1,2:1}/5'::sparsevec;
SELECT '{1:0,1:1}/5'::sparsevec;
SELECT '{1:0,1:0}/5'::sparsevec;

-- dimensions
SELECT '{}/0'::sparsevec;
SELECT '{}/-1'::sparsevec;
SELECT '{}/1000000000'::sparsevec, '{1:1,1000000000:2}/1000000000'::sparsevec;
SELECT '{}/1000000001'::sparsevec;
SELECT '{}/99999999999999999999'::sparsevec;
SELECT '{1000000001:1}/1000000000'::sparsevec;

SELECT '{1:NaN}/1'::sparsevec;
SELECT '{1:inf}/1'::sparsevec;
SELECT '{1:-Infinity}/1'::sparsevec;
SELECT '{1:4e38}/1'::sparsevec;

-- malformed text: each place, with its position
SELECT ''::sparsevec;
SELECT '[1,2,3]'::sparsevec;
SELECT '1:1/5'::sparsevec;
SELECT '{'::sparsevec;
SELECT '{}'::sparsevec;
SELECT '{}/'::sparsevec;
SELECT '{}/a'::sparsevec;
SELECT '{}5'::sparsevec;
SELECT '{}/5a'::sparsevec;
SELECT '{}/5.0'::sparsevec;
SELECT '{}/5 5'::sparsevec;
SELECT '{1}/5'::sparsevec;
SELECT '{1:}/5'::sparsevec;
SELECT '{1:1'::sparsevec;
SELECT '{1:1,'::sparsevec;
SELECT '{1:1,}/5'::sparsevec;
SELECT '{,}/5'::sparsevec;
SELECT '{,1:1}/5'::sparsevec;
SELECT '{1:1,,2:1}/5'::sparsevec;
SELECT '{1:1 2:1}/5'::sparsevec;
SELECT '{a:1}/5'::sparsevec;
SELECT '{1:a}/5'::sparsevec;
SELECT '{1.5:1}/5'::sparsevec;
SELECT '{1:1:1}/5'::sparsevec;
SELECT '{1 1:1}/5'::sparsevec;
SELECT '{1:1}}/5'::sparsevec;
SELECT '{{1:1}}/5'::sparsevec;
SELECT '{1:é}/5'::sparsevec;

-- type modifier
SELECT '{1:1}/5'::sparsevec(5), '{}/1000000000'::sparsevec(1000000000);
SELECT '{1:1}/5'::sparsevec(4);
SELECT '{}/5'::sparsevec(6);
SELECT '{}/5'::sparsevec(0);
SELECT '{}/5'::sparsevec(1000000001);
SELECT '{}/5'::sparsevec(5,5);
SELECT '{}/5'::sparsevec('a');
SELECT format_type('sparsevec'::regtype, 5), format_type('sparsevec'::regtype, -1);
CREATE TABLE modifier (v sparsevec(3));
INSERT INTO modifier VALUES ('{1:1}/3'), ('{}/3'), (NULL);
INSERT INTO modifier VALUES ('{1:1}/4');
INSERT INTO modifier SELECT '{}/2'::sparsevec;
SELECT * FROM modifier;
DROP TABLE modifier;

-- 16000 elements, not one more: in text and from an array, which may hold more zeros
CREATE FUNCTION sparse_text(n int, dim int, value text DEFAULT '1') RETURNS text LANGUAGE sql AS
    $$ SELECT '{' || string_agg(i || ':' || value, ',') || '}/' || dim FROM generate_series(1, n) i $$;
SELECT l2_norm(sparse_text(15625, 16000)::sparsevec), pg_column_size(sparse_text(16000, 16000)::sparsevec);
DO $$
BEGIN
    PERFORM sparse_text(16001, 16001)::sparsevec;
EXCEPTION WHEN program_limit_exceeded THEN
    RAISE NOTICE '% %', SQLSTATE, SQLERRM;
END $$;
SELECT l2_norm(array_fill(1, ARRAY[15625])::sparsevec);
SELECT array_fill(1, ARRAY[16001])::sparsevec;
SELECT (array_fill(0, ARRAY[20000]) || 7)::sparsevec;
-- the longest texts fill the output buffer to the last byte
SELECT length(('{' || string_agg((1000000000 - i) || ':-1.1754944e-38', ',') || '}/1000000000')::sparsevec::text)
    FROM generate_series(0, 15999) i;
DROP FUNCTION sparse_text;

-- size: 16 bytes and 8 for each non-zero element
SELECT pg_column_size('{}/1000000000'::sparsevec), pg_column_size('{1:1,2:2,3:0}/5'::sparsevec);

SELECT l2_norm(NULL::sparsevec) IS NULL AND l2_normalize(NULL::sparsevec) IS NULL AS all_null;
SELECT l2_norm('{1:3,1000000000:4}/1000000000'::sparsevec), l2_norm('{}/5'::sparsevec);
SELECT l2_norm('{1:3e38,2:4e37}/2'::sparsevec) BETWEEN 3.02e38 AND 3.03e38 AS no_overflow,
       l2_norm('{1:3e-40}/2'::sparsevec) BETWEEN 2.99e-40 AND 3.01e-40 AS no_underflow;
SELECT l2_normalize('{1:3,4:4}/5'::sparsevec), l2_normalize('{}/5'::sparsevec), l2_normalize('{2:-7}/3'::sparsevec);
-- an element that becomes too small is dropped, as zeros are
SELECT l2_normalize('{1:1e38,2:1e-38}/3'::sparsevec);
