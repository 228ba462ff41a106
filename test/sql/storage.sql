-- Storage: short headers, out of line, compressed.

CREATE TABLE stored (id int, v vector, h halfvec, s sparsevec);
SELECT attname, attstorage, attcompression = '' AS default_compression, attalign FROM pg_attribute
    WHERE attrelid = 'stored'::regclass AND attnum > 1 ORDER BY attnum;
-- 1 to 3 dimensions are short, 1000 and 16000 go out of line, uncompressed even where they could be
INSERT INTO stored SELECT n, array_agg(i % 7 - 3 ORDER BY i), array_agg(i % 7 - 3 ORDER BY i), array_agg(i % 7 - 3 ORDER BY i)
    FROM unnest(ARRAY[1, 2, 3, 29, 30, 31, 61, 62, 63, 500, 1000, 16000]) n, generate_series(1, n) i GROUP BY n;
SELECT id, pg_column_size(v) AS v, pg_column_size(h) AS h, pg_column_compression(v) IS NULL AND pg_column_compression(h) IS NULL
       AND pg_column_compression(s) IS NULL AS uncompressed FROM stored ORDER BY id;
SELECT pg_relation_size(reltoastrelid) > 0 AS out_of_line FROM pg_class WHERE oid = 'stored'::regclass;
SELECT id, vector_dims(v) = id AND vector_dims(h) = id AS dims_ok, v::real[] = expected AS v_ok, h::real[] = expected AS h_ok,
       s::vector::real[] = expected AS s_ok, v::text::vector = v AND h::text::halfvec = h AND s::text::sparsevec = s AS text_ok
    FROM stored, LATERAL (SELECT array_agg((i % 7 - 3)::real ORDER BY i) expected FROM generate_series(1, id) i) e ORDER BY id;
SELECT id, v <-> v AS l2, h <-> h AS l2_half, s <-> s AS l2_sparse, v + v = v * array_fill(2, ARRAY[id])::vector AS sum FROM stored ORDER BY id;

-- values made in memory and read back from the table are the same value
SELECT count(*) FROM stored a JOIN stored b ON a.v = b.v AND a.h = b.h AND a.s = b.s AND a.id = b.id;
UPDATE stored SET v = v || '[9]' WHERE id <= 1000;
UPDATE stored SET h = subvector(h, 1, 1) WHERE id = 16000;
SELECT id, vector_dims(v), vector_dims(h), subvector(v, least(id, 15999) + 1, 1) FROM stored ORDER BY id;

-- other storage, where a user wants it
CREATE TABLE squeezed (v vector, h halfvec, s sparsevec);
ALTER TABLE squeezed ALTER v SET STORAGE main, ALTER h SET STORAGE extended, ALTER s SET STORAGE main;
ALTER TABLE squeezed ALTER v SET COMPRESSION pglz, ALTER h SET COMPRESSION pglz, ALTER s SET COMPRESSION pglz;
INSERT INTO squeezed SELECT array_fill(1, ARRAY[4000]), array_fill(1, ARRAY[4000]), array_fill(1, ARRAY[4000]);
SELECT pg_column_compression(v), pg_column_compression(h), pg_column_size(v) < 4000 AS smaller FROM squeezed;
SELECT vector_norm(v - array_fill(1, ARRAY[4000])::vector), l2_norm(h) = sqrt(4000), l2_norm(s) = sqrt(4000), v <-> h::vector, sum(v) = v AS sum, avg(h) = h AS avg
    FROM squeezed GROUP BY v, h, s;
DROP TABLE squeezed;
-- plain storage has no room beyond a page
CREATE TABLE plain (v vector);
ALTER TABLE plain ALTER v SET STORAGE plain;
INSERT INTO plain SELECT array_fill(1, ARRAY[2000]);
SELECT vector_dims(v), pg_column_size(v) FROM plain;
DROP TABLE plain;

-- sorting and indexing out-of-line values
CREATE TABLE sorted AS SELECT i, (array_fill(0, ARRAY[1999]) || i % 10)::vector v FROM generate_series(1, 100) i;
SELECT count(DISTINCT v), count(*) FROM sorted;
SELECT subvector(v, 2000, 1), count(*) FROM sorted GROUP BY v ORDER BY v DESC LIMIT 3;
-- a btree entry holds about 2700 bytes
\set VERBOSITY terse
CREATE INDEX ON sorted (v);
\set VERBOSITY default
CREATE INDEX ON sorted (subvector(v, 1500, 501));
SET enable_seqscan = off;
SELECT count(*) FROM sorted WHERE subvector(v, 1500, 501) = (SELECT subvector(v, 1500, 501) FROM sorted WHERE i = 7);
RESET enable_seqscan;
DROP TABLE sorted, stored;
