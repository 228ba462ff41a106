-- The extension's objects in the catalogs: attributes, comments, membership.
-- (What there must be, object by object, is test/compat/pgvector-surface.tsv; this is about all of them.)
BEGIN;
SELECT plan(39);

CREATE TEMP VIEW member AS
    SELECT classid, objid FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
    WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' AND e.extname = 'omendb';
CREATE TEMP VIEW member_function AS
    SELECT p.* FROM pg_proc p JOIN member m ON m.classid = 'pg_proc'::regclass AND m.objid = p.oid;
-- those about an index, not about values: the handler and what looks at indexes
CREATE TEMP VIEW index_function AS
    SELECT * FROM member_function WHERE proname IN ('hnswhandler', 'ivfflathandler', 'hnsw_index_info', 'hnsw_index_check', 'hnsw_index_size_estimate', 'hnsw_recall', 'hnsw_reindex_commands', 'omendb_last_scan');
CREATE TEMP VIEW value_function AS
    SELECT * FROM member_function WHERE oid NOT IN (SELECT oid FROM index_function);
CREATE TEMP VIEW member_operator AS
    SELECT o.* FROM pg_operator o JOIN member m ON m.classid = 'pg_operator'::regclass AND m.objid = o.oid;
CREATE TEMP VIEW member_type AS
    SELECT t.* FROM pg_type t JOIN member m ON m.classid = 'pg_type'::regclass AND m.objid = t.oid AND t.typtype = 'b' AND t.typelem = 0;

-- ------------------------------------------------------------------ the extension

SELECT results_eq(
    $$ SELECT ROW(extversion, extrelocatable, extconfig IS NULL)::text FROM pg_extension WHERE extname = 'omendb' $$,
    $$ VALUES (ROW('0.1.0', true, true)::text) $$, 'version, relocatable, no configuration tables');
SELECT results_eq(
    $$ SELECT superuser, trusted, relocatable, requires IS NULL FROM pg_available_extension_versions WHERE name = 'omendb' AND version = '0.1.0' $$,
    $$ VALUES (true, true, true, true) $$, 'trusted: who may create in the database may create it');
SELECT isnt(obj_description(oid, 'pg_extension'), NULL, 'the extension has a comment') FROM pg_extension WHERE extname = 'omendb';

-- ------------------------------------------------------------------ comments and membership

SELECT cmp_ok((SELECT count(*)::int FROM member), '>=', 180, 'the extension has its objects');
SELECT is_empty(
    $$ SELECT pg_describe_object(classid, objid, 0) FROM member
       WHERE coalesce(obj_description(objid, classid::regclass::name), '') = '' AND NOT (classid = 'pg_type'::regclass AND objid IN (SELECT typarray FROM member_type)) $$,
    'every object has a comment');
SELECT is_empty(
    $$ SELECT p.oid::regprocedure FROM pg_proc p WHERE (probin LIKE '%omendb%' OR prosrc LIKE 'omendb\_%')
       AND NOT EXISTS (SELECT FROM member WHERE classid = 'pg_proc'::regclass AND objid = p.oid) $$, 'every function of the library is a member');
SELECT is_empty(
    $$ SELECT o.oid::regoperator FROM pg_operator o WHERE oprcode IN (SELECT oid FROM member_function)
       AND NOT EXISTS (SELECT FROM member WHERE classid = 'pg_operator'::regclass AND objid = o.oid) $$, 'every operator on these functions is a member');
SELECT is_empty(
    $$ SELECT pg_describe_object('pg_cast'::regclass, c.oid, 0) FROM pg_cast c
       WHERE (castfunc IN (SELECT oid FROM member_function) OR castsource IN (SELECT oid FROM member_type) OR casttarget IN (SELECT oid FROM member_type))
       AND NOT EXISTS (SELECT FROM member WHERE classid = 'pg_cast'::regclass AND objid = c.oid) $$, 'every cast of these types is a member');
SELECT is_empty(
    $$ SELECT a.aggfnoid FROM pg_aggregate a WHERE aggtransfn IN (SELECT oid FROM member_function)
       AND NOT EXISTS (SELECT FROM member WHERE classid = 'pg_proc'::regclass AND objid = a.aggfnoid) $$, 'every aggregate on these functions is a member');
SELECT is_empty(
    $$ SELECT opcname FROM pg_opclass c WHERE opcintype IN (SELECT oid FROM member_type)
       AND NOT (EXISTS (SELECT FROM member WHERE classid = 'pg_opclass'::regclass AND objid = c.oid)
                AND EXISTS (SELECT FROM member WHERE classid = 'pg_opfamily'::regclass AND objid = c.opcfamily)) $$, 'every operator class of these types is a member, with its family');
SELECT is_empty(
    $$ SELECT objid::regprocedure FROM member WHERE classid = 'pg_proc'::regclass AND objid NOT IN (SELECT oid FROM pg_proc WHERE pronamespace =
         (SELECT extnamespace FROM pg_extension WHERE extname = 'omendb')) $$, 'every function is in the schema of the extension');

-- ------------------------------------------------------------------ types

SELECT results_eq(
    $$ SELECT ROW(typname, typlen, typbyval, typcategory, typispreferred, typalign, typstorage, typdelim, typcollation)::text FROM member_type ORDER BY typname $$,
    $$ SELECT ROW(t, -1, false, 'U', false, 'i', 'e', ',', 0)::text FROM unnest(ARRAY['halfvec', 'sparsevec', 'vector']) t $$,
    'layout and storage of the types');
SELECT results_eq(
    $$ SELECT ROW(typname, typinput, typoutput, typreceive, typsend, typmodin, typmodout, typanalyze)::text FROM member_type ORDER BY typname $$,
    $$ SELECT ROW(t, t || '_in', t || '_out', t || '_recv', t || '_send', t || '_typmod_in', '-', '-')::text FROM unnest(ARRAY['halfvec', 'sparsevec', 'vector']) t $$,
    'functions of the types');
SELECT is_empty($$ SELECT typname FROM member_type WHERE typarray = 0 OR NOT typisdefined $$, 'each type is complete and has an array type');

-- ------------------------------------------------------------------ functions

SELECT is_empty($$ SELECT oid::regprocedure, provolatile FROM value_function WHERE provolatile <> 'i' AND proname <> 'omendb_simd_level' $$, 'functions are immutable');
SELECT results_eq($$ SELECT ROW(provolatile, proisstrict, proparallel)::text FROM member_function WHERE proname = 'omendb_simd_level' $$, $$ VALUES (ROW('s', true, 's')::text) $$,
    'but the one that reads a setting');
SELECT is_empty($$ SELECT oid::regprocedure FROM value_function WHERE NOT proisstrict AND prokind = 'f' AND proname <> 'rrf' $$, 'functions are strict');
SELECT is_empty($$ SELECT oid::regprocedure FROM value_function WHERE proparallel <> 's' $$, 'functions and aggregates are parallel safe');
SELECT is_empty($$ SELECT oid::regprocedure FROM value_function WHERE prosecdef OR proleakproof OR proretset OR proconfig IS NOT NULL OR proacl IS NOT NULL OR provariadic <> 0 OR (pronargdefaults > 0 AND proname <> 'rrf') $$,
    'no function has rights, settings, sets, variadic or default arguments');
SELECT results_eq($$ SELECT ROW(proisstrict, pg_get_function_arguments(oid))::text FROM member_function WHERE proname = 'rrf' $$, $$ VALUES (ROW(false, 'rank bigint, k integer DEFAULT 60')::text) $$,
    'but the one for which a null rank means a row that a list does not have');
SELECT results_eq(
    $$ SELECT ROW(proname, provolatile, proisstrict, proparallel, prosecdef, proacl IS NULL, proretset, pronargdefaults, proconfig IS NULL)::text FROM index_function ORDER BY proname $$,
    $$ VALUES (ROW('hnsw_index_check', 'v', true, 'r', false, true, true, 1, true)::text), (ROW('hnsw_index_info', 'v', true, 'r', false, true, false, 0, true)::text),
              (ROW('hnsw_index_size_estimate', 'i', true, 's', false, true, false, 2, true)::text),
              (ROW('hnsw_recall', 'v', true, 'r', false, true, false, 2, true)::text),
              (ROW('hnsw_reindex_commands', 'v', true, 'r', false, true, true, 0, false)::text), (ROW('hnswhandler', 'v', false, 'u', false, true, false, 0, true)::text),
              (ROW('ivfflathandler', 'v', false, 'u', false, true, false, 0, true)::text),
              (ROW('omendb_last_scan', 'v', true, 'r', false, true, false, 0, true)::text) $$, 'but those about indexes');
SELECT is_empty($$ SELECT oid::regprocedure FROM member_function WHERE prokind NOT IN ('f', 'a') $$, 'there are functions and aggregates only');
SELECT is_empty(
    $$ SELECT oid::regprocedure, probin, prosrc FROM member_function
       WHERE prokind = 'f' AND (probin <> '$libdir/omendb' OR prosrc NOT LIKE 'omendb\_sql\_%' OR prolang <> (SELECT oid FROM pg_language WHERE lanname = 'c')) $$,
    'functions are in the library, under its prefix');

-- ------------------------------------------------------------------ aggregates

SELECT results_eq(
    $$ SELECT ROW(aggfnoid::regprocedure, aggkind, aggtransfn, aggcombinefn, aggfinalfn, aggtranstype::regtype, agginitval, aggserialfn, aggmtransfn, aggsortop)::text
       FROM pg_aggregate WHERE aggfnoid IN (SELECT oid FROM member_function) ORDER BY 1 $$,
    $$ VALUES (ROW('avg(halfvec)', 'n', 'halfvec_accum', 'halfvec_combine', 'halfvec_avg', 'double precision[]', '{0}', '-', '-', 0)::text),
              (ROW('avg(vector)', 'n', 'vector_accum', 'vector_combine', 'vector_avg', 'double precision[]', '{0}', '-', '-', 0)::text),
              (ROW('sum(halfvec)', 'n', 'halfvec_add', 'halfvec_add', '-', 'halfvec', NULL, '-', '-', 0)::text),
              (ROW('sum(vector)', 'n', 'vector_add', 'vector_add', '-', 'vector', NULL, '-', '-', 0)::text) $$, 'aggregates');

-- ------------------------------------------------------------------ operators

SELECT is_empty($$ SELECT oid::regoperator FROM member_operator WHERE oprcode = 0 OR oprleft = 0 OR oprright = 0 $$, 'no operator is a shell or has one operand');
SELECT is_empty($$ SELECT oid::regoperator FROM member_operator o WHERE oprcom <> 0 AND NOT EXISTS (SELECT FROM member_operator c WHERE c.oid = o.oprcom AND c.oprcom = o.oid) $$,
    'commutators are mutual');
SELECT is_empty($$ SELECT oid::regoperator FROM member_operator o WHERE oprnegate <> 0 AND NOT EXISTS (SELECT FROM member_operator n WHERE n.oid = o.oprnegate AND n.oprnegate = o.oid) $$,
    'negators are mutual');
SELECT is_empty(
    $$ SELECT o.oid::regoperator, w.* FROM member_operator o JOIN (VALUES ('<', '>', '>=', 'scalarltsel', 'scalarltjoinsel'), ('<=', '>=', '>', 'scalarlesel', 'scalarlejoinsel'),
         ('=', '=', '<>', 'eqsel', 'eqjoinsel'), ('<>', '<>', '=', 'eqsel', 'eqjoinsel'), ('>=', '<=', '<', 'scalargesel', 'scalargejoinsel'),
         ('>', '<', '<=', 'scalargtsel', 'scalargtjoinsel')) w(name, com, neg, rest, joined) ON w.name = o.oprname
       WHERE (SELECT oprname FROM pg_operator WHERE oid = o.oprcom) <> com OR (SELECT oprname FROM pg_operator WHERE oid = o.oprnegate) <> neg
          OR oprrest::text <> rest OR oprjoin::text <> joined OR oprresult <> 'boolean'::regtype $$, 'comparison: commutator, negator, estimators');
SELECT is((SELECT count(*)::int FROM member_operator WHERE oprname IN ('<', '<=', '=', '<>', '>=', '>')), 18, 'comparison operators of three types');
SELECT is_empty(
    $$ SELECT oid::regoperator FROM member_operator WHERE oprname IN ('<->', '<#>', '<=>', '<+>', '<~>', '<%>')
       AND (oprcom <> oid OR oprnegate <> 0 OR oprrest <> 0 OR oprjoin <> 0 OR oprresult <> 'float8'::regtype) $$, 'distances are symmetric and float8');
SELECT is((SELECT count(*)::int FROM member_operator WHERE oprname IN ('<->', '<#>', '<=>', '<+>', '<~>', '<%>')), 14, 'distance operators');
SELECT is_empty($$ SELECT oid::regoperator FROM member_operator WHERE oprname IN ('+', '*') AND oprcom <> oid OR oprname IN ('-', '||') AND oprcom <> 0 $$, 'arithmetic: + and * commute');
SELECT is_empty($$ SELECT o.oid::regoperator FROM member_operator o JOIN pg_proc p ON p.oid = o.oprcode
       WHERE o.oprresult <> p.prorettype OR ARRAY(SELECT unnest(p.proargtypes)) <> ARRAY[oprleft, oprright]::oid[] $$, 'operators agree with their functions');

-- ------------------------------------------------------------------ casts, operator classes

SELECT is_empty($$ SELECT pg_describe_object('pg_cast'::regclass, c.oid, 0) FROM pg_cast c JOIN member m ON m.classid = 'pg_cast'::regclass AND m.objid = c.oid JOIN pg_proc p ON p.oid = castfunc
       WHERE castmethod <> 'f' OR p.prorettype <> casttarget OR ARRAY(SELECT unnest(p.proargtypes)) <> ARRAY[castsource, 'int4'::regtype, 'bool'::regtype]::oid[] $$,
    'casts take the type modifier and whether they are explicit');
SELECT is((SELECT count(*)::int FROM member WHERE classid = 'pg_cast'::regclass), 23, 'casts');
SELECT results_eq(
    $$ SELECT ROW(opcname, amname, opcintype::regtype, opcdefault, amvalidate(c.oid))::text FROM pg_opclass c JOIN member m ON m.classid = 'pg_opclass'::regclass AND m.objid = c.oid
         JOIN pg_am a ON a.oid = opcmethod WHERE amname = 'btree' ORDER BY 1 $$,
    $$ SELECT ROW(t || '_ops', 'btree', t, true, true)::text FROM unnest(ARRAY['halfvec', 'sparsevec', 'vector']) t $$,
    'btree operator classes are default and valid');
SELECT is_empty($$ SELECT opcname FROM pg_opclass c JOIN member m ON m.classid = 'pg_opclass'::regclass AND m.objid = c.oid WHERE NOT amvalidate(c.oid) $$,
    'every operator class is valid');
SELECT results_eq(
    $$ SELECT ROW(opfname, amprocnum, amproc)::text FROM pg_amproc JOIN pg_opfamily f ON f.oid = amprocfamily JOIN pg_am a ON a.oid = opfmethod
       WHERE amname = 'btree' AND f.oid IN (SELECT objid FROM member WHERE classid = 'pg_opfamily'::regclass) ORDER BY 1 $$,
    $$ SELECT ROW(t || '_ops', 1, t || '_cmp')::text FROM unnest(ARRAY['halfvec', 'sparsevec', 'vector']) t $$, 'support functions of btree');
SELECT is_empty($$ SELECT 1 FROM pg_opfamily f WHERE f.oid IN (SELECT objid FROM member WHERE classid = 'pg_opfamily'::regclass) AND NOT EXISTS (SELECT FROM pg_opclass WHERE opcfamily = f.oid) $$,
    'no family is empty');

SELECT * FROM finish();
ROLLBACK;
