# Stopped at any WAL record, cancelled at any moment, by several sessions at once:
# edges lead to every committed row. With few edges, where each of them counts. Rows come one by one and many in a
# statement, which are inserted together from PostgreSQL 17 on.
# OMENDB_STOPS: at so many WAL records, by default 40.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use HnswTest;
use OmendbTest;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use List::Util qw(shuffle);
use Test::More;

seeded();
my $db      = 'stops';
my @ms      = (2, 4);
my $primary = start_node(
    'primary', q{
    autovacuum = off
    jit = off
    fsync = off
    full_page_writes = off
    checkpoint_timeout = 1h
    max_wal_size = 4GB
    wal_keep_size = 1GB
    log_statement = none
}, { allows_streaming => 1 });
create_omendb($primary, $db);
make_data_functions($primary, $db);

sub sql { return $primary->safe_psql($db, $_[0]) }

# ---------------------------------------------------------------- ended at WAL records

my $dir = scratch_dir();
for my $m (@ms)
{
    sql("CREATE TABLE t$m (id bigserial PRIMARY KEY, v vector(16)); INSERT INTO t$m (v) SELECT tight(n, 16) FROM generate_series(1, 300) n;
        CREATE INDEX t${m}_v ON t$m USING hnsw (v vector_l2_ops) WITH (m = $m, ef_construction = 8)");
}
$primary->backup('base');
my $start = sql('SELECT pg_current_wal_lsn()');
# Three clients for each m, and a vacuum now and then.
my @clients;
for my $m (@ms)
{
    my @scripts = (
        write_script($dir, "history_insert$m", "\\set n random(1, 1000000000)\nINSERT INTO t$m (v) VALUES (tight(:n, 16));") . '@6',
        write_script($dir, "history_many$m", "\\set n random(1, 1000000000)\nINSERT INTO t$m (v) SELECT tight(n, 16) FROM generate_series(:n, :n + 15) n;") . '@1',
        write_script($dir, "history_update$m", "\\set i random(1, 300)\n\\set n random(1, 1000000000)\nUPDATE t$m SET v = tight(:n, 16) WHERE id = :i;") . '@2',
        write_script($dir, "history_delete$m", "\\set i random(1, 300)\nDELETE FROM t$m WHERE id BETWEEN :i AND :i + 3;") . '@1',
        write_script($dir, "history_abort$m", "\\set n random(1, 1000000000)\nBEGIN; INSERT INTO t$m (v) VALUES (tight(:n, 16)); ROLLBACK;") . '@1',);
    push @clients, start_clients($primary, $db, 3, 60, @scripts), start_clients($primary, $db, 1, 4, write_script($dir, "history_vacuum$m", "VACUUM (INDEX_CLEANUP ON) t$m;\nSELECT pg_sleep(0.05);"));
}
is(join("\n", grep { $_ ne '' } map { finish($_) } @clients), '', 'no error in the history');
my $end   = sql('SELECT pg_current_wal_insert_lsn()');
my %files = map { (split m{/}, sql("SELECT pg_relation_filepath('t${_}_v')"))[-1] => $_ } @ms;
sql('SELECT pg_switch_wal()');
my $files = join '|', keys %files;
my ($waldump) = run_command([ 'pg_waldump', '-r', 'Generic', '-p', $primary->data_dir . '/pg_wal', '-s', $start, '-e', $end ]);
my @stops;    # [ LSN, m ]
for my $line (split /\n/, $waldump)
{
    push @stops, [ $1, $files{$2} ] if $line =~ m{lsn: ([0-9A-F]+/[0-9A-F]+).*?/($files)\b};
}
cmp_ok(scalar @stops, '>', 1000, 'there are ' . @stops . ' records of the indexes');
# In the order of the log, for the replica goes on from one to the next.
my $wanted = $ENV{OMENDB_STOPS} // 40;
my %chosen = map { $_ => 1 } (shuffle 0 .. $#stops)[ 0 .. $wanted - 1 ];
@stops = @stops[ grep { $chosen{$_} } 0 .. $#stops ];

# One server, which goes on from one record to the next.
my $replica = recovery_to($primary, 'replica', $stops[0][0], 'pause');
my @lost;
for my $stop (@stops)
{
    my ($lsn, $m) = @$stop;
    go_on_to($replica, $db, $lsn);
    my $rows = unreached($replica, $db, "t$m", '<->');
    push @lost, "m = $m, $lsn: $rows" if $rows ne '';
    $replica->stop;
}
is(join("\n", @lost), '', 'ended at any record: edges lead to every committed row');

# For good, in the middle of vacuum's last phase: some dead nodes' slots are free, and other dead nodes still have edges to
# them. No search follows these edges, and vacuum takes the nodes away.
sql("CREATE TABLE freed (id bigserial PRIMARY KEY, v vector(16)); INSERT INTO freed (v) SELECT tight(n, 16) FROM generate_series(1, 400) n;
    CREATE INDEX freed_v ON freed USING hnsw (v vector_l2_ops) WITH (m = 4, ef_construction = 8); DELETE FROM freed WHERE id % 3 = 0");
my $before = sql('SELECT pg_current_wal_insert_lsn()');
sql('VACUUM (INDEX_CLEANUP ON) freed');
my $after    = sql('SELECT pg_current_wal_insert_lsn()');
my ($freed)  = (split m{/}, sql("SELECT pg_relation_filepath('freed_v')"))[-1];
sql('SELECT pg_switch_wal()');
my ($changes) = run_command([ 'pg_waldump', '-r', 'Generic', '-p', $primary->data_dir . '/pg_wal', '-s', $before, '-e', $after ]);
# Slots are freed page by page, at the end; the metapage may come after them.
my @frees = map { m{lsn: ([0-9A-F]+/[0-9A-F]+).*?/$freed blk [1-9]} ? $1 : () } split /\n/, $changes;
my $freeing = recovery_to($primary, 'freeing', $frees[-2], 'promote');
$freeing->start;
$freeing->poll_query_until($db, 'SELECT NOT pg_is_in_recovery()') or die 'recovery did not end in the freeing';
my $left = $freeing->safe_psql($db, "SELECT severity, count(*) > 0 FROM hnsw_index_check('freed_v', true) WHERE problem ~ '^an edge leads to record [0-9]+, which is free' GROUP BY severity");
is($left, 'notice|t', 'freeing cut short: dead nodes have edges to free slots, which are notices');
is(index_errors($freeing, $db, 'freed_v', 1) . unreached($freeing, $db, 'freed', '<->'), '', 'freeing cut short: nothing is lost');
$freeing->safe_psql($db, "INSERT INTO freed (v) SELECT tight(n + 7000000, 16) FROM generate_series(1, 100) n");
is(index_errors($freeing, $db, 'freed_v', 1) . unreached($freeing, $db, 'freed', '<->'), '', 'freeing cut short: nor by more rows');
$freeing->safe_psql($db, 'DELETE FROM freed WHERE id % 9 = 1; VACUUM (INDEX_CLEANUP ON) freed');
is($freeing->safe_psql($db, "SELECT * FROM hnsw_index_check('freed_v', true)"), '', 'freeing cut short: the next vacuum leaves nothing of it');
$freeing->teardown_node;
$freeing->clean_node;

# Some of them for good.
my $crashed = 0;
for my $at (grep { $_ % 10 == 5 } 0 .. $#stops)
{
    my ($lsn, $m) = @{ $stops[$at] };
    my $node = recovery_to($primary, 'crashed' . ++$crashed, $lsn, 'promote');
    $node->start;
    $node->poll_query_until($db, 'SELECT NOT pg_is_in_recovery()') or die "recovery did not end at $lsn";
    is(index_errors($node, $db, "t${m}_v", 1), '', "crash at $lsn, m = $m: nothing is wrong");
    $node->safe_psql($db, "INSERT INTO t$m (v) SELECT tight(n + 7000000, 16) FROM generate_series(1, 5) n; DELETE FROM t$m WHERE id % 9 = 0");
    is(index_errors($node, $db, "t${m}_v", 1) . unreached($node, $db, "t$m", '<->'), '', "crash at $lsn, m = $m: nor after more rows");
    $node->safe_psql($db, "VACUUM (INDEX_CLEANUP ON) t$m");
    is($node->safe_psql($db, "SELECT * FROM hnsw_index_check('t${m}_v', true)"), '', "crash at $lsn, m = $m: nor is anything left after vacuum");
    is(unreached($node, $db, "t$m", '<->'), '', "crash at $lsn, m = $m: which loses no row");
    $node->teardown_node;
    $node->clean_node;
}

# ---------------------------------------------------------------- cancelled

for my $m (@ms)
{
    my $next = 10_000_000;
    for my $round (1 .. 15)
    {
        for my $what ("INSERT INTO t$m (v) SELECT tight(n, 16) FROM generate_series($next, $next + 150) n", "VACUUM (INDEX_CLEANUP ON) t$m")
        {
            my $ms = 1 + int rand 40;
            like(sqlstate($primary, $db, "SET statement_timeout = $ms; $what;"), qr/^(57014)?$/, "round $round, m = $m: no error but that");
            is(index_errors($primary, $db, "t${m}_v", 1) . unreached($primary, $db, "t$m", '<->'), '', "round $round, m = $m: nothing is lost by what was cancelled, or was not");
        }
        sql("DELETE FROM t$m WHERE id % 4 = $round % 4 AND (SELECT count(*) FROM t$m) > 300");
        $next += 1000;
    }
    sql("VACUUM (INDEX_CLEANUP ON) t$m");
    is(sql("SELECT * FROM hnsw_index_check('t${m}_v', true)"), '', "m = $m: vacuum leaves nothing");
    is(sql("SELECT dead_nodes FROM hnsw_index_info('t${m}_v')"), 0, "m = $m: nor a dead node");
}

# ---------------------------------------------------------------- side by side

for my $m (@ms)
{
    my @scripts = (
        write_script($dir, "insert$m", "\\set n random(1, 1000000000)\nINSERT INTO t$m (v) VALUES (tight(:n, 16));") . '@8',
        write_script($dir, "many$m", "\\set n random(1, 1000000000)\nINSERT INTO t$m (v) SELECT tight(n, 16) FROM generate_series(:n, :n + 11) n;") . '@1',
        write_script($dir, "delete$m", "\\set n random(0, 20)\nDELETE FROM t$m WHERE id % 21 = :n AND id > 20;") . '@1',);
    for my $vacuum (0, 1)
    {
        # A search with the widest beam visits 1,000 nodes.
        sql("DELETE FROM t$m WHERE id > 20 AND id NOT IN (SELECT id FROM t$m ORDER BY id LIMIT 320)");
        my $clients  = start_clients($primary, $db, 4, 60, @scripts[ 0 .. ($vacuum ? 2 : 1) ]);
        my $vacuumer = $vacuum ? start_clients($primary, $db, 1, 10, write_script($dir, "vacuum$m", "VACUUM (INDEX_CLEANUP ON) t$m;")) : undef;
        is(join("\n", grep { $_ ne '' } map { finish($_) } $clients, $vacuumer ? $vacuumer : ()), '', "m = $m: no error side by side");
        is(index_errors($primary, $db, "t${m}_v", 1) . unreached($primary, $db, "t$m", '<->'), '', "m = $m: nothing is lost by inserts" . ($vacuum ? ', deletes and vacuum' : '') . ' side by side');
    }
}

$primary->stop;
done_testing();
