# Adoption of what an owner has changed, and beside others who work in the database. Needs
# pgvector and `make install-adoption`: TESTS=adoption.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../t/lib";
use OmendbTest;

use PostgreSQL::Test::Utils;
use Test::More;

my $node   = start_node('edges', "max_prepared_transactions = 5");
my $adopt  = doc_sql('from-pgvector.md', 'in place');
my $return = doc_sql('from-pgvector.md', 'back');
my $version = $node->safe_psql('postgres', "SELECT default_version FROM pg_available_extensions WHERE name = 'vector'");
$return =~ s/UPDATE TO '\K[\d.]+/$version/ or die;

sub new_database
{
    my ($name, @sql) = @_;
    $node->safe_psql('postgres', "CREATE DATABASE $name");
    $node->safe_psql($name, join ';', "CREATE EXTENSION vector; CREATE TABLE t (id int PRIMARY KEY, e vector(3), h halfvec(3));
        INSERT INTO t SELECT i, ARRAY[i, i % 7, 1], ARRAY[i % 5, i, 1] FROM generate_series(1, 200) i;
        CREATE INDEX e_l2 ON t USING hnsw (e vector_l2_ops)", @sql);
    return;
}

# What psql says, with SQLSTATEs, details and hints; without the script that an error is in.
sub said
{
    my ($db, $sql) = @_;
    my ($stdout, $stderr) = ('', '');
    $node->psql($db, $sql, stdout => \$stdout, stderr => \$stderr, on_error_stop => 0, extra_params => [ '-v', 'VERBOSITY=verbose' ]);
    $stderr =~ s/^CONTEXT: .*//ms;
    return $stderr;
}

my $commands = 'SELECT index FROM hnsw_reindex_commands() ORDER BY index::text';
my $nearest  = "SET enable_seqscan = off; SELECT id FROM t ORDER BY e <-> '[7,0,1]' LIMIT 1";

# ---------------------------------------------------------------- indexes that others build

new_database('building', 'CREATE INDEX norms ON t (vector_norm(e))', 'CREATE ACCESS METHOD mine TYPE INDEX HANDLER hnswhandler',
    'CREATE OPERATOR CLASS mine_ops DEFAULT FOR TYPE vector USING mine AS OPERATOR 1 <-> (vector, vector) FOR ORDER BY float_ops, FUNCTION 1 vector_l2_squared_distance(vector, vector)', 'CREATE INDEX e_mine ON t USING mine (e)');
my $other = $node->background_psql('building', on_error_stop => 0);
for my $case ([ 'a new index' => 'CREATE INDEX e_ip ON t USING hnsw (e vector_ip_ops)' ], [ 'a new table' => 'CREATE TABLE u AS SELECT * FROM t; CREATE INDEX u_e ON u USING ivfflat (e vector_l2_ops) WITH (lists = 1)' ],
    [ 'REINDEX' => 'REINDEX INDEX e_l2' ], [ 'REINDEX of an index over norms' => 'REINDEX INDEX norms' ], [ "an access method of the user's" => 'REINDEX INDEX e_mine' ], [ 'TRUNCATE' => 'CREATE TABLE w (e vector(3)); CREATE INDEX w_e ON w USING hnsw (e vector_l2_ops); COMMIT; BEGIN; TRUNCATE w' ])
{
    my ($name, $sql) = @$case;
    $other->query_safe("SET client_min_messages = error; BEGIN; $sql");
    like(said('building', $adopt), qr/ERROR:  55006: an index of extension "vector" may be being built\nDETAIL:  Process \d+ is creating .*\nHINT:  Try again when that transaction has ended\./, "$name, not committed: adoption is refused");
    $other->query_safe('COMMIT');
}
# As CREATE INDEX CONCURRENTLY is while it waits for others.
$other->query_safe("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'e_ip'::regclass; BEGIN; LOCK TABLE t IN SHARE UPDATE EXCLUSIVE MODE");
like(said('building', $adopt), qr/ERROR:  55006: /, 'an index that is built CONCURRENTLY: adoption is refused');
$other->query_safe("COMMIT; BEGIN; CREATE INDEX e_l1 ON t USING hnsw (e vector_l1_ops); PREPARE TRANSACTION 'index'");
like(said('building', $adopt), qr/ERROR:  55006: .*\nDETAIL:  A prepared transaction/, 'of a prepared transaction, too');
$other->query_safe("COMMIT PREPARED 'index'");
like(said('building', "SET default_transaction_isolation = 'repeatable read'; $adopt"), qr/ERROR:  55000: .* repeatable read transaction\nDETAIL: .*\nHINT:  SET default_transaction_isolation/, 'a transaction that may not see them all');
# Sessions that only read and write do not matter; nor does what they hold of other kinds.
$other->query_safe('BEGIN; UPDATE t SET e = e WHERE id = 1; CREATE TEMPORARY SEQUENCE own; ROLLBACK; BEGIN; UPDATE t SET e = e WHERE id = 1');
my $builder = $node->background_psql('building', on_error_stop => 0);
my $adopter = $node->background_psql('building', on_error_stop => 0);
$adopter->query_safe("SET client_min_messages = error; BEGIN; $adopt");
$other->query_safe('COMMIT');
is($node->safe_psql('building', 'SELECT count(*) FROM t'), 200, 'meanwhile others read');
# Whoever begins to build now, waits, and has to reconnect.
$builder->query_until(qr/begins/, "\\echo begins\nCREATE INDEX late ON t USING hnsw (h halfvec_l2_ops);\n");
$node->poll_query_until('building', q{SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND relation = 'pg_index'::regclass)}) or die 'nobody waits for pg_index';
$adopter->query_safe('COMMIT');
is($builder->query('SELECT 1'), '1', 'whoever begins to build while the adoption is not committed waits');
like($builder->{stderr}, qr/ERROR: .*already defined by another extension.*HINT:  Reconnect/s, 'and has to reconnect');
$_->quit for $other, $builder, $adopter;
is($node->safe_psql('building', $commands), "e_ip\ne_l1\ne_l2\ne_mine\nnorms\nu_e\nw_e", 'the others are listed');

# Were one out of sight all the same: it is listed by its pages, though it is valid.
$node->safe_psql('building', "UPDATE pg_index SET indisvalid = true, indisready = true WHERE indexrelid IN ('e_l2'::regclass, 'u_e'::regclass)");
is($node->safe_psql('building', $commands), "e_ip\ne_l1\ne_l2\ne_mine\nnorms\nu_e\nw_e", 'a valid index with pages of pgvector is listed');
like(said('building', $nearest), qr/ERROR:  55000: index "e_l2" was built by pgvector\n.*HINT:  Run REINDEX INDEX CONCURRENTLY public\.e_l2\./s, 'and refused by a search');
my ($out, $err) = ('', '');
$node->psql('building', doc_sql('from-pgvector.md', 'rebuild'), stdout => \$out, stderr => \$err, on_error_stop => 0);
unlike($err, qr/ERROR/, 'REINDEX CONCURRENTLY of all of them');
is($node->safe_psql('building', "$commands; SELECT count(*) FROM pg_index WHERE NOT indisvalid; $nearest"), "0\n7", 'makes them good');

# Two at once: the second one waits, and has nothing left to do.
new_database('twice');
my ($first, $second) = map { $node->background_psql('twice', on_error_stop => 0) } 1, 2;
$first->query_safe("SET client_min_messages = error; BEGIN; $adopt");
$second->query_until(qr/begins/, "\\echo begins\n$adopt;\n");
$node->poll_query_until('twice', "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query ~ '^ *ALTER EXTENSION')") or die 'nobody waits';
$first->query_safe('COMMIT');
is($second->query('SELECT 1'), '1', 'the second adoption waits, and its session lives on');
$_->quit for $first, $second;
is($node->safe_psql('twice', "SELECT extversion FROM pg_extension WHERE extname = 'vector'; SELECT DISTINCT probin FROM pg_proc WHERE probin ~ 'omendb|vector'"), "omendb\n\$libdir/omendb", 'the first one has done it');

# Whoever begins to rebuild waits, too, forth and back: else an index by the library before would be valid.
new_database('rebuilding', 'CREATE TABLE w AS SELECT * FROM t', 'CREATE INDEX w_e ON w USING hnsw (e vector_l2_ops)', 'CREATE INDEX h_l2 ON t USING hnsw (h halfvec_l2_ops)', 'CREATE INDEX norms ON t (vector_norm(e))');
# pgvector's library cannot even be loaded into a session that has used an index of omendb's.
for my $case ([ 'forth', $adopt, qr/ERROR: .*already defined by another extension/, 'e_l2 w_e', qw(REINDEX TRUNCATE) ], [ 'back', $return, qr/ERROR: .*attempt to redefine parameter/, 'e_l2 norms w_e', qw(REINDEX TRUNCATE norms) ])
{
    my ($way, $update, $expected, $left, @refused) = @$case;
    my %is_refused = map { $_ => 1 } @refused;
    my %session = map { $_ => $node->background_psql('rebuilding', on_error_stop => 0) } qw(update REINDEX TRUNCATE norms fresh);
    $session{$_}->query_safe($nearest) for qw(REINDEX TRUNCATE norms);
    $session{update}->query_safe("SET client_min_messages = error; BEGIN; $update");
    my %command = (REINDEX => 'REINDEX INDEX e_l2', TRUNCATE => 'TRUNCATE w', norms => 'REINDEX INDEX norms', fresh => 'REINDEX INDEX h_l2');
    $session{$_}->query_until(qr/begins/, "\\echo begins\n$command{$_};\n") for sort keys %command;
    $node->poll_query_until('rebuilding', q{SELECT count(DISTINCT pid) = 4 FROM pg_locks JOIN pg_class c ON c.oid = relation AND relkind = 'i' WHERE NOT granted}) or die 'not all wait for an index';
    $session{update}->query_safe('COMMIT');
    is($session{$_}->query('SELECT 1'), '1', "$way: $_ waits for the end of the update") for sort keys %command;
    like($session{$_}->{stderr}, $expected, "$way: then $_ of an index by the library before is refused") for @refused;
    unlike($session{$_}->{stderr}, qr/ERROR/, "$way: and $_ builds by the other one") for grep { !$is_refused{$_} } sort keys %command;
    $_->quit for values %session;
    is($node->safe_psql('rebuilding', q{SELECT string_agg(indexrelid::regclass::text, ' ' ORDER BY indexrelid::regclass::text) FROM pg_index WHERE NOT indisvalid}), $left, "$way: no index counts as valid that is not");
    is($node->safe_psql('rebuilding', "SET client_min_messages = error; REINDEX TABLE t; REINDEX TABLE w; $nearest"), 7, "$way: all are rebuilt");
}

# ---------------------------------------------------------------- what an owner has changed

new_database('changed', "ALTER FUNCTION l2_distance(vector, vector) COST 77 SET work_mem = '5MB'", 'ALTER FUNCTION vector_dims(vector) SECURITY DEFINER PARALLEL UNSAFE', 'REVOKE EXECUTE ON FUNCTION vector_norm(vector) FROM public',
    "COMMENT ON FUNCTION l2_distance(vector, vector) IS 'ours'", "CREATE FUNCTION rrf(bigint, int) RETURNS int LANGUAGE sql AS 'SELECT 42'",
    'CREATE FUNCTION farthest(vector, vector) RETURNS float8 IMMUTABLE STRICT LANGUAGE plpgsql AS $$ BEGIN RETURN - l2_distance($1, $2); END $$', 'CREATE OPERATOR <~-> (LEFTARG = vector, RIGHTARG = vector, FUNCTION = farthest)',
    'ALTER OPERATOR FAMILY vector_l2_ops USING hnsw ADD OPERATOR 2 <~-> (vector, vector) FOR ORDER BY float_ops', 'ALTER OPERATOR FAMILY vector_l2_ops USING hnsw ADD OPERATOR 3 < (vector, vector)',
    'CREATE OPERATOR CLASS own_ops FOR TYPE vector USING hnsw AS OPERATOR 1 <-> (vector, vector) FOR ORDER BY float_ops, OPERATOR 9 <~-> (vector, vector) FOR ORDER BY float_ops, FUNCTION 1 vector_l2_squared_distance(vector, vector)',
    'CREATE INDEX e_own ON t USING hnsw (e own_ops)');
my $attributes = 'SELECT oid::regprocedure, procost, proconfig, prosecdef, proparallel, proacl, obj_description(oid, \'pg_proc\') FROM pg_proc WHERE proname IN (\'l2_distance\', \'vector_dims\', \'vector_norm\') ORDER BY oid';
my $before = $node->safe_psql('changed', $attributes);
like(said('changed', $adopt), qr/ERROR:  42723: there is a function public\.rrf\(bigint,integer\) already\nDETAIL: .*\nHINT:  Give yours another name or schema first: ALTER FUNCTION/, "a function of the user's by a name and with arguments of omendb's");
is($node->safe_psql('changed', "SELECT rrf(1, 60); $nearest"), "42\n7", 'all is as it was');
$node->safe_psql('changed', 'ALTER FUNCTION rrf(bigint, int) RENAME TO own_rrf');
is(said('changed', "SET client_min_messages = error; $adopt"), '', 'adoption with another name');
is($node->safe_psql('changed', $attributes), $before, 'functions keep costs, settings, rights, comments');
is($node->safe_psql('changed', $commands), "e_l2\ne_own", 'indexes whose operator families have more operators are listed');
($out, $err) = ('', '');
$node->psql('changed', doc_sql('from-pgvector.md', 'rebuild'), stdout => \$out, stderr => \$err, on_error_stop => 0);
unlike($err, qr/ERROR/, 'and rebuilt, also with a distance function that has settings of its own');
is($node->safe_psql('changed', "$nearest; SELECT id FROM t ORDER BY e <~-> '[7,0,1]' LIMIT 1"), "7\n200", 'an operator that is not the order of an index is not searched for by it');
for my $options ([], ['--binary-upgrade', '--schema-only'])
{
    my $dir = scratch_dir();
    $node->command_ok([ 'pg_dump', @$options, '-f', "$dir/dump", $node->connstr('changed') ], "pg_dump @$options");
    my $dump = slurp_file("$dir/dump");
    # With the members of extensions only pg_upgrade's has them.
    is($dump =~ /ALTER OPERATOR FAMILY public\.vector_l2_ops.*?OPERATOR 2 public\.<~->/s ? 'yes' : 'no', @$options ? 'yes' : 'no', "operators added to a family of the extension in pg_dump @$options");
    next if @$options;
    $node->safe_psql('postgres', 'CREATE DATABASE changed_copy');
    $node->safe_psql('changed_copy', 'CREATE EXTENSION vector; ' . "SET client_min_messages = error; $adopt");
    $node->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-f', "$dir/dump", $node->connstr('changed_copy') ], "restore into an adopted database: a class with more operators");
    is($node->safe_psql('changed_copy', $nearest), 7, 'where it is searched');
}
is(said('changed', "SET client_min_messages = error; $return"), '', 'back to pgvector');
is($node->safe_psql('changed', $attributes), $before, 'they are still as they were');
is($node->safe_psql('changed', "SELECT DISTINCT probin FROM pg_proc WHERE probin ~ 'omendb|vector'"), '$libdir/vector', "and pgvector's");
is($node->safe_psql('changed', "SET client_min_messages = error; REINDEX TABLE t; $nearest"), 7, 'pgvector searches');

# Members of the extension that have become something else.
new_database('replaced', q{CREATE OR REPLACE FUNCTION l2_distance(vector, vector) RETURNS float8 IMMUTABLE STRICT LANGUAGE plpgsql AS 'BEGIN RETURN 42; END'},
    q{CREATE OR REPLACE FUNCTION vector_norm(vector) RETURNS float8 IMMUTABLE STRICT LANGUAGE sql AS 'SELECT 1.0::float8'});
my $not_in_c = qr/ERROR:  55000: functions of extension "vector" are not in C any more: public\.l2_distance\(public\.vector,public\.vector\) in plpgsql, public\.vector_norm\(public\.vector\) in sql\nDETAIL: .*\nHINT:  CREATE OR REPLACE them/;
like(said('replaced', $adopt), $not_in_c, 'functions in another language are named');
$node->safe_psql('replaced', "CREATE OR REPLACE FUNCTION $_->[0](" . join(', ', ('vector') x $_->[1]) . ") RETURNS float8 IMMUTABLE STRICT LANGUAGE c AS '\$libdir/vector', '$_->[0]'") for [ 'l2_distance', 2 ], [ 'vector_norm', 1 ];
is(said('replaced', "SET client_min_messages = error; $adopt"), '', 'in C again they are omendb\'s');
$node->safe_psql('replaced', q{CREATE OR REPLACE FUNCTION l2_distance(vector, vector) RETURNS float8 IMMUTABLE STRICT LANGUAGE plpgsql AS 'BEGIN RETURN 42; END'; CREATE OR REPLACE FUNCTION vector_norm(vector) RETURNS float8 IMMUTABLE STRICT LANGUAGE sql AS 'SELECT 1.0::float8'});
like(said('replaced', $return), $not_in_c, 'on the way back, too');

# The user's functions in the libraries.
new_database('libraries', q{CREATE FUNCTION own_norm(vector) RETURNS float8 IMMUTABLE STRICT LANGUAGE c AS '$libdir/vector', 'vector_norm'}, q{CREATE FUNCTION own_handler(internal) RETURNS index_am_handler LANGUAGE c AS 'vector', 'hnswhandler'});
like(said('libraries', $adopt), qr/ERROR:  55000: functions outside extension "vector" are in its library "vector": public\.own_norm\(public\.vector\), public\.own_handler\(internal\)\nDETAIL: .*\nHINT:  Drop them/, "the user's functions in pgvector's library are named");
$node->safe_psql('libraries', 'DROP FUNCTION own_norm, own_handler');
is(said('libraries', "SET client_min_messages = error; $adopt"), '', 'without them it goes');
$node->safe_psql('libraries', q{CREATE FUNCTION inexact() RETURNS text[] LANGUAGE c AS '$libdir/omendb.so', 'omendb_sql_adoption_inexact'});
like(said('libraries', $return), qr/ERROR:  55000: functions outside extension "vector" are in its library "omendb": public\.inexact\(\)\n/, "and those in omendb's on the way back");

# ---------------------------------------------------------------- extension omendb, too

new_database('two_names');
is(said('two_names', "SET client_min_messages = error; $adopt; CREATE EXTENSION omendb"), '', 'extension omendb in an adopted database');
like(said('two_names', $return), qr/ERROR:  55000: extension "omendb" is in this database, too\nDETAIL: .*\nHINT:  DROP EXTENSION omendb first\./, 'the way back is refused');
is(said('two_names', "SET client_min_messages = error; DROP EXTENSION omendb; $return"), '', 'without it it is not');

# ---------------------------------------------------------------- what make install-vector left

{
    # On the way to a version of its own, for other tests use the same files.
    my ($pg_config, $extensions) = map { chomp; $_ } map { `pg_config $_` } '--bindir', '--sharedir';
    my $script = 'build/sql/vector/vector--omendb--0.8.7.sql';
    my $output = '';
    IPC::Run::run([ 'make', '-s', '-C', source_root(), $script, "PG_CONFIG=$pg_config/pg_config" ], '>&', \$output) or die $output;
    my $leftover = "$extensions/extension/vector--omendb--leftover.sql";
    append_to_file($leftover, slurp_file(source_root() . "/$script"));
    new_database('leftover');
    my $refused = qr/ERROR:  55000: the extension "vector" that is installed on this server is not omendb's\nDETAIL: .*\nHINT:  Remove them by "make uninstall-vector"\./;
    like(said('leftover', "SET client_min_messages = error; ALTER EXTENSION vector UPDATE TO 'leftover'"), $refused, "beside pgvector's control file its script makes nothing omendb's");
    is($node->safe_psql('leftover', "SELECT extversion FROM pg_extension WHERE extname = 'vector'; SELECT DISTINCT probin FROM pg_proc WHERE probin ~ 'omendb|vector'; $nearest"), "$version\n\$libdir/vector\n7", 'all is as it was');
    is(said('leftover', "SET client_min_messages = error; $adopt"), '', 'adoption');
    like(said('leftover', "ALTER EXTENSION vector UPDATE TO 'leftover'"), $refused, "nor gives it a version of pgvector's");
    unlink $leftover or die $!;
}

$node->stop;
unlike(slurp_file($node->logfile), qr/TRAP:|was terminated by signal|PANIC/, 'the server did not crash');
done_testing();
