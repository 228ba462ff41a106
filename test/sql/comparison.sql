-- Comparison and btree: by elements, then by number of dimensions.

-- every pair of these, in their order, by each operator and by cmp
CREATE TABLE ordered (n int, v vector, h halfvec, s sparsevec);
INSERT INTO ordered
    SELECT n, v::vector, v::vector::halfvec, v::vector::sparsevec
    FROM unnest(ARRAY['[-2]', '[-1,5]', '[-1,6]', '[0]', '[0,-1]', '[0,0]', '[0,0,0]', '[0,0,1]', '[0,1]',
                      '[1]', '[1,-1]', '[1,0]', '[1,0,7]', '[1,2]', '[2,-9]', '[65504]']) WITH ORDINALITY AS t(v, n);
SELECT count(*),
       count(*) FILTER (WHERE (a.v < b.v) = (a.n < b.n) AND (a.v <= b.v) = (a.n <= b.n) AND (a.v = b.v) = (a.n = b.n)
                          AND (a.v <> b.v) = (a.n <> b.n) AND (a.v >= b.v) = (a.n >= b.n) AND (a.v > b.v) = (a.n > b.n)
                          AND vector_cmp(a.v, b.v) = sign(a.n - b.n)) AS vector_ok,
       count(*) FILTER (WHERE (a.h < b.h) = (a.n < b.n) AND (a.h <= b.h) = (a.n <= b.n) AND (a.h = b.h) = (a.n = b.n)
                          AND (a.h <> b.h) = (a.n <> b.n) AND (a.h >= b.h) = (a.n >= b.n) AND (a.h > b.h) = (a.n > b.n)
                          AND halfvec_cmp(a.h, b.h) = sign(a.n - b.n)) AS halfvec_ok,
       count(*) FILTER (WHERE (a.s < b.s) = (a.n < b.n) AND (a.s <= b.s) = (a.n <= b.n) AND (a.s = b.s) = (a.n = b.n)
                          AND (a.s <> b.s) = (a.n <> b.n) AND (a.s >= b.s) = (a.n >= b.n) AND (a.s > b.s) = (a.n > b.n)
                          AND sparsevec_cmp(a.s, b.s) = sign(a.n - b.n)) AS sparsevec_ok
    FROM ordered a, ordered b;

-- minus zero is zero
SELECT '[0]'::vector = '[-0]', vector_cmp('[0,1]', '[-0,1]'), '[0]'::halfvec = '[-0]', '[-0]'::halfvec < '[0]';
-- sparse: what is not stored is 0, and compares so with negative and positive elements
SELECT '{}/3'::sparsevec > '{2:-1}/3', '{}/3'::sparsevec < '{2:1}/3', '{1:1}/3'::sparsevec > '{2:9}/3', '{3:1}/3'::sparsevec < '{2:1}/3';
-- sparse: an element beyond the shorter one's dimensions is not compared
SELECT '{}/2'::sparsevec < '{3:-1}/3', '{}/2'::sparsevec < '{}/1000000000', '{2:1}/2'::sparsevec > '{3:5}/3';
SELECT '[1]'::vector = NULL IS NULL AND '[1]'::vector < NULL IS NULL AS all_null;
SELECT '[1]'::vector = '[1]'::halfvec, '[1]'::vector = '{1:1}/1'::sparsevec;

-- ORDER BY, both ways, with NULL
INSERT INTO ordered VALUES (99, NULL, NULL, NULL);
SELECT n, v FROM ordered ORDER BY v;
SELECT array_agg(n ORDER BY v DESC), array_agg(n ORDER BY h), array_agg(n ORDER BY s DESC NULLS LAST) FROM ordered;
SELECT array_agg(n ORDER BY v USING <), array_agg(n ORDER BY v USING >) FROM ordered;

-- DISTINCT, GROUP BY, set operations: by sorting
CREATE TABLE duplicates AS SELECT i, ARRAY[i % 3, 0]::vector v, ARRAY[i % 3, 0]::halfvec h, ARRAY[i % 3, 0]::sparsevec s
    FROM generate_series(1, 30) i;
SELECT DISTINCT v FROM duplicates ORDER BY v;
SELECT DISTINCT ON (h) h, i FROM duplicates ORDER BY h, i;
SELECT s, count(*), min(i) FROM duplicates GROUP BY s ORDER BY s;
SELECT count(DISTINCT v), count(DISTINCT h), count(DISTINCT s) FROM duplicates;
SELECT v FROM duplicates WHERE i < 3 UNION SELECT '[7,7]' ORDER BY 1;
SELECT v FROM duplicates EXCEPT SELECT '[1,0]' ORDER BY 1;
SELECT h FROM duplicates INTERSECT SELECT '[1,0]' ORDER BY 1;
SELECT v, rank() OVER (ORDER BY v) FROM duplicates WHERE i < 5 ORDER BY i;
SELECT count(*) FROM duplicates a WHERE v IN ('[1,0]', '[2,0]', '[9,9]');
SELECT count(*) FROM duplicates a WHERE v = ANY (ARRAY['[1,0]', '[2,0]']::vector[]);
SELECT count(*) FROM duplicates WHERE v BETWEEN '[0,0]' AND '[1,0]';

-- joins, whatever way is allowed
SET enable_nestloop = off;
SELECT count(*) FROM duplicates a JOIN duplicates b ON a.v = b.v;
SELECT count(*) FROM duplicates a JOIN duplicates b ON a.h = b.h;
SELECT count(*) FROM duplicates a JOIN duplicates b ON a.s = b.s;
RESET enable_nestloop;
SET enable_mergejoin = off;
SELECT count(*) FROM duplicates a JOIN duplicates b ON a.v = b.v;
SELECT count(*) FROM duplicates a JOIN duplicates b ON a.v < b.v;
RESET enable_mergejoin;

-- indexes: range and equality scans, in both directions
CREATE INDEX ordered_v ON ordered (v);
CREATE INDEX ordered_h ON ordered (h DESC);
CREATE INDEX ordered_s ON ordered (s);
SET enable_seqscan = off;
SET enable_bitmapscan = off;
EXPLAIN (COSTS OFF) SELECT n FROM ordered WHERE v > '[0,0]' AND v <= '[1,0]' ORDER BY v;
SELECT n, v FROM ordered WHERE v > '[0,0]' AND v <= '[1,0]' ORDER BY v;
SELECT n, v FROM ordered WHERE v >= '[1,0]' ORDER BY v DESC;
SELECT n, h FROM ordered WHERE h < '[0]' ORDER BY h;
SELECT n, s FROM ordered WHERE s = '{3:1}/3';
SELECT n FROM ordered WHERE v IS NULL;
RESET enable_seqscan;
RESET enable_bitmapscan;

-- unique indexes, which look at what compares equal
CREATE TABLE once (v vector UNIQUE, h halfvec UNIQUE, s sparsevec UNIQUE);
INSERT INTO once VALUES ('[1,2]', '[1,2]', '{1:1}/2');
INSERT INTO once (v) VALUES ('[1,2]');
INSERT INTO once (h) VALUES ('[1,2]');
INSERT INTO once (s) VALUES ('[1,0]'::vector);
INSERT INTO once VALUES ('[1,2,0]', '[1]', '{1:1}/3');
INSERT INTO once (v) VALUES ('[0,0]');
INSERT INTO once (v) VALUES ('[-0,0]');
INSERT INTO once (v) VALUES ('[1,2]') ON CONFLICT (v) DO UPDATE SET v = '[9]';
SELECT * FROM once ORDER BY v;
CREATE TABLE keyed (v vector(2) PRIMARY KEY);
CREATE TABLE refers (v vector(2) REFERENCES keyed);
INSERT INTO keyed VALUES ('[1,2]');
INSERT INTO refers VALUES ('[1,2]');
INSERT INTO refers VALUES ('[1,3]');
DELETE FROM keyed;
DROP TABLE refers, keyed, once;

-- no hash: plans must not ask for one
SET enable_sort = off;
SELECT count(*) FROM (SELECT v FROM duplicates GROUP BY v) t;
RESET enable_sort;

-- statistics, which sort: range estimates do not fail
ANALYZE ordered;
ANALYZE duplicates;
SELECT n_distinct, null_frac FROM pg_stats WHERE tablename = 'duplicates' AND attname = 'v';
SELECT count(*) FROM duplicates WHERE v < '[1,0]';
DROP TABLE ordered, duplicates;
