-- What an hnsw index says of itself: hnsw_index_info, hnsw_index_check, hnsw_recall, omendb_last_scan.
-- (That the check finds what is wrong: test/t/021_index_check.pl.)
\c -
-- nothing scanned yet
SELECT * FROM omendb_last_scan();

CREATE TABLE d (id int, v vector(8), h halfvec(8), b bit(40));
INSERT INTO d SELECT n, array_agg(x ORDER BY i)::vector, array_agg(x ORDER BY i)::vector::halfvec, (n::bit(10) || (n * 77)::bit(30))::bit(40)
    FROM (SELECT n, i, ((n * n + n * i * 37) % 1009 - 500) / 8.0 AS x FROM generate_series(1, 700) n, generate_series(1, 8) i) e GROUP BY n;
CREATE INDEX d_l2 ON d USING hnsw (v vector_l2_ops);
CREATE INDEX d_ip ON d USING hnsw (v vector_ip_ops) WITH (m = 6, ef_construction = 30);
CREATE INDEX d_cosine ON d USING hnsw (h halfvec_cosine_ops) WITH (compact = on);
CREATE INDEX d_l1 ON d USING hnsw (v vector_l1_ops);
CREATE INDEX d_hamming ON d USING hnsw (b bit_hamming_ops);
CREATE INDEX d_jaccard ON d USING hnsw (b bit_jaccard_ops);

-- ---------------------------------------------------------------- what it is

SELECT relname, i.format_version, i.dimensions, i.m, i.ef_construction, i.metric, i.vector_storage, i.code_bits, i.record_bytes, i.records_per_page
FROM pg_class, hnsw_index_info(oid) i WHERE relname LIKE 'd\_%' ORDER BY relname;
-- what it holds
SELECT relname, i.pages = relpages AND i.pages = (i.records + i.overflow_records + i.free_records) / i.records_per_page + 1 AS pages, i.nodes = distinct_vectors AS nodes,
    i.records = (SELECT sum(n) FROM unnest(i.nodes_by_level) n) AS records, i.overflow_records, i.heap_tids, i.levels = cardinality(i.nodes_by_level) AS levels,
    i.nodes_by_level[1] = i.nodes AS by_level, i.entry_point < i.records AS entry, i.entry_level = i.levels - 1 AS top, i.dead_nodes, i.dead_share,
    i.edges_per_node BETWEEN i.m AND 2 * i.m AS edges, i.bytes_per_row = i.pages * current_setting('block_size')::float8 / i.heap_tids AS bytes
FROM pg_class, hnsw_index_info(oid) i, (SELECT count(DISTINCT v) AS distinct_vectors FROM d) x WHERE relname LIKE 'd\_l%' ORDER BY relname;
-- nothing is wrong
SELECT relname, c.* FROM pg_class, hnsw_index_check(oid) c WHERE relname LIKE 'd\_%';
SELECT relname, c.* FROM pg_class, hnsw_index_check(oid, true) c WHERE relname LIKE 'd\_%';
SELECT relname, c.* FROM pg_class, hnsw_index_check(index => oid, heap_check => true) c WHERE relname = 'd_l2';

-- ---------------------------------------------------------------- recall

SET hnsw.ef_search = 500;
SELECT relname, hnsw_recall(oid) > 0.98 AS good FROM pg_class WHERE relname LIKE 'd\_%' ORDER BY relname;
SELECT hnsw_recall('d_l2', 1000, 5), hnsw_recall('d_l2', k => 1), hnsw_recall('d_l2', 3, 1000);
-- at most ef_search rows come where a scan does not go on
SET hnsw.iterative_scan = off;
SET hnsw.ef_search = 3;
SELECT hnsw_recall('d_l2', 50, 10) <= 0.3 AS three_of_ten;
RESET hnsw.ef_search;
RESET hnsw.iterative_scan;
-- the same each time
SELECT hnsw_recall('d_ip', 20) = hnsw_recall('d_ip', 20) AS repeatable;
SELECT hnsw_recall('d_l2', 0);
SELECT hnsw_recall('d_l2', 100001);
SELECT hnsw_recall('d_l2', 1, 0);
SELECT hnsw_recall('d_l2', 1, 10001);
SELECT hnsw_index_info(NULL) IS NULL AS info, (SELECT count(*) FROM hnsw_index_check(NULL)) AS problems, hnsw_recall(NULL) IS NULL AS recall;

-- ---------------------------------------------------------------- rows without vectors, duplicates, part of a table

-- temporary: a vacuum then waits for nobody's snapshot
CREATE TEMP TABLE e (id int, v vector(3), kind int);
CREATE INDEX e_cosine ON e USING hnsw (v vector_cosine_ops);
CREATE INDEX e_part ON e USING hnsw (v vector_l2_ops) WHERE kind = 1;
CREATE INDEX e_expression ON e USING hnsw ((subvector(v, 1, 2)::vector(2)) vector_l2_ops);
CREATE INDEX e_quantized ON e USING hnsw ((binary_quantize(v)::bit(3)) bit_hamming_ops);
-- empty
SELECT nodes, records, heap_tids, levels, nodes_by_level, entry_point, entry_level, dead_share, edges_per_node, bytes_per_row FROM hnsw_index_info('e_cosine');
SELECT * FROM hnsw_index_check('e_cosine', true);
SELECT hnsw_recall('e_cosine');
INSERT INTO e SELECT n, CASE WHEN n % 10 = 0 THEN NULL WHEN n % 10 = 1 THEN '[0,0,0]' WHEN n % 10 = 2 THEN '[1,2,3]' ELSE array[n % 7, n % 5, n]::vector END, n % 2 FROM generate_series(1, 1500) n;
REINDEX TABLE e;
SELECT relname, i.heap_tids, i.overflow_records > 0 AS overflow FROM pg_class, hnsw_index_info(oid) i WHERE relname LIKE 'e\_%' ORDER BY relname;
SELECT relname, c.* FROM pg_class, hnsw_index_check(oid, true) c WHERE relname LIKE 'e\_%';
SELECT relname, hnsw_recall(oid) > 0.9 AS good FROM pg_class WHERE relname LIKE 'e\_%' ORDER BY relname;
-- dead rows before a vacuum; rows moved within their pages
DELETE FROM e WHERE id % 4 = 3;
UPDATE e SET id = id + 1 WHERE id % 4 = 1;
UPDATE e SET v = '[4,4,4]' WHERE id % 20 = 5;
SELECT relname, c.* FROM pg_class, hnsw_index_check(oid, true) c WHERE relname LIKE 'e\_%' AND problem NOT LIKE 'not reached%';
VACUUM e;
SELECT relname, c.* FROM pg_class, hnsw_index_check(oid, true) c WHERE relname LIKE 'e\_%' AND problem NOT LIKE 'not reached%';
SELECT heap_tids = (SELECT count(*) FROM e WHERE v <> '[0,0,0]') AS rows FROM hnsw_index_info('e_cosine');
SELECT heap_tids = (SELECT count(v) FROM e WHERE kind = 1) AS rows FROM hnsw_index_info('e_part');
SELECT hnsw_recall('e_part') > 0.9 AS good;
-- within the transaction that made it, and its rows
BEGIN;
INSERT INTO e VALUES (9999, '[7,8,9]', 1);
CREATE INDEX e_new ON e USING hnsw (v vector_l2_ops);
SELECT * FROM hnsw_index_check('e_new', true);
SELECT hnsw_recall('e_new', 10) > 0.9 AS good;
ROLLBACK;

-- ---------------------------------------------------------------- what a scan did

SET enable_seqscan = off;
-- the plain index scan
SET hnsw.custom_scan = off;
SELECT count(*) FROM (SELECT FROM d ORDER BY v <-> '[1,2,3,4,5,6,7,8]' LIMIT 5) x;
SELECT index, nodes_visited BETWEEN 5 AND 700 AS visited, pages_read >= nodes_visited AS pages, buffer_lookups <= pages_read AS lookups, rows_returned >= 5 AS returned,
    rows_rechecked <= rows_returned AS rechecked, resumes, rows_late, sweeps, stopped_by FROM omendb_last_scan();
SELECT count(*) FROM (SELECT FROM d ORDER BY v <-> '[1,2,3,4,5,6,7,8]' LIMIT 1000) x;
SELECT rows_returned, nodes_visited < 700 AS some, sweeps, table_reads, stopped_by FROM omendb_last_scan();
SET hnsw.exhaustive_scan = off;
SELECT count(*) FROM (SELECT FROM d ORDER BY v <-> '[1,2,3,4,5,6,7,8]' LIMIT 1000) x;
SELECT rows_returned, nodes_visited, resumes > 0 AS resumed, sweeps, stopped_by FROM omendb_last_scan();
SET hnsw.iterative_scan = off;
SELECT count(*) FROM (SELECT FROM d ORDER BY v <#> '[1,2,3,4,5,6,7,8]' LIMIT 1000) x;
SELECT index, rows_returned, resumes, stopped_by FROM omendb_last_scan();
SET hnsw.iterative_scan = relaxed_order;
SET hnsw.max_scan_tuples = 100;
SELECT count(*) BETWEEN 100 AND 699 AS some FROM (SELECT FROM d ORDER BY b <~> (1::bit(40)) LIMIT 1000) x;
SELECT index, nodes_visited, stopped_by FROM omendb_last_scan();
RESET hnsw.max_scan_tuples;
RESET hnsw.iterative_scan;
-- EXPLAIN (ANALYZE) has it too, from PostgreSQL 18 on
CREATE FUNCTION explained(query text) RETURNS jsonb LANGUAGE plpgsql AS $$ DECLARE plan jsonb; BEGIN EXECUTE 'EXPLAIN (ANALYZE, FORMAT json) ' || query INTO plan; RETURN jsonb_path_query_first(plan, 'strict $.** ? (@."Node Type" == "Index Scan" || @."Node Type" == "Custom Scan")'); END $$;
SELECT plan->>'Node Type' AS node, (SELECT array_agg(name) FROM (VALUES
        ('Nodes Visited', (plan->>'Nodes Visited')::int BETWEEN 5 AND 700), ('Pages Read', (plan->>'Pages Read')::int >= (plan->>'Nodes Visited')::int),
        ('Rows Rechecked', (plan->>'Rows Rechecked')::int >= 0), ('Stopped By', plan->>'Stopped By' IS NULL), ('Index Searches', (plan->>'Index Searches')::int = 1)) v(name, good)
    WHERE good IS NOT TRUE AND current_setting('server_version_num')::int >= 180000) AS wrong
FROM explained('SELECT FROM d ORDER BY v <-> ''[1,2,3,4,5,6,7,8]'' LIMIT 5') plan;
SET hnsw.iterative_scan = off;
SELECT coalesce(plan->>'Stopped By', 'ef_search') AS stopped FROM explained('SELECT FROM d ORDER BY v <-> ''[1,2,3,4,5,6,7,8]'' LIMIT 700') plan;
RESET hnsw.iterative_scan;
SET work_mem = '64kB';
SELECT count(*) < 700 AS some FROM (SELECT FROM d ORDER BY v <-> '[1,2,3,4,5,6,7,8]' LIMIT 1000) x;
SELECT index, stopped_by FROM omendb_last_scan();
RESET work_mem;
RESET hnsw.exhaustive_scan;
-- the custom scan: likewise, with a limit from the settings it goes on with the index or ends
RESET hnsw.custom_scan;
SET hnsw.scan_strategy = graph;
SELECT count(*) FROM (SELECT FROM d ORDER BY v <-> '[1,2,3,4,5,6,7,8]' LIMIT 5) x;
SELECT index, nodes_visited BETWEEN 5 AND 700 AS visited, pages_read >= nodes_visited AS pages, buffer_lookups <= pages_read AS lookups, rows_returned >= 5 AS returned,
    resumes, rows_late, sweeps, table_reads, stopped_by FROM omendb_last_scan();
SELECT count(*) FROM (SELECT FROM d ORDER BY v <-> '[1,2,3,4,5,6,7,8]' LIMIT 1000) x;
SELECT rows_returned, resumes > 0 AS resumed, sweeps, table_reads, stopped_by FROM omendb_last_scan();
SET hnsw.max_scan_tuples = 100;
SELECT count(*) FROM (SELECT FROM d ORDER BY b <~> (1::bit(40)) LIMIT 700) x;
SELECT index, nodes_visited, rows_returned, sweeps, table_reads FROM omendb_last_scan();
SET hnsw.exhaustive_scan = off;
SELECT count(*) BETWEEN 100 AND 699 AS some FROM (SELECT FROM d ORDER BY b <~> (1::bit(40)) LIMIT 1000) x;
SELECT index, nodes_visited, stopped_by FROM omendb_last_scan();
RESET hnsw.max_scan_tuples;
SELECT count(*) FROM (SELECT FROM d ORDER BY v <-> '[1,2,3,4,5,6,7,8]' LIMIT 1000) x;
SELECT rows_returned, nodes_visited, resumes > 0 AS resumed, sweeps, table_reads, stopped_by FROM omendb_last_scan();
SET hnsw.iterative_scan = off;
SELECT count(*) FROM (SELECT FROM d ORDER BY v <#> '[1,2,3,4,5,6,7,8]' LIMIT 1000) x;
SELECT index, rows_returned, resumes, stopped_by FROM omendb_last_scan();
RESET hnsw.iterative_scan;
SET work_mem = '64kB';
SELECT count(*) < 700 AS some FROM (SELECT FROM d ORDER BY v <-> '[1,2,3,4,5,6,7,8]' LIMIT 1000) x;
SELECT index, stopped_by FROM omendb_last_scan();
RESET work_mem;
RESET hnsw.exhaustive_scan;
-- without a search: all rows are read and sorted
SET hnsw.scan_strategy = exact;
SELECT count(*) FROM (SELECT FROM d ORDER BY v <-> '[1,2,3,4,5,6,7,8]' LIMIT 5) x;
SELECT * FROM omendb_last_scan();
RESET hnsw.scan_strategy;
-- EXPLAIN (ANALYZE) has it in every version
SELECT plan->>'Node Type' AS node, plan->>'Custom Plan Provider' AS provider, plan->>'Index' AS index, (SELECT array_agg(name) FROM (VALUES
        ('Nodes Visited', (plan->>'Nodes Visited')::int BETWEEN 5 AND 700), ('Heap Rows Read', (plan->>'Heap Rows Read')::int BETWEEN 5 AND 700), ('Distances Computed', (plan->>'Distances Computed')::int <= 700)) v(name, good)
    WHERE good IS NOT TRUE) AS wrong
FROM explained('SELECT FROM d ORDER BY v <-> ''[1,2,3,4,5,6,7,8]'' LIMIT 5') plan;
RESET enable_seqscan;

-- ---------------------------------------------------------------- what is no such index

CREATE INDEX d_btree ON d (id);
CREATE TABLE p (v vector(3)) PARTITION BY RANGE (v);
CREATE INDEX p_hnsw ON p USING hnsw (v vector_l2_ops);
SELECT hnsw_index_info('d');
SELECT hnsw_index_check('d_btree');
SELECT hnsw_recall('d_btree');
SELECT hnsw_index_info('p_hnsw');
SELECT hnsw_index_check('p_hnsw');
SELECT hnsw_recall('p_hnsw');
SELECT hnsw_index_info(0);
\set VERBOSITY sqlstate
SELECT hnsw_index_info('d');
SELECT hnsw_index_info('p_hnsw');
\set VERBOSITY default
-- a build that failed
CREATE FUNCTION refuse(v vector, id int) RETURNS vector LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN IF id = 600 THEN RAISE 'refused'; END IF; RETURN v; END $$;
\set VERBOSITY terse
CREATE INDEX CONCURRENTLY d_failed ON d USING hnsw ((refuse(v, id)::vector(8)) vector_l2_ops);
\set VERBOSITY default
SELECT hnsw_index_info('d_failed');
SELECT * FROM hnsw_index_check('d_failed');
SELECT hnsw_recall('d_failed');
DROP INDEX d_failed;

-- ---------------------------------------------------------------- rights

CREATE ROLE regress_omendb_nobody;
CREATE ROLE regress_omendb_reader;
CREATE ROLE regress_omendb_monitor IN ROLE pg_stat_scan_tables;
CREATE ROLE regress_omendb_owner;
GRANT SELECT ON d TO regress_omendb_reader;
SET ROLE regress_omendb_nobody;
SELECT hnsw_index_info('d_l2');
SELECT hnsw_index_check('d_l2');
SELECT hnsw_recall('d_l2');
SET ROLE regress_omendb_reader;
SELECT nodes > 0 AS nodes FROM hnsw_index_info('d_l2');
SELECT hnsw_index_check('d_l2');
SELECT hnsw_recall('d_l2', 5) > 0.9 AS recall;
SET ROLE regress_omendb_monitor;
SELECT nodes > 0 AS nodes FROM hnsw_index_info('d_l2');
SELECT hnsw_index_check('d_l2');
SELECT hnsw_recall('d_l2');
RESET ROLE;
ALTER TABLE d ENABLE ROW LEVEL SECURITY;
SET ROLE regress_omendb_reader;
SELECT nodes > 0 AS nodes FROM hnsw_index_info('d_l2');
SELECT hnsw_recall('d_l2', 5);
RESET ROLE;
ALTER TABLE d DISABLE ROW LEVEL SECURITY;

-- index expressions run as the table's owner, whoever looks
CREATE FUNCTION whoami(v vector) RETURNS vector LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RAISE NOTICE 'as %', CASE current_user WHEN session_user THEN 'myself' ELSE current_user END; RETURN v; END $$;
CREATE TABLE o (v vector(2));
ALTER TABLE o OWNER TO regress_omendb_owner;
CREATE INDEX o_v ON o USING hnsw ((whoami(v)::vector(2)) vector_l2_ops);
INSERT INTO o VALUES ('[1,2]');
SELECT * FROM hnsw_index_check('o_v');
SELECT * FROM hnsw_index_check('o_v', true);
SELECT hnsw_recall('o_v');
SELECT current_user = session_user AS restored;

DROP TABLE d, e, p, o;
DROP FUNCTION refuse, whoami, explained;
DROP ROLE regress_omendb_nobody, regress_omendb_reader, regress_omendb_monitor, regress_omendb_owner;
