# Spanning records, of an index of sparsevecs that was created before there were rows, while several sessions insert, update and
# delete vectors of all lengths, and VACUUM frees their slots. The server dies in between. The index has every committed row, and
# nothing is wrong with it.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use HnswTest;
use OmendbTest;

use Test::More;
use Time::HiRes qw(sleep);

seeded();

# Few buffers, so that changed pages reach the disk before the crash. Each replayed page is compared with its image.
my $node = start_node(
    'spans', q{
    autovacuum = off
    jit = off
    log_statement = none
    shared_buffers = 2MB
    max_wal_size = 64MB
    checkpoint_timeout = 30s
    wal_consistency_checking = 'generic'
});
my $db = 'spans';
create_omendb($node, $db);
my $dir  = scratch_dir();
my $rows = 300;
# A vector of 1 to 200 elements, one in 50 of about 1,500, more than a page has room for.
$node->safe_psql($db, q{
    CREATE FUNCTION made(seed bigint) RETURNS sparsevec LANGUAGE sql IMMUTABLE AS $$
        SELECT format('{%s}/3000', string_agg(format('%s:%s', at, 1 + (hashint8extended(seed, at) & 1023) / 256.0), ',' ORDER BY at))::sparsevec
        FROM (SELECT DISTINCT 1 + (hashint8extended(seed, k) & 2147483647) % 3000 AS at
              FROM generate_series(1, CASE WHEN seed % 50 = 0 THEN 2100 ELSE 1 + (hashint8(seed) & 2147483647) % 200 END) k) q $$;
    CREATE TABLE t (id bigserial PRIMARY KEY, v sparsevec(3000));
    CREATE INDEX t_v ON t USING hnsw (v sparsevec_l2_ops) WITH (m = 8, ef_construction = 40)});
is($node->safe_psql($db, q{SELECT format_version FROM hnsw_index_info('t_v')}), 5, 'the index has spanning records');

# Rows that the index does not have, or has under another vector; and rows that no search leads to.
sub verify
{
    my ($name) = @_;
    is(index_errors($node, $db, 't_v', 1), '', "$name: nothing is wrong with the index");
    my $count = $node->safe_psql($db, 'SELECT count(*) FROM t');
    is($node->safe_psql($db, "SET enable_seqscan = off; SET hnsw.scan_strategy = graph; SET hnsw.ef_search = 1000; SELECT count(*) FROM (SELECT id FROM t ORDER BY v <-> made(1) LIMIT 100000) q"), $count, "$name: a scan brings all rows");
    $node->safe_psql($db, 'DELETE FROM t WHERE id % 50 = 7; VACUUM (INDEX_CLEANUP ON) t');
    is(index_problems($node, $db, 't_v', 1), '', "$name: nothing is wrong after vacuum");
    is($node->safe_psql($db, "SELECT dead_nodes FROM hnsw_index_info('t_v')"), 0, "$name: no node is dead");
    return;
}

my @writers = (
    write_script($dir, 'insert', "\\set n random(1, 1000000000)\nINSERT INTO t (v) VALUES (made(:n));") . '@6',
    write_script($dir, 'insert_some', "\\set n random(1, 1000000000)\nBEGIN;\nINSERT INTO t (v) SELECT made(:n + i) FROM generate_series(1, 10) i;\nCOMMIT;") . '@1',
    # overflow records, which have slots of their own
    write_script($dir, 'insert_equal', "\\set n random(1, 3)\nINSERT INTO t (v) SELECT made(:n) FROM generate_series(1, 4);") . '@3',
    write_script($dir, 'search', "\\set n random(1, 1000000000)\nSET enable_seqscan = off;\nSELECT count(*) FROM (SELECT id FROM t ORDER BY v <-> made(:n) LIMIT 30) q;") . '@3',);
my @changers = (
    write_script($dir, 'update', "\\set id random(1, $rows)\n\\set n random(1, 1000000000)\nUPDATE t SET v = made(:n) WHERE id = :id;") . '@4',
    write_script($dir, 'delete', "\\set id random(1, $rows)\nDELETE FROM t WHERE id BETWEEN :id AND :id + 3;") . '@2',
    write_script($dir, 'delete_equal', "DELETE FROM t WHERE id IN (SELECT id FROM t WHERE v = made(2) LIMIT 100);") . '@1',);
my $vacuum = write_script($dir, 'vacuum', 'VACUUM (INDEX_CLEANUP ON) t;');

for my $round (1 .. 6)
{
    my $name = "round $round";
    $node->safe_psql($db, "INSERT INTO t SELECT n, made(n + $round * 1000) FROM generate_series(1, $rows) n ON CONFLICT DO NOTHING");
    my $clients = start_clients($node, $db, 4, 100000, @writers, $round > 1 ? @changers : ());
    my $vacuumer = $round > 1 ? start_clients($node, $db, 1, 100000, $vacuum) : undef;
    sleep(1 + rand(2));
    $node->stop('immediate');
    $node->start;
    my $errors = join "\n", map { finish($_) } $clients, $vacuumer ? $vacuumer : ();
    unlike($errors, qr/ERROR/, "$name: no error before the crash");
    verify($name);
    $node->safe_psql($db, 'CHECKPOINT') if rand() < 0.3;
}

# What vacuums have freed is used: all rows again, and no page more than there were for old and new ones.
my $bytes = $node->safe_psql($db, q{SELECT pg_relation_size('t_v')});
for my $round (1 .. 3)
{
    $node->safe_psql($db, "UPDATE t SET v = made(id + $round * 10000000); VACUUM (INDEX_CLEANUP ON) t");
}
cmp_ok($node->safe_psql($db, q{SELECT pg_relation_size('t_v')}), '<=', 2 * $bytes, 'updates of all rows: at most twice the size');
is(index_problems($node, $db, 't_v', 1), '', 'and nothing is wrong');

# An index without WAL begins with spanning records again after a crash.
$node->safe_psql($db, 'CREATE UNLOGGED TABLE u (id int, v sparsevec(3000)); INSERT INTO u SELECT n, made(n) FROM generate_series(1, 1200) n; CREATE INDEX u_v ON u USING hnsw (v sparsevec_l2_ops)');
is($node->safe_psql($db, q{SELECT format_version FROM hnsw_index_info('u_v')}), 4, 'an unlogged index of known rows');
$node->stop('immediate');
$node->start;
$node->safe_psql($db, 'INSERT INTO u SELECT n, made(n) FROM generate_series(1, 200) n');
is($node->safe_psql($db, q{SELECT format_version, nodes FROM hnsw_index_info('u_v')}), '5|200', 'after a crash it is empty, and has spanning records');
is(index_problems($node, $db, 'u_v', 1), '', 'nothing is wrong with it');
is(errors_in_log($node, 0, qr/terminating connection|database system|not yet accepting|shut down|relation mapping/), '', 'no error in the log');

$node->stop;
done_testing();
