# Parallel plans: aggregates and distances in workers give what the leader alone
# gives, with the leader's settings.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use OmendbTest;

use Test::More;

my $node = start_node('parallel', "max_worker_processes = 8\nmax_parallel_workers = 8\njit = off\n");
create_omendb($node, 'parallel');

# Integers, so that sums are exact in any order.
$node->safe_psql('parallel', q{
    CREATE TABLE t (id int, g int, v vector(67), h halfvec(67), s sparsevec(67), b bit(67));
    INSERT INTO t SELECT n, n % 5, v, v, v, binary_quantize(v)::bit(67)
        FROM (SELECT n, array_agg(n % 7 + i % 5 - 4 ORDER BY i)::vector v FROM generate_series(1, 3000) n, generate_series(1, 67) i GROUP BY n) x;
    ANALYZE t});

my $serial   = "SET max_parallel_workers_per_gather = 0;\n";
my $parallel = "SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;
    SET max_parallel_workers_per_gather = 2; SET parallel_leader_participation = off;\n";

my $q = '(SELECT v FROM t WHERE id = 7)';
for my $case (
    [ 'avg of vector',  'SELECT avg(v) FROM t',  qr/Finalize Aggregate.*Gather.*Partial Aggregate/s ],
    [ 'avg of halfvec', 'SELECT avg(h) FROM t',  qr/Finalize Aggregate.*Gather.*Partial Aggregate/s ],
    [ 'sum of vector',  'SELECT sum(v) FROM t',  qr/Finalize Aggregate.*Gather.*Partial Aggregate/s ],
    [ 'sum of halfvec', 'SELECT sum(h) FROM t WHERE id <= 100', qr/Finalize Aggregate.*Gather.*Partial Aggregate/s ],
    [ 'all in one',     'SELECT avg(v), sum(v), avg(h), count(*) FROM t WHERE id % 3 > 0', qr/Finalize Aggregate.*Gather.*Partial Aggregate/s ],
    [ 'no rows at all', 'SELECT avg(v), sum(v), avg(h), sum(h) FROM t WHERE id % 10000 = 9999', qr/Finalize Aggregate.*Gather.*Partial Aggregate/s ],
    # some workers see no row: their state is the initial one
    [ 'one row',        'SELECT avg(v), sum(v), avg(h), sum(h) FROM t WHERE id % 10000 = 2999', qr/Finalize Aggregate.*Gather.*Partial Aggregate/s ],
    [ 'groups',         'SELECT g, avg(v), sum(v), avg(h) FROM t GROUP BY g ORDER BY g', qr/Finalize (?:Group|Hash)Aggregate.*Gather.*Partial (?:Group|Hash)Aggregate/s ],
    [ 'distances of vector',    "SELECT sum(v <-> $q), sum(v <#> $q), sum(v <+> $q), count(*) FILTER (WHERE v <=> $q < 0.5) FROM t", qr/Gather.*Partial Aggregate/s ],
    [ 'distances of halfvec',   'SELECT sum(h <#> h), sum(h <+> h), sum(halfvec_l2_squared_distance(h, h + h)) FROM t', qr/Gather.*Partial Aggregate/s ],
    [ 'distances of sparsevec', 'SELECT sum(s <#> s), sum(s <+> s), sum(s <-> s) FROM t', qr/Gather.*Partial Aggregate/s ],
    [ 'distances of bit',       'SELECT sum(b <~> ~b), sum(b <%> ~b) FROM t', qr/Gather.*Partial Aggregate/s ],
    [ 'nearest neighbours',     "SELECT id FROM t ORDER BY v <-> $q, id LIMIT 20", qr/Gather Merge.*Sort/s ],
    [ 'sorting',                'SELECT v, id FROM t WHERE id < 500 ORDER BY v, id', qr/Gather Merge.*Sort/s ],
    [ 'casts and functions',    'SELECT sum(v::halfvec::sparsevec::vector), sum(subvector(v, 2, 60) || subvector(v, 1, 7)), max(vector_norm(v)) FROM t', qr/Gather.*Partial Aggregate/s ],
    [ 'text and binary',        'SELECT sum(length(v::text)), sum(length(halfvec_send(h))), sum(length(sparsevec_send(s))) FROM t', qr/Gather.*Partial Aggregate/s ],)
{
    my ($name, $query, $plan) = @$case;
    like($node->safe_psql('parallel', "${parallel}EXPLAIN (COSTS OFF) $query"), $plan, "$name: the plan is parallel");
    my $alone = $node->safe_psql('parallel', "$serial$query");
    isnt($alone, '', "$name: there is a result");
    # A sum of square roots depends on the order of its terms in the last places.
    if ($name eq 'distances of vector')
    {
        my @alone    = split /\|/, $alone;
        my @together = split /\|/, $node->safe_psql('parallel', "$parallel$query");
        # 3000 terms in double: 3000 * 2^-53 relative
        cmp_ok(abs($alone[0] - $together[0]), '<=', 1e-12 * $alone[0], "$name: the L2 sum is the same");
        is("@together[1 .. 3]", "@alone[1 .. 3]", "$name: the others are");
    }
    else
    {
        is($node->safe_psql('parallel', "$parallel$query"), $alone, "$name: the result is the same");
    }
}

# An error in a worker is an error of the query.
is(sqlstate($node, 'parallel', "${parallel}SELECT sum(v <-> '[1]') FROM t"), '22000', 'dimensions that differ, in a worker');
is(sqlstate($node, 'parallel', "${parallel}SELECT avg(CASE WHEN id = 2000 THEN '[1]'::vector ELSE v END) FROM t"), '22000', 'in a transition function');
# Each worker's rows agree among themselves; combining them must not go unnoticed.
is(sqlstate($node, 'parallel', "SELECT vector_combine('{1,2,3}', '{1,2}')"), '22000', 'in a combine function');

# The level that the leader runs is the workers'.
for my $level (simd_levels($node, 'parallel'))
{
    my $query = "SELECT DISTINCT omendb_simd_level(), v <-> v FROM t";
    my $set   = "LOAD 'omendb'; SET omendb.simd_level = '$level';\n$parallel";
    like($node->safe_psql('parallel', "${set}EXPLAIN (COSTS OFF) $query"), qr/Gather/, "$level: the plan is parallel");
    is($node->safe_psql('parallel', "$set$query"), "$level|0", "$level is the workers' level too");
    is($node->safe_psql('parallel', "${set}SELECT sum(v), avg(h) FROM t WHERE id <= 100"), $node->safe_psql('parallel', "${serial}SELECT sum(v), avg(h) FROM t WHERE id <= 100"),
        "$level: the result is the same");
}
is($node->safe_psql('parallel', "LOAD 'omendb'; BEGIN; SET LOCAL omendb.simd_level = 'scalar'; ${parallel}SELECT DISTINCT omendb_simd_level(), v <-> v FROM t; COMMIT"),
    'scalar|0', 'SET LOCAL reaches the workers');

# Parallel index builds of btree sort in workers.
is($node->safe_psql('parallel', "${parallel}SET max_parallel_maintenance_workers = 2; CREATE INDEX ON t (v); SET enable_seqscan = off; SELECT count(*) FROM t a WHERE v = (SELECT v FROM t WHERE id = 9)"),
    $node->safe_psql('parallel', "${serial}SET enable_indexscan = off; SET enable_bitmapscan = off; SET enable_indexonlyscan = off; SELECT count(*) FROM t a WHERE v = (SELECT v FROM t WHERE id = 9)"), 'a parallel index build');

$node->stop;
done_testing();
