-- Who reads the index while a statement gathers rows (PostgreSQL 17 and later; before, they are inserted one by one) sees what a read of the
-- table sees: triggers and functions of COPY, INSERT, UPDATE and MERGE, of partitions, temporary and unlogged tables, under cursors and older snapshots.
SET client_min_messages = warning;
SELECT plan(39);

CREATE FUNCTION vec(n float8) RETURNS vector LANGUAGE sql IMMUTABLE AS $$ SELECT (SELECT array_agg(sin(n * k * sqrt(k + 1)) ORDER BY k) FROM generate_series(1, 8) k)::vector $$;
CREATE TABLE t (i int, v vector(8));
CREATE INDEX t_hnsw ON t USING hnsw (v vector_l2_ops) WITH (m = 4);
INSERT INTO t SELECT i, vec(i) FROM generate_series(1, 200) i;

-- All rows that a relation has, by its table and by its index (which is read to its end), and those of the last ones that searches for their own vectors do not find.
CREATE FUNCTION by_table(relation regclass) RETURNS int[] LANGUAGE plpgsql SET enable_indexscan = off AS $$
DECLARE rows int[];
BEGIN
    EXECUTE format('SELECT array_agg(i ORDER BY i) FROM %s WHERE v IS NOT NULL', relation) INTO rows;
    RETURN rows;
END $$;
CREATE FUNCTION by_index(relation regclass) RETURNS int[] LANGUAGE plpgsql SET enable_seqscan = off SET enable_sort = off SET hnsw.custom_scan = off AS $$
DECLARE rows int[];
BEGIN
    EXECUTE format('SELECT array_agg(i ORDER BY i) FROM (SELECT i FROM %s ORDER BY v <-> vec(7) LIMIT 1000000) q', relation) INTO rows;
    RETURN rows;
END $$;
-- Searches cost time: of the rows that were written last.
CREATE FUNCTION by_search(relation regclass) RETURNS int[] LANGUAGE plpgsql SET enable_seqscan = off SET enable_sort = off SET hnsw.custom_scan = off AS $$
DECLARE lost int[];
BEGIN
    EXECUTE format('SELECT array_agg(i) FROM (SELECT i, v FROM %1$s WHERE v IS NOT NULL ORDER BY tableoid DESC, ctid DESC LIMIT 20) a WHERE v <> (SELECT v FROM (SELECT v FROM %1$s b ORDER BY b.v <-> a.v LIMIT 1) q)', relation) INTO lost;
    RETURN lost;
END $$;
-- By the other scan, which a LIMIT's sort of the table would replace.
CREATE FUNCTION by_custom_scan(relation regclass) RETURNS int[] LANGUAGE plpgsql SET enable_seqscan = off SET enable_sort = off SET hnsw.scan_strategy = graph AS $$
DECLARE rows int[];
BEGIN
    EXECUTE format('SELECT array_agg(i ORDER BY i) FROM (SELECT i FROM %s ORDER BY v <-> vec(7) LIMIT 1000000) q', relation) INTO rows;
    RETURN rows;
END $$;
CREATE TABLE looks (moment text, good bool, n int);
-- Notes whether all of them see the same. (looks has no index of hnsw.)
CREATE FUNCTION look(relation regclass, moment text) RETURNS bool LANGUAGE plpgsql AS $$
DECLARE rows int[] := by_table(relation);
BEGIN
    -- The index is read first by another way every time.
    CASE (SELECT count(*) % 3 FROM looks)
    WHEN 0 THEN INSERT INTO looks VALUES (moment, rows IS NOT DISTINCT FROM by_index(relation), cardinality(rows));
    WHEN 1 THEN INSERT INTO looks VALUES (moment, by_search(relation) IS NULL, cardinality(rows));
    ELSE INSERT INTO looks VALUES (moment, rows IS NOT DISTINCT FROM by_custom_scan(relation), cardinality(rows));
    END CASE;
    RETURN true;
END $$;
CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_LEVEL = 'STATEMENT' OR NEW.i % 17 = 0 THEN PERFORM look(TG_ARGV[0]::regclass, format('%s %s %s', TG_WHEN, TG_OP, TG_LEVEL)); END IF;
    RETURN NEW;
END $$;
CREATE SEQUENCE times;
CREATE FUNCTION sometimes(moment text) RETURNS bool LANGUAGE sql AS $$ SELECT CASE WHEN nextval('times') % 17 = 0 THEN look('t', moment) END $$;
-- How the looks were since the last call: the moments; which of them were bad.
CREATE FUNCTION looked() RETURNS text LANGUAGE plpgsql AS $$
DECLARE result text;
BEGIN
    SELECT string_agg(format('%s: %s', moment, CASE WHEN good THEN 'good' ELSE 'bad' END), ', ' ORDER BY moment) INTO result FROM (SELECT moment, bool_and(good) AS good FROM looks GROUP BY moment) l;
    DELETE FROM looks;
    RETURN result;
END $$;
SELECT ok(look('t', 'outside') AND look('t', 'outside') AND look('t', 'outside'), 'without a statement');
SELECT is(looked(), 'outside: good', 'all ways see the same');
CREATE TRIGGER bs BEFORE INSERT OR UPDATE ON t FOR EACH STATEMENT EXECUTE FUNCTION look('t');
CREATE TRIGGER br BEFORE INSERT OR UPDATE ON t FOR EACH ROW EXECUTE FUNCTION look('t');
CREATE TRIGGER ar AFTER INSERT OR UPDATE ON t FOR EACH ROW EXECUTE FUNCTION look('t');
CREATE TRIGGER s AFTER INSERT OR UPDATE ON t FOR EACH STATEMENT EXECUTE FUNCTION look('t');
INSERT INTO t SELECT i, vec(i) FROM generate_series(201, 250) i;
SELECT is(looked(), 'AFTER INSERT ROW: good, AFTER INSERT STATEMENT: good, BEFORE INSERT ROW: good, BEFORE INSERT STATEMENT: good', 'INSERT');
UPDATE t SET v = vec(i + 1000) WHERE i > 150;
SELECT is(looked(), 'AFTER UPDATE ROW: good, AFTER UPDATE STATEMENT: good, BEFORE UPDATE ROW: good, BEFORE UPDATE STATEMENT: good', 'UPDATE');
MERGE INTO t USING (SELECT i, vec(i + 2000) AS v FROM generate_series(201, 300) i) s ON t.i = s.i WHEN MATCHED THEN UPDATE SET v = s.v WHEN NOT MATCHED THEN INSERT VALUES (s.i, s.v);
SELECT is(looked(), 'AFTER INSERT ROW: good, AFTER INSERT STATEMENT: good, AFTER UPDATE ROW: good, AFTER UPDATE STATEMENT: good, BEFORE INSERT ROW: good, BEFORE INSERT STATEMENT: good, BEFORE UPDATE ROW: good, BEFORE UPDATE STATEMENT: good', 'MERGE');
-- COPY: with BEFORE ROW triggers row by row, without them many rows at a time
CREATE TABLE source AS SELECT i, vec(i) AS v FROM generate_series(301, 400) i;
CREATE TEMPORARY TABLE files AS SELECT current_setting('data_directory') || '/readers.copy' AS path;
SELECT format('COPY source TO %L', path) FROM files \gexec
SELECT format('COPY t FROM %L', path) FROM files \gexec
SELECT is(looked(), 'AFTER INSERT ROW: good, AFTER INSERT STATEMENT: good, BEFORE INSERT ROW: good, BEFORE INSERT STATEMENT: good', 'COPY');
DROP TRIGGER br ON t;
SELECT format('COPY t FROM %L', path) FROM files \gexec
SELECT is(looked(), 'AFTER INSERT ROW: good, AFTER INSERT STATEMENT: good, BEFORE INSERT STATEMENT: good', 'COPY of many rows at a time');
SELECT format('COPY t FROM %L WHERE i %% 25 > 0 OR look(''t'', ''WHERE'')', path) FROM files \gexec
SELECT is(looked(), 'AFTER INSERT ROW: good, AFTER INSERT STATEMENT: good, BEFORE INSERT STATEMENT: good, WHERE: good', 'a function of COPY''s WHERE');
DROP TRIGGER bs ON t;
DROP TRIGGER s ON t;
DROP TRIGGER ar ON t;
ALTER TABLE t ADD seen bool DEFAULT sometimes('DEFAULT');
DELETE FROM looks;
SELECT format('COPY t (i, v) FROM %L WHERE i < 330', path) FROM files \gexec
INSERT INTO t (i, v) SELECT i, v FROM source WHERE i > 370;
SELECT is(looked(), 'DEFAULT: good', 'a function of a default');
ALTER TABLE t DROP seen;

-- snapshots: a STABLE function has the statement's own
CREATE FUNCTION stable_look() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.i % 17 = 0 THEN INSERT INTO looks SELECT 'STABLE', n = by_index_stable(), n FROM by_table_stable() n; END IF;
    RETURN NEW;
END $$;
CREATE FUNCTION by_table_stable() RETURNS int LANGUAGE plpgsql STABLE SET enable_indexscan = off AS $$ BEGIN RETURN (SELECT count(*) FROM t); END $$;
CREATE FUNCTION by_index_stable() RETURNS int LANGUAGE plpgsql STABLE SET enable_seqscan = off SET enable_sort = off AS $$ BEGIN RETURN (SELECT count(*) FROM (SELECT FROM t ORDER BY v <-> vec(7) LIMIT 1000000) q); END $$;
CREATE TRIGGER br BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION stable_look();
CREATE TRIGGER ar AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION stable_look();
INSERT INTO t SELECT i, vec(i) FROM generate_series(1001, 1050) i;
SELECT is(looked(), 'STABLE: good', 'STABLE functions');
DROP TRIGGER br ON t;
DROP TRIGGER ar ON t;
-- and of the whole transaction
CREATE TRIGGER br BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION look('t');
CREATE TRIGGER ar AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION look('t');
BEGIN ISOLATION LEVEL REPEATABLE READ;
INSERT INTO t SELECT i, vec(i) FROM generate_series(1051, 1100) i;
SELECT is(looked(), 'AFTER INSERT ROW: good, BEFORE INSERT ROW: good', 'REPEATABLE READ');
COMMIT;
BEGIN ISOLATION LEVEL SERIALIZABLE;
INSERT INTO t SELECT i, vec(i) FROM generate_series(1101, 1150) i;
SELECT is(looked(), 'AFTER INSERT ROW: good, BEFORE INSERT ROW: good', 'SERIALIZABLE');
COMMIT;
-- two statements in one
WITH a AS (INSERT INTO t SELECT i, vec(i) FROM generate_series(1151, 1200) i RETURNING i, sometimes('WITH')), b AS (INSERT INTO t SELECT i, vec(i) FROM generate_series(1201, 1250) i RETURNING i), c AS (UPDATE t SET v = vec(i + 3000) WHERE i < 30 RETURNING i)
    SELECT look('t', 'WITH') FROM (SELECT count(*) FROM a, b, c) q \g /dev/null
SELECT is(looked(), 'AFTER INSERT ROW: good, BEFORE INSERT ROW: good, WITH: good', 'WITH of several');
-- RETURNING in a loop over the same table
DO $$ DECLARE r record; BEGIN
    FOR r IN INSERT INTO t SELECT i, vec(i) FROM generate_series(1251, 1300) i RETURNING i, sometimes('RETURNING') LOOP
        IF r.i % 10 = 0 THEN
            PERFORM look('t', 'loop');
            INSERT INTO t SELECT i, vec(i) FROM generate_series(r.i * 10, r.i * 10 + 5) i;
        END IF;
    END LOOP;
END $$;
SELECT is(looked(), 'AFTER INSERT ROW: good, BEFORE INSERT ROW: good, RETURNING: good, loop: good', 'RETURNING, and a loop over it');
-- another statement of many rows within
CREATE FUNCTION more() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.i % 10 = 0 THEN INSERT INTO t SELECT i, vec(i) FROM generate_series(NEW.i * 10 + 1, NEW.i * 10 + 6) i; END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER m BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION more();
INSERT INTO t SELECT i, vec(i) FROM generate_series(1501, 1550) i;
SELECT is(looked(), 'AFTER INSERT ROW: good, BEFORE INSERT ROW: good', 'a statement of many rows within another');
SELECT results_eq('SELECT count(*)::int FROM t WHERE i BETWEEN 15000 AND 15600', 'VALUES (30)', 'has inserted rows');
DROP TRIGGER m ON t;
-- the index is measured and checked meanwhile
CREATE FUNCTION inspect() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.i % 10 = 0 THEN
        INSERT INTO looks SELECT 'check', NOT EXISTS (SELECT FROM hnsw_index_check('t_hnsw', true)), 0;
        INSERT INTO looks SELECT 'recall', hnsw_recall('t_hnsw') IS NOT NULL, 0;
        ANALYZE t;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER br2 BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION inspect();
INSERT INTO t SELECT i, vec(i) FROM generate_series(1601, 1640) i;
SELECT is(looked(), 'AFTER INSERT ROW: good, BEFORE INSERT ROW: good, check: good, recall: good', 'hnsw_index_check, hnsw_recall and ANALYZE');
DROP TRIGGER br2 ON t;
EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) INSERT INTO t SELECT i, vec(i) FROM generate_series(1641, 1700) i \g /dev/null
SELECT is(looked(), 'AFTER INSERT ROW: good, BEFORE INSERT ROW: good', 'EXPLAIN ANALYZE');
PREPARE p(int, int) AS INSERT INTO t SELECT i, vec(i) FROM generate_series($1, $2) i;
SELECT format('EXECUTE p(%s, %s)', n, n + 9) FROM generate_series(1701, 1791, 10) n \gexec
SELECT is(looked(), 'AFTER INSERT ROW: good, BEFORE INSERT ROW: good', 'a prepared statement');
DROP TRIGGER br ON t;
DROP TRIGGER ar ON t;

-- cursors: opened before the statement, they see none of its rows, also if they are read in the middle of it
SET enable_seqscan = off;
SET enable_sort = off;
BEGIN;
CREATE FUNCTION read_on() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE c refcursor := 'c'; r int;
BEGIN
    FETCH c INTO r;
    INSERT INTO looks VALUES ('FETCH', r IS NOT NULL AND r < 2000000, r);
    IF NEW.i % 17 = 0 THEN PERFORM look('t', 'beside'); END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER c BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION read_on();
CREATE TEMPORARY TABLE before AS SELECT count(*)::int AS n FROM t;
DECLARE c CURSOR FOR SELECT i FROM t ORDER BY v <-> vec(2000050);
DECLARE h CURSOR WITH HOLD FOR SELECT i FROM t ORDER BY v <-> vec(2000050);
INSERT INTO t SELECT i, vec(i) FROM generate_series(2000001, 2000100) i;
SELECT is(looked(), 'FETCH: good, beside: good', 'a cursor that a trigger reads');
CREATE FUNCTION rest(c refcursor) RETURNS int LANGUAGE plpgsql AS $$
DECLARE r int; n int := 0;
BEGIN
    LOOP FETCH c INTO r; EXIT WHEN NOT FOUND; n := n + 1; IF r > 2000000 THEN RAISE 'row %', r; END IF; END LOOP;
    RETURN n;
END $$;
SELECT is(rest('c') + 100, n, 'has all rows of before and no other') FROM before;
DROP TRIGGER c ON t;
COMMIT;
SELECT is(rest('h'), n, 'so has one that is held') FROM before;
CLOSE h;
RESET enable_seqscan;
RESET enable_sort;

-- partitions, of which each has two indexes: triggers of the rows read the whole
CREATE TABLE p (i int, v vector(8)) PARTITION BY LIST ((i % 4));
SELECT format('CREATE TABLE p%s PARTITION OF p FOR VALUES IN (%s)', n, n) FROM generate_series(0, 3) n \gexec
CREATE INDEX ON p USING hnsw (v vector_l2_ops);
CREATE INDEX ON p USING hnsw (v vector_cosine_ops);
CREATE TRIGGER br BEFORE INSERT ON p FOR EACH ROW EXECUTE FUNCTION look('p');
CREATE TRIGGER ar AFTER INSERT OR UPDATE ON p FOR EACH ROW EXECUTE FUNCTION look('p');
INSERT INTO p SELECT * FROM source;
SELECT is(looked(), 'AFTER INSERT ROW: good, BEFORE INSERT ROW: good', 'INSERT into partitions');
SELECT format('COPY p FROM %L', path) FROM files \gexec
SELECT is(looked(), 'AFTER INSERT ROW: good, BEFORE INSERT ROW: good', 'COPY into partitions');
DROP TRIGGER br ON p;
TRUNCATE p;
SELECT format('COPY p FROM %L', path) FROM files \gexec
SELECT is(looked(), 'AFTER INSERT ROW: good', 'COPY of many rows at a time into partitions');
UPDATE p SET i = i + 1000 + i % 2, v = vec(i + 1000);
SELECT is(looked(), 'AFTER INSERT ROW: good, AFTER UPDATE ROW: good', 'UPDATE that moves rows') ;
SET enable_seqscan = off;
SELECT results_eq($$ SELECT n, (SELECT count(*)::int FROM (SELECT FROM p WHERE i % 4 = n ORDER BY v <=> vec(7) LIMIT 1000) q) FROM generate_series(0, 3) n $$, 'VALUES (0, 50), (1, 0), (2, 50), (3, 0)', 'the second index of each');
RESET enable_seqscan;
SELECT is_empty($$ SELECT c.relname, problem FROM pg_class c JOIN pg_am a ON a.oid = relam AND amname = 'hnsw' AND relkind = 'i', LATERAL hnsw_index_check(c.oid::regclass, true) WHERE severity <> 'notice' $$, 'nothing is wrong with any index');

-- tables of one transaction, one session, and without WAL
BEGIN;
CREATE TABLE frozen (i int, v vector(8));
CREATE INDEX frozen_hnsw ON frozen USING hnsw (v vector_l2_ops);
CREATE TRIGGER ar AFTER INSERT ON frozen FOR EACH ROW EXECUTE FUNCTION look('frozen');
SELECT format('COPY frozen FROM %L (FREEZE)', path) FROM files \gexec
SELECT is(looked(), 'AFTER INSERT ROW: good', 'COPY FREEZE');
INSERT INTO frozen SELECT i, vec(i) FROM generate_series(1, 50) i;
TRUNCATE frozen;
SELECT format('COPY frozen FROM %L (FREEZE)', path) FROM files \gexec
SAVEPOINT s;
INSERT INTO frozen SELECT i, vec(i) FROM generate_series(1, 50) i;
ROLLBACK TO s;
SELECT is(looked(), 'AFTER INSERT ROW: good', 'and after TRUNCATE');
COMMIT;
SELECT is(by_index('frozen'), (SELECT array_agg(i ORDER BY i) FROM source), 'after commit');
SELECT is_empty($$ SELECT problem FROM hnsw_index_check('frozen_hnsw', true) WHERE severity <> 'notice' $$, 'its index');
CREATE TEMPORARY TABLE temporary (i int, v vector(8));
CREATE TEMPORARY TABLE until_commit (i int, v vector(8)) ON COMMIT DELETE ROWS;
CREATE UNLOGGED TABLE unlogged (i int, v vector(8));
SELECT format('CREATE INDEX ON %1$s USING hnsw (v vector_l2_ops); CREATE TRIGGER br BEFORE INSERT ON %1$s FOR EACH ROW EXECUTE FUNCTION look(%1$L); CREATE TRIGGER ar AFTER INSERT ON %1$s FOR EACH ROW EXECUTE FUNCTION look(%1$L)', name)
    FROM unnest('{temporary,until_commit,unlogged}'::text[]) name \gexec
INSERT INTO temporary SELECT * FROM source;
SELECT is(looked(), 'AFTER INSERT ROW: good, BEFORE INSERT ROW: good', 'a temporary table');
INSERT INTO unlogged SELECT * FROM source;
SELECT is(looked(), 'AFTER INSERT ROW: good, BEFORE INSERT ROW: good', 'an unlogged table');
BEGIN;
INSERT INTO until_commit SELECT * FROM source;
SELECT is(looked(), 'AFTER INSERT ROW: good, BEFORE INSERT ROW: good', 'a table that is emptied at commit');
COMMIT;
INSERT INTO until_commit SELECT * FROM source;
SELECT is(by_index('until_commit'), NULL, 'which is empty then');
-- a foreign key whose action changes many rows
CREATE TABLE k (i int PRIMARY KEY);
CREATE TABLE f (i int REFERENCES k ON UPDATE CASCADE, v vector(8));
CREATE INDEX f_hnsw ON f USING hnsw (v vector_l2_ops);
CREATE TRIGGER ar AFTER UPDATE ON f FOR EACH ROW EXECUTE FUNCTION look('f');
INSERT INTO k SELECT generate_series(1, 20);
INSERT INTO f SELECT i % 20 + 1, vec(i) FROM generate_series(1, 100) i;
DELETE FROM looks;
UPDATE k SET i = i + 700;
SELECT is(looked(), 'AFTER UPDATE ROW: good', 'ON UPDATE CASCADE');
SELECT is_empty($$ SELECT problem FROM hnsw_index_check('f_hnsw', true) WHERE severity <> 'notice' $$, 'its index is good');
SELECT is_empty($$ SELECT problem FROM hnsw_index_check('t_hnsw', true) WHERE severity <> 'notice' $$, 'nothing is wrong in the end');
SELECT * FROM finish();
