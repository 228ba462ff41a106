-- Index options, settings and what they refuse; definitions that survive their own text.
SET enable_seqscan = off;
CREATE TABLE t (i int, v vector(2));
INSERT INTO t SELECT i, ARRAY[i, 0] FROM generate_series(1, 300) i;

-- ---------------------------------------------------------------- options

CREATE INDEX ON t USING hnsw (v vector_l2_ops) WITH (m = 1);
CREATE INDEX ON t USING hnsw (v vector_l2_ops) WITH (m = 101);
CREATE INDEX ON t USING hnsw (v vector_l2_ops) WITH (ef_construction = 3);
CREATE INDEX ON t USING hnsw (v vector_l2_ops) WITH (ef_construction = 1001);
CREATE INDEX ON t USING hnsw (v vector_l2_ops) WITH (ef_construction = 31);
CREATE INDEX ON t USING hnsw (v vector_l2_ops) WITH (m = 100, ef_construction = 199);
CREATE INDEX ON t USING hnsw (v vector_l2_ops) WITH (m = 'x');
CREATE INDEX ON t USING hnsw (v vector_l2_ops) WITH (compact = 2);
CREATE INDEX ON t USING hnsw (v vector_l2_ops) WITH (lists = 100);
CREATE INDEX ON t USING hnsw (v vector_l2_ops) WITH (fillfactor = 70);
-- an unlogged table's index says so at once too
CREATE UNLOGGED TABLE u (v vector(2));
CREATE INDEX ON u USING hnsw (v vector_l2_ops) WITH (ef_construction = 31);
DROP TABLE u;
SELECT count(*) FROM pg_index WHERE indrelid = 't'::regclass;

CREATE INDEX t_hnsw ON t USING hnsw (v vector_l2_ops) WITH (m = 4, ef_construction = 10, compact = true);
SELECT reloptions FROM pg_class WHERE relname = 't_hnsw';
SELECT pg_get_indexdef('t_hnsw'::regclass);
SELECT i FROM t ORDER BY v <-> '[100.2,0]' LIMIT 3;
ALTER INDEX t_hnsw SET (m = 20);
SELECT i FROM t ORDER BY v <-> '[100.2,0]' LIMIT 3;
INSERT INTO t VALUES (301, '[301,0]');
SELECT i FROM t ORDER BY v <-> '[302,0]' LIMIT 2;
-- which is for the next build; then the two options do not fit each other
REINDEX INDEX t_hnsw;
ALTER INDEX t_hnsw SET (ef_construction = 40);
REINDEX INDEX t_hnsw;
SELECT i FROM t ORDER BY v <-> '[302,0]' LIMIT 2;
ALTER INDEX t_hnsw RESET (m, ef_construction, compact);
REINDEX INDEX t_hnsw;
SELECT pg_get_indexdef('t_hnsw'::regclass);
ALTER INDEX t_hnsw SET (m = 200);
ALTER INDEX t_hnsw SET (lists = 2);

-- ---------------------------------------------------------------- definitions, from their text

CREATE TABLE shapes (i int, v vector(2), h halfvec(2), b bit(2), anyhow vector);
CREATE INDEX s1 ON shapes USING hnsw (v vector_cosine_ops) WITH (m='8', ef_construction='64', compact='true');
CREATE INDEX s2 ON shapes USING hnsw (h halfvec_l1_ops) WHERE i > 5;
CREATE INDEX s3 ON shapes USING hnsw (b bit_jaccard_ops);
CREATE INDEX s4 ON shapes USING hnsw ((anyhow::halfvec(3)) halfvec_ip_ops) WHERE vector_dims(anyhow) = 3;
CREATE TABLE definitions AS SELECT relname, pg_get_indexdef(c.oid) AS definition FROM pg_class c WHERE relname IN ('s1', 's2', 's3', 's4');
SELECT definition FROM definitions ORDER BY relname;
DROP INDEX s1, s2, s3, s4;
DO $$ DECLARE d text; BEGIN FOR d IN SELECT definition FROM definitions LOOP EXECUTE d; END LOOP; END $$;
SELECT count(*) FROM definitions WHERE definition = pg_get_indexdef(relname::regclass);
DROP TABLE shapes, definitions;

-- ---------------------------------------------------------------- settings

SHOW hnsw.ef_search;
SHOW hnsw.iterative_scan;
SHOW hnsw.max_scan_tuples;
SHOW hnsw.scan_mem_multiplier;
SHOW hnsw.exhaustive_scan;
SELECT name, vartype, boot_val, min_val, max_val, enumvals, context FROM pg_settings WHERE name LIKE 'hnsw.%' ORDER BY name;
SET hnsw.ef_search = 0;
SET hnsw.ef_search = 1001;
SET hnsw.ef_search = 'many';
SET hnsw.iterative_scan = on;
SET hnsw.iterative_scan = 'strict';
SET hnsw.max_scan_tuples = 0;
SET hnsw.max_scan_tuples = 2147483648;
SET hnsw.scan_mem_multiplier = 0.9;
SET hnsw.scan_mem_multiplier = 1001;
SET hnsw.exhaustive_scan = 'sometimes';
SET hnsw.no_such_setting = 1;

-- off: ef_search rows, if there are
SET hnsw.iterative_scan = off;
SELECT count(*) FROM (SELECT FROM t ORDER BY v <-> '[100.2,0]') q;
SET hnsw.ef_search = 10;
SELECT count(*) FROM (SELECT FROM t ORDER BY v <-> '[100.2,0]') q;
SELECT count(*) FROM (SELECT FROM t WHERE i > 290 ORDER BY v <-> '[100.2,0]' LIMIT 5) q;
SET hnsw.ef_search = 1;
SELECT i FROM t ORDER BY v <-> '[100.2,0]' LIMIT 5;
SELECT stopped_by FROM omendb_last_scan();
SET hnsw.ef_search = 1000;
SELECT count(*) FROM (SELECT FROM t ORDER BY v <-> '[100.2,0]') q;
-- the others: as many as there are
SET hnsw.ef_search = 10;
SET hnsw.iterative_scan = strict_order;
SELECT i FROM t WHERE i > 290 ORDER BY v <-> '[100.2,0]' LIMIT 5;
SELECT count(*) FROM (SELECT FROM t ORDER BY v <-> '[100.2,0]') q;
SELECT stopped_by FROM omendb_last_scan();
SET hnsw.iterative_scan = relaxed_order;
SELECT count(*) FROM (SELECT FROM t WHERE i > 290 ORDER BY v <-> '[100.2,0]' LIMIT 5) q;
SELECT count(*), count(DISTINCT i) FROM (SELECT i FROM t ORDER BY v <-> '[100.2,0]') q;
-- up to max_scan_tuples, if that is where they are to end
SET hnsw.exhaustive_scan = off;
SET hnsw.max_scan_tuples = 50;
SELECT count(*) BETWEEN 10 AND 100 AS bounded FROM (SELECT FROM t ORDER BY v <-> '[100.2,0]') q;
SELECT stopped_by FROM omendb_last_scan();
SET hnsw.iterative_scan = strict_order;
SELECT count(*) BETWEEN 10 AND 100 AS bounded FROM (SELECT FROM t ORDER BY v <-> '[100.2,0]') q;
SELECT count(*) FROM (SELECT FROM t WHERE i > 290 ORDER BY v <-> '[100.2,0]' LIMIT 5) q;
SET hnsw.max_scan_tuples = 1;
SELECT count(*) BETWEEN 1 AND 40 AS bounded FROM (SELECT FROM t ORDER BY v <-> '[100.2,0]') q;
RESET hnsw.max_scan_tuples;
-- and to the memory
CREATE TABLE many AS SELECT i, ARRAY[i, i % 100] ::vector(2) AS v FROM generate_series(1, 5000) i;
CREATE INDEX many_hnsw ON many USING hnsw (v vector_l2_ops);
SET work_mem = '64kB';
SELECT count(*) < 2500 AS bounded FROM (SELECT FROM many ORDER BY v <-> '[100.2,0]') q;
SELECT stopped_by FROM omendb_last_scan();
-- of each search by itself: what an earlier one of the same plan took is not counted
SELECT divisor, (SELECT count(*) FROM (SELECT FROM many WHERE i % divisor = 0 ORDER BY v <-> '[100.2,0]' LIMIT 10) q) AS found FROM (VALUES (8), (5000), (8), (7)) x(divisor);
SET hnsw.scan_mem_multiplier = 100;
SELECT count(*) FROM (SELECT FROM many ORDER BY v <-> '[100.2,0]') q;
SELECT stopped_by FROM omendb_last_scan();
RESET hnsw.scan_mem_multiplier;
-- otherwise every row comes, once and in order, whatever the limits: from the whole index, which is sorted, if need be on disk
RESET hnsw.exhaustive_scan;
CREATE FUNCTION walk(condition text) RETURNS TABLE (found bigint, different bigint, disorder bigint) LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY EXECUTE format('SELECT count(*), count(DISTINCT i), count(*) FILTER (WHERE d < before) FROM (SELECT i, d, lag(d) OVER (ORDER BY n) AS before FROM (
        SELECT i, d, row_number() OVER () AS n FROM (SELECT i, v <-> ''[100.2,0]'' AS d FROM many WHERE %s ORDER BY v <-> ''[100.2,0]'') a) b) c', condition);
END $$;
SELECT * FROM walk('true');
SELECT nodes_visited < 5000 AS some, resumes, rows_late, sweeps, stopped_by FROM omendb_last_scan();
SET hnsw.max_scan_tuples = 100;
SELECT * FROM walk('i % 1000 = 0');
SELECT nodes_visited, sweeps, table_reads, stopped_by FROM omendb_last_scan();
SELECT i FROM many WHERE i > 4990 ORDER BY v <-> '[100.2,0]' LIMIT 3;
SELECT nodes_visited, sweeps, table_reads, stopped_by FROM omendb_last_scan();
SELECT array_agg(i ORDER BY n) FROM (SELECT i, row_number() OVER () AS n FROM (SELECT i FROM many WHERE i % 1000 = 0 ORDER BY v <-> NULL) a) b;
SET hnsw.iterative_scan = relaxed_order;
SELECT * FROM walk('i % 1000 = 0');
-- again and again within one plan
SELECT divisor, (SELECT count(*) FROM (SELECT FROM many WHERE i % divisor = 0 ORDER BY v <-> '[100.2,0]' LIMIT 10) q) AS found FROM (VALUES (8), (5000), (8), (7), (500)) x(divisor);
-- what is deleted meanwhile does not come
BEGIN;
DECLARE c CURSOR FOR SELECT i FROM many ORDER BY v <-> '[100.2,0]';
MOVE 1000 IN c;
DELETE FROM many WHERE i > 3000;
MOVE FORWARD ALL IN c;
SELECT * FROM walk('true');
ROLLBACK;
RESET hnsw.iterative_scan;
RESET hnsw.max_scan_tuples;
RESET work_mem;
DROP FUNCTION walk;
-- more rows than ef_search, known from the LIMIT: the search need not go on
RESET hnsw.ef_search;
CREATE FUNCTION searches(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    found bigint;
BEGIN
    EXECUTE 'SELECT count(*) FROM (' || query || ') q' INTO found;
    RETURN (SELECT format('%s rows, the search %s', found, CASE WHEN resumes = 0 THEN 'ends' ELSE 'goes on' END) FROM omendb_last_scan());
END $$;
PREPARE limited(int) AS SELECT count(*) FROM (SELECT FROM many ORDER BY v <-> '[100.2,0]' LIMIT $1) q;
SELECT searches($$SELECT FROM many ORDER BY v <-> '[100.2,0]' LIMIT 100$$);
SELECT searches($$SELECT FROM many ORDER BY v <-> '[100.2,0]' LIMIT 10 OFFSET 120$$);
SELECT searches($$SELECT FROM (SELECT i + 1 AS j, v <-> '[100.2,0]' FROM many ORDER BY 2) s LIMIT 150$$);
SELECT searches($$SELECT FROM (SELECT i FROM many ORDER BY v <-> '[100.2,0]' LIMIT 110 FOR UPDATE) s$$);
SET plan_cache_mode = force_generic_plan;
EXECUTE limited(100);
SELECT resumes FROM omendb_last_scan();
RESET plan_cache_mode;
-- unknown: without one, of rows that are filtered, or joined
SELECT searches($$SELECT FROM many ORDER BY v <-> '[100.2,0]'$$);
SELECT searches($$SELECT FROM many ORDER BY v <-> '[100.2,0]' LIMIT ALL$$);
SELECT searches($$SELECT FROM many WHERE i % 2 = 0 ORDER BY v <-> '[100.2,0]' LIMIT 60$$);
SELECT searches($$SELECT FROM many JOIN t USING (i) ORDER BY many.v <-> '[100.2,0]' LIMIT 60$$);
SET hnsw.iterative_scan = off;
SELECT searches($$SELECT FROM many ORDER BY v <-> '[100.2,0]' LIMIT 100$$);
RESET hnsw.iterative_scan;
DEALLOCATE limited;
DROP FUNCTION searches;
DROP TABLE t, many;
