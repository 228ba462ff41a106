-- avg and sum of vector and halfvec.

CREATE TABLE samples (g int, i int, v vector, h halfvec);
INSERT INTO samples SELECT i % 3, i, ARRAY[i, -i, 1], ARRAY[i, -i, 1] FROM generate_series(1, 9) i;
SELECT avg(v), sum(v), avg(h), sum(h) FROM samples;
SELECT g, avg(v), sum(v), avg(h), sum(h) FROM samples GROUP BY g ORDER BY g;
SELECT avg(v) FILTER (WHERE i > 7), sum(h) FILTER (WHERE i > 7), avg(v) FILTER (WHERE i > 9), sum(v) FILTER (WHERE i > 9) FROM samples;
SELECT avg(DISTINCT v), sum(DISTINCT h) FROM (VALUES ('[1]'::vector, '[1]'::halfvec), ('[1]', '[1]'), ('[4]', '[4]')) t(v, h);
SELECT sum(v ORDER BY i DESC) FROM samples;
SELECT g, avg(v) FROM samples GROUP BY GROUPING SETS ((g), ()) ORDER BY g;
SELECT g FROM samples GROUP BY g HAVING avg(v) = '[5,-5,1]';

-- no rows, and only NULLs, are NULL; NULLs do not count
SELECT avg(v), sum(v), avg(h), sum(h) FROM samples WHERE false;
SELECT avg(v), sum(v), avg(h), sum(h) FROM (VALUES (NULL::vector, NULL::halfvec), (NULL, NULL)) t(v, h);
SELECT avg(v), sum(v), avg(h), sum(h) FROM (VALUES (NULL::vector, NULL::halfvec), ('[1,2]', '[1,2]'), (NULL, NULL), ('[3,4]', '[3,4]')) t(v, h);
SELECT avg(v), sum(v) FROM (VALUES ('[1.5]'::vector)) t(v);

-- mixed dimensions
SELECT avg(v) FROM (VALUES ('[1,2]'::vector), ('[3]')) t(v);
SELECT sum(v) FROM (VALUES ('[1,2]'::vector), ('[3]')) t(v);
SELECT avg(v) FROM (VALUES ('[1,2]'::halfvec), ('[3]')) t(v);
SELECT sum(v) FROM (VALUES ('[1,2]'::halfvec), ('[3]')) t(v);
SELECT g, avg(v) FROM (VALUES (1, '[1,2]'::vector), (2, '[3]')) t(g, v) GROUP BY g ORDER BY g;

-- sums that do not fit float4, averages that do
SELECT sum(v) FROM (VALUES ('[3e38]'::vector), ('[3e38]')) t(v);
SELECT avg(v) FROM (VALUES ('[3e38]'::vector), ('[3e38]')) t(v);
SELECT sum(v) FROM (VALUES ('[65504]'::halfvec), ('[65504]')) t(v);
SELECT avg(v) FROM (VALUES ('[65504]'::halfvec), ('[65504]')) t(v);

-- many rows: the state is in double, so ones are not lost beyond 2^24
SELECT avg(v) FROM (SELECT '[1,0,-2]'::vector v FROM generate_series(1, 100000)) t;
SELECT avg(v) FROM (SELECT '[16777216]'::vector v UNION ALL SELECT '[1]' FROM generate_series(1, 3)) t;
SELECT sum(v) FROM (SELECT ARRAY[i, 1]::vector v FROM generate_series(1, 1000) i) t;
SELECT avg(h) FROM (SELECT ARRAY[i % 2, 2]::halfvec h FROM generate_series(1, 100000) i) t;
SELECT avg(v) = array_fill(50.5, ARRAY[1000])::vector FROM (SELECT array_fill(i, ARRAY[1000])::vector v FROM generate_series(1, 100) i) t;

-- many groups
SELECT count(*), count(*) FILTER (WHERE a = ARRAY[g, 2]::vector AND s = ARRAY[3 * g, 6]::vector)
    FROM (SELECT g, avg(v) a, sum(v) s FROM (SELECT g, ARRAY[g, k]::vector v FROM generate_series(1, 1000) g, generate_series(1, 3) k) t GROUP BY g) t;

-- windows: the state is updated in place, each row's result must not be
SELECT i, avg(v) OVER (ORDER BY i) AS running, sum(v) OVER (ORDER BY i) AS total FROM samples ORDER BY i;
SELECT i, avg(v) OVER w, sum(v) OVER w, avg(h) OVER w, sum(h) OVER w FROM samples
    WINDOW w AS (ORDER BY i ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING) ORDER BY i;
SELECT i, avg(v) OVER (PARTITION BY g ORDER BY i ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING) FROM samples ORDER BY i;
SELECT i, avg(v) OVER (ORDER BY i ROWS BETWEEN 2 FOLLOWING AND 3 FOLLOWING) FROM samples ORDER BY i;
-- several at once, plain and over the groups; one as the other's argument
SELECT avg(v), avg(v + v), avg(v) OVER () FROM samples GROUP BY v ORDER BY v LIMIT 2;
SELECT sum(a) FROM (SELECT avg(v) OVER (ORDER BY i) a FROM samples) t;

-- called by hand: the transition functions do not change their argument
SELECT vector_accum('{0}', '[1,2]'), halfvec_accum('{2,1,2}', '[1,2]');
SELECT vector_combine('{2,1,2}', '{3,10,20}'), halfvec_combine('{2,1,2}', '{3,10,20}'), vector_combine('{0}', '{1,5}'), vector_combine('{1,5}', '{0}'), vector_combine('{0}', '{0}');
SELECT vector_avg('{2,1,4}'), halfvec_avg('{4,2,8}'), vector_avg('{0}') IS NULL AS none;
DO $$
DECLARE
    state float8[] := '{1,5,6}';
    other float8[] := '{2,1,1}';
    ignored float8[];
BEGIN
    ignored := vector_accum(state, '[1,1]');
    ignored := vector_combine(state, other);
    ignored := halfvec_accum(other, '[1,1]');
    RAISE NOTICE '% %', state, other;
END $$;
-- ... also where it is not a copy already: constants, and wide values on a page
SELECT vector_accum(s, v), s, vector_combine(s, s), s, halfvec_accum(s, v::halfvec), s FROM (VALUES ('{1,5}'::float8[], '[1]'::vector), ('{2,6}', '[1]')) t(s, v);
CREATE TABLE states AS SELECT array_fill(1::float8, ARRAY[33]) s;
SELECT (vector_accum(s, array_fill(1, ARRAY[32])::vector))[1:3], (vector_combine(s, s))[1:3], s[1:3] FROM states;
SELECT s[1:3] FROM states;
DROP TABLE states;
-- a state that no aggregate would make
SELECT vector_accum('{}', '[1]');
SELECT vector_accum('{{1,2}}', '[1]');
SELECT vector_accum('{1,NULL}', '[1]');
SELECT vector_accum('{1,2}', '[1,2]');
SELECT vector_combine('{1,2}', '{1,2,3}');
SELECT vector_combine('{1,2}', '{}');
-- what has sums has dimensions, whatever its count
SELECT vector_accum('{0,0}', '[1]'), vector_accum('{1}', '[1]'), vector_combine('{0,5}', '{1,2}'), vector_combine('{1,2}', '{0,5}'), vector_combine('{0}', '{0,0}'),
    vector_combine('{1,2}', '{1}'), vector_combine('{1}', '{1,2}'), vector_combine('{1}', '{1}');
SELECT vector_accum('{0,0}', '[1,2]');
SELECT halfvec_accum('{0,0,0}', '[1]');
SELECT vector_combine('{0,5,6}', '{1,2}');
SELECT halfvec_combine('{1,2}', '{0,5,6}');
-- more dimensions than the type has
SELECT vector_accum(array_fill(1::float8, ARRAY[16002]), '[1]');
SELECT vector_combine(array_fill(1::float8, ARRAY[16002]), array_fill(1::float8, ARRAY[16002]));
SELECT vector_combine('{0}', array_fill(0::float8, ARRAY[16002]));
SELECT halfvec_combine(array_fill(1::float8, ARRAY[16002]), '{0}');
SELECT (vector_combine(array_fill(1::float8, ARRAY[16001]), array_fill(1::float8, ARRAY[16001])))[16001];
-- sums that leave the range
SELECT vector_accum('{1,Infinity}', '[1]');
SELECT halfvec_combine('{1,1.7e308}', '{1,1.7e308}');
SELECT vector_avg('{}');
SELECT vector_avg('{1}');
SELECT vector_avg('{1,1e300}');
SELECT vector_avg('{1,NaN}');
SELECT vector_avg(array_fill(1::float8, ARRAY[16002]));
SELECT halfvec_avg('{1,65520}');
SELECT halfvec_avg('{1,1e300}');
SELECT halfvec_accum('{1,NULL}', '[1]');
SELECT halfvec_avg(array_fill(1::float8, ARRAY[16002]));

-- none for sparsevec (versions differ in the hint)
\set VERBOSITY terse
SELECT avg('{}/1'::sparsevec);
SELECT sum('{}/1'::sparsevec);
\set VERBOSITY default
DROP TABLE samples;
