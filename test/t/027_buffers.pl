# Index pages that many searches visit stay in shared buffers: the searches count as
# uses for the clock sweep, and in the statistics of the index.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use HnswTest;
use OmendbTest;

use Test::More;

my $node = start_node(
    'buffers', q{
    autovacuum = off
    jit = off
    shared_buffers = 16MB
});
my $db = 'buffers';
create_omendb($node, $db);
make_data_functions($node, $db);
sub sql { return $node->safe_psql($db, $_[0]) }

sql(q{
    CREATE EXTENSION pg_buffercache;
    CREATE TABLE t (id int, v vector(64));
    INSERT INTO t SELECT n, made(n, 64) FROM generate_series(1, 20000) n;
    CREATE INDEX t_v ON t USING hnsw (v vector_l2_ops);
    VACUUM ANALYZE t});
cmp_ok(sql("SELECT pg_relation_size('t_v') / (16 * 1024 * 1024.0)"), '>', 1, 'the index is larger than shared buffers');

# Each in a transaction of its own, so that no pin is held from one to the next.
my $search = 'SET enable_seqscan = off; ' . join '', map { "SELECT id FROM t ORDER BY v <-> made($_, 64) LIMIT 1;\n" } 1 .. 100;
sql($search);

my $uses = q{SELECT max(usagecount) FROM pg_buffercache WHERE relfilenode = pg_relation_filenode('t_v')
             AND reldatabase = (SELECT oid FROM pg_database WHERE datname = current_database())};
is(sql($uses), 5, 'the clock sweep knows pages that every search visits');

# A session that ends reports what it counted.
my $visits = q{SELECT idx_blks_read + idx_blks_hit FROM pg_statio_user_indexes WHERE indexrelname = 't_v'};
my $before = sql($visits);
my $plan   = sql("$search EXPLAIN (ANALYZE, COSTS OFF) SELECT id FROM t ORDER BY v <-> made(7, 64) LIMIT 1");
my ($nodes) = $plan =~ /Nodes Visited: (\d+)/;
cmp_ok($nodes, '>', 5, 'EXPLAIN says how many nodes a search visits');
cmp_ok(sql($visits) - $before, '>', 100 * $nodes / 2, 'the statistics count the visits of all searches');

# Storage is asked for pages in advance, or not: rows and pages are the same.
my %seen;
for my $concurrency (0, 16)
{
    $node->append_conf('postgresql.conf', "effective_io_concurrency = $concurrency");
    $node->restart;
    my ($rows, $pages, $read) = ('', 0, 0);
    for my $i (1 .. 20)
    {
        my $query = "SELECT id FROM t ORDER BY v <-> made($i, 64) LIMIT 10";
        my $out = sql("SET enable_seqscan = off; EXPLAIN (ANALYZE, BUFFERS, COSTS OFF) $query; $query");
        # The first is of the whole plan.
        my ($hits, $misses) = $out =~ /Buffers: shared(?: hit=(\d+))?(?: read=(\d+))?/;
        $pages += ($hits // 0) + ($misses // 0);
        $read += $misses // 0;
        $rows .= join(',', $out =~ /^(\d+)$/mg) . ';';
    }
    $seen{$concurrency} = { rows => $rows, pages => $pages, read => $read };
    cmp_ok($read, '>', 100, "effective_io_concurrency = $concurrency: pages are read from storage ($read of $pages)");
}
like($seen{0}{rows}, qr/^(\d+,){9}\d+;/, 'ten rows come');
is($seen{16}{rows}, $seen{0}{rows}, 'and the same where storage is asked in advance');
is($seen{16}{pages}, $seen{0}{pages}, 'which takes the same pages');

$node->stop;
done_testing();
