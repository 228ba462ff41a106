# A database of pgvector's becomes omendb's while a streaming standby follows: the
# standby answers before, between and after, also in a session that began before, and
# takes over. Needs pgvector and `make install-adoption`: TESTS=adoption.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../t/lib";
use OmendbTest;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $primary = start_node('adopted', "autovacuum = off\nwal_consistency_checking = 'all'", { allows_streaming => 1 });
my $db = 'live';
$primary->safe_psql('postgres', "CREATE DATABASE $db");
$primary->safe_psql($db, q{
    CREATE EXTENSION vector;
    CREATE TABLE items (id int PRIMARY KEY, e vector(8), h halfvec(8), s sparsevec(8), b bit(8));
    INSERT INTO items SELECT i, v, v::halfvec, v::sparsevec, binary_quantize(v)::bit(8)
        FROM (SELECT i, (SELECT array_agg(sin(i * j * j)) FROM generate_series(1, 8) j)::vector(8) AS v FROM generate_series(1, 1000) i) q;
    CREATE INDEX e_l2 ON items USING hnsw (e vector_l2_ops);
    CREATE INDEX h_cosine ON items USING ivfflat (h halfvec_cosine_ops) WITH (lists = 5);
    CREATE INDEX s_ip ON items USING hnsw (s sparsevec_ip_ops);
    CREATE INDEX b_hamming ON items USING hnsw (b bit_hamming_ops)});
$primary->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('follows');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;

# The nearest row by each column, and a digest of all values.
my $digest  = q{SELECT count(*), md5(string_agg(ROW(id, e, h, s, b)::text, '|' ORDER BY id)), avg(e)::text, l2_distance(avg(h), '[1,0,0,0,0,0,0,0]') FROM items};
my $nearest = q{SET enable_seqscan = off; SET enable_sort = off;
    SELECT id FROM items ORDER BY e <-> (SELECT e FROM items WHERE id = 7) LIMIT 1; SELECT id FROM items ORDER BY h <=> (SELECT h FROM items WHERE id = 8) LIMIT 1;
    SELECT id FROM items ORDER BY b <~> (SELECT b FROM items WHERE id = 9), id LIMIT 1};
my $plan = q{SET enable_seqscan = off; EXPLAIN SELECT id FROM items ORDER BY s <#> '{1:1}/8' LIMIT 1};
my ($before, $found) = map { $primary->safe_psql($db, $_) } $digest, $nearest;
is($standby->safe_psql($db, $digest),  $before, 'pgvector on the standby: values');
is($standby->safe_psql($db, $nearest), $found,  'and searches');
my $old = $standby->background_psql($db, on_error_stop => 0);
my $exact = 'SELECT id FROM items ORDER BY e <-> (SELECT e FROM items WHERE id = 7) LIMIT 1';
is($old->query_safe($exact), 7, 'a session on the standby that has loaded pgvector');

# ---------------------------------------------------------------- adopted, not rebuilt

$primary->safe_psql($db, "SET client_min_messages = error; ALTER EXTENSION vector UPDATE TO 'omendb'");
$primary->wait_for_catchup($standby);
is($standby->safe_psql($db, "SELECT count(*) FROM pg_proc WHERE probin = '\$libdir/vector'"), 0, "no function is pgvector's on the standby");
is($standby->safe_psql($db, $digest),  $before, 'values are the same');
is($standby->safe_psql($db, $nearest), $found,  'exact answers, too');
unlike($standby->safe_psql($db, $plan), qr/s_ip/, 'no index is used');
{
    $old->{stderr} = '';
    my $answer = $old->query($exact) // '';
    ok($answer eq '7' || $old->{stderr} =~ /ERROR: /, 'the session from before is right or told') or diag("$answer, $old->{stderr}");
    unlike($old->{stderr}, qr/terminated|closed the connection/, 'and lives on');
}

# ---------------------------------------------------------------- rebuilt

my ($out, $err) = ('', '');
$primary->psql($db, 'SELECT command FROM hnsw_reindex_commands() \gexec', stdout => \$out, stderr => \$err, on_error_stop => 0);
unlike($err, qr/ERROR/, 'the primary rebuilds the indexes');
$primary->safe_psql($db, "INSERT INTO items SELECT id + 1000, e, h, s, b FROM items WHERE id <= 100; DELETE FROM items WHERE id BETWEEN 101 AND 200; VACUUM items");
$primary->wait_for_catchup($standby);
like($standby->safe_psql($db, $plan), qr/HnswScan.*s_ip/s, 'the standby searches them');
is($standby->safe_psql($db, $nearest), $primary->safe_psql($db, $nearest), 'with the answers of the primary');
is($standby->safe_psql($db, $digest), $primary->safe_psql($db, $digest), 'and its values');

# ---------------------------------------------------------------- the standby takes over

$primary->stop('immediate');
$standby->promote;
$standby->safe_psql($db, q{INSERT INTO items SELECT id + 5000, e, h, s, b FROM items WHERE id BETWEEN 300 AND 400; DELETE FROM items WHERE id BETWEEN 401 AND 500; VACUUM items});
like($standby->safe_psql($db, "SET enable_seqscan = off; SELECT string_agg(id::text, ',' ORDER BY id) FROM (SELECT id FROM items ORDER BY e <-> (SELECT e FROM items WHERE id = 333) LIMIT 2) q"), qr/^333,5333$/, 'rows that it inserts are found');
is($standby->safe_psql($db, q{SELECT i.oid::regclass, p.problem FROM (SELECT c.oid FROM pg_class c JOIN pg_am a ON a.oid = relam WHERE amname IN ('hnsw', 'ivfflat') AND relkind = 'i' OFFSET 0) i, hnsw_index_check(i.oid, true) p}),
    '', 'hnsw_index_check finds nothing wrong');
$old->quit;
$standby->stop;
unlike(slurp_file($_->logfile), qr/TRAP:|was terminated by signal|PANIC|FATAL: .*inconsistent page/, $_->name . ' did not crash') for $primary, $standby;
done_testing();
