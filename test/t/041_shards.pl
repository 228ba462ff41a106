# docs/scaling.md, "Shards": a table hash-partitioned over four servers by postgres_fdw.
# The first of them takes the queries, too.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use HnswTest;
use OmendbTest;

use PostgreSQL::Test::Utils;
use Test::More;

my $conf = "autovacuum = off\njit = off\nfsync = off\nmax_parallel_workers_per_gather = 0\nmax_prepared_transactions = 0\n";
my $node = start_node('shards', $conf);
my @node = ($node, map { start_node("shard$_", $conf) } 1 .. 3);
my $far  = $node[3];
my $db   = 'coordinator';

# What the shards do is seen in their logs: the plan of each statement, and its rows.
my $log_plans = '-c session_preload_libraries=auto_explain -c auto_explain.log_min_duration=0 -c auto_explain.log_analyze=on -c auto_explain.log_timing=off -c hnsw.ef_search=100';

create_omendb($node, $db);
make_data_functions($node, $db);
$node->safe_psql($db, 'CREATE EXTENSION postgres_fdw');
for my $i (0 .. 3)
{
    $node[$i]->safe_psql('postgres', "CREATE DATABASE shard$i");
    $node[$i]->safe_psql("shard$i", doc_sql('scaling.md', 'shard'));
    my $server = doc_sql('scaling.md', 'server');
    my ($host, $port, $user) = ($node[$i]->host, $node[$i]->port, $node->safe_psql($db, 'SELECT current_user'));
    $server =~ s/shard0/shard$i/g;
    $server =~ s{host '/run/postgresql'}{host '$host', port '$port'} or die;
    $server =~ s/-c hnsw.ef_search=100/$log_plans/                   or die;
    $server =~ s/user 'postgres'/user '$user'/                       or die;
    $node->safe_psql($db, $server);
}
$node->safe_psql($db, doc_sql('scaling.md', 'coordinator'));
$node->safe_psql($db, q{
    CREATE TABLE everything AS SELECT n AS id, CASE WHEN n % 10 = 0 THEN 'book' ELSE 'map' END AS category, made(n, 32) AS embedding FROM generate_series(1, 9000) n;
    INSERT INTO items SELECT * FROM everything});
$node[$_]->safe_psql("shard$_", 'ANALYZE items') for 0 .. 3;
$node->safe_psql($db, 'ANALYZE items');
is($node->safe_psql($db, 'SELECT count(*) > 2100 FROM items GROUP BY tableoid'), "t\nt\nt\nt", 'each shard has a quarter');
is($node->safe_psql($db, 'UPDATE items SET category = $$map$$ WHERE id = 7 RETURNING id'), '7', 'rows are changed where they are');

my $fast     = doc_sql('scaling.md', 'fast query');
my $filtered = $fast =~ s/(FROM items_\d) /$1 WHERE category = 'book' /gr;
my $narrow   = $fast =~ s/(FROM items_\d) /$1 WHERE category = 'atlas' /gr;
my $variable = $fast =~ s/LIMIT 10/LIMIT \$2/gr;
my $prepare  = "PREPARE fast(vector) AS $fast PREPARE filtered(vector) AS $filtered PREPARE narrow(vector) AS $narrow PREPARE variable(vector, bigint) AS $variable PREPARE slow(vector) AS " . doc_sql('scaling.md', 'slow query');

# What the shards' logs say from now on until the end of that SQL.
sub logged
{
    my ($sql) = @_;
    my @from = map { -s $_->logfile } @node;
    $node->safe_psql($db, "$prepare SELECT made(1000001, 32) AS q \\gset\n$sql");
    return join '', map { substr slurp_file($_->logfile), shift @from } @node;
}

sub explained
{
    my ($statement) = @_;
    return $node->safe_psql($db, "$prepare SELECT made(1000001, 32) AS q \\gset\nEXPLAIN (VERBOSE, ANALYZE, COSTS OFF, TIMING OFF) EXECUTE $statement");
}

# How many times something is in a text.
sub count_of
{
    my ($text, $pattern) = @_;
    return scalar(() = $text =~ /$pattern/g);
}

# -------------------------------------------------------------- the query with a limit for each shard

my $plan = explained("fast(:'q')");
is(count_of($plan, qr/Async Foreign Scan on public\.items_\d .*\(actual rows=10(?:\.00)? /), 4, 'each shard sends ten rows, at the same time') or diag($plan);
is(count_of($plan, qr/Remote SQL: .* ORDER BY .* LIMIT 10/), 4, 'for the order and the limit are sent') or diag($plan);
my $log = logged("EXECUTE fast(:'q')");
is(count_of($log, qr/Custom Scan \(HnswScan\) on items .*rows=10(?:\.00)? /), 4, 'each shard searches its index, for ten rows') or diag($log);
is(count_of($log, qr/Seq Scan/), 0, 'none reads its table') or diag($log);

$plan = explained("filtered(:'q')");
is(count_of($plan, qr/Remote SQL: .* WHERE \(\(category = 'book'\)\) ORDER BY .* LIMIT 10/), 4, 'a filter is sent, too') or diag($plan);

$plan = explained("narrow(:'q')");
is(count_of($plan, qr/Remote SQL: .* LIMIT/), 0, 'without the limit, where few rows are expected: the coordinator sorts them') or diag($plan);
$node->safe_psql($db, "ALTER SERVER shard$_ OPTIONS (ADD use_remote_estimate 'true')") for 0 .. 3;
$plan = explained("narrow(:'q')");
is(count_of($plan, qr/Remote SQL: .* WHERE \(\(category = 'atlas'\)\) ORDER BY .* LIMIT 10/), 4, 'but with it by estimates of the shards') or diag($plan);
$node->safe_psql($db, "ALTER SERVER shard$_ OPTIONS (DROP use_remote_estimate)") for 0 .. 3;
$plan = $node->safe_psql($db, "$prepare SET plan_cache_mode = force_generic_plan; SELECT made(1000001, 32) AS q \\gset\nEXPLAIN (VERBOSE, COSTS OFF) EXECUTE fast(:'q')");
is(count_of($plan, qr/Remote SQL: .* ORDER BY .*\$1::public\.vector\) ASC NULLS LAST LIMIT 10/), 4, 'in a generic plan as well') or diag($plan);
$plan = $node->safe_psql($db, "$prepare SET plan_cache_mode = force_generic_plan; SELECT made(1000001, 32) AS q \\gset\nEXPLAIN (VERBOSE, COSTS OFF) EXECUTE variable(:'q', 10)");
is(count_of($plan, qr/Remote SQL: .* LIMIT/), 0, 'where a limit that is a parameter is not sent') or diag($plan);

# Exactly ordered, and nearly all of the nearest.
for my $case ([ 'fast', 'true' ], [ 'filtered', "category = 'book'" ])
{
    my ($name, $condition) = @$case;
    my ($found, $wrong) = (0, 0);
    for my $n (1 .. 20)
    {
        my $answer = $node->safe_psql($db, "$prepare SELECT made(2000000 + $n, 32) AS q \\gset\nEXECUTE $name(:'q')");
        my $exact  = $node->safe_psql($db, "SELECT id, embedding <-> made(2000000 + $n, 32) FROM everything WHERE $condition ORDER BY 2 LIMIT 10");
        my %is_exact = map { $_ => 1 } split /\n/, $exact;
        my @distances = map { (split /\|/)[1] } split /\n/, $answer;
        $found += grep { $is_exact{$_} } split /\n/, $answer;
        $wrong++ if @distances != 10 || "@distances" ne join ' ', sort { $a <=> $b } @distances;
    }
    cmp_ok($found, '>=', 195, "$name: $found of 200 nearest rows");
    is($wrong, 0, 'ten of them, in order');
}

# -------------------------------------------------------------- the query as it is usually written

$plan = explained("slow(:'q')");
is(count_of($plan, qr/Remote SQL: .* ORDER BY/), 4, 'the order is sent') or diag($plan);
is(count_of($plan, qr/Remote SQL: .* LIMIT/), 0, 'the limit is not') or diag($plan);
is(count_of(logged("EXECUTE slow(:'q')"), qr/Seq Scan on items/), 4, 'so each shard sorts its table');
is($node->safe_psql($db, "$prepare SELECT made(2000001, 32) AS q \\gset\nEXECUTE slow(:'q')"), $node->safe_psql($db, 'SELECT id FROM everything ORDER BY embedding <-> made(2000001, 32) LIMIT 10'), 'and the answer is exact');

# -------------------------------------------------------------- settings

sub visited
{
    my @visited = logged("EXECUTE fast(:'q')") =~ /Nodes Visited: (\d+)/g;
    return @visited == 4 ? $visited[0] + $visited[1] + $visited[2] + $visited[3] : 0;
}

my $before = visited();
$node->safe_psql($db, "ALTER SERVER shard$_ OPTIONS (SET options '" . $log_plans =~ s/ef_search=100/ef_search=200/r . "')") for 0 .. 3;
cmp_ok(visited(), '>', 1.3 * $before, 'options of the server set what the shards search by');
cmp_ok($before, '>', 0, 'as before');

# -------------------------------------------------------------- a shard that is gone

my $stays_connected = start_session($node, $db, "$prepare SELECT made(1000001, 32) AS q \\gset\nEXECUTE fast(:'q');\n\\! while [ -e @{[$far->data_dir]}/postmaster.pid ]; do sleep 0.1; done\nEXECUTE fast(:'q');\n");
$node->poll_query_until($db, q{SELECT count(*) >= 1 FROM pg_stat_activity WHERE datname = 'shard0' AND state = 'idle'}) or die 'the session does not begin';
$far->poll_query_until('postgres', q{SELECT count(*) >= 1 FROM pg_stat_activity WHERE datname = 'shard3' AND state = 'idle'}) or die 'the session does not begin';
$far->stop('immediate');
$stays_connected->{run}->finish;
like($stays_connected->{err}, qr/ERROR:\s+08/, 'a connection that breaks is an error');
unlike($stays_connected->{out} =~ s/^(?:\d+\|\S+\n){10}//r, qr/\d/, 'and no list of what the others have');
is(sqlstate($node, $db, "$prepare SELECT made(1000001, 32) AS q \\gset\nEXECUTE fast(:'q')"), '08001', 'so is a server that is down');
is(sqlstate($node, $db, "$prepare SELECT made(1000001, 32) AS q \\gset\nEXECUTE slow(:'q')"), '08001', 'in either query');
$far->start;
is($node->safe_psql($db, "$prepare SELECT made(1000001, 32) AS q \\gset\nEXECUTE fast(:'q')") =~ tr/\n//, 9, 'and all is well when it is back');

$_->stop for @node;
done_testing();
