-- What `make demo` shows; demo/run runs it at the top of the tree. Each query is run once unseen, so that the shown time is that of
-- warm caches, as in a server that has been up for a while.
\pset footer off
\pset linestyle unicode
\pset border 1

SET client_min_messages = warning;

\echo
\echo '== 1. Load ===================================================================='
\echo
\echo 'Debian packages; what each is for, in one line, turned into 384 numbers by a'
\echo 'language model.'
\echo
\echo '    CREATE EXTENSION omendb;'
\echo '    CREATE TABLE packages (package text PRIMARY KEY, section text,'
\echo '        installed_size_kb int, description text, embedding halfvec(384));'
\echo '    \\copy packages FROM PROGRAM ''gzip -dc demo/packages.copy.gz'' (FORMAT binary)'
\echo

CREATE EXTENSION omendb;
CREATE TABLE packages (
    package text PRIMARY KEY,
    section text NOT NULL,
    installed_size_kb int NOT NULL,
    description text NOT NULL,
    embedding halfvec(384) NOT NULL
);
-- A vector of 384 halves is small enough to stay in its row, which saves a
-- look-up elsewhere for each.
ALTER TABLE packages ALTER COLUMN embedding SET STORAGE PLAIN;

\timing on
\copy packages FROM PROGRAM 'gzip -dc demo/packages.copy.gz' (FORMAT binary)
\timing off
VACUUM ANALYZE packages;

CREATE FUNCTION pg_temp.shown(description text) RETURNS text LANGUAGE SQL IMMUTABLE
RETURN CASE WHEN length(description) <= 42 THEN description ELSE left(description, 41) || '…' END;

\echo
SELECT count(*) AS packages, count(DISTINCT section) AS sections,
       pg_size_pretty(pg_table_size('packages')) AS size, omendb_simd_level() AS simd
  FROM packages;

\echo
\echo '== 2. Nearest neighbours: packages like "gimp", the image editor =============='
\echo
\echo '    SELECT package, ... FROM packages WHERE package <> ''gimp'''
\echo '     ORDER BY embedding <=>'
\echo '              (SELECT embedding FROM packages WHERE package = ''gimp'')'
\echo '     LIMIT 8;'
\echo

PREPARE like_package(text) AS
    SELECT package, section, pg_temp.shown(description) AS description,
           round((1 - (embedding <=> (SELECT embedding FROM packages WHERE package = $1)))::numeric, 2)
               AS alike
      FROM packages
     WHERE package <> $1
     ORDER BY embedding <=> (SELECT embedding FROM packages WHERE package = $1)
     LIMIT 8;
\o /dev/null
EXECUTE like_package('gimp');
\o
\timing on
EXECUTE like_package('gimp');
\timing off

\echo
\echo '== 3. The same with a WHERE clause: games like "stockfish" of less than 5 MB =='
\echo
\echo '    SELECT package, ... FROM packages'
\echo '     WHERE section = ''games'' AND installed_size_kb < 5 * 1024'
\echo '       AND package <> ''stockfish'''
\echo '     ORDER BY embedding <=>'
\echo '              (SELECT embedding FROM packages WHERE package = ''stockfish'')'
\echo '     LIMIT 8;'
\echo

PREPARE small_game_like(text) AS
    SELECT package, pg_size_pretty(installed_size_kb * 1024::bigint) AS size,
           pg_temp.shown(description) AS description,
           round((1 - (embedding <=> (SELECT embedding FROM packages WHERE package = $1)))::numeric, 2)
               AS alike
      FROM packages
     WHERE section = 'games' AND installed_size_kb < 5 * 1024 AND package <> $1
     ORDER BY embedding <=> (SELECT embedding FROM packages WHERE package = $1)
     LIMIT 8;
\o /dev/null
EXECUTE small_game_like('stockfish');
\o
\timing on
EXECUTE small_game_like('stockfish');
\timing off

\echo
\echo '== 4. Averages: for the largest sections, the nearest other section ==========='
\echo
\echo '    WITH centre AS (SELECT section, avg(embedding) AS middle'
\echo '                    FROM packages GROUP BY section)'
\echo '    SELECT ... ORDER BY a.middle <=> b.middle LIMIT 1   -- for each section a'
\echo

PREPARE sections AS
    WITH centre AS (
        SELECT section, count(*) AS packages, avg(embedding) AS middle
          FROM packages GROUP BY section
    ), typical AS (
        SELECT DISTINCT ON (p.section) p.section, p.package
          FROM packages p JOIN centre c USING (section)
         ORDER BY p.section, p.embedding <=> c.middle
    )
    SELECT a.section, a.packages, t.package AS "most typical package",
           b.section AS "nearest section"
      FROM centre a
      JOIN typical t USING (section)
     CROSS JOIN LATERAL (
        SELECT section FROM centre b
         WHERE b.section <> a.section ORDER BY a.middle <=> b.middle LIMIT 1) b
     ORDER BY a.packages DESC LIMIT 12;
\o /dev/null
EXECUTE sections;
\o
\timing on
EXECUTE sections;
\timing off

\echo
\echo '== 5. An index ================================================================'
\echo
\echo 'So far every answer was exact: the query was compared with every row that the'
\echo 'WHERE clause left. An index compares with a few dozen, whatever the size of the'
\echo 'table:'
\echo
\echo '    CREATE INDEX ON packages USING hnsw (embedding halfvec_cosine_ops);'
\echo

\timing on
CREATE INDEX packages_embedding_idx ON packages USING hnsw (embedding halfvec_cosine_ops);
\timing off
\echo
SELECT nodes, levels, records_per_page AS "nodes a page", code_bits AS "bits a neighbour",
       pg_size_pretty(pg_relation_size('packages_embedding_idx')) AS size
  FROM hnsw_index_info('packages_embedding_idx');

\echo
\echo 'The query is the same; its plan now searches the index (HnswScan), where it'
\echo 'read the whole table before:'
\echo
EXPLAIN (COSTS OFF) EXECUTE like_package('gimp');
\echo
\o /dev/null
EXECUTE like_package('gimp');
\o
\timing on
EXECUTE like_package('gimp');
\timing off
SELECT nodes_visited AS "nodes visited", rows_returned AS "rows looked up in the table",
       rows_rechecked AS "distances checked there"
  FROM omendb_last_scan();

\echo
\echo '== 6. With a filter: the index goes on until there are enough ================='
\echo
\echo '    ... WHERE section = ''games'' ... LIMIT 8: one package in twelve'
\echo

PREPARE game_like(text) AS
    SELECT package, pg_temp.shown(description) AS description,
           round((1 - (embedding <=> (SELECT embedding FROM packages WHERE package = $1)))::numeric, 2)
               AS alike
      FROM packages
     WHERE section = 'games' AND package <> $1
     ORDER BY embedding <=> (SELECT embedding FROM packages WHERE package = $1)
     LIMIT 8;
\o /dev/null
EXECUTE game_like('stockfish');
\o
\timing on
EXECUTE game_like('stockfish');
\timing off

\echo
\echo '== 7. How good, how fast? ====================================================='
\echo
\echo 'The ten nearest of 1,000 packages, by the index and exactly; recall is the share'
\echo 'of the true ten nearest that the index found (hnsw_recall).'
\echo

CREATE FUNCTION pg_temp.microseconds(index boolean, ef int) RETURNS numeric
LANGUAGE plpgsql AS $$
DECLARE
    started timestamptz;
    best interval;
BEGIN
    PERFORM set_config('enable_indexscan', index::text, true);
    PERFORM set_config('hnsw.ef_search', ef::text, true);
    FOR i IN 1..3 LOOP
        started := clock_timestamp();
        PERFORM count(*)
           FROM (SELECT embedding FROM packages ORDER BY package LIMIT CASE WHEN index THEN 1000 ELSE 50 END) q,
                LATERAL (SELECT package FROM packages p
                          ORDER BY p.embedding <=> q.embedding LIMIT 10) nearest;
        best := least(best, clock_timestamp() - started);
    END LOOP;
    RETURN extract(epoch FROM best) * 1e6 / CASE WHEN index THEN 1000 ELSE 50 END;
END $$;
CREATE FUNCTION pg_temp.recall(ef int) RETURNS numeric LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('hnsw.ef_search', ef::text, true);
    RETURN round(hnsw_recall('packages_embedding_idx', 1000, 10)::numeric, 3);
END $$;

CREATE TEMP TABLE measured (how text, "hnsw.ef_search" int, recall numeric, "microseconds a query" numeric);
\echo 'measuring without the index ...'
INSERT INTO measured SELECT 'exact', NULL, 1.000, round(pg_temp.microseconds(false, 40));
\echo 'measuring with it, hnsw.ef_search = 10 ...'
INSERT INTO measured SELECT 'index', 10, pg_temp.recall(10), round(pg_temp.microseconds(true, 10));
\echo 'measuring with it, hnsw.ef_search = 20 ...'
INSERT INTO measured SELECT 'index', 20, pg_temp.recall(20), round(pg_temp.microseconds(true, 20));
\echo 'measuring with it, hnsw.ef_search = 40 ...'
INSERT INTO measured SELECT 'index', 40, pg_temp.recall(40), round(pg_temp.microseconds(true, 40));
\echo 'measuring with it, hnsw.ef_search = 80 ...'
INSERT INTO measured SELECT 'index', 80, pg_temp.recall(80), round(pg_temp.microseconds(true, 80));
\echo
SELECT * FROM measured;

\echo
\echo '== 8. Without an index ========================================================'
\echo
\echo 'What counts then is how fast one core compares:'
\echo

CREATE FUNCTION pg_temp.comparisons_per_second(level text) RETURNS numeric
LANGUAGE plpgsql AS $$
DECLARE
    question halfvec(384) := (SELECT embedding FROM packages WHERE package = 'gimp');
    rows_compared bigint := 0;
    started timestamptz;
BEGIN
    PERFORM set_config('omendb.simd_level', level, true);
    PERFORM min(embedding <=> question) FROM packages;
    started := clock_timestamp();
    WHILE clock_timestamp() < started + interval '0.5 s' LOOP
        rows_compared := rows_compared
            + (SELECT count(embedding <=> question) FROM packages);
    END LOOP;
    RETURN rows_compared / extract(epoch FROM clock_timestamp() - started);
END $$;

SELECT CASE level WHEN 'scalar' THEN 'plain C' ELSE omendb_simd_level() || ' (chosen by itself)' END
           AS "instruction set",
       to_char(pg_temp.comparisons_per_second(level), '999,999,999') AS "comparisons per second"
  FROM (VALUES ('auto'), ('scalar')) AS levels(level);
\echo
