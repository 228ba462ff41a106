-- What has to be the same before and after: values as text and as bytes, exact results.
SET enable_indexscan = off;
SET enable_bitmapscan = off;
SET enable_indexonlyscan = off;
SELECT 'items', count(*), md5(string_agg(ROW(e, h, s, b, several, d)::text, '|' ORDER BY id)) FROM items WHERE id <= 2000;
SELECT 'bytes', md5(string_agg(encode(vector_send(e), 'hex') || encode(halfvec_send(h), 'hex') || encode(sparsevec_send(s), 'hex'), '' ORDER BY id)) FROM items WHERE id <= 2000;
SELECT 'long', md5(string_agg(e::text || x::text, '' ORDER BY id)) FROM long;
SELECT 'near', id, d FROM near ORDER BY d, id;
SELECT 'centroid', category, a, sum_h FROM centroid ORDER BY category;
SELECT 'mv', md5(string_agg(ee::text || n::text, '|' ORDER BY id)) FROM mv;
SELECT 'nn', string_agg(nn::text, ' ') FROM nn((SELECT e FROM items WHERE id = 7), 10);
SELECT 'nn_atomic', string_agg(nn_atomic::text, ' ') FROM nn_atomic((SELECT e FROM items WHERE id = 7), 10);
SELECT 'nn_plpgsql', string_agg(nn_plpgsql::text, ' ') FROM nn_plpgsql((SELECT e FROM items WHERE id = 7), 10);
SELECT 'more', * FROM more WHERE id <= 2 ORDER BY id;
SELECT 'part', count(*), md5(string_agg(e::text, '' ORDER BY id)) FROM part WHERE id <= 500;
SELECT 'unlogged', * FROM unlogged;
SELECT 'other', * FROM "Other schema"."Of 'that'" ORDER BY e;
SELECT 'distances', round(avg(s <=> '{1:1,5:2}/16')::numeric, 5), round(avg(b <~> '1010101010101010')::numeric, 5), round(avg(b <%> '1010101010101010')::numeric, 5),
    round(avg(h <+> e::halfvec)::numeric, 5), round(avg(e <#> h::vector)::numeric, 5) FROM items WHERE id <= 2000;
SELECT 'order', md5(string_agg(id::text, ' ' ORDER BY e, id)), count(DISTINCT e) FROM items WHERE id <= 2000;
SELECT 'definitions', md5(string_agg(pg_get_indexdef(indexrelid), '' ORDER BY indexrelid::regclass::text COLLATE "C")) FROM pg_index WHERE indrelid >= 16384 AND indrelid::regclass::text NOT LIKE 'pg_toast%';
SELECT 'table', attrelid::regclass, attname, format_type(atttypid, atttypmod), attstorage FROM pg_attribute JOIN pg_class c ON c.oid = attrelid
    WHERE attrelid >= 16384 AND attnum > 0 AND NOT attisdropped AND relkind IN ('r', 'v', 'm', 'c') ORDER BY attrelid::regclass::text COLLATE "C", attnum;
