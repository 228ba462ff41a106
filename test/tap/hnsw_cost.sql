-- Which plan the planner chooses, without being told: the hnsw index, a condition's own index, or the table.
SET client_min_messages = warning;
SET max_parallel_workers_per_gather = 0;
SELECT plan(21);

CREATE TABLE points AS SELECT i, i % 1000 AS fine, i % 250 AS rare, i % 2 AS coarse,
    (SELECT array_agg(hashint4extended(i, j) % 1000 / 1000.0)::vector(32) FROM generate_series(1, 32) j) AS v FROM generate_series(1, 20000) i;
CREATE INDEX points_v ON points USING hnsw (v vector_l2_ops);
CREATE INDEX points_fine ON points (fine);
CREATE TABLE few AS SELECT * FROM points WHERE i <= 60;
CREATE INDEX few_v ON few USING hnsw (v vector_l2_ops);
ANALYZE points, few;

-- The index, or the table, that the plan's lowest node reads.
CREATE FUNCTION source(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    plan json;
BEGIN
    EXECUTE 'EXPLAIN (FORMAT json) ' || query INTO plan;
    plan := plan -> 0 -> 'Plan';
    WHILE plan -> 'Plans' IS NOT NULL LOOP
        plan := plan -> 'Plans' -> 0;
    END LOOP;
    RETURN coalesce(plan ->> 'Index Name', plan ->> 'Relation Name');
END $$;
CREATE FUNCTION nearest(source text, condition text, rest text) RETURNS text LANGUAGE sql
    RETURN source(format('SELECT i FROM %s WHERE %s ORDER BY v <-> array_fill(0.5, ARRAY[32])::vector %s', source, condition, rest));

-- The cost of so many rows by the hnsw index, without a condition's own.
CREATE FUNCTION cost(condition text, n int) RETURNS float8 LANGUAGE plpgsql AS $$
DECLARE
    plan json;
BEGIN
    SET LOCAL enable_seqscan = off;
    EXECUTE format('EXPLAIN (FORMAT json) SELECT i FROM points WHERE %s ORDER BY v <-> array_fill(0.5, ARRAY[32])::vector LIMIT %s', condition, n) INTO plan;
    RESET enable_seqscan;
    RETURN plan #>> '{0,Plan,Total Cost}';
END $$;

SELECT is(nearest('points', 'true', 'LIMIT 10'), 'points_v', 'the nearest few');
SELECT is(nearest('points', 'true', 'LIMIT 200'), 'points_v', 'or some more');
SELECT is(nearest('points', 'true', ''), 'points', 'all rows are sorted');
SELECT is(nearest('points', 'true', 'LIMIT 15000'), 'points', 'and nearly all');
SELECT is(nearest('points', 'coarse = 1', 'LIMIT 10'), 'points_v', 'half of the rows match');
SELECT is(nearest('points', 'fine < 500', 'LIMIT 10'), 'points_v', 'also where they have an index of their own');
SELECT is(nearest('points', 'fine = 7', 'LIMIT 10'), 'points_fine', 'one in a thousand matches');
SELECT is(nearest('points', 'fine = 7 AND coarse = 1', 'LIMIT 10'), 'points_fine', 'as if some of them did not');
SELECT is(nearest('points', 'rare < 50', 'LIMIT 10'), 'points_v', 'no index of its own, one in five matches');
SELECT is(nearest('points', 'rare = 7', 'LIMIT 10'), 'points', 'one in 250 matches: reading all rows is quicker');
SELECT is(nearest('points', 'v IS NOT NULL', 'LIMIT 10'), 'points_v', 'all match');
SELECT is(nearest('few', 'true', 'LIMIT 10'), 'few', 'a small table is read');
SELECT is(source('SELECT i FROM points LIMIT 10'), 'points', 'no order, no index');
SELECT is(source('SELECT count(*) FROM points'), 'points', 'nor for a count');
-- the share of rows, in thousandths, from which the hnsw index is preferred
CREATE FUNCTION switch_over(ef int) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
    n int := 1;
BEGIN
    PERFORM set_config('hnsw.ef_search', ef::text, true);
    WHILE nearest('points', format('fine BETWEEN 100 AND %s', 99 + n), 'LIMIT 10') <> 'points_v' LOOP
        n := n + 1;
    END LOOP;
    RETURN n;
END $$;
SELECT cmp_ok(switch_over(40), '>', 1, 'a condition of its own index: there is a share of rows up to which that is read');
SELECT cmp_ok(switch_over(1000), '>', switch_over(40), 'which is larger for a wider beam');
SET hnsw.ef_search = 1000;
SELECT is(nearest('points', 'true', 'LIMIT 10'), 'points_v', 'which serves well elsewhere');
RESET hnsw.ef_search;
-- what takes a sweep: reading the table does not take longer
SELECT is(nearest('points', 'i % 100 = 7', 'LIMIT 100'), 'points', 'half of the rows have to be seen');
SELECT cmp_ok(cost('i % 100 = 7', 100), '>', 5 * cost('i % 100 = 7', 1), 'which costs more than the nearest');
-- what a scan would not get to
SET hnsw.exhaustive_scan = off;
SET hnsw.max_scan_tuples = 1000;
SELECT is(nearest('points', 'coarse = 1', 'LIMIT 10'), 'points_v', 'few rows within max_scan_tuples');
SELECT is(nearest('points', 'i % 100 = 7', 'LIMIT 100'), 'points', 'more than those would give');
SELECT * FROM finish();
