-- hnsw.recall_target: the index knows which ef finds so many rows with that recall.
\ir hnsw_data.psql
SET client_min_messages = warning;
SET enable_seqscan = off;
SET enable_sort = off;
SELECT plan(55);

-- ---------------------------------------------------------------- the curve
CREATE FUNCTION curve(index regclass) RETURNS TABLE (n int, ef int, few float8, many float8) LANGUAGE sql AS $$
    SELECT o::int, (p ->> 'ef')::int, (p ->> 'recall_10')::float8, (p ->> 'recall_100')::float8
    FROM hnsw_index_info(index) i, jsonb_array_elements(i.recall_curve) WITH ORDINALITY e(p, o)
$$;
CREATE FUNCTION curve_problem(index regclass) RETURNS text LANGUAGE sql AS $$
    SELECT coalesce(min(format('point %s: %s, %s, %s', n, ef, few, many)), CASE WHEN (SELECT count(*) FROM curve(index)) < 2 THEN 'too short' END)
    FROM (SELECT *, lag(ef) OVER w AS ef0, lag(few) OVER w AS few0, lag(many) OVER w AS many0 FROM curve(index) WINDOW w AS (ORDER BY n)) c
    WHERE ef <= ef0 OR few < few0 OR many < many0 OR NOT (few BETWEEN 0 AND 1 AND many BETWEEN 0 AND 1)
$$;

-- The ef of the latest scan.
CREATE FUNCTION latest_ef() RETURNS int LANGUAGE sql AS $$ SELECT ef_search FROM omendb_last_scan() $$;
-- Of a query with that LIMIT clause.
CREATE FUNCTION ef_of(query text) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
    PERFORM must_use_index(query);
    EXECUTE query;
    RETURN latest_ef();
END $$;

-- Mean recall of the first k rows of a source (a table, and perhaps WHERE) for the vectors v of a query.
CREATE FUNCTION recall_over(vectors text, source text, op text, k int) RETURNS float8 LANGUAGE plpgsql AS $$
DECLARE
    query record;
    sql text;
    kth float8;
    n int;
    found int := 0;
    queries int := 0;
BEGIN
    FOR query IN EXECUTE vectors LOOP
        sql := format('SELECT v %s %L::vector AS d FROM %s ORDER BY v %s %L::vector LIMIT %s', op, query.v, source, op, query.v, k);
        PERFORM set_config('enable_indexscan', 'off', true), set_config('enable_sort', 'on', true), set_config('enable_seqscan', 'on', true);
        EXECUTE format('SELECT max(d) FROM (%s) q', sql) INTO kth;
        PERFORM set_config('enable_indexscan', 'on', true), set_config('enable_sort', 'off', true), set_config('enable_seqscan', 'off', true);
        EXECUTE format('SELECT count(*) FROM (%s) q WHERE d <= %L', sql, kth) INTO n;
        found := found + n;
        queries := queries + 1;
    END LOOP;
    RETURN found::float8 / queries / k;
END $$;
-- Of queries that are in no row: halfway between two near ones.
CREATE FUNCTION mean_recall(op text, k int, queries int) RETURNS float8 LANGUAGE sql AS
    $$ SELECT recall_over(format('SELECT (a.v + b.v)::text AS v FROM points a JOIN points b ON b.i = a.i + 40 ORDER BY a.w LIMIT %s', queries), 'points', op, k) $$;

SELECT make_points('vector', 48, 6000, 'uniform');
SELECT index_points('vector_l2_ops', 'WITH (m = 8)');

-- ---------------------------------------------------------------- the setting
SELECT is(current_setting('hnsw.recall_target'), '0', 'off by default');
SELECT throws_ok(format('SET hnsw.recall_target = %L', value), '22023', NULL, format('%s is no recall to aim at', value))
FROM unnest('{-0.1,0.1,0.799,0.9991,1,NaN,high}'::text[]) value;
SELECT lives_ok(format('SET hnsw.recall_target = %s', value), format('%s is', value)) FROM unnest('{0.8,0.999,0}'::text[]) value;

-- ---------------------------------------------------------------- recall
SELECT is(curve_problem('points_hnsw'), NULL, 'a new index knows its curve, which grows');
SELECT cmp_ok((SELECT min(few) FROM curve('points_hnsw')), '<', 0.9::float8, 'these rows are not found by the least ef');

SELECT use_scan('graph') \g /dev/null
CREATE FUNCTION check_recall(op text, k int, target float8) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    recall float8;
BEGIN
    PERFORM set_config('hnsw.recall_target', target::text, false);
    recall := mean_recall(op, k, 60);
    RETURN cmp_ok(recall, '>=', target - 0.02, format('recall of %s at a target of %s (ef %s)', k, target, latest_ef()));
END $$;
SELECT check_recall('<->', k, target) FROM unnest('{10,100}'::int[]) k, unnest('{0.9,0.95,0.98}'::float8[]) target;

-- ---------------------------------------------------------------- the ef
SET hnsw.recall_target = 0.95;
CREATE FUNCTION nearest(what text) RETURNS text LANGUAGE sql AS
    $$ SELECT 'SELECT i FROM points ORDER BY v <-> (SELECT v FROM points WHERE i = 17) ' || what $$;
SELECT ef_of(nearest('LIMIT 10')) AS ten, ef_of(nearest('LIMIT 100')) AS hundred, ef_of(nearest('LIMIT 1000')) AS thousand \gset
SELECT cmp_ok(:hundred, '>', :ten, 'a hundred rows take a larger ef than ten');
SELECT cmp_ok(:thousand, '>', :hundred, 'and a thousand a larger one');
SELECT is(ef_of(nearest('LIMIT 1')), :ten, 'one row takes that of ten');
SELECT is(ef_of(nearest('LIMIT 10 OFFSET 90')), :hundred, 'OFFSET counts');
SELECT is(ef_of(nearest('FETCH FIRST 100 ROWS ONLY')), :hundred, 'FETCH FIRST as well');
SET hnsw.ef_search = 1000;
SELECT is(ef_of(nearest('LIMIT 10')), :ten, 'hnsw.ef_search does not');
RESET hnsw.ef_search;
SET hnsw.recall_target = 0.99;
SELECT cmp_ok(ef_of(nearest('LIMIT 10')), '>', :ten, 'a higher recall takes a larger ef');
SET hnsw.recall_target = 0;
SELECT is(ef_of(nearest('LIMIT 10')), 40, 'without a target it is hnsw.ef_search');
SET hnsw.recall_target = 0.95;

-- EXPLAIN
CREATE FUNCTION explained(options text, query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    line text;
BEGIN
    FOR line IN EXECUTE format('EXPLAIN (COSTS OFF, %s) %s', options, query) LOOP
        IF line ~ 'EF Search:' THEN RETURN substring(line FROM '\d+'); END IF;
    END LOOP;
    RETURN NULL;
END $$;
SELECT is(explained('ANALYZE, TIMING OFF, SUMMARY OFF', nearest('LIMIT 100')), :'hundred', 'EXPLAIN (ANALYZE) shows it');
SELECT is(explained('VERBOSE', nearest('LIMIT 100')), :'hundred', 'EXPLAIN shows what is planned');
-- A low target calls for fewer nodes than LIMIT; yet one round returns them all.
SET hnsw.recall_target = 0.8;
SELECT cmp_ok(ef_of(nearest('LIMIT 100')), '>=', 100, 'a low target: as many nodes as rows');
SELECT is(resumes, 0::bigint, 'in one round') FROM omendb_last_scan();
SELECT is(explained('VERBOSE', nearest('LIMIT 100')), ef_of(nearest('LIMIT 100'))::text, 'and EXPLAIN shows that');
RESET hnsw.recall_target;
SET hnsw.scan_strategy = exact;
SELECT is(explained('ANALYZE, TIMING OFF, SUMMARY OFF', nearest('LIMIT 100')), NULL, 'nothing, where nothing was searched');
SELECT is(explained('VERBOSE', nearest('LIMIT 100')), NULL, 'nor where nothing will be');
SET hnsw.scan_strategy = graph;
SET hnsw.recall_target = 0;
SELECT is(explained('ANALYZE, TIMING OFF, SUMMARY OFF', nearest('LIMIT 100')), NULL, 'neither does without a target');
SET hnsw.recall_target = 0.95;

-- prepared, with one plan for all
SET plan_cache_mode = force_generic_plan;
PREPARE first_rows(int) AS SELECT i FROM points ORDER BY v <-> (SELECT v FROM points WHERE i = 17) LIMIT $1;
EXECUTE first_rows(10) \g /dev/null
SELECT is(latest_ef(), :ten, 'a prepared statement: by the LIMIT of its execution');
EXECUTE first_rows(100) \g /dev/null
SELECT is(latest_ef(), :hundred, 'and the next');
SET hnsw.recall_target = 0;
EXECUTE first_rows(100) \g /dev/null
SELECT is(latest_ef(), 40, 'and by the setting');
SET hnsw.recall_target = 0.95;
RESET plan_cache_mode;

-- rescans
SELECT q.n, r.i FROM (VALUES (17), (18), (19)) q(n), LATERAL (SELECT i FROM points ORDER BY v <-> (SELECT v FROM points p WHERE p.i = q.n) LIMIT 100) r \g /dev/null
SELECT is(latest_ef(), :hundred, 'a subquery that is run again and again');

-- a plain index scan does not know LIMIT
SELECT use_scan('plain') \g /dev/null
SELECT is(ef_of(nearest('LIMIT 100')), :ten, 'a plain index scan begins as for ten rows');
SELECT is((SELECT count(*) FROM (SELECT i FROM points ORDER BY v <-> (SELECT v FROM points WHERE i = 17) LIMIT 300) q), 300::bigint, 'and goes on');
SET hnsw.iterative_scan = off;
SELECT is((SELECT count(*) FROM (SELECT i FROM points ORDER BY v <-> (SELECT v FROM points WHERE i = 17) LIMIT 300) q), :ten::bigint, 'not iterative: as many rows as its ef');
RESET hnsw.iterative_scan;
SELECT use_scan('auto') \g /dev/null

-- ---------------------------------------------------------------- rows that come and go
CREATE TABLE grown (i int, v vector(48)) WITH (autovacuum_enabled = off);
CREATE INDEX grown_v ON grown USING hnsw (v vector_l2_ops) WITH (m = 8);
SELECT is((SELECT recall_curve FROM hnsw_index_info('grown_v')), NULL, 'an empty index has no curve');
INSERT INTO grown SELECT i, v FROM points WHERE i <= 2000;
SELECT count(*) FROM (SELECT i FROM grown ORDER BY v <-> (SELECT v FROM points WHERE i = 17) LIMIT 10) q \g /dev/null
SELECT is(latest_ef(), 40, 'without one a search takes hnsw.ef_search');
VACUUM grown;
SELECT is(curve_problem('grown_v'), NULL, 'a vacuum measures it');
SELECT recall_curve AS first FROM hnsw_index_info('grown_v') \gset
INSERT INTO grown SELECT i, v FROM points WHERE i BETWEEN 2001 AND 2200;
VACUUM grown;
SELECT is((SELECT recall_curve FROM hnsw_index_info('grown_v')), :'first'::jsonb, 'after a tenth more rows it is still the same');
DELETE FROM grown WHERE i <= 150;
VACUUM grown;
SELECT is((SELECT recall_curve FROM hnsw_index_info('grown_v')), :'first'::jsonb, 'and after some are gone');
DELETE FROM grown WHERE i <= 300;
VACUUM grown;
SELECT isnt((SELECT recall_curve FROM hnsw_index_info('grown_v')), :'first'::jsonb, 'a fifth of them new or gone: it is measured again');
SELECT is(curve_problem('grown_v'), NULL, 'and is a curve');
DELETE FROM grown;
VACUUM grown;
SELECT is((SELECT recall_curve FROM hnsw_index_info('grown_v')), NULL, 'with all rows gone there is none');

-- ---------------------------------------------------------------- few rows, one of which is the entry point
CREATE TABLE few (v vector(3));
CREATE INDEX few_v ON few USING hnsw (v vector_l2_ops);
INSERT INTO few SELECT ARRAY[i, i * i % 7, 1]::vector FROM generate_series(1, 5) i;
REINDEX INDEX few_v;
SELECT is((SELECT min(few) FROM curve('few_v')), 1.0::float8, 'of a few rows all are found, the entry point hidden or not');

-- ---------------------------------------------------------------- hnsw_recall takes the ef of as many rows
CREATE INDEX recalled ON points USING hnsw (v vector_l2_ops);
SET hnsw.recall_target = 0.99;
SELECT cmp_ok(hnsw_recall('recalled', 50, 100), '>=', 0.95::float8, 'hnsw_recall of 100 rows');
SELECT ok(latest_ef() IS NOT NULL, 'by a search');
RESET hnsw.recall_target;
-- ---------------------------------------------------------------- filters
-- Near copies, whose codes tell little: most nearer rows are found late. They get their places, for a target does not
-- promise that the rows of LIMIT n are the first of LIMIT m.
SELECT setseed(.3) \g /dev/null
CREATE TABLE copies AS
    SELECT (i - 1) * 8 + j AS id, (SELECT array_agg((x + (random() - .5) * .002)::real ORDER BY o) FROM unnest(v) WITH ORDINALITY u(x, o) WHERE j = j)::vector(24) AS v
    FROM (SELECT i, (SELECT array_agg(random()) FROM generate_series(1, 24) k WHERE i = i) AS v FROM generate_series(1, 1000) i) c, generate_series(1, 8) j;
CREATE INDEX ON copies USING hnsw (v vector_l2_ops);
ANALYZE copies;
SET hnsw.recall_target = 0.95;
SELECT cmp_ok(recall_over('SELECT v::text AS v FROM copies WHERE id % 160 = 0', 'copies WHERE id % 3 = 0', '<->', k), '>=', 0.96::float8, format('near copies with a filter, LIMIT %s', k)) FROM unnest('{10,100}'::int[]) k;
RESET hnsw.recall_target;

SELECT * FROM finish();
