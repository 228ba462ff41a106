-- An hnsw index returns rows in the exact order of the operator's values, whatever it knows of them, and a query
-- whose LIMIT is beyond the table returns every row that is indexed, once: by a plain index scan, and by the custom scan,
-- which returns the rows that are not indexed after them, as a sort does.
\ir hnsw_data.psql
SET client_min_messages = warning;
SET enable_seqscan = off;
SELECT plan(95);

-- What is wrong with the rows of some queries, which are rows of the table: NULL if nothing. (NaN is greater than any
-- other number.)
CREATE FUNCTION order_problem(opclass text, scan text, first_rows int DEFAULT 50) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    op text := operator_of(opclass);
    column_type text := (SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'points'::regclass AND attname = 'v');
    indexed int;
    query text;
    sql text;
    rows int;
    different int;
    disorder int;
BEGIN
    PERFORM use_scan(scan);
    EXECUTE format('SELECT count(*) FROM points WHERE %s', CASE WHEN scan <> 'plain' THEN 'true' WHEN opclass ~ 'cosine' THEN 'v::text ~ ''[1-9].*[]}]''' ELSE 'v IS NOT NULL' END) INTO indexed;
    FOR query IN SELECT v::text FROM points WHERE v IS NOT NULL ORDER BY w LIMIT 4 LOOP
        sql := format('SELECT i, v %s %L::%s AS d FROM points ORDER BY v %s %L::%s', op, query, column_type, op, query, column_type);
        PERFORM must_use_index(sql || ' LIMIT 1000');
        EXECUTE format('SELECT count(*), count(DISTINCT i), count(*) FILTER (WHERE d < before OR n > 1 AND before IS NULL AND d IS NOT NULL)
            FROM (SELECT i, d, n, lag(d) OVER (ORDER BY n) AS before FROM (SELECT i, d, row_number() OVER () AS n FROM (%s LIMIT 1000) a) b) c', sql) INTO rows, different, disorder;
        IF rows <> indexed OR different <> indexed THEN
            RETURN format('%s rows, %s different ones, of %s: %s', rows, different, indexed, sql);
        END IF;
        IF scan <> 'plain' AND disorder > 0 THEN
            RETURN format('%s of all %s rows out of order: %s', disorder, rows, sql);
        END IF;
        PERFORM must_use_index(format('%s LIMIT %s', sql, first_rows));
        EXECUTE format('SELECT count(*), count(*) FILTER (WHERE d < before) FROM (SELECT d, lag(d) OVER (ORDER BY n) AS before FROM (SELECT d, row_number() OVER () AS n FROM (%s LIMIT %s) a) b) c',
                       sql, first_rows) INTO rows, disorder;
        IF rows <> least(first_rows, indexed) OR disorder > 0 THEN
            RETURN format('%s of %s rows out of order: %s', disorder, rows, sql);
        END IF;
    END LOOP;
    RETURN NULL;
EXCEPTION WHEN OTHERS THEN
    RETURN format('%s: %s', SQLERRM, sql);
END $$;

CREATE FUNCTION problems(opclass text, d int, kinds text[], magnitudes float8[], n int, options text DEFAULT '') RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    kind text;
    magnitude float8;
    scan text;
    problem text;
BEGIN
    FOREACH kind IN ARRAY kinds LOOP
        FOREACH magnitude IN ARRAY magnitudes LOOP
            PERFORM make_points(split_part(opclass, '_', 1), d, n, kind, magnitude);
            PERFORM index_points(opclass, options);
            FOREACH scan IN ARRAY ARRAY['plain', 'graph'] LOOP
                problem := order_problem(opclass, scan);
                IF problem IS NOT NULL THEN RETURN format('%s, %s, %s: %s', scan, kind, magnitude, left(problem, 1000)); END IF;
            END LOOP;
        END LOOP;
    END LOOP;
    RETURN NULL;
END $$;

-- The same of vectors of 1,500 elements and of few, in no order, indexed before or after they are there.
CREATE FUNCTION problems_of_long(opclass text, options text, before bool DEFAULT false) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    problem text;
BEGIN
    DROP TABLE IF EXISTS points;
    CREATE TABLE points (i int, v sparsevec(1500), w float8);
    IF before THEN PERFORM index_points(opclass, options); END IF;
    INSERT INTO points SELECT i, (SELECT array_agg(CASE WHEN i % 3 > 0 OR j % 150 = i % 150 THEN noise(1, j) + 0.1 * noise(2, i * 100000::bigint + j) ELSE 0 END ORDER BY j) FROM generate_series(1, 1500) j)::sparsevec(1500), (noise(9, i) + 1) / 2
        FROM generate_series(1, 60) i;
    IF NOT before THEN PERFORM index_points(opclass, options); END IF;
    IF (SELECT count(*) FROM hnsw_index_check('points_hnsw', true)) > 0 THEN RETURN 'hnsw_index_check'; END IF;
    problem := order_problem(opclass, 'plain', 20);
    RETURN coalesce(problem, order_problem(opclass, 'graph', 20));
END $$;

-- ------------------------------------------------------------------ dimensions

SELECT is(problems(opclass, d, ARRAY['uniform', 'grid', 'line'], ARRAY[1.0], 150), NULL, format('%s, %s dimensions', opclass, d))
    FROM unnest(ARRAY['vector_l2_ops', 'vector_ip_ops', 'vector_cosine_ops', 'vector_l1_ops', 'halfvec_l2_ops', 'halfvec_ip_ops', 'halfvec_cosine_ops', 'halfvec_l1_ops']) opclass,
         unnest(ARRAY[1, 2, 3, 16, 100]) d;
SELECT is(problems(opclass, d, ARRAY['uniform'], ARRAY[1.0], 60), NULL, format('%s, %s dimensions', opclass, d))
    FROM unnest(ARRAY['vector_l2_ops', 'vector_cosine_ops', 'halfvec_ip_ops', 'vector_l1_ops']) opclass, unnest(ARRAY[384, 1536]) d;
SELECT is(problems(opclass, d, ARRAY['uniform', 'grid', 'line', 'holes'], ARRAY[1.0], 150), NULL, format('%s, %s dimensions', opclass, d))
    FROM unnest(ARRAY['sparsevec_l2_ops', 'sparsevec_ip_ops', 'sparsevec_cosine_ops', 'sparsevec_l1_ops']) opclass, unnest(ARRAY[1, 3, 100]) d;
SELECT is(problems(opclass, d, ARRAY['uniform', 'sparse', 'dups'], ARRAY[1.0], 150), NULL, format('%s, %s dimensions', opclass, d))
    FROM unnest(ARRAY['bit_hamming_ops', 'bit_jaccard_ops']) opclass, unnest(ARRAY[1, 3, 100, 1536]) d;

-- ------------------------------------------------------------------ magnitudes, many equal distances, equal rows

SELECT is(problems(opclass, 16, ARRAY['uniform', 'grid', 'dups', 'offset', 'close', 'wide'], ARRAY[1e-10, 1e-5, 1e-2, 1e2, 1e5, 1e10], 100), NULL, opclass || ', magnitudes')
    FROM unnest(ARRAY['vector_l2_ops', 'vector_ip_ops', 'vector_cosine_ops', 'vector_l1_ops']) opclass;
SELECT is(problems(opclass, 16, ARRAY['uniform', 'grid', 'dups', 'offset'], ARRAY[1e-6, 1e-3, 1, 50], 100), NULL, opclass || ', magnitudes')
    FROM unnest(ARRAY['halfvec_l2_ops', 'halfvec_ip_ops', 'halfvec_cosine_ops', 'halfvec_l1_ops']) opclass;

SELECT is(problems(opclass, 16, ARRAY['uniform', 'grid', 'dups', 'offset', 'close', 'wide', 'holes'], ARRAY[1e-10, 1e-5, 1e-2, 1e2, 1e5, 1e10], 100), NULL, opclass || ', magnitudes')
    FROM unnest(ARRAY['sparsevec_l2_ops', 'sparsevec_ip_ops', 'sparsevec_cosine_ops', 'sparsevec_l1_ops']) opclass;

-- ------------------------------------------------------------------ sparse vectors of which a record has room for a part

-- 1,322 elements at most: with m = 100 1,210
SELECT is(problems_of_long(opclass, options), NULL, format('%s %s, of 1,500 elements', opclass, options))
    FROM unnest(ARRAY['sparsevec_l2_ops', 'sparsevec_ip_ops', 'sparsevec_cosine_ops', 'sparsevec_l1_ops']) opclass, unnest(ARRAY['', 'WITH (m = 100, ef_construction = 200)']) options;
-- the same of an index that was made before there were rows
SELECT is(problems_of_long(opclass, '', true), NULL, opclass || ', of 1,500 elements, inserted')
    FROM unnest(ARRAY['sparsevec_l2_ops', 'sparsevec_ip_ops']) opclass;

-- ------------------------------------------------------------------ vectors in 8 bits, at which nearly every order is in doubt

SELECT is(problems(opclass, 24, ARRAY['uniform', 'grid', 'dups', 'offset', 'close', 'wide'], ARRAY[1e-5, 1, 1e5], 100, 'WITH (compact = on)'), NULL, opclass || ', compact')
    FROM unnest(ARRAY['vector_l2_ops', 'vector_ip_ops', 'vector_cosine_ops', 'vector_l1_ops']) opclass;
SELECT is(problems('halfvec_l2_ops', 24, ARRAY['uniform', 'grid', 'dups', 'offset'], ARRAY[1e-3, 1, 50], 100, 'WITH (compact = on)'), NULL, 'halfvec_l2_ops, compact');

SELECT finish();
