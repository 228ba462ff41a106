-- The text form's numbers read as float4's own input reads them, bit for bit:
-- what the fast parser (parse_decimal in src/types/checks.c) is sure of and what
-- it leaves to strtof.
BEGIN;
SELECT plan(10);
SELECT setseed(0.25);

CREATE TEMP TABLE numbers AS
SELECT (random() - 0.5) * power(10, random() * 72 - 36) AS x, (random() * 20)::int AS places
FROM generate_series(1, 20000);

-- How many of the texts a query returns are read differently.
CREATE FUNCTION pg_temp.differing(texts text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    result bigint;
BEGIN
    EXECUTE format($q$SELECT count(*) FROM (%s) s (t)
        WHERE float4send((('[' || t || ']')::vector::real[])[1]) IS DISTINCT FROM float4send(t::real)$q$, texts)
    INTO result;
    RETURN result;
END $$;

SELECT is(pg_temp.differing('SELECT x::text FROM numbers'), 0::bigint, 'shortest text of a double');
SELECT is(pg_temp.differing('SELECT x::real::text FROM numbers'), 0::bigint, 'shortest text of a float');
SELECT is(pg_temp.differing('SELECT x::real::float8::text FROM numbers'), 0::bigint,
          'a float written as a double');
SELECT is(pg_temp.differing('SELECT x::numeric::text FROM numbers'), 0::bigint, 'without exponent');
SELECT is(pg_temp.differing('SELECT round(x::numeric, places + 20)::text FROM numbers WHERE abs(x) > 1e-19'),
          0::bigint, 'many digits');
SELECT is(pg_temp.differing($q$SELECT to_char(x, '9.99999999EEEE') FROM numbers$q$), 0::bigint,
          'scientific notation');

-- The middle between two floats, and so little beside it that double rounds it to
-- the middle: rounding that to float again goes the wrong way half of the time.
SELECT is(pg_temp.differing($q$
    WITH middles AS (
        SELECT ((8388608 + (random() * 8388607)::int)::numeric + 0.5) * (2 ^ e)::numeric AS middle, e
        FROM generate_series(1, 2000), generate_series(0, 6, 2) e)
    SELECT trim_scale(middle + beside * power(10::numeric, place))::text
    FROM middles, generate_series(-1, 1) beside, generate_series(-11, -8) place$q$),
          0::bigint, 'middles between floats and their neighbours');

SELECT is(pg_temp.differing($q$SELECT unnest('{0,-0,+1,1.,.5,-.5,1e0,1E5,1e+5,1e-5,00012,1e-45,1.4e-45,1.1754944e-38,1.1754942e-38,3.4028235e38,16777217,33554433,123456789012345678901234567890,0.000000000000000000000000000001,1e22,1e23,1e-22,1e-23}'::text[])$q$),
          0::bigint, 'edges of the fast path');
SELECT is('[0x10,0x1p-3,-0X1P3]'::vector::text, '[16,0.125,-8]', 'hexadecimal, as strtof reads it');
SELECT throws_ok($$SELECT '[1000000000000000000e22]'::vector$$, '22003', NULL, 'beyond float within the fast path');
SELECT * FROM finish();
ROLLBACK;
