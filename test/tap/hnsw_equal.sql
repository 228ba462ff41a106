-- 100,000 equal vectors, by both scans. (A quadratic build, insert or vacuum of them would run into the suite's time
-- limit.)
\ir hnsw_data.psql
SET client_min_messages = warning;
SET enable_seqscan = off;
SET work_mem = '64MB';
SELECT plan(28);

CREATE TABLE scans AS SELECT unnest(ARRAY['plain', 'graph']) AS scan;

CREATE TABLE points (i int, v vector(3));
INSERT INTO points SELECT i, '[1,2,3]' FROM generate_series(1, 50000) i;
SELECT index_points('vector_l2_ops') \g /dev/null
INSERT INTO points SELECT i, '[1,2,3]' FROM generate_series(50001, 100000) i;
SELECT must_use_index($$ SELECT i FROM points ORDER BY v <-> '[1,2,3]' LIMIT 200000 $$) FROM scans WHERE use_scan(scan) <> '' \g /dev/null
SELECT results_eq($$ SELECT count(*)::int, count(DISTINCT i)::int, sum(d) FROM (SELECT i, v <-> '[1,2,4]' AS d FROM points ORDER BY v <-> '[1,2,4]' LIMIT 200000) q $$, 'VALUES (100000, 100000, 100000::float8)', 'each is found once: ' || use_scan(scan)) FROM scans;
SELECT results_eq($$ SELECT count(*)::int FROM (SELECT FROM points ORDER BY v <-> '[1,2,3]' LIMIT 10) q $$, 'VALUES (10)', 'a few of them: ' || use_scan(scan)) FROM scans;
SELECT set_eq($$ SELECT i FROM points WHERE i IN (77, 77777) ORDER BY v <-> '[1,2,3]' LIMIT 2 $$, 'VALUES (77), (77777)', 'some of them: ' || use_scan(scan)) FROM scans;
INSERT INTO points VALUES (0, '[1,2,3.5]');
SELECT results_eq($$ SELECT i FROM points ORDER BY v <-> '[1,2,5]' LIMIT 1 $$, 'VALUES (0)', 'a nearer one: ' || use_scan(scan)) FROM scans;
SELECT results_eq($$ SELECT i FROM points ORDER BY v <-> '[1,2,0]' OFFSET 100000 LIMIT 1 $$, 'VALUES (0)', 'or the farthest: ' || use_scan(scan)) FROM scans;
SELECT is_empty($$ SELECT * FROM hnsw_index_check('points_hnsw', true) $$, 'the index is as it should be');
SELECT cmp_ok(pg_relation_size('points_hnsw'), '<', 2000000::bigint, 'and small');
DELETE FROM points WHERE i % 2 = 1;
SELECT results_eq($$ SELECT count(*)::int, count(DISTINCT i)::int FROM (SELECT i FROM points ORDER BY v <-> '[1,2,4]' LIMIT 200000) q $$, 'VALUES (50001, 50001)', 'without half of them: ' || use_scan(scan)) FROM scans;
VACUUM points;
SELECT results_eq($$ SELECT count(*)::int, count(DISTINCT i)::int, sum(i % 2)::int FROM (SELECT i FROM points ORDER BY v <-> '[1,2,4]' LIMIT 200000) q $$, 'VALUES (50001, 50001, 0)', 'after vacuum: ' || use_scan(scan)) FROM scans;
SELECT is_empty($$ SELECT * FROM hnsw_index_check('points_hnsw', true) $$, 'the index is as it should be after vacuum');
DELETE FROM points WHERE i > 0;
VACUUM points;
SELECT results_eq($$ SELECT i FROM points ORDER BY v <-> '[1,2,4]' LIMIT 200000 $$, 'VALUES (0)', 'all went but one: ' || use_scan(scan)) FROM scans;
SELECT is_empty($$ SELECT * FROM hnsw_index_check('points_hnsw', true) $$, 'the index is as it should be without them');

-- equal to the index, not to the operator: they differ by less than its halves tell
DROP TABLE points;
CREATE TABLE points AS SELECT i, ARRAY[1 + i * 1e-6, 1000, 1000]::vector(3) AS v FROM generate_series(0, 1999) i;
SELECT index_points('vector_l2_ops') \g /dev/null
SELECT results_eq($$ SELECT i FROM points ORDER BY v <-> '[1.0003,1000,1000]' LIMIT 1 $$, 'VALUES (300)', 'the nearest of many near ones: ' || use_scan(scan)) FROM scans;
SELECT results_eq($$ SELECT i FROM points ORDER BY v <-> '[0,1000,1000]' LIMIT 5 $$, 'VALUES (0), (1), (2), (3), (4)', 'they are in order: ' || use_scan(scan)) FROM scans;
SELECT results_eq($$ SELECT count(*)::int, count(DISTINCT i)::int FROM (SELECT i FROM points ORDER BY v <-> '[0,1000,1000]' LIMIT 200000) q $$, 'VALUES (2000, 2000)', 'and all there: ' || use_scan(scan)) FROM scans;
-- of one direction
CREATE TABLE rays AS SELECT i, ARRAY[i, 2 * i, 3 * i]::vector(3) AS v FROM generate_series(1, 2000) i;
DROP TABLE points;
ALTER TABLE rays RENAME TO points;
SELECT index_points('vector_cosine_ops') \g /dev/null
SELECT results_eq($$ SELECT count(*)::int, count(DISTINCT i)::int, count(*) FILTER (WHERE d < before)::int
    FROM (SELECT i, d, lag(d) OVER (ORDER BY n) AS before FROM (SELECT i, d, row_number() OVER () AS n FROM (SELECT i, v <=> '[1,2,3.5]' AS d FROM points ORDER BY v <=> '[1,2,3.5]' LIMIT 200000) a) b) c $$,
    'VALUES (2000, 2000, 0)', 'one direction, in the order of the operator: ' || use_scan(scan)) FROM scans;

SELECT finish();
