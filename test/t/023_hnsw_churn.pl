# Rows deleted and inserted round after round: the index keeps its recall and
# its size, whatever dies, and whenever vacuum is interrupted.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use HnswTest;
use OmendbTest;

use Test::More;
use Time::HiRes qw(sleep);

seeded();
my $node = start_node(
    'churn', q{
    autovacuum = off
    jit = off
    fsync = off
    log_statement = none
    max_parallel_workers_per_gather = 0
});
my $db = 'churn';
create_omendb($node, $db);
make_data_functions($node, $db);

my ($rows, $next) = (5000, 5001);
$node->safe_psql($db, "CREATE TABLE t (id int PRIMARY KEY, v vector(32)); INSERT INTO t SELECT n, tight(n, 32) FROM generate_series(1, $rows) n; CREATE INDEX t_v ON t USING hnsw (v vector_l2_ops)");

sub sql { return $node->safe_psql($db, $_[0]) }
sub pages { return sql("SELECT pg_relation_size('t_v') / 8192") }
sub info { return sql("SELECT $_[0] FROM hnsw_index_info('t_v')") }
# Other vectors than the table's, near the same centres.
sub quality { return recall($node, $db, 't', '<->', 'tight(n + 7000000, 32)', 100) }

sub vacuum
{
    sql('VACUUM (INDEX_CLEANUP ON) t');
    return;
}

sub whole
{
    my ($name) = @_;
    is(index_problems($node, $db, 't_v', 1), '', "$name: nothing is wrong");
    is(info('dead_nodes'), 0, "$name: no node is dead");
    is(lost_rows($node, $db, 't', '<->'), '', "$name: every row is found");
    return;
}

# Which fifth goes: at random, or all rows around some centres.
my $start = pages();
my $most  = $start;
for my $round (1 .. 10)
{
    sql($round % 3 == 0 ? "DELETE FROM t WHERE id % 40 BETWEEN $round AND $round + 7" : "DELETE FROM t WHERE hashint4(id + $round) % 5 = 0");
    my $deleted = $rows - sql('SELECT count(*) FROM t');
    vacuum();
    cmp_ok(info('free_records'), '>=', $deleted, "round $round: room for the $deleted rows that go");
    is(index_problems($node, $db, 't_v'), '', "round $round: nothing is wrong without them");
    sql("INSERT INTO t SELECT n, tight(n, 32) FROM generate_series($next, $next + $deleted - 1) n");
    $next += $deleted;
    $most = pages() if pages() > $most;
}
is(index_problems($node, $db, 't_v', 1), '', 'ten rounds: nothing is wrong');
my (undef, $narrowly) = lost_rows($node, $db, 't', '<->');
# The centres lie so far apart that few edges lead from one to another.
cmp_ok($narrowly, '<=', $rows / 200, "ten rounds: $narrowly rows are not found by a narrow search");
cmp_ok($most, '<=', $start * 1.15, "ten rounds: at most $most pages, from $start");
my $churned = quality();
sql('REINDEX INDEX t_v');
my $fresh = quality();
cmp_ok($churned, '>=', $fresh - 0.02, "recall $churned, and $fresh of an index built afresh");

# What takes the place of edges to dead nodes is as good as what a build chooses.
sql("CREATE TABLE spread (id int, v vector(64));
    INSERT INTO spread SELECT n, (SELECT array_agg(noise(n, i) ORDER BY i) FROM generate_series(1, 64) i WHERE n > 0)::vector FROM generate_series(1, 8000) n;
    CREATE INDEX spread_v ON spread USING hnsw (v vector_l2_ops)");
for my $round (1 .. 3)
{
    sql("DELETE FROM spread WHERE hashint4(id + $round) % 4 = 0");
    sql('VACUUM (INDEX_CLEANUP ON) spread');
}
my $spread_recall = q{SET hnsw.ef_search = 10; SELECT hnsw_recall('spread_v', 1000)};
my $vacuumed      = sql($spread_recall);
sql('REINDEX INDEX spread_v');
my $rebuilt = sql($spread_recall);
cmp_ok($vacuumed, '>=', $rebuilt - 0.01, "recall $vacuumed after three vacuums, and $rebuilt of an index built afresh");
sql('DROP TABLE spread');

# Data less unkind, from here on.
sql("TRUNCATE t; INSERT INTO t SELECT n, made(n, 32) FROM generate_series($next, $next + $rows - 1) n; REINDEX INDEX t_v");
$next += $rows;

# The entry point dies, again and again; with it ever more of its level.
for my $round (1 .. 8)
{
    my $entry = info('entry_point');
    my $level = info('entry_level');
    sql("DELETE FROM t WHERE hashint4(id * 31 + $round) % 2 = 0");
    vacuum();
    is(index_problems($node, $db, 't_v', 1), '', "half goes, $round: nothing is wrong (the entry point was $entry, of level $level)");
    is(lost_rows($node, $db, 't', '<->'), '', "half goes, $round: every row is found");
}
sql("INSERT INTO t SELECT n, made(n, 32) FROM generate_series($next, $next + 1999) n");
$next += 2000;
whole('rows after that');

# Everything goes.
my $before = pages();
sql('DELETE FROM t');
vacuum();
is(info('nodes'), 0, 'all rows are gone: no node is left');
is(info('coalesce(entry_point, -1)'), -1, 'nor an entry point');
sql("INSERT INTO t SELECT n, made(n, 32) FROM generate_series($next, $next + 1999) n");
$next += 2000;
cmp_ok(pages(), '<=', $before, 'new ones take their place');
whole('all new');

# Equal vectors: overflow records come and go, from either end of the chain.
sql("INSERT INTO t SELECT n, made(1, 32) FROM generate_series($next, $next + 599) n");
for my $part ("id < $next + 250", "id >= $next + 350", "id % 7 <> 0", 'true')
{
    sql("DELETE FROM t WHERE v = made(1, 32) AND $part");
    vacuum();
    whole("equal vectors, without $part");
}
is(info('overflow_records'), 0, 'no overflow record is left');
$next += 600;

# Vacuum is interrupted, by a request and by a crash, wherever it may be.
my $interrupted = 0;
for my $round (1 .. 10)
{
    sql("INSERT INTO t SELECT n, made(n, 32) FROM generate_series($next, $next + 999) n; DELETE FROM t WHERE hashint4(id + $round) % 3 = 0");
    $next += 1000;
    my $session = start_session($node, $db, "SET vacuum_cost_delay = 1; SET vacuum_cost_limit = 20; VACUUM (INDEX_CLEANUP ON) t;\n");
    # It may be quicker than this, which is no failure.
    for (1 .. 50)
    {
        last if sql(q{SELECT count(*) FROM pg_stat_progress_vacuum WHERE phase = 'vacuuming indexes'});
        sleep(0.01);
    }
    sleep(rand(0.5));
    if ($round % 5 == 0)
    {
        $node->stop('immediate');
        $node->start;
    }
    else
    {
        sql(q{SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query LIKE 'VACUUM%' AND pid <> pg_backend_pid()});
    }
    my $errors = finish($session);
    $interrupted++ if $errors ne '';
    unlike($errors, qr/ERROR:  (?!57014)/, "interruption $round: is the only error");
    is(index_errors($node, $db, 't_v'), '', "interruption $round: nothing is wrong");
    is(lost_rows($node, $db, 't', '<->'), '', "interruption $round: every row is found");
    sql("INSERT INTO t SELECT n, made(n, 32) FROM generate_series($next, $next + 99) n");
    $next += 100;
    is(lost_rows($node, $db, 't', '<->'), '', "interruption $round: and every new one");
    vacuum();
    whole("interruption $round, then vacuum");
}
cmp_ok($interrupted, '>', 0, "vacuum was interrupted $interrupted times");
is(errors_in_log($node, 0, qr/canceling statement|terminating connection|database system|not yet accepting|shut down/), '', 'no error in the log');

$node->stop;
done_testing();
