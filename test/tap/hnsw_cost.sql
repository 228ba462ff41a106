-- Which plan the planner chooses, without being told: the hnsw index, a condition's own index, or the table. With the
-- custom scan, which plans for all of these: which strategy it begins with.
LOAD 'omendb';
SET client_min_messages = warning;
SET max_parallel_workers_per_gather = 0;
SELECT plan(48);

CREATE TABLE points AS SELECT i, i % 1000 AS fine, i % 250 AS rare, i % 2 AS coarse,
    (SELECT array_agg(hashint4extended(i, j) % 1000 / 1000.0)::vector(32) FROM generate_series(1, 32) j) AS v FROM generate_series(1, 20000) i;
CREATE INDEX points_v ON points USING hnsw (v vector_l2_ops);
CREATE INDEX points_fine ON points (fine);
CREATE TABLE few AS SELECT * FROM points WHERE i <= 60;
CREATE INDEX few_v ON few USING hnsw (v vector_l2_ops);
ANALYZE points, few;

-- The index, or the table, that the plan's lowest node reads. Of a custom scan: the hnsw index to be searched, for
-- itself or among the rows of a bitmap; or else what is read and sorted, the rows of a bitmap or the table.
CREATE FUNCTION source(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    plan json;
BEGIN
    EXECUTE 'EXPLAIN (FORMAT json) ' || query INTO plan;
    plan := plan -> 0 -> 'Plan';
    WHILE plan -> 'Plans' IS NOT NULL AND plan ->> 'Node Type' <> 'Custom Scan' LOOP
        plan := plan -> 'Plans' -> 0;
    END LOOP;
    IF plan ->> 'Node Type' = 'Custom Scan' THEN
        RETURN CASE plan ->> 'Strategy' WHEN 'graph' THEN plan ->> 'Index' WHEN 'bitmap' THEN format('%s in %s', plan ->> 'Index', plan #>> '{Plans,0,Index Name}')
            WHEN 'exact' THEN 'sort of ' || coalesce(plan #>> '{Plans,0,Index Name}', plan ->> 'Relation Name') END;
    END IF;
    RETURN coalesce(plan ->> 'Index Name', plan ->> 'Relation Name');
END $$;
CREATE FUNCTION nearest(source text, condition text, rest text) RETURNS text LANGUAGE sql
    RETURN source(format('SELECT i FROM %s WHERE %s ORDER BY v <-> array_fill(0.5, ARRAY[32])::vector %s', source, condition, rest));

-- The source by a plain scan, and by the custom scan, which can do what other plans do.
CREATE FUNCTION chosen(source text, condition text, rest text, plain text, custom text, name text) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('hnsw.custom_scan', 'off', true);
    RETURN QUERY SELECT is(nearest(source, condition, rest), plain, name);
    PERFORM set_config('hnsw.custom_scan', 'on', true);
    RETURN QUERY SELECT is(nearest(source, condition, rest), custom, 'custom scan: ' || name);
END $$;

-- The cost of so many rows by a plain scan of the hnsw index, without a condition's own.
CREATE FUNCTION cost(condition text, n int) RETURNS float8 LANGUAGE plpgsql AS $$
DECLARE
    plan json;
BEGIN
    SET LOCAL enable_seqscan = off;
    SET LOCAL hnsw.custom_scan = off;
    EXECUTE format('EXPLAIN (FORMAT json) SELECT i FROM points WHERE %s ORDER BY v <-> array_fill(0.5, ARRAY[32])::vector LIMIT %s', condition, n) INTO plan;
    RESET enable_seqscan;
    RESET hnsw.custom_scan;
    RETURN plan #>> '{0,Plan,Total Cost}';
END $$;

SELECT chosen('points', 'true', 'LIMIT 10', 'points_v', 'points_v', 'the nearest few');
SELECT chosen('points', 'true', 'LIMIT 200', 'points_v', 'points_v', 'or some more');
SELECT chosen('points', 'true', '', 'points', 'points', 'all rows are sorted');
SELECT chosen('points', 'true', 'LIMIT 15000', 'points', 'points', 'and nearly all');
SELECT chosen('points', 'coarse = 1', 'LIMIT 10', 'points_v', 'points_v', 'half of the rows match');
SELECT chosen('points', 'fine < 500', 'LIMIT 10', 'points_v', 'points_v', 'also where they have an index of their own');
SELECT chosen('points', 'fine = 7', 'LIMIT 10', 'points_fine', 'sort of points_fine', 'one in a thousand matches');
SELECT chosen('points', 'fine = 7 AND coarse = 1', 'LIMIT 10', 'points_fine', 'sort of points_fine', 'as if some of them did not');
SELECT chosen('points', 'rare < 50', 'LIMIT 10', 'points_v', 'points_v', 'no index of its own, one in five matches');
SELECT chosen('points', 'rare = 7', 'LIMIT 10', 'points', 'points_v', 'one in 250 matches: reading all rows is quicker, but one round of a search tells if it is needed');
SELECT chosen('points', 'v IS NOT NULL', 'LIMIT 10', 'points_v', 'points_v', 'all match');
SELECT chosen('few', 'true', 'LIMIT 10', 'few', 'sort of few', 'a small table is read');
SELECT is(source('SELECT i FROM points LIMIT 10'), 'points', 'no order, no index');
SELECT isnt(source('SELECT count(*) FROM points'), 'points_v', 'nor for a count (by an index-only scan of another, where the visibility map allows it)');
-- the share of rows, in thousandths, from which the hnsw index is preferred
CREATE FUNCTION switch_over(scan text, ef int) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('hnsw.custom_scan', (scan = 'custom')::text, true), set_config('hnsw.ef_search', ef::text, true);
    FOR n IN 1 .. 1000 LOOP
        IF nearest('points', format('fine BETWEEN 100 AND %s', 99 + n), 'LIMIT 10') = 'points_v' THEN RETURN n; END IF;
    END LOOP;
    RETURN NULL;
END $$;
CREATE TABLE shares AS SELECT scan, switch_over(scan, 40) AS few, switch_over(scan, 1000) AS many FROM unnest(ARRAY['plain', 'custom']) scan;
SELECT cmp_ok(few, '>', 1, scan || ' scan: a condition of its own index: there is a share of rows up to which that is read') FROM shares;
SELECT cmp_ok(many, '>', few, scan || ' scan: which is larger for a wider beam') FROM shares;
RESET hnsw.custom_scan;
RESET hnsw.ef_search;
SET hnsw.ef_search = 1000;
SELECT chosen('points', 'true', 'LIMIT 10', 'points_v', 'points_v', 'which serves well elsewhere');
RESET hnsw.ef_search;
-- what takes a sweep: reading the table does not take longer
SELECT chosen('points', 'i % 100 = 7', 'LIMIT 100', 'points', 'points_v', 'half of the rows have to be seen, or so it seems before the first round');
SELECT cmp_ok(cost('i % 100 = 7', 100), '>', 5 * cost('i % 100 = 7', 1), 'which costs more than the nearest');
-- what a scan would not get to: any other plan is better
SET hnsw.exhaustive_scan = off;
SET hnsw.max_scan_tuples = 1000;
SELECT chosen('points', 'coarse = 1', 'LIMIT 10', 'points_v', 'points_v', 'few rows within max_scan_tuples');
SELECT chosen('points', 'i % 100 = 7', 'LIMIT 100', 'points', 'points', 'more than those would give');
SELECT chosen('points', 'fine = 7', 'LIMIT 10', 'points_fine', 'points_fine', 'also for an index of its own');
RESET hnsw.exhaustive_scan;
RESET hnsw.max_scan_tuples;
SET hnsw.iterative_scan = off;
SELECT chosen('points', 'fine = 7', 'LIMIT 10', 'points_fine', 'points_fine', 'or where a scan does not go on');
RESET hnsw.iterative_scan;
-- pages that are not in the cache cost what their tablespace says
CREATE FUNCTION costs() RETURNS numeric[] LANGUAGE plpgsql AS $$
DECLARE
    costs numeric[];
    plan json;
    scan text;
BEGIN
    FOREACH scan IN ARRAY ARRAY['off', 'on'] LOOP
        PERFORM set_config('hnsw.custom_scan', scan, true);
        EXECUTE 'EXPLAIN (FORMAT json) SELECT i FROM points ORDER BY v <-> array_fill(0.5, ARRAY[32])::vector LIMIT 10' INTO plan;
        costs := costs || (plan #>> '{0,Plan,Total Cost}')::numeric;
    END LOOP;
    RETURN costs;
END $$;
SET effective_cache_size = '8kB';
SET enable_seqscan = off;
SELECT costs() AS usual \gset
SET random_page_cost = 8;
SELECT costs() AS dear \gset
RESET random_page_cost;
SELECT ok(bool_and(dear > usual), 'random_page_cost has an influence') FROM unnest(:'usual'::numeric[], :'dear'::numeric[]) c(usual, dear);
BEGIN;
ALTER TABLESPACE pg_default SET (random_page_cost = 8);
SELECT is(costs(), :'dear'::numeric[], 'which the option of the tablespace has, too');
ROLLBACK;
SELECT is(costs(), :'usual'::numeric[], 'as long as it is set');
SET allow_in_place_tablespaces = on;
CREATE TABLESPACE omendb_cost LOCATION '' WITH (random_page_cost = 8);
ALTER INDEX points_v SET TABLESPACE omendb_cost;
SELECT ok(bool_and(now > usual AND now < dear), 'the index''s, for its pages') FROM unnest(costs(), :'usual'::numeric[], :'dear'::numeric[]) c(now, usual, dear);
ALTER INDEX points_v SET TABLESPACE pg_default;
ALTER TABLE points SET TABLESPACE omendb_cost;
SELECT ok(bool_and(now > usual AND now < dear), 'the table''s, for its pages') FROM unnest(costs(), :'usual'::numeric[], :'dear'::numeric[]) c(now, usual, dear);
ALTER TABLE points SET TABLESPACE pg_default;
DROP TABLESPACE omendb_cost;
SELECT * FROM finish();
