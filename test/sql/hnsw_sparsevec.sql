-- hnsw indexes of sparsevec.
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

-- rows before and after the index; NULL, zero vectors, the last dimension that there is
CREATE TABLE t (i int, v sparsevec(1000000000));
INSERT INTO t VALUES (1, '{1:1}/1000000000'), (2, '{1:1,2:1}/1000000000'), (3, '{1000000000:3}/1000000000'), (4, NULL), (5, '{}/1000000000');
CREATE INDEX t_l2_hnsw ON t USING hnsw (v sparsevec_l2_ops);
CREATE INDEX t_ip_hnsw ON t USING hnsw (v sparsevec_ip_ops);
CREATE INDEX t_cosine_hnsw ON t USING hnsw (v sparsevec_cosine_ops);
CREATE INDEX t_l1_hnsw ON t USING hnsw (v sparsevec_l1_ops);
INSERT INTO t VALUES (6, '{1:-1,1000000000:-3}/1000000000'), (7, NULL), (8, '{}/1000000000'), (9, '{1:1.5}/1000000000');
SELECT * FROM by_both($$SELECT i, round((v <-> '{1:1,2:0.9}/1000000000')::numeric, 4) FROM t ORDER BY v <-> '{1:1,2:0.9}/1000000000' LIMIT 3$$);
SELECT * FROM by_both($$SELECT i, round((v <#> '{2:1,1000000000:2}/1000000000')::numeric, 4) FROM t ORDER BY v <#> '{2:1,1000000000:2}/1000000000' LIMIT 2$$);
SELECT * FROM by_both($$SELECT i, round((v <=> '{1:1,2:0.9}/1000000000')::numeric, 4) FROM t ORDER BY v <=> '{1:1,2:0.9}/1000000000' LIMIT 1$$);
SELECT * FROM by_both($$SELECT i, v <+> '{1:1,2:0.75}/1000000000' FROM t ORDER BY v <+> '{1:1,2:0.75}/1000000000' LIMIT 3$$);
-- the nearest of nothing, and of a vector that has no direction
SELECT count(*) FROM (SELECT FROM t ORDER BY v <-> NULL::sparsevec LIMIT 20) q;
SELECT * FROM by_both($$SELECT count(*) FROM (SELECT FROM t ORDER BY v <=> '{}/1000000000' LIMIT 5) q$$);
SELECT i FROM t ORDER BY v <-> '{1:1}/3' LIMIT 1;
INSERT INTO t VALUES (10, '{1:1}/3');
SELECT index::regclass, c.* FROM unnest('{t_l2_hnsw,t_ip_hnsw,t_cosine_hnsw,t_l1_hnsw}'::text[]) index, hnsw_index_check(index::regclass, true) c;
SELECT index, dimensions, metric, vector_storage, code_bits, records_per_page, nodes, heap_tids
    FROM unnest('{t_l2_hnsw,t_ip_hnsw,t_cosine_hnsw,t_l1_hnsw}'::text[]) index, hnsw_index_info(index::regclass);
-- rows go, and others come in their places
DELETE FROM t WHERE i < 3;
VACUUM t;
INSERT INTO t SELECT 100 + i, format('{%s:%s}/1000000000', i, i)::sparsevec FROM generate_series(1, 200) i;
SELECT index::regclass, c.* FROM unnest('{t_l2_hnsw,t_ip_hnsw,t_cosine_hnsw,t_l1_hnsw}'::text[]) index, hnsw_index_check(index::regclass, true) c;
SELECT * FROM by_both($$SELECT i FROM t ORDER BY v <-> '{50:50}/1000000000' LIMIT 1$$);
-- filters and a radius
SELECT * FROM by_both($$SELECT i FROM t WHERE i % 10 = 0 ORDER BY v <+> '{50:50}/1000000000' LIMIT 1$$);
EXPLAIN (COSTS OFF) SELECT i FROM t WHERE v <=> '{50:1,51:0.5}/1000000000' < 0.8 ORDER BY v <=> '{50:1,51:0.5}/1000000000';
SELECT i FROM t WHERE v <=> '{50:1,51:0.5}/1000000000' < 0.8 ORDER BY v <=> '{50:1,51:0.5}/1000000000';
DROP TABLE t;

-- more elements than a record has room for: the order is that of whole vectors
CREATE TABLE t (i int, v sparsevec(20000));
CREATE INDEX t_hnsw ON t USING hnsw (v sparsevec_l2_ops);
INSERT INTO t SELECT i, ('{' || (SELECT string_agg(j || ':1', ',') FROM generate_series(1, i * 1000) j) || '}/20000')::sparsevec FROM generate_series(1, 16) i;
SELECT records_per_page, nodes FROM hnsw_index_info('t_hnsw');
SELECT * FROM by_both($$SELECT v <-> (SELECT v FROM t WHERE i = 10) AS distance FROM t ORDER BY v <-> (SELECT v FROM t WHERE i = 10) LIMIT 3$$);
REINDEX INDEX t_hnsw;
SELECT records_per_page, nodes FROM hnsw_index_info('t_hnsw');
SELECT * FROM by_both($$SELECT v <-> (SELECT v FROM t WHERE i = 10) AS distance FROM t ORDER BY v <-> (SELECT v FROM t WHERE i = 10) LIMIT 3$$);
SELECT * FROM hnsw_index_check('t_hnsw', true);
DROP TABLE t;
-- ... but not more than the type may have, which a database that was pgvector's could
CREATE CAST (bytea AS sparsevec) WITHOUT FUNCTION;
CREATE TABLE t (i int, v sparsevec(20000));
INSERT INTO t SELECT 1, (decode('204e0000813e000000000000', 'hex') || (SELECT string_agg(set_byte(set_byte('\x00000000', 0, i % 256), 1, i / 256), '' ORDER BY i) FROM generate_series(0, 16000) i) || decode(repeat('0000803f', 16001), 'hex'))::bytea::sparsevec;
SELECT l2_norm(v) ^ 2 > 16000.5 AS has_more FROM t;
CREATE INDEX t_hnsw ON t USING hnsw (v sparsevec_l2_ops);
DELETE FROM t;
CREATE INDEX t_hnsw ON t USING hnsw (v sparsevec_l2_ops);
DROP TABLE t;
DROP CAST (bytea AS sparsevec);
-- few elements: records as large as most rows need, of 2,000 rows
CREATE TABLE t (i int, v sparsevec(1000));
INSERT INTO t SELECT i, ('{' || (SELECT string_agg(j || ':' || 1 + (i * j) % 7, ',') FROM generate_series(1 + i % 900, 10 + i % 900) j) || '}/1000')::sparsevec FROM generate_series(1, 2000) i;
CREATE INDEX t_hnsw ON t USING hnsw (v sparsevec_ip_ops) WITH (m = 8);
SELECT record_bytes, records_per_page FROM hnsw_index_info('t_hnsw');
DROP TABLE t;

-- an expression, a partial and an unlogged index
CREATE UNLOGGED TABLE t (i int, v vector(3));
INSERT INTO t VALUES (1, '[1,0,0]'), (2, '[0,2,0]'), (3, '[0,0,3]'), (4, '[1,1,1]');
CREATE INDEX t_hnsw ON t USING hnsw ((v::sparsevec(3)) sparsevec_l2_ops) WHERE i > 1;
SELECT * FROM by_both($$SELECT i FROM t WHERE i > 1 ORDER BY v::sparsevec(3) <-> '{1:1}/3' LIMIT 2$$);
DROP TABLE t;

-- dimensions
CREATE TABLE t (v sparsevec);
CREATE INDEX ON t USING hnsw (v sparsevec_l2_ops);
CREATE INDEX ON t USING hnsw ((v::sparsevec(5)) sparsevec_l2_ops);
INSERT INTO t VALUES ('{5:1}/5'), ('{}/5');
INSERT INTO t VALUES ('{}/6');
CREATE INDEX ON t USING hnsw ((v::sparsevec(5)));
DROP TABLE t;
DROP FUNCTION by_both, rows_by, scan_of;
