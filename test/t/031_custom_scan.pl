# The custom scan from the first statement of a session on, in prepared statements that outlive their index and their
# settings, in cursors that are read by turns while others change the table, and after a statement that was cancelled in
# the middle of a scan.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use HnswTest;
use OmendbTest;

use PostgreSQL::Test::Utils;
use Test::More;

my $db   = 'custom_scan';
my $node = start_node(
    'custom_scan', q{
    autovacuum = off
    jit = off
    log_statement = none
    max_parallel_workers_per_gather = 0
});
create_omendb($node, $db);
make_data_functions($node, $db);
$node->safe_psql(
    $db, q{
    CREATE TABLE t (id int PRIMARY KEY, a int, v vector(8));
    INSERT INTO t SELECT n, n % 50, made(n, 8) FROM generate_series(1, 3000) n;
    CREATE INDEX t_v ON t USING hnsw (v vector_l2_ops);
    CREATE INDEX t_a ON t (a);
    ANALYZE t;
    CREATE FUNCTION slow(id int) RETURNS bool LANGUAGE plpgsql VOLATILE AS $$ BEGIN PERFORM pg_sleep(0.02); RETURN id % 2 = 0; END $$;
    CREATE ROLE plain LOGIN; GRANT SELECT ON t TO plain});
use_node($node, $db);

my @strategies = qw(auto graph bitmap exact);
my $query      = q{v <-> '[0.5,0.5,0.5,0.5,0.5,0.5,0.5,0.5]'};
my $nearest    = "SELECT id FROM t WHERE a < 10 ORDER BY $query LIMIT 20";
my $by_sort    = 'SET hnsw.custom_scan = off; SET enable_indexscan = off; SET enable_bitmapscan = off;';
my $by_scan    = 'SET hnsw.ef_search = 400; SET enable_seqscan = off; SET enable_sort = off;';

# What one session of psql prints for some SQL; its errors go to the second value.
sub output { my ($stdout, $stderr) = session($node, $db, $_[0]); return wantarray ? ($stdout, $stderr) : $stdout }
# Rows, as words of one line.
sub rows { my ($out) = @_; return join ' ', split ' ', $out }
sub expected { my ($sql) = @_; return rows(scalar output("$by_sort $sql")) }

my $right = expected($nearest);
is(scalar(split ' ', $right), 20, 'there are rows to find');

# ---------------------------------------------------------------- the first statement of a session

like(output("EXPLAIN (COSTS OFF) $nearest"), qr/Custom Scan \(HnswScan\) on t\n/, 'the first statement of a session is a custom scan');
like(output("EXPLAIN (COSTS OFF) SELECT id FROM t WHERE $query < 0.5"), qr/Custom Scan \(HnswScan\) on t\n/, 'so it is within a radius');
like(output("PREPARE p AS $nearest; EXPLAIN (COSTS OFF) EXECUTE p"), qr/Custom Scan \(HnswScan\) on t\n/, 'and prepared');
is(rows(scalar output("$by_scan $nearest")), $right, 'and it is right');
# settings that come before the first use of an index
for my $strategy (qw(graph bitmap exact))
{
    my ($stdout, $stderr) = output("SET hnsw.scan_strategy = $strategy; EXPLAIN (COSTS OFF) $nearest; SHOW hnsw.scan_strategy");
    like($stdout, qr/Strategy: $strategy\n.*\n$strategy\z/s, "$strategy, set before the first use");
    is($stderr, '', "$strategy: without a word");
}
{
    my ($stdout, $stderr) = output("SET hnsw.custom_scan = off; EXPLAIN (COSTS OFF) $nearest; SHOW hnsw.custom_scan");
    unlike($stdout, qr/HnswScan/, 'off, set before the first use');
    like($stdout, qr/\noff\z/, 'stays so');
    is($stderr, '', 'without a word');
}
$node->safe_psql($db, "ALTER ROLE plain SET hnsw.scan_strategy = 'exact'");
like($node->safe_psql($db, "EXPLAIN (COSTS OFF) $nearest; SHOW hnsw.scan_strategy", extra_params => [ '-U', 'plain' ]), qr/Strategy: exact\n.*\nexact\z/s, 'ALTER ROLE');
$node->safe_psql($db, "ALTER ROLE plain RESET hnsw.scan_strategy; ALTER DATABASE $db SET hnsw.custom_scan = off");
unlike(output("EXPLAIN (COSTS OFF) $nearest"), qr/HnswScan/, 'ALTER DATABASE');
$node->safe_psql($db, "ALTER DATABASE $db RESET hnsw.custom_scan");
$node->append_conf('postgresql.conf', "hnsw.scan_strategy = 'bitmap'\n");
$node->reload;
like(output("EXPLAIN (COSTS OFF) $nearest; SHOW hnsw.scan_strategy"), qr/Strategy: bitmap\n.*\nbitmap\z/s, 'postgresql.conf');
$node->append_conf('postgresql.conf', "hnsw.scan_strategy = 'auto'\n");
$node->reload;
like(sqlstate($node, $db, "$nearest; SET hnsw.scan_strategy = 'best'"), qr/22023/, 'there is no such strategy');
is(sqlstate($node, $db, "$nearest; SET hnsw.nothing = 1"), '42602', 'other names are reserved');

# ---------------------------------------------------------------- prepared statements

my $within = "SELECT id FROM t WHERE $query < 1.6 AND a < \$1 ORDER BY id";
(my $within_10 = $within) =~ s/\$1/10/;
for my $mode (qw(force_generic_plan force_custom_plan auto))
{
    my $out = output(qq{
        SET plan_cache_mode = $mode;
        $by_scan
        PREPARE nearest(int) AS SELECT id FROM t WHERE a < \$1 ORDER BY $query LIMIT 20;
        PREPARE within(int) AS $within;
        EXECUTE nearest(10); EXECUTE nearest(10); EXECUTE nearest(10); EXECUTE nearest(10); EXECUTE nearest(10); EXECUTE nearest(10); EXECUTE nearest(10);
        EXECUTE within(10); EXECUTE within(10);
        \\echo other strategies
        SET hnsw.scan_strategy = exact; EXECUTE nearest(10); EXECUTE within(10);
        SET hnsw.scan_strategy = bitmap; EXECUTE nearest(10); EXECUTE within(10);
        SET hnsw.scan_strategy = graph; EXECUTE nearest(10); EXECUTE within(10);
        RESET hnsw.scan_strategy;
        \\echo another setting
        SET hnsw.custom_scan = off; EXECUTE nearest(10); EXECUTE within(10); RESET hnsw.custom_scan;
        \\echo the index is gone
        \\! psql -X -q -c "ALTER INDEX t_v RENAME TO t_old" -c "DROP INDEX t_old"
        EXECUTE nearest(10); EXECUTE within(10);
        \\echo and there again
        \\! psql -X -q -c "CREATE INDEX t_v ON t USING hnsw (v vector_l2_ops)"
        EXPLAIN (COSTS OFF) EXECUTE nearest(10);
        EXECUTE nearest(10); EXECUTE within(10);
        \\echo the index of the filter is gone
        \\! psql -X -q -c "DROP INDEX t_a"
        EXECUTE nearest(10); EXECUTE within(10);
        \\! psql -X -q -c "CREATE INDEX t_a ON t (a)" -c "ALTER TABLE t ADD COLUMN more int DEFAULT 3" -c "ALTER TABLE t DROP COLUMN more"
        \\echo another table
        EXECUTE nearest(10); EXECUTE within(10);
    });
    my $rows = "$right " . expected($within_10);
    my ($first, @rest) = split /^(?:other strategies|another setting|the index is gone|and there again|the index of the filter is gone|another table)\n/m, "$out\n";
    is(rows($first), join(' ', ($right) x 7, (expected($within_10)) x 2), "$mode: the first times");
    is(rows($rest[0]), "$rows $rows $rows", "$mode: other strategies");
    is(rows($rest[1]), $rows, "$mode: without the custom scan");
    is(rows($rest[2]), $rows, "$mode: the index was dropped");
    like($rest[3], qr/Custom Scan \(HnswScan\) on t\n/, "$mode: it is used again");
    like(rows($rest[3]), qr/ \Q$rows\E\z/, "$mode: with the same rows");
    is(rows($rest[4]), $rows, "$mode: the index of the filter was dropped");
    is(rows($rest[5]), $rows, "$mode: the table was altered");
}
cmp_ok(scalar(split ' ', expected($within_10)), '>', 5, 'there are rows within the radius');

# ---------------------------------------------------------------- cursors

my $within_3 = expected("SELECT id FROM t WHERE a < 10 AND $query < 3 ORDER BY $query");
my $all      = expected("SELECT id FROM t ORDER BY $query LIMIT 20");
for my $strategy (@strategies)
{
    my $out = output(qq{
        $by_scan
        SET hnsw.scan_strategy = $strategy;
        BEGIN;
        DECLARE one CURSOR FOR $nearest;
        DECLARE two CURSOR FOR SELECT id FROM t WHERE a < 10 AND $query < 3 ORDER BY $query;
        DECLARE three NO SCROLL CURSOR WITH HOLD FOR SELECT id FROM t ORDER BY $query LIMIT 20;
        \\echo one
        FETCH 3 FROM one;
        \\o /dev/null
        FETCH 5 FROM two;
        FETCH 1 FROM three;
        \\o
        \\! psql -X -q -c "UPDATE t SET a = a + 50 WHERE id % 2 = 0" -c "DELETE FROM t WHERE id % 3 = 0" -c "INSERT INTO t SELECT 10000 + id, 1, v FROM t WHERE id < 200" -c "VACUUM (INDEX_CLEANUP ON) t"
        FETCH 7 FROM one;
        SAVEPOINT s;
        \\o /dev/null
        FETCH 5 FROM two;
        \\o
        ROLLBACK TO s;
        FETCH ALL FROM one;
        CLOSE one;
        \\echo two
        FETCH ALL FROM two;
        COMMIT;
        \\echo three
        FETCH ALL FROM three;
    });
    my (undef, @found) = map { rows($_) } split /^(?:one|two|three)\n/m, $out;
    is($found[0], $right, "$strategy: a cursor sees the rows of its time");
    is($found[1], $within_3 =~ s/^(?:\d+ ){10}//r, "$strategy: so does one within a radius, whose reading was not rolled back");
    is($found[2], join(' ', (split ' ', $all)[1 .. 19]), "$strategy: and one that is held");
    # for the next
    $node->safe_psql($db, 'TRUNCATE t; INSERT INTO t SELECT n, n % 50, made(n, 8) FROM generate_series(1, 3000) n; ANALYZE t');
}
{
    # The second cursor reads on where it was, whatever the first did; a whole transaction in one reading.
    my $radius = "SELECT id FROM t WHERE a < 10 AND $query < 1.9 ORDER BY $query";
    my $expected = expected($radius);
    for my $strategy (@strategies)
    {
        my $fetches = join '', map { "FETCH $_ FROM one; FETCH 2 FROM two;\n" } 1 .. 40;
        my $out = output("$by_scan SET hnsw.scan_strategy = $strategy; BEGIN; DECLARE one CURSOR FOR $radius; DECLARE two CURSOR FOR SELECT -id FROM t WHERE a > 40 AND $query < 1.9 ORDER BY $query;\n$fetches FETCH ALL FROM one; FETCH ALL FROM two; COMMIT");
        is(join(' ', grep { !/^-/ } split ' ', $out), $expected, "$strategy: two cursors by turns, the first");
        is(join(' ', grep { /^-/ } split ' ', $out), expected("SELECT -id FROM t WHERE a > 40 AND $query < 1.9 ORDER BY $query"), "$strategy: the second");
    }
}
# An index that a cursor reads is not dropped.
{
    my ($stdout, $stderr) = output("$by_scan BEGIN; DECLARE one CURSOR FOR $nearest; FETCH 3 FROM one;\n\\! psql -X -q -c \"SET lock_timeout = '200ms'; DROP INDEX t_v\" 2>&1 | grep -o 'lock timeout'\nFETCH ALL FROM one; COMMIT");
    is(rows($stdout), join(' ', (split ' ', $right)[0 .. 2], 'lock timeout', (split ' ', $right)[3 .. 19]), 'an index that a cursor reads is locked');
}

# ---------------------------------------------------------------- cancelled in the middle

my $from = -s $node->logfile;
for my $strategy (@strategies)
{
    for my $slow ("SELECT id FROM t WHERE slow(id) ORDER BY $query LIMIT 100", "SELECT id FROM t WHERE a < 40 AND slow(id) ORDER BY $query LIMIT 100", "SELECT count(*) FROM t WHERE $query < 2 AND slow(id)")
    {
        my ($stdout, $stderr) = output(qq{
            $by_scan
            SET hnsw.scan_strategy = $strategy;
            SET statement_timeout = '300ms';
            $slow;
            $slow;
            RESET statement_timeout;
            BEGIN;
            DECLARE c CURSOR FOR $nearest;
            SAVEPOINT s;
            SET LOCAL statement_timeout = '300ms';
            $slow;
            ROLLBACK TO s;
            FETCH ALL FROM c;
            COMMIT;
            $nearest;
        });
        is(scalar(() = $stderr =~ /ERROR:\s+57014/g), 3, "$strategy: the timeout comes in the middle of $slow");
        is(rows($stdout), "$right $right", "$strategy: and the session searches on");
    }
}
is(errors_in_log($node, $from, qr/canceling statement due to statement timeout/), '', 'nothing was left open');
is(index_problems($node, $db, 't_v', 1), '', 'nothing is wrong with the index');
# By another session, when the statement has run for a while; its only way out is its own check.
{
    my $out = output(qq{
        $by_scan
        \\! (until psql -X -A -t -c "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query LIKE '%LATERAL%' AND pid <> pg_backend_pid() AND query_start < clock_timestamp() - interval '0.3 s'" | grep -q t; do sleep 0.1; done) &
        SELECT count(*) FROM generate_series(1, 100000000) n, LATERAL (SELECT id FROM t WHERE a < n ORDER BY $query LIMIT 20) r;
        $nearest;
    });
    is(rows($out), $right, 'cancelled from outside, the session searches on');
}

$node->stop;
done_testing();
