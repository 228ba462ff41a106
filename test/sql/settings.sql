-- omendb.simd_level. Says the same on every machine, whatever levels it has.

-- this loads the library, which defines the setting
SELECT omendb_simd_level() IN ('scalar', 'neon', 'avx2', 'avx512') AS known;
SELECT vartype, context, enumvals, boot_val, short_desc FROM pg_settings WHERE name = 'omendb.simd_level';

SET omendb.simd_level = 'scalar';
SHOW omendb.simd_level;
SELECT omendb_simd_level();
SET omendb.simd_level = SCALAR;
SHOW omendb.simd_level;
SET omendb.simd_level = 'auto';
SHOW omendb.simd_level;

-- what it does not know
SET omendb.simd_level = 'sse2';
SET omendb.simd_level = '';
SET omendb.simd_level = 1;
SET omendb.simd_levels = 'scalar';
SHOW omendb.simd_level;

-- every level is either in use after SET or refused; the refused one changes nothing
CREATE TABLE levels (n int, level text, available bool);
DO $$
DECLARE
    wanted text;
    n int := 0;
    state text;
    message text;
    detail text;
BEGIN
    FOREACH wanted IN ARRAY ARRAY['scalar', 'neon', 'avx2', 'avx512'] LOOP
        n := n + 1;
        PERFORM set_config('omendb.simd_level', 'scalar', false);
        BEGIN
            PERFORM set_config('omendb.simd_level', wanted, false);
            INSERT INTO levels VALUES (n, wanted, true);
            ASSERT omendb_simd_level() = wanted, 'set to ' || wanted || ' but runs ' || omendb_simd_level();
        EXCEPTION WHEN feature_not_supported THEN
            GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL;
            INSERT INTO levels VALUES (n, wanted, false);
            ASSERT message = format('invalid value for parameter "omendb.simd_level": "%s"', wanted), message;
            ASSERT detail ~ format('^This machine has no "%s" instructions; its best level is "[a-z0-9]+"\.$', wanted), detail;
            ASSERT current_setting('omendb.simd_level') = 'scalar' AND omendb_simd_level() = 'scalar', 'a refused level changed something';
        END;
    END LOOP;
END $$;
-- scalar is everywhere; no machine has both families; avx512 comes with avx2
SELECT bool_or(available) FILTER (WHERE level = 'scalar') AS scalar,
       NOT (bool_or(available) FILTER (WHERE level = 'neon') AND bool_or(available) FILTER (WHERE level = 'avx2')) AS one_family,
       bool_or(available) FILTER (WHERE level = 'avx2') >= bool_or(available) FILTER (WHERE level = 'avx512') AS nested
    FROM levels;
-- auto is the best of them
SET omendb.simd_level = 'auto';
SELECT omendb_simd_level() = (SELECT level FROM levels WHERE available ORDER BY n DESC LIMIT 1) AS best;
DROP TABLE levels;

-- transactional: rollback, SET LOCAL, savepoints, function settings
SET omendb.simd_level = 'auto';
BEGIN;
SET omendb.simd_level = 'scalar';
SELECT omendb_simd_level();
ROLLBACK;
SHOW omendb.simd_level;
SELECT omendb_simd_level() AS best \gset
BEGIN;
SET LOCAL omendb.simd_level = 'scalar';
SAVEPOINT s;
SET LOCAL omendb.simd_level = 'auto';
SELECT omendb_simd_level() = :'best' AS best;
ROLLBACK TO s;
SELECT omendb_simd_level();
COMMIT;
SELECT omendb_simd_level() = :'best' AS best;
CREATE FUNCTION level_inside() RETURNS text LANGUAGE plpgsql SET omendb.simd_level = 'scalar' AS 'BEGIN RETURN omendb_simd_level(); END';
SELECT level_inside(), omendb_simd_level() = :'best' AS best_outside;
DROP FUNCTION level_inside;

-- superusers only, and whom they grant it to
CREATE ROLE regress_omendb_setter;
SET ROLE regress_omendb_setter;
SET omendb.simd_level = 'scalar';
SHOW omendb.simd_level;
SELECT '[3,4]'::vector <-> '[0,0]';
RESET ROLE;
GRANT SET ON PARAMETER omendb.simd_level TO regress_omendb_setter;
SET ROLE regress_omendb_setter;
SET omendb.simd_level = 'scalar';
SELECT omendb_simd_level();
RESET ROLE;
REVOKE SET ON PARAMETER omendb.simd_level FROM regress_omendb_setter;
DROP ROLE regress_omendb_setter;

-- the same results at the plain level, on the paths that have kernels
SET omendb.simd_level = 'scalar';
SELECT '[0,0]'::vector <-> '[3,4]', '[1,2]'::vector <#> '[3,4]', '[1,0]'::vector <=> '[0,1]', '[1,2]'::vector <+> '[3,5]',
       '[0,0]'::halfvec <-> '[3,4]', '[1,2]'::halfvec <#> '[3,4]', '[1,0]'::halfvec <=> '[0,1]', '[1,2]'::halfvec <+> '[3,5]',
       B'1100' <~> B'1010', B'1100' <%> B'1010', binary_quantize('[1,-1]'::vector), binary_quantize('[1,-1]'::halfvec),
       vector_norm('[3,4]'), l2_norm('[3,4]'::halfvec), l2_normalize('[0,2]'::vector), '[1,2049]'::vector::halfvec, '[1,2]'::halfvec::vector;
