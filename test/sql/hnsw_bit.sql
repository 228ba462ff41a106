-- hnsw indexes of bit.
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

CREATE TABLE t (i int, v bit(4));
INSERT INTO t VALUES (1, B'0000'), (2, B'1111'), (3, B'1110'), (4, NULL), (5, B'1100'), (6, B'1000');
CREATE INDEX t_hnsw ON t USING hnsw (v bit_hamming_ops);
EXPLAIN (COSTS OFF) SELECT i FROM t ORDER BY v <~> B'1111' LIMIT 2;
SELECT * FROM by_both($$SELECT i, v, v <~> B'1111' AS distance FROM t ORDER BY v <~> B'1111' LIMIT 10$$);
SELECT * FROM by_both($$SELECT i FROM t ORDER BY v <~> B'1111' LIMIT 2$$);
SELECT count(*) FROM (SELECT FROM t ORDER BY v <~> NULL::bit) q;
SELECT i FROM t ORDER BY v <~> B'111' LIMIT 2;
SET hnsw.custom_scan = off;
SELECT i FROM t ORDER BY v <~> B'111' LIMIT 2;
RESET hnsw.custom_scan;
INSERT INTO t VALUES (7, B'111');
DROP INDEX t_hnsw;

-- with no bits set too: nothing in common is as far as can be
CREATE INDEX t_hnsw ON t USING hnsw (v bit_jaccard_ops);
EXPLAIN (COSTS OFF) SELECT i FROM t ORDER BY v <%> B'1111' LIMIT 2;
SELECT * FROM by_both($$SELECT i, v, round((v <%> B'1111')::numeric, 4) AS distance FROM t ORDER BY v <%> B'1111' LIMIT 10$$);
SELECT * FROM by_both($$SELECT count(*), min(v <%> B'0000') FROM (SELECT v FROM t ORDER BY v <%> B'0000' LIMIT 10) q$$);
SELECT count(*) FROM (SELECT FROM t ORDER BY v <%> NULL::bit) q;
DROP TABLE t;

-- rows after the index
CREATE TABLE t (i int, v bit(100));
CREATE INDEX t_hamming_hnsw ON t USING hnsw (v bit_hamming_ops);
CREATE INDEX t_jaccard_hnsw ON t USING hnsw (v bit_jaccard_ops);
SELECT * FROM by_both($$SELECT * FROM t ORDER BY v <~> repeat('1', 100)::bit(100) LIMIT 10$$);
INSERT INTO t SELECT i, (repeat('1', i) || repeat('0', 100 - i))::bit(100) FROM generate_series(0, 100) i;
INSERT INTO t VALUES (NULL, NULL);
SELECT * FROM by_both($$SELECT * FROM (SELECT i, v <~> (repeat('1', 50) || repeat('0', 50))::bit(100) AS distance FROM t ORDER BY v <~> (repeat('1', 50) || repeat('0', 50))::bit(100) LIMIT 5) q ORDER BY distance, i$$);
SELECT * FROM by_both($$SELECT i, round((v <%> (repeat('1', 50) || repeat('0', 50))::bit(100))::numeric, 6) AS distance FROM t ORDER BY v <%> (repeat('1', 50) || repeat('0', 50))::bit(100) LIMIT 5$$);
SELECT * FROM by_both($$SELECT count(*) FROM (SELECT FROM t ORDER BY v <~> repeat('1', 100)::bit(100) LIMIT 200) q$$);
SELECT * FROM by_both($$SELECT count(*) FROM (SELECT FROM t ORDER BY v <%> repeat('1', 100)::bit(100) LIMIT 200) q$$);
DROP TABLE t;

-- of vectors, by their signs
CREATE TABLE t (i int, v vector(3));
INSERT INTO t VALUES (1, '[1,1,1]'), (2, '[1,1,-1]'), (3, '[1,-1,-1]'), (4, '[-1,-1,-1]');
CREATE INDEX t_hnsw ON t USING hnsw ((binary_quantize(v)::bit(3)) bit_hamming_ops);
EXPLAIN (COSTS OFF) SELECT i FROM t ORDER BY binary_quantize(v)::bit(3) <~> binary_quantize('[2,3,1]'::vector) LIMIT 3;
SELECT * FROM by_both($$SELECT i FROM t ORDER BY binary_quantize(v)::bit(3) <~> binary_quantize('[2,3,1]'::vector) LIMIT 3$$);
DROP TABLE t;

-- lengths
CREATE TABLE t (v bit varying, w bit varying(3), x bit);
CREATE INDEX ON t USING hnsw (v bit_hamming_ops);
CREATE INDEX ON t USING hnsw (w bit_hamming_ops);
CREATE INDEX ON t USING hnsw (x bit_hamming_ops);
CREATE INDEX ON t USING hnsw ((w::bit(3)) bit_hamming_ops);
DROP TABLE t;
CREATE TABLE t (i int, v bit(64000));
CREATE INDEX t_hnsw ON t USING hnsw (v bit_hamming_ops);
INSERT INTO t SELECT i, repeat('1', i * 1000)::bit(64000) FROM generate_series(1, 40) i;
SELECT * FROM by_both($$SELECT i, v <~> repeat('1', 20100)::bit(64000) AS distance FROM t ORDER BY v <~> repeat('1', 20100)::bit(64000) LIMIT 3$$);
DROP TABLE t;
CREATE TABLE t (v bit(64001));
CREATE INDEX ON t USING hnsw (v bit_hamming_ops);
DROP TABLE t;
DROP FUNCTION by_both, rows_by, scan_of;
