-- Spanning records: an index of sparsevecs that was created before its rows were known. Rows take the room that their own vectors
-- need, whatever comes first, and give it back.
SET client_min_messages = warning;
SET enable_seqscan = off;
SET hnsw.scan_strategy = graph;
-- as many as there are rows with few elements in common, which no graph leads to quickly
SET hnsw.ef_search = 1000;
SELECT plan(29);

-- A vector of n elements out of d dimensions. The same seed gives the same one.
CREATE FUNCTION made(seed bigint, n int, d int) RETURNS sparsevec LANGUAGE sql IMMUTABLE AS $$
    SELECT format('{%s}/%s', string_agg(format('%s:%s', at, 1 + (hashint8extended(seed, at) & 1023) / 256.0), ',' ORDER BY at), d)::sparsevec
    FROM (SELECT DISTINCT 1 + (hashint8extended(seed, k) & 2147483647) % d AS at FROM generate_series(1, n) k) q $$;
-- Rows of which a search by their own vector finds another one first.
CREATE FUNCTION lost() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE lost bigint := 0; r record; found int;
BEGIN
    FOR r IN SELECT id, v FROM t LOOP
        SELECT t.id INTO found FROM t ORDER BY t.v <-> r.v, t.id LIMIT 1;
        IF found <> r.id AND (SELECT t.v FROM t WHERE t.id = found) <> r.v THEN lost := lost + 1; END IF;
    END LOOP;
    RETURN lost;
END $$;
CREATE FUNCTION wrong(name text DEFAULT 't_v') RETURNS SETOF text LANGUAGE sql AS $$ SELECT problem FROM hnsw_index_check(name, true) $$;

-- ------------------------------------------------------------------ size beside a build

CREATE TABLE t (id int PRIMARY KEY, v sparsevec(64)) WITH (autovacuum_enabled = off);
CREATE INDEX t_v ON t USING hnsw (v sparsevec_l2_ops);
CREATE INDEX t_4 ON t USING hnsw (v sparsevec_l2_ops) WITH (m = 4);
INSERT INTO t SELECT i, made(i, 8, 64) FROM generate_series(1, 2000) i;
CREATE INDEX t_built ON t USING hnsw (v sparsevec_l2_ops);
CREATE INDEX t_built_4 ON t USING hnsw (v sparsevec_l2_ops) WITH (m = 4);
SELECT cmp_ok(pg_relation_size('t_v'), '<=', pg_relation_size('t_built') * 115 / 100, 'inserts make an index about as large as a build does');
SELECT cmp_ok(pg_relation_size('t_4'), '<=', pg_relation_size('t_built_4') * 135 / 100, 'also with few edges, where records are whole slots of 64 bytes');
SELECT results_eq($$ SELECT format_version, record_bytes FROM hnsw_index_info('t_v') $$, 'VALUES (5, 256)', 'records take four slots');
SELECT is((SELECT format_version FROM hnsw_index_info('t_built')), 4, 'a build of known rows has records of one size');
SELECT is_empty('SELECT wrong()', 'nothing is wrong');
SELECT is_empty($$ SELECT wrong('t_4') $$, 'nor there');
DROP INDEX t_built, t_built_4, t_4;
SELECT is(lost(), 0::bigint, 'every row is found');

-- ------------------------------------------------------------------ new vectors in all rows

CREATE TEMP TABLE sizes (bytes bigint);
INSERT INTO sizes VALUES (pg_relation_size('t_v'));
UPDATE t SET v = made(id + 10000, 8, 64);
VACUUM (INDEX_CLEANUP ON) t;
INSERT INTO sizes VALUES (pg_relation_size('t_v'));
UPDATE t SET v = made(id + 20000, 8, 64);
VACUUM (INDEX_CLEANUP ON) t;
UPDATE t SET v = made(id + 30000, 8, 64);
VACUUM (INDEX_CLEANUP ON) t;
INSERT INTO sizes VALUES (pg_relation_size('t_v'));
SELECT cmp_ok(max(bytes), '<=', 2 * min(bytes) + 5 * 8192, 'old and new vectors together: not more than twice the size') FROM sizes;
SELECT is_empty('SELECT wrong()', 'nothing is wrong after that');
SELECT is((SELECT dead_nodes FROM hnsw_index_info('t_v')), 0::bigint, 'no node is dead');
DROP TABLE t;

-- ------------------------------------------------------------------ vectors of all lengths

CREATE TABLE t (id int PRIMARY KEY, v sparsevec(30000)) WITH (autovacuum_enabled = off);
CREATE INDEX t_v ON t USING hnsw (v sparsevec_l2_ops);
INSERT INTO t SELECT i, made(i, 1 + i % 3, 30000) FROM generate_series(1, 300) i;
SELECT cmp_ok(pg_relation_size('t_v'), '<=', 20::bigint * 8192, 'short vectors');
-- the first is the longest that a page has room for, the last what a sparsevec may have
INSERT INTO t SELECT 1000 + n, ('{' || (SELECT string_agg(j || ':' || 1 + j % 7, ',') FROM generate_series(1, n) j) || '}/30000')::sparsevec
    FROM unnest(ARRAY[300, 1321, 1322, 1323, 16000]) n;
INSERT INTO t SELECT 20000 + i, made(i, i * i, 30000) FROM generate_series(4, 34) i;
SELECT is_empty('SELECT wrong()', 'long ones after short ones: nothing is wrong');
SELECT is(lost(), 0::bigint, 'every row is found');
SELECT is((SELECT count(*) FROM t), 336::bigint, 'every vector was taken');
-- lengths change, and change back
DO $$ BEGIN FOR round IN 1..2 LOOP UPDATE t SET v = made(id + round * 100000, 1 + (id * 7 + round * 13) % 200, 30000) WHERE id < 1000; END LOOP; END $$;
VACUUM (INDEX_CLEANUP ON) t;
SELECT is_empty('SELECT wrong()', 'other lengths: nothing is wrong');
TRUNCATE sizes;
INSERT INTO sizes VALUES (pg_relation_size('t_v'));
UPDATE t SET v = made(id + 400000, 1 + (id * 11) % 200, 30000);
VACUUM (INDEX_CLEANUP ON) t;
UPDATE t SET v = made(id + 500000, 1 + (id * 17) % 200, 30000);
VACUUM (INDEX_CLEANUP ON) t;
UPDATE t SET v = made(id + 600000, 1 + (id * 19) % 200, 30000);
VACUUM (INDEX_CLEANUP ON) t;
INSERT INTO sizes VALUES (pg_relation_size('t_v'));
SELECT cmp_ok(max(bytes), '<=', 2 * min(bytes), 'what vectors of other lengths leave is used again') FROM sizes;
SELECT is_empty('SELECT wrong()', 'nothing is wrong after that');
SELECT is(lost(), 0::bigint, 'every row is found');
DELETE FROM t;
VACUUM (INDEX_CLEANUP ON) t;
SELECT is((SELECT nodes FROM hnsw_index_info('t_v')), 0::bigint, 'all rows go');
TRUNCATE sizes;
INSERT INTO sizes VALUES (pg_relation_size('t_v'));
INSERT INTO t SELECT i, made(i, 100, 30000) FROM generate_series(1, 200) i;
SELECT is(pg_relation_size('t_v'), bytes, 'and others take their place') FROM sizes;
SELECT is_empty('SELECT wrong()', 'nothing is wrong then');
DROP TABLE t;

-- ------------------------------------------------------------------ COPY: rows of all lengths together

SELECT set_config('copy.file', current_setting('data_directory') || '/hnsw_spans.copy', false) IS NULL AS nothing \gset
CREATE TABLE t (id int PRIMARY KEY, v sparsevec(30000)) WITH (autovacuum_enabled = off);
CREATE INDEX t_v ON t USING hnsw (v sparsevec_l2_ops);
DO $$ BEGIN
    EXECUTE format('COPY (SELECT i, made(i, CASE WHEN i %% 25 = 0 THEN 40 * i ELSE 1 + i %% 90 END, 30000) FROM generate_series(1, 400) i) TO %L', current_setting('copy.file'));
    EXECUTE format('COPY t FROM %L', current_setting('copy.file'));
END $$;
SELECT results_eq($$ SELECT format_version, heap_tids FROM hnsw_index_info('t_v') $$, 'VALUES (5, 400::bigint)', 'COPY of 400 rows');
SELECT is_empty('SELECT wrong()', 'nothing is wrong after COPY');
SELECT is(lost(), 0::bigint, 'every row is found');
DROP TABLE t;

-- ------------------------------------------------------------------ few rows when the index is built; equal vectors

CREATE TABLE t (id int PRIMARY KEY, v sparsevec(1000)) WITH (autovacuum_enabled = off);
INSERT INTO t SELECT i, made(i, 1 + i % 150, 1000) FROM generate_series(1, 600) i;
INSERT INTO t SELECT 1000 + i, made(7, 8, 1000) FROM generate_series(1, 400) i;
CREATE INDEX t_v ON t USING hnsw (v sparsevec_l2_ops);
SELECT results_eq($$ SELECT format_version, overflow_records > 0, heap_tids FROM hnsw_index_info('t_v') $$, 'VALUES (4, true, 1000::bigint)', '1,000 rows are known');
DELETE FROM t WHERE id = 1400;
VACUUM t;
REINDEX INDEX t_v;
SELECT results_eq($$ SELECT format_version, overflow_records > 3, heap_tids FROM hnsw_index_info('t_v') $$, 'VALUES (5, true, 999::bigint)', '999 are not');
INSERT INTO t SELECT 2000 + i, made(7, 8, 1000) FROM generate_series(1, 400) i;
SELECT is_empty('SELECT wrong()', 'nothing is wrong after a build and inserts');
DELETE FROM t WHERE id > 1000;
VACUUM (INDEX_CLEANUP ON) t;
SELECT results_eq($$ SELECT overflow_records, heap_tids FROM hnsw_index_info('t_v') $$, 'VALUES (0::bigint, 600::bigint)', 'overflow records go with their rows');
SELECT is_empty('SELECT wrong()', 'nothing is wrong after vacuum');
SELECT finish();
