-- hnsw indexes of vector: small tables, whose results are certain.
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

CREATE TABLE t (i int, v vector(3));
INSERT INTO t VALUES (1, '[0,0,0]'), (2, '[1,2,3]'), (3, '[1,1,1]'), (4, NULL), (5, '[-1,-2,-3]'), (6, '[1,2,4]'), (7, '[2,4,7]');

CREATE INDEX t_hnsw ON t USING hnsw (v vector_l2_ops);
SELECT scan_of($$SELECT i FROM t ORDER BY v <-> '[3,3,3]' LIMIT 2$$);
SET hnsw.custom_scan = off;
SELECT scan_of($$SELECT i FROM t ORDER BY v <-> '[3,3,3]' LIMIT 2$$);
RESET hnsw.custom_scan;
SELECT * FROM by_both($$SELECT i, v, round((v <-> '[3,3,3]')::numeric, 4) AS distance FROM t ORDER BY v <-> '[3,3,3]' LIMIT 10$$);
SELECT * FROM by_both($$SELECT i FROM t ORDER BY v <-> '[3,3,3]' LIMIT 2$$);
SELECT * FROM by_both($$SELECT i FROM t ORDER BY v <-> '[3,3,3]' OFFSET 2 LIMIT 2$$);
SELECT * FROM by_both($$SELECT i FROM t ORDER BY v <-> '[3,3,3]' LIMIT 0$$);
SELECT count(*) FROM (SELECT FROM t ORDER BY v <-> NULL::vector) q;
SELECT * FROM by_both($$SELECT count(*) FROM (SELECT FROM t ORDER BY v <-> (SELECT NULL::vector) LIMIT 10) q$$);
-- not another operator's order; nor to the end, which is a sort's work
SELECT sql, scan_of(sql) FROM (VALUES ($$SELECT i FROM t ORDER BY v <#> '[3,3,3]' LIMIT 2$$), ($$SELECT i FROM t ORDER BY v <-> '[3,3,3]' DESC LIMIT 2$$),
    ($$SELECT i FROM t ORDER BY v <-> '[3,3,3]'$$), ($$SELECT i FROM t ORDER BY v <-> '[3,3,3]' LIMIT ALL$$)) x(sql);
DROP INDEX t_hnsw;

CREATE INDEX t_hnsw ON t USING hnsw (v vector_ip_ops);
SELECT * FROM by_both($$SELECT i, v <#> '[3,3,3]' AS distance FROM t ORDER BY v <#> '[3,3,3]' LIMIT 10$$);
SELECT * FROM by_both($$SELECT count(*) FROM (SELECT FROM t ORDER BY v <#> '[0,0,0]' LIMIT 10) q$$);
DROP INDEX t_hnsw;

-- of a zero vector cosine knows no direction: it is not in the index, and comes from the table, before those that are null
CREATE INDEX t_hnsw ON t USING hnsw (v vector_cosine_ops);
SELECT * FROM by_both($$SELECT i, round((v <=> '[1,1,2]')::numeric, 4) AS distance FROM t ORDER BY v <=> '[1,1,2]' LIMIT 10$$);
SELECT * FROM by_both($$SELECT count(*), count(v <=> '[0,0,0]'), min(v <=> '[0,0,0]') FROM (SELECT v FROM t ORDER BY v <=> '[0,0,0]' LIMIT 10) q$$);
SELECT count(*) FROM (SELECT FROM t ORDER BY v <=> NULL::vector) q;
DROP INDEX t_hnsw;

CREATE INDEX t_hnsw ON t USING hnsw (v vector_l1_ops);
SELECT * FROM by_both($$SELECT i, v <+> '[3,3,3]' AS distance FROM t ORDER BY v <+> '[3,3,3]' LIMIT 10$$);
DROP INDEX t_hnsw;
DROP TABLE t;

-- ---------------------------------------------------------------- each operator class: rows after the index

CREATE TABLE t (i int, v vector(2));
CREATE INDEX t_l2_hnsw ON t USING hnsw (v vector_l2_ops);
CREATE INDEX t_ip_hnsw ON t USING hnsw (v vector_ip_ops);
CREATE INDEX t_cosine_hnsw ON t USING hnsw (v vector_cosine_ops);
CREATE INDEX t_l1_hnsw ON t USING hnsw (v vector_l1_ops);
-- nothing in it yet
SELECT * FROM by_both($$SELECT * FROM t ORDER BY v <-> '[1,2]' LIMIT 10$$);
SELECT * FROM by_both($$SELECT * FROM t ORDER BY v <-> (SELECT NULL::vector) LIMIT 10$$);
INSERT INTO t SELECT i, ARRAY[i, i % 7] FROM generate_series(1, 100) i;
INSERT INTO t VALUES (0, '[0,0]'), (NULL, NULL), (101, '[50,1]');
SELECT * FROM by_both($$SELECT * FROM (SELECT i, v <-> '[50,1]' AS distance FROM t ORDER BY v <-> '[50,1]' LIMIT 4) q ORDER BY distance, i$$);
SELECT * FROM by_both($$SELECT i, v <#> '[1,0]' AS distance FROM t ORDER BY v <#> '[1,0]' LIMIT 4$$);
SELECT * FROM by_both($$SELECT * FROM (SELECT i, round((v <=> '[50,1]')::numeric, 6) AS distance FROM t WHERE i > 92 ORDER BY v <=> '[50,1]' LIMIT 3) q ORDER BY distance, i$$);
SELECT * FROM by_both($$SELECT * FROM (SELECT i, v <+> '[50,1]' AS distance FROM t ORDER BY v <+> '[50,1]' LIMIT 4) q ORDER BY distance, i$$);
SELECT * FROM by_both($$SELECT count(*) FROM (SELECT FROM t ORDER BY v <-> '[50,1]' LIMIT 200) q$$);
SELECT * FROM by_both($$SELECT count(*) FROM (SELECT FROM t ORDER BY v <=> '[50,1]' LIMIT 200) q$$);
DROP TABLE t;

-- ---------------------------------------------------------------- dimensions

CREATE TABLE t (v vector(3));
INSERT INTO t VALUES ('[1,2,3]');
CREATE INDEX t_hnsw ON t USING hnsw (v vector_l2_ops);
SELECT * FROM t ORDER BY v <-> '[1,2]' LIMIT 10;
SELECT * FROM t ORDER BY v <-> '[1,2,3,4]' LIMIT 1;
SET hnsw.custom_scan = off;
SELECT * FROM t ORDER BY v <-> '[1,2]' LIMIT 10;
SELECT * FROM t ORDER BY v <-> '[1,2,3,4]' LIMIT 1;
RESET hnsw.custom_scan;
INSERT INTO t VALUES ('[1,2]');
PREPARE wrong(vector) AS SELECT * FROM t ORDER BY v <-> $1 LIMIT 1;
SET plan_cache_mode = force_generic_plan;
EXECUTE wrong('[1,2]');
EXECUTE wrong('[1,2,3]');
EXECUTE wrong(NULL);
RESET plan_cache_mode;
DEALLOCATE wrong;
-- without an order pgvector uses no index, so these are the words of the distance
SELECT * FROM t WHERE v <-> '[1,2]' < 1;
-- by each strategy, and whether there are rows or not
SET hnsw.scan_strategy = exact;
SELECT * FROM t ORDER BY v <-> '[1,2]' LIMIT 1;
SELECT * FROM t WHERE v <-> '[1,2]' < 1;
TRUNCATE t;
SELECT * FROM t ORDER BY v <-> '[1,2]' LIMIT 1;
SET hnsw.scan_strategy = graph;
SELECT * FROM t ORDER BY v <-> '[1,2]' LIMIT 1;
SELECT * FROM t WHERE v <-> '[1,2]' < 1;
RESET hnsw.scan_strategy;
DROP TABLE t;

CREATE TABLE t (i int, v vector);
CREATE INDEX ON t USING hnsw (v vector_l2_ops);
-- but by a cast, of the rows that have those dimensions
INSERT INTO t VALUES (1, '[1,1]'), (2, '[2,2]'), (3, '[1,2,3]');
CREATE INDEX ON t USING hnsw ((v::vector(2)) vector_l2_ops);
CREATE INDEX t_hnsw ON t USING hnsw ((v::vector(2)) vector_l2_ops) WHERE vector_dims(v) = 2;
INSERT INTO t VALUES (4, '[0,0]'), (5, '[1,2,4]');
SELECT * FROM by_both($$SELECT i FROM t WHERE vector_dims(v) = 2 ORDER BY v::vector(2) <-> '[2,3]' LIMIT 10$$);
SELECT pg_get_indexdef('t_hnsw'::regclass);
DROP TABLE t;

-- domains
CREATE DOMAIN embedding AS vector(2);
CREATE DOMAIN anyhow AS vector;
CREATE TABLE t (i int, v embedding, w anyhow);
INSERT INTO t VALUES (1, '[1,1]', '[1,1]'), (2, '[2,2]', '[1,2,3]');
CREATE INDEX ON t USING hnsw (w vector_l2_ops);
CREATE INDEX t_hnsw ON t USING hnsw (v vector_l2_ops);
INSERT INTO t VALUES (3, '[2,3]', NULL);
SELECT * FROM by_both($$SELECT i FROM t ORDER BY v <-> '[2,2.6]' LIMIT 10$$);
INSERT INTO t VALUES (4, '[1,2,3]', NULL);
DROP TABLE t;
DROP DOMAIN embedding, anyhow;

-- as wide as they come
CREATE TABLE t (i int, v vector(16000));
CREATE INDEX t_hnsw ON t USING hnsw (v vector_l2_ops);
INSERT INTO t SELECT i, array_fill(i, ARRAY[16000]) FROM generate_series(1, 5) i;
SELECT * FROM by_both($$SELECT i FROM t ORDER BY v <-> array_fill(3.1, ARRAY[16000])::vector LIMIT 3$$);
INSERT INTO t VALUES (0, array_fill(0, ARRAY[16000]));
SELECT * FROM by_both($$SELECT i FROM t ORDER BY v <-> array_fill(0.1, ARRAY[16000])::vector LIMIT 2$$);
SELECT * FROM hnsw_index_check('t_hnsw', true);
DROP TABLE t;
CREATE TABLE t (v vector(16001));

-- ---------------------------------------------------------------- what it is not

CREATE TABLE t (i int, v vector(3), w vector(3));
CREATE INDEX ON t USING hnsw (v);
CREATE INDEX ON t USING hnsw (v vector_ops);
CREATE INDEX ON t USING hnsw (i vector_l2_ops);
CREATE INDEX ON t USING hnsw (v vector_l2_ops, w vector_l2_ops);
CREATE UNIQUE INDEX ON t USING hnsw (v vector_l2_ops);
CREATE INDEX ON t USING hnsw (v vector_l2_ops) INCLUDE (i);
-- (versions differ in whether they show the place, and in how they write the operator)
\set VERBOSITY sqlstate
CREATE INDEX ON t USING hnsw (v vector_l2_ops DESC);
CREATE INDEX ON t USING hnsw (v vector_l2_ops NULLS FIRST);
ALTER TABLE t ADD EXCLUDE USING hnsw (v vector_l2_ops WITH =);
\set VERBOSITY default
CREATE INDEX t_hnsw ON t USING hnsw (v vector_l2_ops);
CLUSTER t USING t_hnsw;
ALTER TABLE t ALTER v TYPE vector(4);
ALTER TABLE t ALTER v TYPE halfvec(3);
SELECT amname, pg_indexam_has_property(oid, 'can_order') AS can_order, pg_indexam_has_property(oid, 'can_unique') AS can_unique,
       pg_indexam_has_property(oid, 'can_multi_col') AS can_multi_col, pg_indexam_has_property(oid, 'can_exclude') AS can_exclude,
       pg_indexam_has_property(oid, 'can_include') AS can_include
    FROM pg_am WHERE amname = 'hnsw';
SELECT p, pg_index_has_property('t_hnsw', p) FROM unnest(ARRAY['clusterable', 'index_scan', 'bitmap_scan', 'backward_scan']) p;
SELECT p, pg_index_column_has_property('t_hnsw', 1, p) FROM unnest(ARRAY['asc', 'orderable', 'distance_orderable', 'returnable', 'search_array', 'search_nulls']) p;
-- nothing to find by a condition alone, however cheap it is made to look
SELECT sql, scan_of(sql) FROM (VALUES ('SELECT count(*) FROM t'), ($$SELECT i FROM t WHERE v = '[1,2,3]'$$), ('SELECT i FROM t WHERE v IS NULL'),
    ($$SELECT i FROM t WHERE v <-> '[1,2,3]' > 1$$)) x(sql);
-- but within a radius, and only by the custom scan
SELECT scan_of($$SELECT i FROM t WHERE v <-> '[1,2,3]' < 1$$);
SET hnsw.custom_scan = off;
SELECT scan_of($$SELECT i FROM t WHERE v <-> '[1,2,3]' < 1$$);
RESET hnsw.custom_scan;
DROP TABLE t;

-- ---------------------------------------------------------------- operator classes

SELECT opcname, format_type(opcintype, NULL) AS type, opcdefault, amvalidate(c.oid)
    FROM pg_opclass c JOIN pg_am a ON a.oid = opcmethod WHERE amname = 'hnsw' ORDER BY 1;
-- what is wrong with others is said
CREATE OPERATOR CLASS odd_ops FOR TYPE vector USING hnsw AS OPERATOR 1 <-> (vector, vector) FOR ORDER BY float_ops;
SELECT amvalidate(oid) FROM pg_opclass WHERE opcname = 'odd_ops';
DROP OPERATOR FAMILY odd_ops USING hnsw;
CREATE OPERATOR CLASS odd_ops FOR TYPE vector USING hnsw AS OPERATOR 1 = (vector, vector);
SELECT amvalidate(oid) FROM pg_opclass WHERE opcname = 'odd_ops';
DROP OPERATOR FAMILY odd_ops USING hnsw;
CREATE OPERATOR CLASS odd_ops FOR TYPE vector USING hnsw AS OPERATOR 2 <-> (vector, vector) FOR ORDER BY float_ops;
SELECT amvalidate(oid) FROM pg_opclass WHERE opcname = 'odd_ops';
DROP OPERATOR FAMILY odd_ops USING hnsw;
CREATE OPERATOR CLASS odd_ops FOR TYPE vector USING hnsw AS OPERATOR 1 <-> (vector, vector) FOR ORDER BY float_ops, FUNCTION 1 vector_norm(vector);
SELECT amvalidate(oid) FROM pg_opclass WHERE opcname = 'odd_ops';
DROP OPERATOR FAMILY odd_ops USING hnsw;

DROP FUNCTION by_both, rows_by, scan_of;
