-- WHERE v <-> q < r returns what a sequential scan returns, by whatever operator, comparison and side it is written, with an
-- order or a LIMIT and without; also at the very edge, and where the radius is null, NaN, infinite or from elsewhere.
\ir hnsw_scans.psql
SET hnsw.ef_search = 200;
SELECT plan(529);

-- ------------------------------------------------------------------ operators, forms, radii

-- Table points, as hnsw_data.psql makes it, with rows that an index leaves out; and radii that 0, 1, 10, 100, 1000 and all rows are within.
CREATE TABLE radii (n int, radius float8);
CREATE FUNCTION prepare(opclass text, d int) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM make_points(split_part(opclass, '_', 1), d, 2000, 'uniform');
    ALTER TABLE points SET (autovacuum_enabled = off);
    INSERT INTO points SELECT 4000 + i, NULL, 0.5 FROM generate_series(1, 20) i;
    IF opclass NOT LIKE 'bit%' THEN
        EXECUTE format('INSERT INTO points SELECT 5000 + i, array_fill(0, ARRAY[%s])::%s, 0.5 FROM generate_series(1, 20) i', d, split_part(opclass, '_', 1));
    END IF;
    CREATE INDEX ON points (w);
    PERFORM index_points(opclass);
    ANALYZE points;
    DELETE FROM radii;
    EXECUTE format('INSERT INTO radii SELECT n, (SELECT d FROM (SELECT v %s (SELECT v FROM points WHERE i = 17) AS d FROM points WHERE v IS NOT NULL) x ORDER BY d OFFSET n LIMIT 1) FROM unnest(ARRAY[0, 1, 10, 100, 1000]) n', operator_of(opclass));
    INSERT INTO radii VALUES (3000, 1000000), (-1, -1000000);
END $$;
CREATE TABLE forms (form text, opclasses text);
INSERT INTO forms VALUES ('v {o} {q} < {r}', ''), ('v {o} {q} <= {r}', ''), ('{r} > v {o} {q}', ''), ('{r} >= v {o} {q}', ''), ('{q} {o} v < {r}', ''), ('{r} >= {q} {o} v', ''),
    ('1 - (v {o} {q}) > 1 - {r}', ''), ('1 - (v {o} {q}) >= 1 - {r}', ''), ('1 - {r} < 1 - (v {o} {q})', ''), ('-(v {o} {q}) > -({r})', ''), ('-1 * (v {o} {q}) >= -({r})', '_ip_'), ('(v {o} {q}) * -1 > -({r})', '_ip_'), ('-({r}) <= -({q} {o} v)', '_ip_');
-- What is wrong within the radii, by a form: NULL if nothing.
CREATE FUNCTION radius_problem(opclass text, form text, tail text DEFAULT '', further text DEFAULT '') RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    query text := (SELECT quote_literal(v::text) || '::' || format_type(a.atttypid, a.atttypmod) FROM points, pg_attribute a WHERE i = 17 AND attrelid = 'points'::regclass AND attname = 'v');
    radius record;
    problem text;
    sql text;
BEGIN
    FOR radius IN SELECT * FROM radii ORDER BY n LOOP
        sql := format('SELECT i, v {o} {q} FROM points WHERE %s %s %s', form, further, tail);
        sql := replace(replace(replace(sql, '{o}', operator_of(opclass)), '{q}', query), '{r}', format('%L::float8', radius.radius));
        problem := problem(sql, CASE WHEN tail LIKE '%w, i LIMIT%' THEN 'any' ELSE 'scan' END, at_least => CASE WHEN radius.n >= 10 AND further = '' THEN 1 ELSE 0 END, ordered => tail LIKE '%ORDER BY%i%');
        IF problem IS NOT NULL THEN RETURN format('%s rows: %s: %s', radius.n, replace(sql, query, 'q'), problem); END IF;
    END LOOP;
    RETURN NULL;
END $$;
CREATE TABLE tails AS SELECT * FROM unnest(ARRAY['', 'ORDER BY v {o} {q}', 'ORDER BY v {o} {q}, i', 'ORDER BY v {o} {q}, i LIMIT 7', 'ORDER BY v {o} {q}, i LIMIT 7 OFFSET 5', 'ORDER BY {q} {o} v, i LIMIT 7', 'ORDER BY i', 'ORDER BY w, i LIMIT 9', 'ORDER BY v {o} {q} DESC, i LIMIT 5']) tail;

SELECT prepare('vector_l2_ops', 8) \g /dev/null
SELECT is(radius_problem('vector_l2_ops', form), NULL, 'vector_l2_ops: ' || form) FROM forms WHERE form NOT LIKE '%-1%';
SELECT is(radius_problem('vector_l2_ops', 'v {o} {q} < {r}', tail, further), NULL, format('vector_l2_ops: %s %s', further, tail)) FROM tails, unnest(ARRAY['', 'AND w < 0.3', 'AND i % 3 = 0', 'AND w < 0.3 AND v {o} {q} > 0.9']) further;
SELECT is(radius_problem('vector_l2_ops', 'v {o} {q} <= {r}', 'ORDER BY v {o} {q}, i', 'AND v {o} {q} <= ' || second), NULL, 'two radii: ' || second) FROM unnest(ARRAY['1.4', '0', '(SELECT 1.1)::float8', '''Infinity''']) second;
SELECT is(radius_problem('vector_l2_ops', 'v {o} {q} < {r}', '', 'AND v <-> array_fill(0.3, ARRAY[8])::vector < 1.2'), NULL, 'two circles');
SELECT is(radius_problem('vector_l2_ops', 'v {o} {q} < {r}', 'ORDER BY v <-> array_fill(0.3, ARRAY[8])::vector, i LIMIT 9'), NULL, 'ordered by the distance from another point');
SELECT prepare('vector_cosine_ops', 8) \g /dev/null
SELECT is(radius_problem('vector_cosine_ops', form), NULL, 'vector_cosine_ops: ' || form) FROM forms WHERE form NOT LIKE '%-1%';
SELECT is(radius_problem('vector_cosine_ops', '1 - (v {o} {q}) > 1 - {r}', tail, further), NULL, format('similarity: %s %s', further, tail)) FROM tails, unnest(ARRAY['', 'AND w < 0.3']) further WHERE tail <> 'ORDER BY v {o} {q}';
SELECT is(radius_problem('vector_cosine_ops', '1 - (v {o} {q}) >= 1 - {r}', 'ORDER BY 1 - (v {o} {q}) DESC, i LIMIT 9', further), NULL, 'similarity: the most similar ' || further) FROM unnest(ARRAY['', 'AND w < 0.3', 'AND v IS NOT NULL']) further;
SELECT prepare('vector_ip_ops', 8) \g /dev/null
SELECT is(radius_problem('vector_ip_ops', form), NULL, 'vector_ip_ops: ' || form) FROM forms;
SELECT is(radius_problem('vector_ip_ops', '-(v {o} {q}) > -({r})', tail), NULL, 'product: ' || tail) FROM tails WHERE tail <> 'ORDER BY v {o} {q}';
SELECT prepare('vector_l1_ops', 5) \g /dev/null
SELECT is(radius_problem('vector_l1_ops', form, tail), NULL, format('vector_l1_ops: %s %s', form, tail)) FROM unnest(ARRAY['v {o} {q} < {r}', '{r} >= {q} {o} v']) form, unnest(ARRAY['', 'ORDER BY v {o} {q}, i LIMIT 7']) tail;
SELECT prepare('halfvec_l2_ops', 8) \g /dev/null
SELECT is(radius_problem('halfvec_l2_ops', form, tail), NULL, format('halfvec_l2_ops: %s %s', form, tail)) FROM unnest(ARRAY['v {o} {q} < {r}', '{r} >= {q} {o} v']) form, unnest(ARRAY['', 'ORDER BY v {o} {q}, i LIMIT 7']) tail;
SELECT prepare('halfvec_cosine_ops', 8) \g /dev/null
SELECT is(radius_problem('halfvec_cosine_ops', form, tail), NULL, format('halfvec_cosine_ops: %s %s', form, tail)) FROM unnest(ARRAY['v {o} {q} < {r}', '1 - (v {o} {q}) > 1 - {r}']) form, unnest(ARRAY['', 'ORDER BY v {o} {q}, i LIMIT 7']) tail;
SELECT prepare('halfvec_ip_ops', 8) \g /dev/null
SELECT is(radius_problem('halfvec_ip_ops', form, tail), NULL, format('halfvec_ip_ops: %s %s', form, tail)) FROM unnest(ARRAY['v {o} {q} < {r}', '-(v {o} {q}) > -({r})']) form, unnest(ARRAY['', 'ORDER BY v {o} {q}, i LIMIT 7']) tail;
SELECT prepare('halfvec_l1_ops', 5) \g /dev/null
SELECT is(radius_problem('halfvec_l1_ops', 'v {o} {q} < {r}'), NULL, 'halfvec_l1_ops');
SELECT prepare('bit_hamming_ops', 24) \g /dev/null
SELECT is(radius_problem('bit_hamming_ops', form, tail), NULL, format('bit_hamming_ops: %s %s', form, tail)) FROM unnest(ARRAY['v {o} {q} < {r}', 'v {o} {q} <= {r}', '{r} >= {q} {o} v', 'v {o} {q} < 9']) form, unnest(ARRAY['', 'ORDER BY v {o} {q}, i LIMIT 7']) tail;
SELECT prepare('bit_jaccard_ops', 24) \g /dev/null
SELECT is(radius_problem('bit_jaccard_ops', form, tail), NULL, format('bit_jaccard_ops: %s %s', form, tail)) FROM unnest(ARRAY['v {o} {q} < {r}', '1 - (v {o} {q}) >= 1 - {r}']) form, unnest(ARRAY['', 'ORDER BY v {o} {q}, i LIMIT 7']) tail;

-- ------------------------------------------------------------------ the very edge

SELECT prepare('vector_cosine_ops', 8) \g /dev/null
CREATE TABLE edges AS SELECT i, v <=> (SELECT v FROM points WHERE i = 17) AS d, 1 - (v <=> (SELECT v FROM points WHERE i = 17)) AS s, (SELECT v FROM points WHERE i = 17) AS q FROM points WHERE i BETWEEN 18 AND 57;
SELECT is(string_agg(problem, ' '), NULL, 'radii that are distances of rows: ' || form)
    FROM unnest(ARRAY['v <=> %1$L < %2$s', 'v <=> %1$L <= %2$s', '1 - (v <=> %1$L) > %3$s', '1 - (v <=> %1$L) >= %3$s', '1 - (v <=> %1$L) > 1 - %2$s::float8', '1 - (v <=> %1$L) >= 1 - %2$s::float8', 'v <=> %1$L <= 1 - %3$s::float8']) form,
         LATERAL (SELECT problem(format('SELECT i FROM points WHERE i <= 5000 AND ' || form, q, d, s), at_least => 0, ordered => false) AS problem FROM edges OFFSET 0) p GROUP BY form;

-- ------------------------------------------------------------------ radii that are no numbers

CREATE TABLE odd AS SELECT * FROM unnest(ARRAY['NULL', '''NaN''', '''Infinity''', '''-Infinity''', '0', '-0.0', '1e300', '-1e300', '1e-300', '2']) radius;
CREATE FUNCTION odd_problem(radius text, form text, how text) RETURNS text LANGUAGE sql
    RETURN problem(replace(replace(format('SELECT i, v <=> {q} AS d FROM points WHERE %s %s %s', form, CASE WHEN form ~ '(1 - |-)\(v' THEN 'AND i <= 5000' ELSE '' END, CASE how WHEN 'ordered' THEN 'ORDER BY d, i' WHEN 'limited' THEN 'ORDER BY d, i LIMIT 30' ELSE '' END), '{r}', CASE how WHEN 'subquery' THEN '(SELECT ' || radius || '::float8)' ELSE radius || '::float8' END), '{q}', '''[1,2,3,4,5,6,7,8]'''),
                   CASE radius WHEN 'NULL' THEN 'any' ELSE 'scan' END, 0, how IN ('ordered', 'limited'));
SELECT is(odd_problem(radius, form, how), NULL, format('%s, %s: %s', how, radius, form)) FROM odd, unnest(ARRAY['v <=> {q} < {r}', '{r} >= v <=> {q}', '1 - (v <=> {q}) > {r}', '-(v <=> {q}) >= {r}']) form, unnest(ARRAY['alone', 'ordered', 'limited', 'subquery']) how;
-- queries that are no vectors, or have no direction
SELECT is(problem(format('SELECT i FROM points WHERE %s', condition), 'any', 0, false), NULL, condition)
    FROM unnest(ARRAY['v <=> NULL < 1', 'v <=> (SELECT NULL::vector) < 1', '1 - (v <=> (SELECT NULL::vector)) > 0', 'v <=> (SELECT NULL::vector) < 1 OR i < 9', 'v <=> ''[0,0,0,0,0,0,0,0]'' < 1', '1 - (v <=> ''[0,0,0,0,0,0,0,0]'') > 0.5', 'v <=> ''[0,0,0,0,0,0,0,0]'' <= ''NaN''', 'v <=> v < 1']) condition;
-- conditions that are no radius
SELECT is(problem(format('SELECT i FROM points WHERE %s', condition), 'sort', 1, false), NULL, 'no radius: ' || condition)
    FROM unnest(ARRAY['v <=> ''[1,2,3,4,5,6,7,8]'' > 0.5', 'v <=> ''[1,2,3,4,5,6,7,8]'' <> 0.5', 'NOT v <=> ''[1,2,3,4,5,6,7,8]'' < 0.5', '1 - (v <=> ''[1,2,3,4,5,6,7,8]'') < 0.5', 'v <=> ''[1,2,3,4,5,6,7,8]'' < w', '2 - (v <=> ''[1,2,3,4,5,6,7,8]'') > 1',
        'v <=> ''[1,2,3,4,5,6,7,8]'' < 0.3 OR w < 0.1', 'v <=> ''[1,2,3,4,5,6,7,8]'' < random() * 0 + 0.3', 'v <-> ''[1,2,3,4,5,6,7,8]'' < 14', 'v <=> ''[1,2,3,4,5,6,7,8]'' BETWEEN 0.9 AND 2 IS NOT FALSE']) condition;
SELECT is(problem('SELECT i FROM points WHERE v <=> ''[1,2,3,4,5,6,7,8]'' BETWEEN 0.3 AND 0.6', ordered => false), NULL, 'a ring');

-- ------------------------------------------------------------------ where the values come from

PREPARE within(vector, float8) AS SELECT i FROM points WHERE v <=> $1 < $2;
PREPARE within_numeric(vector, numeric, int) AS SELECT i FROM points WHERE v <=> $1 < $2 AND 1 - (v <=> $1) > $3;
PREPARE ordered_within(vector, float8) AS SELECT i FROM points WHERE v <=> $1 <= $2 ORDER BY v <=> $1, i LIMIT 40;
CREATE FUNCTION within_variables(q vector, r float8) RETURNS SETOF int LANGUAGE plpgsql AS $$ BEGIN RETURN QUERY SELECT i FROM points WHERE v <=> q < r; END $$;
CREATE FUNCTION prepared_problem(radius text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    query text := '[1,2,3,4,5,6,7,-8]';
    same text := format('SELECT i FROM points WHERE v <=> %L < %s', query, radius);
BEGIN
    RETURN concat_ws('; ', problem(format('EXECUTE within(%L, %s)', query, radius), 'any', 0, false, same), problem(format('SELECT * FROM within_variables(%L, %s)', query, radius), 'any', 0, false, same),
        problem(format('EXECUTE within_numeric(%L, %s, -1)', query, radius), 'any', 0, false, format('SELECT i FROM points WHERE v <=> %L < %s AND 1 - (v <=> %1$L) > -1', query, radius)),
        problem(format('EXECUTE ordered_within(%L, %s)', query, radius), 'any', 0, true, format('SELECT i FROM points WHERE v <=> %L <= %s ORDER BY v <=> %1$L, i LIMIT 40', query, radius)));
END $$;
SET plan_cache_mode = force_generic_plan;
SELECT is(prepared_problem(radius), '', 'generic plan: ' || radius) FROM unnest(ARRAY['NULL', '0.1', '0.4', '1.9', '-1', '5']) radius;
SELECT ok(has_scan(plan_by_scan('EXECUTE within(''[1,2,3,4,5,6,7,-8]'', 0.4)', strategy)), strategy || ': which is a custom scan') FROM unnest(strategies()) strategy;
SET plan_cache_mode = force_custom_plan;
SELECT is(prepared_problem(radius), '', 'plan for the values: ' || radius) FROM unnest(ARRAY['NULL', '0.1', '0.4', '1.9', '-1', '5']) radius;
RESET plan_cache_mode;
CREATE TABLE circles (n int PRIMARY KEY, q vector(8), radius float8);
INSERT INTO circles SELECT n, (SELECT v FROM points WHERE i = n * 100), CASE WHEN n % 5 > 0 THEN n * 0.04 END FROM generate_series(1, 18) n;
INSERT INTO circles VALUES (19, NULL, 0.5);
ANALYZE circles;
SELECT is(problem(sql, use, ordered => false), NULL, sql) FROM (VALUES
    ('SELECT n, p.i FROM circles, LATERAL (SELECT i FROM points WHERE v <=> q < radius OFFSET 0) p', 'scan'),
    ('SELECT n, p.i FROM circles, LATERAL (SELECT i FROM points WHERE v <=> q < radius AND w < 0.4 ORDER BY v <=> q, i LIMIT 5) p', 'scan'),
    ('SELECT n, (SELECT count(*) FROM points WHERE v <=> q < radius) FROM circles', 'scan'),
    ('SELECT n, p.i FROM circles JOIN points p ON p.v <=> q < radius', 'any'),
    ('SELECT n FROM circles WHERE EXISTS (SELECT FROM points WHERE v <=> q < radius AND w < 0.01)', 'any'),
    ('SELECT n, p.i FROM circles LEFT JOIN points p ON p.v <=> q < 0.05', 'any'),
    ('SELECT i FROM points WHERE v <=> (SELECT q FROM circles WHERE n = 3) < (SELECT radius FROM circles WHERE n = 9)', 'scan'),
    ('SELECT count(*), avg(i), min(w) FROM points WHERE v <=> (SELECT q FROM circles WHERE n = 3) < 0.5', 'scan'),
    ('SELECT i % 3, count(*) FROM points WHERE v <=> ''[1,2,3,4,5,6,7,8]'' < 0.5 GROUP BY 1', 'scan'),
    ('SELECT i, rank() OVER (ORDER BY v <=> ''[1,2,3,4,5,6,7,8]'') FROM points WHERE v <=> ''[1,2,3,4,5,6,7,8]'' < 0.5', 'scan'),
    ('SELECT DISTINCT v <=> ''[1,2,3,4,5,6,7,8]'' FROM points WHERE v <=> ''[1,2,3,4,5,6,7,8]'' < 0.5', 'scan'),
    ('SELECT a.i, b.i FROM points a JOIN points b ON a.i = b.i + 1 WHERE a.v <=> ''[1,2,3,4,5,6,7,8]'' < 0.5 AND b.v <=> ''[1,2,3,4,5,6,7,8]'' < 0.5', 'scan'),
    ('SELECT i FROM points WHERE v <=> ''[1,2,3,4,5,6,7,8]'' < 0.2 UNION SELECT i FROM points WHERE v <=> ''[8,7,6,5,4,3,2,1]'' < 0.2', 'scan')) x(sql, use);
-- of LIMIT without an order, any rows, but as many
CREATE FUNCTION any_rows_problem(radius float8, n int, further text, strategy text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    sql text := format('SELECT i FROM points WHERE v <=> ''[1,2,3,4,5,6,7,8]'' < %s %s', radius, further);
    found text[] := by_scan(format('%s LIMIT %s', sql, n), strategy);
    within text[] := by_sort(sql);
BEGIN
    RETURN CASE WHEN cardinality(found) <> least(n, cardinality(within)) THEN format('%s rows of %s', cardinality(found), cardinality(within))
                WHEN NOT found <@ within OR (SELECT count(DISTINCT f) FROM unnest(found) f) < cardinality(found) THEN 'wrong rows' END;
END $$;
SELECT is(any_rows_problem(radius, n, further, strategy), NULL, format('%s: %s of those within %s %s', strategy, n, radius, further)) FROM unnest(ARRAY[0.01, 0.3, 1, 3]) radius, unnest(ARRAY[1, 10, 5000]) n, unnest(ARRAY['', 'AND w < 0.3', 'AND i % 7 = 3']) further, unnest(strategies()) strategy;

-- ------------------------------------------------------------------ values out of line, little memory, no reading to the end

CREATE TABLE long_rows (i int PRIMARY KEY, v vector(1000)) WITH (autovacuum_enabled = off);
INSERT INTO long_rows SELECT i, (SELECT array_agg(noise(j, i) + noise(j, i % 20) ORDER BY j) FROM generate_series(1, 1000) j)::vector FROM generate_series(1, 400) i;
CREATE INDEX long_rows_hnsw ON long_rows USING hnsw (v vector_l2_ops);
ANALYZE long_rows;
SELECT is(problem(format('SELECT i FROM long_rows WHERE v <-> (SELECT v FROM long_rows WHERE i = 7) < %s %s', radius, tail), at_least => 0, ordered => tail <> ''), NULL, format('long values within %s %s', radius, tail))
    FROM unnest(ARRAY['0', '0.1', '26', '35', '100', '(SELECT 26)']) radius, unnest(ARRAY['', 'ORDER BY v <-> (SELECT v FROM long_rows WHERE i = 7) LIMIT 30']) tail;
-- a radius of type real, as drivers send it
SELECT is(problem(format(sql, 'v <-> (SELECT v FROM long_rows WHERE i = 7)')), NULL, sql) FROM unnest(ARRAY['SELECT i FROM long_rows WHERE %1$s < 35::real ORDER BY %1$s', 'SELECT i FROM long_rows WHERE 35::real >= %1$s ORDER BY %1$s', 'SELECT i FROM long_rows WHERE 1 - (%1$s) > (-34)::real ORDER BY %1$s LIMIT 30', 'SELECT i FROM long_rows WHERE %1$s <= (SELECT 35::real) ORDER BY %1$s']) sql;
PREPARE by_real(real) AS SELECT i FROM long_rows WHERE v <-> (SELECT v FROM long_rows WHERE i = 7) < $1 ORDER BY v <-> (SELECT v FROM long_rows WHERE i = 7);
SET plan_cache_mode = force_generic_plan;
SELECT is(problem('EXECUTE by_real(35)', same_as => 'SELECT i FROM long_rows WHERE v <-> (SELECT v FROM long_rows WHERE i = 7) < 35 ORDER BY v <-> (SELECT v FROM long_rows WHERE i = 7)'), NULL, 'generic plan: a parameter of type real');
RESET plan_cache_mode;
SET work_mem = '64kB';
SELECT is(radius_problem('vector_cosine_ops', form, tail), NULL, format('little memory: %s %s', form, tail)) FROM unnest(ARRAY['v {o} {q} < {r}', '1 - (v {o} {q}) > 1 - {r}']) form, unnest(ARRAY['', 'ORDER BY v {o} {q}, i', 'ORDER BY v {o} {q}, i LIMIT 700']) tail;
RESET work_mem;
SET hnsw.max_scan_tuples = 50;
SELECT is(radius_problem('vector_cosine_ops', form, tail), NULL, format('few nodes: %s %s', form, tail)) FROM unnest(ARRAY['v {o} {q} < {r}', '1 - (v {o} {q}) > 1 - {r}']) form, unnest(ARRAY['', 'ORDER BY v {o} {q}, i', 'ORDER BY v {o} {q}, i LIMIT 7']) tail;
RESET hnsw.max_scan_tuples;
-- what may not be read to its end gives rows that are right, perhaps not all
SET hnsw.exhaustive_scan = off;
SELECT ok(by_scan(sql, strategy) <@ by_sort(sql) AND cardinality(by_scan(sql, strategy)) > 0, format('%s, not exhaustive: %s', strategy, sql))
    FROM unnest(strategies()) strategy, unnest(ARRAY['SELECT i FROM points WHERE v <=> ''[1,2,3,4,5,6,7,8]'' < 0.5', 'SELECT i FROM points WHERE v <=> ''[1,2,3,4,5,6,7,8]'' < 0.5 AND w < 0.3']) sql;
RESET hnsw.exhaustive_scan;

SELECT finish();
