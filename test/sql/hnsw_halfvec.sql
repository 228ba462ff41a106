-- hnsw indexes of halfvec.
SET enable_seqscan = off;

-- ---------------------------------------------------------------- each operator class: rows before the index

CREATE TABLE t (i int, v halfvec(3));
INSERT INTO t VALUES (1, '[0,0,0]'), (2, '[1,2,3]'), (3, '[1,1,1]'), (4, NULL), (5, '[-1,-2,-3]'), (6, '[1,2,4]'), (7, '[2,4,7]');

CREATE INDEX t_hnsw ON t USING hnsw (v halfvec_l2_ops);
EXPLAIN (COSTS OFF) SELECT i FROM t ORDER BY v <-> '[3,3,3]' LIMIT 2;
SELECT i, v, round((v <-> '[3,3,3]')::numeric, 4) AS distance FROM t ORDER BY v <-> '[3,3,3]';
SELECT count(*) FROM (SELECT FROM t ORDER BY v <-> NULL::halfvec) q;
DROP INDEX t_hnsw;

CREATE INDEX t_hnsw ON t USING hnsw (v halfvec_ip_ops);
SELECT i, v <#> '[3,3,3]' AS distance FROM t ORDER BY v <#> '[3,3,3]';
DROP INDEX t_hnsw;

CREATE INDEX t_hnsw ON t USING hnsw (v halfvec_cosine_ops);
SELECT i, round((v <=> '[1,1,2]')::numeric, 4) AS distance FROM t ORDER BY v <=> '[1,1,2]';
SELECT count(*), count(v <=> '[0,0,0]'), min(v <=> '[0,0,0]') FROM (SELECT v FROM t ORDER BY v <=> '[0,0,0]') q;
DROP INDEX t_hnsw;

CREATE INDEX t_hnsw ON t USING hnsw (v halfvec_l1_ops);
SELECT i, v <+> '[3,3,3]' AS distance FROM t ORDER BY v <+> '[3,3,3]';
DROP INDEX t_hnsw;
DROP TABLE t;

-- ---------------------------------------------------------------- each operator class: rows after the index

CREATE TABLE t (i int, v halfvec(2));
CREATE INDEX t_l2_hnsw ON t USING hnsw (v halfvec_l2_ops);
CREATE INDEX t_ip_hnsw ON t USING hnsw (v halfvec_ip_ops);
CREATE INDEX t_cosine_hnsw ON t USING hnsw (v halfvec_cosine_ops);
CREATE INDEX t_l1_hnsw ON t USING hnsw (v halfvec_l1_ops);
SELECT * FROM t ORDER BY v <-> '[1,2]';
INSERT INTO t SELECT i, ARRAY[i, i % 7] FROM generate_series(1, 100) i;
INSERT INTO t VALUES (0, '[0,0]'), (NULL, NULL), (101, '[50,1]');
SELECT * FROM (SELECT i, v <-> '[50,1]' AS distance FROM t ORDER BY v <-> '[50,1]' LIMIT 4) q ORDER BY distance, i;
SELECT i, v <#> '[1,0]' AS distance FROM t ORDER BY v <#> '[1,0]' LIMIT 4;
SELECT * FROM (SELECT i, round((v <=> '[50,1]')::numeric, 6) AS distance FROM t WHERE i > 92 ORDER BY v <=> '[50,1]' LIMIT 3) q ORDER BY distance, i;
SELECT * FROM (SELECT i, v <+> '[50,1]' AS distance FROM t ORDER BY v <+> '[50,1]' LIMIT 4) q ORDER BY distance, i;
SELECT count(*) FROM (SELECT FROM t ORDER BY v <-> '[50,1]') q;
SELECT count(*) FROM (SELECT FROM t ORDER BY v <=> '[50,1]') q;

SELECT * FROM t ORDER BY v <-> '[1,2,3]' LIMIT 1;
INSERT INTO t VALUES (1, '[1,2,3]');
DROP TABLE t;

-- ---------------------------------------------------------------- of a vector column, at half its size

CREATE TABLE t (i int, v vector(3));
INSERT INTO t SELECT i, ARRAY[i, 0, 1] FROM generate_series(1, 50) i;
CREATE INDEX t_hnsw ON t USING hnsw ((v::halfvec(3)) halfvec_l2_ops);
EXPLAIN (COSTS OFF) SELECT i FROM t ORDER BY v::halfvec(3) <-> '[20.2,0,1]' LIMIT 3;
SELECT i FROM t ORDER BY v::halfvec(3) <-> '[20.2,0,1]' LIMIT 3;
-- ordered again by the full vectors
SELECT i FROM (SELECT i, v FROM t ORDER BY v::halfvec(3) <-> '[20.2,0,1]' LIMIT 10) q ORDER BY v <-> '[20.2,0,1]' LIMIT 3;
DROP TABLE t;

-- ---------------------------------------------------------------- dimensions

CREATE TABLE t (v halfvec);
CREATE INDEX ON t USING hnsw (v halfvec_l2_ops);
CREATE INDEX ON t USING hnsw ((v::halfvec(2)) halfvec_l2_ops);
DROP TABLE t;
CREATE TABLE t (i int, v halfvec(16000));
CREATE INDEX t_hnsw ON t USING hnsw (v halfvec_cosine_ops);
INSERT INTO t SELECT i, array_fill(1, ARRAY[i * 2000])::halfvec || array_fill(-1, ARRAY[16000 - i * 2000])::halfvec FROM generate_series(1, 5) i;
SELECT i FROM t ORDER BY v <=> array_fill(1, ARRAY[16000])::halfvec LIMIT 3;
DROP TABLE t;
-- what only the other type's classes take
CREATE TABLE t (v halfvec(3));
CREATE INDEX ON t USING hnsw (v vector_l2_ops);
CREATE INDEX ON t USING hnsw (v);
DROP TABLE t;
