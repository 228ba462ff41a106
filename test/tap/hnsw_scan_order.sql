-- The order that a scan promises to the nodes above it is the order of its rows: by every key that the planner takes for
-- the index's, to the last row, with equal distances, nulls and NaN where a sort has them. What wants every row in order
-- gets it from a sort. And the rows of LIMIT n are the first n of LIMIT m.
\ir hnsw_scans.psql
SELECT plan(398);

-- ------------------------------------------------------------------ several keys (case 05)

CREATE TABLE bits (i int PRIMARY KEY, a int, v bit(16)) WITH (autovacuum_enabled = off);
INSERT INTO bits SELECT i, i % 100, (hashint4(i) & 65535)::bit(16) FROM generate_series(1, 5000) i;
CREATE INDEX bits_hnsw ON bits USING hnsw (v bit_hamming_ops);
CREATE INDEX bits_a ON bits (a);
ANALYZE bits;
SET hnsw.ef_search = 400;
CREATE TABLE keys AS SELECT * FROM unnest(ARRAY[
    $$v <~> B'1111000011110000', v <~> B'0000000000000001'$$, $$v <~> B'1111000011110000', v <~> B'0000000000000001' DESC$$, $$v <~> B'1111000011110000', v <%> B'0000000000000001'$$,
    $$v <~> B'1111000011110000', v <~> B'1111000011110000', v <~> B'0000000000000001'$$, $$v <~> B'1111000011110000', v$$, $$v <~> B'1111000011110000', i % 10$$]) keys;
SELECT is(problem(format('SELECT v <~> B''1111000011110000'', v, i FROM bits %s ORDER BY %s, i LIMIT %s', condition, keys, n)), NULL, format('%s, LIMIT %s %s', keys, n, condition))
    FROM keys, unnest(ARRAY[10, 60]) n, unnest(ARRAY['', 'WHERE a < 50']) condition;
SELECT ok(plan_by_scan(sql, 'auto') @? '$.**."Node Type" ? (@ == "Incremental Sort")', 'the further keys are sorted as rows come') FROM (VALUES ($$SELECT i FROM bits ORDER BY v <~> B'1111000011110000', i LIMIT 10$$)) x(sql);
-- (the rows of equal keys are any)
SELECT is(problem($$SELECT v <~> B'1111000011110000', v <~> B'0000000000000001' FROM bits ORDER BY 1, 2 LIMIT 10$$), NULL, 'two distances, and no other key');
SELECT is(problem($$SELECT v <~> B'1111000011110000' FROM bits ORDER BY 1 LIMIT 300$$), NULL, 'many equal distances');
SELECT is(problem(format('SELECT v <~> B''1111000011110000'', v, i FROM bits WHERE a < 50 ORDER BY %s, i LIMIT 20', keys), 'sort'), NULL, keys || ': no order of the index')
    FROM unnest(ARRAY[$$v <~> B'1111000011110000' DESC$$, $$v <~> B'1111000011110000' NULLS FIRST$$, $$i % 10, v <~> B'1111000011110000'$$, $$v <%> B'1111000011110000'$$, $$(v <~> B'1111000011110000') + 0$$, $$-(v <~> B'1111000011110000')$$]) keys;
SELECT is(problem($$SELECT i, v <~> B'1111000011110000' AS d FROM bits ORDER BY d DESC, i LIMIT 20$$, 'sort'), NULL, 'the farthest');
SELECT is(problem(format('SELECT i FROM bits WHERE a < 50 ORDER BY v <~> (SELECT v FROM bits WHERE i = 17), i LIMIT %s', n)), NULL, 'a query from a table, LIMIT ' || n) FROM unnest(ARRAY[5, 50]) n;
-- a tie at the end of the list
SELECT is(problem(format('SELECT %s FROM bits %s ORDER BY v <~> B''1111000011110000'' FETCH FIRST %s ROWS WITH TIES', columns, condition, n), ordered => false), NULL, format('%s: %s rows WITH TIES %s', columns, n, condition))
    FROM unnest(ARRAY['i', 'i, v <~> B''1111000011110000''']) columns, unnest(ARRAY[1, 3, 40]) n, unnest(ARRAY['', 'WHERE a < 50']) condition;
SELECT is(problem($$SELECT v <~> B'1111000011110000', v <~> B'0000000000000001' FROM bits ORDER BY 1, 2 OFFSET 4 FETCH FIRST 5 ROWS WITH TIES$$, ordered => false), NULL, 'WITH TIES of two keys, from the fifth');

-- ------------------------------------------------------------------ what wants every row in order (cases 06 and 08)

-- Vectors that are hard for a narrow beam, each of them twice.
CREATE TABLE hard (i int PRIMARY KEY, a int, v vector(32)) WITH (autovacuum_enabled = off);
INSERT INTO hard SELECT i, i % 100, (SELECT array_agg(noise(j, i % 2500) ORDER BY j) FROM generate_series(1, 32) j)::vector FROM generate_series(1, 5000) i;
CREATE INDEX hard_hnsw ON hard USING hnsw (v vector_l2_ops);
CREATE INDEX hard_a ON hard (a);
-- Of few different values, by inner product: the planner's own choice was the index.
CREATE TABLE few (i int PRIMARY KEY, v vector(12) NOT NULL) WITH (autovacuum_enabled = off);
INSERT INTO few SELECT i, (SELECT array_agg(floor(1.5 * (noise(j, i) + 1)) ORDER BY j) FROM generate_series(1, 12) j)::vector FROM generate_series(1, 4000) i;
CREATE INDEX few_hnsw ON few USING hnsw (v vector_ip_ops);
ANALYZE hard, few;
CREATE TABLE hard_query AS SELECT array_fill(0.1, ARRAY[32])::vector(32) AS v;
SET hnsw.ef_search = 10;
CREATE TABLE whole (sql text);
INSERT INTO whole SELECT replace(sql, '{d}', $$v <-> '[0.1,0.1,0.1,0.1,0.1,0.1,0.1,0.1,0.1,0.1,0.1,0.1,0.1,0.1,0.1,0.1,0.1,0.1,0.1,0.1,0.1,0.1,0.1,0.1,0.1,0.1,0.1,0.1,0.1,0.1,0.1,0.1]'$$) FROM unnest(ARRAY[
    'SELECT {d} FROM hard ORDER BY {d}',
    'SELECT {d} FROM hard WHERE a < 50 ORDER BY {d}',
    'SELECT {d} FROM hard ORDER BY {d} OFFSET 20',
    'SELECT {d} FROM hard ORDER BY {d} LIMIT NULL',
    'SELECT {d} FROM hard ORDER BY {d} LIMIT ALL',
    'SELECT i, rank() OVER (ORDER BY {d}) FROM hard ORDER BY i',
    'SELECT i, rank() OVER (ORDER BY {d}) FROM hard ORDER BY 2, i LIMIT 30',
    'SELECT i, dense_rank() OVER (ORDER BY {d}), percent_rank() OVER (ORDER BY {d}) FROM hard WHERE a < 50 ORDER BY i',
    'SELECT i, count(*) OVER (ORDER BY {d}), sum(i) OVER (ORDER BY {d}, i) FROM hard ORDER BY i',
    'SELECT DISTINCT {d} FROM hard ORDER BY {d}',
    'SELECT DISTINCT {d} AS d FROM hard ORDER BY 1 LIMIT 64',
    'SELECT DISTINCT ON ({d}) {d}, i FROM hard ORDER BY {d}, i LIMIT 64',
    'SELECT {d} AS d, count(*) FROM hard GROUP BY {d} ORDER BY {d} LIMIT 64',
    'SELECT {d} AS d, count(*) FROM hard GROUP BY {d} HAVING count(*) > 1 ORDER BY d',
    'SELECT count(DISTINCT {d}) FROM hard',
    'SELECT array_agg(i ORDER BY {d}, i) FROM hard',
    'SELECT percentile_disc(0.3) WITHIN GROUP (ORDER BY {d}) FROM hard',
    'SELECT d FROM (SELECT {d} AS d FROM hard ORDER BY d) x WHERE d > 2 LIMIT 30',
    'SELECT {d} AS d FROM hard UNION SELECT {d} FROM hard ORDER BY d LIMIT 64',
    'SELECT {d} AS d FROM hard EXCEPT SELECT {d} FROM hard WHERE a < 50 ORDER BY d LIMIT 64',
    'SELECT x.i, y.i FROM (SELECT i, {d} AS d FROM hard ORDER BY d) x JOIN (SELECT i, {d} AS d FROM hard ORDER BY d) y USING (d) WHERE x.i < 50 ORDER BY x.i, y.i']) sql;
SELECT is(problem(sql, 'sort'), NULL, left(replace(sql, ',0.1', ''), 150)) FROM whole;
-- by the planner's own choice, too
SELECT is(rows_of(sql), by_sort(sql), 'unforced: ' || left(replace(sql, ',0.1', ''), 150)) FROM whole;
CREATE FUNCTION distinct_problem() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    sql text;
BEGIN
    FOR n IN 1 .. 30 LOOP
        sql := format('SELECT DISTINCT v <#> %L AS d FROM few ORDER BY 1 LIMIT 64', (SELECT array_agg((n * 7 + j * 5) % 3) FROM generate_series(1, 12) j)::vector);
        IF rows_of(sql) <> by_sort(sql) THEN RETURN format('%s instead of %s: %s', rows_of(sql), by_sort(sql), sql); END IF;
        sql := replace(sql, 'DISTINCT v', 'count(*), v') || ' ';
        sql := replace(sql, 'FROM few', 'FROM few GROUP BY d');
        sql := replace(sql, 'ORDER BY 1', 'ORDER BY 2');
        IF rows_of(sql) <> by_sort(sql) THEN RETURN format('%s instead of %s: %s', rows_of(sql), by_sort(sql), sql); END IF;
    END LOOP;
    RETURN NULL;
END $$;
SELECT is(distinct_problem(), NULL, 'different inner products, unforced');
-- the least and the greatest are found as the first of an order are, if at all by the index
SET hnsw.ef_search = 400;
SELECT is(problem('SELECT min(v <#> ''[1,2,0,1,2,0,1,2,0,1,2,0]''), max(v <#> ''[1,2,0,1,2,0,1,2,0,1,2,0]'') FROM few', 'any'), NULL, 'the least and the greatest');
SET hnsw.ef_search = 10;
-- a window over the rows of a LIMIT: these come in the order of their distance, whatever the settings allow
CREATE FUNCTION rank_problem(strategy text, condition text) RETURNS text LANGUAGE sql SET hnsw.ef_search = 10
    RETURN (SELECT string_agg(x.x, ' ') FROM (SELECT unnest(by_scan(format('SELECT i, r, d FROM (SELECT i, d, rank() OVER (ORDER BY d) AS r, row_number() OVER (ORDER BY d, i) - 1 AS before, lag(d) OVER (ORDER BY d, i) AS last FROM
        (SELECT i, v <-> (SELECT v FROM hard_query) AS d FROM hard WHERE %s ORDER BY d LIMIT 200) a) b WHERE r <> (CASE WHEN d = last THEN before ELSE before + 1 END)', condition), strategy)) AS x) x);
SELECT is(rank_problem(strategy, condition), NULL, format('%s: ranks of the rows of a LIMIT, %s', strategy, condition)) FROM unnest(strategies()) strategy, unnest(ARRAY['true', 'a < 50', 'i % 7 = 3']) condition;
SET hnsw.iterative_scan = relaxed_order;
SELECT is(rank_problem(strategy, condition), NULL, format('relaxed order, %s: ranks of the rows of a LIMIT, %s', strategy, condition)) FROM unnest(strategies()) strategy, unnest(ARRAY['true', 'a < 50', 'i % 7 = 3']) condition;
RESET hnsw.iterative_scan;
CREATE FUNCTION disorder(sql text, strategy text) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
    rows text[] := by_scan(sql, strategy);
BEGIN
    IF cardinality(rows) = 0 THEN RETURN NULL; END IF;
    RETURN (SELECT count(*) FROM (SELECT d, lag(d) OVER (ORDER BY n) AS last FROM (SELECT trim(x, '()')::float8 AS d, n FROM unnest(rows) WITH ORDINALITY u(x, n)) a) b WHERE d < last);
END $$;
SELECT is(disorder(format('SELECT v <-> (SELECT v FROM hard_query) FROM hard WHERE %s ORDER BY 1 LIMIT %s', condition, n), strategy), 0, format('%s: in order, %s, LIMIT %s', strategy, condition, n))
    FROM unnest(strategies()) strategy, unnest(ARRAY['true', 'a < 50', 'a < 2', 'i % 7 = 3']) condition, unnest(ARRAY[10, 100, 10000]) n;
SET hnsw.max_scan_tuples = 100;
SELECT is(disorder(format('SELECT v <-> (SELECT v FROM hard_query) FROM hard WHERE %s ORDER BY 1 LIMIT %s', condition, n), strategy), 0, format('max_scan_tuples, %s: in order, %s, LIMIT %s', strategy, condition, n))
    FROM unnest(strategies()) strategy, unnest(ARRAY['true', 'a < 50', 'i % 7 = 3']) condition, unnest(ARRAY[100, 10000]) n;
RESET hnsw.max_scan_tuples;

-- ------------------------------------------------------------------ a LIMIT above the query's cluster (case 09)

-- 150 clusters of 40 rows; all else is nearly equally far from each.
CREATE TABLE apart (i int PRIMARY KEY, v vector(256)) WITH (autovacuum_enabled = off);
INSERT INTO apart SELECT i, (SELECT array_agg(0.5 * noise(j, i) + sin(j * (i % 150)) ORDER BY j) FROM generate_series(1, 256) j)::vector FROM generate_series(1, 6000) i;
CREATE INDEX apart_hnsw ON apart USING hnsw (v vector_cosine_ops);
ANALYZE apart;
RESET hnsw.ef_search;
CREATE TABLE clusters (i int, n int, found text[], sweeps bigint, table_reads bigint, pages_read bigint);
DO $$
DECLARE
    query record;
    found text[];
BEGIN
    FOR query IN SELECT i, v, n FROM apart, unnest(ARRAY[10, 39, 45, 60, 100]) n WHERE i IN (77, 191, 1203) LOOP
        found := by_scan(format('SELECT i FROM apart ORDER BY v <=> %L LIMIT %s', query.v, query.n), 'auto');
        INSERT INTO clusters SELECT query.i, query.n, found, sweeps, table_reads, pages_read FROM omendb_last_scan();
    END LOOP;
END $$;
SELECT is(sweeps + table_reads, 0::bigint, format('LIMIT %s at row %s: nothing is read to its end', n, i)) FROM clusters;
-- Beyond the cluster the estimates decide. 29 rows, LIMIT 100: 1,390 to 1,918 nodes by codes of 176 bits (by those of 224,
-- as format 3 had here: 1,397 to 1,830).
SELECT cmp_ok(pages_read, '<', 2000::bigint, format('LIMIT %s at row %s: a third of the index is read at most', n, i)) FROM clusters;
SELECT cmp_ok((SELECT count(*)::int FROM unnest(found) f WHERE f = ANY (by_sort(format('SELECT i FROM apart ORDER BY v <=> %L LIMIT 40', (SELECT v FROM apart a WHERE a.i = c.i))))), '>=', least(n, 39), format('LIMIT %s at row %s: the cluster comes first', n, i)) FROM clusters c;

-- ------------------------------------------------------------------ the rows of LIMIT n are the first of LIMIT m (case 14)

CREATE TABLE paged (i int PRIMARY KEY, a int, v vector(32)) WITH (autovacuum_enabled = off);
INSERT INTO paged SELECT i, i % 100, (SELECT array_agg(noise(j, i) + 0.6 * sin(j * (i % 50)) ORDER BY j) FROM generate_series(1, 32) j)::vector FROM generate_series(1, 5000) i;
CREATE INDEX paged_hnsw ON paged USING hnsw (v vector_l2_ops);
CREATE INDEX paged_a ON paged (a);
ANALYZE paged;
-- Rows of LIMIT n, and of pages by OFFSET, that are not the first of LIMIT m.
CREATE FUNCTION page_problem(relation text, operator text, condition text, strategy text, longest int DEFAULT 200) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    query record;
    sql text;
    list text[];
    pages text[];
    n int;
BEGIN
    FOR query IN EXECUTE format('SELECT v FROM %s WHERE i %% 300 = 77 ORDER BY i LIMIT 8', relation) LOOP
        sql := format('SELECT i FROM %s WHERE %s ORDER BY v %s %L', relation, condition, operator, query.v);
        list := by_scan(format('%s LIMIT %s', sql, longest), strategy);
        IF cardinality(list) < 50 THEN RETURN format('only %s rows', cardinality(list)); END IF;
        FOREACH n IN ARRAY ARRAY[1, 5, 10, 30, 41, 100, longest / 2] LOOP
            IF by_scan(format('%s LIMIT %s', sql, n), strategy) <> list[:n] THEN
                RETURN format('LIMIT %s: %s of LIMIT %s: %s', n, (SELECT count(*) FROM unnest(by_scan(format('%s LIMIT %s', sql, n), strategy)) WITH ORDINALITY u(x, at) WHERE x = list[at]), longest, left(sql, 200));
            END IF;
        END LOOP;
        pages := '{}';
        FOR page IN 0 .. 19 LOOP
            pages := pages || by_scan(format('%s LIMIT %s OFFSET %s', sql, longest / 20, page * longest / 20), strategy);
        END LOOP;
        IF pages <> list THEN
            RETURN format('pages: %s twice, %s missing: %s', (SELECT count(*) - count(DISTINCT x) FROM unnest(pages) x), (SELECT count(*) FROM unnest(list) x WHERE x <> ALL (pages)), left(sql, 200));
        END IF;
    END LOOP;
    RETURN NULL;
END $$;
-- With a filter auto may choose another strategy for another LIMIT.
SELECT is(page_problem('paged', '<->', condition, strategy), NULL, format('pages: %s, %s', strategy, condition)) FROM unnest(strategies()) strategy, unnest(ARRAY['true', 'a < 50', 'i % 7 = 3', 'a = 7 OR a > 95']) condition
    WHERE condition = 'true' OR strategy <> 'auto';
SET hnsw.ef_search = 10;
SELECT is(page_problem('paged', '<->', 'true', 'auto'), NULL, 'pages of a narrow beam');
SET hnsw.ef_search = 200;
SELECT is(page_problem('paged', '<->', 'true', 'auto', 400), NULL, 'pages of a wide beam');
-- It returns a hundred rows by about as many visits as a beam of 300 takes, and that beam in the first round.
SELECT cardinality(by_scan(format('SELECT i FROM paged ORDER BY v <-> %L LIMIT 100', (SELECT v FROM paged WHERE i = 77)), 'auto')) AS wide \gset
SELECT is(:wide, 100, 'a wide beam: a hundred rows');
SELECT cmp_ok(nodes_visited, '<', 400::bigint, 'by hardly more visits than it has candidates') FROM omendb_last_scan();
-- Few rounds: the 40th row is found by as many visits as the 100th, and these are fewer than 3.5 for each row.
RESET hnsw.ef_search;
CREATE FUNCTION visits_for(n int) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    rows int := cardinality(by_scan(format('SELECT i FROM paged ORDER BY v <-> %L LIMIT %s', (SELECT v FROM paged WHERE i = 77), n), 'auto'));
BEGIN
    IF rows <> n THEN RAISE 'only % rows', rows; END IF;
    RETURN (SELECT nodes_visited FROM omendb_last_scan());
END $$;
SELECT is(visits_for(40), visits_for(100), 'a round ends above a hundred rows, and none between 40 and these');
SELECT cmp_ok(visits_for(25), '<', visits_for(40), 'another one ends above 25 rows');
SELECT cmp_ok(visits_for(100), '<', 450::bigint, 'a hundred rows by fewer than 4.5 visits each');
SELECT cmp_ok(visits_for(10), '<', 100::bigint, 'ten rows by the first round');
SET hnsw.ef_search = 300;
SELECT cmp_ok(visits_for(100), '<', 450::bigint, 'a wider beam: a hundred rows by one and a half times its ef');
SELECT cmp_ok(visits_for(10), '<', 300::bigint, 'and ten rows by fewer than its ef: the search rests when it has enough');
RESET hnsw.ef_search;
SELECT is(page_problem('apart', '<=>', 'true', 'auto'), NULL, 'pages across clusters');
-- Lists longer than a cluster, where a sweep of the index costs less but finds rows that the search passed by; and equal distances.
CREATE TABLE clustered (i int PRIMARY KEY, a int, v vector(20)) WITH (autovacuum_enabled = off);
INSERT INTO clustered SELECT i, i % 100, (SELECT array_agg(noise(j, 3 * i) + noise(j, 3 * i + 1) + noise(j, 3 * i + 2) + CASE WHEN i % 20 = j THEN 100 * j ELSE 0 END ORDER BY j) FROM generate_series(0, 19) j)::vector FROM generate_series(0, 11999) i;
CREATE INDEX clustered_hnsw ON clustered USING hnsw (v vector_l2_ops);
CREATE TABLE line (i int PRIMARY KEY, a int, v vector(3)) WITH (autovacuum_enabled = off);
INSERT INTO line SELECT i, i % 10, ARRAY[i / 3, 0, 1]::vector FROM generate_series(0, 11999) i;
CREATE INDEX line_hnsw ON line USING hnsw (v vector_l2_ops);
CREATE TABLE copies (i int PRIMARY KEY, a int, v vector(3)) WITH (autovacuum_enabled = off);
INSERT INTO copies SELECT i, i / 5 % 20, ARRAY[i % 5, i % 3, 1]::vector FROM generate_series(0, 11999) i;
CREATE INDEX copies_hnsw ON copies USING hnsw (v vector_l2_ops);
CREATE INDEX copies_a ON copies (a);
ANALYZE clustered, line, copies;
SELECT is(page_problem(relation, '<->', condition, strategy, longest), NULL, format('pages of %s to %s: %s, %s', relation, longest, strategy, condition))
    FROM (VALUES ('clustered', 'true', 'auto', 1000), ('clustered', 'true', 'auto', 3000), ('line', 'true', 'auto', 500), ('line', 'true', 'auto', 1100), ('copies', 'true', 'auto', 400), ('copies', 'a = 7', 'exact', 120), ('copies', 'a + 0 = 7', 'exact', 300), ('copies', 'a = 7', 'graph', 120)) x(relation, condition, strategy, longest);
-- a cursor, which is told of no LIMIT, has them too
CREATE FUNCTION cursor_page_problem() RETURNS text LANGUAGE plpgsql SET enable_seqscan = off SET enable_sort = off AS $$
DECLARE
    c refcursor;
    sql text := 'SELECT i FROM paged ORDER BY v <-> (SELECT v FROM hard_query) LIMIT 200';
    list text[] := by_scan(sql, 'auto');
    row record;
BEGIN
    OPEN c FOR EXECUTE sql;
    FOR n IN 1 .. 200 LOOP
        FETCH c INTO row;
        IF row::text <> list[n] THEN RETURN format('row %s: %s instead of %s', n, row, list[n]); END IF;
    END LOOP;
    CLOSE c;
    RETURN NULL;
END $$;
SELECT is(cursor_page_problem(), NULL, 'one row at a time');

-- ------------------------------------------------------------------ limits

SET hnsw.ef_search = 400;
SELECT is(problem(format('SELECT i FROM hard WHERE i <= 2500 AND a < 20 ORDER BY v <-> (SELECT v FROM hard_query) %s', limits), use, 0), NULL, limits)
    FROM (VALUES ('LIMIT 5', 'scan'), ('LIMIT 0', 'any'), ('LIMIT 5 OFFSET 7', 'scan'), ('LIMIT 5 OFFSET 499', 'scan'), ('LIMIT 5 OFFSET 500', 'any'), ('LIMIT 5 OFFSET 100000', 'any'), ('OFFSET 100000', 'any'), ('LIMIT 100000', 'any'),
        ('LIMIT 9223372036854775807', 'any'), ('LIMIT 9223372036854775807 OFFSET 9223372036854775807', 'any'), ('LIMIT (SELECT 7)', 'any'), ('LIMIT (SELECT NULL::int)', 'any'), ('LIMIT 3 OFFSET (SELECT 4)', 'any'), ('LIMIT NULL OFFSET 3', 'any')) x(limits, use);
PREPARE limited(bigint, bigint) AS SELECT i FROM hard WHERE i <= 2500 AND a < 20 ORDER BY v <-> (SELECT v FROM hard_query) LIMIT $1 OFFSET $2;
SET plan_cache_mode = force_generic_plan;
SELECT is(problem(format('EXECUTE limited(%s, %s)', n, skipped), 'any', 0, same_as => format('SELECT i FROM hard WHERE i <= 2500 AND a < 20 ORDER BY v <-> (SELECT v FROM hard_query) LIMIT %s OFFSET %s', n, skipped)), NULL, format('generic plan: LIMIT %s OFFSET %s', n, skipped))
    FROM (VALUES ('5', 'NULL'), ('NULL', 'NULL'), ('5', '3'), ('NULL', '490'), ('0', '0'), ('100', '450')) x(n, skipped);
RESET plan_cache_mode;
SELECT throws_ok($$EXECUTE limited(-1, 0)$$, '2201W', NULL, 'a LIMIT below 0');

-- ------------------------------------------------------------------ rows that the index does not have: last, as in a sort

CREATE TABLE gaps (i int PRIMARY KEY, a int, v vector(4)) WITH (autovacuum_enabled = off);
INSERT INTO gaps SELECT i, i % 10, CASE WHEN i % 9 = 0 THEN NULL WHEN i % 7 = 0 THEN '[0,0,0,0]'::vector ELSE (SELECT array_agg(noise(j, i) ORDER BY j) FROM generate_series(1, 4) j)::vector END FROM generate_series(1, 300) i;
CREATE INDEX gaps_a ON gaps (a);
CREATE FUNCTION gap_problem(opclass text, condition text, columns text, tail text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    IF obj_description(to_regclass('gaps_hnsw'), 'pg_class') IS DISTINCT FROM opclass THEN
        DROP INDEX IF EXISTS gaps_hnsw;
        EXECUTE format('CREATE INDEX gaps_hnsw ON gaps USING hnsw (v %s)', opclass);
        EXECUTE format('COMMENT ON INDEX gaps_hnsw IS %L', opclass);
        ANALYZE gaps;
    END IF;
    RETURN problem(replace(format('SELECT %s FROM gaps WHERE %s ORDER BY v {o} ''[1,2,3,4]'' %s', columns, condition, tail), '{o}', operator_of(opclass)), 'any');
END $$;
-- (the ids of null and NaN distances are in any order, unless they are asked for)
SELECT is(gap_problem(opclass, condition, 'v {o} ''[1,2,3,4]'' AS d, v IS NULL', tail), NULL, format('%s, %s %s', opclass, condition, tail))
    FROM unnest(ARRAY['vector_cosine_ops', 'vector_l2_ops', 'vector_ip_ops']) opclass, unnest(ARRAY['true', 'a < 5', 'a = 3', 'v IS NOT NULL', 'v IS NULL', 'v IS NULL OR a = 3']) condition, unnest(ARRAY['LIMIT 10', 'LIMIT 290', 'LIMIT 1000', 'LIMIT 20 OFFSET 220']) tail
    WHERE tail NOT LIKE '%OFFSET%' OR condition = 'true';
SELECT is(gap_problem(opclass, condition, 'i', ', i ' || tail), NULL, format('%s, by number, %s %s', opclass, condition, tail))
    FROM unnest(ARRAY['vector_cosine_ops', 'vector_l2_ops']) opclass, unnest(ARRAY['true', 'a < 5', 'v IS NULL OR a = 3']) condition, unnest(ARRAY['LIMIT 290', 'LIMIT 1000', 'FETCH FIRST 230 ROWS WITH TIES']) tail;
SELECT is((SELECT count(*)::int FROM unnest(by_scan('SELECT i FROM gaps ORDER BY v <-> ''[1,2,3,4]'' LIMIT 1000', strategy))), 300, strategy || ': all rows') FROM unnest(strategies()) strategy;
-- a query of no direction: every distance is NaN
SELECT gap_problem('vector_cosine_ops', 'true', 'i', ', i LIMIT 1') \g /dev/null
SELECT is(cardinality(by_scan('SELECT i FROM gaps WHERE a < 5 ORDER BY v <=> ''[0,0,0,0]'' LIMIT 1000', strategy)), 150, strategy || ': all rows of a query without direction') FROM unnest(strategies()) strategy;
SELECT is(problem('SELECT i FROM gaps WHERE a < 5 ORDER BY v <=> ''[0,0,0,0]'', i LIMIT 20', 'any'), NULL, 'in the order of the next key');
-- rows that there are none of
CREATE TABLE none (i int, v vector(2));
CREATE INDEX none_hnsw ON none USING hnsw (v vector_l2_ops);
SELECT is(problem('SELECT i FROM none ORDER BY v <-> ''[1,2]'' LIMIT 3', 'any', 0), NULL, 'an empty table');
SELECT is(problem('SELECT i FROM none WHERE v <-> ''[1,2]'' < 3', 'any', 0), NULL, 'within a radius of an empty table');
INSERT INTO none SELECT i, NULL FROM generate_series(1, 30) i;
ANALYZE none;
SELECT is(problem('SELECT i FROM none ORDER BY v <-> ''[1,2]'', i LIMIT 3', 'any'), NULL, 'a table of nulls, an empty index');
SELECT is(problem('SELECT i FROM none ORDER BY v <-> ''[1,2]'', i LIMIT 300', 'any'), NULL, 'of which all are wanted');

-- ------------------------------------------------------------------ partitions

CREATE TABLE parted (i int, a int, v vector(8)) PARTITION BY RANGE (i);
CREATE TABLE parted1 PARTITION OF parted FOR VALUES FROM (0) TO (1000);
CREATE TABLE parted2 (v vector(8), gone int, i int, a int);
ALTER TABLE parted2 DROP COLUMN gone;
ALTER TABLE parted ATTACH PARTITION parted2 FOR VALUES FROM (1000) TO (2000);
CREATE TABLE parted3 PARTITION OF parted FOR VALUES FROM (2000) TO (3001);
INSERT INTO parted SELECT i, i % 100, (SELECT array_agg(noise(j, i) ORDER BY j) FROM generate_series(1, 8) j)::vector FROM generate_series(1, 3000) i;
CREATE INDEX parted_hnsw ON parted USING hnsw (v vector_l2_ops);
CREATE INDEX parted_a ON parted (a);
ANALYZE parted;
SELECT is(problem(format($$SELECT tableoid::regclass, i, a FROM parted WHERE %s ORDER BY v <-> '[0.1,0.1,0.1,0.1,0.1,0.1,0.1,0.1]' LIMIT %s$$, condition, n)), NULL, format('partitions: %s, LIMIT %s', condition, n))
    FROM unnest(ARRAY['true', 'a < 20', 'a = 7', 'i < 1500', 'i > 1500 AND a < 20']) condition, unnest(ARRAY[5, 60]) n;
SELECT ok(plan_by_scan(sql, 'auto') @? '$.**."Node Type" ? (@ == "Merge Append")', 'are merged') FROM (VALUES ($$SELECT i FROM parted ORDER BY v <-> '[0.1,0.1,0.1,0.1,0.1,0.1,0.1,0.1]' LIMIT 5$$)) x(sql);
SELECT is(problem(format($$SELECT i, a FROM parted WHERE %s AND v <-> '[0.1,0.1,0.1,0.1,0.1,0.1,0.1,0.1]' < %s$$, condition, radius), ordered => false), NULL, format('partitions within a radius: %s, %s', condition, radius))
    FROM unnest(ARRAY['true', 'a < 20', 'i > 1500']) condition, unnest(ARRAY[1, 2]) radius;
SELECT is(problem($$SELECT x.n, r.i FROM generate_series(10, 90, 10) x(n), LATERAL (SELECT i FROM parted WHERE a < n ORDER BY v <-> array_fill(n / 100.0, ARRAY[8])::vector LIMIT 4) r$$, ordered => false), NULL, 'partitions for outer rows');
SELECT is(problem($$SELECT i FROM parted ORDER BY v <-> '[0.1,0.1,0.1,0.1,0.1,0.1,0.1,0.1]'$$, 'sort'), NULL, 'partitions without a LIMIT');
SELECT is(problem($$SELECT i FROM parted ORDER BY v <-> '[0.1,0.1,0.1,0.1,0.1,0.1,0.1,0.1]', i LIMIT 20$$, 'any'), NULL, 'partitions, and a second key');
-- tables that inherit
CREATE TABLE parent (i int, a int, v vector(8));
CREATE TABLE child (more text DEFAULT 'more') INHERITS (parent);
INSERT INTO parent SELECT i, a, v FROM parted1;
INSERT INTO child SELECT i, a, v FROM parted2;
CREATE INDEX parent_hnsw ON parent USING hnsw (v vector_l2_ops);
CREATE INDEX child_hnsw ON child USING hnsw (v vector_l2_ops);
ANALYZE parent, child;
SELECT is(problem($$SELECT tableoid::regclass, i FROM parent WHERE a < 40 ORDER BY v <-> '[0.1,0.1,0.1,0.1,0.1,0.1,0.1,0.1]' LIMIT 20$$), NULL, 'tables that inherit');
SELECT is(problem($$SELECT i FROM ONLY parent ORDER BY v <-> '[0.1,0.1,0.1,0.1,0.1,0.1,0.1,0.1]' LIMIT 20$$), NULL, 'only the parent');

SELECT finish();
