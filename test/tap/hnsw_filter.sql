-- A query with a condition and a LIMIT returns as many rows as there are, up to the LIMIT, and only rows that fulfil
-- the condition; one whose LIMIT is beyond the table returns every row once. By a plain index scan (of the rows that are
-- indexed), and by the custom scan with a search of the graph or with what it chooses itself.
\ir hnsw_data.psql
SET client_min_messages = warning;
SET enable_seqscan = off;
SELECT plan(292);

-- Wrong counts, rows or orders of ten queries: NULL if none.
CREATE FUNCTION filter_problem(scan text, opclass text, condition text, k int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    op text := operator_of(opclass);
    column_type text := (SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'points'::regclass AND attname = 'v');
    query text;
    sql text;
    matching int;
    found int;
    good int;
    disorder int;
BEGIN
    PERFORM use_scan(scan);
    EXECUTE format('SELECT count(*) FROM points WHERE %s (%s)', CASE scan WHEN 'plain' THEN 'v IS NOT NULL AND' END, condition) INTO matching;
    FOR query IN SELECT v::text FROM points WHERE v IS NOT NULL ORDER BY noise(3, i) LIMIT 10 LOOP
        sql := format('SELECT i, w, v %s %L::%s AS d FROM points WHERE %s ORDER BY v %s %L::%s LIMIT %s', op, query, column_type, condition, op, query, column_type, k);
        PERFORM must_use_index(sql);
        EXECUTE format('SELECT count(*), count(DISTINCT i) FILTER (WHERE %s) FROM (%s) q', condition, sql) INTO found, good;
        IF found <> least(k, matching) OR good <> found THEN
            RETURN format('%s rows, %s good, of %s: %s', found, good, matching, left(sql, 1000));
        END IF;
        -- (rows without a vector come last)
        IF scan <> 'plain' OR current_setting('hnsw.iterative_scan') = 'strict_order' AND k < matching THEN
            EXECUTE format('SELECT count(*) FROM (SELECT d, n, lag(d) OVER (ORDER BY n) AS before FROM (SELECT d, row_number() OVER () AS n FROM (%s) a) b) c WHERE d < before OR n > 1 AND before IS NULL AND d IS NOT NULL', sql) INTO disorder;
            IF disorder > 0 THEN
                RETURN format('%s of %s rows out of order: %s', disorder, found, left(sql, 1000));
            END IF;
        END IF;
    END LOOP;
    RETURN NULL;
END $$;

CREATE TABLE scans AS SELECT unnest(ARRAY['plain', 'graph', 'auto']) AS scan;
CREATE TABLE conditions (name text, condition text);
INSERT INTO conditions VALUES ('half', 'w < 0.5'), ('a tenth', 'w < 0.1'), ('a hundredth', 'w < 0.01'), ('a thousandth', 'w < 0.001'), ('all', 'w >= 0'), ('none', 'w > 2');

SELECT make_points('vector', 32, 4000, 'clusters') \g /dev/null
INSERT INTO points SELECT i, NULL, noise(9, i) FROM generate_series(4001, 4100) i;
SELECT index_points('vector_l2_ops') \g /dev/null
SELECT is(filter_problem(scan, 'vector_l2_ops', condition, k), NULL, format('%s: vector_l2_ops, %s, LIMIT %s', scan, name, k)) FROM scans, conditions, unnest(ARRAY[1, 10, 100, 10000]) k;
SET hnsw.iterative_scan = relaxed_order;
SELECT is(filter_problem(scan, 'vector_l2_ops', condition, k), NULL, format('%s: relaxed order, %s, LIMIT %s', scan, name, k)) FROM scans, conditions, unnest(ARRAY[10, 10000]) k;
RESET hnsw.iterative_scan;
SET hnsw.ef_search = 5;
SELECT is(filter_problem(scan, 'vector_l2_ops', condition, k), NULL, format('%s: ef_search 5, %s, LIMIT %s', scan, name, k)) FROM scans, conditions, unnest(ARRAY[10, 10000]) k;
RESET hnsw.ef_search;
-- a whole centre, near none of the others
SELECT is(filter_problem(scan, 'vector_l2_ops', 'i % 40 = 7', k), NULL, format('%s: one centre, LIMIT %s', scan, k)) FROM scans, unnest(ARRAY[10, 100]) k;
SELECT index_points('vector_cosine_ops', 'WITH (compact = on)') \g /dev/null
SELECT is(filter_problem(scan, 'vector_cosine_ops', condition, 10), NULL, format('%s: vector_cosine_ops, compact, %s', scan, name)) FROM scans, conditions;
SELECT make_points('bit', 64, 2000, 'uniform') \g /dev/null
SELECT index_points('bit_hamming_ops') \g /dev/null
SELECT is(filter_problem(scan, 'bit_hamming_ops', condition, 10), NULL, format('%s: bit_hamming_ops, %s', scan, name)) FROM scans, conditions;
-- rows of which none is near the query: exactly the nearest of them, where the search of the graph may not go so far
SELECT make_points('vector', 32, 4000, 'clusters') \g /dev/null
CREATE TABLE target AS SELECT v FROM points WHERE i = 1;
-- (by the whole index, or by reading the table, which the custom scan does, too, if the filter may run only once a row)
CREATE FUNCTION far_problem(scan text, opclass text, further text DEFAULT '') RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    op text := operator_of(opclass);
    query text := (SELECT v FROM target);
    beyond float8;
    sql text;
    expected float8[];
    found float8[];
BEGIN
    PERFORM use_scan(scan);
    IF (SELECT indclass[0] FROM pg_index WHERE indexrelid = to_regclass('points_hnsw')) IS DISTINCT FROM (SELECT c.oid FROM pg_opclass c JOIN pg_am a ON a.oid = opcmethod WHERE amname = 'hnsw' AND opcname = opclass) THEN
        PERFORM index_points(opclass);
    END IF;
    EXECUTE format('SELECT percentile_disc(0.99) WITHIN GROUP (ORDER BY v %s %L) FROM points', op, query) INTO beyond;
    sql := format('SELECT v %s %L AS d FROM points WHERE v %s %L > %L::float8 %s ORDER BY v %s %L LIMIT 20', op, query, op, query, beyond, further, op, query);
    PERFORM must_use_index(sql);
    EXECUTE format('SELECT array_agg(d) FROM (%s) q', sql) INTO found;
    SET LOCAL enable_indexscan = off;
    EXECUTE format('SELECT array_agg(d) FROM (%s) q', sql) INTO expected;
    RESET enable_indexscan;
    RETURN CASE WHEN cardinality(found) = 20 AND found = expected THEN NULL ELSE format('%s instead of %s', found, expected) END;
END $$;
SELECT is(far_problem(scan, opclass, further), NULL, format('%s: %s, the farthest rows %s, max_scan_tuples %s', scan, opclass, further, set_config('hnsw.max_scan_tuples', most, false)))
    FROM unnest(ARRAY['', 'AND random() >= 0']) further, unnest(ARRAY['vector_l2_ops', 'vector_ip_ops', 'vector_cosine_ops', 'vector_l1_ops']) opclass, unnest(ARRAY['1', '100', '20000']) most, scans;
SET work_mem = '64kB';
SELECT is(far_problem(scan, 'vector_l2_ops', further), NULL, format('%s: and little memory %s', scan, further)) FROM unnest(ARRAY['', 'AND random() >= 0']) further, scans;
RESET work_mem;
SET hnsw.max_scan_tuples = 100;
SET hnsw.exhaustive_scan = off;
SELECT isnt(far_problem(scan, 'vector_l2_ops'), NULL, scan || ': but not if the whole index may not be read') FROM scans;
RESET hnsw.max_scan_tuples;
-- and by following edges alone as many rows as there are, too
SELECT is(filter_problem(scan, 'vector_l2_ops', condition, 10), NULL, format('%s: without a sweep, %s', scan, name)) FROM scans, conditions WHERE name IN ('a tenth', 'a hundredth');
RESET hnsw.exhaustive_scan;
-- the custom scan checks the filter before the distance, for which a vector is read that is out of line
CREATE TABLE long_rows AS SELECT i, ARRAY(SELECT noise(1, i * 100000::bigint + j) FROM generate_series(1, 1000) j)::vector(1000) AS v FROM generate_series(1, 600) i;
CREATE INDEX long_rows_hnsw ON long_rows USING hnsw (v vector_l2_ops);
ANALYZE long_rows;
CREATE SEQUENCE calls;
CREATE FUNCTION filtered(scan text, condition text, k int) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    plan jsonb;
BEGIN
    PERFORM use_scan(scan);
    EXECUTE format('EXPLAIN (ANALYZE, BUFFERS, FORMAT json) SELECT i FROM long_rows WHERE %s ORDER BY v <-> (SELECT v FROM long_rows WHERE i = 1) LIMIT %s', condition, k) INTO plan;
    plan := jsonb_path_query_first(plan, CASE scan WHEN 'plain' THEN 'strict $.** ? (@."Index Name" == "long_rows_hnsw")' ELSE 'strict $.** ? (@."Index" == "long_rows_hnsw")' END::jsonpath);
    IF plan IS NULL THEN RAISE EXCEPTION 'no scan of the index'; END IF;
    RETURN plan;
END $$;
CREATE TABLE reports AS SELECT scan, filtered(scan, 'i % 50 = 7', 100) AS plan FROM unnest(ARRAY['plain', 'graph', 'exact']) scan;
SELECT cmp_ok(2 * (r.plan ->> 'Shared Hit Blocks')::int, '<', (p.plan ->> 'Shared Hit Blocks')::int, r.scan || ': fewer blocks are read than where the filter is checked after the distance') FROM reports r, reports p WHERE r.scan <> 'plain' AND p.scan = 'plain';
SELECT is((plan ->> 'Distances Computed')::int, 12, scan || ': the distance is computed of rows that pass only') FROM reports WHERE scan <> 'plain';
SELECT is((plan ->> 'Rows Removed by Filter')::int, 588, scan || ': what it removes is counted') FROM reports;
CREATE TABLE volatile AS SELECT scan, setval('calls', 1, false), filtered(scan, 'nextval(''calls'') % 50 = 7', 5) AS plan, nextval('calls') - 1 AS calls FROM unnest(ARRAY['plain', 'graph', 'exact']) scan;
SELECT is(calls::int, CASE scan WHEN 'plain' THEN (plan ->> 'Rows Removed by Filter')::int + 5 ELSE (plan ->> 'Heap Rows Read')::int END, scan || ': a volatile filter runs once for each row') FROM volatile;
SELECT cmp_ok(calls, CASE scan WHEN 'exact' THEN '=' ELSE '<' END, 600::bigint, scan || ': of those that are read') FROM volatile;
-- off: what is among the ef_search nearest, of them only what matches
SET hnsw.iterative_scan = off;
SELECT make_points('vector', 32, 2000, 'clusters') \g /dev/null
SELECT index_points('vector_l2_ops') \g /dev/null
CREATE FUNCTION rows_of(scan text, condition text, k int) RETURNS SETOF int LANGUAGE plpgsql AS
    $$ BEGIN PERFORM use_scan(scan); RETURN QUERY EXECUTE format('SELECT i FROM points WHERE %s ORDER BY v <-> (SELECT v FROM points WHERE i = 1) LIMIT %s', condition, k); END $$;
CREATE TABLE found AS SELECT scan, (SELECT count(*)::int FROM rows_of(scan, condition, 10000)) AS n, condition FROM scans, unnest(ARRAY['true', 'w < 0.1']) condition;
SELECT is(n, 40, scan || ', off: ef_search rows') FROM found WHERE condition = 'true';
SELECT cmp_ok(n, '<', 40, scan || ', off: fewer with a condition') FROM found WHERE condition <> 'true';

SELECT finish();
