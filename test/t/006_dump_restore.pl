# pg_dump and restore, another schema, DROP EXTENSION, and CREATE EXTENSION by a
# user who is no superuser.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use OmendbTest;

use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_node('dump');
create_omendb($node, 'original');
my $scratch = scratch_dir();

# Everything in a database that a dump could get wrong.
my $contents = q{
    CREATE TABLE items (id int PRIMARY KEY, v vector(3) NOT NULL DEFAULT '[0,0,0]', h halfvec(2), s sparsevec(1000000000), any_v vector, list vector(2)[],
        norm float8 GENERATED ALWAYS AS (vector_norm(v)) STORED, CHECK (vector_dims(v) = 3), UNIQUE (v));
    CREATE UNIQUE INDEX ON items (s);
    CREATE INDEX by_half ON items (h halfvec_ops DESC);
    CREATE INDEX by_norm ON items ((l2_norm(h)));
    CREATE INDEX by_part ON items (any_v) WHERE vector_dims(any_v) < 100;
    INSERT INTO items (id, v, h, s, any_v, list) SELECT i, ARRAY[i, -i, i / 3.0], ARRAY[i, 0.1], ('{' || i || ':' || i / 7.0 || '}/1000000000')::sparsevec, ARRAY[0.1, i], ARRAY[ARRAY[i, 1]::vector(2)]
        FROM generate_series(1, 200) i;
    INSERT INTO items (id, any_v) SELECT 1000, array_agg(i / 3.0::real) FROM generate_series(1, 16000) i;
    CREATE VIEW near AS SELECT id, v <-> '[1,2,3]' AS distance FROM items ORDER BY v <-> '[1,2,3]'::vector(3) LIMIT 5;
    CREATE MATERIALIZED VIEW center AS SELECT avg(v), sum(h) FROM items WHERE id < 10;
    CREATE FUNCTION closest(q vector) RETURNS int LANGUAGE sql STABLE AS 'SELECT id FROM items ORDER BY v <-> q, id LIMIT 1';
    CREATE DOMAIN unit AS vector(2) CHECK (VALUE <> '[0,0]');
    CREATE TYPE pair AS (a halfvec(2), b sparsevec);
    CREATE TABLE typed (u unit, p pair);
    INSERT INTO typed VALUES ('[1,0]', ('[1,2]', '{1:1}/2'));
    CREATE TABLE parted (v vector(1)) PARTITION BY RANGE (v);
    CREATE TABLE parted_low PARTITION OF parted FOR VALUES FROM (MINVALUE) TO ('[0]');
    CREATE TABLE parted_high PARTITION OF parted FOR VALUES FROM ('[0]') TO (MAXVALUE);
    INSERT INTO parted VALUES ('[-1]'), ('[1]');
    -- made by hand on our types: depends on the extension, is no part of it
    CREATE AGGREGATE own_sum(vector) (SFUNC = vector_add, STYPE = vector);
    CREATE OPERATOR CLASS reverse_ops FOR TYPE vector USING btree AS OPERATOR 1 >, OPERATOR 2 >=, OPERATOR 3 =, OPERATOR 4 <=, OPERATOR 5 <, FUNCTION 1 vector_cmp(vector, vector);
};
$node->safe_psql('original', $contents);

# What a database holds, in one text.
my $inspect = q{
    SELECT md5(string_agg(items::text, ';' ORDER BY id)) FROM items;
    SELECT attname, format_type(atttypid, atttypmod), attnotnull, attstorage FROM pg_attribute WHERE attrelid = 'items'::regclass AND attnum > 0 ORDER BY attnum;
    SELECT indexrelid::regclass, indisunique, indisvalid, pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = 'items'::regclass ORDER BY indexrelid::regclass::text;
    SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'items'::regclass AND contype <> 'n' ORDER BY conname;
    SELECT * FROM near; SELECT * FROM center; SELECT closest('[50,-50,16]'); SELECT * FROM typed; SELECT tableoid::regclass, v FROM parted ORDER BY v;
    SELECT own_sum(v) FROM items WHERE id < 5;
    SELECT count(*) FROM items WHERE s = '{9:1.2857142857142857}/1000000000';};
my $original = $node->safe_psql('original', $inspect);
like($original, qr/^[0-9a-f]{32}$/m, 'the original is readable');
like($original, qr/vector\(3\).*halfvec\(2\).*sparsevec\(1000000000\).*vector\(2\)\[\]/s, 'type modifiers');

# ---------------------------------------------------------------- plain text and archive

for my $format ('plain', 'custom')
{
    my $file = "$scratch/$format";
    my $db   = "from_$format";
    $node->command_ok([ 'pg_dump', '-F', $format, '-f', $file, $node->connstr('original') ], "$format: pg_dump");
    $node->safe_psql('postgres', "CREATE DATABASE $db TEMPLATE template0");
    $node->command_ok($format eq 'plain'
        ? [ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-f', $file, $node->connstr($db) ]
        : [ 'pg_restore', '-e', '-j', '2', '-d', $node->connstr($db), $file ], "$format: restore");
    is($node->safe_psql($db, $inspect), $original, "$format: all is as it was");
    is(sqlstate($node, $db, "INSERT INTO items (id, v) VALUES (999, '[1,-1,0.33333334]')"), '23505', "$format: the unique index works");
    is(sqlstate($node, $db, "INSERT INTO items (id, h) VALUES (999, '[1]')"), '22000', "$format: type modifiers work");
}
my $dump = slurp_file("$scratch/plain");
like($dump, qr/CREATE EXTENSION IF NOT EXISTS omendb/, 'the dump creates the extension');
unlike($dump, qr/CREATE (?:FUNCTION|TYPE|CAST) (?:public\.)?vector|vector_in/, 'and not its objects');
$node->command_ok([ 'pg_dump', '-s', '-f', "$scratch/again", $node->connstr('from_plain') ], 'a dump of the copy');
$node->command_ok([ 'pg_dump', '-s', '-f', "$scratch/first", $node->connstr('original') ], 'a dump of the original');
# From 15.14 on each dump has a random key of its own in \restrict.
is(join('', grep { !/^\\(?:un)?restrict/ } split /^/, slurp_file("$scratch/again")), join('', grep { !/^\\(?:un)?restrict/ } split /^/, slurp_file("$scratch/first")), 'are the same schema');

# ---------------------------------------------------------------- another schema

$node->safe_psql('postgres', 'CREATE DATABASE schemas');
$node->safe_psql('schemas', 'CREATE SCHEMA x; CREATE SCHEMA y; CREATE EXTENSION omendb SCHEMA x');
is(sqlstate($node, 'schemas', "SELECT '[1]'::vector"), '42704', 'not in the search path: not found');
my $qualified = q{
    SELECT '[1,2]'::S.vector OPERATOR(S.<->) '[1,5]'::S.vector, S.l2_distance('[1]'::S.vector, '[3]'::S.vector), S.avg(v), ('[1,2]'::S.vector(2))::S.halfvec, '{1:1}/2'::S.sparsevec::S.vector
        FROM (VALUES ('[1,2]'::S.vector), ('[3,4]')) t(v);};
my $unqualified = q{
    SELECT '[1,2]'::vector <-> '[1,5]', l2_distance('[1]'::vector, '[3]'), avg(v), '[1,2]'::vector(2)::halfvec, '{1:1}/2'::sparsevec::vector FROM (VALUES ('[1,2]'::vector), ('[3,4]')) t(v);};
my $answer = '3|2|[2,3]|[1,2]|[1,0]';
(my $in_x = $qualified) =~ s/S\./x./g;
(my $in_y = $qualified) =~ s/S\./y./g;
is($node->safe_psql('schemas', $in_x), $answer, 'qualified');
is($node->safe_psql('schemas', "SET search_path = public, x; $unqualified"), $answer, 'unqualified');
# btree: the default operator class is found without the search path
$node->safe_psql('schemas', "CREATE TABLE t (v x.vector(2) UNIQUE, h x.halfvec(2)); INSERT INTO t VALUES ('[1,2]', '[3,4]'), ('[0,5]', NULL);
    CREATE VIEW w AS SELECT v OPERATOR(x.<->) '[1,1]' AS d FROM t; CREATE FUNCTION f() RETURNS x.vector LANGUAGE sql SET search_path = x AS \$\$ SELECT sum(v) FROM public.t \$\$;");
is($node->safe_psql('schemas', 'SELECT v FROM t ORDER BY v'), "[0,5]\n[1,2]", 'ORDER BY needs no search path');
is(sqlstate($node, 'schemas', "INSERT INTO t VALUES ('[1,2]')"), '23505', 'nor does a unique index');
$node->safe_psql('schemas', 'ALTER EXTENSION omendb SET SCHEMA y');
is($node->safe_psql('schemas', "SELECT count(*) FROM pg_depend d JOIN pg_proc p ON p.oid = d.objid WHERE d.classid = 'pg_proc'::regclass AND d.deptype = 'e' AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'omendb')
    AND p.pronamespace <> 'y'::regnamespace"), 0, 'ALTER EXTENSION SET SCHEMA moved everything');
is($node->safe_psql('schemas', "SELECT count(*) FROM pg_class WHERE relnamespace = 'x'::regnamespace UNION ALL SELECT count(*) FROM pg_proc WHERE pronamespace = 'x'::regnamespace UNION ALL SELECT count(*) FROM pg_type WHERE typnamespace = 'x'::regnamespace
    UNION ALL SELECT count(*) FROM pg_operator WHERE oprnamespace = 'x'::regnamespace UNION ALL SELECT count(*) FROM pg_opclass WHERE opcnamespace = 'x'::regnamespace"), "0\n0\n0\n0\n0", 'and left nothing');
is($node->safe_psql('schemas', $in_y), $answer, 'qualified, after it');
is($node->safe_psql('schemas', "SET search_path = public, y; $unqualified"), $answer, 'unqualified, after it');
is($node->safe_psql('schemas', 'SELECT v FROM t ORDER BY v; SELECT d FROM w ORDER BY d; SET enable_seqscan = off; SELECT h FROM t WHERE v OPERATOR(y.=) (SELECT min(v::text) FROM t)::y.vector'), "[0,5]\n[1,2]\n1\n4.123105625617661\n", 'tables, views and indexes go on');
is(sqlstate($node, 'schemas', 'SELECT f()'), '42883', 'a function with the old search path does not');
$node->safe_psql('schemas', 'ALTER FUNCTION f SET search_path = y');
is($node->safe_psql('schemas', 'SELECT f()'), '[1,7]', 'but does with the new');
$node->command_ok([ 'pg_dump', '-f', "$scratch/schemas", $node->connstr('schemas') ], 'dump with the extension in a schema');
$node->safe_psql('postgres', 'CREATE DATABASE schemas_copy TEMPLATE template0');
$node->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-f', "$scratch/schemas", $node->connstr('schemas_copy') ], 'restore with the extension in a schema');
is($node->safe_psql('schemas_copy', "SELECT extnamespace::regnamespace FROM pg_extension WHERE extname = 'omendb'; SELECT v FROM t ORDER BY v; SELECT f()"), "y\n[0,5]\n[1,2]\n[1,7]", 'all is there');

# ---------------------------------------------------------------- DROP EXTENSION

# Every catalog's rows that are not those of a fresh database.
my $everything = join "\nUNION ALL ", map { "SELECT '$_', count(*) FROM $_" } qw(pg_type pg_proc pg_operator pg_cast pg_opclass pg_opfamily pg_amop pg_amproc pg_aggregate pg_depend pg_description pg_extension pg_am pg_class pg_namespace);
$node->safe_psql('postgres', 'CREATE DATABASE dropping');
my $fresh = $node->safe_psql('dropping', $everything);
$node->safe_psql('dropping', 'CREATE EXTENSION omendb');
isnt($node->safe_psql('dropping', $everything), $fresh, 'CREATE EXTENSION makes objects');
$node->safe_psql('dropping', 'DROP EXTENSION omendb');
is($node->safe_psql('dropping', $everything), $fresh, 'DROP EXTENSION leaves nothing behind');
$node->safe_psql('dropping', 'CREATE EXTENSION omendb; CREATE TABLE t (id int, v vector(3))');
is(sqlstate($node, 'dropping', 'DROP EXTENSION omendb'), '2BP01', 'a column keeps it');
is(sqlstate($node, 'dropping', 'DROP FUNCTION vector_add'), '2BP01', 'its objects cannot be dropped alone');
is(sqlstate($node, 'dropping', 'DROP TYPE halfvec CASCADE'), '2BP01', 'not even so');
$node->safe_psql('dropping', 'DROP EXTENSION omendb CASCADE');
is($node->safe_psql('dropping', "SELECT string_agg(attname, ',') FROM pg_attribute WHERE attrelid = 't'::regclass AND attnum > 0 AND NOT attisdropped"), 'id', 'CASCADE takes the column');
$node->safe_psql('dropping', "CREATE EXTENSION omendb; SELECT '[1]'::vector; DROP EXTENSION omendb; CREATE EXTENSION omendb; SELECT '[1]'::vector <-> '[2]'");
is(sqlstate($node, 'dropping', 'CREATE EXTENSION omendb'), '42710', 'once in a database');
is(sqlstate($node, 'dropping', "CREATE EXTENSION omendb VERSION '99'"), '42710', 'whatever the version');

# ---------------------------------------------------------------- no superuser

$node->safe_psql('postgres', 'CREATE ROLE maker LOGIN; CREATE ROLE other LOGIN; CREATE DATABASE trusted; GRANT CREATE ON DATABASE trusted TO maker');
my $as = sub { my ($role, $sql) = @_; my ($out, $err) = ('', ''); $node->psql('trusted', $sql, stdout => \$out, stderr => \$err, extra_params => [ '-U', $role, '-v', 'VERBOSITY=sqlstate' ]); return $err =~ /ERROR:\s+(\w{5})/ ? "ERROR $1" : $out };
is($as->('other', 'CREATE EXTENSION omendb'), 'ERROR 42501', 'without CREATE on the database: no');
$node->safe_psql('trusted', 'CREATE SCHEMA own AUTHORIZATION maker');
is($as->('maker', "CREATE EXTENSION omendb SCHEMA own; SELECT '[1,2]'::own.vector"), '[1,2]', 'with it: yes');
is($as->('maker', "SELECT extowner::regrole FROM pg_extension WHERE extname = 'omendb'"), 'maker', 'and it belongs to its maker');
$node->safe_psql('trusted', 'GRANT USAGE ON SCHEMA own TO other');
is($as->('other', "SET search_path = own; SELECT '[1,2]'::vector <-> '[1,3]', avg(v), '[1]'::vector::halfvec, '[1]'::vector < '[2]' FROM (VALUES ('[1]'::vector)) t(v)"), '1|[1]|[1]|t', 'all may use it');
is($as->('other', 'DROP EXTENSION omendb'), 'ERROR 42501', 'others may not drop it');
is($as->('maker', 'DROP EXTENSION omendb'), '', 'its maker may');

$node->stop;
done_testing();
