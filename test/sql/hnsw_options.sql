-- Index options, settings and what they refuse; definitions that survive their own text.
LOAD 'omendb';
SET enable_seqscan = off;
-- of tables so small a custom scan would rather sort the rows
SET hnsw.scan_strategy = graph;
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
SHOW hnsw.custom_scan;
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
SET hnsw.custom_scan = 'sometimes';
SET hnsw.scan_strategy = 'quick';
SET hnsw.no_such_setting = 1;

CREATE TABLE many AS SELECT i, ARRAY[i, i % 100] ::vector(2) AS v FROM generate_series(1, 5000) i;
CREATE INDEX many_hnsw ON many USING hnsw (v vector_l2_ops);
CREATE FUNCTION walk(condition text) RETURNS TABLE (found bigint, different bigint, disorder bigint) LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY EXECUTE format('SELECT count(*), count(DISTINCT i), count(*) FILTER (WHERE d < before) FROM (SELECT i, d, lag(d) OVER (ORDER BY n) AS before FROM (
        SELECT i, d, row_number() OVER () AS n FROM (SELECT i, v <-> ''[100.2,0]'' AS d FROM many WHERE %s ORDER BY v <-> ''[100.2,0]'' LIMIT 10000) a) b) c', condition);
END $$;

-- ---------------------------------------------------------------- how far a plain index scan goes

SET hnsw.custom_scan = off;
-- off: ef_search rows, if there are
SET hnsw.iterative_scan = off;
SELECT count(*) FROM (SELECT FROM t ORDER BY v <-> '[100.2,0]' LIMIT 1000) q;
SET hnsw.ef_search = 10;
SELECT count(*) FROM (SELECT FROM t ORDER BY v <-> '[100.2,0]' LIMIT 1000) q;
SELECT count(*) FROM (SELECT FROM t WHERE i > 290 ORDER BY v <-> '[100.2,0]' LIMIT 5) q;
SET hnsw.ef_search = 1;
SELECT i FROM t ORDER BY v <-> '[100.2,0]' LIMIT 5;
SELECT stopped_by FROM omendb_last_scan();
SET hnsw.ef_search = 1000;
SELECT count(*) FROM (SELECT FROM t ORDER BY v <-> '[100.2,0]' LIMIT 1000) q;
-- the others: as many as there are
SET hnsw.ef_search = 10;
SET hnsw.iterative_scan = strict_order;
SELECT i FROM t WHERE i > 290 ORDER BY v <-> '[100.2,0]' LIMIT 5;
SELECT count(*) FROM (SELECT FROM t ORDER BY v <-> '[100.2,0]' LIMIT 1000) q;
SELECT stopped_by FROM omendb_last_scan();
SET hnsw.iterative_scan = relaxed_order;
SELECT count(*) FROM (SELECT FROM t WHERE i > 290 ORDER BY v <-> '[100.2,0]' LIMIT 5) q;
SELECT count(*), count(DISTINCT i) FROM (SELECT i FROM t ORDER BY v <-> '[100.2,0]' LIMIT 1000) q;
-- up to max_scan_tuples, if that is where they are to end
SET hnsw.exhaustive_scan = off;
SET hnsw.max_scan_tuples = 50;
SELECT count(*) BETWEEN 10 AND 100 AS bounded FROM (SELECT FROM t ORDER BY v <-> '[100.2,0]' LIMIT 1000) q;
SELECT stopped_by FROM omendb_last_scan();
SET hnsw.iterative_scan = strict_order;
SELECT count(*) BETWEEN 10 AND 100 AS bounded FROM (SELECT FROM t ORDER BY v <-> '[100.2,0]' LIMIT 1000) q;
SELECT count(*) FROM (SELECT FROM t WHERE i > 290 ORDER BY v <-> '[100.2,0]' LIMIT 5) q;
SET hnsw.max_scan_tuples = 1;
SELECT count(*) BETWEEN 1 AND 40 AS bounded FROM (SELECT FROM t ORDER BY v <-> '[100.2,0]' LIMIT 1000) q;
RESET hnsw.max_scan_tuples;
-- and to the memory
SET work_mem = '64kB';
SELECT count(*) < 2500 AS bounded FROM (SELECT FROM many ORDER BY v <-> '[100.2,0]' LIMIT 10000) q;
SELECT stopped_by FROM omendb_last_scan();
-- of each search by itself: what an earlier one of the same plan took is not counted
SELECT divisor, (SELECT count(*) FROM (SELECT FROM many WHERE i % divisor = 0 ORDER BY v <-> '[100.2,0]' LIMIT 10) q) AS found FROM (VALUES (8), (5000), (8), (7)) x(divisor);
SET hnsw.scan_mem_multiplier = 100;
SELECT count(*) FROM (SELECT FROM many ORDER BY v <-> '[100.2,0]' LIMIT 10000) q;
SELECT stopped_by FROM omendb_last_scan();
RESET hnsw.scan_mem_multiplier;
-- otherwise every row comes, once and in order, whatever the limits: from the whole index, which is sorted, if need be on disk
RESET hnsw.exhaustive_scan;
SELECT * FROM walk('true');
SELECT nodes_visited < 5000 AS some, resumes > 2 AS resumed, rows_late < 100 AS few_late, sweeps, stopped_by FROM omendb_last_scan();
SET hnsw.max_scan_tuples = 100;
SELECT * FROM walk('i % 1000 = 0');
SELECT nodes_visited, sweeps, table_reads, stopped_by FROM omendb_last_scan();
SELECT i FROM many WHERE i > 4990 ORDER BY v <-> '[100.2,0]' LIMIT 3;
SELECT nodes_visited, sweeps, table_reads, stopped_by FROM omendb_last_scan();
SELECT array_agg(i ORDER BY n) FROM (SELECT i, row_number() OVER () AS n FROM (SELECT i FROM many WHERE i % 1000 = 0 ORDER BY v <-> (SELECT NULL::vector) LIMIT 10000) a) b;
SET hnsw.iterative_scan = relaxed_order;
SELECT * FROM walk('i % 1000 = 0');
-- again and again within one plan
SELECT divisor, (SELECT count(*) FROM (SELECT FROM many WHERE i % divisor = 0 ORDER BY v <-> '[100.2,0]' LIMIT 10) q) AS found FROM (VALUES (8), (5000), (8), (7), (500)) x(divisor);
-- what is deleted meanwhile does not come
BEGIN;
DECLARE c CURSOR FOR SELECT i FROM many ORDER BY v <-> '[100.2,0]' LIMIT 10000;
MOVE 1000 IN c;
DELETE FROM many WHERE i > 3000;
MOVE FORWARD ALL IN c;
SELECT * FROM walk('true');
ROLLBACK;
RESET hnsw.iterative_scan;
RESET hnsw.max_scan_tuples;
RESET work_mem;

-- ---------------------------------------------------------------- how far a custom scan goes

RESET hnsw.custom_scan;
-- off: ef_search rows, if there are
SET hnsw.iterative_scan = off;
SET hnsw.ef_search = 40;
SELECT count(*) FROM (SELECT FROM t ORDER BY v <-> '[100.2,0]' LIMIT 1000) q;
SET hnsw.ef_search = 10;
SELECT count(*) FROM (SELECT FROM t ORDER BY v <-> '[100.2,0]' LIMIT 1000) q;
SELECT count(*) FROM (SELECT FROM t WHERE i > 290 ORDER BY v <-> '[100.2,0]' LIMIT 5) q;
SET hnsw.ef_search = 1;
SELECT i FROM t ORDER BY v <-> '[100.2,0]' LIMIT 5;
SELECT stopped_by FROM omendb_last_scan();
SET hnsw.ef_search = 1000;
SELECT count(*) FROM (SELECT FROM t ORDER BY v <-> '[100.2,0]' LIMIT 1000) q;
-- the others: as many as there are
SET hnsw.ef_search = 10;
SET hnsw.iterative_scan = strict_order;
SELECT i FROM t WHERE i > 290 ORDER BY v <-> '[100.2,0]' LIMIT 5;
SELECT count(*) FROM (SELECT FROM t ORDER BY v <-> '[100.2,0]' LIMIT 1000) q;
SELECT stopped_by FROM omendb_last_scan();
SET hnsw.iterative_scan = relaxed_order;
SELECT count(*) FROM (SELECT FROM t WHERE i > 290 ORDER BY v <-> '[100.2,0]' LIMIT 5) q;
SELECT count(*), count(DISTINCT i) FROM (SELECT i FROM t ORDER BY v <-> '[100.2,0]' LIMIT 1000) q;
-- up to max_scan_tuples, if that is where they are to end
SET hnsw.exhaustive_scan = off;
SET hnsw.max_scan_tuples = 50;
SELECT count(*) BETWEEN 10 AND 100 AS bounded FROM (SELECT FROM t ORDER BY v <-> '[100.2,0]' LIMIT 1000) q;
SELECT stopped_by FROM omendb_last_scan();
SET hnsw.iterative_scan = strict_order;
SELECT count(*) BETWEEN 10 AND 100 AS bounded FROM (SELECT FROM t ORDER BY v <-> '[100.2,0]' LIMIT 1000) q;
SELECT count(*) FROM (SELECT FROM t WHERE i > 290 ORDER BY v <-> '[100.2,0]' LIMIT 5) q;
SET hnsw.max_scan_tuples = 1;
SELECT count(*) BETWEEN 1 AND 40 AS bounded FROM (SELECT FROM t ORDER BY v <-> '[100.2,0]' LIMIT 1000) q;
RESET hnsw.max_scan_tuples;
-- and to the memory
SET work_mem = '64kB';
SELECT count(*) < 2500 AS bounded FROM (SELECT FROM many ORDER BY v <-> '[100.2,0]' LIMIT 10000) q;
SELECT stopped_by FROM omendb_last_scan();
SELECT divisor, (SELECT count(*) FROM (SELECT FROM many WHERE i % divisor = 0 ORDER BY v <-> '[100.2,0]' LIMIT 10) q) AS found FROM (VALUES (8), (5000), (8), (7)) x(divisor);
SET hnsw.scan_mem_multiplier = 100;
SELECT count(*) FROM (SELECT FROM many ORDER BY v <-> '[100.2,0]' LIMIT 10000) q;
SELECT stopped_by FROM omendb_last_scan();
RESET hnsw.scan_mem_multiplier;
-- otherwise every row comes, once and in order, whatever the limits: with a filter from the table, else from the whole index
RESET hnsw.exhaustive_scan;
SET hnsw.max_scan_tuples = 100;
SELECT * FROM walk('true');
SELECT nodes_visited, resumes > 0 AS resumed, sweeps, table_reads, stopped_by FROM omendb_last_scan();
SELECT * FROM walk('i % 1000 = 0');
SELECT nodes_visited, sweeps, table_reads, stopped_by FROM omendb_last_scan();
SET hnsw.scan_strategy = auto;
SELECT * FROM walk('true');
SELECT sweeps + table_reads AS reads, stopped_by FROM omendb_last_scan();
SELECT * FROM walk('i % 1000 = 0');
SELECT sweeps, table_reads, stopped_by FROM omendb_last_scan();
SELECT i FROM many WHERE i > 4990 ORDER BY v <-> '[100.2,0]' LIMIT 3;
SELECT sweeps, table_reads, stopped_by FROM omendb_last_scan();
SELECT array_agg(i ORDER BY n) FROM (SELECT i, row_number() OVER () AS n FROM (SELECT i FROM many WHERE i % 1000 = 0 ORDER BY v <-> (SELECT NULL::vector) LIMIT 10000) a) b;
SET hnsw.iterative_scan = relaxed_order;
SELECT * FROM walk('i % 1000 = 0');
SELECT divisor, (SELECT count(*) FROM (SELECT FROM many WHERE i % divisor = 0 ORDER BY v <-> '[100.2,0]' LIMIT 10) q) AS found FROM (VALUES (8), (5000), (8), (7), (500)) x(divisor);
BEGIN;
DECLARE c CURSOR FOR SELECT i FROM many ORDER BY v <-> '[100.2,0]' LIMIT 10000;
MOVE 1000 IN c;
DELETE FROM many WHERE i > 3000;
MOVE FORWARD ALL IN c;
SELECT * FROM walk('true');
ROLLBACK;
RESET hnsw.iterative_scan;
RESET hnsw.max_scan_tuples;
RESET work_mem;
DROP FUNCTION walk;

-- ---------------------------------------------------------------- the search goes on, whatever LIMIT says

SET hnsw.scan_strategy = graph;
RESET hnsw.ef_search;
CREATE FUNCTION searches(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    found bigint;
BEGIN
    EXECUTE 'SELECT count(*) FROM (' || query || ') q' INTO found;
    RETURN (SELECT format('%s rows, the search %s', found, CASE WHEN resumes = 0 THEN 'ends' ELSE 'goes on' END) FROM omendb_last_scan());
END $$;
-- up to ef_search rows without another round, more with some
SELECT scan, set_config('hnsw.custom_scan', scan, false) <> '' AS set, searches($$SELECT FROM many ORDER BY v <-> '[100.2,0]' LIMIT 10$$) AS few,
    searches($$SELECT FROM many ORDER BY v <-> '[100.2,0]' LIMIT 100$$) AS many, searches($$SELECT FROM many ORDER BY v <-> '[100.2,0]' LIMIT 10 OFFSET 120$$) AS beyond,
    searches($$SELECT FROM (SELECT i + 1 AS j, v <-> '[100.2,0]' FROM many ORDER BY 2 LIMIT 150) s$$) AS computed
    FROM (VALUES ('on'), ('off')) x(scan);
SET hnsw.iterative_scan = off;
SELECT scan, set_config('hnsw.custom_scan', scan, false) <> '' AS set, searches($$SELECT FROM many ORDER BY v <-> '[100.2,0]' LIMIT 100$$) FROM (VALUES ('on'), ('off')) x(scan);
RESET hnsw.iterative_scan;
DROP FUNCTION searches;
-- the rows of a smaller LIMIT are the first of a larger one, also with OFFSET, as a parameter, with a filter and with locks
CREATE FUNCTION nearest(filter text, n int, skip int DEFAULT 0, lock text DEFAULT '') RETURNS int[] LANGUAGE plpgsql AS $$
DECLARE
    found int[];
BEGIN
    EXECUTE format('SELECT array_agg(i) FROM (SELECT i FROM many WHERE %s ORDER BY v <-> ''[1000.2,10.1]'' LIMIT $1 OFFSET $2 %s) q', filter, lock) INTO found USING n, skip;
    RETURN found;
END $$;
SELECT scan, set_config('hnsw.custom_scan', scan, false) <> '' AS set, filter, cardinality(long) AS longest,
    (SELECT array_agg(n ORDER BY n) FROM generate_series(1, 300) n WHERE n % 20 IN (0, 1, 4) AND nearest(filter, n) IS DISTINCT FROM long[:n]) AS different, nearest(filter, 10, 120) = long[121:130] AS skipped,
    -- (not by the plain scan: the executor's queue of rows whose order is in doubt loses their ctid, PostgreSQL 18 says so)
    CASE WHEN scan = 'on' THEN nearest(filter, 110, 0, 'FOR UPDATE') = long[:110] END AS locked
    FROM (VALUES ('on'), ('off')) x(scan), (VALUES ('true'), ('i % 3 = 0')) y(filter), LATERAL (SELECT nearest(filter, 300) AS long WHERE set_config('hnsw.custom_scan', scan, false) <> '') z;
SET hnsw.custom_scan = on;
SET plan_cache_mode = force_generic_plan;
PREPARE limited(int, int) AS SELECT array_agg(i) = (nearest('true', 300))[$2 + 1:$2 + $1] AS same FROM (SELECT i FROM many ORDER BY v <-> '[1000.2,10.1]' LIMIT $1 OFFSET $2) q;
EXECUTE limited(1, 0);
EXECUTE limited(100, 0);
EXECUTE limited(10, 120);
RESET plan_cache_mode;
DEALLOCATE limited;
DROP FUNCTION nearest;
DROP TABLE t, many;

-- A build in parts says where it cannot tell rows from each other; one in memory can.
SET client_min_messages = warning;
CREATE TABLE close (v vector(1));
INSERT INTO close SELECT ARRAY[i]::vector FROM generate_series(1, 6000) i;
SET maintenance_work_mem = '4MB';
CREATE INDEX close_v ON close USING hnsw (v vector_l2_ops);
RESET maintenance_work_mem;
REINDEX INDEX close_v;
DROP TABLE close;
RESET client_min_messages;
