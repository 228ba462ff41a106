-- Groups of rows that are nearly equal, each far from all others: near copies of documents,
-- variants of products. A search has to find the way into the right group.
SET client_min_messages = warning;
SET enable_seqscan = off;
SET hnsw.exhaustive_scan = off;
SELECT plan(21);

-- n rows in so many groups of 32 dimensions; apart: how many times a group's spread lies between two.
CREATE FUNCTION make_groups(n int, groups int, apart float8) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    DROP TABLE IF EXISTS rows;
    PERFORM setseed(.25);
    CREATE TABLE rows AS
        WITH c AS (SELECT g, array_agg(random() - .5 ORDER BY d) AS c FROM generate_series(0, groups - 1) g, generate_series(1, 32) d GROUP BY g)
        SELECT i, g, (SELECT array_agg(c[d] + (random() - .5) / apart ORDER BY d) FROM generate_series(1, 32) d WHERE i > 0)::vector(32) AS v
        FROM generate_series(1, n) i JOIN c ON g = i % groups;
END $$;

-- Of 200 rows, how many does a search for their vector find?
CREATE FUNCTION found(op text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    query record;
    hit record;
    n bigint := 0;
BEGIN
    FOR query IN SELECT i, v FROM rows WHERE i % (SELECT count(*) / 200 FROM rows) = 0 LOOP
        EXECUTE format('SELECT i FROM rows ORDER BY v %s %L LIMIT 1', op, query.v) INTO hit;
        n := n + (hit.i = query.i)::int;
    END LOOP;
    RETURN n;
END $$;

CREATE FUNCTION built(n int, groups int, apart float8, op text, opclass text, wanted bigint) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    name text := format('%s rows in %s groups, %s times as far apart as wide, %s', n, groups, apart, opclass);
    problems text;
BEGIN
    PERFORM make_groups(n, groups, apart);
    EXECUTE format('CREATE INDEX rows_v ON rows USING hnsw (v %s)', opclass);
    RETURN NEXT cmp_ok(found(op), '>=', wanted, name);
    SELECT string_agg(problem, ', ') INTO problems FROM hnsw_index_check('rows_v');
    RETURN NEXT is(problems, NULL, name || ': the index is sound');
END $$;

-- Small tables are compared all with all.
SELECT * FROM built(600, 60, 100, '<->', 'vector_l2_ops', 200);
SELECT * FROM built(2000, 50, 1000, '<->', 'vector_l2_ops', 199);
-- More groups than the upper level has nodes, and fewer.
SELECT * FROM built(12000, 1200, 100, '<->', 'vector_l2_ops', 198);
SELECT * FROM built(12000, 1200, 1000, '<->', 'vector_l2_ops', 198);
SELECT * FROM built(12000, 1200, 1000, '<=>', 'vector_cosine_ops', 198);
SELECT * FROM built(12000, 120, 100, '<->', 'vector_l2_ops', 198);
SELECT * FROM built(12000, 120, 1000, '<=>', 'vector_cosine_ops', 198);
-- Too few rows a group for a representative.
SELECT * FROM built(12000, 4000, 100, '<->', 'vector_l2_ops', 198);

-- A row of each group is on the next level, and searches keep more there.
SELECT * FROM built(12000, 400, 100, '<->', 'vector_l2_ops', 198);
SELECT cmp_ok((SELECT nodes_by_level[2] FROM hnsw_index_info('rows_v')), '>=', 400::bigint, 'each group has a node on the next level');

-- Built in parts it is the same.
SET maintenance_work_mem = '8MB';
SELECT * FROM built(12000, 400, 100, '<->', 'vector_l2_ops', 198);
SELECT * FROM finish();
