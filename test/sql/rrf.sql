-- Reciprocal rank fusion.
SELECT rank, rrf(rank) = 1.0::float8 / (60 + rank) AS of_60, rrf(rank, 0) = 1.0::float8 / rank AS of_0 FROM unnest(ARRAY[1, 2, 10, 1000]) rank;
SELECT rrf(1, 0), rrf(rank => 1, k => 3), pg_typeof(rrf(1));
-- a row that a list does not have gets nothing from it
SELECT rrf(NULL), rrf(NULL, 0), rrf(1, NULL) IS NULL AS unknown_k, rrf(NULL, NULL) IS NULL AS unknown_both;
-- the largest of both
SELECT rrf(9223372036854775807, 2147483647) > 0 AS positive, rrf(9223372036854775807, 0) = rrf(9223372036854775807, 1) AS rounded;
SELECT rrf(0);
SELECT rrf(-5, 1);
SELECT rrf(1, -1);
SELECT rrf(NULL, -1);
-- two lists, of which the second one says nothing of b, and the first nothing of d
SELECT id, rrf(x.rank, 0) + 2 * rrf(y.rank, 0) AS score
    FROM (VALUES ('a', 1), ('b', 2), ('c', 4)) x(id, rank) FULL JOIN (VALUES ('c', 1), ('a', 2), ('d', 8)) y(id, rank) USING (id)
    ORDER BY score DESC, id;
