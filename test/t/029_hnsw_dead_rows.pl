# Rows that nobody can see any more: a scan that comes upon one marks its heap TID in the index, later scans pass it over. A
# standby's scans do not, for their snapshots may be older.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use HnswTest;
use OmendbTest;

use IPC::Run ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $primary = start_node(
    'primary', q{
    autovacuum = off
    jit = off
    fsync = off
    wal_consistency_checking = 'all'
}, { allows_streaming => 1 });
my $db = 'dead';
create_omendb($primary, $db);
sub sql { return $primary->safe_psql($db, $_[0]) }
$primary->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->append_conf('postgresql.conf', "hot_standby_feedback = off\nmax_standby_streaming_delay = -1\n");
$standby->start;

# The table is not read instead, so that every row comes from the index. The beam is as wide as there are near copies: a narrow one finds a few too late.
my $common = "LOAD 'omendb'; SET enable_seqscan = off; SET hnsw.exhaustive_scan = off; SET hnsw.ef_search = 1000;";
my %scans  = (plain => "$common SET hnsw.custom_scan = off;", graph => "$common SET hnsw.scan_strategy = graph;");

# ---------------------------------------------------------------- many updates of one row

# Rows that a scan gives the executor before it has found so many.
sub given
{
    my ($scan, $table, $limit) = @_;
    return sql("$scans{$scan} SELECT count(*) FROM (SELECT FROM $table ORDER BY v <-> '[500,0,0]' LIMIT $limit) q; SELECT rows_returned FROM omendb_last_scan()");
}

for my $scan (sort keys %scans)
{
    for my $what ([ equal => 'v' ], [ different => "array[500 + i / 10000.0, 0, 0]::vector" ])
    {
        my ($name, $value) = @$what;
        my $table = "${name}_$scan";
        sql(qq{
            CREATE TABLE $table (id int PRIMARY KEY, v vector(3), n int);
            INSERT INTO $table SELECT i, array[i,0,0]::vector, 0 FROM generate_series(1, 1000) i;
            CREATE INDEX ON $table USING hnsw (v vector_l2_ops);
            CREATE INDEX ON $table (n);
            DO \$\$ BEGIN FOR i IN 1..1000 LOOP UPDATE $table SET n = n + 1, v = $value WHERE id = 500; COMMIT; END LOOP; END \$\$});
        my ($found, $first)  = split /\n/, given($scan, $table, 5);
        my ($again, $second) = split /\n/, given($scan, $table, 5);
        is("$found $again", '5 5', "$name, $scan: rows are found");
        # That it is measured, not how much it is: 1,000 near copies inserted one by one fill the beams of searches beside them.
        like(sql("SELECT hnsw_recall('${table}_v_idx', 1000, 5)"), qr/^(?:1|0\.\d+)$/, "$name, $scan: recall is measured where TIDs are marked");
        cmp_ok($first,  '>=', 1000, "$name, $scan: the first scan comes upon $first rows");
        cmp_ok($second, '<=', 20,   "$name, $scan: the second one upon $second");
        is(index_problems($primary, $db, "${table}_v_idx", 1), '', "$name, $scan: nothing is wrong");
        sql("VACUUM (INDEX_CLEANUP ON) $table");
        is(sql("SELECT heap_tids FROM hnsw_index_info('${table}_v_idx')"), 1000, "$name, $scan: vacuum removes what is marked");
        is(index_problems($primary, $db, "${table}_v_idx", 1), '', "$name, $scan: nothing is wrong after vacuum");
    }
}

# ---------------------------------------------------------------- a mark that is wrong would be found

sql(q{
    CREATE TABLE aborted (id int, v vector(3));
    CREATE INDEX aborted_v ON aborted USING hnsw (v vector_l2_ops);
    INSERT INTO aborted SELECT i, array[i,0,0]::vector FROM generate_series(1, 10) i;
    BEGIN; DELETE FROM aborted WHERE id = 5; ROLLBACK});
sql("$scans{graph} SELECT FROM aborted ORDER BY v <-> '[5,0,0]' LIMIT 3");
is(sql("$scans{graph} SELECT id FROM aborted ORDER BY v <-> '[5,0,0]' LIMIT 1"), 5, 'a row whose deletion did not commit is not marked');

# ---------------------------------------------------------------- standby

# So few rows that their page is not pruned: the standby replays all while its transaction goes on.
sql(q{
    CREATE TABLE few (id int, v vector(3));
    CREATE INDEX few_v ON few USING hnsw (v vector_l2_ops);
    INSERT INTO few VALUES (1, '[1,0,0]'), (2, '[2,0,0]'), (3, '[3,0,0]'), (22, '[2,0,0]')});
$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));
my $query = "SELECT string_agg(id::text, ' ' ORDER BY id) FROM (SELECT id FROM few ORDER BY v <-> '[2,0,0]' LIMIT 10) q;";
my ($in, $out, $err) = ('', '', '');
my $old = IPC::Run::start([ 'psql', '-XqAt', '-d', $standby->connstr($db) ], '<', \$in, '>', \$out, '2>', \$err, IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));
$in .= "BEGIN ISOLATION LEVEL REPEATABLE READ;\nSELECT count(*) FROM few;\n";
$old->pump until $out =~ /\n/;
sql('DELETE FROM few WHERE id = 2');
sql("$scans{graph} $query");
is(sql("$scans{graph} $query SELECT rows_returned FROM omendb_last_scan()"), "1 3 22\n3", 'the primary passes over the deleted row');
is(sql("$scans{plain} $query SELECT rows_returned FROM omendb_last_scan()"), "1 3 22\n3", 'its plain scan, too');
$primary->wait_for_catchup($standby, 'replay', $primary->lsn('insert'));
is($standby->safe_psql($db, "$scans{graph} $query"), '1 3 22', 'a new transaction of the standby does not see it');
$in .= "$scans{plain}\n$query\n$scans{graph}\n$query\nCOMMIT;\n$query\n\\q\n";
$old->finish;
is($err, '', 'no error in a transaction of the standby that began before');
is($out, "4\n1 2 3 22\n1 2 3 22\n1 3 22\n", 'which still sees the row, by both scans');
unlike(slurp_file($standby->logfile), qr/inconsistent page|PANIC/, 'the pages of both are the same');
$standby->promote;
is($standby->safe_psql($db, "$scans{graph} $query SELECT rows_returned FROM omendb_last_scan()"), "1 3 22\n3", 'once promoted, it trusts the marks');

$standby->stop;
$primary->stop;
done_testing();
