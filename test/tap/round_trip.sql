-- Values that go out and come back: text, half precision.
BEGIN;
\ir levels.psql
SELECT plan(26);

-- ------------------------------------------------------------------ float4

-- Every exponent of float4, with the ends of its range, and others, of both signs.
CREATE TEMP TABLE floats AS
    SELECT sign * x AS x FROM (
        SELECT ((1 + fraction / 8388608.0) * 2 ^ exponent)::float8::real AS x
            FROM generate_series(-126, 127) exponent,
                 LATERAL (SELECT unnest(ARRAY[0, 1, 2, 4194303, 4194304, 4194305, 8388606, 8388607]) UNION SELECT (hashint8extended(i, exponent) & 8388607) FROM generate_series(1, 20) i) f(fraction)
        UNION SELECT (fraction * 2 ^ -149)::float8::real  -- subnormal
            FROM (SELECT (2 ^ k)::int FROM generate_series(0, 22) k UNION SELECT (2 ^ k - 1)::int FROM generate_series(1, 23) k UNION SELECT (hashint8extended(i, 0) & 8388607) FROM generate_series(1, 50) i) f(fraction)) positive,
        unnest(ARRAY[1, -1]::real[]) sign;
INSERT INTO floats VALUES ('0'), ('-0');
SELECT cmp_ok((SELECT count(*)::int FROM floats), '>', 14000, 'floats');
SELECT is((SELECT count(DISTINCT (get_byte(float4send(x), 0) & 127) * 2 + get_byte(float4send(x), 1) / 128)::int FROM floats), 255, 'of all exponents');
SELECT is_empty('SELECT x FROM floats WHERE float4send((ARRAY[x]::vector::text::vector::real[])[1]) <> float4send(x)', 'vector: text reads back as the same bits');
SELECT is_empty($$ SELECT x FROM floats WHERE ARRAY[x]::vector::text <> '[' || x::text || ']' $$, 'vector: text is that of float4');
SELECT is_empty($$ SELECT x FROM floats WHERE x <> 0 AND (('{2:' || x::text || '}/3')::sparsevec::text <> '{2:' || x::text || '}/3' OR (ARRAY[0, x]::sparsevec::vector::real[])[2] <> x) $$, 'sparsevec: the same');
SELECT is_empty('SELECT x FROM floats WHERE substr(vector_send(ARRAY[x]::vector), 5) <> float4send(x)', 'vector: binary is that of float4');
SELECT is_empty('SELECT x FROM floats WHERE x <> 0 AND substr(sparsevec_send(ARRAY[0, x]::sparsevec), 17) <> float4send(x)', 'sparsevec: binary is that of float4');
SELECT is_empty('SELECT x FROM floats WHERE (ARRAY[x::float8]::vector::real[])[1] <> x OR (ARRAY[x::float8::numeric]::vector::real[])[1] <> x', 'from float8 and numeric');
SELECT is((SELECT array_agg(x)::text FROM (SELECT unnest((SELECT array_agg(x ORDER BY x) FROM (SELECT * FROM floats ORDER BY x LIMIT 10000) f)::vector::real[]) x) u),
          (SELECT array_agg(x ORDER BY x)::text FROM (SELECT * FROM floats ORDER BY x LIMIT 10000) f), 'ten thousand at once');

-- ------------------------------------------------------------------ half

-- All 63488 finite ones, as their 16 bits and their value.
CREATE TEMP TABLE halves AS
    SELECT sign * 32768 + exponent * 1024 + fraction AS bits,
           CASE WHEN sign = 1 AND exponent + fraction = 0 THEN '-0'::real
                ELSE ((1 - 2 * sign) * CASE exponent WHEN 0 THEN fraction * 2::float8 ^ -24 ELSE (1024 + fraction) * 2::float8 ^ (exponent - 25) END)::real END AS x
    FROM generate_series(0, 1) sign, generate_series(0, 30) exponent, generate_series(0, 1023) fraction;
-- 62 values of 1024 elements, every half in its place
CREATE TEMP TABLE half_vectors AS
    SELECT bits / 1024 AS id, array_agg(x ORDER BY bits) xs, string_agg(lpad(to_hex(bits), 4, '0'), '' ORDER BY bits) hex FROM halves GROUP BY 1;
SELECT is((SELECT count(*)::int FROM halves), 63488, 'halves');
SELECT pg_temp.no_rows_at_each_level(
    $$ SELECT id FROM half_vectors WHERE encode(halfvec_send(xs::halfvec), 'hex') <> '04000000' || hex $$, 'each half has its bits');
SELECT pg_temp.no_rows_at_each_level(
    'SELECT id FROM half_vectors WHERE xs::halfvec::real[]::text <> xs::text OR xs::halfvec::vector::real[]::text <> xs::text OR xs::vector::halfvec::vector::real[]::text <> xs::text', 'each half has its value');
SELECT is_empty($$ SELECT id FROM half_vectors WHERE halfvec_send(xs::halfvec::text::halfvec) <> halfvec_send(xs::halfvec) $$, 'text reads back as the same half');

-- Half way between two neighbours: to the even one; one float beside it: to the nearer.
CREATE TEMP TABLE midpoints AS
    SELECT a.bits, a.x AS low, b.x AS high, ((a.x::float8 + b.x) / 2)::real AS middle FROM halves a JOIN halves b ON b.bits = a.bits + 1 WHERE b.bits < 31 * 1024;
CREATE TEMP TABLE rounded AS
    SELECT bits / 1024 AS id, array_agg(CASE bits % 2 WHEN 0 THEN low ELSE high END ORDER BY bits) even, array_agg(low ORDER BY bits) low, array_agg(high ORDER BY bits) high,
           array_agg(middle ORDER BY bits) middle,
           array_agg((middle - place)::real ORDER BY bits) below, array_agg((middle + place)::real ORDER BY bits) above,
           array_agg(-middle ORDER BY bits) negative
    FROM midpoints,
         -- the value of the last place of float4 there
         LATERAL (SELECT 2 ^ ((get_byte(float4send(middle), 0) & 127) * 2 + get_byte(float4send(middle), 1) / 128 - 127 - 23)::float8 AS place) l
    GROUP BY 1;
SELECT pg_temp.no_rows_at_each_level(
    'SELECT id FROM rounded WHERE middle::halfvec::real[] <> even OR below::halfvec::real[] <> low OR above::halfvec::real[] <> high
       OR middle::vector::halfvec::real[] <> even OR negative::halfvec::real[] <> (array_fill(0, ARRAY[cardinality(even)])::vector - even::vector)::real[]', 'rounding is to the nearest, ties to even');
SELECT is_empty('SELECT id FROM rounded, unnest(below, middle, above) u(b, m, a) WHERE NOT (b < m AND m < a)', 'these are neighbours');

-- The end of the range.
SELECT is(ARRAY[65519.996::real]::halfvec::text, '[65504]', 'just below the middle to 2^16');
SELECT throws_ok('SELECT ARRAY[65520::real]::halfvec', '22003', NULL, 'the middle to 2^16');

SELECT * FROM finish();
ROLLBACK;
