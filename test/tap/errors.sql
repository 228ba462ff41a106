-- Every error of src/types and src/omendb.c that SQL can reach, by its SQLSTATE.
-- (Those of the binary formats: test/t/003_binary.pl.)
BEGIN;

CREATE TEMP TABLE wrong (n int GENERATED ALWAYS AS IDENTITY, state text, sql text);

-- text: syntax, at each place
INSERT INTO wrong (state, sql) SELECT '22P02', format('SELECT %L::%s', text, type)
    FROM unnest(ARRAY['vector', 'halfvec']) type,
         unnest(ARRAY['', ' ', 'x', '1', '1,2', '{1}', '[', '[1', '[1,', '[,', '[,1]', '[1,,2]', '[1,]', '[1 2]', '[a]', '[1,a]', '[1a]', '[-]', '[1][2]', '[1]x', '[1]]', '[[1]]', '[1,nul]']) text;
INSERT INTO wrong (state, sql) SELECT '22P02', format('SELECT %L::sparsevec', text)
    FROM unnest(ARRAY['', ' ', 'x', '[1]', '{', '{}', '{}/', '{}/x', '{}1', '{}/1x', '{}/1.5', '{}/1 1', '{1}/1', '{1:}/1', '{:1}/1', '{1:1', '{1:1,', '{1:1,}/1', '{,1:1}/1', '{1:1,,2:1}/2',
                      '{1:1 2:1}/2', '{x:1}/1', '{1:x}/1', '{1.5:1}/2', '{1:1:1}/1', '{1 1:1}/1', '{1:1}}/1', '{{1:1}/1', '{1:1]/1', '{1:1}', '{1:1}/']) text;
-- text: numbers that are none for a vector
INSERT INTO wrong (state, sql) SELECT CASE WHEN number ~ 'e' THEN '22003' ELSE '22000' END, format('SELECT %L::%s', replace(form, '$', number), type)
    FROM (VALUES ('vector', '[$]'), ('vector', '[1,$]'), ('halfvec', '[$]'), ('halfvec', '[1,$,1]'), ('sparsevec', '{1:$}/2'), ('sparsevec', '{2:1,1:$}/2')) f(type, form),
         unnest(ARRAY['nan', 'NaN', '-nan', 'inf', '-Infinity', '1e39', '-1e39', '1e400']) number;
INSERT INTO wrong (state, sql) VALUES ('22003', $$SELECT '[65520]'::halfvec$$), ('22003', $$SELECT '[0,-65520]'::halfvec$$), ('22003', $$SELECT '[1e38]'::halfvec$$);
-- dimensions: none, too many
INSERT INTO wrong (state, sql) VALUES
    ('22000', $$SELECT '[]'::vector$$), ('22000', $$SELECT '[]'::halfvec$$), ('22000', $$SELECT ' [ ]'::vector$$), ('22000', $$SELECT '{}/0'::sparsevec$$), ('22000', $$SELECT '{}/-5'::sparsevec$$),
    ('54000', $$SELECT ('[' || repeat('1,', 16000) || '1]')::vector$$), ('54000', $$SELECT ('[' || repeat('1,', 16000) || '1]')::halfvec$$),
    ('54000', $$SELECT '{}/1000000001'::sparsevec$$), ('54000', $$SELECT '{}/9999999999999999999'::sparsevec$$),
    ('54000', $$SELECT ('{' || string_agg(i || ':1', ',') || '}/99999')::sparsevec FROM generate_series(1, 16001) i$$);
-- sparsevec: indices
INSERT INTO wrong (state, sql) SELECT '22000', format('SELECT %L::sparsevec', text)
    FROM unnest(ARRAY['{0:1}/5', '{6:1}/5', '{-1:1}/5', '{5:1,6:1}/5', '{2147483648:1}/5', '{-2147483648:1}/5', '{2147483647:1}/5', '{99999999999999999999:1}/5', '{-99999999999999999999:1}/5',
                      '{1:1,1:1}/5', '{3:1,1:1,3:2}/5', '{1000000001:1}/1000000000']) text;
-- type modifiers
INSERT INTO wrong (state, sql) SELECT '22023', format('SELECT NULL::%s(%s)', type, modifier)
    FROM (VALUES ('vector', '16001'), ('halfvec', '16001'), ('sparsevec', '1000000001')) t(type, max), unnest(ARRAY['0', '-1', '1,2', max]) modifier;
INSERT INTO wrong (state, sql) SELECT unnest(ARRAY['22P02', '22003']), format('SELECT NULL::%s(%s)', type, unnest(ARRAY[$$'x'$$, '3000000000'])) FROM unnest(ARRAY['vector', 'halfvec', 'sparsevec']) type;
INSERT INTO wrong (state, sql) SELECT '22000', format('SELECT %s(%s)', source, modifier)
    FROM unnest(ARRAY[$$'[1,2]'::vector$$, $$'[1,2]'::halfvec$$, $$'{}/2'::sparsevec$$, $$'{1,2}'::int[]::vector$$, $$'{1,2}'::real[]::halfvec$$, $$'{1,2}'::float8[]::sparsevec$$,
                      $$'[1,2]'::vector::vector$$, $$'[1,2]'::vector::halfvec$$, $$'[1,2]'::vector::sparsevec$$, $$'[1,2]'::halfvec::halfvec$$, $$'[1,2]'::halfvec::vector$$, $$'[1,2]'::halfvec::sparsevec$$,
                      $$'{}/2'::sparsevec::sparsevec$$, $$'{}/2'::sparsevec::vector$$, $$'{}/2'::sparsevec::halfvec$$]) source, unnest(ARRAY[1, 3]) modifier;
INSERT INTO wrong (state, sql) SELECT '22000', format('SELECT %s_in(%L, 0, 3)', type, text) FROM (VALUES ('vector', '[1,2]'), ('halfvec', '[1,2]'), ('sparsevec', '{}/2')) t(type, text);
-- arrays
INSERT INTO wrong (state, sql) SELECT state, format('SELECT %L::%s::%s', value, source, type)
    FROM unnest(ARRAY['vector', 'halfvec', 'sparsevec']) type, unnest(ARRAY['int[]', 'real[]', 'float8[]', 'numeric[]']) source,
         (VALUES ('22000', '{}'), ('22000', '{{1,2},{3,4}}'), ('22004', '{1,NULL}'), ('22004', '{NULL}')) v(state, value);
INSERT INTO wrong (state, sql) SELECT '22000', format('SELECT %L::%s::%s', value, source, type)
    FROM unnest(ARRAY['vector', 'halfvec', 'sparsevec']) type, unnest(ARRAY['real[]', 'float8[]', 'numeric[]']) source, unnest(ARRAY['{NaN}', '{1,Infinity}', '{-Infinity}']) value;
INSERT INTO wrong (state, sql) SELECT '22003', format('SELECT %L::%s::%s', value, source, type)
    FROM unnest(ARRAY['vector', 'halfvec', 'sparsevec']) type, unnest(ARRAY['float8[]', 'numeric[]']) source, unnest(ARRAY['{1e39}', '{1,-1e39}']) value;
INSERT INTO wrong (state, sql) SELECT '22003', format('SELECT %L::%s::halfvec', '{65520}', source) FROM unnest(ARRAY['int[]', 'real[]', 'float8[]', 'numeric[]']) source;
INSERT INTO wrong (state, sql) SELECT '54000', format('SELECT array_fill(1, ARRAY[16001])::%s', type) FROM unnest(ARRAY['vector', 'halfvec', 'sparsevec']) type;
-- between the types
INSERT INTO wrong (state, sql) VALUES ('22003', $$SELECT '[65520]'::vector::halfvec$$), ('22003', $$SELECT '{2:-70000}/2'::sparsevec::halfvec$$),
    ('54000', $$SELECT '{}/16001'::sparsevec::vector$$), ('54000', $$SELECT '{}/16001'::sparsevec::halfvec$$);
-- operands that do not fit each other
INSERT INTO wrong (state, sql) SELECT '22000', format('SELECT %L::%s %s %L', x, type, op, y)
    FROM (VALUES ('vector', '[1,2]', '[1]'), ('halfvec', '[1,2]', '[1,2,3]')) t(type, x, y), unnest(ARRAY['<->', '<#>', '<=>', '<+>', '+', '-', '*']) op
    UNION ALL SELECT '22000', format('SELECT %L::sparsevec %s %L', '{1:1}/2', op, '{1:1}/3') FROM unnest(ARRAY['<->', '<#>', '<=>', '<+>']) op
    UNION ALL SELECT '22000', format('SELECT B%L %s B%L', '10', op, '1') FROM unnest(ARRAY['<~>', '<%>']) op;
INSERT INTO wrong (state, sql) SELECT '22000', format('SELECT %s(%L, %L)', f, x, y)
    FROM (VALUES ('vector_l2_squared_distance', '[1]', '[1,2]'), ('vector_negative_inner_product', '[1]', '[1,2]'), ('vector_spherical_distance', '[1]', '[1,2]'),
                 ('halfvec_l2_squared_distance', '[1]', '[1,2]'), ('halfvec_negative_inner_product', '[1]', '[1,2]'), ('halfvec_spherical_distance', '[1]', '[1,2]'),
                 ('sparsevec_l2_squared_distance', '{}/1', '{}/2'), ('sparsevec_negative_inner_product', '{}/1', '{}/2')) t(f, x, y)
    UNION ALL SELECT '22000', format('SELECT inner_product(%L::%s, %L)', x, type, y) FROM (VALUES ('vector', '[1]', '[1,2]'), ('halfvec', '[1]', '[1,2]'), ('sparsevec', '{}/1', '{}/2')) t(type, x, y);
-- results that the element type cannot hold
INSERT INTO wrong (state, sql) VALUES
    ('22003', $$SELECT '[3e38]'::vector + '[3e38]'$$), ('22003', $$SELECT '[-3e38]'::vector - '[3e38]'$$), ('22003', $$SELECT '[1,1e30]'::vector * '[1,1e30]'$$),
    ('22003', $$SELECT '[1e-30]'::vector * '[1e-30]'$$), ('22003', $$SELECT '[60000]'::halfvec + '[60000]'$$), ('22003', $$SELECT '[-60000]'::halfvec - '[60000]'$$),
    ('22003', $$SELECT '[300]'::halfvec * '[300]'$$), ('22003', $$SELECT '[1e-4]'::halfvec * '[1e-4]'$$);
-- pieces
INSERT INTO wrong (state, sql) SELECT '22000', format('SELECT subvector(%L::%s, %s)', '[1,2]', type, range)
    FROM unnest(ARRAY['vector', 'halfvec']) type, unnest(ARRAY['1, 0', '3, 1', '1, -1', '-2, 2', '2147483647, 1', '-2147483648, 2147483647']) range;
INSERT INTO wrong (state, sql) SELECT '54000', format('SELECT array_fill(1, ARRAY[8001])::%s || array_fill(1, ARRAY[8000])::%1$s', type) FROM unnest(ARRAY['vector', 'halfvec']) type;
-- aggregates: rows of several dimensions, and states from elsewhere
INSERT INTO wrong (state, sql) SELECT '22000', format('SELECT %s(v) FROM unnest(%L::%s[]) v', f, '{"[1,2]","[1]"}', type) FROM unnest(ARRAY['avg', 'sum']) f, unnest(ARRAY['vector', 'halfvec']) type;
INSERT INTO wrong (state, sql) SELECT '22003', format('SELECT sum(v) FROM unnest(%L::%s[]) v', value, type) FROM (VALUES ('vector', '{[3e38],[3e38]}'), ('halfvec', '{[65504],[65504]}')) t(type, value);
INSERT INTO wrong (state, sql) SELECT state, format('SELECT %s_%s', type, call) FROM unnest(ARRAY['vector', 'halfvec']) type, (VALUES
    ('22000', $$accum('{}', '[1]')$$), ('22000', $$accum('{{1,2},{3,4}}', '[1]')$$), ('22000', $$accum('{NULL}', '[1]')$$), ('22000', $$accum('{1,2,3}', '[1]')$$),
    ('22000', $$combine('{}', '{0}')$$), ('22000', $$combine('{0}', '{}')$$), ('22000', $$combine('{1,NULL}', '{0}')$$), ('22000', $$combine('{0}', '{1,NULL}')$$), ('22000', $$combine('{1,2}', '{1,2,3}')$$),
    ('22000', $$avg('{}')$$), ('22000', $$avg('{1}')$$), ('22000', $$avg('{{1,2}}')$$), ('22000', $$avg('{1,NULL}')$$), ('22000', $$avg('{1,NaN}')$$), ('22000', $$avg('{1,Infinity}')$$),
    ('22000', $$avg('{1,1e300}')$$), ('54000', $$avg(array_fill(1::float8, ARRAY[16002]))$$)) c(state, call);
INSERT INTO wrong (state, sql) VALUES ('22003', $$SELECT halfvec_avg('{1,65520}')$$);
-- ranks and the constant of their fusion
INSERT INTO wrong (state, sql) SELECT '22023', format('SELECT rrf(%s)', arguments) FROM unnest(ARRAY['0', '-1', '-9223372036854775808', '0, 0', '1, -1', 'NULL, -1', '1, -2147483648']) arguments;
-- the setting
INSERT INTO wrong (state, sql) VALUES ('22023', $$SET omendb.simd_level = 'mmx'$$), ('22023', $$SET omendb.simd_level = 'on'$$), ('42602', $$SET omendb.no_such_setting = 1$$),
    -- no machine has both
    ('0A000', $$DO 'BEGIN PERFORM set_config(''omendb.simd_level'', ''neon'', true); PERFORM set_config(''omendb.simd_level'', ''avx2'', true); END'$$);

SELECT plan(count(*)::int + 1) FROM wrong;
SELECT cmp_ok((SELECT count(*)::int FROM wrong), '>=', 360, 'the cases are there');
SELECT throws_ok(sql, state, NULL, state || ' ' || left(sql, 120)) FROM wrong ORDER BY n;

SELECT * FROM finish();
ROLLBACK;
