# As 026_hnsw_stops.pl, for what makes whole indexes: recovery ends at WAL records of builds,
# rebuilds, also concurrent ones, of two-phase commit, of TRUNCATE and CREATE TABLE with rows and index
# in one transaction, of VACUUM FULL, and of tables that become logged or unlogged; clients write
# meanwhile. Wherever it ends, each valid index finds each committed row.
# OMENDB_STOPS: at so many WAL records, by default 16.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use HnswTest;
use OmendbTest;

use List::Util qw(shuffle);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

seeded();
my $db      = 'stops';
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
    max_prepared_transactions = 200
}, { allows_streaming => 1 });
create_omendb($primary, $db);
make_data_functions($primary, $db);

sub sql { return $primary->safe_psql($db, $_[0]) }

# ---------------------------------------------------------------- history

my $with = 'WITH (m = 2, ef_construction = 8)';
# Each table has at most one index, of its v.
my @tables = qw(written prepared truncated made packed logged unlogged);
for my $table (grep { $_ ne 'made' } @tables)
{
    my $unlogged = $table =~ /logged$/ ? 'UNLOGGED' : '';
    sql("CREATE $unlogged TABLE $table (id bigserial PRIMARY KEY, v vector(12)); INSERT INTO $table (v) SELECT tight(n, 12) FROM generate_series(1, 150) n");
    sql("CREATE INDEX ON $table USING hnsw (v vector_l2_ops) $with") if $table ne 'written';
}
sql('ALTER TABLE unlogged SET LOGGED');
$primary->backup('base');

my $dir = scratch_dir();
my $any = "\\set n random(1, 1000000000)\n";
my $clients = start_clients(
    $primary, $db, 2, 100000,
    write_script($dir, 'insert',   "${any}INSERT INTO written (v) VALUES (tight(:n, 12));\nSELECT pg_sleep(0.01);") . '@4',
    write_script($dir, 'delete',   "${any}DELETE FROM written WHERE id = (SELECT id FROM written ORDER BY hashint8(id + :n) LIMIT 1);\nSELECT pg_sleep(0.01);") . '@3',
    write_script($dir, 'prepare',  "${any}BEGIN;\nINSERT INTO prepared (v) VALUES (tight(:n, 12));\nPREPARE TRANSACTION 'p:n';\nCOMMIT PREPARED 'p:n';") . '@1',
    write_script($dir, 'prepare2', "${any}BEGIN;\nINSERT INTO prepared (id, v) VALUES (-:n, tight(:n, 12));\nPREPARE TRANSACTION 'p:n';\nSELECT pg_sleep(0.01);\nROLLBACK PREPARED 'p:n';") . '@1');
my $rows   = sub { "INSERT INTO $_[0] (v) SELECT tight(n + $_[1], 12) FROM generate_series(1, 100) n;" };
my @phases = (
    [ 'CREATE INDEX',              "CREATE INDEX first_v ON written USING hnsw (v vector_l2_ops) $with" ],
    [ 'REINDEX CONCURRENTLY',      'REINDEX INDEX CONCURRENTLY first_v' ],
    [ 'CREATE INDEX CONCURRENTLY', 'DROP INDEX first_v', "CREATE INDEX CONCURRENTLY second_v ON written USING hnsw (v vector_l2_ops) $with" ],
    [ 'two-phase commit',          "BEGIN; DELETE FROM prepared WHERE id % 2 = 0; " . $rows->('prepared', 7000) . " PREPARE TRANSACTION 'large'", 'VACUUM (INDEX_CLEANUP ON) prepared', 'SELECT pg_sleep(0.1)', "COMMIT PREPARED 'large'", 'VACUUM (INDEX_CLEANUP ON) prepared' ],
    [ 'TRUNCATE',                  'BEGIN; TRUNCATE truncated; ' . $rows->('truncated', 1000) . $rows->('truncated', 2000) . 'COMMIT', $rows->('truncated', 3000), 'BEGIN; TRUNCATE truncated; ' . $rows->('truncated', 1) . 'ROLLBACK' ],
    [ 'CREATE TABLE', 'BEGIN; CREATE TABLE made (id bigserial PRIMARY KEY, v vector(12)); ' . $rows->('made', 1) . "CREATE INDEX ON made USING hnsw (v vector_l2_ops) $with;" . $rows->('made', 200) . 'COMMIT', $rows->('made', 400) ],
    [ 'VACUUM FULL',  'DELETE FROM packed WHERE id % 3 = 0', 'VACUUM FULL packed', $rows->('packed', 300) ],
    [ 'SET LOGGED',   'ALTER TABLE logged SET LOGGED', $rows->('logged', 500), 'ALTER TABLE unlogged SET UNLOGGED', $rows->('unlogged', 500) ],);
my @ends;
for my $phase (@phases)
{
    my ($name, @statements) = @$phase;
    my $from = sql('SELECT pg_current_wal_insert_lsn()');
    sql($_) for @statements;
    push @ends, [ $name, $from, sql('SELECT pg_current_wal_insert_lsn()') ];
}
sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()");
unlike(finish($clients), qr/ERROR/, 'no error in the history');
sql('SELECT pg_switch_wal()');

# So many of each phase, in the order of the log.
my $wanted = $ENV{OMENDB_STOPS} // 16;
my @stops;
for my $end (@ends)
{
    my ($name, $from, $to) = @$end;
    my ($waldump) = run_command([ 'pg_waldump', '-p', $primary->data_dir . '/pg_wal', '-s', $from, '-e', $to ]);
    my @lsns = $waldump =~ m{lsn: ([0-9A-F]+/[0-9A-F]+)}g;
    cmp_ok(scalar @lsns, '>', 20, "$name: " . @lsns . ' records');
    my %chosen = map { $_ => 1 } grep { defined } (shuffle 0 .. $#lsns)[ 0 .. int($wanted / @ends) - 1 ];
    push @stops, map { [ $name, $lsns[$_] ] } grep { $chosen{$_} } 0 .. $#lsns;
}

# ---------------------------------------------------------------- recovery

# Tables that have a valid index, and that a transaction, which goes on, does not hold; those that can be read now.
my $readable = q{
    SELECT t.relname FROM pg_class t JOIN pg_index ON indrelid = t.oid JOIN pg_class i ON i.oid = indexrelid JOIN pg_am a ON a.oid = i.relam
    WHERE amname = 'hnsw' AND indisvalid AND NOT EXISTS (SELECT FROM pg_locks WHERE relation IN (t.oid, i.oid) AND mode = 'AccessExclusiveLock')
        AND (t.relpersistence = 'p' OR NOT pg_is_in_recovery()) ORDER BY 1};
my %looked;

sub wrong
{
    my ($node) = @_;
    my @there = split /\n/, $node->safe_psql($db, $readable);
    my @wrong = map { my $rows = unreached($node, $db, $_, '<->'); $rows eq '' ? () : "$_: $rows" } @there;
    for my $line (split /\n/, $node->safe_psql($db, join ' ', map { "SELECT '$_', count(*) FILTER (WHERE id > 0), count(*) FILTER (WHERE id < 0) FROM $_;" } @there))
    {
        my ($table, $rows, $aborted) = split /\|/, $line;
        $looked{$table} += $rows;
        push @wrong, "$table: $aborted rows that were rolled back" if $aborted;
    }
    return join "\n", @wrong;
}

my $indexes = "SELECT indexrelid::regclass AS oid FROM pg_index JOIN pg_class c ON c.oid = indexrelid JOIN pg_am a ON a.oid = relam WHERE amname = 'hnsw' AND indisvalid";
my $replica = recovery_to($primary, 'replica', $stops[0][1], 'pause');
my @lost;
for my $stop (@stops)
{
    my ($name, $lsn) = @$stop;
    go_on_to($replica, $db, $lsn);
    my $rows = wrong($replica);
    push @lost, "$name, $lsn: $rows" if $rows ne '';
    $replica->stop;
}
is(join("\n", @lost), '', 'ended at any record: each committed row is found');

# Some of them for good: what was prepared is committed, or not.
my $crashed = 0;
for my $at (grep { $_ % 5 == 3 } 0 .. $#stops)
{
    my ($name, $lsn) = @{ $stops[$at] };
    my $node = recovery_to($primary, 'crashed' . ++$crashed, $lsn, 'promote');
    $node->start;
    $node->poll_query_until($db, 'SELECT NOT pg_is_in_recovery()') or die "recovery did not end at $lsn";
    my $when = "crash at $lsn, $name";
    is(wrong($node), '', "$when: each committed row is found");
    # What was prepared holds locks that the check of an index waits for.
    my $how = $at % 2 ? 'ROLLBACK' : 'COMMIT';
    my @gids = split /\n/, $node->safe_psql($db, 'SELECT gid FROM pg_prepared_xacts');
    $node->safe_psql($db, "$how PREPARED '$_'") for @gids;
    is($node->safe_psql($db, "SELECT i.oid, p FROM ($indexes) i, hnsw_index_check(i.oid, true) p WHERE severity <> 'notice'"), '', "$when: nothing is wrong");
    $node->safe_psql($db, 'DELETE FROM prepared WHERE id < 0');
    $node->safe_psql($db, "DROP INDEX $_") for split /\n/, $node->safe_psql($db, 'SELECT indexrelid::regclass FROM pg_index WHERE NOT indisvalid');
    my @there = split /\n/, $node->safe_psql($db, $readable);
    is($node->safe_psql($db, "SELECT relname, count(*) FROM unlogged JOIN pg_class c ON c.oid = 'unlogged'::regclass WHERE relpersistence = 'u' GROUP BY 1"), '', "$when: what is not logged is empty");
    $node->safe_psql($db, $rows->($_, 80000) . "DELETE FROM $_ WHERE id % 9 = 0; VACUUM (INDEX_CLEANUP ON) $_") for @there;
    is($node->safe_psql($db, "SELECT i.oid, p FROM ($indexes) i, hnsw_index_check(i.oid, true) p"), '', "$when: nor is anything left after more rows and vacuum");
    is(wrong($node), '', "$when: " . scalar(@there) . ' tables, ' . scalar(@gids) . " transactions by $how PREPARED: each row is found");
    $node->teardown_node;
    $node->clean_node;
}
is(join(' ', grep { !$looked{$_} } @tables), '', 'each table was looked at') if $wanted >= 16;
diag(join ', ', map { "$_: $looked{$_} rows" } sort keys %looked);

$primary->stop;
done_testing();
