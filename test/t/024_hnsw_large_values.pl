# Vectors that are stored out of line: built, inserted, searched, vacuumed, with
# 7 records a page down to one, in 16 bits a dimension down to 2.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use HnswTest;
use OmendbTest;

use Test::More;

my $node = start_node('large', "autovacuum = off\njit = off\nfsync = off\nlog_statement = none\nmax_parallel_workers_per_gather = 0\n");
my $db   = 'large';
create_omendb($node, $db);
make_data_functions($node, $db);

for my $case (
    [ 1536, 'vector',    'vector_cosine_ops',  '<=>', '' ],
    [ 2000, 'vector',    'vector_l2_ops',      '<->', '' ],
    [ 4000, 'halfvec',   'halfvec_l2_ops',     '<->', '' ],
    [ 4000, 'halfvec',   'halfvec_l2_ops',     '<->', 'WITH (compact = true, m = 8)' ],
    [ 7000, 'vector',    'vector_l1_ops',      '<+>', '' ],
    [ 9000, 'vector',    'vector_cosine_ops',  '<=>', '' ],
    [ 16000, 'vector',   'vector_l2_ops',      '<->', '' ],
    [ 16000, 'vector',   'vector_l1_ops',      '<+>', '' ],
    [ 16000, 'vector',   'vector_ip_ops',      '<#>', 'WITH (m = 100, ef_construction = 200)' ],
    [ 12000, 'bit',      'bit_hamming_ops',    '<~>', '' ],)
{
    my ($dimensions, $type, $opclass, $operator, $with) = @$case;
    my $name = "$type($dimensions) $with";
    my $of = sub { $type eq 'bit' ? "made_bits($_[0], $dimensions)::bit($dimensions)" : "made($_[0], $dimensions)::$type($dimensions)" };
    $node->safe_psql($db, "CREATE TABLE t (id int PRIMARY KEY, v $type($dimensions)); ALTER TABLE t ALTER v SET STORAGE EXTERNAL; INSERT INTO t SELECT n, " . $of->('n') . ' FROM generate_series(1, 120) n');
    $node->safe_psql($db, "CREATE INDEX t_v ON t USING hnsw (v $opclass) $with");
    is($node->safe_psql($db, "SELECT pg_relation_size(reltoastrelid) > 0 FROM pg_class WHERE oid = 't'::regclass"), 't', "$name: out of line") if $type ne 'bit';
    $node->safe_psql($db, 'INSERT INTO t SELECT n, ' . $of->('n') . ' FROM generate_series(121, 200) n; INSERT INTO t SELECT 1000 + n, ' . $of->('5') . ' FROM generate_series(1, 10) n; DELETE FROM t WHERE id % 4 = 0');
    $node->safe_psql($db, 'VACUUM (INDEX_CLEANUP ON) t');
    is(index_problems($node, $db, 't_v', 1), '', "$name: nothing is wrong");
    is(lost_rows($node, $db, 't', $operator), '', "$name: every row is found");
    is(strangers($node, $db, 't', $operator), '', "$name: and no other");
    cmp_ok(recall($node, $db, 't', $operator, $of->('n + 4000'), 20), '>=', 0.95, "$name: recall");
    note('records a page: ' . $node->safe_psql($db, "SELECT records_per_page FROM hnsw_index_info('t_v')"));
    $node->safe_psql($db, 'DROP TABLE t');
}
is(errors_in_log($node), '', 'no error in the log');

$node->stop;
done_testing();
