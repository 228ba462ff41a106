-- An index that has lived: equal rows, deleted ones, some that vacuum took out of the graph and some that it only
-- marked, inserts after that; of each kind of record.
SELECT setseed(.7);
CREATE TABLE graph (id int PRIMARY KEY, e vector(24), s sparsevec(1000));
INSERT INTO graph SELECT i, (SELECT array_agg(random() + (i % 9 = j)::int) FROM generate_series(1, 24) j WHERE i = i)::vector,
    format('{%s:%s,%s:%s,%s:1}/1000', 1 + i % 300, 1 + random(), 400 + i % 70, 1 + random(), 600 + i % 11)::sparsevec FROM generate_series(1, 2500) i;
INSERT INTO graph SELECT 3000 + i, (SELECT e FROM graph WHERE id = 5), (SELECT s FROM graph WHERE id = 5) FROM generate_series(1, 60) i;
CREATE INDEX graph_l2 ON graph USING hnsw (e vector_l2_ops) WITH (m = 12);
CREATE INDEX graph_compact ON graph USING hnsw (e vector_cosine_ops) WITH (compact);
CREATE INDEX graph_half ON graph USING hnsw ((e::halfvec(24)) halfvec_ip_ops);
CREATE INDEX graph_bits ON graph USING hnsw ((binary_quantize(e - '[.5,.5,.5,.5,.5,.5,.5,.5,.5,.5,.5,.5,.5,.5,.5,.5,.5,.5,.5,.5,.5,.5,.5,.5]')::bit(24)) bit_jaccard_ops);
CREATE INDEX graph_sparse ON graph USING hnsw (s sparsevec_cosine_ops);
DELETE FROM graph WHERE id % 7 = 0;
VACUUM graph;
INSERT INTO graph SELECT 4000 + id, e + e, s FROM graph WHERE id < 200;
DELETE FROM graph WHERE id IN (11, 12);
VACUUM graph;
-- more than pgvector's indexes take
CREATE TABLE wide (id int PRIMARY KEY, e vector(3000));
INSERT INTO wide SELECT i, (SELECT array_agg(sin(i * j)) FROM generate_series(1, 3000) j)::vector FROM generate_series(1, 60) i;
CREATE INDEX wide_e ON wide USING hnsw (e vector_l2_ops);
ANALYZE;
