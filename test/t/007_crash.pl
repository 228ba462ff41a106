# Committed vectors, in line and out of line, survive a crash, and a streaming
# standby has the same.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use OmendbTest;

use IPC::Run ();
use PostgreSQL::Test::Cluster;
use Test::More;

my $primary = start_node('primary', "autovacuum = off\n", { allows_streaming => 1 });
create_omendb($primary, 'crash');
$primary->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;

$primary->safe_psql('crash', q{
    CREATE TABLE t (id int PRIMARY KEY, v vector, h halfvec, s sparsevec);
    CREATE INDEX ON t (subvector(v, 1, 3));
    INSERT INTO t SELECT n, array_agg((i * n % 1009) / 8.0 ORDER BY i), array_agg(i * n % 101 ORDER BY i), array_agg(CASE WHEN i % 4 = 0 THEN i * n % 1013 ELSE 0 END ORDER BY i)
        FROM generate_series(1, 60) n, generate_series(1, CASE WHEN n % 3 = 0 THEN 3000 ELSE n END) i GROUP BY n;
    CHECKPOINT;
    -- after the checkpoint: what recovery must replay
    UPDATE t SET v = v || '[7]', h = subvector(h, 1, 2) WHERE id % 2 = 0;
    DELETE FROM t WHERE id % 10 = 1;
    INSERT INTO t SELECT 1000 + n, array_agg(i % 17), NULL, NULL FROM generate_series(1, 20) n, generate_series(1, 1000 + n) i GROUP BY n;
    CREATE UNLOGGED TABLE u AS SELECT * FROM t});

my $inspect = q{
    SELECT count(*), md5(string_agg(encode(vector_send(v), 'hex') || coalesce(encode(halfvec_send(h), 'hex'), '') || coalesce(encode(sparsevec_send(s), 'hex'), ''), ',' ORDER BY id)) FROM t;
    SELECT avg(vector_norm(v)), sum(vector_dims(v)), max(l2_norm(s)) FROM t;
    SET enable_seqscan = off; SET enable_bitmapscan = off;
    SELECT string_agg(id::text, ',' ORDER BY id) FROM t WHERE subvector(v, 1, 3) = '[1,2,3]';
    SELECT md5(string_agg(id::text, ',' ORDER BY subvector(v, 1, 3), id)) FROM t WHERE subvector(v, 1, 3) > '[0]'};
my $before = $primary->safe_psql('crash', $inspect);
like($before, qr/^74\|[0-9a-f]{32}$/m, 'the rows are there');
is($primary->safe_psql('crash', "SELECT pg_relation_size(reltoastrelid) > 0 FROM pg_class WHERE oid = 't'::regclass"), 't', 'some out of line');

$primary->wait_for_catchup($standby);
is($standby->safe_psql('crash', $inspect), $before, 'the standby has the same rows');
is(sqlstate($standby, 'crash', "INSERT INTO t (id) VALUES (-1)"), '25006', 'and is a standby');
is($standby->safe_psql('crash', "SELECT '[3,4]'::vector <-> '[0,0]', avg(v) FROM unnest('{[1],[2]}'::vector[]) v GROUP BY ()"), '5|[1.5]', 'where the functions work');

# A crash while another transaction is writing.
my ($in, $out, $err) = ("BEGIN; UPDATE t SET v = v + v; INSERT INTO t SELECT 5000, array_agg(i) FROM generate_series(1, 5000) i; SELECT 'written'; SELECT pg_sleep(600);\n", '', '');
my $writer = IPC::Run::start([ 'psql', '-XAtq', '-d', $primary->connstr('crash') ], '<', \$in, '>', \$out, '2>', \$err, IPC::Run::timeout(180));
$writer->pump until $out =~ /written/;
$primary->stop('immediate');
$writer->finish;

$primary->start;
like(PostgreSQL::Test::Utils::slurp_file($primary->logfile), qr/database system was not properly shut down; automatic recovery in progress/, 'that was a crash');
is($primary->safe_psql('crash', $inspect), $before, 'the rows are what was committed');
is($primary->safe_psql('crash', 'SELECT count(*) FROM u'), 0, 'an unlogged table is empty');
is(sqlstate($primary, 'crash', "INSERT INTO t (id, v) VALUES (1001, '[1]')"), '23505', 'the primary key works');
$primary->safe_psql('crash', "INSERT INTO t (id, v) VALUES (6000, '[1,2,3]')");
$primary->safe_psql('crash', 'VACUUM t');
like($primary->safe_psql('crash', $inspect), qr/^6000$|,6000$/m, 'the index takes new rows');

# The standby goes on with what came after, and on its own.
my $after = $primary->safe_psql('crash', $inspect);
$primary->wait_for_catchup($standby);
is($standby->safe_psql('crash', $inspect), $after, 'the standby follows');
$primary->stop('immediate');
$standby->promote;
is($standby->safe_psql('crash', $inspect), $after, 'promoted, it has all rows');
$standby->safe_psql('crash', "UPDATE t SET v = v || v WHERE id = 6000");
is($standby->safe_psql('crash', 'SELECT v FROM t WHERE id = 6000'), '[1,2,3,1,2,3]', 'and takes new ones');

$standby->stop;
done_testing();
