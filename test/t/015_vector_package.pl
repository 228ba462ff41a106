# The extension named vector, out of omendb's library (make install-vector): alone,
# beside the extension omendb in either order, and in a database that pgvector made.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use OmendbTest;
use lib compat_dir();
use Surface qw(read_list read_differences split_scope compare catalog_rows);

use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_node('package');

sub new_database
{
    my ($name, $sql) = @_;
    $node->safe_psql('postgres', "CREATE DATABASE $name");
    $node->safe_psql($name, $sql) if defined $sql;
    return;
}

# (stdout, stderr), with SQLSTATEs, details and hints
sub talk
{
    my ($db, $sql) = @_;
    my ($stdout, $stderr) = ('', '');
    $node->psql($db, $sql, stdout => \$stdout, stderr => \$stderr, on_error_stop => 0, extra_params => [ '-v', 'VERBOSITY=verbose' ]);
    return ($stdout, $stderr);
}

my $scratch = scratch_dir();

# Restores a dump of the first database into the second, which is new.
sub copy_by_dump
{
    my ($from, $to) = @_;
    new_database($to);
    $node->command_ok([ 'pg_dump', '-f', "$scratch/$from", $node->connstr($from) ], "$from: dump");
    $node->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-f', "$scratch/$from", $node->connstr($to) ], "$from: restore");
    return;
}

my $table = "CREATE TABLE t (e vector(3), h halfvec(3), s sparsevec(3)); INSERT INTO t VALUES ('[1,2,3]', '[1,2,3]', '{1:1}/3'), ('[4,5,6]', NULL, NULL);
    CREATE INDEX t_e ON t USING hnsw (e vector_l2_ops)";
my $nearest = "SET enable_seqscan = off; SELECT e FROM t ORDER BY e <-> '[4,5,5]' LIMIT 1";
my $members = "SELECT count(*) FROM pg_depend WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e' AND refobjid = (SELECT oid FROM pg_extension WHERE extname =";

# ---------------------------------------------------------------- alone

new_database('alone', "CREATE EXTENSION vector; $table");
{
    use_node($node, 'alone');
    my @deliberate = read_differences(compat_dir() . '/differences.tsv');
    my ($in) = split_scope(\@deliberate, read_list(compat_dir() . '/pgvector-surface.tsv'));
    # Settings are asked for by the extension's name.
    my @own = grep { $_->[1] ne 'omendb.simd_level' } @Surface::OWN;
    is_deeply([ compare($in, [ catalog_rows('vector') ], \@own) ], [], "the objects are those of pgvector, and omendb's own");
}
is($node->safe_psql('alone', "SELECT DISTINCT probin FROM pg_proc WHERE probin ~ 'omendb|vector'"), '$libdir/omendb', "out of omendb's library");
is($node->safe_psql('alone', $nearest), '[4,5,6]', 'an index finds');
is(sqlstate($node, 'alone', 'ALTER EXTENSION vector UPDATE'), '', 'there is nothing to update');
copy_by_dump('alone', 'alone_copy');
is($node->safe_psql('alone_copy', "$nearest; SELECT extname, extversion FROM pg_extension WHERE extname <> 'plpgsql'"), "[4,5,6]\nvector|0.8.7", 'the same there');
is(sqlstate($node, 'alone_copy', 'DROP EXTENSION vector'), '2BP01', 'a column keeps it');
$node->safe_psql('alone_copy', 'DROP EXTENSION vector CASCADE');
is($node->safe_psql('alone_copy', "SELECT count(*) FROM pg_proc WHERE probin ~ 'omendb'"), 0, 'DROP EXTENSION leaves nothing');

# The name of the version that a database of pgvector's gets, and back: it is omendb's all the while.
for my $version ('omendb', '0.8.7')
{
    is((talk('alone', "ALTER EXTENSION vector UPDATE TO '$version'"))[1], '', "to version $version");
    is($node->safe_psql('alone', "SELECT indisvalid FROM pg_index WHERE indexrelid = 't_e'::regclass; $nearest"), "t\n[4,5,6]", 'its indexes stay in use');
}

# Who may create in a database may create it.
$node->safe_psql('postgres', 'CREATE ROLE maker LOGIN; CREATE DATABASE trusted OWNER maker');
my $stderr = '';
$node->psql('trusted', "CREATE SCHEMA own; CREATE EXTENSION vector SCHEMA own; SELECT '[1]'::own.vector", stderr => \$stderr, extra_params => [ '-U', 'maker' ]);
is($stderr, '', 'no superuser is needed');

# And is no superuser by that: operators of theirs are not called, though they fit the scripts' operands better.
my $traps = q{
    DO $$
    DECLARE
        types text[] := ARRAY['oid', 'name', 'text', '"char"', 'int4', 'int8', 'regclass', 'regnamespace', 'regproc', 'regtype'];
        sign text; a text; b text;
    BEGIN
        FOR sign, a, b IN SELECT s, x, y FROM unnest(ARRAY['=', '<>', '<']) s, unnest(types) x, unnest(types) y WHERE x <> y LOOP
            IF sign = '=' THEN
                EXECUTE format($f$CREATE FUNCTION trap(%s, %s) RETURNS bool LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''called as %%'', current_user; END'$f$, a, b);
            END IF;
            EXECUTE format('CREATE OPERATOR %s (LEFTARG = %s, RIGHTARG = %s, FUNCTION = trap)', sign, a, b);
        END LOOP;
    END $$};
$node->safe_psql('postgres', 'CREATE DATABASE trap OWNER maker; CREATE DATABASE trap2 OWNER maker');
for my $case ([ 'trap', 'omendb', 'vector' ], [ 'trap2', 'vector', 'omendb' ])
{
    my ($db, @extensions) = @$case;
    my @maker = (extra_params => [ '-U', 'maker' ]);
    $node->psql($db, $traps, stderr => \$stderr, @maker);
    is($stderr, '', "$db: operators by the maker");
    for my $sql ((map { "CREATE EXTENSION $_" } @extensions), "ALTER EXTENSION vector UPDATE TO 'omendb'", 'DROP EXTENSION ' . join(', ', @extensions) . '; CREATE DOMAIN vector AS int; CREATE EXTENSION omendb')
    {
        $node->psql($db, $sql, stderr => \$stderr, @maker);
        unlike($stderr, qr/called as/, "$db: $sql calls none of them");
    }
}

# ---------------------------------------------------------------- both

for my $case ([ 'omendb_first', 'omendb', 'vector' ], [ 'vector_first', 'vector', 'omendb' ])
{
    my ($db, $first, $second) = @$case;
    new_database($db, "CREATE EXTENSION $first; $table; CREATE EXTENSION $second");
    is($node->safe_psql($db, "SELECT count(*) FROM pg_type WHERE typname = 'vector'; $members '$second')"), "1\n1", "$db: one set of types");
    is($node->safe_psql($db, "SELECT ${second}_uses_$first('[1]'); $nearest"), "t\n[4,5,6]", 'as a function says');
    is(sqlstate($node, $db, "DROP EXTENSION $first"), '2BP01', 'the first one stays while the second one is there');
    like((talk($db, "ALTER EXTENSION vector UPDATE TO 'omendb'"))[1], $first eq 'vector' ? qr/^$/ : qr/ERROR:  55000: extension "vector" is omendb in this database already\nDETAIL: .*extension "omendb"/, 'nothing is to be adopted');
    $node->safe_psql($db, "ALTER EXTENSION vector UPDATE TO '0.8.7'") if $first eq 'vector';
    copy_by_dump($db, "${db}_copy");
    is($node->safe_psql("${db}_copy", "SELECT string_agg(extname, ',' ORDER BY extname) FROM pg_extension WHERE extname <> 'plpgsql'; $nearest"), "omendb,vector\n[4,5,6]", 'a copy has both');
    $node->safe_psql($db, "DROP EXTENSION $second");
    is($node->safe_psql($db, $nearest), '[4,5,6]', 'without the second one all goes on');
}

# In schemas of their own.
new_database('schemas', 'CREATE SCHEMA a; CREATE SCHEMA b; CREATE EXTENSION omendb SCHEMA b; CREATE EXTENSION vector SCHEMA a; CREATE TABLE t (e b.vector(3))');
copy_by_dump('schemas', 'schemas_copy');
is($node->safe_psql('schemas_copy', "SELECT typnamespace::regnamespace FROM pg_type WHERE typname = 'vector'"), 'b', 'the type is in the schema of omendb');
new_database('schemas2', 'CREATE SCHEMA a; CREATE EXTENSION vector SCHEMA a; CREATE EXTENSION omendb; CREATE TABLE t (e a.vector(3))');
copy_by_dump('schemas2', 'schemas2_copy');
is($node->safe_psql('schemas2_copy', "SELECT typnamespace::regnamespace FROM pg_type WHERE typname = 'vector'"), 'a', 'or in that of vector: a dump creates first what was first');

# Of names that want quotes.
for my $extension (qw(omendb vector))
{
    my $db = "quoted_$extension";
    new_database($db, qq{CREATE SCHEMA "Ext Sch""ema"; CREATE EXTENSION $extension SCHEMA "Ext Sch""ema"; CREATE TABLE t (e "Ext Sch""ema".vector(3)); CREATE INDEX ON t USING hnsw (e "Ext Sch""ema".vector_l2_ops)});
    copy_by_dump($db, "${db}_copy");
    is($node->safe_psql("${db}_copy", "SELECT count(*) FROM hnsw_index_check('t_e_idx')" =~ s/hnsw_index_check/"Ext Sch""ema".hnsw_index_check/r), 0, "$extension in a schema whose name wants quotes, and a copy of it");
}

# Moved afterwards, each of them.
for my $case ([ 'moved_omendb', 'omendb', 'vector' ], [ 'moved_vector', 'vector', 'omendb' ])
{
    my ($db, $first, $second) = @$case;
    new_database($db, "CREATE SCHEMA a; CREATE SCHEMA b; CREATE EXTENSION $first; CREATE EXTENSION $second; $table; ALTER EXTENSION $first SET SCHEMA a; ALTER EXTENSION $second SET SCHEMA b");
    copy_by_dump($db, "${db}_copy");
    is($node->safe_psql("${db}_copy", "SELECT extname, extnamespace::regnamespace FROM pg_extension WHERE extname <> 'plpgsql' ORDER BY extname = '$second'; SET search_path = a; SELECT e FROM public.t ORDER BY e <-> '[4,5,5]' LIMIT 1"),
        "$first|a\n$second|b\n[4,5,6]", "$db: a copy of it");
    is(sqlstate($node, "${db}_copy", "DROP EXTENSION $first"), '2BP01', 'in which the first one stays while the second one is there');
}

# A type of that name that is somebody else's.
new_database('taken', 'CREATE DOMAIN vector AS int');
for my $extension (qw(omendb vector))
{
    like((talk('taken', "CREATE EXTENSION $extension"))[1], qr/ERROR:  42710: type "vector" or access method "hnsw" already exists\nHINT:  .*UPDATE TO 'omendb'/, "$extension beside another type of that name");
}

# ---------------------------------------------------------------- a database that pgvector made

# As its catalogs are when the server has pgvector's library no more.
new_database('bereft', "CREATE EXTENSION vector; $table; UPDATE pg_proc SET probin = '\$libdir/vector_that_is_gone' WHERE probin = '\$libdir/omendb'; UPDATE pg_extension SET extversion = '0.8.0' WHERE extname = 'vector'");
is(sqlstate($node, 'bereft', 'SELECT e FROM t'), '58P01', 'without its library a type cannot be read');
my (undef, $said) = talk('bereft', 'ALTER EXTENSION vector UPDATE');
like($said, qr/WARNING:  01000: 1 hnsw and ivfflat indexes are out of use until REINDEX\nHINT:  .*hnsw_reindex_commands\(\)/, 'UPDATE makes it omendb\'s and says what is left to do');
is($node->safe_psql('bereft', "SELECT extversion FROM pg_extension WHERE extname = 'vector'; SELECT indisvalid, indisready FROM pg_index WHERE indexrelid = 't_e'::regclass"), "0.8.7\nf|f", 'the version and the index');
is($node->safe_psql('bereft', "INSERT INTO t VALUES ('[7,8,9]'); DELETE FROM t WHERE e = '[1,2,3]'; VACUUM t; $nearest"), '[4,5,6]', 'all but the index goes on');
is($node->safe_psql('bereft', 'SELECT index, command FROM hnsw_reindex_commands()'), 't_e|REINDEX (VERBOSE) INDEX CONCURRENTLY public.t_e /* 1 of 1 */', 'the command');
like((talk('bereft', 'SELECT command FROM hnsw_reindex_commands() \gexec'))[1], qr/index "public\.t_e" was reindexed/, 'as psql runs it');
is($node->safe_psql('bereft', "SELECT * FROM hnsw_index_check('t_e', true); $nearest"), '[4,5,6]', 'the index is good');
# What a failed REINDEX CONCURRENTLY leaves behind is not to be rebuilt, and no other index is.
my $long = 'l' x 63;
my $copy = ('l' x 56) . '_ccnew1';
$node->safe_psql('bereft', "CREATE INDEX t_e_ccnew ON t USING hnsw (e vector_l2_ops); CREATE INDEX bt ON t (e); CREATE INDEX norms ON t (vector_norm(e));
    CREATE INDEX $long ON t USING hnsw (e vector_ip_ops) WITH (m = 8) WHERE e > '[1]'; CREATE INDEX $copy ON t USING hnsw (e vector_ip_ops) WITH (m = 8) WHERE e > '[1]';
    UPDATE pg_index SET indisvalid = false WHERE indexrelid IN ('t_e_ccnew'::regclass, '$copy'::regclass, 'bt'::regclass)");
is($node->safe_psql('bereft', 'SELECT index FROM hnsw_reindex_commands()'), '', 'nothing is left to rebuild');
# By such a name alone an index is the user's.
$node->safe_psql('bereft', "CREATE INDEX my_ccnew ON t USING hnsw (e vector_l1_ops); CREATE INDEX my ON t USING hnsw (h halfvec_l2_ops); CREATE TABLE u (e vector(3)); CREATE INDEX t_e_ccold ON u USING hnsw (e vector_l2_ops);
    CREATE INDEX norms_ccnew2 ON t (vector_norm(e)) WHERE e > '[1]'; CREATE INDEX own_ccnew ON t USING hnsw (e vector_ip_ops);
    UPDATE pg_index SET indisvalid = false WHERE indexrelid::regclass::text IN ('my_ccnew', 't_e_ccold', 'norms_ccnew2', 'own_ccnew')");
is($node->safe_psql('bereft', 'SELECT index FROM hnsw_reindex_commands() ORDER BY index::text COLLATE "C"'), "my_ccnew\nnorms_ccnew2\nown_ccnew\nt_e_ccold", 'an index that has no copy is listed, whatever its name');
$node->safe_psql('bereft', 'DROP TABLE u; DROP INDEX my_ccnew, norms_ccnew2, own_ccnew');
# Of other kinds those over distances and norms are: functions that are omendb's already have computed nothing else.
is((talk('bereft', "ALTER EXTENSION vector UPDATE TO 'omendb'"))[1], '', 'to the version omendb');
is($node->safe_psql('bereft', "SELECT indisvalid FROM pg_index WHERE indexrelid = 'norms'::regclass"), 't', 'an index over norms by omendb stays in use');
$node->safe_psql('bereft', "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'norms'::regclass");
is($node->safe_psql('bereft', 'SELECT command FROM hnsw_reindex_commands()'), 'REINDEX (VERBOSE) INDEX CONCURRENTLY public.norms /* 1 of 1 */', 'one that is not in use is listed');

$node->stop;

# ---------------------------------------------------------------- make

chomp(my $share = `pg_config --sharedir`);
chomp(my $pg_config = `pg_config --bindir`);
$pg_config .= '/pg_config';

sub run_make
{
    my ($goal, $dir) = @_;
    my $output = '';
    IPC::Run::run([ 'make', '-s', '-C', source_root(), $goal, "PG_CONFIG=$pg_config", "DESTDIR=$dir" ], '>&', \$output);
    return ($? >> 8, $output);
}
my $files = sub { join ' ', sort map { s{.*/}{}r } glob "$_[0]$share/extension/vector*" };

my ($status, $output) = run_make('install', "$scratch/one");
is($status, 0, 'make install') or diag($output);
is($files->("$scratch/one"), '', 'installs nothing by the name of vector');
($status, $output) = run_make('install-adoption', "$scratch/none");
isnt($status, 0, 'make install-adoption without pgvector is refused');
like($output, qr/^install-adoption needs pgvector, one of: 0\.8\.0 .*0\.8\.7; .* has 'none'$/m, 'and says why');
unlike($output, qr/^sed:/m, 'and no more');
ok(!-e "$scratch/none$share", 'and installs nothing');
append_to_file("$scratch/one$share/extension/vector.control", "default_version = '0.8.5'\nmodule_pathname = '\$libdir/vector'\n");
($status, $output) = run_make('install-vector', "$scratch/one");
isnt($status, 0, 'make install-vector in the place of pgvector is refused');
like($output, qr/vector\.control is pgvector's/, 'and says why');
is($files->("$scratch/one"), 'vector.control', 'nothing is installed');
($status, $output) = run_make('install-adoption', "$scratch/one");
is($status, 0, 'make install-adoption beside pgvector') or diag($output);
is($files->("$scratch/one"), 'vector--0.8.5--omendb.sql vector--omendb--0.8.5.sql vector.control', "adds a way from pgvector's version and back");
# What an older version of pgvector left is on the way of no update.
append_to_file("$scratch/one$share/extension/vector--0.8.6--0.8.7.sql", '-- of pgvector');
append_to_file("$scratch/one$share/extension/$_", '-- Made by sql/script.awk of') for 'vector--0.8.0--omendb.sql', 'vector--omendb--0.8.7.sql';
($status, $output) = run_make('install-adoption', "$scratch/one");
is($files->("$scratch/one"), 'vector--0.8.5--omendb.sql vector--0.8.6--0.8.7.sql vector--omendb--0.8.5.sql vector.control', 'and takes away those of other versions');
($status, $output) = run_make('install-vector', "$scratch/two") for 1, 2;
is($status, 0, 'make install-vector, and again') or diag($output);
is($files->("$scratch/two"), join(' ', (map { "vector--0.8.$_--omendb.sql" } 0 .. 7), 'vector--0.8.7.sql vector--omendb--0.8.7.sql vector.control'), 'installs the extension');
is((run_make('uninstall-adoption', "$scratch/one"))[0], 0, 'make uninstall-adoption');
is($files->("$scratch/one"), 'vector--0.8.6--0.8.7.sql vector.control', "leaves pgvector's files");
is((run_make('uninstall-vector', "$scratch/two"))[0], 0, 'make uninstall-vector');
is($files->("$scratch/two"), '', 'leaves none');
run_make('install-vector', "$scratch/two");
is((run_make('uninstall', "$scratch/two"))[0], 0, 'make uninstall');
is(join(' ', grep { -f } glob "$scratch/two$share/extension/*"), '', 'leaves none of omendb, either');

done_testing();
