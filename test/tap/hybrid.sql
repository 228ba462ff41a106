-- docs/hybrid.md over the demo's packages: its statements use both indexes, and give
-- what is computed here from exact lists. (BM25: test/textsearch.)
\set tables `test/doc-sql docs/hybrid.md tables`
\set hybrid `test/doc-sql docs/hybrid.md hybrid`
\set filtered `test/doc-sql docs/hybrid.md filtered`
\set weighted `test/doc-sql docs/hybrid.md weighted`
\set any_word `test/doc-sql docs/hybrid.md 'any word'`
\set reordered `test/doc-sql docs/hybrid.md reordered`
SELECT plan(38);

CREATE TABLE packages (package text, section text, installed_size_kb int, description text, embedding halfvec(384));
\copy packages FROM PROGRAM 'gzip -dc demo/packages.copy.gz' (FORMAT binary)
:tables
INSERT INTO documents (section, body, embedding) SELECT section, package || ': ' || description, embedding FROM packages ORDER BY package;
CREATE INDEX ON documents (section);
VACUUM ANALYZE documents;
-- The lists of the index are those of the table.
SET hnsw.ef_search = 1000;

PREPARE hybrid(text, halfvec) AS :hybrid
PREPARE filtered(text, halfvec, text) AS :filtered
PREPARE weighted(text, halfvec, float8, float8) AS :weighted
PREPARE any_word(text) AS :any_word
PREPARE reordered(text, halfvec) AS :reordered

-- The question's words, and for its vector that of a package.
CREATE TABLE questions (n int, words text, package text, section text);
INSERT INTO questions VALUES (1, 'chess engine', 'stockfish', 'games'), (2, 'image viewer', 'gimp', 'graphics'), (3, '"text editor" -emacs', 'vim', 'editors'),
    (4, 'nosuchword', 'gnuchess', 'games'), (5, 'mail', 'mutt', 'web');

CREATE FUNCTION call(statement text, n int, rest text DEFAULT '') RETURNS text LANGUAGE sql AS
    $$ SELECT format('EXECUTE %s(%L, %L%s)', statement, q.words, p.embedding, rest) FROM questions q JOIN packages p USING (package) WHERE q.n = $2 $$;
CREATE FUNCTION plan_of(sql text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    line text;
    lines text := '';
BEGIN
    FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || sql LOOP lines := lines || line || E'\n'; END LOOP;
    RETURN lines;
END $$;

-- The two lists by number, from all rows of the table; the arithmetic as in the paper.
CREATE FUNCTION lists(question int, only_section text, list_length int) RETURNS TABLE (id bigint, text_rank bigint, vector_rank bigint) LANGUAGE sql
    SET hnsw.custom_scan = off SET enable_indexscan = off SET enable_bitmapscan = off AS $$
    WITH q AS (SELECT websearch_to_tsquery('english', q.words) AS query, p.embedding FROM questions q JOIN packages p USING (package) WHERE n = question),
    t AS (SELECT d.id, row_number() OVER (ORDER BY ts_rank_cd(d.words, query) DESC, d.id) AS rank FROM documents d, q WHERE d.words @@ query AND d.section = coalesce(only_section, d.section)),
    v AS (SELECT d.id, row_number() OVER (ORDER BY d.embedding <=> q.embedding, d.id) AS rank FROM documents d, q WHERE d.section = coalesce(only_section, d.section))
    SELECT coalesce(t.id, v.id), t.rank, v.rank
      FROM (SELECT * FROM t WHERE rank <= list_length) t FULL JOIN (SELECT * FROM v WHERE rank <= list_length) v ON t.id = v.id $$;
CREATE FUNCTION fused(question int, only_section text, text_weight float8, vector_weight float8) RETURNS TABLE (id bigint, score numeric) LANGUAGE sql AS $$
    SELECT id, round((coalesce(text_weight / (60 + text_rank), 0) + coalesce(vector_weight / (60 + vector_rank), 0))::numeric, 10) AS score
      FROM lists(question, only_section, 50) ORDER BY score DESC, id LIMIT 10 $$;
-- Rows of a statement, the score rounded.
CREATE FUNCTION rows_of(sql text) RETURNS TABLE (id bigint, score numeric) LANGUAGE plpgsql AS $$
DECLARE
    r record;
BEGIN
    FOR r IN EXECUTE sql LOOP
        id := r.id;
        score := round(r.score::numeric, 10);
        RETURN NEXT;
    END LOOP;
END $$;

SELECT matches(plan_of(call(s, 1, rest)), pattern, format('%s: a list by %s', s, index))
    FROM (VALUES ('hybrid', ''), ('filtered', ', ''games'''), ('weighted', ', 1, 1')) statements(s, rest),
         (VALUES ('the index of words', 'Bitmap Index Scan on documents_words_idx'), ('that of vectors', 'Custom Scan \(HnswScan\) on documents.*Index: documents_embedding_idx')) indexes(index, pattern);
SELECT matches(plan_of('EXECUTE any_word(''a chess engine'')'), 'Bitmap Index Scan on documents_words_idx', 'any word: by the index of words');

SELECT results_eq(format('SELECT * FROM rows_of(%L)', call('hybrid', n)), format('SELECT * FROM fused(%s, NULL, 1, 1)', n), 'hybrid: ' || words) FROM questions ORDER BY n;
SELECT results_eq(format('SELECT * FROM rows_of(%L)', call('filtered', n, format(', %L', section))), format('SELECT * FROM fused(%s, %L, 1, 1)', n, section), format('filtered by %s: %s', section, words))
    FROM questions ORDER BY n;
SELECT results_eq(format('SELECT * FROM rows_of(%L)', call('weighted', n, ', 1, 0.5')), format('SELECT * FROM fused(%s, NULL, 1, 0.5)', n), 'weighted: ' || words) FROM questions ORDER BY n;

-- Half a question.
SELECT results_eq(format('SELECT * FROM rows_of(%L)', format('EXECUTE %s(%s, %s%s)', s, words, vector, rest)),
        format('SELECT id, score FROM (SELECT id, round(1.0 / (60 + %s_rank), 10) AS score FROM lists(1, %L, 50) WHERE %1$s_rank IS NOT NULL) x ORDER BY score DESC, id LIMIT 10', list, section),
        format('%s: only the %s list', s, list))
    FROM (VALUES ('hybrid', '', NULL), ('filtered', ', ''games'' ', 'games'), ('weighted', ', 1, 1', NULL)) statements(s, rest, section),
        (SELECT 'text', quote_literal('chess engine'), 'NULL' UNION ALL SELECT 'vector', 'NULL', quote_literal(embedding::text) FROM packages WHERE package = 'stockfish') halves(list, words, vector);
SET plan_cache_mode = force_generic_plan;
SELECT matches(plan_of(call('hybrid', 1)), 'Custom Scan \(HnswScan\) on documents.*Index: documents_embedding_idx', 'one plan for all questions: by the index of vectors, too');
RESET plan_cache_mode;

-- What the questions are good for: both lists have a part in the answers.
SELECT cmp_ok((SELECT count(*)::int FROM lists(1, NULL, 50) WHERE text_rank IS NOT NULL AND vector_rank IS NOT NULL), '>', 0, 'rows that both lists have');
SELECT is((SELECT count(*)::int FROM questions q, fused(q.n, NULL, 1, 1)), 50, 'ten rows for each question');
SELECT cmp_ok((SELECT count(*)::int FROM fused(3, NULL, 1, 1) JOIN lists(3, NULL, 50) l USING (id) WHERE text_rank IS NULL OR vector_rank IS NULL), '>', 0, 'and rows among the ten that only one has');
SELECT is((SELECT count(*)::int FROM lists(4, NULL, 50) WHERE text_rank IS NOT NULL), 0, 'words that no row has');
CREATE TABLE any_words AS EXECUTE any_word('a chess engine nosuchword');
SELECT is((SELECT count(*)::int FROM any_words JOIN documents USING (id) WHERE words @@ 'chess' OR words @@ 'engin'), 50, 'any word: as many rows as asked for, whatever the other words are');


-- The list of any word, in the order of a mean.
CREATE FUNCTION reordered(words text, vector halfvec) RETURNS TABLE (id bigint, score numeric) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE TEMP TABLE list AS EXECUTE any_word(%L)', words);
    RETURN QUERY SELECT l.id, round((0.85 * l.score / (SELECT max(list.score) FROM list) + 0.15 * coalesce(1 - (d.embedding <=> vector), 0))::numeric, 10) AS score
        FROM list l JOIN documents d USING (id) ORDER BY score DESC, id LIMIT 10;
    DROP TABLE list;
END $$;
SELECT matches(plan_of(call('reordered', 1)), 'Bitmap Index Scan on documents_words_idx', 'reordered: by the index of words');
SELECT results_eq(format('SELECT * FROM rows_of(%L)', call('reordered', 1)), format('SELECT * FROM reordered(%L, %L)', q.words, p.embedding), 'reordered: ' || q.words)
    FROM questions q JOIN packages p USING (package) WHERE n = 1;
SELECT results_eq('SELECT * FROM rows_of(''EXECUTE reordered(''''chess engine'''', NULL)'')', 'SELECT * FROM reordered(''chess engine'', NULL)', 'reordered by no vector: the list as it was');
SELECT is((SELECT count(*)::int FROM rows_of(call('reordered', 4))), 0, 'words that no row has: no row');

SELECT * FROM finish();
