# A standby is promoted while the primary goes on. The two diverge: rows, vacuums, indexes that
# only one of them has. pg_rewind makes the old primary a standby of the new one; then the other
# way round. After each, the rewound server answers as the other does, and each row is found.
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
my $db   = 'rewind';
my $conf = q{
    autovacuum = off
    jit = off
    fsync = off
    log_statement = none
    wal_log_hints = on
    wal_keep_size = 1GB
    max_prepared_transactions = 10
};
my $node_a = start_node('node_a', $conf, { allows_streaming => 1 });
create_omendb($node_a, $db);
make_data_functions($node_a, $db);
make_small_tables($node_a, $db);
# One is made anew by each; one is not logged.
$node_a->safe_psql($db, 'CREATE TABLE made (id int, v vector(12)); INSERT INTO made SELECT n, tight(n, 12) FROM generate_series(1, 300) n;
    CREATE INDEX made_v ON made USING hnsw (v vector_l2_ops) WITH (m = 2, ef_construction = 8);
    CREATE UNLOGGED TABLE not_logged (id int, v vector(12)); CREATE INDEX not_logged_v ON not_logged USING hnsw (v vector_l2_ops);
    INSERT INTO not_logged SELECT n, tight(n, 12) FROM generate_series(1, 30) n');
$node_a->backup('base');
my $node_b = PostgreSQL::Test::Cluster->new('node_b');
$node_b->init_from_backup($node_a, 'base', has_streaming => 1);
$node_b->start;

my $dir     = scratch_dir();
my @scripts = small_scripts($dir);

# Clients that write, and vacuums beside them.
sub write_to
{
    my ($node, $when) = @_;
    my $clients  = start_clients($node, $db, 2, 200, @scripts);
    my $vacuumer = start_session($node, $db, join "\n", (small_vacuum()) x 3);
    is(join("\n", grep { $_ ne '' } map { finish($_) } $clients, $vacuumer), '', "$when: no error");
    return;
}

my ($primary, $standby) = ($node_a, $node_b);
for my $round (1 .. 2)
{
    my $when = "round $round";
    write_to($primary, "$when, before");
    $primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));
    $standby->promote;

    # Both go on, with the same ids, which are of other rows.
    write_to($primary, "$when, the old primary");
    $primary->safe_psql($db, "REINDEX INDEX made_v; CREATE INDEX lost_v ON l USING hnsw (v vector_l2_ops); REINDEX INDEX CONCURRENTLY h_v;
        DELETE FROM b; VACUUM (INDEX_CLEANUP ON) b; INSERT INTO b (v) SELECT made_bits(n + $round * 1000, 64)::bit(64) FROM generate_series(1, 200) n;
        BEGIN; INSERT INTO s (v) SELECT made_sparse(n + 777) FROM generate_series(1, 20) n; PREPARE TRANSACTION 'lost'");
    write_to($standby, "$when, the new primary");
    $standby->safe_psql($db, "INSERT INTO made SELECT n, tight(n, 12) FROM generate_series(1000 * $round, 1000 * $round + 50) n; DELETE FROM made WHERE id % 4 = 1; VACUUM (INDEX_CLEANUP ON) made;
        CREATE INDEX kept_v ON l USING hnsw (v vector_l1_ops) WITH (m = 2, ef_construction = 8)");
    isnt(small_contents($primary, $db), small_contents($standby, $db), "$when: they are different");
    my $contents = small_contents($standby, $db);

    # By what it did last, the old primary stopped or died. pg_rewind lets a server that died recover first.
    $primary->stop($round == 1 ? 'fast' : 'immediate');
    my $conf_file = $primary->data_dir . '/postgresql.conf';
    my $kept      = slurp_file($conf_file);
    $standby->safe_psql('postgres', 'CHECKPOINT');    # else a pg_rewind before 16 does not see the new timeline
    command_ok([ 'pg_rewind', '--no-sync', '--target-pgdata', $primary->data_dir, '--source-server', $standby->connstr('postgres') ], "$when: pg_rewind");
    open my $fh, '>', $conf_file or die "$conf_file: $!";
    print {$fh} $kept;                                # the other server's came along
    close $fh;
    $primary->enable_streaming($standby);
    $primary->set_standby_mode;
    $primary->start;
    ($primary, $standby) = ($standby, $primary);

    for my $moment ('rewound', 'after more rows')
    {
        write_to($primary, "$when, $moment") if $moment ne 'rewound';
        $primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));
        is(small_contents($standby, $db), $contents, "$when, $moment: the rows are those of the new primary") if $moment eq 'rewound';
        is(small_contents($standby, $db), small_contents($primary, $db), "$when, $moment: the same rows on both");
        is(small_wrong($standby, $db), '', "$when, $moment: the rewound server finds each row");
        is(small_wrong($primary, $db), '', "$when, $moment: the new primary, too");
        is(small_answers($standby, $db), small_answers($primary, $db), "$when, $moment: both answer alike");
        is(index_errors($primary, $db, 'made_v', 1) . index_errors($primary, $db, 'kept_v', 1), '', "$when, $moment: nothing is wrong with indexes that were built");
        is(unreached($standby, $db, 'made', '<->'), '', "$when, $moment: and each row is found");
    }
    is($standby->safe_psql($db, q{SELECT to_regclass('lost_v'), to_regclass('kept_v'), (SELECT count(*) FROM pg_prepared_xacts)}), '|kept_v|0', "$when: the indexes are those of the new primary");
    $primary->safe_psql($db, 'DROP INDEX kept_v');
}

# The server that was rewound last takes over for good.
$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));
$primary->stop('immediate');
$standby->promote;
is($standby->safe_psql($db, 'SELECT count(*) FROM not_logged'), 0, 'promoted: what is not logged is empty');
$standby->safe_psql($db, 'INSERT INTO not_logged SELECT n, tight(n, 12) FROM generate_series(1, 60) n');
is(index_problems($standby, $db, 'not_logged_v', 1) . unreached($standby, $db, 'not_logged', '<->'), '', 'promoted: and takes rows');
write_to($standby, 'promoted');
is(small_wrong($standby, $db), '', 'promoted: each row is found');
is(index_errors($standby, $db, 'made_v', 1) . unreached($standby, $db, 'made', '<->'), '', 'promoted: also where an index was built');
$standby->safe_psql($db, $_) for small_vacuum();
is(join('', map { index_problems($standby, $db, "${_}_v", 1) } small_tables()), '', 'promoted: nothing is left after vacuum');
is(small_wrong($standby, $db), '', 'promoted: each row is found after vacuum');
unlike(slurp_file($_->logfile), qr/PANIC|TRAP|terminated by signal/, $_->name . ' did not fail') for $node_a, $node_b;

$standby->stop;
done_testing();
