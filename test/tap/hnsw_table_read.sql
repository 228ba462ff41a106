-- A custom scan with a filter that would have to search far reads the table instead: then the rows are those, in the
-- order, that a sort of the table gives, and none that the search found before comes again.
\ir hnsw_data.psql
SET client_min_messages = warning;
SET max_parallel_workers_per_gather = 0;
SET hnsw.max_scan_tuples = 50;
SELECT plan(47);

CREATE TABLE rows (i int PRIMARY KEY, a int, name text, v vector(8)) WITH (fillfactor = 60);
INSERT INTO rows SELECT i, i % 500, 'name ' || i % 500, point FROM (SELECT i, ARRAY(SELECT noise(j, i) FROM generate_series(1, 8) j)::vector(8) AS point FROM generate_series(1, 5000) i) p;
CREATE INDEX rows_v ON rows USING hnsw (v vector_l2_ops);
ANALYZE rows;
CREATE TABLE query AS SELECT array_fill(0.1, ARRAY[8])::vector(8) AS v;

-- The ids that it returns, in order, by the custom scan of the hnsw index or by a sort; how often the first read the table.
CREATE FUNCTION must_use_scan(sql text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    plan jsonb;
BEGIN
    EXECUTE 'EXPLAIN (FORMAT json) ' || sql INTO plan;
    IF NOT plan @? '$.**."Custom Plan Provider" ? (@ == "HnswScan")' THEN RAISE EXCEPTION 'no custom scan: %', plan; END IF;
END $$;
CREATE FUNCTION ids(sql text, by_index bool) RETURNS int[] LANGUAGE plpgsql AS $$
DECLARE
    result int[];
BEGIN
    PERFORM set_config('enable_seqscan', (NOT by_index)::text, true), set_config('enable_bitmapscan', 'off', true),
        set_config('enable_sort', (NOT by_index)::text, true), set_config('enable_indexscan', by_index::text, true);
    IF by_index AND current_setting('hnsw.custom_scan')::bool THEN PERFORM must_use_scan(sql); END IF;
    EXECUTE 'SELECT array_agg(i ORDER BY n) FROM (SELECT i, row_number() OVER () AS n FROM (' || sql || ') a) b' INTO result;
    RETURN result;
END $$;
-- What is wrong with a query's rows; also if the scan begins with a search, which it does where it does not know how
-- many rows pass.
CREATE FUNCTION problem(sql text, reads int DEFAULT 1) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    expected int[] := ids(sql, false);
    uncertain text := regexp_replace(sql, ' WHERE ', ' WHERE i > (SELECT -1) AND ');
    variant text;
    found int[];
    last record;
BEGIN
    IF cardinality(expected) IS NULL THEN RETURN 'no row matches'; END IF;
    FOREACH variant IN ARRAY ARRAY[sql, uncertain] LOOP
        found := ids(variant, true);
        SELECT * FROM omendb_last_scan() INTO last;
        IF found IS DISTINCT FROM expected THEN
            RETURN left(format('%s instead of %s: %s', found, expected, variant), 1000);
        ELSIF last.table_reads <> reads THEN
            RETURN format('the table was read %s times, the index %s: %s', last.table_reads, last.sweeps, variant);
        ELSIF variant <> sql AND last.nodes_visited = 0 THEN
            RETURN format('nothing was searched: %s', variant);
        END IF;
    END LOOP;
    RETURN NULL;
END $$;

SELECT is(problem($$SELECT i FROM rows WHERE a = 7 ORDER BY v <-> '[0,0,0,0,0,0,0,0]' LIMIT 5$$), NULL, 'the nearest few that pass');
SELECT is(problem($$SELECT i FROM rows WHERE a = 7 ORDER BY v <-> '[0,0,0,0,0,0,0,0]' LIMIT 10000$$), NULL, 'all that pass');
SELECT is(problem($$SELECT i FROM rows WHERE name LIKE '%99' ORDER BY v <-> (SELECT v FROM query) LIMIT 10000$$), NULL, 'a query from a table');
SELECT is(problem($$SELECT i FROM rows WHERE a = (SELECT min(a) + 9 FROM rows) ORDER BY v <-> (SELECT v FROM query) LIMIT 10000$$), NULL, 'a filter by a value that is computed once');
SELECT is(problem($$SELECT i FROM rows WHERE tableoid = 'rows'::regclass AND ctid <> '(0,1)' AND rows IS NOT NULL AND a = 7 ORDER BY v <-> (SELECT v FROM query) LIMIT 10000$$), NULL,
          'a filter by system columns and the whole row');
SELECT is(problem($$SELECT i FROM rows WHERE a = 7 AND v <-> '[1,1,1,1,1,1,1,1]' < 3 ORDER BY v <-> '[1,1,1,1,1,1,1,1]' LIMIT 10000$$), NULL, 'a filter by distance');
-- filters that may not run twice a row: rows that the search found are not checked again
SELECT is(problem($$SELECT i FROM rows WHERE a = 7 AND random() >= 0 ORDER BY v <-> (SELECT v FROM query) LIMIT 10000$$), NULL, 'a volatile filter');
SELECT is(problem($$SELECT i FROM rows r WHERE a = (SELECT min(a) + r.a * 0 + 7 FROM rows s WHERE s.i < 600) ORDER BY v <-> (SELECT v FROM query) LIMIT 3$$), NULL, 'a filter by a subquery');
-- without a filter a search goes on with the index
SET hnsw.scan_strategy = graph;
SELECT is(problem($$SELECT i FROM rows ORDER BY v <-> (SELECT v FROM query) LIMIT 1000$$, 0), NULL, 'no filter');
SELECT is(ARRAY[sweeps, table_reads]::int[], '{1,0}', 'for which the table is not read') FROM omendb_last_scan();
RESET hnsw.scan_strategy;
SET hnsw.exhaustive_scan = off;
SELECT isnt(problem($$SELECT i FROM rows WHERE a = 7 ORDER BY v <-> (SELECT v FROM query) LIMIT 10000$$, 0), NULL, 'nor where nothing may be read to its end');
RESET hnsw.exhaustive_scan;
-- without the limit a search goes on until the table is cheaper
SET hnsw.max_scan_tuples = 20000;
SELECT is(problem($$SELECT i FROM rows WHERE a = 7 ORDER BY v <-> (SELECT v FROM query) LIMIT 10000$$), NULL, 'which comes of itself');
SET hnsw.max_scan_tuples = 50;
-- in little memory, of many rows
SET work_mem = '64kB';
SELECT is(problem($$SELECT i FROM rows WHERE a < 100 AND v <-> '[0.1,0.1,0.1,0.1,0.1,0.1,0.1,0.1]' > 1.5 ORDER BY v <-> (SELECT v FROM query) LIMIT 800$$), NULL, 'a sort on disk');
RESET work_mem;

-- parameters: of prepared statements, whatever the plan, of PL/pgSQL, and of outer rows
PREPARE by_number(int) AS SELECT i FROM rows WHERE a = $1 ORDER BY v <-> '[0,0,0,0,0,0,0,0]' LIMIT 10000;
PREPARE by_name(text) AS SELECT i FROM rows WHERE name = $1 || ' ' || $1 OR name = $1 ORDER BY v <-> '[0,0,0,0,0,0,0,0]' LIMIT 10000;
CREATE FUNCTION by_variable(wanted text) RETURNS SETOF int LANGUAGE plpgsql AS $$
DECLARE
    longer text := 'na';
BEGIN
    longer := longer || 'me ' || wanted;
    RETURN QUERY SELECT i FROM rows WHERE name = longer ORDER BY v <-> '[0,0,0,0,0,0,0,0]' LIMIT 10000;
END $$;
CREATE FUNCTION same(sql text, by text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    expected int[] := ids(sql, false);
    found int[];
    n int;
BEGIN
    SET LOCAL enable_seqscan = off;
    SET LOCAL enable_sort = off;
    SET LOCAL enable_indexscan = on;
    found := '{}';
    IF by LIKE 'EXECUTE%' THEN PERFORM must_use_scan(by); END IF;
    FOR n IN EXECUTE by LOOP found := found || n; END LOOP;
    RETURN CASE WHEN found <> expected THEN format('%s instead of %s', found, expected)
                WHEN (SELECT table_reads FROM omendb_last_scan()) <> 1 THEN 'the table was not read' END;
END $$;
SELECT is(same(format($$SELECT i FROM rows WHERE a = %s ORDER BY v <-> '[0,0,0,0,0,0,0,0]' LIMIT 10000$$, n), format('EXECUTE by_number(%s)', n)), NULL,
          format('%s: a number', set_config('plan_cache_mode', mode, false)))
    FROM unnest(ARRAY['force_custom_plan', 'force_generic_plan']) mode, unnest(ARRAY[3, 4]) n;
SELECT is(same(format($$SELECT i FROM rows WHERE name = 'name %s' ORDER BY v <-> '[0,0,0,0,0,0,0,0]' LIMIT 10000$$, n), format('EXECUTE by_name(''name %s'')', n)), NULL,
          format('%s: a text', set_config('plan_cache_mode', mode, false)))
    FROM unnest(ARRAY['force_custom_plan', 'force_generic_plan']) mode, unnest(ARRAY[3, 4]) n;
SELECT is(same(format($$SELECT i FROM rows WHERE name = 'name %s' ORDER BY v <-> '[0,0,0,0,0,0,0,0]' LIMIT 10000$$, n), format('SELECT by_variable(%L)', n)), NULL,
          format('%s: a variable', set_config('plan_cache_mode', mode, false)))
    FROM unnest(ARRAY['force_custom_plan', 'force_generic_plan']) mode, unnest(ARRAY[3, 4]) n;
RESET plan_cache_mode;
SELECT is(problem($$SELECT r.i FROM (VALUES (1, 3), (2, 490), (3, 3), (4, NULL), (5, 12)) x(n, wanted), LATERAL (SELECT i FROM rows WHERE a = wanted ORDER BY v <-> (SELECT v FROM query) LIMIT 4) r$$), NULL,
          'outer rows');

-- rows that change: versions in HOT chains, deleted rows, rows of a transaction that failed
UPDATE rows SET a = a + 1000 WHERE i % 3 = 0;
UPDATE rows SET a = a + 1000 WHERE i % 9 = 0;
SELECT cmp_ok(pg_stat_get_xact_tuples_hot_updated('rows'::regclass) + pg_stat_get_tuples_hot_updated('rows'::regclass), '>', 1000::bigint, 'many updates were HOT');
SELECT is(problem($$SELECT i FROM rows WHERE a % 500 = 7 ORDER BY v <-> (SELECT v FROM query) LIMIT 10000$$), NULL, 'rows that were updated');
SELECT is(problem($$SELECT i FROM rows WHERE a = 2007 ORDER BY v <-> (SELECT v FROM query) LIMIT 10000$$), NULL, 'twice');
DELETE FROM rows WHERE i % 1000 = 7;
BEGIN;
SAVEPOINT before;
INSERT INTO rows SELECT 10000 + i, 7, 'gone', v FROM rows;
DELETE FROM rows WHERE a = 7;
ROLLBACK TO before;
SELECT is(problem($$SELECT i FROM rows WHERE a IN (7, 8) ORDER BY v <-> (SELECT v FROM query) LIMIT 10000$$), NULL, 'rows that were deleted, or never there');
COMMIT;
VACUUM rows;
SELECT is(problem($$SELECT i FROM rows WHERE a IN (7, 8) ORDER BY v <-> (SELECT v FROM query) LIMIT 10000$$), NULL, 'after a vacuum');
UPDATE rows SET v = v + '[0.5,0,0,0,0,0,0,0]' WHERE i % 7 = 0;
SELECT is(problem($$SELECT i FROM rows WHERE a IN (7, 8) ORDER BY v <-> (SELECT v FROM query) LIMIT 10000$$), NULL, 'vectors that were updated');

-- a cursor (below a join, where rows come as they are found) has returned rows before the table is read, and sees the
-- rows as they were when it was opened
CREATE FUNCTION with_cursor() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    sql text := 'SELECT i FROM rows, generate_series(1, 1) WHERE a < (SELECT 100) ORDER BY v <-> (SELECT v FROM query) LIMIT 300';
    expected int[] := ids(sql, false);
    cursor refcursor;
    result int[] := '{}';
    n int;
BEGIN
    SET LOCAL hnsw.ef_search = 200;
    SET LOCAL enable_seqscan = off;
    SET LOCAL enable_sort = off;
    SET LOCAL enable_indexscan = on;
    PERFORM must_use_scan(sql);
    OPEN cursor FOR EXECUTE sql;
    FOR k IN 1 .. 4 LOOP FETCH cursor INTO n; result := result || n; END LOOP;
    UPDATE rows SET a = 100 + a WHERE i % 2 = 0;
    DELETE FROM rows WHERE i % 5 = 0;
    INSERT INTO rows SELECT 20000 + i, 1, 'late', v FROM rows WHERE i < 100;
    LOOP FETCH cursor INTO n; EXIT WHEN n IS NULL; result := result || n; END LOOP;
    CLOSE cursor;
    RETURN CASE WHEN result <> expected THEN format('%s instead of %s', result, expected)
                WHEN (SELECT table_reads FROM omendb_last_scan()) <> 1 THEN 'the table was not read' END;
END $$;
SELECT is(with_cursor(), NULL, 'a cursor');

-- what an index does not have
INSERT INTO rows SELECT 30000 + i, 77, 'null', NULL FROM generate_series(1, 5) i;
SELECT is(problem($$SELECT i FROM rows WHERE a = 77 AND v IS NOT NULL ORDER BY v <-> (SELECT v FROM query) LIMIT 10000$$), NULL, 'a filter that nulls do not pass');
CREATE FUNCTION last_five(list int[]) RETURNS int[] LANGUAGE sql RETURN (SELECT array_agg(i ORDER BY i) FROM unnest(list[cardinality(list) - 4:]) i);
CREATE TABLE lists AS SELECT ids(sql, true) AS found, ids(sql, false) AS expected FROM (VALUES ($$SELECT i FROM rows WHERE a = 77 ORDER BY v <-> (SELECT v FROM query) LIMIT 10000$$)) x(sql);
SELECT is(trim_array(found, 5), trim_array(expected, 5), 'nulls that pass: the others come first') FROM lists;
SELECT is(last_five(found), ARRAY[30001, 30002, 30003, 30004, 30005], 'nulls come last') FROM lists;
SET hnsw.custom_scan = off;
SELECT is((SELECT count(*)::int FROM unnest(ids($$SELECT i FROM rows WHERE a = 77 ORDER BY v <-> (SELECT v FROM query) LIMIT 10000$$, true)) i WHERE i > 30000), 0, 'by a plain index scan they do not come');
RESET hnsw.custom_scan;
DROP INDEX rows_v;
CREATE INDEX rows_v ON rows USING hnsw (v vector_cosine_ops);
INSERT INTO rows SELECT 40000 + i, 81, 'zero', array_fill(0, ARRAY[8])::vector FROM generate_series(1, 5) i;
SELECT is(problem($$SELECT i FROM rows WHERE a = 81 AND v <> '[0,0,0,0,0,0,0,0]' ORDER BY v <=> (SELECT v FROM query) LIMIT 10000$$), NULL, 'cosine: a filter that zeros do not pass');
TRUNCATE lists;
INSERT INTO lists SELECT ids(sql, true) AS found, ids(sql, false) AS expected FROM (VALUES ($$SELECT i FROM rows WHERE a = 81 ORDER BY v <=> (SELECT v FROM query) LIMIT 10000$$)) x(sql);
SELECT is(trim_array(found, 5), trim_array(expected, 5), 'zeros that pass: the others come first') FROM lists;
SELECT is(last_five(found), ARRAY[40001, 40002, 40003, 40004, 40005], 'zeros come last') FROM lists;
SET hnsw.custom_scan = off;
SELECT is((SELECT count(*)::int FROM unnest(ids($$SELECT i FROM rows WHERE a = 81 ORDER BY v <=> (SELECT v FROM query) LIMIT 10000$$, true)) i WHERE i > 40000), 0, 'by a plain index scan they do not come');
RESET hnsw.custom_scan;
-- rows of equal vectors, more than a node's record holds
INSERT INTO rows SELECT 50000 + i, i % 2, 'equal', array_fill(1, ARRAY[8])::vector FROM generate_series(1, 500) i;
SELECT is((SELECT ARRAY[count(*), count(DISTINCT i)]::int[] FROM unnest(ids($$SELECT i FROM rows WHERE name = 'equal' OR a = 300 ORDER BY v <=> '[1,1,1,1,1,1,1,1]' LIMIT 10000$$, true)) i),
          (SELECT ARRAY[count(*), count(*)]::int[] FROM rows WHERE name = 'equal' OR a = 300), 'each of many equal rows comes once');
DROP INDEX rows_v;
-- partial indexes, and indexes of expressions
CREATE INDEX rows_v ON rows USING hnsw (v vector_l2_ops) WHERE i % 2 = 1;
SELECT is(problem($$SELECT i FROM rows WHERE i % 2 = 1 AND a < 5 AND name NOT IN ('equal', 'late') ORDER BY v <-> (SELECT v FROM query) LIMIT 10000$$), NULL, 'a partial index, and a filter beside its own');
DROP INDEX rows_v;
CREATE INDEX rows_v ON rows USING hnsw ((v::halfvec(8)) halfvec_l2_ops);
ANALYZE rows;
SELECT is(problem($$SELECT i FROM rows WHERE a BETWEEN 5 AND 9 ORDER BY v::halfvec(8) <-> '[0.1,0.1,0.1,0.1,0.1,0.1,0.1,0.1]' LIMIT 10000$$), NULL, 'an index of an expression');
DROP INDEX rows_v;

-- relaxed order: every row once
CREATE INDEX rows_v ON rows USING hnsw (v vector_l2_ops);
SET hnsw.iterative_scan = relaxed_order;
SELECT is((SELECT array_agg(i ORDER BY i) FROM unnest(ids($$SELECT i FROM rows WHERE a = 7 ORDER BY v <-> (SELECT v FROM query) LIMIT 10000$$, true)) i),
          (SELECT array_agg(i ORDER BY i) FROM rows WHERE a = 7), 'relaxed order');
RESET hnsw.iterative_scan;
-- row security is a filter
CREATE ROLE omendb_reader;
GRANT SELECT ON rows, query TO omendb_reader;
ALTER TABLE rows ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON rows FOR SELECT TO omendb_reader USING (name = 'name 8' AND current_user = 'omendb_reader');
SET ROLE omendb_reader;
SELECT is(problem($$SELECT i FROM rows ORDER BY v <-> (SELECT v FROM query) LIMIT 10000$$), NULL, 'row security');
RESET ROLE;
ALTER TABLE rows DISABLE ROW LEVEL SECURITY;
DROP OWNED BY omendb_reader;
DROP ROLE omendb_reader;
-- partitions are scans of their own
CREATE TABLE parted (i int, a int, v vector(8)) PARTITION BY RANGE (i);
CREATE TABLE parted1 PARTITION OF parted FOR VALUES FROM (0) TO (2500);
CREATE TABLE parted2 PARTITION OF parted FOR VALUES FROM (2500) TO (100000);
INSERT INTO parted SELECT i, a, v FROM rows WHERE name <> 'equal';
CREATE INDEX ON parted USING hnsw (v vector_l2_ops);
ANALYZE parted;
SELECT is(problem($$SELECT i FROM parted WHERE a = 9 ORDER BY v <-> '[0,0,0,0,0,0,0,0]' LIMIT 10000$$), NULL, 'partitions');

SELECT finish();
