# The server dies during index builds, inserts and vacuums. Recovery leaves an
# index that finds every committed row, that takes new ones, and in which
# nothing is wrong.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use HnswTest;
use OmendbTest;

use Test::More;
use Time::HiRes qw(sleep time);

seeded();

# Few buffers, so that changed pages reach the disk before the crash.
my $node = start_node(
    'crash', q{
    autovacuum = off
    jit = off
    log_statement = none
    shared_buffers = 2MB
    max_wal_size = 64MB
    checkpoint_timeout = 30s
    wal_consistency_checking = 'generic'
    max_parallel_maintenance_workers = 2
    min_parallel_table_scan_size = 0
});
create_omendb($node, 'crash');
make_data_functions($node, 'crash');
my $dir = scratch_dir();
my $db  = 'crash';

sub crash
{
    $node->stop('immediate');
    $node->start;
    return;
}

# Problems of the index before vacuum, lost rows and strangers; then inserts and
# vacuum, and all of it again.
sub verify
{
    my ($name, $table, $index) = @_;
    is(index_errors($node, $db, $index), '', "$name: nothing is wrong with the index");
    is(lost_rows($node, $db, $table, '<->'), '', "$name: every row is found");
    is(strangers($node, $db, $table, '<->'), '', "$name: and no other");
    $node->safe_psql($db, "INSERT INTO $table (v) SELECT made(n + (random() * 1e9)::int, 48) FROM generate_series(1, 30) n; DELETE FROM $table WHERE id % 50 = 7");
    $node->safe_psql($db, "VACUUM (INDEX_CLEANUP ON) $table");
    is(index_problems($node, $db, $index, 1), '', "$name: nothing is wrong after vacuum");
    is($node->safe_psql($db, "SELECT dead_nodes FROM hnsw_index_info('$index')"), 0, "$name: no node is dead");
    is(lost_rows($node, $db, $table, '<->'), '', "$name: every row is found after vacuum");
    return;
}

my $rows = 3000;
$node->safe_psql($db, "CREATE TABLE t (id bigserial PRIMARY KEY, v vector(48)); INSERT INTO t (v) SELECT made(n, 48) FROM generate_series(1, $rows) n");

# Builds: the time that one takes is that within which the others are killed.
my %builds = (
    'serial build'   => 'SET max_parallel_maintenance_workers = 0',
    'parallel build' => 'SET max_parallel_maintenance_workers = 2',
    'build beyond memory' => "SET maintenance_work_mem = '1MB'",);
for my $name (sort keys %builds)
{
    my $create = "$builds{$name}; CREATE INDEX t_v ON t USING hnsw (v vector_l2_ops)";
    my $start  = time;
    $node->safe_psql($db, $create);
    my $took = time - $start;
    crash();
    verify("$name, then a crash", 't', 't_v');
    for my $share (rand(0.5), 0.5 + rand(0.5))
    {
        # It may have been quicker the last time.
        $node->safe_psql($db, 'DROP INDEX IF EXISTS t_v');
        my $session = start_session($node, $db, $create);
        sleep($share * $took);
        crash();
        finish($session);
    }
    $node->safe_psql($db, "DROP INDEX IF EXISTS t_v; $create");
    is(index_problems($node, $db, 't_v', 1), '', "$name, after crashes during others: nothing is wrong");
    is(lost_rows($node, $db, 't', '<->'), '', "$name, after crashes during others: every row is found");
    $node->safe_psql($db, 'DROP INDEX t_v');
}

# Inserts and vacuums.
my @writers = (
    write_script($dir, 'insert', "\\set n random(1, 1000000000)\nINSERT INTO t (v) VALUES (made(:n, 48));") . '@6',
    write_script($dir, 'insert_some', "\\set n random(1, 1000000000)\nBEGIN;\nINSERT INTO t (v) SELECT made(:n + i, 48) FROM generate_series(1, 20) i;\nCOMMIT;") . '@1',
    write_script($dir, 'insert_equal', "\\set n random(1, 3)\nINSERT INTO t (v) VALUES (made(:n, 48));") . '@3',);
my @changers = (
    write_script($dir, 'update', "\\set id random(1, $rows)\n\\set n random(1, 1000000000)\nUPDATE t SET v = made(:n, 48) WHERE id = :id;") . '@2',
    write_script($dir, 'delete', "\\set id random(1, $rows)\nDELETE FROM t WHERE id BETWEEN :id AND :id + 3;") . '@3',);
my $vacuum = write_script($dir, 'vacuum', 'VACUUM (INDEX_CLEANUP ON) t;');

$node->safe_psql($db, 'CREATE INDEX t_v ON t USING hnsw (v vector_l2_ops)');
my @rounds = (
    (map { [ 'inserts', 0, @writers ] } 1 .. 2),
    (map { [ 'inserts and vacuum', 1, @writers, @changers ] } 1 .. 4),
    # nothing but dead rows, and rows that come meanwhile
    [ 'vacuum of all rows', 2, @writers ],
    [ 'vacuum of all rows', 2, @writers ],);
for my $round (0 .. $#rounds)
{
    my ($name, $vacuums, @scripts) = @{ $rounds[$round] };
    $name = "round $round, $name";
    my $open = start_session($node, $db, "BEGIN; INSERT INTO t (id, v) SELECT -n, made(-n, 48) FROM generate_series(1, 20) n; SELECT pg_sleep(600);\n");
    $node->poll_query_until($db, "SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'") or die 'the open transaction did not come up';
    $node->safe_psql($db, 'DELETE FROM t') if $vacuums == 2;
    my $clients = start_clients($node, $db, 4, 100000, @scripts);
    sleep(0.2 + rand(0.5));
    my $vacuumer = $vacuums ? start_clients($node, $db, 1, 100000, $vacuum) : undef;
    sleep($vacuums ? rand(0.8) : 0);
    crash();
    my $errors = join "\n", map { finish($_) } $open, $clients, $vacuumer ? $vacuumer : ();
    unlike($errors, qr/ERROR/, "$name: no error before the crash");
    is($node->safe_psql($db, 'SELECT count(*) FROM t WHERE id < 0'), 0, "$name: no row that was not committed");
    verify($name, 't', 't_v');
    # Rows for the next round, with ids that the changers know.
    $node->safe_psql($db, "INSERT INTO t SELECT n, made(n, 48) FROM generate_series(1, $rows) n ON CONFLICT DO NOTHING") if $vacuums;
    $node->safe_psql($db, 'CHECKPOINT') if rand() < 0.3;
}
is(errors_in_log($node, 0, qr/terminating connection|database system|not yet accepting|shut down|relation mapping/), '', 'no error in the log');

$node->stop;
done_testing();
