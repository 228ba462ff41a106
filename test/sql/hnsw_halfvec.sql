-- hnsw indexes of halfvec.
SET enable_seqscan = off;
LOAD 'omendb';
-- of tables so small a custom scan would rather sort the rows
SET hnsw.scan_strategy = graph;
-- Which scan of an hnsw index a query's plan has.
CREATE FUNCTION scan_of(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE line text;
BEGIN
    FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
        IF line ~ 'Index Scan using .*hnsw' THEN RETURN 'index scan'; END IF;
        IF line ~ 'Index: .*hnsw' THEN RETURN 'custom scan'; END IF;
    END LOOP;
    RETURN 'none';
END $$;
-- The rows of a query in order, by each of the two scans.
CREATE FUNCTION rows_by(scan text, query text) RETURNS TABLE (n bigint, found text) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('hnsw.custom_scan', (scan = 'custom scan')::text, true);
    IF scan_of(query) <> scan THEN RAISE EXCEPTION '%, not %: %', scan_of(query), scan, query; END IF;
    RETURN QUERY EXECUTE format('SELECT row_number() OVER (), q::text FROM (%s) q', query);
END $$;
CREATE FUNCTION by_both(query text) RETURNS TABLE (custom_scan text, index_scan text) LANGUAGE sql SET hnsw.custom_scan = on AS
    $$ SELECT c.found, i.found FROM rows_by('custom scan', query) c FULL JOIN rows_by('index scan', query) i USING (n) ORDER BY n $$;

-- ---------------------------------------------------------------- each operator class: rows before the index

CREATE TABLE t (i int, v halfvec(3));
INSERT INTO t VALUES (1, '[0,0,0]'), (2, '[1,2,3]'), (3, '[1,1,1]'), (4, NULL), (5, '[-1,-2,-3]'), (6, '[1,2,4]'), (7, '[2,4,7]');

CREATE INDEX t_hnsw ON t USING hnsw (v halfvec_l2_ops);
EXPLAIN (COSTS OFF) SELECT i FROM t ORDER BY v <-> '[3,3,3]' LIMIT 2;
SELECT * FROM by_both($$SELECT i, v, round((v <-> '[3,3,3]')::numeric, 4) AS distance FROM t ORDER BY v <-> '[3,3,3]' LIMIT 10$$);
SELECT count(*) FROM (SELECT FROM t ORDER BY v <-> NULL::halfvec) q;
DROP INDEX t_hnsw;

CREATE INDEX t_hnsw ON t USING hnsw (v halfvec_ip_ops);
SELECT * FROM by_both($$SELECT i, v <#> '[3,3,3]' AS distance FROM t ORDER BY v <#> '[3,3,3]' LIMIT 10$$);
DROP INDEX t_hnsw;

CREATE INDEX t_hnsw ON t USING hnsw (v halfvec_cosine_ops);
SELECT * FROM by_both($$SELECT i, round((v <=> '[1,1,2]')::numeric, 4) AS distance FROM t ORDER BY v <=> '[1,1,2]' LIMIT 10$$);
SELECT * FROM by_both($$SELECT count(*), count(v <=> '[0,0,0]'), min(v <=> '[0,0,0]') FROM (SELECT v FROM t ORDER BY v <=> '[0,0,0]' LIMIT 10) q$$);
DROP INDEX t_hnsw;

CREATE INDEX t_hnsw ON t USING hnsw (v halfvec_l1_ops);
SELECT * FROM by_both($$SELECT i, v <+> '[3,3,3]' AS distance FROM t ORDER BY v <+> '[3,3,3]' LIMIT 10$$);
DROP INDEX t_hnsw;
DROP TABLE t;

-- ---------------------------------------------------------------- each operator class: rows after the index

CREATE TABLE t (i int, v halfvec(2));
CREATE INDEX t_l2_hnsw ON t USING hnsw (v halfvec_l2_ops);
CREATE INDEX t_ip_hnsw ON t USING hnsw (v halfvec_ip_ops);
CREATE INDEX t_cosine_hnsw ON t USING hnsw (v halfvec_cosine_ops);
CREATE INDEX t_l1_hnsw ON t USING hnsw (v halfvec_l1_ops);
SELECT * FROM by_both($$SELECT * FROM t ORDER BY v <-> '[1,2]' LIMIT 10$$);
INSERT INTO t SELECT i, ARRAY[i, i % 7] FROM generate_series(1, 100) i;
INSERT INTO t VALUES (0, '[0,0]'), (NULL, NULL), (101, '[50,1]');
SELECT * FROM by_both($$SELECT * FROM (SELECT i, v <-> '[50,1]' AS distance FROM t ORDER BY v <-> '[50,1]' LIMIT 4) q ORDER BY distance, i$$);
SELECT * FROM by_both($$SELECT i, v <#> '[1,0]' AS distance FROM t ORDER BY v <#> '[1,0]' LIMIT 4$$);
SELECT * FROM by_both($$SELECT * FROM (SELECT i, round((v <=> '[50,1]')::numeric, 6) AS distance FROM t WHERE i > 92 ORDER BY v <=> '[50,1]' LIMIT 3) q ORDER BY distance, i$$);
SELECT * FROM by_both($$SELECT * FROM (SELECT i, v <+> '[50,1]' AS distance FROM t ORDER BY v <+> '[50,1]' LIMIT 4) q ORDER BY distance, i$$);
SELECT * FROM by_both($$SELECT count(*) FROM (SELECT FROM t ORDER BY v <-> '[50,1]' LIMIT 200) q$$);
SELECT * FROM by_both($$SELECT count(*) FROM (SELECT FROM t ORDER BY v <=> '[50,1]' LIMIT 200) q$$);

SELECT * FROM t ORDER BY v <-> '[1,2,3]' LIMIT 1;
INSERT INTO t VALUES (1, '[1,2,3]');
DROP TABLE t;

-- ---------------------------------------------------------------- of a vector column, at half its size

CREATE TABLE t (i int, v vector(3));
INSERT INTO t SELECT i, ARRAY[i, 0, 1] FROM generate_series(1, 50) i;
CREATE INDEX t_hnsw ON t USING hnsw ((v::halfvec(3)) halfvec_l2_ops);
EXPLAIN (COSTS OFF) SELECT i FROM t ORDER BY v::halfvec(3) <-> '[20.2,0,1]' LIMIT 3;
SELECT * FROM by_both($$SELECT i FROM t ORDER BY v::halfvec(3) <-> '[20.2,0,1]' LIMIT 3$$);
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
SELECT * FROM by_both($$SELECT i FROM t ORDER BY v <=> array_fill(1, ARRAY[16000])::halfvec LIMIT 3$$);
DROP TABLE t;
-- what only the other type's classes take
CREATE TABLE t (v halfvec(3));
CREATE INDEX ON t USING hnsw (v vector_l2_ops);
CREATE INDEX ON t USING hnsw (v);
DROP TABLE t;
DROP FUNCTION by_both, rows_by, scan_of;
