# A streaming standby replays inserts, updates, deletes and vacuums of indexes
# into the same pages, answers as the primary does, also meanwhile, and takes
# over.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use HnswTest;
use OmendbTest;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

seeded();
my $primary = start_node(
    'primary', q{
    autovacuum = off
    jit = off
    fsync = off
    log_statement = none
    wal_consistency_checking = 'all'
    wal_keep_size = 4GB
    max_parallel_workers_per_gather = 0
}, { allows_streaming => 1 });
my $db = 'standby';
create_omendb($primary, $db);
make_data_functions($primary, $db);
my $rows = 1500;
my %columns = (
    l2   => [ 'vector(48)',  'vector_l2_ops',     '<->', 'made(%s, 48)' ],
    bits => [ 'bit(96)',    'bit_hamming_ops',   '<~>', 'made_bits(%s, 96)' ],
    sparse => [ 'sparsevec(480)', 'sparsevec_l2_ops', '<->', 'made_sparse(%s)' ],);
for my $name (sort keys %columns)
{
    my ($type, $opclass, $operator, $value) = @{ $columns{$name} };
    my $of = sprintf $value, 'n';
    $primary->safe_psql($db, "CREATE TABLE $name (id bigserial PRIMARY KEY, v $type); INSERT INTO $name (v) SELECT $of FROM generate_series(1, $rows) n");
}
$primary->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->append_conf('postgresql.conf', "hot_standby_feedback = off\nmax_standby_streaming_delay = 100ms\nlog_statement = none\n");
$standby->start;
my $dir = scratch_dir();

# Builds come to the standby by WAL, too.
$primary->safe_psql($db, "SET maintenance_work_mem = '1MB'; CREATE INDEX ${_}_v ON $_ USING hnsw (v $columns{$_}[1])") for sort keys %columns;

my @scripts;
for my $name (sort keys %columns)
{
    my ($type, $opclass, $operator, $value) = @{ $columns{$name} };
    my $of     = sprintf $value, ':n';
    my $script = sub { write_script($dir, "$name-$_[0]", "\\set n random(1, 1000000000)\n\\set few random(1, 3)\n\\set id random(1, $rows)\n$_[1]") };
    push @scripts,
        $script->('insert', "INSERT INTO $name (v) VALUES ($of);") . '@4',
        $script->('equal', "INSERT INTO $name (v) SELECT " . sprintf($value, ':few') . ' FROM generate_series(1, 3);') . '@2',
        $script->('update', "UPDATE $name SET v = $of WHERE id = :id;") . '@2',
        $script->('delete', "DELETE FROM $name WHERE id BETWEEN :id AND :id + 2;") . '@4';
}

# 60 queries' answers, in one text: by the plain index scan, and by the custom scan.
sub answers
{
    my ($node, $name) = @_;
    my ($type, $opclass, $operator, $value) = @{ $columns{$name} };
    my $query = sprintf $value, 'n + 3000000';
    my ($all, $some) = map { "(SELECT string_agg(id::text, ',') FROM (SELECT id FROM $name WHERE $_ ORDER BY v $operator $query LIMIT 12) x)" } 'true', 'id % 100 = n';
    my $queries = "SELECT n, $all FROM generate_series(1, 60) n ORDER BY n; SELECT n, $some FROM generate_series(1, 60) n ORDER BY n;";
    return $node->safe_psql($db, "LOAD 'omendb'; SET enable_seqscan = off; SET enable_sort = off; SET hnsw.max_scan_tuples = 50;
        SET hnsw.custom_scan = off; $queries SELECT 'sweep', sweeps > 0 FROM omendb_last_scan();
        SET hnsw.custom_scan = on; SET hnsw.scan_strategy = graph; $queries
        SET hnsw.scan_strategy = auto; $queries
        SET hnsw.scan_strategy = exact; $queries SELECT 'table', table_reads > 0 FROM omendb_last_scan()");
}

sub same
{
    my ($when) = @_;
    $primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));
    for my $name (sort keys %columns)
    {
        my $expected = answers($primary, $name);
        is(answers($standby, $name), $expected, "$when: the standby answers as the primary, $name");
        cmp_ok(() = $expected =~ /\d,\d/g, '>=', 180, "$when: with rows, $name");
        like($expected, qr/^sweep\|t$/m, "$when: from the whole index, too, $name");
        like($expected, qr/^table\|t$/m, "$when: and from the table, $name");
    }
    return;
}
same('at first');

for my $round (1 .. 2)
{
    my $work   = start_clients($primary, $db, 3, 250, @scripts);
    my $vacuum = start_session($primary, $db, join "\n", (map { "VACUUM (INDEX_CLEANUP ON) $_;" } sort keys %columns) x 5);
    # Queries on the standby while all that is replayed.
    my @settings = ('SET hnsw.custom_scan = off;', 'SET hnsw.custom_scan = on; SET hnsw.scan_strategy = graph;', 'SET hnsw.scan_strategy = auto;');
    my $reader = start_session($standby, $db, "LOAD 'omendb'; SET enable_seqscan = off;\n" . join "\n", map {
        my $n = 5000000 + $_;
        ($settings[ $_ % 3 ], "SELECT count(*) FROM (SELECT id FROM l2 ORDER BY v <-> made($n, 48) LIMIT 10) x;", "SELECT count(*) FROM (SELECT id FROM bits ORDER BY v <~> made_bits($n, 96) LIMIT 200) x;",
            "SELECT count(*) FROM (SELECT id FROM sparse ORDER BY v <-> made_sparse($n) LIMIT 100) x;",
            "SET hnsw.max_scan_tuples = 50; SELECT count(*) FROM (SELECT id FROM l2 WHERE id % 10 = $n % 10 ORDER BY v <-> made($n, 48) LIMIT 10) x; RESET hnsw.max_scan_tuples;")
    } 1 .. 150);
    is(finish($work),   '', "round $round: no error on the primary");
    is(finish($vacuum), '', "round $round: nor in vacuum");
    my $errors = join "\n", grep { !/(?:ERROR|FATAL):  40001/ } split /\n/, finish($reader);
    is($errors, '', "round $round: no error on the standby, but for conflicts with recovery");
    my @counts = $reader->{out} =~ /^(\d+)$/mg;
    cmp_ok(scalar(grep { $_ < 10 } @counts), '==', 0, "round $round: each query on the standby found rows");
    same("round $round");
}

# Half of all rows, and the entry point sooner or later; then everything.
for my $round (1 .. 3)
{
    $primary->safe_psql($db, "DELETE FROM $_ WHERE hashint8(id + $round) % 2 = 0") for sort keys %columns;
    $primary->safe_psql($db, "VACUUM (INDEX_CLEANUP ON) $_") for sort keys %columns;
    same("half goes, $round");
}
for my $name ('bits', 'sparse')
{
    $primary->safe_psql($db, "DELETE FROM $name");
    $primary->safe_psql($db, "VACUUM (INDEX_CLEANUP ON) $name");
    $primary->safe_psql($db, "INSERT INTO $name (v) SELECT " . sprintf($columns{$name}[3], 'n + 9000') . ' FROM generate_series(1, 300) n');
}
same('all rows anew');
is(sqlstate($standby, $db, "INSERT INTO l2 (v) VALUES (made(1, 48))"), '25006', 'the standby is one');

# The primary dies in the middle of it; the standby takes over.
my $last = $primary->safe_psql($db, 'SELECT max(id) FROM bits');
my $work = start_clients($primary, $db, 3, 100000, @scripts);
$primary->poll_query_until($db, "SELECT max(id) > $last + 200 FROM bits") or die 'no inserts came';
$primary->stop('immediate');
finish($work);
$standby->promote;
for my $name (sort keys %columns)
{
    my $operator = $columns{$name}[2];
    is(lost_rows($standby, $db, $name, $operator), '', "promoted: every row is found, $name");
    is(strangers($standby, $db, $name, $operator), '', "promoted: and no other, $name");
}
is(finish(start_clients($standby, $db, 3, 100, @scripts)), '', 'promoted: clients go on');
for my $name (sort keys %columns)
{
    $standby->safe_psql($db, "VACUUM (INDEX_CLEANUP ON) $name");
    is(index_problems($standby, $db, "${name}_v", 1), '', "promoted, after vacuum: nothing is wrong, $name");
    is(lost_rows($standby, $db, $name, $columns{$name}[2]), '', "promoted, after vacuum: every row is found, $name");
}
unlike(slurp_file($standby->logfile), qr/inconsistent page|PANIC|TRAP/, 'the pages were the same');
like($standby->safe_psql($db, 'SHOW wal_consistency_checking'), qr/all/, 'and compared');

$standby->stop;
done_testing();
