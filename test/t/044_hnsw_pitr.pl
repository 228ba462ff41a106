# A base backup that is taken while clients write, and an archive of WAL: recovery to points in the
# middle of inserts, updates, deletes and vacuums, by name, LSN, time and transaction; then from the
# new timeline's own history again. Each time the rows are those of that point, and each is found.
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
my $db      = 'pitr';
my $primary = start_node(
    'primary', q{
    autovacuum = off
    jit = off
    fsync = off
    log_statement = none
    track_commit_timestamp = on
    max_wal_size = 1GB
}, { allows_streaming => 1, has_archiving => 1 });
create_omendb($primary, $db);
make_data_functions($primary, $db);
make_small_tables($primary, $db);
my $dir     = scratch_dir();
my @scripts = small_scripts($dir);

sub sql { return $primary->safe_psql($db, $_[0]) }

sub start_writers
{
    my ($node, $transactions) = @_;
    return (start_clients($node, $db, 3, $transactions, @scripts), start_session($node, $db, join "\n", (small_vacuum()) x 4));
}

sub finish_writers { return join "\n", grep { $_ ne '' } map { finish($_) } @_ }

# ---------------------------------------------------------------- history

# The backup has pages of many moments.
my @writers = start_writers($primary, 150);
command_ok([ 'pg_basebackup', '-d', $primary->connstr('postgres'), '-D', $primary->backup_dir . '/base', '-c', 'fast', '-X', 'none', '--no-sync' ], 'pg_basebackup while clients write');
is(finish_writers(@writers), '', 'no error before the first point');

my @points;    # [ what, settings, rows of that point or undef, id of a row or undef, is it there? ]
sql("SELECT pg_create_restore_point('quiet')");
push @points, [ 'a name, nobody writes', "recovery_target_name = 'quiet'", small_contents($primary, $db) ];

@writers = start_writers($primary, 200);
for my $n (1 .. 2)
{
    sql('SELECT pg_sleep(0.15)');
    push @points, [ 'an LSN in the middle', "recovery_target_lsn = '" . sql('SELECT pg_current_wal_insert_lsn()') . "'" ] if $n == 1;
    sql('SELECT pg_sleep(0.1)');
    my ($first, $xid) = sql('INSERT INTO l (v) SELECT tight(n + 55000, 12) FROM generate_series(1, 10) n RETURNING id, pg_current_xact_id()') =~ /^(\d+)\|(\d+)/;
    push @points, [ "a transaction in the middle, $n", "recovery_target_xid = '$xid'\nrecovery_target_inclusive = " . ($n == 1 ? 'on' : 'off'), undef, $first, $n == 1 ? 1 : 0 ];
}
is(finish_writers(@writers), '', 'no error in the middle');
my $time = sql('SELECT clock_timestamp()');
sql('SELECT pg_sleep(0.05)');
push @points, [ 'a time, nobody writes', "recovery_target_time = '$time'", small_contents($primary, $db) ];
# Nothing is left of most rows by then, and the vacuum that removes them is half done.
sql("DELETE FROM $_ WHERE id % 5 > 0") for small_tables();
my $before = sql('SELECT pg_current_wal_insert_lsn()');
sql($_) for small_vacuum();
my $after = sql('SELECT pg_current_wal_insert_lsn()');
for my $share (0.3, 0.7)
{
    push @points, [ "$share of a vacuum", "recovery_target_lsn = '" . sql("SELECT '$before'::pg_lsn + floor(('$after'::pg_lsn - '$before'::pg_lsn) * $share)") . "'", small_contents($primary, $db) ];
}
sql('INSERT INTO l (v) SELECT tight(n + 990000, 12) FROM generate_series(1, 50) n; CREATE TABLE too_late ()');
sql('SELECT pg_switch_wal()');
sql('CHECKPOINT');
$primary->poll_query_until($db, "SELECT last_archived_wal >= pg_walfile_name('$after') FROM pg_stat_archiver") or die 'the archive does not get the WAL';

# ---------------------------------------------------------------- recovery

sub recover
{
    my ($name, $settings) = @_;
    my $node = PostgreSQL::Test::Cluster->new($name);
    $node->init_from_backup($primary, 'base', has_restoring => 1, standby => 0);
    $node->append_conf('postgresql.conf', "$settings\nrecovery_target_action = promote\n");
    $node->start;
    $node->poll_query_until($db, 'SELECT NOT pg_is_in_recovery()') or die "recovery does not end: $name";
    return $node;
}

my $n = 0;
for my $point (@points)
{
    my ($what, $settings, $contents, $id, $there) = @$point;
    my $node = recover('point' . ++$n, "$settings\nrecovery_target_timeline = 1\narchive_mode = off");
    like(slurp_file($node->logfile), qr/recovery stopping (?:before|after|at)/, "$what: recovery stops there");
    is(small_contents($node, $db), $contents, "$what: the rows are those of then") if defined $contents;
    is($node->safe_psql($db, "SELECT count(*) FROM l WHERE id = $id"), $there, "$what: so is that one") if defined $id;
    is($node->safe_psql($db, "SELECT to_regclass('too_late')"), '', "$what: nothing is there that came later");
    is(small_wrong($node, $db), '', "$what: each row is found");
    $node->safe_psql($db, $_) for "INSERT INTO l (v) SELECT tight(n + 70000, 12) FROM generate_series(1, 20) n", small_vacuum();
    is(join('', map { index_problems($node, $db, "${_}_v", 1) } small_tables()), '', "$what: nothing is left after vacuum");
    is(small_wrong($node, $db), '', "$what: each row is found after more rows and vacuum");
    $node->teardown_node;
    $node->clean_node;
}

# ---------------------------------------------------------------- another timeline

my ($middle) = grep { $_->[0] eq 'an LSN in the middle' } @points;
my $second = recover('second', $middle->[1]);
@writers = start_writers($second, 100);
is(finish_writers(@writers), '', 'no error in the second history');
my $contents = small_contents($second, $db);
$second->safe_psql($db, "SELECT pg_create_restore_point('second')");
is(finish_writers(start_writers($second, 30)), '', 'nor after its point');
my $last = $second->safe_psql($db, 'SELECT pg_walfile_name(pg_current_wal_insert_lsn())');
$second->safe_psql($db, 'SELECT pg_switch_wal()');
$second->poll_query_until($db, "SELECT last_archived_wal >= '$last' FROM pg_stat_archiver") or die 'the archive does not get the second history';
my $third = recover('third', "recovery_target_name = second\nrecovery_target_timeline = latest\narchive_mode = off");
is(small_contents($third, $db), $contents, 'from the archive of two histories: the rows are those of then');
is(small_wrong($third, $db), '', 'from the archive of two histories: each row is found');
is($third->safe_psql($db, 'SELECT left(pg_walfile_name(pg_current_wal_lsn()), 8)'), '00000003', 'on a timeline of its own');

$_->stop for $third, $second, $primary;
unlike(slurp_file($_->logfile), qr/PANIC|TRAP|terminated by signal/, $_->name . ' did not fail') for $third, $second, $primary;
done_testing();
