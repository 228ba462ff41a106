-- With which strategy a scan begins, and to which it goes over: by the values that parameters have when it runs, and by what
-- the first round of the search finds.
\ir hnsw_scans.psql
SET max_parallel_workers_per_gather = 0;
SELECT plan(32);

-- Tenants of very different sizes: of 20,000 rows tenant 0 has half, tenant 1 a fiftieth, the others ten each. The rows of
-- group 1 are the 400 nearest to (.5, ...), those of group 2 the 400 farthest from it, group 3 has 400 anywhere. The nearest
-- tenth of all rows is 1, the farthest 10.
CREATE TABLE rooms AS
    SELECT i, CASE WHEN i % 2 = 0 THEN 0 WHEN i % 50 = 1 THEN 1 ELSE 2 + i / 20 END AS tenant, i AS n, 0 AS grp, 0 AS tenth, (SELECT array_agg(noise(j, i) ORDER BY j) FROM generate_series(1, 8) j)::vector(8) AS v
    FROM generate_series(1, 20000) i;
UPDATE rooms SET grp = CASE WHEN rank <= 400 THEN 1 WHEN rank > 19600 THEN 2 WHEN i % 48 = 5 THEN 3 ELSE 0 END, tenth = (rank + 1999) / 2000
    FROM (SELECT i AS number, row_number() OVER (ORDER BY v <-> '[.5,.5,.5,.5,.5,.5,.5,.5]') AS rank FROM rooms) r WHERE number = i;
CREATE INDEX rooms_v ON rooms USING hnsw (v vector_l2_ops);
CREATE INDEX rooms_tenant ON rooms (tenant);
CREATE INDEX rooms_n ON rooms (n);
CREATE INDEX rooms_grp ON rooms (grp);
CREATE INDEX rooms_tenth ON rooms (tenth);
VACUUM ANALYZE rooms;

CREATE FUNCTION strategy_of(sql text) RETURNS text LANGUAGE sql RETURN scan_node(sql) ->> 'Strategy';
CREATE FUNCTION nearest_where(condition text) RETURNS text LANGUAGE sql
    RETURN format('SELECT i FROM rooms WHERE %s ORDER BY v <-> ''[.5,.5,.5,.5,.5,.5,.5,.5]'' LIMIT 10', condition);

-- ------------------------------------------------------------------ the first round tells whether rows are near

SELECT is(strategy_of(nearest_where('grp = 1')), 'graph', 'all of the rows that pass are near: the first round finds them');
SELECT is(strategy_of(nearest_where('grp = 2')), 'graph, then exact', 'all are far: after the first round they are read');
SELECT is(strategy_of(nearest_where('grp = 3')), 'graph, then exact', 'they are anywhere: likewise');
SELECT cmp_ok((scan_node(nearest_where('grp = 2')) ->> 'Heap Rows Read')::int, '<', 460, 'for which the search read few rows');
SELECT is(strategy_of(nearest_where('tenant = 77')), 'exact', 'they are few: reading them takes no longer than a round of the search');
SELECT is(problem(nearest_where(condition), misses => 1), NULL, 'the rows are right: ' || condition) FROM unnest(ARRAY['grp = 1', 'grp = 2', 'grp = 3', 'tenant = 77']) condition;
-- without an index of the column
SET enable_bitmapscan = off;
SELECT is(strategy_of(nearest_where('grp = 1')), 'graph', 'no index of the column, near');
SELECT is(strategy_of(nearest_where('tenant = 77')), 'graph, then exact', 'no index of the column, few: one round before the table is read');
RESET enable_bitmapscan;
-- A round that takes too long is not finished: the scan goes over to the rows of the bitmap before it has one row.
SET hnsw.ef_search = 1000;
SELECT is(problem(nearest_where(condition), misses => 1), NULL, 'a wide beam: ' || condition) FROM unnest(ARRAY['grp = 1', 'grp = 2', 'tenant = 0']) condition;
RESET hnsw.ef_search;

-- ------------------------------------------------------------------ parameters, by a plan for any value

SET plan_cache_mode = force_generic_plan;
PREPARE of_tenant(int) AS SELECT i FROM rooms WHERE tenant = $1 ORDER BY v <-> '[.5,.5,.5,.5,.5,.5,.5,.5]' LIMIT 10;
PREPARE below(int) AS SELECT i FROM rooms WHERE n < $1 ORDER BY v <-> '[.5,.5,.5,.5,.5,.5,.5,.5]' LIMIT 10;
PREPARE of_tenants(int[]) AS SELECT i FROM rooms WHERE tenant = ANY ($1) ORDER BY v <-> '[.5,.5,.5,.5,.5,.5,.5,.5]' LIMIT 10;
PREPARE either(int, int) AS SELECT i FROM rooms WHERE tenant = $1 OR n < $2 ORDER BY v <-> '[.5,.5,.5,.5,.5,.5,.5,.5]' LIMIT 10;
SELECT is(strategy_of(execute), strategy, execute) FROM (VALUES
    ('EXECUTE of_tenant(0)', 'graph'), ('EXECUTE of_tenant(77)', 'exact'), ('EXECUTE of_tenant(NULL)', 'exact'), ('EXECUTE below(15000)', 'graph'), ('EXECUTE below(11)', 'exact'),
    ('EXECUTE of_tenants(''{5,77}'')', 'exact'), ('EXECUTE of_tenants(''{0,77}'')', 'graph'), ('EXECUTE either(77, 11)', 'exact')) e (execute, strategy);
-- the inner side of a nested loop: each time by the value of that time
SELECT cmp_ok((node ->> 'Nodes Visited')::int, '<', 400, 'a nested loop: small tenants are read, the large one is searched') FROM scan_node(
    'SELECT FROM (VALUES (5), (77), (0), (200), (NULL), (901)) t (tenant), LATERAL (SELECT i FROM rooms WHERE rooms.tenant = t.tenant ORDER BY v <-> ''[.5,.5,.5,.5,.5,.5,.5,.5]'' LIMIT 10) r') node;
SELECT is(problem('SELECT t.tenant, i FROM (VALUES (5), (77), (0), (200), (NULL), (901)) t (tenant), LATERAL (SELECT i FROM rooms WHERE rooms.tenant = t.tenant ORDER BY v <-> ''[.5,.5,.5,.5,.5,.5,.5,.5]'' LIMIT 10) r', ordered => false, misses => 1), NULL, 'with the right rows');
-- The value of an InitPlan is known when the first row was checked; nobody runs it before.
SELECT is(strategy_of(nearest_where('n < (SELECT 11 FROM pg_sleep(0))')), 'graph, then exact', 'an InitPlan: by its value, after the first round');

-- ------------------------------------------------------------------ rescans learn

-- 64 queries of one place: what each visits alone, and what it visits after the others.
CREATE FUNCTION visits_of(condition text, n int) RETURNS int LANGUAGE sql RETURN (scan_node(format(
    'SELECT FROM generate_series(1, %s) s, LATERAL (SELECT i FROM rooms WHERE %s ORDER BY v <-> ARRAY[.5, .5, .5, .5, .5, .5, .5, .5 + s / 10000.0]::vector LIMIT 10) r', n, condition)) ->> 'Nodes Visited')::int;
SELECT cmp_ok(visits_of('grp = 2', 64), '<', 10 * visits_of('grp = 2', 1), 'searches that found nothing are tried again more and more rarely');
SELECT cmp_ok(visits_of('grp = 1', 64), '>', 32 * visits_of('grp = 1', 1), 'searches that found all rows go on');
-- The first of 64 runs asks for the 2,000 rows that are far, and reads them. The others find theirs by a search.
CREATE FUNCTION rows_read(n int, condition text) RETURNS int LANGUAGE sql RETURN (scan_node(format(
    'SELECT FROM generate_series(1, %s) s, LATERAL (SELECT i FROM rooms WHERE %s ORDER BY v <-> ARRAY[.5, .5, .5, .5, .5, .5, .5, .5 + s / 10000.0]::vector LIMIT 10) r', n, condition)) ->> 'Heap Rows Read')::int;
SELECT cmp_ok(rows_read(64, 'tenth = CASE WHEN s = 1 THEN 10 ELSE 1 END'), '<', rows_read(64, 'tenth = 1') + 2500,
    'one search in vain does not keep the next run from searching');
SELECT is(strategy_of('SELECT FROM generate_series(0, 63) s, LATERAL (SELECT i FROM rooms WHERE grp = CASE WHEN s < 32 THEN 2 ELSE 1 END ORDER BY v <-> ARRAY[.5, .5, .5, .5, .5, .5, .5, .5 + s / 10000.0]::vector LIMIT 10) r'), 'graph, then exact', 'the rows of later runs may be near');
SELECT is(problem(format('SELECT s, i FROM generate_series(1, 20) s, LATERAL (SELECT i FROM rooms WHERE grp = s %% 3 + 1 ORDER BY v <-> ARRAY[.5, .5, .5, .5, .5, .5, .5, .5 + s / 10000.0]::vector, i LIMIT 10) r'), ordered => false, misses => 10), NULL, 'the rows of rescans are right');

-- ------------------------------------------------------------------ who may know

-- An estimator calls the operator's function on values that the statistics have. Behind row security, a partitioned table's
-- too, only leakproof functions may see those of hidden rows.
CREATE ROLE omendb_reader;
CREATE TABLE hidden (id int, n int, owner text, v vector(4)) PARTITION BY HASH (id);
CREATE TABLE hidden_0 PARTITION OF hidden FOR VALUES WITH (MODULUS 1, REMAINDER 0);
INSERT INTO hidden SELECT i, CASE WHEN i % 3 = 0 THEN 777 ELSE i % 50 END, CASE WHEN i % 3 = 0 THEN 'secret' ELSE 'omendb_reader' END,
    ARRAY[i % 101, i % 97, i % 89, i % 83]::vector FROM generate_series(1, 5000) i;
CREATE INDEX ON hidden USING hnsw (v vector_l2_ops);
CREATE INDEX ON hidden (n);
ANALYZE hidden, hidden_0;
ALTER TABLE hidden ENABLE ROW LEVEL SECURITY;
ALTER TABLE hidden_0 ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON hidden USING (owner = current_user);
CREATE POLICY own ON hidden_0 USING (owner = current_user);
GRANT SELECT ON hidden, hidden_0 TO omendb_reader;
CREATE FUNCTION telling(a int, b int) RETURNS bool IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN PERFORM set_config('omendb_test.seen', coalesce(current_setting('omendb_test.seen', true), '') || a || ' ', false); RETURN a < b; END $$;
CREATE OPERATOR <<< (LEFTARG = int, RIGHTARG = int, FUNCTION = telling, RESTRICT = scalarltsel);
SET ROLE omendb_reader;
SET enable_seqscan = off;
SET enable_sort = off;
PREPARE of_hidden(int, int) AS SELECT id FROM hidden WHERE n < $1 AND n <<< $2 ORDER BY v <-> '[0,0,0,0]' LIMIT 3;
SELECT is(strategy_of('EXECUTE of_hidden(1000, 1000)') IS NOT NULL, true, 'row security of a partitioned table: by the custom scan');
SELECT unalike(current_setting('omendb_test.seen', true), '%777%', 'whose estimates tell nothing of hidden rows');
RESET ROLE;
DROP TABLE hidden;
DROP ROLE omendb_reader;
SELECT finish();
