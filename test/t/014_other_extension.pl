# Another extension whose settings are called hnsw.* as well: both libraries can be
# loaded in one session, as pg_upgrade does. Our settings are defined when the session
# uses one of our indexes for the first time; whoever uses both is told.
#
# OMENDB_OTHER_LIBRARY=vector runs this with pgvector itself.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use OmendbTest;

use PostgreSQL::Test::Utils;
use Test::More;

my ($other, $default) = ($ENV{OMENDB_OTHER_LIBRARY}, 40);
if (!$other)
{
    # A library that defines what such an extension does.
    my $dir = scratch_dir();
    chmod 0755, $dir;
    append_to_file("$dir/other.c", <<'EOC');
#include "postgres.h"
#include "fmgr.h"
#include "utils/guc.h"
PG_MODULE_MAGIC;
static int ef_search;
void _PG_init(void);
void
_PG_init(void)
{
	DefineCustomIntVariable("hnsw.ef_search", "Another's.", NULL, &ef_search, 77, 1, 1000, PGC_USERSET, 0, NULL, NULL, NULL);
	MarkGUCPrefixReserved("hnsw");
}
EOC
    chomp(my $include = `pg_config --includedir-server`);
    my $output = '';
    ok(IPC::Run::run([ 'cc', '-shared', '-fPIC', '-Wno-missing-prototypes', "-I$include", "$dir/other.c", '-o', "$dir/other.so" ], '>&', \$output), 'another library is built')
        or BAIL_OUT($output);
    ($other, $default) = ("$dir/other.so", 77);
}
my $theirs = "LOAD '$other';";
my $ours   = "LOAD 'omendb';";

my $node = start_node('other');
create_omendb($node, 'ours');
$node->safe_psql('postgres', 'CREATE DATABASE theirs');
$node->safe_psql('ours', q{
    CREATE TABLE t (v vector(2));
    INSERT INTO t SELECT format('[%s,%s]', i % 37, i % 23)::vector FROM generate_series(1, 1000) i;
    CREATE INDEX ON t USING hnsw (v vector_l2_ops);
    CREATE VIEW nearest AS SELECT v FROM t ORDER BY v <-> '[0,0]' LIMIT 1;
    CREATE TABLE plain (v vector(2));
    CREATE TABLE crowd WITH (parallel_workers = 2) AS SELECT * FROM t});
my $first = '[0,0]';
sub shown { return (session($node, 'ours', $_[0]))[0] }
sub state_of { return sqlstate($node, 'ours', $_[0]) }

# ---------------------------------------------------------------- both in one session

is(sqlstate($node, 'theirs', $_->[1]), '', "$_->[0] in one session") for [ 'another and omendb', "$theirs $ours" ], [ 'omendb and another', "$ours $theirs" ];
is((session($node, 'theirs', "$ours $theirs SHOW hnsw.ef_search"))[0], $default, 'the setting is the one whose owner is in use');
is(shown("$theirs SELECT '[1,2]'::vector + '[1,1]'; SELECT count(*) FROM plain"), "[2,3]\n0", 'vectors do not need it');
is(state_of("$theirs SELECT * FROM nearest"), '42710', 'an index of omendb does, after another defined it');
my $stderr = '';
$node->psql('ours', "$theirs SELECT * FROM nearest", stderr => \$stderr);
like($stderr, qr/the setting "hnsw\.ef_search" is already defined by another extension/, 'the error says what is wrong');
like($stderr, qr/HINT:  Reconnect, .*shared_preload_libraries/, 'and what to do');
is(state_of("$theirs SELECT * FROM nearest; SELECT * FROM nearest"), '42710', 'again and again');
isnt(state_of("SELECT * FROM nearest; $theirs"), '', 'another after an index of omendb was used is refused by the server');
is(shown('SELECT * FROM nearest'), $first, 'other sessions are not disturbed');

# ---------------------------------------------------------------- when the settings are there

is(sqlstate($node, 'theirs', 'SHOW hnsw.ef_search'),      '42704', 'a database without omendb has no such setting');
is(sqlstate($node, 'theirs', 'SET hnsw.something = 1'),    '',      'and any name of that prefix is free');
is(state_of('SHOW hnsw.ef_search'),                        '42704', 'nor has a new session');
is(state_of("$ours SHOW hnsw.ef_search"),                  '42704', 'nor one that loaded the library');
is(state_of("SELECT count(*) FROM plain WHERE v = '[1,1]'; SHOW hnsw.ef_search"), '42704', 'or computed with vectors');
is(shown('SELECT * FROM nearest; SHOW hnsw.ef_search'),    "$first\n40", 'a query of a table with an index defines them');
is(shown("INSERT INTO t VALUES ('[40,40]'); SHOW hnsw.ef_search"), 40, 'so does an insert');
is(shown('CREATE INDEX ON plain USING hnsw (v vector_l2_ops); SHOW hnsw.ef_search; DROP INDEX plain_v_idx'), 40, 'or making an index');
is(state_of('SELECT * FROM nearest; SET hnsw.ef_search = 0'), '22023', 'then values are checked');
is(state_of('SELECT * FROM nearest; SET hnsw.nothing = 1'),   '42602', 'and other names of the prefix are reserved');

# ---------------------------------------------------------------- values that wait for it

is(shown('SET hnsw.ef_search = 7; SELECT * FROM nearest; SHOW hnsw.ef_search'), "$first\n7", 'a value set before is taken over');
is(shown('SET hnsw.ef_search = 7; SELECT * FROM nearest; RESET hnsw.ef_search; SHOW hnsw.ef_search'), "$first\n40", 'and can be reset');
for my $bad ([ 7000, '22023' ], [ 'many', '22023' ])
{
    my ($shown, $said) = session($node, 'ours', "SET hnsw.ef_search = '$bad->[0]'; SELECT * FROM nearest; SHOW hnsw.ef_search");
    is($shown, "$first\n40", "$bad->[0] is not taken");
    like($said, qr/WARNING:\s+$bad->[1]/, 'with a warning');
}
like((session($node, 'ours', 'SET hnsw.nothing = 1; SELECT * FROM nearest'))[1], qr/WARNING:\s+42602/, 'nor a name that there is not');
is(shown('SET hnsw.ef_search = 7; BEGIN; SET LOCAL hnsw.ef_search = 8; SAVEPOINT s; SET LOCAL hnsw.ef_search = 9; SELECT * FROM nearest; SHOW hnsw.ef_search; ROLLBACK TO s; SHOW hnsw.ef_search; COMMIT; SHOW hnsw.ef_search'),
    "$first\n9\n8\n7", 'in a transaction the values come back one by one');
is(shown('BEGIN; SET LOCAL hnsw.ef_search = 8; SELECT * FROM nearest; ROLLBACK; SHOW hnsw.ef_search'), "$first\n40", 'also where the transaction fails');
$node->safe_psql('ours', q{CREATE FUNCTION inside() RETURNS text LANGUAGE plpgsql SET hnsw.ef_search = 11 AS 'BEGIN PERFORM * FROM nearest; RETURN current_setting($$hnsw.ef_search$$); END'});
is(shown('SELECT inside(); SHOW hnsw.ef_search'), "11\n40", "a function's value, in and after the function");
is(shown('SET hnsw.ef_search = 7; SELECT inside(); SHOW hnsw.ef_search'), "11\n7", 'over one of the session');

$node->safe_psql('postgres', 'CREATE ROLE someone LOGIN; ALTER ROLE someone SET hnsw.ef_search = 12; ALTER DATABASE ours SET hnsw.max_scan_tuples = 13');
$node->safe_psql('ours', 'GRANT SELECT ON nearest TO someone');
my $as_someone = sub { return $node->safe_psql('ours', $_[0], extra_params => [ '-U', 'someone' ]) };
is($as_someone->('SELECT * FROM nearest; SHOW hnsw.ef_search; SHOW hnsw.max_scan_tuples'), "$first\n12\n13", 'of a role and a database');
is($as_someone->('SELECT * FROM nearest; ALTER ROLE someone SET hnsw.ef_search = 14; RESET hnsw.ef_search; SHOW hnsw.ef_search'), "$first\n12", 'who has used an index may change that of the own role');
is($as_someone->('SELECT * FROM nearest; SHOW hnsw.ef_search'), "$first\n14", 'for the next session');
$node->safe_psql('postgres', 'ALTER DATABASE ours RESET ALL');
is(state_of("SELECT * FROM nearest; ALTER SYSTEM SET hnsw.ef_search = 'nonsense'"), '22023', 'ALTER SYSTEM refuses nonsense, too');
$node->safe_psql('ours', 'SELECT * FROM nearest; ALTER SYSTEM SET hnsw.ef_search = 15');
$node->reload;
is(shown('SELECT * FROM nearest; SHOW hnsw.ef_search'), "$first\n15", 'and takes a value');
is(shown('SELECT * FROM nearest; ALTER SYSTEM RESET hnsw.ef_search'), $first, 'that goes');
$node->reload;
is($node->safe_psql('ours', 'SELECT * FROM nearest; SHOW hnsw.ef_search', extra_params => [ '-d', $node->connstr('ours') . q( options='-c hnsw.ef_search=16') ]), "$first\n16", 'of the connection');

# ---------------------------------------------------------------- parallel workers

# With iterative_scan off a scan returns no more rows than its beam has. The worker, not
# the leader, uses the index.
my $limited = q{SET hnsw.custom_scan = off; SET enable_seqscan = off; SET hnsw.iterative_scan = off; SET hnsw.ef_search = 3;};
my $force   = server_version($node) >= 160000 ? 'debug_parallel_query' : 'force_parallel_mode';
my $query   = q{SELECT v, current_setting('hnsw.ef_search') FROM t ORDER BY v <-> '[9,9]' LIMIT 300;};
sub check_workers
{
    my ($name) = @_;
    my ($leader, $worker) = (shown("$limited $query"), "$limited SET $force = on;");
    like($leader, qr{^(\[\d+,\d+\]\|3\n?){1,20}$}, "$name: the beam limits the rows");
    like(shown("$worker EXPLAIN (COSTS OFF) $query"), qr/^Gather.*Single Copy.*Index Scan using t_v_idx/s, "$name: the plan for a worker");
    is(shown("$worker $query"), $leader, "$name: a worker has the values that were set before the first use");
    is(shown("SELECT * FROM nearest; $worker $query $query"), "$first\n$leader\n$leader", "$name: and after it");
    my $messages = '';
    $node->psql('ours', 'SET client_min_messages = debug1; SET hnsw.iterative_scan = off; CREATE INDEX again ON crowd USING hnsw (v vector_l2_ops); DROP INDEX again', stderr => \$messages);
    like($messages, qr/using 2 parallel workers for the graph/, "$name: a parallel build");
    unlike($messages, qr/ERROR|WARNING/, "$name: goes well");
}
check_workers('not preloaded');
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'omendb'\n");
$node->restart;
is(state_of('SHOW hnsw.ef_search'), '42704', 'preloading does not define the settings either');
check_workers('preloaded');
is(sqlstate($node, 'theirs', "$theirs SHOW hnsw.ef_search"), '', 'and another may be loaded');

$node->stop;
done_testing();
