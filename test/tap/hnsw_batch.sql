-- Statements of many rows, which are gathered and inserted together from PostgreSQL 17 on. Whoever reads the index meanwhile finds
-- the rows inserted so far: triggers, functions, later commands. Rows that are taken back are not in the index, all others are.
SET client_min_messages = warning;
SET enable_seqscan = off;
SET hnsw.custom_scan = off;
SELECT plan(40);

CREATE TABLE t (i int, v vector(8));
CREATE INDEX t_hnsw ON t USING hnsw (v vector_l2_ops);
CREATE FUNCTION vec(n float8) RETURNS vector LANGUAGE sql IMMUTABLE AS $$ SELECT (SELECT array_agg(sin(n * k * sqrt(k + 1)) ORDER BY k) FROM generate_series(1, 8) k)::vector $$;
-- The row of a vector, by the index; NULL if the nearest one is another.
CREATE FUNCTION find(n int) RETURNS int LANGUAGE plpgsql AS $$
DECLARE found int;
BEGIN
    SELECT i INTO found FROM (SELECT i, v <-> vec(n) AS d FROM t ORDER BY v <-> vec(n) LIMIT 1) q WHERE d < 1e-3;
    RETURN found;
END $$;
-- What is wrong with the index, and rows that it does not find.
CREATE FUNCTION wrong(name text DEFAULT 't_hnsw') RETURNS SETOF text LANGUAGE sql AS $$
    SELECT problem FROM hnsw_index_check(name, true) WHERE severity <> 'notice'
    UNION ALL SELECT 'not found: ' || r.i FROM t r WHERE i >= 0 AND find(i) IS DISTINCT FROM i $$;

INSERT INTO t SELECT i, vec(i) FROM generate_series(1, 500) i;
SELECT is_empty('SELECT wrong()', 'an empty index gets many rows');
INSERT INTO t SELECT i, vec(i) FROM generate_series(501, 1200) i;
SELECT is_empty('SELECT wrong()', 'and more');
UPDATE t SET v = vec(i + 10000), i = i + 10000 WHERE i <= 300;
SELECT is_empty('SELECT wrong()', 'UPDATE is such a statement, too');
COPY t FROM stdin;
20001	[1,2,3,4,5,6,7,8]
20002	[1,2,3,4,5,6,7,9]
20003	\N
20004	[1,2,3,4,5,6,7,8]
\.
SELECT results_eq($$ SELECT i FROM (SELECT i FROM t ORDER BY v <-> '[1,2,3,4,5,6,7,8.1]' LIMIT 2) q ORDER BY i $$, 'VALUES (20001), (20004)', 'COPY, with equal vectors');
DELETE FROM t WHERE i > 20000;

-- a trigger for each row finds the row inserted before
CREATE FUNCTION seen_before() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- BEFORE ROW: the row before is in the table.
    IF NEW.i > 30001 AND find(NEW.i - 1) IS DISTINCT FROM NEW.i - 1 THEN RAISE EXCEPTION 'row % is missing', NEW.i - 1; END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER b BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION seen_before();
SELECT lives_ok('INSERT INTO t SELECT i, vec(i) FROM generate_series(30001, 30050) i', 'a BEFORE trigger finds the row before');
DROP TRIGGER b ON t;
CREATE FUNCTION seen() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF find(NEW.i) IS DISTINCT FROM NEW.i THEN RAISE EXCEPTION 'row % is missing', NEW.i; END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER a AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION seen();
SELECT lives_ok('INSERT INTO t SELECT i, vec(i) FROM generate_series(31001, 31100) i', 'an AFTER trigger finds all rows');
DROP TRIGGER a ON t;
CREATE CONSTRAINT TRIGGER d AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION seen();
BEGIN;
SELECT lives_ok('INSERT INTO t SELECT i, vec(i) FROM generate_series(32001, 32100) i', 'rows for a deferred trigger');
SELECT lives_ok('SET CONSTRAINTS ALL IMMEDIATE', 'which finds them');
COMMIT;
DROP TRIGGER d ON t;
CREATE FUNCTION all_there() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT count(*) FROM rows WHERE find(rows.i) IS DISTINCT FROM rows.i) > 0 THEN RAISE EXCEPTION 'rows are missing'; END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER s AFTER INSERT ON t REFERENCING NEW TABLE AS rows FOR EACH STATEMENT EXECUTE FUNCTION all_there();
SELECT lives_ok('INSERT INTO t SELECT i, vec(i) FROM generate_series(33001, 33100) i', 'a trigger for the statement finds all rows');
DROP TRIGGER s ON t;
SELECT is_empty('SELECT wrong()', 'nothing is wrong after triggers');

-- a function that the statement itself calls
SELECT lives_ok('INSERT INTO t SELECT i, CASE WHEN i = 34001 OR find(i - 1) = i - 1 THEN vec(i) END FROM generate_series(34001, 34040) i', 'a function of the SELECT');
SELECT is((SELECT count(*)::int FROM t WHERE i BETWEEN 34001 AND 34040 AND v IS NOT NULL), 40, 'finds the row before');
SELECT results_eq('INSERT INTO t SELECT i, vec(i) FROM generate_series(35001, 35040) i RETURNING find(i)', 'SELECT generate_series(35001, 35040)', 'RETURNING finds its row');
-- the main query has the snapshot of the statement's begin; a function of it has a newer one
SELECT results_eq('WITH w AS (INSERT INTO t SELECT i, vec(i) FROM generate_series(36001, 36030) i RETURNING i) SELECT sum(find(w.i))::int, (SELECT count(*)::int FROM t WHERE i = 36001) FROM w', 'SELECT sum(i)::int, 0 FROM generate_series(36001, 36030) i', 'WITH ... INSERT');
-- the statement's own scan does not see its rows
SELECT lives_ok('INSERT INTO t SELECT i + 100000, v FROM t ORDER BY v <-> vec(500) LIMIT 50', 'a statement that reads the index which it writes');
SELECT is((SELECT count(*)::int FROM t WHERE i > 100000), 50, 'reads the rows before');
DELETE FROM t WHERE i > 100000;

-- cursors, and commands in a loop
BEGIN;
DECLARE c CURSOR FOR SELECT i FROM t ORDER BY v <-> vec(37010) LIMIT 3;
INSERT INTO t SELECT i, vec(i) FROM generate_series(37001, 37020) i;
SELECT isnt((SELECT i FROM t ORDER BY v <-> vec(37010) LIMIT 1), NULL, 'a cursor is open');
FETCH c \g /dev/null
COMMIT;
DO $$ BEGIN FOR n IN 38001 .. 38020 LOOP
    INSERT INTO t SELECT i, vec(i) FROM generate_series(n * 10, n * 10 + 2) i;
    IF find(n * 10 + 2) IS NULL THEN RAISE EXCEPTION 'row % is missing', n * 10 + 2; END IF;
END LOOP; END $$;
SELECT is_empty('SELECT wrong()', 'nothing is wrong after a loop');

-- subtransactions: a trigger whose block is rolled back has inserted many rows, in the middle of another statement
CREATE FUNCTION roll_back() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    BEGIN
        INSERT INTO t SELECT -i, vec(i + 0.5) FROM generate_series(NEW.i * 10, NEW.i * 10 + 5) i;
        IF NEW.i % 3 = 0 THEN PERFORM find(NEW.i - 1); END IF;
        IF NEW.i % 3 = 1 THEN PERFORM 1 / 0; END IF;
        IF NEW.i % 3 = 2 THEN INSERT INTO t SELECT -i, CASE WHEN i < 5 THEN vec(i + 0.25) ELSE '[1,2]'::vector END FROM generate_series(1, 5) i; END IF;
    EXCEPTION WHEN others THEN NULL;
    END;
    RETURN NEW;
END $$;
CREATE TRIGGER r BEFORE INSERT ON t FOR EACH ROW WHEN (NEW.i > 0) EXECUTE FUNCTION roll_back();
SELECT lives_ok('INSERT INTO t SELECT i, vec(i) FROM generate_series(40001, 40060) i', 'blocks are rolled back in the middle');
DROP TRIGGER r ON t;
SELECT is((SELECT count(*)::int FROM t WHERE i < 0), 120, 'rows of blocks that were not are there');
SELECT is((SELECT count(*)::int FROM (SELECT i FROM t ORDER BY v <-> vec(400030) LIMIT 100000) q), (SELECT count(*)::int FROM t WHERE v IS NOT NULL), 'the index has all rows and no other');
SELECT is_empty('SELECT wrong()', 'nothing is wrong after rolled back blocks');
BEGIN;
SAVEPOINT a;
INSERT INTO t SELECT i, vec(i) FROM generate_series(41001, 41100) i;
RELEASE a;
SAVEPOINT a;
INSERT INTO t SELECT i, vec(i) FROM generate_series(41101, 41200) i;
ROLLBACK TO a;
INSERT INTO t SELECT i, vec(i) FROM generate_series(41201, 41300) i;
COMMIT;
SELECT is((SELECT count(find(i))::int FROM generate_series(41001, 41300) i), 200, 'savepoints');
BEGIN;
INSERT INTO t SELECT i, vec(i) FROM generate_series(42001, 42100) i;
ROLLBACK;
SELECT is(find(42050), NULL, 'a transaction that was rolled back');
SELECT throws_ok($$ INSERT INTO t SELECT i, CASE WHEN i < 42090 THEN vec(i) ELSE '[1,2]'::vector END FROM generate_series(42001, 42100) i $$, '22000', NULL, 'an error in the middle');
SELECT is(find(42050), NULL, 'leaves nothing');
DELETE FROM t WHERE i < 0;
VACUUM t;
SELECT is_empty('SELECT wrong()', 'nothing is wrong after vacuum');

-- rows that ON CONFLICT takes back
CREATE TABLE u (i int PRIMARY KEY, v vector(8));
CREATE INDEX u_hnsw ON u USING hnsw (v vector_l2_ops);
INSERT INTO u SELECT i, vec(i) FROM generate_series(1, 200) i;
INSERT INTO u SELECT i, vec(i + 1000) FROM generate_series(101, 300) i ON CONFLICT DO NOTHING;
INSERT INTO u SELECT i, vec(i + 2000) FROM generate_series(201, 400) i ON CONFLICT (i) DO UPDATE SET v = excluded.v;
SELECT is((SELECT count(*)::int FROM (SELECT i FROM u ORDER BY v <-> vec(1) LIMIT 1000) q), 400, 'ON CONFLICT');
SELECT is_empty($$ SELECT problem FROM hnsw_index_check('u_hnsw', true) WHERE severity <> 'notice' $$, 'its index');
MERGE INTO u USING (SELECT i, vec(i + 3000) AS v FROM generate_series(301, 500) i) s ON u.i = s.i WHEN MATCHED THEN UPDATE SET v = s.v WHEN NOT MATCHED THEN INSERT VALUES (s.i, s.v);
SELECT is((SELECT count(*)::int FROM (SELECT i FROM u ORDER BY v <-> vec(1) LIMIT 1000) q), 500, 'MERGE');

-- partitions, several indexes, an expression, a predicate, a temporary table
CREATE TABLE p (i int, v vector(8)) PARTITION BY LIST (i);
SELECT format('CREATE TABLE p%s PARTITION OF p FOR VALUES IN (%s)', n, n) FROM generate_series(0, 4) n \gexec
CREATE INDEX p_hnsw ON p USING hnsw (v vector_cosine_ops);
CREATE INDEX p_twice ON p USING hnsw (((v + v)::vector(8)) vector_l2_ops) WHERE i > 1;
INSERT INTO p SELECT i % 5, vec(i) FROM generate_series(1, 500) i;
SELECT results_eq($$ SELECT n, (SELECT count(*)::int FROM (SELECT FROM p WHERE i = n ORDER BY v <=> vec(7) LIMIT 1000) q) FROM generate_series(0, 4) n $$, 'SELECT n, 100 FROM generate_series(0, 4) n', 'partitions');
SELECT results_eq($$ SELECT count(*)::int FROM (SELECT FROM p WHERE i > 1 ORDER BY (v + v)::vector(8) <-> vec(7) LIMIT 1000) q $$, 'VALUES (300)', 'an expression, a predicate');
UPDATE p SET i = (i + 1) % 5;
SELECT results_eq($$ SELECT n, (SELECT count(*)::int FROM (SELECT FROM p WHERE i = n ORDER BY v <=> vec(7) LIMIT 1000) q) FROM generate_series(0, 4) n $$, 'SELECT n, 100 FROM generate_series(0, 4) n', 'rows that move to another partition');
CREATE TEMPORARY TABLE temporary (i int, v bit(64));
CREATE INDEX ON temporary USING hnsw (v bit_hamming_ops);
INSERT INTO temporary SELECT i, i::bit(64) FROM generate_series(1, 300) i;
SELECT is((SELECT count(*)::int FROM (SELECT FROM temporary ORDER BY v <~> 7::bit(64) LIMIT 1000) q), 300, 'bits, in a temporary table');

-- equal vectors: of rows of the statement, of rows before, and of neighbours of both
CREATE TABLE w (i int, v vector(8));
CREATE INDEX w_hnsw ON w USING hnsw (v vector_l2_ops) WITH (m = 4);
INSERT INTO w SELECT i, vec(i % 40) FROM generate_series(1, 100) i;
INSERT INTO w SELECT i, vec(i % 60) FROM generate_series(101, 300) i;
INSERT INTO w SELECT i, vec(i % 80) FROM generate_series(301, 400) i;
SELECT is((SELECT count(DISTINCT i)::int FROM (SELECT i FROM w ORDER BY v <-> vec(3) LIMIT 1000) q), 400, 'equal vectors');
SELECT is_empty($$ SELECT problem FROM hnsw_index_check('w_hnsw', true) $$, 'their index');

-- more rows than memory
SET maintenance_work_mem = '1MB';
INSERT INTO t SELECT i, vec(i) FROM generate_series(50001, 56000) i;
INSERT INTO p SELECT i % 5, vec(i) FROM generate_series(1, 5000) i;
RESET maintenance_work_mem;
SELECT is((SELECT count(find(i))::int FROM generate_series(50001, 56000) i), 6000, 'a small memory');
SELECT results_eq($$ SELECT n, (SELECT count(*)::int FROM (SELECT FROM p WHERE i = n ORDER BY v <=> vec(7) LIMIT 10000) q) FROM generate_series(0, 4) n $$, 'SELECT n, 1100 FROM generate_series(0, 4) n', 'a small memory for partitions');
SELECT is_empty('SELECT wrong()', 'nothing is wrong in the end');
-- a parallel plan reads the index in workers only
-- (force_parallel_mode before PostgreSQL 16)
SELECT set_config(name, 'on', false) FROM pg_settings WHERE name IN ('debug_parallel_query', 'force_parallel_mode') \g /dev/null
SET parallel_setup_cost = 0;
CREATE OR REPLACE FUNCTION seen_before() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.i > 60001 AND NOT EXISTS (SELECT FROM (SELECT i, v <-> vec(NEW.i - 1) AS d FROM t ORDER BY v <-> vec(NEW.i - 1) LIMIT 1) q WHERE d < 1e-3) THEN RAISE EXCEPTION 'row % is missing', NEW.i - 1; END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER b BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION seen_before();
SELECT lives_ok('INSERT INTO t SELECT i, vec(i) FROM generate_series(60001, 60020) i', 'a parallel worker finds the row before');
SELECT set_config(name, 'off', false) FROM pg_settings WHERE name IN ('debug_parallel_query', 'force_parallel_mode') \g /dev/null
SELECT * FROM finish();
