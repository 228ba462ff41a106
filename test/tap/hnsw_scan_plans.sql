-- The plans that the custom scan takes part in: which clauses are none of its business, what stands above it where nobody
-- tells it how many rows are wanted, and what it does where the planner guessed wrong.
\ir hnsw_scans.psql
SELECT make_items(3000, 8) \g /dev/null
ALTER TABLE items ADD price float8;
UPDATE items SET price = i;
CREATE INDEX items_a ON items (a);
VACUUM ANALYZE items;
SELECT plan(117);

CREATE FUNCTION shape(plan jsonb) RETURNS text LANGUAGE sql
    RETURN (SELECT string_agg(node #>> '{}', ' > ') FROM jsonb_path_query(plan, 'strict $.**."Node Type"') node);
CREATE FUNCTION shape_of(sql text) RETURNS text LANGUAGE sql SET enable_hashjoin = off SET enable_mergejoin = off SET enable_material = off RETURN shape(plan_by_scan(sql, 'auto'));

-- ------------------------------------------------------------------ clauses that are no radius

-- A plain number compared, a volatile query, a distance between two columns, of another operator class: planned and run as
-- without the index.
CREATE FUNCTION embed(text) RETURNS vector LANGUAGE plpgsql VOLATILE AS $$ BEGIN RETURN '[.5,.5,.5,.5,.5,.5,.5,.5]'; END $$;
CREATE TABLE others AS SELECT * FROM unnest(ARRAY['random() * 100 < 1000', 'price < 50', '50 > price', 'price + random() < 50', 'price * 2 < 50', '1 - price > 0.5', '-price > -9', 'random() < 2', 'price + i < 9', 'sqrt(price) < 9',
    'v <-> embed(''x'') < 1.5', '1.5 > v <-> embed(''x'')', 'v <-> ARRAY[random(),1,1,1,1,1,1,1]::vector < 0.01', 'v <=> embed(''x'') < 0.2', 'v <=> ''[1,1,1,1,1,1,1,1]'' < 0.2', 'v <#> ''[1,1,1,1,1,1,1,1]'' < -0.2', 'v <-> v < 0.2', 'v <-> subvector(v || v, 2, 8) < 1.5']) clause;
SELECT is(problem(format('SELECT i FROM items WHERE %s', clause), 'any', 0, ordered => false), NULL, clause) FROM others;
SELECT is(problem(format('SELECT i FROM items WHERE %s ORDER BY v <-> ''[1,1,1,1,1,1,1,1]'' LIMIT 3', clause), 'any', 0, misses => 1), NULL, 'ordered, ' || clause) FROM others WHERE clause !~ 'random|embed';
SELECT is(problem('SELECT i FROM items WHERE v <-> embed(''x'') < 1.5 ORDER BY v <-> embed(''x'') LIMIT 3', 'any'), NULL, 'a volatile query');
-- (of a partition, nobody asks for the order that its radius implies)
CREATE TABLE parts (LIKE items) PARTITION BY RANGE (i);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (1000);
CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (1000) TO (9000);
INSERT INTO parts SELECT * FROM items;
CREATE INDEX parts_v ON parts USING hnsw (v vector_l2_ops);
ANALYZE parts;
SELECT is(problem(format('SELECT i FROM parts WHERE v <-> ''[.5,.5,.5,.5,.5,.5,.5,.5]'' < 1.2 %s', tail), ordered => tail ~ 'v'), NULL, 'partitions: ' || tail)
    FROM unnest(ARRAY['', 'AND price < 2500', 'ORDER BY price', 'ORDER BY v <-> ''[.5,.5,.5,.5,.5,.5,.5,.5]''', 'ORDER BY v <-> ''[.5,.5,.5,.5,.5,.5,.5,.5]'', i LIMIT 5']) tail;

-- ------------------------------------------------------------------ a radius in no order

-- the index serves a LIMIT, and EXISTS, too
CREATE TABLE unordered AS SELECT * FROM unnest(ARRAY['SELECT i FROM items WHERE v <-> ''[.5,.5,.5,.5,.5,.5,.5,.5]'' < 0.9 LIMIT 10', 'SELECT EXISTS (SELECT FROM items WHERE v <-> ''[.5,.5,.5,.5,.5,.5,.5,.5]'' < 0.9)',
    'SELECT count(*) FROM items WHERE v <-> ''[.5,.5,.5,.5,.5,.5,.5,.5]'' < 0.9', 'SELECT i FROM items WHERE v <-> ''[.5,.5,.5,.5,.5,.5,.5,.5]'' < 0.9 AND price < 1500 LIMIT 3', 'SELECT i FROM (SELECT * FROM items WHERE v <-> ''[.5,.5,.5,.5,.5,.5,.5,.5]'' < 0.9 OFFSET 0) s WHERE price > 5']) sql;
CREATE FUNCTION exact_node(sql text) RETURNS jsonb LANGUAGE sql SET hnsw.scan_strategy = exact RETURN scan_node(sql);
CREATE FUNCTION node_of(sql text) RETURNS jsonb LANGUAGE plpgsql AS $$ BEGIN RETURN scan_node(sql); EXCEPTION WHEN raise_exception THEN RETURN NULL; END $$;
SELECT ok((node ->> 'Nodes Visited')::int BETWEEN 1 AND 500, format('the index serves %s', sql)) FROM unordered, node_of(sql) node;
PREPARE nearby(vector, float8, int) AS SELECT i FROM items WHERE v <-> $1 < $2 LIMIT $3;
SET plan_cache_mode = force_generic_plan;
SELECT ok(node_of('EXECUTE nearby(''[.5,.5,.5,.5,.5,.5,.5,.5]'', 0.9, 10)') IS NOT NULL, 'the index serves a prepared radius');
RESET plan_cache_mode;
-- Of a radius that most rows lie within, the scan soon knows: it reads the table, and sorts nothing.
CREATE TABLE wide AS SELECT radius, node FROM (VALUES (1.8), (2.2), (3), (9)) r (radius), scan_node(format('SELECT i FROM items WHERE v <-> ''[.5,.5,.5,.5,.5,.5,.5,.5]'' < %s', radius)) node;
SELECT ok((node ->> 'Strategy') LIKE '%exact' AND (node ->> 'Nodes Visited')::int < 600 AND (node ->> 'Heap Rows Read')::int <= 3000, format('radius %s: %s', radius, node)) FROM wide;
SELECT is(problem(format('SELECT i FROM items WHERE v <-> ''[.5,.5,.5,.5,.5,.5,.5,.5]'' < %s', radius), ordered => false, misses => 5), NULL, format('radius %s', radius)) FROM wide;
SELECT is(problem(format('SELECT i, a FROM items WHERE v <-> ''[.5,.5,.5,.5,.5,.5,.5,.5]'' < %s AND a < 300', radius), ordered => false, misses => 5), NULL, format('radius %s and a filter', radius)) FROM wide;
-- A filter without an index tells nothing of the radius: the search comes first.
SELECT ok((node ->> 'Strategy') = 'graph' AND (node ->> 'Heap Rows Read')::int < 100, format('%s: %s', sql, node)) FROM unnest(ARRAY['SELECT i FROM items WHERE v <-> ''[.5,.5,.5,.5,.5,.5,.5,.5]'' < 0.7 AND i % 1000 = 3',
    'SELECT i FROM items WHERE v <-> ''[.5,.5,.5,.5,.5,.5,.5,.5]'' < 0.7 AND length(name) = 40 ORDER BY v <-> ''[.5,.5,.5,.5,.5,.5,.5,.5]'' LIMIT 10']) sql, scan_node(sql) node;
-- Groups of rows with a gap around them: the growth of distances within one says nothing of the others.
CREATE TABLE groups AS SELECT i, (SELECT array_agg(i % 60 * 100 + noise(j, i) ORDER BY j) FROM generate_series(1, 8) j)::vector(8) AS v FROM generate_series(1, 12000) i;
CREATE INDEX groups_hnsw ON groups USING hnsw (v vector_l2_ops);
ANALYZE groups;
SELECT ok((node ->> 'Strategy') = 'graph' AND (node ->> 'Actual Rows')::float8 BETWEEN 150 AND 200, format('up to the gap: %s', node)) FROM scan_node('SELECT i FROM groups WHERE v <-> (SELECT v FROM groups WHERE i = 77) < 30') node;
-- Whatever is as cheap to check as a distance is checked before.
SELECT ok((node ->> 'Distances Computed')::int = 3, format('%s: %s', sql, node)) FROM unnest(ARRAY['SELECT i FROM items WHERE v <-> ''[.5,.5,.5,.5,.5,.5,.5,.5]'' < 9 AND i % 1000 = 3', 'SELECT i FROM items WHERE i % 1000 = 3 AND v <-> ''[.5,.5,.5,.5,.5,.5,.5,.5]'' < 9']) sql, exact_node(sql) node;
-- the clauses of a row are checked once, whatever the scan goes over to
CREATE TABLE calls (i int);
CREATE FUNCTION called(i int) RETURNS bool LANGUAGE plpgsql VOLATILE COST 1 AS $$ BEGIN INSERT INTO calls VALUES (i); RETURN true; END $$;
SELECT count(*) FROM items WHERE called(i) AND v <-> '[.5,.5,.5,.5,.5,.5,.5,.5]' < 3 \g /dev/null
SELECT is((SELECT ARRAY[count(*), count(DISTINCT i)] FROM calls), ARRAY[3000, 3000]::bigint[], 'each row is checked once');
-- cursors, while rows are being read
BEGIN;
DECLARE reading CURSOR FOR SELECT i FROM items WHERE v <-> '[.5,.5,.5,.5,.5,.5,.5,.5]' < 3;
FETCH 100 FROM reading \g /dev/null
SAVEPOINT s;
SELECT count(*) FROM items WHERE v <-> '[.5,.5,.5,.5,.5,.5,.5,.5]' < 3 \g /dev/null
ROLLBACK TO s;
SELECT lives_ok('MOVE FORWARD ALL IN reading', 'a cursor goes on reading after a subtransaction');
COMMIT;

-- ------------------------------------------------------------------ reading counts, and evaluates no query in vain

SET hnsw.scan_strategy = exact;
-- Where no row passes, the query is not evaluated: as in a sequential scan.
CREATE FUNCTION fails(text) RETURNS vector LANGUAGE plpgsql STABLE AS $$ BEGIN RAISE EXCEPTION 'evaluated'; END $$;
SELECT is(problem('SELECT i FROM items WHERE a > 5000 ORDER BY v <-> fails(name) LIMIT 1', 'any', 0, strategies => '{exact}'), NULL, 'a query of the row is no order of an index');
SELECT is(problem('SELECT i FROM items WHERE a > 5000 ORDER BY v <-> fails(''x'') LIMIT 1', 'scan', 0, strategies => '{exact}'), NULL, 'no row, no query');
SELECT throws_ok('SELECT i FROM items WHERE a = 7 ORDER BY v <-> fails(''x'') LIMIT 1', 'P0001', 'evaluated', 'a row, a query');
-- rows that are read by a bitmap are counted as fetched
CREATE FUNCTION fetched() RETURNS bigint LANGUAGE sql AS $$ SELECT pg_stat_get_xact_tuples_fetched('items'::regclass) $$;
BEGIN;
CREATE TABLE before AS SELECT fetched() AS n;
SELECT rows_of('SELECT i FROM items WHERE a BETWEEN 7 AND 20 ORDER BY v <-> ''[.5,.5,.5,.5,.5,.5,.5,.5]'' LIMIT 3') \g /dev/null
SELECT ok(fetched() - n >= (SELECT count(*) FROM items WHERE a BETWEEN 7 AND 20), 'rows of the bitmap are counted') FROM before;
COMMIT;
RESET hnsw.scan_strategy;

-- ------------------------------------------------------------------ rows that LIMIT takes of a join

CREATE TABLE prices AS SELECT i AS item, i % 7 AS price FROM items WHERE i % 40 = 3;
ALTER TABLE prices ADD PRIMARY KEY (item);
ANALYZE prices;
CREATE TABLE joins AS SELECT * FROM unnest(ARRAY['ORDER BY v <-> ''[.5,.5,.5,.5,.5,.5,.5,.5]'' LIMIT 10', 'ORDER BY v <-> ''[.5,.5,.5,.5,.5,.5,.5,.5]'' LIMIT 10 OFFSET 60', 'ORDER BY v <-> ''[.5,.5,.5,.5,.5,.5,.5,.5]'', item LIMIT 100', 'ORDER BY v <-> ''[.5,.5,.5,.5,.5,.5,.5,.5]'' FETCH FIRST 9 ROWS WITH TIES',
    'ORDER BY v <-> ''[.5,.5,.5,.5,.5,.5,.5,.5]'' LIMIT 9223372036854775807 OFFSET 3', 'ORDER BY v <-> ''[.5,.5,.5,.5,.5,.5,.5,.5]'' LIMIT (SELECT 7) OFFSET (SELECT 2)', 'ORDER BY v <-> ''[.5,.5,.5,.5,.5,.5,.5,.5]'' LIMIT 12 OFFSET NULL']) tail;
SELECT is(problem('SELECT i, prices.price FROM items JOIN prices ON item = i ' || tail), NULL, 'a join, ' || tail) FROM joins;
SELECT is(shape_of('SELECT i FROM items JOIN prices ON item = i ORDER BY v <-> ''[.5,.5,.5,.5,.5,.5,.5,.5]'' LIMIT 10'), 'Limit > Sort > Limit > Nested Loop > Custom Scan > Index Only Scan', 'what LIMIT takes of a join is sorted');
SELECT is(shape_of('SELECT i FROM items ORDER BY v <-> ''[.5,.5,.5,.5,.5,.5,.5,.5]'' LIMIT 10'), 'Limit > Custom Scan', 'of one table, the scan sorts');
SELECT is(shape_of('SELECT i FROM parts ORDER BY v <-> ''[.5,.5,.5,.5,.5,.5,.5,.5]'' LIMIT 10'), 'Limit > Merge Append > Custom Scan > Custom Scan', 'of each partition, the scan sorts');
-- (a row that is locked, or of which a function makes none, does not count)
SELECT is(shape_of('SELECT i FROM items JOIN prices ON item = i ORDER BY v <-> ''[.5,.5,.5,.5,.5,.5,.5,.5]'' LIMIT 10 FOR UPDATE SKIP LOCKED'), 'Limit > Sort > Limit > LockRows > Nested Loop > Custom Scan > Index Scan', 'rows that are locked are sorted');
SELECT is(shape_of('SELECT i, unnest(tags) FROM items ORDER BY v <-> ''[.5,.5,.5,.5,.5,.5,.5,.5]'' LIMIT 10'), 'Limit > Sort > Limit > ProjectSet > Custom Scan', 'rows that a function makes are sorted');
SELECT is(problem('SELECT i, generate_series(1, i % 3) FROM items WHERE a % 97 = 3 ORDER BY v <-> ''[.5,.5,.5,.5,.5,.5,.5,.5]'', i, 2 LIMIT ' || n), NULL, 'a set-returning function, LIMIT ' || n) FROM unnest(ARRAY[1, 10, 25, 1000]) n;
-- A plain index scan that reorders rows forgets where they are, in some minor releases of the server: is it so with PostgreSQL's own index?
CREATE TABLE circles AS SELECT i, circle(point(i * 37 % 101, i * 53 % 103), i % 11 + 1) AS c FROM generate_series(1, 1000) i;
CREATE INDEX ON circles USING gist (c);
SET enable_seqscan = off;
SET enable_sort = off;
CREATE TEMP TABLE server AS SELECT bool_and(s.t = circles.ctid) AS keeps_ctid FROM (SELECT i, ctid AS t FROM circles ORDER BY c <-> point(50, 50) LIMIT 50) s JOIN circles USING (i);
RESET enable_seqscan;
RESET enable_sort;
SET hnsw.custom_scan = off;
SELECT is(has_order(plan_by_scan(sql, 'auto')), keeps_ctid, 'a plain index scan only where ctid is known, for ' || sql) FROM server, unnest(ARRAY['SELECT i FROM items WHERE ctid <> ''(0,1)'' ORDER BY v <-> ''[.5,.5,.5,.5,.5,.5,.5,.5]'' LIMIT 10', 'SELECT i FROM items ORDER BY v <-> ''[.5,.5,.5,.5,.5,.5,.5,.5]'' LIMIT 10 FOR UPDATE', 'SELECT ctid FROM items ORDER BY v <-> ''[.5,.5,.5,.5,.5,.5,.5,.5]'' LIMIT 10', 'SELECT i FROM parts ORDER BY v <-> ''[.5,.5,.5,.5,.5,.5,.5,.5]'' LIMIT 10 FOR SHARE']) sql;
SELECT is(problem(sql, 'any'), NULL, 'by whatever plan: ' || sql) FROM unnest(ARRAY['SELECT i, ctid FROM items ORDER BY v <-> ''[.5,.5,.5,.5,.5,.5,.5,.5]'' LIMIT 100', 'SELECT i FROM items WHERE ctid <> ''(0,1)'' ORDER BY v <-> ''[.5,.5,.5,.5,.5,.5,.5,.5]'' LIMIT 20', 'SELECT i FROM items ORDER BY v <-> ''[.5,.5,.5,.5,.5,.5,.5,.5]'' LIMIT 10 FOR UPDATE SKIP LOCKED']) sql;
RESET hnsw.custom_scan;
SELECT is(problem(sql), NULL, sql) FROM unnest(ARRAY['SELECT i FROM items ORDER BY v <-> ''[.5,.5,.5,.5,.5,.5,.5,.5]'' LIMIT 10 FOR UPDATE', 'SELECT i, ctid FROM items ORDER BY v <-> ''[.5,.5,.5,.5,.5,.5,.5,.5]'' LIMIT 100']) sql;
SET hnsw.custom_scan = off;
SELECT is(shape_of('SELECT i FROM items ORDER BY v <-> ''[.5,.5,.5,.5,.5,.5,.5,.5]'' LIMIT 10'), 'Limit > Sort > Limit > Index Scan', 'what LIMIT takes of a plain index scan is sorted');
RESET hnsw.custom_scan;
-- A poor graph, and more rows wanted than there are: some are found too late for their places.
CREATE TABLE poor AS SELECT i, v FROM items;
CREATE INDEX poor_hnsw ON poor USING hnsw (v vector_l2_ops) WITH (m = 2, ef_construction = 4);
ANALYZE poor;
-- (The custom scan puts such rows in their places itself, and counts none.)
CREATE FUNCTION late_rows(sql text, OUT queries int, OUT late int, OUT misplaced int) LANGUAGE plpgsql
    SET hnsw.ef_search = 1 SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    found text[];
BEGIN
    queries := 0; late := 0; misplaced := 0;
    FOR q IN 1..30 LOOP
        found := rows_of(replace(sql, '$1', format('(SELECT v FROM items WHERE i = %s)', q)));
        queries := queries + (cardinality(found) > 50)::int;
        late := late + (SELECT (rows_late > 0)::int FROM omendb_last_scan());
        misplaced := misplaced + (found <> (SELECT array_agg(x ORDER BY trim(x, '()')::float8) FROM unnest(found) x))::int;
    END LOOP;
END $$;
SELECT is(l, ROW(30, 0, 0), 'rows found late below a join are in their places') FROM late_rows('SELECT v <-> $1 FROM poor JOIN prices ON item = i ORDER BY 1 LIMIT 500') l;
SET hnsw.custom_scan = off;
CREATE TABLE late AS
    SELECT 'a filter' AS above, l.* FROM late_rows('SELECT v <-> $1 FROM poor WHERE i % 7 = 3 ORDER BY 1 LIMIT 500') l
    UNION ALL SELECT 'a function', l.* FROM late_rows('SELECT v <-> $1 FROM (SELECT v, unnest(ARRAY[i, i + 1]) FROM poor WHERE i % 7 = 3 ORDER BY v <-> $1 LIMIT 2000) s') l;
SELECT is(ROW(queries, misplaced), ROW(30, 0), format('rows that a plain scan found late below %s are in their places', above)) FROM late;
SELECT cmp_ok(late, '>=', 20, format('of 30 plain scans below %s most have late rows', above)) FROM late;
RESET hnsw.custom_scan;

-- ------------------------------------------------------------------ rows without a vector

CREATE TABLE partly AS SELECT i, a, (CASE WHEN i % 20 <> 0 THEN v END)::vector(8) AS v FROM items WHERE i <= 500;
CREATE INDEX partly_hnsw ON partly USING hnsw (v vector_l2_ops);
ANALYZE partly;
-- A forbidden scan costs so much that the planner does not tell a plain index scan from a custom one.
SET enable_indexscan = off;
SELECT is(problem('SELECT i, price FROM partly LEFT JOIN prices ON item = i ORDER BY v <-> ''[.5,.5,.5,.5,.5,.5,.5,.5]'' LIMIT 5000', ordered => false), NULL, 'rows without a vector below a join, index scans forbidden');
SELECT is(problem('SELECT i FROM partly ORDER BY v <-> ''[.5,.5,.5,.5,.5,.5,.5,.5]'' LIMIT 5000', at_least => 500, ordered => false), NULL, 'rows without a vector, index scans forbidden');
RESET enable_indexscan;

-- ------------------------------------------------------------------ changes by a radius

-- What a change returns; it is taken back.
CREATE FUNCTION undone(sql text, scan bool) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
    result text[];
BEGIN
    result := CASE WHEN scan THEN by_scan(sql, 'graph') ELSE by_sort(sql) END;
    RAISE EXCEPTION 'taken back' USING ERRCODE = 'ZZ001';
EXCEPTION WHEN SQLSTATE 'ZZ001' THEN
    RETURN sorted(result);
END $$;
CREATE TABLE made AS SELECT * FROM unnest(ARRAY[
    'DELETE FROM items WHERE v <-> ''[.5,.5,.5,.5,.5,.5,.5,.5]'' < 1 RETURNING i, v <-> ''[.5,.5,.5,.5,.5,.5,.5,.5]'' AS d', 'UPDATE items SET v = v + ''[.1,.1,.1,.1,.1,.1,.1,.1]'', a = a + 1 WHERE v <-> ''[.5,.5,.5,.5,.5,.5,.5,.5]'' < 1 AND a < 300 RETURNING i, a, v',
    'DELETE FROM parts WHERE v <-> ''[.5,.5,.5,.5,.5,.5,.5,.5]'' < 1 RETURNING i, tableoid::regclass', 'UPDATE parts SET i = i + 900 WHERE v <-> ''[.5,.5,.5,.5,.5,.5,.5,.5]'' < 1 AND i < 1500 RETURNING i, tableoid::regclass',
    'DELETE FROM items USING prices WHERE item = i % 3000 AND v <-> ''[.5,.5,.5,.5,.5,.5,.5,.5]'' < 1.2 RETURNING i, item', 'UPDATE items SET a = prices.price FROM prices WHERE item = i AND v <-> ''[.5,.5,.5,.5,.5,.5,.5,.5]'' < 1.2 RETURNING i, a']) sql;
SELECT ok(has_scan(plan_by_scan(sql, 'graph')), 'by a custom scan: ' || sql) FROM made;
SELECT is(undone(sql, true), undone(sql, false), sql) FROM made;
SELECT ok(cardinality(undone(sql, true)) > 0, 'changes something: ' || sql) FROM made;

-- ------------------------------------------------------------------ workers

-- From a worker, core brings home only what every node counts.
SELECT set_config(name, 'on', false) FROM pg_settings WHERE name IN ('force_parallel_mode', 'debug_parallel_query') \g /dev/null
CREATE TABLE explained (plan jsonb);
SET max_parallel_workers_per_gather = 1;
DO $$
DECLARE
    plan jsonb;
BEGIN
    EXECUTE 'EXPLAIN (ANALYZE, TIMING off, FORMAT json) SELECT i FROM items WHERE v <-> ''[.5,.5,.5,.5,.5,.5,.5,.5]'' < 0.9' INTO plan;
    INSERT INTO explained VALUES (plan);
END $$;
SELECT is(shape(plan), 'Gather > Custom Scan', 'a scan in a worker') FROM explained;
SELECT is(plan @? '$.**."Nodes Visited"', false, 'what a worker counts is not shown as zero') FROM explained;
SELECT finish();
