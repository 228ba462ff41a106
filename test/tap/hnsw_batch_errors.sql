-- Errors that are caught, of statements whose rows are gathered (PostgreSQL 17 and later; before, they are inserted one by one). The
-- transaction goes on and commits. Rows of what was rolled back are not found, all others are, each by its own vector; nothing is wrong with the index.
SET client_min_messages = warning;
SET enable_seqscan = off;
SET hnsw.custom_scan = off;
SELECT plan(49);

CREATE FUNCTION vec(n float8) RETURNS vector LANGUAGE sql IMMUTABLE AS $$ SELECT (SELECT array_agg(sin(n * k * sqrt(k + 1)) ORDER BY k) FROM generate_series(1, 8) k)::vector $$;
CREATE TABLE t (i int, v vector(8));
CREATE INDEX t_hnsw ON t USING hnsw (v vector_l2_ops) WITH (m = 4);
INSERT INTO t SELECT i, vec(i) FROM generate_series(1, 300) i;

-- The row of a vector, by the index; NULL if the nearest one is another.
CREATE FUNCTION find(n int) RETURNS int LANGUAGE plpgsql AS $$
DECLARE found int;
BEGIN
    SELECT i INTO found FROM (SELECT i, v <-> vec(n) AS d FROM t ORDER BY v <-> vec(n) LIMIT 1) q WHERE d < 1e-3;
    RETURN found;
END $$;
-- Rows that the index does not find, rows that it finds and the table has not, and what hnsw_index_check says.
CREATE FUNCTION wrong() RETURNS SETOF text LANGUAGE sql AS $$
    SELECT problem FROM hnsw_index_check('t_hnsw', true) WHERE severity <> 'notice'
    UNION ALL SELECT 'not found: ' || i FROM t WHERE v IS NOT NULL AND find(i) IS DISTINCT FROM i
    UNION ALL SELECT 'rows of the index: ' || n FROM (SELECT count(*) || ', ' || count(DISTINCT i) AS n, count(*) = count(DISTINCT i) AND count(*) = (SELECT count(v) FROM t) AS good
        FROM (SELECT i FROM t ORDER BY v <-> vec(1) LIMIT 1000000) q) r WHERE NOT good $$;
-- The SQLSTATE of an error that is caught.
CREATE FUNCTION attempt(command text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE command;
    RETURN 'none';
EXCEPTION WHEN OTHERS THEN RETURN SQLSTATE;
END $$;
SELECT is((SELECT count(*)::int FROM t WHERE find(i) = i), 300, 'rows to begin with');

-- Each line: an error in the middle of a statement of many rows, between two statements of the same transaction that are good.
CREATE FUNCTION rows_of(first int, last int, bad int, what text) RETURNS TABLE (i int, v vector) LANGUAGE plpgsql AS $$
BEGIN
    FOR n IN first .. last LOOP
        i := n;
        v := vec(n);
        IF n = bad THEN
            IF what = 'raise' THEN RAISE EXCEPTION 'no'; END IF;
            IF what = 'dimensions' THEN v := '[1,2]'; END IF;
        END IF;
        RETURN NEXT;
    END LOOP;
END $$;
CREATE FUNCTION fail_at() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_NARGS = 0 OR NEW.i = TG_ARGV[0]::int THEN RAISE EXCEPTION 'no'; END IF;
    RETURN NEW;
END $$;
CREATE FUNCTION find_and_fail_at() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.i % 50 = 1 AND find(NEW.i) IS DISTINCT FROM NEW.i THEN RAISE 'row % is missing', NEW.i; END IF;
    IF NEW.i = TG_ARGV[0]::int THEN RAISE EXCEPTION USING ERRCODE = 'U0001'; END IF;
    RETURN NULL;
END $$;

BEGIN;
INSERT INTO t SELECT i, vec(i) FROM generate_series(1001, 1100) i;
SELECT is(attempt('INSERT INTO t SELECT i, v FROM (SELECT i, vec(i) AS v FROM generate_series(2001, 2400) i) q WHERE 1 / (2400 - i) >= 0'), '22012', 'an expression of the SELECT');
INSERT INTO t SELECT i, vec(i) FROM generate_series(1101, 1200) i;
SELECT is(attempt($$ INSERT INTO t SELECT * FROM rows_of(2001, 2400, 2390, 'dimensions') $$), '22000', 'a vector of other dimensions');
SELECT is(attempt($$ INSERT INTO t SELECT i, v FROM generate_series(1, 3) k, LATERAL rows_of(2001, 2400, CASE k WHEN 3 THEN 2390 END, 'raise') $$), 'P0001', 'a function of the SELECT');
SELECT is_empty('SELECT wrong()', 'in the same transaction');
INSERT INTO t SELECT i, vec(i) FROM generate_series(1201, 1300) i;
COMMIT;
SELECT is_empty('SELECT wrong()', 'errors of the source');

-- triggers
CREATE TRIGGER f BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION fail_at('2390');
BEGIN;
SELECT is(attempt('INSERT INTO t SELECT i, vec(i) FROM generate_series(2001, 2400) i'), 'P0001', 'a BEFORE trigger');
INSERT INTO t SELECT i, vec(i) FROM generate_series(1301, 1400) i;
COMMIT;
DROP TRIGGER f ON t;
CREATE TRIGGER f AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION fail_at('2390');
BEGIN;
SELECT is(attempt('INSERT INTO t SELECT i, vec(i) FROM generate_series(2001, 2400) i'), 'P0001', 'an AFTER trigger');
INSERT INTO t SELECT i, vec(i) FROM generate_series(1401, 1500) i;
COMMIT;
DROP TRIGGER f ON t;
CREATE TRIGGER f AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION find_and_fail_at('2390');
BEGIN;
SELECT is(attempt('INSERT INTO t SELECT i, vec(i) FROM generate_series(2001, 2400) i'), 'U0001', 'an AFTER trigger that has searched: the rows are in the index already');
SELECT is_empty('SELECT find(i) FROM generate_series(2001, 2400) i WHERE find(i) IS NOT NULL', 'and are not found');
INSERT INTO t SELECT i, vec(i) FROM generate_series(1501, 1600) i;
COMMIT;
DROP TRIGGER f ON t;
CREATE TRIGGER f AFTER INSERT ON t FOR EACH STATEMENT EXECUTE FUNCTION fail_at();
SELECT is(attempt('INSERT INTO t SELECT i, vec(i) FROM generate_series(2001, 2400) i'), 'P0001', 'a trigger of the statement');
DROP TRIGGER f ON t;
CREATE CONSTRAINT TRIGGER f AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION find_and_fail_at('2390');
BEGIN;
SELECT is(attempt('INSERT INTO t SELECT i, vec(i) FROM generate_series(2001, 2400) i; SET CONSTRAINTS f IMMEDIATE'), 'U0001', 'a deferred trigger');
INSERT INTO t SELECT i, vec(i) FROM generate_series(1601, 1700) i;
COMMIT;
DROP TRIGGER f ON t;
SELECT is((SELECT count(*)::int FROM t WHERE i BETWEEN 2001 AND 2400), 0, 'no row of them is left');
SELECT is_empty('SELECT wrong()', 'errors of triggers');

-- other indexes: made after hnsw's, so that a row is gathered before the error; and before it
CREATE UNIQUE INDEX t_unique ON t (i);
BEGIN;
INSERT INTO t SELECT i, vec(i) FROM generate_series(1701, 1800) i;
SELECT is(attempt('INSERT INTO t SELECT CASE i WHEN 2390 THEN 2005 ELSE i END, vec(i) FROM generate_series(2001, 2400) i'), '23505', 'a row of the statement twice, after hnsw''s index');
SELECT is(attempt('INSERT INTO t SELECT CASE i WHEN 2390 THEN 17 ELSE i END, vec(i) FROM generate_series(2001, 2400) i'), '23505', 'a row of the table');
SELECT is(attempt('UPDATE t SET i = CASE i WHEN 290 THEN 17 ELSE i END, v = vec(i + 2000) WHERE i <= 300'), '23505', 'UPDATE');
INSERT INTO t SELECT i, vec(i) FROM generate_series(1801, 1900) i;
COMMIT;
SELECT is_empty('SELECT wrong()', 'errors of a unique index');
CREATE INDEX t_second ON t USING hnsw (v vector_cosine_ops);
SELECT is(attempt('INSERT INTO t SELECT CASE i WHEN 2390 THEN 17 ELSE i END, vec(i) FROM generate_series(2001, 2400) i'), '23505', 'between two of hnsw');
SELECT is_empty($$ SELECT problem FROM hnsw_index_check('t_second', true) WHERE severity <> 'notice' $$, 'of which the second is good');
DROP INDEX t_unique, t_second;
ALTER TABLE t ADD CONSTRAINT t_deferred UNIQUE (i) DEFERRABLE INITIALLY DEFERRED;
BEGIN;
SELECT is(attempt('INSERT INTO t SELECT CASE i WHEN 2390 THEN 17 ELSE i END, vec(i) FROM generate_series(2001, 2400) i; SET CONSTRAINTS t_deferred IMMEDIATE'), '23505', 'a deferred unique constraint');
INSERT INTO t SELECT i, vec(i) FROM generate_series(1901, 2000) i;
COMMIT;
ALTER TABLE t DROP CONSTRAINT t_deferred;
CREATE FUNCTION not_5000(i int, v vector) RETURNS vector LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN IF i = 5000 THEN RAISE 'no'; END IF; RETURN v; END $$;
CREATE INDEX t_expression ON t USING hnsw ((not_5000(i, v)::vector(8)) vector_l2_ops);
CREATE INDEX t_predicate ON t USING hnsw (v vector_l2_ops) WHERE not_5000(i, v) IS NOT NULL;
BEGIN;
SELECT is(attempt('INSERT INTO t SELECT i, vec(i) FROM generate_series(4001, 5100) i'), 'P0001', 'an expression of an index, for the row 5,000');
INSERT INTO t SELECT i, vec(i) FROM generate_series(4001, 4200) i;
COMMIT;
DROP INDEX t_expression;
SELECT is(attempt('INSERT INTO t SELECT i, vec(i) FROM generate_series(4201, 5100) i'), 'P0001', 'a predicate');
SELECT is_empty($$ SELECT problem FROM hnsw_index_check('t_predicate', true) WHERE severity <> 'notice' $$, 'its index is good');
DROP INDEX t_predicate;
CREATE DOMAIN not_5000 AS int CHECK (value <> 5000);
CREATE TABLE source AS SELECT i, vec(i) AS v FROM generate_series(4201, 5100) i;
SELECT is(attempt('INSERT INTO t SELECT i::not_5000, v FROM source'), '23514', 'a domain');
ALTER TABLE t ADD CHECK (i <> 5000);
SELECT is(attempt('INSERT INTO t SELECT i, v FROM source'), '23514', 'a constraint');
SELECT is_empty('SELECT wrong()', 'errors of other indexes and constraints');

-- COPY
CREATE TEMPORARY TABLE files AS SELECT current_setting('data_directory') || '/batch.copy' AS path;
SELECT format('COPY source TO %L', path) FROM files \gexec
BEGIN;
SELECT is((SELECT attempt(format('COPY t FROM %L', path)) FROM files), '23514', 'COPY');
SELECT is((SELECT attempt(format('COPY t FROM %L WHERE i <> 5000', path)) FROM files), 'none', 'without that row');
SELECT is((SELECT attempt(format('COPY t FROM %L (FORMAT csv)', path)) FROM files), '22P04', 'in another format');
COMMIT;
SELECT is((SELECT count(*)::int FROM t WHERE i > 4200), 899, 'COPY between errors');
DELETE FROM t WHERE i > 4200;
CREATE TRIGGER f AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION find_and_fail_at('4890');
SELECT is((SELECT attempt(format('COPY t FROM %L WHERE i <> 5000', path)) FROM files), 'U0001', 'a trigger of COPY that has searched');
DROP TRIGGER f ON t;
SELECT is_empty('SELECT wrong()', 'errors of COPY');

-- Within a statement that gathers rows: a block of a trigger that is rolled back has read the index (the outer statement's rows are
-- flushed in its subtransaction), has inserted many rows, has filled the memory for both.
CREATE FUNCTION roll_back() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    BEGIN
        IF NEW.i % 5 = 0 THEN PERFORM find(NEW.i - 1); END IF;
        IF NEW.i % 5 = 1 THEN INSERT INTO t SELECT -i, vec(i + .5) FROM generate_series(1, 20) i; END IF;
        IF NEW.i % 5 = 2 THEN INSERT INTO t SELECT -i, vec(i + .5) FROM generate_series(1, 20) i; PERFORM find(NEW.i - 1); END IF;
        IF NEW.i % 5 = 3 THEN INSERT INTO t SELECT * FROM rows_of(-20, -1, -2, 'raise'); END IF;
        IF NEW.i % 100 = 99 THEN INSERT INTO t SELECT -i, vec(i + .5) FROM generate_series(1, 4000) i; END IF;
        RAISE EXCEPTION 'no';
    EXCEPTION WHEN OTHERS THEN NULL;
    END;
    RETURN NEW;
END $$;
CREATE TRIGGER r BEFORE INSERT ON t FOR EACH ROW WHEN (NEW.i > 0) EXECUTE FUNCTION roll_back();
SET maintenance_work_mem = '1MB';
SELECT lives_ok('INSERT INTO t SELECT i, vec(i) FROM generate_series(6001, 6200) i', 'all blocks are rolled back in the middle');
SELECT is((SELECT count(*)::int FROM t WHERE find(i) = i AND i > 6000), 200, 'all rows are found');
DROP TRIGGER r ON t;
CREATE TRIGGER r AFTER INSERT ON t FOR EACH ROW WHEN (NEW.i > 0) EXECUTE FUNCTION roll_back();
SELECT lives_ok('INSERT INTO t SELECT i, vec(i) FROM generate_series(6201, 6400) i', 'the same after the rows');
RESET maintenance_work_mem;
DROP TRIGGER r ON t;
SELECT is((SELECT count(*)::int FROM t WHERE i < 0), 0, 'no row of a block');
SELECT is_empty('SELECT wrong()', 'nothing is wrong after rolled back blocks');

-- commands that the statement's use of the table forbids; it goes on
CREATE FUNCTION change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.i % 20 = 10 THEN
        INSERT INTO changes SELECT c, attempt(c) FROM unnest(ARRAY['DROP INDEX t_hnsw', 'REINDEX INDEX t_hnsw', 'TRUNCATE t', 'DROP TABLE t', 'ALTER TABLE t ALTER v TYPE vector(8) USING v + v', 'ALTER INDEX t_hnsw SET (ef_construction = 20)']) c;
    END IF;
    RETURN NEW;
END $$;
CREATE TABLE changes (command text, result text);
CREATE TRIGGER c BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION change();
SELECT lives_ok('INSERT INTO t SELECT i, vec(i) FROM generate_series(7001, 7100) i', 'commands that change the table or index, in a trigger');
DROP TRIGGER c ON t;
SELECT results_eq('SELECT DISTINCT result FROM changes ORDER BY 1', $$ VALUES ('55006') $$, 'are refused');
CREATE TRIGGER c AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION change();
SELECT lives_ok('INSERT INTO t SELECT i, vec(i) FROM generate_series(7101, 7200) i', 'and after the rows');
DROP TRIGGER c ON t;
SELECT results_eq('SELECT DISTINCT result FROM changes ORDER BY 1', $$ VALUES ('55006') $$, 'as well');
SELECT is_empty('SELECT wrong()', 'nothing is wrong after refused commands');

-- commands in the transaction of the statement, some of them rolled back
BEGIN;
INSERT INTO t SELECT i, vec(i) FROM generate_series(8001, 8100) i;
SAVEPOINT s;
TRUNCATE t;
INSERT INTO t SELECT i, vec(i) FROM generate_series(8101, 8200) i;
SELECT is_empty('SELECT wrong()', 'TRUNCATE');
ROLLBACK TO s;
INSERT INTO t SELECT i, vec(i) FROM generate_series(8201, 8300) i;
SAVEPOINT s;
DROP INDEX t_hnsw;
INSERT INTO t SELECT i, vec(i) FROM generate_series(8301, 8400) i;
ROLLBACK TO s;
INSERT INTO t SELECT i, vec(i) FROM generate_series(8401, 8500) i;
REINDEX INDEX t_hnsw;
INSERT INTO t SELECT i, vec(i) FROM generate_series(8501, 8600) i;
COMMIT;
SELECT is((SELECT count(find(i))::int FROM generate_series(8001, 8600) i), 400, 'TRUNCATE, DROP INDEX and REINDEX');
CREATE PROCEDURE in_parts() LANGUAGE plpgsql AS $$
BEGIN
    FOR n IN 90 .. 99 LOOP
        INSERT INTO t SELECT i, vec(i) FROM generate_series(n * 100, n * 100 + 30) i;
        IF n % 3 = 0 THEN ROLLBACK; ELSE COMMIT; END IF;
        PERFORM attempt('INSERT INTO t SELECT i, vec(i) FROM generate_series(1, 50) i WHERE 1 / (50 - i) >= 0');
    END LOOP;
END $$;
CALL in_parts();
SELECT is((SELECT count(find(i))::int FROM generate_series(9000, 9999) i), 186, 'a procedure that commits and rolls back');
SELECT is_empty('SELECT wrong()', 'nothing is wrong in the end');
DELETE FROM t WHERE i % 3 = 0;
VACUUM (INDEX_CLEANUP ON) t;
SELECT is_empty($$ SELECT problem FROM hnsw_index_check('t_hnsw', true) $$, 'nor does vacuum leave anything');
SELECT is_empty('SELECT wrong()', 'or take away anything');
SELECT * FROM finish();
