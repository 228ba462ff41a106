-- Of the 10 nearest rows, how many an hnsw index finds at hnsw.ef_search = 100, for each operator class: 2,000 rows
-- around 40 centres. What is near is judged by the distance: rows at the distance of the tenth count as found. By a plain
-- index scan and by the custom scan's search of the graph: of both, the smaller share.
\ir hnsw_data.psql
SET client_min_messages = warning;
SELECT plan(56);

CREATE FUNCTION recall_of(opclass text, queries int DEFAULT 50, k int DEFAULT 10) RETURNS float8 LANGUAGE plpgsql AS $$
DECLARE
    op text := operator_of(opclass);
    column_type text := (SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'points'::regclass AND attname = 'v');
    query record;
    sql text;
    tenth float8;
    found int[] := '{0,0}';
    n int;
BEGIN
    -- halfway between two rows near each other: in no row
    FOR query IN EXECUTE format('SELECT %s AS v FROM points a JOIN points b ON b.i = a.i + 40 ORDER BY a.w LIMIT %s',
                                CASE WHEN column_type ~ 'bit' THEN '(a.v & b.v)::text' WHEN column_type ~ 'sparse' THEN '(a.v::vector + b.v::vector)::sparsevec::text' ELSE '((a.v + b.v)::text)' END, queries) LOOP
        sql := format('SELECT v %s %L::%s AS d FROM points ORDER BY v %s %L::%s LIMIT %s', op, query.v, column_type, op, query.v, column_type, k);
        PERFORM set_config('enable_indexscan', 'off', true), set_config('enable_seqscan', 'on', true);
        EXECUTE format('SELECT max(d) FROM (%s) q', sql) INTO tenth;
        PERFORM set_config('enable_indexscan', 'on', true), set_config('enable_seqscan', 'off', true);
        FOR s IN 1 .. 2 LOOP
            PERFORM use_scan((ARRAY['plain', 'graph'])[s]);
            IF found[s] = 0 THEN PERFORM must_use_index(sql); END IF;
            EXECUTE format('SELECT count(*) FROM (%s) q WHERE d <= %L', sql, tenth) INTO n;
            found[s] := found[s] + n;
        END LOOP;
    END LOOP;
    RETURN least(found[1], found[2])::float8 / k / queries;
END $$;

SET hnsw.ef_search = 100;

-- built over the rows, inserted row by row, both, and after half of the rows went
CREATE FUNCTION check_recall(opclass text, d int, OUT result text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    recall float8;
    least float8 := current_setting('recall.least');
BEGIN
    PERFORM make_points(split_part(opclass, '_', 1), d, 2000, 'clusters');
    PERFORM index_points(opclass);
    recall := recall_of(opclass);
    RETURN QUERY SELECT cmp_ok(recall, '>=', least, format('%s, %s dimensions, built', opclass, d));
    ALTER TABLE points RENAME TO data;
    DROP INDEX points_hnsw;
    CREATE TABLE points (LIKE data);
    PERFORM index_points(opclass);
    INSERT INTO points SELECT * FROM data;
    recall := recall_of(opclass);
    RETURN QUERY SELECT cmp_ok(recall, '>=', least, format('%s, %s dimensions, inserted', opclass, d));
    TRUNCATE points;
    DROP INDEX points_hnsw;
    INSERT INTO points SELECT * FROM data WHERE i <= 1000;
    PERFORM index_points(opclass);
    INSERT INTO points SELECT * FROM data WHERE i > 1000;
    recall := recall_of(opclass);
    RETURN QUERY SELECT cmp_ok(recall, '>=', least, format('%s, %s dimensions, half built, half inserted', opclass, d));
    DROP TABLE data;
END $$;

SET recall.least = 0.95;
SELECT check_recall(opclass, 100) FROM unnest(ARRAY['vector_l2_ops', 'vector_ip_ops', 'vector_cosine_ops', 'vector_l1_ops', 'halfvec_l2_ops', 'halfvec_ip_ops', 'halfvec_cosine_ops', 'halfvec_l1_ops',
    'sparsevec_l2_ops', 'sparsevec_ip_ops', 'sparsevec_cosine_ops', 'sparsevec_l1_ops']) opclass;
SELECT check_recall(opclass, 256) FROM unnest(ARRAY['bit_hamming_ops', 'bit_jaccard_ops']) opclass;

-- vectors in 8 bits
SELECT make_points('vector', 100, 2000, 'clusters') \g /dev/null
SELECT index_points('vector_l2_ops', 'WITH (compact = on)') \g /dev/null
SELECT cmp_ok(recall_of('vector_l2_ops'), '>=', current_setting('recall.least')::float8, 'compact');
SELECT index_points('vector_cosine_ops', 'WITH (compact = on, m = 8)') \g /dev/null
SELECT cmp_ok(recall_of('vector_cosine_ops'), '>=', current_setting('recall.least')::float8, 'compact, of few neighbours');

-- after vacuum, and rows in the places of those that went
SELECT index_points('vector_l2_ops') \g /dev/null
DELETE FROM points WHERE i % 2 = 0;
VACUUM points;
SELECT cmp_ok(recall_of('vector_l2_ops'), '>=', current_setting('recall.least')::float8, 'after vacuum of every other row');
DELETE FROM points WHERE i % 40 < 20;
VACUUM points;
SELECT cmp_ok(recall_of('vector_l2_ops', 20), '>=', current_setting('recall.least')::float8, 'after vacuum of half of the centres');
CREATE TABLE kept AS SELECT * FROM points;
SELECT make_points('vector', 100, 2000, 'clusters') \g /dev/null
CREATE TABLE all_points AS SELECT * FROM points;
DROP TABLE points;
ALTER TABLE kept RENAME TO points;
SELECT index_points('vector_l2_ops') \g /dev/null
INSERT INTO points SELECT * FROM all_points a WHERE NOT EXISTS (SELECT FROM points p WHERE p.i = a.i);
SELECT cmp_ok(recall_of('vector_l2_ops'), '>=', current_setting('recall.least')::float8, 'after three quarters were inserted, whole clusters at a time');

-- Of few edges, which each node needs: rows of very different lengths, where long ones are neighbours of nearly all others, and rows
-- around a middle where some are nearer to all than these are to each other. Built, and inserted one by one.
CREATE FUNCTION check_few_edges(opclass text, kind text, d int, wanted float8) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    recall float8;
    row record;
BEGIN
    PERFORM make_points(split_part(opclass, '_', 1), d, 2000, kind);
    PERFORM index_points(opclass, 'WITH (m = 4)');
    recall := recall_of(opclass);
    RETURN QUERY SELECT cmp_ok(recall, '>=', wanted, format('%s, %s, m = 4, built', opclass, kind));
    ALTER TABLE points RENAME TO data;
    DROP INDEX points_hnsw;
    CREATE TABLE points (LIKE data);
    PERFORM index_points(opclass, 'WITH (m = 4)');
    FOR row IN SELECT * FROM data LOOP
        INSERT INTO points VALUES (row.i, row.v, row.w);
    END LOOP;
    recall := recall_of(opclass);
    RETURN QUERY SELECT cmp_ok(recall, '>=', wanted, format('%s, %s, m = 4, inserted', opclass, kind));
    DROP TABLE data;
END $$;

SELECT check_few_edges('vector_ip_ops', 'lengths', 64, 0.95);
SELECT check_few_edges('vector_l2_ops', 'hubs', 64, 0.85);
SELECT check_few_edges('sparsevec_ip_ops', 'lengths', 64, 0.95);

-- Three clusters of 470 rows and seven of 70, not far apart: of 64 rows one is drawn for the next level, so of some of the small ones
-- none is. Searches come to all of them.
CREATE TABLE loose AS SELECT i, (SELECT array_agg(1.7 * noise(j, 1000 + CASE WHEN i <= 1410 THEN i % 3 ELSE 3 + i % 7 END) + noise(j, i) ORDER BY j) FROM generate_series(1, 32) j)::vector(32) AS v FROM generate_series(1, 1900) i;
SET enable_seqscan = off;
SET enable_sort = off;
SET hnsw.ef_search = 20;
SET hnsw.iterative_scan = off;
CREATE FUNCTION found_by_own_vector(opclass text, operator text) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
    found int;
BEGIN
    DROP INDEX IF EXISTS loose_v;
    EXECUTE format('CREATE INDEX loose_v ON loose USING hnsw (v %s)', opclass);
    EXECUTE format('SELECT count(*) FROM loose a, LATERAL (SELECT i FROM loose b ORDER BY b.v %s a.v LIMIT 1) r WHERE r.i = a.i', operator) INTO found;
    RETURN found;
END $$;
SELECT is(found_by_own_vector('vector_l2_ops', '<->'), 1900, 'clusters of which no row was drawn, L2');
SELECT is(found_by_own_vector('vector_cosine_ops', '<=>'), 1900, 'cosine');
SELECT is(found_by_own_vector('vector_l1_ops', '<+>'), 1900, 'L1');
SELECT finish();
