-- Rows that come, change and go; indexes that are built again; kinds of tables.
LOAD 'omendb';
SET enable_seqscan = off;
-- of tables so small a custom scan would rather sort the rows
SET hnsw.scan_strategy = graph;
CREATE TABLE t (i int PRIMARY KEY, v vector(2), note text);
CREATE INDEX t_hnsw ON t USING hnsw (v vector_l2_ops);
INSERT INTO t SELECT i, ARRAY[i, 0] FROM generate_series(1, 200) i;

-- ---------------------------------------------------------------- one by one

SELECT i FROM t ORDER BY v <-> '[50.2,0]' LIMIT 3;
UPDATE t SET v = '[50.3,0]' WHERE i = 150;
SELECT i FROM t ORDER BY v <-> '[50.2,0]' LIMIT 3;
-- another column: the same vector at another place
UPDATE t SET note = 'x' WHERE i IN (50, 150);
SELECT i, note FROM t ORDER BY v <-> '[50.2,0]' LIMIT 3;
UPDATE t SET v = NULL WHERE i = 150;
SELECT i FROM t ORDER BY v <-> '[50.2,0]' LIMIT 3;
UPDATE t SET v = '[50.3,0]' WHERE i = 150;
DELETE FROM t WHERE i = 50;
SELECT i FROM t ORDER BY v <-> '[50.2,0]' LIMIT 3;
BEGIN;
DELETE FROM t WHERE i = 150;
INSERT INTO t VALUES (50, '[50,0]');
SELECT i FROM t ORDER BY v <-> '[50.2,0]' LIMIT 3;
ROLLBACK;
SELECT i FROM t ORDER BY v <-> '[50.2,0]' LIMIT 3;
INSERT INTO t VALUES (150, '[0,0]') ON CONFLICT (i) DO UPDATE SET v = EXCLUDED.v;
SELECT i FROM t ORDER BY v <-> '[0,0]' LIMIT 2;
-- many of one vector
INSERT INTO t SELECT i, '[0,0.5]' FROM generate_series(1001, 1100) i;
SELECT count(*), count(DISTINCT i) FROM (SELECT i FROM t WHERE i > 1000 ORDER BY v <-> '[0,0.5]' LIMIT 1000) q;
SELECT count(*), min(i) FROM (SELECT i FROM t ORDER BY v <-> '[0,0.5]' LIMIT 100) q;

-- ---------------------------------------------------------------- vacuum

DELETE FROM t WHERE i % 2 = 1;
VACUUM t;
SELECT * FROM hnsw_index_check('t_hnsw', true);
SELECT i FROM t WHERE i < 1000 ORDER BY v <-> '[50.2,0]' LIMIT 3;
SELECT count(*), count(DISTINCT i) FROM (SELECT i FROM t ORDER BY v <-> '[50.2,0]' LIMIT 1000) q;
SET hnsw.custom_scan = off; -- never reads the table
SELECT count(*), count(DISTINCT i) FROM (SELECT i FROM t ORDER BY v <-> '[50.2,0]' LIMIT 1000) q;
RESET hnsw.custom_scan;
SELECT reltuples FROM pg_class WHERE relname = 't_hnsw';
INSERT INTO t SELECT i, ARRAY[i, 0] FROM generate_series(1, 199, 2) i;
SELECT i FROM t WHERE i < 1000 ORDER BY v <-> '[50.2,0]' LIMIT 3;
SELECT * FROM hnsw_index_check('t_hnsw', true);
DO $$ BEGIN
    FOR n IN 1..4 LOOP
        DELETE FROM t WHERE i <= 100;
        INSERT INTO t SELECT i + n * 10000, ARRAY[i + n / 7.0, 0] FROM generate_series(1, 100) i;
        DELETE FROM t WHERE i > 10000;
        INSERT INTO t SELECT i, ARRAY[i, 0] FROM generate_series(1, 100) i;
    END LOOP;
END $$;
VACUUM t;
SELECT * FROM hnsw_index_check('t_hnsw', true);
-- the places of the dead ones are used again
SELECT pg_relation_size('t_hnsw') AS size \gset
DELETE FROM t WHERE i <= 100;
VACUUM t;
INSERT INTO t SELECT i, ARRAY[i, 0] FROM generate_series(1, 100) i;
SELECT pg_relation_size('t_hnsw') = :size AS same;
SELECT count(*), count(DISTINCT i) FROM (SELECT i FROM t ORDER BY v <-> '[50.2,0]' LIMIT 1000) q;
SET hnsw.custom_scan = off; -- never reads the table
SELECT count(*), count(DISTINCT i) FROM (SELECT i FROM t ORDER BY v <-> '[50.2,0]' LIMIT 1000) q;
RESET hnsw.custom_scan;
-- everything
DELETE FROM t;
SELECT i FROM t ORDER BY v <-> '[50.2,0]' LIMIT 3;
VACUUM t;
SELECT i FROM t ORDER BY v <-> '[50.2,0]' LIMIT 3;
SELECT * FROM hnsw_index_check('t_hnsw', true);
INSERT INTO t SELECT i, ARRAY[i, 0] FROM generate_series(1, 10) i;
SELECT i FROM t ORDER BY v <-> '[5.2,0]' LIMIT 3;
VACUUM FULL t;
SELECT i FROM t ORDER BY v <-> '[5.2,0]' LIMIT 3;
VACUUM (INDEX_CLEANUP off) t;
DELETE FROM t WHERE i = 5;
VACUUM (INDEX_CLEANUP off) t;
SELECT i FROM t ORDER BY v <-> '[5.2,0]' LIMIT 3;
VACUUM (PARALLEL 2, INDEX_CLEANUP on) t;
SELECT i FROM t ORDER BY v <-> '[5.2,0]' LIMIT 3;
ANALYZE t;
TRUNCATE t;
SELECT i FROM t ORDER BY v <-> '[5.2,0]' LIMIT 3;
INSERT INTO t SELECT i, ARRAY[i, 0] FROM generate_series(1, 100) i;
BEGIN;
TRUNCATE t;
INSERT INTO t VALUES (1, '[1,1]');
SELECT i FROM t ORDER BY v <-> '[5.2,0]' LIMIT 3;
ROLLBACK;
SELECT i FROM t ORDER BY v <-> '[5.2,0]' LIMIT 3;

-- ---------------------------------------------------------------- built again

REINDEX INDEX t_hnsw;
SELECT i FROM t ORDER BY v <-> '[5.2,0]' LIMIT 3;
REINDEX INDEX CONCURRENTLY t_hnsw;
SELECT i FROM t ORDER BY v <-> '[5.2,0]' LIMIT 3;
REINDEX TABLE CONCURRENTLY t;
CREATE INDEX CONCURRENTLY t_ip_hnsw ON t USING hnsw (v vector_ip_ops);
SELECT i FROM t ORDER BY v <#> '[1,0]' LIMIT 3;
CREATE INDEX t_part_hnsw ON t USING hnsw (v vector_cosine_ops) WHERE i <= 10;
EXPLAIN (COSTS OFF) SELECT i FROM t WHERE i <= 10 ORDER BY v <=> '[1,0]' LIMIT 3;
SELECT count(*) FROM (SELECT FROM t WHERE i <= 10 ORDER BY v <=> '[1,0]' LIMIT 1000) q;
SET hnsw.custom_scan = off;
SELECT count(*) FROM (SELECT FROM t WHERE i <= 10 ORDER BY v <=> '[1,0]' LIMIT 1000) q;
RESET hnsw.custom_scan;
UPDATE t SET i = i + 1000 WHERE i <= 5;
SELECT count(*) FROM (SELECT FROM t WHERE i <= 10 ORDER BY v <=> '[1,0]' LIMIT 1000) q;
SET hnsw.custom_scan = off;
SELECT count(*) FROM (SELECT FROM t WHERE i <= 10 ORDER BY v <=> '[1,0]' LIMIT 1000) q;
RESET hnsw.custom_scan;
ALTER TABLE t ADD COLUMN more int DEFAULT 7;
ALTER TABLE t ALTER COLUMN more TYPE bigint;
SELECT i FROM t ORDER BY v <-> '[8.2,0]' LIMIT 3;
ALTER TABLE t ALTER COLUMN v TYPE vector(2) USING v + '[1,0]';
SELECT i FROM t ORDER BY v <-> '[8.2,0]' LIMIT 3;
ALTER TABLE t DROP COLUMN v;
SELECT count(*) FROM pg_index WHERE indrelid = 't'::regclass;
DROP TABLE t;
-- a build that fails leaves nothing
CREATE TABLE t (i int, v vector);
INSERT INTO t SELECT i, ARRAY[i, 0] FROM generate_series(1, 100) i;
INSERT INTO t VALUES (101, '[1,2,3]');
CREATE INDEX t_hnsw ON t USING hnsw ((v::vector(2)) vector_l2_ops);
CREATE INDEX CONCURRENTLY t_hnsw ON t USING hnsw ((v::vector(2)) vector_l2_ops);
SELECT indisvalid FROM pg_index WHERE indrelid = 't'::regclass;
DELETE FROM t WHERE i = 101;
REINDEX INDEX CONCURRENTLY t_hnsw;
SELECT indisvalid FROM pg_index WHERE indrelid = 't'::regclass;
SELECT i FROM t ORDER BY v::vector(2) <-> '[5.2,0]' LIMIT 2;
DROP TABLE t;
-- memory for a few rows only: the others are inserted
CREATE TABLE t AS SELECT i, ARRAY[i, i % 10]::vector(2) AS v FROM generate_series(1, 6000) i;
SET maintenance_work_mem = '1MB';
SET client_min_messages = warning;
CREATE INDEX t_hnsw ON t USING hnsw (v vector_l2_ops);
RESET client_min_messages;
RESET maintenance_work_mem;
SELECT * FROM hnsw_index_check('t_hnsw', true);
SELECT i FROM t ORDER BY v <-> '[5000.2,0]' LIMIT 2;
DROP TABLE t;

-- ---------------------------------------------------------------- kinds of tables

CREATE UNLOGGED TABLE t (i int, v vector(2));
CREATE INDEX t_hnsw ON t USING hnsw (v vector_l2_ops);
INSERT INTO t SELECT i, ARRAY[i, 0] FROM generate_series(1, 50) i;
SELECT i FROM t ORDER BY v <-> '[5.2,0]' LIMIT 2;
ALTER TABLE t SET LOGGED;
SELECT i FROM t ORDER BY v <-> '[5.2,0]' LIMIT 2;
ALTER TABLE t SET UNLOGGED;
INSERT INTO t VALUES (51, '[5.2,0]');
SELECT i FROM t ORDER BY v <-> '[5.2,0]' LIMIT 2;
DROP TABLE t;

CREATE TEMP TABLE t (i int, v vector(2)) ON COMMIT DELETE ROWS;
CREATE INDEX t_hnsw ON t USING hnsw (v vector_l2_ops);
BEGIN;
INSERT INTO t SELECT i, ARRAY[i, 0] FROM generate_series(1, 50) i;
SELECT i FROM t ORDER BY v <-> '[5.2,0]' LIMIT 2;
COMMIT;
SELECT i FROM t ORDER BY v <-> '[5.2,0]' LIMIT 2;
DROP TABLE t;
CREATE TEMP TABLE t AS SELECT i, ARRAY[i, 0]::vector(2) AS v FROM generate_series(1, 50) i;
CREATE INDEX t_hnsw ON t USING hnsw (v vector_l2_ops);
DELETE FROM t WHERE i = 5;
VACUUM t;
SELECT i FROM t ORDER BY v <-> '[5.2,0]' LIMIT 2;
DROP TABLE t;

CREATE TABLE t (i int, v vector(2)) PARTITION BY RANGE (i);
CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0) TO (100);
CREATE INDEX t_hnsw ON t USING hnsw (v vector_l2_ops) WITH (m = 8);
CREATE TABLE t2 PARTITION OF t FOR VALUES FROM (100) TO (200);
CREATE TABLE t3 (i int, v vector(2));
INSERT INTO t3 SELECT i, ARRAY[i, 0] FROM generate_series(200, 299) i;
ALTER TABLE t ATTACH PARTITION t3 FOR VALUES FROM (200) TO (300);
INSERT INTO t SELECT i, ARRAY[i, 0] FROM generate_series(1, 199) i;
SELECT inhrelid::regclass, reloptions FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid WHERE inhparent = 't_hnsw'::regclass ORDER BY 1;
EXPLAIN (COSTS OFF) SELECT i FROM t ORDER BY v <-> '[99.4,0]' LIMIT 4;
SELECT i FROM t ORDER BY v <-> '[99.4,0]' LIMIT 4;
SELECT i FROM t WHERE i >= 200 ORDER BY v <-> '[99.4,0]' LIMIT 2;
UPDATE t SET i = 250 WHERE i = 99;
SELECT i FROM t ORDER BY v <-> '[99.4,0]' LIMIT 2;
DROP TABLE t1;
SELECT i FROM t ORDER BY v <-> '[99.4,0]' LIMIT 2;
DROP TABLE t;

CREATE TABLE parent (i int, v vector(2));
CREATE TABLE child () INHERITS (parent);
CREATE INDEX parent_hnsw ON parent USING hnsw (v vector_l2_ops);
CREATE INDEX child_hnsw ON child USING hnsw (v vector_l2_ops);
INSERT INTO parent VALUES (1, '[1,0]'), (3, '[3,0]');
INSERT INTO child VALUES (2, '[2,0]'), (4, '[4,0]');
SELECT i FROM parent ORDER BY v <-> '[0,0]' LIMIT 3;
DROP TABLE parent CASCADE;

CREATE MATERIALIZED VIEW t AS SELECT i, ARRAY[i, 0]::vector(2) AS v FROM generate_series(1, 50) i;
CREATE INDEX t_hnsw ON t USING hnsw (v vector_l2_ops);
SELECT i FROM t ORDER BY v <-> '[5.2,0]' LIMIT 2;
REFRESH MATERIALIZED VIEW t;
SELECT i FROM t ORDER BY v <-> '[5.2,0]' LIMIT 2;
DROP MATERIALIZED VIEW t;

-- With few edges, too, no change leaves a node that none leads to: a scan that
-- goes on to the end finds every row, wherever it begins, without a sweep.
CREATE TABLE t (i int, v vector(8));
CREATE INDEX t_hnsw ON t USING hnsw (v vector_l2_ops) WITH (m = 2, ef_construction = 4);
CREATE INDEX t_bit ON t USING hnsw ((binary_quantize(v)::bit(8)) bit_hamming_ops) WITH (m = 2, ef_construction = 4);
INSERT INTO t SELECT i, (SELECT array_agg(hashint4extended(i, n) % 1000 / 100.0) FROM generate_series(1, 8) n) FROM generate_series(1, 2000) i;
SELECT * FROM hnsw_index_check('t_hnsw', true);
SELECT * FROM hnsw_index_check('t_bit', true);
SET hnsw.ef_search = 10;
SET hnsw.exhaustive_scan = off;
SELECT DISTINCT (SELECT count(*) FROM (SELECT FROM t WHERE i > 0 ORDER BY v <-> q.v LIMIT 10000) x) FROM t q WHERE i % 20 = 0;
SELECT sweeps, table_reads, stopped_by FROM omendb_last_scan();
DELETE FROM t WHERE i % 20 = 1;
VACUUM t;
SELECT * FROM hnsw_index_check('t_hnsw', true);
SELECT * FROM hnsw_index_check('t_bit', true);
SELECT DISTINCT (SELECT count(*) FROM (SELECT FROM t WHERE i > 0 ORDER BY v <-> q.v LIMIT 10000) x) FROM t q WHERE i % 20 = 0;
SELECT sweeps, table_reads, stopped_by FROM omendb_last_scan();
DELETE FROM t WHERE i % 20 > 1;
VACUUM t;
SELECT * FROM hnsw_index_check('t_hnsw', true);
SELECT * FROM hnsw_index_check('t_bit', true);
SELECT DISTINCT (SELECT count(*) FROM (SELECT FROM t WHERE i > 0 ORDER BY v <-> q.v LIMIT 10000) x) FROM t q;
SET hnsw.custom_scan = off;
SELECT DISTINCT (SELECT count(*) FROM (SELECT FROM t WHERE i > 0 ORDER BY v <-> q.v LIMIT 10000) x) FROM t q;
SELECT sweeps, stopped_by FROM omendb_last_scan();
DROP TABLE t;
