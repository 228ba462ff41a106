-- Distances of vector, halfvec and sparsevec: each function and operator.
-- All results are small integers or powers of two, exact with any instruction set.

SELECT l2_distance('[0,0]'::vector, '[3,4]'), '[0,0]'::vector <-> '[3,4]',
       l2_distance('[0,0]'::halfvec, '[3,4]'), '[0,0]'::halfvec <-> '[3,4]',
       l2_distance('{}/2'::sparsevec, '{1:3,2:4}/2'), '{}/2'::sparsevec <-> '{1:3,2:4}/2';
SELECT vector_l2_squared_distance('[0,0]', '[3,4]'), halfvec_l2_squared_distance('[0,0]', '[3,4]'),
       sparsevec_l2_squared_distance('{}/2', '{1:3,2:4}/2');
SELECT inner_product('[1,2,3]'::vector, '[4,5,6]'), inner_product('[1,2,3]'::halfvec, '[4,5,6]'),
       inner_product('{1:1,2:2,3:3}/3'::sparsevec, '{1:4,2:5,3:6}/3');
SELECT vector_negative_inner_product('[1,2,3]', '[4,5,6]'), '[1,2,3]'::vector <#> '[4,5,6]',
       halfvec_negative_inner_product('[1,2,3]', '[4,5,6]'), '[1,2,3]'::halfvec <#> '[4,5,6]',
       sparsevec_negative_inner_product('{1:1,2:2,3:3}/3', '{1:4,2:5,3:6}/3'), '{1:1,2:2,3:3}/3'::sparsevec <#> '{1:4,2:5,3:6}/3';
SELECT cosine_distance('[1,0]'::vector, '[0,2]'), '[1,0]'::vector <=> '[-3,0]', '[2,0]'::vector <=> '[8,0]';
SELECT cosine_distance('[1,0]'::halfvec, '[0,2]'), '[1,0]'::halfvec <=> '[-3,0]', '[2,0]'::halfvec <=> '[8,0]';
SELECT cosine_distance('{1:1}/2'::sparsevec, '{2:2}/2'), '{1:1}/2'::sparsevec <=> '{1:-3}/2', '{1:2}/2'::sparsevec <=> '{1:8}/2';
SELECT l1_distance('[1,2,3]'::vector, '[4,0,3]'), '[1,2,3]'::vector <+> '[4,0,3]',
       l1_distance('[1,2,3]'::halfvec, '[4,0,3]'), '[1,2,3]'::halfvec <+> '[4,0,3]',
       l1_distance('{1:1,2:2,3:3}/3'::sparsevec, '{1:4,3:3}/3'), '{1:1,2:2,3:3}/3'::sparsevec <+> '{1:4,3:3}/3';
SELECT vector_spherical_distance('[1,0]', '[0,1]'), vector_spherical_distance('[1,0]', '[1,0]'), vector_spherical_distance('[1,0]', '[-1,0]');
SELECT halfvec_spherical_distance('[1,0]', '[0,1]'), halfvec_spherical_distance('[1,0]', '[1,0]'), halfvec_spherical_distance('[1,0]', '[-1,0]');
-- beyond 1 by rounding or by use: the nearest angle
SELECT vector_spherical_distance('[2]', '[2]'), vector_spherical_distance('[-2]', '[2]'),
       halfvec_spherical_distance('[2]', '[2]'), halfvec_spherical_distance('[-2]', '[2]');

-- the sign of a zero does not show
SELECT '[0]'::vector <-> '[-0]', '[0]'::vector <+> '[-0]', '[0]'::halfvec <-> '[-0]';
-- sparse: what is not stored counts as 0, on either side
SELECT '{1:1,5:2}/9'::sparsevec <+> '{2:4,9:8}/9', '{1:1,5:2}/9'::sparsevec <#> '{2:4,9:8}/9', '{1:1,5:2}/9'::sparsevec <-> '{1:1,5:2,9:8}/9';
SELECT '{1:1,1000000000:2}/1000000000'::sparsevec <+> '{1000000000:4}/1000000000', '{1:1,1000000000:2}/1000000000'::sparsevec <#> '{1000000000:4}/1000000000';

-- every length from 1 to 200, and some long ones: all tails of all kernels.
-- a has i % 5, b has i % 3: sums are below 2^24, exact in float
CREATE TABLE lengths AS
    SELECT n, array_agg(i % 5 ORDER BY i) a, array_agg(i % 3 ORDER BY i) b,
           sum((i % 5 - i % 3) ^ 2) l2sq, sum((i % 5) * (i % 3)) dot, sum(abs(i % 5 - i % 3)) l1
    FROM (SELECT n FROM generate_series(1, 200) n UNION SELECT unnest(ARRAY[255, 256, 257, 768, 1000, 1536, 3072, 15999, 16000])) lengths(n),
         generate_series(1, n) i GROUP BY n;
SELECT count(*),
       count(*) FILTER (WHERE vector_l2_squared_distance(a::vector, b::vector) = l2sq AND inner_product(a::vector, b::vector) = dot
                          AND l1_distance(a::vector, b::vector) = l1) AS vector_ok,
       count(*) FILTER (WHERE halfvec_l2_squared_distance(a::halfvec, b::halfvec) = l2sq AND inner_product(a::halfvec, b::halfvec) = dot
                          AND l1_distance(a::halfvec, b::halfvec) = l1) AS halfvec_ok,
       count(*) FILTER (WHERE sparsevec_l2_squared_distance(a::sparsevec, b::sparsevec) = l2sq AND inner_product(a::sparsevec, b::sparsevec) = dot
                          AND l1_distance(a::sparsevec, b::sparsevec) = l1) AS sparsevec_ok
    FROM lengths;
-- exactly opposite and exactly parallel vectors of every length
SELECT count(*) FILTER (WHERE a::vector <=> (array_fill(0, ARRAY[n])::vector - a::vector) <> 2 OR a::vector <=> (a::vector + a::vector) <> 0) AS vector_bad,
       count(*) FILTER (WHERE a::halfvec <=> (array_fill(0, ARRAY[n])::halfvec - a::halfvec) <> 2 OR a::halfvec <=> (a::halfvec + a::halfvec) <> 0) AS halfvec_bad,
       count(*) FILTER (WHERE a::sparsevec <=> (array_fill(0, ARRAY[n])::vector - a::vector)::sparsevec <> 2 OR a::sparsevec <=> (a::vector + a::vector)::sparsevec <> 0) AS sparsevec_bad
    FROM lengths;
DROP TABLE lengths;

-- zero vectors: a cosine has no value
SELECT '[0,0]'::vector <=> '[1,2]', '[1,2]'::vector <=> '[0,0]', '[0]'::vector <=> '[0]';
SELECT '[0,0]'::halfvec <=> '[1,2]', '[1,2]'::halfvec <=> '[0,0]', '[0]'::halfvec <=> '[0]';
SELECT '{}/2'::sparsevec <=> '{1:1}/2', '{1:1}/2'::sparsevec <=> '{}/2', '{}/2'::sparsevec <=> '{}/2';
-- ... and it sorts last
SELECT v FROM unnest(ARRAY['[0,0]', '[-1,0]', '[2,0]', '[0,1]']::vector[]) v ORDER BY v <=> '[1,0]';

-- magnitudes whose squares leave the range of float: the true value, of powers of two
SELECT vector_l2_squared_distance('[18446744073709551616]', '[-18446744073709551616]') = 2 ^ 130 AS l2sq,
       '[18446744073709551616]'::vector <-> '[-18446744073709551616]' = 2 ^ 65 AS l2,
       inner_product('[18446744073709551616,18446744073709551616]'::vector, '[18446744073709551616,18446744073709551616]') = 2 ^ 129 AS dot,
       '[18446744073709551616,1]'::vector <=> '[-18446744073709551616,-1]' = 2 AS cosine,
       '[170141183460469231731687303715884105728,1]'::vector <+> '[-170141183460469231731687303715884105728,1]' = 2 ^ 128 AS l1;
-- opposite terms that are each beyond float: their sum is 0, not NaN
SELECT inner_product('[1e30,1e30]'::vector, '[1e30,-1e30]');
SELECT vector_norm('[3.4028235e38,3.4028235e38]'::vector) / 3.4028235e38 BETWEEN 1.41421 AND 1.41422 AS norm,
       '[3.4028235e38]'::vector <-> '[-3.4028235e38]' BETWEEN 6.8056e38 AND 6.8057e38 AS l2;
-- 2^-100: its square is below the smallest float
SELECT vector_l2_squared_distance('[7.888609e-31]', '[0]') = 2 ^ -200 AS l2sq, '[7.888609e-31]'::vector <-> '[0]' = 2 ^ -100 AS l2,
       inner_product('[7.888609e-31]'::vector, '[-7.888609e-31]') = -(2 ^ -200) AS dot,
       '[7.888609e-31,0]'::vector <=> '[0,7.888609e-31]' = 1 AS cosine_1, '[7.888609e-31,0]'::vector <=> '[-7.888609e-31,0]' = 2 AS cosine_2;
-- tiny distances still order
SELECT v FROM unnest(ARRAY['[3e-30]', '[1e-30]', '[2e-30]', '[1e-45]']::vector[]) v ORDER BY v <-> '[0]';
-- a tiny element beside a large one
SELECT '[1e-30,1]'::vector <=> '[1e-30,1]', '[1e30,1e-30]'::vector <=> '[1e30,1e-30]';
-- halfvec and sparsevec at the ends of their ranges
SELECT halfvec_l2_squared_distance(array_fill(32768, ARRAY[16000])::halfvec, array_fill(-32768, ARRAY[16000])::halfvec) = 16000 * 2 ^ 32 AS l2sq,
       inner_product('[5.9604645e-08]'::halfvec, '[5.9604645e-08]') = 2 ^ -48 AS dot, '[5.9604645e-08,0]'::halfvec <=> '[0,5.9604645e-08]' AS cosine;
SELECT sparsevec_l2_squared_distance('{1:18446744073709551616}/1', '{1:-18446744073709551616}/1') = 2 ^ 130 AS l2sq,
       '{1:7.888609e-31}/1'::sparsevec <-> '{}/1' = 2 ^ -100 AS l2, '{1:18446744073709551616}/1'::sparsevec <=> '{1:-18446744073709551616}/1' AS cosine,
       '{1:3e38}/1'::sparsevec <+> '{1:-3e38}/1' BETWEEN 5.9e38 AND 6.1e38 AS l1;

-- dimensions must agree
SELECT '[1,2]'::vector <-> '[3]';
SELECT '[1,2]'::vector <#> '[3]';
SELECT '[1,2]'::vector <=> '[3]';
SELECT '[1,2]'::vector <+> '[3]';
SELECT vector_l2_squared_distance('[1]', '[1,2]');
SELECT inner_product('[1]'::vector, '[1,2]');
SELECT vector_spherical_distance('[1]', '[1,2]');
SELECT '[1,2]'::halfvec <-> '[3]';
SELECT '[1,2]'::halfvec <#> '[3]';
SELECT '[1,2]'::halfvec <=> '[3]';
SELECT '[1,2]'::halfvec <+> '[3]';
SELECT halfvec_spherical_distance('[1]', '[1,2]');
SELECT '{}/2'::sparsevec <-> '{}/3';
SELECT '{}/2'::sparsevec <#> '{}/3';
SELECT '{}/2'::sparsevec <=> '{}/3';
SELECT '{}/2'::sparsevec <+> '{}/3';
SELECT sparsevec_l2_squared_distance('{}/1', '{}/1000000000');

SELECT '[1]'::vector <-> NULL IS NULL AND '[1]'::vector <#> NULL IS NULL AND NULL <=> '[1]'::vector IS NULL AND NULL <+> '[1]'::vector IS NULL
       AND '[1]'::halfvec <-> NULL IS NULL AND '{}/1'::sparsevec <-> NULL IS NULL AS all_null;

-- nearest neighbours, as applications ask for them
CREATE TABLE items (id int PRIMARY KEY, v vector(3), h halfvec(3), s sparsevec(3));
INSERT INTO items SELECT i, ARRAY[i, i % 7, i % 11]::vector, ARRAY[i, i % 7, i % 11]::halfvec, ARRAY[i, i % 7, i % 11]::sparsevec
    FROM generate_series(1, 100) i;
SELECT id FROM items ORDER BY v <-> '[50,1,6]', id LIMIT 4;
SELECT id FROM items ORDER BY h <+> '[50,1,6]', id LIMIT 4;
SELECT id FROM items ORDER BY s <#> '{1:1}/3', id LIMIT 4;
SELECT id, v <-> (SELECT v FROM items WHERE id = 77) AS d FROM items WHERE id <> 77 AND v <-> (SELECT v FROM items WHERE id = 77) < 2 ORDER BY d;
SELECT a.id, b.id FROM items a CROSS JOIN LATERAL (SELECT id FROM items ORDER BY v <-> a.v, id LIMIT 1 OFFSET 1) b WHERE a.id IN (7, 14, 98) ORDER BY a.id;
DROP TABLE items;
