-- Casts: each one, its context, the type modifier through it, and what it refuses.

-- arrays to vector
SELECT ARRAY[1,2,3]::vector, ARRAY[1.5,-2.25]::vector, ARRAY[1.5::real]::vector, ARRAY[0.1::float8]::vector;
SELECT '{1,2,3}'::real[]::vector(3);
SELECT ARRAY[16777217, 2147483647]::vector;
SELECT ARRAY[1e-50::float8]::vector;
SELECT '[5:7]={1,2,3}'::int[]::vector;
SELECT '{1,2,3}'::int[]::vector(2);
SELECT ARRAY[1,NULL]::vector;
SELECT ARRAY[NULL]::real[]::vector;
SELECT '{}'::real[]::vector;
SELECT '{{1,2},{3,4}}'::real[]::vector;
SELECT '{{1}}'::float8[]::vector;
SELECT '{NaN}'::real[]::vector;
SELECT '{1,Infinity}'::real[]::vector;
SELECT '{-Infinity}'::float8[]::vector;
SELECT '{NaN}'::float8[]::vector;
SELECT '{1e39}'::float8[]::vector;
SELECT '{-1e300}'::float8[]::vector;
SELECT '{NaN}'::numeric[]::vector;
SELECT '{Infinity}'::numeric[]::vector;
SELECT '{1e39}'::numeric[]::vector;
SELECT ARRAY['1','2']::text[]::vector;
SELECT ARRAY[1,2]::bigint[]::vector;

-- arrays to halfvec
SELECT ARRAY[1,2,3]::halfvec, ARRAY[1.5,-2.25]::halfvec, ARRAY[1.5::real]::halfvec, ARRAY[2049::float8]::halfvec;
SELECT '{1,2,3}'::int[]::halfvec(2);
SELECT ARRAY[65520]::halfvec;
SELECT ARRAY[1e39::float8]::halfvec;
SELECT ARRAY[1,NULL]::halfvec;
SELECT '{}'::real[]::halfvec;
SELECT '{{1}}'::real[]::halfvec;
SELECT '{NaN}'::real[]::halfvec;
SELECT '{Infinity}'::float8[]::halfvec;
SELECT '{NaN}'::numeric[]::halfvec;

-- arrays to sparsevec
SELECT ARRAY[1,0,3]::sparsevec, ARRAY[0,-2.25]::sparsevec, ARRAY[1.5::real]::sparsevec, ARRAY[0::float8]::sparsevec;
SELECT ARRAY[0,1e-50::float8,1]::sparsevec;
SELECT '{1,2,3}'::int[]::sparsevec(2);
SELECT ARRAY[1,NULL]::sparsevec;
SELECT '{}'::real[]::sparsevec;
SELECT '{{1}}'::real[]::sparsevec;
SELECT '{NaN}'::real[]::sparsevec;
SELECT '{Infinity}'::float8[]::sparsevec;
SELECT '{1e39}'::float8[]::sparsevec;
SELECT '{-Infinity}'::numeric[]::sparsevec;

-- to arrays
SELECT '[1,2.5,-3]'::vector::real[], '[1,2.5,-3]'::halfvec::real[];
SELECT array_dims('[1,2,3]'::vector::real[]), pg_typeof('[1]'::vector::real[]);
SELECT '[1,2]'::vector::float8[];
SELECT '{1:1}/2'::sparsevec::real[];

-- between the types
SELECT '[1,2.5,-3]'::vector::halfvec, '[2049,0.1]'::vector::halfvec;
SELECT '[1,2.5,-3]'::halfvec::vector, '[0.1]'::halfvec::vector;
SELECT '[1,0,-0,3]'::vector::sparsevec, '[1,0,-0,3]'::halfvec::sparsevec, '[0]'::vector::sparsevec;
SELECT '{2:2,4:-4}/5'::sparsevec::vector, '{2:2,4:-4}/5'::sparsevec::halfvec, '{}/3'::sparsevec::vector;
SELECT '{1:1e-10}/2'::sparsevec::halfvec, '[1e-10]'::vector::halfvec;
SELECT '[65520]'::vector::halfvec;
SELECT '[1,-3e38]'::vector::halfvec;
SELECT '{1:65520}/1'::sparsevec::halfvec;
SELECT '{}/16001'::sparsevec::vector;
SELECT '{}/16001'::sparsevec::halfvec;
SELECT '{1:1}/1000000000'::sparsevec::vector;
SELECT vector_dims('{}/16000'::sparsevec::vector), vector_dims('{16000:1}/16000'::sparsevec::halfvec);

-- the type modifier of the target is checked
SELECT '[1,2,3]'::vector::vector(3), '[1,2,3]'::halfvec::halfvec(3), '{1:1}/3'::sparsevec::sparsevec(3);
SELECT '[1,2,3]'::vector::vector(2);
SELECT '[1,2,3]'::halfvec::halfvec(2);
SELECT '{1:1}/3'::sparsevec::sparsevec(2);
SELECT '[1,2,3]'::vector::halfvec(3), '[1,2,3]'::halfvec::vector(3), '[1,0,3]'::vector::sparsevec(3),
       '[1,0,3]'::halfvec::sparsevec(3), '{1:1}/3'::sparsevec::vector(3), '{1:1}/3'::sparsevec::halfvec(3);
SELECT '[1,2,3]'::vector::halfvec(2);
SELECT '[1,2,3]'::halfvec::vector(2);
SELECT '[1,2,3]'::vector::sparsevec(2);
SELECT '[1,2,3]'::halfvec::sparsevec(2);
SELECT '{1:1}/3'::sparsevec::vector(2);
SELECT '{1:1}/3'::sparsevec::halfvec(2);

-- context. Implicit: where an expression of another type is expected
CREATE FUNCTION takes_real(real[]) RETURNS text LANGUAGE sql AS 'SELECT $1::text';
CREATE FUNCTION takes_vector(vector) RETURNS text LANGUAGE sql AS 'SELECT $1::text';
CREATE FUNCTION takes_halfvec(halfvec) RETURNS text LANGUAGE sql AS 'SELECT $1::text';
CREATE FUNCTION takes_sparsevec(sparsevec) RETURNS text LANGUAGE sql AS 'SELECT $1::text';
SELECT takes_real('[1]'::vector), takes_halfvec('[1]'::vector), takes_sparsevec('[1]'::vector),
       takes_sparsevec('[1]'::halfvec);
-- assignment only: not there
\set VERBOSITY terse
SELECT takes_vector('[1]'::halfvec);
SELECT takes_vector('{1:1}/1'::sparsevec);
SELECT takes_halfvec('{1:1}/1'::sparsevec);
SELECT takes_real('[1]'::halfvec);
SELECT takes_vector(ARRAY[1]);
SELECT takes_vector(ARRAY[1::real]);
SELECT takes_vector(ARRAY[1::float8]);
SELECT takes_vector(ARRAY[1.5]);
SELECT takes_halfvec(ARRAY[1]);
SELECT takes_sparsevec(ARRAY[1]);
\set VERBOSITY default
DROP FUNCTION takes_real, takes_vector, takes_halfvec, takes_sparsevec;
-- ... but when a column is written
CREATE TABLE target (v vector(2), h halfvec(2), s sparsevec(2), r real[]);
INSERT INTO target VALUES (ARRAY[1,2], ARRAY[1,2], ARRAY[1,2], '[1,2]'::vector);
INSERT INTO target VALUES (ARRAY[1,2]::real[], ARRAY[1,2]::real[], ARRAY[1,2]::real[], '[1,2]'::halfvec);
INSERT INTO target VALUES (ARRAY[1,2]::float8[], ARRAY[1,2]::float8[], ARRAY[1,2]::float8[], NULL);
INSERT INTO target VALUES (ARRAY[1,2]::numeric[], ARRAY[1,2]::numeric[], ARRAY[1,2]::numeric[], NULL);
INSERT INTO target VALUES ('[3,4]'::halfvec, '[3,4]'::vector, '[3,4]'::vector, NULL);
INSERT INTO target VALUES ('{1:5}/2'::sparsevec, '{1:5}/2'::sparsevec, '[5,0]'::halfvec, NULL);
INSERT INTO target (v) VALUES (ARRAY[1,2,3]);
INSERT INTO target (h) VALUES ('[1,2,3]'::vector);
INSERT INTO target (s) VALUES ('[1,2,3]'::halfvec);
INSERT INTO target (r) VALUES ('{1:1}/2'::sparsevec);
INSERT INTO target (v) VALUES ('[1,2]'::text);
SELECT * FROM target;
DROP TABLE target;

-- the implicit cast to halfvec and sparsevec lets distances of mixed types resolve
SELECT '[1,2]'::vector <-> '[1,5]'::halfvec, '[1,2]'::vector <-> '{1:1,2:6}/2'::sparsevec;

-- NULL
SELECT NULL::vector::halfvec IS NULL AND NULL::halfvec::vector IS NULL AND NULL::sparsevec::vector IS NULL
       AND NULL::vector::sparsevec IS NULL AND NULL::real[]::vector IS NULL AND NULL::vector::real[] IS NULL AS all_null;
