-- Queries that an hnsw index serves in other ways than by one simple scan.
LOAD 'omendb';
SET enable_seqscan = off;
-- of tables so small a custom scan would rather sort the rows
SET hnsw.scan_strategy = graph;
CREATE TABLE t (i int PRIMARY KEY, category int, v vector(2));
INSERT INTO t SELECT i, i % 3, ARRAY[i, 0] FROM generate_series(1, 200) i;
INSERT INTO t VALUES (201, 0, NULL);
CREATE INDEX t_hnsw ON t USING hnsw (v vector_l2_ops);

-- ---------------------------------------------------------------- conditions

SELECT i FROM t WHERE category = 1 ORDER BY v <-> '[50.2,0]' LIMIT 4;
SELECT i FROM t WHERE i > 195 ORDER BY v <-> '[50.2,0]' LIMIT 4;
SET hnsw.custom_scan = off;
SELECT i FROM t WHERE category = 1 ORDER BY v <-> '[50.2,0]' LIMIT 4;
SELECT i FROM t WHERE i > 195 ORDER BY v <-> '[50.2,0]' LIMIT 4;
RESET hnsw.custom_scan;
-- the planner would rather take the primary key and sort
SET enable_sort = off;
-- the row that has no vector is not in the index; a custom scan finds it in the table
SELECT i FROM t WHERE i > 199 ORDER BY v <-> '[50.2,0]' LIMIT 4;
SET hnsw.custom_scan = off;
SELECT i FROM t WHERE i > 199 ORDER BY v <-> '[50.2,0]' LIMIT 4;
RESET hnsw.custom_scan;
RESET enable_sort;
SELECT i FROM t WHERE category = 7 ORDER BY v <-> '[50.2,0]' LIMIT 4;
SELECT i FROM t WHERE v <-> '[50.2,0]' < 2 ORDER BY v <-> '[50.2,0]' LIMIT 10;
SELECT i, v <-> '[50.2,0]' < 1 AS near FROM t ORDER BY v <-> '[50.2,0]' OFFSET 100 LIMIT 3;
SELECT count(*), count(DISTINCT i), sum(i) FROM (SELECT i FROM t ORDER BY v <-> '[50.2,0]' LIMIT 1000) q;
SELECT i FROM t ORDER BY v <-> '[50.2,0]' LIMIT 1000 OFFSET 198;
SELECT i FROM t ORDER BY v <-> '[50.2,0]' FETCH FIRST 2 ROWS WITH TIES;
SET hnsw.custom_scan = off;
SELECT i FROM t WHERE category = 7 ORDER BY v <-> '[50.2,0]' LIMIT 4;
SELECT i FROM t WHERE v <-> '[50.2,0]' < 2 ORDER BY v <-> '[50.2,0]' LIMIT 10;
SELECT i, v <-> '[50.2,0]' < 1 AS near FROM t ORDER BY v <-> '[50.2,0]' OFFSET 100 LIMIT 3;
SELECT count(*), count(DISTINCT i), sum(i) FROM (SELECT i FROM t ORDER BY v <-> '[50.2,0]' LIMIT 1000) q;
SELECT i FROM t ORDER BY v <-> '[50.2,0]' LIMIT 1000 OFFSET 198;
SELECT i FROM t ORDER BY v <-> '[50.2,0]' FETCH FIRST 2 ROWS WITH TIES;
RESET hnsw.custom_scan;
-- all of them are sorted
SELECT i FROM t ORDER BY v <-> '[50.2,0]' LIMIT NULL OFFSET 198;

-- the operator and its function, and what commutes
EXPLAIN (COSTS OFF) SELECT i FROM t ORDER BY '[50.2,0]'::vector <-> v LIMIT 2;
SELECT i FROM t ORDER BY '[50.2,0]'::vector <-> v LIMIT 2;
SET hnsw.custom_scan = off;
EXPLAIN (COSTS OFF) SELECT i FROM t ORDER BY '[50.2,0]'::vector <-> v LIMIT 2;
SELECT i FROM t ORDER BY '[50.2,0]'::vector <-> v LIMIT 2;
RESET hnsw.custom_scan;

-- ---------------------------------------------------------------- statements that wait for their parameters

SET plan_cache_mode = force_generic_plan;
PREPARE nearest(vector, int) AS SELECT i FROM t WHERE category = $2 ORDER BY v <-> $1 LIMIT 2;
EXPLAIN (COSTS OFF) EXECUTE nearest('[50.2,0]', 1);
EXECUTE nearest('[50.2,0]', 1);
EXECUTE nearest('[150.2,0]', 2);
CREATE TEMP TABLE found AS EXECUTE nearest(NULL, 2);
SELECT count(*) FROM found;
DROP TABLE found;
PREPARE few(int) AS SELECT i FROM t ORDER BY v <-> '[50.2,0]' LIMIT $1;
EXECUTE few(1);
EXECUTE few(0);
EXECUTE few(3);
DEALLOCATE ALL;
SET hnsw.custom_scan = off;
PREPARE nearest(vector, int) AS SELECT i FROM t WHERE category = $2 ORDER BY v <-> $1 LIMIT 2;
EXPLAIN (COSTS OFF) EXECUTE nearest('[50.2,0]', 1);
EXECUTE nearest('[50.2,0]', 1);
EXECUTE nearest('[150.2,0]', 2);
CREATE TEMP TABLE found AS EXECUTE nearest(NULL, 2);
SELECT count(*) FROM found;
DROP TABLE found;
PREPARE few(int) AS SELECT i FROM t ORDER BY v <-> '[50.2,0]' LIMIT $1;
EXECUTE few(1);
EXECUTE few(0);
EXECUTE few(3);
DEALLOCATE ALL;
RESET hnsw.custom_scan;
RESET plan_cache_mode;

CREATE FUNCTION nearest(q vector) RETURNS SETOF int LANGUAGE plpgsql STABLE AS
    $$ BEGIN RETURN QUERY SELECT i FROM t ORDER BY v <-> q LIMIT 2; END $$;
SELECT q, nearest(ARRAY[q + 0.2, 0]::vector) FROM generate_series(10, 100, 45) q;
DROP FUNCTION nearest;

-- ---------------------------------------------------------------- subqueries and joins

SELECT i FROM t ORDER BY v <-> (SELECT v FROM t WHERE i = 70) LIMIT 1;
SELECT i FROM t ORDER BY v <-> (SELECT v FROM t WHERE i = 1000) LIMIT 0;
SELECT count(*) FROM (SELECT i FROM t ORDER BY v <-> (SELECT v FROM t WHERE i = 1000) LIMIT 3) q;
EXPLAIN (COSTS OFF) SELECT q.i, n.i FROM (VALUES (1, '[10.2,0]'::vector), (2, '[99.8,0]'), (3, NULL)) q(i, v), LATERAL (SELECT t.i FROM t ORDER BY t.v <-> q.v LIMIT 2) n;
SELECT q.i, n.i FROM (VALUES (1, '[10.2,0]'::vector), (2, '[99.8,0]'), (4, '[0,0]')) q(i, v), LATERAL (SELECT t.i FROM t ORDER BY t.v <-> q.v LIMIT 2) n;
SELECT q.i, count(n.i) FROM (VALUES (1, '[10.2,0]'::vector), (2, NULL), (3, '[99.8,0]')) q(i, v) LEFT JOIN LATERAL (SELECT t.i FROM t ORDER BY t.v <-> q.v LIMIT 2) n ON true GROUP BY q.i ORDER BY q.i;
SET hnsw.custom_scan = off;
EXPLAIN (COSTS OFF) SELECT q.i, n.i FROM (VALUES (1, '[10.2,0]'::vector), (2, '[99.8,0]'), (3, NULL)) q(i, v), LATERAL (SELECT t.i FROM t ORDER BY t.v <-> q.v LIMIT 2) n;
SELECT q.i, n.i FROM (VALUES (1, '[10.2,0]'::vector), (2, '[99.8,0]'), (4, '[0,0]')) q(i, v), LATERAL (SELECT t.i FROM t ORDER BY t.v <-> q.v LIMIT 2) n;
SELECT q.i, count(n.i) FROM (VALUES (1, '[10.2,0]'::vector), (2, NULL), (3, '[99.8,0]')) q(i, v) LEFT JOIN LATERAL (SELECT t.i FROM t ORDER BY t.v <-> q.v LIMIT 2) n ON true GROUP BY q.i ORDER BY q.i;
RESET hnsw.custom_scan;
-- each row's nearest other one
SELECT a.i, b.i FROM t a, LATERAL (SELECT i FROM t WHERE i <> a.i ORDER BY v <-> a.v + '[0.1,0]' LIMIT 1) b WHERE a.i BETWEEN 20 AND 23 ORDER BY a.i;
SELECT count(*) FROM t a, LATERAL (SELECT i FROM t ORDER BY v <-> a.v LIMIT 1) b WHERE a.i = b.i AND a.v IS NOT NULL;
SET hnsw.custom_scan = off;
SELECT count(*) FROM t a, LATERAL (SELECT i FROM t ORDER BY v <-> a.v LIMIT 1) b WHERE a.i = b.i AND a.v IS NOT NULL;
RESET hnsw.custom_scan;
SELECT DISTINCT ON (category) category, i FROM (SELECT category, i, v <-> '[50.2,0]' AS d FROM t ORDER BY v <-> '[50.2,0]' LIMIT 10) q ORDER BY category, d;
WITH near AS MATERIALIZED (SELECT i, v FROM t ORDER BY v <-> '[50.2,0]' LIMIT 5) SELECT i FROM near WHERE i % 2 = 0 ORDER BY i;
SELECT i FROM (SELECT i, v FROM t ORDER BY v <-> '[50.2,0]' LIMIT 3) q UNION ALL (SELECT i FROM t ORDER BY v <-> '[150.2,0]' LIMIT 2);
SELECT row_number() OVER (ORDER BY v <-> '[50.2,0]'), i FROM t ORDER BY v <-> '[50.2,0]' LIMIT 3;
SELECT ARRAY(SELECT i FROM t ORDER BY v <-> '[50.2,0]' LIMIT 3), EXISTS (SELECT FROM t ORDER BY v <-> '[50.2,0]');
WITH changed AS (UPDATE t SET category = 9 WHERE i IN (SELECT i FROM t ORDER BY v <-> '[50.2,0]' LIMIT 3) RETURNING i) SELECT i FROM changed ORDER BY i;
SELECT i FROM t WHERE category = 9 ORDER BY v <-> '[0,0]' LIMIT 5;
SELECT i FROM t ORDER BY v <-> '[50.2,0]' LIMIT 2 FOR UPDATE;

-- ---------------------------------------------------------------- cursors

-- Of the plain index scan, which searches while rows are fetched. (Of the custom scan: test/tap/hnsw_custom_scan.sql.)
SET hnsw.custom_scan = off;
BEGIN;
DECLARE c CURSOR FOR SELECT i FROM t ORDER BY v <-> '[50.2,0]' LIMIT 1000;
FETCH 3 FROM c;
MOVE 100 IN c;
FETCH 2 FROM c;
MOVE FORWARD ALL IN c;
FETCH 1 FROM c;
COMMIT;
BEGIN;
DECLARE c NO SCROLL CURSOR FOR SELECT i FROM t ORDER BY v <-> '[50.2,0]' LIMIT 1000;
FETCH 1 FROM c;
FETCH BACKWARD 1 FROM c;
ROLLBACK;
-- backwards: the plan keeps what it has returned
EXPLAIN (COSTS OFF) DECLARE c SCROLL CURSOR FOR SELECT i FROM t ORDER BY v <-> '[50.2,0]' LIMIT 1000;
SET hnsw.custom_scan = on;
EXPLAIN (COSTS OFF) DECLARE c SCROLL CURSOR FOR SELECT i FROM t ORDER BY v <-> '[50.2,0]' LIMIT 1000;
SET hnsw.custom_scan = off;
BEGIN;
DECLARE c SCROLL CURSOR FOR SELECT i FROM t ORDER BY v <-> '[50.2,0]' LIMIT 1000;
FETCH 3 FROM c;
FETCH BACKWARD 2 FROM c;
FETCH ABSOLUTE 5 FROM c;
FETCH LAST FROM c;
FETCH FIRST FROM c;
COMMIT;
-- two at a time
BEGIN;
DECLARE a CURSOR FOR SELECT i FROM t ORDER BY v <-> '[50.2,0]' LIMIT 1000;
DECLARE b CURSOR FOR SELECT i FROM t ORDER BY v <-> '[150.2,0]' LIMIT 1000;
FETCH 2 FROM a;
FETCH 2 FROM b;
FETCH 2 FROM a;
FETCH 2 FROM b;
-- and other settings meanwhile
SET LOCAL hnsw.ef_search = 1;
SET LOCAL hnsw.iterative_scan = relaxed_order;
SELECT count(*) FROM t;
FETCH 2 FROM a;
COMMIT;
-- what a cursor sees does not change
BEGIN;
DECLARE c CURSOR FOR SELECT i FROM t ORDER BY v <-> '[50.2,0]' LIMIT 1000;
FETCH 1 FROM c;
DELETE FROM t WHERE i BETWEEN 40 AND 60;
INSERT INTO t SELECT i, 0, ARRAY[50.2, 0] FROM generate_series(1001, 1010) i;
FETCH 3 FROM c;
SELECT count(*) FROM (SELECT i FROM t ORDER BY v <-> '[50.2,0]' LIMIT 10) q WHERE i > 1000;
ROLLBACK;
DECLARE held CURSOR WITH HOLD FOR SELECT i FROM t WHERE category = 9 ORDER BY v <-> '[50.2,0]' LIMIT 3;
FETCH 1 FROM held;
FETCH ALL FROM held;
CLOSE held;
DO $$
DECLARE
    found int[] := '{}';
    row record;
BEGIN
    FOR row IN SELECT i FROM t ORDER BY v <-> '[50.2,0]' LIMIT 1000 LOOP
        found := found || row.i;
        EXIT WHEN cardinality(found) = 4;
    END LOOP;
    RAISE NOTICE '%', found;
END $$;
RESET hnsw.custom_scan;

-- ---------------------------------------------------------------- snapshots

BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT i FROM t ORDER BY v <-> '[50.2,0]' LIMIT 1;
COMMIT;
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT i FROM t ORDER BY v <-> '[50.2,0]' LIMIT 1;
INSERT INTO t VALUES (300, 0, '[50.2,0]');
SELECT i FROM t ORDER BY v <-> '[50.2,0]' LIMIT 1;
SAVEPOINT s;
DELETE FROM t WHERE i = 300;
SELECT i FROM t ORDER BY v <-> '[50.2,0]' LIMIT 1;
ROLLBACK TO s;
SELECT i FROM t ORDER BY v <-> '[50.2,0]' LIMIT 1;
ROLLBACK;
SELECT i FROM t ORDER BY v <-> '[50.2,0]' LIMIT 1;
DROP TABLE t;

-- ---------------------------------------------------------------- distances that nobody reads

-- The order is the index's: the hidden distance is not computed again.
-- (i / 2 is shown, for each vector is there twice.)
CREATE TABLE t (i int, v vector(2), w vector(2));
INSERT INTO t SELECT i, ARRAY[i / 2, 0], ARRAY[i, 0] FROM generate_series(1, 100) i;
CREATE INDEX t_hnsw ON t USING hnsw (v vector_l2_ops);
CREATE INDEX t_w_hnsw ON t USING hnsw (w vector_l2_ops);
CREATE FUNCTION distances(query text) RETURNS numeric LANGUAGE plpgsql AS $$
DECLARE
    plan jsonb;
BEGIN
    EXECUTE 'EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF, FORMAT json) ' || query INTO plan;
    RETURN (SELECT sum(n::int) FROM jsonb_path_query(plan, 'strict $.**."Distances Computed"') n);
END $$;
SELECT distances($$SELECT i FROM t ORDER BY w <-> '[20.3,0]' LIMIT 3$$) AS plain, distances($$SELECT count(*) FROM (SELECT FROM t ORDER BY w <-> '[20.3,0]' LIMIT 3) q$$) AS counted,
    distances($$(SELECT i FROM t ORDER BY w <-> '[20.3,0]' LIMIT 2) UNION ALL (SELECT i FROM t ORDER BY w <-> '[3.3,0]' LIMIT 2)$$) AS united,
    distances($$SELECT x.i, (SELECT array_agg(y.i) FROM (SELECT i FROM t ORDER BY t.w <-> x.w + '[0.3,0]' LIMIT 2) y) FROM t x WHERE i IN (10, 30)$$) AS lateral,
    distances($$CREATE TEMP TABLE x AS SELECT i FROM t ORDER BY w <-> '[20.3,0]' LIMIT 2$$) AS stored;
SELECT i / 2 AS half FROM t ORDER BY v <-> '[20.3,0]' LIMIT 3;
SELECT a.i / 2 AS half, b.i - a.i AS next FROM t a, t b WHERE b.i = a.i + 1 ORDER BY a.v <-> '[20.3,0]' LIMIT 3;
-- whoever reads it gets it
SELECT distances($$SELECT w <-> '[20.3,0]' AS d FROM t ORDER BY d LIMIT 3$$) AS shown, distances($$SELECT i FROM t ORDER BY w <-> '[20.3,0]' FETCH FIRST 3 ROWS WITH TIES$$) AS ties,
    distances($$SELECT i FROM t ORDER BY w <-> '[20.3,0]', i LIMIT 3$$) AS second_key, distances($$SELECT i FROM t ORDER BY w <-> '[20.3,0]' LIMIT 3 FOR UPDATE$$) AS locked,
    distances($$SELECT d FROM (SELECT w <-> '[20.3,0]' AS d FROM t ORDER BY d LIMIT 3) q$$) AS outside;
EXPLAIN (VERBOSE, COSTS OFF) SELECT v <-> '[20.3,0]' AS d FROM t ORDER BY d LIMIT 3;
SELECT v <-> '[20.3,0]' AS d FROM t ORDER BY d LIMIT 3;
SELECT i / 2 AS half FROM t ORDER BY v <-> '[20.3,0]' FETCH FIRST 3 ROWS WITH TIES;
SELECT i FROM t ORDER BY v <-> '[20.3,0]', i LIMIT 3;
SELECT i, rank() OVER (ORDER BY v <-> '[20.3,0]') FROM t ORDER BY v <-> '[20.3,0]', i LIMIT 3;
SELECT i / 2 AS half FROM t ORDER BY v <-> '[20.3,0]' LIMIT 3 FOR UPDATE;
(SELECT i / 2 AS half FROM t ORDER BY v <-> '[20.3,0]' LIMIT 2) UNION ALL (SELECT i / 2 FROM t ORDER BY v <-> '[3,0]' LIMIT 2);
SELECT x.i, (SELECT array_agg(y.i) FROM (SELECT i / 2 AS i FROM t ORDER BY t.v <-> x.v LIMIT 2) y) FROM t x WHERE i IN (10, 30) ORDER BY 1;
INSERT INTO t (i) SELECT i + 1000 FROM t ORDER BY v <-> '[20.3,0]' LIMIT 2;
SELECT i, v FROM t WHERE i > 1000 ORDER BY i;
DECLARE c CURSOR WITH HOLD FOR SELECT i / 2 AS half FROM t ORDER BY v <-> '[20.3,0]' LIMIT 100;
FETCH 2 FROM c;
CLOSE c;
DROP FUNCTION distances;
DROP TABLE t, x;
