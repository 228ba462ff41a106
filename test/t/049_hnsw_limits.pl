# The end of the node numbers: an index whose file is as long as it may be. The file has holes, so it takes no space.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use HnswTest;
use OmendbTest;

use Test::More;

use constant MAX_NODE => 2**31 - 1;

my $node = start_node('limits', "autovacuum = off\nfsync = off\njit = off\n");
my $db = 'limits';
create_omendb($node, $db);
sub sql { return $node->safe_psql($db, $_[0]) }
sub value { return "(hashint8extended($_[0], 1))::bit(64)" }

sql('CREATE TABLE t (id int, v bit(64)); INSERT INTO t SELECT n, ' . value('n') . ' FROM generate_series(1, 300) n; CREATE INDEX t_v ON t USING hnsw (v bit_hamming_ops) WITH (m = 8, ef_construction = 40)');
my $per_page = sql("SELECT records_per_page FROM hnsw_index_info('t_v')");
my $path     = $node->data_dir . '/' . sql("SELECT pg_relation_filepath('t_v')");
my $segment  = sql("SELECT setting FROM pg_settings WHERE name = 'segment_size'");

# The last block has the last numbers.
my $blocks = int(MAX_NODE / $per_page) + 1;
$node->stop;
for (my ($rest, $n) = ($blocks, 0); $rest > 0; $rest -= $segment, $n++)
{
    my $name = $n ? "$path.$n" : $path;
    if ($n) { open my $new, '>', $name or BAIL_OUT("$name: $!"); }
    truncate $name, 8192 * ($rest < $segment ? $rest : $segment) or plan skip_all => "no file of that length here: $!";
}
$node->start;
my $long = sql("SELECT pg_relation_size('t_v') / 8192");
is($long, $blocks, "the index has $blocks blocks");

my ($out, $err);
my $inserts = join '', map { "INSERT INTO t VALUES (1000 + $_, " . value("1000 + $_") . ");\n" } 1 .. $per_page + 10;
$node->psql($db, "\\set VERBOSITY verbose\n$inserts", stdout => \$out, stderr => \$err, on_error_stop => 0);
my @failed = $err =~ /ERROR: +(.*)/g;
my @others = grep { !/^54000: hnsw index "t_v" cannot have more than 2147483647 records$/ } @failed;
is("@others", '', 'no other error than that there are no more records');
cmp_ok(@failed, '>=', 10, 'where there are none');
my $inserted = sql('SELECT count(*) FROM t WHERE id > 1000');
is($inserted, $per_page + 10 - @failed, "$inserted rows were inserted");
cmp_ok($inserted, '>=', $per_page / 2, 'for which there were');
is(sql("SELECT pg_relation_size('t_v') / 8192"), $long, 'the file has not grown');

my $search = 'SET enable_seqscan = off; SET hnsw.exhaustive_scan = off; SET hnsw.scan_strategy = graph;';
# Few: a search that finds nothing more to visit makes a set of all nodes, 512 MB here.
my $query = 'SELECT count(*) FROM (SELECT * FROM t WHERE id > 1000 ORDER BY id LIMIT 5) t, LATERAL (SELECT id FROM t u ORDER BY u.v <~> t.v LIMIT 1) q WHERE q.id = t.id';
like(sql("$search EXPLAIN $query"), qr/\bt_v\b/, 'searches use the index');
is(sql("$search $query"), 5, 'new rows are found by their vectors');

$node->stop;
done_testing();
