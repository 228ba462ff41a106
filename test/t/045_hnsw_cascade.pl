# A standby of a standby, with feedback and without: what the second one answers while the primary
# writes and vacuums; the first one is promoted, and the second one follows it; then the second one.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use HnswTest;
use OmendbTest;

use IPC::Run ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

seeded();
my $db      = 'cascade';
my $primary = start_node(
    'primary', q{
    autovacuum = off
    jit = off
    fsync = off
    log_statement = none
    wal_keep_size = 1GB
    wal_receiver_status_interval = 1s
}, { allows_streaming => 1 });
create_omendb($primary, $db);
make_data_functions($primary, $db);
make_small_tables($primary, $db);
$primary->safe_psql($db, 'CREATE TABLE left_alone (id int, v vector(12)); INSERT INTO left_alone SELECT n, tight(n, 12) FROM generate_series(1, 300) n;
    CREATE INDEX left_alone_v ON left_alone USING hnsw (v vector_l2_ops) WITH (m = 2, ef_construction = 8)');
$primary->backup('base');
my @standbys;
for my $name ('first', 'second')
{
    my $node = PostgreSQL::Test::Cluster->new($name);
    $node->init_from_backup($primary, 'base', has_streaming => 1);
    $node->enable_streaming($standbys[0]) if @standbys;    # the last setting of a name counts
    $node->append_conf('postgresql.conf', "hot_standby_feedback = on\nmax_standby_streaming_delay = -1\n");
    $node->start;
    push @standbys, $node;
}
my ($first, $second) = @standbys;
my $dir     = scratch_dir();
my @scripts = small_scripts($dir);

# What the primary has flushed is replayed by both.
sub catch_up
{
    my ($from, @to) = @_;
    my $lsn = $from->lsn('insert');
    for my $node (@to)
    {
        $node->poll_query_until('postgres', "SELECT pg_last_wal_replay_lsn() >= '$lsn'") or die $node->name . ' does not follow';
    }
    return;
}

# Clients that write to that server, with vacuums, while the standby answers.
sub write_and_read
{
    my ($when, $writes, $reads) = @_;
    my $clients  = start_clients($writes, $db, 2, 200, @scripts);
    my $vacuumer = start_session($writes, $db, join "\n", (small_vacuum()) x 3);
    my $reader   = start_session($reads, $db, "LOAD 'omendb'; SET enable_seqscan = off;\n" . join "\n", map {
        "SET hnsw.custom_scan = " . ($_ % 2 ? 'on' : 'off') . ";
        SELECT count(*) FROM (SELECT id FROM l ORDER BY v <-> tight(5000000 + $_, 12) LIMIT 10) q;
        SELECT count(*) FROM (SELECT id FROM s ORDER BY v <-> made_sparse(5000000 + $_) LIMIT 10) q;"
    } 1 .. 60);
    is(join("\n", grep { $_ ne '' } map { finish($_) } $clients, $vacuumer), '', "$when: no error of those who write");
    is(finish($reader), '', "$when: nor of those who read");
    is(join(' ', $reader->{out} =~ /^(\d+)$/mg), join(' ', (10) x 120), "$when: each query finds rows");
    return;
}

sub same
{
    my ($when, $from, @to) = @_;
    catch_up($from, @to);
    my ($contents, $answers) = (small_contents($from, $db), small_answers($from, $db));
    is(small_wrong($from, $db), '', "$when: " . $from->name . ' finds each row');
    for my $node (@to)
    {
        my $name = $node->name;
        is(small_contents($node, $db), $contents, "$when: $name has the same rows");
        is(small_answers($node, $db),  $answers,  "$when: $name gives the same answers");
        is(small_wrong($node, $db),    '',        "$when: $name finds each row");
    }
    return;
}

write_and_read('at first', $primary, $second);
same('at first', $primary, $first, $second);

# ---------------------------------------------------------------- a snapshot of the second standby

my $plain = "LOAD 'omendb'; SET hnsw.custom_scan = off; SET enable_seqscan = off; SET enable_sort = off;";
my $graph = 'SET hnsw.custom_scan = on; SET hnsw.scan_strategy = graph;';
my $found = "SELECT count(*), sum(id) FROM (SELECT id FROM left_alone ORDER BY v <-> tight(7, 12) LIMIT 1000) q;";

# Rows that were deleted and vacuumed while that transaction goes on: what it reads before and after.
sub old_snapshot
{
    my ($condition, $id) = @_;
    my ($in, $out, $err) = ("$plain SET hnsw.ef_search = 1000;\nBEGIN ISOLATION LEVEL REPEATABLE READ;\n$found\n", '', '');
    my $session = IPC::Run::start([ 'psql', '-XqAt', '-v', 'VERBOSITY=sqlstate', '-d', $second->connstr($db) ], '<', \$in, '>', \$out, '2>', \$err, IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));
    $session->pump until $out =~ /\n/;
    my $feedback = $second->safe_psql('postgres', 'SHOW hot_standby_feedback') eq 'on';
    # The primary knows of the snapshot.
    if ($feedback)
    {
        my $xmin = $second->safe_psql('postgres', 'SELECT min(backend_xmin::text::bigint) FROM pg_stat_activity WHERE pid <> pg_backend_pid()');
        $primary->poll_query_until('postgres', "SELECT backend_xmin::text::bigint <= $xmin FROM pg_stat_replication") or die 'no feedback comes';
    }
    $primary->safe_psql($db, "DELETE FROM left_alone WHERE $condition");
    $primary->safe_psql($db, 'VACUUM (INDEX_CLEANUP ON) left_alone');
    $primary->safe_psql($db, "INSERT INTO left_alone SELECT $id + n, tight(n + $id, 12) FROM generate_series(1, 50) n");
    my $lsn = $primary->lsn('insert');
    $second->poll_query_until('postgres', "SELECT pg_last_wal_replay_lsn() >= '$lsn'") or die 'the second standby does not follow';
    $in .= "$found\n$graph\n$found\nCOMMIT;\n$found\n\\q\n";
    $session->finish;
    return ([ split /\n/, $out ], $err);
}

my ($out, $err) = old_snapshot('id % 3 = 0', 1000);
is($err, '', 'feedback through both: a transaction goes on');
is(scalar @$out, 4, 'and answers');
is("$out->[1] $out->[2]", "$out->[0] $out->[0]", 'what it answered before the rows were deleted');
is($out->[3], '250|' . $second->safe_psql($db, 'SELECT sum(id) FROM left_alone'), 'the next one does not see them');

for my $node ($first, $second)
{
    $node->append_conf('postgresql.conf', "hot_standby_feedback = off\nmax_standby_streaming_delay = 50ms\n");
    $node->reload;
}
$primary->poll_query_until('postgres', 'SELECT backend_xmin IS NULL FROM pg_stat_replication') or die 'the feedback does not end';
($out, $err) = old_snapshot('id % 3 = 1', 2000);
like($err, qr/(?:ERROR|FATAL):\s+40001/, 'without feedback the transaction is cancelled');
is(scalar(grep { $_ eq $out->[0] } @$out), 1, 'and gives no answer of half of the rows');
is(unreached($second, $db, 'left_alone', '<->'), '', 'each row is found by the second standby');

same('without feedback', $primary, $first, $second);

# ---------------------------------------------------------------- promotion

my $last = $primary->safe_psql($db, 'SELECT max(id) FROM l');
my $work = start_clients($primary, $db, 3, 100000, @scripts);
$primary->poll_query_until($db, "SELECT max(id) > $last + 50 FROM l") or die 'no inserts came';
$primary->stop('immediate');
finish($work);
$first->promote;
same('the first is promoted', $first, $second);
write_and_read('the first is promoted', $first, $second);
$first->safe_psql($db, 'REINDEX INDEX CONCURRENTLY l_v');
same('the second follows it', $first, $second);

$first->stop('immediate');
$second->promote;
is(small_wrong($second, $db), '', 'the second is promoted: each row is found');
is(finish(start_clients($second, $db, 2, 100, @scripts)), '', 'clients go on');
$second->safe_psql($db, $_) for small_vacuum();
is(join('', map { index_problems($second, $db, "${_}_v", 1) } small_tables(), 'left_alone'), '', 'nothing is left after vacuum');
is(small_wrong($second, $db), '', 'each row is found after vacuum');
is($second->safe_psql($db, 'SELECT left(pg_walfile_name(pg_current_wal_lsn()), 8)'), '00000003', 'on the third timeline');
$second->stop;
unlike(slurp_file($_->logfile), qr/PANIC|TRAP|terminated by signal/, $_->name . ' did not fail') for $primary, $first, $second;
done_testing();
