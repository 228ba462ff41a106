# With JIT compilation of everything, inlining too: the same results. omendb
# installs no bitcode (see Makefile), so what is compiled is the code around it.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use OmendbTest;

use Test::More;

my $node = start_node('jit', "max_parallel_workers_per_gather = 0\n");
create_omendb($node, 'jit');

my $available = $node->safe_psql('jit', 'SELECT pg_jit_available()');
diag($available eq 't' ? 'this server has JIT' : 'this server has no JIT: the queries run without');

$node->safe_psql('jit', q{
    CREATE TABLE t (id int, v vector(20), h halfvec(20), s sparsevec(20), b bit(20));
    INSERT INTO t SELECT n, v, v, v, binary_quantize(v)::bit(20)
        FROM (SELECT n, array_agg(n % 7 + i % 5 - 4 ORDER BY i)::vector v FROM generate_series(1, 500) n, generate_series(1, 20) i GROUP BY n) x});

my $off = "SET jit = off;\n";
my %modes = (
    'inlined and optimized' => "SET jit = on; SET jit_above_cost = 0; SET jit_inline_above_cost = 0; SET jit_optimize_above_cost = 0;\n",
    'neither'               => "SET jit = on; SET jit_above_cost = 0; SET jit_inline_above_cost = -1; SET jit_optimize_above_cost = -1;\n",);

my $q = "'[1,2,3,4,5,6,7,8,9,10,1,2,3,4,5,6,7,8,9,10]'";
my %queries = (
    'distances of vector' => "SELECT sum(v <-> $q), sum(v <#> $q), sum(v <+> $q), sum(v <=> $q), sum(inner_product(v, v)), sum(l2_distance(v, $q)), sum(cosine_distance(v, $q)), sum(l1_distance(v, $q)),
        sum(vector_spherical_distance(l2_normalize(v), l2_normalize(${q}::vector))), sum(vector_l2_squared_distance(v, $q)), sum(vector_negative_inner_product(v, $q)) FROM t",
    'distances of halfvec' => "SELECT sum(h <-> $q), sum(h <#> $q), sum(h <+> $q), sum(h <=> $q), sum(halfvec_spherical_distance(l2_normalize(h), l2_normalize(${q}::halfvec))), sum(halfvec_l2_squared_distance(h, $q)) FROM t",
    'distances of sparsevec' => "SELECT sum(s <-> s), sum(s <#> s), sum(s <+> l2_normalize(s)), sum(s <=> (v + v)::sparsevec), sum(sparsevec_l2_squared_distance(s, (v + v)::sparsevec)) FROM t",
    'distances of bit' => "SELECT sum(b <~> ~b), sum(b <%> (b | B'10000000000000000001')) FROM t",
    'lengths' => 'SELECT sum(vector_norm(v)), sum(l2_norm(h)), sum(l2_norm(s)), sum(vector_dims(v)), sum(vector_dims(h)) FROM t',
    'arithmetic' => 'SELECT id, v + v, v - v, v * v, v || v, h + h, h - h, h * h, h || h, subvector(v, 2, 3), subvector(h, 2, 3), binary_quantize(v), binary_quantize(h) FROM t WHERE v * v > v - v ORDER BY id',
    'casts' => 'SELECT id, v::halfvec, v::sparsevec, v::real[], h::vector, h::sparsevec, h::real[], s::vector, s::halfvec, v::vector(20), h::halfvec(20), s::sparsevec(20),
        v::real[]::vector, v::real[]::float8[]::vector, v::real[]::int[]::halfvec, v::real[]::numeric[]::sparsevec, v::text::vector, h::text::halfvec, s::text::sparsevec FROM t ORDER BY id',
    'binary' => 'SELECT id, vector_send(v), halfvec_send(h), sparsevec_send(s) FROM t ORDER BY id',
    'comparison' => 'SELECT count(*) FILTER (WHERE a.v < b.v), count(*) FILTER (WHERE a.v <= b.v), count(*) FILTER (WHERE a.v = b.v), count(*) FILTER (WHERE a.v <> b.v), count(*) FILTER (WHERE a.v >= b.v),
        count(*) FILTER (WHERE a.h > b.h), count(*) FILTER (WHERE a.h = b.h), count(*) FILTER (WHERE a.s < b.s), count(*) FILTER (WHERE a.s = b.s), sum(vector_cmp(a.v, b.v)), sum(halfvec_cmp(a.h, b.h)), sum(sparsevec_cmp(a.s, b.s))
        FROM t a, t b WHERE a.id < 40 AND b.id < 40',
    'aggregates' => 'SELECT id % 3, avg(v), sum(v), avg(h), sum(h) FROM t WHERE id < 200 GROUP BY 1 ORDER BY 1',
    'windows' => 'SELECT id, avg(v) OVER (ORDER BY id ROWS 2 PRECEDING), sum(v) OVER (ORDER BY id) FROM t WHERE id < 50 ORDER BY id',
    'sorts' => 'SELECT array_agg(id ORDER BY v, id), array_agg(id ORDER BY h DESC, id), array_agg(id ORDER BY s, id) FROM t',
    'groups' => 'SELECT v, count(*) FROM t GROUP BY v ORDER BY v',
    'neighbours' => "SELECT id, v <-> $q FROM t ORDER BY v <-> $q, id LIMIT 10",
    'the level' => 'SELECT DISTINCT omendb_simd_level() FROM t',);

for my $name (sort keys %queries)
{
    my $query    = $queries{$name};
    my $expected = $node->safe_psql('jit', $off . $query);
    isnt($expected, '', "$name: there is a result");
    for my $mode (sort keys %modes)
    {
        my ($stdout, $stderr) = session($node, 'jit', $modes{$mode} . $query);
        is($stderr, '', "$name, $mode: no error");
        is($stdout, $expected, "$name, $mode: the same result");
    }
}

# Errors leave compiled code as they leave any other.
my $all = $modes{'inlined and optimized'};
is(sqlstate($node, 'jit', "${all}SELECT sum(v <-> subvector(v, 1, 3)) FROM t"), '22000', 'dimensions that differ');
is(sqlstate($node, 'jit', "${all}SELECT sum(v * ('[' || repeat('1e38,', 19) || '1e38]')::vector) FROM t"), '22003', 'overflow');
is(sqlstate($node, 'jit', "${all}SELECT (v::text || 'x')::vector FROM t"), '22P02', 'syntax');
is(sqlstate($node, 'jit', "${all}SELECT ('{' || id || ':1}/20')::sparsevec FROM t"), '22000', 'bounds');
my ($stdout) = session($node, 'jit', "${all}SELECT sum(v <-> subvector(v, 1, 3)) FROM t; SELECT count(v <-> v) FROM t;");
is($stdout, '500', 'the session goes on');

# Compiled code follows a change of level.
for my $level (simd_levels($node, 'jit'))
{
    is($node->safe_psql('jit', "${all}LOAD 'omendb'; SET omendb.simd_level = '$level'; SELECT DISTINCT omendb_simd_level(), v <-> v, h <#> h < 0 FROM t WHERE id = 3"), "$level|0|t", "$level");
}

# That it was compiled at all, and where there is bitcode of ours, inlined.
my $plan = $node->safe_psql('jit', "${all}EXPLAIN (ANALYZE, TIMING OFF) SELECT sum(v <-> v) FROM t");
if ($available eq 't')
{
    like($plan, qr/^JIT:/m, 'the plan is compiled');
    like($plan, qr/Inlining true, Optimization true/, 'with inlining and optimization');
}
else
{
    unlike($plan, qr/^JIT:/m, 'the plan is not compiled');
}

$node->stop;
done_testing();
