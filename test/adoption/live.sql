-- A database of pgvector's with all that a column, an index or an object of SQL can have of it.
CREATE EXTENSION vector;
SELECT setseed(.42);
CREATE TABLE items (id int PRIMARY KEY, category int, e vector(16), h halfvec(16), s sparsevec(16), b bit(16), several vector(4)[],
    d vector(3) DEFAULT '[1,2,3]', CHECK (vector_dims(e) = 16), CHECK (l2_norm(h) < 100));
-- Multiples of 1/64, so that all sums are exact, in whatever order they are made.
INSERT INTO items (id, category, e, h, s, b, several)
    SELECT i, i % 5, v, v::halfvec, v::sparsevec, binary_quantize(v)::bit(16), ARRAY[subvector(v, 1, 4), subvector(v, 5, 4)]
    FROM (SELECT i, (SELECT array_agg(round(random() * 128 - 64) / 64) FROM generate_series(1, 16) WHERE i = i)::vector(16) AS v FROM generate_series(1, 2000) i) q;
INSERT INTO items (id, category) VALUES (0, 0);
CREATE INDEX e_l2 ON items USING hnsw (e vector_l2_ops);
CREATE INDEX e_cosine ON items USING hnsw (e vector_cosine_ops) WITH (m = 8, ef_construction = 32);
CREATE INDEX e_ip ON items USING hnsw (e vector_ip_ops);
CREATE INDEX e_l1 ON items USING hnsw (e vector_l1_ops) WHERE category = 1;
CREATE INDEX h_l2 ON items USING hnsw (h halfvec_l2_ops);
CREATE INDEX h_ip ON items USING hnsw (h halfvec_ip_ops);
CREATE INDEX h_l1 ON items USING hnsw (h halfvec_l1_ops);
CREATE INDEX e_as_h ON items USING hnsw ((e::halfvec(16)) halfvec_cosine_ops);
CREATE INDEX b_hamming ON items USING hnsw (b bit_hamming_ops);
CREATE INDEX b_jaccard ON items USING hnsw (b bit_jaccard_ops);
CREATE INDEX e_as_b ON items USING hnsw ((binary_quantize(e)::bit(16)) bit_hamming_ops);
CREATE INDEX s_l2 ON items USING hnsw (s sparsevec_l2_ops);
CREATE INDEX s_ip ON items USING hnsw (s sparsevec_ip_ops);
CREATE INDEX s_cosine ON items USING hnsw (s sparsevec_cosine_ops);
CREATE INDEX s_l1 ON items USING hnsw (s sparsevec_l1_ops);
CREATE INDEX flat_l2 ON items USING ivfflat (e vector_l2_ops) WITH (lists = 10);
CREATE INDEX flat_ip ON items USING ivfflat (e vector_ip_ops) WITH (lists = 10);
CREATE INDEX flat_cosine ON items USING ivfflat (e vector_cosine_ops);
CREATE INDEX flat_h_l2 ON items USING ivfflat (h halfvec_l2_ops) WITH (lists = 10);
CREATE INDEX flat_h_ip ON items USING ivfflat (h halfvec_ip_ops) WITH (lists = 10);
CREATE INDEX flat_h_cosine ON items USING ivfflat (h halfvec_cosine_ops) WITH (lists = 10);
CREATE INDEX flat_b ON items USING ivfflat (b bit_hamming_ops) WITH (lists = 10);
CREATE INDEX bt ON items (e);
CREATE UNIQUE INDEX btu ON items (h, id);
CREATE STATISTICS st ON category, (vector_dims(e)) FROM items;
CREATE VIEW near AS SELECT id, e <-> '[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]' AS d FROM items ORDER BY 2 LIMIT 10;
CREATE VIEW centroid AS SELECT category, avg(e) AS a, sum(h) AS sum_h FROM items GROUP BY category;
CREATE MATERIALIZED VIEW mv AS SELECT id, e || e AS ee, l2_normalize(e)::vector(16) AS n FROM items WHERE id < 100;
CREATE INDEX mv_n ON mv USING hnsw (n vector_cosine_ops);
CREATE FUNCTION nn(q vector, k int) RETURNS SETOF int STABLE LANGUAGE sql AS 'SELECT id FROM items ORDER BY e <=> q, id LIMIT k';
CREATE FUNCTION nn_atomic(q vector, k int) RETURNS SETOF int STABLE LANGUAGE sql BEGIN ATOMIC SELECT id FROM items ORDER BY e <+> q, id LIMIT k; END;
CREATE FUNCTION nn_plpgsql(q vector(16), k int) RETURNS SETOF int STABLE LANGUAGE plpgsql AS $$ BEGIN RETURN QUERY SELECT id FROM items ORDER BY e <-> q, id LIMIT k; END $$;
CREATE DOMAIN emb AS vector(3) CHECK (vector_norm(VALUE) > 0);
CREATE TYPE pair AS (a vector(3), b emb);
CREATE TABLE more (id int, p pair, ps pair[], em emb, g halfvec(3) GENERATED ALWAYS AS (em::vector::halfvec) STORED);
INSERT INTO more VALUES (1, ROW('[1,2,3]', '[3,2,1]'), ARRAY[ROW('[1,2,3]', '[3,2,1]')::pair], '[1,0,0]'), (2, NULL, NULL, '[5,5,5]');
CREATE INDEX more_em ON more USING hnsw ((em::vector(3)) vector_l2_ops);
CREATE INDEX more_p ON more USING hnsw (((p).a::vector(3)) vector_l2_ops);
CREATE TABLE part (id int, e vector(3)) PARTITION BY HASH (id);
CREATE TABLE part0 PARTITION OF part FOR VALUES WITH (modulus 2, remainder 0);
CREATE TABLE part1 PARTITION OF part FOR VALUES WITH (modulus 2, remainder 1);
CREATE INDEX part_e ON part USING hnsw (e vector_l2_ops);
INSERT INTO part SELECT i, ARRAY[i, i * 2, -i]::vector FROM generate_series(1, 500) i;
CREATE UNLOGGED TABLE unlogged (id int, e vector(3));
CREATE INDEX unlogged_e ON unlogged USING hnsw (e vector_l2_ops);
INSERT INTO unlogged VALUES (1, '[1,2,3]');
-- long values: in a TOAST table
CREATE TABLE long (id int PRIMARY KEY, e vector(1536), x sparsevec(100000));
INSERT INTO long SELECT i, (SELECT array_agg(sin(i * j)) FROM generate_series(1, 1536) j)::vector, format('{%s:1,77777:%s}/100000', i, i)::sparsevec FROM generate_series(1, 100) i;
CREATE INDEX long_e ON long USING hnsw (e vector_cosine_ops);
CREATE INDEX long_x ON long USING hnsw (x sparsevec_l2_ops);
CREATE PUBLICATION pub FOR TABLE items, long;
CREATE SCHEMA "Other schema";
CREATE TABLE "Other schema"."Of 'that'" (e vector(3));
CREATE INDEX "An index" ON "Other schema"."Of 'that'" USING hnsw (e vector_l2_ops);
INSERT INTO "Other schema"."Of 'that'" VALUES ('[1,2,3]'), ('[4,5,6]');
ANALYZE;
