# docs/scaling.md, "Read replicas": a replica searches the index that came by WAL,
# by settings that came from the primary, and shows a row once it has replayed it.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use HnswTest;
use OmendbTest;

use PostgreSQL::Test::Cluster;
use Test::More;

my $primary = start_node('replicated', "autovacuum = off\njit = off\nfsync = off\n", { allows_streaming => 1 });
my $db = 'replicas';
create_omendb($primary, $db);
make_data_functions($primary, $db);
$primary->backup('base');
my $replica = PostgreSQL::Test::Cluster->new('replica');
$replica->init_from_backup($primary, 'base', has_streaming => 1);
$replica->start;

$primary->safe_psql($db, 'CREATE ROLE searcher LOGIN; ' . doc_sql('scaling.md', 'replica role') . q{
    CREATE TABLE items (id bigint PRIMARY KEY, embedding vector(32));
    INSERT INTO items SELECT n, made(n, 32) FROM generate_series(1, 5000) n;
    CREATE INDEX ON items USING hnsw (embedding vector_l2_ops);
    GRANT SELECT ON items TO searcher;
    ANALYZE items});
$primary->wait_for_catchup($replica);

my $queries = join ' ', map { "SELECT id FROM items ORDER BY embedding <-> made($_, 32) LIMIT 10;" } 1000001 .. 1000010;
like($replica->safe_psql($db, "EXPLAIN $queries"), qr/HnswScan/, 'the replica searches the index');
is($replica->safe_psql($db, $queries), $primary->safe_psql($db, $queries), 'and answers what the primary answers');
my $setting = 'DO $$ BEGIN PERFORM id FROM items ORDER BY embedding <-> (SELECT embedding FROM items LIMIT 1) LIMIT 1; END $$; SHOW hnsw.ef_search';
is($replica->safe_psql($db, $setting), '40', 'a setting of a role is not that of others');
is($replica->safe_psql($db, $setting, extra_params => [ '-U', 'searcher' ]), '100', 'and comes to the replica');
is($replica->safe_psql($db, $setting, extra_params => [ '-d', $replica->connstr($db) . q( options='-c hnsw.ef_search=200') ]), '200', 'also with the connection');

# Written, waited for, read.
my $lsn = $primary->safe_psql($db, "INSERT INTO items VALUES (0, made(1000001, 32)); SELECT pg_current_wal_insert_lsn()");
$replica->poll_query_until($db, "SELECT pg_last_wal_replay_lsn() >= '$lsn'") or die 'the replica does not follow';
is($replica->safe_psql($db, 'SELECT id FROM items ORDER BY embedding <-> made(1000001, 32) LIMIT 1'), '0', 'a row is found once it is replayed');

$replica->stop;
$primary->stop;
done_testing();
