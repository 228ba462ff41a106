-- Operator classes of other scripts: what they are for is told from the operator that they order by, and no support
-- function of theirs is called.

CREATE TABLE opclasses (v vector(3), s sparsevec(3), b bit(8));
INSERT INTO opclasses SELECT ARRAY[i, i % 7, 0]::vector, ('{1:' || i || '}/3')::sparsevec, i::bit(8) FROM generate_series(1, 200) i;

-- as pgvector's script makes them
CREATE OPERATOR CLASS their_cosine_ops FOR TYPE vector USING hnsw AS
    OPERATOR 1 <=> (vector, vector) FOR ORDER BY float_ops,
    FUNCTION 1 vector_negative_inner_product(vector, vector), FUNCTION 2 vector_norm(vector);
CREATE INDEX their_cosine ON opclasses USING hnsw (v their_cosine_ops);
SELECT metric, heap_tids FROM hnsw_index_info('their_cosine');
SET enable_seqscan = off;
SELECT v FROM (SELECT v FROM opclasses ORDER BY v <=> '[0,1,0]' LIMIT 2) nearest ORDER BY v;
INSERT INTO opclasses (v) VALUES ('[0,5,0]');
SELECT v FROM opclasses ORDER BY v <=> '[0,1,0]' LIMIT 1;
REINDEX INDEX their_cosine;
SELECT count(*) FROM hnsw_index_check('their_cosine', true);

-- of a sparse type
CREATE OPERATOR CLASS their_sparsevec_ops FOR TYPE sparsevec USING hnsw AS
    OPERATOR 1 <-> (sparsevec, sparsevec) FOR ORDER BY float_ops,
    FUNCTION 1 sparsevec_l2_squared_distance(sparsevec, sparsevec);
CREATE INDEX ON opclasses USING hnsw (s their_sparsevec_ops);

-- a function that computes the same, but is not the index's distance
CREATE FUNCTION slow_distance(vector, vector) RETURNS float8 LANGUAGE sql AS 'SELECT l2_distance($1, $2)';
CREATE OPERATOR <~~> (LEFTARG = vector, RIGHTARG = vector, FUNCTION = slow_distance);
CREATE OPERATOR CLASS slow_ops FOR TYPE vector USING hnsw AS OPERATOR 1 <~~> (vector, vector) FOR ORDER BY float_ops;
CREATE INDEX ON opclasses USING hnsw (v slow_ops);

-- functions that do not belong there
CREATE OPERATOR CLASS odd_ops FOR TYPE vector USING hnsw AS
    OPERATOR 1 <-> (vector, vector) FOR ORDER BY float_ops,
    FUNCTION 1 vector_lt(vector, vector), FUNCTION 2 hnswhandler(internal), FUNCTION 3 vector_in(cstring, oid, integer);
CREATE INDEX odd ON opclasses USING hnsw (v odd_ops);
SELECT v FROM opclasses ORDER BY v <-> '[3,3,0]' LIMIT 1;

-- operators besides: the index has the order of the first one only
CREATE FUNCTION farthest(vector, vector) RETURNS float8 IMMUTABLE STRICT LANGUAGE plpgsql AS 'BEGIN RETURN - l2_distance($1, $2); END';
CREATE OPERATOR <~-> (LEFTARG = vector, RIGHTARG = vector, FUNCTION = farthest);
CREATE OPERATOR CLASS more_ops FOR TYPE vector USING hnsw AS
    OPERATOR 1 <-> (vector, vector) FOR ORDER BY float_ops,
    OPERATOR 2 <~-> (vector, vector) FOR ORDER BY float_ops,
    OPERATOR 7 <=> (vector, vector) FOR ORDER BY float_ops;
CREATE TABLE more (v vector(3));
INSERT INTO more SELECT ARRAY[i, i % 3, 0] FROM generate_series(1, 50) i;
CREATE INDEX more_v ON more USING hnsw (v more_ops);
SET enable_seqscan = off;
SELECT v FROM more ORDER BY v <-> '[3,0,0]' LIMIT 1;
SELECT v FROM more ORDER BY v <~-> '[3,0,0]' LIMIT 1;
SELECT v FROM more ORDER BY v <=> '[5,2,0]' LIMIT 1;
SET hnsw.custom_scan = off;
SELECT v FROM more ORDER BY v <-> '[3,0,0]' LIMIT 1;
SELECT v FROM more ORDER BY v <~-> '[3,0,0]' LIMIT 1;
EXPLAIN (COSTS OFF) SELECT v FROM more ORDER BY v <-> '[3,0,0]' LIMIT 1;
RESET hnsw.custom_scan;
RESET enable_seqscan;
-- what an owner has done to the function
ALTER FUNCTION l2_distance(vector, vector) SET work_mem = '5MB';
REINDEX INDEX more_v;
SELECT v FROM more ORDER BY v <-> '[3,0,0]' LIMIT 1;
SELECT count(*) FROM hnsw_index_check('more_v', true);
ALTER FUNCTION l2_distance(vector, vector) RESET ALL;
-- invalid indexes of odd classes can be rebuilt, too
UPDATE pg_index SET indisvalid = false WHERE indexrelid IN ('more_v'::regclass, 'odd'::regclass);
SELECT * FROM hnsw_reindex_commands();
UPDATE pg_index SET indisvalid = true WHERE indexrelid IN ('more_v'::regclass, 'odd'::regclass);
SELECT * FROM hnsw_reindex_commands();
DROP TABLE more;
DROP OPERATOR FAMILY more_ops USING hnsw;
DROP FUNCTION farthest CASCADE;

-- nothing at all
CREATE OPERATOR CLASS empty_ops FOR TYPE vector USING hnsw AS STORAGE vector;
CREATE INDEX ON opclasses USING hnsw (v empty_ops);

-- what amvalidate says
SELECT opcname, amvalidate(c.oid) FROM pg_opclass c JOIN pg_am a ON a.oid = opcmethod WHERE amname = 'hnsw' ORDER BY opcname COLLATE "C";

DROP TABLE opclasses;
DROP OPERATOR FAMILY their_cosine_ops USING hnsw;
DROP OPERATOR FAMILY their_sparsevec_ops USING hnsw;
DROP OPERATOR FAMILY slow_ops USING hnsw;
DROP OPERATOR FAMILY odd_ops USING hnsw;
DROP OPERATOR FAMILY empty_ops USING hnsw;
DROP FUNCTION slow_distance CASCADE;
