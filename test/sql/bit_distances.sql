-- Hamming and Jaccard distance of bit strings.

SELECT hamming_distance(B'111', B'110'), B'111' <~> B'000', B'1' <~> B'1', B'10101010' <~> B'01010101';
SELECT jaccard_distance(B'1111', B'1100'), B'1100' <%> B'1100', B'1100' <%> B'0011', B'1110' <%> B'1011';
-- no bit in common: 1, also where there is none at all
SELECT B'0000' <%> B'0000', B'0000' <%> B'0001', B'' <%> B'', B'' <~> B'';
SELECT B'11' <~> B'1';
SELECT B'11' <%> B'111';
SELECT B'' <~> B'1';
SELECT B'1' <~> NULL IS NULL AND B'1' <%> NULL IS NULL AS all_null;

-- bit varying takes part through its cast to bit
SELECT B'101'::bit varying <~> B'100'::bit varying;
CREATE TABLE bits (id int, b bit(10));
INSERT INTO bits VALUES (1, B'0000000000'), (2, B'1111111111'), (3, B'1111100000'), (4, B'0000011111'), (5, B'1010101010');
SELECT id, b <~> B'1111100000' AS hamming, b <%> B'1111100000' AS jaccard FROM bits ORDER BY hamming, id;
SELECT b <~> B'1' FROM bits;
DROP TABLE bits;

-- every length to 200 bits and some long ones. a: every second bit, b: every third
CREATE TABLE lengths AS
    SELECT n, string_agg((i % 2)::text, '' ORDER BY i)::varbit a, string_agg((i % 3 = 0)::int::text, '' ORDER BY i)::varbit b,
           count(*) FILTER (WHERE (i % 2 = 1) <> (i % 3 = 0)) AS differ,
           count(*) FILTER (WHERE i % 2 = 1 AND i % 3 = 0) AS common, count(*) FILTER (WHERE i % 2 = 1 OR i % 3 = 0) AS either
    FROM (SELECT n FROM generate_series(1, 200) n UNION SELECT unnest(ARRAY[511, 512, 513, 1023, 1024, 4095, 4096, 16000, 64000, 100003])) l(n),
         generate_series(1, n) i GROUP BY n;
SELECT count(*), count(*) FILTER (WHERE hamming_distance(a, b) = differ) AS hamming_ok,
       count(*) FILTER (WHERE jaccard_distance(a, b) = 1 - common::float8 / either) AS jaccard_ok,
       count(*) FILTER (WHERE a <~> a = 0 AND a <~> ~a = n AND a <%> ~a = 1 AND a <%> a = 0) AS complement_ok
    FROM lengths;
DROP TABLE lengths;

-- with binary_quantize
SELECT binary_quantize('[1,-1,2]'::vector) <~> binary_quantize('[1,1,-2]'::vector), binary_quantize('[1,-1,2]'::halfvec) <%> binary_quantize('[1,1,-2]'::halfvec);
