# docs/scaling.md, "Partitions": each partition searches its own index, and gives
# no more rows than the merged list takes.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use HnswTest;
use OmendbTest;

use Test::More;

my $node = start_node('partitions', "autovacuum = off\njit = off\nfsync = off\nmax_parallel_workers_per_gather = 0\n");
my $db   = 'partitions';
create_omendb($node, $db);
make_data_functions($node, $db);
$node->safe_psql($db, doc_sql('scaling.md', 'partitions'));
$node->safe_psql($db, q{
    CREATE TABLE everything AS SELECT n AS id, '2024-01-01'::date + (n % 1096)::int AS day, made(n, 32) AS embedding FROM generate_series(1, 9000) n;
    INSERT INTO events SELECT * FROM everything;
    ANALYZE events});

my $prepare = join ' ', map { "PREPARE $_->[0](vector) AS " . doc_sql('scaling.md', $_->[1]) } [ 'nearest', 'partitions query' ], [ 'pruned', 'partitions pruned' ];
my $vector  = $node->safe_psql($db, 'SELECT made(1000001, 32)');

sub explained
{
    return $node->safe_psql($db, "$prepare EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) EXECUTE $_[0]('$vector')");
}

my $plan = explained('nearest');
my @rows = $plan =~ /Custom Scan \(HnswScan\) on events_\d+ .*rows=(\d+)/g;
like($plan, qr/Merge Append/, 'lists of the partitions are merged');
is(scalar @rows, 3, 'each partition searches its index') or diag($plan);
# Of each list the merge has read one row more than it took, at most.
cmp_ok($rows[0] + $rows[1] + $rows[2], '<=', 12, 'and gives what is taken') or diag($plan);

$plan = explained('pruned');
is_deeply([ $plan =~ /on (events\w*) /g ], ['events_2026'], 'a condition on the key leaves the others out') or diag($plan);
unlike($plan, qr/Merge Append/, 'there is nothing to merge');

# The answers, for twenty queries: in order, and nearly all that are exactly the nearest.
for my $case ([ 'nearest', 'true' ], [ 'pruned', "day >= '2026-01-01'" ])
{
    my ($name, $condition) = @$case;
    my $found = 0;
    for my $n (1 .. 20)
    {
        my $answer = $node->safe_psql($db, "$prepare SELECT made(2000000 + $n, 32) AS q \\gset\nEXECUTE $name(:'q')");
        my $exact  = $node->safe_psql($db, "SELECT id FROM everything WHERE $condition ORDER BY embedding <-> made(2000000 + $n, 32) LIMIT 10");
        my %is_exact = map { $_ => 1 } split /\n/, $exact;
        $found += grep { $is_exact{$_} } split /\n/, $answer;
    }
    cmp_ok($found, '>=', 195, "$name: $found of 200 nearest rows");
}

# A later partition has an index as soon as it exists.
$node->safe_psql($db, "CREATE TABLE events_2027 PARTITION OF events FOR VALUES FROM ('2027-01-01') TO ('2028-01-01');
    INSERT INTO events SELECT id + 100000, day + 1095, embedding FROM everything WHERE day < '2025-01-01'; ANALYZE events");
is(scalar(() = explained('nearest') =~ /HnswScan\) on events_2027/g), 1, 'a new partition is searched by its index, too');

$node->stop;
done_testing();
