-- The custom scan of an hnsw index is a scan as others are: it evaluates the plan's own expressions, when they are
-- needed and with the values that they then have; EXPLAIN shows it; cursors, subtransactions and changes of the table
-- do to it what they do to any other.
\ir hnsw_scans.psql
SET hnsw.ef_search = 400;
SELECT plan(276);

SELECT make_items(3000, 8) \g /dev/null
CREATE INDEX items_a ON items (a);
CREATE INDEX items_name ON items (name);
CREATE TABLE query AS SELECT array_fill(0.1, ARRAY[8])::vector(8) AS v;

-- ------------------------------------------------------------------ settings

SELECT is(current_setting('hnsw.custom_scan'), 'on', 'the default is on');
SELECT is(current_setting('hnsw.scan_strategy'), 'auto', 'the default is auto');
SELECT throws_ok($$SET hnsw.scan_strategy = 'quick'$$, '22023', NULL, 'there is no such strategy');
SELECT ok(has_scan(plan_by_scan(sql, 'auto')), 'on: ' || sql) FROM (VALUES ($$SELECT i FROM items ORDER BY v <-> '[0,0,0,0,0,0,0,0]' LIMIT 3$$)) x(sql);
SET hnsw.custom_scan = off;
SELECT ok(NOT has_scan(plan_by_scan(sql, strategy)), strategy || ', off: ' || sql)
    FROM unnest(ARRAY['auto', 'bitmap']) strategy, (VALUES ($$SELECT i FROM items WHERE a = 7 ORDER BY v <-> '[0,0,0,0,0,0,0,0]' LIMIT 3$$), ($$SELECT i FROM items WHERE v <-> '[0,0,0,0,0,0,0,0]' < 1$$)) x(sql);
RESET hnsw.custom_scan;

-- ------------------------------------------------------------------ EXPLAIN

CREATE FUNCTION explained(options text, sql text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    line text;
    result text := '';
BEGIN
    FOR line IN EXECUTE format('EXPLAIN (%s) %s', options, sql) LOOP result := result || line || E'\n'; END LOOP;
    RETURN result;
END $$;
SET enable_seqscan = off;
SET enable_sort = off;
CREATE TABLE texts AS SELECT explained('COSTS off', sql) AS plan, explained('ANALYZE, COSTS off, TIMING off, SUMMARY off', sql) AS run
    FROM (VALUES ($$SELECT i FROM items WHERE b ORDER BY v <-> '[0,0,0,0,0,0,0,0]' LIMIT 3$$)) x(sql);
SELECT alike(plan, E'%Custom Scan (HnswScan) on items\n%', 'text: the node and its table') FROM texts;
SELECT matches(plan, '\n +Index: items_hnsw\n', 'text: the index') FROM texts;
SELECT matches(plan, '\n +Order By: \(v <-> ''\[0,0,0,0,0,0,0,0\]''::vector\)\n', 'text: the order') FROM texts;
SELECT matches(plan, '\n +Filter: b\n', 'text: the filter') FROM texts;
SELECT matches(plan, '\n +Strategy: (graph|exact)\n', 'text: the strategy') FROM texts;
SELECT doesnt_match(plan, 'Nodes Visited|Members Visited|Heap Rows Read|Distances Computed|Rows Removed', 'text: no numbers of what did not run') FROM texts;
SELECT matches(run, format(E'\n +%s: \\d+\n', name), 'text, after it ran: ' || name) FROM texts, unnest(ARRAY['Nodes Visited', 'Heap Rows Read', 'Distances Computed', 'Rows Removed by Filter']) name;

SET hnsw.scan_strategy = graph;
CREATE TABLE graph AS SELECT scan_node($$SELECT i FROM items WHERE b ORDER BY v <-> '[0,0,0,0,0,0,0,0]' LIMIT 3$$) AS plan;
SET hnsw.scan_strategy = bitmap;
CREATE TABLE bitmap AS SELECT scan_node($$SELECT i FROM items WHERE a BETWEEN 5 AND 60 ORDER BY v <-> '[0,0,0,0,0,0,0,0]' LIMIT 3$$) AS plan;
CREATE TABLE both_bitmaps AS SELECT scan_node($$SELECT i FROM items WHERE a BETWEEN 5 AND 60 AND i BETWEEN 100 AND 400 AND (a < 30 OR name = 'name 7') ORDER BY v <-> '[0,0,0,0,0,0,0,0]' LIMIT 3$$) AS plan;
SET hnsw.scan_strategy = exact;
CREATE TABLE exact AS SELECT scan_node($$SELECT i FROM items WHERE b ORDER BY v <-> '[0,0,0,0,0,0,0,0]' LIMIT 3$$) AS plan;
CREATE TABLE exact_bitmap AS SELECT scan_node($$SELECT i FROM items WHERE a = 7 AND b IS NOT NULL ORDER BY v <-> '[0,0,0,0,0,0,0,0]' LIMIT 3$$) AS plan;
RESET hnsw.scan_strategy;
RESET enable_seqscan;
RESET enable_sort;
SELECT is(plan ->> 'Node Type', 'Custom Scan', 'JSON: the node') FROM graph;
SELECT is(plan ->> 'Relation Name', 'items', 'JSON: its table') FROM graph;
SELECT is(plan ->> 'Index', 'items_hnsw', 'JSON: the index') FROM graph;
SELECT is(plan ->> 'Order By', '(v <-> ''[0,0,0,0,0,0,0,0]''::vector)', 'JSON: the order') FROM graph;
SELECT is(plan ->> 'Filter', 'b', 'JSON: the filter') FROM graph;
SELECT is(plan ->> 'Strategy', 'graph', 'JSON: the strategy') FROM graph;
SELECT is(jsonb_typeof(plan -> name), 'number', 'JSON: ' || name) FROM graph, unnest(ARRAY['Nodes Visited', 'Heap Rows Read', 'Distances Computed', 'Rows Removed by Filter']) name;
SELECT cmp_ok((plan ->> 'Nodes Visited')::int, '>=', 3, 'nodes were visited') FROM graph;
-- (the three that pass, and those that do not)
SELECT cmp_ok((plan ->> 'Heap Rows Read')::int, '>=', 3 + (plan ->> 'Rows Removed by Filter')::int, 'a row that is removed was read') FROM graph;
SELECT is((plan ->> 'Actual Rows')::float8, 3.0::float8, 'rows returned') FROM graph;
SELECT is(plan ->> 'Strategy', 'bitmap', 'bitmap: the strategy') FROM bitmap;
SELECT is(plan #>> '{Plans,0,Node Type}', 'Bitmap Index Scan', 'bitmap: made by the node below') FROM bitmap;
SELECT is(plan #>> '{Plans,0,Index Name}', 'items_a', 'bitmap: of the index of the filter') FROM bitmap;
SELECT cmp_ok((plan ->> 'Members Visited')::int, '>=', 3, 'bitmap: members were visited') FROM bitmap;
SELECT cmp_ok((plan ->> 'Members Visited')::int, '<=', (SELECT count(*)::int FROM items WHERE a BETWEEN 5 AND 60), 'bitmap: not more than there are') FROM bitmap;
SELECT cmp_ok((plan ->> 'Heap Rows Read')::int, '<=', (plan ->> 'Members Visited')::int, 'bitmap: of no other row') FROM bitmap;
SELECT is(plan #>> '{Plans,0,Node Type}', 'BitmapAnd', 'bitmap: of two indexes') FROM both_bitmaps;
SELECT ok(plan @? '$.**."Node Type" ? (@ == "BitmapOr")', 'bitmap: and of two conditions') FROM both_bitmaps;
SELECT is(plan ->> 'Strategy', 'exact', 'exact: the strategy') FROM exact;
SELECT is((plan ->> 'Rows Removed by Filter')::int, (SELECT count(*)::int FROM items WHERE b IS NOT TRUE), 'exact: rows removed') FROM exact;
SELECT is((plan ->> 'Heap Rows Read')::int, 3000, 'exact: without an index every row is read') FROM exact;
SELECT is((plan ->> 'Distances Computed')::int, (SELECT count(*)::int FROM items WHERE b), 'exact: distances of those that pass') FROM exact;
SELECT is(plan #>> '{Plans,0,Index Name}', 'items_a', 'exact: with one, its rows') FROM exact_bitmap;
SELECT is((plan ->> 'Heap Rows Read')::int, (SELECT count(*)::int FROM items WHERE a = 7), 'exact: and no more') FROM exact_bitmap;
-- a scan that never runs
SELECT is(scan_node($$SELECT i FROM items WHERE (SELECT false) AND v <-> '[0,0,0,0,0,0,0,0]' < 1$$) ->> 'Actual Loops', '0', 'never executed');

-- ------------------------------------------------------------------ values with the type that they have (case 01)

-- A variable of another type than when the statement was prepared: the executor's error, for it would take the value
-- for what it is not.
CREATE FUNCTION by_variable(which text, numbers int[]) RETURNS SETOF int LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    n int;
    r record;
BEGIN
    FOREACH n IN ARRAY numbers LOOP
        IF n = 1 THEN SELECT 'name 7'::text AS name, '[0,0,0,0,0,0,0,0]'::vector AS v, 0.7::float8 AS radius, 5::bigint AS rows INTO r;
        ELSE SELECT 7 AS name, 4::bigint AS v, '[1,2]'::vector AS radius, 'many'::text AS rows INTO r;
        END IF;
        IF which = 'filter' THEN RETURN QUERY SELECT i FROM items WHERE name = r.name ORDER BY v <-> '[0,0,0,0,0,0,0,0]' LIMIT 5;
        ELSIF which = 'filter by function' THEN RETURN QUERY SELECT i FROM items WHERE upper(name) = upper(r.name) ORDER BY v <-> '[0,0,0,0,0,0,0,0]' LIMIT 5;
        ELSIF which = 'query' THEN RETURN QUERY SELECT i FROM items ORDER BY v <-> r.v LIMIT 5;
        ELSIF which = 'query and filter' THEN RETURN QUERY SELECT i FROM items WHERE a = 7 ORDER BY v <-> r.v LIMIT 5;
        ELSIF which = 'radius' THEN RETURN QUERY SELECT i FROM items WHERE v <-> '[0,0,0,0,0,0,0,0]' < r.radius;
        ELSIF which = 'centre' THEN RETURN QUERY SELECT i FROM items WHERE v <-> r.v < 0.7;
        ELSIF which = 'limit' THEN RETURN QUERY SELECT i FROM items ORDER BY v <-> '[0,0,0,0,0,0,0,0]' LIMIT r.rows;
        END IF;
    END LOOP;
END $$;
CREATE TABLE places AS SELECT * FROM unnest(ARRAY['filter', 'filter by function', 'query', 'query and filter', 'radius', 'centre', 'limit']) place;
SELECT is(problem(format('SELECT by_variable(%L, ARRAY[1, 1])', place), 'any', ordered => false), NULL, place || ': the type of the statement') FROM places;
SELECT mark() \g /dev/null
SELECT is(cardinality(by_scan($$SELECT by_variable('filter', ARRAY[1, 1])$$, 'graph')), 10, 'a statement of a function');
SELECT ok(scanned(), 'uses the index');
SELECT is(outcomes(format('SELECT by_variable(%L, ARRAY[1, 1, 2])', place)), ARRAY['42804', '42804', '42804', '42804'], place || ': another type') FROM places;
-- where no row has to be looked at, nothing need be said
CREATE TABLE kept AS SELECT * FROM items;
DELETE FROM items;
SELECT is(array_remove(array_remove(outcomes(format('SELECT by_variable(%L, ARRAY[1, 1, 2])', place)), '42804'), '0 rows'), '{}', place || ': another type, no row is alive') FROM places;
INSERT INTO items SELECT * FROM kept;
VACUUM ANALYZE items;

-- ------------------------------------------------------------------ the plan's own filter (case 02)

CREATE TABLE zero AS SELECT 0 AS n, v AS q FROM query;
CREATE FUNCTION fails(int) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RAISE EXCEPTION 'evaluated'; END $$;
CREATE FUNCTION one_over(int) RETURNS int LANGUAGE sql IMMUTABLE RETURN 1 / $1;
-- what protects, for every row
CREATE TABLE guards AS SELECT * FROM unnest(ARRAY['CASE WHEN a > 1000 THEN 100 / %s ELSE 1 END >= 1', 'coalesce(a, i, 100 / %s) < 20', '(a < 1000 OR 100 / %s > 0)', 'NOT (a > 1000 AND 100 / %s > 0)',
    'CASE a WHEN -1 THEN one_over(%s) > 1 ELSE true END', 'CASE WHEN a > 1000 THEN fails(%s) ELSE true END', 'CASE WHEN name = ''none'' THEN (100 / %s) IS NULL WHEN a > 1000 THEN fails(%1$s) ELSE b END']) guard;
SELECT is(problem(format('SELECT r.i FROM zero z, LATERAL (SELECT i FROM items WHERE a < 20 AND %s ORDER BY v <-> z.q LIMIT 10) r', format(guard, 'z.n'))), NULL, 'an outer value: ' || guard) FROM guards;
SELECT is(problem(format('SELECT i FROM items WHERE a < 20 AND %s ORDER BY v <-> (SELECT q FROM zero) LIMIT 10', format(guard, '(SELECT n FROM zero)'))), NULL, 'a subquery: ' || guard) FROM guards;
PREPARE guarded(int, vector) AS SELECT i FROM items WHERE a < 20 AND CASE WHEN a > 1000 THEN 100 / $1 ELSE 1 END >= 1 AND CASE WHEN a > 1000 THEN fails($1) ELSE true END ORDER BY v <-> $2 LIMIT 10;
SET plan_cache_mode = force_generic_plan;
SELECT is(problem($$EXECUTE guarded(0, '[0,0,0,0,0,0,0,0]')$$, same_as => $$SELECT i FROM items WHERE a < 20 ORDER BY v <-> '[0,0,0,0,0,0,0,0]' LIMIT 10$$), NULL, 'a parameter');
RESET plan_cache_mode;
-- and where it does not protect, all of them fail
SELECT is(outcomes($$SELECT i FROM items WHERE a < 20 AND 100 / (SELECT n FROM zero) > 0 ORDER BY v <-> (SELECT q FROM zero) LIMIT 10$$), ARRAY['22012', '22012', '22012', '22012'], 'a division that is needed');

-- ------------------------------------------------------------------ what is evaluated when it is needed (case 03)

CREATE TABLE two (n int PRIMARY KEY);
INSERT INTO two VALUES (1), (2);
CREATE SEQUENCE never;
CREATE SEQUENCE once;
SELECT is(problem(format($$SELECT i FROM items WHERE a = 7 AND CASE WHEN a > 1000 THEN %s ELSE 1 END = 1 ORDER BY v <-> '[0,0,0,0,0,0,0,0]' LIMIT 3$$, subquery), at_least => 3), NULL, 'not needed: ' || subquery)
    FROM unnest(ARRAY['(SELECT n FROM two)', '(SELECT n FROM two WHERE n > items.a - 2000)', '(SELECT nextval(''never''))', 'nextval(''never'')']) subquery;
SELECT is(is_called, false, 'nor called for') FROM never;
SELECT is(problem(format($$SELECT i FROM items WHERE %s ORDER BY v <-> (SELECT v FROM query) LIMIT 5$$, condition)), NULL, condition)
    FROM unnest(ARRAY['a = (SELECT min(n) + 6 FROM two)', 'a IN (SELECT n + 6 FROM two)', 'EXISTS (SELECT FROM two WHERE n = items.a % 9)', 'a NOT IN (SELECT n + 490 FROM two) AND a > 480',
        'a = ANY (ARRAY(SELECT n + 20 FROM two))', '(SELECT true) AND a = 7', 'a = (SELECT max(n) FROM two WHERE n < items.a + 2)']) condition;
SELECT is(cardinality(by_scan($$SELECT i FROM items WHERE a < 9 AND i > (SELECT nextval('once')) ORDER BY v <-> (SELECT v FROM query) LIMIT 5$$, strategy)), 5, strategy || ': a subquery that is evaluated') FROM unnest(strategies()) strategy;
SELECT is(last_value, 4::bigint, 'once a statement') FROM once;

-- ------------------------------------------------------------------ whose privileges (case 04)

CREATE ROLE omendb_owner;
CREATE ROLE omendb_reader;
GRANT CREATE, USAGE ON SCHEMA public TO omendb_owner;
SET ROLE omendb_owner;
CREATE TABLE owned (i int, a int, v vector(2)) WITH (autovacuum_enabled = off);
INSERT INTO owned SELECT i, i % 500, ARRAY[i, i] FROM generate_series(1, 5000) i;
CREATE INDEX owned_hnsw ON owned USING hnsw (v vector_l2_ops);
CREATE INDEX owned_a ON owned (a);
ANALYZE owned;
CREATE FUNCTION secret(int) RETURNS bool LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN $1 = 7; END $$;
REVOKE ALL ON FUNCTION secret(int) FROM public;
-- the strategy is that of the caller
CREATE FUNCTION open_secretly(condition text) RETURNS refcursor LANGUAGE plpgsql SECURITY DEFINER SET enable_seqscan = off SET enable_sort = off AS $$
DECLARE
    c refcursor := 'secretly';
BEGIN
    OPEN c FOR EXECUTE format('SELECT i FROM owned WHERE %s ORDER BY v <-> ''[0,0]'' LIMIT 5', condition);
    RETURN c;
END $$;
RESET ROLE;
CREATE FUNCTION fetched(c refcursor, n int DEFAULT NULL) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE
    row record;
    result text[] := '{}';
BEGIN
    WHILE n IS NULL OR cardinality(result) < n LOOP
        FETCH c INTO row;
        EXIT WHEN NOT FOUND;
        result := result || row::text;
    END LOOP;
    RETURN result;
END $$;
CREATE FUNCTION fetched_of(condition text, strategy text) RETURNS text[] LANGUAGE plpgsql SET hnsw.scan_strategy = auto AS $$
DECLARE
    c refcursor;
    result text[];
BEGIN
    PERFORM set_config('hnsw.scan_strategy', strategy, true);
    c := open_secretly(condition);
    result := fetched(c);
    CLOSE c;
    RETURN result;
END $$;
SET ROLE omendb_reader;
SELECT is(fetched_of('secret(a)', strategy), ARRAY['(7)', '(507)', '(1007)', '(1507)', '(2007)'], strategy || ': a function that the owner may call') FROM unnest(strategies()) strategy;
SELECT is(fetched_of('a = 7 AND secret(a)', strategy), ARRAY['(7)', '(507)', '(1007)', '(1507)', '(2007)'], strategy || ': and an index') FROM unnest(strategies()) strategy;
SELECT throws_ok($$SELECT i FROM owned$$, '42501', NULL, 'a table that the reader may not read');
SELECT throws_ok($$SELECT secret(7)$$, '42501', NULL, 'a function that the reader may not call');
RESET ROLE;
SET ROLE omendb_owner;
GRANT SELECT (i, v) ON owned TO omendb_reader;
RESET ROLE;
SET ROLE omendb_reader;
SELECT is(problem($$SELECT i FROM owned ORDER BY v <-> '[0,0]' LIMIT 3$$), NULL, 'columns that the reader may read');
SELECT is(outcomes($$SELECT i FROM owned WHERE a = 7 ORDER BY v <-> '[0,0]' LIMIT 3$$), ARRAY['42501', '42501', '42501', '42501'], 'and one that it may not');
RESET ROLE;
DROP OWNED BY omendb_owner, omendb_reader;
DROP ROLE omendb_owner, omendb_reader;

-- ------------------------------------------------------------------ parameters

PREPARE by_all(vector, int, float8, bigint) AS SELECT i FROM items WHERE a > $2 AND v <-> $1 < $3 ORDER BY v <-> $1 LIMIT $4;
CREATE TABLE arguments AS SELECT * FROM (VALUES ('480', '0.9', '5'), ('10', '1.2', 'NULL'), ('NULL', '1', '5'), ('10', 'NULL', '5'), ('490', '0.8', '0')) x(a, radius, n);
CREATE FUNCTION by_all_problem(arguments) RETURNS text LANGUAGE sql RETURN problem(format($$EXECUTE by_all('[0,0,0,0,0,0,0,0]', %s, %s, %s)$$, $1.a, $1.radius, $1.n), CASE WHEN 'NULL' IN ($1.a, $1.radius) THEN 'any' ELSE 'scan' END, 0,
    same_as => format($$SELECT i FROM items WHERE a > %s AND v <-> '[0,0,0,0,0,0,0,0]' < %s ORDER BY v <-> '[0,0,0,0,0,0,0,0]' LIMIT %s$$, $1.a, $1.radius, $1.n));
SET plan_cache_mode = force_generic_plan;
SELECT is(by_all_problem(arguments), NULL, format('generic plan: %s', arguments)) FROM arguments;
SET plan_cache_mode = force_custom_plan;
SELECT is(by_all_problem(arguments), NULL, format('plan for the values: %s', arguments)) FROM arguments;
RESET plan_cache_mode;
DEALLOCATE by_all;
-- outer rows: a scan begins anew for each, with other values of everything
CREATE TABLE outer_rows (n int, wanted int, q vector(8), radius float8, few int);
INSERT INTO outer_rows SELECT n, CASE WHEN n % 5 > 0 THEN n * 7 END, (SELECT v FROM items WHERE i = n * 11), CASE WHEN n % 6 > 0 THEN 0.1 * n END, n % 9 FROM generate_series(1, 20) n;
ANALYZE outer_rows;
SELECT is(problem(format('SELECT n, r.* FROM outer_rows o, LATERAL (SELECT i, v <-> q AS d FROM items WHERE %s ORDER BY v <-> %s LIMIT %s) r', condition, query, few), ordered => false), NULL, format('outer rows: %s, %s, %s', condition, query, few))
    FROM (VALUES ('a = wanted', 'q', '4'), ('true', 'q', 'few'), ('a > wanted', '(SELECT v FROM query)', '4'), ('v <-> q < radius', 'q', 'few'), ('b AND a < wanted AND v <-> q < radius', 'q', 'few + 1'),
        ('a IN (wanted, n)', 'q', '2'), ('a = ANY (ARRAY[wanted, n, n + 1]) OR name = ''name '' || n', 'q', '3')) x(condition, query, few);
SELECT is(problem('SELECT n, (SELECT i FROM items WHERE a > wanted ORDER BY v <-> q LIMIT 1) FROM outer_rows', ordered => false), NULL, 'a subquery of each row');
SELECT is(problem('SELECT n, ARRAY(SELECT i FROM items WHERE v <-> q < radius AND a > n ORDER BY v <-> q LIMIT 3) FROM outer_rows', ordered => false), NULL, 'an array of each row');
SELECT is(problem('SELECT n, s.i, r.i FROM outer_rows o, LATERAL (SELECT i, v FROM items ORDER BY v <-> q LIMIT 2) r, LATERAL (SELECT i FROM items WHERE i <> r.i AND a > 9 ORDER BY v <-> r.v LIMIT 3) s', ordered => false), NULL, 'scans of scans'' rows');

-- a query that is null is as far from one row as from another
SELECT is(cardinality(by_scan(sql, strategy)), 20, format('%s, a query that is null: %s', strategy, sql)) FROM unnest(strategies()) strategy,
    unnest(ARRAY['SELECT i FROM items WHERE a < 20 ORDER BY v <-> (SELECT NULL::vector) LIMIT 20', 'SELECT n, r.i FROM outer_rows, LATERAL (SELECT i FROM items WHERE a < 20 AND n < 6 ORDER BY v <-> nullif(q, q) LIMIT 4) r']) sql;

-- ------------------------------------------------------------------ cursors

-- What is wrong with the rows that cursors of a query return, whatever is done between; of which nothing remains.
CREATE FUNCTION with_cursor(sql text, strategy text, kind text) RETURNS text LANGUAGE plpgsql SET enable_seqscan = off SET enable_sort = off SET hnsw.scan_strategy = auto AS $$
DECLARE
    expected text[] := by_sort(sql);
    c refcursor := 'c1';
    d refcursor := 'c2';
    row record;
    found text[] := '{}';
    other text[] := '{}';
BEGIN
    PERFORM set_config('hnsw.scan_strategy', strategy, true);
    BEGIN
        IF NOT has_scan(plan_by_scan(sql, strategy)) THEN
            RAISE EXCEPTION 'no custom scan';
        ELSIF kind = 'two by turns' THEN
            OPEN c FOR EXECUTE sql;
            OPEN d FOR EXECUTE sql;
            FOR k IN 1 .. cardinality(expected) + 1 LOOP
                found := found || fetched(c, 1 + k % 3);
                other := other || fetched(d, k % 2);
            END LOOP;
            other := other || fetched(d);
            IF other <> expected THEN RAISE EXCEPTION 'the second: % instead of %', other, expected; END IF;
        ELSIF kind = 'backward' THEN
            OPEN c SCROLL FOR EXECUTE sql;
            PERFORM fetched(c, 5);
            FOR k IN 1 .. 3 LOOP
                FETCH PRIOR FROM c INTO row;
                IF row::text <> expected[5 - k] THEN RAISE EXCEPTION '% before %', row, expected[6 - k]; END IF;
            END LOOP;
            MOVE FIRST FROM c;
            FETCH RELATIVE 0 FROM c INTO row;
            found := row::text || fetched(c);
        ELSIF kind = 'changes' THEN
            OPEN c FOR EXECUTE sql;
            found := fetched(c, 3);
            UPDATE items SET a = 1000 + a WHERE i % 2 = 0;
            DELETE FROM items WHERE i % 5 = 0;
            UPDATE items SET v = v + '[9,9,9,9,9,9,9,9]' WHERE i % 3 = 0;
            INSERT INTO items SELECT 10000 + i, a, b, name, tags, words, v FROM items WHERE i < 300;
            found := found || fetched(c);
        ELSIF kind = 'subtransactions' THEN
            OPEN c FOR EXECUTE sql;
            FOR k IN 1 .. cardinality(expected) + 1 LOOP
                BEGIN
                    found := found || fetched(c, 1);
                    UPDATE items SET name = 'aborted' WHERE i % 50 = k;
                    PERFORM 1 / (k % 3);
                EXCEPTION WHEN division_by_zero THEN
                    NULL;
                END;
            END LOOP;
        ELSIF kind = 'loop' THEN
            FOR row IN EXECUTE sql LOOP
                BEGIN
                    found := found || row::text;
                    other := rows_of(replace(sql, 'LIMIT', 'OFFSET 3 LIMIT'));
                    RAISE division_by_zero;
                EXCEPTION WHEN division_by_zero THEN
                    IF other[1] <> expected[4] THEN RAISE EXCEPTION '% instead of %', other[1], expected[4]; END IF;
                END;
            END LOOP;
        END IF;
        RAISE invalid_transaction_termination;
    EXCEPTION WHEN invalid_transaction_termination THEN
        RETURN CASE WHEN found <> expected THEN format('%s instead of %s', found, expected) END;
    END;
EXCEPTION WHEN raise_exception THEN
    RETURN SQLERRM;
END $$;
SELECT is(with_cursor($$SELECT i, a FROM items WHERE a < 50 ORDER BY v <-> '[0,0,0,0,0,0,0,0]' LIMIT 40$$, strategy, kind), NULL, format('cursor, %s: %s', strategy, kind))
    FROM unnest(ARRAY['two by turns', 'backward', 'subtransactions', 'loop', 'changes']) kind, unnest(strategies()) strategy;
SELECT is(with_cursor($$SELECT i, a FROM items WHERE v <-> '[0,0,0,0,0,0,0,0]' < 0.9 ORDER BY v <-> '[0,0,0,0,0,0,0,0]'$$, strategy, kind), NULL, format('cursor within a radius, %s: %s', strategy, kind))
    FROM unnest(ARRAY['two by turns', 'backward', 'subtransactions', 'changes']) kind, unnest(strategies()) strategy;
-- a cursor that outlives its transaction, its index and its rows
SET enable_seqscan = off;
SET enable_sort = off;
CREATE TABLE held_expected AS SELECT by_sort($$SELECT i FROM items WHERE b ORDER BY v <-> '[0,0,0,0,0,0,0,0]' LIMIT 30$$) AS rows;
BEGIN;
DECLARE held CURSOR WITH HOLD FOR SELECT i FROM items WHERE b ORDER BY v <-> '[0,0,0,0,0,0,0,0]' LIMIT 30;
CREATE TABLE held_first AS SELECT fetched('held', 7) AS rows;
COMMIT;
CREATE TABLE copied AS SELECT * FROM items;
TRUNCATE items;
SELECT is(f.rows || fetched('held'), e.rows, 'WITH HOLD') FROM held_first f, held_expected e;
CLOSE held;
INSERT INTO items SELECT * FROM copied;
VACUUM ANALYZE items;
RESET enable_seqscan;
RESET enable_sort;
-- the row that a cursor stands on: that row, or it is no cursor to change rows by
CREATE FUNCTION changed_by_cursor(lock text, strategy text) RETURNS text LANGUAGE plpgsql SET enable_seqscan = off SET enable_sort = off SET hnsw.scan_strategy = auto AS $$
DECLARE
    c refcursor := 'current';
    stands_on int;
    result text;
BEGIN
    PERFORM set_config('hnsw.scan_strategy', strategy, true);
    BEGIN
        OPEN c FOR EXECUTE 'SELECT i FROM items WHERE a < 50 ORDER BY v <-> ''[0,0,0,0,0,0,0,0]'' LIMIT 9 ' || lock;
        FOR k IN 1 .. 4 LOOP FETCH c INTO stands_on; END LOOP;
        UPDATE items SET name = 'changed' WHERE CURRENT OF c;
        SELECT format('%s rows, the right one: %s', count(*), bool_and(i = stands_on)) FROM items WHERE name = 'changed' INTO result;
        RAISE invalid_transaction_termination;
    EXCEPTION WHEN invalid_transaction_termination THEN
        RETURN result;
    WHEN invalid_cursor_state THEN
        RETURN SQLSTATE;
    END;
END $$;
SELECT is(changed_by_cursor('FOR UPDATE', strategy), '1 rows, the right one: t', strategy || ': the current row of a cursor FOR UPDATE') FROM unnest(strategies()) strategy;
SELECT ok(changed_by_cursor('', strategy) IN ('1 rows, the right one: t', '24000'), strategy || ': and of another') FROM unnest(strategies()) strategy;

-- ------------------------------------------------------------------ errors within a scan

-- A filter fails at a row in the middle, in subtransactions within the loop over another scan.
CREATE FUNCTION after_errors(strategy text) RETURNS text LANGUAGE plpgsql SET enable_seqscan = off SET enable_sort = off SET hnsw.scan_strategy = auto AS $$
DECLARE
    sql text := 'SELECT i FROM items WHERE a < 90 ORDER BY v <-> ''[0,0,0,0,0,0,0,0]'' LIMIT 60';
    expected text[] := by_sort(sql);
    failing text := replace(sql, 'ORDER', format('AND 100 / (i - %s) < 1000 ORDER', trim(expected[50], '()')));
    row record;
    found text[] := '{}';
    failures int := 0;
BEGIN
    PERFORM set_config('hnsw.scan_strategy', strategy, true);
    FOR row IN EXECUTE sql LOOP
        found := found || row::text;
        BEGIN
            PERFORM rows_of(failing);
        EXCEPTION WHEN division_by_zero THEN
            failures := failures + 1;
        END;
    END LOOP;
    RETURN CASE WHEN found <> expected THEN format('%s instead of %s', found, expected)
                WHEN failures <> 60 THEN format('%s failures', failures)
                WHEN rows_of(sql) <> expected THEN 'wrong afterwards' END;
END $$;
SELECT is(after_errors(strategy), NULL, strategy || ': a filter that fails') FROM unnest(strategies()) strategy;
SELECT is(outcomes(sql), ARRAY['22000', '22000', '22000', '22000'], 'dimensions that differ: ' || sql)
    FROM unnest(ARRAY[$$SELECT i FROM items ORDER BY v <-> '[1,2]' LIMIT 3$$, $$SELECT i FROM items WHERE v <-> '[1,2]' < 3$$, $$SELECT i FROM items WHERE a = 7 ORDER BY v <-> '[1,2]' LIMIT 3$$]) sql;

-- ------------------------------------------------------------------ scans within scans

-- a filter that searches the index itself
CREATE FUNCTION has_near(point vector, beyond int) RETURNS bool LANGUAGE plpgsql STABLE AS
    $$ BEGIN RETURN (SELECT i FROM items WHERE i > beyond ORDER BY v <-> point LIMIT 1) % 3 = 0; END $$;
SELECT is(problem($$SELECT i FROM items WHERE a < 40 AND has_near(v, i) ORDER BY v <-> '[0,0,0,0,0,0,0,0]' LIMIT 20$$, at_least => 20), NULL, 'a filter that searches the index');
SELECT is(problem($$SELECT i FROM items WHERE v <-> '[0,0,0,0,0,0,0,0]' < 0.9 AND has_near(v, i)$$, ordered => false), NULL, 'within a radius');

-- ------------------------------------------------------------------ what is read of a row

ALTER TABLE items DROP COLUMN words;
ALTER TABLE items ADD COLUMN late text DEFAULT 'late';
UPDATE items SET late = 'changed' WHERE i % 4 = 0;
DELETE FROM items WHERE i % 10 = 9;
SELECT is(problem(format($$SELECT %s FROM items WHERE a < 40 ORDER BY v <-> '[0,0,0,0,0,0,0,0]' LIMIT 20$$, columns)), NULL, 'read: ' || columns)
    FROM unnest(ARRAY['*', 'items', 'i, late, b', 'ctid, xmin, cmin, tableoid::regclass, i', 'v', $$v <-> '[0,0,0,0,0,0,0,0]'$$, '1', $$i, v <-> '[0,0,0,0,0,0,0,0]' AS d, late || i$$, '(items).late', $$i, v <-> '[1,0,0,0,0,0,0,0]'$$]) columns;
SELECT is(problem(format($$SELECT i, %s FROM items WHERE %s AND v <-> '[0,0,0,0,0,0,0,0]' < 1$$, columns, condition), ordered => false), NULL, format('read within a radius: %s, %s', columns, condition))
    FROM unnest(ARRAY['items', 'ctid, tableoid::regclass', $$v <-> '[0,0,0,0,0,0,0,0]' AS d$$, 'late']) columns, unnest(ARRAY['true', $$late = 'changed'$$, $$items.ctid > '(3,1)'$$, 'items.* IS NOT NULL']) condition;
SELECT is(problem($$SELECT generate_series(1, i % 3 + 1), i FROM items WHERE a < 40 ORDER BY v <-> '[0,0,0,0,0,0,0,0]' LIMIT 20$$), NULL, 'several rows of one');
-- What changes rows, or locks them; of which nothing remains.
-- (The rows that a statement changes itself are not found by the custom scan.)
CREATE FUNCTION change_problem(sql text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    expected text[];
    found text[];
    strategy text;
BEGIN
    BEGIN
        expected := sorted(by_sort(sql));
        RAISE invalid_transaction_termination;
    EXCEPTION WHEN invalid_transaction_termination THEN NULL;
    END;
    IF cardinality(expected) IS NULL THEN RETURN 'no row'; END IF;
    FOREACH strategy IN ARRAY strategies() LOOP
        IF sql LIKE '%ORDER BY%' AND NOT has_scan(plan_by_scan(sql, strategy)) THEN RETURN strategy || ': no custom scan'; END IF;
        BEGIN
            found := sorted(by_scan(sql, strategy));
            RAISE invalid_transaction_termination;
        EXCEPTION WHEN invalid_transaction_termination THEN NULL;
        END;
        IF found IS DISTINCT FROM expected THEN RETURN format('%s: %s instead of %s', strategy, left(found::text, 500), left(expected::text, 500)); END IF;
    END LOOP;
    RETURN NULL;
END $$;
SELECT is(change_problem(sql), NULL, sql) FROM unnest(ARRAY[
    $$DELETE FROM items WHERE v <-> '[0,0,0,0,0,0,0,0]' < 0.9 RETURNING i, a$$,
    $$UPDATE items SET a = a + 1 WHERE v <-> '[0,0,0,0,0,0,0,0]' < 0.9 AND a < 100 RETURNING i, a$$,
    $$UPDATE items SET v = v + '[0.1,0,0,0,0,0,0,0]' WHERE v <-> '[0,0,0,0,0,0,0,0]' < 0.9 RETURNING i, v$$,
    $$UPDATE items SET a = 1 WHERE i IN (SELECT i FROM items WHERE a < 90 ORDER BY v <-> '[0,0,0,0,0,0,0,0]' LIMIT 7) RETURNING i$$,
    $$DELETE FROM items USING (SELECT ctid FROM items WHERE a < 90 ORDER BY v <-> '[0,0,0,0,0,0,0,0]' LIMIT 7 FOR UPDATE) x WHERE items.ctid = x.ctid RETURNING i$$,
    $$INSERT INTO items (i, a, v) SELECT 50000 + i, a, v FROM items WHERE a < 90 ORDER BY v <-> '[0,0,0,0,0,0,0,0]' LIMIT 7 RETURNING i$$,
    $$WITH gone AS (DELETE FROM items WHERE a < 20 RETURNING i) SELECT i FROM items WHERE a < 90 ORDER BY v <-> '[0,0,0,0,0,0,0,0]' LIMIT 30$$,
    $$SELECT i, a FROM items WHERE a < 90 ORDER BY v <-> '[0,0,0,0,0,0,0,0]' LIMIT 7 FOR UPDATE$$,
    $$SELECT i, a FROM items WHERE a < 90 ORDER BY v <-> '[0,0,0,0,0,0,0,0]' LIMIT 7 FOR KEY SHARE SKIP LOCKED$$]) sql;

-- ------------------------------------------------------------------ where the scan stands in a plan

CREATE VIEW viewed AS SELECT i, a, v <-> '[0,0,0,0,0,0,0,0]' AS d FROM items WHERE a < 90;
CREATE VIEW barrier WITH (security_barrier) AS SELECT * FROM items WHERE a < 90;
SELECT is(problem(sql), NULL, sql) FROM unnest(ARRAY[
    $$SELECT i, d FROM viewed ORDER BY d LIMIT 9$$,
    $$WITH near AS MATERIALIZED (SELECT i FROM items ORDER BY v <-> '[0,0,0,0,0,0,0,0]' LIMIT 9) SELECT * FROM near$$,
    $$(SELECT i FROM items WHERE a < 90 ORDER BY v <-> '[0,0,0,0,0,0,0,0]' LIMIT 5) UNION ALL (SELECT i FROM items ORDER BY v <-> '[1,1,1,1,1,1,1,1]' LIMIT 5)$$,
    $$SELECT * FROM (SELECT i, v <-> '[0,0,0,0,0,0,0,0]' AS d FROM items ORDER BY d LIMIT 40) x WHERE i % 2 = 0$$,
    $$SELECT i, rank() OVER (ORDER BY d) FROM (SELECT i, v <-> '[0,0,0,0,0,0,0,0]' AS d FROM items ORDER BY d LIMIT 40) x$$,
    $$SELECT avg(i), count(*) FROM (SELECT i FROM items WHERE a < 90 ORDER BY v <-> '[0,0,0,0,0,0,0,0]' LIMIT 40) x$$,
    $$SELECT (SELECT i FROM items WHERE a = 3 ORDER BY v <-> '[0,0,0,0,0,0,0,0]' LIMIT 1)$$]) sql;
SELECT is(problem($$SELECT i FROM barrier WHERE name < 'name 5' ORDER BY v <-> '[0,0,0,0,0,0,0,0]' LIMIT 9$$, 'any'), NULL, 'above a view that is a barrier');
SELECT is(problem($$SELECT i, n FROM items JOIN two ON n = i % 2 + 1 WHERE a < 90 ORDER BY v <-> '[0,0,0,0,0,0,0,0]' LIMIT 9$$, 'any'), NULL, 'above a join');
SELECT is(problem($$SELECT i FROM items TABLESAMPLE bernoulli (30) REPEATABLE (3) ORDER BY v <-> '[0,0,0,0,0,0,0,0]' LIMIT 9$$, 'sort'), NULL, 'a sample of the table is no index''s');
SELECT is(problem($$SELECT i FROM items TABLESAMPLE bernoulli (30) REPEATABLE (3) WHERE v <-> '[0,0,0,0,0,0,0,0]' < 1$$, 'sort', ordered => false), NULL, 'nor within a radius');
SELECT is(problem($$SELECT i FROM items WHERE (SELECT false) ORDER BY v <-> '[0,0,0,0,0,0,0,0]' LIMIT 9$$, 'any', 0), NULL, 'a condition that no row has to do with');
-- plans that are copied, printed, and run by workers
SET debug_print_plan = on;
SELECT is(problem($$SELECT i FROM items WHERE a < 90 AND b ORDER BY v <-> '[0,0,0,0,0,0,0,0]' LIMIT 9$$), NULL, 'a plan that is printed');
RESET debug_print_plan;
SELECT set_config(name, setting, false) FROM (VALUES (CASE WHEN current_setting('server_version_num')::int < 160000 THEN 'force_parallel_mode' ELSE 'debug_parallel_query' END, 'on'), ('max_parallel_workers_per_gather', '2')) x(name, setting) \g /dev/null
SELECT is(problem($$SELECT i FROM items WHERE a < 90 ORDER BY v <-> '[0,0,0,0,0,0,0,0]' LIMIT 9$$), NULL, 'with workers');
SELECT is(problem($$SELECT i FROM items WHERE v <-> '[0,0,0,0,0,0,0,0]' < 1$$, ordered => false), NULL, 'with workers, within a radius');
SELECT is(problem($$SELECT i FROM items WHERE i % 40 = (SELECT n FROM two LIMIT 1) ORDER BY v <-> (SELECT v FROM query) LIMIT 9$$), NULL, 'with workers, values of subqueries');
SELECT set_config(CASE WHEN current_setting('server_version_num')::int < 160000 THEN 'force_parallel_mode' ELSE 'debug_parallel_query' END, 'off', false) \g /dev/null
SET max_parallel_workers_per_gather = 0;

-- ------------------------------------------------------------------ which index

CREATE INDEX items_cosine_hnsw ON items USING hnsw (v vector_cosine_ops);
CREATE INDEX items_half_hnsw ON items USING hnsw ((v::halfvec(8)) halfvec_l2_ops);
CREATE INDEX items_part_hnsw ON items USING hnsw (v vector_ip_ops) WHERE a < 90;
ANALYZE items;
CREATE TABLE orders (order_by text, index text);
INSERT INTO orders VALUES ($$v <=> '[1,0,0,0,0,0,0,1]'$$, 'items_cosine_hnsw'), ($$v::halfvec(8) <-> '[0,0,0,0,0,0,0,0]'$$, 'items_half_hnsw'), ($$v <#> '[1,0,0,0,0,0,0,1]'$$, 'items_part_hnsw'),
    ($$'[0,0,0,0,0,0,0,0]' <-> v$$, 'items_hnsw');
SELECT is(problem(format('SELECT i FROM items WHERE a < 90 ORDER BY %s LIMIT 9', order_by)), NULL, order_by) FROM orders;
SELECT is(problem(format('SELECT i FROM items WHERE %s ORDER BY %s LIMIT 9', condition, order_by), 'sort'), NULL, format('%s by %s has no index', condition, order_by))
    FROM (VALUES ('a < 91', $$v <#> '[1,0,0,0,0,0,0,1]'$$), ('true', $$v <+> '[1,0,0,0,0,0,0,1]'$$), ('true', $$v::halfvec(8) <=> '[1,0,0,0,0,0,0,1]'$$), ('true', 'v <-> v')) x(condition, order_by);
SET enable_seqscan = off;
SET enable_sort = off;
SELECT is(scan_node(format('SELECT i FROM items WHERE a < 90 ORDER BY %s LIMIT 9', order_by)) ->> 'Index', index, order_by || ' by its index') FROM orders;
SELECT is(scan_node($$SELECT i FROM items WHERE v <=> '[1,0,0,0,0,0,0,1]' < 0.4$$) ->> 'Index', 'items_cosine_hnsw', 'and within a radius');
RESET enable_seqscan;
RESET enable_sort;
SELECT is(problem(format('SELECT i FROM items WHERE a < 90 AND v %s ''[1,0,0,0,0,0,0,1]'' < %s ORDER BY v %s ''[1,0,0,0,0,0,0,1]'' LIMIT 9', one, radius, another)), NULL, format('within by %s, ordered by %s', one, another))
    FROM (VALUES ('<->', 1.4), ('<=>', 0.4), ('<#>', -0.8)) x(one, radius), unnest(ARRAY['<->', '<=>', '<#>']) another;

-- a setting that changes between two fetches: no row comes twice
CREATE TABLE plane AS SELECT i, ARRAY[i, i % 7]::vector(2) AS v FROM generate_series(1, 2000) i;
CREATE INDEX ON plane USING hnsw (v vector_l2_ops);
ANALYZE plane;
CREATE FUNCTION fetched_twice() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    many CURSOR FOR SELECT i, generate_series(1, 1) FROM plane ORDER BY v <-> '[5,5]' LIMIT 30000;
    row record;
    ids int[] := '{}';
BEGIN
    SET LOCAL enable_seqscan = off;
    SET LOCAL enable_sort = off;
    SET LOCAL hnsw.iterative_scan = off;
    OPEN many;
    LOOP
        FETCH many INTO row;
        EXIT WHEN NOT FOUND;
        ids := ids || row.i;
        SET LOCAL hnsw.iterative_scan = strict_order;
    END LOOP;
    RETURN cardinality(ids) - (SELECT count(DISTINCT x) FROM unnest(ids) x);
END $$;
SELECT is(fetched_twice(), 0::bigint, 'a setting changes between two fetches');
-- a radius that is known when its clause was checked first, though no row passed
CREATE FUNCTION rows_read(query text) RETURNS int LANGUAGE sql SET hnsw.ef_search = 40 RETURN (scan_node(query) ->> 'Heap Rows Read')::int;
SELECT cmp_ok(rows_read($$SELECT i FROM plane WHERE v <-> '[-5000,0]' < (SELECT 2.5::float8) ORDER BY v <-> '[-5000,0]' LIMIT 3$$), '<', 20, 'a radius from a subquery, no row within');
-- a lateral reference below a radius, in partitions that are joined one by one, and in a table
CREATE TABLE left_side (k int, x int) PARTITION BY LIST (k);
CREATE TABLE right_side (k int, i int, v vector(2)) PARTITION BY LIST (k);
SELECT format('CREATE TABLE %1$s_%2$s PARTITION OF %1$s FOR VALUES IN (%2$s)', side, k) FROM unnest(ARRAY['left_side', 'right_side']) side, generate_series(0, 1) k \gexec
INSERT INTO left_side SELECT i % 2, i FROM generate_series(1, 20) i;
INSERT INTO right_side SELECT i % 2, i, v FROM plane;
CREATE INDEX ON right_side USING hnsw (v vector_l2_ops);
ANALYZE left_side, right_side;
CREATE FUNCTION lateral_sum(side text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    result bigint;
BEGIN
    EXECUTE format('SELECT sum(s.sum) FROM left_side l LEFT JOIN LATERAL (SELECT %s AS k, i, l.x + 0 AS sum FROM %s WHERE v <-> ''[50,1]'' < 9) s ON s.k = l.k', CASE side WHEN 'plane' THEN 'i % 2' ELSE 'k' END, side) INTO result;
    RETURN result;
END $$;
SET enable_partitionwise_join = on;
SET enable_seqscan = off;
SET enable_hashjoin = off;
SET enable_mergejoin = off;
CREATE TABLE sums AS SELECT side, lateral_sum(side) AS sum FROM unnest(ARRAY['right_side', 'plane']) side;
RESET enable_partitionwise_join;
RESET enable_seqscan;
RESET enable_hashjoin;
RESET enable_mergejoin;
SELECT is(sum, (SELECT sum(l.x)::bigint FROM left_side l, plane WHERE v <-> '[50,1]' < 9 AND i % 2 = k), 'a lateral reference: ' || side) FROM sums;
-- the right to call the distance's function, which the scan calls itself
CREATE ROLE stranger;
GRANT SELECT ON plane TO stranger;
REVOKE EXECUTE ON FUNCTION l2_distance(vector, vector) FROM public;
SET ROLE stranger;
SELECT throws_ok($$SELECT i, v <-> '[1,2]' FROM plane ORDER BY v <-> '[1,2]' LIMIT 1$$, '42501', 'permission denied for function l2_distance', 'the distance of an order');
SELECT throws_ok($$SELECT i FROM plane WHERE v <-> '[1,2]' < 4$$, '42501', 'permission denied for function l2_distance', 'the distance of a radius');
RESET ROLE;
GRANT EXECUTE ON FUNCTION l2_distance(vector, vector) TO public;
DROP OWNED BY stranger;
DROP ROLE stranger;
SELECT finish();
