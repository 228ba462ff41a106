-- The types in the places where applications use them.

-- defaults, NOT NULL, CHECK, generated columns
CREATE TABLE docs (
    id int GENERATED ALWAYS AS IDENTITY,
    embedding vector(3) NOT NULL DEFAULT '[0,0,0]',
    half halfvec(3) GENERATED ALWAYS AS (embedding::halfvec(3)) STORED,
    bits bit(3) GENERATED ALWAYS AS (binary_quantize(embedding)::bit(3)) STORED,
    norm float8 GENERATED ALWAYS AS (vector_norm(embedding)) STORED,
    CHECK (vector_norm(embedding) <= 100)
);
INSERT INTO docs DEFAULT VALUES;
INSERT INTO docs (embedding) VALUES ('[3,0,-4]') RETURNING *;
INSERT INTO docs (embedding) VALUES (NULL);
INSERT INTO docs (embedding) VALUES ('[100,1,0]');
INSERT INTO docs (half) VALUES ('[1,2,3]');
UPDATE docs SET embedding = embedding + '[0,2,0]' WHERE id = 1 RETURNING *;
SELECT * FROM docs ORDER BY embedding <-> '[0,1,0]';

-- views, materialized views, CTEs, subqueries
CREATE VIEW near AS SELECT id, embedding <-> '[0,1,0]' AS distance FROM docs;
SELECT * FROM near ORDER BY distance LIMIT 1;
SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'docs'::regclass AND contype = 'c';
CREATE MATERIALIZED VIEW center AS SELECT avg(embedding) AS v FROM docs;
SELECT * FROM center;
WITH q AS (SELECT '[3,0,-4]'::vector v) SELECT d.id FROM docs d, q WHERE d.embedding = q.v;
DROP VIEW near;
DROP MATERIALIZED VIEW center;

-- changing a column's type, both ways, with the dimensions checked
CREATE TABLE changing (v vector(3));
INSERT INTO changing VALUES ('[1,2,0]'), (NULL);
ALTER TABLE changing ALTER v TYPE halfvec(3);
SELECT v, pg_typeof(v) FROM changing;
ALTER TABLE changing ALTER v TYPE sparsevec(3);
SELECT v, pg_typeof(v) FROM changing;
ALTER TABLE changing ALTER v TYPE vector(2);
ALTER TABLE changing ALTER v TYPE vector;
ALTER TABLE changing ALTER v TYPE vector(4) USING v || '[4]';
ALTER TABLE changing ALTER v TYPE vector(5);
ALTER TABLE changing ALTER v TYPE real[];
SELECT v, pg_typeof(v) FROM changing;
ALTER TABLE changing ALTER v TYPE vector(4);
ALTER TABLE changing ALTER v SET NOT NULL;
DELETE FROM changing WHERE v IS NULL;
ALTER TABLE changing ALTER v SET NOT NULL, ALTER v SET DEFAULT '[0,0,0,0]';
INSERT INTO changing DEFAULT VALUES;
ALTER TABLE changing ADD w vector(2) DEFAULT '[7,7]';
SELECT * FROM changing ORDER BY v;
DROP TABLE changing;

-- prepared statements: parameters of each type, custom and generic plans
PREPARE nearest(vector, int) AS SELECT id FROM docs ORDER BY embedding <-> $1, id LIMIT $2;
EXECUTE nearest('[3,0,-4]', 1);
EXECUTE nearest(ARRAY[0,2,0]::vector, 2);
EXECUTE nearest('[1]', 1);
SET plan_cache_mode = force_generic_plan;
EXECUTE nearest('[3,0,-4]', 1);
RESET plan_cache_mode;
PREPARE three(halfvec, sparsevec, vector(3)) AS SELECT $1 <-> '[1,1]', $2 <-> '{1:1}/2', $3;
EXECUTE three('[1,2]', '{2:0,1:4}/2', '[1,2,3]');
PREPARE unknown AS INSERT INTO docs (embedding) VALUES ($1) RETURNING embedding;
EXECUTE unknown('[1,1,1]');
EXECUTE unknown('[1,1]');
DEALLOCATE ALL;

-- PL/pgSQL: variables, parameters, loops
CREATE FUNCTION scaled(v vector, factor real) RETURNS vector LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    result real[] := v;  -- an implicit cast
BEGIN
    FOR i IN 1 .. vector_dims(v) LOOP
        result[i] := result[i] * factor;
    END LOOP;
    RETURN result;  -- an assignment cast
END $$;
SELECT scaled('[1,2,3]', 2);
DO $$
DECLARE
    v vector(3) := '[1,2,3]';
    total vector := '[0,0,0]';
    d docs;
BEGIN
    FOR d IN SELECT * FROM docs ORDER BY id LOOP
        total := total + d.embedding;
    END LOOP;
    RAISE NOTICE 'total % distance %', total, total <-> total;
    v := '[1,2]';
EXCEPTION WHEN data_exception THEN
    RAISE NOTICE '%', SQLERRM;
END $$;
CREATE FUNCTION nearest_docs(vector, OUT id int, OUT distance float8) RETURNS SETOF record LANGUAGE sql STABLE AS
    'SELECT id, embedding <+> $1 FROM docs ORDER BY 2, 1';
SELECT * FROM nearest_docs('[0,2,0]');
DROP FUNCTION scaled, nearest_docs;

-- triggers
CREATE FUNCTION normalize_row() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.embedding := l2_normalize(NEW.embedding); RETURN NEW; END';
CREATE TRIGGER normalize BEFORE INSERT ON docs FOR EACH ROW EXECUTE FUNCTION normalize_row();
INSERT INTO docs (embedding) VALUES ('[0,-8,0]') RETURNING embedding, half, bits, norm;
DROP TABLE docs;
DROP FUNCTION normalize_row;

-- arrays of vectors
SELECT ARRAY['[1,2]'::vector, '[3]'], '{"[1,2]",NULL,"[3]"}'::vector[], ('{"[1,2]","[3]"}'::vector[])[2];
SELECT array_agg(v ORDER BY v DESC), array_agg(v::halfvec ORDER BY v), array_agg(v::sparsevec ORDER BY v) FROM unnest('{"[1,2]","[3,4]"}'::vector[]) v;
SELECT array_position('{"[1,2]","[3]"}'::vector[], '[3]'), '[3]' = ANY ('{"[1,2]","[3]"}'::vector[]), '{"[1]"}'::vector[] < '{"[1]","[0]"}'::vector[];
SELECT array_to_string(ARRAY['[1,2]'::halfvec, NULL, '[3]'], '; ', '-'), cardinality(ARRAY['{}/1'::sparsevec]);
CREATE TABLE multi (vs vector(2)[]);
INSERT INTO multi VALUES (ARRAY['[1,2]', '[3,4]']::vector[]);
INSERT INTO multi VALUES (ARRAY['[1,2]', '[3]']::vector[]);
SELECT vs[2] <-> '[3,4]' FROM multi;
DROP TABLE multi;

-- composite types, rows, domains
CREATE TYPE labelled AS (label text, v vector(2), h halfvec);
SELECT ROW('a', '[1,2]', '[3]')::labelled, ('(b,"[1,2]","[3]")'::labelled).v, ROW('[1]'::vector, 1) < ROW('[1]'::vector, 2);
SELECT '(b,"[1,2,3]",)'::labelled;
DROP TYPE labelled;
CREATE DOMAIN unit AS vector CHECK (vector_norm(VALUE) = 1);
SELECT '[0,1]'::unit, '[0,1]'::unit <-> '[0,3]';
SELECT '[1,1]'::unit;
DROP DOMAIN unit;

-- conditional expressions
SELECT coalesce(NULL::vector, '[1]'), CASE WHEN true THEN '[1]'::vector ELSE '[2]' END, nullif('[1]'::vector, '[1]') IS NULL,
       greatest('[1,2]'::vector, '[1,3]', '[0]'), least('[1]'::halfvec, '[1,0]'), greatest('{}/2'::sparsevec, '{1:-1}/2');

-- JSON and text
SELECT to_jsonb('[1,2]'::vector), row_to_json(r) FROM (SELECT '[1]'::vector v, '{1:1}/1'::sparsevec s) r;
CREATE TEMP TABLE j (v vector(2), s sparsevec);
SELECT ('{"v": "[1,2]"}'::jsonb ->> 'v')::vector, jsonb_populate_record(NULL::j, '{"v": "[1,2]", "s": "{1:1}/2"}');
SELECT jsonb_populate_record(NULL::j, '{"v": [1,2]}');
SELECT '[1,2]'::vector::text || 'x', concat('[1]'::vector, '{}/1'::sparsevec), '[1]'::vector::varchar(3), format('%s', '[1]'::halfvec);
SELECT md5('[1,2]'::vector::text) = md5('[1,2]');

-- partitions by order of vectors, MERGE, upsert
CREATE TABLE parted (v vector(2), n int) PARTITION BY RANGE (v);
CREATE TABLE parted_low PARTITION OF parted FOR VALUES FROM (MINVALUE) TO ('[0,0]');
CREATE TABLE parted_high PARTITION OF parted FOR VALUES FROM ('[0,0]') TO (MAXVALUE);
INSERT INTO parted VALUES ('[-1,9]', 1), ('[0,0]', 2), ('[0,-1]', 3);
SELECT tableoid::regclass, v FROM parted ORDER BY v;
MERGE INTO parted t USING (VALUES ('[0,0]'::vector, 20), ('[5,5]', 50)) s(v, n) ON t.v = s.v
    WHEN MATCHED THEN UPDATE SET n = s.n WHEN NOT MATCHED THEN INSERT VALUES (s.v, s.n);
SELECT * FROM parted ORDER BY v;
DROP TABLE parted;

-- a range type over the order
CREATE TYPE vecrange AS RANGE (subtype = vector);
SELECT '[1,2]'::vector <@ vecrange('[1,0]', '[2,0]'), vecrange('[1]', '[2]') && vecrange('[2]', '[3]');
DROP TYPE vecrange;
