-- What must hold for any vectors, at every level of omendb.simd_level, against
-- references in plain SQL that sum in float8.
--
-- The bound of a sum in float, in any order, of n terms, each after at most two
-- roundings: (n + 8) * 2^-23 * the sum of the terms' magnitudes; see kernel.h.
-- Terms that underflow lose less than 2^-126 each; where that could show, omendb
-- sums in double.
BEGIN;
\ir levels.psql
SELECT plan(94);

-- A number from -1 to 1 that depends on nothing but its arguments.
CREATE FUNCTION pg_temp.noise(seed int, i int) RETURNS float8 LANGUAGE sql IMMUTABLE AS
    $$ SELECT (hashint8extended(i, seed) & 16777215) / 8388608.0 - 1 $$;

CREATE TEMP TABLE kinds (kind text, scale float8);
INSERT INTO kinds VALUES ('plain', 1), ('huge', 1e30), ('tiny', 1e-30), ('mixed', 1), ('sparse', 1), ('close', 1), ('large', 1e5);

CREATE TEMP TABLE elements AS
    SELECT kind, n, i,
           (scale * pg_temp.noise(1, 1000 * n + i) * CASE kind WHEN 'mixed' THEN 10 ^ (8 * pg_temp.noise(2, i)) WHEN 'sparse' THEN (i % 7 = 0)::int ELSE 1 END)::real a,
           (scale * CASE kind WHEN 'close' THEN pg_temp.noise(1, 1000 * n + i) * (1 + 1e-5 * pg_temp.noise(3, i))
                    ELSE pg_temp.noise(3, 1000 * n + i) * CASE kind WHEN 'mixed' THEN 10 ^ (8 * pg_temp.noise(4, i)) WHEN 'sparse' THEN (i % 5 = 0)::int ELSE 1 END END)::real b,
           (scale * pg_temp.noise(5, 1000 * n + i))::real c
    FROM kinds, (SELECT n FROM generate_series(1, 40) n UNION SELECT unnest(ARRAY[63, 64, 65, 96, 127, 128, 129, 255, 384, 768, 1000, 1536])) dims, generate_series(1, n) i;

CREATE TEMP TABLE pairs AS
    SELECT kind, n, array_agg(a ORDER BY i)::vector a, array_agg(b ORDER BY i)::vector b, array_agg(c ORDER BY i)::vector c,
           sum((a::float8 - b) ^ 2) l2sq, sum(a::float8 * b) dot, sum(abs(a::float8 * b)) dot_magnitude, sum(abs(a::float8 - b)) l1,
           sum(a::float8 ^ 2) aa, sum(b::float8 ^ 2) bb,
           -- for all four bounds
           (n + 8) * 2 ^ -23 AS eps, n * 2 ^ -126 AS lost
    FROM elements GROUP BY kind, n;
SELECT cmp_ok((SELECT count(*)::int FROM pairs), '=', 7 * 52, 'pairs of vectors');
SELECT is_empty('SELECT kind, n FROM pairs WHERE aa = 0 AND n >= 7 OR a = b AND n >= 5', 'they are what they should be');

-- ------------------------------------------------------------------ vector

SELECT pg_temp.no_rows_at_each_level(
    'SELECT kind, n, vector_l2_squared_distance(a, b), l2sq FROM pairs WHERE NOT abs(vector_l2_squared_distance(a, b) - l2sq) <= eps * l2sq', 'squared L2 is near the reference');
SELECT pg_temp.no_rows_at_each_level(
    'SELECT kind, n, a <-> b, sqrt(l2sq) FROM pairs WHERE NOT abs((a <-> b) - sqrt(l2sq)) <= eps * sqrt(l2sq) OR (a <-> b) <> l2_distance(a, b)', 'L2 is near the reference');
SELECT pg_temp.no_rows_at_each_level(
    'SELECT kind, n, inner_product(a, b), dot FROM pairs WHERE NOT abs(inner_product(a, b) - dot) <= eps * dot_magnitude + lost
       OR (a <#> b) <> -inner_product(a, b) OR vector_negative_inner_product(a, b) <> -inner_product(a, b)', 'the inner product is near the reference');
SELECT pg_temp.no_rows_at_each_level(
    'SELECT kind, n, a <+> b, l1 FROM pairs WHERE NOT abs((a <+> b) - l1) <= eps * l1 OR (a <+> b) <> l1_distance(a, b)', 'L1 is near the reference');
-- the error of the inner product and of both lengths, relative to the product of the lengths
SELECT pg_temp.no_rows_at_each_level(
    'SELECT kind, n, a <=> b, 1 - dot / sqrt(aa) / sqrt(bb) FROM pairs WHERE aa > 0 AND bb > 0 AND NOT abs((a <=> b) - (1 - dot / sqrt(aa) / sqrt(bb))) <= 3 * eps
       OR (aa = 0 OR bb = 0) <> ((a <=> b) = ''NaN'') OR (a <=> b) <> cosine_distance(a, b)', 'the cosine distance is near the reference');
SELECT pg_temp.no_rows_at_each_level(
    'SELECT kind, n, a <=> b FROM pairs WHERE (a <=> b) NOT BETWEEN 0 AND 2 AND (a <=> b) <> ''NaN''', 'the cosine distance is from 0 to 2');
SELECT pg_temp.no_rows_at_each_level(
    'SELECT kind, n, vector_norm(a), sqrt(aa) FROM pairs WHERE NOT abs(vector_norm(a) - sqrt(aa)) <= (n + 4) * 2 ^ -52 * sqrt(aa)', 'the norm, in double, is near the reference');
-- 1 - x / 2 of the square of the distance between vectors of length 1 is their cosine
SELECT pg_temp.no_rows_at_each_level(
    'SELECT kind, n FROM pairs, LATERAL (SELECT l2_normalize(a) u, l2_normalize(b) v) l WHERE aa > 0 AND bb > 0
       AND NOT (abs(vector_norm(u) - 1) <= 2 ^ -22 AND abs(cos(pi() * vector_spherical_distance(u, v)) - dot / sqrt(aa) / sqrt(bb)) <= 4 * eps)', 'normal vectors have length 1 and the same angle');
SELECT pg_temp.no_rows_at_each_level(
    'SELECT kind, n FROM pairs WHERE (a <-> b) <> (b <-> a) OR (a <#> b) <> (b <#> a) OR (a <=> b) <> (b <=> a) OR (a <+> b) <> (b <+> a)
       OR vector_l2_squared_distance(a, b) <> vector_l2_squared_distance(b, a) OR vector_spherical_distance(a, b) <> vector_spherical_distance(b, a)', 'distances are symmetric, to the bit');
SELECT pg_temp.no_rows_at_each_level(
    'SELECT kind, n FROM pairs WHERE (a <-> a) <> 0 OR (a <+> a) <> 0 OR aa > 0 AND (a <=> a) > 3 * eps OR a <> b AND NOT ((a <-> b) > 0 AND (a <+> b) > 0)', 'the distance to itself is 0, to another one is not');
SELECT pg_temp.no_rows_at_each_level(
    'SELECT kind, n FROM pairs WHERE (a <-> c) > ((a <-> b) + (b <-> c)) * (1 + 3 * eps) OR (a <+> c) > ((a <+> b) + (b <+> c)) * (1 + 3 * eps)', 'the triangle inequality');
SELECT pg_temp.no_rows_at_each_level(
    'SELECT kind, n FROM pairs WHERE NOT abs(vector_l2_squared_distance(a, b) - (inner_product(a, a) + inner_product(b, b) - 2 * inner_product(a, b)))
       <= eps * (l2sq + aa + bb + 2 * dot_magnitude) + 4 * lost', 'L2 squared is a.a + b.b - 2 a.b');
SELECT pg_temp.no_rows_at_each_level(
    $$ SELECT kind, n FROM pairs, LATERAL (SELECT array_fill(1024::real, ARRAY[n])::vector two, array_fill(3::real, ARRAY[n])::vector three) s
       WHERE kind NOT IN ('tiny') AND aa > 0 AND bb > 0 AND NOT (abs((a * two <=> b) - (a <=> b)) <= 6 * eps AND abs((a * three <=> b) - (a <=> b)) <= 6 * eps
         AND abs((a * three <=> b * two) - (a <=> b)) <= 6 * eps) $$, 'the cosine distance does not depend on scale');

-- ------------------------------------------------------------------ halfvec and sparsevec

CREATE TEMP TABLE half_pairs AS
    SELECT kind, n, array_agg(a ORDER BY i)::halfvec a, array_agg(b ORDER BY i)::halfvec b, sum((ha - hb) ^ 2) l2sq, sum(ha * hb) dot, sum(abs(ha * hb)) dot_magnitude,
           sum(abs(ha - hb)) l1, sum(ha ^ 2) aa, sum(hb ^ 2) bb, (n + 8) * 2 ^ -23 AS eps
    FROM elements, LATERAL (SELECT (ARRAY[a]::halfvec::real[])[1]::float8 ha, (ARRAY[b]::halfvec::real[])[1]::float8 hb) h
    WHERE kind IN ('plain', 'sparse', 'close') GROUP BY kind, n;
SELECT pg_temp.no_rows_at_each_level(
    'SELECT kind, n FROM half_pairs WHERE NOT abs(halfvec_l2_squared_distance(a, b) - l2sq) <= eps * l2sq OR NOT abs((a <-> b) - sqrt(l2sq)) <= eps * sqrt(l2sq)
       OR NOT abs(inner_product(a, b) - dot) <= eps * dot_magnitude OR (a <#> b) <> -inner_product(a, b) OR NOT abs((a <+> b) - l1) <= eps * l1
       OR aa > 0 AND bb > 0 AND NOT abs((a <=> b) - (1 - dot / sqrt(aa) / sqrt(bb))) <= 3 * eps OR NOT abs(l2_norm(a) - sqrt(aa)) <= (n + 4) * 2 ^ -52 * sqrt(aa)', 'halfvec is near the reference');
SELECT pg_temp.no_rows_at_each_level(
    'SELECT kind, n FROM half_pairs WHERE (a <-> b) <> (b <-> a) OR (a <#> b) <> (b <#> a) OR (a <=> b) <> (b <=> a) OR (a <+> b) <> (b <+> a) OR (a <-> a) <> 0 OR (a <+> a) <> 0',
    'distances of halfvec are symmetric, to the bit');
-- a value of length 1 after rounding to half: 2^-11 for each element
SELECT pg_temp.no_rows_at_each_level(
    'SELECT kind, n FROM half_pairs WHERE aa > 0 AND NOT abs(l2_norm(l2_normalize(a)) - 1) <= 2 ^ -10', 'halfvec becomes normal');
SELECT is_empty(
    'SELECT kind, n FROM pairs, LATERAL (SELECT a::sparsevec x, b::sparsevec y) s, LATERAL (SELECT (2 * n + 8) * 2 ^ -52 AS tight) t
     WHERE NOT abs(sparsevec_l2_squared_distance(x, y) - l2sq) <= tight * l2sq OR NOT abs((x <-> y) - sqrt(l2sq)) <= tight * sqrt(l2sq)
       OR NOT abs(inner_product(x, y) - dot) <= tight * dot_magnitude OR (x <#> y) <> -inner_product(x, y) OR NOT abs((x <+> y) - l1) <= tight * l1
       OR aa > 0 AND bb > 0 AND NOT abs((x <=> y) - (1 - dot / sqrt(aa) / sqrt(bb))) <= 3 * tight OR NOT abs(l2_norm(x) - sqrt(aa)) <= tight * sqrt(aa)
       OR (x <-> y) <> (y <-> x) OR (x <=> y) <> (y <=> x) OR (x <-> x) <> 0', 'sparsevec, in double, is nearer the reference');
SELECT is_empty('SELECT kind, n FROM pairs WHERE a::sparsevec::vector <> a OR b::sparsevec::vector <> b', 'sparsevec loses nothing');
SELECT is_empty('SELECT kind, n FROM half_pairs WHERE a::vector::halfvec <> a OR a::sparsevec::halfvec <> a OR a::sparsevec::vector <> a::vector', 'halfvec loses nothing');

-- ------------------------------------------------------------------ element by element

SELECT is_empty(
    $$ SELECT p.kind, p.n FROM pairs p JOIN (SELECT kind, n, array_agg(a + b ORDER BY i) s, array_agg(a - b ORDER BY i) d, array_agg(a ORDER BY i) xs FROM elements GROUP BY kind, n) e USING (kind, n)
       WHERE (p.a + p.b)::real[] <> s OR (p.a - p.b)::real[] <> d OR p.a::real[] <> xs OR vector_dims(p.a) <> n $$, 'sums and differences are those of float4');
SELECT is_empty(
    $$ SELECT p.kind, p.n FROM pairs p JOIN (SELECT kind, n, array_agg(a * b ORDER BY i) m FROM elements WHERE kind NOT IN ('huge', 'tiny') GROUP BY kind, n) e USING (kind, n)
       WHERE (p.a * p.b)::real[] <> m $$, 'products are those of float4');
SELECT is_empty(
    $$ SELECT p.kind, p.n FROM half_pairs p, LATERAL (SELECT array_agg(x + y ORDER BY i) s, array_agg(x - y ORDER BY i) d FROM unnest(p.a::real[], p.b::real[]) WITH ORDINALITY u(x, y, i)) e
       WHERE p.a + p.b <> s::halfvec OR p.a - p.b <> d::halfvec $$, 'sums and differences of halfvec are those of float4, rounded');
SELECT is_empty('SELECT kind, n, k FROM pairs, generate_series(1, n - 1) k WHERE n <= 65 AND subvector(a, 1, k) || subvector(a, k + 1, n) <> a', 'two parts make the whole');
SELECT is_empty('SELECT kind, n, k FROM half_pairs, generate_series(1, n - 1) k WHERE n <= 65 AND subvector(a, 1, k) || subvector(a, k + 1, n) <> a', 'two parts make the whole halfvec');
SELECT is_empty('SELECT kind, n, k FROM pairs, generate_series(1, n) k WHERE n <= 65 AND (subvector(a, k, 1)::real[])[1] <> (a::real[])[k]', 'each part is its element');

-- ------------------------------------------------------------------ bits

CREATE TEMP TABLE bits AS SELECT kind, n, string_agg((a > 0)::int::text, '' ORDER BY i) a, string_agg((b > 0)::int::text, '' ORDER BY i) b FROM elements GROUP BY kind, n;
SELECT pg_temp.no_rows_at_each_level(
    'SELECT kind, n FROM pairs p JOIN bits b USING (kind, n) WHERE binary_quantize(p.a)::text <> b.a OR binary_quantize(p.b)::text <> b.b', 'binary_quantize is the sign of each element');
SELECT pg_temp.no_rows_at_each_level(
    $$ SELECT p.kind, p.n FROM half_pairs p, LATERAL (SELECT string_agg((x > 0)::int::text, '' ORDER BY i) s FROM unnest(p.a::real[]) WITH ORDINALITY u(x, i)) e WHERE binary_quantize(p.a)::text <> s $$,
    'binary_quantize of halfvec');
SELECT pg_temp.no_rows_at_each_level(
    $$ SELECT kind, n FROM bits, LATERAL (SELECT a::varbit x, b::varbit y) v, LATERAL (SELECT bit_count(x & y) both_set, bit_count(x | y) any_set) c
       WHERE (x <~> y) <> bit_count(x # y) OR (x <%> y) <> CASE both_set WHEN 0 THEN 1 ELSE 1 - both_set::float8 / any_set END OR (x <~> y) <> (y <~> x) OR (x <%> y) <> (y <%> x) $$,
    'Hamming and Jaccard are those of bit_count');

-- ------------------------------------------------------------------ order

CREATE TEMP TABLE ordered AS
    SELECT id, v, v::halfvec h, v::sparsevec s, array_agg(x ORDER BY i) arr FROM (
        SELECT id, array_agg(round(1.4 * pg_temp.noise(6, 10 * id + i)) ORDER BY i)::vector v FROM generate_series(1, 120) id, generate_series(1, 1 + id % 5) i GROUP BY id) g,
        LATERAL unnest(v::real[]) WITH ORDINALITY u(x, i) GROUP BY id, v;
SELECT is_empty(
    'SELECT a.id, b.id FROM ordered a, ordered b WHERE vector_cmp(a.v, b.v) <> -vector_cmp(b.v, a.v) OR halfvec_cmp(a.h, b.h) <> -halfvec_cmp(b.h, a.h) OR sparsevec_cmp(a.s, b.s) <> -sparsevec_cmp(b.s, a.s)',
    'cmp is antisymmetric');
SELECT is_empty('SELECT a.id, b.id FROM ordered a, ordered b WHERE vector_cmp(a.v, b.v) <> halfvec_cmp(a.h, b.h) OR vector_cmp(a.v, b.v) <> sparsevec_cmp(a.s, b.s)', 'all types have the same order');
SELECT is_empty('SELECT a.id, b.id FROM ordered a, ordered b WHERE (a.v < b.v) <> (a.arr < b.arr) OR (a.v = b.v) <> (a.arr = b.arr)', 'it is the order of arrays');
SELECT is_empty('SELECT a.id, b.id, c.id FROM ordered a JOIN ordered b ON a.v <= b.v JOIN ordered c ON b.v <= c.v WHERE NOT a.v <= c.v', 'it is transitive');
SELECT is_empty('SELECT * FROM (SELECT v, lag(v) OVER (ORDER BY v) previous, h, lag(h) OVER (ORDER BY h) ph, s, lag(s) OVER (ORDER BY s) ps FROM ordered) o WHERE previous > v OR ph > h OR ps > s', 'sorting keeps it');

-- ------------------------------------------------------------------ aggregates

SELECT is_empty(
    $$ SELECT n FROM (SELECT n, avg(a) m FROM pairs WHERE kind IN ('plain', 'close', 'sparse') GROUP BY n) p,
              LATERAL (SELECT avg(a::float8) r, i FROM elements e WHERE e.n = p.n AND kind IN ('plain', 'close', 'sparse') GROUP BY i) e
       WHERE NOT abs((m::real[])[i] - r) <= 2 ^ -23 * abs(r) + 2 ^ -50 $$, 'avg is the average of each element, rounded once');
SELECT is_empty(
    $$ SELECT n FROM (SELECT n, sum(ARRAY[v, -v, 2 * v]::vector) s, avg(ARRAY[v, -v, 2 * v]::halfvec) m FROM generate_series(1, 50) n, generate_series(1, n) v GROUP BY n) g
       WHERE s <> ARRAY[n * (n + 1) / 2, -n * (n + 1) / 2, n * (n + 1)]::vector OR m <> ARRAY[(n + 1) / 2.0, -(n + 1) / 2.0, n + 1]::halfvec $$, 'sums of integers are exact');

SELECT * FROM finish();
ROLLBACK;
