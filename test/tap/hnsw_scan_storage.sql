-- Vectors out of line, compressed or not, and the memory that a session keeps from one scan to the next.
\ir hnsw_scans.psql
SELECT make_items(2000, 8) \g /dev/null
SELECT plan(30);

-- ------------------------------------------------------------------ vectors out of line

-- A whole number of chunks, compressed ones, in line, and NULL.
CREATE TABLE big (i int PRIMARY KEY, kind text, v vector(1496));
ALTER TABLE big ALTER v SET STORAGE external;
INSERT INTO big SELECT i, 'external', (SELECT array_agg(round((noise(j, i) * 3)::numeric, 1) ORDER BY j) FROM generate_series(1, 1496) j)::vector FROM generate_series(1, 100) i;
ALTER TABLE big ALTER v SET STORAGE extended;
ALTER TABLE big ALTER v SET COMPRESSION pglz;
INSERT INTO big SELECT i + 100, 'compressed', (SELECT array_agg(round((noise(j, i + 100) * 3)::numeric, 1) ORDER BY j) FROM generate_series(1, 1496) j)::vector FROM generate_series(1, 100) i;
INSERT INTO big SELECT i + 200, 'in line', array_fill(i + 1, ARRAY[1496])::vector FROM generate_series(1, 3) i;
INSERT INTO big VALUES (300, 'null', NULL);
SELECT is(array_agg(DISTINCT pg_column_size(v) >= 1496 * 4 ORDER BY pg_column_size(v) >= 1496 * 4), ARRAY[kind = 'external'], kind || ': stored at full length or not') FROM big WHERE v IS NOT NULL GROUP BY kind ORDER BY kind;
SELECT ok(bool_and(pg_column_size(v) > 2100), 'compressed ones are too long for a page of the table') FROM big WHERE kind = 'compressed';
CREATE INDEX big_v ON big USING hnsw (v vector_l2_ops);
CREATE INDEX big_c ON big USING hnsw (v vector_cosine_ops);
-- of an expression the value is not the column's
CREATE INDEX big_h ON big USING hnsw ((v::halfvec(1496)) halfvec_l2_ops);
VACUUM ANALYZE big;
PREPARE query AS SELECT (SELECT v FROM big WHERE i = $1);
SELECT is(problem(sql, misses => 1), NULL, sql) FROM (SELECT unnest(ARRAY[
    'SELECT i, v <-> (SELECT v FROM big WHERE i = 7) AS d FROM big ORDER BY d LIMIT 10',
    'SELECT i, v <-> (SELECT v FROM big WHERE i = 107) AS d FROM big ORDER BY d LIMIT 10',
    'SELECT i, v <-> (SELECT v FROM big WHERE i = 201) AS d FROM big ORDER BY d LIMIT 10',
    'SELECT i, v <=> (SELECT v FROM big WHERE i = 7) AS d FROM big WHERE i % 3 = 1 ORDER BY d LIMIT 10',
    'SELECT i, v::halfvec(1496) <-> (SELECT v::halfvec(1496) FROM big WHERE i = 7) AS d FROM big ORDER BY d LIMIT 10',
    'SELECT i, v FROM big ORDER BY v <-> (SELECT v FROM big WHERE i = 7) LIMIT 3',
    'SELECT i, v <-> (SELECT v FROM big WHERE i = 7) AS d FROM big WHERE v <-> (SELECT v FROM big WHERE i = 7) < 40 ORDER BY d LIMIT 300']) AS sql) s;
-- A join rescans; each run reads values of the same TOAST table.
SELECT is(problem('SELECT q.i, r.* FROM big q, LATERAL (SELECT i, v <-> q.v AS d FROM big ORDER BY v <-> q.v LIMIT 3) r WHERE q.i IN (1, 5, 101, 150, 202)', ordered => false, misses => 1), NULL, 'a join');
-- Two portals by turns, of which one ends first; a subtransaction that ends in the middle.
BEGIN;
DECLARE a CURSOR FOR SELECT i, v <-> (SELECT v FROM big WHERE i = 7) AS d FROM big ORDER BY d LIMIT 10;
DECLARE b CURSOR FOR SELECT i, v <-> (SELECT v FROM big WHERE i = 107) AS d FROM big ORDER BY d LIMIT 10;
FETCH 1 FROM a \g /dev/null
SAVEPOINT s;
FETCH 2 FROM b \g /dev/null
FETCH 2 FROM a \g /dev/null
ROLLBACK TO s;
CLOSE b;
SELECT lives_ok('FETCH 5 FROM a', 'a cursor goes on after a subtransaction was rolled back in which it was read');
COMMIT;
SELECT is((SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND relation = (SELECT reltoastrelid FROM pg_class WHERE oid = 'big'::regclass)), 0::bigint, 'the TOAST table is not locked after the statement');

-- ------------------------------------------------------------------ a session keeps the memory of one scan

CREATE FUNCTION kept() RETURNS bigint LANGUAGE sql RETURN (SELECT count(*) FROM pg_backend_memory_contexts WHERE name = 'hnsw scan');
CREATE FUNCTION kept_bytes() RETURNS bigint LANGUAGE sql RETURN (SELECT coalesce(sum(total_bytes), 0) FROM pg_backend_memory_contexts WHERE name = 'hnsw scan');
CREATE TABLE nearest AS SELECT 'SELECT i FROM items ORDER BY v <-> ''[.5,.5,.5,.5,.5,.5,.5,.5]'' LIMIT 10'::text AS sql;
SELECT is(problem(sql, misses => 1), NULL, 'a scan') FROM nearest;
SELECT is(kept(), 1::bigint, 'its memory is kept');
SELECT is(problem(sql, misses => 1), NULL, 'another scan') FROM nearest;
SELECT is(kept(), 1::bigint, 'takes it, and gives it back');
-- an error in the middle frees it
SELECT throws_ok('SELECT i FROM items WHERE 1 / (i - (SELECT i FROM items ORDER BY v <-> ''[.5,.5,.5,.5,.5,.5,.5,.5]'' LIMIT 1)) >= 0 ORDER BY v <-> ''[.5,.5,.5,.5,.5,.5,.5,.5]'' LIMIT 5', '22012', NULL, 'an error in the middle of a scan');
SELECT cmp_ok(kept(), '<=', 1::bigint, 'frees what the scan had');
SELECT is(problem(sql, misses => 1), NULL, 'and the next scan is right') FROM nearest;
-- a large search is not kept
SET hnsw.ef_search = 1000;
SET hnsw.iterative_scan = strict_order;
SELECT count(*) FROM (SELECT i FROM items ORDER BY v <-> '[.5,.5,.5,.5,.5,.5,.5,.5]' LIMIT 1900) r \g /dev/null
RESET hnsw.ef_search;
SELECT cmp_ok(kept_bytes(), '<=', 524288::bigint, 'at most 512 KB are kept');
SELECT is(problem(sql, misses => 1), NULL, 'after a large search') FROM nearest;
-- nested scans of two tables, and of one
CREATE TABLE twin AS SELECT * FROM items;
CREATE INDEX twin_v ON twin USING hnsw (v vector_l2_ops);
ANALYZE twin;
SELECT is(problem('SELECT q.i, r.i, s.i FROM (SELECT i, v FROM items ORDER BY v <-> ''[.5,.5,.5,.5,.5,.5,.5,.5]'' LIMIT 5) q, LATERAL (SELECT i, v FROM twin ORDER BY v <-> q.v LIMIT 2) r, LATERAL (SELECT i FROM items ORDER BY v <-> r.v LIMIT 2) s', ordered => false, misses => 2), NULL, 'scans within each other');
SELECT is(kept(), 1::bigint, 'one is kept');
-- the index changes: other rows, another number of edges, another operator class, in one transaction
REINDEX INDEX items_hnsw;
SELECT is(problem(sql, misses => 1), NULL, 'after REINDEX') FROM nearest;
BEGIN;
TRUNCATE items;
SELECT is(rows_of(sql), '{}', 'after TRUNCATE') FROM nearest;
INSERT INTO items SELECT * FROM twin WHERE i % 2 = 0;
SELECT is(problem(sql, misses => 1), NULL, 'after TRUNCATE and new rows') FROM nearest;
ROLLBACK;
SELECT is(problem(sql, misses => 1), NULL, 'after ROLLBACK') FROM nearest;
DROP INDEX items_hnsw;
CREATE INDEX items_hnsw ON items USING hnsw (v vector_cosine_ops) WITH (m = 8);
SELECT is(problem(replace(sql, '<->', '<=>'), misses => 1), NULL, 'another operator class') FROM nearest;

SELECT * FROM finish();
